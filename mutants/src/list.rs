//! The list of survivors that are explained: rows of tables in a text, `| file | function | change | why |`.

use std::collections::BTreeSet;
use std::path::Path;

/// File, function, change of each row; a bar in an expression is written as ¦.
pub fn read(path: &Path) -> Result<BTreeSet<(String, String, String)>, String> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(e) => return Err(format!("{}: {e}", path.display())),
    };
    let mut rows = BTreeSet::new();
    for (n, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with("| ") && line.contains(".rs | ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [file, function, change, why] = cells[..] else {
            return Err(format!("{}:{}: {} cells, expected 4", path.display(), n + 1, cells.len()));
        };
        if why.is_empty() {
            return Err(format!("{}:{}: no reason", path.display(), n + 1));
        }
        if !rows.insert((file.to_owned(), function.to_owned(), change.to_owned())) {
            return Err(format!("{}:{}: is there twice", path.display(), n + 1));
        }
    }
    Ok(rows)
}

//! Where results go: standard output, or a file that is whole or not there.

use crate::exit::Failure;
use std::io::Write;
use std::path::Path;

/// Writes a result to a file (`-` for standard output).
pub fn write_to(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if path == Path::new("-") {
        let mut out = std::io::stdout().lock();
        return out.write_all(bytes).and_then(|()| out.flush()).map_err(Failure::output(path));
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(Failure::output(path))?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(Failure::output(path))?;
    file.persist(path).map_err(|e| Failure::output(path)(e.error))?;
    Ok(())
}

/// A number with its thousands apart.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A rate with three digits and a unit prefix.
pub fn rate(n: u64, seconds: f64) -> String {
    let x = if seconds > 0.0 { n as f64 / seconds } else { 0.0 };
    match x {
        x if x >= 1e9 => format!("{:.2} G", x / 1e9),
        x if x >= 1e6 => format!("{:.2} M", x / 1e6),
        x if x >= 1e3 => format!("{:.2} k", x / 1e3),
        x => format!("{x:.1} "),
    }
}

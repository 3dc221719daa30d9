//! The keys of what `--json` prints are those that `JSON.md` lists, and the other way round.

use manaflow_datasets::lies::Sample;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

/// Keys as the document writes them: `a.b`, `a[].b`.
fn keys(value: &Value, path: &str, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            keys(value, &path, out);
        }),
        Value::Array(list) if list.iter().any(Value::is_object) => {
            list.iter().for_each(|value| keys(value, &format!("{path}[]"), out));
        }
        _ => drop(out.insert(path.into())),
    }
}

fn printed(args: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_manaflow")).args(args).output().expect("the program starts");
    let value: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{args:?}: {e}: {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(value["version"], 1, "{args:?}");
    let mut out = BTreeSet::new();
    keys(&value, "", &mut out);
    out
}

/// Keys in the first column of the tables below a heading.
fn documented(heading: &str) -> BTreeSet<String> {
    let text = include_str!("../JSON.md");
    let from = text.find(heading).unwrap_or_else(|| panic!("{heading} is not there")) + heading.len();
    let section = text[from..].split("\n## ").next().expect("a section");
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let first = |row: &str| row.split('|').nth(1).expect("a column").to_owned();
    let cells: Vec<String> = rows.map(first).collect();
    let keys = cells.iter().flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned);
    let keys: BTreeSet<String> = keys.collect();
    assert!(keys.len() > 3, "{heading}: {keys:?}");
    keys
}

fn args<'a>(list: &[&'a str]) -> Vec<&'a str> {
    [list, &["--json"]].concat()
}

#[test]
fn reports_are_as_documented() {
    let sample = manaflow_datasets::sample("forks.mana");
    let file = sample.to_str().expect("paths of this repository are text");
    let mut seen = printed(&args(&["validate", file, "--order", "reverse"]));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("false.mana");
    let mut false_one = Sample::open(&sample);
    false_one.change_header(0, 3, |header| header.gas_used += 1);
    false_one.write(&path).expect("written");
    seen.extend(printed(&args(&["validate", path.to_str().expect("a path in UTF-8"), "--fail-fast"])));
    seen.remove("invalid");
    // One window of 512 blocks is all that the sample has, so it is not stopped early.
    seen.insert("run.stopped_early".into());
    let mut documented = documented("## `validate`, `merge`");
    assert!(documented.remove("invalid"));
    assert_eq!(seen, documented);
}

#[test]
fn other_commands_are_as_documented() {
    let sample = manaflow_datasets::sample("forks.mana");
    let file = sample.to_str().expect("paths of this repository are text");
    assert_eq!(printed(&args(&["inspect", file])), documented("## `inspect`"));
    // Which instruction sets there are is no matter of form; and there may be no GPU.
    let form = |keys: BTreeSet<String>| -> BTreeSet<String> {
        let keys = keys.into_iter().filter(|key| !key.starts_with("adapters"));
        keys.map(|key| if key.starts_with("processor.instructions") { "processor.instructions".into() } else { key })
            .collect()
    };
    assert_eq!(form(printed(&args(&["devices"]))), form(documented("## `devices`, `selftest`")));
    // Which peers, scores and instruction sets there are is no matter of form; nor is whether there is a GPU or anything skipped.
    let free = ["results[].ratio", "scores", "skipped", "environment.processor", "environment.adapters"];
    let lines = |args: &[&str]| -> BTreeSet<String> {
        let of_form = |key: String| free.iter().find(|free| key.starts_with(**free)).map_or(key, |free| (*free).into());
        printed(args).into_iter().map(of_form).collect()
    };
    let bench =
        ["bench", "--quick", "--samples", "1", "--threads", "1", "--moves", "3000", "--rows", "16", "--messages", "64"];
    assert_eq!(lines(&args(&bench)), documented("## `bench`, version 1"));
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("moves.mana");
    let out = out.to_str().expect("a path in UTF-8");
    let generate = ["generate", "--moves", "10000", "--plant", "double-use=1", "-o", out];
    assert_eq!(printed(&args(&generate)), documented("## `generate`"));
    let generate = ["generate", "--profile", "transfers", "--blocks", "1", "--transactions", "2", "-o", out];
    assert_eq!(printed(&args(&generate)), documented("## `generate --profile`"));
    let lists = folder.path().join("lists.jsonl");
    let lists = lists.to_str().expect("a path in UTF-8");
    let ran = Command::new(env!("CARGO_BIN_EXE_manaflow")).args(["export", file, "--bal", "-o", lists]).output();
    assert!(ran.expect("the program starts").status.success());
    let text = std::fs::read_to_string(lists).expect("written").replacen("\"index\":\"0x1\"", "\"index\":\"0x9\"", 1);
    std::fs::write(lists, text.replace("\"hash\":", "\"was\":")).expect("written");
    let export = ["export", file, "--bal", "--against", lists];
    assert_eq!(printed(&args(&export)), documented("## `export`"));
    let Some(data) = manaflow_datasets::data_for("other_commands_are_as_documented") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("block.mana");
    let (source, out) = (data.join("mainnet/blocks/46147"), out.to_str().expect("a path in UTF-8"));
    let import = ["import", source.to_str().expect("a path in UTF-8"), "-o", out];
    assert_eq!(printed(&args(&import)), documented("## `import`"));
}

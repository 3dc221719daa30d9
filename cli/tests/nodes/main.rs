//! Imports from nodes: a server of our own that answers from the moves of the import from files, a client that is not
//! ours, recorded answers of others; and servers that lie, stall, throttle and contradict themselves.
//!
//! Whatever the way, the moves are those of the import from files; only what lies before the first block is named
//! otherwise. Servers listen on loopback alone.

mod client;
mod hostile;
mod resume;
mod server;
mod ways;
mod websockets;
mod world;

use manaflow_loader::file::BlockFile;
use manaflow_loader::model::{AccountValue, BlockRecord, Cell, Value, Version};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const MANAFLOW: &str = env!("CARGO_BIN_EXE_manaflow");

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Runs the program; a signal or a panic is a failure of the test.
#[track_caller]
fn run(args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(MANAFLOW);
    command.args(args).env_remove("RUST_LOG").env_remove("MANAFLOW_RPC").env("RUST_BACKTRACE", "0");
    let Output { status, stdout, stderr } = command.output().expect("it runs");
    let (out, err) = (String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr).into_owned());
    assert_eq!(status.signal(), None, "{args:?}: {err}");
    assert!(!err.contains("panicked"), "{args:?}: {err}");
    (status.code().expect("a code"), out, err)
}

/// Runs an import that must succeed; gives its counts.
#[track_caller]
fn import(args: &[&str]) -> Json {
    let (code, out, err) = run(&[&["import", "--json"], args].concat());
    assert_eq!(code, 0, "{args:?}: {err}");
    serde_json::from_str(&out).expect("import prints JSON")
}

/// All blocks of a file, by number.
fn records(file: &Path) -> BTreeMap<u64, BlockRecord> {
    let file = BlockFile::open(file).unwrap_or_else(|e| panic!("{e}"));
    file.verify_all().unwrap_or_else(|e| panic!("{e}"));
    let block = |i| (file.block(i).expect("a block").number(), file.record(i).expect("readable"));
    (0..file.block_count()).map(block).collect()
}

/// A chain in the test data; `None`, and said so, where they are not there.
fn chain(test: &str, name: &str) -> Option<(PathBuf, PathBuf)> {
    let folder = manaflow_datasets::data_for(test)?.join("chains").join(name);
    Some((folder.join("chain.rlp"), folder.join("genesis.json")))
}

/// Asserts that blocks of a range are those of the whole chain, but for what is said of versions before its first block,
/// and for generations, which count from there.
fn assert_same_moves(part: &BTreeMap<u64, BlockRecord>, whole: &BTreeMap<u64, BlockRecord>, name: &str) {
    assert!(!part.is_empty(), "{name}");
    let first = *part.keys().next().expect("not empty");
    // What each account's generation was when the range began.
    let mut shift: BTreeMap<_, u32> = BTreeMap::new();
    for (_, record) in whole.range(..first) {
        for m in record.transactions.iter().flat_map(|tx| &tx.moves) {
            if let Value::Account(AccountValue { generation, .. }) = m.next {
                shift.insert(m.cell.addr, generation);
            }
        }
    }
    let origin = if first == 0 { 0 } else { first };
    for (number, got) in part {
        let expected = &whole[number];
        assert_eq!(got.body, expected.body, "{name}: block {number}");
        assert_eq!(got.transactions.len(), expected.transactions.len(), "{name}: block {number}");
        for (index, (got, expected)) in got.transactions.iter().zip(&expected.transactions).enumerate() {
            let place = format!("{name}: block {number}, index {index}");
            assert_eq!(got.bytes, expected.bytes, "{place}");
            assert_eq!(got.outcome, expected.outcome, "{place}");
            assert_eq!((got.sender, &got.authorities), (expected.sender, &expected.authorities), "{place}");
            assert_eq!(got.requests, expected.requests, "{place}");
            assert_eq!(got.moves.len(), expected.moves.len(), "{place}");
            for (got, expected) in got.moves.iter().zip(&expected.moves) {
                let shift = shift.get(&expected.cell.addr).copied().unwrap_or(0);
                let value = |value: Value| match value {
                    Value::Account(a) => Value::Account(AccountValue { generation: a.generation - shift, ..a }),
                    word => word,
                };
                let cell = Cell { generation: expected.cell.generation.saturating_sub(shift), ..expected.cell };
                assert_eq!((got.cell, got.mode, got.mask), (cell, expected.mode, expected.mask), "{place}");
                let values = (value(expected.prev), value(expected.next));
                assert_eq!((got.prev, got.next), values, "{place}: {}", got.cell);
                let version = match expected.intx {
                    Version::At(at) if at.block() >= origin => Version::At(at),
                    // Of an account that came to be in the range all storage is virgin, as it is in the whole chain.
                    Version::Virgin if got.intx == Version::Virgin => Version::Virgin,
                    _ if origin == 0 => expected.intx,
                    _ => Version::Base(origin),
                };
                assert_eq!(got.intx, version, "{place}: {}", got.cell);
            }
        }
    }
}

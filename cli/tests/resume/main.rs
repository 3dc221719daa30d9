//! Imports at length: state on disk, files in series, kills and full disks on the way, and going on afterwards.
//!
//! Throughout: what is written is, byte for byte, what an undisturbed import writes; what has its name is whole.
//! `MANAFLOW_WHOLE=1` takes all chains and 100 kills.

mod disturbed;
mod refused;
mod series;

use manaflow_datasets::Draw;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const MANAFLOW: &str = env!("CARGO_BIN_EXE_manaflow");

fn draw() -> Draw {
    Draw::new(20_261_130)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(MANAFLOW);
    command.args(args).env_remove("RUST_LOG").env("RUST_BACKTRACE", "0");
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs, and expects an exit code.
#[track_caller]
fn run(code: i32, args: &[&str]) -> Output {
    let output = command(args).output().expect("it starts");
    assert_eq!((output.status.code(), output.status.signal()), (Some(code), None), "{args:?}: {}", said(&output));
    output
}

/// Files of a folder by name, hidden ones too.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.map(|path| (text(Path::new(path.file_name().expect("a name"))).to_owned(), read(&path))).collect()
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("it is there")
}

/// A chain in the test data, and a folder to work in.
struct World {
    folder: TempDir,
    chain: PathBuf,
    genesis: PathBuf,
}

impl World {
    fn new(test: &str, name: &str) -> Option<Self> {
        let data = manaflow_datasets::data_for(&format!("resume: {test}"))?;
        let (chain, genesis) = match name {
            "era1" => (data.join("era1/mainnet-00000-5ec1ffb8.era1"), data.join("genesis/mainnet.json")),
            _ => (data.join(format!("chains/{name}/chain.rlp")), data.join(format!("chains/{name}/genesis.json"))),
        };
        Some(Self { folder: tempfile::tempdir().expect("a folder"), chain, genesis })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An empty folder for output.
    fn out(&self, name: &str) -> PathBuf {
        let folder = self.path(name);
        std::fs::create_dir(&folder).expect("created");
        folder
    }

    /// `import` of the chain into `chain.mana` of a folder, with more options.
    fn import<'a>(&'a self, output: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
        let start = ["import", text(&self.chain), "--genesis", text(&self.genesis), "--output", text(output)];
        [&start[..], more].concat()
    }

    /// Files that an undisturbed import writes, all of its state in memory.
    fn undisturbed(&self, limit: &str) -> BTreeMap<String, Vec<u8>> {
        let folder = self.out(&format!("undisturbed {limit}"));
        run(0, &self.import(&folder.join("chain.mana"), &["--split", limit]));
        files(&folder)
    }
}

//! Faults of the machine and of others on it: full disks, failing writes, kills at any moment, files that change under
//! the map, claims that no file could keep, paths that are none.
//!
//! Throughout: no signal ends the program but one that was sent to it; what has its name is whole or absent, or what it
//! was; no verdict comes from bytes that changed. A run takes a slice of all places and moments, drawn from
//! `MANAFLOW_SEED`; `MANAFLOW_WHOLE=1` takes all of them:
//!
//! ```sh
//! MANAFLOW_WHOLE=1 cargo test --release --workspace --test faults -- --nocapture
//! ```

mod claims;
mod disk;
mod kills;
mod paths;
mod torn;

use manaflow_datasets::{Draw, amount};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

const MANAFLOW: &str = env!("CARGO_BIN_EXE_manaflow");

/// Numbers drawn from `MANAFLOW_SEED`, or from the tests' own seed.
fn draw() -> Draw {
    Draw::new(20_261_123)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn start(args: &[&str]) -> Child {
    let mut command = Command::new(MANAFLOW);
    command.args(args).env_remove("RUST_LOG").env("RUST_BACKTRACE", "0");
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

fn run(args: &[&str]) -> Output {
    start(args).wait_with_output().expect("it ends")
}

/// Runs a line of shell with `$@` for the program and its arguments.
fn shell(line: &str, args: &[&str]) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", line, "sh", MANAFLOW]).args(args).env_remove("RUST_LOG").env("RUST_BACKTRACE", "0");
    command.output().expect("a shell")
}

/// The exit code; a signal is a failure of the test.
#[track_caller]
fn code(output: &Output, place: &str) -> i32 {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), None, "{place}: {said}");
    assert!(!said.contains("panicked"), "{place}: {said}");
    output.status.code().expect("a code")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

/// A small chain, what `import` makes of it, and a folder to work in.
struct World {
    folder: TempDir,
    chain: PathBuf,
    genesis: PathBuf,
    imported: Vec<u8>,
}

impl World {
    fn new(test: &str) -> Option<Self> {
        let chain = manaflow_datasets::data_for(test)?.join("chains/execapis");
        let folder = tempfile::tempdir().expect("a folder");
        let (genesis, chain) = (chain.join("genesis.json"), chain.join("chain.rlp"));
        let mut world = Self { folder, chain, genesis, imported: Vec::new() };
        let path = world.path("reference.mana");
        let output = run(&world.import(&path));
        assert_eq!(code(&output, "import"), 0);
        world.imported = std::fs::read(&path).expect("imported");
        Some(world)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn import<'a>(&'a self, output: &'a Path) -> [&'a str; 6] {
        ["import", text(&self.chain), "--genesis", text(&self.genesis), "--output", text(output)]
    }
}

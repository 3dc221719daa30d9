//! Faults of the machine and of others on it: full disks, failing writes, kills at any moment, files that change under
//! the map, claims that no file could keep, paths that are none.
//!
//! Throughout: no signal ends the program but one that was sent to it; what has its name is whole or absent, or what it
//! was; no verdict comes from bytes that changed. A run takes a slice of all places and moments, drawn from
//! `MANAFLOW_SEED`; `MANAFLOW_FAULTS=all` takes all of them:
//!
//! ```sh
//! MANAFLOW_FAULTS=all cargo test --release --workspace --test faults -- --nocapture
//! ```

mod claims;
mod disk;
mod kills;
mod paths;
mod torn;

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const MANAFLOW: &str = env!("CARGO_BIN_EXE_manaflow");

/// `all` if everything is asked for, else `slice`.
fn amount(slice: usize, all: usize) -> usize {
    if std::env::var_os("MANAFLOW_FAULTS").is_some_and(|amount| amount == "all") { all } else { slice }
}

/// A sequence of numbers drawn from a seed (splitmix64).
struct Draw(u64);

impl Draw {
    fn new() -> Self {
        let seed = std::env::var("MANAFLOW_SEED").ok().and_then(|seed| seed.parse().ok());
        Self(seed.unwrap_or(20_261_123))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// The i-th of n moments spread over a span, each drawn within its part.
    fn moment(&mut self, i: usize, n: usize, span: Duration) -> Duration {
        span.mul_f64((i as f64 + (self.next() >> 11) as f64 / (1_u64 << 53) as f64) / n as f64)
    }
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

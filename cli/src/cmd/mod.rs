//! One file a command: its arguments, its wiring, its words.

pub mod bench;
pub mod completions;
pub mod devices;
pub mod export;
pub mod fixtures;
pub mod generate;
pub mod import;
pub mod inspect;
pub mod merge;
pub mod validate;

use crate::exit::Failure;
use crate::output::check_output;
use manaflow_engine::backend::{Backends, Forced, VARIABLE};
use manaflow_loader::Watch;
use manaflow_loader::rules::ChainRules;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind, set_hook, take_hook};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Chains that are built in.
const CHAINS: [&str; 4] = ["mainnet", "sepolia", "holesky", "hoodi"];

/// Which backends to take.
#[derive(clap::Args, Debug)]
struct BackendArgs {
    /// Who does the work of a stage: signatures=libsecp256k1, scalar, avx512 or wgpu (a GPU, also one in software);
    /// hashes=keccak-asm, scalar, avx2, avx512 or wgpu; execution=plain or threaded. Default: the fastest of the processor,
    /// and plain; `manaflow devices` says which those are here.
    #[arg(long, value_delimiter = ',', value_name = "STAGE=BACKEND")]
    backend: Vec<String>,
}

impl BackendArgs {
    /// Backends as the environment and, before it, the options force them; proven by known answers.
    fn choose(&self) -> Result<Backends, Failure> {
        let environment = std::env::var_os(VARIABLE).unwrap_or_default();
        let environment =
            environment.to_str().ok_or_else(|| Failure::Usage(format!("{VARIABLE}: is no text in UTF-8")))?;
        let requests = std::iter::once(environment).chain(self.backend.iter().map(String::as_str));
        Ok(Backends::choose(Forced::parse(requests)?)?)
    }
}

fn chain_named(name: &str) -> Result<ChainRules, Failure> {
    ChainRules::named(name)
        .ok_or_else(|| Failure::Usage(format!("chain {name:?} is not built in: expected one of {}", CHAINS.join(", "))))
}

/// Opens block files and reads them, and nothing else: whatever comes out, a result, a failure or a panic, is withdrawn if
/// a file is no longer the one that it was.
///
/// A file that changes after it was verified breaks what readers rely on; a panic then is no bug of ours, and says nothing.
fn watched<T>(paths: &[PathBuf], work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let watch = Watch::new(paths);
    let before = Arc::new(take_hook());
    let (at_panic, after) = (watch.clone(), Arc::clone(&before));
    set_hook(Box::new(move |info| {
        if at_panic.changed().is_ok() {
            before(info);
        }
    }));
    let done = catch_unwind(AssertUnwindSafe(work));
    set_hook(Box::new(move |info| after(info)));
    watch.changed()?;
    done.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Runs what a damaged store may make panic, without its words: a panic says that the store in `folder` is damaged.
fn unharmed<T>(folder: &Path, work: impl FnOnce() -> T) -> Result<T, Failure> {
    let before = take_hook();
    set_hook(Box::new(|_| ()));
    let done = catch_unwind(AssertUnwindSafe(work));
    set_hook(before);
    done.map_err(|_| {
        let reason =
            "the state is damaged: give back a copy, or remove it and all files of the series, and import again";
        Failure::Input(format!("{}: {reason}", folder.display()))
    })
}

/// Where a block file is to be written. Refuses what it cannot be, before any work is done.
fn block_file_output(path: &Path, inputs: &[PathBuf]) -> Result<PathBuf, Failure> {
    if path.as_os_str() == "-" {
        return Err(Failure::Usage(
            "a block file is put together in place and cannot be streamed to standard output".into(),
        ));
    }
    check_output(path, inputs)?;
    if path.metadata().is_ok_and(|m| !m.is_file()) {
        return Err(Failure::Usage(format!("{}: is no regular file, which a block file is", path.display())));
    }
    // A link is followed, so that it stays one; also where nothing is yet.
    let target = || path.read_link().ok().map(|target| path.parent().unwrap_or(Path::new("")).join(target));
    Ok(path.canonicalize().ok().or_else(target).unwrap_or_else(|| path.to_path_buf()))
}

/// What the system refuses of the output is no fault of the input.
fn unwritable(error: manaflow_loader::Error) -> Failure {
    match error {
        manaflow_loader::Error::Io { path, source } => Failure::Output { path, source },
        error => error.into(),
    }
}

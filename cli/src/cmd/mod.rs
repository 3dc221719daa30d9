//! One file a command: its arguments, its wiring, its words.

pub mod bench;
pub mod fixtures;
pub mod import;
pub mod inspect;
pub mod merge;
pub mod validate;

use crate::exit::Failure;
use manaflow_engine::backend::{Backends, Forced, VARIABLE};
use manaflow_loader::Watch;
use manaflow_loader::rules::ChainRules;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind, set_hook, take_hook};
use std::path::PathBuf;
use std::sync::Arc;

/// Chains that are built in.
const CHAINS: [&str; 4] = ["mainnet", "sepolia", "holesky", "hoodi"];

/// Backends as the environment and, before it, the options force them; proven by known answers.
fn backends(options: &[String]) -> Result<Backends, Failure> {
    let environment = std::env::var(VARIABLE).unwrap_or_default();
    let requests = std::iter::once(environment.as_str()).chain(options.iter().map(String::as_str));
    Ok(Backends::choose(Forced::parse(requests)?)?)
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

/// What the system refuses of the output is no fault of the input.
fn unwritable(error: manaflow_loader::Error) -> Failure {
    match error {
        manaflow_loader::Error::Io { path, source } => Failure::Output { path, source },
        error => error.into(),
    }
}

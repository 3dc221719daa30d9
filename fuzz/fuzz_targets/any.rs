//! The target that `MANAFLOW_TARGET` names, under libFuzzer.

#![no_main]

#[path = "../../engine/tests/fuzz/corpus.rs"]
#[allow(dead_code)] // of the inputs only the small genesis is used here
mod corpus;
#[path = "../../engine/tests/fuzz/targets.rs"]
mod targets;

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static TARGET: LazyLock<targets::Target> = LazyLock::new(|| {
    let wanted = std::env::var("MANAFLOW_TARGET").unwrap_or_default();
    let found = targets::TARGETS.into_iter().find(|(name, _)| *name == wanted);
    let is_here = manaflow_engine::backend::execution::Backend::Threaded.is_available();
    assert!(wanted != "execution" || is_here, "this build has no threaded loop to be fuzzed");
    let names = || targets::TARGETS.map(|(name, _)| name).join(", ");
    found.unwrap_or_else(|| panic!("MANAFLOW_TARGET is {wanted:?}, expected one of {}", names())).1
});

fuzz_target!(|bytes: &[u8]| TARGET(bytes));

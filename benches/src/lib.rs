//! What benches measure on: real blocks, the baselines, and the lanes of Manaflow, each of which proves its result.
//!
//! A lane returns what it found and is asserted against headers inside the timed run: a wrong answer has no speed.

#![forbid(unsafe_code)]

pub mod clock;
pub mod dataset;
pub mod lanes;
pub mod sequential;

#[cfg(not(feature = "system-allocator"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The allocator that this build runs with.
pub const ALLOCATOR_NAME: &str = if cfg!(feature = "system-allocator") { "system" } else { "mimalloc" };

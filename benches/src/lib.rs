//! What benches measure on: real blocks. The baseline and the lanes of Manaflow beside it are in `manaflow_engine::bench`.

#![forbid(unsafe_code)]

pub mod dataset;

#[cfg(not(feature = "system-allocator"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The allocator that this build runs with.
pub const ALLOCATOR_NAME: &str = if cfg!(feature = "system-allocator") { "system" } else { "mimalloc" };

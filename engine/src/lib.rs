//! The three judgements over columns of moves: Solo, Double use, Block.

#![deny(unsafe_code)]

pub mod block;
pub mod double_use;
pub mod import;
pub mod reason;
pub mod report;
pub mod solo;
pub mod state_root;
pub mod validate;

/// Version of the EVM that executes; the tests hold it against the lock file.
pub const REVM_VERSION: &str = "43.0.3";

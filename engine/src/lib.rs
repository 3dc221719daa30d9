//! The three judgements over columns of moves: Solo, Double use, Block. What they mean is said in [`protocol`].

#![deny(unsafe_code)]

pub mod access_list;
pub mod backend;
pub mod bench;
pub mod block;
pub mod cpu;
pub mod double_use;
pub mod fixture;
pub mod generate;
pub mod gpu;
pub mod import;
pub mod keccak;
pub mod radix;
pub mod reason;
pub mod report;
mod search;
pub mod secp256k1;
pub mod segment;
pub mod solo;
pub mod state_root;
pub mod validate;

#[doc = include_str!("../PROTOCOL.md")]
pub mod protocol {}

#[doc = include_str!("../FIXTURES.md")]
pub mod spec_tests {}

/// Version of the EVM that executes; the tests hold it against the lock file.
pub const REVM_VERSION: &str = "43.0.3";

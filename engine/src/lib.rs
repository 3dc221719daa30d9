//! The three judgements over columns of moves: Solo, Double use, Block.

#![deny(unsafe_code)]

pub mod block;
pub mod reason;
pub mod report;
pub mod solo;
pub mod state_root;
//! Manaflow engine.
pub mod double_use;

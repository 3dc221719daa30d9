//! The three judgements over columns of moves: Solo, Double use, Block.

#![deny(unsafe_code)]

pub mod block;
pub mod reason;

//! The three judgements over moves: Solo, Double use, Block.

#![deny(unsafe_code)]

pub mod solo;

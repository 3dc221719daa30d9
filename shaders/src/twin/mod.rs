//! Twins: every stage as plain code over the same bindings, to be read beside its text rather than to be liked.
//!
//! A twin takes the stage's parameters and buffers in the order of its bindings and runs all groups, one after the other. It
//! indexes slices, so what would be out of bounds on a device panics here. Words nobody writes stay what they were.

#![allow(clippy::needless_range_loop)]

pub mod double_use;
pub mod field;
pub mod keccak;
pub mod number;
pub mod order;
pub mod radix;
pub mod secp256k1;

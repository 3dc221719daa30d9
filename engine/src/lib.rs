//! Manaflow engine.

#![deny(unsafe_code)]

pub mod double_use;
pub mod state_root;

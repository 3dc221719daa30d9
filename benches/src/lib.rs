//! Manaflow benches.

#![forbid(unsafe_code)]

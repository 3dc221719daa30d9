//! Manaflow benches.

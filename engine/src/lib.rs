//! Manaflow engine.

//! Manaflow datasets.

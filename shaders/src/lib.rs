//! Manaflow shaders.

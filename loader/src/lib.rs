//! Bytes in, columns out: block files, the sources they are made from, and the rules of their chains. Never judges.

#![deny(unsafe_code)]

mod error;
pub mod file;
mod map;
pub mod model;
pub mod rules;
pub mod source;

pub use error::{Error, Result};

//! Bytes in, columns out: block files, the sources they are made from, and the rules of their chains. Never judges.

#![deny(unsafe_code)]

mod error;
mod faulty;
pub mod file;
mod map;
pub mod model;
pub mod node;
pub mod rules;
mod scratch;
pub mod source;
mod split_mix;
pub mod state;
pub mod summary;
mod watch;
mod whole;

pub use error::{Error, Result};
pub use map::ignore_file_size_signal;
pub use scratch::Scratch;
pub use split_mix::SplitMix64;
pub use watch::Watch;
pub use whole::WholeFile;

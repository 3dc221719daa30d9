//! Double use (judgement D): does every use consume or observe the version that is live at its location?
//!
//! The law is section 5 of `PROTOCOL.md`; `model` is that section as a plain program. `forward`, `reverse` and `shards` give
//! the same [`NumberedResult`] from the columns of one segment, byte for byte; `merge` puts results of adjacent segments
//! together; `sum` confirms what is valid and leaves the rest to the others. [`Procedure`] is all of them behind one
//! interface. [`gpu`] does what `shards` does on a device. Nothing here looks at anything but moves.
//!
//! `assumed`, as read here. A use of version `assumed` makes no demand: any version meets it. It is kept as an
//! [`Assumption`], which no merge removes. Inside the imported segment the chain goes on from what the use declares and is
//! checked exactly, because another rule would give another verdict for another cut. What is lost is the *exit*: a cell that
//! was assumed in its segment, and each `a` or `s` cell of an address whose account was, has an unknown exit: it is not in the
//! digest, and a demand of *another* import (another origin) that meets it becomes an assumption itself. What that
//! import declares after its own demand stays as declared. An assumed use whose before is not the default is wrong by itself.
//!
//! Two uses of one cell in one row break section 3 (Solo reports it); here the later one in the row counts as later.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod columns;
mod digest;
mod exits;
mod findings;
mod forward;
pub mod gpu;
mod memory;
mod merge;
pub mod model;
mod multiset;
mod partition;
mod procedure;
mod result;
mod reverse;
mod shards;
mod spill;
mod sum;
#[cfg(test)]
pub(crate) mod tests;
mod wide;

pub use columns::{Columns, Malformed, Use};
pub(crate) use digest::encode;
pub use digest::{EXIT_BYTES, ExitsDigest, file_digest};
pub use exits::{Exits, LastWrite};
pub use forward::{forward, forward_in};
pub use merge::{join, merge};
pub use multiset::Hints;
pub use partition::Workspace;
pub use procedure::Procedure;
pub use result::{Assumption, Culprit, Demand, Exit, NumberedResult, Reason, SegmentResult, Window};
pub use reverse::{Reverse, reverse};
pub use shards::{shards, shards_in, shards_of, shards_of_in, shards_within};
pub use spill::Spill;
pub use sum::{Key, hints, sum, summed, summed_in};

//! The block file (`.mana`): blocks, transactions and moves in columns, used in place, read-only once written.
//!
//! `loader/FORMAT.md` is the normative text. `layout` is the bytes, `check` what makes them well-formed, `read`,
//! `view`, `moves` and `hints` the way out, `write` the way in. Nothing here says whether the chain is right.

mod check;
mod hints;
pub mod layout;
mod moves;
mod named;
mod read;
mod rlp;
mod series;
mod spool;
mod tables;
#[cfg(test)]
mod tests;
mod value;
mod view;
mod write;
mod zero_runs;

pub(crate) use check::check_earlier;
pub use layout::{FORMAT_VERSION, PROTOCOL_VERSION};
pub use moves::MoveReader;
pub use read::{BlockFile, SectionSize, Segment};
pub use series::{Limit, Piece, Series, SeriesName, after, size_of};
pub use view::{BlockView, OmmersView, RowView};
pub use write::{Cells, NumberedMoves, Summary, Writer};

//! From sources to a block file: blocks are decoded and their signers recovered in parallel, executed in order and recorded.
//!
//! Never judges: what a block says wrongly is written as it is. Refused is what is no block at all, and what the source
//! would have to know and does not.

mod chain;
mod node;
mod prepare;
mod replay;
mod snapshot;

pub(crate) use chain::allocations;
pub use prepare::prepare;
pub use snapshot::snapshot_state;

use crate::backend::Backends;
use crate::solo::database::Refusal;
use crate::solo::record::{Importer, RecordError};
use crate::solo::state::State;
use crate::solo::stored::Room;
use alloy_primitives::{B256, keccak256};
use manaflow_loader::file::{BlockFile, Series};
use manaflow_loader::model::{BlockRecord, SegmentStart};
use manaflow_loader::source::{Recognised, Source};
use manaflow_loader::state::StateStore;

/// Why there is no block file.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A source cannot be read.
    #[error(transparent)]
    Loader(#[from] manaflow_loader::Error),
    /// The file cannot be written.
    #[error(transparent)]
    Output(manaflow_loader::Error),
    /// A part of a block does not decode.
    #[error("{source_name}: block {block}: {part}: {reason}")]
    Decode {
        /// File or folder.
        source_name: String,
        /// Block by position.
        block: u64,
        /// Which part.
        part: String,
        /// Why.
        reason: String,
    },
    /// Execution asks for what the source does not have.
    #[error("{source_name}: {error}")]
    Record {
        /// File or folder.
        source_name: String,
        /// What is missing, where.
        error: RecordError,
    },
    /// Executed on what a node says of the state, a block comes out otherwise than it says itself.
    #[error(
        "{source_name}: block {block}: {what}: the node's state is not the one that the block was made on, or the rules \
         are another chain's"
    )]
    Differs {
        /// The node.
        source_name: String,
        /// Block by position.
        block: u64,
        /// What was got and what was expected.
        what: String,
    },
}

impl ImportError {
    /// Whether the input is at fault (else the machine is).
    pub fn is_input(&self) -> bool {
        match self {
            Self::Loader(e) => e.is_input(),
            // What the system refuses is no input, though it be that something is not there.
            Self::Output(e) => matches!(e, manaflow_loader::Error::Malformed { .. }),
            Self::Record {
                error: RecordError::Source { refusal: Refusal::Unavailable { is_input, .. }, .. }, ..
            } => *is_input,
            Self::Decode { .. } | Self::Record { .. } | Self::Differs { .. } => true,
        }
    }
}

/// Rows done, for progress and as a summary.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Segments begun.
    pub segments: u64,
    /// Blocks, block 0 included.
    pub blocks: u64,
    /// Signed transactions.
    pub transactions: u64,
    /// Of these, transactions that could not be included.
    pub refused: u64,
    /// Moves.
    pub moves: u64,
    /// Gas used.
    pub gas: u64,
    /// Bytes of the chains' files: read so far, and in all; of snapshots nothing is counted.
    pub bytes_read: u64,
    /// See `bytes_read`.
    pub bytes_total: u64,
}

impl Counts {
    fn add(&mut self, record: &BlockRecord) {
        self.blocks += 1;
        let signed = &record.transactions[1..record.transactions.len() - 1];
        self.transactions += signed.len() as u64;
        self.refused += signed.iter().filter(|t| t.outcome.is_none()).count() as u64;
        self.moves += record.transactions.iter().map(|t| t.moves.len() as u64).sum::<u64>();
        self.gas += signed.iter().filter_map(|t| t.outcome.as_ref()).map(|o| o.gas_used).sum::<u64>();
    }
}

/// What an import did, and what its user should know.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Imported {
    /// Rows.
    pub counts: Counts,
    /// Sentences about what a source lacks.
    pub notes: Vec<String>,
}

/// How to import.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Who does the work.
    pub backends: Backends,
    /// Keep the keys of signers and R.y, which spare whoever validates most of the work on signatures.
    pub hints: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { backends: Backends::default(), hints: true }
    }
}

/// A state on disk for an import.
#[derive(Debug)]
pub struct Stored {
    /// Where it is kept.
    pub store: StateStore,
    /// What of it may be in memory.
    pub room: Room,
    /// The limit of files, as it was given.
    pub limit: String,
}

/// What of a series of files is there already.
#[derive(Debug)]
pub struct Files {
    /// The files, in order; whole, of one segment, one after the other.
    pub files: Vec<BlockFile>,
    /// What a segment after the last of them begins with.
    pub next: SegmentStart,
    /// Hash of the last header.
    pub tip: B256,
}

/// What earlier runs have left.
#[derive(Debug, Default)]
pub enum Kept {
    /// Nothing, or nothing that is of use.
    #[default]
    Nothing,
    /// The state of a chain of files, in a store; it may be empty still.
    Stored(Box<Stored>),
    /// Files of blocks of a node: their moves tell the state.
    Files(Box<Files>),
}

/// Where it goes.
struct Out<'a> {
    writer: &'a mut Series,
    counts: Counts,
    options: Options,
    /// Where the state of a chain is kept, if not in memory; what is there of a series of files.
    kept: Kept,
}

/// Imports all sources by the default backends, with hints. `progress` is told the counts now and then.
pub fn import(
    recognised: &Recognised,
    writer: &mut Series,
    progress: &mut dyn FnMut(&Counts),
) -> Result<Imported, ImportError> {
    import_by(recognised, writer, Options::default(), progress)
}

/// Imports all sources. `progress` is told the counts now and then.
pub fn import_by(
    recognised: &Recognised,
    writer: &mut Series,
    options: Options,
    progress: &mut dyn FnMut(&Counts),
) -> Result<Imported, ImportError> {
    import_on(recognised, writer, options, Kept::Nothing, progress)
}

/// Imports all sources, going on from what earlier runs have left. A store of a chain's state is brought forward with each
/// file that is whole, the last one included; files of a node's blocks tell the state by themselves. `progress` is told the counts now and then.
pub fn import_on(
    recognised: &Recognised,
    writer: &mut Series,
    options: Options,
    kept: Kept,
    progress: &mut dyn FnMut(&Counts),
) -> Result<Imported, ImportError> {
    let mut out = Out { writer, counts: Counts::default(), options, kept };
    let mut notes = Vec::new();
    for source in &recognised.sources {
        match source {
            Source::Chain(chain) => chain::import(chain, &mut out, progress)?,
            Source::Node(range) => node::import(range, &mut out, &mut notes, progress)?,
            Source::Snapshot(folder) => {
                let snapshot = folder.load()?;
                let guessed = snapshot.balance_unknown.len();
                if guessed > 0 {
                    let folder = snapshot.folder.display();
                    notes.push(format!(
                        "{folder}: balance and nonce of {guessed} accounts are not known; they are written as 0, as listed"
                    ));
                }
                snapshot::import(&snapshot, &recognised.rules, &mut out)?;
            }
        }
        progress(&out.counts);
    }
    Ok(Imported { counts: out.counts, notes })
}

fn push<S: State>(record: BlockRecord, importer: &mut Importer<S>, out: &mut Out<'_>) -> Result<(), ImportError> {
    out.counts.add(&record);
    for (hash, code) in importer.take_codes() {
        out.writer.code(hash, code.original_byte_slice()).map_err(ImportError::Output)?;
    }
    for (signer, key) in importer.take_keys() {
        out.writer.signer_key(signer, &key.0).map_err(ImportError::Output)?;
    }
    out.writer.push(&record).map_err(ImportError::Output)?;
    importer.state().at_border()?;
    if out.writer.is_full() {
        close(importer.state(), out)?;
    }
    Ok(())
}

/// Finishes the file that is being written; then, and not before, the state may last.
fn close<S: State>(state: &mut S, out: &mut Out<'_>) -> Result<(), ImportError> {
    if let (Some(piece), Some(next)) = (out.writer.close().map_err(ImportError::Output)?, out.writer.next()) {
        let tip = next.earlier.last().map_or(B256::ZERO, |earlier| keccak256(&earlier.header));
        state.keep(&piece, tip, next)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use manaflow_loader::Error;
    use std::io::ErrorKind::NotFound;

    #[test]
    fn a_folder_that_goes_away_is_no_fault_of_the_input() {
        let gone = || Error::io("out")(NotFound.into());
        assert!(ImportError::Loader(gone()).is_input() && !ImportError::Output(gone()).is_input());
        assert!(ImportError::Output(Error::malformed("out", "end", "two segments")).is_input());
    }
}

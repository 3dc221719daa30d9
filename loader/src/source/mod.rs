//! Foreign bytes in, raw blocks out: what a block file can be made from.
//!
//! Four kinds of source are recognised: *block snapshots* (folders with `block.json` and `pre_state.json`), *RLP
//! chains*, *era1 files* and *ere files* (with a genesis file). A source is refused when it is no block at all - RLP or JSON of
//! another shape, a file that ends early or contradicts itself - and never for what a block says: wrong roots, numbers,
//! links or signatures pass through and are found by validation. Transactions are cut out of their list, not decoded.
//! Memory: chains are streamed, one block at a time; snapshots are loaded one at a time; tables of codes are held
//! whole.

pub mod chain;
mod e2store;
pub mod era1;
pub mod ere;
pub mod fixture;
pub mod genesis;
pub mod moves;
pub mod node;
mod order;
mod recognise;
pub mod rlp_chain;
mod rpc;
pub mod snapshot;
mod split;

pub use chain::{Blocks, Chain};
pub use genesis::Genesis;
pub use recognise::{LeftOut, Options, Recognised, Source, recognise};
pub use snapshot::{Codes, Snapshot, SnapshotFolder};

use crate::error::{Error, Result};
use crate::model::BlockBody;
use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, U256};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::Path;

/// Greatest length of a block, or of an unpacked era1 or ere entry, in bytes; beyond, a file is refused.
///
/// Far above what any gas limit in use allows, and low enough that a wrong length cannot exhaust memory.
pub const BLOCK_BYTES_MAX: u64 = 1 << 28;

/// A block as a source has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceBlock {
    /// Number by position in the source: that of its locations. The header's own number may differ.
    pub number: u64,
    /// Header as stored, ommers, withdrawals.
    pub body: BlockBody,
    /// The header, decoded; apart, so that a block is cheap to hand on.
    pub header: Box<Header>,
    /// Keccak-256 of the header as stored.
    pub hash: B256,
    /// EIP-2718 bytes of the transactions in order; of a legacy transaction, its RLP list.
    pub transactions: Vec<Bytes>,
    /// Post-state roots in the receipts before Byzantium, one for each transaction; `None` where the source has none.
    pub witness_roots: Option<Vec<B256>>,
    /// Total difficulty after the block, as the source states it.
    pub total_difficulty: Option<U256>,
}

impl SourceBlock {
    /// A block from its RLP `[header, transactions, ommers, withdrawals?]`, which must be all of `bytes`; parts share
    /// the buffer.
    ///
    /// The number is the header's. Errors are sentences with the byte in the block.
    pub fn from_rlp(bytes: &Bytes) -> Result<Self, String> {
        split::block(bytes)
    }
}

/// An account as a source has it, before the first block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// Balance in wei.
    pub balance: U256,
    /// Nonce.
    pub nonce: u64,
    /// Keccak-256 of the code.
    pub code_hash: B256,
    /// Known slots. Of a snapshot those that are touched, zero or not; of a genesis allocation those that are not zero.
    pub storage: BTreeMap<U256, U256>,
}

/// Malformed JSON, with serde's line and column as the place.
fn json_error(path: &Path, error: &serde_json::Error) -> Error {
    let text = error.to_string();
    let place = format!("line {} column {}", error.line(), error.column());
    let reason = text.strip_suffix(&format!(" at {place}")).unwrap_or(&text).to_string();
    Error::malformed(path, place, reason)
}

/// Refuses what is no regular file: a device may never end, and a pipe may never begin.
fn demand_regular(path: &Path) -> Result<()> {
    match std::fs::metadata(path).map_err(Error::io(path))?.is_file() {
        true => Ok(()),
        false => Err(Error::malformed(path, "file", "is not a regular file")),
    }
}

/// All bytes of a regular file.
fn read_regular(path: &Path) -> Result<Vec<u8>> {
    demand_regular(path)?;
    std::fs::read(path).map_err(Error::io(path))
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = read_regular(path)?;
    serde_json::from_slice(&bytes).map_err(|e| json_error(path, &e))
}

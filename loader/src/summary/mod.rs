//! The summary (`.mans`): what segments require and leave, in place of their blocks.
//!
//! `loader/SUMMARY.md` is the normative text. A summary is small, in one canonical form, and holds all that a merge needs;
//! what it means is the engine's. Decoding takes memory in proportion to the bytes given, and refuses what is not exactly
//! what encoding gives.

mod check;
#[cfg(test)]
mod tests;
mod words;

pub use words::Maybe;

use crate::error::{Error, Result};
use crate::file::PROTOCOL_VERSION;
use crate::model::{Cell, Location, Value, Version};
use crate::rules::ChainRules;
use crate::whole::WholeFile;
use alloy_primitives::{B256, Bytes, U256};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

/// First bytes of a summary.
pub const MAGIC: [u8; 8] = *b"\x89MANS\r\n\x1a";
/// Version of the form.
pub const SUMMARY_VERSION: u32 = 2;
/// Headers kept of a segment's beginning, and of its end.
pub const HEADS: usize = 7;
/// Counts of what could not be checked.
pub const UNCHECKED: usize = 11;
/// Bytes before the content: magic, versions, length.
const PREFIX: usize = 24;
/// Bytes after it: the checksum.
const SUFFIX: usize = 8;

/// Why bytes are no summary.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct Refusal {
    /// Where.
    pub place: String,
    /// What was got and what was expected.
    pub reason: String,
}

impl Refusal {
    pub(crate) fn new(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { place: place.into(), reason: reason.into() }
    }
}

/// Segments of one chain, judged by one version of the protocol and of the EVM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Summary {
    /// Version of the program that wrote it.
    pub manaflow: String,
    /// Version of the EVM that judged.
    pub revm: String,
    /// Rules of the chain.
    pub rules: ChainRules,
    /// Of a checkpoint: what it belongs to.
    pub input: Option<B256>,
    /// Segments, ascending: whatever adjoins and is of one import is one segment.
    pub segments: Vec<Segment>,
}

/// What is known of consecutive blocks of one import.
#[derive(Clone, PartialEq, Eq, Debug, RlpEncodable, RlpDecodable)]
pub struct Segment {
    /// First block.
    pub first: u64,
    /// Block after the last.
    pub end: u64,
    /// Block from which its import counts generations; two imports that adjoin differ in it.
    pub origin: u64,
    /// Checks that ran over all blocks, a bit each.
    pub checks: u8,
    /// Checks that ran over some.
    pub some_checks: u8,
    /// Signed transactions.
    pub transactions: u64,
    /// Signatures, authorisations included.
    pub signatures: u64,
    /// Moves.
    pub moves: u64,
    /// Gas used, by the outcomes.
    pub gas: u64,
    /// Blocks at which a rule lacked its input for good, as [`UNCHECKED`] counts.
    pub unchecked: Vec<u64>,
    /// State roots recomputed inside, and how many of them equal the header's.
    pub state_roots: Vec<u64>,
    /// The state root after the last block: 0 nobody asks for it, 1 it is to be recomputed, 2 it is among `state_roots`.
    pub root_at_end: u8,
    /// The last block's closing.
    pub closing: Location,
    /// Sum of difficulties.
    pub difficulty: U256,
    /// Total difficulty after the last block, where it is known.
    pub total_after: Maybe<U256>,
    /// The first total difficulty that its source states inside.
    pub claim: Maybe<Claim>,
    /// Up to seven headers before the first block.
    pub earlier: Vec<Head>,
    /// Up to seven headers from the first block on.
    pub heads: Vec<Head>,
    /// Up to seven headers of the last blocks, without those in `heads`.
    pub tail: Vec<Head>,
    /// Blocks beyond `heads` that wait for a total difficulty.
    pub waiting: Vec<Waiting>,
    /// Faults of Solo and Block, but for the rules between headers of `heads`.
    pub faults: Vec<Fault>,
    /// Wrong demands.
    pub culprits: Vec<Culprit>,
    /// Open demands.
    pub requirements: Vec<Demand>,
    /// Last writes.
    pub exits: Vec<Exit>,
    /// Assumed cells.
    pub assumed: Vec<Assumed>,
    /// Hashes of the transactions that faults and demands name.
    pub hashes: Vec<TransactionHash>,
}

/// A header with its ommers.
#[derive(Clone, PartialEq, Eq, Debug, RlpEncodable, RlpDecodable)]
pub struct Head {
    /// RLP of the header.
    pub header: Bytes,
    /// What is known of the ommers: 0 nothing, 1 the RLP list of their headers, 2 their hashes.
    pub ommers_kind: u8,
    /// The list, or 32 bytes a hash.
    pub ommers: Bytes,
    /// Checks that ran over the block, a bit each; of an earlier header and in the tail 0.
    pub checks: u8,
    /// Total difficulty before the block, where it is known; of an earlier header and in the tail none.
    pub total_difficulty: Maybe<U256>,
}

/// What an import states of the chain before its blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, RlpEncodable, RlpDecodable)]
pub struct Claim {
    /// First block of those that it is about.
    pub first: u64,
    /// Hash of the block before.
    pub parent_hash: B256,
    /// Total difficulty before the first block.
    pub total_difficulty: U256,
    /// Sum of difficulties of the segment's blocks before it.
    pub difficulty_before: U256,
    /// Whether `blocks` was checked there.
    pub is_judged: bool,
}

/// Blocks of one difficulty whose rule of the merge lacks the total difficulty.
#[derive(Clone, Copy, PartialEq, Eq, Debug, RlpEncodable, RlpDecodable)]
pub struct Waiting {
    /// First block.
    pub first: u64,
    /// Blocks.
    pub count: u64,
    /// Difficulty of each.
    pub difficulty: U256,
    /// Sum of difficulties of the segment's blocks before the first.
    pub difficulty_before: U256,
    /// Whether the parent's proof of stake has already told what there is to tell.
    pub is_after_stake: bool,
}

/// A fault of Solo or Block.
#[derive(Clone, PartialEq, Eq, Debug, RlpEncodable, RlpDecodable)]
pub struct Fault {
    /// Transaction.
    pub location: Location,
    /// Check: its bit's number.
    pub check: u8,
    /// Name of the reason.
    pub reason: String,
    /// Place of the move.
    pub place: Maybe<u32>,
    /// Cell.
    pub cell: Maybe<Cell>,
    /// What was found.
    pub got: String,
    /// What should have been.
    pub expected: String,
}

/// A version and its value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, RlpEncodable, RlpDecodable)]
pub struct Live {
    /// Version.
    pub version: Version,
    /// Value.
    pub value: Value,
}

/// A distinct wrong demand.
#[derive(Clone, PartialEq, Eq, Debug, RlpEncodable, RlpDecodable)]
pub struct Culprit {
    /// Cell.
    pub cell: Cell,
    /// First use that makes the demand.
    pub location: Location,
    /// Name of the reason.
    pub reason: String,
    /// Span: 0 wrong by itself, 1 the entry, 2 after a write.
    pub window: u8,
    /// That write; else 0.
    pub after: Location,
    /// Whether the use is a write.
    pub write: bool,
    /// Version named.
    pub intx: Version,
    /// Value before.
    pub prev: Value,
    /// Version and value that were live, if known.
    pub expected: Maybe<Live>,
    /// Place of the move in its transaction.
    pub place: u32,
}

/// An open demand.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, RlpEncodable, RlpDecodable)]
pub struct Demand {
    /// Cell.
    pub cell: Cell,
    /// First use that makes it.
    pub first: Location,
    /// Whether it consumes the version.
    pub write: bool,
    /// Version named.
    pub intx: Version,
    /// Value before.
    pub prev: Value,
    /// Place of the move in its transaction.
    pub place: u32,
}

/// The last write of a cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, RlpEncodable, RlpDecodable)]
pub struct Exit {
    /// Cell.
    pub cell: Cell,
    /// Where it was written.
    pub version: Location,
    /// Value after.
    pub value: Value,
}

/// An assumed cell.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, RlpEncodable, RlpDecodable)]
pub struct Assumed {
    /// Cell, storage in generation 0.
    pub cell: Cell,
    /// The last use that assumes it.
    pub location: Location,
}

/// The hash of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, RlpEncodable, RlpDecodable)]
pub struct TransactionHash {
    /// Where it stands.
    pub location: Location,
    /// Keccak-256 of its bytes.
    pub hash: B256,
}

/// The content between prefix and checksum.
#[derive(RlpEncodable, RlpDecodable)]
struct Content {
    manaflow: String,
    revm: String,
    rules: Bytes,
    input: Maybe<B256>,
    segments: Vec<Segment>,
}

impl Summary {
    /// The bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        let content = Content {
            manaflow: self.manaflow.clone(),
            revm: self.revm.clone(),
            rules: self.rules.to_bytes().into(),
            input: Maybe(self.input),
            segments: self.segments.clone(),
        };
        let length = PREFIX + content.length() + SUFFIX;
        let mut out = Vec::with_capacity(length);
        out.extend(MAGIC);
        out.extend(SUMMARY_VERSION.to_le_bytes());
        out.extend(PROTOCOL_VERSION.to_le_bytes());
        out.extend((length as u64).to_le_bytes());
        content.encode(&mut out);
        out.extend(xxh3_64(&out).to_le_bytes());
        out
    }

    /// From the bytes of a file.
    pub fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        let content = check_frame(bytes)?;
        let mut rest = content;
        let decoded = Content::decode(&mut rest).map_err(|e| Refusal::new("content", e.to_string()))?;
        if !rest.is_empty() {
            return Err(Refusal::new("content", format!("{} bytes beyond its end", rest.len())));
        }
        let rules = ChainRules::from_bytes(&decoded.rules).map_err(|e| Refusal::new("rules", e))?;
        let Content { manaflow, revm, input, segments, .. } = decoded;
        let summary = Self { manaflow, revm, rules, input: input.0, segments };
        summary.check()?;
        if summary.encode() != bytes {
            return Err(Refusal::new("content", "not in canonical form"));
        }
        Ok(summary)
    }

    /// Reads a file.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let mut file = File::open(path).map_err(Error::io(path))?;
        // What is no summary may have no end.
        let mut bytes = Vec::new();
        (&mut file).take(PREFIX as u64).read_to_end(&mut bytes).map_err(Error::io(path))?;
        if bytes.starts_with(&MAGIC) {
            file.read_to_end(&mut bytes).map_err(Error::io(path))?;
        }
        Self::decode(&bytes).map_err(|e| Error::malformed(path, e.place, e.reason))
    }

    /// Writes a file, which appears under its name synced and whole, or not at all. A link is followed.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let path = &path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let mut file = WholeFile::create(path).map_err(Error::io(path))?;
        file.write_all(&self.encode()).and_then(|()| file.finish()).map_err(Error::io(path))
    }
}

/// Checks what is around the content, and returns it.
fn check_frame(bytes: &[u8]) -> Result<&[u8], Refusal> {
    let refuse = |place: &str, reason: String| Err(Refusal::new(place, reason));
    let u32_at = |at: usize| bytes.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    if bytes.get(..8).is_some_and(|magic| *magic != MAGIC) {
        return refuse("offset 0, magic", "not a summary of Manaflow".into());
    }
    if bytes.len() < PREFIX + SUFFIX {
        return refuse("file", format!("{} bytes, expected at least {}", bytes.len(), PREFIX + SUFFIX));
    }
    match u32_at(8) {
        Some(SUMMARY_VERSION) => {}
        got => return refuse("offset 8", format!("summary version {}, expected {SUMMARY_VERSION}", got.unwrap_or(0))),
    }
    match u32_at(12) {
        Some(PROTOCOL_VERSION) => {}
        got => {
            return refuse("offset 12", format!("protocol version {}, expected {PROTOCOL_VERSION}", got.unwrap_or(0)));
        }
    }
    let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default());
    if u64_at(16) != bytes.len() as u64 {
        return refuse("offset 16, length", format!("{}, but the file has {} bytes", u64_at(16), bytes.len()));
    }
    let end = bytes.len() - SUFFIX;
    let (got, expected) = (u64_at(end), xxh3_64(&bytes[..end]));
    if got != expected {
        return refuse("checksum", format!("{got:016x}, expected {expected:016x}: the file is damaged"));
    }
    Ok(&bytes[PREFIX..end])
}

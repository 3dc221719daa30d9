//! The final state digest: what a segment, and a file, leave behind, in 32 bytes.
//!
//! Keccak-256 over the Keccak-256 hashes of chunks of 64 known exits each, the last chunk shorter, ascending by cell (of none:
//! Keccak-256 of nothing); so that lanes and workers share the work. An exit has 142 bytes, integers big-endian:
//!
//! | bytes | field |
//! |---|---|
//! | 1 | mark: 0 `a`, 1 `s`, 2 `h` |
//! | 20 | address (`h`: zeros) |
//! | 4 | generation (`a`, `h`: zeros) |
//! | 32 | slot or block number (`a`: zeros) |
//! | 8 | version: block << 24 \| index |
//! | 77 | value |
//!
//! Value of `a`: present (1 byte, 0 or 1), nonce (8), generation (4), balance (32), code hash (32). Of `s` and `h`: 45 zeros,
//! then the word (32). A file's digest is Keccak-256 over (first block, last block, digest) of its segments, 8 + 8 + 32 bytes
//! each, in their order; generations count from the segment's origin.

use super::result::{Exit, SegmentResult};
use crate::keccak::keccak256_batch;
use alloy_primitives::{B256, Keccak256};
use manaflow_loader::model::{Cell, Location, Value};

/// Bytes of one exit in the digest.
pub const EXIT_BYTES: usize = 142;

impl SegmentResult {
    /// Keccak-256 over the known exits.
    pub fn digest(&self) -> B256 {
        let mut digest = ExitsDigest::default();
        self.exits.iter().filter(|e| self.is_known(e)).for_each(|e| digest.add(e));
        digest.finish()
    }
}

/// Exits whose encodings are one message.
const CHUNK: usize = 64;
/// Messages that are hashed together.
const BATCH: usize = 64;

/// The digest of exits that come one by one, ascending by cell.
#[derive(Debug, Default)]
pub struct ExitsDigest {
    hasher: Keccak256,
    bytes: Vec<u8>,
    count: u64,
}

impl ExitsDigest {
    /// Adds an exit above all before it.
    pub fn add(&mut self, exit: &Exit) {
        self.bytes.extend_from_slice(&encode(&exit.cell, exit.version, &exit.value));
        self.count += 1;
        if self.bytes.len() == CHUNK * BATCH * EXIT_BYTES {
            self.hash();
        }
    }

    /// Exits added.
    pub const fn count(&self) -> u64 {
        self.count
    }

    fn hash(&mut self) {
        let chunks: Vec<&[u8]> = self.bytes.chunks(CHUNK * EXIT_BYTES).collect();
        keccak256_batch(&chunks).iter().for_each(|hash| self.hasher.update(hash));
        self.bytes.clear();
    }

    /// The digest.
    pub fn finish(mut self) -> B256 {
        self.hash();
        self.hasher.finalize()
    }
}

/// Digest of a file from (first block, last block, digest) of each of its segments.
pub fn file_digest(segments: impl IntoIterator<Item = (u64, u64, B256)>) -> B256 {
    let mut hasher = Keccak256::new();
    for (first, last, digest) in segments {
        hasher.update(first.to_be_bytes());
        hasher.update(last.to_be_bytes());
        hasher.update(digest);
    }
    hasher.finalize()
}

/// A cell, a location and a value of the cell, in fixed width: how digests spell them.
pub(crate) fn encode(cell: &Cell, location: Location, value: &Value) -> [u8; EXIT_BYTES] {
    let mut out = [0; EXIT_BYTES];
    let mut rest = &mut out[..];
    let mut put = |bytes: &[u8]| {
        let (head, tail) = std::mem::take(&mut rest).split_at_mut(bytes.len());
        head.copy_from_slice(bytes);
        rest = tail;
    };
    put(&[cell.mark as u8]);
    put(cell.addr.as_slice());
    put(&cell.generation.to_be_bytes());
    put(&cell.slot.to_be_bytes::<32>());
    put(&location.bits().to_be_bytes());
    match value {
        Value::Account(a) => {
            put(&[u8::from(a.present)]);
            put(&a.nonce.to_be_bytes());
            put(&a.generation.to_be_bytes());
            put(&a.balance.to_be_bytes::<32>());
            put(a.code_hash.as_slice());
        }
        Value::Word(word) => {
            put(&[0; 45]);
            put(&word.to_be_bytes::<32>());
        }
    }
    debug_assert!(rest.is_empty(), "fields add up to EXIT_BYTES");
    out
}

//! The code table: blobs by hash, each analysed once, on first use, for all workers.

use crate::keccak::keccak256_batch;
use alloy_primitives::map::B256Map;
use alloy_primitives::{B256, Bytes, KECCAK256_EMPTY};
use revm::state::Bytecode;
use std::sync::OnceLock;

/// Code blobs of one block file.
#[derive(Debug, Default)]
pub struct CodeTable {
    entries: B256Map<(Bytes, OnceLock<Bytecode>)>,
}

impl CodeTable {
    /// From (hash, blob); that blobs hash to their keys is a check of its own ([`CodeTable::wrong_keys`]).
    pub fn new(blobs: impl IntoIterator<Item = (B256, Bytes)>) -> Self {
        Self { entries: blobs.into_iter().map(|(hash, blob)| (hash, (blob, OnceLock::new()))).collect() }
    }

    /// The code with that hash.
    pub fn get(&self, hash: &B256) -> Option<Bytecode> {
        if *hash == KECCAK256_EMPTY {
            return Some(Bytecode::default());
        }
        self.entries.get(hash).map(|(blob, code)| code.get_or_init(|| bytecode(blob.clone())).clone())
    }

    /// The code with that hash, if somebody has needed it before; [`CodeTable::get`] analyses what was not.
    pub fn get_analysed(&self, hash: &B256) -> Option<Bytecode> {
        if *hash == KECCAK256_EMPTY {
            return Some(Bytecode::default());
        }
        self.entries.get(hash)?.1.get().cloned()
    }

    /// Number of blobs.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keys that their blobs do not hash to, with what they hash to, in ascending order.
    pub fn wrong_keys(&self) -> Vec<(B256, B256)> {
        let entries: Vec<_> = self.entries.iter().collect();
        let blobs: Vec<&[u8]> = entries.iter().map(|(_, (blob, _))| blob.as_ref()).collect();
        let pairs = entries.iter().map(|(key, _)| **key).zip(keccak256_batch(&blobs));
        let mut wrong: Vec<_> = pairs.filter(|(key, hash)| key != hash).collect();
        wrong.sort_unstable();
        wrong
    }
}

/// Code as the EVM runs it. What only looks like a delegation (EIP-7702) is code like any other.
pub fn bytecode(blob: Bytes) -> Bytecode {
    Bytecode::new_raw_checked(blob.clone()).unwrap_or_else(|_| Bytecode::new_legacy(blob))
}

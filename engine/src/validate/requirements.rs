//! What a conditional verdict hangs on: the list, and the digest that stands for it in the report.

use crate::double_use::{Assumption, Demand, encode};
use alloy_primitives::{B256, Keccak256, U256, keccak256};
use manaflow_loader::model::{Location, Version};
use rayon::prelude::*;

/// What a segment takes for granted of the chain before it, besides cells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WindowRequirement {
    /// First block judged.
    pub first: u64,
    /// Block from which generations count.
    pub origin: u64,
    /// Hash of the block before.
    pub parent_hash: B256,
    /// Total difficulty before the first block, where the file states it.
    pub total_difficulty: Option<U256>,
}

/// Demands whose encodings are hashed together; the digest is over these hashes, so that all workers share the work.
const CHUNK: usize = 4096;

/// Keccak-256 over all requirements in fixed width (PROTOCOL.md section 8); `None` if there are none.
pub(super) fn digest(
    windows: &[WindowRequirement],
    demands: &[Demand],
    assumed: &[(Assumption, Location)],
) -> Option<B256> {
    if windows.is_empty() && demands.is_empty() && assumed.is_empty() {
        return None;
    }
    let mut hasher = Keccak256::new();
    for window in windows {
        hasher.update(window.first.to_be_bytes());
        hasher.update(window.origin.to_be_bytes());
        hasher.update(window.parent_hash);
        hasher.update([u8::from(window.total_difficulty.is_some())]);
        hasher.update(window.total_difficulty.unwrap_or_default().to_be_bytes::<32>());
    }
    let mut chunks = vec![hasher.finalize()];
    chunks.par_extend(demands.par_chunks(CHUNK).map(|chunk| {
        let mut hasher = Keccak256::new();
        for demand in chunk {
            hasher.update(encode(&demand.cell, demand.first, &demand.prev));
            let (kind, number) = match demand.intx {
                Version::Virgin => (0_u8, 0),
                Version::Assumed => (1, 0),
                Version::Base(first) => (2, first),
                Version::At(location) => (3, location.bits()),
            };
            hasher.update([u8::from(demand.write), kind]);
            hasher.update(number.to_be_bytes());
            hasher.update(demand.origin.to_be_bytes());
        }
        hasher.finalize()
    }));
    let mut hasher = Keccak256::new();
    for (assumption, first) in assumed {
        hasher.update(encode(&assumption.cell, *first, &assumption.cell.default_value()));
        hasher.update(assumption.origin.to_be_bytes());
    }
    chunks.push(hasher.finalize());
    Some(keccak256(chunks.iter().flat_map(|d| d.0).collect::<Vec<u8>>()))
}

//! What a conditional verdict hangs on: the list, and the digest that stands for it in the report.

use crate::double_use::{Assumption, Demand, EXIT_BYTES, encode};
use crate::keccak::keccak256_batch;
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

/// Demands whose encodings are one message; the digest is over the hashes of these, so that lanes and workers share the work.
const CHUNK: usize = 64;
/// Messages encoded before they are hashed together.
const BATCH: usize = 16;

/// Hashes of the demands of one piece, chunk by chunk.
pub(crate) fn chunks(demands: &[Demand]) -> Vec<B256> {
    let batches = demands.par_chunks(CHUNK * BATCH).map(|batch| {
        let mut bytes = Vec::with_capacity(batch.len() * DEMAND_BYTES);
        batch.iter().for_each(|demand| encode_demand(demand, &mut bytes));
        keccak256_batch(&bytes.chunks(CHUNK * DEMAND_BYTES).collect::<Vec<_>>())
    });
    batches.flatten().collect()
}

/// Keccak-256 over all requirements in fixed width (PROTOCOL.md section 8); `None` if there are none.
pub(crate) fn digest(
    windows: &[WindowRequirement],
    chunks: impl Iterator<Item = B256>,
    assumed: &[(Assumption, Location)],
) -> Option<B256> {
    let mut hasher = Keccak256::new();
    for window in windows {
        hasher.update(window.first.to_be_bytes());
        hasher.update(window.origin.to_be_bytes());
        hasher.update(window.parent_hash);
        hasher.update([u8::from(window.total_difficulty.is_some())]);
        hasher.update(window.total_difficulty.unwrap_or_default().to_be_bytes::<32>());
    }
    let mut all = vec![hasher.finalize()];
    all.extend(chunks);
    if windows.is_empty() && all.len() == 1 && assumed.is_empty() {
        return None;
    }
    let mut hasher = Keccak256::new();
    for (assumption, first) in assumed {
        hasher.update(encode(&assumption.cell, *first, &assumption.cell.default_value()));
        hasher.update(assumption.origin.to_be_bytes());
    }
    all.push(hasher.finalize());
    Some(keccak256(all.concat()))
}

/// Bytes of a demand in the digest.
const DEMAND_BYTES: usize = EXIT_BYTES + 2 + 8 + 8;

fn encode_demand(demand: &Demand, out: &mut Vec<u8>) {
    out.extend_from_slice(&encode(&demand.cell, demand.first, &demand.prev));
    let (kind, number) = match demand.intx {
        Version::Virgin => (0_u8, 0),
        Version::Assumed => (1, 0),
        Version::Base(first) => (2, first),
        Version::At(location) => (3, location.bits()),
    };
    out.extend_from_slice(&[u8::from(demand.write), kind]);
    out.extend_from_slice(&number.to_be_bytes());
    out.extend_from_slice(&demand.origin.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::{Assumption, CHUNK, Demand, WindowRequirement, chunks};
    use alloy_primitives::{Address, B256, U256};
    use manaflow_loader::model::{Cell, Location, Value, Version};

    fn digest(windows: &[WindowRequirement], demands: &[Demand], assumed: &[(Assumption, Location)]) -> Option<B256> {
        super::digest(windows, chunks(demands).into_iter(), assumed)
    }

    fn at(block: u64) -> Location {
        Location::new(block, 1).expect("in bounds")
    }

    #[test]
    fn every_condition_is_in_the_digest() {
        let window = WindowRequirement { first: 9, origin: 8, parent_hash: B256::ZERO, total_difficulty: None };
        let demand = Demand {
            cell: Cell::storage(Address::ZERO, 1, U256::from(2)),
            first: at(9),
            write: false,
            intx: Version::Base(9),
            prev: Value::Word(U256::from(3)),
            origin: 9,
            counts_from: 9,
            place: 0,
        };
        let assumed = (Assumption { cell: Cell::account(Address::ZERO), origin: 9, declared: true }, at(9));
        assert_eq!(digest(&[], &[], &[]), None);
        let mut seen = vec![digest(&[window], &[demand], &[assumed])];
        for other in [
            WindowRequirement { first: 10, ..window },
            WindowRequirement { origin: 9, ..window },
            WindowRequirement { parent_hash: B256::repeat_byte(1), ..window },
            WindowRequirement { total_difficulty: Some(U256::ZERO), ..window },
            WindowRequirement { total_difficulty: Some(U256::from(1)), ..window },
        ] {
            seen.push(digest(&[other], &[demand], &[assumed]));
        }
        for other in [
            Demand { cell: Cell::storage(Address::ZERO, 1, U256::from(3)), ..demand },
            Demand { first: at(10), ..demand },
            Demand { write: true, ..demand },
            Demand { intx: Version::Base(8), ..demand },
            Demand { intx: Version::Virgin, ..demand },
            Demand { intx: Version::At(at(7)), ..demand },
            Demand { prev: Value::Word(U256::from(4)), ..demand },
            Demand { origin: 8, ..demand },
        ] {
            seen.push(digest(&[window], &[other], &[assumed]));
        }
        for other in [
            (Assumption { origin: 8, ..assumed.0 }, assumed.1),
            (Assumption { cell: Cell::account(Address::repeat_byte(1)), ..assumed.0 }, assumed.1),
            (assumed.0, at(10)),
        ] {
            seen.push(digest(&[window], &[demand], &[other]));
        }
        seen.extend([digest(&[], &[demand], &[assumed]), digest(&[window], &[], &[assumed])]);
        seen.push(digest(&[window], &[demand], &[]));
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count, "two of the lists have one digest");
        // The last of a first chunk and the first of a second one count alike.
        let many = vec![demand; CHUNK + 1];
        for place in [CHUNK - 1, CHUNK] {
            let mut other = many.clone();
            other[place].write = true;
            assert_ne!(digest(&[], &other, &[]), digest(&[], &many, &[]));
        }
    }
}

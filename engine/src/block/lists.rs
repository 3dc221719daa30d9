//! Roots and blooms of the lists of many blocks: transactions, withdrawals, receipts.
//!
//! In: bodies with their outcomes. Out: what the header of each should state. All lists are hashed together, and each input of a
//! logs bloom once, so that the lanes of Keccak-256 are full. Receipts carry the type of their transaction's first byte.
//! Source: Yellow Paper section 4.3; EIP-2718 (typed receipts), EIP-658, EIP-4895.

use super::BlockTransaction;
use super::ordered_root::ordered_roots;
use crate::cpu::carry;
use crate::keccak::keccak256_batch;
use alloy_consensus::{Eip658Value, Receipt, RlpEncodableReceipt};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::map::{AddressMap, B256Map};
use alloy_primitives::{B256, Bloom, Log};
use manaflow_loader::model::{Outcome, Status};
use rayon::prelude::*;

/// Lists of a block.
#[derive(Clone, Copy, Debug)]
pub struct Body<'a> {
    /// Transactions in order, without the two system transactions.
    pub transactions: &'a [BlockTransaction<'a>],
    /// Withdrawals; `None` if the body has no list of them.
    pub withdrawals: Option<&'a [Withdrawal]>,
}

/// What a header should state of its block's lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Roots {
    /// Of the transactions.
    pub transactions: B256,
    /// Of the withdrawals; `None` if there is no list of them.
    pub withdrawals: Option<B256>,
    /// Of the receipts.
    pub receipts: ReceiptsRoot,
    /// Logs bloom; `None` if a transaction has no outcome.
    pub bloom: Option<Bloom>,
}

/// A receipts root, as far as it can be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReceiptsRoot {
    /// A transaction has no outcome.
    NoOutcome,
    /// A receipt has no status: before Byzantium, where it has a state root that nobody keeps.
    NoStatus,
    /// The root.
    Root(B256),
}

/// Roots and blooms of all blocks, on the current rayon pool.
pub fn roots_of(blocks: &[Body<'_>]) -> Vec<Roots> {
    let outcomes: Vec<Option<Vec<&Outcome>>> =
        blocks.iter().map(|block| block.transactions.iter().map(|transaction| transaction.outcome).collect()).collect();
    let bits = BloomBits::of(outcomes.iter().flatten().flatten().flat_map(|outcome| &outcome.logs));
    let stage = carry();
    let encode = |(block, outcomes): (&Body<'_>, &Option<Vec<&Outcome>>)| {
        stage.within(|| {
            let withdrawals = block.withdrawals.map(|list| list.iter().map(alloy_rlp::encode).collect::<Vec<_>>());
            let receipts = outcomes.as_ref().map(|outcomes| receipts(block.transactions, outcomes, &bits));
            (withdrawals.unwrap_or_default(), receipts)
        })
    };
    let encoded: Vec<_> = blocks.par_iter().zip(&outcomes).map(encode).collect();
    let mut lists: Vec<Vec<&[u8]>> = Vec::with_capacity(3 * blocks.len());
    for (block, (withdrawals, receipts)) in blocks.iter().zip(&encoded) {
        lists.push(block.transactions.iter().map(|transaction| transaction.bytes).collect());
        lists.push(withdrawals.iter().map(Vec::as_slice).collect());
        lists.push(receipts.iter().flat_map(|(_, receipts)| receipts).flatten().map(Vec::as_slice).collect());
    }
    let roots = ordered_roots(&lists);
    let (roots, _) = roots.as_chunks::<3>();
    let of_block = |((block, (_, receipts)), roots): ((&Body<'_>, &Encoded), &[B256; 3])| Roots {
        transactions: roots[0],
        withdrawals: block.withdrawals.map(|_| roots[1]),
        receipts: match receipts {
            None => ReceiptsRoot::NoOutcome,
            Some((_, None)) => ReceiptsRoot::NoStatus,
            Some((_, Some(_))) => ReceiptsRoot::Root(roots[2]),
        },
        bloom: receipts.as_ref().map(|(bloom, _)| *bloom),
    };
    blocks.iter().zip(&encoded).zip(roots).map(of_block).collect()
}

/// Withdrawals, and of outcomes the bloom and, if all have a status, the receipts in EIP-2718 form.
type Encoded = (Vec<Vec<u8>>, Option<(Bloom, Option<Vec<Vec<u8>>>)>);

fn receipts(
    transactions: &[BlockTransaction<'_>],
    outcomes: &[&Outcome],
    bits: &BloomBits,
) -> (Bloom, Option<Vec<Vec<u8>>>) {
    let blooms: Vec<Bloom> = outcomes.iter().map(|outcome| bits.bloom(&outcome.logs)).collect();
    let bloom = blooms.iter().fold(Bloom::ZERO, |sum, bloom| sum | *bloom);
    if outcomes.iter().any(|outcome| outcome.status == Status::Root(None)) {
        return (bloom, None);
    }
    let mut cumulative_gas_used = 0u64;
    let receipts = (transactions.iter().zip(outcomes).zip(&blooms))
        .map(|((transaction, outcome), bloom)| {
            cumulative_gas_used = cumulative_gas_used.saturating_add(outcome.gas_used);
            encode_receipt(transaction.kind(), outcome, cumulative_gas_used, bloom)
        })
        .collect();
    (bloom, Some(receipts))
}

/// Bits of a logs bloom by input. Logs name the same contracts and events again and again.
#[derive(Default)]
struct BloomBits {
    addresses: AddressMap<Bloom3>,
    topics: B256Map<Bloom3>,
}

/// The three bits that one input sets, as positions from the bloom's end.
type Bloom3 = [u16; 3];

impl BloomBits {
    /// Of all that some logs name.
    fn of<'a>(logs: impl Iterator<Item = &'a Log>) -> Self {
        let mut bits = Self::default();
        let mut inputs: Vec<&[u8]> = Vec::new();
        for log in logs {
            bits.addresses.entry(log.address).or_insert_with(|| {
                inputs.push(log.address.as_slice());
                Bloom3::default()
            });
            for topic in log.data.topics() {
                bits.topics.entry(*topic).or_insert_with(|| {
                    inputs.push(topic.as_slice());
                    Bloom3::default()
                });
            }
        }
        for (input, hash) in inputs.iter().zip(keccak256_batch(&inputs)) {
            // Yellow Paper section 4.3.1, M3:2048: the low eleven bits of the first three pairs of bytes of the hash.
            let own = std::array::from_fn(|i| u16::from_be_bytes([hash[2 * i], hash[2 * i + 1]]) & 0x7ff);
            match input.len() {
                20 => bits.addresses.extend([(alloy_primitives::Address::from_slice(input), own)]),
                _ => bits.topics.extend([(B256::from_slice(input), own)]),
            }
        }
        bits
    }

    /// The bloom of some of these logs.
    fn bloom(&self, logs: &[Log]) -> Bloom {
        let mut bloom = Bloom::ZERO;
        for log in logs {
            set(&mut bloom, &self.addresses[&log.address]);
            log.data.topics().iter().for_each(|topic| set(&mut bloom, &self.topics[topic]));
        }
        bloom
    }
}

fn set(bloom: &mut Bloom, bits: &Bloom3) {
    for &bit in bits {
        bloom[255 - usize::from(bit / 8)] |= 1 << (bit % 8);
    }
}

/// A receipt in EIP-2718 form.
fn encode_receipt(kind: u8, outcome: &Outcome, cumulative_gas_used: u64, bloom: &Bloom) -> Vec<u8> {
    let status = match outcome.status {
        Status::Success => Eip658Value::Eip658(true),
        Status::Failure => Eip658Value::Eip658(false),
        Status::Root(root) => Eip658Value::PostState(root.unwrap_or_default()),
    };
    let receipt = Receipt { status, cumulative_gas_used, logs: outcome.logs.iter().collect::<Vec<_>>() };
    let mut bytes = Vec::with_capacity(receipt.rlp_encoded_length_with_bloom(bloom) + 1);
    if kind != 0 {
        bytes.push(kind);
    }
    receipt.rlp_encode_with_bloom(bloom, &mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, Bytes, keccak256, logs_bloom};

    #[test]
    fn blooms_by_bits_are_those_of_the_library() {
        let topic = |i: u64| keccak256(i.to_be_bytes());
        let log = |i: u64| {
            let topics = (0..i % 5).map(|j| topic(i * j % 7)).collect();
            Log::new_unchecked(Address::from_word(topic(i % 3)), topics, Bytes::new())
        };
        let logs: Vec<Log> = (0..40).map(log).collect();
        let bits = BloomBits::of(logs.iter());
        for part in logs.chunks(6) {
            assert_eq!(bits.bloom(part), logs_bloom(part));
        }
        assert_eq!(bits.bloom(&[]), Bloom::ZERO);
    }
}

//! Roots and hashes of a header, recomputed from body, outcomes and allocation.
//!
//! Optional fields are compared as options, so that the check stands alone: a root that is missing, or there too early,
//! is reported here too, beside the rule of presence. Receipts carry the type of their transaction's first byte.
//! Source: Yellow Paper section 4.3; EIP-2718 (typed receipts), EIP-658, EIP-4895, EIP-7685; tries of state: alloy-trie.

use super::ordered_root::ordered_roots;
use super::{BlockInput, Ommers, Sink, Unchecked, fork_of, or_none, requests};
use crate::reason::{Check, Fault, Reason};
use alloy_consensus::constants::EMPTY_OMMER_ROOT_HASH;
use alloy_consensus::{Eip658Value, Receipt, RlpEncodableReceipt, proofs::calculate_ommers_root};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::map::{AddressMap, B256Map};
use alloy_primitives::{Address, B256, Bloom, Log, U256, keccak256};
use alloy_trie::{
    EMPTY_ROOT_HASH, TrieAccount,
    root::{state_root_unhashed, storage_root_unsorted},
};
use manaflow_loader::{
    model::{AccountValue, Cell, Mark, Outcome, Status, Value},
    rules::{ChainRules, Fork},
};
use std::collections::BTreeMap;

/// Judges the roots and hashes of a header and the hash that the closing writes (check `hashes`).
///
/// # Panics
/// If the block's locations are out of bounds: number not below 2^40, or 2^24 - 2 transactions or more.
pub fn check_hashes(input: &BlockInput<'_>, rules: &ChainRules, faults: &mut Vec<Fault>) -> Unchecked {
    let mut unchecked = Unchecked::default();
    let mut sink = Sink { check: Check::Hashes, faults };
    hash_write(input, &mut sink);
    let is_genesis = input.head.number == 0;
    if is_genesis {
        unchecked.allocation_roots = u64::from(!genesis(input, rules, &mut sink));
    }
    let (header, fork, opening) = (input.head.header, fork_of(input.head.header, rules), input.at(0));

    let receipts = receipts(input, fork, &mut sink, &mut unchecked);
    let withdrawals = input.withdrawals.map(|list| list.iter().map(alloy_rlp::encode).collect::<Vec<_>>());
    // One trie a list, all three hashed together.
    let roots = ordered_roots(&[
        input.transactions.iter().map(|transaction| transaction.bytes).collect(),
        withdrawals.iter().flatten().map(Vec::as_slice).collect(),
        receipts.iter().flatten().map(Vec::as_slice).collect(),
    ]);
    if header.transactions_root != roots[0] {
        sink.push(opening, Reason::WrongTransactionsRoot, header.transactions_root, roots[0]);
    }
    match input.head.ommers {
        Ommers::Known(ommers) => {
            let hash = calculate_ommers_root(ommers);
            if header.ommers_hash != hash {
                sink.push(opening, Reason::WrongOmmersHash, header.ommers_hash, hash);
            }
        }
        // The hash of no ommers is known: a header that has it has none, whatever the input says.
        Ommers::HashesOnly(hashes) if header.ommers_hash == EMPTY_OMMER_ROOT_HASH => {
            let got = format!("the hash of no ommers, with {} ommers", hashes.len());
            sink.push(opening, Reason::WrongOmmersHash, got, "another hash");
        }
        Ommers::HashesOnly(_) => unchecked.ommers_hashes = 1,
    }
    let root = withdrawals.map(|_| roots[1]);
    if header.withdrawals_root != root {
        sink.push(opening, Reason::WrongWithdrawalsRoot, or_none(header.withdrawals_root), or_none(root));
    }
    if receipts.is_some() && header.receipts_root != roots[2] {
        sink.push(opening, Reason::WrongReceiptsRoot, header.receipts_root, roots[2]);
    }
    if is_genesis {
        // Nobody but the header says whether block 0 has requests: chains of before the merge may begin with Prague's header.
        let hash = header.requests_hash.filter(|hash| *hash != EMPTY_REQUESTS_HASH);
        hash.into_iter().for_each(|hash| sink.push(opening, Reason::WrongRequestsHash, hash, EMPTY_REQUESTS_HASH));
    } else if fork >= Fork::Prague {
        match requests::hash(input, rules.deposit_contract) {
            Ok(None) => unchecked.requests_hashes = 1,
            Ok(Some(hash)) if header.requests_hash == Some(hash) => {}
            Ok(Some(hash)) => sink.push(opening, Reason::WrongRequestsHash, or_none(header.requests_hash), hash),
            Err(fault) => sink.push(opening, Reason::WrongRequestsHash, or_none(header.requests_hash), fault),
        }
    } else if let Some(hash) = header.requests_hash {
        sink.push(opening, Reason::WrongRequestsHash, hash, "none");
    }
    unchecked
}

/// The closing writes the header's hash.
fn hash_write(input: &BlockInput<'_>, sink: &mut Sink<'_>) {
    let Some(got) = input.hash_write.map(|word| B256::from(word.to_be_bytes())) else { return };
    if got != input.head.hash {
        let mut fault = Fault::new(input.closing(), sink.check, Reason::WrongHashWrite, got, input.head.hash);
        fault.cell = Some(Cell::block_hash(input.head.number));
        sink.faults.push(fault);
    }
}

/// Block 0 is the one that the rules name, and its state root that of the allocation; false if there is no allocation.
fn genesis(input: &BlockInput<'_>, rules: &ChainRules, sink: &mut Sink<'_>) -> bool {
    let (opening, header) = (input.at(0), input.head.header);
    if let Some(expected) = rules.genesis
        && expected != input.head.hash
    {
        sink.push(opening, Reason::WrongGenesisHash, input.head.hash, expected);
    }
    let Some(allocation) = input.allocation else { return false };
    match allocation_root(allocation) {
        Ok(root) if root == header.state_root => {}
        Ok(root) => sink.push(opening, Reason::WrongStateRoot, header.state_root, root),
        Err(cell) => {
            sink.push(
                opening,
                Reason::WrongStateRoot,
                header.state_root,
                format_args!("no root: {cell} has no account"),
            );
        }
    }
    true
}

/// State root of an allocation: cells with their values, in any order; `h` cells have no part in it.
///
/// # Errors
/// A storage cell with a value though its account is absent: such a state has no root.
pub fn allocation_root(allocation: &[(Cell, Value)]) -> Result<B256, Cell> {
    let mut accounts = BTreeMap::<Address, (AccountValue, Vec<(B256, U256)>)>::new();
    for (cell, value) in allocation {
        if let (Mark::Account, Value::Account(account)) = (cell.mark, value)
            && account.present
        {
            accounts.insert(cell.addr, (*account, Vec::new()));
        }
    }
    // By cell, so that a slot given twice counts once; the moves' order is Solo's to judge.
    let words: BTreeMap<&Cell, U256> = allocation
        .iter()
        .filter_map(|(cell, value)| match (cell.mark, value) {
            (Mark::Storage, Value::Word(word)) if !word.is_zero() => Some((cell, *word)),
            _ => None,
        })
        .collect();
    for (cell, word) in words {
        let Some((account, storage)) = accounts.get_mut(&cell.addr) else { return Err(*cell) };
        if cell.generation != account.generation {
            return Err(*cell);
        }
        storage.push((keccak256(cell.slot.to_be_bytes::<32>()), word));
    }
    Ok(state_root_unhashed(accounts.into_iter().map(|(addr, (account, storage))| {
        let storage_root = if storage.is_empty() { EMPTY_ROOT_HASH } else { storage_root_unsorted(storage) };
        let AccountValue { nonce, balance, code_hash, .. } = account;
        (addr, TrieAccount { nonce, balance, storage_root, code_hash })
    })))
}

/// Judges the logs bloom. Gives the receipts in EIP-2718 form, if their root can be told.
fn receipts(
    input: &BlockInput<'_>,
    fork: Fork,
    sink: &mut Sink<'_>,
    unchecked: &mut Unchecked,
) -> Option<Vec<Vec<u8>>> {
    let (header, opening) = (input.head.header, input.at(0));
    let outcomes: Option<Vec<&Outcome>> = input.transactions.iter().map(|transaction| transaction.outcome).collect();
    let Some(outcomes) = outcomes else {
        unchecked.receipts_roots = 1;
        unchecked.logs_blooms = 1;
        return None;
    };
    let mut bits = BloomBits::default();
    let blooms: Vec<Bloom> = outcomes.iter().map(|outcome| bits.of_logs(&outcome.logs)).collect();
    let bloom = blooms.iter().fold(Bloom::ZERO, |sum, bloom| sum | *bloom);
    if header.logs_bloom != bloom {
        sink.push(opening, Reason::WrongLogsBloom, header.logs_bloom, bloom);
    }

    if outcomes.iter().any(|outcome| outcome.status == Status::Root(None)) {
        if fork >= Fork::Byzantium {
            sink.push(opening, Reason::WrongReceiptsRoot, header.receipts_root, "no root: a receipt has no status");
        } else {
            unchecked.receipts_roots = 1;
        }
        return None;
    }
    let mut cumulative_gas_used = 0u64;
    let receipts = (input.transactions.iter().zip(outcomes).zip(&blooms))
        .map(|((transaction, outcome), bloom)| {
            cumulative_gas_used = cumulative_gas_used.saturating_add(outcome.gas_used);
            encode_receipt(transaction.kind(), outcome, cumulative_gas_used, bloom)
        })
        .collect();
    Some(receipts)
}

/// Bits of a logs bloom by input. A block's logs name the same contracts and events again and again.
#[derive(Default)]
struct BloomBits {
    addresses: AddressMap<Bloom3>,
    topics: B256Map<Bloom3>,
}

/// The three bits that one input sets, as positions from the bloom's end.
type Bloom3 = [u16; 3];

impl BloomBits {
    fn of_logs(&mut self, logs: &[Log]) -> Bloom {
        let mut bloom = Bloom::ZERO;
        for log in logs {
            let address = self.addresses.entry(log.address).or_insert_with(|| bloom_bits(log.address.as_slice()));
            set(&mut bloom, address);
            for topic in log.data.topics() {
                set(&mut bloom, self.topics.entry(*topic).or_insert_with(|| bloom_bits(topic.as_slice())));
            }
        }
        bloom
    }
}

/// Yellow Paper section 4.3.1, M3:2048: the low eleven bits of the first three pairs of bytes of the hash.
fn bloom_bits(input: &[u8]) -> Bloom3 {
    let hash = keccak256(input);
    std::array::from_fn(|i| u16::from_be_bytes([hash[2 * i], hash[2 * i + 1]]) & 0x7ff)
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
    use alloy_primitives::{Bytes, logs_bloom};

    #[test]
    fn blooms_by_remembered_bits_are_those_of_the_library() {
        let topic = |i: u64| keccak256(i.to_be_bytes());
        let log = |i: u64| {
            let topics = (0..i % 5).map(|j| topic(i * j % 7)).collect();
            Log::new_unchecked(Address::from_word(topic(i % 3)), topics, Bytes::new())
        };
        let logs: Vec<Log> = (0..40).map(log).collect();
        let mut bits = BloomBits::default();
        for part in logs.chunks(6) {
            assert_eq!(bits.of_logs(part), logs_bloom(part));
        }
        assert_eq!(bits.of_logs(&[]), Bloom::ZERO);
    }
}

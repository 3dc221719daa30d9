//! Roots and hashes of a header, held against those of body, outcomes (`lists`) and allocation.
//!
//! Optional fields are compared as options, so that the check stands alone: a root that is missing, or there too early,
//! is reported here too, beside the rule of presence.
//! Source: Yellow Paper section 4.3; EIP-658, EIP-4895, EIP-7685; tries of state: alloy-trie.

use super::lists::{ReceiptsRoot, Roots};
use super::{BlockInput, Ommers, Sink, Unchecked, fork_of, or_none, requests};
use crate::reason::{Check, Fault, Reason};
use alloy_consensus::constants::EMPTY_OMMER_ROOT_HASH;
use alloy_consensus::proofs::calculate_ommers_root;
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_trie::{
    EMPTY_ROOT_HASH, TrieAccount,
    root::{state_root_unhashed, storage_root_unsorted},
};
use manaflow_loader::{
    model::{AccountValue, Cell, Mark, Value},
    rules::{ChainRules, Fork},
};
use std::collections::BTreeMap;

/// Judges the roots and hashes of a header and the hash that the closing writes (check `hashes`), given the roots of its lists.
///
/// # Panics
/// If the block's locations are out of bounds: number not below 2^40, or 2^24 - 2 transactions or more.
pub fn check_hashes(input: &BlockInput<'_>, roots: &Roots, rules: &ChainRules, faults: &mut Vec<Fault>) -> Unchecked {
    let mut unchecked = Unchecked::default();
    let mut sink = Sink { check: Check::Hashes, faults };
    hash_write(input, &mut sink);
    let is_genesis = input.head.number == 0;
    if is_genesis {
        unchecked.allocation_roots = u64::from(!genesis(input, rules, &mut sink));
    }
    let (header, fork, opening) = (input.head.header, fork_of(input.head.header, rules), input.at(0));

    match roots.bloom {
        None => unchecked.logs_blooms = 1,
        Some(bloom) if header.logs_bloom != bloom => {
            sink.push(opening, Reason::WrongLogsBloom, header.logs_bloom, bloom);
        }
        Some(_) => {}
    }
    if header.transactions_root != roots.transactions {
        sink.push(opening, Reason::WrongTransactionsRoot, header.transactions_root, roots.transactions);
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
    if header.withdrawals_root != roots.withdrawals {
        let (got, expected) = (or_none(header.withdrawals_root), or_none(roots.withdrawals));
        sink.push(opening, Reason::WrongWithdrawalsRoot, got, expected);
    }
    match roots.receipts {
        ReceiptsRoot::Root(root) if header.receipts_root != root => {
            sink.push(opening, Reason::WrongReceiptsRoot, header.receipts_root, root);
        }
        ReceiptsRoot::Root(_) => {}
        ReceiptsRoot::NoStatus if fork >= Fork::Byzantium => {
            sink.push(opening, Reason::WrongReceiptsRoot, header.receipts_root, "no root: a receipt has no status");
        }
        ReceiptsRoot::NoStatus | ReceiptsRoot::NoOutcome => unchecked.receipts_roots = 1,
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

//! Rules that hold a body and its outcomes against the header, without hashing and without earlier headers.
//!
//! Solo sees one transaction; what only the sum shows is here: gas left in the block, blobs, size, deposits among all
//! logs.
//! Source: execution-specs `check_transaction` and `apply_body`; EIP-658, 4844, 4895, 6110, 7685, 7934.

use super::{BlockInput, Ommers, Sink, Unchecked, fork_of, requests};
use crate::reason::{Check, Fault, Reason};
use alloy_eips::eip4844::DATA_GAS_PER_BLOB;
use alloy_primitives::hex;
use alloy_rlp::{Encodable, length_of_length};
use manaflow_loader::{
    model::Status,
    rules::{ChainRules, Fork},
};

/// Most bytes of a block's RLP from Osaka on (EIP-7934: 10 MiB less a margin of 2 MiB).
const MAX_BLOCK_BYTES: usize = 8 << 20;

/// Judges a body and its outcomes against the header (check `blocks`).
///
/// # Panics
/// If the block's locations are out of bounds: number not below 2^40, or 2^24 - 2 transactions or more.
pub fn check_body(input: &BlockInput<'_>, rules: &ChainRules, faults: &mut Vec<Fault>) -> Unchecked {
    let mut unchecked = Unchecked::default();
    let mut sink = Sink { check: Check::Blocks, faults };
    if input.head.number == 0 {
        genesis(input, &mut sink);
        return unchecked;
    }
    let fork = fork_of(input.head.header, rules);
    let opening = input.at(0);
    if input.withdrawals.is_some() != (fork >= Fork::Shanghai) {
        let got = super::or_none(input.withdrawals.map(|list| format!("a list of {}", list.len())));
        let expected = if fork >= Fork::Shanghai { "a list" } else { "none" };
        sink.push(opening, Reason::WithdrawalsPresence, got, expected);
    }
    if fork >= Fork::Osaka {
        let bytes = rlp_length(input);
        if bytes > MAX_BLOCK_BYTES {
            let got = format!("{bytes} bytes");
            sink.push(opening, Reason::BlockTooLarge, got, format_args!("at most {MAX_BLOCK_BYTES}"));
        }
    }
    unchecked.gas_rules = u64::from(!gas(input, &mut sink));
    unchecked.blob_rules = u64::from(!blobs(input, fork, rules, &mut sink));
    receipt_forms(input, fork, &mut sink);
    if fork >= Fork::Prague {
        deposits(input, rules, &mut sink);
        unchecked.deposit_rules = u64::from(!input.has_all_outcomes());
    }
    let calls = if fork >= Fork::Prague { requests::CALL_TYPES.len() } else { 0 };
    if input.requests.len() != calls {
        sink.push(input.closing(), Reason::WrongRequestCount, input.requests.len(), calls);
    }
    unchecked
}

/// Block 0 is its allocation: nobody executes anything in it.
fn genesis(input: &BlockInput<'_>, sink: &mut Sink<'_>) {
    // Nobody but the header says whether block 0 has a list: chains of before the merge may begin with Shanghai's header.
    let has_root = input.head.header.withdrawals_root.is_some();
    if input.withdrawals.is_some() != has_root {
        let name = |has_list| if has_list { "a list" } else { "none" };
        sink.push(input.at(0), Reason::WithdrawalsPresence, name(!has_root), name(has_root));
    }
    let withdrawals = input.withdrawals.map_or(0, <[_]>::len);
    let (transactions, ommers) = (input.transactions.len(), input.head.ommers.len());
    if transactions + ommers + withdrawals + input.requests.len() > 0 {
        let got = format!("{transactions} transactions, {ommers} ommers, {withdrawals} withdrawals");
        sink.push(input.at(0), Reason::GenesisBody, got, "none");
    }
}

/// Bytes of the block in RLP.
fn rlp_length(input: &BlockInput<'_>) -> usize {
    let list = |payload: usize| payload + length_of_length(payload);
    // In a body a typed transaction is a byte string, a legacy one a list of its own.
    let transactions = input.transactions.iter().map(|transaction| match transaction.bytes {
        [first, ..] if *first >= 0xc0 => transaction.bytes.len(),
        bytes => bytes.length(),
    });
    let ommers = match input.head.ommers {
        Ommers::Known(headers) => headers.iter().map(Encodable::length).sum(),
        Ommers::HashesOnly(_) => 0, // after the merge there are none, else that is reported
    };
    let withdrawals = input.withdrawals.map_or(0, |all| list(all.iter().map(Encodable::length).sum()));
    list(input.head.header.length() + list(transactions.sum()) + list(ommers) + withdrawals)
}

/// Gas left for each transaction, and gas used in all; false if an outcome or a transaction's terms are missing.
fn gas(input: &BlockInput<'_>, sink: &mut Sink<'_>) -> bool {
    let header = input.head.header;
    // Where an outcome is missing this is a lower bound, so what exceeds it is a fault all the same.
    let mut used = 0u64;
    for (i, transaction) in input.transactions.iter().enumerate() {
        let left = header.gas_limit.saturating_sub(used);
        if let Some(terms) = transaction.terms
            && terms.gas_limit > left
        {
            let reason = Reason::GasLimitAboveRemaining;
            sink.push(input.at(i + 1), reason, terms.gas_limit, format_args!("at most {left}"));
        }
        used = used.saturating_add(transaction.outcome.map_or(0, |outcome| outcome.gas_used));
    }
    let is_known = input.has_all_outcomes();
    if is_known && used != header.gas_used {
        sink.push(input.at(0), Reason::WrongBlockGasUsed, header.gas_used, used);
    }
    is_known && input.transactions.iter().all(|transaction| transaction.terms.is_some())
}

/// Blobs in all against the header and the fork's maximum; false if there is no maximum or a transaction's terms are
/// missing.
fn blobs(input: &BlockInput<'_>, fork: Fork, rules: &ChainRules, sink: &mut Sink<'_>) -> bool {
    if fork < Fork::Cancun {
        return true; // a blob transaction before Cancun is refused by the EVM
    }
    let header = input.head.header;
    let known = input.transactions.iter().filter_map(|transaction| transaction.terms);
    let blobs = known.fold(0u64, |sum, terms| sum.saturating_add(terms.blobs));
    let is_known = input.transactions.iter().all(|transaction| transaction.terms.is_some());
    let blob_gas = u128::from(blobs) * u128::from(DATA_GAS_PER_BLOB);
    if let Some(got) = header.blob_gas_used
        && is_known
        && u128::from(got) != blob_gas
    {
        sink.push(input.at(0), Reason::WrongBlobGasUsed, got, blob_gas);
    }
    let Some(parameters) = rules.blobs_at(header.timestamp) else { return false };
    if blobs > parameters.max {
        sink.push(input.at(0), Reason::TooManyBlobs, blobs, format_args!("at most {}", parameters.max));
    }
    is_known
}

/// EIP-658: a state root before Byzantium, a status from it on.
fn receipt_forms(input: &BlockInput<'_>, fork: Fork, sink: &mut Sink<'_>) {
    let wants_status = fork >= Fork::Byzantium;
    for (i, transaction) in input.transactions.iter().enumerate() {
        let Some(outcome) = transaction.outcome else { continue };
        let has_status = !matches!(outcome.status, Status::Root(_));
        if has_status != wants_status {
            let name = |is_status| if is_status { "a status" } else { "a state root" };
            sink.push(input.at(i + 1), Reason::WrongReceiptForm, name(has_status), name(wants_status));
        }
    }
}

/// EIP-6110: each log of a deposit has the one layout.
fn deposits(input: &BlockInput<'_>, rules: &ChainRules, sink: &mut Sink<'_>) {
    for (i, transaction) in input.transactions.iter().enumerate() {
        let logs = transaction.outcome.into_iter().flat_map(|outcome| &outcome.logs);
        for log in logs.filter(|log| requests::is_deposit(log, rules.deposit_contract)) {
            if let Err(fault) = requests::append_deposit(&log.data.data, &mut Vec::new()) {
                let expected = format!("the layout of EIP-6110 after topic {}", hex::encode(requests::DEPOSIT_TOPIC));
                sink.push(input.at(i + 1), Reason::BadDepositLog, fault, expected);
            }
        }
    }
}

//! Rules between headers: a header by itself, against its parent, against total difficulty, and (in `ommers`) its
//! ommers.
//!
//! The same rules hold for an ommer against its own parent, so they yield violations without a place; the caller says
//! where.
//! Source: execution-specs `validate_header` of each fork; EIP-779 and EIP-799 (DAO); EIP-3675 (merge).

use super::{Ancestor, HeaderInput, Sink, Unchecked, WINDOW, difficulty, fees, fork_of, location, ommers, or_none};
use crate::reason::{Check, Fault, Reason};
use alloy_consensus::Header;
use alloy_eips::eip1559::INITIAL_BASE_FEE;
use alloy_primitives::{B64, U256, hex};
use manaflow_loader::rules::{ChainRules, Fork};
use std::fmt::Display;

/// Most bytes of extra data.
const MAX_EXTRA_DATA: usize = 32;
/// Extra data of the first blocks of the DAO fork's supporting side.
pub(super) const DAO_EXTRA_DATA: &[u8] = b"dao-hard-fork";
/// How many blocks carry it.
const DAO_EXTRA_DATA_BLOCKS: u64 = 10;

/// A broken rule, not yet placed.
pub(super) struct Violation {
    pub(super) reason: Reason,
    pub(super) got: String,
    pub(super) expected: String,
}

/// Collects the violations of one header.
#[derive(Default)]
pub(super) struct Violations(pub(super) Vec<Violation>);

impl Violations {
    /// Adds a violation unless the rule holds.
    fn demand(&mut self, holds: bool, reason: Reason, got: impl Display, expected: impl Display) {
        if !holds {
            self.0.push(Violation { reason, got: got.to_string(), expected: expected.to_string() });
        }
    }
}

/// Judges a header and its ommers against the window and total difficulty before (check `blocks`).
///
/// `window`: the headers before, oldest first, each the predecessor of the next by place, the last one the parent; at
/// most seven are looked at. `total_difficulty`: the sum over all blocks before. Neither grows the list of what is
/// wrong by being absent: what cannot be judged is counted.
///
/// # Panics
/// If `input.number` is not below 2^40.
pub fn check_links(
    input: &HeaderInput<'_>,
    window: &[Ancestor<'_>],
    total_difficulty: Option<U256>,
    rules: &ChainRules,
    faults: &mut Vec<Fault>,
) -> Unchecked {
    let mut unchecked = Unchecked::default();
    let opening = location(input.number, 0);
    let mut sink = Sink { check: Check::Blocks, faults };
    let header = input.header;
    if header.number != input.number {
        sink.push(opening, Reason::WrongNumber, header.number, input.number);
    }
    // Genesis has no parent, and its fields are what the chain's founders wrote.
    if input.number == 0 {
        return unchecked;
    }

    let window = &window[window.len().saturating_sub(WINDOW)..];
    let parent = window.last();
    let merged = header.difficulty.is_zero();
    match parent {
        Some(parent) if header.parent_hash != parent.hash => {
            sink.push(opening, Reason::WrongParentHash, header.parent_hash, parent.hash);
        }
        _ => {}
    }
    let mut violations = Violations::default();
    alone(header, rules, merged, &mut violations);
    let is_complete =
        parent.is_some_and(|parent| against_parent(header, parent.header, rules, merged, &mut violations));
    unchecked.parent_rules = u64::from(!is_complete);
    let is_judged = merge(header, parent.map(|parent| parent.header), total_difficulty, rules, &mut violations);
    unchecked.merge_rules = u64::from(!is_judged);
    for Violation { reason, got, expected } in violations.0 {
        sink.push(opening, reason, got, expected);
    }
    unchecked.ommer_rules = u64::from(!ommers::check(input, window, rules, &mut sink));
    unchecked
}

/// Rules that need the header only. `merged` selects the rules, so that an ommer is always judged as proof of work.
pub(super) fn alone(header: &Header, rules: &ChainRules, merged: bool, out: &mut Violations) {
    let fork = rules.fork_at(header.number, header.timestamp, merged);
    let extra = &header.extra_data;
    out.demand(
        extra.len() <= MAX_EXTRA_DATA,
        Reason::ExtraDataTooLong,
        format_args!("{} bytes", extra.len()),
        format_args!("at most {MAX_EXTRA_DATA}"),
    );
    if rules.dao.is_some_and(|dao| (dao..dao.saturating_add(DAO_EXTRA_DATA_BLOCKS)).contains(&header.number)) {
        let is_dao = extra.as_ref() == DAO_EXTRA_DATA;
        let expected = hex::encode_prefixed(DAO_EXTRA_DATA);
        let expected = if rules.dao_support { expected } else { format!("anything but {expected}") };
        out.demand(is_dao == rules.dao_support, Reason::WrongDaoExtraData, extra, expected);
    }
    out.demand(
        (fees::MIN_GAS_LIMIT..=fees::MAX_GAS_LIMIT).contains(&header.gas_limit),
        Reason::WrongGasLimit,
        header.gas_limit,
        format_args!("{} to {}", fees::MIN_GAS_LIMIT, fees::MAX_GAS_LIMIT),
    );
    out.demand(
        header.gas_used <= header.gas_limit,
        Reason::GasUsedAboveLimit,
        header.gas_used,
        format_args!("at most {}", header.gas_limit),
    );
    if merged {
        out.demand(header.nonce == B64::ZERO, Reason::WrongNonce, header.nonce, B64::ZERO);
    }
    presence(header, fork, out);
}

/// Each optional field is there exactly from its fork on.
fn presence(header: &Header, fork: Fork, out: &mut Violations) {
    let mut field = |reason, first: Fork, value: Option<String>| {
        let expected = if fork >= first { "a value" } else { "none" };
        out.demand(value.is_some() == (fork >= first), reason, or_none(value), expected);
    };
    field(Reason::BaseFeePresence, Fork::London, header.base_fee_per_gas.map(|v| v.to_string()));
    field(Reason::WithdrawalsRootPresence, Fork::Shanghai, header.withdrawals_root.map(|v| v.to_string()));
    field(Reason::BlobGasUsedPresence, Fork::Cancun, header.blob_gas_used.map(|v| v.to_string()));
    field(Reason::ExcessBlobGasPresence, Fork::Cancun, header.excess_blob_gas.map(|v| v.to_string()));
    field(Reason::ParentBeaconRootPresence, Fork::Cancun, header.parent_beacon_block_root.map(|v| v.to_string()));
    field(Reason::RequestsHashPresence, Fork::Prague, header.requests_hash.map(|v| v.to_string()));
    let unknown = header
        .block_access_list_hash
        .map(|hash| format!("block access list hash {hash}"))
        .or_else(|| header.slot_number.map(|slot| format!("slot number {slot}")));
    out.demand(unknown.is_none(), Reason::UnknownHeaderField, or_none(unknown), "none");
}

/// Rules against the parent; false if one of them lacked its input.
pub(super) fn against_parent(
    header: &Header,
    parent: &Header,
    rules: &ChainRules,
    merged: bool,
    out: &mut Violations,
) -> bool {
    let fork = rules.fork_at(header.number, header.timestamp, merged);
    let is_first_of_london = fork >= Fork::London && fork_of(parent, rules) < Fork::London;
    out.demand(
        header.timestamp > parent.timestamp,
        Reason::WrongTimestamp,
        header.timestamp,
        format_args!("above {}", parent.timestamp),
    );
    let limits = fees::gas_limits(parent.gas_limit, is_first_of_london);
    // Limits out of bounds are reported without the parent.
    if (fees::MIN_GAS_LIMIT..=fees::MAX_GAS_LIMIT).contains(&header.gas_limit) {
        out.demand(
            limits.contains(&header.gas_limit),
            Reason::WrongGasLimit,
            header.gas_limit,
            format_args!("{} to {}", limits.start(), limits.end()),
        );
    }
    if !merged {
        let expected = difficulty::expected(header.number, header.timestamp, parent, fork);
        out.demand(header.difficulty == expected, Reason::WrongDifficulty, header.difficulty, expected);
    }
    let has_base_fee = base_fee(header, parent, fork, is_first_of_london, out);
    let has_excess = excess_blob_gas(header, parent, fork, rules, out);
    has_base_fee && has_excess
}

/// EIP-1559; false if the parent has no base fee though it should.
fn base_fee(header: &Header, parent: &Header, fork: Fork, is_first_of_london: bool, out: &mut Violations) -> bool {
    // A missing or early base fee is a matter of presence.
    let Some(got) = header.base_fee_per_gas.filter(|_| fork >= Fork::London) else { return true };
    let expected = match parent.base_fee_per_gas {
        _ if is_first_of_london => u128::from(INITIAL_BASE_FEE),
        Some(fee) => fees::base_fee(parent.gas_used, parent.gas_limit, fee),
        None => return false,
    };
    out.demand(u128::from(got) == expected, Reason::WrongBaseFee, got, expected);
    true
}

/// EIP-4844 and EIP-7918; false if the rules or the parent lack what it takes.
fn excess_blob_gas(header: &Header, parent: &Header, fork: Fork, rules: &ChainRules, out: &mut Violations) -> bool {
    let Some(got) = header.excess_blob_gas.filter(|_| fork >= Fork::Cancun) else { return true };
    let Some(parameters) = rules.blobs_at(header.timestamp) else { return false };
    let reserve_fee = if fork >= Fork::Osaka {
        let Some(fee) = parent.base_fee_per_gas else { return false };
        Some(fee)
    } else {
        None
    };
    // A parent before Cancun counts as having no excess and no blobs.
    let excess = parent.excess_blob_gas.unwrap_or(0);
    let used = parent.blob_gas_used.unwrap_or(0);
    let Some(expected) = fees::excess_blob_gas(excess, used, reserve_fee, parameters) else { return false };
    out.demand(u128::from(got) == expected, Reason::WrongExcessBlobGas, got, expected);
    true
}

/// EIP-3675: proof of work before the terminal total difficulty is reached, proof of stake after; false if the total
/// before is not known. A parent by proof of stake does not stand in for it: it may be as false as the block.
fn merge(
    header: &Header,
    parent: Option<&Header>,
    total_difficulty: Option<U256>,
    rules: &ChainRules,
    out: &mut Violations,
) -> bool {
    // There is no way back, whatever the total; genesis is by neither.
    let is_after_stake =
        rules.terminal_total_difficulty.is_some() && parent.is_some_and(|p| p.difficulty.is_zero() && p.number != 0);
    merge_rule(header.difficulty, is_after_stake, total_difficulty, rules, out)
}

fn merge_rule(
    difficulty: U256,
    is_after_stake: bool,
    total_difficulty: Option<U256>,
    rules: &ChainRules,
    out: &mut Violations,
) -> bool {
    let terminal = rules.terminal_total_difficulty;
    let is_reached = match (terminal, total_difficulty) {
        (None, _) => Some(false),
        (Some(terminal), total) => total.map(|total| total >= terminal),
    };
    let is_stake = difficulty.is_zero();
    let terminal = or_none(terminal);
    out.demand(
        !(is_stake && is_reached == Some(false)),
        Reason::ProofOfStakeTooEarly,
        "difficulty 0",
        format_args!("above 0 before terminal total difficulty {terminal}"),
    );
    out.demand(
        is_stake || !(is_after_stake || is_reached == Some(true)),
        Reason::ProofOfWorkTooLate,
        format_args!("difficulty {difficulty}"),
        format_args!("0 after terminal total difficulty {terminal}"),
    );
    is_reached.is_some()
}

/// The rule of the merge at a block for which [`check_links`] lacked the total difficulty, when it is known. What the
/// parent's proof of stake told then is not told again.
pub fn check_total_difficulty(
    number: u64,
    difficulty: U256,
    is_after_stake: bool,
    total_difficulty: U256,
    rules: &ChainRules,
    faults: &mut Vec<Fault>,
) {
    let (mut before, mut violations) = (Violations::default(), Violations::default());
    merge_rule(difficulty, is_after_stake, None, rules, &mut before);
    merge_rule(difficulty, is_after_stake, Some(total_difficulty), rules, &mut violations);
    let mut sink = Sink { check: Check::Blocks, faults };
    for Violation { reason, got, expected } in violations.0.into_iter().skip(before.0.len()) {
        sink.push(location(number, 0), reason, got, expected);
    }
}

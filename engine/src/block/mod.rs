//! The judgement Block (B): what a header, a body and the outcomes say of each other and of up to seven headers before.
//!
//! In: plain data of one block, nothing carried from block to block, so blocks may be judged in any order and in
//! parallel. Three functions, by what they cost and what they need: [`check_hashes`] compares with the roots of lists, which
//! [`roots_of`] makes for many blocks at once, and hashes what else the header names;
//! [`check_body`] holds the body and the outcomes against the header; [`check_links`] holds the header and its ommers
//! against the window of earlier headers and the total difficulty before. The last is separate because a merge of two
//! pieces runs it again, over the seam, when the window is known: with more input it reports the same faults and
//! perhaps more, never fewer.
//! Out: faults appended to a list (all of them; none stops another) and counts of rules that lacked their input.
//! B never executes and never looks at moves, save two that are passed in: the closing's `h` write and, at block 0, the
//! allocation. Fork rules are taken at the header's own number and time; merged means header difficulty 0.
//! Source: `engine/PROTOCOL.md` section 4; EIPs as named at each rule; execution-specs `validate_header`,
//! `validate_ommers`.

mod body;
mod difficulty;
mod fees;
mod header;
mod lists;
mod ommers;
mod ordered_root;
pub use ordered_root::ordered_roots;
mod requests;
mod roots;
#[cfg(test)]
mod tests;

pub use body::check_body;
pub use difficulty::total_difficulty_after;
pub use header::{check_links, check_total_difficulty};
pub use lists::{Body, ReceiptsRoot, Roots, roots_of};
pub use roots::{allocation_root, check_hashes};

use crate::reason::{Check, Fault, Reason};
use alloy_consensus::{Header, Transaction};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{B256, Bytes, U256};
use manaflow_loader::{
    model::{Cell, Location, Outcome, Value},
    rules::{ChainRules, Fork},
    summary::UNCHECKED,
};
use serde::Serialize;
use std::{fmt::Display, ops::AddAssign};

/// Headers before a block that its rules may look at (ommers reach six blocks back, their parents seven).
pub const WINDOW: usize = 7;

/// A block's ommers, as far as the input knows them.
#[derive(Clone, Copy, Debug)]
pub enum Ommers<'a> {
    /// Their headers.
    Known(&'a [Header]),
    /// Their hashes only.
    HashesOnly(&'a [B256]),
}

impl Ommers<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Known(headers) => headers.len(),
            Self::HashesOnly(hashes) => hashes.len(),
        }
    }

    /// Hash of each, in order: what a later block's window wants to know.
    pub fn hashes(&self) -> Vec<B256> {
        match self {
            Self::Known(headers) => headers.iter().map(Header::hash_slow).collect(),
            Self::HashesOnly(hashes) => hashes.to_vec(),
        }
    }
}

/// A header with its place and its ommers: all that rules between headers look at.
#[derive(Clone, Copy, Debug)]
pub struct HeaderInput<'a> {
    /// Block number by location (below 2^40).
    pub number: u64,
    /// The header.
    pub header: &'a Header,
    /// Keccak-256 of the header's bytes.
    pub hash: B256,
    /// The ommers.
    pub ommers: Ommers<'a>,
}

/// An earlier header in a window.
#[derive(Clone, Copy, Debug)]
pub struct Ancestor<'a> {
    /// The header.
    pub header: &'a Header,
    /// Keccak-256 of the header's bytes.
    pub hash: B256,
    /// Hashes of its ommers; `None` if they are not known.
    pub ommers: Option<&'a [B256]>,
}

/// What the rules of a block ask of a transaction's body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    /// Gas limit.
    pub gas_limit: u64,
    /// Number of blobs.
    pub blobs: u64,
}

/// A transaction as B sees it.
#[derive(Clone, Copy, Debug)]
pub struct BlockTransaction<'a> {
    /// EIP-2718 bytes.
    pub bytes: &'a [u8],
    /// What the bytes say; `None` if they do not decode (a fault that Solo reports).
    pub terms: Option<Terms>,
    /// Declared outcome, if there is one.
    pub outcome: Option<&'a Outcome>,
}

impl<'a> BlockTransaction<'a> {
    /// From the bytes and what they decode to.
    pub fn new<T: Transaction>(bytes: &'a [u8], envelope: Option<&T>, outcome: Option<&'a Outcome>) -> Self {
        let terms = envelope.map(|envelope| Terms {
            gas_limit: envelope.gas_limit(),
            blobs: envelope.blob_versioned_hashes().map_or(0, |hashes| hashes.len() as u64),
        });
        Self { bytes, terms, outcome }
    }

    /// EIP-2718 type; 0 for a legacy transaction.
    fn kind(&self) -> u8 {
        self.bytes.first().copied().filter(|&byte| byte < 0x80).unwrap_or(0)
    }
}

/// A block without its moves.
#[derive(Clone, Copy, Debug)]
pub struct BlockInput<'a> {
    /// Header, place, ommers.
    pub head: HeaderInput<'a>,
    /// Transactions in order, without the two system transactions.
    pub transactions: &'a [BlockTransaction<'a>],
    /// Withdrawals; `None` if the body has no list of them.
    pub withdrawals: Option<&'a [Withdrawal]>,
    /// Outputs of the closing's request calls, in order of request type.
    pub requests: &'a [Bytes],
    /// Value after of the closing's move on `h(number)`; `None` if there is no such move (Solo reports that).
    pub hash_write: Option<U256>,
    /// At block 0, cells and values after of the opening's moves; `None` elsewhere.
    pub allocation: Option<&'a [(Cell, Value)]>,
}

impl<'a> BlockInput<'a> {
    /// Its lists.
    pub fn body(&self) -> Body<'a> {
        Body { transactions: self.transactions, withdrawals: self.withdrawals }
    }

    /// Location of the transaction at `index`, 0 being the opening.
    fn at(&self, index: usize) -> Location {
        location(self.head.number, index)
    }

    /// Location of the closing.
    fn closing(&self) -> Location {
        self.at(self.transactions.len() + 1)
    }

    /// Whether each transaction has an outcome.
    fn has_all_outcomes(&self) -> bool {
        self.transactions.iter().all(|transaction| transaction.outcome.is_some())
    }
}

/// Number of blocks at which a rule, or a group of them, lacked its input.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Unchecked {
    /// Rules against the parent: its header is not known.
    pub parent_rules: u64,
    /// Proof of work or of stake: total difficulty is not known.
    pub merge_rules: u64,
    /// Ommers: known by hash only, or the window is too short.
    pub ommer_rules: u64,
    /// Ommers hash: ommers known by hash only.
    pub ommers_hashes: u64,
    /// Gas used, or gas left for a transaction: a transaction has no outcome, or does not decode.
    pub gas_rules: u64,
    /// Blobs: the chain's rules have no parameters for the block, or a transaction does not decode.
    pub blob_rules: u64,
    /// Receipts root: a transaction has no outcome, or no witness before Byzantium.
    pub receipts_roots: u64,
    /// Logs bloom: a transaction has no outcome.
    pub logs_blooms: u64,
    /// Deposit logs: a transaction has no outcome.
    pub deposit_rules: u64,
    /// Requests hash: a transaction has no outcome.
    pub requests_hashes: u64,
    /// Root of the allocation at block 0: it is not known.
    pub allocation_roots: u64,
}

impl Unchecked {
    /// The counts in the order of the fields: how they are added up, and kept in summaries.
    pub const fn to_array(self) -> [u64; UNCHECKED] {
        let Self {
            parent_rules,
            merge_rules,
            ommer_rules,
            ommers_hashes,
            gas_rules,
            blob_rules,
            receipts_roots,
            logs_blooms,
            deposit_rules,
            requests_hashes,
            allocation_roots,
        } = self;
        [
            parent_rules,
            merge_rules,
            ommer_rules,
            ommers_hashes,
            gas_rules,
            blob_rules,
            receipts_roots,
            logs_blooms,
            deposit_rules,
            requests_hashes,
            allocation_roots,
        ]
    }

    /// Counts in the order of the fields.
    pub const fn from_array(counts: [u64; UNCHECKED]) -> Self {
        let [
            parent_rules,
            merge_rules,
            ommer_rules,
            ommers_hashes,
            gas_rules,
            blob_rules,
            receipts_roots,
            logs_blooms,
            deposit_rules,
            requests_hashes,
            allocation_roots,
        ] = counts;
        Self {
            parent_rules,
            merge_rules,
            ommer_rules,
            ommers_hashes,
            gas_rules,
            blob_rules,
            receipts_roots,
            logs_blooms,
            deposit_rules,
            requests_hashes,
            allocation_roots,
        }
    }
}

impl AddAssign for Unchecked {
    fn add_assign(&mut self, other: Self) {
        let mut counts = self.to_array();
        counts.iter_mut().zip(other.to_array()).for_each(|(count, more)| *count = count.saturating_add(more));
        *self = Self::from_array(counts);
    }
}

/// The fork whose rules hold for a header.
fn fork_of(header: &Header, rules: &ChainRules) -> Fork {
    rules.fork_at(header.number, header.timestamp, header.difficulty.is_zero())
}

/// The location; block files bound both numbers when they are opened.
fn location(block: u64, index: usize) -> Location {
    Location::new(block, index as u64).expect("locations are within bounds before anything is judged")
}

/// Appends faults of one check.
struct Sink<'a> {
    check: Check,
    faults: &'a mut Vec<Fault>,
}

impl Sink<'_> {
    fn push(&mut self, location: Location, reason: Reason, got: impl Display, expected: impl Display) {
        self.faults.push(Fault::new(location, self.check, reason, got, expected));
    }
}

/// A value that may be missing, as faults print it.
fn or_none<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "none".into(), |value| value.to_string())
}

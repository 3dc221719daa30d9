//! Segments: what is known of consecutive blocks once they are judged, and how two of them become one.
//!
//! A segment holds what its blocks require and leave, not the blocks; `seams` says which are put together, and when.
//! Putting two together runs the rules that look over
//! the seam: Double use by its merge, rules between headers by the same code as inside. Each rule between headers of the
//! first seven blocks waits until seven blocks of the segment lie before it, or a report is made: so it is judged once,
//! with all that is known, and the order in which segments are put together changes nothing. What a seam makes known is the
//! headers before, and the total difficulty.
//! Source: `PROTOCOL.md` section 11.

mod conclude;
mod head;
mod record;
mod seams;
mod summaries;
#[cfg(test)]
mod tests;
mod total;

pub use conclude::{Conclusion, Validation, Wanted, conclude, report, valid_from};
pub use head::{Head, evidence, links, window};
pub use record::Unreadable;
pub use seams::{Closed, close, join};
pub use summaries::{MergeError, MergeOptions, checks_of, merge_summaries};
pub use total::Claim;
pub(crate) use total::{one as one_waiting, wait};

use crate::block::{Unchecked, WINDOW};
use crate::double_use::{self, Malformed, SegmentResult};
use crate::reason::{Check, Checks, Fault, Reason};
use crate::report::StateRoots;
use alloy_primitives::map::HashSet;
use alloy_primitives::{B256, U256};
use manaflow_loader::model::Location;
use manaflow_loader::rules::ChainRules;
use manaflow_loader::summary::{HEADS, Waiting};
use std::collections::BTreeMap;

const _: () = assert!(HEADS == WINDOW, "the headers kept are those that rules look at");

/// Sums over rows.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Signed transactions.
    pub transactions: u64,
    /// Signatures, authorisations included.
    pub signatures: u64,
    /// Moves.
    pub moves: u64,
    /// Gas used, by the outcomes.
    pub gas: u64,
}

/// The state root after a segment's last block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RootAtEnd {
    /// Nobody asks for it.
    No,
    /// It is to be recomputed when a report is made.
    Due,
    /// It is among those that were recomputed.
    Counted,
}

/// Faults: all of them counted, the first in order kept.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Found {
    /// Number of all.
    pub total: u64,
    /// The last block with one.
    pub last_block: Option<u64>,
    /// Those that are kept.
    pub list: Vec<Fault>,
}

impl Found {
    /// Adds faults.
    pub fn extend(&mut self, faults: Vec<Fault>) {
        self.total += faults.len() as u64;
        self.last_block = self.last_block.max(faults.iter().map(|f| f.location.block()).max());
        self.list.extend(faults);
    }

    fn append(&mut self, other: Self) {
        self.total += other.total;
        self.last_block = self.last_block.max(other.last_block);
        self.list.extend(other.list);
    }
}

/// Consecutive blocks, judged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment {
    /// What Double use says.
    pub result: SegmentResult,
    /// Checks that ran over all blocks.
    pub checks: Checks,
    /// Checks that ran over some.
    pub some_checks: Checks,
    /// Sums.
    pub counts: Counts,
    /// What lacked its input, without the rules that wait.
    pub unchecked: Unchecked,
    /// State roots recomputed inside.
    pub state_roots: StateRoots,
    /// The state root after the last block.
    pub root_at_end: RootAtEnd,
    /// The last block's closing.
    pub closing: Location,
    /// Sum of difficulties.
    pub difficulty: U256,
    /// Total difficulty after the last block: by the last statement inside.
    pub total_after: Option<U256>,
    /// The first statement of a total difficulty inside.
    pub claim: Option<Claim>,
    /// Headers before the first block, as its source brings them.
    pub earlier: Vec<Head>,
    /// The first headers.
    pub heads: Vec<Head>,
    /// The last headers, without those in `heads`.
    pub tail: Vec<Head>,
    /// Blocks beyond `heads` whose rule of the merge waits for a total difficulty.
    pub waiting: Vec<Waiting>,
    /// Faults of Solo and Block, without those of rules that wait.
    pub found: Found,
    /// Hashes of transactions that faults and demands name, as far as they were asked for.
    pub hashes: BTreeMap<Location, B256>,
}

impl Segment {
    /// Number of blocks.
    pub fn len(&self) -> u64 {
        self.result.end - self.result.first
    }

    /// Whether there is no block, which no segment is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it begins at the genesis block.
    pub fn is_from_genesis(&self) -> bool {
        self.result.is_from_genesis()
    }

    /// The last header.
    pub fn last_head(&self) -> Option<&Head> {
        self.tail.last().or(self.heads.last())
    }

    /// Parent hash that the first header states, and hash of the last.
    pub fn ends(&self) -> (B256, B256) {
        let parent = self.heads.first().map_or(B256::ZERO, |head| head.header.parent_hash);
        (parent, self.last_head().map_or(B256::ZERO, |head| head.hash))
    }

    /// Headers in the order of the chain, with a gap before the last ones if there are more than fourteen blocks.
    fn known_heads(&self) -> impl DoubleEndedIterator<Item = &Head> {
        self.earlier.iter().chain(&self.heads).chain(&self.tail)
    }

    /// Rules between headers that wait still, judged with what is known now.
    pub fn judge_waiting(&self, rules: &ChainRules, faults: &mut Vec<Fault>) -> Unchecked {
        let mut unchecked = Unchecked::default();
        if let Some(first) = self.heads.first() {
            evidence(self.result.first, &self.earlier, first.checks(), faults);
        }
        for (i, head) in self.heads.iter().enumerate().filter(|(_, head)| head.checks().has(Check::Blocks)) {
            let window = window(self.earlier.iter().chain(&self.heads[..i]));
            let total = head.kept.total_difficulty.0;
            unchecked += links(self.result.first + i as u64, head, &window, total, rules, faults);
        }
        let waiting = self.waiting.iter().map(|w| w.count).sum::<u64>();
        unchecked.merge_rules = unchecked.merge_rules.saturating_add(waiting);
        unchecked
    }

    /// This segment and the one that begins where it ends, of its import or of another. Errors: it does not begin there; a
    /// generation beyond 2^32; more faults of waiting blocks than a seam lists.
    fn merge(mut self, mut later: Self, rules: &ChainRules) -> Result<Self, Malformed> {
        let result = double_use::join(self.result.take(), later.result.take())?;
        let mut faults = Vec::new();
        let seam = Seam { difficulty: self.difficulty, total: self.total_after, rules };
        let mut unchecked = self.unchecked;
        unchecked += later.unchecked;
        let mut waiting = self.waiting.clone();
        let mut heads = self.heads.clone();
        let mut before = U256::ZERO;
        for (i, head) in later.heads.iter().enumerate() {
            let (number, place) = (later.result.first + i as u64, self.len() + i as u64);
            let mut head = head.clone();
            head.kept.total_difficulty.0 = seam.total_before(head.kept.total_difficulty.0, before);
            if place < HEADS as u64 {
                heads.push(head.clone());
            } else if head.checks().has(Check::Blocks) {
                let window = window(self.known_heads().chain(&later.heads[..i]));
                let total = head.kept.total_difficulty.0;
                let mut lacks = links(number, &head, &window, total, rules, &mut faults);
                if lacks.merge_rules > 0 {
                    let parent = window.last().map(|parent| &parent.header);
                    total::wait(&mut waiting, total::one(number, &head.header, parent, seam.difficulty_at(before)));
                    lacks.merge_rules = 0;
                }
                unchecked += lacks;
            }
            before = before.saturating_add(head.header.difficulty);
        }
        seam.release(&later.waiting, &mut waiting, &mut faults)?;
        let claim = seam.meet(later.claim, &mut faults);

        let tail_len = (self.len() + later.len()).saturating_sub(HEADS as u64).min(HEADS as u64) as usize;
        let own = self.heads.iter().chain(&self.tail).chain(&later.heads).chain(&later.tail);
        let mut tail: Vec<Head> = own.rev().take(tail_len).map(Head::plain).collect();
        tail.reverse();
        let mut found = self.found;
        found.append(without_told(later.found, &found.list));
        found.extend(faults);
        let mut hashes = self.hashes;
        hashes.extend(later.hashes);
        Ok(Self {
            result,
            checks: self.checks.both(later.checks),
            some_checks: self.some_checks.either(later.some_checks),
            counts: Counts {
                transactions: self.counts.transactions.saturating_add(later.counts.transactions),
                signatures: self.counts.signatures.saturating_add(later.counts.signatures),
                moves: self.counts.moves.saturating_add(later.counts.moves),
                gas: self.counts.gas.saturating_add(later.counts.gas),
            },
            unchecked,
            state_roots: StateRoots {
                checked: self.state_roots.checked + later.state_roots.checked,
                matched: self.state_roots.matched + later.state_roots.matched,
            },
            root_at_end: later.root_at_end,
            closing: later.closing,
            difficulty: self.difficulty.saturating_add(later.difficulty),
            total_after: later.total_after.or(self.total_after.map(|total| total.saturating_add(later.difficulty))),
            claim: self.claim.or(claim),
            earlier: self.earlier,
            heads,
            tail,
            waiting,
            found,
            hashes,
        })
    }

    /// Leaves the hashes of those transactions that something names, and adds those that `hash_of` knows.
    pub fn name_transactions(&mut self, hash_of: impl Fn(Location) -> Option<B256>) {
        let result = &self.result;
        let named = (result.requirements.iter().map(|d| d.first))
            .chain(result.culprits.iter().map(|c| c.location))
            .chain(self.found.list.iter().map(|f| f.location));
        let mut hashes = BTreeMap::new();
        for location in named {
            if hashes.contains_key(&location) {
                continue;
            }
            if let Some(hash) = self.hashes.get(&location).copied().or_else(|| hash_of(location)) {
                hashes.insert(location, hash);
            }
        }
        self.hashes = hashes;
    }
}

/// What the earlier side of a seam makes known.
struct Seam<'a> {
    difficulty: U256,
    total: Option<U256>,
    rules: &'a ChainRules,
}

impl Seam<'_> {
    /// Sum of the merged segment's difficulties before a place of the later side.
    fn difficulty_at(&self, before: U256) -> U256 {
        self.difficulty.saturating_add(before)
    }

    /// Total difficulty at a place of the later side: as stated there, else by the earlier side.
    fn total_before(&self, stated: Option<U256>, before: U256) -> Option<U256> {
        stated.or(self.total.map(|total| total.saturating_add(before)))
    }

    /// The later side's statement against what the earlier side leaves; it stays open where nothing is known.
    fn meet(&self, claim: Option<Claim>, faults: &mut Vec<Fault>) -> Option<Claim> {
        let claim = claim?;
        let Some(total) = self.total else {
            return Some(Claim { difficulty_before: self.difficulty_at(claim.difficulty_before), ..claim });
        };
        let expected = total.saturating_add(claim.difficulty_before);
        if claim.is_judged
            && claim.total_difficulty != expected
            && let Some(opening) = Location::new(claim.first, 0)
        {
            let (check, reason) = (Check::Blocks, Reason::WrongTotalDifficulty);
            faults.push(Fault::new(opening, check, reason, claim.total_difficulty, expected));
        }
        None
    }

    /// Blocks of the later side that wait: judged, or waiting on.
    fn release(&self, later: &[Waiting], waiting: &mut Vec<Waiting>, faults: &mut Vec<Fault>) -> Result<(), Malformed> {
        for w in later {
            match self.total {
                Some(total) => total::judge(w, total.saturating_add(w.difficulty_before), self.rules, faults)?,
                None => {
                    let difficulty_before = self.difficulty_at(w.difficulty_before);
                    total::wait(waiting, Waiting { difficulty_before, ..*w });
                }
            }
        }
        Ok(())
    }
}

/// A code that does not hash to its key is told once a segment, where it is named first.
fn without_told(mut later: Found, told: &[Fault]) -> Found {
    let is_code = |f: &&Fault| f.reason == Reason::WrongCode;
    let told: HashSet<(&str, &str)> = told.iter().filter(is_code).map(|f| (&f.got[..], &f.expected[..])).collect();
    if !told.is_empty() {
        let before = later.list.len();
        later.list.retain(|f| f.reason != Reason::WrongCode || !told.contains(&(&f.got[..], &f.expected[..])));
        later.total -= (before - later.list.len()) as u64;
    }
    later
}

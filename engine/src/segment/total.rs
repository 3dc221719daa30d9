//! What is stated of total difficulties, and the rule of the merge at blocks where none is known: runs of equal difficulty,
//! judged when it is.

use crate::block::check_total_difficulty;
use crate::reason::Fault;
use alloy_consensus::Header;
use alloy_primitives::{B256, U256};
use manaflow_loader::rules::ChainRules;
use manaflow_loader::summary::Waiting;

/// The first total difficulty that is stated inside of a segment, and nothing before confirms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim {
    /// First block of those that it is about.
    pub first: u64,
    /// Origin of the import that states it.
    pub origin: u64,
    /// Hash of the block before.
    pub parent_hash: B256,
    /// Total difficulty before the first block.
    pub total_difficulty: U256,
    /// Sum of difficulties of the segment's blocks before it.
    pub difficulty_before: U256,
    /// Whether `blocks` was checked there.
    pub is_judged: bool,
}

/// A block that waits.
pub fn one(number: u64, header: &Header, parent: Option<&Header>, difficulty_before: U256) -> Waiting {
    let is_after_stake = parent.is_some_and(|p| p.difficulty.is_zero() && p.number != 0);
    Waiting { first: number, count: 1, difficulty: header.difficulty, difficulty_before, is_after_stake }
}

/// Adds a run, above all others.
pub fn wait(waiting: &mut Vec<Waiting>, run: Waiting) {
    if let Some(last) = waiting.last_mut()
        && last.first + last.count == run.first
        && last.difficulty == run.difficulty
        && last.is_after_stake == run.is_after_stake
        && at(last, last.difficulty_before, last.count) == run.difficulty_before
    {
        last.count += run.count;
        return;
    }
    waiting.push(run);
}

/// A sum before the block at a place of a run, given that before its first.
fn at(run: &Waiting, before: U256, place: u64) -> U256 {
    before.saturating_add(run.difficulty.saturating_mul(U256::from(place)))
}

/// Judges a run, given the total difficulty before its first block.
pub fn judge(run: &Waiting, total: U256, rules: &ChainRules, faults: &mut Vec<Fault>) {
    for place in 0..run.count {
        let (number, total) = (run.first + place, at(run, total, place));
        check_total_difficulty(number, run.difficulty, run.is_after_stake, total, rules, faults);
    }
}

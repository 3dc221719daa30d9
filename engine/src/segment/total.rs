//! What is stated of total difficulties, and the rule of the merge at blocks where none is known: runs of equal difficulty,
//! judged when it is.

use crate::block::check_total_difficulty;
use crate::double_use::Malformed;
use crate::reason::Fault;
use crate::search::first_where;
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

/// Faults that the waiting blocks of one seam may have: a run's length is what a summary claims, and each block of it
/// would be one in the list.
pub const MOST_FAULTS: u64 = 1 << 20;

/// Judges a run, given the total difficulty before its first block. Errors: the list would be longer than
/// [`MOST_FAULTS`]; nothing is added then.
pub fn judge(run: &Waiting, total: U256, rules: &ChainRules, faults: &mut Vec<Fault>) -> Result<(), Malformed> {
    let check = |place: u64, faults: &mut Vec<Fault>| {
        let (number, total) = (run.first + place, at(run, total, place));
        check_total_difficulty(number, run.difficulty, run.is_after_stake, total, rules, faults);
    };
    let is_wrong = |place: u64| {
        let mut faults = Vec::new();
        check(place, &mut faults);
        !faults.is_empty()
    };
    // Without difficulty the total stays and all blocks are alike; with it the total only grows, and a block is wrong from
    // the terminal one on. So whatever is wrong is wrong to the run's end.
    let wrong = first_where(0..run.count, is_wrong)..run.count;
    let listed = (faults.len() as u64).saturating_add(wrong.end - wrong.start);
    if listed > MOST_FAULTS {
        let place = format!("blocks from {} that wait for a total difficulty", run.first);
        let reason = format!("{listed} of them break the rule of the merge, and a seam lists at most {MOST_FAULTS}");
        return Err(Malformed { place, reason });
    }
    wrong.for_each(|place| check(place, faults));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(terminal: u64) -> ChainRules {
        let mut rules = ChainRules::named("mainnet").expect("built in");
        rules.terminal_total_difficulty = Some(U256::from(terminal));
        rules
    }

    fn plain(run: &Waiting, total: U256, rules: &ChainRules) -> Vec<Fault> {
        let mut faults = Vec::new();
        for place in 0..run.count {
            let total = total + run.difficulty * U256::from(place);
            check_total_difficulty(run.first + place, run.difficulty, run.is_after_stake, total, rules, &mut faults);
        }
        faults
    }

    #[test]
    fn a_run_is_judged_as_its_blocks_are() {
        let mut wrong = 0;
        for (difficulty, is_after_stake, terminal, total) in (0..4_u64).flat_map(|difficulty| {
            let rest = (0..14_u64).flat_map(|terminal| (0..14_u64).map(move |total| (terminal, total)));
            rest.flat_map(move |(t, total)| [false, true].map(|stake| (difficulty, stake, t, total)))
        }) {
            let difficulty = U256::from(difficulty);
            let run = Waiting { first: 9, count: 5, difficulty, difficulty_before: U256::ZERO, is_after_stake };
            let (rules, total, mut faults) = (rules(terminal), U256::from(total), Vec::new());
            judge(&run, total, &rules, &mut faults).expect("few");
            assert_eq!(faults, plain(&run, total, &rules), "{run:?} {total} {terminal}");
            wrong += usize::from(!faults.is_empty() && faults.len() < 5);
        }
        assert!(wrong > 20, "{wrong} runs that begin well and end badly");
    }

    /// A summary of a few hundred bytes may claim a run of 2^40 blocks: it takes neither as long nor as much memory.
    #[test]
    fn a_run_as_long_as_it_claims_is_bounded() {
        let count = (1 << 40) - 1;
        let run = |difficulty| Waiting {
            first: 1,
            count,
            difficulty: U256::from(difficulty),
            difficulty_before: U256::ZERO,
            is_after_stake: false,
        };
        let mut faults = Vec::new();
        judge(&run(0_u64), U256::from(7), &rules(7), &mut faults).expect("all of it is right");
        assert!(faults.is_empty());
        let refused = judge(&run(0), U256::from(7), &rules(8), &mut faults).expect_err("all of it is wrong");
        assert_eq!(refused.place, "blocks from 1 that wait for a total difficulty");
        assert!(refused.reason.starts_with("1099511627775 of them"), "{refused}");
        assert!(faults.is_empty());
        judge(&run(1), U256::ZERO, &rules(count - 3), &mut faults).expect("three of them");
        assert_eq!(faults.iter().map(|f| f.location.block()).collect::<Vec<_>>(), [count - 2, count - 1, count]);
    }
}

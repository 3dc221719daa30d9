//! From segments to a report: the same for one validation, for merged summaries, and for what a checkpoint holds.
//!
//! A segment is concluded by itself, so that it can be let go of before the next: rules that wait are judged, culprits and
//! contradictions become faults, the state root after its last block is recomputed from its exits, and what is left are
//! counts and digests. A report adds them up.

use super::{Closed, RootAtEnd, Segment};
use crate::block::Unchecked;
use crate::double_use::{self, Assumption, Culprit, Demand, Exit, ExitsDigest};
use crate::reason::{Check, Checks, Fault, Reason};
use crate::report::{
    BlockRange, ChainClaim, Checked, FinalState, ListedFault, REPORT_VERSION, Report, RequirementCounts, Run,
    StateRoots, UncheckedCounts, Verdict,
};
use crate::solo::check::{say, say_version};
use crate::state_root::{StateTrie, TrieError};
use crate::validate::requirements::{self, WindowRequirement};
use alloy_primitives::{Address, B256};
use manaflow_loader::model::{Cell, Location, Mark, Value};
use manaflow_loader::rules::ChainRules;
use std::collections::HashMap;

/// What of a segment a report is to list.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Faults listed.
    pub limit: usize,
    /// Whether requirements are listed; they are counted and digested anyhow.
    pub requirements: bool,
}

/// What a report takes from one segment.
#[derive(Debug)]
pub struct Conclusion {
    first: u64,
    last: u64,
    parent_hash: B256,
    tip_hash: B256,
    /// Hash of block 0, where it is in the segment.
    genesis: Option<B256>,
    checks: Checks,
    counts: super::Counts,
    unchecked: Unchecked,
    state_roots: StateRoots,
    state_root: Option<B256>,
    faults: u64,
    last_fault: Option<u64>,
    invalid: Vec<(Fault, Option<B256>)>,
    requirements: RequirementCounts,
    chunks: Vec<B256>,
    windows: Vec<WindowRequirement>,
    demands: Vec<Demand>,
    assumed: Vec<(Assumption, Location)>,
    exits: u64,
    digest: B256,
}

/// Report and what it counts but does not list.
#[derive(Debug)]
pub struct Validation {
    /// The report.
    pub report: Report,
    /// Requirements of each segment, sorted by cell; empty if they were not asked for.
    pub requirements: Vec<Vec<Demand>>,
    /// Cells assumed, each at the first use that says so, sorted by cell, segment by segment.
    pub assumed: Vec<(Assumption, Location)>,
    /// What the segments that do not begin at genesis say of the chain before them.
    pub windows: Vec<WindowRequirement>,
}

/// Concludes a segment, of which `exits` are the last writes, ascending by cell; its own list of them is not looked at.
/// `is_proven` says whether something at hand proves a demand.
///
/// Errors: none but those of a trie that contradicts itself, which is a bug.
pub fn conclude(
    Closed(mut segment): Closed,
    exits: &mut dyn Iterator<Item = Exit>,
    rules: &ChainRules,
    wanted: Wanted,
    is_proven: &mut dyn FnMut(&Demand) -> bool,
    hash_of: impl Fn(Location) -> Option<B256>,
) -> Result<Conclusion, TrieError> {
    let mut found = std::mem::take(&mut segment.found);
    let mut faults = Vec::new();
    let mut unchecked = segment.unchecked;
    unchecked += segment.judge_waiting(rules, &mut faults);
    let result = &segment.result;
    if segment.some_checks.has(Check::Conflicts) {
        faults.extend(result.culprits.iter().chain(&result.contradictions()).map(conflict));
    }
    let mut state_roots = segment.state_roots;
    let with_root = segment.is_from_genesis() && segment.root_at_end != RootAtEnd::No;
    let (final_state, state_root) = final_state(result, exits, with_root)?;
    if let (Some(root), RootAtEnd::Due, Some(head)) = (state_root, segment.root_at_end, segment.last_head()) {
        state_roots.checked += 1;
        state_roots.matched += u64::from(head.header.state_root == root);
        if head.header.state_root != root {
            let (got, at) = (head.header.state_root, segment.closing);
            faults.push(Fault::new(at, Check::Hashes, Reason::WrongStateRoot, got, root));
        }
    }
    found.extend(faults);
    found.list.sort_unstable();
    found.list.truncate(wanted.limit);
    let hash = |at: Location| segment.hashes.get(&at).copied().or_else(|| hash_of(at));
    let invalid = found.list.into_iter().map(|fault| (hash(fault.location), fault)).map(|(h, f)| (f, h)).collect();

    let mut counts = RequirementCounts { assumed: result.assumed_count() as u64, ..RequirementCounts::default() };
    for demands in result.requirements.chunk_by(|a, b| a.cell == b.cell) {
        counts.cells += 1;
        // The h cells of the blocks themselves are required too: to be virgin.
        let is_hash = demands[0].cell.mark == Mark::BlockHash;
        counts.hashes += u64::from(is_hash && demands.iter().any(|d| d.prev != d.cell.default_value()));
        counts.proven += u64::from(demands.iter().all(&mut *is_proven));
    }
    let windows = windows(&segment);
    counts.windows = windows.len() as u64;
    let (parent_hash, tip_hash) = segment.ends();
    Ok(Conclusion {
        first: result.first,
        last: result.end - 1,
        parent_hash,
        tip_hash,
        genesis: segment.heads.first().filter(|_| segment.is_from_genesis()).map(|head| head.hash),
        checks: segment.checks,
        counts: segment.counts,
        unchecked,
        state_roots,
        state_root,
        faults: found.total,
        last_fault: found.last_block,
        invalid,
        requirements: counts,
        chunks: requirements::chunks(&result.requirements),
        windows,
        assumed: result.assumed.iter().map(|(a, at)| (*a, *at)).collect(),
        exits: final_state.count(),
        digest: final_state.finish(),
        demands: if wanted.requirements { std::mem::take(&mut segment.result.requirements) } else { Vec::new() },
    })
}

/// What is taken for granted before the first block, and a total difficulty that nothing before confirms.
fn windows(segment: &Segment) -> Vec<WindowRequirement> {
    if segment.is_from_genesis() {
        return Vec::new();
    }
    let first = segment.result.first;
    let at_first = segment.claim.filter(|claim| claim.first == first);
    let mut windows = vec![WindowRequirement {
        first,
        origin: segment.result.origin,
        parent_hash: segment.ends().0,
        total_difficulty: at_first.map(|claim| claim.total_difficulty),
    }];
    windows.extend(segment.claim.filter(|claim| claim.first != first).map(|claim| WindowRequirement {
        first: claim.first,
        origin: claim.origin,
        parent_hash: claim.parent_hash,
        total_difficulty: Some(claim.total_difficulty),
    }));
    windows
}

/// What exits say of the state after a segment: their digest, and of one from genesis the state root, for they are the whole
/// state then.
fn final_state(
    result: &double_use::SegmentResult,
    exits: &mut dyn Iterator<Item = Exit>,
    with_root: bool,
) -> Result<(ExitsDigest, Option<B256>), TrieError> {
    let mut digest = ExitsDigest::default();
    let mut trie = StateTrie::default();
    // Accounts come before storage, so it is known which generation of each is the live one.
    let mut live: HashMap<Address, u32> = HashMap::new();
    let mut before: Option<Cell> = None;
    for exit in exits {
        assert!(before.is_none_or(|before| before < exit.cell), "exits ascend: {} after {before:?}", exit.cell);
        before = Some(exit.cell);
        if result.is_known(&exit) {
            digest.add(&exit);
        }
        if !with_root {
            continue;
        }
        match (exit.cell.mark, &exit.value) {
            (Mark::Account, Value::Account(a)) => {
                live.insert(exit.cell.addr, a.generation);
                trie.set_account(exit.cell.addr, a.present.then_some((a.nonce, a.balance, a.code_hash)));
            }
            (Mark::Storage, Value::Word(word))
                if live.get(&exit.cell.addr).copied().unwrap_or(0) == exit.cell.generation =>
            {
                trie.set_storage(exit.cell.addr, exit.cell.slot, *word)?;
            }
            _ => {}
        }
    }
    let root = if with_root { Some(trie.root()?) } else { None };
    Ok((digest, root))
}

/// A culprit as a fault.
fn conflict(culprit: &Culprit) -> Fault {
    let reason = match culprit.reason {
        double_use::Reason::VersionNotBefore => Reason::VersionNotBefore,
        double_use::Reason::VirginNotDefault => Reason::VirginNotDefault,
        double_use::Reason::DoubleUse => Reason::DoubleUse,
        double_use::Reason::StaleRead => Reason::StaleRead,
        double_use::Reason::WrongBefore => Reason::WrongBefore,
        double_use::Reason::Contradiction => Reason::Contradiction,
    };
    let say_both = |version, value: &Value| format!("{} {}", say_version(version), say(value));
    let mode = if culprit.write { "write" } else { "read" };
    let got = format!("{mode} of {}", say_both(culprit.intx, &culprit.prev));
    let expected = match &culprit.expected {
        Some((version, value)) => say_both(*version, value),
        None => format!("a version below {}", culprit.location),
    };
    Fault::new(culprit.location, Check::Conflicts, reason, got, expected).at_move(culprit.place, culprit.cell)
}

/// The last block with a fault.
pub fn last_fault(conclusions: &[Conclusion]) -> Option<u64> {
    conclusions.iter().filter_map(|c| c.last_fault).max()
}

/// The first block judged above all faults.
pub fn valid_from(conclusions: &[Conclusion]) -> Option<u64> {
    let Some(last_fault) = last_fault(conclusions) else { return conclusions.first().map(|c| c.first) };
    let above = |c: &Conclusion| (c.last > last_fault).then(|| c.first.max(last_fault + 1));
    conclusions.iter().filter_map(above).min()
}

/// The report of some segments, ascending; at least one. A run that was stopped early has not judged all of their blocks.
pub fn report(conclusions: Vec<Conclusion>, rules: &ChainRules, limit: usize, run: Run) -> Validation {
    let checks = conclusions.iter().fold(Checks::ALL, |checks, c| checks.both(c.checks));
    // What a summary counts may be anything.
    let sum = |of: fn(&Conclusion) -> u64| conclusions.iter().map(of).fold(0, u64::saturating_add);
    let (blocks, transactions) = (sum(|c| c.last - c.first + 1), sum(|c| c.counts.transactions));
    let (moves, signatures) = (sum(|c| c.counts.moves), sum(|c| c.counts.signatures));
    let mut unchecked = Unchecked::default();
    conclusions.iter().for_each(|c| unchecked += c.unchecked);
    let state_roots = StateRoots { checked: sum(|c| c.state_roots.checked), matched: sum(|c| c.state_roots.matched) };
    let requirements = RequirementCounts {
        cells: sum(|c| c.requirements.cells),
        assumed: sum(|c| c.requirements.assumed),
        hashes: sum(|c| c.requirements.hashes),
        proven: sum(|c| c.requirements.proven),
        windows: sum(|c| c.requirements.windows),
    };
    let asked = |check, n| if checks.has(check) { n } else { 0 };
    let invalid_total = sum(|c| c.faults);
    let is_genesis_wrong = conclusions.iter().any(|c| c.genesis.is_some() && c.genesis != rules.genesis);
    let (first, last) = (conclusions.first(), conclusions.last());
    let blocks_judged = BlockRange {
        first: first.map_or(0, |c| c.first),
        last: last.map_or(0, |c| c.last),
        count: blocks,
        segments: conclusions.len() as u64,
        parent_hash: first.map_or(B256::ZERO, |c| c.parent_hash),
        tip_hash: last.map_or(B256::ZERO, |c| c.tip_hash),
    };
    let gas = conclusions.iter().fold(0, |gas: u64, c| gas.saturating_add(c.counts.gas));
    let final_state = FinalState {
        cells: sum(|c| c.exits),
        digest: Some(double_use::file_digest(conclusions.iter().map(|c| (c.first, c.last, c.digest)))),
        state_root: conclusions.iter().rev().find_map(|c| c.state_root),
    };
    let (mut invalid, mut chunks) = (Vec::new(), Vec::new());
    let (mut windows, mut assumed, mut demands) = (Vec::new(), Vec::new(), Vec::new());
    for c in conclusions {
        invalid.extend(c.invalid);
        chunks.extend(c.chunks);
        windows.extend(c.windows);
        assumed.extend(c.assumed);
        demands.push(c.demands);
    }
    invalid.sort_unstable();
    invalid.truncate(limit);
    let report = Report {
        version: REPORT_VERSION,
        verdict: match invalid_total {
            0 if checks == Checks::ALL && !run.stopped_early => Verdict::Valid,
            0 => Verdict::Partial,
            _ => Verdict::Invalid,
        },
        conditional: requirements != RequirementCounts::default(),
        chain: ChainClaim {
            name: if is_genesis_wrong { "custom" } else { rules.name() }.into(),
            id: rules.chain_id,
            genesis: rules.genesis,
            rules_digest: rules.digest(),
        },
        blocks: blocks_judged,
        transactions,
        moves,
        signatures,
        gas,
        checked: Checked {
            signatures: asked(Check::Signatures, signatures),
            hashes: asked(Check::Hashes, blocks),
            execution: asked(Check::Execution, transactions.saturating_add(2 * blocks)),
            conflicts: asked(Check::Conflicts, moves),
            blocks: asked(Check::Blocks, blocks),
        },
        unchecked: unchecked_counts(&unchecked, blocks, state_roots.checked),
        requirements,
        requirements_digest: requirements::digest(&windows, chunks.into_iter(), &assumed),
        final_state,
        state_roots,
        invalid_total,
        invalid: invalid.iter().map(|(fault, hash)| ListedFault::new(fault, *hash)).collect(),
        run,
    };
    Validation { report, requirements: demands, assumed, windows }
}

fn unchecked_counts(unchecked: &Unchecked, blocks: u64, state_roots_checked: u64) -> UncheckedCounts {
    UncheckedCounts {
        receipts_roots: unchecked.receipts_roots,
        state_roots: blocks - state_roots_checked,
        parent_headers: unchecked.parent_rules,
        ommer_lists: unchecked.ommers_hashes,
        ommer_rules: unchecked.ommer_rules,
        total_difficulties: unchecked.merge_rules,
        others: [
            unchecked.gas_rules,
            unchecked.blob_rules,
            unchecked.logs_blooms,
            unchecked.deposit_rules,
            unchecked.requests_hashes,
            unchecked.allocation_roots,
        ]
        .into_iter()
        .fold(0, u64::saturating_add),
    }
}

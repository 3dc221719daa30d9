//! Validation of block files: the three judgements over what was asked for, and the report.
//!
//! Solo and Block look at one block at a time, in any order, on all workers; Double use at the moves of each piece. None of
//! them reads what another says. Order, threads and cuts into windows change nothing but `run`.

mod blocks;
mod codes;
mod columns;
mod faults;
mod piece;
mod requirements;
mod roots;

use crate::backend::Backends;
use crate::block::Unchecked;
use crate::double_use::{self, Assumption, Culprit, Demand, Reverse, SegmentResult};
use crate::reason::{Check, Fault, Reason};
use crate::report::{
    BlockRange, ChainClaim, Checked, FinalState, ListedFault, REPORT_VERSION, Report, RequirementCounts, Run,
    UncheckedCounts, Verdict, Versions,
};
use crate::solo::check::{CannotJudge, say_version};
use crate::solo::signature::KnownKeys;
use alloy_consensus::Header;
use alloy_primitives::{Address, B256, keccak256};
use blocks::{BlockCounts, Shared};
use codes::{code_tables, wrong_codes};
use columns::PieceColumns;
use faults::Faults;
use manaflow_loader::file::{BlockFile, FORMAT_VERSION, PROTOCOL_VERSION};
use manaflow_loader::model::{Cell, Location, Mark, Value};
use piece::{Piece, decode, select};
use rayon::prelude::*;
pub use requirements::WindowRequirement;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Blocks that are in work at a time.
const WINDOW_BLOCKS: usize = 512;

/// The order in which blocks are judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// From the oldest block on.
    Forward,
    /// From the newest block back.
    Reverse,
    /// In an order drawn from a seed.
    Shuffled(u64),
}

/// When state roots are recomputed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StateRootAt {
    /// After the last block.
    End,
    /// After each block whose number this divides, and after the last.
    Every(u64),
    /// Not at all.
    Never,
}

/// A set of checks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Checks(u8);

impl Checks {
    /// All five.
    pub const ALL: Self = Self(0b1_1111);

    /// From a list.
    pub fn of(checks: &[Check]) -> Self {
        Self(checks.iter().fold(0, |set, check| set | 1 << *check as u8))
    }

    /// Whether a check is in the set.
    pub const fn has(self, check: Check) -> bool {
        self.0 >> check as u8 & 1 == 1
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Order of blocks.
    pub order: Order,
    /// Checks.
    pub checks: Checks,
    /// Blocks, inclusive; `None` for all.
    pub blocks: Option<RangeInclusive<u64>>,
    /// State roots; `None`: after the last block of what begins at genesis, if hashes are checked.
    pub state_root: Option<StateRootAt>,
    /// Faults listed.
    pub limit: usize,
    /// Stop after the blocks in work when there is a fault.
    pub fail_fast: bool,
    /// Give the list of requirements; they are counted and digested anyhow.
    pub list_requirements: bool,
    /// Who does the work.
    pub backends: Backends,
    /// Version of the program, for the report.
    pub version: String,
    /// Version of the EVM, for the report.
    pub revm: String,
}

/// Rows done, readable from another thread while a validation runs.
#[derive(Debug, Default)]
pub struct Progress {
    /// Blocks to do.
    pub blocks_total: AtomicU64,
    /// Blocks.
    pub blocks: AtomicU64,
    /// Signed transactions.
    pub transactions: AtomicU64,
    /// Moves.
    pub moves: AtomicU64,
    /// Gas.
    pub gas: AtomicU64,
    /// In reverse order: one more than the block from which on all is valid; 0 if there is none yet.
    pub valid_from: AtomicU64,
    /// In reverse order: the requirements of those blocks.
    pub waiting: AtomicU64,
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    /// A file cannot be read, or is malformed.
    #[error(transparent)]
    Loader(#[from] manaflow_loader::Error),
    /// A transaction cannot be judged by what the file holds.
    #[error("{path}: {error}", path = .path.display())]
    CannotJudge {
        /// The file.
        path: PathBuf,
        /// What is missing.
        error: CannotJudge,
    },
    /// The moves of a segment are no segment's.
    #[error("{path}: segment {segment}: {error}", path = .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Place of the segment in it.
        segment: usize,
        /// Where and why.
        error: double_use::Malformed,
    },
    /// What was asked for makes no sense for these files.
    #[error("{0}")]
    Usage(String),
    /// The files do not belong together, or do not hold what was asked for.
    #[error("{0}")]
    Input(String),
}

impl ValidateError {
    /// Whether the input is at fault; wrong usage is not input.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Loader(e) => e.is_input(),
            Self::CannotJudge { .. } | Self::Malformed { .. } | Self::Input(_) => true,
            Self::Usage(_) => false,
        }
    }
}

/// Report and what it counts but does not list.
#[derive(Debug)]
pub struct Validation {
    /// The report.
    pub report: Report,
    /// Requirements of each piece, sorted by cell; empty if they were not asked for.
    pub requirements: Vec<Vec<Demand>>,
    /// Cells assumed, each at the first use that says so, sorted by cell, piece by piece.
    pub assumed: Vec<(Assumption, Location)>,
    /// What the segments that do not begin at genesis say of the chain before them.
    pub windows: Vec<WindowRequirement>,
}

/// Double use's result for one piece, with cells and values by number.
type Numbers = SegmentResult<u32, u32>;

/// What one piece gave, besides faults.
struct Judged {
    /// Requirements; empty where nobody asked for the list.
    demands: Vec<Demand>,
    /// Hashes of its requirements, for their digest.
    chunks: Vec<B256>,
    assumed: Vec<(Assumption, Location)>,
    counts: RequirementCounts,
    /// Known exits, and their digest.
    exits: u64,
    digest: (u64, u64, B256),
    origin: u64,
    parent_hash: B256,
    tip_hash: B256,
}

/// Validates block files on the current rayon pool.
pub fn validate(files: &[&BlockFile], options: &Options, progress: &Progress) -> Result<Validation, ValidateError> {
    let started = Instant::now();
    let first_file = *files.first().ok_or_else(|| ValidateError::Usage("no file to validate".into()))?;
    for file in files {
        if file.rules() != first_file.rules() {
            let (a, b) = (first_file.path().display(), file.path().display());
            return Err(ValidateError::Input(format!("{b}: its chain rules are not those of {a}")));
        }
    }
    let pieces = select(files, options.blocks.as_ref())?;
    if pieces.is_empty() {
        let range = options.blocks.as_ref().map_or(String::new(), |r| format!(" in {}..{}", r.start(), r.end()));
        return Err(ValidateError::Input(format!("no block{range} in the files given")));
    }
    let from_genesis = pieces.iter().all(Piece::is_from_genesis);
    if !from_genesis && !matches!(options.state_root, None | Some(StateRootAt::Never)) {
        let first = pieces.iter().find(|p| !p.is_from_genesis()).map_or(0, |p| p.first);
        return Err(ValidateError::Usage(format!(
            "state roots can be recomputed from genesis only, and these blocks begin at {first}"
        )));
    }
    verify(&pieces)?;
    progress.blocks_total.store(pieces.iter().map(|p| p.blocks.len() as u64).sum(), Ordering::Relaxed);

    let faults = Faults::new(options.limit);
    let codes = code_tables(files, &pieces)?;
    let shared = Shared {
        checks: options.checks,
        backends: options.backends,
        known: KnownKeys::default(),
        codes,
        faults: &faults,
        progress,
    };
    let heads = pieces.iter().map(head_hashes).collect::<Result<Vec<_>, _>>()?;
    let columns = pieces
        .par_iter()
        .zip(&heads)
        .map(|(piece, (parent, _))| {
            let alone = piece.file.segments().len() == 1;
            PieceColumns::new(piece, *parent, alone).map_err(ValidateError::from)
        })
        .collect::<Result<Vec<_>, _>>()?;
    if options.checks.has(Check::Hashes) {
        wrong_codes(&pieces, &shared)?;
    }

    let (counts, results, stopped_early) = match options.order {
        Order::Reverse => run_reverse(&pieces, &columns, &shared, options)?,
        _ => {
            // Results are needed for requirements and exits even where conflicts are not asked for.
            let forward = matches!(options.order, Order::Forward);
            let ((counts, stopped), results) = {
                let (solo, results) = rayon::join(
                    || run_windows(&pieces, &shared, options),
                    || columns.par_iter().zip(&pieces).map(|(c, p)| double_use_of(c, p, forward)).collect(),
                );
                let results: Result<Vec<_>, ValidateError> = results;
                (solo?, results?)
            };
            (counts, results, stopped)
        }
    };
    // Whole cells and values take many times the room of their numbers: a piece's are gone when the next is judged.
    let judged: Vec<Judged> = (results.into_par_iter().zip(&columns).zip(&heads).enumerate())
        .map(|(i, ((result, columns), heads))| {
            let miners = counts.unknown_miners.iter().filter(|(place, ..)| *place == i);
            judge_piece(&result, columns, heads, miners, options, &faults)
        })
        .collect();
    let (state_root, state_roots) = roots::state_roots(&pieces, options, &faults)?;
    let last_fault = faults.last_block();
    let (invalid_total, listed) = faults.finish();
    let invalid = listed.iter().map(|f| listed_fault(f, &pieces)).collect::<Result<Vec<_>, _>>()?;

    let rules = first_file.rules();
    let c = counts.block;
    let moves: u64 = columns.iter().map(|c| c.len() as u64).sum();
    let asked = |check, n| if options.checks.has(check) { n } else { 0 };
    let blocks = pieces.iter().map(|p| p.blocks.len() as u64).sum();
    let requirements = requirement_counts(&judged, &pieces);
    let assumed: Vec<(Assumption, Location)> = judged.iter().flat_map(|j| j.assumed.iter().copied()).collect();
    let windows: Vec<WindowRequirement> = pieces
        .iter()
        .zip(&judged)
        .filter(|(piece, _)| !piece.is_from_genesis())
        .map(|(piece, judged)| WindowRequirement {
            first: piece.first,
            origin: judged.origin,
            parent_hash: judged.parent_hash,
            total_difficulty: piece.total_difficulty_before(piece.blocks.start),
        })
        .collect();
    let chunks = judged.iter().flat_map(|j| j.chunks.iter().copied());
    let requirements_digest = requirements::digest(&windows, chunks, &assumed);
    let report = Report {
        version: REPORT_VERSION,
        verdict: match invalid_total {
            0 if options.checks == Checks::ALL && !stopped_early => Verdict::Valid,
            0 => Verdict::Partial,
            _ => Verdict::Invalid,
        },
        conditional: requirements != RequirementCounts::default(),
        chain: ChainClaim {
            name: chain_name(rules, &pieces, &judged).into(),
            id: rules.chain_id,
            genesis: rules.genesis,
            rules_digest: rules.digest(),
        },
        blocks: BlockRange {
            first: pieces[0].first,
            last: pieces[pieces.len() - 1].last(),
            count: blocks,
            segments: pieces.len() as u64,
            parent_hash: judged[0].parent_hash,
            tip_hash: judged[judged.len() - 1].tip_hash,
        },
        transactions: c.transactions,
        moves,
        signatures: c.signatures,
        gas: c.gas,
        checked: Checked {
            signatures: asked(Check::Signatures, c.signatures),
            hashes: asked(Check::Hashes, blocks),
            execution: asked(Check::Execution, c.transactions + 2 * blocks),
            conflicts: asked(Check::Conflicts, moves),
            blocks: asked(Check::Blocks, blocks),
        },
        unchecked: unchecked_counts(&c.unchecked, blocks, state_roots.checked),
        requirements,
        requirements_digest,
        final_state: final_state(&judged, state_root),
        state_roots,
        invalid_total,
        invalid,
        run: Run {
            seconds: started.elapsed().as_secs_f64(),
            order: match options.order {
                Order::Forward => "forward".into(),
                Order::Reverse => "reverse".into(),
                Order::Shuffled(seed) => format!("shuffled:{seed}"),
            },
            procedure: match options.order {
                Order::Forward => "forward".into(),
                Order::Reverse => "reverse".into(),
                Order::Shuffled(_) => "shards".into(),
            },
            threads: rayon::current_num_threads(),
            backends: BTreeMap::from([
                ("signatures".into(), options.backends.signatures.name().into()),
                ("execution".into(), "revm".into()),
                ("hashes".into(), "keccak-asm".into()),
            ]),
            versions: Versions {
                manaflow: options.version.clone(),
                protocol: PROTOCOL_VERSION,
                format: FORMAT_VERSION,
                revm: options.revm.clone(),
            },
            valid_from: match options.order {
                Order::Reverse if !stopped_early => valid_from(&pieces, last_fault),
                _ => None,
            },
            stopped_early,
        },
    };
    let demands = judged.into_iter().map(|j| j.demands).collect();
    // Last: whatever was read of a file that changed meanwhile is worth nothing.
    for file in files {
        file.changed()?;
    }
    Ok(Validation { report, requirements: demands, assumed, windows })
}

/// Verifies the blocks of all pieces, in parts; of several refusals the first in their order is told.
fn verify(pieces: &[Piece<'_>]) -> Result<(), ValidateError> {
    let parts: Vec<_> = pieces
        .iter()
        .flat_map(|piece| {
            let end = piece.blocks.end;
            let starts = piece.blocks.clone().step_by(WINDOW_BLOCKS);
            starts.map(move |start| (piece.file, start..end.min(start + WINDOW_BLOCKS)))
        })
        .collect();
    let verified: Vec<_> = parts.into_par_iter().map(|(file, blocks)| file.verify_blocks(blocks)).collect();
    verified.into_iter().collect::<Result<(), _>>()?;
    let mut judged: BTreeMap<usize, (&BlockFile, usize)> = BTreeMap::new();
    for piece in pieces {
        judged.entry(piece.file_index).or_insert((piece.file, 0)).1 += piece.blocks.len();
    }
    for (file, _) in judged.into_values().filter(|(file, blocks)| *blocks == file.block_count()) {
        file.verify_values_named()?;
    }
    Ok(())
}

/// Sums over blocks; sums do not depend on the order.
#[derive(Default)]
struct Counts {
    block: BlockCounts,
    /// Piece, miner, closing.
    unknown_miners: Vec<(usize, Address, Location)>,
}

impl Counts {
    fn add(&mut self, piece: usize, block: BlockCounts) {
        self.block.transactions += block.transactions;
        self.block.signatures += block.signatures;
        self.block.gas = self.block.gas.saturating_add(block.gas);
        self.block.unchecked += block.unchecked;
        self.unknown_miners.extend(block.unknown_miner.map(|(miner, closing)| (piece, miner, closing)));
    }
}

/// All blocks as (piece, place in the block index), in the order asked for.
fn ordered(pieces: &[Piece<'_>], order: Order) -> Vec<(usize, usize)> {
    let mut all: Vec<(usize, usize)> =
        pieces.iter().enumerate().flat_map(|(i, piece)| piece.blocks.clone().map(move |block| (i, block))).collect();
    match order {
        Order::Forward => {}
        Order::Reverse => all.reverse(),
        Order::Shuffled(seed) => shuffle(&mut all, seed),
    }
    all
}

/// Fisher and Yates, drawing from SplitMix64.
fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed;
    for i in (1..items.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        items.swap(i, ((u128::from(z) * (i as u128 + 1)) >> 64) as usize);
    }
}

fn run_window(
    window: &[(usize, usize)],
    pieces: &[Piece<'_>],
    shared: &Shared<'_>,
    counts: &mut Counts,
) -> Result<(), ValidateError> {
    let done = blocks::groups(window, pieces)
        .into_par_iter()
        .map(|group| blocks::judge_group(group, pieces, shared))
        .collect::<Result<Vec<_>, ValidateError>>()?;
    done.into_iter().flatten().for_each(|(piece, block)| counts.add(piece, block));
    Ok(())
}

fn run_windows(pieces: &[Piece<'_>], shared: &Shared<'_>, options: &Options) -> Result<(Counts, bool), ValidateError> {
    let mut counts = Counts::default();
    let all = ordered(pieces, options.order);
    for window in all.chunks(WINDOW_BLOCKS) {
        run_window(window, pieces, shared, &mut counts)?;
        if options.fail_fast && shared.faults.count() > 0 {
            return Ok((counts, true));
        }
    }
    Ok((counts, false))
}

/// From the newest block back: double use takes the blocks of each window when Solo and Block have judged them, so that at
/// any moment it is known from which block on all is valid.
fn run_reverse(
    pieces: &[Piece<'_>],
    columns: &[PieceColumns<'_>],
    shared: &Shared<'_>,
    options: &Options,
) -> Result<(Counts, Vec<Numbers>, bool), ValidateError> {
    let mut counts = Counts::default();
    let mut results = Vec::with_capacity(pieces.len());
    let mut stopped = false;
    let mut still_valid = true;
    let mut waiting_above = 0;
    for (i, piece) in pieces.iter().enumerate().rev() {
        let mut reverse = Reverse::new(&columns[i]).map_err(|error| malformed(piece, error))?;
        let places: Vec<(usize, usize)> = piece.blocks.clone().rev().map(|block| (i, block)).collect();
        for window in places.chunks(WINDOW_BLOCKS) {
            if stopped {
                break;
            }
            run_window(window, pieces, shared, &mut counts)?;
            let mut reached = piece.last() + 1;
            for _ in window {
                reached = reverse.take_block().unwrap_or(reached);
            }
            still_valid &= shared.faults.count() == 0 && reverse.wrong_uses() == 0;
            if still_valid {
                shared.progress.valid_from.store(reached + 1, Ordering::Relaxed);
                let waiting = waiting_above + reverse.waiting() as u64;
                shared.progress.waiting.store(waiting, Ordering::Relaxed);
            }
            stopped = options.fail_fast && (shared.faults.count() > 0 || reverse.wrong_uses() > 0);
        }
        while reverse.take_block().is_some() {}
        waiting_above += reverse.waiting() as u64;
        results.push(reverse.result());
    }
    results.reverse();
    Ok((counts, results, stopped))
}

fn malformed(piece: &Piece<'_>, error: double_use::Malformed) -> ValidateError {
    ValidateError::Malformed { path: piece.file.path().to_path_buf(), segment: piece.segment, error }
}

fn double_use_of(columns: &PieceColumns<'_>, piece: &Piece<'_>, forward: bool) -> Result<Numbers, ValidateError> {
    let result = if forward { double_use::forward(columns) } else { double_use::shards(columns) };
    result.map_err(|error| malformed(piece, error))
}

/// Culprits become faults, the rest counts and digests.
fn judge_piece<'a>(
    result: &Numbers,
    columns: &PieceColumns<'_>,
    &(parent_hash, tip_hash): &(B256, B256),
    unknown_miners: impl Iterator<Item = &'a (usize, Address, Location)>,
    options: &Options,
    faults: &Faults,
) -> Judged {
    let mut result = result.resolve(columns);
    for &(_, miner, location) in unknown_miners {
        let assumption = Assumption { cell: Cell::account(miner), origin: columns.origin_block(), declared: true };
        // The last of them, as of declared assumptions: the order in which blocks are judged must not show.
        let last = result.assumed.entry(assumption).or_insert(location);
        *last = location.max(*last);
    }
    if options.checks.has(Check::Conflicts) {
        let contradictions = result.contradictions();
        let culprits = result.culprits.iter().chain(&contradictions);
        faults.take(&mut culprits.map(|c| conflict(c, columns)).collect());
    }
    let mut counts = RequirementCounts { assumed: result.assumed_count() as u64, ..RequirementCounts::default() };
    for demands in result.requirements.chunk_by(|a, b| a.cell == b.cell) {
        counts.cells += 1;
        // The h cells of the blocks themselves are required too: to be virgin.
        let is_hash = demands[0].cell.mark == Mark::BlockHash;
        counts.hashes += u64::from(is_hash && demands.iter().any(|d| d.prev != d.cell.default_value()));
    }
    Judged {
        chunks: requirements::chunks(&result.requirements),
        assumed: result.assumed.iter().map(|(a, at)| (*a, *at)).collect(),
        counts,
        exits: result.exits.iter().filter(|e| result.is_known(e)).count() as u64,
        digest: (result.first, result.end - 1, result.digest()),
        origin: result.origin,
        demands: if options.list_requirements { result.requirements } else { Vec::new() },
        parent_hash,
        tip_hash,
    }
}

/// Parent hash that the first block states, and hash of the last.
fn head_hashes(piece: &Piece<'_>) -> Result<(B256, B256), ValidateError> {
    let view = piece.file.block(piece.blocks.start)?;
    let header: Header = decode(piece.file, view.header(), || format!("block {}, header", view.number()))?;
    Ok((header.parent_hash, keccak256(piece.file.block(piece.blocks.end - 1)?.header())))
}

fn conflict(culprit: &Culprit, columns: &PieceColumns<'_>) -> Fault {
    let reason = match culprit.reason {
        double_use::Reason::VersionNotBefore => Reason::VersionNotBefore,
        double_use::Reason::VirginNotDefault => Reason::VirginNotDefault,
        double_use::Reason::DoubleUse => Reason::DoubleUse,
        double_use::Reason::StaleRead => Reason::StaleRead,
        double_use::Reason::WrongBefore => Reason::WrongBefore,
        double_use::Reason::Contradiction => Reason::Contradiction,
    };
    let say = |version, value: &Value| format!("{} {}", say_version(version), crate::solo::check::say(value));
    let mode = if culprit.write { "write" } else { "read" };
    let got = format!("{mode} of {}", say(culprit.intx, &culprit.prev));
    let expected = match &culprit.expected {
        Some((version, value)) => say(*version, value),
        None => format!("a version below {}", culprit.location),
    };
    Fault {
        location: culprit.location,
        move_index: columns.place_of(culprit.location, &culprit.cell),
        cell: Some(culprit.cell),
        check: Check::Conflicts,
        reason,
        got,
        expected,
    }
}

fn listed_fault(fault: &Fault, pieces: &[Piece<'_>]) -> Result<ListedFault, ValidateError> {
    let transaction = transaction_hash(fault.location, pieces)?;
    Ok(ListedFault::new(fault, transaction))
}

fn transaction_hash(location: Location, pieces: &[Piece<'_>]) -> Result<Option<B256>, ValidateError> {
    for piece in pieces.iter().filter(|p| (p.first..=p.last()).contains(&location.block())) {
        let block = piece.blocks.start + (location.block() - piece.first) as usize;
        let row = u32::try_from(location.index()).ok().and_then(|i| piece.file.block(block).ok()?.transaction(i));
        if let Some(row) = row {
            return Ok((!row.bytes().is_empty()).then(|| keccak256(row.bytes())));
        }
    }
    Ok(None)
}

/// The first block judged above all faults.
fn valid_from(pieces: &[Piece<'_>], last_fault: Option<u64>) -> Option<u64> {
    let Some(last_fault) = last_fault else { return pieces.first().map(|p| p.first) };
    let above = |p: &Piece<'_>| (p.last() > last_fault).then(|| p.first.max(last_fault + 1));
    pieces.iter().filter_map(above).min()
}

/// The built-in chain whose rules these are and, where block 0 is among the blocks, whose genesis it is.
fn chain_name(rules: &manaflow_loader::rules::ChainRules, pieces: &[Piece<'_>], judged: &[Judged]) -> &'static str {
    let wrong_genesis = pieces.iter().zip(judged).any(|(piece, judged)| {
        piece.is_from_genesis()
            && rules.genesis
                != Some(if piece.blocks.len() == 1 {
                    judged.tip_hash
                } else {
                    piece.file.block(piece.blocks.start).map(|view| keccak256(view.header())).unwrap_or_default()
                })
    });
    if wrong_genesis { "custom" } else { rules.name() }
}

fn requirement_counts(judged: &[Judged], pieces: &[Piece<'_>]) -> RequirementCounts {
    let sum = |of: fn(&RequirementCounts) -> u64| judged.iter().map(|j| of(&j.counts)).sum();
    RequirementCounts {
        cells: sum(|c| c.cells),
        assumed: sum(|c| c.assumed),
        hashes: sum(|c| c.hashes),
        windows: pieces.iter().filter(|p| !p.is_from_genesis()).count() as u64,
    }
}

fn final_state(judged: &[Judged], state_root: Option<B256>) -> FinalState {
    let digest = double_use::file_digest(judged.iter().map(|j| j.digest));
    FinalState { cells: judged.iter().map(|j| j.exits).sum(), digest: Some(digest), state_root }
}

fn unchecked_counts(unchecked: &Unchecked, blocks: u64, state_roots_checked: u64) -> UncheckedCounts {
    UncheckedCounts {
        receipts_roots: unchecked.receipts_roots,
        state_roots: blocks - state_roots_checked,
        parent_headers: unchecked.parent_rules,
        ommer_lists: unchecked.ommers_hashes,
        ommer_rules: unchecked.ommer_rules,
        total_difficulties: unchecked.merge_rules,
        others: unchecked.gas_rules
            + unchecked.blob_rules
            + unchecked.logs_blooms
            + unchecked.deposit_rules
            + unchecked.requests_hashes
            + unchecked.allocation_roots,
    }
}

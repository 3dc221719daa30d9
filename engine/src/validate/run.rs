//! The work itself: blocks in the order asked for, Double use beside them or, in reverse order, along with them.

use super::blocks::{self, BlockCounts, Shared};
use super::columns::PieceColumns;
use super::piece::Piece;
use super::{Order, ValidateError, malformed};
use crate::block::Unchecked;
use crate::cpu::Stage;
use crate::double_use::{self, NumberedResult, Reverse, Spill};
use crate::segment;
use alloy_primitives::Address;
use manaflow_loader::model::Location;
use manaflow_loader::summary::Waiting;
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};

/// Blocks that are in work at a time.
pub(super) const WINDOW_BLOCKS: usize = 512;

/// What one piece gave, besides faults.
#[derive(Clone, Default, Debug)]
pub(super) struct Counts {
    pub rows: segment::Counts,
    pub unchecked: Unchecked,
    /// In no order.
    pub waiting: Vec<Waiting>,
    /// Miners of blocks whose ommers are known by hash only, and those blocks' closings.
    pub unknown_miners: Vec<(Address, Location)>,
}

impl Counts {
    fn add(&mut self, block: BlockCounts) {
        self.rows.transactions += block.transactions;
        self.rows.signatures += block.signatures;
        self.rows.gas = self.rows.gas.saturating_add(block.gas);
        self.unchecked += block.unchecked;
        self.waiting.extend(block.waiting);
        self.unknown_miners.extend(block.unknown_miner);
    }
}

/// What a run gave: counts and Double use of each piece, and whether it stopped before it had seen all blocks.
pub(super) type Done = (Vec<Counts>, Vec<NumberedResult>, bool);

/// In which order, how far, and how double use is judged.
pub(super) struct Way<'a> {
    pub order: Order,
    pub fail_fast: bool,
    pub double_use: DoubleUse<'a>,
}

/// A procedure of double use, and what it takes.
pub(super) enum DoubleUse<'a> {
    Forward,
    /// Along with the blocks, from the newest back.
    Reverse,
    Sorted(Spill<'a>),
    /// With what sorts where it does not confirm, and whether that was so of any piece.
    Summed(Spill<'a>, &'a AtomicBool),
}

impl DoubleUse<'_> {
    /// Name as it is written in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Reverse => "reverse",
            Self::Sorted(_) => "shards",
            Self::Summed(_, unconfirmed) if unconfirmed.load(Ordering::Relaxed) => "sum, shards",
            Self::Summed(..) => "sum",
        }
    }

    fn of(&self, columns: &PieceColumns<'_>, piece: &Piece<'_>) -> Result<NumberedResult, ValidateError> {
        let malformed = |error| malformed(piece, error);
        let sorted = |spill: &Spill<'_>| {
            let folder = spill.folder.to_path_buf();
            let sorted = double_use::shards_within(columns, *spill).map_err(malformed)?;
            sorted.map_err(|source| ValidateError::Scratch { folder, source })
        };
        match self {
            Self::Forward => double_use::forward(columns).map_err(malformed),
            Self::Reverse => double_use::reverse(columns).map_err(malformed),
            Self::Sorted(spill) => sorted(spill),
            Self::Summed(spill, unconfirmed) => {
                match double_use::summed(columns, columns.hints()?).map_err(malformed)? {
                    Some(confirmed) => Ok(confirmed),
                    None => {
                        unconfirmed.store(true, Ordering::Relaxed);
                        sorted(spill)
                    }
                }
            }
        }
    }
}

/// Judges pieces. The order changes nothing of what is found.
pub(super) fn run(
    pieces: &[Piece<'_>],
    columns: &[PieceColumns<'_>],
    shared: &Shared<'_>,
    way: &Way<'_>,
) -> Result<Done, ValidateError> {
    if let DoubleUse::Reverse = way.double_use {
        return run_reverse(pieces, columns, shared, way.fail_fast);
    }
    let of_piece = |(columns, piece)| shared.cpu.within(Stage::Conflicts, || way.double_use.of(columns, piece));
    let (solo, results) = rayon::join(
        || run_windows(pieces, shared, (way.order, way.fail_fast)),
        // Results are needed for requirements and exits even where conflicts are not asked for.
        || columns.par_iter().zip(pieces).map(of_piece).collect(),
    );
    let (results, (counts, stopped)): (Result<Vec<_>, ValidateError>, _) = (results, solo?);
    Ok((counts, results?, stopped))
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
pub(super) fn shuffle<T>(items: &mut [T], seed: u64) {
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
    counts: &mut [Counts],
) -> Result<(), ValidateError> {
    let done = blocks::groups(window, pieces, shared.backends.signatures)
        .into_par_iter()
        .map(|group| blocks::judge_group(group, pieces, shared))
        .collect::<Result<Vec<_>, ValidateError>>()?;
    done.into_iter().flatten().for_each(|(piece, block)| counts[piece].add(block));
    Ok(())
}

fn run_windows(
    pieces: &[Piece<'_>],
    shared: &Shared<'_>,
    (order, fail_fast): (Order, bool),
) -> Result<(Vec<Counts>, bool), ValidateError> {
    let mut counts = vec![Counts::default(); pieces.len()];
    let all = ordered(pieces, order);
    for window in all.chunks(WINDOW_BLOCKS) {
        run_window(window, pieces, shared, &mut counts)?;
        if fail_fast && shared.faults.count() > 0 {
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
    fail_fast: bool,
) -> Result<Done, ValidateError> {
    let mut counts = vec![Counts::default(); pieces.len()];
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
            shared.cpu.within(Stage::Conflicts, || {
                for _ in window {
                    reached = reverse.take_block().unwrap_or(reached);
                }
            });
            still_valid &= shared.faults.count() == 0 && reverse.wrong_uses() == 0;
            if still_valid {
                shared.progress.valid_from.store(reached + 1, Ordering::Relaxed);
                let waiting = waiting_above + reverse.waiting() as u64;
                shared.progress.waiting.store(waiting, Ordering::Relaxed);
            }
            stopped = fail_fast && (shared.faults.count() > 0 || reverse.wrong_uses() > 0);
        }
        while reverse.take_block().is_some() {}
        waiting_above += reverse.waiting() as u64;
        results.push(reverse.result());
    }
    results.reverse();
    Ok((counts, results, stopped))
}

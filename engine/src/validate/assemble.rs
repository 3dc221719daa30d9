//! From what was found in a piece to a segment.

use super::columns::PieceColumns;
use super::piece::Piece;
use super::run::Counts;
use super::{Options, ValidateError};
use crate::double_use::{Assumption, NumberedResult};
use crate::reason::Check;
use crate::report::StateRoots;
use crate::segment::{self, Claim, Found, RootAtEnd, Segment, wait};
use alloy_primitives::U256;
use manaflow_loader::model::{Cell, Location};
use manaflow_loader::summary::{HEADS, Maybe};

/// What is known of a piece.
pub(super) struct Judged<'a> {
    pub columns: &'a PieceColumns<'a>,
    pub result: &'a NumberedResult,
    pub counts: &'a Counts,
    pub found: Found,
    pub state_roots: (StateRoots, RootAtEnd),
}

/// Makes a piece's segment. Without exits it is for whoever takes those one by one, which takes no memory for whole cells.
pub(super) fn assemble(
    piece: &Piece<'_>,
    judged: Judged<'_>,
    options: &Options,
    with_exits: bool,
) -> Result<Segment, ValidateError> {
    let Judged { columns, result, counts, found, state_roots: (state_roots, root_at_end) } = judged;
    let mut result = if with_exits { result.resolve(columns) } else { result.resolve_without_exits(columns) };
    for &(miner, location) in &counts.unknown_miners {
        let assumption = Assumption { cell: Cell::account(miner), origin: piece.origin(), declared: true };
        // The last of them, as of declared assumptions: the order in which blocks are judged must not show.
        let last = result.assumed.entry(assumption).or_insert(location);
        *last = location.max(*last);
    }
    let (start, end) = (piece.blocks.start, piece.blocks.end);
    let head = |block: usize| {
        let mut head = piece.head(block)?;
        head.kept.checks = options.checks.bits();
        head.kept.total_difficulty = Maybe(piece.total_difficulty_before(block));
        Ok(head)
    };
    let heads_end = end.min(start + HEADS);
    let heads = (start..heads_end).map(head).collect::<Result<Vec<_>, ValidateError>>()?;
    let tail = (heads_end.max(end.saturating_sub(HEADS))..end).map(|block| piece.head(block));
    let last = piece.file.block(end - 1)?;
    // Opening and closing are there, and locations are in bounds: both are checked when a block is opened.
    let index = last.transactions().len() as u64 - 1;
    let closing = Location::new(piece.last(), index).unwrap_or(Location::from_bits(piece.last() << 24 | index));
    let difficulty = piece.difficulties.last().copied().unwrap_or_default();
    let parent_hash = heads.first().map(|head| head.header.parent_hash).unwrap_or_default();
    let claim = piece.total.filter(|_| piece.first > 0).map(|total_difficulty| Claim {
        first: piece.first,
        origin: piece.origin(),
        parent_hash,
        total_difficulty,
        difficulty_before: U256::ZERO,
        is_judged: options.checks.has(Check::Blocks),
    });
    let (mut waits, mut waiting) = (counts.waiting.clone(), Vec::new());
    waits.sort_unstable_by_key(|w| w.first);
    waits.into_iter().for_each(|w| wait(&mut waiting, w));
    Ok(Segment {
        result,
        checks: options.checks,
        some_checks: options.checks,
        counts: segment::Counts { moves: columns.len() as u64, ..counts.rows },
        unchecked: counts.unchecked,
        state_roots,
        root_at_end,
        closing,
        difficulty,
        total_after: piece.total.map(|total| total.saturating_add(difficulty)),
        claim,
        earlier: piece.window(start)?,
        heads,
        tail: tail.collect::<Result<_, _>>()?,
        waiting,
        found,
        hashes: Default::default(),
    })
}

//! A validation in parts: what is done can be written down at any time, and gone on from.

use super::piece::Piece;
use super::{Options, Order, Task, ValidateError};
use crate::segment::{Segment, join};
use manaflow_loader::summary;
use std::sync::atomic::Ordering;

/// How a validation in parts begins and tells what it has.
pub struct Parts<'a> {
    /// What is done already, of the same files and options.
    pub done: Vec<summary::Segment>,
    /// Blocks of a part, at least one.
    pub blocks: usize,
    /// Whether what is done is to be written down now; asked after each part.
    pub is_due: &'a mut dyn FnMut() -> bool,
    /// Writes down what is done.
    pub save: &'a mut dyn FnMut(Vec<summary::Segment>) -> manaflow_loader::Result<()>,
}

impl std::fmt::Debug for Parts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("done", &self.done.len()).field("blocks", &self.blocks).finish_non_exhaustive()
    }
}

/// Segments that are done.
struct Done<'a> {
    /// Ascending; none continues the import of the one before.
    segments: Vec<Segment>,
    task: &'a Task<'a>,
}

impl Done<'_> {
    fn add(&mut self, new: Vec<Segment>) -> Result<(), ValidateError> {
        let mut all = std::mem::take(&mut self.segments);
        all.extend(new);
        all.sort_by_key(|segment| segment.result.first);
        self.segments = join(all, self.task.rules()).map_err(|e| self.task.cannot_merge(e))?;
        Ok(())
    }

    fn records(&mut self) -> Vec<summary::Segment> {
        // What nothing names any more goes.
        self.segments.iter_mut().for_each(|segment| segment.name_transactions(|_| None));
        self.segments.iter().map(summary::Segment::from).collect()
    }
}

/// Judges part after part what is not done, and gives the segments of all, joined.
pub(super) fn in_parts(task: &Task<'_>, options: &Options, parts: Parts<'_>) -> Result<Vec<Segment>, ValidateError> {
    let mut done = Done { segments: Vec::new(), task };
    let read = parts.done.into_iter().map(Segment::try_from).collect::<Result<Vec<_>, _>>();
    let read = read.map_err(|e| ValidateError::Input(format!("checkpoint: {e}")))?;
    if let Some(other) = read.iter().find(|segment| !is_of(segment, &task.pieces)) {
        let (first, last) = (other.result.first, other.result.end - 1);
        return Err(ValidateError::Input(format!("checkpoint: blocks {first} to {last} are not those of the files")));
    }
    done.add(read)?;
    let mut open = remaining(&task.pieces, &done.segments, parts.blocks.max(1));
    match options.order {
        Order::Forward => {}
        Order::Reverse => open.reverse(),
        Order::Shuffled(seed) => super::run::shuffle(&mut open, seed),
    }
    let open_blocks: u64 = open.iter().map(|part| part.blocks.len() as u64).sum();
    let total = task.progress.blocks_total.load(Ordering::Relaxed);
    task.progress.blocks.store(total - open_blocks, Ordering::Relaxed);
    let codes = task.codes(&open)?;
    let mut fresh = Vec::new();
    let has_work = !open.is_empty();
    for part in open {
        fresh.extend(task.segments(&[part], &codes)?);
        if (parts.is_due)() {
            done.add(std::mem::take(&mut fresh))?;
            task.unchanged()?;
            (parts.save)(done.records())?;
        }
    }
    done.add(fresh)?;
    if has_work {
        task.unchanged()?;
        (parts.save)(done.records())?;
    }
    Ok(done.segments)
}

/// Whether blocks of a segment are all in the pieces.
fn is_of(segment: &Segment, pieces: &[Piece<'_>]) -> bool {
    let mut at = segment.result.first;
    for piece in pieces {
        if (piece.first..piece.end()).contains(&at) {
            at = piece.end().min(segment.result.end);
        }
    }
    at == segment.result.end
}

/// What of the pieces no segment has, in parts.
fn remaining<'a>(pieces: &[Piece<'a>], done: &[Segment], part_blocks: usize) -> Vec<Piece<'a>> {
    let mut out = Vec::new();
    for piece in pieces {
        let place = |block: u64| piece.blocks.start + (block.clamp(piece.first, piece.end()) - piece.first) as usize;
        let mut at = piece.blocks.start;
        let ends = done.iter().map(|s| place(s.result.first)..place(s.result.end));
        for range in ends.chain(std::iter::once(piece.blocks.end..piece.blocks.end)) {
            while at < range.start {
                let end = range.start.min(at + part_blocks);
                // Each is judged by itself.
                out.push(Piece { place: 0, ..piece.part(at..end) });
                at = end;
            }
            at = at.max(range.end);
        }
    }
    out
}

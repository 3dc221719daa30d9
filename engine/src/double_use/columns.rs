//! What the procedures read: the uses of one segment in columns, and the conditions under which they may index by them.
//!
//! Cells, rows, versions and values are numbers here. Equal value numbers are equal values; different numbers need not be
//! different values, so the procedures ask [`Columns::same`] before they call two values different (the cold path).

use super::wide::wide;
use crate::search::first_row_where;
use alloy_primitives::B256;
use manaflow_loader::file::layout::FLAG_WRITE;
use manaflow_loader::model::{Cell, Location, Value, Version};
use std::ops::Range;

/// The uses of one segment, in columns of equal length, grouped by row in the order of locations.
pub trait Columns: Sync {
    /// First block of the segment, by position; 0 means from genesis.
    fn first(&self) -> u64;
    /// Number of blocks.
    fn blocks(&self) -> u64;
    /// Block from which the segment's generations count.
    fn origin(&self) -> u64;
    /// Parent hash that the first header states: one more demand on the cell h(first - 1), for contradiction only.
    fn parent_hash(&self) -> Option<B256>;

    /// Number of rows: transactions, system transactions included.
    fn rows(&self) -> u32;
    /// Location of a row; strictly ascending by row.
    fn location(&self, row: u32) -> Location;
    /// Uses of a row; the ranges of all rows, in order, tile the columns.
    fn moves_of(&self, row: u32) -> Range<usize>;

    /// Number of cells: cell ids are below it.
    fn cell_count(&self) -> u32;
    /// Versions that are no row of this segment, without duplicates.
    fn foreign(&self) -> &[Version];
    /// For each use: cell id.
    fn cells(&self) -> &[u32];
    /// For each use: version consumed or observed, an index into `foreign`, or `foreign().len()` + row.
    fn intx(&self) -> &[u32];
    /// For each use: number of the value before.
    fn prev(&self) -> &[u32];
    /// For each use: number of the value after; of a read, any number.
    fn next(&self) -> &[u32];
    /// For each use: bit 0 is set if it is a write.
    fn flags(&self) -> &[u8];
    /// Whether use i is a write.
    fn is_write(&self, i: usize) -> bool {
        self.flags()[i] & FLAG_WRITE != 0
    }

    /// Ranges of cells, ascending, each with a value number that is known to stand for the default of all of them. It saves
    /// time and decides nothing: elsewhere it is found out use by use.
    fn defaults(&self) -> Vec<(Range<u32>, u32)> {
        Vec::new()
    }

    /// The cell behind a number.
    fn cell(&self, cell: u32) -> Cell;
    /// The value behind a number, as a value of that cell.
    fn value(&self, cell: u32, number: u32) -> Value;
    /// Whether two numbers are the same value.
    fn same(&self, cell: u32, a: u32, b: u32) -> bool {
        a == b || self.value(cell, a) == self.value(cell, b)
    }
    /// Whether a number is the default of its cell.
    fn is_default(&self, cell: u32, number: u32) -> bool {
        self.value(cell, number) == self.cell(cell).default_value()
    }
}

/// One use, whole: what `shards` sorts.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Use {
    /// Cell id.
    pub cell: u32,
    /// Row.
    pub row: u32,
    /// Position in the row.
    pub place: u32,
    /// Version, as in [`Columns::intx`].
    pub intx: u32,
    /// Value before.
    pub prev: u32,
    /// Value after, if `write`.
    pub next: u32,
    /// Whether it is a write.
    pub write: bool,
}

/// Columns that are no segment's: the file is at fault, not the chain.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct Malformed {
    /// Column and row.
    pub place: String,
    /// What was got and what was expected.
    pub reason: String,
}

impl Malformed {
    pub(super) fn new(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { place: place.into(), reason: reason.into() }
    }
}

/// The use at index i of a row.
pub(super) fn use_at<C: Columns>(columns: &C, row: u32, start: usize, i: usize) -> Use {
    Use {
        cell: columns.cells()[i],
        row,
        place: u32::try_from(i - start).unwrap_or(u32::MAX),
        intx: columns.intx()[i],
        prev: columns.prev()[i],
        next: columns.next()[i],
        write: columns.is_write(i),
    }
}

/// Uses of a chunk.
pub(super) const CHUNK: usize = 1024;

/// Rows so long are told at once.
const RUN: usize = 16;

/// The uses of rows, a chunk at a time: their indices, and the row of each. A loop over uses then goes on over the ends of
/// rows, which nobody can foretell.
pub(super) struct Chunks<'a, C> {
    columns: &'a C,
    row: u32,
    uses: Range<usize>,
    own: [u32; CHUNK + RUN],
}

impl<'a, C: Columns> Chunks<'a, C> {
    #[inline(always)]
    pub fn new(columns: &'a C, rows: Range<u32>) -> Self {
        let uses = match rows.is_empty() {
            true => 0..0,
            false => columns.moves_of(rows.start).start..columns.moves_of(rows.end - 1).end,
        };
        Self { columns, row: rows.start, uses, own: [0; CHUNK + RUN] }
    }

    /// The next chunk; none of them is empty.
    #[inline(always)]
    pub fn next(&mut self) -> Option<(Range<usize>, &[u32])> {
        let (at, own) = (self.uses.start, &mut self.own);
        let stop = self.uses.end.min(at + CHUNK);
        let mut i = at;
        while i < stop {
            let row_end = self.columns.moves_of(self.row).end;
            // More than the row has: the next one writes over it.
            own[i - at..i - at + RUN].fill(self.row);
            if row_end - i > RUN {
                own[i - at..stop.min(row_end) - at].fill(self.row);
            }
            i = stop.min(row_end);
            self.row += u32::from(row_end <= stop);
        }
        self.uses.start = stop;
        (at < stop).then(|| (at..stop, &own[..stop - at]))
    }
}

/// The same from the last use up to the first: chunks, and what each is filled with, begin at the end.
#[inline(always)]
pub(super) fn each_chunk_back<C: Columns>(columns: &C, rows: Range<u32>, mut take: impl FnMut(Range<usize>, &[u32])) {
    if rows.is_empty() {
        return;
    }
    let (start, mut at) = (columns.moves_of(rows.start).start, columns.moves_of(rows.end - 1).end);
    let mut own = [0; RUN + CHUNK];
    // Rows from here on are told.
    let mut told = rows.end;
    while at > start {
        let stop = start.max(at.saturating_sub(CHUNK));
        let mut i = at;
        while i > stop {
            let row = told - 1;
            let row_start = columns.moves_of(row).start;
            let end = RUN + i - stop;
            // More than the row has: the one before it writes over it.
            own[end - RUN..end].fill(row);
            if i - row_start > RUN {
                own[RUN + stop.max(row_start) - stop..end].fill(row);
            }
            i = stop.max(row_start);
            told -= u32::from(row_start >= stop);
        }
        take(stop..at, &own[RUN..RUN + at - stop]);
        at = stop;
    }
}

/// Checks all that the procedures index by, and that versions say what a segment may say.
pub(super) fn check<C: Columns>(columns: &C) -> Result<(), Malformed> {
    check_but_numbers(columns)?;
    check_numbers(columns)
}

/// The same, but for the numbers of cells and versions: for procedures that look at them chunk by chunk, as they come
/// ([`Bounds`]), and so meet them in memory once.
pub(super) fn check_but_numbers<C: Columns>(columns: &C) -> Result<(), Malformed> {
    check_shape(columns)?;
    check_foreign(columns)?;
    let refusal = |version: &Version| match version {
        Version::Base(_) | Version::Assumed if columns.first() == 0 => {
            Some(format!("{version:?} in a segment from genesis"))
        }
        Version::Base(f) if *f > columns.first() => {
            Some(format!("base({f}) in a segment that begins at {}", columns.first()))
        }
        _ => None,
    };
    for (i, version) in columns.foreign().iter().enumerate() {
        // A list that serves several segments, or none of whose uses says it, does no harm.
        if let Some(reason) = refusal(version)
            && columns.intx().contains(&(i as u32))
        {
            return Err(Malformed::new(format!("foreign version {i}"), reason));
        }
    }
    Ok(())
}

/// Numbers that cells and versions are below.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    cells: u32,
    codes: u32,
}

impl Bounds {
    pub fn new<C: Columns>(columns: &C) -> Self {
        let codes = columns.foreign().len() as u64 + u64::from(columns.rows());
        Self { cells: columns.cell_count(), codes: u32::try_from(codes).unwrap_or(u32::MAX) }
    }

    /// Of cells, and of versions.
    #[inline(always)]
    pub fn both(self) -> (u32, u32) {
        (self.cells, self.codes)
    }

    /// Whether they hold for a cell and a version.
    #[inline(always)]
    pub fn hold(self, (cell, intx): (u32, u32)) -> bool {
        (cell < self.cells) & (intx < self.codes)
    }
}

/// Checks that cells and versions are numbers of the segment's.
pub(super) fn check_numbers<C: Columns>(columns: &C) -> Result<(), Malformed> {
    let bounds = Bounds::new(columns);
    let all = 0..columns.cells().len();
    if bounds.hold(most(columns, all)) || columns.cells().is_empty() {
        return Ok(());
    }
    let Bounds { cells, codes } = bounds;
    for (name, column, bound) in [("cells", columns.cells(), cells), ("intx", columns.intx(), codes)] {
        if let Some(i) = column.iter().position(|n| *n >= bound) {
            return Err(Malformed::new(format!("{name}, row {i}"), format!("{}, expected below {bound}", column[i])));
        }
    }
    Ok(())
}

wide! {
/// The greatest cell and version of some uses. A fold vectorises; `Iterator::max` does not.
fn most<C>(columns: &C, uses: Range<usize>) -> (u32, u32) {
    let of = |column: &[u32]| column[uses.clone()].iter().fold(0, |most: u32, n| most.max(*n));
    (of(columns.cells()), of(columns.intx()))
}
}

wide! {
/// Checks lengths of the columns, and their rows.
pub(super) fn check_shape<C>(columns: &C) -> Result<(), Malformed> {
    let uses = columns.cells().len();
    for (name, len) in [
        ("intx", columns.intx().len()),
        ("prev", columns.prev().len()),
        ("next", columns.next().len()),
        ("flags", columns.flags().len()),
    ] {
        if len != uses {
            return Err(Malformed::new(name, format!("{len} rows, expected {uses}")));
        }
    }
    // One code stays free for "no version" in the procedures' tables.
    let codes = columns.foreign().len() as u64 + u64::from(columns.rows());
    if codes >= u64::from(u32::MAX) {
        return Err(Malformed::new("rows", format!("{codes} versions, expected fewer than {}", u32::MAX)));
    }
    let (mut at, end) = (0, columns.first().saturating_add(columns.blocks()));
    let mut before = None;
    for row in 0..columns.rows() {
        let (range, location) = (columns.moves_of(row), columns.location(row));
        if range.start != at || range.end < at || range.end > uses {
            let reason = format!("uses {}..{}, expected to begin at {at}, within {uses}", range.start, range.end);
            return Err(Malformed::new(format!("moves of row {row}"), reason));
        }
        let inside = location.block() >= columns.first() && location.block() < end;
        if !inside || before.is_some_and(|b| location <= b) {
            let reason = format!("{location}, expected ascending within blocks {}..{end}", columns.first());
            return Err(Malformed::new(format!("location of row {row}"), reason));
        }
        (at, before) = (range.end, Some(location));
    }
    if at != uses {
        return Err(Malformed::new("moves of rows", format!("{at} uses in rows, expected {uses}")));
    }
    Ok(())
}
}

/// Checks that equal versions have equal codes: the procedures compare codes.
fn check_foreign<C: Columns>(columns: &C) -> Result<(), Malformed> {
    let mut order: Vec<usize> = (0..columns.foreign().len()).collect();
    order.sort_unstable_by_key(|i| columns.foreign()[*i]);
    for pair in order.windows(2) {
        if columns.foreign()[pair[0]] == columns.foreign()[pair[1]] {
            let reason = format!("{:?} is listed twice", columns.foreign()[pair[0]]);
            return Err(Malformed::new(format!("foreign version {}", pair[0].max(pair[1])), reason));
        }
    }
    for (i, version) in columns.foreign().iter().enumerate() {
        if let Version::At(location) = version
            && row_at(columns, *location).is_some()
        {
            return Err(Malformed::new(format!("foreign version {i}"), format!("{location} is a row of this segment")));
        }
    }
    Ok(())
}

/// The row at a location.
pub(super) fn row_at<C: Columns>(columns: &C, location: Location) -> Option<u32> {
    let row = first_row_where(0..columns.rows(), |row| columns.location(row) >= location);
    (row < columns.rows() && columns.location(row) == location).then_some(row)
}

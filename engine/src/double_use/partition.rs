//! Partition: what shards does where rows come in order. A part's table of live versions stays in a core's second cache.
//!
//! Cells are numbers and rows come in the order of locations, so one stable partition does for a sort: within a part of 2^15
//! cells, uses stay in order, and `forward`'s table of the part is all that is needed. A use becomes a record of 16 bytes:
//!
//! | words | 0 | 1 | 2 | 3, by bits |
//! |---|---|---|---|---|
//! | use | prev | intx | next | 0..16 cell in its part, 16 write, 17..32 its row, modulo 2^15 |
//! | step | row, a multiple of 2^15 | [`NONE`] | 0 | 0 |
//!
//! A step says what a row is added to: each part has one in front, and one more wherever rows pass a multiple of 2^15. So what a
//! record is depends on no record before it, and eight are made at once. Records collect in lines of 512 bytes and leave past
//! the caches, one line after the other, whichever part it is of: what is written here is read again only when all of it is
//! written. So it goes batch by batch: pieces of rows are partitioned on all workers, then parts are judged on all workers.
//! Memory: 16 bytes a use of a batch and a step, half a KiB a part and piece, 8 bytes a cell, and what is found. No order of parts or workers changes a result.

use super::columns::{Bounds, CHUNK, Chunks, Columns, Malformed, Use, check_numbers, use_at};
use super::findings::{Findings, Judge, NONE};
use super::forward::{self, Ground};
use super::memory::{self, Chain, Parts, Record, Run, prefetch};
use super::result::NumberedResult;
use super::wide::wide;
use crate::cpu::carry;
use crate::search::first_row_where;
use manaflow_loader::file::layout::FLAG_WRITE;
use rayon::prelude::*;
use std::hint::select_unpredictable;
use std::ops::Range;

/// Cells of a part, as a power of two: 8 bytes for each of 2^15 are what a second cache holds beside what streams through it.
pub(super) const PART_BITS: u32 = 15;
/// A record has 16 bits for a cell.
const PART_BITS_MOST: u32 = 16;
/// Uses of a piece at least, as a power of two.
const PIECE_BITS: u32 = 16;
/// Bytes of a record.
pub(super) const RECORD_BYTES: u64 = size_of::<Record>() as u64;

/// Bit of a record of a write.
const WRITE: u32 = 1 << 16;
/// Records that are asked for ahead of their turn.
const AHEAD: usize = 256;
/// Bits of a row that a use's record has.
const ROW_BITS: u32 = 15;

/// Sizes that change no result.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// A part has 2^bits cells, at most 2^16.
    pub bits: u32,
    /// Uses of a batch, about.
    pub batch: usize,
    /// Pieces of a batch, for as many workers.
    pub pieces: usize,
}

/// Uses of a batch at least, and cells for each of its uses at most: below, passes over the table cost more than a disk.
const BATCH: usize = 1 << 20;
const SPARSE: usize = 16;

impl Sizes {
    /// For columns of a size, and so many bytes for records: one batch, if it has room. `None` if batches would be too short.
    pub fn of<C: Columns>(columns: &C, memory: u64) -> Option<Self> {
        let (uses, cells) = (columns.cells().len(), columns.cell_count() as usize);
        let room = usize::try_from(memory / RECORD_BYTES).unwrap_or(usize::MAX);
        let batch = uses.min(room);
        let is_worth_it = batch == uses || batch >= BATCH.min(cells / SPARSE);
        is_worth_it.then_some(Self { bits: PART_BITS, batch, pieces: pieces(batch) })
    }
}

/// Pieces of so many uses: one a worker, unless they would be small.
pub(super) fn pieces(uses: usize) -> usize {
    rayon::current_num_threads().min(uses >> PIECE_BITS)
}

/// Memory of records, tables and uses, kept for the next segment: its first touch costs as much as all that is done with it later.
#[derive(Default, Debug)]
pub struct Workspace {
    lists: Vec<Parts>,
    table: Vec<u64>,
    uses: Vec<Use>,
}

impl Workspace {
    /// Takes the memory of a result that nobody needs any more.
    pub fn take_back(&mut self, result: NumberedResult) {
        let table = result.exits.into_table();
        if table.capacity() > self.table.capacity() {
            self.table = table;
        }
    }

    /// A table that is no longer needed, with whatever room it has.
    pub(super) fn table(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.table)
    }

    /// Places for so many uses, with anything in them.
    pub(super) fn uses(&mut self, count: usize) -> &mut [Use] {
        if self.uses.len() < count {
            memory::empty(&mut self.uses, count);
            self.uses.resize(count, Use::default());
        }
        &mut self.uses[..count]
    }
}

/// Judges a segment, if all but the numbers is checked. Errors: a number that is out of bounds.
pub(super) fn run<C: Columns>(
    columns: &C,
    sizes: Sizes,
    workspace: &mut Workspace,
) -> Result<NumberedResult, Malformed> {
    let Sizes { bits, batch, pieces } = sizes;
    assert!(bits <= PART_BITS_MOST, "a record has 16 bits for a cell");
    let judge = Judge::new(columns, columns.first());
    let ground = Ground::new(columns);
    let stage = carry();
    let mut live = workspace.table();
    memory::empty(&mut live, columns.cell_count() as usize);
    live.resize(columns.cell_count() as usize, forward::UNUSED);
    let mut findings = Findings::default();
    if workspace.lists.len() < pieces.max(1) {
        workspace.lists.resize_with(pieces.max(1), Parts::default);
    }
    let lists = &mut workspace.lists[..pieces.max(1)];
    let batches = cut(columns, 0..columns.rows(), columns.cells().len().div_ceil(batch.max(1)));
    for (n, rows) in batches.into_iter().enumerate() {
        let pieces = cut(columns, rows, pieces);
        let write = |(list, rows): (&mut Parts, _)| stage.within(|| partition(columns, rows, bits, list));
        if !lists.par_iter_mut().zip(pieces).map(write).reduce(|| true, |a, b| a & b) {
            return Err(check_numbers(columns).expect_err("some number is out of bounds"));
        }
        let walk = |(part, table): (usize, &mut [u64])| {
            stage.within(|| {
                let mut findings = Findings::default();
                let first = (part as u32) << bits;
                // Uses meet the table in no order: it comes as a whole before.
                match n {
                    0 => ground.lay(first, table),
                    _ => (0..table.len()).step_by(8).for_each(|place| prefetch(table, place)),
                }
                for list in &*lists {
                    walk_part(&mut Walk::new(&judge, &ground, first, table, &mut findings), list.part(part));
                }
                findings
            })
        };
        let found: Vec<Findings> = live.par_chunks_mut(1 << bits).enumerate().map(walk).collect();
        found.into_iter().for_each(|f| findings.append(f));
    }
    Ok(findings.finish_live(&judge, live))
}

wide! {
/// A part's records go through its table.
fn walk_part<C>(walk: &mut Walk<'_, '_, C>, records: Chain<'_>) -> () {
    walk.take(&records, 0);
}
}

/// Rows in pieces of about as many uses.
pub(super) fn cut<C: Columns>(columns: &C, rows: Range<u32>, pieces: usize) -> Vec<Range<u32>> {
    let pieces = pieces.max(1);
    let uses = uses_of(columns, &rows);
    let row_from = |i: usize| first_row_where(rows.clone(), |row| columns.moves_of(row).start >= i);
    let inner = (1..pieces).map(|n| row_from(uses.start + uses.len() / pieces * n));
    let bounds: Vec<u32> = std::iter::once(rows.start).chain(inner).chain([rows.end]).collect();
    bounds.windows(2).map(|w| w[0]..w[1]).collect()
}

/// The uses of rows.
fn uses_of<C: Columns>(columns: &C, rows: &Range<u32>) -> Range<usize> {
    match rows.is_empty() {
        true => 0..0,
        false => columns.moves_of(rows.start).start..columns.moves_of(rows.end - 1).end,
    }
}

/// A part's records on their way through its table, in order.
pub(super) struct Walk<'a, 'b, C> {
    judge: &'a Judge<'b, C>,
    ground: &'a Ground,
    /// First cell of the part.
    first: u32,
    table: &'a mut [u64],
    findings: &'a mut Findings,
    /// Version code that a record's row is added to.
    base: u32,
}

impl<'a, 'b, C: Columns> Walk<'a, 'b, C> {
    pub fn new(
        judge: &'a Judge<'b, C>,
        ground: &'a Ground,
        first: u32,
        table: &'a mut [u64],
        findings: &'a mut Findings,
    ) -> Self {
        Self { judge, ground, first, table, findings, base: judge.row_codes }
    }

    /// Takes the records from a place on; those before it were taken, and go back to the beginning of the row at least.
    #[inline(always)]
    pub fn take(&mut self, records: &(impl Run + ?Sized), from: usize) {
        let judge = self.judge;
        let (mut base, mut at) = (self.base, from);
        while at < records.len() {
            let together = records.from(at);
            records.ask_beyond(at);
            for (i, &[prev, intx, next, word]) in together.iter().enumerate() {
                // Beyond the end of a page nobody else looks ahead.
                prefetch(together, i + AHEAD);
                if intx == NONE {
                    base = prev + judge.row_codes;
                    continue;
                }
                let code = base + (word >> 17);
                let is_write = word & WRITE != 0;
                let live = &mut self.table[(word & 0xffff) as usize];
                if *live != forward::entry(intx, prev) || self.ground.is_more(intx, code, is_write, judge.row_codes) {
                    let cell = self.first + (word & 0xffff);
                    let u = find(judge.columns, records, at + i, cell, word, code - judge.row_codes);
                    forward::demand(judge, live, u, self.findings);
                }
                *live = select_unpredictable(is_write, forward::entry(code, next), *live);
            }
            at += together.len();
        }
        self.base = base;
    }

    /// Where the row of the last record begins.
    pub fn row_start(records: &[Record]) -> usize {
        let Some(&[.., last]) = records.last() else { return 0 };
        let is_before = |&[_, intx, _, word]: &Record| intx == NONE || (word ^ last) >> 17 != 0;
        records.iter().rposition(is_before).map_or(0, |before| before + 1)
    }
}

/// The use behind a record: of several on one cell in one row, as many lie before it here as there.
#[cold]
#[inline(never)]
fn find<C: Columns>(columns: &C, records: &(impl Run + ?Sized), at: usize, cell: u32, word: u32, row: u32) -> Use {
    let range = columns.moves_of(row);
    let mut all = range.clone().filter(|&i| columns.cells()[i] == cell);
    let first = all.next().expect("the record was made of a use");
    let i = match all.next() {
        None => first,
        Some(_) => {
            let is_same_row = |&[_, intx, _, other]: &Record| intx != NONE && (other ^ word) >> 17 == 0;
            let of_row = (0..at).rev().map(|before| records.at(before)).take_while(is_same_row);
            let earlier = of_row.filter(|[.., other]| (other ^ word) & 0xffff == 0).count();
            range.clone().filter(|&i| columns.cells()[i] == cell).nth(earlier).expect("as many are there as here")
        }
    };
    use_at(columns, row, range.start, i)
}

/// What records go to.
pub(super) trait Out {
    /// Takes uses: the cell of each, whose high bits name its part, and its record.
    fn put_each(&mut self, cells: &[u32], bits: u32, records: &[Record]);
    /// Takes a record to every part.
    fn put_to_all(&mut self, record: Record);
}

/// The records of rows, in order; false, and not all of them, if a number is out of bounds.
#[inline(always)]
pub(super) fn each_record<C: Columns>(columns: &C, rows: Range<u32>, bits: u32, out: &mut impl Out) -> bool {
    let bounds = Bounds::new(columns);
    let mut step = None;
    // First records, then their ways: each loop by itself is short enough to be done at several places at once.
    let mut records = [Record::default(); CHUNK];
    let mut chunks = Chunks::new(columns, rows);
    while let Some((uses, rows)) = chunks.next() {
        let cells = &columns.cells()[uses.clone()];
        let places = cells.iter().zip(rows).zip(&columns.flags()[uses.clone()]);
        let demands = columns.intx()[uses.clone()].iter().zip(&columns.prev()[uses.clone()]);
        let each = places.zip(demands.zip(&columns.next()[uses]));
        let mut most = (0, 0);
        for (record, (((&cell, &row), &flags), ((&intx, &prev), &next))) in records.iter_mut().zip(each) {
            most = (most.0.max(cell), most.1.max(intx));
            let write = if flags & FLAG_WRITE != 0 { WRITE } else { 0 };
            *record = [prev, intx, next, cell & ((1 << bits) - 1) | write | row << (32 - ROW_BITS)];
        }
        if !bounds.hold(most) {
            return false;
        }
        let mut from = 0;
        while from < rows.len() {
            let here = rows[from] >> ROW_BITS;
            if step.replace(here) != Some(here) {
                out.put_to_all([here << ROW_BITS, NONE, 0, 0]);
            }
            let end = match rows[rows.len() - 1] >> ROW_BITS == here {
                true => rows.len(),
                false => rows.partition_point(|row| row >> ROW_BITS <= here),
            };
            out.put_each(&cells[from..end], bits, &records[from..end]);
            from = end;
        }
    }
    true
}

/// Parts that cells are dealt to.
pub(super) fn parts<C: Columns>(columns: &C, bits: u32) -> usize {
    (columns.cell_count() >> bits) as usize + 1
}

/// Steps that rows bring to a part at most.
fn steps(rows: &Range<u32>) -> usize {
    (rows.len() >> ROW_BITS) + 2
}

wide! {
/// The uses of rows by part; false, and not all of them, if a number is out of bounds.
fn partition<C>(columns: &C, rows: Range<u32>, bits: u32, out: &mut Parts) -> bool {
    let parts = parts(columns, bits);
    out.empty(parts, uses_of(columns, &rows).len() + parts * steps(&rows));
    let is_within = each_record(columns, rows, bits, out);
    out.finish();
    is_within
}
}

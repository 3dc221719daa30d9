//! Partition: what shards does where rows come in order. A part's table of live versions stays in a core's second cache.
//!
//! Cells are numbers and rows come in the order of locations, so one stable partition does for a sort: within a part of 2^16
//! cells, uses stay in order, and `forward`'s table of the part is all that is needed. A use becomes a record of 16 bytes:
//!
//! | bits | word 0 | word 1 | word 2 | word 3 |
//! |---|---|---|---|---|
//! | use | 0..16 cell in its part, 16 write, 17..32 rows since the part's record before | intx | prev | next |
//! | step | 0 | [`NONE`] | row | 0 |
//!
//! A step stands before a use that is too far from the record before it. Records collect in lines of 512 bytes and leave past
//! the caches: what is written here is read again only when all of it is written. So it goes batch by batch: pieces of rows are
//! partitioned on all workers, then parts are judged on all workers.
//! Memory: 16 bytes a use of a batch, 8 bytes a cell, and what is found. No order of parts or workers changes a result.

use super::columns::{CHUNK, Columns, Use, each_chunk, use_at};
use super::findings::{Findings, Judge, NONE};
use super::forward::{self, Ground};
use super::memory::{self, LINE, Line, Record, Records, prefetch};
use super::result::NumberedResult;
use super::wide::wide;
use crate::cpu::carry;
use crate::search::first_row_where;
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

const WRITE: u32 = 1 << 16;
const FAR: u32 = 1 << 15;

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

/// Memory of records, kept for the next segment: its first touch costs as much as all that is done with it later.
#[derive(Default, Debug)]
pub struct Workspace {
    lists: Vec<Parts>,
}

/// Judges a segment.
pub(super) fn run<C: Columns>(columns: &C, sizes: Sizes, workspace: &mut Workspace) -> NumberedResult {
    let Sizes { bits, batch, pieces } = sizes;
    assert!(bits <= PART_BITS_MOST, "a record has 16 bits for a cell");
    let judge = Judge::new(columns, columns.first());
    let ground = Ground::new(columns);
    let stage = carry();
    let mut live = memory::table(forward::UNUSED, columns.cell_count() as usize);
    let mut findings = Findings::default();
    if workspace.lists.len() < pieces.max(1) {
        workspace.lists.resize_with(pieces.max(1), Parts::default);
    }
    let lists = &mut workspace.lists[..pieces.max(1)];
    let batches = cut(columns, 0..columns.rows(), columns.cells().len().div_ceil(batch.max(1)));
    for (n, rows) in batches.into_iter().enumerate() {
        let pieces = cut(columns, rows, pieces);
        let write = |(list, rows): (&mut Parts, _)| {
            let records = std::mem::take(&mut list.records);
            *list = stage.within(|| wide(|| partition(columns, rows, bits, records)));
        };
        lists.par_iter_mut().zip(pieces).for_each(write);
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
                    wide(|| Walk::new(&judge, &ground, first, table, &mut findings).take(list.part(part), 0));
                }
                findings
            })
        };
        let found: Vec<Findings> = live.par_chunks_mut(1 << bits).enumerate().map(walk).collect();
        found.into_iter().for_each(|f| findings.append(f));
    }
    findings.finish_live(&judge, live)
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
    /// Version code of the row that the last record is of.
    code: u32,
}

impl<'a, 'b, C: Columns> Walk<'a, 'b, C> {
    pub fn new(
        judge: &'a Judge<'b, C>,
        ground: &'a Ground,
        first: u32,
        table: &'a mut [u64],
        findings: &'a mut Findings,
    ) -> Self {
        Self { judge, ground, first, table, findings, code: judge.row_codes }
    }

    /// Takes the records from a place on; those before it were taken, and go back to the beginning of the row at least.
    #[inline(always)]
    pub fn take(&mut self, records: &[Record], from: usize) {
        let judge = self.judge;
        let mut code = self.code;
        for (i, &[word, intx, prev, next]) in records.iter().enumerate().skip(from) {
            if intx == NONE {
                code = prev + judge.row_codes;
                continue;
            }
            code += word >> 17;
            let is_write = word & WRITE != 0;
            let live = &mut self.table[(word & 0xffff) as usize];
            if *live != forward::entry(intx, prev) || self.ground.is_more(intx, code, is_write, judge.row_codes) {
                let cell = self.first + (word & 0xffff);
                let u = find(judge.columns, &records[..i], cell, word, code - judge.row_codes);
                forward::demand(judge, live, u, self.findings);
            }
            *live = select_unpredictable(is_write, forward::entry(code, next), *live);
        }
        self.code = code;
    }

    /// Where the row of the last record begins, or its step.
    pub fn row_start(records: &[Record]) -> usize {
        let begins_row = |&[word, intx, ..]: &Record| intx == NONE || word >> 17 != 0;
        records.iter().rposition(begins_row).unwrap_or(0)
    }
}

/// The use behind a record: of several on one cell in one row, as many lie before it here as there.
#[cold]
#[inline(never)]
fn find<C: Columns>(columns: &C, before: &[Record], cell: u32, word: u32, row: u32) -> Use {
    let mut earlier = 0;
    let mut is_same_row = word >> 17 == 0;
    for &[other, intx, ..] in before.iter().rev() {
        if !is_same_row || intx == NONE {
            break;
        }
        earlier += usize::from((other ^ word) & 0xffff == 0);
        is_same_row = other >> 17 == 0;
    }
    let range = columns.moves_of(row);
    let i = range.clone().filter(|&i| columns.cells()[i] == cell).nth(earlier).expect("the record was made of a use");
    use_at(columns, row, range.start, i)
}

/// Records by part.
#[derive(Default, Debug)]
struct Parts {
    records: Records,
    /// Of each part, in records.
    ranges: Vec<Range<usize>>,
}

impl Parts {
    fn part(&self, part: usize) -> &[Record] {
        self.records.slice(self.ranges[part].clone())
    }
}

/// Uses for each part. Four counts in turn, so that a hot cell does not wait for its own.
#[inline(always)]
fn histogram(cells: &[u32], parts: usize, bits: u32) -> Vec<usize> {
    let mut counts = vec![[0u32; 4]; parts];
    let mut quads = cells.chunks_exact(4);
    for quad in &mut quads {
        for (lane, cell) in quad.iter().enumerate() {
            counts[(cell >> bits) as usize][lane] += 1;
        }
    }
    for cell in quads.remainder() {
        counts[(cell >> bits) as usize][0] += 1;
    }
    counts.iter().map(|lanes| lanes.iter().map(|&n| n as usize).sum()).collect()
}

/// How many records rows may give each part.
pub(super) struct Shape {
    pub most: Vec<usize>,
}

impl Shape {
    pub fn new<C: Columns>(columns: &C, rows: &Range<u32>, bits: u32) -> Self {
        let parts = (columns.cell_count() >> bits) as usize + 1;
        let uses = uses_of(columns, rows);
        // Each step but the first brings the part's row on by FAR at least.
        let steps = rows.len() / FAR as usize + 2;
        let most = |n| if n == 0 { 0 } else { n + steps };
        Self { most: histogram(&columns.cells()[uses], parts, bits).into_iter().map(most).collect() }
    }
}

/// The records of rows, in order, each with its part. Each part begins with a step.
#[inline(always)]
pub(super) fn each_record<C: Columns>(columns: &C, rows: Range<u32>, bits: u32, mut put: impl FnMut(usize, Record)) {
    let parts = (columns.cell_count() >> bits) as usize + 1;
    let mut newest = vec![i64::from(rows.start) - i64::from(FAR); parts];
    // First words, then records, then their ways: each loop by itself is short enough to be done at several places at once.
    let mut words = [0; CHUNK];
    let mut records = [Record::default(); CHUNK];
    let mut steps: Vec<usize> = Vec::new();
    each_chunk(columns, rows, |uses, rows| {
        let cells = &columns.cells()[uses.clone()];
        for (i, ((&cell, &row), word)) in cells.iter().zip(rows).zip(&mut words).enumerate() {
            let newest = &mut newest[(cell >> bits) as usize];
            // Below FAR, or a step tells the row.
            let mut distance = (i64::from(row) - *newest) as u32;
            *newest = i64::from(row);
            if distance >= FAR {
                steps.push(i);
                distance = 0;
            }
            let flag = u32::from(columns.is_write(uses.start + i)) << 16;
            *word = cell & ((1 << bits) - 1) | flag | distance << 17;
        }
        let intx = words.iter().zip(&columns.intx()[uses.clone()]);
        let values = columns.prev()[uses.clone()].iter().zip(&columns.next()[uses.clone()]);
        for (record, ((&word, &intx), (&prev, &next))) in records.iter_mut().zip(intx.zip(values)) {
            *record = [word, intx, prev, next];
        }
        let mut from = 0;
        for &step in steps.iter().chain([&cells.len()]) {
            for (&cell, &record) in cells[from..step].iter().zip(&records[from..step]) {
                put((cell >> bits) as usize, record);
            }
            if let Some(&row) = rows.get(step) {
                put((cells[step] >> bits) as usize, [0, NONE, row, 0]);
            }
            from = step;
        }
        steps.clear();
    });
}

#[inline(always)]
fn partition<C: Columns>(columns: &C, rows: Range<u32>, bits: u32, mut records: Records) -> Parts {
    let shape = Shape::new(columns, &rows, bits);
    let mut total = 0;
    let mut starts = Vec::with_capacity(shape.most.len());
    for most in shape.most {
        starts.push(total * LINE);
        total += most.div_ceil(LINE);
    }
    records.empty(total);
    let lines = vec![Line::default(); starts.len()];
    let mut out = Writer { records, lines, next: starts.clone() };
    each_record(columns, rows, bits, |part, record| out.put(part, record));
    out.finish(starts)
}

/// Records on their way to their parts.
struct Writer {
    records: Records,
    /// Of each part, the line that is not full yet.
    lines: Vec<Line>,
    /// Of each part, the place of its next record.
    next: Vec<usize>,
}

impl Writer {
    #[inline(always)]
    fn put(&mut self, part: usize, record: Record) {
        let place = self.next[part];
        self.lines[part].0[place % LINE] = record;
        self.next[part] = place + 1;
        if place % LINE == LINE - 1 {
            self.records.stream(place / LINE, &self.lines[part]);
        }
    }

    fn finish(mut self, starts: Vec<usize>) -> Parts {
        for (line, &next) in self.lines.iter().zip(&self.next).filter(|(_, next)| **next % LINE > 0) {
            self.records.stream(next / LINE, line);
        }
        self.records.settle();
        let ranges = starts.into_iter().zip(self.next).map(|(start, end)| start..end).collect();
        Parts { records: self.records, ranges }
    }
}

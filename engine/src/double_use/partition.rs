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
//! the caches: what is written here is read again only when all of it is written. Pieces of rows are partitioned on all
//! workers, then parts are judged on all workers.
//! Memory: 16 bytes a use, 8 bytes a cell, and what is found. No order of parts or workers changes a result.

use super::columns::{Columns, Use, use_at};
use super::findings::{Findings, Judge, NONE};
use super::forward::{self, Ground};
use super::memory::{LINE, Line, Record, Records};
use super::result::NumberedResult;
use crate::cpu::carry;
use crate::search::first_row_where;
use rayon::prelude::*;
use std::hint::select_unpredictable;
use std::ops::Range;

/// Cells of a part, as a power of two: a record has 16 bits for one, and 8 bytes for each of 2^16 are what a second cache holds.
pub(super) const PART_BITS: u32 = 16;

const WRITE: u32 = 1 << 16;
const FAR: u32 = 1 << 15;

/// Judges a segment in parts of 2^`bits` cells, at most 2^16, cut into so many pieces of rows.
pub(super) fn run<C: Columns>(columns: &C, bits: u32, pieces: usize) -> NumberedResult {
    assert!(bits <= PART_BITS, "a record has 16 bits for a cell");
    let judge = Judge::new(columns, columns.first());
    let ground = Ground::new(columns);
    let stage = carry();
    let of_rows = |rows| stage.within(|| partition(columns, rows, bits));
    let lists: Vec<Parts> = cut(columns, pieces).into_par_iter().map(of_rows).collect();
    let mut live = vec![forward::UNUSED; columns.cell_count() as usize];
    let found: Vec<Findings> = live
        .par_chunks_mut(1 << bits)
        .enumerate()
        .map(|(part, table)| {
            stage.within(|| {
                let mut findings = Findings::default();
                let first = (part as u32) << bits;
                ground.lay(first, table);
                for list in &lists {
                    Walk::new(&judge, &ground, first, table, &mut findings).take(list.part(part), 0);
                }
                findings
            })
        })
        .collect();
    let mut findings = Findings::default();
    found.into_iter().for_each(|f| findings.append(f));
    findings.finish_live(&judge, live)
}

/// Rows in pieces of about as many uses.
pub(super) fn cut<C: Columns>(columns: &C, pieces: usize) -> Vec<Range<u32>> {
    let (uses, pieces) = (columns.cells().len(), pieces.max(1));
    let row_from = |i: usize| first_row_where(0..columns.rows(), |row| columns.moves_of(row).start >= i);
    let bounds: Vec<u32> = (0..pieces).map(|n| row_from(uses / pieces * n)).chain([columns.rows()]).collect();
    bounds.windows(2).map(|w| w[0]..w[1]).collect()
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
        let uses = match rows.is_empty() {
            true => 0..0,
            false => columns.moves_of(rows.start).start..columns.moves_of(rows.end - 1).end,
        };
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
    let (cells, intx, prev, next) = (columns.cells(), columns.intx(), columns.prev(), columns.next());
    for row in rows {
        for i in columns.moves_of(row) {
            let cell = cells[i];
            let part = (cell >> bits) as usize;
            let distance = i64::from(row) - newest[part];
            newest[part] = i64::from(row);
            // Below FAR, or the step has told the row.
            let mut distance = distance as u32;
            if distance >= FAR {
                put(part, [0, NONE, row, 0]);
                distance = 0;
            }
            let flag = u32::from(columns.is_write(i)) << 16;
            put(part, [cell & ((1 << bits) - 1) | flag | distance << 17, intx[i], prev[i], next[i]]);
        }
    }
}

fn partition<C: Columns>(columns: &C, rows: Range<u32>, bits: u32) -> Parts {
    let shape = Shape::new(columns, &rows, bits);
    let mut total = 0;
    let mut starts = Vec::with_capacity(shape.most.len());
    for most in shape.most {
        starts.push(total * LINE);
        total += most.div_ceil(LINE);
    }
    let lines = vec![Line::default(); starts.len()];
    let mut out = Writer { records: Records::new(total), lines, next: starts.clone() };
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

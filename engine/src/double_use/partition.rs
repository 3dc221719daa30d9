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
//! Memory: 16 bytes a use, 512 kB a worker, and what is found. No order of parts or workers changes a result.

use super::columns::{Columns, Use, use_at};
use super::findings::{Findings, Judge, NONE};
use super::forward::{self, Ground};
use super::memory::{LINE, Line, Record, Records};
use super::result::SegmentResult;
use crate::search::first_row_where;
use rayon::prelude::*;
use std::hint::select_unpredictable;
use std::ops::Range;

/// Cells of a part, as a power of two: a record has 16 bits for one, and 8 bytes for each of 2^16 are what a second cache holds.
pub(super) const PART_BITS: u32 = 16;

const WRITE: u32 = 1 << 16;
const FAR: u32 = 1 << 15;

/// Judges a segment in parts of 2^`bits` cells, at most 2^16, cut into so many pieces of rows.
pub(super) fn run<C: Columns>(columns: &C, bits: u32, pieces: usize) -> SegmentResult<u32, u32> {
    assert!(bits <= PART_BITS, "a record has 16 bits for a cell");
    let judge = Judge::new(columns, columns.first());
    let ground = Ground::new(columns);
    let lists: Vec<Parts> = cut(columns, pieces).into_par_iter().map(|rows| partition(columns, rows, bits)).collect();
    let parts = lists.first().map_or(0, |list| list.ranges.len());
    let found: Vec<Findings> = (0..parts)
        .into_par_iter()
        .map_init(
            || vec![0; 1 << bits],
            |table, part| {
                let mut findings = Findings::default();
                let first = (part as u32) << bits;
                let cells = (columns.cell_count() - first).min(1 << bits) as usize;
                let table = &mut table[..cells];
                table.fill(forward::UNUSED);
                ground.lay(first, table);
                for list in &lists {
                    walk(&judge, &ground, list.part(part), first, table, &mut findings);
                }
                forward::exits(&judge, first, table, &mut findings);
                findings
            },
        )
        .collect();
    let mut findings = Findings::default();
    findings.exits.reserve(found.iter().map(|f| f.exits.len()).sum());
    found.into_iter().for_each(|f| findings.append(f));
    findings.finish(&judge)
}

/// Rows in pieces of about as many uses.
fn cut<C: Columns>(columns: &C, pieces: usize) -> Vec<Range<u32>> {
    let (uses, pieces) = (columns.cells().len(), pieces.max(1));
    let row_from = |i: usize| first_row_where(0..columns.rows(), |row| columns.moves_of(row).start >= i);
    let bounds: Vec<u32> = (0..pieces).map(|n| row_from(uses / pieces * n)).chain([columns.rows()]).collect();
    bounds.windows(2).map(|w| w[0]..w[1]).collect()
}

/// The records of a part, in order, through its table.
fn walk<C: Columns>(
    judge: &Judge<'_, C>,
    ground: &Ground,
    records: &[Record],
    first: u32,
    table: &mut [u64],
    findings: &mut Findings,
) {
    let mut code = judge.row_codes;
    for (i, &[word, intx, prev, next]) in records.iter().enumerate() {
        if intx == NONE {
            code = prev + judge.row_codes;
            continue;
        }
        code += word >> 17;
        let is_write = word & WRITE != 0;
        let live = &mut table[(word & 0xffff) as usize];
        if *live != forward::entry(intx, prev) || ground.is_more(intx, code, is_write, judge.row_codes) {
            let cell = first + (word & 0xffff);
            let u = find(judge.columns, &records[..i], cell, word, code - judge.row_codes);
            forward::demand(judge, live, u, findings);
        }
        *live = select_unpredictable(is_write, forward::entry(code, next), *live);
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

fn partition<C: Columns>(columns: &C, rows: Range<u32>, bits: u32) -> Parts {
    let parts = (columns.cell_count() >> bits) as usize + 1;
    let uses = match rows.is_empty() {
        true => 0..0,
        false => columns.moves_of(rows.start).start..columns.moves_of(rows.end - 1).end,
    };
    // Each step but the first brings the part's row on by FAR at least.
    let steps = rows.len() / FAR as usize + 2;
    let counts = histogram(&columns.cells()[uses], parts, bits);
    let mut total = 0;
    let mut starts = Vec::with_capacity(parts);
    for n in counts {
        starts.push(total * LINE);
        total += if n == 0 { 0 } else { (n + steps).div_ceil(LINE) };
    }
    let mut out = Writer { records: Records::new(total), lines: vec![Line::default(); parts], next: starts.clone() };
    // So that each part begins with a step.
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
                out.put(part, [0, NONE, row, 0]);
                distance = 0;
            }
            let flag = u32::from(columns.is_write(i)) << 16;
            out.put(part, [cell & ((1 << bits) - 1) | flag | distance << 17, intx[i], prev[i], next[i]]);
        }
    }
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

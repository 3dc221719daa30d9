//! Shards: uses partitioned by cell, each part radix-sorted by (cell, location), neighbours compared. Any order of arrival.
//!
//! Columns have their rows in order, and a stable partition is a sort then: `partition`. What is here is for uses that come in
//! any order, and the plain version that the other is held against.
//!
//! Cells are known by number only; a part is a range of numbers, so that the parts' results follow each other.
//! Memory: 28 bytes a use. Parts are judged in parallel, and their number changes no result.

#[cfg(test)]
use super::columns::use_at;
use super::columns::{Columns, Malformed, Use, check};
use super::exits::LastWrite;
use super::findings::{Alone, Entry, Findings, Judge};
use super::memory;
use super::partition::{self, Sizes, Workspace};
use super::result::NumberedResult;
use super::spill::{self, Spill};
use rayon::prelude::*;
use rdst::{RadixKey, RadixSort};
use std::io;

/// Parts a thread at least: enough to even out cells of very different use.
const PARTS_PER_THREAD: usize = 8;
/// Uses of a part, as a power of two: a second cache holds them while they are sorted.
const PART_BITS: u32 = 14;
/// Parts at most, unless there are more threads: each has its own end that is written to.
const PARTS_MOST: usize = 1024;

/// Judges a segment. Errors: columns that are no segment's.
pub fn shards<C: Columns>(columns: &C) -> Result<NumberedResult, Malformed> {
    shards_in(columns, &mut Workspace::default())
}

/// The same in memory that may be used again. Errors: columns that are no segment's.
pub fn shards_in<C: Columns>(columns: &C, workspace: &mut Workspace) -> Result<NumberedResult, Malformed> {
    check(columns)?;
    Ok(partition::run(columns, Sizes::of(columns, u64::MAX).expect("there is room for one batch"), workspace))
}

/// The same within a bound on memory: records that exceed it go to disk.
///
/// Errors: columns that are no segment's; the disk.
pub fn shards_within<C: Columns>(columns: &C, spill: Spill<'_>) -> Result<io::Result<NumberedResult>, Malformed> {
    check(columns)?;
    Ok(match Sizes::of(columns, spill.memory) {
        Some(sizes) => Ok(partition::run(columns, sizes, &mut Workspace::default())),
        None => spill::run(columns, partition::pieces(columns.cells().len()), spill),
    })
}

/// By partition, in memory.
pub(super) fn in_order<C: Columns>(columns: &C) -> NumberedResult {
    partition::run(
        columns,
        Sizes::of(columns, u64::MAX).expect("there is room for one batch"),
        &mut Workspace::default(),
    )
}

/// Judges a segment whose uses arrive in any order; `columns` gives versions, cells, values and locations only.
///
/// Errors: uses whose numbers are out of bounds, or columns that are no segment's.
pub fn shards_of<C: Columns>(columns: &C, uses: &[Use]) -> Result<NumberedResult, Malformed> {
    check(columns)?;
    let codes = columns.foreign().len() as u64 + u64::from(columns.rows());
    for (i, u) in uses.iter().enumerate() {
        if u.cell >= columns.cell_count() || u.row >= columns.rows() || u64::from(u.intx) >= codes {
            let (cells, rows) = (columns.cell_count(), columns.rows());
            let reason = format!("{u:?}, expected cell below {cells}, row below {rows}, intx below {codes}");
            return Err(Malformed::new(format!("use {i}"), reason));
        }
    }
    let parts = (rayon::current_num_threads() * PARTS_PER_THREAD).max((uses.len() >> PART_BITS).min(PARTS_MOST));
    Ok(run(columns, uses, parts))
}

/// All uses of a segment.
#[cfg(test)]
pub(super) fn uses_of<C: Columns>(columns: &C) -> Vec<Use> {
    let of_row = |row| {
        let range = columns.moves_of(row);
        range.clone().map(move |i| use_at(columns, row, range.start, i))
    };
    (0..columns.rows()).flat_map(of_row).collect()
}

pub(super) fn run<C: Columns>(columns: &C, uses: &[Use], parts: usize) -> NumberedResult {
    let judge = Judge::new(columns, columns.first());
    let parts = parts.max(1);
    let cells = u64::from(columns.cell_count()).max(1);
    // Below `parts`, since cell < cells.
    let part_of = |u: &Use| (u64::from(u.cell) * parts as u64 / cells) as usize;
    let mut counts = vec![0; parts];
    uses.iter().for_each(|u| counts[part_of(u)] += 1);
    let begin = |at: &mut usize, count: &usize| {
        *at += count;
        Some(*at - count)
    };
    let mut next: Vec<usize> = counts.iter().scan(0, begin).collect();
    let mut sorted = memory::room(uses.len());
    sorted.extend_from_slice(uses);
    for u in uses {
        let place = &mut next[part_of(u)];
        sorted[*place] = *u;
        *place += 1;
    }
    let mut left = &mut sorted[..];
    let buckets: Vec<&mut [Use]> =
        counts.into_iter().map(|count| left.split_off_mut(..count).expect("counts add up")).collect();
    let found: Vec<Findings> = (buckets.into_par_iter())
        .map(|uses| {
            sort(uses);
            let mut findings = Findings::default();
            for of_cell in uses.chunk_by(|a, b| a.cell == b.cell) {
                compare(&judge, of_cell, &mut findings);
            }
            findings
        })
        .collect();
    let mut findings = Findings::default();
    found.into_iter().for_each(|f| findings.append(f));
    findings.finish(&judge)
}

/// Sorts by cell, row and place.
fn sort(uses: &mut [Use]) {
    uses.radix_sort_builder().with_parallel(false).sort();
    // Of one cell in one row there is one use, unless somebody lies.
    for of_row in uses.chunk_by_mut(|a, b| (a.cell, a.row) == (b.cell, b.row)).filter(|of_row| of_row.len() > 1) {
        of_row.sort_unstable_by_key(|u| u.place);
    }
}

/// By cell and row.
impl RadixKey for Use {
    const LEVELS: usize = 8;

    fn get_level(&self, level: usize) -> u8 {
        ((u64::from(self.cell) << 32 | u64::from(self.row)) >> (8 * level)) as u8
    }
}

/// The uses of one cell, in order.
pub(super) fn compare<C: Columns>(judge: &Judge<'_, C>, uses: &[Use], findings: &mut Findings) {
    let mut live: Option<(u32, u32)> = None;
    for u in uses {
        match (judge.alone(u), live) {
            (Alone::Wrong(reason), _) => findings.wrong_by_itself(*u, reason),
            (Alone::Assumed, _) => findings.assume(u),
            (Alone::Demand, Some((row, value))) => {
                if let Some(reason) = judge.against(u, row, value) {
                    findings.wrong_after(*u, row, value, reason);
                }
            }
            (Alone::Demand, None) => match judge.enter(u) {
                Entry::Met => {}
                Entry::Open => findings.open(*u),
                Entry::Wrong(reason) => findings.wrong_at_entry(*u, reason),
            },
        }
        if u.write {
            live = Some((u.row, u.next));
        }
    }
    if let (Some((row, value)), Some(u)) = (live, uses.first()) {
        findings.exits.push(LastWrite { cell: u.cell, row, value });
    }
}

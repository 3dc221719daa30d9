//! Shards: uses partitioned by cell, each part sorted by (cell, location), neighbours compared. Any order of arrival.
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
use super::partition;
use super::result::NumberedResult;
use super::spill::{self, Spill};
use rayon::prelude::*;
use std::io;

/// Parts a thread: enough to even out cells of very different use.
const PARTS_PER_THREAD: usize = 8;

/// Judges a segment. Errors: columns that are no segment's.
pub fn shards<C: Columns>(columns: &C) -> Result<NumberedResult, Malformed> {
    check(columns)?;
    Ok(in_order(columns))
}

/// The same within a bound on memory: records that exceed it go to disk.
///
/// Errors: columns that are no segment's; the disk.
pub fn shards_within<C: Columns>(columns: &C, spill: Spill<'_>) -> Result<io::Result<NumberedResult>, Malformed> {
    check(columns)?;
    if columns.cells().len() as u64 * spill::RECORD_BYTES <= spill.memory {
        return Ok(Ok(in_order(columns)));
    }
    Ok(spill::run(columns, pieces(columns), spill))
}

fn pieces<C: Columns>(columns: &C) -> usize {
    rayon::current_num_threads().min(columns.cells().len() >> partition::PART_BITS)
}

/// By partition: as many pieces as there are workers, unless they would be small.
pub(super) fn in_order<C: Columns>(columns: &C) -> NumberedResult {
    partition::run(columns, partition::PART_BITS, pieces(columns))
}

/// Judges a segment whose uses arrive in any order; `columns` gives versions, cells, values and locations only.
///
/// Errors: uses whose numbers are out of bounds, or columns that are no segment's.
pub fn shards_of<C: Columns>(columns: &C, uses: Vec<Use>) -> Result<NumberedResult, Malformed> {
    check(columns)?;
    let codes = columns.foreign().len() as u64 + u64::from(columns.rows());
    for (i, u) in uses.iter().enumerate() {
        if u.cell >= columns.cell_count() || u.row >= columns.rows() || u64::from(u.intx) >= codes {
            let (cells, rows) = (columns.cell_count(), columns.rows());
            let reason = format!("{u:?}, expected cell below {cells}, row below {rows}, intx below {codes}");
            return Err(Malformed::new(format!("use {i}"), reason));
        }
    }
    Ok(run(columns, uses, rayon::current_num_threads() * PARTS_PER_THREAD))
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

pub(super) fn run<C: Columns>(columns: &C, uses: Vec<Use>, parts: usize) -> NumberedResult {
    let judge = Judge::new(columns, columns.first());
    let parts = parts.max(1);
    let cells = u64::from(columns.cell_count()).max(1);
    let mut buckets: Vec<Vec<Use>> = (0..parts).map(|_| Vec::with_capacity(uses.len() / parts)).collect();
    for u in uses {
        // Below `parts`, since cell < cells.
        buckets[(u64::from(u.cell) * parts as u64 / cells) as usize].push(u);
    }
    let found: Vec<Findings> = (buckets.into_par_iter())
        .map(|mut uses| {
            uses.sort_unstable_by_key(|u| (u64::from(u.cell) << 32 | u64::from(u.row), u.place));
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

//! Forward: one pass in the order of locations, one live version a cell.
//!
//! The table holds, for each cell, a version code and a value number. Written: those of the live version. Not yet written:
//! those of the first demand on the entry, which is met or open; code NONE: not yet used. From genesis the default is
//! entered before the first use, where its number is known. A use that finds its own (intx, prev) there makes a demand that
//! is already judged, whichever it is; everything else leaves the common path.
//! Memory: 8 bytes a cell, and what is found. Entries are fetched ahead of their use, which is what counts out of cache; and
//! whether a use writes is data, not a branch, since nobody can foretell it.

use super::columns::{Bounds, Chunks, Columns, Malformed, Use, check_but_numbers, check_numbers, use_at};
use super::findings::{Alone, Entry, Findings, Judge, NONE};
use super::memory::{self, prefetch};
use super::partition::Workspace;
use super::result::NumberedResult;
use super::wide::wide;
use manaflow_loader::model::Version;
use std::hint::select_unpredictable;
use std::ops::Range;

/// Uses that entries are fetched ahead.
pub(super) const AHEAD: usize = 64;

/// An entry: version code and value number in one word, so that one comparison judges a use.
pub(super) const fn entry(version: u32, value: u32) -> u64 {
    (version as u64) << 32 | value as u64
}

pub(super) const UNUSED: u64 = entry(NONE, 0);

const fn version(live: u64) -> u32 {
    (live >> 32) as u32
}

/// Judges a segment. Errors: columns that are no segment's.
pub fn forward<C: Columns>(columns: &C) -> Result<NumberedResult, Malformed> {
    forward_in(columns, &mut Workspace::default())
}

/// The same in memory that may be used again. Errors: columns that are no segment's.
pub fn forward_in<C: Columns>(columns: &C, workspace: &mut Workspace) -> Result<NumberedResult, Malformed> {
    check_but_numbers(columns)?;
    run(columns, workspace)
}

/// The same, if all but the numbers is checked.
pub(super) fn run<C: Columns>(columns: &C, workspace: &mut Workspace) -> Result<NumberedResult, Malformed> {
    match walk(columns, workspace.table()) {
        Some(result) => Ok(result),
        None => Err(check_numbers(columns).expect_err("some number is out of bounds")),
    }
}

wide! {
/// `None`: a number is out of bounds.
fn walk<C>(columns: &C, table: Vec<u64>) -> Option<NumberedResult> {
    let bounds = Bounds::new(columns);
    let judge = Judge::new(columns, columns.first());
    let mut findings = Findings::default();
    let ground = Ground::new(columns);
    let mut table = ground.table(table, columns.cell_count());
    let all_cells = columns.cells();
    let mut chunks = Chunks::new(columns, 0..columns.rows());
    while let Some((uses, rows)) = chunks.next() {
        let cells = all_cells[uses.clone()].iter().zip(rows);
        let values = columns.prev()[uses.clone()].iter().zip(&columns.next()[uses.clone()]);
        let each = cells.zip(columns.intx()[uses.clone()].iter().zip(values));
        for (i, ((&cell, &row), (&intx, (&prev, &next)))) in uses.zip(each) {
            if let Some(&ahead) = all_cells.get(i + AHEAD) {
                prefetch(&table, ahead as usize);
            }
            let code = row + judge.row_codes;
            let is_write = columns.is_write(i);
            let live = table.get_mut(cell as usize)?;
            if *live != entry(intx, prev) || ground.is_more(intx, code, is_write, judge.row_codes) {
                // No other number is taken for what is live: versions in the table are codes of uses before, or none, which is a
                // later row's.
                if !bounds.hold((cell, intx)) {
                    return None;
                }
                demand(&judge, live, use_at(columns, row, columns.moves_of(row).start, i), &mut findings);
            }
            *live = select_unpredictable(is_write, entry(code, next), *live);
        }
    }
    Some(findings.finish_live(&judge, table))
}
}

/// What is known before the first use.
pub(super) struct Ground {
    /// Code of virgin, if the segment is from genesis and names it.
    virgin: Option<u32>,
    defaults: Vec<(Range<u32>, u32)>,
}

impl Ground {
    pub fn new<C: Columns>(columns: &C) -> Self {
        let virgin = columns.foreign().iter().position(|v| *v == Version::Virgin).filter(|_| columns.first() == 0);
        Self { virgin: virgin.map(|code| code as u32), defaults: columns.defaults() }
    }

    /// Code of virgin, or [`NONE`].
    pub fn virgin(&self) -> u32 {
        self.virgin.unwrap_or(NONE)
    }

    /// The table before the first use, in the memory of another.
    #[inline(always)]
    pub fn table(&self, mut table: Vec<u64>, cells: u32) -> Vec<u64> {
        memory::empty(&mut table, cells as usize);
        let mut fill = |end: u32, entry| table.extend(std::iter::repeat_n(entry, end as usize - table.len()));
        if let Some(virgin) = self.virgin {
            for (cells, number) in &self.defaults {
                fill(cells.start, UNUSED);
                fill(cells.end, entry(virgin, *number));
            }
        }
        fill(cells, UNUSED);
        table
    }

    /// Enters defaults for the cells from `first` on.
    pub fn lay(&self, first: u32, table: &mut [u64]) {
        let Some(virgin) = self.virgin else { return };
        let place = |cell: u32| (cell.saturating_sub(first) as usize).min(table.len());
        let places: Vec<_> =
            self.defaults.iter().map(|(cells, n)| (place(cells.start)..place(cells.end), *n)).collect();
        for (places, number) in places {
            table[places].fill(entry(virgin, number));
        }
    }

    /// Whether a use that finds its own demand in the table is to be looked at all the same: it names itself or a later row; or
    /// it is a write on an open entry, since the table does not tell a read's demand there from a write's.
    #[inline(always)]
    pub fn is_more(&self, intx: u32, code: u32, is_write: bool, row_codes: u32) -> bool {
        (intx >= code) | (is_write & (intx < row_codes) & self.virgin.is_none_or(|virgin| virgin != intx))
    }
}

/// A use off the common path.
#[cold]
#[inline(never)]
pub(super) fn demand<C: Columns>(judge: &Judge<'_, C>, live: &mut u64, u: Use, findings: &mut Findings) {
    match judge.alone(&u) {
        Alone::Wrong(reason) => return findings.wrong_by_itself(u, reason),
        Alone::Assumed => return findings.assume(&u),
        Alone::Demand => {}
    }
    if version(*live) != NONE && version(*live) >= judge.row_codes {
        let (row, value) = (version(*live) - judge.row_codes, *live as u32);
        if let Some(reason) = judge.against(&u, row, value) {
            findings.wrong_after(u, row, value, reason);
        }
        return;
    }
    match judge.enter(&u) {
        Entry::Wrong(reason) => return findings.wrong_at_entry(u, reason),
        Entry::Open => findings.open(u),
        Entry::Met => {}
    }
    if *live == UNUSED {
        *live = entry(u.intx, u.prev);
    }
}

//! Forward: one pass in the order of locations, one live version a cell.
//!
//! The table holds, for each cell, a version code and a value number. Written: those of the live version. Not yet written:
//! those of the first demand on the entry, which is met or open; code NONE: not yet used. A use that finds its own
//! (intx, prev) there makes a demand that is already judged, whichever it is; everything else leaves the common path.
//! Memory: 8 bytes a cell, and what is found.

use super::columns::{Columns, Malformed, Use, check, use_at};
use super::findings::{Alone, Entry, Findings, Judge, NONE, exit};
use super::result::SegmentResult;

#[derive(Clone, Copy)]
struct Live {
    version: u32,
    value: u32,
}

/// Judges a segment. Errors: columns that are no segment's.
pub fn forward<C: Columns>(columns: &C) -> Result<SegmentResult<u32, u32>, Malformed> {
    check(columns)?;
    Ok(run(columns))
}

pub(super) fn run<C: Columns>(columns: &C) -> SegmentResult<u32, u32> {
    let judge = Judge::new(columns, columns.first());
    let mut findings = Findings::default();
    let mut table = vec![Live { version: NONE, value: 0 }; columns.cell_count() as usize];
    let (cells, intx, prev, next) = (columns.cells(), columns.intx(), columns.prev(), columns.next());
    for row in 0..columns.rows() {
        let code = row + judge.row_codes;
        let range = columns.moves_of(row);
        for i in range.clone() {
            let live = &mut table[cells[i] as usize];
            let is_write = columns.is_write(i);
            let is_judged = live.version == intx[i] && live.value == prev[i] && intx[i] < code;
            // A read on an open entry is not told from a write by the table: a write's demand there is another one.
            if !is_judged || (is_write && live.version < judge.row_codes) {
                demand(&judge, live, use_at(columns, row, range.start, i), &mut findings);
            }
            if is_write {
                *live = Live { version: code, value: next[i] };
            }
        }
    }
    for (cell, live) in (0..).zip(&table) {
        if live.version != NONE && live.version >= judge.row_codes {
            findings.exits.push(exit(columns, cell, live.version - judge.row_codes, live.value));
        }
    }
    findings.finish(&judge)
}

/// A use off the common path.
#[inline(never)]
fn demand<C: Columns>(judge: &Judge<'_, C>, live: &mut Live, u: Use, findings: &mut Findings) {
    match judge.alone(&u) {
        Alone::Wrong(reason) => return findings.wrong_by_itself(u, reason),
        Alone::Assumed => return findings.assume(&u),
        Alone::Demand => {}
    }
    if live.version != NONE && live.version >= judge.row_codes {
        let (row, value) = (live.version - judge.row_codes, live.value);
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
    if live.version == NONE {
        *live = Live { version: u.intx, value: u.prev };
    }
}

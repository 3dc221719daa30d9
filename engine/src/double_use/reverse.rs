//! Reverse: newest row first; demands wait for the write below them, or for the beginning.
//!
//! Between two blocks the state says what a segment that begins there would say: [`Reverse::result`] is that segment's
//! result, so blocks N..tip are judged, given their requirements, before anything below N is looked at.
//! The table holds for each cell the one demand that waits in a valid chain (a read and a write may share it) and its exit;
//! further demands go to a map. A write that finds its own (row, value) waited for, and a use that waits where nothing waits or
//! the same does, are the common path; everything else leaves it. Memory: 32 bytes a cell, and what is found.

use super::columns::{Columns, Malformed, Use, check, each_chunk_back, use_at};
use super::findings::{Alone, Entry, Findings, Judge, NONE};
use super::forward::{AHEAD, UNUSED, entry};
use super::memory::{self, prefetch};
use super::result::NumberedResult;
use super::wide::wide;
use crate::search::first_row_where;
use std::collections::{BTreeMap, HashMap};
use std::hint::select_unpredictable;
use std::ops::Range;

/// 32 bytes: none lies in two lines.
#[derive(Clone, Copy)]
#[repr(align(32))]
struct Waiting {
    /// Version demanded, NONE if no demand waits.
    intx: u32,
    prev: u32,
    /// First row that reads, and that writes, NONE if none does.
    read: u32,
    write: u32,
    /// Last write of the cell, NONE if none was seen.
    exit_row: u32,
    exit_value: u32,
}

const NOTHING: Waiting = Waiting { intx: NONE, prev: 0, read: NONE, write: NONE, exit_row: NONE, exit_value: 0 };

/// Further demands of a cell: (write, intx, prev) to first row.
type Further = BTreeMap<(bool, u32, u32), u32>;

/// The judgement of a segment's newest blocks, block by block from the tip.
pub struct Reverse<'a, C> {
    judge: Judge<'a, C>,
    /// Rows from here on are judged.
    row: u32,
    table: Vec<Waiting>,
    further: HashMap<u32, Further>,
    findings: Findings,
    waiting: usize,
}

/// Judges a segment. Errors: columns that are no segment's.
pub fn reverse<C: Columns>(columns: &C) -> Result<NumberedResult, Malformed> {
    check(columns)?;
    Ok(run(columns))
}

pub(super) fn run<C: Columns>(columns: &C) -> NumberedResult {
    let mut reverse = Reverse::unchecked(columns);
    while reverse.take_block().is_some() {}
    reverse.result()
}

wide! {
/// With the instructions that the processor has.
fn take_rows<C>(reverse: &mut Reverse<'_, C>, rows: Range<u32>) -> () {
    reverse.take_rows(rows);
}
}

impl<'a, C: Columns> Reverse<'a, C> {
    /// Begins after the tip. Errors: columns that are no segment's.
    pub fn new(columns: &'a C) -> Result<Self, Malformed> {
        check(columns)?;
        Ok(Self::unchecked(columns))
    }

    pub(super) fn unchecked(columns: &'a C) -> Self {
        Self {
            judge: Judge::new(columns, columns.first()),
            row: columns.rows(),
            table: memory::table(NOTHING, columns.cell_count() as usize),
            further: HashMap::new(),
            findings: Findings::default(),
            waiting: 0,
        }
    }

    /// Takes the next block down and returns its number; `None` after the segment's first.
    pub fn take_block(&mut self) -> Option<u64> {
        let columns = self.judge.columns;
        let block = columns.location(self.row.checked_sub(1)?).block();
        let first = first_row_where(0..self.row, |row| columns.location(row).block() >= block);
        take_rows(self, first..self.row);
        self.row = first;
        Some(block)
    }

    #[inline(always)]
    fn take_rows(&mut self, rows: Range<u32>) {
        let (columns, row_codes) = (self.judge.columns, self.judge.row_codes);
        let all_cells = columns.cells();
        each_chunk_back(columns, rows, |uses, rows| {
            let cells = all_cells[uses.clone()].iter().zip(rows);
            let values = columns.prev()[uses.clone()].iter().zip(&columns.next()[uses.clone()]);
            let each = cells.zip(columns.intx()[uses.clone()].iter().zip(values));
            for (i, ((&cell, &row), (&intx, (&prev, &next)))) in uses.zip(each).rev() {
                if let Some(&ahead) = all_cells.get(i.wrapping_sub(AHEAD)) {
                    prefetch(&self.table, ahead as usize);
                }
                let is_write = columns.is_write(i);
                let code = row + row_codes;
                let slot = &mut self.table[cell as usize];
                let is_free = slot.intx == NONE;
                let (version, value) = select_unpredictable(is_write, (code, next), (intx, prev));
                let is_met = (slot.intx == version) & (slot.prev == value);
                let is_demand = (intx >= row_codes) & (intx < code);
                if !((is_free | is_met) & is_demand) || !self.further.is_empty() {
                    self.take(use_at(columns, row, columns.moves_of(row).start, i));
                    continue;
                }
                let is_exit = is_write & (slot.exit_row == NONE);
                let exit = (slot.exit_row, slot.exit_value);
                (slot.exit_row, slot.exit_value) = select_unpredictable(is_exit, (row, next), exit);
                (slot.intx, slot.prev) = (intx, prev);
                let other = select_unpredictable(is_free, NONE, slot.write);
                (slot.read, slot.write) = select_unpredictable(is_write, (NONE, row), (row, other));
                self.waiting += usize::from(is_free);
            }
        });
    }

    /// Number of cells with a demand that waits.
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Number of uses found wrong so far; demands that wait may add to it.
    pub fn wrong_uses(&self) -> usize {
        self.findings.wrong_uses()
    }

    /// The result for the blocks taken so far, as a segment of its own. Cost: all cells.
    pub fn result(&self) -> NumberedResult {
        let columns = self.judge.columns;
        let first = match self.row {
            0 => columns.first(),
            row if row == columns.rows() => columns.first().saturating_add(columns.blocks()),
            row => columns.location(row).block(),
        };
        let judge = Judge::new(columns, first);
        let mut findings = self.findings.clone();
        let mut live = memory::room(self.table.len());
        for (cell, slot) in (0..).zip(&self.table) {
            self.for_each_waiting(cell, slot, |u| match judge.enter(&u) {
                Entry::Met => {}
                Entry::Open => findings.open(u),
                Entry::Wrong(reason) => findings.wrong_at_entry(u, reason),
            });
            live.push(match slot.exit_row {
                NONE => UNUSED,
                row => entry(row + judge.row_codes, slot.exit_value),
            });
        }
        findings.finish_live(&judge, live)
    }

    #[cold]
    #[inline(never)]
    fn take(&mut self, u: Use) {
        if u.write {
            self.meet(&u);
        }
        match self.judge.alone(&u) {
            Alone::Wrong(reason) => return self.findings.wrong_by_itself(u, reason),
            Alone::Assumed => return self.findings.assume(&u),
            Alone::Demand => {}
        }
        let slot = &mut self.table[u.cell as usize];
        if slot.intx == NONE {
            (slot.intx, slot.prev, slot.read, slot.write) = (u.intx, u.prev, NONE, NONE);
            self.waiting += 1;
        }
        if (slot.intx, slot.prev) == (u.intx, u.prev) {
            *(if u.write { &mut slot.write } else { &mut slot.read }) = u.row;
        } else {
            self.further.entry(u.cell).or_default().insert((u.write, u.intx, u.prev), u.row);
        }
    }

    /// Judges the demands that wait for this write.
    fn meet(&mut self, w: &Use) {
        let slot = self.table[w.cell as usize];
        let is_met = slot.intx == w.row + self.judge.row_codes && slot.prev == w.next;
        if slot.intx != NONE && (!is_met || !self.further.is_empty()) {
            let mut wrong = Vec::new();
            self.for_each_waiting(w.cell, &slot, |u| {
                wrong.extend(self.judge.against(&u, w.row, w.next).map(|reason| (u, reason)));
            });
            for (u, reason) in wrong {
                self.findings.wrong_after(u, w.row, w.next, reason);
            }
            self.further.remove(&w.cell);
        }
        let slot = &mut self.table[w.cell as usize];
        if slot.intx != NONE {
            slot.intx = NONE;
            self.waiting -= 1;
        }
        if slot.exit_row == NONE {
            (slot.exit_row, slot.exit_value) = (w.row, w.next);
        }
    }

    fn for_each_waiting(&self, cell: u32, slot: &Waiting, mut each: impl FnMut(Use)) {
        if slot.intx == NONE {
            return;
        }
        let demand = |row, intx, prev, write| Use { cell, row, place: 0, intx, prev, next: prev, write };
        for (row, write) in [(slot.read, false), (slot.write, true)] {
            if row != NONE {
                each(demand(row, slot.intx, slot.prev, write));
            }
        }
        if !self.further.is_empty()
            && let Some(further) = self.further.get(&cell)
        {
            further.iter().for_each(|(&(write, intx, prev), &row)| each(demand(row, intx, prev, write)));
        }
    }
}

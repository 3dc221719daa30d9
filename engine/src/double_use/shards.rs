//! Shards: uses partitioned by cell, each part radix-sorted by (cell, location), neighbours compared. Any order of arrival.
//!
//! Columns have their rows in order, and a stable partition is a sort then: `partition`. What is here is for uses that come in
//! any order, and the plain version that the other is held against.
//!
//! Cells are known by number only; a part is a range of numbers, so that the parts' results follow each other.
//! Memory: 28 bytes a use. Parts are judged in parallel, and their number changes no result.

#[cfg(test)]
use super::columns::use_at;
use super::columns::{Columns, Malformed, Use, check, check_but_numbers, check_numbers};
use super::exits::LastWrite;
use super::findings::{Alone, Entry, Findings, Judge};
use super::forward::{self, Ground};
use super::partition::{self, Sizes, Workspace};
use super::result::NumberedResult;
use super::spill::{self, Spill};
use crate::cpu::carry;
use rayon::prelude::*;
use rdst::{RadixKey, RadixSort};
use std::hint::select_unpredictable;
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
    check_but_numbers(columns)?;
    in_order(columns, workspace)
}

/// The same within a bound on memory: records that exceed it go to disk.
///
/// Errors: columns that are no segment's; the disk.
pub fn shards_within<C: Columns>(columns: &C, spill: Spill<'_>) -> Result<io::Result<NumberedResult>, Malformed> {
    check_but_numbers(columns)?;
    match Sizes::of(columns, spill.memory) {
        Some(sizes) => partition::run(columns, sizes, &mut Workspace::default()).map(Ok),
        None => {
            check_numbers(columns)?;
            Ok(spill::run(columns, partition::pieces(columns.cells().len()), spill))
        }
    }
}

/// By partition, in memory, if all but the numbers is checked. Errors: a number that is out of bounds.
pub(super) fn in_order<C: Columns>(columns: &C, workspace: &mut Workspace) -> Result<NumberedResult, Malformed> {
    partition::run(columns, Sizes::of(columns, u64::MAX).expect("there is room for one batch"), workspace)
}

/// Judges a segment whose uses arrive in any order; `columns` gives versions, cells, values and locations only.
///
/// Errors: uses whose numbers are out of bounds, or columns that are no segment's.
pub fn shards_of<C: Columns>(columns: &C, uses: &[Use]) -> Result<NumberedResult, Malformed> {
    shards_of_in(columns, uses, &mut Workspace::default())
}

/// The same in memory that may be used again.
///
/// Errors: uses whose numbers are out of bounds, or columns that are no segment's.
pub fn shards_of_in<C: Columns>(
    columns: &C,
    uses: &[Use],
    workspace: &mut Workspace,
) -> Result<NumberedResult, Malformed> {
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
    Ok(run(columns, uses, parts, workspace))
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

pub(super) fn run<C: Columns>(columns: &C, uses: &[Use], parts: usize, workspace: &mut Workspace) -> NumberedResult {
    let judge = Judge::new(columns, columns.first());
    let ground = Ground::new(columns);
    let cells = columns.cell_count() as usize;
    // About as many parts, each of 2^bits cells.
    let bits = (cells / parts.max(1)).max(1).ilog2();
    let mut counts = vec![0; (cells >> bits) + 1];
    uses.iter().for_each(|u| counts[u.cell as usize >> bits] += 1);
    let begin = |at: &mut usize, count: &usize| {
        *at += count;
        Some(*at - count)
    };
    let mut next: Vec<usize> = counts.iter().scan(0, begin).collect();
    let mut live = ground.table(workspace.table(), columns.cell_count());
    let mut left = workspace.uses(uses.len());
    for u in uses {
        let place = &mut next[u.cell as usize >> bits];
        left[*place] = *u;
        *place += 1;
    }
    let buckets = counts.into_iter().map(|count| left.split_off_mut(..count).expect("counts add up"));
    let buckets: Vec<(usize, &mut [Use])> = buckets.enumerate().collect();
    let stage = carry();
    let walk = |order: &mut Order, ((part, uses), live): ((usize, &mut [Use]), &mut [u64])| {
        stage.within(|| {
            let mut findings = Findings::default();
            order.each(uses, part << bits, live.len(), |u| {
                let live = &mut live[u.cell as usize - (part << bits)];
                let code = u.row + judge.row_codes;
                if *live != forward::entry(u.intx, u.prev) || ground.is_more(u.intx, code, u.write, judge.row_codes) {
                    forward::demand(&judge, live, *u, &mut findings);
                }
                *live = select_unpredictable(u.write, forward::entry(code, u.next), *live);
            });
            findings
        })
    };
    let parts = buckets.into_par_iter().zip(live.par_chunks_mut(1 << bits));
    let found: Vec<Findings> = parts.map_init(Order::default, walk).collect();
    let mut findings = Findings::default();
    found.into_iter().for_each(|f| findings.append(f));
    findings.finish_live(&judge, live)
}

/// Row of a use, and its number among those at hand.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key(u64);

impl Key {
    fn new(row: u32, number: u32) -> Self {
        Self(u64::from(row) << 32 | u64::from(number))
    }

    fn row(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn number(self) -> usize {
        self.0 as u32 as usize
    }
}

/// By row: what is of one row is looked at by itself.
impl RadixKey for Key {
    const LEVELS: usize = 4;

    fn get_level(&self, level: usize) -> u8 {
        (self.row() >> (8 * level)) as u8
    }
}

/// Keys that are sorted by comparison at most: a cell that everybody uses has more.
const FEW: usize = 1 << 10;

/// The order of uses by cell, row and place, and the memory that it takes to find it.
#[derive(Default)]
struct Order {
    /// Of each cell, where its keys begin, then where the next one goes.
    starts: Vec<u32>,
    /// Of each use, by cell.
    keys: Vec<Key>,
}

impl Order {
    /// Takes uses of `cells` cells from a first one on, in order.
    fn each(&mut self, uses: &[Use], first: usize, cells: usize, mut take: impl FnMut(&Use)) {
        let cell = |u: &Use| u.cell as usize - first;
        self.starts.clear();
        self.starts.resize(cells + 1, 0);
        uses.iter().for_each(|u| self.starts[cell(u) + 1] += 1);
        for i in 1..=cells {
            self.starts[i] += self.starts[i - 1];
        }
        self.keys.resize(uses.len(), Key(0));
        for (i, u) in (0..).zip(uses) {
            let start = &mut self.starts[cell(u)];
            self.keys[*start as usize] = Key::new(u.row, i);
            *start += 1;
        }
        let mut start = 0;
        for end in &self.starts[..cells] {
            let keys = &mut self.keys[start..*end as usize];
            start = *end as usize;
            match keys.len() {
                ..=FEW => keys.sort_unstable(),
                _ => keys.radix_sort_builder().with_parallel(false).sort(),
            }
            // Of one cell in one row there is one use, unless somebody lies.
            if keys.windows(2).any(|pair| pair[0].row() == pair[1].row()) {
                keys.sort_unstable_by_key(|key| (key.row(), uses[key.number()].place));
            }
            keys.iter().for_each(|key| take(&uses[key.number()]));
        }
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

//! Double use on a device: uses sorted by cell, neighbours compared; what the device does not see through, the processor judges.
//!
//! Rows come in the order of locations, so a stable sort by cell brings the uses of a cell together in order (`radix`). Then
//! each use is held against the one before it (`shaders/wgsl/double_use/compare.wgsl`): if it names the version and the value
//! that the one before left, by number, it is what it says. The device gives a verdict on nothing else. It flags
//!
//! | flag | the use | what the processor does |
//! |---|---|---|
//! | 1 | demands what was before the segment | judges the use alone |
//! | 2 | does not find what it names | judges all uses of the cell, as `shards` does |
//!
//! A use without a flag, on a cell without a 2, is met: by induction from the first use of the cell. A flag too many costs time;
//! a flag too few is a broken device, and what the self-test and the tests are for.
//! Uses go to the device in parts, ranges of cells, each as large as it takes. Memory: 28 bytes a use of a part and 9 bytes a
//! cell here; 33 bytes a use and 16 a cell there. Equal in result to the other procedures, byte for byte.

use super::columns::{Columns, Malformed, Use, check, use_at};
use super::findings::{Alone, Entry, Findings, Judge};
use super::forward::{Ground, UNUSED, entry};
use super::partition::Workspace;
use super::result::NumberedResult;
use super::shards;
use crate::gpu::{Gpu, GpuError, Pipeline};
use crate::radix::Sorter;
use bytemuck::{cast_slice, cast_slice_mut};
use manaflow_shaders::DOUBLE_USE_COMPARE;
use std::ops::Range;

/// Bit of a use's code that says that it writes.
const WRITE: u32 = 1 << 31;

/// Cells of which uses are counted together when parts are made.
const BLOCK_CELLS: usize = 1 << 10;

/// A device that judges double use.
#[derive(Debug)]
pub struct Device<'a> {
    gpu: &'a Gpu,
    sorter: Sorter<'a>,
    compare: Pipeline,
    part: Part,
}

/// Most that goes to a device at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// Uses.
    pub uses: usize,
    /// Cells.
    pub cells: usize,
}

/// Why a device gave no result.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotJudged {
    /// The columns are no segment's.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The device failed, or does not take as much.
    #[error(transparent)]
    Device(#[from] GpuError),
}

impl<'a> Device<'a> {
    /// Compiles the stages.
    pub fn new(gpu: &'a Gpu) -> Result<Self, GpuError> {
        Self::with(gpu, Part { uses: usize::MAX, cells: usize::MAX })
    }

    /// The same for parts of not more than so much.
    ///
    /// # Panics
    /// If a part has no room for a use.
    pub fn with(gpu: &'a Gpu, part: Part) -> Result<Self, GpuError> {
        // A use is four words, and a cell two.
        let words = gpu.limits().words();
        let part = Part { uses: part.uses.min(words / 4).min(1 << 30), cells: part.cells.min(words / 2) };
        assert!(part.uses > 0 && part.cells > 0, "{part:?} has no room");
        Ok(Self { gpu, sorter: Sorter::new(gpu)?, compare: gpu.pipeline(&DOUBLE_USE_COMPARE)?, part })
    }

    /// Judges a segment. A device that fails is replaced by the processor, which says so. Errors: columns that are no segment's.
    pub fn judge<C: Columns>(&self, columns: &C) -> Result<NumberedResult, Malformed> {
        match self.try_judge(columns) {
            Ok(result) => Ok(result),
            Err(NotJudged::Malformed(error)) => Err(error),
            Err(NotJudged::Device(error)) => {
                tracing::warn!("double use: {error}; the processor goes on without the device");
                shards::in_order(columns, &mut Workspace::default())
            }
        }
    }

    /// Judges a segment. Errors: columns that are no segment's; a device that fails, or does not take as much.
    pub fn try_judge<C: Columns>(&self, columns: &C) -> Result<NumberedResult, NotJudged> {
        check(columns)?;
        let codes = columns.foreign().len() as u64 + u64::from(columns.rows());
        self.gpu.bounded("versions", codes, u64::from(WRITE - 1))?;
        let judge = Judge::new(columns, columns.first());
        let mut findings = Findings::default();
        let ground = Ground::new(columns);
        let mut live = vec![UNUSED; columns.cell_count() as usize];
        for cells in self.parts(columns)? {
            let ends = &mut live[cells.start as usize..cells.end as usize];
            part(&judge, &ground, cells, ends, &mut findings, |uses, ends| self.compare(&judge, &ground, uses, ends))?;
        }
        Ok(findings.finish_live(&judge, live))
    }

    /// Ranges of cells, each of which with its uses is not too much.
    fn parts<C: Columns>(&self, columns: &C) -> Result<Vec<Range<u32>>, GpuError> {
        let block = BLOCK_CELLS.min(self.part.cells);
        let mut counts = vec![0usize; (columns.cell_count() as usize).div_ceil(block)];
        for &cell in columns.cells() {
            counts[cell as usize / block] += 1;
        }
        let (mut parts, mut start, mut uses) = (Vec::new(), 0, 0);
        for (i, count) in counts.iter().enumerate() {
            // Most of the uses may be of few cells; those few are then the processor's.
            self.gpu.bounded("uses of one part", *count as u64, self.part.uses as u64)?;
            if uses + count > self.part.uses || (i + 1 - start) * block > self.part.cells {
                parts.push(start..i);
                (start, uses) = (i, 0);
            }
            uses += count;
        }
        parts.push(start..counts.len());
        let cell = |i: usize| (i * block).min(columns.cell_count() as usize) as u32;
        Ok(parts.into_iter().map(|blocks| cell(blocks.start)..cell(blocks.end)).collect())
    }

    /// What the device says of each use, and what it leaves of each cell: in `ends`, which holds what is known before.
    fn compare<C: Columns>(
        &self,
        judge: &Judge<'_, C>,
        ground: &Ground,
        uses: &Uses,
        ends: &mut [u64],
    ) -> Result<Vec<u32>, GpuError> {
        let n = uses.cells.len();
        let bits = u32::BITS - (ends.len() as u32 - 1).leading_zeros();
        let mut batch = self.gpu.batch();
        let sorted = self.sorter.sort(&mut batch, &uses.cells, bits)?;
        let records = self.gpu.upload(cast_slice(&uses.records))?;
        // An entry's words are value and version, as the stage has them.
        let before = self.gpu.upload(cast_slice(ends))?;
        let after = self.gpu.upload(cast_slice(ends))?;
        let flags = self.gpu.buffer(n.div_ceil(16))?;
        // Fewer than 2^30.
        let params = [n as u32, judge.row_codes, ground.virgin(), 0];
        let buffers = [&sorted.keys, &sorted.rows, &records, &before, &flags, &after];
        batch.run(&self.compare, params, &buffers, params[0].div_ceil(self.compare.group()))?;
        batch.read(&flags, n.div_ceil(16));
        batch.read(&after, 2 * ends.len());
        let mut read = batch.finish()?;
        cast_slice_mut(ends).copy_from_slice(&read[1]);
        Ok(read.swap_remove(0))
    }
}

/// Judges the cells of a range. In `ends` it leaves what is live after the last use of each. `compare` says what is flagged, and
/// gets there what is known before.
fn part<C: Columns, E>(
    judge: &Judge<'_, C>,
    ground: &Ground,
    cells: Range<u32>,
    ends: &mut [u64],
    findings: &mut Findings,
    compare: impl FnOnce(&Uses, &mut [u64]) -> Result<Vec<u32>, E>,
) -> Result<(), E> {
    ground.lay(cells.start, ends);
    let uses = Uses::gather(judge, &cells);
    if uses.cells.is_empty() {
        return Ok(());
    }
    let flags = compare(&uses, ends)?;
    settle(judge, &uses, cells.start, &flags, ends, findings);
    Ok(())
}

/// The same procedure with the stage's twin for the device.
#[cfg(test)]
pub(super) fn by_twin<C: Columns>(columns: &C) -> NumberedResult {
    let (judge, ground) = (Judge::new(columns, columns.first()), Ground::new(columns));
    let mut findings = Findings::default();
    let compare = |uses: &Uses, ends: &mut [u64]| -> Result<Vec<u32>, std::convert::Infallible> {
        let n = uses.cells.len();
        let mut order: Vec<u32> = (0..n as u32).collect();
        order.sort_by_key(|&number| uses.cells[number as usize]);
        let cells: Vec<u32> = order.iter().map(|&number| uses.cells[number as usize]).collect();
        let before = ends.to_vec();
        let mut flags = vec![0; n.div_ceil(16)];
        manaflow_shaders::twin::double_use::compare(
            [n as u32, judge.row_codes, ground.virgin(), 0],
            &cells,
            &order,
            cast_slice(&uses.records),
            cast_slice(&before),
            &mut flags,
            cast_slice_mut(ends),
        );
        Ok(flags)
    };
    let mut live = vec![UNUSED; columns.cell_count() as usize];
    let Ok(()) = part(&judge, &ground, 0..columns.cell_count(), &mut live, &mut findings, compare);
    findings.finish_live(&judge, live)
}

/// The uses of a part, in the order of rows.
#[derive(Default)]
struct Uses {
    /// Their cells, from the part's first on.
    cells: Vec<u32>,
    /// Code of the row, and [`WRITE`]; version; value before; value after.
    records: Vec<[u32; 4]>,
    /// Place in the columns; a part has them in order.
    places: Vec<usize>,
}

impl Uses {
    fn gather<C: Columns>(judge: &Judge<'_, C>, cells: &Range<u32>) -> Self {
        let columns = judge.columns;
        let (of, intx, prev, next) = (columns.cells(), columns.intx(), columns.prev(), columns.next());
        let mut uses = Self::default();
        if cells.len() == columns.cell_count() as usize {
            uses.cells.reserve(of.len());
            uses.records.reserve(of.len());
            uses.places.reserve(of.len());
        }
        for row in 0..columns.rows() {
            let code = row + judge.row_codes;
            for i in columns.moves_of(row).filter(|&i| cells.contains(&of[i])) {
                let flag = if columns.is_write(i) { WRITE } else { 0 };
                uses.cells.push(of[i] - cells.start);
                uses.records.push([code | flag, intx[i], prev[i], next[i]]);
                uses.places.push(i);
            }
        }
        uses
    }

    /// The use of a number.
    fn get<C: Columns>(&self, judge: &Judge<'_, C>, number: usize) -> Use {
        let row = (self.records[number][0] & !WRITE) - judge.row_codes;
        use_at(judge.columns, row, judge.columns.moves_of(row).start, self.places[number])
    }
}

/// The processor's part: uses that are flagged alone, and all uses of the cells that have one to be looked at as a whole.
fn settle<C: Columns>(
    judge: &Judge<'_, C>,
    uses: &Uses,
    first: u32,
    flags: &[u32],
    ends: &mut [u64],
    findings: &mut Findings,
) {
    let mut is_suspect = vec![false; ends.len()];
    let mut open = Vec::new();
    for (i, &word) in flags.iter().enumerate().filter(|(_, word)| **word != 0) {
        for number in 16 * i..(16 * i + 16).min(uses.cells.len()) {
            let is_suspect = &mut is_suspect[uses.cells[number] as usize];
            match word >> (2 * (number % 16)) & 3 {
                0 => {}
                1 => {
                    let u = uses.get(judge, number);
                    match judge.alone(&u) {
                        Alone::Demand => match judge.enter(&u) {
                            Entry::Met => {}
                            Entry::Open => open.push(u),
                            Entry::Wrong(_) => *is_suspect = true,
                        },
                        Alone::Assumed | Alone::Wrong(_) => *is_suspect = true,
                    }
                }
                _ => *is_suspect = true,
            }
        }
    }
    // Only now is it known of which cells the device has judged the rest.
    open.into_iter().filter(|u| !is_suspect[(u.cell - first) as usize]).for_each(|u| findings.open(u));
    let of_suspects = |number: &usize| is_suspect[uses.cells[*number] as usize];
    let mut again: Vec<Use> = (0..uses.cells.len()).filter(of_suspects).map(|n| uses.get(judge, n)).collect();
    // Stable: the uses of a cell stay in order.
    again.sort_by_key(|u| u.cell);
    for of_cell in again.chunk_by(|a, b| a.cell == b.cell) {
        let end = &mut ends[(of_cell[0].cell - first) as usize];
        *end = UNUSED;
        shards::compare(judge, of_cell, findings);
        if let Some(last) = findings.exits.pop() {
            *end = entry(last.row + judge.row_codes, last.value);
        }
    }
}

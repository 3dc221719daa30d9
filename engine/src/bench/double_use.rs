//! Double use: every procedure over columns in memory, beside what merely sorts as many records, and a plain hash map.

use super::{BenchError, Line, Peer, Timed, in_turns};
use crate::double_use::{Columns, NumberedResult, Use, forward, hints, reverse, shards, shards_of, sum};
use alloy_primitives::{B256, U256};
use manaflow_loader::file::NumberedMoves;
use manaflow_loader::model::{Cell, Location, Value, Version};
use manaflow_loader::source::moves::{self, Distribution, History};
use rdst::RadixSort as _;
use std::collections::HashMap;
use std::ops::Range;
use voracious_radix_sort::RadixSort as _;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Numbers of moves.
    pub moves: Vec<u64>,
    /// Distributions.
    pub distributions: Vec<Distribution>,
    /// Kernels by name; all if there are none.
    pub kernels: Vec<String>,
    /// Turns.
    pub samples: usize,
}

/// Kernels by name.
pub const KERNELS: [&str; 5] = ["streaming", "streaming-reverse", "sorted", "tagged", "summed"];

/// Moves of a history, as a block file has them, in memory.
struct Moves {
    blocks: u64,
    /// Rows of a block, opening and closing included, but for the last block.
    rows: u64,
    row_ends: Vec<u32>,
    cell_count: u32,
    cells: Vec<u32>,
    flags: Vec<u8>,
    intx: Vec<u32>,
    prev: Vec<u32>,
    next: Vec<u32>,
}

impl Moves {
    fn of(plan: &moves::Plan) -> Self {
        let mut history = History::new(plan);
        let mut out = Self {
            blocks: 0,
            rows: u64::from(plan.rows) + 2,
            row_ends: Vec::new(),
            cell_count: plan.cells,
            cells: Vec::new(),
            flags: Vec::new(),
            intx: Vec::new(),
            prev: Vec::new(),
            next: Vec::new(),
        };
        let mut block = NumberedMoves::default();
        while history.left() > 0 {
            block.clear();
            history.block(&mut block);
            let before = out.cells.len() as u32;
            out.blocks += 1;
            out.row_ends.extend(block.row_ends.iter().map(|end| before + end));
            out.cells.append(&mut block.cells);
            out.flags.append(&mut block.flags);
            // Code 0 is virgin.
            out.intx.extend(block.intx.iter().map(|row| row.wrapping_add(1)));
            out.prev.append(&mut block.prev);
            out.next.append(&mut block.next);
        }
        out
    }
}

impl Columns for Moves {
    fn first(&self) -> u64 {
        0
    }
    fn blocks(&self) -> u64 {
        self.blocks
    }
    fn origin(&self) -> u64 {
        0
    }
    fn parent_hash(&self) -> Option<B256> {
        None
    }
    fn rows(&self) -> u32 {
        self.row_ends.len() as u32
    }
    fn location(&self, row: u32) -> Location {
        let (block, index) = (u64::from(row) / self.rows, u64::from(row) % self.rows);
        Location::from_bits(block << 24 | index)
    }
    fn moves_of(&self, row: u32) -> Range<usize> {
        let start = if row == 0 { 0 } else { self.row_ends[row as usize - 1] };
        start as usize..self.row_ends[row as usize] as usize
    }
    fn cell_count(&self) -> u32 {
        self.cell_count
    }
    fn foreign(&self) -> &[Version] {
        &[Version::Virgin]
    }
    fn cells(&self) -> &[u32] {
        &self.cells
    }
    fn intx(&self) -> &[u32] {
        &self.intx
    }
    fn prev(&self) -> &[u32] {
        &self.prev
    }
    fn next(&self) -> &[u32] {
        &self.next
    }
    fn is_write(&self, i: usize) -> bool {
        self.flags[i] == 1
    }
    fn defaults(&self) -> Vec<(Range<u32>, u32)> {
        vec![(0..self.cell_count, 0)]
    }
    fn cell(&self, cell: u32) -> Cell {
        Cell::storage(Default::default(), 0, U256::from(cell))
    }
    fn value(&self, _: u32, number: u32) -> Value {
        Value::Word(U256::from(number))
    }
    fn same(&self, _: u32, a: u32, b: u32) -> bool {
        a == b
    }
    fn is_default(&self, _: u32, number: u32) -> bool {
        number == 0
    }
}

/// 16 bytes, sorted by the first eight: cell and row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd)]
struct Record {
    key: u64,
    payload: u64,
}

impl voracious_radix_sort::Radixable<u64> for Record {
    type Key = u64;

    fn key(&self) -> u64 {
        self.key
    }
}

impl rdst::RadixKey for Record {
    const LEVELS: usize = 8;

    fn get_level(&self, level: usize) -> u8 {
        (self.key >> (8 * level)) as u8
    }
}

/// Every kernel on every distribution and number of moves. Peers run on one thread.
///
/// Errors: an unknown kernel; no moves; a kernel that judges wrongly.
pub fn double_use(plan: &Plan) -> Result<Vec<Line>, BenchError> {
    if let Some(name) = plan.kernels.iter().find(|name| !KERNELS.contains(&name.as_str())) {
        return Err(BenchError::Usage(format!("no kernel {name:?}: expected some of {}", KERNELS.join(", "))));
    }
    let mut all = Vec::new();
    for &count in &plan.moves {
        for &distribution in &plan.distributions {
            let history = moves::Plan { distribution, ..moves::Plan::of(count) };
            if let Some(reason) = history.refusal() {
                return Err(BenchError::Usage(reason));
            }
            all.extend(measure(&history, plan)?);
        }
    }
    Ok(all)
}

fn measure(history: &moves::Plan, plan: &Plan) -> Result<Vec<Line>, BenchError> {
    let columns = Moves::of(history);
    let rows = columns.cells.len() as u64;
    let wanted = |kernel: &str| plan.kernels.is_empty() || plan.kernels.iter().any(|name| name == kernel);
    let wrong = |kernel| BenchError::Differs { stage: "double-use", kernel, backend: "cpu", rows };
    let expected = forward(&columns).map_err(|_| wrong("streaming"))?;
    let is_valid = |result: &NumberedResult| result.culprits.is_empty() && result.requirements.is_empty();
    if !is_valid(&expected) {
        return Err(wrong("streaming"));
    }
    let last = if wanted("summed") { hints(&columns) } else { Vec::new() };
    let uses: Vec<Use> = if wanted("tagged") { arrived(&columns) } else { Vec::new() };
    type Judge<'a> = Box<dyn Fn() -> Option<NumberedResult> + 'a>;
    let judges: [(&'static str, Judge<'_>); 5] = [
        ("streaming", Box::new(|| forward(&columns).ok())),
        ("streaming-reverse", Box::new(|| reverse(&columns).ok())),
        ("sorted", Box::new(|| shards(&columns).ok())),
        ("tagged", Box::new(|| shards_of(&columns, uses.clone()).ok())),
        ("summed", Box::new(|| sum(&columns, &last, &[7; 32]).ok().flatten())),
    ];
    let mut kernels = Vec::new();
    for (kernel, judge) in judges.into_iter().filter(|(kernel, _)| wanted(kernel)) {
        if judge().as_ref() != Some(&expected) {
            return Err(wrong(kernel));
        }
        let threads = if matches!(kernel, "sorted" | "tagged") { rayon::current_num_threads() } else { 1 };
        let work = Box::new(move || assert!(judge().is_some_and(|result| is_valid(&result)), "it was valid before"));
        kernels.push(Timed { kernel, backend: "cpu", threads, work });
    }
    let records = records(&columns);
    let mut sorted = records.clone();
    let mut sorted_too = records.clone();
    let by_voracious = || {
        sorted.copy_from_slice(&records);
        sorted.voracious_sort();
    };
    let by_rdst = || {
        sorted_too.copy_from_slice(&records);
        sorted_too.radix_sort_builder().with_parallel(false).sort();
    };
    let peers: Vec<Peer<'_>> = vec![
        ("voracious", rows, Box::new(by_voracious)),
        ("rdst", rows, Box::new(by_rdst)),
        ("hash-map", rows, Box::new(|| assert!(by_hash_map(&columns), "it is valid"))),
    ];
    let input = history.distribution.name().to_owned();
    Ok(in_turns(("double-use", rows, input), plan.samples, kernels, peers))
}

/// Uses as they might come from many machines: blocks in no order.
fn arrived(columns: &Moves) -> Vec<Use> {
    let mut rows: Vec<u32> = (0..columns.rows()).collect();
    manaflow_loader::SplitMix64(5).shuffle(&mut rows);
    let of_row = |row: u32| {
        let range = columns.moves_of(row);
        range.clone().map(move |i| Use {
            cell: columns.cells[i],
            row,
            place: (i - range.start) as u32,
            intx: columns.intx[i],
            prev: columns.prev[i],
            next: columns.next[i],
            write: columns.flags[i] == 1,
        })
    };
    rows.into_iter().flat_map(of_row).collect()
}

fn records(columns: &Moves) -> Vec<Record> {
    let of_row = |row: u32| {
        columns.moves_of(row).map(move |i| Record {
            key: u64::from(columns.cells[i]) << 32 | u64::from(row),
            payload: u64::from(columns.intx[i]) << 32 | u64::from(columns.prev[i]),
        })
    };
    (0..columns.rows()).flat_map(of_row).collect()
}

/// What one would write first: a map from cells to what they hold.
fn by_hash_map(columns: &Moves) -> bool {
    let mut live: HashMap<u32, (u32, u32)> = HashMap::new();
    for row in 0..columns.rows() {
        for i in columns.moves_of(row) {
            let entry = live.entry(columns.cells[i]).or_default();
            if *entry != (columns.intx[i], columns.prev[i]) {
                return false;
            }
            if columns.flags[i] == 1 {
                *entry = (row + 1, columns.next[i]);
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_is_measured_and_verified() {
        let distributions = Distribution::ALL.to_vec();
        let plan = Plan { moves: vec![2_000], distributions, kernels: Vec::new(), samples: 1 };
        let all = double_use(&plan).expect("all are right");
        assert_eq!(all.len(), 3 * KERNELS.len());
        assert!(all.iter().all(|line| line.rows == 2_000 && line.per_second > 0.0 && line.ratio.len() == 3));
        let unknown = Plan { kernels: vec!["guessed".into()], ..plan.clone() };
        assert!(double_use(&unknown).is_err());
        assert!(double_use(&Plan { moves: vec![0], ..plan }).is_err());
    }
}

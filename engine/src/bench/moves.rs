//! Synthetic moves in memory, and what others would do with them: sort as many records, or keep a hash map.

use crate::double_use::{Columns, Use};
use alloy_primitives::{B256, U256};
use manaflow_loader::file::NumberedMoves;
use manaflow_loader::model::{Cell, Location, Value, Version};
use manaflow_loader::source::moves::{self, History};
use std::collections::HashMap;
use std::ops::Range;

/// Moves of a history, as a block file has them, in memory.
#[derive(Debug)]
pub struct Moves {
    blocks: u64,
    locations: Vec<Location>,
    row_ends: Vec<u32>,
    cell_count: u32,
    cells: Vec<u32>,
    flags: Vec<u8>,
    intx: Vec<u32>,
    prev: Vec<u32>,
    next: Vec<u32>,
}

impl Moves {
    /// All moves of a plan.
    pub fn of(plan: &moves::Plan) -> Self {
        let mut history = History::new(plan);
        let mut out = Self {
            blocks: 0,
            locations: Vec::new(),
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
            let first = out.blocks << 24;
            out.locations.extend((first..).take(block.row_ends.len()).map(Location::from_bits));
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
        self.locations[row as usize]
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
    fn flags(&self) -> &[u8] {
        &self.flags
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
pub struct Record {
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

/// Uses as they might come from many machines: blocks in no order.
pub fn arrived(columns: &Moves) -> Vec<Use> {
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

/// What peers merely sort: a record a move.
pub fn records(columns: &Moves) -> Vec<Record> {
    let of_row = |row: u32| {
        columns.moves_of(row).map(move |i| Record {
            key: u64::from(columns.cells[i]) << 32 | u64::from(row),
            payload: u64::from(columns.intx[i]) << 32 | u64::from(columns.prev[i]),
        })
    };
    (0..columns.rows()).flat_map(of_row).collect()
}

/// What one would write first: a map from cells to what they hold.
pub fn by_hash_map(columns: &Moves) -> bool {
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

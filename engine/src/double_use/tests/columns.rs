//! Columns on plain vectors, made from whole uses. Equal values get one number or several, at random.

use super::Random;
use crate::double_use::columns::{Columns, check_shape};
use crate::double_use::model::CellUse;
use alloy_primitives::B256;
use manaflow_loader::model::{Cell, Location, Value, Version};
use std::collections::BTreeMap;
use std::ops::Range;

/// Uses of each cell.
pub type Uses = BTreeMap<Cell, Vec<CellUse<Value>>>;

#[derive(Default)]
pub struct TestColumns {
    pub span: (u64, u64, u64),
    pub parent_hash: Option<B256>,
    pub locations: Vec<Location>,
    pub moves: Vec<Range<usize>>,
    pub table: Vec<Cell>,
    pub values: Vec<Value>,
    pub foreign: Vec<Version>,
    pub cells: Vec<u32>,
    pub intx: Vec<u32>,
    pub prev: Vec<u32>,
    pub next: Vec<u32>,
    pub write: Vec<bool>,
    /// Whether the default is known of every cell.
    pub knows_defaults: bool,
    /// Number of rows that is claimed, where it is not theirs.
    pub rows_claimed: Option<u32>,
}

impl TestColumns {
    /// Columns of blocks first..end (and the origin) with these uses; versions are taken as they are.
    pub fn new(span: (u64, u64, u64), uses: &Uses, random: &mut Random) -> Self {
        let mut out = Self { span, ..Self::default() };
        let mut by_location: BTreeMap<Location, Vec<(u32, &CellUse<Value>)>> = BTreeMap::new();
        for (cell, uses) in uses {
            out.table.push(*cell);
            for u in uses {
                by_location.entry(u.location).or_default().push((out.table.len() as u32 - 1, u));
            }
        }
        out.locations = by_location.keys().copied().collect();
        out.foreign = (uses.values().flatten().map(|u| u.intx))
            .filter(|v| !matches!(v, Version::At(at) if by_location.contains_key(at)))
            .collect();
        out.foreign.sort_unstable();
        out.foreign.dedup();
        for moves in by_location.values() {
            let start = out.cells.len();
            for (cell, u) in moves {
                let code = match u.intx {
                    Version::At(at) if by_location.contains_key(&at) => {
                        out.foreign.len() + out.locations.binary_search(&at).expect("it is a row")
                    }
                    v => out.foreign.binary_search(&v).expect("all others are listed"),
                };
                out.cells.push(*cell);
                out.intx.push(code as u32);
                let prev = out.number(u.prev, random);
                let next = out.number(u.next, random);
                out.prev.push(prev);
                out.next.push(next);
                out.write.push(u.write);
            }
            out.moves.push(start..out.cells.len());
        }
        assert_eq!(check_shape(&out), Ok(()));
        out
    }

    /// The same with one number a value, as block files have them.
    pub fn numbered_once(mut self) -> Self {
        let first = |number: &u32| {
            let value = self.values[*number as usize];
            self.values.iter().position(|v| *v == value).expect("it is there") as u32
        };
        self.prev = self.prev.iter().map(first).collect();
        self.next = self.next.iter().map(first).collect();
        self.knows_defaults = true;
        self
    }

    fn number(&mut self, value: Value, random: &mut Random) -> u32 {
        let known = self.values.iter().rposition(|v| *v == value).filter(|_| !random.once_in(3));
        known.unwrap_or_else(|| {
            self.values.push(value);
            self.values.len() - 1
        }) as u32
    }
}

impl Columns for TestColumns {
    fn first(&self) -> u64 {
        self.span.0
    }
    fn blocks(&self) -> u64 {
        self.span.1 - self.span.0
    }
    fn origin(&self) -> u64 {
        self.span.2
    }
    fn parent_hash(&self) -> Option<B256> {
        self.parent_hash
    }
    fn rows(&self) -> u32 {
        self.rows_claimed.unwrap_or(self.locations.len() as u32)
    }
    fn location(&self, row: u32) -> Location {
        self.locations[row as usize]
    }
    fn moves_of(&self, row: u32) -> Range<usize> {
        self.moves[row as usize].clone()
    }
    fn cell_count(&self) -> u32 {
        self.table.len() as u32
    }
    fn foreign(&self) -> &[Version] {
        &self.foreign
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
        bytemuck::cast_slice(&self.write)
    }
    /// Every other cell, if a number is there.
    fn defaults(&self) -> Vec<(Range<u32>, u32)> {
        let number = |cell: u32| self.values.iter().position(|v| *v == self.table[cell as usize].default_value());
        let known = |cell: u32| number(cell).map(|number| (cell..cell + 1, number as u32));
        (0..self.cell_count()).step_by(if self.knows_defaults { 1 } else { 2 }).filter_map(known).collect()
    }
    fn cell(&self, cell: u32) -> Cell {
        self.table[cell as usize]
    }
    fn value(&self, _cell: u32, number: u32) -> Value {
        self.values[number as usize]
    }
}

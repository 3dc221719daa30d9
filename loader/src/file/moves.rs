//! Moves of a verified block, a transaction at a time: columns and tables are looked up once a block, not once a value.
//!
//! In: positions in the move columns that lie in the block. Out: the moves, as [`BlockFile::move_at`] has them. Cost: the
//! cache lines of cell and values; no page is asked for its checksum again, since `verify_blocks` has passed them.

use super::layout::{ANCHOR_ROWS, FLAG_WRITE, Section as S, SpaceRow, StorageRow};
use super::read::BlockFile;
use super::value;
use crate::Result;
use crate::model::{Cell, Location, Mark, Mode, Move, Value, Version};
use alloy_primitives::{Address, B256, U256};
use std::ops::Range;

/// The tables that cells are put together from.
#[derive(Clone, Copy, Debug)]
pub(super) struct CellTables<'a> {
    addresses: &'a [[u8; 20]],
    accounts: &'a [u32],
    storage: &'a [StorageRow],
    spaces: &'a [SpaceRow],
    slots: &'a [[u8; 32]],
    hashes: &'a [u64],
}

impl<'a> CellTables<'a> {
    #[inline]
    pub(super) fn new(file: &'a BlockFile) -> Self {
        Self {
            addresses: file.column(S::Addresses),
            accounts: file.column(S::AccountCells),
            storage: file.column(S::StorageCells),
            spaces: file.column(S::Spaces),
            slots: file.column(S::Slots),
            hashes: file.column(S::HashCells),
        }
    }

    /// The cell with an id. Panics beyond the tables.
    #[inline]
    pub(super) fn cell(&self, id: u32) -> Cell {
        let address = |number: u32| Address::new(self.addresses[number as usize]);
        let id = id as usize;
        if let Some(&addr) = self.accounts.get(id) {
            return Cell::account(address(addr));
        }
        let id = id - self.accounts.len();
        if let Some(row) = self.storage.get(id) {
            let space = self.spaces[row.space as usize];
            let slot = U256::from_be_bytes(self.slots[row.slot as usize]);
            return Cell::storage(address(space.addr), space.generation, slot);
        }
        Cell::block_hash(self.hashes[id - self.storage.len()])
    }
}

/// The tables that say where values lie in their heap.
#[derive(Clone, Copy, Debug)]
pub(super) struct ValueTables<'a> {
    lengths: &'a [u8],
    anchors: &'a [u64],
}

impl<'a> ValueTables<'a> {
    #[inline]
    pub(super) fn new(file: &'a BlockFile) -> Self {
        Self { lengths: file.bytes(S::ValueLengths), anchors: file.column(S::ValueAnchors) }
    }

    /// Where a value's bytes lie. Panics beyond the tables.
    #[inline]
    pub(super) fn span(&self, number: u32) -> Range<u64> {
        let row = number as usize;
        let group = row / ANCHOR_ROWS * ANCHOR_ROWS;
        let before = match self.lengths.get(group..group + ANCHOR_ROWS) {
            Some(group) => {
                let group = u128::from_le_bytes(std::array::from_fn(|i| group[i]));
                sum_of_bytes(group & !(u128::MAX << (8 * (row % ANCHOR_ROWS))))
            }
            None => self.lengths[group..row].iter().map(|&length| u64::from(length)).sum(),
        };
        let start = self.anchors[row / ANCHOR_ROWS] + before;
        start..start + u64::from(self.lengths[row])
    }
}

/// Sum of sixteen bytes, the topmost zero: at most 15 * 255, which fits the 16-bit lanes it is added up in.
#[inline]
fn sum_of_bytes(bytes: u128) -> u64 {
    const EVEN: u128 = u128::from_le_bytes([0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0, 0xff, 0]);
    let pairs = (bytes & EVEN) + (bytes >> 8 & EVEN); // eight lanes, each at most 510
    let lanes = (pairs as u64) + ((pairs >> 64) as u64); // four lanes, each at most 1,020
    lanes.wrapping_mul(0x0001_0001_0001_0001) >> 48
}

/// Reads moves of one verified block.
#[derive(Clone, Copy, Debug)]
pub struct MoveReader<'a> {
    file: &'a BlockFile,
    /// Positions of the block's moves.
    moves: (usize, usize),
    /// `intx` of the block's first row, its rows, and the location of the first.
    intx_first: u32,
    rows: u32,
    location: u64,
    cells: &'a [u32],
    flags: &'a [u8],
    intx: &'a [u32],
    prev: &'a [u32],
    next: &'a [u32],
    mask: Option<&'a [u32]>,
    cell_tables: CellTables<'a>,
    value_tables: ValueTables<'a>,
    values: &'a [u8],
    code_hashes: &'a [[u8; 32]],
}

impl<'a> MoveReader<'a> {
    /// Of a block that is verified.
    pub(super) fn new(file: &'a BlockFile, block: usize) -> Self {
        let (from, to) = (&file.block_rows()[block], &file.block_rows()[block + 1]);
        Self {
            file,
            moves: (from.move_first as usize, to.move_first as usize),
            intx_first: file.foreign_count() + from.row_first,
            rows: to.row_first - from.row_first,
            location: file.number_of(block) << 24,
            cells: file.cells(),
            flags: file.flags(),
            intx: file.intx(),
            prev: file.prev(),
            next: file.next(),
            mask: file.mask(),
            cell_tables: CellTables::new(file),
            value_tables: ValueTables::new(file),
            values: file.bytes(S::ValueBytes),
            code_hashes: file.column(S::CodeHashes),
        }
    }

    /// Appends the moves at positions of the move columns. Panics if they are not all of the block.
    ///
    /// Errors: none, unless the file was changed since it was verified.
    pub fn read_into(&self, positions: Range<usize>, out: &mut Vec<Move>) -> Result<()> {
        assert!(positions.start >= self.moves.0 && positions.end <= self.moves.1, "moves of another block");
        out.reserve(positions.len());
        for i in positions {
            let cell = self.cell_tables.cell(self.cells[i]);
            let prev = self.value(cell.mark, self.prev[i])?;
            let (mode, next) = if self.flags[i] & FLAG_WRITE != 0 {
                (Mode::Write, self.value(cell.mark, self.next[i])?)
            } else {
                (Mode::Read, prev)
            };
            let mask = self.mask.map_or(0, |mask| mask[i]);
            out.push(Move { mask, cell, mode, intx: self.version(self.intx[i]), prev, next });
        }
        Ok(())
    }

    #[inline]
    fn value(&self, mark: Mark, number: u32) -> Result<Value> {
        let span = self.value_tables.span(number);
        let bytes = &self.values[span.start as usize..span.end as usize];
        let hash = |code: u32| B256::new(self.code_hashes[code as usize]);
        value::decode(mark, bytes, self.code_hashes.len(), hash)
            .or_else(|reason| self.file.refuse_row(S::ValueLengths, number as usize, reason))
    }

    /// Most explicit versions are of the block itself, where no search is needed.
    #[inline]
    fn version(&self, intx: u32) -> Version {
        match intx.wrapping_sub(self.intx_first) {
            index if index < self.rows => Version::At(Location::from_bits(self.location | u64::from(index))),
            _ => self.file.version(intx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bytes_are_added_up() {
        for seed in 0..1000u128 {
            let word = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) & (u128::MAX >> 8);
            let expected: u64 = word.to_le_bytes().iter().map(|&b| u64::from(b)).sum();
            assert_eq!(sum_of_bytes(word), expected, "{word:#x}");
        }
        assert_eq!(sum_of_bytes(u128::MAX >> 8), 15 * 255);
    }
}

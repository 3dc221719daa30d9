//! The writer's dictionaries: numbers in order of first appearance while blocks stream by, sorted order at the end.
//!
//! Memory: one entry for each distinct address, slot, generation of an address, cell, code hash and foreign version of
//! the file; values are remembered for a bounded while only (`RecentValues`). Nothing is read in the order of a hash
//! table, so the same blocks give the same bytes.

use super::layout::{ForeignRow, SpaceRow, StorageRow};
use super::value::ValueBytes;
use crate::model::{Cell, Mark};
use alloy_primitives::map::HashMap;
use alloy_primitives::{Address, U256};
use std::hash::Hash;

/// A table is full: the name of what there is too much of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full(pub &'static str);

/// Keys numbered in order of first appearance.
#[derive(Debug)]
pub struct Numbering<K> {
    numbers: HashMap<K, u32>,
    bound: u32,
    what: &'static str,
}

impl<K: Copy + Eq + Hash + Ord> Numbering<K> {
    /// An empty numbering of fewer than `bound` keys; `what` names them.
    pub fn new(bound: u32, what: &'static str) -> Self {
        Self { numbers: HashMap::default(), bound, what }
    }

    /// How many keys there are.
    pub fn count(&self) -> u32 {
        self.numbers.len() as u32
    }

    /// The number of a key, a new one if it has none.
    pub fn number(&mut self, key: K) -> Result<u32, Full> {
        let next = self.count();
        if let Some(&number) = self.numbers.get(&key) {
            return Ok(number);
        }
        if next >= self.bound {
            return Err(Full(self.what));
        }
        self.numbers.insert(key, next);
        Ok(next)
    }

    /// The keys by number.
    pub fn into_keys(self) -> Vec<K> {
        let mut rows: Vec<(u32, K)> = self.numbers.into_iter().map(|(key, number)| (number, key)).collect();
        rows.sort_unstable_by_key(|row| row.0);
        rows.into_iter().map(|row| row.1).collect()
    }

    /// The keys after `map`, ascending, and for each old number the place in that order. `map` keeps keys distinct.
    pub fn into_sorted<L: Copy + Ord>(self, map: impl Fn(K) -> L) -> (Vec<L>, Vec<u32>) {
        let mut rows: Vec<(L, u32)> = self.numbers.into_iter().map(|(key, number)| (map(key), number)).collect();
        rows.sort_unstable_by_key(|row| row.0);
        let mut places = vec![0; rows.len()];
        for (place, row) in rows.iter().enumerate() {
            places[row.1 as usize] = place as u32;
        }
        (rows.into_iter().map(|row| row.0).collect(), places)
    }
}

/// Cells and what they are made of.
#[derive(Debug)]
pub struct CellTables {
    /// Addresses of cells, senders and authorities.
    pub addresses: Numbering<Address>,
    slots: Numbering<U256>,
    spaces: Numbering<SpaceRow>,
    cells: Numbering<RawCell>,
}

/// A cell in numbers of first appearance. The order of variants is that of cells.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum RawCell {
    Account(u32),
    Storage(StorageRow),
    Hash(u64),
}

/// The tables in their final order.
#[derive(Debug, Default)]
pub struct SortedCells {
    /// Ascending.
    pub addresses: Vec<Address>,
    /// Ascending.
    pub slots: Vec<U256>,
    /// Ascending.
    pub spaces: Vec<SpaceRow>,
    /// Address numbers, ascending.
    pub accounts: Vec<u32>,
    /// Ascending.
    pub storage: Vec<StorageRow>,
    /// Block numbers, ascending.
    pub hashes: Vec<u64>,
    /// Final number of each address by its first one.
    pub address_places: Vec<u32>,
    /// Final number of each cell by its first one.
    pub cell_places: Vec<u32>,
}

impl SortedCells {
    /// Cells of all marks.
    pub fn cells(&self) -> usize {
        self.accounts.len() + self.storage.len() + self.hashes.len()
    }
}

impl CellTables {
    /// Empty tables.
    pub fn new() -> Self {
        Self {
            addresses: Numbering::new(u32::MAX, "addresses"),
            slots: Numbering::new(u32::MAX, "slots"),
            spaces: Numbering::new(u32::MAX, "generations of addresses"),
            cells: Numbering::new(u32::MAX, "cells"),
        }
    }

    /// The number of a cell whose unused fields are zero and whose block number, for `h`, is below 2^64.
    pub fn cell(&mut self, cell: &Cell) -> Result<u32, Full> {
        let raw = match cell.mark {
            Mark::Account => RawCell::Account(self.addresses.number(cell.addr)?),
            Mark::Storage => {
                let addr = self.addresses.number(cell.addr)?;
                let space = self.spaces.number(SpaceRow { addr, generation: cell.generation })?;
                RawCell::Storage(StorageRow { space, slot: self.slots.number(cell.slot)? })
            }
            Mark::BlockHash => RawCell::Hash(cell.slot.as_limbs()[0]),
        };
        self.cells.number(raw)
    }

    /// Bytes that the tables will have in the file, about: a cell has 4 or 8.
    pub fn bytes(&self) -> u64 {
        let rows = [self.addresses.count(), self.slots.count(), self.spaces.count(), self.cells.count()];
        rows.into_iter().zip([20, 32, 8, 8]).map(|(rows, bytes)| u64::from(rows) * bytes).sum()
    }

    /// Puts everything into its final order.
    pub fn into_sorted(self) -> SortedCells {
        let (addresses, address_places) = self.addresses.into_sorted(|a| a);
        let (slots, slot_places) = self.slots.into_sorted(|s| s);
        let (spaces, space_places) =
            self.spaces.into_sorted(|s| SpaceRow { addr: address_places[s.addr as usize], ..s });
        let (cells, cell_places) = self.cells.into_sorted(|cell| match cell {
            RawCell::Account(addr) => RawCell::Account(address_places[addr as usize]),
            RawCell::Storage(row) => RawCell::Storage(StorageRow {
                space: space_places[row.space as usize],
                slot: slot_places[row.slot as usize],
            }),
            RawCell::Hash(number) => RawCell::Hash(number),
        });
        let mut out = SortedCells { addresses, slots, spaces, address_places, cell_places, ..SortedCells::default() };
        for cell in cells {
            match cell {
                RawCell::Account(addr) => out.accounts.push(addr),
                RawCell::Storage(row) => out.storage.push(row),
                RawCell::Hash(number) => out.hashes.push(number),
            }
        }
        out
    }
}

/// A foreign version as first met: the segment is named only by locations that may yet become a row of it.
pub type ForeignKey = (Option<u32>, ForeignRow);

/// Values seen lately. Two generations of a bounded number of entries: a value in use stays, an idle one is forgotten.
#[derive(Debug, Default)]
pub struct RecentValues {
    young: HashMap<ValueBytes, u32>,
    old: HashMap<ValueBytes, u32>,
}

/// Entries of one generation of [`RecentValues`]: about 64 MiB for both together.
pub const RECENT_VALUES: usize = 1 << 19;

impl RecentValues {
    /// The number under which the value was stored, if it is remembered.
    pub fn get(&mut self, value: &ValueBytes) -> Option<u32> {
        if let Some(&number) = self.young.get(value) {
            return Some(number);
        }
        let number = self.old.get(value).copied()?;
        self.remember(*value, number);
        Some(number)
    }

    /// Remembers a value.
    pub fn remember(&mut self, value: ValueBytes, number: u32) {
        if self.young.len() == RECENT_VALUES {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(value, number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::value::encode_word;

    #[test]
    fn a_full_numbering_says_so_and_keeps_what_it_has() {
        let mut numbering = Numbering::new(2, "things");
        assert_eq!([numbering.number(7), numbering.number(5), numbering.number(7)], [Ok(0), Ok(1), Ok(0)]);
        assert_eq!(numbering.number(6), Err(Full("things")));
        assert_eq!(numbering.into_sorted(|key| key), (vec![5, 7], vec![1, 0]));
    }

    #[test]
    fn values_in_use_outlive_idle_ones() {
        let mut recent = RecentValues::default();
        let value = |n: usize| encode_word(U256::from(n));
        for n in 0..3 * RECENT_VALUES {
            recent.remember(value(n), n as u32);
            assert_eq!(recent.get(&value(0)), Some(0), "used at every step, after {n}");
        }
        assert_eq!(recent.get(&value(1)), None, "idle");
        assert!(recent.young.len() + recent.old.len() <= 2 * RECENT_VALUES);
    }
}

//! Blocks whose moves are numbers already, and that hold nothing but moves: written a column at a time, at the disk's pace.
//!
//! In: for each block its header, and moves in columns over cell numbers below [`Cells::count`], rows of this file, and
//! numbers of words. Out: the same file that [`Writer::push`] would make of the whole moves, but for the numbers of values.
//! A cell that no move names is left out of the table at the end.
//! Cost: 17 bytes a move through the spools; memory 4 bytes a cell.

use super::{Full, SortedCells, Writer, encode_word, full_error};
use crate::Result;
use crate::file::layout::{FLAG_WRITE, Section as S, SpaceRow, StorageRow};
use crate::model::{BlockBody, Version};
use alloy_primitives::{Address, U256};
use bytemuck::cast_slice;

/// Storage cells: each of the slots in each of the addresses, but for the last address, which has what is left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cells {
    /// How many there are.
    pub count: u32,
    /// Slots of an address.
    pub slots: u32,
}

impl Cells {
    fn spaces(self) -> u32 {
        self.count.div_ceil(self.slots)
    }

    /// The addresses: 20 bytes that end with a number.
    fn address(space: u32) -> Address {
        let mut bytes = [0x4d; 20];
        bytes[16..].copy_from_slice(&space.to_be_bytes());
        Address::new(bytes)
    }
}

/// The moves of one block. All columns but `row_ends` are of equal length.
#[derive(Clone, Default, Debug)]
pub struct NumberedMoves {
    /// Of each row, opening and closing included, the end of its moves.
    pub row_ends: Vec<u32>,
    /// Cell.
    pub cells: Vec<u32>,
    /// 1 for a write, 0 for a read.
    pub flags: Vec<u8>,
    /// Version: [`NumberedMoves::VIRGIN`], or a row of the file.
    pub intx: Vec<u32>,
    /// Number of the word before.
    pub prev: Vec<u32>,
    /// Number of the word after; of a read 0.
    pub next: Vec<u32>,
}

impl NumberedMoves {
    /// Nobody has written the cell.
    pub const VIRGIN: u32 = u32::MAX;

    /// Empties all columns.
    pub fn clear(&mut self) {
        let Self { row_ends, cells, flags, intx, prev, next } = self;
        for column in [row_ends, cells, intx, prev, next] {
            column.clear();
        }
        flags.clear();
    }
}

impl Writer {
    /// Appends a block of moves alone to the current segment, which is the file's only one and begins at genesis. Words are
    /// given after all blocks, by [`Writer::words`].
    ///
    /// Errors: as [`Writer::push`].
    ///
    /// # Panics
    /// If columns differ in length, or rows and moves contradict each other.
    pub fn push_numbered(&mut self, body: &BlockBody, moves: &NumberedMoves) -> Result<()> {
        self.guard(|writer| writer.push_numbered_block(body, moves))
    }

    fn push_numbered_block(&mut self, body: &BlockBody, moves: &NumberedMoves) -> Result<()> {
        let count = moves.cells.len();
        for len in [moves.flags.len(), moves.intx.len(), moves.prev.len(), moves.next.len()] {
            assert_eq!(len, count, "columns of equal length");
        }
        assert!(moves.row_ends.is_sorted() && moves.row_ends.last().is_none_or(|end| *end as usize == count));
        let row = self.begin_block(body, moves.row_ends.len() as u64)?;
        let virgin = self.intx(Version::Virgin).map_err(|reason| self.refuse("move", reason))?;
        let rows = self.row_first();
        let intx = |&version: &u32| match version {
            NumberedMoves::VIRGIN => virgin,
            row => {
                assert!(row < rows, "row {row} of {rows}");
                row
            }
        };
        let versions: Vec<u32> = moves.intx.iter().map(intx).collect();
        assert!(moves.flags.iter().all(|flags| *flags <= FLAG_WRITE));
        self.put(S::MoveCells, cast_slice(&moves.cells))?;
        self.put(S::MoveFlags, &moves.flags)?;
        self.put(S::MoveIntx, cast_slice(&versions))?;
        self.put(S::MovePrev, cast_slice(&moves.prev))?;
        self.put(S::MoveNext, cast_slice(&moves.next))?;
        self.put(S::RowMoves, cast_slice(&moves.row_ends))?;
        debug_assert_eq!(row.move_first, self.move_count);
        self.move_count += count as u64;
        Ok(())
    }

    /// The words that the moves name by number, in order, and the cells; then [`Writer::finish`].
    ///
    /// Errors: too many words; the disk.
    ///
    /// # Panics
    /// If a move names a cell beyond `cells`.
    pub fn words(&mut self, words: impl Iterator<Item = U256>, cells: Cells) -> Result<()> {
        self.guard(|writer| {
            for word in words {
                let number = writer.value_count;
                if number == u32::MAX {
                    return Err(full_error(&writer.path, "words", Full("values")));
                }
                writer.put_value(number, &encode_word(word))?;
                writer.value_count += 1;
            }
            writer.numbered = Some(cells);
            Ok(())
        })
    }

    /// The tables of cells that moves name, and the place in them of each cell.
    pub(super) fn sort_numbered(&mut self, cells: Cells) -> std::io::Result<SortedCells> {
        let mut places = vec![u32::MAX; cells.count as usize];
        self.spool(S::MoveCells).for_each(|cell| {
            places[cell as usize] = 0;
            Ok(())
        })?;
        let is_named = |space: u32, slot: u32| {
            let cell = u64::from(space) * u64::from(cells.slots) + u64::from(slot);
            usize::try_from(cell).ok().and_then(|cell| places.get(cell)) == Some(&0)
        };
        let mut has_slot = vec![false; cells.slots as usize];
        let mut spaces = Vec::new();
        for space in 0..cells.spaces() {
            let named: Vec<u32> = (0..cells.slots).filter(|&slot| is_named(space, slot)).collect();
            named.iter().for_each(|&slot| has_slot[slot as usize] = true);
            if !named.is_empty() {
                spaces.push(space);
            }
        }
        let slots: Vec<u32> = (0..cells.slots).filter(|&slot| has_slot[slot as usize]).collect();
        let mut out = SortedCells {
            addresses: spaces.iter().map(|&space| Cells::address(space)).collect(),
            slots: slots.iter().map(|&slot| U256::from(slot)).collect(),
            spaces: (0..spaces.len() as u32).map(|addr| SpaceRow { addr, generation: 0 }).collect(),
            ..SortedCells::default()
        };
        let mut number = 0;
        for (i, &space) in spaces.iter().enumerate() {
            for (j, &slot) in slots.iter().enumerate() {
                if is_named(space, slot) {
                    out.storage.push(StorageRow { space: i as u32, slot: j as u32 });
                }
            }
        }
        for place in places.iter_mut().filter(|place| **place == 0) {
            *place = number;
            number += 1;
        }
        out.cell_places = places;
        Ok(out)
    }
}

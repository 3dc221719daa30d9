//! The hints for the sum, from the spooled columns of moves.
//!
//! `last`: a plain pass with a table of rows. Memory: 4 bytes a cell, 12 a row. `exits`: the last move of each cell, then what
//! it leaves, a pass a column. Memory: 40 bytes a cell, 12 a row.

use super::Writer;
use crate::file::layout::{ExitRow, FLAG_WRITE, LAST_NONE, Section as S};
use crate::file::spool::PagedWriter;
use crate::file::tables::SortedCells;
use std::io::{Result, Write};

/// The last move of a cell, and what becomes known of it.
#[derive(Clone, Copy)]
struct Newest {
    /// Move, counted through the file; `u64::MAX` if there is none.
    i: u64,
    cell: u32,
    row: u32,
}

impl Writer {
    /// Of each move the row of its cell's use before it in the segment, + 1. Cells by their first numbers are as good as by others.
    pub(super) fn put_last(&mut self, cells: usize, out: &mut PagedWriter<'_, impl Write>) -> Result<()> {
        let ends = self.row_move_ends()?;
        let starts: Vec<u32> =
            self.segments.iter().map(|segment| self.row_firsts[segment.block_first as usize]).collect();
        let (mut last, mut row, mut i) = (vec![LAST_NONE; cells], 0, 0);
        self.spool(S::MoveCells).map_to(out, |cell| {
            while i >= ends[row] {
                row += 1;
            }
            i += 1;
            let before = std::mem::replace(&mut last[cell as usize], row as u32 + 1);
            let start = starts[starts.partition_point(|start| *start <= row as u32) - 1];
            if before > start { before } else { LAST_NONE }
        })
    }

    /// Whether exits are written: in a file of several segments a cell has several.
    pub(super) fn has_exits(&self) -> bool {
        self.with_last && self.segments.len() == 1
    }

    /// Of each cell its last use, and the version and value that are live then; `intx` makes final codes of spooled ones.
    pub(super) fn put_exits(
        &mut self,
        tables: &SortedCells,
        intx: impl Fn(u32) -> u32,
        out: &mut PagedWriter<'_, impl Write>,
    ) -> Result<()> {
        let newest = self.newest_moves(tables.cell_places.len())?;
        let mut exits = vec![ExitRow::default(); tables.cells()];
        let place = |n: &Newest| tables.cell_places[n.cell as usize] as usize;
        let mut is_write = vec![false; newest.len()];
        self.of_newest::<1>(S::MoveFlags, &newest, |k, [flags]| is_write[k] = flags & FLAG_WRITE != 0)?;
        self.of_newest(S::MoveIntx, &newest, |k, row| {
            // A row is a version of its own as it is spooled.
            let n = &newest[k];
            let version = if is_write[k] { n.row } else { u32::from_le_bytes(row) };
            (exits[place(n)].last, exits[place(n)].version) = (n.row + 1, intx(version));
        })?;
        for section in [S::MovePrev, S::MoveNext] {
            self.of_newest(section, &newest, |k, row| {
                if is_write[k] == (section == S::MoveNext) {
                    exits[place(&newest[k])].value = u32::from_le_bytes(row);
                }
            })?;
        }
        out.put(bytemuck::cast_slice(&exits))
    }

    /// The last move of each cell that has one, ascending by move.
    fn newest_moves(&mut self, cells: usize) -> Result<Vec<Newest>> {
        let ends = self.row_move_ends()?;
        let mut newest: Vec<Newest> = (0..cells as u32).map(|cell| Newest { i: u64::MAX, cell, row: 0 }).collect();
        let (mut row, mut i) = (0, 0);
        self.spool(S::MoveCells).for_each(|cell| {
            while i >= ends[row] {
                row += 1;
            }
            newest[cell as usize] = Newest { i, cell, row: row as u32 };
            i += 1;
            Ok(())
        })?;
        newest.retain(|n| n.i != u64::MAX);
        newest.sort_unstable_by_key(|n| n.i);
        Ok(newest)
    }

    /// Takes the rows of a column that are of these moves.
    fn of_newest<const BYTES: usize>(
        &mut self,
        section: S,
        newest: &[Newest],
        mut take: impl FnMut(usize, [u8; BYTES]),
    ) -> Result<()> {
        let (mut i, mut k) = (0, 0);
        self.spool(section).for_each_row(|row| {
            if newest.get(k).is_some_and(|n| n.i == i) {
                take(k, row);
                k += 1;
            }
            i += 1;
            Ok(())
        })
    }

    /// End of each row's moves, counted through the file.
    fn row_move_ends(&mut self) -> Result<Vec<u64>> {
        let mut ends = Vec::with_capacity(self.row_first() as usize);
        let mut in_block = Vec::new();
        self.spool(S::RowMoves).for_each(|end| {
            in_block.push(end);
            Ok(())
        })?;
        let mut before = 0;
        for block in self.row_firsts.windows(2) {
            let rows = &in_block[block[0] as usize..block[1] as usize];
            ends.extend(rows.iter().map(|end| before + u64::from(*end)));
            before += rows.last().map_or(0, |end| u64::from(*end));
        }
        Ok(ends)
    }
}

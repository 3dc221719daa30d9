//! The hint `last`, from the spooled cells: a plain pass with a table of rows. Memory: 4 bytes a cell, 12 a row.

use super::Writer;
use crate::file::layout::{LAST_NONE, Section as S};
use crate::file::spool::PagedWriter;
use std::io::Write;

impl Writer {
    /// Of each move the row of its cell's use before it in the segment, + 1. Cells by their first numbers are as good as by others.
    pub(super) fn put_last(&mut self, cells: usize, out: &mut PagedWriter<'_, impl Write>) -> std::io::Result<()> {
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

    /// End of each row's moves, counted through the file.
    fn row_move_ends(&mut self) -> std::io::Result<Vec<u64>> {
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

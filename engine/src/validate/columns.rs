//! A piece's moves as the columns that double use reads.
//!
//! The columns of a file that is one piece are used as they lie. Where a file holds several pieces, versions are renumbered
//! for each: rows of it count from its first, everything else is a foreign version; cells are, too, so that a piece costs
//! what it holds.

use super::piece::Piece;
use crate::double_use::{Columns, Hints};
use crate::search::first_row_where;
use alloy_primitives::B256;
use alloy_primitives::map::HashMap;
use manaflow_loader::file::BlockFile;
use manaflow_loader::model::{Cell, Location, Value, Version};
use std::borrow::Cow;
use std::ops::Range;

/// Columns of one piece.
#[derive(Debug)]
pub(super) struct PieceColumns<'a> {
    file: &'a BlockFile,
    first: u64,
    origin: u64,
    parent_hash: Option<B256>,
    moves: Range<usize>,
    /// For each row: end of its moves, from the first of the piece.
    row_ends: Vec<u32>,
    blocks: BlockRows,
    cells: Cow<'a, [u32]>,
    /// Cell of the file for each cell of the piece; `None` if they are the same.
    file_cells: Option<Vec<u32>>,
    intx: Cow<'a, [u32]>,
    foreign: Vec<Version>,
}

/// First row of each block: locations, at four bytes a block and a quarter of a byte a row.
#[derive(Debug)]
struct BlockRows {
    /// Of each block, and the end.
    starts: Vec<u32>,
    /// Block of every sixteenth row.
    blocks: Vec<u32>,
}

impl BlockRows {
    const STEP: u32 = 16;

    fn new(starts: Vec<u32>) -> Self {
        let rows = starts.last().copied().unwrap_or(0);
        let mut blocks = Vec::with_capacity(rows.div_ceil(Self::STEP) as usize);
        let mut block = 0;
        for row in (0..rows).step_by(Self::STEP as usize) {
            while starts[block + 1] <= row {
                block += 1;
            }
            blocks.push(block as u32);
        }
        Self { starts, blocks }
    }

    /// Position of a row's block, and of the row in it.
    fn place(&self, row: u32) -> (u64, u64) {
        let mut block = self.blocks[(row / Self::STEP) as usize] as usize;
        while self.starts[block + 1] <= row {
            block += 1;
        }
        (block as u64, u64::from(row - self.starts[block]))
    }
}

impl<'a> PieceColumns<'a> {
    /// The piece's blocks must be verified. `alone`: the file holds no other piece, and its columns are used as they lie.
    pub fn new(piece: &Piece<'a>, parent_hash: B256, alone: bool) -> manaflow_loader::Result<Self> {
        let file = piece.file;
        let (from, to) = (file.block(piece.blocks.start)?, file.block(piece.blocks.end - 1)?);
        let rows = from.rows().start..to.rows().end;
        let moves = from.moves().start..to.moves().end;
        let mut row_ends = Vec::with_capacity(rows.len());
        let mut starts = Vec::with_capacity(piece.blocks.len() + 1);
        for block in piece.blocks.clone() {
            starts.push(row_ends.len() as u32);
            let view = file.block(block)?;
            let before = (view.moves().start - moves.start) as u64;
            row_ends.extend(view.move_ends().iter().map(|end| (before + u64::from(*end)).min(u32::MAX.into()) as u32));
        }
        starts.push(row_ends.len() as u32);
        let (cells, intx) = (&file.cells()[moves.clone()], &file.intx()[moves.clone()]);
        let (cells, file_cells, intx, foreign) = if alone {
            let foreign = (0..file.foreign_count()).map(|number| file.version(number)).collect();
            (Cow::Borrowed(cells), None, Cow::Borrowed(intx), foreign)
        } else {
            let (cells, file_cells) = renumber_cells(cells);
            let (intx, foreign) = renumber_versions(file, &rows, intx);
            (Cow::Owned(cells), Some(file_cells), Cow::Owned(intx), foreign)
        };
        Ok(Self {
            file,
            first: piece.first,
            origin: file.segments()[piece.segment].start.origin,
            parent_hash: (piece.first > 0).then_some(parent_hash),
            moves,
            row_ends,
            blocks: BlockRows::new(starts),
            cells,
            file_cells,
            intx,
            foreign,
        })
    }

    /// Moves.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// The file's hints for the sum; `None` if it has none, or none of this piece: they are of all that the file holds.
    ///
    /// Errors: damaged.
    pub fn hints(&self) -> manaflow_loader::Result<Option<Hints<'a>>> {
        if self.file_cells.is_some() || self.len() != self.file.cells().len() {
            return Ok(None);
        }
        let hints = self.file.last().zip(self.file.exits()?);
        Ok(hints.map(|(last, exits)| Hints { last: last.into(), exits: exits.into() }))
    }

    fn file_cell(&self, cell: u32) -> u32 {
        self.file_cells.as_ref().map_or(cell, |cells| cells[cell as usize])
    }
}

fn renumber_versions(file: &BlockFile, rows: &Range<u32>, column: &[u32]) -> (Vec<u32>, Vec<Version>) {
    let foreign_of_file = file.foreign_count();
    let own = foreign_of_file + rows.start..foreign_of_file + rows.end;
    let mut numbers: HashMap<u32, u32> = HashMap::default();
    let mut foreign = Vec::new();
    for &code in column.iter().filter(|code| !own.contains(code)) {
        numbers.entry(code).or_insert_with(|| {
            foreign.push(file.version(code));
            foreign.len() as u32 - 1
        });
    }
    let count = foreign.len() as u32;
    let number = |&code: &u32| if own.contains(&code) { code - own.start + count } else { numbers[&code] };
    (column.iter().map(number).collect(), foreign)
}

/// Ascending, as the file's numbers are, so that what is found is in the order of cells from the start.
fn renumber_cells(column: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let mut file_cells = column.to_vec();
    file_cells.sort_unstable();
    file_cells.dedup();
    let number = |cell: &u32| file_cells.binary_search(cell).map_or(0, |i| i as u32);
    let cells = column.iter().map(number).collect();
    (cells, file_cells)
}

impl Columns for PieceColumns<'_> {
    fn first(&self) -> u64 {
        self.first
    }

    fn blocks(&self) -> u64 {
        self.blocks.starts.len() as u64 - 1
    }

    fn origin(&self) -> u64 {
        self.origin
    }

    fn parent_hash(&self) -> Option<B256> {
        self.parent_hash
    }

    fn rows(&self) -> u32 {
        self.row_ends.len() as u32
    }

    fn location(&self, row: u32) -> Location {
        let (block, index) = self.blocks.place(row);
        // Blocks are below 2^40, indices below 2^24: the file's rules.
        Location::from_bits((self.first + block) << 24 | index)
    }

    fn moves_of(&self, row: u32) -> Range<usize> {
        let end = self.row_ends[row as usize] as usize;
        let start = if row == 0 { 0 } else { self.row_ends[row as usize - 1] as usize };
        start..end
    }

    fn cell_count(&self) -> u32 {
        self.file_cells.as_ref().map_or(self.file.cell_count(), |cells| cells.len() as u32)
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
        &self.file.prev()[self.moves.clone()]
    }

    fn next(&self) -> &[u32] {
        &self.file.next()[self.moves.clone()]
    }

    fn flags(&self) -> &[u8] {
        &self.file.flags()[self.moves.clone()]
    }

    fn defaults(&self) -> Vec<(Range<u32>, u32)> {
        let is_virgin = |v: &Version| self.first == 0 && *v == Version::Virgin;
        let Some(virgin) = self.foreign.iter().position(is_virgin) else { return Vec::new() };
        let mut ranges = Vec::new();
        // Cells of one mark follow each other, in the file and in the piece.
        let (mut start, end) = (0, self.cell_count());
        while start < end {
            let mark = self.file.mark(self.file_cell(start));
            let is_later = |cell: u32| self.file.mark(self.file_cell(cell)) != mark;
            let next = first_row_where(start..end, is_later);
            let stands = |i: &usize| {
                (start..next).contains(&self.cells[*i])
                    && self.intx[*i] == virgin as u32
                    && self.file.is_default(mark, self.prev()[*i])
            };
            if let Some(i) = (0..self.cells.len()).find(stands) {
                ranges.push((start..next, self.prev()[i]));
            }
            start = next;
        }
        ranges
    }

    fn cell(&self, cell: u32) -> Cell {
        self.file.cell(self.file_cell(cell))
    }

    fn value(&self, cell: u32, number: u32) -> Value {
        let mark = self.file.mark(self.file_cell(cell));
        self.file.value(mark, number).expect("values of verified blocks decode")
    }

    fn same(&self, _: u32, a: u32, b: u32) -> bool {
        self.file.values_equal(a, b)
    }

    fn is_default(&self, cell: u32, number: u32) -> bool {
        self.file.is_default(self.file.mark(self.file_cell(cell)), number)
    }
}

//! What a whole file does not have: rows of tables that nothing names, and columns of nothing but zeros. With them, one content
//! would have many files, and a file could carry what nobody looks at, such as code that does not hash to its key.

use super::layout::{ForeignRow, NOBODY, STATUS_NONE, Section as S, SpaceRow, StorageRow};
use super::read::BlockFile;
use super::value;
use crate::Result;

/// Rows of a table: those that are named.
struct Named {
    /// A bit a row.
    bits: Vec<u64>,
    rows: usize,
}

impl Named {
    fn new(rows: u64) -> Self {
        Self { bits: vec![0; (rows as usize).div_ceil(64)], rows: rows as usize }
    }

    /// Numbers beyond the table are those of another.
    fn name(&mut self, number: u32) {
        let row = number as usize;
        if row < self.rows {
            self.bits[row / 64] |= 1 << (row % 64);
        }
    }

    fn unnamed(&self) -> Option<usize> {
        let word = self.bits.iter().position(|word| *word != u64::MAX)?;
        let row = 64 * word + self.bits[word].trailing_ones() as usize;
        (row < self.rows).then_some(row)
    }
}

impl BlockFile {
    /// Refuses a file, of which all blocks are verified, for an entry that nothing names, for a mask column of zeros, and for
    /// columns of signed transactions of which no row says anything.
    pub fn verify_named(&self) -> Result<()> {
        if self.mask().is_some_and(|mask| mask.iter().all(|&mask| mask == 0)) {
            return self.refuse(S::MoveMask, "all zero, expected no rows");
        }
        let says_nothing = |row: usize| {
            let ends = [S::RowBytes, S::RowReceipts, S::RowAuthorities].map(|ends| self.column::<u32>(ends)[row]);
            (ends, self.row_sender(row), self.row_status(row), self.row_gas(row)) == ([0; 3], NOBODY, STATUS_NONE, 0)
        };
        if !self.is_moves_only() && (0..self.row_count() as usize).all(says_nothing) {
            return self.refuse(S::RowStatus, "no row of a transaction says anything, expected no rows");
        }
        self.verify_cells_named()?;
        let values = 0..self.value_count();
        if let Some(row) = values.clone().find(|&number| !self.is_value_named(number)) {
            return self.refuse_row(S::ValueLengths, row as usize, "a value that no move names");
        }
        let mut codes = Named::new(self.rows(S::CodeHashes));
        for number in values.filter(|&number| self.is_account_value(number)) {
            if let Some(code) = value::code_number(self.value_bytes(number), self.code_count()) {
                codes.name(code);
            }
        }
        self.all_named(&codes, S::CodeHashes, "a code that no account of a move has")?;
        let mut foreign = Named::new(self.rows(S::Foreign));
        // Virgin and assumed are in every file.
        let fixed = [ForeignRow::VIRGIN, ForeignRow::ASSUMED].len() as u32;
        (0..fixed).chain(self.intx().iter().copied()).for_each(|number| foreign.name(number));
        self.all_named(&foreign, S::Foreign, "a version that no move names")
    }

    fn verify_cells_named(&self) -> Result<()> {
        let mut cells = Named::new(u64::from(self.cell_count()));
        self.cells().iter().for_each(|&cell| cells.name(cell));
        if let Some(mut row) = cells.unnamed() {
            for section in [S::AccountCells, S::StorageCells, S::HashCells] {
                let rows = self.rows(section) as usize;
                if row < rows {
                    return self.refuse_row(section, row, "a cell that no move names");
                }
                row -= rows;
            }
        }
        let (mut spaces, mut slots) = (Named::new(self.rows(S::Spaces)), Named::new(self.rows(S::Slots)));
        for cell in self.column::<StorageRow>(S::StorageCells) {
            spaces.name(cell.space);
            slots.name(cell.slot);
        }
        self.all_named(&spaces, S::Spaces, "a space that no cell is in")?;
        self.all_named(&slots, S::Slots, "a slot that no cell is at")?;
        let mut addresses = Named::new(self.rows(S::Addresses));
        let of_spaces = self.column::<SpaceRow>(S::Spaces).iter().map(|space| space.addr);
        let columns = [S::AccountCells, S::RowSenders, S::Authorities].map(|section| self.column::<u32>(section));
        let of_columns = columns.into_iter().flatten().copied().filter(|&number| number != NOBODY);
        of_spaces.chain(of_columns).for_each(|number| addresses.name(number));
        self.all_named(&addresses, S::Addresses, "an address that nobody has")
    }

    fn all_named(&self, named: &Named, section: S, reason: &str) -> Result<()> {
        named.unnamed().map_or(Ok(()), |row| self.refuse_row(section, row, reason))
    }
}

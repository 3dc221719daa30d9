//! Last writes by cell, in numbers: 8 bytes a cell, written or not.
//!
//! `forward` and its parts have this table anyway, as their live versions; so exits cost no memory of their own, and whoever
//! wants them whole takes them one after the other.

use super::columns::Columns;
use super::result::Exit;

/// The last write of a cell: row and number of the value after.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LastWrite {
    /// Cell.
    pub cell: u32,
    /// Row.
    pub row: u32,
    /// Value after.
    pub value: u32,
}

/// No row has this number.
const NOT_WRITTEN: u64 = u64::MAX;

/// The last write of each cell that is written.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Exits {
    /// Row and value in one word, by cell.
    table: Vec<u64>,
}

impl Exits {
    /// From writes in any order, one a cell; `cells` is the number of all.
    pub(super) fn of(cells: u32, writes: impl IntoIterator<Item = LastWrite>) -> Self {
        let mut table = vec![NOT_WRITTEN; cells as usize];
        for LastWrite { cell, row, value } in writes {
            table[cell as usize] = u64::from(row) << 32 | u64::from(value);
        }
        Self { table }
    }

    /// From a table of live versions: version code and value in one word, rows from the code `row_codes` on. `none` is the code
    /// of no version.
    pub(super) fn of_live(mut table: Vec<u64>, row_codes: u32, none: u32) -> Self {
        let first = u64::from(row_codes) << 32;
        for live in &mut table {
            let is_write = (*live >> 32) as u32 != none && *live >= first;
            *live = if is_write { *live - first } else { NOT_WRITTEN };
        }
        Self { table }
    }

    /// Ascending by cell.
    pub fn iter(&self) -> impl Iterator<Item = LastWrite> {
        let written = (0..).zip(&self.table).filter(|(_, live)| **live != NOT_WRITTEN);
        written.map(|(cell, live)| LastWrite { cell, row: (live >> 32) as u32, value: *live as u32 })
    }

    /// Cells that are written.
    pub fn count(&self) -> usize {
        self.table.iter().filter(|live| **live != NOT_WRITTEN).count()
    }

    /// The same with whole cells and values, ascending by number of the cell.
    pub fn resolve<'a, C: Columns>(&'a self, columns: &'a C) -> impl Iterator<Item = Exit> + 'a {
        let origin = columns.origin();
        self.iter().map(move |LastWrite { cell, row, value }| Exit {
            cell: columns.cell(cell),
            version: columns.location(row),
            value: columns.value(cell, value),
            origin,
            counts_from: origin,
        })
    }
}

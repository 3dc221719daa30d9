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

/// No version has this code.
const NO_VERSION: u32 = u32::MAX;

/// The last write of each cell that is written.
#[derive(Clone, Default, Debug)]
pub struct Exits {
    /// What is live at the end, by cell: version code and value in one word.
    table: Vec<u64>,
    /// Code of the first row's version: those below it, and [`NO_VERSION`], are no writes.
    row_codes: u32,
}

impl Exits {
    /// From writes in any order, one a cell; `cells` is the number of all.
    pub(super) fn of(cells: u32, writes: impl IntoIterator<Item = LastWrite>) -> Self {
        let mut table = vec![u64::MAX; cells as usize];
        for LastWrite { cell, row, value } in writes {
            table[cell as usize] = u64::from(row) << 32 | u64::from(value);
        }
        Self { table, row_codes: 0 }
    }

    /// From a table of live versions, rows from the code `row_codes` on.
    pub(super) fn of_live(table: Vec<u64>, row_codes: u32) -> Self {
        Self { table, row_codes }
    }

    /// The memory of the table.
    pub(super) fn into_table(self) -> Vec<u64> {
        self.table
    }

    /// Ascending by cell.
    pub fn iter(&self) -> impl Iterator<Item = LastWrite> {
        let write = |(cell, live): (u32, &u64)| {
            let code = (live >> 32) as u32;
            let is_write = code >= self.row_codes && code != NO_VERSION;
            is_write.then(|| LastWrite { cell, row: code - self.row_codes, value: *live as u32 })
        };
        (0..).zip(&self.table).filter_map(write)
    }

    /// Cells that are written.
    pub fn count(&self) -> usize {
        self.iter().count()
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

/// The same writes, whatever stands where there is none.
impl PartialEq for Exits {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Exits {}

//! All procedures behind one interface: from the columns of a segment to its result, byte for byte the same from each.

use super::columns::{Columns, Malformed, check};
use super::multiset::{self, Hints};
use super::partition::Workspace;
use super::result::SegmentResult;
use super::{forward, merge, reverse, shards, sum};
use crate::search::first_row_where;
use alloy_primitives::B256;
use alloy_primitives::map::HashMap;
use manaflow_loader::model::{Cell, Location, Value, Version};
use std::ops::Range;

/// A way to judge double use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Procedure {
    /// In order of locations, a table of live versions.
    Forward,
    /// From the newest row down, a table of waiting demands.
    Reverse,
    /// Partitioned by cell, sorted, neighbours compared.
    Shards,
    /// Cut into this many pieces of blocks, each judged forward, the results merged; 0 counts as 1.
    Merge(u32),
    /// Multisets of tokens compared by a keyed sum; what it does not confirm, shards decides.
    Sum,
}

impl Procedure {
    /// One of each.
    pub const ALL: [Self; 5] = [Self::Forward, Self::Reverse, Self::Shards, Self::Merge(2), Self::Sum];

    /// Name as it is written in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Reverse => "reverse",
            Self::Shards => "shards",
            Self::Merge(_) => "merge",
            Self::Sum => "sum",
        }
    }

    /// Judges a segment. Errors: columns that are no segment's.
    pub fn judge<C: Columns>(self, columns: &C) -> Result<SegmentResult, Malformed> {
        check(columns)?;
        self.run(columns)
    }

    /// The same without looking at what a segment may say of versions.
    pub(super) fn run<C: Columns>(self, columns: &C) -> Result<SegmentResult, Malformed> {
        let result = match self {
            Self::Forward => forward::run(columns, &mut Workspace::default())?,
            Self::Reverse => reverse::run(columns),
            Self::Shards => shards::in_order(columns, &mut Workspace::default())?,
            Self::Merge(pieces) => return merged(columns, pieces.max(1)),
            Self::Sum => {
                let confirmed = sum::drawn_key()
                    .and_then(|key| multiset::run(columns, &Hints::of(columns), &key, &mut Workspace::default()));
                match confirmed {
                    Some(result) => result,
                    None => shards::in_order(columns, &mut Workspace::default())?,
                }
            }
        };
        Ok(result.resolve(columns))
    }
}

fn merged<C: Columns>(columns: &C, pieces: u32) -> Result<SegmentResult, Malformed> {
    let (first, blocks) = (columns.first(), columns.blocks());
    let at = |n: u32| first + (u128::from(blocks) * u128::from(n) / u128::from(pieces)) as u64;
    let piece = |n: u32| {
        let cut = Cut::new(columns, at(n)..at(n + 1));
        forward::run(&cut, &mut Workspace::default()).map(|result| result.resolve(&cut))
    };
    (1..pieces).try_fold(piece(0)?, |before, n| merge::merge(&before, &piece(n)?))
}

/// Some blocks of a segment as columns of their own: what lies outside of them is a foreign version.
struct Cut<'a, C> {
    columns: &'a C,
    blocks: Range<u64>,
    rows: Range<u32>,
    moves: Range<usize>,
    intx: Vec<u32>,
    foreign: Vec<Version>,
}

impl<'a, C: Columns> Cut<'a, C> {
    fn new(columns: &'a C, blocks: Range<u64>) -> Self {
        let row_from = |block: u64| first_row_where(0..columns.rows(), |row| columns.location(row).block() >= block);
        let rows = row_from(blocks.start)..row_from(blocks.end);
        let start =
            if rows.start < columns.rows() { columns.moves_of(rows.start).start } else { columns.cells().len() };
        let end = if rows.is_empty() { start } else { columns.moves_of(rows.end - 1).end };
        let row_codes = columns.foreign().len() as u32;
        let own = row_codes + rows.start..row_codes + rows.end;
        let (mut foreign, mut numbers) = (Vec::new(), HashMap::<u32, u32>::default());
        for &code in columns.intx()[start..end].iter().filter(|code| !own.contains(code)) {
            numbers.entry(code).or_insert_with(|| {
                foreign.push(match code.checked_sub(row_codes) {
                    Some(row) => Version::At(columns.location(row)),
                    None => columns.foreign()[code as usize],
                });
                foreign.len() as u32 - 1
            });
        }
        let count = foreign.len() as u32;
        let number = |code: &u32| if own.contains(code) { code - own.start + count } else { numbers[code] };
        let intx = columns.intx()[start..end].iter().map(number).collect();
        Self { columns, blocks, rows, moves: start..end, intx, foreign }
    }
}

impl<C: Columns> Columns for Cut<'_, C> {
    fn first(&self) -> u64 {
        self.blocks.start
    }
    fn blocks(&self) -> u64 {
        self.blocks.end - self.blocks.start
    }
    fn origin(&self) -> u64 {
        self.columns.origin()
    }
    fn parent_hash(&self) -> Option<B256> {
        self.columns.parent_hash().filter(|_| self.blocks.start == self.columns.first())
    }
    fn rows(&self) -> u32 {
        self.rows.end - self.rows.start
    }
    fn location(&self, row: u32) -> Location {
        self.columns.location(self.rows.start + row)
    }
    fn moves_of(&self, row: u32) -> Range<usize> {
        let range = self.columns.moves_of(self.rows.start + row);
        range.start - self.moves.start..range.end - self.moves.start
    }
    fn cell_count(&self) -> u32 {
        self.columns.cell_count()
    }
    fn foreign(&self) -> &[Version] {
        &self.foreign
    }
    fn cells(&self) -> &[u32] {
        &self.columns.cells()[self.moves.clone()]
    }
    fn intx(&self) -> &[u32] {
        &self.intx
    }
    fn prev(&self) -> &[u32] {
        &self.columns.prev()[self.moves.clone()]
    }
    fn next(&self) -> &[u32] {
        &self.columns.next()[self.moves.clone()]
    }
    fn flags(&self) -> &[u8] {
        &self.columns.flags()[self.moves.clone()]
    }
    fn cell(&self, cell: u32) -> Cell {
        self.columns.cell(cell)
    }
    fn value(&self, cell: u32, number: u32) -> Value {
        self.columns.value(cell, number)
    }
    fn same(&self, cell: u32, a: u32, b: u32) -> bool {
        self.columns.same(cell, a, b)
    }
    fn is_default(&self, cell: u32, number: u32) -> bool {
        self.columns.is_default(cell, number)
    }
}

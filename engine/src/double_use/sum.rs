//! Sum: no table of live versions and no sort; two multisets of tokens are compared under a keyed function.
//!
//! Needs one hint a use, `last`: the row of the cell's use before it, read or write. A use consumes the token (cell, last,
//! version named, value before) and produces (cell, own row, version, value) as they are after it: of a write its own row
//! and the value after, of a read what it named. Each cell brings one entry, the token that its first use consumes, and one
//! exit, the one that its last use produces. If each hint is below its own row and no row has a cell twice, the history is
//! valid exactly if {entries} + {produced} = {consumed} + {exits} as multisets (offline memory checking: Blum, Evans,
//! Gemmell, Kannan, Naor 1994). The left side holds no token twice, so unequal multisets hold one of net multiplicity +1.
//!
//! The multisets are compared by their number of tokens and by sums, modulo 2^128, of a keyed function of whole tokens:
//! Keccak-256 of (key, token), of which 16 bytes. The key must be drawn after the columns are fixed: then unequal multisets
//! have equal sums with probability 2^-128. Nothing linear in a token, and no sum of parts of tokens, would do.
//!
//! A sum confirms a history, and says nothing of one that it does not confirm: assumed versions, demands on one entry that
//! name different versions, wrong hints and wrong histories all go to another procedure. Hints are trusted by nobody.
//! Memory: entries, exits and requirements, which are the result; nothing a use. This is the plain version; `multiset` is the
//! same at speed.

use super::columns::{Columns, Malformed, Use, check, check_but_numbers, check_numbers, use_at};
use super::digest::encode;
use super::exits::LastWrite;
use super::findings::{Alone, Entry, Findings, Judge, NONE};
use super::multiset::{self, Hints};
use super::partition::Workspace;
use super::result::NumberedResult;
use alloy_primitives::Keccak256;
use manaflow_loader::model::{Location, Version};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;

/// Where the value begins in an exit's encoding.
const VALUE_AT: usize = 65;

/// What the keyed function depends on; drawn after the columns are fixed.
pub type Key = [u8; 32];

/// For each use, the row of the cell's use before it, `u32::MAX` if there is none: the hint, by a plain pass.
pub fn hints<C: Columns>(columns: &C) -> Vec<u32> {
    let mut last = vec![NONE; columns.cell_count() as usize];
    let mut hints = Vec::with_capacity(columns.cells().len());
    for row in 0..columns.rows() {
        for i in columns.moves_of(row) {
            hints.push(std::mem::replace(&mut last[columns.cells()[i] as usize], row));
        }
    }
    hints
}

/// The result, if the sum vanishes; `None` decides nothing. Errors: columns that are no segment's, or not one hint a use.
pub fn sum<C: Columns>(columns: &C, hints: &[u32], key: &Key) -> Result<Option<NumberedResult>, Malformed> {
    check(columns)?;
    if hints.len() != columns.cells().len() {
        let reason = format!("{} hints, expected {}: one a use", hints.len(), columns.cells().len());
        return Err(Malformed::new("last", reason));
    }
    Ok(run(columns, hints, key))
}

/// The same at speed, with a key drawn now, and hints made by a plain pass where there are none. `None` also if no key can be
/// drawn.
///
/// Errors: columns that are no segment's, or not one hint a use and a cell.
pub fn summed<C: Columns>(columns: &C, hints: Option<Hints<'_>>) -> Result<Option<NumberedResult>, Malformed> {
    summed_in(columns, hints, &mut Workspace::default())
}

/// The same in memory that may be used again.
///
/// Errors: columns that are no segment's, or not one hint a use and a cell.
pub fn summed_in<C: Columns>(
    columns: &C,
    hints: Option<Hints<'_>>,
    workspace: &mut Workspace,
) -> Result<Option<NumberedResult>, Malformed> {
    check_but_numbers(columns)?;
    let hints = match hints {
        Some(hints) => hints,
        None => {
            check_numbers(columns)?;
            Hints::of(columns)
        }
    };
    let (uses, cells) = (columns.cells().len(), columns.cell_count() as usize);
    for (name, rows, expected) in [("last", hints.last.len(), uses), ("exits", hints.exits.len(), cells)] {
        if rows != expected {
            return Err(Malformed::new(name, format!("{rows} hints, expected {expected}")));
        }
    }
    let confirmed = drawn_key().and_then(|key| multiset::run(columns, &hints, &key, workspace));
    // It looks at numbers on its way, and does not confirm any that are out of bounds.
    if confirmed.is_none() {
        check_numbers(columns)?;
    }
    Ok(confirmed)
}

/// A key that nobody knew before, from the operating system; `None` if it gives none.
pub(super) fn drawn_key() -> Option<Key> {
    let mut key = Key::default();
    getrandom::fill(&mut key).ok().map(|()| key)
}

pub(super) fn run<C: Columns>(columns: &C, hints: &[u32], key: &Key) -> Option<NumberedResult> {
    let mut sums = Sums::new(columns, key);
    for row in 0..columns.rows() {
        let range = columns.moves_of(row);
        if !columns.cells()[range.clone()].is_sorted_by(|a, b| a < b) {
            return None;
        }
        for i in range.clone() {
            sums.take(&use_at(columns, row, range.start, i), hints[i])?;
        }
    }
    sums.finish()
}

/// A token without its cell and place: version code and value number.
type Live = (u32, u32);

/// The uses of a cell taken so far, in whatever order.
struct Tokens {
    entry: Option<Live>,
    last_row: u32,
    last: Live,
    /// First use of the entry that reads, and that writes.
    first: [Option<Use>; 2],
    /// Last write: row, value.
    write: Option<(u32, u32)>,
}

pub(super) struct Sums<'a, C> {
    judge: Judge<'a, C>,
    key: &'a Key,
    cells: BTreeMap<u32, Tokens>,
    /// {entries} + {produced} - {consumed} - {exits}.
    total: u128,
    tokens: i128,
}

impl<'a, C: Columns> Sums<'a, C> {
    pub fn new(columns: &'a C, key: &'a Key) -> Self {
        let judge = Judge::new(columns, columns.first());
        Self { judge, key, cells: BTreeMap::new(), total: 0, tokens: 0 }
    }

    /// Takes a use, in any order, each once; `None` if the sum cannot confirm what this use is in.
    pub fn take(&mut self, u: &Use, last: u32) -> Option<()> {
        let is_first = last == NONE;
        if !matches!(self.judge.alone(u), Alone::Demand) || !(is_first || last < u.row) {
            return None;
        }
        let before = (u.intx, u.prev);
        let after = if u.write { (u.row + self.judge.row_codes, u.next) } else { before };
        self.add(u.cell, u.row, after, true);
        self.add(u.cell, last, before, false);
        let is_entry = |u| match self.judge.enter(u) {
            Entry::Open => true,
            // From genesis the one entry is (virgin, default).
            Entry::Met => self.judge.version(u.intx) == Version::Virgin,
            Entry::Wrong(_) => false,
        };
        if is_first && !is_entry(u) {
            return None;
        }
        let tokens = match self.cells.entry(u.cell) {
            Place::Occupied(place) => place.into_mut(),
            Place::Vacant(place) => {
                let tokens = Tokens { entry: None, last_row: u.row, last: after, first: [None, None], write: None };
                place.insert(tokens)
            }
        };
        if is_first && tokens.entry.replace(before).is_some() {
            return None;
        }
        if tokens.last_row <= u.row {
            (tokens.last_row, tokens.last) = (u.row, after);
        }
        if u.write && tokens.write.is_none_or(|(row, _)| row < u.row) {
            tokens.write = Some((u.row, u.next));
        }
        let first = &mut tokens.first[usize::from(u.write)];
        if u.intx < self.judge.row_codes && first.is_none_or(|first| u.row < first.row) {
            *first = Some(*u);
        }
        Some(())
    }

    /// The result, if the sum vanishes.
    pub fn finish(mut self) -> Option<NumberedResult> {
        let columns = self.judge.columns;
        let cells = std::mem::take(&mut self.cells);
        let mut findings = Findings::default();
        for (cell, tokens) in cells {
            let entry = tokens.entry?;
            self.add(cell, NONE, entry, true);
            self.add(cell, tokens.last_row, tokens.last, false);
            if columns.first() > 0 {
                tokens.first.into_iter().flatten().for_each(|u| findings.open(u));
            }
            if let Some((row, value)) = tokens.write {
                findings.exits.push(LastWrite { cell, row, value });
            }
        }
        (self.total == 0 && self.tokens == 0).then(|| findings.finish(&self.judge))
    }

    /// Adds a token on the left side, or takes it away on the right.
    fn add(&mut self, cell: u32, row: u32, (version, value): Live, is_left: bool) {
        let columns = self.judge.columns;
        let location = Location::from_bits(0);
        let mut hasher = Keccak256::new();
        hasher.update(self.key);
        for number in [cell, row, version] {
            hasher.update(number.to_be_bytes());
        }
        // Whole values: their numbers are not theirs alone.
        hasher.update(&encode(&columns.cell(cell), location, &columns.value(cell, value))[VALUE_AT..]);
        let mut term = [0; 16];
        term.copy_from_slice(&hasher.finalize()[..16]);
        let term = u128::from_be_bytes(term);
        self.total = if is_left { self.total.wrapping_add(term) } else { self.total.wrapping_sub(term) };
        self.tokens += if is_left { 1 } else { -1 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::double_use::tests::TestColumns;
    use alloy_primitives::{Address, U256};
    use manaflow_loader::model::{Cell, Value};

    /// Without the key, who makes the file could look for tokens that add up.
    #[test]
    fn a_term_is_of_the_key_and_of_the_whole_token() {
        let slot = |n| Cell::storage(Address::ZERO, 0, U256::from(n));
        let table = vec![slot(0), slot(1)];
        let values = [5, 5, 6].map(|n| Value::Word(U256::from(n))).to_vec();
        let columns = TestColumns { table, values, ..TestColumns::default() };
        let term = |key: u8, cell, row, live| {
            let key = [key; 32];
            let mut sums = Sums::new(&columns, &key);
            sums.add(cell, row, live, true);
            sums.total
        };
        let of = term(1, 0, 3, (4, 0));
        let others = [
            term(2, 0, 3, (4, 0)),
            term(1, 1, 3, (4, 0)),
            term(1, 0, 4, (4, 0)),
            term(1, 0, 3, (3, 0)),
            term(1, 0, 3, (4, 2)),
        ];
        assert!(!others.contains(&of));
        assert_eq!(term(1, 0, 3, (4, 1)), of, "another number of the same value");
    }
}

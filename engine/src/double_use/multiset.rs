//! Multiset: the procedure sum at speed. What is summed, and why it confirms, is said in `sum`, the plain version; here
//!
//! * a token is four numbers of 32 bits: cell, place, version code, value number. The place is the row + 1, and 0 for the
//!   entry. Numbers of one value that differ make tokens differ, so a history may be left to others that `sum` confirms;
//! * the keyed function is AES-128 of that one block, all ten rounds, and its results are added as two words of 64 bits;
//! * exits are claimed by a second hint, a row a cell: a pass over cells takes the place of a table that every use meets.
//!   The result is the claim, which is right if the sum vanishes.
//!
//! From genesis each used cell brings the entry (virgin, default). Later it is the first use of a cell that names it, and its
//! demand becomes a requirement; that a cell has one first use follows from its one exit.
//! Memory: 8 bytes a cell, which is the result, and requirements. `engine/docs/double_use.md` has what soundness rests on.

#[cfg(target_arch = "x86_64")]
use super::avx512;
use super::columns::{Bounds, Chunks, Columns, Use, use_at};
use super::findings::{Alone, Entry, Findings, Judge};
use super::forward::{self, Ground, UNUSED};
use super::memory;
use super::partition::Workspace;
use super::result::NumberedResult;
use super::sum::Key;
use super::wide::wide;
use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use manaflow_loader::file::layout::{ExitRow, FLAG_WRITE, LAST_NONE};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hint::select_unpredictable;
use std::ops::Range;
#[cfg(target_arch = "x86_64")]
use std::sync::OnceLock;

/// What a sum needs besides moves. Trusted by nobody: wrong hints make a sum that decides nothing.
#[derive(Clone, Debug)]
pub struct Hints<'a> {
    /// For each use: the row of the cell's use before it, read or write, + 1; 0 if there is none.
    pub last: Cow<'a, [u32]>,
    /// For each cell: its last use, and the version and value that are live then.
    pub exits: Cow<'a, [ExitRow]>,
}

impl Hints<'_> {
    /// The same, not taken.
    pub fn borrowed(&self) -> Hints<'_> {
        Hints { last: Cow::Borrowed(&self.last), exits: Cow::Borrowed(&self.exits) }
    }

    /// By a plain pass.
    pub fn of<C: Columns>(columns: &C) -> Hints<'static> {
        let mut exits = vec![ExitRow::default(); columns.cell_count() as usize];
        let mut last = Vec::with_capacity(columns.cells().len());
        let row_codes = columns.foreign().len() as u32;
        for row in 0..columns.rows() {
            for i in columns.moves_of(row) {
                let exit = &mut exits[columns.cells()[i] as usize];
                last.push(exit.last);
                exit.last = row + 1;
                (exit.version, exit.value) = match columns.is_write(i) {
                    true => (row + row_codes, columns.next()[i]),
                    false => (columns.intx()[i], columns.prev()[i]),
                };
            }
        }
        Hints { last: last.into(), exits: exits.into() }
    }
}

/// Cell, place, version code, value number.
pub(super) type Token = [u32; 4];

/// Uses of a chunk, in columns of equal length.
pub(super) struct Uses<'a> {
    pub cells: &'a [u32],
    pub rows: &'a [u32],
    /// The hint.
    pub last: &'a [u32],
    pub intx: &'a [u32],
    pub prev: &'a [u32],
    pub next: &'a [u32],
    pub flags: &'a [u8],
}

/// Tokens that go through the function together: two lots of them stay in a first cache.
const LOT: usize = 512;

/// {left} - {right}, under a key.
struct Sum {
    function: Aes128,
    #[cfg(target_arch = "x86_64")]
    vectors: Option<avx512::Aes>,
    total: [u64; 2],
}

impl Sum {
    /// By vectors, where this processor has them, and has proven that they are right.
    fn new(key: &Key) -> Self {
        #[cfg(target_arch = "x86_64")]
        if vectors_are_proven() {
            return Self {
                vectors: avx512::Aes::new(key.first_chunk().expect("a key has 16 bytes")),
                ..Self::plain(key)
            };
        }
        Self::plain(key)
    }

    /// The same by plain code.
    fn plain(key: &Key) -> Self {
        Self {
            function: Aes128::new(&Array(*key.first_chunk().expect("a key has 16 bytes"))),
            #[cfg(target_arch = "x86_64")]
            vectors: None,
            total: [0; 2],
        }
    }

    /// Adds tokens on the left, or on the right. They are gone then.
    fn add(&mut self, tokens: &mut [Token], is_left: bool) {
        let sum = self.of(tokens);
        let add = if is_left { u64::wrapping_add } else { u64::wrapping_sub };
        self.total = [add(self.total[0], sum[0]), add(self.total[1], sum[1])];
    }

    fn of(&self, tokens: &mut [Token]) -> [u64; 2] {
        #[cfg(target_arch = "x86_64")]
        if let Some(vectors) = &self.vectors {
            return vectors.tokens(tokens);
        }
        let blocks: &mut [[u8; 16]] = bytemuck::must_cast_slice_mut(tokens);
        self.function.encrypt_blocks(Array::cast_slice_from_core_mut(blocks));
        // By value: tokens lie where words of 32 bits may lie.
        let terms = blocks.iter().map(|block| bytemuck::cast::<_, [u64; 2]>(*block));
        terms.fold([0; 2], |sum, term| [sum[0].wrapping_add(term[0]), sum[1].wrapping_add(term[1])])
    }

    /// Adds what uses produce on the left, and what they consume on the right; whether a hint is not below its own row, cells of
    /// a row do not ascend, or a cell or a version is not below its bound. `before` is row and cell of the use before them.
    #[inline(always)]
    fn add_uses(&mut self, uses: &Uses<'_>, row_codes: u32, before: (u32, u32), bounds: (u32, u32)) -> bool {
        #[cfg(target_arch = "x86_64")]
        if let Some(vectors) = &self.vectors {
            let (sum, is_bad) = vectors.uses(uses, row_codes, before, bounds);
            self.total = [self.total[0].wrapping_add(sum[0]), self.total[1].wrapping_add(sum[1])];
            return is_bad;
        }
        let Uses { cells, rows, last, intx, prev, next, flags } = *uses;
        let mut tokens = [Token::default(); LOT];
        for at in (0..cells.len()).step_by(LOT) {
            let lot = at..cells.len().min(at + LOT);
            let tokens = &mut tokens[..lot.len()];
            let demands = intx[lot.clone()].iter().zip(&prev[lot.clone()]);
            let places = cells[lot.clone()].iter().zip(&last[lot.clone()]);
            for (token, ((&cell, &last), (&intx, &prev))) in tokens.iter_mut().zip(places.zip(demands.clone())) {
                *token = [cell, last, intx, prev];
            }
            self.add(tokens, false);
            let places = cells[lot.clone()].iter().zip(&rows[lot.clone()]);
            let writes = flags[lot.clone()].iter().zip(&next[lot]);
            let each = places.zip(demands.zip(writes));
            for (token, ((&cell, &row), ((&intx, &prev), (&flags, &next)))) in tokens.iter_mut().zip(each) {
                let is_write = flags & FLAG_WRITE != 0;
                let version = select_unpredictable(is_write, row + row_codes, intx);
                *token = [cell, row + 1, version, select_unpredictable(is_write, next, prev)];
            }
            self.add(tokens, true);
        }
        let is_late = last.iter().zip(rows).fold(false, |is_late, (last, row)| is_late | (last > row));
        let is_beyond = |column: &[u32], bound| column.iter().fold(false, |is_beyond, n| is_beyond | (*n >= bound));
        let is_out = is_beyond(cells, bounds.0) | is_beyond(intx, bounds.1);
        falls(rows, cells) | is_late | is_out | (before.0 == rows[0] && cells[0] <= before.1)
    }

    /// Adds exits of a lot of cells, from a first one on, on the right, and their entries, of this version and value, on the left,
    /// where they count here. Returns how many are used; what is live after the last use goes to `live`.
    #[inline(always)]
    fn add_exits(&mut self, first: u32, exits: &[ExitRow], entry: Option<(u32, u32)>, live: &mut [u64]) -> u64 {
        #[cfg(target_arch = "x86_64")]
        if let Some(vectors) = &self.vectors {
            let (sum, used) = vectors.exits(first, exits, entry, live);
            self.total = [self.total[0].wrapping_add(sum[0]), self.total[1].wrapping_add(sum[1])];
            return used;
        }
        let (version, value) = entry.unwrap_or_default();
        let (mut ends, mut entries) = ([Token::default(); LOT], [Token::default(); LOT]);
        let mut used = 0;
        for ((cell, exit), live) in (first..).zip(exits).zip(live) {
            let is_used = exit.last != LAST_NONE;
            ends[used] = [cell, exit.last, exit.version, exit.value];
            entries[used] = [cell, LAST_NONE, version, value];
            used += usize::from(is_used);
            *live = select_unpredictable(is_used, forward::entry(exit.version, exit.value), UNUSED);
        }
        self.add(&mut ends[..used], false);
        if entry.is_some() {
            self.add(&mut entries[..used], true);
        }
        used as u64
    }
}

/// Whether vectors add up what plain code adds up: known answers, once.
#[cfg(target_arch = "x86_64")]
fn vectors_are_proven() -> bool {
    static PROVEN: OnceLock<bool> = OnceLock::new();
    *PROVEN.get_or_init(|| {
        let key: Key = std::array::from_fn(|i| 3 * i as u8);
        let Some(vectors) = avx512::Aes::new(key.first_chunk().expect("a key has 16 bytes")) else { return false };
        let totals = |mut sum: Sum| {
            // More than a vector, and no multiple of one.
            let column: Vec<u32> = (0..37).map(|n: u32| n.wrapping_mul(0x9e37_79b9) >> 3).collect();
            let cells: Vec<u32> = (0..37).map(|n| 5 * n).collect();
            let flags: Vec<u8> = (0..37).map(|n| n % 3 % 2).collect();
            let rows: Vec<u32> = (0..37).map(|n| 9 + n / 4).collect();
            let uses = Uses {
                cells: &cells,
                rows: &rows,
                last: &[4; 37],
                intx: &column,
                prev: &column,
                next: &cells,
                flags: &flags,
            };
            // Cells ascend; then the first does not.
            let is_bad = [(8, u32::MAX), (9, 7)].map(|before| sum.add_uses(&uses, 11, before, (181, u32::MAX)));
            let exits: Vec<ExitRow> =
                column.iter().map(|&n| ExitRow { last: n % 4, version: n, value: n / 2 }).collect();
            let mut live = vec![0; 2 * exits.len()];
            let (live_later, live_genesis) = live.split_at_mut(exits.len());
            let used =
                sum.add_exits(7, &exits, None, live_later) + sum.add_exits(7, &exits, Some((1, 2)), live_genesis);
            (sum.total, is_bad, used, live)
        };
        let plain = totals(Sum::plain(&key));
        let is_right = totals(Sum { vectors: Some(vectors), ..Sum::plain(&key) }) == plain;
        if !is_right {
            tracing::warn!("double use: sums in vectors of this processor are wrong; plain code takes their place");
        }
        is_right
    })
}

/// The result, if the sum vanishes; `None` decides nothing. Hints must be as many as uses and cells.
pub(super) fn run<C: Columns>(
    columns: &C,
    hints: &Hints<'_>,
    key: &Key,
    workspace: &mut Workspace,
) -> Option<NumberedResult> {
    let judge = Judge::new(columns, columns.first());
    let mut sum = Sum::new(key);
    let mut findings = Findings::default();
    if !add_uses(columns, &hints.last, judge.row_codes, &mut sum) {
        return None;
    }
    if columns.first() > 0 {
        add_entries(&judge, &hints.last, &mut sum, &mut findings)?;
    }
    let live = add_exits(columns, &hints.exits, &mut sum, workspace.table())?;
    (sum.total == [0; 2]).then(|| findings.finish_live(&judge, live))
}

wide! {
/// {produced} - {consumed}; false if a hint is not below its own row, cells of a row do not ascend, or a number is out of bounds:
/// a version that nobody has could be taken for one that is not listed.
fn add_uses<C>(columns: &C, last: &[u32], row_codes: u32, sum: &mut Sum) -> bool {
    // Row and cell of the use before.
    let mut before = (u32::MAX, 0);
    let mut is_bad = false;
    let bounds = Bounds::new(columns).both();
    let mut chunks = Chunks::new(columns, 0..columns.rows());
    while let Some((range, rows)) = chunks.next() {
        let uses = Uses {
            cells: &columns.cells()[range.clone()],
            rows,
            last: &last[range.clone()],
            intx: &columns.intx()[range.clone()],
            prev: &columns.prev()[range.clone()],
            next: &columns.next()[range.clone()],
            flags: &columns.flags()[range],
        };
        is_bad |= sum.add_uses(&uses, row_codes, before, bounds);
        before = (rows[rows.len() - 1], uses.cells[rows.len() - 1]);
    }
    !is_bad
}
}

/// Whether a cell of a row is not above the one before it.
#[inline(always)]
fn falls(rows: &[u32], cells: &[u32]) -> bool {
    let rows = rows[1..].iter().zip(rows);
    let cells = cells[1..].iter().zip(cells);
    rows.zip(cells)
        .fold(false, |falls, ((row, row_before), (cell, before))| falls | ((row == row_before) & (cell <= before)))
}

/// The entries that first uses name, on the left, and what is demanded of them.
fn add_entries<C: Columns>(judge: &Judge<'_, C>, last: &[u32], sum: &mut Sum, findings: &mut Findings) -> Option<()> {
    let columns = judge.columns;
    // First use of the entry that reads, and that writes, by cell.
    let mut first = BTreeMap::<(u32, bool), Use>::new();
    let mut is_left_to_others = false;
    let mut chunks = Chunks::new(columns, 0..columns.rows());
    while let Some((uses, rows)) = chunks.next() {
        for (i, &row) in uses.zip(rows).filter(|(i, _)| columns.intx()[*i] < judge.row_codes) {
            let u = use_at(columns, row, columns.moves_of(row).start, i);
            is_left_to_others |= !matches!(judge.alone(&u), Alone::Demand) || !matches!(judge.enter(&u), Entry::Open);
            if last[i] == LAST_NONE {
                sum.add(&mut [[u.cell, LAST_NONE, u.intx, u.prev]], true);
            }
            first.entry((u.cell, u.write)).or_insert(u);
        }
    }
    first.into_values().for_each(|u| findings.open(u));
    (!is_left_to_others).then_some(())
}

wide! {
/// Exits, on the right, and from genesis entries, on the left; the table of live versions that is claimed.
fn add_exits<C>(columns: &C, exits: &[ExitRow], sum: &mut Sum, table: Vec<u64>) -> Option<Vec<u64>> {
    let ground = Ground::new(columns);
    let mut live = table;
    memory::empty(&mut live, exits.len());
    for (cells, default) in covered(columns.defaults(), columns.cell_count()) {
        for first in cells.clone().step_by(LOT) {
            let lot = first as usize..cells.end.min(first.saturating_add(LOT as u32)) as usize;
            let entry = (columns.first() == 0).then(|| (ground.virgin(), default.unwrap_or(0)));
            live.resize(lot.end, UNUSED);
            let used = sum.add_exits(first, &exits[lot.clone()], entry, &mut live[lot]);
            if used > 0 && entry.is_some() {
                default?;
            }
        }
    }
    Some(live)
}
}

/// Ranges that tile all cells, each with its number for the default, where one is known.
fn covered(known: Vec<(Range<u32>, u32)>, cells: u32) -> Vec<(Range<u32>, Option<u32>)> {
    let mut all = Vec::with_capacity(2 * known.len() + 1);
    let mut at = 0;
    for (range, number) in known {
        all.push((at..range.start, None));
        at = range.end;
        all.push((range, Some(number)));
    }
    all.push((at..cells, None));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::double_use::columns::CHUNK;
    use crate::double_use::tests::TestColumns;
    use alloy_primitives::{Address, U256};
    use manaflow_loader::model::{Cell, Location, Value};

    #[test]
    fn a_total_is_of_both_words_of_each_token() {
        let key: Key = std::array::from_fn(|i| i as u8);
        let function = Aes128::new(&Array(*key.first_chunk().expect("a key has 16 bytes")));
        let words = |token: Token| -> [u64; 2] {
            let mut block = Array(bytemuck::must_cast::<Token, [u8; 16]>(token));
            function.encrypt_block(&mut block);
            bytemuck::must_cast(block.0)
        };
        let (left, right) = ([[1, 2, 3, 4], [5, 6, 7, 8]], [9, 10, 11, 12]);
        let mut sum = Sum::new(&key);
        // They are gone then: copies.
        sum.add(&mut { left }, true);
        sum.add(&mut [right], false);
        let word = |n: usize| words(left[0])[n].wrapping_add(words(left[1])[n]).wrapping_sub(words(right)[n]);
        assert_eq!(sum.total, [word(0), word(1)]);
    }

    #[test]
    fn cells_of_a_row_ascend_strictly() {
        assert!(!falls(&[3, 3, 4, 4], &[5, 6, 6, 7]));
        assert!(falls(&[3, 3], &[5, 5]), "a cell twice");
        assert!(falls(&[3, 3, 3], &[7, 6, 5]), "two falls");
        // The same where one chunk ends and the next begins.
        let count = CHUNK + 1;
        let mut columns = TestColumns {
            locations: vec![Location::new(0, 1).expect("small")],
            moves: std::iter::once(0..count).collect(),
            table: (0..count).map(|n| Cell::storage(Address::ZERO, 0, U256::from(n))).collect(),
            values: vec![Value::Word(U256::ZERO)],
            cells: (0..count as u32).collect(),
            intx: vec![0; count],
            prev: vec![0; count],
            next: vec![0; count],
            write: vec![false; count],
            ..TestColumns::default()
        };
        let ascend = |columns: &TestColumns| {
            let by = |mut sum| add_uses(columns, &vec![0; count], 1, &mut sum);
            let plain = by(Sum::plain(&Key::default()));
            assert_eq!(by(Sum::new(&Key::default())), plain);
            plain
        };
        assert!(ascend(&columns));
        columns.cells[CHUNK] = columns.cells[CHUNK - 1];
        assert!(!ascend(&columns));
    }

    /// Lots of every size up to two vectors and more, by vectors (where the processor has them) and by plain code.
    #[test]
    fn vectors_and_plain_code_give_one_sum() {
        let mut random = crate::double_use::tests::Random(crate::double_use::tests::seed(51));
        let key: Key = std::array::from_fn(|_| random.below(256) as u8);
        for round in 0..2_000 {
            let count = [round % 70, 500 + round % 13][usize::from(round % 9 == 0)];
            let mut column = |most: usize| -> Vec<u32> {
                (0..count).map(|_| if random.once_in(9) { u32::MAX } else { random.below(most) as u32 }).collect()
            };
            let (mut cells, mut rows, last) = (column(1_000_000), column(900_000), column(5));
            let (intx, prev, next) = (column(usize::MAX), column(9), column(9));
            // Mostly as they should be.
            if round % 3 > 0 {
                rows.iter_mut().for_each(|row| *row = (*row).clamp(5, u32::MAX - 9));
                rows.sort_unstable();
                cells.sort_unstable();
                cells.dedup();
                let missing = count - cells.len();
                cells.splice(0..0, 0..missing as u32);
            }
            let flags: Vec<u8> = (0..count).map(|_| random.below(256) as u8).collect();
            let before = (rows.first().copied().unwrap_or(0), random.below(2) as u32 * u32::MAX);
            let uses =
                Uses { cells: &cells, rows: &rows, last: &last, intx: &intx, prev: &prev, next: &next, flags: &flags };
            let bounds = [(u32::MAX, u32::MAX), (999_990, u32::MAX), (u32::MAX, 9)][round / 3 % 3];
            let (mut plain, mut fast) = (Sum::plain(&key), Sum::new(&key));
            if count > 0 && rows.iter().all(|row| *row < u32::MAX - 8) {
                assert_eq!(
                    fast.add_uses(&uses, 7, before, bounds),
                    plain.add_uses(&uses, 7, before, bounds),
                    "round {round}"
                );
                assert_eq!(fast.total, plain.total, "uses, round {round}");
            }
            let exit = |i: usize| ExitRow { last: last[i] % 3, version: intx[i], value: prev[i] };
            let exits: Vec<ExitRow> = (0..count.min(LOT)).map(exit).collect();
            for entry in [None, Some((0, 0)), Some((3, 4))] {
                let (mut live, mut live_too) = (vec![7; exits.len()], vec![8; exits.len()]);
                let used = fast.add_exits(9, &exits, entry, &mut live);
                assert_eq!(plain.add_exits(9, &exits, entry, &mut live_too), used);
                assert_eq!((live, fast.total), (live_too, plain.total), "exits, round {round}");
            }
            let tokens: Vec<Token> = (0..count).map(|i| [cells[i], rows[i], last[i], intx[i]]).collect();
            fast.add(&mut tokens.clone(), round % 2 == 0);
            plain.add(&mut tokens.clone(), round % 2 == 0);
            assert_eq!(fast.total, plain.total, "tokens, round {round}");
        }
    }

    /// Some builds keep tokens on the stack at a multiple of four bytes and of no more.
    #[test]
    fn tokens_may_lie_at_any_word() {
        let sums: Vec<[u64; 2]> = (0..4)
            .map(|offset| {
                let mut words = vec![0_u32; offset + 4 * 9];
                for (i, word) in words[offset..].iter_mut().enumerate() {
                    *word = i as u32;
                }
                let tokens: &mut [Token] = bytemuck::cast_slice_mut(&mut words[offset..]);
                let mut sum = Sum::plain(&[7; 32]);
                sum.add(tokens, true);
                sum.total
            })
            .collect();
        assert!(sums.iter().all(|sum| *sum == sums[0]) && sums[0] != [0; 2]);
    }
}

//! Moves that follow from a seed: histories of nothing but moves, of any length, to measure double use with.
//!
//! A plan gives one history, the same on every machine: storage cells, rows of 1 to 11 moves on ascending cells, and after every
//! move the cell holds what it declares. It is valid but for the violations that are planted in it, whose culprits are told.
//! Memory: 8 bytes a cell.
//!
//! Cells are drawn *uniformly*; by *Zipf's law* with exponent 1 in steps (all ranks between two powers of 2 are equally
//! likely, each such octave as likely as any other), ranks scattered over the cells; or uniformly but for one *hot* cell,
//! which every row has.

use crate::file::{Cells, NumberedMoves, Summary, Writer};
use crate::model::{BlockBody, Location, Ommers, SegmentStart};
use crate::rules::ChainRules;
use crate::{Error, Result, SplitMix64};
use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, U256, keccak256};
use std::path::Path;

/// Greatest number of moves of a row.
const ROW_MOVES: u64 = 11;
/// Distinct words: each is stored once, so few of them keep a move small.
const WORDS: u32 = 1 << 16;
/// Slots of an address.
const SLOTS: u32 = 1 << 12;

/// How often cells are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Distribution {
    /// All alike.
    Uniform,
    /// By Zipf's law, exponent 1.
    Zipf,
    /// One cell in every row, all others alike.
    Hot,
}

impl Distribution {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Uniform, Self::Zipf, Self::Hot];

    /// Name in options.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Zipf => "zipf",
            Self::Hot => "hot",
        }
    }
}

/// Draws numbers below a count by a distribution.
#[derive(Clone, Copy, Debug)]
pub struct Ranks {
    distribution: Distribution,
    count: u64,
    /// Spreads ranks over numbers: shares no factor with the count.
    stride: u64,
}

impl Ranks {
    /// Of numbers below `count`, at least one.
    pub fn new(distribution: Distribution, count: u64) -> Self {
        let mut stride = (count as f64 * 0.618) as u64 | 1;
        while greatest_common_divisor(stride, count) != 1 {
            stride += 2;
        }
        Self { distribution, count, stride }
    }

    /// The next one; of a row's, whether it is the first.
    pub fn draw(&self, random: &mut SplitMix64, is_first: bool) -> u64 {
        match self.distribution {
            Distribution::Hot if is_first => 0,
            Distribution::Uniform | Distribution::Hot => random.below(self.count),
            Distribution::Zipf => loop {
                let octave = random.below(u64::from(self.count.ilog2()) + 1);
                let rank = (1 << octave) + random.below(1 << octave) - 1;
                if rank < self.count {
                    break ((u128::from(rank) * u128::from(self.stride)) % u128::from(self.count)) as u64;
                }
            },
        }
    }
}

/// What can be planted, by the reason that double use gives for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Violation {
    /// A version that is not below the use.
    VersionNotBefore,
    /// Virgin with a value that is not the default.
    VirginNotDefault,
    /// A write that consumes a version that is not live.
    DoubleUse,
    /// A read that observes a version that is not live.
    StaleRead,
    /// The live version with another value.
    WrongBefore,
}

impl Violation {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::VersionNotBefore, Self::VirginNotDefault, Self::DoubleUse, Self::StaleRead, Self::WrongBefore];

    /// The reason's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::VersionNotBefore => "version-not-before",
            Self::VirginNotDefault => "virgin-not-default",
            Self::DoubleUse => "double-use",
            Self::StaleRead => "stale-read",
            Self::WrongBefore => "wrong-before",
        }
    }
}

/// What to make.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Moves, at least one.
    pub moves: u64,
    /// Cells to draw from, at least 11, as many as a row may have moves; those that are never drawn are in no file.
    pub cells: u32,
    /// How they are drawn.
    pub distribution: Distribution,
    /// Reads among moves, in percent.
    pub reads: u32,
    /// Rows of a block, opening and closing aside.
    pub rows: u32,
    /// Seed.
    pub seed: u64,
    /// How many of each violation.
    pub planted: Vec<(Violation, u32)>,
    /// Whether the file gets the hint `last`.
    pub with_last: bool,
}

impl Plan {
    /// A plan of so many moves with a fifth as many cells, drawn uniformly, 45 % reads, nothing planted.
    pub fn of(moves: u64) -> Self {
        Self {
            moves,
            cells: u32::try_from(moves / 5).unwrap_or(u32::MAX).clamp(ROW_MOVES as u32, u32::MAX - 1),
            distribution: Distribution::Uniform,
            reads: 45,
            rows: 1000,
            seed: 0,
            planted: Vec::new(),
            with_last: false,
        }
    }

    /// Why it cannot be carried out.
    pub fn refusal(&self) -> Option<String> {
        if self.moves == 0 {
            return Some("no moves: at least one".into());
        }
        // Memory goes with the cells.
        let most = self.moves.max(1 << 20);
        if !(ROW_MOVES..=most).contains(&u64::from(self.cells)) {
            return Some(format!("{} cells for {} moves: from {ROW_MOVES} to {most}", self.cells, self.moves));
        }
        if self.rows == 0 || self.rows >= (1 << 24) - 2 {
            return Some(format!("{} transactions a block: from 1 to 2^24 - 3", self.rows));
        }
        let planted: u64 = self.planted.iter().map(|(_, count)| u64::from(*count)).sum();
        if planted > self.moves / 64 {
            return Some(format!("{planted} violations in {} moves: at most one in 64", self.moves));
        }
        // A row has one move at least.
        let rows = self.moves.saturating_add(2 * self.moves.div_ceil(u64::from(self.rows)));
        (rows / 2 > u64::from(u32::MAX)).then(|| "more rows than a file can have".into())
    }
}

/// A violation, and where double use finds it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Planted {
    /// The use.
    pub location: Location,
    /// What is wrong with it.
    pub violation: Violation,
}

/// Writes the history of a plan as a block file; says what was planted. `progress` is told the moves done.
///
/// Errors: the plan has a [`Plan::refusal`]; the disk.
pub fn write(path: &Path, plan: &Plan, versions: &str, progress: impl Fn(u64)) -> Result<(Summary, Vec<Planted>)> {
    if let Some(reason) = plan.refusal() {
        return Err(Error::malformed(path, "plan", reason));
    }
    let mut writer = Writer::create(path, &ChainRules::named("mainnet").unwrap_or_default(), versions)?;
    if plan.with_last {
        writer = writer.with_last();
    }
    writer.begin_segment(&SegmentStart { first: 0, origin: 0, total_difficulty: None, earlier: Vec::new() })?;
    let mut history = History::new(plan);
    let mut moves = NumberedMoves::default();
    let mut parent = B256::ZERO;
    while history.left > 0 {
        moves.clear();
        history.block(&mut moves);
        let header = alloy_rlp::encode(Header { parent_hash: parent, number: history.number - 1, ..Header::default() });
        parent = keccak256(&header);
        let ommers = Ommers::Headers(Bytes::from_static(&[0xc0]));
        writer.push_numbered(&BlockBody { header: header.into(), ommers, withdrawals: None }, &moves)?;
        progress(plan.moves - history.left);
    }
    let words = history.words();
    writer.words((0..words).map(U256::from), Cells { count: plan.cells, slots: SLOTS })?;
    let summary = writer.finish()?;
    history.planted.sort_unstable();
    Ok((summary, history.planted))
}

/// A cell's live version and word: row + 1, or 0 for virgin.
#[derive(Clone, Copy, Default, Debug)]
struct Live {
    version: u32,
    word: u32,
}

/// A plan's history as it comes, block by block.
#[derive(Debug)]
pub struct History<'a> {
    plan: &'a Plan,
    random: SplitMix64,
    live: Vec<Live>,
    ranks: Ranks,
    /// Moves to come.
    left: u64,
    /// Next block and row.
    number: u64,
    row: u32,
    writes: u64,
    /// Violations to come: the move from which on each is planted, ascending from the end.
    waiting: Vec<(u64, Violation)>,
    planted: Vec<Planted>,
    /// Cells that a violation was planted on: each span has at most one, so that all are told apart.
    touched: std::collections::HashSet<u32>,
}

impl<'a> History<'a> {
    /// Before its first block.
    pub fn new(plan: &'a Plan) -> Self {
        let mut random = SplitMix64(plan.seed);
        let of_kind = |&(violation, count): &(Violation, u32)| std::iter::repeat_n(violation, count as usize);
        let mut kinds: Vec<Violation> = plan.planted.iter().flat_map(of_kind).collect();
        random.shuffle(&mut kinds);
        // In the last nine tenths, where cells have versions to lie about.
        let span = plan.moves - plan.moves / 10;
        let count = kinds.len() as u64;
        let place = |(i, violation)| (plan.moves / 10 + span * i as u64 / count.max(1), violation);
        let mut waiting: Vec<(u64, Violation)> = kinds.into_iter().enumerate().map(place).collect();
        waiting.reverse();
        Self {
            plan,
            random,
            live: vec![Live::default(); plan.cells as usize],
            ranks: Ranks::new(plan.distribution, u64::from(plan.cells)),
            left: plan.moves,
            number: 0,
            row: 0,
            writes: 0,
            waiting,
            planted: Vec::new(),
            touched: std::collections::HashSet::new(),
        }
    }

    /// Words that have been written, and the default.
    fn words(&self) -> u32 {
        (self.writes + 1).min(u64::from(WORDS)) as u32
    }

    /// Moves to come.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Adds the next block to empty columns.
    pub fn block(&mut self, out: &mut NumberedMoves) {
        out.row_ends.push(0);
        self.row += 1;
        for index in 1..=self.plan.rows {
            if self.left == 0 {
                break;
            }
            self.row_moves(u64::from(index), out);
            out.row_ends.push(out.cells.len() as u32);
            self.row += 1;
        }
        out.row_ends.push(out.cells.len() as u32);
        self.row += 1;
        self.number += 1;
    }

    fn row_moves(&mut self, index: u64, out: &mut NumberedMoves) {
        let wanted = (1 + self.random.below(ROW_MOVES)).min(self.left) as usize;
        let mut cells = [0; ROW_MOVES as usize];
        let mut count = 0;
        while count < wanted {
            // Below the plan's cells.
            let cell = self.ranks.draw(&mut self.random, count == 0) as u32;
            if !cells[..count].contains(&cell) {
                cells[count] = cell;
                count += 1;
            }
        }
        cells[..count].sort_unstable();
        for &cell in &cells[..count] {
            self.one_move(index, cell, out);
        }
        self.left -= count as u64;
    }

    fn one_move(&mut self, index: u64, cell: u32, out: &mut NumberedMoves) {
        let live = self.live[cell as usize];
        let is_write = self.random.below(100) >= u64::from(self.plan.reads);
        let mut next = 0;
        let (mut version, mut prev) = (live.version, live.word);
        let (row, done) = (self.row, self.plan.moves - self.left);
        if is_write {
            self.writes += 1;
            next = (self.writes % u64::from(WORDS)) as u32;
            self.live[cell as usize] = Live { version: row + 1, word: next };
        }
        if self.waiting.last().is_some_and(|(from, _)| *from <= done)
            && let Some(lie) = self.waiting.last().and_then(|(_, violation)| lie(*violation, live, is_write, row))
            && self.touched.insert(cell)
            && let (Some((_, violation)), Some(location)) = (self.waiting.pop(), Location::new(self.number, index))
        {
            (version, prev) = lie;
            self.planted.push(Planted { location, violation });
        }
        out.cells.push(cell);
        out.flags.push(is_write.into());
        out.intx.push(version.checked_sub(1).unwrap_or(NumberedMoves::VIRGIN));
        out.prev.push(prev);
        out.next.push(next);
    }
}

/// Version and word of a lie about a cell that was written, whose culprit has this reason; none if this use cannot tell it.
fn lie(violation: Violation, live: Live, is_write: bool, row: u32) -> Option<(u32, u32)> {
    if live.version == 0 || live.word == 0 {
        return None;
    }
    match violation {
        Violation::VersionNotBefore => Some((row + 1, live.word)),
        Violation::VirginNotDefault => Some((0, live.word)),
        // Row 0 is block 0's opening, which wrote nothing.
        Violation::DoubleUse => (is_write && live.version > 1).then_some((1, live.word)),
        Violation::StaleRead => (!is_write && live.version > 1).then_some((1, live.word)),
        Violation::WrongBefore => Some((live.version, 0)),
    }
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::BlockFile;

    fn made(plan: &Plan) -> (BlockFile, Vec<Planted>) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("moves.mana");
        let (summary, planted) = write(&path, plan, "a test", |_| ()).expect("written");
        assert_eq!(summary.moves, plan.moves);
        let file = BlockFile::open(&path).expect("it is a block file");
        file.verify_all().expect("well-formed, and everything is named");
        (file, planted)
    }

    #[test]
    fn a_plan_gives_one_file_of_small_moves() {
        for distribution in Distribution::ALL {
            let plan = Plan { distribution, ..Plan::of(200_000) };
            let (file, planted) = made(&plan);
            assert!(planted.is_empty() && file.is_moves_only() && file.last().is_none());
            assert_eq!(file.fingerprint(), made(&plan).0.fingerprint());
            assert_ne!(file.fingerprint(), made(&Plan { seed: 1, ..plan.clone() }).0.fingerprint());
            let bytes = file.sizes().iter().map(|s| s.bytes).sum::<u64>() as f64 / plan.moves as f64;
            // Headers and words are few in longer ones.
            assert!(bytes < 22.0, "{bytes} bytes a move");
        }
    }

    #[test]
    fn rows_ascend_and_cells_hold_what_moves_declare() {
        let (file, _) = made(&Plan { cells: 50, with_last: true, ..Plan::of(20_000) });
        let last = file.last().expect("hints").to_vec();
        let mut live = std::collections::HashMap::new();
        let mut used = std::collections::HashMap::new();
        for block in 0..file.block_count() {
            for row in file.block(block).expect("a block").transactions() {
                let record = row.record().expect("a row");
                assert!(record.moves.is_sorted_by(|a, b| a.cell < b.cell));
                for (step, i) in record.moves.iter().zip(row.moves()) {
                    assert_eq!(used.insert(step.cell, row.row() + 1).unwrap_or(0), last[i]);
                    let (version, value) = live
                        .get(&step.cell)
                        .copied()
                        .unwrap_or((crate::model::Version::Virgin, step.cell.default_value()));
                    assert_eq!((step.intx, step.prev), (version, value));
                    if step.mode == crate::model::Mode::Write {
                        live.insert(step.cell, (crate::model::Version::At(row.location()), step.next));
                    }
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_planned_is_refused() {
        let refused = |plan: Plan| plan.refusal().is_some();
        assert!(!refused(Plan::of(1)));
        assert!(refused(Plan::of(0)));
        assert!(refused(Plan { cells: 10, ..Plan::of(100) }));
        assert!(
            refused(Plan { cells: (1 << 20) + 1, ..Plan::of(100) })
                && !refused(Plan { cells: 1 << 20, ..Plan::of(100) })
        );
        assert!(refused(Plan { rows: 0, ..Plan::of(100) }));
        assert!(refused(Plan { planted: vec![(Violation::DoubleUse, 2)], ..Plan::of(100) }));
        assert!(refused(Plan::of(1 << 34)));
    }
}

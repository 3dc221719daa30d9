//! The moves of a sample, held against each other cell by cell: PROTOCOL.md section 5 said once more, without the engine.
//!
//! Slow and plain. It says every fault of double use with its place, the requirements and the exits, for every sample, so
//! a lie about moves is foretold exactly. Types are those of the loader; nothing here calls the engine but for the names
//! of reasons.

use super::sample::{Sample, decode_header};
use alloy_primitives::{B256, U256};
use manaflow_engine::reason::Reason;
use manaflow_loader::model::{Cell, Location, Mark, Mode, Ommers, Value, Version};
use std::collections::{BTreeMap, BTreeSet};

/// A demand: write, version, before.
type Demand = (bool, Version, Value);

/// What a segment takes for granted: first block, origin, parent hash, total difficulty before.
type Window = (u64, u64, B256, Option<U256>);

/// What the moves of a sample say of each other.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ledger {
    /// Every fault of double use.
    pub faults: BTreeSet<(Location, Reason, Cell)>,
    /// Open demands by segment and cell, each with its first use.
    pub demands: BTreeMap<(usize, Cell), Vec<(Location, Demand)>>,
    /// Cells assumed, storage in generation 0, each with its last use.
    pub assumed: BTreeMap<(usize, Cell), Location>,
    /// Last writes whose value is known.
    pub exits: BTreeMap<(usize, Cell), (Location, Value)>,
    /// Windows of segments that do not begin at genesis.
    pub windows: BTreeMap<usize, Window>,
}

/// A use of one cell.
struct Use {
    at: Location,
    write: bool,
    intx: Version,
    prev: Value,
    next: Value,
}

impl Ledger {
    /// Reads all moves.
    pub fn of(sample: &Sample) -> Self {
        let mut ledger = Self::default();
        for (place, segment) in sample.segments.iter().enumerate() {
            let first = segment.start.first;
            let header = segment.blocks.first().and_then(|block| decode_header(&block.body.header));
            let parent_hash = header.map(|header| header.parent_hash).unwrap_or_default();
            if first > 0 {
                let start = &segment.start;
                ledger.windows.insert(place, (first, start.origin, parent_hash, start.total_difficulty));
            }
            let mut cells: BTreeMap<Cell, Vec<Use>> = BTreeMap::new();
            for (b, block) in segment.blocks.iter().enumerate() {
                for (i, row) in block.transactions.iter().enumerate() {
                    let at = Location::new(first + b as u64, i as u64).expect("of a sample");
                    for m in &row.moves {
                        let (write, next) = (m.mode == Mode::Write, m.next);
                        let of_cell = cells.entry(m.cell).or_default();
                        of_cell.push(Use { at, write, intx: m.intx, prev: m.prev, next });
                    }
                }
            }
            let mut exits = BTreeMap::new();
            for (cell, uses) in cells {
                if let Some(exit) = ledger.cell(place, first, parent_hash, cell, &uses) {
                    exits.insert(cell, exit);
                }
            }
            // The miner of a block whose ommers are known by hash only may have got more than anybody can say.
            for (b, block) in segment.blocks.iter().enumerate() {
                if let (Ommers::Hashes(_), Some(header)) = (&block.body.ommers, decode_header(&block.body.header)) {
                    let closing = Location::new(first + b as u64, block.transactions.len() as u64 - 1);
                    let at = closing.expect("of a sample");
                    let last = ledger.assumed.entry((place, Cell::account(header.beneficiary))).or_insert(at);
                    *last = at.max(*last);
                }
            }
            for (cell, exit) in exits {
                let whole = Cell { generation: 0, ..cell };
                let account = Cell::account(cell.addr);
                let is_unknown = ledger.assumed.contains_key(&(place, whole))
                    || (cell.mark == Mark::Storage && ledger.assumed.contains_key(&(place, account)));
                if !is_unknown {
                    ledger.exits.insert((place, cell), exit);
                }
            }
        }
        ledger
    }

    /// Whether two ledgers require the same.
    pub fn requires_as(&self, other: &Self) -> bool {
        (&self.demands, &self.assumed, &self.windows) == (&other.demands, &other.assumed, &other.windows)
    }

    /// Judges one cell; gives its last write.
    fn cell(
        &mut self,
        segment: usize,
        first: u64,
        parent_hash: B256,
        cell: Cell,
        uses: &[Use],
    ) -> Option<(Location, Value)> {
        let default = cell.default_value();
        let mut live: Option<(Location, Value)> = None;
        let mut wrong: BTreeSet<Demand> = BTreeSet::new();
        let mut open: Vec<(Location, Demand)> = Vec::new();
        for u in uses {
            let demand = (u.write, u.intx, u.prev);
            let misuse = if u.write { Reason::DoubleUse } else { Reason::StaleRead };
            let fault = match (u.intx, live) {
                (Version::At(v), _) if v >= u.at => {
                    self.faults.insert((u.at, Reason::VersionNotBefore, cell));
                    None
                }
                (Version::Virgin | Version::Assumed, _) if u.prev != default => {
                    self.faults.insert((u.at, Reason::VirginNotDefault, cell));
                    None
                }
                (Version::Assumed, _) => {
                    self.assumed.insert((segment, Cell { generation: 0, ..cell }), u.at);
                    None
                }
                (intx, Some((version, value))) => {
                    let is_met = match intx {
                        Version::At(v) => v == version,
                        Version::Base(f) => version.block() < f,
                        _ => false,
                    };
                    if is_met { (u.prev != value).then_some(Reason::WrongBefore) } else { Some(misuse) }
                }
                (Version::At(_), None) if first == 0 => Some(misuse),
                (_, None) if first == 0 => (u.prev != default).then_some(Reason::WrongBefore),
                (Version::At(v), None) if v.block() >= first => Some(misuse),
                (_, None) => {
                    if open.iter().all(|(_, known)| *known != demand) {
                        open.push((u.at, demand));
                    }
                    None
                }
            };
            // A demand is one culprit a span.
            if let Some(reason) = fault
                && wrong.insert(demand)
            {
                self.faults.insert((u.at, reason, cell));
            }
            if u.write {
                (live, wrong) = (Some((u.at, u.next)), BTreeSet::new());
            }
        }
        open.sort_unstable();
        let is_parent = first > 0 && cell == Cell::block_hash(first - 1);
        self.contradictions(cell, &open, is_parent.then(|| Value::Word(parent_hash.into())));
        if !open.is_empty() {
            self.demands.insert((segment, cell), open);
        }
        live
    }

    /// Open demands that no version can meet together with those before them.
    pub(super) fn contradictions(&mut self, cell: Cell, open: &[(Location, Demand)], stated: Option<Value>) {
        let mut held: Vec<(Option<Version>, Value)> = stated.into_iter().map(|value| (None, value)).collect();
        for (at, (_, intx, prev)) in open {
            let agrees = |(version, value): &(Option<Version>, Value)| {
                value == prev
                    && match (version, intx) {
                        (None, _) => true,
                        (Some(Version::Base(f)), Version::At(v)) | (Some(Version::At(v)), Version::Base(f)) => {
                            v.block() < *f
                        }
                        (Some(Version::Base(_)), _) | (_, Version::Base(_)) => true,
                        (Some(a), b) => a == b,
                    }
            };
            if held.iter().all(agrees) {
                held.push((Some(*intx), *prev));
            } else {
                self.faults.insert((*at, Reason::Contradiction, cell));
            }
        }
    }
}

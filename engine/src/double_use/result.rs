//! What double use says of a segment: culprits, demands left open, exits, assumptions. The form in which segments are merged.
//!
//! All lists are sorted by cell and then as their types are ordered, so that equal results are equal bytes. The procedures
//! give cells and values as numbers ([`NumberedResult`]); [`NumberedResult::resolve`] makes them whole.

use super::columns::{Columns, row_at};
use super::exits::Exits;
use alloy_primitives::{Address, B256};
use manaflow_loader::model::{Cell, Location, Mark, Value, Version};
use std::collections::BTreeMap;

/// Why a demand is wrong. Sections 5 and 6.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reason {
    /// The version named is not below the use's own location.
    VersionNotBefore,
    /// The version is virgin (or assumed), and the value before is not the default.
    VirginNotDefault,
    /// A write consumes a version that is not live.
    DoubleUse,
    /// A read observes a version that is not live.
    StaleRead,
    /// The version is live, and the value before is not its value.
    WrongBefore,
    /// No version can meet this demand and an earlier one on the segment's entry.
    Contradiction,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::VersionNotBefore,
        Self::VirginNotDefault,
        Self::DoubleUse,
        Self::StaleRead,
        Self::WrongBefore,
        Self::Contradiction,
    ];

    /// Kebab-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::VersionNotBefore => "version-not-before",
            Self::VirginNotDefault => "virgin-not-default",
            Self::DoubleUse => "double-use",
            Self::StaleRead => "stale-read",
            Self::WrongBefore => "wrong-before",
            Self::Contradiction => "contradiction",
        }
    }
}

/// The span in which a demand is wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Window {
    /// Wrong by itself, whatever is live.
    Itself,
    /// Up to and including the segment's first write of the cell.
    Entry,
    /// After the write at this location, up to and including the next.
    After(Location),
}

/// A distinct wrong demand of a span, at its first use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Culprit<C = Cell, V = Value> {
    /// Cell.
    pub cell: C,
    /// First use that makes the demand.
    pub location: Location,
    /// Why it is wrong.
    pub reason: Reason,
    /// Span.
    pub window: Window,
    /// Whether the use is a write.
    pub write: bool,
    /// Version named.
    pub intx: Version,
    /// Value before, as declared.
    pub prev: V,
    /// Block from which the generations in it count: its import's origin, or an earlier one that a merge brought it to.
    pub counts_from: u64,
    /// Version and value that were live; of a contradiction, those that the demands before it agree on. `None` if unknown.
    pub expected: Option<(Version, V)>,
    /// Place of the move in its transaction; as numbers, before [`NumberedResult::resolve`], 0.
    pub place: u32,
}

/// A demand on what was live when the segment began: its requirement.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Demand<C = Cell, V = Value> {
    /// Cell.
    pub cell: C,
    /// First use that makes it.
    pub first: Location,
    /// Whether it consumes the version.
    pub write: bool,
    /// Version named.
    pub intx: Version,
    /// Value before.
    pub prev: V,
    /// Origin of the imported segment that says it.
    pub origin: u64,
    /// Block from which the generations in it count: the origin, or an earlier one that a merge brought it to.
    pub counts_from: u64,
    /// Place of the first use's move in its transaction; as numbers, before [`NumberedResult::resolve`], 0.
    pub place: u32,
}

/// The last write of a cell.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Exit<C = Cell, V = Value> {
    /// Cell.
    pub cell: C,
    /// Where it was written.
    pub version: Location,
    /// Value after, as declared; whether it is known, says [`SegmentResult::is_known`].
    pub value: V,
    /// Origin of the imported segment that says it.
    pub origin: u64,
    /// Block from which the generations in it count: the origin, or an earlier one that a merge brought it to.
    pub counts_from: u64,
}

/// A cell whose value before was assumed in an imported segment.
///
/// Of storage, all generations count as one (0): which one is meant may be unknown too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Assumption<C = Cell> {
    /// Cell; storage in generation 0.
    pub cell: C,
    /// Origin of the imported segment that assumes.
    pub origin: u64,
    /// Whether a use says so (then exits are unknown), or only a merge: a demand met an unknown exit.
    pub declared: bool,
}

/// Double use's result for adjacent blocks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentResult<C = Cell, V = Value> {
    /// First block; 0 means from genesis.
    pub first: u64,
    /// Block after the last.
    pub end: u64,
    /// Earliest origin of the imports in it.
    pub origin: u64,
    /// Parent hash that the first header states.
    pub parent_hash: Option<B256>,
    /// Wrong demands, sorted.
    pub culprits: Vec<Culprit<C, V>>,
    /// Demands left open, sorted; none from genesis.
    pub requirements: Vec<Demand<C, V>>,
    /// Last writes, sorted by cell.
    pub exits: Vec<Exit<C, V>>,
    /// Cells assumed; of declared ones the last use that assumes, of others the first demand that met an unknown exit.
    pub assumed: BTreeMap<Assumption<C>, Location>,
    /// Accounts with an unknown exit that a demand of another import met: the generation it stated first, and from where that
    /// counts. Later demands are counted from there too.
    pub anchors: BTreeMap<Address, (u32, u64)>,
}

impl<C, V> SegmentResult<C, V> {
    /// Whether the segment begins at the genesis block.
    pub const fn is_from_genesis(&self) -> bool {
        self.first == 0
    }
}

/// What a procedure says of one import's segment, in the numbers of its columns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NumberedResult {
    /// First block; 0 means from genesis.
    pub first: u64,
    /// Block after the last.
    pub end: u64,
    /// Block from which generations count.
    pub origin: u64,
    /// Parent hash that the first header states.
    pub parent_hash: Option<B256>,
    /// Wrong demands, sorted.
    pub culprits: Vec<Culprit<u32, u32>>,
    /// Demands left open, sorted; none from genesis.
    pub requirements: Vec<Demand<u32, u32>>,
    /// Last writes.
    pub exits: Exits,
    /// Cells assumed, and the last use that does.
    pub assumed: BTreeMap<Assumption<u32>, Location>,
}

impl NumberedResult {
    /// The same with whole cells and values.
    pub fn resolve<S: Columns>(&self, columns: &S) -> SegmentResult {
        let mut whole = self.resolve_without_exits(columns);
        whole.exits = self.exits.resolve(columns).collect();
        whole.exits.sort_unstable_by_key(|e| e.cell);
        whole
    }

    /// The same without exits, for whoever takes those one by one.
    pub fn resolve_without_exits<S: Columns>(&self, columns: &S) -> SegmentResult {
        let mut whole = SegmentResult {
            first: self.first,
            end: self.end,
            origin: self.origin,
            parent_hash: self.parent_hash,
            culprits: self.culprits.iter().map(|c| resolve_culprit(c, columns)).collect(),
            requirements: (self.requirements.iter())
                .map(|d| Demand {
                    cell: columns.cell(d.cell),
                    first: d.first,
                    write: d.write,
                    intx: d.intx,
                    prev: columns.value(d.cell, d.prev),
                    origin: d.origin,
                    counts_from: d.counts_from,
                    place: place_of(columns, d.first, d.cell),
                })
                .collect(),
            exits: Vec::new(),
            assumed: BTreeMap::new(),
            anchors: BTreeMap::new(),
        };
        for (a, at) in &self.assumed {
            whole.assume(Assumption { cell: columns.cell(a.cell), origin: a.origin, declared: a.declared }, *at);
        }
        whole.culprits.sort_unstable();
        whole.requirements.sort_unstable();
        whole
    }
}

fn resolve_culprit<S: Columns>(c: &Culprit<u32, u32>, columns: &S) -> Culprit {
    let cell = columns.cell(c.cell);
    let expected = match c.expected {
        // Nobody gives the default a number.
        Some((Version::Virgin, _)) => Some((Version::Virgin, cell.default_value())),
        Some((version, value)) => Some((version, columns.value(c.cell, value))),
        None => None,
    };
    Culprit {
        cell,
        location: c.location,
        reason: c.reason,
        window: c.window,
        write: c.write,
        intx: c.intx,
        prev: columns.value(c.cell, c.prev),
        counts_from: c.counts_from,
        expected,
        place: place_of(columns, c.location, c.cell),
    }
}

/// Place of the first move on a cell in the row at a location.
fn place_of<S: Columns>(columns: &S, location: Location, cell: u32) -> u32 {
    let found = row_at(columns, location)
        .and_then(|row| columns.cells()[columns.moves_of(row)].iter().position(|other| *other == cell));
    // A row has fewer than 2^32 moves, and the one that is asked for.
    found.map_or(0, |place| place as u32)
}

impl SegmentResult {
    /// Whether nothing wrong was found; the requirements and assumptions remain as conditions.
    pub fn is_valid(&self) -> bool {
        self.culprits.is_empty() && self.contradictions().is_empty()
    }

    /// Takes it and leaves its blocks alone.
    pub(crate) fn take(&mut self) -> Self {
        let bare = Self {
            culprits: Vec::new(),
            requirements: Vec::new(),
            exits: Vec::new(),
            assumed: BTreeMap::new(),
            anchors: BTreeMap::new(),
            ..*self
        };
        std::mem::replace(self, bare)
    }

    /// The last write of a cell.
    pub fn exit(&self, cell: &Cell) -> Option<&Exit> {
        self.exits.binary_search_by_key(cell, |e| e.cell).ok().map(|i| &self.exits[i])
    }

    /// Whether the value of an exit is known: neither its cell nor its account was assumed in its imported segment.
    pub fn is_known(&self, exit: &Exit) -> bool {
        let is_assumed = |cell| self.assumed.contains_key(&Assumption { cell, origin: exit.origin, declared: true });
        let cell = Cell { generation: 0, ..exit.cell };
        !(is_assumed(cell) || (cell.mark == Mark::Storage && is_assumed(Cell::account(cell.addr))))
    }

    /// Adds an assumption at a location: the last of those declared, the first of the others.
    pub(super) fn assume(&mut self, mut x: Assumption, at: Location) {
        x.cell.generation = 0;
        let entry = self.assumed.entry(x).or_insert(at);
        *entry = if x.declared { at.max(*entry) } else { at.min(*entry) };
    }

    /// Imports that assume a cell: origin, and last use that does.
    pub(super) fn declared(&self, cell: Cell) -> impl Iterator<Item = (u64, Location)> {
        let key = |origin| Assumption { cell, origin, declared: false };
        let all = self.assumed.range(key(0)..=Assumption { declared: true, ..key(u64::MAX) });
        all.filter(|(a, _)| a.declared).map(|(a, at)| (a.origin, *at))
    }

    /// Number of cells assumed, counted once an imported segment.
    pub fn assumed_count(&self) -> usize {
        let mut seen: Vec<_> = self.assumed.keys().map(|a| (a.cell, a.origin)).collect();
        seen.dedup();
        seen.len()
    }

    /// Demands on the entry that no version can meet together with those before them, sorted by cell and location.
    pub fn contradictions(&self) -> Vec<Culprit> {
        let stated = (self.parent_hash.zip(self.first.checked_sub(1)))
            .map(|(hash, number)| (Cell::block_hash(number), Value::Word(hash.into())));
        let mut found = Vec::new();
        for demands in self.requirements.chunk_by(|a, b| a.cell == b.cell) {
            let of_cell = stated.filter(|(cell, _)| *cell == demands[0].cell).map(|(_, value)| value);
            found.extend(contradictions(demands, of_cell));
        }
        found
    }
}

/// Contradictions among the demands of one cell, in order of first use; a demand is held against those not refused before it.
fn contradictions(demands: &[Demand], stated: Option<Value>) -> Vec<Culprit> {
    let (mut value, mut explicit, mut bound) = (stated, None, None::<u64>);
    let mut found = Vec::new();
    for d in demands {
        let (new_explicit, new_bound) = match d.intx {
            Version::Base(f) => (explicit, Some(bound.map_or(f, |b| b.min(f)))),
            v => (Some(v), bound),
        };
        let not_below_base = match (new_explicit, new_bound) {
            (Some(Version::At(v)), Some(f)) => v.block() >= f,
            _ => false,
        };
        if value.is_some_and(|v| v != d.prev) || explicit.is_some_and(|e| new_explicit != Some(e)) || not_below_base {
            let version = explicit.or(bound.map(Version::Base)).unwrap_or(Version::Base(d.first.block()));
            found.push(Culprit {
                cell: d.cell,
                location: d.first,
                reason: Reason::Contradiction,
                window: Window::Entry,
                write: d.write,
                intx: d.intx,
                prev: d.prev,
                counts_from: d.counts_from,
                expected: value.map(|v| (version, v)),
                place: d.place,
            });
        } else {
            (value, explicit, bound) = (Some(d.prev), new_explicit, new_bound);
        }
    }
    found
}

//! What the procedures share off the common path: a demand against a version, and findings made distinct.
//!
//! A version code is an index into the foreign versions, or their number + row. Codes are equal exactly if versions are
//! (`columns::check`). Findings are gathered raw, in any order, as often as they occur, and made distinct here by whole
//! values: equal numbers are not asked for. Cost: n log n in the raw findings.

use super::columns::{Columns, Use};
use super::exits::{Exits, LastWrite};
use super::result::{Assumption, Culprit, Demand, NumberedResult, Reason, Window};
use manaflow_loader::model::{Value, Version};
use std::collections::{BTreeMap, BTreeSet};

/// No code and no row; `columns::check` keeps it free.
pub(super) const NONE: u32 = u32::MAX;

/// Demands against versions, in the numbers of one segment.
pub(super) struct Judge<'a, C> {
    pub columns: &'a C,
    /// Number of foreign versions: codes from here on are rows.
    pub row_codes: u32,
    /// First block of what is judged: of the segment, or of the suffix that `reverse` has seen.
    pub first: u64,
}

/// What becomes of a demand on the entry.
pub(super) enum Entry {
    Met,
    Open,
    Wrong(Reason),
}

/// What a use is before any version is known.
pub(super) enum Alone {
    Demand,
    Assumed,
    Wrong(Reason),
}

impl<'a, C: Columns> Judge<'a, C> {
    pub fn new(columns: &'a C, first: u64) -> Self {
        // `columns::check` bounds their number.
        Self { columns, row_codes: columns.foreign().len() as u32, first }
    }

    /// The version behind a code.
    pub fn version(&self, code: u32) -> Version {
        match code.checked_sub(self.row_codes) {
            Some(row) => Version::At(self.columns.location(row)),
            None => self.columns.foreign()[code as usize],
        }
    }

    /// Whether a use is wrong by itself, assumes, or makes a demand.
    #[inline]
    pub fn alone(&self, u: &Use) -> Alone {
        if let Some(row) = u.intx.checked_sub(self.row_codes) {
            return if row < u.row { Alone::Demand } else { Alone::Wrong(Reason::VersionNotBefore) };
        }
        match self.columns.foreign()[u.intx as usize] {
            Version::Base(_) => Alone::Demand,
            Version::At(v) if v < self.columns.location(u.row) => Alone::Demand,
            Version::At(_) => Alone::Wrong(Reason::VersionNotBefore),
            Version::Virgin if self.columns.is_default(u.cell, u.prev) => Alone::Demand,
            Version::Assumed if self.columns.is_default(u.cell, u.prev) => Alone::Assumed,
            Version::Virgin | Version::Assumed => Alone::Wrong(Reason::VirginNotDefault),
        }
    }

    /// A demand against the write of `row`, which left `value`.
    pub fn against(&self, u: &Use, row: u32, value: u32) -> Option<Reason> {
        let met = u.intx == row + self.row_codes
            || (u.intx < self.row_codes
                && matches!(self.columns.foreign()[u.intx as usize],
                    Version::Base(f) if self.columns.location(row).block() < f));
        match met {
            false => Some(wrong_version(u.write)),
            true => (!self.columns.same(u.cell, u.prev, value)).then_some(Reason::WrongBefore),
        }
    }

    /// A demand against what was live when the segment began.
    pub fn enter(&self, u: &Use) -> Entry {
        let version = self.version(u.intx);
        if self.first == 0 {
            return match version {
                Version::Virgin | Version::Base(_) if self.columns.is_default(u.cell, u.prev) => Entry::Met,
                Version::Virgin | Version::Base(_) => Entry::Wrong(Reason::WrongBefore),
                Version::At(_) | Version::Assumed => Entry::Wrong(wrong_version(u.write)),
            };
        }
        match version {
            Version::At(v) if v.block() >= self.first => Entry::Wrong(wrong_version(u.write)),
            _ => Entry::Open,
        }
    }
}

const fn wrong_version(write: bool) -> Reason {
    if write { Reason::DoubleUse } else { Reason::StaleRead }
}

/// The span of a wrong demand, in numbers.
#[derive(Clone, Copy)]
enum Span {
    Itself,
    Entry,
    After { row: u32, value: u32 },
}

/// A wrong use, not yet made distinct.
#[derive(Clone, Copy)]
struct Wrong {
    u: Use,
    span: Span,
    reason: Reason,
}

/// What a procedure found, raw.
#[derive(Clone, Default)]
pub(super) struct Findings {
    wrong: Vec<Wrong>,
    open: Vec<Use>,
    /// Cell to last row.
    assumed: BTreeMap<u32, u32>,
    /// Last writes, for procedures without a table of live versions.
    pub exits: Vec<LastWrite>,
}

impl Findings {
    pub fn wrong_by_itself(&mut self, u: Use, reason: Reason) {
        self.wrong.push(Wrong { u, span: Span::Itself, reason });
    }

    pub fn wrong_after(&mut self, u: Use, row: u32, value: u32, reason: Reason) {
        self.wrong.push(Wrong { u, span: Span::After { row, value }, reason });
    }

    pub fn wrong_at_entry(&mut self, u: Use, reason: Reason) {
        self.wrong.push(Wrong { u, span: Span::Entry, reason });
    }

    pub fn open(&mut self, u: Use) {
        self.open.push(u);
    }

    pub fn assume(&mut self, u: &Use) {
        let last = self.assumed.entry(u.cell).or_insert(u.row);
        *last = u.row.max(*last);
    }

    /// Number of wrong uses, those of one demand counted each.
    pub fn wrong_uses(&self) -> usize {
        self.wrong.len()
    }

    pub fn append(&mut self, mut other: Self) {
        self.wrong.append(&mut other.wrong);
        self.open.append(&mut other.open);
        self.exits.append(&mut other.exits);
        self.assumed.append(&mut other.assumed);
    }

    /// The result: distinct, sorted.
    pub fn finish<C: Columns>(mut self, judge: &Judge<'_, C>) -> NumberedResult {
        let exits = Exits::of(judge.columns.cell_count(), std::mem::take(&mut self.exits));
        self.finish_with(judge, exits)
    }

    /// The same with the last writes of a table of live versions.
    pub fn finish_live<C: Columns>(self, judge: &Judge<'_, C>, live: Vec<u64>) -> NumberedResult {
        self.finish_with(judge, Exits::of_live(live, judge.row_codes))
    }

    fn finish_with<C: Columns>(self, judge: &Judge<'_, C>, exits: Exits) -> NumberedResult {
        let columns = judge.columns;
        let origin = columns.origin();
        NumberedResult {
            first: judge.first,
            end: columns.first().saturating_add(columns.blocks()),
            origin,
            parent_hash: columns.parent_hash().filter(|_| judge.first == columns.first()),
            culprits: culprits(self.wrong, judge),
            requirements: requirements(self.open, judge),
            exits,
            assumed: (self.assumed.into_iter())
                .map(|(cell, row)| (Assumption { cell, origin, declared: true }, columns.location(row)))
                .collect(),
        }
    }
}

/// What makes a wrong use another culprit: span, own row if wrong by itself, demand.
type Kind = (u32, Window, Option<u32>, bool, u32, Value);

fn culprits<C: Columns>(wrong: Vec<Wrong>, judge: &Judge<'_, C>) -> Vec<Culprit<u32, u32>> {
    let columns = judge.columns;
    let mut kinds: BTreeMap<Kind, Wrong> = BTreeMap::new();
    for w in wrong {
        let (window, own) = match w.span {
            Span::Itself => (Window::Itself, Some(w.u.row)),
            Span::Entry => (Window::Entry, None),
            Span::After { row, .. } => (Window::After(columns.location(row)), None),
        };
        let kind = (w.u.cell, window, own, w.u.write, w.u.intx, columns.value(w.u.cell, w.u.prev));
        let at = kinds.entry(kind).or_insert(w);
        if (w.u.row, w.u.place) < (at.u.row, at.u.place) {
            *at = w;
        }
    }
    let mut culprits: Vec<_> = (kinds.into_iter())
        .map(|((cell, window, ..), w)| Culprit {
            cell,
            location: columns.location(w.u.row),
            reason: w.reason,
            window,
            write: w.u.write,
            intx: judge.version(w.u.intx),
            prev: w.u.prev,
            counts_from: columns.origin(),
            expected: match w.span {
                Span::After { row, value } => Some((Version::At(columns.location(row)), value)),
                Span::Entry if judge.first == 0 => Some((Version::Virgin, 0)),
                Span::Entry | Span::Itself => None,
            },
            place: 0,
        })
        .collect();
    culprits.sort_unstable();
    culprits
}

fn requirements<C: Columns>(mut open: Vec<Use>, judge: &Judge<'_, C>) -> Vec<Demand<u32, u32>> {
    let columns = judge.columns;
    let demand = |u: &Use| Demand {
        cell: u.cell,
        first: columns.location(u.row),
        write: u.write,
        intx: judge.version(u.intx),
        prev: u.prev,
        origin: columns.origin(),
        counts_from: columns.origin(),
        place: 0,
    };
    open.sort_unstable_by_key(|u| (u.cell, u.row, u.place));
    let mut demands = Vec::with_capacity(open.len());
    for of_cell in open.chunk_by(|a, b| a.cell == b.cell) {
        let start = demands.len();
        if let [only] = of_cell {
            demands.push(demand(only));
            continue;
        }
        let mut seen = BTreeSet::new();
        let is_new = |u: &&Use| seen.insert((u.write, u.intx, columns.value(u.cell, u.prev)));
        demands.extend(of_cell.iter().filter(is_new).map(demand));
        demands[start..].sort_unstable();
    }
    demands
}

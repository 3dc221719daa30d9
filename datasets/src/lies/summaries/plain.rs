//! Requirements and exits of pieces of one import, put together cell by cell: the merge of PROTOCOL.md section 5 said once
//! more, without the engine.

use super::super::ledger::Ledger;
use alloy_primitives::B256;
use manaflow_engine::reason::Reason;
use manaflow_loader::model::{Cell, Location, Mark, Value, Version};
use manaflow_loader::summary::Segment;
use std::collections::{BTreeMap, BTreeSet};

/// A demand: write, version, before.
type Demand = (bool, Version, Value);

/// What pieces say of each other.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plain {
    /// Faults of double use.
    pub faults: BTreeSet<(Location, Reason, Cell)>,
    /// Demands that stay open, with their first uses.
    pub open: BTreeMap<Cell, Vec<(Location, Demand)>>,
    /// Cells assumed, with the last use that does.
    pub assumed: BTreeMap<Cell, Location>,
    /// Last writes.
    pub exits: BTreeMap<Cell, (Location, Value)>,
}

impl Plain {
    /// Of adjoining pieces, ascending; the parent hash is what the first header states.
    pub fn of(pieces: &[&Segment], parent_hash: B256) -> Self {
        let mut plain = Self::default();
        let Some(start) = pieces.first().map(|piece| piece.first) else { return plain };
        let mut wrong: BTreeSet<(Cell, Option<Location>, Demand)> = BTreeSet::new();
        for piece in pieces {
            for c in &piece.culprits {
                let reason = c.reason.parse().expect("a reason");
                plain.faults.insert((c.location, reason, c.cell));
            }
            for d in &piece.requirements {
                let demand = (d.write, d.intx, d.prev);
                let live = plain.exits.get(&d.cell).copied();
                let fault = match (d.intx, live) {
                    (Version::At(v), Some((version, _))) if v != version => Some(misuse(d.write)),
                    (Version::Base(f), Some((version, _))) if version.block() >= f => Some(misuse(d.write)),
                    (Version::Virgin | Version::Assumed, Some(_)) => Some(misuse(d.write)),
                    (_, Some((_, value))) => (d.prev != value).then_some(Reason::WrongBefore),
                    (Version::At(_) | Version::Assumed, None) if start == 0 => Some(misuse(d.write)),
                    (_, None) if start == 0 => (d.prev != d.cell.default_value()).then_some(Reason::WrongBefore),
                    (Version::At(v), None) if v.block() >= start => Some(misuse(d.write)),
                    (_, None) => {
                        let of_cell = plain.open.entry(d.cell).or_default();
                        if of_cell.iter().all(|(_, known)| *known != demand) {
                            of_cell.push((d.first, demand));
                        }
                        None
                    }
                };
                if let Some(reason) = fault
                    && wrong.insert((d.cell, live.map(|(version, _)| version), demand))
                {
                    plain.faults.insert((d.first, reason, d.cell));
                }
            }
            for a in &piece.assumed {
                let last = plain.assumed.entry(a.cell).or_insert(a.location);
                *last = a.location.max(*last);
            }
            plain.exits.extend(piece.exits.iter().map(|e| (e.cell, (e.version, e.value))));
        }
        let mut contradictions = Ledger::default();
        for (cell, open) in &mut plain.open {
            open.sort_unstable();
            let is_parent = start > 0 && *cell == Cell::block_hash(start - 1);
            contradictions.contradictions(*cell, open, is_parent.then(|| Value::Word(parent_hash.into())));
        }
        plain.faults.extend(contradictions.faults);
        plain
    }

    /// Last writes whose value is known.
    pub fn known(&self) -> BTreeMap<Cell, (Location, Value)> {
        let is_assumed = |cell: &Cell| self.assumed.contains_key(cell);
        let is_known = |(cell, _): &(&Cell, &(Location, Value))| {
            let of_account = cell.mark == Mark::Storage && is_assumed(&Cell::account(cell.addr));
            !is_assumed(&Cell { generation: 0, ..**cell }) && !of_account
        };
        self.exits.iter().filter(is_known).map(|(cell, exit)| (*cell, *exit)).collect()
    }

    /// What of it is in the state trie: accounts that are there, and words of their live generation that are not 0.
    pub fn state(&self) -> BTreeMap<Cell, Value> {
        let is_of_live = |cell: &Cell| match self.exits.get(&Cell::account(cell.addr)) {
            Some((_, Value::Account(account))) => account.present && account.generation == cell.generation,
            _ => false,
        };
        let is_there = |(cell, (_, value)): &(&Cell, &(Location, Value))| match (cell.mark, value) {
            (Mark::Account, Value::Account(account)) => account.present,
            (Mark::Storage, Value::Word(word)) => !word.is_zero() && is_of_live(cell),
            _ => false,
        };
        let plain = |(cell, (_, value)): (&Cell, &(Location, Value))| {
            let value = match value {
                // The trie does not know generations.
                Value::Account(account) => {
                    Value::Account(manaflow_loader::model::AccountValue { generation: 0, ..*account })
                }
                word => *word,
            };
            (Cell { generation: 0, ..*cell }, value)
        };
        self.exits.iter().filter(is_there).map(plain).collect()
    }
}

fn misuse(write: bool) -> Reason {
    if write { Reason::DoubleUse } else { Reason::StaleRead }
}

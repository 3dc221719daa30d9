//! Merge: two results of adjacent blocks into the result of both. Associative, and equal to judging the whole.
//!
//! What the later side demanded of its entry is judged against the earlier side's exits; where the earlier side never wrote
//! the cell, the demand passes through, unless it names a location inside the earlier side, or that side is from genesis.
//!
//! **Generations** count from each import's origin. Before anything is compared, the side whose count of an address began
//! later is shifted to the other's (section 2), by the generations that the two declare of its account at the seam. A
//! negative difference is not shifted: the values then differ, which is `wrong-before`. A virgin account has generation 0
//! whatever the origin. An address that only one side knows keeps its own origin (`later_origins`) until a merge meets both.
//!
//! **Order.** For one import any order of merging gives the same. A demand of another import that met an exit stays as judged
//! if a piece merged later on the left turns out to assume that exit's account: such pieces are merged with their own import
//! first. Where origins differ and a history is wrong, the blame (not the verdict) may depend on the order.

use super::columns::Malformed;
use super::result::{Assumption, Culprit, Demand, Exit, Reason, SegmentResult, Window};
use alloy_primitives::Address;
use manaflow_loader::model::{Cell, Location, Mark, Value, Version};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The result of `a` and `b` together. Errors: b does not begin where a ends; a generation beyond 2^32.
pub fn merge(a: &SegmentResult, b: &SegmentResult) -> Result<SegmentResult, Malformed> {
    if a.end != b.first {
        let reason = format!("first block {}, expected {}: the block after the earlier one's last", b.first, a.end);
        return Err(Malformed::new("later segment", reason));
    }
    let (mut a, mut b) = (a.clone(), b.clone());
    let later_origins = align(&mut a, &mut b)?;

    let mut assumed = a.assumed.clone();
    b.assumed.iter().for_each(|(x, at)| assume(&mut assumed, *x, *at));
    let mut culprits = a.culprits.clone();
    culprits.extend(b.culprits.iter().map(|c| place(c, &a)));
    let mut requirements = a.requirements.clone();
    for d in &b.requirements {
        match judge(d, &a) {
            Met::Yes => {}
            Met::Unknown => {
                assume(&mut assumed, Assumption { cell: d.cell, origin: d.origin, declared: false }, d.first);
            }
            Met::Passes => requirements.push(*d),
            Met::No(reason, window, expected) => culprits.push(Culprit {
                cell: d.cell,
                location: d.first,
                reason,
                window,
                write: d.write,
                intx: d.intx,
                prev: d.prev,
                expected,
            }),
        }
    }
    Ok(SegmentResult {
        first: a.first,
        end: b.end,
        origin: a.origin.min(b.origin),
        later_origins,
        parent_hash: if a.first == a.end { b.parent_hash } else { a.parent_hash },
        culprits: distinct_culprits(culprits),
        requirements: distinct_demands(requirements),
        exits: overlay(&a.exits, &b.exits),
        assumed,
    })
}

/// Adds an assumption at a location: the last of those declared, the first of the others.
fn assume(assumed: &mut BTreeMap<Assumption, Location>, x: Assumption, at: Location) {
    let entry = assumed.entry(x).or_insert(at);
    *entry = if x.declared { at.max(*entry) } else { at.min(*entry) };
}

enum Met {
    Yes,
    Unknown,
    Passes,
    No(Reason, Window, Option<(Version, Value)>),
}

/// A demand on b's entry, against a.
fn judge(d: &Demand, a: &SegmentResult) -> Met {
    let wrong_version = if d.write { Reason::DoubleUse } else { Reason::StaleRead };
    let (window, version, value, is_met) = match a.exit(&d.cell) {
        Some(exit) if exit.origin != d.origin && !a.is_known(exit) => return Met::Unknown,
        Some(exit) => {
            let is_met = match d.intx {
                Version::At(v) => v == exit.version,
                Version::Base(f) => exit.version.block() < f,
                Version::Virgin | Version::Assumed => false,
            };
            (Window::After(exit.version), Version::At(exit.version), exit.value, is_met)
        }
        // The account's generation may have changed unseen: which storage cell is meant is unknown.
        None if d.cell.mark == Mark::Storage
            && a.declared(Cell::account(d.cell.addr)).any(|(origin, _)| origin != d.origin) =>
        {
            return Met::Unknown;
        }
        None if a.is_from_genesis() => {
            let is_met = matches!(d.intx, Version::Virgin | Version::Base(_));
            (Window::Entry, Version::Virgin, d.cell.default_value(), is_met)
        }
        None => {
            return match d.intx {
                Version::At(v) if v.block() >= a.first => Met::No(wrong_version, Window::Entry, None),
                _ => Met::Passes,
            };
        }
    };
    match is_met {
        true if d.prev == value => Met::Yes,
        true => Met::No(Reason::WrongBefore, window, Some((version, value))),
        false => Met::No(wrong_version, window, Some((version, value))),
    }
}

/// A culprit of b in the windows of both: b's entry is what a left live.
fn place(c: &Culprit, a: &SegmentResult) -> Culprit {
    let mut c = *c;
    if c.window == Window::Entry {
        if let Some(exit) = a.exit(&c.cell) {
            (c.window, c.expected) = (Window::After(exit.version), Some((Version::At(exit.version), exit.value)));
        } else if a.is_from_genesis() {
            c.expected = Some((Version::Virgin, c.cell.default_value()));
        }
    }
    c
}

/// One culprit for each demand and window, at its first use; uses wrong by themselves are each their own.
fn distinct_culprits(mut culprits: Vec<Culprit>) -> Vec<Culprit> {
    let own = |c: &Culprit| (c.window == Window::Itself).then_some(c.location);
    let kind = |c: &Culprit| (c.cell, c.window, own(c), c.write, c.intx, c.prev);
    culprits.sort_unstable_by_key(|c| (kind(c), c.location));
    culprits.dedup_by_key(|c| kind(c));
    culprits.sort_unstable();
    culprits
}

fn distinct_demands(mut demands: Vec<Demand>) -> Vec<Demand> {
    let kind = |d: &Demand| (d.cell, d.write, d.intx, d.prev, d.origin);
    demands.sort_unstable_by_key(|d| (kind(d), d.first));
    demands.dedup_by_key(|d| kind(d));
    demands.sort_unstable();
    demands
}

/// The last write of each cell, of two lists sorted by cell.
fn overlay(a: &[Exit], b: &[Exit]) -> Vec<Exit> {
    let mut out = Vec::with_capacity(a.len() + b.len());
    let mut b = b.iter().peekable();
    for e in a {
        while let Some(later) = b.next_if(|later| later.cell < e.cell) {
            out.push(*later);
        }
        out.push(*b.next_if(|later| later.cell == e.cell).unwrap_or(e));
    }
    out.extend(b);
    out
}

/// How far the generations of addresses are shifted.
type Shifts = HashMap<Address, u32>;

/// Brings both sides to one count of generations, address by address; returns which addresses still count from later.
fn align(a: &mut SegmentResult, b: &mut SegmentResult) -> Result<BTreeMap<Address, u64>, Malformed> {
    if a.origin == b.origin && a.later_origins.is_empty() && b.later_origins.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (mut shift_a, mut shift_b) = (Shifts::new(), Shifts::new());
    let (in_a, in_b) = (addresses(a), addresses(b));
    let mut later = BTreeMap::new();
    let origin = a.origin.min(b.origin);
    for &address in in_a.union(&in_b) {
        let (from_a, from_b) = (a.origin_of(&address), b.origin_of(&address));
        let from = match (in_a.contains(&address), in_b.contains(&address)) {
            (true, false) => from_a,
            (false, _) => from_b,
            (true, true) => match seam(a, b, address) {
                Some((left, right)) => {
                    let (shifts, by) = if from_a < from_b {
                        (&mut shift_b, left.checked_sub(right))
                    } else if from_a > from_b {
                        (&mut shift_a, right.checked_sub(left))
                    } else {
                        (&mut shift_b, None)
                    };
                    if let Some(by) = by.filter(|by| *by > 0) {
                        shifts.insert(address, by);
                    }
                    from_a.min(from_b)
                }
                None => from_a.max(from_b),
            },
        };
        if from != origin {
            later.insert(address, from);
        }
    }
    shift(a, &shift_a)?;
    shift(b, &shift_b)?;
    Ok(later)
}

/// Addresses whose generations a result knows of.
fn addresses(s: &SegmentResult) -> BTreeSet<Address> {
    let cells = (s.exits.iter().map(|e| e.cell))
        .chain(s.requirements.iter().map(|d| d.cell))
        .chain(s.assumed.keys().map(|x| x.cell));
    cells.filter(|c| c.mark != Mark::BlockHash).map(|c| c.addr).collect()
}

/// Generations of an address on both sides of the seam: a's exit, or a's own demand, and b's demand.
fn seam(a: &SegmentResult, b: &SegmentResult, address: Address) -> Option<(u32, u32)> {
    let cell = Cell::account(address);
    let demanded = demand_of(b, &cell)?;
    let left = match a.exit(&cell) {
        Some(exit) if exit.origin != demanded.origin && !a.is_known(exit) => return None,
        Some(exit) => exit.value,
        None => demand_of(a, &cell)?.prev,
    };
    match (left, demanded.prev) {
        (Value::Account(left), Value::Account(right)) => Some((left.generation, right.generation)),
        _ => None,
    }
}

/// The first demand on a cell that states a generation: a virgin account has none to state.
fn demand_of<'a>(s: &'a SegmentResult, cell: &Cell) -> Option<&'a Demand> {
    let start = s.requirements.partition_point(|d| d.cell < *cell);
    s.requirements[start..].iter().take_while(|d| d.cell == *cell).find(|d| d.intx != Version::Virgin)
}

/// Shifts the generations of addresses: values of `a` cells, keys of `s` cells.
fn shift(s: &mut SegmentResult, by: &Shifts) -> Result<(), Malformed> {
    if by.is_empty() {
        return Ok(());
    }
    let add = |address: &Address, generation: &mut u32| match by.get(address) {
        None => Ok(()),
        Some(by) => {
            let sum = generation.checked_add(*by);
            *generation = sum.ok_or_else(|| {
                Malformed::new(
                    format!("account {address}"),
                    format!("generation {generation} + {by}, expected below 2^32"),
                )
            })?;
            Ok(())
        }
    };
    let cell = |c: &mut Cell| if c.mark == Mark::Storage { add(&c.addr.clone(), &mut c.generation) } else { Ok(()) };
    let value = |c: &Cell, version: Version, v: &mut Value| match (version, v) {
        (Version::Virgin, _) | (_, Value::Word(_)) => Ok(()),
        (_, Value::Account(account)) => add(&c.addr, &mut account.generation),
    };
    for e in &mut s.exits {
        cell(&mut e.cell)?;
        value(&e.cell, Version::At(e.version), &mut e.value)?;
    }
    for d in &mut s.requirements {
        cell(&mut d.cell)?;
        value(&d.cell, d.intx, &mut d.prev)?;
    }
    for c in &mut s.culprits {
        cell(&mut c.cell)?;
        value(&c.cell, c.intx, &mut c.prev)?;
        if let Some((version, expected)) = &mut c.expected {
            value(&c.cell, *version, expected)?;
        }
    }
    let mut assumed = BTreeMap::new();
    for (mut x, at) in std::mem::take(&mut s.assumed) {
        cell(&mut x.cell)?;
        assumed.insert(x, at);
    }
    s.assumed = assumed;
    s.exits.sort_unstable_by_key(|e| e.cell);
    s.requirements.sort_unstable();
    s.culprits.sort_unstable();
    Ok(())
}

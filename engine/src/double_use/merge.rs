//! Merge: two results of adjacent blocks into the result of both. Of one import: associative, and equal to judging the whole.
//!
//! What the later side demanded of its entry is judged against the earlier side's exits; where the earlier side never wrote
//! the cell, the demand passes through, unless it names a location inside the earlier side, or that side is from genesis.
//!
//! **Generations** count from each import's origin. Before anything is compared, the side whose count of an address began
//! later is shifted to the other's (section 2), by the generations that the two declare of its account at the seam. A
//! negative difference is not shifted: the values then differ, which is `wrong-before`. A virgin account has generation 0
//! whatever the origin. Each entry says from where it counts (`counts_from`): a side that does not use an address, or that
//! assumed its account, leaves the count of a later side as it is, until a merge meets both.
//!
//! **Order.** For one import any order of merging gives the same. For several it does not: a demand of another import that
//! met an exit stays as judged if a piece merged later on the left turns out to assume that exit's account. So seams between
//! imports are closed in one order, from the oldest on; `segment::seams` sees to it.

use super::columns::Malformed;
use super::result::{Assumption, Culprit, Demand, Exit, Reason, SegmentResult, Window};
use alloy_primitives::Address;
use manaflow_loader::model::{Cell, Mark, Value, Version};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

/// The result of `a` and `b` together. Errors: b does not begin where a ends; a generation beyond 2^32.
pub fn merge(a: &SegmentResult, b: &SegmentResult) -> Result<SegmentResult, Malformed> {
    join(a.clone(), b.clone())
}

/// The same of results that nobody needs any more, whose lists become those of both.
pub fn join(mut a: SegmentResult, mut b: SegmentResult) -> Result<SegmentResult, Malformed> {
    if a.end != b.first {
        let reason = format!("first block {}, expected {}: the block after the earlier one's last", b.first, a.end);
        return Err(Malformed::new("later segment", reason));
    }
    align(&mut a, &mut b)?;

    // Nothing below looks at a's culprits and requirements but through these.
    let mut culprits = std::mem::take(&mut a.culprits);
    culprits.extend(b.culprits.iter().map(|c| place(c, &a)));
    let (mut requirements, mut unknown) = (std::mem::take(&mut a.requirements), Vec::new());
    for d in &b.requirements {
        match judge(d, &a) {
            Met::Yes => {}
            Met::Unknown => {
                unknown.push(*d);
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
                counts_from: d.counts_from,
                expected,
                place: d.place,
            }),
        }
    }
    let mut merged = SegmentResult {
        first: a.first,
        end: b.end,
        origin: a.origin.min(b.origin),
        parent_hash: if a.first == a.end { b.parent_hash } else { a.parent_hash },
        culprits: distinct_culprits(culprits),
        requirements: distinct_demands(requirements),
        anchors: anchors(&a, &b, &unknown),
        exits: overlay(a.exits, b.exits),
        assumed: a.assumed,
    };
    let became = |d: Demand| (Assumption { cell: d.cell, origin: d.origin, declared: false }, d.first);
    b.assumed.into_iter().chain(unknown.into_iter().map(became)).for_each(|(x, at)| merged.assume(x, at));
    drop_hidden(&mut merged);
    Ok(merged)
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
        Some(exit) if is_unknown_to(exit, d, a) => return Met::Unknown,
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
    let kind = |d: &Demand| (d.cell, d.write, d.intx, d.prev, d.origin, d.counts_from);
    demands.sort_unstable_by_key(|d| (kind(d), d.first));
    demands.dedup_by_key(|d| kind(d));
    demands.sort_unstable();
    demands
}

/// The last write of each cell, of two lists sorted by cell.
fn overlay(a: Vec<Exit>, b: Vec<Exit>) -> Vec<Exit> {
    if a.is_empty() || b.is_empty() {
        return if a.is_empty() { b } else { a };
    }
    let mut out = Vec::with_capacity(a.len() + b.len());
    let mut b = b.into_iter().peekable();
    for e in a {
        while let Some(later) = b.next_if(|later| later.cell < e.cell) {
            out.push(later);
        }
        out.push(b.next_if(|later| later.cell == e.cell).unwrap_or(e));
    }
    out.extend(b);
    out
}

/// How the generations of addresses are shifted: from the count that began at a block, by how many, to which count.
type Shifts = HashMap<(Address, u64), (u32, u64)>;

/// Brings both sides to one count of generations, for each address that the seam tells of.
fn align(a: &mut SegmentResult, b: &mut SegmentResult) -> Result<(), Malformed> {
    let (mut shift_a, mut shift_b) = (Shifts::new(), Shifts::new());
    let accounts = b.requirements.iter().filter(|d| d.cell.mark == Mark::Account && states_generation(d));
    for of_account in accounts.collect::<Vec<_>>().chunk_by(|x, y| x.cell == y.cell) {
        let demanded = of_account[0];
        let (left, left_from) = match a.exit(&demanded.cell) {
            Some(exit) if is_unknown_to(exit, demanded, a) => match a.anchors.get(&demanded.cell.addr) {
                Some(anchor) => *anchor,
                None => continue,
            },
            Some(exit) => (generation(&exit.value), exit.counts_from),
            None => match own_demand(a, &demanded.cell) {
                Some(own) => (generation(&own.prev), own.counts_from),
                None => continue,
            },
        };
        let right = generation(&demanded.prev);
        let (address, right_from) = (demanded.cell.addr, demanded.counts_from);
        if left_from < right_from {
            let by = left.checked_sub(right);
            shift_b.extend(by.map(|by| ((address, right_from), (by, left_from))));
        } else if left_from > right_from {
            let by = right.checked_sub(left);
            shift_a.extend(by.map(|by| ((address, left_from), (by, right_from))));
        }
    }
    shift(a, &shift_a)?;
    shift(b, &shift_b)
}

/// The generation in an account's value.
fn generation(value: &Value) -> u32 {
    match value {
        Value::Account(account) => account.generation,
        Value::Word(_) => 0,
    }
}

/// What stays stated of unknown accounts: by b of its own exits, else by a, else by the first demand of b that met a's.
fn anchors(a: &SegmentResult, b: &SegmentResult, unknown: &[Demand]) -> BTreeMap<Address, (u32, u64)> {
    let is_open = |address: &Address| b.exit(&Cell::account(*address)).is_none();
    let mut anchors = b.anchors.clone();
    anchors.extend(a.anchors.iter().filter(|(address, _)| is_open(address)));
    for d in unknown.iter().filter(|d| d.cell.mark == Mark::Account && states_generation(d) && is_open(&d.cell.addr)) {
        anchors.entry(d.cell.addr).or_insert((generation(&d.prev), d.counts_from));
    }
    anchors
}

/// Drops storage exits that another import's assumption of their account hides: nobody can say which generation is live after.
fn drop_hidden(s: &mut SegmentResult) {
    let is_hidden = |e: &Exit| {
        let mut later = s.declared(Cell::account(e.cell.addr));
        e.cell.mark == Mark::Storage && later.any(|(origin, at)| origin != e.origin && at > e.version)
    };
    let kept = if s.assumed.is_empty() { return } else { s.exits.iter().filter(|e| !is_hidden(e)).copied().collect() };
    s.exits = kept;
}

/// Whether a demand of another import meets an exit that its own import does not know.
fn is_unknown_to(exit: &Exit, d: &Demand, a: &SegmentResult) -> bool {
    exit.origin != d.origin && !a.is_known(exit)
}

/// A virgin account has no generation to state: it is 0, whatever the origin.
fn states_generation(d: &Demand) -> bool {
    d.intx != Version::Virgin
}

/// The first demand on a cell that states a generation.
fn own_demand<'a>(s: &'a SegmentResult, cell: &Cell) -> Option<&'a Demand> {
    let start = s.requirements.partition_point(|d| d.cell < *cell);
    s.requirements[start..].iter().take_while(|d| d.cell == *cell).find(|d| states_generation(d))
}

/// Shifts the generations of addresses: values of `a` cells, keys of `s` cells.
fn shift(s: &mut SegmentResult, shifts: &Shifts) -> Result<(), Malformed> {
    if shifts.is_empty() {
        return Ok(());
    }
    for e in &mut s.exits {
        if let Some(by) = counted_anew(shifts, &e.cell, &mut e.counts_from) {
            shift_cell(&mut e.cell, by)?;
            shift_value(&e.cell, &mut e.value, by)?;
        }
    }
    for d in &mut s.requirements {
        if let Some(by) = counted_anew(shifts, &d.cell, &mut d.counts_from) {
            shift_cell(&mut d.cell, by)?;
            if d.intx != Version::Virgin {
                shift_value(&d.cell, &mut d.prev, by)?;
            }
        }
    }
    for c in &mut s.culprits {
        if let Some(by) = counted_anew(shifts, &c.cell, &mut c.counts_from) {
            shift_cell(&mut c.cell, by)?;
            if c.intx != Version::Virgin {
                shift_value(&c.cell, &mut c.prev, by)?;
            }
            if let Some((version, value)) = &mut c.expected
                && *version != Version::Virgin
            {
                shift_value(&c.cell, value, by)?;
            }
        }
    }
    for (address, (generation, counts_from)) in &mut s.anchors {
        let cell = Cell::account(*address);
        if let Some(by) = counted_anew(shifts, &cell, counts_from) {
            *generation = sum(&cell, *generation, by)?;
        }
    }
    // Where counts disagree two cells may fall together: the later write is the last one.
    s.exits.sort_unstable_by_key(|e| (e.cell, Reverse(e.version)));
    s.exits.dedup_by_key(|e| e.cell);
    s.requirements.sort_unstable();
    s.culprits.sort_unstable();
    Ok(())
}

/// How far the generations of an entry are shifted, if they are; the block from which they count is set.
fn counted_anew(shifts: &Shifts, cell: &Cell, counts_from: &mut u64) -> Option<u32> {
    let (by, to) = shifts.get(&(cell.addr, *counts_from)).filter(|_| cell.mark != Mark::BlockHash)?;
    *counts_from = *to;
    Some(*by)
}

fn shift_cell(cell: &mut Cell, by: u32) -> Result<(), Malformed> {
    if cell.mark == Mark::Storage {
        cell.generation = sum(cell, cell.generation, by)?;
    }
    Ok(())
}

fn shift_value(cell: &Cell, value: &mut Value, by: u32) -> Result<(), Malformed> {
    if let Value::Account(account) = value {
        account.generation = sum(cell, account.generation, by)?;
    }
    Ok(())
}

fn sum(cell: &Cell, generation: u32, by: u32) -> Result<u32, Malformed> {
    let error = || Malformed::new(cell.to_string(), format!("generation {generation} + {by}, expected below 2^32"));
    generation.checked_add(by).ok_or_else(error)
}

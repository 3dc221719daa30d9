//! Section 5 of `PROTOCOL.md` as a program: each span between two writes against the write before it. Plain and slow.
//!
//! The oracle of the other procedures; it shares their result types and nothing else. Time: quadratic in the uses of a cell.

use super::result::{Assumption, Culprit, Demand, Exit, Reason, SegmentResult, Window};
use manaflow_loader::model::{Location, Version};
use std::collections::BTreeMap;

/// A use of one cell; `next` of a read is its `prev`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CellUse<V> {
    /// Where.
    pub location: Location,
    /// Whether it is a write.
    pub write: bool,
    /// Version consumed or observed.
    pub intx: Version,
    /// Value before.
    pub prev: V,
    /// Value after.
    pub next: V,
}

/// Wrong by itself, whatever is live.
fn wrong_by_itself<V: PartialEq>(u: &CellUse<V>, default: &V) -> Option<Reason> {
    match u.intx {
        Version::At(v) if v >= u.location => Some(Reason::VersionNotBefore),
        Version::Virgin | Version::Assumed if u.prev != *default => Some(Reason::VirginNotDefault),
        _ => None,
    }
}

/// Wrong against the live version; `None` in place of a location is virgin.
fn wrong_against<V: PartialEq>(u: &CellUse<V>, live: Option<Location>, value: &V) -> Option<Reason> {
    let met = match (u.intx, live) {
        (Version::At(v), Some(l)) => v == l,
        (Version::Virgin, None) => true,
        (Version::Base(f), Some(l)) => l.block() < f,
        (Version::Base(_), None) => true,
        _ => false,
    };
    match met {
        false => Some(wrong_version(u.write)),
        true => (u.prev != *value).then_some(Reason::WrongBefore),
    }
}

const fn wrong_version(write: bool) -> Reason {
    if write { Reason::DoubleUse } else { Reason::StaleRead }
}

/// Judges the blocks first..end, given the uses of each cell in any order. Locations of a cell are distinct.
pub fn definition<C: Ord + Copy, V: Ord + Copy>(
    (first, end, origin): (u64, u64, u64),
    uses: &BTreeMap<C, Vec<CellUse<V>>>,
    default: impl Fn(&C) -> V,
) -> SegmentResult<C, V> {
    // A transaction's moves are in the order of cells, so a place is the number of cells below.
    let mut rows: BTreeMap<Location, Vec<C>> = BTreeMap::new();
    for (cell, uses) in uses {
        uses.iter().for_each(|u| rows.entry(u.location).or_default().push(*cell));
    }
    let place_of = |at: &Location, cell: &C| rows[at].iter().filter(|other| *other < cell).count() as u32;
    let (mut culprits, mut demands) = (BTreeMap::new(), BTreeMap::new());
    let (mut exits, mut assumed) = (Vec::new(), BTreeMap::new());
    for (&cell, uses) in uses {
        let default = default(&cell);
        for u in uses {
            let before = uses.iter().filter(|w| w.write && w.location < u.location).max_by_key(|w| w.location);
            let (window, reason, expected) = if let Some(reason) = wrong_by_itself(u, &default) {
                (Window::Itself, Some(reason), None)
            } else if u.intx == Version::Assumed {
                let at = assumed.entry(Assumption { cell, origin, declared: true }).or_insert(u.location);
                *at = (*at).max(u.location);
                continue;
            } else if let Some(w) = before {
                let reason = wrong_against(u, Some(w.location), &w.next);
                (Window::After(w.location), reason, Some((Version::At(w.location), w.next)))
            } else if first == 0 {
                (Window::Entry, wrong_against(u, None, &default), Some((Version::Virgin, default)))
            } else {
                let inside = matches!(u.intx, Version::At(v) if v.block() >= first);
                (Window::Entry, inside.then_some(wrong_version(u.write)), None)
            };
            let demand = (cell, u.write, u.intx, u.prev);
            if let Some(reason) = reason {
                // Uses that are wrong by themselves are not gathered: each is named.
                let own = (window == Window::Itself).then_some(u.location);
                let at = culprits.entry((demand, window, own)).or_insert((u.location, reason, expected));
                *at = (at.0.min(u.location), at.1, at.2);
            } else if before.is_none() && first != 0 {
                let at = demands.entry(demand).or_insert(u.location);
                *at = (*at).min(u.location);
            }
        }
        if let Some(w) = uses.iter().filter(|w| w.write).max_by_key(|w| w.location) {
            exits.push(Exit { cell, version: w.location, value: w.next, origin, counts_from: origin });
        }
    }
    let mut culprits: Vec<_> = (culprits.into_iter())
        .map(|(((cell, write, intx, prev), window, _), (location, reason, expected))| Culprit {
            cell,
            location,
            reason,
            window,
            write,
            intx,
            prev,
            counts_from: origin,
            expected,
            place: place_of(&location, &cell),
        })
        .collect();
    let mut requirements: Vec<_> = (demands.into_iter())
        .map(|((cell, write, intx, prev), first)| Demand {
            cell,
            first,
            write,
            intx,
            prev,
            origin,
            counts_from: origin,
            place: place_of(&first, &cell),
        })
        .collect();
    culprits.sort_unstable();
    requirements.sort_unstable();
    SegmentResult {
        first,
        end,
        origin,
        parent_hash: None,
        culprits,
        requirements,
        exits,
        assumed,
        anchors: BTreeMap::new(),
    }
}

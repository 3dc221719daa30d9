//! Segments as summaries keep them, and back. All that a kept segment says counts from the one origin of its import.

use super::{Claim, Counts, Found, Head, RootAtEnd, Segment};
use crate::block::Unchecked;
use crate::double_use::{self, Assumption, SegmentResult, Window};
use crate::reason::{Check, Checks, Fault, Reason};
use crate::report::StateRoots;
use manaflow_loader::model::Location;
use manaflow_loader::summary::{self, Maybe};
use std::collections::BTreeMap;

/// A summary that does not say what a segment is.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct Unreadable {
    /// Where.
    pub place: String,
    /// What was got and what was expected.
    pub reason: String,
}

fn unreadable(place: impl Into<String>, reason: impl Into<String>) -> Unreadable {
    Unreadable { place: place.into(), reason: reason.into() }
}

impl From<&Segment> for summary::Segment {
    fn from(s: &Segment) -> Self {
        let mut faults = s.found.list.clone();
        faults.sort_unstable();
        assert!(is_of_one_import(&s.result), "a summary keeps the seams between imports open");
        let kept = |heads: &[Head]| heads.iter().map(|head| head.kept.clone()).collect();
        Self {
            first: s.result.first,
            end: s.result.end,
            origin: s.result.origin,
            checks: s.checks.bits(),
            some_checks: s.some_checks.bits(),
            transactions: s.counts.transactions,
            signatures: s.counts.signatures,
            moves: s.counts.moves,
            gas: s.counts.gas,
            unchecked: s.unchecked.to_array().to_vec(),
            state_roots: vec![s.state_roots.checked, s.state_roots.matched],
            root_at_end: s.root_at_end as u8,
            closing: s.closing,
            difficulty: s.difficulty,
            total_after: Maybe(s.total_after),
            claim: Maybe(s.claim.map(|claim| claim_kept(&claim))),
            earlier: kept(&s.earlier),
            heads: kept(&s.heads),
            tail: kept(&s.tail),
            waiting: s.waiting.clone(),
            faults: faults.iter().map(fault_kept).collect(),
            culprits: s.result.culprits.iter().map(culprit_kept).collect(),
            requirements: s.result.requirements.iter().map(demand_kept).collect(),
            exits: s.result.exits.iter().map(exit_kept).collect(),
            assumed: (s.result.assumed.iter())
                .map(|(a, at)| summary::Assumed { cell: a.cell, location: *at })
                .collect(),
            hashes: (s.hashes.iter())
                .map(|(location, hash)| summary::TransactionHash { location: *location, hash: *hash })
                .collect(),
        }
    }
}

impl TryFrom<summary::Segment> for Segment {
    type Error = Unreadable;

    fn try_from(s: summary::Segment) -> Result<Self, Unreadable> {
        let heads = |name: &str, list: Vec<summary::Head>| {
            let decode = |(i, kept)| Head::decode(kept).map_err(|reason| unreadable(format!("{name} {i}"), reason));
            list.into_iter().enumerate().map(decode).collect::<Result<Vec<_>, _>>()
        };
        let (earlier, heads, tail) =
            (heads("earlier header", s.earlier)?, heads("header", s.heads)?, heads("last header", s.tail)?);
        let mut found = Found::default();
        let faults = s.faults.into_iter().enumerate().map(|(i, f)| fault(i, f)).collect::<Result<Vec<_>, _>>()?;
        if !faults.is_sorted() {
            return Err(unreadable("faults", "not in order"));
        }
        found.extend(faults);
        let culprits: Vec<_> =
            s.culprits.into_iter().enumerate().map(|(i, c)| culprit(i, c, s.origin)).collect::<Result<_, _>>()?;
        if !culprits.is_sorted_by(|a, b| a < b) {
            return Err(unreadable("culprits", "not in order"));
        }
        let result = SegmentResult {
            first: s.first,
            end: s.end,
            origin: s.origin,
            parent_hash: heads.first().map(|head| head.header.parent_hash).filter(|_| s.first > 0),
            culprits,
            requirements: s.requirements.iter().map(|d| demand(d, s.origin)).collect(),
            exits: s.exits.iter().map(|e| exit(e, s.origin)).collect(),
            assumed: (s.assumed.iter())
                .map(|a| (Assumption { cell: a.cell, origin: s.origin, declared: true }, a.location))
                .collect(),
            anchors: BTreeMap::new(),
        };
        Ok(Self {
            result,
            checks: Checks::from_bits(s.checks),
            some_checks: Checks::from_bits(s.some_checks),
            counts: Counts { transactions: s.transactions, signatures: s.signatures, moves: s.moves, gas: s.gas },
            unchecked: match s.unchecked[..].try_into() {
                Ok(counts) => Unchecked::from_array(counts),
                Err(_) => return Err(unreadable("unchecked", format!("{} counts", s.unchecked.len()))),
            },
            state_roots: match s.state_roots[..] {
                [checked, matched] => StateRoots { checked, matched },
                _ => return Err(unreadable("state roots", "not two counts")),
            },
            root_at_end: match s.root_at_end {
                0 => RootAtEnd::No,
                1 => RootAtEnd::Due,
                _ => RootAtEnd::Counted,
            },
            closing: s.closing,
            difficulty: s.difficulty,
            total_after: s.total_after.0,
            claim: s.claim.0.map(|c| claim(&c, s.origin)),
            earlier,
            heads,
            tail,
            waiting: s.waiting,
            found,
            hashes: s.hashes.into_iter().map(|h| (h.location, h.hash)).collect(),
        })
    }
}

fn fault_kept(f: &Fault) -> summary::Fault {
    summary::Fault {
        location: f.location,
        check: f.check as u8,
        reason: f.reason.name().into(),
        place: Maybe(f.move_index),
        cell: Maybe(f.cell),
        got: f.got.clone(),
        expected: f.expected.clone(),
    }
}

fn fault(i: usize, f: summary::Fault) -> Result<Fault, Unreadable> {
    let refuse = |reason: String| unreadable(format!("fault {i}"), reason);
    Ok(Fault {
        location: f.location,
        move_index: f.place.0,
        cell: f.cell.0,
        check: *Check::ALL.get(usize::from(f.check)).ok_or_else(|| refuse(format!("check {}", f.check)))?,
        reason: f.reason.parse::<Reason>().map_err(|e| refuse(e.to_string()))?,
        got: f.got,
        expected: f.expected,
    })
}

fn culprit_kept(c: &double_use::Culprit) -> summary::Culprit {
    let (window, after) = match c.window {
        Window::Itself => (0, Location::from_bits(0)),
        Window::Entry => (1, Location::from_bits(0)),
        Window::After(location) => (2, location),
    };
    summary::Culprit {
        cell: c.cell,
        location: c.location,
        reason: c.reason.name().into(),
        window,
        after,
        write: c.write,
        intx: c.intx,
        prev: c.prev,
        expected: Maybe(c.expected.map(|(version, value)| summary::Live { version, value })),
        place: c.place,
    }
}

fn culprit(i: usize, c: summary::Culprit, origin: u64) -> Result<double_use::Culprit, Unreadable> {
    let reason = double_use::Reason::ALL.into_iter().find(|reason| reason.name() == c.reason);
    Ok(double_use::Culprit {
        cell: c.cell,
        location: c.location,
        reason: reason.ok_or_else(|| unreadable(format!("culprit {i}"), format!("reason {:?}", c.reason)))?,
        window: match c.window {
            0 => Window::Itself,
            1 => Window::Entry,
            _ => Window::After(c.after),
        },
        write: c.write,
        intx: c.intx,
        prev: c.prev,
        counts_from: origin,
        expected: c.expected.0.map(|live| (live.version, live.value)),
        place: c.place,
    })
}

fn demand_kept(d: &double_use::Demand) -> summary::Demand {
    let &double_use::Demand { cell, first, write, intx, prev, origin: _, counts_from: _, place } = d;
    summary::Demand { cell, first, write, intx, prev, place }
}

fn demand(d: &summary::Demand, origin: u64) -> double_use::Demand {
    let &summary::Demand { cell, first, write, intx, prev, place } = d;
    double_use::Demand { cell, first, write, intx, prev, origin, counts_from: origin, place }
}

fn exit_kept(e: &double_use::Exit) -> summary::Exit {
    let &double_use::Exit { cell, version, value, origin: _, counts_from: _ } = e;
    summary::Exit { cell, version, value }
}

fn exit(e: &summary::Exit, origin: u64) -> double_use::Exit {
    let &summary::Exit { cell, version, value } = e;
    double_use::Exit { cell, version, value, origin, counts_from: origin }
}

fn claim_kept(c: &Claim) -> summary::Claim {
    let &Claim { first, origin: _, parent_hash, total_difficulty, difficulty_before, is_judged } = c;
    summary::Claim { first, parent_hash, total_difficulty, difficulty_before, is_judged }
}

fn claim(c: &summary::Claim, origin: u64) -> Claim {
    let &summary::Claim { first, parent_hash, total_difficulty, difficulty_before, is_judged } = c;
    Claim { first, origin, parent_hash, total_difficulty, difficulty_before, is_judged }
}

/// Whether nothing counts from another origin, and nothing is known only by closing a seam.
fn is_of_one_import(s: &SegmentResult) -> bool {
    s.requirements.iter().all(|d| (d.origin, d.counts_from) == (s.origin, s.origin))
        && s.exits.iter().all(|e| (e.origin, e.counts_from) == (s.origin, s.origin))
        && s.culprits.iter().all(|c| c.counts_from == s.origin)
        && s.assumed.keys().all(|a| a.origin == s.origin && a.declared)
        && s.anchors.is_empty()
}

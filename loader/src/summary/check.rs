//! What makes a summary well-formed beyond its encoding: order, ranges, and that parts are of one kind. No verdict.

use super::{Demand, HEADS, Head, Refusal, Segment, Summary, UNCHECKED};
use crate::file::layout::EARLIER_BOUND;
use crate::model::{BLOCK_BOUND, Cell, Location, Mark, Value};

/// Bits of the five checks.
const CHECKS: u8 = 0b1_1111;

impl Summary {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        for (name, version) in [("manaflow", &self.manaflow), ("revm", &self.revm)] {
            if version.is_empty() || !version.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(Refusal::new(format!("version of {name}"), format!("{version:?} is none")));
            }
        }
        // A checkpoint may be written before anything is done.
        if self.segments.is_empty() && self.input.is_none() {
            return Err(Refusal::new("segments", "none, expected at least one"));
        }
        for (i, segment) in self.segments.iter().enumerate() {
            segment.check().map_err(|(place, reason)| Refusal::new(format!("segment {i}, {place}"), reason))?;
            let Some(before) = i.checked_sub(1).map(|i| &self.segments[i]) else { continue };
            if segment.first < before.end {
                let reason = format!("block {}, expected {} or above", segment.first, before.end);
                return Err(Refusal::new(format!("segment {i}, first"), reason));
            }
            if segment.first == before.end && segment.origin == before.origin {
                let reason = format!("{}, that of the segment before, which it continues", segment.origin);
                return Err(Refusal::new(format!("segment {i}, origin"), reason));
            }
        }
        Ok(())
    }
}

type Check = Result<(), (String, String)>;

fn refuse<T>(place: impl Into<String>, reason: impl Into<String>) -> Result<T, (String, String)> {
    Err((place.into(), reason.into()))
}

impl Segment {
    fn check(&self) -> Check {
        if self.first >= self.end || self.end > BLOCK_BOUND {
            return refuse("blocks", format!("{}..{}, expected a range below 2^40", self.first, self.end));
        }
        if self.origin > self.first {
            return refuse("origin", format!("{}, expected at most {}", self.origin, self.first));
        }
        if self.some_checks & !CHECKS != 0 || self.checks & !self.some_checks != 0 {
            return refuse("checks", format!("{:#x} of {:#x}", self.checks, self.some_checks));
        }
        if self.unchecked.len() != UNCHECKED {
            return refuse("unchecked", format!("{} counts, expected {UNCHECKED}", self.unchecked.len()));
        }
        match self.state_roots[..] {
            [checked, matched] if matched <= checked && checked <= self.end - self.first && self.root_at_end <= 2 => {}
            _ => return refuse("state roots", format!("{:?}", self.state_roots)),
        }
        if self.closing.block() != self.end - 1 || self.closing.index() == 0 {
            return refuse("closing", self.closing.to_string());
        }
        self.check_difficulty()?;
        self.check_heads()?;
        self.check_lists()
    }

    fn check_difficulty(&self) -> Check {
        if let Some(claim) = &self.claim.0 {
            if !self.has(claim.first) {
                return refuse("claim", format!("of block {}", claim.first));
            }
            if self.total_after.0.is_none() {
                return refuse("total difficulty", "stated before and not known after");
            }
        } else if self.total_after.0.is_some() && self.first > 0 {
            return refuse("total difficulty", "known after and not stated before");
        }
        let mut from = self.first + HEADS as u64;
        for (i, w) in self.waiting.iter().enumerate() {
            let end = w.first.checked_add(w.count).filter(|end| w.count > 0 && *end <= self.end);
            let Some(end) = end.filter(|_| w.first >= from) else {
                return refuse(format!("waiting {i}"), format!("{} blocks from {}", w.count, w.first));
            };
            from = end;
        }
        Ok(())
    }

    fn check_heads(&self) -> Check {
        let blocks = usize::try_from(self.end - self.first).unwrap_or(usize::MAX);
        let (heads, tail) = (blocks.min(HEADS), blocks.saturating_sub(HEADS).min(HEADS));
        if (self.heads.len(), self.tail.len()) != (heads, tail) {
            let got = format!("{} and {}, expected {heads} and {tail}", self.heads.len(), self.tail.len());
            return refuse("headers", got);
        }
        if self.earlier.len() > EARLIER_BOUND || self.earlier.len() as u64 > self.first {
            return refuse("earlier headers", format!("{} of them", self.earlier.len()));
        }
        for (name, list) in [("earlier header", &self.earlier), ("header", &self.heads), ("last header", &self.tail)] {
            for (i, head) in list.iter().enumerate() {
                let is_own = name != "earlier header";
                check_head(head, is_own).or_else(|reason| refuse(format!("{name} {i}"), reason))?;
                if name != "header" && (head.total_difficulty.0.is_some() || head.checks != 0) {
                    return refuse(format!("{name} {i}"), "more than header and ommers");
                }
                // What ran over all blocks ran over this one: without its bits a seam would not look at it.
                let is_one_less = name == "header" && self.checks & !head.checks != 0;
                if is_one_less || head.checks & !self.some_checks != 0 {
                    return refuse(format!("{name} {i}"), format!("checks {:#x}", head.checks));
                }
            }
        }
        Ok(())
    }

    fn check_lists(&self) -> Check {
        let is_inside = |at: &Location| self.has(at.block());
        for (i, fault) in self.faults.iter().enumerate() {
            if !is_inside(&fault.location) || fault.check > 4 || self.some_checks >> fault.check & 1 == 0 {
                return refuse(format!("fault {i}"), format!("at {}, check {}", fault.location, fault.check));
            }
        }
        for (i, c) in self.culprits.iter().enumerate() {
            let values = c.expected.0.iter().map(|live| &live.value).chain([&c.prev]);
            if !is_inside(&c.location) || !values.into_iter().all(|v| is_of(&c.cell, v)) {
                return refuse(format!("culprit {i}"), format!("at {} on {}", c.location, c.cell));
            }
            if c.window > 2 || (c.window != 2 && c.after.bits() != 0) {
                return refuse(format!("culprit {i}"), "an unknown span");
            }
        }
        if self.first == 0 && !self.requirements.is_empty() {
            return refuse("requirements", "in a segment from genesis");
        }
        ascending(&self.requirements, "requirement", |d| *d)?;
        for (i, d) in self.requirements.iter().enumerate() {
            check_demand(d, is_inside(&d.first)).or_else(|reason| refuse(format!("requirement {i}"), reason))?;
        }
        ascending(&self.exits, "exit", |e| e.cell)?;
        for (i, e) in self.exits.iter().enumerate() {
            if !is_inside(&e.version) || !is_of(&e.cell, &e.value) {
                return refuse(format!("exit {i}"), format!("{} at {}", e.cell, e.version));
            }
        }
        ascending(&self.assumed, "assumption", |a| a.cell)?;
        if let Some(i) = self.assumed.iter().position(|a| a.cell.generation != 0 || !is_inside(&a.location)) {
            return refuse(format!("assumption {i}"), self.assumed[i].cell.to_string());
        }
        ascending(&self.hashes, "transaction hash", |h| h.location)?;
        match self.hashes.iter().find(|h| !is_inside(&h.location)) {
            Some(h) => refuse("transaction hashes", h.location.to_string()),
            None => Ok(()),
        }
    }

    fn has(&self, block: u64) -> bool {
        (self.first..self.end).contains(&block)
    }
}

fn check_head(head: &Head, is_own: bool) -> Result<(), String> {
    let is_known = match head.ommers_kind {
        0 => !is_own && head.ommers.is_empty(),
        1 => true,
        2 => !head.ommers.is_empty() && head.ommers.len().is_multiple_of(32),
        _ => false,
    };
    if !is_known {
        return Err(format!("ommers of kind {}, {} bytes", head.ommers_kind, head.ommers.len()));
    }
    let ommers = (head.ommers_kind == 1).then_some(&head.ommers[..]);
    crate::file::check_earlier(&head.header, ommers).map_err(str::to_owned)
}

fn check_demand(d: &Demand, is_inside: bool) -> Result<(), String> {
    if is_inside && is_of(&d.cell, &d.prev) { Ok(()) } else { Err(format!("on {} at {}", d.cell, d.first)) }
}

/// Whether a value is of its cell's kind.
fn is_of(cell: &Cell, value: &Value) -> bool {
    matches!(value, Value::Account(_)) == (cell.mark == Mark::Account)
}

fn ascending<T, K: Ord>(list: &[T], name: &str, key: impl Fn(&T) -> K) -> Check {
    match list.windows(2).position(|pair| key(&pair[0]) >= key(&pair[1])) {
        Some(i) => refuse(format!("{name} {}", i + 1), "not above the one before"),
        None => Ok(()),
    }
}

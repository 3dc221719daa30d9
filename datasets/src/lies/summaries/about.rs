//! The lies: field by field, what is changed and what must follow.

use super::super::Draw;
use super::super::sample::decode_header;
use super::{Foretold, Pieces, SummaryLie, at_opening, beside, hash};
use alloy_consensus::Header;
use alloy_primitives::{Address, B256, U256};
use manaflow_engine::reason::{Check, Reason};
use manaflow_engine::report::{Report, Verdict};
use manaflow_loader::model::{Cell, Location, Mark, Value, Version};
use manaflow_loader::summary::{
    Assumed, Culprit, Demand, Exit, Fault, HEADS, Head, Maybe, Segment, Summary, TransactionHash, Waiting,
};
use std::collections::BTreeSet;

/// What a lie does to the segment.
type Change = Box<dyn Fn(&mut Segment) + Send + Sync>;

/// Lies about one piece.
struct About<'a> {
    pieces: &'a Pieces,
    piece: usize,
    lies: &'a mut Vec<SummaryLie>,
}

pub fn lies(pieces: &Pieces, seed: u64, entries: usize) -> Vec<SummaryLie> {
    let (mut draw, mut lies) = (Draw(seed), Vec::new());
    for piece in 0..pieces.summaries().len() {
        let mut about = About { pieces, piece, lies: &mut lies };
        about.frame();
        about.counts();
        about.totals();
        about.heads();
        about.findings();
        about.lists(&mut draw, entries);
    }
    lies
}

fn refused(why: &'static str) -> Foretold {
    Foretold { refused: Some(why), ..Foretold::default() }
}

fn nothing() -> Foretold {
    Foretold::default()
}

fn reports(change: impl Fn(&mut Report) + Send + Sync + 'static) -> Foretold {
    Foretold { report: Some(Box::new(change)), ..Foretold::default() }
}

fn faults(faults: BTreeSet<super::Place>) -> Foretold {
    Foretold { faults, ..Foretold::default() }
}

impl About<'_> {
    fn segment(&self) -> &Segment {
        self.pieces.segment(self.piece)
    }

    fn is_first(&self) -> bool {
        self.piece == 0
    }

    fn is_last(&self) -> bool {
        self.piece + 1 == self.pieces.summaries().len()
    }

    fn is_from_genesis(&self) -> bool {
        self.pieces.segment(0).first == 0
    }

    fn whole(&mut self, kind: &'static str, foretold: Foretold, change: impl Fn(&mut Summary) + Send + Sync + 'static) {
        let (piece, place) = (self.piece, format!("piece {}", self.piece));
        self.lies.push(SummaryLie { kind, place, piece, change: Box::new(change), foretold });
    }

    fn tell(&mut self, kind: &'static str, foretold: Foretold, change: impl Fn(&mut Segment) + Send + Sync + 'static) {
        self.whole(kind, foretold, move |summary| change(&mut summary.segments[0]));
    }

    /// Which blocks, of which chain, judged by whom.
    fn frame(&mut self) {
        let (is_first, is_genesis) = (self.is_first(), self.is_from_genesis());
        self.whole("version of the program", nothing(), |s| s.manaflow = "9.9.9".into());
        self.whole("version of the program: none", refused("version of manaflow"), |s| s.manaflow.clear());
        self.whole("version of the EVM", refused("judged by revm"), |s| s.revm = "9.9.9".into());
        self.whole("rules: another chain id", refused("of another chain"), |s| s.rules.chain_id += 1);
        self.whole("what a checkpoint belongs to", nothing(), |s| s.input = Some(B256::repeat_byte(1)));
        self.whole("no segment", refused("segments"), |s| s.segments.clear());
        self.whole("a segment twice", refused("segment 1, first"), |s| s.segments.push(s.segments[0].clone()));
        self.tell("first block: later", refused("segment 0"), |s| s.first += 1);
        if !is_first {
            self.tell("first block: earlier", refused("there twice"), |s| s.first -= 1);
        }
        self.tell("end: later", refused("segment 0, closing"), |s| s.end += 1);
        self.tell("end: earlier", refused("segment 0, closing"), |s| s.end -= 1);
        self.tell("origin above the first block", refused("segment 0, origin"), |s| s.origin = s.first + 1);
        if !is_first {
            // As if another import: the seam stays open, and says the same. Of open demands the origin is required too.
            let windows = !self.segment().requirements.iter().all(|d| {
                matches!(d.intx, Version::At(v)
                if v.block() >= self.pieces.segment(0).first)
            }) && !is_genesis;
            self.tell("origin", Foretold { windows, ..nothing() }, |s| s.origin += 1);
        }
        for check in Check::ALL {
            let changed = reports(move |r| {
                r.verdict = Verdict::Partial;
                match check {
                    Check::Signatures => r.checked.signatures = 0,
                    Check::Hashes => r.checked.hashes = 0,
                    Check::Execution => r.checked.execution = 0,
                    Check::Conflicts => r.checked.conflicts = 0,
                    Check::Blocks => r.checked.blocks = 0,
                }
            });
            self.tell("checks: one did not run everywhere", changed, move |s| s.checks &= !(1 << check as u8));
            self.tell("checks: one did not run anywhere", refused("segment 0, checks"), move |s| {
                s.some_checks &= !(1 << check as u8);
            });
        }
        self.tell("checks: one that is none", refused("segment 0, checks"), |s| s.some_checks |= 1 << 5);
    }

    /// Sums over blocks that nobody sees again.
    fn counts(&mut self) {
        let is_root_asked = self.is_last() && self.is_from_genesis();
        self.tell(
            "count of transactions",
            reports(|r| (r.transactions, r.checked.execution) = (r.transactions + 1, r.checked.execution + 1)),
            |s| s.transactions += 1,
        );
        self.tell(
            "count of signatures",
            reports(|r| (r.signatures, r.checked.signatures) = (r.signatures + 1, r.checked.signatures + 1)),
            |s| s.signatures += 1,
        );
        self.tell(
            "count of moves",
            reports(|r| (r.moves, r.checked.conflicts) = (r.moves + 1, r.checked.conflicts + 1)),
            |s| s.moves += 1,
        );
        self.tell(
            "count of moves: all that there are",
            reports(|r| (r.moves, r.checked.conflicts) = (u64::MAX, u64::MAX)),
            |s| s.moves = u64::MAX,
        );
        self.tell("gas", reports(|r| r.gas += 1), |s| s.gas += 1);
        for place in 0..self.segment().unchecked.len() {
            let counted = reports(move |r| {
                let u = &mut r.unchecked;
                let counts = [&mut u.parent_headers, &mut u.total_difficulties, &mut u.ommer_rules, &mut u.ommer_lists];
                match counts.into_iter().nth(place) {
                    Some(count) => *count += 1,
                    None if place == 6 => u.receipts_roots += 1,
                    None => u.others += 1,
                }
            });
            self.tell("count of what was not checked", counted, move |s| s.unchecked[place] += 1);
        }
        self.tell("count of what was not checked: one more count", refused("segment 0, unchecked"), |s| {
            s.unchecked.push(0);
        });
        let one_root = |matched| {
            reports(move |r| {
                r.state_roots.checked += 1;
                r.state_roots.matched += matched;
                r.unchecked.state_roots -= 1;
            })
        };
        self.tell("state roots: one more", one_root(1), |s| s.state_roots = vec![1, 1]);
        self.tell("state roots: more equal than there are", refused("segment 0, state roots"), |s| {
            s.state_roots = vec![0, 1];
        });
        let unasked = |has_root: bool| match is_root_asked {
            true => reports(move |r| {
                r.state_roots.checked -= 1;
                r.unchecked.state_roots += 1;
                r.final_state.state_root = r.final_state.state_root.filter(|_| has_root);
            }),
            false => nothing(),
        };
        self.tell("state root at the end: not asked for", unasked(false), |s| s.root_at_end = 0);
        self.tell("state root at the end: done", unasked(true), |s| s.root_at_end = 2);
        self.tell("state root at the end: unknown", refused("segment 0, state roots"), |s| s.root_at_end = 3);
        self.tell("closing: another index", nothing(), |s| s.closing = beside(s.closing, s.closing.index() + 1));
        self.tell("closing: another block", refused("segment 0, closing"), |s| {
            s.closing = Location::new(s.closing.block() - 1, 1).expect("in bounds");
        });
    }

    /// Difficulties, and what is stated of them.
    fn totals(&mut self) {
        let (first, end) = (self.segment().first, self.segment().end);
        let (is_first, is_last) = (self.is_first(), self.is_last());
        self.tell("difficulty", nothing(), |s| s.difficulty += U256::from(1));
        let wrong = |block| faults(at_opening(block, Reason::WrongTotalDifficulty));
        let after = if is_last { nothing() } else { wrong(end) };
        self.tell("total difficulty after", after, |s| s.total_after.0 = s.total_after.0.map(|t| t + U256::from(1)));
        if self.segment().claim.0.is_some() {
            let foretold = if is_first { Foretold { windows: true, ..nothing() } } else { wrong(first) };
            self.tell("claim: total difficulty", foretold, |s| claim(s).total_difficulty += U256::from(1));
            let foretold = if is_first { nothing() } else { wrong(first) };
            self.tell("claim: difficulty before", foretold, |s| claim(s).difficulty_before += U256::from(1));
            self.tell("claim: not judged", nothing(), |s| claim(s).is_judged = false);
            self.tell("claim: parent hash", nothing(), |s| claim(s).parent_hash = B256::repeat_byte(1));
            self.tell("claim: outside", refused("segment 0, claim"), |s| claim(s).first = s.end);
            self.tell("claim: none", refused("segment 0, total difficulty"), |s| s.claim.0 = None);
            self.tell("total difficulty after: none", refused("segment 0, total difficulty"), |s| {
                s.total_after.0 = None
            });
            if !is_first {
                self.tell("claim: first block", nothing(), |s| claim(s).first += 1);
            }
        }
        let at = first + HEADS as u64;
        let total = self.pieces.segment(self.piece.saturating_sub(1)).total_after.0.unwrap_or_default();
        let terminal = self.pieces.summaries()[0].rules.terminal_total_difficulty;
        let is_reached = terminal.is_some_and(|terminal| total >= terminal);
        let (difficulty, reason) = match is_reached {
            true => (U256::from(1), Reason::ProofOfWorkTooLate),
            false => (U256::ZERO, Reason::ProofOfStakeTooEarly),
        };
        let foretold = match is_first {
            true => reports(|r| r.unchecked.total_difficulties += 1),
            false => faults(at_opening(at, reason)),
        };
        let (count, difficulty_before, is_after_stake) = (1, U256::ZERO, false);
        let run = Waiting { first: at, count, difficulty, difficulty_before, is_after_stake };
        self.tell("a block that waits", foretold, move |s| s.waiting = vec![run]);
        self.tell("a block that waits: among the first", refused("segment 0, waiting 0"), move |s| {
            s.waiting = vec![Waiting { first: at - 1, ..run }];
        });
        self.tell("blocks that wait: none", refused("segment 0, waiting 0"), move |s| {
            s.waiting = vec![Waiting { count: 0, ..run }];
        });
    }

    /// Headers that rules over a seam look at.
    fn heads(&mut self) {
        let (first, end) = (self.segment().first, self.segment().end);
        let parent = |block| faults(at_opening(block, Reason::WrongParentHash));
        let (heads, tail) = (&self.segment().heads, &self.segment().tail);
        let told = [parent(first + 3), faults(orphans(&heads[2], &heads[3..], first + 3))];
        let next = self.pieces.summaries().get(self.piece + 1).map_or(&[][..], |next| &next.segments[0].heads);
        let (of_tip, of_other) = (orphans(&tail[tail.len() - 1], next, end), orphans(&tail[1], next, end));
        self.tell("a first header", faults(told.into_iter().flat_map(|f| f.faults).collect()), |s| {
            retell(&mut s.heads[2]);
        });
        self.tell("the last of the first headers", nothing(), |s| retell(&mut s.heads[HEADS - 1]));
        self.tell("a first header: checks of its block", refused("segment 0, header 1"), |s| s.heads[1].checks = 0);
        self.tell("a first header: checks that are none", refused("segment 0, header 1"), |s| {
            s.heads[1].checks = 1 << 5
        });
        self.tell("first headers: one less", refused("segment 0, headers"), |s| _ = s.heads.pop());
        self.tell("a first header: no header", refused("segment 0, header 0"), |s| s.heads[0].header = vec![1].into());
        self.tell("a first header: unknown ommers", refused("segment 0, header 0"), |s| s.heads[0].ommers_kind = 0);
        let terminal = self.pieces.summaries()[0].rules.terminal_total_difficulty.unwrap_or_default();
        let head = decode_header(&self.segment().heads[1].header).expect("a header");
        let (total, reason) = match head.difficulty.is_zero() {
            true => (U256::ZERO, Reason::ProofOfStakeTooEarly),
            false => (terminal, Reason::ProofOfWorkTooLate),
        };
        if terminal > U256::ZERO {
            let foretold = faults(at_opening(first + 1, reason));
            self.tell("a first header: total difficulty", foretold, move |s| {
                s.heads[1].total_difficulty = Maybe(Some(total))
            });
        }
        let tip = self.segment().tail.last().expect("a last header");
        let mut told = tip.clone();
        retell(&mut told);
        let tip_hash = hash(&told.header);
        let foretold = match self.is_last() {
            true => reports(move |r| r.blocks.tip_hash = tip_hash),
            false => faults(parent(end).faults.into_iter().chain(of_tip).collect()),
        };
        self.tell("the last header", foretold, |s| retell(s.tail.last_mut().expect("a last header")));
        self.tell("one of the last headers", faults(of_other), |s| retell(&mut s.tail[1]));
        self.tell("a last header: checks", refused("segment 0, last header 0"), |s| s.tail[0].checks = 1);
        if first > 0 {
            let s = self.segment();
            let orphaned = s.earlier.last().map(|parent| orphans(parent, &s.heads, first)).unwrap_or_default();
            let told = parent(first).faults.into_iter().chain(orphaned).collect();
            let foretold = if self.is_first() { faults(told) } else { nothing() };
            self.tell("a header before", foretold, |s| retell(s.earlier.last_mut().expect("one before")));
            let foretold = Foretold { unchecked: self.is_first(), ..nothing() };
            self.tell("headers before: none", foretold, |s| s.earlier.clear());
            self.tell("headers before: too many", refused("segment 0, earlier headers"), |s| {
                s.earlier = vec![s.earlier[0].clone(); 8];
            });
        }
    }

    /// What was found wrong: it is believed, and so is that nothing was.
    fn findings(&mut self) {
        let at = Location::new(self.segment().first, 1).expect("in bounds");
        let fault = Fault {
            location: at,
            check: Check::Execution as u8,
            reason: Reason::WrongAfter.name().into(),
            place: Maybe(None),
            cell: Maybe(None),
            got: "a".into(),
            expected: "b".into(),
        };
        let found = (at.block(), 1, Check::Execution, Reason::WrongAfter);
        let (one, other, outside) =
            (fault.clone(), fault.clone(), Location::new(self.segment().end, 1).expect("in bounds"));
        self.tell("a fault more", faults(BTreeSet::from([found])), move |s| s.faults.insert(0, one.clone()));
        self.tell("a fault more: of an unknown reason", refused("fault 0"), move |s| {
            s.faults.insert(0, Fault { reason: "bad-luck".into(), ..other.clone() });
        });
        self.tell("a fault more: outside", refused("segment 0, fault 0"), move |s| {
            s.faults.insert(0, Fault { location: outside, ..fault.clone() });
        });
        if let Some(told) = self.segment().faults.first() {
            let reason = told.reason.parse().expect("a reason");
            let check = Check::ALL[usize::from(told.check)];
            let fewer = BTreeSet::from([(told.location.block(), told.location.index(), check, reason)]);
            self.tell(
                "a fault less",
                Foretold { fewer, report: Some(Box::new(|r| r.verdict = Verdict::Valid)), ..nothing() },
                |s| _ = s.faults.remove(0),
            );
        }
        let cell = Cell::account(Address::repeat_byte(0xee));
        let culprit = Culprit {
            cell,
            location: at,
            reason: Reason::DoubleUse.name().into(),
            window: 1,
            after: Location::from_bits(0),
            write: true,
            intx: Version::Virgin,
            prev: cell.default_value(),
            expected: Maybe(None),
            place: 0,
        };
        if self.segment().culprits.is_empty() {
            let other = culprit.clone();
            self.tell("a culprit more", nothing(), move |s| s.culprits.push(culprit.clone()));
            self.tell("a culprit more: of an unknown span", refused("segment 0, culprit 0"), move |s| {
                s.culprits.push(Culprit { window: 3, ..other.clone() });
            });
        } else {
            let less = reports(|r| r.verdict = if r.invalid_total > 1 { r.verdict } else { Verdict::Valid });
            self.tell("a culprit less", less, |s| _ = s.culprits.pop());
        }
        // A hash names the transaction of a fault, where there is one.
        self.tell("a transaction's hash", nothing(), move |s| {
            s.hashes = vec![TransactionHash { location: at, hash: B256::repeat_byte(3) }];
        });
    }

    /// Requirements, exits, assumptions: what follows is worked out for each.
    fn lists(&mut self, draw: &mut Draw, entries: usize) {
        let (demands, exits) = (self.segment().requirements.clone(), self.segment().exits.clone());
        for d in draw.some(demands, entries) {
            self.demand(d);
        }
        for e in draw.some(exits, entries) {
            self.exit(e);
            let cell = Cell { generation: 0, ..e.cell };
            self.tell("an assumption more", nothing(), move |s| {
                s.assumed = vec![Assumed { cell, location: e.version }]
            });
        }
        if let Some(a) = self.segment().assumed.first().copied() {
            self.tell("an assumption less", nothing(), |s| _ = s.assumed.remove(0));
            let location = beside(a.location, a.location.index() + 1);
            self.tell("an assumption: its use", nothing(), move |s| s.assumed[0].location = location);
        }
    }

    fn demand(&mut self, d: Demand) {
        let mut change = |kind, changed: Option<Demand>| {
            let change: Change = Box::new(move |s: &mut Segment| {
                s.requirements.retain(|other| *other != d);
                s.requirements.extend(changed);
                s.requirements.sort_unstable();
            });
            self.tell(kind, nothing(), change);
        };
        change("a requirement less", None);
        change("a requirement: cell", Some(Demand { cell: another_cell(&d.cell), ..d }));
        change("a requirement: first use", Some(Demand { first: beside(d.first, d.first.index() + 1), ..d }));
        change("a requirement: read for write", Some(Demand { write: !d.write, ..d }));
        let intx = match d.intx {
            Version::At(at) => Version::At(beside(at, at.index() + 1)),
            _ => Version::At(Location::from_bits(1)),
        };
        change("a requirement: version", Some(Demand { intx, ..d }));
        if d.intx != Version::Virgin {
            change("a requirement: virgin", Some(Demand { intx: Version::Virgin, ..d }));
        }
        change("a requirement: value before", Some(Demand { prev: another_value(&d.prev), ..d }));
        change("a requirement: place of the move", Some(Demand { place: d.place + 1, ..d }));
        let outside = Location::new(self.segment().end, 1).expect("in bounds");
        self.tell("a requirement: outside", refused("segment 0, requirement"), move |s| {
            s.requirements.iter_mut().filter(|other| **other == d).for_each(|d| d.first = outside);
        });
    }

    fn exit(&mut self, e: Exit) {
        let mut change = |kind, changed: Option<Exit>| {
            let change: Change = Box::new(move |s: &mut Segment| {
                s.exits.retain(|other| *other != e);
                if let Some(changed) = changed
                    && s.exits.iter().all(|other| other.cell != changed.cell)
                {
                    s.exits.push(changed);
                }
                s.exits.sort_unstable_by_key(|e| e.cell);
            });
            self.tell(kind, nothing(), change);
        };
        change("an exit less", None);
        change("an exit: cell", Some(Exit { cell: another_cell(&e.cell), ..e }));
        change("an exit: location", Some(Exit { version: beside(e.version, e.version.index() + 1), ..e }));
        change("an exit: value", Some(Exit { value: another_value(&e.value), ..e }));
        let outside = Location::new(self.segment().end, 1).expect("in bounds");
        self.tell("an exit: outside", refused("segment 0, exit"), move |s| {
            s.exits.iter_mut().filter(|other| **other == e).for_each(|e| e.version = outside);
        });
    }
}

fn claim(s: &mut Segment) -> &mut manaflow_loader::summary::Claim {
    s.claim.0.as_mut().expect("a claim")
}

/// Ommers of later blocks whose parent a header is: of no block, once it is another header.
fn orphans(parent: &Head, later: &[Head], first: u64) -> BTreeSet<super::Place> {
    let hash = hash(&parent.header);
    let is_parent = |head: &Head| {
        let ommers: Vec<Header> = alloy_rlp::decode_exact(&head.ommers).unwrap_or_default();
        ommers.iter().any(|ommer| ommer.parent_hash == hash)
    };
    let of_blocks = later.iter().zip(first..).filter(|(head, _)| is_parent(head));
    of_blocks.map(|(_, block)| (block, 0, Check::Blocks, Reason::OmmerParentNotAncestor)).collect()
}

/// Another header of the same block: only its hash is another.
fn retell(head: &mut Head) {
    let mut header: Header = decode_header(&head.header).expect("a header");
    header.extra_data = [&header.extra_data[..header.extra_data.len().min(31)], &[7]].concat().into();
    head.header = alloy_rlp::encode(&header).into();
}

fn another_cell(cell: &Cell) -> Cell {
    match cell.mark {
        Mark::Account => Cell::account(Address::repeat_byte(0xee)),
        Mark::Storage => Cell { slot: cell.slot ^ (U256::from(1) << 200), ..*cell },
        Mark::BlockHash => Cell { slot: cell.slot + U256::from(1 << 20), ..*cell },
    }
}

fn another_value(value: &Value) -> Value {
    match *value {
        Value::Account(mut account) => {
            if account.present {
                account.nonce += 1;
            } else {
                account.generation += 1;
            }
            Value::Account(account)
        }
        Value::Word(word) => Value::Word(word ^ U256::from(1)),
    }
}

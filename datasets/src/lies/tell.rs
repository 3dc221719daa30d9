//! Tells a lie and holds what comes of it against what was foretold.

use super::books::{self, EXACT};
use super::ledger::Ledger;
use super::sample::{Answer, Judged, Sample, decode_header};
use super::{Foretold, Lie, May, Must, Told, Under, procedures};
use alloy_primitives::{B256, keccak256};
use manaflow_engine::reason::{Check, Reason};
use manaflow_engine::report::{ListedFault, Report, UncheckedCounts, Verdict};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// A valid sample, and what is said of it.
pub struct Honest {
    sample: Sample,
    judged: Judged,
    ledger: Ledger,
}

/// What came of a lie that was foretold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum End {
    /// Found: the verdict is `invalid`.
    Invalid,
    /// No verdict.
    Refused,
    /// Another consistent claim, and the report says so.
    AnotherClaim,
    /// Less is claimed, and the report counts it as unchecked.
    Unchecked,
    /// A hint: nothing changes.
    Nothing,
}

/// Lies told: by kind how many of each end.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Kinds.
    pub kinds: BTreeMap<&'static str, BTreeMap<End, usize>>,
    /// How many under which rules; `None`: about no block.
    pub under: BTreeMap<Option<Under>, usize>,
    /// Lies that ended otherwise than foretold.
    pub wrong: Vec<String>,
}

impl Tally {
    /// Adds another.
    pub fn add(&mut self, other: Self) {
        for (kind, ends) in other.kinds {
            let own = self.kinds.entry(kind).or_default();
            ends.into_iter().for_each(|(end, n)| *own.entry(end).or_default() += n);
        }
        other.under.into_iter().for_each(|(under, n)| *self.under.entry(under).or_default() += n);
        self.wrong.extend(other.wrong);
    }

    /// One end of a lie about a block under these rules, or about no block.
    pub fn count(&mut self, kind: &'static str, under: Option<Under>, end: Result<End, String>) {
        *self.under.entry(under).or_default() += 1;
        match end {
            Ok(end) => *self.kinds.entry(kind).or_default().entry(end).or_default() += 1,
            Err(why) => self.wrong.push(why),
        }
    }

    /// Lies told.
    pub fn told(&self) -> usize {
        self.kinds.values().flat_map(BTreeMap::values).sum::<usize>() + self.wrong.len()
    }

    /// How many lies were told under which rules, in one line.
    pub fn forks(&self) -> String {
        let told = |(under, n): (&Option<Under>, &usize)| match under {
            Some(under) => format!("{under} {n}"),
            None => format!("about no block {n}"),
        };
        self.under.iter().map(told).collect::<Vec<_>>().join(", ")
    }

    /// A table: a line a kind.
    pub fn table(&self) -> String {
        let mut lines = Vec::new();
        for (kind, ends) in &self.kinds {
            let ends: Vec<String> = ends.iter().map(|(end, n)| format!("{n} {end:?}")).collect();
            lines.push(format!("{kind:<60} {}", ends.join(", ")));
        }
        lines.push(format!("{} lies of {} kinds, {} not as foretold", self.told(), self.kinds.len(), self.wrong.len()));
        lines.join("\n")
    }
}

/// Tells lies about one sample on all workers.
///
/// # Panics
/// If the sample is not valid, or ledger or books find fault with it.
pub fn tell_all(sample: &Sample, lies: &[Lie]) -> Tally {
    let honest = Honest::new(sample);
    let ends: Vec<_> = lies.par_iter().map(|lie| (lie.kind, lie.under, honest.tell(lie))).collect();
    let mut tally = Tally::default();
    ends.into_iter().for_each(|(kind, under, end)| tally.count(kind, under, end));
    tally
}

impl Honest {
    /// Judges the sample as it is.
    ///
    /// # Panics
    /// If it is not valid, or ledger or books find fault with it.
    pub fn new(sample: &Sample) -> Self {
        let judged = match sample.judge() {
            Answer::Judged(judged) => *judged,
            Answer::Refused(why) => panic!("no verdict on the honest sample: {why}"),
        };
        assert_eq!(judged.report.verdict, Verdict::Valid, "{:#?}", judged.report.invalid);
        let ledger = Ledger::of(sample);
        assert_eq!(ledger.faults, BTreeSet::new(), "of an honest sample");
        assert_eq!(books::faults(sample), Some(BTreeSet::new()), "of an honest sample");
        let honest = Self { sample: sample.clone(), judged, ledger };
        honest.claim(sample, &honest.ledger, &honest.judged.report).expect("of an honest sample");
        honest
    }

    /// Tells a lie; an error says what came of it against what was foretold.
    pub fn tell(&self, lie: &Lie) -> Result<End, String> {
        let mut changed = self.sample.clone();
        (lie.change)(&mut changed);
        let end = if changed == self.sample {
            Err("the lie changes nothing".into())
        } else {
            self.compare(&changed, &changed.judge(), &lie.foretold)
        };
        end.map_err(|why| format!("{}, {}: {why}", lie.kind, lie.place))
    }

    fn compare(&self, changed: &Sample, answer: &Answer, foretold: &Foretold) -> Result<End, String> {
        match (answer, foretold) {
            (Answer::Refused(why), Foretold::Malformed(expected)) if why.contains(expected) => Ok(End::Refused),
            (Answer::Refused(why), Foretold::Told(Told { or_malformed: Some(expected), .. }))
                if why.contains(expected) =>
            {
                Ok(End::Refused)
            }
            (Answer::Refused(why), foretold) => Err(format!("foretold {foretold:?}, but no verdict: {why}")),
            (Answer::Judged(judged), Foretold::Told(told)) => self.judged(changed, &judged.report, told),
            (Answer::Judged(judged), Foretold::Unchecked) => {
                let counts = judged.report.unchecked;
                let is_counted = counts.receipts_roots + counts.ommer_lists > 0;
                match is_counted && is_same(&judged.report, &self.judged.report) {
                    true => Ok(End::Unchecked),
                    false => Err("foretold the same and unchecked, but the report differs or counts nothing".into()),
                }
            }
            (Answer::Judged(judged), Foretold::Nothing) => match is_same(&judged.report, &self.judged.report) {
                true => Ok(End::Nothing),
                false => Err("foretold nothing, but the report differs".into()),
            },
            (Answer::Judged(judged), Foretold::Malformed(expected)) => {
                let report = &judged.report;
                Err(format!(
                    "foretold an error with {expected:?}, but {:?}: {:?}",
                    report.verdict,
                    report.invalid.first()
                ))
            }
        }
    }

    fn judged(&self, changed: &Sample, report: &Report, told: &Told) -> Result<End, String> {
        let faults = &report.invalid;
        if faults.len() as u64 != report.invalid_total {
            return Err(format!("{} faults listed of {}", faults.len(), report.invalid_total));
        }
        if (report.verdict == Verdict::Invalid) == faults.is_empty() {
            return Err(format!("{:?} with {} faults", report.verdict, faults.len()));
        }
        let ledger = Ledger::of(changed);
        conflicts(&ledger, faults)?;
        // By every procedure, sum too, which confirms most of what is valid and must leave the rest to others.
        procedures::agree(changed, &ledger)?;
        sums(changed, faults)?;
        for alternatives in &told.must {
            if !alternatives.iter().any(|must| faults.iter().any(|fault| is_it(must, fault))) {
                return Err(format!("none of {alternatives:?} among {}", say(faults)));
            }
        }
        for fault in faults.iter().filter(|f| f.check != Check::Conflicts && !EXACT.contains(&f.reason)) {
            let is_foretold = told.must.iter().flatten().any(|must| is_it(must, fault))
                || told.may.iter().any(|may| is_allowed(may, fault));
            if !is_foretold {
                return Err(format!("not foretold: {fault:?}"));
            }
        }
        let is_another = self.claim(changed, &ledger, report)?;
        match (faults.is_empty(), is_another) {
            (false, _) => Ok(End::Invalid),
            (true, true) => Ok(End::AnotherClaim),
            (true, false) if told.withheld && more_unchecked(&report.unchecked, &self.judged.report.unchecked) => {
                Ok(End::Unchecked)
            }
            (true, false) => Err("valid, and the same claim: the lie survives".into()),
        }
    }

    /// Holds the claim of a report against what it must be; whether it is another than the honest one.
    fn claim(&self, changed: &Sample, ledger: &Ledger, report: &Report) -> Result<bool, String> {
        let honest = &self.judged.report;
        let same =
            |what: &str, is_same: bool| if is_same { Ok(()) } else { Err(format!("the claim's {what} is not so")) };
        let mut order: Vec<usize> = (0..changed.segments.len()).collect();
        order.sort_by_key(|&i| (changed.segments[i].start.first, i));
        let (head, tip) = (&changed.segments[order[0]], &changed.segments[order[order.len() - 1]]);
        let hash = tip.blocks.last().map(|block| keccak256(&block.body.header)).unwrap_or_default();
        same("tip hash", report.blocks.tip_hash == hash)?;
        let parent = head.blocks.first().and_then(|block| decode_header(&block.body.header)).map(|h| h.parent_hash);
        same("parent hash", Some(report.blocks.parent_hash) == parent)?;
        let digest: B256 = keccak256(changed.rules.to_bytes());
        same("rules digest", report.chain.rules_digest == digest)?;
        if changed.rules != self.sample.rules {
            same("chain", report.chain.name == "custom")?;
        }
        let requires_as = ledger.requires_as(&self.ledger);
        same("requirements digest", (report.requirements_digest == honest.requirements_digest) == requires_as)?;
        same("count of required cells", report.requirements.cells == ledger.demands.len() as u64)?;
        same("count of assumed cells", report.requirements.assumed == ledger.assumed.len() as u64)?;
        same("count of cells written", report.final_state.cells == ledger.exits.len() as u64)?;
        let ranges = |s: &Sample| s.segments.iter().map(|s| (s.start.first, s.blocks.len())).collect::<Vec<_>>();
        let leaves_as = ledger.exits == self.ledger.exits && ranges(changed) == ranges(&self.sample);
        same("final state", (report.final_state.digest == honest.final_state.digest) == leaves_as)?;
        let is_same = requires_as
            && leaves_as
            && report.blocks.tip_hash == honest.blocks.tip_hash
            && report.chain.rules_digest == honest.chain.rules_digest;
        Ok(!is_same)
    }
}

/// Whether two reports are one but for the run.
fn is_same(a: &Report, b: &Report) -> bool {
    Report { run: b.run.clone(), ..a.clone() } == *b
}

fn more_unchecked(a: &UncheckedCounts, b: &UncheckedCounts) -> bool {
    let all = |c: &UncheckedCounts| {
        [
            c.receipts_roots,
            c.state_roots,
            c.parent_headers,
            c.ommer_lists,
            c.ommer_rules,
            c.total_difficulties,
            c.others,
        ]
    };
    all(a).iter().zip(all(b)).all(|(a, b)| *a >= b) && all(a) != all(b)
}

/// Every fault of double use is one of the ledger's, and the other way round.
fn conflicts(ledger: &Ledger, faults: &[ListedFault]) -> Result<(), String> {
    let of = |fault: &&ListedFault| fault.check == Check::Conflicts;
    let place = |f: &ListedFault| (f.block, f.index, f.reason, f.cell.clone().unwrap_or_default());
    let got: BTreeSet<_> = faults.iter().filter(of).map(place).collect();
    let expected = ledger.faults.iter().map(|(at, reason, cell)| (at.block(), at.index(), *reason, cell.to_string()));
    let expected: BTreeSet<_> = expected.collect();
    differ("conflicts", &got, &expected)
}

/// Every fault of roots, sums and links is in the books, and the other way round.
fn sums(changed: &Sample, faults: &[ListedFault]) -> Result<(), String> {
    let Some(expected) = books::faults(changed) else { return Err("a header does not decode".into()) };
    let is_one = |f: &&ListedFault| EXACT.contains(&f.reason) && matches!(f.check, Check::Hashes | Check::Blocks);
    let got: BTreeSet<(u64, u64, Reason)> =
        faults.iter().filter(is_one).map(|f| (f.block, f.index, f.reason)).collect();
    differ("books", &got, &expected)
}

fn differ<T: Ord + std::fmt::Debug>(what: &str, got: &BTreeSet<T>, expected: &BTreeSet<T>) -> Result<(), String> {
    match got == expected {
        true => Ok(()),
        false => {
            let more: Vec<_> = got.difference(expected).take(3).collect();
            let less: Vec<_> = expected.difference(got).take(3).collect();
            Err(format!("{what}: not foretold {more:?}, not found {less:?}"))
        }
    }
}

fn is_it(must: &Must, fault: &ListedFault) -> bool {
    (must.location.block(), must.location.index()) == (fault.block, fault.index)
        && (must.check, must.reason) == (fault.check, fault.reason)
        && must.cell.is_none_or(|cell| fault.cell == Some(cell.to_string()))
}

fn is_allowed(may: &May, fault: &ListedFault) -> bool {
    may.blocks.contains(&fault.block)
        && may.index.is_none_or(|index| index == fault.index)
        && may.check.is_none_or(|check| check == fault.check)
        && may.what.has(fault.reason)
}

fn say(faults: &[ListedFault]) -> String {
    let all = faults.iter().take(6).map(|f| {
        let cell = f.cell.as_deref().unwrap_or("");
        format!("{}:{} {} {} {cell}", f.block, f.index, f.check, f.reason)
    });
    format!("{} faults: {}", faults.len(), all.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::super::moves::NOBODY;
    use super::*;
    use manaflow_loader::model::{Cell, Location, Mode, Status};

    fn honest() -> Honest {
        Honest::new(&Sample::open(&crate::sample("forks.mana")).cut(4..=5))
    }

    fn lie(foretold: Foretold, change: impl Fn(&mut Sample) + Send + Sync + 'static) -> Lie {
        Lie { kind: "test", place: String::new(), under: None, change: Box::new(change), foretold }
    }

    fn refusal(
        honest: &Honest,
        foretold: impl Into<Foretold>,
        change: impl Fn(&mut Sample) + Send + Sync + 'static,
    ) -> String {
        honest.tell(&lie(foretold.into(), change)).expect_err("it is not as foretold")
    }

    #[test]
    fn what_is_not_foretold_is_told() {
        let honest = honest();
        let exactly = Told::exactly;
        let at = Location::new(4, 1).expect("in bounds");
        assert!(refusal(&honest, exactly(), |_| {}).contains("changes nothing"));
        // A code that nobody names is not written: the file stays as it was.
        let survivor = |s: &mut Sample| _ = s.codes.insert(B256::repeat_byte(1), vec![1].into());
        assert!(refusal(&honest, exactly(), survivor).contains("the lie survives"));
        let sender = |s: &mut Sample| s.segments[0].blocks[0].transactions[1].sender = Some(NOBODY);
        assert!(refusal(&honest, exactly(), sender).contains("not foretold"));
        let told = exactly().must(at, Check::Signatures, Reason::WrongSender, None);
        assert!(refusal(&honest, told.clone(), sender).contains("not foretold"), "the run's fault is missing");
        let cell = Some(Cell::account(NOBODY));
        let whole = told.clone().must(at, Check::Execution, Reason::UndeclaredCell, cell);
        assert_eq!(honest.tell(&lie(whole.clone().into(), sender)), Ok(End::Invalid));
        let more = whole.clone().must(at, Check::Signatures, Reason::HighS, None);
        assert!(refusal(&honest, more, sender).contains("none of"));
        let elsewhere = told.must(at, Check::Execution, Reason::UndeclaredCell, Some(Cell::block_hash(4)));
        assert!(refusal(&honest, elsewhere, sender).contains("none of"), "another cell");
        assert!(refusal(&honest, Foretold::Malformed("x"), sender).contains("foretold an error"));
        assert!(refusal(&honest, Foretold::Unchecked, sender).contains("foretold the same"));
        assert!(refusal(&honest, Foretold::Nothing, sender).contains("foretold nothing"));
        let system = |s: &mut Sample| s.segments[0].blocks[0].transactions[0].sender = Some(NOBODY);
        assert!(refusal(&honest, Foretold::Malformed("something else"), system).contains("no verdict"));
        assert_eq!(honest.tell(&lie(Foretold::Malformed("a system transaction has"), system)), Ok(End::Refused));
    }

    /// A report with one fault less, or one more, than ledger and books have.
    #[test]
    fn ledger_and_books_are_exact() {
        let honest = honest();
        let mut changed = honest.sample.clone();
        let rows = &mut changed.segments[0].blocks[0].transactions;
        let last = rows.len() - 1;
        let status = Status::Root(Some(B256::repeat_byte(9)));
        rows[1].outcome.as_mut().expect("an outcome").status = status;
        let read = rows[last].moves.iter_mut().find(|m| m.mode == Mode::Write).expect("a write");
        read.intx = manaflow_loader::model::Version::At(Location::new(5, 0).expect("in bounds"));
        let Answer::Judged(judged) = changed.judge() else { panic!("no verdict") };
        let (ledger, faults) = (Ledger::of(&changed), &judged.report.invalid);
        assert_eq!(ledger.faults.len(), 1, "version not before");
        assert_eq!((conflicts(&ledger, faults), sums(&changed, faults)), (Ok(()), Ok(())));
        let without = |check| faults.iter().filter(|f| f.check != check).cloned().collect::<Vec<_>>();
        assert!(conflicts(&ledger, &without(Check::Conflicts)).is_err_and(|why| why.contains("not found")));
        assert!(conflicts(&Ledger::default(), faults).is_err_and(|why| why.contains("not foretold")));
        assert!(sums(&changed, &without(Check::Hashes)).is_err_and(|why| why.contains("not found")));
        assert!(sums(&honest.sample, faults).is_err_and(|why| why.contains("not foretold")));
        // The claim: another ledger than the file's, another tip, another final state.
        let report = &honest.judged.report;
        assert_eq!(honest.claim(&honest.sample, &honest.ledger, report), Ok(false));
        assert!(honest.claim(&honest.sample, &Ledger::default(), report).is_err());
        let tip = |mut report: Report| {
            report.blocks.tip_hash = B256::ZERO;
            report
        };
        assert!(honest.claim(&honest.sample, &honest.ledger, &tip(report.clone())).is_err());
        let closing = changed.segments[0].blocks[1].transactions.last_mut().expect("a closing");
        closing.moves.pop();
        assert!(honest.claim(&changed, &Ledger::of(&changed), report).is_err(), "an exit less");
    }
}

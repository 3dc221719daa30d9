//! Lies in summaries: one field of a real summary changed, sealed again, merged with its neighbours, at once and as both
//! trees, and held against what must follow.
//!
//! What must follow is said before the merge. Of requirements, exits and assumptions by [`Plain`], which puts them together
//! once more: every fault of double use, and whether final state and requirements are others. Of the rest by the kind: an
//! error, faults at a place, or the honest report with this change; everything else in the report must be as it was.

mod about;
mod plain;

use super::sample::{Sample, decode_header};
use super::tell::{End, Tally};
use alloy_primitives::{B256, keccak256};
use manaflow_engine::REVM_VERSION;
use manaflow_engine::reason::{Check, Reason};
use manaflow_engine::report::{Report, Verdict};
use manaflow_engine::segment::{MergeOptions, merge_summaries};
use manaflow_engine::validate::{Checks, Options, Order, Progress, summarise};
use manaflow_loader::file::BlockFile;
use manaflow_loader::model::Location;
use manaflow_loader::summary::{Segment, Summary};
use plain::Plain;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// A fault by place, check and reason.
type Place = (u64, u64, Check, Reason);

/// A lie about one of some pieces.
pub struct SummaryLie {
    /// What is lied about.
    pub kind: &'static str,
    /// Which piece, and where in it.
    pub place: String,
    /// The piece.
    pub piece: usize,
    /// The lie.
    pub change: Box<dyn Fn(&mut Summary) + Send + Sync>,
    /// What must follow.
    pub foretold: Foretold,
}

/// How a report changes.
pub type Otherwise = Box<dyn Fn(&mut Report) + Send + Sync>;

/// What must follow, besides what requirements, exits and assumptions say.
#[derive(Default)]
pub struct Foretold {
    /// No report: an error that says this.
    pub refused: Option<&'static str>,
    /// Faults that are found.
    pub faults: BTreeSet<Place>,
    /// Faults that are not any more.
    pub fewer: BTreeSet<Place>,
    /// What the report says otherwise.
    pub report: Option<Otherwise>,
    /// Whether windows, or the origins that the requirements' digest names, are others.
    pub windows: bool,
    /// Whether more is counted as unchecked.
    pub unchecked: bool,
}

/// Pieces of one import, and the report of the whole.
pub struct Pieces {
    summaries: Vec<Summary>,
    report: Report,
}

impl Pieces {
    /// Judges ranges of a sample apart.
    ///
    /// # Panics
    /// If a range cannot be judged, or the pieces do not make a whole.
    pub fn of(sample: &Sample, ranges: &[RangeInclusive<u64>]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sample.mana");
        sample.write(&path).expect("written");
        let file = BlockFile::open(&path).expect("a valid file");
        let summaries = ranges.iter().map(|range| {
            let options = Options {
                order: Order::Forward,
                checks: Checks::ALL,
                blocks: Some(range.clone()),
                limit: 0,
                version: "1".into(),
                ..Options::default()
            };
            let (_, segments) = summarise(&[&file], &options, &Progress::default(), None).expect("a verdict");
            let rules = file.rules().clone();
            Summary { manaflow: "1".into(), revm: REVM_VERSION.into(), rules, input: None, segments }
        });
        Self::new(summaries.collect())
    }

    /// Of some summaries, ascending.
    ///
    /// # Panics
    /// If they make no whole.
    pub fn new(summaries: Vec<Summary>) -> Self {
        let report = merged(&summaries).expect("the honest pieces belong together");
        Self { summaries, report }
    }

    /// The summaries.
    pub fn summaries(&self) -> &[Summary] {
        &self.summaries
    }

    /// The report of the whole.
    pub const fn report(&self) -> &Report {
        &self.report
    }

    fn segment(&self, piece: usize) -> &Segment {
        &self.summaries[piece].segments[0]
    }

    /// Tells lies on all workers.
    pub fn tell_all(&self, lies: &[SummaryLie]) -> Tally {
        let ends: Vec<_> = lies.par_iter().map(|lie| (lie.kind, self.tell(lie))).collect();
        let mut tally = Tally::default();
        ends.into_iter().for_each(|(kind, end)| tally.count(kind, None, end));
        tally
    }

    /// Tells a lie; an error says what came of it against what was foretold.
    pub fn tell(&self, lie: &SummaryLie) -> Result<End, String> {
        let mut changed = self.summaries.clone();
        (lie.change)(&mut changed[lie.piece]);
        if changed == self.summaries {
            return Err(format!("{}, {}: the lie changes nothing", lie.kind, lie.place));
        }
        self.compare(&changed, &lie.foretold).map_err(|why| format!("{}, {}: {why}", lie.kind, lie.place))
    }

    fn compare(&self, changed: &[Summary], foretold: &Foretold) -> Result<End, String> {
        let got = match (merged(changed), foretold.refused) {
            (Err(why), Some(expected)) if why.contains(expected) => return Ok(End::Refused),
            (Err(why), expected) => return Err(format!("foretold an error {expected:?}, got: {why}")),
            (Ok(report), Some(expected)) => {
                return Err(format!("foretold an error with {expected:?}, but {:?}", report.verdict));
            }
            (Ok(report), None) => report,
        };
        let (before, after) = (plain(&self.summaries), plain(changed));
        let mut expected = self.report.clone();
        foretold.report.iter().for_each(|change| change(&mut expected));
        self.faults(&got, (&before, &after), foretold)?;
        let same = |what: &str, is_so: bool| if is_so { Ok(()) } else { Err(format!("{what} is not as foretold")) };
        let leaves_as = before.known() == after.known();
        same("final state", (got.final_state.digest == expected.final_state.digest) == leaves_as)?;
        same("count of cells", got.final_state.cells == after.known().len() as u64)?;
        let requires_as = (&before.open, &before.assumed) == (&after.open, &after.assumed) && !foretold.windows;
        same("requirements", (got.requirements_digest == expected.requirements_digest) == requires_as)?;
        same("count of requirements", got.requirements.cells == after.open.len() as u64)?;
        same("count of assumptions", got.requirements.assumed == after.assumed.len() as u64)?;
        same("conditional", got.conditional == got.requirements_digest.is_some())?;
        let root_is_as = got.final_state.state_root == expected.final_state.state_root;
        same(
            "state root",
            root_is_as == (before.state() == after.state() || expected.final_state.state_root.is_none()),
        )?;
        // What is told above is set aside; all else is as it was.
        (expected.final_state, expected.conditional) = (got.final_state.clone(), got.conditional);
        (expected.requirements, expected.requirements_digest) = (got.requirements, got.requirements_digest);
        (expected.invalid, expected.invalid_total) = (got.invalid.clone(), got.invalid_total);
        expected.state_roots.matched = got.state_roots.matched;
        if !got.invalid.is_empty() {
            expected.verdict = Verdict::Invalid;
        }
        if foretold.unchecked {
            same("what is unchecked", got.unchecked != expected.unchecked)?;
            expected.unchecked = got.unchecked;
        }
        if got != expected {
            return Err(format!("foretold {expected:#?}, got {got:#?}"));
        }
        Ok(match got.verdict {
            _ if got == self.report => End::Nothing,
            Verdict::Invalid if self.report.verdict != Verdict::Invalid => End::Invalid,
            _ => End::AnotherClaim,
        })
    }

    /// Every fault of a report is foretold, and the other way round.
    fn faults(&self, got: &Report, (before, after): (&Plain, &Plain), foretold: &Foretold) -> Result<(), String> {
        let of = |report: &Report| -> BTreeSet<Place> {
            report.invalid.iter().map(|f| (f.block, f.index, f.check, f.reason)).collect()
        };
        let conflicts = |plain: &Plain| -> BTreeSet<Place> {
            plain.faults.iter().map(|(at, reason, _)| (at.block(), at.index(), Check::Conflicts, *reason)).collect()
        };
        let mut expected = of(&self.report);
        expected.retain(|place| !conflicts(before).contains(place) && !foretold.fewer.contains(place));
        expected.extend(conflicts(after));
        expected.extend(&foretold.faults);
        if before.state() != after.state() && self.report.final_state.state_root.is_some() {
            let closing = self.segment(self.summaries.len() - 1).closing;
            expected.insert((closing.block(), closing.index(), Check::Hashes, Reason::WrongStateRoot));
        }
        let got = of(got);
        if got == expected {
            return Ok(());
        }
        let more: Vec<_> = got.difference(&expected).take(3).collect();
        let less: Vec<_> = expected.difference(&got).take(3).collect();
        Err(format!("faults: not foretold {more:?}, not found {less:?}"))
    }

    /// Lies about these pieces: of everything one that can be said of each piece, of lists some entries.
    pub fn lies(&self, seed: u64, entries: usize) -> Vec<SummaryLie> {
        about::lies(self, seed, entries)
    }
}

fn plain(summaries: &[Summary]) -> Plain {
    let segments: Vec<&Segment> = summaries.iter().map(|summary| &summary.segments[0]).collect();
    let header = segments.first().and_then(|s| decode_header(&s.heads[0].header));
    Plain::of(&segments, header.map(|header| header.parent_hash).unwrap_or_default())
}

/// The report, without its run, of pieces over their bytes: at once, and as both trees, which must agree.
fn merged(summaries: &[Summary]) -> Result<Report, String> {
    let read = |(i, summary): (usize, &Summary)| match Summary::decode(&summary.encode()) {
        Ok(summary) => Ok((i.to_string(), summary)),
        Err(refusal) => Err(refusal.to_string()),
    };
    let all = summaries.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
    let options = MergeOptions { gaps: false, limit: 1 << 20, list_requirements: false, version: "1".into() };
    let merge = |list: Vec<(String, Summary)>| match merge_summaries(list, &options) {
        Ok((validation, summary)) => Ok((validation.report, summary)),
        Err(error) => Err(error.to_string()),
    };
    let flat = merge(all.iter().rev().cloned().collect())?;
    let last = all.len() - 1;
    let left = merge(all[..last].to_vec())?.1;
    let right = merge(all[1..].to_vec())?.1;
    let left = merge(vec![all[last].clone(), ("left".into(), left)])?;
    let right = merge(vec![("right".into(), right), all[0].clone()])?;
    let mut reports = [flat.0, left.0, right.0];
    for report in &mut reports {
        (report.run.seconds, report.run.threads) = (0.0, 0);
    }
    let [report, left_report, right_report] = reports;
    if left_report != report || right_report != report || left.1 != flat.1 || right.1 != flat.1 {
        return Err("a tree says something else".into());
    }
    Ok(report)
}

/// A fault of a block's opening.
fn at_opening(block: u64, reason: Reason) -> BTreeSet<Place> {
    BTreeSet::from([(block, 0, Check::Blocks, reason)])
}

/// Hash of a header's bytes.
fn hash(header: &[u8]) -> B256 {
    keccak256(header)
}

/// A location in the same block.
fn beside(at: Location, index: u64) -> Location {
    Location::new(at.block(), index).expect("in bounds")
}

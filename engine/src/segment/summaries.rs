//! Merging summaries: whether they belong together, and the report of the whole.

use super::{Segment, Unreadable, Validation, Wanted, close, conclude, join, report};
use crate::double_use::Malformed;
use crate::reason::Checks;
use crate::report::{Run, Versions};
use crate::state_root::TrieError;
use manaflow_loader::file::{FORMAT_VERSION, PROTOCOL_VERSION};
use manaflow_loader::summary::{self, Summary};
use std::collections::BTreeMap;
use std::time::Instant;

/// Why summaries make no whole.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// There is nothing to merge.
    #[error("no summary to merge")]
    Nothing,
    /// Two are of different chains.
    #[error("{b}: is of another chain than {a}: the digests of their rules differ")]
    Chain {
        /// One.
        a: String,
        /// The other.
        b: String,
    },
    /// Two were judged by different EVMs.
    #[error("{b}: was judged by revm {revm_b}, {a} by revm {revm_a}")]
    Evm {
        /// One.
        a: String,
        /// The other.
        b: String,
        /// Its version.
        revm_a: String,
        /// Its version.
        revm_b: String,
    },
    /// Two hold the same blocks.
    #[error("blocks {first} to {last} are there twice: in {a} and in {b}")]
    Overlap {
        /// One.
        a: String,
        /// The other.
        b: String,
        /// First block that both hold.
        first: u64,
        /// Last block that both hold.
        last: u64,
    },
    /// Blocks are missing between two.
    #[error("blocks {first} to {last} are missing: {a} ends before them, {b} begins after them")]
    Gap {
        /// The earlier one.
        a: String,
        /// The later one.
        b: String,
        /// First block that neither holds.
        first: u64,
        /// Last block that neither holds.
        last: u64,
    },
    /// One does not say what a segment is.
    #[error("{name}: segment {segment}, {error}")]
    Unreadable {
        /// The summary.
        name: String,
        /// Place of the segment in it.
        segment: usize,
        /// Where and why.
        error: Unreadable,
    },
    /// Two segments cannot be put together.
    #[error("{name}: {error}")]
    Malformed {
        /// The earliest summary.
        name: String,
        /// Where and why.
        error: Malformed,
    },
    /// The state that a summary leaves is none.
    #[error("{name}: state root: {error}")]
    State {
        /// The earliest summary.
        name: String,
        /// Where and why.
        error: TrieError,
    },
}

/// How to merge.
#[derive(Clone, Debug)]
pub struct MergeOptions {
    /// Blocks may be missing between summaries; what lies apart stays apart.
    pub gaps: bool,
    /// Faults listed.
    pub limit: usize,
    /// Give the list of requirements.
    pub list_requirements: bool,
    /// Version of the program, for the report.
    pub version: String,
}

/// The whole of some summaries, in whatever order they are given: its report, and its summary.
pub fn merge_summaries(
    summaries: Vec<(String, Summary)>,
    options: &MergeOptions,
) -> Result<(Validation, Summary), MergeError> {
    let started = Instant::now();
    let (name, first) = summaries.first().ok_or(MergeError::Nothing)?;
    let (name, rules, revm) = (name.clone(), first.rules.clone(), first.revm.clone());
    let mut all = Vec::new();
    for (other, summary) in summaries {
        if summary.rules != rules {
            return Err(MergeError::Chain { a: name, b: other });
        }
        if summary.revm != revm {
            return Err(MergeError::Evm { a: name, b: other, revm_a: revm, revm_b: summary.revm });
        }
        for (i, segment) in summary.segments.into_iter().enumerate() {
            let read = Segment::try_from(segment);
            let read = read.map_err(|error| MergeError::Unreadable { name: other.clone(), segment: i, error })?;
            all.push((other.clone(), read));
        }
    }
    all.sort_by_key(|(_, segment)| (segment.result.first, segment.result.end));
    for pair in all.windows(2) {
        adjoins(&pair[0], &pair[1], options.gaps)?;
    }
    let Some((name, _)) = all.first() else { return Err(MergeError::Nothing) };
    let name = name.clone();
    let segments = all.into_iter().map(|(_, segment)| segment).collect();
    let malformed = |error| MergeError::Malformed { name: name.clone(), error };
    let mut joined = join(segments, &rules).map_err(malformed)?;
    joined.iter_mut().for_each(|segment| segment.name_transactions(|_| None));
    let summary = Summary {
        manaflow: options.version.clone(),
        revm: revm.clone(),
        rules,
        input: None,
        segments: joined.iter().map(summary::Segment::from).collect(),
    };
    let closed = close(joined, &summary.rules).map_err(malformed)?;
    let wanted = Wanted { limit: options.limit, requirements: options.list_requirements };
    let concluded = closed.into_iter().map(|mut segment| {
        let mut exits = segment.take_exits();
        conclude(segment, &mut exits, &summary.rules, wanted, &mut |_| false, |_| None)
    });
    let concluded = concluded.collect::<Result<Vec<_>, _>>();
    let concluded = concluded.map_err(|error| MergeError::State { name, error })?;
    let run = Run {
        seconds: started.elapsed().as_secs_f64(),
        order: "any".into(),
        procedure: "merge".into(),
        threads: rayon::current_num_threads(),
        cpu_seconds: BTreeMap::new(),
        backends: BTreeMap::new(),
        versions: Versions {
            manaflow: options.version.clone(),
            protocol: PROTOCOL_VERSION,
            format: FORMAT_VERSION,
            revm,
        },
        valid_from: None,
        stopped_early: false,
    };
    Ok((report(concluded, &summary.rules, options.limit, run), summary))
}

/// Refuses neighbours with blocks in common, and with blocks missing between them if they are of two summaries.
fn adjoins((a, x): &(String, Segment), (b, y): &(String, Segment), gaps: bool) -> Result<(), MergeError> {
    let (end, next) = (x.result.end, y.result.first);
    let (a, b) = (a.clone(), b.clone());
    if next < end {
        return Err(MergeError::Overlap { a, b, first: next, last: end.min(y.result.end) - 1 });
    }
    if next > end && a != b && !gaps {
        return Err(MergeError::Gap { a, b, first: end, last: next - 1 });
    }
    Ok(())
}

/// The checks that ran over all blocks of a summary.
pub fn checks_of(summary: &Summary) -> Checks {
    summary.segments.iter().fold(Checks::ALL, |checks, s| checks.both(Checks::from_bits(s.checks)))
}

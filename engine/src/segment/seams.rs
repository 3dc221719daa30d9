//! Which segments become one, and when: the one place of that rule.
//!
//! Adjoining pieces of one import are joined as soon as they meet, in validations, merges and checkpoints; the order of
//! joins does not show. What adjoins and has one origin counts as one import. A seam between two imports stays open, in
//! summaries too: what its earlier side leaves hangs on all pieces of its import, on what those assume and on where their
//! generations count from. Seams are closed when a report is made, over all segments that it is about, from the oldest
//! import on. So a summary is the list of its imports' pieces, joined, and a report is a function of that list: neither
//! knows of the tree of merges that led there. A report that covers one import's pieces only in part is judged by what is
//! there, and closes nothing for those that come later.
//!
//! Cost: joining copies a segment about as often as the number of its pieces has digits; closing copies what the oldest
//! imports leave once an import that follows.
//! Source: `PROTOCOL.md` section 11.

use super::Segment;
use crate::double_use::{Exit, Malformed};
use manaflow_loader::rules::ChainRules;

/// Blocks without a gap, of one import or several, their seams closed: what a report is made of. No summary keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Closed(pub(super) Segment);

impl Closed {
    /// The exits, which are concluded beside the rest.
    pub fn take_exits(&mut self) -> std::vec::IntoIter<Exit> {
        std::mem::take(&mut self.0.result.exits).into_iter()
    }
}

/// Joins what adjoins and is of one import. The list ascends; what overlaps or lies apart stays apart.
pub fn join(segments: Vec<Segment>, rules: &ChainRules) -> Result<Vec<Segment>, Malformed> {
    let mut imports: Vec<Vec<Segment>> = Vec::new();
    for segment in segments {
        let continues =
            |last: &Segment| last.result.end == segment.result.first && last.result.origin == segment.result.origin;
        match imports.last_mut() {
            Some(import) if import.last().is_some_and(continues) => import.push(segment),
            _ => imports.push(vec![segment]),
        }
    }
    imports.into_iter().filter_map(|import| join_pairs(import, rules).transpose()).collect()
}

/// Adjoining pieces of one import, neighbours first.
fn join_pairs(mut segments: Vec<Segment>, rules: &ChainRules) -> Result<Option<Segment>, Malformed> {
    while segments.len() > 1 {
        let mut joined = Vec::with_capacity(segments.len().div_ceil(2));
        let mut rest = segments.into_iter();
        while let Some(a) = rest.next() {
            joined.push(match rest.next() {
                Some(b) => a.merge(b, rules)?,
                None => a,
            });
        }
        segments = joined;
    }
    Ok(segments.pop())
}

/// Joins, and closes the seams between imports that adjoin.
pub fn close(segments: Vec<Segment>, rules: &ChainRules) -> Result<Vec<Closed>, Malformed> {
    let mut out: Vec<Segment> = Vec::new();
    for import in join(segments, rules)? {
        match out.pop() {
            Some(last) if last.result.end == import.result.first => out.push(last.merge(import, rules)?),
            last => out.extend(last.into_iter().chain([import])),
        }
    }
    Ok(out.into_iter().map(Closed).collect())
}

//! All faults are counted, piece by piece; the first of them, in the report's order, are kept.

use crate::reason::{Fault, Reason};
use crate::segment::Found;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Faults found so far, from any thread.
#[derive(Debug)]
pub(super) struct Faults {
    limit: usize,
    pieces: Vec<Mutex<Found>>,
    count: AtomicU64,
}

impl Faults {
    pub fn new(limit: usize, pieces: usize) -> Self {
        Self { limit, pieces: (0..pieces).map(|_| Mutex::default()).collect(), count: AtomicU64::new(0) }
    }

    /// Takes faults of a piece in; the list given is left empty.
    pub fn take(&self, piece: usize, found: &mut Vec<Fault>) {
        if found.is_empty() {
            return;
        }
        self.note(found.len());
        let mut kept = self.pieces[piece].lock().expect("nobody panics while holding the list");
        kept.extend(std::mem::take(found));
        // The least of all are among the least of any part, so cutting on the way loses nothing. Codes are told once a
        // segment: which of several pieces tells them shows when the pieces are put together.
        if kept.list.len() / 4 > self.limit.saturating_add(1024) {
            kept.list.sort_unstable();
            let more = kept.list.split_off(self.limit);
            kept.list.extend(more.into_iter().filter(|f| f.reason == Reason::WrongCode));
        }
    }

    /// Counts faults that are judged again when pieces are put together.
    pub fn note(&self, count: usize) {
        self.count.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// What was found in each piece.
    pub fn finish(self) -> Vec<Found> {
        let pieces = self.pieces.into_iter();
        pieces.map(|found| found.into_inner().expect("nobody panics while holding the list")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Check;
    use manaflow_loader::model::Location;

    #[test]
    fn the_first_are_kept_and_all_are_counted() {
        let fault =
            |n: u64, reason| Fault::new(Location::new(n, 0).expect("small"), Check::Hashes, reason, n, "another");
        for (limit, kept) in [(usize::MAX, 9_000), (10, 11)] {
            let faults = Faults::new(limit, 2);
            for n in (1..9_000).rev() {
                faults.take(1, &mut vec![fault(n, Reason::WrongLogs)]);
            }
            faults.take(1, &mut vec![fault(9_000, Reason::WrongCode)]);
            faults.note(5);
            assert_eq!(faults.count(), 9_005);
            let mut found = faults.finish();
            assert_eq!((found[0].total, found[1].total, found[1].last_block), (0, 9_000, Some(9_000)));
            let list = &mut found[1].list;
            list.sort_unstable();
            assert!(list.len() >= kept && (limit != usize::MAX || list.len() == kept));
            assert_eq!(list[9].location.block(), 10);
            assert_eq!(list.last().map(|f| f.reason), Some(Reason::WrongCode));
            assert!(limit == usize::MAX || list.len() < 4_200, "{}", list.len());
        }
    }
}

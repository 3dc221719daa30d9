//! All faults are counted; the first of them, in the report's order, are kept.

use crate::reason::Fault;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Faults found so far, from any thread.
#[derive(Debug)]
pub(super) struct Faults {
    limit: usize,
    inner: Mutex<(u64, Vec<Fault>)>,
    last_block: AtomicU64,
}

impl Faults {
    pub fn new(limit: usize) -> Self {
        Self { limit, inner: Mutex::new((0, Vec::new())), last_block: AtomicU64::new(0) }
    }

    /// Takes faults in; the list given is left empty.
    pub fn take(&self, found: &mut Vec<Fault>) {
        if found.is_empty() {
            return;
        }
        let last = found.iter().map(|f| f.location.block() + 1).max().unwrap_or(0);
        self.last_block.fetch_max(last, Ordering::Relaxed);
        let mut inner = self.inner.lock().expect("nobody panics while holding the list");
        inner.0 += found.len() as u64;
        inner.1.append(found);
        // The least of all are among the least of any part, so cutting on the way loses nothing.
        if inner.1.len() > 4 * self.limit + 4096 {
            inner.1.sort_unstable();
            inner.1.truncate(self.limit);
        }
    }

    pub fn count(&self) -> u64 {
        self.inner.lock().expect("nobody panics while holding the list").0
    }

    /// The last block with a fault.
    pub fn last_block(&self) -> Option<u64> {
        self.last_block.load(Ordering::Relaxed).checked_sub(1)
    }

    /// Number of all, and the first in order.
    pub fn finish(self) -> (u64, Vec<Fault>) {
        let (count, mut list) = self.inner.into_inner().expect("nobody panics while holding the list");
        list.sort_unstable();
        list.truncate(self.limit);
        (count, list)
    }
}

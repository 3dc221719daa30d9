//! The procedures against the definition: every short history of one cell, seeded random histories of many, named attacks.

mod attacks;
mod columns;
mod histories;
pub(crate) mod imports;
mod multisets;
pub(crate) mod random;
mod sizes;
mod sums;

use super::{Hints, Key, NumberedResult, Procedure, Use, Workspace};
pub(crate) use columns::{TestColumns, Uses};

/// Seed of random tests; `MANAFLOW_SEED` repeats one.
pub(crate) fn seed(default: u64) -> u64 {
    std::env::var("MANAFLOW_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(default)
}

/// SplitMix64: small, seeded, the same everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`, which is positive and small.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(crate) fn bytes(&mut self) -> [u8; 16] {
        bytemuck::must_cast([self.next(), self.next()])
    }

    /// True once in `n`.
    pub(crate) fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// Forward, without a look at what a segment may say of versions.
pub(crate) fn judged(columns: &TestColumns) -> NumberedResult {
    super::forward::run(columns, &mut Workspace::default()).expect("well formed")
}

/// Shards where rows come in order, likewise.
fn partitioned(columns: &TestColumns, sizes: super::partition::Sizes, workspace: &mut Workspace) -> NumberedResult {
    super::partition::run(columns, sizes, workspace).expect("well formed")
}

/// Shards where uses come in any order, likewise.
fn sharded(columns: &TestColumns, uses: &[Use], parts: usize) -> NumberedResult {
    super::shards::run(columns, uses, parts, &mut Workspace::default())
}

/// The sum at speed, likewise.
fn at_speed(columns: &TestColumns, hints: &Hints<'_>, key: &Key) -> Option<NumberedResult> {
    super::multiset::run(columns, hints, key, &mut Workspace::default())
}

/// What the plainest of the fast procedures says of a segment.
pub(crate) fn judge_forward(span: (u64, u64, u64), uses: &Uses, random: &mut Random) -> super::SegmentResult {
    let columns = TestColumns::new(span, uses, random);
    judged(&columns).resolve(&columns)
}

/// What all procedures say of a segment; panics if one differs from the definition.
fn judge_all(span: (u64, u64, u64), uses: &Uses, random: &mut Random) -> super::SegmentResult {
    let mut expected = super::model::definition(span, uses, |cell| cell.default_value());
    for (x, at) in std::mem::take(&mut expected.assumed) {
        expected.assume(x, at);
    }
    let columns = TestColumns::new(span, uses, random);
    let forward = judged(&columns);
    assert_eq!(forward.resolve(&columns), expected, "forward: {span:?} {uses:?}");
    assert!(forward.culprits.is_sorted() && forward.requirements.is_sorted(), "numbers: {span:?} {uses:?}");
    assert!(forward.exits.iter().is_sorted_by_key(|e| e.cell), "numbers: {span:?} {uses:?}");
    assert_eq!(forward.exits.count(), expected.exits.len(), "numbers: {span:?} {uses:?}");
    assert_eq!(super::reverse::run(&columns), forward, "reverse: {span:?} {uses:?}");
    let mut arrived = super::shards::uses_of(&columns);
    random.shuffle(&mut arrived);
    let parts = random.below(4);
    assert_eq!(sharded(&columns, &arrived, parts), forward, "shards: {span:?} {uses:?}");
    let (bits, pieces) = (random.below(3) as u32, random.below(4));
    let sizes = super::partition::Sizes { bits, batch: random.below(8), pieces };
    assert_eq!(partitioned(&columns, sizes, &mut super::Workspace::default()), forward, "partition: {span:?} {uses:?}");
    // A file takes longer than all the others together.
    if random.once_in(100) {
        let sizes = (1 + random.below(3), 1 + random.below(4));
        let spilled = super::spill::with(&columns, bits, pieces, sizes, &std::env::temp_dir());
        assert_eq!(spilled.expect("a disk"), forward, "spill: {span:?} {uses:?}");
    }
    let pieces = 1 + random.below(4) as u32;
    assert_eq!(Procedure::Merge(pieces).run(&columns).as_ref(), Ok(&expected), "merge: {span:?} {uses:?}");
    assert_eq!(super::gpu::by_twin(&columns), forward, "the device's twin: {span:?} {uses:?}");
    let summed = super::sum::run(&columns, &super::hints(&columns), &[7; 32]);
    let (must, may) = sums::is_confirmed(&expected, uses);
    assert!(if summed.is_some() { may } else { !must }, "sum: {span:?} {uses:?}");
    assert!(summed.as_ref().is_none_or(|summed| *summed == forward), "sum: {span:?} {uses:?}");
    let summed_at_speed = at_speed(&columns, &super::Hints::of(&columns), &[7; 32]);
    assert!(summed_at_speed.is_none_or(|got| summed.as_ref() == Some(&got)), "multiset: {span:?} {uses:?}");
    expected
}

//! What a sum confirms, what it leaves to others, and that no hint makes it confirm a lie.

use super::random::{BLOCKS, history};
use super::{Random, TestColumns, Uses, judge_all, seed};
use crate::double_use::sum::{Sums, run};
use crate::double_use::{
    Malformed, Procedure, Reverse, SegmentResult, Spill, hints, reverse, shards, shards_of, shards_within, sum, summed,
};
use alloy_primitives::B256;
use manaflow_loader::model::Version;

/// Whether honest hints must confirm a history, and whether any may: it is valid, assumes nothing, and asks for one version
/// a cell of what lies before. A bound above the first block is met by versions that no token names, so it need not be.
pub fn is_confirmed(expected: &SegmentResult, uses: &Uses) -> (bool, bool) {
    let mut of_cells = expected.requirements.chunk_by(|a, b| a.cell == b.cell);
    let may = expected.culprits.is_empty()
        && uses.values().flatten().all(|u| u.intx != Version::Assumed)
        && of_cells.all(|demands| demands.iter().all(|d| (d.intx, d.prev) == (demands[0].intx, demands[0].prev)));
    let is_bound = |v: &Version| matches!(v, Version::Base(f) if *f > expected.first || expected.first == 0);
    (may && !uses.values().flatten().any(|u| is_bound(&u.intx)), may)
}

/// Uses in order of cells, each with its hint.
fn with_hints(columns: &TestColumns, hints: &[u32]) -> Vec<(crate::double_use::Use, u32)> {
    crate::double_use::shards::uses_of(columns).into_iter().zip(hints.iter().copied()).collect()
}

#[test]
fn a_sum_takes_uses_in_any_order() {
    let mut random = Random(seed(21));
    let mut confirmed = 0;
    for round in 0..300 {
        let uses = history(if round % 2 == 0 { 0 } else { 50 }, 2_000, false, &mut random);
        let first = if round % 2 == 0 { 0 } else { 50 };
        let columns = TestColumns::new((first, first + BLOCKS, first), &uses, &mut random);
        let in_order = run(&columns, &hints(&columns), &[1; 32]);
        let mut arrived = with_hints(&columns, &hints(&columns));
        random.shuffle(&mut arrived);
        let key = [round as u8; 32];
        let mut sums = Sums::new(&columns, &key);
        let taken = arrived.iter().try_for_each(|(u, last)| sums.take(u, *last));
        assert_eq!(taken.and_then(|()| sums.finish()), in_order, "round {round}");
        confirmed += usize::from(in_order.is_some());
    }
    assert!(confirmed > 100, "{confirmed}");
}

#[test]
fn no_hint_confirms_a_lie() {
    let mut random = Random(seed(22));
    let (mut lies, mut refused, mut confirmed) = (0, 0, 0);
    for round in 0..1_500 {
        let first = if round % 2 == 0 { 0 } else { 50 };
        let uses = history(first, [40, 100_000][round / 2 % 2], false, &mut random);
        let columns = TestColumns::new((first, first + BLOCKS, first), &uses, &mut random);
        let expected = judge_all((first, first + BLOCKS, first), &uses, &mut random);
        let mut wrong = hints(&columns);
        // Left out, pointed elsewhere, or exchanged.
        for _ in 0..=random.below(3) {
            let (i, j) = (random.below(wrong.len()), random.below(wrong.len()));
            match random.below(3) {
                0 => wrong[i] = u32::MAX,
                1 => wrong[i] = random.below(columns.locations.len()) as u32,
                _ => wrong.swap(i, j),
            }
        }
        let summed = run(&columns, &wrong, &[9; 32]);
        if let Some(result) = &summed {
            assert!(is_confirmed(&expected, &uses).1, "round {round}: {uses:?}");
            assert_eq!(result.resolve(&columns), expected, "round {round}");
            assert_eq!(wrong, hints(&columns), "round {round}: the one chain of uses is in order of location");
            confirmed += 1;
        } else if is_confirmed(&expected, &uses).0 {
            refused += 1;
        }
        lies += usize::from(!expected.culprits.is_empty());
    }
    assert!(lies > 300 && refused > 300 && confirmed > 10, "{lies} {refused} {confirmed}");
}

#[test]
fn a_cell_twice_in_a_row_is_not_summed() {
    let mut random = Random(seed(23));
    let uses = history(50, 100_000, false, &mut random);
    let mut columns = TestColumns::new((50, 50 + BLOCKS, 50), &uses, &mut random);
    assert!(run(&columns, &hints(&columns), &[0; 32]).is_some());
    let row = (0..columns.locations.len()).find(|row| columns.moves[*row].len() > 1).expect("a row of two uses");
    let place = columns.moves[row].start;
    columns.cells[place + 1] = columns.cells[place];
    assert_eq!(run(&columns, &hints(&columns), &[0; 32]), None);
}

#[test]
fn a_sum_needs_one_hint_a_use() {
    let mut random = Random(seed(24));
    let uses = history(50, 100_000, false, &mut random);
    let columns = TestColumns::new((50, 50 + BLOCKS, 50), &uses, &mut random);
    assert!(matches!(sum(&columns, &hints(&columns), &[0; 32]), Ok(Some(_))));
    let error: Malformed = sum(&columns, &hints(&columns)[1..], &[0; 32]).expect_err("one hint short");
    assert_eq!(error.place, "last");
}

#[test]
fn procedures_are_one_interface() {
    let mut random = Random(seed(25));
    for round in 0..100 {
        let mut uses = history(50, 30, true, &mut random);
        for u in uses.values_mut().flatten() {
            if matches!(u.intx, Version::Base(f) if f > 50) {
                u.intx = Version::Base(50);
            }
        }
        let mut columns = TestColumns::new((50, 50 + BLOCKS, 50), &uses, &mut random);
        columns.parent_hash = (round % 2 == 0).then_some(B256::repeat_byte(9));
        let expected = Procedure::Forward.judge(&columns);
        assert!(expected.is_ok(), "{expected:?}");
        let cuts = [0, 1, 7].map(Procedure::Merge);
        for procedure in Procedure::ALL.into_iter().chain(cuts) {
            assert_eq!(procedure.judge(&columns), expected, "{}", procedure.name());
        }
    }
    assert_eq!(Procedure::ALL.map(Procedure::name), ["forward", "reverse", "shards", "merge", "sum"]);
    let mut malformed = TestColumns::new((50, 50 + BLOCKS, 50), &history(50, 30, true, &mut random), &mut random);
    malformed.foreign.push(Version::Base(51));
    for procedure in Procedure::ALL {
        assert!(procedure.judge(&malformed).is_err(), "{}", procedure.name());
    }
    assert!(reverse(&malformed).is_err() && Reverse::new(&malformed).is_err() && shards(&malformed).is_err());
    assert!(shards_of(&malformed, &[]).is_err() && summed(&malformed, None).is_err());
    let spill = Spill { folder: &std::env::temp_dir(), memory: 0 };
    assert!(shards_within(&malformed, spill).is_err());
    assert!(sum(&malformed, &hints(&malformed), &[0; 32]).is_err());
}

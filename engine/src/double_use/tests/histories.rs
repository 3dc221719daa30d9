//! Every history of one cell over three locations, in one file and in two, and every cut in two and three.
//!
//! The counts are those of the same test over the same definition in another language: 21,582 histories, 215,820 cuts,
//! 526 valid.

use super::{Random, Uses, judge_all};
use crate::double_use::model::CellUse;
use crate::double_use::{Reverse, SegmentResult, merge};
use alloy_primitives::{Address, B256, U256};
use manaflow_loader::model::{Cell, Location, Value, Version};

const LOCATIONS: u64 = 3;
/// Block of the first location in a history that is not from genesis.
const MID_CHAIN: u64 = 100;

fn at(block: u64) -> Location {
    Location::new(block, 0).expect("small")
}

fn word(n: u64) -> Value {
    Value::Word(U256::from(n))
}

/// No use, a read or a write, of any version below, itself, virgin or base, either value.
fn uses_at(k: u64, first: u64, base: u64) -> Vec<Option<CellUse<Value>>> {
    let mut out = vec![None];
    for write in [false, true] {
        let explicit = (0..=k).map(|v| Version::At(at(first + v)));
        for intx in [Version::Virgin, Version::Base(base)].into_iter().chain(explicit) {
            for prev in [0, 1] {
                let next = if write { 1 - prev } else { prev };
                let location = at(first + k);
                out.push(Some(CellUse { location, write, intx, prev: word(prev), next: word(next) }));
            }
        }
    }
    out
}

fn piece(all: &[CellUse<Value>], (from, to): (u64, u64), first: u64, random: &mut Random) -> SegmentResult {
    let inside = all.iter().filter(|u| (from..to).contains(&u.location.block())).cloned().collect();
    let cell = Cell::storage(Address::ZERO, 0, U256::ZERO);
    judge_all((from, to, first), &Uses::from([(cell, inside)]), random)
}

/// All cuts of one history.
fn cut(all: &[CellUse<Value>], first: u64, random: &mut Random) -> (bool, u64) {
    let end = first + LOCATIONS;
    let same_origin = |mut r: SegmentResult| {
        r.origin = first;
        r
    };
    let whole = piece(all, (first, end), first, random);
    let mut cuts = 0;
    for i in first..=end {
        let (a, rest) = (piece(all, (first, i), first, random), piece(all, (i, end), first, random));
        assert_eq!(same_origin(merge(&a, &rest).expect("adjacent")), whole, "cut at {i}: {all:?}");
        for j in i..=end {
            let (b, c) = (piece(all, (i, j), first, random), piece(all, (j, end), first, random));
            let left = merge(&merge(&a, &b).expect("adjacent"), &c).expect("adjacent");
            let right = merge(&a, &merge(&b, &c).expect("adjacent")).expect("adjacent");
            assert_eq!(left, whole, "cuts at {i}, {j}, left first: {all:?}");
            assert_eq!(right, whole, "cuts at {i}, {j}, right first: {all:?}");
            if [&a, &b, &c].iter().any(|p| !p.contradictions().is_empty()) {
                assert!(!whole.is_valid(), "a contradiction in a piece of a valid history: {all:?}");
            }
            cuts += 1;
        }
    }
    (whole.is_valid(), cuts)
}

#[test]
fn every_short_history_and_every_cut() {
    let mut random = Random(1);
    let (mut histories, mut cuts, mut valid) = (0, 0, 0);
    for first in [0, MID_CHAIN] {
        for split in 0..LOCATIONS {
            let base = |k| if k >= split { first + split } else { first };
            let options: Vec<_> = (0..LOCATIONS).map(|k| uses_at(k, first, base(k))).collect();
            for x in &options[0] {
                for y in &options[1] {
                    for z in &options[2] {
                        let uses: Vec<_> = [x, y, z].into_iter().flatten().cloned().collect();
                        if uses.iter().any(|u| u.intx == Version::Base(0)) {
                            continue;
                        }
                        let (is_valid, n) = cut(&uses, first, &mut random);
                        (histories, cuts, valid) = (histories + 1, cuts + n, valid + u64::from(is_valid));
                    }
                }
            }
        }
    }
    assert_eq!((histories, cuts, valid), (21_582, 215_820, 526));
}

#[test]
fn reverse_tells_each_suffix() {
    let mut random = Random(2);
    let options: Vec<_> = (0..LOCATIONS).map(|k| uses_at(k, MID_CHAIN, MID_CHAIN)).collect();
    for _ in 0..2_000 {
        let uses: Vec<_> = options.iter().filter_map(|o| o[random.below(o.len())].clone()).collect();
        let cell = Cell::storage(Address::ZERO, 0, U256::ZERO);
        let span = (MID_CHAIN, MID_CHAIN + LOCATIONS, MID_CHAIN);
        let columns = super::TestColumns::new(span, &Uses::from([(cell, uses.clone())]), &mut random);
        let mut reverse = Reverse::unchecked(&columns);
        while let Some(block) = reverse.take_block() {
            let got = reverse.result().resolve(&columns);
            let mut expected = piece(&uses, (got.first, span.1), MID_CHAIN, &mut random);
            expected.origin = MID_CHAIN;
            assert_eq!(got, expected, "from block {block}: {uses:?}");
            let waits = !got.requirements.is_empty()
                || got.culprits.iter().any(|c| c.window == crate::double_use::Window::Entry);
            assert_eq!(reverse.waiting(), usize::from(waits), "from block {block}: {uses:?}");
        }
    }
}

/// What is told while the blocks are taken: wrong uses one by one, and the parent hash only by who has the first header.
#[test]
fn reverse_counts_wrong_uses_and_keeps_the_parent_hash_to_the_first_block() {
    let read = |k, intx, prev| {
        let (location, prev) = (at(MID_CHAIN + k), word(prev));
        CellUse { location, write: false, intx, prev, next: prev }
    };
    let itself = |k| Version::At(at(MID_CHAIN + k));
    let uses = vec![read(0, Version::Base(MID_CHAIN), 1), read(1, itself(1), 0), read(2, itself(2), 0)];
    let cell = Cell::storage(Address::ZERO, 0, U256::ZERO);
    let span = (MID_CHAIN, MID_CHAIN + LOCATIONS, MID_CHAIN);
    let mut columns = super::TestColumns::new(span, &Uses::from([(cell, uses)]), &mut Random(1));
    columns.parent_hash = Some(B256::repeat_byte(1));
    let mut reverse = Reverse::new(&columns).expect("well formed");
    let mut told = vec![(reverse.result().first, reverse.wrong_uses(), reverse.result().parent_hash)];
    while let Some(block) = reverse.take_block() {
        let result = reverse.result();
        assert_eq!(result.first, block);
        told.push((block, reverse.wrong_uses(), result.parent_hash));
    }
    let (first, parent_hash) = (MID_CHAIN, columns.parent_hash);
    assert_eq!(told, [(first + 3, 0, None), (first + 2, 1, None), (first + 1, 2, None), (first, 2, parent_hash)]);
}

//! Attacks by name. Each is valid to a weaker rule.

use super::{Random, TestColumns, Uses, judge_all};
use crate::double_use::model::CellUse;
use crate::double_use::{
    Culprit, Reason, SegmentResult, Use, file_digest, forward, merge, reverse, shards, shards_of, summed,
};
use alloy_primitives::{Address, B256, U256};
use manaflow_loader::model::{Cell, Location, Value, Version};

fn cell() -> Cell {
    Cell::storage(Address::repeat_byte(1), 0, U256::from(5))
}

fn at(block: u64, index: u64) -> Location {
    Location::new(block, index).expect("small")
}

fn word(n: u64) -> Value {
    Value::Word(U256::from(n))
}

fn read(location: Location, intx: Version, value: u64) -> CellUse<Value> {
    CellUse { location, write: false, intx, prev: word(value), next: word(value) }
}

fn write(location: Location, intx: Version, prev: u64, next: u64) -> CellUse<Value> {
    CellUse { location, write: true, intx, prev: word(prev), next: word(next) }
}

fn judge((first, end): (u64, u64), uses: Vec<CellUse<Value>>) -> SegmentResult {
    import((first, end, first), uses)
}

fn import(span: (u64, u64, u64), uses: Vec<CellUse<Value>>) -> SegmentResult {
    judge_all(span, &Uses::from([(cell(), uses)]), &mut Random(1))
}

fn reasons(culprits: &[Culprit]) -> Vec<(Reason, Location)> {
    culprits.iter().map(|c| (c.reason, c.location)).collect()
}

#[test]
fn a_second_claim_that_a_cell_is_virgin() {
    let uses = vec![write(at(0, 0), Version::Virgin, 0, 1), write(at(1, 1), Version::Virgin, 0, 9)];
    let s = judge((0, 2), uses.clone());
    assert_eq!(reasons(&s.culprits), [(Reason::DoubleUse, at(1, 1))]);
    assert_eq!(s.culprits[0].expected, Some((Version::At(at(0, 0)), word(1))));
    let (a, b) = (judge((0, 1), uses[..1].to_vec()), import((1, 2, 0), uses[1..].to_vec()));
    assert_eq!(merge(&a, &b), Ok(s));
}

#[test]
fn money_from_nothing() {
    let genesis = judge((0, 3), vec![]);
    let claims = [(Version::Base(3), 7, Reason::WrongBefore), (Version::At(at(1, 1)), 7, Reason::StaleRead)];
    for (intx, value, reason) in claims {
        let b = judge((3, 4), vec![read(at(3, 1), intx, value)]);
        assert_eq!(b.requirements.len(), 1);
        let merged = merge(&genesis, &b).expect("adjacent");
        assert_eq!(reasons(&merged.culprits), [(reason, at(3, 1))]);
        assert_eq!(merged.culprits[0].expected, Some((Version::Virgin, word(0))));
        assert!(merged.requirements.is_empty());
    }
    let honest = judge((3, 4), vec![read(at(3, 1), Version::Base(3), 0)]);
    assert!(merge(&genesis, &honest).expect("adjacent").is_valid());
}

#[test]
fn base_keeps_its_bound_when_a_file_is_cut() {
    // The file begins at 10: base(10). Its own write at 10:1 is not below, though it is below the cut at 11.
    let a = judge((10, 11), vec![write(at(10, 1), Version::Base(10), 0, 1)]);
    let b =
        judge_all((11, 12, 10), &Uses::from([(cell(), vec![read(at(11, 1), Version::Base(10), 1)])]), &mut Random(1));
    let merged = merge(&a, &b).expect("adjacent");
    assert_eq!(reasons(&merged.culprits), [(Reason::StaleRead, at(11, 1))]);
    let of_other_file = judge((11, 12), vec![read(at(11, 1), Version::Base(11), 1)]);
    assert!(merge(&a, &of_other_file).expect("adjacent").is_valid());
}

#[test]
fn a_version_used_twice() {
    let first = at(0, 0);
    let s = judge(
        (0, 2),
        vec![
            write(first, Version::Virgin, 0, 5),
            write(at(0, 1), Version::At(first), 5, 4),
            write(at(0, 2), Version::At(first), 5, 3),
            read(at(1, 1), Version::At(first), 5),
            read(at(1, 2), Version::At(first), 5),
        ],
    );
    assert_eq!(reasons(&s.culprits), [(Reason::DoubleUse, at(0, 2)), (Reason::StaleRead, at(1, 1))]);
    assert!(!s.is_valid());
}

#[test]
fn reads_after_the_fact() {
    let (first, second) = (at(0, 0), at(0, 1));
    let s = judge(
        (0, 2),
        vec![
            write(first, Version::Virgin, 0, 5),
            write(second, Version::At(first), 5, 4),
            read(at(1, 1), Version::At(at(1, 1)), 4),
            read(at(1, 2), Version::At(at(7, 0)), 4),
            read(at(1, 3), Version::At(second), 5),
            read(at(1, 4), Version::Virgin, 4),
        ],
    );
    let expected = [
        (Reason::VersionNotBefore, at(1, 1)),
        (Reason::VersionNotBefore, at(1, 2)),
        (Reason::WrongBefore, at(1, 3)),
        (Reason::VirginNotDefault, at(1, 4)),
    ];
    assert_eq!(reasons(&s.culprits), expected);
}

#[test]
fn demands_no_version_can_meet_together() {
    let base = |f, value, index| read(at(10, index), Version::Base(f), value);
    let explicit = |block, value, index| read(at(10, index), Version::At(at(block, 0)), value);
    let cases = [
        (vec![base(10, 1, 1), base(10, 2, 2)], Some(at(10, 2))),
        (vec![explicit(4, 1, 1), explicit(5, 1, 2)], Some(at(10, 2))),
        (vec![explicit(9, 1, 1), base(9, 1, 2)], Some(at(10, 2))),
        (vec![base(9, 1, 1), explicit(9, 1, 2)], Some(at(10, 2))),
        (vec![base(9, 1, 1), base(10, 1, 2), explicit(9, 1, 3)], Some(at(10, 3))),
        (vec![read(at(10, 1), Version::Virgin, 0), explicit(4, 0, 2)], Some(at(10, 2))),
        (vec![explicit(8, 1, 1), base(9, 1, 2), base(10, 1, 3)], None),
        (vec![read(at(10, 1), Version::Virgin, 0), base(9, 0, 2)], None),
    ];
    for (uses, expected) in cases {
        let s = judge((10, 11), uses.clone());
        assert!(s.culprits.is_empty(), "{uses:?}");
        let found = s.contradictions();
        assert_eq!(reasons(&found), Vec::from_iter(expected.map(|l| (Reason::Contradiction, l))), "{uses:?}");
        assert_eq!(s.is_valid(), expected.is_none());
        // A merge that closes the entry names culprits instead.
        let before = judge((8, 10), vec![write(at(8, 0), Version::Base(8), 0, 1)]);
        let merged = merge(&before, &s).expect("adjacent");
        assert!(merged.contradictions().is_empty());
        assert!(expected.is_none() || !merged.culprits.is_empty(), "{uses:?}");
    }
}

/// A contradiction names the version and the value that the demands before it agree on: the version itself, if one names it.
#[test]
fn contradictions_say_what_was_agreed_on() {
    let expected = |first: Version, second: Version| {
        let s = judge((10, 11), vec![read(at(10, 1), first, 1), read(at(10, 2), second, 2)]);
        s.contradictions()[0].expected
    };
    let explicit = Version::At(at(4, 0));
    assert_eq!(expected(Version::Base(10), explicit), Some((Version::Base(10), word(1))));
    assert_eq!(expected(explicit, Version::Base(10)), Some((explicit, word(1))));
    let three = vec![read(at(10, 1), explicit, 1), read(at(10, 2), Version::Base(10), 1), read(at(10, 3), explicit, 2)];
    assert_eq!(judge((10, 11), three).contradictions()[0].expected, Some((explicit, word(1))));
}

#[test]
fn reasons_have_their_names() {
    let names =
        ["version-not-before", "virgin-not-default", "double-use", "stale-read", "wrong-before", "contradiction"];
    assert_eq!(Reason::ALL.map(Reason::name), names);
}

/// Numbers of cells need not ascend as cells do: results are sorted by cells.
#[test]
fn results_are_sorted_by_cells() {
    let cells = [cell(), Cell { slot: U256::from(6), ..cell() }];
    let of = |index| {
        let stale = read(at(10, index + 4), Version::Virgin, 0);
        vec![write(at(10, index), Version::Base(10), 1, 2), stale]
    };
    let uses = Uses::from([(cells[0], of(1)), (cells[1], of(2))]);
    let mut columns = TestColumns::new((10, 11, 10), &uses, &mut Random(1));
    let expected = forward(&columns).expect("well formed").resolve(&columns);
    assert_eq!([expected.culprits.len(), expected.requirements.len(), expected.exits.len()], [2; 3]);
    columns.table.swap(0, 1);
    columns.cells.iter_mut().for_each(|cell| *cell = 1 - *cell);
    assert_eq!(forward(&columns).expect("well formed").resolve(&columns), expected);
}

/// Virgin need not be the first of the foreign versions.
#[test]
fn foreign_versions_come_in_any_order() {
    // No row of the segment is at 0:5, so that it never was live.
    let uses = vec![read(at(1, 1), Version::Virgin, 0), read(at(1, 2), Version::At(at(0, 5)), 0)];
    let expected = judge((0, 2), uses.clone());
    assert_eq!(reasons(&expected.culprits), [(Reason::StaleRead, at(1, 2))]);
    let mut columns = TestColumns::new((0, 2, 0), &Uses::from([(cell(), uses)]), &mut Random(1));
    columns.values.truncate(1);
    columns.prev.fill(0);
    columns.next.fill(0);
    columns.foreign.swap(0, 1);
    columns.intx.iter_mut().for_each(|code| *code = 1 - *code);
    assert_eq!(forward(&columns).expect("well formed").resolve(&columns), expected);
    assert_eq!(shards(&columns).expect("well formed").resolve(&columns), expected);
}

#[test]
fn the_parent_hash_counts_for_contradiction_only() {
    let cell = Cell::block_hash(9);
    let hash = B256::repeat_byte(3);
    let said = |hash: B256| {
        let value = Value::Word(hash.into());
        let u = CellUse { location: at(10, 1), write: false, intx: Version::Base(10), prev: value, next: value };
        let mut columns = TestColumns::new((10, 11, 10), &Uses::from([(cell, vec![u])]), &mut Random(1));
        columns.parent_hash = Some(B256::repeat_byte(3));
        forward(&columns).expect("well formed").resolve(&columns)
    };
    assert!(said(hash).is_valid());
    // It is said of one cell.
    let elsewhere = judge((10, 11), vec![read(at(10, 1), Version::Base(10), 7)]);
    assert!(SegmentResult { parent_hash: Some(hash), ..elsewhere }.is_valid());
    let lie = said(B256::repeat_byte(4));
    assert_eq!(reasons(&lie.contradictions()), [(Reason::Contradiction, at(10, 1))]);
    assert_eq!(lie.requirements.len(), 1, "it is no requirement");
    // A merge with what wrote the cell judges the move, and forgets the header's word: linking parents is B's.
    let value = Value::Word(B256::repeat_byte(4).into());
    let none = Value::Word(U256::ZERO);
    let u = CellUse { location: at(9, 1), write: true, intx: Version::Virgin, prev: none, next: value };
    let before = judge_all((9, 10, 9), &Uses::from([(cell, vec![u])]), &mut Random(1));
    assert!(merge(&before, &lie).expect("adjacent").is_valid());
}

#[test]
fn assumed_stays_counted_and_hides_its_exit() {
    let first = write(at(10, 9), Version::Assumed, 0, 1);
    let a = judge((10, 11), vec![first]);
    assert!(a.is_valid() && a.requirements.is_empty());
    assert_eq!((a.assumed_count(), a.is_known(&a.exits[0])), (1, false));
    assert_eq!(a.digest(), judge((10, 11), vec![]).digest());
    // Another import knows better; it is not wrong, it is unproven.
    let b = judge((11, 12), vec![write(at(11, 1), Version::Base(11), 105, 106)]);
    let merged = merge(&a, &b).expect("adjacent");
    assert!(merged.is_valid());
    assert_eq!(merged.assumed_count(), 2);
    assert!(merged.is_known(&merged.exits[0]));
    let from_genesis =
        merge(&judge((0, 10), vec![write(at(0, 0), Version::Virgin, 0, 100)]), &merged).expect("adjacent");
    assert!(from_genesis.is_valid());
    assert_eq!(from_genesis.assumed_count(), 2, "conditional for ever");
    // Its own import is held to what it declared.
    let c = judge_all(
        (11, 12, 10),
        &Uses::from([(cell(), vec![read(at(11, 1), Version::At(at(10, 9)), 105)])]),
        &mut Random(1),
    );
    assert_eq!(reasons(&merge(&a, &c).expect("adjacent").culprits), [(Reason::WrongBefore, at(11, 1))]);
    // An assumption is of the default, or wrong.
    let s = judge((10, 11), vec![write(at(10, 9), Version::Assumed, 3, 4)]);
    assert_eq!(reasons(&s.culprits), [(Reason::VirginNotDefault, at(10, 9))]);
}

#[test]
fn an_assumed_account_hides_its_storage() {
    let account = Cell::account(cell().addr);
    let absent = account.default_value();
    let assumed = CellUse { location: at(10, 0), write: false, intx: Version::Assumed, prev: absent, next: absent };
    let stored = write(at(10, 0), Version::Base(10), 0, 5);
    let uses = Uses::from([(account, vec![assumed.clone()]), (cell(), vec![stored])]);
    let s = judge_all((10, 11, 10), &uses, &mut Random(1));
    assert!(s.is_valid());
    assert!(!s.is_known(s.exit(&cell()).expect("written")));
    // A block's hash has no account, though its cell has the address of one.
    let (nobody, hash) = (Cell::account(Address::ZERO), Cell::block_hash(10));
    let of_hash = write(at(10, 2), Version::Virgin, 0, 5);
    let s = judge_all((10, 11, 10), &Uses::from([(nobody, vec![assumed]), (hash, vec![of_hash])]), &mut Random(1));
    assert!(s.is_known(s.exit(&hash).expect("written")));
}

#[test]
fn what_no_segment_may_say_is_malformed() {
    let columns = |span, uses| TestColumns::new(span, &Uses::from([(cell(), uses)]), &mut Random(1));
    let error = |c: &TestColumns| forward(c).expect_err("malformed").to_string();
    assert!(error(&columns((0, 2, 0), vec![read(at(1, 1), Version::Base(1), 0)])).contains("from genesis"));
    assert!(error(&columns((0, 2, 0), vec![read(at(1, 1), Version::Assumed, 0)])).contains("from genesis"));
    assert!(error(&columns((5, 9, 5), vec![read(at(7, 1), Version::Base(6), 0)])).contains("begins at 5"));
    let good = || columns((5, 9, 5), vec![read(at(7, 1), Version::Base(5), 0), read(at(7, 2), Version::Base(5), 0)]);
    assert!(forward(&good()).is_ok());
    type Break = fn(&mut TestColumns);
    let broken: [(Break, &str); 16] = [
        (|c| c.cells[1] = 1, "cells, row 1: 1, expected below 1"),
        (|c| c.intx[1] = 3, "intx, row 1: 3, expected below 3"),
        (|c| _ = c.intx.pop(), "intx: 1 rows"),
        (|c| _ = c.prev.pop(), "prev: 1 rows"),
        (|c| _ = c.next.pop(), "next: 1 rows"),
        (|c| c.locations[0] = at(4, 9), "location of row 0"),
        (|c| c.locations[1] = at(7, 1), "location of row 1"),
        (|c| c.locations[1] = at(9, 1), "location of row 1"),
        (|c| c.moves[0] = 1..1, "moves of row 0"),
        (|c| c.moves[1] = 0..2, "moves of row 1"),
        #[allow(clippy::reversed_empty_ranges)] // the range under test
        (|c| c.moves[1] = 1..0, "moves of row 1: uses 1..0"),
        (|c| c.moves[1] = 1..3, "moves of row 1: uses 1..3"),
        (|c| c.moves[1] = 1..1, "moves of rows: 1 uses in rows, expected 2"),
        (|c| c.foreign.push(Version::At(at(7, 2))), "foreign version 1: 7:2 is a row"),
        (|c| c.foreign.extend([Version::Virgin, Version::Base(5)]), "foreign version 2: Base(5) is listed twice"),
        (|c| c.rows_claimed = Some(u32::MAX - 1), "rows: 4294967295 versions, expected fewer than 4294967295"),
    ];
    for (breaks, expected) in broken {
        let mut c = good();
        breaks(&mut c);
        assert!(error(&c).starts_with(expected), "{}", error(&c));
        // Some look at numbers on their way, and all find the same.
        for judged in [shards(&c), reverse(&c), summed(&c, None).map(|_| forward(&good()).expect("well formed"))] {
            assert_eq!(judged.expect_err("malformed").to_string(), error(&c));
        }
    }
    // A row may have no uses, and a segment no blocks with rows.
    let mut idle = good();
    idle.locations.push(at(8, 1));
    idle.moves.push(2..2);
    assert!(forward(&idle).is_ok());
    assert!(forward(&columns((5, 9, 5), vec![])).is_ok());
    // Nor do versions in the list that no use says.
    let mut unused = good();
    unused.foreign.push(Version::Base(6));
    assert!(forward(&unused).is_ok());
    unused.intx[1] = 1;
    assert!(error(&unused).contains("begins at 5"));
    type Lie = fn(&mut Use);
    let lies: [Lie; 3] = [|u| u.row = 2, |u| u.cell = 1, |u| u.intx = 3];
    for (i, lie) in lies.into_iter().enumerate() {
        let mut uses = crate::double_use::shards::uses_of(&good());
        lie(&mut uses[i % 2]);
        let error = shards_of(&good(), &uses).expect_err("malformed").to_string();
        assert!(error.starts_with(&format!("use {}: ", i % 2)), "{error}");
    }
    // The last code there is: a row, though no version for a use in it.
    let mut uses = crate::double_use::shards::uses_of(&good());
    uses[1].intx = 2;
    assert!(shards_of(&good(), &uses).is_ok());
}

#[test]
fn segments_merge_only_with_their_neighbours() {
    let error = merge(&judge((0, 3), vec![]), &judge((4, 5), vec![])).expect_err("a gap").to_string();
    assert!(error.contains("expected 3"), "{error}");
}

#[test]
fn a_file_digest_tells_its_segments_apart() {
    let (x, y) = (B256::repeat_byte(1), B256::repeat_byte(2));
    let digest = file_digest([(0, 3, x), (4, 5, y)]);
    assert_ne!(digest, file_digest([(4, 5, y), (0, 3, x)]));
    assert_ne!(digest, file_digest([(0, 3, x)]));
    for other in [(1, 3, x), (0, 4, x), (0, 3, y)] {
        assert_ne!(file_digest([(0, 3, x)]), file_digest([other]));
    }
}

//! Several imports in one chain: generations that count from different origins, and what one of them assumes.

use super::random::{account, merge_at_random};
use super::{Random, Uses, judge_all, seed};
use crate::double_use::model::CellUse;
use crate::double_use::{Assumption, Reason, SegmentResult, merge};
use alloy_primitives::{Address, B256, U256};
use manaflow_loader::model::{AccountValue, Cell, Location, Mark, Value, Version};
use std::collections::BTreeMap;
use std::ops::Range;

pub const ADDRESSES: u8 = 3;
const BLOCKS: u64 = 8;
const INDICES: u64 = 3;

fn at(block: u64, index: u64) -> Location {
    Location::new(block, index).expect("small")
}

fn word(n: u64) -> Value {
    Value::Word(U256::from(n))
}

/// A move in absolute generations: (location, cell, prev, next).
pub type Step = (Location, Cell, Value, Value);

fn generation_of(value: &Value) -> u32 {
    match value {
        Value::Account(a) => a.generation,
        Value::Word(_) => 0,
    }
}

/// A valid chain of these blocks: accounts die and return, storage goes with them. Its first opening reads every account,
/// or, in block 0, makes some.
pub fn chain(blocks: Range<u64>, random: &mut Random) -> Vec<Step> {
    let mut state: BTreeMap<Cell, Value> = BTreeMap::new();
    let mut steps = Vec::new();
    for n in 0..ADDRESSES {
        let cell = Cell::account(Address::repeat_byte(n));
        let (prev, next) = match blocks.start {
            0 if random.once_in(3) => {
                state.insert(cell, cell.default_value());
                continue;
            }
            0 => (cell.default_value(), account(1, 0)),
            _ => [account(1, random.below(3) as u32); 2].into(),
        };
        state.insert(cell, next);
        steps.push((at(blocks.start, 0), cell, prev, next));
    }
    for place in 1..(blocks.end - blocks.start) * INDICES {
        let location = at(blocks.start + place / INDICES, place % INDICES);
        for n in 0..ADDRESSES {
            if random.below(3) != 0 {
                continue;
            }
            let address = Address::repeat_byte(n);
            let cell = Cell::account(address);
            let Value::Account(before) = state[&cell] else { unreachable!("accounts hold accounts") };
            let after = match (before.present, random.below(4)) {
                (true, 0) => Value::Account(AccountValue::absent(before.generation + 1)),
                (true, 1) => state[&cell],
                _ => account(before.nonce + 1, before.generation),
            };
            steps.push((location, cell, state[&cell], after));
            state.insert(cell, after);
            if before.present && generation_of(&after) == before.generation {
                let slot = Cell::storage(address, before.generation, U256::from(random.below(2)));
                let prev = state.get(&slot).copied().unwrap_or(word(0));
                let next = word(random.below(3) as u64);
                steps.push((location, slot, prev, next));
                state.insert(slot, next);
            }
        }
    }
    steps
}

/// What an import with this origin says of blocks from..to: versions and generations as far as it can know them. Of some
/// addresses it knows nothing before its first use of them: that use assumes.
pub fn import(steps: &[Step], (from, to, origin): (u64, u64, u64), unknown: &[Address]) -> Uses {
    let mut deaths: BTreeMap<Address, u32> = BTreeMap::new();
    for (_, cell, _, next) in steps.iter().filter(|s| s.0.block() < origin && s.1.mark == Mark::Account) {
        deaths.insert(cell.addr, generation_of(next));
    }
    for (_, cell, prev, _) in steps.iter().filter(|s| s.1.mark == Mark::Account) {
        deaths.entry(cell.addr).or_insert(generation_of(prev));
    }
    let relative = |cell: &Cell, value: Value| match value {
        Value::Account(mut a) => {
            a.generation -= deaths[&cell.addr];
            Value::Account(a)
        }
        word => word,
    };
    let mut live: BTreeMap<Cell, Version> = BTreeMap::new();
    let mut uses = Uses::new();
    for &(location, cell, prev, next) in steps.iter().filter(|s| (origin..to).contains(&s.0.block())) {
        let mut named = cell;
        if cell.mark == Mark::Storage {
            named.generation -= deaths[&cell.addr];
        }
        let is_virgin = origin == 0 || (cell.mark == Mark::Storage && named.generation > 0);
        let is_assumed = cell.mark == Mark::Account && !live.contains_key(&cell) && unknown.contains(&cell.addr);
        let first = match is_assumed {
            true => Version::Assumed,
            false if is_virgin => Version::Virgin,
            false => Version::Base(origin),
        };
        let intx = *live.entry(cell).or_insert(first);
        let (prev, next) = (relative(&cell, prev), relative(&cell, next));
        let prev = if is_assumed { cell.default_value() } else { prev };
        let write = prev != next;
        if location.block() >= from {
            uses.entry(named).or_default().push(CellUse { location, write, intx, prev, next });
        }
        if write {
            live.insert(cell, Version::At(location));
        }
    }
    uses
}

/// Pieces of imports: (from, to, origin), adjacent.
fn pieces(steps: &[Step], spans: &[(u64, u64, u64)], random: &mut Random) -> Vec<SegmentResult> {
    spans.iter().map(|span| judge_all(*span, &import(steps, *span, &[]), random)).collect()
}

/// Exits by value: origins differ between imports of the same chain.
fn exits(s: &SegmentResult) -> Vec<(Cell, Location, Value)> {
    s.exits.iter().map(|e| (e.cell, e.version, e.value)).collect()
}

#[test]
fn generations_of_different_origins_meet() {
    let mut random = Random(seed(7));
    let mut deaths_in_two = 0;
    for round in 0..600 {
        let steps = chain(50..50 + BLOCKS, &mut random);
        let end = 50 + BLOCKS;
        let whole = judge_all((50, end, 50), &import(&steps, (50, end, 50), &[]), &mut random);
        assert!(whole.is_valid(), "round {round}");
        // A foreign import in the middle, then the first one again or a third; its origin may lie before its first block.
        let (i, j) = (51 + random.below(3) as u64, 55 + random.below(3) as u64);
        let middle = i - random.below(2) as u64;
        let last = [50, j, j - 1][random.below(3)];
        let spans = [(50, i, 50), (i, j, middle), (j, end, last)];
        let parts = pieces(&steps, &spans, &mut random);
        let died = |p: &SegmentResult| {
            let demanded = |cell| p.requirements.iter().find(|d| d.cell == cell).map(|d| generation_of(&d.prev));
            p.exits.iter().filter(|e| demanded(e.cell).is_some_and(|g| g < generation_of(&e.value))).count()
        };
        deaths_in_two += usize::from(parts.iter().filter(|p| died(p) > 0).count() >= 2);
        let [a, b, c] = &parts[..] else { unreachable!("three spans") };
        let left = merge(&merge(a, b).expect("adjacent"), c).expect("adjacent");
        let right = merge(a, &merge(b, c).expect("adjacent")).expect("adjacent");
        assert_eq!(left, right, "round {round}: {spans:?}");
        assert_eq!((left.culprits.len(), left.contradictions().len()), (0, 0), "round {round}: {spans:?} {left:?}");
        assert_eq!(exits(&left), exits(&whole), "round {round}: {spans:?}");
        assert_eq!(left.digest(), whole.digest());
        assert!(left.exits.iter().all(|e| e.counts_from == 50), "block 50 reads all accounts");
    }
    assert!(deaths_in_two > 100, "{deaths_in_two}");
}

#[test]
fn an_address_that_one_side_does_not_know_keeps_its_origin() {
    let (address, slot) = (Address::repeat_byte(7), U256::from(1));
    let account_cell = Cell::account(address);
    let dies = |block, version, from: u32| {
        let prev = account(1, from);
        let next = Value::Account(AccountValue::absent(from + 1));
        (account_cell, vec![CellUse { location: at(block, 1), write: true, intx: version, prev, next }])
    };
    let mut random = Random(8);
    let x = judge_all((50, 51, 50), &Uses::from([dies(50, Version::Base(50), 0)]), &mut random);
    let y = judge_all((51, 52, 51), &Uses::new(), &mut random);
    let back = CellUse {
        location: at(52, 1),
        write: true,
        intx: Version::Base(52),
        prev: Value::Account(AccountValue::ABSENT),
        next: account(1, 0),
    };
    let write = CellUse { location: at(52, 1), write: true, intx: Version::Base(52), prev: word(0), next: word(9) };
    let uses = Uses::from([(account_cell, vec![back]), (Cell::storage(address, 0, slot), vec![write])]);
    let z = judge_all((52, 53, 52), &uses, &mut random);
    let yz = merge(&y, &z).expect("adjacent");
    assert_eq!((yz.origin, yz.exits[0].counts_from), (51, 52));
    let left = merge(&merge(&x, &y).expect("adjacent"), &z).expect("adjacent");
    assert_eq!(left, merge(&x, &yz).expect("adjacent"));
    assert!(left.is_valid());
    assert_eq!((left.origin, left.exits[0].counts_from), (50, 50));
    assert_eq!(left.exits[0].value, account(1, 1));
    assert_eq!(left.exits[1].cell, Cell::storage(address, 1, slot));
}

#[test]
fn fewer_deaths_than_the_later_import_saw_is_wrong_before() {
    let cell = Cell::account(Address::repeat_byte(7));
    let mut random = Random(9);
    let write =
        CellUse { location: at(50, 1), write: true, intx: Version::Base(50), prev: account(1, 0), next: account(2, 0) };
    let a = judge_all((50, 51, 50), &Uses::from([(cell, vec![write])]), &mut random);
    // Cut from an import that began at 40 and saw one death since; from 51 it can be no fewer.
    let read = CellUse {
        location: at(51, 1),
        write: false,
        intx: Version::At(at(50, 1)),
        prev: account(2, 1),
        next: account(2, 1),
    };
    let b = judge_all((51, 52, 51), &Uses::from([(cell, vec![read])]), &mut random);
    let merged = merge(&a, &b).expect("adjacent");
    assert_eq!(merged.culprits.len(), 1);
    assert_eq!((merged.culprits[0].reason, merged.culprits[0].location), (Reason::WrongBefore, at(51, 1)));
}

#[test]
fn a_generation_beyond_its_range_is_an_error() {
    let cell = Cell::account(Address::repeat_byte(7));
    let mut random = Random(10);
    let write = |block, from, to| CellUse {
        location: at(block, 1),
        write: true,
        intx: Version::Base(block),
        prev: account(1, from),
        next: account(2, to),
    };
    let a = judge_all((50, 51, 50), &Uses::from([(cell, vec![write(50, 0, u32::MAX)])]), &mut random);
    let b = judge_all((51, 52, 51), &Uses::from([(cell, vec![write(51, 0, 1)])]), &mut random);
    let error = merge(&a, &b).expect_err("beyond 2^32");
    assert!(error.to_string().contains("generation"), "{error}");
}

/// One-block imports, each of which may assume accounts that nothing else in it uses.
#[test]
fn what_one_import_assumes_binds_no_other() {
    let mut random = Random(seed(11));
    let mut became = 0;
    for round in 0..600 {
        let steps = chain(50..50 + BLOCKS, &mut random);
        let mut parts = Vec::new();
        for block in 50..50 + BLOCKS {
            let span = (block, block + 1, block);
            let mut uses = import(&steps, span, &[]);
            for n in 0..ADDRESSES {
                let cell = Cell::account(Address::repeat_byte(n));
                if !random.once_in(4) || block == 50 {
                    continue;
                }
                // What this block did to the address goes unsaid but for a credit: the importer knew nothing of it.
                uses.retain(|c, _| c.addr != cell.addr);
                let prev = cell.default_value();
                let next = account(0, 0);
                let write = !random.once_in(3);
                let next = if write { next } else { prev };
                uses.insert(cell, vec![CellUse { location: at(block, 9), write, intx: Version::Assumed, prev, next }]);
            }
            parts.push(judge_all(span, &uses, &mut random));
        }
        let whole = merge_at_random(parts.clone(), &mut random);
        assert_eq!(merge_at_random(parts, &mut random), whole, "round {round}");
        became += whole.assumed.keys().filter(|x| !x.declared).count();
        // What is left out is a write that others may have seen: their demands meet something older, or nothing. Only
        // addresses with nothing left out are free of culprits.
        for c in &whole.culprits {
            let account = Cell::account(c.cell.addr);
            assert!(whole.assumed.keys().any(|x| x.declared && x.cell == account), "round {round}: {c:?}");
        }
    }
    assert!(became > 100, "{became}");
}

#[test]
fn a_virgin_account_has_no_generation_to_shift() {
    let cell = Cell::account(Address::repeat_byte(7));
    let dead = Value::Account(AccountValue::absent(2));
    let read = CellUse { location: at(50, 1), write: false, intx: Version::Base(40), prev: dead, next: dead };
    let mut random = Random(13);
    let a = judge_all((50, 51, 40), &Uses::from([(cell, vec![read])]), &mut random);
    let born = CellUse {
        location: at(51, 1),
        write: true,
        intx: Version::Virgin,
        prev: Value::Account(AccountValue::ABSENT),
        next: account(1, 0),
    };
    let b = judge_all((51, 52, 51), &Uses::from([(cell, vec![born])]), &mut random);
    let merged = merge(&a, &b).expect("adjacent");
    // One says that it died twice, the other that it never was.
    let found: Vec<_> = merged.contradictions().iter().map(|c| (c.reason, c.location)).collect();
    assert_eq!(found, [(Reason::Contradiction, at(51, 1))]);
    assert_eq!((merged.exits[0].value, merged.exits[0].counts_from), (account(1, 0), 51));
}

const SOMEBODY: Address = Address::repeat_byte(7);

/// A use of an account: read, or written where the values differ.
fn of_account(location: Location, intx: Version, prev: Value, next: Value) -> CellUse<Value> {
    CellUse { location, write: prev != next, intx, prev, next }
}

/// What one import says of one block, cells of [`SOMEBODY`] alone.
fn says(block: u64, origin: u64, of: Vec<CellUse<Value>>, storage: Vec<(u32, CellUse<Value>)>) -> SegmentResult {
    let mut uses = Uses::from([(Cell::account(SOMEBODY), of)]);
    for (generation, u) in storage {
        uses.entry(Cell::storage(SOMEBODY, generation, U256::from(1))).or_default().push(u);
    }
    judge_all((block, block + 1, origin), &uses, &mut Random(14))
}

#[test]
fn one_count_is_not_shifted() {
    for (left, right) in [(1, 0), (0, 1)] {
        let first = of_account(at(50, 1), Version::Base(50), account(1, 0), account(2, left));
        let second = account(2, right);
        let a = says(50, 50, vec![first], vec![]);
        let b = says(51, 50, vec![of_account(at(51, 1), Version::At(at(50, 1)), second, second)], vec![]);
        let merged = merge(&a, &b).expect("adjacent");
        let found: Vec<_> = merged.culprits.iter().map(|c| (c.reason, c.location, c.prev)).collect();
        assert_eq!(found, [(Reason::WrongBefore, at(51, 1), second)]);
        assert_eq!(merged.exits[0].value, account(2, left));
    }
}

#[test]
fn the_first_demand_that_states_a_generation_counts() {
    let absent = |generation| Value::Account(AccountValue::absent(generation));
    let read = |location, intx, value| of_account(location, intx, value, value);
    let virgin = |block, index| read(at(block, index), Version::Virgin, absent(0));
    // Both sides: a virgin account states none, and of two that contradict each other the first is believed.
    let a = says(50, 40, vec![virgin(50, 1), read(at(50, 2), Version::Base(40), absent(2))], vec![]);
    let of = vec![
        virgin(51, 1),
        read(at(51, 2), Version::Base(51), absent(0)),
        read(at(51, 3), Version::Base(51), absent(1)),
    ];
    let stored = CellUse { location: at(51, 4), write: true, intx: Version::Base(51), prev: word(0), next: word(9) };
    let b = says(51, 51, of, vec![(0, stored)]);
    let merged = merge(&a, &b).expect("adjacent");
    let of_accounts = merged.requirements.iter().filter(|d| d.cell.mark == Mark::Account);
    let stated: Vec<_> = of_accounts.map(|d| (d.first, d.prev, d.counts_from)).collect();
    let expected = [
        (at(50, 1), absent(0), 40),
        (at(50, 2), absent(2), 40),
        (at(51, 1), absent(0), 40),
        (at(51, 2), absent(2), 40),
        (at(51, 3), absent(3), 40),
    ];
    assert_eq!(stated, expected);
    let exits: Vec<_> = merged.exits.iter().map(|e| (e.cell.generation, e.counts_from)).collect();
    assert_eq!(exits, [(2, 40)]);
}

/// Faults found before are told in the generations of the whole; hashes of blocks have none.
#[test]
fn culprits_are_shifted_with_their_cells() {
    let somebody = Cell::account(Address::ZERO);
    let write = |location, intx, prev, next| CellUse { location, write: true, intx, prev, next };
    let dies = write(at(50, 1), Version::Base(50), account(1, 0), Value::Account(AccountValue::absent(2)));
    let mut random = Random(15);
    let a = judge_all((50, 51, 50), &Uses::from([(somebody, vec![dies])]), &mut random);
    let read = |location, intx, value| CellUse { location, write: false, intx, prev: value, next: value };
    let slot = Cell::storage(Address::ZERO, 0, U256::from(1));
    let uses = Uses::from([
        (
            somebody,
            vec![
                read(at(51, 1), Version::Base(51), Value::Account(AccountValue::ABSENT)),
                read(at(51, 2), Version::Virgin, account(1, 0)),
                read(at(51, 3), Version::At(at(51, 3)), account(1, 0)),
            ],
        ),
        (slot, vec![read(at(51, 2), Version::At(at(51, 2)), word(1))]),
        (Cell::block_hash(51), vec![write(at(51, 4), Version::Virgin, word(0), word(5))]),
    ]);
    let b = judge_all((51, 52, 51), &uses, &mut random);
    let merged = merge(&a, &b).expect("adjacent");
    let found: Vec<_> = merged.culprits.iter().map(|c| (c.cell, c.location, c.prev, c.counts_from)).collect();
    let expected = [
        (somebody, at(51, 2), account(1, 0), 50),
        (somebody, at(51, 3), account(1, 2), 50),
        (Cell { generation: 2, ..slot }, at(51, 2), word(1), 50),
    ];
    assert_eq!(found, expected);
    let of_hash = merged.exit(&Cell::block_hash(51)).expect("written");
    assert_eq!(of_hash.counts_from, 51);
}

/// Two counts that disagree can bring two cells together: the later write is the last.
#[test]
fn of_two_exits_that_fall_together_the_later_stays() {
    let dies = of_account(at(50, 1), Version::Base(50), account(1, 0), Value::Account(AccountValue::absent(2)));
    let a = says(50, 50, vec![dies], vec![]);
    let back = of_account(at(51, 1), Version::Base(51), Value::Account(AccountValue::ABSENT), account(1, 0));
    let stored = |index| CellUse {
        location: at(51, index),
        write: true,
        intx: Version::Base(51),
        prev: word(0),
        next: word(index),
    };
    let mut b = says(51, 51, vec![back], vec![(0, stored(1)), (2, stored(2))]);
    // As if an earlier merge had counted the second from 50 already.
    b.exits[2].counts_from = 50;
    let merged = merge(&a, &b).expect("adjacent");
    let found: Vec<_> = merged.exits[1..].iter().map(|e| (e.cell.generation, e.version, e.value)).collect();
    assert_eq!(found, [(2, at(51, 2), word(2))]);
}

#[test]
fn what_is_stated_of_an_unknown_account_is_kept_and_counted_on() {
    let absent = Value::Account(AccountValue::ABSENT);
    let read = |location, intx, value| of_account(location, intx, value, value);
    let a = says(50, 50, vec![of_account(at(50, 1), Version::Assumed, absent, account(1, 0))], vec![]);
    // A virgin account states no generation.
    let virgin = says(51, 51, vec![read(at(51, 1), Version::Virgin, absent)], vec![]);
    let merged = merge(&a, &virgin).expect("adjacent");
    assert!(merged.anchors.is_empty(), "{merged:?}");
    assert_eq!((merged.culprits.len(), merged.requirements.len()), (0, 0));
    // Nor does what assumed it: its exit stays as it was counted.
    let states = says(51, 45, vec![read(at(51, 1), Version::Base(45), account(1, 3))], vec![]);
    let merged = merge(&a, &states).expect("adjacent");
    assert_eq!((merged.exits[0].value, merged.exits[0].counts_from), (account(1, 0), 50));
    assert_eq!(merged.anchors, BTreeMap::from([(SOMEBODY, (3, 45))]));
    // The next import that states it counts from an earlier block: what was stated is brought there.
    let states = says(51, 51, vec![read(at(51, 1), Version::Base(51), account(1, 1))], vec![]);
    let merged = merge(&a, &states).expect("adjacent");
    assert_eq!(merged.anchors, BTreeMap::from([(SOMEBODY, (1, 51))]));
    // Another demand of that import becomes the same assumption: at its first use, and counted once.
    let again = says(52, 51, vec![read(at(52, 1), Version::Base(51), account(1, 1))], vec![]);
    let mut both = merge(&merged, &again).expect("adjacent");
    let became = Assumption { cell: Cell::account(SOMEBODY), origin: 51, declared: false };
    assert_eq!((both.assumed[&became], both.assumed_count()), (at(51, 1), 2));
    both.assumed.insert(Assumption { declared: true, ..became }, at(51, 1));
    assert_eq!(both.assumed_count(), 2);
    let older = says(52, 45, vec![read(at(52, 1), Version::Base(45), account(1, 5))], vec![]);
    let merged = merge(&merged, &older).expect("adjacent");
    assert_eq!(merged.anchors, BTreeMap::from([(SOMEBODY, (5, 45))]));
}

#[test]
fn the_parent_hash_is_the_first_blocks() {
    let [x, y] = [1, 2].map(|n| Some(B256::repeat_byte(n)));
    let of = |first, end, parent_hash| {
        let none = judge_all((first, end, 50), &Uses::new(), &mut Random(16));
        SegmentResult { parent_hash, ..none }
    };
    let merged = |a: &SegmentResult, b: &SegmentResult| merge(a, b).expect("adjacent").parent_hash;
    assert_eq!(merged(&of(50, 51, x), &of(51, 52, y)), x);
    assert_eq!(merged(&of(50, 51, None), &of(51, 52, y)), None);
    // A piece without blocks has no first block.
    assert_eq!(merged(&of(51, 51, x), &of(51, 52, y)), y);
}

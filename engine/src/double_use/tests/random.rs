//! Random histories of one import: many cells, faults of every kind, assumed versions; all procedures, cuts and orders of
//! merging give one result.

use super::{Random, TestColumns, Uses, judge_all, judged, partitioned, seed, sharded};
use crate::double_use::model::{CellUse, definition};
use crate::double_use::partition::{Sizes, Workspace};
use crate::double_use::{Exit, ExitsDigest, SegmentResult, encode, forward, merge, reverse, shards, shards_of};
use alloy_primitives::{Address, KECCAK256_EMPTY, U256, keccak256};
use manaflow_loader::model::{AccountValue, Cell, Location, Mark, Value, Version};

pub const BLOCKS: u64 = 6;
const INDICES: u64 = 4;

pub fn account(nonce: u64, generation: u32) -> Value {
    Value::Account(AccountValue { present: true, nonce, generation, ..AccountValue::ABSENT })
}

/// Cells of a few addresses: accounts, storage of two generations, block hashes.
fn cells() -> Vec<Cell> {
    let address = |n: u64| Address::from_word(U256::from(n + 1).into());
    let accounts = (0..4).map(|n| Cell::account(address(n)));
    let storage = (0..8).map(|n| Cell::storage(address(n % 2), (n / 4) as u32, U256::from(n / 2 % 2)));
    accounts.chain(storage).chain((0..2).map(Cell::block_hash)).collect()
}

fn value(cell: &Cell, random: &mut Random) -> Value {
    let n = random.below(4) as u64;
    match (cell.mark, n) {
        (_, 0) => cell.default_value(),
        (Mark::Account, n) => account(n, 0),
        (_, n) => Value::Word(U256::from(n)),
    }
}

/// A history in which about one use in `fault` is not what it should be; `assumed`, if it may assume.
pub fn history(first: u64, fault: usize, assumed: bool, random: &mut Random) -> Uses {
    let mut uses = Uses::new();
    for cell in cells() {
        let mut live = if first == 0 || random.once_in(3) {
            (Version::Virgin, cell.default_value())
        } else {
            (Version::Base(first), value(&cell, random))
        };
        let mut of_cell = Vec::new();
        for n in 0..BLOCKS * INDICES {
            if random.below(4) != 0 {
                continue;
            }
            let location = Location::new(first + n / INDICES, n % INDICES).expect("small");
            let (mut intx, mut prev) = live;
            if assumed && random.once_in(40) {
                (intx, prev) = (Version::Assumed, cell.default_value());
            }
            if random.once_in(fault) {
                prev = value(&cell, random);
            }
            if random.once_in(fault) {
                intx = match random.below(4) {
                    0 => Version::Virgin,
                    1 if first > 0 => Version::Base(first - random.below(2) as u64),
                    _ => {
                        let block = (first + random.below(BLOCKS as usize + 2) as u64).saturating_sub(1);
                        Version::At(Location::new(block, random.below(INDICES as usize) as u64).expect("small"))
                    }
                };
            }
            let next = value(&cell, random);
            let write = next != prev && !random.once_in(3);
            of_cell.push(CellUse { location, write, intx, prev, next: if write { next } else { prev } });
            if write {
                live = (Version::At(location), next);
            }
        }
        uses.insert(cell, of_cell);
    }
    uses
}

/// The uses in blocks from..to.
pub fn cut(uses: &Uses, from: u64, to: u64) -> Uses {
    let inside = |u: &&CellUse<Value>| (from..to).contains(&u.location.block());
    uses.iter().map(|(cell, uses)| (*cell, uses.iter().filter(inside).cloned().collect())).collect()
}

/// Merges neighbours in random order until one result is left.
pub fn merge_at_random(mut pieces: Vec<SegmentResult>, random: &mut Random) -> SegmentResult {
    while pieces.len() > 1 {
        let i = random.below(pieces.len() - 1);
        let right = pieces.remove(i + 1);
        pieces[i] = merge(&pieces[i], &right).expect("adjacent");
    }
    pieces.remove(0)
}

#[test]
fn one_import_any_cut_any_order() {
    let mut random = Random(seed(3));
    let (mut valid, mut contradictory, mut unknown) = (0, 0, 0);
    for round in 0..1_500 {
        let first = if round % 3 == 0 { 0 } else { 50 };
        let fault = [2, 10, 60, 100_000][round % 4];
        let uses = history(first, fault, first > 0 && round % 2 == 0, &mut random);
        let end = first + BLOCKS;
        let whole = judge_all((first, end, first), &uses, &mut random);
        valid += usize::from(whole.is_valid());
        contradictory += usize::from(!whole.contradictions().is_empty());
        unknown += whole.exits.iter().filter(|e| !whole.is_known(e)).count();
        for _ in 0..3 {
            let mut at: Vec<u64> =
                (0..random.below(5)).map(|_| first + random.below(BLOCKS as usize + 1) as u64).collect();
            at.extend([first, end]);
            at.sort_unstable();
            let pieces =
                (at.windows(2)).map(|p| judge_all((p[0], p[1], first), &cut(&uses, p[0], p[1]), &mut random)).collect();
            let merged = merge_at_random(pieces, &mut random);
            assert_eq!(merged, whole, "round {round}, cuts {at:?}");
            assert_eq!(merged.digest(), whole.digest());
            assert_eq!(merged.contradictions(), whole.contradictions());
        }
    }
    assert!(valid > 100 && contradictory > 100 && unknown > 100, "{valid} {contradictory} {unknown}");
}

#[test]
fn checked_entries_agree_with_each_other() {
    let mut random = Random(seed(4));
    for _ in 0..200 {
        let mut uses = history(50, 30, true, &mut random);
        for u in uses.values_mut().flatten() {
            if matches!(u.intx, Version::Base(f) if f > 50) {
                u.intx = Version::Base(50);
            }
        }
        let columns = TestColumns::new((50, 50 + BLOCKS, 50), &uses, &mut random);
        let mut arrived = crate::double_use::shards::uses_of(&columns);
        random.shuffle(&mut arrived);
        let expected = forward(&columns);
        assert!(expected.is_ok(), "{expected:?}");
        assert_eq!(reverse(&columns), expected);
        assert_eq!(shards(&columns), expected);
        assert_eq!(shards_of(&columns, &arrived), expected);
    }
}

#[test]
fn a_cell_twice_in_a_row_is_judged_alike() {
    let mut random = Random(seed(5));
    for _ in 0..500 {
        let mut uses = history(50, 4, true, &mut random);
        for u in uses.values_mut().flatten() {
            u.location = Location::new(u.location.block(), u.location.index() / 2).expect("small");
        }
        let columns = TestColumns::new((50, 50 + BLOCKS, 50), &uses, &mut random);
        let expected = judged(&columns).resolve(&columns);
        assert_eq!(crate::double_use::reverse::run(&columns).resolve(&columns), expected);
        let mut arrived = crate::double_use::shards::uses_of(&columns);
        random.shuffle(&mut arrived);
        assert_eq!(sharded(&columns, &arrived, 5).resolve(&columns), expected);
        for (bits, batch, pieces) in [(0, 9, 1), (2, 3, 2), (16, 9, 1)] {
            let sizes = Sizes { bits, batch, pieces };
            let got = partitioned(&columns, sizes, &mut Workspace::default());
            assert_eq!(got.resolve(&columns), expected, "{sizes:?}");
        }
    }
}

#[test]
fn digest_is_of_the_bytes_that_its_table_says() {
    let mut random = Random(seed(6));
    let address = Address::repeat_byte(0xab);
    let of = AccountValue { present: true, nonce: 7, balance: U256::from(9), generation: 3, ..AccountValue::ABSENT };
    let write = |location, prev, next| CellUse { location, write: true, intx: Version::Virgin, prev, next };
    let location = |index| Location::new(2, index).expect("small");
    let (account, slot) = (Cell::account(address), Cell::storage(address, 1, U256::from(5)));
    let uses = Uses::from([
        (account, vec![write(location(1), account.default_value(), Value::Account(of))]),
        (slot, vec![write(location(2), slot.default_value(), Value::Word(U256::from(6)))]),
    ]);
    let hex = [
        "00abababababababababababababababababababab00000000",
        &"00".repeat(32),
        "0000000002000001",
        "01000000000000000700000003",
        &format!("{:064x}{KECCAK256_EMPTY:x}", 9),
        "01abababababababababababababababababababab00000001",
        &format!("{:064x}", 5),
        "0000000002000002",
        &"00".repeat(45),
        &format!("{:064x}", 6),
    ];
    let bytes = alloy_primitives::hex::decode(hex.concat()).expect("hex");
    assert_eq!(bytes.len(), 2 * crate::double_use::EXIT_BYTES);
    assert_eq!(judge_all((0, 3, 0), &uses, &mut random).digest(), keccak256(keccak256(bytes)));
}

#[test]
fn the_definition_takes_uses_in_any_order() {
    let mut random = Random(seed(7));
    for round in 0..100 {
        let mut uses = history(50, 3, true, &mut random);
        let said = |uses: &Uses| definition((50, 50 + BLOCKS, 50), uses, |cell| cell.default_value());
        let expected = said(&uses);
        uses.values_mut().for_each(|of_cell| random.shuffle(of_cell));
        assert_eq!(said(&uses), expected, "round {round}: {uses:?}");
    }
}

#[test]
fn a_digest_is_of_chunks_of_64_exits() {
    let (version, origin) = (Location::new(0, 1).expect("small"), 0);
    let exit =
        |n| Exit { cell: Cell::block_hash(n), version, value: Value::Word(U256::from(n)), origin, counts_from: origin };
    let exits: Vec<Exit> = (0..8_257).map(exit).collect();
    for count in [0, 1, 64, 65, 4_095, 4_096, 4_097, 8_257] {
        let mut digest = ExitsDigest::default();
        exits[..count].iter().for_each(|exit| digest.add(exit));
        assert_eq!(digest.count(), count as u64);
        let bytes =
            |chunk: &[Exit]| -> Vec<u8> { chunk.iter().flat_map(|e| encode(&e.cell, e.version, &e.value)).collect() };
        let hashes: Vec<u8> = exits[..count].chunks(64).flat_map(|chunk| keccak256(bytes(chunk)).0).collect();
        assert_eq!(digest.finish(), keccak256(hashes), "{count} exits");
    }
}

/// Rows too far apart for a record: steps stand between, in whatever piece they are.
#[test]
fn rows_that_are_far_apart_are_judged_by_partition_as_by_the_others() {
    let cells: [Cell; 6] = std::array::from_fn(|n| Cell::account(Address::repeat_byte(n as u8)));
    let value = |nonce| Value::Account(AccountValue { present: true, nonce, ..AccountValue::ABSENT });
    let mut random = Random(11);
    let mut uses = Uses::new();
    for (n, cell) in cells.iter().enumerate() {
        // Of cells 0 and 1 every row has one; the others are in other parts, seldom used, and some uses are wrong.
        let (mut live, mut before) = (Version::Virgin, cell.default_value());
        for row in 0..80_000u64 {
            let is_used = match n {
                0 | 1 => row % 2 == n as u64,
                2 | 3 => row % 33_000 == 16_384 * (n as u64 - 2),
                _ => random.once_in(500),
            };
            if !is_used {
                continue;
            }
            let location = Location::new(row / 1000, row % 1000 + 1).expect("within bounds");
            let write = random.once_in(2);
            let next = if write { value(row % 5 + 1) } else { before };
            let intx = if n > 1 && random.once_in(3) { Version::Virgin } else { live };
            uses.entry(*cell).or_default().push(CellUse { location, write, intx, prev: before, next });
            if write {
                (live, before) = (Version::At(location), next);
            }
        }
    }
    let columns = TestColumns::new((0, 80, 0), &uses, &mut random);
    let expected = judged(&columns);
    assert!(expected.culprits.len() > 3, "{} culprits", expected.culprits.len());
    let mut arrived = crate::double_use::shards::uses_of(&columns);
    random.shuffle(&mut arrived);
    assert_eq!(sharded(&columns, &arrived, 3), expected, "shards");
    let all = usize::MAX;
    for (bits, batch, pieces) in [
        (0, all, 1),
        (1, all, 1),
        (1, all, 2),
        (1, all, 3),
        (1, 10_000, 2),
        (16, 70_000, 1),
        (16, all, 1),
        (16, all, 2),
    ] {
        let sizes = Sizes { bits, batch, pieces };
        assert_eq!(partitioned(&columns, sizes, &mut Workspace::default()), expected, "{sizes:?}");
    }
}

/// A part ends where the next begins: with room for one record less it would write into it.
#[test]
fn parts_that_fill_their_lines_keep_to_them() {
    let cells: [Cell; 2] = std::array::from_fn(|n| Cell::account(Address::repeat_byte(n as u8)));
    let mut random = Random(12);
    for (few, many) in (1..=5).flat_map(|few| (28..=36).map(move |many| (few, many))) {
        // The cell of the first part comes last, so that what a count by fours leaves over is of it.
        let mut uses = Uses::new();
        for (cell, rows) in [(cells[1], 0..few), (cells[0], few..few + many)] {
            let mut live = (Version::Virgin, cell.default_value());
            let of_cell = uses.entry(cell).or_default();
            for row in rows {
                let location = Location::new(0, row).expect("small");
                let next = account(row + 1, 0);
                of_cell.push(CellUse { location, write: true, intx: live.0, prev: live.1, next });
                live = (Version::At(location), next);
            }
        }
        let columns = TestColumns::new((0, 1, 0), &uses, &mut random);
        let expected = judged(&columns);
        assert!(expected.culprits.is_empty());
        let sizes = Sizes { bits: 0, batch: usize::MAX, pieces: 1 };
        assert_eq!(partitioned(&columns, sizes, &mut Workspace::default()), expected, "{few} uses, {many} uses");
    }
}

//! The sum at speed: what it confirms, that no hint makes it confirm a lie, and why its function is no simpler.

use super::random::{BLOCKS, history};
use super::sums::is_confirmed;
use super::{Random, TestColumns, at_speed as run, judge_all, seed};
use crate::double_use::{Columns as _, Hints, forward, hints, sum, summed};
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use aes::hazmat::{cipher_round, inv_mix_columns};
use alloy_primitives::{Address, U256};
use manaflow_loader::file::layout::ExitRow;
use manaflow_loader::model::{Cell, Location, Value, Version};

#[test]
fn it_confirms_what_the_plain_sum_confirms() {
    let mut random = Random(seed(31));
    let mut confirmed = 0;
    for round in 0..400 {
        let first = if round % 2 == 0 { 0 } else { 50 };
        let uses = history(first, [40, 2_000][round / 2 % 2], false, &mut random);
        let columns = TestColumns::new((first, first + BLOCKS, first), &uses, &mut random).numbered_once();
        let plain = sum(&columns, &hints(&columns), &[3; 32]).expect("well formed");
        assert_eq!(run(&columns, &Hints::of(&columns), &[3; 32]), plain, "round {round}: {uses:?}");
        assert_eq!(summed(&columns, None).expect("well formed"), plain, "round {round}: by another key");
        confirmed += usize::from(plain.is_some());
    }
    assert!(confirmed > 100 && confirmed < 300, "{confirmed}");
}

#[test]
fn no_hint_confirms_a_lie() {
    let mut random = Random(seed(32));
    let (mut lies, mut refused, mut confirmed) = (0, 0, 0);
    for round in 0..1_500 {
        let first = if round % 2 == 0 { 0 } else { 50 };
        let uses = history(first, [40, 100_000][round / 2 % 2], false, &mut random);
        let span = (first, first + BLOCKS, first);
        let columns = TestColumns::new(span, &uses, &mut random).numbered_once();
        let expected = judge_all(span, &uses, &mut random);
        let honest = Hints::of(&columns);
        let mut wrong = honest.clone();
        for _ in 0..=random.below(3) {
            lie(&mut wrong, &columns, &mut random);
        }
        let is_honest = wrong.last == honest.last && wrong.exits == honest.exits;
        if let Some(result) = run(&columns, &wrong, &[9; 32]) {
            assert!(is_confirmed(&expected, &uses).1, "round {round}: {uses:?}");
            assert_eq!(result.resolve(&columns), expected, "round {round}");
            assert!(is_honest, "round {round}: the one chain of uses is in order of location");
            confirmed += 1;
        } else if is_confirmed(&expected, &uses).0 {
            assert!(!is_honest, "round {round}: {uses:?}");
            refused += 1;
        }
        lies += usize::from(!expected.culprits.is_empty());
    }
    assert!(lies > 300 && refused > 300 && confirmed > 10, "{lies} {refused} {confirmed}");
}

/// Left out, pointed elsewhere, or exchanged.
fn lie(hints: &mut Hints<'_>, columns: &TestColumns, random: &mut Random) {
    let (last, exits) = (hints.last.to_mut(), hints.exits.to_mut());
    let (i, j) = (random.below(last.len()), random.below(last.len()));
    let (c, d) = (random.below(exits.len()), random.below(exits.len()));
    let row = 1 + random.below(columns.locations.len()) as u32;
    let code = random.below(columns.foreign.len() + columns.locations.len()) as u32;
    match random.below(8) {
        0 => last[i] = 0,
        1 => last[i] = row,
        2 => last.swap(i, j),
        3 => exits[c].last = row,
        4 => exits[c].version = code,
        5 => exits[c].value = random.below(columns.values.len()) as u32,
        6 => exits.swap(c, d),
        _ => exits[c] = ExitRow::default(),
    }
}

#[test]
fn rows_and_cells_are_ends_of_lots_too() {
    // More uses than a chunk, and more cells than a lot, all of one row of 5,000.
    let mut random = Random(seed(33));
    let mut columns = TestColumns::new((0, BLOCKS, 0), &history(0, 100_000, false, &mut random), &mut random);
    let count = 5_000;
    columns.table = (0..count).map(|n| Cell::storage(Address::ZERO, 0, U256::from(n))).collect();
    columns.values = vec![columns.table[0].default_value()];
    columns.foreign = vec![Version::Virgin];
    columns.locations.truncate(1);
    columns.moves.truncate(1);
    columns.moves[0] = 0..count;
    columns.cells = (0..count as u32).collect();
    for column in [&mut columns.intx, &mut columns.prev, &mut columns.next] {
        *column = vec![0; count];
    }
    columns.write = vec![false; count];
    columns.knows_defaults = true;
    let confirms = |columns: &TestColumns| run(columns, &Hints::of(columns), &[1; 32]).is_some();
    assert!(confirms(&columns));
    for i in [1, 511, 512, 513, 2_047, 2_048, 2_049, 4_999] {
        columns.cells.swap(i - 1, i);
        assert!(!confirms(&columns), "cells {} and {i} in no order", i - 1);
        columns.cells.swap(i - 1, i);
        columns.intx[i] = 1;
        assert!(!confirms(&columns), "use {i} names its own row");
        columns.intx[i] = 0;
    }
    columns.cells.swap(4, 5);
    columns.cells.swap(7, 8);
    assert!(!confirms(&columns), "two falls in one chunk");
}

#[test]
fn hints_are_as_many_as_uses_and_cells() {
    let mut random = Random(seed(34));
    let uses = history(50, 100_000, false, &mut random);
    let columns = TestColumns::new((50, 50 + BLOCKS, 50), &uses, &mut random).numbered_once();
    let mut short = Hints::of(&columns);
    short.last.to_mut().pop();
    assert_eq!(summed(&columns, Some(short)).expect_err("one short").place, "last");
    let mut short = Hints::of(&columns);
    short.exits.to_mut().pop();
    assert_eq!(summed(&columns, Some(short)).expect_err("one short").place, "exits");
    assert!(summed(&columns, Some(Hints::of(&columns))).expect("well formed").is_some());
}

/// Rows of one use each: cell, version, value before, value after if it writes. The value of a number is the number.
fn rows(first: u64, cells: u64, foreign: Vec<Version>, uses: &[(u32, u32, u32, Option<u32>)]) -> TestColumns {
    let storage = |n| Cell::storage(Address::ZERO, 0, U256::from(n));
    TestColumns {
        span: (first, first + BLOCKS, first),
        locations: (0..uses.len() as u64).map(|n| Location::new(first, n).expect("small")).collect(),
        moves: (0..uses.len()).map(|n| n..n + 1).collect(),
        table: (0..cells).map(storage).collect(),
        values: (0..4).map(|n| Value::Word(U256::from(n))).collect(),
        foreign,
        cells: uses.iter().map(|u| u.0).collect(),
        intx: uses.iter().map(|u| u.1).collect(),
        prev: uses.iter().map(|u| u.2).collect(),
        next: uses.iter().map(|u| u.3.unwrap_or(u.2)).collect(),
        write: uses.iter().map(|u| u.3.is_some()).collect(),
        ..TestColumns::default()
    }
}

/// Each takes what another leaves, so that both sides are equal, and nothing comes from before.
#[test]
fn uses_that_hand_each_other_what_they_take_are_not_confirmed() {
    let itself = |row: u32| (row, row, 1, None);
    let circle = [(0, 1, 1, Some(2)), (0, 0, 2, Some(1))];
    let cases: [(&[_], &[u32]); 3] = [(&[itself(0)], &[1]), (&[itself(0), itself(1)], &[1, 2]), (&circle, &[2, 1])];
    for (uses, last) in cases {
        let columns = rows(50, 2, vec![], uses);
        let wrong = Hints { last: last.into(), exits: vec![ExitRow::default(); 2].into() };
        assert_eq!(run(&columns, &wrong, &[2; 32]), None, "{uses:?}");
    }
}

#[test]
fn it_confirms_from_the_second_block_on() {
    let columns = rows(1, 1, vec![Version::Base(1)], &[(0, 0, 3, None), (0, 0, 3, Some(2)), (0, 2, 2, None)]);
    let expected = forward(&columns).expect("well formed");
    assert_eq!((expected.requirements.len(), expected.exits.count()), (2, 1));
    assert_eq!(run(&columns, &Hints::of(&columns), &[2; 32]), Some(expected));
}

/// Cells 1 and 3 have no number that is known for their default.
#[test]
fn defaults_need_be_known_of_used_cells_only() {
    let genesis = |cells: &[u32]| {
        let uses: Vec<_> = cells.iter().map(|cell| (*cell, 0, 0, Some(1))).collect();
        let columns = rows(0, 4, vec![Version::Virgin], &uses);
        let expected = forward(&columns).expect("well formed");
        assert!(expected.culprits.is_empty());
        let got = run(&columns, &Hints::of(&columns), &[2; 32]);
        assert!(got.as_ref().is_none_or(|got| *got == expected));
        got.is_some()
    };
    assert!(genesis(&[0, 2]));
    assert!(!genesis(&[0, 1]));
    let uses: Vec<_> = (0..4).map(|cell| (cell, 0, 3, Some(1))).collect();
    let columns = rows(50, 4, vec![Version::Base(50)], &uses);
    let expected = forward(&columns).expect("well formed");
    assert_eq!(expected.exits.count(), 4);
    assert_eq!(run(&columns, &Hints::of(&columns), &[2; 32]), Some(expected), "they count from genesis only");
}

#[test]
fn a_number_is_not_taken_for_the_default() {
    let mut columns = rows(0, 1, vec![Version::Virgin], &[(0, 0, 0, Some(1))]);
    assert!(run(&columns, &Hints::of(&columns), &[2; 32]).is_some());
    columns.values.remove(0);
    assert!(!forward(&columns).expect("well formed").culprits.is_empty());
    assert_eq!(run(&columns, &Hints::of(&columns), &[2; 32]), None);
}

type Token = [u32; 4];

fn bytes(token: Token) -> [u8; 16] {
    bytemuck::must_cast(token)
}

/// AES-128 with so many rounds, the last one without its MixColumns, under round keys that are drawn.
fn few_rounds(rounds: usize, keys: &[[u8; 16]], token: Token) -> u128 {
    let mut block = Array(bytes(token));
    block.iter_mut().zip(keys[0]).for_each(|(b, k)| *b ^= k);
    for key in &keys[1..rounds] {
        cipher_round(&mut block, &Array(*key));
    }
    cipher_round(&mut block, &Array([0; 16]));
    inv_mix_columns(&mut block);
    block.iter_mut().zip(keys[rounds]).for_each(|(b, k)| *b ^= k);
    u128::from_le_bytes(block.0)
}

fn whole_aes(key: &[u8; 16], token: Token) -> u128 {
    let mut block = Array(bytes(token));
    aes::Aes128::new(&Array(*key)).encrypt_block(&mut block);
    u128::from_le_bytes(block.0)
}

fn total(tokens: &[Token], f: impl Fn(Token) -> u128) -> u128 {
    tokens.iter().fold(0, |sum, token| sum.wrapping_add(f(*token)))
}

/// Two cells whose versions were exchanged: what a liar would do. It is none of the tokens that were.
const TRUE: [Token; 2] = [[1, 10, 20, 30], [2, 11, 21, 31]];
const EXCHANGED: [Token; 2] = [[1, 10, 21, 30], [2, 11, 20, 31]];

#[test]
fn a_linear_function_is_fooled() {
    let mut random = Random(seed(35));
    let keys: [u128; 4] = std::array::from_fn(|_| u128::from_le_bytes(random.bytes()) | 1);
    let linear = |t: Token| t.iter().zip(keys).fold(7u128, |sum, (n, k)| sum.wrapping_add(k.wrapping_mul((*n).into())));
    assert_eq!(total(&TRUE, linear), total(&EXCHANGED, linear));
    let key = random.bytes();
    assert_ne!(total(&TRUE, |t| whole_aes(&key, t)), total(&EXCHANGED, |t| whole_aes(&key, t)));
}

#[test]
fn a_sum_of_functions_of_halves_is_fooled() {
    let mut random = Random(seed(36));
    let (one, other) = (random.bytes(), random.bytes());
    // Cell and place in one half, version and value in the other: exchange the other halves.
    let halves = |t: Token| whole_aes(&one, [t[0], t[1], 0, 0]).wrapping_add(whole_aes(&other, [0, 0, t[2], t[3]]));
    let exchanged = [[1, 10, 21, 31], [2, 11, 20, 30]];
    assert_eq!(total(&TRUE, halves), total(&exchanged, halves));
    assert_ne!(total(&TRUE, |t| whole_aes(&one, t)), total(&exchanged, |t| whole_aes(&one, t)));
}

/// 256 tokens that differ in one byte take each value of each byte once after two rounds, whatever the key: their sum is the same
/// for all keys and for any rest of the token. The last round has no MixColumns, and keeps it for one round longer.
#[test]
fn three_rounds_of_aes_are_fooled() {
    let mut random = Random(seed(37));
    let keys: Vec<[u8; 16]> = (0..11).map(|_| random.bytes()).collect();
    // As a liar does it: 256 reads in a row leave tokens of one version; others take them with another.
    let tokens = |version| (0..256).map(|place| [5, place, version, 7]).collect::<Vec<Token>>();
    let (left, consumed) = (tokens(1), tokens(2));
    let by_bytes = |tokens: &[Token], rounds| {
        // Each byte by itself: so no carry hides it.
        let mut sums = [0u32; 16];
        for token in tokens {
            let block = few_rounds(rounds, &keys, *token).to_le_bytes();
            sums.iter_mut().zip(block).for_each(|(sum, byte)| *sum += u32::from(byte));
        }
        sums
    };
    assert_eq!(by_bytes(&left, 3), by_bytes(&consumed, 3));
    assert_eq!(total(&left, |t| few_rounds(3, &keys, t)), total(&consumed, |t| few_rounds(3, &keys, t)));
    assert_ne!(total(&left, |t| few_rounds(4, &keys, t)), total(&consumed, |t| few_rounds(4, &keys, t)));
    assert_ne!(total(&left, |t| whole_aes(&keys[0], t)), total(&consumed, |t| whole_aes(&keys[0], t)));
}

/// FIPS 197, appendix C.1.
#[test]
fn the_function_is_aes() {
    let key: [u8; 16] = std::array::from_fn(|i| i as u8);
    let text: [u8; 16] = std::array::from_fn(|i| 0x11 * i as u8);
    let expected = 0x69c4_e0d8_6a7b_0430_d8cd_b780_70b4_c55a_u128.to_be_bytes();
    assert_eq!(whole_aes(&key, bytemuck::must_cast(text)), u128::from_le_bytes(expected));
}

/// From genesis with no version virgin in the list, entries are of the code of no version.
#[test]
fn a_version_that_nobody_has_is_not_taken_for_the_entry() {
    let mut random = Random(seed(58));
    let mut columns = TestColumns::new((0, BLOCKS, 0), &history(0, 1, false, &mut random), &mut random);
    let (cells, default) = columns.defaults().swap_remove(0);
    assert_eq!(cells, 0..1);
    columns.foreign.clear();
    columns.moves = std::iter::once(0..1).collect();
    columns.locations.truncate(1);
    for write in [false, true] {
        (columns.cells, columns.intx, columns.prev, columns.next) =
            (vec![0], vec![u32::MAX], vec![default], vec![default]);
        columns.write = vec![write];
        let version = if write { 0 } else { u32::MAX };
        let mut exits = vec![ExitRow::default(); columns.table.len()];
        exits[0] = ExitRow { last: 1, version, value: default };
        let lie = Hints { last: vec![0].into(), exits: exits.into() };
        assert!(summed(&columns, Some(lie)).is_err());
        assert!(forward(&columns).is_err());
    }
    // Nor is a cell that is none looked up.
    let mut columns = TestColumns::new((7, 7 + BLOCKS, 7), &history(7, 1, false, &mut random), &mut random);
    let past = columns.table.len() as u32;
    if let Some(cell) = columns.cells.last_mut() {
        *cell = past;
        let hints =
            Hints { last: vec![0; columns.cells.len()].into(), exits: vec![ExitRow::default(); past as usize].into() };
        assert!(summed(&columns, Some(hints)).is_err());
    }
}

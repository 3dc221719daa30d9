//! Scalars mod n on a device: both products against ruint, stages against their twins bit for bit, and what they make of rows against the
//! definition.

use super::super::gpu::{SHARING, Sums};
use super::super::scalar::{Curve, Secp256k1};
use super::super::words::{ORDER, Words};
use super::Draw;
use super::device::{Compiled, POISON, Twin, element, flavours, gpus, hold, twins};
use manaflow_shaders::secp256k1::{self as stages, Recovery, TILE};
use manaflow_shaders::{Stage, twin};
use ruint::aliases::{U256, U512};
use twin::field::{Element, Product};
use twin::order::{High, U32, U64, add, sub};
use twin::secp256k1::{load, place, store};

fn big(a: &Element) -> U256 {
    U256::from_limbs(std::array::from_fn(|k| u64::from(a[2 * k]) | u64::from(a[2 * k + 1]) << 32))
}

fn n() -> U256 {
    U256::from_limbs(ORDER)
}

fn of(a: U256) -> Element {
    element(&a.into_limbs())
}

/// Any numbers of 256 bits: next to borders of limbs and words, to multiples of n and to what products are folded by, and drawn ones.
fn numbers(draw: &mut Draw) -> Vec<Element> {
    let (one, excess) = (U256::from(1), U256::ZERO.wrapping_sub(n()));
    let mut all: Vec<U256> = (0..4).map(U256::from).collect();
    all.extend((0..4).flat_map(|d| [n() - U256::from(d), n() + U256::from(d), U256::MAX - U256::from(d)]));
    all.extend([excess - one, excess, excess + one, n() >> 1, (n() >> 1) + one, n() - excess]);
    for k in [13, 26, 32, 64, 96, 127, 128, 129, 130, 160, 192, 224, 247, 255] {
        let power = one << k;
        all.extend([power, power - one, n() - power, U256::MAX ^ power]);
    }
    all.extend((0..8).map(|k| U256::from(u32::MAX) << (32 * k)));
    all.extend((0..40).map(|_| U256::from_limbs(std::array::from_fn(|_| draw.word()))));
    all.into_iter().map(of).collect()
}

fn drawn(draw: &mut Draw) -> Element {
    let numbers = numbers(draw);
    of(big(&numbers[draw.below(numbers.len())]) % n())
}

#[test]
fn twins_of_both_products_mod_n_are_right() {
    let mut draw = Draw::new(341);
    let numbers = numbers(&mut draw);
    for a in &numbers {
        for b in &numbers {
            let (x, y) = (big(a), big(b));
            let wide = U512::from(x) * U512::from(y);
            let wanted = of(U256::from_limbs(std::array::from_fn(|k| (wide % U512::from(n())).as_limbs()[k])));
            assert_eq!((U32::mul(a, b), U64::mul(a, b)), (wanted, wanted), "{a:x?} {b:x?}");
            let high: U512 = (wide + (U512::from(1) << 383)) >> 384;
            if high < U512::from(1) << 128 {
                let high = of(U256::from_limbs(std::array::from_fn(|k| high.as_limbs()[k])));
                assert_eq!((U32::high(a, b), U64::high(a, b)), (high, high), "{a:x?} {b:x?}");
            }
            if x < n() && y < n() {
                assert_eq!(big(&add(a, b)), x.add_mod(y, n()), "{a:x?} {b:x?}");
                assert_eq!(big(&sub(a, b)), x.add_mod(n() - y, n()), "{a:x?} {b:x?}");
            }
        }
    }
}

/// Next to a multiple of n, where the last subtraction is decided.
#[test]
fn products_next_to_multiples_of_n_are_right() {
    let mut draw = Draw::new(342);
    for a in numbers(&mut draw).iter().filter(|a| big(a) % n() != U256::ZERO) {
        let inverse = big(a).inv_mod(n()).expect("n is prime");
        for d in 0..7 {
            let wanted = (n() + U256::from(d) - U256::from(3)) % n();
            let b = of(inverse.mul_mod(wanted, n()));
            assert_eq!((U32::mul(a, &b), U64::mul(a, &b)), (of(wanted), of(wanted)), "{a:x?} {d}");
        }
    }
}

/// A column of numbers below n, `words` words a row.
fn column(rows: usize, words: usize, draw: &mut Draw) -> Vec<u32> {
    let mut out = vec![POISON; rows.next_multiple_of(TILE) * words];
    for row in 0..rows {
        for word in (0..words).step_by(8) {
            store(&mut out, word, row, words, &drawn(draw));
        }
    }
    out
}

/// Anything.
fn words(count: usize, draw: &mut Draw) -> Vec<u32> {
    (0..count).map(|_| draw.word() as u32).collect()
}

#[test]
fn stages_of_scalars_equal_their_twins_bit_for_bit() {
    let mut draw = Draw::new(343);
    for gpu in gpus("stages_of_scalars_equal_their_twins_bit_for_bit") {
        let on = &mut Compiled::new(gpu);
        let draw = &mut draw;
        let of = |pick: fn(&'static Recovery) -> &'static Stage| flavours(gpu).map(pick).collect::<Vec<_>>();
        for rows in [0usize, 1, 63, 64, 65, 130] {
            let poison = |words: usize| vec![POISON; rows.next_multiple_of(TILE) * words];
            let mut numbers = column(rows, 24, draw);
            // No s is 0 but by mistake.
            (0..rows).step_by(9).for_each(|row| store(&mut numbers, 16, row, 24, &[0; 8]));
            for sharing in [1, 3, SHARING] {
                let lanes = rows.div_ceil(sharing);
                let params = [rows as u32, lanes as u32, sharing as u32, POISON];
                let buffers = [numbers.clone(), poison(8), poison(8)];
                let twins = twins!(products, params, [points: , before: write, totals: write]);
                hold(on, &of(|f| &f.products_of_scalars), params, &buffers, twins);
                let weights = words(rows.next_multiple_of(TILE) * 4, draw);
                let (before, totals) = (column(rows, 8, draw), column(lanes, 8, draw));
                let buffers = [numbers.clone(), before, totals, weights, poison(16)];
                let twins = twins!(weigh, params, [points: , before: , totals: , weights: , terms: write]);
                hold(on, &of(|f| &f.weigh), params, &buffers, twins);
            }
            let chain = stages::INVERSE_OF_SCALAR;
            let params = [rows as u32, chain.len() as u32, POISON, POISON];
            let twins = twins!(invert, params, [chain: , totals: write]);
            let buffers = [chain.as_flattened().to_vec(), column(rows, 8, draw)];
            hold(on, &of(|f| &f.invert_scalars), params, &buffers, twins);
            let params = [rows as u32, POISON, POISON, POISON];
            let twins = twins!(split, params, [sums: , bias: , scalars: write]);
            let scalars = vec![POISON; (2 * rows).next_multiple_of(TILE) * 5];
            let mut bias = words(5, draw);
            bias[4] &= 7;
            hold(on, &of(|f| &f.split), params, &[column(rows, 8, draw), bias, scalars], twins);
            // Sums of none, of one and of many, by order and as they come.
            for (word, words, how) in [(8, 16, 1), (0, 16, 2 * 70 + 1), (0, 8, 0), (0, 8, 2 * 3)] {
                let terms = column(rows, words, draw);
                let mut starts: Vec<u32> = (0..rows + 4).map(|_| draw.below(rows + 1) as u32).collect();
                starts.sort_unstable();
                let order = (0..rows.max(1)).map(|_| draw.below(rows.max(1)) as u32).collect();
                let out = vec![POISON; (rows + 3 + how / 2).next_multiple_of(TILE) * 8];
                let params = [starts.len() as u32 - 1, word, words as u32, how as u32];
                let twin: Twin<'_> = &|buffers| {
                    let [starts, order, terms, out] = buffers else { panic!("buffers") };
                    twin::secp256k1::sums(params, starts, order, terms, out);
                };
                hold(on, &[&stages::SUMS], params, &[starts, order, terms, out], [twin, twin]);
            }
        }
        on.say();
    }
}

/// Rows through all stages, by their twins: a u1, a u2, their sums by signer, and the halves of these.
#[test]
fn scalars_are_those_of_the_definition() {
    let mut draw = Draw::new(344);
    for (rows, keys) in [(1usize, 1usize), (40, 7), (300, 2), (200, 200)] {
        let mut numbers = column(rows, 24, &mut draw);
        for row in 0..rows {
            // A digest is any number, and s is none but 0.
            let digest: Words = std::array::from_fn(|_| draw.word());
            store(&mut numbers, 0, row, 24, &element(&digest));
            let s = big(&drawn(&mut draw)).max(U256::from(1));
            store(&mut numbers, 16, row, 24, &of(s));
        }
        let weights = words(rows.next_multiple_of(TILE) * 4, &mut draw);
        let lanes = rows.div_ceil(SHARING);
        let padded = |rows: usize, words: usize| vec![POISON; rows.next_multiple_of(TILE) * words];
        let (mut before, mut totals, mut terms) = (padded(rows, 8), padded(lanes, 8), padded(rows, 16));
        let share = [rows as u32, lanes as u32, SHARING as u32, 0];
        let chain = stages::INVERSE_OF_SCALAR;
        twin::secp256k1::products::<U64>(share, &numbers, &mut before, &mut totals);
        let params = [lanes as u32, chain.len() as u32, 0, 0];
        twin::secp256k1::invert::<U64>(params, chain.as_flattened(), &mut totals);
        twin::secp256k1::weigh::<U64>(share, &numbers, &before, &totals, &weights, &mut terms);
        let lambda = U256::from_limbs([
            0xDF02_967C_1B23_BD72,
            0x122E_22EA_2081_6678,
            0xA526_1C02_8812_645A,
            0x5363_AD4C_C05C_30E0,
        ]);
        let key = |row: usize| row * 31 % keys;
        let (mut of_g, mut of_keys) = (U256::ZERO, vec![U256::ZERO; keys]);
        for row in 0..rows {
            let [z, r, s] = [0, 8, 16].map(|word| big(&load(&numbers, word, row, 24)));
            let weight =
                |k| U256::from(u64::from(weights[place(k, row, 4)]) | u64::from(weights[place(k + 1, row, 4)]) << 32);
            let a = weight(2).mul_mod(lambda, n()).add_mod(weight(0), n());
            let over = a.mul_mod(s.inv_mod(n()).expect("n is prime"), n());
            let wanted = [over.mul_mod(z, n()), over.mul_mod(r, n())];
            assert_eq!([0, 8].map(|word| big(&load(&terms, word, row, 16))), wanted, "row {row}");
            of_g = of_g.add_mod(wanted[0], n());
            of_keys[key(row)] = of_keys[key(row)].add_mod(wanted[1], n());
        }
        let sums = Sums::new((0..rows).map(|row| (row as u32, key(row) as u32)), keys);
        let [of_piece, of_whole] = [sums.of_keys.len() - 1, sums.of_g.len() - 1];
        let (mut pieces, mut all) = (padded(of_piece + of_whole, 8), padded(keys + 1, 8));
        twin::secp256k1::sums([of_piece as u32, 8, 16, 1], &sums.of_keys, &sums.order, &terms, &mut pieces);
        let params = [of_whole as u32, 0, 16, 2 * of_piece as u32 + 1];
        twin::secp256k1::sums(params, &sums.of_g, &sums.order, &terms, &mut pieces);
        twin::secp256k1::sums([keys as u32 + 1, 0, 8, 0], &sums.totals, &sums.order, &pieces, &mut all);
        assert_eq!(sums.keys.len(), keys);
        let of_keys: Vec<U256> = sums.keys.iter().map(|key| of_keys[*key as usize]).chain([of_g]).collect();
        let mut scalars = padded(2 * (keys + 1), 5);
        twin::secp256k1::split::<U64>([keys as u32 + 1, 0, 0, 0], &all, &[0; 5], &mut scalars);
        for (i, wanted) in of_keys.iter().enumerate() {
            assert_eq!(big(&load(&all, 0, i, 8)), *wanted, "sum {i}");
            for (half, expected) in Secp256k1::split(&wanted.into_limbs()).iter().enumerate() {
                let word = |k| u64::from(scalars[place(k, 2 * i + half, 5)]);
                let size = [word(0) | word(1) << 32, word(2) | word(3) << 32];
                let is_negative = expected[2] >> 63 == 1;
                let signed = u128::from(expected[0]) | u128::from(expected[1]) << 64;
                let size = u128::from(size[0]) | u128::from(size[1]) << 64;
                let expected = if is_negative { signed.wrapping_neg() } else { signed };
                assert_eq!((size, word(4)), (expected, u64::from(is_negative) << 31), "half {half} of {i}");
            }
        }
    }
}

/// Every row is in one piece of its signer and in one of all; no piece is long.
#[test]
fn sums_have_each_row_once() {
    let mut draw = Draw::new(345);
    for (rows, keys) in
        [(0, 0), (0, 3), (1, 1), (127, 1), (128, 1), (129, 1), (1000, 1), (1000, 3), (500, 900), (3000, 8)]
    {
        let all: Vec<(u32, u32)> =
            (0..rows).filter(|row| row % 7 > 0).map(|row| (row, draw.below(keys) as u32)).collect();
        let sums = Sums::new(all.iter().copied(), keys);
        let used = sums.keys.len();
        assert!((sums.totals.len(), sums.totals[0], sums.of_keys[0], sums.of_g[0]) == (used + 2, 0, 0, 0));
        assert_eq!(sums.points(5), sums.keys.iter().map(|key| key + 5).chain([5 + keys as u32]).collect::<Vec<_>>());
        for starts in [&sums.of_keys, &sums.of_g] {
            assert!(starts.windows(2).all(|ends| ends[0] < ends[1] && ends[1] - ends[0] <= 128));
            assert_eq!(starts[starts.len() - 1] as usize, all.len());
        }
        for (i, key) in sums.keys.iter().enumerate() {
            let [first, end] = [i, i + 1].map(|i| sums.of_keys[sums.totals[i] as usize] as usize);
            let wanted: Vec<u32> = all.iter().filter(|(_, of)| of == key).map(|(row, _)| *row).collect();
            assert!(!wanted.is_empty() && sums.order[first..end] == wanted, "key {key}");
        }
        let pieces = sums.of_keys.len() + sums.of_g.len() - 2;
        assert_eq!(sums.totals[used..], [sums.of_keys.len() as u32 - 1, pieces as u32]);
    }
}

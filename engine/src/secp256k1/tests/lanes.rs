//! What lanes do in their own way, against the plain definitions of the trait and against big integers.

use super::super::field::{Lanes, NO_ENTRY, Row};
use super::super::split::{Halves, halves};
use super::super::words::{FIELD_PRIME, ORDER, Words, from_limbs, is_below, sub, to_bytes};
use super::{Draw, for_each_variant};
use ruint::aliases::{U256, U512};

/// Numbers at which a comparison, a fold or a rounding turns, and others.
fn numbers(draw: &mut Draw) -> Vec<Words> {
    let one = U256::from(1);
    let mut all: Vec<U256> = [ORDER, FIELD_PRIME]
        .iter()
        .map(|words| U256::from_limbs(*words))
        .flat_map(|n| [n - one, n, n + one, n >> 1, (n >> 1) + one])
        .collect();
    all.extend([U256::ZERO, one, U256::from(2), U256::MAX, U256::MAX - one, one << 128, (one << 128) - one]);
    all.extend((0..256).map(|bit| one << bit));
    // (i + 1/2) n / a: where a quotient of the split turns.
    for a in
        [[0xE86C_90E4_9284_EB15, 0x3086_D221_A7D4_6BCD, 0, 0], [0x6F54_7FA9_0ABF_E4C3, 0xE443_7ED6_010E_8828, 0, 0]]
    {
        for _ in 0..200 {
            let i = U512::from(draw.word()) << draw.below(64);
            let (n, a) = (U512::from(U256::from_limbs(ORDER)), U512::from(U256::from_limbs(a)));
            let k = ((i * U512::from(2) + U512::from(1)) * n / (a * U512::from(2))) % n;
            let k = U256::from_limbs(std::array::from_fn(|w| k.as_limbs()[w]));
            all.extend([k.saturating_sub(one), k, k + one]);
        }
    }
    let mut words: Vec<Words> = all.into_iter().map(U256::into_limbs).collect();
    words.extend((0..400).map(|_| std::array::from_fn(|_| draw.word())));
    words
}

fn own_ways<L: Lanes>() {
    let mut draw = Draw::new(41);
    let all = numbers(&mut draw);
    for start in 0..all.len() - 8 {
        let words: [Words; 8] = std::array::from_fn(|lane| all[start + lane]);
        let bytes = words.map(|words| to_bytes(&words));
        let lanes = L::from_bytes(&std::array::from_fn(|lane| &bytes[lane]));
        for (lane, words) in words.iter().enumerate().take(L::LANES) {
            assert_eq!(from_limbs(&lanes.limbs(lane)), (*words, 0));
        }
        for bound in [ORDER, FIELD_PRIME, [1, 0, 0, 0], words[0], words[3], [0; 4]] {
            let mask = lanes.below(&bound);
            for (lane, words) in words.iter().enumerate().take(L::LANES) {
                assert_eq!(mask >> lane & 1 == 1, is_below(words, &bound), "{words:x?} and {bound:x?}");
            }
        }
        let reduced = lanes.canonical_scalar();
        let mut expected = [Halves::default(); 2];
        for (lane, words) in words.iter().enumerate().take(L::LANES) {
            let k = U256::from_limbs(*words).reduce_mod(U256::from_limbs(ORDER)).into_limbs();
            assert_eq!(from_limbs(&reduced.limbs(lane)), (k, 0), "{words:x?} mod n");
            expected.iter_mut().zip(&halves(&k)).for_each(|(expected, half)| expected.set(lane, half));
        }
        assert_eq!(reduced.split(), expected, "{words:x?}");
    }
    // Sums: limb 4 up to 2^63.
    for _ in 0..500 {
        let top = |draw: &mut Draw| draw.word() >> (1 + draw.below(62));
        let limbs: [[u64; 5]; 8] = std::array::from_fn(|_| {
            let l: [u64; 4] =
                std::array::from_fn(|_| if draw.below(4) == 0 { (1 << 52) - 1 } else { draw.word() >> 12 });
            [l[0], l[1], l[2], l[3], if draw.below(4) == 0 { (1 << 63) - 1 } else { top(&mut draw) }]
        });
        let reduced = L::from_limbs(&limbs).canonical_scalar();
        for (lane, limbs) in limbs.iter().enumerate().take(L::LANES) {
            let value = limbs.iter().rev().fold(U512::ZERO, |sum, limb| (sum << 52) + U512::from(*limb));
            let k = (value % U512::from(U256::from_limbs(ORDER))).to::<U256>();
            assert_eq!(from_limbs(&reduced.limbs(lane)), (k.into_limbs(), 0), "{limbs:x?} mod n");
        }
    }
}

#[test]
fn lanes_read_compare_and_split_as_single_numbers_do() {
    for_each_variant!("lanes_read_compare_and_split_as_single_numbers_do", own_ways);
}

/// Rows by entries: any mixture of places, signs and nothing; lanes moved one by one.
fn gathers<L: Lanes>() {
    let mut draw = Draw::new(42);
    let mut word =
        |bits: u32| std::array::from_fn(|k| if k == 3 { draw.word() >> (bits % 2 + 1) } else { draw.word() });
    let rows: Vec<Row> = (0..37).map(|i| Row::new(&word(i), &word(i + 1))).collect();
    let mut draw = Draw::new(43);
    for _ in 0..300 {
        let entries: [u32; 8] = std::array::from_fn(|_| match draw.below(5) {
            0 => NO_ENTRY,
            _ => 2 + draw.below(rows.len() * 2 - 2) as u32,
        });
        L::fetch_entries(&rows, &entries[..L::LANES]);
        let (x, y, present) = L::gather(&rows, &entries[..L::LANES]);
        assert_eq!(present & !L::ALL, 0);
        for (lane, entry) in entries.iter().enumerate().take(L::LANES) {
            assert_eq!(present >> lane & 1 == 1, *entry != NO_ENTRY);
            if *entry != NO_ENTRY {
                let row = &rows[(entry >> 1) as usize];
                let expected = if entry & 1 == 1 { sub(&FIELD_PRIME, &row.y()).0 } else { row.y() };
                assert_eq!(from_limbs(&x.limbs(lane)), (row.x(), 0));
                assert_eq!(from_limbs(&y.limbs(lane)), (expected, 0));
            }
        }
        let (from, to) = (draw.below(L::LANES), draw.below(L::LANES));
        let mut moved = y;
        moved.set_lane(to, &x, from);
        for lane in 0..L::LANES {
            assert_eq!(moved.limbs(lane), if lane == to { x.limbs(from) } else { y.limbs(lane) });
        }
    }
}

#[test]
fn lanes_take_points_by_entries() {
    for_each_variant!("lanes_take_points_by_entries", gathers);
}

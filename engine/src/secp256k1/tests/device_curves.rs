//! Whole small worlds on a device: groups of order 13 and 199 through the stages of recovery and of sums, and through their twins.
//!
//! Stages do not add equal or opposite points, which small groups have everywhere: such rows and buckets come back marked, and then
//! nothing is said of them. What is not marked equals the slow definition; the tests say how much that is.

use super::super::ecmult::{COMB_WINDOW, COMB_WINDOWS};
use super::super::field::Row;
use super::super::gpu::{Recoverer, Verifier, number, pack_points};
use super::super::msm::Scalars;
use super::super::recover::Prepared;
use super::super::scalar::{Curve, Secp256k1};
use super::super::words::{FIELD_PRIME, Words, sub};
use super::Draw;
use super::curves::{Order13, Order199, all_rows, group};
use super::device::{by_twins, flavours, gpus};
use manaflow_shaders::secp256k1::{FOUND, MET, NOBODY, TILE};
use manaflow_shaders::twin::field::{U32, U64};
use manaflow_shaders::twin::secp256k1::place;

/// Rows as the stages read them: u1 = -z / r and u2 = s / r by the definition.
fn packed<C: Curve>(rows: &[Prepared]) -> Vec<u32> {
    let n = C::ORDER[0];
    let inverse = |r: u64| (1..n).find(|i| i * r % n == 1).expect("a prime order");
    let of = |k: u64| -> Words { [k % n, 0, 0, 0] };
    let u1: Vec<Words> = rows.iter().map(|row| of((n - row.z[0]) * inverse(row.r[0]))).collect();
    let u2: Vec<Words> = rows.iter().map(|row| of(row.s[0] * inverse(row.r[0]))).collect();
    let mut out = vec![0; rows.len().next_multiple_of(TILE) * 29];
    pack_points::<C>(rows.iter().map(|row| (row.x, row.is_odd)), &u1, &u2, &mut out);
    out
}

/// Holds what was read of rows against whom they recover to; gives how many were not marked.
fn settled(rows: &[Prepared], expected: &[Option<Row>], read: &[u32]) -> usize {
    let mut settled = 0;
    for (i, expected) in expected.iter().enumerate() {
        let verdict = read[place(16, i, 17)];
        if verdict == MET {
            continue;
        }
        settled += 1;
        assert_eq!(verdict, FOUND, "R is a point: {:?}", rows[i]);
        let got = Row::new(&number(read, 0, i, 17), &number(read, 8, i, 17));
        assert_eq!(Some(got), *expected, "{:?}", rows[i]);
    }
    settled
}

fn recoveries<C: Curve>(test: &str) -> usize {
    let (rows, expected) = all_rows::<C>();
    let packed = packed::<C>(&rows);
    let columns = by_twins::<U64, C>(packed.clone(), rows.len());
    let by_twin = settled(&rows, &expected, &columns[8]);
    let few = rows.len().min(4 * TILE);
    let words = few.next_multiple_of(TILE) * 29;
    let others = by_twins::<U32, C>(packed[..words].to_vec(), few);
    assert!((0..few).all(|i| others[8][place(16, i, 17)] == columns[8][place(16, i, 17)]));
    settled(&rows[..few], &expected[..few], &others[8]);
    for gpu in gpus(test) {
        for flavour in flavours(gpu) {
            let recoverer = Recoverer::of_curve::<C>(gpu, flavour, usize::MAX).expect("it compiles");
            let read = recoverer.run(&packed, rows.len(), false).expect("the device recovers").remove(0);
            assert_eq!(settled(&rows, &expected, &read), by_twin, "{}", flavour.lift.name);
        }
    }
    manaflow_datasets::say(&format!("order {}: {by_twin} of {} rows are not marked", C::ORDER[0], rows.len()));
    by_twin
}

#[test]
fn all_recoveries_in_small_groups_on_a_device() {
    let test = "all_recoveries_in_small_groups_on_a_device";
    // 13 R is among the multiples of every R, so that all are marked; none is told a key that is not its own.
    assert_eq!(recoveries::<Order13>(test), 0);
    assert!(recoveries::<Order199>(test) > 500);
}

/// Every point of a group, with its y and the other, is a point and has its parity; with other coordinates it is none.
fn hints<C: Curve>(test: &str) {
    let group = group::<C>();
    let points: Vec<Row> = group.iter().flatten().copied().collect();
    for gpu in gpus(test) {
        for flavour in flavours(gpu) {
            let recoverer = Recoverer::of_curve::<C>(gpu, flavour, usize::MAX).expect("it compiles");
            let verifier = Verifier::of_curve::<C>(&recoverer).expect("it compiles");
            let off = |row: &Row| Row::new(&row.x(), &sub(&row.y(), &[2, 0, 0, 0]).0);
            let minus = |row: &Row| Row::new(&row.x(), &sub(&FIELD_PRIME, &row.y()).0);
            let mut all: Vec<Row> = points.clone();
            all.extend(points.iter().map(minus));
            all.extend(points.iter().map(off));
            all.push(Secp256k1::G);
            let none = || {
                let mut scalars = Scalars::default();
                all.iter().for_each(|_| (scalars.push([0; 2], false), scalars.push([0; 2], false)).0);
                scalars
            };
            let (verdicts, is_identity) =
                verifier.sum(&recoverer, [&all, &all], [none(), none()]).expect("the device answers");
            assert_eq!(is_identity, Some(true), "an empty sum");
            for (i, verdict) in verdicts.iter().enumerate() {
                assert_eq!(*verdict, i % all.len() < 2 * points.len(), "{}: {i}", flavour.hints.name);
            }
        }
    }
}

/// Sums of multiples of drawn points, half of them the identity. Gives how many sums were not marked.
fn sums<C: Curve>(test: &str, lambda: i128) -> usize {
    let group = group::<C>();
    let n = i128::from(C::ORDER[0]);
    let mut draw = Draw::new(321);
    let (mut settled, mut turns) = (0, 0);
    for gpu in gpus(test).iter().take(1) {
        for flavour in flavours(gpu) {
            let recoverer = Recoverer::of_curve::<C>(gpu, flavour, usize::MAX).expect("it compiles");
            let verifier = Verifier::of_curve::<C>(&recoverer).expect("it compiles");
            for turn in 0..60 {
                let counts = [draw.below(3), 1];
                let (mut points, mut scalars) = ([vec![], vec![]], [Scalars::default(), Scalars::default()]);
                let mut sum = 0;
                for part in 0..2 {
                    for i in 0..counts[part] {
                        let is_last = part == 1 && i + 1 == counts[part];
                        let k = 1 + draw.below(n as usize - 1);
                        points[part].push(group[k].expect("not the identity"));
                        for times in [1, lambda] {
                            let high = if part == 1 { draw.word() } else { 0 };
                            let (mut words, is_negative) = ([draw.word(), high], draw.word() & 1 == 1);
                            let value =
                                |words: [u64; 2]| (u128::from(words[0]) | u128::from(words[1]) << 64) % n as u128;
                            let of = |words: [u64; 2]| {
                                let value = value(words) as i128 * times * k as i128;
                                if is_negative { -value } else { value }
                            };
                            // The last scalar makes the sum the identity every other time.
                            if is_last && times == lambda && turn % 2 == 0 {
                                words[0] &= u64::MAX << 8;
                                while (sum + of(words)) % n != 0 {
                                    words[0] += 1;
                                }
                            }
                            sum += of(words);
                            scalars[part].push(words, is_negative);
                        }
                    }
                }
                let (verdicts, is_identity) =
                    verifier.sum(&recoverer, [&points[0], &points[1]], scalars).expect("the device answers");
                assert!(verdicts.iter().all(|is_right| *is_right));
                turns += 1;
                if let Some(is_identity) = is_identity {
                    settled += 1;
                    assert_eq!(is_identity, sum % n == 0, "{}: turn {turn}", flavour.join.name);
                }
            }
        }
    }
    manaflow_datasets::say(&format!("order {n}: {settled} of {turns} sums are not marked"));
    if turns == 0 { 1 } else { settled }
}

#[test]
fn sums_in_small_groups_on_a_device() {
    let test = "sums_in_small_groups_on_a_device";
    hints::<Order13>(test);
    hints::<Order199>(test);
    assert!(sums::<Order13>(test, 3) > 0);
    assert!(sums::<Order199>(test, 92) > 0);
}

const _: () = assert!(NOBODY == 0 && COMB_WINDOW * COMB_WINDOWS >= 130);

//! Whole small worlds: groups of order 13 and 199 on other curves over the same field, run through the same generic code.
//!
//! Generators were found by taking random points of y^2 = x^3 + B times the cofactor; the tests check their order.

use super::super::ecmult::comb_table;
use super::super::field::{Lanes, Row};
use super::super::group::{Adder, Points, Single, multiply_two, splat};
use super::super::recover::{Prepared, Recoverer};
use super::super::scalar::{Curve, Signed, split_odd};
use super::super::words::Words;
use super::for_each_variant;
use crate::secp256k1::field::scalar::One;
use std::sync::LazyLock;

/// y^2 = x^3 + 2, order 13, lambda 3.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order13;
/// y^2 = x^3 + 4, order 199, lambda 92.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order199;

/// k = a + b lambda with b from a digest of k, so that halves are long, short, negative.
fn split(k: &Words, order: i128, lambda: i128) -> [Signed; 2] {
    let mix = k[0].wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let b = i128::from(mix % order as u64);
    let far = [0, 1, -1, 1 << 100, -(1 << 100), (1 << 118) + 12345][(mix >> 32) as usize % 6];
    let a = i128::from(k[0]) - b * lambda % order + order * far;
    [a, b].map(|half| [half as u64, (half >> 64) as u64, (half >> 127) as u64])
}

impl Curve for Order13 {
    const B: Words = [2, 0, 0, 0];
    const ORDER: Words = [13, 0, 0, 0];
    const G: Row = Row([
        0x88e4_89aa_3d68_746b,
        0x929c_645b_e565_84aa,
        0x346a_9753_30b1_2e1d,
        0x3ad3_e1ec_92dc_070a,
        0x6c60_7f91_c852_0383,
        0xf150_65bc_0910_01aa,
        0xf787_bb15_bc0b_9fc1,
        0xab34_e494_2373_ed8c,
    ]);
    const BETA: Words = [0x3ec6_93d6_8e6a_fa40, 0x630f_b68a_ed0a_766a, 0x919b_b861_53cb_cb16, 0x8516_95d4_9a83_f8ef];
    const RELATIONS: [[Signed; 2]; 2] = [[[23, 0, 0], [1, 0, 0]], [[10, 0, 0], [1, 0, 0]]];
    const IS_SMALL: bool = true;

    fn split(k: &Words) -> [Signed; 2] {
        split(k, 13, 3)
    }

    fn comb() -> &'static [Row] {
        static TABLE: LazyLock<Vec<Row>> = LazyLock::new(comb_table::<Order13>);
        &TABLE
    }
}

impl Curve for Order199 {
    const B: Words = [4, 0, 0, 0];
    const ORDER: Words = [199, 0, 0, 0];
    const G: Row = Row([
        0xfb12_940c_9ea6_6c18,
        0x3b01_7a7d_a808_c2f1,
        0xa749_dd39_2b4f_b069,
        0xfa7c_c9a7_0737_f2db,
        0xcfe5_2572_7f05_01ed,
        0x48df_246c_808d_ae72,
        0x8732_bc91_1f3a_2868,
        0x78ac_123a_5ed8_aef3,
    ]);
    const BETA: Words = crate::secp256k1::field::BETA;
    const RELATIONS: [[Signed; 2]; 2] = [[[107, 0, 0], [1, 0, 0]], [[306, 0, 0], [1, 0, 0]]];
    const IS_SMALL: bool = true;

    fn split(k: &Words) -> [Signed; 2] {
        split(k, 199, 92)
    }

    fn comb() -> &'static [Row] {
        static TABLE: LazyLock<Vec<Row>> = LazyLock::new(comb_table::<Order199>);
        &TABLE
    }
}

/// The whole group: k G at k.
pub(super) fn group<C: Curve>() -> Vec<Option<Row>> {
    let g = splat::<One>(&C::G);
    let mut sum = Single::IDENTITY;
    let mut all = Vec::new();
    for _ in 0..C::ORDER[0] {
        all.push(sum.affine());
        sum = sum.add_affine(&g);
    }
    assert!(sum.0.is_none() && all[1..].iter().all(Option::is_some), "the order is what it is said to be");
    all
}

/// Affine sums of all pairs of all elements, in all lanes at once.
fn sums<L: Lanes, C: Curve>() {
    let group = group::<C>();
    let n = group.len();
    let (mut points, mut adder) = (Points::<L>::new(), Adder::new());
    let pairs = (n * n).div_ceil(L::LANES);
    points.reserve(2 * pairs);
    let mut put = |slot: usize, lane: usize, element: &Option<Row>| {
        if let Some(row) = element {
            let (x, y) = (One::splat(&row.x()).0, One::splat(&row.y()).0);
            points.at[slot].x.set_limbs(lane, x);
            points.at[slot].y.set_limbs(lane, y);
            points.present[slot] |= 1 << lane;
        }
    };
    for i in 0..n * n {
        put(i / L::LANES, i % L::LANES, &group[i / n]);
        put(pairs + i / L::LANES, i % L::LANES, &group[i % n]);
    }
    let ops: Vec<(u32, u32)> = (0..pairs as u32).map(|i| (i, pairs as u32 + i)).collect();
    adder.round(&mut points, &ops);
    for i in 0..n * n {
        assert_eq!(points.row(i / L::LANES, i % L::LANES), group[(i / n + i % n) % n], "{} + {}", i / n, i % n);
    }
}

/// Rows of every (R, r, s) with a z each, and whom they recover to by the definition s R / r - z G / r.
pub(super) fn all_rows<C: Curve>() -> (Vec<Prepared>, Vec<Option<Row>>) {
    let group = group::<C>();
    let n = group.len() as u64;
    let inverse = |r: u64| (1..n).find(|i| i * r % n == 1).expect("a prime order");
    let mut rows = Vec::new();
    let mut expected = Vec::new();
    // All of the smaller group; of the larger one every R with s and z that go through all residues.
    let step = if n < 100 { 1 } else { 61 };
    for k in 1..n {
        let point = group[k as usize].expect("not the identity");
        for r in (1..n).step_by(step) {
            for s in (1..n).step_by(step / 2 + 1) {
                let z = if n < 100 { (k * 5 + r * 3 + s * 7) % n } else { (k + r + s * k) % n };
                rows.push(Prepared {
                    z: [z, 0, 0, 0],
                    r: [r, 0, 0, 0],
                    s: [s, 0, 0, 0],
                    x: point.x(),
                    is_odd: point.y()[0] & 1 == 1,
                });
                expected.push(group[((s * k + (n - z)) * inverse(r) % n) as usize]);
            }
        }
    }
    assert!(expected.iter().any(Option::is_none));
    (rows, expected)
}

fn recoveries<L: Lanes, C: Curve>() {
    let (rows, expected) = all_rows::<C>();
    let rows: Vec<_> = rows.into_iter().map(Some).collect();
    let got = L::enter(|| Recoverer::<L>::new().recover_prepared::<C>(&rows));
    for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
        assert_eq!(got, expected, "{:?}", rows[i]);
    }
}

#[test]
fn all_sums_of_small_groups() {
    for_each_variant!("all_sums_of_small_groups", sums::<Order13>);
    sums::<One, Order199>();
}

#[test]
fn all_recoveries_in_small_groups() {
    for_each_variant!("all_recoveries_in_small_groups", recoveries::<Order13>);
    #[cfg(target_arch = "x86_64")]
    if super::backends("all_recoveries_in_small_groups").len() == 2 {
        recoveries::<super::super::field::avx512::Eight, Order199>();
    }
    recoveries::<One, Order199>();
}

#[test]
fn small_groups_are_split_as_said() {
    fn check<C: Curve>(lambda: i128) {
        let n = C::ORDER[0] as i128;
        for k in 0..n {
            let value = |half: Signed| i128::from(half[0]) | i128::from(half[1]) << 64;
            let [a, b] = split_odd::<C>(&[k as u64, 0, 0, 0]);
            assert!(a[0] & b[0] & 1 == 1);
            assert_eq!((value(a) + value(b) * lambda).rem_euclid(n), k);
        }
        let g = C::G;
        let image = multiply_two::<One>(&[lambda as u64, 0, 0, 0], &g, &[0; 4], &g).expect("not the identity");
        let x = One::enter(|| One::splat(&C::BETA).mul(&One::splat(&g.x())));
        assert_eq!((image.x(), image.y()), (crate::secp256k1::field::lane_words(&x, 0), g.y()));
    }
    check::<Order13>(3);
    check::<Order199>(92);
}

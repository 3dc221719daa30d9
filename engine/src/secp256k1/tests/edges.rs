//! Rows at the edges of what recovery accepts.

use super::super::Signature;
use super::super::group::{Single, splat};
use super::super::scalar::{Curve, Secp256k1};
use super::super::words::{FIELD_PRIME, ORDER, Words, add, from_bytes, sub, to_bytes};
use super::{Draw, negated, signed, small};
use crate::secp256k1::field::Row;
use crate::secp256k1::field::scalar::One;
use ruint::aliases::{U256, U512};

/// a b mod n, by ruint.
pub(super) fn times_mod_n(a: &Words, b: &Words) -> Words {
    U256::from_limbs(*a).mul_mod(U256::from_limbs(*b), U256::from_limbs(ORDER)).into_limbs()
}

/// k G, one addition after the other.
fn small_multiple(k: usize) -> Row {
    let g = splat::<One>(&Secp256k1::G);
    (0..k).fold(Single::IDENTITY, |sum, _| sum.add_affine(&g)).affine().expect("k is below the order")
}

/// All edge rows of the table in the project's style: r, s, z, recovery ids, meetings.
pub(super) fn edge_rows() -> Vec<Signature> {
    let mut draw = Draw::new(77);
    let mut rows = Vec::new();
    let of = |words: Words| to_bytes(&words);
    let one: Words = [1, 0, 0, 0];
    let (n_1, n_plus) = (sub(&ORDER, &one).0, add(&ORDER, &one).0);
    let gap = sub(&FIELD_PRIME, &ORDER).0;
    let half: Words =
        [ORDER[0] >> 1 | ORDER[1] << 63, ORDER[1] >> 1 | ORDER[2] << 63, ORDER[2] >> 1 | ORDER[3] << 63, ORDER[3] >> 1];
    let half_up = add(&half, &one).0;
    let greatest = [u64::MAX; 4];
    let (base, _) = signed(6, 6, &mut draw);
    // r, with every recovery id and some that are none.
    let mut rs: Vec<Words> = (0..40).map(|r| [r, 0, 0, 0]).collect();
    rs.extend([n_1, ORDER, n_plus, greatest, sub(&gap, &one).0, gap, add(&gap, &one).0, sub(&FIELD_PRIME, &one).0]);
    for (i, r) in rs.iter().enumerate() {
        for recovery_id in [0, 1, 2, 3, 4, 255] {
            let digest = if i % 5 == 0 { [0; 32] } else { draw.bytes() };
            let s = if i % 7 == 0 { small(1) } else { draw.bytes() };
            rows.push(Signature { digest, r: of(*r), s, recovery_id });
        }
    }
    // s and z.
    let ends = [[0; 4], one, [2, 0, 0, 0], half, half_up, n_1, ORDER, n_plus, greatest];
    for (i, s) in ends.iter().enumerate() {
        for (j, z) in ends.iter().enumerate() {
            let base = &base[(i + j) % base.len()];
            rows.push(Signature { digest: of(*z), s: of(*s), ..*base });
            rows.push(Signature { digest: of(*z), ..*base });
        }
    }
    // The mirrored signature, and the same row again.
    for base in &base {
        let (s, recovery_id) = (of(negated(&from_bytes(&base.s))), base.recovery_id ^ 1);
        rows.extend([Signature { s, recovery_id, ..*base }, *base, *base]);
    }
    // (4, 4) has four keys.
    rows.extend((0..4).map(|recovery_id| Signature { digest: draw.bytes(), r: small(4), s: small(4), recovery_id }));
    // R = +-k G with scalars u1 and u2 that are small: sums inside meet equal and opposite points, or nothing.
    for k in 1..8 {
        let r = small_multiple(k).x();
        for recovery_id in [0, 1] {
            for s in 1..6 {
                for z in 0..8 {
                    let (s, z) = (times_mod_n(&r, &[s, 0, 0, 0]), times_mod_n(&r, &[z, 0, 0, 0]));
                    rows.push(Signature { digest: of(z), r: of(r), s: of(s), recovery_id });
                }
            }
            let (s, z) = ([3, 0, 0, 0], [3 * k as u64, 0, 0, 0]);
            rows.push(Signature { digest: of(z), r: of(r), s: of(s), recovery_id });
        }
    }
    // u2 = 2 (a + b lambda) for all digits a and b: splits whose ladder ends on an equal point.
    let lambda: Words = LAMBDA;
    let r = small_multiple(5).x();
    for a in (1..32).step_by(2) {
        for b in (1..32).step_by(6) {
            for (sign_a, sign_b) in [(1, 1), (1, -1), (-1, 1), (-1, -1)] {
                let signed = |k: u64, sign: i32| if sign < 0 { negated(&[k, 0, 0, 0]) } else { [k, 0, 0, 0] };
                let (a, b) = (signed(2 * a, sign_a), times_mod_n(&signed(2 * b, sign_b), &lambda));
                let u2 = U512::from(U256::from_limbs(a)) + U512::from(U256::from_limbs(b));
                let u2: U512 = u2 % U512::from(U256::from_limbs(ORDER));
                let u2: Words = std::array::from_fn(|i| u2.as_limbs()[i]);
                let s = times_mod_n(&u2, &r);
                rows.push(Signature { digest: draw.bytes(), r: of(r), s: of(s), recovery_id: 0 });
            }
        }
    }
    rows
}

/// The eigenvalue of (beta x, y).
pub(super) const LAMBDA: Words =
    [0xDF02_967C_1B23_BD72, 0x122E_22EA_2081_6678, 0xA526_1C02_8812_645A, 0x5363_AD4C_C05C_30E0];

#[test]
fn edge_rows_are_of_both_sorts() {
    let rows = edge_rows();
    let recovered = rows.iter().filter(|row| super::library::recover(row).is_some()).count();
    assert!(recovered > 800 && rows.len() - recovered > 150, "{recovered} of {}", rows.len());
    let with_r_reduced = rows.iter().filter(|row| row.recovery_id & !1 == 2);
    assert!(with_r_reduced.filter(|row| super::library::recover(row).is_some()).count() > 20);
}

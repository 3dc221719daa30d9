//! Scalars mod n, and the curve that they multiply points of: constants, Montgomery products in lanes, halves that are odd.
//!
//! The curve is a parameter, so that groups of order 13 and 199 run through the same code (tests). Products are Montgomery's
//! with R = 2^260 (`Lanes::mont`). The split itself: `split`.

use super::field::{BETA, Lanes, Modulus, ORDER_MODULUS, Row};
pub(crate) use super::split::Signed;
use super::split::{A1, A2, MINUS_B1};
use super::words::{Inverter, ORDER, Words, add, from_limbs, is_below, sub, to_limbs};

/// A curve y^2 = x^3 + B mod p and a group of prime order on it.
pub(crate) trait Curve: 'static {
    /// B.
    const B: Words;
    /// Order of the group.
    const ORDER: Words;
    /// The order, for products.
    const MODULUS: Modulus = Modulus::new(&Self::ORDER);
    /// The generator.
    const G: Row;
    /// (BETA x, y) is lambda times (x, y).
    const BETA: Words;
    /// (a, b) with a + b lambda = 0: one with both odd, one with a even and b odd.
    const RELATIONS: [[Signed; 2]; 2];
    /// Whether a small multiple of a point may be the identity.
    const IS_SMALL: bool;
    /// R, R^2, R^3 modulo the order.
    const R: [Words; 3] =
        [power_of_two(260, &Self::ORDER), power_of_two(520, &Self::ORDER), power_of_two(780, &Self::ORDER)];
    /// k below the order -> (a, b) with a + b lambda = k and both below 2^128 in absolute value.
    fn split(k: &Words) -> [Signed; 2];
    /// Odd multiples of powers of G times: what `ecmult::comb_table` makes of `G`.
    fn comb() -> &'static [Row];
}

/// secp256k1 itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secp256k1;

impl Curve for Secp256k1 {
    const B: Words = [7, 0, 0, 0];
    const ORDER: Words = ORDER;
    const MODULUS: Modulus = ORDER_MODULUS;
    const G: Row = Row([
        0x59F2_815B_16F8_1798,
        0x029B_FCDB_2DCE_28D9,
        0x55A0_6295_CE87_0B07,
        0x79BE_667E_F9DC_BBAC,
        0x9C47_D08F_FB10_D4B8,
        0xFD17_B448_A685_5419,
        0x5DA4_FBFC_0E11_08A8,
        0x483A_DA77_26A3_C465,
    ]);
    const BETA: Words = BETA;
    const RELATIONS: [[Signed; 2]; 2] =
        [[[A1[0], A1[1], 0], [!MINUS_B1[0] + 1, !MINUS_B1[1], !0]], [A2, [A1[0], A1[1], 0]]];
    const IS_SMALL: bool = false;

    #[inline(always)]
    fn split(k: &Words) -> [Signed; 2] {
        super::split::halves(k)
    }

    fn comb() -> &'static [Row] {
        static TABLE: std::sync::LazyLock<Vec<Row>> = std::sync::LazyLock::new(super::ecmult::comb_table::<Secp256k1>);
        &TABLE
    }
}

/// 2^exponent modulo a modulus above 1, by doubling.
const fn power_of_two(exponent: usize, modulus: &Words) -> Words {
    let mut a: Words = [1, 0, 0, 0];
    let mut turn = 0;
    while turn < exponent {
        let carry = a[3] >> 63;
        let doubled = [a[0] << 1, a[1] << 1 | a[0] >> 63, a[2] << 1 | a[1] >> 63, a[3] << 1 | a[2] >> 63];
        let mut borrow = 0;
        let less = [
            super::words::sub_borrow(doubled[0], modulus[0], &mut borrow),
            super::words::sub_borrow(doubled[1], modulus[1], &mut borrow),
            super::words::sub_borrow(doubled[2], modulus[2], &mut borrow),
            super::words::sub_borrow(doubled[3], modulus[3], &mut borrow),
        ];
        a = if carry == 1 || borrow == 0 { less } else { doubled };
        turn += 1;
    }
    a
}

/// The words of a lane that came out of a product with 1: at most the order, so one subtraction makes it canonical.
#[inline(always)]
pub(crate) fn scalar_words<L: Lanes, C: Curve>(a: &L, lane: usize) -> Words {
    let (words, over) = from_limbs(&a.limbs(lane));
    debug_assert!(over == 0 && !is_below(&C::ORDER, &words));
    if words == C::ORDER { [0; 4] } else { words }
}

/// n - k, and 0 for 0.
#[inline(always)]
pub(crate) fn negate<C: Curve>(k: &Words) -> Words {
    if *k == [0; 4] { *k } else { sub(&C::ORDER, k).0 }
}

/// Is the number odd?
#[inline(always)]
fn is_odd(a: &Signed) -> bool {
    a[0] & 1 == 1
}

/// The split with both halves odd, below 2^130 in absolute value: a relation changes one parity or both, and no value.
#[inline(always)]
pub(crate) fn split_odd<C: Curve>(k: &Words) -> [Signed; 2] {
    let [mut a, mut b] = C::split(k);
    let [both, second] = &C::RELATIONS;
    if !is_odd(&a) {
        (a, b) = (add(&a, &both[0]).0, add(&b, &both[1]).0);
    }
    if !is_odd(&b) {
        (a, b) = (add(&a, &second[0]).0, add(&b, &second[1]).0);
    }
    [a, b]
}

/// R^2 / a modulo n for all: the inverse where a b means `mont(a, b)`. No lane may be 0 mod n. Values < 2^257 in and out.
#[inline(always)]
pub(crate) fn invert_scalars<L: Lanes, C: Curve>(values: &[L], inverses: &mut Vec<L>) {
    use super::field::scalar::One;
    let modulus = &C::MODULUS;
    let unit = L::splat(&C::R[0]);
    let mut product = [unit; 2];
    inverses.clear();
    for (i, value) in values.iter().enumerate() {
        inverses.push(product[i & 1]);
        product[i & 1] = product[i & 1].mont(value, modulus);
    }
    // All lanes into one number; that is inverted, and the way back gives every lane its own.
    let all = product[0].mont(&product[1], modulus);
    let lanes: Vec<One> = (0..L::LANES).map(|lane| One(all.limbs(lane))).collect();
    let mut before = Vec::with_capacity(L::LANES);
    let mut total = One(to_limbs(&C::R[0]));
    for lane in &lanes {
        before.push(total);
        total = total.mont(lane, modulus);
    }
    let plain = scalar_words::<One, C>(&total.mont(&One(to_limbs(&[1, 0, 0, 0])), modulus), 0);
    // `plain` is total / R, so its inverse times R is R^2 / total.
    let inverse = One(to_limbs(&Inverter::new(&C::ORDER).invert(&plain)));
    let mut inverse = inverse.mont(&One(to_limbs(&C::R[1])), modulus);
    let mut words = [[0; 4]; 8];
    for lane in (0..L::LANES).rev() {
        let own = inverse.mont(&before[lane], modulus).mont(&One(to_limbs(&C::R[0])), modulus);
        inverse = inverse.mont(&lanes[lane], modulus);
        let (mut value, over) = from_limbs(&own.0);
        // Below 2^254 + n, so at most n has to go.
        if over > 0 || !is_below(&value, &C::ORDER) {
            value = sub(&value, &C::ORDER).0;
        }
        words[lane] = value;
    }
    let inverse = L::from_words(&words);
    let mut inverse = [inverse.mont(&product[1], modulus), inverse.mont(&product[0], modulus)];
    for (i, value) in values.iter().enumerate().rev() {
        inverses[i] = inverses[i].mont(&inverse[i & 1], modulus);
        inverse[i & 1] = inverse[i & 1].mont(value, modulus);
    }
}

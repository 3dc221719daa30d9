//! The endomorphism's split of scalars: k = a + b lambda mod n with both halves below 2^128 in absolute value.
//!
//! Source: Gallant, Lambert, Vanstone, "Faster point multiplication on elliptic curves with efficient endomorphisms" (2001);
//! rounding by multiplication with 2^384 / n as in engine/docs/secp256k1.md, section 4. Here is the plain form, one number at a
//! time, and what it is made of; eight lanes do the same to columns (`field::avx512`).

use super::words::{Words, mul, sub};

/// A number of two's complement in three words.
pub(crate) type Signed = [u64; 3];

/// lambda's lattice: a = b lambda + ... as (A1, -B1), (A2, A1).
pub(crate) const A1: [u64; 2] = [0xE86C_90E4_9284_EB15, 0x3086_D221_A7D4_6BCD];
/// See [`A1`].
pub(crate) const A2: Signed = [0x57C1_108D_9D44_CFD8, 0x14CA_50F7_A8E2_F3F6, 1];
/// See [`A1`].
pub(crate) const MINUS_B1: [u64; 2] = [0x6F54_7FA9_0ABF_E4C3, 0xE443_7ED6_010E_8828];
/// 2^384 A1 / n, rounded.
pub(crate) const ROUND_1: Words =
    [0xE893_209A_45DB_B031, 0x3DAA_8A14_71E8_CA7F, 0xE86C_90E4_9284_EB15, 0x3086_D221_A7D4_6BCD];
/// 2^384 (-B1) / n, rounded.
pub(crate) const ROUND_2: Words =
    [0x1571_B4AE_8AC4_7F71, 0x2212_08AC_9DF5_06C6, 0x6F54_7FA9_0ABF_E4C4, 0xE443_7ED6_010E_8828];

/// The halves of k, below n.
#[inline(always)]
pub(crate) fn halves(k: &Words) -> [Signed; 2] {
    // c_i = k g_i / 2^384, rounded to the nearest: within one of k A_i / n.
    let rounded = |g: &Words| -> [u64; 2] {
        let product: [u64; 8] = mul(k, g);
        let half = product[5] >> 63;
        let (low, carry) = product[6].overflowing_add(half);
        [low, product[7] + u64::from(carry)]
    };
    let (c1, c2) = (rounded(&ROUND_1), rounded(&ROUND_2));
    // Everything modulo 2^192, since the true values fit.
    let times = |a: &[u64; 2], b: &[u64; 2]| -> Signed {
        let product: [u64; 4] = mul(a, b);
        [product[0], product[1], product[2]]
    };
    let times_a2 = {
        let product: [u64; 5] = mul(&c2, &A2);
        [product[0], product[1], product[2]]
    };
    let a = sub(&sub(&[k[0], k[1], k[2]], &times(&c1, &A1)).0, &times_a2).0;
    let b = sub(&times(&c1, &MINUS_B1), &times(&c2, &A1)).0;
    [a, b]
}

/// One half of each lane, as size and sign.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Halves {
    /// Low words of the absolute values.
    pub low: [u64; 8],
    /// High words.
    pub high: [u64; 8],
    /// Lanes that are negative.
    pub negative: u8,
}

impl Halves {
    /// Puts a half into its lane.
    #[inline(always)]
    pub(crate) fn set(&mut self, lane: usize, half: &Signed) {
        let is_negative = half[2] >> 63 == 1;
        let size: Signed = if is_negative { sub(&[0; 3], half).0 } else { *half };
        debug_assert!(size[2] == 0, "a half is below 2^128");
        (self.low[lane], self.high[lane]) = (size[0], size[1]);
        self.negative = self.negative & !(1 << lane) | u8::from(is_negative) << lane;
    }
}

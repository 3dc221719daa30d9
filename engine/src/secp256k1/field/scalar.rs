//! One lane: five limbs of 52 bits in u64, products in u128. Portable, and the definition that the others are held against.
//!
//! Bounds: factors have limbs 0 to 3 < 2^56 and limb 4 < 2^52. Results of products, of every kind, have limbs < 2^52, but for
//! limb 1 < 2^52 + 2^40, and limb 4 < 2^49: value < 2^256 + 2^250. Sums and differences are not carried: at most 4 + 10 times
//! that, which stays below 2^56. Oracle: `ruint`. Twin: `avx512`.

use super::{C_256, C_260, Lanes, MASK_48, MASK_52, Mask, Modulus, Row, Work};
use crate::secp256k1::words::{INVERT_P, Words, from_limbs, to_limbs};

/// One element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct One(pub [u64; 5]);

/// The five columns that a product may be given to start with.
type Extra = [u64; 5];

/// K p with limbs so large that K - 2 numbers of normal limbs can be subtracted from them one by one.
#[inline(always)]
const fn times_p(k: u64) -> [u64; 5] {
    [k * (MASK_52 + 1 - C_256), k * MASK_52, k * MASK_52, k * MASK_52, k * MASK_48]
}

#[inline(always)]
fn wide(a: u64, b: u64) -> u128 {
    u128::from(a) * u128::from(b)
}

/// a b + extra, reduced. `extra` < 2^58 a limb.
#[inline(always)]
fn product(a: &[u64; 5], b: &[u64; 5], extra: Extra) -> One {
    let [a0, a1, a2, a3, a4] = *a;
    let [b0, b1, b2, b3, b4] = *b;
    let [e0, e1, e2, e3, e4] = extra.map(u128::from);
    // Columns below 5 * 2^112 + 2^58 < 2^115.
    reduce([
        e0 + wide(a0, b0),
        e1 + wide(a0, b1) + wide(a1, b0),
        e2 + wide(a0, b2) + wide(a1, b1) + wide(a2, b0),
        e3 + wide(a0, b3) + wide(a1, b2) + wide(a2, b1) + wide(a3, b0),
        e4 + wide(a0, b4) + wide(a1, b3) + wide(a2, b2) + wide(a3, b1) + wide(a4, b0),
        wide(a1, b4) + wide(a2, b3) + wide(a3, b2) + wide(a4, b1),
        wide(a2, b4) + wide(a3, b3) + wide(a4, b2),
        wide(a3, b4) + wide(a4, b3),
        wide(a4, b4),
    ])
}

/// a^2 + extra, reduced.
#[inline(always)]
fn square(a: &[u64; 5], extra: Extra) -> One {
    let [a0, a1, a2, a3, a4] = *a;
    let [e0, e1, e2, e3, e4] = extra.map(u128::from);
    // Twice a limb is below 2^57.
    let (d0, d1, d2, d3) = (2 * a0, 2 * a1, 2 * a2, 2 * a3);
    reduce([
        e0 + wide(a0, a0),
        e1 + wide(d0, a1),
        e2 + wide(d0, a2) + wide(a1, a1),
        e3 + wide(d0, a3) + wide(d1, a2),
        e4 + wide(d0, a4) + wide(d1, a3) + wide(a2, a2),
        wide(d1, a4) + wide(d2, a3),
        wide(d2, a4) + wide(a3, a3),
        wide(d3, a4),
        wide(a4, a4),
    ])
}

/// Nine columns below 2^115, the last below 2^104, to one element.
#[inline(always)]
fn reduce(c: [u128; 9]) -> One {
    let low = |x: u128| x as u64 & MASK_52;
    // Columns 3 to 8 become limbs first, so that what is folded is below 2^52 (the last: 2^104 / 2^52 + carry < 2^53).
    let l3 = low(c[3]);
    let c4 = c[4] + (c[3] >> 52);
    let c5 = c[5] + (c4 >> 52);
    let c6 = c[6] + (c5 >> 52);
    let c7 = c[7] + (c6 >> 52);
    let c8 = c[8] + (c7 >> 52);
    let h9 = (c8 >> 52) as u64;
    // 2^260 = C_260: limb 5 + k is worth C_260 times limb k.
    let r0 = c[0] + wide(low(c5), C_260);
    let r1 = c[1] + wide(low(c6), C_260) + (r0 >> 52);
    let r2 = c[2] + wide(low(c7), C_260) + (r1 >> 52);
    let r3 = u128::from(l3) + wide(low(c8), C_260) + (r2 >> 52);
    let r4 = u128::from(low(c4)) + wide(h9, C_260) + (r3 >> 52);
    // r4 < 2^92, so what lies at or above 2^256 is below 2^44; times C_256 it is below 2^77.
    let top = (r4 >> 48) as u64;
    let r0 = u128::from(low(r0)) + wide(top, C_256);
    One([low(r0), low(r1) + (r0 >> 52) as u64, low(r2), low(r3), r4 as u64 & MASK_48])
}

impl One {
    /// K p minus what `f` takes of each limb.
    #[inline(always)]
    fn extra(k: u64, f: impl Fn(usize) -> u64) -> Extra {
        let p = times_p(k);
        std::array::from_fn(|i| p[i] - f(i))
    }

    /// Limbs carried once: value unchanged, limbs 0 to 3 < 2^52.
    #[inline(always)]
    fn carried(mut l: [u64; 5]) -> [u64; 5] {
        for k in 0..4 {
            l[k + 1] += l[k] >> 52;
            l[k] &= MASK_52;
        }
        l
    }
}

impl Lanes for One {
    const LOG_LANES: u32 = 0;

    #[inline(always)]
    fn enter<W: Work>(work: W) -> W::Out {
        work.run()
    }

    #[inline(always)]
    fn splat(words: &Words) -> Self {
        Self(to_limbs(words))
    }

    #[inline(always)]
    fn from_words(words: &[Words; 8]) -> Self {
        Self(to_limbs(&words[0]))
    }

    #[inline(always)]
    fn from_limbs(limbs: &[[u64; 5]; 8]) -> Self {
        Self(limbs[0])
    }

    #[inline(always)]
    fn limbs(&self, _: usize) -> [u64; 5] {
        self.0
    }

    #[inline(always)]
    fn set_limbs(&mut self, _: usize, limbs: [u64; 5]) {
        self.0 = limbs;
    }

    #[inline(always)]
    fn set_lane(&mut self, _: usize, from: &Self, _: usize) {
        self.0 = from.0;
    }

    #[inline(always)]
    fn select(mask: Mask, a: &Self, b: &Self) -> Self {
        if mask & 1 == 1 { *b } else { *a }
    }

    #[inline(always)]
    fn load(rows: &[Row], places: &[u32; 8]) -> (Self, Self) {
        let row = &rows[places[0] as usize];
        (Self::splat(&row.x()), Self::splat(&row.y()))
    }

    #[inline(always)]
    fn fetch(_: &[Row], _: &[u32; 8]) {}

    #[inline(always)]
    fn store(x: &Self, y: &Self) -> [Row; 8] {
        let mut rows = [Row::ZERO; 8];
        rows[0] = Row::new(&from_limbs(&x.0).0, &from_limbs(&y.0).0);
        rows
    }

    #[inline(always)]
    fn mul(&self, b: &Self) -> Self {
        product(&self.0, &b.0, [0; 5])
    }

    #[inline(always)]
    fn sqr(&self) -> Self {
        square(&self.0, [0; 5])
    }

    #[inline(always)]
    fn mul_f(&self, b: &Self) -> Self {
        self.mul(b)
    }

    #[inline(always)]
    fn sqr_f(&self) -> Self {
        self.sqr()
    }

    #[inline(always)]
    fn mul_raw(&self, b: &Self) -> Self {
        self.mul(b)
    }

    #[inline(always)]
    fn sqr_raw(&self) -> Self {
        self.sqr()
    }

    #[inline(always)]
    fn sqr3_f(&self) -> Self {
        Self(self.sqr().0.map(|l| 3 * l))
    }

    #[inline(always)]
    fn mul2_f(&self, b: &Self) -> Self {
        Self(self.mul(b).0.map(|l| 2 * l))
    }

    #[inline(always)]
    fn mul_sub(&self, b: &Self, c: &Self) -> Self {
        product(&self.0, &b.0, Self::extra(4, |i| c.0[i]))
    }

    #[inline(always)]
    fn mul_sub_f(&self, b: &Self, c: &Self) -> Self {
        self.mul_sub(b, c)
    }

    #[inline(always)]
    fn mul_sub8(&self, b: &Self, c: &Self) -> Self {
        product(&self.0, &b.0, Self::extra(20, |i| 8 * c.0[i]))
    }

    #[inline(always)]
    fn sqr_sub2(&self, c: &Self, d: &Self) -> Self {
        square(&self.0, Self::extra(6, |i| c.0[i] + d.0[i]))
    }

    #[inline(always)]
    fn sqr_sub_twice(&self, c: &Self, d: &Self) -> Self {
        square(&self.0, Self::extra(8, |i| c.0[i] + 2 * d.0[i]))
    }

    #[inline(always)]
    fn sqr_sub8(&self, d: &Self) -> Self {
        square(&self.0, Self::extra(20, |i| 8 * d.0[i]))
    }

    #[inline(always)]
    fn sub(&self, b: &Self) -> Self {
        let p = times_p(4);
        Self(std::array::from_fn(|k| self.0[k] + p[k] - b.0[k]))
    }

    #[inline(always)]
    fn sub4(&self, b: &Self) -> Self {
        let p = times_p(4);
        Self(std::array::from_fn(|k| 4 * self.0[k] + p[k] - b.0[k]))
    }

    #[inline(always)]
    fn add(&self, b: &Self) -> Self {
        Self(std::array::from_fn(|k| self.0[k] + b.0[k]))
    }

    #[inline(always)]
    fn negate(&self) -> Self {
        // Borrows may go down to limb 4, which never has less: a <= p.
        let p = times_p(1);
        let mut l: [i64; 5] = std::array::from_fn(|k| p[k] as i64 - self.0[k] as i64);
        for k in 0..4 {
            l[k + 1] += l[k] >> 52;
            l[k] &= MASK_52 as i64;
        }
        Self(l.map(|x| x as u64))
    }

    #[inline(always)]
    fn canonical(&self) -> Self {
        let mut l = Self::carried(self.0);
        // After the first turn below 2^256 + 2^45, after the second below 2^256.
        for _ in 0..2 {
            let top = l[4] >> 48;
            l[4] &= MASK_48;
            l[0] += top * C_256;
            l = Self::carried(l);
        }
        let mut reduced = l;
        reduced[0] += C_256;
        let mut reduced = Self::carried(reduced);
        // l + C >= 2^256 exactly if l >= p.
        if reduced[4] >> 48 == 0 {
            return Self(l);
        }
        reduced[4] &= MASK_48;
        Self(reduced)
    }

    #[inline(always)]
    fn zeros(&self) -> Mask {
        Mask::from(self.canonical().0 == [0; 5])
    }

    #[inline(always)]
    fn odd(&self) -> Mask {
        (self.0[0] & 1) as Mask
    }

    #[inline(always)]
    fn invert(&self) -> Self {
        Self::splat(&INVERT_P.invert(&from_limbs(&self.canonical().0).0))
    }

    #[inline(always)]
    fn mont(&self, b: &Self, modulus: &Modulus) -> Self {
        let mut c = [0_u128; 10];
        for i in 0..5 {
            for j in 0..5 {
                c[i + j] += wide(self.0[i], b.0[j]);
            }
        }
        for i in 0..5 {
            let q = (c[i] as u64).wrapping_mul(modulus.low_inverse) & MASK_52;
            for j in 0..5 {
                c[i + j] += wide(q, modulus.limbs[j]);
            }
            c[i + 1] += c[i] >> 52;
        }
        let mut l = [0; 5];
        for k in 0..4 {
            l[k] = c[5 + k] as u64 & MASK_52;
            c[6 + k] += c[5 + k] >> 52;
        }
        l[4] = c[9] as u64;
        Self(l)
    }

    #[inline(always)]
    fn add_limbs(&self, b: &Self) -> Self {
        Self(Self::carried(std::array::from_fn(|k| self.0[k] + b.0[k])))
    }

    #[inline(always)]
    fn from_u64(words: &[u64; 8]) -> Self {
        Self([words[0] & MASK_52, words[0] >> 52, 0, 0, 0])
    }
}

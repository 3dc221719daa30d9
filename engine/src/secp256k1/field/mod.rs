//! The field mod p = 2^256 - C, C = 0x1000003D1, several elements side by side: the contract that every variant keeps.
//!
//! Representation: five limbs of radix 2^52 a lane; element = sum of limb k times 2^(52 k), congruent to the true element.
//! Variants: `scalar` (one lane, u64 x u64 -> u128) defines the result, `avx512` has eight (IFMA); `checked` wraps either and
//! executes the ranges below. All give congruent values and, where `canonical` is said, identical limbs.
//!
//! Kinds, by value (w = 2^213, slack of a last carry) and by what the limbs are; each is also every kind after it in the
//! first five, since they are subsets of one another:
//!
//! | kind | value | limbs | from |
//! | --- | --- | --- | --- |
//! | `Canonical` | < p | < 2^52 | `canonical`, `splat` of such |
//! | `Tight` | < 2^256 + w | < 2^52 | `mul`, `sqr` |
//! | `Norm` | < 2^257 + w | < 2^52 | `*_sub*` without `_f`, `sub_norm` |
//! | `Loose` | < 2^259 | < 2^52 | `add` |
//! | `Factor` | < 2^260 | bits above 52 of limbs 0 to 3 are dirt: fit to be multiplied, nothing else | `*_f`, `sub`, `sub4` |
//! | `Raw` | as Tight, limbs 0 to 3 not carried (< 2^56): fit to be added or subtracted, nothing else | | `*_raw` |
//!
//! Why: carries and masks are a fifth of a product's operations, and only the next use tells which it needs: multiply-add
//! looks at the low 52 bits of each factor only, so a factor need not be masked; a term that is subtracted after a product is
//! merged before the product's own carry. What goes in and out of each operation is said at the operation.
//! The scalar variant allows more (limbs < 2^56 into products) and keeps to the same calls.
//!
//! The same limbs hold scalars mod n in Montgomery form with R = 2^260: `mont`.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(test)]
pub(crate) mod checked;
pub(crate) mod scalar;

use super::split::{Halves, halves};
use super::words::{
    ORDER, ORDER_GAP, Words, add, from_bytes, from_limbs, is_below, mul, negated_low_inverse, sub, to_limbs,
};

/// The low 52 bits.
pub(crate) const MASK_52: u64 = (1 << 52) - 1;
/// The low 48 bits: what limb 4 has below 2^256.
pub(crate) const MASK_48: u64 = (1 << 48) - 1;
/// 2^256 mod p.
pub(crate) const C_256: u64 = super::words::FIELD_GAP;
/// 2^260 mod p.
pub(crate) const C_260: u64 = C_256 << 4;
/// A cube root of one mod p: (beta x, y) is lambda times (x, y).
pub(crate) const BETA: Words =
    [0xC139_6C28_7195_01EE, 0x9CF0_4975_12F5_8995, 0x6E64_479E_AC34_34E9, 0x7AE9_6A2B_657C_0710];
const _: () = assert!(C_260 < 1 << 37);

/// An affine point that is not the identity: x, then y, canonical, least significant word first. One cache line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C, align(64))]
pub(crate) struct Row(pub [u64; 8]);

impl Row {
    /// No point: (0, 0) is not on the curve.
    pub(crate) const ZERO: Self = Self([0; 8]);

    /// Of two coordinates.
    #[inline(always)]
    pub(crate) fn new(x: &Words, y: &Words) -> Self {
        Self([x[0], x[1], x[2], x[3], y[0], y[1], y[2], y[3]])
    }

    /// x.
    #[inline(always)]
    pub(crate) fn x(&self) -> Words {
        [self.0[0], self.0[1], self.0[2], self.0[3]]
    }

    /// y.
    #[inline(always)]
    pub(crate) fn y(&self) -> Words {
        [self.0[4], self.0[5], self.0[6], self.0[7]]
    }
}

/// A prime below 2^256 for Montgomery products.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Modulus {
    /// It.
    pub limbs: [u64; 5],
    /// -1 / modulus mod 2^52.
    pub low_inverse: u64,
}

impl Modulus {
    /// For an odd prime.
    pub(crate) const fn new(modulus: &Words) -> Self {
        Self { limbs: to_limbs(modulus), low_inverse: negated_low_inverse(modulus[0]) & MASK_52 }
    }
}

/// The order of the group.
pub(crate) const ORDER_MODULUS: Modulus = Modulus::new(&ORDER);

/// No point among entries: place 0, where a row stands that is nobody's.
pub(crate) const NO_ENTRY: u32 = 0;

/// Bit j for lane j.
pub(crate) type Mask = u8;

/// Work for lanes: what [`Lanes::enter`] runs. `run` is always inlined, so that the operations in it become instructions;
/// closures are work too, but only small ones come out fast.
pub(crate) trait Work {
    /// What comes of it.
    type Out;
    /// Does it.
    fn run(self) -> Self::Out;
}

impl<R, F: FnOnce() -> R> Work for F {
    type Out = R;

    #[inline(always)]
    fn run(self) -> R {
        self()
    }
}

/// A piece of work by name: its data, and what is done with them.
macro_rules! work {
    ($(#[$doc:meta])* $name:ident [$($generics:tt)*] [$($params:tt)*] { $($field:ident: $type:ty),* } -> $out:ty = $body:expr) => {
        $(#[$doc])*
        struct $name<$($generics)*> { $($field: $type),* }

        impl<$($generics)*> $crate::secp256k1::field::Work for $name<$($params)*> {
            type Out = $out;

            #[inline(always)]
            fn run(self) -> $out {
                let Self { $($field),* } = self;
                $body
            }
        }
    };
}
pub(crate) use work;

/// A vector of field elements. Operations are meant to be inlined into work given to [`Lanes::enter`].
pub(crate) trait Lanes: Copy + std::fmt::Debug + Send + Sync + 'static {
    /// Binary logarithm of `LANES`.
    const LOG_LANES: u32;
    /// Elements side by side: 1 or 8.
    const LANES: usize = 1 << Self::LOG_LANES;
    /// All lanes.
    const ALL: Mask = (((1_u16) << Self::LANES) - 1) as u8;

    /// Runs work compiled for the variant's instructions. Operations outside of it are right, but slow.
    fn enter<W: Work>(work: W) -> W::Out;

    /// The same number below 2^256 in all lanes. Canonical if it is below p, else Tight.
    fn splat(words: &Words) -> Self;
    /// Numbers below 2^256, the first `LANES` of them. Canonical if they are below p, else Tight.
    fn from_words(words: &[Words; 8]) -> Self;
    /// Numbers of 32 bytes, most significant first, the first `LANES` of them; as `from_words`.
    #[inline(always)]
    fn from_bytes(bytes: &[&[u8; 32]; 8]) -> Self {
        let mut words = [[0; 4]; 8];
        for (words, bytes) in words.iter_mut().zip(bytes).take(Self::LANES) {
            *words = from_bytes(bytes);
        }
        Self::from_words(&words)
    }
    /// Lanes below a number. As `from_words` and `from_bytes` give them.
    #[inline(always)]
    fn below(&self, bound: &Words) -> Mask {
        (0..Self::LANES)
            .fold(0, |mask, lane| mask | Mask::from(is_below(&from_limbs(&self.limbs(lane)).0, bound)) << lane)
    }
    /// The limbs of a lane as they are.
    fn limbs(&self, lane: usize) -> [u64; 5];
    /// Puts limbs into a lane. They must be of the kind that the others are.
    fn set_limbs(&mut self, lane: usize, limbs: [u64; 5]);
    /// Puts a lane of another vector, of the same kind, into a lane. Both in memory.
    fn set_lane(&mut self, lane: usize, from: &Self, from_lane: usize);
    /// Lanes of `b` where the mask is set, else of `a`.
    fn select(mask: Mask, a: &Self, b: &Self) -> Self;
    /// Points of these places, x and y. Canonical.
    fn load(rows: &[Row], places: &[u32; 8]) -> (Self, Self);
    /// Asks for the cache lines of these places. No place need exist.
    fn fetch(rows: &[Row], places: &[u32; 8]);
    /// Points by entries, one a lane: its place, which is not 0, times two, and one more to take it negated; or [`NO_ENTRY`]. x, y,
    /// Tight, and the lanes that hold a point.
    #[inline(always)]
    fn gather(rows: &[Row], entries: &[u32]) -> (Self, Self, Mask) {
        let (mut places, mut present, mut negative): ([u32; 8], Mask, Mask) = ([0; 8], 0, 0);
        for (lane, entry) in entries.iter().enumerate().take(Self::LANES) {
            places[lane] = entry >> 1;
            present |= Mask::from(*entry != NO_ENTRY) << lane;
            negative |= ((entry & 1) as Mask) << lane;
        }
        let (x, y) = Self::load(rows, &places);
        (x, Self::select(negative, &y, &y.negate()), present)
    }
    /// Asks for the cache lines of these entries.
    #[inline(always)]
    fn fetch_entries(rows: &[Row], entries: &[u32]) {
        let mut places = [0; 8];
        places.iter_mut().zip(entries).for_each(|(place, entry)| *place = entry >> 1);
        Self::fetch(rows, &places);
    }
    /// Canonical coordinates to rows, the first `LANES` of them.
    fn store(x: &Self, y: &Self) -> [Row; 8];

    /// a b. Factors in, Tight out.
    fn mul(&self, b: &Self) -> Self;
    /// a^2. Factor in, Tight out.
    fn sqr(&self) -> Self;
    /// a b. Factors in, Factor out.
    fn mul_f(&self, b: &Self) -> Self;
    /// a^2. Factor in, Factor out.
    fn sqr_f(&self) -> Self;
    /// a b. Factors in, Raw out.
    fn mul_raw(&self, b: &Self) -> Self;
    /// a^2. Factor in, Raw out.
    fn sqr_raw(&self) -> Self;
    /// 3 a^2. Factor in, Factor out.
    fn sqr3_f(&self) -> Self;
    /// 2 a b. Factors in, Factor out.
    fn mul2_f(&self, b: &Self) -> Self;
    /// a b - c. Factors and Norm or Raw in, Norm out.
    fn mul_sub(&self, b: &Self, c: &Self) -> Self;
    /// a b - c. Factors and Norm or Raw in, Factor out.
    fn mul_sub_f(&self, b: &Self, c: &Self) -> Self;
    /// a b - 8 c. Factors and Raw in, Norm out.
    fn mul_sub8(&self, b: &Self, c: &Self) -> Self;
    /// a^2 - c - d. Factor and Norms in, Norm out.
    fn sqr_sub2(&self, c: &Self, d: &Self) -> Self;
    /// a^2 - c - 2 d. Factor, Tight and Raw in, Norm out.
    fn sqr_sub_twice(&self, c: &Self, d: &Self) -> Self;
    /// a^2 - 8 d. Factor and Raw in, Norm out.
    fn sqr_sub8(&self, d: &Self) -> Self;
    /// a - b. Norm or Raw in, Factor out.
    fn sub(&self, b: &Self) -> Self;
    /// 4 a - b. Raw and Norm in, Factor out.
    fn sub4(&self, b: &Self) -> Self;
    /// a + b. Norms in, Loose out.
    fn add(&self, b: &Self) -> Self;
    /// p - a. Canonical in; out Canonical, but for a = 0, which gives p (Tight).
    fn negate(&self) -> Self;
    /// The representative in [0, p). Any kind but Raw in; Factor is cleared of its dirt.
    fn canonical(&self) -> Self;
    /// Lanes that are 0 mod p. Any kind but Raw in.
    fn zeros(&self) -> Mask;
    /// Odd lanes. Canonical in.
    fn odd(&self) -> Mask;
    /// 1 / a in every lane. Factor in, no lane 0 mod p; Factor out.
    fn invert(&self) -> Self;

    /// a b / 2^260 modulo `modulus`. Limbs < 2^52, values < 2^257 in and out: (2^514 + 2^260 m) / 2^260 < 2^257.
    fn mont(&self, b: &Self, modulus: &Modulus) -> Self;
    /// a + b. Limbs 0 to 3 < 2^52 in and out; limb 4 grows, and must stay below 2^63.
    fn add_limbs(&self, b: &Self) -> Self;
    /// Limbs as they are, the first `LANES` of them: a number.
    fn from_limbs(limbs: &[[u64; 5]; 8]) -> Self;
    /// The representative below n. Limbs 0 to 3 < 2^52, limb 4 < 2^63.
    #[inline(always)]
    fn canonical_scalar(&self) -> Self {
        let mut words = [[0; 4]; 8];
        for (lane, words) in words.iter_mut().enumerate().take(Self::LANES) {
            let mut limbs = self.limbs(lane);
            let top = limbs[4] >> 48;
            limbs[4] &= MASK_48;
            // 2^256 is `ORDER_GAP` mod n; top times that is below 2^144, so n has to go once at most.
            let (sum, wrapped) = add(&from_limbs(&limbs).0, &mul(&[top], &ORDER_GAP));
            *words = if wrapped || !is_below(&sum, &ORDER) { sub(&sum, &ORDER).0 } else { sum };
        }
        Self::from_words(&words)
    }
    /// The halves of each lane: `split::halves`. Below n in.
    #[inline(always)]
    fn split(&self) -> [Halves; 2] {
        let mut out = [Halves::default(); 2];
        for lane in 0..Self::LANES {
            for (out, half) in out.iter_mut().zip(&halves(&from_limbs(&self.limbs(lane)).0)) {
                out.set(lane, half);
            }
        }
        out
    }
    /// Numbers below 2^64, one a lane.
    fn from_u64(words: &[u64; 8]) -> Self;
}

/// The number one.
#[inline(always)]
pub(crate) fn one<L: Lanes>() -> L {
    L::splat(&[1, 0, 0, 0])
}

/// The number nought.
#[inline(always)]
pub(crate) fn zero<L: Lanes>() -> L {
    L::splat(&[0; 4])
}

/// Lanes where a = b. Norms in.
#[inline(always)]
pub(crate) fn equal<L: Lanes>(a: &L, b: &L) -> Mask {
    a.sub(b).zeros()
}

/// A lane's canonical words. Any kind but Raw in.
#[inline(always)]
pub(crate) fn lane_words<L: Lanes>(a: &L, lane: usize) -> Words {
    from_limbs(&a.canonical().limbs(lane)).0
}

/// a^(2^n), K vectors in step: one alone waits for its own results. Factor in, Factor out.
#[inline(always)]
fn square_times<L: Lanes, const K: usize>(mut a: [L; K], n: usize) -> [L; K] {
    for _ in 0..n {
        for x in &mut a {
            *x = x.sqr_f();
        }
    }
    a
}

#[inline(always)]
fn multiply<L: Lanes, const K: usize>(mut a: [L; K], b: &[L; K]) -> [L; K] {
    for (x, y) in a.iter_mut().zip(b) {
        *x = x.mul_f(y);
    }
    a
}

/// a^((p + 1) / 4): a square root where there is one. 253 squares and 13 products. Factor in, Factor out.
///
/// (p + 1) / 4 in binary: 223 ones, a zero, 22 ones, 0000 11 00. `x_k` is a to the power of k ones.
#[inline(always)]
pub(crate) fn roots<L: Lanes, const K: usize>(a: [L; K]) -> [L; K] {
    let x_2 = multiply(square_times(a, 1), &a);
    let x_3 = multiply(square_times(x_2, 1), &a);
    let x_6 = multiply(square_times(x_3, 3), &x_3);
    let x_9 = multiply(square_times(x_6, 3), &x_3);
    let x_11 = multiply(square_times(x_9, 2), &x_2);
    let x_22 = multiply(square_times(x_11, 11), &x_11);
    let x_44 = multiply(square_times(x_22, 22), &x_22);
    let x_88 = multiply(square_times(x_44, 44), &x_44);
    let x_176 = multiply(square_times(x_88, 88), &x_88);
    let x_220 = multiply(square_times(x_176, 44), &x_44);
    let x_223 = multiply(square_times(x_220, 3), &x_3);
    let t = multiply(square_times(x_223, 23), &x_22);
    square_times(multiply(square_times(t, 6), &x_2), 2)
}

/// 1 / a for all, in place, by one inversion: products up, then down. No lane may be 0 mod p. Factors in, Factors out.
#[inline(always)]
pub(crate) fn invert_all<L: Lanes>(values: &mut [L], before: &mut Vec<L>) {
    let one = one::<L>();
    let mut product = [one; 2];
    before.clear();
    for (i, value) in values.iter().enumerate() {
        before.push(product[i & 1]);
        product[i & 1] = product[i & 1].mul_f(value);
    }
    let inverse = product[0].mul_f(&product[1]).invert();
    let mut inverse = [inverse.mul_f(&product[1]), inverse.mul_f(&product[0])];
    for (i, value) in values.iter_mut().enumerate().rev() {
        let own = inverse[i & 1].mul_f(&before[i]);
        inverse[i & 1] = inverse[i & 1].mul_f(value);
        *value = own;
    }
}

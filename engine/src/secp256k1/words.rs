//! Numbers of 256 bits as four words of 64, little-endian, and inverses modulo a prime. One at a time: what lanes do not pay for.
//!
//! Bounds: what each function takes and gives is said there. Inverse: Bernstein and Yang, "Fast constant-time gcd computation
//! and modular inversion" (2019), division steps 62 at a time, in variable time (all inputs are public). Oracle: `ruint`.

/// A number below 2^256, least significant word first.
pub(crate) type Words = [u64; 4];

/// The field prime p = 2^256 - `FIELD_GAP`.
pub(crate) const FIELD_PRIME: Words = [0xFFFF_FFFE_FFFF_FC2F, !0, !0, !0];
/// 2^256 mod p.
pub(crate) const FIELD_GAP: u64 = 0x1_0000_03D1;
/// The order n of the group.
pub(crate) const ORDER: Words = [0xBFD2_5E8C_D036_4141, 0xBAAE_DCE6_AF48_A03B, 0xFFFF_FFFF_FFFF_FFFE, !0];

/// 2^256 - n.
pub(crate) const ORDER_GAP: [u64; 3] = [0x402D_A173_2FC9_BEBF, 0x4551_2319_50B7_5FC4, 1];

/// a + b + carry; the carry goes on.
#[inline(always)]
pub(crate) const fn add_carry(a: u64, b: u64, carry: &mut u64) -> u64 {
    let t = a as u128 + b as u128 + *carry as u128;
    *carry = (t >> 64) as u64;
    t as u64
}

/// a - b - borrow; the borrow goes on.
#[inline(always)]
pub(crate) const fn sub_borrow(a: u64, b: u64, borrow: &mut u64) -> u64 {
    let t = (a as u128).wrapping_sub(b as u128).wrapping_sub(*borrow as u128);
    *borrow = (t >> 64) as u64 & 1;
    t as u64
}

/// a + b modulo 2^(64 N), and whether it wrapped.
#[inline(always)]
pub(crate) fn add<const N: usize>(a: &[u64; N], b: &[u64; N]) -> ([u64; N], bool) {
    let mut carry = 0;
    let sum = std::array::from_fn(|k| add_carry(a[k], b[k], &mut carry));
    (sum, carry == 1)
}

/// a - b modulo 2^(64 N), and whether it wrapped.
#[inline(always)]
pub(crate) fn sub<const N: usize>(a: &[u64; N], b: &[u64; N]) -> ([u64; N], bool) {
    let mut borrow = 0;
    let difference = std::array::from_fn(|k| sub_borrow(a[k], b[k], &mut borrow));
    (difference, borrow == 1)
}

/// Whether a < b.
#[inline(always)]
pub(crate) fn is_below(a: &Words, b: &Words) -> bool {
    sub(a, b).1
}

/// The whole product; R = A + B.
#[inline(always)]
pub(crate) fn mul<const A: usize, const B: usize, const R: usize>(a: &[u64; A], b: &[u64; B]) -> [u64; R] {
    const { assert!(A + B == R) };
    let mut r = [0u64; R];
    for i in 0..A {
        let mut carry = 0u64;
        for j in 0..B {
            // At most (2^64 - 1)^2 + 2 (2^64 - 1) = 2^128 - 1.
            let t = u128::from(a[i]) * u128::from(b[j]) + u128::from(r[i + j]) + u128::from(carry);
            r[i + j] = t as u64;
            carry = (t >> 64) as u64;
        }
        r[i + B] = carry;
    }
    r
}

/// From 32 bytes, most significant first.
#[inline(always)]
pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Words {
    let (chunks, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|k| u64::from_be_bytes(chunks[3 - k]))
}

/// To 32 bytes, most significant first.
#[inline(always)]
pub(crate) fn to_bytes(words: &Words) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (chunk, word) in bytes.as_chunks_mut::<8>().0.iter_mut().rev().zip(words) {
        *chunk = word.to_be_bytes();
    }
    bytes
}

const MASK_52: u64 = (1 << 52) - 1;

/// Five limbs of 52 bits (the last has 48).
#[inline(always)]
pub(crate) const fn to_limbs(a: &Words) -> [u64; 5] {
    [
        a[0] & MASK_52,
        (a[0] >> 52 | a[1] << 12) & MASK_52,
        (a[1] >> 40 | a[2] << 24) & MASK_52,
        (a[2] >> 28 | a[3] << 36) & MASK_52,
        a[3] >> 16,
    ]
}

/// From limbs that overlap in no bit: limbs 0 to 3 below 2^52; what of limb 4 is at or above 2^48 comes beside.
#[inline(always)]
pub(crate) const fn from_limbs(l: &[u64; 5]) -> (Words, u64) {
    ([l[0] | l[1] << 52, l[1] >> 12 | l[2] << 40, l[2] >> 24 | l[3] << 28, l[3] >> 36 | l[4] << 16], l[4] >> 48)
}

const MASK_62: u64 = u64::MAX >> 2;

/// An odd prime modulus for inverses, in limbs of 62 bits.
pub(crate) struct Inverter {
    modulus: [i64; 5],
    /// modulus^-1 mod 2^62.
    low_inverse: u64,
}

/// Inverses modulo p.
pub(crate) static INVERT_P: Inverter = Inverter::new(&FIELD_PRIME);

const fn limbs_62(a: &Words) -> [i64; 5] {
    [
        (a[0] & MASK_62) as i64,
        ((a[0] >> 62 | a[1] << 2) & MASK_62) as i64,
        ((a[1] >> 60 | a[2] << 4) & MASK_62) as i64,
        ((a[2] >> 58 | a[3] << 6) & MASK_62) as i64,
        (a[3] >> 56) as i64,
    ]
}

/// -1 / odd modulo 2^64, by Newton: each turn doubles the low bits that are right (5 to begin with, then 10, 20, 40, 80).
pub(crate) const fn negated_low_inverse(odd: u64) -> u64 {
    let mut inverse = odd.wrapping_mul(3) ^ 2;
    let mut turn = 0;
    while turn < 4 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)));
        turn += 1;
    }
    inverse.wrapping_neg()
}

/// A matrix (u v; q r) of 62 division steps, and the eta after them. Sums of absolute values in a row are at most 2^62.
struct Steps {
    u: i128,
    v: i128,
    q: i128,
    r: i128,
}

/// 62 division steps on the low words of f (odd) and g.
#[inline(always)]
fn division_steps(f: &[i64; 5], g: &[i64; 5], eta: &mut i64) -> Steps {
    let (mut u, mut v, mut q, mut r) = (1u64, 0u64, 0u64, 1u64);
    let (mut f0, mut g0) = (f[0] as u64 | (f[1] as u64) << 62, g[0] as u64 | (g[1] as u64) << 62);
    let mut left = 62i64;
    loop {
        let zeros = i64::from((g0 | u64::MAX << left).trailing_zeros());
        g0 >>= zeros;
        u <<= zeros;
        v <<= zeros;
        *eta -= zeros;
        left -= zeros;
        if left == 0 {
            break;
        }
        let mask;
        if *eta < 0 {
            *eta = -*eta;
            (f0, g0) = (g0, f0.wrapping_neg());
            (u, q) = (q, u.wrapping_neg());
            (v, r) = (r, v.wrapping_neg());
            mask = 63;
        } else {
            mask = 15;
        }
        // Cancels up to 6 (or 4) low bits of g at once, by w = -g/f modulo 2^6 (2^4).
        let limit = (u64::MAX >> (64 - (*eta + 1).min(left))) & mask;
        let inverse = if mask == 63 {
            f0.wrapping_mul(2u64.wrapping_sub(f0.wrapping_mul(f0)))
        } else {
            f0.wrapping_add((f0.wrapping_add(1) & 4) << 1)
        };
        let w = inverse.wrapping_mul(g0).wrapping_neg() & limit;
        g0 = g0.wrapping_add(f0.wrapping_mul(w));
        q = q.wrapping_add(u.wrapping_mul(w));
        r = r.wrapping_add(v.wrapping_mul(w));
    }
    let wide = |a: u64| i128::from(a as i64);
    Steps { u: wide(u), v: wide(v), q: wide(q), r: wide(r) }
}

impl Inverter {
    /// For an odd prime modulus.
    pub(crate) const fn new(modulus: &Words) -> Self {
        let low_inverse = negated_low_inverse(modulus[0]).wrapping_neg() & MASK_62;
        Self { modulus: limbs_62(modulus), low_inverse }
    }

    /// 1/x, and 0 for 0; x below the modulus.
    pub(crate) fn invert(&self, x: &Words) -> Words {
        let (mut f, mut g) = (self.modulus, limbs_62(x));
        let (mut d, mut e) = ([0i64; 5], [1i64, 0, 0, 0, 0]);
        let mut eta = -1i64;
        while g != [0; 5] {
            let steps = division_steps(&f, &g, &mut eta);
            self.apply(&steps, &mut d, &mut e, &mut f, &mut g);
        }
        self.finish(d, f[4] < 0)
    }

    /// (d, e) <- steps (d, e) / 2^62 modulo the modulus, staying in (-2m, m); (f, g) <- steps (f, g) / 2^62, which is whole.
    #[inline(always)]
    fn apply(&self, steps: &Steps, d: &mut [i64; 5], e: &mut [i64; 5], f: &mut [i64; 5], g: &mut [i64; 5]) {
        let Steps { u, v, q, r } = *steps;
        let (sign_d, sign_e) = (i128::from(d[4] >> 63), i128::from(e[4] >> 63));
        let (mut times_d, mut times_e) = ((u & sign_d) + (v & sign_e), (q & sign_d) + (r & sign_e));
        let mut sum_d = u * i128::from(d[0]) + v * i128::from(e[0]);
        let mut sum_e = q * i128::from(d[0]) + r * i128::from(e[0]);
        let low = |sum: i128, times: i128| {
            i128::from(self.low_inverse.wrapping_mul(sum as u64).wrapping_add(times as u64) & MASK_62)
        };
        times_d -= low(sum_d, times_d);
        times_e -= low(sum_e, times_e);
        sum_d = (sum_d + i128::from(self.modulus[0]) * times_d) >> 62;
        sum_e = (sum_e + i128::from(self.modulus[0]) * times_e) >> 62;
        let mut sum_f = (u * i128::from(f[0]) + v * i128::from(g[0])) >> 62;
        let mut sum_g = (q * i128::from(f[0]) + r * i128::from(g[0])) >> 62;
        let mask = MASK_62 as i64;
        for k in 1..5 {
            let (dk, ek, mk) = (i128::from(d[k]), i128::from(e[k]), i128::from(self.modulus[k]));
            let (fk, gk) = (i128::from(f[k]), i128::from(g[k]));
            sum_d += u * dk + v * ek + mk * times_d;
            sum_e += q * dk + r * ek + mk * times_e;
            sum_f += u * fk + v * gk;
            sum_g += q * fk + r * gk;
            for (limb, sum) in [(&mut d[k - 1], &mut sum_d), (&mut e[k - 1], &mut sum_e)] {
                *limb = *sum as i64 & mask;
                *sum >>= 62;
            }
            for (limb, sum) in [(&mut f[k - 1], &mut sum_f), (&mut g[k - 1], &mut sum_g)] {
                *limb = *sum as i64 & mask;
                *sum >>= 62;
            }
        }
        (d[4], e[4], f[4], g[4]) = (sum_d as i64, sum_e as i64, sum_f as i64, sum_g as i64);
    }

    /// f is +-1 and d x = f: brings sign(f) d from (-2m, 2m) to [0, m).
    fn finish(&self, mut d: [i64; 5], negate: bool) -> Words {
        if negate {
            d = d.map(|limb| -limb);
        }
        loop {
            let mut carry = 0i64;
            for limb in &mut d[..4] {
                carry += *limb;
                *limb = carry & MASK_62 as i64;
                carry >>= 62;
            }
            d[4] += carry;
            let modulus = &self.modulus;
            if d[4] < 0 {
                d.iter_mut().zip(modulus).for_each(|(limb, m)| *limb += m);
            } else if d.iter().rev().ge(modulus.iter().rev()) {
                d.iter_mut().zip(modulus).for_each(|(limb, m)| *limb -= m);
            } else {
                break;
            }
        }
        let d = d.map(|limb| limb as u64);
        [d[0] | d[1] << 62, d[1] >> 2 | d[2] << 60, d[2] >> 4 | d[3] << 58, d[3] >> 6 | d[4] << 56]
    }
}

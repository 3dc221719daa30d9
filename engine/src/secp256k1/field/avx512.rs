//! Eight lanes: limb k of lane j in 64-bit lane j of vector k; products by IFMA (AVX-512 F, IFMA, BW for bytes, VBMI2 for double shifts).
//!
//! Bounds: the table of kinds in the module above. `vpmadd52` reads the low 52 bits of each factor, which is all that makes
//! dirt above them harmless, and why everything that is no factor must be carried. Cost of a product: 62 multiply-adds and
//! about 20 other operations; of a square: 42 and about 28. Twin: `scalar`. Lanes beyond the rows at hand hold a valid row.
//! Safety: every function here needs the instructions named above. Types of this module are used by one dispatch line only,
//! which follows their detection (`backend`), and by tests that ask first.

#![allow(unsafe_code)]

use super::{C_256, C_260, Lanes, MASK_48, MASK_52, Mask, Modulus, Row, Work};
use crate::secp256k1::split::{A1, A2, Halves, MINUS_B1, ROUND_1, ROUND_2, Signed};
use crate::secp256k1::words::{INVERT_P, ORDER_GAP, Words, from_limbs, to_limbs};
use std::arch::x86_64::*;

type V = __m512i;

/// 2^256 - n in limbs of 52 bits.
const GAP: [u64; 3] = three_limbs(&ORDER_GAP);

/// The first three limbs of a number below 2^156.
const fn three_limbs(a: &Signed) -> [u64; 3] {
    let l = to_limbs(&[a[0], a[1], a[2], 0]);
    [l[0], l[1], l[2]]
}

/// Eight elements.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Eight([V; 5]);

/// Whether this processor has what this module needs.
pub(crate) fn is_available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512ifma")
        && is_x86_feature_detected!("avx512vbmi2")
}

#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vbmi2,bmi1,bmi2,adx,lzcnt")]
fn enter_avx512<W: Work>(work: W) -> W::Out {
    work.run()
}

/// An array by an expression in the index, written out: what `from_fn` or `map` are given is not always inlined, and then runs
/// without the lanes' instructions, intrinsic by intrinsic through memory.
macro_rules! each {
    (3, $k:ident => $value:expr) => { each!(@ $k => $value; 0 1 2) };
    (4, $k:ident => $value:expr) => { each!(@ $k => $value; 0 1 2 3) };
    (5, $k:ident => $value:expr) => { each!(@ $k => $value; 0 1 2 3 4) };
    (8, $k:ident => $value:expr) => { each!(@ $k => $value; 0 1 2 3 4 5 6 7) };
    (@ $k:ident => $value:expr; $($i:literal)*) => { [$({ let $k = $i; $value }),*] };
}

/// One intrinsic each, under a short name.
macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident $(<const $k:ident: u32>)? ($($arg:ident: $type:ty),*) -> $out:ty = $body:expr;)*) => {$(
        $(#[$doc])*
        #[inline(always)]
        fn $name$(<const $k: u32>)?($($arg: $type),*) -> $out {
            // SAFETY: needs AVX-512 F, BW, IFMA and VBMI2 and nothing else; the module's header says who sees to that.
            unsafe { $body }
        }
    )*};
}

operations! {
    same(a: u64) -> V = _mm512_set1_epi64(a as i64);
    add(a: V, b: V) -> V = _mm512_add_epi64(a, b);
    sub(a: V, b: V) -> V = _mm512_sub_epi64(a, b);
    and(a: V, b: V) -> V = _mm512_and_si512(a, b);
    or(a: V, b: V) -> V = _mm512_or_si512(a, b);
    shr<const K: u32>(a: V) -> V = _mm512_srli_epi64::<K>(a);
    shl<const K: u32>(a: V) -> V = _mm512_slli_epi64::<K>(a);
    /// Keeps the sign.
    sar<const K: u32>(a: V) -> V = _mm512_srai_epi64::<K>(a);
    /// c + the low 52 bits of a b.
    lo(c: V, a: V, b: V) -> V = _mm512_madd52lo_epu64(c, a, b);
    /// c + bits 52 to 103 of a b.
    hi(c: V, a: V, b: V) -> V = _mm512_madd52hi_epu64(c, a, b);
    choose(mask: Mask, a: V, b: V) -> V = _mm512_mask_mov_epi64(a, mask, b);
    nonzero(a: V) -> Mask = _mm512_test_epi64_mask(a, a);
    to_array(a: V) -> [u64; 8] = std::mem::transmute(a);
    from_array(a: [u64; 8]) -> V = std::mem::transmute(a);
    row_vector(row: &Row) -> V = _mm512_load_si512(row.0.as_ptr().cast());
    vector_row(a: V) -> Row = Row(std::mem::transmute::<V, [u64; 8]>(a));
}

/// Limb k of lane j at [k][j].
#[inline(always)]
fn lanes(a: &Eight) -> &[[u64; 8]; 5] {
    // SAFETY: a vector is eight words of 64 bits in the order of its lanes, any bits make a word, and 64 is a stricter alignment.
    unsafe { &*std::ptr::from_ref(a).cast() }
}

/// The same, to be written.
#[inline(always)]
fn lanes_mut(a: &mut Eight) -> &mut [[u64; 8]; 5] {
    // SAFETY: as above, and any words make a vector.
    unsafe { &mut *std::ptr::from_mut(a).cast() }
}

#[inline(always)]
fn rotate<const K: i32>(a: &Eight) -> Eight {
    // SAFETY: as for the operations above.
    Eight(each!(5, k => unsafe { _mm512_alignr_epi64::<K>(a.0[k], a.0[k]) }))
}

/// Four words of 64 bits a lane -> five limbs.
#[inline(always)]
fn limbs_of(a: [V; 4]) -> Eight {
    let m = same(MASK_52);
    // SAFETY: as for the operations above.
    let [l1, l2, l3] = unsafe {
        [
            _mm512_shrdi_epi64::<52>(a[0], a[1]),
            _mm512_shrdi_epi64::<40>(a[1], a[2]),
            _mm512_shrdi_epi64::<28>(a[2], a[3]),
        ]
    };
    Eight([and(a[0], m), and(l1, m), and(l2, m), and(l3, m), shr::<16>(a[3])])
}

/// Five proper limbs of a value below 2^256 -> four words.
#[inline(always)]
fn words_of(a: &Eight) -> [V; 4] {
    let l = &a.0;
    [
        or(l[0], shl::<52>(l[1])),
        or(shr::<12>(l[1]), shl::<40>(l[2])),
        or(shr::<24>(l[2]), shl::<28>(l[3])),
        or(shr::<36>(l[3]), shl::<16>(l[4])),
    ]
}

/// Each word with its bytes in reverse.
#[inline(always)]
fn reversed(a: V) -> V {
    // SAFETY: as for the operations above.
    unsafe {
        let order = _mm_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
        _mm512_shuffle_epi8(a, _mm512_broadcast_i32x4(order))
    }
}

/// Eight rows of eight words, transposed.
#[inline(always)]
fn transpose(r: [V; 8]) -> [V; 8] {
    // SAFETY: as for the operations above.
    unsafe {
        let t = [
            _mm512_unpacklo_epi64(r[0], r[1]),
            _mm512_unpackhi_epi64(r[0], r[1]),
            _mm512_unpacklo_epi64(r[2], r[3]),
            _mm512_unpackhi_epi64(r[2], r[3]),
            _mm512_unpacklo_epi64(r[4], r[5]),
            _mm512_unpackhi_epi64(r[4], r[5]),
            _mm512_unpacklo_epi64(r[6], r[7]),
            _mm512_unpackhi_epi64(r[6], r[7]),
        ];
        let mut out = [same(0); 8];
        for h in 0..2 {
            let (a, b, c, d) = (t[h], t[2 + h], t[4 + h], t[6 + h]);
            let (low_ab, low_cd) = (_mm512_shuffle_i64x2::<0x88>(a, b), _mm512_shuffle_i64x2::<0x88>(c, d));
            let (high_ab, high_cd) = (_mm512_shuffle_i64x2::<0xdd>(a, b), _mm512_shuffle_i64x2::<0xdd>(c, d));
            out[h] = _mm512_shuffle_i64x2::<0x88>(low_ab, low_cd);
            out[4 + h] = _mm512_shuffle_i64x2::<0xdd>(low_ab, low_cd);
            out[2 + h] = _mm512_shuffle_i64x2::<0x88>(high_ab, high_cd);
            out[6 + h] = _mm512_shuffle_i64x2::<0xdd>(high_ab, high_cd);
        }
        out
    }
}

/// Carries limbs 0 to 3 upward (they are signed); limb 4 as it comes out. Without MASK dirt stays: kind Factor.
#[inline(always)]
fn carry<const MASK: bool>(mut c: [V; 5]) -> Eight {
    for k in 0..4 {
        c[k + 1] = add(c[k + 1], sar::<52>(c[k]));
        if MASK {
            c[k] = and(c[k], same(MASK_52));
        }
    }
    Eight(c)
}

/// Columns of a product: each below 9 * 2^52, the value below 2^520.
#[inline(always)]
fn columns(a: &Eight, b: &Eight) -> [V; 10] {
    let mut c = [same(0); 10];
    for i in 0..5 {
        for j in 0..5 {
            c[i + j] = lo(c[i + j], a.0[i], b.0[j]);
        }
        for j in 0..5 {
            c[i + j + 1] = hi(c[i + j + 1], a.0[i], b.0[j]);
        }
    }
    c
}

/// Columns of a square: the ten cross products once, doubled by an addition (< 2^55 before, < 2^56 after).
#[inline(always)]
fn columns_of_square(a: &Eight) -> [V; 10] {
    let a = &a.0;
    let mut c = [same(0); 10];
    for i in 0..5 {
        for j in i + 1..5 {
            c[i + j] = lo(c[i + j], a[i], a[j]);
            c[i + j + 1] = hi(c[i + j + 1], a[i], a[j]);
        }
    }
    for column in &mut c[1..9] {
        *column = add(*column, *column);
    }
    for i in 0..5 {
        c[2 * i] = lo(c[2 * i], a[i], a[i]);
        c[2 * i + 1] = hi(c[2 * i + 1], a[i], a[i]);
    }
    c
}

/// The low three limbs of products of three, added to `c`, not carried: nine multiply-adds.
#[inline(always)]
fn add_low_product(c: &mut [V; 3], a: &[V; 3], b: &[u64; 3]) {
    let b = each!(3, k => same(b[k]));
    c[0] = lo(c[0], a[0], b[0]);
    c[1] = lo(hi(c[1], a[0], b[0]), a[0], b[1]);
    c[1] = lo(c[1], a[1], b[0]);
    c[2] = lo(hi(c[2], a[0], b[1]), a[0], b[2]);
    c[2] = lo(hi(c[2], a[1], b[0]), a[1], b[1]);
    c[2] = lo(c[2], a[2], b[0]);
}

/// (k g + 2^383) / 2^384, rounded down, below 2^128.
#[inline(always)]
fn rounded(k: &Eight, g: &Words) -> [V; 3] {
    let mut c = columns(k, &Eight::splat(g));
    // Bit 384 is bit 20 of limb 7.
    c[7] = add(c[7], same(1 << 19));
    for i in 0..9 {
        c[i + 1] = add(c[i + 1], shr::<52>(c[i]));
    }
    let m = same(MASK_52);
    let (l7, l8, l9) = (and(c[7], m), and(c[8], m), c[9]);
    [and(or(shr::<20>(l7), shl::<32>(l8)), m), and(or(shr::<20>(l8), shl::<32>(l9)), m), shr::<20>(l9)]
}

/// Three signed limbs carried, modulo 2^156: the topmost takes the sign from the topmost bit.
#[inline(always)]
fn carried_three(c: [V; 3]) -> [V; 3] {
    let m = same(MASK_52);
    let c1 = add(c[1], sar::<52>(c[0]));
    let c2 = add(c[2], sar::<52>(c1));
    [and(c[0], m), and(c1, m), sar::<12>(shl::<12>(c2))]
}

/// A half from its columns modulo 2^156, signed: size and sign.
#[inline(always)]
fn half(c: [V; 3]) -> Halves {
    let l = carried_three(c);
    let negative = nonzero(shr::<63>(l[2]));
    let l = carried_three(each!(3, k => choose(negative, l[k], sub(same(0), l[k]))));
    Halves { low: to_array(or(l[0], shl::<52>(l[1]))), high: to_array(or(shr::<12>(l[1]), shl::<40>(l[2]))), negative }
}

/// Limbs 0 to 4, and what is worth 2^260.
type Folded = ([V; 5], V);

/// Columns -> limbs below 2^56 and r5 below 2^37, by 2^260 = C_260. The carries through columns 5 to 9 need no masks, for they
/// are factors next; column 9 ends below 2^52 because the value is below 2^520.
#[inline(always)]
fn fold(mut c: [V; 10]) -> Folded {
    for k in 5..9 {
        c[k + 1] = add(c[k + 1], shr::<52>(c[k]));
    }
    let by = same(C_260);
    let r5 = hi(same(0), c[9], by);
    for k in 0..5 {
        c[k] = lo(c[k], c[5 + k], by);
    }
    for k in 0..4 {
        c[k + 1] = hi(c[k + 1], c[5 + k], by);
    }
    ([c[0], c[1], c[2], c[3], c[4]], r5)
}

/// Takes what shows at or above 2^256 (t < 2^44) and adds t C_256 at the bottom: Raw. Carries from below enter limb 4 later
/// (< 2^5), so it ends below 2^48 + 2^5.
#[inline(always)]
fn top((mut c, r5): Folded) -> [V; 5] {
    let t = add(shl::<4>(r5), shr::<48>(c[4]));
    c[4] = and(c[4], same(MASK_48));
    c[0] = lo(c[0], t, same(C_256));
    c[1] = hi(c[1], t, same(C_256));
    c
}

/// The same for signed limbs (absolute value < 2^62) with limb 4 >= 2^48: all but one 2^256 goes, so that limb 4 lies in
/// [2^48, 2^49) and a borrow from below (> -2^11) cannot make it negative; (t - 1) C_256 is added.
#[inline(always)]
fn top_signed((mut c, r5): Folded) -> [V; 5] {
    let t = add(shl::<4>(r5), shr::<48>(c[4]));
    c[4] = or(and(c[4], same(MASK_48)), same(1 << 48));
    c[0] = lo(sub(c[0], same(C_256)), t, same(C_256));
    c[1] = hi(c[1], t, same(C_256));
    c
}

/// Adds K p as K 2^256 - K C_256, limb by limb.
#[inline(always)]
fn plus_p<const K: u64>(c: &mut [V; 5]) {
    c[0] = sub(c[0], same(K * C_256));
    c[4] = add(c[4], same(K << 48));
}

/// A folded product from which limbs have been subtracted that are worth at most (K - 2) p and a little: Norm, or Factor.
#[inline(always)]
fn less<const K: u64, const MASK: bool>((mut c, r5): Folded, f: impl Fn(usize, V) -> V) -> Eight {
    for (k, limb) in c.iter_mut().enumerate() {
        *limb = f(k, *limb);
    }
    plus_p::<K>(&mut c);
    carry::<MASK>(top_signed((c, r5)))
}

impl Lanes for Eight {
    const LOG_LANES: u32 = 3;

    #[inline(always)]
    fn enter<W: Work>(work: W) -> W::Out {
        // SAFETY: values of this type are made behind `is_available` only.
        unsafe { enter_avx512(work) }
    }

    #[inline(always)]
    fn splat(words: &Words) -> Self {
        limbs_of(each!(4, k => same(words[k])))
    }

    #[inline(always)]
    fn from_words(words: &[Words; 8]) -> Self {
        limbs_of(each!(4, k => from_array(each!(8, j => words[j][k]))))
    }

    #[inline(always)]
    fn from_bytes(bytes: &[&[u8; 32]; 8]) -> Self {
        // SAFETY: as for the operations above; each row has 32 bytes, and any alignment does.
        let words = unsafe {
            let t = each!(4, j => {
                let low = _mm512_castsi256_si512(_mm256_loadu_si256(bytes[j].as_ptr().cast()));
                _mm512_inserti64x4::<1>(low, _mm256_loadu_si256(bytes[j + 4].as_ptr().cast()))
            });
            let (even, odd) =
                (_mm512_set_epi64(13, 12, 5, 4, 9, 8, 1, 0), _mm512_set_epi64(15, 14, 7, 6, 11, 10, 3, 2));
            let (low_01, high_01) = (_mm512_unpacklo_epi64(t[0], t[1]), _mm512_unpackhi_epi64(t[0], t[1]));
            let (low_23, high_23) = (_mm512_unpacklo_epi64(t[2], t[3]), _mm512_unpackhi_epi64(t[2], t[3]));
            [
                _mm512_permutex2var_epi64(high_01, odd, high_23),
                _mm512_permutex2var_epi64(low_01, odd, low_23),
                _mm512_permutex2var_epi64(high_01, even, high_23),
                _mm512_permutex2var_epi64(low_01, even, low_23),
            ]
        };
        limbs_of(each!(4, k => reversed(words[k])))
    }

    #[inline(always)]
    fn below(&self, bound: &Words) -> Mask {
        let bound = Self::splat(bound);
        let difference = carry::<false>(each!(5, k => sub(self.0[k], bound.0[k])));
        nonzero(shr::<63>(difference.0[4]))
    }

    #[inline(always)]
    fn from_limbs(limbs: &[[u64; 5]; 8]) -> Self {
        Self(each!(5, k => from_array(each!(8, j => limbs[j][k]))))
    }

    #[inline(always)]
    fn canonical_scalar(&self) -> Self {
        let mut c = self.0;
        let top = shr::<48>(c[4]);
        c[4] = and(c[4], same(MASK_48));
        let gap = each!(3, k => same(GAP[k]));
        // top < 2^15: what is added is below 2^144.
        c[0] = lo(c[0], top, gap[0]);
        c[1] = lo(hi(c[1], top, gap[0]), top, gap[1]);
        c[2] = lo(hi(c[2], top, gap[1]), top, gap[2]);
        c[3] = hi(c[3], top, gap[2]);
        let c = carry::<true>(c);
        let mut reduced = c.0;
        for k in 0..3 {
            reduced[k] = add(reduced[k], gap[k]);
        }
        let mut reduced = carry::<true>(reduced);
        // c + 2^256 - n >= 2^256 exactly if c >= n.
        let is_above = nonzero(shr::<48>(reduced.0[4]));
        reduced.0[4] = and(reduced.0[4], same(MASK_48));
        Self::select(is_above, &c, &reduced)
    }

    #[inline(always)]
    fn split(&self) -> [Halves; 2] {
        const A1_LIMBS: [u64; 3] = three_limbs(&[A1[0], A1[1], 0]);
        const MINUS_B1_LIMBS: [u64; 3] = three_limbs(&[MINUS_B1[0], MINUS_B1[1], 0]);
        let (c1, c2) = (rounded(self, &ROUND_1), rounded(self, &ROUND_2));
        let none = [same(0); 3];
        // Columns are below 2^56, so their differences keep their sign.
        let (mut less, mut plus, mut minus) = (none, none, none);
        add_low_product(&mut less, &c1, &A1_LIMBS);
        add_low_product(&mut less, &c2, &three_limbs(&A2));
        add_low_product(&mut plus, &c1, &MINUS_B1_LIMBS);
        add_low_product(&mut minus, &c2, &A1_LIMBS);
        [half(each!(3, k => sub(self.0[k], less[k]))), half(each!(3, k => sub(plus[k], minus[k])))]
    }

    #[inline(always)]
    fn limbs(&self, lane: usize) -> [u64; 5] {
        let limbs = lanes(self);
        each!(5, k => limbs[k][lane])
    }

    #[inline(always)]
    fn set_limbs(&mut self, lane: usize, limbs: [u64; 5]) {
        self.0 = each!(5, k => choose(1 << lane, self.0[k], same(limbs[k])));
    }

    #[inline(always)]
    fn set_lane(&mut self, lane: usize, from: &Self, from_lane: usize) {
        let (to, from) = (lanes_mut(self), lanes(from));
        for k in 0..5 {
            to[k][lane] = from[k][from_lane];
        }
    }

    #[inline(always)]
    fn select(mask: Mask, a: &Self, b: &Self) -> Self {
        Self(each!(5, k => choose(mask, a.0[k], b.0[k])))
    }

    #[inline(always)]
    fn load(rows: &[Row], places: &[u32; 8]) -> (Self, Self) {
        let c = transpose(each!(8, j => row_vector(&rows[places[j] as usize])));
        (limbs_of([c[0], c[1], c[2], c[3]]), limbs_of([c[4], c[5], c[6], c[7]]))
    }

    #[inline(always)]
    fn fetch(rows: &[Row], places: &[u32; 8]) {
        for place in places {
            // SAFETY: a prefetch of any address has no effect that can be seen.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(rows.as_ptr().wrapping_add(*place as usize).cast()) };
        }
    }

    #[inline(always)]
    fn gather(rows: &[Row], entries: &[u32]) -> (Self, Self, Mask) {
        let entries = entries.first_chunk::<8>().expect("an entry a lane");
        // Places are read one by one: the units that would take them out of a vector have the transposition to do.
        let c = transpose(each!(8, j => row_vector(&rows[(entries[j] >> 1) as usize])));
        // SAFETY: as for the operations above; the array has 32 bytes, and any alignment does.
        let v = unsafe { _mm512_cvtepu32_epi64(_mm256_loadu_si256(entries.as_ptr().cast())) };
        let (present, negative) = (nonzero(v), nonzero(and(v, same(1))));
        let (x, y) = (limbs_of([c[0], c[1], c[2], c[3]]), limbs_of([c[4], c[5], c[6], c[7]]));
        (x, Self::select(negative, &y, &y.negate()), present)
    }

    #[inline(always)]
    fn fetch_entries(rows: &[Row], entries: &[u32]) {
        for entry in entries.first_chunk::<8>().expect("an entry a lane") {
            // SAFETY: a prefetch of any address has no effect that can be seen.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(rows.as_ptr().wrapping_add((entry >> 1) as usize).cast()) };
        }
    }

    #[inline(always)]
    fn store(x: &Self, y: &Self) -> [Row; 8] {
        let (x, y) = (words_of(x), words_of(y));
        let rows = transpose([x[0], x[1], x[2], x[3], y[0], y[1], y[2], y[3]]);
        each!(8, j => vector_row(rows[j]))
    }

    #[inline(always)]
    fn mul(&self, b: &Self) -> Self {
        carry::<true>(top(fold(columns(self, b))))
    }

    #[inline(always)]
    fn sqr(&self) -> Self {
        carry::<true>(top(fold(columns_of_square(self))))
    }

    #[inline(always)]
    fn mul_f(&self, b: &Self) -> Self {
        carry::<false>(top(fold(columns(self, b))))
    }

    #[inline(always)]
    fn sqr_f(&self) -> Self {
        carry::<false>(top(fold(columns_of_square(self))))
    }

    #[inline(always)]
    fn mul_raw(&self, b: &Self) -> Self {
        Self(top(fold(columns(self, b))))
    }

    #[inline(always)]
    fn sqr_raw(&self) -> Self {
        Self(top(fold(columns_of_square(self))))
    }

    #[inline(always)]
    fn sqr3_f(&self) -> Self {
        // Limbs < 3 * 2^56, so t < 2^46 and t C_256 < 2^104 still.
        let (c, r5) = fold(columns_of_square(self));
        carry::<false>(top((each!(5, k => add(c[k], add(c[k], c[k]))), add(r5, add(r5, r5)))))
    }

    #[inline(always)]
    fn mul2_f(&self, b: &Self) -> Self {
        let (c, r5) = fold(columns(self, b));
        carry::<false>(top((each!(5, k => add(c[k], c[k])), add(r5, r5))))
    }

    #[inline(always)]
    fn mul_sub(&self, b: &Self, c: &Self) -> Self {
        less::<4, true>(fold(columns(self, b)), |k, limb| sub(limb, c.0[k]))
    }

    #[inline(always)]
    fn mul_sub_f(&self, b: &Self, c: &Self) -> Self {
        less::<4, false>(fold(columns(self, b)), |k, limb| sub(limb, c.0[k]))
    }

    #[inline(always)]
    fn mul_sub8(&self, b: &Self, c: &Self) -> Self {
        less::<10, true>(fold(columns(self, b)), |k, limb| sub(limb, shl::<3>(c.0[k])))
    }

    #[inline(always)]
    fn sqr_sub2(&self, c: &Self, d: &Self) -> Self {
        less::<6, true>(fold(columns_of_square(self)), |k, limb| sub(sub(limb, c.0[k]), d.0[k]))
    }

    #[inline(always)]
    fn sqr_sub_twice(&self, c: &Self, d: &Self) -> Self {
        less::<6, true>(fold(columns_of_square(self)), |k, limb| sub(sub(limb, c.0[k]), shl::<1>(d.0[k])))
    }

    #[inline(always)]
    fn sqr_sub8(&self, d: &Self) -> Self {
        less::<10, true>(fold(columns_of_square(self)), |k, limb| sub(limb, shl::<3>(d.0[k])))
    }

    #[inline(always)]
    fn sub(&self, b: &Self) -> Self {
        // 4 p covers a Norm; the sum stays below 2^259, and limb 4 cannot end negative.
        let mut c = each!(5, k => sub(self.0[k], b.0[k]));
        plus_p::<4>(&mut c);
        carry::<false>(c)
    }

    #[inline(always)]
    fn sub4(&self, b: &Self) -> Self {
        let mut c = each!(5, k => sub(shl::<2>(self.0[k]), b.0[k]));
        plus_p::<4>(&mut c);
        carry::<false>(c)
    }

    #[inline(always)]
    fn add(&self, b: &Self) -> Self {
        carry::<true>(each!(5, k => add(self.0[k], b.0[k])))
    }

    #[inline(always)]
    fn negate(&self) -> Self {
        let p = [MASK_52 + 1 - C_256, MASK_52, MASK_52, MASK_52, MASK_48];
        carry::<true>(each!(5, k => sub(same(p[k]), self.0[k])))
    }

    #[inline(always)]
    fn canonical(&self) -> Self {
        let mut c = self.0;
        for limb in &mut c[..4] {
            *limb = and(*limb, same(MASK_52));
        }
        for _ in 0..2 {
            // After the first turn below 2^256 + 2^45, after the second below 2^256.
            let t = shr::<48>(c[4]);
            c[4] = and(c[4], same(MASK_48));
            c[0] = lo(c[0], t, same(C_256));
            c = carry::<true>(c).0;
        }
        let mut reduced = c;
        reduced[0] = add(reduced[0], same(C_256));
        let mut reduced = carry::<true>(reduced);
        // c + C >= 2^256 exactly if c >= p.
        let is_above = nonzero(shr::<48>(reduced.0[4]));
        reduced.0[4] = and(reduced.0[4], same(MASK_48));
        Self::select(is_above, &Self(c), &reduced)
    }

    #[inline(always)]
    fn zeros(&self) -> Mask {
        let c = self.canonical().0;
        !nonzero(or(or(or(c[0], c[1]), or(c[2], c[3])), c[4]))
    }

    #[inline(always)]
    fn odd(&self) -> Mask {
        nonzero(and(self.0[0], same(1)))
    }

    #[inline(always)]
    fn invert(&self) -> Self {
        // The product of all lanes by rotations, one inversion, and back.
        let by_4 = rotate::<4>(self);
        let four = self.mul_f(&by_4);
        let by_2 = rotate::<2>(&four);
        let two = four.mul_f(&by_2);
        let by_1 = rotate::<1>(&two);
        let all = two.mul_f(&by_1).canonical();
        let inverse = INVERT_P.invert(&from_limbs(&all.limbs(0)).0);
        Self::splat(&inverse).mul_f(&by_4.mul_f(&by_2).mul_f(&by_1))
    }

    #[inline(always)]
    fn mont(&self, b: &Self, modulus: &Modulus) -> Self {
        let mut c = columns(self, b);
        let (low_inverse, limbs) = (same(modulus.low_inverse), each!(5, k => same(modulus.limbs[k])));
        for i in 0..5 {
            let q = lo(same(0), c[i], low_inverse);
            for j in 0..5 {
                c[i + j] = lo(c[i + j], q, limbs[j]);
                c[i + j + 1] = hi(c[i + j + 1], q, limbs[j]);
            }
            // The low 52 bits of column i are nought now.
            c[i + 1] = add(c[i + 1], shr::<52>(c[i]));
        }
        carry::<true>([c[5], c[6], c[7], c[8], c[9]])
    }

    #[inline(always)]
    fn add_limbs(&self, b: &Self) -> Self {
        carry::<true>(each!(5, k => add(self.0[k], b.0[k])))
    }

    #[inline(always)]
    fn from_u64(words: &[u64; 8]) -> Self {
        let (v, none) = (from_array(*words), same(0));
        Self([and(v, same(MASK_52)), shr::<52>(v), none, none, none])
    }
}

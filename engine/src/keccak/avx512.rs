//! Keccak-256, eight lanes of 64 bits (AVX-512 F, BW).
//!
//! In, out, bounds: see `mod.rs`. The 25 words of the state and a round's columns stay in registers. Messages are read where
//! they lie: 64 bytes a load, masked to what is left of a message (bytes masked off are not touched, so a message may end at
//! the end of its mapping), and turned from rows to lanes by three steps of 8 x 8 transposition.
#![allow(unsafe_code)]

use super::RATE;
use super::lanes::{self, Lanes};
use alloy_primitives::B256;
use std::arch::x86_64::{
    __m512i, _mm256_storeu_si256, _mm512_castsi512_si256, _mm512_extracti64x4_epi64, _mm512_loadu_si512,
    _mm512_mask_mov_epi8, _mm512_maskz_loadu_epi8, _mm512_permutex2var_epi64, _mm512_rol_epi64, _mm512_set_epi64,
    _mm512_set1_epi8, _mm512_set1_epi64, _mm512_shuffle_i64x2, _mm512_storeu_si512, _mm512_ternarylogic_epi64,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi64, _mm512_xor_si512,
};

#[derive(Clone, Copy)]
struct Vector(__m512i);

/// An operation of AVX-512 F or BW.
macro_rules! avx512 {
    ($e:expr) => {
        // SAFETY: a `Vector` is made and used below `digest` only, which is entered where both have been found (`dispatch`).
        unsafe { $e }
    };
}

impl Lanes for Vector {
    const COUNT: usize = 8;

    #[inline(always)]
    fn splat(word: u64) -> Self {
        Self(avx512!(_mm512_set1_epi64(word.cast_signed())))
    }

    #[inline(always)]
    fn load(words: &[u64]) -> Self {
        let words: &[u64; 8] = words.try_into().expect("eight words");
        // SAFETY: 64 bytes are read, and `words` has them; AVX-512 as above.
        Self(unsafe { _mm512_loadu_si512(words.as_ptr().cast()) })
    }

    #[inline(always)]
    fn store(self, words: &mut [u64]) {
        let words: &mut [u64; 8] = words.try_into().expect("eight words");
        // SAFETY: 64 bytes are written, and `words` has them; AVX-512 as above.
        unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    fn xor(self, b: Self) -> Self {
        Self(avx512!(_mm512_xor_si512(self.0, b.0)))
    }

    #[inline(always)]
    fn xor3(self, b: Self, c: Self) -> Self {
        // Bit 4a + 2b + c of the table is a ^ b ^ c.
        Self(avx512!(_mm512_ternarylogic_epi64::<0x96>(self.0, b.0, c.0)))
    }

    #[inline(always)]
    fn chi(self, b: Self, c: Self) -> Self {
        // Bit 4a + 2b + c of the table is a ^ (!b & c).
        Self(avx512!(_mm512_ternarylogic_epi64::<0xd2>(self.0, b.0, c.0)))
    }

    #[inline(always)]
    fn rol<const N: i32>(self) -> Self {
        Self(avx512!(_mm512_rol_epi64::<N>(self.0)))
    }

    #[inline(always)]
    fn absorb(state: &mut [Self; 25], rest: &[&[u8]]) {
        let rest: &[&[u8]; 8] = rest.try_into().expect("eight lanes");
        let words = [words(rest, 0), words(rest, 64), words(rest, 128)];
        for i in 0..RATE / 8 {
            state[i] = state[i].xor(words[i / 8][i % 8]);
        }
    }

    #[inline(always)]
    fn digests(words: &[Self; 4]) -> [B256; 8] {
        let [a, b, c, d] = words.map(|words| words.0);
        let mut digests = [B256::ZERO; 8];
        // Quarter q of these has two words of digest 2q, and of digest 2q + 1.
        let even = avx512!((_mm512_unpacklo_epi64(a, b), _mm512_unpacklo_epi64(c, d)));
        let odd = avx512!((_mm512_unpackhi_epi64(a, b), _mm512_unpackhi_epi64(c, d)));
        for (parity, (ab, cd)) in [even, odd].into_iter().enumerate() {
            // Halves: digests 0 and 2, 4 and 6 of a parity's.
            let first = avx512!(_mm512_permutex2var_epi64(ab, _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0), cd));
            let second = avx512!(_mm512_permutex2var_epi64(ab, _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4), cd));
            for (i, pair) in [first, second].into_iter().enumerate() {
                let halves = avx512!((_mm512_castsi512_si256(pair), _mm512_extracti64x4_epi64::<1>(pair)));
                // SAFETY: 32 bytes are written, and a digest has them; AVX-512, and so AVX, as above.
                unsafe {
                    _mm256_storeu_si256(digests[4 * i + parity].as_mut_ptr().cast(), halves.0);
                    _mm256_storeu_si256(digests[4 * i + parity + 2].as_mut_ptr().cast(), halves.1);
                }
            }
        }
        digests
    }
}

/// 64 bytes of a block from a place on, zeros behind the block. If the message ends in it, then 0x01 after its last byte, and
/// 0x80 into the block's last.
#[inline(always)]
fn row(rest: &[u8], from: usize) -> Vector {
    let width = (RATE - from).min(64);
    let ones = |n: usize| if n >= 64 { u64::MAX } else { (1 << n) - 1 };
    let start = rest.as_ptr().wrapping_add(from).cast();
    if rest.len() >= RATE {
        // SAFETY: `width` bytes are read from `from` on, and the block has them; AVX-512 as above.
        return Vector(unsafe { _mm512_maskz_loadu_epi8(ones(width), start) });
    }
    let here = rest.len().saturating_sub(from);
    let marker = if (from..from + width).contains(&rest.len()) { 1 << here } else { 0 };
    // SAFETY: bytes are read where the mask has ones, and from `from` on the message has as many; AVX-512 as above.
    let bytes =
        unsafe { _mm512_mask_mov_epi8(_mm512_maskz_loadu_epi8(ones(here), start), marker, _mm512_set1_epi8(1)) };
    // The last byte of the block is the last of its row's first word.
    if from == 128 { Vector(bytes).xor(Vector::splat(0x80 << 56)) } else { Vector(bytes) }
}

/// 64 bytes of each lane's block from a place on, by word: vector i of the result holds word i of every lane.
#[inline(always)]
fn words(rest: &[&[u8]; 8], from: usize) -> [Vector; 8] {
    // Three steps of transposition, each of which exchanges blocks of words: 1, 2, 4 wide.
    // [r0w0 r1w0 | r0w2 r1w2 | ...], [r0w1 r1w1 | ...]
    let (p01, p23) = (pair(rest[0], rest[1], from), pair(rest[2], rest[3], from));
    let (p45, p67) = (pair(rest[4], rest[5], from), pair(rest[6], rest[7], from));
    let even = quads(p01.0, p23.0, p45.0, p67.0);
    let odd = quads(p01.1, p23.1, p45.1, p67.1);
    [even[0], odd[0], even[1], odd[1], even[2], odd[2], even[3], odd[3]]
}

/// The rows of two lanes: even words, odd words. A function, not a closure: those do not become part of `digest` for certain.
#[inline(always)]
fn pair(a: &[u8], b: &[u8], from: usize) -> (__m512i, __m512i) {
    let (a, b) = (row(a, from).0, row(b, from).0);
    avx512!((_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b)))
}

/// Words of one parity. In: quarter q of a pair has words 2q (or 2q + 1) of two rows. Out: word 2q of all rows.
#[inline(always)]
fn quads(a: __m512i, b: __m512i, c: __m512i, d: __m512i) -> [Vector; 4] {
    // Quarters 0, 2 and 1, 3 of two pairs each.
    let (ab02, ab13) = avx512!((_mm512_shuffle_i64x2::<0x88>(a, b), _mm512_shuffle_i64x2::<0xdd>(a, b)));
    let (cd02, cd13) = avx512!((_mm512_shuffle_i64x2::<0x88>(c, d), _mm512_shuffle_i64x2::<0xdd>(c, d)));
    avx512!([
        Vector(_mm512_shuffle_i64x2::<0x88>(ab02, cd02)),
        Vector(_mm512_shuffle_i64x2::<0x88>(ab13, cd13)),
        Vector(_mm512_shuffle_i64x2::<0xdd>(ab02, cd02)),
        Vector(_mm512_shuffle_i64x2::<0xdd>(ab13, cd13)),
    ])
}

#[target_feature(enable = "avx512f,avx512bw")]
fn digest(messages: &[&[u8]], out: &mut [B256]) {
    lanes::digest::<Vector>(messages, out);
}

/// Enters the lanes. The caller has found AVX-512 F and BW.
pub(super) fn dispatch(messages: &[&[u8]], out: &mut [B256]) {
    assert!(is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw"));
    // SAFETY: the assertion above.
    unsafe { digest(messages, out) }
}

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
    __m512i, _mm512_loadu_si512, _mm512_mask_mov_epi8, _mm512_maskz_loadu_epi8, _mm512_rol_epi64, _mm512_set1_epi8,
    _mm512_set1_epi64, _mm512_shuffle_i64x2, _mm512_storeu_si512, _mm512_ternarylogic_epi64, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi64, _mm512_xor_si512,
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
        let mut rows = [[Self::splat(0); 8]; 2];
        let mut last = [0; 8];
        for (lane, rest) in rest.iter().enumerate() {
            if let Some(block) = rest.first_chunk::<RATE>() {
                let (words, word) = block.split_at(128);
                // SAFETY: 128 bytes are read, and `words` has them; AVX-512 as above.
                unsafe {
                    rows[0][lane] = Self(_mm512_loadu_si512(words.as_ptr().cast()));
                    rows[1][lane] = Self(_mm512_loadu_si512(words[64..].as_ptr().cast()));
                }
                last[lane] = u64::from_le_bytes(word.try_into().expect("eight bytes"));
            } else {
                rows[0][lane] = padded_row(rest, 0);
                rows[1][lane] = padded_row(rest, 64);
                last[lane] = padded_word(rest);
            }
        }
        for (half, rows) in rows.iter().enumerate() {
            for (i, words) in transposed(rows).into_iter().enumerate() {
                state[8 * half + i] = state[8 * half + i].xor(words);
            }
        }
        state[16] = state[16].xor(Self::load(&last));
    }
}

/// 64 bytes of a last block from a place on: what is left of the message, 0x01 after its last byte, zeros.
#[inline(always)]
fn padded_row(rest: &[u8], from: usize) -> Vector {
    let ones = |n: usize| if n >= 64 { u64::MAX } else { (1 << n) - 1 };
    let here = rest.get(from..).unwrap_or_default();
    let mask = ones(here.len());
    let marker = if (from..from + 64).contains(&rest.len()) { 1 << (rest.len() - from) } else { 0 };
    // SAFETY: bytes are read where the mask has ones, and `here` has as many; AVX-512 as above.
    unsafe {
        let bytes = _mm512_maskz_loadu_epi8(mask, here.as_ptr().cast());
        Vector(_mm512_mask_mov_epi8(bytes, marker, _mm512_set1_epi8(1)))
    }
}

/// The last word of a last block.
#[inline(always)]
fn padded_word(rest: &[u8]) -> u64 {
    let mut word = 0x80 << 56;
    if let Some(tail) = rest.get(128..) {
        let mut bytes = [0; 8];
        bytes[..tail.len()].copy_from_slice(tail);
        bytes[tail.len()] = 0x01;
        word ^= u64::from_le_bytes(bytes);
    }
    word
}

/// Vector i of the result holds word i of each row.
#[inline(always)]
fn transposed(rows: &[Vector; 8]) -> [Vector; 8] {
    // Three steps, each of which exchanges blocks of words: 1, 2, 4 wide.
    let r = rows.map(|row| row.0);
    // [r0w0 r1w0 | r0w2 r1w2 | ...], [r0w1 r1w1 | ...]
    let pair = |i: usize| avx512!((_mm512_unpacklo_epi64(r[i], r[i + 1]), _mm512_unpackhi_epi64(r[i], r[i + 1])));
    let (p01, p23, p45, p67) = (pair(0), pair(2), pair(4), pair(6));
    // Words of one parity. In: quarter q of a pair has words 2q (or 2q + 1) of two rows. Out: word 2q of all rows.
    let quads = |a, b, c, d| {
        // Quarters 0, 2 and 1, 3 of two pairs each.
        let (ab02, ab13) = avx512!((_mm512_shuffle_i64x2::<0x88>(a, b), _mm512_shuffle_i64x2::<0xdd>(a, b)));
        let (cd02, cd13) = avx512!((_mm512_shuffle_i64x2::<0x88>(c, d), _mm512_shuffle_i64x2::<0xdd>(c, d)));
        avx512!([
            _mm512_shuffle_i64x2::<0x88>(ab02, cd02),
            _mm512_shuffle_i64x2::<0x88>(ab13, cd13),
            _mm512_shuffle_i64x2::<0xdd>(ab02, cd02),
            _mm512_shuffle_i64x2::<0xdd>(ab13, cd13),
        ])
    };
    let even: [__m512i; 4] = quads(p01.0, p23.0, p45.0, p67.0);
    let odd: [__m512i; 4] = quads(p01.1, p23.1, p45.1, p67.1);
    [even[0], odd[0], even[1], odd[1], even[2], odd[2], even[3], odd[3]].map(Vector)
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

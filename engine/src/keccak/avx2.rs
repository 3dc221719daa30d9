//! Keccak-256, four lanes of 64 bits (AVX2).
//!
//! In, out, bounds: see `mod.rs`. AVX2 has no rotation and no three-operand logic: a rotation is two
//! shifts and an or. 16 registers hold no state of 25 words: the rest lives on the stack.
#![allow(unsafe_code)]

use super::RATE;
use super::lanes::{self, Lanes, block};
use alloy_primitives::B256;
use std::arch::x86_64::{
    __m256i, _mm_cvtsi64_si128, _mm256_andnot_si256, _mm256_loadu_si256, _mm256_or_si256, _mm256_permute2x128_si256,
    _mm256_set_epi64x, _mm256_set1_epi64x, _mm256_slli_epi64, _mm256_srl_epi64, _mm256_storeu_si256,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

#[derive(Clone, Copy)]
struct Vector(__m256i);

/// An operation of AVX2.
macro_rules! avx2 {
    ($e:expr) => {
        // SAFETY: a `Vector` is made and used below `digest` only, which is entered where AVX2 has been found (`dispatch`).
        unsafe { $e }
    };
}

impl Lanes for Vector {
    const COUNT: usize = 4;

    #[inline(always)]
    fn splat(word: u64) -> Self {
        Self(avx2!(_mm256_set1_epi64x(word.cast_signed())))
    }

    #[inline(always)]
    fn load(words: &[u64]) -> Self {
        let w = |i: usize| words[i].cast_signed();
        Self(avx2!(_mm256_set_epi64x(w(3), w(2), w(1), w(0))))
    }

    #[inline(always)]
    fn store(self, words: &mut [u64]) {
        let words: &mut [u64; 4] = words.try_into().expect("four words");
        // SAFETY: 32 bytes are written, and `words` has them; AVX2 as above.
        unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    fn xor(self, b: Self) -> Self {
        Self(avx2!(_mm256_xor_si256(self.0, b.0)))
    }

    #[inline(always)]
    fn xor3(self, b: Self, c: Self) -> Self {
        self.xor(b).xor(c)
    }

    #[inline(always)]
    fn chi(self, b: Self, c: Self) -> Self {
        Self(avx2!(_mm256_xor_si256(self.0, _mm256_andnot_si256(b.0, c.0))))
    }

    #[inline(always)]
    fn rol<const N: i32>(self) -> Self {
        let left = avx2!(_mm256_slli_epi64::<N>(self.0));
        // The count is 64 - N, which no const argument can say; as a constant it folds to an immediate.
        let right = avx2!(_mm256_srl_epi64(self.0, _mm_cvtsi64_si128(64 - i64::from(N))));
        Self(avx2!(_mm256_or_si256(left, right)))
    }

    #[inline(always)]
    fn absorb(state: &mut [Self; 25], rest: &[&[u8]]) {
        let rest: &[&[u8]; 4] = rest.try_into().expect("four lanes");
        let [l0, l1, l2, l3] = &mut [[0; RATE]; 4];
        let blocks = [block(rest[0], l0), block(rest[1], l1), block(rest[2], l2), block(rest[3], l3)];
        for (i, state) in state[..16].chunks_exact_mut(4).enumerate() {
            let words = words(&blocks, 32 * i);
            for (state, words) in state.iter_mut().zip(words) {
                *state = state.xor(words);
            }
        }
        let last = |lane: usize| u64::from_le_bytes(*blocks[lane].last_chunk().expect("eight bytes"));
        state[16] = state[16].xor(Self::load(&[last(0), last(1), last(2), last(3)]));
    }
}

/// 32 bytes of each lane's block from a place on, by word: vector i of the result holds word i of every lane.
#[inline(always)]
fn words(blocks: &[&[u8; RATE]; 4], from: usize) -> [Vector; 4] {
    let [a, b, c, d] = [row(blocks[0], from), row(blocks[1], from), row(blocks[2], from), row(blocks[3], from)];
    // Two steps of transposition, each of which exchanges blocks of words: 1, 2 wide.
    let (ab02, ab13) = avx2!((_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b)));
    let (cd02, cd13) = avx2!((_mm256_unpacklo_epi64(c, d), _mm256_unpackhi_epi64(c, d)));
    avx2!([
        Vector(_mm256_permute2x128_si256::<0x20>(ab02, cd02)),
        Vector(_mm256_permute2x128_si256::<0x20>(ab13, cd13)),
        Vector(_mm256_permute2x128_si256::<0x31>(ab02, cd02)),
        Vector(_mm256_permute2x128_si256::<0x31>(ab13, cd13)),
    ])
}

/// 32 bytes of a block.
#[inline(always)]
fn row(block: &[u8; RATE], from: usize) -> __m256i {
    let bytes = &block[from..][..32];
    // SAFETY: 32 bytes are read, and `bytes` has them; AVX2 as above.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
fn digest(messages: &[&[u8]], out: &mut [B256]) {
    lanes::digest::<Vector>(messages, out);
}

/// Enters the lanes. The caller has found AVX2.
pub(super) fn dispatch(messages: &[&[u8]], out: &mut [B256]) {
    assert!(is_x86_feature_detected!("avx2"));
    // SAFETY: the assertion above.
    unsafe { digest(messages, out) }
}

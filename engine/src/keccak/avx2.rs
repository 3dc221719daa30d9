//! Keccak-256, four lanes of 64 bits (AVX2).
//!
//! In, out, bounds: see `mod.rs`. AVX2 has no rotation and no three-operand logic: a rotation is two
//! shifts and an or. 16 registers hold no state of 25 words: the rest lives on the stack.
#![allow(unsafe_code)]

use super::lanes::{self, Lanes};
use alloy_primitives::B256;
use std::arch::x86_64::{
    __m256i, _mm_cvtsi64_si128, _mm256_andnot_si256, _mm256_or_si256, _mm256_set_epi64x, _mm256_set1_epi64x,
    _mm256_slli_epi64, _mm256_srl_epi64, _mm256_storeu_si256, _mm256_xor_si256,
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

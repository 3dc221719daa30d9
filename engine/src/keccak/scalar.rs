//! Keccak-256 by the lanes' code over one word: the plain version, and the twin of every wider one.
//!
//! In, out, bounds: see `mod.rs`.

use super::lanes::{self, Lanes};
use alloy_primitives::B256;

impl Lanes for u64 {
    const COUNT: usize = 1;

    #[inline(always)]
    fn splat(word: u64) -> Self {
        word
    }

    #[inline(always)]
    fn load(words: &[u64]) -> Self {
        words[0]
    }

    #[inline(always)]
    fn store(self, words: &mut [u64]) {
        words[0] = self;
    }

    #[inline(always)]
    fn xor(self, b: Self) -> Self {
        self ^ b
    }

    #[inline(always)]
    fn xor3(self, b: Self, c: Self) -> Self {
        self ^ b ^ c
    }

    #[inline(always)]
    fn chi(self, b: Self, c: Self) -> Self {
        self ^ (!b & c)
    }

    #[inline(always)]
    fn rol<const N: i32>(self) -> Self {
        self.rotate_left(const { N as u32 })
    }
}

pub(super) fn digest(messages: &[&[u8]], out: &mut [B256]) {
    lanes::digest::<u64>(messages, out);
}

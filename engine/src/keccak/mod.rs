//! Keccak-256 of many messages at once: contract, choice of backend.
//!
//! In: n messages of any length and alignment; they may overlap. Out: n digests of 32 bytes, digest i of message i. Every
//! backend gives the same bytes. Rows need no order: lanes take the longest messages first and are refilled when one ends.
//!
//! | backend | lanes | needs |
//! |---|---|---|
//! | library | 1 | nothing (the assembly that alloy's `asm-keccak` brings) |
//! | scalar | 1 | nothing: the code of the lanes, over one 64-bit word; never chosen, the twin that lanes are held against |
//! | AVX2 | 4 | AVX2 |
//! | AVX-512 | 8 | AVX-512 F and BW |
//!
//! Oracle: the `sha3` crate. Source: FIPS 202 sections 3.2 to 3.4 and 4; padding byte 0x01, the submission's, not SHA-3's 0x06.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub mod gpu;
mod lanes;
mod scalar;
#[cfg(test)]
mod tests;

use alloy_primitives::{B256, keccak256};
use rayon::prelude::*;
use std::sync::OnceLock;

/// Bytes absorbed a permutation.
const RATE: usize = 136;

/// Who hashes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Backend {
    /// alloy's `keccak256`, one message after the other.
    Library,
    /// The lanes' code over single words.
    Scalar,
    /// Four lanes.
    Avx2,
    /// Eight lanes.
    Avx512,
}

impl Backend {
    /// All, the widest last.
    pub const ALL: [Self; 4] = [Self::Library, Self::Scalar, Self::Avx2, Self::Avx512];

    /// Name in reports and options.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Library => "keccak-asm",
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Whether this processor has what it needs.
    pub fn is_available(self) -> bool {
        match self {
            Self::Library | Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw"),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// The fastest that is available and gives the known answers; chosen once.
    pub fn best() -> Self {
        static BEST: OnceLock<Backend> = OnceLock::new();
        *BEST.get_or_init(|| {
            let usable = |b: &Self| *b != Self::Scalar && b.is_available() && b.self_test();
            Self::ALL.into_iter().rev().find(usable).unwrap_or(Self::Library)
        })
    }

    /// Whether it gives the known answers.
    pub fn self_test(self) -> bool {
        // Lengths around the rate, unequal in one group of lanes, and one more than any number of lanes divides.
        let bytes: Vec<u8> = (0..=255).cycle().take(600).collect();
        let messages: Vec<&[u8]> = (0..307).map(|i| &bytes[i % 7..][..i * 5 % 411]).collect();
        let mut digests = vec![B256::repeat_byte(0xa5); messages.len()];
        self.digest(&messages, &mut digests);
        let empty = digests[0] == alloy_primitives::KECCAK256_EMPTY;
        empty && keccak256(digests.concat()) == KNOWN
    }

    /// Digests of all messages, on this thread.
    ///
    /// # Panics
    /// If there is not one place for each digest, or the processor lacks what the backend needs.
    pub fn digest(self, messages: &[&[u8]], out: &mut [B256]) {
        assert_eq!(messages.len(), out.len(), "a digest a message");
        assert!(self.is_available(), "this processor has no {}", self.name());
        match self {
            Self::Library => messages.iter().zip(out).for_each(|(message, digest)| *digest = keccak256(message)),
            Self::Scalar => scalar::digest(messages, out),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::dispatch(messages, out),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::dispatch(messages, out),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => unreachable!("not available here"),
        }
    }
}

/// Digest of the digests of the self-test's messages, by the `sha3` crate.
const KNOWN: B256 = alloy_primitives::b256!("0xf0af289ee31bd15451fd4b25585bd091a930b00458866790ec9b2958ce009d03");

/// Blocks of 136 bytes that make a job of its own worth while.
const JOB_BLOCKS: usize = 2048;

/// Digests of all messages by the best backend, on all workers of the current pool.
pub fn keccak256_batch(messages: &[&[u8]]) -> Vec<B256> {
    let mut out = vec![B256::ZERO; messages.len()];
    // Few long messages leave lanes idle, and one alone is the library's.
    let backend = if messages.len() < 3 { Backend::Library } else { Backend::best() };
    let blocks: usize = messages.iter().map(|m| m.len() / RATE + 1).sum();
    let jobs = (blocks / JOB_BLOCKS).min(4 * rayon::current_num_threads());
    if jobs < 2 {
        backend.digest(messages, &mut out);
        return out;
    }
    let rows = messages.len().div_ceil(jobs);
    messages.par_chunks(rows).zip(out.par_chunks_mut(rows)).for_each(|(m, o)| backend.digest(m, o));
    out
}

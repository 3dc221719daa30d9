//! Keccak-256 of many messages at once: contract, entry. Who does it is chosen in `backend/hashes.rs`.
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
//! | wgpu | as many as a device has | a device, and batches that are worth the way there and back |
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

pub use crate::backend::hashes::Backend;
use crate::backend::hashes::fall_back;
use crate::cpu::carry;
use crate::gpu::GpuError;
use alloy_primitives::{B256, keccak256};
use rayon::prelude::*;

/// Bytes absorbed a permutation.
const RATE: usize = 136;

impl Backend {
    /// Whether it gives the known answers. Errors: a device that gives none.
    pub fn self_test(self) -> Result<bool, GpuError> {
        // Lengths around the rate, unequal in one group of lanes, and one more than any number of lanes divides.
        let bytes: Vec<u8> = (0..=255).cycle().take(600).collect();
        let messages: Vec<&[u8]> = (0..307).map(|i| &bytes[i % 7..][..i * 5 % 411]).collect();
        let mut digests = vec![B256::repeat_byte(0xa5); messages.len()];
        self.try_digest(&messages, &mut digests)?;
        let empty = digests[0] == alloy_primitives::KECCAK256_EMPTY;
        Ok(empty && keccak256(digests.concat()) == KNOWN)
    }

    /// Digests of all messages, on this thread. What a device fails to do the processor does, and says so.
    ///
    /// # Panics
    /// If there is not one place for each digest, or the processor lacks what the backend needs.
    pub fn digest(self, messages: &[&[u8]], out: &mut [B256]) {
        if let Err(error) = self.try_digest(messages, out) {
            // A backend of the processor never fails.
            fall_back(&error).digest(messages, out);
        }
    }

    /// Digests of all messages, on this thread. Errors: a device that is not there, or fails; `out` holds anything then.
    ///
    /// # Panics
    /// If there is not one place for each digest, or the processor lacks what the backend needs.
    pub fn try_digest(self, messages: &[&[u8]], out: &mut [B256]) -> Result<(), GpuError> {
        assert_eq!(messages.len(), out.len(), "a digest a message");
        if self == Self::Wgpu {
            return gpu::hasher()?.digest(messages, out);
        }
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
            Self::Wgpu => unreachable!("done above"),
        }
        Ok(())
    }
}

/// Digest of the digests of the self-test's messages, by the `sha3` crate.
const KNOWN: B256 = alloy_primitives::b256!("0xf0af289ee31bd15451fd4b25585bd091a930b00458866790ec9b2958ce009d03");

/// Blocks of 136 bytes that make a job of its own worth while.
const JOB_BLOCKS: usize = 2048;

/// Blocks of a batch that make a device worth while: what the way there and back costs, a core hashes meanwhile.
const DEVICE_BLOCKS: usize = 4096;

/// Digests of all messages by the current backend, on all workers of the current pool.
pub fn keccak256_batch(messages: &[&[u8]]) -> Vec<B256> {
    let mut out = vec![B256::ZERO; messages.len()];
    let blocks: usize = messages.iter().map(|m| m.len() / RATE + 1).sum();
    let backend = match Backend::current() {
        // Few long messages leave lanes idle, and one alone is the library's.
        _ if messages.len() < 3 => Backend::Library,
        Backend::Wgpu if blocks >= DEVICE_BLOCKS && on_device(messages, &mut out) => return out,
        Backend::Wgpu => Backend::best(),
        backend => backend,
    };
    let jobs = (blocks / JOB_BLOCKS).min(4 * rayon::current_num_threads());
    if jobs < 2 {
        backend.digest(messages, &mut out);
        return out;
    }
    let rows = messages.len().div_ceil(jobs);
    let stage = carry();
    messages.par_chunks(rows).zip(out.par_chunks_mut(rows)).for_each(|(m, o)| stage.within(|| backend.digest(m, o)));
    out
}

/// Whether the device did it: not if it failed, and not if it is at work for another worker, who is not waited for.
fn on_device(messages: &[&[u8]], out: &mut [B256]) -> bool {
    let done = gpu::hasher().map(|hasher| hasher.try_digest(messages, out));
    match done {
        Ok(Some(Ok(()))) => true,
        Ok(None) => false,
        Ok(Some(Err(error))) | Err(error) => {
            fall_back(&error);
            false
        }
    }
}

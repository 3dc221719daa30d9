//! ECDSA over secp256k1 for many rows at a time: whom signatures recover to.
//!
//! Contract: [`recover`] takes rows of (digest, r, s, recovery id) and gives for each the public key, or `None`; every backend
//! gives the same for every input, which is what libsecp256k1's `secp256k1_ecdsa_recover` gives. A row's result never depends on
//! its neighbours. Rows are spread over the rayon pool in tiles; order is kept.
//! What is accepted (`recover`): r and s in 1..n-1, high s too; recovery ids 0 to 3; digests are taken mod n.
//! Not here: low s, chain ids, v (`solo::signature`). Nothing is secret, so nothing runs in constant time.
//!
//! Backends: libsecp256k1 row by row; lanes on the processor; a device (`gpu`), which takes all rows of a call at once.
//!
//! Layers, each over the one before: `words` (four u64), `field` (lanes mod p; one trait, variants by instruction set), `scalar`
//! (mod n, the split), `group` (sums), `ecmult`, `recover`. Everything above `field` is written once, over the trait.
//! Derivations: engine/docs/secp256k1.md.

mod answers;
mod batch;
mod ecmult;
mod field;
pub mod gpu;
mod group;
mod library;
mod msm;
mod recover;
mod scalar;
mod split;
#[cfg(test)]
mod tests;
mod words;

pub use crate::backend::signatures::Backend;

pub(crate) use answers::self_test;

use crate::cpu::carry;
use alloy_primitives::{Address, keccak256};
use rayon::prelude::*;
use std::cell::RefCell;

/// A signature over a digest, as numbers of 32 bytes, most significant first. Nothing is presumed of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signature {
    /// What was signed.
    pub digest: [u8; 32],
    /// r.
    pub r: [u8; 32],
    /// s.
    pub s: [u8; 32],
    /// Bit 0: R.y is odd; bit 1: R.x is r + n. Above 3: nobody's.
    pub recovery_id: u8,
}

/// A public key: x, then y, most significant first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PublicKey(pub [u8; 64]);

impl PublicKey {
    /// The address of its owner.
    pub fn address(&self) -> Address {
        Address::from_slice(&keccak256(self.0)[12..])
    }
}

/// What recovery finds of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// The public key.
    pub key: PublicKey,
    /// R.y, most significant first.
    pub root: [u8; 32],
}

/// What a caller wants of a row.
trait Wanted: Copy + Send {
    /// Whether R.y is part of it.
    const HAS_ROOT: bool;
    /// From a key and R.y, which is anything where it is no part.
    fn new(key: &PublicKey, root: &[u8; 32]) -> Self;
}

impl Wanted for PublicKey {
    const HAS_ROOT: bool = false;

    fn new(key: &PublicKey, _: &[u8; 32]) -> Self {
        *key
    }
}

impl Wanted for Found {
    const HAS_ROOT: bool = true;

    fn new(key: &PublicKey, root: &[u8; 32]) -> Self {
        Self { key: *key, root: *root }
    }
}

/// Who is said to have signed, trusted by nobody: the result is that of recovery whatever stands here.
#[derive(Clone, Copy, Default, Debug)]
pub struct Hints<'a> {
    /// Public keys.
    pub keys: &'a [PublicKey],
    /// For each row the place of its key; beyond the keys for none.
    pub signers: &'a [u32],
    /// R.y of each row, most significant first; empty if not known.
    pub roots: &'a [[u8; 32]],
}

/// Rows that a worker takes at a time: one tile of eight lanes.
const RUN: usize = 512;

/// Rows of a batch: more gain little, and crowd the caches.
const BATCH: usize = 16_384;
/// Rows below which a batch is not cut for the sake of other workers.
const BATCH_LEAST: usize = 2048;

thread_local! {
    static SCALAR_BATCH: RefCell<Option<batch::Verifier<field::scalar::One>>> = const { RefCell::new(None) };
    #[cfg(target_arch = "x86_64")]
    static AVX512_BATCH: RefCell<Option<batch::Verifier<field::avx512::Eight>>> = const { RefCell::new(None) };
    static SCALAR: RefCell<Option<recover::Recoverer<field::scalar::One>>> = const { RefCell::new(None) };
    #[cfg(target_arch = "x86_64")]
    static AVX512: RefCell<Option<recover::Recoverer<field::avx512::Eight>>> = const { RefCell::new(None) };
}

/// Whom each signature recovers to; `None` where recovery fails. On the current rayon pool.
pub fn recover(backend: Backend, signatures: &[Signature]) -> Vec<Option<PublicKey>> {
    recover_hinted(backend, signatures, &Hints::default())
}

/// The same, with the y of each R, which spares whoever verifies later the roots.
pub fn recover_with_roots(backend: Backend, signatures: &[Signature]) -> Vec<Option<Found>> {
    recover_hinted_with_roots(backend, signatures, &Hints::default())
}

/// The same, as addresses.
pub fn recover_addresses(backend: Backend, signatures: &[Signature]) -> Vec<Option<Address>> {
    let stage = carry();
    let addresses =
        |keys: &[Option<PublicKey>]| -> Vec<_> { keys.iter().map(|key| key.map(|key| key.address())).collect() };
    let keys = recover(backend, signatures);
    keys.par_chunks(RUN).flat_map_iter(|keys| stage.within(|| addresses(keys))).collect()
}

/// Whom each signature recovers to, as [`recover`] says; faster where the hints are right. On the current rayon pool.
pub fn recover_hinted(backend: Backend, signatures: &[Signature], hints: &Hints<'_>) -> Vec<Option<PublicKey>> {
    match backend {
        Backend::Wgpu => gpu::device().recover(signatures, hints),
        _ => in_batches(backend, signatures, hints),
    }
}

/// The same with the y of each R, as [`recover_with_roots`] gives it.
pub fn recover_hinted_with_roots(backend: Backend, signatures: &[Signature], hints: &Hints<'_>) -> Vec<Option<Found>> {
    match backend {
        Backend::Wgpu => gpu::device().recover_with_roots(signatures, hints),
        _ => in_batches(backend, signatures, hints),
    }
}

/// Spreads rows over the current rayon pool, to be recovered.
fn in_runs<W: Wanted>(backend: Backend, signatures: &[Signature]) -> Vec<Option<W>> {
    let mut out = vec![None; signatures.len()];
    let stage = carry();
    let runs = signatures.par_chunks(RUN).zip(out.par_chunks_mut(RUN));
    runs.for_each(|(rows, out)| stage.within(|| recover_run(backend, rows, out)));
    out
}

/// Spreads rows over the current rayon pool, to be verified, each share with the keys that it needs.
fn in_batches<W: Wanted>(backend: Backend, signatures: &[Signature], hints: &Hints<'_>) -> Vec<Option<W>> {
    // The library has no use for hints; by them it would get more rows at a time than workers like to wait for.
    if backend == Backend::Libsecp256k1 || hints.keys.is_empty() {
        return in_runs(backend, signatures);
    }
    let has_roots = hints.roots.len() == signatures.len();
    let hints = Hints { roots: if has_roots { hints.roots } else { &[] }, ..*hints };
    let mut out = vec![None; signatures.len()];
    let stage = carry();
    let share = signatures.len().div_ceil(rayon::current_num_threads()).clamp(BATCH_LEAST, BATCH);
    if signatures.len() <= share {
        stage.within(|| verify_run(backend, signatures, &hints, &mut out));
        return out;
    }
    let shares = signatures.par_chunks(share).zip(out.par_chunks_mut(share)).enumerate();
    shares.for_each(|(i, (rows, out))| {
        let range = i * share..i * share + rows.len();
        // The keys of these rows only.
        let mut local = vec![u32::MAX; hints.keys.len()];
        let mut keys = Vec::new();
        let signers: Vec<u32> = range
            .clone()
            .map(|row| match hints.signers.get(row) {
                Some(&signer) if (signer as usize) < hints.keys.len() => {
                    let place = &mut local[signer as usize];
                    if *place == u32::MAX {
                        *place = keys.len() as u32;
                        keys.push(hints.keys[signer as usize]);
                    }
                    *place
                }
                _ => u32::MAX,
            })
            .collect();
        let roots = if has_roots { &hints.roots[range] } else { &[] };
        stage.within(|| verify_run(backend, rows, &Hints { keys: &keys, signers: &signers, roots }, out));
    });
    out
}

/// Whether this processor has what eight lanes need.
pub(crate) fn has_avx512() -> bool {
    #[cfg(target_arch = "x86_64")]
    return field::avx512::is_available();
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// u1 and u2 of rows for a device, on this thread, by the widest lanes there are.
fn quotients(rows: &[Option<recover::Prepared>]) -> (Vec<words::Words>, Vec<words::Words>) {
    #[cfg(target_arch = "x86_64")]
    if has_avx512() {
        return AVX512.with_borrow_mut(|r| r.get_or_insert_with(recover::Recoverer::new).quotients(rows));
    }
    SCALAR.with_borrow_mut(|r| r.get_or_insert_with(recover::Recoverer::new).quotients(rows))
}

/// On this thread.
fn recover_run<W: Wanted>(backend: Backend, rows: &[Signature], out: &mut [Option<W>]) {
    match backend {
        Backend::Libsecp256k1 => rows.iter().zip(out).for_each(|(row, out)| *out = library::wanted(row)),
        Backend::Scalar => SCALAR.with_borrow_mut(|r| r.get_or_insert_with(recover::Recoverer::new).recover(rows, out)),
        #[cfg(target_arch = "x86_64")]
        Backend::Avx512 => AVX512.with_borrow_mut(|r| r.get_or_insert_with(recover::Recoverer::new).recover(rows, out)),
        #[cfg(not(target_arch = "x86_64"))]
        Backend::Avx512 => unreachable!("a backend is chosen only where it is available"),
        Backend::Wgpu => unreachable!("a device takes all rows at once"),
    }
}

/// On this thread.
fn verify_run<W: Wanted>(backend: Backend, rows: &[Signature], hints: &Hints<'_>, out: &mut [Option<W>]) {
    match backend {
        Backend::Scalar => {
            SCALAR_BATCH.with_borrow_mut(|v| v.get_or_insert_with(batch::Verifier::new).recover(rows, hints, out));
        }
        #[cfg(target_arch = "x86_64")]
        Backend::Avx512 => {
            AVX512_BATCH.with_borrow_mut(|v| v.get_or_insert_with(batch::Verifier::new).recover(rows, hints, out));
        }
        #[cfg(not(target_arch = "x86_64"))]
        Backend::Avx512 => unreachable!("a backend is chosen only where it is available"),
        Backend::Libsecp256k1 | Backend::Wgpu => recover_run(backend, rows, out),
    }
}

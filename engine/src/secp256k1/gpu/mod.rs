//! Recovery and verification on a device: what both share, and who takes over where it does not.
//!
//! In, out: see `../mod.rs`. `recover` multiplies row by row; `verify` tests whole batches by the keys that somebody says, and leaves to
//! `recover` what that does not settle. Two flavours of products: from integers of 64 bits where the adapter has them, of 32
//! elsewhere. Derivations, operations, times: engine/docs/secp256k1.md, section 9.

mod layout;
mod pack;
mod recover;
mod verify;

pub use recover::Recoverer;
pub use verify::Verifier;

#[cfg(test)]
pub(super) use pack::Sums;
#[cfg(test)]
pub(super) use recover::{COLUMNS, pack, pack_points, unpack};

use super::words::Words;
use super::{Found, Hints, PublicKey, Signature, recover_hinted, recover_hinted_with_roots};
use crate::backend::signatures::Backend;
use crate::gpu::{Buffer, Gpu, GpuError, shared};
use manaflow_shaders::secp256k1::TILE;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// Rows that make a device worth while. On paper: the chain of products of one row takes a device a millisecond or two, in which a
/// core of eight lanes recovers some hundred rows.
pub const DEVICE_ROWS: usize = 1024;

/// Most rows that are given to a device at once: a slow one does so many in a moment, after which drivers lose patience.
const ROWS_MAX: usize = 1 << 16;

/// Rows that share an inversion mod p.
pub(super) const SHARING: usize = 16;

/// Rows whose scalars are made together, on one thread: whole tiles.
const RUN: usize = 8 * TILE;

/// What recovery finds: keys, and R.y of each row if it was asked for.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Keys {
    /// The public key of each row; `None` where recovery fails.
    pub keys: Vec<Option<PublicKey>>,
    /// R.y of each row, most significant first, of a row without key anything; or none at all.
    pub roots: Vec<[u8; 32]>,
}

impl Keys {
    /// Both of each row; zeros for R.y if it was not asked for.
    pub(crate) fn found(self) -> Vec<Option<Found>> {
        let root = |i: usize| self.roots.get(i).copied().unwrap_or_default();
        self.keys.iter().enumerate().map(|(i, key)| key.map(|key| Found { key, root: root(i) })).collect()
    }
}

/// The halves of a word, the lower first.
pub(super) fn halved(word: u64) -> [u32; 2] {
    [(word & 0xffff_ffff) as u32, (word >> 32) as u32]
}

/// Where a word of a row is in a column of so many words a row: `shared/tiles.wgsl`.
pub(super) fn column_place(word: usize, row: usize, words: usize) -> usize {
    (row / TILE * words + word) * TILE + row % TILE
}

/// The number whose first word is there.
pub(super) fn number(column: &[u32], word: usize, row: usize, words: usize) -> Words {
    let at = |k: usize| u64::from(column[column_place(word + k, row, words)]);
    std::array::from_fn(|k| at(2 * k) | at(2 * k + 1) << 32)
}

/// Makes a buffer that is too small larger; what was in it is gone.
fn room_for(gpu: &Gpu, buffer: &mut Buffer, words: usize) -> Result<(), GpuError> {
    if buffer.words() < words {
        *buffer = gpu.buffer(words.next_power_of_two().min(gpu.limits().words()).max(words))?;
    }
    Ok(())
}

/// A device, or why there is none, and whether it failed at work.
#[derive(Debug)]
pub struct Device<'a> {
    recoverer: Result<Recoverer<'a>, GpuError>,
    /// Made when the first hints come.
    verifier: OnceLock<Result<Verifier<'a>, GpuError>>,
    has_failed: AtomicBool,
}

impl<'a> Device<'a> {
    /// Of a recoverer.
    pub fn new(recoverer: Result<Recoverer<'a>, GpuError>) -> Self {
        Self { recoverer, verifier: OnceLock::new(), has_failed: AtomicBool::new(false) }
    }

    /// The recoverer; errors: there is none.
    pub fn recoverer(&self) -> Result<&Recoverer<'a>, GpuError> {
        self.recoverer.as_ref().map_err(Clone::clone)
    }

    /// The verifier; errors: there is none.
    fn verifier(&self) -> Result<&Verifier<'a>, GpuError> {
        let recoverer = self.recoverer()?;
        self.verifier.get_or_init(|| Verifier::new(recoverer)).as_ref().map_err(Clone::clone)
    }

    /// What it finds of a few rows, without hints, and with hints in a batch of any size.
    pub(crate) fn try_few(&self, signatures: &[Signature], hints: &Hints<'_>) -> Result<Keys, GpuError> {
        let recoverer = self.recoverer()?;
        match hints.keys.is_empty() {
            true => recoverer.recover(signatures, false),
            false => self.verifier()?.recover_from(1, recoverer, signatures, hints, false),
        }
    }

    /// Whether it failed at work since it was chosen.
    pub fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// Forgets that it failed.
    pub(crate) fn choose(&self) {
        self.has_failed.store(false, Ordering::Relaxed);
    }

    /// What it finds; `None` if the processor is to go on: because rows are few, because it is at work for another worker, who is not
    /// waited for, or because it failed, which is said once.
    pub fn try_recover(&self, signatures: &[Signature], hints: &Hints<'_>, with_roots: bool) -> Option<Keys> {
        if signatures.len() < DEVICE_ROWS || self.has_failed() {
            return None;
        }
        let found = match self.recoverer() {
            Ok(recoverer) if !recoverer.is_free() => return None,
            Ok(recoverer) if hints.keys.is_empty() => recoverer.recover(signatures, with_roots),
            Ok(recoverer) => match self.verifier() {
                Ok(verifier) => verifier.try_recover(recoverer, signatures, hints, with_roots)?,
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        let error = match found {
            Ok(found) => return Some(found),
            Err(error) => error,
        };
        if !self.has_failed.swap(true, Ordering::Relaxed) {
            tracing::warn!("signatures: {error}; {} goes on without the device", Backend::best().name());
        }
        None
    }

    /// Keys of all rows; what the device does not do, the best of the processor does, with the hints too.
    pub fn recover(&self, signatures: &[Signature], hints: &Hints<'_>) -> Vec<Option<PublicKey>> {
        match self.try_recover(signatures, hints, false) {
            Some(found) => found.keys,
            None => recover_hinted(Backend::best(), signatures, hints),
        }
    }

    /// The same with R.y.
    pub fn recover_with_roots(&self, signatures: &[Signature], hints: &Hints<'_>) -> Vec<Option<Found>> {
        match self.try_recover(signatures, hints, true) {
            Some(found) => found.found(),
            None => recover_hinted_with_roots(Backend::best(), signatures, hints),
        }
    }
}

/// The device that the process shares ([`shared`]) as one that recovers; made by the first who asks.
pub fn device() -> &'static Device<'static> {
    static DEVICE: OnceLock<Device<'static>> = OnceLock::new();
    DEVICE.get_or_init(|| Device::new(shared().and_then(Recoverer::new)))
}

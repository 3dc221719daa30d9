//! Backends of the stage `hashes`.
//!
//! Hashing is done deep inside of the judgements, where no options reach: its backend is the process's, not one run's. Who
//! chooses it last has it for all that is hashed from then on; since all give the same bytes, nobody else notices.

use super::BackendError;
use crate::gpu::GpuError;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// Who hashes many messages at once.
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
    /// A device, by wgpu. Small batches stay on the processor.
    Wgpu,
}

impl Backend {
    /// All.
    pub const ALL: [Self; 5] = [Self::Library, Self::Scalar, Self::Avx2, Self::Avx512, Self::Wgpu];

    /// Those that the processor runs, the widest last.
    pub const OF_PROCESSOR: [Self; 4] = [Self::Library, Self::Scalar, Self::Avx2, Self::Avx512];

    /// Name in reports and options.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Library => "keccak-asm",
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Wgpu => "wgpu",
        }
    }

    /// Whether this machine has what it needs. Of a device that is known when it has been opened.
    pub fn is_available(self) -> bool {
        match self {
            Self::Library | Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw"),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
            Self::Wgpu => crate::keccak::gpu::hasher().is_ok(),
        }
    }

    /// Whether it gives the known answers; asked once a process. Errors: a device that gives none.
    pub fn is_proven(self) -> Result<bool, GpuError> {
        static PROVEN: [OnceLock<Result<bool, GpuError>>; Backend::ALL.len()] =
            [const { OnceLock::new() }; Backend::ALL.len()];
        PROVEN[self as usize].get_or_init(|| self.self_test()).clone()
    }

    /// What is chosen unless another is forced: the widest of the processor. Never the plain twin; and never a device, which
    /// was not yet seen to be faster, its way there and back included.
    pub(super) fn widest() -> Self {
        let usable = |backend: &Self| *backend != Self::Scalar && backend.is_available();
        Self::OF_PROCESSOR.into_iter().rev().find(usable).unwrap_or(Self::Library)
    }

    /// The fastest of this processor that gives the known answers; chosen once.
    pub fn best() -> Self {
        static BEST: OnceLock<Backend> = OnceLock::new();
        *BEST.get_or_init(|| {
            let usable = |b: &Self| *b != Self::Scalar && b.is_available() && b.is_proven() == Ok(true);
            Self::OF_PROCESSOR.into_iter().rev().find(usable).unwrap_or(Self::Library)
        })
    }

    /// What was chosen last; the best where nobody chose.
    pub fn current() -> Self {
        let chosen = CHOSEN.load(Ordering::Relaxed);
        Self::ALL.get(usize::from(chosen)).copied().unwrap_or_else(Self::best)
    }
}

/// An index into [`Backend::ALL`].
static CHOSEN: AtomicU8 = AtomicU8::new(u8::MAX);

/// Whether a device failed at work since it was chosen.
static HAS_FALLEN_BACK: AtomicBool = AtomicBool::new(false);

/// Who does the work, for reports: the backend that is chosen, and after a device that failed who went on for it.
pub fn in_words() -> String {
    match HAS_FALLEN_BACK.load(Ordering::Relaxed) {
        true => format!("{}, {}", Backend::Wgpu.name(), Backend::best().name()),
        false => Backend::current().name().into(),
    }
}

/// A device failed: from now on the processor hashes. Says so once, and by whom it is replaced.
pub(crate) fn fall_back(error: &GpuError) -> Backend {
    let best = Backend::best();
    if !HAS_FALLEN_BACK.swap(true, Ordering::Relaxed) {
        tracing::warn!("hashes: {error}; {} goes on without the device", best.name());
    }
    let (wgpu, best_index) = (Backend::Wgpu as u8, best as u8);
    // Only if nobody chose something else meanwhile.
    let _ = CHOSEN.compare_exchange(wgpu, best_index, Ordering::Relaxed, Ordering::Relaxed);
    best
}

/// What is forced, or the widest; proven, and the process's from now on.
pub(super) fn choose(forced: Option<Backend>) -> Result<Backend, BackendError> {
    let stage = "hashes";
    let backend = forced.unwrap_or_else(Backend::widest);
    let name = backend.name();
    if backend != Backend::Wgpu && !backend.is_available() {
        return Err(BackendError::Unavailable { stage, backend: name });
    }
    match backend.is_proven() {
        Err(error) => return Err(BackendError::Device { stage, backend: name, error }),
        Ok(false) => return Err(BackendError::SelfTest { stage, backend: name }),
        Ok(true) => {
            CHOSEN.store(backend as u8, Ordering::Relaxed);
            HAS_FALLEN_BACK.store(false, Ordering::Relaxed);
        }
    }
    Ok(backend)
}

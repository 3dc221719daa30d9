//! Backends of the stage `signatures`.

use super::BackendError;
use crate::gpu::GpuError;
use crate::secp256k1::gpu::device;
use std::sync::OnceLock;

/// Who recovers and verifies signatures.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Backend {
    /// libsecp256k1, row by row.
    #[default]
    Libsecp256k1,
    /// Own kernels, one lane, on any processor.
    Scalar,
    /// Own kernels, eight lanes: AVX-512 F, BW, IFMA and VBMI2.
    Avx512,
    /// A device, by wgpu. Small batches stay on the processor, and all that it fails to do.
    Wgpu,
}

impl Backend {
    /// All of them: those that the processor runs, the slowest first, and the device.
    pub const ALL: [Self; 4] = [Self::Libsecp256k1, Self::Scalar, Self::Avx512, Self::Wgpu];

    /// Those that the processor runs, the slowest first.
    pub const OF_PROCESSOR: [Self; 3] = [Self::Libsecp256k1, Self::Scalar, Self::Avx512];

    /// Its name in options and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Libsecp256k1 => "libsecp256k1",
            Self::Scalar => "scalar",
            Self::Avx512 => "avx512",
            Self::Wgpu => "wgpu",
        }
    }

    /// Whether this machine can run it. Of a device that is known when it has been opened.
    pub fn is_available(self) -> bool {
        match self {
            Self::Libsecp256k1 | Self::Scalar => true,
            Self::Avx512 => crate::secp256k1::has_avx512(),
            Self::Wgpu => device().recoverer().is_ok(),
        }
    }

    /// Whether it gives the known answers; asked once a process. Errors: a device that gives none.
    pub fn is_proven(self) -> Result<bool, GpuError> {
        static PROVEN: [OnceLock<Result<bool, GpuError>>; Backend::ALL.len()] =
            [const { OnceLock::new() }; Backend::ALL.len()];
        PROVEN[self as usize].get_or_init(|| crate::secp256k1::self_test(self)).clone()
    }

    /// The fastest of this processor that gives the known answers; chosen once.
    pub fn best() -> Self {
        static BEST: OnceLock<Backend> = OnceLock::new();
        *BEST.get_or_init(|| {
            let usable = |b: &Self| b.is_available() && b.is_proven() == Ok(true);
            Self::OF_PROCESSOR.into_iter().rev().find(usable).unwrap_or(Self::Libsecp256k1)
        })
    }

    /// Who does the work, for reports: this one, and after a device that failed who went on for it.
    pub fn in_words(self) -> String {
        match self == Self::Wgpu && device().has_failed() {
            true => format!("{}, {}", self.name(), Self::best().name()),
            false => self.name().into(),
        }
    }
}

/// The fastest that is available. Never a device, which was not yet seen to be faster, its way there and back included.
pub(super) fn fastest() -> Backend {
    match Backend::Avx512.is_available() {
        true => Backend::Avx512,
        // As fast as the library on rows without hints, and several times as fast on rows with them.
        false => Backend::Scalar,
    }
}

/// What is forced, or the fastest that is available; proven.
pub(super) fn choose(forced: Option<Backend>) -> Result<Backend, BackendError> {
    let stage = "signatures";
    let backend = match forced {
        Some(backend) if backend != Backend::Wgpu && !backend.is_available() => {
            return Err(BackendError::Unavailable { stage, backend: backend.name() });
        }
        Some(backend) => {
            if backend == Backend::Wgpu {
                // Who goes on for it is known before workers ask.
                Backend::best();
            }
            backend
        }
        None => fastest(),
    };
    match backend.is_proven() {
        Err(error) => Err(BackendError::Device { stage, backend: backend.name(), error }),
        Ok(false) => Err(BackendError::SelfTest { stage, backend: backend.name() }),
        Ok(true) => {
            if backend == Backend::Wgpu {
                device().choose();
            }
            Ok(backend)
        }
    }
}

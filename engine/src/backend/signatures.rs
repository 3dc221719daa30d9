//! Backends of the stage `signatures`.

use super::BackendError;
use std::sync::OnceLock;

/// Who recovers and verifies signatures.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Backend {
    /// libsecp256k1, row by row.
    #[default]
    Libsecp256k1,
    /// Own kernels, one lane, on any processor.
    Scalar,
    /// Own kernels, eight lanes: AVX-512 F, IFMA and VBMI2.
    Avx512,
}

impl Backend {
    /// All of them, the slowest first.
    pub const ALL: [Self; 3] = [Self::Libsecp256k1, Self::Scalar, Self::Avx512];

    /// Its name in options and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Libsecp256k1 => "libsecp256k1",
            Self::Scalar => "scalar",
            Self::Avx512 => "avx512",
        }
    }

    /// Whether this processor can run it.
    pub fn is_available(self) -> bool {
        match self {
            Self::Libsecp256k1 | Self::Scalar => true,
            Self::Avx512 => crate::secp256k1::has_avx512(),
        }
    }

    /// Whether it gives the known answers; asked once a process.
    pub fn is_proven(self) -> bool {
        static PROVEN: [OnceLock<bool>; Backend::ALL.len()] = [const { OnceLock::new() }; Backend::ALL.len()];
        *PROVEN[self as usize].get_or_init(|| crate::secp256k1::self_test(self))
    }
}

/// The fastest that is available.
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
        Some(backend) if !backend.is_available() => {
            return Err(BackendError::Unavailable { stage, backend: backend.name() });
        }
        Some(backend) => backend,
        None => fastest(),
    };
    match backend.is_proven() {
        true => Ok(backend),
        false => Err(BackendError::SelfTest { stage, backend: backend.name() }),
    }
}

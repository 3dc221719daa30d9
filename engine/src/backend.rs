//! Who does the work of a stage: found out once, forced on request, proven by known answers before its first row.
//!
//! `MANAFLOW_BACKEND=signatures=scalar` and `--backend signatures=scalar` force a backend; an option goes before the environment.
//! A backend that is forced or chosen and then gives wrong answers is no reason to take another, but to stop: the machine is
//! not to be trusted. A device that is lost at work is replaced by the processor, which says so.

pub mod execution;
pub mod hashes;
pub mod signatures;
pub mod standing;

use crate::gpu::GpuError;
use std::fmt;
use std::str::FromStr;

/// The environment variable that forces backends.
pub const VARIABLE: &str = "MANAFLOW_BACKEND";

/// Why there is no backend.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BackendError {
    /// The request is not one.
    #[error("{given:?}: expected STAGE=BACKEND, as in {example}")]
    Malformed {
        /// What was given.
        given: String,
        /// A right one.
        example: &'static str,
    },
    /// No such backend.
    #[error("{stage}: no backend {given:?}: expected one of {expected}")]
    Unknown {
        /// The stage.
        stage: &'static str,
        /// What was given.
        given: String,
        /// Names that there are.
        expected: String,
    },
    /// This processor does not have what it needs.
    #[error("{stage}: this processor has not what backend {backend} needs")]
    Unavailable {
        /// The stage.
        stage: &'static str,
        /// The backend.
        backend: &'static str,
    },
    /// There is no device, or it fails.
    #[error("{stage}: this machine has not what backend {backend} needs: {error}")]
    Device {
        /// The stage.
        stage: &'static str,
        /// The backend.
        backend: &'static str,
        /// What the device said.
        error: GpuError,
    },
    /// Known answers came out otherwise.
    #[error("{stage}: backend {backend} failed its self-test")]
    SelfTest {
        /// The stage.
        stage: &'static str,
        /// The backend.
        backend: &'static str,
    },
}

/// Backends asked for by name; what is not is chosen.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Forced {
    /// Signatures.
    pub signatures: Option<signatures::Backend>,
    /// Hashes.
    pub hashes: Option<hashes::Backend>,
    /// Execution.
    pub execution: Option<execution::Backend>,
}

impl Forced {
    /// From lists like `signatures=scalar`, separated by commas; later ones go before earlier ones.
    pub fn parse<'a>(requests: impl IntoIterator<Item = &'a str>) -> Result<Self, BackendError> {
        let mut forced = Self::default();
        for request in requests.into_iter().flat_map(|list| list.split(',')).filter(|request| !request.is_empty()) {
            match request.split_once('=') {
                Some(("signatures", name)) => forced.signatures = Some(name.parse()?),
                Some(("hashes", name)) => forced.hashes = Some(name.parse()?),
                Some(("execution", name)) => forced.execution = Some(name.parse()?),
                _ => {
                    let example = "signatures=scalar";
                    return Err(BackendError::Malformed { given: request.into(), example });
                }
            }
        }
        Ok(forced)
    }
}

/// Backends of a run, proven. By default the libraries that the own kernels are held against. That of `hashes` is not among
/// them: it is the process's ([`hashes`]).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Backends {
    /// Signatures.
    pub signatures: signatures::Backend,
    /// Execution.
    pub execution: execution::Backend,
}

impl Backends {
    /// Chooses what is fastest here, or takes what is forced, and runs its self-test. The backend of `hashes` is the process's
    /// from then on.
    pub fn choose(forced: Forced) -> Result<Self, BackendError> {
        hashes::choose(forced.hashes)?;
        Ok(Self { signatures: signatures::choose(forced.signatures)?, execution: execution::choose(forced.execution)? })
    }
}

/// The backend of a name.
fn named<B: Copy, const N: usize>(
    stage: &'static str,
    all: [B; N],
    name_of: fn(B) -> &'static str,
    given: &str,
) -> Result<B, BackendError> {
    all.into_iter().find(|backend| name_of(*backend) == given).ok_or_else(|| BackendError::Unknown {
        stage,
        given: given.into(),
        expected: all.map(name_of).join(", "),
    })
}

/// A stage's backends are written and read by their names.
macro_rules! by_name {
    ($($stage:ident),*) => {$(
        impl fmt::Display for $stage::Backend {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $stage::Backend {
            type Err = BackendError;

            fn from_str(name: &str) -> Result<Self, BackendError> {
                named(stringify!($stage), Self::ALL, Self::name, name)
            }
        }
    )*};
}

by_name!(signatures, hashes, execution);

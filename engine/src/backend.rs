//! Who does the work of a stage: found out once, forced on request, proven by known answers before its first row.
//!
//! `MANAFLOW_BACKEND=signatures=scalar` and `--backend signatures=scalar` force a backend; an option goes before the environment.

pub mod signatures;

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
}

impl Forced {
    /// From lists like `signatures=scalar`, separated by commas; later ones go before earlier ones.
    pub fn parse<'a>(requests: impl IntoIterator<Item = &'a str>) -> Result<Self, BackendError> {
        let mut forced = Self::default();
        for request in requests.into_iter().flat_map(|list| list.split(',')).filter(|request| !request.is_empty()) {
            match request.split_once('=') {
                Some(("signatures", name)) => forced.signatures = Some(name.parse()?),
                _ => {
                    let example = "signatures=scalar";
                    return Err(BackendError::Malformed { given: request.into(), example });
                }
            }
        }
        Ok(forced)
    }
}

/// Backends, proven. By default the libraries that the own kernels are held against.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Backends {
    /// Signatures.
    pub signatures: signatures::Backend,
}

impl Backends {
    /// Chooses what is fastest here, or takes what is forced, and runs its self-test.
    pub fn choose(forced: Forced) -> Result<Self, BackendError> {
        Ok(Self { signatures: signatures::choose(forced.signatures)? })
    }
}

impl fmt::Display for signatures::Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for signatures::Backend {
    type Err = BackendError;

    fn from_str(name: &str) -> Result<Self, BackendError> {
        Self::ALL.into_iter().find(|backend| backend.name() == name).ok_or_else(|| BackendError::Unknown {
            stage: "signatures",
            given: name.into(),
            expected: Self::ALL.map(Self::name).join(", "),
        })
    }
}

//! Backends of the stage `execution`.

use super::BackendError;
use std::sync::OnceLock;

/// Who executes transactions.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Backend {
    /// revm's own handler and loop: the definition.
    #[default]
    Plain,
    /// revm's handler and instructions over a threaded loop; plain transfers without either.
    Threaded,
}

impl Backend {
    /// All of them, the slowest first.
    pub const ALL: [Self; 2] = [Self::Plain, Self::Threaded];

    /// Its name in options and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Threaded => "threaded",
        }
    }

    /// Whether this build can run it: the threaded loop needs calls in tail position to be jumps.
    pub fn is_available(self) -> bool {
        self == Self::Plain || crate::solo::threaded::is_available()
    }

    /// Whether it gives what revm's loop gives; asked once a process.
    pub fn is_proven(self) -> bool {
        static PROVEN: OnceLock<bool> = OnceLock::new();
        self == Self::Plain || *PROVEN.get_or_init(crate::solo::threaded::self_test)
    }

    /// The fastest that this build can run and that gives what revm's loop gives: the other one to hold the definition against,
    /// where there is another.
    pub fn fastest() -> Self {
        let usable = |backend: &Self| backend.is_available() && backend.is_proven();
        Self::ALL.into_iter().rev().find(usable).unwrap_or_default()
    }
}

/// What is forced, or the definition; proven.
pub(super) fn choose(forced: Option<Backend>) -> Result<Backend, BackendError> {
    let stage = "execution";
    let backend = forced.unwrap_or_default();
    if !backend.is_available() {
        return Err(BackendError::Unavailable { stage, backend: backend.name() });
    }
    match backend.is_proven() {
        true => Ok(backend),
        false => Err(BackendError::SelfTest { stage, backend: backend.name() }),
    }
}

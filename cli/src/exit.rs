//! Exit codes, and what each failure has to do with them.

use manaflow_engine::backend::BackendError;
use manaflow_engine::bench::BenchError;
use manaflow_engine::import::ImportError;
use manaflow_engine::segment::MergeError;
use manaflow_engine::validate::ValidateError;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Code {
    /// What was asked for was done, and nothing was found.
    Success = 0,
    /// It ran to the end and found invalid.
    Invalid = 1,
    /// Wrong usage.
    Usage = 2,
    /// Input missing, truncated, malformed.
    Input = 3,
    /// This machine: disk full, memory limit, file changed.
    Machine = 4,
    /// A self-test failed: this machine is not to be trusted.
    SelfTest = 5,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// Why a command has no result.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// From the loader.
    #[error(transparent)]
    Loader(#[from] manaflow_loader::Error),
    /// From an import.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// From a validation.
    #[error(transparent)]
    Validate(#[from] ValidateError),
    /// From a measurement.
    #[error(transparent)]
    Bench(#[from] BenchError),
    /// No backend.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// From a merge of summaries.
    #[error(transparent)]
    Merge(#[from] MergeError),
    /// The command line asks for what makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The input is not what was asked for.
    #[error("{0}")]
    Input(String),
    /// No run of the benchmark.
    #[error("{0}")]
    Results(String),
    /// Output cannot be written.
    #[error("{path}: {source}", path = .path.display())]
    Output {
        /// The file, or `-`.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// What was asked for takes more memory than there is.
    #[error("{0}")]
    Memory(String),
    /// Threads cannot be started.
    #[error("worker threads cannot be started: {0}")]
    Threads(String),
    /// Nobody reads the output any more.
    #[error("broken pipe")]
    BrokenPipe,
}

impl Failure {
    /// A failure to write, quiet if nobody reads any more.
    pub fn output(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| match source.kind() {
            std::io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::Output { path, source },
        }
    }

    /// The exit code.
    pub fn code(&self) -> Code {
        let by_fault = |input| if input { Code::Input } else { Code::Machine };
        match self {
            Self::Loader(e) => by_fault(e.is_input()),
            Self::Import(e) => by_fault(e.is_input()),
            Self::Validate(ValidateError::Usage(_)) | Self::Usage(_) => Code::Usage,
            Self::Validate(e) => by_fault(e.is_input()),
            Self::Bench(BenchError::Wrong { .. } | BenchError::Differs { .. }) => Code::SelfTest,
            Self::Bench(BenchError::Usage(_)) => Code::Usage,
            Self::Bench(BenchError::Blocks(_)) => Code::Input,
            Self::Bench(BenchError::Threads(_)) => Code::Machine,
            Self::Backend(BackendError::SelfTest { .. }) => Code::SelfTest,
            Self::Backend(BackendError::Unavailable { .. } | BackendError::Device { .. }) => Code::Machine,
            Self::Backend(_) => Code::Usage,
            Self::Input(_) | Self::Merge(_) | Self::Results(_) => Code::Input,
            Self::Output { .. } | Self::Threads(_) | Self::Memory(_) => Code::Machine,
            Self::BrokenPipe => Code::Success,
        }
    }

    /// Whether a node has given no answer, or a wrong one.
    fn is_of_node(&self) -> bool {
        use manaflow_loader::Error::Node;
        matches!(self, Self::Loader(Node { .. }) | Self::Import(ImportError::Loader(Node { .. })))
    }

    /// What to try next.
    pub fn hint(&self) -> Option<&'static str> {
        match self.code() {
            Code::Usage => Some("`manaflow help` lists commands, `manaflow COMMAND --help` shows examples"),
            Code::Input if matches!(self, Self::Merge(_)) => {
                Some("summaries are made by `manaflow validate --summary`, of one chain, block after block")
            }
            Code::Input if matches!(self, Self::Import(_)) || self.is_of_node() => {
                Some("`manaflow import --help` says which sources of blocks there are, and what each needs")
            }
            Code::Input if matches!(self, Self::Results(_)) => {
                Some("`manaflow bench --json` prints what `manaflow bench compare` reads")
            }
            Code::Input => {
                Some("`manaflow COMMAND --help` says what each command takes; block files come from `manaflow import`")
            }
            Code::Machine if self.is_of_node() => Some(
                "the node may be busy or out of reach: try again, with more --rpc-attempts or a longer --rpc-timeout",
            ),
            Code::Machine => Some("the input may be fine: check disk space, permissions and memory, and try again"),
            Code::SelfTest => Some("known answers came out wrong: try another machine before you trust this one"),
            Code::Success | Code::Invalid => None,
        }
    }
}

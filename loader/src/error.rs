//! The one error of this crate: the machine or the input, never a verdict.

use std::path::{Path, PathBuf};

/// What went wrong while reading or writing, by what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The input is missing, truncated, malformed, or contradicts itself.
    #[error("{path}: {place}: {reason}", path = .path.display())]
    Malformed {
        /// File or folder.
        path: PathBuf,
        /// Where in it: byte offset, section and row, line, block, field.
        place: String,
        /// What was got and what was expected.
        reason: String,
    },
    /// A node does not answer, or answers what cannot be.
    #[error("{node}: {call}: {reason}")]
    Node {
        /// The node, without secrets.
        node: String,
        /// What it was asked.
        call: String,
        /// What was got and what was expected.
        reason: String,
        /// Whether the answer is at fault; else there was none, and another try may help.
        is_input: bool,
    },
    /// The file changed while it was in use.
    #[error("{path}: changed while it was in use: no verdict", path = .path.display())]
    Changed {
        /// File.
        path: PathBuf,
    },
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A refusal of the operating system at `path`.
    pub fn io<P: AsRef<Path> + ?Sized>(path: &P) -> impl FnOnce(std::io::Error) -> Self {
        // Copied when there is an error: columns are written row by row.
        move |source| Self::Io { path: path.as_ref().to_path_buf(), source }
    }

    /// Malformed input at a place in `path`.
    pub fn malformed(path: impl AsRef<Path>, place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Malformed { path: path.as_ref().to_path_buf(), place: place.into(), reason: reason.into() }
    }

    /// Whether the input is at fault (else the machine is).
    pub fn is_input(&self) -> bool {
        match self {
            Self::Malformed { .. } => true,
            Self::Node { is_input, .. } => *is_input,
            Self::Io { source, .. } => matches!(
                source.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::IsADirectory | std::io::ErrorKind::NotADirectory
            ),
            Self::Changed { .. } => false,
        }
    }
}

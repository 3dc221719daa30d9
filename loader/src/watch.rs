//! Whether files are still those that were opened: asked last, after everything that was read from their maps.

use crate::map::Tear;
use crate::{Error, Result};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What tells one state of a file from another: size, modification time, device, inode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity(u64, i64, i64, u64, u64);

impl Identity {
    pub(crate) fn new(m: &Metadata) -> Self {
        Self(m.len(), m.mtime(), m.mtime_nsec(), m.dev(), m.ino())
    }

    /// Refuses a file that is another than at this identity, or whose map was torn.
    pub(crate) fn check(self, path: &Path, tear: Option<Tear>) -> Result<()> {
        let changed = || Error::Changed { path: path.to_path_buf() };
        if tear.is_some_and(Tear::is_torn) {
            return Err(changed());
        }
        match std::fs::metadata(path).map(|m| Self::new(&m)) {
            Ok(now) if now == self => Ok(()),
            Ok(_) => Err(changed()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(changed()),
            Err(e) => Err(Error::io(path)(e)),
        }
    }
}

/// Files as they were before they were opened.
///
/// Whoever opens and reads block files takes a watch before, and asks it after: what was read from a file that changed
/// is worth nothing, be it a result, an error or a panic.
#[derive(Clone, Debug)]
pub struct Watch(Vec<(PathBuf, Identity)>);

impl Watch {
    /// Looks at files. Those that cannot be looked at are not watched: opening them fails.
    pub fn new(paths: &[PathBuf]) -> Self {
        let identity = |path: &PathBuf| Some((path.clone(), Identity::new(&std::fs::metadata(path).ok()?)));
        Self(paths.iter().filter_map(identity).collect())
    }

    /// Refuses if a file is not the one that it was.
    pub fn changed(&self) -> Result<()> {
        self.0.iter().try_for_each(|(path, identity)| identity.check(path, None))
    }
}

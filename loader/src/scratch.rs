//! Bytes that do not fit in memory for a while: a file without name, gone with the process however it ends.

use crate::faulty;
use std::fs::File;
use std::io::Result;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A file without name, written and read in any order, by any thread.
#[derive(Debug)]
pub struct Scratch(File);

impl Scratch {
    /// An empty one in a folder.
    pub fn new(folder: &Path) -> Result<Self> {
        faulty::step()?;
        Ok(Self(tempfile::tempfile_in(folder)?))
    }

    /// Writes all bytes from an offset on.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        faulty::step()?;
        self.0.write_all_at(bytes, offset)
    }

    /// Fills all bytes from an offset on. Errors: they were not all written; the disk.
    pub fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<()> {
        faulty::step()?;
        self.0.read_exact_at(bytes, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_nothing_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let scratch = Scratch::new(folder.path()).expect("a file");
        scratch.write_at(b"later", 7).expect("written");
        scratch.write_at(b"earlier", 0).expect("written");
        let mut bytes = [0; 12];
        scratch.read_at(&mut bytes, 0).expect("read");
        assert_eq!(&bytes, b"earlierlater");
        assert!(scratch.read_at(&mut bytes, 1).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }
}

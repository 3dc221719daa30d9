//! Where a writer keeps columns until their lengths are known, and the paged, checksummed stream they end up in.
//!
//! A column is in memory as long as it is short, then in a spool file. These have no name where the system allows it (else
//! their name is gone once they are open): they vanish with the process, however it ends.

use super::layout::{ALIGN, PAGE_BYTES};
use crate::faulty;
use std::fs::File;
use std::io::{Result, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

// Short in tests, so that small files take many accesses.
const BUFFER_BYTES: usize = if cfg!(test) { 1 << 11 } else { 1 << 16 };

/// A file without name.
#[derive(Debug)]
struct Unnamed(File);

impl Unnamed {
    fn new(folder: &Path) -> Result<Self> {
        faulty::step()?;
        tempfile::tempfile_in(folder).map(Self)
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> Result<()> {
        faulty::step()?;
        self.0.read_exact_at(bytes, offset)
    }

    fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        faulty::step()?;
        self.0.write_all(bytes)
    }
}

/// Whether a folder takes spool files.
pub fn probe(folder: &Path) -> Result<()> {
    Unnamed::new(folder).map(drop)
}

/// A column on its way: what is in its file, and what came since.
#[derive(Debug)]
pub struct Spool {
    folder: Arc<Path>,
    file: Option<Unnamed>,
    file_bytes: u64,
    newest: Vec<u8>,
}

impl Spool {
    /// An empty spool, whose file would be in `folder`.
    pub fn new(folder: &Arc<Path>) -> Self {
        Self { folder: folder.clone(), file: None, file_bytes: 0, newest: Vec::new() }
    }

    /// Appends. What is put at once stays together, so that a file of whole rows has whole rows.
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        if self.newest.len() + bytes.len() > BUFFER_BYTES {
            self.store()?;
        }
        if bytes.len() > BUFFER_BYTES {
            return self.write(bytes);
        }
        self.newest.extend_from_slice(bytes);
        Ok(())
    }

    #[cold]
    fn store(&mut self) -> Result<()> {
        let newest = std::mem::take(&mut self.newest);
        self.write(&newest)?;
        self.newest = newest;
        self.newest.clear();
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(Unnamed::new(&self.folder)?),
        };
        file.write_all(bytes)?;
        self.file_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.file_bytes + self.newest.len() as u64
    }

    /// Goes through everything in parts of so many bytes; the last part of the file and that of memory may be shorter.
    fn for_each_part(&self, part_bytes: usize, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        if let Some(file) = &self.file {
            let mut part = vec![0; part_bytes];
            let mut offset = 0;
            while offset < self.file_bytes {
                let bytes = (self.file_bytes - offset).min(part_bytes as u64) as usize;
                file.read_exact_at(&mut part[..bytes], offset)?;
                take(&part[..bytes])?;
                offset += bytes as u64;
            }
        }
        take(&self.newest)
    }

    /// Copies everything to `out`.
    pub fn copy_to(&self, out: &mut PagedWriter<'_, impl Write>) -> Result<()> {
        self.for_each_part(BUFFER_BYTES, |part| out.put(part))
    }

    /// Copies a column of u32 to `out`, each row through `map`, in order.
    pub fn map_to(&self, out: &mut PagedWriter<'_, impl Write>, mut map: impl FnMut(u32) -> u32) -> Result<()> {
        self.for_each(|row| out.put(&map(row).to_le_bytes()))
    }

    /// Goes through a column of u32, in order.
    pub fn for_each(&self, mut take: impl FnMut(u32) -> Result<()>) -> Result<()> {
        self.for_each_row(|row| take(u32::from_le_bytes(row)))
    }

    /// Goes through a column of rows of so many bytes, in order.
    pub fn for_each_row<const BYTES: usize>(&self, mut take: impl FnMut([u8; BYTES]) -> Result<()>) -> Result<()> {
        self.for_each_part(BUFFER_BYTES / BYTES * BYTES, |part| {
            let (rows, rest) = part.as_chunks();
            debug_assert!(rest.is_empty(), "rows were put whole");
            rows.iter().try_for_each(|row| take(*row))
        })
    }

    /// Copies `bytes` bytes from `offset` to `out`.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn copy_part(&self, offset: u64, bytes: u64, out: &mut PagedWriter<'_, impl Write>) -> Result<()> {
        let end = offset + bytes;
        let in_file = end.min(self.file_bytes).saturating_sub(offset);
        if let (1.., Some(file)) = (in_file, &self.file) {
            let mut part = vec![0; in_file as usize];
            file.read_exact_at(&mut part, offset)?;
            out.put(&part)?;
        }
        let newest = |at: u64| at.saturating_sub(self.file_bytes) as usize;
        out.put(&self.newest[newest(offset)..newest(end)])
    }
}

/// The data area of a block file on its way to disk: full pages are hashed and written.
#[derive(Debug)]
pub struct PagedWriter<'a, W> {
    file: &'a mut W,
    page: Vec<u8>,
    checksums: Vec<u8>,
    bytes: u64,
}

impl<'a, W: Write> PagedWriter<'a, W> {
    /// Writes from the current position of `file` on.
    pub fn new(file: &'a mut W) -> Self {
        Self { file, page: Vec::with_capacity(PAGE_BYTES), checksums: Vec::new(), bytes: 0 }
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends.
    pub fn put(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = PAGE_BYTES - self.page.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.page.extend_from_slice(now);
            bytes = later;
            if self.page.len() == PAGE_BYTES {
                self.flush_page()?;
            }
        }
        Ok(())
    }

    /// Fills with zeros up to the next multiple of the sections' alignment.
    pub fn pad(&mut self) -> Result<()> {
        let zeros = self.bytes.next_multiple_of(ALIGN) - self.bytes;
        self.put(&[0; ALIGN as usize][..zeros as usize])
    }

    fn flush_page(&mut self) -> Result<()> {
        self.checksums.extend_from_slice(&xxh3_64(&self.page).to_le_bytes());
        self.file.write_all(&self.page)?;
        self.page.clear();
        Ok(())
    }

    /// Writes what is left; returns the page table.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        if !self.page.is_empty() {
            self.flush_page()?;
        }
        Ok(self.checksums)
    }
}

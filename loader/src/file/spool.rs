//! Where a writer keeps columns until their lengths are known, and the paged, checksummed stream they end up in.
//!
//! Spool files have no name where the system allows it (else their name is gone once they are open): they vanish with
//! the process, however it ends.

use super::layout::{ALIGN, PAGE_BYTES};
use crate::faulty;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Result, Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

// Short in tests, so that small files take many accesses.
const BUFFER_BYTES: usize = if cfg!(test) { 1 << 11 } else { 1 << 16 };

/// A file without name.
#[derive(Debug)]
struct Unnamed(File);

impl Unnamed {
    fn rewind(&mut self) -> Result<()> {
        faulty::step()?;
        self.0.rewind()
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> Result<()> {
        faulty::step()?;
        self.0.read_exact_at(bytes, offset)
    }
}

impl Write for Unnamed {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        faulty::step()?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        self.0.flush()
    }
}

impl Read for Unnamed {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize> {
        faulty::step()?;
        self.0.read(bytes)
    }
}

/// A column on its way.
#[derive(Debug)]
pub struct Spool {
    file: BufWriter<Unnamed>,
    bytes: u64,
}

impl Spool {
    /// An empty spool in `folder`.
    pub fn new(folder: &Path) -> Result<Self> {
        faulty::step()?;
        let file = BufWriter::with_capacity(BUFFER_BYTES, Unnamed(tempfile::tempfile_in(folder)?));
        Ok(Self { file, bytes: 0 })
    }

    /// Appends.
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn rewind(&mut self) -> Result<BufReader<&mut Unnamed>> {
        self.file.flush()?;
        self.file.get_mut().rewind()?;
        Ok(BufReader::with_capacity(BUFFER_BYTES, self.file.get_mut()))
    }

    /// Copies everything to `out`.
    pub fn copy_to(&mut self, out: &mut PagedWriter<'_, impl Write>) -> Result<()> {
        let mut reader = self.rewind()?;
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let count = reader.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            out.put(&buffer[..count])?;
        }
    }

    /// Copies a column of u32 to `out`, each row through `map`, in order.
    pub fn map_to(&mut self, out: &mut PagedWriter<'_, impl Write>, mut map: impl FnMut(u32) -> u32) -> Result<()> {
        self.for_each(|row| out.put(&map(row).to_le_bytes()))
    }

    /// Goes through a column of u32, in order.
    pub fn for_each(&mut self, mut take: impl FnMut(u32) -> Result<()>) -> Result<()> {
        self.for_each_row(|row| take(u32::from_le_bytes(row)))
    }

    /// Goes through a column of rows of so many bytes, in order.
    pub fn for_each_row<const BYTES: usize>(&mut self, mut take: impl FnMut([u8; BYTES]) -> Result<()>) -> Result<()> {
        let mut left = self.bytes / BYTES as u64;
        let mut reader = self.rewind()?;
        let mut row = [0; BYTES];
        while left > 0 {
            reader.read_exact(&mut row)?;
            take(row)?;
            left -= 1;
        }
        Ok(())
    }

    /// Copies `bytes` bytes from `offset` to `out`.
    pub fn copy_part(&mut self, offset: u64, bytes: u64, out: &mut PagedWriter<'_, impl Write>) -> Result<()> {
        self.file.flush()?;
        let mut buffer = vec![0; bytes as usize];
        self.file.get_ref().read_exact_at(&mut buffer, offset)?;
        out.put(&buffer)
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

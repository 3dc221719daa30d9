//! e2store files: entries of type, length and data, one after the other. What era1 and ere files have in common.
//!
//! Entry: type u16, length u32, reserved u16 (zero), data; little-endian. The first is the version, of no data; the
//! last is an index of the blocks. Its type tells the two formats apart, whatever the file's name: a block index
//! (0x3266) ends an era1 file, a component index (0x3267) an ere file.
//! Headers, bodies and receipts are packed by snappy (framed, with checksums).
//! Source: the e2store, era1 and ere specifications (eth-clients/e2store-format-specs).

mod accumulator;
mod name;
mod tail;

pub(super) use accumulator::Accumulator;
pub(super) use name::check as check_name;
pub(super) use tail::{Layout, Tail};

use super::{BLOCK_BYTES_MAX, split};
use crate::error::{Error, Result};
use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, U256, keccak256};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

pub(super) const VERSION: u16 = 0x3265;
pub(super) const HEADER: u16 = 0x03;
pub(super) const BODY: u16 = 0x04;
pub(super) const RECEIPTS: u16 = 0x05;
pub(super) const TOTAL_DIFFICULTY: u16 = 0x06;
pub(super) const ACCUMULATOR: u16 = 0x07;
pub(super) const SLIM_RECEIPTS: u16 = 0x0a;
pub(super) const PROOF: u16 = 0x0b;
pub(super) const BLOCK_INDEX: u16 = 0x3266;
pub(super) const COMPONENT_INDEX: u16 = 0x3267;
/// Bytes of an entry before its data.
pub(super) const ENTRY_HEADER_BYTES: u64 = 8;
/// First bytes of every e2store file: the version entry.
pub(super) const MAGIC: [u8; 8] = [0x65, 0x32, 0, 0, 0, 0, 0, 0];
/// Blocks in an epoch, and the most a file may have: the bound of the accumulator's list.
pub(super) const BLOCKS_MAX: usize = 8192;

/// Format of an e2store file with blocks, told by its index, whatever its name.
pub(super) fn layout(path: &Path) -> Result<Layout> {
    Tail::read(&mut EntryFile::open(path, 1 << 12)?).map(|tail| tail.layout)
}

/// A file read entry by entry.
#[derive(Debug)]
pub(super) struct EntryFile {
    pub path: PathBuf,
    reader: BufReader<File>,
    pub length: u64,
    /// Next byte to be read.
    pub offset: u64,
    /// Start of the entry being read, for errors.
    pub entry: u64,
    /// Row of the block being read, for errors, where there is one.
    pub block: Option<u64>,
}

impl EntryFile {
    /// Opens a file and reads its version entry; `buffer` is in bytes.
    pub fn open(path: &Path, buffer: usize) -> Result<Self> {
        let file = File::open(path).map_err(Error::io(path))?;
        let length = file.metadata().map_err(Error::io(path))?.len();
        let reader = BufReader::with_capacity(buffer, file);
        let mut file = Self { path: path.to_path_buf(), reader, length, offset: 0, entry: 0, block: None };
        let (kind, length) = file.next_entry()?;
        if (kind, length) != (VERSION, 0) {
            return Err(file.malformed(format!("got entry {kind:#06x} of {length} bytes, expected an e2store version")));
        }
        Ok(file)
    }

    /// The entry and the block being read as the place of an error.
    pub fn malformed(&self, reason: impl Into<String>) -> Error {
        let place = match self.block {
            Some(row) => format!("byte {} (block {} of the file)", self.entry, row + 1),
            None => format!("byte {}", self.entry),
        };
        Error::malformed(&self.path, place, reason)
    }

    /// Goes to a byte of the file.
    pub fn seek(&mut self, offset: u64) -> Result<()> {
        // Both are at most the length of a file, which fits in an i64.
        self.reader.seek_relative(offset as i64 - self.offset as i64).map_err(Error::io(&self.path))?;
        self.offset = offset;
        Ok(())
    }

    /// Type and length of the next entry, whose data is in the file.
    pub fn next_entry(&mut self) -> Result<(u16, u64)> {
        self.entry = self.offset;
        if self.length.saturating_sub(self.offset) < ENTRY_HEADER_BYTES {
            return Err(self.malformed("the file ends before its block index"));
        }
        let h = self.read(ENTRY_HEADER_BYTES)?;
        let kind = u16::from_le_bytes([h[0], h[1]]);
        let length = u64::from(u32::from_le_bytes([h[2], h[3], h[4], h[5]]));
        if (h[6], h[7]) != (0, 0) {
            return Err(self.malformed(format!("entry {kind:#06x}: reserved bytes are not zero")));
        }
        let left = self.length - self.offset;
        if length > left {
            return Err(self.malformed(format!("entry {kind:#06x} has {length} bytes, the file has {left} more")));
        }
        Ok((kind, length))
    }

    /// Length of the next entry, which must be of a type.
    pub fn expect(&mut self, expected: u16) -> Result<u64> {
        let (kind, length) = self.next_entry()?;
        if kind == expected {
            Ok(length)
        } else {
            Err(self.malformed(format!("got entry {kind:#06x}, expected {expected:#06x}")))
        }
    }

    /// The next `count` bytes.
    pub fn read(&mut self, count: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let got = (&mut self.reader).take(count).read_to_end(&mut bytes).map_err(Error::io(&self.path))? as u64;
        if got != count {
            return Err(self.malformed(format!("the file ends {} bytes short", count - got)));
        }
        self.offset += count;
        Ok(bytes)
    }

    /// Passes over the next `count` bytes.
    pub fn skip(&mut self, count: u64) -> Result<()> {
        self.seek(self.offset + count)
    }

    /// The next `length` bytes, unpacked.
    pub fn unpack(&mut self, length: u64) -> Result<Bytes> {
        let packed = self.read(length)?;
        let mut bytes = Vec::new();
        snap::read::FrameDecoder::new(packed.as_slice())
            .take(BLOCK_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| self.malformed(format!("snappy: {e}")))?;
        if bytes.len() as u64 > BLOCK_BYTES_MAX {
            return Err(self.malformed(format!("unpacks to more than {BLOCK_BYTES_MAX} bytes")));
        }
        Ok(bytes.into())
    }

    /// The next `length` bytes as a header, with its hash.
    fn header(&mut self, length: u64) -> Result<(Header, B256)> {
        let rlp = self.unpack(length)?;
        let header = split::decode_exact(&rlp, "header").map_err(|e| self.malformed(e))?;
        Ok((header, keccak256(&rlp)))
    }

    /// The next `length` bytes as a total difficulty.
    pub fn total_difficulty(&mut self, length: u64) -> Result<U256> {
        if length != 32 {
            return Err(self.malformed(format!("total difficulty: got {length} bytes, expected 32")));
        }
        Ok(U256::from_le_slice(&self.read(length)?))
    }

    /// The next `length` bytes as an accumulator.
    pub fn accumulator(&mut self, length: u64) -> Result<B256> {
        if length != 32 {
            return Err(self.malformed(format!("accumulator: got {length} bytes, expected 32")));
        }
        Ok(B256::from_slice(&self.read(length)?))
    }
}

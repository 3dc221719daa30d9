//! RLP chain files: blocks one after the other, as `geth export` writes them.
//!
//! Read through a buffer, one block in memory at a time. A length that goes beyond the file is refused before anything
//! is allocated for it.

use super::{BLOCK_BYTES_MAX, SourceBlock, split};
use crate::error::{Error, Result};
use alloy_primitives::Bytes;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// Reader of one RLP chain file.
#[derive(Debug)]
pub struct RlpChain {
    path: PathBuf,
    reader: BufReader<File>,
    length: u64,
    offset: u64,
    blocks: u64,
}

impl RlpChain {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io(path))?;
        let length = file.metadata().map_err(Error::io(path))?.len();
        Ok(Self {
            path: path.to_path_buf(),
            reader: BufReader::with_capacity(1 << 16, file),
            length,
            offset: 0,
            blocks: 0,
        })
    }

    /// The next block, `None` at the end of the file. Its number is the one in its header.
    pub fn next_block(&mut self) -> Result<Option<SourceBlock>> {
        if self.offset == self.length {
            return Ok(None);
        }
        let bytes = self.next_item()?;
        let block = split::block(&bytes).map_err(|reason| self.malformed(reason))?;
        self.offset += bytes.len() as u64;
        self.blocks += 1;
        Ok(Some(block))
    }

    /// Bytes read so far.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Passes over a block; false at the end of the file.
    pub(super) fn skip_block(&mut self) -> Result<bool> {
        if self.offset == self.length {
            return Ok(false);
        }
        let (prefix, payload) = self.next_prefix()?;
        // At most `BLOCK_BYTES_MAX`.
        self.reader.seek_relative(payload as i64).map_err(Error::io(&self.path))?;
        self.offset += prefix.len() as u64 + payload;
        self.blocks += 1;
        Ok(true)
    }

    fn malformed(&self, reason: impl Into<String>) -> Error {
        let place = format!("byte {} (block {} of the file)", self.offset, self.blocks + 1);
        Error::malformed(&self.path, place, reason)
    }

    /// Bytes of the item at the current offset: prefix and payload.
    fn next_item(&mut self) -> Result<Bytes> {
        let (mut bytes, payload) = self.next_prefix()?;
        self.read(&mut bytes, payload)?;
        Ok(bytes.into())
    }

    /// The prefix of the item at the current offset, and the length of its payload, which the file has.
    fn next_prefix(&mut self) -> Result<(Vec<u8>, u64)> {
        let mut prefix = Vec::with_capacity(9);
        self.read(&mut prefix, 1)?;
        let payload = match prefix[0] {
            0xc0..=0xf7 => u64::from(prefix[0] - 0xc0),
            0xf8.. => {
                let width = u64::from(prefix[0] - 0xf7);
                self.read(&mut prefix, width)?;
                prefix[1..].iter().fold(0, |length, byte| length << 8 | u64::from(*byte))
            }
            first => {
                return Err(self.malformed(format!("got a string (first byte {first:#04x}), expected a block, a list")));
            }
        };
        // The offset is at most the length unless the file shrank, which `read` finds.
        let left = self.length.saturating_sub(self.offset + prefix.len() as u64);
        if payload > left {
            return Err(self.malformed(format!("the block has {payload} more bytes, the file has {left}")));
        }
        if payload > BLOCK_BYTES_MAX {
            return Err(self.malformed(format!("the block has {payload} bytes, at most {BLOCK_BYTES_MAX} are read")));
        }
        Ok((prefix, payload))
    }

    /// Appends exactly `count` bytes.
    fn read(&mut self, bytes: &mut Vec<u8>, count: u64) -> Result<()> {
        let got = (&mut self.reader).take(count).read_to_end(bytes).map_err(Error::io(&self.path))?;
        if got as u64 == count {
            Ok(())
        } else {
            Err(self.malformed(format!("the file ends {} bytes short", count - got as u64)))
        }
    }
}

//! era1 files: e2store entries with 8,192 blocks of proof-of-work history.
//!
//! Entry: type u16, length u32, reserved u16 (zero), data; little-endian. Version, then for each block header, body,
//! receipts (snappy framed RLP) and total difficulty (32 bytes little-endian), then accumulator and block index. Other
//! entries are passed over.
//! Checked: order and bounds of entries, the block index against where the blocks were found. Not checked: the
//! accumulator, which proves nothing that the hash chain does not. From receipts only post-state roots are taken.
//! Source: the e2store and era1 specifications (eth-clients/e2store-format-specs).

use super::{BLOCK_BYTES_MAX, SourceBlock, split};
use crate::error::{Error, Result};
use alloy_primitives::{Bytes, U256};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

const VERSION: u16 = 0x3265;
const HEADER: u16 = 0x03;
const BODY: u16 = 0x04;
const RECEIPTS: u16 = 0x05;
const TOTAL_DIFFICULTY: u16 = 0x06;
const BLOCK_INDEX: u16 = 0x3266;
const ENTRY_HEADER_BYTES: u64 = 8;
/// First bytes of every era1 file: the version entry.
pub(super) const MAGIC: [u8; 8] = [0x65, 0x32, 0, 0, 0, 0, 0, 0];

/// Reader of one era1 file.
#[derive(Debug)]
pub struct Era1 {
    path: PathBuf,
    reader: BufReader<File>,
    length: u64,
    /// Start of the next entry.
    offset: u64,
    /// Start of the entry being read, for errors.
    entry: u64,
    /// Number in the first block's header.
    first: Option<u64>,
    /// Where each block's header entry was found.
    starts: Vec<u64>,
    is_finished: bool,
}

impl Era1 {
    /// Opens a file and reads its version entry.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io(path))?;
        let length = file.metadata().map_err(Error::io(path))?.len();
        let mut era1 = Self {
            path: path.to_path_buf(),
            reader: BufReader::with_capacity(1 << 16, file),
            length,
            offset: 0,
            entry: 0,
            first: None,
            starts: Vec::new(),
            is_finished: false,
        };
        let (kind, length) = era1.next_entry()?;
        if (kind, length) != (VERSION, 0) {
            return Err(era1.malformed(format!("got entry {kind:#06x} of {length} bytes, expected an e2store version")));
        }
        Ok(era1)
    }

    /// The next block, `None` after the block index at the end. Its number is the one in its header.
    pub fn next_block(&mut self) -> Result<Option<SourceBlock>> {
        while !self.is_finished {
            let start = self.offset;
            let (kind, length) = self.next_entry()?;
            match kind {
                HEADER => return self.block(start, length).map(Some),
                BODY | RECEIPTS | TOTAL_DIFFICULTY | VERSION => {
                    return Err(self.malformed(format!("got entry {kind:#06x}, expected a block's header")));
                }
                BLOCK_INDEX => self.finish(length)?,
                // The accumulator (0x07), and what later versions of the format may add.
                _ => self.skip(length)?,
            }
        }
        Ok(None)
    }

    /// Bytes read so far.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Passes over a block whose header entry is next; false if another entry is.
    ///
    /// The first block of a file is to be read, not passed over: the block index is held against its number.
    pub(super) fn skip_block(&mut self) -> Result<bool> {
        let start = self.offset;
        if self.is_finished || self.first.is_none() {
            return Ok(false);
        }
        let (kind, length) = self.next_entry()?;
        if kind != HEADER {
            // Back to the entry: whoever reads blocks looks at it.
            self.reader.seek_relative(-(ENTRY_HEADER_BYTES as i64)).map_err(Error::io(&self.path))?;
            self.offset = start;
            return Ok(false);
        }
        self.skip(length)?;
        for kind in [BODY, RECEIPTS, TOTAL_DIFFICULTY] {
            let length = self.expect(kind)?;
            self.skip(length)?;
        }
        self.starts.push(start);
        Ok(true)
    }

    fn block(&mut self, start: u64, header_length: u64) -> Result<SourceBlock> {
        let header = self.unpack(header_length)?;
        let length = self.expect(BODY)?;
        let body = self.unpack(length)?;
        let mut block = split::header_and_body(&header, &body).map_err(|e| self.malformed(e))?;
        let length = self.expect(RECEIPTS)?;
        let receipts = self.unpack(length)?;
        block.witness_roots =
            split::witness_roots(&receipts, block.transactions.len()).map_err(|e| self.malformed(e))?;
        let length = self.expect(TOTAL_DIFFICULTY)?;
        if length != 32 {
            return Err(self.malformed(format!("total difficulty: got {length} bytes, expected 32")));
        }
        let total_difficulty = self.read(length)?;
        block.total_difficulty = U256::try_from_le_slice(&total_difficulty);
        self.first.get_or_insert(block.header.number);
        self.starts.push(start);
        Ok(block)
    }

    /// Reads the block index and checks that the file ends with it.
    fn finish(&mut self, length: u64) -> Result<()> {
        let count = self.starts.len() as u64;
        if length != 16 + 8 * count {
            return Err(self.malformed(format!(
                "block index: got {length} bytes, expected {} for {count} blocks",
                16 + 8 * count
            )));
        }
        if self.offset + length != self.length {
            return Err(self.malformed(format!(
                "{} bytes after the block index",
                self.length.saturating_sub(self.offset + length)
            )));
        }
        let index_start = self.entry;
        let data = self.read(length)?;
        let words: Vec<u64> = data
            .chunks_exact(8)
            .map(|w| u64::from_le_bytes([w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]]))
            .collect();
        let expected = self.starts.iter().map(|start| start.wrapping_sub(index_start));
        if words[words.len() - 1] != count {
            return Err(self.malformed(format!("block index: got count {}, expected {count}", words[words.len() - 1])));
        }
        if let Some(first) = self.first
            && words[0] != first
        {
            return Err(self.malformed(format!("block index: got first block {}, its header says {first}", words[0])));
        }
        if let Some((row, (got, expected))) =
            words[1..].iter().zip(expected).enumerate().find(|(_, (got, expected))| *got != expected)
        {
            let (got, expected) = (*got as i64, expected as i64);
            return Err(self.malformed(format!("block index: row {row}: got offset {got}, expected {expected}")));
        }
        self.is_finished = true;
        Ok(())
    }

    fn malformed(&self, reason: impl Into<String>) -> Error {
        let place = format!("byte {} (block {} of the file)", self.entry, self.starts.len() + 1);
        Error::malformed(&self.path, place, reason)
    }

    /// Type and length of the next entry, whose data is in the file.
    fn next_entry(&mut self) -> Result<(u16, u64)> {
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

    fn expect(&mut self, expected: u16) -> Result<u64> {
        let (kind, length) = self.next_entry()?;
        if kind == expected {
            Ok(length)
        } else {
            Err(self.malformed(format!("got entry {kind:#06x}, expected {expected:#06x}")))
        }
    }

    fn read(&mut self, count: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let got = (&mut self.reader).take(count).read_to_end(&mut bytes).map_err(Error::io(&self.path))? as u64;
        if got != count {
            return Err(self.malformed(format!("the file ends {} bytes short", count - got)));
        }
        self.offset += count;
        Ok(bytes)
    }

    fn skip(&mut self, count: u64) -> Result<()> {
        // The length fits in 32 bits.
        self.reader.seek_relative(count as i64).map_err(Error::io(&self.path))?;
        self.offset += count;
        Ok(())
    }

    /// The next `length` bytes, unpacked.
    fn unpack(&mut self, length: u64) -> Result<Bytes> {
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
}

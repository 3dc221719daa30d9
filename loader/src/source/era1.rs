//! era1 files: e2store entries with up to 8,192 blocks of proof-of-work history.
//!
//! Version, then for each block header, body, receipts and total difficulty (32 bytes little-endian), then accumulator
//! and block index. Other entries are passed over.
//! Checked: order and bounds of entries; the block index against where the blocks were found and what their headers
//! say; the accumulator against hashes and total difficulties of the blocks; a standard name against both. From
//! receipts only post-state roots are taken.
//! Source: the e2store and era1 specifications (eth-clients/e2store-format-specs).

use super::e2store::{
    ACCUMULATOR, Accumulator, BLOCK_INDEX, BODY, COMPONENT_INDEX, ENTRY_HEADER_BYTES, EntryFile, HEADER, Layout,
    RECEIPTS, TOTAL_DIFFICULTY, Tail, VERSION, check_name,
};
use super::order::Extent;
use super::{SourceBlock, split};
use crate::error::Result;
use alloy_primitives::B256;
use std::path::Path;

/// Bytes read ahead: a file is read from its start to its end.
const BUFFER_BYTES: usize = 1 << 16;

/// Reader of one era1 file.
#[derive(Debug)]
pub struct Era1 {
    file: EntryFile,
    tail: Tail,
    /// Where each block's header entry was found.
    starts: Vec<u64>,
    computed: Accumulator,
    /// The accumulator that the file states, once it was met.
    stated: Option<B256>,
    is_finished: bool,
}

impl Era1 {
    /// Opens a file, reads its version entry and the block index at its end.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = EntryFile::open(path, BUFFER_BYTES)?;
        let tail = Tail::read(&mut file)?;
        if tail.layout != Layout::Era1 {
            return Err(
                tail.malformed(&file, "got a component index, that of an ere file, expected that of an era1 file")
            );
        }
        check_name(&mut file, &tail)?;
        file.seek(ENTRY_HEADER_BYTES)?;
        let (starts, computed) = (Vec::new(), Accumulator::default());
        Ok(Self { file, tail, starts, computed, stated: None, is_finished: false })
    }

    /// What the index says of the file, with the headers of its first and last block. Only before the first block.
    pub(super) fn extent(&mut self) -> Result<Extent> {
        let extent = self.tail.extent(&mut self.file, true)?;
        self.file.seek(ENTRY_HEADER_BYTES)?;
        Ok(extent)
    }

    /// The next block, `None` after the block index at the end. Its number is the one in its header.
    pub fn next_block(&mut self) -> Result<Option<SourceBlock>> {
        while !self.is_finished {
            let start = self.file.offset;
            let (kind, length) = self.file.next_entry()?;
            match kind {
                HEADER if self.stated.is_some() => {
                    return Err(self.file.malformed("got a block's header, expected none after the accumulator"));
                }
                HEADER => return self.block(start, length).map(Some),
                BODY | RECEIPTS | TOTAL_DIFFICULTY | VERSION | COMPONENT_INDEX => {
                    return Err(self.file.malformed(format!("got entry {kind:#06x}, expected a block's header")));
                }
                ACCUMULATOR if self.stated.is_some() => {
                    return Err(self.file.malformed("got a second accumulator, expected one"));
                }
                ACCUMULATOR => {
                    let stated = self.file.accumulator(length)?;
                    let computed = self.computed.root();
                    if stated != computed {
                        let blocks = self.starts.len();
                        let reason = format!(
                            "accumulator: got {stated}, expected {computed} of hashes and total difficulties of the \
                             {blocks} blocks"
                        );
                        return Err(self.file.malformed(reason));
                    }
                    self.stated = Some(stated);
                }
                BLOCK_INDEX => self.finish()?,
                // What later versions of the format may add.
                _ => self.file.skip(length)?,
            }
        }
        Ok(None)
    }

    /// Bytes read so far.
    pub(super) fn offset(&self) -> u64 {
        self.file.offset
    }

    fn block(&mut self, start: u64, header_length: u64) -> Result<SourceBlock> {
        let row = self.starts.len() as u64;
        self.file.block = Some(row);
        if row == self.tail.count {
            let reason = format!("got count {row}, the file has more blocks");
            return Err(self.tail.malformed(&self.file, reason));
        }
        let file = &mut self.file;
        let header = file.unpack(header_length)?;
        let length = file.expect(BODY)?;
        let body = file.unpack(length)?;
        let mut block = split::header_and_body(&header, &body).map_err(|e| file.malformed(e))?;
        self.tail.check_number(file, row, block.header.number)?;
        let length = file.expect(RECEIPTS)?;
        let receipts = file.unpack(length)?;
        block.witness_roots =
            split::witness_roots(&receipts, block.transactions.len()).map_err(|e| file.malformed(e))?;
        let length = file.expect(TOTAL_DIFFICULTY)?;
        let total_difficulty = file.total_difficulty(length)?;
        block.total_difficulty = Some(total_difficulty);
        self.computed.push(block.hash, total_difficulty);
        self.starts.push(start);
        self.file.block = Some(row + 1);
        Ok(block)
    }

    /// Checks the block index, which was read beforehand.
    fn finish(&mut self) -> Result<()> {
        let (file, tail) = (&self.file, &self.tail);
        let count = self.starts.len() as u64;
        if file.entry != tail.start {
            return Err(file.malformed(format!("got a block index, expected it at byte {}, at the end", tail.start)));
        }
        if tail.count != count {
            return Err(tail.malformed(file, format!("got count {}, expected {count}", tail.count)));
        }
        for (row, start) in (0..).zip(&self.starts) {
            let (got, expected) = (tail.offset(row, 0), start.wrapping_sub(tail.start) as i64);
            if got != expected {
                return Err(tail.malformed(file, format!("row {row}: got offset {got}, expected {expected}")));
            }
        }
        if self.stated.is_none() {
            return Err(tail.malformed(file, "got no accumulator (entry 0x0007) before it, expected one"));
        }
        self.is_finished = true;
        Ok(())
    }
}

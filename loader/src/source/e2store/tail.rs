//! The index at the end of an era1 or ere file, found from the end: what blocks a file holds and where, without reading
//! it.
//!
//! A block index (era1) is `first | offset × count | count`, a component index (ere) `first | offsets × count |
//! components | count`, words of 64 bits, little-endian; offsets are relative to the index, hence negative. Right
//! before it stands the accumulator, where there is one.

use super::super::order::Extent;
use super::{ACCUMULATOR, BLOCK_INDEX, BLOCKS_MAX, COMPONENT_INDEX, ENTRY_HEADER_BYTES, EntryFile, HEADER};
use crate::error::{Error, Result};
use crate::model::BLOCK_BOUND;
use alloy_consensus::Header;
use alloy_primitives::B256;

/// Format of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::source) enum Layout {
    /// Block by block; proof of work only.
    Era1,
    /// Each block in several entries that the index points to.
    Ere,
}

/// The index of a file.
#[derive(Debug)]
pub(in crate::source) struct Tail {
    /// By the type of the index.
    pub layout: Layout,
    /// Number of the first block.
    pub first: u64,
    /// Blocks in the file, 1 to 8,192.
    pub count: u64,
    /// Start of the index entry.
    pub start: u64,
    /// Offsets a block: 1, or the component count.
    pub columns: usize,
    /// Offsets, block by block.
    offsets: Vec<u64>,
    /// The accumulator as the file has it.
    pub accumulator: Option<B256>,
}

impl Tail {
    /// Reads the index at the end of a file.
    ///
    /// Where there is none, the entries are gone through one by one, so that the error can say what is wrong with them.
    pub fn read(file: &mut EntryFile) -> Result<Self> {
        let Some((layout, start, columns)) = find(file)? else { return Err(explain(file)) };
        file.seek(start)?;
        let (_, length) = file.next_entry()?;
        let words = words(&file.read(length)?);
        let (first, count) = (words[0], words[words.len() - 1]);
        if count == 0 {
            return Err(file.malformed("block index: the file holds no block"));
        }
        if first > BLOCK_BOUND - count {
            return Err(file.malformed(format!("block index: got first block {first}, expected below {BLOCK_BOUND}")));
        }
        let offsets = words[1..1 + columns * count as usize].to_vec();
        let before = start.checked_sub(ENTRY_HEADER_BYTES + 32).filter(|at| *at >= ENTRY_HEADER_BYTES);
        let accumulator = match before {
            Some(at) if entry_at(file, at)? == (ACCUMULATOR, 32, 0) => {
                file.seek(at)?;
                let (_, length) = file.next_entry()?;
                Some(file.accumulator(length)?)
            }
            _ => None,
        };
        Ok(Self { layout, first, count, start, columns, offsets, accumulator })
    }

    /// The offset of a block's component as the index states it: from the index on, hence negative.
    pub fn offset(&self, row: u64, column: usize) -> i64 {
        self.offsets[row as usize * self.columns + column] as i64
    }

    /// Where in the file a component starts by the index; anything, if the index is wrong.
    pub fn place(&self, row: u64, column: usize) -> u64 {
        self.start.wrapping_add_signed(self.offset(row, column))
    }

    /// An error whose place is the index.
    pub fn malformed(&self, file: &EntryFile, reason: impl std::fmt::Display) -> Error {
        Error::malformed(&file.path, format!("byte {}", self.start), format!("block index: {reason}"))
    }

    /// Header and hash of a block by its row in the index. Its number must be that of the row.
    pub fn header(&self, file: &mut EntryFile, row: u64) -> Result<(Header, B256)> {
        file.block = Some(row);
        let mut kinds = Vec::with_capacity(self.columns);
        for column in 0..self.columns {
            let kind = self.kind(file, row, column)?;
            if kind == Some(HEADER) {
                file.seek(self.place(row, column))?;
                let (_, length) = file.next_entry()?;
                let (header, hash) = file.header(length)?;
                self.check_number(file, row, header.number)?;
                file.block = None;
                return Ok((header, hash));
            }
            kinds.push(kind);
        }
        let kind = kinds[0].map_or("no entry".into(), |kind| format!("entry {kind:#06x}"));
        let offset = self.offset(row, 0);
        Err(self.malformed(file, format!("row {row}: got offset {offset}: got {kind}, expected a block's header")))
    }

    /// What the index says of the file, with the headers of its first and last block.
    pub fn extent(&self, file: &mut EntryFile, has_receipts: bool) -> Result<Extent> {
        let (header, hash) = self.header(file, 0)?;
        let (last, last_hash) = self.header(file, self.count - 1)?;
        let (path, first, parent) = (file.path.clone(), header.number, header.parent_hash);
        Ok(Extent { path, first, hash, parent, last: Some((last.number, last_hash)), has_receipts })
    }

    /// The number in the header of a row must be that of the row.
    pub fn check_number(&self, file: &EntryFile, row: u64, number: u64) -> Result<()> {
        let expected = self.first + row;
        if number == expected {
            return Ok(());
        }
        let reason = match row {
            0 => format!("got first block {expected}, its header says {number}"),
            _ => format!("row {row}: got block {expected}, its header says {number}"),
        };
        Err(self.malformed(file, reason))
    }

    /// Type of the entry that the index points to; `None` where there can be no entry.
    pub fn kind(&self, file: &mut EntryFile, row: u64, column: usize) -> Result<Option<u16>> {
        let place = self.place(row, column);
        if place < ENTRY_HEADER_BYTES || place > self.start - ENTRY_HEADER_BYTES {
            return Ok(None);
        }
        entry_at(file, place).map(|(kind, _, _)| Some(kind))
    }
}

/// Layout, start and columns of the index, if one ends the file.
fn find(file: &mut EntryFile) -> Result<Option<(Layout, u64, usize)>> {
    // The version, the entry's header, three words.
    if file.length < 2 * ENTRY_HEADER_BYTES + 24 {
        return Ok(None);
    }
    file.seek(file.length - 16)?;
    let last = words(&file.read(16)?);
    let (components, count) = (last[0], last[1]);
    if count > BLOCKS_MAX as u64 {
        return Ok(None);
    }
    let mut layouts = vec![(Layout::Era1, BLOCK_INDEX, 1, 16 + 8 * count)];
    if (2..=5).contains(&components) {
        layouts.push((Layout::Ere, COMPONENT_INDEX, components as usize, 24 + 8 * components * count));
    }
    for (layout, kind, columns, bytes) in layouts {
        let Some(start) = file.length.checked_sub(ENTRY_HEADER_BYTES + bytes) else { continue };
        // The length fits in 32 bits: at most 8,192 blocks of five offsets.
        if start >= ENTRY_HEADER_BYTES && entry_at(file, start)? == (kind, bytes as u32, 0) {
            return Ok(Some((layout, start, columns)));
        }
    }
    Ok(None)
}

/// Type, length and reserved bytes of what should be an entry at a byte with at least eight after it.
fn entry_at(file: &mut EntryFile, at: u64) -> Result<(u16, u32, u16)> {
    file.seek(at)?;
    file.entry = at;
    let h = file.read(ENTRY_HEADER_BYTES)?;
    Ok((
        u16::from_le_bytes([h[0], h[1]]),
        u32::from_le_bytes([h[2], h[3], h[4], h[5]]),
        u16::from_le_bytes([h[6], h[7]]),
    ))
}

/// What is wrong with a file that no index ends: goes through its entries.
fn explain(file: &mut EntryFile) -> Error {
    let walked = file.seek(ENTRY_HEADER_BYTES).and_then(|()| {
        let mut blocks = 0;
        file.block = Some(blocks);
        loop {
            let (kind, length) = file.next_entry()?;
            match kind {
                HEADER => blocks += 1,
                BLOCK_INDEX | COMPONENT_INDEX => return wrong_index(file, kind, length, blocks),
                _ => {}
            }
            file.block = Some(blocks);
            file.skip(length)?;
        }
    });
    walked.unwrap_or_else(|error| error)
}

/// What is wrong with an index that is no index of a file with so many headers before it.
fn wrong_index(file: &mut EntryFile, kind: u16, length: u64, blocks: u64) -> Result<Error> {
    let end = file.offset + length;
    if end != file.length {
        return Ok(file.malformed(format!("{} bytes after the block index", file.length - end)));
    }
    if length < 24 || !length.is_multiple_of(8) {
        return Ok(file.malformed(format!("block index: got {length} bytes, expected whole words of 8, at least 3")));
    }
    file.skip(length - 16)?;
    let last = words(&file.read(16)?);
    let columns = if kind == BLOCK_INDEX { 1 } else { last[0] };
    Ok(file.malformed(if blocks > BLOCKS_MAX as u64 {
        format!("block index: got {blocks} blocks, expected at most {BLOCKS_MAX}")
    } else if last[1] != blocks {
        format!("block index: got count {}, expected {blocks}", last[1])
    } else if kind == COMPONENT_INDEX && !(2..=5).contains(&columns) {
        format!("block index: got component count {columns}, expected 2 to 5")
    } else {
        let expected = 8 * columns * blocks + if kind == BLOCK_INDEX { 16 } else { 24 };
        format!("block index: got {length} bytes, expected {expected} for {blocks} blocks")
    }))
}

fn words(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks_exact(8).map(|w| u64::from_le_bytes([w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]])).collect()
}

//! What is to be judged: of each segment the blocks in the range asked for.

use super::ValidateError;
use alloy_consensus::Header;
use alloy_primitives::{B256, U256, keccak256};
use alloy_rlp::Decodable;
use manaflow_loader::file::{BlockFile, OmmersView};
use std::ops::{Range, RangeInclusive};

/// Consecutive blocks of one segment of one file.
#[derive(Clone, Debug)]
pub(super) struct Piece<'a> {
    pub file: &'a BlockFile,
    /// Place of the file in the list.
    pub file_index: usize,
    /// Place of the segment in the file.
    pub segment: usize,
    /// Number of the first block by position.
    pub first: u64,
    /// Blocks in the file's block index.
    pub blocks: Range<usize>,
    /// Total difficulty before each block, where it is known.
    pub total_difficulty: Vec<U256>,
}

impl<'a> Piece<'a> {
    pub fn last(&self) -> u64 {
        self.first + self.blocks.len() as u64 - 1
    }

    pub fn is_from_genesis(&self) -> bool {
        self.first == 0
    }

    /// Number of the block at a place of the block index.
    pub fn number(&self, block: usize) -> u64 {
        self.first + (block - self.blocks.start) as u64
    }

    /// First block of the whole segment in the block index.
    fn segment_start(&self) -> usize {
        self.file.segments()[self.segment].blocks.start
    }

    /// Total difficulty before a block.
    pub fn total_difficulty_before(&self, block: usize) -> Option<U256> {
        self.total_difficulty.get(block - self.blocks.start).copied()
    }

    /// Up to seven headers before a block, oldest first: of its segment, and before that those the segment brings.
    pub fn window(&self, block: usize) -> Result<Vec<Head>, ValidateError> {
        let from = block.saturating_sub(crate::block::WINDOW).max(self.segment_start());
        let mut window = Vec::with_capacity(crate::block::WINDOW);
        let missing = crate::block::WINDOW - (block - from);
        let earlier = &self.file.segments()[self.segment].start.earlier;
        let skip = earlier.len().saturating_sub(missing);
        if block - from < crate::block::WINDOW {
            for (i, earlier) in earlier.iter().enumerate().skip(skip) {
                let place = || format!("segment {}, earlier header {i}", self.segment);
                let ommers = match &earlier.ommers {
                    Some(list) => Some(hashes(&decode::<Vec<Header>>(self.file, list, place)?)),
                    None => None,
                };
                window.push(Head {
                    header: decode(self.file, &earlier.header, place)?,
                    hash: keccak256(&earlier.header),
                    ommers,
                    ommers_hash: earlier.ommers.as_ref().map(keccak256),
                });
            }
        }
        for earlier in from..block {
            window.push(head(self.file, earlier)?);
        }
        Ok(window)
    }
}

/// A header before a block, and the hashes of its ommers.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub header: Header,
    pub hash: B256,
    pub ommers: Option<Vec<B256>>,
    /// Keccak-256 of the list of ommers, where their headers are there.
    pub ommers_hash: Option<B256>,
}

fn head(file: &BlockFile, block: usize) -> Result<Head, ValidateError> {
    let view = file.block(block)?;
    let (ommers, ommers_hash) = match view.ommers() {
        OmmersView::Headers(list) => {
            let headers: Vec<Header> = decode(file, list, || format!("block row {block}, ommers"))?;
            (hashes(&headers), Some(keccak256(list)))
        }
        OmmersView::Hashes(list) => (list.iter().map(|h| B256::new(*h)).collect(), None),
    };
    Ok(Head {
        header: decode(file, view.header(), || format!("block row {block}, header"))?,
        hash: keccak256(view.header()),
        ommers: Some(ommers),
        ommers_hash,
    })
}

pub(super) fn hashes(ommers: &[Header]) -> Vec<B256> {
    ommers.iter().map(Header::hash_slow).collect()
}

/// Decodes a part of a block file; what does not decode is no block.
pub(super) fn decode<T: Decodable>(
    file: &BlockFile,
    bytes: &[u8],
    place: impl FnOnce() -> String,
) -> Result<T, ValidateError> {
    alloy_rlp::decode_exact(bytes)
        .map_err(|e| manaflow_loader::Error::malformed(file.path(), place(), e.to_string()).into())
}

/// The pieces of all files, ascending by first block, then in the order of files and segments.
pub(super) fn select<'a>(
    files: &[&'a BlockFile],
    range: Option<&RangeInclusive<u64>>,
) -> Result<Vec<Piece<'a>>, ValidateError> {
    let mut pieces = Vec::new();
    for (file_index, &file) in files.iter().enumerate() {
        for (segment, s) in file.segments().iter().enumerate() {
            let count = s.blocks.len() as u64;
            let (mut from, mut to) = (0, count);
            if let Some(range) = range {
                from = range.start().saturating_sub(s.start.first).min(count);
                to = (range.end().saturating_add(1)).saturating_sub(s.start.first).min(count);
            }
            if from >= to {
                continue;
            }
            let blocks = s.blocks.start + from as usize..s.blocks.start + to as usize;
            let first = s.start.first + from;
            let total_difficulty = total_difficulties(file, segment, &blocks)?;
            pieces.push(Piece { file, file_index, segment, first, blocks, total_difficulty });
        }
    }
    pieces.sort_by_key(|p| (p.first, p.file_index, p.segment));
    Ok(pieces)
}

fn total_difficulties(file: &BlockFile, segment: usize, blocks: &Range<usize>) -> Result<Vec<U256>, ValidateError> {
    let segment = &file.segments()[segment];
    let mut total = match segment.start.total_difficulty {
        // Nothing comes before block 0, whoever says so.
        Some(total) if segment.start.is_from_genesis() && !total.is_zero() => {
            let (place, reason) = ("segment at block 0", format!("total difficulty {total} before it, expected 0"));
            return Err(manaflow_loader::Error::malformed(file.path(), place, reason).into());
        }
        None if segment.start.is_from_genesis() => U256::ZERO,
        None => return Ok(Vec::new()),
        Some(total) => total,
    };
    let mut out = Vec::with_capacity(blocks.len());
    for block in segment.blocks.start..blocks.end {
        if block >= blocks.start {
            out.push(total);
        }
        let header: Header = decode(file, file.block(block)?.header(), || format!("block row {block}, header"))?;
        total = total.saturating_add(header.difficulty);
    }
    Ok(out)
}

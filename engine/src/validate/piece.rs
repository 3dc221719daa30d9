//! What is to be judged: of each segment the blocks in the range asked for.

use super::ValidateError;
use crate::segment::Head;
use alloy_consensus::Header;
use alloy_primitives::{B256, U256};
use alloy_rlp::Decodable;
use manaflow_loader::file::BlockFile;
use std::ops::{Range, RangeInclusive};

/// Consecutive blocks of one segment of one file.
#[derive(Clone, Debug)]
pub(super) struct Piece<'a> {
    pub file: &'a BlockFile,
    /// Place of the file in the list.
    pub file_index: usize,
    /// Place of the segment in the file.
    pub segment: usize,
    /// Place in the list of pieces.
    pub place: usize,
    /// Number of the first block by position.
    pub first: u64,
    /// Blocks in the file's block index.
    pub blocks: Range<usize>,
    /// Total difficulty before the first block, where it is known.
    pub total: Option<U256>,
    /// Sum of the piece's difficulties before each block, and of all.
    pub difficulties: Vec<U256>,
}

impl<'a> Piece<'a> {
    pub fn last(&self) -> u64 {
        self.end() - 1
    }

    /// Number of the block after the last.
    pub fn end(&self) -> u64 {
        self.first + self.blocks.len() as u64
    }

    pub fn is_from_genesis(&self) -> bool {
        self.first == 0
    }

    /// Number of the block at a place of the block index.
    pub fn number(&self, block: usize) -> u64 {
        self.first + (block - self.blocks.start) as u64
    }

    /// Block from which generations count.
    pub fn origin(&self) -> u64 {
        self.file.segments()[self.segment].start.origin
    }

    /// First block of the whole segment in the block index.
    fn segment_start(&self) -> usize {
        self.file.segments()[self.segment].blocks.start
    }

    /// File and segment.
    pub fn place_in_words(&self) -> String {
        format!("{}, segment {}", self.file.path().display(), self.segment)
    }

    /// Sum of the piece's difficulties before a block.
    pub fn difficulty_before(&self, block: usize) -> U256 {
        self.difficulties[block - self.blocks.start]
    }

    /// Total difficulty before a block.
    pub fn total_difficulty_before(&self, block: usize) -> Option<U256> {
        self.total.map(|total| total.saturating_add(self.difficulty_before(block)))
    }

    /// Some of its blocks, by place of the block index, as a piece of its own.
    pub fn part(&self, blocks: Range<usize>) -> Self {
        let before = blocks.start - self.blocks.start;
        let base = self.difficulties[before];
        // Sums that have reached the maximum are no use to subtract from, and no header gets there.
        let sums = self.difficulties[before..=blocks.end - self.blocks.start].iter();
        Self {
            first: self.first + before as u64,
            total: self.total_difficulty_before(blocks.start),
            difficulties: sums.map(|sum| sum.saturating_sub(base)).collect(),
            blocks,
            ..self.clone()
        }
    }

    /// Up to seven headers before a block, oldest first: of its segment, and before that those the segment brings.
    pub fn window(&self, block: usize) -> Result<Vec<Head>, ValidateError> {
        let from = block.saturating_sub(crate::block::WINDOW).max(self.segment_start());
        let mut window = Vec::with_capacity(crate::block::WINDOW);
        let missing = crate::block::WINDOW - (block - from);
        let earlier = &self.file.segments()[self.segment].start.earlier;
        for (i, earlier) in earlier.iter().enumerate().skip(earlier.len().saturating_sub(missing)) {
            let place = || format!("segment {}, earlier header {i}", self.segment);
            let head = Head::earlier(&earlier.header, earlier.ommers.as_ref());
            window.push(head.map_err(|e| manaflow_loader::Error::malformed(self.file.path(), place(), e))?);
        }
        for earlier in from..block {
            window.push(self.head(earlier)?);
        }
        Ok(window)
    }

    /// The header of a block, with its ommers.
    pub fn head(&self, block: usize) -> Result<Head, ValidateError> {
        let view = self.file.block(block)?;
        let head = Head::of_block(view.header(), view.ommers());
        Ok(head.map_err(|e| manaflow_loader::Error::malformed(self.file.path(), format!("block row {block}"), e))?)
    }
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
            let (total, difficulties) = difficulties(file, segment, &blocks)?;
            pieces.push(Piece { file, file_index, segment, place: 0, first, blocks, total, difficulties });
        }
    }
    pieces.sort_by_key(|p| (p.first, p.file_index, p.segment));
    pieces.iter_mut().enumerate().for_each(|(place, piece)| piece.place = place);
    Ok(pieces)
}

/// Pieces that adjoin, as ranges of places. None overlap.
pub(super) fn adjoining(pieces: &[Piece<'_>]) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (i, piece) in pieces.iter().enumerate() {
        match groups.last_mut() {
            Some(group) if pieces[i - 1].end() == piece.first => group.end = i + 1,
            _ => groups.push(i..i + 1),
        }
    }
    groups
}

/// Two pieces that have a block in common: two histories of it, of which a report could not say which it is about.
pub(super) fn overlap<'a, 'b>(pieces: &'b [Piece<'a>]) -> Option<(&'b Piece<'a>, &'b Piece<'a>)> {
    let mut reaching: Option<&Piece<'a>> = None;
    for piece in pieces {
        match reaching {
            Some(before) if before.end() > piece.first => return Some((before, piece)),
            Some(before) if before.end() >= piece.end() => {}
            _ => reaching = Some(piece),
        }
    }
    None
}

/// Total difficulty before some blocks of a segment, where it is known, and the sums of their own.
fn difficulties(
    file: &BlockFile,
    segment: usize,
    blocks: &Range<usize>,
) -> Result<(Option<U256>, Vec<U256>), ValidateError> {
    let segment = &file.segments()[segment];
    let difficulty = |block: usize| -> Result<U256, ValidateError> {
        let header: Header = decode(file, file.block(block)?.header(), || format!("block row {block}, header"))?;
        Ok(header.difficulty)
    };
    let total = match segment.start.total_difficulty {
        // Nothing comes before block 0, whoever says so.
        Some(total) if segment.start.is_from_genesis() && !total.is_zero() => {
            let (place, reason) = ("segment at block 0", format!("total difficulty {total} before it, expected 0"));
            return Err(manaflow_loader::Error::malformed(file.path(), place, reason).into());
        }
        None if segment.start.is_from_genesis() => Some(U256::ZERO),
        stated => stated,
    };
    let total = match total {
        Some(total) => Some(
            (segment.blocks.start..blocks.start)
                .try_fold(total, |total, block| difficulty(block).map(|difficulty| total.saturating_add(difficulty)))?,
        ),
        None => None,
    };
    let mut sums = vec![U256::ZERO];
    for block in blocks.clone() {
        sums.push(sums[sums.len() - 1].saturating_add(difficulty(block)?));
    }
    Ok((total, sums))
}

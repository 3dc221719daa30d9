//! A chain from its genesis on: a genesis file and one or more RLP, era1 or ere files, streamed as one segment.
//!
//! Positions number the blocks. Numbers and links of headers are looked at where files meet: each further file must
//! continue where the file before it ended, and the first block must be block 0 itself or name it as its parent. Of
//! files with an index this is known before anything is read. Every other link is left to validation.

use super::order::{self, Extent};
use super::{Genesis, SourceBlock, e2store, e2store::Layout, era1::Era1, ere::Ere, rlp_chain::RlpChain};
use crate::error::{Error, Result};
use crate::model::{BLOCK_BOUND, SegmentStart};
use alloy_primitives::{B256, U256};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Blocks from genesis on, in files.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Block 0, its state and the rules.
    pub genesis: Arc<Genesis>,
    /// Files in order of their blocks; at least one.
    pub files: Vec<PathBuf>,
    brings_receipts: bool,
}

impl Chain {
    /// Puts the files in order by the number in their first header, and checks that they are one chain from the genesis
    /// on, as far as can be said without reading them.
    ///
    /// Errors: files that are neither RLP nor era1 or ere, that hold no block, whose index or name contradicts the
    /// rest; gaps, overlaps and duplicates; files of another chain or genesis. All that is found is named at once.
    pub fn open(genesis: Arc<Genesis>, files: &[PathBuf]) -> Result<Self> {
        let extents = order::all_or_errors(files.iter().map(|path| Reader::extent(path)))?;
        let extents = order::put_in_order(&genesis, extents)?;
        let brings_receipts = extents.iter().all(|extent| extent.has_receipts);
        let files = extents.into_iter().map(|extent| extent.path).collect();
        Ok(Self { genesis, files, brings_receipts })
    }

    /// Whether every block comes with its receipts, and so with the post-state roots that those before Byzantium hold.
    pub fn brings_receipts(&self) -> bool {
        self.brings_receipts
    }

    /// What is said of the segment before its blocks.
    pub fn start(&self) -> SegmentStart {
        SegmentStart { first: 0, origin: 0, total_difficulty: Some(U256::ZERO), earlier: Vec::new() }
    }

    /// All blocks in order, block 0 first; each call starts anew. After an error the stream ends.
    pub fn blocks(&self) -> Blocks {
        Blocks {
            chain: self.clone(),
            file: 0,
            reader: None,
            next: 0,
            last: B256::ZERO,
            waiting: None,
            is_done: false,
            bytes_before: 0,
            bytes_read: Arc::default(),
        }
    }

    /// The blocks from a position on. Files before it are not read, and of the file that it lies in lengths alone: `tip` is
    /// the hash of the block before, which is held against the source.
    ///
    /// Errors: the source ends before that block, or has another one there.
    pub fn blocks_from(&self, position: u64, tip: B256) -> Result<Blocks> {
        let mut blocks = self.blocks();
        let Some(before) = position.checked_sub(1) else { return Ok(blocks) };
        // The first block of a further file has the number of its position, or the stream ends there with an error.
        while let Some(path) = self.files.get(blocks.file + 1) {
            let first = Reader::open(path)?.next_block()?.map_or(0, |block| block.header.number);
            if first > before {
                break;
            }
            blocks.bytes_before += length(&self.files[blocks.file]);
            (blocks.file, blocks.next) = (blocks.file + 1, first);
        }
        loop {
            let at = blocks.next;
            if at < before && blocks.skip_block()? {
                continue;
            }
            let Some(block) = blocks.next().transpose()? else {
                let reason = format!("the source ends before block {before}, with which the import has ended so far");
                return Err(Error::malformed(self.files.last().unwrap_or(&self.genesis.path), "end", reason));
            };
            if at == before {
                if block.hash == tip {
                    return Ok(blocks);
                }
                let place = format!("block {before}");
                let reason = format!("got hash {}, the import has ended with {tip} so far: another chain", block.hash);
                return Err(Error::malformed(&self.files[blocks.file.min(self.files.len() - 1)], place, reason));
            }
        }
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|path| length(path)).sum()
    }
}

/// Stream of a chain's blocks.
#[derive(Debug)]
pub struct Blocks {
    chain: Chain,
    /// The file being read, or to be opened next.
    file: usize,
    reader: Option<Reader>,
    /// Position of the next block.
    next: u64,
    /// Hash of the block before it.
    last: B256,
    /// Block 1, while block 0 is handed out in its place.
    waiting: Option<SourceBlock>,
    is_done: bool,
    /// Bytes of the files before the one being read, and of all that was read.
    bytes_before: u64,
    bytes_read: Arc<AtomicU64>,
}

impl Iterator for Blocks {
    type Item = Result<SourceBlock>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let block = self.next_block();
        self.is_done = !matches!(block, Ok(Some(_)));
        block.transpose()
    }
}

impl Blocks {
    /// How many bytes of the files have been read, to be looked at while blocks are read elsewhere.
    pub fn bytes_read(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bytes_read)
    }

    /// Passes over a block that is neither the first nor the last of its file, if there is one here.
    fn skip_block(&mut self) -> Result<bool> {
        let Some(reader) = self.reader.as_mut().filter(|_| self.waiting.is_none()) else { return Ok(false) };
        let is_skipped = reader.skip_block()?;
        self.next += u64::from(is_skipped);
        Ok(is_skipped)
    }

    fn next_block(&mut self) -> Result<Option<SourceBlock>> {
        if let Some(block) = self.waiting.take() {
            return self.numbered(block).map(Some);
        }
        loop {
            let Some(path) = self.chain.files.get(self.file) else { return Ok(None) };
            let is_first_of_file = self.reader.is_none();
            let reader = match &mut self.reader {
                Some(reader) => reader,
                empty => empty.insert(Reader::open(path)?),
            };
            let Some(block) = reader.next_block()? else {
                self.reader = None;
                self.bytes_before += length(&self.chain.files[self.file]);
                self.file += 1;
                continue;
            };
            self.bytes_read.store(self.bytes_before + reader.offset(), Ordering::Relaxed);
            if is_first_of_file {
                if self.file > 0 {
                    self.check_continues(&block)?;
                } else if self.starts_after_genesis(&block)? {
                    self.waiting = Some(block);
                    let genesis = self.chain.genesis.block();
                    return self.numbered(genesis).map(Some);
                }
            }
            return self.numbered(block).map(Some);
        }
    }

    /// Gives a block the number of its position.
    fn numbered(&mut self, mut block: SourceBlock) -> Result<SourceBlock> {
        block.number = self.next;
        self.next += 1;
        self.last = block.hash;
        if self.next > BLOCK_BOUND {
            let reason = format!("more than {BLOCK_BOUND} blocks");
            return Err(Error::malformed(&self.chain.files[self.file], "end", reason));
        }
        Ok(block)
    }

    /// Whether the first block is block 1 of this genesis; an error if it is not block 0 either.
    fn starts_after_genesis(&self, block: &SourceBlock) -> Result<bool> {
        let (genesis, number) = (&self.chain.genesis, block.header.number);
        match order::genesis_fault(genesis, number, block.hash, block.header.parent_hash) {
            None => Ok(block.hash != genesis.hash),
            Some(reason) => Err(Error::malformed(&self.chain.files[self.file], format!("block {number}"), reason)),
        }
    }

    /// The first block of a further file must have the next number and name the block before as its parent.
    fn check_continues(&self, block: &SourceBlock) -> Result<()> {
        let (got, expected) = (block.header.number, self.next);
        let before = &self.chain.files[self.file - 1];
        let reason = if got != expected {
            let what = if got > expected { "gap" } else { "overlap" };
            format!("{what}: got block {got}, expected {expected} after {}", before.display())
        } else if block.header.parent_hash != self.last {
            order::other_chain(block.header.parent_hash, expected - 1, self.last, before)
        } else {
            return Ok(());
        };
        Err(Error::malformed(&self.chain.files[self.file], "first block", reason))
    }
}

/// Bytes of a file; 0 if nobody knows, since it is for progress alone.
fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

/// A file of any kind.
#[derive(Debug)]
enum Reader {
    Rlp(RlpChain),
    Era1(Era1),
    Ere(Ere),
}

impl Reader {
    /// Opens a file as what its first bytes say it is.
    fn open(path: &Path) -> Result<Self> {
        super::demand_regular(path)?;
        let mut head = Vec::with_capacity(8);
        File::open(path).and_then(|file| file.take(8).read_to_end(&mut head)).map_err(Error::io(path))?;
        match head.as_slice() {
            [] => Err(Error::malformed(path, "byte 0", "the file is empty")),
            [0x1f, 0x8b, ..] => Err(Error::malformed(path, "byte 0", "is packed by gzip: unpack it first")),
            [0xc0..=0xff, ..] => RlpChain::open(path).map(Self::Rlp),
            _ if head == e2store::MAGIC => match e2store::layout(path)? {
                Layout::Era1 => Era1::open(path).map(Self::Era1),
                Layout::Ere => Ere::open(path).map(Self::Ere),
            },
            _ => {
                let reason = "is neither a list in RLP nor the version entry of an era1 or ere file";
                Err(Error::malformed(path, "byte 0", reason))
            }
        }
    }

    /// What can be said of a file without reading it whole.
    fn extent(path: &Path) -> Result<Extent> {
        let mut reader = Self::open(path)?;
        let path = path.to_path_buf();
        match &mut reader {
            Self::Rlp(file) => {
                let block = file.next_block()?;
                let block = block.ok_or_else(|| Error::malformed(&path, "byte 0", "holds no block"))?;
                let (first, parent) = (block.header.number, block.header.parent_hash);
                Ok(Extent { path, first, hash: block.hash, parent, last: None, has_receipts: false })
            }
            Self::Era1(file) => file.extent(),
            Self::Ere(file) => file.extent(),
        }
    }

    /// Bytes read so far.
    fn offset(&self) -> u64 {
        match self {
            Self::Rlp(file) => file.offset(),
            Self::Era1(file) => file.offset(),
            Self::Ere(file) => file.offset(),
        }
    }

    /// Passes over a block without a look at what is in it; false at the end of the file, which is left to `next_block`.
    fn skip_block(&mut self) -> Result<bool> {
        match self {
            Self::Rlp(file) => file.skip_block(),
            // Their accumulators are over all blocks, so that none is passed over.
            Self::Era1(_) | Self::Ere(_) => Ok(false),
        }
    }

    fn next_block(&mut self) -> Result<Option<SourceBlock>> {
        match self {
            Self::Rlp(file) => file.next_block(),
            Self::Era1(file) => file.next_block(),
            Self::Ere(file) => file.next_block(),
        }
    }
}

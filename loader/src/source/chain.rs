//! A chain from its genesis on: a genesis file and one or more RLP or era1 files, streamed as one segment.
//!
//! Positions number the blocks. A header's own number is looked at in two places only: to put several files in order,
//! and at the first block of each further file, which must continue where the file before it ended. The first block
//! must be block 0 itself or name it as its parent; every other link is left to validation.

use super::{Genesis, SourceBlock, e2store, era1::Era1, rlp_chain::RlpChain};
use crate::error::{Error, Result};
use crate::model::{BLOCK_BOUND, SegmentStart};
use alloy_primitives::U256;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Blocks from genesis on, in files.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Block 0, its state and the rules.
    pub genesis: Arc<Genesis>,
    /// Files in order of their blocks; at least one.
    pub files: Vec<PathBuf>,
}

impl Chain {
    /// Puts the files in order by the number in their first header, and checks that the first of them starts at the
    /// genesis.
    ///
    /// Errors: a file that is neither RLP nor era1, that holds no block, that starts where another one does; another
    /// genesis.
    pub fn open(genesis: Arc<Genesis>, files: &[PathBuf]) -> Result<Self> {
        let mut numbered = Vec::with_capacity(files.len());
        for path in files {
            let block = Reader::open(path)?.next_block()?;
            let block = block.ok_or_else(|| Error::malformed(path, "byte 0", "holds no block"))?;
            numbered.push((block.header.number, path.clone()));
        }
        numbered.sort();
        if let Some(pair) = numbered.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let reason = format!("block {} is the first of {} too", pair[1].0, pair[0].1.display());
            return Err(Error::malformed(&pair[1].1, "first block", reason));
        }
        let chain = Self { genesis, files: numbered.into_iter().map(|(_, path)| path).collect() };
        // The first block again, through the checks of the stream.
        match chain.blocks().next() {
            Some(Err(error)) => Err(error),
            _ => Ok(chain),
        }
    }

    /// What is said of the segment before its blocks.
    pub fn start(&self) -> SegmentStart {
        SegmentStart { first: 0, origin: 0, total_difficulty: Some(U256::ZERO), earlier: Vec::new() }
    }

    /// All blocks in order, block 0 first; each call starts anew. After an error the stream ends.
    pub fn blocks(&self) -> Blocks {
        Blocks { chain: self.clone(), file: 0, reader: None, next: 0, waiting: None, is_done: false }
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
    /// Block 1, while block 0 is handed out in its place.
    waiting: Option<SourceBlock>,
    is_done: bool,
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
                self.file += 1;
                continue;
            };
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
        if self.next > BLOCK_BOUND {
            let reason = format!("more than {BLOCK_BOUND} blocks");
            return Err(Error::malformed(&self.chain.files[self.file], "end", reason));
        }
        Ok(block)
    }

    /// Whether the first block is block 1 of this genesis; an error if it is not block 0 either.
    fn starts_after_genesis(&self, block: &SourceBlock) -> Result<bool> {
        let genesis = &self.chain.genesis;
        if block.hash == genesis.hash {
            return Ok(false);
        }
        if block.header.parent_hash == genesis.hash {
            return Ok(true);
        }
        let number = block.header.number;
        let reason = match number {
            0 => format!("got hash {}, expected {}", block.hash, genesis.hash),
            1 => format!("got parent hash {}, expected {}", block.header.parent_hash, genesis.hash),
            _ => format!(
                "got block {number} with parent hash {}, expected block 0 or 1 of genesis {}: a chain without state starts \
                 at its genesis",
                block.header.parent_hash, genesis.hash
            ),
        };
        let place = format!("block {number}");
        let reason = format!("{reason}, the hash of block 0 in {}", genesis.path.display());
        Err(Error::malformed(&self.chain.files[self.file], place, reason))
    }

    /// The first block of a further file must have the next number.
    fn check_continues(&self, block: &SourceBlock) -> Result<()> {
        let (got, expected) = (block.header.number, self.next);
        if got == expected {
            return Ok(());
        }
        let before = self.chain.files[self.file - 1].display();
        let what = if got > expected { "gap" } else { "overlap" };
        let reason = format!("{what}: got block {got}, expected {expected} after {before}");
        Err(Error::malformed(&self.chain.files[self.file], "first block", reason))
    }
}

/// Either kind of file.
#[derive(Debug)]
enum Reader {
    Rlp(RlpChain),
    Era1(Era1),
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
            _ if head == e2store::MAGIC => Era1::open(path).map(Self::Era1),
            _ => {
                let reason = "is neither a list in RLP nor the version entry of an era1 file";
                Err(Error::malformed(path, "byte 0", reason))
            }
        }
    }

    fn next_block(&mut self) -> Result<Option<SourceBlock>> {
        match self {
            Self::Rlp(file) => file.next_block(),
            Self::Era1(file) => file.next_block(),
        }
    }
}

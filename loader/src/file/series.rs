//! Where an import writes: one block file, or a series of them, each a piece of one segment.
//!
//! A series follows the chain that is pushed to it, so that each file says what was before it: the total difficulty by
//! the headers, and the last headers themselves. A file of a series is what a cut at that block leaves: it has its own
//! tables, codes and keys, and counts generations from the same origin. A file is full after the block with which it
//! reaches its limit; so where files end depends on the blocks alone, and writing them again gives the same bytes.

use super::layout::EARLIER_BOUND;
use super::read::BlockFile;
use super::write::Writer;
use crate::model::{BlockRecord, EarlierHeader, Ommers, SegmentStart};
use crate::rules::ChainRules;
use crate::whole::folder_of;
use crate::{Error, Result};
use alloy_consensus::Header;
use alloy_primitives::map::AddressHashSet;
use alloy_primitives::{Address, B256, keccak256};
use alloy_rlp::Decodable;
use std::path::{Path, PathBuf};

/// When a file of a series is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// After so many blocks.
    Blocks(u64),
    /// After the block with which the file is expected to have so many bytes ([`Writer::bytes_expected`]).
    Bytes(u64),
}

/// A file that is whole and has its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    /// The file.
    pub path: PathBuf,
    /// Number of its first block; of a file of several segments, of the first of them.
    pub first: u64,
    /// Number of its last block.
    pub last: u64,
    /// Its blocks.
    pub blocks: u64,
    /// Its bytes.
    pub bytes: u64,
}

/// Names of a series' files: those of `chain.mana` are `chain-000000000000.mana`, with the number of the first block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SeriesName {
    folder: PathBuf,
    stem: String,
    extension: String,
}

/// Digits of a block's number in a name: numbers are below 2^40, so names sort as blocks do.
const DIGITS: usize = 12;

impl SeriesName {
    /// Names derived from that of the whole. Errors: it names no file, or is no text.
    pub fn new(path: &Path) -> Result<Self> {
        let refuse = |reason| Error::malformed(path, "path", reason);
        let no_text = || refuse("is no text in UTF-8, as names of a series are");
        let stem = path.file_stem().ok_or_else(|| refuse("names no file"))?;
        let stem = stem.to_str().ok_or_else(no_text)?.to_owned();
        let extension = match path.extension() {
            Some(extension) => format!(".{}", extension.to_str().ok_or_else(no_text)?),
            None => String::new(),
        };
        Ok(Self { folder: folder_of(path).to_path_buf(), stem, extension })
    }

    /// How the names are made, without the folder: `#` stands for the number.
    pub fn pattern(&self) -> String {
        format!("{}-#{}", self.stem, self.extension)
    }

    /// The folder of the files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file that begins at a block.
    pub fn path(&self, first: u64) -> PathBuf {
        self.folder.join(format!("{}-{first:0DIGITS$}{}", self.stem, self.extension))
    }

    /// Whether a name without folder is one of the series, and where its file begins.
    pub fn first_of(&self, name: &str) -> Option<u64> {
        let digits = name.strip_prefix(&self.stem)?.strip_prefix('-')?.strip_suffix(&self.extension)?;
        let is_number = digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_digit());
        if is_number { digits.parse().ok() } else { None }
    }

    /// First blocks of the files that are there, ascending. Errors: the folder cannot be read.
    pub fn existing(&self) -> Result<Vec<u64>> {
        let entries = std::fs::read_dir(&self.folder).map_err(Error::io(&self.folder))?;
        let mut firsts = Vec::new();
        for entry in entries {
            let name = entry.map_err(Error::io(&self.folder))?.file_name();
            firsts.extend(name.to_str().and_then(|name| self.first_of(name)));
        }
        firsts.sort_unstable();
        Ok(firsts)
    }
}

/// How files are called, and when they are full.
#[derive(Debug)]
enum Kind {
    One(PathBuf),
    Many(SeriesName, Limit),
}

/// Writes what an import makes to one file or to several. Dropped, it leaves whole files alone.
#[derive(Debug)]
pub struct Series {
    kind: Kind,
    rules: ChainRules,
    versions: String,
    /// The file that is being written; of a series, none between a full file and the next block.
    writer: Option<Writer>,
    /// Signers whose keys are in that file.
    signers: AddressHashSet,
    /// What the file's segment begins with; of a file of several segments, the first of them.
    first: u64,
    /// What a segment after the newest block would begin with, and its blocks so far.
    next: Option<SegmentStart>,
    blocks: u64,
    pieces: Vec<Piece>,
}

impl Series {
    /// One file, as [`Writer::create`] has it.
    pub fn create(path: impl AsRef<Path>, rules: &ChainRules, versions: &str) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let writer = Writer::create(&path, rules, versions)?;
        Ok(Self { writer: Some(writer), ..Self::new(Kind::One(path), rules, versions) })
    }

    /// Many files of one segment. Nothing is written, and no folder looked at, before the segment begins.
    pub fn split(name: SeriesName, limit: Limit, rules: &ChainRules, versions: &str) -> Self {
        Self::new(Kind::Many(name, limit), rules, versions)
    }

    fn new(kind: Kind, rules: &ChainRules, versions: &str) -> Self {
        Self {
            kind,
            rules: rules.clone(),
            versions: versions.to_owned(),
            writer: None,
            signers: AddressHashSet::default(),
            first: 0,
            next: None,
            blocks: 0,
            pieces: Vec::new(),
        }
    }

    /// Begins a segment: [`Writer::begin_segment`]. Errors also: a second segment of a series of files.
    pub fn begin_segment(&mut self, start: &SegmentStart) -> Result<()> {
        match (&self.kind, &self.next) {
            (Kind::Many(name, _), Some(_)) => {
                let reason = "a series of files is of one segment, here is a second";
                return Err(Error::malformed(&name.folder, format!("block {}", start.first), reason));
            }
            (_, None) => self.first = start.first,
            _ => {}
        }
        self.next = Some(start.clone());
        match &self.kind {
            Kind::One(_) => self.writer()?.begin_segment(start),
            // With the first block.
            Kind::Many(..) => Ok(()),
        }
    }

    /// Supplies the code for a hash: [`Writer::code`].
    pub fn code(&mut self, hash: B256, code: &[u8]) -> Result<()> {
        self.writer()?.code(hash, code)
    }

    /// Adds the hint of a signer's key, once a file: [`Writer::signer_key`].
    pub fn signer_key(&mut self, signer: Address, key: &[u8; 64]) -> Result<()> {
        self.writer()?;
        if self.signers.insert(signer) { self.writer()?.signer_key(key) } else { Ok(()) }
    }

    /// Adds the hint of a node of a trie: [`Writer::state_node`].
    pub fn state_node(&mut self, node: &[u8]) -> Result<()> {
        self.writer()?.state_node(node)
    }

    /// Appends a block, after the codes and keys that it brings: [`Writer::push`].
    pub fn push(&mut self, block: &BlockRecord) -> Result<()> {
        self.writer()?.push(block)?;
        self.blocks += 1;
        if let Some(next) = &mut self.next {
            follow(next, block);
        }
        Ok(())
    }

    /// Whether the file that is being written has reached its limit, so that [`Series::close`] is due.
    pub fn is_full(&self) -> bool {
        match (&self.kind, &self.writer) {
            (Kind::Many(_, Limit::Blocks(limit)), Some(_)) => self.blocks >= *limit,
            (Kind::Many(_, Limit::Bytes(limit)), Some(writer)) => writer.bytes_expected() >= *limit,
            _ => false,
        }
    }

    /// Finishes the file that is being written; none if there is none, or no block in it. Errors: [`Writer::finish`].
    pub fn close(&mut self) -> Result<Option<Piece>> {
        if self.blocks == 0 {
            return Ok(None);
        }
        let Some(writer) = self.writer.take() else { return Ok(None) };
        let path = match &self.kind {
            Kind::One(path) => path.clone(),
            Kind::Many(name, _) => name.path(self.first),
        };
        let summary = writer.finish()?;
        let last = self.next.as_ref().map_or(self.first, |next| next.first.saturating_sub(1));
        let piece = Piece { path, first: self.first, last, blocks: summary.blocks, bytes: summary.file_bytes };
        self.pieces.push(piece.clone());
        (self.first, self.blocks) = (last + 1, 0);
        self.signers.clear();
        Ok(Some(piece))
    }

    /// What a segment after the newest block would begin with; none before a segment has begun.
    pub fn next(&self) -> Option<&SegmentStart> {
        self.next.as_ref()
    }

    /// Finishes the last file; all files that were written, in order. Errors: [`Writer::finish`].
    pub fn finish(mut self) -> Result<Vec<Piece>> {
        self.close()?;
        match (self.pieces.is_empty(), self.writer.take()) {
            // Without a block: the writer says what is wrong with that.
            (true, Some(writer)) => writer.finish().map(|_| Vec::new()),
            _ => Ok(self.pieces),
        }
    }

    /// The file that is being written; of a series, the next one begins here.
    fn writer(&mut self) -> Result<&mut Writer> {
        if self.writer.is_none()
            && let (Kind::Many(name, _), Some(start)) = (&self.kind, &self.next)
        {
            let mut writer = Writer::create(name.path(start.first), &self.rules, &self.versions)?;
            writer.begin_segment(start)?;
            self.writer = Some(writer);
        }
        let place = match &self.kind {
            Kind::One(path) => path,
            Kind::Many(name, _) => &name.folder,
        };
        self.writer.as_mut().ok_or_else(|| Error::malformed(place, "block", "no segment has begun, or all is finished"))
    }
}

/// What a segment after a file of one segment would begin with, and the hash of its last header.
///
/// Errors: several segments; damaged pages.
pub fn after(file: &BlockFile) -> Result<(SegmentStart, B256)> {
    let [segment] = file.segments() else {
        return Err(Error::malformed(file.path(), "segments", "got several, expected the one of a file of a series"));
    };
    let mut next = segment.start.clone();
    for place in segment.blocks.clone() {
        let body = file.block(place)?.body();
        follow(&mut next, &BlockRecord { body, transactions: Vec::new() });
    }
    let tip = next.earlier.last().map_or(B256::ZERO, |earlier| keccak256(&earlier.header));
    Ok((next, tip))
}

/// From what is said of a segment that begins with a block to what is said of one after it.
fn follow(next: &mut SegmentStart, block: &BlockRecord) {
    let body = &block.body;
    // What the headers say, right or not, as validation adds it up.
    let difficulty = Header::decode(&mut &body.header[..]).ok().map(|header| header.difficulty);
    next.total_difficulty = next.total_difficulty.zip(difficulty).and_then(|(sum, more)| sum.checked_add(more));
    let ommers = match &body.ommers {
        Ommers::Headers(list) => Some(list.clone()),
        Ommers::Hashes(_) => None,
    };
    if next.earlier.len() == EARLIER_BOUND {
        next.earlier.remove(0);
    }
    next.earlier.push(EarlierHeader { header: body.header.clone(), ommers });
    next.first += 1;
}

/// Bytes of what a series keeps of a block for the next file are bounded: seven headers with their ommers.
const _: () = assert!(EARLIER_BOUND == 7);

impl Limit {
    /// The limit that a text states: a number and `blocks`, or a size ([`size_of`]).
    pub fn parse(text: &str) -> Option<Self> {
        let limit = match text.strip_suffix("blocks") {
            Some(count) => Self::Blocks(count.trim_end().parse().ok()?),
            None => Self::Bytes(size_of(text)?),
        };
        (!matches!(limit, Self::Blocks(0) | Self::Bytes(0))).then_some(limit)
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Blocks(count) => write!(f, "{count}blocks"),
            Self::Bytes(bytes) => write!(f, "{bytes}B"),
        }
    }
}

/// A size in bytes: a number with `KiB`, `MiB`, `GiB`, `TiB`, `B` or nothing behind it.
pub fn size_of(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_series_sort_and_are_found_again() {
        let name = SeriesName::new(Path::new("a/chain.mana")).unwrap();
        assert_eq!(name.path(8192), Path::new("a/chain-000000008192.mana"));
        assert_eq!(name.first_of("chain-000000008192.mana"), Some(8192));
        for other in
            ["chain.mana", "chain-8192.mana", "chain-00000000819x.mana", "chain-000000008192", "x-000000008192.mana"]
        {
            assert_eq!(name.first_of(other), None, "{other}");
        }
        let plain = SeriesName::new(Path::new("chain")).unwrap();
        assert_eq!((plain.path(0), plain.folder()), (PathBuf::from("./chain-000000000000"), Path::new(".")));
        assert!(SeriesName::new(Path::new("/")).is_err());
    }

    #[test]
    fn limits_are_blocks_or_bytes() {
        assert_eq!(Limit::parse("10000blocks"), Some(Limit::Blocks(10_000)));
        assert_eq!(Limit::parse("1GiB"), Some(Limit::Bytes(1 << 30)));
        assert_eq!(Limit::parse("512"), Some(Limit::Bytes(512)));
        for bad in ["", "0", "0blocks", "1GB", "GiB", "-1", "1.5GiB", "99999999TiB", "blocks"] {
            assert_eq!(Limit::parse(bad), None, "{bad}");
        }
        for limit in [Limit::Blocks(7), Limit::Bytes(1 << 30)] {
            assert_eq!(Limit::parse(&limit.to_string()), Some(limit));
        }
    }
}

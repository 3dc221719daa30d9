//! Reading a block file in place: `open` checks header and shared tables, `verify_blocks` the blocks of a range.
//!
//! Columns are slices of the map. Pages are hashed when first used, each once, blocks are checked when first used, each
//! once; two threads that meet at the same page or block may do it twice, with the same result. Raw columns span the
//! whole file: only the rows of verified blocks may be relied on.

use super::check::BodyParts;
use super::layout::{
    BlockRow, CODE_ABSENT, EarlierRow, ExitRow, FLAG_WRITE, ForeignRow, HEADER_BYTES, Header, KIND_OMMER_HASHES,
    KIND_WITHDRAWALS, LAST_SHARED, Layout, OMMERS_UNKNOWN, PAGE_BYTES, SECTIONS, SIGNED_COLUMNS, Section as S,
    SegmentRow,
};
use super::moves::{CellTables, ValueTables};
use super::value;
use super::view::BlockView;
use crate::map::{Map, Tear};
use crate::model::{AccountValue, Cell, EarlierHeader, Location, Mark, Mode, Move, SegmentStart, Value, Version};
use crate::rules::ChainRules;
use crate::watch::Identity;
use crate::{Error, Result};
use alloy_primitives::{Address, B256, Bytes, U256};
use bytemuck::{Pod, cast_slice};
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use xxhash_rust::xxh3::xxh3_64;

/// A segment of an open file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment {
    /// What is said of it before its blocks.
    pub start: SegmentStart,
    /// Its blocks in the file's block index.
    pub blocks: Range<usize>,
}

/// Size of a section, for `inspect`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SectionSize {
    /// Name, as in FORMAT.md.
    pub name: &'static str,
    /// Rows; of a heap, bytes.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
}

/// One bit a row: whether it has been verified.
#[derive(Debug)]
pub(super) struct Verified(Vec<AtomicU64>);

impl Verified {
    fn new(rows: usize) -> Self {
        Self((0..rows.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    #[inline]
    pub(super) fn is_set(&self, row: usize) -> bool {
        self.0[row / 64].load(Ordering::Acquire) >> (row % 64) & 1 == 1
    }

    pub(super) fn set(&self, row: usize) {
        self.0[row / 64].fetch_or(1 << (row % 64), Ordering::Release);
    }
}

/// An open block file: mapped, its shared tables verified.
#[derive(Debug)]
pub struct BlockFile {
    path: PathBuf,
    identity: Identity,
    tear: Tear,
    map: Bytes,
    layout: Layout,
    versions: String,
    rules: ChainRules,
    segments: Vec<Segment>,
    pages: Verified,
    blocks: Verified,
    account_values: Verified,
    word_values: Verified,
}

impl BlockFile {
    /// Opens and maps a block file; verifies header, page table and shared tables, and no block.
    ///
    /// Errors: not readable; not a block file of this version; damaged or malformed, with section and row.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        // Before it is opened: opening a pipe would wait for its writer.
        if !std::fs::metadata(&path).map_err(Error::io(&path))?.is_file() {
            return Err(Error::malformed(&path, "path", "not a regular file"));
        }
        let file = File::open(&path).map_err(Error::io(&path))?;
        let metadata = file.metadata().map_err(Error::io(&path))?;
        if !metadata.is_file() {
            return Err(Error::malformed(&path, "path", "not a regular file"));
        }
        if metadata.len() == 0 {
            return Err(Error::malformed(&path, "offset 0", "0 bytes: too short for magic and version"));
        }
        let (map, tear) = Map::new(&file).map_err(Error::io(&path))?.into_bytes();
        let bytes = &map[..];
        // A copy: the header is looked at more than once, and must not change in between.
        let head = bytes[..bytes.len().min(HEADER_BYTES)].to_vec();
        let header = Header::parse(&head, bytes.len() as u64)
            .map_err(|(place, reason)| Error::malformed(&path, place, reason))?;
        let layout = header.layout;
        let page_table = &bytes[layout.page_table.start as usize..layout.page_table.end as usize];
        if xxh3_64(page_table) != header.page_table_checksum {
            return Err(Error::malformed(&path, "page table", "checksum differs: damaged"));
        }
        let page_count = page_table.len() / 8;
        let rows = |section: S| {
            let range = &layout.sections[section as usize];
            ((range.end - range.start) / u64::from(SECTIONS[section as usize].2)) as usize
        };
        let (block_count, value_count) = (rows(S::Blocks), rows(S::ValueLengths));
        let mut this = Self {
            path,
            identity: Identity::new(&metadata),
            tear,
            map,
            layout,
            versions: header.versions,
            rules: ChainRules::default(),
            segments: Vec::new(),
            pages: Verified::new(page_count),
            blocks: Verified::new(block_count),
            account_values: Verified::new(value_count),
            word_values: Verified::new(value_count),
        };
        this.verify_gaps()?;
        for (section, ..) in SECTIONS.into_iter().filter(|section| section.0 <= LAST_SHARED) {
            this.verify_bytes(section, 0..this.section(section).len() as u64)?;
        }
        this.check_tables()?;
        this.rules = ChainRules::from_bytes(this.bytes(S::Rules)).map_err(|reason| this.malformed("rules", reason))?;
        this.segments = this.read_segments();
        Ok(this)
    }

    /// Path as given to `open`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The versions of the programs that wrote the file, as they said.
    pub fn versions(&self) -> &str {
        &self.versions
    }

    /// Keccak-256 of header and page table: of the layout, and of the checksum of every page. A file made to deceive can
    /// have that of another one.
    pub fn fingerprint(&self) -> B256 {
        alloy_primitives::keccak256(&self.map[..self.layout.page_table.end as usize])
    }

    /// Rules of the chain.
    pub fn rules(&self) -> &ChainRules {
        &self.rules
    }

    /// Segments in the order of the file.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Blocks of all segments.
    pub fn block_count(&self) -> usize {
        self.block_rows().len() - 1
    }

    /// Transactions of all blocks, system transactions included.
    pub fn row_count(&self) -> u32 {
        self.rows(S::RowMoves) as u32
    }

    /// Moves of all transactions.
    pub fn move_count(&self) -> usize {
        self.rows(S::MoveCells) as usize
    }

    /// Cells; a cell's id is below this and ascends as cells do.
    pub fn cell_count(&self) -> u32 {
        (self.rows(S::AccountCells) + self.rows(S::StorageCells) + self.rows(S::HashCells)) as u32
    }

    /// Values; one value may have several numbers.
    pub fn value_count(&self) -> u32 {
        self.rows(S::ValueLengths) as u32
    }

    /// Code hashes.
    pub fn code_count(&self) -> usize {
        self.rows(S::CodeHashes) as usize
    }

    /// Rows and bytes of every section, and of header and page table together.
    pub fn sizes(&self) -> Vec<SectionSize> {
        let header = SectionSize { name: "header", rows: 1, bytes: self.layout.data.start };
        let section = |(section, name, _)| {
            let bytes = self.section(section).len() as u64;
            SectionSize { name, rows: self.rows(section), bytes }
        };
        std::iter::once(header).chain(SECTIONS.into_iter().map(section)).collect()
    }

    /// Refuses a file whose size, modification time, device or inode differ from those at `open`, or of which a page was
    /// gone when it was touched. To be asked last: what was read before is worth nothing then.
    pub fn changed(&self) -> Result<()> {
        self.identity.check(&self.path, Some(self.tear))
    }

    /// Verifies checksums and structure of blocks (positions in the file's block index), those not yet verified.
    ///
    /// Errors: the range is beyond the file; damaged or malformed, with section and row.
    pub fn verify_blocks(&self, range: Range<usize>) -> Result<()> {
        if range.start > range.end || range.end > self.block_count() {
            let reason = format!("blocks {range:?} of {}", self.block_count());
            return Err(self.malformed("block index", reason));
        }
        let mut block = range.start;
        while block < range.end {
            if self.blocks.is_set(block) {
                block += 1;
                continue;
            }
            let end = (block..range.end).find(|&b| self.blocks.is_set(b)).unwrap_or(range.end);
            self.verify_pages_of(block..end)?;
            for unverified in block..end {
                let segment = &self.segment_rows()[self.segment_of(unverified)];
                self.check_block(unverified, segment)?;
                self.blocks.set(unverified);
            }
            block = end;
        }
        Ok(())
    }

    /// Whether a move of a verified block names a value.
    pub(super) fn is_value_named(&self, number: u32) -> bool {
        self.is_account_value(number) || self.word_values.is_set(number as usize)
    }

    /// Whether a move of a verified block names a value as an account's.
    pub(super) fn is_account_value(&self, number: u32) -> bool {
        self.account_values.is_set(number as usize)
    }

    /// Verifies the whole file: all blocks, and the pages of codes that no block uses.
    pub fn verify_all(&self) -> Result<()> {
        self.verify_blocks(0..self.block_count())?;
        self.verify_named()?;
        for section in [S::CodeBytes, S::ValueBytes, S::SignerKeys, S::CellExits] {
            self.verify_bytes(section, 0..self.section(section).len() as u64)?;
        }
        Ok(())
    }

    /// A block by its position in the file's block index; verifies it if that has not been done.
    pub fn block(&self, block: usize) -> Result<BlockView<'_>> {
        if block >= self.block_count() || !self.blocks.is_set(block) {
            self.verify_blocks(block..block.saturating_add(1))?;
        }
        Ok(BlockView::new(self, block))
    }

    /// Cell ids, one a move.
    pub fn cells(&self) -> &[u32] {
        self.column(S::MoveCells)
    }

    /// Flags, one a move: bit 0 is set for a write.
    pub fn flags(&self) -> &[u8] {
        self.column(S::MoveFlags)
    }

    /// Versions, one a move: below [`BlockFile::foreign_count`] a foreign version, else row + that count.
    pub fn intx(&self) -> &[u32] {
        self.column(S::MoveIntx)
    }

    /// Value numbers before, one a move.
    pub fn prev(&self) -> &[u32] {
        self.column(S::MovePrev)
    }

    /// Value numbers after, one a move; 0 for a read.
    pub fn next(&self) -> &[u32] {
        self.column(S::MoveNext)
    }

    /// Masks, one a move; `None` if all are zero.
    pub fn mask(&self) -> Option<&[u32]> {
        let mask = self.column(S::MoveMask);
        if mask.is_empty() { None } else { Some(mask) }
    }

    /// Hints: for each move the row of its cell's use before it in the segment, + 1, or 0 if there is none; `None` if the file
    /// has none. Nothing of it is looked at.
    pub fn last(&self) -> Option<&[u32]> {
        let last = self.column(S::MoveLast);
        if last.is_empty() { None } else { Some(last) }
    }

    /// Hints: for each cell its last use, and the version and value that are live then; `None` if the file has none. Nothing of it
    /// is looked at. Errors: damaged.
    pub fn exits(&self) -> Result<Option<&[ExitRow]>> {
        let exits: &[ExitRow] = self.column(S::CellExits);
        self.verify_bytes(S::CellExits, 0..size_of_val(exits) as u64)?;
        Ok(if exits.is_empty() { None } else { Some(exits) })
    }

    /// Whether there is nothing of transactions but their moves: no bytes, senders, authorities or outcomes.
    pub fn is_moves_only(&self) -> bool {
        self.rows(S::RowStatus) == 0 && self.row_count() > 0
    }

    /// Foreign versions: `intx` values below this.
    pub fn foreign_count(&self) -> u32 {
        self.foreign_rows().len() as u32
    }

    /// Position in the block index of the block that has a row. Panics if no block has it.
    pub fn block_of_row(&self, row: u32) -> usize {
        assert!(row < self.row_count(), "row {row} is not of this file");
        self.block_rows().partition_point(|block| block.row_first <= row) - 1
    }

    /// Position of the segment that has a block of the block index.
    pub fn segment_of(&self, block: usize) -> usize {
        self.segment_rows().partition_point(|segment| segment.block_first as usize <= block) - 1
    }

    /// Location of a row. Panics if no block has it.
    pub fn location_of_row(&self, row: u32) -> Location {
        let block = self.block_of_row(row);
        let index = row - self.block_rows()[block].row_first;
        // Both are in bounds: segments end by block 2^40, blocks have fewer than 2^24 rows.
        Location::from_bits(self.number_of(block) << 24 | u64::from(index))
    }

    /// Number of a block by position in its segment.
    pub(super) fn number_of(&self, block: usize) -> u64 {
        let segment = &self.segment_rows()[self.segment_of(block)];
        segment.first + (block as u64 - u64::from(segment.block_first))
    }

    /// The version that `intx` of a verified move stands for.
    pub fn version(&self, intx: u32) -> Version {
        let foreign = self.foreign_rows();
        let Some(version) = foreign.get(intx as usize) else {
            return Version::At(self.location_of_row(intx - foreign.len() as u32));
        };
        match version.kind {
            0 => Version::Virgin,
            1 => Version::Assumed,
            ForeignRow::BASE => Version::Base(version.value),
            _ => Version::At(Location::from_bits(version.value)),
        }
    }

    /// The mark of a cell id below [`BlockFile::cell_count`].
    #[inline]
    pub fn mark(&self, cell: u32) -> Mark {
        let accounts = self.rows(S::AccountCells);
        match u64::from(cell) {
            id if id < accounts => Mark::Account,
            id if id < accounts + self.rows(S::StorageCells) => Mark::Storage,
            _ => Mark::BlockHash,
        }
    }

    /// The cell with an id below [`BlockFile::cell_count`]. Panics beyond it.
    pub fn cell(&self, cell: u32) -> Cell {
        CellTables::new(self).cell(cell)
    }

    /// The address with a number of this file. Panics beyond the table.
    pub fn address(&self, number: u32) -> Address {
        Address::new(self.column::<[u8; 20]>(S::Addresses)[number as usize])
    }

    /// Where a value's bytes lie in the heap. Panics beyond the table.
    #[inline]
    pub(super) fn value_span(&self, number: u32) -> Range<u64> {
        ValueTables::new(self).span(number)
    }

    /// The bytes of a value of a verified move. Panics beyond the table.
    #[inline]
    pub fn value_bytes(&self, number: u32) -> &[u8] {
        let span = self.value_span(number);
        &self.bytes(S::ValueBytes)[span.start as usize..span.end as usize]
    }

    /// Whether two numbers of verified moves on cells of one mark stand for the same value.
    #[inline]
    pub fn values_equal(&self, a: u32, b: u32) -> bool {
        // Encodings are canonical, so bytes decide; the mark does not matter.
        a == b || self.value_bytes(a) == self.value_bytes(b)
    }

    /// Whether a number of a verified move on a cell of `mark` stands for the default value.
    #[inline]
    pub fn is_default(&self, mark: Mark, number: u32) -> bool {
        match mark {
            Mark::Account => self.value_bytes(number) == [0],
            Mark::Storage | Mark::BlockHash => self.value_bytes(number).is_empty(),
        }
    }

    /// Decodes a value of a cell of `mark`.
    ///
    /// Errors: the number is beyond the table; its page is damaged; not the encoding of a value of this mark.
    pub fn value(&self, mark: Mark, number: u32) -> Result<Value> {
        if number >= self.value_count() {
            let reason = format!("row {number} of {}", self.value_count());
            return self.refuse(S::ValueLengths, reason);
        }
        self.verify_bytes(S::ValueBytes, self.value_span(number))?;
        let hash = |code: u32| B256::new(self.column::<[u8; 32]>(S::CodeHashes)[code as usize]);
        value::decode(mark, self.value_bytes(number), self.code_count(), hash)
            .or_else(|reason| self.refuse_row(S::ValueLengths, number as usize, reason))
    }

    /// Decodes an account; see [`BlockFile::value`].
    pub fn account(&self, number: u32) -> Result<AccountValue> {
        match self.value(Mark::Account, number)? {
            Value::Account(account) => Ok(account),
            Value::Word(_) => unreachable!("the value of an account's cell decodes to an account"),
        }
    }

    /// Hash of a code, without touching its blob; `None` if the number is beyond the table.
    pub fn code_hash(&self, number: u32) -> Option<B256> {
        self.column::<[u8; 32]>(S::CodeHashes).get(number as usize).map(|hash| B256::new(*hash))
    }

    /// Hash of a code, and its blob if the file has it.
    ///
    /// Errors: the number is beyond the table; a page of the blob is damaged.
    pub fn code(&self, number: u32) -> Result<(B256, Option<&[u8]>)> {
        let row = number as usize;
        let Some(hash) = self.code_hash(number) else {
            return self.refuse(S::CodeHashes, format!("row {row} of {}", self.code_count()));
        };
        let ends = self.column::<u64>(S::CodeEnds);
        let end = ends[row];
        if end & CODE_ABSENT != 0 {
            return Ok((hash, None));
        }
        let start = if row == 0 { 0 } else { ends[row - 1] & !CODE_ABSENT };
        self.verify_bytes(S::CodeBytes, start..end)?;
        Ok((hash, Some(&self.bytes(S::CodeBytes)[start as usize..end as usize])))
    }

    /// As [`BlockFile::code`]; the blob shares the map and keeps it open.
    pub fn shared_code(&self, number: u32) -> Result<(B256, Option<Bytes>)> {
        let (hash, blob) = self.code(number)?;
        Ok((hash, blob.map(|blob| self.map.slice_ref(blob))))
    }

    /// A move of a verified block, whole. Panics beyond the columns.
    ///
    /// Errors: those of [`BlockFile::value`]; none after `verify_blocks`.
    pub fn move_at(&self, i: usize) -> Result<Move> {
        let id = self.cells()[i];
        if id >= self.cell_count() || self.intx()[i] - self.foreign_count().min(self.intx()[i]) >= self.row_count() {
            return self.refuse_row(S::MoveCells, i, "cell or version beyond its table");
        }
        let cell = self.cell(id);
        let prev = self.value(cell.mark, self.prev()[i])?;
        let (mode, next) = if self.flags()[i] & FLAG_WRITE != 0 {
            (Mode::Write, self.value(cell.mark, self.next()[i])?)
        } else {
            (Mode::Read, prev)
        };
        let mask = self.mask().map_or(0, |mask| mask[i]);
        Ok(Move { mask, cell, mode, intx: self.version(self.intx()[i]), prev, next })
    }

    /// The values known to be well-formed for cells of `mark`.
    #[inline]
    pub(super) fn checked_values(&self, mark: Mark) -> &Verified {
        match mark {
            Mark::Account => &self.account_values,
            Mark::Storage | Mark::BlockHash => &self.word_values,
        }
    }

    fn section(&self, section: S) -> Range<usize> {
        let range = &self.layout.sections[section as usize];
        range.start as usize..range.end as usize
    }

    /// Rows of a section; bytes of a heap.
    #[inline]
    pub(super) fn rows(&self, section: S) -> u64 {
        let range = &self.layout.sections[section as usize];
        (range.end - range.start) / u64::from(SECTIONS[section as usize].2)
    }

    #[inline]
    pub(super) fn bytes(&self, section: S) -> &[u8] {
        &self.map[self.section(section)]
    }

    // Sections start at multiples of 64 bytes of a map, which starts at a page; their lengths are multiples of the
    // stride, which is the size of T: the cast cannot fail.
    #[inline]
    pub(super) fn column<T: Pod>(&self, section: S) -> &[T] {
        debug_assert_eq!(size_of::<T>(), SECTIONS[section as usize].2 as usize);
        cast_slice(self.bytes(section))
    }

    #[inline]
    pub(super) fn block_rows(&self) -> &[BlockRow] {
        self.column(S::Blocks)
    }

    #[inline]
    pub(super) fn segment_rows(&self) -> &[SegmentRow] {
        self.column(S::Segments)
    }

    pub(super) fn earlier_rows(&self) -> &[EarlierRow] {
        self.column(S::EarlierRows)
    }

    #[inline]
    pub(super) fn foreign_rows(&self) -> &[ForeignRow] {
        self.column(S::Foreign)
    }

    pub(super) fn body_parts(&self, block: usize) -> BodyParts<'_> {
        let rows = self.block_rows();
        let (from, to) = (&rows[block], &rows[block + 1]);
        let bytes = &self.bytes(S::BodyBytes)[from.body_at as usize..to.body_at as usize];
        let (header, rest) = bytes.split_at(from.header_bytes as usize);
        let (ommers, withdrawals) = rest.split_at(from.ommers_bytes as usize);
        let withdrawals = if from.kind & KIND_WITHDRAWALS == 0 { None } else { Some(withdrawals) };
        BodyParts { header, ommers, are_hashes: from.kind & KIND_OMMER_HASHES != 0, withdrawals }
    }

    pub(super) fn malformed(&self, place: impl Into<String>, reason: impl Into<String>) -> Error {
        Error::malformed(&self.path, place, reason)
    }

    #[cold]
    pub(super) fn refuse<T>(&self, section: S, reason: impl Into<String>) -> Result<T> {
        Err(self.malformed(format!("section {}", section.name()), reason))
    }

    #[cold]
    pub(super) fn refuse_row<T>(&self, section: S, row: usize, reason: impl Into<String>) -> Result<T> {
        Err(self.malformed(format!("section {}, row {row}", section.name()), reason))
    }

    /// Zeros between header, page table and sections. Their pages may not be verified yet: a fault is found either way.
    fn verify_gaps(&self) -> Result<()> {
        let ends = std::iter::once(self.layout.page_table.end).chain(self.layout.sections.iter().map(|s| s.end));
        for end in ends {
            let gap = end..end.next_multiple_of(super::layout::ALIGN);
            if self.map[gap.start as usize..gap.end as usize].iter().any(|&byte| byte != 0) {
                return Err(self.malformed(format!("offset {end}"), "padding is not zero"));
            }
        }
        Ok(())
    }

    /// Verifies the pages that hold these bytes of a section.
    #[inline]
    pub(super) fn verify_bytes(&self, section: S, range: Range<u64>) -> Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        let at = self.layout.sections[section as usize].start - self.layout.data.start;
        let first = ((at + range.start) / PAGE_BYTES as u64) as usize;
        let last = ((at + range.end - 1) / PAGE_BYTES as u64) as usize;
        for page in first..=last {
            if !self.pages.is_set(page) {
                self.verify_page(page)?;
            }
        }
        Ok(())
    }

    fn verify_page(&self, page: usize) -> Result<()> {
        let data = &self.map[self.layout.data.start as usize..];
        let at = page * PAGE_BYTES;
        let bytes = &data[at..data.len().min(at + PAGE_BYTES)];
        let entry = self.layout.page_table.start as usize + 8 * page;
        let expected: [u8; 8] = std::array::from_fn(|i| self.map[entry + i]);
        if xxh3_64(bytes).to_le_bytes() != expected {
            let offset = self.layout.data.start as usize + at;
            return Err(self.malformed(format!("offset {offset}, page {page}"), "checksum differs: damaged"));
        }
        self.pages.set(page);
        Ok(())
    }

    fn verify_pages_of(&self, blocks: Range<usize>) -> Result<()> {
        let hints = self.signature_r_places(blocks.clone()).map(|range| (S::SignatureR, range));
        let (from, to) = (self.block_rows()[blocks.start], self.block_rows()[blocks.end]);
        let rows = u64::from(from.row_first)..u64::from(to.row_first);
        let columns = std::iter::once(S::RowMoves).chain(SIGNED_COLUMNS).map(|section| (section, rows.clone()));
        let moves = from.move_first..to.move_first;
        let move_columns =
            [S::MoveCells, S::MoveFlags, S::MoveIntx, S::MovePrev, S::MoveNext, S::MoveMask, S::MoveLast]
                .map(|section| (section, moves.clone()));
        let heaps = [
            (S::BodyBytes, from.body_at..to.body_at),
            (S::TransactionBytes, from.bytes_at..to.bytes_at),
            (S::ReceiptBytes, from.receipts_at..to.receipts_at),
            (S::Authorities, from.authorities_at..to.authorities_at),
        ];
        for (section, range) in columns.into_iter().chain(move_columns).chain(heaps).chain(hints) {
            if self.rows(section) != 0 {
                let stride = u64::from(SECTIONS[section as usize].2);
                self.verify_bytes(section, range.start * stride..range.end * stride)?;
            }
        }
        Ok(())
    }

    /// The checked segment table with the earlier headers.
    fn read_segments(&self) -> Vec<Segment> {
        let mut rest = self.bytes(S::EarlierBytes);
        let mut take = |count: u32| {
            let (part, after) = rest.split_at(count as usize);
            rest = after;
            alloy_primitives::Bytes::copy_from_slice(part)
        };
        let read = |row: &SegmentRow| {
            let earlier = &self.earlier_rows()[row.earlier_first as usize..][..row.earlier_count as usize];
            let earlier = earlier.iter().map(|row| EarlierHeader {
                header: take(row.header_bytes),
                ommers: if row.ommers_bytes == OMMERS_UNKNOWN { None } else { Some(take(row.ommers_bytes)) },
            });
            let total_difficulty =
                (row.total_difficulty_stated == 1).then(|| U256::from_be_bytes(row.total_difficulty));
            let start =
                SegmentStart { first: row.first, origin: row.origin, total_difficulty, earlier: earlier.collect() };
            Segment { start, blocks: row.blocks() }
        };
        self.segment_rows().iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_be_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<BlockFile>();
    }
}

//! Writing a block file: blocks stream into spools, and `finish` puts the sorted tables and the columns into one file.
//!
//! Cells, addresses, intx are spooled in numbers of first appearance and mapped to final numbers in the last pass.
//! Foreign versions count down from 2^32 - 1 in the spool, above every row. The file appears under its name whole and
//! synced, or not at all. What the reader would refuse, the writer refuses, with the place in the caller's records.

mod assemble;
mod last;
mod numbered;

pub use numbered::{Cells, NumberedMoves};

use super::check::{BodyParts, check_body, check_earlier};
use super::hints::HintSpools;
use super::layout::{
    BlockRow, EARLIER_BOUND, EarlierRow, FLAG_WRITE, FOREIGN_BOUND, ForeignRow, KIND_OMMER_HASHES, KIND_WITHDRAWALS,
    NOBODY, OMMERS_UNKNOWN, ROW_BOUND, SECTION_COUNT, STATUS_FAILURE, STATUS_NONE, STATUS_PACKED, STATUS_ROOT,
    STATUS_ROOT_UNKNOWN, STATUS_SUCCESS, Section as S, SegmentRow, UNPACKED_BOUND, is_versions_text,
};
use super::rlp;
use super::spool::{self, Spool};
use super::tables::{CellTables, ForeignKey, Full, Numbering, RecentValues, SortedCells};
use super::value::{ValueBytes, encode_account, encode_word};
use super::zero_runs;
use crate::model::{
    BLOCK_BOUND, BlockBody, BlockRecord, Cell, INDEX_BOUND, Mark, Mode, Move, Ommers, Outcome, SegmentStart, Status,
    TransactionRecord, Value, Version,
};
use crate::rules::ChainRules;
use crate::whole::folder_of;
use crate::{Error, Result};
use alloy_primitives::map::{B256Set, HashMap};
use alloy_primitives::{Address, B256, Bytes, FixedBytesSliceExt, KECCAK256_EMPTY, U256, keccak256};
use bytemuck::bytes_of;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a writer wrote.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary {
    /// Segments.
    pub segments: u64,
    /// Blocks.
    pub blocks: u64,
    /// Transactions, system transactions included.
    pub rows: u64,
    /// Moves.
    pub moves: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
}

/// Writes a block file from a stream of blocks. Dropped before [`Writer::finish`], it leaves nothing behind.
///
/// Memory grows with the numbers of distinct addresses, slots, cells, code hashes and foreign versions, and by four
/// bytes a block and eight bytes a page of 64 KiB; everything else is spooled to the folder of the file.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    folder: Arc<Path>,
    rules: Vec<u8>,
    versions: String,
    spools: [Option<Spool>; SECTION_COUNT],
    blobs: Spool,
    hints: HintSpools,
    blob_places: HashMap<B256, (u64, u64)>,
    tables: CellTables,
    codes: Numbering<B256>,
    foreign: Numbering<ForeignKey>,
    recent: RecentValues,
    segments: Vec<SegmentRow>,
    earlier_count: u32,
    /// First row of every block, and the end of the last one.
    row_firsts: Vec<u32>,
    value_count: u32,
    move_count: u64,
    /// Rows of the mask column already spooled: none until the first mask that is not zero.
    mask_rows: u64,
    /// Whether no row so far has anything but moves.
    is_moves_only: bool,
    /// Whether the hint `last` is written.
    with_last: bool,
    /// Cells by number, where moves came as numbers.
    numbered: Option<Cells>,
    /// Nodes of tries that are in the file.
    state_nodes: B256Set,
    failed: bool,
}

/// Sections that are spooled while blocks come in.
const SPOOLED: [S; 21] = [
    S::EarlierRows,
    S::EarlierBytes,
    S::Blocks,
    S::ValueLengths,
    S::ValueAnchors,
    S::ValueBytes,
    S::BodyBytes,
    S::RowMoves,
    S::RowBytes,
    S::RowReceipts,
    S::RowAuthorities,
    S::RowSenders,
    S::RowStatus,
    S::RowGas,
    S::TransactionBytes,
    S::ReceiptBytes,
    S::Authorities,
    S::MoveCells,
    S::MoveFlags,
    S::MoveIntx,
    S::StateNodes,
];
const SPOOLED_MOVES: [S; 3] = [S::MovePrev, S::MoveNext, S::MoveMask];

impl Writer {
    /// Starts a file. `versions` names the programs that make it (printable ASCII, at most 128 bytes).
    ///
    /// Errors: the folder does not take files; `versions` is too long or not printable.
    pub fn create(path: impl AsRef<Path>, rules: &ChainRules, versions: &str) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        if path.file_name().is_none() {
            return Err(Error::malformed(&path, "path", "names no file"));
        }
        let folder: Arc<Path> = folder_of(&path).into();
        if !is_versions_text(versions.as_bytes()) {
            return Err(Error::malformed(&path, "versions", "not printable ASCII of at most 128 bytes"));
        }
        let rules = rules.to_bytes();
        ChainRules::from_bytes(&rules).map_err(|e| Error::malformed(&path, "rules", e))?;
        // Said at once, and not when the first column has grown long.
        spool::probe(&folder).map_err(Error::io(&folder))?;
        let mut spools = [const { None }; SECTION_COUNT];
        for section in SPOOLED.into_iter().chain(SPOOLED_MOVES) {
            spools[section as usize] = Some(Spool::new(&folder));
        }
        let blobs = Spool::new(&folder);
        let hints = HintSpools::new(&folder);
        let mut foreign = Numbering::new(FOREIGN_BOUND, "foreign versions");
        for row in [ForeignRow::VIRGIN, ForeignRow::ASSUMED] {
            foreign.number((None, row)).map_err(|full| full_error(&path, "foreign", full))?;
        }
        Ok(Self {
            path,
            folder,
            rules,
            versions: versions.to_owned(),
            spools,
            blobs,
            hints,
            blob_places: HashMap::default(),
            tables: CellTables::new(),
            codes: Numbering::new(u32::MAX, "code hashes"),
            foreign,
            recent: RecentValues::default(),
            segments: Vec::new(),
            earlier_count: 0,
            row_firsts: vec![0],
            value_count: 0,
            move_count: 0,
            mask_rows: 0,
            is_moves_only: true,
            with_last: false,
            numbered: None,
            state_nodes: B256Set::default(),
            failed: false,
        })
    }

    /// Has the hint `last` written: of each move the row of its cell's use before it. 4 bytes a move.
    pub fn with_last(mut self) -> Self {
        self.with_last = true;
        self
    }

    /// Begins a segment; the blocks that follow are its blocks.
    ///
    /// Errors: the segment before it has no block; origin after the first block; bad earlier headers; the disk.
    pub fn begin_segment(&mut self, start: &SegmentStart) -> Result<()> {
        self.guard(|writer| writer.push_segment(start))
    }

    /// Appends a block to the current segment.
    ///
    /// Errors: the record says what the file cannot (place and reason are named); a table is full; the disk.
    pub fn push(&mut self, block: &BlockRecord) -> Result<()> {
        self.guard(|writer| writer.push_block(block))
    }

    /// Supplies the code for a hash. Only blobs of hashes that some account names are kept, the first one of each hash.
    ///
    /// Whether the code hashes to `hash` is not looked at. Errors: the disk.
    pub fn code(&mut self, hash: B256, code: &[u8]) -> Result<()> {
        self.guard(|writer| {
            if hash != KECCAK256_EMPTY && !writer.blob_places.contains_key(&hash) {
                writer.blob_places.insert(hash, (writer.blobs.bytes(), code.len() as u64));
                writer.blobs.put(code).map_err(Error::io(&writer.folder))?;
            }
            Ok(())
        })
    }

    /// Adds a hint: a public key, x then y, most significant first, of one who signed something in this file.
    ///
    /// Nothing of it is looked at. Errors: the disk.
    pub fn signer_key(&mut self, key: &[u8; 64]) -> Result<()> {
        self.guard(|writer| writer.hints.key(key).map_err(Error::io(&writer.folder)))
    }

    /// About how many bytes the file would have if it were finished now: within a few hundredths, unless it is small.
    ///
    /// Counted are columns, tables and codes; not header, checksums and what aligns sections.
    pub fn bytes_expected(&self) -> u64 {
        let columns: u64 = SPOOLED.into_iter().chain(SPOOLED_MOVES).map(|section| self.spooled(section)).sum();
        let hints: u64 = [S::SignerKeys, S::SignatureR].map(|section| self.hints.bytes(section)).iter().sum();
        let last = if self.with_last { 4 * self.move_count } else { 0 };
        let codes = 40 * u64::from(self.codes.count()) + self.blobs.bytes();
        columns + hints + last + codes + self.tables.bytes() + 16 * u64::from(self.foreign.count())
    }

    /// Adds a hint: a node of the state's trie or of an account's storage, encoded, that proves what cells held before.
    ///
    /// Nothing of it is looked at; one that was added before is left out. Errors: the disk.
    pub fn state_node(&mut self, node: &[u8]) -> Result<()> {
        self.guard(|writer| match writer.state_nodes.insert(keccak256(node)) {
            true => writer.put(S::StateNodes, node),
            false => Ok(()),
        })
    }

    /// Puts the file together, syncs it, and gives it its name, in place of a file that has it already.
    ///
    /// Errors: a segment has no block, or there is none; more keys than signatures; too large; the disk. Nothing is left behind then.
    pub fn finish(mut self) -> Result<Summary> {
        self.guard(|_| Ok(()))?;
        if self.segments.last().is_none_or(|segment| segment.block_count == 0) {
            return Err(self.refuse("end", "a file has segments, and a segment has blocks"));
        }
        let (keys, signatures) = (self.hints.bytes(S::SignerKeys) / 64, self.hints.signatures());
        if keys > signatures {
            return Err(self.refuse("end", format!("{keys} keys of signers for {signatures} signatures")));
        }
        let end = BlockRow {
            move_first: self.move_count,
            body_at: self.spooled(S::BodyBytes),
            bytes_at: self.spooled(S::TransactionBytes),
            receipts_at: self.spooled(S::ReceiptBytes),
            authorities_at: self.spooled(S::Authorities) / 4,
            row_first: self.row_first(),
            ..BlockRow::default()
        };
        self.put(S::Blocks, bytes_of(&end))?;
        if self.mask_rows > 0 {
            self.pad_mask()?;
        }
        let file_bytes = self.assemble()?;
        Ok(Summary {
            segments: self.segments.len() as u64,
            blocks: self.row_firsts.len() as u64 - 1,
            rows: u64::from(end.row_first),
            moves: self.move_count,
            file_bytes,
        })
    }

    /// Runs one step; after a failed one, what is spooled is incomplete and nothing more is taken.
    fn guard<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.failed {
            return Err(self.refuse("writer", "an earlier step failed: what is written so far is incomplete"));
        }
        let result = step(self);
        self.failed = result.is_err();
        result
    }

    fn refuse(&self, place: impl Display, reason: impl Into<String>) -> Error {
        Error::malformed(&self.path, place.to_string(), reason)
    }

    fn spool(&mut self, section: S) -> &mut Spool {
        self.spools[section as usize].as_mut().expect("every section that is put to is in SPOOLED")
    }

    fn spooled(&self, section: S) -> u64 {
        self.spools[section as usize].as_ref().map_or(0, Spool::bytes)
    }

    fn put(&mut self, section: S, bytes: &[u8]) -> Result<()> {
        let result = self.spool(section).put(bytes);
        result.map_err(Error::io(&self.folder))
    }

    fn put_u32(&mut self, section: S, row: u32) -> Result<()> {
        self.put(section, &row.to_le_bytes())
    }

    fn row_first(&self) -> u32 {
        self.row_firsts.last().copied().unwrap_or(0)
    }

    fn push_segment(&mut self, start: &SegmentStart) -> Result<()> {
        let place = format!("segment {}", self.segments.len());
        if self.segments.last().is_some_and(|segment| segment.block_count == 0) {
            return Err(self.refuse(place, "the segment before it has no block"));
        }
        if start.first >= BLOCK_BOUND || start.origin > start.first {
            let reason = format!("first block {}, origin {}: out of bounds", start.first, start.origin);
            return Err(self.refuse(place, reason));
        }
        let count = start.earlier.len();
        if count > EARLIER_BOUND || count as u64 > start.first || self.earlier_count > u32::MAX - EARLIER_BOUND as u32 {
            return Err(self.refuse(place, format!("{count} earlier headers before block {}", start.first)));
        }
        for (i, earlier) in start.earlier.iter().enumerate() {
            let ommers = slice(&earlier.ommers);
            check_earlier(&earlier.header, ommers)
                .map_err(|reason| self.refuse(format!("{place}, earlier header {i}"), reason))?;
            let row = EarlierRow {
                header_bytes: earlier.header.len() as u32,
                ommers_bytes: ommers.map_or(OMMERS_UNKNOWN, |o| o.len() as u32),
            };
            self.put(S::EarlierRows, bytes_of(&row))?;
            self.put(S::EarlierBytes, &earlier.header)?;
            self.put(S::EarlierBytes, ommers.unwrap_or_default())?;
        }
        self.segments.push(SegmentRow {
            first: start.first,
            origin: start.origin,
            total_difficulty: start.total_difficulty.unwrap_or(U256::ZERO).to_be_bytes(),
            block_first: self.row_firsts.len() as u32 - 1,
            block_count: 0,
            earlier_first: self.earlier_count,
            earlier_count: count as u32,
            total_difficulty_stated: start.total_difficulty.is_some().into(),
            reserved: [0; 3],
        });
        self.earlier_count += count as u32;
        Ok(())
    }

    fn push_block(&mut self, block: &BlockRecord) -> Result<()> {
        let row = self.begin_block(&block.body, block.transactions.len() as u64)?;
        let number = self.newest_block();
        let last = block.transactions.len() - 1;
        let mut unpacked = 0;
        for (i, transaction) in block.transactions.iter().enumerate() {
            let is_closing = i == last;
            let place = Place { block: number, index: i };
            self.push_row(transaction, i == 0 || is_closing, is_closing, &row, &mut unpacked, place)?;
        }
        Ok(())
    }

    /// Number of the block that has begun last.
    fn newest_block(&self) -> u64 {
        self.segments.last().map_or(0, |segment| segment.first + u64::from(segment.block_count) - 1)
    }

    /// Everything of a block but its rows, of which there are so many.
    fn begin_block(&mut self, body: &BlockBody, rows: u64) -> Result<BlockRow> {
        let Some(segment) = self.segments.last() else {
            return Err(self.refuse("block", "no segment has begun"));
        };
        let number = segment.first + u64::from(segment.block_count);
        let place = || format!("block {number}");
        let row_first = self.row_first();
        if number >= BLOCK_BOUND {
            return Err(self.refuse(place(), "number of 2^40 or more"));
        }
        if !(2..INDEX_BOUND).contains(&rows) {
            return Err(
                self.refuse(place(), format!("{rows} transactions: a block has opening and closing, below 2^24"))
            );
        }
        if u64::from(row_first) + rows > u64::from(ROW_BOUND) || self.row_firsts.len() >= u32::MAX as usize {
            return Err(self.refuse(place(), "too many transactions or blocks for one file"));
        }
        let hashes: &[B256];
        let (ommers, are_hashes): (&[u8], bool) = match &body.ommers {
            Ommers::Headers(list) => (list, false),
            Ommers::Hashes(list) => {
                hashes = list;
                (hashes.as_flattened(), true)
            }
        };
        let withdrawals = slice(&body.withdrawals);
        let parts = BodyParts { header: &body.header, ommers, are_hashes, withdrawals };
        check_body(&parts).map_err(|(part, reason)| self.refuse(format!("block {number}, {part}"), reason))?;
        let kind =
            if are_hashes { KIND_OMMER_HASHES } else { 0 } | if withdrawals.is_some() { KIND_WITHDRAWALS } else { 0 };
        let row = BlockRow {
            move_first: self.move_count,
            body_at: self.spooled(S::BodyBytes),
            bytes_at: self.spooled(S::TransactionBytes),
            receipts_at: self.spooled(S::ReceiptBytes),
            authorities_at: self.spooled(S::Authorities) / 4,
            row_first,
            header_bytes: parts.header.len() as u32,
            ommers_bytes: ommers.len() as u32,
            kind,
            reserved: 0,
        };
        self.put(S::Blocks, bytes_of(&row))?;
        for part in [parts.header, ommers, withdrawals.unwrap_or_default()] {
            self.put(S::BodyBytes, part)?;
        }
        // The block's own rows are known from here on: its moves may name them.
        self.row_firsts.push(row_first + rows as u32);
        if let Some(segment) = self.segments.last_mut() {
            segment.block_count += 1;
        }
        Ok(row)
    }

    fn push_row(
        &mut self,
        row: &TransactionRecord,
        is_system: bool,
        is_closing: bool,
        block: &BlockRow,
        unpacked: &mut usize,
        place: Place,
    ) -> Result<()> {
        if is_system
            && (!row.bytes.is_empty() || row.sender.is_some() || !row.authorities.is_empty() || row.outcome.is_some())
        {
            return Err(self.refuse(place, "a system transaction has bytes, sender, authorities or outcome"));
        }
        if !is_closing && !row.requests.is_empty() {
            return Err(self.refuse(place, "request outputs, but not a closing"));
        }
        if is_system && !row.signature_r.is_empty() {
            return Err(self.refuse(place, "R.y, but no signature"));
        }
        if !is_system {
            let pushed = self.hints.row(&row.signature_r, row.authorities.len());
            pushed.map_err(Error::io(&self.folder))?;
        }
        for (j, step) in row.moves.iter().enumerate() {
            self.push_move(step, place, j)?;
        }
        self.put(S::TransactionBytes, &row.bytes)?;
        let (status, gas) = self.push_outcome(row.outcome.as_ref(), unpacked)?;
        self.put(S::ReceiptBytes, &rlp::encode_short_list(&row.requests))?;
        for authority in &row.authorities {
            let number = self.nobody_or(*authority, place)?;
            self.put_u32(S::Authorities, number)?;
        }
        let sender = self.nobody_or(row.sender, place)?;
        let ends = [
            (S::RowMoves, self.move_count - block.move_first),
            (S::RowBytes, self.spooled(S::TransactionBytes) - block.bytes_at),
            (S::RowReceipts, self.spooled(S::ReceiptBytes) - block.receipts_at),
            (S::RowAuthorities, self.spooled(S::Authorities) / 4 - block.authorities_at),
        ];
        self.is_moves_only &= sender == NOBODY && status == STATUS_NONE && ends[1..].iter().all(|(_, end)| *end == 0);
        for (section, end) in ends {
            let end = u32::try_from(end).map_err(|_| self.refuse(place, "the block has 4 GiB or 2^32 moves"))?;
            self.put_u32(section, end)?;
        }
        self.put_u32(S::RowSenders, sender)?;
        self.put(S::RowStatus, &[status])?;
        self.put(S::RowGas, &gas.to_le_bytes())
    }

    /// `unpacked`: bytes that the packed logs of the block stand for so far.
    fn push_outcome(&mut self, outcome: Option<&Outcome>, unpacked: &mut usize) -> Result<(u8, u64)> {
        let Some(outcome) = outcome else { return Ok((STATUS_NONE, 0)) };
        let status = match &outcome.status {
            Status::Failure => STATUS_FAILURE,
            Status::Success => STATUS_SUCCESS,
            Status::Root(None) => STATUS_ROOT_UNKNOWN,
            Status::Root(Some(root)) => {
                self.put(S::ReceiptBytes, root.as_slice())?;
                STATUS_ROOT
            }
        };
        let logs = rlp::encode_short_list(&outcome.logs);
        let packed = zero_runs::pack(&logs);
        if packed.len() < logs.len() && *unpacked + logs.len() <= UNPACKED_BOUND {
            *unpacked += logs.len();
            self.put(S::ReceiptBytes, &packed)?;
            return Ok((status | STATUS_PACKED, outcome.gas_used));
        }
        self.put(S::ReceiptBytes, &logs)?;
        Ok((status, outcome.gas_used))
    }

    fn nobody_or(&mut self, addr: Option<Address>, place: Place) -> Result<u32> {
        let Some(addr) = addr else { return Ok(NOBODY) };
        self.tables.addresses.number(addr).map_err(|full| full_error(&self.path, place, full))
    }

    fn push_move(&mut self, step: &Move, place: Place, j: usize) -> Result<()> {
        let place = || format!("{place}, move {j}");
        let cell = step.cell;
        let canonical = match cell.mark {
            Mark::Account => Cell::account(cell.addr),
            Mark::Storage => cell,
            Mark::BlockHash => Cell::block_hash(cell.slot.as_limbs()[0]),
        };
        if cell != canonical {
            return Err(self.refuse(place(), format!("cell {cell} has fields that its mark does not use")));
        }
        let id = self.tables.cell(&cell).map_err(|full| full_error(&self.path, place(), full))?;
        let intx = self.intx(step.intx).map_err(|reason| self.refuse(place(), reason))?;
        let prev = self.value(cell.mark, &step.prev, &place)?;
        let (flags, next) = match step.mode {
            Mode::Write => (FLAG_WRITE, self.value(cell.mark, &step.next, &place)?),
            Mode::Read if step.next == step.prev => (0, 0),
            Mode::Read => return Err(self.refuse(place(), "a read whose next is not its prev")),
        };
        self.put_u32(S::MoveCells, id)?;
        self.put(S::MoveFlags, &[flags])?;
        self.put_u32(S::MoveIntx, intx)?;
        self.put_u32(S::MovePrev, prev)?;
        self.put_u32(S::MoveNext, next)?;
        if step.mask != 0 {
            self.pad_mask()?;
            self.put_u32(S::MoveMask, step.mask)?;
            self.mask_rows += 1;
        }
        self.move_count += 1;
        Ok(())
    }

    fn pad_mask(&mut self) -> Result<()> {
        while self.mask_rows < self.move_count {
            self.put_u32(S::MoveMask, 0)?;
            self.mask_rows += 1;
        }
        Ok(())
    }

    /// The spooled intx: a row, or u32::MAX - number of a foreign version.
    fn intx(&mut self, version: Version) -> Result<u32, String> {
        let Some(segment) = self.segments.last() else { return Err("no segment has begun".into()) };
        let from_genesis = segment.first == 0;
        let key: ForeignKey = match version {
            Version::Virgin => (None, ForeignRow::VIRGIN),
            Version::Assumed | Version::Base(_) if from_genesis => {
                return Err("base or assumed in a segment from genesis".into());
            }
            Version::Assumed => (None, ForeignRow::ASSUMED),
            Version::Base(bound) if bound >= BLOCK_BOUND => return Err(format!("base({bound}): 2^40 or more")),
            Version::Base(bound) => (None, ForeignRow { kind: ForeignRow::BASE, value: bound }),
            Version::At(location) => {
                if let Some(row) = segment.row_at(location, |block| self.row_firsts[block]) {
                    return Ok(row);
                }
                // A later block of this segment may still make a row of it: decided when all blocks are there.
                let is_later = location.block() >= segment.first + u64::from(segment.block_count);
                let segment = is_later.then(|| self.segments.len() as u32 - 1);
                (segment, ForeignRow { kind: ForeignRow::AT, value: location.bits() })
            }
        };
        self.foreign.number(key).map(|number| u32::MAX - number).map_err(|full| format!("too many {}", full.0))
    }

    fn value(&mut self, mark: Mark, value: &Value, place: &dyn Fn() -> String) -> Result<u32> {
        let bytes = match (mark, value) {
            (Mark::Account, Value::Account(account)) => {
                if !account.is_canonical() {
                    return Err(self.refuse(place(), "an absent account has nonce, balance or code"));
                }
                let code = if account.code_hash == KECCAK256_EMPTY {
                    None
                } else {
                    let number = self.codes.number(account.code_hash);
                    Some(number.map_err(|full| full_error(&self.path, place(), full))?)
                };
                encode_account(account, code)
            }
            (Mark::Storage | Mark::BlockHash, Value::Word(word)) => encode_word(*word),
            _ => return Err(self.refuse(place(), "the value is not of the kind that the cell's mark has")),
        };
        if let Some(number) = self.recent.get(&bytes) {
            return Ok(number);
        }
        let number = self.value_count;
        if number == u32::MAX {
            return Err(full_error(&self.path, place(), Full("values")));
        }
        self.put_value(number, &bytes)?;
        self.value_count += 1;
        self.recent.remember(bytes, number);
        Ok(number)
    }

    fn put_value(&mut self, number: u32, bytes: &ValueBytes) -> Result<()> {
        if (number as usize).is_multiple_of(super::layout::ANCHOR_ROWS) {
            let anchor = self.spooled(S::ValueBytes);
            self.put(S::ValueAnchors, &anchor.to_le_bytes())?;
        }
        self.put(S::ValueLengths, &[bytes.as_slice().len() as u8])?;
        self.put(S::ValueBytes, bytes.as_slice())
    }
}

fn slice(bytes: &Option<Bytes>) -> Option<&[u8]> {
    bytes.as_ref().map(|bytes| &bytes[..])
}

/// A row in the caller's records, written out where it is at fault.
#[derive(Clone, Copy)]
struct Place {
    block: u64,
    index: usize,
}

impl Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "block {}, index {}", self.block, self.index)
    }
}

fn full_error(path: &Path, place: impl Display, full: Full) -> Error {
    Error::malformed(path, place.to_string(), format!("too many {} for one file", full.0))
}

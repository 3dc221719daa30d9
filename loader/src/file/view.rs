//! A verified block and its transactions as views of the columns, and as the records they were written from.

use super::layout::{
    BlockRow, NOBODY, STATUS_FAILURE, STATUS_NONE, STATUS_PACKED, STATUS_ROOT, STATUS_SUCCESS, Section as S,
    UNPACKED_BOUND,
};
use super::moves::MoveReader;
use super::read::BlockFile;
use super::rlp::decode_list;
use super::zero_runs;
use crate::Result;
use crate::model::{BlockBody, BlockRecord, Location, Move, Ommers, Outcome, Status, TransactionRecord};
use alloy_primitives::{Address, B256, Bytes};
use std::borrow::Cow;
use std::ops::Range;

/// A block's ommers in place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OmmersView<'a> {
    /// RLP list of headers.
    Headers(&'a [u8]),
    /// Known by hash only.
    Hashes(&'a [[u8; 32]]),
}

/// A verified block.
#[derive(Clone, Copy, Debug)]
pub struct BlockView<'a> {
    file: &'a BlockFile,
    block: usize,
}

/// A transaction of a verified block; index 0 is the opening, the last one the closing.
#[derive(Clone, Copy, Debug)]
pub struct RowView<'a> {
    file: &'a BlockFile,
    block: usize,
    row: u32,
    parts: RowParts<'a>,
}

/// A row's slices of the heaps, and its moves.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowParts<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) receipt: &'a [u8],
    pub(super) authorities: &'a [u32],
    /// Of its authorities in the column.
    pub(super) authorities_at: usize,
    pub(super) moves: (usize, usize),
}

impl BlockFile {
    /// The parts of a row of a block whose row ends ascend and end with the block.
    pub(super) fn row_parts(&self, block: usize, row: usize) -> RowParts<'_> {
        let from = &self.block_rows()[block];
        let is_first = row == from.row_first as usize;
        let span = |section: S, at: u64| {
            let ends = self.column::<u32>(section);
            if ends.is_empty() {
                return at as usize..at as usize;
            }
            let start = if is_first { 0 } else { ends[row - 1] };
            at as usize + start as usize..at as usize + ends[row] as usize
        };
        let moves = span(S::RowMoves, from.move_first);
        let authorities = span(S::RowAuthorities, from.authorities_at);
        RowParts {
            bytes: &self.bytes(S::TransactionBytes)[span(S::RowBytes, from.bytes_at)],
            receipt: &self.bytes(S::ReceiptBytes)[span(S::RowReceipts, from.receipts_at)],
            authorities: &self.column(S::Authorities)[authorities.clone()],
            authorities_at: authorities.start,
            moves: (moves.start, moves.end),
        }
    }
}

/// Columns that a file of moves alone does not have.
impl BlockFile {
    pub(super) fn row_sender(&self, row: usize) -> u32 {
        self.column(S::RowSenders).get(row).copied().unwrap_or(NOBODY)
    }

    pub(super) fn row_status(&self, row: usize) -> u8 {
        self.bytes(S::RowStatus).get(row).copied().unwrap_or(STATUS_NONE)
    }

    pub(super) fn row_gas(&self, row: usize) -> u64 {
        self.column(S::RowGas).get(row).copied().unwrap_or(0)
    }
}

impl<'a> BlockView<'a> {
    pub(super) fn new(file: &'a BlockFile, block: usize) -> Self {
        Self { file, block }
    }

    fn rows_of_index(&self) -> (&'a BlockRow, &'a BlockRow) {
        let rows = self.file.block_rows();
        (&rows[self.block], &rows[self.block + 1])
    }

    /// Position in the file's block index.
    pub fn position(&self) -> usize {
        self.block
    }

    /// Position of its segment.
    pub fn segment(&self) -> usize {
        self.file.segment_of(self.block)
    }

    /// Number by position in the segment: the one of its locations.
    pub fn number(&self) -> u64 {
        self.file.number_of(self.block)
    }

    /// Rows of its transactions, opening and closing included: at least two.
    pub fn rows(&self) -> Range<u32> {
        let (from, to) = self.rows_of_index();
        from.row_first..to.row_first
    }

    /// Its moves in the move columns.
    pub fn moves(&self) -> Range<usize> {
        let (from, to) = self.rows_of_index();
        from.move_first as usize..to.move_first as usize
    }

    /// Of each row, the end of its moves, counted from the block's first.
    pub fn move_ends(&self) -> &'a [u32] {
        let rows = self.rows();
        &self.file.column(S::RowMoves)[rows.start as usize..rows.end as usize]
    }

    /// Reads moves of the block.
    pub fn move_reader(&self) -> MoveReader<'a> {
        MoveReader::new(self.file, self.block)
    }

    /// RLP of the header.
    pub fn header(&self) -> &'a [u8] {
        self.file.body_parts(self.block).header
    }

    /// Ommers.
    pub fn ommers(&self) -> OmmersView<'a> {
        let parts = self.file.body_parts(self.block);
        if parts.are_hashes {
            OmmersView::Hashes(bytemuck::cast_slice(parts.ommers))
        } else {
            OmmersView::Headers(parts.ommers)
        }
    }

    /// RLP list of withdrawals; `None` before Shanghai.
    pub fn withdrawals(&self) -> Option<&'a [u8]> {
        self.file.body_parts(self.block).withdrawals
    }

    /// Header, ommers, withdrawals, copied.
    pub fn body(&self) -> BlockBody {
        let ommers = match self.ommers() {
            OmmersView::Headers(list) => Ommers::Headers(Bytes::copy_from_slice(list)),
            OmmersView::Hashes(hashes) => Ommers::Hashes(hashes.iter().map(|hash| B256::new(*hash)).collect()),
        };
        BlockBody {
            header: Bytes::copy_from_slice(self.header()),
            ommers,
            withdrawals: self.withdrawals().map(Bytes::copy_from_slice),
        }
    }

    /// The transaction at an index; `None` beyond the closing.
    pub fn transaction(&self, index: u32) -> Option<RowView<'a>> {
        let rows = self.rows();
        let row = rows.start.checked_add(index).filter(|&row| row < rows.end)?;
        Some(self.view(row))
    }

    /// Opening, transactions in order, closing.
    pub fn transactions(&self) -> impl ExactSizeIterator<Item = RowView<'a>> + use<'a> {
        let this = *self;
        let rows = self.rows();
        (rows.start as usize..rows.end as usize).map(move |row| this.view(row as u32))
    }

    fn view(&self, row: u32) -> RowView<'a> {
        RowView { file: self.file, block: self.block, row, parts: self.file.row_parts(self.block, row as usize) }
    }
}

impl<'a> RowView<'a> {
    /// Row in the transaction columns.
    pub fn row(&self) -> u32 {
        self.row
    }

    /// Location.
    pub fn location(&self) -> Location {
        let index = self.row - self.file.block_rows()[self.block].row_first;
        Location::from_bits(self.file.number_of(self.block) << 24 | u64::from(index))
    }

    /// EIP-2718 bytes; empty for a system transaction.
    pub fn bytes(&self) -> &'a [u8] {
        self.parts.bytes
    }

    /// Number of the declared sender's address, if there is one.
    pub fn sender_number(&self) -> Option<u32> {
        let number = self.file.row_sender(self.row as usize);
        if number == NOBODY { None } else { Some(number) }
    }

    /// Declared sender.
    pub fn sender(&self) -> Option<Address> {
        self.sender_number().map(|number| self.file.address(number))
    }

    /// Declared authority of each EIP-7702 tuple.
    pub fn authorities(&self) -> impl ExactSizeIterator<Item = Option<Address>> + use<'a> {
        let file = self.file;
        self.parts.authorities.iter().map(move |&n| if n == NOBODY { None } else { Some(file.address(n)) })
    }

    /// Hints: R.y of its signature, and of each EIP-7702 tuple, zeros where it is not known; `None` for a system transaction,
    /// and if the file has none.
    pub fn signature_r(&self) -> Option<(&'a [u8; 32], &'a [[u8; 32]])> {
        let rows = self.file.block_rows();
        let (first, end) = (rows[self.block].row_first, rows[self.block + 1].row_first);
        if self.row == first || self.row + 1 == end {
            return None;
        }
        let at = self.parts.authorities_at;
        self.file.signature_r(self.block, self.row as usize, at..at + self.parts.authorities.len())
    }

    /// Its moves in the move columns.
    pub fn moves(&self) -> Range<usize> {
        self.parts.moves.0..self.parts.moves.1
    }

    /// Status or post-state root; `None` if there is no outcome.
    pub fn status(&self) -> Option<Status> {
        match self.status_code() & !STATUS_PACKED {
            STATUS_NONE => None,
            STATUS_FAILURE => Some(Status::Failure),
            STATUS_SUCCESS => Some(Status::Success),
            STATUS_ROOT => Some(Status::Root(Some(B256::from_slice(&self.parts.receipt[..32])))),
            _ => Some(Status::Root(None)),
        }
    }

    fn status_code(&self) -> u8 {
        self.file.row_status(self.row as usize)
    }

    /// Gas used by this transaction alone; 0 without outcome.
    pub fn gas_used(&self) -> u64 {
        self.file.row_gas(self.row as usize)
    }

    /// RLP list of logs; empty if there are none, or no outcome.
    ///
    /// Errors: none after the block is verified.
    pub fn logs_rlp(&self) -> Result<Cow<'a, [u8]>> {
        let code = self.status_code();
        let logs = match code & !STATUS_PACKED {
            STATUS_NONE => &[],
            STATUS_ROOT => &self.parts.receipt[32..],
            _ => self.parts.receipt,
        };
        if code & STATUS_PACKED == 0 {
            return Ok(Cow::Borrowed(logs));
        }
        zero_runs::unpack(logs, UNPACKED_BOUND).map(Cow::Owned).map_err(|e| self.malformed("logs", e.into()))
    }

    /// Declared outcome.
    ///
    /// Errors: a log is not address, topics, data.
    pub fn outcome(&self) -> Result<Option<Outcome>> {
        let Some(status) = self.status() else { return Ok(None) };
        let logs = decode_list(&self.logs_rlp()?).map_err(|e| self.malformed("logs", e))?;
        Ok(Some(Outcome { status, gas_used: self.gas_used(), logs }))
    }

    /// Outputs of the closing's request calls.
    ///
    /// Errors: none after the block is verified.
    pub fn requests(&self) -> Result<Vec<Bytes>> {
        let list = if self.status_code() == STATUS_NONE { self.parts.receipt } else { &[] };
        decode_list(list).map_err(|e| self.malformed("requests", e))
    }

    fn signature_r_list(&self) -> Vec<B256> {
        let Some((own, of_tuples)) = self.signature_r() else { return Vec::new() };
        let all: Vec<B256> = std::iter::once(own).chain(of_tuples).map(|y| B256::new(*y)).collect();
        if all.iter().all(B256::is_zero) { Vec::new() } else { all }
    }

    fn malformed(&self, part: &str, reason: String) -> crate::Error {
        self.file.malformed(format!("transaction {}, {part}", self.location()), reason)
    }

    /// The transaction as it was written.
    ///
    /// Errors: those of [`RowView::outcome`].
    pub fn record(&self) -> Result<TransactionRecord> {
        Ok(TransactionRecord {
            bytes: Bytes::copy_from_slice(self.bytes()),
            sender: self.sender(),
            authorities: self.authorities().collect(),
            moves: self.moves().map(|i| self.file.move_at(i)).collect::<Result<Vec<Move>>>()?,
            outcome: self.outcome()?,
            signature_r: self.signature_r_list(),
            requests: self.requests()?,
        })
    }
}

impl BlockFile {
    /// The block at a position of the block index as it was written; verifies it if that has not been done.
    ///
    /// Errors: those of [`BlockFile::block`] and [`RowView::outcome`].
    pub fn record(&self, block: usize) -> Result<BlockRecord> {
        let view = self.block(block)?;
        let transactions = view.transactions().map(|row| row.record()).collect::<Result<_>>()?;
        Ok(BlockRecord { body: view.body(), transactions })
    }
}

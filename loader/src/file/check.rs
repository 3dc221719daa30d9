//! What makes a block file well-formed: tables on opening, blocks when they are first used. No verdict on the chain.
//!
//! Everything here holds whether or not checksums are right, because a file that lies has right checksums. After the
//! checks, accessors index without failing: every number that a checked block holds lies in the table it points into,
//! every range ascends, every value is the one encoding of its value. Oracle: the refusals listed in `tests/hostile.rs`.

use super::layout::{
    ANCHOR_ROWS, BlockRow, CODE_ABSENT, EARLIER_BOUND, FLAG_WRITE, FOREIGN_BOUND, ForeignRow, INTX_VIRGIN,
    KIND_OMMER_HASHES, KIND_WITHDRAWALS, NOBODY, OMMERS_UNKNOWN, ROW_BOUND, SIGNED_COLUMNS, STATUS_NONE, STATUS_PACKED,
    STATUS_ROOT, STATUS_ROOT_UNKNOWN, Section as S, SegmentRow, SpaceRow, StorageRow, UNPACKED_BOUND,
};
use super::read::BlockFile;
use super::rlp::{Items, check_list, check_short_list};
use super::value;
use super::zero_runs;
use crate::Result;
use crate::model::{BLOCK_BOUND, INDEX_BOUND, Location, Mark};
use alloy_primitives::KECCAK256_EMPTY;

/// A block's parts outside of its transactions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BodyParts<'a> {
    /// RLP of the header.
    pub header: &'a [u8],
    /// RLP list of ommer headers, or 32 bytes a hash.
    pub ommers: &'a [u8],
    /// Whether ommers are hashes.
    pub are_hashes: bool,
    /// RLP list of withdrawals.
    pub withdrawals: Option<&'a [u8]>,
}

/// Refuses parts that are not lists of the right shape; says which and why.
pub fn check_body(parts: &BodyParts<'_>) -> Result<(), (&'static str, &'static str)> {
    check_size(parts.header.len()).and_then(|()| check_list(parts.header, Items::Any)).map_err(|e| ("header", e))?;
    let ommers = if parts.are_hashes {
        let is_whole = !parts.ommers.is_empty() && parts.ommers.len().is_multiple_of(32);
        if is_whole { Ok(()) } else { Err("not one or more hashes of 32 bytes") }
    } else {
        check_list(parts.ommers, Items::Lists)
    };
    check_size(parts.ommers.len()).and(ommers).map_err(|e| ("ommers", e))?;
    parts.withdrawals.map_or(Ok(()), |list| check_list(list, Items::Lists)).map_err(|e| ("withdrawals", e))
}

/// Refuses an earlier header that is not a list, or whose ommers are not a list of lists.
pub fn check_earlier(header: &[u8], ommers: Option<&[u8]>) -> Result<(), &'static str> {
    check_size(header.len())?;
    check_list(header, Items::Any)?;
    ommers.map_or(Ok(()), |list| check_size(list.len()).and_then(|()| check_list(list, Items::Lists)))
}

/// Refuses the length of a part that its column cannot say.
pub(super) fn check_size(bytes: usize) -> Result<(), &'static str> {
    // u32::MAX stands for "not known" in one column of lengths.
    if bytes < u32::MAX as usize { Ok(()) } else { Err("4 GiB or more") }
}

/// Refuses columns that belong together and differ in length, and tables that have more rows than their numbers say.
pub(super) fn check_counts(rows: impl Fn(S) -> u64) -> Result<(), (S, String)> {
    let same = |sections: &[S], expected: u64| match sections.iter().find(|&&section| rows(section) != expected) {
        Some(&section) => Err((section, format!("{} rows, expected {expected}", rows(section)))),
        None => Ok(()),
    };
    if SIGNED_COLUMNS.iter().any(|&section| rows(section) != 0) {
        same(&SIGNED_COLUMNS, rows(S::RowMoves))?;
    }
    let moves = rows(S::MoveCells);
    same(&[S::MoveFlags, S::MoveIntx, S::MovePrev, S::MoveNext], moves)?;
    for section in [S::MoveMask, S::MoveLast] {
        if rows(section) != 0 {
            same(&[section], moves)?;
        }
    }
    if rows(S::CellExits) != 0 {
        // Where there are more segments, a cell may have an exit of each.
        if rows(S::Segments) != 1 {
            return Err((S::CellExits, format!("has rows, in a file of {} segments", rows(S::Segments))));
        }
        let cells = [S::AccountCells, S::StorageCells, S::HashCells].into_iter().map(&rows).sum();
        same(&[S::CellExits], cells)?;
    }
    same(&[S::CodeEnds], rows(S::CodeHashes))?;
    same(&[S::ValueAnchors], rows(S::ValueLengths).div_ceil(ANCHOR_ROWS as u64))?;
    let bounds = [
        (S::RowMoves, u64::from(ROW_BOUND)),
        (S::Blocks, u64::from(u32::MAX)),
        (S::Foreign, u64::from(FOREIGN_BOUND)),
        (S::Addresses, u64::from(u32::MAX)),
        (S::ValueLengths, u64::from(u32::MAX)),
        (S::CodeHashes, u64::from(u32::MAX)),
    ];
    for (section, bound) in bounds {
        if rows(section) > bound {
            return Err((section, format!("{} rows, at most {bound}", rows(section))));
        }
    }
    // Cells of all marks have one numbering. A file has fewer than 2^63 bytes: the sum cannot overflow.
    if [S::AccountCells, S::StorageCells, S::HashCells].map(rows).iter().sum::<u64>() > u64::from(u32::MAX) {
        return Err((S::StorageCells, "2^32 cells or more".into()));
    }
    Ok(())
}

impl BlockFile {
    /// Checks all shared tables and the lengths of all columns.
    pub(super) fn check_tables(&self) -> Result<()> {
        self.check_lengths()?;
        self.check_blocks_index()?;
        self.check_segments()?;
        self.check_hints()?;
        self.check_earlier_headers()?;
        self.check_cells()?;
        self.check_foreign()?;
        self.check_codes()?;
        self.check_values()
    }

    fn check_lengths(&self) -> Result<()> {
        check_counts(|section| self.rows(section)).or_else(|(section, reason)| self.refuse(section, reason))
    }

    fn check_blocks_index(&self) -> Result<()> {
        let blocks = self.block_rows();
        let [first, .., end] = blocks else {
            return self.refuse(S::Blocks, format!("{} rows, at least a block and the end", blocks.len()));
        };
        let positions = |b: &BlockRow| {
            [u64::from(b.row_first), b.move_first, b.body_at, b.bytes_at, b.receipts_at, b.authorities_at]
        };
        if positions(first) != [0; 6] {
            return self.refuse_row(S::Blocks, 0, "positions are not zero");
        }
        let ends = [S::RowMoves, S::MoveCells, S::BodyBytes, S::TransactionBytes, S::ReceiptBytes, S::Authorities]
            .map(|section| self.rows(section));
        if positions(end) != ends || [end.header_bytes, end.ommers_bytes, end.kind] != [0; 3] || end.reserved != 0 {
            return self.refuse_row(S::Blocks, blocks.len() - 1, format!("not the end of all columns, {ends:?}"));
        }
        for (i, pair) in blocks.windows(2).enumerate() {
            let (from, to) = (positions(&pair[0]), positions(&pair[1]));
            if from.iter().zip(&to).any(|(from, to)| from > to) {
                return self.refuse_row(S::Blocks, i + 1, "positions do not ascend");
            }
            let rows = to[0] - from[0];
            if !(2..INDEX_BOUND).contains(&rows) {
                return self.refuse_row(S::Blocks, i, format!("{rows} transactions, expected 2 to 2^24 - 1"));
            }
            let block = &pair[0];
            if block.kind & !(KIND_OMMER_HASHES | KIND_WITHDRAWALS) != 0 || block.reserved != 0 {
                return self.refuse_row(S::Blocks, i, "reserved bits are not zero");
            }
            let bytes = u64::from(block.header_bytes) + u64::from(block.ommers_bytes);
            let body_bytes = to[2] - from[2];
            if bytes > body_bytes || (block.kind & KIND_WITHDRAWALS == 0 && bytes != body_bytes) {
                let reason = format!("header and ommers have {bytes} bytes, header to withdrawals {body_bytes}");
                return self.refuse_row(S::Blocks, i, reason);
            }
        }
        Ok(())
    }

    fn check_segments(&self) -> Result<()> {
        let (mut block, mut earlier) = (0u64, 0u64);
        for (i, s) in self.segment_rows().iter().enumerate() {
            if u64::from(s.block_first) != block || s.block_count == 0 {
                let reason = format!("{} blocks from {}; expected some from {block}", s.block_count, s.block_first);
                return self.refuse_row(S::Segments, i, reason);
            }
            if u64::from(s.earlier_first) != earlier || s.earlier_count as usize > EARLIER_BOUND {
                let reason = format!("{} earlier headers from {}", s.earlier_count, s.earlier_first);
                return self.refuse_row(S::Segments, i, format!("{reason}; expected at most 7 from {earlier}"));
            }
            block += u64::from(s.block_count);
            earlier += u64::from(s.earlier_count);
            if s.first >= BLOCK_BOUND || s.first + u64::from(s.block_count) > BLOCK_BOUND || s.origin > s.first {
                let reason = format!("first block {}, origin {}: out of bounds", s.first, s.origin);
                return self.refuse_row(S::Segments, i, reason);
            }
            if u64::from(s.earlier_count) > s.first {
                return self.refuse_row(S::Segments, i, "more earlier headers than blocks before the first");
            }
            let is_stated = s.total_difficulty_stated;
            if is_stated > 1 || s.reserved != [0; 3] || (is_stated == 0 && s.total_difficulty != [0; 32]) {
                return self.refuse_row(S::Segments, i, "reserved bits or unstated total difficulty are not zero");
            }
        }
        if block + 1 != self.rows(S::Blocks) || earlier != self.rows(S::EarlierRows) {
            let reason = format!("the segments have {block} blocks and {earlier} earlier headers in all");
            return self.refuse(S::Segments, reason);
        }
        Ok(())
    }

    fn check_earlier_headers(&self) -> Result<()> {
        let mut rest = self.bytes(S::EarlierBytes);
        for (i, row) in self.earlier_rows().iter().enumerate() {
            let ommers_bytes = if row.ommers_bytes == OMMERS_UNKNOWN { 0 } else { row.ommers_bytes as usize };
            let parts = rest.split_at_checked(row.header_bytes as usize);
            let Some((header, after)) = parts else { return self.refuse_row(S::EarlierRows, i, "ends beyond bytes") };
            let Some((ommers, after)) = after.split_at_checked(ommers_bytes) else {
                return self.refuse_row(S::EarlierRows, i, "ends beyond bytes");
            };
            let ommers = (row.ommers_bytes != OMMERS_UNKNOWN).then_some(ommers);
            if let Err(reason) = check_earlier(header, ommers) {
                return self.refuse_row(S::EarlierRows, i, reason);
            }
            rest = after;
        }
        if rest.is_empty() { Ok(()) } else { self.refuse(S::EarlierBytes, format!("{} bytes too many", rest.len())) }
    }

    /// Strictly ascending tables hold nothing twice.
    fn check_cells(&self) -> Result<()> {
        self.check_ascending(S::Addresses, self.column::<[u8; 20]>(S::Addresses))?;
        self.check_ascending(S::Slots, self.column::<[u8; 32]>(S::Slots))?;
        self.check_ascending(S::Spaces, self.column::<SpaceRow>(S::Spaces))?;
        self.check_ascending(S::AccountCells, self.column::<u32>(S::AccountCells))?;
        self.check_ascending(S::StorageCells, self.column::<StorageRow>(S::StorageCells))?;
        self.check_ascending(S::HashCells, self.column::<u64>(S::HashCells))?;
        let addresses = self.rows(S::Addresses);
        let (spaces, slots) = (self.rows(S::Spaces), self.rows(S::Slots));
        // Ascending columns have their greatest entry last; slots of cells do not ascend.
        if let Some(last) = self.column::<SpaceRow>(S::Spaces).last().filter(|s| u64::from(s.addr) >= addresses) {
            let row = self.rows(S::Spaces) as usize - 1;
            return self.refuse_row(S::Spaces, row, format!("address {} of {addresses}", last.addr));
        }
        if let Some(last) = self.column::<u32>(S::AccountCells).last().filter(|&&a| u64::from(a) >= addresses) {
            let row = self.rows(S::AccountCells) as usize - 1;
            return self.refuse_row(S::AccountCells, row, format!("address {last} of {addresses}"));
        }
        let cells = self.column::<StorageRow>(S::StorageCells);
        let is_out = |cell: &StorageRow| u64::from(cell.space) >= spaces || u64::from(cell.slot) >= slots;
        match cells.iter().position(is_out) {
            Some(row) => {
                let cell = cells[row];
                let reason = format!("space {} of {spaces}, slot {} of {slots}", cell.space, cell.slot);
                self.refuse_row(S::StorageCells, row, reason)
            }
            None => Ok(()),
        }
    }

    fn check_ascending<T: Ord>(&self, section: S, rows: &[T]) -> Result<()> {
        match rows.windows(2).position(|pair| pair[0] >= pair[1]) {
            Some(row) => self.refuse_row(section, row + 1, "not above the row before it"),
            None => Ok(()),
        }
    }

    fn check_foreign(&self) -> Result<()> {
        let rows = self.foreign_rows();
        if rows.len() < 2 || rows[..2] != [ForeignRow::VIRGIN, ForeignRow::ASSUMED] {
            return self.refuse(S::Foreign, "does not begin with virgin and assumed");
        }
        self.check_ascending(S::Foreign, rows)?;
        let is_known = |row: &ForeignRow| match row.kind {
            ForeignRow::BASE => row.value < BLOCK_BOUND,
            kind => kind == ForeignRow::AT,
        };
        match rows[2..].iter().position(|row| !is_known(row)) {
            Some(i) => self.refuse_row(S::Foreign, i + 2, format!("unknown version {:?}", rows[i + 2])),
            None => Ok(()),
        }
    }

    fn check_codes(&self) -> Result<()> {
        let hashes = self.column::<[u8; 32]>(S::CodeHashes);
        if let Some(row) = hashes.iter().position(|hash| *hash == KECCAK256_EMPTY.0) {
            return self.refuse_row(S::CodeHashes, row, "the hash of no code");
        }
        let mut order: Vec<u32> = (0..hashes.len() as u32).collect();
        order.sort_unstable_by_key(|&i| (&hashes[i as usize], i));
        if let Some(pair) = order.windows(2).find(|pair| hashes[pair[0] as usize] == hashes[pair[1] as usize]) {
            return self.refuse_row(S::CodeHashes, pair[1] as usize, format!("the hash of row {}", pair[0]));
        }
        let mut last = 0;
        for (row, &end) in self.column::<u64>(S::CodeEnds).iter().enumerate() {
            let at = end & !CODE_ABSENT;
            if at < last || (end != at && at != last) {
                return self.refuse_row(S::CodeEnds, row, format!("ends at {at}, the row before it at {last}"));
            }
            last = at;
        }
        let bytes = self.rows(S::CodeBytes);
        if last == bytes { Ok(()) } else { self.refuse(S::CodeEnds, format!("end at {last} of {bytes} bytes")) }
    }

    fn check_values(&self) -> Result<()> {
        let lengths = self.bytes(S::ValueLengths);
        let mut at = 0u64;
        for (i, (group, &anchor)) in lengths.chunks(ANCHOR_ROWS).zip(self.column::<u64>(S::ValueAnchors)).enumerate() {
            if anchor != at {
                return self.refuse_row(S::ValueAnchors, i, format!("{anchor}, expected {at}"));
            }
            // At most 16 lengths of at most 255: the sum fits 16 bits, and the greatest is found without branches.
            at += u64::from(group.iter().map(|&length| u16::from(length)).sum::<u16>());
            if usize::from(group.iter().fold(0, |most, &length| most.max(length))) > value::VALUE_BYTES {
                return self.refuse(S::ValueLengths, format!("in rows from {}: beyond 49", i * ANCHOR_ROWS));
            }
        }
        let bytes = self.rows(S::ValueBytes);
        if at == bytes { Ok(()) } else { self.refuse(S::ValueLengths, format!("add up to {at} of {bytes} bytes")) }
    }

    /// Checks a block whose pages are verified.
    pub(super) fn check_block(&self, block: usize, segment: &SegmentRow) -> Result<()> {
        let rows = self.block_rows();
        let (from, to) = (&rows[block], &rows[block + 1]);
        let number = segment.first + (block - segment.block_first as usize) as u64;
        if let Err((part, reason)) = check_body(&self.body_parts(block)) {
            return Err(self.malformed(format!("block {number}, {part}"), reason));
        }
        let extents = [
            (S::RowMoves, to.move_first - from.move_first),
            (S::RowBytes, to.bytes_at - from.bytes_at),
            (S::RowReceipts, to.receipts_at - from.receipts_at),
            (S::RowAuthorities, to.authorities_at - from.authorities_at),
        ];
        let (first, end) = (from.row_first as usize, to.row_first as usize);
        for (section, extent) in extents {
            if self.rows(section) == 0 {
                if extent != 0 {
                    return self.refuse(section, format!("no rows, but block row {block} has {extent} there"));
                }
                continue;
            }
            let ends = &self.column::<u32>(section)[first..end];
            if let Some(row) = ends.windows(2).position(|pair| pair[0] > pair[1]) {
                return self.refuse_row(section, first + row + 1, "ends before the row before it");
            }
            if ends.last().is_none_or(|&end| u64::from(end) != extent) {
                return self.refuse_row(section, end - 1, format!("does not end with its block, at {extent}"));
            }
        }
        let mut unpacked = 0;
        let signed_rows = if self.is_moves_only() { first..first } else { first..end };
        for row in signed_rows {
            self.check_row(row, block, row == first || row + 1 == end, row + 1 == end, &mut unpacked)?;
        }
        let authorities = from.authorities_at as usize..to.authorities_at as usize;
        let start = authorities.start;
        if let Some(i) = self.column::<u32>(S::Authorities)[authorities].iter().position(|&a| !self.is_address(a)) {
            return self.refuse_row(S::Authorities, start + i, "address beyond the table");
        }
        self.check_moves(from.move_first as usize..to.move_first as usize, segment)
    }

    fn is_address(&self, number: u32) -> bool {
        number == NOBODY || u64::from(number) < self.rows(S::Addresses)
    }

    fn check_row(
        &self,
        row: usize,
        block: usize,
        is_system: bool,
        is_closing: bool,
        unpacked: &mut usize,
    ) -> Result<()> {
        let sender = self.row_sender(row);
        if !self.is_address(sender) {
            return self.refuse_row(S::RowSenders, row, format!("address {sender}: beyond the table"));
        }
        let code = self.row_status(row);
        let (status, is_packed) = (code & !STATUS_PACKED, code & STATUS_PACKED != 0);
        if status > STATUS_ROOT_UNKNOWN || is_packed && status == STATUS_NONE {
            return self.refuse_row(S::RowStatus, row, format!("unknown status {code}"));
        }
        if status == STATUS_NONE && self.row_gas(row) != 0 {
            return self.refuse_row(S::RowGas, row, "gas used without outcome");
        }
        let parts = self.row_parts(block, row);
        if is_system
            && (!parts.bytes.is_empty() || !parts.authorities.is_empty() || sender != NOBODY || status != STATUS_NONE)
        {
            let reason = "a system transaction has bytes, sender, authorities or outcome";
            return self.refuse_row(S::RowStatus, row, reason);
        }
        let bytes = parts.receipt;
        if is_packed {
            let Some((_, logs)) = bytes.split_at_checked(if status == STATUS_ROOT { 32 } else { 0 }) else {
                return self.refuse_row(S::RowReceipts, row, "no post-state root");
            };
            let plain = match zero_runs::unpack(logs, UNPACKED_BOUND - *unpacked) {
                Ok(plain) if plain.len() > logs.len() => plain,
                Ok(_) => return self.refuse_row(S::RowReceipts, row, "packed, though that makes them no shorter"),
                Err(reason) => return self.refuse_row(S::RowReceipts, row, reason),
            };
            *unpacked += plain.len();
            let list = check_short_list(&plain, Items::Lists);
            return list.or_else(|reason| self.refuse_row(S::RowReceipts, row, reason));
        }
        let list = match (status, is_closing) {
            (STATUS_NONE, true) => check_short_list(bytes, Items::Strings),
            (STATUS_NONE, false) if bytes.is_empty() => Ok(()),
            (STATUS_NONE, false) => Err("receipt bytes without outcome"),
            (STATUS_ROOT, _) if bytes.len() < 32 => Err("no post-state root"),
            (STATUS_ROOT, _) => check_short_list(&bytes[32..], Items::Lists),
            _ => check_short_list(bytes, Items::Lists),
        };
        list.or_else(|reason| self.refuse_row(S::RowReceipts, row, reason))
    }

    fn check_moves(&self, moves: std::ops::Range<usize>, segment: &SegmentRow) -> Result<()> {
        let start = moves.start;
        let blocks = self.block_rows();
        let (cell_count, value_count) = (self.cell_count(), self.value_count());
        // Words of `s` and `h` cells are encoded alike: one mark stands for both.
        let account_count = self.rows(S::AccountCells) as u32;
        let foreign = self.foreign_rows();
        let foreign_count = foreign.len() as u32;
        let segment_blocks = segment.blocks();
        let row_first = blocks[segment_blocks.start].row_first;
        let row_count = blocks[segment_blocks.end].row_first - row_first;
        let cells = &self.cells()[moves.clone()];
        let flags = &self.flags()[moves.clone()];
        let intx = &self.intx()[moves.clone()];
        let (prev, next) = (&self.prev()[moves.clone()], &self.next()[moves]);
        let rows = cells.iter().zip(flags).zip(intx).zip(prev.iter().zip(next)).enumerate();
        for (i, (((&cell, &flags), &intx), (&prev, &next))) in rows {
            if cell >= cell_count {
                return self.refuse_row(S::MoveCells, start + i, format!("cell {cell} of {cell_count}"));
            }
            if flags & !FLAG_WRITE != 0 {
                return self.refuse_row(S::MoveFlags, start + i, "reserved bits are not zero");
            }
            if intx >= foreign_count {
                if (intx - foreign_count).wrapping_sub(row_first) >= row_count {
                    let reason = format!("row {} is not of the move's segment", intx - foreign_count);
                    return self.refuse_row(S::MoveIntx, start + i, reason);
                }
            } else if intx != INTX_VIRGIN {
                let reason = self.foreign_fault(&foreign[intx as usize], segment);
                if let Some(reason) = reason {
                    return self.refuse_row(S::MoveIntx, start + i, reason);
                }
            }
            if prev >= value_count || next >= value_count {
                let (section, got) = if prev >= value_count { (S::MovePrev, prev) } else { (S::MoveNext, next) };
                // A read has no next: its column holds 0, which is a value, as its prev is one.
                return self.refuse_row(section, start + i, format!("value {got} of {value_count}"));
            }
            let mark = if cell < account_count { Mark::Account } else { Mark::Storage };
            self.check_value(mark, prev, S::MovePrev, start + i)?;
            if flags & FLAG_WRITE != 0 {
                self.check_value(mark, next, S::MoveNext, start + i)?;
            } else if next != 0 {
                return self.refuse_row(S::MoveNext, start + i, "a read has a next");
            }
        }
        Ok(())
    }

    fn foreign_fault(&self, version: &ForeignRow, segment: &SegmentRow) -> Option<&'static str> {
        if version.kind != ForeignRow::AT {
            return (segment.first == 0).then_some("base or assumed in a segment from genesis");
        }
        let row = segment.row_at(Location::from_bits(version.value), |block| self.block_rows()[block].row_first);
        row.map(|_| "a foreign version for a row of the move's own segment")
    }

    /// Checks a value once for accounts and once for words: the second use of a value costs a bit, not a cache line.
    #[inline]
    fn check_value(&self, mark: Mark, number: u32, section: S, row: usize) -> Result<()> {
        let checked = self.checked_values(mark);
        if checked.is_set(number as usize) {
            return Ok(());
        }
        let span = self.value_span(number);
        self.verify_bytes(S::ValueBytes, span.clone())?;
        let bytes = &self.bytes(S::ValueBytes)[span.start as usize..span.end as usize];
        if let Err(reason) = value::check(mark, bytes, self.code_count()) {
            return self.refuse_row(section, row, format!("value {number}: {reason}"));
        }
        checked.set(number as usize);
        Ok(())
    }
}

//! ere files (`.ere`, earlier `.erae`): e2store entries with up to 8,192 blocks, before and after the merge.
//!
//! Version, then entries of headers, bodies, slim receipts, proofs and total difficulties, then perhaps an accumulator,
//! then the component index, which says where each block's entries are. The specification puts all headers first, then
//! all bodies, and so on; writers are known that put a block's entries together. Either is read: what counts is that
//! the k-th entry of a type is the k-th block's, and that the index says so. Receipts, proofs, total difficulties and
//! the accumulator may be missing; total difficulties and accumulator are of files that begin before the merge.
//! Other entries are passed over, and so are proofs, which prove blocks against the beacon chain; the hash chain from
//! genesis on proves them here.
//! Checked: bounds of all entries and all offsets of the index before the first block is handed out; numbers in headers
//! against the index; the accumulator against hashes and total difficulties of the blocks before the merge; a standard
//! name. Slim receipts, `[type, post-state or status, cumulative gas, logs]`, are full ones without the bloom; only
//! post-state roots are taken.
//! Source: the ere specification (eth-clients/e2store-format-specs `formats/ere.md`).

use super::e2store::{
    ACCUMULATOR, Accumulator, BLOCK_INDEX, BLOCKS_MAX, BODY, COMPONENT_INDEX, ENTRY_HEADER_BYTES, EntryFile, HEADER,
    Layout, PROOF, SLIM_RECEIPTS, TOTAL_DIFFICULTY, Tail, VERSION, check_name,
};
use super::order::Extent;
use super::{SourceBlock, split};
use crate::error::Result;
use alloy_primitives::Bytes;
use std::path::Path;

/// Bytes read ahead: entries of a block lie far apart, and most are small.
const BUFFER_BYTES: usize = 1 << 12;
/// Bytes of the accumulator's entry, which ends where the index starts.
const ACCUMULATOR_ENTRY_BYTES: u64 = ENTRY_HEADER_BYTES + 32;

/// Types of the entries that an index may point to, by name.
const COMPONENTS: [(u16, &str); 5] = [
    (HEADER, "header"),
    (BODY, "body"),
    (SLIM_RECEIPTS, "slim receipts"),
    (TOTAL_DIFFICULTY, "total difficulty"),
    (PROOF, "proof"),
];
const HEADERS: usize = 0;
const BODIES: usize = 1;
const RECEIPTS: usize = 2;
const DIFFICULTIES: usize = 3;
const PROOFS: usize = 4;

/// Reader of one ere file.
#[derive(Debug)]
pub struct Ere {
    file: EntryFile,
    tail: Tail,
    /// Component in each column of the index.
    columns: Vec<usize>,
    /// Where each component's entries start, block by block; `None` until the file was gone through.
    starts: Option<[Vec<u64>; COMPONENTS.len()]>,
    /// Row of the next block.
    row: u64,
    computed: Accumulator,
}

impl Ere {
    /// Opens a file, reads its version entry and the component index at its end.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = EntryFile::open(path, BUFFER_BYTES)?;
        let tail = Tail::read(&mut file)?;
        if tail.layout != Layout::Ere {
            return Err(tail.malformed(&file, "got a block index, that of an era1 file, expected that of an ere file"));
        }
        let columns = columns(&mut file, &tail)?;
        check_name(&mut file, &tail)?;
        Ok(Self { file, tail, columns, starts: None, row: 0, computed: Accumulator::default() })
    }

    /// What the index says of the file, with the headers of its first and last block.
    pub(super) fn extent(&mut self) -> Result<Extent> {
        self.tail.extent(&mut self.file, self.columns.contains(&RECEIPTS))
    }

    /// Bytes read so far, as far as that can be said of columns that are read side by side.
    pub(super) fn offset(&self) -> u64 {
        (u128::from(self.file.length) * u128::from(self.row) / u128::from(self.tail.count.max(1))) as u64
    }

    /// The next block, `None` after the last. Its number is the one in its header.
    pub fn next_block(&mut self) -> Result<Option<SourceBlock>> {
        if self.starts.is_none() {
            let starts = self.go_through()?;
            self.check_index(&starts)?;
            self.starts = Some(starts);
        }
        if self.row == self.tail.count {
            return self.check_accumulator().map(|()| None);
        }
        self.file.block = Some(self.row);
        let header = self.unpacked(HEADERS)?.unwrap_or_default();
        let body = self.unpacked(BODIES)?.unwrap_or_default();
        let mut block = split::header_and_body(&header, &body).map_err(|e| self.file.malformed(e))?;
        self.tail.check_number(&self.file, self.row, block.header.number)?;
        if let Some(receipts) = self.unpacked(RECEIPTS)? {
            block.witness_roots =
                split::slim_witness_roots(&receipts, block.transactions.len()).map_err(|e| self.file.malformed(e))?;
        }
        if let Some(length) = self.entry(DIFFICULTIES)? {
            let total_difficulty = self.file.total_difficulty(length)?;
            block.total_difficulty = Some(total_difficulty);
            // After the merge the last one is repeated, and the accumulator takes no more blocks.
            if !block.header.difficulty.is_zero() {
                self.computed.push(block.hash, total_difficulty);
            }
        }
        self.row += 1;
        Ok(Some(block))
    }

    /// Goes to the next block's entry of a component; its length, `None` if the file is without.
    fn entry(&mut self, component: usize) -> Result<Option<u64>> {
        let start = self.starts.as_ref().and_then(|starts| starts[component].get(self.row as usize));
        let Some(start) = start else { return Ok(None) };
        self.file.seek(*start)?;
        self.file.expect(COMPONENTS[component].0).map(Some)
    }

    fn unpacked(&mut self, component: usize) -> Result<Option<Bytes>> {
        match self.entry(component)? {
            Some(length) => self.file.unpack(length).map(Some),
            None => Ok(None),
        }
    }

    /// Finds all entries before the index.
    fn go_through(&mut self) -> Result<[Vec<u64>; COMPONENTS.len()]> {
        let (file, tail) = (&mut self.file, &self.tail);
        let mut starts: [Vec<u64>; COMPONENTS.len()] = Default::default();
        file.block = None;
        file.seek(ENTRY_HEADER_BYTES)?;
        while file.offset < tail.start {
            let (kind, length) = file.next_entry()?;
            let end = file.offset + length;
            if end > tail.start {
                let reason = format!("entry {kind:#06x} ends at byte {end}, the index starts at {}", tail.start);
                return Err(file.malformed(reason));
            }
            match kind {
                VERSION | BLOCK_INDEX | COMPONENT_INDEX => {
                    return Err(file.malformed(format!("got entry {kind:#06x}, expected blocks up to the index")));
                }
                ACCUMULATOR if file.entry + ACCUMULATOR_ENTRY_BYTES != tail.start || length != 32 => {
                    let reason = format!("accumulator: got {length} bytes, expected 32, right before the index");
                    return Err(file.malformed(reason));
                }
                _ => {}
            }
            if let Some(component) = COMPONENTS.iter().position(|(of, _)| *of == kind) {
                let starts = &mut starts[component];
                if starts.len() == BLOCKS_MAX {
                    return Err(file.malformed(format!("got more than {BLOCKS_MAX} entries {kind:#06x}")));
                }
                starts.push(file.entry);
            }
            file.skip(length)?;
        }
        Ok(starts)
    }

    /// Every offset of the index must lead to the entry that is that block's by its order, and every entry must have
    /// its offset.
    fn check_index(&self, starts: &[Vec<u64>; COMPONENTS.len()]) -> Result<()> {
        let (file, tail) = (&self.file, &self.tail);
        for (component, ((kind, name), starts)) in COMPONENTS.iter().zip(starts).enumerate() {
            let Some(column) = self.columns.iter().position(|of| *of == component) else {
                if let Some(start) = starts.first() {
                    let reason = format!("got no column for {name}, expected one of entry {kind:#06x} at byte {start}");
                    return Err(tail.malformed(file, reason));
                }
                continue;
            };
            let mut entries = starts.iter();
            for row in 0..tail.count {
                // Blocks may be without proof.
                if component == PROOFS && tail.offset(row, column) == 0 {
                    continue;
                }
                let got = tail.offset(row, column);
                let Some(start) = entries.next() else {
                    let (count, expected) = (starts.len(), tail.count);
                    let reason = format!("row {row}: got offset {got} of {name}, the file has {count} of {expected}");
                    return Err(tail.malformed(file, reason));
                };
                let expected = start.wrapping_sub(tail.start) as i64;
                if got != expected {
                    let reason = format!("row {row}: got offset {got} of {name}, expected {expected}");
                    return Err(tail.malformed(file, reason));
                }
            }
            if let Some(start) = entries.next() {
                let reason = format!("got count {}, expected one for {name} at byte {start} too", tail.count);
                return Err(tail.malformed(file, reason));
            }
        }
        Ok(())
    }

    fn check_accumulator(&mut self) -> Result<()> {
        let Some(stated) = self.tail.accumulator else { return Ok(()) };
        let (computed, blocks) = (self.computed.root(), self.computed.blocks());
        if stated == computed {
            return Ok(());
        }
        self.file.entry = self.tail.start - ACCUMULATOR_ENTRY_BYTES;
        self.file.block = None;
        let reason = format!(
            "accumulator: got {stated}, expected {computed} of hashes and total difficulties of the {blocks} blocks with \
             a difficulty"
        );
        Err(self.file.malformed(reason))
    }
}

/// Component in each column of the index, by the type of the entry that the first block's offset leads to.
fn columns(file: &mut EntryFile, tail: &Tail) -> Result<Vec<usize>> {
    let mut columns = Vec::with_capacity(tail.columns);
    for column in 0..tail.columns {
        let offset = tail.offset(0, column);
        let kind = tail.kind(file, 0, column)?;
        let found = match kind {
            // What need not be there of every block is only a proof.
            _ if offset == 0 => Some(PROOFS),
            kind => COMPONENTS.iter().position(|(of, _)| Some(*of) == kind),
        };
        let Some(component) = found else {
            let kind = kind.map_or("no entry".into(), |kind| format!("entry {kind:#06x}"));
            let reason = format!("row 0: got offset {offset}: got {kind}, expected a component of the block");
            return Err(tail.malformed(file, reason));
        };
        if columns.contains(&component) {
            let name = COMPONENTS[component].1;
            return Err(tail.malformed(file, format!("row 0: got a second offset {offset} of {name}, expected one")));
        }
        columns.push(component);
    }
    for component in [HEADERS, BODIES] {
        if !columns.contains(&component) {
            let name = COMPONENTS[component].1;
            return Err(tail.malformed(file, format!("got no column for {name}, expected one")));
        }
    }
    if tail.accumulator.is_some() && !columns.contains(&DIFFICULTIES) {
        // The specification does not rule it out; no writer is known.
        let reason = "got an accumulator and no total difficulties, without which it cannot be checked";
        return Err(tail.malformed(file, reason));
    }
    Ok(columns)
}

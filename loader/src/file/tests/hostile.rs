//! Damage and lies: every length, every bit, and columns changed under right checksums. All end in an error that names
//! its place.

use super::super::layout::*;
use super::super::{BlockFile, Writer};
use super::records::*;
use super::{VERSIONS, write_chain};
use crate::model::*;
use crate::{Error, Result};
use alloy_primitives::U256;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

/// Opens and looks at everything.
fn read_all(path: &Path) -> Result<()> {
    let file = BlockFile::open(path)?;
    file.verify_all()?;
    for block in 0..file.block_count() {
        file.record(block)?;
    }
    (0..file.code_count() as u32).try_for_each(|number| file.code(number).map(|_| ()))
}

fn refusal(path: &Path, bytes: &[u8]) -> Option<String> {
    std::fs::write(path, bytes).unwrap();
    match read_all(path) {
        Ok(()) => None,
        Err(Error::Malformed { place, reason, .. }) => Some(format!("{place}: {reason}")),
        Err(other) => panic!("{other}"),
    }
}

/// A small file that has every section, and the folder it is in.
fn sample_file() -> (TempDir, std::path::PathBuf, Vec<u8>) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.mana");
    write_chain(&path, &sample()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    (folder, path, bytes)
}

#[test]
fn every_truncation_is_an_error() {
    let (_folder, path, bytes) = sample_file();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    for length in (0..bytes.len()).rev() {
        file.set_len(length as u64).unwrap();
        assert!(read_all(&path).is_err(), "cut to {length} of {}", bytes.len());
    }
    let longer = [&bytes[..], &[0]].concat();
    let expected =
        format!("offset 16: trailing bytes: the file has {} bytes, its header says {}", longer.len(), bytes.len());
    assert_eq!(refusal(&path, &longer), Some(expected));
    assert_eq!(refusal(&path, &bytes), None);
}

#[test]
fn every_flipped_bit_is_an_error() {
    let (_folder, path, bytes) = sample_file();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    for (at, &byte) in bytes.iter().enumerate() {
        for bit in 0..8 {
            file.write_all_at(&[byte ^ 1 << bit], at as u64).unwrap();
            assert!(read_all(&path).is_err(), "bit {bit} of byte {at}");
        }
        file.write_all_at(&[byte], at as u64).unwrap();
    }
    read_all(&path).unwrap();
}

/// Every bit of the data area, with checksums made right again: an error or another file, never a panic; padding and
/// reserved fields are always an error.
#[test]
fn every_flipped_bit_under_right_checksums_is_refused_or_read() {
    let (_folder, path, mut bytes) = sample_file();
    let layout = Header::parse(&bytes[..HEADER_BYTES], bytes.len() as u64).unwrap().layout;
    let is_section = |at: usize| layout.sections.iter().any(|section| section.contains(&(at as u64)));
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    let (mut refused, mut read) = (0, 0);
    for bit in 8 * HEADER_BYTES..8 * bytes.len() {
        let at = bit / 8;
        if (layout.page_table.contains(&(at as u64))) || bit % 8 % 3 != 0 {
            continue;
        }
        bytes[at] ^= 1 << (bit % 8);
        let sealed = reseal(&bytes);
        file.write_all_at(&sealed, 0).unwrap();
        match read_all(&path) {
            Err(_) => refused += 1,
            Ok(()) => {
                assert!(is_section(at), "padding at {at}");
                read += 1;
            }
        }
        bytes[at] ^= 1 << (bit % 8);
    }
    assert!(refused > 1000 && read > 1000, "{refused} refused, {read} read");
}

/// Makes the checksums right: pages, page table, header. Lengths stay as they are.
fn reseal(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let header: [u8; HEADER_BYTES] = std::array::from_fn(|i| bytes[i]);
    let layout = Header::parse(&header, bytes.len() as u64).unwrap().layout;
    let table: Vec<u8> =
        bytes[layout.data.start as usize..].chunks(PAGE_BYTES).flat_map(|page| xxh3_64(page).to_le_bytes()).collect();
    out[layout.page_table.start as usize..layout.page_table.end as usize].copy_from_slice(&table);
    let header = Header { versions: VERSIONS.into(), layout, page_table_checksum: xxh3_64(&table) };
    out[..HEADER_BYTES].copy_from_slice(&header.to_bytes());
    out
}

/// A file taken apart into sections, to be changed and put together again under right checksums.
pub struct Parts(Vec<Vec<u8>>);

impl Parts {
    fn new(bytes: &[u8]) -> Self {
        let layout = Header::parse(&bytes[..HEADER_BYTES], bytes.len() as u64).unwrap().layout;
        let part = |range: &Range<u64>| bytes[range.start as usize..range.end as usize].to_vec();
        Self(layout.sections.iter().map(part).collect())
    }

    pub fn part(&mut self, section: Section) -> &mut Vec<u8> {
        &mut self.0[section as usize]
    }

    pub fn row(&mut self, section: Section, row: usize) -> &mut [u8] {
        let stride = SECTIONS[section as usize].2 as usize;
        &mut self.0[section as usize][row * stride..(row + 1) * stride]
    }

    pub fn set_u32(&mut self, section: Section, row: usize, field: usize, value: u32) {
        self.row(section, row)[field..field + 4].copy_from_slice(&value.to_le_bytes());
    }

    fn to_bytes(&self) -> Vec<u8> {
        let layout = Layout::new(&std::array::from_fn(|i| self.0[i].len() as u64)).unwrap();
        let mut out = vec![0; layout.data.end as usize];
        for (range, part) in layout.sections.iter().zip(&self.0) {
            out[range.start as usize..range.end as usize].copy_from_slice(part);
        }
        let header = Header { versions: VERSIONS.into(), layout, page_table_checksum: 0 };
        out[..HEADER_BYTES].copy_from_slice(&header.to_bytes());
        reseal(&out)
    }
}

pub fn lie(change: impl FnOnce(&mut Parts)) -> String {
    lie_about(&sample(), change)
}

/// How the file of a chain is refused after a change, if it is.
pub fn lie_about(chain: &Chain, change: impl FnOnce(&mut Parts)) -> String {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.mana");
    write_chain(&path, chain).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let mut parts = Parts::new(&bytes);
    assert_eq!(parts.to_bytes(), bytes);
    change(&mut parts);
    refusal(&path, &parts.to_bytes()).unwrap_or_else(|| "accepted".into())
}

/// How the refusal begins, and the change that earns it.
pub type Lie = (&'static str, Box<dyn FnOnce(&mut Parts)>);

pub fn check_lies(cases: Vec<Lie>) {
    let wrong: Vec<String> = cases
        .into_iter()
        .map(|(expected, change)| (expected, lie(change)))
        .filter(|(expected, got)| !got.starts_with(expected))
        .map(|(expected, got)| format!("\nexpected {expected}\n     got {got}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.concat());
}

#[test]
fn tables_that_lie_are_refused_with_section_and_row() {
    use Section as S;
    let cases: Vec<Lie> = vec![
        ("rules: ", Box::new(|p| p.part(S::Rules).push(b' '))),
        (
            "section segments, row 1: 1 blocks from 4; expected some from 3",
            Box::new(|p| p.set_u32(S::Segments, 1, 48, 4)),
        ),
        ("section segments, row 0: 0 blocks from 0", Box::new(|p| p.set_u32(S::Segments, 0, 52, 0))),
        ("section segments, row 0: 9 earlier headers", Box::new(|p| p.set_u32(S::Segments, 0, 60, 9))),
        ("section segments, row 0: first block 10, origin 11", Box::new(|p| p.set_u32(S::Segments, 0, 8, 11))),
        ("section segments, row 0: first block", Box::new(|p| p.set_u32(S::Segments, 0, 4, u32::MAX))),
        ("section segments, row 1: reserved bits", Box::new(|p| p.set_u32(S::Segments, 1, 16, 1))),
        ("section segments, row 0: reserved bits", Box::new(|p| p.set_u32(S::Segments, 0, 76, 1))),
        ("section segments, row 0: reserved bits", Box::new(|p| p.set_u32(S::Segments, 0, 64, 2))),
        ("section segments: the segments have", Box::new(|p| p.set_u32(S::Segments, 2, 52, 2))),
        ("section segments: the segments have", Box::new(|p| p.part(S::Segments).truncate(160))),
        ("section earlier-rows, row 1: ends beyond bytes", Box::new(|p| p.set_u32(S::EarlierRows, 1, 4, 3))),
        ("section earlier-rows, row 0: ends beyond bytes", Box::new(|p| p.set_u32(S::EarlierRows, 0, 0, 1 << 31))),
        ("section earlier-rows, row 0: ", Box::new(|p| p.set_u32(S::EarlierRows, 0, 0, 1))),
        ("section earlier-bytes: 1 bytes too many", Box::new(|p| p.part(S::EarlierBytes).push(0))),
        ("section blocks: 1 rows", Box::new(|p| p.part(S::Blocks).truncate(64))),
        ("section blocks: 0 rows", Box::new(|p| p.part(S::Blocks).clear())),
        ("section blocks, row 0: positions are not zero", Box::new(|p| p.set_u32(S::Blocks, 0, 0, 1))),
        ("section blocks, row 2: positions do not ascend", Box::new(|p| p.set_u32(S::Blocks, 1, 4, 1))),
        ("section blocks, row 0: 1 transactions", Box::new(|p| p.set_u32(S::Blocks, 1, 40, 1))),
        ("section blocks, row 0: reserved bits", Box::new(|p| p.set_u32(S::Blocks, 0, 52, 4))),
        ("section blocks, row 0: reserved bits", Box::new(|p| p.set_u32(S::Blocks, 0, 56, 1))),
        ("section blocks, row 0: header and ommers have", Box::new(|p| p.set_u32(S::Blocks, 0, 44, 1 << 20))),
        ("section blocks, row 2: header and ommers have", Box::new(|p| p.set_u32(S::Blocks, 2, 48, 0))),
        ("section blocks, row 5: not the end of all columns", Box::new(|p| p.set_u32(S::Blocks, 5, 40, 99))),
        ("section blocks, row 5: not the end of all columns", Box::new(|p| p.set_u32(S::Blocks, 5, 44, 1))),
        ("section addresses, row 1: not above the row before it", Box::new(|p| p.row(S::Addresses, 1).fill(1))),
        ("section slots, row 1: not above the row before it", Box::new(|p| p.row(S::Slots, 1).fill(0))),
        ("section spaces, row 1: not above the row before it", Box::new(|p| p.set_u32(S::Spaces, 1, 4, 0))),
        ("section spaces, row 1: address 99 of 6", Box::new(|p| p.set_u32(S::Spaces, 1, 0, 99))),
        ("section account-cells, row 1: not above", Box::new(|p| p.set_u32(S::AccountCells, 1, 0, 0))),
        ("section account-cells, row 3: address 99 of 6", Box::new(|p| p.set_u32(S::AccountCells, 3, 0, 99))),
        ("section storage-cells, row 1: not above", Box::new(|p| p.set_u32(S::StorageCells, 0, 0, 9))),
        ("section storage-cells, row 0: space 0 of 2, slot 9 of 2", Box::new(|p| p.set_u32(S::StorageCells, 0, 4, 9))),
        ("section storage-cells, row 1: space 9 of 2, slot 0 of 2", Box::new(|p| p.set_u32(S::StorageCells, 1, 0, 9))),
        ("section hash-cells, row 1: not above", Box::new(|p| p.set_u32(S::HashCells, 0, 0, 10))),
        ("section foreign: does not begin", Box::new(|p| p.set_u32(S::Foreign, 0, 8, 1))),
        ("section foreign: does not begin", Box::new(|p| p.part(S::Foreign).truncate(16))),
        ("section foreign, row 3: not above", Box::new(|p| p.set_u32(S::Foreign, 3, 0, 1))),
        ("section foreign, row 4: unknown version", Box::new(|p| p.set_u32(S::Foreign, 4, 0, 4))),
        ("section foreign, row 2: unknown version", Box::new(|p| p.set_u32(S::Foreign, 2, 12, 1 << 8))),
        ("section code-hashes, row 1: the hash of row 0", Box::new(|p| p.row(S::CodeHashes, 1).fill(1))),
        (
            "section code-hashes, row 0: the hash of no code",
            Box::new(|p| p.row(S::CodeHashes, 0).copy_from_slice(alloy_primitives::KECCAK256_EMPTY.as_slice())),
        ),
        ("section code-ends: 1 rows, expected 2", Box::new(|p| p.part(S::CodeEnds).truncate(8))),
        ("section code-ends, row 0: ends at 1, the row before it at 0", Box::new(|p| p.row(S::CodeEnds, 0)[0] = 1)),
        ("section code-ends: end at 9 of 8 bytes", Box::new(|p| p.row(S::CodeEnds, 1)[0] = 9)),
        ("section value-anchors, row 0: 1, expected 0", Box::new(|p| p.row(S::ValueAnchors, 0)[0] = 1)),
        ("section value-lengths: in rows from 0: beyond 49", Box::new(|p| p.row(S::ValueLengths, 0)[0] = 50)),
        ("section value-lengths: add up to", Box::new(|p| p.part(S::ValueBytes).push(1))),
        ("section value-anchors: 0 rows, expected 1", Box::new(|p| p.part(S::ValueAnchors).clear())),
        ("section row-gas: 0 rows, expected 14", Box::new(|p| p.part(S::RowGas).clear())),
        ("section move-next: 13 rows, expected 28", Box::new(|p| p.part(S::MoveNext).truncate(52))),
        ("section signer-keys: 13 rows for 12 signatures", Box::new(|p| p.part(S::SignerKeys).resize(13 * 64, 0))),
        ("section signature-r: 11 rows, expected 12 or none", Box::new(|p| p.part(S::SignatureR).truncate(11 * 32))),
        ("section signature-r: 13 rows, expected 12 or none", Box::new(|p| p.part(S::SignatureR).resize(13 * 32, 0))),
        ("section move-mask: 1 rows, expected 28", Box::new(|p| p.part(S::MoveMask).truncate(4))),
    ];
    check_lies(cases);
}

#[test]
fn blocks_that_lie_are_refused_with_section_and_row() {
    use Section as S;
    let cases: Vec<Lie> = vec![
        ("block 10, header: ", Box::new(|p| p.part(S::BodyBytes)[0] = 0x80)),
        ("block 10, ommers: ", Box::new(|p| p.set_u32(S::Blocks, 0, 52, 2))),
        ("block 10, withdrawals: ", Box::new(|p| p.part(S::BodyBytes)[4 + 64] = 0xc1)),
        ("section row-moves, row 1: ends before", Box::new(|p| p.set_u32(S::RowMoves, 0, 0, 99))),
        (
            "section row-moves, row 3: does not end with its block, at 14",
            Box::new(|p| p.set_u32(S::RowMoves, 3, 0, 99)),
        ),
        ("section row-bytes, row 3: does not end", Box::new(|p| p.set_u32(S::RowBytes, 3, 0, 9))),
        ("section row-receipts, row 3: does not end", Box::new(|p| p.set_u32(S::RowReceipts, 3, 0, 1 << 30))),
        ("section row-authorities, row 3: does not end", Box::new(|p| p.set_u32(S::RowAuthorities, 3, 0, 5))),
        ("section row-senders, row 1: address 6: beyond", Box::new(|p| p.set_u32(S::RowSenders, 1, 0, 6))),
        ("section row-status, row 1: unknown status 5", Box::new(|p| p.row(S::RowStatus, 1)[0] = 5)),
        ("section row-status, row 0: a system transaction", Box::new(|p| p.row(S::RowStatus, 0)[0] = 2)),
        ("section row-status, row 3: a system transaction", Box::new(|p| p.set_u32(S::RowSenders, 3, 0, 1))),
        ("section row-status, row 0: a system transaction", Box::new(|p| p.set_u32(S::RowBytes, 0, 0, 1))),
        ("section row-gas, row 0: gas used without outcome", Box::new(|p| p.row(S::RowGas, 0)[0] = 1)),
        ("section row-receipts, row 0: receipt bytes without", Box::new(|p| p.set_u32(S::RowReceipts, 0, 0, 1))),
        ("section row-receipts, row 1: no post-state root", Box::new(|p| p.set_u32(S::RowReceipts, 1, 0, 1))),
        ("section row-receipts, row 1: ", Box::new(|p| p.part(S::ReceiptBytes)[32] = 0xc1)),
        ("section row-receipts, row 2: not well-formed RLP", Box::new(|p| p.set_u32(S::RowReceipts, 2, 0, 33 + 64))),
        ("section authorities, row 1: address beyond the table", Box::new(|p| p.set_u32(S::Authorities, 1, 0, 6))),
        ("section move-cells, row 2: cell 8 of 8", Box::new(|p| p.set_u32(S::MoveCells, 2, 0, 8))),
        ("section move-flags, row 2: reserved bits", Box::new(|p| p.row(S::MoveFlags, 2)[0] = 2)),
        ("section move-intx, row 2: row 10 is not of", Box::new(|p| p.set_u32(S::MoveIntx, 2, 0, 5 + 10))),
        ("section move-intx, row 2: row 4294967290 is not of", Box::new(|p| p.set_u32(S::MoveIntx, 2, 0, u32::MAX))),
        (
            "section move-intx, row 5: a foreign version for a row of the move's own segment",
            Box::new(|p| p.set_u32(S::Foreign, 4, 8, 10 << 24 | 3)),
        ),
        ("section move-prev, row 1: value 99 of", Box::new(|p| p.set_u32(S::MovePrev, 1, 0, 99))),
        ("section move-next, row 1: value 99 of", Box::new(|p| p.set_u32(S::MoveNext, 1, 0, 99))),
        ("section move-next, row 0: a read has a next", Box::new(|p| p.set_u32(S::MoveNext, 0, 0, 1))),
        ("section move-prev, row 0: value 0: flags have unknown bits", Box::new(|p| p.part(S::ValueBytes)[0] = 0xff)),
        (
            "section move-prev, row 4: value 0: a number has leading zeros",
            Box::new(|p| p.set_u32(S::MovePrev, 4, 0, 0)),
        ),
    ];
    check_lies(cases);
}

#[test]
fn base_and_assumed_are_malformed_from_genesis() {
    // The same move is well-formed in a segment from block 1 on, which a lie then moves to block 0.
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.mana");
    let mut block = empty_block();
    block.transactions[0].moves = vec![read(Cell::account(addr(1)), Version::Assumed, account(0, None, 0))];
    let chain = Chain { segments: vec![(segment(1, 0), vec![block])], codes: Vec::new(), keys: Vec::new() };
    write_chain(&path, &chain).unwrap();
    let mut parts = Parts::new(&std::fs::read(&path).unwrap());
    parts.set_u32(Section::Segments, 0, 0, 0);
    let expected = "section move-intx, row 0: base or assumed in a segment from genesis";
    assert_eq!(refusal(&path, &parts.to_bytes()).as_deref(), Some(expected));
}

/// Puts a changed header under a right checksum.
fn header_lie(change: impl FnOnce(&mut [u8])) -> String {
    let (_folder, path, mut bytes) = sample_file();
    change(&mut bytes);
    let mut header: [u8; HEADER_BYTES] = std::array::from_fn(|i| bytes[i]);
    seal(&mut header);
    bytes[..HEADER_BYTES].copy_from_slice(&header);
    refusal(&path, &bytes).unwrap_or_else(|| "accepted".into())
}

/// Found by flipping the lowest bit of the table's length: the value more begins and ends in the gap of zeros after it.
#[test]
fn a_table_of_values_that_goes_on_in_the_zeros_after_it_is_refused() {
    let got = lie(|p| {
        let end = p.part(Section::ValueBytes).len() as u64;
        if p.part(Section::ValueLengths).len().is_multiple_of(ANCHOR_ROWS) {
            p.part(Section::ValueAnchors).extend(end.to_le_bytes());
        }
        p.part(Section::ValueLengths).push(0);
    });
    assert!(got.starts_with("section value-lengths, row ") && got.ends_with(": a value that no move names"), "{got}");
}

/// Nothing looks at what nothing names: such rows would be other files with the same claim.
#[test]
fn what_nothing_names_is_refused() {
    let moves = |p: &mut Parts| p.part(Section::MoveCells).len();
    assert_eq!(lie(|p| p.part(Section::MoveMask).clear()), "accepted", "the sample");
    let got = lie(|p| {
        let bytes = moves(p);
        p.part(Section::MoveMask).resize(bytes, 0);
        p.part(Section::MoveMask).fill(0);
    });
    assert_eq!(got, "section move-mask: all zero, expected no rows");
    let space = |p: &mut Parts| {
        let last = p.part(Section::Spaces).len() - 8;
        p.part(Section::Spaces)[last..last + 4].to_vec()
    };
    // Codes from their number on are rows.
    let version = |p: &mut Parts| {
        let count = (p.part(Section::Foreign).len() / 16) as u32;
        for code in p.part(Section::MoveIntx).chunks_exact_mut(4) {
            let number = u32::from_le_bytes([code[0], code[1], code[2], code[3]]);
            code.copy_from_slice(&(number + u32::from(number >= count)).to_le_bytes());
        }
        [ForeignRow::AT, u64::MAX].map(u64::to_le_bytes).concat()
    };
    type More<'a> = Box<dyn Fn(&mut Parts) -> Vec<u8> + 'a>;
    let more: [(Section, &str, More<'_>); 4] = [
        (Section::Addresses, "an address that nobody has", Box::new(|_| vec![0xff; 20])),
        (Section::Spaces, "a space that no cell is in", Box::new(|p| [space(p), vec![0xff; 4]].concat())),
        (Section::HashCells, "a cell that no move names", Box::new(|_| vec![0xff; 8])),
        (Section::Foreign, "a version that no move names", Box::new(version)),
    ];
    for (section, reason, row) in more {
        let got = lie(|p| {
            let row = row(p);
            p.part(section).extend(row);
        });
        assert!(got.ends_with(&format!(": {reason}")), "{section:?}: {got}");
    }
    let got = lie(|p| {
        let end = p.part(Section::CodeBytes).len() as u64 + 1;
        p.part(Section::CodeHashes).extend([0xff; 32]);
        p.part(Section::CodeEnds).extend(end.to_le_bytes());
        p.part(Section::CodeBytes).push(0x5b);
    });
    assert!(got.ends_with(": a code that no account of a move has"), "{got}");
}

#[test]
fn headers_that_lie_are_refused() {
    let entry = |section: Section| 160 + 24 * section as usize;
    let put = |bytes: &mut [u8], at: usize, value: u64| bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    let cells = entry(Section::MoveCells);
    let cases = [
        (header_lie(|b| b[0] = b'M'), "offset 0: not a block file"),
        (header_lie(|b| b[12] = 2), "offset 12: protocol version 2, this program reads 1"),
        (header_lie(|b| put(b, 16, 1)), "offset 16: trailing bytes"),
        (header_lie(|b| put(b, 16, u64::MAX)), "offset 16: truncated"),
        (header_lie(|b| b[24] = 42), "offset 24: 42 sections, expected 41"),
        (header_lie(|b| b[28] = 129), "offset 28: versions are not"),
        (header_lie(|b| b[32] = 7), "offset 28: versions are not"),
        (header_lie(|b| b[159] = 1), "header: reserved bytes are not zero"),
        (header_lie(|b| b[HEADER_BYTES - 9] = 1), "header: reserved bytes are not zero"),
        (header_lie(|b| b[cells] = 30), "section move-cells: id 30, stride 4; expected 29, 4"),
        (header_lie(|b| b[cells + 4] = 8), "section move-cells: id 29, stride 8; expected 29, 4"),
        (header_lie(|b| put(b, cells + 8, 64)), "section move-cells: offset 64, expected"),
        (header_lie(|b| put(b, cells + 16, u64::MAX)), "section move-cells: 18446744073709551615 bytes, more than"),
        (header_lie(|b| put(b, cells + 16, 65)), "section move-cells: 65 bytes, not a multiple of 4"),
        (header_lie(|b| put(b, cells + 16, 256)), "section table: the lengths do not add up"),
        (
            header_lie(|b| put(b, entry(Section::EcrecoverClaims) + 16, 1)),
            "section ecrecover-claims: reserved, but not empty",
        ),
        (header_lie(|b| b[160 + 24 * SECTION_COUNT] ^= 1), "page table: checksum differs"),
    ];
    for (got, expected) in cases {
        assert!(got.starts_with(expected), "expected {expected}\n     got {got}");
    }
}

#[test]
fn an_unknown_version_is_refused_before_anything_else_is_believed() {
    let (_folder, path, bytes) = sample_file();
    for length in [12, 13, HEADER_BYTES, bytes.len()] {
        let mut bytes = bytes[..length].to_vec();
        bytes[8] = 2;
        let expected = "offset 8: format version 2, this program reads 1";
        assert_eq!(refusal(&path, &bytes).as_deref(), Some(expected), "{length} bytes, checksum wrong");
    }
}

#[test]
fn opening_a_range_verifies_its_pages_only() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.mana");
    let mut writer = Writer::create(&path, &rules(), VERSIONS).unwrap();
    writer.begin_segment(&segment(1, 1)).unwrap();
    let mut block = empty_block();
    let transaction = TransactionRecord { bytes: vec![7; 3 * PAGE_BYTES].into(), ..TransactionRecord::default() };
    block.transactions.insert(1, transaction);
    block.transactions[0].moves = vec![write(
        Cell::account(addr(1)),
        Version::Virgin,
        account(1, None, 0),
        Value::Account(AccountValue { balance: U256::MAX, present: true, ..AccountValue::ABSENT }),
    )];
    for _ in 0..3 {
        writer.push(&block).unwrap();
    }
    writer.finish().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let layout = Header::parse(&bytes[..HEADER_BYTES], bytes.len() as u64).unwrap().layout;
    let heap = layout.sections[Section::TransactionBytes as usize].clone();
    bytes[heap.start as usize + 4 * PAGE_BYTES + PAGE_BYTES / 2] ^= 1; // in the middle of block 1
    std::fs::write(&path, &bytes).unwrap();
    let file = BlockFile::open(&path).unwrap();
    file.verify_blocks(0..1).unwrap();
    file.verify_blocks(2..3).unwrap();
    let error = file.verify_blocks(0..3).unwrap_err().to_string();
    assert!(error.contains("checksum differs"), "{error}");
    assert!(file.block(1).is_err());
    assert_eq!(file.record(2).unwrap(), block);
}

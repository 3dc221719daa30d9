//! Lies on the bytes of sections, for what the writer would refuse; checksums are sealed again.

use super::tell::{End, Tally};
use super::{Draw, Foretold};
use crate::lies::sample::{Answer, ORDERS, judge_file};
use manaflow_loader::file::layout::{
    ANCHOR_ROWS, ForeignRow, HEADER_BYTES, Header, Layout, PAGE_BYTES, SECTION_COUNT, SECTIONS, Section, seal,
};
use rayon::prelude::*;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

/// Offset of the page table's checksum in the header: after the section table.
const TABLE_CHECKSUM_AT: usize = 160 + 24 * SECTION_COUNT;

/// A file taken apart into sections.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Text of the versions that wrote it.
    pub versions: String,
    /// Bytes of each section.
    pub sections: Vec<Vec<u8>>,
}

impl Parts {
    /// Takes a valid file apart.
    ///
    /// # Panics
    /// If it is not valid.
    pub fn of(bytes: &[u8]) -> Self {
        let header = Header::parse(&bytes[..HEADER_BYTES], bytes.len() as u64).expect("a valid file");
        let section = |range: &std::ops::Range<u64>| bytes[range.start as usize..range.end as usize].to_vec();
        Self { versions: header.versions, sections: header.layout.sections.iter().map(section).collect() }
    }

    /// The file, sealed.
    ///
    /// # Panics
    /// If the sections are beyond all bounds.
    pub fn to_bytes(&self) -> Vec<u8> {
        let lengths: [u64; SECTION_COUNT] = std::array::from_fn(|i| self.sections[i].len() as u64);
        let layout = Layout::new(&lengths).expect("fits");
        let mut bytes = vec![0; layout.data.end as usize];
        for (range, section) in layout.sections.iter().zip(&self.sections) {
            bytes[range.start as usize..range.end as usize].copy_from_slice(section);
        }
        let table = page_table(&bytes[layout.data.start as usize..]);
        bytes[layout.page_table.start as usize..layout.page_table.end as usize].copy_from_slice(&table);
        let versions = self.versions.clone();
        let header = Header { versions, layout, page_table_checksum: xxh3_64(&table) };
        bytes[..HEADER_BYTES].copy_from_slice(&header.to_bytes());
        bytes
    }

    /// A section.
    pub fn section(&mut self, section: Section) -> &mut Vec<u8> {
        &mut self.sections[section as usize]
    }

    /// Number of rows of a section.
    pub fn rows(&self, section: Section) -> usize {
        self.sections[section as usize].len() / stride(section)
    }

    /// Bytes of a row.
    pub fn row(&mut self, section: Section, row: usize) -> &mut [u8] {
        let stride = stride(section);
        &mut self.section(section)[row * stride..(row + 1) * stride]
    }
}

fn stride(section: Section) -> usize {
    SECTIONS[section as usize].2 as usize
}

fn page_table(data: &[u8]) -> Vec<u8> {
    data.chunks(PAGE_BYTES).flat_map(|page| xxh3_64(page).to_le_bytes()).collect()
}

/// Seals the checksums of a file again whose lengths are those of `honest`, whatever else has become of it.
///
/// # Panics
/// If `honest` is not a valid file, or of another length.
pub fn reseal(honest: &[u8], bytes: &mut [u8]) {
    let layout = Header::parse(&honest[..HEADER_BYTES], honest.len() as u64).expect("a valid file").layout;
    let table = page_table(&bytes[layout.data.start as usize..]);
    bytes[layout.page_table.start as usize..layout.page_table.end as usize].copy_from_slice(&table);
    bytes[TABLE_CHECKSUM_AT..TABLE_CHECKSUM_AT + 8].copy_from_slice(&xxh3_64(&table).to_le_bytes());
    let mut header: [u8; HEADER_BYTES] = std::array::from_fn(|i| bytes[i]);
    seal(&mut header);
    bytes[..HEADER_BYTES].copy_from_slice(&header);
}

/// What a change does to a file's sections; false if the file has nothing to change.
type Change = Box<dyn Fn(&mut Parts) -> bool + Send + Sync>;

/// A lie on bytes.
pub struct ByteLie {
    kind: &'static str,
    change: Change,
    foretold: Foretold,
}

/// Which row of a section.
#[derive(Clone, Copy)]
enum Row {
    First,
    Drawn,
}
use Row::{Drawn, First};

/// One byte of one row: name, what the error says, section, row, byte in it, what becomes of it.
type OneByte = (&'static str, &'static str, Section, Row, usize, fn(u8) -> u8);

/// Bytes that no writer writes.
const BYTES: [OneByte; 15] = [
    (FLAGS, "move-flags", Section::MoveFlags, Drawn, 0, |byte| byte | 1 << 1),
    (FLAGS, "move-flags", Section::MoveFlags, Drawn, 0, |byte| byte | 1 << 2),
    (FLAGS, "move-flags", Section::MoveFlags, Drawn, 0, |byte| byte | 1 << 3),
    (FLAGS, "move-flags", Section::MoveFlags, Drawn, 0, |byte| byte | 1 << 4),
    (FLAGS, "move-flags", Section::MoveFlags, Drawn, 0, |byte| byte | 1 << 5),
    (FLAGS, "move-flags", Section::MoveFlags, Drawn, 0, |byte| byte | 1 << 6),
    (FLAGS, "move-flags", Section::MoveFlags, Drawn, 0, |byte| byte | 1 << 7),
    ("unknown status", "row-status", Section::RowStatus, Drawn, 0, |_| 9),
    ("gas without outcome", "gas used without outcome", Section::RowGas, First, 0, |_| 1),
    ("a value of 50 bytes", "value-", Section::ValueLengths, Drawn, 0, |_| 50),
    ("an anchor that is not the sum", "value-anchors", Section::ValueAnchors, Drawn, 0, |byte| byte ^ 1),
    ("virgin not first", "does not begin with virgin and assumed", Section::Foreign, First, 8, |_| 1),
    ("reserved bytes of a block's row", "blocks", Section::Blocks, First, 63, |_| 1),
    ("an unknown kind of block", "blocks", Section::Blocks, First, 52, |byte| byte | 4),
    ("reserved bytes of a segment's row", "segments", Section::Segments, First, 79, |_| 1),
];
const FLAGS: &str = "reserved bit of a move's flags";

/// Numbers of four bytes that point into a table: with 2^32 - 2 in them they point beyond it. Name, what the error says,
/// section.
const NUMBERS: [(&str, &str, Section); 6] = [
    ("number beyond its table: move-cells", "move-cells", Section::MoveCells),
    ("number beyond its table: move-intx", "move-intx", Section::MoveIntx),
    ("number beyond its table: move-prev", "move-prev", Section::MovePrev),
    ("number beyond its table: move-next", "move-next", Section::MoveNext),
    ("number beyond its table: row-senders", "row-senders", Section::RowSenders),
    ("number beyond its table: authorities", "authorities", Section::Authorities),
];

/// Tables that ascend strictly, in which a row becomes that before it. Name, what the error says, section.
const ASCENDING: [(&str, &str, Section); 8] = [
    ("table entry doubled: addresses", "addresses", Section::Addresses),
    ("table entry doubled: slots", "slots", Section::Slots),
    ("table entry doubled: spaces", "spaces", Section::Spaces),
    ("table entry doubled: account-cells", "account-cells", Section::AccountCells),
    ("table entry doubled: storage-cells", "storage-cells", Section::StorageCells),
    ("table entry doubled: hash-cells", "hash-cells", Section::HashCells),
    ("table entry doubled: foreign", "foreign", Section::Foreign),
    ("table entry doubled: code-hashes", "code-hashes", Section::CodeHashes),
];

/// Rows that are nobody's, at a section's end, that begin with a byte and go on in zeros. Name, what the error says, section,
/// the byte.
const ROWS: [(&str, &str, Section, u8); 4] = [
    ("reserved section in use: ecrecover-claims", "reserved, but not empty", Section::EcrecoverClaims, 0),
    ("an unknown kind of version", "foreign", Section::Foreign, 7),
    ("code bytes that are nobody's", "code-ends", Section::CodeBytes, 0),
    ("value bytes that are nobody's", "value-lengths", Section::ValueBytes, 0),
];

/// Lies on more than a row of one section: name, what the error says, the change, which gets a number that was drawn.
type Special = (&'static str, &'static str, fn(&mut Parts, usize) -> bool);
const SPECIAL: [Special; 14] = [
    ("a read with a number for its after", "a read has a next", |parts, drawn| {
        let rows = parts.rows(Section::MoveFlags);
        let read = (0..rows).map(|i| (drawn + i) % rows).find(|&i| parts.sections[Section::MoveFlags as usize][i] == 0);
        let Some(row) = read.filter(|_| parts.rows(Section::ValueLengths) > 1) else { return false };
        parts.row(Section::MoveNext, row)[0] = 1;
        true
    }),
    ("a mask column of zeros for some moves only", "move-mask", |parts, _| {
        parts.section(Section::MoveMask).resize(4, 0);
        parts.rows(Section::MoveCells) > 1
    }),
    ("rules not in canonical form", "rules", |parts, _| {
        parts.section(Section::Rules).insert(1, b' ');
        true
    }),
    ("rules with an unknown field", "rules", |parts, _| {
        let end = parts.section(Section::Rules).len() - 1;
        parts.section(Section::Rules).splice(end..end, *b",\"more\":1");
        true
    }),
    ("a move that is nobody's", "blocks", |parts, _| {
        for section in [Section::MoveCells, Section::MoveIntx, Section::MovePrev, Section::MoveNext] {
            parts.section(section).extend([0; 4]);
        }
        parts.section(Section::MoveFlags).push(0);
        true
    }),
    ("a value that no move names", "a value that no move names", |parts, _| {
        let end = parts.section(Section::ValueBytes).len() as u64;
        if parts.rows(Section::ValueLengths).is_multiple_of(ANCHOR_ROWS) {
            parts.section(Section::ValueAnchors).extend(end.to_le_bytes());
        }
        parts.section(Section::ValueLengths).push(0);
        true
    }),
    ("a mask column of zeros", "move-mask", |parts, _| {
        let moves = parts.rows(Section::MoveCells);
        parts.section(Section::MoveMask).resize(4 * moves, 0);
        moves > 0
    }),
    ("an address that nobody has", "addresses", |parts, _| {
        parts.section(Section::Addresses).extend([0xff; 20]);
        true
    }),
    ("a slot that no cell is at", "slots", |parts, _| {
        parts.section(Section::Slots).extend([0xff; 32]);
        true
    }),
    ("a cell that no move names", "hash-cells", |parts, _| {
        parts.section(Section::HashCells).extend(u64::MAX.to_le_bytes());
        true
    }),
    ("a version that no move names", "foreign", |parts, _| {
        // Codes from their number on are rows.
        let count = parts.rows(Section::Foreign) as u32;
        for code in parts.section(Section::MoveIntx).chunks_exact_mut(4) {
            let number = u32::from_le_bytes([code[0], code[1], code[2], code[3]]);
            code.copy_from_slice(&(number + u32::from(number >= count)).to_le_bytes());
        }
        parts.section(Section::Foreign).extend([ForeignRow::AT, u64::MAX].map(u64::to_le_bytes).concat());
        true
    }),
    ("a code that no account has", "code-hashes", |parts, _| {
        let end = parts.section(Section::CodeBytes).len() as u64 + 1;
        parts.section(Section::CodeHashes).extend([0xff; 32]);
        parts.section(Section::CodeEnds).extend(end.to_le_bytes());
        parts.section(Section::CodeBytes).push(0x5b);
        true
    }),
    ("more keys of signers than signatures", "signer-keys", |parts, _| {
        let signatures = parts.rows(Section::RowSenders) + parts.rows(Section::Authorities);
        parts.section(Section::SignerKeys).resize(64 * (signatures + 1), 0);
        true
    }),
    ("R.y of one signature more", "signature-r", |parts, _| {
        parts.section(Section::SignatureR).extend([1; 32]);
        // One is as many as there are, or one too many.
        parts.rows(Section::RowSenders) != 2 * (parts.rows(Section::Blocks) - 1) + 1
    }),
];

/// Hints of signatures, trusted by nobody.
const HINTS: [(Section, &str); 2] = [(Section::SignerKeys, "hint: public keys"), (Section::SignatureR, "hint: R.y")];

/// Changes a hint of a row.
type HintLie = fn(usize, &mut [u8]);

/// Ways to lie in a hint.
const HINT_LIES: [(&str, HintLie); 4] = [
    ("a bit of each", |row, hint| hint[row % hint.len()] ^= 1 << (row % 8)),
    ("half of them", |row, hint| hint[31] ^= (row % 2) as u8),
    ("all ones", |_, hint| hint.fill(0xff)),
    ("none", |_, _| {}),
];

/// Lies on the bytes of any file, at places drawn.
pub fn lies(draw: &mut Draw) -> Vec<ByteLie> {
    let mut lies = Vec::new();
    let mut add = |kind, says, change: Change| {
        lies.push(ByteLie { kind, change, foretold: Foretold::Malformed(says) });
    };
    for (kind, says, section) in ASCENDING {
        let drawn = draw.number() as usize;
        let change = move |parts: &mut Parts| {
            // Virgin and assumed begin the table of versions and are refused by name.
            let Some(free) = parts.rows(section).checked_sub(1).filter(|&free| free > 0) else { return false };
            let before = parts.row(section, drawn % free).to_vec();
            parts.row(section, drawn % free + 1).copy_from_slice(&before);
            true
        };
        add(kind, says, Box::new(change));
    }
    for (kind, says, section) in NUMBERS {
        let drawn = draw.number() as usize;
        let change = move |parts: &mut Parts| {
            let rows = parts.rows(section);
            if rows > 0 {
                parts.row(section, drawn % rows).copy_from_slice(&(u32::MAX - 1).to_le_bytes());
            }
            rows > 0
        };
        add(kind, says, Box::new(change));
    }
    for (kind, says, section, row, byte, becomes) in BYTES {
        let drawn = draw.number() as usize;
        let change = move |parts: &mut Parts| {
            let rows = parts.rows(section);
            let row = match row {
                First => 0,
                Drawn => drawn.checked_rem(rows).unwrap_or(0),
            };
            if row >= rows {
                return false;
            }
            let byte = &mut parts.row(section, row)[byte];
            *byte = becomes(*byte);
            true
        };
        add(kind, says, Box::new(change));
    }
    for (kind, says, section, first) in ROWS {
        let change = move |parts: &mut Parts| {
            let end = parts.section(section).len();
            parts.section(section).resize(end + stride(section), 0);
            parts.section(section)[end] = first;
            true
        };
        add(kind, says, Box::new(change));
    }
    for (kind, says, change) in SPECIAL {
        let drawn = draw.number() as usize;
        add(kind, says, Box::new(move |parts| change(parts, drawn)));
    }
    for (section, kind) in HINTS {
        for (way, lie) in HINT_LIES {
            let drawn = draw.number() as usize % 8;
            let change = move |parts: &mut Parts| {
                let stride = stride(section);
                let bytes = parts.section(section);
                bytes.chunks_mut(stride).enumerate().for_each(|(row, hint)| lie(row + drawn, hint));
                if way == "none" {
                    bytes.clear();
                }
                !bytes.is_empty() || way == "none"
            };
            lies.push(ByteLie { kind, change: Box::new(change), foretold: Foretold::Nothing });
        }
    }
    // Of nothing it claims, the text is only who wrote the file: a hint, too.
    let hint = |parts: &mut Parts| {
        parts.versions = "anybody".into();
        true
    };
    lies.push(ByteLie { kind: "hint: versions text", change: Box::new(hint), foretold: Foretold::Nothing });
    lies
}

/// Tells lies about the bytes of a valid file.
///
/// # Panics
/// If the file is not valid, or the machine fails.
pub fn tell_all(honest: &[u8], lies: &[ByteLie]) -> Tally {
    let folder = tempfile::tempdir().expect("a folder");
    let judge = |name: String, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        let answer = judge_file(&path, &ORDERS);
        std::fs::remove_file(path).expect("removed");
        answer
    };
    let parts = Parts::of(honest);
    assert!(parts.to_bytes() == honest, "a file taken apart and put together is the same");
    let Answer::Judged(truth) = judge("honest.mana".into(), honest) else { panic!("the honest file is refused") };
    let ends: Vec<_> = lies
        .par_iter()
        .enumerate()
        .filter_map(|(i, lie)| {
            let mut changed = parts.clone();
            if !(lie.change)(&mut changed) {
                return None;
            }
            let end = match (judge(format!("{i}.mana"), &changed.to_bytes()), &lie.foretold) {
                (Answer::Refused(why), Foretold::Malformed(expected)) if why.contains(expected) => Ok(End::Refused),
                (Answer::Judged(judged), Foretold::Nothing) => {
                    let mut report = judged.report.clone();
                    report.run = truth.report.run.clone();
                    if report == truth.report { Ok(End::Nothing) } else { Err("a hint changes the report".into()) }
                }
                (Answer::Judged(judged), _) => Err(format!("{:?}", judged.report.verdict)),
                (Answer::Refused(why), _) => Err(why),
            };
            Some((lie.kind, end.map_err(|why| format!("{}: {:?}, got {why}", lie.kind, lie.foretold))))
        })
        .collect();
    let mut tally = Tally::default();
    ends.into_iter().for_each(|(kind, end)| tally.count(kind, None, end));
    tally
}

/// What came of a file with one bit flipped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flipped {
    /// Sealing undoes the flip: a checksum itself.
    Undone,
    /// No verdict.
    Refused,
    /// `invalid`.
    Invalid,
    /// Valid, with another digest, requirements, tip hash or rules digest.
    AnotherClaim,
    /// A named hint: the text of versions, a key of a signer, R.y.
    Hint,
    /// Valid with the same claim: a survivor.
    Survived,
}

/// Judges a file with one bit flipped, as it is or sealed again, in forward order; the path is used for it meanwhile.
///
/// # Panics
/// If the machine fails, or the digest of requirements says another thing than their lists.
pub fn flip(honest: &[u8], truth: &Answer, bit: usize, sealed: bool, path: &Path) -> Flipped {
    let mut bytes = honest.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    if sealed {
        reseal(honest, &mut bytes);
        if bytes == honest {
            return Flipped::Undone;
        }
    }
    std::fs::write(path, &bytes).expect("written");
    let answer = judge_file(path, &ORDERS[..1]);
    std::fs::remove_file(path).expect("removed");
    let (Answer::Judged(judged), Answer::Judged(truth)) = (answer, truth) else { return Flipped::Refused };
    let (report, honest) = (&judged.report, &truth.report);
    if report.invalid_total > 0 {
        return Flipped::Invalid;
    }
    let is_same = report.final_state == honest.final_state
        && report.blocks == honest.blocks
        && report.chain.rules_digest == honest.chain.rules_digest
        && report.requirements_digest == honest.requirements_digest;
    // The lists behind the digest say the same: what `--requirements` writes comes from them.
    let is_required_alike = (&judged.requirements, &judged.assumed, &judged.windows)
        == (&truth.requirements, &truth.assumed, &truth.windows);
    assert_eq!(is_required_alike, report.requirements_digest == honest.requirements_digest, "bit {bit}");
    let of_file = Header::parse(&bytes[..HEADER_BYTES], bytes.len() as u64).expect("it was judged").layout;
    let is_hint = |(section, _): &(Section, &str)| of_file.sections[*section as usize].contains(&(bit as u64 / 8));
    match is_same {
        false => Flipped::AnotherClaim,
        true if (28..160).contains(&(bit / 8)) || HINTS.iter().any(is_hint) => Flipped::Hint,
        true => Flipped::Survived,
    }
}

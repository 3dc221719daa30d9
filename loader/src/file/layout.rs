//! The block file byte by byte: header, sections, rows. `loader/FORMAT.md` is the normative text; this is its Rust.
//!
//! Header of 1,216 bytes, page table, data area. All integers little-endian, so columns are used in place; this crate
//! refuses to compile for big-endian machines. Sections lie in the order of [`SECTIONS`], each at the next multiple of
//! 64 bytes: the layout follows from the lengths alone, and the reader compares every offset with the one it must be.
//! Checksums: XXH3-64 (seed 0). Header -> page table -> pages of 64 KiB of the data area.

use crate::model::Location;
use bytemuck::{Pod, Zeroable};
use std::ops::Range;
use xxhash_rust::xxh3::xxh3_64;

#[cfg(target_endian = "big")]
compile_error!("block files are little-endian and used in place");

/// First bytes of a block file: not text, and torn by any conversion of line ends.
pub const MAGIC: [u8; 8] = *b"\x89MANA\r\n\x1a";
/// Version of this layout.
pub const FORMAT_VERSION: u32 = 1;
/// Version of the protocol whose moves the file holds.
pub const PROTOCOL_VERSION: u32 = 1;
/// Most bytes of the text that names the writer's versions.
pub const VERSIONS_BYTES: usize = 128;
/// Bytes of the header.
pub const HEADER_BYTES: usize = 1216;
/// Bytes under one checksum of the page table.
pub const PAGE_BYTES: usize = 1 << 16;
/// Sections and the data area start at multiples of this.
pub const ALIGN: u64 = 64;
/// Earlier headers a segment may have.
pub const EARLIER_BOUND: usize = 7;
/// Values under one anchor.
pub const ANCHOR_ROWS: usize = 16;

/// Sender and authority column: nobody.
pub const NOBODY: u32 = u32::MAX;
/// Foreign versions are fewer than this, so that they and rows share the `intx` column.
pub const FOREIGN_BOUND: u32 = 1 << 26;
/// Rows of a file are at most this many.
pub const ROW_BOUND: u32 = u32::MAX - FOREIGN_BOUND;
/// `intx` of virgin in every file.
pub const INTX_VIRGIN: u32 = 0;
/// `intx` of assumed in every file.
pub const INTX_ASSUMED: u32 = 1;

/// Flag of a move: it is a write.
pub const FLAG_WRITE: u8 = 1;
/// Bit of a code's end: its blob is not in the file.
pub const CODE_ABSENT: u64 = 1 << 63;
/// Ommers length of an earlier header whose ommers are not known.
pub const OMMERS_UNKNOWN: u32 = u32::MAX;
/// Bit of a block's kind: ommers are known by hash only.
pub const KIND_OMMER_HASHES: u32 = 1;
/// Bit of a block's kind: there is a list of withdrawals.
pub const KIND_WITHDRAWALS: u32 = 2;

/// Status column: no outcome.
pub const STATUS_NONE: u8 = 0;
/// Status column: EIP-658 failure.
pub const STATUS_FAILURE: u8 = 1;
/// Status column: EIP-658 success.
pub const STATUS_SUCCESS: u8 = 2;
/// Status column: a post-state root, in the first 32 bytes of the row's receipt bytes.
pub const STATUS_ROOT: u8 = 3;
/// Status column: a post-state root that the source does not have.
pub const STATUS_ROOT_UNKNOWN: u8 = 4;

/// Bit of a status: the row's logs are packed (`zero_runs`), which makes them shorter.
pub const STATUS_PACKED: u8 = 0x80;
/// Most bytes that the packed logs of one block stand for; further ones are stored as they are. A byte of a log costs 8 gas, so
/// this is more than a block of 130 million gas has.
pub const UNPACKED_BOUND: usize = 1 << 24;

/// Columns and heaps of a block file, in the order of the file; the discriminant is the id in the section table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u32)]
#[allow(missing_docs)] // FORMAT.md describes each; a second text here would only drift from it
pub enum Section {
    Rules,
    Segments,
    EarlierRows,
    EarlierBytes,
    Blocks,
    Addresses,
    Slots,
    Spaces,
    AccountCells,
    StorageCells,
    HashCells,
    Foreign,
    CodeHashes,
    CodeEnds,
    ValueLengths,
    ValueAnchors,
    CodeBytes,
    ValueBytes,
    BodyBytes,
    RowMoves,
    RowBytes,
    RowReceipts,
    RowAuthorities,
    RowSenders,
    RowStatus,
    RowGas,
    TransactionBytes,
    ReceiptBytes,
    Authorities,
    MoveCells,
    MoveFlags,
    MoveIntx,
    MovePrev,
    MoveNext,
    MoveMask,
    MoveLast,
    CellExits,
    SignerKeys,
    SignatureR,
    EcrecoverClaims,
    StateNodes,
}

use Section as S;

/// Number of sections.
pub const SECTION_COUNT: usize = 41;

/// All sections in order: id, name in messages and in `inspect`, bytes a row.
pub const SECTIONS: [(Section, &str, u32); SECTION_COUNT] = [
    (S::Rules, "rules", 1),
    (S::Segments, "segments", size_of::<SegmentRow>() as u32),
    (S::EarlierRows, "earlier-rows", size_of::<EarlierRow>() as u32),
    (S::EarlierBytes, "earlier-bytes", 1),
    (S::Blocks, "blocks", size_of::<BlockRow>() as u32),
    (S::Addresses, "addresses", 20),
    (S::Slots, "slots", 32),
    (S::Spaces, "spaces", size_of::<SpaceRow>() as u32),
    (S::AccountCells, "account-cells", 4),
    (S::StorageCells, "storage-cells", size_of::<StorageRow>() as u32),
    (S::HashCells, "hash-cells", 8),
    (S::Foreign, "foreign", size_of::<ForeignRow>() as u32),
    (S::CodeHashes, "code-hashes", 32),
    (S::CodeEnds, "code-ends", 8),
    (S::ValueLengths, "value-lengths", 1),
    (S::ValueAnchors, "value-anchors", 8),
    (S::CodeBytes, "code-bytes", 1),
    (S::ValueBytes, "value-bytes", 1),
    (S::BodyBytes, "body-bytes", 1),
    (S::RowMoves, "row-moves", 4),
    (S::RowBytes, "row-bytes", 4),
    (S::RowReceipts, "row-receipts", 4),
    (S::RowAuthorities, "row-authorities", 4),
    (S::RowSenders, "row-senders", 4),
    (S::RowStatus, "row-status", 1),
    (S::RowGas, "row-gas", 8),
    (S::TransactionBytes, "transaction-bytes", 1),
    (S::ReceiptBytes, "receipt-bytes", 1),
    (S::Authorities, "authorities", 4),
    (S::MoveCells, "move-cells", 4),
    (S::MoveFlags, "move-flags", 1),
    (S::MoveIntx, "move-intx", 4),
    (S::MovePrev, "move-prev", 4),
    (S::MoveNext, "move-next", 4),
    (S::MoveMask, "move-mask", 4),
    (S::MoveLast, "move-last", 4),
    (S::CellExits, "cell-exits", size_of::<ExitRow>() as u32),
    (S::SignerKeys, "signer-keys", 64),
    (S::SignatureR, "signature-r", 32),
    (S::EcrecoverClaims, "ecrecover-claims", 1),
    (S::StateNodes, "state-nodes", 1),
];

/// The tables up to here are shared: verified on opening. Later sections are verified where they are used.
pub const LAST_SHARED: Section = S::ValueAnchors;
/// Sections that are reserved: of length 0 in this version.
pub const RESERVED: [Section; 1] = [S::EcrecoverClaims];
/// Columns of rows that hold nothing but what a signed transaction and its receipt bring: a file of moves alone has none.
pub const SIGNED_COLUMNS: [Section; 6] =
    [S::RowBytes, S::RowReceipts, S::RowAuthorities, S::RowSenders, S::RowStatus, S::RowGas];
/// In `move-last` and `cell-exits`: there is no such use. Else it is the row + 1.
pub const LAST_NONE: u32 = 0;

const PRELUDE_BYTES: usize = 160;
const ENTRY_BYTES: usize = 24;
const TABLE_END: usize = PRELUDE_BYTES + ENTRY_BYTES * SECTION_COUNT;
const _: () = assert!(TABLE_END + 16 <= HEADER_BYTES && HEADER_BYTES.is_multiple_of(ALIGN as usize));
const _: () = assert!(S::StateNodes as usize + 1 == SECTION_COUNT);

impl Section {
    /// Name in messages and in `inspect`.
    pub const fn name(self) -> &'static str {
        SECTIONS[self as usize].1
    }
}

/// A segment. 80 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct SegmentRow {
    /// Number of the first block by position.
    pub first: u64,
    /// Block from which generations count.
    pub origin: u64,
    /// Total difficulty before the first block, big-endian; zero if not stated.
    pub total_difficulty: [u8; 32],
    /// First block in the block index.
    pub block_first: u32,
    /// Blocks.
    pub block_count: u32,
    /// First row of `earlier-rows`.
    pub earlier_first: u32,
    /// Rows of `earlier-rows`, 0..=7.
    pub earlier_count: u32,
    /// 1 if the total difficulty is stated, else 0.
    pub total_difficulty_stated: u32,
    /// Zero.
    pub reserved: [u32; 3],
}

impl SegmentRow {
    /// Blocks of the segment in the block index.
    pub fn blocks(&self) -> Range<usize> {
        self.block_first as usize..self.block_first as usize + self.block_count as usize
    }

    /// The row at `location`, if this segment has one; `row_first` gives the first row of a block or of the end.
    pub fn row_at(&self, location: Location, row_first: impl Fn(usize) -> u32) -> Option<u32> {
        let position = location.block().checked_sub(self.first).filter(|&p| p < u64::from(self.block_count))?;
        let block = self.block_first as usize + position as usize;
        let row = u64::from(row_first(block)) + location.index();
        if row < u64::from(row_first(block + 1)) { Some(row as u32) } else { None }
    }
}

/// How a cell is left: a hint. 12 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct ExitRow {
    /// Row of the cell's last use, read or write, + 1; [`LAST_NONE`] if it is not used.
    pub last: u32,
    /// Version that is live then, as in `move-intx`.
    pub version: u32,
    /// Its value.
    pub value: u32,
}

/// An earlier header. 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct EarlierRow {
    /// Bytes of the header.
    pub header_bytes: u32,
    /// Bytes of the list of ommers that follows; [`OMMERS_UNKNOWN`] if not known.
    pub ommers_bytes: u32,
}

/// A block, or the end of all blocks (the last row). 64 bytes. Positions are where the block begins in each heap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct BlockRow {
    /// First move.
    pub move_first: u64,
    /// Position in `body-bytes`: header, ommers, withdrawals.
    pub body_at: u64,
    /// Position in `transaction-bytes`.
    pub bytes_at: u64,
    /// Position in `receipt-bytes`.
    pub receipts_at: u64,
    /// First row of `authorities`.
    pub authorities_at: u64,
    /// First transaction row.
    pub row_first: u32,
    /// Bytes of the header.
    pub header_bytes: u32,
    /// Bytes of the ommers.
    pub ommers_bytes: u32,
    /// `KIND_*` bits.
    pub kind: u32,
    /// Zero.
    pub reserved: u64,
}

/// A generation of an address. 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct SpaceRow {
    /// Number of the address.
    pub addr: u32,
    /// Generation.
    pub generation: u32,
}

/// A storage cell. 8 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct StorageRow {
    /// Number of the space.
    pub space: u32,
    /// Number of the slot.
    pub slot: u32,
}

/// A version that is not a row of the segment of the move that names it. 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct ForeignRow {
    /// One of the constants of this type.
    pub kind: u64,
    /// Bound f of `BASE`, bits of the location of `AT`, else 0.
    pub value: u64,
}

impl ForeignRow {
    /// Virgin: entry 0 of every file.
    pub const VIRGIN: Self = Self { kind: 0, value: 0 };
    /// Assumed: entry 1 of every file.
    pub const ASSUMED: Self = Self { kind: 1, value: 0 };
    /// Kind of base(f).
    pub const BASE: u64 = 2;
    /// Kind of an explicit location.
    pub const AT: u64 = 3;
}

const _: () = assert!(size_of::<SegmentRow>() == 80 && size_of::<BlockRow>() == 64);
const _: () = assert!(size_of::<ForeignRow>() == 16);

/// The next multiple of [`ALIGN`]; `None` beyond 2^64.
pub fn align(bytes: u64) -> Option<u64> {
    bytes.checked_next_multiple_of(ALIGN)
}

/// Where everything lies: follows from the lengths of the sections.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Bytes of the page table, which follows the header.
    pub page_table: Range<u64>,
    /// Data area.
    pub data: Range<u64>,
    /// Bytes of each section in the file.
    pub sections: [Range<u64>; SECTION_COUNT],
}

impl Layout {
    /// The layout for section lengths in bytes; `None` if it does not fit 2^63 bytes.
    pub fn new(lengths: &[u64; SECTION_COUNT]) -> Option<Self> {
        let data_bytes = lengths.iter().try_fold(0u64, |at, &length| align(at.checked_add(length)?))?;
        let page_table_end = data_bytes.div_ceil(PAGE_BYTES as u64) * 8 + HEADER_BYTES as u64;
        let data_first = align(page_table_end)?;
        let data_end = data_first.checked_add(data_bytes).filter(|&end| end < 1 << 63)?;
        let mut at = data_first;
        let sections = std::array::from_fn(|i| {
            let range = at..at + lengths[i];
            at = range.end.next_multiple_of(ALIGN);
            range
        });
        Some(Self { page_table: HEADER_BYTES as u64..page_table_end, data: data_first..data_end, sections })
    }
}

/// What the header says besides its own checksum.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// Versions of the programs that wrote the file.
    pub versions: String,
    /// Where everything lies.
    pub layout: Layout,
    /// Checksum of the page table.
    pub page_table_checksum: u64,
}

/// A fault of the header: where and what.
pub type Fault = (String, String);

fn fault<T>(place: impl Into<String>, reason: impl Into<String>) -> Result<T, Fault> {
    Err((place.into(), reason.into()))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))
}

/// Whether a versions text may stand in a header: printable ASCII of at most [`VERSIONS_BYTES`].
pub fn is_versions_text(text: &[u8]) -> bool {
    text.len() <= VERSIONS_BYTES && text.iter().all(|b| (0x20..0x7f).contains(b))
}

impl Header {
    /// The header's bytes, sealed.
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &MAGIC);
        put(8, &FORMAT_VERSION.to_le_bytes());
        put(12, &PROTOCOL_VERSION.to_le_bytes());
        put(16, &self.layout.data.end.to_le_bytes());
        put(24, &(SECTION_COUNT as u32).to_le_bytes());
        put(28, &(self.versions.len() as u32).to_le_bytes());
        put(32, self.versions.as_bytes());
        for (i, (id, _, stride)) in SECTIONS.into_iter().enumerate() {
            let at = PRELUDE_BYTES + ENTRY_BYTES * i;
            let range = &self.layout.sections[i];
            put(at, &(id as u32).to_le_bytes());
            put(at + 4, &stride.to_le_bytes());
            put(at + 8, &range.start.to_le_bytes());
            put(at + 16, &(range.end - range.start).to_le_bytes());
        }
        put(TABLE_END, &self.page_table_checksum.to_le_bytes());
        seal(&mut out);
        out
    }

    /// Reads the header of a file of `file_bytes` bytes, of which `bytes` are the first 1,152 or all.
    pub fn parse(bytes: &[u8], file_bytes: u64) -> Result<Self, Fault> {
        if bytes.len() < 12 {
            return fault("offset 0", format!("{} bytes: too short for magic and version", bytes.len()));
        }
        if bytes[..8] != MAGIC {
            return fault("offset 0", "not a block file: the magic bytes differ");
        }
        // The version comes first: nothing else of an unknown version is believed.
        let version = u32_at(bytes, 8);
        if version != FORMAT_VERSION {
            return fault("offset 8", format!("format version {version}, this program reads {FORMAT_VERSION}"));
        }
        let Some(bytes) = bytes.get(..HEADER_BYTES) else {
            return fault("header", format!("{file_bytes} bytes: truncated, the header has {HEADER_BYTES}"));
        };
        if xxh3_64(&bytes[..HEADER_BYTES - 8]) != u64_at(bytes, HEADER_BYTES - 8) {
            return fault("header", "checksum differs: damaged");
        }
        let protocol = u32_at(bytes, 12);
        if protocol != PROTOCOL_VERSION {
            return fault("offset 12", format!("protocol version {protocol}, this program reads {PROTOCOL_VERSION}"));
        }
        let claimed = u64_at(bytes, 16);
        if claimed != file_bytes {
            let what = if claimed > file_bytes { "truncated" } else { "trailing bytes" };
            return fault("offset 16", format!("{what}: the file has {file_bytes} bytes, its header says {claimed}"));
        }
        if u32_at(bytes, 24) as usize != SECTION_COUNT {
            return fault("offset 24", format!("{} sections, expected {SECTION_COUNT}", u32_at(bytes, 24)));
        }
        let text = &bytes[32..PRELUDE_BYTES];
        let text_bytes = u32_at(bytes, 28) as usize;
        if text_bytes > VERSIONS_BYTES || !is_versions_text(&text[..text_bytes]) {
            return fault("offset 28", format!("versions are not printable ASCII of at most {VERSIONS_BYTES} bytes"));
        }
        if text[text_bytes..].iter().any(|&b| b != 0) || bytes[TABLE_END + 8..HEADER_BYTES - 8].iter().any(|&b| b != 0)
        {
            return fault("header", "reserved bytes are not zero");
        }
        let layout = parse_table(bytes, file_bytes)?;
        let versions = text[..text_bytes].iter().map(|&b| char::from(b)).collect();
        Ok(Self { versions, layout, page_table_checksum: u64_at(bytes, TABLE_END) })
    }
}

/// Puts the checksum of a header into its last eight bytes.
pub fn seal(header: &mut [u8; HEADER_BYTES]) {
    let checksum = xxh3_64(&header[..HEADER_BYTES - 8]);
    header[HEADER_BYTES - 8..].copy_from_slice(&checksum.to_le_bytes());
}

/// The section table: ids, strides and offsets must be those that the lengths give.
fn parse_table(bytes: &[u8], file_bytes: u64) -> Result<Layout, Fault> {
    let mut lengths = [0; SECTION_COUNT];
    for (i, (id, name, stride)) in SECTIONS.into_iter().enumerate() {
        let at = PRELUDE_BYTES + ENTRY_BYTES * i;
        let place = || format!("section {name}");
        if u32_at(bytes, at) != id as u32 || u32_at(bytes, at + 4) != stride {
            let (got_id, got_stride) = (u32_at(bytes, at), u32_at(bytes, at + 4));
            let expected = id as u32;
            return fault(place(), format!("id {got_id}, stride {got_stride}; expected {expected}, {stride}"));
        }
        lengths[i] = u64_at(bytes, at + 16);
        if lengths[i] > file_bytes {
            return fault(place(), format!("{} bytes, more than the file's {file_bytes}", lengths[i]));
        }
        if lengths[i] % u64::from(stride) != 0 {
            return fault(place(), format!("{} bytes, not a multiple of {stride}", lengths[i]));
        }
        if RESERVED.contains(&id) && lengths[i] != 0 {
            return fault(place(), "reserved, but not empty");
        }
    }
    let layout = match Layout::new(&lengths) {
        Some(layout) if layout.data.end == file_bytes => layout,
        _ => return fault("section table", format!("the lengths do not add up to the file's {file_bytes} bytes")),
    };
    for (i, range) in layout.sections.iter().enumerate() {
        let offset = u64_at(bytes, PRELUDE_BYTES + ENTRY_BYTES * i + 8);
        if offset != range.start {
            let name = SECTIONS[i].1;
            return fault(format!("section {name}"), format!("offset {offset}, expected {}", range.start));
        }
    }
    Ok(layout)
}

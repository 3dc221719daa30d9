//! The words of the protocol as types: cells, locations, versions, values, moves, outcomes. Plain data; nothing here judges.
//!
//! Source: `engine/PROTOCOL.md` sections 2 and 3. In the block file these are numbers into tables (`file`); here they are whole.

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, Log, U256};
use std::fmt;

/// Blocks of a location are below this bound (2^40).
pub const BLOCK_BOUND: u64 = 1 << 40;
/// Indices of a location are below this bound (2^24).
pub const INDEX_BOUND: u64 = 1 << 24;

/// Where a transaction stands: block number and index in the block, in one word that sorts in the order of the chain.
///
/// Index 0 is the opening system transaction, 1..=n the block's transactions, n+1 the closing system transaction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Location(u64);

impl Location {
    /// The location (block, index); `None` if one of them is out of bounds.
    pub const fn new(block: u64, index: u64) -> Option<Self> {
        if block < BLOCK_BOUND && index < INDEX_BOUND { Some(Self(block << 24 | index)) } else { None }
    }

    /// From the packed word `block << 24 | index`; every word is a location.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The packed word `block << 24 | index`.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Block number.
    pub const fn block(self) -> u64 {
        self.0 >> 24
    }

    /// Index in the block.
    pub const fn index(self) -> u64 {
        self.0 & (INDEX_BOUND - 1)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.block(), self.index())
    }
}

/// Who wrote a cell last, as a move says it (`intx`).
///
/// The derived order is for sorting distinct demands only; [`Version::is_below`] is the order of the protocol.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Version {
    /// Never written since the chain began.
    Virgin,
    /// Some version below block f, where f is the first block of the segment that says it.
    Base(u64),
    /// Unknown: neither listed nor proven absent by the source. System transactions only.
    Assumed,
    /// Written by the transaction at this location.
    At(Location),
}

impl Version {
    /// Whether a use at `location` may name this version: an explicit one lies strictly below.
    pub fn is_below(self, location: Location) -> bool {
        match self {
            Self::At(v) => v < location,
            Self::Virgin | Self::Base(_) | Self::Assumed => true,
        }
    }
}

/// What kind of state a cell is. The order is that of cells: accounts, storage words, block hashes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Mark {
    /// `a`: the account of an address.
    Account = 0,
    /// `s`: a storage word of one generation of an address.
    Storage = 1,
    /// `h`: the hash of the block whose number is the slot.
    BlockHash = 2,
}

impl Mark {
    /// The letter that stands for the mark in texts: `a`, `s` or `h`.
    pub const fn letter(self) -> char {
        match self {
            Self::Account => 'a',
            Self::Storage => 's',
            Self::BlockHash => 'h',
        }
    }
}

/// A piece of state. Cells are ordered by (mark, addr, generation, slot); fields that a mark does not use are zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Cell {
    /// Kind of state.
    pub mark: Mark,
    /// Address (`a`, `s`).
    pub addr: Address,
    /// Generation of the address (`s`).
    pub generation: u32,
    /// Storage slot (`s`) or block number (`h`).
    pub slot: U256,
}

impl Cell {
    /// The account of `addr`.
    pub const fn account(addr: Address) -> Self {
        Self { mark: Mark::Account, addr, generation: 0, slot: U256::ZERO }
    }

    /// The storage word (addr, slot) in a generation of addr.
    pub const fn storage(addr: Address, generation: u32, slot: U256) -> Self {
        Self { mark: Mark::Storage, addr, generation, slot }
    }

    /// The hash of block `number`.
    pub fn block_hash(number: u64) -> Self {
        Self { mark: Mark::BlockHash, addr: Address::ZERO, generation: 0, slot: U256::from(number) }
    }

    /// The value of a cell that was never written.
    pub fn default_value(&self) -> Value {
        match self.mark {
            Mark::Account => Value::Account(AccountValue::ABSENT),
            Mark::Storage | Mark::BlockHash => Value::Word(U256::ZERO),
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mark {
            Mark::Account => write!(f, "a:{:#x}", self.addr),
            Mark::Storage => write!(f, "s:{:#x}:{}:{:#x}", self.addr, self.generation, self.slot),
            Mark::BlockHash => write!(f, "h:{}", self.slot),
        }
    }
}

/// Value of an `a` cell. Canonical: an absent account has nonce 0, balance 0 and the code hash of no code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AccountValue {
    /// Whether the account exists.
    pub present: bool,
    /// Nonce.
    pub nonce: u64,
    /// Balance in wei.
    pub balance: U256,
    /// Keccak-256 of the code.
    pub code_hash: B256,
    /// How often the address went from present to absent since the segment's origin.
    pub generation: u32,
}

impl AccountValue {
    /// The default: absent, generation 0.
    pub const ABSENT: Self = Self::absent(0);

    /// Absent, in a generation.
    pub const fn absent(generation: u32) -> Self {
        Self { present: false, nonce: 0, balance: U256::ZERO, code_hash: KECCAK256_EMPTY, generation }
    }

    /// Whether an absent account is written as it must be.
    pub fn is_canonical(&self) -> bool {
        self.present || *self == Self::absent(self.generation)
    }
}

/// Value of a cell: an account for `a`; a word for `s` and for `h` (where zero stands for "none").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Value {
    /// Of an `a` cell.
    Account(AccountValue),
    /// Of an `s` or `h` cell.
    Word(U256),
}

/// Whether a move changes its cell.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Mode {
    /// prev = next.
    Read,
    /// prev != next.
    Write,
}

/// One cell that a transaction observes or changes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Move {
    /// Fields covered by the sender's signature; 0 in imported transactions.
    pub mask: u32,
    /// The cell.
    pub cell: Cell,
    /// Declared mode.
    pub mode: Mode,
    /// Version observed or consumed.
    pub intx: Version,
    /// Value before.
    pub prev: Value,
    /// Value after; of a read, `prev` (it is not stored).
    pub next: Value,
}

/// What a receipt says first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Status {
    /// EIP-658: reverted or halted.
    Failure,
    /// EIP-658: success.
    Success,
    /// Before Byzantium: the post-state root, a witness; `None` if the source does not have it.
    Root(Option<B256>),
}

/// What a transaction's receipt needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Status or post-state root.
    pub status: Status,
    /// Gas used by this transaction alone.
    pub gas_used: u64,
    /// Logs in order.
    pub logs: Vec<Log>,
}

/// A transaction as it is written to a block file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TransactionRecord {
    /// EIP-2718 bytes; empty for a system transaction.
    pub bytes: Bytes,
    /// Declared sender; `None` for a system transaction, or if the signature recovers to nobody.
    pub sender: Option<Address>,
    /// Declared authority of each EIP-7702 tuple; `None` where the tuple's signature is void.
    pub authorities: Vec<Option<Address>>,
    /// Moves, strictly ascending by cell.
    pub moves: Vec<Move>,
    /// Outcome; `None` for system transactions, and if the transaction cannot be included.
    pub outcome: Option<Outcome>,
    /// Hints: R.y of the transaction's signature, then of each set-code tuple, zero where it is not known; empty if none is.
    pub signature_r: Vec<B256>,
    /// Outputs of the closing's request calls (EIP-7002, EIP-7251), one each, in order of request type; else empty.
    pub requests: Vec<Bytes>,
}

/// A block's ommers, as far as the source knows them. Bytes are RLP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ommers {
    /// RLP list of headers.
    Headers(Bytes),
    /// Known by hash only, at least one.
    Hashes(Vec<B256>),
}

/// Bytes of a block without its transactions' moves. What a source yields, and what a block file keeps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlockBody {
    /// RLP of the header.
    pub header: Bytes,
    /// Ommers.
    pub ommers: Ommers,
    /// RLP list of withdrawals; `None` before Shanghai.
    pub withdrawals: Option<Bytes>,
}

/// A block as it is written to a block file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlockRecord {
    /// Header, ommers, withdrawals.
    pub body: BlockBody,
    /// Opening, transactions in order, closing: at least two.
    pub transactions: Vec<TransactionRecord>,
}

/// A header before a segment, with its ommers: the window that ommer rules and parent rules look at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EarlierHeader {
    /// RLP of the header.
    pub header: Bytes,
    /// RLP list of ommer headers; `None` if not known.
    pub ommers: Option<Bytes>,
}

/// What is said of a segment before its blocks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentStart {
    /// Number of the first block by position: the locations of its transactions.
    pub first: u64,
    /// Block from which generations count: 0 from genesis, else the first block of the segment as imported.
    pub origin: u64,
    /// Total difficulty before the first block, where the source states it.
    pub total_difficulty: Option<U256>,
    /// Up to seven headers before the first block, oldest first, each the parent of the next.
    pub earlier: Vec<EarlierHeader>,
}

impl SegmentStart {
    /// Whether the segment begins at the genesis block.
    pub const fn is_from_genesis(&self) -> bool {
        self.first == 0
    }
}

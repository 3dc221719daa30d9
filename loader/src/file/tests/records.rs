//! Block records for tests: one small chain that has every kind of thing, and strategies for arbitrary ones.

use crate::model::*;
use crate::rules::{BlobParameters, ChainRules};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, Log, LogData, U256};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// A file's content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chain {
    pub segments: Vec<(SegmentStart, Vec<BlockRecord>)>,
    pub codes: Vec<(B256, Bytes)>,
    pub keys: Vec<[u8; 64]>,
}

pub fn rules() -> ChainRules {
    ChainRules {
        chain_id: 7,
        terminal_total_difficulty: Some(U256::from(1)),
        blobs: vec![BlobParameters { time: 5, target: 3, max: 6, base_fee_update_fraction: 9 }],
        ..ChainRules::default()
    }
}

pub fn at(block: u64, index: u64) -> Version {
    Version::At(Location::new(block, index).unwrap())
}

pub fn addr(n: u8) -> Address {
    Address::repeat_byte(n)
}

pub fn account(nonce: u64, code: Option<u8>, generation: u32) -> Value {
    let code_hash = code.map_or(KECCAK256_EMPTY, B256::repeat_byte);
    Value::Account(AccountValue { present: true, nonce, balance: U256::from(nonce * 1000), code_hash, generation })
}

pub fn word(n: u64) -> Value {
    Value::Word(U256::from(n))
}

pub fn read(cell: Cell, intx: Version, prev: Value) -> Move {
    Move { mask: 0, cell, mode: Mode::Read, intx, prev, next: prev }
}

pub fn write(cell: Cell, intx: Version, prev: Value, next: Value) -> Move {
    Move { mask: 0, cell, mode: Mode::Write, intx, prev, next }
}

pub fn segment(first: u64, origin: u64) -> SegmentStart {
    SegmentStart { first, origin, total_difficulty: None, earlier: Vec::new() }
}

pub fn empty_block() -> BlockRecord {
    let body = BlockBody {
        header: Bytes::from_static(&[0xc2, 1, 2]),
        ommers: Ommers::Headers(Bytes::from_static(&[0xc0])),
        withdrawals: None,
    };
    BlockRecord { body, transactions: vec![TransactionRecord::default(); 2] }
}

/// Two segments that share block 10, with every kind of cell, value, version, outcome, ommers and optional part.
pub fn sample() -> Chain {
    let absent = Value::Account(AccountValue::absent(0));
    let dead = Value::Account(AccountValue::absent(3));
    let log = Log { address: addr(9), data: LogData::new_unchecked(vec![B256::repeat_byte(1)], vec![1, 2].into()) };
    let transaction = TransactionRecord {
        bytes: Bytes::from_static(b"\xc3abc"),
        sender: Some(addr(5)),
        authorities: vec![None, Some(addr(6))],
        moves: vec![
            write(Cell::account(addr(1)), Version::Base(10), account(1, Some(1), 0), account(2, Some(2), 0)),
            read(Cell::account(addr(2)), at(10, 0), absent),
            write(Cell::account(addr(3)), at(11, 1), account(3, None, 2), dead),
            write(Cell::storage(addr(1), 0, U256::MAX), at(3, 3), word(7), word(7)),
            read(Cell::storage(addr(1), 2, U256::from(4)), at(10, 9), word(0)),
            read(Cell::block_hash(9), Version::Virgin, word(0)),
        ],
        outcome: Some(Outcome { status: Status::Root(Some(B256::repeat_byte(8))), gas_used: 21_000, logs: vec![log] }),
        signature_r: vec![B256::repeat_byte(3), B256::ZERO, B256::repeat_byte(4)],
        requests: Vec::new(),
    };
    let mut masked = transaction.clone();
    masked.moves[2].mask = 5;
    masked.signature_r.clear();
    masked.outcome = Some(Outcome { status: Status::Failure, gas_used: 1, logs: Vec::new() });
    let opening = TransactionRecord {
        moves: vec![read(Cell::account(addr(4)), Version::Assumed, absent)],
        ..TransactionRecord::default()
    };
    let closing = TransactionRecord {
        moves: vec![write(Cell::block_hash(10), Version::Virgin, word(0), Value::Word(U256::MAX))],
        requests: vec![Bytes::new(), Bytes::from_static(b"out")],
        ..TransactionRecord::default()
    };
    let full = BlockRecord {
        body: BlockBody {
            header: Bytes::from_static(&[0xc3, 1, 2, 3]),
            ommers: Ommers::Hashes(vec![B256::repeat_byte(1), B256::repeat_byte(2)]),
            withdrawals: Some(Bytes::from_static(&[0xc2, 0xc1, 1])),
        },
        transactions: vec![opening, transaction, masked, closing],
    };
    let earlier = vec![
        EarlierHeader { header: Bytes::from_static(&[0xc1, 1]), ommers: None },
        EarlierHeader { header: Bytes::from_static(&[0xc1, 2]), ommers: Some(Bytes::from_static(&[0xc1, 0xc0])) },
    ];
    let start = SegmentStart { first: 10, origin: 4, total_difficulty: Some(U256::MAX), earlier };
    Chain {
        segments: vec![
            (start, vec![full.clone(), full, empty_block()]),
            (segment(10, 10), vec![empty_block()]),
            (segment(0, 0), vec![empty_block()]),
        ],
        keys: vec![[9; 64], [8; 64]],
        codes: vec![(B256::repeat_byte(2), Bytes::from_static(b"code two")), (B256::repeat_byte(77), Bytes::new())],
    }
}

fn small_word() -> impl Strategy<Value = U256> {
    prop_oneof![
        (0..4u64).prop_map(U256::from),
        any::<u64>().prop_map(U256::from),
        any::<[u8; 32]>().prop_map(U256::from_be_bytes)
    ]
}

fn cell() -> impl Strategy<Value = Cell> {
    let generation = prop_oneof![0..3u32, any::<u32>()];
    prop_oneof![
        (0..6u8).prop_map(|n| Cell::account(addr(n))),
        (0..6u8, generation, small_word()).prop_map(|(n, generation, slot)| Cell::storage(addr(n), generation, slot)),
        prop_oneof![0..30u64, any::<u64>()].prop_map(Cell::block_hash),
    ]
}

fn account_value() -> impl Strategy<Value = Value> {
    let nonce = prop_oneof![0..3u64, any::<u64>()];
    let generation = prop_oneof![Just(0), 0..3u32, any::<u32>()];
    (any::<bool>(), nonce, small_word(), option::of(0..5u8), generation).prop_map(
        |(present, nonce, balance, code, g)| {
            let code_hash = code.map_or(KECCAK256_EMPTY, B256::repeat_byte);
            let account = AccountValue { present, nonce, balance, code_hash, generation: g };
            Value::Account(if present { account } else { AccountValue::absent(g) })
        },
    )
}

fn version(from_genesis: bool) -> impl Strategy<Value = Version> {
    let explicit = (0..30u64, 0..6u64).prop_map(|(block, index)| at(block, index));
    let far = any::<u64>().prop_map(|bits| Version::At(Location::from_bits(bits)));
    let base = if from_genesis { Just(Version::Virgin).boxed() } else { (0..30u64).prop_map(Version::Base).boxed() };
    let assumed = Just(if from_genesis { Version::Virgin } else { Version::Assumed });
    prop_oneof![3 => explicit, 1 => far, 1 => base, 1 => assumed, 1 => Just(Version::Virgin)]
}

fn any_move(from_genesis: bool) -> impl Strategy<Value = Move> {
    let mask = prop_oneof![20 => Just(0), 1 => any::<u32>()];
    (cell(), any::<bool>(), version(from_genesis), mask).prop_flat_map(|(cell, is_write, intx, mask)| {
        let value = move || match cell.mark {
            Mark::Account => account_value().boxed(),
            Mark::Storage | Mark::BlockHash => small_word().prop_map(Value::Word).boxed(),
        };
        (value(), value()).prop_map(move |(prev, next)| {
            let (mode, next) = if is_write { (Mode::Write, next) } else { (Mode::Read, prev) };
            Move { mask, cell, mode, intx, prev, next }
        })
    })
}

fn bytes(most: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..=most).prop_map(Bytes::from)
}

fn log() -> impl Strategy<Value = Log> {
    let topics = vec(any::<[u8; 32]>().prop_map(B256::new), 0..5);
    (0..9u8, topics, bytes(40))
        .prop_map(|(n, topics, data)| Log { address: addr(n), data: LogData::new_unchecked(topics, data) })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let status = prop_oneof![
        Just(Status::Failure),
        Just(Status::Success),
        Just(Status::Root(None)),
        any::<[u8; 32]>().prop_map(|root| Status::Root(Some(B256::new(root)))),
    ];
    (status, any::<u64>(), vec(log(), 0..3)).prop_map(|(status, gas_used, logs)| Outcome { status, gas_used, logs })
}

fn transaction(from_genesis: bool) -> impl Strategy<Value = TransactionRecord> {
    let someone = || option::of((0..9u8).prop_map(addr));
    let hint = prop_oneof![Just(B256::ZERO), any::<[u8; 32]>().prop_map(B256::new)];
    let signed = (bytes(40), someone(), vec(someone(), 0..3), option::of(vec(hint, 3)));
    (signed, vec(any_move(from_genesis), 0..6), option::of(outcome())).prop_map(
        |((bytes, sender, authorities, hints), moves, outcome)| {
            let mut signature_r = hints.unwrap_or_default();
            signature_r.truncate(authorities.len() + 1);
            if signature_r.iter().all(B256::is_zero) {
                signature_r.clear();
            }
            TransactionRecord { bytes, sender, authorities, moves, outcome, signature_r, requests: Vec::new() }
        },
    )
}

fn system(from_genesis: bool, is_closing: bool) -> impl Strategy<Value = TransactionRecord> {
    let requests = vec(bytes(20), 0..if is_closing { 3 } else { 1 });
    (vec(any_move(from_genesis), 0..3), requests).prop_map(|(moves, requests)| TransactionRecord {
        moves,
        requests,
        ..TransactionRecord::default()
    })
}

/// An RLP list of lists of strings.
fn lists() -> impl Strategy<Value = Bytes> {
    vec(vec(bytes(5), 0..3), 0..3).prop_map(|lists| {
        let mut out = Vec::new();
        alloy_rlp::encode_list::<Vec<Bytes>, Vec<Bytes>>(&lists, &mut out);
        out.into()
    })
}

fn header() -> impl Strategy<Value = Bytes> {
    vec(bytes(5), 0..5).prop_map(|items| {
        let mut out = Vec::new();
        alloy_rlp::encode_list::<Bytes, Bytes>(&items, &mut out);
        out.into()
    })
}

fn block(from_genesis: bool) -> impl Strategy<Value = BlockRecord> {
    let hashes = vec(any::<[u8; 32]>().prop_map(B256::new), 1..3);
    let ommers = prop_oneof![lists().prop_map(Ommers::Headers), hashes.prop_map(Ommers::Hashes)];
    let body = (header(), ommers, option::of(lists())).prop_map(|(header, ommers, withdrawals)| BlockBody {
        header,
        ommers,
        withdrawals,
    });
    let middle = vec(transaction(from_genesis), 0..4);
    (body, system(from_genesis, false), middle, system(from_genesis, true)).prop_map(
        |(body, opening, mut middle, closing)| {
            middle.insert(0, opening);
            middle.push(closing);
            BlockRecord { body, transactions: middle }
        },
    )
}

fn any_segment() -> impl Strategy<Value = (SegmentStart, Vec<BlockRecord>)> {
    let first = prop_oneof![Just(0), 7..20u64, Just(BLOCK_BOUND - 3)];
    first.prop_flat_map(|first| {
        let earlier = (header(), option::of(lists())).prop_map(|(header, ommers)| EarlierHeader { header, ommers });
        let earlier = vec(earlier, 0..if first == 0 { 1 } else { 8 });
        let start =
            (0..=first, option::of(small_word()), earlier).prop_map(move |(origin, total_difficulty, earlier)| {
                SegmentStart { first, origin, total_difficulty, earlier }
            });
        (start, vec(block(first == 0), 1..4))
    })
}

/// Arbitrary files: several segments, mostly of the same block numbers; some codes known, some not, some not asked for.
pub fn chain() -> impl Strategy<Value = Chain> {
    let codes = vec((0..8u8, bytes(30)), 0..6).prop_map(|codes| {
        let mut codes: Vec<_> = codes.into_iter().map(|(n, code)| (B256::repeat_byte(n), code)).collect();
        codes.sort();
        codes.dedup_by_key(|code| code.0);
        codes
    });
    (vec(any_segment(), 1..4), codes, any::<usize>()).prop_map(|(segments, codes, keys)| {
        let rows = segments.iter().flat_map(|(_, blocks)| blocks).flat_map(|block| &block.transactions[1..]);
        let signatures: usize = rows.map(|row| row.authorities.len() + 1).sum();
        let blocks: usize = segments.iter().map(|(_, blocks)| blocks.len()).sum();
        let keys = (0..keys % (signatures - blocks + 1)).map(|n| [n as u8; 64]).collect();
        Chain { segments, codes, keys }
    })
}

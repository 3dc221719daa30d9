//! One summary with every part in it: cut at every byte, every bit flipped, every rule of its own broken.

use super::*;
use crate::model::{AccountValue, Mark};
use alloy_primitives::{Address, keccak256};

fn at(block: u64, index: u64) -> Location {
    Location::new(block, index).expect("in bounds")
}

fn head(n: u8, checks: u8) -> Head {
    let header = alloy_rlp::encode(vec![Bytes::from(vec![n; 3])]).into();
    Head { header, ommers_kind: 1, ommers: vec![0xc0].into(), checks, total_difficulty: Maybe(None) }
}

/// Every part is there, no field at its default.
fn sample() -> Summary {
    let account = Cell::account(Address::repeat_byte(3));
    let slot = Cell::storage(Address::repeat_byte(4), 2, U256::from(5));
    let value =
        AccountValue { present: true, nonce: 7, balance: U256::from(300), code_hash: keccak256("code"), generation: 2 };
    let (value, word) = (Value::Account(value), Value::Word(U256::from(9)));
    let demand =
        Demand { cell: account, first: at(101, 2), write: true, intx: Version::Base(90), prev: value, place: 3 };
    let culprit = Culprit {
        cell: slot,
        location: at(102, 1),
        reason: "double-use".into(),
        window: 2,
        after: at(101, 1),
        write: true,
        intx: Version::At(at(101, 0)),
        prev: word,
        expected: Maybe(Some(Live { version: Version::At(at(101, 1)), value: Value::Word(U256::ZERO) })),
        place: 1,
    };
    let fault = Fault {
        location: at(103, 0),
        check: 2,
        reason: "wrong-after".into(),
        place: Maybe(Some(0)),
        cell: Maybe(Some(account)),
        got: "a".into(),
        expected: "b".into(),
    };
    let claim = Claim {
        first: 104,
        parent_hash: B256::repeat_byte(8),
        total_difficulty: U256::from(1000),
        difficulty_before: U256::from(40),
        is_judged: true,
    };
    let waiting = |first, count| Waiting {
        first,
        count,
        difficulty: U256::from(10),
        difficulty_before: U256::from(70),
        is_after_stake: false,
    };
    let segment = Segment {
        first: 100,
        end: 110,
        origin: 90,
        checks: 0b1_1110,
        some_checks: 0b1_1111,
        transactions: 12,
        signatures: 13,
        moves: 140,
        gas: 1 << 40,
        unchecked: (1..=UNCHECKED as u64).collect(),
        state_roots: vec![3, 2],
        root_at_end: 2,
        closing: at(109, 4),
        difficulty: U256::from(100),
        total_after: Maybe(Some(U256::from(1060))),
        claim: Maybe(Some(claim)),
        earlier: vec![
            Head { ommers_kind: 0, ommers: Bytes::new(), ..head(1, 0) },
            Head { ommers_kind: 2, ommers: vec![5; 64].into(), ..head(2, 0) },
        ],
        heads: (3..10).map(|n| Head { total_difficulty: Maybe(Some(U256::from(n))), ..head(n, 0b1_1111) }).collect(),
        tail: (10..13).map(|n| head(n, 0)).collect(),
        waiting: vec![waiting(107, 1), waiting(108, 2)],
        faults: vec![fault],
        culprits: vec![culprit],
        requirements: vec![demand, Demand { cell: slot, prev: word, intx: Version::Virgin, write: false, ..demand }],
        exits: vec![
            Exit { cell: account, version: at(105, 1), value },
            Exit { cell: Cell::block_hash(105), version: at(105, 2), value: word },
        ],
        assumed: vec![Assumed { cell: account, location: at(100, 0) }],
        hashes: vec![TransactionHash { location: at(101, 2), hash: B256::repeat_byte(2) }],
    };
    // Another import that adjoins, and one that lies apart.
    let adjoining = Segment { first: 110, end: 112, origin: 110, closing: at(111, 1), ..short() };
    let later = Segment { first: 113, end: 115, origin: 110, closing: at(114, 1), ..short() };
    Summary {
        manaflow: "0.1.0".into(),
        revm: "43.0.3".into(),
        rules: ChainRules::named("mainnet").expect("built in"),
        input: Some(B256::repeat_byte(1)),
        segments: vec![segment, adjoining, later],
    }
}

/// Two blocks that nobody says anything about.
fn short() -> Segment {
    Segment {
        first: 111,
        end: 113,
        origin: 111,
        checks: 0,
        some_checks: 0,
        transactions: 0,
        signatures: 0,
        moves: 0,
        gas: 0,
        unchecked: vec![0; UNCHECKED],
        state_roots: vec![0, 0],
        root_at_end: 0,
        closing: at(112, 1),
        difficulty: U256::ZERO,
        total_after: Maybe(None),
        claim: Maybe(None),
        earlier: Vec::new(),
        heads: vec![head(1, 0), head(2, 0)],
        tail: Vec::new(),
        waiting: Vec::new(),
        faults: Vec::new(),
        culprits: Vec::new(),
        requirements: Vec::new(),
        exits: Vec::new(),
        assumed: Vec::new(),
        hashes: Vec::new(),
    }
}

fn reseal(bytes: &mut [u8]) {
    let end = bytes.len() - SUFFIX;
    let sum = xxh3_64(&bytes[..end]).to_le_bytes();
    bytes[end..].copy_from_slice(&sum);
}

#[test]
fn what_is_written_is_read() {
    let (summary, folder) = (sample(), tempfile::tempdir().expect("a folder"));
    assert_eq!(Summary::decode(&summary.encode()), Ok(summary.clone()));
    let path = folder.path().join("a.mans");
    summary.write(&path).expect("written");
    assert_eq!(Summary::read(&path).expect("read"), summary);
    let other = Summary { segments: vec![short()], input: None, ..sample() };
    other.write(&path).expect("written over");
    assert_eq!(Summary::read(&path).expect("read"), other);
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing is left beside it");
    assert!(Summary::read(folder.path().join("none")).expect_err("missing").is_input());
}

#[test]
fn a_summary_cut_anywhere_is_refused() {
    let bytes = sample().encode();
    for length in 0..bytes.len() {
        let mut cut = bytes[..length].to_vec();
        assert!(Summary::decode(&cut).is_err(), "{length} bytes");
        // The same by somebody who knows the frame.
        if length >= PREFIX + SUFFIX {
            cut[16..24].copy_from_slice(&(length as u64).to_le_bytes());
            reseal(&mut cut);
            assert!(Summary::decode(&cut).is_err(), "{length} bytes, sealed");
        }
    }
    let mut long = bytes;
    long.push(0);
    assert!(Summary::decode(&long).is_err());
}

#[test]
fn every_bit_counts() {
    let (summary, bytes) = (sample(), sample().encode());
    let (mut refused, mut others) = (0, 0);
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(Summary::decode(&flipped).is_err(), "bit {bit}");
        reseal(&mut flipped);
        match Summary::decode(&flipped) {
            Err(_) => refused += 1,
            Ok(other) => {
                // In the checksum itself, sealing undoes the change.
                assert!(other != summary || bit / 8 >= bytes.len() - SUFFIX, "bit {bit} says nothing");
                assert_eq!(other.encode(), flipped);
                others += 1;
            }
        }
    }
    assert!(refused > 1_000 && others > 1_000, "{refused} {others}");
}

#[test]
fn versions_are_named() {
    for (at, word) in [(8, "summary version 3, expected 2"), (12, "protocol version 3, expected 1")] {
        let mut bytes = sample().encode();
        bytes[at] = 3;
        reseal(&mut bytes);
        assert_eq!(Summary::decode(&bytes).expect_err("another version").reason, word);
    }
    let mut bytes = sample().encode();
    bytes[0] = b'M';
    assert_eq!(Summary::decode(&bytes).expect_err("another file").reason, "not a summary of Manaflow");
}

/// What a rule forbids, by a change to the sample's first segment.
type Change = fn(&mut Segment);

#[test]
fn every_rule_refuses() {
    let changes: &[(&str, Change)] = &[
        ("blocks", |s| s.end = s.first),
        ("origin", |s| s.origin = 101),
        ("checks", |s| s.some_checks = 0b10_0000),
        ("checks", |s| s.some_checks = 0),
        ("unchecked", |s| s.unchecked.push(0)),
        ("state roots", |s| s.state_roots = vec![1, 2]),
        ("state roots", |s| s.state_roots = vec![11, 2]),
        ("state roots", |s| s.root_at_end = 3),
        ("closing", |s| s.closing = at(108, 4)),
        ("closing", |s| s.closing = at(109, 0)),
        ("claim", |s| s.claim.0.as_mut().expect("one").first = 110),
        ("total difficulty", |s| s.total_after.0 = None),
        ("total difficulty", |s| s.claim.0 = None),
        ("waiting 0", |s| s.waiting[0].first = 106),
        ("waiting 0", |s| s.waiting[0].count = 0),
        ("waiting 1", |s| s.waiting[1].count = 3),
        ("waiting 1", |s| s.waiting[1].first = 107),
        ("headers", |s| _ = s.heads.pop()),
        ("headers", |s| s.tail.push(head(1, 0))),
        ("earlier headers", |s| s.earlier = vec![head(1, 0); 8]),
        ("earlier header 0", |s| s.earlier[0].ommers_kind = 3),
        ("earlier header 0", |s| s.earlier[0].ommers = vec![1].into()),
        ("earlier header 0", |s| s.earlier[0].checks = 1),
        ("earlier header 1", |s| s.earlier[1].ommers = vec![1; 33].into()),
        ("header 0", |s| s.heads[0].ommers_kind = 0),
        ("header 0", |s| s.heads[0].header = vec![1].into()),
        ("header 0", |s| s.heads[0].ommers = vec![0xc1, 1].into()),
        ("last header 0", |s| s.tail[0].total_difficulty.0 = Some(U256::ZERO)),
        ("fault 0", |s| s.faults[0].check = 5),
        ("fault 0", |s| s.faults[0].location = at(110, 0)),
        ("culprit 0", |s| s.culprits[0].location = at(99, 0)),
        ("culprit 0", |s| s.culprits[0].window = 3),
        ("culprit 0", |s| s.culprits[0].window = 1),
        ("culprit 0", |s| s.culprits[0].prev = s.requirements[0].prev),
        ("requirement 1", |s| s.requirements.swap(0, 1)),
        ("requirement 0", |s| s.requirements[0].first = at(110, 0)),
        ("requirement 1", |s| s.requirements[1].prev = s.requirements[0].prev),
        ("exit 1", |s| s.exits.swap(0, 1)),
        ("exit 0", |s| s.exits[0].version = at(99, 1)),
        ("exit 1", |s| s.exits[1].value = s.exits[0].value),
        ("assumption 0", |s| s.assumed[0].location = at(99, 1)),
        ("assumption 1", |s| s.assumed.push(s.assumed[0])),
        ("transaction hash 1", |s| s.hashes.push(s.hashes[0])),
        ("transaction hashes", |s| s.hashes[0].location = at(99, 1)),
    ];
    for (place, change) in changes {
        let mut summary = sample();
        change(&mut summary.segments[0]);
        let error = Summary::decode(&summary.encode()).expect_err(place);
        assert_eq!(error.place, format!("segment 0, {place}"), "{error}");
    }
    let refusal = |change: fn(&mut Summary)| {
        let mut summary = sample();
        change(&mut summary);
        Summary::decode(&summary.encode()).expect_err("refused").place
    };
    assert_eq!(refusal(|s| s.revm = "4 3".into()), "version of revm");
    assert_eq!(refusal(|s| s.manaflow.clear()), "version of manaflow");
    assert_eq!(refusal(|s| (s.segments[1].first, s.segments[1].origin) = (109, 109)), "segment 1, headers");
    assert_eq!(refusal(|s| s.segments.swap(1, 2)), "segment 2, first");
    assert_eq!(refusal(|s| s.segments[1].origin = 90), "segment 1, origin");
    assert_eq!(refusal(|s| (s.segments, s.input) = (Vec::new(), None)), "segments");
    assert_eq!(refusal(|s| s.rules.blobs.reverse()), "rules");
    assert_eq!(refusal(|s| s.segments[0].exits[0].cell.mark = Mark::BlockHash), "content");
}

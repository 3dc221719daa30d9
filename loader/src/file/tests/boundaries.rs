//! The checks of a block file at their borders: the last row that passes, and the first that does not.

use super::super::check::{BodyParts, check_body, check_counts, check_earlier, check_size};
use super::super::layout::*;
use super::super::rlp::encode_list;
use super::super::{BlockFile, zero_runs};
use super::hostile::{Lie, Parts, check_lies, lie, lie_about};
use super::records::*;
use super::round_trip;
use crate::model::*;
use alloy_primitives::{Bytes, U256};
use std::collections::BTreeMap;
use tempfile::TempDir;

#[test]
fn bodies_have_the_shape_that_their_kind_says() {
    let hashes = |ommers| BodyParts { header: &[0xc0], ommers, are_hashes: true, withdrawals: None };
    let [none, short, one, long, two] = [0, 31, 32, 33, 64].map(|n| vec![1; n]);
    let shape = Err(("ommers", "not one or more hashes of 32 bytes"));
    assert_eq!([&none, &short, &long].map(|ommers| check_body(&hashes(ommers))), [shape; 3]);
    assert_eq!([&one, &two].map(|ommers| check_body(&hashes(ommers))), [Ok(()); 2]);
    let lists = |header, ommers, withdrawals| BodyParts { header, ommers, are_hashes: false, withdrawals };
    assert_eq!(check_body(&lists(&[0xc1, 1], &[0xc1, 0xc0], Some(&[0xc1, 0xc0]))), Ok(()));
    assert_eq!(check_body(&lists(&[0x01], &[0xc0], None)), Err(("header", "a string, not an RLP list")));
    let items = "an item is a string, not a list";
    assert_eq!(check_body(&lists(&[0xc0], &[0xc1, 1], None)), Err(("ommers", items)));
    assert_eq!(check_body(&lists(&[0xc0], &[0xc0], Some(&[0xc1, 1]))), Err(("withdrawals", items)));
    assert_eq!(check_earlier(&[0xc1, 1], Some(&[0xc1, 0xc0])), Ok(()));
    assert_eq!(check_earlier(&[0xc1, 1], None), Ok(()));
    assert_eq!(check_earlier(&[0x01], None), Err("a string, not an RLP list"));
    assert_eq!(check_earlier(&[0xc0], Some(&[0xc1, 1])), Err(items));
}

#[test]
fn a_length_that_stands_for_not_known_is_too_great() {
    let most = u32::MAX as usize - 1;
    assert_eq!(check_size(most), Ok(()));
    assert_eq!([most + 1, most + 2].map(check_size), [Err("4 GiB or more"); 2]);
    // Zeros that nobody looks at take no memory.
    let long = vec![0; most + 1];
    let (list, reason) = (&[0xc0][..], "4 GiB or more");
    assert_eq!(check_earlier(&long, None), Err(reason));
    assert_eq!(check_earlier(list, Some(&long)), Err(reason));
    let body = |header, ommers| BodyParts { header, ommers, are_hashes: false, withdrawals: None };
    assert_eq!(check_body(&body(&long, list)), Err(("header", reason)));
    assert_eq!(check_body(&body(list, &long)), Err(("ommers", reason)));
}

/// Rows of each section, as a file could say without having them.
#[test]
fn numbers_of_rows_are_bound() {
    use Section as S;
    let refusal = |rows: &BTreeMap<S, u64>| check_counts(|s| rows.get(&s).copied().unwrap_or(0)).err();
    assert_eq!(refusal(&BTreeMap::new()), None);
    let columns = |of: &[S], rows: u64| of.iter().map(|s| (*s, rows)).collect::<BTreeMap<_, _>>();
    let of_rows = [S::RowMoves, S::RowBytes, S::RowReceipts, S::RowAuthorities, S::RowSenders, S::RowStatus, S::RowGas];
    let of_moves = [S::MoveCells, S::MoveFlags, S::MoveIntx, S::MovePrev, S::MoveNext];
    let of_codes = [S::CodeHashes, S::CodeEnds];
    let most = u64::from(u32::MAX);
    let bounds: [(&[S], u64); 6] = [
        (&of_rows, u64::from(ROW_BOUND)),
        (&[S::Blocks], most),
        (&[S::Addresses], most),
        (&[S::Foreign], u64::from(FOREIGN_BOUND)),
        (&of_codes, most),
        (&of_moves, u64::MAX - 1),
    ];
    for (of, most) in bounds {
        assert_eq!(refusal(&columns(of, most)), None, "{of:?}");
        if most < u64::MAX - 1 {
            let reason = format!("{} rows, at most {most}", most + 1);
            assert_eq!(refusal(&columns(of, most + 1)), Some((of[0], reason)), "{of:?}");
        }
        for one in &of[1..] {
            let mut rows = columns(of, 2);
            rows.insert(*one, 3);
            assert_eq!(refusal(&rows), Some((*one, "3 rows, expected 2".into())));
        }
    }
    let mut masked = columns(&of_moves, 2);
    masked.insert(S::MoveMask, 2);
    assert_eq!(refusal(&masked), None);
    masked.insert(S::MoveMask, 1);
    assert_eq!(refusal(&masked), Some((S::MoveMask, "1 rows, expected 2".into())));
    let values = |lengths: u64, anchors| BTreeMap::from([(S::ValueLengths, lengths), (S::ValueAnchors, anchors)]);
    assert_eq!(
        [(16, 1), (17, 2), (most, 1 << 28)].map(|(n, anchors)| refusal(&values(n, anchors))),
        [None, None, None]
    );
    assert_eq!(refusal(&values(17, 1)), Some((S::ValueAnchors, "1 rows, expected 2".into())));
    assert_eq!(refusal(&values(most + 1, 1 << 28)).map(|(s, _)| s), Some(S::ValueLengths));
    // All kinds of cells share one numbering.
    let cells = |a, s, h| BTreeMap::from([(S::AccountCells, a), (S::StorageCells, s), (S::HashCells, h)]);
    for (a, s, h) in [(most, 0, 0), (0, most, 0), (0, 0, most), (most - 2, 1, 1)] {
        assert_eq!(refusal(&cells(a, s, h)), None);
        for (x, y, z) in [(1, 0, 0), (0, 1, 0), (0, 0, 1)] {
            let refused = refusal(&cells(a + x, s + y, h + z));
            assert_eq!(refused, Some((S::StorageCells, "2^32 cells or more".into())));
        }
    }
}

#[test]
fn tables_are_refused_at_their_borders() {
    use Section as S;
    let all_ones = |p: &mut Parts, section, row, field| {
        p.set_u32(section, row, field, u32::MAX);
        p.set_u32(section, row, field + 4, u32::MAX);
    };
    let code = |p: &mut Parts, hash: u8, end: u64| {
        p.part(S::CodeHashes).extend([hash; 32]);
        p.part(S::CodeEnds).extend(end.to_le_bytes());
    };
    let mut cases: Vec<Lie> = vec![
        ("section blocks, row 5: not the end", Box::new(|p| p.set_u32(S::Blocks, 5, 48, 1))),
        ("section blocks, row 5: not the end", Box::new(|p| p.set_u32(S::Blocks, 5, 52, 1))),
        ("section blocks, row 5: not the end", Box::new(|p| p.set_u32(S::Blocks, 5, 56, 1))),
        ("section blocks, row 1: 1 transactions", Box::new(|p| p.set_u32(S::Blocks, 2, 40, 5))),
        ("section blocks, row 1: reserved bits", Box::new(|p| p.set_u32(S::Blocks, 1, 56, 1))),
        ("section blocks, row 4: reserved bits", Box::new(|p| p.set_u32(S::Blocks, 4, 56, 1))),
        // Header and ommers may fill the body of a block with withdrawals, but then withdrawals are no list.
        ("block 10, ommers: not one or more hashes", Box::new(|p| p.set_u32(S::Blocks, 0, 48, 64 + 3))),
        ("section blocks, row 0: header and ommers have 72", Box::new(|p| p.set_u32(S::Blocks, 0, 48, 64 + 4))),
        ("section blocks, row 2: header and ommers have 3", Box::new(|p| p.set_u32(S::Blocks, 2, 44, 2))),
        ("section segments, row 1: 0 earlier headers from 3", Box::new(|p| p.set_u32(S::Segments, 1, 56, 3))),
        ("section segments, row 0: 8 earlier headers", Box::new(|p| p.set_u32(S::Segments, 0, 60, 8))),
        // One block more would be block 0 again.
        (
            "section segments, row 1: first block 18446744073709551615, origin 10: out of bounds",
            Box::new(move |p| all_ones(p, S::Segments, 1, 0)),
        ),
        (
            "section segments, row 0: more earlier headers than blocks before the first",
            Box::new(|p| {
                p.set_u32(S::Segments, 0, 0, 1);
                p.set_u32(S::Segments, 0, 8, 0);
            }),
        ),
        (
            "section move-intx, row ",
            Box::new(|p| {
                p.set_u32(S::Segments, 0, 0, 2);
                p.set_u32(S::Segments, 0, 8, 0);
            }),
        ),
        (
            "section segments: the segments have 5 blocks and 2 earlier headers in all",
            Box::new(|p| p.part(S::EarlierRows).extend([0; 8])),
        ),
        ("section spaces, row 1: address 6 of 6", Box::new(|p| p.set_u32(S::Spaces, 1, 0, 6))),
        ("section account-cells, row 3: address 6 of 6", Box::new(|p| p.set_u32(S::AccountCells, 3, 0, 6))),
        ("section storage-cells, row 0: space 0 of 2, slot 2 of 2", Box::new(|p| p.set_u32(S::StorageCells, 0, 4, 2))),
        ("section storage-cells, row 1: space 2 of 2, slot 0 of 2", Box::new(|p| p.set_u32(S::StorageCells, 1, 0, 2))),
        ("section foreign: does not begin", Box::new(|p| p.part(S::Foreign).clear())),
        (
            "section foreign, row 2: unknown version",
            Box::new(|p| {
                p.set_u32(S::Foreign, 2, 8, 0);
                p.set_u32(S::Foreign, 2, 12, 1 << 8);
            }),
        ),
        ("section code-hashes, row 2: the hash of row 0", Box::new(move |p| code(p, 1, 8))),
        ("section code-ends, row 2: ends at 4, the row before it at 8", Box::new(move |p| code(p, 9, 4))),
        ("section code-ends: end at 9 of 8 bytes", Box::new(move |p| code(p, 9, 9))),
        // As a table it is right: an empty code, and one that is absent.
        ("section code-hashes, row 2: a code that no account", Box::new(move |p| code(p, 9, 8))),
        ("section code-hashes, row 2: a code that no account", Box::new(move |p| code(p, 9, 8 | CODE_ABSENT))),
        ("section code-ends, row 2: ends at 9,", Box::new(move |p| code(p, 9, 9 | CODE_ABSENT))),
    ];
    // Each position that a block has, beyond the block after it.
    for field in [0, 8, 16, 24, 32] {
        cases.push((
            "section blocks, row 2: positions do not ascend",
            Box::new(move |p| p.set_u32(S::Blocks, 1, field + 4, 1)),
        ));
    }
    cases.push(("section blocks, row 2: positions do not ascend", Box::new(|p| p.set_u32(S::Blocks, 1, 40, 99))));
    check_lies(cases);
}

/// The second block's rows do not begin at 0, nor do the fourth's blocks.
#[test]
fn later_blocks_are_refused_with_section_and_row() {
    use Section as S;
    let cases: Vec<Lie> = vec![
        ("block 11, header: ", Box::new(|p| p.part(S::BodyBytes)[71] = 0x80)),
        ("block 10, header: ", Box::new(|p| p.part(S::BodyBytes)[2 * 71 + 4] = 0x80)),
        ("section row-moves, row 5: ends before", Box::new(|p| p.set_u32(S::RowMoves, 4, 0, 99))),
        ("section row-moves, row 6: ends before", Box::new(|p| p.set_u32(S::RowMoves, 5, 0, 99))),
        ("section row-moves, row 7: ends before", Box::new(|p| p.set_u32(S::RowMoves, 6, 0, 99))),
        ("section row-moves, row 7: does not end", Box::new(|p| p.set_u32(S::RowMoves, 7, 0, 99))),
        ("section row-senders, row 5: address 6", Box::new(|p| p.set_u32(S::RowSenders, 5, 0, 6))),
        ("section authorities, row 5: address beyond", Box::new(|p| p.set_u32(S::Authorities, 5, 0, 6))),
        ("section row-status, row 5: unknown status 128", Box::new(|p| p.row(S::RowStatus, 5)[0] = STATUS_PACKED)),
        ("section row-status, row 4: a system", Box::new(|p| p.set_u32(S::RowAuthorities, 4, 0, 1))),
        ("section row-status, row 7: a system", Box::new(|p| p.row(S::RowStatus, 7)[0] = STATUS_SUCCESS)),
        ("section row-status, row 7: a system", Box::new(|p| p.set_u32(S::RowBytes, 6, 0, 7))),
        ("section row-status, row 7: a system", Box::new(|p| p.set_u32(S::RowAuthorities, 6, 0, 3))),
        ("section row-gas, row 5: gas used without", Box::new(|p| p.row(S::RowStatus, 5)[0] = STATUS_NONE)),
        (
            "section row-receipts, row 5: receipt bytes without outcome",
            Box::new(|p| {
                p.row(S::RowStatus, 5)[0] = STATUS_NONE;
                p.row(S::RowGas, 5).fill(0);
            }),
        ),
        ("section row-receipts, row 5: no post-state root", Box::new(|p| p.set_u32(S::RowReceipts, 5, 0, 31))),
        ("section move-cells, row 16: cell 8 of 8", Box::new(|p| p.set_u32(S::MoveCells, 16, 0, 8))),
        ("section move-flags, row 16: reserved bits", Box::new(|p| p.row(S::MoveFlags, 16)[0] = 2)),
        ("section move-intx, row 16: row 10 is not of", Box::new(|p| p.set_u32(S::MoveIntx, 16, 0, 5 + 10))),
        (
            "section move-next, row 15: value 99 of",
            Box::new(|p| {
                p.set_u32(S::MoveNext, 15, 0, 99);
            }),
        ),
        ("section move-next, row 14: a read has a next", Box::new(|p| p.set_u32(S::MoveNext, 14, 0, 1))),
        ("section move-next, row 16: a read has a next", Box::new(|p| p.set_u32(S::MoveNext, 16, 0, 1))),
        ("section move-prev, row 18: value 0: a number", Box::new(|p| p.set_u32(S::MovePrev, 18, 0, 0))),
        ("section move-next, row 18: value 0: a number", Box::new(|p| p.set_u32(S::MoveNext, 18, 0, 0))),
        (
            "section move-intx, row 19: a foreign version for a row",
            // Of the first block's move too: it is made virgin.
            Box::new(|p| {
                p.set_u32(S::MoveIntx, 5, 0, INTX_VIRGIN);
                p.set_u32(S::MoveIntx, 11, 0, INTX_VIRGIN);
                p.set_u32(S::Foreign, 4, 8, 10 << 24 | 3);
            }),
        ),
    ];
    check_lies(cases);
    for (section, place) in [(S::MovePrev, "prev"), (S::MoveNext, "next")] {
        let beyond = move |p: &mut Parts| {
            let values = p.part(S::ValueLengths).len() as u32;
            p.set_u32(section, 15, 0, values);
        };
        let got = lie(beyond);
        assert!(got.starts_with(&format!("section move-{place}, row 15: value ")), "{got}");
    }
}

/// A file whose two segments are of the same blocks: a row of the other one is no version, in either direction.
#[test]
fn a_row_of_another_segment_is_no_version() {
    let mut block = empty_block();
    block.transactions[1].moves = vec![read(Cell::block_hash(7), at(10, 0), word(3))];
    let segments = (0..3).map(|_| (segment(10, 10), vec![block.clone()])).collect();
    let chain = Chain { segments, codes: Vec::new(), keys: Vec::new() };
    round_trip(&chain);
    let bound = 2;
    for (row, refused) in [(0, true), (1, true), (2, false), (3, false), (4, true), (5, true)] {
        let got = lie_about(&chain, |p| p.set_u32(Section::MoveIntx, 1, 0, bound + row));
        let expected = format!("section move-intx, row 1: row {row} is not of the move's segment");
        assert_eq!(got, if refused { expected } else { "accepted".into() });
    }
}

#[test]
fn a_segment_may_end_with_the_last_block_there_is() {
    let chain = Chain {
        segments: vec![(segment(BLOCK_BOUND - 2, 0), vec![empty_block(); 2])],
        codes: Vec::new(),
        keys: Vec::new(),
    };
    round_trip(&chain);
    let got = lie_about(&chain, |p| p.set_u32(Section::Segments, 0, 0, u32::MAX));
    assert!(got.starts_with("section segments, row 0: first block 1099511627775, origin 0: out of bounds"), "{got}");
    let mut earlier = segment(7, 0);
    earlier.earlier = vec![EarlierHeader { header: Bytes::from_static(&[0xc1, 1]), ommers: None }; 7];
    round_trip(&Chain { segments: vec![(earlier, vec![empty_block()])], codes: Vec::new(), keys: Vec::new() });
}

#[test]
fn outcomes_of_every_kind_come_back() {
    let of = |status, logs| {
        let outcome = Some(Outcome { status, gas_used: 1, logs });
        TransactionRecord { outcome, ..TransactionRecord::default() }
    };
    let log = sample().segments[0].1[0].transactions[1].outcome.clone().expect("an outcome").logs;
    let mut block = empty_block();
    for logs in [Vec::new(), log] {
        for status in [Status::Failure, Status::Success, Status::Root(None), Status::Root(Some(addr(3).into_word()))] {
            block.transactions.insert(1, of(status, logs.clone()));
        }
    }
    round_trip(&Chain { segments: vec![(segment(1, 0), vec![block])], codes: Vec::new(), keys: Vec::new() });
}

/// A chain of one block with two transactions whose logs are stored packed; the first one's receipt begins with a root.
fn packed_chain() -> Chain {
    let of = |status| {
        let mut log = sample().segments[0].1[0].transactions[1].outcome.clone().expect("an outcome").logs.remove(0);
        log.data = alloy_primitives::LogData::new_unchecked(Vec::new(), vec![0; 100].into());
        let outcome = Some(Outcome { status, gas_used: 1, logs: vec![log] });
        TransactionRecord { outcome, ..TransactionRecord::default() }
    };
    let mut block = empty_block();
    block.transactions.insert(1, of(Status::Root(Some(addr(3).into_word()))));
    block.transactions.insert(2, of(Status::Success));
    Chain { segments: vec![(segment(1, 0), vec![block])], codes: Vec::new(), keys: Vec::new() }
}

/// Puts other packed bytes in place of the second transaction's receipt.
fn put_packed(p: &mut Parts, packed: &[u8]) {
    let from = u32::from_le_bytes(p.row(Section::RowReceipts, 1).try_into().expect("four bytes")) as usize;
    p.part(Section::ReceiptBytes).truncate(from);
    p.part(Section::ReceiptBytes).extend_from_slice(packed);
    let end = (from + packed.len()) as u32;
    p.set_u32(Section::RowReceipts, 2, 0, end);
    p.set_u32(Section::RowReceipts, 3, 0, end);
    p.set_u32(Section::Blocks, 1, 24, end);
}

#[test]
fn packed_logs_are_checked_unpacked() {
    use Section as S;
    let chain = packed_chain();
    round_trip(&chain);
    let refused = |change: &dyn Fn(&mut Parts)| lie_about(&chain, change);
    assert_eq!(refused(&|p| assert_ne!(p.row(S::RowStatus, 1)[0] & STATUS_PACKED, 0)), "accepted");
    let got = refused(&|p| p.set_u32(S::RowReceipts, 1, 0, 31));
    assert!(got.starts_with("section row-receipts, row 1: no post-state root"), "{got}");
    let got = refused(&|p| p.row(S::RowStatus, 1)[0] = STATUS_SUCCESS | STATUS_PACKED);
    assert!(got.starts_with("section row-receipts, row 1: "), "{got}");
    let got = refused(&|p| p.row(S::RowStatus, 2)[0] = STATUS_SUCCESS);
    assert!(got.starts_with("section row-receipts, row 2: "), "{got}");
    // As long as what it stands for, or longer: the other form is the right one.
    for plain in [&[0xc1, 0xc0][..], &[]] {
        let got = refused(&|p| put_packed(p, &zero_runs::pack(plain)));
        let expected = "section row-receipts, row 2: packed, though that makes them no shorter";
        assert_eq!(got, expected, "{plain:?}");
    }
    let got = refused(&|p| put_packed(p, &zero_runs::pack(&[[0xc9].as_slice(), &[0; 9]].concat())));
    assert_eq!(got, "section row-receipts, row 2: an item is a string, not a list");
}

/// A list of one list of zero bytes, `bytes` long in all.
fn zeros(bytes: usize) -> Vec<u8> {
    let header = |payload: usize| [&[0xfb][..], &(payload as u32).to_be_bytes()].concat();
    let mut out = [header(bytes - 5), header(bytes - 10)].concat();
    out.resize(bytes, 0);
    out
}

#[test]
fn packed_logs_of_a_block_are_bound_together() {
    let chain = packed_chain();
    let outcome = chain.segments[0].1[0].transactions[1].outcome.as_ref().expect("an outcome");
    let left = UNPACKED_BOUND - encode_list(&outcome.logs).len();
    let with = |bytes: usize| lie_about(&chain, |p| put_packed(p, &zero_runs::pack(&zeros(bytes))));
    let refusal = "section row-receipts, row 2: packed bytes stand for more than their bound";
    assert_eq!(with(left + 1), refusal);
    // What is in them is another matter.
    assert_ne!(with(left), refusal);
}

/// A value's page is verified when a block that names it is: here it is in the midst of pages of values.
#[test]
fn a_damaged_value_is_refused_where_it_is_named() {
    let mut block = empty_block();
    let words = (0..6000).map(|n| read(Cell::block_hash(n), Version::Virgin, Value::Word(U256::MAX - U256::from(n))));
    block.transactions[0].moves = words.collect();
    let chain = Chain { segments: vec![(segment(1, 0), vec![block])], codes: Vec::new(), keys: Vec::new() };
    let mut bytes = round_trip(&chain);
    let layout = Header::parse(&bytes[..HEADER_BYTES], bytes.len() as u64).unwrap().layout;
    let values = layout.sections[Section::ValueBytes as usize].clone();
    assert!(values.end - values.start > 2 * PAGE_BYTES as u64);
    bytes[(values.start + values.end) as usize / 2] ^= 1;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.mana");
    std::fs::write(&path, &bytes).unwrap();
    let file = BlockFile::open(&path).unwrap();
    let error = file.block(0).unwrap_err().to_string();
    assert!(error.contains("checksum differs"), "{error}");
}

/// Groups of values add up one after the other.
#[test]
fn anchors_count_from_the_first_value() {
    let mut block = empty_block();
    let moves = (0..40).map(|n| read(Cell::block_hash(n), Version::Virgin, Value::Word(U256::from(n + 1) << 200)));
    block.transactions[0].moves = moves.collect();
    let chain = Chain { segments: vec![(segment(100, 100), vec![block])], codes: Vec::new(), keys: Vec::new() };
    round_trip(&chain);
    let got = lie_about(&chain, |p| p.row(Section::ValueAnchors, 1)[0] ^= 1);
    assert!(got.starts_with("section value-anchors, row 1: "), "{got}");
    let got = lie_about(&chain, |p| p.row(Section::ValueLengths, 17)[0] = 50);
    assert_eq!(got, "section value-lengths: in rows from 16: beyond 49");
}

#[test]
fn the_longest_value_comes_back() {
    let longest = AccountValue {
        present: true,
        nonce: u64::MAX,
        balance: U256::MAX,
        code_hash: alloy_primitives::B256::repeat_byte(1),
        generation: 1,
    };
    let mut block = empty_block();
    block.transactions[0].moves = vec![read(Cell::account(addr(1)), Version::Base(1), Value::Account(longest))];
    let chain = Chain { segments: vec![(segment(1, 0), vec![block])], codes: Vec::new(), keys: Vec::new() };
    round_trip(&chain);
    assert_eq!(lie_about(&chain, |p| assert_eq!(p.part(Section::ValueLengths)[..], [49])), "accepted");
}

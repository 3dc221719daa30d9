//! The block file as a whole: what is written comes back, and nothing else does.

mod boundaries;
mod faults;
mod hostile;
mod moves_only;
mod records;

use super::layout::{INTX_ASSUMED, INTX_VIRGIN};
use super::{BlockFile, Writer};
use crate::model::*;
use crate::{Error, Result};
use alloy_primitives::{B256, Bytes, KECCAK256_EMPTY, U256};
use proptest::prelude::*;
use records::*;
use std::path::Path;
use tempfile::TempDir;

const VERSIONS: &str = "manaflow 0.1.0, revm 43.0.3";

fn write_chain(path: &Path, chain: &Chain) -> Result<super::Summary> {
    let mut writer = Writer::create(path, &rules(), VERSIONS)?;
    for (start, blocks) in &chain.segments {
        writer.begin_segment(start)?;
        for block in blocks {
            writer.push(block)?;
        }
    }
    chain.keys.iter().try_for_each(|key| writer.signer_key(key))?;
    for (hash, code) in &chain.codes {
        writer.code(*hash, code)?;
        writer.code(*hash, code)?;
    }
    writer.finish()
}

fn entries(folder: &TempDir) -> Vec<String> {
    let names = std::fs::read_dir(folder.path()).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Writes, reads back, compares everything; returns the file's bytes.
fn round_trip(chain: &Chain) -> Vec<u8> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.mana");
    let summary = write_chain(&path, chain).unwrap();
    assert_eq!(entries(&folder), ["x.mana"]);
    let file = BlockFile::open(&path).unwrap();
    assert_eq!(file.rules(), &rules());
    assert_eq!(file.versions(), VERSIONS);
    assert_eq!(file.segments().len(), chain.segments.len());
    let mut codes = std::collections::BTreeMap::new();
    let (mut row, mut position) = (0, 0);
    for (s, (start, blocks)) in chain.segments.iter().enumerate() {
        assert_eq!(&file.segments()[s].start, start);
        assert_eq!(file.segments()[s].blocks, position..position + blocks.len());
        for (i, block) in blocks.iter().enumerate() {
            assert_eq!(&file.record(position).unwrap(), block);
            let view = file.block(position).unwrap();
            assert_eq!((view.number(), view.segment(), view.position()), (start.first + i as u64, s, position));
            assert_eq!(view.rows(), row..row + block.transactions.len() as u32);
            for (index, transaction) in view.transactions().enumerate() {
                assert_eq!(transaction.row(), row);
                assert_eq!(Some(transaction.location()), Location::new(view.number(), index as u64));
                assert_eq!(transaction.location(), file.location_of_row(row));
                row += 1;
            }
            for step in block.transactions.iter().flat_map(|t| &t.moves) {
                for value in [step.prev, step.next] {
                    if let Value::Account(account) = value {
                        codes.insert(account.code_hash, None);
                    }
                }
            }
            position += 1;
        }
    }
    codes.remove(&KECCAK256_EMPTY);
    for (hash, code) in &chain.codes {
        codes.entry(*hash).and_modify(|blob| *blob = Some(code.clone()));
    }
    let mut stored = std::collections::BTreeMap::new();
    for number in 0..file.code_count() as u32 {
        let (hash, blob) = file.code(number).unwrap();
        stored.insert(hash, blob.map(Bytes::copy_from_slice));
    }
    assert_eq!(stored, codes);
    assert_eq!(file.signer_keys().unwrap(), chain.keys);
    check_columns(&file);
    file.verify_all().unwrap();
    file.changed().unwrap();
    assert_eq!((summary.blocks, summary.rows), (position as u64, u64::from(row)));
    assert_eq!((summary.segments, summary.moves), (file.segments().len() as u64, file.move_count() as u64));
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(summary.file_bytes, bytes.len() as u64);
    // Sections and header add up to the file but for the padding of each section.
    let sizes: u64 = file.sizes().iter().map(|section| section.bytes).sum();
    assert!(sizes <= summary.file_bytes && summary.file_bytes - sizes < 64 * file.sizes().len() as u64);
    bytes
}

/// Ids ascend as cells do; equal values have equal bytes; intx has one form.
fn check_columns(file: &BlockFile) {
    let cells: Vec<Cell> = (0..file.cell_count()).map(|id| file.cell(id)).collect();
    assert!(cells.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(cells.iter().enumerate().all(|(id, cell)| file.mark(id as u32) == cell.mark));
    let moves: Vec<Move> = (0..file.move_count()).map(|i| file.move_at(i).unwrap()).collect();
    let mut read = Vec::new();
    for block in 0..file.block_count() {
        let view = file.block(block).unwrap();
        let reader = view.move_reader();
        view.transactions().for_each(|row| reader.read_into(row.moves(), &mut read).unwrap());
    }
    assert_eq!(read, moves, "moves read one by one and a transaction at a time");
    for (i, a) in moves.iter().enumerate() {
        assert_eq!(file.is_default(a.cell.mark, file.prev()[i]), a.prev == a.cell.default_value());
        assert_eq!(file.intx()[i] == INTX_VIRGIN, a.intx == Version::Virgin);
        assert_eq!(file.intx()[i] == INTX_ASSUMED, a.intx == Version::Assumed);
        for (j, b) in moves.iter().enumerate().filter(|(_, b)| b.cell.mark == a.cell.mark) {
            assert_eq!(file.values_equal(file.prev()[i], file.prev()[j]), a.prev == b.prev);
        }
    }
    let is_masked = moves.iter().any(|step| step.mask != 0);
    assert_eq!(file.mask().is_some(), is_masked);
}

#[test]
fn the_sample_round_trips() {
    let bytes = round_trip(&sample());
    assert_eq!(bytes, round_trip(&sample()), "same blocks, same bytes");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_chains_round_trip_and_are_deterministic(chain in chain()) {
        prop_assert_eq!(round_trip(&chain), round_trip(&chain));
    }
}

#[test]
fn hints_of_tuples_that_are_not_there_are_left_out_and_missing_ones_are_zero() {
    let mut chain = sample();
    let given = [B256::repeat_byte(1), B256::repeat_byte(2), B256::repeat_byte(3), B256::repeat_byte(4)];
    chain.segments[0].1[0].transactions[1].signature_r = given[..2].to_vec();
    chain.segments[0].1[0].transactions[2].signature_r = given.to_vec();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.mana");
    write_chain(&path, &chain).unwrap();
    let file = BlockFile::open(&path).unwrap();
    let record = file.record(0).unwrap();
    assert_eq!(record.transactions[1].signature_r, [given[0], given[1], B256::ZERO]);
    assert_eq!(record.transactions[2].signature_r, given[..3]);
    assert_eq!((file.signature_count(), file.signature_r_count()), (12, 12));
    assert_eq!(file.block(0).unwrap().transaction(0).unwrap().signature_r(), None);
    // Without any, the column is empty.
    for row in chain.segments[0].1.iter_mut().flat_map(|block| &mut block.transactions) {
        row.signature_r.clear();
    }
    write_chain(&path, &chain).unwrap();
    let file = BlockFile::open(&path).unwrap();
    assert_eq!((file.signature_count(), file.signature_r_count()), (12, 0));
    assert_eq!(file.block(0).unwrap().transaction(1).unwrap().signature_r(), None);
}

#[test]
fn nodes_of_tries_are_kept_once_and_end_with_what_is_no_list() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nodes.mana");
    let mut writer = Writer::create(&path, &rules(), "test").unwrap();
    writer.begin_segment(&segment(10, 10)).unwrap();
    for node in [&[0xc2, 1, 2][..], &[0xc1, 5], &[0xc2, 1, 2], &[5], &[0xc1, 6]] {
        writer.state_node(node).unwrap();
    }
    writer.push(&empty_block()).unwrap();
    writer.finish().unwrap();
    let file = BlockFile::open(&path).unwrap();
    file.verify_all().unwrap();
    assert_eq!(file.state_nodes().unwrap(), [&[0xc2, 1, 2][..], &[0xc1, 5]]);
}

#[test]
fn many_pages_and_values_round_trip() {
    let block = |n: u64| {
        let mut block = empty_block();
        let cell = |j| Cell::storage(addr((j % 200) as u8), 0, U256::from(n * 100 + j).pow(U256::from(7)));
        let moves = (0..100).map(|j| write(cell(j), at(n, 0), word(n * j), word(n * j + 1))).collect();
        block.transactions.insert(1, TransactionRecord { moves, ..TransactionRecord::default() });
        block
    };
    let chain =
        Chain { segments: vec![(segment(1, 0), (1..=100).map(block).collect())], codes: Vec::new(), keys: Vec::new() };
    let bytes = round_trip(&chain);
    assert!(bytes.len() > 5 << 16, "several pages");
}

#[test]
fn a_location_is_a_row_exactly_if_its_own_segment_has_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.mana");
    write_chain(&path, &sample()).unwrap();
    let file = BlockFile::open(&path).unwrap();
    let view = file.block(0).unwrap();
    let moves = view.transaction(1).unwrap().moves();
    let foreign = file.foreign_count();
    // virgin, assumed, base(10), 3:3, 10:9
    assert_eq!(foreign, 5);
    assert_eq!(file.intx()[moves], [2, foreign, foreign + 4 + 1, 3, 4, 0]);
    assert_eq!(
        [0, 1, 2, 3, 4].map(|intx| file.version(intx)),
        [Version::Virgin, Version::Assumed, Version::Base(10), at(3, 3), at(10, 9)]
    );
    assert_eq!(file.version(foreign + 4 + 1), at(11, 1), "a later block of the segment");
    assert_eq!(view.transaction(4).map(|row| row.row()), None);
}

#[test]
fn a_later_block_makes_a_row_only_if_it_has_the_index_and_comes() {
    let ahead = |block, index| {
        let mut record = empty_block();
        record.transactions[0].moves = vec![read(Cell::account(addr(1)), at(block, index), account(1, None, 0))];
        record
    };
    let chain = Chain {
        segments: vec![
            (segment(0, 0), vec![ahead(1, 1), ahead(3, 0)]),
            (segment(0, 0), vec![ahead(1, 2), empty_block()]),
        ],
        codes: Vec::new(),
        keys: Vec::new(),
    };
    round_trip(&chain);
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.mana");
    write_chain(&path, &chain).unwrap();
    let file = BlockFile::open(&path).unwrap();
    assert_eq!(file.foreign_count(), 4);
    assert_eq!(file.intx(), [4 + 3, 3, 2]);
}

fn refused(change: impl FnOnce(&mut Chain)) -> String {
    let mut chain = sample();
    change(&mut chain);
    let folder = TempDir::new().unwrap();
    let error = write_chain(&folder.path().join("x.mana"), &chain).unwrap_err();
    assert!(entries(&folder).is_empty(), "nothing is left behind");
    match error {
        Error::Malformed { place, reason, .. } => format!("{place}: {reason}"),
        other => panic!("{other}"),
    }
}

#[test]
fn the_writer_refuses_what_the_format_cannot_say() {
    let block = |chain: &mut Chain, change: &dyn Fn(&mut BlockRecord)| change(&mut chain.segments[0].1[0]);
    let step = |change: &dyn Fn(&mut Move)| refused(|c| change(&mut c.segments[0].1[0].transactions[1].moves[0]));
    let place = "block 10, index 1, move 0: ";
    let cases = [
        (refused(|c| c.segments.clear()), "end: a file has segments, and a segment has blocks".into()),
        (refused(|c| c.segments[2].1.clear()), "end: a file has segments, and a segment has blocks".into()),
        (refused(|c| c.segments[1].1.clear()), "segment 2: the segment before it has no block".into()),
        (refused(|c| c.segments[0].0.origin = 11), "segment 0: first block 10, origin 11: out of bounds".into()),
        (
            refused(|c| c.segments[2].0.earlier = c.segments[0].0.earlier.clone()),
            "segment 2: 2 earlier headers before block 0".into(),
        ),
        (
            refused(|c| c.segments[0].0.earlier[1].header = Bytes::from_static(&[1])),
            "segment 0, earlier header 1: a string, not an RLP list".into(),
        ),
        (
            refused(|c| c.segments[2].0.first = BLOCK_BOUND),
            format!("segment 2: first block {BLOCK_BOUND}, origin 0: out of bounds"),
        ),
        (
            refused(|c| block(c, &|b| b.transactions.truncate(1))),
            "block 10: 1 transactions: a block has opening and closing, below 2^24".into(),
        ),
        (refused(|c| block(c, &|b| b.body.header = Bytes::new())), "block 10, header: not well-formed RLP".into()),
        (
            refused(|c| block(c, &|b| b.body.ommers = Ommers::Hashes(Vec::new()))),
            "block 10, ommers: not one or more hashes of 32 bytes".into(),
        ),
        (
            refused(|c| block(c, &|b| b.body.withdrawals = Some(Bytes::from_static(&[0xc1, 1])))),
            "block 10, withdrawals: an item is a string, not a list".into(),
        ),
        (
            refused(|c| block(c, &|b| b.transactions[3].sender = Some(addr(1)))),
            "block 10, index 3: a system transaction has bytes, sender, authorities or outcome".into(),
        ),
        (
            refused(|c| block(c, &|b| b.transactions[0].signature_r = vec![B256::ZERO])),
            "block 10, index 0: R.y, but no signature".into(),
        ),
        (refused(|c| c.keys.resize(13, [0; 64])), "end: 13 keys of signers for 12 signatures".into()),
        (
            refused(|c| block(c, &|b| b.transactions[1].requests = vec![Bytes::new()])),
            "block 10, index 1: request outputs, but not a closing".into(),
        ),
        (step(&|m| m.mode = Mode::Read), format!("{place}a read whose next is not its prev")),
        (
            step(&|m| m.cell.generation = 1),
            format!("{place}cell a:{:#x} has fields that its mark does not use", addr(1)),
        ),
        (
            step(&|m| (m.cell.mark, m.cell.addr, m.cell.slot) = (Mark::BlockHash, addr(0), U256::from(1) << 64)),
            format!("{place}cell h:{} has fields that its mark does not use", U256::from(1) << 64),
        ),
        (step(&|m| m.prev = word(1)), format!("{place}the value is not of the kind that the cell's mark has")),
        (
            step(&|m| m.next = Value::Account(AccountValue { nonce: 1, ..AccountValue::ABSENT })),
            format!("{place}an absent account has nonce, balance or code"),
        ),
        (step(&|m| m.intx = Version::Base(BLOCK_BOUND)), format!("{place}base({BLOCK_BOUND}): 2^40 or more")),
        (
            refused(|c| {
                let moves = vec![read(Cell::account(addr(1)), Version::Assumed, account(1, None, 0))];
                c.segments[2].1[0].transactions[0].moves = moves;
            }),
            "block 0, index 0, move 0: base or assumed in a segment from genesis".into(),
        ),
    ];
    for (got, expected) in cases {
        assert_eq!(got, expected);
    }
}

#[test]
fn a_writer_is_dropped_or_fails_without_traces() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.mana");
    std::fs::write(&path, b"older").unwrap();
    let mut writer = Writer::create(&path, &rules(), VERSIONS).unwrap();
    assert!(matches!(writer.push(&empty_block()), Err(Error::Malformed { .. })), "no segment has begun");
    assert!(
        matches!(writer.begin_segment(&segment(0, 0)), Err(Error::Malformed { .. })),
        "failed once, failed for good"
    );
    assert!(writer.finish().is_err());
    let mut writer = Writer::create(&path, &rules(), VERSIONS).unwrap();
    writer.begin_segment(&segment(0, 0)).unwrap();
    writer.push(&empty_block()).unwrap();
    drop(writer);
    assert_eq!(entries(&folder), ["x.mana"]);
    assert_eq!(std::fs::read(&path).unwrap(), b"older");
    assert!(Writer::create(&path, &rules(), "line\nbreak").is_err());
    assert!(Writer::create(&path, &rules(), &"x".repeat(129)).is_err());
    assert!(Writer::create(folder.path().join("no/such/folder/x"), &rules(), VERSIONS).is_err());
}

#[test]
fn a_name_taken_by_a_folder_leaves_no_temporary_file() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.mana");
    std::fs::create_dir(&path).unwrap();
    assert!(matches!(write_chain(&path, &sample()), Err(Error::Io { .. })));
    assert_eq!(entries(&folder), ["x.mana"]);
    assert!(matches!(BlockFile::open(&path), Err(Error::Malformed { .. })), "a folder is not a block file");
    assert!(BlockFile::open(folder.path().join("none")).unwrap_err().is_input());
}

#[test]
fn a_file_that_changes_says_so() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.mana");
    write_chain(&path, &sample()).unwrap();
    let file = BlockFile::open(&path).unwrap();
    file.changed().unwrap();
    write_chain(&path, &sample()).unwrap();
    assert!(matches!(file.changed(), Err(Error::Changed { .. })), "same bytes, another file");
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(file.changed(), Err(Error::Changed { .. })));
    assert_eq!(file.record(0).unwrap(), sample().segments[0].1[0], "the map keeps the bytes");
}

#[test]
fn ranges_and_numbers_beyond_the_tables_are_errors() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.mana");
    write_chain(&path, &sample()).unwrap();
    let file = BlockFile::open(&path).unwrap();
    let count = file.block_count();
    assert!(file.verify_blocks(0..count + 1).is_err());
    #[allow(clippy::reversed_empty_ranges)] // the range under test
    let reversed = file.verify_blocks(2..1);
    assert!(reversed.is_err());
    assert!(file.block(count).is_err() && file.block(usize::MAX).is_err());
    assert!(file.value(Mark::Account, file.value_count()).is_err());
    assert!(file.code(file.code_count() as u32).is_err());
    let (hash, blob) = file.code(0).unwrap();
    assert_eq!((hash, blob), (B256::repeat_byte(1), None), "named by an account, not known");
}

#[test]
fn threads_may_verify_the_same_blocks() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.mana");
    write_chain(&path, &sample()).unwrap();
    let file = BlockFile::open(&path).unwrap();
    let expected: Vec<BlockRecord> = sample().segments.into_iter().flat_map(|segment| segment.1).collect();
    std::thread::scope(|scope| {
        for start in 0..4 {
            let (file, expected) = (&file, &expected);
            scope.spawn(move || {
                for i in 0..expected.len() {
                    let block = (start + i) % expected.len();
                    assert_eq!(&file.record(block).unwrap(), &expected[block]);
                }
            });
        }
    });
    assert!(file.verify_all().is_ok());
}

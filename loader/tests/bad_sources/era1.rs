//! era1 files: cut off, changed, with entries, accumulators and names that contradict the rest.

use crate::world::{World, accumulator, entry, list, pack, write};
use alloy_consensus::Header;
use alloy_primitives::{B256, U256};

/// What an era1 file is made of.
struct Parts {
    /// Entries of each block: header, body, receipts, total difficulty.
    blocks: Vec<[Vec<u8>; 4]>,
    /// Entries between the last block and the index.
    others: Vec<u8>,
    first: u64,
}

/// Blocks of headers; block 1 has a transaction and the receipts given. `before` is the total difficulty before them.
fn parts(headers: &[Header], before: u64, receipts_of_1: &[u8]) -> Parts {
    let mut difficulty = U256::from(before);
    let mut records = Vec::new();
    let mut blocks = Vec::new();
    for header in headers {
        difficulty += header.difficulty;
        records.push((header.hash_slow(), difficulty));
        let is_1 = header.number == 1;
        let transactions = if is_1 { list(&[&list(&[&[1]])]) } else { vec![0xc0] };
        blocks.push([
            entry(0x03, &pack(&alloy_rlp::encode(header))),
            entry(0x04, &pack(&list(&[&transactions, &[0xc0]]))),
            entry(0x05, &pack(if is_1 { receipts_of_1 } else { &[0xc0] })),
            entry(0x06, &difficulty.to_le_bytes::<32>()),
        ]);
    }
    Parts { blocks, others: entry(0x07, accumulator(&records).as_slice()), first: headers[0].number }
}

impl Parts {
    fn file(&self) -> Vec<u8> {
        let mut file = entry(0x3265, &[]);
        let mut starts = Vec::new();
        for block in &self.blocks {
            starts.push(file.len() as i64);
            file.extend(block.concat());
        }
        file.extend(&self.others);
        let index_start = file.len() as i64;
        let mut index = self.first.to_le_bytes().to_vec();
        starts.iter().for_each(|start| index.extend((start - index_start).to_le_bytes()));
        index.extend((starts.len() as u64).to_le_bytes());
        file.extend(entry(0x3266, &index));
        file
    }
}

/// An era1 file of headers in a row.
pub fn era1_of(headers: &[Header]) -> Vec<u8> {
    parts(headers, 1000, &receipt_with_root()).file()
}

/// An era1 file of blocks 0 to `last`.
fn era1(world: &World, last: u64, receipts_of_1: &[u8]) -> Vec<u8> {
    parts(&world.headers(last), 0, receipts_of_1).file()
}

fn receipt_with_root() -> Vec<u8> {
    list(&[&list(&[&alloy_rlp::encode(B256::repeat_byte(7)), &[1]])])
}

#[test]
fn an_era1_file_yields_witness_roots_and_difficulties() {
    let world = World::new();
    write(&world.path("x.era1"), era1(&world, 2, &receipt_with_root()));
    let blocks = world.stream(&["x.era1"]).expect("well-formed");
    assert_eq!(blocks.len(), 3);
    assert_eq!(blocks[1].witness_roots, Some(vec![B256::repeat_byte(7)]));
    assert_eq!(blocks[2].witness_roots, Some(vec![]));
    assert_eq!(blocks[2].total_difficulty, Some(U256::from(0x11 + 1 + 2)));
    write(&world.path("x.era1"), era1(&world, 2, &list(&[&list(&[&[1], &[1]])])));
    assert_eq!(world.stream(&["x.era1"]).expect("well-formed")[1].witness_roots, None);
    write(&world.path("x.era1"), era1(&world, 2, &[0xc0]));
    assert!(world.refusal(&["x.era1"]).contains("got 0 receipts, expected 1"));
}

#[test]
fn every_truncation_of_an_era1_file_is_found() {
    let world = World::new();
    let whole = era1(&world, 1, &receipt_with_root());
    for length in 0..whole.len() {
        write(&world.path("cut.era1"), &whole[..length]);
        let reason = world.refusal(&["cut.era1"]);
        assert!(reason.contains("cut.era1: byte "), "{length}: {reason}");
    }
    let mut longer = whole;
    longer.push(0);
    write(&world.path("cut.era1"), longer);
    assert!(world.refusal(&["cut.era1"]).contains("1 bytes after the block index"));
}

#[test]
fn every_changed_byte_of_an_era1_file_is_an_answer() {
    let world = World::new();
    let whole = era1(&world, 1, &receipt_with_root());
    write(&world.path("changed.era1"), &whole);
    let expected = world.stream(&["changed.era1"]).expect("well-formed");
    let mut refused = 0;
    for at in 0..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            write(&world.path("changed.era1"), &bytes);
            match world.stream(&["changed.era1"]) {
                // Packings of the same bytes: snappy has checksums, and the accumulator is over the rest.
                Ok(blocks) => assert_eq!(blocks, expected, "byte {at}"),
                Err(error) => {
                    assert!(error.is_input() && error.to_string().contains("changed.era1"), "{error}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > whole.len(), "{refused}");
}

#[test]
fn wrong_entries_of_an_era1_file_are_named() {
    let world = World::new();
    let whole = era1(&world, 1, &receipt_with_root());
    // First block, two offsets, count.
    let index = whole.len() - 32;
    let with = |at: usize, bytes: &[u8]| {
        let mut file = whole.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let cases: [(Vec<u8>, &str); 9] = [
        (
            with(10, &u32::MAX.to_le_bytes()),
            "byte 8 (block 1 of the file): entry 0x0003 has 4294967295 bytes, the file has",
        ),
        (with(14, &[1]), "reserved bytes are not zero"),
        (with(8, &[0x04]), "got entry 0x0004, expected a block's header"),
        (with(16, b"garbage"), "snappy: "),
        (with(4, &[1]), "neither a list in RLP"),
        (with(index, &[1]), "block index: got first block 1, its header says 0"),
        (with(index + 8, &[0]), "block index: row 0: got offset"),
        (with(index + 16, &[0]), "block index: row 1: got offset"),
        (with(index + 24, &[3]), "block index: got count 3, expected 2"),
    ];
    for (file, words) in cases {
        write(&world.path("bad.era1"), file);
        let reason = world.refusal(&["bad.era1"]);
        assert!(reason.contains(words), "{words}: {reason}");
    }
    // Entries of a kind that is not known are passed over.
    let mut more = whole[..8].to_vec();
    more.extend(entry(0x7777, b"something"));
    more.extend(&whole[8..]);
    write(&world.path("more.era1"), more);
    assert_eq!(world.stream(&["more.era1"]).expect("one more entry").len(), 2);
}

/// Changes the parts of a file of blocks 0 to 2 and gives the reason for which it is refused.
fn refusal(world: &World, change: impl FnOnce(&mut Parts)) -> String {
    let mut parts = parts(&world.headers(2), 0, &receipt_with_root());
    change(&mut parts);
    write(&world.path("x.era1"), parts.file());
    world.refusal(&["x.era1"])
}

#[test]
fn the_accumulator_is_of_the_blocks() {
    let world = World::new();
    let headers = world.headers(2);
    type Records = Vec<(B256, U256)>;
    let of = |change: &dyn Fn(&mut Records)| {
        let mut records: Vec<_> = headers.iter().map(|header| (header.hash_slow(), header.difficulty)).collect();
        (1..records.len()).for_each(|at| {
            let before = records[at - 1].1;
            records[at].1 += before;
        });
        change(&mut records);
        accumulator(&records)
    };
    let right = of(&|_| ());
    for (what, wrong) in [
        ("no block", B256::repeat_byte(9)),
        ("another hash", of(&|records| records[1].0.0[31] ^= 1)),
        ("another difficulty", of(&|records| records[2].1 += U256::from(1))),
        ("one block fewer", of(&|records| records.truncate(2))),
        ("one block more", of(&|records| records.push((B256::ZERO, U256::ZERO)))),
        ("another order", of(&|records| records.swap(0, 1))),
    ] {
        let reason = refusal(&world, |parts| parts.others = entry(0x07, wrong.as_slice()));
        let words =
            format!("accumulator: got {wrong}, expected {right} of hashes and total difficulties of the 3 blocks");
        assert!(reason.contains(&words) && reason.contains("x.era1: byte "), "{what}: {reason}");
    }
    // A false difficulty of a block, with the right accumulator.
    let reason = refusal(&world, |parts| parts.blocks[1][3] = entry(0x06, &[1; 32]));
    assert!(reason.contains(&format!("accumulator: got {right}, expected 0x")), "{reason}");
    let reason = refusal(&world, |parts| parts.others.clear());
    assert!(reason.contains("got no accumulator (entry 0x0007) before it, expected one"), "{reason}");
    let reason = refusal(&world, |parts| parts.others.extend(parts.others.clone()));
    assert!(reason.contains("got a second accumulator, expected one"), "{reason}");
    let reason = refusal(&world, |parts| parts.others = entry(0x07, &[0; 31]));
    assert!(reason.contains("accumulator: got 31 bytes, expected 32"), "{reason}");
}

#[test]
fn entries_out_of_order_are_named() {
    let world = World::new();
    type Case<'a> = (&'a dyn Fn(&mut Parts), &'a str);
    let cases: [Case<'_>; 9] = [
        (&|p| p.blocks[1].swap(0, 1), "block 2 of the file): got entry 0x0004, expected a block's header"),
        (&|p| p.blocks[1].swap(1, 2), "block 2 of the file): got entry 0x0005, expected 0x0004"),
        (&|p| p.blocks[1].swap(2, 3), "block 2 of the file): got entry 0x0006, expected 0x0005"),
        (&|p| p.blocks[2][3].clear(), "block 3 of the file): got entry 0x0007, expected 0x0006"),
        (&|p| p.blocks.swap(0, 1), "block index: got first block 0, its header says 1"),
        (&|p| p.blocks.swap(1, 2), "block index: row 2: got block 2, its header says 1"),
        (&|p| p.others.extend(p.blocks[2].concat()), "got a block's header, expected none after the accumulator"),
        (&|p| p.others.splice(..0, entry(0x3265, &[])).for_each(drop), "got entry 0x3265, expected a block's header"),
        (&|p| p.others.splice(..0, entry(0x3266, &[])).for_each(drop), "got a block index, expected it at byte"),
    ];
    for (change, words) in cases {
        let reason = refusal(&world, change);
        assert!(reason.contains(words), "{words}: {reason}");
    }
    // Blocks that the index does not count.
    let reason = refusal(&world, |p| {
        let more = p.blocks[2].concat();
        p.blocks[2][3].extend(more);
    });
    assert!(reason.contains("block index: got count 3, the file has more blocks"), "{reason}");
}

#[test]
fn a_standard_name_says_what_is_in_the_file() {
    let world = World::new();
    let parts = parts(&world.headers(2), 0, &receipt_with_root());
    let root = alloy_primitives::hex::encode(&parts.others[8..12]);
    let stream = |name: &str| {
        write(&world.path(name), parts.file());
        world.stream(&[name]).map_err(|error| error.to_string())
    };
    for name in [format!("own-00000-{root}.era1"), format!("own-0-{root}.era1"), "own-00007-x.era1".into()] {
        assert_eq!(stream(&name).expect(&name).len(), 3);
    }
    let reason = stream("own-00000-00c0ffee.era1").expect_err("another root");
    let words =
        format!("00c0ffee.era1: name: got 00c0ffee, expected {root}, the accumulator: the file is not what its");
    assert!(reason.contains(&words), "{reason}");
    let reason = stream(&format!("own-00001-{root}.era1")).expect_err("another epoch");
    assert!(reason.contains("name: got epoch 1, expected that of the first block, 0"), "{reason}");
}

//! ere files: cut off, changed, with entries, indexes, accumulators and names that contradict the rest.

use crate::e2store_writer::{Ere, Receipts, statuses};
use crate::world::{World, entry, list, pack, write};
use alloy_primitives::{B256, U256};
use manaflow_loader::source::SourceBlock;

/// Blocks 0 to `last` as an RLP chain has them; those from `merge` on without difficulty.
fn blocks(world: &World, last: u64, merge: u64) -> Vec<SourceBlock> {
    let mut headers = world.headers(last);
    for number in 1..headers.len() {
        headers[number].parent_hash = headers[number - 1].hash_slow();
        if number as u64 >= merge {
            headers[number].difficulty = U256::ZERO;
        }
    }
    let transactions = list(&[&list(&[&[1], &[2]]), &[0x82, 0x02, 0xc0]]);
    let block = |header: &alloy_consensus::Header| {
        let transactions = if header.number == 0 { vec![0xc0] } else { transactions.clone() };
        list(&[&alloy_rlp::encode(header), &transactions, &[0xc0]])
    };
    write(&world.path("blocks.rlp"), headers.iter().map(block).collect::<Vec<_>>().concat());
    world.stream(&["blocks.rlp"]).expect("well-formed")
}

/// Slim receipts with the post-state roots 0x0707….
fn roots(block: &SourceBlock) -> Vec<u8> {
    let receipt = list(&[&[0x80], &alloy_rlp::encode(B256::repeat_byte(7)), &[1], &[0xc0]]);
    list(&vec![receipt.as_slice(); block.transactions.len()])
}

/// A small file with every component: blocks 0 to 2, the last after the merge.
fn sample(world: &World) -> Ere {
    let mut ere = Ere::new(&blocks(world, 2, 2), U256::ZERO, Some(&roots));
    ere.add_proofs();
    ere
}

fn refusal(world: &World, file: &[u8]) -> String {
    write(&world.path("x.ere"), file);
    world.refusal(&["x.ere"])
}

#[test]
fn an_ere_file_is_read_with_and_without_what_may_be_missing() {
    let world = World::new();
    let plain = blocks(&world, 4, 3);
    let totals = [0x11, 0x12, 0x14, 0x14, 0x14].map(|total| Some(U256::from(total)));
    for (receipts, has_proofs) in [(None, false), (Some(&roots as _), true), (Some(&statuses as _), false)] {
        let receipts: Option<Receipts<'_>> = receipts;
        for is_interleaved in [false, true] {
            for has_totals in [false, true] {
                let mut ere = Ere::new(&plain, U256::ZERO, receipts);
                ere.is_interleaved = is_interleaved;
                if has_proofs {
                    ere.add_proofs();
                }
                if !has_totals {
                    ere.groups.retain(|(kind, _)| *kind != 0x06);
                    ere.others.clear();
                }
                write(&world.path("x.ere"), ere.file());
                let read = world.stream(&["x.ere"]).expect("well-formed");
                for (at, (block, plain)) in read.iter().zip(&plain).enumerate() {
                    let mut expected = plain.clone();
                    expected.total_difficulty = totals[at].filter(|_| has_totals);
                    expected.witness_roots = has_proofs.then(|| vec![B256::repeat_byte(7); plain.transactions.len()]);
                    // Of no transactions there are no roots and no statuses.
                    if receipts.is_some() && plain.transactions.is_empty() {
                        expected.witness_roots = Some(Vec::new());
                    }
                    assert_eq!(*block, expected);
                }
                assert_eq!(read.len(), 5);
            }
        }
    }
    // After the merge: no total difficulties, no accumulator. Told by its content under any name.
    write(&world.path("b.data"), Ere::new(&plain[3..], U256::ZERO, None).file());
    write(&world.path("a.erae"), Ere::new(&plain[..3], U256::ZERO, None).file());
    let read = world.stream(&["b.data", "a.erae"]).expect("well-formed");
    assert_eq!((read.len(), read[4].total_difficulty), (5, None));
}

#[test]
fn a_folder_of_eras_of_both_formats_is_one_chain() {
    let world = World::new();
    let plain = blocks(&world, 4, 9);
    let headers: Vec<_> = plain.iter().map(|block| *block.header.clone()).collect();
    write(&world.path("f/a.era1"), crate::era1::era1_of(&headers[..2]));
    write(&world.path("f/b.erae"), Ere::new(&plain[2..4], U256::from(7), Some(&roots)).file());
    write(&world.path("f/c.ere"), Ere::new(&plain[4..], U256::from(7), Some(&roots)).file());
    assert_eq!(world.stream(&["f"]).expect("they meet").len(), 5);
    std::fs::remove_file(world.path("f/b.erae")).expect("removed");
    let reason = world.refusal(&["f"]);
    assert!(reason.contains("f/c.ere: first block: gap: blocks 2..3 (epoch 0) are missing between "), "{reason}");
}

#[test]
fn every_truncation_of_an_ere_file_is_found() {
    let world = World::new();
    let whole = sample(&world).file();
    for length in 0..whole.len() {
        let reason = refusal(&world, &whole[..length]);
        assert!(reason.contains("x.ere: byte "), "{length}: {reason}");
    }
    let reason = refusal(&world, &[&whole[..], &[0]].concat());
    assert!(reason.contains("1 bytes after the block index"), "{reason}");
}

#[test]
fn every_changed_byte_of_an_ere_file_is_an_answer() {
    let world = World::new();
    let ere = sample(&world);
    let whole = ere.file();
    write(&world.path("x.ere"), &whole);
    let expected = world.stream(&["x.ere"]).expect("well-formed");
    let is_proof = |at: usize| {
        let proofs = ere.groups[4].1.concat();
        whole
            .windows(proofs.len())
            .position(|w| w == proofs)
            .is_some_and(|start| (start..start + proofs.len()).contains(&at))
    };
    let mut refused = 0;
    for at in 0..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            write(&world.path("x.ere"), &bytes);
            match world.stream(&["x.ere"]) {
                // Proofs, packings of the same bytes, and what the merge leaves to no accumulator: the last total.
                Ok(mut blocks) => {
                    blocks[2].total_difficulty = expected[2].total_difficulty;
                    assert_eq!(blocks, expected, "byte {at}");
                }
                Err(error) => {
                    assert!(error.is_input() && error.to_string().contains("x.ere"), "{error}");
                    refused += 1;
                }
            }
        }
    }
    let others = (0..whole.len()).filter(|at| !is_proof(*at)).count();
    assert!(refused > 2 * others, "{refused} of {others}");
}

#[test]
fn wrong_entries_of_an_ere_file_are_named() {
    let world = World::new();
    type Change<'a> = &'a dyn Fn(&mut Ere);
    let cases: [(Change<'_>, &str); 14] = [
        (&|e| e.groups[0].1[0][6] = 1, "entry 0x0003: reserved bytes are not zero"),
        (&|e| e.groups[1].1[2][7] = 1, "entry 0x0004: reserved bytes are not zero"),
        (&|e| e.groups[1].1[1][2] -= 1, "byte "),
        (&|e| e.groups[1].1[1] = entry(0x04, b"garbage"), "(block 2 of the file): snappy: "),
        (&|e| e.groups[1].1[1] = entry(0x04, &pack(&[0x80])), "(block 2 of the file): body: got a string"),
        (&|e| e.groups[2].1[1] = entry(0x0a, &pack(&[0xc0])), "(block 2 of the file): got 0 receipts, expected 2"),
        (&|e| e.groups[3].1[1] = entry(0x06, &[1; 31]), "(block 2 of the file): total difficulty: got 31 bytes"),
        (&|e| e.groups[3].1[1] = entry(0x06, &[1; 32]), "accumulator: got 0x"),
        (&|e| e.others = entry(0x07, &[1; 32]), "of the 2 blocks with a difficulty"),
        (&|e| e.others = entry(0x07, &[1; 31]), "accumulator: got 31 bytes, expected 32, right before the index"),
        (&|e| e.others.extend(entry(0x77, &[])), "accumulator: got 32 bytes, expected 32, right before the index"),
        (&|e| e.others.splice(..0, entry(0x3265, &[])).for_each(drop), "got entry 0x3265, expected blocks up to"),
        (&|e| e.others.splice(..0, entry(0x3266, &[])).for_each(drop), "got entry 0x3266, expected blocks up to"),
        (&|e| e.first = 1, "block index: got first block 1, its header says 0"),
    ];
    for (change, words) in cases {
        let mut ere = sample(&world);
        change(&mut ere);
        let reason = refusal(&world, &ere.file());
        assert!(reason.contains(words), "{words}: {reason}");
    }
    // Other entries are passed over, whatever they are.
    let mut ere = sample(&world);
    ere.others = [entry(0x7777, b"something"), ere.others].concat();
    write(&world.path("x.ere"), ere.file());
    assert_eq!(world.stream(&["x.ere"]).expect("one more entry").len(), 3);
}

#[test]
fn entries_out_of_order_and_wrong_counts_are_named() {
    let world = World::new();
    type Change<'a> = &'a dyn Fn(&mut Ere);
    let cases: [(Change<'_>, &str); 10] = [
        // In place of another block's, with offsets that go along.
        (&|e| e.groups[0].1.swap(0, 1), "block index: got first block 0, its header says 1"),
        (&|e| e.groups[0].1.swap(1, 2), "block index: row 2: got block 2, its header says 1"),
        (&|e| drop(e.groups[1].1.pop()), "row 2: got offset -"),
        (&|e| drop(e.groups[1].1.remove(0)), "row 2: got offset -"),
        (&|e| drop(e.groups[2].1.pop()), "of slim receipts, the file has 2 of 3"),
        (&|e| drop(e.groups[3].1.pop()), "of total difficulty, the file has 2 of 3"),
        (&|e| e.groups[1].1.extend_from_within(..1), "block index: got count 3, expected one for body at byte"),
        (&|e| e.groups[4].1.extend_from_within(..1), "block index: got count 3, expected one for proof at byte"),
        (&|e| e.groups[2].1.clear(), "block index: row 0: got offset -"),
        (&|e| e.others.splice(..0, entry(0x0b, &[])).for_each(drop), "expected one for proof at byte"),
    ];
    for (change, words) in cases {
        let mut ere = sample(&world);
        change(&mut ere);
        let reason = refusal(&world, &ere.file());
        assert!(reason.contains(words), "{words}: {reason}");
    }
    // A body of another block: the transactions root is for validation to find.
    let mut ere = sample(&world);
    ere.groups[1].1.swap(1, 2);
    write(&world.path("x.ere"), ere.file());
    assert_eq!(world.stream(&["x.ere"]).expect("read as it is").len(), 3);
}

#[test]
fn wrong_indexes_are_named() {
    let world = World::new();
    let ere = sample(&world);
    type Change<'a> = &'a dyn Fn(&mut Vec<i64>);
    // Words: first, five offsets for each of three blocks, five, three.
    let cases: [(Change<'_>, &str); 15] = [
        (&|w| w[0] = 1, "block index: got first block 1, its header says 0"),
        (&|w| w[0] = -1, "block index: got first block 18446744073709551615"),
        (&|w| w[1] += 1, "row 0: got offset -"),
        (&|w| w[1] = i64::MIN, "row 0: got offset -9223372036854775808: got no entry, expected a component"),
        (&|w| w[2] = 8, "row 0: got offset 8: got no entry, expected a component"),
        (&|w| w[2] = w[1], "row 0: got a second offset -"),
        (&|w| w[3] = -40, "row 0: got offset -40: got entry 0x0007, expected a component"),
        (&|w| w.swap(7, 12), "row 1: got offset -"),
        (&|w| w[8] += 1, "of slim receipts, expected -"),
        (&|w| w[9] += 1, "of total difficulty, expected -"),
        (&|w| w[10] += 1, "of proof, expected -"),
        (&|w| w[15] = 0, "got count 3, expected one for proof at byte"),
        (&|w| w[16] = 4, "block index: got "),
        (&|w| w[16] = 6, "block index: got component count 6, expected 2 to 5"),
        (&|w| w[17] = 4, "block index: got count 4, expected 3"),
    ];
    for (change, words) in cases {
        let reason = refusal(&world, &ere.file_with(change));
        assert!(reason.contains(words), "{words}: {reason}");
    }
    for drop in [0x03, 0x04] {
        let mut ere = ere.clone();
        ere.groups.retain(|(kind, _)| *kind != drop);
        let reason = refusal(&world, &ere.file());
        let words = if drop == 0x03 { "got no column for header" } else { "got no column for body" };
        assert!(reason.contains(words), "{words}: {reason}");
    }
    // An accumulator and nothing to check it against.
    let mut without = ere.clone();
    without.groups.retain(|(kind, _)| *kind != 0x06);
    assert!(refusal(&world, &without.file()).contains("an accumulator and no total difficulties"));
    // Entries that no column leads to.
    let mut more = ere.clone();
    more.others.splice(..0, ere.groups[2].1.concat());
    more.groups.remove(2);
    assert!(refusal(&world, &more.file()).contains("got no column for slim receipts, expected one of entry 0x000a"));
    // A block without proof, whose offset is then zero.
    let mut fewer = ere.clone();
    fewer.groups[4].1.pop();
    write(&world.path("x.ere"), fewer.file_with(|words| words[15] = 0));
    assert_eq!(world.stream(&["x.ere"]).expect("well-formed").len(), 3);
    // None at all, and a count that says so.
    let mut empty = ere;
    empty.groups.iter_mut().for_each(|(_, entries)| entries.clear());
    assert!(refusal(&world, &empty.file()).contains("block index: the file holds no block"));
}

#[test]
fn an_ere_name_says_what_is_in_the_file() {
    let world = World::new();
    let plain = blocks(&world, 2, 2);
    let ere = Ere::new(&plain, U256::ZERO, None);
    let hex = |bytes: &[u8]| alloy_primitives::hex::encode(&bytes[..4]);
    let (last, root) = (hex(plain[2].hash.as_slice()), hex(&ere.others[8..]));
    let stream = |name: &str| {
        write(&world.path(name), ere.file());
        world.stream(&[name]).map_err(|error| error.to_string())
    };
    for name in [
        format!("own-00000-{last}.ere"),
        format!("own-00000-{last}-noproofs-noreceipts.ere"),
        format!("own-00000-{last}.erae"),
        format!("own-00000-{root}.erae"),
    ] {
        assert_eq!(stream(&name).expect(&name).len(), 3);
    }
    let reason = stream(&format!("own-00000-{root}.ere")).expect_err("the accumulator is not the hash");
    assert!(reason.contains(&format!("got {root}, expected {last}, the hash of the last block")), "{reason}");
    let reason = stream("own-00000-00c0ffee.erae").expect_err("neither");
    assert!(reason.contains(&format!("expected {last}, the hash of the last block, or {root}, the acc")), "{reason}");
    let reason = stream(&format!("own-00003-{last}-noproofs.ere")).expect_err("another epoch");
    assert!(reason.contains("name: got epoch 3, expected that of the first block, 0"), "{reason}");
}

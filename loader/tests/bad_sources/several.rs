//! Several files that are to be one chain: gaps, overlaps, duplicates and files of another chain are named before the
//! first block is handed out.

use crate::era1::era1_of;
use crate::world::{World, write};
use alloy_consensus::Header;
use alloy_primitives::B256;

/// A world with files `a.era1`, `b.era1` and so on, of the ranges of headers given.
struct Eras {
    world: World,
    names: Vec<String>,
}

impl Eras {
    fn new(ranges: &[std::ops::RangeInclusive<usize>]) -> Self {
        let world = World::new();
        let headers = world.headers(ranges.iter().map(|range| *range.end() as u64).max().expect("a range"));
        let mut eras = Self { world, names: Vec::new() };
        for (at, range) in ranges.iter().enumerate() {
            eras.add(&format!("{}.era1", char::from(b'a' + at as u8)), &headers[range.clone()]);
        }
        eras
    }

    fn add(&mut self, name: &str, headers: &[Header]) {
        write(&self.world.path(name), era1_of(headers));
        self.names.push(name.into());
    }

    /// Faults found before any block is handed out, a line each.
    fn faults(&self) -> Vec<String> {
        let names: Vec<_> = self.names.iter().map(String::as_str).collect();
        let error = self.world.recognise(&names).expect_err("must be refused before anything is read");
        assert!(error.is_input(), "{error}");
        let folder = self.world.path("");
        error.to_string().replace(&*folder.to_string_lossy(), "").lines().map(|line| line.trim().into()).collect()
    }
}

#[test]
fn several_files_are_put_in_order_and_must_meet() {
    let world = World::new();
    let blocks = world.blocks(6);
    write(&world.path("z.rlp"), blocks[1..3].concat());
    write(&world.path("b.rlp"), blocks[3..5].concat());
    write(&world.path("a.rlp"), blocks[5..].concat());
    write(&world.path("late.rlp"), blocks[4..].concat());
    write(&world.path("same.rlp"), blocks[3..].concat());
    assert_eq!(world.stream(&["a.rlp", "b.rlp", "z.rlp"]).expect("they meet").len(), 7);
    let gap = world.refusal(&["a.rlp", "z.rlp"]);
    assert!(gap.contains("a.rlp: first block: gap: got block 5, expected 3 after"), "{gap}");
    let overlap = world.refusal(&["z.rlp", "b.rlp", "late.rlp"]);
    assert!(overlap.contains("late.rlp: first block: overlap: got block 4, expected 5 after"), "{overlap}");
    let twice = world.refusal(&["z.rlp", "b.rlp", "same.rlp"]);
    assert!(twice.contains("block 3 is the first of"), "{twice}");
    // The right number and another chain.
    let mut headers = world.headers(3);
    headers[3].parent_hash = B256::repeat_byte(7);
    write(&world.path("other.rlp"), crate::world::list(&[&alloy_rlp::encode(&headers[3]), &[0xc0], &[0xc0]]));
    let other = world.refusal(&["z.rlp", "other.rlp"]);
    let words = format!("other chain: got parent hash {}, expected {}", headers[3].parent_hash, headers[2].hash_slow());
    assert!(other.contains("other.rlp: first block: ") && other.contains(&words), "{other}");
    assert!(other.contains("the hash of block 2 at the end of") && other.contains("z.rlp"), "{other}");
}

#[test]
fn eras_that_meet_are_one_chain() {
    let eras = Eras::new(&[5..=6, 0..=1, 2..=4]);
    let blocks = eras.world.stream(&["a.era1", "b.era1", "c.era1"]).expect("they meet");
    assert_eq!(blocks.iter().map(|block| block.number).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6]);
    // And a folder of them, with RLP between.
    write(&eras.world.path("folder/x.era1"), era1_of(&eras.world.headers(1)));
    write(&eras.world.path("folder/a.era1"), era1_of(&eras.world.headers(6)[5..]));
    write(&eras.world.path("folder/m.rlp"), eras.world.blocks(4)[2..].concat());
    // Their blocks have transactions, so that they are others than those of the era1 files only in their bodies.
    assert_eq!(eras.world.stream(&["folder"]).expect("they meet").len(), 7);
}

#[test]
fn all_gaps_and_overlaps_are_named_at_once() {
    let eras = Eras::new(&[0..=1, 4..=5, 5..=6, 9..=9, 11..=11]);
    assert_eq!(
        eras.faults(),
        [
            "b.era1: first block: gap: blocks 2..3 (epoch 0) are missing between a.era1 and b.era1",
            "c.era1: first block: overlap: block 5 is already in b.era1",
            "d.era1: first block: gap: blocks 7..8 (epoch 0) are missing between c.era1 and d.era1",
            "e.era1: first block: gap: block 10 (epoch 0) is missing between d.era1 and e.era1",
        ]
    );
}

#[test]
fn missing_epochs_are_named() {
    let mut eras = Eras::new(&[0..=1]);
    let header = |number| Header { number, ..Header::default() };
    for epoch in [1, 2, 6, 7, 9] {
        eras.add(&format!("own-{epoch:05}.era1"), &[header(epoch * 8192)]);
    }
    let faults = eras.faults();
    let gaps: Vec<_> = faults.iter().filter_map(|line| line.split_once("gap: ")).map(|(_, gap)| gap).collect();
    assert_eq!(
        gaps,
        [
            "blocks 2..8191 (epoch 0) are missing between a.era1 and own-00001.era1",
            "blocks 8193..16383 (epoch 1) are missing between own-00001.era1 and own-00002.era1",
            "blocks 16385..49151 (epochs 2 to 5) are missing between own-00002.era1 and own-00006.era1",
            "blocks 49153..57343 (epoch 6) are missing between own-00006.era1 and own-00007.era1",
            "blocks 57345..73727 (epochs 7 to 8) are missing between own-00007.era1 and own-00009.era1",
        ]
    );
    // The first epochs.
    eras.names.drain(..2);
    let faults = eras.faults();
    assert_eq!(faults.len(), 4, "{faults:?}");
    let words = "blocks 1..16383 (epochs 0 to 1) are missing, and a chain without state starts at its genesis";
    assert!(faults[0].starts_with("own-00002.era1: block 16384: ") && faults[0].contains(words), "{faults:?}");
}

#[test]
fn a_whole_missing_epoch_is_named_by_its_number() {
    let mut eras = Eras::new(&[0..=0]);
    let mut headers = eras.world.headers(8191);
    eras.names.clear();
    eras.add("x.era1", &headers);
    headers[0] = Header { number: 16384, ..Header::default() };
    eras.add("y.era1", &headers[..1]);
    assert_eq!(
        eras.faults(),
        ["y.era1: first block: gap: blocks 8192..16383 (epoch 1) are missing between x.era1 and y.era1"]
    );
}

#[test]
fn duplicates_and_other_chains_are_named() {
    let mut eras = Eras::new(&[0..=1, 2..=4, 5..=6]);
    let mut headers = eras.world.headers(6);
    eras.add("again.era1", &headers[2..=4]);
    eras.add("shorter.era1", &headers[2..=3]);
    assert_eq!(
        eras.faults(),
        [
            "b.era1: first block: duplicate: block 2 is the first of again.era1 too",
            "shorter.era1: first block: overlap: block 2 is the first of b.era1 too",
        ]
    );
    eras.names.truncate(3);
    headers[5].extra_data = b"another".as_slice().into();
    eras.add("other.era1", &headers[5..=5]);
    assert_eq!(
        eras.faults(),
        ["other.era1: first block: other chain: block 5 is the first of c.era1 too, another one of that number"]
    );
    eras.names.truncate(3);
    headers[5].parent_hash = B256::repeat_byte(7);
    write(&eras.world.path("c.era1"), era1_of(&headers[5..=5]));
    let expected = format!(
        "c.era1: first block: other chain: got parent hash {}, expected {}, the hash of block 4 at the end of b.era1",
        headers[5].parent_hash,
        headers[4].hash_slow()
    );
    assert_eq!(eras.faults(), [expected]);
}

/// Behind an RLP file, whose end is not known, the stream finds what the beginnings could not tell.
#[test]
fn what_lies_behind_an_rlp_file_is_found_in_the_stream() {
    let mut eras = Eras::new(&[0..=1, 4..=5, 8..=8]);
    write(&eras.world.path("m.rlp"), eras.world.blocks(2)[2..].concat());
    eras.names.push("m.rlp".into());
    // 3 is missing, which is not known yet; 6 and 7 are.
    assert_eq!(
        eras.faults(),
        ["c.era1: first block: gap: blocks 6..7 (epoch 0) are missing between b.era1 and c.era1"]
    );
    let gap = eras.world.refusal(&["a.era1", "b.era1", "m.rlp"]);
    assert!(gap.contains("b.era1: first block: gap: got block 4, expected 3 after") && gap.contains("m.rlp"), "{gap}");
    write(&eras.world.path("m.rlp"), eras.world.blocks(4)[2..].concat());
    let overlap = eras.world.refusal(&["a.era1", "b.era1", "m.rlp"]);
    assert!(overlap.contains("b.era1: first block: overlap: got block 4, expected 5 after"), "{overlap}");
}

#[test]
fn all_files_that_are_cut_off_are_named() {
    let eras = Eras::new(&[0..=1, 2..=4, 5..=6]);
    for name in ["a.era1", "c.era1"] {
        let whole = std::fs::read(eras.world.path(name)).expect("readable");
        write(&eras.world.path(name), &whole[..whole.len() - 1]);
    }
    let faults = eras.faults();
    assert_eq!(faults.len(), 2, "{faults:?}");
    for (fault, name) in faults.iter().zip(["a", "c"]) {
        assert!(fault.starts_with(&format!("{name}.era1: byte ")) && fault.contains("entry 0x3266 has"), "{fault}");
    }
}

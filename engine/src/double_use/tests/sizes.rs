//! Sizes: of chunks, and those that memory and workers decide, of batches and pieces.

use super::random::{BLOCKS, history};
use super::{Random, TestColumns, judged, partitioned, seed};
use crate::double_use::columns::{CHUNK, Chunks, each_chunk_back};
use crate::double_use::partition::{RECORD_BYTES, Sizes, Workspace, pieces};
use crate::double_use::{Spill, shards_within, spill};
use alloy_primitives::{Address, U256};
use manaflow_loader::model::{Cell, Location, Value, Version};

#[test]
fn chunks_have_each_use_with_its_row() {
    let mut random = Random(seed(41));
    let lengths = [0, 1, 15, 16, 17, 18, 31, 32, 33, CHUNK - 16, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 5_000];
    for _ in 0..300 {
        let (mut moves, mut count) = (Vec::new(), 0);
        for _ in 0..=random.below(12) {
            let of_row = if random.once_in(2) { random.below(40) } else { lengths[random.below(lengths.len())] };
            moves.push(count..count + of_row);
            count += of_row;
        }
        let rows_claimed = Some(moves.len() as u32);
        let from = random.below(moves.len() + 1);
        let rows = from..from + random.below(moves.len() + 1 - from);
        let expected: Vec<(usize, u32)> =
            rows.clone().flat_map(|row| moves[row].clone().map(move |i| (i, row as u32))).collect();
        let columns = TestColumns { moves, cells: vec![0; count], rows_claimed, ..TestColumns::default() };
        let chunks = expected.len().div_ceil(CHUNK);
        let rows = rows.start as u32..rows.end as u32;
        let mut taken: Vec<Vec<(usize, u32)>> = Vec::new();
        let mut all = Chunks::new(&columns, rows.clone());
        while let Some((uses, rows)) = all.next() {
            assert_eq!(uses.len(), rows.len());
            taken.push(uses.zip(rows.iter().copied()).collect());
        }
        assert_eq!((taken.len(), taken.concat()), (chunks, expected.clone()), "{rows:?} of {:?}", columns.moves);
        taken.clear();
        each_chunk_back(&columns, rows.clone(), |uses, rows| {
            assert_eq!(uses.len(), rows.len());
            taken.insert(0, uses.zip(rows.iter().copied()).collect());
        });
        assert_eq!((taken.len(), taken.concat()), (chunks, expected), "back, {rows:?} of {:?}", columns.moves);
    }
}

#[test]
fn a_batch_is_what_memory_holds_unless_that_is_little_beside_the_cells() {
    let columns = |uses, cells| TestColumns {
        table: (0..cells).map(|n| Cell::storage(Address::ZERO, 0, U256::from(n))).collect(),
        cells: vec![0; uses],
        ..TestColumns::default()
    };
    let batch = |uses, cells, records| {
        let sizes = Sizes::of(&columns(uses, cells), records * RECORD_BYTES + RECORD_BYTES - 1);
        sizes.map(|sizes| sizes.batch)
    };
    // A use for sixteen cells.
    assert_eq!(batch(100, 160, 9), None);
    assert_eq!(batch(100, 160, 10), Some(10));
    assert_eq!(batch(100, 160, 99), Some(99));
    assert_eq!(batch(100, 160, 101), Some(100));
    // All of them, however few.
    assert_eq!(batch(5, 160, 5), Some(5));
    assert_eq!(batch(5, 160, 4), None);
    assert_eq!(Sizes::of(&columns(5, 160), u64::MAX).map(|sizes| sizes.batch), Some(5));
}

#[test]
fn pieces_are_as_many_as_workers_unless_they_would_be_small() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().expect("three threads");
    let of = |uses| pool.install(|| pieces(uses));
    let piece = 1 << 16;
    assert_eq!([0, piece - 1, piece, 2 * piece, 3 * piece, 100 * piece].map(of), [0, 0, 1, 2, 3, 3]);
}

/// Segments of different sizes, one after the other in the same memory.
#[test]
fn a_workspace_takes_one_segment_after_the_other() {
    let mut random = Random(seed(42));
    let mut workspace = Workspace::default();
    for round in 0..60 {
        let mut uses = history(50, 30, false, &mut random);
        uses.retain(|_, _| round % 3 > 0 || random.once_in(4));
        let columns = TestColumns::new((50, 50 + BLOCKS, 50), &uses, &mut random);
        let expected = judged(&columns);
        let sizes = Sizes { bits: random.below(3) as u32, batch: 1 + random.below(100), pieces: random.below(5) };
        assert_eq!(partitioned(&columns, sizes, &mut workspace), expected, "round {round}: {sizes:?}");
    }
}

#[test]
fn what_exceeds_memory_is_judged_alike() {
    let mut random = Random(seed(43));
    let folder = tempfile::tempdir().expect("a folder");
    // Beside so many cells the uses are too few for batches.
    let more = (0..10_000).map(|n| Cell::storage(Address::repeat_byte(9), 9, U256::from(n)));
    for round in 0..20 {
        let mut columns = TestColumns::new((0, BLOCKS, 0), &history(0, 30, false, &mut random), &mut random);
        columns.table.extend(more.clone());
        let expected = judged(&columns);
        for memory in [0, 20 * RECORD_BYTES, u64::MAX] {
            let spill = Spill { folder: folder.path(), memory };
            let judged = shards_within(&columns, spill).expect("well formed").expect("a disk");
            assert_eq!(judged, expected, "round {round}, {memory} bytes");
            let on_disk = spill::run(&columns, 3, spill).expect("a disk");
            assert_eq!(on_disk, expected, "round {round}, {memory} bytes for three pieces");
        }
    }
    let nowhere = folder.path().join("nowhere");
    let mut columns = TestColumns::new((0, BLOCKS, 0), &history(0, 30, false, &mut random), &mut random);
    columns.table.extend(more);
    assert!(shards_within(&columns, Spill { folder: &nowhere, memory: 0 }).expect("well formed").is_err());
}

/// A use that is looked at is found in the columns by how many of its cell lie before it in its row, in whatever window.
#[test]
fn a_cell_twice_in_a_row_is_judged_alike_from_disk() {
    let mut random = Random(seed(44));
    let folder = std::env::temp_dir();
    for round in 0..200 {
        let mut uses = history(50, 4, true, &mut random);
        for u in uses.values_mut().flatten() {
            u.location = Location::new(u.location.block(), 0).expect("small");
        }
        let columns = TestColumns::new((50, 50 + BLOCKS, 50), &uses, &mut random);
        let expected = judged(&columns).resolve(&columns);
        let sizes = (1 + random.below(3), 1 + random.below(4));
        let (bits, pieces) = (random.below(4) as u32, random.below(3));
        let spilled = spill::with(&columns, bits, pieces, sizes, &folder).expect("a disk");
        assert_eq!(spilled.resolve(&columns), expected, "round {round}: {bits} bits, {pieces} pieces, {sizes:?}");
    }
}

#[test]
fn a_segment_without_uses_has_no_findings() {
    let columns = TestColumns { table: vec![Cell::block_hash(0)], ..TestColumns::default() };
    let expected = judged(&columns);
    assert_eq!(expected.exits.count(), 0);
    for pieces in [0, 1, 3] {
        let sizes = Sizes { bits: 0, batch: 9, pieces };
        assert_eq!(partitioned(&columns, sizes, &mut Workspace::default()), expected, "{sizes:?}");
    }
}

/// A step stands before each use that is too far from the one before it in its part. 29 uses and 4 steps are more than a line.
#[test]
fn there_is_room_for_steps() {
    let far = 1 << 15;
    let count = 3 * far + 1;
    let mut columns = TestColumns {
        span: (0, 1, 0),
        table: (0..33).map(|n| Cell::storage(Address::ZERO, 0, U256::from(n))).collect(),
        values: [0, 1].map(|n| Value::Word(U256::from(n))).to_vec(),
        foreign: vec![Version::Virgin],
        ..TestColumns::default()
    };
    for row in 0..count {
        let start = columns.cells.len();
        let read = if row == 0 { 0..26 } else { 0..u32::from(row % far == 0) };
        for cell in read {
            columns.cells.push(cell);
            for column in [&mut columns.intx, &mut columns.prev, &mut columns.next] {
                column.push(0);
            }
            columns.write.push(false);
        }
        // Each row writes the last cell, whose version is the row before.
        columns.cells.push(32);
        columns.intx.push(row);
        columns.prev.push(row % 2);
        columns.next.push((row + 1) % 2);
        columns.write.push(true);
        columns.moves.push(start..columns.cells.len());
        columns.locations.push(Location::new(0, row.into()).expect("small"));
    }
    let expected = judged(&columns);
    assert!(expected.culprits.is_empty());
    let sizes = Sizes { bits: 5, batch: usize::MAX, pieces: 1 };
    assert_eq!(partitioned(&columns, sizes, &mut Workspace::default()), expected);
}

//! Double use on a device, against the other procedures over drawn histories, and its stage against its twin.
//!
//! That the procedure is right on every short history is held in the engine's unit tests, with the twin for the stage.

use crate::{POISON, Random, gpus, open_for};
use alloy_primitives::{Address, B256, U256};
use manaflow_engine::double_use::gpu::{Device, NotJudged, Part};
use manaflow_engine::double_use::{Columns, forward, shards};
use manaflow_engine::gpu::{GpuError, Limits};
use manaflow_loader::model::{Cell, Location, Value, Version};
use manaflow_shaders::{DOUBLE_USE_COMPARE, twin};
use std::ops::Range;

/// Numbers from here on are the values of the numbers below once more: equal values have several numbers.
const VALUES: u32 = 1000;

/// A segment on plain vectors.
struct Segment {
    first: u64,
    locations: Vec<Location>,
    moves: Vec<Range<usize>>,
    foreign: Vec<Version>,
    cell_count: u32,
    has_defaults: bool,
    cells: Vec<u32>,
    intx: Vec<u32>,
    prev: Vec<u32>,
    next: Vec<u32>,
    write: Vec<bool>,
}

impl Columns for Segment {
    fn first(&self) -> u64 {
        self.first
    }
    fn blocks(&self) -> u64 {
        1 << 20
    }
    fn origin(&self) -> u64 {
        self.first
    }
    fn parent_hash(&self) -> Option<B256> {
        None
    }
    fn rows(&self) -> u32 {
        self.locations.len() as u32
    }
    fn location(&self, row: u32) -> Location {
        self.locations[row as usize]
    }
    fn moves_of(&self, row: u32) -> Range<usize> {
        self.moves[row as usize].clone()
    }
    fn cell_count(&self) -> u32 {
        self.cell_count
    }
    fn foreign(&self) -> &[Version] {
        &self.foreign
    }
    fn cells(&self) -> &[u32] {
        &self.cells
    }
    fn intx(&self) -> &[u32] {
        &self.intx
    }
    fn prev(&self) -> &[u32] {
        &self.prev
    }
    fn next(&self) -> &[u32] {
        &self.next
    }
    fn flags(&self) -> &[u8] {
        bytemuck::cast_slice(&self.write)
    }
    fn defaults(&self) -> Vec<(Range<u32>, u32)> {
        if self.has_defaults {
            vec![(0..self.cell_count / 2, 0), (self.cell_count / 2..self.cell_count, 0)]
        } else {
            vec![]
        }
    }
    fn cell(&self, cell: u32) -> Cell {
        Cell::storage(Address::ZERO, 0, U256::from(cell))
    }
    fn value(&self, _: u32, number: u32) -> Value {
        Value::Word(U256::from(number % VALUES))
    }
}

/// How a segment is drawn.
#[derive(Clone, Copy, Debug)]
struct Kind {
    first: u64,
    rows: u32,
    uses_a_row: u32,
    cells: u32,
    /// One use in so many says something else than what is live; 0: none.
    fault: u32,
    has_defaults: bool,
}

fn drawn(kind: Kind, random: &mut Random) -> Segment {
    let Kind { first, rows, uses_a_row, cells, fault, has_defaults } = kind;
    let mut foreign = vec![Version::Virgin];
    if first > 0 {
        let before = Location::new(first - 1, 3).expect("within bounds");
        foreign.extend([Version::Base(first), Version::Assumed, Version::At(before)]);
    }
    let row_codes = foreign.len() as u32;
    let mut s = Segment {
        first,
        locations: (0..rows)
            .map(|r| Location::new(first + u64::from(r / 5), u64::from(r % 5)).expect("small"))
            .collect(),
        moves: Vec::new(),
        foreign,
        cell_count: cells,
        has_defaults,
        cells: vec![],
        intx: vec![],
        prev: vec![],
        next: vec![],
        write: vec![],
    };
    let mut live: Vec<Option<(u32, u32)>> = vec![None; cells as usize];
    for row in 0..rows {
        let start = s.cells.len();
        for _ in 0..random.below(2 * uses_a_row + 1) {
            // Half of the uses are of few cells.
            let cell = if random.below(2) == 0 { random.below(cells) } else { random.below(cells.min(3)) };
            if s.cells[start..].contains(&cell) {
                continue;
            }
            let entry = *live[cell as usize].get_or_insert_with(|| match random.below(row_codes) {
                0 | 2 => (if first > 0 { random.below(2) * 2 } else { 0 }, 0),
                code => (code, random.below(VALUES)),
            });
            let (mut intx, mut prev) = entry;
            if fault > 0 && random.below(fault) == 0 {
                match random.below(4) {
                    0 => intx = random.below(row_codes + rows),
                    1 => prev = random.below(3),
                    2 => intx = row_codes + row,
                    _ => intx = random.below(row_codes),
                }
            }
            // Now and then another number of the same value.
            if random.below(50) == 0 {
                prev += VALUES;
            }
            let write = random.below(2) == 0;
            let next = random.below(2 * VALUES);
            s.cells.push(cell);
            s.intx.push(intx);
            s.prev.push(prev);
            s.next.push(next);
            s.write.push(write);
            if write {
                live[cell as usize] = Some((row_codes + row, next));
            }
        }
        s.moves.push(start..s.cells.len());
    }
    s
}

#[test]
fn results_equal_those_of_the_other_procedures() {
    let mut random = Random(manaflow_datasets::seed(7));
    let (mut valid, mut wrong, mut too_large) = (0, 0, 0);
    for gpu in gpus("results_equal_those_of_the_other_procedures") {
        let whole = Device::new(gpu).expect("it compiles");
        let in_parts = Device::with(gpu, Part { uses: 2000, cells: 700 }).expect("it compiles");
        for rows in [0, 1, 2, 170, 500] {
            for (first, has_defaults) in [(0, true), (0, false), (50, false)] {
                for fault in [0, 3, 300] {
                    for cells in [1, 300, 2100] {
                        let kind = Kind { first, rows, uses_a_row: 6, cells, fault, has_defaults };
                        let segment = drawn(kind, &mut random);
                        let expected = forward(&segment).expect("it is a segment");
                        assert_eq!(shards(&segment).as_ref(), Ok(&expected), "{kind:?}");
                        assert_eq!(whole.try_judge(&segment).as_ref(), Ok(&expected), "{kind:?}");
                        match in_parts.try_judge(&segment) {
                            Err(NotJudged::Device(GpuError::TooLarge { .. })) => {
                                too_large += 1;
                                assert_eq!(
                                    in_parts.judge(&segment).as_ref(),
                                    Ok(&expected),
                                    "{kind:?}, by the processor"
                                );
                            }
                            got => assert_eq!(got.as_ref(), Ok(&expected), "{kind:?}, in parts"),
                        }
                        (valid, wrong) = match expected.culprits.is_empty() {
                            true => (valid + 1, wrong),
                            false => (valid, wrong + 1),
                        };
                    }
                }
            }
        }
        assert!(valid > 30 && wrong > 30 && too_large > 0, "{valid} valid, {wrong} wrong, {too_large} too large");
    }
}

/// Uses around a tile of the sort and a group of the comparison, on one cell, on few, on many.
#[test]
fn every_size_around_a_tile() {
    let mut random = Random(8);
    let Some(gpu) = open_for("every_size_around_a_tile", Limits { groups: 5, ..Limits::ANY }) else { return };
    let device = Device::new(&gpu).expect("it compiles");
    for uses in [0, 1, 2, 127, 128, 129, 1023, 1024, 1025, 2047, 2048, 2049, 3073] {
        for cells in [1, 40, 5000] {
            let kind = Kind { first: 0, rows: 4000, uses_a_row: 3, cells, fault: 300, has_defaults: true };
            let mut segment = drawn(kind, &mut random);
            assert!(segment.cells.len() > uses, "{} drawn", segment.cells.len());
            segment.moves.iter_mut().for_each(|moves| *moves = moves.start.min(uses)..moves.end.min(uses));
            for column in [&mut segment.cells, &mut segment.intx, &mut segment.prev, &mut segment.next] {
                column.truncate(uses);
            }
            segment.write.truncate(uses);
            let expected = forward(&segment).expect("it is a segment");
            assert_eq!(device.try_judge(&segment), Ok(expected), "{uses} uses of {cells} cells");
        }
    }
}

#[test]
fn malformed_columns_and_a_lost_device_are_told() {
    let Some(gpu) = open_for("malformed_columns_and_a_lost_device_are_told", Limits::ANY) else { return };
    let device = Device::new(&gpu).expect("it compiles");
    let kind = Kind { first: 0, rows: 100, uses_a_row: 3, cells: 20, fault: 9, has_defaults: true };
    let mut segment = drawn(kind, &mut Random(9));
    let expected = forward(&segment).expect("it is a segment");
    gpu.destroy();
    assert!(matches!(device.try_judge(&segment), Err(NotJudged::Device(GpuError::Lost { .. }))));
    assert_eq!(device.judge(&segment), Ok(expected), "the processor goes on");
    segment.cells[5] = 20;
    assert!(matches!(device.try_judge(&segment), Err(NotJudged::Malformed(_))));
    assert!(device.judge(&segment).is_err());
}

/// The stage over anything, every word of every buffer; and past 65,535 groups where everything is asked for.
#[test]
fn the_stage_equals_its_twin_bit_for_bit() {
    let mut random = Random(10);
    let sizes = manaflow_datasets::amount(vec![1, 127, 128, 129, 4000], vec![1, 127, 128, 129, 4000, 65_535 * 128 + 1]);
    for gpu in gpus("the_stage_equals_its_twin_bit_for_bit") {
        let pipeline = gpu.pipeline(&DOUBLE_USE_COMPARE).expect("it compiles");
        for &n in &sizes {
            let cell_count = n / 3 + 1;
            let mut cells: Vec<u32> = (0..n).map(|_| random.below(cell_count)).collect();
            cells.sort_unstable();
            let mut order: Vec<u32> = (0..n).collect();
            (1..n).rev().for_each(|i| order.swap(i as usize, random.below(i + 1) as usize));
            // Small numbers, so that neighbours agree often.
            let uses: Vec<u32> = (0..n)
                .flat_map(|_| {
                    [random.below(4) | random.below(2) << 31, random.below(4), random.below(2), random.below(2)]
                })
                .collect();
            let ground: Vec<u32> = (0..cell_count).flat_map(|_| [random.below(2), random.below(3)]).collect();
            let params = [n, 2, 1, POISON];
            let (mut flags, mut ends) = (vec![0; n.div_ceil(16) as usize + 3], vec![POISON; ground.len() + 4]);
            let given: [&[u32]; 6] = [&cells, &order, &uses, &ground, &flags.clone(), &ends.clone()];
            let on_device: Vec<_> = given.iter().map(|words| gpu.upload(words).expect("there is room")).collect();
            twin::double_use::compare(params, &cells, &order, &uses, &ground, &mut flags, &mut ends);
            let mut batch = gpu.batch();
            batch
                .run(&pipeline, params, &on_device.iter().collect::<Vec<_>>(), n.div_ceil(128) + 2)
                .expect("a dispatch");
            batch.read(&on_device[4], flags.len());
            batch.read(&on_device[5], ends.len());
            let got = batch.finish().expect("it runs");
            assert!(got == [flags.clone(), ends], "{n} uses");
            // A bit of the flags flipped is seen.
            flags[0] ^= 1;
            assert!(got[0] != flags);
        }
    }
}

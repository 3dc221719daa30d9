//! Sorting and running sums on a device, against the standard library, and their stages against their twins.

use crate::{POISON, Random, gpus, open_for};
use manaflow_engine::gpu::{Gpu, Limits};
use manaflow_engine::radix::{Sorter, TILE};
use manaflow_shaders::{RADIX_COUNT, RADIX_REDUCE, RADIX_SCAN, RADIX_SCAN_TOTALS, RADIX_SCATTER, Stage, twin};

/// Keys and the rows they come from, by a device.
fn sorted(sorter: &Sorter<'_>, keys: &[u32], bits: u32) -> [Vec<u32>; 2] {
    let mut batch = sorter.gpu().batch();
    let sorted = sorter.sort(&mut batch, keys, bits).expect("there is room");
    batch.read(&sorted.keys, keys.len());
    batch.read(&sorted.rows, keys.len());
    batch.finish().expect("it runs").try_into().expect("two reads")
}

fn oracle(keys: &[u32]) -> [Vec<u32>; 2] {
    let mut rows: Vec<u32> = (0..keys.len() as u32).collect();
    rows.sort_by_key(|&row| keys[row as usize]);
    [rows.iter().map(|&row| keys[row as usize]).collect(), rows]
}

/// Keys of every kind: how many bits, and the key of a row.
fn kinds(n: u32) -> Vec<(u32, Vec<u32>)> {
    let mut random = Random(3);
    let mut of = |bits: u32, key: &mut dyn FnMut(u32, &mut Random) -> u32| {
        (bits, (0..n).map(|i| key(i, &mut random)).collect::<Vec<_>>())
    };
    vec![
        of(32, &mut |_, r| r.number()),
        of(20, &mut |_, r| r.below(1 << 20)),
        of(17, &mut |_, r| r.below(100_000)),
        of(0, &mut |_, _| 0),
        of(32, &mut |_, _| u32::MAX),
        of(32, &mut |i, _| i),
        of(32, &mut |i, _| u32::MAX - i),
        of(4, &mut |_, r| r.below(16)),
        of(32, &mut |_, r| r.below(16) << 12),
        of(32, &mut |_, r| r.below(2) << 31),
        // Few keys that are much used, as cells are.
        of(10, &mut |_, r| if r.below(2) == 0 { 7 } else { r.below(1000) }),
    ]
}

#[test]
fn sorts_equal_the_standard_librarys() {
    let tile = TILE as u32;
    for gpu in gpus("sorts_equal_the_standard_librarys") {
        let sorter = Sorter::new(gpu).expect("it compiles");
        for n in [0, 1, 2, tile - 1, tile, tile + 1, 2 * tile - 1, 2 * tile + 1, 70_000] {
            for (i, (bits, keys)) in kinds(n).into_iter().enumerate() {
                assert_eq!(sorted(&sorter, &keys, bits), oracle(&keys), "{n} keys of kind {i}");
            }
        }
    }
}

/// All sorts of up to six keys of two bits.
#[test]
fn small_sorts_are_sorted_whole() {
    let [gpu, ..] = gpus("small_sorts_are_sorted_whole") else { return };
    let sorter = Sorter::new(gpu).expect("it compiles");
    for n in 0..=6u32 {
        for all in 0..1u32 << (2 * n) {
            // A slice of the longest, unless everything is asked for.
            if n >= 5 && all % 37 != 0 && !manaflow_datasets::is_whole() {
                continue;
            }
            let keys: Vec<u32> = (0..n).map(|i| all >> (2 * i) & 3).collect();
            assert_eq!(sorted(&sorter, &keys, 2), oracle(&keys), "{keys:?}");
        }
    }
}

fn running_sums(words: &[u32]) -> Vec<u32> {
    let mut sum = 0u32;
    let next = |word: &u32| {
        let before = sum;
        sum = sum.wrapping_add(*word);
        before
    };
    words.iter().map(next).collect()
}

#[test]
fn running_sums_are_those_of_a_loop() {
    let mut random = Random(4);
    for gpu in gpus("running_sums_are_those_of_a_loop") {
        let sorter = Sorter::new(gpu).expect("it compiles");
        // The last has more blocks than the stage in the middle takes at once.
        for n in [0usize, 1, 1023, 1024, 1025, 128 * 1024, 128 * 1024 + 1, 300_000] {
            let words: Vec<u32> = (0..n).map(|_| random.number()).collect();
            let (on_device, totals) = (gpu.upload(&words).expect("room"), gpu.buffer(n.div_ceil(TILE)).expect("room"));
            let mut batch = gpu.batch();
            sorter.sum_up(&mut batch, &on_device, n as u32, &totals).expect("a dispatch");
            batch.read(&on_device, n);
            assert_eq!(batch.finish().expect("it runs"), [running_sums(&words)], "{n} words");
        }
    }
}

/// A stage over buffers, so many groups; all of them as they are then.
fn run(gpu: &Gpu, stage: &'static Stage, params: [u32; 4], buffers: &[&[u32]], groups: u32) -> Vec<Vec<u32>> {
    let pipeline = gpu.pipeline(stage).expect("it compiles");
    let on_device: Vec<_> = buffers.iter().map(|words| gpu.upload(words).expect("there is room")).collect();
    let mut batch = gpu.batch();
    batch.run(&pipeline, params, &on_device.iter().collect::<Vec<_>>(), groups).expect("a dispatch");
    on_device.iter().zip(buffers).for_each(|(buffer, words)| batch.read(buffer, words.len()));
    batch.finish().expect("it runs")
}

/// Every word of every buffer, of what no stage may write too; with more groups than there is work for.
#[test]
fn stages_equal_their_twins_bit_for_bit() {
    let mut random = Random(5);
    for gpu in gpus("stages_equal_their_twins_bit_for_bit") {
        for n in [1u32, 1000, 1024, 1025, 5000] {
            let tiles = n.div_ceil(1024);
            let mut drawn = |len: u32| (0..len).map(|_| random.number()).collect::<Vec<_>>();
            let poison = |len: u32| vec![POISON; len as usize + 5];
            let (keys, payloads) = (drawn(n), drawn(n));
            for (shift, is_first) in [(0, 1), (12, 0), (28, 0)] {
                let params = [n, shift, tiles, is_first];
                let mut counts = poison(16 * tiles);
                twin::radix::count(params, &keys, &mut counts);
                let got = run(gpu, &RADIX_COUNT, params, &[&keys, &poison(16 * tiles)], tiles + 3);
                assert_eq!(got, [keys.clone(), counts.clone()], "count, {n} keys");

                let starts = running_sums(&counts[..16 * tiles as usize]);
                let (mut keys_out, mut payloads_out) = (poison(n), poison(n));
                twin::radix::scatter(params, &keys, &payloads, &starts, &mut keys_out, &mut payloads_out);
                let buffers: [&[u32]; 5] = [&keys, &payloads, &starts, &poison(n), &poison(n)];
                let got = run(gpu, &RADIX_SCATTER, params, &buffers, tiles + 3);
                assert_eq!(got[3..], [keys_out, payloads_out], "scatter, {n} keys");
            }
            let (words, params) = (drawn(n), [n, tiles, 0, 0]);
            let mut totals = poison(tiles);
            twin::radix::reduce(params, &words, &mut totals);
            let got = run(gpu, &RADIX_REDUCE, params, &[&words, &poison(tiles)], tiles + 3);
            assert_eq!(got, [words.clone(), totals], "reduce, {n} words");

            let mut scanned = words.clone();
            twin::radix::scan_totals([n - 1, 0, 0, 0], &mut scanned);
            let got = run(gpu, &RADIX_SCAN_TOTALS, [n - 1, 0, 0, 0], &[&words], 3);
            assert_eq!(got, [scanned], "scan_totals, {n} words");

            let (totals, mut scanned) = (drawn(tiles), [words.clone(), vec![POISON; 3]].concat());
            let given = scanned.clone();
            twin::radix::scan(params, &totals, &mut scanned);
            let got = run(gpu, &RADIX_SCAN, params, &[&totals, &given], tiles + 3);
            assert_eq!(got, [totals, scanned], "scan, {n} words");
        }
    }
}

/// A second row of groups: where a device takes few along an axis, and, for tiles without keys, past what all take.
#[test]
fn dispatches_have_a_second_axis() {
    let test = "radix: dispatches_have_a_second_axis";
    let Some(small) = open_for(test, Limits { groups: 7, ..Limits::ANY }) else { return };
    let mut random = Random(6);
    let keys: Vec<u32> = (0..40 * 1024 + 1).map(|_| random.below(1 << 9)).collect();
    assert_eq!(sorted(&Sorter::new(&small).expect("it compiles"), &keys, 9), oracle(&keys));
    let [.., gpu] = gpus(test) else { return };
    let tiles = 65_535 + 2;
    let params = [keys.len() as u32, 4, tiles, 0];
    let mut expected = vec![POISON; 16 * tiles as usize];
    twin::radix::count(params, &keys, &mut expected);
    let got = run(gpu, &RADIX_COUNT, params, &[&keys, &vec![POISON; 16 * tiles as usize]], tiles);
    assert!(got[1] == expected, "counts of {tiles} tiles");
}

/// What the other tests rely on.
#[test]
fn a_flipped_bit_of_a_sorted_row_is_noticed() {
    let [gpu, ..] = gpus("a_flipped_bit_of_a_sorted_row_is_noticed") else { return };
    let keys: Vec<u32> = (0..3000).map(|i| i * 7 % 100).collect();
    let mut out = sorted(&Sorter::new(gpu).expect("it compiles"), &keys, 7);
    assert_eq!(out, oracle(&keys));
    for (column, row) in [(0, 0), (0, 2999), (1, 1500)] {
        out[column][row] ^= 1;
        assert_ne!(out, oracle(&keys));
        out[column][row] ^= 1;
    }
}

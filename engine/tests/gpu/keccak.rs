//! Keccak-256 on a device, against the `sha3` crate, and its stages against their twins.

use crate::{POISON, Random, gpus, open_for};
use alloy_primitives::{B256, KECCAK256_EMPTY};
use manaflow_engine::backend::{Backends, Forced, hashes};
use manaflow_engine::gpu::{Gpu, Limits};
use manaflow_engine::keccak::gpu::{BLOCKS_MAX, Hasher, Tile};
use manaflow_engine::keccak::{Backend, keccak256_batch};
use manaflow_shaders::{KECCAK_DIGEST_U32, KECCAK_DIGEST_U64, Stage, twin};
use sha3::{Digest, Keccak256};

const ANY: Tile = Tile { rows: usize::MAX, words: usize::MAX, blocks: usize::MAX };

fn oracle(message: &[u8]) -> B256 {
    B256::new(Keccak256::digest(message).into())
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn stages(gpu: &Gpu) -> impl Iterator<Item = &'static Stage> {
    [&KECCAK_DIGEST_U32, &KECCAK_DIGEST_U64].into_iter().filter(|stage| !stage.needs_u64 || gpu.has_u64())
}

/// The first row that is not what it should be.
fn first_wrong(messages: &[&[u8]], digests: &[B256]) -> Option<usize> {
    (0..messages.len()).find(|&i| digests[i] != oracle(messages[i]))
}

fn digests(hasher: &Hasher<'_>, messages: &[&[u8]]) -> Vec<B256> {
    // Poisoned, so that a row nobody wrote shows.
    let mut out = vec![B256::repeat_byte(0xa5); messages.len()];
    hasher.digest(messages, &mut out).expect("the device hashes");
    out
}

/// Every flavour with checks and without, at once and in small tiles, over all of these batches with the same buffers.
fn hold(test: &str, batches: &[Vec<&[u8]>]) {
    for gpu in gpus(test) {
        for stage in stages(gpu) {
            for tile in [ANY, Tile { rows: 65, words: 700, blocks: 90 }] {
                let hasher = Hasher::with(gpu, stage, tile).expect("it compiles");
                for messages in batches {
                    if let Some(i) = first_wrong(messages, &digests(&hasher, messages)) {
                        let (count, len) = (messages.len(), messages[i].len());
                        panic!("{}, {tile:?}: message {i} of {count}, {len} bytes", stage.name);
                    }
                }
            }
        }
    }
}

#[test]
fn every_length_to_1100_none_and_one() {
    let bytes = bytes(1100);
    let all: Vec<&[u8]> = (0..=1100).map(|n| &bytes[..n]).collect();
    let mut batches = vec![vec![], all.clone()];
    batches.extend([0, 1, 135, 136, 137, 1100].map(|n| vec![all[n]]));
    // Old contents behind a shorter message.
    batches.extend([vec![all[1100]; 70], all[..70].to_vec()]);
    hold("every_length_to_1100_none_and_one", &batches);
}

#[test]
fn edge_lengths_at_every_alignment_and_unequal_ones() {
    let bytes = bytes((1 << 20) + 64);
    let lengths =
        [0, 1, 7, 8, 9, 31, 32, 33, 64, 127, 128, 129, 134, 135, 136, 137, 271, 272, 273, 407, 408, 409, 24_576];
    let edges = |start: usize| lengths.iter().map(move |&n| start..start + n);
    let aligned: Vec<&[u8]> = (0..64).flat_map(edges).map(|range| &bytes[range]).collect();
    let longest = BLOCKS_MAX * 136 - 1;
    let long = vec![&bytes[..1 << 20], &bytes[..longest], &bytes[..5], &bytes[..longest + 1], &bytes[1..1 << 20], &[]];
    let mut random = Random(1);
    let drawn: Vec<&[u8]> =
        (0..500).map(|_| &bytes[random.below(64) as usize..][..random.below(2000) as usize]).collect();
    hold("edge_lengths_at_every_alignment_and_unequal_ones", &[aligned, long, drawn]);
}

/// All words that a stage could write, those it must not write too.
#[test]
fn stages_equal_their_twins_bit_for_bit() {
    let mut random = Random(2);
    for gpu in gpus("stages_equal_their_twins_bit_for_bit") {
        for rows in [0, 1, 63, 64, 65, 300] {
            let mut spans = Vec::new();
            let mut end = 0;
            for _ in 0..rows {
                let len = random.below(600);
                spans.extend([end, len]);
                end += len.div_ceil(4);
            }
            // What lies between and behind messages is anything.
            let words: Vec<u32> = (0..end + 34).map(|_| random.number()).collect();
            let params = [rows, POISON, POISON, POISON];
            let room = 8 * (rows as usize + 3);
            let mut expected = [vec![POISON; room], vec![POISON; room]];
            twin::keccak::digest_u32(params, &spans, &words, &mut expected[0]);
            twin::keccak::digest_u64(params, &spans, &words, &mut expected[1]);
            assert_eq!(expected[0], expected[1], "{rows} rows");
            for stage in stages(gpu) {
                let pipeline = gpu.pipeline(stage).expect("it compiles");
                let upload = |words: &[u32]| gpu.upload(words).expect("there is room");
                let (spans, words, out) = (upload(&spans), upload(&words), upload(&vec![POISON; room]));
                let mut batch = gpu.batch();
                // More groups than rows need.
                batch.run(&pipeline, params, &[&spans, &words, &out], rows.div_ceil(64) + 2).expect("a dispatch");
                batch.read(&out, room);
                assert_eq!(batch.finish().expect("it runs"), [expected[0].clone()], "{}, {rows} rows", stage.name);
            }
        }
    }
}

/// A second row of groups: where a device takes few along an axis, and past what all take.
#[test]
fn dispatches_have_a_second_axis() {
    let test = "dispatches_have_a_second_axis";
    let bytes = bytes(400);
    let messages: Vec<&[u8]> = (0..2000).map(|i| &bytes[..i * 7 % 400]).collect();
    for groups in [1, 2, 7, 31] {
        let Some(gpu) = open_for(test, Limits { groups, ..Limits::ANY }) else { return };
        // 64 groups in squares of less than that: one tile is several.
        let rows = (64 * groups * groups) as usize;
        let hasher = Hasher::with(&gpu, &KECCAK_DIGEST_U32, Tile { rows, ..ANY }).expect("it compiles");
        assert_eq!(first_wrong(&messages, &digests(&hasher, &messages)), None, "{groups} groups an axis");
    }
    let [.., gpu] = gpus(test) else { return };
    let stage = stages(gpu).last().expect("one is always there");
    let rows = 65_535 * 64 + 1;
    // Most rows are empty messages; those at the borders are not.
    let mut spans = vec![0; 2 * rows];
    let special = [0, 63, 64, 65_534 * 64, 65_535 * 64 - 1, 65_535 * 64];
    for (i, row) in special.into_iter().enumerate() {
        spans[2 * row + 1] = 100 + i as u32;
    }
    let pipeline = gpu.pipeline(stage).expect("it compiles");
    let words: Vec<u32> = bytes.chunks(4).map(|c| u32::from_le_bytes(c.try_into().expect("four"))).collect();
    let upload = |words: &[u32]| gpu.upload(words).expect("there is room");
    let (spans, words, out) = (upload(&spans), upload(&words), gpu.buffer(8 * rows).expect("there is room"));
    let mut batch = gpu.batch();
    batch.run(&pipeline, [rows as u32, 0, 0, 0], &[&spans, &words, &out], 65_536).expect("a dispatch");
    batch.read(&out, 8 * rows);
    let read = batch.finish().expect("it runs").remove(0);
    for (row, digest) in read.chunks(8).enumerate() {
        let digest: Vec<u8> = digest.iter().flat_map(|word| word.to_le_bytes()).collect();
        let expected = match special.iter().position(|r| *r == row) {
            Some(i) => oracle(&bytes[..100 + i]),
            None => KECCAK256_EMPTY,
        };
        assert_eq!(digest, expected.0, "row {row}");
    }
}

#[test]
fn an_adapter_with_the_least_that_all_have_does() {
    let Some(gpu) = open_for("an_adapter_with_the_least_that_all_have_does", Limits::PORTABLE) else { return };
    let bytes = bytes(3000);
    let messages: Vec<&[u8]> = (0..1000).map(|i| &bytes[i..][..i * 13 % 2000]).collect();
    let hasher = Hasher::with(&gpu, &KECCAK_DIGEST_U32, ANY).expect("it compiles");
    assert_eq!(first_wrong(&messages, &digests(&hasher, &messages)), None);
}

/// What the other tests rely on: one bit of one digest is seen.
#[test]
fn a_flipped_bit_of_a_digest_is_noticed() {
    let bytes = bytes(200);
    let messages: Vec<&[u8]> = (0..200).map(|n| &bytes[..n]).collect();
    for gpu in gpus("a_flipped_bit_of_a_digest_is_noticed") {
        let mut out = digests(&Hasher::new(gpu).expect("it compiles"), &messages);
        assert_eq!(first_wrong(&messages, &out), None);
        for (row, bit) in [(0, 0), (7, 255), (199, 100)] {
            out[row].0[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(first_wrong(&messages, &out), Some(row));
            out[row].0[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

/// As a backend it is chosen by name only, proven, used for large batches, and named in reports.
#[test]
fn wgpu_is_a_backend_of_hashes() {
    if gpus("wgpu_is_a_backend_of_hashes").is_empty() {
        let forced = Forced::parse(["hashes=wgpu"]).expect("it is one");
        assert!(Backends::choose(forced).is_err());
        return;
    }
    let bytes = bytes(20_000);
    let messages: Vec<&[u8]> = (0..3000).map(|i| &bytes[i..][..i * 11 % 900]).collect();
    let expected: Vec<B256> = messages.iter().map(|m| oracle(m)).collect();
    for name in hashes::Backend::ALL.map(Backend::name) {
        let forced = Forced::parse([format!("hashes={name}").as_str()]).expect("it is one");
        let backend = forced.hashes.expect("it is forced");
        if !backend.is_available() {
            manaflow_datasets::skip("wgpu_is_a_backend_of_hashes", &format!("{name} is not on this machine"));
            continue;
        }
        Backends::choose(forced).expect("it is proven");
        assert_eq!((Backend::current(), hashes::in_words().as_str()), (backend, name));
        assert_eq!(keccak256_batch(&messages), expected, "{name}");
        let mut out = vec![B256::repeat_byte(0xa5); messages.len()];
        backend.digest(&messages, &mut out);
        assert_eq!(out, expected, "{name}, at once");
    }
    Backends::choose(Forced::default()).expect("it is proven");
    assert!(Backend::OF_PROCESSOR.contains(&Backend::current()), "{}", Backend::current());
}

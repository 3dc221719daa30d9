//! Every backend against the `sha3` crate, which shares no line with any of them, and each against its twin.

use super::{Backend, KNOWN, RATE, keccak256_batch};
use alloy_primitives::B256;
use proptest::prelude::*;
use sha3::{Digest, Keccak256};

fn oracle(message: &[u8]) -> B256 {
    B256::new(Keccak256::digest(message).into())
}

/// Backends of the processor to test; those that it lacks are printed. Devices have `engine/tests/gpu`.
fn backends() -> Vec<Backend> {
    let (there, missing): (Vec<_>, Vec<_>) = Backend::OF_PROCESSOR.into_iter().partition(|b| b.is_available());
    missing.iter().for_each(|b| println!("skipped: {} is not on this processor", b.name()));
    there
}

fn hold(messages: &[&[u8]]) {
    let expected: Vec<B256> = messages.iter().map(|m| oracle(m)).collect();
    for backend in backends() {
        // Poisoned, so that a row nobody wrote shows.
        let mut out = vec![B256::repeat_byte(0xa5); messages.len()];
        backend.digest(messages, &mut out);
        if let Some(i) = (0..out.len()).find(|&i| out[i] != expected[i]) {
            panic!("{}: message {i} of {}, {} bytes", backend.name(), messages.len(), messages[i].len());
        }
    }
    assert_eq!(keccak256_batch(messages), expected, "the batch");
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[test]
fn the_known_answer_is_the_oracles() {
    let bytes: Vec<u8> = (0..=255).cycle().take(600).collect();
    let digests: Vec<B256> = (0..307).map(|i| oracle(&bytes[i % 7..][..i * 5 % 411])).collect();
    assert_eq!(KNOWN, oracle(&digests.concat()));
    assert!(backends().into_iter().all(|b| b.self_test() == Ok(true)));
    assert!(Backend::best().is_available());
}

#[test]
fn every_length_to_1100_alone_and_in_one_batch() {
    let bytes = bytes(1100);
    let messages: Vec<&[u8]> = (0..=1100).map(|n| &bytes[..n]).collect();
    hold(&messages);
    for message in messages {
        hold(&[message]);
    }
}

#[test]
fn edge_lengths_at_every_alignment() {
    let bytes = bytes((1 << 20) + 64);
    let lengths =
        [0, 1, 7, 8, 9, 31, 32, 33, 64, 127, 128, 129, 134, 135, 136, 137, 271, 272, 273, 407, 408, 409, 24_576];
    for start in 0..64 {
        let messages: Vec<&[u8]> = lengths.iter().map(|&n| &bytes[start..start + n]).collect();
        hold(&messages);
    }
    hold(&[&bytes[..1 << 20], &bytes[..5], &bytes[1..1 << 20], &[]]);
}

#[test]
fn batches_around_the_number_of_lanes() {
    let bytes = bytes(2000);
    for count in 0..=35 {
        let equal: Vec<&[u8]> = (0..count).map(|i| &bytes[i..i + 65]).collect();
        hold(&equal);
        let unequal: Vec<&[u8]> = (0..count).map(|i| &bytes[..(i * 977) % 1500]).collect();
        hold(&unequal);
        let one_long: Vec<&[u8]> = (0..count).map(|i| if i == 3 { &bytes[..] } else { &bytes[..i] }).collect();
        hold(&one_long);
    }
}

/// The page behind the file's end is mapped to nothing: one byte read too far ends the process.
#[test]
#[allow(unsafe_code)]
fn messages_may_end_where_memory_ends() {
    let page = 4096;
    let file = tempfile::tempfile().expect("a temporary file");
    file.set_len(page as u64).expect("a page");
    // SAFETY: nobody else has the file, and only its first page is read.
    let map = unsafe { memmap2::MmapOptions::new().len(2 * page).map(&file) }.expect("a mapping");
    let bytes = &map[..page];
    for n in 0..=3 * RATE {
        let messages = vec![&bytes[page - n..]; 9];
        hold(&messages);
    }
}

proptest! {
    #[test]
    fn any_messages(messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..700), 0..40)) {
        let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        hold(&messages);
    }
}

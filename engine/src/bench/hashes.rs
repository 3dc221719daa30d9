//! Hashes: Keccak-256 of many messages, beside sha3 and keccak-asm; roots of lists, beside alloy-trie.

use super::{BenchError, Input, Line, Peer, Timed, in_turns};
use crate::block::ordered_roots;
use crate::keccak::Backend;
use alloy_primitives::{B256, keccak256};
use alloy_trie::root::ordered_trie_root_encoded;
use manaflow_loader::SplitMix64;
use rayon::prelude::*;
use sha3::{Digest, Keccak256};

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Bytes of messages: all of one length a line.
    pub lengths: Vec<usize>,
    /// Messages.
    pub rows: usize,
    /// Turns.
    pub samples: usize,
}

/// Bytes of all messages.
const MOST_BYTES: usize = 1 << 30;

/// Items of a list, and their bytes: about those of a block's receipts and transactions.
const ITEMS: std::ops::Range<u64> = 100..250;
const ITEM_BYTES: std::ops::Range<u64> = 110..600;

/// Every backend that runs here, and roots by the best, on the current pool.
///
/// Errors: nothing to hash; a backend that hashes wrongly.
pub fn hashes(plan: &Plan) -> Result<Vec<Line>, BenchError> {
    if plan.rows == 0 {
        return Err(BenchError::Usage("no messages to hash".into()));
    }
    if let Some(length) = plan.lengths.iter().find(|length| length.saturating_mul(plan.rows) > MOST_BYTES) {
        let rows = plan.rows;
        return Err(BenchError::Usage(format!("{rows} messages of {length} bytes: at most {MOST_BYTES} bytes in all")));
    }
    let mut all = Vec::new();
    for &length in &plan.lengths {
        all.extend(messages(length, plan)?);
    }
    all.extend(roots(plan)?);
    Ok(all)
}

fn drawn(random: &mut SplitMix64, length: usize) -> Vec<u8> {
    (0..length).map(|_| random.number() as u8).collect()
}

fn messages(length: usize, plan: &Plan) -> Result<Vec<Line>, BenchError> {
    let mut random = SplitMix64(length as u64);
    // Offsets of every alignment.
    let bytes = drawn(&mut random, plan.rows * (length + 1));
    let messages: Vec<&[u8]> = (0..plan.rows).map(|i| &bytes[i * (length + 1)..][..length]).collect();
    let expected: Vec<B256> = messages.iter().map(|message| B256::new(Keccak256::digest(message).into())).collect();
    let backends: Vec<Backend> =
        Backend::OF_PROCESSOR.into_iter().filter(|b| b.is_available() && *b != Backend::Scalar).collect();
    for backend in &backends {
        let mut got = vec![B256::repeat_byte(0xa5); messages.len()];
        backend.digest(&messages, &mut got);
        if got != expected {
            let (kernel, rows) = ("keccak256", messages.len() as u64);
            return Err(BenchError::Differs { stage: "hashes", kernel, backend: backend.name(), rows });
        }
    }
    let messages = &messages[..];
    let threads = rayon::current_num_threads();
    let each = messages.len().div_ceil(threads);
    let kernels = backends.into_iter().map(|backend| {
        let mut out = vec![B256::ZERO; messages.len()];
        let work = Box::new(move || match threads {
            1 => backend.digest(messages, &mut out),
            _ => messages
                .par_chunks(each)
                .zip(out.par_chunks_mut(each))
                .for_each(|(part, out)| backend.digest(part, out)),
        });
        Timed { kernel: "keccak256", backend: backend.name(), threads, work }
    });
    let few = &messages[..messages.len().min(16_384)];
    let rows = few.len() as u64;
    let by_sha3 = || few.iter().for_each(|message| _ = std::hint::black_box(Keccak256::digest(message)));
    let by_asm = || few.iter().for_each(|message| _ = std::hint::black_box(keccak256(message)));
    let peers = vec![Peer::new("sha3", rows, by_sha3), Peer::new("keccak-asm", rows, by_asm)];
    let (name, bytes) = (format!("{length} bytes"), Some((plan.rows * length) as u64));
    let input = Input { stage: "hashes", unit: "hashes", rows: plan.rows as u64, bytes, gas: None, name };
    Ok(in_turns(&input, plan.samples, kernels.collect(), peers))
}

fn roots(plan: &Plan) -> Result<Vec<Line>, BenchError> {
    let mut random = SplitMix64(1);
    let mut within = |range: &std::ops::Range<u64>| range.start + random.below(range.end - range.start);
    let sizes: Vec<Vec<u64>> = (0..64).map(|_| (0..within(&ITEMS)).map(|_| within(&ITEM_BYTES)).collect()).collect();
    let lists: Vec<Vec<Vec<u8>>> =
        sizes.iter().map(|list| list.iter().map(|bytes| drawn(&mut random, *bytes as usize)).collect()).collect();
    let views: Vec<Vec<&[u8]>> = lists.iter().map(|list| list.iter().map(|item| &item[..]).collect()).collect();
    let rows = lists.iter().map(Vec::len).sum::<usize>() as u64;
    let by_trie =
        |lists: &[Vec<Vec<u8>>]| -> Vec<B256> { lists.iter().map(|list| ordered_trie_root_encoded(list)).collect() };
    if ordered_roots(&views) != by_trie(&lists) {
        let backend = Backend::best().name();
        return Err(BenchError::Differs { stage: "hashes", kernel: "roots", backend, rows });
    }
    let kernels = vec![Timed {
        kernel: "roots",
        backend: Backend::best().name(),
        threads: rayon::current_num_threads(),
        work: Box::new(|| drop(std::hint::black_box(ordered_roots(&views)))),
    }];
    let peer = || drop(std::hint::black_box(by_trie(&lists)));
    let bytes = Some(sizes.iter().flatten().sum());
    let name = format!("{} lists", lists.len());
    let input = Input { stage: "hashes", unit: "items", rows, bytes, gas: None, name };
    Ok(in_turns(&input, plan.samples, kernels, vec![Peer::new("alloy-trie", rows, peer)]))
}

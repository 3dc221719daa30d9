//! Keccak-256 of many messages on one core: every backend by message length, beside the `sha3` crate.
//!
//! Messages lie one behind the other at odd addresses. Digests are verified against `sha3` before anything is timed.

use alloy_primitives::B256;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use manaflow_engine::keccak::Backend;
use sha3::{Digest, Keccak256};

/// Messages a batch, and bytes each: a hash, a transfer's signing payload, one block, a larger transaction, the largest code.
const SHAPES: [(usize, usize); 5] = [(4096, 32), (4096, 110), (4096, 135), (1024, 500), (64, 24_576)];

fn keccak(c: &mut Criterion) {
    for (rows, length) in SHAPES {
        let bytes: Vec<u8> = (0..rows * length + 1).map(|i| ((i * 31) >> 3) as u8).collect();
        let messages: Vec<&[u8]> = bytes[1..].chunks(length).collect();
        let mut out = vec![B256::ZERO; rows];
        let oracle = |message: &[u8]| B256::new(Keccak256::digest(message).into());
        let expected: Vec<B256> = messages.iter().map(|m| oracle(m)).collect();
        let mut group = c.benchmark_group(format!("keccak256/{length}"));
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(BenchmarkId::from_parameter("sha3"), |b| {
            b.iter(|| messages.iter().zip(&mut out).for_each(|(message, digest)| *digest = oracle(message)));
        });
        for backend in Backend::ALL.into_iter().filter(|b| b.is_available()) {
            backend.digest(&messages, &mut out);
            assert_eq!(out, expected, "{}", backend.name());
            group.bench_function(BenchmarkId::from_parameter(backend.name()), |b| {
                b.iter(|| backend.digest(&messages, &mut out));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, keccak);
criterion_main!(benches);

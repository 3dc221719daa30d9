//! Roots of lists on one core: many lists at once, level by level, beside alloy-trie's, one list after the other.
//!
//! Every root is held against alloy-trie's before anything is timed.

use alloy_primitives::B256;
use alloy_trie::root::ordered_trie_root_encoded;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use manaflow_engine::block::ordered_roots;
use manaflow_engine::keccak::Backend;

/// Lists, items of each, bytes of an item: receipts of a block, those of many blocks, withdrawals, one long list.
const SHAPES: [(usize, usize, usize); 4] = [(1, 180, 400), (64, 180, 400), (64, 16, 44), (1, 5_000, 150)];

fn roots(c: &mut Criterion) {
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().expect("the first pool");
    for (count, items, bytes) in SHAPES {
        let item = |n: usize| -> Vec<u8> { (0..bytes).map(|i| (n * 131 + i * 31) as u8).collect() };
        let lists: Vec<Vec<Vec<u8>>> = (0..count).map(|n| (0..items).map(|i| item(n * items + i)).collect()).collect();
        let views: Vec<Vec<&[u8]>> = lists.iter().map(|list| list.iter().map(|item| &item[..]).collect()).collect();
        let by_trie = || -> Vec<B256> { lists.iter().map(|list| ordered_trie_root_encoded(list)).collect() };
        assert_eq!(ordered_roots(&views), by_trie());
        let mut group = c.benchmark_group(format!("roots/{count}x{items}x{bytes}"));
        group.throughput(Throughput::Elements((count * items) as u64));
        group.bench_function(BenchmarkId::from_parameter(Backend::best().name()), |b| b.iter(|| ordered_roots(&views)));
        group.bench_function(BenchmarkId::from_parameter("alloy-trie"), |b| b.iter(by_trie));
        group.finish();
    }
}

criterion_group!(benches, roots);
criterion_main!(benches);

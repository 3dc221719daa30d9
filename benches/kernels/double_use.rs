//! The pass of double use on one core: every kernel by distribution, beside what merely sorts as many records, and a hash map.
//!
//! Synthetic moves in memory. Every kernel's result is held against the plainest one's before it is timed.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use manaflow_engine::bench::moves::{Moves, arrived, by_hash_map, records};
use manaflow_engine::double_use::{Hints, NumberedResult, Workspace, forward, reverse, shards_in, shards_of, summed};
use manaflow_loader::source::moves::{Distribution, Plan};
use rdst::RadixSort as _;
use voracious_radix_sort::RadixSort as _;

const MOVES: u64 = 1_000_000;

fn double_use(c: &mut Criterion) {
    // Kernels that share work do it on this pool.
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().expect("the first pool");
    for distribution in Distribution::ALL {
        let moves = Moves::of(&Plan { distribution, ..Plan::of(MOVES) });
        let hints = Hints::of(&moves);
        let uses = arrived(&moves);
        let expected = forward(&moves).expect("well formed");
        assert!(expected.culprits.is_empty() && expected.requirements.is_empty(), "the history is valid");
        let workspace = std::cell::RefCell::new(Workspace::default());
        type Judge<'a> = Box<dyn Fn() -> NumberedResult + 'a>;
        let kernels: [(&str, Judge<'_>); 5] = [
            ("streaming", Box::new(|| forward(&moves).expect("well formed"))),
            ("streaming-reverse", Box::new(|| reverse(&moves).expect("well formed"))),
            ("sorted", Box::new(|| shards_in(&moves, &mut workspace.borrow_mut()).expect("well formed"))),
            ("tagged", Box::new(|| shards_of(&moves, &uses).expect("well formed"))),
            ("summed", Box::new(|| summed(&moves, Some(hints.borrowed())).expect("well formed").expect("confirmed"))),
        ];
        let mut group = c.benchmark_group(format!("double-use/{}", distribution.name()));
        group.throughput(Throughput::Elements(MOVES)).sample_size(10);
        for (name, judge) in &kernels {
            assert_eq!(judge(), expected, "{name}");
            group.bench_function(BenchmarkId::from_parameter(name), |b| b.iter(judge));
        }
        group.bench_function(BenchmarkId::from_parameter("hash-map"), |b| b.iter(|| assert!(by_hash_map(&moves))));
        let records = records(&moves);
        group.bench_function(BenchmarkId::from_parameter("voracious"), |b| {
            b.iter_batched_ref(|| records.clone(), |records| records.voracious_sort(), BatchSize::LargeInput);
        });
        group.bench_function(BenchmarkId::from_parameter("rdst"), |b| {
            let sort = |records: &mut Vec<_>| records.radix_sort_builder().with_parallel(false).sort();
            b.iter_batched_ref(|| records.clone(), sort, BatchSize::LargeInput);
        });
        group.finish();
    }
}

criterion_group!(benches, double_use);
criterion_main!(benches);

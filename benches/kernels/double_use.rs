//! The pass of double use on one core: every kernel by distribution, beside what merely sorts as many records, and a hash map.
//!
//! Synthetic moves in memory. Every kernel's result is held against the plainest one's before it is timed.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use manaflow_engine::bench::moves::{Moves, arrived, by_hash_map, records};
use manaflow_engine::double_use::{
    Hints, NumberedResult, Workspace, forward_in, reverse, shards_in, shards_of_in, summed_in,
};
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
        let expected = forward_in(&moves, &mut Workspace::default()).expect("well formed");
        assert!(expected.culprits.is_empty() && expected.requirements.is_empty(), "the history is valid");
        type Judge<'a> = Box<dyn Fn(&mut Workspace) -> NumberedResult + 'a>;
        let confirmed = |workspace: &mut Workspace| {
            summed_in(&moves, Some(hints.borrowed()), workspace).expect("well formed").expect("confirmed")
        };
        let kernels: [(&str, Judge<'_>); 5] = [
            ("streaming", Box::new(|workspace| forward_in(&moves, workspace).expect("well formed"))),
            ("streaming-reverse", Box::new(|_| reverse(&moves).expect("well formed"))),
            ("sorted", Box::new(|workspace| shards_in(&moves, workspace).expect("well formed"))),
            ("tagged", Box::new(|workspace| shards_of_in(&moves, &uses, workspace).expect("well formed"))),
            ("summed", Box::new(confirmed)),
        ];
        let mut group = c.benchmark_group(format!("double-use/{}", distribution.name()));
        group.throughput(Throughput::Elements(MOVES)).sample_size(10);
        let mut workspace = Workspace::default();
        for (name, judge) in &kernels {
            assert_eq!(judge(&mut workspace), expected, "{name}");
            group.bench_function(BenchmarkId::from_parameter(name), |b| {
                b.iter(|| {
                    let result = judge(&mut workspace);
                    workspace.take_back(result);
                });
            });
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

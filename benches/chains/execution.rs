//! Execution of the same transactions on one core: plain sequential revm, and each transaction from its own moves.
//!
//! All start from decoded headers and transactions with known senders. The lanes from moves decode moves from the file's
//! columns and compare gas, status, logs and all afters; the plain lane commits. One of the two decodes the outcomes in the
//! run too. Gas is verified in every run.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use manaflow_benches::dataset::Dataset;
use manaflow_engine::bench::lanes::{self, Outcomes};
use manaflow_engine::bench::sequential;

fn execution(c: &mut Criterion) {
    let dataset = Dataset::mainnet().expect("the benches need mainnet blocks");
    let codes = lanes::codes(&dataset.file).expect("codes of a verified file");
    let blocks = sequential::blocks(&dataset.file, &codes).expect("blocks of a recorded file");
    let mut checker = lanes::checker(&blocks, codes);
    let gas = sequential::execute(&blocks, &mut sequential::states(&blocks)).expect("mainnet agrees with its headers");
    let mut group = c.benchmark_group("execution");
    group.sample_size(10).throughput(Throughput::Elements(blocks.iter().map(|b| b.envelopes.len() as u64).sum()));
    group.bench_function("plain_revm", |b| {
        b.iter_batched_ref(
            || sequential::states(&blocks),
            |states| assert_eq!(sequential::execute(&blocks, states), Ok(gas)),
            BatchSize::PerIteration,
        );
    });
    for (name, outcomes) in [("from_moves", Outcomes::Ready), ("from_moves_and_outcomes", Outcomes::Decode)] {
        group.bench_function(name, |b| {
            b.iter(|| assert_eq!(lanes::execute(&dataset.file, &blocks, &mut checker, outcomes), Ok(gas)));
        });
    }
    group.finish();
}

criterion_group!(benches, execution);
criterion_main!(benches);

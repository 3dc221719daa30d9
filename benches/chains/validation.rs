//! The whole validation of real blocks, from the file, on one thread and on two, beside the sequential baseline.
//!
//! Each run of Manaflow opens the file anew, so that checksums and structure are verified in it; the verdict is asserted.
//! The baseline starts from blocks parsed in memory; what it does and leaves out says `manaflow_engine::bench::sequential`.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use manaflow_benches::dataset::Dataset;
use manaflow_engine::backend::{Backends, Forced};
use manaflow_engine::bench::{lanes, sequential};
use manaflow_engine::validate::Checks;
use manaflow_loader::file::BlockFile;
use rayon::ThreadPoolBuilder;

fn validation(c: &mut Criterion) {
    let dataset = Dataset::mainnet().expect("the benches need mainnet blocks");
    let codes = lanes::codes(&dataset.file).expect("codes of a verified file");
    let blocks = sequential::blocks(&dataset.file, &codes).expect("blocks of a recorded file");
    let gas = sequential::validate(&blocks, &mut sequential::states(&blocks)).expect("mainnet agrees with its headers");
    let backends = Backends::choose(Forced::default()).expect("backends that are proven");
    let mut group = c.benchmark_group("validation");
    group.sample_size(10).throughput(Throughput::Elements(blocks.iter().map(|b| b.envelopes.len() as u64).sum()));
    group.bench_function("sequential_baseline", |b| {
        b.iter_batched_ref(
            || sequential::states(&blocks),
            |states| assert_eq!(sequential::validate(&blocks, states), Ok(gas)),
            BatchSize::PerIteration,
        );
    });
    for threads in [1, 2] {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool of threads");
        group.bench_function(format!("manaflow_{threads}"), |b| {
            b.iter(|| {
                let file = BlockFile::open(dataset.file.path()).expect("the file is still there");
                assert_eq!(pool.install(|| lanes::validate_file(&file, Checks::ALL, backends)), Ok(gas));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, validation);
criterion_main!(benches);

//! Import of real block snapshots, from their folders to a block file on disk. Nothing to do where the data is absent.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use manaflow_benches::dataset::{import_snapshots, snapshots};

fn import(c: &mut Criterion) {
    let Some(folder) = snapshots() else {
        println!("skipped: import: no test data in MANAFLOW_DATA or target/data");
        return;
    };
    let output = tempfile::tempdir().expect("a temporary folder");
    let output = output.path().join("mainnet.mana");
    let first = import_snapshots(&folder, &output).expect("the snapshots can be imported");
    assert!(first.counts.blocks > 0 && first.counts.refused == 0, "{:?}", first.counts);
    let mut group = c.benchmark_group("import");
    group.sample_size(10).throughput(Throughput::Elements(first.counts.transactions));
    group.bench_function("snapshots", |b| {
        b.iter(|| assert_eq!(import_snapshots(&folder, &output), Ok(first.clone())));
    });
    group.finish();
}

criterion_group!(benches, import);
criterion_main!(benches);

//! Signatures on one core: each backend by batch size, share of distinct signers and hints, with libsecp256k1 row by row beside.
//!
//! Results are verified before they are timed. `manaflow bench signatures` measures the same in turns, with ratios.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use manaflow_engine::bench::{HINTS, Rows};
use manaflow_engine::secp256k1::{Backend, recover_hinted};

fn signatures(c: &mut Criterion) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let mut group = c.benchmark_group("signatures");
    group.sample_size(10);
    for rows in [256, 4096, 16_384] {
        for distinct in [100, 10] {
            let world = Rows::made(rows, rows * distinct / 100);
            for backend in Backend::OF_PROCESSOR.into_iter().filter(|backend| backend.is_available()) {
                // The library has no use for hints, and takes as long for few rows as for many.
                let hints: &[&str] = if backend == Backend::Libsecp256k1 { &HINTS[..1] } else { &HINTS };
                if backend == Backend::Libsecp256k1 && rows > 256 {
                    continue;
                }
                for name in hints {
                    let hints = world.hints(name);
                    pool.install(|| world.verify(backend, &hints)).expect("every row recovers to its signer");
                    let id =
                        BenchmarkId::new(format!("{backend}/{name}"), format!("{rows} rows, {distinct} % distinct"));
                    group.throughput(Throughput::Elements(rows as u64));
                    group.bench_function(id, |b| {
                        pool.install(|| b.iter(|| recover_hinted(backend, &world.signatures, &hints)));
                    });
                }
            }
        }
    }
    group.finish();
}

criterion_group!(benches, signatures);
criterion_main!(benches);

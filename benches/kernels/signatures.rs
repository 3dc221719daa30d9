//! Signatures on one core: each backend by batch size, share of distinct signers and hints, with the peers beside: libsecp256k1 and k256
//! row by row, asmcrypto eight rows at a time (addresses; by AVX-512 where the processor has it).
//!
//! Results are verified before they are timed. `manaflow bench signatures` measures the same in turns, with ratios.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use k256::ecdsa::{RecoveryId, Signature as Plain, VerifyingKey};
use manaflow_engine::bench::{HINTS, Rows};
use manaflow_engine::secp256k1::{Backend, Hints, Signature, recover_hinted};
use std::hint::black_box;

fn recover_by_k256(row: &Signature) -> Option<VerifyingKey> {
    let plain = Plain::from_scalars(row.r, row.s).ok()?;
    VerifyingKey::recover_from_prehash(&row.digest, &plain, RecoveryId::from_byte(row.recovery_id)?).ok()
}

#[cfg(target_arch = "x86_64")]
fn recover_by_asmcrypto(rows: &[Signature; 8]) -> [[u8; 20]; 8] {
    asmcrypto::recover_addresses_batch(
        rows.each_ref().map(|row| &row.digest),
        rows.each_ref().map(|row| &row.r),
        rows.each_ref().map(|row| &row.s),
        rows.each_ref().map(|row| row.recovery_id),
    )
}

/// Those who take as long for few rows as for many, and have no use for hints. `hints` are right.
fn peers(c: &mut Criterion, rows: &[Signature], hints: &Hints<'_>) {
    let mut group = c.benchmark_group("signatures");
    group.sample_size(10).throughput(Throughput::Elements(rows.len() as u64));
    let key = |row: usize| hints.keys[hints.signers[row] as usize];
    for (row, signature) in rows.iter().enumerate() {
        let found = recover_by_k256(signature).expect("it recovers").to_encoded_point(false);
        assert_eq!(found.as_bytes()[1..], key(row).0, "k256: row {row}");
    }
    group.bench_function("k256", |b| b.iter(|| rows.iter().filter_map(recover_by_k256).count()));
    #[cfg(target_arch = "x86_64")]
    {
        let (eights, _) = rows.as_chunks::<8>();
        for (i, eight) in eights.iter().enumerate() {
            for (lane, address) in recover_by_asmcrypto(eight).iter().enumerate() {
                assert_eq!(*address, key(8 * i + lane).address(), "asmcrypto: row {}", 8 * i + lane);
            }
        }
        group.bench_function("asmcrypto", |b| {
            b.iter(|| {
                eights.iter().map(|eight| usize::from(black_box(recover_by_asmcrypto(eight))[7][0])).sum::<usize>()
            });
        });
    }
    group.finish();
}

fn signatures(c: &mut Criterion) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let few = Rows::made(256, 256);
    peers(c, &few.signatures, &few.hints("keys"));
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

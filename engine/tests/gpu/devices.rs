//! Devices: what is listed, what is refused, and what happens when one is lost.

use crate::{gpus, open, open_for};
use alloy_primitives::{B256, keccak256};
use manaflow_engine::gpu::{Gpu, GpuError, Limits, Setup, adapters};
use manaflow_engine::keccak::gpu::Hasher;

#[test]
fn adapters_are_listed_those_in_software_last() {
    let adapters = adapters();
    let is_software: Vec<bool> = adapters.iter().map(|a| a.is_software()).collect();
    assert!(is_software.is_sorted(), "{adapters:?}");
    for adapter in &adapters {
        let portable = Limits::PORTABLE;
        assert!(!adapter.name.is_empty() && adapter.limits.groups >= portable.groups, "{adapter:?}");
        assert!(adapter.limits.binding_bytes >= portable.binding_bytes, "{adapter:?}");
    }
    if adapters.is_empty() {
        manaflow_datasets::skip("adapters_are_listed_those_in_software_last", "no adapter");
    }
}

#[test]
fn a_software_adapter_is_not_taken_unless_it_is_allowed() {
    let adapters = adapters();
    match Gpu::open(&Setup::default()) {
        Ok(gpu) => assert!(!gpu.adapter().is_software()),
        Err(GpuError::NoAdapter { software }) => {
            assert!(adapters.len() == software && adapters.iter().all(|a| a.is_software()), "{adapters:?}");
        }
        Err(other) => panic!("{other}"),
    }
    if adapters.iter().any(|a| a.is_software()) {
        assert!(open(true, Limits::ANY).is_some(), "allowed, and there");
    }
}

#[test]
fn too_much_is_refused_before_it_is_asked_for() {
    for gpu in gpus("too_much_is_refused_before_it_is_asked_for") {
        let words = gpu.limits().words();
        assert!(matches!(gpu.buffer(words + 1), Err(GpuError::TooLarge { .. })));
    }
}

/// Threads that share a device wait for it at one time: each gets its own, whoever is told first that all is done.
#[test]
fn threads_that_share_a_device_get_their_own() {
    for gpu in gpus("threads_that_share_a_device_get_their_own") {
        let work = |thread: u32| {
            for i in 0..300 {
                let mine = [thread, i, thread ^ i];
                let buffer = gpu.upload(&mine).expect("it has room");
                let mut batch = gpu.batch();
                batch.read(&buffer, 3);
                assert_eq!(batch.finish().expect("it runs"), [mine], "thread {thread}, batch {i}");
            }
        };
        std::thread::scope(|scope| (0..8).for_each(|thread| drop(scope.spawn(move || work(thread)))));
    }
}

/// Lost before work, between two pieces of work, and for every later one: an error each time, and no panic.
#[test]
fn a_lost_device_is_an_error() {
    let Some(gpu) = open_for("a_lost_device_is_an_error", Limits::ANY) else { return };
    let hasher = Hasher::new(&gpu).expect("it compiles");
    let mut out = [B256::ZERO; 2];
    hasher.digest(&[b"a", b"bc"], &mut out).expect("it hashes");
    assert_eq!(out, [keccak256("a"), keccak256("bc")]);
    let buffer = gpu.upload(&[1, 2, 3]).expect("it has room");
    let mut batch = gpu.batch();
    batch.clear(&buffer);
    batch.read(&buffer, 3);
    gpu.destroy();
    let is_lost = |error: &GpuError| matches!(error, GpuError::Lost { .. });
    assert!(batch.finish().is_err_and(|e| is_lost(&e)), "given after the loss");
    for _ in 0..3 {
        assert!(hasher.digest(&[b"a", b"bc"], &mut out).is_err_and(|e| is_lost(&e)));
    }
    assert!(Hasher::new(&gpu).is_err_and(|e| is_lost(&e)));
    assert!(gpu.buffer(5).is_err_and(|e| is_lost(&e)));
}

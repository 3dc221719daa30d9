//! Stages on a device, against oracles that share no line with them and bit for bit against their twins.
//!
//! A software adapter (lavapipe) does where there is no other, and is named; where there is none, each test says that it is
//! skipped. Every stage runs with the checks that wgpu puts in and without them.

mod devices;
mod double_use;
mod keccak;
mod radix;

use manaflow_engine::gpu::{Gpu, Limits, Setup};
use std::sync::OnceLock;

/// What no stage writes by accident.
pub const POISON: u32 = 0xa5a5_a5a5;

/// A device with checks and one without; the test is said to be skipped if there is no adapter.
pub fn gpus(test: &str) -> &'static [Gpu] {
    static GPUS: OnceLock<Vec<Gpu>> = OnceLock::new();
    let gpus =
        GPUS.get_or_init(|| [true, false].into_iter().filter_map(|is_checked| open(is_checked, Limits::ANY)).collect());
    if gpus.is_empty() {
        manaflow_datasets::skip(test, "no adapter");
    }
    gpus
}

/// A device of its own, if there is an adapter.
pub fn open(is_checked: bool, limits: Limits) -> Option<Gpu> {
    static SAID: OnceLock<()> = OnceLock::new();
    let gpu = Gpu::open(&Setup { allows_software: true, is_checked, limits, ..Setup::default() }).ok()?;
    SAID.get_or_init(|| manaflow_datasets::say(&format!("device: {}", gpu.adapter())));
    Some(gpu)
}

/// The same for a test, which is said to be skipped if there is none.
pub fn open_for(test: &str, limits: Limits) -> Option<Gpu> {
    let gpu = open(true, limits);
    if gpu.is_none() {
        manaflow_datasets::skip(test, "no adapter");
    }
    gpu
}

/// Numbers that look drawn, from a seed.
pub struct Random(pub u64);

impl Random {
    /// The next.
    pub fn number(&mut self) -> u32 {
        // Splitmix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 32) as u32
    }

    /// One below a bound.
    pub fn below(&mut self, bound: u32) -> u32 {
        self.number() % bound
    }
}

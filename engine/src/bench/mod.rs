//! Measurements of kernels beside the libraries that they are held against, in turns within one run.
//!
//! Every result is verified before it is timed. Times are wall time on the current rayon pool; a ratio is the median over turns of
//! the peer's time a row by the kernel's in the same turn.

mod double_use;
mod hashes;
pub mod moves;
mod signatures;

pub use double_use::{Plan as DoubleUsePlan, double_use};
pub use hashes::{Plan as HashesPlan, hashes};
pub use signatures::{HINTS, Measured, Plan, Rows, signatures};

use crate::secp256k1::Backend;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Instant;

/// Why there is no measurement.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BenchError {
    /// A kernel gave something else than the signers.
    #[error("backend {backend}: row {row} of {rows} does not recover to its signer")]
    Wrong {
        /// The backend.
        backend: Backend,
        /// First wrong row.
        row: usize,
        /// Rows.
        rows: usize,
    },
    /// A kernel gave something else than the definition.
    #[error("{stage}: {kernel} by {backend}: a wrong result on {rows} rows")]
    Differs {
        /// Stage.
        stage: &'static str,
        /// Kernel.
        kernel: &'static str,
        /// The backend.
        backend: &'static str,
        /// Rows.
        rows: u64,
    },
    /// No rows, or more signers than rows.
    #[error("{0}")]
    Usage(String),
}

/// A kernel on rows that need no more than a word to tell them apart.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Line {
    /// What is measured.
    pub stage: &'static str,
    /// The kernel.
    pub kernel: &'static str,
    /// Who did it.
    pub backend: &'static str,
    /// Worker threads.
    pub threads: usize,
    /// Rows.
    pub rows: u64,
    /// Which rows.
    pub input: String,
    /// Rows a second, at the median.
    pub per_second: f64,
    /// Seconds of each turn.
    pub samples: Vec<f64>,
    /// How many times as fast as a peer in the same run, a core each.
    pub ratio: BTreeMap<&'static str, f64>,
}

/// Work that is timed, and its name.
struct Timed<'a> {
    kernel: &'static str,
    backend: &'static str,
    /// Threads that it uses.
    threads: usize,
    work: Box<dyn FnMut() + 'a>,
}

/// A library's name, its rows, and its work on them.
type Peer<'a> = (&'static str, u64, Box<dyn FnMut() + 'a>);

/// Runs kernels and peers in turns. A peer's rows may be fewer: time a row counts.
fn in_turns(
    (stage, rows, input): (&'static str, u64, String),
    samples: usize,
    mut kernels: Vec<Timed<'_>>,
    mut peers: Vec<Peer<'_>>,
) -> Vec<Line> {
    let mut times = vec![Vec::with_capacity(samples); kernels.len()];
    let mut of_peers = vec![Vec::with_capacity(samples); peers.len()];
    // Once without the clock: pages are touched, tables are made.
    kernels.iter_mut().for_each(|kernel| (kernel.work)());
    for _ in 0..samples {
        for ((_, rows, work), times) in peers.iter_mut().zip(&mut of_peers) {
            times.push(seconds(work) / *rows as f64);
        }
        for (kernel, times) in kernels.iter_mut().zip(&mut times) {
            times.push(seconds(&mut kernel.work));
        }
    }
    let line = |(kernel, samples): (Timed<'_>, Vec<f64>)| {
        let ratio_to = |peer: &[f64]| {
            let each = peer.iter().zip(&samples).map(|(peer, own)| peer * rows as f64 / own / kernel.threads as f64);
            median(each.collect())
        };
        Line {
            stage,
            kernel: kernel.kernel,
            backend: kernel.backend,
            threads: kernel.threads,
            rows,
            input: input.clone(),
            per_second: rows as f64 / median(samples.clone()),
            ratio: peers.iter().zip(&of_peers).map(|((name, ..), times)| (*name, ratio_to(times))).collect(),
            samples,
        }
    };
    kernels.into_iter().zip(times).map(line).collect()
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

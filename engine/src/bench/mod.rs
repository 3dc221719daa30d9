//! Measurements of kernels beside the libraries that they are held against, in turns within one run.
//!
//! Every result is verified before it is timed. Times are wall time on the current rayon pool; a ratio is the median over turns of
//! the peer's time a row by the kernel's in the same turn.

mod chains;
pub mod clock;
mod compare;
mod double_use;
mod hashes;
pub mod lanes;
pub mod moves;
mod roof;
mod score;
pub mod sequential;
mod signatures;
mod suite;

pub use chains::{ChainPlan, decoding, execution, pipeline};
pub use compare::{Change, Comparison, Judgement, compare};
pub use double_use::{Plan as DoubleUsePlan, double_use};
pub use hashes::{Plan as HashesPlan, hashes};
pub use roof::memory_bandwidth;
pub use score::{Score, scores};
pub use signatures::{HINTS, Plan, Rows, signatures};
pub use suite::{Effort, Sizes, Skipped, Stage, Suite};

use crate::secp256k1::Backend;
use serde::{Deserialize, Serialize};
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
    /// The blocks are none to measure on.
    #[error("{0}")]
    Blocks(String),
    /// Threads cannot be started.
    #[error("worker threads cannot be started: {0}")]
    Threads(String),
}

/// A kernel on one input, and how fast it was.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Line {
    /// What is measured.
    pub stage: String,
    /// The kernel.
    pub kernel: String,
    /// Who did it.
    pub backend: String,
    /// Worker threads.
    pub threads: usize,
    /// Rows.
    pub rows: u64,
    /// What a row is: `hashes`, `signatures`, `moves`, `transactions`, `bytes`.
    pub unit: String,
    /// Which rows.
    pub input: String,
    /// Distinct signers among the rows.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signers: Option<u64>,
    /// Hints that came with the rows, or the lie that they tell.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hints: Option<String>,
    /// Rows a second, at the median.
    pub per_second: f64,
    /// Bytes of input a second, at the median.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bytes_per_second: Option<f64>,
    /// Gas a second, at the median.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gas_per_second: Option<f64>,
    /// Share of the memory bandwidth of as many threads that the bytes of input take; measured in the same run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub of_bandwidth: Option<f64>,
    /// Seconds that the rows took in each turn.
    pub samples: Vec<f64>,
    /// How many times as fast as a peer in the same run, a core each; `sequential` as a whole.
    pub ratio: BTreeMap<String, f64>,
}

impl Line {
    /// Half of what lies between the quarters of the samples, by their median: what another run may differ by.
    pub fn spread(&self) -> f64 {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
        if sorted.len() < 2 { 0.0 } else { (at(0.75) - at(0.25)) / 2.0 / at(0.5) }
    }
}

/// Rows that are measured.
struct Input {
    stage: &'static str,
    /// What a row is.
    unit: &'static str,
    rows: u64,
    /// Bytes of all rows, where they say something.
    bytes: Option<u64>,
    /// Gas of all rows.
    gas: Option<u64>,
    /// Which rows.
    name: String,
}

/// Work that is timed, and its name.
struct Timed<'a> {
    kernel: &'static str,
    backend: &'static str,
    /// Threads that it uses.
    threads: usize,
    work: Box<dyn FnMut() + 'a>,
}

/// What a kernel is held against.
struct Peer<'a> {
    name: &'static str,
    /// Its rows; time a row counts.
    rows: u64,
    /// Whether the ratio is to the whole peer, and not a core each.
    is_whole: bool,
    /// Works once, and says how many seconds it took: what has to be made ready is not timed.
    seconds: Box<dyn FnMut() -> f64 + 'a>,
}

impl<'a> Peer<'a> {
    fn new(name: &'static str, rows: u64, mut work: impl FnMut() + 'a) -> Self {
        Self { name, rows, is_whole: false, seconds: Box::new(move || seconds(&mut work)) }
    }
}

/// What a turn of a kernel takes at least: shorter work is done again and again, so that a turn can be told from noise.
const TURN_SECONDS: f64 = 0.04;

/// Runs kernels and peers in turns. A peer's rows may be fewer: time a row counts.
fn in_turns(input: &Input, samples: usize, mut kernels: Vec<Timed<'_>>, mut peers: Vec<Peer<'_>>) -> Vec<Line> {
    let mut times = vec![Vec::with_capacity(samples); kernels.len()];
    let mut of_peers = vec![Vec::with_capacity(samples); peers.len()];
    // Once not counted: pages are touched, tables are made, and it shows how often a turn repeats the work.
    let mut repeats = |kernel: &mut Timed<'_>| (TURN_SECONDS / seconds(&mut kernel.work)).clamp(1.0, 1e6) as usize;
    let repeats: Vec<usize> = kernels.iter_mut().map(&mut repeats).collect();
    for _ in 0..samples {
        for (peer, times) in peers.iter_mut().zip(&mut of_peers) {
            times.push((peer.seconds)() / peer.rows as f64);
        }
        for ((kernel, times), &repeats) in kernels.iter_mut().zip(&mut times).zip(&repeats) {
            times.push(seconds(|| (0..repeats).for_each(|_| (kernel.work)())) / repeats as f64);
        }
    }
    let line = |(kernel, samples): (Timed<'_>, Vec<f64>)| {
        let ratio_to = |(peer, times): (&Peer<'_>, &Vec<f64>)| {
            let cores = if peer.is_whole { 1 } else { kernel.threads };
            let each = times.iter().zip(&samples).map(|(peer, own)| peer * input.rows as f64 / own / cores as f64);
            (peer.name.to_owned(), median(each.collect()))
        };
        let typical = median(samples.clone());
        let a_second = |n: u64| n as f64 / typical;
        Line {
            stage: input.stage.into(),
            kernel: kernel.kernel.into(),
            backend: kernel.backend.into(),
            threads: kernel.threads,
            rows: input.rows,
            unit: input.unit.into(),
            input: input.name.clone(),
            signers: None,
            hints: None,
            per_second: a_second(input.rows),
            bytes_per_second: input.bytes.map(a_second),
            gas_per_second: input.gas.map(a_second),
            of_bandwidth: None,
            ratio: peers.iter().zip(&of_peers).map(ratio_to).collect(),
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

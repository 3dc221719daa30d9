//! The whole benchmark: every stage, with one thread and with all, in as much time as is given.

use super::double_use::SEVERAL_THREADS;
use super::{
    BenchError, ChainPlan, DoubleUsePlan, HINTS, HashesPlan, Line, Plan, decoding, double_use, execution, hashes,
    memory_bandwidth, pipeline, signatures,
};
use crate::backend::standing::{self, Known, Standing};
use crate::backend::{Backends, signatures as signature_backends};
use manaflow_loader::file::BlockFile;
use manaflow_loader::source::moves::Distribution;
use rayon::ThreadPoolBuilder;
use serde::Serialize;
use std::str::FromStr;

/// A stage of validation that is measured by itself, and the whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stage {
    /// Keccak-256 and roots of lists.
    Hashes,
    /// Recovery, and batches with hints.
    Signatures,
    /// The procedures of double use.
    DoubleUse,
    /// A file opened and verified.
    Decoding,
    /// Transactions executed from their moves.
    Execution,
    /// From the file to the verdict.
    Pipeline,
}

impl Stage {
    /// All, in the order in which they are measured.
    pub const ALL: [Self; 6] =
        [Self::Hashes, Self::Signatures, Self::DoubleUse, Self::Decoding, Self::Execution, Self::Pipeline];

    /// Its name in options and results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hashes => "hashes",
            Self::Signatures => "signatures",
            Self::DoubleUse => "double-use",
            Self::Decoding => "decoding",
            Self::Execution => "execution",
            Self::Pipeline => "pipeline",
        }
    }
}

impl FromStr for Stage {
    type Err = BenchError;

    fn from_str(name: &str) -> Result<Self, BenchError> {
        Self::ALL.into_iter().find(|stage| stage.name() == name).ok_or_else(|| {
            let expected = Self::ALL.map(Self::name).join(", ");
            BenchError::Usage(format!("no stage {name:?}: expected some of {expected}"))
        })
    }
}

/// How long it may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// A look: some 15 seconds.
    Quick,
    /// Less than two minutes on two cores.
    Default,
    /// As long as it takes.
    Full,
}

impl Effort {
    /// One of three, by effort.
    fn pick<T>(self, quick: T, default: T, full: T) -> T {
        match self {
            Self::Quick => quick,
            Self::Default => default,
            Self::Full => full,
        }
    }
}

/// What was not measured, and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Skipped {
    /// The stage.
    pub stage: &'static str,
    /// Backend, kernel or size.
    pub what: String,
    /// Why.
    pub why: &'static str,
}

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// Turns; `None`: as many as a stage needs.
    pub samples: Option<usize>,
    /// Bytes of a message that is hashed.
    pub lengths: Vec<usize>,
    /// Messages.
    pub messages: usize,
    /// Signatures of a batch.
    pub rows: Vec<usize>,
    /// Distinct signers, in percent of rows; 0 for one row again and again.
    pub distinct: Vec<usize>,
    /// Who recovers.
    pub backends: Vec<signature_backends::Backend>,
    /// Hints of signatures, some of [`HINTS`].
    pub hints: Vec<&'static str>,
    /// Moves of double use.
    pub moves: Vec<u64>,
    /// How often cells are used.
    pub distributions: Vec<Distribution>,
    /// Procedures of double use; all if there are none.
    pub kernels: Vec<String>,
}

impl Sizes {
    /// What an effort measures.
    pub fn of(effort: Effort) -> Self {
        let usable = |backend: &signature_backends::Backend| backend.is_available() && backend.is_proven() == Ok(true);
        let few_hints = || vec!["none", "keys+y"];
        Self {
            samples: None,
            lengths: effort.pick(vec![64, 135], vec![64, 135, 1000], vec![32, 64, 135, 136, 1000]),
            messages: 65_536,
            rows: effort.pick(vec![4_096], vec![4_096], vec![256, 4_096, 16_384]),
            distinct: effort.pick(vec![100], vec![100, 10], vec![100, 10, 0]),
            backends: signature_backends::Backend::OF_PROCESSOR.into_iter().filter(usable).collect(),
            hints: effort.pick(few_hints(), few_hints(), HINTS.to_vec()),
            moves: effort.pick(vec![1_000_000], vec![4_000_000], vec![4_000_000, 20_000_000]),
            distributions: effort.pick(vec![Distribution::Uniform], Distribution::ALL.into(), Distribution::ALL.into()),
            kernels: Vec::new(),
        }
    }
}

/// What is measured, on what.
#[derive(Clone, Debug)]
pub struct Suite<'a> {
    /// Blocks of decoding, execution and pipeline.
    pub file: &'a BlockFile,
    /// Chains that are measured beside it, by name: execution and pipeline.
    pub chains: &'a [(String, BlockFile)],
    /// Who does the work of the pipeline.
    pub backends: Backends,
    /// Time.
    pub effort: Effort,
    /// Rows.
    pub sizes: Sizes,
    /// Numbers of worker threads.
    pub threads: Vec<usize>,
}

impl Suite<'_> {
    /// Measures a stage with each number of threads.
    ///
    /// Errors: a kernel that gives wrong results; blocks that are none to measure on; threads that cannot be started.
    pub fn run(&self, stage: Stage) -> Result<Vec<Line>, BenchError> {
        let mut lines: Vec<Line> = Vec::new();
        for (i, &threads) in self.threads.iter().enumerate() {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build();
            let pool = pool.map_err(|e| BenchError::Threads(e.to_string()))?;
            lines.extend(pool.install(|| self.on_pool(stage, i == 0))?);
        }
        Ok(lines)
    }

    /// On the current pool; what works on one thread, whatever it is given, only on the first.
    fn on_pool(&self, stage: Stage, is_first: bool) -> Result<Vec<Line>, BenchError> {
        let (effort, sizes) = (self.effort, &self.sizes);
        let samples = |quick, default, full| sizes.samples.unwrap_or_else(|| effort.pick(quick, default, full));
        let plan = |file, name, samples| ChainPlan { file, name, backends: self.backends, samples };
        let chain = plan(self.file, "", samples(3, 9, 21));
        let with_chains = |measure: fn(&ChainPlan<'_>) -> Result<Vec<Line>, BenchError>| {
            let mut lines = measure(&chain)?;
            for (name, file) in self.chains {
                lines.extend(measure(&plan(file, name, samples(3, 3, 9)))?);
            }
            Ok(lines)
        };
        match stage {
            Stage::Hashes => {
                let (lengths, rows) = (sizes.lengths.clone(), sizes.messages);
                hashes(&HashesPlan { lengths, rows, samples: samples(3, 7, 15) })
            }
            Stage::Signatures => signatures(&self.signatures_plan(samples(3, 7, 15))),
            Stage::DoubleUse => {
                let asked = |kernel: &&str| sizes.kernels.is_empty() || sizes.kernels.iter().any(|name| name == kernel);
                let kernels = if is_first { sizes.kernels.clone() } else { of_several_threads(asked) };
                if !is_first && kernels.is_empty() {
                    return Ok(Vec::new());
                }
                let (moves, distributions) = (sizes.moves.clone(), sizes.distributions.clone());
                double_use(&DoubleUsePlan { moves, distributions, kernels, samples: samples(3, 5, 9) })
            }
            Stage::Decoding if !is_first => Ok(Vec::new()),
            Stage::Decoding => decoding(&chain).map(|lines| self.with_bandwidth(lines)),
            Stage::Execution => with_chains(execution),
            Stage::Pipeline => with_chains(pipeline),
        }
    }

    fn signatures_plan(&self, samples: usize) -> Plan {
        let Sizes { rows, distinct, backends, hints, .. } = self.sizes.clone();
        Plan { rows, distinct, backends, hints, samples }
    }

    /// Which share of the bandwidth of memory the bytes of input take, where there are such bytes.
    fn with_bandwidth(&self, mut lines: Vec<Line>) -> Vec<Line> {
        let bandwidth = memory_bandwidth(self.effort.pick(3, 5, 9));
        for line in &mut lines {
            line.of_bandwidth = line.bytes_per_second.map(|bytes| bytes / bandwidth);
        }
        lines
    }

    /// What of a stage cannot be measured here.
    pub fn skipped(&self, stage: Stage) -> Vec<Skipped> {
        let skip = |what: &str, why| Skipped { stage: stage.name(), what: what.into(), why };
        let of_stage = standing::all(false).into_iter().filter(|known| known.stage == stage.name());
        let unusable = |known: Known| match known.standing {
            Standing::Proven => None,
            Standing::Failed => Some(skip(known.backend, "failed its self-test")),
            Standing::Unavailable => Some(skip(known.backend, "cannot run here")),
        };
        let mut skipped: Vec<Skipped> = of_stage.filter_map(unusable).collect();
        if stage == Stage::Signatures {
            skipped.extend(self.signatures_plan(0).left_out().into_iter().map(|(backend, why)| skip(backend, why)));
        }
        if stage == Stage::Hashes {
            skipped.push(skip("wgpu", "this command does not measure devices yet"));
        }
        if stage == Stage::DoubleUse && self.threads.iter().any(|threads| *threads > 1) {
            skipped.push(skip("streaming and summed on several threads", "they work on one"));
        }
        skipped
    }
}

fn of_several_threads(asked: impl Fn(&&str) -> bool) -> Vec<String> {
    SEVERAL_THREADS.into_iter().filter(asked).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_stages_are_read_as_they_are_written() {
        for stage in Stage::ALL {
            assert_eq!(stage.name().parse(), Ok(stage));
        }
        assert!("hash".parse::<Stage>().is_err());
    }

    #[test]
    fn every_stage_is_measured_with_one_thread_and_with_all() {
        let file = BlockFile::open(manaflow_datasets::sample("mainnet.mana")).expect("the sample is there");
        let backends = Backends::choose(crate::backend::Forced::default()).expect("backends that are proven");
        let sizes = Sizes { samples: Some(1), ..Sizes::of(Effort::Quick) };
        let chains = [("samples".to_owned(), BlockFile::open(file.path()).expect("it is a block file"))];
        let suite = Suite { file: &file, chains: &chains, backends, effort: Effort::Quick, sizes, threads: vec![1, 2] };
        for stage in [Stage::Decoding, Stage::Execution, Stage::Pipeline] {
            let lines = suite.run(stage).expect("it is measured");
            assert!(lines.iter().all(|line| line.stage == stage.name() && line.per_second > 0.0), "{lines:?}");
            let threads: Vec<usize> = lines.iter().map(|line| line.threads).collect();
            let of_all = if stage == Stage::Decoding { 1..2 } else { 1..3 };
            assert!(of_all.into_iter().all(|n| threads.contains(&n)), "{stage:?}: {threads:?}");
        }
    }
}

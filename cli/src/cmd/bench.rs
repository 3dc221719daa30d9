//! `manaflow bench`: kernels beside the libraries that they are held against.

use crate::exit::{Code, Failure};
use crate::output::{grouped, write_to};
use manaflow_engine::backend::{Backends, Forced, signatures::Backend};
use manaflow_engine::bench::{DoubleUsePlan, HashesPlan, Line, Measured, Plan, double_use, hashes, signatures};
use manaflow_loader::source::moves::Distribution;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::Path;

const EXAMPLES: &str = "\
Examples:
  manaflow bench signatures
  manaflow bench signatures --rows 16384 --samples 15 --json
  manaflow bench signatures --backend avx512 --rows 256,4096
  manaflow bench hashes --lengths 64,135
  manaflow bench double-use --moves 10000000 --distribution uniform,zipf,hot

Ratios are to peers on one core in the same run, by core: above 1 means faster. Nothing else should run meanwhile.";

/// Arguments of `bench`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    stage: Stage,
}

#[derive(clap::Subcommand, Debug)]
enum Stage {
    /// Recovery and batches, beside libsecp256k1 and k256.
    Signatures(SignaturesArgs),
    /// Keccak-256 of many messages and roots of lists, beside sha3, keccak-asm and alloy-trie.
    Hashes(HashesArgs),
    /// Every procedure over synthetic moves in memory, beside what merely sorts as many records (voracious, rdst) and a hash map.
    DoubleUse(DoubleUseArgs),
}

/// What all stages take.
#[derive(clap::Args, Debug)]
struct Common {
    /// Turns.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=1000))]
    samples: u16,
    /// Worker threads.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
    /// Print the results as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args, Debug)]
struct SignaturesArgs {
    /// Backends: libsecp256k1, scalar, avx512; default: all that run here.
    #[arg(long, value_delimiter = ',', value_name = "BACKEND")]
    backend: Vec<Backend>,
    /// Rows of a batch.
    #[arg(long, value_delimiter = ',', value_name = "N", default_values_t = [256, 4096, 16_384])]
    rows: Vec<usize>,
    /// Distinct signers, in percent of rows; 0 for one row again and again.
    #[arg(long, value_delimiter = ',', value_name = "PERCENT", default_values_t = [100, 10])]
    distinct: Vec<usize>,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
struct HashesArgs {
    /// Bytes of a message.
    #[arg(long, value_delimiter = ',', value_name = "N", default_values_t = [32, 64, 135, 1000])]
    lengths: Vec<usize>,
    /// Messages.
    #[arg(long, value_name = "N", default_value_t = 65_536)]
    rows: usize,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
struct DoubleUseArgs {
    /// Moves.
    #[arg(long, value_delimiter = ',', value_name = "N", default_values_t = [1_000_000, 10_000_000])]
    moves: Vec<u64>,
    /// How often cells are used: uniform, zipf, hot.
    #[arg(long, value_delimiter = ',', value_name = "NAME", default_value = "uniform", value_parser = Distribution::ALL.map(Distribution::name))]
    distribution: Vec<String>,
    /// Kernels: streaming, streaming-reverse, sorted, tagged, summed; default: all.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    kernels: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// Runs `bench`.
pub fn run(args: &Args) -> Result<Code, Failure> {
    match &args.stage {
        Stage::Signatures(args) => {
            super::validate::start_threads(Some(args.common.threads))?;
            let results = signatures(&plan_of(args)?)?;
            print(&args.common, &results, || in_words(&results))
        }
        Stage::Hashes(args) => {
            super::validate::start_threads(Some(args.common.threads))?;
            let (lengths, samples) = (args.lengths.clone(), args.common.samples.into());
            let results = hashes(&HashesPlan { lengths, rows: args.rows, samples })?;
            print(&args.common, &results, || lines_in_words(&results))
        }
        Stage::DoubleUse(args) => {
            super::validate::start_threads(Some(args.common.threads))?;
            let is_asked = |d: &Distribution| args.distribution.iter().any(|name| name == d.name());
            let results = double_use(&DoubleUsePlan {
                moves: args.moves.clone(),
                distributions: Distribution::ALL.into_iter().filter(is_asked).collect(),
                kernels: args.kernels.clone(),
                samples: args.common.samples.into(),
            })?;
            print(&args.common, &results, || lines_in_words(&results))
        }
    }
}

fn plan_of(args: &SignaturesArgs) -> Result<Plan, Failure> {
    let backends: Vec<Backend> = match args.backend.is_empty() {
        true => Backend::ALL.into_iter().filter(|backend| backend.is_available()).collect(),
        false => args.backend.clone(),
    };
    for backend in &backends {
        Backends::choose(Forced { signatures: Some(*backend), ..Forced::default() })?;
    }
    let samples = args.common.samples.into();
    Ok(Plan { rows: args.rows.clone(), distinct: args.distinct.clone(), backends, samples })
}

fn print(common: &Common, results: &impl Serialize, words: impl FnOnce() -> String) -> Result<Code, Failure> {
    let text = match common.json {
        true => format!("{}\n", serde_json::json!({ "version": 1, "results": results })),
        false => words(),
    };
    write_to(Path::new("-"), text.as_bytes())?;
    Ok(Code::Success)
}

fn lines_in_words(results: &[Line]) -> String {
    let mut out =
        format!("{:<18} {:<11} {:<11} {:>12} {:>15}  times a peer\n", "kernel", "backend", "input", "rows", "rows/s");
    for line in results {
        let ratios: Vec<String> = line.ratio.iter().map(|(peer, x)| format!("{peer} {x:.2}")).collect();
        let (rows, rate) = (grouped(line.rows), grouped(line.per_second as u64));
        let _ = writeln!(
            out,
            "{:<18} {:<11} {:<11} {rows:>12} {rate:>15}  {}",
            line.kernel,
            line.backend,
            line.input,
            ratios.join(", ")
        );
    }
    out
}

fn in_words(results: &[Measured]) -> String {
    let mut out = format!(
        "{:<13} {:<8} {:<10} {:>7} {:>8} {:>12} {:>9} {:>7}\n",
        "backend", "kernel", "hints", "rows", "signers", "rows/s", "libsecp", "k256"
    );
    for m in results {
        let (rows, signers) = (grouped(m.rows as u64), grouped(m.signers as u64));
        let _ = writeln!(
            out,
            "{:<13} {:<8} {:<10} {:>7} {:>8} {:>12} {:>8.2}x {:>6.1}x",
            m.backend,
            m.kernel,
            m.hints,
            rows,
            signers,
            grouped(m.per_second as u64),
            m.ratio["libsecp256k1-recover"],
            m.ratio["k256-recover"]
        );
    }
    out
}

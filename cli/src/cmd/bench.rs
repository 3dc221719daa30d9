//! `manaflow bench`: kernels beside the libraries that they are held against.

use crate::exit::{Code, Failure};
use crate::output::{grouped, write_to};
use manaflow_engine::backend::{Backends, Forced, signatures::Backend};
use manaflow_engine::bench::{Measured, Plan, signatures};
use std::fmt::Write as _;
use std::path::Path;

const EXAMPLES: &str = "\
Examples:
  manaflow bench signatures
  manaflow bench signatures --rows 16384 --samples 15 --json
  manaflow bench signatures --backend avx512 --rows 256,4096

Ratios are to recovery by libsecp256k1 and k256 on one core in the same run. Nothing else should run meanwhile.";

/// Arguments of `bench`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What to measure.
    #[arg(value_name = "STAGE", value_parser = ["signatures"])]
    stage: String,
    /// Backends: libsecp256k1, scalar, avx512; default: all that run here.
    #[arg(long, value_delimiter = ',', value_name = "BACKEND")]
    backend: Vec<Backend>,
    /// Rows of a batch.
    #[arg(long, value_delimiter = ',', value_name = "N", default_values_t = [256, 4096, 16_384])]
    rows: Vec<usize>,
    /// Distinct signers, in percent of rows; 0 for one row again and again.
    #[arg(long, value_delimiter = ',', value_name = "PERCENT", default_values_t = [100, 10])]
    distinct: Vec<usize>,
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

/// Runs `bench`.
pub fn run(args: &Args) -> Result<Code, Failure> {
    super::validate::start_threads(Some(args.threads))?;
    let backends: Vec<Backend> = match args.backend.is_empty() {
        true => Backend::ALL.into_iter().filter(|backend| backend.is_available()).collect(),
        false => args.backend.clone(),
    };
    for backend in &backends {
        Backends::choose(Forced { signatures: Some(*backend), ..Forced::default() })?;
    }
    let plan =
        Plan { rows: args.rows.clone(), distinct: args.distinct.clone(), backends, samples: args.samples.into() };
    let results = signatures(&plan)?;
    let text = if args.json {
        let json = serde_json::json!({ "version": 1, "results": results });
        format!("{json}\n")
    } else {
        in_words(&results)
    };
    write_to(Path::new("-"), text.as_bytes())?;
    Ok(Code::Success)
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

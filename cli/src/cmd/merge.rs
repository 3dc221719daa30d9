//! `manaflow merge`: summaries → the verdict of the whole.

use crate::exit::{Code, Failure};
use crate::words::{Outputs, emit};
use manaflow_engine::reason::Check;
use manaflow_engine::segment::{MergeOptions, checks_of, merge_summaries};
use manaflow_loader::summary::Summary;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  manaflow validate chain.mana --blocks 0..999 --summary a.mans
  manaflow validate chain.mana --blocks 1000..1999 --summary b.mans
  manaflow merge a.mans b.mans                              the report of blocks 0..1999
  manaflow merge b.mans a.mans --summary ab.mans --json     and a summary, to be merged with others

The order of summaries does not matter, nor whether they are merged at once or in a tree: report and summary are the same.
A merge believes what its summaries say: it is worth what those who made them are.";

/// Arguments of `merge`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Summaries of one chain, in any order.
    #[arg(required = true, value_name = "SUMMARY")]
    summaries: Vec<PathBuf>,
    /// Write the summary of the whole.
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Let blocks be missing between summaries; what lies apart is reported apart.
    #[arg(long)]
    gaps: bool,
    /// Faults listed; all are found and counted.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    limit: usize,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    /// Write the report to a file; - is standard output.
    #[arg(long, default_value = "-", value_name = "FILE")]
    output: PathBuf,
    /// Write what must hold before the blocks, one JSON object a line; - is standard output.
    #[arg(long, value_name = "FILE")]
    requirements: Option<PathBuf>,
    /// Write the report as a page, too: what was checked, what it rests on, what failed.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Runs `merge`.
pub fn run(args: &Args) -> Result<Code, Failure> {
    let outputs = Outputs {
        json: args.json,
        report: &args.output,
        requirements: args.requirements.as_deref(),
        page: args.report.as_deref(),
        summaries: args.summary.as_deref().into_iter().collect(),
    };
    outputs.check(&args.summaries)?;
    super::validate::refuse_twice(&args.summaries)?;
    let read = |path: &PathBuf| Ok((path.display().to_string(), Summary::read(path)?));
    let summaries = args.summaries.iter().map(read).collect::<Result<Vec<_>, Failure>>()?;
    let options = MergeOptions {
        gaps: args.gaps,
        limit: args.limit,
        list_requirements: args.requirements.is_some(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    let (validation, whole) = merge_summaries(summaries, &options)?;
    if let Some(path) = &args.summary {
        whole.write(path).map_err(super::unwritable)?;
    }
    let checks = checks_of(&whole);
    let checks: Vec<Check> = Check::ALL.into_iter().filter(|check| checks.has(*check)).collect();
    emit(&validation, &checks, &outputs)
}

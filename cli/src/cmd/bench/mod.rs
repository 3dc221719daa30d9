//! `manaflow bench`: what this machine does at every stage of validation, beside the libraries that each kernel is held against.

mod environment;
mod results;

use super::generate::profiles;
use crate::exit::{Code, Failure};
use crate::output::{check_output, grouped, tell, write_to};
use crate::page;
pub use environment::Environment;
use manaflow_engine::backend::{Backends, Forced, signatures::Backend};
use manaflow_engine::bench::{Effort, HINTS, Judgement, Line, Sizes, Skipped, Stage, Suite, compare, scores};
use manaflow_loader::file::BlockFile;
use manaflow_loader::source::moves::Distribution;
pub use results::Results;
use results::reference;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Real mainnet blocks, so that the program needs no file to be told what a machine can do.
const BLOCKS: &[u8] = include_bytes!("../../../../datasets/mainnet.mana");

/// Memory that a move takes while double use is measured: its columns, and records of every kernel and peer.
const MOVE_BYTES: u64 = 160;

const EXAMPLES: &str = "\
Examples:
  manaflow bench                                   every stage, less than two minutes
  manaflow bench --quick                           a look
  manaflow bench --json > here.json                for `manaflow bench compare`
  manaflow bench --report here.html                a page with charts
  manaflow bench pipeline execution --input chain.mana
  manaflow bench signatures --rows 16384 --samples 15 --threads 1
  manaflow bench hashes --lengths 64,135
  manaflow bench double-use --moves 10000000 --distribution uniform,zipf,hot
  manaflow bench compare before.json after.json --threshold 3%

Every kernel gives the right results before it is timed. A ratio is to a peer in the same run, a core each (`sequential`: the
whole client), above 1 where this is faster. Nothing else should run meanwhile.";

const COMPARE_EXAMPLES: &str = "\
Examples:
  manaflow bench compare before.json after.json
  manaflow bench compare before.json after.json --threshold 3% --json

Exit codes: 0 no regression; 1 at least one line is slower by more than the threshold and by more than noise.";

/// Arguments of `bench`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Stages: hashes, signatures, double-use, decoding, execution, pipeline; default: all.
    #[arg(value_name = "STAGE", value_parser = Stage::ALL.map(Stage::name))]
    stages: Vec<String>,
    /// A look, in some 15 seconds.
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// More sizes and more turns, as long as it takes.
    #[arg(long)]
    full: bool,
    /// Blocks of decoding, execution and pipeline; default: mainnet blocks that the program brings, and for the last two, unless
    /// --quick, a chain of each profile of `generate` beside them.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Numbers of worker threads; default: one, and all cores.
    #[arg(long, value_delimiter = ',', value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Vec<u16>,
    /// Turns; default: as many as a stage needs.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    samples: Option<u16>,
    /// Signatures: who recovers: libsecp256k1, scalar, avx512, wgpu; default: all that the processor runs.
    #[arg(long, value_delimiter = ',', value_name = "BACKEND")]
    backend: Vec<Backend>,
    /// Signatures: rows of a batch.
    #[arg(long, value_delimiter = ',', value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 22))]
    rows: Vec<u32>,
    /// Signatures: distinct signers, in percent of rows; 0 for one row again and again.
    #[arg(long, value_delimiter = ',', value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=100))]
    distinct: Vec<u32>,
    /// Signatures: hints, right and wrong: "none", "keys+y", "keys", "all wrong", "one wrong".
    #[arg(long, value_delimiter = ',', value_name = "HINTS", value_parser = HINTS)]
    hints: Vec<String>,
    /// Hashes: bytes of a message.
    #[arg(long, value_delimiter = ',', value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1 << 20))]
    lengths: Vec<u32>,
    /// Hashes: messages.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 24))]
    messages: Option<u32>,
    /// Double use: moves.
    #[arg(long, value_delimiter = ',', value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1 << 31))]
    moves: Vec<u64>,
    /// Double use: how often cells are used: uniform, zipf, hot.
    #[arg(long, value_delimiter = ',', value_name = "NAME", value_parser = Distribution::ALL.map(Distribution::name))]
    distribution: Vec<String>,
    /// Double use: kernels: streaming, streaming-reverse, sorted, tagged, summed.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    kernels: Vec<String>,
    /// Write a page with charts.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Print the results as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Put two runs side by side, as `--json` wrote them.
    Compare(CompareArgs),
}

/// Arguments of `bench compare`.
#[derive(clap::Args, Debug)]
#[command(after_help = COMPARE_EXAMPLES)]
struct CompareArgs {
    /// The earlier run.
    #[arg(value_name = "BEFORE")]
    before: PathBuf,
    /// The later run.
    #[arg(value_name = "AFTER")]
    after: PathBuf,
    /// How much slower a line may become, as 5% or 0.05.
    #[arg(long, value_name = "SHARE", default_value = "5%", value_parser = parse_share)]
    threshold: f64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn parse_share(text: &str) -> Result<f64, String> {
    let (number, by) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
    let share = number.trim().parse::<f64>().map_err(|_| "expected a share, as 5% or 0.05".to_owned())? / by;
    if (0.0..1.0).contains(&share) {
        Ok(share)
    } else {
        Err("expected a share from 0 to below 1, as 5% or 0.05".into())
    }
}

/// Runs `bench`.
pub fn run(args: &Args) -> Result<Code, Failure> {
    match &args.command {
        Some(Command::Compare(args)) => compared(args),
        None => measured(args),
    }
}

fn measured(args: &Args) -> Result<Code, Failure> {
    if let Some(report) = &args.report {
        check_output(report, &args.input.iter().cloned().collect::<Vec<_>>())?;
    }
    let moves = args.moves.iter().copied().max().unwrap_or(0);
    let (needed, memory) = (moves.saturating_mul(MOVE_BYTES), super::validate::memory_bytes());
    if needed > memory {
        let (needed, memory) = (grouped(needed >> 20), grouped(memory >> 20));
        return Err(Failure::Memory(format!(
            "{moves} moves take about {needed} MiB, and this machine has {memory} MiB"
        )));
    }
    // All backends are proven before any is timed.
    let backends = Backends::choose(Forced::default())?;
    for backend in &args.backend {
        Backends::choose(Forced { signatures: Some(*backend), ..Forced::default() })?;
    }
    let bundled = tempfile::tempdir().map_err(Failure::output(std::env::temp_dir()))?;
    let path = match &args.input {
        Some(path) => path.clone(),
        None => {
            let path = bundled.path().join("mainnet.mana");
            std::fs::write(&path, BLOCKS).map_err(Failure::output(&path))?;
            path
        }
    };
    let effort = match (args.quick, args.full) {
        (true, _) => Effort::Quick,
        (_, true) => Effort::Full,
        _ => Effort::Default,
    };
    let results = super::watched(std::slice::from_ref(&path), || {
        let file = BlockFile::open(&path)?;
        let input = args.input.as_deref().unwrap_or(Path::new("mainnet.mana, which the program brings"));
        let of_chains = stages(args).iter().any(|stage| matches!(stage, Stage::Execution | Stage::Pipeline));
        let chains = match of_chains && args.input.is_none() && effort != Effort::Quick {
            true => profiles(bundled.path(), backends)?,
            false => Vec::new(),
        };
        let (sizes, threads) = (sizes(args, effort), threads(args));
        let suite = Suite { file: &file, chains: &chains, backends, effort, sizes, threads };
        let environment = Environment::here(&path, input, &suite.threads)?;
        let (lines, skipped) = all_stages(&stages(args), &suite)?;
        let most = suite.threads.iter().copied().max().unwrap_or(1);
        let scores = scores(&lines, most, &reference());
        Ok(Results::new(environment, effort, lines, skipped, scores))
    })?;
    let text = if args.json { results.json() } else { in_words(&results) };
    if let Some(report) = &args.report {
        write_to(report, page::of_bench(&results).as_bytes())?;
    }
    write_to(Path::new("-"), text.as_bytes())?;
    Ok(Code::Success)
}

/// Those asked for, each once, in the order in which they are measured.
fn stages(args: &Args) -> Vec<Stage> {
    let is_asked = |stage: &Stage| args.stages.is_empty() || args.stages.iter().any(|name| name == stage.name());
    Stage::ALL.into_iter().filter(is_asked).collect()
}

fn threads(args: &Args) -> Vec<usize> {
    let mut threads: Vec<usize> = args.threads.iter().map(|n| usize::from(*n)).collect();
    if threads.is_empty() {
        threads = vec![1, std::thread::available_parallelism().map_or(1, usize::from)];
    }
    threads.sort_unstable();
    threads.dedup();
    threads
}

/// What an effort measures, but for what is asked for.
fn sizes(args: &Args, effort: Effort) -> Sizes {
    fn or<T: Clone>(given: &[T], default: Vec<T>) -> Vec<T> {
        if given.is_empty() { default } else { given.to_vec() }
    }
    let numbers = |list: &[u32]| list.iter().map(|n| *n as usize).collect::<Vec<_>>();
    let sizes = Sizes::of(effort);
    let hints = HINTS.into_iter().filter(|name| args.hints.iter().any(|asked| asked == name)).collect::<Vec<_>>();
    let is_asked = |d: &Distribution| args.distribution.iter().any(|name| name == d.name());
    let distributions = Distribution::ALL.into_iter().filter(is_asked).collect::<Vec<_>>();
    Sizes {
        samples: args.samples.map(usize::from),
        lengths: or(&numbers(&args.lengths), sizes.lengths),
        messages: args.messages.map_or(sizes.messages, |n| n as usize),
        rows: or(&numbers(&args.rows), sizes.rows),
        distinct: or(&numbers(&args.distinct), sizes.distinct),
        backends: or(&args.backend, sizes.backends),
        hints: or(&hints, sizes.hints),
        moves: or(&args.moves, sizes.moves),
        distributions: or(&distributions, sizes.distributions),
        kernels: or(&args.kernels, sizes.kernels),
    }
}

fn all_stages(stages: &[Stage], suite: &Suite<'_>) -> Result<(Vec<Line>, Vec<Skipped>), Failure> {
    let (mut lines, mut skipped) = (Vec::new(), Vec::new());
    for (i, stage) in stages.iter().enumerate() {
        tell(&format!("bench: {} ({} of {})", stage.name(), i + 1, stages.len()));
        lines.extend(suite.run(*stage)?);
        skipped.extend(suite.skipped(*stage));
    }
    Ok((lines, skipped))
}

/// A rate with its unit: `12.3 M hashes/s`.
pub fn rate_in_words(line: &Line) -> String {
    let unit = if line.unit == "bytes" { "B" } else { &line.unit };
    format!("{}{unit}/s", crate::output::rate(line.per_second as u64, 1.0))
}

/// What else a line says: gas and bytes a second, and the share of memory bandwidth.
pub fn also_in_words(line: &Line) -> String {
    let gas = line.gas_per_second.map(|gas| format!("{:.0} Mgas/s", gas * 1e-6));
    // What is counted in bytes has said so.
    let bytes = line.bytes_per_second.filter(|_| line.unit != "bytes").map(|bytes| format!("{:.2} GB/s", bytes * 1e-9));
    let share = line.of_bandwidth.map(|share| format!("{:.0} % of memory bandwidth", share * 100.0));
    [gas, bytes, share].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

pub fn ratios_in_words(line: &Line) -> String {
    line.ratio.iter().map(|(peer, ratio)| format!("{peer} {ratio:.2}")).collect::<Vec<_>>().join(", ")
}

fn in_words(results: &Results) -> String {
    let mut out = results.environment.in_words();
    let row = |of: [&str; 8]| {
        let [kernel, backend, threads, rows, input, rate, spread, rest] = of;
        let line =
            format!("  {kernel:<17} {backend:<12} {threads:>7} {rows:>11} {input:<28} {rate:>22} {spread:>6}  {rest}");
        line.trim_end().to_owned() + "\n"
    };
    for lines in results.results.chunk_by(|a, b| a.stage == b.stage) {
        let _ = writeln!(out, "\n{}", lines[0].stage);
        out += &row(["kernel", "backend", "threads", "rows", "input", "rate", "±", "times a peer"]);
        for line in lines {
            let (threads, rows) = (line.threads.to_string(), grouped(line.rows));
            let spread = format!("{:.1} %", line.spread() * 100.0);
            let rest = [ratios_in_words(line), also_in_words(line)];
            let rest: Vec<String> = rest.into_iter().filter(|text| !text.is_empty()).collect();
            out += &row([
                &line.kernel,
                &line.backend,
                &threads,
                &rows,
                &line.input,
                &rate_in_words(line),
                &spread,
                &rest.join("; "),
            ]);
        }
    }
    out.push('\n');
    for score in &results.scores {
        let of_stage = |(stage, score): (&String, &f64)| format!("{stage} {score:.0}");
        let stages: Vec<String> = score.stages.iter().map(of_stage).collect();
        let _ = writeln!(out, "score of {}: {:.0} ({})", score.device, score.score, stages.join(", "));
    }
    if let Some(why) = results.without_score() {
        let _ = writeln!(out, "no score: {why}");
    }
    for skipped in &results.skipped {
        let _ = writeln!(out, "skipped: {} {}: {}", skipped.stage, skipped.what, skipped.why);
    }
    out
}

fn compared(args: &CompareArgs) -> Result<Code, Failure> {
    let (before, after) = (Results::read(&args.before)?, Results::read(&args.after)?);
    let compared = compare(&before, &after, args.threshold);
    if compared.changes.is_empty() {
        return Err(Failure::Results(format!(
            "{} and {}: no line is in both",
            args.before.display(),
            args.after.display()
        )));
    }
    let regressions = compared.regressions();
    let text = if args.json {
        let (changes, before, after) = (&compared.changes, &compared.only_before, &compared.only_after);
        let value = serde_json::json!({
            "version": 1, "threshold": args.threshold, "regressions": regressions,
            "changes": changes, "only_before": before, "only_after": after,
        });
        format!("{value}\n")
    } else {
        let mut out = String::new();
        for change in &compared.changes {
            let word = match change.judgement {
                Judgement::Faster => "faster",
                Judgement::Slower => "slower, within the threshold",
                Judgement::Regression => "REGRESSION",
                Judgement::Noise => "within noise",
            };
            let (ratio, noise) = (change.ratio, change.noise * 100.0);
            let _ = writeln!(out, "{ratio:>6.2}x ± {noise:>4.1} %  {word:<28}  {}", change.line);
        }
        for line in &compared.only_before {
            let _ = writeln!(out, "only in {}: {line}", args.before.display());
        }
        for line in &compared.only_after {
            let _ = writeln!(out, "only in {}: {line}", args.after.display());
        }
        let of = compared.changes.len();
        let _ = writeln!(out, "{regressions} of {of} lines are slower by more than {:.1} %", args.threshold * 100.0);
        out
    };
    write_to(Path::new("-"), text.as_bytes())?;
    Ok(if regressions > 0 { Code::Invalid } else { Code::Success })
}

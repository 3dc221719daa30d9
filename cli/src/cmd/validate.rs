//! `manaflow validate`: block files → verdict.

use crate::exit::{Code, Failure};
use crate::output::{check_output, grouped, rate, tell, write_to};
use crate::progress::{Display, Done};
use manaflow_engine::reason::Check;
use manaflow_engine::report::{Report, Verdict};
use manaflow_engine::solo::check::{say, say_version};
use manaflow_engine::validate::{Checks, Options, Order, Progress, StateRootAt, Validation, validate};
use manaflow_loader::file::BlockFile;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  manaflow validate datasets/mainnet.mana
  manaflow validate chain.mana --order reverse --blocks 100..199
  manaflow validate chain.mana --checks signatures,conflicts --json
  manaflow validate chain.mana --state-root every:1000

Verdicts: valid (all five checks ran over all rows and found nothing), partial (fewer checks were asked for), invalid.";

/// Arguments of `validate`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Block files of one chain.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Order of blocks: forward, reverse, shuffled or shuffled:SEED.
    #[arg(long, default_value = "forward", value_name = "ORDER")]
    order: OrderArg,
    /// Any of signatures, hashes, execution, conflicts, blocks; default: all.
    #[arg(long, value_delimiter = ',', value_name = "CHECK")]
    checks: Vec<Check>,
    /// Worker threads; default: all cores.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Blocks A to B, both included; what lies before A becomes a requirement.
    #[arg(long, value_name = "A..B", value_parser = parse_range)]
    blocks: Option<RangeInclusive<u64>>,
    /// When to recompute state roots: end, every:N or never; default: end from genesis, else never.
    #[arg(long, value_name = "WHEN", value_parser = parse_state_root)]
    state_root: Option<StateRootAt>,
    /// Refuse files of another chain than this built-in one.
    #[arg(long, value_name = "NAME", value_parser = super::CHAINS)]
    chain: Option<String>,
    /// Faults listed; all are found and counted.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    limit: usize,
    /// Stop after the blocks in work once there is a fault.
    #[arg(long)]
    fail_fast: bool,
    /// Who does the work of a stage: signatures=libsecp256k1, scalar or avx512; default: the fastest that runs here.
    #[arg(long, value_delimiter = ',', value_name = "STAGE=BACKEND")]
    backend: Vec<String>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    /// Write the report to a file; - is standard output.
    #[arg(long, default_value = "-", value_name = "FILE")]
    output: PathBuf,
    /// Write what must hold before the blocks, one JSON object a line; - is standard output.
    #[arg(long, value_name = "FILE")]
    requirements: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug)]
struct OrderArg(Order);

impl FromStr for OrderArg {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        Ok(Self(match s {
            "forward" => Order::Forward,
            "reverse" => Order::Reverse,
            "shuffled" => Order::Shuffled(0),
            _ => match s.strip_prefix("shuffled:").map(str::parse) {
                Some(Ok(seed)) => Order::Shuffled(seed),
                _ => return Err("expected forward, reverse, shuffled or shuffled:SEED".into()),
            },
        }))
    }
}

fn parse_range(s: &str) -> Result<RangeInclusive<u64>, String> {
    let bad = || format!("{s:?} is not a range of blocks: expected A..B, both included");
    let (a, b) = s.split_once("..").ok_or_else(bad)?;
    let (a, b): (u64, u64) = (a.parse().map_err(|_| bad())?, b.parse().map_err(|_| bad())?);
    if a > b {
        return Err(format!("{s:?} is empty: the first block is above the last"));
    }
    Ok(a..=b)
}

fn parse_state_root(s: &str) -> Result<StateRootAt, String> {
    match s {
        "end" => Ok(StateRootAt::End),
        "never" => Ok(StateRootAt::Never),
        _ => match s.strip_prefix("every:").map(str::parse) {
            Some(Ok(n)) if n > 0 => Ok(StateRootAt::Every(n)),
            _ => Err("expected end, never or every:N with N above 0".into()),
        },
    }
}

/// Starts the workers.
pub fn start_threads(threads: Option<u16>) -> Result<(), Failure> {
    let mut builder = rayon::ThreadPoolBuilder::new();
    if let Some(threads) = threads {
        builder = builder.num_threads(threads.into());
    }
    builder.build_global().map_err(|e| Failure::Threads(e.to_string()))
}

/// Runs `validate`.
pub fn run(args: &Args) -> Result<Code, Failure> {
    for output in [Some(&args.output), args.requirements.as_ref()].into_iter().flatten() {
        check_output(output, &args.files)?;
    }
    start_threads(args.threads)?;
    if args.requirements.as_ref().is_some_and(|path| path == &args.output && path.as_os_str() != "-") {
        return Err(Failure::Usage(format!("{}: cannot hold both report and requirements", args.output.display())));
    }
    let options = options(args)?;
    let validation = super::watched(&args.files, || judge(args, &options))?;
    let report = &validation.report;
    if let Some(path) = &args.requirements {
        write_to(path, requirement_lines(&validation).as_bytes())?;
    }
    let text = if args.json {
        let mut json = serde_json::to_string(report).map_err(|e| Failure::Input(e.to_string()))?;
        json.push('\n');
        json
    } else {
        in_words(report, &args.checks)
    };
    write_to(&args.output, text.as_bytes())?;
    if options.order == Order::Reverse {
        tell(&reverse_in_words(report));
    }
    if report.verdict == Verdict::Partial {
        tell("partial: only the checks asked for were run");
    }
    Ok(if report.verdict == Verdict::Invalid { Code::Invalid } else { Code::Success })
}

fn options(args: &Args) -> Result<Options, Failure> {
    Ok(Options {
        order: args.order.0,
        checks: if args.checks.is_empty() { Checks::ALL } else { Checks::of(&args.checks) },
        blocks: args.blocks.clone(),
        state_root: args.state_root,
        limit: args.limit,
        fail_fast: args.fail_fast,
        list_requirements: args.requirements.is_some(),
        backends: super::backends(&args.backend)?,
        version: env!("CARGO_PKG_VERSION").into(),
        revm: manaflow_engine::REVM_VERSION.into(),
    })
}

/// Opens the files and judges them.
fn judge(args: &Args, options: &Options) -> Result<Validation, Failure> {
    let files = args.files.iter().map(BlockFile::open).collect::<Result<Vec<_>, _>>()?;
    refuse_twice(&args.files)?;
    let files: Vec<&BlockFile> = files.iter().collect();
    if let Some(name) = &args.chain {
        let rules = super::chain_named(name)?;
        if let Some(file) = files.iter().find(|file| *file.rules() != rules) {
            let got = file.rules().name();
            return Err(Failure::Input(format!("{}: is of chain {got}, not of {name}", file.path().display())));
        }
    }
    Ok(with_progress(|progress| validate(&files, options, progress))?)
}

/// One file given twice, under whatever names, would count twice.
fn refuse_twice(files: &[PathBuf]) -> Result<(), Failure> {
    let mut seen = HashSet::new();
    for path in files {
        // What cannot be looked at is refused when it is opened, with its reason.
        if let Ok(metadata) = path.metadata()
            && !seen.insert((metadata.dev(), metadata.ino()))
        {
            return Err(Failure::Usage(format!("{}: is given twice", path.display())));
        }
    }
    Ok(())
}

fn with_progress<T>(work: impl FnOnce(&Progress) -> T) -> T {
    let progress = Progress::default();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let shower = scope.spawn(|| {
            let mut display: Option<Display> = None;
            while !done.load(Ordering::Acquire) {
                std::thread::park_timeout(Duration::from_millis(100));
                let total = progress.blocks_total.load(Ordering::Relaxed);
                if total == 0 || done.load(Ordering::Acquire) {
                    continue;
                }
                let display = display.get_or_insert_with(|| Display::new("validated", total));
                let now = Done {
                    blocks: progress.blocks.load(Ordering::Relaxed),
                    transactions: progress.transactions.load(Ordering::Relaxed),
                    moves: progress.moves.load(Ordering::Relaxed),
                    gas: progress.gas.load(Ordering::Relaxed),
                };
                let note = match progress.valid_from.load(Ordering::Relaxed) {
                    0 => String::new(),
                    from => format!(
                        "; blocks {}..tip are valid, given {} requirements",
                        from - 1,
                        grouped(progress.waiting.load(Ordering::Relaxed))
                    ),
                };
                display.show(now, total, &note);
            }
            if let Some(display) = display {
                display.finish();
            }
        });
        // Also when the work panics: the scope waits for the thread that shows it.
        let _end = End { done: &done, shower: shower.thread() };
        work(&progress)
    })
}

struct End<'a> {
    done: &'a AtomicBool,
    shower: &'a std::thread::Thread,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Release);
        self.shower.unpark();
    }
}

fn reverse_in_words(report: &Report) -> String {
    let blocks = &report.blocks;
    match report.run.valid_from {
        // Segments may lie apart: what is between them is nobody's claim.
        Some(from) if from == blocks.first => format!(
            "blocks {from}..{} ({} in {} segments) are valid, given {} requirements",
            blocks.last,
            grouped(blocks.count),
            grouped(blocks.segments),
            grouped(report.requirements.cells + report.requirements.assumed)
        ),
        Some(from) => format!("the blocks judged in {from}..{} are valid, given their requirements", blocks.last),
        None if report.run.stopped_early => "stopped before it was known from which block on all is valid".into(),
        None => "no block from the tip back is valid".into(),
    }
}

/// Requirements as JSON lines: what segments take for granted of the chain before them, then cells, sorted within a segment.
fn requirement_lines(validation: &Validation) -> String {
    let mut out = String::new();
    for window in &validation.windows {
        let line = serde_json::json!({
            "window": window.first, "origin": window.origin, "parent_hash": window.parent_hash,
            "total_difficulty": window.total_difficulty.map(|d| format!("{d:#x}")),
        });
        let _ = writeln!(out, "{line}");
    }
    for demand in validation.requirements.iter().flatten() {
        let line = serde_json::json!({
            "cell": demand.cell.to_string(), "mode": if demand.write { "write" } else { "read" },
            "intx": say_version(demand.intx), "prev": say(&demand.prev),
            "first": {"block": demand.first.block(), "index": demand.first.index()}, "origin": demand.origin,
        });
        let _ = writeln!(out, "{line}");
    }
    for (assumption, first) in &validation.assumed {
        let line = serde_json::json!({
            "cell": assumption.cell.to_string(), "assumed": true, "origin": assumption.origin,
            "first": {"block": first.block(), "index": first.index()},
        });
        let _ = writeln!(out, "{line}");
    }
    out
}

fn in_words(report: &Report, checks: &[Check]) -> String {
    let mut out = String::new();
    let verdict = match report.verdict {
        Verdict::Valid => "valid",
        Verdict::Partial => "partial",
        Verdict::Invalid => "invalid",
    };
    let condition = if report.conditional { ", if the requirements hold" } else { "" };
    let b = &report.blocks;
    let _ = writeln!(out, "verdict       {verdict}{condition}");
    let genesis = report.chain.genesis.map_or("not stated".into(), |g| format!("{g:#x}"));
    let _ = writeln!(out, "chain         {} (id {}), genesis {genesis}", report.chain.name, report.chain.id);
    let segments = if b.segments == 1 { "1 segment".into() } else { format!("{} segments", grouped(b.segments)) };
    let _ = writeln!(out, "blocks        {} from {} to {}, {segments}", grouped(b.count), b.first, b.last);
    let _ = writeln!(out, "parent        {:#x}", b.parent_hash);
    let _ = writeln!(out, "tip           {:#x}", b.tip_hash);
    let (transactions, moves) = (grouped(report.transactions), grouped(report.moves));
    let _ = writeln!(out, "rows          {transactions} transactions, {moves} moves, {} gas", grouped(report.gas));
    let c = &report.checked;
    let all = [
        (Check::Signatures, c.signatures, "signatures"),
        (Check::Hashes, c.hashes, "blocks' roots and hashes"),
        (Check::Execution, c.execution, "transactions, system transactions included"),
        (Check::Conflicts, c.conflicts, "moves"),
        (Check::Blocks, c.blocks, "blocks' rules"),
    ];
    for (check, rows, what) in all {
        let label = if check == Check::Signatures { "checked" } else { "" };
        if checks.is_empty() || checks.contains(&check) {
            let _ = writeln!(out, "{label:<13} {:<11} {} {what}", check.name(), grouped(rows));
        } else {
            let _ = writeln!(out, "{label:<13} {:<11} not asked for", check.name());
        }
    }
    let s = &report.state_roots;
    if s.checked > 0 {
        let _ = writeln!(out, "              state roots {} of {} equal the header's", s.matched, s.checked);
    }
    let u = &report.unchecked;
    let unchecked = [
        (u.receipts_roots, "receipts roots"),
        (u.state_roots, "state roots"),
        (u.parent_headers, "parent headers"),
        (u.ommer_lists, "ommer lists"),
        (u.ommer_rules, "ommer rules"),
        (u.total_difficulties, "total difficulties"),
        (u.others, "other rules"),
    ];
    let unchecked: Vec<String> =
        unchecked.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", grouped(*n))).collect();
    let unchecked = if unchecked.is_empty() { "nothing".into() } else { unchecked.join(", ") };
    let _ = writeln!(out, "unchecked     {unchecked}");
    let r = &report.requirements;
    let _ = writeln!(
        out,
        "requires      {} cells ({} of them block hashes), {} assumed, {} segments with an earlier history",
        grouped(r.cells),
        grouped(r.hashes),
        grouped(r.assumed),
        grouped(r.windows)
    );
    if let Some(digest) = report.requirements_digest {
        let _ = writeln!(out, "              digest {digest:#x}");
    }
    let f = &report.final_state;
    let digest = f.digest.map_or(String::new(), |d| format!(", digest {d:#x}"));
    let _ = writeln!(out, "final state   {} cells{digest}", grouped(f.cells));
    if let Some(root) = f.state_root {
        let _ = writeln!(out, "state root    {root:#x}");
    }
    let run = &report.run;
    let _ = writeln!(
        out,
        "run           {:.2} s, {} order, procedure {}, {} threads: {}blocks/s, {}tx/s, {}gas/s, {}moves/s",
        run.seconds,
        run.order,
        run.procedure,
        run.threads,
        rate(b.count, run.seconds),
        rate(report.transactions, run.seconds),
        rate(report.gas, run.seconds),
        rate(report.moves, run.seconds)
    );
    if report.invalid_total > 0 {
        let _ = writeln!(out, "\n{} faults", grouped(report.invalid_total));
        for fault in &report.invalid {
            let cell = fault.cell.as_ref().map_or(String::new(), |cell| format!(" {cell}"));
            let _ = writeln!(
                out,
                "{}:{}{cell} {}: {}: got {}, expected {}",
                fault.block,
                fault.index,
                fault.check.name(),
                fault.reason.name(),
                fault.got,
                fault.expected
            );
        }
        let more = report.invalid_total - report.invalid.len() as u64;
        if more > 0 {
            let _ = writeln!(out, "and {} more (--limit)", grouped(more));
        }
    }
    out
}

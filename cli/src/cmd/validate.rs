//! `manaflow validate`: block files → verdict.

use crate::exit::{Code, Failure};
use crate::output::{grouped, tell};
use crate::progress::{Display, Done};
use crate::words::{Outputs, emit, reverse_in_words};
use alloy_primitives::{B256, keccak256};
use manaflow_engine::reason::Check;
use manaflow_engine::report::BlockRange;
use manaflow_engine::validate::{
    Checks, Memory, Options, Order, Parts, Procedure, Progress, StateRootAt, Validation, summarise, validate,
};
use manaflow_loader::file::{BlockFile, size_of};
use manaflow_loader::summary::{Segment, Summary};
use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Blocks between two questions whether a checkpoint is due.
const PART_BLOCKS: usize = 512;

const EXAMPLES: &str = "\
Examples:
  manaflow validate datasets/mainnet.mana
  manaflow validate chain.mana --order reverse --blocks 100..199
  manaflow validate chain.mana --checks signatures,conflicts --json
  manaflow validate chain.mana --state-root every:1000
  manaflow validate chain.mana --blocks 0..999 --summary a.mans     for `manaflow merge`
  manaflow validate chain.mana --checkpoint chain.mans              interrupt it, and give the same command again

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
    /// How double use is judged: streaming (a table of live versions), sorted (partitioned; beyond --memory in batches, and on
    /// disk where these would be short), or summed (by a keyed sum, for files with the hints of `generate --last`); all say the
    /// same. Default: streaming, shuffled sorted.
    #[arg(long, value_name = "HOW")]
    double_use: Option<DoubleUseArg>,
    /// What sorting may take of the memory, as in 512MiB or 4GiB; default: a quarter of the machine's.
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    memory: Option<u64>,
    /// Folder for what exceeds it; default: that of temporary files.
    #[arg(long, value_name = "FOLDER")]
    scratch: Option<PathBuf>,
    #[command(flatten)]
    backend: super::BackendArgs,
    /// Write a summary, which `manaflow merge` merges with others.
    #[arg(long, value_name = "FILE", conflicts_with = "fail_fast")]
    summary: Option<PathBuf>,
    /// Write down now and then what is done, and go on from there after an interruption.
    #[arg(long, value_name = "FILE", conflicts_with = "fail_fast")]
    checkpoint: Option<PathBuf>,
    /// How often, in seconds; 0 is after each part of 512 blocks.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "checkpoint")]
    checkpoint_every: u64,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
    /// Write the report to a file; - is standard output.
    #[arg(long, default_value = "-", value_name = "FILE")]
    output: PathBuf,
    /// Write what must hold before the blocks, one JSON object a line; - is standard output.
    #[arg(long, value_name = "FILE")]
    requirements: Option<PathBuf>,
    /// Write the report as a page, too: what was checked, by whom, where time went, what failed.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum DoubleUseArg {
    Streaming,
    Sorted,
    Summed,
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

/// A range of blocks, both included.
pub(super) fn parse_range(s: &str) -> Result<RangeInclusive<u64>, String> {
    let bad = || format!("{s:?} is not a range of blocks: expected A..B, both included");
    let (a, b) = s.split_once("..").ok_or_else(bad)?;
    let (a, b): (u64, u64) = (a.parse().map_err(|_| bad())?, b.parse().map_err(|_| bad())?);
    if a > b {
        return Err(format!("{s:?} is empty: the first block is above the last"));
    }
    Ok(a..=b)
}

fn parse_bytes(s: &str) -> Result<u64, String> {
    size_of(s).ok_or_else(|| format!("{s:?} is no number of bytes, KiB, MiB, GiB or TiB below 2^64, as in 512MiB"))
}

/// Memory of this machine.
pub fn memory_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(info.mem_unit.into())
}

/// What sorting may take if nobody says: a quarter of the machine's memory.
fn memory_of_machine() -> u64 {
    memory_bytes() / 4
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
    let summaries = [args.summary.as_deref(), args.checkpoint.as_deref()].into_iter().flatten().collect();
    let requirements = args.requirements.as_deref();
    let page = args.report.as_deref();
    let outputs = Outputs { json: args.json, report: &args.output, requirements, page, summaries };
    outputs.check(&args.files)?;
    start_threads(args.threads)?;
    let checks = if args.checks.is_empty() { Check::ALL.to_vec() } else { args.checks.clone() };
    let options = Options {
        order: args.order.0,
        checks: Checks::of(&checks),
        blocks: args.blocks.clone(),
        state_root: args.state_root,
        limit: args.limit,
        fail_fast: args.fail_fast,
        list_requirements: args.requirements.is_some(),
        double_use: args.double_use.map(|how| match how {
            DoubleUseArg::Streaming => Procedure::Streaming,
            DoubleUseArg::Sorted => Procedure::Sorted,
            DoubleUseArg::Summed => Procedure::Summed,
        }),
        memory: Memory {
            bytes: args.memory.unwrap_or_else(memory_of_machine),
            folder: args.scratch.clone().unwrap_or_else(std::env::temp_dir),
        },
        backends: args.backend.choose()?,
        version: env!("CARGO_PKG_VERSION").into(),
        revm: manaflow_engine::REVM_VERSION.into(),
    };
    let (validation, summary) = super::watched(&args.files, || judge(args, &options))?;
    if let (Some(path), Some(summary)) = (&args.summary, summary) {
        summary.write(path).map_err(super::unwritable)?;
    }
    say_what_is_missing(&validation.report.blocks, args);
    let code = emit(&validation, &checks, &outputs)?;
    if options.order == Order::Reverse {
        tell(&reverse_in_words(&validation.report));
    }
    Ok(code)
}

/// A verdict on fewer blocks than a reader may think of.
fn say_what_is_missing(judged: &BlockRange, args: &Args) {
    let missing = judged.last - judged.first + 1 - judged.count;
    // A file of snapshots is what it is.
    if missing > 0 && args.files.len() > 1 {
        tell(&format!("note: {} blocks between {} and {} are in no file", grouped(missing), judged.first, judged.last));
    }
    if let Some(asked) =
        args.blocks.as_ref().filter(|asked| *asked.start() < judged.first || *asked.end() > judged.last)
    {
        let (first, last) = (judged.first, judged.last);
        tell(&format!("note: of blocks {}..{} the files have {first}..{last}", asked.start(), asked.end()));
    }
}

/// Hash of block 0, if the file has it.
fn genesis_hash(file: &BlockFile) -> Result<Option<B256>, Failure> {
    let place = file.segments().iter().find(|segment| segment.start.first == 0).map(|segment| segment.blocks.start);
    let Some(place) = place else { return Ok(None) };
    file.verify_blocks(place..place + 1)?;
    Ok(Some(keccak256(file.block(place)?.header())))
}

/// Opens the files and judges them; with a checkpoint in parts, from where an earlier run was interrupted.
fn judge(args: &Args, options: &Options) -> Result<(Validation, Option<Summary>), Failure> {
    let files = args.files.iter().map(BlockFile::open).collect::<Result<Vec<_>, _>>()?;
    refuse_twice(&args.files)?;
    let files: Vec<&BlockFile> = files.iter().collect();
    if let Some(name) = &args.chain {
        let rules = super::chain_named(name)?;
        if let Some(file) = files.iter().find(|file| *file.rules() != rules) {
            let got = file.rules().name();
            return Err(Failure::Input(format!("{}: is of chain {got}, not of {name}", file.path().display())));
        }
        // Rules may name a genesis that is not the one in the file.
        for file in &files {
            if let Some(hash) = genesis_hash(file)?.filter(|hash| Some(*hash) != rules.genesis) {
                let reason = format!("its block 0 is {hash}, not that of {name}");
                return Err(Failure::Input(format!("{}: {reason}", file.path().display())));
            }
        }
    }
    let summary_of = |segments, input| Summary {
        manaflow: options.version.clone(),
        revm: options.revm.clone(),
        rules: files[0].rules().clone(),
        input,
        segments,
    };
    let Some(path) = &args.checkpoint else {
        if args.summary.is_none() {
            return Ok((with_progress(|progress| validate(&files, options, progress))?, None));
        }
        let (validation, segments) = with_progress(|progress| summarise(&files, options, progress, None))?;
        return Ok((validation, Some(summary_of(segments, None))));
    };
    let input = Some(input_of(&files, options));
    let done = read_checkpoint(path, input, options)?;
    let mut last = Instant::now();
    let mut is_due = || {
        let is_due = last.elapsed() >= Duration::from_secs(args.checkpoint_every);
        if is_due {
            last = Instant::now();
        }
        is_due
    };
    let mut save = |segments| summary_of(segments, input).write(path);
    let parts = Parts { done, blocks: PART_BLOCKS, is_due: &mut is_due, save: &mut save };
    let (validation, segments) = with_progress(|progress| summarise(&files, options, progress, Some(parts)))?;
    Ok((validation, Some(summary_of(segments, None))))
}

/// What a checkpoint belongs to: the bytes of the files, and all that changes what is found in them.
fn input_of(files: &[&BlockFile], options: &Options) -> B256 {
    let mut bytes = Vec::new();
    for file in files {
        bytes.extend(file.fingerprint());
    }
    let asked = (options.blocks.as_ref(), options.checks.bits(), options.state_root);
    bytes.extend(format!("{asked:?}").into_bytes());
    keccak256(bytes)
}

/// What an interrupted run has left; nothing if there was none.
fn read_checkpoint(path: &Path, input: Option<B256>, options: &Options) -> Result<Vec<Segment>, Failure> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let summary = Summary::read(path)?;
    let refuse = |what: &str| {
        let path = path.display();
        Err(Failure::Input(format!("{path}: is {what}; give another name, or remove it to begin anew")))
    };
    if summary.input != input {
        return refuse("no checkpoint of these files and options");
    }
    if summary.revm != options.revm {
        return refuse("a checkpoint of another version of the EVM");
    }
    let blocks = summary.segments.iter().map(|s| s.end - s.first).sum();
    tell(&format!("{}: goes on after {} blocks that are done", path.display(), grouped(blocks)));
    Ok(summary.segments)
}

/// One file given twice, under whatever names, would count twice.
pub fn refuse_twice(files: &[PathBuf]) -> Result<(), Failure> {
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

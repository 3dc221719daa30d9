//! `manaflow generate`: a plan → a block file, of moves alone or of a signed chain.

use crate::exit::{Code, Failure};
use crate::output::{check_output, grouped, write_to};
use crate::progress::{Display, Done};
use manaflow_engine::backend::{Backends, Forced};
use manaflow_engine::generate::{self, GenerateError, Made, Profile};
use manaflow_engine::import::{self, Counts, import_by};
use manaflow_loader::file::{BlockFile, Series};
use manaflow_loader::source::moves::{Distribution, Plan, Planted, Violation, write};
use manaflow_loader::source::{self, recognise};
use std::path::{Path, PathBuf};
use std::time::Instant;

const EXAMPLES: &str = "\
Examples:
  manaflow generate --moves 10000000 -o moves.mana
  manaflow generate --moves 1000000 --distribution zipf --plant double-use=3,stale-read=2 -o lies.mana
  manaflow validate moves.mana --checks conflicts
  manaflow generate --profile mixed -o mixed.mana
  manaflow generate --profile exchange --blocks 1000 --transactions 500 --accounts 20000 --distribution zipf -o pool.mana
  manaflow generate --profile tokens --sources tokens/ -o tokens.mana     # with genesis.json and chain.rlp for other programs

With --moves the file holds nothing but moves: a synthetic history to measure double use with. No other check has anything to
look at in it. With --profile it holds a signed chain, imported from the genesis and the blocks that were made; all checks
look at it. Both are the same on every machine.";

/// Arguments of `generate`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Moves alone, so many.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), required_unless_present = "profile")]
    moves: Option<u64>,
    /// A signed chain, of accounts that send ether (transfers), send tokens (tokens), swap in one pool (exchange), or all (mixed).
    #[arg(long, value_name = "NAME", value_parser = Profile::ALL.map(Profile::name))]
    #[arg(conflicts_with_all = ["moves", "cells", "reads", "plant", "last"])]
    profile: Option<String>,
    /// Of a signed chain: blocks after the genesis; default: 100.
    #[arg(long, value_name = "N", conflicts_with = "moves")]
    blocks: Option<u64>,
    /// Of a signed chain: accounts that sign; default: 1000.
    #[arg(long, value_name = "N", conflicts_with = "moves")]
    accounts: Option<u32>,
    /// Of a signed chain: keep the genesis and the blocks that are imported, in this folder.
    #[arg(long, value_name = "FOLDER", conflicts_with = "moves")]
    sources: Option<PathBuf>,
    /// The block file to write.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Cells to draw from; default: a fifth of the moves.
    #[arg(long, value_name = "N")]
    cells: Option<u32>,
    /// How often cells are used, or accounts: uniform, zipf, or hot (one cell in every transaction, one account that is paid).
    #[arg(long, value_name = "NAME", default_value = "uniform", value_parser = Distribution::ALL.map(Distribution::name))]
    distribution: String,
    /// Reads among moves, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 45, value_parser = clap::value_parser!(u32).range(0..=100))]
    reads: u32,
    /// Transactions a block, opening and closing aside; default: 1000, of a signed chain 200.
    #[arg(long, value_name = "N")]
    transactions: Option<u32>,
    /// Violations to plant, by the reason that double use gives for them.
    #[arg(long, value_name = "REASON=N", value_delimiter = ',', value_parser = parse_planted)]
    plant: Vec<(Violation, u32)>,
    /// Write the hints that `--double-use summed` takes: 4 bytes a move and 12 a cell.
    #[arg(long)]
    last: bool,
    /// Another history of the same kind.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// Print what was written as one JSON object, what was planted included.
    #[arg(long)]
    json: bool,
}

fn parse_planted(text: &str) -> Result<(Violation, u32), String> {
    let names = || Violation::ALL.map(Violation::name).join(", ");
    let (name, count) = text.split_once('=').ok_or_else(|| format!("expected REASON=N, REASON one of {}", names()))?;
    let violation = Violation::ALL.into_iter().find(|violation| violation.name() == name);
    let violation = violation.ok_or_else(|| format!("{name:?} is none of {}", names()))?;
    Ok((violation, count.parse().map_err(|_| format!("{count:?} is no number of violations"))?))
}

/// Runs `generate`.
pub fn run(args: &Args) -> Result<Code, Failure> {
    let output = super::block_file_output(&args.output, &[])?;
    // clap takes nothing but these names.
    let distribution = Distribution::ALL.into_iter().find(|d| d.name() == args.distribution);
    let distribution = distribution.unwrap_or(Distribution::Uniform);
    match Profile::ALL.into_iter().find(|profile| Some(profile.name()) == args.profile.as_deref()) {
        Some(profile) => chain(args, profile, distribution, &output),
        None => moves(args, distribution, &output),
    }
}

/// A signed chain: made as sources, then imported like any.
fn chain(args: &Args, profile: Profile, distribution: Distribution, output: &Path) -> Result<Code, Failure> {
    let plan = generate::Plan {
        profile,
        accounts: args.accounts.unwrap_or(1000),
        blocks: args.blocks.unwrap_or(100),
        transactions: args.transactions.unwrap_or(200),
        distribution,
        seed: args.seed,
    };
    if let Some(reason) = plan.refusal() {
        return Err(Failure::Usage(reason));
    }
    let started = Instant::now();
    let passing = tempfile::tempdir().map_err(Failure::output(std::env::temp_dir()))?;
    let folder = args.sources.as_deref().unwrap_or(passing.path());
    if args.sources.is_some() {
        std::fs::create_dir_all(folder).map_err(Failure::output(folder))?;
    }
    let display = std::cell::RefCell::new(Display::new("generated", plan.blocks));
    let show = |transactions: u64| {
        let blocks = transactions / u64::from(plan.transactions);
        display.borrow_mut().show(Done { blocks, transactions, ..Done::default() }, plan.blocks, "");
    };
    let made = generate::write(folder, &plan, show).map_err(failure)?;
    display.into_inner().finish();
    check_output(output, &[made.genesis.clone(), made.chain.clone()])?;
    let mut display = Display::new("imported", plan.blocks + 1);
    let (c, file_bytes) = import_made(&made, output, Backends::choose(Forced::default())?, &mut |c| {
        let done = Done { blocks: c.blocks, transactions: c.transactions, moves: c.moves, gas: c.gas };
        display.show(done, plan.blocks + 1, "");
    })?;
    display.finish();
    let seconds = started.elapsed().as_secs_f64();
    let kept = |path: &Path| args.sources.as_ref().map(|_| path.to_string_lossy().into_owned());
    let text = if args.json {
        let json = serde_json::json!({
            "version": 1, "file": args.output.to_string_lossy(), "bytes": file_bytes, "profile": profile.name(),
            "blocks": c.blocks, "transactions": c.transactions, "failed": made.failed, "moves": c.moves, "gas": c.gas,
            "tip": made.tip, "genesis": kept(&made.genesis), "chain": kept(&made.chain), "run": {"seconds": seconds},
        });
        format!("{json}\n")
    } else {
        format!(
            "{}: {} blocks, {} transactions ({} of them fail, as planned), {} moves, {} gas; {} bytes, {seconds:.1} s\n",
            args.output.display(),
            grouped(c.blocks),
            grouped(c.transactions),
            grouped(made.failed),
            grouped(c.moves),
            grouped(c.gas),
            grouped(file_bytes),
        )
    };
    write_to("-".as_ref(), text.as_bytes())?;
    Ok(Code::Success)
}

/// Imports what was made, with hints; counts, and the bytes of the file.
fn import_made(
    made: &Made,
    output: &Path,
    backends: Backends,
    progress: &mut dyn FnMut(&Counts),
) -> Result<(Counts, u64), Failure> {
    let options = source::Options { genesis: Some(made.genesis.clone()), ..source::Options::default() };
    let recognised = recognise(std::slice::from_ref(&made.chain), &options)?;
    let versions = super::import::versions();
    let mut series = Series::create(output, &recognised.rules, &versions).map_err(super::unwritable)?;
    let imported = import_by(&recognised, &mut series, import::Options { backends, hints: true }, progress)?;
    let pieces = series.finish().map_err(super::unwritable)?;
    Ok((imported.counts, pieces.iter().map(|piece| piece.bytes).sum()))
}

/// A small chain of each profile in a folder, by the profile's name: 5 blocks of 200 transactions of 1,000 accounts, drawn by
/// Zipf's law.
pub fn profiles(folder: &Path, backends: Backends) -> Result<Vec<(String, BlockFile)>, Failure> {
    let chain = |profile: Profile| {
        let (accounts, blocks, transactions, distribution) = (1000, 5, 200, Distribution::Zipf);
        let plan = generate::Plan { profile, accounts, blocks, transactions, distribution, seed: 0 };
        let made = generate::write(folder, &plan, |_| ()).map_err(failure)?;
        let path = folder.join(profile.name()).with_extension("mana");
        import_made(&made, &path, backends, &mut |_| ())?;
        Ok((profile.name().to_owned(), BlockFile::open(&path)?))
    };
    Profile::ALL.into_iter().map(chain).collect()
}

fn failure(error: GenerateError) -> Failure {
    match error {
        GenerateError::Files(e) => super::unwritable(e),
        e => Failure::Usage(e.to_string()),
    }
}

/// Moves alone.
fn moves(args: &Args, distribution: Distribution, output: &Path) -> Result<Code, Failure> {
    let base = Plan::of(args.moves.unwrap_or_default());
    let plan = Plan {
        cells: args.cells.unwrap_or(base.cells),
        distribution,
        reads: args.reads,
        rows: args.transactions.unwrap_or(1000),
        seed: args.seed,
        planted: args.plant.clone(),
        with_last: args.last,
        ..base
    };
    if let Some(reason) = plan.refusal() {
        return Err(Failure::Usage(reason));
    }
    let started = Instant::now();
    let display = std::cell::RefCell::new(Display::new("generated", 0));
    let versions = format!("manaflow {}", env!("CARGO_PKG_VERSION"));
    let show = |moves| display.borrow_mut().show(Done { moves, ..Done::default() }, 0, "");
    let (summary, planted) = write(output, &plan, &versions, show).map_err(super::unwritable)?;
    display.into_inner().finish();
    let seconds = started.elapsed().as_secs_f64();
    let bytes_per_move = summary.file_bytes as f64 / summary.moves as f64;
    let text = if args.json {
        let place = |p: &Planted| serde_json::json!({"block": p.location.block(), "index": p.location.index(), "reason": p.violation.name()});
        let json = serde_json::json!({
            "version": 1, "file": args.output.to_string_lossy(), "bytes": summary.file_bytes, "blocks": summary.blocks,
            "transactions": summary.rows - 2 * summary.blocks, "moves": summary.moves, "bytes_per_move": bytes_per_move,
            "planted": planted.iter().map(place).collect::<Vec<_>>(), "run": {"seconds": seconds},
        });
        format!("{json}\n")
    } else {
        format!(
            "{}: {} moves in {} transactions, {} blocks; {} violations planted; {} bytes, {bytes_per_move:.2} a move, {seconds:.1} s\n",
            args.output.display(),
            grouped(summary.moves),
            grouped(summary.rows - 2 * summary.blocks),
            grouped(summary.blocks),
            grouped(planted.len() as u64),
            grouped(summary.file_bytes),
        )
    };
    write_to("-".as_ref(), text.as_bytes())?;
    Ok(Code::Success)
}

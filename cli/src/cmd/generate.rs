//! `manaflow generate`: a plan → a block file of moves alone.

use crate::exit::{Code, Failure};
use crate::output::{grouped, write_to};
use crate::progress::{Display, Done};
use manaflow_loader::source::moves::{Distribution, Plan, Planted, Violation, write};
use std::path::PathBuf;
use std::time::Instant;

const EXAMPLES: &str = "\
Examples:
  manaflow generate --moves 10000000 -o moves.mana
  manaflow generate --moves 1000000 --distribution zipf --plant double-use=3,stale-read=2 -o lies.mana
  manaflow validate moves.mana --checks conflicts

The file holds nothing but moves: a synthetic history to measure double use with, the same for every machine. No other check
has anything to look at in it.";

/// Arguments of `generate`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Moves.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    moves: u64,
    /// The block file to write.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Cells to draw from; default: a fifth of the moves.
    #[arg(long, value_name = "N")]
    cells: Option<u32>,
    /// How often cells are used: uniform, zipf, or hot (one cell in every transaction).
    #[arg(long, value_name = "NAME", default_value = "uniform", value_parser = Distribution::ALL.map(Distribution::name))]
    distribution: String,
    /// Reads among moves, in percent.
    #[arg(long, value_name = "PERCENT", default_value_t = 45, value_parser = clap::value_parser!(u32).range(0..=100))]
    reads: u32,
    /// Transactions a block, opening and closing aside.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    transactions: u32,
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
    let distribution = Distribution::ALL.into_iter().find(|d| d.name() == args.distribution);
    let base = Plan::of(args.moves);
    let plan = Plan {
        cells: args.cells.unwrap_or(base.cells),
        distribution: distribution.unwrap_or(Distribution::Uniform),
        reads: args.reads,
        rows: args.transactions,
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
    let (summary, planted) = write(&output, &plan, &versions, show).map_err(super::unwritable)?;
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

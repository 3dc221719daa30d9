//! `manaflow`: parse, run, exit code. What is computed is computed in the engine.

#![forbid(unsafe_code)]

mod cmd;
mod exit;
mod output;
mod page;
mod progress;
mod words;

use clap::{CommandFactory, Parser, Subcommand};
use exit::Failure;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Validate the history of a chain as self-contained transactions, in any order.
#[derive(Parser, Debug)]
#[command(name = "manaflow", version, after_help = EXAMPLES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  manaflow validate datasets/mainnet.mana
  manaflow validate datasets/forks.mana --order reverse
  manaflow merge a.mans b.mans
  manaflow import chain.rlp --genesis genesis.json -o chain.mana
  manaflow inspect datasets/mainnet.mana
  manaflow fixtures fixtures/blockchain_tests

Exit codes: 0 found nothing; 1 invalid; 2 wrong usage; 3 input missing or malformed; 4 this machine; 5 self-test failed;
101 a bug; 130, 143 interrupted.";

#[derive(Subcommand, Debug)]
enum Command {
    /// Make a block file from snapshots, RLP chains, era1 or ere files.
    Import(cmd::import::Args),
    /// Judge the transactions and blocks of block files.
    Validate(cmd::validate::Args),
    /// Put the verdicts of summaries together.
    Merge(cmd::merge::Args),
    /// Say what is inside a block file, and print its moves.
    Inspect(cmd::inspect::Args),
    /// Write what other programs read: block-level access lists.
    Export(cmd::export::Args),
    /// Make a block file of moves alone, of any length, to measure double use with.
    Generate(cmd::generate::Args),
    /// Run spec tests in blockchain form.
    Fixtures(cmd::fixtures::Args),
    /// Measure kernels beside the libraries that they are held against.
    Bench(cmd::bench::Args),
    /// Say what this machine has: processor, GPUs, and every backend with its self-test.
    Devices(cmd::devices::Args),
    /// Test every backend against known answers.
    Selftest(cmd::devices::SelftestArgs),
    /// Print a script that completes commands and options in a shell.
    Completions(cmd::completions::Args),
    /// Write manual pages.
    Man(cmd::completions::ManArgs),
}

fn main() -> ExitCode {
    manaflow_loader::ignore_file_size_signal();
    // Asked for alone, because GPUs take a moment to name themselves; `-V` is the short form.
    if std::env::args_os().nth(1).is_some_and(|arg| arg == "--version") {
        return match output::write_to(std::path::Path::new("-"), cmd::devices::version().as_bytes()) {
            Ok(()) | Err(Failure::BrokenPipe) => ExitCode::SUCCESS,
            Err(failure) => {
                output::tell(&format!("manaflow: {failure}"));
                failure.code().into()
            }
        };
    }
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| "warn,alloy_transport_ws=off,alloy_pubsub=off".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let done = match cli.command {
        Command::Import(args) => cmd::import::run(&args),
        Command::Validate(args) => cmd::validate::run(&args),
        Command::Merge(args) => cmd::merge::run(&args),
        Command::Inspect(args) => cmd::inspect::run(&args),
        Command::Export(args) => cmd::export::run(&args),
        Command::Generate(args) => cmd::generate::run(&args),
        Command::Fixtures(args) => cmd::fixtures::run(&args),
        Command::Bench(args) => cmd::bench::run(&args),
        Command::Devices(args) => cmd::devices::run(&args),
        Command::Selftest(args) => cmd::devices::selftest(&args),
        Command::Completions(args) => cmd::completions::run(&args, Cli::command()),
        Command::Man(args) => cmd::completions::man(&args, Cli::command()),
    };
    match done {
        Ok(code) => code.into(),
        Err(Failure::BrokenPipe) => ExitCode::SUCCESS,
        Err(failure) => {
            output::tell(&format!("manaflow: {failure}"));
            if let Some(hint) = failure.hint() {
                output::tell(&format!("hint: {hint}"));
            }
            failure.code().into()
        }
    }
}

//! `manaflow import`: sources → moves → a block file.

mod state;

use crate::exit::{Code, Failure};
use crate::output::{grouped, tell};
use crate::progress::{Display, Done, TimeLeft};
use manaflow_loader::source::{Options, Source, recognise};
use std::path::PathBuf;
use std::time::Instant;

const EXAMPLES: &str = "\
Examples:
  manaflow import chain.rlp --genesis genesis.json -o chain.mana     what `geth export` writes
  manaflow import mainnet-00000-5ec1ffb8.era1 --genesis mainnet.json -o era.mana
  manaflow import snapshots/ -o blocks.mana                          folders with block.json and pre_state.json
  manaflow import era1/*.era1 --genesis mainnet.json -o chain.mana --state state --memory 4GiB --split 1GiB --resume
                                     a long chain in little memory; the same line goes on after a kill, and later

RLP and era1 files hold blocks from genesis on and need --genesis. A snapshot is a folder with block.json and
pre_state.json; codes.jsonl and block_hashes.json lie beside them or in a folder above.

Import executes and records; it never judges. Whether the blocks are valid says `manaflow validate`.";

/// Arguments of `import`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Files or folders: RLP chains, era1 files, block snapshots.
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<PathBuf>,
    /// The block file to write.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Genesis of RLP and era1 files, in go-ethereum's form.
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// Fork rules of a built-in chain instead of those of the genesis file (mainnet for snapshots).
    #[arg(long, value_name = "NAME", value_parser = super::CHAINS)]
    chain: Option<String>,
    /// Worker threads; default: all cores.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    #[command(flatten)]
    state: state::StateArgs,
    #[command(flatten)]
    backend: super::BackendArgs,
    /// Leave out the hints for signatures: public keys of signers and R.y, about 90 bytes a transaction, which make
    /// `validate` several times as fast on signatures.
    #[arg(long)]
    no_hints: bool,
    /// Print the counts as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs `import`.
pub fn run(args: &Args) -> Result<Code, Failure> {
    let inputs: Vec<PathBuf> = args.sources.iter().chain(&args.genesis).cloned().collect();
    let target = args.state.target(&args.output, &inputs)?;
    super::validate::start_threads(args.threads)?;
    let backends = args.backend.choose()?;
    let started = Instant::now();
    let rules = args.chain.as_deref().map(super::chain_named).transpose()?;
    let recognised = recognise(&args.sources, &Options { genesis: args.genesis.clone(), rules })?;
    for left_out in &recognised.left_out {
        tell(&format!("left out: {}: {}", left_out.path.display(), left_out.reason));
    }
    if let [Source::Chain(chain), Source::Snapshot(_), ..] = &recognised.sources[..] {
        let genesis = chain.genesis.path.display();
        tell(&format!("note: the snapshots are taken as blocks of the chain that begins with {genesis}"));
    }
    let versions = format!("manaflow {}, revm {}", env!("CARGO_PKG_VERSION"), manaflow_engine::REVM_VERSION);
    let state::Plan { series: mut writer, stored, before } = args.state.plan(target, &recognised, &versions)?;
    let (mut display, mut left) = (Display::new("imported", 0), TimeLeft::default());
    let options = manaflow_engine::import::Options { backends, hints: !args.no_hints };
    let imported = manaflow_engine::import::import_on(&recognised, &mut writer, options, stored, &mut |c| {
        let done = Done { blocks: c.blocks, transactions: c.transactions, moves: c.moves, gas: c.gas };
        display.show(done, 0, &left.note(c.bytes_read, c.bytes_total));
    })?;
    display.finish();
    for note in &imported.notes {
        tell(&format!("note: {note}"));
    }
    let pieces = writer.finish().map_err(super::unwritable)?;
    let file_bytes: u64 = pieces.iter().map(|piece| piece.bytes).sum();
    let c = imported.counts;
    let seconds = started.elapsed().as_secs_f64();
    if args.json {
        let json = serde_json::json!({
            "version": 1, "file": args.output.to_string_lossy(), "files": state::listed(&before, &pieces), "bytes": file_bytes, "segments": c.segments, "blocks": c.blocks,
            "transactions": c.transactions, "refused": c.refused, "moves": c.moves, "gas": c.gas,
            "left_out": recognised.left_out.len(), "notes": imported.notes, "run": {"seconds": seconds},
        });
        crate::output::write_to("-".as_ref(), format!("{json}\n").as_bytes())?;
    } else {
        let text = format!(
            "{}: {} blocks in {} segments, {} transactions, {} moves, {} gas; {} bytes, {seconds:.1} s\n",
            state::in_words(&args.output, &pieces),
            grouped(c.blocks),
            grouped(c.segments),
            grouped(c.transactions),
            grouped(c.moves),
            grouped(c.gas),
            grouped(file_bytes),
        );
        crate::output::write_to("-".as_ref(), text.as_bytes())?;
    }
    Ok(Code::Success)
}

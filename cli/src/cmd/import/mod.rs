//! `manaflow import`: sources → moves → a block file.

mod node;
mod state;

use crate::exit::{Code, Failure};
use crate::output::{grouped, tell};
use crate::progress::{Display, Done, TimeLeft};
use manaflow_loader::file::Series;
use manaflow_loader::source::{Options, Source, recognise};
use std::path::PathBuf;
use std::time::Instant;

const EXAMPLES: &str = "\
Examples:
  manaflow import chain.rlp --genesis genesis.json -o chain.mana     what `geth export` writes
  manaflow import mainnet-00000-5ec1ffb8.era1 --genesis mainnet.json -o era.mana
  manaflow import history/ --genesis mainnet.json -o history.mana    many .era1, .ere, .erae or .rlp files of one chain
  manaflow import snapshots/ -o blocks.mana                          folders with block.json and pre_state.json
  manaflow import --rpc http://localhost:8545 --blocks 19000000..19000099 -o blocks.mana       an archive node
  manaflow import --rpc https://node.example --blocks 19000000.. --verify-proofs -o new.mana   proven befores
  manaflow import answers/ -o blocks.mana                            what `curl` or `cast rpc` saved of a node
  manaflow import era1/*.era1 --genesis mainnet.json -o chain.mana --state state --memory 4GiB --split 1GiB --resume
                                     a long chain in little memory; the same line goes on after a kill, and later

RLP, era1 and ere files hold blocks from genesis on and need --genesis. Several are put in order; what is missing
between them, or is there twice, is named before the first block is read. A snapshot is a folder with block.json and
pre_state.json; codes.jsonl and block_hashes.json lie beside them or in a folder above.

Import executes and records; it never judges. Whether the blocks are valid says `manaflow validate`.";

/// Blocks that a dry run imports.
const DRY_BLOCKS: u64 = 16;

/// Arguments of `import`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Files or folders: RLP chains, era1 and ere files, block snapshots, saved answers of a node.
    #[arg(value_name = "SOURCE")]
    sources: Vec<PathBuf>,
    /// The block file to write.
    #[arg(short, long, value_name = "FILE", required_unless_present = "dry_run")]
    output: Option<PathBuf>,
    /// Genesis of RLP, era1 and ere files, in go-ethereum's form.
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// Fork rules of a built-in chain instead of those of the genesis file (mainnet for snapshots).
    #[arg(long, value_name = "NAME", value_parser = super::CHAINS)]
    chain: Option<String>,
    /// Worker threads; default: all cores.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    #[command(flatten)]
    node: node::NodeArgs,
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

/// Who makes a block file of executed blocks.
pub fn versions() -> String {
    format!("manaflow {}, revm {}", env!("CARGO_PKG_VERSION"), manaflow_engine::REVM_VERSION)
}

/// Runs `import`.
pub fn run(args: &Args) -> Result<Code, Failure> {
    let inputs: Vec<PathBuf> = args.sources.iter().chain(&args.genesis).cloned().collect();
    // Only a dry run has none.
    let named = args.output.clone().unwrap_or_default();
    let target = if args.node.dry_run { None } else { Some(args.state.target(&named, &inputs)?) };
    super::validate::start_threads(args.threads)?;
    let backends = args.backend.choose()?;
    let started = Instant::now();
    let rules = args.chain.as_deref().map(super::chain_named).transpose()?;
    let mut asked = args.node.open(&args.sources, args.genesis.as_ref(), rules.clone())?;
    if asked.is_none() && args.node.is_given() {
        // What is not there at all is another thing.
        for path in &args.sources {
            std::fs::metadata(path).map_err(manaflow_loader::Error::io(path))?;
        }
        let options = "--blocks, --befores, --verify-proofs, --follow and --dry-run are for nodes, live or saved";
        let words = match &args.sources[..] {
            [source] => format!("{options}; {} holds no saved answers of one", source.display()),
            _ => format!("{options}, and saved answers are one folder"),
        };
        return Err(Failure::Usage(words));
    }
    if let Some(asked) = asked.as_mut().filter(|_| args.node.dry_run) {
        asked.tell();
        return dry_run(asked, args, backends);
    }
    let recognised = match &asked {
        Some(asked) => {
            asked.tell();
            asked.recognised()
        }
        None => recognise(&args.sources, &Options { genesis: args.genesis.clone(), rules })?,
    };
    for left_out in &recognised.left_out {
        tell(&format!("left out: {}: {}", left_out.path.display(), left_out.reason));
    }
    if let [Source::Chain(chain), Source::Snapshot(_), ..] = &recognised.sources[..] {
        let genesis = chain.genesis.path.display();
        tell(&format!("note: the snapshots are taken as blocks of the chain that begins with {genesis}"));
    }
    let versions = versions();
    let Some(target) = target else { return Err(Failure::Usage("an import needs --output".into())) };
    let state::Plan { series: mut writer, kept, before } = args.state.plan(target, &recognised, &versions)?;
    let blocks_total = asked.as_ref().map_or(0, node::Asked::blocks_total);
    let (mut display, mut left) = (Display::new("imported", blocks_total), TimeLeft::default());
    let options = manaflow_engine::import::Options { backends, hints: !args.no_hints };
    let imported = manaflow_engine::import::import_on(&recognised, &mut writer, options, kept, &mut |c| {
        let done = Done { blocks: c.blocks, transactions: c.transactions, moves: c.moves, gas: c.gas };
        display.show(done, blocks_total, &left.note(c.bytes_read, c.bytes_total));
    })?;
    display.finish();
    for note in &imported.notes {
        tell(&format!("note: {note}"));
    }
    if let Some(asked) = &asked {
        tell(&asked.traffic_words());
    }
    let pieces = writer.finish().map_err(super::unwritable)?;
    let file_bytes: u64 = pieces.iter().map(|piece| piece.bytes).sum();
    let c = imported.counts;
    let seconds = started.elapsed().as_secs_f64();
    if args.json {
        let json = serde_json::json!({
            "version": 1, "file": named.to_string_lossy(), "files": state::listed(&before, &pieces), "bytes": file_bytes, "segments": c.segments, "blocks": c.blocks,
            "transactions": c.transactions, "refused": c.refused, "moves": c.moves, "gas": c.gas,
            "left_out": recognised.left_out.len(), "notes": imported.notes, "node": asked.as_ref().map(node::Asked::json),
            "run": {"seconds": seconds},
        });
        crate::output::write_to("-".as_ref(), format!("{json}\n").as_bytes())?;
    } else if pieces.is_empty() {
        crate::output::write_to("-".as_ref(), b"no new file: nothing has come after the last block\n")?;
    } else {
        let text = format!(
            "{}: {} blocks in {} segments, {} transactions, {} moves, {} gas; {} bytes, {seconds:.1} s\n",
            state::in_words(&named, &pieces),
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

/// Imports the first blocks of a node to a folder that goes away, and says what all of them would ask.
fn dry_run(
    asked: &mut node::Asked,
    args: &Args,
    backends: manaflow_engine::backend::Backends,
) -> Result<Code, Failure> {
    let (tried, total) = asked.cut(DRY_BLOCKS);
    let folder = tempfile::tempdir().map_err(Failure::output(std::env::temp_dir()))?;
    let recognised = asked.recognised();
    let path = folder.path().join("dry.mana");
    let mut writer = Series::create(&path, &recognised.rules, "dry run").map_err(super::unwritable)?;
    let options = manaflow_engine::import::Options { backends, hints: !args.no_hints };
    let counts = manaflow_engine::import::import_by(&recognised, &mut writer, options, &mut |_| {})?.counts;
    let estimate = asked.estimate(tried, total);
    if args.json {
        let json = serde_json::json!({
            "version": 1, "dry_run": {
                "blocks": total, "tried": tried, "transactions": counts.transactions, "moves": counts.moves,
                "calls": estimate.calls, "bytes": estimate.bytes,
            },
            "node": asked.json(),
        });
        crate::output::write_to("-".as_ref(), format!("{json}\n").as_bytes())?;
    } else {
        let text = format!(
            "{}: the first {} blocks have {} transactions and {} moves; all {} blocks would ask about {} calls and \
             {} bytes of answers at that rate, less where blocks touch what earlier ones touched\n",
            asked.name(),
            grouped(tried),
            grouped(counts.transactions),
            grouped(counts.moves),
            grouped(total),
            grouped(estimate.calls),
            grouped(estimate.bytes),
        );
        crate::output::write_to("-".as_ref(), text.as_bytes())?;
    }
    Ok(Code::Success)
}

//! `manaflow inspect`: what is inside a block file, and its moves in words.

use crate::exit::{Code, Failure};
use crate::output::grouped;
use alloy_primitives::{B256, U256, keccak256};
use manaflow_engine::solo::check::{say, say_version};
use manaflow_loader::file::{BlockFile, BlockView, RowView};
use manaflow_loader::model::{Mark, Mode, Move, Status, Value, Version};
use serde_json::{Value as Json, json};
use std::io::Write;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  manaflow inspect datasets/mainnet.mana
  manaflow inspect datasets/forks.mana --block 10 --moves
  manaflow inspect datasets/forks.mana --transaction 10:1
  manaflow inspect datasets/forks.mana --moves --json | head";

/// Sections that moves need: their columns and the tables they refer to. What `bytes_per_move` counts.
const MOVE_SECTIONS: [&str; 15] = [
    "addresses",
    "slots",
    "spaces",
    "account-cells",
    "storage-cells",
    "hash-cells",
    "foreign",
    "value-lengths",
    "value-anchors",
    "value-bytes",
    "move-cells",
    "move-flags",
    "move-intx",
    "move-prev",
    "move-next",
];

/// Arguments of `inspect`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A block file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Blocks with this number.
    #[arg(long, value_name = "N")]
    block: Option<u64>,
    /// The transaction with this hash, or at this block and index (N:I; index 0 is the opening).
    #[arg(long, value_name = "HASH|N:I", conflicts_with = "block")]
    transaction: Option<String>,
    /// Print moves: of the block or transaction asked for, or of all.
    #[arg(long)]
    moves: bool,
    /// Print JSON: one object, or one move a line.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug)]
enum Wanted {
    All,
    Block(u64),
    Place(u64, u64),
    Hash(B256),
}

/// Runs `inspect`.
pub fn run(args: &Args) -> Result<Code, Failure> {
    super::watched(std::slice::from_ref(&args.file), || print(args))
}

fn print(args: &Args) -> Result<Code, Failure> {
    let file = BlockFile::open(&args.file)?;
    let wanted = match (&args.block, &args.transaction) {
        (Some(n), _) => Wanted::Block(*n),
        (None, Some(t)) => parse_transaction(t)?,
        (None, None) => Wanted::All,
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let stdout = Path::new("-");
    if matches!(wanted, Wanted::All) && !args.moves {
        let text = if args.json { format!("{}\n", summary_json(&file)?) } else { summary(&file)? };
        out.write_all(text.as_bytes()).map_err(Failure::output(stdout))?;
    } else {
        let moves = args.moves || matches!(wanted, Wanted::Place(..) | Wanted::Hash(_)) || args.json;
        let mut found = false;
        for block in 0..file.block_count() {
            let segment = &file.segments()[file.segment_of(block)];
            let number = segment.start.first + (block - segment.blocks.start) as u64;
            if matches!(wanted, Wanted::Block(n) | Wanted::Place(n, _) if n != number) {
                continue;
            }
            let view = file.block(block)?;
            if !args.json && matches!(wanted, Wanted::Block(_)) {
                found = true;
                out.write_all(block_line(&view).as_bytes()).map_err(Failure::output(stdout))?;
            }
            for (index, row) in view.transactions().enumerate() {
                let is_wanted = match wanted {
                    Wanted::All | Wanted::Block(_) => true,
                    Wanted::Place(_, i) => i == index as u64,
                    Wanted::Hash(hash) => !row.bytes().is_empty() && keccak256(row.bytes()) == hash,
                };
                if is_wanted {
                    found = true;
                    let text = print_row(&file, &view, &row, moves, args.json)?;
                    out.write_all(text.as_bytes()).map_err(Failure::output(stdout))?;
                }
            }
        }
        if !found {
            let what = args.transaction.clone().unwrap_or_else(|| format!("block {}", args.block.unwrap_or(0)));
            return Err(Failure::Input(format!("{}: has no {what}", args.file.display())));
        }
    }
    out.flush().map_err(Failure::output(stdout))?;
    file.changed()?;
    Ok(Code::Success)
}

fn parse_transaction(text: &str) -> Result<Wanted, Failure> {
    if let Some((n, i)) = text.split_once(':')
        && let (Ok(n), Ok(i)) = (n.parse(), i.parse())
    {
        return Ok(Wanted::Place(n, i));
    }
    let hash = text.parse().map_err(|_| {
        Failure::Usage(format!("{text:?} is no transaction: expected a hash of 32 bytes, or BLOCK:INDEX"))
    })?;
    Ok(Wanted::Hash(hash))
}

/// Bytes of columns and tables that moves need, by move.
fn bytes_per_move(file: &BlockFile) -> f64 {
    let bytes: u64 = file
        .sizes()
        .iter()
        .filter(|s| MOVE_SECTIONS.contains(&s.name) || s.name == "move-mask" || s.name == "row-moves")
        .map(|s| s.bytes)
        .sum();
    bytes as f64 / (file.move_count().max(1)) as f64
}

fn summary_json(file: &BlockFile) -> Result<Json, Failure> {
    let sections: Vec<Json> =
        file.sizes().iter().map(|s| json!({"name": s.name, "rows": s.rows, "bytes": s.bytes})).collect();
    let segments: Vec<Json> = file
        .segments()
        .iter()
        .map(|s| {
            json!({
                "first": s.start.first, "last": s.start.first + s.blocks.len() as u64 - 1, "blocks": s.blocks.len(),
                "origin": s.start.origin, "from_genesis": s.start.is_from_genesis(),
                "earlier_headers": s.start.earlier.len(),
                "total_difficulty": s.start.total_difficulty.map(|d| format!("{d:#x}")),
            })
        })
        .collect();
    let rules = file.rules();
    Ok(json!({
        "version": 1, "file": file.path().to_string_lossy(), "format": manaflow_loader::file::FORMAT_VERSION,
        "protocol": manaflow_loader::file::PROTOCOL_VERSION, "written_by": file.versions(),
        "chain": {"name": rules.name(), "id": rules.chain_id, "genesis": rules.genesis, "rules_digest": rules.digest()},
        "blocks": file.block_count(), "transactions": file.row_count() as usize - 2 * file.block_count(),
        "moves": file.move_count(), "cells": file.cell_count(), "values": file.value_count(), "codes": file.code_count(),
        "bytes": file.sizes().iter().map(|s| s.bytes).sum::<u64>(), "bytes_per_move": bytes_per_move(file),
        "segments": segments, "sections": sections,
        "hints": {"signer_keys": file.signer_keys()?.len(), "signature_r": file.signature_r_count(), "signatures": file.signature_count()},
    }))
}

fn summary(file: &BlockFile) -> Result<String, Failure> {
    let rules = file.rules();
    let mut out = format!(
        "{}: block file, written by {}\nchain    {} (id {})\nblocks   {} in {} segments\nrows     {} transactions, {} moves on {} cells\n",
        file.path().display(),
        file.versions(),
        rules.name(),
        rules.chain_id,
        grouped(file.block_count() as u64),
        grouped(file.segments().len() as u64),
        grouped(u64::from(file.row_count()) - 2 * file.block_count() as u64),
        grouped(file.move_count() as u64),
        grouped(u64::from(file.cell_count())),
    );
    for s in file.segments() {
        let last = s.start.first + s.blocks.len() as u64 - 1;
        let from = if s.start.is_from_genesis() { "from genesis".into() } else { format!("origin {}", s.start.origin) };
        out += &format!("segment  {}..{last}, {from}, {} earlier headers\n", s.start.first, s.start.earlier.len());
    }
    out += "\nsection                     rows         bytes  bytes a move\n";
    let moves = file.move_count().max(1) as f64;
    for s in file.sizes().iter().filter(|s| s.bytes > 0) {
        let (rows, bytes) = (grouped(s.rows), grouped(s.bytes));
        out += &format!("{:<18} {rows:>13} {bytes:>13} {:>13.2}\n", s.name, s.bytes as f64 / moves);
    }
    out += &match (file.signer_keys()?.len(), file.signature_r_count()) {
        (0, 0) => "hints for signatures: none\n".into(),
        (keys, points) => format!(
            "hints for signatures: {} public keys, and R.y of {} of {} signatures\n",
            grouped(keys as u64),
            grouped(points),
            grouped(file.signature_count())
        ),
    };
    out += &format!("moves need {:.2} bytes a move: columns, tables of cells and values\n", bytes_per_move(file));
    Ok(out)
}

fn block_line(view: &BlockView<'_>) -> String {
    format!("block {}, {} transactions, hash {:#x}\n", view.number(), view.rows().len() - 2, keccak256(view.header()))
}

fn print_row(
    file: &BlockFile,
    view: &BlockView<'_>,
    row: &RowView<'_>,
    moves: bool,
    json: bool,
) -> Result<String, Failure> {
    let mut out = String::new();
    let location = row.location();
    if !json {
        out += &format!("{location} {}\n", row_title(view, row)?);
    }
    if moves {
        for i in row.moves() {
            let m = file.move_at(i)?;
            if json {
                out += &format!("{}\n", move_json(location.block(), location.index(), &m));
            } else {
                out += &format!("    {}\n", move_line(&m));
            }
        }
    }
    Ok(out)
}

fn row_title(view: &BlockView<'_>, row: &RowView<'_>) -> Result<String, Failure> {
    let index = row.location().index();
    if index == 0 {
        return Ok("opening".into());
    }
    if index + 1 == view.rows().len() as u64 {
        return Ok("closing".into());
    }
    let sender = row.sender().map_or("nobody".into(), |s| format!("{s:#x}"));
    let outcome = match row.outcome()? {
        None => "no outcome".into(),
        Some(o) => {
            let status = match o.status {
                Status::Success => "success".into(),
                Status::Failure => "failure".into(),
                Status::Root(Some(root)) => format!("post-state root {root:#x}"),
                Status::Root(None) => "post-state root unknown".into(),
            };
            format!("{status}, {} gas, {} logs", grouped(o.gas_used), o.logs.len())
        }
    };
    Ok(format!("transaction {:#x} from {sender}: {outcome}", keccak256(row.bytes())))
}

fn move_line(m: &Move) -> String {
    let version = say_version(m.intx);
    match m.mode {
        Mode::Read => format!("read  {} = {} (written by {version})", m.cell, say(&m.prev)),
        Mode::Write => format!("write {}: {} -> {} (written by {version})", m.cell, say(&m.prev), say(&m.next)),
    }
}

fn move_json(block: u64, index: u64, m: &Move) -> Json {
    let value = |v: &Value| match v {
        Value::Word(word) => json!(B256::from(*word)),
        Value::Account(a) => json!({
            "present": a.present, "nonce": format!("{:#x}", a.nonce), "balance": format!("{:#x}", a.balance),
            "code_hash": a.code_hash, "generation": a.generation,
        }),
    };
    let intx = match m.intx {
        Version::Virgin => json!("virgin"),
        Version::Base(_) => json!("base"),
        Version::Assumed => json!("assumed"),
        Version::At(location) => json!({"block": location.block(), "index": location.index()}),
    };
    let slot = match m.cell.mark {
        Mark::Account => Json::Null,
        Mark::Storage | Mark::BlockHash => json!(B256::from(U256::from(m.cell.slot))),
    };
    json!({
        "block": block, "index": index, "mask": m.mask, "mark": m.cell.mark.letter().to_string(),
        "mode": if m.mode == Mode::Write { "write" } else { "read" }, "addr": m.cell.addr,
        "generation": m.cell.generation, "slot": slot, "intx": intx, "prev": value(&m.prev),
        "next": if m.mode == Mode::Write { value(&m.next) } else { Json::Null },
    })
}

//! Writes a chain whose state grows, and its genesis: `growth FOLDER GENESIS_HASH BLOCKS WITHDRAWALS`.
//!
//! The hash of block 0 is what `manaflow import` says it expects, if it is given another one.

use std::io::BufWriter;
use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, genesis, blocks, withdrawals] = &args[..] else {
        return Err(std::io::Error::other("expected FOLDER GENESIS_HASH BLOCKS WITHDRAWALS"));
    };
    let bad = |e: &dyn std::fmt::Display| std::io::Error::other(e.to_string());
    let genesis = genesis.parse().map_err(|e| bad(&e))?;
    let (blocks, withdrawals) = (blocks.parse().map_err(|e| bad(&e))?, withdrawals.parse().map_err(|e| bad(&e))?);
    let folder = PathBuf::from(folder);
    std::fs::write(folder.join("genesis.json"), manaflow_datasets::growth::GENESIS)?;
    let mut out = BufWriter::new(std::fs::File::create(folder.join("chain.rlp"))?);
    manaflow_datasets::growth::write(&mut out, genesis, blocks, withdrawals)?;
    std::io::Write::flush(&mut out)
}

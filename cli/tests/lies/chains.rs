//! The chains and blocks that lies are told about.

use super::{Share, tell};
use manaflow_datasets::lies::sample::Sample;
use manaflow_datasets::{amount, data_for, is_whole, sample, skip};
use std::path::Path;

/// Every fork from Frontier to the last: pieces of six blocks, two forks each, and the first blocks from genesis. Block 2
/// is left out: its logs have megabytes.
#[test]
fn every_fork_of_a_chain() {
    let chain = Sample::open(&sample("forks.mana"));
    let pieces = (3..54).step_by(6).map(|first| chain.cut(first..=first + 5));
    let tally = tell("every fork of a chain", Share::of_kind(4), [chain.cut(0..=1)].into_iter().chain(pieces));
    assert!(tally.told() > 250, "{}", tally.told());
}

/// Mainnet's blocks, each a snapshot with much that it does not list: requirements, assumptions, ommers by hash only.
#[test]
fn blocks_of_mainnet() {
    let file = Sample::open(&sample("mainnet.mana"));
    let is_small = |segment: &usize| {
        let blocks = &file.segments[*segment].blocks;
        is_whole() || blocks.iter().map(|b| b.transactions.len()).sum::<usize>() < 60
    };
    let blocks = (0..file.segments.len()).filter(is_small).map(|segment| file.segment(segment));
    let tally = tell("blocks of mainnet", Share::of_kind(2), blocks);
    assert!(tally.told() > 100, "{}", tally.told());
}

/// The rest of the sixty blocks.
#[test]
fn more_blocks_of_mainnet() {
    let Some(data) = data_for("more_blocks_of_mainnet") else { return };
    if !is_whole() {
        return skip("more_blocks_of_mainnet", "with MANAFLOW_WHOLE=1 only");
    }
    let known = Sample::open(&sample("mainnet.mana"));
    let is_new = |number: &u64| known.segments.iter().all(|segment| segment.start.first != *number);
    let folders = std::fs::read_dir(data.join("mainnet/blocks")).expect("a folder");
    let mut numbers: Vec<u64> =
        folders.filter_map(|folder| folder.ok()?.file_name().to_str()?.parse().ok()).filter(is_new).collect();
    numbers.sort_unstable();
    let import = |number: u64| Sample::import(&[data.join("mainnet/blocks").join(number.to_string())], None);
    tell("more blocks of mainnet", Share::of_kind(2), numbers.into_iter().map(import));
}

fn chain(data: &Path, name: &str) -> Sample {
    let folder = data.join("chains").join(name);
    Sample::import(&[folder.join("chain.rlp")], Some(&folder.join("genesis.json")))
}

/// Chains that begin under later rules than the first, from genesis and in pieces.
#[test]
fn pieces_of_other_chains() {
    let Some(data) = data_for("pieces_of_other_chains") else { return };
    // Shanghai, Cancun at 60 seconds, Prague at 120; the others have one fork each.
    let mut samples = Vec::new();
    let geth = chain(&data, "geth600");
    for first in [0, 1, 5, 11, 57, 115, 300, 595] {
        samples.push(geth.cut(first..=first + 5));
    }
    if is_whole() {
        for (name, firsts) in [("hive1024", [0, 500]), ("hive3000", [0, 2000]), ("devp2p3000", [0, 2990])] {
            let chain = chain(&data, name);
            samples.extend(firsts.into_iter().map(|first| chain.cut(first..=first + 3)));
        }
    }
    tell("pieces of other chains", Share::of_kind(2), samples);
}

/// Mainnet's first blocks: proof of work, rewards, ommers.
#[test]
fn pieces_of_an_era() {
    let Some(data) = data_for("pieces_of_an_era") else { return };
    let file = data.join("era1/mainnet-00000-5ec1ffb8.era1");
    let era = Sample::import(&[file], Some(&data.join("genesis/mainnet.json")));
    let firsts = amount::<&[u64]>(&[40, 8000], &[0, 40, 1000, 3000, 5000, 7000, 8000, 8180]);
    tell("pieces of an era", Share::of_kind(2), firsts.iter().map(|&first| era.cut(first..=first + 11)));
}

//! Import of chains from files, beside what a client does with them that keeps no moves: read, decode, recover by
//! libsecp256k1 and execute block after block, on one thread.
//!
//! That baseline ([`sequential`]) has the state before each block at hand, and leaves out system transactions and rewards;
//! import has to look for the former and to do the latter.

use crate::{Lane, print_ratio};
use manaflow_benches::dataset::import_to;
use manaflow_engine::backend::{Backends, Forced};
use manaflow_engine::bench::{clock, lanes, sequential};
use manaflow_engine::import::Options;
use manaflow_engine::solo::transaction::decode;
use manaflow_loader::file::BlockFile;
use manaflow_loader::source::{self, Chain, Source, recognise};
use std::hint::black_box;
use std::path::Path;

/// Chains of the test data whose blocks have transactions, and no fork with system transactions: the baseline has none.
/// How often a sample takes each: CPU time is counted in hundredths of a second.
const CHAINS: [(&str, usize); 2] = [("hive1024", 1), ("devp2p3000", 5)];

/// Lanes of all chains that are there.
pub fn all(repetitions: usize) -> Result<Vec<Lane>, String> {
    let Some(data) = manaflow_datasets::data() else {
        println!("skipped: import of chains: no test data in MANAFLOW_DATA or target/data");
        return Ok(Vec::new());
    };
    let mut lanes = Vec::new();
    for (name, rounds) in CHAINS {
        lanes.extend(chain(name, &data.join("chains").join(name), rounds, repetitions)?);
    }
    Ok(lanes)
}

fn chain(name: &'static str, folder: &Path, rounds: usize, repetitions: usize) -> Result<Vec<Lane>, String> {
    let recognised = recognise(&[folder.to_path_buf()], &source::Options::default()).map_err(|e| e.to_string())?;
    let [Source::Chain(chain)] = &recognised.sources[..] else { return Err(format!("{name}: is no chain")) };
    let output = tempfile::tempdir().map_err(|e| e.to_string())?;
    let output = output.path().join("chain.mana");
    let backends = Backends::choose(Forced::default()).map_err(|e| e.to_string())?;
    let import =
        |hints| import_to(&recognised, &output, Options { backends, hints }).map(|imported| imported.counts.gas);
    let gas = import(true)?;
    let file = BlockFile::open(&output).map_err(|e| e.to_string())?;
    file.verify_all().map_err(|e| e.to_string())?;
    let blocks = sequential::blocks(&file, &*lanes::codes(&file)?)?;
    let mut lanes = ["sequential baseline, from the file", "import", "import without hints"].map(Lane::new);
    for i in 0..repetitions {
        let mut order = [0, 1, 2];
        order.rotate_left(i % 3);
        for lane in order {
            let mut samples = Vec::with_capacity(rounds);
            for _ in 0..rounds {
                let mut states = if lane == 0 { sequential::states(&blocks) } else { Vec::new() };
                let (got, sample) = clock::process(|| match lane {
                    0 => read(chain).and_then(|()| sequential::validate(&blocks, &mut states)),
                    _ => import(lane == 1),
                });
                if got? != gas {
                    return Err(format!("{name}: {} uses another gas than import", lanes[lane].name));
                }
                samples.push(sample);
            }
            lanes[lane].repetitions.push(samples);
        }
    }
    let transactions: usize = blocks.iter().map(|block| block.envelopes.len()).sum();
    println!("import of {name}: {} blocks, {transactions} transactions, {rounds} times a sample", blocks.len());
    lanes.iter().for_each(Lane::print);
    let [baseline, with, without] = &lanes;
    print_ratio("baseline / import, wall (at least 0.8)", baseline, with, |s| Some(s.wall));
    print_ratio("baseline / import, CPU", baseline, with, |s| s.cpu);
    print_ratio("baseline / import without hints, wall", baseline, without, |s| Some(s.wall));
    print_ratio("baseline / import without hints, CPU", baseline, without, |s| s.cpu);
    Ok(lanes.into())
}

/// Reads and decodes all blocks.
fn read(chain: &Chain) -> Result<(), String> {
    for block in chain.blocks() {
        let block = block.map_err(|e| e.to_string())?;
        for bytes in &block.transactions {
            black_box(decode(bytes).map_err(|e| e.why)?);
        }
    }
    Ok(())
}

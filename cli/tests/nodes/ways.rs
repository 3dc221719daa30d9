//! Every way to learn of blocks and of the state before them gives the moves of the import from files.

use crate::server::{Offers, Server};
use crate::world::World;
use crate::{assert_same_moves, chain, import, records, run, text};
use manaflow_datasets::data_for;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// A chain, imported from its file.
pub struct Imported {
    pub folder: TempDir,
    pub genesis: PathBuf,
    pub file: PathBuf,
    pub world: Arc<World>,
}

impl Imported {
    pub fn new(rlp: &Path, genesis: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("whole.mana");
        import(&[text(rlp), "--genesis", text(genesis), "-o", text(&file)]);
        let world = Arc::new(World::read(&file));
        Self { folder, genesis: genesis.to_path_buf(), file, world }
    }

    pub fn of(test: &str, name: &str) -> Option<Self> {
        let (rlp, genesis) = chain(test, name)?;
        Some(Self::new(&rlp, &genesis))
    }

    /// Imports a range from a server and compares it with the whole.
    pub fn check(&self, url: &str, range: &str, more: &[&str]) -> serde_json::Value {
        let part = self.folder.path().join("part.mana");
        let args = [&["--rpc", url, "--blocks", range, "--genesis", text(&self.genesis), "-o", text(&part)], more];
        let counts = import(&args.concat());
        assert_same_moves(&records(&part), &records(&self.file), &format!("{range} {more:?}"));
        // What was recorded is valid by itself, given what it requires.
        let (code, _, err) = run(&["validate", text(&part), "--json"]);
        assert_eq!(code, 0, "{range} {more:?}: {err}");
        counts
    }
}

const WAYS: [(Offers, &[&str], &str); 6] = [
    (Offers::CALLS, &[], "calls"),
    (Offers { raw_blocks: false, ..Offers::CALLS }, &["--rpc-batch", "1"], "calls"),
    (Offers::ALL, &[], "prestate"),
    (Offers { raw_blocks: false, ..Offers::ALL }, &["--befores", "prestate"], "prestate"),
    (Offers::ALL, &["--befores", "calls", "--rpc-requests", "1"], "calls"),
    (Offers::ALL, &["--verify-proofs"], "proofs"),
];

fn every_way(test: &str, name: &str, ranges: &[&str]) {
    let Some(chain) = Imported::of(test, name) else { return };
    for (offers, more, way) in WAYS {
        let server = Server::of(chain.world.clone(), offers);
        for range in ranges {
            let counts = chain.check(&server.url, range, more);
            assert_eq!(counts["node"]["befores"], if range.starts_with("0..") { "genesis" } else { way }, "{range}");
        }
    }
}

#[test]
fn geth600_by_every_way() {
    every_way("geth600_by_every_way", "geth600", &["0..600", "1..600", "300..450"]);
}

/// Frontier to BPO2 in 54 blocks, with ommers, the merge, and accounts that are empty and present.
#[test]
fn execapis_by_every_way() {
    every_way("execapis_by_every_way", "execapis", &["0..", "1..54", "7..30", "20..54", "40..41"]);
}

#[test]
fn a_whole_chain_is_the_same_file() {
    let Some(chain) = Imported::of("a_whole_chain_is_the_same_file", "geth600") else { return };
    let server = Server::of(chain.world.clone(), Offers::CALLS);
    let part = chain.folder.path().join("part.mana");
    import(&["--rpc", &server.url, "--blocks", "0..", "--genesis", text(&chain.genesis), "-o", text(&part)]);
    assert!(std::fs::read(&part).expect("a file") == std::fs::read(&chain.file).expect("a file"));
}

/// Blocks and their traces as besu recorded them; what traces leave out is not to be had.
#[test]
fn besu_by_its_recorded_traces() {
    let Some(data) = data_for("besu_by_its_recorded_traces") else { return };
    let folder = data.join("traces/besu_geth");
    let chain = Imported::new(&folder.join("chain-data/blocks.bin"), &folder.join("chain-data/genesis.json"));
    // The answers as they were saved, beside the blocks that `debug_getRawBlock` would give.
    let saved = chain.folder.path().join("saved");
    std::fs::create_dir(&saved).expect("a folder");
    for entry in std::fs::read_dir(folder.join("prestate-tracer/diff-mode-false")).expect("a folder") {
        let path = entry.expect("an entry").path();
        std::fs::copy(&path, saved.join(path.file_name().expect("a name"))).expect("copied");
    }
    for number in 0..=chain.world.last() {
        let name = format!("debug_getRawBlock-{number:#x}.json");
        std::fs::write(saved.join(name), json!(chain.world.raw(number)).to_string()).expect("written");
    }
    for first in [1, 2, 10, 20, 33] {
        let part = chain.folder.path().join("part.mana");
        let range = format!("{first}..");
        let range = format!("{range}{}", chain.world.last());
        let args = [text(&saved), "--blocks", &range, "--genesis", text(&chain.genesis), "-o", text(&part)];
        let counts = import(&args);
        assert_eq!(counts["node"]["befores"], "prestate");
        let (code, _, err) = run(&["validate", text(&part), "--json"]);
        assert_eq!(code, 0, "{range}: {err}");
    }
}

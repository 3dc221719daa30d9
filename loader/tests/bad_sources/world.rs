//! A folder with a genesis file, blocks that follow on it, and what files are written of.

pub use crate::e2store_writer::{accumulator, entry, list, pack};
use alloy_consensus::Header;
use alloy_primitives::U256;
use manaflow_loader::Result;
use manaflow_loader::source::{Genesis, Options, Recognised, Source, SourceBlock, recognise};
use serde_json::json;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().expect("has a parent")).expect("created");
    std::fs::write(path, bytes).expect("written");
}

/// A folder with `genesis.json`.
pub struct World {
    folder: TempDir,
    pub genesis: Genesis,
}

impl World {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("genesis.json");
        let json = json!({
            "config": {"chainId": 9, "homesteadBlock": 0}, "gasLimit": "0x1388", "difficulty": "0x11",
            "alloc": {"00000000000000000000000000000000000000aa": {"balance": "1"}},
        });
        write(&path, json.to_string());
        let genesis = Genesis::read(&path, None).expect("well-formed");
        Self { folder, genesis }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Headers of blocks 0 to `last`, linked.
    pub fn headers(&self, last: u64) -> Vec<Header> {
        let mut headers = vec![self.genesis.header.clone()];
        for number in 1..=last {
            let parent_hash = headers[headers.len() - 1].hash_slow();
            headers.push(Header { number, parent_hash, difficulty: U256::from(number), ..Header::default() });
        }
        headers
    }

    /// RLP of blocks 0 to `last`; every block but 0 has a legacy and a typed transaction.
    pub fn blocks(&self, last: u64) -> Vec<Vec<u8>> {
        let transactions = list(&[&list(&[&[1], &[2]]), &[0x82, 0x02, 0xc0]]);
        let block = |header: &Header| {
            let transactions = if header.number == 0 { vec![0xc0] } else { transactions.clone() };
            list(&[&alloy_rlp::encode(header), &transactions, &[0xc0]])
        };
        self.headers(last).iter().map(block).collect()
    }

    pub fn options(&self) -> Options {
        Options { genesis: Some(self.path("genesis.json")), rules: None }
    }

    pub fn recognise(&self, names: &[&str]) -> Result<Recognised> {
        let paths: Vec<_> = names.iter().map(|name| self.path(name)).collect();
        recognise(&paths, &self.options())
    }

    /// All blocks of the chain in files.
    pub fn stream(&self, names: &[&str]) -> Result<Vec<SourceBlock>> {
        let found = self.recognise(names)?;
        let [Source::Chain(chain)] = found.sources.as_slice() else { panic!("expected one chain") };
        chain.blocks().collect()
    }

    pub fn refusal(&self, names: &[&str]) -> String {
        let error = self.stream(names).expect_err("must be refused");
        assert!(error.is_input(), "{error}");
        error.to_string()
    }
}

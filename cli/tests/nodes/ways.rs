//! Every way to learn of blocks and of the state before them gives the moves of the import from files.

use crate::server::{Offers, Reply, Server, honest};
use crate::world::World;
use crate::{assert_same_moves, chain, import, records, run, text};
use alloy_primitives::{B256, U256, address};
use manaflow_datasets::{data_for, say};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
        let (code, out, err) = run(&["validate", text(&part), "--json"]);
        assert_eq!(code, 0, "{range} {more:?}: {err}");
        let report: serde_json::Value = serde_json::from_str(&out).expect("a report");
        let (cells, proven) = (&report["requirements"]["cells"], &report["requirements"]["proven"]);
        if counts["node"]["befores"] == "proofs" {
            assert_eq!(proven, cells, "{range}: every cell is proven");
            assert!(cells.as_u64() > Some(10), "{range}: {cells}");
        } else {
            assert_eq!(*proven, 0, "{range} {more:?}");
        }
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
            // Before Spurious Dragon, block 6 of this chain, only a proof tells empty accounts from absent ones.
            let is_early = name == "execapis" && range.starts_with("1..");
            let way = match (range.starts_with("0.."), is_early && !more.contains(&"--befores")) {
                (true, _) => "genesis",
                (false, true) => "proofs",
                (false, false) => way,
            };
            let counts = chain.check(&server.url, range, more);
            assert_eq!(counts["node"]["befores"], way, "{range}");
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

fn besu(test: &str) -> Option<(Imported, PathBuf)> {
    let folder = data_for(test)?.join("traces/besu_geth");
    let chain = Imported::new(&folder.join("chain-data/blocks.bin"), &folder.join("chain-data/genesis.json"));
    Some((chain, folder.join("prestate-tracer/diff-mode-false")))
}

/// A node that answers the recorded traces; what these leave out it answers by calls.
#[test]
fn besu_by_its_recorded_traces() {
    let Some((chain, folder)) = besu("besu_by_its_recorded_traces") else { return };
    let mut traces = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a file");
        let pair: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
        traces.insert(pair["request"]["params"][0].as_str().expect("a number").to_string(), pair["response"].clone());
    }
    let world = chain.world.clone();
    let server = Server::start(Arc::new(move |_, request| {
        let mut answers = honest(&world, Offers::ALL, request);
        let calls = request.as_array().cloned().unwrap_or_else(|| vec![request.clone()]);
        for (i, call) in calls.iter().enumerate().filter(|(_, call)| call["method"] == "debug_traceBlockByNumber") {
            let mut answer = traces[call["params"][0].as_str().expect("a number")].clone();
            answer["id"] = call["id"].clone();
            if answers.is_array() { answers[i] = answer } else { answers = answer }
        }
        Reply::json(&answers)
    }));
    for range in ["1..34", "2..34", "10..20", "19..34", "33..34"] {
        let counts = chain.check(&server.url, range, &[]);
        assert_eq!(counts["node"]["befores"], "prestate");
    }
}

/// The answers as they were saved, beside what a person would have saved too: blocks, and the contracts that system
/// transactions call.
#[test]
fn besu_by_saved_answers() {
    let Some((chain, folder)) = besu("besu_by_saved_answers") else { return };
    let saved = chain.folder.path().join("saved");
    std::fs::create_dir(&saved).expect("a folder");
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        std::fs::copy(&path, saved.join(path.file_name().expect("a name"))).expect("copied");
    }
    let save = |name: String, json: serde_json::Value| {
        std::fs::write(saved.join(format!("{name}.json")), json.to_string()).expect("written");
    };
    let world = &chain.world;
    for number in 0..=world.last() {
        save(format!("debug_getRawBlock-{number:#x}"), json!(world.raw(number)));
    }
    let first = 10;
    for addr in [
        address!("000f3df6d732807ef1319fb7b8bb8522d0beac02"),
        address!("0000f90827f1c53a10cb7a02335b175320002935"),
        address!("00000961ef480eb55e80d19ad83579a64c007002"),
        address!("0000bbddc7ce488642fb579f8b00f3a590007251"),
    ] {
        let account = world.account(addr, first - 1);
        let at = format!("{addr:#x}-{:#x}", first - 1);
        save(format!("eth_getBalance-{at}"), json!(account.balance));
        save(format!("eth_getTransactionCount-{at}"), json!(format!("{:#x}", account.nonce)));
        save(format!("eth_getCode-{at}"), json!(world.code(account.code_hash)));
        for slot in 0..4 {
            let word = world.word(addr, U256::from(slot), first - 1);
            save(format!("eth_getStorageAt-{addr:#x}-{slot:#x}-{:#x}", first - 1), json!(B256::from(word)));
        }
    }
    let part = chain.folder.path().join("part.mana");
    let args = [text(&saved), "--blocks", "10..34", "--genesis", text(&chain.genesis), "-o", text(&part)];
    let counts = import(&args);
    assert_eq!(counts["node"]["befores"], "prestate");
    let notes = counts["notes"].to_string();
    assert!(notes.contains("are assumed"), "what nobody saved of system transactions is said: {notes}");
    let (code, out, err) = run(&["validate", text(&part), "--json"]);
    assert_eq!(code, 0, "{out} {err}");
}

/// A node that answers what was recorded of another client wherever a call was recorded: blocks as bytes, receipts. Its traces
/// are logs of steps, whatever tracer is asked for: where only these are offered, no file comes of them.
#[test]
fn execapis_by_recorded_answers() {
    let Some(data) = data_for("execapis_by_recorded_answers") else { return };
    let Some(chain) = Imported::of("execapis_by_recorded_answers", "execapis") else { return };
    let mut recorded: BTreeMap<(String, String), serde_json::Value> = BTreeMap::new();
    for method in ["debug_getRawBlock", "eth_getBlockReceipts", "debug_traceBlockByNumber"] {
        for entry in std::fs::read_dir(data.join("traces/execution_apis").join(method)).expect("a folder") {
            let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a file");
            let mut request = None;
            for line in text.lines() {
                let json = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
                match (line.strip_prefix(">> "), line.strip_prefix("<< "), request.take()) {
                    (Some(line), _, _) => request = Some(json(line)),
                    (_, Some(line), Some(request)) => {
                        // Of a trace only the block: the tracer is not looked at.
                        let params = if method.contains("trace") { &request["params"][0] } else { &request["params"] };
                        recorded.entry((method.into(), params.to_string())).or_insert_with(|| json(line));
                    }
                    _ => {}
                }
            }
        }
    }
    for traces in [false, true] {
        let (world, recorded, used) = (chain.world.clone(), recorded.clone(), Arc::new(AtomicU64::new(0)));
        let count = used.clone();
        let server = Server::start(Arc::new(move |_, request| {
            let mut answers = honest(&world, Offers::ALL, request);
            let calls = request.as_array().cloned().unwrap_or_else(|| vec![request.clone()]);
            for (i, call) in calls.iter().enumerate() {
                let method = call["method"].as_str().expect("a method").to_string();
                let is_trace = method.contains("trace");
                let params = if is_trace { call["params"][0].to_string() } else { call["params"].to_string() };
                let Some(answer) = recorded.get(&(method, params)).filter(|_| traces || !is_trace) else { continue };
                count.fetch_add(1, Ordering::SeqCst);
                let mut answer = answer.clone();
                answer["id"] = call["id"].clone();
                if answers.is_array() { answers[i] = answer } else { answers = answer }
            }
            Reply::json(&answers)
        }));
        if traces {
            let part = chain.folder.path().join("steps.mana");
            let args = ["import", "--rpc", &server.url, "--blocks", "1..5", "--befores", "prestate", "--genesis"];
            let (code, _, err) = run(&[&args[..], &[text(&chain.genesis), "-o", text(&part)]].concat());
            assert!(code == 3 && err.contains("debug_traceBlockByNumber 0x1"), "{code} {err}");
            assert!(!part.exists());
        } else {
            for range in ["1..54", "3..20"] {
                let counts = chain.check(&server.url, range, &["--befores", "prestate"]);
                assert_eq!(counts["node"]["befores"], "prestate");
            }
        }
        assert!(used.load(Ordering::SeqCst) > 1, "recorded answers are given");
    }
}

/// Mainnet blocks of eleven forks with the nodes of the state's trie, as `debug_executionWitness` answers them.
#[test]
fn mainnet_by_witnesses() {
    let Some(data) = data_for("mainnet_by_witnesses") else { return };
    let folder = data.join("witness");
    let read = |path: PathBuf| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
            .expect("JSON")
    };
    let lines = std::fs::read_to_string(folder.join("codes.jsonl")).expect("codes");
    let codes: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["code"].clone())
        .collect();
    let (mut tried, mut without_headers) = (0, 0);
    for entry in std::fs::read_dir(&folder).expect("a folder") {
        let block = entry.expect("an entry").path();
        if !block.join("nodes.json").is_file() {
            continue;
        }
        tried += 1;
        let work = tempfile::tempdir().expect("a folder");
        let snapshot = work.path().join("snapshot.mana");
        import(&[text(&block), "-o", text(&snapshot)]);
        let json = read(block.join("block.json"));
        let number = json["number"].as_str().expect("a number").to_string();
        let parent = read(block.join("parent.json"));
        let saved = work.path().join("saved");
        std::fs::create_dir(&saved).expect("a folder");
        let save = |name: String, json: &serde_json::Value| {
            std::fs::write(saved.join(name), json.to_string()).expect("written");
        };
        let witness = json!({ "state": read(block.join("nodes.json"))["pre"], "codes": codes, "headers": [] });
        save(format!("debug_executionWitness-{number}.json"), &witness);
        save(format!("eth_getBlockByNumber-{number}.json"), &json);
        save(format!("eth_getBlockByNumber-{}.json", parent["number"].as_str().expect("a number")), &parent);
        let part = work.path().join("part.mana");
        let at = u64::from_str_radix(number.trim_start_matches("0x"), 16).expect("hex");
        let range = format!("{at}..{at}");
        let args = [text(&saved), "--blocks", &range, "--chain", "mainnet", "-o", text(&part)];
        let hashes = read(block.join("block_hashes.json"));
        if hashes.as_object().is_some_and(|hashes| hashes.len() > 1) {
            // Hashes of earlier blocks are believed by their headers alone, which these witnesses do not have.
            let (code, _, err) = run(&[&["import"][..], &args].concat());
            assert!(code == 0 || (code == 3 && err.contains("eth_getBlockByNumber")), "{at}: {code} {err}");
            if code != 0 {
                without_headers += 1;
                continue;
            }
        }
        let counts = import(&args);
        assert_eq!(counts["node"]["befores"], "witness", "{number}");
        let (got, expected) = (&records(&part)[&at], &records(&snapshot)[&at]);
        for (i, (got, expected)) in got.transactions.iter().zip(&expected.transactions).enumerate() {
            assert_eq!(got.outcome, expected.outcome, "block {at}, index {i}");
            // System transactions know here what a snapshot leaves out.
            if (1..expected_len(&records(&snapshot)[&at])).contains(&i) {
                assert_eq!(got.moves, expected.moves, "block {at}, index {i}");
            }
        }
    }
    say(&format!("{tried} blocks with witnesses, {without_headers} of them ask for hashes without headers"));
    assert_eq!(tried, 11);
    assert!(without_headers < 4);
}

/// Index of a block's closing.
fn expected_len(record: &manaflow_loader::model::BlockRecord) -> usize {
    record.transactions.len() - 1
}

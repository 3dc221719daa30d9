//! A client that is not ours: `@ethereumjs/client` loads a chain and is asked over loopback.
//!
//! `MANAFLOW_ETHEREUMJS` names its program; else it is looked for where `.ci/run` installs it.

use crate::ways::Imported;
use crate::{run, text};
use manaflow_datasets::skip;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

struct Client {
    child: Child,
    url: String,
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> Option<PathBuf> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/ethereumjs/node_modules/.bin/ethereumjs");
    let named = std::env::var_os("MANAFLOW_ETHEREUMJS").map(PathBuf::from);
    named.or(Some(installed)).filter(|path| path.is_file())
}

/// A chain as the client can load it: its genesis without the forks that it does not know, and its blocks before them.
fn known_part(chain: &Imported, last: u64) -> (PathBuf, PathBuf) {
    let (genesis, rlp) = (chain.folder.path().join("known.json"), chain.folder.path().join("known.rlp"));
    let text = std::fs::read_to_string(&chain.genesis).expect("a genesis file");
    let mut json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let config = json["config"].as_object_mut().expect("a config");
    config.retain(|key, _| !key.starts_with("bpo"));
    if let Some(schedule) = config.get_mut("blobSchedule").and_then(|schedule| schedule.as_object_mut()) {
        schedule.retain(|key, _| !key.starts_with("bpo"));
    }
    std::fs::write(&genesis, json.to_string()).expect("written");
    let blocks: Vec<u8> = (1..=last).flat_map(|number| chain.world.raw(number)).collect();
    std::fs::write(&rlp, blocks).expect("written");
    (genesis, rlp)
}

/// Starts the client on a chain and waits until it has loaded it.
fn start(program: &Path, chain: &Imported, last: u64) -> Client {
    let (genesis, rlp) = known_part(chain, last);
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let data = chain.folder.path().join("client");
    let log = std::fs::File::create(chain.folder.path().join("client.log")).expect("a log");
    let mut command = Command::new(program);
    command.arg("--gethGenesis").arg(genesis).arg("--loadBlocksFromRlp").arg(rlp).arg("--dataDir").arg(data);
    command.args(["--rpc", "--rpcPort", &port.to_string(), "--isSingleNode", "--port", "0"]);
    let child = command.stdout(log.try_clone().expect("a log")).stderr(log).spawn().expect("it starts");
    let mut client = Client { child, url: format!("http://127.0.0.1:{port}") };
    let until = Instant::now() + Duration::from_secs(500);
    // It listens once it has loaded; the last block says that it took all of them.
    while Instant::now() < until && client.child.try_wait().is_ok_and(|ended| ended.is_none()) {
        std::thread::sleep(Duration::from_millis(500));
        if TcpStream::connect(("127.0.0.1", port)).is_ok() && newest(port) == Some(last) {
            return client;
        }
    }
    let log = std::fs::read_to_string(chain.folder.path().join("client.log")).unwrap_or_default();
    panic!("the client did not load {last} blocks: {log}");
}

/// `eth_blockNumber`, asked without any code of ours.
fn newest(port: u16) -> Option<u64> {
    use std::io::{Read, Write};
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}"#;
    let head = "POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json";
    write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let json: serde_json::Value = serde_json::from_str(answer.get(answer.find('{')?..=answer.rfind('}')?)?).ok()?;
    u64::from_str_radix(json["result"].as_str()?.trim_start_matches("0x"), 16).ok()
}

/// The client loads the blocks up to `last`, and ranges of them are imported.
fn check(test: &str, name: &str, last: u64, ranges: &[&str]) {
    let Some(program) = program() else {
        skip(test, "no @ethereumjs/client: npm install --prefix target/ethereumjs @ethereumjs/client@0.10.5");
        return;
    };
    let Some(chain) = Imported::of(test, name) else { return };
    let client = start(&program, &chain, last);
    for range in ranges {
        chain.check(&client.url, range, &[]);
        chain.check(&client.url, range, &["--verify-proofs"]);
    }
}

#[test]
fn ethereumjs_serves_geth600() {
    check("ethereumjs_serves_geth600", "geth600", 600, &["0..600", "1..600", "300..450"]);
}

/// Up to the last block before the first fork that the client does not know, the first one of blob parameters only.
#[test]
fn ethereumjs_serves_execapis() {
    check("ethereumjs_serves_execapis", "execapis", 50, &["0..50", "1..50", "20..50"]);
}

/// What `generate` makes is a chain to the client, which recomputes every root; and what it serves is what was made.
#[test]
fn ethereumjs_takes_a_generated_chain() {
    let test = "ethereumjs_takes_a_generated_chain";
    let Some(program) = program() else {
        skip(test, "no @ethereumjs/client: npm install --prefix target/ethereumjs @ethereumjs/client@0.10.5");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("made.mana");
    let plan =
        ["--profile", "mixed", "--blocks", "6", "--transactions", "40", "--accounts", "30", "--distribution", "zipf"];
    let output = ["--sources", text(folder.path()), "-o", text(&file)];
    let (code, _, err) = run(&[&["generate"][..], &plan, &output].concat());
    assert_eq!(code, 0, "{err}");
    let chain = Imported::new(&folder.path().join("chain.rlp"), &folder.path().join("genesis.json"));
    assert!(std::fs::read(&file).expect("a file") == std::fs::read(&chain.file).expect("a file"));
    let client = start(&program, &chain, 6);
    for range in ["0..6", "3..6"] {
        chain.check(&client.url, range, &[]);
        chain.check(&client.url, range, &["--verify-proofs"]);
    }
}

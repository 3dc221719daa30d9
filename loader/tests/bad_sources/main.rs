//! Sources that are cut off, changed, put together wrongly, or incomplete: an error that says where and why, never a
//! panic.
//!
//! The files are small and made here, so that every truncation and every changed byte can be tried.

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, U256, keccak256};
use manaflow_loader::Result;
use manaflow_loader::source::{Options, Source, recognise};
use serde_json::{Value, json};
use world::{World, list, write};

#[path = "../e2store_writer/mod.rs"]
mod e2store_writer;
mod era1;
mod ere;
mod several;
mod world;

#[test]
fn a_chain_is_read_with_and_without_block_0() {
    let world = World::new();
    let blocks = world.blocks(4);
    write(&world.path("with.rlp"), blocks.concat());
    write(&world.path("without.rlp"), blocks[1..].concat());
    let with = world.stream(&["with.rlp"]).expect("well-formed");
    assert_eq!(with.len(), 5);
    assert_eq!(
        with,
        world
            .stream(&["without.rlp"])
            .map(|mut blocks| {
                // Only the genesis file states a total difficulty.
                assert_eq!(blocks[0].total_difficulty.take(), Some(U256::from(0x11)));
                blocks
            })
            .expect("well-formed")
    );
    assert_eq!(with[4].transactions, [Bytes::from_static(&[0xc2, 1, 2]), Bytes::from_static(&[2, 0xc0])]);
}

#[test]
fn every_truncation_of_an_rlp_chain_is_found() {
    let world = World::new();
    let blocks = world.blocks(3);
    let whole = blocks[1..].concat();
    let borders: Vec<usize> = (1..=3).map(|n| blocks[1..=n].concat().len()).collect();
    for length in 0..whole.len() {
        write(&world.path("cut.rlp"), &whole[..length]);
        match borders.iter().position(|border| *border == length) {
            Some(n) => assert_eq!(world.stream(&["cut.rlp"]).expect("whole blocks").len(), n + 2),
            None => {
                let reason = world.refusal(&["cut.rlp"]);
                assert!(reason.contains("cut.rlp: byte "), "{length}: {reason}");
            }
        }
    }
    write(&world.path("cut.rlp"), &whole[..whole.len() - 1]);
    let reason = world.refusal(&["cut.rlp"]);
    let expected = format!("byte {} (block 3 of the file): the block has", borders[1]);
    assert!(reason.contains(&expected), "{reason}");
}

#[test]
fn every_changed_byte_of_an_rlp_chain_is_an_answer() {
    let world = World::new();
    let whole = world.blocks(2)[1..].concat();
    let mut refused = 0;
    for at in 0..whole.len() {
        for flip in [0x01, 0x40, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            write(&world.path("changed.rlp"), &bytes);
            if let Err(error) = world.stream(&["changed.rlp"]) {
                assert!(error.is_input() && error.to_string().contains("changed.rlp"), "{error}");
                refused += 1;
            }
        }
    }
    // Most of a header is hashes, of which any value is one.
    assert!(refused > 100, "{refused}");
}

#[test]
fn what_is_no_chain_is_refused() {
    let world = World::new();
    for (bytes, words) in [
        (&b""[..], "the file is empty"),
        (b"{}", "neither a list in RLP"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\x65\x32\x00", "neither a list in RLP"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff", "the block has 18446744073709551615 more bytes, the file has 0"),
        (b"\xfb\x40\x00\x00\x00\x00", "the file has 1"),
        (b"\xc0", "header: is missing"),
    ] {
        write(&world.path("bad.rlp"), bytes);
        let reason = world.refusal(&["bad.rlp"]);
        assert!(reason.contains(words), "{words}: {reason}");
    }
    let mut trailing = world.blocks(2)[1..].concat();
    trailing.push(0x05);
    write(&world.path("bad.rlp"), trailing);
    assert!(world.refusal(&["bad.rlp"]).contains("(block 3 of the file): got a string"));
    let error = world.recognise(&["absent.rlp"]).expect_err("not there");
    assert!(error.is_input() && error.to_string().contains("absent.rlp"), "{error}");
}

#[test]
fn another_genesis_is_refused() {
    let world = World::new();
    let foreign = Header { number: 1, parent_hash: B256::repeat_byte(7), ..Header::default() };
    for (number, words) in [
        (0, "block 0: got hash 0x"),
        (1, "block 1: got parent hash 0x0707"),
        (9, "block 9: got block 9 with parent hash 0x0707"),
    ] {
        let header = Header { number, ..foreign.clone() };
        write(&world.path("foreign.rlp"), list(&[&alloy_rlp::encode(&header), &[0xc0], &[0xc0]]));
        let reason = world.refusal(&["foreign.rlp"]);
        assert!(reason.contains(words), "{words}: {reason}");
        assert!(reason.contains(&world.genesis.hash.to_string()) && reason.contains("genesis.json"), "{reason}");
    }
}

/// A false number is for validation to find: in one file, positions count.
#[test]
fn false_numbers_and_links_pass_through() {
    let world = World::new();
    let mut headers = world.headers(3);
    headers[1].number = 77;
    headers[2].parent_hash = B256::ZERO;
    headers[3].number = 1;
    let blocks: Vec<_> =
        headers[1..].iter().map(|header| list(&[&alloy_rlp::encode(header), &[0xc0], &[0xc0]])).collect();
    write(&world.path("false.rlp"), blocks.concat());
    let blocks = world.stream(&["false.rlp"]).expect("read as it is");
    assert_eq!(blocks.iter().map(|b| b.number).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(blocks.iter().map(|b| b.header.number).collect::<Vec<_>>(), [0, 77, 2, 1]);
}

#[test]
fn one_chain_has_one_genesis_file() {
    let world = World::new();
    write(&world.path("x/chain.rlp"), world.blocks(1)[1..].concat());
    write(&world.path("y/chain.rlp"), world.blocks(1)[1..].concat());
    let none = recognise(&[world.path("x")], &Options::default()).expect_err("no genesis").to_string();
    assert!(none.contains("no genesis file was given"), "{none}");
    std::fs::copy(world.path("genesis.json"), world.path("x/genesis.json")).expect("copied");
    let beside = recognise(&[world.path("x")], &Options::default()).expect("beside it");
    assert_eq!(beside.rules, world.genesis.rules);
    std::fs::copy(world.path("genesis.json"), world.path("y/genesis.json")).expect("copied");
    let two = recognise(&[world.path("x"), world.path("y")], &Options::default()).expect_err("two chains").to_string();
    assert!(two.contains("y/genesis.json") && two.contains("import one chain at a time"), "{two}");
    let named = [world.path("x/chain.rlp"), world.path("genesis.json")];
    assert!(recognise(&named, &Options::default()).is_ok());
    let same = Options { genesis: Some(world.path("x/../genesis.json")), rules: None };
    assert!(recognise(&named, &same).is_ok());
    let absent = Options { genesis: Some(world.path("absent.json")), rules: None };
    assert!(recognise(&named, &absent).expect_err("no file").is_input());
}

fn block_json(header: &Header) -> Value {
    let mut json = serde_json::to_value(header).expect("serializes");
    json["hash"] = json!(header.hash_slow());
    json["transactions"] = json!([]);
    json["uncles"] = json!([]);
    json["totalDifficulty"] = json!(header.difficulty + U256::from(1000));
    json
}

/// A snapshot of block 3 in `s/`, with each of the optional files.
fn snapshot_files(world: &World) -> Vec<(&'static str, Value)> {
    let headers = world.headers(3);
    let code = Bytes::from_static(&[0x60]);
    vec![
        ("block.json", block_json(&headers[3])),
        (
            "pre_state.json",
            json!({
                "0x00000000000000000000000000000000000000aa": {"balance": "0x1", "nonce": 2, "storage": {"0x0": "0x0", "0x1f": "0x2"}},
                "0x00000000000000000000000000000000000000ab": {"balance": "0x0", "nonce": "0x0", "code_hash": keccak256(&code)},
            }),
        ),
        ("codes.jsonl", json!({"hash": keccak256(&code), "code": code})),
        ("block_hashes.json", json!({"1": headers[1].hash_slow(), "2": headers[2].hash_slow(), "3": B256::ZERO})),
        ("absent.json", json!(["0x00000000000000000000000000000000000000ac"])),
        ("balance_unknown.json", json!(["0x00000000000000000000000000000000000000ab"])),
        ("parent.json", serde_json::to_value(&headers[2]).expect("serializes")),
    ]
}

/// Writes the snapshot with one file changed, or left out if `change` says so.
fn load_changed(
    world: &World,
    file: &str,
    change: &dyn Fn(&mut Value) -> bool,
) -> Result<manaflow_loader::source::Snapshot> {
    let folder = world.path("s");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("removed");
    }
    for (name, mut json) in snapshot_files(world) {
        if name != file || change(&mut json) {
            write(&folder.join(name), json.to_string());
        }
    }
    let found = recognise(&[folder], &Options::default())?;
    let [Source::Snapshot(snapshot)] = found.sources.as_slice() else { panic!("expected one snapshot") };
    snapshot.load()
}

#[test]
fn a_snapshot_is_read_with_all_its_files() {
    let world = World::new();
    let snapshot = load_changed(&world, "", &|_| true).expect("well-formed");
    assert_eq!(snapshot.block.number, 3);
    assert_eq!(snapshot.start.total_difficulty, Some(U256::from(1000)));
    assert_eq!(snapshot.start.earlier.len(), 1);
    assert_eq!(snapshot.start.earlier[0].ommers, Some(Bytes::from_static(&[0xc0])));
    assert_eq!(snapshot.block_hashes.keys().copied().collect::<Vec<_>>(), [1, 2]);
    assert_eq!((snapshot.absent.len(), snapshot.balance_unknown.len(), snapshot.codes.len()), (1, 1, 1));
    let accounts: Vec<_> = snapshot.pre_state.values().collect();
    assert_eq!((accounts[0].nonce, accounts[0].storage.len()), (2, 2));
    assert_eq!(snapshot.codes.get(&accounts[1].code_hash).map(|c| c.len()), Some(1));
}

#[test]
fn an_incomplete_snapshot_says_what_is_missing() {
    let world = World::new();
    for (file, words) in [
        ("block.json", "pre_state.json: a state without block.json beside it"),
        ("pre_state.json", "block.json: a block without state: no pre_state.json beside it"),
        ("codes.jsonl", "there is no codes.jsonl beside the file or above it"),
    ] {
        let error = load_changed(&world, file, &|_| false).expect_err(words);
        assert!(error.is_input() && error.to_string().contains(words), "{words}: {error}");
    }
    for file in ["block_hashes.json", "absent.json", "balance_unknown.json", "parent.json"] {
        let snapshot = load_changed(&world, file, &|_| false).expect("not needed");
        assert_eq!(snapshot.start.earlier.is_empty(), file == "parent.json");
    }
}

#[test]
fn a_snapshot_that_contradicts_itself_is_refused() {
    let world = World::new();
    type Case<'a> = (&'a str, &'a dyn Fn(&mut Value), &'a str);
    let cases: [Case<'_>; 12] = [
        ("block.json", &|j| j["hash"] = json!(B256::ZERO), "header of block 3: the fields hash to"),
        ("block.json", &|j| j["totalDifficulty"] = json!("0x1"), "totalDifficulty: got 1, expected at least"),
        (
            "block.json",
            &|j| {
                j["number"] = json!("0x10000000000");
                j["hash"] = Value::Null;
            },
            "number: got 1099511627776",
        ),
        ("block.json", &|j| *j = json!([]), "block.json: line 1 column"),
        (
            "pre_state.json",
            &|j| j["0x00000000000000000000000000000000000000AA"] = json!({"balance": "0x1", "nonce": 0}),
            "twice",
        ),
        (
            "pre_state.json",
            &|j| j["0x00000000000000000000000000000000000000aa"]["storage"]["0x00"] = json!("0x1"),
            "twice",
        ),
        ("pre_state.json", &|j| j["0x01"] = json!({}), "pre_state.json: line 1 column"),
        (
            "pre_state.json",
            &|j| j["0x00000000000000000000000000000000000000aa"]["nonce"] = json!("0x10000000000000000"),
            "nonce",
        ),
        ("codes.jsonl", &|j| j["code"] = json!("0x61"), "codes.jsonl: line 1: the code hashes to"),
        ("block_hashes.json", &|j| j["2"] = json!(B256::ZERO), "block_hashes.json: 2: got 0x0000"),
        (
            "absent.json",
            &|j| j[0] = json!("0x00000000000000000000000000000000000000aa"),
            "is listed in pre_state.json too",
        ),
        ("balance_unknown.json", &|j| j[0] = json!("0x00000000000000000000000000000000000000ac"), "is not listed"),
    ];
    for (file, change, words) in cases {
        let keep = |json: &mut Value| {
            change(json);
            true
        };
        let error = load_changed(&world, file, &keep).expect_err(words);
        assert!(error.is_input() && error.to_string().contains(words), "{words}: {error}");
    }
    let parent = |json: &mut Value| {
        json["gasUsed"] = json!("0x1");
        true
    };
    let error = load_changed(&world, "parent.json", &parent).expect_err("another parent").to_string();
    assert!(error.contains("parent.json: header: got hash") && error.contains("the block's parentHash is"), "{error}");
}

#[test]
fn every_truncated_file_of_a_snapshot_is_named() {
    let world = World::new();
    load_changed(&world, "", &|_| true).expect("well-formed");
    for (name, json) in snapshot_files(&world) {
        let (text, path) = (json.to_string(), world.path("s").join(name));
        // An empty table of codes is one without codes.
        for length in usize::from(name == "codes.jsonl")..text.len() {
            write(&path, &text[..length]);
            let loaded = recognise(&[world.path("s")], &Options::default()).and_then(|found| match &found.sources[0] {
                Source::Snapshot(snapshot) => snapshot.load().map(drop),
                Source::Chain(_) | Source::Node(_) => panic!("no chain here"),
            });
            let error = loaded.expect_err("cut off").to_string();
            assert!(error.contains(name), "{name}: {error}");
        }
        write(&path, &text);
    }
}

#[test]
fn seven_earlier_headers_are_found_among_the_sources() {
    let world = World::new();
    let headers = world.headers(12);
    for header in &headers[1..] {
        // Block 9 comes without state: its header still serves.
        if header.number == 9 {
            write(&world.path("blocks/9.json"), block_json(header).to_string());
            continue;
        }
        let folder = world.path("blocks").join(header.number.to_string());
        write(&folder.join("block.json"), block_json(header).to_string());
        write(&folder.join("pre_state.json"), "{}");
    }
    let found = world.recognise(&["blocks"]).expect("well-formed");
    assert_eq!((found.sources.len(), found.left_out.len()), (11, 1));
    for (source, header) in found.sources.iter().zip(headers[1..].iter().filter(|h| h.number != 9)) {
        let Source::Snapshot(folder) = source else { panic!("expected a snapshot") };
        assert_eq!((folder.number, folder.hash), (header.number, header.hash_slow()));
        let earlier = folder.load().expect("well-formed").start.earlier;
        let hashes: Vec<_> = earlier.iter().map(|e| keccak256(&e.header)).collect();
        let number = usize::try_from(header.number).expect("small");
        let expected: Vec<_> = headers[1.max(number.saturating_sub(7))..number].iter().map(Header::hash_slow).collect();
        assert_eq!(hashes, expected, "block {number}");
    }
}

#[test]
fn a_folder_without_sources_is_refused() {
    let world = World::new();
    let error = world.recognise(&["."]).expect_err("nothing but a genesis file");
    assert!(error.is_input() && error.to_string().contains("nothing to import"), "{error}");
    assert!(recognise(&[], &Options::default()).expect_err("no path").to_string().contains("nothing to import"));
}

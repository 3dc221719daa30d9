//! Chains from genesis: every block's state root is in its header, and of two chains the final accounts are known.

use crate::support::*;
use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256, keccak256};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Folder, blocks after genesis, transactions, gas.
const CHAINS: [(&str, u64, u64, u64); 5] = [
    ("devp2p3000", 3000, 300, 21_750_098),
    ("execapis", 54, 249, 103_418_778),
    ("geth600", 600, 603, 121_816_101),
    ("hive1024", 1024, 11_264, 804_336_642),
    ("hive3000", 3000, 546, 30_660_792),
];

/// Imports a chain under a name of the test's own: tests run side by side.
fn imported(data: &Path, chain: &str, test: &str) -> PathBuf {
    let folder = data.join("chains").join(chain);
    let genesis = folder.join("genesis.json");
    import(&format!("{test}-{chain}"), &folder.join("chain.rlp"), &["--genesis", text(&genesis)]).0
}

/// What a valid chain from genesis reports: nothing unchecked, nothing required, every state root right.
fn assert_all_checked(r: &Json, blocks: u64) {
    assert_eq!((&r["verdict"], &r["conditional"]), (&json!("valid"), &json!(false)));
    assert_eq!(r["state_roots"], json!({"checked": blocks, "matched": blocks}));
    assert_eq!(
        r["unchecked"],
        json!({"receipts_roots": 0, "state_roots": 0, "parent_headers": 0, "ommer_lists": 0, "ommer_rules": 0,
               "total_difficulties": 0, "others": 0})
    );
    assert_eq!(r["requirements"], json!({"cells": 0, "assumed": 0, "hashes": 0, "proven": 0, "windows": 0}));
    assert_eq!((&r["blocks"]["first"], &r["blocks"]["last"]), (&json!(0), &json!(blocks - 1)));
    assert_eq!((&r["blocks"]["count"], &r["blocks"]["segments"]), (&json!(blocks), &json!(1)));
    assert_eq!(r["blocks"]["parent_hash"], json!(B256::ZERO));
    assert_eq!((&r["invalid_total"], &r["invalid"]), (&json!(0), &json!([])));
}

#[test]
fn every_state_root_of_five_chains_is_its_header_s_in_every_order() {
    let Some(data) = manaflow_datasets::data_for("chains: state roots") else { return };
    let mut matched = 0;
    for (chain, blocks, transactions, gas) in CHAINS {
        let file = imported(&data, chain, "roots");
        let report = validate_in_every_order(&file, &["--state-root", "every:1"]);
        assert_eq!(report.ran.code, 0, "{chain}: {}", report.ran.err);
        let r = report.json;
        assert_all_checked(&r, blocks + 1);
        assert_eq!((&r["transactions"], &r["gas"]), (&json!(transactions), &json!(gas)), "{chain}");
        assert_eq!(r["chain"]["name"], "custom");
        // Genesis is a block too, and no block of the chain file.
        matched += r["state_roots"]["matched"].as_u64().expect("a count") - 1;
        // The last root is the one that is reported, and the default asks for it alone.
        let at_end = validate(&file, &[]).json;
        assert_eq!(at_end["state_roots"], json!({"checked": 1, "matched": 1}), "{chain}");
        assert_eq!(at_end["unchecked"]["state_roots"], blocks);
        assert_eq!(at_end["final_state"], r["final_state"], "{chain}");
    }
    assert_eq!(matched, 7_678);
}

#[test]
fn final_accounts_are_those_of_another_client_s_dump() {
    let Some(data) = manaflow_datasets::data_for("chains: final accounts") else { return };
    for (chain, count) in [("geth600", 194), ("execapis", 114)] {
        let file = imported(&data, chain, "accounts");
        let moves = moves(&file);
        let last = last_values(&moves);
        let mut ours = Listed::of(&last);
        // The dump holds what exists, and no word that is zero; a contract that died takes its words along.
        ours.accounts.retain(|_, fields| fields.is_some());
        ours.words.retain(|(address, _), word| !word.is_zero() && ours.accounts.contains_key(address));
        let dump = read_json(data.join("chains").join(chain).join("headstate.json"));
        let mut theirs = Listed::default();
        for (address, account) in dump["accounts"].as_object().expect("accounts by address") {
            let address: Address = address.to_lowercase().parse().expect("an address");
            assert_eq!(parse::<B256>(&account["key"]), keccak256(address));
            let balance = account["balance"].as_str().expect("a decimal string").parse().expect("a balance");
            let fields = (account["nonce"].as_u64().expect("a nonce"), balance, parse(&account["codeHash"]));
            theirs.accounts.insert(address, Some(fields));
            for (slot, word) in account["storage"].as_object().into_iter().flatten() {
                let word = U256::from_str_radix(word.as_str().expect("hex"), 16).expect("a word");
                theirs.words.insert((address, U256::from_str_radix(&slot[2..], 16).expect("a slot")), word);
            }
        }
        assert_eq!(theirs.accounts.len(), count, "{chain}");
        assert!(theirs.words.len() > 10 && theirs.accounts.values().flatten().any(|(.., c)| *c != KECCAK256_EMPTY));
        assert_eq!(ours, theirs, "{chain}");

        let report = validate(&file, &[]).json;
        let (cells, digest) =
            digest(&moves, &[(0, report["blocks"]["last"].as_u64().expect("a number"))], &BTreeSet::new());
        let root = format!("0x{}", dump["root"].as_str().expect("a root"));
        assert_eq!(report["final_state"], json!({"cells": cells, "digest": digest, "state_root": root}), "{chain}");
    }
}

/// 8,192 blocks without transactions and with 1,410 ommers: rewards alone make the state.
#[test]
fn every_state_root_of_the_first_era1_file_is_its_header_s() {
    let Some(data) = manaflow_datasets::data_for("era1: state roots") else { return };
    let (file, counts, _) = import(
        "era1",
        &data.join("era1"),
        &["--genesis", text(&data.join("genesis/mainnet.json")), "--chain", "mainnet"],
    );
    assert_eq!((&counts["blocks"], &counts["transactions"]), (&json!(8192), &json!(0)));
    let report = validate_in_every_order(&file, &["--state-root", "every:1", "--chain", "mainnet"]);
    assert_eq!(report.ran.code, 0, "{}", report.ran.err);
    let r = report.json;
    assert_all_checked(&r, 8192);
    assert_eq!((&r["chain"]["name"], &r["chain"]["id"]), (&json!("mainnet"), &json!(1)));
    assert_eq!(r["chain"]["genesis"], "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3");
    let tip = r["blocks"]["tip_hash"].as_str().expect("a hash");
    assert!(tip.starts_with("0xa6860fef") && tip.ends_with("5fbed4"), "{tip}");
}

/// A chain file with one byte of a header's state root changed: the verdict comes from `validate` alone, and says
/// where.
fn tampered(data: &Path, chain: &str, root: B256, name: &str) -> PathBuf {
    let folder = data.join("chains").join(chain);
    let mut bytes = std::fs::read(folder.join("chain.rlp")).expect("the chain is there");
    let places: Vec<usize> =
        bytes.windows(32).enumerate().filter(|(_, window)| *window == root.as_slice()).map(|(i, _)| i).collect();
    assert_eq!(places.len(), 1, "the root is in one header alone");
    bytes[places[0]] ^= 1;
    let source = place(&format!("oracles-{name}.rlp"));
    std::fs::write(&source, bytes).expect("the changed chain is written");
    import(name, &source, &["--genesis", text(&folder.join("genesis.json"))]).0
}

#[test]
fn a_wrong_state_root_is_found_in_its_block_and_nowhere_else() {
    let Some(data) = manaflow_datasets::data_for("chains: wrong state root") else { return };
    let root: B256 = {
        let dump = read_json(data.join("chains/execapis/headstate.json"));
        dump["root"].as_str().expect("a root").parse().expect("32 bytes")
    };
    let file = tampered(&data, "execapis", root, "wrong-root");
    let report = validate_in_every_order(&file, &[]);
    assert_eq!(report.ran.code, 1);
    let r = report.json;
    assert_eq!((&r["verdict"], &r["invalid_total"]), (&json!("invalid"), &json!(1)));
    assert_eq!(r["state_roots"], json!({"checked": 1, "matched": 0}));
    let fault = &r["invalid"][0];
    assert_eq!(
        (&fault["block"], &fault["check"], &fault["reason"]),
        (&json!(54), &json!("hashes"), &json!("wrong-state-root"))
    );
    assert_eq!((&fault["transaction"], &fault["expected"]), (&Json::Null, &json!(root)));
    // Listed or not, it counts; other checks do not see it.
    let short = validate(&file, &["--limit", "0"]);
    assert_eq!(short.ran.code, 1);
    assert_eq!((&short.json["invalid_total"], &short.json["invalid"]), (&json!(1), &json!([])));
    let other = validate(&file, &["--checks", "signatures,execution,conflicts,blocks"]);
    assert_eq!((other.ran.code, &other.json["verdict"]), (0, &json!("partial")));
    // Without the last block nothing is wrong.
    let before = validate(&file, &["--blocks", "0..53"]);
    assert_eq!((before.ran.code, &before.json["verdict"]), (0, &json!("valid")));
}

#[test]
fn fail_fast_stops_early_and_a_limit_does_not() {
    let Some(data) = manaflow_datasets::data_for("chains: fail fast") else { return };
    let headers = imported(&data, "hive1024", "headers");
    let first = validate(&headers, &["--blocks", "0..1", "--checks", "hashes"]).json;
    let root: B256 = parse(&first["final_state"]["state_root"]);
    let file = tampered(&data, "hive1024", root, "fail-fast");
    // Block 2 names the hash of block 1 as it was: a second fault.
    let all = validate(&file, &["--state-root", "every:1"]);
    assert_eq!(all.ran.code, 1);
    assert_eq!((&all.json["invalid_total"], &all.json["transactions"]), (&json!(2), &json!(11_264)));
    let reasons: Vec<_> =
        all.json["invalid"].as_array().expect("a list").iter().map(|f| (&f["block"], &f["reason"])).collect();
    assert_eq!(reasons, [(&json!(1), &json!("wrong-state-root")), (&json!(2), &json!("wrong-parent-hash"))]);
    let limited = validate(&file, &["--state-root", "every:1", "--limit", "1"]);
    assert_eq!(limited.json["invalid_total"], 2);
    assert_eq!(limited.json["invalid"].as_array().expect("a list").len(), 1);
    let fast = validate(&file, &["--fail-fast"]);
    assert_eq!((fast.ran.code, &fast.json["verdict"]), (1, &json!("invalid")));
    assert_eq!(fast.json["run"]["stopped_early"], true);
    assert!(fast.json["transactions"].as_u64().expect("a count") < 11_264);
}

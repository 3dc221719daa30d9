//! go-ethereum's prestate tracers, on the cases that its own tests run: one transaction each, in a block that is made up
//! from the case's context, on the state that its genesis allocates.

use crate::listing::{Asked, Compared, Listing, accounts, compare, difference, number, prestate, read, words};
use crate::support::{parse, read_json};
use crate::world::{Moves, StateBefore, block_of_one, by_cell};
use alloy_consensus::{Header, Transaction};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use manaflow_engine::solo::transaction::decode;
use manaflow_loader::rules::{ChainRules, Fork};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A decimal or 0x number in a string, or a JSON number.
fn lenient(json: &Json) -> U256 {
    match json.as_str().map(|s| s.strip_prefix("0x").is_some()) {
        Some(false) => json.as_str().and_then(|s| s.parse().ok()).unwrap_or_else(|| panic!("{json} is no number")),
        _ => number(json),
    }
}

fn cases(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// Rule 9: words of accounts that had no code before are those of accounts made here; the tool says that they were 0.
fn without_made(moves: &Moves, mut theirs: Listing) -> Listing {
    for (address, prev, _) in accounts(moves).filter(|(_, prev, _)| prev.code_hash == KECCAK256_EMPTY) {
        let ours: BTreeSet<U256> = words(moves, address).map(|(slot, ..)| slot).collect();
        if let Some(fields) = theirs.get_mut(&address) {
            fields.words.retain(|slot, word| {
                assert!(ours.contains(slot) || word.is_zero(), "{address}, {prev:?}: {slot}");
                ours.contains(slot)
            });
        }
    }
    theirs
}

/// Rule 10: whom the recipient delegates to, if the delegation is this transaction's own.
fn own_delegation(case: &Json, moves: &Moves) -> Option<Address> {
    let tx = decode(&parse::<Bytes>(&case["input"])).expect("it decodes");
    let recipient = accounts(moves).find(|(address, ..)| Some(*address) == tx.to())?;
    let mut targets = tx.authorization_list()?.iter().map(|tuple| tuple.address);
    targets.find(|target| {
        let code = [&[0xef, 0x01, 0x00], target.as_slice()].concat();
        recipient.2.code_hash == keccak256(&code) && recipient.1.code_hash != keccak256(code)
    })
}

/// The moves of a case's transaction.
fn record(case: &Json, name: &str) -> Moves {
    let (genesis, context) = (&case["genesis"], &case["context"]);
    // How blocks are sealed is nothing to a transaction.
    let mut config = genesis["config"].clone();
    for seal in ["isDev", "clique"] {
        config.as_object_mut().expect("an object").remove(seal);
    }
    let config = serde_json::from_value(config).expect("a chain's configuration");
    let rules = ChainRules::from_config(&config).unwrap_or_else(|e| panic!("{name}: {e}"));
    let number = lenient(&context["number"]).to::<u64>();
    let difficulty = lenient(&context["difficulty"]);
    let timestamp = lenient(&context["timestamp"]).to::<u64>();
    let fork = rules.fork_at(number, timestamp, difficulty.is_zero());
    let header = Header {
        number,
        difficulty,
        timestamp,
        gas_limit: lenient(&context["gasLimit"]).to(),
        beneficiary: parse(&context["miner"]),
        base_fee_per_gas: context.get("baseFeePerGas").map(|fee| lenient(fee).to()),
        withdrawals_root: (fork >= Fork::Shanghai).then_some(B256::ZERO),
        blob_gas_used: (fork >= Fork::Cancun).then_some(0),
        // Nothing in excess: what the tool's own test takes.
        excess_blob_gas: (fork >= Fork::Cancun).then_some(0),
        parent_beacon_block_root: (fork >= Fork::Cancun).then_some(B256::ZERO),
        requests_hash: (fork >= Fork::Prague).then_some(B256::ZERO),
        ..Header::default()
    };
    let mut state = StateBefore::new(number);
    for (address, account) in genesis["alloc"].as_object().expect("accounts by address") {
        let address = address.parse().expect("an address");
        let code: Bytes = account.get("code").map(parse).unwrap_or_default();
        let nonce = account.get("nonce").map_or(0, |nonce| lenient(nonce).to());
        state.account(address, nonce, lenient(&account["balance"]), code);
        for (slot, word) in account["storage"].as_object().into_iter().flatten() {
            state.word(address, crate::listing::word(slot), crate::listing::word(word.as_str().expect("a word")));
        }
    }
    let record = state.recorder(&rules).block(block_of_one(&header, parse(&case["input"])), name);
    assert!(record.transactions[1].outcome.is_some(), "{name}: it is included");
    by_cell(&record.transactions[1])
}

fn asked(case: &Json) -> Asked {
    let flag = |name: &str| case["tracerConfig"][name] == true;
    Asked { include_empty: flag("includeEmpty"), disable_storage: flag("disableStorage") }
}

#[test]
fn prestates_and_differences_are_those_of_go_ethereum() {
    let Some(data) = manaflow_datasets::data_for("traces: go-ethereum") else { return };
    let mut counted = Vec::new();
    for folder in ["prestate_tracer", "prestate_tracer_with_diff_mode", "prestate_tracer_legacy"] {
        let mut all = Compared::default();
        for path in cases(&data.join("traces/geth").join(folder)) {
            let name = format!("{folder}/{}", path.file_stem().expect("a name").to_string_lossy());
            let case = read_json(&path);
            let (moves, asked) = (record(&case, &name), asked(&case));
            all.transactions += 1;
            if case["tracerConfig"]["diffMode"] == true {
                let (pre, post) = difference(&moves, asked);
                let theirs = without_made(&moves, read(&case["result"]["pre"]));
                all += compare(&format!("{name}: pre"), &pre, &theirs);
                all += compare(&format!("{name}: post"), &post, &read(&case["result"]["post"]));
                continue;
            }
            let mut ours = prestate(&moves, asked);
            if let Some(target) = own_delegation(&case, &moves) {
                assert!(ours.remove(&target).is_some());
            }
            if folder.ends_with("legacy") {
                // Rule 11.
                ours.remove(&parse::<Address>(&case["context"]["miner"]));
                for (address, prev, _) in accounts(&moves) {
                    if let Some(fields) = ours.get_mut(&address) {
                        fields.nonce = Some(prev.nonce);
                        fields.code_hash = Some(prev.code_hash);
                        assert!(prev.present || prev.code_hash == KECCAK256_EMPTY);
                    }
                }
            }
            all += compare(&name, &ours, &without_made(&moves, read(&case["result"])));
        }
        counted.push(all.counts());
    }
    assert_eq!(counted, [[11, 36, 72, 22], [13, 86, 146, 84], [1, 3, 9, 4]]);
}

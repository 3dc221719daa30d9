//! Mainnet block 46147, the first with a transaction, as Nimbus traced it: every value of its state differences, and
//! the state root in its receipt.

use crate::support::*;
use alloy_primitives::{Address, B256, Bloom, Bytes, U256, hex, keccak256};
use manaflow_engine::state_root::StateTrie;
use manaflow_loader::model::{Cell, Location, Mode, Move, Value};
use serde_json::Value as Json;
use std::collections::BTreeMap;

const BLOCK: u64 = 46_147;

/// Our values of the cells that a list of Nimbus' accounts names.
fn assert_equal(moves: &BTreeMap<Cell, Move>, side: fn(&Move) -> Value, theirs: &Json, place: &str) -> usize {
    let accounts = theirs.as_array().expect("a list of accounts");
    let mut seen = 0;
    for account in accounts {
        let address: Address = parse(&account["address"]);
        let m = moves.get(&Cell::account(address)).unwrap_or_else(|| panic!("{place}: {address} has no move"));
        let Value::Account(ours) = side(m) else { panic!("{place}: {address} is no account") };
        assert_eq!(U256::from(ours.nonce), quantity(&account["nonce"]), "{place}: {address}");
        assert_eq!(ours.balance, quantity(&account["balance"]), "{place}: {address}");
        assert_eq!(ours.code_hash, parse::<B256>(&account["codeHash"]), "{place}: {address}");
        assert_eq!(account["code"], "0x", "{place}: {address}");
        assert_eq!(ours.code_hash, keccak256([]), "{place}: {address}");
        seen += 1;
        for (slot, word) in account["storage"].as_object().expect("words by slot") {
            let slot = U256::from_str_radix(slot.trim_start_matches("0x"), 16).expect("a slot");
            let cell = Cell::storage(address, ours.generation, slot);
            assert_eq!(moves.get(&cell).map(side), Some(Value::Word(quantity(word))), "{place}: {cell}");
            seen += 1;
        }
    }
    seen
}

#[test]
fn moves_are_the_state_differences_that_nimbus_traced_and_give_its_roots() {
    let Some(data) = manaflow_datasets::data_for("nimbus: block 46147") else { return };
    let folder = data.join("mainnet/blocks").join(BLOCK.to_string());
    let (file, ..) = import("nimbus-46147", &folder, &[]);
    let trace = read_json(data.join("traces/nimbus_tracer/block46147.json"));
    let block = read_json(folder.join("block.json"));
    let all = moves(&file);
    let at = |index| -> BTreeMap<Cell, Move> {
        let here = Location::new(BLOCK, index);
        all.iter().filter(|(location, _)| Some(*location) == here).map(|(_, m)| (m.cell, *m)).collect()
    };

    let traces = trace["txTraces"].as_array().expect("a list");
    assert_eq!(traces.len(), 1);
    let (ours, difference) = (at(1), &traces[0]["stateDiff"]);
    // Sender, recipient and miner: all that Nimbus names, and nothing that it does not.
    assert_eq!(assert_equal(&ours, |m| m.prev, &difference["before"], "before"), ours.len());
    assert_eq!(assert_equal(&ours, |m| m.next, &difference["after"], "after"), ours.len());
    assert_eq!(ours.len(), 3);
    assert!(ours.values().all(|m| m.mode == Mode::Write));

    // Over the whole block, reward included: the first value of each cell, and the last.
    let mut whole: BTreeMap<Cell, Move> = BTreeMap::new();
    for (_, m) in &all {
        whole.entry(m.cell).and_modify(|first| first.next = m.next).or_insert(*m);
    }
    assert_eq!(assert_equal(&whole, |m| m.prev, &trace["stateDump"]["before"], "before the block"), 3);
    assert_eq!(assert_equal(&whole, |m| m.next, &trace["stateDump"]["after"], "after the block"), 3);

    // The trie nodes that Nimbus read, from the root before: our writes lead to the root in its receipt, then to the
    // header's. Keys of other lengths are headers and numbers of its database.
    let nodes: Vec<(B256, Bytes)> = (trace["state"].as_object().expect("bytes by key").iter())
        .filter(|(key, _)| key.len() == 64)
        .map(|(key, bytes)| {
            let bytes = hex::decode(bytes.as_str().expect("hex")).expect("hex");
            (key.parse().expect("a hash"), bytes.into())
        })
        .collect();
    assert!(nodes.iter().all(|(hash, bytes)| keccak256(bytes) == *hash));
    let root = |json: &Json| -> B256 { json.as_str().expect("a root").parse().expect("32 bytes") };
    let before = root(&difference["beforeRoot"]);
    let mut trie = StateTrie::from_nodes(before, nodes.into_iter().map(|(_, bytes)| bytes)).expect("the root is there");
    let mut write = |index| {
        for m in at(index).values().filter(|m| m.mode == Mode::Write) {
            trie.apply(m).expect("the path is there");
        }
        trie.root().expect("the paths are there")
    };
    let after = root(&difference["afterRoot"]);
    assert_eq!(write(1), after);
    assert_eq!(after, root(&trace["receipts"][0]["root"]));
    assert_eq!(write(2), parse::<B256>(&block["stateRoot"]));

    // And with that root the receipt is the header's: [root, gas, bloom, []], alone in its trie under the key rlp(0).
    let mut receipt = vec![0xa0];
    receipt.extend(after);
    receipt.extend([0x82, 0x52, 0x08, 0xb9, 0x01, 0x00]);
    receipt.extend(Bloom::ZERO);
    receipt.push(0xc0);
    let receipt = listed(&receipt);
    let leaf = listed(&[&[0x82, 0x20, 0x80, 0xb9], &(receipt.len() as u16).to_be_bytes()[..], &receipt].concat());
    assert_eq!(keccak256(leaf), parse::<B256>(&block["receiptsRoot"]));
    assert_eq!(trace["receipts"][0]["cumulativeGasUsed"], 0x5208);
}

/// An RLP list of 256 to 65,535 bytes.
fn listed(payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("it is short");
    [&[0xf9], &length.to_be_bytes()[..], payload].concat()
}

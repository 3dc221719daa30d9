//! Polygon Zero's trace of mainnet block 19807080: the state before from its compact witness, imported by the program
//! as a snapshot; then what each transaction reads and leaves, and the block's state root.

use crate::compact::Witness;
use crate::listing::{Compared, accounts, number, word, words};
use crate::support::{import, parse, place, read_json, validate};
use crate::world::{Moves, by_cell};
use alloy_eips::eip4788::BEACON_ROOTS_ADDRESS;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use manaflow_engine::state_root::StateTrie;
use manaflow_loader::file::BlockFile;
use manaflow_loader::model::Mode;
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Length of the ring of beacon roots (EIP-4788).
const HISTORY_BUFFER_LENGTH: u64 = 8191;

/// What is said of an account in a transaction.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Said {
    balance: Option<U256>,
    nonce: Option<u64>,
    read: BTreeSet<U256>,
    written: BTreeMap<U256, U256>,
    code: Option<B256>,
}

fn read(traces: &Json) -> BTreeMap<Address, Said> {
    let mut all = BTreeMap::new();
    for (address, fields) in traces.as_object().expect("accounts by address") {
        let mut said = Said::default();
        for (key, value) in fields.as_object().expect("fields") {
            let slots = || value.as_array().into_iter().flatten().map(|slot| word(slot.as_str().expect("a slot")));
            match key.as_str() {
                "balance" => said.balance = Some(number(value)),
                "nonce" => said.nonce = Some(number(value).to()),
                "storage_read" => said.read = slots().collect(),
                "storage_written" => {
                    let words = value.as_object().expect("words by slot").iter();
                    said.written = words.map(|(slot, value)| (word(slot), number(value))).collect();
                }
                "code_usage" => said.code = Some(parse(&value["read"])),
                other => panic!("{other} is a field that nobody knows"),
            }
        }
        all.insert(address.parse().expect("an address"), said);
    }
    all
}

/// Rule 15. Whether a word that is back at the end was stored to is not in the moves: there `theirs` decides, and the
/// value is compared all the same.
fn render(moves: &Moves, theirs: &BTreeMap<Address, Said>) -> BTreeMap<Address, Said> {
    let mut all = BTreeMap::new();
    for (address, prev, next) in accounts(moves) {
        let mut said = Said {
            balance: (prev.balance != next.balance).then_some(next.balance),
            nonce: (prev.nonce != next.nonce).then_some(next.nonce),
            code: (prev.code_hash != KECCAK256_EMPTY).then_some(prev.code_hash),
            ..Said::default()
        };
        for (slot, prev, next) in words(moves, address) {
            said.read.insert(slot);
            let was_stored = || theirs.get(&address).is_some_and(|said| said.written.contains_key(&slot));
            if prev != next || was_stored() {
                said.written.insert(slot, next);
            }
        }
        all.insert(address, said);
    }
    all
}

/// Writes the block and the state before it in the form that `import` reads.
fn snapshot(folder: &Path, block: &Json, trace: &Json, witness: &Witness, trie: &mut StateTrie) {
    let mut named: BTreeMap<Address, BTreeSet<U256>> = BTreeMap::new();
    for transaction in trace["block_trace"]["txn_info"].as_array().expect("transactions") {
        for (address, said) in read(&transaction["traces"]) {
            named.entry(address).or_default().extend(said.read.iter().chain(said.written.keys()));
        }
    }
    // System transactions touch these.
    for withdrawal in block["withdrawals"].as_array().expect("withdrawals") {
        named.entry(parse(&withdrawal["address"])).or_default();
    }
    let time = number(&block["timestamp"]);
    let ring = U256::from(HISTORY_BUFFER_LENGTH);
    named.entry(BEACON_ROOTS_ADDRESS).or_default().extend([time % ring, time % ring + ring]);
    let (mut present, mut absent) = (Map::new(), Vec::new());
    for (address, slots) in named {
        let Some((nonce, balance, code_hash)) = trie.account(address).expect("the path is there") else {
            absent.push(json!(address));
            continue;
        };
        let mut word = |slot: &U256| trie.storage(address, *slot).unwrap_or_else(|e| panic!("{address} {slot}: {e}"));
        let storage: Map<String, Json> = slots.iter().map(|slot| (format!("{slot:#x}"), json!(word(slot)))).collect();
        let account = json!({"nonce": nonce, "balance": balance, "code_hash": code_hash, "storage": storage});
        present.insert(format!("{address:#x}"), account);
    }
    let height = number(&block["number"]).to::<u64>();
    let hashes = trace["other_data"]["b_data"]["b_hashes"]["prev_hashes"].as_array().expect("hashes");
    // The last one is that of the parent.
    let hashes: Map<String, Json> =
        hashes.iter().rev().zip(1..).map(|(hash, n)| ((height - n).to_string(), hash.clone())).collect();
    let codes: Vec<String> =
        witness.codes.iter().map(|code| json!({"hash": keccak256(code), "code": code}).to_string()).collect();
    std::fs::create_dir_all(folder).expect("a folder");
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).expect("written");
    write("block.json", block.to_string());
    write("pre_state.json", Json::Object(present).to_string());
    write("absent.json", Json::Array(absent).to_string());
    write("block_hashes.json", Json::Object(hashes).to_string());
    write("codes.jsonl", codes.join("\n"));
}

#[test]
fn moves_are_what_polygon_zero_traced_and_give_the_blocks_state_root() {
    let Some(data) = manaflow_datasets::data_for("traces: Polygon Zero") else { return };
    let folder = data.join("traces/polygon_zero");
    let trace = &read_json(folder.join("b19807080_main.json"))[0];
    let block = &read_json(folder.join("b19807080_main_header.json"))[0];
    let witness = Witness::read(&parse::<Bytes>(&trace["block_trace"]["trie_pre_images"]["combined"]["compact"]));
    let nodes = || witness.nodes.iter().cloned();
    let mut trie = StateTrie::from_nodes(witness.root, nodes()).expect("the root's node is there");
    let source = place("traces-polygon");
    snapshot(&source, block, trace, &witness, &mut trie);
    let (file, counts, _) = import("polygon", &source, &[]);
    assert_eq!(counts["transactions"], 9);
    // Gas, bloom and receipts root are the header's.
    let report = validate(&file, &[]);
    assert_eq!(report.ran.code, 0, "{}", report.ran.out);

    let record = BlockFile::open(file).and_then(|file| file.record(0)).expect("it is well-formed");
    let infos = trace["block_trace"]["txn_info"].as_array().expect("transactions");
    let signed = &record.transactions[1..record.transactions.len() - 1];
    assert_eq!(signed.len(), infos.len());
    let mut all = Compared::default();
    for (i, (row, info)) in signed.iter().zip(infos).enumerate() {
        assert_eq!(row.bytes, parse::<Bytes>(&info["meta"]["byte_code"]), "transaction {i}");
        let outcome = row.outcome.as_ref().expect("it is included");
        assert_eq!(info["meta"]["gas_used"], outcome.gas_used, "transaction {i}");
        let theirs = read(&info["traces"]);
        let ours = render(&by_cell(row), &theirs);
        for address in ours.keys().chain(theirs.keys()) {
            let (ours, theirs) = (ours.get(address), theirs.get(address));
            assert!(ours == theirs, "transaction {i}: {address}\n  ours   {ours:?}\n  theirs {theirs:?}");
        }
        all.transactions += 1;
        all.accounts += theirs.len();
        for said in theirs.values() {
            all.fields += [said.balance.is_some(), said.nonce.is_some(), said.code.is_some()]
                .map(usize::from)
                .iter()
                .sum::<usize>();
            all.words += said.read.len() + said.written.len();
        }
    }
    for row in &record.transactions {
        for m in row.moves.iter().filter(|m| m.mode == Mode::Write) {
            trie.apply(m).unwrap_or_else(|e| panic!("{}: {e}", m.cell));
        }
    }
    assert_eq!(trie.root(), Ok(parse::<B256>(&block["stateRoot"])));
    assert_eq!(all.counts(), [9, 53, 70, 222]);
}

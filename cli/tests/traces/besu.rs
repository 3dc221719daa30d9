//! Besu's tracers on two chains of its own tests: `prestateTracer` in go-ethereum's form over a chain that the program
//! imports, and `stateDiff` in Parity's form over blocks that are described by their transactions and put together here.

use crate::listing::{Asked, Compared, accounts, compare, difference, number, prestate, read, word, words};
use crate::support::{import, parse, read_json};
use crate::world::{Moves, StateBefore, block_rlp, by_cell};
use alloy_consensus::{Header, TxLegacy};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex, keccak256};
use manaflow_datasets::sign;
use manaflow_loader::file::BlockFile;
use manaflow_loader::rules::ChainRules;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn cases(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// Hash and moves of a transaction.
type Traced = (B256, Moves);

#[test]
fn prestates_and_differences_are_those_of_besu() {
    let Some(data) = manaflow_datasets::data_for("traces: Besu, prestateTracer") else { return };
    let chain = data.join("traces/besu_geth/chain-data");
    let genesis = chain.join("genesis.json");
    let (file, counts, _) =
        import("besu-geth", &chain.join("blocks.bin"), &["--genesis", genesis.to_str().expect("UTF-8")]);
    assert_eq!((counts["blocks"].as_u64(), counts["transactions"].as_u64()), (Some(35), Some(56)));
    let file = BlockFile::open(file).expect("it opens");
    let blocks: Vec<Vec<Traced>> = (0..file.block_count())
        .map(|block| {
            let record = file.record(block).expect("it is well-formed");
            let signed = &record.transactions[1..record.transactions.len() - 1];
            signed.iter().map(|tx| (keccak256(&tx.bytes), by_cell(tx))).collect()
        })
        .collect();
    let mut counted = Vec::new();
    for mode in ["diff-mode-false", "diff-mode-true"] {
        let mut all = Compared::default();
        let mut refused = 0;
        for path in cases(&data.join("traces/besu_geth/prestate-tracer").join(mode)) {
            let case = read_json(&path);
            let block = number(&case["request"]["params"][0]).to::<usize>();
            let Some(traces) = case["response"]["result"].as_array() else {
                // A fact about the tool: block 0 has no transaction that it could run.
                assert_eq!((block, &case["response"]["error"]["message"]), (0, &"genesis is not traceable".into()));
                refused += 1;
                continue;
            };
            assert_eq!(traces.len(), blocks[block].len(), "block {block}");
            for (i, (trace, (hash, moves))) in traces.iter().zip(&blocks[block]).enumerate() {
                assert_eq!(parse::<B256>(&trace["txHash"]), *hash, "block {block}, {i}");
                let place = format!("{mode}, block {block}, transaction {i}");
                all.transactions += 1;
                if mode == "diff-mode-false" {
                    all += compare(&place, &prestate(moves, Asked::default()), &read(&trace["result"]));
                } else {
                    let (pre, post) = difference(moves, Asked::default());
                    all += compare(&format!("{place}: pre"), &pre, &read(&trace["result"]["pre"]));
                    all += compare(&format!("{place}: post"), &post, &read(&trace["result"]["post"]));
                }
            }
        }
        assert_eq!(refused, 1);
        counted.push(all.counts());
    }
    assert_eq!(counted, [[56, 176, 299, 30], [56, 277, 401, 44]]);
}

/// What becomes of a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Change<T> {
    Same,
    Born(T),
    Died(T),
    Changed(T, T),
}

impl<T: PartialEq> Change<T> {
    fn of(prev: (bool, T), next: (bool, T)) -> Self {
        match (prev.0, next.0) {
            (false, true) => Self::Born(next.1),
            (true, false) => Self::Died(prev.1),
            _ if prev.1 == next.1 => Self::Same,
            _ => Self::Changed(prev.1, next.1),
        }
    }

    fn read(json: &Json, value: fn(&Json) -> T) -> Self {
        if json == "=" {
            return Self::Same;
        }
        let (key, change) = json.as_object().and_then(|o| o.iter().next()).unwrap_or_else(|| panic!("{json}"));
        match key.as_str() {
            "+" => Self::Born(value(change)),
            "-" => Self::Died(value(change)),
            "*" => Self::Changed(value(&change["from"]), value(&change["to"])),
            other => panic!("{other} is no change"),
        }
    }
}

/// An account in Parity's form.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Changes {
    balance: Change<U256>,
    nonce: Change<u64>,
    code: Change<B256>,
    words: BTreeMap<U256, Change<U256>>,
}

fn read_changes(json: &Json) -> BTreeMap<Address, Changes> {
    let quantity_or_word = |json: &Json| word(json.as_str().expect("hex"));
    let changes = |fields: &Json| Changes {
        balance: Change::read(&fields["balance"], number),
        nonce: Change::read(&fields["nonce"], |n| number(n).to()),
        code: Change::read(&fields["code"], |code| keccak256(parse::<Bytes>(code))),
        words: (fields["storage"].as_object().expect("words by slot").iter())
            .map(|(slot, change)| (word(slot), Change::read(change, quantity_or_word)))
            .collect(),
    };
    let accounts = json.as_object().expect("accounts by address").iter();
    accounts.map(|(address, fields)| (address.parse().expect("an address"), changes(fields))).collect()
}

/// Rules 12 and 13.
fn changes(moves: &Moves) -> BTreeMap<Address, Changes> {
    let mut all = BTreeMap::new();
    for (address, prev, next) in accounts(moves) {
        let exists = (prev.present, next.present);
        let is_created = exists == (false, true);
        let words: BTreeMap<U256, Change<U256>> = words(moves, address)
            .filter(|(_, prev, next)| prev != next)
            .map(|(slot, prev, next)| (slot, if is_created { Change::Born(next) } else { Change::Changed(prev, next) }))
            .collect();
        if prev != next || !words.is_empty() {
            let changes = Changes {
                balance: Change::of((exists.0, prev.balance), (exists.1, next.balance)),
                nonce: Change::of((exists.0, prev.nonce), (exists.1, next.nonce)),
                code: Change::of((exists.0, prev.code_hash), (exists.1, next.code_hash)),
                words,
            };
            all.insert(address, changes);
        }
    }
    all
}

const CHAIN_ID: u64 = 1982;

/// The chain of Besu's own test: blocks described by their transactions, signed with the keys that stand there.
fn parity_chain(folder: &Path) -> Vec<Vec<Traced>> {
    let genesis = read_json(folder.join("genesis.json"));
    // The tool runs the whole chain under the last of the forks that the configuration names, Istanbul.
    assert_eq!(genesis["config"]["istanbulBlock"], 0);
    let zero = Some(0);
    let rules = ChainRules {
        chain_id: CHAIN_ID,
        homestead: zero,
        tangerine_whistle: zero,
        spurious_dragon: zero,
        byzantium: zero,
        constantinople: zero,
        petersburg: zero,
        istanbul: zero,
        ..ChainRules::default()
    };
    let mut state = StateBefore::new(1);
    for (address, account) in genesis["alloc"].as_object().expect("accounts by address") {
        assert!(account.get("nonce").is_none() && account.get("storage").is_none());
        let code = account.get("code").map(parse).unwrap_or_default();
        state.account(address.parse().expect("an address"), 0, number(&account["balance"]), code);
    }
    let mut recorder = state.recorder(&rules);
    let mut nonces: BTreeMap<Address, u64> = BTreeMap::new();
    let mut blocks = vec![Vec::new()];
    let description = read_json(folder.join("blocks.json"));
    for (i, block) in description["blocks"].as_array().expect("blocks").iter().enumerate() {
        let height = i as u64 + 1;
        if let Some(stated) = block.get("number") {
            assert_eq!(number(stated).to::<u64>(), height);
        }
        let transactions = block["transactions"].as_array().expect("transactions");
        let signed: Vec<Bytes> = transactions.iter().map(|described| sign(described, &mut nonces)).collect();
        let header = Header {
            number: height,
            difficulty: number(&genesis["difficulty"]),
            gas_limit: number(&genesis["gasLimit"]).to(),
            // The fee recipient of its differences is this one.
            beneficiary: Address::ZERO,
            ..Header::default()
        };
        let rlp = block_rlp(&alloy_rlp::encode(&header), &signed, &[alloy_rlp::EMPTY_LIST_CODE], None);
        let record = recorder.block(rlp, &format!("block {height}"));
        let rows = &record.transactions[1..record.transactions.len() - 1];
        assert!(rows.iter().all(|tx| tx.outcome.is_some()), "block {height}");
        blocks.push(rows.iter().map(|tx| (keccak256(&tx.bytes), by_cell(tx))).collect());
    }
    blocks
}

fn sign(described: &Json, nonces: &mut BTreeMap<Address, u64>) -> Bytes {
    let bytes = |key: &str| -> Bytes {
        let text = described.get(key).and_then(Json::as_str).unwrap_or_default();
        hex::decode(text).unwrap_or_else(|e| panic!("{key}: {e}")).into()
    };
    let secret = B256::from_slice(&bytes("secretKey"));
    let nonce = nonces.entry(sign::address(secret)).or_default();
    let tx = TxLegacy {
        // The hashes of the traces are those of signatures that name no chain.
        chain_id: None,
        nonce: *nonce,
        gas_price: number(&described["gasPrice"]).to(),
        gas_limit: number(&described["gasLimit"]).to(),
        to: described.get("to").map_or(TxKind::Create, |to| TxKind::Call(parse(to))),
        value: described.get("value").map_or(U256::ZERO, number),
        input: bytes("data"),
    };
    *nonce += 1;
    sign::transaction(secret, tx)
}

#[test]
fn state_differences_are_those_of_besu_in_paritys_form() {
    let Some(data) = manaflow_datasets::data_for("traces: Besu, stateDiff") else { return };
    let folder = data.join("traces/besu_parity");
    let blocks = parity_chain(&folder.join("chain-data"));
    let mut counted = Vec::new();
    for kind in ["statediff", "all"] {
        let mut all = Compared::default();
        for path in cases(&folder.join(kind)) {
            let case = read_json(&path);
            // One file asks twice at once.
            let pairs: Vec<(&Json, &Json)> = match (case["request"].as_array(), case["response"].as_array()) {
                (Some(requests), Some(responses)) => requests.iter().zip(responses).collect(),
                _ => vec![(&case["request"], &case["response"])],
            };
            for (request, response) in pairs {
                let block = number(&request["params"][0]).to::<usize>();
                let traces = response["result"].as_array().expect("traces");
                assert_eq!(traces.len(), blocks[block].len(), "block {block}");
                for (i, (trace, (hash, moves))) in traces.iter().zip(&blocks[block]).enumerate() {
                    let place = format!("{kind}, block {block}, transaction {i}");
                    assert_eq!(parse::<B256>(&trace["transactionHash"]), *hash, "{place}");
                    let (ours, theirs) = (changes(moves), read_changes(&trace["stateDiff"]));
                    for address in ours.keys().chain(theirs.keys()) {
                        let (ours, theirs) = (ours.get(address), theirs.get(address));
                        assert!(ours == theirs, "{place}: {address}\n  ours   {ours:?}\n  theirs {theirs:?}");
                    }
                    all.transactions += 1;
                    all.accounts += theirs.len();
                    all.fields += 3 * theirs.len();
                    all.words += theirs.values().map(|changes| changes.words.len()).sum::<usize>();
                }
            }
        }
        counted.push(all.counts());
    }
    assert_eq!(counted, [[52, 138, 414, 35], [51, 134, 402, 35]]);
}

//! Nimbus' tracer on eight blocks of mainnet's first months. A trace holds what its run took from the database: both
//! headers, ommers, and the nodes of the tries of transactions and of the state. So the block is put together from that,
//! and the state before it is read from the trie.

use crate::listing::{Compared, Fields, Listing, accounts, compare, number, word, words};
use crate::support::{parse, read_json};
use crate::world::{Moves, StateBefore, block_rlp, by_cell};
use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, KECCAK256_EMPTY, hex, keccak256};
use alloy_rlp::Decodable;
use alloy_trie::nodes::{RlpNode, TrieNode};
use manaflow_engine::state_root::StateTrie;
use manaflow_loader::model::Mode;
use manaflow_loader::rules::ChainRules;
use serde_json::Value as Json;
use std::collections::BTreeMap;

const BLOCKS: [u64; 8] = [97, 46_147, 46_400, 46_402, 47_205, 48_712, 48_915, 49_018];

/// What a trace's run took from the database, by hash.
struct Database(BTreeMap<B256, Bytes>);

impl Database {
    fn new(state: &Json) -> Self {
        let mut all = BTreeMap::new();
        for (key, bytes) in state.as_object().expect("bytes by key") {
            let bytes = Bytes::from(hex::decode(bytes.as_str().expect("hex")).expect("hex"));
            // Nodes have their hash for a key; headers and ommers theirs behind a byte. The key of 9 bytes leads from a
            // block's number to its hash.
            let key = hex::decode(key).expect("hex");
            let hash = match key.len() {
                32 => B256::from_slice(&key),
                33 => B256::from_slice(&key[1..]),
                9 => continue,
                n => panic!("a key of {n} bytes"),
            };
            assert_eq!(keccak256(&bytes), hash);
            all.insert(hash, bytes);
        }
        Self(all)
    }

    fn header(&self, height: u64) -> (Bytes, Header) {
        let headers = self.0.values().filter_map(|bytes| Some((bytes, alloy_rlp::decode_exact::<Header>(bytes).ok()?)));
        let mut found: Vec<_> = headers.filter(|(_, header)| header.number == height).collect();
        assert_eq!(found.len(), 1, "one header {height}");
        let (bytes, header) = found.remove(0);
        (bytes.clone(), header)
    }

    /// Leaves below a node, by key in nibbles.
    fn leaves(&self, node: &[u8], path: Vec<u8>, out: &mut BTreeMap<Vec<u8>, Bytes>) {
        let below = |child: &RlpNode, path: Vec<u8>, out: &mut BTreeMap<Vec<u8>, Bytes>| match child.as_hash() {
            Some(hash) => self.leaves(&self.0[&hash], path, out),
            None => self.leaves(child, path, out),
        };
        match TrieNode::decode(&mut &node[..]).expect("a node") {
            TrieNode::Leaf(leaf) => {
                let key = [path, leaf.key.to_vec()].concat();
                out.insert(key, leaf.value.into());
            }
            TrieNode::Extension(extension) => {
                let path = [path, extension.key.to_vec()].concat();
                below(&extension.child, path, out);
            }
            TrieNode::Branch(branch) => {
                let mut children = branch.stack.iter();
                for nibble in (0..16).filter(|&nibble| branch.state_mask.is_bit_set(nibble)) {
                    let child = children.next().expect("a child for each bit");
                    below(child, [path.clone(), vec![nibble]].concat(), out);
                }
            }
            TrieNode::EmptyRoot => {}
        }
    }

    fn transactions(&self, root: B256, count: usize) -> Vec<Bytes> {
        let mut leaves = BTreeMap::new();
        self.leaves(&self.0[&root], Vec::new(), &mut leaves);
        assert_eq!(leaves.len(), count);
        let key = |i: usize| alloy_rlp::encode(i).iter().flat_map(|byte| [byte >> 4, byte & 15]).collect::<Vec<u8>>();
        (0..count).map(|i| leaves[&key(i)].clone()).collect()
    }
}

/// A list of Nimbus' accounts, each once.
fn read(json: &Json) -> Listing {
    let mut listing = Listing::new();
    for account in json.as_array().expect("a list of accounts") {
        let code: Bytes = parse(&account["code"]);
        assert_eq!(keccak256(&code), parse::<B256>(&account["codeHash"]));
        let fields = Fields {
            balance: Some(number(&account["balance"])),
            nonce: Some(number(&account["nonce"]).to()),
            code_hash: Some(keccak256(&code)),
            words: (account["storage"].as_object().expect("words by slot").iter())
                .map(|(slot, value)| (word(slot), word(value.as_str().expect("a word"))))
                .collect(),
        };
        let address = parse(&account["address"]);
        assert!(listing.insert(address, fields.clone()).is_none_or(|other| other == fields), "{address}");
    }
    listing
}

/// Rule 14, for one side of the moves: accounts whole, words that are written and not 0 on that side.
fn render(moves: &Moves, after: bool) -> Listing {
    let mut listing = Listing::new();
    for (address, prev, next) in accounts(moves) {
        let side = if after { next } else { prev };
        let mut fields = Fields {
            balance: Some(side.balance),
            nonce: Some(side.nonce),
            code_hash: Some(side.code_hash),
            words: BTreeMap::new(),
        };
        for (slot, prev, next) in words(moves, address).filter(|(_, prev, next)| prev != next) {
            let word = if after { next } else { prev };
            if !word.is_zero() {
                fields.words.insert(slot, word);
            }
        }
        listing.insert(address, fields);
    }
    listing
}

#[test]
fn moves_are_the_state_differences_that_nimbus_traced() {
    let Some(data) = manaflow_datasets::data_for("traces: Nimbus") else { return };
    let rules = ChainRules::named("mainnet").expect("it is built in");
    let mut all = Compared::default();
    let mut roots = 0;
    for height in BLOCKS {
        let trace = read_json(data.join(format!("traces/nimbus_tracer/block{height}.json")));
        let database = Database::new(&trace["state"]);
        let (bytes, header) = database.header(height);
        let (_, parent) = database.header(height - 1);
        let traces = trace["txTraces"].as_array().expect("traces");
        let transactions = match traces.len() {
            0 => Vec::new(),
            count => database.transactions(header.transactions_root, count),
        };
        let no_ommers = Bytes::from_static(&[alloy_rlp::EMPTY_LIST_CODE]);
        let ommers = database.0.get(&header.ommers_hash).unwrap_or(&no_ommers);

        // The state before, of the accounts that are named, out of the trie.
        let nodes = database.0.values().cloned();
        let mut trie = StateTrie::from_nodes(parent.state_root, nodes).expect("the root's node is there");
        let mut state = StateBefore::new(height);
        for address in read(&trace["stateDump"]["before"]).keys() {
            if let Some((nonce, balance, code_hash)) = trie.account(*address).expect("the path is there") {
                assert_eq!(code_hash, KECCAK256_EMPTY);
                state.account(*address, nonce, balance, Bytes::new());
            }
        }
        let rlp = block_rlp(&bytes, &transactions, ommers, None);
        let record = state.recorder(&rules).block(rlp, &format!("block {height}"));
        let rows: Vec<Moves> = record.transactions.iter().map(by_cell).collect();
        let last = rows.len() - 1;
        assert_eq!(last - 1, traces.len());

        for (i, trace) in traces.iter().enumerate() {
            let (moves, place) = (&rows[i + 1], format!("block {height}, transaction {i}"));
            let difference = &trace["stateDiff"];
            all.transactions += 1;
            all += compare(&format!("{place}: before"), &render(moves, false), &read(&difference["before"]));
            all += compare(&format!("{place}: after"), &render(moves, true), &read(&difference["after"]));
            let root = |json: &Json| -> B256 { json.as_str().expect("a root").parse().expect("32 bytes") };
            assert_eq!(trie.root(), Ok(root(&difference["beforeRoot"])), "{place}");
            write(&mut trie, moves);
            assert_eq!(trie.root(), Ok(root(&difference["afterRoot"])), "{place}");
            roots += 2;
        }
        write(&mut trie, &rows[last]);
        assert_eq!(trie.root(), Ok(header.state_root), "block {height}");
        roots += 1;

        // The block as a whole: the first value of each cell, and the last.
        let mut whole = Moves::new();
        for m in rows.iter().flat_map(|moves| moves.values()) {
            whole.entry(m.cell).and_modify(|first| first.next = m.next).or_insert(*m);
        }
        let dump = &trace["stateDump"];
        all += compare(&format!("block {height}: before"), &render(&whole, false), &read(&dump["before"]));
        all += compare(&format!("block {height}: after"), &render(&whole, true), &read(&dump["after"]));
    }
    assert_eq!((all.counts(), roots), ([11, 122, 366, 6], 30));
}

fn write(trie: &mut StateTrie, moves: &Moves) {
    for m in moves.values().filter(|m| m.mode == Mode::Write) {
        trie.apply(m).unwrap_or_else(|e| panic!("{}: {e}", m.cell));
    }
}

//! What a node knows, made from a block file: bytes of blocks, the state after each of them, what transactions found.

use crate::records;
use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_trie::proof::ProofRetainer;
use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, Nibbles, TrieAccount};
use manaflow_loader::file::BlockFile;
use manaflow_loader::model::{AccountValue, BlockRecord, Mark, Mode, Ommers, Value};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Values after blocks, by block.
type History<T> = BTreeMap<u64, T>;

/// All that a node is asked for.
pub struct World {
    pub chain_id: u64,
    pub blocks: BTreeMap<u64, BlockRecord>,
    pub headers: BTreeMap<u64, Header>,
    accounts: BTreeMap<Address, History<AccountValue>>,
    storage: BTreeMap<(Address, U256), History<(u32, U256)>>,
    codes: BTreeMap<B256, Bytes>,
}

impl World {
    /// From a block file that begins at genesis.
    pub fn read(path: &Path) -> Self {
        let blocks = records(path);
        let file = BlockFile::open(path).expect("a block file");
        let code = |i: usize| file.shared_code(i as u32).expect("readable");
        let codes = (0..file.code_count()).map(code).filter_map(|(hash, code)| Some((hash, code?))).collect();
        let (mut accounts, mut storage) = (BTreeMap::<_, History<_>>::new(), BTreeMap::<_, History<_>>::new());
        for (&number, record) in &blocks {
            for m in record.transactions.iter().flat_map(|tx| &tx.moves).filter(|m| m.mode == Mode::Write) {
                match (m.cell.mark, m.next) {
                    (Mark::Account, Value::Account(value)) => {
                        accounts.entry(m.cell.addr).or_default().insert(number, value);
                    }
                    (Mark::Storage, Value::Word(word)) => {
                        let place = (m.cell.addr, m.cell.slot);
                        storage.entry(place).or_default().insert(number, (m.cell.generation, word));
                    }
                    _ => {}
                }
            }
        }
        let header = |(&number, record): (&u64, &BlockRecord)| {
            (number, alloy_rlp::decode_exact::<Header>(&record.body.header).expect("a header"))
        };
        let headers = blocks.iter().map(header).collect();
        Self { chain_id: file.rules().chain_id, blocks, headers, accounts, storage, codes }
    }

    pub fn last(&self) -> u64 {
        *self.blocks.keys().next_back().expect("a block")
    }

    pub fn account(&self, addr: Address, number: u64) -> AccountValue {
        let history = self.accounts.get(&addr);
        history.and_then(|h| h.range(..=number).next_back()).map_or(AccountValue::ABSENT, |(_, value)| *value)
    }

    pub fn word(&self, addr: Address, slot: U256, number: u64) -> U256 {
        let generation = self.account(addr, number).generation;
        let history = self.storage.get(&(addr, slot));
        match history.and_then(|h| h.range(..=number).next_back()) {
            Some((_, (of, word))) if *of == generation => *word,
            _ => U256::ZERO,
        }
    }

    pub fn code(&self, hash: B256) -> Bytes {
        if hash == KECCAK256_EMPTY { Bytes::new() } else { self.codes.get(&hash).cloned().unwrap_or_default() }
    }

    /// RLP of a block.
    pub fn raw(&self, number: u64) -> Bytes {
        let record = &self.blocks[&number];
        let mut parts = record.body.header.to_vec();
        let transactions: Vec<Vec<u8>> = signed(record)
            .iter()
            .map(|tx| if tx.bytes[0] < 0x80 { alloy_rlp::encode(&tx.bytes) } else { tx.bytes.to_vec() })
            .collect();
        parts.extend(list(&transactions.concat()));
        match &record.body.ommers {
            Ommers::Headers(list) => parts.extend_from_slice(list),
            Ommers::Hashes(_) => panic!("chains in files have their ommers"),
        }
        parts.extend_from_slice(record.body.withdrawals.as_ref().map_or(&[], |list| &list[..]));
        list(&parts).into()
    }

    /// A block as JSON, by the types of alloy.
    pub fn json(&self, number: u64, whole: bool) -> Json {
        let record = &self.blocks[&number];
        let header = &self.headers[&number];
        let mut json = serde_json::to_value(header).expect("JSON");
        json["hash"] = json!(keccak256(&record.body.header));
        let transactions: Vec<Json> = signed(record)
            .iter()
            .map(|tx| {
                use alloy_eips::eip2718::Decodable2718;
                let envelope = alloy_consensus::TxEnvelope::decode_2718(&mut &tx.bytes[..]).expect("a transaction");
                if whole { serde_json::to_value(&envelope).expect("JSON") } else { json!(keccak256(&tx.bytes)) }
            })
            .collect();
        json["transactions"] = json!(transactions);
        json["uncles"] = json!(self.ommers(number).iter().map(Header::hash_slow).collect::<Vec<_>>());
        if let Some(list) = &record.body.withdrawals {
            let list: Vec<alloy_eips::eip4895::Withdrawal> = alloy_rlp::decode_exact(list).expect("withdrawals");
            json["withdrawals"] = json!(list);
        }
        json
    }

    pub fn ommers(&self, number: u64) -> Vec<Header> {
        match &self.blocks[&number].body.ommers {
            Ommers::Headers(list) => alloy_rlp::decode_exact(list).expect("ommers"),
            Ommers::Hashes(_) => Vec::new(),
        }
    }

    /// What the prestate tracer says of a block.
    pub fn prestates(&self, number: u64) -> Json {
        let trace = |tx: &manaflow_loader::model::TransactionRecord| {
            let mut accounts = serde_json::Map::new();
            for m in &tx.moves {
                let key = format!("{:#x}", m.cell.addr);
                match (m.cell.mark, m.prev) {
                    (Mark::Account, Value::Account(value)) => {
                        let mut listed = json!({ "balance": value.balance });
                        if value.nonce != 0 {
                            listed["nonce"] = json!(value.nonce);
                        }
                        if value.code_hash != KECCAK256_EMPTY {
                            listed["code"] = json!(self.code(value.code_hash));
                        }
                        accounts.insert(key, listed);
                    }
                    (Mark::Storage, Value::Word(word)) => {
                        let slot = format!("{:#x}", B256::from(m.cell.slot));
                        accounts[&key]["storage"][slot] = json!(B256::from(word));
                    }
                    _ => {}
                }
            }
            json!({ "txHash": keccak256(&tx.bytes), "result": accounts })
        };
        json!(signed(&self.blocks[&number]).iter().map(trace).collect::<Vec<_>>())
    }

    /// Receipts, as far as anybody asks: the state roots of early ones.
    pub fn receipts(&self, number: u64) -> Json {
        use manaflow_loader::model::Status;
        let receipt = |tx: &manaflow_loader::model::TransactionRecord| match tx.outcome.as_ref().map(|o| &o.status) {
            Some(Status::Root(root)) => json!({ "root": root }),
            _ => json!({ "status": "0x1" }),
        };
        json!(signed(&self.blocks[&number]).iter().map(receipt).collect::<Vec<_>>())
    }

    /// `eth_getProof` of an account and slots after a block.
    pub fn proof(&self, addr: Address, slots: &[B256], number: u64) -> Json {
        let mut leaves: BTreeMap<B256, Vec<u8>> = BTreeMap::new();
        for other in self.accounts.keys() {
            let value = self.account(*other, number);
            if value.present {
                let leaf = TrieAccount {
                    nonce: value.nonce,
                    balance: value.balance,
                    storage_root: prove(&self.words(*other, number), &[]).0,
                    code_hash: value.code_hash,
                };
                leaves.insert(keccak256(other), alloy_rlp::encode(leaf));
            }
        }
        let (root, account_proof) = prove(&leaves, &[keccak256(addr)]);
        assert_eq!(root, self.headers[&number].state_root, "state after block {number}");
        let words = self.words(addr, number);
        let storage_proof: Vec<Json> = slots
            .iter()
            .map(|slot| {
                let (_, proof) = prove(&words, &[keccak256(slot)]);
                json!({ "key": slot, "value": self.word(addr, (*slot).into(), number), "proof": proof[0] })
            })
            .collect();
        let value = self.account(addr, number);
        json!({
            "address": addr, "balance": value.balance, "nonce": U256::from(value.nonce), "codeHash": value.code_hash,
            "storageHash": prove(&words, &[]).0, "accountProof": account_proof[0], "storageProof": storage_proof,
        })
    }

    fn words(&self, addr: Address, number: u64) -> BTreeMap<B256, Vec<u8>> {
        let places = self.storage.range((addr, U256::ZERO)..=(addr, U256::MAX));
        let word = |(_, slot): &(Address, U256)| (B256::from(*slot), self.word(addr, *slot, number));
        let words = places.map(|(place, _)| word(place)).filter(|(_, word)| !word.is_zero());
        words.map(|(slot, word)| (keccak256(slot), alloy_rlp::encode(word))).collect()
    }
}

/// The transactions between opening and closing.
fn signed(record: &BlockRecord) -> &[manaflow_loader::model::TransactionRecord] {
    &record.transactions[1..record.transactions.len() - 1]
}

fn list(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend_from_slice(payload);
    out
}

/// Root of a trie, and the nodes on the way to each key.
fn prove(leaves: &BTreeMap<B256, Vec<u8>>, keys: &[B256]) -> (B256, Vec<Vec<Bytes>>) {
    if leaves.is_empty() {
        return (EMPTY_ROOT_HASH, keys.iter().map(|_| Vec::new()).collect());
    }
    let targets: Vec<Nibbles> = keys.iter().map(Nibbles::unpack).collect();
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(targets.clone()));
    for (key, leaf) in leaves {
        builder.add_leaf(Nibbles::unpack(key), leaf);
    }
    let root = builder.root();
    let nodes = builder.take_proof_nodes();
    let proof = |target: &Nibbles| {
        let on_way = nodes.matching_nodes_sorted(target);
        on_way.into_iter().map(|(_, node)| node).collect()
    };
    (root, targets.iter().map(proof).collect())
}

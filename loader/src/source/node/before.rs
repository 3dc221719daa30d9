//! The state before a range, asked for cell by cell: by calls, or by proofs against the state root before the range.

use super::answers::{header_in, quantity, u64_in, value};
use super::{Parent, Way};
use crate::error::{Error, Result};
use crate::node::{Call, Node};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_trie::proof::verify_proof;
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles, TrieAccount};
use serde::Deserialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// BLOCKHASH reaches this many blocks back.
const BLOCK_HASHES: u64 = 256;

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Wanted {
    /// Accounts.
    pub accounts: BTreeSet<Address>,
    /// Storage words, by account and slot.
    pub slots: BTreeSet<(Address, U256)>,
    /// Hashes of blocks, by number.
    pub hashes: BTreeSet<u64>,
    /// Codes by hash, with an account that has it.
    pub codes: BTreeMap<B256, Address>,
}

impl Wanted {
    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.slots.is_empty() && self.hashes.is_empty() && self.codes.is_empty()
    }
}

/// An account as a node has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FoundAccount {
    /// Whether it exists. Without a proof: whether it has anything.
    pub is_present: bool,
    /// Balance in wei.
    pub balance: U256,
    /// Nonce.
    pub nonce: u64,
    /// Keccak-256 of the code.
    pub code_hash: B256,
    /// The code, where it came along.
    pub code: Option<Bytes>,
}

/// What was found; `None` where the node says that it has no such answer (saved answers need not be complete).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Found {
    /// Accounts.
    pub accounts: Vec<(Address, Option<FoundAccount>)>,
    /// Storage words.
    pub slots: Vec<((Address, U256), Option<U256>)>,
    /// Hashes of blocks, each proven by the headers after it.
    pub hashes: Vec<(u64, B256)>,
    /// Codes, found by their hashes.
    pub codes: Vec<Bytes>,
}

/// The state after the block before a range.
#[derive(Debug)]
pub struct StateBefore {
    node: Arc<dyn Node>,
    number: u64,
    hash: B256,
    /// State root; needed by proofs alone.
    state_root: B256,
    way: Way,
    /// Hashes that are known by the headers after them: number, and what the header of that block names as parent.
    parents: BTreeMap<u64, B256>,
    codes: BTreeSet<B256>,
    /// Nodes that proved an account, and a word of one.
    account_nodes: BTreeMap<Address, Vec<Bytes>>,
    word_nodes: BTreeMap<(Address, U256), Vec<Bytes>>,
}

impl StateBefore {
    pub(super) fn new(node: Arc<dyn Node>, parent: &Parent, way: Way) -> Self {
        let &Parent { number, hash, ref header } = parent;
        let header = header.as_ref().map(|sealed| &sealed.header);
        let state_root = header.map(|header| header.state_root).unwrap_or_default();
        let parents = header.map(|header| (number, header.parent_hash)).into_iter().collect();
        Self {
            node,
            number,
            hash,
            state_root,
            way,
            parents,
            codes: BTreeSet::new(),
            account_nodes: BTreeMap::new(),
            word_nodes: BTreeMap::new(),
        }
    }

    /// Number of the block whose state this is.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Nodes of tries that proved an account or, with a slot, a word of it; once.
    pub fn take_nodes(&mut self, addr: Address, slot: Option<U256>) -> Vec<Bytes> {
        let nodes = match slot {
            None => self.account_nodes.remove(&addr),
            Some(slot) => self.word_nodes.remove(&(addr, slot)),
        };
        nodes.unwrap_or_default()
    }

    /// Asks for all of `wanted` at once; for codes as they are after block `at`, since they may be younger than the range.
    ///
    /// Errors: no answer; an answer that is none; a proof that proves something else.
    pub fn ask(&mut self, wanted: &Wanted, at: u64) -> Result<Found> {
        let mut found = match self.way {
            Way::Proofs => self.by_proofs(wanted)?,
            _ => self.by_calls(wanted)?,
        };
        found.hashes = self.hashes(&wanted.hashes)?;
        found.codes = self.codes_of(&wanted.codes, at)?;
        Ok(found)
    }

    fn by_calls(&self, wanted: &Wanted) -> Result<Found> {
        let at = quantity(self.number());
        let node = self.node.as_ref();
        let mut calls = Vec::with_capacity(3 * wanted.accounts.len() + wanted.slots.len());
        for addr in &wanted.accounts {
            for method in ["eth_getBalance", "eth_getTransactionCount", "eth_getCode"] {
                calls.push(Call::new(method, [json!(addr), at.clone()]));
            }
        }
        for (addr, slot) in &wanted.slots {
            calls.push(Call::new("eth_getStorageAt", [json!(addr), json!(B256::from(*slot)), at.clone()]));
        }
        let answers = node.ask(&calls)?;
        let mut answered = calls.iter().zip(answers);
        let mut next = || -> Result<Option<(&Call, Box<serde_json::value::RawValue>)>> {
            let Some((call, answer)) = answered.next() else { return Ok(None) };
            match answer.is_unknown_method() {
                true => Ok(None),
                false => answer.result(node, call).map(|json| Some((call, json))),
            }
        };
        let mut found = Found::default();
        for &addr in &wanted.accounts {
            let (balance, nonce, code) = (next()?, next()?, next()?);
            let (Some((c0, balance)), Some((c1, nonce)), Some((c2, code))) = (balance, nonce, code) else {
                found.accounts.push((addr, None));
                continue;
            };
            let (balance, nonce): (U256, u64) = (value(node, c0, &balance)?, u64_in(node, c1, &nonce)?);
            let code: Bytes = value(node, c2, &code)?;
            let code_hash = if code.is_empty() { KECCAK256_EMPTY } else { keccak256(&code) };
            let is_present = nonce != 0 || !balance.is_zero() || !code.is_empty();
            let account = FoundAccount { is_present, balance, nonce, code_hash, code: Some(code) };
            found.accounts.push((addr, Some(account)));
        }
        for &place in &wanted.slots {
            let word = match next()? {
                Some((call, json)) => Some(word(node, call, &json)?),
                None => None,
            };
            found.slots.push((place, word));
        }
        Ok(found)
    }

    /// One proof an account, with all its words. The codes that are named and were not met yet are asked for after.
    fn by_proofs(&mut self, wanted: &Wanted) -> Result<Found> {
        let mut slots: BTreeMap<Address, Vec<U256>> = wanted.accounts.iter().map(|addr| (*addr, Vec::new())).collect();
        for &(addr, slot) in &wanted.slots {
            slots.entry(addr).or_default().push(slot);
        }
        let node = self.node.clone();
        let node = node.as_ref();
        let calls: Vec<Call> = slots.iter().map(|(addr, slots)| proof_call(*addr, slots, self.number())).collect();
        let mut found = Found::default();
        let mut codes: BTreeMap<B256, Address> = BTreeMap::new();
        for (((addr, slots), call), answer) in slots.iter().zip(&calls).zip(node.ask(&calls)?) {
            let json = answer.result(node, call)?;
            let proof: Proof = value(node, call, &json)?;
            let words = self.check(*addr, slots, &proof).map_err(|reason| Error::node(node, call, reason))?;
            found.slots.extend(slots.iter().zip(words).map(|(slot, word)| ((*addr, *slot), Some(word))));
            if wanted.accounts.contains(addr) {
                let account = proof.account();
                if account.code_hash != KECCAK256_EMPTY && !self.codes.contains(&account.code_hash) {
                    codes.insert(account.code_hash, *addr);
                }
                found.accounts.push((*addr, Some(account)));
            }
        }
        for ((hash, addr), code) in codes.iter().zip(self.codes_of(&codes, self.number())?) {
            self.codes.insert(*hash);
            let account = found.accounts.iter_mut().find(|(a, _)| a == addr).and_then(|(_, account)| account.as_mut());
            if let Some(account) = account {
                account.code = Some(code);
            }
        }
        Ok(found)
    }

    /// Codes of accounts after a block, each with the hash that it is wanted for.
    fn codes_of(&self, codes: &BTreeMap<B256, Address>, at: u64) -> Result<Vec<Bytes>> {
        let (node, at) = (self.node.as_ref(), quantity(at));
        let calls: Vec<Call> = codes.values().map(|addr| Call::new("eth_getCode", [json!(addr), at.clone()])).collect();
        let mut found = Vec::with_capacity(codes.len());
        for ((hash, call), answer) in codes.keys().zip(&calls).zip(node.ask(&calls)?) {
            let code: Bytes = value(node, call, &answer.result(node, call)?)?;
            let got = keccak256(&code);
            if got != *hash {
                let reason = format!("got code that hashes to {got}, the account's code hash is {hash}");
                return Err(Error::node(node, call, reason));
            }
            found.push(code);
        }
        Ok(found)
    }

    /// A proof against the state root: says the storage words, in the order they were asked for.
    fn check(&mut self, addr: Address, slots: &[U256], proof: &Proof) -> Result<Vec<U256>, String> {
        if proof.address.is_some_and(|got| got != addr) {
            return Err("got a proof of another account".into());
        }
        let account = proof.account();
        let key = Nibbles::unpack(keccak256(addr));
        let root = self.state_root;
        let leaf = TrieAccount {
            nonce: account.nonce,
            balance: account.balance,
            storage_root: proof.storage_hash_or_empty(),
            code_hash: account.code_hash,
        };
        let expected = account.is_present.then(|| alloy_rlp::encode(leaf));
        verify_proof(root, key, expected, &proof.account_proof)
            .map_err(|e| format!("the account is not proven against state root {root}: {e}"))?;
        let mut words = Vec::with_capacity(slots.len());
        for slot in slots {
            let key = B256::from(*slot);
            let one = proof.storage_proof.iter().find(|one| one.key.0 == *slot);
            let one = one.ok_or_else(|| format!("got no proof of slot {key}"))?;
            let expected = (!one.value.is_zero()).then(|| alloy_rlp::encode(one.value));
            let root = if account.is_present { proof.storage_hash_or_empty() } else { EMPTY_ROOT_HASH };
            // An empty trie has no node that could be shown.
            if !(root == EMPTY_ROOT_HASH && one.value.is_zero()) {
                verify_proof(root, Nibbles::unpack(keccak256(key)), expected, &one.proof)
                    .map_err(|e| format!("slot {key} is not proven against storage root {root}: {e}"))?;
                self.word_nodes.insert((addr, *slot), one.proof.clone());
            }
            words.push(one.value);
        }
        self.account_nodes.insert(addr, proof.account_proof.clone());
        Ok(words)
    }

    /// Hashes of earlier blocks, each named by the header after it.
    fn hashes(&mut self, wanted: &BTreeSet<u64>) -> Result<Vec<(u64, B256)>> {
        let Some(&lowest) = wanted.first() else { return Ok(Vec::new()) };
        let own = self.number();
        let node = self.node.clone();
        let node = node.as_ref();
        let known = self.parents.keys().next().copied().unwrap_or(own + 1);
        // The hash of block n is what the header of block n + 1 names; so headers down to the lowest but one.
        let numbers: Vec<u64> = (lowest + 1..known).rev().take(BLOCK_HASHES as usize).collect();
        let calls: Vec<Call> =
            numbers.iter().map(|n| Call::new("eth_getBlockByNumber", [quantity(*n), json!(false)])).collect();
        for ((&number, call), answer) in numbers.iter().zip(&calls).zip(node.ask(&calls)?) {
            let header = header_in(node, call, number, answer)?;
            let expected = match number == own {
                true => self.hash,
                false => self.parents.get(&(number + 1)).copied().unwrap_or_default(),
            };
            if header.hash != expected {
                let reason = format!("got hash {}, block {} names {expected} as its parent", header.hash, number + 1);
                return Err(Error::node(node, call, reason));
            }
            self.parents.insert(number, header.header.parent_hash);
        }
        let hash = |number: u64| match number == own {
            true => Some(self.hash),
            false => self.parents.get(&(number + 1)).copied(),
        };
        Ok(wanted.iter().filter_map(|&number| Some((number, hash(number)?))).collect())
    }
}

/// A storage word: some clients cut leading zeros.
fn word(node: &dyn Node, call: &Call, json: &serde_json::value::RawValue) -> Result<U256> {
    let bytes: Bytes = match json.get() {
        // Quantities of odd length are no bytes.
        text if text.len() % 2 == 1 => return value(node, call, json),
        _ => value(node, call, json)?,
    };
    match bytes.len() {
        0..=32 => Ok(U256::from_be_slice(&bytes)),
        got => Err(Error::node(node, call, format!("got a word of {got} bytes"))),
    }
}

/// The call for a proof of an account and words of its storage.
pub(super) fn proof_call(addr: Address, slots: &[U256], number: u64) -> Call {
    let keys: Vec<B256> = slots.iter().map(|slot| B256::from(*slot)).collect();
    Call::new("eth_getProof", [json!(addr), json!(keys), quantity(number)])
}

/// What `eth_getProof` answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Proof {
    address: Option<Address>,
    balance: U256,
    nonce: U256,
    code_hash: B256,
    storage_hash: B256,
    account_proof: Vec<Bytes>,
    storage_proof: Vec<StorageProof>,
}

#[derive(Deserialize)]
struct StorageProof {
    key: Slot,
    value: U256,
    proof: Vec<Bytes>,
}

/// A slot as quantity or as 32 bytes.
#[derive(Deserialize)]
struct Slot(U256);

impl Proof {
    /// The account as the proof claims it. An absent one has nothing, and the last node says whether there is a leaf.
    fn account(&self) -> FoundAccount {
        let nonce = u64::try_from(self.nonce).unwrap_or(u64::MAX);
        let code_hash = if self.code_hash.is_zero() { KECCAK256_EMPTY } else { self.code_hash };
        let has_something = nonce != 0 || !self.balance.is_zero() || code_hash != KECCAK256_EMPTY;
        let is_present = has_something || self.has_leaf();
        FoundAccount { is_present, balance: self.balance, nonce, code_hash, code: None }
    }

    /// Whether the account's leaf, an empty account's, is the end of the last node.
    fn has_leaf(&self) -> bool {
        let empty = TrieAccount {
            nonce: 0,
            balance: U256::ZERO,
            storage_root: self.storage_hash_or_empty(),
            code_hash: KECCAK256_EMPTY,
        };
        self.account_proof.last().is_some_and(|node| node.ends_with(&alloy_rlp::encode(empty)))
    }

    fn storage_hash_or_empty(&self) -> B256 {
        if self.storage_hash.is_zero() { EMPTY_ROOT_HASH } else { self.storage_hash }
    }
}

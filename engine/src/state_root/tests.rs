//! The trie against alloy-trie's one-pass roots on random data with removals, and against real headers.

use super::trie::{Nodes, Trie};
use super::{AccountFields, EMPTY_ACCOUNT, StateTrie, TrieError};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, b256, hex, keccak256};
use alloy_rlp::Decodable;
use alloy_trie::nodes::{BranchNodeRef, ExtensionNodeRef, LeafNodeRef, RlpNode, TrieNode};
use alloy_trie::root::{state_root_unhashed, storage_root_unhashed};
use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, Nibbles, TrieAccount};
use serde_json::Value;
use std::collections::BTreeMap;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn seed() -> u64 {
    std::env::var("MANAFLOW_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(12)
}

fn address(n: u64) -> Address {
    Address::from_word(U256::from(n + 1).into())
}

/// The plain state beside the trie.
#[derive(Default)]
struct Plain(BTreeMap<Address, (AccountFields, BTreeMap<U256, U256>)>);

impl Plain {
    fn root(&self) -> B256 {
        state_root_unhashed(self.0.iter().map(|(address, ((nonce, balance, code_hash), storage))| {
            let root = storage_root_unhashed(storage.iter().map(|(slot, value)| ((*slot).into(), *value)));
            (*address, TrieAccount::new(*nonce, *balance, root, *code_hash))
        }))
    }
}

#[test]
fn random_states_have_the_root_of_a_state_built_at_once() {
    let mut random = Random(seed());
    let (mut trie, mut plain) = (StateTrie::default(), Plain::default());
    assert_eq!(trie.root(), Ok(EMPTY_ROOT_HASH));
    for round in 0..400 {
        for _ in 0..=random.below(6) {
            let who = address(random.below(40));
            match random.below(if round % 100 > 80 { 12 } else { 40 }) {
                0..=8 => {
                    trie.destroy(who);
                    plain.0.remove(&who);
                }
                9 => {
                    trie.destroy(who);
                    trie.set_account(who, Some(EMPTY_ACCOUNT));
                    plain.0.insert(who, (EMPTY_ACCOUNT, BTreeMap::new()));
                }
                _ => {
                    let fields = (random.next(), U256::from(random.next()), KECCAK256_EMPTY);
                    trie.set_account(who, Some(fields));
                    let (old, storage) = plain.0.entry(who).or_default();
                    *old = fields;
                    for _ in 0..random.below(8) {
                        let (slot, value) = (U256::from(random.below(20)), U256::from(random.below(3)));
                        trie.set_storage(who, slot, value).expect("whole trie");
                        if value.is_zero() {
                            storage.remove(&slot)
                        } else {
                            storage.insert(slot, value)
                        };
                    }
                }
            }
        }
        assert_eq!(trie.root(), Ok(plain.root()), "round {round}");
    }
    for (who, (fields, storage)) in &plain.0 {
        assert_eq!(trie.account(*who), Ok(Some(*fields)));
        for slot in (0..20).map(U256::from) {
            assert_eq!(trie.storage(*who, slot), Ok(storage.get(&slot).copied().unwrap_or_default()));
        }
    }
    plain.0.keys().for_each(|who| trie.set_account(*who, None));
    assert_eq!(trie.root(), Ok(EMPTY_ROOT_HASH));
}

#[test]
fn keys_with_long_common_paths_and_short_values() {
    // Keys that part only at their end make nodes below 32 bytes, which stand in their parents as they are.
    let mut random = Random(seed());
    for _ in 0..300 {
        let (mut trie, mut plain) = (Trie::default(), BTreeMap::new());
        let nodes = Nodes::new();
        for _ in 0..40 {
            let mut key = B256::repeat_byte(random.below(2) as u8);
            for at in [10, 29, 30, 31] {
                key[at] = (random.below(2) * 17 * random.below(2)) as u8;
            }
            let value = vec![1 + random.below(100) as u8; 1 + 39 * usize::from(random.below(5) == 0)];
            if random.below(3) == 0 {
                trie.remove(&key, &nodes).expect("whole trie");
                plain.remove(&key);
            } else {
                trie.insert(&key, value.clone(), &nodes).expect("whole trie");
                plain.insert(key, value);
            }
            let mut expected = HashBuilder::default();
            plain.iter().for_each(|(key, value)| expected.add_leaf(Nibbles::unpack(key), value));
            assert_eq!(trie.root(), expected.root(), "{plain:?}");
            for (key, value) in &plain {
                assert_eq!(trie.get(key, &nodes), Ok(Some(&value[..])));
            }
        }
    }
}

/// Test data, if this machine has it; else the skip is printed and counted.
fn data(path: &str) -> Option<Value> {
    let file = manaflow_datasets::data_for(path)?.join(path);
    let bytes = std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    Some(serde_json::from_slice(&bytes).expect("JSON"))
}

fn word(v: &Value) -> U256 {
    v.as_str().expect("a quantity").parse().expect("a quantity")
}

#[test]
fn mainnet_genesis_and_many_roots() {
    let Some(genesis) = data("genesis/mainnet.json") else { return };
    let (mut trie, mut plain) = (StateTrie::default(), Plain::default());
    for (who, account) in genesis["alloc"].as_object().expect("accounts") {
        let fields = (0, word(&account["balance"]), KECCAK256_EMPTY);
        let who: Address = who.parse().expect("an address");
        trie.set_account(who, Some(fields));
        plain.0.insert(who, (fields, BTreeMap::new()));
    }
    assert_eq!(plain.0.len(), 8_893);
    assert_eq!(trie.root(), Ok(b256!("d7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544")));
    let mut random = Random(seed());
    let started = std::time::Instant::now();
    let mut last = Ok(B256::ZERO);
    for _ in 0..8_192 {
        for _ in 0..3 {
            let (who, fields) = (address(random.below(2_000)), (0, U256::from(random.next()), KECCAK256_EMPTY));
            trie.set_account(who, Some(fields));
            plain.0.insert(who, (fields, BTreeMap::new()));
        }
        last = trie.root();
    }
    println!("8192 roots in {:?}", started.elapsed());
    assert_eq!(last, Ok(plain.root()));
}

const WITNESSES: [u64; 11] =
    [1150000, 1920000, 2463000, 2675000, 4370000, 9069000, 15050000, 15537394, 19426587, 21688509, 22615247];

fn fields(account: &Value) -> AccountFields {
    let code_hash = account["code_hash"].as_str().map_or(KECCAK256_EMPTY, |h| h.parse().expect("a hash"));
    (account["nonce"].as_u64().expect("a number"), word(&account["balance"]), code_hash)
}

fn nodes_of(list: &Value) -> Vec<Bytes> {
    let list = list.as_array().expect("a list").iter();
    list.map(|n| hex::decode(n.as_str().expect("hex")).expect("hex").into()).collect()
}

/// A leaf or extension with each shorter path that it may have had below a branch.
fn shortened(node: &Bytes) -> Vec<Bytes> {
    let with = |path: &Nibbles, encode: &dyn Fn(&Nibbles, &mut Vec<u8>)| {
        let encoded = |n| {
            let mut out = Vec::new();
            encode(&path.slice(n..), &mut out);
            out.into()
        };
        (1..path.len()).map(encoded).collect()
    };
    match TrieNode::decode(&mut &node[..]).expect("a node") {
        TrieNode::Leaf(l) => with(&l.key, &|path, out| _ = LeafNodeRef::new(path, &l.value).rlp(out)),
        TrieNode::Extension(e) => with(&e.key, &|path, out| _ = ExtensionNodeRef::new(path, &e.child).rlp(out)),
        TrieNode::Branch(_) | TrieNode::EmptyRoot => Vec::new(),
    }
}

#[test]
fn witnesses_of_real_blocks_prove_their_states_and_the_root_after() {
    for number in WITNESSES {
        let Some(nodes) = data(&format!("witness/{number}/nodes.json")) else { return };
        let read = |name: &str| data(&format!("witness/{number}/{name}.json")).expect("it is beside its nodes");
        let root = |header: &Value| header["stateRoot"].as_str().expect("a root").parse::<B256>().expect("a root");
        let before = root(&read("parent"));
        let mut all = nodes_of(&nodes["pre"]);
        // Where a removal leaves one child, the witness shows that child only after the block, joined to its longer path.
        let after = nodes_of(&nodes["post"]);
        all.extend(after.iter().flat_map(shortened));
        all.extend(after);
        let mut trie = StateTrie::from_nodes(before, all).expect("the root's node is there");
        for (who, account) in read("pre_state").as_object().expect("accounts") {
            let who: Address = who.parse().expect("an address");
            assert_eq!(trie.account(who), Ok(Some(fields(account))), "{number} {who}");
            for (slot, value) in account["storage"].as_object().into_iter().flatten() {
                let slot = slot.parse().expect("a slot");
                assert_eq!(trie.storage(who, slot), Ok(word(value)), "{number} {who} {slot}");
            }
        }
        for who in read("absent").as_array().expect("a list") {
            assert_eq!(trie.account(who.as_str().expect("hex").parse().expect("an address")), Ok(None), "{number}");
        }
        assert_eq!(trie.root(), Ok(before));
        for (who, account) in read("post_state").as_object().expect("accounts") {
            let who: Address = who.parse().expect("an address");
            if account.is_null() {
                trie.destroy(who);
                continue;
            }
            trie.set_account(who, Some(fields(account)));
            for (slot, value) in account["storage"].as_object().into_iter().flatten() {
                trie.set_storage(who, slot.parse().expect("a slot"), word(value)).expect("proven");
            }
        }
        assert_eq!(trie.root(), Ok(root(&read("block"))), "{number}");
    }
}

/// A state of a few accounts as proof nodes: the root's branch, and each leaf below it.
fn leaves(n: u64) -> (B256, Vec<Bytes>, Vec<Address>) {
    let mut state: Vec<_> = (0..n).map(|i| (keccak256(address(i)), address(i))).collect();
    // One account for each first nibble, so that all leaves hang on the root.
    state.sort_unstable();
    state.dedup_by_key(|(key, _)| key[0] >> 4);
    let account = TrieAccount::new(1, U256::ZERO, EMPTY_ROOT_HASH, KECCAK256_EMPTY);
    let root = state_root_unhashed(state.iter().map(|(_, who)| (*who, account)));
    let (mut nodes, mut stack, mut mask) = (Vec::new(), Vec::new(), alloy_trie::TrieMask::default());
    for (key, _) in &state {
        let mut out = Vec::new();
        let path = Nibbles::unpack(key).slice(1..);
        stack.push(LeafNodeRef::new(&path, &alloy_rlp::encode(account)).rlp(&mut out));
        mask.set_bit(key[0] >> 4);
        nodes.push(out.into());
    }
    let mut out = Vec::new();
    BranchNodeRef::new(&stack, mask).rlp(&mut out);
    nodes.push(out.into());
    (root, nodes, state.into_iter().map(|(_, who)| who).collect())
}

#[test]
fn what_a_partial_trie_lacks_is_an_error_and_changes_nothing() {
    let (root, nodes, who) = leaves(2);
    assert_eq!(who.len(), 2);
    let lacks_root = StateTrie::from_nodes(root, nodes[..2].to_vec());
    assert_eq!(lacks_root.err(), Some(TrieError::Missing { hash: root, depth: 0 }));
    // Without the second leaf: the first can be read and changed, not removed, for the second would take its place.
    let mut trie = StateTrie::from_nodes(root, [nodes[0].clone(), nodes[2].clone()]).expect("root is there");
    assert_eq!(trie.account(who[0]), Ok(Some((1, U256::ZERO, KECCAK256_EMPTY))));
    let missing = TrieError::Missing { hash: keccak256(&nodes[1]), depth: 1 };
    assert_eq!(trie.account(who[1]), Err(missing.clone()));
    assert_eq!(trie.storage(who[1], U256::ZERO), Err(missing.clone()));
    assert_eq!(trie.set_storage(who[1], U256::ZERO, U256::ZERO), Err(missing.clone()));
    trie.destroy(who[0]);
    assert_eq!(trie.root(), Err(missing));
    trie.set_account(who[0], Some((1, U256::ZERO, KECCAK256_EMPTY)));
    assert_eq!(trie.root(), Ok(root), "nothing changed");
}

#[test]
fn malformed_nodes_are_errors() {
    let account = alloy_rlp::encode(TrieAccount::new(1, U256::ZERO, EMPTY_ROOT_HASH, KECCAK256_EMPTY));
    let leaf = |path: &Nibbles, value: &[u8]| {
        let mut out = Vec::new();
        LeafNodeRef::new(path, value).rlp(&mut out);
        out
    };
    let whole = leaf(&Nibbles::unpack(keccak256(address(0))), &account);
    let refuse = |node: Vec<u8>, expected: &str| {
        let result = StateTrie::from_nodes(keccak256(&node), [node.into()]);
        let error = result.and_then(|mut t| t.account(address(0))).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    };
    refuse(vec![0xc0], "invalid number");
    refuse([&whole[..], &[0]].concat(), "1 bytes beyond");
    refuse(leaf(&Nibbles::unpack([1, 2]), &account), "leaf path of 4 nibbles");
    refuse(leaf(&Nibbles::unpack(keccak256(address(0))), &account[1..]), "account");
    let mut extension = Vec::new();
    let child = RlpNode::word_rlp(&B256::ZERO);
    ExtensionNodeRef::new(&Nibbles::unpack([7; 32]), &child).rlp(&mut extension);
    refuse(extension, "extension path of 64 nibbles");
    let mut branch = Vec::new();
    let mut mask = alloy_trie::TrieMask::default();
    mask.set_bit(3);
    BranchNodeRef::new(&[child], mask).rlp(&mut branch);
    refuse(branch, "branch with 1 children");
    // Every byte of a good node changed, and every length: an error or an answer, never a panic.
    for at in 0..whole.len() {
        for bits in [0x01, 0x80, 0xff] {
            let mut node = whole.clone();
            node[at] ^= bits;
            let hash = keccak256(&node);
            if let Ok(mut trie) = StateTrie::from_nodes(hash, [node.into()]) {
                _ = trie.account(address(0));
                assert_eq!(trie.root(), Ok(hash));
            }
        }
        let cut = whole[..at].to_vec();
        assert!(StateTrie::from_nodes(keccak256(&cut), [cut.into()]).is_err());
    }
}

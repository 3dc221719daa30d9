//! Mainnet blocks with the exact state before and after, proven by trie nodes: final cells and state roots.

use crate::support::*;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rlp::Decodable;
use alloy_trie::nodes::{ExtensionNode, LeafNode, TrieNode};
use manaflow_engine::state_root::StateTrie;
use manaflow_loader::model::{Cell, Location, Mode, Move};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::OnceLock;

/// Blocks with a state after, from the first of Homestead to Prague; among them the DAO fork, a block without
/// transactions, blocks with rewards, with withdrawals, and with system calls.
const PROVEN: [u64; 11] = [
    1_150_000, 1_920_000, 2_463_000, 2_675_000, 4_370_000, 9_069_000, 15_050_000, 15_537_394, 19_426_587, 21_688_509,
    22_615_247,
];
/// A block under Osaka's rules, with nothing but a state before, in part unknown.
const OSAKA: u64 = 24_476_005;
/// Caller of system contracts: the witnesses list it, and no call changes or observes it.
const SYSTEM: Address = alloy_primitives::address!("fffffffffffffffffffffffffffffffffffffffe");

struct Imported {
    folder: PathBuf,
    file: PathBuf,
    notes: String,
    moves: BTreeMap<u64, Vec<(Location, Move)>>,
}

fn imported(test: &str) -> Option<&'static Imported> {
    static IMPORTED: OnceLock<Imported> = OnceLock::new();
    let folder = manaflow_datasets::data_for(test)?.join("witness");
    Some(IMPORTED.get_or_init(|| {
        let (file, counts, notes) = import("witness", &folder, &[]);
        assert_eq!((&counts["blocks"], &counts["transactions"]), (&json!(12), &json!(476)));
        let mut by_block: BTreeMap<u64, Vec<_>> = BTreeMap::new();
        for (location, m) in moves(&file) {
            by_block.entry(location.block()).or_default().push((location, m));
        }
        assert!(by_block.keys().copied().eq(PROVEN.into_iter().chain([OSAKA])));
        Imported { folder, file, notes, moves: by_block }
    }))
}

fn nodes(json: &Json, key: &str) -> Vec<Bytes> {
    json[key].as_array().expect("a list of nodes").iter().map(parse).collect()
}

#[test]
fn all_blocks_are_valid_in_every_order() {
    let Some(witness) = imported("witness: validation") else { return };
    let report = validate_in_every_order(&witness.file, &[]);
    assert_eq!(report.ran.code, 0, "{}", report.ran.err);
    let r = report.json;
    assert_eq!((&r["verdict"], &r["transactions"], &r["invalid_total"]), (&json!("valid"), &json!(476), &json!(0)));
    assert_eq!(r["gas"], 64_437_184);
    // Receipts roots: the three blocks before Byzantium that have transactions. Parent and its rules: not for 24476005,
    // which comes without. Total difficulty: not for the three blocks whose source does not state it. No block here has
    // ommers.
    assert_eq!(
        r["unchecked"],
        json!({"receipts_roots": 3, "state_roots": 12, "parent_headers": 1, "ommer_lists": 0, "ommer_rules": 0,
               "total_difficulties": 3, "others": 0})
    );
    // Of block hashes only what BLOCKHASH asked for. Assumed: slots of 24476005's system contracts, see below.
    assert_eq!((&r["requirements"]["hashes"], &r["requirements"]["assumed"]), (&json!(1), &json!(3)));
    assert_eq!(r["requirements"]["windows"], 12);
}

/// Both ways: nothing is left changed that the proven state does not say, and nothing that it says differs is left as
/// it was.
#[test]
fn final_cells_are_the_proven_state_after_each_block() {
    let Some(witness) = imported("witness: post-states") else { return };
    for number in PROVEN {
        let folder = witness.folder.join(number.to_string());
        let before = Listed::read(folder.join("pre_state.json"));
        let after = Listed::read(folder.join("post_state.json"));
        let ours = Listed::of(&last_values(&witness.moves[&number]));
        for (address, fields) in &ours.accounts {
            assert_eq!(after.accounts.get(address), Some(fields), "block {number}: account {address}");
        }
        for ((address, slot), word) in &ours.words {
            assert_eq!(after.words.get(&(*address, *slot)), Some(word), "block {number}: {address} {slot:#x}");
        }
        // All that is listed was observed, but for the caller of system contracts, which stays as it was.
        let unmoved: Vec<_> = after.accounts.iter().filter(|(a, _)| !ours.accounts.contains_key(*a)).collect();
        for (address, fields) in &unmoved {
            assert_eq!(**address, SYSTEM, "block {number}");
            assert_eq!(before.accounts.get(*address).copied().flatten(), **fields, "block {number}");
        }
        assert_eq!(unmoved.len(), usize::from(number >= 19_426_587), "block {number}");
        let unmoved = after.words.keys().filter(|key| !ours.words.contains_key(*key)).count();
        assert_eq!(unmoved, 0, "block {number}: words that are listed and not observed");
        // And what moves say of the time before is what the witness proves of it.
        let mut first = BTreeMap::new();
        for (_, m) in &witness.moves[&number] {
            first.entry(m.cell).or_insert(m.prev);
        }
        let ours = Listed::of(&first);
        for (address, fields) in &ours.accounts {
            assert_eq!(before.accounts.get(address).copied().flatten(), *fields, "block {number}: {address} before");
        }
        for (key, word) in &ours.words {
            assert_eq!(before.words.get(key).copied().unwrap_or_default(), *word, "block {number}: {key:?} before");
        }
    }
}

/// Nodes that a removal may need and no key of the state before leads to: the last sibling of what is removed, which
/// then takes the branch's place with a longer path. The state after has it in that form; here it is with every shorter
/// path.
fn siblings(post: &[Bytes]) -> Vec<Bytes> {
    let mut out = Vec::new();
    for node in post {
        let node = TrieNode::decode(&mut &node[..]).expect("a trie node");
        match node {
            TrieNode::Leaf(leaf) => {
                for cut in 1..=leaf.key.len() {
                    out.push(alloy_rlp::encode(LeafNode::new(leaf.key.slice(cut..), leaf.value.clone())).into());
                }
            }
            TrieNode::Extension(extension) => {
                for cut in 1..extension.key.len() {
                    let shorter = ExtensionNode::new(extension.key.slice(cut..), extension.child.clone());
                    out.push(alloy_rlp::encode(shorter).into());
                }
            }
            TrieNode::Branch(_) | TrieNode::EmptyRoot => {}
        }
    }
    out
}

#[test]
fn the_state_root_follows_from_the_parent_proofs_and_our_writes() {
    let Some(witness) = imported("witness: state roots") else { return };
    for number in PROVEN {
        let folder = witness.folder.join(number.to_string());
        let proofs = read_json(folder.join("nodes.json"));
        let before: B256 = parse(&read_json(folder.join("parent.json"))["stateRoot"]);
        let after: B256 = parse(&read_json(folder.join("block.json"))["stateRoot"]);
        let (pre, post) = (nodes(&proofs, "pre"), nodes(&proofs, "post"));
        let all = pre.into_iter().chain(siblings(&post));
        let mut trie = StateTrie::from_nodes(before, all).expect("the root's node is there");
        assert_eq!(trie.root(), Ok(before), "block {number}");
        for (_, m) in witness.moves[&number].iter().filter(|(_, m)| m.mode == Mode::Write) {
            trie.apply(m).unwrap_or_else(|e| panic!("block {number}: {}: {e}", m.cell));
        }
        assert_eq!(trie.root(), Ok(after), "block {number}");
        assert_ne!(before, after, "block {number}");
    }
}

/// A witness lists all that system transactions touch too, so nothing in the 11 blocks is assumed.
#[test]
fn the_final_digest_is_that_of_the_last_writes_and_only_24476005_assumes() {
    let Some(witness) = imported("witness: digest") else { return };
    let lines = requirements(&witness.file, "witness");
    let assumed: BTreeSet<(u64, String)> = (lines.iter())
        .filter(|line| line["assumed"] == true)
        .map(|line| (line["origin"].as_u64().expect("a number"), line["cell"].as_str().expect("a cell").to_string()))
        .collect();
    assert!(assumed.iter().all(|(number, _)| *number == OSAKA));
    let moves: Vec<_> = witness.moves.values().flatten().copied().collect();
    let segments: Vec<(u64, u64)> = witness.moves.keys().map(|n| (*n, *n)).collect();
    let (cells, digest) = digest(&moves, &segments, &assumed);
    let report = validate(&witness.file, &[]).json;
    assert_eq!((&report["final_state"]["cells"], &report["final_state"]["digest"]), (&json!(cells), &json!(digest)));
}

/// What holds: gas used, bloom, receipts root, requests hash and withdrawals root equal the header's (`hashes` ran, and
/// its two receipts rules are not among the unchecked), and execution and all other rules find nothing. What does not:
/// the state after and its root (there is neither state nor proof); rules against the parent; and 14 accounts are known
/// by their code alone, so that the requirements state nonce 0 and balance 0 of them as the source does, which mainnet
/// does not meet.
#[test]
fn block_24476005_holds_as_far_as_its_source_goes() {
    let Some(witness) = imported("witness: 24476005") else { return };
    let folder = witness.folder.join(OSAKA.to_string());
    let block = read_json(folder.join("block.json"));
    let range = format!("{OSAKA}..{OSAKA}");
    let report = validate(&witness.file, &["--blocks", &range]);
    assert_eq!(report.ran.code, 0, "{}", report.ran.err);
    let r = report.json;
    assert_eq!((&r["verdict"], &r["conditional"]), (&json!("valid"), &json!(true)));
    assert_eq!(r["blocks"]["tip_hash"], block["hash"]);
    assert_eq!(U256::from(r["gas"].as_u64().expect("gas")), quantity(&block["gasUsed"]));
    assert_eq!(r["checked"]["hashes"], 1);
    assert_eq!(
        r["unchecked"],
        json!({"receipts_roots": 0, "state_roots": 1, "parent_headers": 1, "ommer_lists": 0, "ommer_rules": 0,
               "total_difficulties": 1, "others": 0})
    );
    assert!(witness.notes.contains("balance and nonce of 14 accounts are not known"), "{}", witness.notes);

    let unknown: BTreeSet<Address> =
        (read_json(folder.join("balance_unknown.json")).as_array().expect("a list").iter()).map(parse).collect();
    assert_eq!(unknown.len(), 14);
    let lines = requirements(&witness.file, "witness-24476005");
    let mut guessed = BTreeSet::new();
    for line in lines.iter().filter(|line| line["origin"] == OSAKA && line["assumed"] != true) {
        let name = line["cell"].as_str().expect("a cell");
        if let Some(address) = name.strip_prefix("a:").map(|a| a.parse::<Address>().expect("an address"))
            && unknown.contains(&address)
        {
            assert!(line["prev"].as_str().expect("a value").starts_with("nonce 0, balance 0, code 0x"), "{line}");
            guessed.insert(address);
        }
    }
    assert_eq!(guessed, unknown);

    // The two system contracts run, and the slots that they write are listed by nobody: assumed, each written once.
    let assumed: Vec<&Json> = lines.iter().filter(|line| line["assumed"] == true).collect();
    let names: Vec<&str> = assumed.iter().map(|line| line["cell"].as_str().expect("a cell")).collect();
    let time = quantity(&block["timestamp"]).to::<u64>();
    assert_eq!(
        names,
        [
            format!("s:0x0000f90827f1c53a10cb7a02335b175320002935:0:{:#x}", (OSAKA - 1) % 8191),
            format!("s:0x000f3df6d732807ef1319fb7b8bb8522d0beac02:0:{:#x}", time % 8191),
            format!("s:0x000f3df6d732807ef1319fb7b8bb8522d0beac02:0:{:#x}", time % 8191 + 8191),
        ]
    );
}

/// Six blocks are in both sets, told by different sources: transactions have the same moves, and what differs are
/// system transactions alone, where the snapshot does not know what the witness does.
#[test]
fn snapshot_and_witness_of_one_block_give_the_same_moves() {
    let Some(witness) = imported("witness: the same blocks as snapshots") else { return };
    let Some((_, file)) = crate::mainnet_blocks::imported("snapshots of the same blocks") else { return };
    let mut snapshots: BTreeMap<u64, Vec<(Location, Move)>> = BTreeMap::new();
    for (location, m) in moves(&file) {
        snapshots.entry(location.block()).or_default().push((location, m));
    }
    let both: Vec<u64> = PROVEN.into_iter().filter(|number| snapshots.contains_key(number)).collect();
    assert_eq!(both, [1_150_000, 2_675_000, 4_370_000, 9_069_000, 15_537_394, 19_426_587]);
    for number in both {
        let closing = |moves: &[(Location, Move)]| moves.last().map(|(location, _)| *location);
        let (ours, theirs) = (&snapshots[&number], &witness.moves[&number]);
        assert_eq!(closing(ours), closing(theirs));
        let signed = |moves: &[(Location, Move)]| -> Vec<(Location, Move)> {
            let last = closing(moves);
            moves.iter().filter(|(at, _)| at.index() > 0 && Some(*at) != last).copied().collect()
        };
        assert_eq!(signed(ours), signed(theirs), "block {number}");
        let system = |moves: &[(Location, Move)]| -> BTreeMap<(Location, Cell), Move> {
            let last = closing(moves);
            let all = moves.iter().filter(|(at, _)| at.index() == 0 || Some(*at) == last);
            all.map(|(at, m)| ((*at, m.cell), *m)).collect()
        };
        if number < 19_426_587 {
            assert_eq!(system(ours), system(theirs), "block {number}");
        } else {
            assert_ne!(system(ours), system(theirs), "block {number}: the snapshot lists no recipient of a withdrawal");
        }
    }
}

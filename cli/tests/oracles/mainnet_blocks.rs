//! 60 mainnet blocks of all forks from Frontier to Cancun, each a snapshot of its own: what a snapshot can answer is
//! checked, and what it cannot is counted, exactly.

use crate::support::*;
use alloy_primitives::{Address, B256, Bloom, U256, logs_bloom};
use manaflow_loader::file::BlockFile;
use manaflow_loader::model::{Cell, Location, Mode, Move, Value, Version};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The first block with receipts that hold a status.
const BYZANTIUM: u64 = 4_370_000;
/// The first block that pays two ether instead of three.
const PETERSBURG: u64 = 7_280_000;
/// The first block that pays nothing.
const PARIS: u64 = 15_537_394;
const GWEI: U256 = U256::from_limbs([1_000_000_000, 0, 0, 0]);
/// The timestamp from which blocks call the beacon-roots contract.
const CANCUN: u64 = 1_710_338_135;
const BEACON_ROOTS: Address = alloy_primitives::address!("000f3df6d732807ef1319fb7b8bb8522d0beac02");

/// The folder and the block file of all 60, imported once.
pub fn imported(test: &str) -> Option<(PathBuf, PathBuf)> {
    static IMPORTED: OnceLock<PathBuf> = OnceLock::new();
    let folder = manaflow_datasets::data_for(test)?.join("mainnet");
    let file = IMPORTED.get_or_init(|| {
        let (file, counts, _) = import("mainnet-blocks", &folder.join("blocks"), &[]);
        let expected = json!({"blocks": 60, "segments": 60, "transactions": 15_127, "gas": 704_109_344, "refused": 0});
        for (key, n) in expected.as_object().expect("an object") {
            assert_eq!(counts[key], *n, "{key}");
        }
        assert_eq!(counts["notes"], json!([]));
        file
    });
    Some((folder, file.clone()))
}

/// One block as the source gives it.
struct Given {
    number: u64,
    block: Json,
    pre: Listed,
}

fn given(folder: &Path) -> Vec<Given> {
    let index = read_json(folder.join("index.json"));
    let entries = index.as_array().expect("a list");
    let mut all: Vec<Given> = (entries.iter())
        .map(|entry| {
            let number = entry["number"].as_u64().expect("a number");
            let folder = folder.join("blocks").join(number.to_string());
            let pre = Listed::read(folder.join("pre_state.json"));
            Given { number, block: read_json(folder.join("block.json")), pre }
        })
        .collect();
    all.sort_by_key(|given| given.number);
    all
}

fn list<'a>(json: &'a Json, key: &str) -> &'a [Json] {
    json[key].as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn all_60_blocks_are_valid_in_every_order_on_one_thread_and_on_two() {
    let Some((folder, file)) = imported("mainnet blocks") else { return };
    let report = validate_in_every_order(&file, &[]);
    assert_eq!(report.ran.code, 0, "{}", report.ran.err);
    let blocks = given(&folder);
    let gas: U256 = blocks.iter().map(|b| quantity(&b.block["gasUsed"])).sum();
    let transactions: usize = blocks.iter().map(|b| list(&b.block, "transactions").len()).sum();
    // A receipt before Byzantium holds a state root that no snapshot has, so where there are receipts their root is
    // open.
    let receipts_roots =
        (blocks.iter()).filter(|b| b.number < BYZANTIUM && !list(&b.block, "transactions").is_empty()).count();
    // Rules against the parent need its header: there where the block before is in the set too.
    let numbers: BTreeSet<u64> = blocks.iter().map(|b| b.number).collect();
    let orphans = numbers.iter().filter(|n| !numbers.contains(&(*n - 1))).count();
    let with_ommers = blocks.iter().filter(|b| !list(&b.block, "uncles").is_empty()).count();
    let r = &report.json;
    assert_eq!((gas, transactions), (U256::from(704_109_344), 15_127));
    assert_eq!((receipts_roots, orphans, with_ommers), (12, 55, 3));
    assert_eq!(r["version"], 1);
    assert_eq!(r["verdict"], "valid");
    assert_eq!(r["conditional"], true);
    assert_eq!(r["chain"]["name"], "mainnet");
    assert_eq!(r["chain"]["id"], 1);
    let (first, last) = (&blocks[0], &blocks[59]);
    assert_eq!(
        r["blocks"],
        json!({"first": first.number, "last": last.number, "count": 60, "segments": orphans,
               "parent_hash": first.block["parentHash"], "tip_hash": last.block["hash"]})
    );
    assert_eq!(
        (&r["transactions"], &r["signatures"], &r["gas"]),
        (&json!(15_127), &json!(15_127), &json!(704_109_344))
    );
    let moves = r["moves"].as_u64().expect("a count");
    assert_eq!(
        r["checked"],
        json!({"signatures": 15_127, "hashes": 60, "execution": 15_127 + 2 * 60, "conflicts": moves, "blocks": 60})
    );
    // `hashes` went over all 60, and nothing else was left open: gas used and bloom were compared in each of them.
    assert_eq!(
        r["unchecked"],
        json!({"receipts_roots": receipts_roots, "state_roots": 60, "parent_headers": orphans,
               "ommer_lists": with_ommers, "ommer_rules": with_ommers, "total_difficulties": 0, "others": 0})
    );
    assert_eq!(r["state_roots"], json!({"checked": 0, "matched": 0}));
    assert_eq!(r["final_state"]["state_root"], Json::Null);
    assert_eq!((&r["invalid_total"], &r["invalid"]), (&json!(0), &json!([])));
}

/// Read with the library, as nothing prints it: each block's own gas and bloom, recomputed from the outcomes.
#[test]
fn each_block_gas_and_bloom_follow_from_the_recorded_outcomes() {
    let Some((folder, file)) = imported("mainnet blocks: gas and bloom") else { return };
    let file = BlockFile::open(&file).expect("the file opens");
    for (place, given) in given(&folder).iter().enumerate() {
        let view = file.block(place).expect("the block is there");
        assert_eq!(view.number(), given.number);
        let outcomes: Vec<_> = view.transactions().filter_map(|row| row.outcome().expect("it decodes")).collect();
        assert_eq!(outcomes.len(), list(&given.block, "transactions").len());
        let gas: u64 = outcomes.iter().map(|o| o.gas_used).sum();
        assert_eq!(U256::from(gas), quantity(&given.block["gasUsed"]), "block {}", given.number);
        let bloom = logs_bloom(outcomes.iter().flat_map(|o| &o.logs));
        assert_eq!(bloom, parse::<Bloom>(&given.block["logsBloom"]), "block {}", given.number);
    }
}

#[test]
fn requirements_are_what_the_snapshots_say_and_the_rest_is_assumed() {
    let Some((folder, file)) = imported("mainnet blocks: requirements") else { return };
    let blocks = given(&folder);
    let alone = apart(&file, "mainnet-blocks", blocks.iter().map(|b| b.number));
    let lines: Vec<Json> = alone.iter().flat_map(|(_, lines)| lines.clone()).collect();
    let (assumed, open): (Vec<&Json>, Vec<&Json>) = lines.iter().partition(|line| line["assumed"] == true);

    // Assumed are: recipients of withdrawals that the snapshot does not list, the beacon-roots contract (without its
    // code the call does nothing), and the miner of a block whose ommers are known by hash only: its reward is unknown.
    let mut expected = BTreeSet::new();
    for Given { number, block, pre } in &blocks {
        let recipients = list(block, "withdrawals").iter().map(|w| parse::<Address>(&w["address"]));
        expected.extend(recipients.filter(|a| !pre.accounts.contains_key(a)).map(|a| (*number, a)));
        if quantity(&block["timestamp"]) >= U256::from(CANCUN) {
            expected.insert((*number, BEACON_ROOTS));
        }
        if !list(block, "uncles").is_empty() {
            expected.insert((*number, parse(&block["miner"])));
        }
    }
    let expected: BTreeSet<(u64, String)> = expected.into_iter().map(|(n, a)| (n, format!("a:{a:#x}"))).collect();
    let cell = |line: &Json| line["cell"].as_str().expect("a cell").to_string();
    let origin = |line: &Json| line["origin"].as_u64().expect("a number");
    let got: BTreeSet<(u64, String)> = assumed.iter().map(|line| (origin(line), cell(line))).collect();
    assert_eq!(got, expected);
    assert_eq!((assumed.len(), expected.len()), (70, 70));

    // Every open demand is on what the snapshot says: listed values, and for what is not listed the default.
    let hashes = read_json(folder.join("block_hashes.json"));
    let mut cells = BTreeSet::new();
    let mut asked_hashes = 0_u64;
    for line in &open {
        let (name, origin) = (cell(line), origin(line));
        let pre = &blocks[blocks.binary_search_by_key(&origin, |b| b.number).expect("a block of the set")].pre;
        let parts: Vec<&str> = name.split(':').collect();
        let prev = line["prev"].as_str().expect("a value");
        match parts[..] {
            ["a", address] => {
                match pre.accounts.get(&address.parse::<Address>().expect("an address")).copied().flatten() {
                    Some((nonce, balance, code)) => {
                        assert_eq!(
                            prev,
                            format!("nonce {nonce}, balance {balance}, code {code:#x}, generation 0"),
                            "{line}"
                        );
                    }
                    None => assert_eq!(prev, "absent, generation 0", "{line}"),
                }
            }
            ["s", address, generation, slot] => {
                let slot = U256::from_str_radix(&slot[2..], 16).expect("a slot");
                let listed = pre.words.get(&(address.parse().expect("an address"), slot)).copied();
                let word = if generation == "0" { listed.unwrap_or_default() } else { U256::ZERO };
                assert_eq!(prev, format!("{word:#x}"), "{line}");
            }
            // A block's own hash is not there before it.
            ["h", number] if number == origin.to_string() => {
                assert_eq!((prev, &line["intx"]), ("0x0", &json!("virgin")), "{line}");
            }
            ["h", number] => {
                asked_hashes += 1;
                let hash: B256 = parse(&hashes[number]);
                assert_eq!(prev, format!("{:#x}", U256::from_be_bytes(hash.0)), "{line}");
            }
            _ => panic!("no cell: {line}"),
        }
        cells.insert((origin, name));
    }
    let count = |key: &str| -> u64 {
        alone.iter().map(|(report, _)| report["requirements"][key].as_u64().expect("a count")).sum()
    };
    assert_eq!(
        ["cells", "assumed", "hashes", "windows"].map(count),
        [cells.len() as u64, assumed.len() as u64, asked_hashes, 60]
    );
    assert_eq!(asked_hashes, hashes.as_object().expect("hashes by number").len() as u64);

    // The other way round: what a snapshot lists is required, but for what its source's tracer lists and the EVM never
    // asks for: slots of accesses that run out of gas, accounts of access lists and of calls that fail.
    let listed_accounts = blocks.iter().flat_map(|b| b.pre.accounts.keys().map(|a| (b.number, format!("a:{a:#x}"))));
    let listed_words =
        blocks.iter().flat_map(|b| b.pre.words.keys().map(|(a, s)| (b.number, format!("s:{a:#x}:0:{s:#x}"))));
    let unasked_accounts = listed_accounts.filter(|key| !cells.contains(key)).count();
    let unasked_words = listed_words.filter(|key| !cells.contains(key)).count();
    assert_eq!((unasked_accounts, unasked_words), (11, 63));
}

/// What a closing moves, told by the block alone: its own hash; the miner's reward, unless ommers are known by hash
/// only (then nobody can say it); the recipients of withdrawals. Nothing else.
#[test]
fn closings_pay_what_the_block_says_and_nothing_that_is_unknown() {
    let Some((folder, file)) = imported("mainnet blocks: closings") else { return };
    let moves = moves(&file);
    let mut hash_alone = Vec::new();
    for Given { number, block, .. } in given(&folder) {
        let closing = Location::new(number, list(&block, "transactions").len() as u64 + 1);
        let ours: BTreeMap<Cell, Move> =
            moves.iter().filter(|(at, _)| Some(*at) == closing).map(|(_, m)| (m.cell, *m)).collect();
        let mut expected: BTreeMap<Address, U256> = BTreeMap::new();
        let has_ommers = !list(&block, "uncles").is_empty();
        if number < PARIS && !has_ommers {
            let ether = if number < BYZANTIUM {
                5
            } else if number < PETERSBURG {
                3
            } else {
                2
            };
            expected.insert(parse(&block["miner"]), U256::from(ether) * GWEI * GWEI);
        }
        for withdrawal in list(&block, "withdrawals") {
            let paid = quantity(&withdrawal["amount"]) * GWEI;
            *expected.entry(parse(&withdrawal["address"])).or_default() += paid;
        }
        if expected.is_empty() && number < PARIS {
            hash_alone.push(number);
        }
        let mut paid = BTreeMap::new();
        for m in ours.values() {
            if let (Value::Account(prev), Value::Account(next)) = (m.prev, m.next) {
                assert!(
                    (prev.nonce, prev.code_hash) == (next.nonce, next.code_hash) && next.present,
                    "{number}: {m:?}"
                );
                paid.insert(m.cell.addr, next.balance - prev.balance);
            }
        }
        assert_eq!(paid, expected, "block {number}");
        assert_eq!(ours.len(), paid.len() + 1, "block {number}");
        let own = ours[&Cell::block_hash(number)];
        let hash = Value::Word(U256::from_be_bytes(parse::<B256>(&block["hash"]).0));
        assert_eq!((own.intx, own.next), (Version::Virgin, hash), "block {number}");
    }
    assert_eq!(hash_alone, [1_796_867, 5_283_152, 8_889_776], "blocks with ommers");
}

#[test]
fn the_final_digest_is_that_of_the_last_writes() {
    let Some((folder, file)) = imported("mainnet blocks: digest") else { return };
    let moves = moves(&file);
    let numbers: Vec<u64> = given(&folder).iter().map(|b| b.number).collect();
    let mut count = 0;
    for (number, (report, lines)) in numbers.iter().zip(apart(&file, "mainnet-blocks-digest", numbers.iter().copied()))
    {
        let assumed = (lines.iter())
            .filter(|line| line["assumed"] == true)
            .map(|line| (*number, line["cell"].as_str().expect("a cell").to_string()))
            .collect();
        let (cells, digest) = digest(&moves, &[(*number, *number)], &assumed);
        count += report["moves"].as_u64().expect("a count") as usize;
        let state = &report["final_state"];
        assert_eq!((&state["cells"], &state["digest"]), (&json!(cells), &json!(digest)), "block {number}");
    }
    assert_eq!(count, moves.len());
    assert!(moves.iter().all(|(_, m)| m.mask == 0 && (m.mode == Mode::Write) == (m.prev != m.next)));
}

#[test]
fn a_move_takes_at_most_48_bytes() {
    let Some((_, file)) = imported("mainnet blocks: size") else { return };
    let ran = manaflow(&["inspect", text(&file), "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let inside: Json = serde_json::from_str(&ran.out).expect("one object");
    let stated = inside["bytes_per_move"].as_f64().expect("a number");
    // Counted again without trusting the list of sections: all but code, raw transactions, blocks, receipts, what rows
    // hold beside their moves, and hints of signatures.
    let not_of_moves = [
        "code-bytes",
        "transaction-bytes",
        "receipt-bytes",
        "body-bytes",
        "rules",
        "segments",
        "blocks",
        "signer-keys",
        "signature-r",
    ];
    let bytes: u64 = (inside["sections"].as_array().expect("a list").iter())
        .filter(|section| {
            let name = section["name"].as_str().expect("a name");
            let beside = name.starts_with("row-") && name != "row-moves";
            !beside && !name.starts_with("earlier-") && name != "header" && !not_of_moves.contains(&name)
        })
        .map(|section| section["bytes"].as_u64().expect("a size"))
        .sum();
    let counted = bytes as f64 / inside["moves"].as_f64().expect("a count");
    assert!(stated <= 48.0 && counted <= 48.0, "{stated} stated, {counted} counted");
    assert!(counted >= stated && stated >= 16.0, "{stated} stated, {counted} counted: something is left out");
}

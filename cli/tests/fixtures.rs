//! `manaflow fixtures`: a drawn slice of the spec tests passes; what is planted in a case fails it, for what was planted;
//! what is no case at all is refused with file and place.

use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A case with one block to be refused, and one with a block to be accepted.
const REFUSED: &str = "ethereum_tests/InvalidBlocks/bcInvalidHeaderTest/wrongGasLimit.json";
const ACCEPTED: &str = "ethereum_tests/ValidBlocks/bcStateTests/selfdestructBalance.json";
/// Side forks, one of which becomes the chain and stops being it.
const FORKED: &str = "legacy_constantinople/ValidBlocks/bcMultiChainTest/ChainAtoChainBtoChainAtoChainB.json";

struct Ran {
    code: i32,
    json: Json,
    err: String,
}

fn manaflow(args: &[&str]) -> (i32, String, String) {
    let ran = Command::new(env!("CARGO_BIN_EXE_manaflow")).args(args).output().expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    (ran.status.code().expect("no signal ends it"), text(ran.stdout), text(ran.stderr))
}

fn fixtures(path: &Path, more: &[&str]) -> Ran {
    let path = path.to_str().expect("UTF-8");
    let (code, out, err) = manaflow(&[&["fixtures", path, "--json"], more].concat());
    Ran { code, json: serde_json::from_str(&out).unwrap_or(Json::Null), err }
}

fn data(test: &str) -> Option<PathBuf> {
    Some(manaflow_datasets::data_for(test)?.join("fixtures"))
}

fn read(path: &Path) -> Json {
    serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON")
}

/// The first case of a file.
fn first(cases: &mut Json) -> &mut Json {
    cases.as_object_mut().expect("cases").values_mut().next().expect("a case")
}

#[test]
fn a_slice_of_the_spec_tests_passes() {
    let Some(data) = data("a_slice_of_the_spec_tests_passes") else { return };
    // The whole is `manaflow fixtures target/data/fixtures`.
    let slice = [("blockchain_tests", "24:3", 252), ("benchmark", "60:3", 6)];
    let whole = [("blockchain_tests", "1", 5978), ("benchmark", "1", 358)];
    for (folder, one_in, cases) in manaflow_datasets::amount(slice, whole) {
        let ran = fixtures(&data.join(folder), &["--one-in", one_in]);
        assert_eq!((ran.code, &ran.json["failures"]), (0, &json!([])), "{}", ran.err);
        assert_eq!((&ran.json["version"], &ran.json["failed"]), (&json!(1), &json!(0)));
        let count = |key: &str| ran.json[key].as_u64().expect("a count");
        assert_eq!(count("passed") + count("skipped"), cases, "{folder}");
        let reasons = ran.json["skips"].as_object().expect("reasons").values().map(|n| n.as_u64().expect("a count"));
        assert_eq!(reasons.sum::<u64>(), count("skipped"));
    }
}

#[test]
fn every_chain_of_a_case_is_run() {
    let Some(data) = data("every_chain_of_a_case_is_run") else { return };
    let path = data.join("blockchain_tests").join(FORKED);
    let ran = fixtures(&path, &[]);
    assert_eq!((ran.code, &ran.json["failed"]), (0, &json!(0)), "{}", ran.json);
    // The side fork is judged too: a block of it that ends the case otherwise would not do.
    let folder = tempfile::tempdir().expect("a folder");
    let mut cases = read(&path);
    let case = first(&mut cases);
    let last = case["lastblockhash"].clone();
    let side = case["blocks"].as_array().expect("blocks").iter().rfind(|b| b["blockHeader"]["hash"] != last);
    case["lastblockhash"] = side.expect("another block")["blockHeader"]["hash"].clone();
    let planted = folder.path().join("planted.json");
    std::fs::write(&planted, cases.to_string()).expect("written");
    let ran = fixtures(&planted, &[]);
    let reason = ran.json["failures"][0]["reason"].as_str().expect("a reason");
    assert_eq!(ran.code, 1);
    assert!(reason.starts_with("state after the last block: "), "{reason}");
}

#[test]
fn what_is_planted_in_a_case_fails_it() {
    let Some(data) = data("what_is_planted_in_a_case_fails_it") else { return };
    let data = data.join("blockchain_tests");
    let folder = tempfile::tempdir().expect("a folder");
    type Plant<'a> = (&'a str, &'a dyn Fn(&mut Json), &'a str);
    let account = |case: &mut Json, key: &str| -> String {
        case[key].as_object().expect("accounts").keys().next().expect("an account").clone()
    };
    let plants: [Plant<'_>; 11] = [
        (
            ACCEPTED,
            &|case| {
                let address = account(case, "postState");
                case["postState"][&address]["balance"] = json!("0x123");
            },
            "balance 291",
        ),
        (
            ACCEPTED,
            &|case| {
                let address = account(case, "postState");
                case["postState"][&address]["storage"]["0x77"] = json!("0x01");
            },
            "slot 0x77: got 0x0, expected 0x1",
        ),
        (
            ACCEPTED,
            &|case| {
                let address = account(case, "postState");
                case["postState"].as_object_mut().expect("accounts").remove(&address);
            },
            "is there, expected absent",
        ),
        (
            ACCEPTED,
            &|case| {
                case.as_object_mut().expect("a case").remove("postState");
                case["postStateHash"] = case["genesisBlockHeader"]["stateRoot"].clone();
            },
            "state root after the last block: got 0x",
        ),
        // Another allocation: it is not the one whose root block 0 states.
        (
            ACCEPTED,
            &|case| {
                let address = account(case, "pre");
                case["pre"][&address]["balance"] = json!("0x123");
            },
            "must be accepted, and is invalid: 0:",
        ),
        // A block that is fine, to be refused.
        (
            ACCEPTED,
            &|case| {
                case["blocks"][0]["expectException"] = json!("TooManyUncles");
                case["lastblockhash"] = case["genesisBlockHeader"]["hash"].clone();
                case["postState"] = case["pre"].clone();
            },
            "must be refused (TooManyUncles: too-many-ommers), and is valid",
        ),
        (ACCEPTED, &|case| case["blocks"][0]["expectException"] = json!("TooManyUncles"), "the last block 0x"),
        // A block that is not, to be accepted.
        (
            REFUSED,
            &|case| {
                let block = case["blocks"][0].as_object_mut().expect("a block");
                block.remove("expectException");
                block.insert("blockHeader".into(), json!({}));
            },
            "side fork that ends with block 0 of the list: must be accepted, and is invalid: 1:",
        ),
        (
            REFUSED,
            &|case| case["blocks"][0]["expectException"] = json!("BlockException.INVALID_STATE_ROOT"),
            "is refused for wrong-gas-limit, expected BlockException.INVALID_STATE_ROOT: wrong-state-root",
        ),
        (REFUSED, &|case| case["blocks"][0]["expectException"] = json!("NoSuchThing"), "\"NoSuchThing\" is not known"),
        // Bytes that are no block, where another reason is wanted.
        (REFUSED, &|case| case["blocks"][0]["rlp"] = json!("0xc0"), "import refuses ("),
    ];
    for (i, (file, plant, words)) in plants.into_iter().enumerate() {
        let mut cases = read(&data.join(file));
        let whole = cases.as_object_mut().expect("cases");
        let name = whole.keys().next().expect("a case").clone();
        whole.retain(|key, _| *key == name);
        let path = folder.path().join(format!("{i}.json"));
        std::fs::write(&path, cases.to_string()).expect("written");
        let ran = fixtures(&path, &[]);
        assert_eq!((ran.code, &ran.json["passed"]), (0, &json!(1)), "{file}: {}", ran.json);

        plant(first(&mut cases));
        std::fs::write(&path, cases.to_string()).expect("written");
        let ran = fixtures(&path, &[]);
        let failure = &ran.json["failures"][0];
        let reason = failure["reason"].as_str().unwrap_or_else(|| panic!("{words}: {} {}", ran.json, ran.err));
        assert!(reason.contains(words), "{words}: {reason}");
        assert_eq!((ran.code, &ran.json["failed"]), (1, &json!(1)));
        assert_eq!((failure["case"].as_str(), failure["file"].as_str()), (Some(&name[..]), path.to_str()));
    }
}

#[test]
fn skips_are_facts_about_the_case_and_counted() {
    let Some(data) = data("skips_are_facts_about_the_case_and_counted") else { return };
    let collision =
        data.join("blockchain_tests/eest_v5.4.0/paris/eip7610_create_collision/test_init_collision_create_opcode.json");
    let ran = fixtures(&collision, &[]);
    assert_eq!((ran.code, &ran.json["skips"]), (0, &json!({"storage-without-nonce": 1})));
    assert!(ran.err.contains("skipped: 1 storage-without-nonce"), "{}", ran.err);

    let folder = tempfile::tempdir().expect("a folder");
    let mut cases = read(&data.join("blockchain_tests").join(REFUSED));
    first(&mut cases)["network"] = json!("Atlantis");
    let path = folder.path().join("atlantis.json");
    std::fs::write(&path, cases.to_string()).expect("written");
    let (code, out, _) = manaflow(&["fixtures", path.to_str().expect("UTF-8")]);
    assert_eq!(code, 0);
    assert!(out.contains("1 unknown-network"), "{out}");
}

#[test]
fn what_is_no_case_is_refused_with_file_and_place() {
    let Some(data) = data("what_is_no_case_is_refused_with_file_and_place") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        std::fs::write(&path, text).expect("written");
        path
    };
    let refuses = |path: &Path, code: i32, words: &[&str], more: &[&str]| {
        let ran = fixtures(path, more);
        assert_eq!((ran.code, &ran.json), (code, &Json::Null), "{}", ran.err);
        for word in words {
            assert!(ran.err.contains(word), "{word:?} is not in {}", ran.err);
        }
    };
    let whole = std::fs::read_to_string(data.join("blockchain_tests").join(REFUSED)).expect("a file");
    refuses(&write("cut.json", &whole[..whole.len() / 2]), 3, &["cut.json: line ", "hint: "], &[]);
    refuses(&write("list.json", "[]"), 3, &["list.json: line 1 column 0: ", "expected an object"], &[]);
    refuses(&write("other.json", "{\"config\": {}}"), 3, &["other.json: line 1 column ", "missing field"], &[]);
    let mut cases: Json = serde_json::from_str(&whole).expect("JSON");
    first(&mut cases)["blocks"][0]["rlp"] = json!("0xabc");
    let place = [", block 0 of the list, rlp: got \"0xabc\", expected bytes"];
    refuses(&write("hex.json", &cases.to_string()), 3, &["hex.json: case \"wrongGasLimit_", place[0]], &[]);
    // Of several, the first is told, whatever the number of threads.
    write("many/a.json", &whole);
    write("many/b.json", "[]");
    write("many/c.json", "{}");
    for threads in ["1", "4"] {
        refuses(&folder.path().join("many"), 3, &["b.json: "], &["--threads", threads]);
    }
    refuses(&folder.path().join("absent"), 3, &["absent: "], &[]);
    std::fs::create_dir(folder.path().join("empty")).expect("created");
    refuses(&folder.path().join("empty"), 3, &["empty: no file *.json"], &[]);
    refuses(&folder.path().join("many/a.json"), 3, &["no case is left to run"], &["--only", "no such case"]);
    refuses(&folder.path().join("many/a.json"), 2, &["--one-in"], &["--one-in", "0"]);
    // Given to an import, they say where they belong.
    let path = folder.path().join("many/a.json");
    let path = path.to_str().expect("UTF-8");
    let (code, _, err) = manaflow(&["import", path, "-o", folder.path().join("out.mana").to_str().expect("UTF-8")]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("a.json: source: ") && err.contains("`manaflow fixtures`"), "{err}");
}

/// A gas price beyond 128 bits, which no balance can pay: it is written as it is, and the verdict says why.
#[test]
fn a_price_that_nobody_can_pay_is_for_validate_to_refuse() {
    let Some(data) = data("a_price_that_nobody_can_pay_is_for_validate_to_refuse") else { return };
    let file = "blockchain_tests/eest_v5.4.0/static/state_tests/stTransactionTest/HighGasPriceParis.json";
    let mut cases = read(&data.join(file));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("dear.json");
    for (exception, failed, words) in [
        ("TransactionException.GASLIMIT_PRICE_PRODUCT_OVERFLOW", 0, ""),
        ("TooManyUncles", 3, "is refused for payment-overflow, expected "),
    ] {
        for case in cases.as_object_mut().expect("cases").values_mut() {
            case["blocks"][0]["expectException"] = json!(exception);
        }
        std::fs::write(&path, cases.to_string()).expect("written");
        let ran = fixtures(&path, &[]);
        assert_eq!((&ran.json["passed"], &ran.json["failed"]), (&json!(3 - failed), &json!(failed)), "{}", ran.json);
        for failure in ran.json["failures"].as_array().expect("a list") {
            assert!(failure["reason"].as_str().is_some_and(|reason| reason.contains(words)), "{failure}");
        }
    }
}

/// The seal of an ommer is proof of work, which is not checked. What such blocks are refused for is their state root, that
/// of a block without the ommer; with nothing of that, nothing would be left.
#[test]
fn a_block_with_a_false_seal_is_refused_for_the_ommers_rewards_alone() {
    use alloy_rlp::{Decodable, Encodable};
    type Block = alloy_consensus::Block<alloy_consensus::TxEnvelope>;
    let Some(data) = data("a_block_with_a_false_seal_is_refused_for_the_ommers_rewards_alone") else { return };
    let data = data.join("blockchain_tests/legacy_constantinople/InvalidBlocks/bcUncleHeaderValidity");
    let folder = tempfile::tempdir().expect("a folder");
    for file in ["nonceWrong.json", "wrongMixHash.json"] {
        let path = folder.path().join(file);
        for (is_honest, words) in
            [(true, "is refused for wrong-state-root, "), (false, "is refused for wrong-ommers-hash, ")]
        {
            let mut cases = read(&data.join(file));
            let count = cases.as_object().expect("cases").len();
            for case in cases.as_object_mut().expect("cases").values_mut() {
                let block = &mut case["blocks"][2];
                assert_eq!(block["expectExceptionALL"], "InvalidBlockNonce");
                // A name for which the block is not refused: so the reasons that were found are told.
                *block = json!({"rlp": block["rlp"], "expectException": "TooManyUncles"});
                if !is_honest {
                    let bytes = alloy_primitives::hex::decode(block["rlp"].as_str().expect("a text")).expect("hex");
                    let mut decoded = Block::decode(&mut &bytes[..]).expect("a block");
                    assert_eq!(decoded.body.ommers.len(), 1);
                    decoded.body.ommers.clear();
                    let mut bytes = Vec::new();
                    decoded.encode(&mut bytes);
                    block["rlp"] = json!(alloy_primitives::hex::encode_prefixed(bytes));
                }
            }
            std::fs::write(&path, cases.to_string()).expect("written");
            let ran = fixtures(&path, &[]);
            let failures = ran.json["failures"].as_array().expect("a list");
            assert_eq!((ran.code, failures.len(), count), (1, 7, 7), "{}", ran.json);
            for failure in failures {
                assert!(failure["reason"].as_str().is_some_and(|reason| reason.contains(words)), "{failure}");
            }
        }
    }
}

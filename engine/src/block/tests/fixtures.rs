//! The spec tests' blocks: valid ones have no fault, and those that must be refused for a reason of B's are.
//!
//! Outcomes are at hand for some valid blocks only, so refusals that need execution (gas used, receipts, requests,
//! state) are out of reach here. Each block is judged at the place after its parent; the windows follow the parents, so
//! side chains are judged too.

use super::*;
use crate::reason::Reason::*;
use alloy_consensus::ReceiptEnvelope;
use alloy_eips::eip2718::Decodable2718;
use std::collections::{BTreeMap, HashMap};

/// Reasons of which at least one must be found, by the name of the exception; `None` where B has no say without
/// outcomes.
fn expected(exception: &str) -> Option<&'static [Reason]> {
    let name = exception.trim_start_matches("BlockException.");
    Some(match name {
        "PostParisUncleHashIsNotEmpty" | "IMPORT_IMPOSSIBLE_UNCLES_OVER_PARIS" => &[UnexpectedOmmers, WrongOmmersHash],
        // Old tests under Paris: the first thing the tool saw; what is wrong may be an ommer alone.
        "3675PreParis1559BlockRejected" => &[ProofOfWorkTooLate, UnexpectedOmmers, WrongOmmersHash],
        "PostParisDifficultyIsNot0" | "3675PoWBlockRejected" => &[ProofOfWorkTooLate],
        "IMPORT_IMPOSSIBLE_DIFFICULTY_OVER_PARIS" | "IMPORT_IMPOSSIBLE_PARIS_WRONG_POW" => &[ProofOfWorkTooLate],
        "3675PoSBlockRejected" | "IMPORT_IMPOSSIBLE_PARIS_WRONG_POS" => &[ProofOfStakeTooEarly],
        "InvalidNumber" | "INVALID_BLOCK_NUMBER" => &[WrongNumber],
        "InvalidGasLimit" | "InvalidGasLimit2" | "INVALID_GASLIMIT" | "GASLIMIT_TOO_BIG" => &[WrongGasLimit],
        "InvalidDifficulty" | "INVALID_DIFFICULTY" => &[WrongDifficulty, ProofOfWorkTooLate, ProofOfStakeTooEarly],
        "InvalidTimestamp" | "InvalidTimestampOlderParent" => &[WrongTimestamp],
        "INVALID_BLOCK_TIMESTAMP_OLDER_THAN_PARENT" => &[WrongTimestamp],
        "INCORRECT_EXCESS_BLOB_GAS" => &[WrongExcessBlobGas, ExcessBlobGasPresence],
        "INCORRECT_BLOB_GAS_USED" => &[WrongBlobGasUsed, BlobGasUsedPresence],
        "UncleInChain" => &[RepeatedOmmer, OmmerIsAncestor],
        "UncleIsAncestor" => &[OmmerIsAncestor],
        "InvalidUncleParentHash" | "UncleParentIsNotAncestor" | "UNCLE_PARENT_INCORRECT" => &[OmmerParentNotAncestor],
        "UncleTooOld" => &[WrongOmmerDepth],
        "TooManyUncles" => &[TooManyOmmers],
        "InvalidUnclesHash" => &[WrongOmmersHash],
        "ExtraDataTooBig" | "EXTRA_DATA_TOO_BIG" => &[ExtraDataTooLong],
        "ExtraDataIncorrectDAO" | "EXTRA_DATA_INVALID_DAO" => &[WrongDaoExtraData, InvalidOmmer],
        "INVALID_WITHDRAWALS_ROOT|BlockException.INVALID_BLOCK_HASH" => &[WrongWithdrawalsRoot],
        "INVALID_WITHDRAWALS_ROOT" | "InvalidWithdrawals" => &[WrongWithdrawalsRoot],
        "1559BlockImportImpossible_BaseFeeWrong" | "INVALID_BASEFEE_PER_GAS" => &[WrongBaseFee],
        "TooMuchGasUsed" | "GAS_USED_OVERFLOW" => &[GasUsedAboveLimit],
        "InvalidTransactionsRoot" | "INVALID_TRANSACTIONS_ROOT" => &[WrongTransactionsRoot],
        "UnknownParent" | "UnknownParent2" | "UNKNOWN_PARENT" | "UNKNOWN_PARENT_ZERO" => &[WrongParentHash],
        "1559BlockImportImpossible_HeaderIsLegacy" | "IMPORT_IMPOSSIBLE_LEGACY_WRONG_PARENT" => &[BaseFeePresence],
        "LegacyBlockImportImpossible" | "LegacyBlockImportImpossible2" => &[BaseFeePresence],
        "IMPORT_IMPOSSIBLE_LONDON_WRONG_PARENT" => &[BaseFeePresence],
        "ShanghaiBlockImportImpossible" | "ParisBlockImportImpossible" => {
            &[WithdrawalsRootPresence, ProofOfStakeTooEarly]
        }
        "TransactionException.TYPE_3_TX_MAX_BLOB_GAS_ALLOWANCE_EXCEEDED" => &[TooManyBlobs],
        // One of them lacks gas after its first transaction only, and names a false root besides.
        "TransactionException.GAS_ALLOWANCE_EXCEEDED" => &[GasLimitAboveRemaining, WrongTransactionsRoot],
        _ => return None,
    })
}

/// Rules of a case's network.
fn network(case: &Json) -> ChainRules {
    let name = case["network"].as_str().unwrap();
    let forks = "Frontier Homestead EIP150 EIP158 Byzantium Constantinople ConstantinopleFix Istanbul MuirGlacier \
                 Berlin London ArrowGlacier GrayGlacier Paris Shanghai Cancun Prague Osaka BPO1 BPO2 BPO3 BPO4";
    let forks: Vec<&str> = forks.split_whitespace().collect();
    let order = |fork: &str| forks.iter().position(|&f| f == fork).unwrap_or_else(|| panic!("{fork} is not a fork"));
    // "AToBAt5", "AToBAtTime15k", "AToBAtDiffC0000"; the DAO fork stands beside the others.
    let (from, to, at) = match name.split_once("To") {
        None => (name, name, ""),
        Some((from, rest)) => rest.rsplit_once("At").map(|(to, at)| (from, to, at)).unwrap(),
    };
    let is_dao = to == "Dao";
    let (from, to) = (order(from), if is_dao { order("Homestead") } else { order(to) });
    let moment = match at {
        "5" => 5,
        "Time15k" => 15_000,
        _ => 0,
    };
    let when = |fork: &str| match order(fork) {
        place if place <= from => Some(0),
        place if place <= to => Some(moment),
        _ => None,
    };
    let mut blobs = Vec::new();
    for (fork, name, target, max, fraction) in [
        ("Cancun", "Cancun", 3, 6, 3_338_477),
        ("Prague", "Prague", 6, 9, 5_007_716),
        ("Osaka", "Osaka", 6, 9, 5_007_716),
    ]
    .into_iter()
    .chain([("BPO1", "BPO1", 10, 15, 8_346_193), ("BPO2", "BPO2", 14, 21, 11_684_671)])
    .chain([("BPO3", "BPO3", 0, 0, 0), ("BPO4", "BPO4", 0, 0, 0)])
    {
        let Some(time) = when(fork) else { continue };
        let schedule = &case["config"]["blobSchedule"][name];
        let or = |field: &str, default| match schedule[field].as_str() {
            Some(hex) => u64::from_str_radix(hex.trim_start_matches("0x"), 16).unwrap(),
            None => default,
        };
        blobs.push(BlobParameters {
            time,
            target: or("target", target),
            max: or("max", max),
            base_fee_update_fraction: or("baseFeeUpdateFraction", fraction),
        });
    }
    ChainRules {
        chain_id: 1,
        homestead: when("Homestead"),
        dao: is_dao.then_some(5),
        dao_support: is_dao,
        tangerine_whistle: when("EIP150"),
        spurious_dragon: when("EIP158"),
        byzantium: when("Byzantium"),
        constantinople: when("Constantinople"),
        petersburg: when("ConstantinopleFix"),
        istanbul: when("Istanbul"),
        muir_glacier: when("MuirGlacier"),
        berlin: when("Berlin"),
        london: when("London"),
        arrow_glacier: when("ArrowGlacier"),
        gray_glacier: when("GrayGlacier"),
        terminal_total_difficulty: match at {
            "DiffC0000" => Some(U256::from(0xc0000)),
            _ => when("Paris").map(|_| U256::ZERO),
        },
        shanghai: when("Shanghai"),
        cancun: when("Cancun"),
        prague: when("Prague"),
        osaka: when("Osaka"),
        blobs,
        ..Default::default()
    }
}

/// Blocks accepted so far, each with the hash of its parent and the total difficulty after it.
struct Accepted(HashMap<B256, (OwnedBlock, Option<U256>)>);

impl Accepted {
    /// The window that ends with the block of this hash.
    fn window(&self, mut hash: B256) -> Vec<Ancestor<'_>> {
        let mut window = Vec::new();
        while window.len() < WINDOW
            && let Some((block, _)) = self.0.get(&hash)
        {
            window.push(block.ancestor());
            hash = block.header.parent_hash;
        }
        window.reverse();
        window
    }
}

fn bytes(rlp: &Json) -> Bytes {
    rlp.as_str().unwrap().parse().unwrap()
}

#[test]
fn valid_blocks_have_no_fault_and_refused_ones_the_expected() {
    let Some(_) = manaflow_datasets::data_for("valid_blocks_have_no_fault_and_refused_ones_the_expected") else {
        return;
    };
    let index = std::fs::read_to_string(data("fixtures/blockchain_tests/index.jsonl")).unwrap();
    let mut files = BTreeMap::<String, Vec<String>>::new();
    for line in index.lines() {
        let entry: Json = serde_json::from_str(line).unwrap();
        let text = |field: &str| entry[field].as_str().unwrap().to_owned();
        files.entry(text("file")).or_default().push(text("name"));
    }
    let (mut valid, mut malformed, mut no_genesis, mut with_receipts) = (0, 0, 0, 0);
    let (mut refused, mut missed) = (BTreeMap::<String, u32>::new(), Vec::new());
    for (file, names) in files {
        let cases = json(&format!("fixtures/blockchain_tests/{file}"));
        for name in names {
            let case = &cases[&name];
            let rules = network(case);
            if case.get("genesisRLP").is_none() {
                no_genesis += 1;
                continue;
            }
            let genesis = OwnedBlock::from_alloy(Block::decode(&mut &bytes(&case["genesisRLP"])[..]).unwrap());
            let mut head = genesis.header.hash_slow();
            let total = total_difficulty_after(Some(U256::ZERO), &genesis.header);
            let mut accepted = Accepted([(head, (genesis, total))].into());
            for block in case["blocks"].as_array().unwrap() {
                let exception = ["expectException", "expectExceptionALL"].iter().find_map(|key| block[key].as_str());
                let is_valid = exception.is_none() && block.get("blockHeader").is_some();
                let rlp = bytes(&block["rlp"]);
                let Ok(decoded) = Block::decode(&mut &rlp[..]) else {
                    assert!(!is_valid, "{name}");
                    malformed += 1;
                    continue;
                };
                let receipts = block["receipts"].as_array().cloned();
                let has_receipts = receipts.is_some();
                let mut block = OwnedBlock::from_alloy(decoded);
                if let Some(receipts) = receipts {
                    with_receipts += 1;
                    let receipts = receipts.iter().map(|receipt| bytes(&receipt["rlp"]));
                    block.set_receipts(receipts.map(|bytes| ReceiptEnvelope::decode_2718(&mut &bytes[..]).unwrap()));
                }
                let parent =
                    if accepted.0.contains_key(&block.header.parent_hash) { block.header.parent_hash } else { head };
                let (parent_block, total) = &accepted.0[&parent];
                block.number = parent_block.number + 1;
                let (faults, unchecked) = block.judge(&accepted.window(parent), *total, &rules);
                if is_valid {
                    // Outputs of request calls are not in the block; where there is no transaction they show here.
                    let fault = faults.iter().find(|fault| fault.reason != WrongRequestsHash);
                    assert!(fault.is_none(), "{file}: {name}: {}", fault.unwrap());
                    assert_eq!((unchecked.merge_rules, unchecked.ommer_rules), (0, 0));
                    if has_receipts {
                        assert_eq!(unchecked, Unchecked::default(), "{name}");
                    }
                    let total = total_difficulty_after(*total, &block.header);
                    head = block.header.hash_slow();
                    accepted.0.insert(head, (block, total));
                    valid += 1;
                } else if let Some(reasons) = exception.and_then(expected) {
                    // An ommer's broken rule is named in what was got.
                    let is_it = |fault: &Fault, reason: &Reason| {
                        fault.reason == *reason
                            || fault.reason == InvalidOmmer && fault.got.contains(&format!(" {reason}: "))
                    };
                    if faults.iter().any(|fault| reasons.iter().any(|reason| is_it(fault, reason))) {
                        *refused.entry(exception.unwrap().into()).or_default() += 1;
                    } else {
                        let got: Vec<_> = faults.iter().map(ToString::to_string).collect();
                        missed.push(format!("{name}: {}: {got:?}", exception.unwrap()));
                    }
                }
            }
        }
    }
    assert!(missed.is_empty(), "{} missed:\n{}", missed.len(), missed.join("\n"));
    assert_eq!((valid, with_receipts, malformed, no_genesis), (8_848, 779, 37, 1));
    assert_eq!(refused.values().sum::<u32>(), 832, "{refused:?}");
}

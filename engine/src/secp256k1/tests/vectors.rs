//! Rows made elsewhere: Wycheproof's, and the signatures of real blocks.

use super::super::{Signature, recover};
use super::{Backend, library};
use crate::solo::transaction::Envelope;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::Address;
use alloy_rlp::Header;
use serde_json::Value;
use sha2::{Digest, Sha256, Sha512};
use sha3::Shake128;
use sha3::digest::{ExtendableOutput, Update, XofReader};
use std::path::Path;

/// The digest that a group of vectors signs: the leftmost 256 bits.
fn digest_of(name: &str, message: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    match name {
        "sha256" => digest.copy_from_slice(&Sha256::digest(message)),
        "sha512" => digest.copy_from_slice(&Sha512::digest(message)[..32]),
        _ => Shake128::default().chain(message).finalize_xof().read(&mut digest),
    }
    digest
}

fn bytes(value: &Value) -> Vec<u8> {
    alloy_primitives::hex::decode(value.as_str().expect("a text")).expect("hex")
}

/// A signature verifies under a key exactly if one of the four recovery ids gives that key.
#[test]
fn wycheproof() {
    let Some(data) = manaflow_datasets::data_for("wycheproof") else { return };
    let backends: Vec<_> = Backend::OF_PROCESSOR.into_iter().filter(|b| b.is_available()).collect();
    let (mut valid, mut invalid) = (0, 0);
    for name in ["sha256", "sha512", "shake128"] {
        let path = data.join(format!("vectors/wycheproof/ecdsa_secp256k1_{name}_p1363_test.json"));
        let file: Value = serde_json::from_slice(&std::fs::read(&path).expect("it is there")).expect("JSON");
        for group in file["testGroups"].as_array().expect("groups") {
            let key = bytes(&group["publicKey"]["uncompressed"]);
            for test in group["tests"].as_array().expect("tests") {
                let plain = bytes(&test["sig"]);
                let is_valid = test["result"] == "valid";
                let (Ok(r), Ok(s)) =
                    (plain.get(..32).unwrap_or(&[]).try_into(), plain.get(32..).unwrap_or(&[]).try_into())
                else {
                    // r and s of another length are no row.
                    assert!(!is_valid, "{test}");
                    continue;
                };
                let digest = digest_of(name, &bytes(&test["msg"]));
                let rows: Vec<_> = (0..4).map(|recovery_id| Signature { digest, r, s, recovery_id }).collect();
                for backend in &backends {
                    let found = recover(*backend, &rows).iter().flatten().any(|found| found.0[..] == key[1..]);
                    assert_eq!(found, is_valid, "{backend}: {name}: {test}");
                }
                if is_valid { valid += 1 } else { invalid += 1 }
            }
        }
    }
    assert!(valid > 300 && invalid > 150, "{valid}, {invalid}");
}

/// The transactions of a block's RLP, as EIP-2718 has them; `None` if it is no block.
fn transactions_of(mut block: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut body = Header::decode_bytes(&mut block, true).ok()?;
    Header::decode_bytes(&mut body, true).ok()?;
    let mut list = Header::decode_bytes(&mut body, true).ok()?;
    let mut out = Vec::new();
    while !list.is_empty() {
        let whole = list;
        let header = Header::decode(&mut list).ok()?;
        let (payload, rest) = list.split_at_checked(header.payload_length)?;
        list = rest;
        out.push(if header.list { whole[..whole.len() - rest.len()].to_vec() } else { payload.to_vec() });
    }
    Some(out)
}

/// Transactions of the spec tests' blocks with their senders, where the block is good enough to say them; one file in so many.
fn of_fixtures(data: &Path, one_in: usize) -> Vec<(Vec<u8>, Option<Address>)> {
    let (mut folders, mut files, mut out) = (vec![data.join("fixtures")], Vec::new(), Vec::new());
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                files.push(path);
            }
        }
    }
    files.sort();
    for file in files.iter().step_by(one_in) {
        let cases: Value = serde_json::from_slice(&std::fs::read(file).expect("a file")).expect("JSON");
        let blocks = cases.as_object().into_iter().flatten().filter_map(|(_, case)| case["blocks"].as_array());
        for block in blocks.flatten().filter(|block| block["rlp"].is_string()) {
            let senders = block["transactions"].as_array().into_iter().flatten();
            let mut senders = senders.map(|tx| tx["sender"].as_str().and_then(|text| text.parse().ok()));
            let transactions = transactions_of(&bytes(&block["rlp"])).unwrap_or_default();
            out.extend(transactions.into_iter().map(|tx| (tx, senders.next().flatten())));
        }
    }
    out
}

/// Transactions of mainnet blocks that have no state beside them, with their senders.
fn of_blocks_only(data: &Path) -> Vec<(Vec<u8>, Option<Address>)> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(data.join("mainnet/blocks_only")).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.ends_with("index.json") {
            continue;
        }
        let block: Value = serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON");
        let transactions: Vec<Envelope> = serde_json::from_value(block["transactions"].clone()).expect("transactions");
        let from = |i: usize| Some(block["transactions"][i]["from"].as_str()?.parse().expect("an address"));
        out.extend(transactions.iter().enumerate().map(|(i, tx)| (tx.encoded_2718(), from(i))));
    }
    out
}

/// Signatures of the test data, collected as validation does it: a part, or with `MANAFLOW_WHOLE=1` all of them.
#[test]
fn signatures_of_the_data_recover_to_their_sender() {
    use crate::solo::signature::collect_all;
    use manaflow_loader::source::{Source, recognise};
    let Some(data) = manaflow_datasets::data_for("signatures_of_the_data_recover_to_their_sender") else { return };
    let is_whole = manaflow_datasets::is_whole();
    let mut sources = vec![vec![data.join("mainnet/blocks")]];
    let mut folders = vec![data.join("chains/execapis")];
    if is_whole {
        let list =
            |name: &str| std::fs::read_dir(data.join(name)).expect("a folder").map(|e| e.expect("an entry").path());
        folders = list("chains").filter(|path| path.join("chain.rlp").is_file()).collect();
        sources.push(list("witness").filter(|path| path.join("block.json").is_file()).collect());
    }
    let mut bytes = Vec::new();
    for folder in folders {
        let options =
            manaflow_loader::source::Options { genesis: Some(folder.join("genesis.json")), ..Default::default() };
        let chain = recognise(&[folder.join("chain.rlp")], &options).expect("the data is whole");
        for source in &chain.sources {
            let Source::Chain(chain) = source else { continue };
            bytes.extend(chain.blocks().flat_map(|block| block.expect("the data is whole").transactions));
        }
    }
    for paths in sources.iter().filter(|paths| !paths.is_empty()) {
        let recognised = recognise(paths, &Default::default()).expect("the data is whole");
        for source in recognised.sources.iter().step_by(if is_whole { 1 } else { 3 }) {
            let Source::Snapshot(folder) = source else { continue };
            bytes.extend(folder.load().expect("the data is whole").block.transactions);
        }
    }
    let mut rows = Vec::new();
    for bytes in bytes {
        rows.extend(collect_all(&[&crate::solo::transaction::decode(&bytes).expect("it decodes")]));
    }
    let mut senders = Vec::new();
    let blocks_only = if is_whole { of_blocks_only(&data) } else { Vec::new() };
    for (bytes, sender) in of_fixtures(&data, if is_whole { 1 } else { 40 }).into_iter().chain(blocks_only) {
        // Some of these blocks are bad on purpose.
        let Ok(tx) = crate::solo::transaction::decode(&bytes) else { continue };
        senders.extend(sender.map(|sender| (rows.len(), sender)));
        rows.extend(collect_all(&[&tx]));
    }
    let expected: Vec<_> = rows.iter().map(library::recover).collect();
    let recovered = expected.iter().filter(|key| key.is_some()).count();
    eprintln!("{} signatures of the data, {recovered} with a key, {} with a sender beside", rows.len(), senders.len());
    assert!(recovered > if is_whole { 50_000 } else { 4000 }, "{recovered}");
    for (row, sender) in senders {
        assert_eq!(expected[row].map(|key| key.address()), Some(sender), "row {row}");
    }
    for backend in super::backends("signatures_of_the_data_recover_to_their_sender") {
        assert!(recover(backend, &rows) == expected, "{backend}");
    }
}

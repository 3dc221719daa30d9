//! Real chains have no fault, and what their files do not let B check is counted, exactly.

use super::*;
use alloy_consensus::ReceiptEnvelope;
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Bloom, Log};
use manaflow_loader::model::Status;
use std::io::Read;

/// Judges each block with its window; returns the sum of what was not checked.
fn judge_all(chain: &Chain) -> Unchecked {
    let mut unchecked = Unchecked::default();
    let mut total = Some(U256::ZERO);
    for (i, block) in chain.blocks.iter().enumerate() {
        let (faults, missing) = block.judge(&chain.window(i), total, &chain.rules);
        assert!(faults.is_empty(), "block {i}: {}", faults[0]);
        unchecked += missing;
        total = total_difficulty_after(total, &block.header);
    }
    unchecked
}

#[test]
fn five_chains_from_genesis_have_no_fault() {
    let Some(_) = manaflow_datasets::data_for("five_chains_from_genesis_have_no_fault") else { return };
    let mut blocks = 0;
    let mut ommers = 0;
    for (name, length) in
        [("hive3000", 3000), ("geth600", 600), ("execapis", 54), ("devp2p3000", 3000), ("hive1024", 1024)]
    {
        let chain = Chain::load(name);
        assert_eq!(chain.blocks.len(), length + 1, "{name}");
        let with_transactions = chain.blocks.iter().filter(|b| !b.transactions.is_empty()).count() as u64;
        let prague = chain.blocks.iter().filter(|b| b.header.requests_hash.is_some() && !b.transactions.is_empty());
        let with_requests = prague.count() as u64;
        // The files have no receipts: only what needs them is left out.
        let expected = Unchecked {
            gas_rules: with_transactions,
            receipts_roots: with_transactions,
            logs_blooms: with_transactions,
            deposit_rules: with_requests,
            requests_hashes: with_requests,
            ..Default::default()
        };
        assert_eq!(judge_all(&chain), expected, "{name}");
        blocks += length;
        ommers += chain.blocks.iter().map(|b| b.ommers.len()).sum::<usize>();
    }
    assert_eq!((blocks, ommers), (7_678, 18));
}

/// Blocks of an era1 file: (header, body without transactions, total difficulty after).
fn era1(path: &str) -> Vec<(OwnedBlock, U256)> {
    let bytes = std::fs::read(data(path)).unwrap();
    let (mut blocks, mut header, mut body) = (Vec::new(), None, None);
    let mut rest = &bytes[..];
    while let Some((head, tail)) = rest.split_first_chunk::<8>() {
        let length = u32::from_le_bytes(head[2..6].try_into().unwrap()) as usize;
        let (content, tail) = tail.split_at(length);
        let unpacked = || {
            let mut out = Vec::new();
            snap::read::FrameDecoder::new(content).read_to_end(&mut out).unwrap();
            out
        };
        match head[0] {
            0x03 if head[1] == 0 => header = Some(Header::decode(&mut &unpacked()[..]).unwrap()),
            0x04 => body = Some(alloy_consensus::BlockBody::<TxEnvelope>::decode(&mut &unpacked()[..]).unwrap()),
            0x06 => {
                let block = Block { header: header.take().unwrap(), body: body.take().unwrap() };
                blocks.push((OwnedBlock::from_alloy(block), U256::from_le_slice(content)));
            }
            _ => {}
        }
        rest = tail;
    }
    blocks
}

#[test]
fn era1_of_frontier_has_no_fault() {
    let Some(_) = manaflow_datasets::data_for("era1_of_frontier_has_no_fault") else { return };
    let (mut blocks, totals): (Vec<_>, Vec<_>) = era1("era1/mainnet-00000-5ec1ffb8.era1").into_iter().unzip();
    let mut genesis = json("genesis/mainnet.json");
    genesis["config"] = serde_json::json!({});
    blocks[0].allocation = Some(allocation_of(&serde_json::from_value(genesis).unwrap()));
    let chain = Chain { rules: mainnet(), blocks };
    assert_eq!(judge_all(&chain), Unchecked::default());
    assert_eq!(chain.blocks.len(), 8_192);
    assert_eq!(chain.blocks.iter().map(|b| b.ommers.len()).sum::<usize>(), 1_410);
    let mut total = Some(U256::ZERO);
    for (block, stated) in chain.blocks.iter().zip(totals) {
        total = total_difficulty_after(total, &block.header);
        assert_eq!(total, Some(stated));
    }
    assert_eq!(total, Some(U256::from(1_344_623_723_034_024u64)));
}

/// A header in the form of `eth_getBlockByNumber`, with its bloom made up if the source left it out.
fn rpc_header(block: &Json) -> Header {
    let mut block = block.clone();
    let object = block.as_object_mut().unwrap();
    object.retain(|_, value| !value.is_null());
    object.entry("logsBloom").or_insert_with(|| format!("{}", Bloom::ZERO).into());
    serde_json::from_value(block).unwrap()
}

#[test]
fn mainnet_headers_of_each_fork_follow_their_parents() {
    let Some(_) = manaflow_datasets::data_for("mainnet_headers_of_each_fork_follow_their_parents") else { return };
    let rules = mainnet();
    let mut pairs = Vec::new();
    for number in [
        1_150_000, 1_920_000, 2_463_000, 2_675_000, 4_370_000, 9_069_000, 15_050_000, 15_537_394, 19_426_587,
        21_688_509, 22_615_247,
    ] {
        pairs.push((json(&format!("witness/{number}/parent.json")), json(&format!("witness/{number}/block.json"))));
    }
    for number in [4_370_000, 7_280_000, 12_244_000, 15_537_394, 19_426_587] {
        let path = |number| format!("mainnet/blocks/{number}/block.json");
        pairs.push((json(&path(number - 1)), json(&path(number))));
    }
    assert_eq!(pairs.len(), 16);
    for (parent, block) in pairs {
        let parent_hash: B256 = parent["hash"].as_str().unwrap().parse().unwrap();
        let total = parent["totalDifficulty"].as_str().map(|total| total.parse().unwrap());
        let (parent, header) = (rpc_header(&parent), rpc_header(&block));
        let hash: B256 = block["hash"].as_str().unwrap().parse().unwrap();
        let number = header.number;
        let ancestor = Ancestor { header: &parent, hash: parent_hash, ommers: Some(&[]) };
        let input = HeaderInput { number, header: &header, hash, ommers: Ommers::Known(&[]) };
        let mut faults = Vec::new();
        let unchecked = check_links(&input, &[ancestor], total, &rules, &mut faults);
        assert!(faults.is_empty(), "block {number}: {}", faults[0]);
        assert_eq!((unchecked.parent_rules, unchecked.ommer_rules), (0, 0), "block {number}");
        assert_eq!(unchecked.merge_rules, u64::from(total.is_none()), "block {number}");
    }
}

#[test]
fn real_receipts_give_receipts_root_and_bloom() {
    let Some(_) = manaflow_datasets::data_for("real_receipts_give_receipts_root_and_bloom") else { return };
    let chain = Chain::load("execapis");
    let mut judged = 0;
    for entry in std::fs::read_dir(data("traces/execution_apis/debug_getRawReceipts")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let line = |prefix| text.lines().find_map(|line| line.strip_prefix(prefix));
        let (Some(asked), Some(answer)) = (line(">> "), line("<< ")) else { continue };
        let (asked, answer): (Json, Json) =
            (serde_json::from_str(asked).unwrap(), serde_json::from_str(answer).unwrap());
        let number = asked["params"][0].as_str().and_then(|hex| u64::from_str_radix(hex.strip_prefix("0x")?, 16).ok());
        let (Some(number), Some(receipts)) = (number, answer["result"].as_array()) else { continue };
        if number == 0 || number as usize >= chain.blocks.len() {
            continue;
        }
        let mut block = chain.blocks[number as usize].clone();
        let receipts = receipts.iter().map(|receipt| receipt.as_str().unwrap().parse::<Bytes>().unwrap());
        block.set_receipts(receipts.map(|bytes| ReceiptEnvelope::decode_2718(&mut &bytes[..]).unwrap()));
        let index = number as usize;
        let (faults, unchecked) = block.judge(&chain.window(index), chain.total(index), &chain.rules);
        assert!(faults.is_empty(), "block {number}: {}", faults[0]);
        assert_eq!(unchecked, Unchecked::default());
        judged += 1;
    }
    assert!(judged > 0, "no receipts found");
}

/// An outcome from a receipt in the form of `eth_getBlockReceipts`.
fn rpc_outcome(receipt: &Json) -> Outcome {
    let gas_used = receipt["gasUsed"].as_str().unwrap();
    let status = match receipt["status"].as_str() {
        Some("0x1") => Status::Success,
        Some(_) => Status::Failure,
        None => Status::Root(Some(receipt["root"].as_str().unwrap().parse().unwrap())),
    };
    let gas_used = u64::from_str_radix(&gas_used[2..], 16).unwrap();
    let logs: Vec<Log> = serde_json::from_value(receipt["logs"].clone()).unwrap();
    Outcome { status, gas_used, logs }
}

#[test]
fn receipts_of_another_client_give_all_roots_of_first_and_last_block() {
    let Some(_) = manaflow_datasets::data_for("receipts_of_another_client_give_all_roots_of_first_and_last_block")
    else {
        return;
    };
    let chain = Chain::load("execapis");
    for (file, number) in [("get-block-receipts-n.io", 1), ("get-block-receipts-latest.io", 54)] {
        let text =
            std::fs::read_to_string(data(&format!("traces/execution_apis/eth_getBlockReceipts/{file}"))).unwrap();
        let answer: Json =
            serde_json::from_str(text.lines().find_map(|line| line.strip_prefix("<< ")).unwrap()).unwrap();
        let mut block = chain.blocks[number].clone();
        let receipts = answer["result"].as_array().unwrap();
        assert_eq!(receipts.len(), block.transactions.len());
        for (transaction, receipt) in block.transactions.iter_mut().zip(receipts) {
            transaction.outcome = Some(rpc_outcome(receipt));
        }
        let (faults, unchecked) = block.judge(&chain.window(number), chain.total(number), &chain.rules);
        assert!(faults.is_empty(), "block {number}: {}", faults[0]);
        assert_eq!(unchecked, Unchecked::default());

        // And without the witness, before Byzantium, only the receipts root is left open.
        if number == 1 {
            block.transactions[0].outcome.as_mut().unwrap().status = Status::Root(None);
            let (faults, unchecked) = block.judge(&chain.window(number), chain.total(number), &chain.rules);
            assert_eq!((faults, unchecked), (vec![], Unchecked { receipts_roots: 1, ..Default::default() }));
        }
    }
}

#[test]
fn mainnet_bodies_have_the_roots_of_their_headers() {
    let Some(_) = manaflow_datasets::data_for("mainnet_bodies_have_the_roots_of_their_headers") else { return };
    let rules = mainnet();
    let mut paths: Vec<PathBuf> = std::fs::read_dir(data("mainnet/blocks"))
        .unwrap()
        .map(|entry| entry.unwrap().path().join("block.json"))
        .chain(std::fs::read_dir(data("mainnet/blocks_only")).unwrap().map(|entry| entry.unwrap().path()))
        .filter(|path| !path.ends_with("index.json"))
        .collect();
    paths.sort();
    let (mut transactions, mut with_ommers) = (0, 0);
    for path in &paths {
        let block: Json = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let envelopes: Vec<TxEnvelope> = serde_json::from_value(block["transactions"].clone()).unwrap();
        let mut owned = OwnedBlock::from_header(rpc_header(&block));
        owned.transactions = envelopes
            .iter()
            .map(|envelope| {
                let bytes = envelope.encoded_2718();
                let terms = BlockTransaction::new(&bytes, Some(envelope), None).terms;
                OwnedTransaction { bytes, terms, outcome: None }
            })
            .collect();
        owned.withdrawals = serde_json::from_value(block["withdrawals"].clone()).unwrap();
        owned.hash_write = Some(block["hash"].as_str().unwrap().parse().unwrap());
        owned.ommer_hashes = serde_json::from_value(block["uncles"].clone()).unwrap();
        owned.only_ommer_hashes = !owned.ommer_hashes.is_empty();
        let (faults, unchecked) = owned.judge(&[], None, &rules);
        assert!(faults.is_empty(), "{}: {}", path.display(), faults[0]);
        assert_eq!((unchecked.parent_rules, unchecked.merge_rules), (1, 1));
        assert_eq!(unchecked.ommers_hashes, u64::from(owned.only_ommer_hashes));
        transactions += envelopes.len();
        with_ommers += unchecked.ommer_rules;
    }
    assert_eq!((paths.len(), transactions), (93, 15_127 + 9_709));
    assert!(with_ommers > 0);
}

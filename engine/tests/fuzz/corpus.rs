//! Small valid inputs for each target, to be changed.

use super::targets::{SNAPSHOT_FILES, entry, list, pack, small_genesis};
use alloy_consensus::{Header, SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxEnvelope, TxLegacy};
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_eips::eip4895::Withdrawal;
use alloy_eips::eip7702::Authorization;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use manaflow_datasets::sign;
use manaflow_engine::import::import;
use manaflow_engine::validate::{Checks, Options, Order, Progress, StateRootAt, summarise};
use manaflow_loader::file::{BlockFile, Series};
use manaflow_loader::rules::ChainRules;
use manaflow_loader::source::{self, recognise};
use manaflow_loader::summary::Summary;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const KEY: B256 = B256::repeat_byte(0x46);

fn sender() -> Address {
    sign::address(KEY)
}

fn signed<T: SignableTransaction<Signature>>(tx: T) -> Vec<u8>
where
    TxEnvelope: From<alloy_consensus::Signed<T>>,
{
    sign::transaction(KEY, tx).into()
}

/// One of each type.
fn transactions() -> Vec<Vec<u8>> {
    let to = Address::repeat_byte(0xaa);
    let access_list =
        AccessList(vec![AccessListItem { address: to, storage_keys: vec![B256::ZERO, B256::with_last_byte(1)] }]);
    let (gas_limit, price) = (100_000, 2_000_000_000);
    let authorization = Authorization { chain_id: U256::from(9), address: to, nonce: 0 };
    let tuple = authorization.clone().into_signed(sign::signature(KEY, authorization.signature_hash()));
    vec![
        signed(TxLegacy {
            chain_id: Some(9),
            gas_price: price,
            gas_limit,
            to: to.into(),
            value: U256::ONE,
            ..Default::default()
        }),
        // Stores a word, calls itself not.
        signed(TxLegacy {
            chain_id: None,
            nonce: 1,
            gas_price: price,
            gas_limit,
            to: TxKind::Create,
            value: U256::ZERO,
            input: Bytes::from_static(&[0x60, 1, 0x60, 0, 0x55, 0x60, 1, 0x60, 0, 0xa0]),
        }),
        signed(TxEip2930 {
            chain_id: 9,
            nonce: 2,
            gas_price: price,
            gas_limit,
            to: to.into(),
            access_list: access_list.clone(),
            ..Default::default()
        }),
        signed(TxEip1559 {
            chain_id: 9,
            nonce: 3,
            gas_limit,
            max_fee_per_gas: price,
            max_priority_fee_per_gas: 1,
            to: to.into(),
            access_list: access_list.clone(),
            ..Default::default()
        }),
        signed(TxEip4844 {
            chain_id: 9,
            nonce: 4,
            gas_limit,
            max_fee_per_gas: price,
            max_fee_per_blob_gas: 1,
            to,
            blob_versioned_hashes: vec![B256::with_last_byte(1)],
            ..Default::default()
        }),
        signed(TxEip7702 {
            chain_id: 9,
            nonce: 5,
            gas_limit,
            max_fee_per_gas: price,
            to,
            authorization_list: vec![tuple],
            access_list,
            ..Default::default()
        }),
    ]
}

/// A genesis under which transactions of all types may be.
pub fn genesis_json() -> Value {
    json!({
        "config": {
            "chainId": 9, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0, "byzantiumBlock": 0,
            "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0, "berlinBlock": 0, "londonBlock": 0,
            "terminalTotalDifficulty": 0, "shanghaiTime": 0, "cancunTime": 0, "pragueTime": 0,
        },
        "gasLimit": "0x1c9c380", "difficulty": "0x0", "extraData": "0x01", "timestamp": "0x5",
        "alloc": {
            sender().to_string(): {"balance": "0xffffffffffffffffff"},
            Address::repeat_byte(0xaa).to_string(): {"balance": "0", "nonce": "0x1", "code": "0x60015460010160015500", "storage": {"0x01": "0x05"}},
        },
    })
}

fn header(number: u64, parent_hash: B256) -> Header {
    Header {
        number,
        parent_hash,
        gas_limit: 30_000_000,
        timestamp: 5 + number,
        base_fee_per_gas: Some(1_000_000_000),
        withdrawals_root: Some(B256::ZERO),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(B256::ZERO),
        ..Header::default()
    }
}

fn block(header: &Header) -> Vec<u8> {
    let transactions: Vec<Vec<u8>> =
        transactions().into_iter().map(|tx| if tx[0] < 0x80 { alloy_rlp::encode(&tx[..]) } else { tx }).collect();
    let transactions = list(&transactions.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let withdrawal = Withdrawal { index: 1, validator_index: 2, address: Address::repeat_byte(3), amount: 4 };
    let ommers = list(&[&alloy_rlp::encode(Header { number: header.number - 1, ..Header::default() })]);
    list(&[&alloy_rlp::encode(header), &transactions, &ommers, &alloy_rlp::encode(vec![withdrawal])])
}

/// The block after the small genesis.
pub fn first_block() -> Vec<u8> {
    block(&header(1, small_genesis().hash))
}

fn second_block() -> Vec<u8> {
    block(&header(2, header(1, small_genesis().hash).hash_slow()))
}

/// An old block: no field that came later, one transaction, no withdrawals.
fn old_block(number: u64, parent_hash: B256) -> Vec<u8> {
    let header = Header { number, parent_hash, difficulty: U256::from(17), gas_limit: 5000, ..Header::default() };
    list(&[&alloy_rlp::encode(&header), &list(&[&transactions()[0]]), &[0xc0]])
}

/// Kind and data of the entries of two blocks.
fn era1_entries() -> Vec<(u16, Vec<u8>)> {
    let parent = small_genesis().hash;
    let receipt = list(&[&list(&[&alloy_rlp::encode(B256::repeat_byte(7)), &[1], &[0x80], &[0xc0]])]);
    let mut entries = Vec::new();
    let mut records = Vec::new();
    for number in 1..3 {
        let header = Header { number, parent_hash: parent, difficulty: U256::from(17), ..Header::default() };
        records.push(sha256(&header.hash_slow().0, &U256::from(number * 17).to_le_bytes()));
        entries.push((0x03, alloy_rlp::encode(&header)));
        entries.push((0x04, list(&[&list(&[&transactions()[0]]), &[0xc0]])));
        entries.push((0x05, receipt.clone()));
        entries.push((0x06, U256::from(number * 17).to_le_bytes::<32>().to_vec()));
    }
    entries.push((0x07, accumulator(records).to_vec()));
    entries
}

fn sha256(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(left).chain_update(right).finalize().into()
}

/// The root of a list of at most 8,192 records, as SSZ has it: a tree of 13 levels filled up with zeros, then the count.
fn accumulator(mut level: Vec<[u8; 32]>) -> [u8; 32] {
    let mut count = [0; 32];
    count[0] = level.len() as u8;
    let mut empty = [0; 32];
    for _ in 0..13 {
        level = level.chunks(2).map(|pair| sha256(&pair[0], pair.get(1).unwrap_or(&empty))).collect();
        empty = sha256(&empty, &empty);
    }
    sha256(&level[0], &count)
}

fn era1_file() -> Vec<u8> {
    let mut file = entry(0x3265, &[]);
    let mut starts = Vec::new();
    for (kind, data) in era1_entries() {
        if kind == 0x03 {
            starts.push(file.len() as i64);
        }
        file.extend(if kind < 0x06 { entry(kind, &pack(&data)) } else { entry(kind, &data) });
    }
    let index_start = file.len() as i64;
    let mut index = 1_u64.to_le_bytes().to_vec();
    starts.iter().for_each(|start| index.extend((start - index_start).to_le_bytes()));
    index.extend((starts.len() as u64).to_le_bytes());
    file.extend(entry(0x3266, &index));
    file
}

fn snapshot_parts() -> Vec<String> {
    let parent = header(2, B256::ZERO);
    let header = header(3, parent.hash_slow());
    let mut block = serde_json::to_value(&header).expect("it serializes");
    block["hash"] = json!(header.hash_slow());
    block["totalDifficulty"] = json!("0x11");
    block["uncles"] = json!([]);
    block["withdrawals"] =
        json!([{"index": "0x1", "validatorIndex": "0x2", "address": Address::ZERO, "amount": "0x3"}]);
    block["transactions"] = json!([{
        "type": "0x2", "nonce": "0x0", "gas": "0x5208", "to": Address::ZERO, "value": "0x1", "input": "0x", "chainId": "0x9",
        "maxFeePerGas": "0x77359400", "maxPriorityFeePerGas": "0x1", "accessList": [], "yParity": "0x1", "r": "0x5", "s": "0x6",
    }, {"nonce": "0x1", "gasPrice": "0x1", "gas": "0x5208", "to": null, "value": "0x0", "input": "0x00", "v": "0x1b", "r": "0x7", "s": "0x8"}]);
    let code = Bytes::from_static(&[0x60]);
    let contract = Address::repeat_byte(0xab);
    vec![
        block.to_string(),
        json!({
            Address::repeat_byte(0xaa).to_string(): {"balance": "0x1", "nonce": 2, "storage": {"0x0": "0x0", "0x1f": "0x2"}},
            contract.to_string(): {"balance": "0x0", "nonce": "0x0", "code_hash": keccak256(&code)},
        })
        .to_string(),
        json!({"hash": keccak256(&code), "code": code}).to_string(),
        json!({"1": B256::ZERO, "2": parent.hash_slow()}).to_string(),
        json!([Address::repeat_byte(0xac)]).to_string(),
        serde_json::to_string(&parent).expect("it serializes"),
        json!([contract]).to_string(),
    ]
}

fn snapshot() -> Vec<u8> {
    let parts = snapshot_parts();
    assert_eq!(parts.len(), SNAPSHOT_FILES.len());
    parts.join("\0").into_bytes()
}

/// A case of the small chain as a spec test has it.
fn fixtures() -> Vec<u8> {
    let genesis = small_genesis();
    let h = &genesis.header;
    let byte = |n: u64| format!("{n:#04x}");
    let accounts = json!({Address::repeat_byte(0xaa).to_string(): {
        "nonce": "0x01", "balance": "0x00", "code": "0x6001", "storage": {"0x00": "0x01", "0x0f": "0x05"},
    }});
    let rlp = list(&[&genesis.header_rlp, &[0xc0], &[0xc0], &[0xc0]]);
    json!({
        "tests/a.py::test_a[fork_Prague]": {
            "network": "Prague", "lastblockhash": genesis.hash, "genesisRLP": Bytes::from(rlp), "sealEngine": "NoProof",
            "config": {"chainid": "0x09", "blobSchedule": {"Cancun": {
                "target": "0x03", "max": "0x06", "baseFeeUpdateFraction": "0x32f0ed",
            }}},
            "genesisBlockHeader": {
                "hash": genesis.hash, "parentHash": h.parent_hash, "uncleHash": h.ommers_hash, "coinbase": h.beneficiary,
                "stateRoot": h.state_root, "transactionsTrie": h.transactions_root, "receiptTrie": h.receipts_root,
                "bloom": h.logs_bloom, "difficulty": "0x00", "number": "0x00", "gasLimit": format!("{:#x}", h.gas_limit),
                "gasUsed": "0x00", "timestamp": byte(h.timestamp), "extraData": h.extra_data, "mixHash": h.mix_hash,
                "nonce": h.nonce, "baseFeePerGas": "0x3b9aca00", "withdrawalsRoot": h.withdrawals_root,
                "blobGasUsed": "0x00", "excessBlobGas": "0x00", "parentBeaconBlockRoot": h.parent_beacon_block_root,
                "requestsHash": h.requests_hash,
            },
            "pre": accounts, "postState": accounts,
            "blocks": [
                {"rlp": Bytes::from(first_block()), "blockHeader": {}},
                {"rlp": "0xc0", "expectException": "BlockException.RLP_STRUCTURES_ENCODING"},
            ],
        },
    })
    .to_string()
    .into_bytes()
}

/// What `import` makes of the small chain.
fn imported() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("genesis.json"), genesis_json().to_string()).expect("written");
    std::fs::write(path("chain.rlp"), [first_block(), second_block()].concat()).expect("written");
    let found = recognise(&[path("chain.rlp")], &source::Options::default()).expect("it is well-formed");
    let mut writer = Series::create(path("x.mana"), &found.rules, "corpus").expect("created");
    import(&found, &mut writer, &mut |_| {}).expect("imported");
    writer.finish().expect("written");
    std::fs::read(path("x.mana")).expect("there")
}

/// The summary of the small chain.
fn summary() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.mana");
    std::fs::write(&path, imported()).expect("written");
    let file = BlockFile::open(&path).expect("it is well-formed");
    let options = Options {
        order: Order::Forward,
        checks: Checks::ALL,
        blocks: Some(1..=2),
        state_root: Some(StateRootAt::Never),
        limit: 100,
        list_requirements: true,
        version: String::new(),
        revm: String::new(),
        ..Options::default()
    };
    let (_, segments) = summarise(&[&file], &options, &Progress::default(), None).expect("it can be judged");
    let rules = file.rules().clone();
    Summary { manaflow: "0".into(), revm: "0".into(), rules, input: None, segments }.encode()
}

/// Inputs of a target that it takes.
/// Code of real contracts, called with what looks like a call of theirs, under every fork; transfers; a few loops.
fn executions() -> Vec<Vec<u8>> {
    let file = BlockFile::open(manaflow_datasets::sample("mainnet.mana")).expect("it opens");
    let blobs = (0..file.code_count() as u32).filter_map(|i| file.shared_code(i).expect("it is well-formed").1);
    let codes: Vec<Bytes> = blobs.filter(|blob| (200..6_000).contains(&blob.len())).take(60).collect();
    assert!(codes.len() > 20, "{} codes", codes.len());
    let head = |fork: u8, to: u8, first: u8| [fork, 0x10, to, 0, 0, 50, 2, 0, 0, first, 0];
    let mut inputs = Vec::new();
    for (i, code) in codes.iter().enumerate() {
        // The selectors that its dispatcher compares with, each with two words.
        let selectors = code.windows(5).filter(|part| part[0] == 0x63).map(|part| &part[1..]).take(3);
        for selector in selectors {
            let mut words = [0; 64];
            words[12..32].fill(0x55);
            words[63] = i as u8;
            let data = [selector, &words].concat();
            let part = (code.len() * 255).div_ceil(code.len() + data.len()) as u8;
            inputs.push([&head(i as u8 % super::targets::execution::FORKS, 0, part)[..], code, &data].concat());
        }
    }
    for fork in 0..super::targets::execution::FORKS {
        for to in 3..8 {
            // Every kind of beneficiary; with a reward, and without one.
            for (miner, price) in (0..24).flat_map(|miner| [(miner, 50), (miner, 10), (miner, 0)]) {
                let mut transfer = head(fork, to, 255);
                (transfer[3], transfer[5]) = (miner, price);
                inputs.push(transfer.to_vec());
            }
        }
        // Stores, logs, and calls the other contract, which calls back, until gas is short.
        let call = |to: u8| [&[0x5f, 0x5f, 0x5f, 0x5f, 0x60, 1, 0x73][..], &[to; 20], &[0x5a, 0xf1]].concat();
        let first =
            [&[0x60, 1, 0x54, 0x60, 1, 0x01, 0x60, 1, 0x55][..], &call(0x55), &[0x60, 0, 0x60, 0, 0xa0]].concat();
        let second = [&[0x5b, 0x60, 3, 0x5a, 0x11, 0x15, 0x61, 0, 0][..], &[0x57], &call(0x22)].concat();
        let mut bytes = head(fork, 0, 120).to_vec();
        bytes[10] = 255;
        bytes.extend([first, second].concat());
        inputs.push(bytes);
    }
    inputs
}

pub fn inputs(target: &str) -> Vec<Vec<u8>> {
    let mainnet = ChainRules::named("mainnet").expect("it is built in");
    match target {
        "block_file" | "sealed_block_file" => vec![imported()],
        "block" => vec![first_block(), old_block(1, B256::ZERO)],
        "rlp_chain" => {
            vec![[first_block(), second_block()].concat(), second_block(), old_block(1, small_genesis().hash)]
        }
        "era1" => vec![era1_file()],
        "unpacked_era1" => {
            let entry = |(kind, data): (u16, Vec<u8>)| {
                [&kind.to_le_bytes()[..], &(data.len() as u16).to_le_bytes(), &data].concat()
            };
            vec![era1_entries().into_iter().flat_map(entry).collect()]
        }
        "snapshot" => vec![snapshot()],
        "genesis" => vec![genesis_json().to_string().into_bytes()],
        "fixtures" => vec![fixtures()],
        "summary" => vec![summary()],
        "rules" => vec![mainnet.to_bytes(), small_genesis().rules.to_bytes()],
        "transaction" => transactions(),
        "execution" => executions(),
        other => panic!("no inputs for {other}"),
    }
}

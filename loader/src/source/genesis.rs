//! Genesis files in go-ethereum's form: rules, header of block 0, allocation.
//!
//! Numbers may be hex strings, decimal strings or JSON numbers; keys of the top level are matched without regard to
//! case, as Go does (`mixhash` occurs). `gasLimit`, `difficulty` and `alloc` must be there, the rest has go-ethereum's
//! defaults.
//! A file without `config` names its chain by its hash only: the built-in rules under which block 0 has their genesis
//! hash are taken. A `stateRoot` in the file is compared with the root of the allocation.
//! Source: go-ethereum `core/genesis.go` (`toBlockWithRoot`).

use super::{Account, SourceBlock};
use crate::error::{Error, Result};
use crate::model::{BlockBody, Ommers};
use crate::rules::ChainRules;
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header, constants::EMPTY_WITHDRAWALS};
use alloy_eips::{eip1559::INITIAL_BASE_FEE, eip7685::EMPTY_REQUESTS_HASH};
use alloy_genesis::{ChainConfig, GenesisAccount};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_rlp::EMPTY_LIST_CODE;
use alloy_trie::{EMPTY_ROOT_HASH, root::state_root_ref_unhashed};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Keys of a genesis file's top level, in go-ethereum's spelling.
const KEYS: [&str; 17] = [
    "config",
    "nonce",
    "timestamp",
    "extraData",
    "gasLimit",
    "difficulty",
    "mixHash",
    "coinbase",
    "alloc",
    "number",
    "gasUsed",
    "parentHash",
    "baseFeePerGas",
    "excessBlobGas",
    "blobGasUsed",
    "stateRoot",
    "stateHash",
];

/// Block 0 of a chain and the state it allocates.
#[derive(Clone, Debug)]
pub struct Genesis {
    /// The file it was read from.
    pub path: PathBuf,
    /// Rules of the chain, with the hash of this block 0.
    pub rules: ChainRules,
    /// Header of block 0.
    pub header: Header,
    /// RLP of the header.
    pub header_rlp: Bytes,
    /// Hash of the header.
    pub hash: B256,
    /// Allocated accounts, ascending by address. Slots that are zero are left out; empty accounts are present.
    pub alloc: BTreeMap<Address, Account>,
    /// Codes of the allocated accounts by hash.
    pub codes: BTreeMap<B256, Bytes>,
}

impl Genesis {
    /// Reads a genesis file. `rules`, if given, replace the file's own `config`; a genesis hash that they state must be
    /// met.
    pub fn read(path: &Path, rules: Option<&ChainRules>) -> Result<Self> {
        let json: Map<String, Value> = super::read_json(path)?;
        let (file, has_config) = parse(path, json)?;
        let (rules, header) = match rules {
            Some(rules) => {
                let header = header(&file.genesis, rules).map_err(|e| Error::malformed(path, "genesis", e))?;
                (rules.clone(), header)
            }
            None if has_config => {
                let rules =
                    ChainRules::from_config(&file.genesis.config).map_err(|e| Error::malformed(path, "config", e))?;
                let header = header(&file.genesis, &rules).map_err(|e| Error::malformed(path, "genesis", e))?;
                (rules, header)
            }
            None => built_in(path, &file.genesis)?,
        };
        if let Some(expected) = file.state_root
            && expected != header.state_root
        {
            let reason = format!("the allocation has root {}, the file says {expected}", header.state_root);
            return Err(Error::malformed(path, "stateRoot", reason));
        }
        let hash = header.hash_slow();
        if let Some(expected) = rules.genesis
            && expected != hash
        {
            let reason = format!("block 0 has hash {hash}, the rules of {} expect {expected}", rules.name());
            return Err(Error::malformed(path, "genesis", reason));
        }
        let rules = ChainRules { genesis: Some(hash), ..rules };
        let (alloc, codes) = allocation(&file.genesis.alloc);
        let header_rlp = Bytes::from(alloy_rlp::encode(&header));
        Ok(Self { path: path.to_path_buf(), rules, header, header_rlp, hash, alloc, codes })
    }

    /// Block 0: the header and an empty body.
    pub fn block(&self) -> SourceBlock {
        let empty_list = Bytes::from_static(&[EMPTY_LIST_CODE]);
        SourceBlock {
            number: 0,
            body: BlockBody {
                header: self.header_rlp.clone(),
                ommers: Ommers::Headers(empty_list.clone()),
                withdrawals: self.header.withdrawals_root.map(|_| empty_list),
            },
            header: Box::new(self.header.clone()),
            hash: self.hash,
            transactions: Vec::new(),
            witness_roots: None,
            total_difficulty: Some(self.header.difficulty),
        }
    }
}

/// The header of block 0 under the rules that hold at block 0 and the genesis timestamp.
pub(crate) fn header(genesis: &alloy_genesis::Genesis, rules: &ChainRules) -> Result<Header, String> {
    if let Some(number) = genesis.number.filter(|n| *n != 0) {
        return Err(format!("number: got {number}, expected 0"));
    }
    let is_london = rules.london == Some(0);
    let is_active = |time: Option<u64>| is_london && time.is_some_and(|t| t <= genesis.timestamp);
    let base_fee = match genesis.base_fee_per_gas {
        _ if !is_london => None,
        Some(fee) => Some(u64::try_from(fee).map_err(|_| format!("baseFeePerGas: got {fee}, expected below 2^64"))?),
        None => Some(INITIAL_BASE_FEE),
    };
    let is_cancun = is_active(rules.cancun);
    Ok(Header {
        parent_hash: genesis.parent_hash.unwrap_or_default(),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: genesis.coinbase,
        state_root: state_root_ref_unhashed(&genesis.alloc),
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        difficulty: genesis.difficulty,
        gas_limit: genesis.gas_limit,
        timestamp: genesis.timestamp,
        extra_data: genesis.extra_data.clone(),
        mix_hash: genesis.mix_hash,
        nonce: genesis.nonce.into(),
        base_fee_per_gas: base_fee,
        withdrawals_root: is_active(rules.shanghai).then_some(EMPTY_WITHDRAWALS),
        blob_gas_used: is_cancun.then(|| genesis.blob_gas_used.unwrap_or(0)),
        excess_blob_gas: is_cancun.then(|| genesis.excess_blob_gas.unwrap_or(0)),
        parent_beacon_block_root: is_cancun.then_some(B256::ZERO),
        requests_hash: is_active(rules.prague).then_some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    })
}

/// Rules of a file without `config`: those built-in ones whose genesis hash it has.
fn built_in(path: &Path, genesis: &alloy_genesis::Genesis) -> Result<(ChainRules, Header)> {
    for (_, rules) in ChainRules::built_in() {
        let header = header(genesis, &rules).map_err(|e| Error::malformed(path, "genesis", e))?;
        if Some(header.hash_slow()) == rules.genesis {
            return Ok((rules, header));
        }
    }
    let reason = "is missing, and block 0 is not that of a built-in chain: the rules are not known";
    Err(Error::malformed(path, "config", reason))
}

/// A genesis file as it stands.
struct File {
    genesis: alloy_genesis::Genesis,
    state_root: Option<B256>,
}

/// Reads the parts one by one, so that an error can name the part; says whether there is a `config`.
fn parse(path: &Path, json: Map<String, Value>) -> Result<(File, bool)> {
    let mut fields = Map::new();
    for (key, value) in json {
        // Clients write further keys; those without meaning for block 0 are theirs.
        let Some(name) = KEYS.into_iter().find(|name| name.eq_ignore_ascii_case(&key)) else { continue };
        if value.is_null() {
            continue;
        }
        if fields.insert(name.into(), value).is_some() {
            return Err(Error::malformed(path, name, "is there twice"));
        }
    }
    for key in ["gasLimit", "difficulty", "alloc"] {
        if !fields.contains_key(key) {
            return Err(Error::malformed(path, key, "is missing"));
        }
    }
    let config = fields.remove("config");
    let has_config = config.is_some();
    let config = match config {
        Some(value) => serde_json::from_value(value).map_err(|e| Error::malformed(path, "config", e.to_string()))?,
        None => ChainConfig::default(),
    };
    let alloc = parse_alloc(path, fields.remove("alloc").unwrap_or_default())?;
    let state_root = match fields.remove("stateRoot").or_else(|| fields.remove("stateHash")) {
        Some(value) => {
            Some(serde_json::from_value(value).map_err(|e| Error::malformed(path, "stateRoot", e.to_string()))?)
        }
        None => None,
    };
    if let Some(value) = fields.remove("gasUsed") {
        let gas: U256 = serde_json::from_value(value).map_err(|e| Error::malformed(path, "gasUsed", e.to_string()))?;
        if !gas.is_zero() {
            return Err(Error::malformed(path, "gasUsed", format!("got {gas}, expected 0")));
        }
    }
    // Each field alone first: serde's own message does not say which one is wrong.
    for (key, value) in &fields {
        let one = Map::from_iter([(key.clone(), value.clone())]);
        serde_json::from_value::<alloy_genesis::Genesis>(Value::Object(one))
            .map_err(|e| Error::malformed(path, key, e.to_string()))?;
    }
    let genesis: alloy_genesis::Genesis = serde_json::from_value(Value::Object(fields))
        .map_err(|e| Error::malformed(path, "header fields", e.to_string()))?;
    Ok((File { genesis: alloy_genesis::Genesis { config, alloc, ..genesis }, state_root }, has_config))
}

fn parse_alloc(path: &Path, value: Value) -> Result<BTreeMap<Address, GenesisAccount>> {
    let Value::Object(accounts) = value else {
        return Err(Error::malformed(path, "alloc", "is not an object"));
    };
    let mut alloc = BTreeMap::new();
    for (key, value) in accounts {
        let place = || format!("alloc: {key}");
        let address: Address = key.parse().map_err(|_| Error::malformed(path, place(), "is not an address"))?;
        let slots = value.get("storage").and_then(Value::as_object).map_or(0, Map::len);
        let account: GenesisAccount =
            serde_json::from_value(value).map_err(|e| Error::malformed(path, place(), e.to_string()))?;
        if account.storage.as_ref().map_or(0, BTreeMap::len) != slots {
            return Err(Error::malformed(path, place(), "a slot of its storage is there twice"));
        }
        if alloc.insert(address, account).is_some() {
            return Err(Error::malformed(path, place(), "is there twice"));
        }
    }
    Ok(alloc)
}

fn allocation(alloc: &BTreeMap<Address, GenesisAccount>) -> (BTreeMap<Address, Account>, BTreeMap<B256, Bytes>) {
    let mut codes = BTreeMap::new();
    let accounts = alloc.iter().map(|(address, account)| {
        let code_hash = match account.non_empty_code() {
            Some(code) => {
                let hash = keccak256(code);
                codes.insert(hash, code.clone());
                hash
            }
            None => KECCAK256_EMPTY,
        };
        let storage = account
            .storage_slots()
            .filter(|(_, value)| !value.is_zero())
            .map(|(slot, value)| (slot.into(), value))
            .collect();
        let nonce = account.nonce.unwrap_or(0);
        (*address, Account { balance: account.balance, nonce, code_hash, storage })
    });
    (accounts.collect(), codes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_rlp::Decodable;
    use serde_json::json;

    fn read(json: &Value) -> Result<Genesis> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("genesis.json");
        std::fs::write(&path, json.to_string()).expect("written");
        Genesis::read(&path, None)
    }

    fn minimal() -> Value {
        json!({
            "config": {"chainId": 9, "homesteadBlock": 0},
            "gasLimit": "0x1388", "difficulty": 17, "extraData": "", "nonce": "66", "MIXHASH": B256::repeat_byte(3),
            "alloc": {
                "0x00000000000000000000000000000000000000aa": {"balance": "1"},
                "00000000000000000000000000000000000000Ab": {
                    "balance": "0x2", "nonce": "0x3", "code": "0x6001", "storage": {"0x01": "0x05", "02": "0x00"}
                },
                "00000000000000000000000000000000000000ac": {"balance": "0x0"},
            }
        })
    }

    #[test]
    fn numbers_are_read_in_all_their_forms() {
        let genesis = read(&minimal()).expect("well-formed");
        assert_eq!(genesis.header.gas_limit, 5000);
        assert_eq!(genesis.header.difficulty, U256::from(17));
        assert_eq!(u64::from(genesis.header.nonce), 66);
        assert_eq!(genesis.header.mix_hash, B256::repeat_byte(3));
        assert_eq!(genesis.header.base_fee_per_gas, None);
        assert_eq!(genesis.rules.genesis, Some(genesis.hash));
        assert_eq!(genesis.alloc.len(), 3);
        let contract = &genesis.alloc[&Address::with_last_byte(0xab)];
        assert_eq!((contract.balance, contract.nonce), (U256::from(2), 3));
        assert_eq!(contract.storage, BTreeMap::from([(U256::ONE, U256::from(5))]));
        assert_eq!(genesis.codes[&contract.code_hash].as_ref(), [0x60, 0x01]);
        assert_eq!(Header::decode(&mut genesis.header_rlp.as_ref()), Ok(genesis.header.clone()));
        assert_eq!(keccak256(&genesis.header_rlp), genesis.hash);
    }

    #[test]
    fn later_forks_at_block_0_fill_the_header() {
        let mut json = minimal();
        json["config"] = json!({
            "chainId": 9, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0, "byzantiumBlock": 0,
            "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0, "berlinBlock": 0, "londonBlock": 0,
            "terminalTotalDifficulty": 0, "shanghaiTime": 0, "cancunTime": 0, "pragueTime": 5,
        });
        let before = read(&json).expect("well-formed").header;
        assert_eq!(before.base_fee_per_gas, Some(1_000_000_000));
        assert_eq!(before.withdrawals_root, Some(EMPTY_ROOT_HASH));
        assert_eq!((before.blob_gas_used, before.excess_blob_gas), (Some(0), Some(0)));
        assert_eq!(before.parent_beacon_block_root, Some(B256::ZERO));
        assert_eq!(before.requests_hash, None);
        json["timestamp"] = json!("0x5");
        json["baseFeePerGas"] = json!("0x7");
        json["excessBlobGas"] = json!("0x20000");
        let after = read(&json).expect("well-formed").header;
        assert_eq!(after.base_fee_per_gas, Some(7));
        assert_eq!(after.excess_blob_gas, Some(0x20000));
        assert_eq!(after.requests_hash, Some(EMPTY_REQUESTS_HASH));
        json["config"]["londonBlock"] = json!(1);
        json["config"]["shanghaiTime"] = json!(9);
        json["config"]["cancunTime"] = json!(9);
        json["config"]["pragueTime"] = json!(9);
        let early = read(&json).expect("well-formed");
        assert_eq!(early.header.base_fee_per_gas, None, "London is not active at block 0");
        assert_eq!(early.block().body.withdrawals, None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let change = |f: &dyn Fn(&mut Value)| {
            let mut json = minimal();
            f(&mut json);
            read(&json).expect_err("must be refused").to_string()
        };
        type Change<'a> = (&'a dyn Fn(&mut Value), &'a str);
        let cases: [Change<'_>; 12] = [
            (&|j| j["gasLimit"] = Value::Null, "gasLimit: is missing"),
            (&|j| j["gasLimit"] = json!("0x1ffffffffffffffff"), "gasLimit"),
            (&|j| j["extraData"] = json!("0xz"), "extraData"),
            (&|j| j["mixhash"] = json!(B256::ZERO), "mixHash: is there twice"),
            (&|j| j["number"] = json!("0x1"), "number: got 1, expected 0"),
            (&|j| j["gasUsed"] = json!("0x1"), "gasUsed: got 1, expected 0"),
            (&|j| j["stateRoot"] = json!(B256::ZERO), "stateRoot: the allocation has root"),
            (&|j| j["config"] = Value::Null, "config: is missing"),
            (&|j| j["config"]["homesteadBlock"] = json!("x"), "config"),
            (&|j| j["alloc"]["zz"] = json!({"balance": "1"}), "alloc: zz: is not an address"),
            (&|j| j["alloc"]["00000000000000000000000000000000000000aA"] = json!({"balance": "1"}), "twice"),
            (&|j| j["alloc"]["00000000000000000000000000000000000000ad"] = json!({"balanse": "1"}), "0000ad: unknown"),
        ];
        for (f, words) in cases {
            let reason = change(f);
            assert!(reason.contains(words), "{words}: {reason}");
        }
    }

    #[test]
    fn stated_rules_must_have_this_genesis() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("genesis.json");
        std::fs::write(&path, minimal().to_string()).expect("written");
        let mainnet = ChainRules::named("mainnet").expect("built in");
        let error = Genesis::read(&path, Some(&mainnet)).expect_err("not mainnet").to_string();
        assert!(error.contains("the rules of mainnet expect 0xd4e567"), "{error}");
        let any = ChainRules { genesis: None, ..mainnet };
        let genesis = Genesis::read(&path, Some(&any)).expect("no genesis hash to meet");
        assert_eq!(genesis.rules.chain_id, 1);
        assert_eq!(genesis.rules.genesis, Some(genesis.hash));
    }

    #[test]
    fn text_that_is_no_json_says_where() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("genesis.json");
        std::fs::write(&path, "{\"alloc\":\n {,").expect("written");
        let error = Genesis::read(&path, None).expect_err("no JSON").to_string();
        assert!(error.contains("line 2 column 3"), "{error}");
        let absent = folder.path().join("absent.json");
        assert!(Genesis::read(&absent, None).expect_err("no file").is_input());
    }
}

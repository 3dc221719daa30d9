//! Spec tests in blockchain form: cases with a genesis, blocks to be accepted or refused, and the state that must be left.
//!
//! A file is a JSON object from case names to cases. Of a case are read: `network`, `config`, `genesisBlockHeader`,
//! `genesisRLP` (where it is missing, block 0 is put together from the header), `pre`, `blocks` (their `rlp`, and what
//! refusal is expected), `lastblockhash`, `postState` or `postStateHash`. JSON forms of blocks and transactions are for
//! people and passed over. `sealEngine` is too: proof of work is checked by nobody here.
//! Quantities may have leading zeros. Twice the same key in one object is malformed.
//! Memory: a multiple of the file's size. `decode` is a plain function of the bytes.
//! Source: ethereum/execution-spec-tests, `docs/running_tests/test_formats/blockchain_test.md`; ethereum/tests.

use super::{Account, Genesis, SourceBlock};
use crate::error::{Error, Result};
use crate::rules::{BlobSchedule, ChainRules};
use alloy_consensus::Header;
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_rlp::EMPTY_LIST_CODE;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name in the file.
    pub name: String,
    /// The network that it names.
    pub network: String,
    /// Block 0 as it stands in a chain.
    pub genesis_rlp: Bytes,
    /// Block 0, its allocation, the network's rules; a sentence where the network is not known.
    pub genesis: Result<Arc<Genesis>, String>,
    /// Blocks in the order of the test.
    pub blocks: Vec<CaseBlock>,
    /// Hash of the block that the chain must end with.
    pub last_block_hash: B256,
    /// State that must be left.
    pub post: PostState,
}

/// A block of a case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CaseBlock {
    /// The block's bytes, whatever they are.
    pub rlp: Bytes,
    /// Why it must be refused, in the test's words; [`UNNAMED`] where the test has none. `None`: it must be accepted.
    pub exception: Option<String>,
}

/// Stands for the exception of a block that must be refused and does not say why.
pub const UNNAMED: &str = "(unnamed)";

/// The state that a case must leave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PostState {
    /// All accounts, with their storage words that are not zero.
    Accounts(BTreeMap<Address, Account>),
    /// Its root.
    Root(B256),
}

/// What is wrong with a file of cases.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotCases {
    /// Line and column, or case and field.
    pub place: String,
    /// What was got and what was expected.
    pub reason: String,
}

/// Reads a file of cases, in the order of the file.
pub fn read(path: &Path) -> Result<Vec<Case>> {
    let bytes = super::read_regular(path)?;
    let mut cases = decode(&bytes).map_err(|e| Error::malformed(path, e.place, e.reason))?;
    for genesis in cases.iter_mut().filter_map(|case| case.genesis.as_mut().ok()) {
        if let Some(genesis) = Arc::get_mut(genesis) {
            genesis.path = path.to_path_buf();
        }
    }
    Ok(cases)
}

/// Decodes a file of cases.
pub fn decode(bytes: &[u8]) -> Result<Vec<Case>, NotCases> {
    let raw: Entries<RawCase> = serde_json::from_slice(bytes).map_err(|e| {
        let text = e.to_string();
        let place = format!("line {} column {}", e.line(), e.column());
        let reason = text.strip_suffix(&format!(" at {place}")).unwrap_or(&text).to_string();
        NotCases { place, reason }
    })?;
    if raw.0.is_empty() {
        return Err(NotCases { place: "line 1 column 1".into(), reason: "holds no case".into() });
    }
    raw.0
        .into_iter()
        .map(|(name, raw)| {
            let named = format!("case {name:?}");
            case(name, raw).map_err(|(place, reason)| NotCases { place: format!("{named}, {place}"), reason })
        })
        .collect()
}

/// Whether JSON that is no other source looks like a file of cases: an object whose first value has `blocks` and `pre`.
pub(super) fn looks_like_cases(json: &serde_json::Map<String, serde_json::Value>) -> bool {
    json.values().next().is_some_and(|case| case.get("blocks").is_some() && case.get("pre").is_some())
}

/// A JSON object as it stands, in order, keys distinct.
struct Entries<T>(Vec<(String, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
            type Value = Entries<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<T>, A::Error> {
                let mut seen = std::collections::HashSet::new();
                let mut entries = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    if !seen.insert(key.clone()) {
                        return Err(serde::de::Error::custom(format!("{key:?} is there twice")));
                    }
                    entries.push((key, map.next_value()?));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCase {
    network: String,
    config: Option<RawConfig>,
    genesis_block_header: RawHeader,
    #[serde(rename = "genesisRLP")]
    genesis_rlp: Option<String>,
    pre: Entries<RawAccount>,
    blocks: Vec<RawBlock>,
    lastblockhash: String,
    post_state: Option<Entries<RawAccount>>,
    post_state_hash: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawConfig {
    chainid: Option<String>,
    #[serde(default)]
    blob_schedule: Entries<RawBlobs>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBlobs {
    target: String,
    max: String,
    base_fee_update_fraction: String,
}

#[derive(serde::Deserialize)]
struct RawAccount {
    nonce: String,
    balance: String,
    code: String,
    storage: Entries<String>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBlock {
    rlp: String,
    block_header: Option<IgnoredAny>,
    expect_exception: Option<String>,
    #[serde(rename = "expectExceptionALL")]
    expect_exception_all: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawHeader {
    hash: String,
    parent_hash: String,
    uncle_hash: String,
    coinbase: String,
    state_root: String,
    transactions_trie: String,
    receipt_trie: String,
    bloom: String,
    difficulty: String,
    number: String,
    gas_limit: String,
    gas_used: String,
    timestamp: String,
    extra_data: String,
    mix_hash: String,
    nonce: String,
    base_fee_per_gas: Option<String>,
    withdrawals_root: Option<String>,
    blob_gas_used: Option<String>,
    excess_blob_gas: Option<String>,
    parent_beacon_block_root: Option<String>,
    requests_hash: Option<String>,
}

/// Place and reason.
type Wrong = (String, String);

fn case(name: String, raw: RawCase) -> Result<Case, Wrong> {
    let stated: B256 = hash("genesisBlockHeader, hash", &raw.genesis_block_header.hash)?;
    let (genesis_rlp, block) = match &raw.genesis_rlp {
        Some(rlp) => {
            let rlp = bytes("genesisRLP", rlp)?;
            let block = SourceBlock::from_rlp(&rlp).map_err(|e| ("genesisRLP".to_string(), e))?;
            (rlp, block)
        }
        None => {
            let rlp = block_of(&header(&raw.genesis_block_header)?);
            let block = SourceBlock::from_rlp(&rlp).map_err(|e| ("genesisBlockHeader".to_string(), e))?;
            (rlp, block)
        }
    };
    if block.hash != stated {
        let from = if raw.genesis_rlp.is_some() { "genesisRLP" } else { "the header's fields" };
        let reason = format!("got {stated}, expected {}, the hash of {from}", block.hash);
        return Err(("genesisBlockHeader, hash".into(), reason));
    }
    let (alloc, codes) = accounts("pre", raw.pre)?;
    let post = match (raw.post_state, &raw.post_state_hash) {
        (Some(state), None) => PostState::Accounts(accounts("postState", state)?.0),
        (None, Some(root)) => PostState::Root(hash("postStateHash", root)?),
        (Some(_), Some(_)) => return Err(("postStateHash".into(), "is there beside postState".into())),
        (None, None) => return Err(("postState".into(), "is missing, and so is postStateHash".into())),
    };
    let (chain_id, schedule) = config(raw.config)?;
    let genesis = ChainRules::of_network(&raw.network, chain_id, &schedule).map(|rules| {
        Arc::new(Genesis {
            path: name.clone().into(),
            rules: ChainRules { genesis: Some(block.hash), ..rules },
            header_rlp: block.body.header.clone(),
            hash: block.hash,
            header: *block.header,
            alloc,
            codes,
        })
    });
    let blocks = raw.blocks.into_iter().enumerate().map(|(i, raw)| {
        let rlp = bytes(&format!("block {i} of the list, rlp"), &raw.rlp)?;
        let unnamed = raw.block_header.is_none().then(|| UNNAMED.to_string());
        Ok(CaseBlock { rlp, exception: raw.expect_exception.or(raw.expect_exception_all).or(unnamed) })
    });
    let blocks = blocks.collect::<Result<Vec<_>, Wrong>>()?;
    let last_block_hash = hash("lastblockhash", &raw.lastblockhash)?;
    Ok(Case { name, network: raw.network, genesis_rlp, genesis, blocks, last_block_hash, post })
}

fn config(raw: Option<RawConfig>) -> Result<(u64, BlobSchedule), Wrong> {
    let Some(raw) = raw else { return Ok((1, BlobSchedule::new())) };
    let chain_id = raw.chainid.map_or(Ok(1), |id| number("config, chainid", &id))?;
    let mut schedule = BlobSchedule::new();
    for (fork, blobs) in raw.blob_schedule.0 {
        let of = |field: &str, text: &str| number(&format!("config, blobSchedule, {fork}, {field}"), text);
        let parameters = (
            of("target", &blobs.target)?,
            of("max", &blobs.max)?,
            of("baseFeeUpdateFraction", &blobs.base_fee_update_fraction)?,
        );
        schedule.insert(fork, parameters);
    }
    Ok((chain_id, schedule))
}

type Accounts = (BTreeMap<Address, Account>, BTreeMap<B256, Bytes>);

fn accounts(field: &str, raw: Entries<RawAccount>) -> Result<Accounts, Wrong> {
    let mut accounts = BTreeMap::new();
    let mut codes = BTreeMap::new();
    for (key, raw) in raw.0 {
        let place = format!("{field}, {key}");
        let of = |field: &str| format!("{place}, {field}");
        let address: Address = parse(&place, &key, "an address")?;
        let code = bytes(&of("code"), &raw.code)?;
        let code_hash = if code.is_empty() { KECCAK256_EMPTY } else { keccak256(&code) };
        if !code.is_empty() {
            codes.insert(code_hash, code);
        }
        let mut storage = BTreeMap::new();
        for (slot, word) in raw.storage.0 {
            let place = of(&format!("storage {slot}"));
            let (slot, word) = (quantity(&place, &slot)?, quantity(&place, &word)?);
            if !word.is_zero() && storage.insert(slot, word).is_some() {
                return Err((place, "is there twice".into()));
            }
        }
        let balance = quantity(&of("balance"), &raw.balance)?;
        let nonce = number(&of("nonce"), &raw.nonce)?;
        if accounts.insert(address, Account { balance, nonce, code_hash, storage }).is_some() {
            return Err((place, "is there twice".into()));
        }
    }
    Ok((accounts, codes))
}

fn header(raw: &RawHeader) -> Result<Header, Wrong> {
    let at = |field: &str| format!("genesisBlockHeader, {field}");
    let word = |field: &str, text: &str| hash(&at(field), text);
    let count = |field: &str, text: &str| number(&at(field), text);
    let some_word = |field: &str, text: &Option<String>| text.as_deref().map(|t| word(field, t)).transpose();
    let some_count = |field: &str, text: &Option<String>| text.as_deref().map(|t| count(field, t)).transpose();
    Ok(Header {
        parent_hash: word("parentHash", &raw.parent_hash)?,
        ommers_hash: word("uncleHash", &raw.uncle_hash)?,
        beneficiary: parse(&at("coinbase"), &raw.coinbase, "an address")?,
        state_root: word("stateRoot", &raw.state_root)?,
        transactions_root: word("transactionsTrie", &raw.transactions_trie)?,
        receipts_root: word("receiptTrie", &raw.receipt_trie)?,
        logs_bloom: parse::<Bloom>(&at("bloom"), &raw.bloom, "256 bytes")?,
        difficulty: quantity(&at("difficulty"), &raw.difficulty)?,
        number: count("number", &raw.number)?,
        gas_limit: count("gasLimit", &raw.gas_limit)?,
        gas_used: count("gasUsed", &raw.gas_used)?,
        timestamp: count("timestamp", &raw.timestamp)?,
        extra_data: bytes(&at("extraData"), &raw.extra_data)?,
        mix_hash: word("mixHash", &raw.mix_hash)?,
        nonce: parse::<B64>(&at("nonce"), &raw.nonce, "8 bytes")?,
        base_fee_per_gas: some_count("baseFeePerGas", &raw.base_fee_per_gas)?,
        withdrawals_root: some_word("withdrawalsRoot", &raw.withdrawals_root)?,
        blob_gas_used: some_count("blobGasUsed", &raw.blob_gas_used)?,
        excess_blob_gas: some_count("excessBlobGas", &raw.excess_blob_gas)?,
        parent_beacon_block_root: some_word("parentBeaconBlockRoot", &raw.parent_beacon_block_root)?,
        requests_hash: some_word("requestsHash", &raw.requests_hash)?,
        ..Header::default()
    })
}

/// A block of a header and an empty body.
fn block_of(header: &Header) -> Bytes {
    let mut payload = alloy_rlp::encode(header);
    payload.extend(vec![EMPTY_LIST_CODE; 2 + usize::from(header.withdrawals_root.is_some())]);
    let mut out = Vec::with_capacity(payload.len() + 4);
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend(payload);
    out.into()
}

/// A word of a fixed number of bytes, with `0x`.
fn parse<T: std::str::FromStr>(place: &str, text: &str, what: &str) -> Result<T, Wrong> {
    let parsed = if text.starts_with("0x") { text.parse().ok() } else { None };
    parsed.ok_or_else(|| (place.to_string(), format!("got {}, expected {what} in hexadecimal", said(text))))
}

fn hash(place: &str, text: &str) -> Result<B256, Wrong> {
    parse(place, text, "32 bytes")
}

fn bytes(place: &str, text: &str) -> Result<Bytes, Wrong> {
    parse(place, text, "bytes")
}

/// A number of up to 256 bits, leading zeros allowed.
fn quantity(place: &str, text: &str) -> Result<U256, Wrong> {
    let digits = text.strip_prefix("0x").filter(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_hexdigit()));
    let parsed = digits.and_then(|digits| U256::from_str_radix(digits, 16).ok());
    parsed.ok_or_else(|| (place.into(), format!("got {}, expected a number in hexadecimal, below 2^256", said(text))))
}

fn number(place: &str, text: &str) -> Result<u64, Wrong> {
    let wide = quantity(place, text)?;
    u64::try_from(wide).map_err(|_| (place.into(), format!("got {}, expected below 2^64", said(text))))
}

/// A text as an error repeats it: not all of a long one.
fn said(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{:?} and {} bytes more", &text[..end], text.len() - end),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn minimal() -> Value {
        let header = Header { gas_limit: 5000, difficulty: U256::from(2), ..Header::default() };
        let zero = B256::ZERO;
        json!({"one": {
            "network": "Berlin", "_info": {}, "sealEngine": "NoProof", "lastblockhash": header.hash_slow(),
            "genesisRLP": block_of(&header),
            "genesisBlockHeader": {
                "hash": header.hash_slow(), "parentHash": zero, "uncleHash": header.ommers_hash,
                "coinbase": Address::ZERO, "stateRoot": header.state_root, "transactionsTrie": header.transactions_root,
                "receiptTrie": header.receipts_root, "bloom": Bloom::ZERO, "difficulty": "0x02", "number": "0x00",
                "gasLimit": "0x1388", "gasUsed": "0x00", "timestamp": "0x00", "extraData": "0x", "mixHash": zero,
                "nonce": "0x0000000000000000",
            },
            "pre": {"0x00000000000000000000000000000000000000aa": {
                "nonce": "0x01", "balance": "0x00ff", "code": "0x6001", "storage": {"0x00": "0x01", "0x01": "0x00"},
            }},
            "postState": {},
            "blocks": [
                {"rlp": "0xc0", "blockHeader": {}, "transactions": [1]},
                {"rlp": "0x", "expectException": "A|B"},
                {"rlp": "0x01", "expectExceptionALL": "C", "blockHeader": {}},
                {"rlp": "0x01"},
            ],
        }})
    }

    fn change(f: impl FnOnce(&mut Value)) -> Result<Vec<Case>, NotCases> {
        let mut json = minimal();
        f(&mut json["one"]);
        decode(json.to_string().as_bytes())
    }

    #[test]
    fn a_case_is_read_whole() {
        let cases = change(|_| ()).expect("well-formed");
        let [case] = &cases[..] else { panic!("{} cases", cases.len()) };
        let genesis = case.genesis.as_ref().expect("Berlin is known");
        assert_eq!((case.name.as_str(), case.network.as_str()), ("one", "Berlin"));
        assert_eq!(genesis.rules.berlin, Some(0));
        assert_eq!(genesis.rules.genesis, Some(case.last_block_hash));
        assert_eq!((genesis.hash, genesis.header.gas_limit), (case.last_block_hash, 5000));
        let account = &genesis.alloc[&Address::with_last_byte(0xaa)];
        assert_eq!((account.nonce, account.balance), (1, U256::from(255)));
        assert_eq!(account.storage, BTreeMap::from([(U256::ZERO, U256::ONE)]));
        assert_eq!(genesis.codes[&account.code_hash].as_ref(), [0x60, 1]);
        let exceptions: Vec<_> = case.blocks.iter().map(|b| b.exception.as_deref()).collect();
        assert_eq!(exceptions, [None, Some("A|B"), Some("C"), Some(UNNAMED)]);
        assert_eq!(case.post, PostState::Accounts(BTreeMap::new()));
    }

    #[test]
    fn block_0_comes_from_the_header_where_there_is_no_rlp() {
        let with = change(|_| ()).expect("well-formed");
        let without = change(|case| _ = case.as_object_mut().expect("a case").remove("genesisRLP"));
        assert_eq!(without.expect("well-formed")[0].genesis_rlp, with[0].genesis_rlp);
    }

    #[test]
    fn a_root_may_stand_for_the_state() {
        let root = B256::repeat_byte(5);
        let cases = change(|case| {
            case["postState"] = Value::Null;
            case["postStateHash"] = json!(root);
        });
        assert_eq!(cases.expect("well-formed")[0].post, PostState::Root(root));
    }

    #[test]
    fn a_network_that_is_not_known_is_no_error() {
        let cases = change(|case| case["network"] = json!("Atlantis")).expect("well-formed");
        assert_eq!(cases[0].genesis.as_ref().map(|_| ()), Err(&"network \"Atlantis\" is not known".to_string()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        type Change<'a> = (&'a dyn Fn(&mut Value), &'a str, &'a str);
        let pre = "0x00000000000000000000000000000000000000aa";
        let cases: [Change<'_>; 18] = [
            (&|c| c["network"] = Value::Null, "line 1 column", "expected a string"),
            (&|c| c["genesisRLP"] = json!("0xc0"), "case \"one\", genesisRLP", "header: is missing"),
            (&|c| c["genesisRLP"] = json!("c0"), "genesisRLP", "got \"c0\", expected bytes"),
            (
                &|c| c["genesisBlockHeader"]["hash"] = json!(B256::ZERO),
                "genesisBlockHeader, hash",
                "the hash of genesisRLP",
            ),
            (&|c| c["genesisBlockHeader"]["hash"] = json!("0x1"), "genesisBlockHeader, hash", "expected 32 bytes"),
            (&|c| c["lastblockhash"] = json!(""), "lastblockhash", "expected 32 bytes"),
            (&|c| c["blocks"][1]["rlp"] = json!("0x1"), "block 1 of the list, rlp", "expected bytes"),
            (&|c| c["blocks"][0]["rlp"] = json!(5), "line 1 column", "expected a string"),
            (&|c| c["blocks"] = json!({}), "line 1 column", "expected a sequence"),
            (&|c| c["postState"] = Value::Null, "postState", "is missing"),
            (&|c| c["postStateHash"] = json!(B256::ZERO), "postStateHash", "beside postState"),
            (&|c| c["pre"]["0xaa"] = c["pre"][pre].clone(), "pre, 0xaa", "an address"),
            (&|c| c["pre"][pre]["nonce"] = json!("0x10000000000000000"), "0aa, nonce", "below 2^64"),
            (&|c| c["pre"][pre]["balance"] = json!("0x"), "0aa, balance", "a number in hexadecimal"),
            (&|c| c["pre"][pre]["balance"] = json!(format!("0x1{}", "0".repeat(64))), "balance", "below 2^256"),
            (&|c| c["pre"][pre]["storage"]["0xz"] = json!("0x1"), "storage 0xz", "a number in hexadecimal"),
            (&|c| c["pre"][pre]["storage"]["0x0"] = json!("0x1"), "storage 0x00", "is there twice"),
            (&|c| c["config"] = json!({"chainid": "one"}), "config, chainid", "a number in hexadecimal"),
        ];
        for (f, place, reason) in cases {
            let wrong = change(f).expect_err(reason);
            assert!(wrong.place.contains(place), "{place}: {wrong:?}");
            assert!(wrong.reason.contains(reason), "{reason}: {wrong:?}");
        }
    }

    #[test]
    fn what_is_no_object_of_cases_says_where() {
        for (text, place, reason) in [
            ("", "line 1 column 0", "EOF"),
            ("{}", "line 1 column 1", "holds no case"),
            ("[]", "line 1 column 0", "expected an object"),
            ("{\"a\":\n 1}", "line 2 column 2", "expected struct RawCase"),
            ("{\"a\":\n {}}", "line 2 column 3", "missing field `network`"),
        ] {
            let wrong = decode(text.as_bytes()).expect_err(text);
            assert_eq!(wrong.place, place, "{text}: {wrong:?}");
            assert!(wrong.reason.contains(reason), "{text}: {wrong:?}");
        }
        let twice = minimal().to_string();
        let twice = format!("{},{}", &twice[..twice.len() - 1], &twice[1..]);
        assert!(decode(twice.as_bytes()).expect_err("one key twice").reason.contains("\"one\" is there twice"));
    }

    #[test]
    fn every_truncation_and_every_changed_byte_is_an_answer() {
        let whole = minimal().to_string().into_bytes();
        for length in 0..whole.len() {
            assert!(decode(&whole[..length]).is_err(), "{length} bytes");
        }
        for at in 0..whole.len() {
            for with in [b'0', b'"', b'}', 0xff, whole[at] ^ 1] {
                let mut bytes = whole.clone();
                bytes[at] = with;
                // Refused, or read as other cases; never a panic.
                let _: Result<Vec<Case>, NotCases> = decode(&bytes);
            }
        }
    }
}

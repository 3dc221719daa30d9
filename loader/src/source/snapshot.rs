//! Block snapshots: a block as JSON beside the state that its execution touches.
//!
//! A folder has `block.json` and `pre_state.json`; the witness form adds `absent.json`, `parent.json` and
//! `balance_unknown.json`.
//! `codes.jsonl` and `block_hashes.json` lie beside them or in one of the two folders above. All tables of codes found
//! are searched, and all block hashes found are merged; where they differ the nearest wins.
//!
//! What is known of an address before the block:
//! * listed in `pre_state.json`: present, with these values; a slot that is not listed was not touched;
//! * listed in `absent.json`: absent;
//! * in neither: ordinary transactions may take it as absent, since a snapshot lists all that they touch; to system
//!   transactions it is unknown (`Version::Assumed`). The witness form is meant to list what they touch too, but
//!   nothing says that it does;
//! * in `balance_unknown.json`: listed, but the source knows only the code: balance and nonce are given as 0 and are
//!   guesses. To system transactions such an account is unknown, like one not listed. An ordinary transaction needs the
//!   code to run, so it takes the listed values; what it then demands of the state before, a balance of 0 among it, is
//!   a condition that the true state need not meet, and a block that depends on such a balance fails validation.

use super::{Account, SourceBlock, read_json, rpc};
use crate::error::{Error, Result};
use crate::model::{BLOCK_BOUND, EarlierHeader, SegmentStart};
use alloy_consensus::EMPTY_OMMER_ROOT_HASH;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_rlp::EMPTY_LIST_CODE;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many headers before a block its rules look at.
const EARLIER_MAX: usize = 7;
/// Folders that are searched for codes and block hashes: the snapshot's own, its parent and its grandparent.
const LEVELS: usize = 3;
/// BLOCKHASH reaches this many blocks back.
const BLOCK_HASHES: u64 = 256;

/// Headers known in an import, by hash.
pub(super) type KnownHeaders = HashMap<B256, KnownHeader>;
/// Code by its hash.
type CodeTable = HashMap<B256, Bytes>;

/// A header that another block's parent hash may name.
#[derive(Clone, Debug)]
pub(super) struct KnownHeader {
    parent: B256,
    earlier: EarlierHeader,
}

impl KnownHeader {
    /// A header; its ommers are known if its ommers hash is that of no ommers.
    pub fn new(sealed: &rpc::SealedHeader) -> Self {
        let has_none = sealed.header.ommers_hash == EMPTY_OMMER_ROOT_HASH;
        let ommers = has_none.then(|| Bytes::from_static(&[EMPTY_LIST_CODE]));
        Self { parent: sealed.header.parent_hash, earlier: EarlierHeader { header: sealed.rlp.clone(), ommers } }
    }
}

/// Codes by hash, in one or more shared tables. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Codes {
    /// Nearest first.
    tables: Vec<Arc<CodeTable>>,
}

impl Codes {
    /// The code with a hash; `None` if the source does not have it. The hash of no code has no entry.
    pub fn get(&self, hash: &B256) -> Option<&Bytes> {
        self.tables.iter().find_map(|table| table.get(hash))
    }

    /// Number of codes, those in several tables counted once for each.
    pub fn len(&self) -> usize {
        self.tables.iter().map(|table| table.len()).sum()
    }

    /// Whether there is no code.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A snapshot that was recognised but not loaded.
#[derive(Clone, Debug)]
pub struct SnapshotFolder {
    /// The folder.
    pub folder: PathBuf,
    /// Number in the header.
    pub number: u64,
    /// Hash of the block.
    pub hash: B256,
    codes: Codes,
    /// Files with block hashes, nearest first.
    block_hashes: Vec<PathBuf>,
    known: Arc<KnownHeaders>,
}

/// A block and what is known of the state before it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The folder it was read from.
    pub folder: PathBuf,
    /// The block. Ommers are known by hash only, unless there are none.
    pub block: SourceBlock,
    /// First block, origin, total difficulty before the block and earlier headers, as far as they are known.
    pub start: SegmentStart,
    /// Accounts that exist before the block.
    pub pre_state: BTreeMap<Address, Account>,
    /// Addresses that do not exist before the block (witness form).
    pub absent: BTreeSet<Address>,
    /// Accounts in `pre_state` of which only the code is known: their balance and nonce are guesses.
    pub balance_unknown: BTreeSet<Address>,
    /// Codes; one that never runs may be missing.
    pub codes: Codes,
    /// Hashes of earlier blocks that BLOCKHASH can reach, the parent's included.
    pub block_hashes: BTreeMap<u64, B256>,
}

impl SnapshotFolder {
    /// Reads the whole snapshot: block, state, hashes. Errors name file and field.
    pub fn load(&self) -> Result<Snapshot> {
        let path = self.folder.join("block.json");
        let json = super::read_regular(&path)?;
        let block = rpc::block(&path, &json)?;
        if block.hash != self.hash {
            return Err(Error::Changed { path });
        }
        let pre_state = read_pre_state(&self.folder.join("pre_state.json"), &self.codes)?;
        let absent = read_addresses(&self.folder.join("absent.json"))?;
        if let Some(address) = absent.iter().find(|address| pre_state.contains_key(*address)) {
            let reason = "is listed in pre_state.json too";
            return Err(Error::malformed(self.folder.join("absent.json"), address.to_string(), reason));
        }
        let balance_unknown = read_addresses(&self.folder.join("balance_unknown.json"))?;
        if let Some(address) = balance_unknown.iter().find(|address| !pre_state.contains_key(*address)) {
            let reason = "is not listed in pre_state.json";
            return Err(Error::malformed(self.folder.join("balance_unknown.json"), address.to_string(), reason));
        }
        let start = SegmentStart {
            first: block.number,
            origin: block.number,
            total_difficulty: total_difficulty_before(&path, &block)?,
            earlier: self.earlier(block.header.parent_hash)?,
        };
        let block_hashes = self.block_hashes(&block)?;
        Ok(Snapshot {
            folder: self.folder.clone(),
            block,
            start,
            pre_state,
            absent,
            balance_unknown,
            codes: self.codes.clone(),
            block_hashes,
        })
    }

    /// Up to seven headers before the block, oldest first, found by hash from the block's parent hash on.
    fn earlier(&self, parent: B256) -> Result<Vec<EarlierHeader>> {
        let path = self.folder.join("parent.json");
        let own = read_parent(&path)?;
        if let Some((hash, _)) = &own
            && *hash != parent
        {
            let reason = format!("got hash {hash}, the block's parentHash is {parent}");
            return Err(Error::malformed(&path, "header", reason));
        }
        let mut earlier = Vec::new();
        let mut next = parent;
        while earlier.len() < EARLIER_MAX {
            let own = own.as_ref().filter(|(hash, _)| *hash == next).map(|(_, header)| header);
            let Some(known) = own.or_else(|| self.known.get(&next)) else { break };
            earlier.push(known.earlier.clone());
            next = known.parent;
        }
        earlier.reverse();
        Ok(earlier)
    }

    /// Block hashes within reach of BLOCKHASH; the parent hash is one of them and must agree with the nearest file.
    fn block_hashes(&self, block: &SourceBlock) -> Result<BTreeMap<u64, B256>> {
        let reach = block.number.saturating_sub(BLOCK_HASHES)..block.number;
        let mut hashes = BTreeMap::new();
        for path in &self.block_hashes {
            let Entries(entries): Entries<String, B256> = read_json(path)?;
            let mut listed = BTreeSet::new();
            for (key, hash) in entries {
                let number: u64 =
                    key.parse().map_err(|_| Error::malformed(path, key.clone(), "is not a block number"))?;
                if !listed.insert(number) {
                    return Err(Error::malformed(path, key, "is there twice"));
                }
                if reach.contains(&number) {
                    hashes.entry(number).or_insert(hash);
                }
            }
        }
        if let Some(number) = block.number.checked_sub(1) {
            let expected = block.header.parent_hash;
            let got = *hashes.entry(number).or_insert(expected);
            if got != expected {
                let reason = format!("got {got}, the parentHash of block {} is {expected}", block.number);
                let path = self.block_hashes.first().unwrap_or(&self.folder);
                return Err(Error::malformed(path, number.to_string(), reason));
            }
        }
        Ok(hashes)
    }
}

/// Total difficulty before a block: what the JSON states after it, less the block's own.
fn total_difficulty_before(path: &Path, block: &SourceBlock) -> Result<Option<U256>> {
    let Some(after) = block.total_difficulty else { return Ok(None) };
    let difficulty = block.header.difficulty;
    let before = after.checked_sub(difficulty).ok_or_else(|| {
        Error::malformed(
            path,
            "totalDifficulty",
            format!("got {after}, expected at least the difficulty, {difficulty}"),
        )
    })?;
    Ok(Some(before))
}

/// Makes snapshots out of folders: shares the tables of codes among them.
pub(super) struct Collector {
    tables: HashMap<PathBuf, Arc<CodeTable>>,
}

impl Collector {
    pub fn new() -> Self {
        Self { tables: HashMap::new() }
    }

    /// A folder that has `block.json`, whose header is `sealed`, and `pre_state.json`.
    pub fn snapshot(
        &mut self,
        folder: &Path,
        sealed: &rpc::SealedHeader,
        known: &Arc<KnownHeaders>,
    ) -> Result<SnapshotFolder> {
        let number = sealed.header.number;
        if number >= BLOCK_BOUND {
            let reason = format!("got {number}, expected below {BLOCK_BOUND}");
            return Err(Error::malformed(folder.join("block.json"), "number", reason));
        }
        // Made absolute, so that the folders above are found from `.` too; errors keep the caller's spelling below.
        let absolute = std::fs::canonicalize(folder).map_err(Error::io(folder))?;
        let mut codes = Codes::default();
        let mut block_hashes = Vec::new();
        for level in absolute.ancestors().take(LEVELS) {
            let path = level.join("codes.jsonl");
            if path.is_file() {
                let table = match self.tables.get(&path) {
                    Some(table) => table.clone(),
                    None => {
                        let table = Arc::new(read_codes(&path)?);
                        self.tables.insert(path, table.clone());
                        table
                    }
                };
                codes.tables.push(table);
            }
            let path = level.join("block_hashes.json");
            if path.is_file() {
                block_hashes.push(path);
            }
        }
        Ok(SnapshotFolder {
            folder: folder.to_path_buf(),
            number,
            hash: sealed.hash,
            codes,
            block_hashes,
            known: known.clone(),
        })
    }
}

/// One object a line: `{"hash": …, "code": …}`; each code must have its hash.
fn read_codes(path: &Path) -> Result<CodeTable> {
    #[derive(Deserialize)]
    struct Line {
        hash: B256,
        code: Bytes,
    }
    super::demand_regular(path)?;
    let file = File::open(path).map_err(Error::io(path))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut table = CodeTable::new();
    let mut bytes = Vec::new();
    for number in 1_u64.. {
        bytes.clear();
        if reader.read_until(b'\n', &mut bytes).map_err(Error::io(path))? == 0 {
            break;
        }
        let line = bytes.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let place = format!("line {number}");
        let Line { hash, code } =
            serde_json::from_slice(line).map_err(|e| Error::malformed(path, &place, e.to_string()))?;
        let got = keccak256(&code);
        if got != hash {
            return Err(Error::malformed(path, place, format!("the code hashes to {got}, `hash` says {hash}")));
        }
        table.insert(hash, code);
    }
    Ok(table)
}

fn read_pre_state(path: &Path, codes: &Codes) -> Result<BTreeMap<Address, Account>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Listed {
        balance: U256,
        nonce: Nonce,
        code_hash: Option<B256>,
        storage: Option<Entries<U256, U256>>,
    }
    let Entries(entries): Entries<Address, Listed> = read_json(path)?;
    let mut accounts = BTreeMap::new();
    for (address, listed) in entries {
        let mut storage = BTreeMap::new();
        for (slot, value) in listed.storage.map_or_else(Vec::new, |Entries(entries)| entries) {
            if storage.insert(slot, value).is_some() {
                return Err(Error::malformed(path, format!("{address}: storage: {slot:#x}"), "is there twice"));
            }
        }
        let code_hash = listed.code_hash.unwrap_or(KECCAK256_EMPTY);
        if code_hash != KECCAK256_EMPTY && codes.is_empty() {
            let reason = format!("names code {code_hash}, but there is no codes.jsonl beside the file or above it");
            return Err(Error::malformed(path, address.to_string(), reason));
        }
        let account = Account { balance: listed.balance, nonce: listed.nonce.0, code_hash, storage };
        if accounts.insert(address, account).is_some() {
            return Err(Error::malformed(path, address.to_string(), "is there twice"));
        }
    }
    Ok(accounts)
}

/// Addresses in an optional file.
fn read_addresses(path: &Path) -> Result<BTreeSet<Address>> {
    if path.exists() { read_json(path) } else { Ok(BTreeSet::new()) }
}

/// The header in an optional `parent.json`, with its hash.
fn read_parent(path: &Path) -> Result<Option<(B256, KnownHeader)>> {
    if !path.exists() {
        return Ok(None);
    }
    let json = super::read_regular(path)?;
    let sealed = rpc::header(path, &json)?;
    Ok(Some((sealed.hash, KnownHeader::new(&sealed))))
}

/// A nonce, as a JSON number or a quantity.
struct Nonce(u64);

impl<'de> Deserialize<'de> for Nonce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wide = U256::deserialize(deserializer)?;
        u64::try_from(wide).map(Self).map_err(|_| serde::de::Error::custom(format!("nonce {wide} is not below 2^64")))
    }
}

/// The entries of a JSON object in the order of the file. Unlike a map it keeps repeated keys, for the caller to
/// refuse.
struct Entries<K, V>(Vec<(K, V)>);

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for Entries<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor<K, V>(PhantomData<(K, V)>);
        impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for EntriesVisitor<K, V> {
            type Value = Entries<K, V>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

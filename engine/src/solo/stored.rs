//! The state of an import from genesis that is larger than memory: a write-back cache over a store on disk.
//!
//! Answers are those of [`MemoryState`](super::state::MemoryState) of a chain from genesis. The cache has two generations: a cell
//! that is used stays in the young one; when that is full, at the border of a block, the old one's changed cells are written
//! and it is dropped. So within a block nothing leaves the cache, what is set needs no disk, and memory is bounded but for
//! what one block touches. Storage is kept by the generation that its account has: of others nobody asks.

#[cfg(test)]
mod tests;

use super::code::bytecode;
use super::database::Refusal;
use super::state::State;
use alloy_primitives::map::HashMap;
use alloy_primitives::{Address, B256, U256};
use manaflow_loader::file::Piece;
use manaflow_loader::model::{AccountValue, Location, SegmentStart, Version};
use manaflow_loader::state::{Marker, MarkerFile, StateStore, WordKey};
use revm::state::Bytecode;
use std::collections::BTreeMap;
use std::hash::Hash;

/// What may be kept in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// Accounts of one generation.
    pub accounts: usize,
    /// Storage words of one generation.
    pub words: usize,
    /// Bytes of code of one generation.
    pub code_bytes: usize,
}

/// Least room that is made use of, so that a block's own cells are not written one by one.
const CELLS_MIN: usize = 64;

impl Room {
    /// Room in so many bytes.
    pub fn of_bytes(bytes: u64) -> Self {
        let part = |share: u64| usize::try_from(bytes / share).unwrap_or(usize::MAX);
        // Two generations of accounts and of words, and of codes: 5/16 + 9/16 + 1/8.
        Self {
            accounts: cells_in::<(Address, Kept<AccountValue>)>(part(32) * 5),
            words: cells_in::<(WordKey, Kept<U256>)>(part(32) * 9),
            code_bytes: part(16),
        }
    }
}

/// Rows of a hash table in so many bytes: tables grow by doubling, at seven eighths, and have a byte a place beside the row.
fn cells_in<Row>(bytes: usize) -> usize {
    let places = bytes / (size_of::<Row>() + 1);
    let power = if places == 0 { 0 } else { 1 << places.ilog2() };
    (power / 8 * 7).max(CELLS_MIN)
}

/// A cell in the cache. Without location nobody has written it.
#[derive(Clone, Copy, Debug)]
struct Kept<V> {
    value: V,
    location: Option<Location>,
    is_changed: bool,
}

impl<V> Kept<V> {
    fn of_store(found: Option<(V, Location)>, default: V) -> Self {
        match found {
            Some((value, location)) => Self { value, location: Some(location), is_changed: false },
            None => Self { value: default, location: None, is_changed: false },
        }
    }

    fn version(&self) -> Version {
        self.location.map_or(Version::Virgin, Version::At)
    }
}

#[derive(Debug)]
struct Generations<K, V> {
    young: HashMap<K, Kept<V>>,
    old: HashMap<K, Kept<V>>,
    room: usize,
}

/// A changed cell on its way to the store.
type Row<K, V> = (K, V, Location);

impl<K: Copy + Eq + Hash + Ord, V: Copy> Generations<K, V> {
    fn new(room: usize) -> Self {
        Self { young: HashMap::default(), old: HashMap::default(), room: room.max(1) }
    }

    fn get(&mut self, key: &K) -> Option<Kept<V>> {
        if let Some(kept) = self.young.get(key) {
            return Some(*kept);
        }
        if self.old.is_empty() {
            return None;
        }
        let kept = self.old.remove(key)?;
        self.young.insert(*key, kept);
        Some(kept)
    }

    fn insert(&mut self, key: K, kept: Kept<V>) {
        self.young.insert(key, kept);
    }

    fn set(&mut self, key: K, value: V, location: Location) {
        // What the old generation has of it is older.
        self.old.remove(&key);
        self.young.insert(key, Kept { value, location: Some(location), is_changed: true });
    }

    /// Drops the old generation if the young one is full: the changed cells of it, ascending.
    fn turn(&mut self) -> Vec<Row<K, V>> {
        if self.young.len() < self.room {
            return Vec::new();
        }
        let old = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
        sorted(old.into_iter().filter(|(_, kept)| kept.is_changed))
    }

    /// All changed cells, ascending, which stay but count as unchanged from here on.
    fn take_changed(&mut self) -> Vec<Row<K, V>> {
        let all = self.old.iter_mut().chain(&mut self.young);
        let changed = all.filter_map(|(key, kept)| std::mem::take(&mut kept.is_changed).then_some((*key, *kept)));
        sorted(changed)
    }
}

fn sorted<K: Ord, V>(rows: impl Iterator<Item = (K, Kept<V>)>) -> Vec<Row<K, V>> {
    let mut rows: Vec<_> =
        rows.filter_map(|(key, kept)| kept.location.map(|location| (key, kept.value, location))).collect();
    rows.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    rows
}

/// Codes by hash as they run, of two generations of so many bytes.
#[derive(Debug)]
struct Codes {
    young: HashMap<B256, Bytecode>,
    old: HashMap<B256, Bytecode>,
    young_bytes: usize,
    room: usize,
}

impl Codes {
    fn get(&mut self, hash: &B256) -> Option<Bytecode> {
        if let Some(code) = self.young.get(hash) {
            return Some(code.clone());
        }
        let code = self.old.remove(hash)?;
        self.insert(*hash, code.clone());
        Some(code)
    }

    fn insert(&mut self, hash: B256, code: Bytecode) {
        // The code itself, and a bit a byte for where it may jump to; the rest is a guess at what the tables take.
        let bytes = code.len() + code.len() / 8 + 256;
        if self.young_bytes + bytes > self.room {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += bytes;
        self.young.insert(hash, code);
    }
}

/// Hashes of blocks that stay in memory, more than any instruction reaches back.
const HASHES_KEPT: usize = 512;

/// Codes that wait to be written together.
const CODES_WAITING: usize = 64;

/// State in a store.
#[derive(Debug)]
pub struct StoredState<'a> {
    store: &'a mut StateStore,
    accounts: Generations<Address, AccountValue>,
    words: Generations<WordKey, U256>,
    codes: Codes,
    /// Codes that the store does not have yet.
    new_codes: Vec<(B256, Bytecode)>,
    /// The newest hashes, and whether they are in the store.
    hashes: BTreeMap<u64, (B256, Location, bool)>,
    /// Of what could not be set; told at the next border.
    failed: Option<manaflow_loader::Error>,
    /// The limit of files, for the marker.
    limit: String,
}

impl<'a> StoredState<'a> {
    /// The state of a store, with so much room in memory. `limit`: of the files, as it was given.
    pub fn new(store: &'a mut StateStore, room: Room, limit: &str) -> Self {
        let (young, old) = (HashMap::default(), HashMap::default());
        Self {
            store,
            accounts: Generations::new(room.accounts),
            words: Generations::new(room.words),
            codes: Codes { young, old, young_bytes: 0, room: room.code_bytes },
            new_codes: Vec::new(),
            hashes: BTreeMap::new(),
            failed: None,
            limit: limit.to_owned(),
        }
    }

    fn kept_account(&mut self, addr: Address) -> manaflow_loader::Result<Kept<AccountValue>> {
        if let Some(kept) = self.accounts.get(&addr) {
            return Ok(kept);
        }
        let kept = Kept::of_store(self.store.account(addr)?, AccountValue::ABSENT);
        self.accounts.insert(addr, kept);
        Ok(kept)
    }

    fn kept_code(&mut self, hash: B256) -> manaflow_loader::Result<Option<Bytecode>> {
        if let Some(code) = self.codes.get(&hash) {
            return Ok(Some(code));
        }
        // One that has come to be may have left the cache before it was written.
        let new = self.new_codes.iter().find(|(new, _)| *new == hash).map(|(_, code)| code.clone());
        let found = match new {
            Some(code) => Some(code),
            None => self.store.code(hash)?.map(|(is_delegation, blob)| match is_delegation {
                true => bytecode(blob),
                // It may look like one, and have come to be before there were any.
                false => Bytecode::new_legacy(blob),
            }),
        };
        if let Some(code) = &found {
            self.codes.insert(hash, code.clone());
        }
        Ok(found)
    }

    fn write_codes_and_hashes(&mut self) -> manaflow_loader::Result<()> {
        let codes = self.new_codes.drain(..);
        self.store.put_codes(codes.map(|(hash, code)| (hash, code.is_eip7702(), code.original_bytes())))?;
        let new = self.hashes.iter_mut().filter(|(_, (_, _, is_stored))| !*is_stored);
        self.store.put_block_hashes(new.map(|(number, (hash, location, is_stored))| {
            *is_stored = true;
            (*number, *hash, *location)
        }))?;
        while self.hashes.len() > HASHES_KEPT {
            self.hashes.pop_first();
        }
        Ok(())
    }
}

fn refusal(error: manaflow_loader::Error) -> Refusal {
    Refusal::Unavailable { is_input: error.is_input(), reason: error.to_string() }
}

impl State for StoredState<'_> {
    fn account(&mut self, addr: Address, _system: bool) -> Result<(AccountValue, Version), Refusal> {
        let kept = self.kept_account(addr).map_err(refusal)?;
        Ok((kept.value, kept.version()))
    }

    fn storage(&mut self, addr: Address, slot: U256, _system: bool) -> Result<(U256, Version), Refusal> {
        let account = self.kept_account(addr).map_err(refusal)?;
        let key = (addr, account.value.generation, slot);
        let kept = match self.words.get(&key) {
            Some(kept) => kept,
            None => {
                let kept = Kept::of_store(self.store.word(&key).map_err(refusal)?, U256::ZERO);
                self.words.insert(key, kept);
                kept
            }
        };
        Ok((kept.value, kept.version()))
    }

    fn block_hash(&mut self, number: u64) -> Result<Option<(B256, Version)>, Refusal> {
        let found = match self.hashes.get(&number) {
            Some(&(hash, location, _)) => Some((hash, location)),
            None => self.store.block_hash(number).map_err(refusal)?,
        };
        Ok(found.map(|(hash, location)| (hash, Version::At(location))))
    }

    fn code(&mut self, hash: B256) -> Result<Option<Bytecode>, Refusal> {
        self.kept_code(hash).map_err(refusal)
    }

    fn set_account(&mut self, addr: Address, value: AccountValue, location: Location) {
        self.accounts.set(addr, value, location);
    }

    fn set_created(&mut self, _addr: Address) {
        // From genesis on, what nobody wrote is virgin, whoever made the account.
    }

    fn set_storage(&mut self, addr: Address, slot: U256, word: U256, location: Location) {
        // A transaction that writes storage has asked for the account, which stays in the cache until the block ends.
        match self.kept_account(addr) {
            Ok(account) => self.words.set((addr, account.value.generation, slot), word, location),
            Err(error) => self.failed = Some(error),
        }
    }

    fn set_block_hash(&mut self, number: u64, hash: B256, location: Location) {
        self.hashes.insert(number, (hash, location, false));
    }

    fn set_code(&mut self, hash: B256, code: Bytecode) {
        // The first one of a hash stays.
        match self.kept_code(hash) {
            Ok(Some(_)) => {}
            Ok(None) => {
                self.codes.insert(hash, code.clone());
                self.new_codes.push((hash, code));
            }
            Err(error) => self.failed = Some(error),
        }
    }

    fn at_border(&mut self) -> manaflow_loader::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let (accounts, words) = (self.accounts.turn(), self.words.turn());
        if !accounts.is_empty() {
            self.store.put_accounts(accounts)?;
        }
        if !words.is_empty() {
            self.store.put_words(words)?;
        }
        if self.new_codes.len() >= CODES_WAITING || self.hashes.len() >= 2 * HASHES_KEPT {
            self.write_codes_and_hashes()?;
        }
        Ok(())
    }

    fn keep(&mut self, piece: &Piece, tip: B256, next: &SegmentStart) -> manaflow_loader::Result<()> {
        self.at_border()?;
        self.store.put_accounts(self.accounts.take_changed())?;
        self.store.put_words(self.words.take_changed())?;
        self.write_codes_and_hashes()?;
        let mut files = self.store.marker().map_or_else(Vec::new, |marker| marker.files.clone());
        files.push(MarkerFile { first: piece.first, last: piece.last, bytes: piece.bytes });
        self.store.commit(&Marker { next: next.clone(), tip, limit: self.limit.clone(), files })
    }
}

//! The state of an import on disk: cells with value and version, codes, block hashes, and how far the import has come.
//!
//! A folder with a lock and one file, an embedded B-tree (redb). All that is written belongs to one transaction until
//! [`StateStore::commit`], which makes it durable together with the [`Marker`]: whatever ends the process, the state
//! found again is that of the marker. `loader/docs/STATE.md` says why this store, and what was measured.
//!
//! Storage words are kept by the account's generation, so what a destroyed contract leaves is never looked at again; it
//! stays on disk. Memory: the cache that is asked for at opening, of pages; more while pages of one batch are written.

mod codec;
mod marker;
#[cfg(test)]
mod tests;

pub use marker::{Identity, Marker, MarkerFile, STATE_VERSION};

use crate::model::{AccountValue, Location};
use crate::{Error, Result};
use alloy_primitives::{Address, B256, Bytes, U256};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const ACCOUNTS: TableDefinition<'_, [u8; 20], &[u8]> = TableDefinition::new("accounts");
const WORDS: TableDefinition<'_, [u8; 56], &[u8]> = TableDefinition::new("words");
const HASHES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("hashes");
const CODES: TableDefinition<'_, [u8; 32], &[u8]> = TableDefinition::new("codes");
const TEXTS: TableDefinition<'_, &str, &str> = TableDefinition::new("texts");

/// Name of the store in its folder.
const STORE: &str = "state.redb";
/// Its name until it is whole.
const STORE_NEW: &str = "state.redb.new";
/// The file whose lock keeps others away.
const LOCK: &str = "lock";

/// A storage word's key: address, generation, slot.
pub type WordKey = (Address, u32, U256);

/// State of an import on disk.
pub struct StateStore {
    folder: PathBuf,
    path: PathBuf,
    /// Held as long as the store is open.
    _lock: File,
    db: Database,
    /// What was written since the last commit. None only after a commit that failed.
    open: Option<WriteTransaction>,
    marker: Option<Marker>,
    /// The program that began the state.
    begun_by: String,
}

impl std::fmt::Debug for StateStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StateStore").field("path", &self.path).field("marker", &self.marker).finish_non_exhaustive()
    }
}

impl StateStore {
    /// Opens the state of an import in a folder, or begins it where there is none. `cache_bytes` bounds the pages in memory.
    ///
    /// Errors: another process has it; it is of another chain or series of files, or of another form; there is one, and it is
    /// not to be gone on with (`resume`); the folder holds something else; the disk.
    pub fn open(folder: &Path, identity: &Identity, resume: bool, cache_bytes: u64) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        let lock = lock(folder)?;
        let path = folder.join(STORE);
        if !path.exists() {
            begin(folder, identity)?;
        }
        let builder_cache = usize::try_from(cache_bytes).unwrap_or(usize::MAX);
        let mut db = Database::builder().set_cache_size(builder_cache).open(&path).map_err(|e| failed(&path, e))?;
        // Every page against its checksum: what reads rows later does not look at them.
        if !db.check_integrity().map_err(|e| failed(&path, e))? {
            return Err(Error::malformed(&path, "store", DAMAGED));
        }
        let text = |name: &str| -> Result<Option<String>> {
            let read = db.begin_read().map_err(|e| failed(&path, e))?;
            let table = read.open_table(TEXTS).map_err(|e| failed(&path, e))?;
            let found = table.get(name).map_err(|e| failed(&path, e))?;
            Ok(found.map(|text| text.value().to_owned()))
        };
        let refuse = |place: &str, reason: String| Error::malformed(folder, place, reason);
        let found =
            text("identity")?.ok_or_else(|| refuse("identity", "the state does not say what it is of".into()))?;
        let found = Identity::parse(&found).map_err(|e| refuse("identity", e))?;
        identity.demand(&found).map_err(|(place, reason)| refuse(place, reason))?;
        let marker = text("marker")?.map(|text| Marker::parse(&text)).transpose().map_err(|e| refuse("marker", e))?;
        if let (Some(marker), false) = (&marker, resume) {
            let reason = format!(
                "holds an import up to block {}: --resume goes on from there",
                marker.next.first.saturating_sub(1)
            );
            return Err(refuse("state", reason));
        }
        let begun_by = found.program;
        let mut store = Self { folder: folder.to_path_buf(), path, _lock: lock, db, open: None, marker, begun_by };
        store.begin_transaction()?;
        Ok(store)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How far the state has come; none if no file of the import is whole yet.
    pub fn marker(&self) -> Option<&Marker> {
        self.marker.as_ref()
    }

    /// The program that began the state.
    pub fn begun_by(&self) -> &str {
        &self.begun_by
    }

    /// An account and who wrote it last; none if nobody did. Errors: the disk, or bytes that are no account.
    pub fn account(&self, addr: Address) -> Result<Option<(AccountValue, Location)>> {
        let table = self.transaction()?.open_table(ACCOUNTS).map_err(|e| failed(&self.path, e))?;
        let found = table.get(addr.0.0).map_err(|e| failed(&self.path, e))?;
        found.map(|row| codec::account(row.value())).transpose().map_err(|e| self.damaged(addr, e))
    }

    /// A storage word and who wrote it last; none if nobody did. Errors: the disk, or bytes that are no word.
    pub fn word(&self, key: &WordKey) -> Result<Option<(U256, Location)>> {
        let table = self.transaction()?.open_table(WORDS).map_err(|e| failed(&self.path, e))?;
        let found = table.get(codec::word_key(key)).map_err(|e| failed(&self.path, e))?;
        found.map(|row| codec::word(row.value())).transpose().map_err(|e| self.damaged(key.0, e))
    }

    /// The hash of a block. Errors: the disk, or bytes that are no hash.
    pub fn block_hash(&self, number: u64) -> Result<Option<(B256, Location)>> {
        let table = self.transaction()?.open_table(HASHES).map_err(|e| failed(&self.path, e))?;
        let found = table.get(number).map_err(|e| failed(&self.path, e))?;
        let decoded = found.map(|row| codec::word(row.value())).transpose();
        Ok(decoded.map_err(|e| self.damaged(number, e))?.map(|(hash, location)| (hash.into(), location)))
    }

    /// Code by its hash, and whether it is a delegation (EIP-7702). Errors: the disk, or bytes that are no code.
    pub fn code(&self, hash: B256) -> Result<Option<(bool, Bytes)>> {
        let table = self.transaction()?.open_table(CODES).map_err(|e| failed(&self.path, e))?;
        let found = table.get(hash.0).map_err(|e| failed(&self.path, e))?;
        match found.as_ref().map(|row| row.value().split_first()) {
            None => Ok(None),
            Some(Some((&kind @ 0..=1, blob))) => Ok(Some((kind == 1, Bytes::copy_from_slice(blob)))),
            Some(_) => Err(self.damaged(hash, "no kind of code")),
        }
    }

    /// Writes accounts. Keys in ascending order are written fastest, here and below. Errors: the disk.
    pub fn put_accounts(&mut self, rows: impl IntoIterator<Item = (Address, AccountValue, Location)>) -> Result<()> {
        let mut table = self.transaction()?.open_table(ACCOUNTS).map_err(|e| failed(&self.path, e))?;
        let mut bytes = Vec::with_capacity(128);
        for (addr, value, location) in rows {
            codec::put_account(&value, location, &mut bytes);
            table.insert(addr.0.0, &bytes[..]).map_err(|e| failed(&self.path, e))?;
        }
        Ok(())
    }

    /// Writes storage words. Errors: the disk.
    pub fn put_words(&mut self, rows: impl IntoIterator<Item = (WordKey, U256, Location)>) -> Result<()> {
        let mut table = self.transaction()?.open_table(WORDS).map_err(|e| failed(&self.path, e))?;
        let mut bytes = Vec::with_capacity(64);
        for (key, word, location) in rows {
            codec::put_word(word, location, &mut bytes);
            table.insert(codec::word_key(&key), &bytes[..]).map_err(|e| failed(&self.path, e))?;
        }
        Ok(())
    }

    /// Writes hashes of blocks. Errors: the disk.
    pub fn put_block_hashes(&mut self, rows: impl IntoIterator<Item = (u64, B256, Location)>) -> Result<()> {
        let mut table = self.transaction()?.open_table(HASHES).map_err(|e| failed(&self.path, e))?;
        let mut bytes = Vec::with_capacity(64);
        for (number, hash, location) in rows {
            codec::put_word(hash.into(), location, &mut bytes);
            table.insert(number, &bytes[..]).map_err(|e| failed(&self.path, e))?;
        }
        Ok(())
    }

    /// Writes codes; the first one of a hash stays. Errors: the disk.
    pub fn put_codes(&mut self, rows: impl IntoIterator<Item = (B256, bool, Bytes)>) -> Result<()> {
        let mut table = self.transaction()?.open_table(CODES).map_err(|e| failed(&self.path, e))?;
        for (hash, is_delegation, blob) in rows {
            if table.get(hash.0).map_err(|e| failed(&self.path, e))?.is_none() {
                let bytes = [&[u8::from(is_delegation)], &blob[..]].concat();
                table.insert(hash.0, &bytes[..]).map_err(|e| failed(&self.path, e))?;
            }
        }
        Ok(())
    }

    /// Every account, ascending by address. Errors: those of `take`; the disk.
    pub fn each_account<E: From<Error>>(
        &self,
        mut take: impl FnMut(Address, AccountValue) -> Result<(), E>,
    ) -> Result<(), E> {
        let table = self.transaction()?.open_table(ACCOUNTS).map_err(|e| failed(&self.path, e))?;
        for row in table.iter().map_err(|e| failed(&self.path, e))? {
            let (key, value) = row.map_err(|e| failed(&self.path, e))?;
            let addr = Address::from(key.value());
            let (value, _) = codec::account(value.value()).map_err(|e| self.damaged(addr, e))?;
            take(addr, value)?;
        }
        Ok(())
    }

    /// Every storage word of every generation, ascending. Errors: those of `take`; the disk.
    pub fn each_word<E: From<Error>>(&self, mut take: impl FnMut(WordKey, U256) -> Result<(), E>) -> Result<(), E> {
        let table = self.transaction()?.open_table(WORDS).map_err(|e| failed(&self.path, e))?;
        for row in table.iter().map_err(|e| failed(&self.path, e))? {
            let (key, value) = row.map_err(|e| failed(&self.path, e))?;
            let key = codec::word_key_of(&key.value());
            let (word, _) = codec::word(value.value()).map_err(|e| self.damaged(key.0, e))?;
            take(key, word)?;
        }
        Ok(())
    }

    /// Makes all that was written durable, with how far the import has come. Errors: the disk; the store is then as it was
    /// at the commit before.
    pub fn commit(&mut self, marker: &Marker) -> Result<()> {
        {
            let mut table = self.transaction()?.open_table(TEXTS).map_err(|e| failed(&self.path, e))?;
            table.insert("marker", marker.to_text().as_str()).map_err(|e| failed(&self.path, e))?;
        }
        if let Some(transaction) = self.open.take() {
            transaction.commit().map_err(|e| failed(&self.path, e))?;
        }
        self.marker = Some(marker.clone());
        self.begin_transaction()
    }

    fn begin_transaction(&mut self) -> Result<()> {
        let mut transaction = self.db.begin_write().map_err(|e| failed(&self.path, e))?;
        // Else opening after a kill walks through the whole tree.
        transaction.set_quick_repair(true);
        self.open = Some(transaction);
        Ok(())
    }

    fn transaction(&self) -> Result<&WriteTransaction> {
        self.open.as_ref().ok_or_else(|| Error::malformed(&self.path, "commit", "an earlier commit failed"))
    }

    fn damaged(&self, place: impl ToString, reason: &str) -> Error {
        Error::malformed(&self.path, place.to_string(), reason)
    }
}

/// Takes the lock of a folder, after a look at what else is in it.
fn lock(folder: &Path) -> Result<File> {
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let name = entry.map_err(Error::io(folder))?.file_name();
        if ![STORE, STORE_NEW, LOCK].iter().any(|ours| name == *ours) {
            let reason = "is there, and no part of an import's state: the folder is to be new or empty";
            return Err(Error::malformed(folder, name.to_string_lossy(), reason));
        }
    }
    let path = folder.join(LOCK);
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(Error::io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Error::io(folder)(std::io::Error::new(ErrorKind::WouldBlock, "another import uses this state")))
        }
        Err(TryLockError::Error(e)) => Err(Error::io(&path)(e)),
    }
}

/// Makes a store that says what it is of. It gets its name when it is whole, so that none without that is ever found.
fn begin(folder: &Path, identity: &Identity) -> Result<()> {
    let new = folder.join(STORE_NEW);
    match std::fs::remove_file(&new) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(Error::io(&new)(e)),
        _ => {}
    }
    let db = Database::create(&new).map_err(|e| failed(&new, e))?;
    let transaction = db.begin_write().map_err(|e| failed(&new, e))?;
    {
        let mut table = transaction.open_table(TEXTS).map_err(|e| failed(&new, e))?;
        table.insert("identity", identity.to_text().as_str()).map_err(|e| failed(&new, e))?;
    }
    transaction.commit().map_err(|e| failed(&new, e))?;
    drop(db);
    let path = folder.join(STORE);
    std::fs::rename(&new, &path).map_err(Error::io(&path))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io(folder))
}

/// What is said of pages that do not have their checksums.
const DAMAGED: &str = "is damaged: give back a copy, or remove the state and all files of the series, and import again";

/// What the store says is wrong: with the disk where the system said so, else with its bytes.
fn failed(path: &Path, error: impl Into<redb::Error>) -> Error {
    match error.into() {
        redb::Error::Io(e) if matches!(e.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) => {
            Error::malformed(path, "store", e.to_string())
        }
        redb::Error::Io(source) => Error::Io { path: path.to_path_buf(), source },
        // After a failed write nothing more is taken.
        redb::Error::PreviousIo => {
            Error::Io { path: path.to_path_buf(), source: std::io::Error::other("an earlier write failed") }
        }
        error => Error::malformed(path, "store", error.to_string()),
    }
}

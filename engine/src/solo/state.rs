//! The state that an import runs on: every cell's value and version. One small trait, and the state in memory.

use super::database::Refusal;
use alloy_primitives::map::{Entry, HashMap};
use alloy_primitives::{Address, B256, U256};
use manaflow_loader::file::Piece;
use manaflow_loader::model::{AccountValue, Location, SegmentStart, Version};
use revm::state::Bytecode;

/// State of a segment at the point that an import has reached.
///
/// Questions fail where whoever keeps the state cannot answer. What is set is kept at once, and cannot fail.
pub trait State {
    /// A signed transaction begins: the questions that follow are its.
    fn begin(&mut self, _block: u64, _index: u64) {}

    /// An account and who wrote it last. `system`: a system transaction asks (see [`Version::Assumed`]).
    fn account(&mut self, addr: Address, system: bool) -> Result<(AccountValue, Version), Refusal>;
    /// A storage word of the account's present generation.
    fn storage(&mut self, addr: Address, slot: U256, system: bool) -> Result<(U256, Version), Refusal>;
    /// The hash of a block below the present one, if known.
    fn block_hash(&mut self, number: u64) -> Result<Option<(B256, Version)>, Refusal>;
    /// Code by hash, if known.
    fn code(&mut self, hash: B256) -> Result<Option<Bytecode>, Refusal>;

    /// A transaction at `location` leaves the account so. A new generation has virgin storage.
    fn set_account(&mut self, addr: Address, value: AccountValue, location: Location);
    /// A transaction at `location` made the account a contract: its storage is known to be empty.
    fn set_created(&mut self, addr: Address);
    /// A transaction at `location` leaves the storage word so.
    fn set_storage(&mut self, addr: Address, slot: U256, word: U256, location: Location);
    /// The closing at `location` writes its block's hash.
    fn set_block_hash(&mut self, number: u64, hash: B256, location: Location);
    /// Code has come to be.
    fn set_code(&mut self, hash: B256, code: Bytecode);

    /// A block has ended: what was set may be written to where it is kept. Errors: it cannot be.
    fn at_border(&mut self) -> manaflow_loader::Result<()> {
        Ok(())
    }

    /// A file is whole whose last block, `tip`, is the newest one: what was set is to last, with how far it has come; `next`
    /// says what is before the next block. Errors: it cannot be.
    fn keep(&mut self, _piece: &Piece, _tip: B256, _next: &SegmentStart) -> manaflow_loader::Result<()> {
        Ok(())
    }
}

/// What is known of a segment before its first block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Before {
    /// Nothing was ever written.
    Genesis,
    /// A snapshot of what the transactions of the segment, which begins at this block, touch; the rest is unknown.
    Snapshot(u64),
}

impl Before {
    fn listed(self) -> Version {
        match self {
            Self::Genesis => Version::Virgin,
            Self::Snapshot(first) => Version::Base(first),
        }
    }

    /// Of cells that the source does not list: absent for transactions, since a snapshot lists all that they touch; unknown
    /// for system transactions.
    fn unlisted(self, system: bool) -> Version {
        match self {
            Self::Snapshot(_) if system => Version::Assumed,
            _ => self.listed(),
        }
    }
}

#[derive(Debug)]
struct Account {
    value: AccountValue,
    version: Option<Version>,
    /// Storage that is not listed was never written in this generation.
    virgin_storage: bool,
    storage: HashMap<U256, (U256, Version)>,
}

/// State in memory.
#[derive(Debug)]
pub struct MemoryState {
    before: Before,
    accounts: HashMap<Address, Account>,
    hashes: HashMap<u64, (B256, Version)>,
    codes: HashMap<B256, Bytecode>,
}

impl MemoryState {
    /// Empty state.
    pub fn new(before: Before) -> Self {
        Self { before, accounts: HashMap::default(), hashes: HashMap::default(), codes: HashMap::default() }
    }

    /// Lists an account of the snapshot, present or known to be absent.
    pub fn list_account(&mut self, addr: Address, value: AccountValue) {
        let version = Some(self.before.listed());
        self.accounts.insert(
            addr,
            Account { value, version, virgin_storage: self.before == Before::Genesis, storage: HashMap::default() },
        );
    }

    /// Lists a storage word of the snapshot.
    pub fn list_storage(&mut self, addr: Address, slot: U256, word: U256) {
        let version = self.before.listed();
        self.account_entry(addr).storage.insert(slot, (word, version));
    }

    /// Lists the hash of a block before the segment.
    pub fn list_block_hash(&mut self, number: u64, hash: B256) {
        self.hashes.insert(number, (hash, self.before.listed()));
    }

    /// Whether an account is listed or was written.
    pub fn knows_account(&self, addr: Address) -> bool {
        self.accounts.get(&addr).is_some_and(|account| account.version.is_some())
    }

    /// A storage word that is listed or was written in the account's present generation.
    pub fn listed_storage(&self, addr: Address, slot: U256) -> Option<(U256, Version)> {
        self.accounts.get(&addr)?.storage.get(&slot).copied()
    }

    /// Whether storage of an account that is not listed is known to be empty.
    pub fn has_virgin_storage(&self, addr: Address) -> bool {
        self.accounts.get(&addr).map_or(self.before == Before::Genesis, |account| account.virgin_storage)
    }

    /// Whether the hash of a block is known.
    pub fn knows_block_hash(&self, number: u64) -> bool {
        self.hashes.contains_key(&number)
    }

    /// An account's present generation.
    pub fn generation(&self, addr: Address) -> u32 {
        self.accounts.get(&addr).map_or(0, |account| account.value.generation)
    }

    fn account_entry(&mut self, addr: Address) -> &mut Account {
        let virgin_storage = self.before == Before::Genesis;
        self.accounts.entry(addr).or_insert_with(|| Account {
            value: AccountValue::ABSENT,
            version: None,
            virgin_storage,
            storage: HashMap::default(),
        })
    }
}

impl State for MemoryState {
    fn account(&mut self, addr: Address, system: bool) -> Result<(AccountValue, Version), Refusal> {
        Ok(match self.accounts.get(&addr) {
            Some(Account { value, version: Some(version), .. }) => (*value, *version),
            _ => (AccountValue::ABSENT, self.before.unlisted(system)),
        })
    }

    fn storage(&mut self, addr: Address, slot: U256, system: bool) -> Result<(U256, Version), Refusal> {
        Ok(match self.accounts.get(&addr) {
            Some(account) => match account.storage.get(&slot) {
                Some(word) => *word,
                None if account.virgin_storage => (U256::ZERO, Version::Virgin),
                None => (U256::ZERO, self.before.unlisted(system)),
            },
            None => (U256::ZERO, self.before.unlisted(system)),
        })
    }

    fn block_hash(&mut self, number: u64) -> Result<Option<(B256, Version)>, Refusal> {
        Ok(self.hashes.get(&number).copied())
    }

    fn code(&mut self, hash: B256) -> Result<Option<Bytecode>, Refusal> {
        Ok(self.codes.get(&hash).cloned())
    }

    fn set_account(&mut self, addr: Address, value: AccountValue, location: Location) {
        let account = self.account_entry(addr);
        if account.value.generation != value.generation {
            account.storage = HashMap::default();
            account.virgin_storage = true;
        }
        account.value = value;
        account.version = Some(Version::At(location));
    }

    fn set_created(&mut self, addr: Address) {
        self.account_entry(addr).virgin_storage = true;
    }

    fn set_storage(&mut self, addr: Address, slot: U256, word: U256, location: Location) {
        self.account_entry(addr).storage.insert(slot, (word, Version::At(location)));
    }

    fn set_block_hash(&mut self, number: u64, hash: B256, location: Location) {
        self.hashes.insert(number, (hash, Version::At(location)));
    }

    fn set_code(&mut self, hash: B256, code: Bytecode) {
        if let Entry::Vacant(entry) = self.codes.entry(hash) {
            entry.insert(code);
        }
    }
}

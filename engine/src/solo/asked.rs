//! The state of a segment whose beginning is asked for, cell by cell, of somebody far away.
//!
//! Asking takes long, so that it is done for many cells at once: blocks are *tried*, on the state as far as it is known,
//! and what they find unknown is noted and taken as empty. What was noted is asked for, and the blocks are tried again,
//! until one finds all that it asks for. Then what it found and wrote is right, and is kept.
//! Writes of a try lie in a layer of their own until they are kept or dropped.

use super::code::bytecode;
use super::database::Refusal;
use super::state::{Before, MemoryState, State};
use alloy_primitives::map::HashMap;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use manaflow_loader::model::{AccountValue, Location, Version};
use manaflow_loader::source::node::{Found, FoundAccount, Prestates, Wanted};
use revm::state::Bytecode;

/// A write that is not kept yet.
#[derive(Debug)]
enum Write {
    Account(Address, AccountValue, Location),
    Created(Address),
    Storage(Address, U256, U256, Location),
    BlockHash(u64, B256, Location),
    Code(B256, Bytecode),
}

/// The layer of a try, for look-ups.
#[derive(Default, Debug)]
struct Layer {
    accounts: HashMap<Address, (AccountValue, Version)>,
    /// Accounts whose storage is known to be empty where nobody has a word of it: whether words below the layer are of
    /// a generation that has ended.
    virgin: HashMap<Address, bool>,
    storage: HashMap<(Address, U256), (U256, Version)>,
    hashes: HashMap<u64, (B256, Version)>,
    codes: HashMap<B256, Bytecode>,
    writes: Vec<Write>,
}

/// A state that says what it does not know.
#[derive(Debug)]
pub struct AskedState {
    /// First block of the segment: what is below was never seen.
    first: u64,
    state: MemoryState,
    layer: Layer,
    /// Cells that were asked for and are not known.
    wanted: Wanted,
    /// What somebody said that he cannot say: system transactions assume it, others take it as absent, or fail.
    unknown: Wanted,
    /// Whether a list leaves out nothing but what is absent.
    is_listed: bool,
    /// Who has a code, by its hash.
    holders: HashMap<B256, Address>,
    /// Number of a block, and what each of its transactions is said to find.
    traces: Option<(u64, Prestates)>,
}

impl AskedState {
    /// The state before block `first`, of which nothing is known. `is_listed` says what it means that whoever is asked
    /// cannot tell: that the cell is absent, as for cells that a trace of a transaction leaves out; else nothing.
    pub fn new(first: u64, is_listed: bool) -> Self {
        Self {
            is_listed,
            first,
            state: MemoryState::new(Before::Snapshot(first)),
            layer: Layer::default(),
            wanted: Wanted::default(),
            unknown: Wanted::default(),
            traces: None,
            holders: HashMap::default(),
        }
    }

    /// Goes on from a state.
    pub fn on(self, state: MemoryState) -> Self {
        Self { state, ..self }
    }

    /// Takes what each transaction of a block is said to find. It is listed when its turn comes: what an earlier one made
    /// is no part of the state before the segment, and only execution tells.
    pub fn expect(&mut self, block: u64, traces: Option<Prestates>) {
        self.traces = traces.map(|traces| (block, traces));
    }

    /// Whether all that was asked for since the last call of [`Self::take_wanted`] was known.
    pub fn is_certain(&self) -> bool {
        self.wanted.is_empty()
    }

    /// What was asked for and is not known.
    pub fn take_wanted(&mut self) -> Wanted {
        std::mem::take(&mut self.wanted)
    }

    /// Number of cells of which nobody can say what they were.
    pub fn unknown(&self) -> usize {
        self.unknown.accounts.len() + self.unknown.slots.len()
    }

    /// Leaves of a list what is not known yet.
    pub fn leave_unknown(&self, wanted: &mut Wanted) {
        wanted.accounts.retain(|addr| !self.knows_account(*addr));
        wanted.slots.retain(|(addr, slot)| !self.knows_storage(*addr, *slot));
        wanted.hashes.retain(|number| !self.state.knows_block_hash(*number));
    }

    /// Whether an account is known, or known to be unknown.
    pub fn knows_account(&self, addr: Address) -> bool {
        self.layer.accounts.contains_key(&addr)
            || self.state.knows_account(addr)
            || self.unknown.accounts.contains(&addr)
    }

    /// Whether a storage word is known, or known to be unknown.
    pub fn knows_storage(&self, addr: Address, slot: U256) -> bool {
        self.layer.storage.contains_key(&(addr, slot))
            || self.layer.virgin.contains_key(&addr)
            || self.state.has_virgin_storage(addr)
            || self.state.listed_storage(addr, slot).is_some()
            || self.unknown.slots.contains(&(addr, slot))
    }

    /// Lists what was found of what was wanted; the rest is known to be unknown.
    pub fn list(&mut self, wanted: &Wanted, found: Found) {
        self.unknown.hashes.extend(&wanted.hashes);
        self.unknown.codes.extend(&wanted.codes);
        for code in found.codes {
            self.list_code(keccak256(&code), code);
        }
        for (addr, account) in found.accounts {
            match account {
                Some(account) => self.list_account(addr, account),
                None => {
                    self.unknown.accounts.insert(addr);
                }
            }
        }
        for ((addr, slot), word) in found.slots {
            match word {
                Some(word) => self.state.list_storage(addr, slot, word),
                None => {
                    self.unknown.slots.insert((addr, slot));
                }
            }
        }
        for (number, hash) in found.hashes {
            self.state.list_block_hash(number, hash);
        }
    }

    /// Lists an account as it was before the segment.
    pub fn list_account(&mut self, addr: Address, found: FoundAccount) {
        let value = match found.is_present {
            true => AccountValue {
                present: true,
                nonce: found.nonce,
                balance: found.balance,
                code_hash: found.code_hash,
                generation: 0,
            },
            false => AccountValue::ABSENT,
        };
        self.state.list_account(addr, value);
        if let Some(code) = found.code.filter(|_| found.code_hash != KECCAK256_EMPTY) {
            self.list_code(found.code_hash, code);
        }
    }

    /// Lists code.
    pub fn list_code(&mut self, hash: B256, code: Bytes) {
        self.state.set_code(hash, bytecode(code));
    }

    /// Keeps what was written since the last call of this or of [`Self::drop_writes`].
    pub fn keep_writes(&mut self) {
        let layer = std::mem::take(&mut self.layer);
        for write in layer.writes {
            match write {
                Write::Account(addr, value, location) => self.state.set_account(addr, value, location),
                Write::Created(addr) => self.state.set_created(addr),
                Write::Storage(addr, slot, word, location) => self.state.set_storage(addr, slot, word, location),
                Write::BlockHash(number, hash, location) => self.state.set_block_hash(number, hash, location),
                Write::Code(hash, code) => self.state.set_code(hash, code),
            }
        }
    }

    /// Drops what was written.
    pub fn drop_writes(&mut self) {
        self.layer = Layer::default();
    }

    /// The version of what is not known, or never will be.
    fn unlisted(&self, system: bool, is_unknown: bool, cell: impl Fn() -> String) -> Result<Version, Refusal> {
        match (system, is_unknown && !self.is_listed) {
            (true, _) => Ok(Version::Assumed),
            (false, false) => Ok(Version::Base(self.first)),
            (false, true) => Err(Refusal::Unavailable {
                reason: format!("nobody says what {} was before block {}", cell(), self.first),
                is_input: true,
            }),
        }
    }
}

impl State for AskedState {
    fn begin(&mut self, block: u64, index: u64) {
        // After something unknown nobody can tell what was made meanwhile.
        if !self.is_certain() {
            return;
        }
        let Some((_, traces)) = self.traces.take_if(|(number, _)| *number == block) else { return };
        for (addr, prestate) in index.checked_sub(1).and_then(|i| traces.get(i as usize)).into_iter().flatten() {
            if !self.layer.accounts.contains_key(addr) && !self.state.knows_account(*addr) {
                self.list_account(*addr, prestate.account.clone());
            }
            for (slot, word) in &prestate.storage {
                let is_known = self.layer.storage.contains_key(&(*addr, *slot))
                    || self.layer.virgin.contains_key(addr)
                    || self.state.has_virgin_storage(*addr)
                    || self.state.listed_storage(*addr, *slot).is_some();
                if !is_known {
                    self.state.list_storage(*addr, *slot, *word);
                }
            }
        }
        self.traces = Some((block, traces));
    }

    fn account(&mut self, addr: Address, system: bool) -> Result<(AccountValue, Version), Refusal> {
        let known = match self.layer.accounts.get(&addr) {
            Some(known) => Some(*known),
            None if self.state.knows_account(addr) => Some(self.state.account(addr, system)?),
            None => None,
        };
        if let Some((value, _)) = known {
            // Its code may not be at hand, and is found by whoever has it.
            if value.code_hash != KECCAK256_EMPTY {
                self.holders.insert(value.code_hash, addr);
            }
        }
        let Some(known) = known else {
            let is_unknown = self.unknown.accounts.contains(&addr);
            if !is_unknown {
                self.wanted.accounts.insert(addr);
            }
            return Ok((AccountValue::ABSENT, self.unlisted(system, is_unknown, || addr.to_string())?));
        };
        Ok(known)
    }

    fn storage(&mut self, addr: Address, slot: U256, system: bool) -> Result<(U256, Version), Refusal> {
        if let Some(known) = self.layer.storage.get(&(addr, slot)) {
            return Ok(*known);
        }
        let virgin = self.layer.virgin.get(&addr).copied();
        if virgin != Some(true)
            && let Some(known) = self.state.listed_storage(addr, slot)
        {
            return Ok(known);
        }
        if virgin.is_some() || self.state.has_virgin_storage(addr) {
            return Ok((U256::ZERO, Version::Virgin));
        }
        let is_unknown = self.unknown.slots.contains(&(addr, slot));
        if !is_unknown {
            self.wanted.slots.insert((addr, slot));
        }
        let cell = || format!("slot {slot:#x} of {addr}");
        Ok((U256::ZERO, self.unlisted(system, is_unknown, cell)?))
    }

    fn block_hash(&mut self, number: u64) -> Result<Option<(B256, Version)>, Refusal> {
        if let Some(known) = self.layer.hashes.get(&number) {
            return Ok(Some(*known));
        }
        let known = self.state.block_hash(number)?;
        if known.is_none() && number < self.first && !self.unknown.hashes.contains(&number) {
            self.wanted.hashes.insert(number);
            return Ok(Some((B256::ZERO, Version::Base(self.first))));
        }
        Ok(known)
    }

    fn code(&mut self, hash: B256) -> Result<Option<Bytecode>, Refusal> {
        match self.layer.codes.get(&hash) {
            Some(code) => Ok(Some(code.clone())),
            None => {
                let code = self.state.code(hash)?;
                match self.holders.get(&hash) {
                    Some(holder) if code.is_none() && !self.unknown.codes.contains_key(&hash) => {
                        self.wanted.codes.insert(hash, *holder);
                        Ok(Some(Bytecode::default()))
                    }
                    _ => Ok(code),
                }
            }
        }
    }

    fn set_account(&mut self, addr: Address, value: AccountValue, location: Location) {
        let before = match self.layer.accounts.get(&addr) {
            Some((value, _)) => value.generation,
            None => self.state.generation(addr),
        };
        if before != value.generation {
            self.layer.storage.retain(|(a, _), _| *a != addr);
            self.layer.virgin.insert(addr, true);
        }
        self.layer.accounts.insert(addr, (value, Version::At(location)));
        self.layer.writes.push(Write::Account(addr, value, location));
    }

    fn set_created(&mut self, addr: Address) {
        self.layer.virgin.entry(addr).or_insert(false);
        self.layer.writes.push(Write::Created(addr));
    }

    fn set_storage(&mut self, addr: Address, slot: U256, word: U256, location: Location) {
        self.layer.storage.insert((addr, slot), (word, Version::At(location)));
        self.layer.writes.push(Write::Storage(addr, slot, word, location));
    }

    fn set_block_hash(&mut self, number: u64, hash: B256, location: Location) {
        self.layer.hashes.insert(number, (hash, Version::At(location)));
        self.layer.writes.push(Write::BlockHash(number, hash, location));
    }

    fn set_code(&mut self, hash: B256, code: Bytecode) {
        self.layer.codes.insert(hash, code.clone());
        self.layer.writes.push(Write::Code(hash, code));
    }
}

//! What the EVM asks: the one place that says what a transaction observes. Whoever answers ([`Befores`]) notes each question.
//!
//! Over the answers lies an overlay that is used by system transactions alone: they are several runs in a row whose moves
//! are those of one transaction, so what an earlier run left is answered here and never asked again.

use super::effect::{AccountAfter, Effect};
use super::keccak_memo::KeccakMemo;
use alloy_primitives::map::HashMap;
use alloy_primitives::{Address, B256, U256};
use manaflow_loader::model::{AccountValue, Cell};
use revm::Database;
use revm::database_interface::DBErrorMarker;
use revm::state::{AccountInfo, Bytecode};

/// Why a question was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The moves do not name the cell.
    #[error("cell {0} is asked for but not among the moves")]
    Undeclared(Cell),
    /// The code is not at hand.
    #[error("code {0} is asked for but not in the code table")]
    CodeMissing(B256),
    /// The source does not know the hash of that block.
    #[error("hash of block {0} is asked for but not known")]
    HashUnknown(u64),
    /// The value of the cell cannot be read.
    #[error("{0}")]
    Malformed(String),
    /// Who keeps the state cannot say: a node, or a disk.
    #[error("{reason}")]
    Unavailable {
        /// What was asked, of whom, and why there is no answer.
        reason: String,
        /// Whether the answer was wrong (else none came, and another try may help).
        is_input: bool,
    },
}

impl DBErrorMarker for Refusal {}

/// Answers what cells held before a transaction, and notes that they were asked for. The EVM asks once for a cell.
pub trait Befores {
    /// The account, without code or with it; `None` if absent.
    fn account(&mut self, addr: Address) -> Result<Option<AccountInfo>, Refusal>;
    /// The storage word of the account's generation before the transaction.
    fn storage(&mut self, addr: Address, slot: U256) -> Result<U256, Refusal>;
    /// The hash of a block.
    fn block_hash(&mut self, number: u64) -> Result<B256, Refusal>;
    /// The code with that hash.
    fn code(&mut self, hash: B256) -> Result<Bytecode, Refusal>;

    /// Place and value of an account's before, if it is at hand: canonical, so that an absent one has nothing. That it was
    /// looked at is not noted.
    fn peek(&self, _addr: Address) -> Option<(usize, &AccountValue)> {
        None
    }

    /// Notes that the before at a place was asked for.
    fn note(&mut self, _place: usize) {}
}

/// The afters of earlier runs of the same system transaction.
#[derive(Default, Debug)]
pub struct Overlay {
    accounts: HashMap<Address, (AccountAfter, bool)>,
    slots: HashMap<(Address, U256), U256>,
    created: Vec<Address>,
    codes: HashMap<B256, Bytecode>,
}

impl Overlay {
    /// Lays the afters of a run over what was there.
    pub fn apply(&mut self, effect: &Effect) {
        for &(addr, after) in &effect.accounts {
            let gone = after == AccountAfter::Absent;
            let destroyed = gone || self.accounts.get(&addr).is_some_and(|(_, destroyed)| *destroyed);
            if gone {
                self.slots.retain(|(a, _), _| *a != addr);
            }
            self.accounts.insert(addr, (after, destroyed));
        }
        for &(addr, slot, word) in &effect.slots {
            self.slots.insert((addr, slot), word);
        }
        self.created.extend_from_slice(&effect.created);
        for (hash, code) in &effect.codes {
            self.codes.insert(*hash, code.clone());
        }
    }

    /// Everything laid over, as the effect of one run.
    pub fn take(&mut self, effect: &mut Effect) {
        effect.clear();
        effect.accounts.extend(self.accounts.drain().map(|(addr, (after, _))| (addr, after)));
        effect.slots.extend(self.slots.drain().map(|((addr, slot), word)| (addr, slot, word)));
        effect.created.append(&mut self.created);
        effect.codes.extend(self.codes.drain());
    }
}

/// revm's database: the overlay, and below it the befores.
#[derive(Default, Debug)]
pub struct Db<B> {
    /// Who answers.
    pub befores: B,
    /// Empty outside of system transactions.
    pub overlay: Overlay,
    /// Here because instructions reach it here. It answers nothing about state.
    pub memo: KeccakMemo,
}

impl<B: Befores> Database for Db<B> {
    type Error = Refusal;

    fn basic(&mut self, addr: Address) -> Result<Option<AccountInfo>, Refusal> {
        if !self.overlay.accounts.is_empty()
            && let Some((after, _)) = self.overlay.accounts.get(&addr)
        {
            return Ok(match *after {
                AccountAfter::Absent => None,
                AccountAfter::Present { nonce, balance, code_hash } => {
                    Some(AccountInfo { nonce, balance, code_hash, code: None, ..Default::default() })
                }
            });
        }
        self.befores.account(addr)
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, Refusal> {
        match self.overlay.codes.get(&hash) {
            Some(code) => Ok(code.clone()),
            None => self.befores.code(hash),
        }
    }

    fn storage(&mut self, addr: Address, slot: U256) -> Result<U256, Refusal> {
        if !self.overlay.accounts.is_empty() {
            if let Some(word) = self.overlay.slots.get(&(addr, slot)) {
                return Ok(*word);
            }
            if self.overlay.accounts.get(&addr).is_some_and(|(_, destroyed)| *destroyed) {
                return Ok(U256::ZERO);
            }
        }
        self.befores.storage(addr, slot)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Refusal> {
        self.befores.block_hash(number)
    }
}

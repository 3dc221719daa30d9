//! What a run leaves behind: the one place that says which afters an execution has. Recording and checking both read it.
//!
//! The EVM's result state says what changed, not what was observed: an account made and unmade in one transaction leaves
//! loaded slots that nobody asked for. What was observed is what the EVM asked of its database; see `database`.
//!
//! Presence after (PROTOCOL.md section 3): destroyed → absent; from Spurious Dragon on, touched and empty → absent; before it,
//! touched or created → present; untouched stays.

use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use revm::state::{AccountInfo, Bytecode, EvmState};

/// An account after a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccountAfter {
    /// Does not exist.
    Absent,
    /// Exists.
    Present {
        /// Nonce.
        nonce: u64,
        /// Balance in wei.
        balance: U256,
        /// Keccak-256 of its code.
        code_hash: B256,
    },
}

impl AccountAfter {
    /// As the EVM holds it.
    pub fn of(info: &AccountInfo) -> Self {
        Self::Present { nonce: info.nonce, balance: info.balance, code_hash: info.code_hash }
    }
}

/// Afters of one run. Cells that are not listed are as they were. An account that is listed may be as it was, too.
#[derive(Clone, Default, Debug)]
pub struct Effect {
    /// Accounts touched, each once, in no order.
    pub accounts: Vec<(Address, AccountAfter)>,
    /// Storage words changed, each once, in no order; of no account that the run destroyed.
    pub slots: Vec<(Address, U256, U256)>,
    /// Accounts that the run made and that are there after it: their storage was known to be empty.
    pub created: Vec<Address>,
    /// Code that the run put on accounts, not empty.
    pub codes: Vec<(B256, Bytecode)>,
}

impl Effect {
    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.accounts.clear();
        self.slots.clear();
        self.created.clear();
        self.codes.clear();
    }

    /// Reads the EVM's result state. `clears_empty`: EIP-161 holds.
    pub fn read(&mut self, state: &EvmState, clears_empty: bool) {
        self.clear();
        for (&addr, account) in state {
            if account.is_selfdestructed() {
                // Storage written here is not written: the account's next generation starts virgin.
                self.accounts.push((addr, AccountAfter::Absent));
                continue;
            }
            if !account.is_touched() {
                continue;
            }
            let info = &account.info;
            if clears_empty && account.is_empty() {
                self.accounts.push((addr, AccountAfter::Absent));
                continue;
            }
            self.accounts.push((addr, AccountAfter::of(info)));
            if account.is_created() {
                self.created.push(addr);
            }
            if let Some(code) = &info.code
                && info.code_hash != KECCAK256_EMPTY
                && (account.is_created() || code.is_eip7702())
            {
                self.codes.push((info.code_hash, code.clone()));
            }
            for (&slot, word) in &account.storage {
                if word.is_changed() {
                    self.slots.push((addr, slot, word.present_value));
                }
            }
        }
    }
}

//! State roots from final cells: the secure Merkle-Patricia trie of accounts and the tries of their storage, kept up to date.
//!
//! Setters only note what is set; [`StateTrie::root`] writes it. It inserts before it removes: a branch that loses a child and
//! gains one never falls to one child on the way, so a partial trie needs no node that the change itself does not need.
//! Between two roots only the paths that changed are hashed again. A trie may be *partial*: built from proof nodes, with the
//! rest known by hash; what then needs a node that is not there is an error, and changes nothing.
//! Storage set for an account that is absent at [`StateTrie::root`] is no part of the root.
//! Source: Yellow Paper, section 4.1 and appendix D. Node encodings: alloy-trie. Cost: a hash for each node on a changed path.

#[cfg(test)]
mod tests;
mod trie;

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_rlp::{Decodable, Encodable};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use manaflow_loader::model::{Mark, Move, Value};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use trie::{Nodes, Trie};

impl std::fmt::Debug for StateTrie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StateTrie").field("touched", &self.touched.len()).finish_non_exhaustive()
    }
}

/// Nonce, balance, and hash of the code.
pub type AccountFields = (u64, U256, B256);

/// A partial trie that cannot answer, or proof nodes that are none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TrieError {
    /// The node is known by hash only.
    #[error("trie node {hash} at depth {depth} is missing")]
    Missing {
        /// Hash of the node.
        hash: B256,
        /// Nibbles of the key above it.
        depth: usize,
    },
    /// The node is not one of a trie with keys of 32 bytes.
    #[error("trie node {hash}: {reason}")]
    Malformed {
        /// Hash of the node, of the one that holds it, or of the leaf's value.
        hash: B256,
        /// What was got and what was expected.
        reason: String,
    },
}

/// Accounts and storage, with their root.
#[derive(Default)]
pub struct StateTrie {
    accounts: Trie,
    storage: HashMap<Address, Storage>,
    nodes: Arc<Nodes>,
    /// Accounts that `root` has to write: fields set since, `None` if only storage changed.
    touched: BTreeMap<Address, Option<Option<AccountFields>>>,
}

/// Storage of one account.
#[derive(Default)]
struct Storage {
    trie: Trie,
    /// Words set since the last root.
    set: BTreeMap<U256, U256>,
}

impl StateTrie {
    /// A partial trie with this root. Errors: the root's own node is missing or malformed.
    pub fn from_nodes(root: B256, nodes: impl IntoIterator<Item = Bytes>) -> Result<Self, TrieError> {
        Self::of_nodes(nodes).at(root)
    }

    /// Another partial trie over the same nodes. Errors: the root's own node is missing or malformed.
    pub fn at(&self, root: B256) -> Result<Self, TrieError> {
        let mut accounts = Trie::of_root(root);
        accounts.resolve_root(&self.nodes)?;
        Ok(Self { accounts, nodes: self.nodes.clone(), ..Self::default() })
    }

    /// The nodes alone, as the empty trie's; [`Self::at`] leads to others. Nodes that are none are found where they are met.
    pub fn of_nodes(nodes: impl IntoIterator<Item = Bytes>) -> Self {
        let nodes: Nodes = nodes.into_iter().map(|node| (keccak256(&node), node)).collect();
        Self { nodes: Arc::new(nodes), ..Self::default() }
    }

    /// Sets the fields of an account; `None` is [`Self::destroy`].
    pub fn set_account(&mut self, address: Address, fields: Option<AccountFields>) {
        match fields {
            Some(fields) => _ = self.touched.insert(address, Some(Some(fields))),
            None => self.destroy(address),
        }
    }

    /// Removes an account with all its storage.
    pub fn destroy(&mut self, address: Address) {
        self.storage.insert(address, Storage::default());
        self.touched.insert(address, Some(None));
    }

    /// Sets a storage word; zero removes it. Errors: the account's node is missing or malformed.
    pub fn set_storage(&mut self, address: Address, slot: U256, value: U256) -> Result<(), TrieError> {
        self.storage_of(address)?.set.insert(slot, value);
        self.touched.entry(address).or_insert(None);
        Ok(())
    }

    /// Applies one write of a transaction, whose moves come in ascending order: accounts first, so that a new generation has
    /// dropped its storage before words are written. Errors: the account's node is missing or malformed.
    pub fn apply(&mut self, m: &Move) -> Result<(), TrieError> {
        match (m.prev, m.next) {
            (Value::Account(prev), Value::Account(next)) => {
                if prev.generation != next.generation {
                    self.destroy(m.cell.addr);
                }
                self.set_account(m.cell.addr, next.present.then_some((next.nonce, next.balance, next.code_hash)));
                Ok(())
            }
            (_, Value::Word(word)) if m.cell.mark == Mark::Storage => self.set_storage(m.cell.addr, m.cell.slot, word),
            _ => Ok(()),
        }
    }

    /// The fields of an account. Errors: a node that is missing or malformed.
    pub fn account(&mut self, address: Address) -> Result<Option<AccountFields>, TrieError> {
        match self.touched.get(&address) {
            Some(Some(fields)) => Ok(*fields),
            _ => Ok(self.leaf(address)?.map(|a| (a.nonce, a.balance, a.code_hash))),
        }
    }

    /// A storage word; zero where there is none. Errors: a node that is missing or malformed.
    pub fn storage(&mut self, address: Address, slot: U256) -> Result<U256, TrieError> {
        self.storage_of(address)?;
        let Some(storage) = self.storage.get_mut(&address) else { return Ok(U256::ZERO) };
        if let Some(value) = storage.set.get(&slot) {
            return Ok(*value);
        }
        match storage.trie.get(&hashed_slot(slot), &self.nodes)? {
            None => Ok(U256::ZERO),
            Some(value) => decode(value, "storage word"),
        }
    }

    /// The state root. Errors: a node that is missing or malformed; what was set stays set.
    pub fn root(&mut self) -> Result<B256, TrieError> {
        for &address in self.touched.keys() {
            if let Some(storage) = self.storage.get_mut(&address) {
                storage.write(&self.nodes)?;
            }
        }
        let mut absent = Vec::new();
        let touched = std::mem::take(&mut self.touched);
        for (&address, &fields) in &touched {
            match self.write(address, fields) {
                Ok(true) => {}
                Ok(false) => absent.push(keccak256(address)),
                Err(e) => {
                    self.touched = touched;
                    return Err(e);
                }
            }
        }
        for key in absent {
            if let Err(e) = self.accounts.remove(&key, &self.nodes) {
                self.touched = touched;
                return Err(e);
            }
        }
        Ok(self.accounts.root())
    }

    /// Writes an account's leaf; false if the account is absent, and its leaf is to be removed.
    fn write(&mut self, address: Address, fields: Option<Option<AccountFields>>) -> Result<bool, TrieError> {
        let old = self.leaf(address)?;
        let fields = fields.unwrap_or(old.as_ref().map(|a| (a.nonce, a.balance, a.code_hash)));
        let Some((nonce, balance, code_hash)) = fields else { return Ok(false) };
        let storage_root = match self.storage.get_mut(&address) {
            Some(storage) => storage.trie.root(),
            None => old.map_or(EMPTY_ROOT_HASH, |a| a.storage_root),
        };
        let mut value = Vec::with_capacity(110);
        TrieAccount::new(nonce, balance, storage_root, code_hash).encode(&mut value);
        self.accounts.insert(&keccak256(address), value, &self.nodes)?;
        Ok(true)
    }

    /// An account as it stands in the trie, without what was set since the last root.
    fn leaf(&mut self, address: Address) -> Result<Option<TrieAccount>, TrieError> {
        self.accounts.get(&keccak256(address), &self.nodes)?.map(|value| decode(value, "account")).transpose()
    }

    /// The storage of an account, from its leaf if it was not asked for before.
    fn storage_of(&mut self, address: Address) -> Result<&mut Storage, TrieError> {
        if !self.storage.contains_key(&address) {
            let root = self.leaf(address)?.map_or(EMPTY_ROOT_HASH, |a| a.storage_root);
            self.storage.insert(address, Storage { trie: Trie::of_root(root), set: BTreeMap::new() });
        }
        Ok(self.storage.entry(address).or_default())
    }
}

impl Storage {
    /// Writes what was set; all of it can be written again.
    fn write(&mut self, nodes: &Nodes) -> Result<(), TrieError> {
        for (slot, value) in self.set.iter().filter(|(_, value)| !value.is_zero()) {
            self.trie.insert(&hashed_slot(*slot), alloy_rlp::encode_fixed_size(value).to_vec(), nodes)?;
        }
        for (slot, _) in self.set.iter().filter(|(_, value)| value.is_zero()) {
            self.trie.remove(&hashed_slot(*slot), nodes)?;
        }
        self.set.clear();
        Ok(())
    }
}

/// Fields of an account that has nothing but its presence.
pub const EMPTY_ACCOUNT: AccountFields = (0, U256::ZERO, KECCAK256_EMPTY);

fn hashed_slot(slot: U256) -> B256 {
    keccak256(slot.to_be_bytes::<32>())
}

/// A leaf's value, whole.
fn decode<T: Decodable>(value: &[u8], what: &str) -> Result<T, TrieError> {
    let malformed = |reason: String| TrieError::Malformed { hash: keccak256(value), reason };
    let mut rest = value;
    let decoded = T::decode(&mut rest).map_err(|e| malformed(format!("{what}: {e}")))?;
    if rest.is_empty() { Ok(decoded) } else { Err(malformed(format!("{what}: {} bytes beyond its end", rest.len()))) }
}

//! A transaction's own moves as its whole database: what they do not declare cannot be asked for.

use super::code::CodeTable;
use super::database::{Befores, Refusal};
use alloy_primitives::{Address, B256, U256};
use manaflow_loader::model::{AccountValue, Cell, Mark, Move, Value};
use revm::state::{AccountInfo, Bytecode};
use std::ops::Range;
use std::sync::Arc;

/// Moves up to which each is looked at, rather than halving them.
const FEW: usize = 32;

/// The befores that a transaction declares, and which of them were asked for.
#[derive(Debug, Default)]
pub struct Declared {
    moves: Vec<Move>,
    /// A few bits of each move's cell, so that a search among few looks at one or two cache lines.
    keys: Vec<u64>,
    asked: Vec<bool>,
    /// End of the `a` moves, which come first.
    accounts: usize,
    codes: Option<Arc<CodeTable>>,
}

impl Declared {
    /// Enters a block file.
    pub fn set_codes(&mut self, codes: Arc<CodeTable>) {
        self.codes = Some(codes);
    }

    /// The moves' memory, to be filled with the next transaction's; [`Declared::start`] must follow.
    pub fn moves_mut(&mut self) -> &mut Vec<Move> {
        &mut self.moves
    }

    /// Begins a transaction whose moves, strictly ascending by cell, have been filled in.
    pub fn start(&mut self) {
        self.keys.clear();
        self.keys.extend(self.moves.iter().map(|m| key(&m.cell)));
        self.asked.clear();
        self.asked.resize(self.moves.len(), false);
        self.accounts = self.moves.partition_point(|m| m.cell.mark == Mark::Account);
    }

    /// The moves.
    pub fn moves(&self) -> &[Move] {
        &self.moves
    }

    /// Which moves were asked for.
    pub fn asked(&self) -> &[bool] {
        &self.asked
    }

    /// Place of the account's move.
    pub fn find_account(&self, addr: Address) -> Option<usize> {
        self.place(0..self.accounts, &Cell::account(addr))
    }

    /// Place of the storage word's move, in the account's generation before.
    pub fn find_storage(&self, addr: Address, slot: U256) -> Result<usize, Cell> {
        let generation = match self.find_account(addr).map(|i| self.moves[i].prev) {
            Some(Value::Account(value)) => value.generation,
            _ => 0,
        };
        self.find(Cell::storage(addr, generation, slot))
    }

    /// Place of a cell that is no account.
    pub fn find(&self, cell: Cell) -> Result<usize, Cell> {
        self.place(self.accounts..self.moves.len(), &cell).ok_or(cell)
    }

    fn place(&self, among: Range<usize>, cell: &Cell) -> Option<usize> {
        if among.len() <= FEW {
            let wanted = key(cell);
            let is_it = |&i: &usize| self.keys[i] == wanted && self.moves[i].cell == *cell;
            return among.into_iter().find(is_it);
        }
        let found = self.moves[among.clone()].binary_search_by(|m| m.cell.cmp(cell));
        found.ok().map(|i| among.start + i)
    }

    fn word(&mut self, place: Result<usize, Cell>) -> Result<U256, Refusal> {
        let i = place.map_err(Refusal::Undeclared)?;
        self.asked[i] = true;
        match self.moves[i].prev {
            Value::Word(word) => Ok(word),
            Value::Account(_) => Err(Refusal::Malformed(format!("{} holds an account", self.moves[i].cell))),
        }
    }
}

fn key(cell: &Cell) -> u64 {
    let address: [u8; 8] = std::array::from_fn(|i| cell.addr[i]);
    u64::from_le_bytes(address) ^ cell.slot.as_limbs()[0]
}

impl Befores for Declared {
    fn account(&mut self, addr: Address) -> Result<Option<AccountInfo>, Refusal> {
        let i = self.find_account(addr).ok_or(Refusal::Undeclared(Cell::account(addr)))?;
        self.asked[i] = true;
        match &self.moves[i].prev {
            Value::Account(value) if value.present => Ok(Some(AccountInfo {
                nonce: value.nonce,
                balance: value.balance,
                code_hash: value.code_hash,
                // What nobody has run yet is asked for by hash when it is run: most balances are of accounts that are not.
                code: self.codes.as_ref().and_then(|codes| codes.get_analysed(&value.code_hash)),
                ..Default::default()
            })),
            Value::Account(_) => Ok(None),
            Value::Word(_) => Err(Refusal::Malformed(format!("{} holds a word", self.moves[i].cell))),
        }
    }

    fn storage(&mut self, addr: Address, slot: U256) -> Result<U256, Refusal> {
        let place = self.find_storage(addr, slot);
        self.word(place)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Refusal> {
        let place = self.find(Cell::block_hash(number));
        self.word(place).map(B256::from)
    }

    fn peek(&self, addr: Address) -> Option<(usize, &AccountValue)> {
        let i = self.find_account(addr)?;
        match &self.moves[i].prev {
            Value::Account(value) if value.is_canonical() => Some((i, value)),
            _ => None,
        }
    }

    fn note(&mut self, place: usize) {
        self.asked[place] = true;
    }

    fn code(&mut self, hash: B256) -> Result<Bytecode, Refusal> {
        self.codes.as_ref().and_then(|codes| codes.get(&hash)).ok_or(Refusal::CodeMissing(hash))
    }
}

//! Recording: blocks executed one after the other on a state, each transaction's moves and outcome written down. Never judges.
//!
//! Recording and checking (`check`) share `database` (what is observed) and `effect` (what is left). A mistake there would agree
//! with itself, so the tests hold recorded states against headers, receipts and other clients.

use super::code::bytecode;
use super::database::{Befores, Refusal};
use super::effect::{AccountAfter, Effect};
use super::environment::{Environment, transaction_environment};
use super::machine::{Executor, Machine, Stop};
use super::signature::{Recovered, SignatureHints, recover_all};
use super::state::State;
use super::system::{self, SystemBlock};
use super::transaction::Envelope;
use crate::secp256k1::{Backend, PublicKey};
use crate::state_root::{StateTrie, TrieError};
use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use manaflow_loader::model::{
    AccountValue, BlockBody, BlockRecord, Cell, Location, Mark, Mode, Move, Outcome, Status, TransactionRecord, Value,
    Version,
};
use manaflow_loader::rules::{ChainRules, Fork};
use revm::context::result::ExecutionResult;
use revm::state::{AccountInfo, Bytecode};
use std::sync::Arc;

/// Why a block cannot be recorded. Nothing of this is the chain's fault: the source lacks something.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The source does not have what execution asks for.
    #[error("block {block}, index {index}: {refusal}")]
    Source {
        /// Block by location.
        block: u64,
        /// Index in the block.
        index: u64,
        /// What is missing.
        refusal: Refusal,
    },
    /// A block has too many transactions for a location, or a number is out of bounds.
    #[error("block {block}: no location for index {index}")]
    Location {
        /// Block by location.
        block: u64,
        /// Index in the block.
        index: u64,
    },
    /// The EVM gave up.
    #[error("block {block}, index {index}: the EVM gave up: {message}")]
    Machine {
        /// Block by location.
        block: u64,
        /// Index in the block.
        index: u64,
        /// What it said.
        message: String,
    },
}

/// An account of a genesis allocation.
#[derive(Clone, Debug, Default)]
pub struct Allocation {
    /// Address.
    pub addr: Address,
    /// Balance in wei.
    pub balance: U256,
    /// Nonce.
    pub nonce: u64,
    /// Code, empty for none.
    pub code: Bytes,
    /// Storage, words that are not zero.
    pub storage: Vec<(U256, U256)>,
}

/// A block to record, decoded.
#[derive(Clone, Debug)]
pub struct BlockInput {
    /// Bytes of header, ommers and withdrawals, passed through.
    pub body: BlockBody,
    /// The header.
    pub header: Box<Header>,
    /// Keccak-256 of the header's bytes.
    pub hash: B256,
    /// Ommers; `None` if known by hash only.
    pub ommers: Option<Vec<Header>>,
    /// Withdrawals, empty before Shanghai.
    pub withdrawals: Vec<Withdrawal>,
    /// Transactions: bytes, decoded, and whom their signatures recover to.
    pub transactions: Vec<SignedTransaction>,
    /// Post-state roots of receipts before Byzantium, where the source has them.
    pub witness_roots: Option<Vec<B256>>,
}

/// A transaction to record.
#[derive(Clone, Debug)]
pub struct SignedTransaction {
    /// EIP-2718 bytes.
    pub bytes: Bytes,
    /// Decoded; `None` where it asks for a price beyond 128 bits that no balance can pay.
    pub envelope: Option<Envelope>,
    /// Recovered sender; `None` if the signature recovers to nobody.
    pub sender: Option<Address>,
    /// Recovered authorities, one a set-code tuple; `None` where void.
    pub authorities: Vec<Option<Address>>,
    /// What is to be kept for those who verify; nothing if no hints are wanted.
    pub hints: SignatureHints,
}

impl SignedTransaction {
    /// Whose signatures have been recovered.
    pub fn new(bytes: Bytes, envelope: Envelope, (recovered, hints): (Recovered, SignatureHints)) -> Self {
        Self { bytes, envelope: Some(envelope), sender: recovered.sender, authorities: recovered.authorities, hints }
    }

    /// One that no balance can pay: there is nothing to run.
    pub fn unpayable(bytes: Bytes) -> Self {
        Self { bytes, envelope: None, sender: None, authorities: Vec::new(), hints: SignatureHints::default() }
    }

    /// Recovers sender and authorities of one transaction, by libsecp256k1.
    pub fn recover(bytes: Bytes, envelope: Envelope) -> Self {
        let recovered = recover_all(&[&envelope], Backend::default()).pop().expect("one a transaction");
        Self::new(bytes, envelope, (recovered, SignatureHints::default()))
    }
}

/// Answers from the state and notes what was asked.
#[derive(Debug)]
struct Recorder<S> {
    state: Option<S>,
    system: bool,
    accounts: Vec<(Address, AccountValue, Version)>,
    slots: Vec<(Address, U256, U256, Version)>,
    hashes: Vec<(u64, B256, Version)>,
    codes: Vec<(B256, Bytecode)>,
}

// By hand: a state need not have a default. Only a machine that is being rebuilt holds a recorder without state.
impl<S> Default for Recorder<S> {
    fn default() -> Self {
        Self { state: None, system: false, accounts: vec![], slots: vec![], hashes: vec![], codes: vec![] }
    }
}

impl<S: State> Recorder<S> {
    fn state(&mut self) -> &mut S {
        self.state.as_mut().expect("a recorder that is asked has its state")
    }

    fn start(&mut self, system: bool) {
        self.system = system;
        self.accounts.clear();
        self.slots.clear();
        self.hashes.clear();
    }
}

impl<S: State> Befores for Recorder<S> {
    fn account(&mut self, addr: Address) -> Result<Option<AccountInfo>, Refusal> {
        let system = self.system;
        let (value, version) = self.state().account(addr, system)?;
        self.accounts.push((addr, value, version));
        Ok(value.present.then(|| AccountInfo {
            nonce: value.nonce,
            balance: value.balance,
            code_hash: value.code_hash,
            code: None,
            ..Default::default()
        }))
    }

    fn storage(&mut self, addr: Address, slot: U256) -> Result<U256, Refusal> {
        let system = self.system;
        let (word, version) = self.state().storage(addr, slot, system)?;
        self.slots.push((addr, slot, word, version));
        Ok(word)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Refusal> {
        let (hash, version) = self.state().block_hash(number)?.ok_or(Refusal::HashUnknown(number))?;
        self.hashes.push((number, hash, version));
        Ok(hash)
    }

    fn code(&mut self, hash: B256) -> Result<Bytecode, Refusal> {
        if hash == KECCAK256_EMPTY {
            return Ok(Bytecode::default());
        }
        let code = self.state().code(hash)?.ok_or(Refusal::CodeMissing(hash))?;
        self.codes.push((hash, code.clone()));
        Ok(code)
    }
}

/// Executes the blocks of one segment in order and records them.
#[derive(Debug)]
pub struct Importer<S: State> {
    machine: Machine<Recorder<S>>,
    rules: Arc<ChainRules>,
    /// Where receipts need post-state roots that the source does not have: the whole state as a trie.
    trie: Option<StateTrie>,
    effect: Effect,
    /// Keys of signers of what was recorded since they were taken.
    keys: Vec<(Address, PublicKey)>,
}

impl<S: State> Importer<S> {
    /// An importer on a state. With a trie (which must hold the same state; from genesis an empty one) post-state roots are
    /// computed for blocks before Byzantium that come without.
    pub fn new(state: S, rules: ChainRules, trie: Option<StateTrie>) -> Self {
        let environment = Environment::new(&Header::default(), &rules);
        let recorder = Recorder { state: Some(state), ..Recorder::default() };
        let machine = Machine::new(recorder, &environment);
        Self { machine, rules: Arc::new(rules), trie, effect: Effect::default(), keys: Vec::new() }
    }

    /// Takes another executor from the next transaction on.
    pub fn set_backend(&mut self, backend: crate::backend::execution::Backend) {
        self.machine.set_backend(backend);
    }

    /// Code that was asked for since the last call; each hash may come more than once.
    pub fn take_codes(&mut self) -> Vec<(B256, Bytecode)> {
        std::mem::take(&mut self.machine.befores().codes)
    }

    /// Signers of what was recorded since the last call, with their keys; each may come more than once.
    pub fn take_keys(&mut self) -> Vec<(Address, PublicKey)> {
        std::mem::take(&mut self.keys)
    }

    /// The state reached.
    pub fn state(&mut self) -> &mut S {
        self.machine.befores().state()
    }

    /// Records the genesis block: its opening is the allocation.
    pub fn genesis(&mut self, body: BlockBody, hash: B256, alloc: &[Allocation]) -> Result<BlockRecord, RecordError> {
        self.machine.befores().start(true);
        let mut effect = Effect::default();
        for account in alloc {
            // An account may begin as a delegation (EIP-7702).
            let code = bytecode(account.code.clone());
            let code_hash = if account.code.is_empty() { KECCAK256_EMPTY } else { keccak256(&account.code) };
            let after = AccountAfter::Present { nonce: account.nonce, balance: account.balance, code_hash };
            effect.accounts.push((account.addr, after));
            if !account.code.is_empty() {
                effect.codes.push((code_hash, code));
            }
            let words = account.storage.iter().filter(|(_, word)| !word.is_zero());
            effect.slots.extend(words.map(|(slot, word)| (account.addr, *slot, *word)));
        }
        self.effect = effect;
        let opening = TransactionRecord { moves: self.settle(0, 0, None)?, ..Default::default() };
        self.effect.clear();
        self.machine.befores().start(true);
        let closing = TransactionRecord { moves: self.settle(0, 1, Some(hash))?, ..Default::default() };
        Ok(BlockRecord { body, transactions: vec![opening, closing] })
    }

    /// Records the block at position `number` (from which locations are made; the header's own number is another matter).
    pub fn block(&mut self, number: u64, input: BlockInput) -> Result<BlockRecord, RecordError> {
        let environment = Environment::new(&input.header, &self.rules);
        self.machine.set_block(&environment);
        let rules = Arc::clone(&self.rules);
        let block = SystemBlock {
            header: &input.header,
            environment: &environment,
            rules: &rules,
            ommers: input.ommers.as_deref(),
            withdrawals: &input.withdrawals,
        };
        let mut transactions = Vec::with_capacity(input.transactions.len() + 2);

        self.machine.befores().start(true);
        system::opening(&mut self.machine, &block, &mut self.effect).map_err(|e| stopped(number, 0, e))?;
        transactions.push(TransactionRecord { moves: self.settle(number, 0, None)?, ..Default::default() });

        for (i, tx) in input.transactions.into_iter().enumerate() {
            let witness = input.witness_roots.as_ref().and_then(|roots| roots.get(i)).copied();
            transactions.push(self.transaction(number, i as u64 + 1, &environment, tx, witness)?);
        }

        let index = transactions.len() as u64;
        self.machine.befores().start(true);
        let requests =
            system::closing(&mut self.machine, &block, &mut self.effect).map_err(|e| stopped(number, index, e))?;
        let moves = self.settle(number, index, Some(input.hash))?;
        transactions.push(TransactionRecord { moves, requests: requests.outputs, ..Default::default() });
        Ok(BlockRecord { body: input.body, transactions })
    }

    fn transaction(
        &mut self,
        number: u64,
        index: u64,
        environment: &Environment,
        tx: SignedTransaction,
        witness: Option<B256>,
    ) -> Result<TransactionRecord, RecordError> {
        let recorder = self.machine.befores();
        recorder.start(false);
        recorder.state().begin(number, index);
        let mut record = TransactionRecord {
            bytes: tx.bytes,
            sender: tx.sender,
            authorities: tx.authorities,
            signature_r: tx.hints.roots,
            ..Default::default()
        };
        self.keys.extend(tx.hints.keys);
        // A transaction without sender, or one that cannot be included, is written as it is: `validate` says why.
        let (Some(sender), Some(envelope)) = (tx.sender, &tx.envelope) else { return Ok(record) };
        let env = transaction_environment(envelope, sender, &record.authorities);
        let result = match self.machine.transaction(env, &mut self.effect) {
            Ok(result) => Some(result),
            Err(Stop::Transaction(_) | Stop::Header(_)) => None,
            Err(e) => return Err(stopped(number, index, e)),
        };
        record.moves = self.settle(number, index, None)?;
        if let Some(result) = result {
            let root = match &mut self.trie {
                Some(trie) if witness.is_none() && environment.fork < Fork::Byzantium => {
                    Some(trie.root().map_err(|e| RecordError::Machine {
                        block: number,
                        index,
                        message: e.to_string(),
                    })?)
                }
                _ => witness,
            };
            record.outcome = Some(outcome(result, environment.fork, root));
        }
        Ok(record)
    }

    /// Turns what was asked and what was left into moves, and brings the state forward.
    fn settle(&mut self, number: u64, index: u64, own_hash: Option<B256>) -> Result<Vec<Move>, RecordError> {
        let location = Location::new(number, index).ok_or(RecordError::Location { block: number, index })?;
        let recorder = self.machine.befores();
        // The runs of a system transaction may ask twice; the answers are equal, since the state stands still meanwhile.
        let mut moves: Vec<Move> = recorder
            .accounts
            .iter()
            .map(|&(addr, value, intx)| read(Cell::account(addr), intx, Value::Account(value)))
            .collect();
        sort_distinct(&mut moves);
        // Afters of accounts that nobody asked for: the genesis allocation alone.
        let accounts = moves.len();
        for &(addr, _) in &self.effect.accounts {
            let cell = Cell::account(addr);
            if moves[..accounts].binary_search_by_key(&cell, |m| m.cell).is_err() {
                let answer = recorder.state().account(addr, true);
                let (value, intx) = answer.map_err(|refusal| RecordError::Source { block: number, index, refusal })?;
                moves.push(read(cell, intx, Value::Account(value)));
            }
        }
        if moves.len() > accounts {
            sort_distinct(&mut moves);
        }
        let generations: Vec<(Address, u32)> = moves.iter().map(|m| (m.cell.addr, generation_before(m))).collect();
        let cell_of = |addr: Address, slot: U256| {
            let found = generations.binary_search_by_key(&addr, |(a, _)| *a);
            Cell::storage(addr, found.map_or(0, |i| generations[i].1), slot)
        };
        for (addr, after) in &self.effect.accounts {
            let found = moves.binary_search_by_key(&Cell::account(*addr), |m| m.cell);
            let m = &mut moves[found.expect("every account with an after has a move by now")];
            if let Value::Account(prev) = m.prev {
                set_next(m, Value::Account(account_after(prev, Some(*after))));
            }
        }
        let mut words: Vec<Move> = recorder
            .slots
            .iter()
            .map(|&(addr, slot, word, intx)| read(cell_of(addr, slot), intx, Value::Word(word)))
            .collect();
        sort_distinct(&mut words);
        let asked = words.len();
        for &(addr, slot, word) in &self.effect.slots {
            let cell = cell_of(addr, slot);
            match words[..asked].binary_search_by_key(&cell, |m| m.cell) {
                Ok(i) => set_next(&mut words[i], Value::Word(word)),
                // Nobody asked, so the account was made here: its storage is known to be empty.
                Err(_) => {
                    let mut m = read(cell, Version::Virgin, Value::Word(U256::ZERO));
                    set_next(&mut m, Value::Word(word));
                    words.push(m);
                }
            }
        }
        moves.append(&mut words);
        moves.extend(
            recorder.hashes.iter().map(|&(n, hash, intx)| read(Cell::block_hash(n), intx, Value::Word(hash.into()))),
        );
        if let Some(hash) = own_hash {
            let cell = Cell::block_hash(number);
            let mut m = read(cell, Version::Virgin, cell.default_value());
            set_next(&mut m, Value::Word(hash.into()));
            moves.push(m);
        }
        sort_distinct(&mut moves);
        self.advance(&moves, location).map_err(|e| RecordError::Machine {
            block: number,
            index,
            message: e.to_string(),
        })?;
        Ok(moves)
    }

    fn advance(&mut self, moves: &[Move], location: Location) -> Result<(), TrieError> {
        let state = self.machine.befores().state();
        for (hash, code) in self.effect.codes.drain(..) {
            state.set_code(hash, code);
        }
        for &addr in &self.effect.created {
            state.set_created(addr);
        }
        // Ascending order has accounts first, so a new generation has dropped its storage before words are written.
        for m in moves.iter().filter(|m| m.mode == Mode::Write) {
            match m.next {
                Value::Account(next) => state.set_account(m.cell.addr, next, location),
                Value::Word(word) if m.cell.mark == Mark::Storage => {
                    state.set_storage(m.cell.addr, m.cell.slot, word, location);
                }
                Value::Word(hash) => state.set_block_hash(location.block(), hash.into(), location),
            }
            if let Some(trie) = &mut self.trie {
                trie.apply(m)?;
            }
        }
        Ok(())
    }
}

fn stopped(block: u64, index: u64, stop: Stop) -> RecordError {
    match stop {
        Stop::Befores(refusal) => RecordError::Source { block, index, refusal },
        Stop::Transaction(e) => RecordError::Machine { block, index, message: e.to_string() },
        Stop::Header(e) => RecordError::Machine { block, index, message: e.to_string() },
        Stop::Other(message) => RecordError::Machine { block, index, message },
    }
}

fn read(cell: Cell, intx: Version, value: Value) -> Move {
    Move { mask: 0, cell, mode: Mode::Read, intx, prev: value, next: value }
}

fn set_next(m: &mut Move, next: Value) {
    m.next = next;
    m.mode = if next == m.prev { Mode::Read } else { Mode::Write };
}

fn sort_distinct(moves: &mut Vec<Move>) {
    moves.sort_unstable_by_key(|m| m.cell);
    moves.dedup_by_key(|m| m.cell);
}

fn generation_before(m: &Move) -> u32 {
    match m.prev {
        Value::Account(value) => value.generation,
        Value::Word(_) => 0,
    }
}

/// The value of an account after a run. An account that goes from present to absent enters its next generation.
pub(super) fn account_after(prev: AccountValue, after: Option<AccountAfter>) -> AccountValue {
    match after {
        None => prev,
        Some(AccountAfter::Absent) => AccountValue::absent(prev.generation.saturating_add(u32::from(prev.present))),
        Some(AccountAfter::Present { nonce, balance, code_hash }) => {
            AccountValue { present: true, nonce, balance, code_hash, generation: prev.generation }
        }
    }
}

/// The outcome of an execution, in the form of its fork's receipts.
pub(super) fn outcome(result: ExecutionResult, fork: Fork, witness: Option<B256>) -> Outcome {
    let status = match result.is_success() {
        _ if fork < Fork::Byzantium => Status::Root(witness),
        true => Status::Success,
        false => Status::Failure,
    };
    let gas_used = result.tx_gas_used();
    // Only a success has logs: those of undone frames are undone with them.
    let logs = if result.is_success() { result.into_logs() } else { Vec::new() };
    Outcome { status, gas_used, logs }
}

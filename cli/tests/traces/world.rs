//! Blocks put together from parts, and their moves as the engine's recorder writes them.

use alloy_consensus::Header;
use alloy_primitives::{Address, Bytes, KECCAK256_EMPTY, U256, keccak256};
use manaflow_engine::import::prepare;
use manaflow_engine::solo::code::bytecode;
use manaflow_engine::solo::record::Importer;
use manaflow_engine::solo::state::{Before, MemoryState, State};
use manaflow_loader::model::{AccountValue, BlockRecord, Cell, Move, TransactionRecord};
use manaflow_loader::rules::ChainRules;
use manaflow_loader::source::SourceBlock;
use std::collections::BTreeMap;

/// A transaction's moves by cell.
pub type Moves = BTreeMap<Cell, Move>;

/// Moves of one transaction, which has at most one of a cell.
pub fn by_cell(record: &TransactionRecord) -> Moves {
    let moves: Moves = record.moves.iter().map(|m| (m.cell, *m)).collect();
    assert_eq!(moves.len(), record.moves.len());
    moves
}

/// The state before a block, as a source lists it.
pub struct StateBefore(MemoryState);

impl StateBefore {
    /// Before block `first`.
    pub fn new(first: u64) -> Self {
        Self(MemoryState::new(Before::Snapshot(first)))
    }

    /// Lists an account.
    pub fn account(&mut self, address: Address, nonce: u64, balance: U256, code: Bytes) {
        let code_hash = if code.is_empty() { KECCAK256_EMPTY } else { keccak256(&code) };
        let value = AccountValue { present: true, nonce, balance, code_hash, generation: 0 };
        self.0.list_account(address, value);
        if !code.is_empty() {
            self.0.set_code(code_hash, bytecode(code));
        }
    }

    /// Lists a word.
    pub fn word(&mut self, address: Address, slot: U256, word: U256) {
        self.0.list_storage(address, slot, word);
    }

    /// Starts to record.
    pub fn recorder(self, rules: &ChainRules) -> Recorder {
        Recorder(Importer::new(self.0, rules.clone(), None))
    }
}

/// Records blocks one after the other.
pub struct Recorder(Importer<MemoryState>);

impl Recorder {
    /// Records the block with this RLP; its place is the number in its header.
    pub fn block(&mut self, rlp: Vec<u8>, name: &str) -> BlockRecord {
        let block = SourceBlock::from_rlp(&rlp.into()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let number = block.number;
        let input = prepare(block, name).unwrap_or_else(|e| panic!("{e}"));
        self.0.block(number, input).unwrap_or_else(|e| panic!("{name}: {e}"))
    }
}

/// An RLP list of items that are RLP already.
pub fn list(items: &[&[u8]]) -> Vec<u8> {
    let payload = items.concat();
    let mut out = Vec::new();
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend(payload);
    out
}

/// A block's RLP from its header, the EIP-2718 bytes of its transactions, and the RLP of its other lists.
pub fn block_rlp(header: &[u8], transactions: &[Bytes], ommers: &[u8], withdrawals: Option<&[u8]>) -> Vec<u8> {
    let transactions: Vec<Vec<u8>> = transactions
        .iter()
        .map(|bytes| if bytes[0] < 0x80 { alloy_rlp::encode(bytes) } else { bytes.to_vec() })
        .collect();
    let transactions: Vec<&[u8]> = transactions.iter().map(Vec::as_slice).collect();
    let transactions = list(&transactions);
    let parts: Vec<&[u8]> = [header, &transactions, ommers].into_iter().chain(withdrawals).collect();
    list(&parts)
}

/// A block of one transaction without ommers, under a header that is made up.
pub fn block_of_one(header: &Header, transaction: Bytes) -> Vec<u8> {
    let withdrawals = header.withdrawals_root.map(|_| &[alloy_rlp::EMPTY_LIST_CODE][..]);
    block_rlp(&alloy_rlp::encode(header), &[transaction], &[alloy_rlp::EMPTY_LIST_CODE], withdrawals)
}

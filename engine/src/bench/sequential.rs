//! The baseline: what a sequential client does with a block whose state is in memory.
//!
//! One thread; senders recovered by libsecp256k1; revm over a `CacheDB` that holds all the block touches, warm, one EVM a
//! block, each transaction committed; gas, transactions root, and (from Byzantium) receipts root and bloom recomputed and
//! compared. Blocks are parsed and code is analysed beforehand. Left out are a database, state roots, system calls,
//! rewards and rules of headers: a client pays for those too.

use crate::solo::code::CodeTable;
use crate::solo::environment::{Environment, transaction_environment};
use crate::solo::transaction::{Envelope, decode};
use alloy_consensus::proofs::{calculate_receipt_root, ordered_trie_root_encoded};
use alloy_consensus::transaction::SignerRecoverable;
use alloy_consensus::{Header, Receipt, ReceiptEnvelope};
use alloy_primitives::{Address, Bloom};
use manaflow_loader::file::BlockFile;
use manaflow_loader::model::{Cell, Mark, Move, Outcome, Value};
use manaflow_loader::rules::Fork;
use revm::context::TxEnv;
use revm::context::result::ExecutionResult;
use revm::database::{CacheDB, DbAccount, EmptyDB};
use revm::state::AccountInfo;
use revm::{Context, ExecuteCommitEvm, MainBuilder, MainContext};
use std::collections::BTreeMap;

/// State of a block in memory.
pub type Cache = CacheDB<EmptyDB>;

/// A block, parsed.
#[derive(Debug)]
pub struct Block {
    /// Place in the block index of its file.
    pub place: usize,
    /// The header.
    pub header: Header,
    /// Fork and EVM environment.
    pub environment: Environment,
    /// EIP-2718 bytes of its transactions.
    pub bytes: Vec<Vec<u8>>,
    /// Transactions, decoded.
    pub envelopes: Vec<Envelope>,
    /// Declared sender of each, for runs that recover nothing.
    pub senders: Vec<Address>,
    /// Declared authorities of each.
    pub authorities: Vec<Vec<Option<Address>>>,
    /// Declared outcome of each.
    pub outcomes: Vec<Option<Outcome>>,
    /// What the block touches, as it was before the block.
    pub before: Cache,
}

/// All blocks of a verified file, each with the state before it, which follows from its moves.
pub fn blocks(file: &BlockFile, codes: &CodeTable) -> Result<Vec<Block>, String> {
    (0..file.block_count()).map(|block| parse(file, block, codes)).collect()
}

fn parse(file: &BlockFile, block: usize, codes: &CodeTable) -> Result<Block, String> {
    let view = file.block(block).map_err(|e| e.to_string())?;
    let header = view.body().header;
    let header: Header = alloy_rlp::decode_exact(&header).map_err(|e| e.to_string())?;
    let mut first: BTreeMap<Cell, Move> = BTreeMap::new();
    let mut parsed = Block {
        place: block,
        environment: Environment::new(&header, file.rules()),
        header,
        bytes: Vec::new(),
        envelopes: Vec::new(),
        senders: Vec::new(),
        authorities: Vec::new(),
        outcomes: Vec::new(),
        before: Cache::default(),
    };
    for row in view.transactions() {
        for i in row.moves() {
            let m = file.move_at(i).map_err(|e| e.to_string())?;
            first.entry(m.cell).or_insert(m);
        }
        if row.bytes().is_empty() {
            continue;
        }
        parsed.bytes.push(row.bytes().to_vec());
        parsed.envelopes.push(decode(row.bytes()).map_err(|error| error.why)?);
        parsed.senders.push(row.sender().ok_or("a transaction without sender")?);
        parsed.authorities.push(row.authorities().collect());
        parsed.outcomes.push(row.outcome().map_err(|e| e.to_string())?);
    }
    let mut generation = (Address::ZERO, 0);
    for (&cell, m) in &first {
        // Words of a later generation come to be within the block: before it, the same slot may hold another word.
        if cell.mark == Mark::Storage && cell.addr != generation.0 {
            let account = first.get(&Cell::account(cell.addr)).map(|m| m.prev);
            generation = (cell.addr, if let Some(Value::Account(a)) = account { a.generation } else { 0 });
        }
        match m.prev {
            Value::Word(_) if cell.mark == Mark::Storage && cell.generation != generation.1 => {}
            Value::Account(a) if a.present => parsed.before.insert_account_info(
                cell.addr,
                AccountInfo {
                    nonce: a.nonce,
                    balance: a.balance,
                    code_hash: a.code_hash,
                    code: codes.get(&a.code_hash),
                    ..Default::default()
                },
            ),
            Value::Account(_) => {
                parsed.before.cache.accounts.insert(cell.addr, DbAccount::new_not_existing());
            }
            Value::Word(word) if cell.mark == Mark::Storage => {
                let slot = parsed.before.insert_account_storage(cell.addr, cell.slot, word);
                slot.map_err(|e| e.to_string())?;
            }
            Value::Word(word) => {
                parsed.before.cache.block_hashes.insert(cell.slot, word.into());
            }
        }
    }
    Ok(parsed)
}

/// The states before all blocks, each run's own.
pub fn states(blocks: &[Block]) -> Vec<Cache> {
    blocks.iter().map(|block| block.before.clone()).collect()
}

/// Runs the whole baseline; returns the gas used. `states` are used up, and dropped by the caller.
///
/// Errors: a signature that does not recover, a transaction that cannot be included, or anything that differs from what the
/// headers say: such blocks are none to measure on.
pub fn validate(blocks: &[Block], states: &mut [Cache]) -> Result<u64, String> {
    let mut total = 0;
    for (block, state) in blocks.iter().zip(states) {
        let number = block.header.number;
        let is_as_stated = |is: bool, what: &str| match is {
            true => Ok(()),
            false => Err(format!("block {number}: the baseline finds another {what} than the header states")),
        };
        let senders = block.envelopes.iter().map(|tx| tx.recover_signer_unchecked()).collect::<Result<Vec<_>, _>>();
        let senders = senders.map_err(|e| format!("block {number}: {e}"))?;
        let mut receipts = Vec::with_capacity(block.envelopes.len());
        let mut cumulative_gas_used = 0;
        let mut bloom = Bloom::ZERO;
        execute_block(block, &senders, state, |tx, result| {
            cumulative_gas_used += result.tx_gas_used();
            let status = result.is_success().into();
            let logs = if result.is_success() { result.into_logs() } else { Vec::new() };
            let receipt = Receipt { status, cumulative_gas_used, logs }.with_bloom();
            bloom |= receipt.logs_bloom;
            receipts.push(ReceiptEnvelope::from_typed(tx.tx_type(), receipt));
        })?;
        is_as_stated(cumulative_gas_used == block.header.gas_used, "gas used")?;
        is_as_stated(bloom == block.header.logs_bloom, "bloom")?;
        is_as_stated(ordered_trie_root_encoded(&block.bytes) == block.header.transactions_root, "transactions root")?;
        // Before Byzantium receipts hold state roots, which nobody has here.
        if block.environment.fork >= Fork::Byzantium {
            is_as_stated(calculate_receipt_root(&receipts) == block.header.receipts_root, "receipts root")?;
        }
        total += cumulative_gas_used;
    }
    Ok(total)
}

/// Runs plain revm alone, from decoded transactions and known senders; returns the gas used.
///
/// Errors: a transaction that cannot be included, or a block whose gas used differs from its header's.
pub fn execute(blocks: &[Block], states: &mut [Cache]) -> Result<u64, String> {
    let mut total = 0;
    for (block, state) in blocks.iter().zip(states) {
        let mut gas_used = 0;
        execute_block(block, &block.senders, state, |_, result| gas_used += result.tx_gas_used())?;
        if gas_used != block.header.gas_used {
            return Err(format!(
                "block {}: plain revm uses {gas_used} gas, not what the header states",
                block.header.number
            ));
        }
        total += gas_used;
    }
    Ok(total)
}

fn execute_block(
    block: &Block,
    senders: &[Address],
    state: &mut Cache,
    mut take: impl FnMut(&Envelope, ExecutionResult),
) -> Result<(), String> {
    let mut evm = Context::mainnet()
        .with_db(state)
        .with_block(block.environment.block.clone())
        .with_cfg(block.environment.cfg.clone())
        .build_mainnet();
    for ((tx, &sender), authorities) in block.envelopes.iter().zip(senders).zip(&block.authorities) {
        let env: TxEnv = transaction_environment(tx, sender, authorities);
        let result = evm.transact_commit(env).map_err(|e| format!("block {}: {e}", block.header.number))?;
        take(tx, result);
    }
    Ok(())
}

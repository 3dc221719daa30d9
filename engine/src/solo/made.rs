//! Codes that came to be in a block. A file has the codes that ran; one that was made and never ran is what the transaction
//! that made it returns, executed once more from its own moves.

use super::check::{Checker, Claim};
use super::code::CodeTable;
use super::environment::Environment;
use super::machine::Executor;
use super::system::SystemBlock;
use super::transaction;
use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes};
use manaflow_loader::model::{BlockRecord, Location, Move, Value};
use manaflow_loader::rules::ChainRules;
use std::sync::Arc;

/// Executes the transactions of a block that put code on accounts, and gives these codes with their hashes. `number` is the
/// block's, `codes` are those of its file. Codes of the genesis allocation nobody made.
///
/// Errors, in words: header or transaction do not decode; a code that ran is not there. Whether the transactions are valid
/// is not asked.
pub fn codes_made(
    record: &BlockRecord,
    number: u64,
    rules: &ChainRules,
    codes: Arc<CodeTable>,
) -> Result<Vec<(B256, Bytes)>, String> {
    let header: Header = alloy_rlp::decode_exact(&record.body.header).map_err(|e| format!("header: {e}"))?;
    let environment = Environment::new(&header, rules);
    let mut checker = Checker::new(&environment);
    checker.machine().set_block(&environment);
    checker.declared().set_codes(codes);
    let block = SystemBlock { header: &header, environment: &environment, rules, ommers: None, withdrawals: &[] };
    let (mut made, mut faults) = (Vec::new(), Vec::new());
    for (index, tx) in record.transactions.iter().enumerate() {
        if tx.bytes.is_empty() || !tx.moves.iter().any(puts_code) {
            continue;
        }
        let place = |e: &dyn std::fmt::Display| format!("transaction {index}: {e}");
        let envelope = transaction::decode(&tx.bytes).map_err(|e| place(&e.why))?;
        let location = Location::new(number, index as u64).ok_or_else(|| place(&"is beyond all places"))?;
        checker.declared().moves_mut().clone_from(&tx.moves);
        let claim = Claim {
            location,
            sender: tx.sender,
            authorities: &tx.authorities,
            outcome: tx.outcome.as_ref(),
            requests: &[],
        };
        checker.transaction(&envelope, claim, &block, &mut faults).map_err(|e| place(&e))?;
        made.extend(checker.codes().iter().map(|(hash, code)| (*hash, code.original_bytes())));
    }
    Ok(made)
}

fn puts_code(m: &Move) -> bool {
    matches!((m.prev, m.next), (Value::Account(prev), Value::Account(next)) if prev.code_hash != next.code_hash)
}

//! Snapshots: a block and the state before it, a segment each.

use super::prepare::prepare_all;
use super::{ImportError, Out, push};
use crate::solo::code::bytecode;
use crate::solo::record::Importer;
use crate::solo::state::{Before, MemoryState, State};
use alloy_primitives::KECCAK256_EMPTY;
use manaflow_loader::model::AccountValue;
use manaflow_loader::rules::ChainRules;
use manaflow_loader::source::Snapshot;

/// Imports a snapshot as a segment of its own.
pub(super) fn import(snapshot: &Snapshot, rules: &ChainRules, out: &mut Out<'_>) -> Result<(), ImportError> {
    let name = snapshot.folder.display().to_string();
    let first = snapshot.start.first;
    let mut importer = Importer::new(snapshot_state(snapshot), rules.clone(), None);
    importer.set_backend(out.options.backends.execution);
    let input = prepare_all(vec![snapshot.block.clone()], &name, out.options, None)?.pop().expect("one a block");
    out.writer.begin_segment(&snapshot.start).map_err(ImportError::Output)?;
    out.counts.segments += 1;
    let record = importer.block(first, input);
    push(record.map_err(|error| ImportError::Record { source_name: name, error })?, &mut importer, out)
}

/// The state before a snapshot's block. Accounts whose balance is a guess are taken as listed: their code runs.
pub fn snapshot_state(snapshot: &Snapshot) -> MemoryState {
    let mut state = MemoryState::new(Before::Snapshot(snapshot.start.first));
    for (&addr, account) in &snapshot.pre_state {
        let value = AccountValue {
            present: true,
            nonce: account.nonce,
            balance: account.balance,
            code_hash: account.code_hash,
            generation: 0,
        };
        state.list_account(addr, value);
        for (&slot, &word) in &account.storage {
            state.list_storage(addr, slot, word);
        }
        if account.code_hash != KECCAK256_EMPTY
            && let Some(code) = snapshot.codes.get(&account.code_hash)
        {
            state.set_code(account.code_hash, bytecode(code.clone()));
        }
    }
    for &addr in &snapshot.absent {
        state.list_account(addr, AccountValue::ABSENT);
    }
    for (&number, &hash) in &snapshot.block_hashes {
        state.list_block_hash(number, hash);
    }
    state
}

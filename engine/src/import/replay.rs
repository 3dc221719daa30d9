//! The state after files that are there already, by their moves: what they found before the segment, and what they wrote.
//!
//! What was asked for and never found its way into a move is not known again; it is asked for again where it is wanted.

use super::ImportError;
use crate::solo::code::bytecode;
use crate::solo::state::{Before, MemoryState, State};
use alloy_primitives::map::HashSet;
use alloy_primitives::{Address, KECCAK256_EMPTY};
use manaflow_loader::Error;
use manaflow_loader::file::BlockFile;
use manaflow_loader::model::{AccountValue, Cell, Location, Mark, Mode, Move, Value, Version};

/// The state after some files of one segment, which are in the order of their blocks; and the cells that were found as they
/// were before it.
///
/// Errors: damaged pages.
pub(super) fn state_after(files: &[BlockFile], first: u64) -> Result<(MemoryState, HashSet<Cell>), ImportError> {
    let mut used = HashSet::default();
    let mut state = MemoryState::new(Before::Snapshot(first));
    for file in files {
        file.verify_all()?;
        for i in 0..file.code_count() {
            let (hash, code) = file.shared_code(i as u32)?;
            if let Some(code) = code {
                state.set_code(hash, bytecode(code));
            }
        }
        for place in 0..file.block_count() {
            let number = file.block(place)?.number();
            for (index, tx) in file.record(place)?.transactions.iter().enumerate() {
                let location = Location::new(number, index as u64).ok_or_else(|| {
                    Error::malformed(file.path(), format!("block {number}, index {index}"), "is no location")
                })?;
                tx.moves.iter().for_each(|m| apply(&mut state, m, location, &tx.authorities));
                used.extend(tx.moves.iter().filter(|m| matches!(m.intx, Version::Base(_))).map(|m| m.cell));
            }
        }
    }
    Ok((state, used))
}

fn apply(state: &mut MemoryState, m: &Move, location: Location, authorities: &[Option<Address>]) {
    let addr = m.cell.addr;
    // What a first use finds was there before the segment.
    if matches!(m.intx, Version::Base(_)) {
        match m.prev {
            Value::Account(value) if !state.knows_account(addr) => state.list_account(addr, value),
            Value::Word(word) if m.cell.mark == Mark::Storage && state.listed_storage(addr, m.cell.slot).is_none() => {
                state.list_storage(addr, m.cell.slot, word);
            }
            Value::Word(hash) if m.cell.mark == Mark::BlockHash => {
                if let Ok(number) = u64::try_from(m.cell.slot) {
                    state.list_block_hash(number, hash.into());
                }
            }
            _ => {}
        }
    }
    if m.mode != Mode::Write {
        return;
    }
    match m.next {
        Value::Account(next) => {
            if let Value::Account(prev) = m.prev
                && is_made(addr, authorities, prev, next)
            {
                state.set_created(addr);
            }
            state.set_account(addr, next, location);
        }
        Value::Word(word) if m.cell.mark == Mark::Storage => state.set_storage(addr, m.cell.slot, word, location),
        Value::Word(hash) => state.set_block_hash(location.block(), hash.into(), location),
    }
}

/// Whether an account became a contract: it had no code and has some, and it is none of those that delegate (EIP-7702).
///
/// One that was made and left no code is a contract to nobody: nothing runs there that could look at its storage.
fn is_made(addr: Address, authorities: &[Option<Address>], prev: AccountValue, next: AccountValue) -> bool {
    let has_new = prev.code_hash == KECCAK256_EMPTY && next.code_hash != KECCAK256_EMPTY;
    has_new && !authorities.contains(&Some(addr))
}

//! Both states answer alike, whatever is asked in whatever order, with hardly any room, and after the store was opened anew.

use super::super::state::{Before, MemoryState};
use super::*;
use alloy_primitives::{Bytes, keccak256};
use manaflow_loader::SplitMix64;
use manaflow_loader::state::Identity;
use std::path::{Path, PathBuf};

fn open(folder: &Path) -> StateStore {
    let identity = Identity::new("tests", B256::ZERO, B256::ZERO, "x-#");
    StateStore::open(folder, &identity, true, 1 << 20).expect("opened")
}

const ROOM: Room = Room { accounts: 4, words: 5, code_bytes: 600 };

/// One block of changes and questions, the same for both.
fn block(number: u64, draw: &mut SplitMix64, memory: &mut MemoryState, stored: &mut StoredState<'_>) {
    for index in 0..draw.below(12) {
        let location = Location::new(number, index).expect("a location");
        let addr = Address::with_last_byte(draw.below(20) as u8);
        let (account, version) = memory.account(addr, false).expect("in memory");
        assert_eq!(stored.account(addr, false), Ok((account, version)));
        let slot = U256::from(draw.below(6));
        assert_eq!(stored.storage(addr, slot, false), memory.storage(addr, slot, false));
        match draw.below(4) {
            0 if account.present => {
                let gone = AccountValue::absent(account.generation + 1);
                memory.set_account(addr, gone, location);
                stored.set_account(addr, gone, location);
            }
            0 | 1 => {
                let code = Bytes::from(draw.below(30).to_be_bytes());
                let (code_hash, code) = (keccak256(&code), bytecode(code));
                let value = AccountValue { present: true, code_hash, nonce: draw.below(9), ..account };
                for state in [memory as &mut dyn State, stored] {
                    state.set_code(code_hash, code.clone());
                    state.set_created(addr);
                    state.set_account(addr, value, location);
                }
            }
            _ => {
                let word = U256::from(draw.below(3));
                memory.set_storage(addr, slot, word, location);
                stored.set_storage(addr, slot, word, location);
            }
        }
    }
    let location = Location::new(number, 99).expect("a location");
    for state in [memory as &mut dyn State, stored] {
        state.set_block_hash(number, keccak256(number.to_be_bytes()), location);
    }
    stored.at_border().expect("written");
    let asked = draw.below(number + 2);
    assert_eq!(stored.block_hash(asked), memory.block_hash(asked));
    let hash = keccak256(draw.below(32).to_be_bytes());
    assert_eq!(stored.code(hash), memory.code(hash));
}

#[test]
fn both_states_answer_alike() {
    for seed in 0..3 {
        let folder = tempfile::tempdir().expect("a folder");
        let mut draw = SplitMix64(seed);
        let mut memory = MemoryState::new(Before::Genesis);
        let mut number = 0;
        for _ in 0..4 {
            let mut store = open(folder.path());
            let mut stored = StoredState::new(&mut store, ROOM, "");
            for _ in 0..400 {
                block(number, &mut draw, &mut memory, &mut stored);
                number += 1;
            }
            let first = number - 400;
            let piece = Piece { path: PathBuf::new(), first, last: number - 1, blocks: 400, bytes: 1 };
            let next = SegmentStart { first: number, origin: 0, total_difficulty: None, earlier: Vec::new() };
            stored.keep(&piece, B256::ZERO, &next).expect("committed");
            // What comes after is not committed, and gone when the store is opened again.
            let addr = Address::with_last_byte(3);
            let location = Location::new(number, 0).expect("a location");
            for i in 0..100 {
                stored.set_account(addr, AccountValue::absent(9), location);
                stored.account(Address::with_last_byte(i), false).expect("answered");
                stored.at_border().expect("written");
            }
        }
    }
}

#[test]
fn room_is_within_its_bytes() {
    for bytes in [1 << 26, 1 << 30, 3 << 30] {
        let room = Room::of_bytes(bytes);
        let places = |cells: usize| (cells / 7 * 8) as u64;
        let accounts = places(room.accounts) * (size_of::<(Address, Kept<AccountValue>)>() as u64 + 1);
        let words = places(room.words) * (size_of::<(WordKey, Kept<U256>)>() as u64 + 1);
        let used = 2 * (accounts + words + room.code_bytes as u64);
        assert!(used <= bytes && used > bytes / 3, "{used} of {bytes}");
    }
    assert_eq!(Room::of_bytes(1), Room { accounts: CELLS_MIN, words: CELLS_MIN, code_bytes: 0 });
}

//! What is looked up among declared moves, and what a run is said to leave.

use super::world::{account, plain, word};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use manaflow_engine::solo::database::{Befores, Refusal};
use manaflow_engine::solo::declared::Declared;
use manaflow_engine::solo::effect::{AccountAfter, Effect};
use manaflow_loader::model::{AccountValue, Cell, Move, Value};
use revm::state::{Account, AccountInfo, Bytecode, EvmState, EvmStorageSlot};

fn declared(moves: &[Move]) -> Declared {
    let mut declared = Declared::default();
    begin(&mut declared, moves);
    declared
}

fn begin(declared: &mut Declared, moves: &[Move]) {
    declared.moves_mut().clear();
    declared.moves_mut().extend_from_slice(moves);
    declared.start();
}

/// Among few moves each is looked at, among many they are halved: the same is found.
#[test]
fn moves_are_found_among_few_and_among_many() {
    for count in [0, 1, 2, 30, 31, 32, 33, 34, 70] {
        let address = |n: u64| Address::with_last_byte(n as u8 + 1);
        let mut moves: Vec<Move> = (0..count).map(|n| account(address(n), plain(n, 1), plain(n, 1))).collect();
        moves.extend((0..count).map(|n| word(address(0), n, n, n)));
        let found = declared(&moves);
        for n in 0..count {
            assert_eq!(found.find_account(address(n)), Some(n as usize), "{n} of {count}");
            assert_eq!(found.find_storage(address(0), U256::from(n)), Ok((count + n) as usize), "{n} of {count}");
        }
        assert_eq!(found.find_account(address(count)), None);
        let beyond = Cell::storage(address(0), 0, U256::from(count));
        assert_eq!(found.find_storage(address(0), U256::from(count)), Err(beyond));
    }
}

/// Cells that agree in what is compared first are told apart.
#[test]
fn cells_that_look_alike_are_told_apart() {
    let addr = Address::repeat_byte(1);
    let slots = [U256::from(5), U256::from(5) + (U256::ONE << 64), U256::from(5) + (U256::ONE << 128)];
    let of = |slot: U256| Move { cell: Cell::storage(addr, 0, slot), ..word(addr, 0, 1, 1) };
    let alike = Address::from_slice(&[&[1; 8][..], &[2; 12]].concat());
    let accounts = [addr, alike].map(|addr| account(addr, plain(0, 1), plain(0, 1)));
    let found = declared(&[accounts[0], accounts[1], of(slots[0]), of(slots[2])]);
    assert_eq!([addr, alike].map(|addr| found.find_account(addr)), [Some(0), Some(1)]);
    let missing = Cell::storage(addr, 0, slots[1]);
    assert_eq!(slots.map(|slot| found.find_storage(addr, slot)), [Ok(2), Err(missing), Ok(3)]);
    assert_eq!(found.find_storage(Address::ZERO, slots[0]), Err(Cell::storage(Address::ZERO, 0, slots[0])));
}

/// What is at hand for a run without the handler: canonical values only, and nothing is taken for asked that was looked at.
#[test]
fn a_look_gives_canonical_accounts_and_is_noted_on_request() {
    let [a, b, c, d, e] = [1, 2, 3, 4, 5].map(Address::with_last_byte);
    let odd = AccountValue { balance: U256::from(5), ..AccountValue::ABSENT };
    let none = Value::Word(U256::ZERO);
    let moves = [
        account(a, plain(3, 7), plain(3, 7)),
        account(b, AccountValue::ABSENT, AccountValue::ABSENT),
        account(c, odd, odd),
        Move { prev: none, next: none, ..account(d, plain(0, 0), plain(0, 0)) },
    ];
    let mut declared = declared(&moves);
    assert_eq!(declared.peek(a), Some((0, &plain(3, 7))));
    assert_eq!(declared.peek(b), Some((1, &AccountValue::ABSENT)));
    assert_eq!(declared.peek(c), None, "absent, and yet with a balance");
    assert_eq!(declared.peek(d), None, "a word where an account is to be");
    assert_eq!(declared.peek(e), None, "not declared");
    assert_eq!(declared.asked(), [false; 4]);
    declared.note(1);
    assert_eq!(declared.asked(), [false, true, false, false]);
}

#[test]
fn what_was_asked_for_is_asked_anew_of_each_transaction() {
    let [a, b] = [1, 2].map(Address::with_last_byte);
    let moves = [account(a, plain(0, 7), plain(0, 7)), account(b, plain(0, 8), plain(0, 8)), word(b, 1, 9, 9)];
    let mut all = declared(&moves);
    assert_eq!(all.account(b).unwrap().unwrap().balance, U256::from(8));
    assert_eq!(all.storage(b, U256::ONE), Ok(U256::from(9)));
    assert_eq!(all.asked(), [false, true, true]);
    begin(&mut all, &moves);
    assert_eq!(all.asked(), [false; 3]);
    // Fewer, and others at their places.
    begin(&mut all, &moves[1..]);
    assert_eq!(all.account(b).unwrap().unwrap().balance, U256::from(8));
    assert_eq!(all.asked(), [true, false]);
    assert_eq!(all.account(a), Err(Refusal::Undeclared(Cell::account(a))));
    assert_eq!(all.block_hash(3), Err(Refusal::Undeclared(Cell::block_hash(3))));
    let hash = Value::Word(B256::repeat_byte(4).into());
    begin(&mut all, &[Move { cell: Cell::block_hash(3), prev: hash, next: hash, ..moves[2] }]);
    assert_eq!(all.block_hash(3), Ok(B256::repeat_byte(4)));
}

#[test]
fn an_effect_is_of_what_was_touched() {
    let code = Bytecode::new_legacy(Bytes::from_static(&[0x00]));
    let delegation = Bytecode::new_eip7702(Address::repeat_byte(9));
    let info = |code: Option<&Bytecode>, nonce| AccountInfo {
        nonce,
        code_hash: code.map_or(KECCAK256_EMPTY, Bytecode::hash_slow),
        code: Some(code.cloned().unwrap_or_default()),
        ..AccountInfo::default()
    };
    let [untouched, old, made, bare, delegated, empty, dead] = [1, 2, 3, 4, 5, 6, 7].map(Address::with_last_byte);
    let touched = |info: AccountInfo| {
        let mut account = Account::from(info);
        account.mark_touch();
        account
    };
    let created = |info| {
        let mut account = touched(info);
        account.mark_created();
        account
    };
    let mut state = EvmState::default();
    state.insert(untouched, Account::from(info(Some(&code), 1)));
    let mut stored = touched(info(Some(&code), 2));
    stored.storage.insert(U256::from(1), EvmStorageSlot::new_changed(U256::from(1), U256::from(2), Default::default()));
    stored.storage.insert(U256::from(2), EvmStorageSlot::new(U256::from(1), Default::default()));
    state.insert(old, stored);
    state.insert(made, created(info(Some(&code), 3)));
    state.insert(bare, created(info(None, 4)));
    state.insert(delegated, touched(info(Some(&delegation), 5)));
    state.insert(empty, touched(info(None, 0)));
    let mut destroyed = created(info(Some(&code), 6));
    destroyed.mark_selfdestruct();
    state.insert(dead, destroyed);

    let mut effect = Effect::default();
    // Twice: what was read first is forgotten.
    for clears_empty in [false, true, true] {
        effect.read(&state, clears_empty);
        let present = |info: AccountInfo| AccountAfter::of(&info);
        let mut accounts = effect.accounts.clone();
        accounts.sort_by_key(|(addr, _)| *addr);
        let expected = [
            (old, present(info(Some(&code), 2))),
            (made, present(info(Some(&code), 3))),
            (bare, present(info(None, 4))),
            (delegated, present(info(Some(&delegation), 5))),
            (empty, if clears_empty { AccountAfter::Absent } else { present(info(None, 0)) }),
            (dead, AccountAfter::Absent),
        ];
        assert_eq!(accounts, expected);
        assert_eq!(effect.slots, [(old, U256::from(1), U256::from(2))]);
        effect.created.sort();
        assert_eq!(effect.created, [made, bare]);
        let mut codes: Vec<B256> = effect.codes.iter().map(|(hash, _)| *hash).collect();
        codes.sort();
        let mut expected = [code.hash_slow(), delegation.hash_slow()];
        expected.sort();
        assert_eq!(codes, expected);
    }
    effect.clear();
    let counts = (effect.accounts.len(), effect.slots.len(), effect.created.len(), effect.codes.len());
    assert_eq!(counts, (0, 0, 0, 0));
}

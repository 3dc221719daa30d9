//! Attacks on the moves and the outcome of one transaction.

use crate::built::{self, BORN, DEAD, FRESH, LOOP, REBORN, STORE, WITHDRAWER, chain, mortal};
use crate::kit::{Sample, word};
use alloy_primitives::{Address, B256, U256};
use manaflow_engine::reason::{Check, Reason};
use manaflow_loader::model::{AccountValue, Cell, Location, Mark, Mode, Move, Value, Version};
use std::path::Path;

fn at(block: u64, index: u64) -> Version {
    Version::At(Location::new(block, index).expect("small"))
}

/// The move on a cell.
fn find(sample: &mut Sample, block: u64, index: usize, cell: Cell) -> &mut Move {
    let moves = &mut sample.transaction(block, index).moves;
    moves.iter_mut().find(|m| m.cell == cell).expect("a move on the cell")
}

fn account(value: &mut Value) -> &mut AccountValue {
    match value {
        Value::Account(account) => account,
        Value::Word(_) => panic!("the value of an account"),
    }
}

fn is_read_after(m: &mut Move) {
    m.next = m.prev;
}

#[test]
fn the_built_chain_is_valid_and_its_mortal_dies() {
    let mut sample = chain();
    let judged = sample.judge().says_exactly(&[]);
    assert!(!judged.report.conditional);
    assert_eq!(judged.report.state_roots.matched, 1);
    let died = *find(&mut sample, DEAD, 1, Cell::account(mortal()));
    assert_eq!(died.next, Value::Account(AccountValue::absent(1)));
    assert_eq!(died.intx, at(BORN, 1));
    // Its storage is virgin again, though nobody emptied it.
    let stored = find(&mut sample, REBORN, 2, Cell::storage(mortal(), 1, U256::from(1)));
    assert_eq!((stored.intx, stored.prev, stored.next), (Version::Virgin, word(0), word(9)));
}

#[test]
fn the_hash_write_is_demanded_by_solo_and_judged_by_block() {
    let missing = chain().with(|s| {
        s.transaction(2, 4).moves.pop();
    });
    missing.judge().says_exactly(&[(2, 4, Reason::MissingHashWrite)]);
    let other_value = chain().with(|s| find(s, 2, 4, Cell::block_hash(2)).next = word(1));
    other_value.judge().says_exactly(&[(2, 4, Reason::WrongHashWrite)]);
    let not_from_virgin = chain().with(|s| find(s, 2, 4, Cell::block_hash(2)).intx = at(1, 0));
    not_from_virgin.judge().says_exactly(&[(2, 4, Reason::MissingHashWrite), (2, 4, Reason::DoubleUse)]);
    let is_read = chain().with(|s| {
        let m = find(s, 2, 4, Cell::block_hash(2));
        m.mode = Mode::Read;
        is_read_after(m);
    });
    is_read.judge().says_exactly(&[(2, 4, Reason::WrongHashWrite), (2, 4, Reason::MissingHashWrite)]);
    let of_another_block = chain().with(|s| find(s, 2, 4, Cell::block_hash(2)).cell = Cell::block_hash(9));
    of_another_block.judge().says_exactly(&[(2, 4, Reason::MissingHashWrite), (2, 4, Reason::UnusedMove)]);
}

#[test]
fn a_second_claim_that_a_slot_is_virgin() {
    let cell = Cell::storage(STORE, 0, U256::from(5));
    let lie = chain().with(|s| {
        let m = find(s, 6, 2, cell);
        (m.intx, m.prev) = (Version::Virgin, word(0));
    });
    let judged = lie.judge().has(6, 2, Check::Conflicts, Reason::DoubleUse);
    let fault = judged.find(6, 2, Check::Conflicts, Reason::DoubleUse).expect("found above");
    assert_eq!((fault.got.as_str(), fault.expected.as_str()), ("write of virgin 0x0", "2:1 0x6"));
    assert_eq!(fault.cell, Some(cell.to_string()));
    // The value alone does not make it so.
    let lie = chain().with(|s| find(s, 6, 2, cell).intx = Version::Virgin);
    lie.judge().says_exactly(&[(6, 2, Reason::VirginNotDefault)]);
}

#[test]
fn generations_grow_by_death_and_by_nothing_else() {
    let mortal_cell = Cell::account(mortal());
    let not_bumped = chain().with(|s| account(&mut find(s, DEAD, 1, mortal_cell).next).generation = 0);
    let judged = not_bumped.judge().has(DEAD, 1, Check::Execution, Reason::WrongAfter);
    assert!(judged.find(REBORN, 1, Check::Conflicts, Reason::WrongBefore).is_some());
    let bumped_alive = chain().with(|s| account(&mut find(s, 5, 2, Cell::account(FRESH)).next).generation = 1);
    bumped_alive.judge().says_exactly(&[(5, 2, Reason::WrongAfter)]);
    let bumped_twice = chain().with(|s| account(&mut find(s, DEAD, 1, mortal_cell).next).generation = 2);
    bumped_twice.judge().has(DEAD, 1, Check::Execution, Reason::WrongAfter);
}

#[test]
fn storage_of_an_earlier_generation_is_out_of_reach() {
    let (old, new) = (Cell::storage(mortal(), 0, U256::from(1)), Cell::storage(mortal(), 1, U256::from(1)));
    // What the dead account held, as if it were the new one's.
    let revived = chain().with(|s| {
        let m = find(s, REBORN, 2, new);
        (m.cell, m.intx, m.prev) = (old, at(BORN, 2), word(7));
    });
    let judged = revived.judge().has(REBORN, 2, Check::Execution, Reason::WrongGeneration);
    assert!(judged.find(REBORN, 2, Check::Execution, Reason::UndeclaredCell).is_some());
    // Said of the account too, from its death on, it is the account that contradicts.
    let whole = revived.with(|s| {
        for index in [1, 2] {
            let m = find(s, REBORN, index, Cell::account(mortal()));
            account(&mut m.prev).generation = 0;
            account(&mut m.next).generation = 0;
        }
    });
    let judged = whole.judge().has(REBORN, 1, Check::Conflicts, Reason::WrongBefore);
    assert!(judged.find(REBORN, 2, Check::Execution, Reason::WrongGeneration).is_none());
}

#[test]
fn only_system_transactions_assume_and_only_the_default() {
    let fresh = Cell::account(FRESH);
    let piece = chain().cut(3..);
    assert_eq!(piece.judge().says_exactly(&[]).report.requirements.assumed, 0);
    let by_a_transaction = piece.with(|s| find(s, 5, 2, fresh).intx = Version::Assumed);
    by_a_transaction.judge().says_exactly(&[(5, 2, Reason::AssumedVersion)]);
    let withdrawer = Cell::account(WITHDRAWER);
    let by_the_closing = piece.with(|s| find(s, 5, 3, withdrawer).intx = Version::Assumed);
    let report = by_the_closing.judge().says_exactly(&[]).report;
    assert_eq!((report.requirements.assumed, report.conditional), (1, true));
    let not_the_default = by_the_closing.with(|s| {
        let m = find(s, 5, 3, withdrawer);
        m.prev = Value::Account(AccountValue { present: true, balance: U256::from(1), ..AccountValue::ABSENT });
        account(&mut m.next).balance += U256::from(1);
    });
    not_the_default.judge().says_exactly(&[(5, 3, Reason::AssumedVersion), (5, 3, Reason::VirginNotDefault)]);
}

#[test]
fn base_and_assumed_are_malformed_from_genesis_and_base_beyond_the_segment() {
    for version in [Version::Base(0), Version::Base(5), Version::Assumed] {
        let lie = chain().with(|s| find(s, 5, 2, Cell::account(FRESH)).intx = version);
        let why = lie.judge().refused();
        assert!(why.contains("block 5, index 2, move") && why.contains("from genesis"), "{why}");
    }
    let lie = chain().cut(3..).with(|s| find(s, 5, 2, Cell::account(FRESH)).intx = Version::Base(4));
    let why = lie.judge().refused();
    assert!(why.contains("base(4) in a segment that begins at 3"), "{why}");
}

#[test]
fn what_nobody_signed_is_not_said_to_be_signed() {
    let lie = chain().with(|s| s.transaction(5, 2).moves[1].mask = 4);
    lie.judge().says_exactly(&[(5, 2, Reason::WrongMask)]);
}

#[test]
fn a_false_gas_figure_costs_no_more_than_what_it_says() {
    // Without the meter the first of them takes all gas it may, and the second never ends.
    for gas_limit in [(1 << 28) + 1, 1 << 40] {
        let lie = chain().with(|s| {
            let tx = s.transaction(6, 1);
            tx.bytes = built::transaction(10, LOOP, gas_limit, 0, vec![]);
            tx.outcome.as_mut().expect("an outcome").gas_used = 21_000;
        });
        let judged = lie.judge().has(6, 1, Check::Execution, Reason::WrongGasUsed);
        let invalid = &judged.report.invalid;
        let found: Vec<_> =
            invalid.iter().filter(|f| (f.block, f.index, f.check) == (6, 1, Check::Execution)).collect();
        assert_eq!(found.len(), 1, "the one fault of its execution: {found:?}");
        assert_eq!((found[0].got.as_str(), found[0].expected.as_str()), ("more than 21000", "21000"));
        // Without an outcome nothing is run at all.
        let lie = lie.with(|s| s.transaction(6, 1).outcome = None);
        lie.judge().has(6, 1, Check::Execution, Reason::MissingOutcome);
    }
}

#[test]
fn a_false_gas_figure_is_bound_by_the_blocks() {
    // Run to the figure that it states itself, this would not end either.
    let mut block_gas = 0;
    let lie = chain().with(|s| {
        s.header(6, |header| block_gas = header.gas_used);
        let tx = s.transaction(6, 1);
        tx.bytes = built::transaction(10, LOOP, 1 << 40, 0, vec![]);
        tx.outcome.as_mut().expect("an outcome").gas_used = 1 << 40;
    });
    let judged = lie.judge().has(6, 1, Check::Execution, Reason::WrongGasUsed);
    let fault = judged.find(6, 1, Check::Execution, Reason::WrongGasUsed).expect("it was just found");
    assert_eq!(fault.got, format!("more than {block_gas}"));
    assert!(judged.find(6, 0, Check::Blocks, Reason::WrongBlockGasUsed).is_some());
}

#[test]
fn outcomes_belong_to_transactions_that_can_be_included() {
    let missing = chain().with(|s| s.transaction(2, 1).outcome = None);
    let judged = missing.judge().has(2, 1, Check::Execution, Reason::MissingOutcome);
    // It was not run, so what it touches is not touched.
    assert!(judged.find(2, 1, Check::Execution, Reason::UnusedMove).is_some());
    // The transaction's nonce is 11, and the sender's is.
    for (nonce, reason) in [(12, Reason::NonceTooHigh), (10, Reason::NonceTooLow)] {
        let refused = chain().with(|s| {
            s.transaction(6, 2).bytes = built::transaction(nonce, FRESH, 21_000, 0, vec![]);
        });
        let judged = refused.judge().has(6, 2, Check::Execution, reason);
        assert!(judged.find(6, 2, Check::Execution, Reason::UnusedMove).is_some(), "what was never touched");
        // Without its outcome it is refused all the same, and what it declares was not done.
        let refused = refused.with(|s| s.transaction(6, 2).outcome = None);
        refused.judge().has(6, 2, Check::Execution, reason);
    }
}

/// The one set-code transaction of execapis.
fn set_code(data: &Path) -> (Sample, u64, usize) {
    let chain = data.join("chains/execapis");
    let sample = Sample::import(&[&chain.join("chain.rlp")], Some(&chain.join("genesis.json"))).cut(3..);
    let found = sample.segments[0].blocks.iter().enumerate().find_map(|(i, block)| {
        let index = block.transactions.iter().position(|t| !t.authorities.is_empty())?;
        Some((3 + i as u64, index))
    });
    let (block, index) = found.expect("a set-code transaction");
    (sample, block, index)
}

#[test]
fn authorities_are_those_that_signed_one_a_tuple() {
    let name = "authorities_are_those_that_signed_one_a_tuple";
    let Some(data) = manaflow_datasets::data_for(name) else { return };
    let (sample, block, index) = set_code(&data);
    sample.judge().says_exactly(&[]);
    let lies: [fn(&mut Vec<Option<Address>>); 5] = [
        |a| a[0] = None,
        |a| a[0] = Some(Address::repeat_byte(1)),
        |a| a.clear(),
        |a| a.push(None),
        |a| a.push(Some(Address::repeat_byte(1))),
    ];
    for (i, lie) in lies.into_iter().enumerate() {
        let answer = sample.with(|s| lie(&mut s.transaction(block, index).authorities)).judge();
        let judged = answer.has(block, index as u64, Check::Signatures, Reason::WrongAuthority);
        // What execution makes of it shows only where the declaration changes what it does.
        let is_alone = judged.report.invalid_total == 1;
        assert_eq!(is_alone, i >= 3, "lie {i}: {:?}", judged.report.invalid);
    }
}

#[test]
fn a_transaction_without_tuples_declares_no_authority() {
    for authority in [None, Some(Address::repeat_byte(1))] {
        let lie = chain().with(|s| s.transaction(2, 1).authorities = vec![authority]);
        lie.judge().says_exactly(&[(2, 1, Reason::WrongAuthority)]);
    }
}

#[test]
fn code_blobs_hash_to_their_keys_and_are_there() {
    let hash = |s: &mut Sample| account(&mut find(s, 0, 0, Cell::account(STORE)).next).code_hash;
    let mut wrong = chain();
    let store: B256 = hash(&mut wrong);
    // Code that does the same: execution cannot tell.
    let mut code = wrong.codes[&store].to_vec();
    code.push(0);
    wrong.codes.insert(store, code.into());
    let judged = wrong.judge().says_exactly(&[(0, 0, Reason::WrongCode)]);
    assert_eq!(judged.report.invalid[0].check, Check::Hashes);
    assert_eq!(judged.report.invalid[0].cell, Some(Cell::account(STORE).to_string()));

    let missing = chain().with(|s| drop(s.codes.remove(&store)));
    let why = missing.judge().refused();
    assert!(why.contains("lie.mana: transaction ") && why.contains(&store.to_string()), "{why}");
}

#[test]
fn marks_of_values_are_those_of_cells() {
    let lie = chain().with(|s| {
        let m = s.transaction(2, 1).moves.iter_mut().find(|m| m.cell.mark == Mark::Account).expect("an account");
        (m.prev, m.next) = (word(1), word(1));
    });
    assert!(lie.judge().refused().contains("not of the kind"));
    let lie = chain().with(|s| {
        let m = find(s, 5, 2, Cell::account(FRESH));
        m.prev = Value::Account(AccountValue { balance: U256::from(1), ..AccountValue::ABSENT });
    });
    assert!(lie.judge().refused().contains("an absent account has"));
}

//! Rows about contracts: made, destroyed, made again; their storage; block hashes.

use super::code::Code;
use super::world::*;
use alloy_consensus::TxEip2930;
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256, U256};
use manaflow_engine::reason::Reason;
use manaflow_loader::model::{AccountValue, Cell, Move, Value, Version};
use manaflow_loader::rules::Fork;
use revm::bytecode::opcode as op;

const NOTHING: &[u8] = &[op::STOP];

/// Records a call of the contract with this code; returns the block, the contract's value, and the other two usual moves.
#[track_caller]
fn called(mut world: World, code: Code, balance: u64) -> (Recorded, AccountValue, [Move; 2]) {
    let contract = world.contract(CONTRACT, code.bytes(), balance);
    world.send(CONTRACT, 0, 1_000_000, &[]);
    let block = world.record();
    assert!(block.succeeded(1));
    let usual = [block.sender(0), block.fee()];
    (block, contract, usual)
}

#[test]
fn create_target() {
    let code = Code::new().create(4, Code::new().returns(NOTHING).bytes());
    let (block, contract, usual) = called(World::new(Fork::Cancun), code, 9);
    let creator = AccountValue { nonce: 2, balance: U256::from(5), ..contract };
    let made = account(CONTRACT.create(1), AccountValue::ABSENT, coded(NOTHING, 4));
    block.observes(1, usual.into_iter().chain([account(CONTRACT, contract, creator), made]));
}

#[test]
fn create2_target() {
    let init = Code::new().returns(NOTHING);
    let (block, contract, usual) = called(World::new(Fork::Cancun), Code::new().create2(4, init.bytes()), 9);
    let creator = AccountValue { nonce: 2, balance: U256::from(5), ..contract };
    let target = CONTRACT.create2_from_code(B256::ZERO, init.bytes());
    let made = account(target, AccountValue::ABSENT, coded(NOTHING, 4));
    block.observes(1, usual.into_iter().chain([account(CONTRACT, contract, creator), made]));
}

#[test]
fn create_in_vain() {
    // The creation is undone, the creator's nonce is not; storage of what was to be is not asked for.
    let init = Code::new().sload(1).sstore(2, 3).revert();
    let (block, contract, usual) = called(World::new(Fork::Cancun), Code::new().create(4, init.bytes()), 9);
    let creator = AccountValue { nonce: 2, ..contract };
    let target = absent(CONTRACT.create(1));
    block.observes(1, usual.into_iter().chain([account(CONTRACT, contract, creator), target]));
}

#[test]
fn create_without_funds() {
    let code = Code::new().create(10, NOTHING).create2(10, NOTHING);
    let (block, contract, usual) = called(World::new(Fork::Cancun), code, 9);
    block.observes(1, usual.into_iter().chain([account(CONTRACT, contract, contract)]));
}

#[test]
fn create_at_the_greatest_nonce() {
    let mut world = World::new(Fork::Cancun);
    let code = Code::new().create(0, NOTHING);
    let contract = AccountValue { nonce: u64::MAX, ..world.contract(CONTRACT, code.bytes(), 0) };
    world.list(CONTRACT, contract);
    world.send(CONTRACT, 0, 1_000_000, &[]);
    let block = world.record();
    assert!(block.succeeded(1));
    block.observes(1, [block.sender(0), account(CONTRACT, contract, contract), block.fee()]);
}

#[test]
fn create_beyond_the_depth() {
    // Before EIP-150 a call may pass on all but what it keeps, so 1,024 calls deep are cheap. Whoever's call fails creates:
    // that is the deepest one, whose creation would be one deeper still.
    let deeper = Code::new().number(0).number(0).number(0).number(0).number(0).address(CONTRACT);
    let deeper = deeper.number(1_000).op(&[op::GAS, op::SUB, op::CALL]);
    let end = deeper.bytes().len() + 33 + 1;
    let create = Code::new().create(0, NOTHING);
    let skip = (end + create.bytes().len()) as u64;
    let code = deeper.number(skip).op(&[op::JUMPI]).op(create.bytes()).op(&[op::JUMPDEST, op::STOP]);
    let run = |code: &[u8]| {
        let mut world = World::new(Fork::Homestead);
        let contract = world.contract(CONTRACT, code, 0);
        world.send(CONTRACT, 0, 2_000_000, &[]);
        (world.record(), contract)
    };
    let (block, contract) = run(code.bytes());
    block.observes(1, [block.sender(0), account(CONTRACT, contract, contract), block.fee()]);
    // That one frame has tried, and paid its 32,000, shows beside the same calls with one-gas fillers in place of it.
    let mut idle = code.bytes().to_vec();
    idle[end..skip as usize].fill(op::JUMPDEST);
    let (tried, idle) = (block.gas(1), run(&idle).0.gas(1));
    assert!((31_500..32_500).contains(&(tried - idle)), "{tried} gas with a creation, {idle} without");
}

#[test]
fn create_on_a_collision() {
    let mut world = World::new(Fork::Cancun);
    let there = world.contract(CONTRACT.create(1), NOTHING, 3);
    let (block, contract, usual) = called(world, Code::new().create(4, NOTHING), 9);
    let creator = AccountValue { nonce: 2, ..contract };
    let target = account(CONTRACT.create(1), there, there);
    block.observes(1, usual.into_iter().chain([account(CONTRACT, contract, creator), target]));
}

#[test]
fn selfdestruct_beneficiary() {
    // Under EIP-6780 the contract stays, and gives what it has.
    let mut world = World::new(Fork::Cancun);
    world.list(OTHER, plain(0, 1));
    let (block, contract, usual) = called(world, Code::new().selfdestruct(OTHER), 9);
    let poor = account(CONTRACT, contract, AccountValue { balance: U256::ZERO, ..contract });
    block.observes(1, usual.into_iter().chain([poor, account(OTHER, plain(0, 1), plain(0, 10))]));
    // With nothing to give the beneficiary is observed all the same.
    let (block, contract, usual) = called(World::new(Fork::Cancun), Code::new().selfdestruct(OTHER), 0);
    block.observes(1, usual.into_iter().chain([account(CONTRACT, contract, contract), absent(OTHER)]));
}

#[test]
fn loaded_slots() {
    let code = Code::new().sload(1).sload(2).sload(1);
    let mut world = World::new(Fork::Cancun);
    let contract = world.contract(CONTRACT, code.bytes(), 0);
    world.slot(CONTRACT, 1, 8);
    world.send(CONTRACT, 0, 1_000_000, &[]);
    let block = world.record();
    let usual = [block.sender(0), account(CONTRACT, contract, contract), block.fee()];
    block.observes(1, usual.into_iter().chain([word(CONTRACT, 1, 8, 8), word(CONTRACT, 2, 0, 0)]));
}

#[test]
fn stored_slots() {
    let code = Code::new().sstore(1, 9).sstore(2, 8).sstore(3, 7).sstore(3, 0);
    let mut world = World::new(Fork::Cancun);
    let contract = world.contract(CONTRACT, code.bytes(), 0);
    world.slot(CONTRACT, 1, 8);
    world.slot(CONTRACT, 2, 8);
    world.send(CONTRACT, 0, 1_000_000, &[]);
    let block = world.record();
    let usual = [block.sender(0), account(CONTRACT, contract, contract), block.fee()];
    // Stored as it was, and stored and put back: reads.
    let words = [word(CONTRACT, 1, 8, 9), word(CONTRACT, 2, 8, 8), word(CONTRACT, 3, 0, 0)];
    block.observes(1, usual.into_iter().chain(words));
}

#[test]
fn transient_slots() {
    let code = Code::new().number(1).number(2).op(&[op::TSTORE]).number(2).op(&[op::TLOAD, op::POP]);
    let (block, contract, usual) = called(World::new(Fork::Cancun), code, 0);
    block.observes(1, usual.into_iter().chain([account(CONTRACT, contract, contract)]));
}

#[test]
fn out_of_gas_before_a_cold_slot() {
    // SLOAD: PUSH32, SLOAD's own 100, then 2,000 for the cold slot. SSTORE: two PUSH32, SSTORE's own 100, then 2,100.
    let cases = [
        (Code::new().sload(1), 3 + 100 + 1_999, false),
        (Code::new().sload(1), 3 + 100 + 2_000, true),
        (Code::new().sstore(1, 5), 3 + 3 + 2_300, false), // EIP-2200: no more than the stipend is left
        (Code::new().sstore(1, 5), 3 + 3 + 2_301, true),
    ];
    for (code, gas, loads) in cases {
        let mut world = World::new(Fork::Cancun);
        let contract = world.contract(CONTRACT, code.bytes(), 0);
        world.send(CONTRACT, 0, 21_000 + gas, &[]);
        let block = world.record();
        assert!(!block.succeeded(1));
        let usual = [block.sender(0), account(CONTRACT, contract, contract), block.fee()];
        block.observes(1, usual.into_iter().chain(loads.then(|| word(CONTRACT, 1, 0, 0))));
    }
}

#[test]
fn slots_of_an_access_list() {
    // What the list names is warm; what is loaded is observed, and nothing else.
    let mut world = World::new(Fork::Cancun);
    let contract = world.contract(CONTRACT, Code::new().sload(1).bytes(), 0);
    let key = |n: u64| B256::from(U256::from(n));
    let tx = TxEip2930 {
        chain_id: 1,
        nonce: 0,
        gas_price: PRICE.into(),
        gas_limit: 100_000,
        to: CONTRACT.into(),
        value: U256::ZERO,
        access_list: AccessList(vec![AccessListItem { address: CONTRACT, storage_keys: vec![key(1), key(2)] }]),
        input: Default::default(),
    };
    world.signed(sign(tx), vec![]);
    let block = world.record();
    let usual = [block.sender(0), account(CONTRACT, contract, contract), block.fee()];
    block.observes(1, usual.into_iter().chain([word(CONTRACT, 1, 0, 0)]));
}

#[test]
fn undone_writes() {
    // The callee's frame is undone: its value, its slot, its own callee and the account that it made.
    let callee = Code::new().sstore(1, 9).call(THIRD, 0, 2).create(0, NOTHING).revert();
    let mut world = World::new(Fork::Cancun);
    let other = world.contract(OTHER, callee.bytes(), 5);
    let (block, contract, usual) = called(world, Code::new().call(OTHER, 200_000, 3), 9);
    let reads = [
        account(CONTRACT, contract, contract),
        account(OTHER, other, other),
        word(OTHER, 1, 0, 0),
        absent(THIRD),
        absent(OTHER.create(1)),
    ];
    block.observes(1, usual.into_iter().chain(reads));
}

#[test]
fn storage_of_a_created_account() {
    // Two slots are left, one is put back, one is only loaded: nobody asks what was there.
    let init = Code::new().sload(1).sstore(2, 5).sstore(3, 6).sstore(4, 7).sstore(4, 0).op(&[op::STOP]);
    let (block, contract, usual) = called(World::new(Fork::Cancun), Code::new().create(0, init.bytes()), 0);
    let made = CONTRACT.create(1);
    let left = [word(made, 2, 0, 5), word(made, 3, 0, 6)].map(|m| from(Version::Virgin, m));
    let accounts = [
        account(CONTRACT, contract, AccountValue { nonce: 2, ..contract }),
        account(made, AccountValue::ABSENT, plain(1, 0)),
    ];
    let all: Vec<Move> = usual.into_iter().chain(accounts).chain(left).collect();
    block.observes(1, all.iter().copied());
    // From virgin, and nothing else: no base, and no value.
    for (intx, prev) in [(Version::Base(FIRST), 0), (Version::Virgin, 1)] {
        let mut moves: Vec<Move> = all.clone();
        moves.sort_by_key(|m| m.cell);
        let at = moves.iter().position(|m| m.cell == left[0].cell).unwrap();
        moves[at] = from(intx, word(made, 2, prev, 5));
        let faults = block.faults(1, &moves);
        assert_eq!(
            faults.iter().map(|f| (f.reason, f.cell)).collect::<Vec<_>>(),
            [(Reason::WrongBefore, Some(left[0].cell))]
        );
    }
}

#[test]
fn storage_of_a_destroyed_account() {
    // Slot 1 is stored, slot 2 loaded: both were asked for, neither is written.
    let mut world = World::new(Fork::Shanghai);
    let code = Code::new().sstore(1, 9).sload(2).selfdestruct(OTHER);
    let contract = world.contract(CONTRACT, code.bytes(), 0);
    world.slot(CONTRACT, 1, 8);
    world.slot(CONTRACT, 2, 8);
    world.send(CONTRACT, 0, 1_000_000, &[]);
    let block = world.record();
    assert!(block.succeeded(1));
    let dies = account(CONTRACT, contract, AccountValue::absent(1));
    let words = [word(CONTRACT, 1, 8, 8), word(CONTRACT, 2, 8, 8)];
    block.observes(1, [block.sender(0), dies, absent(OTHER), block.fee()].into_iter().chain(words));
}

#[test]
fn made_and_destroyed() {
    // In one transaction: it was never there, so its generation stays.
    for fork in [Fork::Shanghai, Fork::Cancun] {
        let init = Code::new().sstore(1, 9).selfdestruct(OTHER);
        let (block, contract, usual) = called(World::new(fork), Code::new().create(4, init.bytes()), 9);
        let moves = [
            account(CONTRACT, contract, AccountValue { nonce: 2, balance: U256::from(5), ..contract }),
            absent(CONTRACT.create(1)),
            account(OTHER, AccountValue::ABSENT, plain(0, 4)),
        ];
        block.observes(1, usual.into_iter().chain(moves));
    }
}

/// A factory that makes a contract by CREATE2 when it is called with data, and else calls it, which destroys it.
fn factory() -> (Code, Code, Address) {
    let child = Code::new().sload(1).sstore(1, 9).selfdestruct(OTHER);
    let init = Code::new().sstore(1, 7).returns(child.bytes());
    let target = CONTRACT.create2_from_code(B256::ZERO, init.bytes());
    let create = Code::new().create2(0, init.bytes()).op(&[op::STOP]);
    let head = Code::new().op(&[op::CALLDATASIZE, op::ISZERO]);
    let skip = (head.bytes().len() + 33 + 1 + create.bytes().len()) as u64;
    let code = head.number(skip).op(&[op::JUMPI]).op(create.bytes()).op(&[op::JUMPDEST]);
    (code.call(target, 100_000, 0).op(&[op::STOP]), child, target)
}

#[test]
fn destroyed_and_made_again() {
    let (code, child, target) = factory();
    let mut world = World::new(Fork::Shanghai);
    let contract = world.contract(CONTRACT, code.bytes(), 0);
    for data in [&[1][..], &[], &[], &[1], &[]] {
        world.send(CONTRACT, 0, 1_000_000, data);
    }
    let block = world.record();
    let mut spent = 0;
    let mut sender = |index: usize| {
        let before = plain(index as u64 - 1, FUNDS - spent);
        spent += PRICE * block.gas(index);
        let m = account(SENDER, before, plain(index as u64, FUNDS - spent));
        if index == 1 { m } else { from(written(index as u64 - 1), m) }
    };
    let slot = |generation, intx, prev: u64, next: u64| {
        let cell = Cell::storage(target, generation, U256::from(1));
        from(intx, made(cell, Value::Word(U256::from(prev)), Value::Word(U256::from(next))))
    };
    let alive = |generation| AccountValue { generation, ..coded(child.bytes(), 0) };
    let made_once = AccountValue { nonce: 2, ..contract };
    let made_twice = AccountValue { nonce: 3, ..contract };

    // Made: storage from virgin, in generation 0.
    let moves = [account(CONTRACT, contract, made_once), account(target, AccountValue::ABSENT, alive(0))];
    block.observes(1, [sender(1), absent(MINER), slot(0, Version::Virgin, 0, 7)].into_iter().chain(moves));
    // Destroyed: the slot it loads is a read, and the account enters generation 1.
    let creator = from(written(1), account(CONTRACT, made_once, made_once));
    let dies = from(written(1), account(target, alive(0), AccountValue::absent(1)));
    block.observes(2, [sender(2), absent(MINER), absent(OTHER), slot(0, written(1), 7, 7), creator, dies]);
    // Called while it is not there: absent, of generation 1.
    let gone = from(written(2), account(target, AccountValue::absent(1), AccountValue::absent(1)));
    block.observes(3, [sender(3), absent(MINER), creator, gone]);
    // Made again: its storage is virgin again, for it is another cell.
    let creator = from(written(1), account(CONTRACT, made_once, made_twice));
    let made = from(written(2), account(target, AccountValue::absent(1), alive(1)));
    block.observes(4, [sender(4), absent(MINER), slot(1, Version::Virgin, 0, 7), creator, made]);
    // Destroyed again.
    let creator = from(written(4), account(CONTRACT, made_twice, made_twice));
    let dies = from(written(4), account(target, alive(1), AccountValue::absent(2)));
    block.observes(5, [sender(5), absent(MINER), absent(OTHER), slot(1, written(4), 7, 7), creator, dies]);
}

#[test]
fn blockhash_in_range() {
    let mut world = World::new(Fork::Cancun);
    let hash = B256::repeat_byte(0xab);
    world.hash(FIRST - 1, hash);
    world.hash(0, hash);
    let code = Code::new().blockhash(FIRST - 1).blockhash(0).blockhash(FIRST - 1);
    let (block, contract, usual) = called(world, code, 0);
    let value = Value::Word(hash.into());
    let hashes = [FIRST - 1, 0].map(|number| made(Cell::block_hash(number), value, value));
    block.observes(1, usual.into_iter().chain([account(CONTRACT, contract, contract)]).chain(hashes));
}

#[test]
fn blockhash_out_of_range() {
    // The block itself, one to come, one that no block can be, and one 257 back.
    let mut world = World::new(Fork::Cancun);
    world.header.number = 1_000;
    let code = Code::new().blockhash(1_000).blockhash(1_001).blockhash(743);
    let code = code.push(U256::MAX).op(&[op::BLOCKHASH, op::POP]);
    let (block, contract, usual) = called(world, code, 0);
    block.observes(1, usual.into_iter().chain([account(CONTRACT, contract, contract)]));
}

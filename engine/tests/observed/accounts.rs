//! Rows about accounts that a transaction meets: its own parties, targets of instructions and calls, delegations.

use super::code::Code;
use super::world::*;
use alloy_consensus::{TxEip2930, TxEip7702};
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Address, B256, TxKind, U256, address, keccak256};
use manaflow_engine::reason::Reason;
use manaflow_loader::model::{AccountValue, Move};
use manaflow_loader::rules::Fork;
use revm::bytecode::opcode as op;

const IDENTITY: Address = address!("0000000000000000000000000000000000000004");

/// Runs code under Cancun's rules; observed beside sender, contract and fee recipient are exactly these.
#[track_caller]
fn runs(world: World, code: Code, more: impl IntoIterator<Item = Move>) {
    let mut world = world;
    let contract = world.run(code.bytes());
    let block = world.record();
    assert!(block.succeeded(1));
    let usual = [block.sender(0), account(CONTRACT, contract, contract), block.fee()];
    block.observes(1, usual.into_iter().chain(more));
}

#[test]
fn sender() {
    let mut world = World::new(Fork::Cancun);
    world.send(SENDER, 5, 21_000, &[]);
    let block = world.record();
    block.observes(1, [account(SENDER, plain(0, FUNDS), plain(1, FUNDS - 21_000 * PRICE)), absent(MINER)]);
}

#[test]
fn recipient() {
    let mut world = World::new(Fork::Cancun);
    world.list(OTHER, plain(3, 7));
    world.send(OTHER, 5, 21_000, &[]);
    world.send(THIRD, 0, 21_000, &[]);
    let block = world.record();
    block.observes(1, [block.sender(5), account(OTHER, plain(3, 7), plain(3, 12)), absent(MINER)]);
    // No value, and nobody there: touched, so still absent, but observed.
    let before = plain(1, FUNDS - 5 - 21_000 * PRICE);
    let sender = account(SENDER, before, plain(2, FUNDS - 5 - 2 * 21_000 * PRICE));
    block.observes(2, [from(written(1), sender), absent(THIRD), absent(MINER)]);
}

#[test]
fn fee_recipient() {
    let mut world = World::new(Fork::Berlin);
    world.list(MINER, plain(0, 1));
    world.send(OTHER, 1, 21_000, &[]);
    let block = world.record();
    let fee = account(MINER, plain(0, 1), plain(0, 1 + 21_000 * PRICE));
    block.observes(1, [block.sender(1), account(OTHER, AccountValue::ABSENT, plain(0, 1)), fee]);
}

#[test]
fn fee_recipient_of_no_fee() {
    // From London on the whole price is base fee here, and is burnt.
    let mut world = World::new(Fork::Cancun);
    world.list(MINER, plain(0, 1));
    world.send(OTHER, 1, 21_000, &[]);
    let block = world.record();
    let fee = account(MINER, plain(0, 1), plain(0, 1));
    block.observes(1, [block.sender(1), account(OTHER, AccountValue::ABSENT, plain(0, 1)), fee]);
}

#[test]
fn called_precompile() {
    let code = Code::new().call(IDENTITY, 100, 0).op(&[op::POP, op::STOP]);
    runs(World::new(Fork::Cancun), code, [absent(IDENTITY)]);
    // One that is warm, as all are, but not called is not observed.
    runs(World::new(Fork::Cancun), Code::new().op(&[op::STOP]), []);
}

#[test]
fn balance_target() {
    let mut world = World::new(Fork::Cancun);
    world.list(OTHER, plain(3, 7));
    let code = Code::new().ask(op::BALANCE, OTHER).ask(op::BALANCE, THIRD).ask(op::BALANCE, OTHER);
    runs(world, code, [account(OTHER, plain(3, 7), plain(3, 7)), absent(THIRD)]);
}

#[test]
fn extcodesize_target() {
    let mut world = World::new(Fork::Cancun);
    let other = world.contract(OTHER, &[op::STOP], 0);
    let code = Code::new().ask(op::EXTCODESIZE, OTHER).ask(op::EXTCODESIZE, THIRD);
    runs(world, code, [account(OTHER, other, other), absent(THIRD)]);
}

#[test]
fn extcodehash_target() {
    let mut world = World::new(Fork::Cancun);
    let other = world.contract(OTHER, &[op::STOP], 0);
    let code = Code::new().ask(op::EXTCODEHASH, OTHER).ask(op::EXTCODEHASH, THIRD);
    runs(world, code, [account(OTHER, other, other), absent(THIRD)]);
}

#[test]
fn extcodecopy_target() {
    let mut world = World::new(Fork::Cancun);
    let other = world.contract(OTHER, &[op::STOP], 0);
    // Nothing is copied from the second one, and yet it is observed.
    let copy = |code: Code, size, addr| code.number(size).number(0).number(0).address(addr).op(&[op::EXTCODECOPY]);
    let code = copy(copy(Code::new(), 1, OTHER), 0, THIRD);
    runs(world, code, [account(OTHER, other, other), absent(THIRD)]);
}

#[test]
fn call_targets() {
    let fourth = Address::repeat_byte(0x66);
    let fifth = Address::repeat_byte(0x67);
    let mut world = World::new(Fork::Cancun);
    let other = world.contract(OTHER, &[op::STOP], 0);
    let zeros = Code::new().number(0).number(0).number(0).number(0).number(0);
    let code = zeros.address(fifth).number(1000).op(&[op::CALLCODE]);
    let code = code.call(OTHER, 1000, 0).call_as(op::DELEGATECALL, THIRD, 1000);
    let code = code.call_as(op::STATICCALL, fourth, 1000);
    runs(world, code, [account(OTHER, other, other), absent(THIRD), absent(fourth), absent(fifth)]);
}

#[test]
fn call_target_without_funds() {
    // The callee is loaded to find its price, before the balance is looked at.
    runs(World::new(Fork::Cancun), Code::new().call(OTHER, 1000, 1), [absent(OTHER)]);
}

#[test]
fn out_of_gas_before_a_cold_account() {
    // 21,000, then PUSH32 and BALANCE's own 100: 2,500 more would be the cold account's.
    for (left, loads) in [(2_499, false), (2_500, true)] {
        let mut world = World::new(Fork::Cancun);
        let code = Code::new().ask(op::BALANCE, OTHER);
        let contract = world.contract(CONTRACT, code.bytes(), 0);
        world.send(CONTRACT, 0, 21_000 + 3 + 100 + left, &[]);
        let block = world.record();
        assert!(!block.succeeded(1), "POP is not paid for either way");
        let usual = [block.sender(0), account(CONTRACT, contract, contract), block.fee()];
        block.observes(1, usual.into_iter().chain(loads.then(|| absent(OTHER))));
    }
}

#[test]
fn access_list_alone() {
    let mut world = World::new(Fork::Cancun);
    let keys = vec![B256::ZERO, B256::repeat_byte(1)];
    let tx = TxEip2930 {
        chain_id: 1,
        nonce: 0,
        gas_price: PRICE.into(),
        gas_limit: 100_000,
        to: OTHER.into(),
        value: U256::ZERO,
        access_list: AccessList(vec![
            AccessListItem { address: THIRD, storage_keys: keys.clone() },
            AccessListItem { address: OTHER, storage_keys: keys },
        ]),
        input: Default::default(),
    };
    world.signed(sign(tx), vec![]);
    let block = world.record();
    block.observes(1, [block.sender(0), absent(OTHER), block.fee()]);
}

/// What a delegation to an address looks like as code.
fn delegation(to: Address) -> Vec<u8> {
    [&[0xef, 0x01, 0x00], to.as_slice()].concat()
}

#[test]
fn delegation_targets() {
    let mut world = World::new(Fork::Prague);
    let target = world.contract(OTHER, &[op::STOP], 0);
    let delegated = world.contract(THIRD, &delegation(OTHER), 0);
    let code = Code::new().call(THIRD, 10_000, 0).op(&[op::POP]);
    let contract = world.contract(CONTRACT, code.bytes(), 0);
    world.send(CONTRACT, 0, 1_000_000, &[]);
    let block = world.record();
    assert!(block.succeeded(1));
    let all = [account(OTHER, target, target), account(THIRD, delegated, delegated)];
    block.observes(1, [block.sender(0), account(CONTRACT, contract, contract), block.fee()].into_iter().chain(all));

    // The transaction's own recipient.
    let mut world = World::new(Fork::Prague);
    world.contract(OTHER, &[op::STOP], 0);
    world.contract(THIRD, &delegation(OTHER), 0);
    world.send(THIRD, 0, 1_000_000, &[]);
    let block = world.record();
    block.observes(1, [block.sender(0), block.fee()].into_iter().chain(all));

    // Whoever is asked for its code, or called before Prague, does not lead further.
    let code = Code::new().ask(op::EXTCODESIZE, THIRD).ask(op::EXTCODEHASH, THIRD);
    let mut world = World::new(Fork::Prague);
    let delegated = world.contract(THIRD, &delegation(OTHER), 0);
    let contract = world.run(code.bytes());
    let block = world.record();
    let usual = [block.sender(0), account(CONTRACT, contract, contract), block.fee()];
    block.observes(1, usual.into_iter().chain([account(THIRD, delegated, delegated)]));
}

fn set_code(tuples: &[(Authorization, Option<Address>)]) -> (TxEip7702, Vec<Option<Address>>) {
    let signed = |(inner, _): &(Authorization, Option<Address>)| {
        SignedAuthorization::new_unchecked(inner.clone(), 0, U256::ONE, U256::ONE)
    };
    let tx = TxEip7702 {
        chain_id: 1,
        nonce: 0,
        gas_limit: 1_000_000,
        max_fee_per_gas: PRICE.into(),
        max_priority_fee_per_gas: 0,
        to: OTHER,
        value: U256::ZERO,
        access_list: AccessList::default(),
        authorization_list: tuples.iter().map(signed).collect(),
        input: Default::default(),
    };
    (tx, tuples.iter().map(|(_, authority)| *authority).collect())
}

/// A transaction with one tuple for [`THIRD`], to delegate to an address that nobody calls.
#[track_caller]
fn tuple(chain_id: u64, nonce: u64, authority: Option<Address>, before: Option<&[u8]>, expected: Option<AccountValue>) {
    let mut world = World::new(Fork::Prague);
    let prev = before.map(|code| world.contract(THIRD, code, 9));
    let inner = Authorization { chain_id: U256::from(chain_id), address: Address::repeat_byte(0x99), nonce };
    let (tx, authorities) = set_code(&[(inner, authority)]);
    world.signed(sign(tx), authorities);
    let block = world.record();
    let usual = [block.sender(0), absent(OTHER), block.fee()];
    let third = expected.map(|next| account(THIRD, prev.unwrap_or(AccountValue::ABSENT), next));
    block.observes(1, usual.into_iter().chain(third));
}

#[test]
fn authority() {
    let code_hash = keccak256(delegation(Address::repeat_byte(0x99)));
    let next = AccountValue { code_hash, ..plain(1, 0) };
    tuple(1, 0, Some(THIRD), None, Some(next));
    tuple(0, 0, Some(THIRD), None, Some(next));
    let again = AccountValue { code_hash, ..plain(2, 9) };
    tuple(1, 1, Some(THIRD), Some(&delegation(OTHER)), Some(again));
}

#[test]
fn authority_void_for_chain() {
    tuple(2, 0, Some(THIRD), None, None);
}

#[test]
fn authority_void_for_greatest_nonce() {
    tuple(1, u64::MAX, Some(THIRD), None, None);
}

#[test]
fn authority_void_for_signature() {
    tuple(1, 0, None, None, None);
}

#[test]
fn authority_void_for_code() {
    tuple(1, 1, Some(THIRD), Some(&[op::STOP]), Some(coded(&[op::STOP], 9)));
}

#[test]
fn authority_void_for_nonce() {
    tuple(1, 1, Some(THIRD), None, Some(AccountValue::ABSENT));
}

#[test]
fn refused_after_reads() {
    let mut world = World::new(Fork::Cancun);
    world.list(SENDER, plain(1, FUNDS));
    world.send(OTHER, 0, 21_000, &[]);
    let block = world.record();
    assert_eq!(block.record.transactions[1].outcome, None);
    let read = account(SENDER, plain(1, FUNDS), plain(1, FUNDS));
    block.observes_but_for(1, [read], &[Reason::NonceTooLow]);
}

#[test]
fn refused_before_reads() {
    let mut world = World::new(Fork::Cancun);
    world.send(OTHER, 0, 20_999, &[]);
    let block = world.record();
    assert_eq!(block.record.transactions[1].outcome, None);
    block.observes_but_for(1, [], &[Reason::IntrinsicGas]);
}

#[test]
fn touched_empty_before_spurious_dragon() {
    let mut world = World::new(Fork::TangerineWhistle);
    let code = Code::new().call(THIRD, 0, 0);
    let contract = world.run(code.bytes());
    let block = world.record();
    let touched = account(THIRD, AccountValue::ABSENT, plain(0, 0));
    block.observes(1, [block.sender(0), account(CONTRACT, contract, contract), touched, block.fee()]);
    // Asked for is not touched.
    let mut world = World::new(Fork::TangerineWhistle);
    let contract = world.run(Code::new().ask(op::BALANCE, THIRD).bytes());
    let block = world.record();
    block.observes(1, [block.sender(0), account(CONTRACT, contract, contract), absent(THIRD), block.fee()]);
}

#[test]
fn touched_empty_from_spurious_dragon() {
    let mut world = World::new(Fork::SpuriousDragon);
    world.list(OTHER, plain(0, 0));
    world.list(THIRD, plain(0, 0));
    let fourth = Address::repeat_byte(0x66);
    let code = Code::new().call(OTHER, 0, 0).call(fourth, 0, 0).ask(op::BALANCE, THIRD);
    let contract = world.run(code.bytes());
    let block = world.record();
    // It was there, so it dies: a new generation. Who was not there stays absent; who is only asked for stays.
    let dies = account(OTHER, plain(0, 0), AccountValue::absent(1));
    let stays = account(THIRD, plain(0, 0), plain(0, 0));
    let usual = [block.sender(0), account(CONTRACT, contract, contract), block.fee()];
    block.observes(1, usual.into_iter().chain([dies, stays, absent(fourth)]));
}

#[test]
fn creation_transaction() {
    let made = SENDER.create(0);
    let mut world = World::new(Fork::Cancun);
    world.send(TxKind::Create, 6, 1_000_000, Code::new().returns(&[op::STOP]).bytes());
    let block = world.record();
    assert!(block.succeeded(1));
    block.observes(1, [block.sender(6), account(made, AccountValue::ABSENT, coded(&[op::STOP], 6)), block.fee()]);
}

//! Rows about system transactions: openings and closings.

use super::code::Code;
use super::world::*;
use alloy_consensus::Header;
use alloy_eips::eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE};
use alloy_eips::eip4788::{BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE};
use alloy_eips::eip4895::Withdrawal;
use alloy_eips::eip7002::{WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_PREDEPLOY_CODE};
use alloy_eips::eip7251::{CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_CODE};
use alloy_evm::eth::dao_fork::{DAO_HARDFORK_ACCOUNTS, DAO_HARDFORK_BENEFICIARY};
use alloy_primitives::{Address, B256, U256};
use manaflow_engine::reason::Reason;
use manaflow_loader::model::{AccountValue, Cell, Move, Value, Version};
use manaflow_loader::rules::Fork;

const ETHER: u64 = 1_000_000_000_000_000_000;
const ZERO: U256 = U256::ZERO;

fn slot(addr: Address, slot: u64, prev: impl Into<U256>, next: impl Into<U256>) -> Move {
    made(Cell::storage(addr, 0, U256::from(slot)), Value::Word(prev.into()), Value::Word(next.into()))
}

fn kept(addr: Address, value: AccountValue) -> Move {
    account(addr, value, value)
}

#[test]
fn dao_drain() {
    let mut world = World::new(Fork::Homestead);
    (world.rules.dao, world.rules.dao_support) = (Some(FIRST), true);
    let (mut expected, mut drained) = (vec![], 0);
    for (i, addr) in DAO_HARDFORK_ACCOUNTS.into_iter().enumerate() {
        // The first has nothing to give, and is observed all the same.
        world.list(addr, plain(1, i as u64));
        expected.push(account(addr, plain(1, i as u64), plain(1, 0)));
        drained += i as u64;
    }
    world.list(DAO_HARDFORK_BENEFICIARY, plain(1, 4));
    expected.push(account(DAO_HARDFORK_BENEFICIARY, plain(1, 4), plain(1, 4 + drained)));
    world.record().observes(0, expected);

    // The other side, and every other block of this one, leaves them.
    for (dao, dao_support) in [(FIRST, false), (FIRST - 1, true)] {
        let mut world = World::new(Fork::Homestead);
        (world.rules.dao, world.rules.dao_support) = (Some(dao), dao_support);
        world.record().observes(0, []);
    }
}

#[test]
fn beacon_roots() {
    let mut world = World::new(Fork::Cancun);
    let contract = world.contract(BEACON_ROOTS_ADDRESS, &BEACON_ROOTS_CODE, 0);
    let at = TIME % 8191;
    world.slot(BEACON_ROOTS_ADDRESS, at, 3);
    let root = B256::repeat_byte(0xcc);
    let words = [
        slot(BEACON_ROOTS_ADDRESS, at, U256::from(3), U256::from(TIME)),
        // Not listed: a system transaction does not know what is there.
        from(Version::Assumed, slot(BEACON_ROOTS_ADDRESS, at + 8191, ZERO, U256::from_be_bytes(root.0))),
    ];
    world.record().observes(0, words.into_iter().chain([kept(BEACON_ROOTS_ADDRESS, contract)]));
}

#[test]
fn beacon_roots_without_code() {
    World::new(Fork::Cancun).record().observes(0, [from(Version::Assumed, absent(BEACON_ROOTS_ADDRESS))]);
    let mut world = World::new(Fork::Cancun);
    world.list(BEACON_ROOTS_ADDRESS, plain(0, 5));
    world.record().observes(0, [kept(BEACON_ROOTS_ADDRESS, plain(0, 5))]);
    // Before Cancun nobody asks.
    World::new(Fork::Shanghai).record().observes(0, []);
}

#[test]
fn history() {
    let mut world = World::new(Fork::Prague);
    world.list(BEACON_ROOTS_ADDRESS, plain(0, 5));
    let contract = world.contract(HISTORY_STORAGE_ADDRESS, &HISTORY_STORAGE_CODE, 0);
    world.slot(HISTORY_STORAGE_ADDRESS, (FIRST - 1) % 8191, 0);
    let parent = U256::from_be_bytes(B256::repeat_byte(0xaa).0);
    let moves = [
        kept(BEACON_ROOTS_ADDRESS, plain(0, 5)),
        kept(HISTORY_STORAGE_ADDRESS, contract),
        slot(HISTORY_STORAGE_ADDRESS, FIRST - 1, ZERO, parent),
    ];
    world.record().observes(0, moves);
}

#[test]
fn history_without_code() {
    let unknown = [BEACON_ROOTS_ADDRESS, HISTORY_STORAGE_ADDRESS].map(|addr| from(Version::Assumed, absent(addr)));
    World::new(Fork::Prague).record().observes(0, unknown);
}

#[test]
fn request_calls() {
    let mut world = World::new(Fork::Prague);
    let contracts = [
        (WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, &WITHDRAWAL_REQUEST_PREDEPLOY_CODE),
        (CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, &CONSOLIDATION_REQUEST_PREDEPLOY_CODE),
    ];
    let mut expected = vec![own_hash()];
    for (addr, code) in contracts {
        let contract = world.contract(addr, code, 0);
        expected.push(kept(addr, contract));
        // Excess, count, head and tail of the queue. One request was counted: the count is put back, the rest stays.
        for (at, (prev, next)) in [(0, 0), (1, 0), (0, 0), (0, 0)].into_iter().enumerate() {
            world.slot(addr, at as u64, prev);
            expected.push(word(addr, at as u64, prev, next));
        }
    }
    let block = world.record();
    assert_eq!(block.record.transactions[1].requests.len(), 2);
    block.observes(1, expected);
}

#[test]
fn request_calls_without_code() {
    let mut world = World::new(Fork::Prague);
    world.list(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, plain(0, 5));
    let moves = [
        kept(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, plain(0, 5)),
        from(Version::Assumed, absent(CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS)),
        own_hash(),
    ];
    let failed = Reason::SystemCallFailed;
    world.record().observes_but_for(1, moves, &[failed, failed]);
}

#[test]
fn request_call_that_reverts() {
    let mut world = World::new(Fork::Prague);
    let code = Code::new().sstore(1, 9).revert();
    let contract = world.contract(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, code.bytes(), 0);
    let quiet = world.contract(CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, &[0], 0);
    world.slot(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, 1, 8);
    let moves = [
        kept(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, contract),
        kept(CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, quiet),
        word(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, 1, 8, 8),
        own_hash(),
    ];
    world.record().observes_but_for(1, moves, &[Reason::SystemCallFailed]);
}

#[test]
fn withdrawal_recipient() {
    let mut world = World::new(Fork::Shanghai);
    world.list(OTHER, plain(0, 1));
    world.list(THIRD, plain(0, 0));
    let nobody = Address::repeat_byte(0x66);
    let pay = |address, amount| Withdrawal { index: 0, validator_index: 0, address, amount };
    world.withdrawals = vec![pay(OTHER, 3), pay(THIRD, 0), pay(nobody, 0), pay(OTHER, 4)];
    let moves = [
        account(OTHER, plain(0, 1), plain(0, 7_000_000_001)),
        // Touched and empty: who was there dies, who was not is not made.
        account(THIRD, plain(0, 0), AccountValue::absent(1)),
        from(Version::Assumed, absent(nobody)),
        own_hash(),
    ];
    world.record().observes(1, moves);
}

#[test]
fn rewards() {
    let ommer = |number, beneficiary| Header { number, beneficiary, ..Header::default() };
    let mut world = World::new(Fork::Homestead);
    world.list(MINER, plain(0, 1));
    world.list(OTHER, plain(0, 0));
    world.ommers = Some(vec![ommer(FIRST - 1, OTHER), ommer(FIRST - 6, OTHER)]);
    let block = world.record();
    let miner = account(MINER, plain(0, 1), plain(0, 1 + 5 * ETHER + 2 * 5 * ETHER / 32));
    let paid = account(
        OTHER,
        plain(0, 0),
        AccountValue { balance: U256::from(5 * ETHER) * U256::from(7 + 2) / U256::from(8), ..plain(0, 0) },
    );
    block.observes(1, [miner, paid, own_hash()]);

    // One of a depth that no ommer has is paid nothing, and is observed: Block finds the fault.
    let mut world = World::new(Fork::Homestead);
    world.list(OTHER, plain(0, 3));
    world.ommers = Some(vec![ommer(FIRST, OTHER)]);
    let reward = account(MINER, AccountValue::ABSENT, plain(0, 5 * ETHER + 5 * ETHER / 32));
    world.record().observes(1, [from(Version::Assumed, reward), kept(OTHER, plain(0, 3)), own_hash()]);
}

#[test]
fn no_rewards_after_the_merge() {
    let mut world = World::new(Fork::Paris);
    world.list(MINER, plain(0, 1));
    world.record().observes(1, [own_hash()]);
}

#[test]
fn ommers_known_by_hash_only() {
    let mut world = World::new(Fork::Homestead);
    world.list(MINER, plain(0, 1));
    world.ommers = None;
    world.record().observes(1, [own_hash()]);
}

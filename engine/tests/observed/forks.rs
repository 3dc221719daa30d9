//! What one fork does alone, and what once went wrong.

use crate::world::{CONTRACT, OTHER, World, account, word};
use alloy_primitives::{Address, Bytes, U256, address, hex, keccak256};
use manaflow_engine::solo::record::{Allocation, Importer};
use manaflow_engine::solo::state::{Before, MemoryState, State};
use manaflow_loader::model::{BlockBody, Cell, Ommers, Value};
use manaflow_loader::rules::Fork;

/// Base cost of a transaction.
const BASE: u64 = 21_000;

/// EIP-1283's own table: code, gas, refund, the word before, the word after.
const EIP_1283: [(&[u8], u64, u64, u64, u64); 17] = [
    (&hex!("60006000556000600055"), 412, 0, 0, 0),
    (&hex!("60006000556001600055"), 20_212, 0, 0, 1),
    (&hex!("60016000556000600055"), 20_212, 19_800, 0, 0),
    (&hex!("60016000556002600055"), 20_212, 0, 0, 2),
    (&hex!("60016000556001600055"), 20_212, 0, 0, 1),
    (&hex!("60006000556000600055"), 5_212, 15_000, 1, 0),
    (&hex!("60006000556001600055"), 5_212, 4_800, 1, 1),
    (&hex!("60006000556002600055"), 5_212, 0, 1, 2),
    (&hex!("60026000556000600055"), 5_212, 15_000, 1, 0),
    (&hex!("60026000556003600055"), 5_212, 0, 1, 3),
    (&hex!("60026000556001600055"), 5_212, 4_800, 1, 1),
    (&hex!("60026000556002600055"), 5_212, 0, 1, 2),
    (&hex!("60016000556000600055"), 5_212, 15_000, 1, 0),
    (&hex!("60016000556002600055"), 5_212, 0, 1, 2),
    (&hex!("60016000556001600055"), 412, 0, 1, 1),
    (&hex!("600160005560006000556001600055"), 40_218, 19_800, 0, 1),
    (&hex!("600060005560016000556000600055"), 10_218, 19_200, 1, 0),
];

#[test]
fn constantinople_meters_stores_by_eip_1283() {
    for (code, gas, refund, before, after) in EIP_1283 {
        let run = |fork| {
            let mut world = World::new(fork);
            let contract = world.run(code);
            world.slot(CONTRACT, 0, before);
            (world.record(), contract)
        };
        let (got, contract) = run(Fork::Constantinople);
        let spent = BASE + gas;
        assert_eq!(got.gas(1), spent - refund.min(spent / 2), "{}, from {before}", hex::encode(code));
        let moves = [account(CONTRACT, contract, contract), word(CONTRACT, 0, before, after), got.sender(0), got.fee()];
        got.observes(1, moves);
        // Petersburg took it back: 5,000 a store, 20,000 where the word was 0 and is not then.
        assert!(run(Fork::Petersburg).0.gas(1) > got.gas(1), "{}", hex::encode(code));
    }
}

#[test]
fn constantinople_has_no_floor_of_gas_for_stores() {
    // A store of what is there, with no more than its own 206 gas: below the 2,300 that EIP-2200 wants left.
    let mut world = World::new(Fork::Constantinople);
    world.contract(CONTRACT, &hex!("6000600055"), 0);
    world.send(CONTRACT, 0, BASE + 206, &[]);
    let got = world.record();
    assert!(got.succeeded(1));
    assert_eq!(got.gas(1), BASE + 206);
}

#[test]
fn a_low_address_alone_is_no_precompile_to_the_meter() {
    // The meter gives precompiles no more gas than may still be spent. A contract at an address that merely looks like one
    // must get all its gas: its code can ask how much that is.
    let low = address!("000000000000000000000000000000000000dead");
    let mut world = World::new(Fork::Cancun);
    world.header.gas_used = 1 << 32;
    // It stores how much gas it has; CONTRACT calls it with all of its own.
    world.contract(low, &hex!("5a600055"), 0);
    world.contract(CONTRACT, &hex!("6000600060006000600061dead5af1"), 0);
    world.send(CONTRACT, 0, 1 << 32, &[]);
    let got = world.record();
    assert!(got.succeeded(1));
    let moves = &got.record.transactions[1].moves;
    let left = moves.iter().find(|m| m.cell == Cell::storage(low, 0, U256::ZERO)).expect("a store");
    assert!(matches!(left.next, Value::Word(gas) if gas > U256::from(1_u64 << 31)), "{left:?}");
    let faults = got.faults(1, moves);
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_delegation_in_the_allocation_delegates() {
    let code = Bytes::from([&hex!("ef0100")[..], OTHER.as_slice()].concat());
    let alloc =
        |addr, code: &Bytes| Allocation { addr, balance: U256::ONE, nonce: 1, code: code.clone(), storage: vec![] };
    let looks_like_one = Bytes::from_static(&hex!("ef010000"));
    let allocation = [alloc(Address::repeat_byte(1), &code), alloc(Address::repeat_byte(2), &looks_like_one)];
    let mut importer = Importer::new(MemoryState::new(Before::Genesis), crate::world::rules(Fork::Prague), None);
    let body = BlockBody { header: Bytes::new(), ommers: Ommers::Headers(Bytes::new()), withdrawals: None };
    importer.genesis(body, keccak256([]), &allocation).expect("recorded");
    assert!(importer.state().code(keccak256(&code)).expect("answers").expect("known").is_eip7702());
    assert!(!importer.state().code(keccak256(&looks_like_one)).expect("answers").expect("known").is_eip7702());
}

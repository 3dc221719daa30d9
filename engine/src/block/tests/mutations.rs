//! A table of mutations: each header field of blocks of three eras changed alone gives exactly the predicted reasons.
//!
//! Every mutated block is sealed again (its hash and the `h` write follow), so that only the field itself speaks. Links
//! from the next block are judged apart: any change to a header breaks its child's parent hash.

use super::*;
use crate::reason::Reason::*;
use alloy_primitives::{B64, Bloom};
use manaflow_loader::model::Mark;

type Change = fn(&mut Header);

/// Applies each change to the first empty block from `first` on and compares the reasons.
fn table(name: &str, first: usize, rows: &[(&str, Change, &[Reason])]) {
    let chain = Chain::load(name);
    let is_plain = |i: &usize| chain.blocks[*i].transactions.is_empty() && chain.blocks[*i].ommers.is_empty();
    let index = (first..).find(is_plain).unwrap();
    let (window, total) = (chain.window(index), chain.total(index));
    // A block without transactions is wholly judged.
    let mut original = chain.blocks[index].clone();
    assert!(original.reasons(&window, total, &chain.rules).is_empty());
    original.seal();
    for (name, change, expected) in rows {
        let mut block = original.clone();
        change(&mut block.header);
        assert_ne!(block.header, original.header, "{name}");
        block.seal();
        let mut expected = expected.to_vec();
        expected.sort();
        assert_eq!(block.reasons(&window, total, &chain.rules), expected, "block {index}: {name}");
        // Whatever changed, the child no longer names its parent.
        let child = &chain.blocks[index + 1];
        let mut window: Vec<_> = window.clone();
        window.push(block.ancestor());
        let total = chain.total(index + 1);
        assert!(child.reasons(&window, total, &chain.rules).contains(&WrongParentHash), "{name}");
    }
}

const ANY: B256 = B256::repeat_byte(7);

/// An empty block of Byzantium.
#[test]
fn header_fields_of_proof_of_work() {
    let Some(_) = manaflow_datasets::data_for("header_fields_of_proof_of_work") else { return };
    table(
        "devp2p3000",
        1_000,
        &[
            ("parent hash", |h| h.parent_hash = ANY, &[WrongParentHash]),
            ("ommers hash", |h| h.ommers_hash = ANY, &[WrongOmmersHash]),
            ("transactions root", |h| h.transactions_root = ANY, &[WrongTransactionsRoot]),
            ("receipts root", |h| h.receipts_root = ANY, &[WrongReceiptsRoot]),
            ("logs bloom", |h| h.logs_bloom = Bloom::repeat_byte(1), &[WrongLogsBloom]),
            ("difficulty", |h| h.difficulty += U256::ONE, &[WrongDifficulty]),
            (
                "difficulty 0",
                |h| h.difficulty = U256::ZERO,
                // Paris would be the first fork with a base fee: its gas limit starts from the parent's doubled.
                &[ProofOfStakeTooEarly, WrongNonce, WrongGasLimit, BaseFeePresence],
            ),
            ("number", |h| h.number += 1, &[WrongNumber]),
            ("gas limit below", |h| h.gas_limit -= h.gas_limit / 512, &[WrongGasLimit]),
            ("gas limit above", |h| h.gas_limit += h.gas_limit / 512, &[WrongGasLimit]),
            ("gas limit tiny", |h| h.gas_limit = 4_999, &[WrongGasLimit]),
            ("gas limit huge", |h| h.gas_limit = 1 << 63, &[WrongGasLimit]),
            ("gas used", |h| h.gas_used += 1, &[WrongBlockGasUsed]),
            ("gas used above limit", |h| h.gas_used = h.gas_limit + 1, &[WrongBlockGasUsed, GasUsedAboveLimit]),
            // The difficulty is at its minimum, so a later block may have it too; an earlier one may not.
            ("timestamp later", |h| h.timestamp += 1_000, &[]),
            ("timestamp of the parent", |h| h.timestamp = 0, &[WrongTimestamp, WrongDifficulty]),
            ("extra data", |h| h.extra_data = vec![0; 33].into(), &[ExtraDataTooLong]),
            ("base fee", |h| h.base_fee_per_gas = Some(1), &[BaseFeePresence]),
            ("withdrawals root", |h| h.withdrawals_root = Some(ANY), &[WithdrawalsRootPresence, WrongWithdrawalsRoot]),
            ("requests hash", |h| h.requests_hash = Some(ANY), &[RequestsHashPresence, WrongRequestsHash]),
            ("blob gas used", |h| h.blob_gas_used = Some(0), &[BlobGasUsedPresence]),
            ("excess blob gas", |h| h.excess_blob_gas = Some(0), &[ExcessBlobGasPresence]),
            ("beacon root", |h| h.parent_beacon_block_root = Some(ANY), &[ParentBeaconRootPresence]),
            ("access list hash", |h| h.block_access_list_hash = Some(ANY), &[UnknownHeaderField]),
            ("slot", |h| h.slot_number = Some(1), &[UnknownHeaderField]),
            // Not B's: state root, beneficiary, mix hash and nonce of proof of work.
            ("state root", |h| h.state_root = ANY, &[]),
            ("beneficiary", |h| h.beneficiary = Address::repeat_byte(7), &[]),
            ("mix hash", |h| h.mix_hash = ANY, &[]),
            ("nonce", |h| h.nonce = B64::repeat_byte(7), &[]),
        ],
    );
}

/// An empty block of Prague.
#[test]
fn header_fields_of_proof_of_stake() {
    let Some(_) = manaflow_datasets::data_for("header_fields_of_proof_of_stake") else { return };
    table(
        "geth600",
        100,
        &[
            ("parent hash", |h| h.parent_hash = ANY, &[WrongParentHash]),
            ("ommers hash", |h| h.ommers_hash = ANY, &[WrongOmmersHash]),
            ("transactions root", |h| h.transactions_root = ANY, &[WrongTransactionsRoot]),
            ("receipts root", |h| h.receipts_root = ANY, &[WrongReceiptsRoot]),
            ("logs bloom", |h| h.logs_bloom = Bloom::repeat_byte(1), &[WrongLogsBloom]),
            ("number", |h| h.number -= 1, &[WrongNumber]),
            ("gas limit", |h| h.gas_limit += h.gas_limit / 512, &[WrongGasLimit]),
            ("gas used", |h| h.gas_used += 1, &[WrongBlockGasUsed]),
            ("timestamp", |h| h.timestamp -= 10, &[WrongTimestamp]),
            ("extra data", |h| h.extra_data = vec![0; 33].into(), &[ExtraDataTooLong]),
            ("nonce", |h| h.nonce = B64::repeat_byte(7), &[WrongNonce]),
            ("base fee", |h| h.base_fee_per_gas = Some(1), &[WrongBaseFee]),
            ("no base fee", |h| h.base_fee_per_gas = None, &[BaseFeePresence]),
            ("withdrawals root", |h| h.withdrawals_root = Some(ANY), &[WrongWithdrawalsRoot]),
            ("no withdrawals root", |h| h.withdrawals_root = None, &[WithdrawalsRootPresence, WrongWithdrawalsRoot]),
            ("blob gas used", |h| h.blob_gas_used = Some(131_072), &[WrongBlobGasUsed]),
            ("no blob gas used", |h| h.blob_gas_used = None, &[BlobGasUsedPresence]),
            ("excess blob gas", |h| h.excess_blob_gas = Some(u64::MAX), &[WrongExcessBlobGas]),
            ("no excess blob gas", |h| h.excess_blob_gas = None, &[ExcessBlobGasPresence]),
            ("no beacon root", |h| h.parent_beacon_block_root = None, &[ParentBeaconRootPresence]),
            ("requests hash", |h| h.requests_hash = Some(ANY), &[WrongRequestsHash]),
            ("no requests hash", |h| h.requests_hash = None, &[RequestsHashPresence, WrongRequestsHash]),
            ("access list hash", |h| h.block_access_list_hash = Some(ANY), &[UnknownHeaderField]),
            ("beacon root", |h| h.parent_beacon_block_root = Some(ANY), &[]),
            ("mix hash", |h| h.mix_hash = ANY, &[]),
        ],
    );
}

type BlockChange = fn(&mut OwnedBlock);

#[test]
fn bodies() {
    let Some(_) = manaflow_datasets::data_for("bodies") else { return };
    let chain = Chain::load("execapis");
    let rows: &[(&str, usize, BlockChange, &[Reason])] = &[
        ("h write", 5, |b| b.hash_write = Some(U256::ONE), &[WrongHashWrite]),
        ("location", 5, |b| b.number += 1, &[WrongNumber]),
        ("withdrawals too early", 5, |b| b.withdrawals = Some(vec![]), &[WithdrawalsPresence, WrongWithdrawalsRoot]),
        ("no withdrawals", 50, |b| b.withdrawals = None, &[WithdrawalsPresence, WrongWithdrawalsRoot]),
        (
            "another withdrawal",
            50,
            |b| b.withdrawals.as_mut().unwrap().push(Withdrawal::default()),
            &[WrongWithdrawalsRoot],
        ),
        ("requests too early", 5, |b| b.requests = vec![Bytes::new()], &[WrongRequestCount]),
        ("no requests", 50, |b| b.requests = vec![], &[WrongRequestCount]),
        (
            "another transaction",
            50,
            |b| b.transactions.push(OwnedTransaction { bytes: vec![2, 0xc0], terms: None, outcome: None }),
            &[WrongTransactionsRoot],
        ),
    ];
    for (name, index, change, expected) in rows {
        let mut block = chain.blocks[*index].clone();
        change(&mut block);
        let mut expected = expected.to_vec();
        expected.sort();
        assert_eq!(block.reasons(&chain.window(*index), chain.total(*index), &chain.rules), expected, "{name}");
    }
}

#[test]
fn genesis_is_its_allocation() {
    let Some(_) = manaflow_datasets::data_for("genesis_is_its_allocation") else { return };
    let mut chain = Chain::load("geth600");
    chain.rules.genesis = Some(chain.blocks[1].header.parent_hash);
    let rules = &chain.rules;
    let genesis = &chain.blocks[0];
    assert_eq!(genesis.judge(&[], None, rules), (vec![], Unchecked::default()));

    let mut block = genesis.clone();
    block.header.extra_data = Bytes::new();
    block.seal();
    assert_eq!(block.reasons(&[], None, rules), [WrongGenesisHash]);

    let mut block = genesis.clone();
    block.allocation = None;
    assert_eq!(block.judge(&[], None, rules), (vec![], Unchecked { allocation_roots: 1, ..Default::default() }));

    let mut block = genesis.clone();
    block.transactions.push(OwnedTransaction { bytes: vec![2, 0xc0], terms: None, outcome: None });
    assert_eq!(block.reasons(&[], None, rules), [GenesisBody, WrongTransactionsRoot]);

    let fields: [(Change, Reason); 6] = [
        (|h| h.transactions_root.0[0] ^= 1, WrongTransactionsRoot),
        (|h| h.receipts_root.0[0] ^= 1, WrongReceiptsRoot),
        (|h| h.ommers_hash.0[0] ^= 1, WrongOmmersHash),
        (|h| h.withdrawals_root = Some(ANY), WrongWithdrawalsRoot),
        (|h| h.logs_bloom.0.0[0] ^= 1, WrongLogsBloom),
        (|h| h.requests_hash = Some(ANY), WrongRequestsHash),
    ];
    for (change, reason) in fields {
        let mut block = genesis.clone();
        change(&mut block.header);
        block.seal();
        let rules = ChainRules { genesis: Some(block.header.hash_slow()), ..rules.clone() };
        assert_eq!(block.reasons(&[], None, &rules), [reason]);
    }

    let mut block = genesis.clone();
    block.withdrawals = None;
    assert_eq!(block.reasons(&[], None, rules), [WithdrawalsPresence, WrongWithdrawalsRoot], "its header has a root");
    let mut block = Chain::load("execapis").blocks[0].clone();
    assert!(block.reasons(&[], None, &Chain::load("execapis").rules).is_empty());
    block.withdrawals = Some(vec![]);
    assert_eq!(
        block.reasons(&[], None, &Chain::load("execapis").rules),
        [WithdrawalsPresence, WrongWithdrawalsRoot],
        "its header has none"
    );

    // One wei more, one slot less, storage of another generation, storage without an account.
    for change in [0, 1, 2, 3] {
        let mut block = genesis.clone();
        let allocation = block.allocation.as_mut().unwrap();
        match change {
            0 => match &mut allocation[0].1 {
                Value::Account(account) => account.balance += U256::ONE,
                Value::Word(_) => unreachable!("cells begin with an account"),
            },
            1 => {
                let slot =
                    allocation.iter().position(|(_, value)| matches!(value, Value::Word(word) if !word.is_zero()));
                allocation.remove(slot.unwrap());
            }
            2 => {
                let slot = allocation.iter().position(|(cell, _)| cell.mark == Mark::Storage).unwrap();
                allocation[slot].0.generation = 1;
            }
            _ => allocation.push((Cell::storage(Address::ZERO, 0, U256::ZERO), Value::Word(U256::ONE))),
        }
        assert_eq!(block.reasons(&[], None, rules), [WrongStateRoot], "change {change}");
    }
}

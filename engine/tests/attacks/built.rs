//! A chain made here, of eight blocks under Shanghai's rules, for what real small chains do not do: an account that dies
//! and comes back, a loop without end, a hash that is asked for, a gas limit beyond reach.
//!
//! Headers are computed by alloy from what the import recorded, so the chain is valid by code that is not the judges'.

use crate::kit::{Sample, SegmentRecord};
use alloy_consensus::constants::{EMPTY_OMMER_ROOT_HASH, EMPTY_WITHDRAWALS};
use alloy_consensus::proofs::{calculate_receipt_root, calculate_withdrawals_root, ordered_trie_root_encoded};
use alloy_consensus::{
    EMPTY_ROOT_HASH, Eip658Value, Header, Receipt, ReceiptEnvelope, ReceiptWithBloom, TxLegacy, TxType,
};
use alloy_eips::eip1559::BaseFeeParams;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex, keccak256, logs_bloom};
use manaflow_engine::solo::record::{Allocation, BlockInput, Importer, SignedTransaction};
use manaflow_engine::solo::state::{Before, MemoryState};
use manaflow_engine::state_root::StateTrie;
use manaflow_loader::model::{BlockBody, BlockRecord, Mode, Ommers, SegmentStart, Status};
use manaflow_loader::rules::ChainRules;
use std::collections::BTreeMap;

/// Runs for ever.
pub const LOOP: Address = Address::repeat_byte(0x11);
/// Stores the second word of its input at the slot that the first names.
pub const STORE: Address = Address::repeat_byte(0x12);
/// Creates what its input makes.
pub const FACTORY: Address = Address::repeat_byte(0x13);
/// Stores the hash of the block before.
pub const HASH: Address = Address::repeat_byte(0x14);
/// Logs nothing at all.
pub const LOG: Address = Address::repeat_byte(0x15);
/// Reverts.
pub const REVERT: Address = Address::repeat_byte(0x16);
/// Gets a value in block 5.
pub const FRESH: Address = Address::repeat_byte(0x17);
/// Gets a withdrawal in block 5.
pub const WITHDRAWER: Address = Address::repeat_byte(0x18);
/// Gets the fees.
pub const MINER: Address = Address::repeat_byte(0x19);

/// Block in which the mortal is born for the first time (index 1) and stores a word (index 2).
pub const BORN: u64 = 1;
/// Block in which it dies (index 1).
pub const DEAD: u64 = 3;
/// Block in which it is born again (index 1) and stores at the same slot (index 2).
pub const REBORN: u64 = 4;

/// Without input it dies, with input it stores as [`STORE`] does.
const MORTAL_CODE: [u8; 15] = hex!("3660065733ff5b6020356000355500");
const CHAIN_ID: u64 = 77;
const GAS_PRICE: u128 = 1_000_000_000;
const SECRET: B256 = B256::repeat_byte(7);

/// The account that dies and comes back.
pub fn mortal() -> Address {
    FACTORY.create2_from_code(B256::ZERO, init_code())
}

/// The sender of all transactions.
pub fn sender() -> Address {
    manaflow_datasets::sign::address(SECRET)
}

fn init_code() -> Vec<u8> {
    // Copies what follows it to memory and returns it.
    [&hex!("600f600c600039600f6000f3")[..], &MORTAL_CODE].concat()
}

/// A signed transaction's bytes.
pub fn transaction(nonce: u64, to: Address, gas_limit: u64, value: u64, input: Vec<u8>) -> Bytes {
    let (to, value, input) = (TxKind::Call(to), U256::from(value), input.into());
    let tx = TxLegacy { chain_id: Some(CHAIN_ID), nonce, gas_price: GAS_PRICE, gas_limit, to, value, input };
    manaflow_datasets::sign::transaction(SECRET, tx)
}

fn words(slot: u64, word: u64) -> Vec<u8> {
    [U256::from(slot).to_be_bytes::<32>(), U256::from(word).to_be_bytes::<32>()].concat()
}

/// Recipient, gas limit, value, input.
type Call = (Address, u64, u64, Vec<u8>);

/// What each block calls.
fn calls() -> [Vec<Call>; 7] {
    let call = |to, input| (to, 200_000, 0, input);
    [
        vec![call(FACTORY, init_code()), call(mortal(), words(1, 7))],
        vec![call(STORE, words(5, 6)), call(LOG, vec![]), call(REVERT, vec![])],
        vec![call(mortal(), vec![])],
        vec![call(FACTORY, init_code()), call(mortal(), words(1, 9))],
        vec![call(HASH, vec![]), (FRESH, 21_000, 3, vec![])],
        vec![call(LOOP, vec![]), call(STORE, words(5, 8))],
        vec![],
    ]
}

fn allocations() -> Vec<Allocation> {
    let account = |addr, code: &[u8], balance| Allocation {
        addr,
        balance,
        nonce: 0,
        code: Bytes::copy_from_slice(code),
        storage: vec![],
    };
    let mut stored = account(STORE, &hex!("6020356000355500"), U256::ZERO);
    stored.storage = vec![(U256::from(5), U256::from(4))];
    vec![
        account(sender(), &[], U256::from(1) << 100),
        account(LOOP, &hex!("5b600056"), U256::ZERO),
        stored,
        account(FACTORY, &hex!("36600060003760003660006000f500"), U256::ZERO),
        account(HASH, &hex!("600143034060005500"), U256::ZERO),
        account(LOG, &hex!("60006000a000"), U256::ZERO),
        account(REVERT, &hex!("60006000fd"), U256::ZERO),
    ]
}

fn rules() -> ChainRules {
    let zero = Some(0);
    ChainRules {
        chain_id: CHAIN_ID,
        homestead: zero,
        tangerine_whistle: zero,
        spurious_dragon: zero,
        byzantium: zero,
        constantinople: zero,
        petersburg: zero,
        istanbul: zero,
        muir_glacier: zero,
        berlin: zero,
        london: zero,
        arrow_glacier: zero,
        gray_glacier: zero,
        terminal_total_difficulty: Some(U256::ZERO),
        shanghai: zero,
        ..ChainRules::default()
    }
}

/// Header and body as an import wants them.
fn input(header: Header, calls: &[Bytes], withdrawals: Vec<Withdrawal>) -> BlockInput {
    let bytes: Bytes = alloy_rlp::encode(&header).into();
    let transactions = calls.iter().map(|bytes| {
        let envelope = manaflow_engine::solo::transaction::decode(bytes).expect("a transaction");
        SignedTransaction::recover(bytes.clone(), envelope)
    });
    BlockInput {
        hash: keccak256(&bytes),
        body: BlockBody {
            header: bytes,
            ommers: Ommers::Headers(vec![0xc0].into()),
            withdrawals: Some(alloy_rlp::encode(&withdrawals).into()),
        },
        header: Box::new(header),
        ommers: Some(vec![]),
        withdrawals,
        transactions: transactions.collect(),
        witness_roots: None,
    }
}

/// Records all blocks anew: a header's hash is known only after its block is, and later blocks may ask for it.
fn record(rules: &ChainRules, inputs: &[BlockInput]) -> (Vec<BlockRecord>, BTreeMap<B256, Bytes>) {
    let mut importer = Importer::new(MemoryState::new(Before::Genesis), rules.clone(), None);
    let mut records = Vec::new();
    let mut codes = BTreeMap::new();
    for (number, block) in inputs.iter().enumerate() {
        let record = match number {
            0 => importer.genesis(block.body.clone(), block.hash, &allocations()),
            _ => importer.block(number as u64, block.clone()),
        };
        records.push(record.expect("recorded"));
        codes.extend(importer.take_codes().into_iter().map(|(hash, code)| (hash, code.original_bytes())));
    }
    (records, codes)
}

fn state_root(records: &[BlockRecord]) -> B256 {
    let mut trie = StateTrie::default();
    for m in records.iter().flat_map(|r| &r.transactions).flat_map(|t| &t.moves).filter(|m| m.mode == Mode::Write) {
        trie.apply(m).expect("applied");
    }
    trie.root().expect("a root")
}

/// Fills in what follows from the block's transactions.
fn seal(header: &mut Header, transactions: &[Bytes], records: &[BlockRecord]) {
    header.transactions_root = ordered_trie_root_encoded(transactions);
    header.state_root = state_root(records);
    let record = records.last().expect("a block");
    let outcomes: Vec<_> = record.transactions.iter().filter_map(|t| t.outcome.as_ref()).collect();
    header.logs_bloom = logs_bloom(outcomes.iter().flat_map(|outcome| &outcome.logs));
    header.gas_used = 0;
    let mut receipts = Vec::new();
    for outcome in outcomes {
        header.gas_used += outcome.gas_used;
        let status = Eip658Value::Eip658(outcome.status == Status::Success);
        let receipt: ReceiptWithBloom<Receipt> =
            Receipt { status, cumulative_gas_used: header.gas_used, logs: outcome.logs.clone() }.into();
        receipts.push(ReceiptEnvelope::from_typed(TxType::Legacy, receipt));
    }
    header.receipts_root = calculate_receipt_root(&receipts);
}

/// The chain as a file would hold it.
pub fn chain() -> Sample {
    let mut rules = rules();
    let blank = Header {
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: MINER,
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        gas_limit: 1 << 50,
        base_fee_per_gas: Some(7),
        withdrawals_root: Some(EMPTY_WITHDRAWALS),
        ..Header::default()
    };
    let mut inputs = vec![input(blank.clone(), &[], vec![])];
    let (records, _) = record(&rules, &inputs);
    inputs[0] = input(Header { state_root: state_root(&records), ..blank.clone() }, &[], vec![]);
    rules.genesis = Some(inputs[0].hash);
    let mut nonce = 0;
    for (number, calls) in (1..).zip(calls()) {
        let transactions: Vec<Bytes> = calls
            .into_iter()
            .map(|(to, gas_limit, value, input)| {
                nonce += 1;
                transaction(nonce - 1, to, gas_limit, value, input)
            })
            .collect();
        let withdrawals = match number {
            5 => vec![Withdrawal { index: 0, validator_index: 1, address: WITHDRAWER, amount: 2 }],
            _ => vec![],
        };
        let parent = &inputs[number as usize - 1];
        let mut header = Header {
            number,
            timestamp: 12 * number,
            parent_hash: parent.hash,
            base_fee_per_gas: parent.header.next_block_base_fee(BaseFeeParams::ethereum()),
            withdrawals_root: Some(calculate_withdrawals_root(&withdrawals)),
            ..blank.clone()
        };
        inputs.push(input(header.clone(), &transactions, withdrawals.clone()));
        let (records, _) = record(&rules, &inputs);
        seal(&mut header, &transactions, &records);
        inputs[number as usize] = input(header, &transactions, withdrawals);
    }
    let (blocks, codes) = record(&rules, &inputs);
    let start = SegmentStart { first: 0, origin: 0, total_difficulty: Some(U256::ZERO), earlier: vec![] };
    Sample { rules, segments: vec![SegmentRecord { start, blocks }], codes, keys: vec![] }
}

//! The blocks of a sample, added up and hashed: every fault of roots, sums, links and forms, by alloy's encodings and
//! tries and a few lines of arithmetic.
//!
//! Exact for the reasons in [`EXACT`]: a report has these faults and no other of them. What it takes for granted: headers
//! decode, lists of ommers are canonical.

use super::Envelope;
use super::sample::{Sample, SegmentRecord, decode_header};
use alloy_consensus::constants::EMPTY_OMMER_ROOT_HASH;
use alloy_consensus::proofs::{calculate_receipt_root, calculate_withdrawals_root, ordered_trie_root_encoded};
use alloy_consensus::{Eip658Value, Header, Receipt, ReceiptEnvelope, ReceiptWithBloom, Transaction};
use alloy_eips::eip2718::Decodable2718;
use alloy_eips::eip4895::Withdrawal;
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{Address, B256, Bloom, U256, keccak256, logs_bloom};
use alloy_trie::root::{state_root_unhashed, storage_root_unhashed};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use manaflow_engine::reason::Reason;
use manaflow_loader::model::{BlockRecord, Cell, Mark, Mode, Move, Ommers, Outcome, Status, Value};
use manaflow_loader::rules::{ChainRules, Fork};
use std::collections::{BTreeMap, BTreeSet};

/// The reasons that the books decide.
pub const EXACT: [Reason; 16] = [
    Reason::WrongNumber,
    Reason::WrongGenesisHash,
    Reason::GenesisBody,
    Reason::WrongParentHash,
    Reason::WithdrawalsPresence,
    Reason::WrongTransactionsRoot,
    Reason::WrongOmmersHash,
    Reason::WrongWithdrawalsRoot,
    Reason::GasLimitAboveRemaining,
    Reason::WrongBlockGasUsed,
    Reason::WrongReceiptForm,
    Reason::WrongReceiptsRoot,
    Reason::WrongLogsBloom,
    Reason::WrongRequestCount,
    Reason::WrongStateRoot,
    Reason::WrongHashWrite,
];

/// Faults: block, index, reason.
pub type Faults = BTreeSet<(u64, u64, Reason)>;

/// Every fault of a sample for one of the reasons in [`EXACT`]; `None` if a header does not decode.
pub fn faults(sample: &Sample) -> Option<Faults> {
    let mut faults = Faults::new();
    for segment in &sample.segments {
        links(segment, &mut faults)?;
        for (i, block) in segment.blocks.iter().enumerate() {
            let number = segment.start.first + i as u64;
            let header = decode_header(&block.body.header)?;
            match number {
                0 => genesis(block, &header, &sample.rules, &mut faults),
                _ => body(number, block, &header, &sample.rules, &mut faults)?,
            }
            hash_write(number, block, &mut faults);
        }
        if segment.start.first == 0 {
            let moves = segment.blocks.iter().flat_map(|b| &b.transactions).flat_map(|t| &t.moves);
            let (last, tip) = (segment.blocks.len() as u64 - 1, segment.blocks.last()?);
            if state_root(moves) != decode_header(&tip.body.header)?.state_root {
                faults.insert((last, tip.transactions.len() as u64 - 1, Reason::WrongStateRoot));
            }
        }
    }
    Some(faults)
}

/// Numbers, and the chain of hashes from the earliest header on. What is wrong before the first block is at its opening.
fn links(segment: &SegmentRecord, faults: &mut Faults) -> Option<()> {
    let first = segment.start.first;
    let mut parent: Option<B256> = None;
    for earlier in &segment.start.earlier {
        let header = decode_header(&earlier.header)?;
        if parent.is_some_and(|hash| hash != header.parent_hash) {
            faults.insert((first, 0, Reason::WrongParentHash));
        }
        if earlier.ommers.as_ref().is_some_and(|list| keccak256(list) != header.ommers_hash) {
            faults.insert((first, 0, Reason::WrongOmmersHash));
        }
        parent = Some(keccak256(&earlier.header));
    }
    for (i, block) in segment.blocks.iter().enumerate() {
        let number = first + i as u64;
        let header = decode_header(&block.body.header)?;
        if header.number != number {
            faults.insert((number, 0, Reason::WrongNumber));
        }
        if number > 0 && parent.is_some_and(|hash| hash != header.parent_hash) {
            faults.insert((number, 0, Reason::WrongParentHash));
        }
        parent = Some(keccak256(&block.body.header));
    }
    Some(())
}

/// The closing writes the header's hash, if it writes one.
fn hash_write(number: u64, block: &BlockRecord, faults: &mut Faults) {
    let Some(closing) = block.transactions.last() else { return };
    let written = closing.moves.iter().rfind(|m| m.cell == Cell::block_hash(number));
    if let Some(Value::Word(word)) = written.map(|m| m.next)
        && word != U256::from_be_bytes(keccak256(&block.body.header).0)
    {
        faults.insert((number, block.transactions.len() as u64 - 1, Reason::WrongHashWrite));
    }
}

fn genesis(block: &BlockRecord, header: &Header, rules: &ChainRules, faults: &mut Faults) {
    if rules.genesis.is_some_and(|hash| hash != keccak256(&block.body.header)) {
        faults.insert((0, 0, Reason::WrongGenesisHash));
    }
    if allocation_root(&block.transactions[0].moves) != Some(header.state_root) {
        faults.insert((0, 0, Reason::WrongStateRoot));
    }
    let mut opening = |reason| _ = faults.insert((0, 0, reason));
    let withdrawals = block.body.withdrawals.as_ref().and_then(|list| alloy_rlp::decode_exact(list).ok());
    let withdrawals: Option<Vec<Withdrawal>> = withdrawals;
    if withdrawals.as_deref().map(calculate_withdrawals_root) != header.withdrawals_root {
        opening(Reason::WrongWithdrawalsRoot);
    }
    let signed = block.transactions[1..].iter().filter(|t| !t.bytes.is_empty());
    if ordered_trie_root_encoded(&signed.map(|t| t.bytes.as_ref()).collect::<Vec<_>>()) != header.transactions_root {
        opening(Reason::WrongTransactionsRoot);
    }
    if matches!(&block.body.ommers, Ommers::Headers(list) if keccak256(list) != header.ommers_hash) {
        opening(Reason::WrongOmmersHash);
    }
    if header.receipts_root != EMPTY_ROOT_HASH {
        opening(Reason::WrongReceiptsRoot);
    }
    if !header.logs_bloom.is_zero() {
        opening(Reason::WrongLogsBloom);
    }
    if header.requests_hash.is_some_and(|hash| hash != EMPTY_REQUESTS_HASH) {
        opening(Reason::WrongRequestsHash);
    }
    let withdrawals = withdrawals.unwrap_or_default();
    if block.body.withdrawals.is_some() != header.withdrawals_root.is_some() {
        faults.insert((0, 0, Reason::WithdrawalsPresence));
    }
    let has_ommers = block.body.ommers != Ommers::Headers(vec![0xc0].into());
    let has_requests = block.transactions.last().is_some_and(|closing| !closing.requests.is_empty());
    if block.transactions.len() > 2 || has_ommers || has_requests || !withdrawals.is_empty() {
        faults.insert((0, 0, Reason::GenesisBody));
    }
}

fn body(number: u64, block: &BlockRecord, header: &Header, rules: &ChainRules, faults: &mut Faults) -> Option<()> {
    let fork = rules.fork_at(header.number, header.timestamp, header.difficulty.is_zero());
    let mut opening = |reason| _ = faults.insert((number, 0, reason));
    let signed = &block.transactions[1..block.transactions.len() - 1];
    let bytes: Vec<&[u8]> = signed.iter().map(|t| t.bytes.as_ref()).collect();
    if ordered_trie_root_encoded(&bytes) != header.transactions_root {
        opening(Reason::WrongTransactionsRoot);
    }
    let is_ommers_hash = match &block.body.ommers {
        Ommers::Headers(list) => keccak256(list) == header.ommers_hash,
        Ommers::Hashes(_) => header.ommers_hash != EMPTY_OMMER_ROOT_HASH,
    };
    if !is_ommers_hash {
        opening(Reason::WrongOmmersHash);
    }
    let withdrawals: Option<Vec<Withdrawal>> = match &block.body.withdrawals {
        Some(list) => Some(alloy_rlp::decode_exact(list).ok()?),
        None => None,
    };
    if withdrawals.as_deref().map(calculate_withdrawals_root) != header.withdrawals_root {
        opening(Reason::WrongWithdrawalsRoot);
    }
    if withdrawals.is_some() != (fork >= Fork::Shanghai) {
        opening(Reason::WithdrawalsPresence);
    }
    if let Some(outcomes) = signed.iter().map(|t| t.outcome.as_ref()).collect::<Option<Vec<&Outcome>>>() {
        let used = outcomes.iter().fold(0u64, |sum, outcome| sum.saturating_add(outcome.gas_used));
        if used != header.gas_used {
            opening(Reason::WrongBlockGasUsed);
        }
        let blooms = outcomes.iter().map(|outcome| logs_bloom(&outcome.logs));
        if blooms.fold(Bloom::ZERO, |sum, bloom| sum | bloom) != header.logs_bloom {
            opening(Reason::WrongLogsBloom);
        }
        let is_unknown = outcomes.iter().any(|outcome| outcome.status == Status::Root(None));
        let is_wrong = if is_unknown {
            fork >= Fork::Byzantium
        } else {
            calculate_receipt_root(&receipts(&bytes, &outcomes)) != header.receipts_root
        };
        if is_wrong {
            opening(Reason::WrongReceiptsRoot);
        }
    }
    let mut used = 0u64;
    for (i, row) in signed.iter().enumerate() {
        let gas_limit = Envelope::decode_2718_exact(&row.bytes).map_or(0, |envelope| envelope.gas_limit());
        if gas_limit > header.gas_limit.saturating_sub(used) {
            faults.insert((number, i as u64 + 1, Reason::GasLimitAboveRemaining));
        }
        let Some(outcome) = &row.outcome else { continue };
        used = used.saturating_add(outcome.gas_used);
        if matches!(outcome.status, Status::Root(_)) == (fork >= Fork::Byzantium) {
            faults.insert((number, i as u64 + 1, Reason::WrongReceiptForm));
        }
    }
    let closing = block.transactions.len() - 1;
    let calls = if fork >= Fork::Prague { 2 } else { 0 };
    if block.transactions[closing].requests.len() != calls {
        faults.insert((number, closing as u64, Reason::WrongRequestCount));
    }
    Some(())
}

fn receipts(bytes: &[&[u8]], outcomes: &[&Outcome]) -> Vec<ReceiptEnvelope> {
    let mut cumulative_gas_used = 0u64;
    let receipt = |(bytes, outcome): (&&[u8], &&Outcome)| {
        cumulative_gas_used = cumulative_gas_used.saturating_add(outcome.gas_used);
        let status = match outcome.status {
            Status::Success => Eip658Value::Eip658(true),
            Status::Failure => Eip658Value::Eip658(false),
            Status::Root(root) => Eip658Value::PostState(root.unwrap_or_default()),
        };
        let receipt = Receipt { status, cumulative_gas_used, logs: outcome.logs.clone() };
        let receipt = ReceiptWithBloom { logs_bloom: logs_bloom(&outcome.logs), receipt };
        match bytes.first() {
            Some(1) => ReceiptEnvelope::Eip2930(receipt),
            Some(2) => ReceiptEnvelope::Eip1559(receipt),
            Some(3) => ReceiptEnvelope::Eip4844(receipt),
            Some(4) => ReceiptEnvelope::Eip7702(receipt),
            _ => ReceiptEnvelope::Legacy(receipt),
        }
    };
    bytes.iter().zip(outcomes).map(receipt).collect()
}

type Account = (u64, U256, B256);

/// The root of what the last writes leave: accounts, and words of the generation that the account's last write names, 0 if
/// nobody wrote it.
fn state_root<'a>(moves: impl Iterator<Item = &'a Move>) -> B256 {
    let mut last: BTreeMap<Cell, Value> = BTreeMap::new();
    moves.filter(|m| m.mode == Mode::Write).for_each(|m| _ = last.insert(m.cell, m.next));
    let mut accounts: BTreeMap<Address, Account> = BTreeMap::new();
    let mut words: BTreeMap<Address, BTreeMap<U256, U256>> = BTreeMap::new();
    for (cell, value) in &last {
        let live = match last.get(&Cell::account(cell.addr)) {
            Some(Value::Account(account)) => account.generation,
            _ => 0,
        };
        match value {
            Value::Account(a) if a.present => _ = accounts.insert(cell.addr, (a.nonce, a.balance, a.code_hash)),
            Value::Word(word) if cell.mark == Mark::Storage && cell.generation == live => {
                words.entry(cell.addr).or_default().insert(cell.slot, *word);
            }
            _ => {}
        }
    }
    root(accounts, &words)
}

/// The root of an allocation: words without an account have none, and words of another generation than the account's
/// neither.
fn allocation_root(moves: &[Move]) -> Option<B256> {
    let (mut accounts, mut generations) = (BTreeMap::new(), BTreeMap::new());
    let mut words: BTreeMap<Address, BTreeMap<U256, U256>> = BTreeMap::new();
    for m in moves {
        if let Value::Account(next) = m.next
            && next.present
        {
            accounts.insert(m.cell.addr, (next.nonce, next.balance, next.code_hash));
            generations.insert(m.cell.addr, next.generation);
        }
    }
    for m in moves.iter().filter(|m| m.cell.mark == Mark::Storage) {
        if let Value::Word(word) = m.next
            && !word.is_zero()
        {
            if generations.get(&m.cell.addr) != Some(&m.cell.generation) {
                return None;
            }
            words.entry(m.cell.addr).or_default().insert(m.cell.slot, word);
        }
    }
    Some(root(accounts, &words))
}

fn root(accounts: BTreeMap<Address, Account>, words: &BTreeMap<Address, BTreeMap<U256, U256>>) -> B256 {
    state_root_unhashed(accounts.into_iter().map(|(addr, (nonce, balance, code_hash))| {
        let of_account = words.get(&addr).into_iter().flatten().filter(|(_, word)| !word.is_zero());
        let storage_root = storage_root_unhashed(of_account.map(|(slot, word)| (B256::from(*slot), *word)));
        (addr, TrieAccount { nonce, balance, storage_root, code_hash })
    }))
}

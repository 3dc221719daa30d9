//! Attacks by name: each test fails without the rule it is named for.

use super::*;
use crate::reason::Reason::*;
use alloy_consensus::{
    ReceiptWithBloom, TxType,
    proofs::{calculate_ommers_root, calculate_receipt_root, ordered_trie_root_encoded},
};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{Log, LogData, logs_bloom};

/// Replaces the transactions by made-up ones of type 2, with their outcomes, and makes the header agree.
fn fill(block: &mut OwnedBlock, transactions: Vec<(Terms, Outcome)>) {
    let bytes = |i: usize| vec![2, 0xc1, i as u8];
    block.transactions = (transactions.into_iter().enumerate())
        .map(|(i, (terms, outcome))| OwnedTransaction { bytes: bytes(i), terms: Some(terms), outcome: Some(outcome) })
        .collect();
    let outcomes: Vec<_> = block.transactions.iter().map(|t| t.outcome.clone().unwrap()).collect();
    let mut cumulative_gas_used = 0;
    // alloy's own receipts are the oracle of the root.
    let receipts: Vec<ReceiptEnvelope> = outcomes
        .iter()
        .map(|outcome| {
            cumulative_gas_used += outcome.gas_used;
            let status = Eip658Value::Eip658(outcome.status == Status::Success);
            let receipt: ReceiptWithBloom<Receipt> =
                Receipt { status, cumulative_gas_used, logs: outcome.logs.clone() }.into();
            ReceiptEnvelope::from_typed(TxType::Eip1559, receipt)
        })
        .collect();
    let header = &mut block.header;
    header.gas_used = cumulative_gas_used;
    header.receipts_root = calculate_receipt_root(&receipts);
    header.logs_bloom = logs_bloom(outcomes.iter().flat_map(|outcome| &outcome.logs));
    let bytes: Vec<_> = block.transactions.iter().map(|t| &t.bytes).collect();
    header.transactions_root = ordered_trie_root_encoded(&bytes);
    let blobs: u64 = block.transactions.iter().map(|t| t.terms.unwrap().blobs).sum();
    header.blob_gas_used = header.blob_gas_used.map(|_| blobs * 131_072);
    block.seal();
}

fn terms(gas_limit: u64) -> Terms {
    Terms { gas_limit, blobs: 0 }
}

fn success(gas_used: u64, logs: Vec<Log>) -> Outcome {
    Outcome { status: Status::Success, gas_used, logs }
}

/// An empty block of Prague and what it is judged with.
struct Prague {
    chain: Chain,
    index: usize,
}

impl Prague {
    fn new() -> Self {
        let chain = Chain::load("geth600");
        let index = (100..).find(|&i| chain.blocks[i].transactions.is_empty()).unwrap();
        Self { chain, index }
    }

    fn block(&self) -> OwnedBlock {
        self.chain.blocks[self.index].clone()
    }

    fn judge(&self, block: &OwnedBlock) -> (Vec<Fault>, Unchecked) {
        block.judge(&self.chain.window(self.index), self.chain.total(self.index), &self.chain.rules)
    }

    fn reasons(&self, block: &OwnedBlock) -> Vec<Reason> {
        block.reasons(&self.chain.window(self.index), self.chain.total(self.index), &self.chain.rules)
    }
}

#[test]
fn gas_left_in_the_block_bounds_each_gas_limit() {
    let Some(_) = manaflow_datasets::data_for("gas_left_in_the_block_bounds_each_gas_limit") else { return };
    let prague = Prague::new();
    let mut block = prague.block();
    let limit = block.header.gas_limit;
    // The last may ask for exactly what is left.
    fill(&mut block, vec![(terms(limit), success(50_000, vec![])), (terms(limit - 50_000), success(21_000, vec![]))]);
    assert_eq!(prague.judge(&block), (vec![], Unchecked::default()));

    fill(&mut block, vec![(terms(limit), success(50_000, vec![])), (terms(limit - 49_999), success(21_000, vec![]))]);
    let (faults, _) = prague.judge(&block);
    assert_eq!(faults.len(), 1);
    assert_eq!((faults[0].reason, faults[0].location.index()), (GasLimitAboveRemaining, 2));

    // A missing outcome leaves the rule open, but not for what is wrong in any case.
    block.transactions[0].outcome = None;
    block.transactions[1].terms = Some(terms(limit + 1));
    let (faults, unchecked) = prague.judge(&block);
    assert_eq!(faults.iter().map(|fault| fault.reason).collect::<Vec<_>>(), [GasLimitAboveRemaining]);
    let expected = Unchecked {
        gas_rules: 1,
        receipts_roots: 1,
        logs_blooms: 1,
        deposit_rules: 1,
        requests_hashes: 1,
        ..Default::default()
    };
    assert_eq!(unchecked, expected);
}

#[test]
fn gas_used_is_the_sum() {
    let Some(_) = manaflow_datasets::data_for("gas_used_is_the_sum") else { return };
    let prague = Prague::new();
    let mut block = prague.block();
    fill(&mut block, vec![(terms(30_000), success(21_000, vec![])), (terms(30_000), success(22_000, vec![]))]);
    block.header.gas_used += 1;
    block.seal();
    assert_eq!(prague.reasons(&block), [WrongBlockGasUsed]);
    // Moved from one to the other: the sum stays, the receipts do not.
    block.header.gas_used -= 1;
    block.seal();
    block.transactions[0].outcome.as_mut().unwrap().gas_used += 500;
    block.transactions[1].outcome.as_mut().unwrap().gas_used -= 500;
    assert_eq!(prague.reasons(&block), [WrongReceiptsRoot]);
    // No sum overflows.
    for transaction in &mut block.transactions {
        transaction.outcome.as_mut().unwrap().gas_used = u64::MAX;
    }
    assert_eq!(prague.reasons(&block), [GasLimitAboveRemaining, WrongBlockGasUsed, WrongReceiptsRoot]);
}

#[test]
fn outcomes_are_bound_by_root_and_bloom() {
    let Some(_) = manaflow_datasets::data_for("outcomes_are_bound_by_root_and_bloom") else { return };
    let prague = Prague::new();
    let mut block = prague.block();
    let log = |byte| Log { address: Address::repeat_byte(byte), data: LogData::new_unchecked(vec![], Bytes::new()) };
    fill(&mut block, vec![(terms(30_000), success(21_000, vec![log(1)])), (terms(30_000), success(21_000, vec![]))]);
    assert_eq!(prague.judge(&block), (vec![], Unchecked::default()));
    let change = |change: fn(&mut Outcome)| {
        let mut block = block.clone();
        change(block.transactions[0].outcome.as_mut().unwrap());
        prague.reasons(&block)
    };
    assert_eq!(change(|outcome| outcome.status = Status::Failure), [WrongReceiptsRoot]);
    assert_eq!(change(|outcome| outcome.logs.clear()), [WrongReceiptsRoot, WrongLogsBloom]);
    assert_eq!(
        change(|outcome| outcome.status = Status::Root(Some(B256::ZERO))),
        [WrongReceiptForm, WrongReceiptsRoot]
    );
    assert_eq!(change(|outcome| outcome.status = Status::Root(None)), [WrongReceiptForm, WrongReceiptsRoot]);
}

#[test]
fn blobs_are_counted_over_the_block() {
    let Some(_) = manaflow_datasets::data_for("blobs_are_counted_over_the_block") else { return };
    let prague = Prague::new();
    let mut block = prague.block();
    let blobs = |blobs| (Terms { gas_limit: 21_000, blobs }, success(21_000, vec![]));
    fill(&mut block, vec![blobs(6), blobs(3)]);
    assert_eq!(prague.reasons(&block), []);
    // No transaction has more than six, but together they exceed nine.
    fill(&mut block, vec![blobs(6), blobs(4)]);
    assert_eq!(prague.reasons(&block), [TooManyBlobs]);
    fill(&mut block, vec![blobs(1)]);
    block.header.blob_gas_used = Some(0);
    block.seal();
    assert_eq!(prague.reasons(&block), [WrongBlobGasUsed]);
}

/// A deposit log's data in the one allowed layout.
fn deposit() -> Vec<u8> {
    let mut data = vec![0; 576];
    for (i, (offset, size)) in [(160usize, 48usize), (256, 32), (320, 8), (384, 96), (512, 8)].into_iter().enumerate() {
        data[32 * i + 24..32 * i + 32].copy_from_slice(&(offset as u64).to_be_bytes());
        data[offset + 24..offset + 32].copy_from_slice(&(size as u64).to_be_bytes());
        data[offset + 32..offset + 32 + size].fill(i as u8 + 1);
    }
    data
}

#[test]
fn deposits_come_from_the_logs_of_all_transactions() {
    let Some(_) = manaflow_datasets::data_for("deposits_come_from_the_logs_of_all_transactions") else { return };
    let mut prague = Prague::new();
    prague.chain.rules.deposit_contract = Address::repeat_byte(0xdd);
    let contract = prague.chain.rules.deposit_contract;
    let log = |address, topic, data: &[u8]| Log {
        address,
        data: LogData::new_unchecked(vec![topic], Bytes::copy_from_slice(data)),
    };
    let topic = requests::DEPOSIT_TOPIC;
    let logs = [
        log(contract, topic, &deposit()),
        log(Address::ZERO, topic, &[]),
        log(contract, B256::ZERO, &[]),
        log(contract, topic, &deposit()),
    ];
    let rows = |logs: &[Log]| logs.iter().map(|log| (terms(30_000), success(21_000, vec![log.clone()]))).collect();
    let mut block = prague.block();
    fill(&mut block, rows(&logs));
    // The header claims that there were none.
    assert_eq!(block.header.requests_hash, Some(EMPTY_REQUESTS_HASH));
    assert_eq!(prague.reasons(&block), [WrongRequestsHash]);
    // alloy-evm's reading of the same logs is the oracle; the calls' outputs follow, empty ones left out.
    block.requests = vec![Bytes::new(), Bytes::from_static(b"two")];
    let mut expected = vec![];
    alloy_evm::eth::eip6110::accumulate_deposits_from_logs(contract, &logs, &mut expected).unwrap();
    assert_eq!(expected.len(), 2 * 192);
    let mut all = alloy_eips::eip7685::Requests::default();
    all.push_request_with_type(0, expected);
    all.push_request_with_type(2, b"two".to_vec());
    block.header.requests_hash = Some(all.requests_hash());
    block.seal();
    assert_eq!(prague.judge(&block), (vec![], Unchecked::default()));
    // The outputs in the other order, or one more.
    block.requests.reverse();
    assert_eq!(prague.reasons(&block), [WrongRequestsHash]);
    block.requests = vec![Bytes::new(), Bytes::from_static(b"two"), Bytes::new()];
    assert_eq!(prague.reasons(&block), [WrongRequestCount]);
}

#[test]
fn bad_deposit_logs_are_named() {
    let Some(_) = manaflow_datasets::data_for("bad_deposit_logs_are_named") else { return };
    let mut prague = Prague::new();
    prague.chain.rules.deposit_contract = Address::repeat_byte(0xdd);
    let good = deposit();
    let mut bad = vec![vec![], good[..575].to_vec(), [&good[..], &[0]].concat()];
    // Each offset and each size, changed in its lowest and in its highest byte.
    for word in [0, 32, 64, 96, 128, 160, 256, 320, 384, 512] {
        for byte in [word, word + 31] {
            let mut data = good.clone();
            data[byte] ^= 0x20;
            bad.push(data);
        }
    }
    for data in bad {
        let log = Log {
            address: prague.chain.rules.deposit_contract,
            data: LogData::new_unchecked(vec![requests::DEPOSIT_TOPIC], data.into()),
        };
        let mut block = prague.block();
        fill(&mut block, vec![(terms(30_000), success(21_000, vec![])), (terms(30_000), success(21_000, vec![log]))]);
        let (faults, _) = prague.judge(&block);
        // Seen by the rule, and by the hash that cannot be had.
        let seen: Vec<_> = faults.iter().map(|f| (f.reason, f.check, f.location.index())).collect();
        assert_eq!(seen, [(WrongRequestsHash, Check::Hashes, 0), (BadDepositLog, Check::Blocks, 2)]);
    }
}

#[test]
fn block_size_is_limited_from_osaka_on() {
    let Some(_) = manaflow_datasets::data_for("block_size_is_limited_from_osaka_on") else { return };
    let mut prague = Prague::new();
    let mut block = prague.block();
    fill(&mut block, vec![(terms(30_000), success(21_000, vec![]))]);
    let limit = 8 * 1024 * 1024;
    let length = |block: &OwnedBlock| {
        // A body with one typed transaction, by alloy-rlp.
        let transactions = alloy_rlp::encode(vec![Bytes::from(block.transactions[0].bytes.clone())]).len();
        let withdrawals = alloy_rlp::encode(block.withdrawals.as_ref().unwrap()).len();
        let payload = alloy_rlp::encode(&block.header).len() + transactions + 1 + withdrawals;
        payload + alloy_rlp::length_of_length(payload)
    };
    let resize = |block: &mut OwnedBlock, total: usize| {
        block.transactions[0].bytes = vec![2; total - 2_000];
        let missing = total - length(block);
        block.transactions[0].bytes = vec![2; total - 2_000 + missing];
        block.header.transactions_root = ordered_trie_root_encoded(&[&block.transactions[0].bytes]);
        block.seal();
        assert_eq!(length(block), total);
    };
    resize(&mut block, limit + 1);
    assert_eq!(prague.reasons(&block), []);
    prague.chain.rules.osaka = Some(0);
    let excess: Vec<_> = prague.reasons(&block);
    assert!(excess.contains(&BlockTooLarge));
    resize(&mut block, limit);
    assert!(!prague.reasons(&block).contains(&BlockTooLarge));
}

#[test]
fn dao_extra_data_in_ten_blocks() {
    let Some(_) = manaflow_datasets::data_for("dao_extra_data_in_ten_blocks") else { return };
    let chain = Chain::load("devp2p3000");
    let rules = |dao_support| ChainRules { dao: Some(990), dao_support, ..chain.rules.clone() };
    let reasons = |index: usize, extra: &'static [u8], dao_support| {
        let mut block = chain.blocks[index].clone();
        block.header.extra_data = Bytes::from_static(extra);
        block.seal();
        block.reasons(&chain.window(index), chain.total(index), &rules(dao_support)).contains(&WrongDaoExtraData)
    };
    for (index, is_in) in [(989, false), (990, true), (999, true), (1_000, false)] {
        assert_eq!(reasons(index, b"else", true), is_in, "{index}");
        assert_eq!(reasons(index, b"dao-hard-fork", false), is_in, "{index}");
        assert!(!reasons(index, b"dao-hard-fork", true) && !reasons(index, b"else", false));
    }
}

#[test]
fn the_merge_follows_total_difficulty() {
    let Some(_) = manaflow_datasets::data_for("the_merge_follows_total_difficulty") else { return };
    let chain = Chain::load("execapis");
    let terminal = chain.rules.terminal_total_difficulty.unwrap();
    let first = chain.blocks.iter().position(|block| block.header.difficulty.is_zero()).unwrap();
    let reasons = |index: usize, total| chain.blocks[index].reasons(&chain.window(index), total, &chain.rules);
    assert_eq!(reasons(first, Some(terminal)), []);
    assert_eq!(reasons(first, Some(terminal - U256::ONE)), [ProofOfStakeTooEarly]);
    assert_eq!(reasons(first - 1, Some(terminal - U256::ONE)), []);
    assert_eq!(reasons(first - 1, Some(terminal)), [ProofOfWorkTooLate]);
    // Without the total the rule is open; but after proof of stake there is no work, whatever the total.
    let open = |index: usize| chain.blocks[index].judge(&chain.window(index), None, &chain.rules).1.merge_rules;
    assert_eq!((open(first - 1), open(first), open(first + 1)), (1, 1, 1));
    let mut block = chain.blocks[first + 1].clone();
    block.header.difficulty = U256::ONE;
    assert!(block.reasons(&chain.window(first + 1), None, &chain.rules).contains(&ProofOfWorkTooLate));
    // A chain without a merge has no stake.
    let rules = ChainRules { terminal_total_difficulty: None, ..chain.rules.clone() };
    assert_eq!(chain.blocks[first + 1].reasons(&chain.window(first + 1), None, &rules), [ProofOfStakeTooEarly]);
}

#[test]
fn a_false_number_does_not_move_the_fault() {
    let Some(_) = manaflow_datasets::data_for("a_false_number_does_not_move_the_fault") else { return };
    let chain = Chain::load("execapis");
    let mut block = chain.blocks[5].clone();
    block.header.number = 40;
    block.seal();
    let (faults, _) = block.judge(&chain.window(5), chain.total(5), &chain.rules);
    assert!(faults.iter().any(|fault| fault.reason == WrongNumber));
    assert!(faults.iter().all(|fault| fault.location.block() == 5));
}

/// A block of execapis with one ommer of its own, and the index of a later block that may hold ommers as well.
fn with_ommer(chain: &Chain) -> usize {
    (9..30).find(|&i| chain.blocks[i].ommers.len() == 1).unwrap()
}

fn ommer_reasons(chain: &Chain, index: usize, ommers: Vec<Header>) -> Vec<Reason> {
    let mut block = chain.blocks[index].clone();
    block.header.ommers_hash = calculate_ommers_root(&ommers);
    block.ommers = ommers;
    block.seal();
    block.reasons(&chain.window(index), chain.total(index), &chain.rules)
}

#[test]
fn ommers_are_few_recent_new_and_valid() {
    let Some(_) = manaflow_datasets::data_for("ommers_are_few_recent_new_and_valid") else { return };
    let chain = Chain::load("execapis");
    let index = with_ommer(&chain);
    let good = chain.blocks[index].ommers[0].clone();
    // A sibling of the block `depth` before, with its own extra data.
    let sibling = |depth: usize, extra: u8| {
        let mut header = chain.blocks[index - depth].header.clone();
        header.extra_data = Bytes::copy_from_slice(&[extra]);
        header
    };
    let reasons = |ommers| ommer_reasons(&chain, index, ommers);
    assert_eq!(reasons(vec![good.clone()]), []);
    for depth in 1..=6 {
        assert_eq!(reasons(vec![sibling(depth, 1)]), [], "depth {depth}");
    }
    assert_eq!(reasons(vec![sibling(1, 1), sibling(2, 2), sibling(3, 3)]), [TooManyOmmers]);
    assert_eq!(reasons(vec![good.clone(), good.clone()]), [RepeatedOmmer]);
    assert_eq!(reasons(vec![chain.blocks[index - 2].header.clone()]), [OmmerIsAncestor]);
    assert_eq!(reasons(vec![sibling(7, 1)]), [WrongOmmerDepth, OmmerParentNotAncestor]);
    assert_eq!(reasons(vec![sibling(0, 1)]), [WrongOmmerDepth, OmmerParentNotAncestor]);
    let mut ommer = sibling(1, 1);
    ommer.parent_hash = chain.blocks[index].header.parent_hash;
    assert_eq!(reasons(vec![ommer]), [OmmerParentNotAncestor]);
    let mut ommer = sibling(1, 1);
    ommer.parent_hash = B256::repeat_byte(1);
    assert_eq!(reasons(vec![ommer]), [OmmerParentNotAncestor]);
    let invalid: [fn(&mut Header); 6] = [
        |h| h.difficulty += U256::ONE,
        |h| h.timestamp = 0,
        |h| h.gas_limit *= 2,
        |h| h.gas_used = h.gas_limit + 1,
        |h| h.extra_data = vec![0; 33].into(),
        |h| h.number -= 1,
    ];
    for (i, change) in invalid.into_iter().enumerate() {
        let mut ommer = sibling(1, 1);
        change(&mut ommer);
        assert_eq!(reasons(vec![ommer]), [InvalidOmmer], "change {i}");
    }
    // Listed by an earlier block of the window.
    let later = index + 1;
    let mut block = chain.blocks[later].clone();
    block.ommers = vec![good];
    block.header.ommers_hash = calculate_ommers_root(&block.ommers);
    block.seal();
    assert_eq!(block.reasons(&chain.window(later), chain.total(later), &chain.rules), [RepeatedOmmer]);
}

#[test]
fn ommers_without_window_or_headers_are_unchecked() {
    let Some(_) = manaflow_datasets::data_for("ommers_without_window_or_headers_are_unchecked") else { return };
    let chain = Chain::load("execapis");
    let index = with_ommer(&chain);
    let window = chain.window(index);
    let judge = |block: &OwnedBlock, window: &[Ancestor<'_>]| {
        let (faults, unchecked) = block.judge(window, chain.total(index), &chain.rules);
        assert_eq!(faults, []);
        (unchecked.ommer_rules, unchecked.ommers_hashes, unchecked.parent_rules)
    };
    let block = &chain.blocks[index];
    assert_eq!(judge(block, &window), (0, 0, 0));
    for from in 1..7 {
        assert_eq!(judge(block, &window[from..]), (1, 0, 0), "window from {from}");
    }
    assert_eq!(judge(block, &[]), (1, 0, 1));
    let mut partial = window.clone();
    partial[2].ommers = None;
    assert_eq!(judge(block, &partial), (1, 0, 0));
    let mut hashes_only = block.clone();
    hashes_only.only_ommer_hashes = true;
    assert_eq!(judge(&hashes_only, &window), (1, 1, 0));
    // What the hashes alone can say is said.
    hashes_only.ommer_hashes = vec![window[4].hash; 3];
    let reasons = hashes_only.reasons(&window, chain.total(index), &chain.rules);
    assert_eq!(reasons, [TooManyOmmers, RepeatedOmmer, OmmerIsAncestor]);
}

#[test]
fn no_ommers_after_the_merge() {
    let Some(_) = manaflow_datasets::data_for("no_ommers_after_the_merge") else { return };
    let chain = Chain::load("execapis");
    let index = 45;
    let ommer = chain.blocks[index - 2].header.clone();
    assert_eq!(ommer_reasons(&chain, index, vec![ommer]), [UnexpectedOmmers]);
}

/// What a seam relies on: judged again with more earlier headers, a block keeps its faults and may get more.
#[test]
fn more_input_never_takes_a_fault_away() {
    let Some(_) = manaflow_datasets::data_for("more_input_never_takes_a_fault_away") else { return };
    let chain = Chain::load("execapis");
    let changes: [fn(&mut OwnedBlock); 9] = [
        |b| b.header.gas_limit = 0,
        |b| b.header.gas_limit *= 3,
        |b| b.header.timestamp = 0,
        |b| b.header.difficulty = if b.header.difficulty.is_zero() { U256::ONE } else { U256::ZERO },
        |b| b.header.base_fee_per_gas = b.header.base_fee_per_gas.map(|fee| fee + 1),
        |b| b.header.excess_blob_gas = b.header.excess_blob_gas.map(|gas| gas + 1),
        |b| b.header.parent_hash = B256::ZERO,
        |b| b.ommers = vec![b.header.clone(); 2],
        |b| b.ommers.iter_mut().for_each(|ommer| (ommer.gas_limit, ommer.number) = (0, ommer.number + 9)),
    ];
    let mut compared = 0;
    for index in 1..chain.blocks.len() {
        for change in changes {
            let mut block = chain.blocks[index].clone();
            change(&mut block);
            block.seal();
            let window = chain.window(index);
            // Rules of links only: the others do not look at earlier headers.
            let links = |window: &[Ancestor<'_>], total: Option<U256>| {
                let (mut faults, hash) = (Vec::new(), block.header.hash_slow());
                let ommers = Ommers::Known(&block.ommers);
                let input = HeaderInput { number: block.number, header: &block.header, hash, ommers };
                let unchecked = check_links(&input, window, total, &chain.rules, &mut faults);
                (faults, unchecked)
            };
            let total = chain.total(index).map(|total| total / U256::from(1 + index as u64 % 2));
            let (all, _) = links(&window, total);
            for from in 0..=window.len() {
                for total in [None, total] {
                    let (some, unchecked) = links(&window[from..], total);
                    assert!(some.iter().all(|fault| all.contains(fault)), "block {index}: {some:?}");
                    // And nothing is passed over in silence.
                    assert!(some.len() == all.len() || unchecked != Unchecked::default(), "block {index}, from {from}");
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 9 * 2 * (2 + 3 + 4 + 5 + 6 + 7 + 48 * 8));
}

//! Attacks on headers, bodies, segments and rules: what no transaction can see.

use crate::built::{self, STORE, chain};
use crate::kit::{Sample, decode_header};
use alloy_consensus::proofs::ordered_trie_root_encoded;
use alloy_consensus::{Header, Transaction};
use alloy_primitives::{Address, B256, Bytes, U256};
use manaflow_engine::reason::{Check, Reason};
use manaflow_engine::solo::transaction;
use manaflow_loader::model::{AccountValue, BlockRecord, Cell, Mode, Move, Ommers, Value, Version};
use manaflow_loader::rules::ChainRules;
use std::path::Path;

fn execapis(data: &Path) -> Sample {
    let chain = data.join("chains/execapis");
    Sample::import(&[&chain.join("chain.rlp")], Some(&chain.join("genesis.json")))
}

/// Makes the transactions root of a block agree, and every hash after it.
fn reseal(sample: &mut Sample, number: u64) {
    let transactions = &sample.block(number).transactions;
    let bytes: Vec<Bytes> = transactions[1..transactions.len() - 1].iter().map(|t| t.bytes.clone()).collect();
    sample.header(number, |h| h.transactions_root = ordered_trie_root_encoded(&bytes));
    sample.relink_from(number);
}

#[test]
fn a_false_number_is_a_fault_at_its_place_and_moves_nothing() {
    let honest = chain().judge().says_exactly(&[]);
    let lie = chain().with(|s| {
        s.header(6, |h| h.number = 40);
        s.relink_from(6);
    });
    let judged = lie.judge().says_exactly(&[(6, 0, Reason::WrongNumber)]);
    assert_eq!((judged.report.blocks.first, judged.report.blocks.last), (0, 7));
    assert_eq!((judged.report.blocks.count, judged.report.blocks.segments), (8, 1));
    // Requirements and exits say where, and that has not changed: but for two hashes the final state is the same.
    assert_eq!(judged.report.final_state.cells, honest.report.final_state.cells);
    assert!(judged.requirements.concat().is_empty());
}

/// The blocks of an RLP chain.
fn split(mut bytes: &[u8]) -> Vec<Bytes> {
    let mut blocks = Vec::new();
    while !bytes.is_empty() {
        let start = bytes;
        let header = alloy_rlp::Header::decode(&mut bytes).expect("a list");
        bytes = &bytes[header.payload_length..];
        blocks.push(Bytes::copy_from_slice(&start[..start.len() - bytes.len()]));
    }
    blocks
}

#[test]
fn a_chain_is_one_segment_whatever_its_headers_say() {
    let Some(data) = manaflow_datasets::data_for("a_chain_is_one_segment_whatever_its_headers_say") else { return };
    let from = data.join("chains/execapis");
    let mut blocks = split(&std::fs::read(from.join("chain.rlp")).expect("a chain"));
    blocks.truncate(12);
    // Block 10, by position, claims to be block 500.
    let block = &blocks[9];
    let mut rest: &[u8] = block;
    alloy_rlp::Header::decode(&mut rest).expect("a list");
    let mut header: Header = alloy_rlp::Decodable::decode(&mut rest).expect("a header");
    assert_eq!(header.number, 10);
    header.number = 500;
    let payload = [&alloy_rlp::encode(&header)[..], rest].concat();
    let mut lie = Vec::new();
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut lie);
    lie.extend(payload);
    blocks[9] = lie.into();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("chain.rlp");
    std::fs::write(&path, blocks.concat()).expect("written");

    let mut sample = Sample::import(&[&path], Some(&from.join("genesis.json")));
    assert_eq!(sample.segments.len(), 1);
    assert_eq!(sample.segments[0].blocks.len(), 13);
    assert_eq!(decode_header(&sample.block(10).body.header).number, 500);
    let judged = sample.judge().has(10, 0, Check::Blocks, Reason::WrongNumber);
    assert!(judged.find(11, 0, Check::Blocks, Reason::WrongParentHash).is_some());
    let blocks = &judged.report.blocks;
    assert_eq!((blocks.first, blocks.last, blocks.segments), (0, 12, 1));
}

#[test]
fn gas_left_in_the_block_bounds_each_gas_limit() {
    let honest = chain().with(|s| {
        let used = s.transaction(6, 1).outcome.as_ref().expect("an outcome").gas_used;
        let (store, input) = (STORE, transaction::decode(&s.transaction(6, 2).bytes).expect("decodes"));
        let left = (1 << 50) - used;
        s.transaction(6, 2).bytes = built::transaction(11, store, left, 0, input.input().to_vec());
        reseal(s, 6);
    });
    honest.judge().says_exactly(&[]);
    let lie = chain().with(|s| {
        let used = s.transaction(6, 1).outcome.as_ref().expect("an outcome").gas_used;
        let input = transaction::decode(&s.transaction(6, 2).bytes).expect("decodes");
        let above = (1 << 50) - used + 1;
        s.transaction(6, 2).bytes = built::transaction(11, STORE, above, 0, input.input().to_vec());
        reseal(s, 6);
    });
    lie.judge().says_exactly(&[(6, 2, Reason::GasLimitAboveRemaining)]);
}

#[test]
fn gas_shifted_between_transactions_keeps_the_sum_and_not_the_receipts() {
    let lie = chain().with(|s| {
        s.transaction(2, 1).outcome.as_mut().expect("an outcome").gas_used += 500;
        s.transaction(2, 2).outcome.as_mut().expect("an outcome").gas_used -= 500;
    });
    let expected = [(2, 0, Reason::WrongReceiptsRoot), (2, 1, Reason::WrongGasUsed), (2, 2, Reason::WrongGasUsed)];
    lie.judge().says_exactly(&expected);
    let lie = chain().with(|s| {
        s.header(6, |h| h.gas_used += 1);
        s.relink_from(6);
    });
    let judged = lie.judge().has(6, 0, Check::Blocks, Reason::WrongBlockGasUsed);
    assert!(judged.find(7, 0, Check::Blocks, Reason::WrongBaseFee).is_none(), "one gas does not move the fee");
}

#[test]
fn blobs_of_a_block_are_bounded_by_its_fork() {
    let sample = Sample::open(&manaflow_datasets::sample("mainnet.mana"));
    let with_blobs = sample.segments.iter().enumerate().find_map(|(place, segment)| {
        let used = decode_header(&segment.blocks[0].body.header).blob_gas_used?;
        (used >= 2 << 17).then_some((place, segment.start.first))
    });
    let (place, number) = with_blobs.expect("a block with two blobs");
    let lie = sample.segment(place).with(|s| {
        s.rules.blobs.iter_mut().for_each(|blobs| (blobs.target, blobs.max) = (1, 1));
    });
    lie.judge().has(number, 0, Check::Blocks, Reason::TooManyBlobs);
}

#[test]
fn the_allocation_is_that_of_header_0() {
    let rich = Cell::account(Address::repeat_byte(0xfe));
    let lie = chain().with(|s| {
        let value = AccountValue { present: true, balance: U256::from(1), ..AccountValue::ABSENT };
        let (prev, next) = (rich.default_value(), Value::Account(value));
        let moves = &mut s.transaction(0, 0).moves;
        moves.push(Move { mask: 0, cell: rich, mode: Mode::Write, intx: Version::Virgin, prev, next });
        moves.sort_unstable_by_key(|m| m.cell);
    });
    // At block 0 always, at the end because state roots are asked for there.
    lie.judge().says_exactly(&[(0, 0, Reason::WrongStateRoot), (7, 1, Reason::WrongStateRoot)]);
}

#[test]
fn a_parent_hash_mid_chain_contradicts_a_hash_that_is_asked_for() {
    // Block 5 asks for the hash of block 4, which is before the piece.
    let piece = chain().cut(5..).with(|s| s.segments[0].start.earlier.clear());
    let judged = piece.judge().says_exactly(&[]);
    assert_eq!(judged.report.requirements.hashes, 1);
    assert_eq!(judged.report.unchecked.parent_headers, 1);
    let lie = piece.with(|s| {
        s.header(5, |h| h.parent_hash = B256::repeat_byte(1));
        s.relink_from(5);
    });
    let judged = lie.judge().says_exactly(&[(5, 1, Reason::Contradiction)]);
    assert_eq!(judged.report.invalid[0].cell, Some(Cell::block_hash(4).to_string()));
}

#[test]
fn earlier_headers_are_evidence_only_along_the_hash_chain() {
    let Some(data) = manaflow_datasets::data_for("earlier_headers_are_evidence_only_along_the_hash_chain") else {
        return;
    };
    let whole = execapis(&data);
    let piece = whole.cut(20..);
    assert_eq!(piece.segments[0].start.earlier.len(), 7);
    piece.judge().says_exactly(&[]);
    for place in 0..7 {
        let lie = piece.with(|s| {
            let earlier = &mut s.segments[0].start.earlier[place];
            let mut header = decode_header(&earlier.header);
            header.extra_data = Bytes::from_static(b"another");
            earlier.header = alloy_rlp::encode(&header).into();
        });
        lie.judge().has(20, 0, Check::Blocks, Reason::WrongParentHash);
        // An ommer that was listed there already, kept back so that it can be listed again.
        let lie =
            piece.with(|s| s.segments[0].start.earlier[place].ommers = Some(alloy_rlp::encode(vec![header()]).into()));
        lie.judge().says_exactly(&[(20, 0, Reason::WrongOmmersHash)]);
    }
    // The same of blocks of the segment that are not judged, but looked at.
    let lie = whole.cut(3..).with(|s| s.header(18, |h| h.extra_data = Bytes::from_static(b"another")));
    let judged = lie.judge_range(Some(20..=54)).has(20, 0, Check::Blocks, Reason::WrongParentHash);
    assert_eq!(judged.report.invalid_total, 1);
}

fn header() -> Header {
    Header { number: 15, ..Header::default() }
}

#[test]
fn nothing_comes_before_block_0() {
    let lie = chain().with(|s| s.segments[0].start.total_difficulty = Some(U256::from(1)));
    let why = lie.judge().refused();
    assert!(why.contains("total difficulty 1") && why.contains("block 0"), "{why}");
    // What is not said is known.
    let silent = chain().with(|s| s.segments[0].start.total_difficulty = None);
    let judged = silent.judge().says_exactly(&[]);
    assert_eq!(judged.report.unchecked.total_difficulties, 0);
}

#[test]
fn rules_and_genesis_are_part_of_the_claim() {
    let honest = chain().judge().says_exactly(&[]).report;
    assert_eq!(honest.chain.name, "custom");
    // Rules that make no difference to these blocks make one to the claim.
    let other = chain().with(|s| s.rules.dao = Some(1 << 30)).judge().says_exactly(&[]).report;
    assert_ne!(other.chain.rules_digest, honest.chain.rules_digest);
    assert_eq!(other.final_state, honest.final_state);
    // No other chain's name may be borrowed: neither by rules alone nor with the genesis left out.
    let mainnet = ChainRules::named("mainnet").expect("built in");
    let borrowed = chain().with(|s| s.rules = mainnet.clone());
    let judged = borrowed.judge().has(0, 0, Check::Hashes, Reason::WrongGenesisHash);
    assert_eq!(judged.report.chain.name, "custom");
    let silent = chain().with(|s| s.rules = ChainRules { genesis: None, ..mainnet });
    let judged = silent.judge().judged();
    assert_eq!(judged.report.chain.name, "custom");
    // First parent hash and tip are always said.
    let report = chain().cut(5..).judge().says_exactly(&[]).report;
    let header = decode_header(&chain().block(5).body.header);
    assert_eq!(report.blocks.parent_hash, header.parent_hash);
    assert_eq!(report.blocks.tip_hash, honest.blocks.tip_hash);
}

#[test]
fn ommers_that_the_header_rules_out_are_not_kept_back() {
    let Some(data) = manaflow_datasets::data_for("ommers_that_the_header_rules_out_are_not_kept_back") else { return };
    // The miner's reward is taken away under the pretext of ommers that are known by hash only; there are none.
    let takes_reward = |sample: &Sample, number: u64| {
        sample.with(|s| {
            let block = s.block(number);
            assert!(matches!(&block.body.ommers, Ommers::Headers(list) if list[..] == [0xc0]));
            block.body.ommers = Ommers::Hashes(vec![B256::repeat_byte(1)]);
            let closing = block.transactions.last_mut().expect("a closing");
            closing.moves.drain(..closing.moves.len() - 1);
        })
    };
    let sample = execapis(&data);
    let without = |block: &BlockRecord| matches!(&block.body.ommers, Ommers::Headers(list) if list[..] == [0xc0]);
    let number = 4 + sample.segments[0].blocks[4..].iter().position(without).expect("a block without ommers") as u64;
    takes_reward(&sample.cut(3..), number).judge().has(number, 0, Check::Hashes, Reason::WrongOmmersHash);
    // From genesis nothing is unknown, ommers neither.
    let why = takes_reward(&sample, number).judge().refused();
    assert!(why.contains("ommers known by hash only in a segment from genesis"), "{why}");
}

#[test]
fn ommers_kept_back_leave_the_miner_unknown() {
    let Some(data) = manaflow_datasets::data_for("ommers_kept_back_leave_the_miner_unknown") else { return };
    let sample = execapis(&data).cut(3..);
    let found = sample.segments[0].blocks.iter().position(|block| match &block.body.ommers {
        Ommers::Headers(list) => list.len() > 1,
        Ommers::Hashes(_) => false,
    });
    let number = 3 + found.expect("a block with ommers") as u64;
    let lie = sample.with(|s| {
        let block = s.block(number);
        block.body.ommers = Ommers::Hashes(vec![B256::repeat_byte(1)]);
        let closing = block.transactions.last_mut().expect("a closing");
        closing.moves.drain(..closing.moves.len() - 1);
    });
    let judged = lie.judge().judged();
    assert_eq!(judged.report.unchecked.ommer_lists, 1);
    assert!(judged.report.requirements.assumed >= 1 && judged.report.conditional);
}

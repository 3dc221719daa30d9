//! All sources of the test data are read whole, and their counts, hashes and roots are those that the data set states.
//!
//! Oracle: alloy's transaction decoding and trie for transactions roots, ommers and withdrawals roots; the counts in
//! the data set's README, which were taken by other programs.

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header, TxEnvelope};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{B256, U256, keccak256};
use alloy_rlp::Decodable;
use alloy_trie::root::ordered_trie_root_encoded;
use manaflow_datasets::data_for;
use manaflow_loader::model::Ommers;
use manaflow_loader::source::{Chain, Options, Recognised, Snapshot, Source, SourceBlock, recognise};
use std::path::{Path, PathBuf};

mod e2store_writer;

fn find(paths: &[PathBuf]) -> Recognised {
    recognise(paths, &Options::default()).unwrap_or_else(|e| panic!("{e}"))
}

fn chain(path: &Path, genesis: Option<PathBuf>) -> Chain {
    let options = Options { genesis, rules: None };
    let found = recognise(&[path.to_path_buf()], &options).unwrap_or_else(|e| panic!("{e}"));
    match found.sources.as_slice() {
        [Source::Chain(chain)] => chain.clone(),
        other => panic!("expected one chain, got {} sources", other.len()),
    }
}

fn snapshots(path: PathBuf) -> (Vec<Snapshot>, usize) {
    let found = find(&[path]);
    assert_eq!(found.rules.name(), "mainnet");
    let load = |source: &Source| match source {
        Source::Snapshot(folder) => folder.load().unwrap_or_else(|e| panic!("{e}")),
        Source::Chain(_) | Source::Node(_) => panic!("a chain among snapshots"),
    };
    (found.sources.iter().map(load).collect(), found.left_out.len())
}

/// What must hold of every block of the data, whatever its source.
fn check(block: &SourceBlock) {
    let number = block.number;
    assert_eq!(block.number, block.header.number);
    assert_eq!(keccak256(&block.body.header), block.hash, "block {number}");
    assert_eq!(block.hash, block.header.hash_slow(), "block {number}");
    assert_eq!(Header::decode(&mut block.body.header.as_ref()).as_ref(), Ok(&*block.header), "block {number}");
    assert_eq!(ordered_trie_root_encoded(&block.transactions), block.header.transactions_root, "block {number}");
    for transaction in &block.transactions {
        let decoded = TxEnvelope::decode_2718_exact(transaction);
        assert!(decoded.is_ok(), "block {number}: {decoded:?}");
    }
    match &block.body.ommers {
        Ommers::Headers(rlp) => assert_eq!(keccak256(rlp), block.header.ommers_hash, "block {number}"),
        Ommers::Hashes(hashes) => {
            assert!(!hashes.is_empty(), "block {number}");
            assert_ne!(block.header.ommers_hash, EMPTY_OMMER_ROOT_HASH, "block {number}");
        }
    }
    assert_eq!(block.body.withdrawals.is_some(), block.header.withdrawals_root.is_some(), "block {number}");
    if let Some(rlp) = &block.body.withdrawals {
        let list: Vec<alloy_eips::eip4895::Withdrawal> = Decodable::decode(&mut rlp.as_ref()).expect("withdrawals");
        let encoded: Vec<_> = list.iter().map(alloy_rlp::encode).collect();
        assert_eq!(Some(ordered_trie_root_encoded(&encoded)), block.header.withdrawals_root, "block {number}");
    }
}

#[derive(Default, PartialEq, Eq, Debug)]
struct Counts {
    blocks: usize,
    transactions: usize,
    ommers: usize,
    withdrawals: usize,
}

impl Counts {
    fn add(&mut self, block: &SourceBlock) {
        self.blocks += 1;
        self.transactions += block.transactions.len();
        self.ommers += match &block.body.ommers {
            Ommers::Headers(rlp) => Vec::<Header>::decode(&mut rlp.as_ref()).expect("headers").len(),
            Ommers::Hashes(hashes) => hashes.len(),
        };
        if let Some(rlp) = &block.body.withdrawals {
            let list: Vec<alloy_eips::eip4895::Withdrawal> = Decodable::decode(&mut rlp.as_ref()).expect("withdrawals");
            self.withdrawals += list.len();
        }
    }
}

/// Reads a chain to its end; block 0 is not counted.
fn read_chain(chain: &Chain) -> (Counts, SourceBlock) {
    let mut counts = Counts::default();
    let mut last: Option<SourceBlock> = None;
    for (position, block) in chain.blocks().enumerate() {
        let block = block.unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(block.number, position as u64);
        check(&block);
        match &last {
            Some(parent) => {
                assert_eq!(block.header.parent_hash, parent.hash);
                counts.add(&block);
            }
            None => assert_eq!(block.hash, chain.genesis.hash),
        }
        last = Some(block);
    }
    (counts, last.expect("block 0"))
}

#[test]
fn all_chains_are_read() {
    let Some(data) = data_for("all_chains_are_read") else { return };
    let mut total = Counts::default();
    for (name, blocks, transactions, ommers, withdrawals) in [
        ("hive3000", 3000, 546, 0, Some(54)),
        ("geth600", 600, 603, 0, Some(54)),
        ("execapis", 54, 249, 18, None),
        ("devp2p3000", 3000, 300, 0, Some(0)),
        ("hive1024", 1024, 11_264, 0, Some(0)),
    ] {
        let (counts, _) = read_chain(&chain(&data.join("chains").join(name), None));
        assert_eq!((counts.blocks, counts.transactions, counts.ommers), (blocks, transactions, ommers), "{name}");
        // The data set does not state them for every chain.
        if let Some(withdrawals) = withdrawals {
            assert_eq!(counts.withdrawals, withdrawals, "{name}");
        }
        total.blocks += counts.blocks;
        total.transactions += counts.transactions;
    }
    assert_eq!((total.blocks, total.transactions), (7_678, 12_962));
}

/// Its file is not named `*.rlp`: a file that is named itself is taken by its first bytes.
#[test]
fn the_chain_with_all_blob_forks_is_read() {
    let Some(data) = data_for("the_chain_with_all_blob_forks_is_read") else { return };
    let chain = chain(&data.join("traces/besu_geth/chain-data/blocks.bin"), None);
    assert_eq!(chain.genesis.rules.blobs.iter().map(|b| b.max).collect::<Vec<_>>(), [6, 9, 9, 12, 15, 18, 9, 20]);
    let (counts, _) = read_chain(&chain);
    assert_eq!((counts.blocks, counts.transactions), (34, 56));
}

#[test]
fn the_first_era_of_mainnet_is_read() {
    let Some(data) = data_for("the_first_era_of_mainnet_is_read") else { return };
    let chain = chain(&data.join("era1"), Some(data.join("genesis/mainnet.json")));
    assert_eq!(chain.genesis.rules.name(), "mainnet");
    let mut difficulty = U256::ZERO;
    for block in chain.blocks() {
        let block = block.unwrap_or_else(|e| panic!("{e}"));
        difficulty += block.header.difficulty;
        assert_eq!(block.total_difficulty, Some(difficulty), "block {}", block.number);
        if block.number > 0 {
            assert_eq!(block.witness_roots, Some(vec![]));
        }
    }
    assert_eq!(difficulty, U256::from(1_344_623_723_034_024_u64));
    let (counts, last) = read_chain(&chain);
    // Block 0 is not counted: 8,192 with it.
    assert_eq!((counts.blocks, counts.transactions, counts.ommers), (8_191, 0, 1_410));
    assert!(last.hash.to_string().starts_with("0xa6860fef") && last.hash.to_string().ends_with("5fbed4"));
}

/// The name carries the first bytes of the accumulator, which is computed while the blocks are read.
#[test]
fn the_first_era_of_mainnet_is_what_its_name_says() {
    let Some(data) = data_for("the_first_era_of_mainnet_is_what_its_name_says") else { return };
    let whole = std::fs::read(data.join("era1/mainnet-00000-5ec1ffb8.era1")).expect("readable");
    let folder = tempfile::tempdir().expect("a folder");
    let read = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        let options = Options { genesis: Some(data.join("genesis/mainnet.json")), rules: None };
        let found = recognise(&[path], &options)?;
        let [Source::Chain(chain)] = found.sources.as_slice() else { panic!("expected one chain") };
        chain.blocks().try_fold(0, |blocks, block| block.map(|_| blocks + 1))
    };
    assert_eq!(read("mainnet-00000-5ec1ffb8.era1", &whole).map_err(|e| e.to_string()), Ok(8192));
    let said = read("mainnet-00000-5ec1ffb9.era1", &whole).expect_err("another name").to_string();
    assert!(said.contains("got 5ec1ffb9, expected 5ec1ffb8, the accumulator"), "{said}");
    // One bit of the last total difficulty, right before the accumulator.
    let mut changed = whole.clone();
    let index = whole.len() - 24 - 8 * 8192;
    changed[index - 40 - 32] ^= 1;
    let said = read("mainnet-00000-5ec1ffb8.era1", &changed).expect_err("another difficulty").to_string();
    assert!(
        said.contains("accumulator: got 0x5ec1ffb8c3b146f42606c74ced973dc1") && said.contains("8192 blocks"),
        "{said}"
    );
}

/// Real chains as ere files, written by the tests after the specification, of so many blocks each: before and across
/// the merge, all transaction types, ommers, withdrawals. What is read is what the chain's own file says.
#[test]
fn real_chains_are_the_same_from_ere_files() {
    let Some(data) = data_for("real_chains_are_the_same_from_ere_files") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let mainnet = chain(&data.join("era1"), Some(data.join("genesis/mainnet.json")));
    let named = |name: &str| chain(&data.join("chains").join(name), None);
    let chains = [("era1", mainnet, 3000), ("execapis", named("execapis"), 10), ("geth600", named("geth600"), 200)];
    for (name, plain, step) in chains {
        let blocks: Vec<_> = plain.blocks().map(|block| block.unwrap_or_else(|e| panic!("{e}"))).collect();
        let folder = folder.path().join(name);
        std::fs::create_dir(&folder).expect("created");
        let mut before = U256::ZERO;
        for (at, blocks) in blocks.chunks(step).enumerate() {
            let mut ere = e2store_writer::Ere::new(blocks, before, Some(&e2store_writer::statuses));
            ere.is_interleaved = at % 2 == 1;
            if at % 3 == 1 {
                ere.add_proofs();
            }
            // No epochs of 8,192 blocks: no standard names.
            std::fs::write(folder.join(format!("{at}.ere")), ere.file()).expect("written");
            before += blocks.iter().map(|block| block.header.difficulty).sum::<U256>();
        }
        let packed = chain(&folder, Some(plain.genesis.path.clone()));
        assert!(packed.brings_receipts() && packed.files.len() == blocks.len().div_ceil(step), "{name}");
        let (mut total, mut has_merged) = (U256::ZERO, false);
        let mut count = 0;
        for (block, mut expected) in packed.blocks().zip(blocks) {
            let block = block.unwrap_or_else(|e| panic!("{name}: {e}"));
            total += expected.header.difficulty;
            has_merged |= expected.header.difficulty.is_zero();
            if let Some(stated) = block.total_difficulty {
                assert_eq!(stated, total, "{name}: block {}", block.number);
            } else {
                assert!(has_merged, "{name}: block {}", block.number);
            }
            expected.total_difficulty = block.total_difficulty;
            expected.witness_roots = block.transactions.is_empty().then(Vec::new);
            assert_eq!(block, expected, "{name}: block {}", block.number);
            count += 1;
        }
        println!("{name}: {count} blocks, merged: {has_merged}");
        assert_eq!(has_merged, name != "era1");
    }
}

#[test]
fn all_mainnet_snapshots_are_read() {
    let Some(data) = data_for("all_mainnet_snapshots_are_read") else { return };
    let (snapshots, left_out) = snapshots(data.join("mainnet"));
    assert_eq!((snapshots.len(), left_out), (60, 33));
    assert!(snapshots.is_sorted_by_key(|s| s.start.first));
    let mut counts = Counts::default();
    let (mut accounts, mut slots) = (0, 0);
    for snapshot in &snapshots {
        check(&snapshot.block);
        counts.add(&snapshot.block);
        accounts += snapshot.pre_state.len();
        slots += snapshot.pre_state.values().map(|a| a.storage.len()).sum::<usize>();
        for account in snapshot.pre_state.values() {
            let has_code = account.code_hash != alloy_primitives::KECCAK256_EMPTY;
            assert!(!has_code || snapshot.codes.get(&account.code_hash).is_some());
        }
        assert!(snapshot.absent.is_empty() && snapshot.balance_unknown.is_empty());
        let parent = snapshot.block.number - 1;
        assert_eq!(snapshot.block_hashes.get(&parent), Some(&snapshot.block.header.parent_hash));
        assert_eq!((snapshot.start.first, snapshot.start.origin), (snapshot.block.number, snapshot.block.number));
    }
    assert_eq!((counts.transactions, accounts, slots), (15_127, 20_668, 30_527));
    assert_eq!(snapshots[0].codes.len(), 2_798);
    let by_number = |n: u64| snapshots.iter().find(|s| s.block.number == n).expect("is there");
    // 4369999 is the parent of 4370000, and its header proves itself by its hash.
    let earlier = &by_number(4_370_000).start.earlier;
    assert_eq!(earlier.len(), 1);
    assert_eq!(keccak256(&earlier[0].header), by_number(4_370_000).block.header.parent_hash);
    assert_eq!(by_number(46_147).start.earlier.len(), 0);
    let merge = by_number(15_537_394);
    let last = by_number(15_537_393);
    assert_eq!(
        merge.start.total_difficulty,
        last.start.total_difficulty.map(|before| before + last.block.header.difficulty)
    );
    assert!(merge.start.total_difficulty > Some(U256::from(58_750_000_000_000_000_000_000_u128)));
}

#[test]
fn all_witness_snapshots_are_read() {
    let Some(data) = data_for("all_witness_snapshots_are_read") else { return };
    let (snapshots, left_out) = snapshots(data.join("witness"));
    assert_eq!((snapshots.len(), left_out), (12, 0));
    let mut transactions = 0;
    for snapshot in &snapshots {
        check(&snapshot.block);
        transactions += snapshot.block.transactions.len();
        let number = snapshot.block.number;
        let parents = usize::from(number != 24_476_005);
        assert_eq!(snapshot.start.earlier.len(), parents, "block {number}");
        for parent in &snapshot.start.earlier {
            assert_eq!(keccak256(&parent.header), snapshot.block.header.parent_hash);
        }
        assert_eq!(snapshot.balance_unknown.len(), if number == 24_476_005 { 14 } else { 0 });
        assert_eq!(snapshot.start.total_difficulty.is_some(), number < 20_000_000, "block {number}");
    }
    assert_eq!(transactions, 476);
    assert!(snapshots.iter().any(|s| !s.absent.is_empty()));
    let missing: std::collections::BTreeSet<B256> = snapshots
        .iter()
        .flat_map(|s| s.pre_state.values().map(move |a| (s, a.code_hash)))
        .filter(|(s, hash)| *hash != alloy_primitives::KECCAK256_EMPTY && s.codes.get(hash).is_none())
        .map(|(_, hash)| hash)
        .collect();
    assert_eq!(missing.len(), 2);
}

/// Both folders hold block 1150000: a place can be taken once only.
#[test]
fn two_snapshots_of_one_block_are_refused() {
    let Some(data) = data_for("two_snapshots_of_one_block_are_refused") else { return };
    let paths = [data.join("mainnet"), data.join("witness")];
    let error = recognise(&paths, &Options::default()).expect_err("block 1150000 twice").to_string();
    assert!(error.contains("witness/1150000: block.json: block 1150000 is in"), "{error}");
}

#[test]
fn one_snapshot_folder_finds_codes_above_it() {
    let Some(data) = data_for("one_snapshot_folder_finds_codes_above_it") else { return };
    let folder = data.join("mainnet/blocks/19426587");
    for path in [folder.clone(), folder.join("block.json")] {
        let found = find(&[path]);
        let [Source::Snapshot(snapshot)] = found.sources.as_slice() else { panic!("expected one snapshot") };
        let snapshot = snapshot.load().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(snapshot.codes.len(), 2_798);
    }
    // Named twice, taken once.
    assert_eq!(find(&[folder.clone(), folder]).sources.len(), 1);
}

#[test]
fn blocks_without_state_alone_are_nothing_to_import() {
    let Some(data) = data_for("blocks_without_state_alone_are_nothing_to_import") else { return };
    let error = recognise(&[data.join("mainnet/blocks_only")], &Options::default()).expect_err("no state").to_string();
    assert!(error.contains("nothing to import") && error.contains("and 32 more"), "{error}");
}

/// A block of a spec test, as far as it matters here.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct FixtureBlock {
    rlp: alloy_primitives::Bytes,
    block_header: Option<FixtureHeader>,
    expect_exception: Option<String>,
    #[serde(rename = "expectExceptionALL")]
    expect_exception_all: Option<String>,
}

#[derive(serde::Deserialize)]
struct FixtureHeader {
    hash: B256,
}

#[derive(serde::Deserialize)]
struct FixtureCase {
    blocks: Vec<FixtureBlock>,
}

/// Spec tests of all forks: a valid block is read with the hash it should have; one to be refused is an answer either
/// way.
#[test]
fn all_blocks_of_the_spec_tests_are_read() {
    let Some(data) = data_for("all_blocks_of_the_spec_tests_are_read") else { return };
    let mut folders = vec![data.join("fixtures/blockchain_tests")];
    let (mut valid, mut judged, mut no_block) = (0, 0, 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let text = std::fs::read(&path).expect("readable");
            let cases: std::collections::BTreeMap<String, FixtureCase> =
                serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            for (name, case) in cases {
                for block in case.blocks {
                    let read = SourceBlock::from_rlp(&block.rlp);
                    let is_refused = block.expect_exception.is_some() || block.expect_exception_all.is_some();
                    match (read, block.block_header) {
                        (Ok(block), Some(header)) if !is_refused => {
                            assert_eq!(block.hash, header.hash, "{name}");
                            check(&block);
                            valid += 1;
                        }
                        (Err(reason), Some(_)) if !is_refused => panic!("{name}: {reason}"),
                        (Ok(_), _) => judged += 1,
                        (Err(_), _) => no_block += 1,
                    }
                }
            }
        }
    }
    println!("{valid} valid, {judged} left to validation, {no_block} no blocks at all");
    assert_eq!((valid, judged + no_block), (8_848, 1_416));
    assert!(no_block < judged, "{no_block} of the blocks to be refused are no blocks at all, {judged} are");
}

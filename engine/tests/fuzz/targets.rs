//! What may come from outside as bytes, each as a plain function: it may refuse, and must neither panic nor take
//! anything for what it is not.
//!
//! Used by the test beside this file, over seeded mutations, and by `fuzz/`, under a coverage-guided fuzzer.

use alloy_primitives::Bytes;
use manaflow_engine::import::{prepare, snapshot_state};
use manaflow_engine::segment::{MergeOptions, merge_summaries};
use manaflow_engine::solo::record::SignedTransaction;
use manaflow_engine::solo::transaction;
use manaflow_engine::validate::{Checks, Options, Order, Progress, StateRootAt, validate};
use manaflow_loader::file::BlockFile;
use manaflow_loader::file::layout::SECTION_COUNT;
use manaflow_loader::rules::ChainRules;
use manaflow_loader::source::{self, Chain, Genesis, Source, SourceBlock, recognise};
use manaflow_loader::summary::Summary;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;

#[path = "execution.rs"]
pub mod execution;

/// A target, by its name.
pub type Target = fn(&[u8]);

/// All targets.
pub const TARGETS: [(&str, Target); 13] = [
    ("block_file", block_file),
    ("sealed_block_file", sealed_block_file),
    ("block", block),
    ("rlp_chain", rlp_chain),
    ("era1", era1),
    ("unpacked_era1", unpacked_era1),
    ("snapshot", snapshot),
    ("genesis", genesis),
    ("fixtures", fixtures),
    ("summary", summary),
    ("rules", rules),
    ("transaction", transaction),
    ("execution", execution::execution),
];

/// Greatest input looked at: longer ones find nothing new and take long.
const BYTES_MAX: usize = 1 << 20;

/// A file with these bytes in a folder of this thread.
fn with_file<T>(name: &str, bytes: &[u8], work: impl FnOnce(&Path) -> T) -> T {
    thread_local! {
        static FOLDER: TempDir = tempfile::tempdir().expect("a folder");
    }
    FOLDER.with(|folder| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        work(&path)
    })
}

/// Any bytes as a block file.
pub fn block_file(bytes: &[u8]) {
    if bytes.len() <= BYTES_MAX {
        with_file("x.mana", bytes, |path| drop(read_and_judge(path)));
    }
}

/// Any bytes as a block file whose checksums are right.
pub fn sealed_block_file(bytes: &[u8]) {
    if bytes.len() <= BYTES_MAX {
        block_file(&seal(bytes));
    }
}

/// Reads everything that a file holds, then judges it; what one reader accepts, the others do.
fn read_and_judge(path: &Path) -> manaflow_loader::Result<()> {
    let file = BlockFile::open(path)?;
    let whole = file.verify_all();
    for block in 0..file.block_count() {
        if let Err(e) = file.record(block) {
            assert!(whole.is_err() || e.to_string().contains("logs"), "a file that was verified: {e}");
        }
    }
    for code in 0..file.code_count() as u32 {
        let code = file.code(code);
        assert!(whole.is_err() || code.is_ok(), "a file that was verified: {code:?}");
    }
    whole?;
    // Executions that would take long are nobody's bug: the file may ask for as much gas as it claims.
    let gas = (0..file.block_count()).flat_map(|block| {
        let view = file.block(block);
        let limits = view.iter().flat_map(|view| view.transactions().filter_map(|row| gas_limit(row.bytes())));
        limits.collect::<Vec<_>>()
    });
    let is_small = gas.fold(0_u64, u64::saturating_add) <= 60_000_000 && file.block_count() < 100;
    for order in [Order::Forward, Order::Reverse, Order::Shuffled(1)] {
        let options = Options {
            order,
            checks: if is_small { Checks::ALL } else { Checks::of(&[manaflow_engine::reason::Check::Conflicts]) },
            state_root: Some(StateRootAt::Never),
            limit: 100,
            list_requirements: true,
            version: String::new(),
            revm: String::new(),
            ..Options::default()
        };
        // A verdict or a refusal; which, is the business of other tests.
        let _ = validate(&[&file], &options, &Progress::default());
    }
    Ok(())
}

fn gas_limit(bytes: &[u8]) -> Option<u64> {
    use alloy_consensus::Transaction;
    transaction::decode(bytes).ok().map(|tx| tx.gas_limit())
}

/// Puts right checksums and the right size into what may be a block file.
fn seal(bytes: &[u8]) -> Vec<u8> {
    const HEADER_BYTES: usize = 1152;
    const PAGE_BYTES: usize = 65_536;
    let mut bytes = bytes.to_vec();
    if bytes.len() < HEADER_BYTES + 8 {
        return bytes;
    }
    let put = |bytes: &mut Vec<u8>, at: usize, word: u64| bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
    let length = bytes.len();
    put(&mut bytes, 16, length as u64);
    let data_start = |pages: usize| (HEADER_BYTES + 8 * pages).next_multiple_of(64);
    let pages = (1..).find(|&pages| length <= data_start(pages) + pages * PAGE_BYTES).expect("some number is enough");
    let data = data_start(pages).min(length);
    for page in 0..pages {
        let from = (data + page * PAGE_BYTES).min(length);
        let to = (from + PAGE_BYTES).min(length);
        let checksum = xxhash_rust::xxh3::xxh3_64(&bytes[from..to]);
        if HEADER_BYTES + 8 * page + 8 <= length {
            put(&mut bytes, HEADER_BYTES + 8 * page, checksum);
        }
    }
    let table_end = (HEADER_BYTES + 8 * pages).min(length);
    let checksum = xxhash_rust::xxh3::xxh3_64(&bytes[HEADER_BYTES..table_end]);
    put(&mut bytes, 160 + 24 * SECTION_COUNT, checksum);
    let checksum = xxhash_rust::xxh3::xxh3_64(&bytes[..1144]);
    put(&mut bytes, 1144, checksum);
    bytes
}

/// Any bytes as the RLP of a block; what is taken apart is put together again.
pub fn block(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    let Ok(block) = SourceBlock::from_rlp(&bytes) else { return };
    let transactions: Vec<Vec<u8>> =
        block.transactions.iter().map(|tx| if tx[0] < 0x80 { alloy_rlp::encode(tx) } else { tx.to_vec() }).collect();
    let transactions = list(&transactions.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let manaflow_loader::model::Ommers::Headers(ommers) = &block.body.ommers else { panic!("RLP has the headers") };
    let parts: Vec<&[u8]> = [&block.body.header[..], &transactions, ommers]
        .into_iter()
        .chain(block.body.withdrawals.as_ref().map(|list| &list[..]))
        .collect();
    assert_eq!(list(&parts), bytes, "a block is what its parts are");
    let _ = prepare(block, "fuzz");
}

/// An RLP list of items that are RLP already.
pub fn list(items: &[&[u8]]) -> Vec<u8> {
    let payload = items.concat();
    let mut out = Vec::new();
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend(payload);
    out
}

/// The genesis of the chains that are made up here.
pub fn small_genesis() -> &'static Arc<Genesis> {
    static GENESIS: OnceLock<Arc<Genesis>> = OnceLock::new();
    GENESIS.get_or_init(|| {
        let json = super::corpus::genesis_json().to_string();
        with_file("small.json", json.as_bytes(), |path| Arc::new(Genesis::read(path, None).expect("it is well-formed")))
    })
}

fn stream(path: &Path) {
    stream_from(path, 0);
}

/// Reads a chain, and prepares its blocks but for the first ones.
fn stream_from(path: &Path, known: usize) {
    let Ok(chain) = Chain::open(small_genesis().clone(), &[PathBuf::from(path)]) else { return };
    for block in chain.blocks().take(1_000).skip(known) {
        match block {
            Ok(block) => drop(prepare(block, "fuzz")),
            Err(e) => assert!(e.is_input(), "{e}"),
        }
    }
}

/// Any bytes as an RLP chain after the small genesis.
pub fn rlp_chain(bytes: &[u8]) {
    // Its first block made to follow: else the parent's hash would be all that is ever looked at. Made once, and not
    // prepared again: its signatures would take longer than all the rest.
    static FIRST: OnceLock<Vec<u8>> = OnceLock::new();
    with_file("x.rlp", bytes, stream);
    let first = FIRST.get_or_init(super::corpus::first_block);
    with_file("y.rlp", &[&first[..], bytes].concat(), |path| stream_from(path, 2));
}

/// Any bytes as an era1 file after the small genesis.
pub fn era1(bytes: &[u8]) {
    with_file("x.era1", bytes, stream);
}

/// Any entries (kind, length of two bytes each, data) as those of an era1 file: packed where the format packs them, and
/// with the index that they need.
pub fn unpacked_era1(bytes: &[u8]) {
    let mut file = entry(0x3265, &[]);
    let mut starts = Vec::new();
    let mut rest = bytes;
    while let Some((head, after)) = rest.split_first_chunk::<4>() {
        let kind = u16::from_le_bytes([head[0], head[1]]);
        let length = usize::from(u16::from_le_bytes([head[2], head[3]])).min(after.len());
        let (data, after) = after.split_at(length);
        if kind == 0x03 {
            starts.push(file.len() as i64);
        }
        file.extend(if (0x03..=0x05).contains(&kind) { entry(kind, &pack(data)) } else { entry(kind, data) });
        rest = after;
    }
    let index_start = file.len() as i64;
    let mut index = 0_u64.to_le_bytes().to_vec();
    starts.iter().for_each(|start| index.extend((start - index_start).to_le_bytes()));
    index.extend((starts.len() as u64).to_le_bytes());
    file.extend(entry(0x3266, &index));
    era1(&file);
}

/// An entry of an era1 file.
pub fn entry(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &(data.len() as u32).to_le_bytes(), &[0, 0], data].concat()
}

/// As a framed snappy stream.
pub fn pack(data: &[u8]) -> Vec<u8> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(data).expect("to memory");
    encoder.into_inner().expect("to memory")
}

/// Names of a snapshot's files, in the order in which [`snapshot`] takes them.
pub const SNAPSHOT_FILES: [&str; 7] = [
    "block.json",
    "pre_state.json",
    "codes.jsonl",
    "block_hashes.json",
    "absent.json",
    "parent.json",
    "balance_unknown.json",
];

/// Any bytes as the files of a snapshot, with a byte 0 between one and the next; an empty file is not there.
pub fn snapshot(bytes: &[u8]) {
    let mut parts = bytes.split(|byte| *byte == 0);
    with_file("ignored", &[], |path| {
        let folder = path.with_file_name("snapshot");
        std::fs::create_dir_all(&folder).expect("created");
        for name in SNAPSHOT_FILES {
            let path = folder.join(name);
            match parts.next().filter(|part| !part.is_empty()) {
                Some(part) => std::fs::write(path, part).expect("written"),
                None => std::fs::remove_file(path).unwrap_or_default(),
            }
        }
        let found = match recognise(&[folder], &source::Options::default()) {
            Ok(found) => found,
            Err(e) => return assert!(e.is_input(), "{e}"),
        };
        for source in &found.sources {
            let Source::Snapshot(snapshot) = source else { panic!("there is nothing else") };
            match snapshot.load() {
                Ok(snapshot) => {
                    let _ = snapshot_state(&snapshot);
                    let _ = prepare(snapshot.block, "fuzz");
                }
                Err(e) => assert!(e.is_input(), "{e}"),
            }
        }
    });
}

/// Any bytes as a genesis file; its block 0 is what it says.
pub fn genesis(bytes: &[u8]) {
    with_file("genesis.json", bytes, |path| match Genesis::read(path, None) {
        Ok(genesis) => {
            assert_eq!(genesis.rules.genesis, Some(genesis.hash));
            assert_eq!(genesis.block().header.hash_slow(), genesis.hash);
            assert_eq!(ChainRules::from_bytes(&genesis.rules.to_bytes()).as_ref(), Ok(&genesis.rules));
        }
        Err(e) => assert!(e.is_input(), "{e}"),
    });
}

/// Any bytes as a file of spec tests; block 0 of a case is what it says.
pub fn fixtures(bytes: &[u8]) {
    let Ok(cases) = source::fixture::decode(bytes) else { return };
    assert!(!cases.is_empty());
    for case in cases {
        let genesis = SourceBlock::from_rlp(&case.genesis_rlp).expect("it was taken");
        if let Ok(stated) = &case.genesis {
            assert_eq!((genesis.hash, stated.rules.genesis), (stated.hash, Some(stated.hash)));
        }
        case.blocks.iter().for_each(|taken| block(&taken.rlp));
    }
}

/// Any bytes as a summary, as they are and with a right checksum; it has one form.
pub fn summary(bytes: &[u8]) {
    let mut sealed = bytes.to_vec();
    if let Some(content) = sealed.len().checked_sub(8) {
        let length = (content + 8) as u64;
        if content >= 24 {
            sealed[16..24].copy_from_slice(&length.to_le_bytes());
        }
        let checksum = xxhash_rust::xxh3::xxh3_64(&sealed[..content]);
        sealed[content..].copy_from_slice(&checksum.to_le_bytes());
    }
    for bytes in [bytes, &sealed] {
        let Ok(summary) = Summary::decode(bytes) else { continue };
        assert_eq!(summary.encode(), bytes, "one form");
        // Alone, a verdict or a refusal.
        let options = MergeOptions { gaps: true, limit: 10, list_requirements: true, version: String::new() };
        let _ = merge_summaries(vec![("fuzz".into(), summary)], &options);
    }
}

/// Any bytes as rules; they have one form.
pub fn rules(bytes: &[u8]) {
    if let Ok(rules) = ChainRules::from_bytes(bytes) {
        assert_eq!(rules.to_bytes(), bytes);
    }
}

/// Any bytes as a transaction; it has one form.
pub fn transaction(bytes: &[u8]) {
    use alloy_eips::eip2718::Encodable2718;
    let Ok(envelope) = transaction::decode(bytes) else { return };
    assert_eq!(envelope.encoded_2718(), bytes, "one form");
    let signed = SignedTransaction::recover(Bytes::copy_from_slice(bytes), envelope);
    assert!(signed.sender.is_some() || signed.authorities.iter().all(Option::is_none) || !signed.bytes.is_empty());
}

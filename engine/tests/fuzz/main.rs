//! Bytes from outside, changed at random: refused or read, never a panic. Seeded, and bounded by count.
//!
//! `MANAFLOW_SEED` draws others; 2,000 a target (a tenth of it for those that judge), or with `MANAFLOW_WHOLE=1` ten
//! times as many. Under a coverage-guided fuzzer see `fuzz/README.md`; `MANAFLOW_CORPUS=FOLDER` writes the inputs that it
//! starts from. An input that fails is kept beside the tests' other files, named in the message.

mod corpus;
mod targets;

use manaflow_datasets::{Draw, amount, seed};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use targets::{TARGETS, Target};

/// Small numbers, borders, and any.
fn number(draw: &mut Draw) -> u64 {
    let borders =
        [0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000, u32::MAX.into(), 1 << 32, 1 << 40, u64::MAX / 2, u64::MAX];
    match draw.below(3) {
        0 => draw.number() % 16,
        1 => borders[draw.below(borders.len())],
        _ => draw.number(),
    }
}

/// Changes an input in one to eight places.
fn mutate(draw: &mut Draw, inputs: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = inputs[draw.below(inputs.len())].clone();
    for _ in 0..1 << draw.below(4) {
        let at = draw.below(bytes.len());
        let longest = 1 << draw.below(9);
        let span = draw.below(longest).min(bytes.len() - at);
        match draw.below(9) {
            _ if bytes.is_empty() => bytes.push(draw.number() as u8),
            0 => bytes[at] ^= 1 << draw.below(8),
            1 => bytes[at] = number(draw) as u8,
            2 => drop(bytes.drain(at..at + span)),
            3 => {
                let part = bytes[at..at + span].to_vec();
                let to = draw.below(bytes.len());
                bytes.splice(to..to, part);
            }
            4 => bytes.truncate(at),
            5 => {
                let width = (1 << draw.below(4)).min(bytes.len() - at);
                let number = number(draw);
                let word = if draw.below(2) == 0 {
                    number.to_le_bytes()
                } else {
                    number.rotate_left(64 - 8 * width as u32).to_be_bytes()
                };
                bytes[at..at + width].copy_from_slice(&word[..width]);
            }
            6 => {
                let other = &inputs[draw.below(inputs.len())];
                let from = draw.below(other.len());
                let count = span.min(other.len() - from);
                bytes.splice(at..at + span, other[from..from + count].to_vec());
            }
            7 => bytes[at..at + span].fill(number(draw) as u8),
            // Digits of numbers in JSON and of lengths in RLP.
            _ => bytes[at] = bytes[at].wrapping_add([1, 255, 8, 0x20][draw.below(4)]),
        }
    }
    bytes
}

/// Where an input is kept that fails.
fn keep(target: &str, bytes: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{target}.bin"));
    std::fs::write(&path, bytes).expect("written");
    path
}

fn try_input(name: &str, target: Target, bytes: &[u8]) {
    if catch_unwind(|| target(bytes)).is_err() {
        let path = keep(name, bytes);
        panic!("{name} panics on {} bytes, kept in {}", bytes.len(), path.display());
    }
}

fn fuzz(name: &str) {
    let (_, target) = TARGETS.into_iter().find(|(other, _)| *other == name).expect("a target");
    if name == "execution" && !manaflow_engine::backend::execution::Backend::Threaded.is_available() {
        eprintln!("skipped: {name}: this build has no threaded loop");
        return;
    }
    let inputs = corpus::inputs(name);
    if let Some(folder) = std::env::var_os("MANAFLOW_CORPUS") {
        let folder = Path::new(&folder).join(name);
        std::fs::create_dir_all(&folder).expect("created");
        for (i, bytes) in inputs.iter().enumerate() {
            std::fs::write(folder.join(i.to_string()), bytes).expect("written");
        }
        return;
    }
    let all = amount(2_000, 20_000);
    let count = if name.ends_with("block_file") { all / 10 } else { all };
    let mut draw = Draw(seed(20_261_123) ^ name.bytes().fold(0, |sum, byte| sum * 31 + u64::from(byte)));
    for bytes in &inputs {
        try_input(name, target, bytes);
    }
    for length in [0, 1, 2, 8, 100, 2_000] {
        let noise: Vec<u8> = (0..length).map(|_| draw.number() as u8).collect();
        try_input(name, target, &noise);
    }
    for _ in 0..count {
        try_input(name, target, &mutate(&mut draw, &inputs));
    }
}

macro_rules! tests {
    ($($name:ident)*) => {
        $(#[test] fn $name() { fuzz(stringify!($name)); })*

        #[test]
        fn every_target_is_tried() {
            assert_eq!(TARGETS.map(|(name, _)| name), [$(stringify!($name)),*]);
        }
    };
}

tests! { block_file sealed_block_file block rlp_chain era1 unpacked_era1 snapshot genesis fixtures summary rules transaction execution }

/// The inputs are what they are meant to be: taken by the decoders, so that changes of them reach far.
#[test]
fn inputs_are_taken() {
    use manaflow_loader::file::BlockFile;
    use manaflow_loader::source::{Chain, SourceBlock};
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        path
    };
    let path = file("x.mana", &corpus::inputs("block_file")[0]);
    let read = BlockFile::open(&path).expect("it opens");
    read.verify_all().expect("it is well-formed");
    assert_eq!(read.block_count(), 3);
    assert!((0..3).any(|block| {
        read.record(block).expect("it is well-formed").transactions.iter().any(|tx| tx.outcome.is_some())
    }));
    for (i, bytes) in corpus::inputs("block").into_iter().enumerate() {
        SourceBlock::from_rlp(&bytes.into()).unwrap_or_else(|e| panic!("block {i}: {e}"));
    }
    for (name, kind) in [("a.rlp", "rlp_chain"), ("b.era1", "era1")] {
        let path = file(name, &corpus::inputs(kind)[0]);
        let chain = Chain::open(targets::small_genesis().clone(), &[path]).unwrap_or_else(|e| panic!("{e}"));
        let blocks: Vec<_> = chain.blocks().map(|block| block.unwrap_or_else(|e| panic!("{e}"))).collect();
        assert_eq!(blocks.len(), 3, "{kind}");
    }
    let parts: Vec<Vec<u8>> = corpus::inputs("snapshot")[0].split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    for (name, part) in targets::SNAPSHOT_FILES.iter().zip(&parts) {
        file(name, part);
    }
    std::fs::remove_file(folder.path().join("a.rlp")).expect("removed");
    std::fs::remove_file(folder.path().join("b.era1")).expect("removed");
    let found = manaflow_loader::source::recognise(&[folder.path().into()], &Default::default());
    let found = found.unwrap_or_else(|e| panic!("{e}"));
    let [manaflow_loader::source::Source::Snapshot(snapshot)] = &found.sources[..] else { panic!("one snapshot") };
    snapshot.load().unwrap_or_else(|e| panic!("{e}"));
    let cases = manaflow_loader::source::fixture::decode(&corpus::inputs("fixtures")[0]).expect("it is well-formed");
    manaflow_loader::summary::Summary::decode(&corpus::inputs("summary")[0]).expect("it is well-formed");
    assert!(cases.len() == 1 && cases[0].genesis.is_ok() && cases[0].blocks.len() == 2);
    for bytes in corpus::inputs("transaction") {
        manaflow_engine::solo::transaction::decode(&bytes).unwrap_or_else(|e| panic!("{}", e.why));
    }
}

//! A block file taken apart, to be changed in one place, put together again and judged in every order.
//!
//! What the writer or the reader refuses never comes to a verdict; that is an answer too. Orders that disagree in anything
//! but `run` fail every test that comes by.

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, U256, keccak256};
use manaflow_engine::REVM_VERSION;
use manaflow_engine::backend::Backends;
use manaflow_engine::double_use::Demand;
use manaflow_engine::import::import;
use manaflow_engine::reason::{Check, Reason};
use manaflow_engine::report::{ListedFault, Report, Verdict};
use manaflow_engine::validate::{Checks, Options, Order, Progress, validate};
use manaflow_loader::file::{BlockFile, Writer};
use manaflow_loader::model::{BlockRecord, EarlierHeader, Ommers, SegmentStart, TransactionRecord, Value};
use manaflow_loader::rules::ChainRules;
use manaflow_loader::source::{self, recognise};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;

/// Every procedure of double use, and blocks from both ends and from the middle.
pub const ORDERS: [Order; 3] = [Order::Forward, Order::Reverse, Order::Shuffled(5)];

/// A segment, taken apart.
#[derive(Clone, Debug)]
pub struct SegmentRecord {
    pub start: SegmentStart,
    pub blocks: Vec<BlockRecord>,
}

/// A block file, taken apart.
#[derive(Clone, Debug)]
pub struct Sample {
    pub rules: ChainRules,
    pub segments: Vec<SegmentRecord>,
    pub codes: BTreeMap<B256, Bytes>,
}

/// What all orders say of a sample.
#[derive(Debug)]
pub struct Judged {
    pub report: Report,
    pub requirements: Vec<Demand>,
}

/// What comes of a sample.
#[derive(Debug)]
pub enum Answer {
    /// A verdict.
    Judged(Box<Judged>),
    /// No verdict: the file is malformed.
    Refused(String),
}

impl Sample {
    /// Imports sources and takes the file apart.
    pub fn import(paths: &[&Path], genesis: Option<&Path>) -> Self {
        let paths: Vec<_> = paths.iter().map(|path| path.to_path_buf()).collect();
        let options = source::Options { genesis: genesis.map(Path::to_path_buf), rules: None };
        let recognised = recognise(&paths, &options).expect("sources");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("imported.mana");
        let mut writer = Writer::create(&path, &recognised.rules, "test").expect("created");
        import(&recognised, &mut writer, &mut |_| {}).expect("imported");
        writer.finish().expect("finished");
        Self::read(&BlockFile::open(&path).expect("opens"))
    }

    fn read(file: &BlockFile) -> Self {
        let segments = file.segments().iter().map(|segment| SegmentRecord {
            start: segment.start.clone(),
            blocks: segment.blocks.clone().map(|block| file.record(block).expect("a record")).collect(),
        });
        let codes = (0..file.code_count() as u32).filter_map(|number| {
            let (hash, blob) = file.code(number).expect("a code");
            blob.map(|blob| (hash, Bytes::copy_from_slice(blob)))
        });
        Self { rules: file.rules().clone(), segments: segments.collect(), codes: codes.collect() }
    }

    pub fn write(&self, path: &Path) -> manaflow_loader::Result<()> {
        let mut writer = Writer::create(path, &self.rules, "test")?;
        for (hash, code) in &self.codes {
            writer.code(*hash, code)?;
        }
        for segment in &self.segments {
            writer.begin_segment(&segment.start)?;
            segment.blocks.iter().try_for_each(|block| writer.push(block))?;
        }
        writer.finish().map(|_| ())
    }

    /// Judges the sample in every order.
    pub fn judge(&self) -> Answer {
        self.judge_range(None)
    }

    /// Judges some blocks of the sample in every order.
    pub fn judge_range(&self, blocks: Option<RangeInclusive<u64>>) -> Answer {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lie.mana");
        if let Err(error) = self.write(&path) {
            assert!(error.is_input(), "{error}");
            assert!(std::fs::read_dir(folder.path()).expect("a folder").next().is_none(), "nothing half-written");
            return Answer::Refused(error.to_string());
        }
        let file = match BlockFile::open(&path) {
            Ok(file) => file,
            Err(error) => {
                assert!(error.is_input(), "{error}");
                return Answer::Refused(error.to_string());
            }
        };
        let mut answers = ORDERS.into_iter().map(|order| {
            let options = Options {
                order,
                checks: Checks::ALL,
                blocks: blocks.clone(),
                state_root: None,
                limit: 1000,
                fail_fast: false,
                list_requirements: true,
                backends: Backends::default(),
                version: String::new(),
                revm: REVM_VERSION.into(),
            };
            match validate(&[&file], &options, &Progress::default()) {
                Ok(v) => Answer::Judged(Box::new(Judged { report: v.report, requirements: v.requirements.concat() })),
                Err(error) => {
                    assert!(error.is_input(), "{error}");
                    Answer::Refused(error.to_string())
                }
            }
        });
        let first = answers.next().expect("an order");
        for answer in answers {
            match (&first, answer) {
                (Answer::Judged(first), Answer::Judged(mut other)) => {
                    other.report.run = first.report.run.clone();
                    assert_eq!(first.report, other.report);
                    assert_eq!(first.requirements, other.requirements);
                }
                (Answer::Refused(_), Answer::Refused(_)) => {}
                (first, other) => panic!("orders disagree: {first:?}, {other:?}"),
            }
        }
        first
    }

    /// A copy with one change.
    pub fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut copy = self.clone();
        change(&mut copy);
        copy
    }

    /// The block with a number, by position.
    pub fn block(&mut self, number: u64) -> &mut BlockRecord {
        let found = self.segments.iter_mut().find_map(|segment| {
            let place = number.checked_sub(segment.start.first)?;
            segment.blocks.get_mut(usize::try_from(place).ok()?)
        });
        found.expect("a block of the sample")
    }

    /// The transaction at a block and an index.
    pub fn transaction(&mut self, block: u64, index: usize) -> &mut TransactionRecord {
        &mut self.block(block).transactions[index]
    }

    /// Changes a header; its own hash write stays as it was.
    pub fn header(&mut self, block: u64, change: impl FnOnce(&mut Header)) {
        let body = &mut self.block(block).body;
        let mut header = decode_header(&body.header);
        change(&mut header);
        body.header = alloy_rlp::encode(&header).into();
    }

    /// Makes hash writes, parent hashes and nothing else agree again from a block on.
    pub fn relink(&mut self, from: u64) {
        let segment = self.segments.iter_mut().find(|s| s.start.first + s.blocks.len() as u64 > from);
        let segment = segment.expect("a segment of the sample");
        let mut parent = None;
        for block in &mut segment.blocks[(from - segment.start.first) as usize..] {
            if let Some(parent_hash) = parent {
                let mut header = decode_header(&block.body.header);
                header.parent_hash = parent_hash;
                block.body.header = alloy_rlp::encode(&header).into();
            }
            let hash = keccak256(&block.body.header);
            let closing = block.transactions.last_mut().expect("a closing");
            closing.moves.last_mut().expect("the hash write").next = Value::Word(hash.into());
            parent = Some(hash);
        }
    }

    /// The blocks of the one segment from a block on, as a segment of its own with the headers before it.
    pub fn cut(&self, from: u64) -> Self {
        let [whole] = self.segments.as_slice() else { panic!("a sample of one segment") };
        let place = (from - whole.start.first) as usize;
        let mut total = whole.start.total_difficulty.expect("stated");
        for block in &whole.blocks[..place] {
            total += decode_header(&block.body.header).difficulty;
        }
        let earlier = whole.blocks[place.saturating_sub(7)..place].iter().map(|block| EarlierHeader {
            header: block.body.header.clone(),
            ommers: match &block.body.ommers {
                Ommers::Headers(list) => Some(list.clone()),
                Ommers::Hashes(_) => None,
            },
        });
        let start = SegmentStart {
            first: from,
            origin: whole.start.origin,
            total_difficulty: Some(total),
            earlier: earlier.collect(),
        };
        let segments = vec![SegmentRecord { start, blocks: whole.blocks[place..].to_vec() }];
        Self { segments, ..self.clone() }
    }
}

/// A header from its bytes.
pub fn decode_header(bytes: &[u8]) -> Header {
    alloy_rlp::decode_exact(bytes).expect("a header")
}

impl Answer {
    /// The verdict's report.
    #[track_caller]
    pub fn judged(self) -> Judged {
        match self {
            Self::Judged(judged) => *judged,
            Self::Refused(why) => panic!("no verdict: {why}"),
        }
    }

    /// Why there is no verdict.
    #[track_caller]
    pub fn refused(self) -> String {
        match self {
            Self::Refused(why) => why,
            Self::Judged(judged) => panic!("a verdict: {judged:?}"),
        }
    }

    /// Expects exactly these faults: block, index, reason, in the report's order.
    #[track_caller]
    pub fn says_exactly(self, expected: &[(u64, u64, Reason)]) -> Judged {
        let judged = self.judged();
        let got: Vec<_> = judged.report.invalid.iter().map(|f| (f.block, f.index, f.reason)).collect();
        assert_eq!(got, expected, "{:#?}", judged.report.invalid);
        assert_eq!(judged.report.invalid_total, expected.len() as u64);
        let verdict = if expected.is_empty() { Verdict::Valid } else { Verdict::Invalid };
        assert_eq!(judged.report.verdict, verdict);
        judged
    }

    /// Expects this fault among others.
    #[track_caller]
    pub fn has(self, block: u64, index: u64, check: Check, reason: Reason) -> Judged {
        let judged = self.judged();
        assert!(judged.find(block, index, check, reason).is_some(), "no {reason} at {block}:{index}: {judged:#?}");
        judged
    }
}

impl Judged {
    /// A fault of the report.
    pub fn find(&self, block: u64, index: u64, check: Check, reason: Reason) -> Option<&ListedFault> {
        let invalid = &self.report.invalid;
        invalid.iter().find(|f| (f.block, f.index, f.check, f.reason) == (block, index, check, reason))
    }
}

/// A word as a value.
pub fn word(n: u64) -> Value {
    Value::Word(U256::from(n))
}

//! A block file taken apart, to be changed, put together again by the real writer, and judged in every order.

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, keccak256};
use manaflow_engine::backend::Backends;
use manaflow_engine::backend::execution::Backend as Execution;
use manaflow_engine::double_use::{Assumption, Demand};
use manaflow_engine::import::import;
use manaflow_engine::report::Report;
use manaflow_engine::validate::{Checks, Options, Order, Progress, WindowRequirement, validate};
use manaflow_loader::file::{BlockFile, Series, Writer};
use manaflow_loader::model::{BlockRecord, EarlierHeader, Location, Ommers, SegmentStart, TransactionRecord, Value};
use manaflow_loader::rules::ChainRules;
use manaflow_loader::source::{self, Recognised, recognise};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, RangeBounds, RangeInclusive};
use std::path::Path;

/// Every procedure of double use, and blocks from both ends and from the middle.
pub const ORDERS: [Order; 3] = [Order::Forward, Order::Reverse, Order::Shuffled(5)];

/// A segment, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentRecord {
    /// What is said of it before its blocks.
    pub start: SegmentStart,
    /// Its blocks.
    pub blocks: Vec<BlockRecord>,
}

/// A block file, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sample {
    /// Rules of the chain.
    pub rules: ChainRules,
    /// Segments.
    pub segments: Vec<SegmentRecord>,
    /// Code by the hash it is filed under.
    pub codes: BTreeMap<B256, Bytes>,
    /// Hints: keys of signers.
    pub keys: Vec<[u8; 64]>,
}

/// What all orders say of a file.
#[derive(Clone, PartialEq, Debug)]
pub struct Judged {
    /// The report of the first order.
    pub report: Report,
    /// Demands left open, piece by piece.
    pub requirements: Vec<Vec<Demand>>,
    /// Cells assumed.
    pub assumed: Vec<(Assumption, Location)>,
    /// What is taken for granted of the chain before, besides cells.
    pub windows: Vec<WindowRequirement>,
}

/// What comes of a file.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    /// A verdict.
    Judged(Box<Judged>),
    /// No verdict: why the writer, the reader or the engine refuses it.
    Refused(String),
}

/// A header from its bytes.
pub fn decode_header(bytes: &[u8]) -> Option<Header> {
    alloy_rlp::decode_exact(bytes).ok()
}

/// Judges a file in some orders.
///
/// # Panics
/// If two orders disagree in anything but `run`, or an error blames the machine.
pub fn judge_file(path: &Path, orders: &[Order]) -> Answer {
    judge_file_by(path, orders, Backends::default(), Checks::ALL)
}

/// The same by some backends and for some checks.
///
/// # Panics
/// As [`judge_file`].
pub fn judge_file_by(path: &Path, orders: &[Order], backends: Backends, checks: Checks) -> Answer {
    judge(path, None, orders, backends, checks)
}

/// The same of some blocks; `None` for all.
///
/// # Panics
/// As [`judge_file`].
pub fn judge_blocks(path: &Path, blocks: Option<&RangeInclusive<u64>>, orders: &[Order]) -> Answer {
    judge(path, blocks, orders, Backends::default(), Checks::ALL)
}

fn judge(
    path: &Path,
    blocks: Option<&RangeInclusive<u64>>,
    orders: &[Order],
    backends: Backends,
    checks: Checks,
) -> Answer {
    let file = match BlockFile::open(path) {
        Ok(file) => file,
        Err(error) => {
            assert!(error.is_input(), "{error}");
            return Answer::Refused(error.to_string());
        }
    };
    let mut answers = orders.iter().enumerate().map(|(i, &order)| {
        // All orders but the first by the other executor: nothing may tell the two apart.
        let execution = if i > 0 { Execution::fastest() } else { backends.execution };
        let options = Options {
            order,
            checks,
            blocks: blocks.cloned(),
            limit: 1 << 20,
            list_requirements: true,
            backends: Backends { execution, ..backends },
            version: String::new(),
            ..Options::default()
        };
        match validate(&[&file], &options, &Progress::default()) {
            Ok(v) => Answer::Judged(Box::new(Judged {
                report: v.report,
                requirements: v.requirements,
                assumed: v.assumed,
                windows: v.windows,
            })),
            Err(error) => {
                assert!(error.is_input(), "{error}");
                Answer::Refused(error.to_string())
            }
        }
    });
    let first = answers.next().expect("an order");
    for mut other in answers {
        match (&first, &mut other) {
            (Answer::Judged(first), Answer::Judged(other)) => other.report.run = first.report.run.clone(),
            // Which of several reasons is told first, is not the verdict's business.
            (Answer::Refused(_), Answer::Refused(_)) => continue,
            _ => {}
        }
        assert!(first == other, "orders disagree: {first:?}, {other:?}");
    }
    first
}

impl Answer {
    /// The verdict.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn judged(self) -> Judged {
        match self {
            Self::Judged(judged) => *judged,
            Self::Refused(why) => panic!("no verdict: {why}"),
        }
    }

    /// Why there is no verdict.
    ///
    /// # Panics
    /// If there is one.
    #[track_caller]
    pub fn refused(self) -> String {
        match self {
            Self::Refused(why) => why,
            Self::Judged(judged) => panic!("a verdict: {judged:?}"),
        }
    }
}

impl Sample {
    /// Imports sources and takes the file apart.
    pub fn import<P: AsRef<Path>>(paths: &[P], genesis: Option<&Path>) -> Self {
        let paths: Vec<_> = paths.iter().map(|path| path.as_ref().to_path_buf()).collect();
        let options = source::Options { genesis: genesis.map(Path::to_path_buf), rules: None };
        Self::of(&recognise(&paths, &options).expect("sources"))
    }

    /// Imports sources that are recognised and takes the file apart.
    pub fn of(recognised: &Recognised) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("imported.mana");
        let mut writer = Series::create(&path, &recognised.rules, "test").expect("created");
        import(recognised, &mut writer, &mut |_| {}).expect("imported");
        writer.finish().expect("finished");
        Self::open(&path)
    }

    /// Takes a file apart.
    pub fn open(path: &Path) -> Self {
        let file = BlockFile::open(path).expect("a valid file");
        let segments = file.segments().iter().map(|segment| SegmentRecord {
            start: segment.start.clone(),
            blocks: segment.blocks.clone().map(|block| file.record(block).expect("a record")).collect(),
        });
        let codes = (0..file.code_count() as u32).filter_map(|number| {
            let (hash, blob) = file.code(number).expect("a code");
            blob.map(|blob| (hash, Bytes::copy_from_slice(blob)))
        });
        let keys = file.signer_keys().expect("keys").to_vec();
        Self { rules: file.rules().clone(), segments: segments.collect(), codes: codes.collect(), keys }
    }

    /// Writes the file.
    pub fn write(&self, path: &Path) -> manaflow_loader::Result<()> {
        let mut writer = Writer::create(path, &self.rules, "test")?;
        for (hash, code) in &self.codes {
            writer.code(*hash, code)?;
        }
        for segment in &self.segments {
            writer.begin_segment(&segment.start)?;
            segment.blocks.iter().try_for_each(|block| writer.push(block))?;
        }
        // Lies may take rows away; there are never more keys than signatures.
        let blocks = || self.segments.iter().flat_map(|segment| &segment.blocks);
        let rows =
            blocks().flat_map(|block| block.transactions.get(1..block.transactions.len() - 1).unwrap_or_default());
        let signatures: usize = rows.map(|row| 1 + row.authorities.len()).sum();
        self.keys.iter().take(signatures).try_for_each(|key| writer.signer_key(key))?;
        writer.finish().map(|_| ())
    }

    /// Judges the sample in every order.
    pub fn judge(&self) -> Answer {
        self.judge_range(None)
    }

    /// Judges some blocks of the sample in every order; `None` for all.
    pub fn judge_range(&self, blocks: Option<RangeInclusive<u64>>) -> Answer {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lie.mana");
        if let Err(error) = self.write(&path) {
            assert!(error.is_input(), "{error}");
            assert!(std::fs::read_dir(folder.path()).expect("a folder").next().is_none(), "nothing half-written");
            return Answer::Refused(error.to_string());
        }
        judge_blocks(&path, blocks.as_ref(), &ORDERS)
    }

    /// A copy with one change.
    pub fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut copy = self.clone();
        change(&mut copy);
        copy
    }

    /// Segment and place in it of the block with a number, by position.
    ///
    /// # Panics
    /// If the sample has none.
    pub fn place(&self, number: u64) -> (usize, usize) {
        let mut segments = self.segments.iter().enumerate();
        let found = segments.find_map(|(i, segment)| {
            let place = usize::try_from(number.checked_sub(segment.start.first)?).ok()?;
            (place < segment.blocks.len()).then_some((i, place))
        });
        found.expect("a block of the sample")
    }

    /// The block with a number, by position.
    pub fn block(&mut self, number: u64) -> &mut BlockRecord {
        let (segment, place) = self.place(number);
        &mut self.segments[segment].blocks[place]
    }

    /// The transaction at a block and an index.
    pub fn transaction(&mut self, block: u64, index: usize) -> &mut TransactionRecord {
        &mut self.block(block).transactions[index]
    }

    /// One of the segments, as a file of its own.
    pub fn segment(&self, place: usize) -> Self {
        let mut one = Self { segments: vec![self.segments[place].clone()], ..self.clone() };
        one.drop_unused();
        one
    }

    /// Some blocks of the one segment, as a segment of its own with the headers before it.
    pub fn cut(&self, blocks: impl RangeBounds<u64>) -> Self {
        let [whole] = self.segments.as_slice() else { panic!("a sample of one segment") };
        let first = match blocks.start_bound() {
            Bound::Included(&first) => first,
            Bound::Excluded(&before) => before + 1,
            Bound::Unbounded => whole.start.first,
        };
        let from = (first - whole.start.first) as usize;
        let end = whole.blocks.len();
        let end = match blocks.end_bound() {
            Bound::Included(&last) => end.min((last - whole.start.first) as usize + 1),
            Bound::Excluded(&after) => end.min((after - whole.start.first) as usize),
            Bound::Unbounded => end,
        };
        let mut total = whole.start.total_difficulty;
        for block in &whole.blocks[..from] {
            let header = decode_header(&block.body.header).expect("a valid header");
            total = total.map(|total| total + header.difficulty);
        }
        let earlier = whole.blocks[from.saturating_sub(7)..from].iter().map(|block| EarlierHeader {
            header: block.body.header.clone(),
            ommers: match &block.body.ommers {
                Ommers::Headers(list) => Some(list.clone()),
                Ommers::Hashes(_) => None,
            },
        });
        let start = match from {
            0 => whole.start.clone(),
            _ => {
                SegmentStart { first, origin: whole.start.origin, total_difficulty: total, earlier: earlier.collect() }
            }
        };
        let segments = vec![SegmentRecord { start, blocks: whole.blocks[from..end].to_vec() }];
        let mut cut = Self { rules: self.rules.clone(), segments, codes: self.codes.clone(), keys: self.keys.clone() };
        cut.drop_unused();
        cut
    }

    /// Keeps the codes that moves name, and the keys of those who are declared to have signed.
    fn drop_unused(&mut self) {
        let rows = self.segments.iter().flat_map(|s| &s.blocks).flat_map(|b| &b.transactions);
        let named: BTreeSet<B256> = rows
            .flat_map(|t| &t.moves)
            .flat_map(|m| [m.prev, m.next])
            .filter_map(|value| match value {
                Value::Account(account) => Some(account.code_hash),
                Value::Word(_) => None,
            })
            .collect();
        self.codes.retain(|hash, _| named.contains(hash));
        let rows = self.segments.iter().flat_map(|s| &s.blocks).flat_map(|b| &b.transactions);
        let signers: BTreeSet<Address> =
            rows.flat_map(|t| t.authorities.iter().chain([&t.sender])).flatten().copied().collect();
        self.keys.retain(|key| signers.contains(&Address::from_slice(&keccak256(key)[12..])));
    }

    /// Changes a header; hash write and child stay as they were.
    pub fn change_header(&mut self, segment: usize, block: usize, change: impl FnOnce(&mut Header)) {
        let body = &mut self.segments[segment].blocks[block].body;
        let mut header = decode_header(&body.header).expect("a valid header");
        change(&mut header);
        body.header = alloy_rlp::encode(&header).into();
    }

    /// Makes a block's hash write that of its header.
    pub fn own_hash(&mut self, segment: usize, block: usize) {
        let record = &mut self.segments[segment].blocks[block];
        let hash = keccak256(&record.body.header);
        let closing = record.transactions.last_mut().expect("a closing");
        closing.moves.last_mut().expect("the hash write").next = Value::Word(hash.into());
    }

    /// Makes hash writes and parent hashes agree again from a block on.
    pub fn relink(&mut self, segment: usize, from: usize) {
        for block in from..self.segments[segment].blocks.len() {
            if block > from {
                let parent_hash = keccak256(&self.segments[segment].blocks[block - 1].body.header);
                self.change_header(segment, block, |header| header.parent_hash = parent_hash);
            }
            self.own_hash(segment, block);
        }
    }
}

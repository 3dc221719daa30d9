//! A lie-maker: takes a valid block file, changes one thing, seals the checksums again, and knows what must follow.
//!
//! What must follow is said before anything is judged, and by nothing of the engine's: by the kind of lie and its place
//! ([`Told`]: faults that must be there, and faults that may), by a plain ledger of the moves after PROTOCOL.md section 5
//! ([`ledger`]: every fault of double use, the requirements, the exits) and by plain books of the blocks ([`books`]: every
//! fault of roots, sums and links, by alloy's own encodings and tries). The last two are exact: a fault more or less is a
//! finding. Of Solo, what an execution does with another before, another block or another transaction around it cannot
//! be said without executing, so there the prediction is a set ([`What::Run`]) at one place, and says so.
//!
//! Lies are told on two levels: on decoded records, which the real writer writes again ([`moves`], [`transactions`],
//! [`headers`], [`claims`]), and on the bytes of sections, for what the writer would refuse ([`bytes`]). A lie that leaves
//! another consistent claim must change exactly the parts of the claim that it is about: requirements, final state, tip
//! hash, rules ([`tell`]).

pub mod books;
pub mod bytes;
pub mod claims;
pub mod headers;
pub mod ledger;
pub mod moves;
pub mod procedures;
pub mod sample;
pub mod summaries;
pub mod tell;
pub mod transactions;

pub use crate::Draw;
use alloy_consensus::{EthereumTxEnvelope, Header, TxEip4844};
use alloy_eips::eip2718::Decodable2718;
use manaflow_engine::reason::{Check, Reason};
use manaflow_loader::model::{Cell, Location, TransactionRecord};
use manaflow_loader::rules::Fork;
pub use sample::Sample;
use std::ops::RangeInclusive;

/// A signed transaction as blocks hold it.
pub type Envelope = EthereumTxEnvelope<TxEip4844>;

/// What a lie does to a sample.
pub type Change = Box<dyn Fn(&mut Sample) + Send + Sync>;

/// A lie, and what must come of it.
pub struct Lie {
    /// What is lied about; lies are counted by it.
    pub kind: &'static str,
    /// Where.
    pub place: String,
    /// Under which rules, if it is about a block.
    pub under: Option<Under>,
    /// The lie.
    pub change: Change,
    /// What must follow.
    pub foretold: Foretold,
}

/// The rules of a block, as lies are counted by them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Under {
    /// The fork.
    pub fork: Fork,
    /// Blob schedules that came after the last fork (EIP-7892).
    pub schedules: usize,
}

impl std::fmt::Display for Under {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.schedules {
            0 => write!(f, "{:?}", self.fork),
            n => write!(f, "{:?} + BPO {n}", self.fork),
        }
    }
}

/// What must follow from a lie.
#[derive(Clone, Debug)]
pub enum Foretold {
    /// No file, or no verdict: an error that says this.
    Malformed(&'static str),
    /// A verdict.
    Told(Told),
    /// The same verdict and claim: nothing that was checked before hangs on it, and its block is among those counted as
    /// unchecked.
    Unchecked,
    /// The same in every byte: it is a hint.
    Nothing,
}

/// What must follow in a verdict, besides what [`ledger`] and [`books`] say exactly.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Of each list one fault at least.
    pub must: Vec<Vec<Must>>,
    /// Faults that may be there too.
    pub may: Vec<May>,
    /// The error that may come in place of a verdict.
    pub or_malformed: Option<&'static str>,
    /// Not a false claim but less of one: the same verdict, and something more that went unchecked.
    pub withheld: bool,
}

/// A fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Must {
    /// Where.
    pub location: Location,
    /// Who finds it.
    pub check: Check,
    /// Why.
    pub reason: Reason,
    /// The cell, where it is about one that is known beforehand.
    pub cell: Option<Cell>,
}

/// Faults that a lie may cause.
#[derive(Clone, Debug)]
pub struct May {
    /// In these blocks.
    pub blocks: RangeInclusive<u64>,
    /// At this index; `None` for all.
    pub index: Option<u64>,
    /// Found by this check; `None` for all.
    pub check: Option<Check>,
    /// For these reasons.
    pub what: What,
}

/// A set of reasons.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// What a run may end in that is given other befores, or another block or transaction around them: every refusal,
    /// another outcome, other cells, other afters. Which, nobody knows who does not run it.
    Run,
    /// These.
    Reasons(&'static [Reason]),
    /// All.
    Anything,
}

/// The error of a run that asks for code which nobody ever needed.
pub const CODE_MISSING: &str = "is asked for but the file's code table does not have it";

impl What {
    /// Whether a reason is in the set.
    pub fn has(self, reason: Reason) -> bool {
        match self {
            Self::Run => {
                let is_refusal = (Reason::PrevrandaoNotSet..=Reason::Refused).contains(&reason);
                let is_result = (Reason::UndeclaredCell..=Reason::WrongAfter).contains(&reason);
                let is_other = matches!(reason, Reason::WrongBefore | Reason::WrongChainId | Reason::MissingHashWrite);
                (is_refusal || is_result || is_other) && reason != Reason::WrongCode
            }
            Self::Reasons(list) => list.contains(&reason),
            Self::Anything => true,
        }
    }
}

impl Told {
    /// Nothing but what ledger and books say.
    pub fn exactly() -> Self {
        Self::default()
    }

    /// A fault that must be there.
    pub fn must(mut self, location: Location, check: Check, reason: Reason, cell: Option<Cell>) -> Self {
        self.must.push(vec![Must { location, check, reason, cell }]);
        self
    }

    /// One of these reasons must be there.
    pub fn one_of(mut self, location: Location, check: Check, reasons: &[Reason]) -> Self {
        self.must.push(reasons.iter().map(|&reason| Must { location, check, reason, cell: None }).collect());
        self
    }

    /// Faults that may be there.
    pub fn may(mut self, blocks: RangeInclusive<u64>, index: Option<u64>, check: Check, what: What) -> Self {
        self.may.push(May { blocks, index, check: Some(check), what });
        self
    }

    /// Reasons that may be found at a location.
    pub fn may_at(self, location: Location, check: Check, reasons: &'static [Reason]) -> Self {
        self.may(location.block()..=location.block(), Some(location.index()), check, What::Reasons(reasons))
    }

    /// Anything a run at that location may end in.
    pub fn may_run(mut self, location: Location) -> Self {
        self.or_malformed = Some(CODE_MISSING);
        self.may(location.block()..=location.block(), Some(location.index()), Check::Execution, What::Run)
    }

    /// Anything that runs in these blocks may end in.
    pub fn may_run_in(mut self, blocks: RangeInclusive<u64>) -> Self {
        self.or_malformed = Some(CODE_MISSING);
        self.may(blocks, None, Check::Execution, What::Run)
    }

    /// Anything anywhere.
    pub fn anything(mut self) -> Self {
        self.or_malformed = Some("");
        self.may.push(May { blocks: 0..=u64::MAX, index: None, check: None, what: What::Anything });
        self
    }
}

impl From<Told> for Foretold {
    fn from(told: Told) -> Self {
        Self::Told(told)
    }
}

/// A row of a sample, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Segment.
    pub segment: usize,
    /// Place of the block in the segment.
    pub block: usize,
    /// First block of the segment.
    pub first: u64,
    /// Number of the block.
    pub number: u64,
    /// Index in the block.
    pub index: usize,
    /// Index of the closing.
    pub last: usize,
    /// Fork of the block.
    pub fork: Fork,
    /// Blob schedules that came after the last fork.
    pub schedules: usize,
}

impl Place {
    /// Location.
    pub fn location(&self) -> Location {
        self.at(self.index)
    }

    /// The rules of the block.
    pub const fn under(&self) -> Under {
        Under { fork: self.fork, schedules: self.schedules }
    }

    /// A location in the same block.
    pub fn at(&self, index: usize) -> Location {
        Location::new(self.number, index as u64).expect("of a sample")
    }

    /// Whether this is an opening or a closing.
    pub const fn is_system(&self) -> bool {
        self.index == 0 || self.index == self.last
    }

    /// Whether this is the allocation of block 0.
    pub const fn is_allocation(&self) -> bool {
        self.number == 0 && self.index == 0
    }

    /// The row in a sample.
    pub fn row<'a>(&self, sample: &'a mut Sample) -> &'a mut TransactionRecord {
        &mut sample.segments[self.segment].blocks[self.block].transactions[self.index]
    }
}

/// A valid sample with its headers decoded: what lies are made from.
pub struct Scene<'a> {
    /// The sample.
    pub sample: &'a Sample,
    /// For each segment its headers.
    pub headers: Vec<Vec<Header>>,
}

impl<'a> Scene<'a> {
    /// Decodes the headers.
    ///
    /// # Panics
    /// If a header does not decode: the sample is not valid.
    pub fn new(sample: &'a Sample) -> Self {
        let headers = sample.segments.iter().map(|segment| {
            segment
                .blocks
                .iter()
                .map(|block| sample::decode_header(&block.body.header).expect("a valid header"))
                .collect()
        });
        Self { sample, headers: headers.collect() }
    }

    /// All rows.
    pub fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        for (segment, record) in self.sample.segments.iter().enumerate() {
            for (block, record_of_block) in record.blocks.iter().enumerate() {
                let header = &self.headers[segment][block];
                let rules = &self.sample.rules;
                let fork = rules.fork_at(header.number, header.timestamp, header.difficulty.is_zero());
                let is_later = |time: u64| rules.osaka.is_some_and(|osaka| osaka < time) && time <= header.timestamp;
                let place = Place {
                    segment,
                    block,
                    first: record.start.first,
                    number: record.start.first + block as u64,
                    index: 0,
                    last: record_of_block.transactions.len() - 1,
                    fork,
                    schedules: match fork {
                        Fork::Osaka => rules.blobs.iter().filter(|blobs| is_later(blobs.time)).count(),
                        _ => 0,
                    },
                };
                places.extend((0..=place.last).map(|index| Place { index, ..place }));
            }
        }
        places
    }

    /// The row at a place.
    pub fn row(&self, place: &Place) -> &'a TransactionRecord {
        &self.sample.segments[place.segment].blocks[place.block].transactions[place.index]
    }

    /// The header at a place.
    pub fn header(&self, place: &Place) -> &Header {
        &self.headers[place.segment][place.block]
    }

    /// Number of the last block of a place's segment.
    pub fn end(&self, place: &Place) -> u64 {
        place.first + self.sample.segments[place.segment].blocks.len() as u64 - 1
    }
}

/// A transaction of a row, if it is a signed one.
pub fn envelope(row: &TransactionRecord) -> Option<Envelope> {
    (!row.bytes.is_empty()).then(|| Envelope::decode_2718_exact(&row.bytes).expect("a valid transaction"))
}

/// How much is told of a sample.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// Seed.
    pub seed: u64,
    /// Rows looked at in all; openings and closings are drawn like others.
    pub rows: usize,
    /// Moves looked at in a row.
    pub moves: usize,
    /// Lies of each kind.
    pub of_kind: usize,
}

/// Lies about a sample, as many as the measure says.
pub fn lies(scene: &Scene<'_>, measure: &Measure) -> Vec<Lie> {
    let mut draw = Draw(measure.seed);
    let mut lies = Vec::new();
    let places = scene.places();
    for place in draw.some(places.clone(), measure.rows) {
        let moves = scene.row(&place).moves.len();
        for j in draw.some((0..moves).collect(), measure.moves) {
            moves::about(scene, &place, j, &places, &mut draw, &mut lies);
        }
        match place.is_system() {
            true => transactions::about_system(scene, &place, &mut lies),
            false => transactions::about(scene, &place, &mut draw, &mut lies),
        }
    }
    let closings: Vec<Place> = places.iter().filter(|p| p.index == p.last).copied().collect();
    for place in draw.some(closings, measure.rows) {
        headers::about(scene, &place, &mut lies);
    }
    claims::about(scene, &mut draw, &mut lies);
    let mut kinds: std::collections::BTreeMap<&'static str, Vec<Lie>> = std::collections::BTreeMap::new();
    lies.into_iter().for_each(|lie| kinds.entry(lie.kind).or_default().push(lie));
    kinds.into_values().flat_map(|of_kind| draw.some(of_kind, measure.of_kind)).collect()
}

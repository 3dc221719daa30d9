//! Validation of block files: the three judgements over what was asked for, and the report.
//!
//! Solo and Block look at one block at a time, in any order, on all workers; Double use at the moves of each piece. None of
//! them reads what another says. Each piece becomes a segment; segments that adjoin, of one file or of several, become one;
//! of what is left a report is made. Order, threads and cuts into windows and parts change nothing but `run`.

mod assemble;
mod blocks;
mod codes;
mod columns;
mod faults;
mod parts;
mod piece;
mod proofs;
pub(crate) mod requirements;
mod roots;
mod run;

use crate::backend::{Backends, hashes};
use crate::cpu::{CpuTime, Stage, carry};
use crate::double_use::{self, Demand, Exit, Spill};
use crate::reason::Check;
pub use crate::reason::Checks;
use crate::report::{Run, Versions};
use crate::secp256k1;
pub use crate::segment::Validation;
use crate::segment::{Closed, Conclusion, Found, Segment, Wanted, close, conclude, join, report, valid_from};
use crate::solo::check::CannotJudge;
use crate::solo::code::CodeTable;
use crate::solo::signature::{KnownKeys, SignerKeys};
use alloy_primitives::{B256, keccak256};
use assemble::{Judged, assemble};
use blocks::Shared;
use codes::{code_tables, wrong_codes, wrong_keys};
use columns::PieceColumns;
use faults::Faults;
use manaflow_loader::file::{BlockFile, FORMAT_VERSION, PROTOCOL_VERSION};
use manaflow_loader::model::Location;
use manaflow_loader::rules::ChainRules;
use manaflow_loader::summary;
pub use parts::Parts;
use piece::{Piece, adjoining, select};
use proofs::Proofs;
use rayon::prelude::*;
pub use requirements::WindowRequirement;
use run::{DoubleUse, WINDOW_BLOCKS, Way, run};
use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// The order in which blocks are judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// From the oldest block on.
    Forward,
    /// From the newest block back.
    Reverse,
    /// In an order drawn from a seed.
    Shuffled(u64),
}

/// When state roots are recomputed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StateRootAt {
    /// After the last block.
    End,
    /// After each block whose number this divides, and after the last.
    Every(u64),
    /// Not at all.
    Never,
}

/// How double use is judged. All give the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Procedure {
    /// A table of live versions, or in reverse order of waiting demands.
    Streaming,
    /// Partitioned by cell; what exceeds the memory goes to disk.
    Sorted,
    /// Multisets of tokens compared by a keyed sum; what it does not confirm is sorted.
    Summed,
}

/// What sorting may take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Memory {
    /// Bytes of records at once. Beyond, uses go batch by batch, or to disk where batches would be too short.
    pub bytes: u64,
    /// Folder of the file without name that takes them.
    pub folder: PathBuf,
}

impl Default for Memory {
    /// No bound.
    fn default() -> Self {
        Self { bytes: u64::MAX, folder: std::env::temp_dir() }
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Order of blocks.
    pub order: Order,
    /// Checks.
    pub checks: Checks,
    /// Blocks, inclusive; `None` for all.
    pub blocks: Option<RangeInclusive<u64>>,
    /// State roots; `None`: after the last block of what begins at genesis, if hashes are checked.
    pub state_root: Option<StateRootAt>,
    /// Faults listed.
    pub limit: usize,
    /// Stop after the blocks in work when there is a fault.
    pub fail_fast: bool,
    /// Give the list of requirements; they are counted and digested anyhow.
    pub list_requirements: bool,
    /// How double use is judged; `None` by the order: streaming where it is one of the two, else sorted.
    pub double_use: Option<Procedure>,
    /// What sorting may take.
    pub memory: Memory,
    /// Who does the work.
    pub backends: Backends,
    /// Version of the program, for the report.
    pub version: String,
    /// Version of the EVM, for the report.
    pub revm: String,
}

impl Default for Options {
    /// Everything, forward, every fault listed, with the libraries that the own kernels are held against.
    fn default() -> Self {
        Self {
            order: Order::Forward,
            checks: Checks::ALL,
            blocks: None,
            state_root: None,
            limit: usize::MAX,
            fail_fast: false,
            list_requirements: false,
            double_use: None,
            memory: Memory::default(),
            backends: Backends::default(),
            version: String::new(),
            revm: crate::REVM_VERSION.into(),
        }
    }
}

/// Rows done, readable from another thread while a validation runs.
#[derive(Debug, Default)]
pub struct Progress {
    /// Blocks to do.
    pub blocks_total: AtomicU64,
    /// Blocks.
    pub blocks: AtomicU64,
    /// Signed transactions.
    pub transactions: AtomicU64,
    /// Moves.
    pub moves: AtomicU64,
    /// Gas.
    pub gas: AtomicU64,
    /// In reverse order: one more than the block from which on all is valid; 0 if there is none yet.
    pub valid_from: AtomicU64,
    /// In reverse order: the requirements of those blocks.
    pub waiting: AtomicU64,
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    /// A file cannot be read, or is malformed.
    #[error(transparent)]
    Loader(#[from] manaflow_loader::Error),
    /// A transaction cannot be judged by what the file holds.
    #[error("{path}: {error}", path = .path.display())]
    CannotJudge {
        /// The file.
        path: PathBuf,
        /// What is missing.
        error: CannotJudge,
    },
    /// The moves of a segment are no segment's.
    #[error("{path}: segment {segment}: {error}", path = .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Place of the segment in it.
        segment: usize,
        /// Where and why.
        error: double_use::Malformed,
    },
    /// What was asked for makes no sense for these files.
    #[error("{0}")]
    Usage(String),
    /// What did not fit in memory could not be written or read back.
    #[error("{folder}: {source}", folder = .folder.display())]
    Scratch {
        /// Where.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The files do not belong together, or do not hold what was asked for.
    #[error("{0}")]
    Input(String),
}

impl ValidateError {
    /// Whether the input is at fault; wrong usage is not input.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Loader(e) => e.is_input(),
            Self::CannotJudge { .. } | Self::Malformed { .. } | Self::Input(_) => true,
            Self::Usage(_) | Self::Scratch { .. } => false,
        }
    }
}

/// Validates block files on the current rayon pool.
pub fn validate(files: &[&BlockFile], options: &Options, progress: &Progress) -> Result<Validation, ValidateError> {
    let task = Task::new(files, options, progress)?;
    let groups = adjoining(&task.pieces);
    let codes = task.codes(&task.pieces)?;
    let (work, stopped_early) = task.judge(&task.pieces, &codes, options.limit)?;
    let roots = || roots::state_roots(&task.pieces, &groups, options, &work.faults);
    let roots = task.cpu.within(Stage::Hashes, roots)?;
    let mut found = work.faults.finish();
    let jobs: Vec<_> = groups.into_iter().map(|group| (group.clone(), found.drain(..group.len()).collect())).collect();
    // Whole cells and values take many times the room of their numbers: a group's are gone when it is concluded.
    let conclude_group = |(group, found): (Range<usize>, Vec<Found>)| {
        let pieces = &task.pieces[group.clone()];
        // A piece that meets no other gives its exits one by one: whole cells and values take many times the room of numbers.
        let alone = (pieces.len() == 1).then_some(group.start);
        let segments = group.zip(found).map(|(i, found)| {
            let (columns, result, counts) = (&work.columns[i], &work.results[i], &work.counts[i]);
            let judged = Judged { columns, result, counts, found, state_roots: roots[i] };
            assemble(&task.pieces[i], judged, options, alone.is_none())
        });
        let segments = segments.collect::<Result<Vec<_>, _>>()?;
        let closed = close(segments, task.rules()).map_err(|e| malformed(&pieces[0], e))?;
        let mut of_piece = alone.map(|i| work.results[i].exits.resolve(&work.columns[i]));
        let conclude = |mut segment: Closed| match &mut of_piece {
            Some(exits) => task.conclude(segment, exits, pieces),
            None => {
                let mut exits = segment.take_exits();
                task.conclude(segment, &mut exits, pieces)
            }
        };
        closed.into_iter().map(conclude).collect()
    };
    let concluded = jobs.into_par_iter().map(|job| task.cpu.within(Stage::Conflicts, || conclude_group(job)));
    let concluded = concluded.collect::<Result<Vec<Vec<Conclusion>>, ValidateError>>()?;
    let validation = task.report(concluded.into_iter().flatten().collect(), stopped_early);
    // Last: whatever was read of a file that changed meanwhile is worth nothing.
    task.unchanged()?;
    Ok(validation)
}

/// The same, with the segments as a summary keeps them, every fault in them; in parts if so asked.
pub fn summarise(
    files: &[&BlockFile],
    options: &Options,
    progress: &Progress,
    parts: Option<Parts<'_>>,
) -> Result<(Validation, Vec<summary::Segment>), ValidateError> {
    if options.fail_fast {
        return Err(ValidateError::Usage("a summary is of blocks that are all judged: it cannot stop early".into()));
    }
    let mut task = Task::new(files, options, progress)?;
    let segments = match parts {
        Some(parts) => {
            // Parts go from the newest back; a part by itself would only tell of itself from which block on all is valid.
            task.order = if options.order == Order::Reverse { Order::Forward } else { options.order };
            parts::in_parts(&task, options, parts)?
        }
        None => task.segments(&task.pieces, &task.codes(&task.pieces)?)?,
    };
    let mut joined = join(segments, task.rules()).map_err(|e| task.cannot_merge(e))?;
    task.add_state_roots(&mut joined)?;
    joined.iter_mut().for_each(|segment| segment.name_transactions(|_| None));
    let records = joined.iter().map(summary::Segment::from).collect();
    let closed = close(joined, task.rules()).map_err(|e| task.cannot_merge(e))?;
    let concluded = closed.into_iter().map(|mut segment| {
        let mut exits = segment.take_exits();
        task.conclude(segment, &mut exits, &task.pieces)
    });
    let concluded = concluded.collect::<Result<Vec<_>, _>>()?;
    let validation = task.report(concluded, false);
    task.unchanged()?;
    Ok((validation, records))
}

/// What was asked for, of which files.
struct Task<'a> {
    files: &'a [&'a BlockFile],
    options: &'a Options,
    progress: &'a Progress,
    pieces: Vec<Piece<'a>>,
    /// Hints: keys of signers, one list a file; empty where nobody will ask.
    signer_keys: Vec<SignerKeys<'a>>,
    /// Order of blocks in what is judged at a time.
    order: Order,
    started: Instant,
    cpu: CpuTime,
    /// Whether a sum that was asked for did not confirm, so that sorting decided.
    unconfirmed: AtomicBool,
}

/// The code that pieces need, by file, and what of it does not hash to its keys.
struct Codes {
    tables: Vec<Arc<CodeTable>>,
    wrong: Vec<BTreeMap<B256, B256>>,
}

/// What a run over pieces gave.
struct Work<'a> {
    columns: Vec<PieceColumns<'a>>,
    results: Vec<double_use::NumberedResult>,
    counts: Vec<run::Counts>,
    faults: Faults,
}

impl<'a> Task<'a> {
    fn new(files: &'a [&'a BlockFile], options: &'a Options, progress: &'a Progress) -> Result<Self, ValidateError> {
        let started = Instant::now();
        let first_file = *files.first().ok_or_else(|| ValidateError::Usage("no file to validate".into()))?;
        for file in files {
            if file.rules() != first_file.rules() {
                let (a, b) = (first_file.path().display(), file.path().display());
                return Err(ValidateError::Input(format!("{b}: its chain rules are not those of {a}")));
            }
        }
        let pieces = select(files, options.blocks.as_ref())?;
        if pieces.is_empty() {
            let range = options.blocks.as_ref().map_or(String::new(), |r| format!(" in {}..{}", r.start(), r.end()));
            return Err(ValidateError::Input(format!("no block{range} in the files given")));
        }
        if let Some((a, b)) = piece::overlap(&pieces) {
            let (from, to) = (b.first, a.last().min(b.last()));
            let (a, b) = (a.place_in_words(), b.place_in_words());
            return Err(ValidateError::Input(format!("blocks {from} to {to} are there twice: in {a} and in {b}")));
        }
        let begins_later =
            adjoining(&pieces).into_iter().map(|group| pieces[group.start].first).find(|first| *first > 0);
        if let Some(first) = begins_later.filter(|_| !matches!(options.state_root, None | Some(StateRootAt::Never))) {
            return Err(ValidateError::Usage(format!(
                "state roots can be recomputed from genesis only, and these blocks begin at {first}"
            )));
        }
        progress.blocks_total.store(pieces.iter().map(|p| p.blocks.len() as u64).sum(), Ordering::Relaxed);
        // The library recovers each row by itself and has no use for hints.
        let is_hinted =
            options.checks.has(Check::Signatures) && options.backends.signatures != secp256k1::Backend::Libsecp256k1;
        let keys_of = |(i, file): (usize, &&'a BlockFile)| match is_hinted && pieces.iter().any(|p| p.file_index == i) {
            true => file.signer_keys().map(SignerKeys::new),
            false => Ok(SignerKeys::default()),
        };
        let signer_keys = files.iter().enumerate().map(keys_of).collect::<Result<_, _>>()?;
        Ok(Self {
            files,
            options,
            progress,
            pieces,
            signer_keys,
            order: options.order,
            started,
            cpu: CpuTime::default(),
            unconfirmed: AtomicBool::new(false),
        })
    }

    fn rules(&self) -> &'a ChainRules {
        self.files[0].rules()
    }

    /// The procedure of double use.
    fn procedure(&self) -> DoubleUse<'_> {
        let memory = &self.options.memory;
        let spill = Spill { folder: &memory.folder, memory: memory.bytes };
        match (self.options.double_use, self.order) {
            (Some(Procedure::Sorted), _) | (None, Order::Shuffled(_)) => DoubleUse::Sorted(spill),
            (Some(Procedure::Summed), _) => DoubleUse::Summed(spill, &self.unconfirmed),
            (_, Order::Reverse) => DoubleUse::Reverse,
            (_, Order::Forward | Order::Shuffled(_)) => DoubleUse::Forward,
        }
    }

    /// Verifies pieces and gets their code.
    fn codes(&self, pieces: &[Piece<'a>]) -> Result<Codes, ValidateError> {
        self.cpu.within(Stage::Decoding, || verify(pieces))?;
        let tables = self.cpu.within(Stage::Decoding, || code_tables(self.files, pieces))?;
        let wrong = match self.options.checks.has(Check::Hashes) {
            true => self.cpu.within(Stage::Hashes, || wrong_keys(&tables)),
            false => Vec::new(),
        };
        Ok(Codes { tables, wrong })
    }

    /// Judges pieces; says whether it stopped before it had seen all of their blocks.
    fn judge(&self, pieces: &[Piece<'a>], codes: &Codes, limit: usize) -> Result<(Work<'a>, bool), ValidateError> {
        let faults = Faults::new(limit, pieces.len());
        let (checks, progress) = (self.options.checks, self.progress);
        let shared = Shared {
            checks,
            backends: self.options.backends,
            known: KnownKeys::default(),
            signer_keys: &self.signer_keys,
            codes: codes.tables.clone(),
            faults: &faults,
            progress,
            cpu: self.cpu.clone(),
        };
        let columns_of = |piece: &Piece<'a>| {
            let is_whole = piece.file.segments().len() == 1 && piece.blocks.len() == piece.file.block_count();
            PieceColumns::new(piece, piece.head(piece.blocks.start)?.header.parent_hash, is_whole)
                .map_err(ValidateError::from)
        };
        let columns = pieces.par_iter().map(|piece| self.cpu.within(Stage::Conflicts, || columns_of(piece)));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        if checks.has(Check::Hashes) {
            self.cpu.within(Stage::Hashes, || wrong_codes(pieces, &codes.wrong, &shared))?;
        }
        let way = Way { order: self.order, fail_fast: self.options.fail_fast, double_use: self.procedure() };
        let (counts, results, stopped_early) = run(pieces, &columns, &shared, &way)?;
        Ok((Work { columns, results, counts, faults }, stopped_early))
    }

    /// Judges pieces and gives their segments with every fault, and with the hashes of the transactions that are named.
    fn segments(&self, pieces: &[Piece<'a>], codes: &Codes) -> Result<Vec<Segment>, ValidateError> {
        let (work, _) = self.judge(pieces, codes, usize::MAX)?;
        // Those inside are added to what is put together; what is asked for at the end is known here.
        let roots = roots::state_roots(pieces, &[], self.options, &work.faults)?;
        let found = work.faults.finish();
        let segments = pieces.iter().zip(found).enumerate().map(|(i, (piece, found))| {
            let (columns, result, counts) = (&work.columns[i], &work.results[i], &work.counts[i]);
            let judged = Judged { columns, result, counts, found, state_roots: roots[i] };
            let mut segment = assemble(piece, judged, self.options, true)?;
            segment.name_transactions(|at| transaction_hash(at, std::slice::from_ref(piece)));
            Ok(segment)
        });
        segments.collect()
    }

    /// Adds the state roots that were asked for inside of segments, which are put together from these pieces.
    fn add_state_roots(&self, segments: &mut [Segment]) -> Result<(), ValidateError> {
        let (pieces, groups) = (&self.pieces, adjoining(&self.pieces));
        let faults = Faults::new(usize::MAX, pieces.len());
        let roots = roots::state_roots(pieces, &groups, self.options, &faults)?;
        let found = faults.finish();
        for ((piece, found), (counts, at_end)) in pieces.iter().zip(found).zip(roots) {
            let of_piece = |s: &&mut Segment| (s.result.first..s.result.end).contains(&piece.first);
            if let Some(segment) = segments.iter_mut().find(of_piece) {
                segment.state_roots.checked += counts.checked;
                segment.state_roots.matched += counts.matched;
                segment.root_at_end = at_end;
                segment.found.extend(found.list);
            }
        }
        Ok(())
    }

    fn conclude(
        &self,
        segment: Closed,
        exits: &mut dyn Iterator<Item = Exit>,
        pieces: &[Piece<'_>],
    ) -> Result<Conclusion, ValidateError> {
        let wanted = Wanted { limit: self.options.limit, requirements: self.options.list_requirements };
        let mut proofs = Proofs::of(pieces)?;
        let mut is_proven = |demand: &Demand| proofs.prove(demand);
        let hash_of = |at| transaction_hash(at, pieces);
        let concluded = conclude(segment, exits, self.rules(), wanted, &mut is_proven, hash_of);
        concluded.map_err(|e| roots::no_root(&pieces[0], e))
    }

    fn report(&self, concluded: Vec<Conclusion>, stopped_early: bool) -> Validation {
        let options = self.options;
        let is_reverse = options.order == Order::Reverse;
        let valid_from = if is_reverse && !stopped_early { valid_from(&concluded) } else { None };
        let order = match options.order {
            Order::Forward => "forward".into(),
            Order::Reverse => "reverse".into(),
            Order::Shuffled(seed) => format!("shuffled:{seed}"),
        };
        let procedure = self.procedure().name();
        let cpu_seconds = Stage::ALL.iter().map(|stage| (stage.name().into(), self.cpu.seconds(*stage))).collect();
        let run = Run {
            seconds: self.started.elapsed().as_secs_f64(),
            order,
            procedure: procedure.into(),
            threads: rayon::current_num_threads(),
            cpu_seconds,
            backends: BTreeMap::from([
                ("signatures".into(), options.backends.signatures.in_words()),
                ("execution".into(), options.backends.execution.name().into()),
                ("hashes".into(), hashes::in_words()),
            ]),
            versions: Versions {
                manaflow: options.version.clone(),
                protocol: PROTOCOL_VERSION,
                format: FORMAT_VERSION,
                revm: options.revm.clone(),
            },
            valid_from,
            stopped_early,
        };
        report(concluded, self.rules(), options.limit, run)
    }

    fn unchanged(&self) -> Result<(), ValidateError> {
        self.files.iter().try_for_each(|file| Ok(file.changed()?))
    }

    fn cannot_merge(&self, error: double_use::Malformed) -> ValidateError {
        malformed(&self.pieces[0], error)
    }
}

/// Verifies the blocks of all pieces, in parts; of several refusals the first in their order is told.
fn verify(pieces: &[Piece<'_>]) -> Result<(), ValidateError> {
    let parts: Vec<_> = pieces
        .iter()
        .flat_map(|piece| {
            let end = piece.blocks.end;
            let starts = piece.blocks.clone().step_by(WINDOW_BLOCKS);
            starts.map(move |start| (piece.file, start..end.min(start + WINDOW_BLOCKS)))
        })
        .collect();
    let stage = carry();
    let verify = |(file, blocks): (&BlockFile, Range<usize>)| stage.within(|| file.verify_blocks(blocks));
    let verified: Vec<_> = parts.into_par_iter().map(verify).collect();
    verified.into_iter().collect::<Result<(), _>>()?;
    let mut judged: BTreeMap<usize, (&BlockFile, usize)> = BTreeMap::new();
    for piece in pieces {
        judged.entry(piece.file_index).or_insert((piece.file, 0)).1 += piece.blocks.len();
    }
    for (file, _) in judged.into_values().filter(|(file, blocks)| *blocks == file.block_count()) {
        file.verify_named()?;
        // Only one procedure reads these; damage is refused by all.
        file.exits()?;
    }
    Ok(())
}

fn malformed(piece: &Piece<'_>, error: double_use::Malformed) -> ValidateError {
    ValidateError::Malformed { path: piece.file.path().to_path_buf(), segment: piece.segment, error }
}

/// Keccak-256 of a transaction's bytes; none of a system transaction.
fn transaction_hash(location: Location, pieces: &[Piece<'_>]) -> Option<B256> {
    let piece = pieces.iter().find(|p| (p.first..p.end()).contains(&location.block()))?;
    let block = piece.blocks.start + (location.block() - piece.first) as usize;
    let row = piece.file.block(block).ok()?.transaction(u32::try_from(location.index()).ok()?)?;
    (!row.bytes().is_empty()).then(|| keccak256(row.bytes()))
}

//! `manaflow fixtures`: spec tests → chains → import → validate, forward and in reverse → what each case came to.
//!
//! Each worker has a folder of its own for the two files of a chain: the RLP chain and the block file. Workers are threads of
//! their own: an import waits for its decoder, which works on the shared pool.

use crate::exit::{Code, Failure};
use crate::output::{grouped, tell, write_to};
use crate::progress::{Display, Done};
use manaflow_engine::backend::Backends;
use manaflow_engine::backend::execution::Backend as Execution;
use manaflow_engine::fixture::{Expects, Judged, Trial, judge, makes_one_of, rlp_chain, storage_without_nonce, trials};
use manaflow_engine::import::{ImportError, import};
use manaflow_engine::validate::{Checks, Options, Order, Progress, StateRootAt, validate};
use manaflow_loader::file::{BlockFile, Series};
use manaflow_loader::source::fixture::{self, Case};
use manaflow_loader::source::{Chain, Genesis, Recognised, Source};
use rayon::ThreadPool;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::hash::Hasher as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  manaflow fixtures fixtures/blockchain_tests
  manaflow fixtures fixtures/blockchain_tests/eest_v5.4.0/cancun --json
  manaflow fixtures fixtures --only eip4844
  manaflow fixtures fixtures --one-in 20:7

Fixtures are files of ethereum/execution-spec-tests' `blockchain_test` form and the older ones of ethereum/tests. A case passes
if its accepted blocks are valid and leave its state, and each of its other blocks is refused for the reason that the case
names (engine/FIXTURES.md).";

/// Arguments of `fixtures`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Files of cases, or folders with such files (*.json) at any depth.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Run the cases whose name contains this text.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Run one case in N, drawn from a seed (default 0).
    #[arg(long, value_name = "N[:SEED]", value_parser = parse_sample)]
    one_in: Option<(u64, u64)>,
    /// Worker threads; default: all cores.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Print the result as one JSON object.
    #[arg(long)]
    json: bool,
}

fn parse_sample(s: &str) -> Result<(u64, u64), String> {
    let (n, seed) = s.split_once(':').unwrap_or((s, "0"));
    match (n.parse(), seed.parse()) {
        (Ok(n), Ok(seed)) if n > 0 => Ok((n, seed)),
        _ => Err("expected N or N:SEED, with N above 0".into()),
    }
}

/// What a case came to.
enum Outcome {
    Passed,
    Failed(String),
    Skipped(&'static str),
}

/// A case and its place: file, case in the file.
type Item = ((usize, usize), Case);

/// What workers share.
#[derive(Default)]
struct Work {
    next_file: usize,
    /// Files that are being read.
    reading: usize,
    cases: VecDeque<Item>,
    /// Outcomes by place, with the case's name.
    outcomes: BTreeMap<(usize, usize), (String, Outcome)>,
    /// The failure at the first place, which ends the run.
    failure: Option<((usize, usize), Failure)>,
}

struct Shared<'a> {
    args: &'a Args,
    files: &'a [PathBuf],
    work: Mutex<Work>,
    changed: Condvar,
    blocks: AtomicU64,
    transactions: AtomicU64,
    moves: AtomicU64,
    gas: AtomicU64,
}

/// Runs `fixtures`.
pub fn run(args: &Args) -> Result<Code, Failure> {
    super::validate::start_threads(args.threads)?;
    let mut files = Vec::new();
    for path in &args.paths {
        find(path, &mut files)?;
    }
    let mut seen = BTreeSet::new();
    files.retain(|path| seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())));
    let shared = Shared {
        args,
        files: &files,
        work: Mutex::default(),
        changed: Condvar::new(),
        blocks: AtomicU64::new(0),
        transactions: AtomicU64::new(0),
        moves: AtomicU64::new(0),
        gas: AtomicU64::new(0),
    };
    let workers = (0..rayon::current_num_threads()).map(|_| Worker::new()).collect::<Result<Vec<_>, _>>()?;
    std::thread::scope(|scope| {
        let handles: Vec<_> = workers.iter().map(|worker| scope.spawn(|| worker.work(&shared))).collect();
        let mut display = Display::new("ran", 0);
        while handles.iter().any(|handle| !handle.is_finished()) {
            std::thread::sleep(Duration::from_millis(50));
            display.show(shared.done(), 0, &shared.note());
        }
        display.finish();
    });
    let work = shared.work.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, failure)) = work.failure {
        return Err(failure);
    }
    if work.outcomes.is_empty() {
        return Err(Failure::Input(format!("{}: no case is left to run", args.paths[0].display())));
    }
    report(args, &files, &work.outcomes)
}

/// Files of cases at or below a path, in order of names; hidden folders hold indexes, not cases.
fn find(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let io = |source| manaflow_loader::Error::Io { path: path.to_path_buf(), source };
    if !std::fs::metadata(path).map_err(io)?.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    let before = files.len();
    let mut folders = vec![path.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let io = |source| manaflow_loader::Error::Io { path: folder.clone(), source };
        for entry in std::fs::read_dir(&folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(io)?);
            // Links are not followed: they could lead back.
            if kind.is_dir() && !entry.file_name().as_encoded_bytes().starts_with(b".") {
                folders.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|e| e == "json") {
                files.push(path);
            }
        }
    }
    files[before..].sort();
    match files.len() - before {
        0 => Err(Failure::Input(format!("{}: no file *.json at any depth", path.display()))),
        _ => Ok(()),
    }
}

impl Shared<'_> {
    fn lock(&self) -> std::sync::MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn done(&self) -> Done {
        let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
        Done {
            blocks: get(&self.blocks),
            transactions: get(&self.transactions),
            moves: get(&self.moves),
            gas: get(&self.gas),
        }
    }

    fn note(&self) -> String {
        let work = self.lock();
        let failed = work.outcomes.values().filter(|(_, o)| matches!(o, Outcome::Failed(_))).count();
        let cases = grouped(work.outcomes.len() as u64);
        format!("; {cases} cases, {failed} failed, file {} of {}", work.next_file, self.files.len())
    }

    fn wants(&self, case: &Case) -> bool {
        let is_drawn = self.args.one_in.is_none_or(|(n, seed)| {
            let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
            hasher.write(&seed.to_le_bytes());
            hasher.write(case.name.as_bytes());
            hasher.finish().is_multiple_of(n)
        });
        is_drawn && self.args.only.as_ref().is_none_or(|text| case.name.contains(text.as_str()))
    }

    /// The next case to run; `None` when there is none left, or the run ends.
    fn next(&self) -> Option<Item> {
        let mut work = self.lock();
        loop {
            if work.failure.is_some() {
                return None;
            }
            if let Some(item) = work.cases.pop_front() {
                return Some(item);
            }
            let file = work.next_file;
            if let Some(path) = self.files.get(file) {
                work.next_file += 1;
                work.reading += 1;
                drop(work);
                let read = fixture::read(path);
                work = self.lock();
                work.reading -= 1;
                match read {
                    Ok(cases) => {
                        let items = cases.into_iter().enumerate().map(|(i, case)| ((file, i), case));
                        work.cases.extend(items.filter(|(_, case)| self.wants(case)));
                    }
                    Err(error) => work.fail((file, 0), error.into()),
                }
                self.changed.notify_all();
            } else if work.reading > 0 {
                work = self.changed.wait(work).unwrap_or_else(PoisonError::into_inner);
            } else {
                return None;
            }
        }
    }
}

impl Work {
    fn fail(&mut self, place: (usize, usize), failure: Failure) {
        if self.failure.as_ref().is_none_or(|(first, _)| place < *first) {
            self.failure = Some((place, failure));
        }
    }
}

/// FNV-1a: a draw that is the same on every machine and in every version.
struct Fnv(u64);

impl std::hash::Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        // The low bits of FNV see few of the input's; fold the high ones in.
        self.0 ^ self.0 >> 32
    }
}

/// A thread's own folder, and a pool of one thread on which it validates.
struct Worker {
    folder: tempfile::TempDir,
    pool: ThreadPool,
}

impl Worker {
    fn new() -> Result<Self, Failure> {
        let folder = tempfile::tempdir().map_err(Failure::output(std::env::temp_dir()))?;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        Ok(Self { folder, pool: pool.map_err(|e| Failure::Threads(e.to_string()))? })
    }

    fn work(&self, shared: &Shared<'_>) {
        while let Some((place, case)) = shared.next() {
            let outcome = self.case(&case, shared);
            let mut work = shared.lock();
            match outcome {
                Ok(outcome) => _ = work.outcomes.insert(place, (case.name, outcome)),
                Err(failure) => work.fail(place, failure),
            }
        }
    }

    fn case(&self, case: &Case, shared: &Shared<'_>) -> Result<Outcome, Failure> {
        let Ok(genesis) = &case.genesis else { return Ok(Outcome::Skipped("unknown-network")) };
        let trials = match trials(case, genesis) {
            Ok(trials) => trials,
            Err(reason) => return Ok(Outcome::Failed(reason)),
        };
        let special = storage_without_nonce(genesis);
        for trial in &trials {
            match self.trial(case, genesis, trial, &special, shared)? {
                Outcome::Passed => {}
                Outcome::Failed(reason) => return Ok(Outcome::Failed(format!("{}{reason}", name(case, trial)))),
                skipped => return Ok(skipped),
            }
        }
        Ok(Outcome::Passed)
    }

    fn trial(
        &self,
        case: &Case,
        genesis: &Arc<Genesis>,
        trial: &Trial,
        special: &BTreeSet<alloy_primitives::Address>,
        shared: &Shared<'_>,
    ) -> Result<Outcome, Failure> {
        let outcome = |judged: Result<(), String>| judged.map_or_else(Outcome::Failed, |()| Outcome::Passed);
        let path = self.folder.path().join("chain.mana");
        match self.import(case, genesis, trial, &path) {
            Ok(()) => {}
            Err(error) if error.is_input() => return Ok(outcome(judge(case, trial, Err(&error)))),
            Err(error) => return Err(error.into()),
        }
        let file = BlockFile::open(&path)?;
        if makes_one_of(&file, special)? {
            return Ok(Outcome::Skipped("storage-without-nonce"));
        }
        // Backwards by the other executor: what both say must be what the fixture says.
        let options = |order| Options {
            order,
            backends: Backends {
                execution: match order {
                    Order::Reverse => Execution::fastest(),
                    _ => Execution::Plain,
                },
                ..Backends::default()
            },
            checks: Checks::ALL,
            state_root: Some(StateRootAt::Every(1)),
            version: env!("CARGO_PKG_VERSION").into(),
            ..Options::default()
        };
        let ran = |order| self.pool.install(|| validate(&[&file], &options(order), &Progress::default()));
        let (forward, reverse) = (ran(Order::Forward)?.report, ran(Order::Reverse)?.report);
        shared.blocks.fetch_add(forward.blocks.count, Ordering::Relaxed);
        shared.transactions.fetch_add(forward.transactions, Ordering::Relaxed);
        shared.moves.fetch_add(forward.moves, Ordering::Relaxed);
        shared.gas.fetch_add(forward.gas, Ordering::Relaxed);
        let judged = Judged { file: &file, forward: &forward, reverse: &reverse };
        Ok(outcome(judge(case, trial, Ok(judged))))
    }

    /// Imports a trial's chain from an RLP file, as a user would.
    fn import(&self, case: &Case, genesis: &Arc<Genesis>, trial: &Trial, path: &Path) -> Result<(), ImportError> {
        let source = self.folder.path().join("chain.rlp");
        std::fs::write(&source, rlp_chain(case, trial))
            .map_err(|e| manaflow_loader::Error::Io { path: source.clone(), source: e })?;
        let chain = Chain::open(genesis.clone(), &[source])?;
        let rules = genesis.rules.clone();
        let recognised = Recognised { rules, sources: vec![Source::Chain(chain)], left_out: vec![] };
        let mut writer = Series::create(path, &genesis.rules, "fixtures")?;
        import(&recognised, &mut writer, &mut |_| ())?;
        writer.finish()?;
        Ok(())
    }
}

/// Which of a case's chains it is; nothing for the one that ends with its last block.
fn name(case: &Case, trial: &Trial) -> String {
    match (trial.expects, trial.blocks.last()) {
        (Expects::Valid, Some(block)) => format!("side fork that ends with block {block} of the list: "),
        (Expects::Refused, Some(block)) if case.blocks.len() > 1 => format!("block {block} of the list: "),
        _ => String::new(),
    }
}

fn report(
    args: &Args,
    files: &[PathBuf],
    outcomes: &BTreeMap<(usize, usize), (String, Outcome)>,
) -> Result<Code, Failure> {
    let (mut passed, mut failures, mut skips) = (0_u64, Vec::new(), BTreeMap::<&str, u64>::new());
    for (&(file, _), (case, outcome)) in outcomes {
        match outcome {
            Outcome::Passed => passed += 1,
            Outcome::Failed(reason) => failures.push((files[file].display(), case, reason)),
            Outcome::Skipped(reason) => *skips.entry(*reason).or_default() += 1,
        }
    }
    let (failed, skipped) = (failures.len() as u64, skips.values().sum::<u64>());
    if args.json {
        let listed = failures
            .iter()
            .map(|(file, case, reason)| serde_json::json!({"file": file.to_string(), "case": case, "reason": reason}));
        let json = serde_json::json!({
            "version": 1, "passed": passed, "failed": failed, "skipped": skipped,
            "failures": listed.collect::<Vec<_>>(), "skips": skips,
        });
        write_to("-".as_ref(), format!("{json}\n").as_bytes())?;
    } else {
        let mut out = String::new();
        let _ = writeln!(out, "passed        {}", grouped(passed));
        let _ = writeln!(out, "failed        {}", grouped(failed));
        let _ = writeln!(out, "skipped       {}", grouped(skipped));
        for (reason, count) in &skips {
            let _ = writeln!(out, "              {} {reason}", grouped(*count));
        }
        for (file, case, reason) in &failures {
            let _ = writeln!(out, "{file}: {case}: {reason}");
        }
        write_to("-".as_ref(), out.as_bytes())?;
    }
    if skipped > 0 {
        let reasons: Vec<_> = skips.iter().map(|(reason, n)| format!("{n} {reason}")).collect();
        tell(&format!("skipped: {}", reasons.join(", ")));
    }
    Ok(if failed > 0 { Code::Invalid } else { Code::Success })
}

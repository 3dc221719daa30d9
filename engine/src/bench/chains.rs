//! Chains: decoding, execution and the whole validation of the blocks of a file, beside what a sequential client does.

use super::lanes::{self, Outcomes};
use super::sequential::{self, Block};
use super::{BenchError, Input, Line, Peer, Timed, in_turns, seconds};
use crate::backend::{Backends, execution::Backend as Executor};
use crate::solo::code::CodeTable;
use crate::validate::Checks;
use manaflow_loader::file::BlockFile;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What to measure on.
#[derive(Clone, Copy, Debug)]
pub struct ChainPlan<'a> {
    /// The blocks. They are opened anew where opening is part of what is measured.
    pub file: &'a BlockFile,
    /// What they are called, before how many they are.
    pub name: &'a str,
    /// Who does the work of a validation.
    pub backends: Backends,
    /// Turns.
    pub samples: usize,
}

impl ChainPlan<'_> {
    fn reopened(&self) -> Result<BlockFile, BenchError> {
        BlockFile::open(self.file.path()).map_err(|e| BenchError::Blocks(e.to_string()))
    }

    fn name(&self) -> String {
        format!("{} {} blocks", self.name, self.file.block_count()).trim_start().to_owned()
    }
}

fn unfit(file: &BlockFile) -> impl Fn(String) -> BenchError {
    let path = file.path().display().to_string();
    move |why| BenchError::Blocks(format!("{path}: {why}"))
}

/// Opens and verifies a file: checksums, structure, every rule that blocks of a file keep. On the current pool.
///
/// Errors: a file that cannot be read.
pub fn decoding(plan: &ChainPlan<'_>) -> Result<Vec<Line>, BenchError> {
    let bytes: u64 = plan.file.sizes().iter().map(|section| section.bytes).sum();
    let read = || plan.reopened().and_then(|file| file.verify_all().map_err(|e| BenchError::Blocks(e.to_string())));
    read()?;
    let work = Box::new(|| assert_eq!(read(), Ok(()), "it was whole before"));
    let kernels = vec![Timed { kernel: "open-and-verify", backend: "cpu", threads: 1, work }];
    let input =
        Input { stage: "decoding", unit: "bytes", rows: bytes, bytes: Some(bytes), gas: None, name: plan.name() };
    Ok(in_turns(&input, plan.samples, kernels, Vec::new()))
}

/// Blocks of a file with all that the baseline needs.
struct Parsed {
    blocks: Vec<Block>,
    codes: Arc<CodeTable>,
    gas: u64,
    transactions: u64,
}

fn parsed(file: &BlockFile) -> Result<Parsed, BenchError> {
    let unfit = unfit(file);
    file.verify_all().map_err(|e| BenchError::Blocks(e.to_string()))?;
    let codes = lanes::codes(file).map_err(&unfit)?;
    let blocks = sequential::blocks(file, &codes).map_err(&unfit)?;
    let transactions = blocks.iter().map(|block| block.envelopes.len() as u64).sum();
    if transactions == 0 {
        return Err(unfit("no transactions to measure on".into()));
    }
    let gas = sequential::execute(&blocks, &mut sequential::states(&blocks)).map_err(&unfit)?;
    Ok(Parsed { blocks, codes, gas, transactions })
}

/// Execution from moves by every executor that runs here, on the current pool, beside revm with all befores in memory.
///
/// Errors: blocks that plain revm or an executor does not run as their headers say.
pub fn execution(plan: &ChainPlan<'_>) -> Result<Vec<Line>, BenchError> {
    let Parsed { blocks, codes, gas, transactions } = parsed(plan.file)?;
    let threads = rayon::current_num_threads();
    // The longest first, so that no worker is left with one at the end.
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(blocks[i].header.gas_used));
    let executors = Executor::ALL.into_iter().filter(|e| e.is_available() && e.is_proven());
    let kernels = executors.map(|executor| {
        let (blocks, order, codes) = (&blocks, &order, &codes);
        let run = move || -> Result<u64, String> {
            let next = AtomicUsize::new(0);
            let of_worker = |_: rayon::BroadcastContext<'_>| {
                let mut checker = lanes::checker(blocks, Arc::clone(codes));
                checker.machine().set_backend(executor);
                let mut sum = 0;
                while let Some(&i) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                    sum += lanes::execute(plan.file, &blocks[i..=i], &mut checker, Outcomes::Ready)?;
                }
                Ok(sum)
            };
            rayon::broadcast(of_worker).into_iter().sum()
        };
        (executor.name(), run)
    });
    let mut timed = Vec::new();
    for (backend, run) in kernels {
        if run().map_err(unfit(plan.file))? != gas {
            let rows = transactions;
            return Err(BenchError::Differs { stage: "execution", kernel: "from-moves", backend, rows });
        }
        let work = Box::new(move || assert_eq!(run(), Ok(gas), "it was right before"));
        timed.push(Timed { kernel: "from-moves", backend, threads, work });
    }
    let by_revm = || {
        let mut states = sequential::states(&blocks);
        seconds(|| assert_eq!(sequential::execute(&blocks, &mut states), Ok(gas), "it was right before"))
    };
    let peer = Peer { name: "revm", rows: transactions, is_whole: false, seconds: Box::new(by_revm) };
    let input = Input {
        stage: "execution",
        unit: "transactions",
        rows: transactions,
        bytes: None,
        gas: Some(gas),
        name: plan.name(),
    };
    Ok(in_turns(&input, plan.samples, timed, vec![peer]))
}

/// The whole validation, all checks, from the file on disk to the verdict, on the current pool; beside a sequential client's
/// work on blocks that are parsed in memory ([`sequential`]).
///
/// Errors: blocks that are not valid, or that the baseline does not find as their headers say.
pub fn pipeline(plan: &ChainPlan<'_>) -> Result<Vec<Line>, BenchError> {
    let Parsed { blocks, gas, transactions, .. } = parsed(plan.file)?;
    let unfit = unfit(plan.file);
    sequential::validate(&blocks, &mut sequential::states(&blocks)).map_err(&unfit)?;
    let validated = || {
        let file = plan.reopened().map_err(|e| e.to_string())?;
        lanes::validate_file(&file, Checks::ALL, plan.backends)
    };
    let of_file = validated().map_err(&unfit)?;
    let threads = rayon::current_num_threads();
    let work = Box::new(|| assert_eq!(validated(), Ok(of_file), "it was valid before"));
    let kernels = vec![Timed { kernel: "validate", backend: plan.backends.signatures.name(), threads, work }];
    let by_client = || {
        let mut states = sequential::states(&blocks);
        seconds(|| assert_eq!(sequential::validate(&blocks, &mut states), Ok(gas), "it was right before"))
    };
    let peer = Peer { name: "sequential", rows: transactions, is_whole: true, seconds: Box::new(by_client) };
    let input = Input {
        stage: "pipeline",
        unit: "transactions",
        rows: transactions,
        bytes: None,
        gas: Some(gas),
        name: plan.name(),
    };
    Ok(in_turns(&input, plan.samples, kernels, vec![peer]))
}

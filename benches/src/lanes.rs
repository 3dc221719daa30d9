//! Manaflow's side: execution from moves on one core, and the whole validation from the file.

use crate::sequential::Block;
use manaflow_engine::backend::{Backends, Forced};
use manaflow_engine::report::Verdict;
use manaflow_engine::solo::check::{Checker, Claim};
use manaflow_engine::solo::code::CodeTable;
use manaflow_engine::solo::machine::Executor;
use manaflow_engine::solo::system::SystemBlock;
use manaflow_engine::validate::{Checks, Options, Order, Progress, validate};
use manaflow_loader::file::BlockFile;
use std::sync::Arc;

/// The codes of a file, analysed on first use.
pub fn codes(file: &BlockFile) -> Result<Arc<CodeTable>, String> {
    let mut blobs = Vec::new();
    for number in 0..file.code_count() as u32 {
        let (hash, blob) = file.shared_code(number).map_err(|e| e.to_string())?;
        blobs.extend(blob.map(|blob| (hash, blob)));
    }
    Ok(Arc::new(CodeTable::new(blobs)))
}

/// A worker, ready for the first block.
pub fn checker(blocks: &[Block], codes: Arc<CodeTable>) -> Checker {
    let mut checker = Checker::new(&blocks[0].environment);
    checker.declared().set_codes(codes);
    checker
}

/// Where declared outcomes come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcomes {
    /// Decoded beforehand, with the transactions.
    Ready,
    /// Decoded from the file in the run.
    Decode,
}

/// Judges the execution of every signed transaction from its own moves, on this thread, as `validate --checks execution`
/// does: moves are decoded from the file's columns in the run, and with [`Outcomes::Decode`] outcomes (status, gas, logs)
/// too. Headers and transactions are decoded beforehand, as they are for plain revm. Returns the gas used.
///
/// # Panics
/// If a transaction is found at fault, or cannot be judged.
pub fn execute(file: &BlockFile, blocks: &[Block], checker: &mut Checker, outcomes: Outcomes) -> u64 {
    let mut faults = Vec::new();
    let mut gas = 0;
    for block in blocks {
        let view = file.block(block.place).expect("a verified block is there");
        let reader = view.move_reader();
        checker.machine().set_block(&block.environment);
        let system = SystemBlock {
            header: &block.header,
            environment: &block.environment,
            rules: file.rules(),
            ommers: None,
            withdrawals: &[],
        };
        for ((row, envelope), ready) in view.transactions().skip(1).zip(&block.envelopes).zip(&block.outcomes) {
            let moves = checker.declared().moves_mut();
            moves.clear();
            reader.read_into(row.moves(), moves).expect("moves of a verified block decode");
            let authorities: Vec<_> = row.authorities().collect();
            let decoded = match outcomes {
                Outcomes::Ready => None,
                Outcomes::Decode => row.outcome().expect("outcomes of a recorded block decode"),
            };
            let claim = Claim {
                location: row.location(),
                sender: row.sender(),
                authorities: &authorities,
                outcome: decoded.as_ref().or(ready.as_ref()),
                requests: &[],
            };
            checker.transaction(envelope, claim, &system, &mut faults).expect("the file has all codes");
            gas += row.gas_used();
        }
    }
    assert_eq!(faults, [], "execution from moves");
    gas
}

/// Validates the whole file with some checks on the current rayon pool; returns the gas used.
///
/// # Panics
/// If there is no verdict, or it is not the good one.
pub fn validate_file(file: &BlockFile, checks: Checks) -> u64 {
    let options = Options {
        order: Order::Forward,
        checks,
        limit: 10,
        backends: Backends::choose(Forced::default()).expect("a backend that is proven"),
        version: env!("CARGO_PKG_VERSION").into(),
        ..Options::default()
    };
    let validation = validate(&[file], &options, &Progress::default()).expect("the file can be judged");
    let expected = if checks == Checks::ALL { Verdict::Valid } else { Verdict::Partial };
    assert_eq!(validation.report.verdict, expected, "{:?}", validation.report.invalid);
    validation.report.gas
}

//! Manaflow's side: execution from moves on one core, and the whole validation from the file.

use super::sequential::Block;
use crate::backend::Backends;
use crate::report::Verdict;
use crate::solo::check::{Checker, Claim};
use crate::solo::code::CodeTable;
use crate::solo::machine::Executor;
use crate::solo::system::SystemBlock;
use crate::validate::{Checks, Options, Order, Progress, validate};
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
/// Errors: a transaction that is found at fault, or cannot be judged.
pub fn execute(file: &BlockFile, blocks: &[Block], checker: &mut Checker, outcomes: Outcomes) -> Result<u64, String> {
    let mut faults = Vec::new();
    let mut gas = 0;
    let in_words = |e: manaflow_loader::Error| e.to_string();
    for block in blocks {
        let view = file.block(block.place).map_err(in_words)?;
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
            reader.read_into(row.moves(), moves).map_err(in_words)?;
            let authorities: Vec<_> = row.authorities().collect();
            let decoded = match outcomes {
                Outcomes::Ready => None,
                Outcomes::Decode => row.outcome().map_err(in_words)?,
            };
            let claim = Claim {
                location: row.location(),
                sender: row.sender(),
                authorities: &authorities,
                outcome: decoded.as_ref().or(ready.as_ref()),
                requests: &[],
            };
            checker.transaction(envelope, claim, &system, &mut faults).map_err(|e| e.to_string())?;
            gas += row.gas_used();
        }
    }
    match faults.first() {
        None => Ok(gas),
        Some(fault) => Err(format!("block {}: {}", fault.location.block(), fault.reason.name())),
    }
}

/// Validates the whole file with some checks on the current rayon pool; returns the gas used.
///
/// Errors: there is no verdict, or it is not the good one.
pub fn validate_file(file: &BlockFile, checks: Checks, backends: Backends) -> Result<u64, String> {
    let options = Options {
        order: Order::Forward,
        checks,
        limit: 1,
        backends,
        version: env!("CARGO_PKG_VERSION").into(),
        ..Options::default()
    };
    let validation = validate(&[file], &options, &Progress::default()).map_err(|e| e.to_string())?;
    match validation.report.verdict {
        Verdict::Valid | Verdict::Partial => Ok(validation.report.gas),
        Verdict::Invalid => Err(format!("{}: is invalid; `manaflow validate` says where", file.path().display())),
    }
}

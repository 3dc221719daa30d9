//! Checking: a transaction is executed from its own moves, and what comes out is held against what it declares.
//!
//! In faults of execution, `got` is what the execution gave and `expected` what the transaction declares.

use super::database::Refusal;
use super::declared::Declared;
use super::effect::Effect;
use super::environment::transaction_environment;
use super::machine::{Executor, Machine, Stop};
use super::meter::{METERED_ABOVE, spent_bound};
use super::record::{account_after, outcome};
use super::system::{self, SystemBlock};
use super::transaction::Envelope;
use crate::reason::{Check, Fault, Reason};
use alloy_primitives::{Address, B256, Bytes, U256, hex};
use manaflow_loader::model::{Cell, Location, Mark, Mode, Move, Outcome, Status, Value, Version};
use manaflow_loader::rules::Fork;
use revm::state::Bytecode;

/// Why a transaction could not be judged at all. The file is at fault: no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotJudge {
    /// A code blob that execution needs is not in the file.
    #[error("transaction {location}: code {hash} is asked for but the file's code table does not have it")]
    CodeMissing {
        /// The transaction.
        location: Location,
        /// Its key.
        hash: B256,
    },
}

/// What a transaction declares of itself, besides its moves.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Where it stands.
    pub location: Location,
    /// Declared sender.
    pub sender: Option<Address>,
    /// Declared authorities.
    pub authorities: &'a [Option<Address>],
    /// Declared outcome.
    pub outcome: Option<&'a Outcome>,
    /// Declared outputs of request calls.
    pub requests: &'a [Bytes],
}

/// Executes transactions from their moves and collects what is wrong with them. One a worker, kept over many transactions.
#[derive(Debug)]
pub struct Checker {
    machine: Machine<Declared>,
    effect: Effect,
    /// What each move's after must be, and whether execution knows the cell at all.
    expected: Vec<(Value, bool)>,
}

impl Checker {
    /// A checker; the environment is replaced by the first block's.
    pub fn new(environment: &super::environment::Environment) -> Self {
        Self { machine: Machine::new(Declared::default(), environment), effect: Effect::default(), expected: vec![] }
    }

    /// The executor, to enter a block.
    pub fn machine(&mut self) -> &mut Machine<Declared> {
        &mut self.machine
    }

    /// The befores: code table and moves of the next transaction go here.
    pub fn declared(&mut self) -> &mut Declared {
        self.machine.befores()
    }

    /// Codes that the transaction judged last has put on accounts.
    pub fn codes(&self) -> &[(B256, Bytecode)] {
        &self.effect.codes
    }

    /// Judges one signed transaction whose moves have been filled in.
    pub fn transaction(
        &mut self,
        tx: &Envelope,
        claim: Claim<'_>,
        block: &SystemBlock<'_>,
        faults: &mut Vec<Fault>,
    ) -> Result<(), CannotJudge> {
        if !self.form(claim.location, false, faults) {
            return Ok(());
        }
        let Some(sender) = claim.sender else {
            let fault = Fault::new(claim.location, Check::Execution, Reason::BadSignature, "nobody", "a sender");
            faults.push(fault);
            return Ok(());
        };
        let env = transaction_environment(tx, sender, claim.authorities);
        let Some(declared) = claim.outcome else {
            self.effect.clear();
            match self.machine.inclusion(env) {
                Ok(()) => {
                    let reason = Reason::MissingOutcome;
                    faults.push(Fault::new(claim.location, Check::Execution, reason, "can be included", "no outcome"));
                }
                Err(stop) => {
                    if !stopped(stop, claim.location, faults)? {
                        return Ok(());
                    }
                }
            }
            self.compare(claim.location, false, faults);
            return Ok(());
        };
        let fork = block.environment.fork;
        let result = if env.gas_limit > METERED_ABOVE {
            // No transaction uses more gas than its block: that figure is Block's to judge, so the lesser of the two bounds the work.
            let most = declared.gas_used.min(block.header.gas_used);
            let bound = spent_bound(most, fork);
            let result = self.machine.metered(env, bound, &mut self.effect);
            if let Ok(None) = result {
                // What the run would have touched and left is not known: this is the one fault.
                let got = format!("more than {most}");
                let reason = Reason::WrongGasUsed;
                faults.push(Fault::new(claim.location, Check::Execution, reason, got, declared.gas_used));
                return Ok(());
            }
            result.map(|result| result.expect("the other case has returned"))
        } else {
            self.machine.transaction(env, &mut self.effect)
        };
        match result {
            Ok(result) => {
                compare_outcome(declared, &outcome(result, fork, None), fork, claim.location, faults);
            }
            Err(stop) => {
                if !stopped(stop, claim.location, faults)? {
                    return Ok(());
                }
            }
        }
        self.compare(claim.location, false, faults);
        Ok(())
    }

    /// Judges an opening. That of the genesis block is the allocation.
    pub fn opening(
        &mut self,
        claim: Claim<'_>,
        block: &SystemBlock<'_>,
        faults: &mut Vec<Fault>,
    ) -> Result<(), CannotJudge> {
        self.nothing_declared(&claim, true, faults);
        if !self.form(claim.location, true, faults) {
            return Ok(());
        }
        if claim.location.block() == 0 {
            self.allocation(claim.location, faults);
            return Ok(());
        }
        match system::opening(&mut self.machine, block, &mut self.effect) {
            Ok(()) => self.compare(claim.location, false, faults),
            Err(stop) => self.stopped_system(stop, claim.location, faults)?,
        }
        Ok(())
    }

    /// Judges a closing.
    pub fn closing(
        &mut self,
        claim: Claim<'_>,
        block: &SystemBlock<'_>,
        faults: &mut Vec<Fault>,
    ) -> Result<(), CannotJudge> {
        self.nothing_declared(&claim, false, faults);
        if !self.form(claim.location, true, faults) {
            return Ok(());
        }
        self.effect.clear();
        let run = if claim.location.block() == 0 {
            Ok(system::Requests::default())
        } else {
            system::closing(&mut self.machine, block, &mut self.effect)
        };
        match run {
            Ok(requests) => {
                for failed in &requests.failed {
                    let got = format!("{:#x}: {}", failed.contract, failed.got);
                    let fault = Fault::new(claim.location, Check::Execution, Reason::SystemCallFailed, got, "success");
                    faults.push(fault);
                }
                if claim.requests != requests.outputs {
                    let (got, expected) = (say_requests(&requests.outputs), say_requests(claim.requests));
                    faults.push(Fault::new(claim.location, Check::Execution, Reason::WrongRequests, got, expected));
                }
                self.compare(claim.location, true, faults);
            }
            Err(stop) => self.stopped_system(stop, claim.location, faults)?,
        }
        Ok(())
    }

    fn stopped_system(&mut self, stop: Stop, location: Location, faults: &mut Vec<Fault>) -> Result<(), CannotJudge> {
        self.machine.database().overlay.take(&mut self.effect);
        stopped(stop, location, faults).map(|_| ())
    }

    /// System transactions have no outcome, and only closings have requests.
    fn nothing_declared(&self, claim: &Claim<'_>, opening: bool, faults: &mut Vec<Fault>) {
        if claim.outcome.is_some() {
            let fault = Fault::new(claim.location, Check::Execution, Reason::UnexpectedOutcome, "an outcome", "none");
            faults.push(fault);
        }
        if opening && !claim.requests.is_empty() {
            let got = say_requests(claim.requests);
            faults.push(Fault::new(claim.location, Check::Execution, Reason::WrongRequests, got, "none"));
        }
    }

    /// Judges the moves by themselves. False if they are not ascending: then nothing can be looked up among them.
    fn form(&mut self, location: Location, system: bool, faults: &mut Vec<Fault>) -> bool {
        let declared = self.machine.befores();
        declared.start();
        let moves = declared.moves();
        let mut account: Option<(Address, u32)> = None;
        let mut fault = |i: usize, reason, got: String, expected: String| {
            let fault = Fault::new(location, Check::Execution, reason, got, expected);
            faults.push(fault.at_move(i as u32, moves[i].cell));
        };
        if let Some(i) = moves.windows(2).position(|w| w[0].cell >= w[1].cell) {
            fault(i + 1, Reason::MovesNotAscending, moves[i + 1].cell.to_string(), format!("above {}", moves[i].cell));
            return false;
        }
        for (i, m) in moves.iter().enumerate() {
            if m.mask != 0 {
                fault(i, Reason::WrongMask, format!("{:#x}", m.mask), "0x0".into());
            }
            let mode = if m.prev == m.next { Mode::Read } else { Mode::Write };
            if m.mode != mode {
                fault(i, Reason::ModeMismatch, say_mode(m.mode), say_mode(mode));
            }
            if !is_canonical(m) {
                fault(i, Reason::ValueNotCanonical, format!("{:?}", m.next), "the canonical form".into());
            }
            if m.intx == Version::Assumed && (!system || m.prev != m.cell.default_value()) {
                let got = if system { say(&m.prev) } else { "assumed".into() };
                fault(i, Reason::AssumedVersion, got, "a version, or the default in a system transaction".into());
            }
            if m.cell.mark == Mark::Storage {
                // Accounts come first and both runs ascend by address, but one account may have many words.
                if account.is_none_or(|(addr, _)| addr != m.cell.addr) {
                    account = declared.find_account(m.cell.addr).and_then(|j| match moves[j].prev {
                        Value::Account(value) => Some((m.cell.addr, value.generation)),
                        Value::Word(_) => None,
                    });
                }
                match account {
                    None => fault(i, Reason::MissingAccountMove, "none".into(), Cell::account(m.cell.addr).to_string()),
                    Some((_, generation)) if generation != m.cell.generation => {
                        fault(i, Reason::WrongGeneration, m.cell.generation.to_string(), generation.to_string());
                    }
                    Some(_) => {}
                }
            }
        }
        true
    }

    /// The genesis allocation: nothing but writes from virgin. What it must come to, Block knows by header 0.
    fn allocation(&mut self, location: Location, faults: &mut Vec<Fault>) {
        for (i, m) in self.machine.befores().moves().iter().enumerate() {
            let mut fault = |reason, got: String, expected: &str| {
                let fault = Fault::new(location, Check::Execution, reason, got, expected);
                faults.push(fault.at_move(i as u32, m.cell));
            };
            if m.mode == Mode::Read || m.cell.mark == Mark::BlockHash {
                fault(Reason::UnusedMove, say_mode(m.mode), "a write of an account or a storage word");
            }
            if m.intx != Version::Virgin || m.prev != m.cell.default_value() {
                fault(Reason::WrongBefore, say_before(m), "virgin, the default");
            }
            if let Value::Account(next) = m.next
                && (!next.present || next.generation != 0)
            {
                fault(Reason::WrongAfter, say(&m.next), "present, generation 0");
            }
        }
    }

    /// Holds the declared afters against the effect, and the declared cells against those touched.
    fn compare(&mut self, location: Location, closing: bool, faults: &mut Vec<Fault>) {
        let declared = self.machine.befores();
        let moves = declared.moves();
        self.expected.clear();
        self.expected.extend(moves.iter().zip(declared.asked()).map(|(m, asked)| (m.prev, *asked)));
        let mut undeclared = |cell: Cell| {
            let fault = Fault::new(location, Check::Execution, Reason::UndeclaredCell, "touched", "no move");
            faults.push(Fault { cell: Some(cell), ..fault });
        };
        for &(addr, after) in &self.effect.accounts {
            let Some(i) = declared.find_account(addr) else {
                undeclared(Cell::account(addr));
                continue;
            };
            if let Value::Account(prev) = moves[i].prev {
                self.expected[i] = (Value::Account(account_after(prev, Some(after))), true);
            }
        }
        let mut from_virgin = Vec::new();
        for &(addr, slot, word) in &self.effect.slots {
            match declared.find_storage(addr, slot) {
                Ok(i) => {
                    if !self.expected[i].1 {
                        from_virgin.push(i);
                    }
                    self.expected[i] = (Value::Word(word), true);
                }
                Err(cell) => undeclared(cell),
            }
        }
        if closing {
            let cell = Cell::block_hash(location.block());
            match declared.find(cell) {
                Ok(i) if is_hash_write(&moves[i]) => self.expected[i] = (moves[i].next, true),
                found => {
                    let got = found.map_or("no move".into(), |i| say_before(&moves[i]));
                    let fault =
                        Fault::new(location, Check::Execution, Reason::MissingHashWrite, got, "a write from virgin");
                    let index = found.ok().map(|i| i as u32);
                    faults.push(Fault { cell: Some(cell), move_index: index, ..fault });
                    if let Ok(i) = found {
                        self.expected[i] = (moves[i].next, true);
                    }
                }
            }
        }
        for (i, (m, (after, known))) in moves.iter().zip(&self.expected).enumerate() {
            let mut fault = |reason, got: String, expected: String| {
                let fault = Fault::new(location, Check::Execution, reason, got, expected);
                faults.push(fault.at_move(i as u32, m.cell));
            };
            if !known {
                fault(Reason::UnusedMove, "not touched".into(), say_mode(m.mode));
            } else if m.next != *after {
                fault(Reason::WrongAfter, say(after), say(&m.next));
            }
        }
        // Nobody asked for these befores: the account was made here, so its storage is known to be empty.
        for i in from_virgin {
            let m = &moves[i];
            if m.intx != Version::Virgin || m.prev != m.cell.default_value() {
                let fault =
                    Fault::new(location, Check::Execution, Reason::WrongBefore, say_before(m), "virgin, the default");
                faults.push(fault.at_move(i as u32, m.cell));
            }
        }
    }
}

/// Reports why there is no result. True if the moves can still be compared (with an execution that left nothing).
fn stopped(stop: Stop, location: Location, faults: &mut Vec<Fault>) -> Result<bool, CannotJudge> {
    let mut fault = |reason, got: String, expected: &str| {
        faults.push(Fault::new(location, Check::Execution, reason, got, expected));
    };
    match stop {
        Stop::Transaction(refusal) => {
            fault(Reason::from(&refusal), refusal.to_string(), "a transaction that can be included");
            return Ok(true);
        }
        Stop::Header(refusal) => {
            fault(Reason::from(&refusal), refusal.to_string(), "a header with all that its fork needs");
            return Ok(true);
        }
        Stop::Befores(Refusal::Undeclared(cell)) => {
            let fault = Fault::new(location, Check::Execution, Reason::UndeclaredCell, "touched", "no move");
            faults.push(Fault { cell: Some(cell), ..fault });
        }
        Stop::Befores(Refusal::CodeMissing(hash)) => return Err(CannotJudge::CodeMissing { location, hash }),
        Stop::Befores(refusal) => fault(Reason::ValueNotCanonical, refusal.to_string(), "a value of the cell's kind"),
        Stop::Other(message) => fault(Reason::Refused, message, "a result"),
    }
    Ok(false)
}

fn compare_outcome(declared: &Outcome, got: &Outcome, fork: Fork, location: Location, faults: &mut Vec<Fault>) {
    let mut fault = |reason, got: String, expected: String| {
        faults.push(Fault::new(location, Check::Execution, reason, got, expected));
    };
    // Before Byzantium the receipt holds a state root, which no transaction can see; its form is Block's to judge.
    if fork >= Fork::Byzantium && declared.status != got.status {
        fault(Reason::WrongStatus, say_status(got.status), say_status(declared.status));
    }
    if declared.gas_used != got.gas_used {
        fault(Reason::WrongGasUsed, got.gas_used.to_string(), declared.gas_used.to_string());
    }
    if declared.logs != got.logs {
        let first = declared.logs.iter().zip(&got.logs).position(|(a, b)| a != b);
        let first = first.unwrap_or(declared.logs.len().min(got.logs.len()));
        // A log may be as long as gas, or a liar, allows: its beginning will do.
        let say = |logs: &[alloy_primitives::Log]| match logs.get(first) {
            Some(log) => {
                let (topics, data) = (&log.topics()[..log.topics().len().min(4)], &log.data.data);
                let shown = hex::encode(&data[..data.len().min(128)]);
                let (count, bytes) = (logs.len(), data.len());
                format!("{count} logs, number {first} of {} {topics:?} {bytes} bytes 0x{shown}", log.address)
            }
            None => format!("{} logs", logs.len()),
        };
        fault(Reason::WrongLogs, say(&got.logs), say(&declared.logs));
    }
}

fn is_canonical(m: &Move) -> bool {
    let fits = |v: &Value| match v {
        Value::Account(value) => m.cell.mark == Mark::Account && value.is_canonical(),
        Value::Word(_) => m.cell.mark != Mark::Account,
    };
    fits(&m.prev) && fits(&m.next)
}

fn is_hash_write(m: &Move) -> bool {
    m.mode == Mode::Write && m.intx == Version::Virgin && m.prev == Value::Word(U256::ZERO)
}

/// A value in words.
pub fn say(value: &Value) -> String {
    match value {
        Value::Word(word) => format!("{word:#x}"),
        Value::Account(a) if !a.present => format!("absent, generation {}", a.generation),
        Value::Account(a) => {
            format!("nonce {}, balance {}, code {:#x}, generation {}", a.nonce, a.balance, a.code_hash, a.generation)
        }
    }
}

fn say_mode(mode: Mode) -> String {
    match mode {
        Mode::Read => "read".into(),
        Mode::Write => "write".into(),
    }
}

/// A version in words.
pub fn say_version(version: Version) -> String {
    match version {
        Version::Virgin => "virgin".into(),
        Version::Base(first) => format!("base({first})"),
        Version::Assumed => "assumed".into(),
        Version::At(location) => location.to_string(),
    }
}

fn say_before(m: &Move) -> String {
    format!("{}, {}, {}", say_mode(m.mode), say_version(m.intx), say(&m.prev))
}

fn say_status(status: Status) -> String {
    match status {
        Status::Failure => "failure".into(),
        Status::Success => "success".into(),
        Status::Root(root) => root.map_or("unknown root".into(), |r| format!("root {r:#x}")),
    }
}

fn say_requests(outputs: &[Bytes]) -> String {
    let list: Vec<String> = outputs.iter().map(|b| format!("{b:#x}")).collect();
    format!("[{}]", list.join(", "))
}

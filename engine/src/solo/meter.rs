//! The meter: a bound on the work that a false gas figure can cause.
//!
//! A transaction may state a gas limit that nobody could ever run to its end, and a small gas used. Since refunds give back at
//! most half of what was spent (from London on a fifth), an honest transaction spends at most 2 (5/4) times its gas used.
//! Spent is the gas limit less what all frames still hold. Above the bound every frame halts.
//! Source: PROTOCOL.md section 4; refunds: EIP-3529.

use manaflow_loader::rules::Fork;
use revm::Inspector;
use revm::interpreter::interpreter_types::LoopControl;
use revm::interpreter::{
    CallInputs, CallOutcome, CreateInputs, CreateOutcome, FrameInput, InstructionResult, Interpreter,
    InterpreterAction, interpreter::EthInterpreter,
};
use revm::precompile::Precompiles;

/// Transactions with a greater gas limit run under the meter.
pub const METERED_ABOVE: u64 = 1 << 28;

/// The most that a transaction with this gas used can have spent.
pub fn spent_bound(gas_used: u64, fork: Fork) -> u64 {
    if fork >= Fork::London {
        gas_used.saturating_add(gas_used / 4).saturating_add(1)
    } else {
        gas_used.saturating_mul(2)
    }
}

/// Counts what a run has spent, and ends it beyond a bound.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    /// Gas limit of the transaction.
    limit: u64,
    /// Most that may be spent.
    bound: u64,
    /// Gas that each frame below the running one holds, outermost first.
    waiting: Vec<u64>,
    /// Sum of `waiting`.
    held: u64,
    /// Gas that the running frame holds.
    running: u64,
    /// Gas withheld from the running precompile.
    withheld: Option<u64>,
    /// The fork's precompiles.
    precompiles: Option<&'static Precompiles>,
    exceeded: bool,
}

impl Meter {
    /// Begins a transaction.
    pub fn start(&mut self, limit: u64, bound: u64, precompiles: &'static Precompiles) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.clear();
        *self = Self { limit, bound, waiting, precompiles: Some(precompiles), ..Self::default() };
    }

    /// Whether the run was ended.
    pub fn exceeded(&self) -> bool {
        self.exceeded
    }

    fn spent(&self) -> u64 {
        self.limit.saturating_sub(self.held).saturating_sub(self.running)
    }

    fn enter(&mut self, gas: u64) {
        self.waiting.push(self.running);
        self.held += self.running;
        self.running = gas;
    }

    fn leave(&mut self, gas: u64) {
        let below = self.waiting.pop().unwrap_or(0);
        self.held -= below;
        // The caller takes back what the frame leaves before its next instruction.
        self.running = below + gas;
        self.exceeded |= self.spent() > self.bound;
    }
}

impl<CTX> Inspector<CTX, EthInterpreter> for Meter {
    fn step(&mut self, interpreter: &mut Interpreter<EthInterpreter>, _: &mut CTX) {
        if self.exceeded {
            interpreter.halt(InstructionResult::OutOfGas);
        }
    }

    fn step_end(&mut self, interpreter: &mut Interpreter<EthInterpreter>, _: &mut CTX) {
        self.running = interpreter.gas.remaining();
        // Gas passed on to a frame that is about to begin is held by nobody at this moment.
        let passed = match interpreter.bytecode.action() {
            Some(InterpreterAction::NewFrame(FrameInput::Call(inputs))) => inputs.gas_limit,
            Some(InterpreterAction::NewFrame(FrameInput::Create(inputs))) => inputs.gas_limit(),
            _ => 0,
        };
        if self.spent().saturating_sub(passed) > self.bound {
            self.exceeded = true;
            interpreter.halt(InstructionResult::OutOfGas);
        }
    }

    fn call(&mut self, _: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.enter(inputs.gas_limit);
        // A precompile runs in one go, so it gets no more than what is left to spend.
        let left = self.bound.saturating_sub(self.spent()).saturating_add(1);
        // Withheld from a contract, it would change what its code sees: a low address alone makes no precompile.
        let is_precompile = self.precompiles.is_some_and(|p| p.contains(&inputs.bytecode_address));
        self.withheld = (is_precompile && inputs.gas_limit > left).then(|| inputs.gas_limit - left);
        inputs.gas_limit -= self.withheld.unwrap_or(0);
        None
    }

    fn call_end(&mut self, _: &mut CTX, _: &CallInputs, outcome: &mut CallOutcome) {
        if let Some(withheld) = self.withheld.take() {
            // A precompile that fails takes all gas it was given, and that was more than what was left to spend.
            self.exceeded |= !outcome.result.result.is_ok();
            outcome.result.gas.erase_cost(withheld);
        }
        self.leave(outcome.result.gas.remaining());
    }

    fn create(&mut self, _: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.enter(inputs.gas_limit());
        None
    }

    fn create_end(&mut self, _: &mut CTX, _: &CreateInputs, outcome: &mut CreateOutcome) {
        self.leave(outcome.result.gas.remaining());
    }
}

//! The executor: one EVM, kept over many transactions, with exchangeable befores. revm's own loop and handler, or its handler
//! over the threaded loop, with plain transfers aside.

use super::constantinople;
use super::database::{Befores, Db, Overlay, Refusal};
use super::effect::Effect;
use super::environment::Environment;
use super::keccak_memo;
use super::meter::Meter;
use super::{threaded, transfer};
use crate::backend::execution::Backend;
use alloy_primitives::{Address, Bytes, TxKind};
use manaflow_loader::rules::Fork;
use revm::bytecode::opcode::SSTORE;
use revm::context::result::{EVMError, ExecutionResult, HaltReason, InvalidHeader, InvalidTransaction};
use revm::context::{ContextSetters, JournalTr, TxEnv};
use revm::handler::{
    EthFrame, EvmTr, FrameResult, Handler, ItemOrResult, MainnetContext, MainnetEvm, MainnetHandler, SYSTEM_ADDRESS,
};
use revm::inspector::InspectorHandler;
use revm::interpreter::Instruction;
use revm::interpreter::interpreter_action::FrameInit;
use revm::{Context, MainBuilder, MainContext};
use std::marker::PhantomData;

/// Gas of a system call (EIP-4788, EIP-2935, EIP-7002, EIP-7251).
const SYSTEM_CALL_GAS: u64 = 30_000_000;

/// Why there is no result.
#[derive(Debug)]
pub enum Stop {
    /// The transaction cannot be included.
    Transaction(InvalidTransaction),
    /// The header lacks what its fork needs.
    Header(InvalidHeader),
    /// A question was not answered.
    Befores(Refusal),
    /// The EVM gave up for a reason of its own.
    Other(String),
}

impl From<EVMError<Refusal>> for Stop {
    fn from(e: EVMError<Refusal>) -> Self {
        match e {
            EVMError::Transaction(e) => Self::Transaction(e),
            EVMError::Header(e) => Self::Header(e),
            EVMError::Database(e) => Self::Befores(e),
            e => Self::Other(e.to_string()),
        }
    }
}

/// Runs transactions against befores. The seam behind which another executor can stand; revm's own is [`Machine`].
pub trait Executor {
    /// Who answers.
    type Befores: Befores;
    /// Whoever answers, to be exchanged between transactions.
    fn befores(&mut self) -> &mut Self::Befores;
    /// What earlier runs of the same system transaction left.
    fn database(&mut self) -> &mut Db<Self::Befores>;
    /// Enters a block.
    fn set_block(&mut self, environment: &Environment);
    /// Runs a transaction; its afters go to `effect`, which is empty if there is no result.
    fn transaction(&mut self, tx: TxEnv, effect: &mut Effect) -> Result<ExecutionResult, Stop>;
    /// Runs a transaction that may spend at most so much gas; `None` if it goes beyond.
    fn metered(&mut self, tx: TxEnv, bound: u64, effect: &mut Effect) -> Result<Option<ExecutionResult>, Stop>;
    /// Runs the inclusion checks alone.
    fn inclusion(&mut self, tx: TxEnv) -> Result<(), Stop>;
    /// Runs a system call; its afters go to `effect`.
    fn system_call(&mut self, to: Address, data: Bytes, effect: &mut Effect) -> Result<ExecutionResult, Stop>;
}

pub(super) type Evm<B> = MainnetEvm<MainnetContext<Db<B>>, Meter>;
pub(super) type EvmHandler<B> = MainnetHandler<Evm<B>, EVMError<Refusal>, EthFrame>;

/// revm's handler, frames run by the threaded loop.
struct ThreadedHandler<B>(PhantomData<B>);

impl<B: Befores> Handler for ThreadedHandler<B> {
    type Evm = Evm<B>;
    type Error = EVMError<Refusal>;
    type HaltReason = HaltReason;

    // As the provided one, but for the loop.
    fn run_exec_loop(&mut self, evm: &mut Evm<B>, first: FrameInit) -> Result<FrameResult, Self::Error> {
        if let ItemOrResult::Result(result) = evm.frame_init(first)? {
            return Ok(result);
        }
        loop {
            let frame = evm.frame_stack.get();
            let (instructions, gas) = (evm.instruction.instruction_table(), evm.instruction.gas_table());
            let action = threaded::run(&mut frame.interpreter, instructions, gas, &mut evm.ctx);
            let result = match frame.process_next_action::<_, Self::Error>(&mut evm.ctx, action)? {
                ItemOrResult::Item(called) => match evm.frame_init(called)? {
                    ItemOrResult::Item(_) => continue,
                    ItemOrResult::Result(result) => result,
                },
                ItemOrResult::Result(result) => {
                    frame.set_finished(true);
                    result
                }
            };
            if let Some(result) = evm.frame_return_result(result)? {
                return Ok(result);
            }
        }
    }
}

/// revm.
pub struct Machine<B: Befores> {
    evm: Evm<B>,
    clears_empty: bool,
    backend: Backend,
}

impl<B: Befores> std::fmt::Debug for Machine<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("cfg", &self.evm.ctx.cfg).finish_non_exhaustive()
    }
}

fn build<B: Befores>(db: Db<B>, environment: &Environment) -> Evm<B> {
    let mut evm = Context::mainnet()
        .with_db(db)
        .with_block(environment.block.clone())
        .with_cfg(environment.cfg.clone())
        .build_mainnet_with_inspector(Meter::default());
    let (opcode, instruction, gas) = keccak_memo::instruction();
    evm.instruction.insert_instruction(opcode, instruction, gas);
    if environment.fork == Fork::Constantinople {
        evm.instruction.insert_instruction(SSTORE, Instruction::new(constantinople::sstore), 0);
    }
    evm
}

impl<B: Befores + Default> Machine<B> {
    /// A machine in a block.
    pub fn new(befores: B, environment: &Environment) -> Self {
        let db = Db { befores, ..Db::default() };
        Self { evm: build(db, environment), clears_empty: environment.clears_empty(), backend: Backend::default() }
    }

    /// Takes another backend from the next transaction on.
    pub fn set_backend(&mut self, backend: Backend) {
        self.backend = backend;
    }

    /// Ends a run: afters out, journal empty, its memory kept.
    fn settle<T>(&mut self, result: Result<T, EVMError<Refusal>>, effect: Option<&mut Effect>) -> Result<T, Stop> {
        // A refusal in the outermost frame waits in the context to be taken when the result is made; where the beneficiary is
        // refused before that, it would be taken by the next run as its own.
        self.evm.ctx.error = Ok(());
        let journal = &mut self.evm.ctx.journaled_state;
        let mut state = journal.finalize();
        if let Some(effect) = effect {
            match result {
                Ok(_) => effect.read(&state, self.clears_empty),
                Err(_) => effect.clear(),
            }
        }
        // The map is worth keeping unless one large transaction has blown it up: clearing costs by capacity.
        if state.capacity() <= 64 {
            state.clear();
            journal.inner.state = state;
        }
        result.map_err(Stop::from)
    }
}

impl<B: Befores + Default> Executor for Machine<B> {
    type Befores = B;

    fn befores(&mut self) -> &mut B {
        &mut self.evm.ctx.journaled_state.database.befores
    }

    fn database(&mut self) -> &mut Db<B> {
        &mut self.evm.ctx.journaled_state.database
    }

    fn set_block(&mut self, environment: &Environment) {
        self.clears_empty = environment.clears_empty();
        if self.evm.ctx.cfg == environment.cfg {
            self.evm.ctx.set_block(environment.block.clone());
            return;
        }
        // Instructions and gas tables are built for a fork. Constantinople's differs from Petersburg's in gas at least.
        let db = std::mem::take(self.database());
        self.evm = build(Db { overlay: Overlay::default(), ..db }, environment);
    }

    fn transaction(&mut self, tx: TxEnv, effect: &mut Effect) -> Result<ExecutionResult, Stop> {
        self.evm.ctx.set_tx(tx);
        let result: Result<ExecutionResult<HaltReason>, _> = match self.backend {
            Backend::Plain => EvmHandler::<B>::default().run(&mut self.evm),
            Backend::Threaded => match transfer::run(&mut self.evm, self.clears_empty, effect) {
                Some(result) => return Ok(result),
                None => ThreadedHandler::<B>(PhantomData).run(&mut self.evm),
            },
        };
        self.settle(result, Some(effect))
    }

    fn metered(&mut self, tx: TxEnv, bound: u64, effect: &mut Effect) -> Result<Option<ExecutionResult>, Stop> {
        self.evm.inspector.start(tx.gas_limit, bound, self.evm.precompiles.precompiles);
        self.evm.ctx.set_tx(tx);
        let result: Result<ExecutionResult<HaltReason>, _> = EvmHandler::<B>::default().inspect_run(&mut self.evm);
        let exceeded = self.evm.inspector.exceeded();
        let result = self.settle(result, Some(effect))?;
        Ok((!exceeded).then_some(result))
    }

    fn inclusion(&mut self, tx: TxEnv) -> Result<(), Stop> {
        self.evm.ctx.set_tx(tx);
        let result = EvmHandler::<B>::default().validate(&mut self.evm).map(|_| ());
        self.settle(result, None)
    }

    fn system_call(&mut self, to: Address, data: Bytes, effect: &mut Effect) -> Result<ExecutionResult, Stop> {
        self.evm.ctx.set_tx(TxEnv {
            caller: SYSTEM_ADDRESS,
            kind: TxKind::Call(to),
            data,
            gas_limit: SYSTEM_CALL_GAS,
            ..Default::default()
        });
        let result = EvmHandler::<B>::default().run_system_call(&mut self.evm);
        self.settle(result, Some(effect))
    }
}

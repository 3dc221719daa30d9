//! Transfers between accounts without code, as revm's handler does them, without its journal, frames and interpreter.
//!
//! Seven of ten transactions are such, and what they do is arithmetic on three accounts. Everything that needs no account is
//! revm's own check, called here; what needs one is said here once more. Whatever is not plain goes to the handler, whether
//! it can be included or not: a transfer that is refused, one to a precompile, access lists, blobs, authorisations, code on
//! any side, sums that overflow, and from before EIP-161 accounts that stay empty.
//! Oracle: revm's handler, in `tests/observed` and `tests/fuzz`, and over all spec tests.

use super::database::Befores;
use super::effect::{AccountAfter, Effect};
use super::machine::{Evm, EvmHandler};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use manaflow_loader::model::AccountValue;
use revm::context::result::{ExecutionResult, Output, ResultGas, SuccessReason};
use revm::context_interface::Transaction;
use revm::handler::Handler;
use revm::handler::pre_execution::calculate_caller_fee;
use revm::primitives::hardfork::SpecId;

/// Access lists (EIP-2930) and fees by priority (EIP-1559) are the last types that may be plain.
const TYPE_MAX: u8 = 2;

/// An account that a transfer touches: sender, recipient and beneficiary may be one.
#[derive(Clone, Copy)]
struct Touched {
    addr: Address,
    /// Place of its before, to be noted.
    place: usize,
    nonce: u64,
    balance: U256,
    /// That of no code, or the handler runs it.
    code_hash: B256,
}

impl Touched {
    fn new(addr: Address, (place, before): (usize, &AccountValue)) -> Self {
        Self { addr, place, nonce: before.nonce, balance: before.balance, code_hash: before.code_hash }
    }

    fn is_empty(&self) -> bool {
        self.nonce == 0 && self.balance.is_zero()
    }
}

/// Accounts touched so far, each once.
struct Accounts {
    all: [Touched; 3],
    count: usize,
}

impl Accounts {
    /// Place of an account among those touched.
    fn touch<B: Befores>(&mut self, befores: &B, addr: Address) -> Option<usize> {
        if let Some(i) = self.all[..self.count].iter().position(|account| account.addr == addr) {
            return Some(i);
        }
        self.all[self.count] = Touched::new(addr, befores.peek(addr)?);
        self.count += 1;
        Some(self.count - 1)
    }

    fn add(&mut self, i: usize, amount: U256) -> Option<()> {
        self.all[i].balance = self.all[i].balance.checked_add(amount)?;
        Some(())
    }
}

/// Runs the transaction that is set if it is a plain transfer; its afters go to `effect`. `None`: nothing has happened, and the
/// handler is to run it.
pub(super) fn run<B: Befores>(evm: &mut Evm<B>, clears_empty: bool, effect: &mut Effect) -> Option<ExecutionResult> {
    let tx = &evm.ctx.tx;
    let to = *tx.kind.to()?;
    let is_plain = tx.tx_type <= TYPE_MAX && tx.access_list.0.is_empty() && tx.authorization_list.is_empty();
    if !is_plain || evm.ctx.cfg.spec > SpecId::OSAKA || evm.precompiles.precompiles.contains(&to) {
        return None;
    }
    let handler = EvmHandler::<B>::default();
    handler.validate_env(evm).ok()?;
    let intrinsic = handler.validate_initial_tx_gas(evm).ok()?;
    let (tx, block) = (&evm.ctx.tx, &evm.ctx.block);
    let befores = &evm.ctx.journaled_state.database.befores;

    let sender = Touched::new(tx.caller, befores.peek(tx.caller)?);
    let mut accounts = Accounts { all: [sender; 3], count: 1 };
    let recipient = accounts.touch(befores, to)?;
    let beneficiary = accounts.touch(befores, block.beneficiary)?;
    // A hash of zeros is no code to revm either, but no other account is like it; code of a beneficiary may be a delegation.
    let has_code = accounts.all[..accounts.count].iter().any(|account| account.code_hash != KECCAK256_EMPTY);
    if has_code || sender.nonce != tx.nonce {
        return None;
    }
    // All gas is paid for, the value moves, and what was not used comes back.
    let used = intrinsic.initial_total_gas().max(intrinsic.floor_gas());
    let base_fee = u128::from(block.basefee);
    let price = tx.effective_gas_price(base_fee);
    let left = price.checked_mul(u128::from(tx.gas_limit.checked_sub(used)?))?;
    let reward = if evm.ctx.cfg.spec >= SpecId::LONDON { price.checked_sub(base_fee)? } else { price };
    let reward = reward.checked_mul(u128::from(used))?;
    accounts.all[0].balance =
        calculate_caller_fee(sender.balance, tx, block, &evm.ctx.cfg).ok()?.checked_sub(tx.value)?;
    accounts.all[0].nonce = sender.nonce.checked_add(1)?;
    accounts.add(recipient, tx.value)?;
    accounts.add(0, U256::from(left))?;
    accounts.add(beneficiary, U256::from(reward))?;
    let touched = &accounts.all[..accounts.count];
    if !clears_empty && touched.iter().any(Touched::is_empty) {
        return None;
    }
    effect.clear();
    effect.accounts.extend(touched.iter().map(|account| {
        let Touched { addr, nonce, balance, code_hash, .. } = *account;
        let after =
            if account.is_empty() { AccountAfter::Absent } else { AccountAfter::Present { nonce, balance, code_hash } };
        (addr, after)
    }));
    let befores = &mut evm.ctx.journaled_state.database.befores;
    touched.iter().for_each(|account| befores.note(account.place));
    let gas =
        ResultGas::default().with_total_gas_spent(intrinsic.initial_total_gas()).with_floor_gas(intrinsic.floor_gas());
    Some(ExecutionResult::Success {
        reason: SuccessReason::Stop,
        gas,
        logs: Vec::new(),
        output: Output::Call(Bytes::new()),
    })
}

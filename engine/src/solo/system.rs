//! System transactions: what a block does to the state before and after its transactions. Several runs, one list of moves.
//!
//! Opening: irregular state changes (EIP-779, before the transactions), then EIP-2935, then EIP-4788. Closing: the calls of
//! EIP-7002 and EIP-7251, withdrawals, rewards of ommers and miner. The closing's `h` write is no execution: whoever records or
//! checks adds it. The genesis block has no runs: its opening is the allocation itself.
//! Source: PROTOCOL.md section 3; the EIPs named; rewards: Yellow Paper 11.3, EIP-649, EIP-1234.

use super::database::{Befores, Db, Refusal};
use super::effect::{AccountAfter, Effect};
use super::environment::Environment;
use super::machine::{Executor, Stop};
use alloy_consensus::Header;
use alloy_consensus::constants::ETH_TO_WEI;
use alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS;
use alloy_eips::eip4788::BEACON_ROOTS_ADDRESS;
use alloy_eips::eip4895::Withdrawal;
use alloy_eips::eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS;
use alloy_eips::eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS;
use alloy_evm::block::calc::block_reward;
use alloy_evm::eth::dao_fork::{DAO_HARDFORK_ACCOUNTS, DAO_HARDFORK_BENEFICIARY};
use alloy_primitives::{Address, Bytes, KECCAK256_EMPTY, U256};
use manaflow_loader::rules::{ChainRules, Fork};
use revm::Database;

/// What a system transaction sees of its block.
#[derive(Clone, Copy, Debug)]
pub struct SystemBlock<'a> {
    /// The header.
    pub header: &'a Header,
    /// Fork and EVM environment.
    pub environment: &'a Environment,
    /// The chain's rules.
    pub rules: &'a ChainRules,
    /// Ommers; `None` if known by hash only: then a closing does nothing but its `h` write.
    pub ommers: Option<&'a [Header]>,
    /// Withdrawals, empty before Shanghai.
    pub withdrawals: &'a [Withdrawal],
}

/// A system call that did not succeed where it must.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FailedCall {
    /// The contract.
    pub contract: Address,
    /// What it did instead.
    pub got: String,
}

/// What a closing's request calls gave.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Requests {
    /// One output a call, in order of request type; empty where the call failed.
    pub outputs: Vec<Bytes>,
    /// Calls that failed.
    pub failed: Vec<FailedCall>,
}

/// Runs the opening of a block after genesis; its afters go to `effect`.
pub fn opening<E: Executor>(machine: &mut E, block: &SystemBlock<'_>, effect: &mut Effect) -> Result<(), Stop> {
    let header = block.header;
    if block.rules.dao == Some(header.number) && block.rules.dao_support {
        drain_dao(machine.database(), block.environment).map_err(Stop::Befores)?;
    }
    if block.environment.fork >= Fork::Prague {
        call(machine, HISTORY_STORAGE_ADDRESS, header.parent_hash.into(), effect)?;
    }
    if block.environment.fork >= Fork::Cancun
        && let Some(root) = header.parent_beacon_block_root
    {
        call(machine, BEACON_ROOTS_ADDRESS, root.into(), effect)?;
    }
    machine.database().overlay.take(effect);
    Ok(())
}

/// Runs the closing of a block after genesis; its afters go to `effect`.
pub fn closing<E: Executor>(machine: &mut E, block: &SystemBlock<'_>, effect: &mut Effect) -> Result<Requests, Stop> {
    let mut requests = Requests::default();
    let Some(ommers) = block.ommers else {
        effect.clear();
        return Ok(requests);
    };
    if block.environment.fork >= Fork::Prague {
        for contract in [WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS] {
            let (output, failed) = request_call(machine, contract, effect)?;
            requests.outputs.push(output);
            requests.failed.extend(failed.map(|got| FailedCall { contract, got }));
        }
    }
    credit_all(machine.database(), block, ommers).map_err(Stop::Befores)?;
    machine.database().overlay.take(effect);
    Ok(requests)
}

/// Outputs that a closing of that fork has.
pub fn request_count(fork: Fork) -> usize {
    if fork >= Fork::Prague { 2 } else { 0 }
}

fn call<E: Executor>(machine: &mut E, to: Address, data: Bytes, effect: &mut Effect) -> Result<(), Stop> {
    // These two calls may fail without consequence, and do nothing where there is no code.
    machine.system_call(to, data, effect)?;
    machine.database().overlay.apply(effect);
    Ok(())
}

fn request_call<E: Executor>(
    machine: &mut E,
    contract: Address,
    effect: &mut Effect,
) -> Result<(Bytes, Option<String>), Stop> {
    let account = machine.database().basic(contract).map_err(Stop::Befores)?;
    if account.is_none_or(|a| a.code_hash == KECCAK256_EMPTY) {
        return Ok((Bytes::new(), Some("no code".into())));
    }
    let result = machine.system_call(contract, Bytes::new(), effect)?;
    machine.database().overlay.apply(effect);
    if result.is_success() {
        return Ok((result.into_output().unwrap_or_default(), None));
    }
    let got = if result.is_halt() { "halted" } else { "reverted" };
    Ok((Bytes::new(), Some(got.into())))
}

/// Changes a balance outside of any run; the account is observed whatever the change.
fn change_balance<B: Befores>(
    db: &mut Db<B>,
    environment: &Environment,
    addr: Address,
    change: impl FnOnce(U256) -> U256,
) -> Result<(), Refusal> {
    let mut info = db.basic(addr)?.unwrap_or_default();
    info.balance = change(info.balance);
    let after =
        if info.is_empty() && environment.clears_empty() { AccountAfter::Absent } else { AccountAfter::of(&info) };
    let effect = Effect { accounts: vec![(addr, after)], ..Effect::default() };
    db.overlay.apply(&effect);
    Ok(())
}

fn drain_dao<B: Befores>(db: &mut Db<B>, environment: &Environment) -> Result<(), Refusal> {
    let mut drained = U256::ZERO;
    for addr in DAO_HARDFORK_ACCOUNTS {
        change_balance(db, environment, addr, |balance| {
            drained = drained.saturating_add(balance);
            U256::ZERO
        })?;
    }
    change_balance(db, environment, DAO_HARDFORK_BENEFICIARY, |balance| balance.saturating_add(drained))
}

fn credit_all<B: Befores>(db: &mut Db<B>, block: &SystemBlock<'_>, ommers: &[Header]) -> Result<(), Refusal> {
    const WEI_A_GWEI: u64 = 1_000_000_000;
    let mut credit =
        |addr, wei: U256| change_balance(db, block.environment, addr, |balance| balance.saturating_add(wei));
    for withdrawal in block.withdrawals {
        credit(withdrawal.address, U256::from(withdrawal.amount) * U256::from(WEI_A_GWEI))?;
    }
    if block.environment.fork >= Fork::Paris {
        return Ok(());
    }
    let reward = match block.environment.fork {
        f if f >= Fork::Constantinople => 2 * ETH_TO_WEI,
        f if f >= Fork::Byzantium => 3 * ETH_TO_WEI,
        _ => 5 * ETH_TO_WEI,
    };
    for ommer in ommers {
        // An ommer of another depth is a fault that Block finds; nothing is paid for it here.
        let depth = block.header.number.checked_sub(ommer.number).filter(|d| (1..8).contains(d));
        credit(ommer.beneficiary, U256::from(depth.map_or(0, |d| u128::from(8 - d) * reward / 8)))?;
    }
    credit(block.header.beneficiary, U256::from(block_reward(reward, ommers.len())))
}

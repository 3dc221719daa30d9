//! One file a command: its arguments, its wiring, its words.

pub mod import;
pub mod inspect;
pub mod validate;

use crate::exit::Failure;
use manaflow_loader::rules::ChainRules;

/// Chains that are built in.
const CHAINS: [&str; 4] = ["mainnet", "sepolia", "holesky", "hoodi"];

fn chain_named(name: &str) -> Result<ChainRules, Failure> {
    ChainRules::named(name)
        .ok_or_else(|| Failure::Usage(format!("chain {name:?} is not built in: expected one of {}", CHAINS.join(", "))))
}

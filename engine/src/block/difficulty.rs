//! Proof of work's difficulty and the sums of it.
//!
//! All arithmetic saturates at 2^256 - 1: a header cannot say more, so what saturates is refused by comparison.
//! Source: Yellow Paper section 4.3.4 (Frontier, Homestead); EIP-100 (ommers, Byzantium); bomb delays: EIPs 649, 1234,
//! 2384, 3554, 4345, 5133.

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_primitives::U256;
use manaflow_loader::rules::Fork;

/// No block is easier.
const MINIMUM: U256 = U256::from_limbs([131_072, 0, 0, 0]);
/// The bomb doubles each so many blocks.
const BOMB_PERIOD: u64 = 100_000;

/// Blocks by which the bomb is delayed.
const fn bomb_delay(fork: Fork) -> u64 {
    match fork {
        Fork::Frontier | Fork::Homestead | Fork::Dao | Fork::TangerineWhistle | Fork::SpuriousDragon => 0,
        Fork::Byzantium => 3_000_000,
        Fork::Constantinople | Fork::Petersburg | Fork::Istanbul => 5_000_000,
        Fork::MuirGlacier | Fork::Berlin => 9_000_000,
        Fork::London => 9_700_000,
        Fork::ArrowGlacier => 10_700_000,
        _ => 11_400_000,
    }
}

/// Difficulty of a proof-of-work header with this number and time, under the rules of `fork`.
pub(super) fn expected(number: u64, timestamp: u64, parent: &Header, fork: Fork) -> U256 {
    let elapsed = timestamp.saturating_sub(parent.timestamp);
    // How many steps up, how many down; the difference is at least -99 from Homestead on.
    let (up, down) = if fork >= Fork::Byzantium {
        (1 + u64::from(parent.ommers_hash != EMPTY_OMMER_ROOT_HASH), elapsed / 9)
    } else if fork >= Fork::Homestead {
        (1, elapsed / 10)
    } else {
        (1, if elapsed < 13 { 0 } else { 2 })
    };
    let step = parent.difficulty / U256::from(2048);
    let base = if up >= down {
        parent.difficulty.saturating_add(step * U256::from(up - down))
    } else {
        parent.difficulty - step * U256::from((down - up).min(99))
    };
    base.max(MINIMUM).saturating_add(bomb(number.saturating_sub(bomb_delay(fork))))
}

/// What the bomb adds: 2^(periods - 2) from the third period on.
fn bomb(number: u64) -> U256 {
    match number / BOMB_PERIOD {
        0 | 1 => U256::ZERO,
        periods if periods - 2 < 256 => U256::ONE << (periods - 2),
        _ => U256::MAX,
    }
}

/// Total difficulty after a block, given the total before it.
pub fn total_difficulty_after(before: Option<U256>, header: &Header) -> Option<U256> {
    before.map(|before| before.saturating_add(header.difficulty))
}

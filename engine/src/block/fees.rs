//! What a header's gas limit, base fee and excess blob gas must be, given the parent.
//!
//! Like alloy's `calc_next_block_base_fee` and `next_block_excess_blob_gas_osaka`, but in widths that no header can
//! overflow: alloy's add in 64 bits, and a hostile parent would wrap there. The tests hold one against the other where
//! both are defined.
//! Source: Yellow Paper section 4.3.4 (gas limit); EIP-1559; EIP-4844, EIP-7691, EIP-7918.

use alloy_eips::{
    eip1559::{DEFAULT_BASE_FEE_MAX_CHANGE_DENOMINATOR, DEFAULT_ELASTICITY_MULTIPLIER},
    eip4844::{BLOB_TX_MIN_BLOB_GASPRICE, DATA_GAS_PER_BLOB, fake_exponential},
    eip7840::BLOB_BASE_COST,
};
use alloy_primitives::U256;
use manaflow_loader::rules::BlobParameters;
use std::ops::RangeInclusive;

/// Least gas limit.
pub(super) const MIN_GAS_LIMIT: u64 = 5_000;
/// Greatest gas limit (EIP-1985).
pub(super) const MAX_GAS_LIMIT: u64 = i64::MAX as u64;
/// The limit changes by less than the parent's divided by this.
const GAS_LIMIT_DIVISOR: u64 = 1_024;
/// London's first block may double the limit: its target is half of it.
const ELASTICITY: u64 = DEFAULT_ELASTICITY_MULTIPLIER;

/// Gas limits allowed after a parent's; empty if the parent's leaves none.
pub(super) fn gas_limits(parent_limit: u64, is_first_of_london: bool) -> RangeInclusive<u64> {
    let basis = if is_first_of_london { parent_limit.saturating_mul(ELASTICITY) } else { parent_limit };
    match (basis / GAS_LIMIT_DIVISOR).checked_sub(1) {
        Some(change) => {
            let (low, high) = (basis.saturating_sub(change), basis.saturating_add(change));
            low.max(MIN_GAS_LIMIT)..=high.min(MAX_GAS_LIMIT)
        }
        None => RangeInclusive::new(1, 0),
    }
}

/// Base fee after a parent that has one.
pub(super) fn base_fee(parent_used: u64, parent_limit: u64, parent_fee: u64) -> u128 {
    let target = u128::from(parent_limit / ELASTICITY);
    let (fee, used) = (u128::from(parent_fee), u128::from(parent_used));
    if target == 0 {
        return fee; // no valid parent has such a limit
    }
    // fee < 2^64 and |used - target| < 2^64: the product fits.
    let change = |distance| fee * distance / target / u128::from(DEFAULT_BASE_FEE_MAX_CHANGE_DENOMINATOR);
    match used.cmp(&target) {
        std::cmp::Ordering::Equal => fee,
        std::cmp::Ordering::Greater => fee + change(used - target).max(1),
        std::cmp::Ordering::Less => fee - change(target - used),
    }
}

/// Excess blob gas after a parent, under the parameters of the block itself; `None` if they define no blob fee.
///
/// `reserve_fee` is the parent's base fee from Osaka on (EIP-7918), `None` before.
pub(super) fn excess_blob_gas(
    parent_excess: u64,
    parent_used: u64,
    reserve_fee: Option<u64>,
    parameters: &BlobParameters,
) -> Option<u128> {
    let (excess, used) = (u128::from(parent_excess), u128::from(parent_used));
    let target = u128::from(parameters.target) * u128::from(DATA_GAS_PER_BLOB);
    if excess + used < target {
        return Some(0);
    }
    if let Some(base_fee) = reserve_fee {
        let fraction = u128::from(parameters.base_fee_update_fraction);
        if fraction == 0 || parameters.max == 0 || parameters.max < parameters.target {
            return None;
        }
        let blob_fee = fake_exponential(BLOB_TX_MIN_BLOB_GASPRICE, excess, fraction);
        let reserve = U256::from(BLOB_BASE_COST) * U256::from(base_fee);
        if reserve > U256::from(DATA_GAS_PER_BLOB) * U256::from(blob_fee) {
            let (max, free) = (parameters.max, parameters.max - parameters.target);
            return Some(excess + used * u128::from(free) / u128::from(max));
        }
    }
    Some(excess + used - target)
}

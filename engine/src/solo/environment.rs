//! What the EVM is told about a block and a transaction: from header, rules and bytes to revm's environments.
//!
//! Fork rules are taken at the header's own number and time; merged means header difficulty 0 (protocol section 2).

use super::constantinople;
use super::transaction::Envelope;
use alloy_consensus::{Header, Transaction};
use alloy_eips::eip4844::BLOB_TX_MIN_BLOB_GASPRICE;
use alloy_eips::eip4844::fake_exponential;
use alloy_eips::eip7594::MAX_BLOBS_PER_TX_FUSAKA;
use alloy_eips::eip7702::{RecoveredAuthority, RecoveredAuthorization};
use alloy_evm::FromRecoveredTx;
use alloy_primitives::{Address, U256};
use manaflow_loader::rules::{ChainRules, Fork};
use revm::context::either::Either;
use revm::context::{BlockEnv, CfgEnv, TxEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::primitives::hardfork::SpecId;

/// The environment of one block: everything that its transactions see but for their own befores.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Fork whose rules hold.
    pub fork: Fork,
    /// The block as the EVM sees it.
    pub block: BlockEnv,
    /// Fork and limits as the EVM sees them.
    pub cfg: CfgEnv,
}

/// revm's name of a fork. Forks that change nothing in the EVM share the name of the one before.
///
/// Constantinople has Petersburg's name, and another SSTORE: see `constantinople`.
pub fn spec_id(fork: Fork) -> SpecId {
    match fork {
        Fork::Frontier => SpecId::FRONTIER,
        Fork::Homestead | Fork::Dao => SpecId::HOMESTEAD,
        Fork::TangerineWhistle => SpecId::TANGERINE,
        Fork::SpuriousDragon => SpecId::SPURIOUS_DRAGON,
        Fork::Byzantium => SpecId::BYZANTIUM,
        Fork::Constantinople | Fork::Petersburg => SpecId::PETERSBURG,
        Fork::Istanbul | Fork::MuirGlacier => SpecId::ISTANBUL,
        Fork::Berlin => SpecId::BERLIN,
        Fork::London | Fork::ArrowGlacier | Fork::GrayGlacier => SpecId::LONDON,
        Fork::Paris => SpecId::MERGE,
        Fork::Shanghai => SpecId::SHANGHAI,
        Fork::Cancun => SpecId::CANCUN,
        Fork::Prague => SpecId::PRAGUE,
        Fork::Osaka => SpecId::OSAKA,
    }
}

impl Environment {
    /// The environment of the block that `header` heads.
    pub fn new(header: &Header, rules: &ChainRules) -> Self {
        let merged = header.difficulty.is_zero();
        let fork = rules.fork_at(header.number, header.timestamp, merged);
        let mut cfg = CfgEnv::new_with_spec(spec_id(fork)).with_chain_id(rules.chain_id);
        if fork == Fork::Constantinople {
            cfg.set_gas_params(constantinople::gas_params());
        }
        let blobs = (fork >= Fork::Cancun).then(|| rules.blobs_at(header.timestamp)).flatten();
        if let Some(blobs) = blobs {
            // Before EIP-7594 the only limit is the block's; a transaction above it cannot be included either.
            let most = if fork >= Fork::Osaka { blobs.max.min(MAX_BLOBS_PER_TX_FUSAKA) } else { blobs.max };
            cfg.set_max_blobs_per_tx(most);
        }
        let blob_excess_gas_and_price = header.excess_blob_gas.zip(blobs).map(|(excess_blob_gas, blobs)| {
            let blob_gasprice = fake_exponential(
                BLOB_TX_MIN_BLOB_GASPRICE,
                u128::from(excess_blob_gas),
                u128::from(blobs.base_fee_update_fraction),
            );
            BlobExcessGasAndPrice { excess_blob_gas, blob_gasprice }
        });
        let block = BlockEnv {
            number: U256::from(header.number),
            beneficiary: header.beneficiary,
            timestamp: U256::from(header.timestamp),
            gas_limit: header.gas_limit,
            basefee: header.base_fee_per_gas.unwrap_or_default(),
            difficulty: header.difficulty,
            prevrandao: merged.then_some(header.mix_hash),
            blob_excess_gas_and_price,
            slot_num: 0,
        };
        Self { fork, block, cfg }
    }

    /// Whether touched empty accounts vanish (EIP-161).
    pub fn clears_empty(&self) -> bool {
        self.fork >= Fork::SpuriousDragon
    }
}

/// The transaction as the EVM sees it. Authorities are taken as declared; signatures are another check.
pub fn transaction_environment(tx: &Envelope, sender: Address, authorities: &[Option<Address>]) -> TxEnv {
    let mut env = TxEnv::from_recovered_tx(tx, sender);
    if let Some(list) = tx.authorization_list() {
        let declared = authorities.iter().copied().chain(std::iter::repeat(None));
        env.authorization_list = list
            .iter()
            .zip(declared)
            .map(|(signed, authority)| {
                let authority = authority.map_or(RecoveredAuthority::Invalid, RecoveredAuthority::Valid);
                Either::Right(RecoveredAuthorization::new_unchecked(signed.inner().clone(), authority))
            })
            .collect();
    }
    env
}

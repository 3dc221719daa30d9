//! The rules of a chain: which fork is active at a block, and the few parameters that forks take from the configuration.
//!
//! Rules are part of what a block file claims. They are kept as canonical JSON (fields in the order of the structs here, no
//! spaces); `digest` is the Keccak-256 of those bytes.
//! Built-in chains are in `rules/builtin.rs`; what is taken from a go-ethereum genesis file, in `rules/config.rs`.
//! Source: EIPs 606, 779, 608, 607, 609, 1013, 1716, 1679, 2387, 2070, 1559, 4345, 5133, 3675, 4895, 4844, 7600, 7607, 7840, 7892.

mod builtin;
mod config;
mod networks;

pub use networks::{BlobSchedule, Blobs};

use alloy_primitives::{Address, B256, U256, keccak256};
use serde::{Deserialize, Serialize};

/// The forks of mainnet in order, those that change only the difficulty bomb or nothing but the DAO's balances included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Fork {
    /// Block 0.
    Frontier,
    /// EIP-606.
    Homestead,
    /// EIP-779.
    Dao,
    /// EIP-608.
    TangerineWhistle,
    /// EIP-607.
    SpuriousDragon,
    /// EIP-609.
    Byzantium,
    /// EIP-1013.
    Constantinople,
    /// EIP-1716.
    Petersburg,
    /// EIP-1679.
    Istanbul,
    /// EIP-2387.
    MuirGlacier,
    /// EIP-2070.
    Berlin,
    /// EIP-1559 and others.
    London,
    /// EIP-4345.
    ArrowGlacier,
    /// EIP-5133.
    GrayGlacier,
    /// EIP-3675: from the first block with difficulty 0 on.
    Paris,
    /// EIP-4895 and others.
    Shanghai,
    /// EIP-7569.
    Cancun,
    /// EIP-7600.
    Prague,
    /// EIP-7607.
    Osaka,
}

/// Blob parameters from a time on (EIP-7840, EIP-7892).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobParameters {
    /// First timestamp at which they hold.
    pub time: u64,
    /// Target blobs a block.
    pub target: u64,
    /// Maximum blobs a block.
    pub max: u64,
    /// Base fee update fraction.
    pub base_fee_update_fraction: u64,
}

impl BlobParameters {
    /// Refuses what no block could be judged by: fees divide by the fraction, excess gas by the maximum.
    pub fn check(&self) -> Result<(), String> {
        if self.max == 0 || self.target > self.max || self.base_fee_update_fraction == 0 {
            return Err(format!(
                "got target {}, max {}, baseFeeUpdateFraction {}, expected target <= max, max > 0, \
                 0 < baseFeeUpdateFraction < 2^64",
                self.target, self.max, self.base_fee_update_fraction
            ));
        }
        Ok(())
    }
}

/// The rules of a chain. `None` as activation means never.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainRules {
    /// Chain id (EIP-155).
    pub chain_id: u64,
    /// Hash of block 0, if it is stated.
    pub genesis: Option<B256>,
    /// First block of each fork activated by number.
    pub homestead: Option<u64>,
    /// First block of the DAO fork's rules.
    pub dao: Option<u64>,
    /// Whether this side of the DAO fork moved the balances.
    pub dao_support: bool,
    /// First block.
    pub tangerine_whistle: Option<u64>,
    /// First block.
    pub spurious_dragon: Option<u64>,
    /// First block.
    pub byzantium: Option<u64>,
    /// First block.
    pub constantinople: Option<u64>,
    /// First block.
    pub petersburg: Option<u64>,
    /// First block.
    pub istanbul: Option<u64>,
    /// First block.
    pub muir_glacier: Option<u64>,
    /// First block.
    pub berlin: Option<u64>,
    /// First block.
    pub london: Option<u64>,
    /// First block.
    pub arrow_glacier: Option<u64>,
    /// First block.
    pub gray_glacier: Option<u64>,
    /// Total difficulty that ends proof of work (EIP-3675).
    pub terminal_total_difficulty: Option<U256>,
    /// First timestamp of each fork activated by time.
    pub shanghai: Option<u64>,
    /// First timestamp.
    pub cancun: Option<u64>,
    /// First timestamp.
    pub prague: Option<u64>,
    /// First timestamp.
    pub osaka: Option<u64>,
    /// Blob parameters, ascending by time; the last whose time is not after the block's holds.
    pub blobs: Vec<BlobParameters>,
    /// Deposit contract (EIP-6110).
    pub deposit_contract: Address,
}

impl ChainRules {
    /// The fork whose rules hold for a header. `merged` means header difficulty 0.
    pub fn fork_at(&self, number: u64, time: u64, merged: bool) -> Fork {
        if merged {
            let at = |activation: Option<u64>| activation.is_some_and(|t| time >= t);
            return match () {
                () if at(self.osaka) => Fork::Osaka,
                () if at(self.prague) => Fork::Prague,
                () if at(self.cancun) => Fork::Cancun,
                () if at(self.shanghai) => Fork::Shanghai,
                () => Fork::Paris,
            };
        }
        let by_number = [
            (self.gray_glacier, Fork::GrayGlacier),
            (self.arrow_glacier, Fork::ArrowGlacier),
            (self.london, Fork::London),
            (self.berlin, Fork::Berlin),
            (self.muir_glacier, Fork::MuirGlacier),
            (self.istanbul, Fork::Istanbul),
            (self.petersburg, Fork::Petersburg),
            (self.constantinople, Fork::Constantinople),
            (self.byzantium, Fork::Byzantium),
            (self.spurious_dragon, Fork::SpuriousDragon),
            (self.tangerine_whistle, Fork::TangerineWhistle),
            (self.dao, Fork::Dao),
            (self.homestead, Fork::Homestead),
        ];
        by_number.into_iter().find(|(first, _)| first.is_some_and(|f| number >= f)).map_or(Fork::Frontier, |(_, f)| f)
    }

    /// Blob parameters at a timestamp.
    pub fn blobs_at(&self, time: u64) -> Option<&BlobParameters> {
        self.blobs.iter().rev().find(|b| b.time <= time)
    }

    /// Canonical JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("rules have no map with keys that are not strings")
    }

    /// From canonical JSON.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let rules: Self = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        if rules.to_bytes() != bytes {
            return Err("not in canonical form".into());
        }
        if !rules.blobs.is_sorted_by_key(|b| b.time) {
            return Err("blob parameters are not ascending by time".into());
        }
        for (i, blobs) in rules.blobs.iter().enumerate() {
            blobs.check().map_err(|reason| format!("blobs: {i}: {reason}"))?;
        }
        Ok(rules)
    }

    /// Keccak-256 of the canonical JSON.
    pub fn digest(&self) -> B256 {
        keccak256(self.to_bytes())
    }
}

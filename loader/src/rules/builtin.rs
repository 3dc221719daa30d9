//! The rules of the four public networks, and the name of rules that equal one of them.
//!
//! Source: go-ethereum `params/config.go` (fork schedules up to BPO2) and the networks' genesis files (hashes). The
//! tests in `loader/tests/rules.rs` derive the same rules from genesis files and a fork schedule in genesis form.

use super::{BlobParameters, ChainRules};
use alloy_primitives::{B256, U256, address, b256};

/// Names of the built-in chains.
const NAMES: [&str; 4] = ["mainnet", "sepolia", "holesky", "hoodi"];

/// The blob parameters that the public networks share: Cancun, Prague, Osaka, BPO1, BPO2, at these times.
fn blobs(times: [u64; 5]) -> Vec<BlobParameters> {
    let parameters =
        [(3, 6, 3_338_477), (6, 9, 5_007_716), (6, 9, 5_007_716), (10, 15, 8_346_193), (14, 21, 11_684_671)];
    let entry = |(time, (target, max, base_fee_update_fraction))| BlobParameters {
        time,
        target,
        max,
        base_fee_update_fraction,
    };
    times.into_iter().zip(parameters).map(entry).collect()
}

/// The test networks: all forks up to London at block 0.
fn from_london(chain_id: u64, genesis: B256, ttd: u64, shanghai: u64, blob_times: [u64; 5]) -> ChainRules {
    let zero = Some(0);
    ChainRules {
        chain_id,
        genesis: Some(genesis),
        homestead: zero,
        tangerine_whistle: zero,
        spurious_dragon: zero,
        byzantium: zero,
        constantinople: zero,
        petersburg: zero,
        istanbul: zero,
        berlin: zero,
        london: zero,
        terminal_total_difficulty: Some(U256::from(ttd)),
        shanghai: Some(shanghai),
        cancun: Some(blob_times[0]),
        prague: Some(blob_times[1]),
        osaka: Some(blob_times[2]),
        blobs: blobs(blob_times),
        ..ChainRules::default()
    }
}

fn mainnet() -> ChainRules {
    let times = [1_710_338_135, 1_746_612_311, 1_764_798_551, 1_765_290_071, 1_767_747_671];
    ChainRules {
        chain_id: 1,
        genesis: Some(b256!("d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3")),
        homestead: Some(1_150_000),
        dao: Some(1_920_000),
        dao_support: true,
        tangerine_whistle: Some(2_463_000),
        spurious_dragon: Some(2_675_000),
        byzantium: Some(4_370_000),
        constantinople: Some(7_280_000),
        petersburg: Some(7_280_000),
        istanbul: Some(9_069_000),
        muir_glacier: Some(9_200_000),
        berlin: Some(12_244_000),
        london: Some(12_965_000),
        arrow_glacier: Some(13_773_000),
        gray_glacier: Some(15_050_000),
        terminal_total_difficulty: Some(U256::from(58_750_000_000_000_000_000_000_u128)),
        shanghai: Some(1_681_338_455),
        cancun: Some(times[0]),
        prague: Some(times[1]),
        osaka: Some(times[2]),
        blobs: blobs(times),
        deposit_contract: address!("00000000219ab540356cbb839cbe05303d7705fa"),
    }
}

fn sepolia() -> ChainRules {
    let genesis = b256!("25a5cc106eea7138acab33231d7160d69cb777ee0c2c553fcddf5138993e6dd9");
    let times = [1_706_655_072, 1_741_159_776, 1_760_427_360, 1_761_017_184, 1_761_607_008];
    ChainRules {
        muir_glacier: Some(0),
        deposit_contract: address!("7f02c3e3c98b133055b8b348b2ac625669ed295d"),
        ..from_london(11_155_111, genesis, 17_000_000_000_000_000, 1_677_557_088, times)
    }
}

fn holesky() -> ChainRules {
    let genesis = b256!("b5f7f912443c940f21fd611f12828d75b534364ed9e95ca4e307729a4661bde4");
    let times = [1_707_305_664, 1_740_434_112, 1_759_308_480, 1_759_800_000, 1_760_389_824];
    ChainRules {
        deposit_contract: address!("4242424242424242424242424242424242424242"),
        ..from_london(17_000, genesis, 0, 1_696_000_704, times)
    }
}

fn hoodi() -> ChainRules {
    let genesis = b256!("bbe312868b376a3001692a646dd2d7d1e4406380dfd86b98aa8a34d1557c971b");
    let times = [0, 1_742_999_832, 1_761_677_592, 1_762_365_720, 1_762_955_544];
    ChainRules {
        muir_glacier: Some(0),
        deposit_contract: address!("00000000219ab540356cbb839cbe05303d7705fa"),
        ..from_london(560_048, genesis, 0, 0, times)
    }
}

impl ChainRules {
    /// The rules of a public network: `mainnet`, `sepolia`, `holesky` or `hoodi`; `None` for other names.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "mainnet" => Some(mainnet()),
            "sepolia" => Some(sepolia()),
            "holesky" => Some(holesky()),
            "hoodi" => Some(hoodi()),
            _ => None,
        }
    }

    /// All built-in rules with their names.
    pub fn built_in() -> impl Iterator<Item = (&'static str, Self)> {
        NAMES.into_iter().filter_map(|name| Some((name, Self::named(name)?)))
    }

    /// The name of the built-in rules that these equal in every field, genesis hash included; else `custom`.
    pub fn name(&self) -> &'static str {
        Self::built_in().find(|(_, rules)| rules == self).map_or("custom", |(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Fork;

    #[test]
    fn every_name_is_known_and_names_itself() {
        assert_eq!(ChainRules::built_in().count(), NAMES.len());
        for (name, rules) in ChainRules::built_in() {
            assert_eq!(rules.name(), name);
            assert!(rules.blobs.is_sorted_by_key(|b| b.time), "{name}");
            assert_eq!(ChainRules::from_bytes(&rules.to_bytes()).as_ref(), Ok(&rules));
        }
        assert_eq!(ChainRules::named("Mainnet"), None);
        assert_eq!(ChainRules::named("custom"), None);
    }

    #[test]
    fn one_changed_field_makes_rules_custom() {
        let mainnet = ChainRules::named("mainnet").expect("built in");
        let mut changed = mainnet.clone();
        changed.genesis = None;
        assert_eq!(changed.name(), "custom");
        let mut changed = mainnet.clone();
        changed.blobs[4].max += 1;
        assert_eq!(changed.name(), "custom");
        let mut changed = mainnet;
        changed.dao_support = false;
        assert_eq!(changed.name(), "custom");
        assert_eq!(ChainRules::default().name(), "custom");
    }

    #[test]
    fn forks_of_mainnet_start_where_they_should() {
        let rules = ChainRules::named("mainnet").expect("built in");
        let by_number = [
            (1_149_999, Fork::Frontier),
            (1_150_000, Fork::Homestead),
            (1_920_000, Fork::Dao),
            (2_463_000, Fork::TangerineWhistle),
            (2_675_000, Fork::SpuriousDragon),
            (4_370_000, Fork::Byzantium),
            (7_280_000, Fork::Petersburg),
            (9_069_000, Fork::Istanbul),
            (9_200_000, Fork::MuirGlacier),
            (12_244_000, Fork::Berlin),
            (12_965_000, Fork::London),
            (13_773_000, Fork::ArrowGlacier),
            (15_537_393, Fork::GrayGlacier),
        ];
        for (number, fork) in by_number {
            assert_eq!(rules.fork_at(number, 0, false), fork, "block {number}");
        }
        let by_time = [
            (1_663_224_179, Fork::Paris),
            (1_681_338_455, Fork::Shanghai),
            (1_710_338_135, Fork::Cancun),
            (1_746_612_311, Fork::Prague),
            (1_764_798_551, Fork::Osaka),
        ];
        for (time, fork) in by_time {
            assert_eq!(rules.fork_at(20_000_000, time, true), fork, "time {time}");
        }
        assert_eq!(rules.blobs_at(1_710_338_134), None);
        assert_eq!(rules.blobs_at(1_765_290_071).map(|b| b.max), Some(15));
        assert_eq!(rules.blobs_at(u64::MAX).map(|b| (b.target, b.max)), Some((14, 21)));
    }
}

//! Rules out of a go-ethereum genesis configuration.
//!
//! Whatever would change the rules and cannot be said by `ChainRules` is refused by name, never ignored: forks after
//! Osaka, other consensus engines, keys that no known fork has. A key whose value is null, false or an empty object
//! says nothing and is passed over.
//! Blob parameters: an entry at the activation of Cancun, Prague, Osaka and each BPO fork. Where `blobSchedule` lacks
//! one, Cancun, Prague, BPO1 and BPO2 take the values of EIP-4844, EIP-7691 and mainnet; Osaka repeats Prague's; BPO3
//! to BPO5 have no default.
//! Source: go-ethereum `params/config.go` (`CheckConfigForkOrder`, `IsPetersburg`, `BlobScheduleConfig`).

use super::{BlobParameters, ChainRules};
use crate::source::genesis;
use alloy_eips::eip7840::BlobParams;
use alloy_genesis::{ChainConfig, Genesis};
use alloy_primitives::{Address, U256, address};
use serde_json::Value;

/// Keys outside of alloy's `ChainConfig` that change no rule that is judged: markers of the fork id and of old test
/// networks.
const WITHOUT_EFFECT: [&str; 9] = [
    "eip150Hash",
    "ewasmBlock",
    "yolov1Block",
    "yolov2Block",
    "yolov3Block",
    "parisBlock",
    "mergeForkBlock",
    "preMergeForkBlock",
    "catalystBlock",
];

/// Contracts that some clients let a configuration move; here they stand where the EIP puts them.
const CONTRACTS: [(&str, Address); 2] = [
    ("withdrawalRequestContractAddress", address!("00000961Ef480Eb55e80D19ad83579A64c007002")),
    ("consolidationRequestContractAddress", address!("0000BBdDc7CE488642fb579F8B00f3a590007251")),
];

impl ChainRules {
    /// The rules that a genesis file states, with the hash of its block 0. Errors say which key is at fault and why.
    pub fn from_genesis(genesis: &Genesis) -> Result<Self, String> {
        let mut rules = Self::from_config(&genesis.config)?;
        rules.genesis = Some(genesis::header(genesis, &rules)?.hash_slow());
        Ok(rules)
    }

    /// The rules that a configuration states; the genesis hash is left open.
    pub fn from_config(config: &ChainConfig) -> Result<Self, String> {
        refuse_unknown(config)?;
        // As in go-ethereum: without petersburgBlock, Petersburg comes with Constantinople.
        let petersburg = config.petersburg_block.or(config.constantinople_block);
        ordered_blocks(config, petersburg)?;
        ordered_times(config)?;
        let ttd = match config.terminal_total_difficulty {
            None if config.terminal_total_difficulty_passed => Some(U256::ZERO),
            ttd => ttd,
        };
        if config.shanghai_time.is_some() && ttd.is_none() {
            return Err("shanghaiTime: forks by time need terminalTotalDifficulty".into());
        }
        Ok(Self {
            chain_id: config.chain_id,
            genesis: None,
            homestead: config.homestead_block,
            dao: config.dao_fork_block,
            dao_support: config.dao_fork_block.is_some() && config.dao_fork_support,
            tangerine_whistle: config.eip150_block,
            spurious_dragon: config.eip158_block,
            byzantium: config.byzantium_block,
            constantinople: config.constantinople_block,
            petersburg,
            istanbul: config.istanbul_block,
            muir_glacier: config.muir_glacier_block,
            berlin: config.berlin_block,
            london: config.london_block,
            arrow_glacier: config.arrow_glacier_block,
            gray_glacier: config.gray_glacier_block,
            terminal_total_difficulty: ttd,
            shanghai: config.shanghai_time,
            cancun: config.cancun_time,
            prague: config.prague_time,
            osaka: config.osaka_time,
            blobs: blobs(config)?,
            deposit_contract: config.deposit_contract_address.unwrap_or_default(),
        })
    }
}

fn refuse_unknown(config: &ChainConfig) -> Result<(), String> {
    for (key, time) in [("amsterdamTime", config.amsterdam_time), ("bogotaTime", config.bogota_time)] {
        if let Some(time) = time {
            return Err(format!("{key}: {time}: forks after Osaka are not supported"));
        }
    }
    for (key, is_set) in [("clique", config.clique.is_some()), ("parlia", config.parlia.is_some())] {
        if is_set {
            return Err(format!("{key}: this consensus engine is not supported, only ethash and proof of stake are"));
        }
    }
    for (key, value) in config.extra_fields.iter() {
        let says_nothing = match value {
            Value::Null | Value::Bool(false) => true,
            Value::Object(fields) => fields.is_empty() && !key.to_ascii_lowercase().contains("bft"),
            _ => false,
        };
        if says_nothing || WITHOUT_EFFECT.contains(&key.as_str()) {
            continue;
        }
        if let Some((_, expected)) = CONTRACTS.iter().find(|(name, _)| name == key) {
            let got = value.as_str().and_then(|v| v.parse::<Address>().ok());
            if got == Some(*expected) {
                continue;
            }
            return Err(format!("{key}: got {value}, only {expected} is supported"));
        }
        return Err(format!("{key}: {value}: unknown key: it may change rules in a way that is not supported"));
    }
    Ok(())
}

/// Checks that forks by number come in order and without a gap; only those marked `true` may be missing.
fn ordered_blocks(config: &ChainConfig, petersburg: Option<u64>) -> Result<(), String> {
    if config.eip155_block != config.eip158_block {
        return Err(format!(
            "eip155Block: got {}, expected {} as eip158Block: a chain that splits Spurious Dragon is not supported",
            or_never(config.eip155_block),
            or_never(config.eip158_block)
        ));
    }
    let forks = [
        ("homesteadBlock", config.homestead_block, false),
        ("daoForkBlock", config.dao_fork_block, true),
        ("eip150Block", config.eip150_block, false),
        ("eip158Block", config.eip158_block, false),
        ("byzantiumBlock", config.byzantium_block, false),
        ("constantinopleBlock", config.constantinople_block, false),
        ("petersburgBlock", petersburg, false),
        ("istanbulBlock", config.istanbul_block, false),
        ("muirGlacierBlock", config.muir_glacier_block, true),
        ("berlinBlock", config.berlin_block, false),
        ("londonBlock", config.london_block, false),
        ("arrowGlacierBlock", config.arrow_glacier_block, true),
        ("grayGlacierBlock", config.gray_glacier_block, true),
    ];
    ordered(&forks)?;
    if config.shanghai_time.is_some() && config.london_block.is_none() {
        return Err("shanghaiTime: is set, but londonBlock is not".into());
    }
    Ok(())
}

/// Checks that forks by time come in order and without a gap; BPO forks may be missing, but not the forks before them.
fn ordered_times(config: &ChainConfig) -> Result<(), String> {
    ordered(&[
        ("shanghaiTime", config.shanghai_time, false),
        ("cancunTime", config.cancun_time, false),
        ("pragueTime", config.prague_time, false),
        ("osakaTime", config.osaka_time, false),
        ("bpo1Time", config.bpo1_time, true),
        ("bpo2Time", config.bpo2_time, true),
        ("bpo3Time", config.bpo3_time, true),
        ("bpo4Time", config.bpo4_time, true),
        ("bpo5Time", config.bpo5_time, true),
    ])
}

/// Each activation that is set must not be below the one before it, and no fork that is not optional may be missing
/// before it.
fn ordered(forks: &[(&str, Option<u64>, bool)]) -> Result<(), String> {
    let mut last = ("", 0);
    let mut missing = None;
    for &(key, activation, is_optional) in forks {
        match activation {
            Some(at) => {
                if let Some(earlier) = missing {
                    return Err(format!("{key}: is set, but {earlier} is not"));
                }
                if at < last.1 {
                    return Err(format!("{key}: got {at}, expected at least {} as {}", last.1, last.0));
                }
                last = (key, at);
            }
            None if is_optional => {}
            None => missing = missing.or(Some(key)),
        }
    }
    Ok(())
}

fn or_never(activation: Option<u64>) -> String {
    activation.map_or_else(|| "never".into(), |at| at.to_string())
}

fn blobs(config: &ChainConfig) -> Result<Vec<BlobParameters>, String> {
    let of = |key: &str| config.blob_schedule.get(key).copied();
    let prague = of("prague").unwrap_or(BlobParams::prague());
    let forks = [
        ("cancun", config.cancun_time, Some(BlobParams::cancun())),
        ("prague", config.prague_time, Some(BlobParams::prague())),
        ("osaka", config.osaka_time, Some(prague)),
        ("bpo1", config.bpo1_time, Some(BlobParams::bpo1())),
        ("bpo2", config.bpo2_time, Some(BlobParams::bpo2())),
        ("bpo3", config.bpo3_time, None),
        ("bpo4", config.bpo4_time, None),
        ("bpo5", config.bpo5_time, None),
    ];
    let mut blobs = Vec::new();
    for (key, time, default) in forks {
        let Some(time) = time else { continue };
        let parameters = of(key)
            .or(default)
            .ok_or_else(|| format!("blobSchedule: {key}Time is set, but there is no entry {key}"))?;
        let (target, max) = (parameters.target_blob_count, parameters.max_blob_count);
        // 2^64 and more are told as 0.
        let base_fee_update_fraction = u64::try_from(parameters.update_fraction).unwrap_or(0);
        let parameters = BlobParameters { time, target, max, base_fee_update_fraction };
        parameters.check().map_err(|reason| format!("blobSchedule: {key}: {reason}"))?;
        blobs.push(parameters);
    }
    Ok(blobs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A configuration with all forks up to Osaka, changed by `change`.
    fn config(change: Value) -> ChainConfig {
        let mut config = json!({
            "chainId": 5, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0, "byzantiumBlock": 0,
            "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0, "berlinBlock": 0, "londonBlock": 0,
            "terminalTotalDifficulty": 0, "shanghaiTime": 0, "cancunTime": 10, "pragueTime": "0x14", "osakaTime": 30,
        });
        for (key, value) in change.as_object().expect("an object") {
            config[key] = value.clone();
        }
        serde_json::from_value(config).expect("well-formed")
    }

    fn refusal(change: Value) -> String {
        ChainRules::from_config(&config(change)).expect_err("must be refused")
    }

    #[test]
    fn blob_defaults_fill_a_missing_schedule() {
        let rules = ChainRules::from_config(&config(json!({"bpo1Time": 40, "bpo2Time": 50}))).expect("supported");
        let got: Vec<_> = rules.blobs.iter().map(|b| (b.time, b.target, b.max, b.base_fee_update_fraction)).collect();
        let expected = [
            (10, 3, 6, 3_338_477),
            (20, 6, 9, 5_007_716),
            (30, 6, 9, 5_007_716),
            (40, 10, 15, 8_346_193),
            (50, 14, 21, 11_684_671),
        ];
        assert_eq!(got, expected);
    }

    #[test]
    fn blob_schedule_is_taken_and_osaka_repeats_prague() {
        let schedule = json!({
            "prague": {"target": 1, "max": 2, "baseFeeUpdateFraction": 7},
            "bpo3": {"target": 4, "max": 5, "baseFeeUpdateFraction": 8},
            "amsterdam": {"target": 9, "max": 9, "baseFeeUpdateFraction": 9},
        });
        let rules =
            ChainRules::from_config(&config(json!({"blobSchedule": schedule, "bpo3Time": 60}))).expect("supported");
        let got: Vec<_> = rules.blobs.iter().map(|b| (b.time, b.target, b.max)).collect();
        assert_eq!(got, [(10, 3, 6), (20, 1, 2), (30, 1, 2), (60, 4, 5)]);
    }

    #[test]
    fn what_cannot_be_said_is_refused_by_name() {
        for (change, words) in [
            (json!({"amsterdamTime": 99}), "amsterdamTime: 99"),
            (json!({"bogotaTime": 99}), "bogotaTime: 99"),
            (json!({"verkleTime": 99}), "verkleTime: 99: unknown key"),
            (json!({"bpo6Time": 99}), "bpo6Time: 99: unknown key"),
            (json!({"optimism": {"eip1559Elasticity": 6}}), "optimism"),
            (json!({"qbft": {}}), "qbft"),
            (json!({"enableVerkleAtGenesis": true}), "enableVerkleAtGenesis: true"),
            (json!({"zeroBaseFee": true}), "zeroBaseFee: true"),
            (json!({"clique": {"period": 0, "epoch": 3}}), "clique"),
            (json!({"bpo3Time": 99}), "no entry bpo3"),
            (json!({"eip155Block": 5}), "eip155Block: got 5"),
            (json!({"byzantiumBlock": null}), "constantinopleBlock: is set, but byzantiumBlock is not"),
            (json!({"istanbulBlock": 9}), "berlinBlock: got 0, expected at least 9 as istanbulBlock"),
            (json!({"cancunTime": null}), "pragueTime: is set, but cancunTime is not"),
            (json!({"osakaTime": 15}), "osakaTime: got 15, expected at least 20"),
            (json!({"terminalTotalDifficulty": null}), "need terminalTotalDifficulty"),
            (json!({"londonBlock": null}), "londonBlock is not"),
            (json!({"withdrawalRequestContractAddress": "0x01"}), "withdrawalRequestContractAddress: got"),
            (
                json!({"blobSchedule": {"cancun": {"target": 7, "max": 6, "baseFeeUpdateFraction": 1}}}),
                "cancun: got target 7, max 6",
            ),
            (json!({"blobSchedule": {"cancun": {"target": 1, "max": 6, "baseFeeUpdateFraction": 0}}}), "cancun: got"),
        ] {
            let reason = refusal(change.clone());
            assert!(reason.contains(words), "{change}: {reason}");
        }
    }

    #[test]
    fn keys_without_effect_are_passed_over() {
        let change = json!({
            "yolov2Block": 0, "eip150Hash": "0x00", "parisBlock": 7, "verkleTime": null, "zeroBaseFee": false, "ethash": {},
            "mergeNetsplitBlock": 3, "depositContractAddress": "0x00000000219ab540356cbb839cbe05303d7705fa",
            "withdrawalRequestContractAddress": "0x00000961ef480eb55e80d19ad83579a64c007002",
        });
        let rules = ChainRules::from_config(&config(change)).expect("supported");
        assert_eq!(rules.deposit_contract, address!("00000000219ab540356cbb839cbe05303d7705fa"));
        assert_eq!(rules.prague, Some(20));
        assert_eq!(rules.name(), "custom");
    }

    #[test]
    fn petersburg_comes_with_constantinople_where_it_is_not_set() {
        let rules = ChainRules::from_config(&config(json!({"petersburgBlock": null}))).expect("supported");
        assert_eq!(rules.petersburg, rules.constantinople);
    }

    #[test]
    fn a_passed_terminal_difficulty_is_zero() {
        let change = json!({"terminalTotalDifficulty": null, "terminalTotalDifficultyPassed": true});
        let rules = ChainRules::from_config(&config(change)).expect("supported");
        assert_eq!(rules.terminal_total_difficulty, Some(U256::ZERO));
    }

    #[test]
    fn the_dao_fork_needs_a_block() {
        let without = ChainRules::from_config(&config(json!({"daoForkSupport": true}))).expect("supported");
        assert_eq!((without.dao, without.dao_support), (None, false));
        let with =
            ChainRules::from_config(&config(json!({"daoForkSupport": true, "daoForkBlock": 0}))).expect("supported");
        assert_eq!((with.dao, with.dao_support), (Some(0), true));
    }
}

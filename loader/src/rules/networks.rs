//! The rules of the networks that spec tests name: one fork from block 0 on, or one fork that follows another.
//!
//! `XToYAt5` has Y from block 5 on, `XToYAtTime15k` from timestamp 15,000 on, `XToYAtDiffC0000` from the total difficulty
//! 0xc0000 on. Blob parameters are the case's own; where it states none, mainnet's up to BPO2.
//! Source: ethereum/execution-spec-tests, `src/ethereum_test_forks` (names and transitions); ethereum/tests for the older names.

use super::{BlobParameters, ChainRules};
use alloy_primitives::{U256, address};
use std::collections::BTreeMap;

/// What a fork's activation counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    Number,
    Difficulty,
    Time,
}

/// Names in order of activation, with the names that other tests have for the same fork.
const FORKS: [(&str, &str, By); 23] = [
    ("Frontier", "", By::Number),
    ("Homestead", "", By::Number),
    ("EIP150", "TangerineWhistle", By::Number),
    ("EIP158", "SpuriousDragon", By::Number),
    ("Byzantium", "", By::Number),
    ("Constantinople", "", By::Number),
    ("ConstantinopleFix", "Petersburg", By::Number),
    ("Istanbul", "", By::Number),
    ("MuirGlacier", "", By::Number),
    ("Berlin", "", By::Number),
    ("London", "", By::Number),
    ("ArrowGlacier", "", By::Number),
    ("GrayGlacier", "", By::Number),
    ("Paris", "Merge", By::Difficulty),
    ("Shanghai", "", By::Time),
    ("Cancun", "", By::Time),
    ("Prague", "", By::Time),
    ("Osaka", "", By::Time),
    ("BPO1", "", By::Time),
    ("BPO2", "", By::Time),
    ("BPO3", "", By::Time),
    ("BPO4", "", By::Time),
    ("BPO5", "", By::Time),
];

/// Blob parameters of a fork: target, maximum, base fee update fraction (EIP-7840, EIP-7892).
pub type Blobs = (u64, u64, u64);

/// Those of the forks that have some.
const BLOBS: [(&str, Option<Blobs>); 8] = [
    ("Cancun", Some((3, 6, 3_338_477))),
    ("Prague", Some((6, 9, 5_007_716))),
    ("Osaka", Some((6, 9, 5_007_716))),
    ("BPO1", Some((10, 15, 8_346_193))),
    ("BPO2", Some((14, 21, 11_684_671))),
    ("BPO3", None),
    ("BPO4", None),
    ("BPO5", None),
];

/// Blob parameters by the fork's name.
pub type BlobSchedule = BTreeMap<String, Blobs>;

fn place(name: &str) -> Option<usize> {
    FORKS.iter().position(|(fork, alias, _)| !name.is_empty() && (*fork == name || *alias == name))
}

/// First fork, last fork, and where the last begins; `None` if the name is not of these forms.
fn parse(name: &str) -> Option<(usize, usize, By, U256)> {
    let Some((from, rest)) = name.split_once("To") else {
        let fork = place(name)?;
        return Some((fork, fork, FORKS[fork].2, U256::ZERO));
    };
    let (to, at) = rest.rsplit_once("At")?;
    let (from, to) = (place(from)?, place(to)?);
    let thousands = |digits: &str| match digits.strip_suffix('k') {
        Some(digits) => digits.parse::<u64>().ok()?.checked_mul(1000),
        None => digits.parse().ok(),
    };
    let (by, moment) = match (at.strip_prefix("Time"), at.strip_prefix("Diff")) {
        (Some(time), _) => (By::Time, U256::from(thousands(time)?)),
        (_, Some(difficulty)) => (By::Difficulty, U256::from_str_radix(difficulty, 16).ok()?),
        _ => (By::Number, U256::from(thousands(at)?)),
    };
    (from < to && FORKS[to].2 == by).then_some((from, to, by, moment))
}

impl ChainRules {
    /// The rules of a spec test's network. Errors are sentences: a name that is not known, blob parameters that are missing.
    pub fn of_network(name: &str, chain_id: u64, schedule: &BlobSchedule) -> Result<Self, String> {
        // The DAO fork stands beside the others.
        let dao = name.strip_prefix("HomesteadToDaoAt");
        let parsed = match dao {
            Some(number) => number.parse().ok().map(|n: u64| (1, 1, By::Number, U256::from(n))),
            None => parse(name),
        };
        let (from, to, by, moment) = parsed.ok_or_else(|| format!("network {name:?} is not known"))?;
        let when = |fork: &str| {
            let (_, _, kind) = FORKS[place(fork)?];
            match place(fork)? {
                place if place <= from => Some(0),
                // Forks between the two begin together with the last, if they can.
                place if place <= to && kind == by => Some(moment.saturating_to()),
                _ => None,
            }
        };
        let mut blobs = Vec::new();
        for (fork, default) in BLOBS {
            let Some(time) = when(fork) else { continue };
            let stated = schedule.get(fork).copied().or(default);
            let (target, max, base_fee_update_fraction) =
                stated.ok_or_else(|| format!("network {name:?}: blob parameters of {fork} are missing"))?;
            blobs.push(BlobParameters { time, target, max, base_fee_update_fraction });
        }
        let paris = place("Paris").unwrap_or(FORKS.len());
        Ok(Self {
            chain_id,
            genesis: None,
            homestead: when("Homestead"),
            dao: dao.map(|_| moment.saturating_to()),
            dao_support: dao.is_some(),
            tangerine_whistle: when("EIP150"),
            spurious_dragon: when("EIP158"),
            byzantium: when("Byzantium"),
            constantinople: when("Constantinople"),
            petersburg: when("ConstantinopleFix"),
            istanbul: when("Istanbul"),
            muir_glacier: when("MuirGlacier"),
            berlin: when("Berlin"),
            london: when("London"),
            arrow_glacier: when("ArrowGlacier"),
            gray_glacier: when("GrayGlacier"),
            terminal_total_difficulty: match by {
                By::Difficulty if from < paris => Some(moment),
                _ => (from >= paris).then_some(U256::ZERO),
            },
            shanghai: when("Shanghai"),
            cancun: when("Cancun"),
            prague: when("Prague"),
            osaka: when("Osaka"),
            blobs,
            deposit_contract: address!("00000000219ab540356cbb839cbe05303d7705fa"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Fork;

    fn rules(name: &str) -> ChainRules {
        ChainRules::of_network(name, 1, &BlobSchedule::new()).expect(name)
    }

    #[test]
    fn one_fork_from_block_0_on() {
        let by_number = [
            ("Frontier", Fork::Frontier),
            ("Homestead", Fork::Homestead),
            ("EIP150", Fork::TangerineWhistle),
            ("TangerineWhistle", Fork::TangerineWhistle),
            ("EIP158", Fork::SpuriousDragon),
            ("Byzantium", Fork::Byzantium),
            ("Constantinople", Fork::Constantinople),
            ("ConstantinopleFix", Fork::Petersburg),
            ("Petersburg", Fork::Petersburg),
            ("Istanbul", Fork::Istanbul),
            ("MuirGlacier", Fork::MuirGlacier),
            ("Berlin", Fork::Berlin),
            ("London", Fork::London),
            ("ArrowGlacier", Fork::ArrowGlacier),
            ("GrayGlacier", Fork::GrayGlacier),
        ];
        for (name, fork) in by_number {
            assert_eq!(rules(name).fork_at(0, 0, false), fork, "{name}");
            assert_eq!(rules(name).terminal_total_difficulty, None, "{name}");
        }
        for (name, fork) in
            [("Paris", Fork::Paris), ("Shanghai", Fork::Shanghai), ("Cancun", Fork::Cancun), ("Osaka", Fork::Osaka)]
        {
            assert_eq!(rules(name).fork_at(0, 0, true), fork, "{name}");
            assert_eq!(rules(name).terminal_total_difficulty, Some(U256::ZERO), "{name}");
            assert_eq!(rules(name).fork_at(0, 0, false), Fork::GrayGlacier, "{name}");
        }
        assert_eq!(rules("Shanghai").blobs_at(u64::MAX), None);
        assert_eq!(rules("BPO2").blobs_at(0).map(|b| b.max), Some(21));
        assert_eq!(rules("BPO2").fork_at(0, 0, true), Fork::Osaka);
    }

    #[test]
    fn one_fork_after_another() {
        let berlin = rules("BerlinToLondonAt5");
        assert_eq!((berlin.berlin, berlin.london, berlin.arrow_glacier), (Some(0), Some(5), None));
        let fix = rules("ByzantiumToConstantinopleFixAt5");
        assert_eq!((fix.constantinople, fix.petersburg), (Some(5), Some(5)));
        let dao = rules("HomesteadToDaoAt5");
        assert_eq!((dao.homestead, dao.dao, dao.dao_support, dao.tangerine_whistle), (Some(0), Some(5), true, None));
        let merge = rules("ArrowGlacierToParisAtDiffC0000");
        assert_eq!(merge.terminal_total_difficulty, Some(U256::from(0xc0000)));
        assert_eq!((merge.arrow_glacier, merge.gray_glacier, merge.shanghai), (Some(0), None, None));
        let prague = rules("CancunToPragueAtTime15k");
        assert_eq!((prague.cancun, prague.prague, prague.osaka), (Some(0), Some(15_000), None));
        assert_eq!(prague.blobs_at(14_999).map(|b| b.max), Some(6));
        assert_eq!(prague.blobs_at(15_000).map(|b| b.max), Some(9));
        let stated = BlobSchedule::from([("BPO3".into(), (21, 32, 20_609_697))]);
        let bpo = ChainRules::of_network("BPO2ToBPO3AtTime15k", 7, &stated).expect("stated");
        assert_eq!((bpo.chain_id, bpo.osaka), (7, Some(0)));
        assert_eq!(bpo.blobs_at(14_999).map(|b| b.max), Some(21));
        assert_eq!(bpo.blobs_at(15_000).map(|b| b.max), Some(32));
    }

    #[test]
    fn other_names_are_refused() {
        for name in [
            "",
            "Amsterdam",
            "berlin",
            "LondonToBerlinAt5",
            "BerlinToLondonAtTime15k",
            "CancunToPragueAt5",
            "CancunToPragueAtTimek",
            "ParisToParisAtDiff0",
            "ArrowGlacierToParisAtDiffxyz",
            "HomesteadToDaoAt",
            "BerlinToLondonAt99999999999999999999k",
        ] {
            let error = ChainRules::of_network(name, 1, &BlobSchedule::new()).expect_err(name);
            assert!(error.contains("is not known"), "{name}: {error}");
        }
        let error = ChainRules::of_network("BPO3", 1, &BlobSchedule::new()).expect_err("no default");
        assert!(error.contains("blob parameters of BPO3 are missing"), "{error}");
    }
}

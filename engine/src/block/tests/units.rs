//! Formulas against alloy's where both are defined, and at the ends of their ranges where only ours are.

use super::*;
use alloy_eips::{
    eip1559::{BaseFeeParams, calc_next_block_base_fee},
    eip7840::BlobParams,
};
use proptest::prelude::*;

#[test]
fn difficulty_of_each_era() {
    let at = |difficulty: u64, timestamp, has_ommers: bool| Header {
        difficulty: U256::from(difficulty),
        timestamp,
        ommers_hash: if has_ommers { B256::ZERO } else { alloy_consensus::EMPTY_OMMER_ROOT_HASH },
        ..Default::default()
    };
    let expected = |number: u64, elapsed: u64, has_ommers, fork| {
        difficulty::expected(number, 1_000 + elapsed, &at(2_048_000_000, 1_000, has_ommers), fork)
    };
    let step = 1_000_000i64;
    // (number, seconds, parent has ommers, fork, steps, bomb)
    for (number, elapsed, has_ommers, fork, steps, bomb) in [
        (1, 12, true, Fork::Frontier, 1, 0u64),
        (1, 13, true, Fork::Frontier, -1, 0),
        (199_999, 5_000, true, Fork::Frontier, -1, 0),
        (200_000, 0, true, Fork::Frontier, 1, 1),
        (300_000, 0, true, Fork::Frontier, 1, 2),
        (1, 9, true, Fork::Homestead, 1, 0),
        (1, 19, true, Fork::Homestead, 0, 0),
        (1, 20, true, Fork::Homestead, -1, 0),
        (1, 999, true, Fork::Homestead, -98, 0),
        (1, 1_009, true, Fork::Homestead, -99, 0),
        (1, 5_000, true, Fork::Homestead, -99, 0),
        (3_200_000, 0, true, Fork::SpuriousDragon, 1, 1 << 30),
        (1, 8, false, Fork::Byzantium, 1, 0),
        (1, 8, true, Fork::Byzantium, 2, 0),
        (1, 9, false, Fork::Byzantium, 0, 0),
        (1, 18, true, Fork::Byzantium, 0, 0),
        (1, 5_000, true, Fork::Byzantium, -99, 0),
        (3_199_999, 0, false, Fork::Byzantium, 1, 0),
        (3_200_000, 0, false, Fork::Byzantium, 1, 1),
        (5_200_000, 0, false, Fork::Constantinople, 1, 1),
        (5_200_000, 0, false, Fork::Istanbul, 1, 1),
        (9_200_000, 0, false, Fork::MuirGlacier, 1, 1),
        (9_200_000, 0, false, Fork::Berlin, 1, 1),
        (9_900_000, 0, false, Fork::London, 1, 1),
        (10_900_000, 0, false, Fork::ArrowGlacier, 1, 1),
        (11_600_000, 0, false, Fork::GrayGlacier, 1, 1),
        (11_599_999, 0, false, Fork::GrayGlacier, 1, 0),
    ] {
        let base = U256::from((2_048_000_000 + steps * step) as u64);
        let got = expected(number, elapsed, has_ommers, fork);
        assert_eq!(got, base + U256::from(bomb), "{number} {elapsed} {fork:?}");
    }
    // Least, and beyond all numbers.
    assert_eq!(difficulty::expected(1, 99, &at(0, 0, false), Fork::Frontier), U256::from(131_072));
    assert_eq!(difficulty::expected(u64::MAX, 99, &at(0, 0, false), Fork::Frontier), U256::MAX);
    let heaviest = Header { difficulty: U256::MAX, ..Default::default() };
    assert_eq!(total_difficulty_after(Some(U256::MAX), &heaviest), Some(U256::MAX));
    assert_eq!(total_difficulty_after(None, &heaviest), None);
}

#[test]
fn gas_limits_at_the_ends() {
    assert_eq!(fees::gas_limits(1_024_000, false), 1_023_001..=1_024_999);
    assert_eq!(fees::gas_limits(1_024_000, true), 2_046_001..=2_049_999);
    assert_eq!(fees::gas_limits(5_000, false), 5_000..=5_003);
    assert!(fees::gas_limits(0, false).is_empty());
    assert!(fees::gas_limits(1_023, false).is_empty());
    assert!(fees::gas_limits(u64::MAX, true).is_empty());
}

#[test]
fn excess_blob_gas_with_reserve_price() {
    let parameters = BlobParameters { time: 0, target: 6, max: 9, base_fee_update_fraction: 5_007_716 };
    let blob = 131_072;
    assert_eq!(fees::excess_blob_gas(0, 5 * blob, None, &parameters), Some(0));
    assert_eq!(fees::excess_blob_gas(0, 9 * blob, None, &parameters), Some(3 * u128::from(blob)));
    // EIP-7918: base fee 17 makes the reserve 8,192 * 17 > 131,072 * 1, and 16 does not.
    assert_eq!(fees::excess_blob_gas(0, 9 * blob, Some(16), &parameters), Some(3 * u128::from(blob)));
    assert_eq!(fees::excess_blob_gas(6 * blob, 0, Some(16), &parameters), Some(0));
    assert_eq!(fees::excess_blob_gas(6 * blob, 0, Some(17), &parameters), Some(6 * u128::from(blob)));
    assert_eq!(fees::excess_blob_gas(0, 9 * blob, Some(17), &parameters), Some(3 * u128::from(blob)));
    // Parameters that define nothing.
    for broken in [(0, 0, 0), (9, 6, 1), (6, 9, 0)] {
        let (target, max, base_fee_update_fraction) = broken;
        let parameters = BlobParameters { time: 0, target, max, base_fee_update_fraction };
        assert_eq!(fees::excess_blob_gas(1 << 40, 0, Some(1), &parameters), None);
    }
}

proptest! {
    #[test]
    fn base_fee_as_alloys(used in 0..200_000_000u64, limit in 5_000..200_000_000u64, fee in 0..1u64 << 50) {
        let alloys = calc_next_block_base_fee(used, limit, fee, BaseFeeParams::ethereum());
        prop_assert_eq!(fees::base_fee(used, limit, fee), u128::from(alloys));
    }

    #[test]
    fn excess_blob_gas_as_alloys(excess in 0..1u64 << 28, used in 0..40u64, fee in 0..1u64 << 40) {
        for (ours, alloys) in [((6, 9, 5_007_716), BlobParams::osaka()), ((14, 21, 11_684_671), BlobParams::bpo2())] {
            let (target, max, base_fee_update_fraction) = ours;
            let parameters = BlobParameters { time: 0, target, max, base_fee_update_fraction };
            let expected = alloys.next_block_excess_blob_gas_osaka(excess, used * 131_072, fee);
            let got = fees::excess_blob_gas(excess, used * 131_072, Some(fee), &parameters);
            prop_assert_eq!(got, Some(u128::from(expected)));
        }
    }

    /// No header and no parent makes a rule panic.
    #[test]
    fn no_header_panics(fields in prop::array::uniform16(prop_oneof![Just(0), Just(1), Just(u64::MAX), any::<u64>()]),
                        parent in prop::array::uniform16(prop_oneof![Just(0), Just(1), Just(u64::MAX), any::<u64>()])) {
        let header = |f: [u64; 16]| Header {
            difficulty: if f[0] == 0 { U256::ZERO } else { U256::MAX >> (f[1] % 256) },
            number: f[2],
            gas_limit: f[3],
            gas_used: f[4],
            timestamp: f[5],
            base_fee_per_gas: (f[6] != 0).then_some(f[7]),
            blob_gas_used: (f[8] != 0).then_some(f[9]),
            excess_blob_gas: (f[10] != 0).then_some(f[11]),
            ..Default::default()
        };
        let (header, parent) = (header(fields), header(parent));
        let mut block = OwnedBlock::from_header(header.clone());
        block.number = 1 + header.number % ((1 << 40) - 1);
        let parent = OwnedBlock::from_header(parent);
        block.ommers = vec![parent.header.clone(), header];
        block.ommers[1].parent_hash = parent.header.hash_slow();
        block.seal();
        let window = [parent.ancestor(), parent.ancestor()];
        let mut rules = ChainRules { terminal_total_difficulty: Some(U256::ONE), ..Default::default() };
        for step in 0..3 {
            if step > 0 {
                rules.london = Some(0);
                rules.shanghai = Some(0);
                rules.cancun = Some(0);
                let [target, max, base_fee_update_fraction] = [fields[12], fields[13], fields[14]];
                rules.blobs = vec![BlobParameters { time: 0, target, max, base_fee_update_fraction }];
            }
            if step > 1 {
                rules.osaka = Some(0);
            }
            let (faults, _) = block.judge(&window, Some(U256::MAX), &rules);
            prop_assert!(!faults.is_empty());
        }
    }
}

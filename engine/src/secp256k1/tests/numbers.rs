//! Field and scalars against ruint, at the limits of every kind of value.

use super::super::field::checked::{Checked, Kind};
use super::super::field::scalar::One;
use super::super::field::{BETA, Lanes, MASK_48, MASK_52, Row, equal, lane_words, roots};
use super::super::scalar::{Curve, Secp256k1, invert_scalars, scalar_words, split_odd};
use super::super::words::{FIELD_PRIME, INVERT_P, Inverter, ORDER, Words, from_bytes, is_below, sub, to_bytes};
use super::edges::{LAMBDA, times_mod_n};
use super::{Draw, for_each_variant};
use proptest::prelude::*;
use ruint::aliases::{U256, U512};

fn p() -> U512 {
    U512::from(U256::from_limbs(FIELD_PRIME))
}

/// The value of limbs, mod p.
fn value(limbs: &[u64; 5]) -> U512 {
    limbs.iter().rev().fold(U512::ZERO, |sum, limb| (sum << 52) + U512::from(*limb)) % p()
}

/// A limb: 0, 1, the greatest, next to it, or any.
fn limb(draw: &mut Draw, greatest: u64) -> u64 {
    match draw.word() % 6 {
        0 => 0,
        1 => 1.min(greatest),
        2 => greatest,
        3 => greatest - draw.word() % 2,
        _ => (u128::from(draw.word()) % (u128::from(greatest) + 1)) as u64,
    }
}

/// A value of a kind, limbs anywhere in its range, in every lane another.
fn drawn<L: Lanes>(draw: &mut Draw, kind: Kind) -> L {
    let is_scalar = L::LANES == 1;
    let top = match kind {
        Kind::Canonical => MASK_48 - 1,
        Kind::Tight | Kind::Raw => 1 << 48,
        Kind::Norm => 1 << 49,
        Kind::Loose => 1 << 51,
        Kind::Factor | Kind::Number => MASK_52,
    };
    let greatest = match kind {
        // Dirt above bit 52 in eight lanes; really more in one.
        Kind::Factor if !is_scalar => u64::MAX,
        Kind::Factor if is_scalar => (1 << 56) - 1,
        Kind::Raw if !is_scalar => (1 << 56) - 1,
        _ => MASK_52,
    };
    let mut out = L::splat(&[0; 4]);
    for lane in 0..L::LANES {
        let mut limbs: [u64; 5] = std::array::from_fn(|k| limb(draw, if k < 4 { greatest } else { top }));
        if kind == Kind::Canonical {
            limbs.iter_mut().for_each(|l| *l &= MASK_52);
        }
        out.set_limbs(lane, limbs);
    }
    out
}

/// What the limbs of a factor are worth: without the dirt, in eight lanes.
fn worth<L: Lanes>(a: &L, lane: usize, kind: Kind) -> U512 {
    let mut limbs = a.limbs(lane);
    if kind == Kind::Factor && L::LANES > 1 {
        limbs[..4].iter_mut().for_each(|l| *l &= MASK_52);
    }
    value(&limbs)
}

/// Runs an operation on the wrapped variant with its ranges checked, and holds each lane's value against ruint.
macro_rules! holds {
    ($draw:expr, $($op:ident($a:ident $(, $b:ident)*) as $out:ident = |$x:ident $(, $y:ident)*| $want:expr;)*) => {$({
        let $x = drawn::<L>($draw, Kind::$a);
        $(let $y = drawn::<L>($draw, Kind::$b);)*
        let got = Checked::new($x, Kind::$a).$op($(&Checked::new($y, Kind::$b)),*);
        for lane in 0..L::LANES {
            let want = { let $x = worth(&$x, lane, Kind::$a); $(let $y = worth(&$y, lane, Kind::$b);)* $want };
            assert_eq!(worth(got.value(), lane, Kind::$out), want % p(), "{}, lane {lane}", stringify!($op));
        }
    })*};
}

fn operations<L: Lanes>() {
    let mut draw = Draw::new(11);
    let rounds = if L::LANES == 1 { 2000 } else { 400 };
    let by = U512::from;
    L::enter(|| {
        for _ in 0..rounds {
            holds! { &mut draw,
                mul(Factor, Factor) as Tight = |a, b| a * b;
                mul(Norm, Loose) as Tight = |a, b| a * b;
                sqr(Factor) as Tight = |a| a * a;
                mul_f(Factor, Factor) as Factor = |a, b| a * b;
                sqr_f(Factor) as Factor = |a| a * a;
                mul_raw(Factor, Factor) as Raw = |a, b| a * b;
                sqr_raw(Factor) as Raw = |a| a * a;
                sqr3_f(Factor) as Factor = |a| a * a % p() * by(3);
                mul2_f(Factor, Factor) as Factor = |a, b| a * b % p() * by(2);
                mul_sub(Factor, Factor, Norm) as Norm = |a, b, c| a * b % p() + p() - c;
                mul_sub(Factor, Factor, Raw) as Norm = |a, b, c| a * b % p() + p() - c;
                mul_sub_f(Factor, Factor, Norm) as Factor = |a, b, c| a * b % p() + p() - c;
                mul_sub8(Factor, Factor, Raw) as Norm = |a, b, c| a * b % p() + (p() - c) * by(8);
                sqr_sub2(Factor, Norm, Norm) as Norm = |a, c, d| a * a % p() + p() - c + p() - d;
                sqr_sub_twice(Factor, Tight, Raw) as Norm = |a, c, d| a * a % p() + p() - c + (p() - d) * by(2);
                sqr_sub8(Factor, Raw) as Norm = |a, d| a * a % p() + (p() - d) * by(8);
                sub(Norm, Norm) as Factor = |a, b| a + p() - b;
                sub(Raw, Norm) as Factor = |a, b| a + p() - b;
                sub4(Raw, Norm) as Factor = |a, b| a * by(4) + p() - b;
                add(Norm, Norm) as Loose = |a, b| a + b;
                negate(Canonical) as Tight = |a| p() - a;
                canonical(Factor) as Canonical = |a| a;
                canonical(Loose) as Canonical = |a| a;
                canonical(Norm) as Canonical = |a| a;
            }
            let a = drawn::<L>(&mut draw, Kind::Factor);
            let is_zero = (0..L::LANES).any(|lane| worth(&a, lane, Kind::Factor) == U512::ZERO);
            assert_eq!(a.zeros() != 0, is_zero);
            if !is_zero {
                let inverse = a.invert();
                assert_eq!(equal(&inverse.mul(&a), &L::splat(&[1, 0, 0, 0])), L::ALL);
            }
            let square = a.sqr();
            assert_eq!(equal(&roots([square])[0].sqr(), &square), L::ALL);
            let c = a.canonical();
            let odd = (0..L::LANES).fold(0, |mask, lane| mask | ((c.limbs(lane)[0] & 1) as u8) << lane);
            assert_eq!(c.odd(), odd);
            assert_eq!(a.sub(&a).zeros() | drawn::<L>(&mut draw, Kind::Norm).zeros(), L::ALL);
        }
    });
}

#[test]
fn operations_equal_big_integers_at_the_limits_of_each_kind() {
    operations::<One>();
    #[cfg(target_arch = "x86_64")]
    if super::backends("operations_equal_big_integers_at_the_limits_of_each_kind").len() == 2 {
        operations::<super::super::field::avx512::Eight>();
    }
}

/// 0, 1, 2, p - 1, p, p + 1, 2^256 - 1 and the like come out canonical, also as unreduced limbs of 2^256 and above.
fn ends<L: Lanes>() {
    let one = U512::from(1);
    for base in [U512::ZERO, p(), one << 256, p() + p(), (one << 257) + (one << 212)] {
        for delta in 0..4_u64 {
            for v in [base + U512::from(delta), base.saturating_sub(U512::from(delta))] {
                let mask = U512::from(MASK_52);
                let limbs = std::array::from_fn(|k| ((v >> (52 * k)) & mask).as_limbs()[0]);
                let mut a = L::splat(&[0; 4]);
                (0..L::LANES).for_each(|lane| a.set_limbs(lane, limbs));
                let a = L::enter(|| a.canonical());
                for lane in 0..L::LANES {
                    assert_eq!(value(&a.limbs(lane)), v % p());
                    assert!(is_below(&super::super::words::from_limbs(&a.limbs(lane)).0, &FIELD_PRIME));
                }
                assert_eq!(L::enter(|| a.zeros()), if v % p() == U512::ZERO { L::ALL } else { 0 });
            }
        }
    }
    // Not a square: no root has it.
    let minus_one = L::splat(&sub(&FIELD_PRIME, &[1, 0, 0, 0]).0);
    assert_eq!(L::enter(|| equal(&roots([minus_one])[0].sqr(), &minus_one)), 0);
}

#[test]
fn ends_of_the_field() {
    ends::<One>();
    #[cfg(target_arch = "x86_64")]
    if super::backends("ends_of_the_field").len() == 2 {
        ends::<super::super::field::avx512::Eight>();
    }
}

#[test]
#[should_panic(expected = "mul: Raw")]
fn the_checker_trips_on_a_raw_factor() {
    let a = Checked::new(One([3, 0, 0, 0, 0]), Kind::Tight);
    let raw = a.mul_raw(&a);
    let _ = raw.mul(&a);
}

#[test]
#[should_panic(expected = "is no Tight")]
fn the_checker_trips_on_limbs_beyond_their_range() {
    let _ = Checked::new(One([0, 0, 0, 0, 1 << 50]), Kind::Tight);
}

fn rows<L: Lanes>() {
    let mut draw = Draw::new(12);
    let table: Vec<Row> = (0..32)
        .map(|_| {
            Row::new(&std::array::from_fn(|k| draw.word() >> (k / 3)), &std::array::from_fn(|k| draw.word() >> (k / 3)))
        })
        .collect();
    for _ in 0..50 {
        let places = std::array::from_fn(|_| draw.below(32) as u32);
        let stored = L::enter(|| {
            let (x, y) = L::load(&table, &places);
            L::store(&x, &y)
        });
        for lane in 0..L::LANES {
            assert_eq!(stored[lane], table[places[lane] as usize]);
        }
    }
}

#[test]
fn rows_come_back_from_lanes() {
    for_each_variant!("rows_come_back_from_lanes", rows);
}

fn scalars<L: Lanes>() {
    let mut draw = Draw::new(13);
    let modulus = &Secp256k1::MODULUS;
    let n = U256::from_limbs(ORDER);
    let ends: [Words; 8] = [
        [1, 0, 0, 0],
        [2, 0, 0, 0],
        sub(&ORDER, &[1, 0, 0, 0]).0,
        sub(&ORDER, &[2, 0, 0, 0]).0,
        [0, 0, 1, 0],
        [u64::MAX; 4],
        [1, 0, 1, 0],
        LAMBDA,
    ];
    let mut all: Vec<[Words; 8]> = vec![ends];
    all.extend((0..40).map(|_| std::array::from_fn(|_| std::array::from_fn(|_| draw.word()))));
    L::enter(|| {
        let lanes: Vec<L> = all.iter().map(L::from_words).collect();
        let mut inverses = Vec::new();
        invert_scalars::<L, Secp256k1>(&lanes, &mut inverses);
        let unit = L::splat(&[1, 0, 0, 0]);
        let (a, b) = (&all[0], &all[1]);
        for (i, words) in all.iter().enumerate() {
            // s / r as recovery does it.
            let quotient = lanes[(i + 1) % lanes.len()].mont(&inverses[i], modulus).mont(&unit, modulus);
            for lane in 0..L::LANES {
                let (r, s) = (U256::from_limbs(words[lane]), U256::from_limbs(all[(i + 1) % all.len()][lane]));
                let want = s.reduce_mod(n).mul_mod(r.reduce_mod(n).inv_mod(n).expect("prime"), n);
                assert_eq!(scalar_words::<L, Secp256k1>(&quotient, lane), want.into_limbs());
            }
        }
        let product = L::from_words(a).mont(&L::from_words(b), modulus).mont(&L::splat(&Secp256k1::R[1]), modulus);
        let product = product.mont(&unit, modulus);
        for lane in 0..L::LANES {
            let want = U256::from_limbs(a[lane]).mul_mod(U256::from_limbs(b[lane]), n);
            // mont twice with R^2 between: a b / R * R^2 / R / R = a b / R.
            let got = U256::from_limbs(scalar_words::<L, Secp256k1>(&product, lane));
            assert_eq!(got.mul_mod(U256::from_limbs(Secp256k1::R[0]), n), want);
        }
    });
}

#[test]
fn scalars_equal_big_integers() {
    for_each_variant!("scalars_equal_big_integers", scalars);
}

fn check_split(k: &Words) {
    let [a, b] = split_odd::<Secp256k1>(k);
    let n = U256::from_limbs(ORDER);
    let mod_n = |half: [u64; 3]| {
        let is_negative = half[2] >> 63 == 1;
        let size = if is_negative { sub(&[0; 3], &half).0 } else { half };
        assert!(half[0] & 1 == 1 && size[2] < 4, "{half:x?}");
        let size = U256::from_limbs([size[0], size[1], size[2], 0]);
        if is_negative { n - size } else { size }
    };
    let sum = mod_n(a).add_mod(mod_n(b).mul_mod(U256::from_limbs(LAMBDA), n), n);
    assert_eq!(sum.into_limbs(), *k);
    // Before it was made odd: at most 128 bits.
    for half in Secp256k1::split(k) {
        let size = if half[2] >> 63 == 1 { sub(&[0; 3], &half).0 } else { half };
        assert_eq!(size[2], 0, "{half:x?}");
    }
}

#[test]
fn splits_at_the_bounds_of_rounding() {
    // k = (i + 1/2) n / a for the lattice's a: c_1 or c_2 turns there.
    for a in
        [[0xE86C_90E4_9284_EB15_u64, 0x3086_D221_A7D4_6BCD, 0, 0], [0x6F54_7FA9_0ABF_E4C3, 0xE443_7ED6_010E_8828, 0, 0]]
    {
        let mut draw = Draw::new(14);
        for _ in 0..400 {
            let i = U512::from(draw.word()) << (draw.below(64));
            let (n, a) = (U512::from(U256::from_limbs(ORDER)), U512::from(U256::from_limbs(a)));
            let k: U512 = ((i * U512::from(2) + U512::from(1)) * n / (a * U512::from(2))) % n;
            for delta in 0..3_u64 {
                for k in [(k + U512::from(delta)) % n, (k + n - U512::from(delta)) % n] {
                    check_split(&std::array::from_fn(|w| k.as_limbs()[w]));
                }
            }
        }
    }
    for k in
        [[0; 4], [1, 0, 0, 0], [2, 0, 0, 0], LAMBDA, sub(&ORDER, &LAMBDA).0, sub(&ORDER, &[1, 0, 0, 0]).0, [0, 0, 1, 0]]
    {
        check_split(&k);
    }
    assert_eq!(times_mod_n(&LAMBDA, &times_mod_n(&LAMBDA, &LAMBDA)), [1, 0, 0, 0]);
    let beta = U256::from_limbs(BETA);
    let p = U256::from_limbs(FIELD_PRIME);
    assert_eq!(beta.mul_mod(beta, p).mul_mod(beta, p), U256::from(1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn inverses_equal_big_integers(words in any::<[u64; 4]>(), shift in 0_usize..256) {
        for (modulus, inverter) in [(FIELD_PRIME, &INVERT_P), (ORDER, &Inverter::new(&ORDER))] {
            let m = U256::from_limbs(modulus);
            let x = (U256::from_limbs(words) >> shift).reduce_mod(m);
            let want = x.inv_mod(m).unwrap_or_default();
            prop_assert_eq!(inverter.invert(&x.into_limbs()), want.into_limbs());
        }
    }

    #[test]
    fn splits_add_up(words in any::<[u64; 4]>(), shift in 0_usize..256) {
        let k = (U256::from_limbs(words) >> shift).reduce_mod(U256::from_limbs(ORDER));
        check_split(&k.into_limbs());
    }

    #[test]
    fn bytes_and_limbs_come_back(words in any::<[u64; 4]>()) {
        prop_assert_eq!(from_bytes(&to_bytes(&words)), words);
        prop_assert_eq!(to_bytes(&words), U256::from_limbs(words).to_be_bytes::<32>());
        let one = One::splat(&words);
        prop_assert_eq!(value(&one.0), U512::from(U256::from_limbs(words)) % p());
        prop_assert_eq!(lane_words(&one, 0), U256::from_limbs(words).reduce_mod(U256::from_limbs(FIELD_PRIME)).into_limbs());
    }
}

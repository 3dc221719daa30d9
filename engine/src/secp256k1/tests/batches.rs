//! Batches with hints: the result of every row is recovery's, whatever the hints say and whatever stands beside it.

use super::super::batch::{Limits, Verifier, Weights};
use super::super::field::scalar::One;
use super::super::field::{Lanes, Row};
use super::super::msm::{Msm, Scalars};
use super::super::scalar::{Curve, Secp256k1};
use super::super::words::{FIELD_PRIME, ORDER, from_bytes, sub, to_bytes};
use super::super::{Found, Hints, PublicKey, Signature, Wanted, library};
use super::edges::{edge_rows, times_mod_n};
use super::{Draw, for_each_variant, negated, signed, small};
use crate::secp256k1::group::multiply_two;
use crate::secp256k1::recover_hinted;
use ruint::aliases::U256;

/// Rows with all hints right.
#[derive(Clone)]
pub(super) struct World {
    pub rows: Vec<Signature>,
    pub keys: Vec<PublicKey>,
    pub signers: Vec<u32>,
    pub roots: Vec<[u8; 32]>,
}

/// y of the point with this x and parity, by libsecp256k1.
pub(super) fn root(row: &Signature) -> Option<[u8; 32]> {
    let mut x = U256::from_be_bytes(row.r);
    if row.recovery_id & 2 != 0 {
        x = x.checked_add(U256::from_limbs(ORDER))?;
    }
    let mut compressed = [2 + (row.recovery_id & 1); 33];
    compressed[1..].copy_from_slice(&x.to_be_bytes::<32>());
    let key = secp256k1::PublicKey::from_slice(&compressed).ok()?;
    key.serialize_uncompressed()[33..].try_into().ok()
}

impl World {
    pub(super) fn new(rows: usize, signers: usize, draw: &mut Draw) -> Self {
        let (rows, keys) = signed(rows, signers, draw);
        let roots = rows.iter().map(|row| root(row).expect("signed")).collect();
        let signers_of = (0..rows.len()).map(|i| (i % signers) as u32).collect();
        Self { rows, keys: keys[..signers.min(keys.len())].to_vec(), signers: signers_of, roots }
    }

    /// Edge rows, each with the key that libsecp256k1 finds, or with somebody's.
    pub(super) fn of_edges() -> Self {
        let rows = edge_rows();
        let keys: Vec<_> = rows.iter().map(|row| library::recover(row).unwrap_or(PublicKey([7; 64]))).collect();
        let roots = rows.iter().map(|row| root(row).unwrap_or([1; 32])).collect();
        Self { signers: (0..rows.len() as u32).collect(), rows, keys, roots }
    }

    pub(super) fn hints(&self, with_roots: bool) -> Hints<'_> {
        Hints { keys: &self.keys, signers: &self.signers, roots: if with_roots { &self.roots } else { &[] } }
    }

    pub(super) fn expected(&self) -> Vec<Option<PublicKey>> {
        self.rows.iter().map(library::recover).collect()
    }

    pub(super) fn found(&self) -> Vec<Option<Found>> {
        let found = |row: &Signature| Some(Found { key: library::recover(row)?, root: root(row)? });
        self.rows.iter().map(found).collect()
    }
}

/// What a verifier says of rows.
fn verified<L: Lanes, W: Wanted>(verifier: &mut Verifier<L>, rows: &[Signature], hints: &Hints<'_>) -> Vec<Option<W>> {
    let mut out = vec![None; rows.len()];
    verifier.recover(rows, hints, &mut out);
    out
}

/// A verifier that tests batches of any size, and bisects to the end.
fn eager<L: Lanes>() -> Verifier<L> {
    let mut verifier = Verifier::new();
    verifier.limits = Limits { batch_from: 1, bisect_from: 2, bisect_to: 2, probe_from: usize::MAX };
    verifier
}

fn valid_batches<L: Lanes>() {
    let mut draw = Draw::new(21);
    let mut verifier = eager::<L>();
    for rows in (1..=20).chain([63, 64, 65, 200]) {
        for signers in [1, rows / 10 + 1, rows] {
            let world = World::new(rows, signers, &mut draw);
            for with_roots in [true, false] {
                verifier.checks = (0, 0);
                let got = verified(&mut verifier, &world.rows, &world.hints(with_roots));
                assert!(got == world.found(), "{rows} rows, {signers} signers, roots {with_roots}");
                assert_eq!(verifier.checks, (1, rows as u64), "one check is enough");
            }
        }
    }
    let world = World::of_edges();
    for with_roots in [true, false] {
        assert!(verified(&mut verifier, &world.rows, &world.hints(with_roots)) == world.found());
        assert!(verified(&mut verifier, &world.rows, &world.hints(with_roots)) == world.expected());
    }
    assert_eq!(verified::<_, PublicKey>(&mut verifier, &[], &Hints::default()), []);
}

#[test]
fn valid_batches_are_accepted_at_once() {
    for_each_variant!("valid_batches_are_accepted_at_once", valid_batches);
}

/// Flips one bit of one field: digest, r, s, recovery id, root, key.
pub(super) fn mutate(world: &mut World, field: usize, place: usize, draw: &mut Draw) {
    let bit = draw.below(256);
    let flip = |bytes: &mut [u8]| bytes[bit / 8] ^= 1 << (bit % 8);
    match field {
        0 => flip(&mut world.rows[place].digest),
        1 => flip(&mut world.rows[place].r),
        2 => flip(&mut world.rows[place].s),
        3 => world.rows[place].recovery_id ^= 1 << (bit % 8),
        4 => flip(&mut world.roots[place]),
        _ => {
            let key = &mut world.keys[world.signers[place] as usize].0;
            flip(if draw.word() & 1 == 0 { &mut key[..32] } else { &mut key[32..] });
        }
    }
}

/// One bit of one row of a small batch: tested by itself, so that the check, not recovery, must find it.
fn single_mutations<L: Lanes>(count: usize) {
    let mut draw = Draw::new(22);
    let mut verifier = eager::<L>();
    let worlds: Vec<World> = [1, 2, 7, 8, 9, 33].map(|rows| World::new(rows, rows.div_ceil(3), &mut draw)).into();
    let expected: Vec<_> = worlds.iter().map(World::expected).collect();
    for i in 0..count {
        let (base, expected) = (&worlds[i / 6 % worlds.len()], &expected[i / 6 % worlds.len()]);
        let place = draw.below(base.rows.len());
        let mut world = base.clone();
        mutate(&mut world, i % 6, place, &mut draw);
        let mut expected = expected.clone();
        expected[place] = library::recover(&world.rows[place]);
        assert_eq!(expected[place] == Some(base.keys[base.signers[place] as usize]), i % 6 >= 4, "recovery notices");
        let got = verified(&mut verifier, &world.rows, &world.hints(i % 5 != 0));
        assert!(got == expected, "field {}, row {place} of {}", i % 6, world.rows.len());
    }
}

#[test]
fn a_flipped_bit_changes_what_recovery_says_it_changes() {
    single_mutations::<One>(300);
    #[cfg(target_arch = "x86_64")]
    if super::backends("a_flipped_bit_changes_what_recovery_says_it_changes").len() == 2 {
        single_mutations::<super::super::field::avx512::Eight>(7000);
        single_mutations::<super::CheckedEight>(60);
    }
}

/// Many bits in large batches, at their edges and in the middle.
#[test]
fn flipped_bits_in_large_batches() {
    let mut draw = Draw::new(23);
    let (whole, bad) = (World::new(20_000, 400, &mut draw), [1, 5, 700, 3000]);
    let expected: Vec<_> = (0..20_000).map(|i| Some(whole.keys[i % 400])).collect();
    for (backend, sizes) in super::backends("flipped_bits_in_large_batches")
        .into_iter()
        .map(|b| (b, if b == super::Backend::Scalar { vec![1500] } else { vec![1023, 1500, 5000, 20_000] }))
    {
        for (size, bad) in sizes.into_iter().zip(bad) {
            let mut world = whole.clone();
            world.rows.truncate(size);
            world.roots.truncate(size);
            world.signers.truncate(size);
            let mut expected = expected[..size].to_vec();
            for i in 0..bad {
                let place = [0, size - 1, size / 2, size / 2 - 1].get(i).copied().unwrap_or_else(|| draw.below(size));
                // Keys are shared by many rows: their bits are left to the other test.
                mutate(&mut world, i % 5, place, &mut draw);
                expected[place] = library::recover(&world.rows[place]);
            }
            let got = recover_hinted(backend, &world.rows, &world.hints(true));
            assert!(got == expected, "{backend}: {size} rows");
        }
    }
}

/// z_0 grows by s_0 t and z_1 shrinks by s_1 t, so their errors cancel in a plain sum.
pub(super) fn cancelling_world(rows: usize) -> World {
    let mut draw = Draw::new(24);
    let mut world = World::new(rows, rows, &mut draw);
    let t = [5, 6, 7, 8];
    let n = U256::from_limbs(ORDER);
    for (place, is_plus) in [(0, true), (1, false)] {
        let row = &mut world.rows[place];
        let by = times_mod_n(&from_bytes(&row.s), &t);
        let by = if is_plus { by } else { negated(&by) };
        row.digest = U256::from_be_bytes(row.digest).add_mod(U256::from_limbs(by), n).to_be_bytes();
    }
    world
}

fn cancelling<L: Lanes>() {
    let world = cancelling_world(40);
    let hinted: Vec<_> = world.keys.iter().map(|key| Some(*key)).collect();
    assert!(world.expected() != hinted, "two rows are wrong");
    let mut verifier = eager::<L>();
    verifier.weights = Some(Weights::Equal);
    assert!(verified(&mut verifier, &world.rows, &world.hints(true)) == hinted, "equal weights let them pass");
    verifier.weights = Some(Weights::Seed(1));
    assert!(verified(&mut verifier, &world.rows, &world.hints(true)) == world.expected());
    verifier.weights = None;
    for _ in 0..20 {
        assert!(verified(&mut verifier, &world.rows, &world.hints(true)) == world.expected());
    }
}

#[test]
fn errors_that_cancel_under_equal_weights_are_caught_under_drawn_ones() {
    for_each_variant!("errors_that_cancel_under_equal_weights_are_caught_under_drawn_ones", cancelling);
}

/// Ways in which hints are wrong.
pub(super) const WAYS: usize = 12;

/// Hints of some rows are wrong in this way.
pub(super) fn with_wrong_hints(base: &World, way: usize, places: impl Iterator<Item = usize>) -> World {
    let mut world = base.clone();
    let p = to_bytes(&FIELD_PRIME);
    let (rows, keys) = (base.rows.len(), base.keys.len());
    for place in places {
        let key = world.signers[place] as usize;
        let minus_y = |y: &[u8]| to_bytes(&sub(&FIELD_PRIME, &from_bytes(y.try_into().expect("32 bytes"))).0);
        match way {
            0 => world.signers[place] = (world.signers[place] + 1) % keys as u32,
            1 => world.signers[place] = keys as u32,
            2 => world.signers[place] = u32::MAX,
            3 => world.keys[key] = PublicKey([0; 64]),
            4 => world.keys[key].0[..32].copy_from_slice(&p),
            5 => world.keys[key].0[63] ^= 1,
            6 => {
                let y = minus_y(&base.keys[key].0[32..]);
                world.keys[key].0[32..].copy_from_slice(&y);
            }
            7 => world.roots[place] = minus_y(&base.roots[place]),
            8 => world.roots[place] = p,
            9 => world.roots[place] = [0xff; 32],
            10 => world.roots[place][31] ^= 2,
            _ => world.roots[place] = base.roots[(place + 1) % rows],
        }
    }
    world
}

/// Hints that are wrong in every way there is.
fn wrong_hints<L: Lanes>() {
    let mut draw = Draw::new(25);
    let base = World::new(60, 20, &mut draw);
    let expected = base.expected();
    let mut verifier = eager::<L>();
    for way in 0..WAYS {
        for share in [1, 2] {
            let world = with_wrong_hints(&base, way, (0..60).step_by(share));
            for with_roots in [true, false] {
                assert!(
                    verified(&mut verifier, &world.rows, &world.hints(with_roots)) == expected,
                    "way {way}, 1 in {share}"
                );
            }
        }
    }
    // Too few signers, too many roots.
    let short = Hints { signers: &base.signers[..30], ..base.hints(true) };
    assert!(verified(&mut verifier, &base.rows, &short) == expected);
    let roots = [base.roots.clone(), vec![[0; 32]]].concat();
    assert!(verified(&mut verifier, &base.rows, &Hints { roots: &roots, ..base.hints(false) }) == expected);
}

#[test]
fn wrong_hints_change_nothing() {
    for_each_variant!("wrong_hints_change_nothing", wrong_hints);
}

/// One row many times, mirrored rows, R = +-Q, R = +-G: equal and opposite points everywhere.
pub(super) fn meeting_world() -> World {
    let mut draw = Draw::new(26);
    let base = World::new(3, 3, &mut draw);
    let mut world = base.clone();
    for i in 3..120 {
        let from = [0, 0, 0, 1, i % 3][i % 5];
        let mut row = base.rows[from];
        let mut y = base.roots[from];
        if i % 7 == 0 {
            row.s = to_bytes(&negated(&from_bytes(&row.s)));
            row.recovery_id ^= 1;
            y = to_bytes(&sub(&FIELD_PRIME, &from_bytes(&y)).0);
        }
        world.rows.push(row);
        world.roots.push(y);
        world.signers.push(from as u32);
    }
    // R = k G: Q = (s k - z) / r G; with z = s (k -+ r / s ..) many keys are R or G themselves.
    for k in [1_u64, 2] {
        let r =
            multiply_two::<One>(&[k, 0, 0, 0], &Secp256k1::G, &[0; 4], &Secp256k1::G).expect("not the identity").x();
        for recovery_id in [0, 1] {
            for z in 0..4 {
                // s = r, so Q = +-k G - (z / r) G: z = 0 gives Q = R.
                let row = Signature {
                    digest: to_bytes(&times_mod_n(&r, &[z, 0, 0, 0])),
                    r: to_bytes(&r),
                    s: to_bytes(&r),
                    recovery_id,
                };
                if let (Some(key), Some(y)) = (library::recover(&row), root(&row)) {
                    world.signers.push(world.keys.len() as u32);
                    world.keys.push(key);
                    world.rows.push(row);
                    world.roots.push(y);
                }
            }
        }
    }
    world
}

fn meetings<L: Lanes>() {
    let mut world = meeting_world();
    let mut verifier = eager::<L>();
    verifier.checks = (0, 0);
    assert!(verified(&mut verifier, &world.rows, &world.hints(true)) == world.expected());
    assert_eq!(verifier.checks.0, 1);
    world.rows[50].digest = small(3);
    assert!(verified(&mut verifier, &world.rows, &world.hints(true)) == world.expected());
}

#[test]
fn equal_and_opposite_points_in_a_batch() {
    for_each_variant!("equal_and_opposite_points_in_a_batch", meetings);
}

/// Whatever is wrong, at most half as many rows again are tested as there are.
#[test]
fn work_on_a_bad_batch_is_bounded() {
    let mut draw = Draw::new(27);
    let base = World::new(2048, 10, &mut draw);
    let mut verifier = Verifier::<One>::new();
    for bad in [vec![0], vec![2047], vec![1024], vec![0, 2047], (0..2048).collect::<Vec<_>>()] {
        let mut world = base.clone();
        bad.iter().for_each(|place| world.rows[*place].digest[0] ^= 1);
        verifier.checks = (0, 0);
        let mut expected: Vec<_> = (0..2048).map(|i| Some(base.keys[i % 10])).collect();
        bad.iter().for_each(|place| expected[*place] = library::recover(&world.rows[*place]));
        assert!(verified(&mut verifier, &world.rows, &world.hints(true)) == expected);
        assert!(verifier.checks.1 <= 2048 + 1024, "{:?} for {} bad rows", verifier.checks, bad.len());
        // Where all are bad, the probe says so.
        assert!(bad.len() < 2048 || verifier.checks == (1, 256), "{:?}", verifier.checks);
    }
}

/// Sums of multiples by buckets against one multiple after the other, for many layouts of windows.
fn sums<L: Lanes>() {
    let mut draw = Draw::new(28);
    let mut msm = Msm::<L>::new();
    for (count, windows) in
        [(1, None), (3, Some([5, 5])), (17, Some([16, 16])), (40, Some([7, 9])), (40, Some([13, 5]))]
    {
        let mut scalars = [Scalars::default(), Scalars::default()];
        let (mut rows, mut expected) = (vec![Row::ZERO], crate::secp256k1::group::Single::<One>::IDENTITY);
        for (part, scalars) in scalars.iter_mut().enumerate() {
            for i in 0..count {
                let k = match draw.below(5) {
                    0 => [u64::MAX, u64::MAX],
                    1 => [0, 0],
                    2 => [1 << 63, 1 << 63],
                    _ => [draw.word(), draw.word()],
                };
                let k = [k[0], k[1] * part as u64];
                let of = [1 + draw.below(5) as u64 * (i as u64 % 3), 0, 0, 0];
                let row = multiply_two::<One>(&of, &Secp256k1::G, &[0; 4], &Secp256k1::G).expect("not the identity");
                let is_negative = draw.word() & 1 == 1;
                scalars.push(k, is_negative);
                rows.push(row);
                if let Some(mut times) = multiply_two::<One>(&[k[0], k[1], 0, 0], &row, &[0; 4], &row) {
                    if is_negative {
                        times = Row::new(&times.x(), &sub(&FIELD_PRIME, &times.y()).0);
                    }
                    expected = expected.add_affine(&crate::secp256k1::group::splat(&times));
                }
            }
        }
        let got = msm.sum(&rows, [&scalars[0], &scalars[1]], windows);
        assert_eq!(got.affine(), expected.affine(), "{count} points, windows {windows:?}");
    }
}

#[test]
fn sums_of_multiples_equal_one_after_the_other() {
    for_each_variant!("sums_of_multiples_equal_one_after_the_other", sums);
}

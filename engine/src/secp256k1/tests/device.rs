//! Recovery on a device: its stages against their twins bit for bit, both products against ruint, whole rows against both libraries.
//!
//! A software adapter (lavapipe) does where there is no other, and is named; where there is none, each test says that it is
//! skipped. Every stage runs in both flavours, with the checks that wgpu puts in and without them.

use super::super::gpu::{COLUMNS, DEVICE_ROWS, Device, Recoverer, SHARING, device, halved, number, pack, unpack};
use super::super::scalar::{Curve, Secp256k1};
use super::super::words::{FIELD_PRIME, Words};
use super::super::{Hints, PublicKey, Signature, library, recover, recover_hinted, recover_with_roots};
use super::batches::World;
use super::edges::edge_rows;
use super::{Backend, Draw, recover_by_k256, signed};
use crate::backend::{BackendError, Backends, Forced};
use crate::gpu::{Gpu, Limits, Pipeline, Setup};
use crate::secp256k1::field::Row;
use crate::secp256k1::field::scalar::One;
use crate::secp256k1::group::{Single, splat};
use manaflow_shaders::secp256k1::{self as stages, Recovery, TILE};
use manaflow_shaders::{Access, Stage, twin};
use ruint::aliases::{U256, U512};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;
use twin::field::{Element, Product, U32, U64};

/// What no stage writes by accident.
pub(super) const POISON: u32 = 0xa5a5_a5a5;

fn open(is_checked: bool, limits: Limits) -> Option<Gpu> {
    static SAID: OnceLock<()> = OnceLock::new();
    let gpu = Gpu::open(&Setup { allows_software: true, is_checked, limits, ..Setup::default() }).ok()?;
    SAID.get_or_init(|| manaflow_datasets::say(&format!("device: {}", gpu.adapter())));
    Some(gpu)
}

pub(super) fn open_for(test: &str, limits: Limits) -> Option<Gpu> {
    let gpu = open(true, limits);
    if gpu.is_none() {
        manaflow_datasets::skip(test, "no adapter");
    }
    gpu
}

/// A device with checks and one without; the test is said to be skipped if there is no adapter.
pub(super) fn gpus(test: &str) -> &'static [Gpu] {
    static GPUS: OnceLock<Vec<Gpu>> = OnceLock::new();
    let both = || [true, false].into_iter().filter_map(|is_checked| open(is_checked, Limits::ANY)).collect();
    let gpus = GPUS.get_or_init(both);
    if gpus.is_empty() {
        manaflow_datasets::skip(test, "no adapter");
    }
    gpus
}

pub(super) fn flavours(gpu: &Gpu) -> impl Iterator<Item = &'static Recovery> {
    [&stages::U32, &stages::U64].into_iter().filter(|flavour| !flavour.lift.needs_u64 || gpu.has_u64())
}

/// Every flavour on every device, ready to recover, made once.
pub(super) fn recoverers(test: &str) -> &'static [(&'static str, Recoverer<'static>)] {
    static ALL: OnceLock<Vec<(&'static str, Recoverer<'static>)>> = OnceLock::new();
    let gpus = gpus(test);
    let made = |gpu: &'static Gpu| flavours(gpu).map(move |f| (f.lift.name, Recoverer::with(gpu, f, usize::MAX)));
    ALL.get_or_init(|| gpus.iter().flat_map(made).map(|(name, r)| (name, r.expect("it compiles"))).collect())
}

fn big(a: &Element) -> U256 {
    U256::from_limbs(std::array::from_fn(|k| u64::from(a[2 * k]) | u64::from(a[2 * k + 1]) << 32))
}

pub(super) fn element(words: &Words) -> Element {
    words.map(halved).as_flattened().try_into().expect("eight words")
}

fn p() -> U256 {
    U256::from_limbs(FIELD_PRIME)
}

/// Numbers at which carries, borrows and folds turn.
fn edges() -> Vec<Element> {
    let one = U256::from(1);
    let mut all: Vec<U256> = (0..4).map(U256::from).collect();
    all.extend([976u64, 977, 978, 0x1_0000_03d0, 0x1_0000_03d1, 0x1_0000_03d2].map(U256::from));
    all.extend([1u64, 2, 976, 977, 978, 0x1_0000_03d1].map(|d| p() - U256::from(d)));
    all.extend([(p() - one) >> 1, (p() + one) >> 1, (p() + one) >> 2]);
    for k in [13, 26, 32, 64, 96, 128, 160, 192, 224, 247, 255] {
        let power = one << k;
        all.extend([power, power - one, p() - power]);
    }
    for k in 0..8 {
        let word = U256::from(u32::MAX) << (32 * k);
        all.extend([word % p(), (U256::MAX ^ word) % p()]);
    }
    all.iter().map(|n| element(&n.into_limbs())).collect()
}

/// A number below p: an edge, or any.
pub(super) fn drawn(draw: &mut Draw) -> Element {
    let edges = edges();
    match draw.below(4) {
        0 => edges[draw.below(edges.len())],
        _ => element(&(U256::from_limbs(std::array::from_fn(|_| draw.word())) % p()).into_limbs()),
    }
}

/// Pairs of edges, pairs whose product is next to a multiple of p, and drawn ones.
fn pairs(draw: &mut Draw) -> Vec<(Element, Element)> {
    let edges = edges();
    let mut pairs: Vec<_> = edges.iter().flat_map(|a| edges.iter().map(move |b| (*a, *b))).collect();
    for a in edges.iter().filter(|a| big(a) != U256::ZERO) {
        let inverse = big(a).inv_mod(p()).expect("p is prime");
        for d in 0..7 {
            let d = (p() + U256::from(d) - U256::from(3)) % p();
            pairs.push((*a, element(&inverse.mul_mod(d, p()).into_limbs())));
        }
    }
    pairs.extend((0..4000).map(|_| (drawn(draw), drawn(draw))));
    pairs
}

fn product(a: &Element, b: &Element) -> Element {
    let wide: U512 = U512::from(big(a)) * U512::from(big(b)) % U512::from(p());
    element(&std::array::from_fn(|k| wide.as_limbs()[k]))
}

#[test]
fn twins_of_both_products_are_right() {
    let mut draw = Draw::new(301);
    for (a, b) in pairs(&mut draw) {
        let wanted = product(&a, &b);
        assert_eq!((U32::mul(&a, &b), U64::mul(&a, &b)), (wanted, wanted), "{a:x?} {b:x?}");
        assert_eq!(big(&twin::field::add(&a, &b)), big(&a).add_mod(big(&b), p()), "{a:x?} {b:x?}");
        assert_eq!(big(&twin::field::sub(&a, &b)), big(&a).add_mod(p() - big(&b), p()), "{a:x?} {b:x?}");
    }
}

/// Stages of a device, each compiled once, with the times of their first runs: drivers compile then.
pub(super) struct Compiled<'a> {
    gpu: &'a Gpu,
    pipelines: BTreeMap<&'static str, (Pipeline, Vec<f64>)>,
}

impl<'a> Compiled<'a> {
    pub(super) fn new(gpu: &'a Gpu) -> Self {
        Self { gpu, pipelines: BTreeMap::new() }
    }

    /// A stage once over buffers; all of them as they are afterwards.
    pub(super) fn run(&mut self, stage: &'static Stage, params: [u32; 4], buffers: &[Vec<u32>]) -> Vec<Vec<u32>> {
        let (gpu, start) = (self.gpu, Instant::now());
        let compile = || (gpu.pipeline(stage).expect("it compiles"), Vec::new());
        let (pipeline, seconds) = self.pipelines.entry(stage.name).or_insert_with(compile);
        let on_device: Vec<_> = buffers.iter().map(|words| gpu.upload(words).expect("there is room")).collect();
        let mut batch = gpu.batch();
        // More groups than there are rows, or parts of buckets.
        let each = if stage.entry == "accumulate" { params[1] } else { 1 };
        let groups = (params[0] * each).div_ceil(64) + 2;
        batch.run(pipeline, params, &on_device.iter().collect::<Vec<_>>(), groups).expect("a dispatch");
        on_device.iter().zip(buffers).for_each(|(buffer, words)| batch.read(buffer, words.len()));
        let read = batch.finish().expect("it runs");
        seconds.push(start.elapsed().as_secs_f64());
        read
    }

    /// Says what each stage took until it had run once, and that of the later runs which took longest.
    pub(super) fn say(&self) {
        for (name, (_, seconds)) in &self.pipelines {
            let later = seconds[1..].iter().fold(0.0, |a: f64, b| a.max(*b));
            manaflow_datasets::say(&format!("{name}: {:.2} s until it has run once, then {later:.2} s", seconds[0]));
        }
    }
}

/// The same on the device: z times another number is a product.
#[test]
fn products_of_a_device_are_right() {
    let mut draw = Draw::new(302);
    let pairs = pairs(&mut draw);
    let rows = pairs.len().next_multiple_of(TILE);
    let (mut points, mut scale) = (vec![0; rows * 24], vec![0; rows * 8]);
    for (row, (a, b)) in pairs.iter().enumerate() {
        twin::secp256k1::store(&mut points, 16, row, 24, a);
        twin::secp256k1::store(&mut scale, 0, row, 8, b);
    }
    for gpu in gpus("products_of_a_device_are_right") {
        for flavour in flavours(gpu) {
            let params = [pairs.len() as u32, 0, 0, 0];
            let read = Compiled::new(gpu).run(&flavour.rescale, params, &[scale.clone(), points.clone()]);
            for (row, (a, b)) in pairs.iter().enumerate() {
                let got = twin::secp256k1::load(&read[1], 16, row, 24);
                assert_eq!(got, product(a, b), "{}: {a:x?} {b:x?}", flavour.rescale.name);
            }
        }
    }
}

/// A column of drawn numbers, `words` words a row.
pub(super) fn column(rows: usize, words: usize, draw: &mut Draw) -> Vec<u32> {
    let mut out = vec![POISON; rows.next_multiple_of(TILE) * words];
    for row in 0..rows {
        for word in (0..words.saturating_sub(7)).step_by(8) {
            twin::secp256k1::store(&mut out, word, row, words, &drawn(draw));
        }
    }
    out
}

/// A twin as a function of its buffers.
pub(super) type Twin<'a> = &'a dyn Fn(&mut [Vec<u32>]);

/// Holds a stage against both of its twins: all words, those that it must not write too.
pub(super) fn hold(
    on: &mut Compiled<'_>,
    stages: &[&'static Stage],
    params: [u32; 4],
    buffers: &[Vec<u32>],
    twins: [Twin<'_>; 2],
) {
    let expected = twins.map(|twin| {
        let mut buffers = buffers.to_vec();
        twin(&mut buffers);
        buffers
    });
    assert!(expected[0] == expected[1], "{}: {params:?}: flavours differ", stages[0].name);
    for (stage, expected) in stages.iter().zip(&expected) {
        let read = on.run(stage, params, buffers);
        for (i, (got, wanted)) in read.iter().zip(expected).enumerate() {
            let wrong = got.iter().zip(wanted).position(|(a, b)| a != b);
            assert_eq!(wrong, None, "{}: {params:?}: buffer {i}", stage.name);
            assert!(stage.bindings[i + 1] == Access::Write || *got == buffers[i], "{}: {i} is read", stage.name);
        }
    }
}

/// Both twins of a stage over its buffers, in the order of the bindings; and which of them it writes.
macro_rules! twins {
    ($name:ident, $params:expr, [$($buffer:ident: $($access:ident)?),*]) => {
        [
            &(|buffers: &mut [Vec<u32>]| {
                let [$($buffer),*] = buffers else { panic!("buffers") };
                twin::secp256k1::$name::<U32>($params, $(twins!(@ $buffer $($access)?)),*);
            }) as Twin<'_>,
            &(|buffers: &mut [Vec<u32>]| {
                let [$($buffer),*] = buffers else { panic!("buffers") };
                twin::secp256k1::$name::<U64>($params, $(twins!(@ $buffer $($access)?)),*);
            }) as Twin<'_>,
        ]
    };
    (@ $buffer:ident write) => { $buffer };
    (@ $buffer:ident) => { &*$buffer };
}
pub(super) use twins;

#[test]
fn stages_equal_their_twins_bit_for_bit() {
    let mut draw = Draw::new(303);
    for gpu in gpus("stages_equal_their_twins_bit_for_bit") {
        let on = &mut Compiled::new(gpu);
        for rows in [0usize, 1, 63, 64, 65, 130] {
            let of = |pick: fn(&'static Recovery) -> &'static Stage| flavours(gpu).map(pick).collect::<Vec<_>>();
            let n = rows as u32;
            let draw = &mut draw;
            let (root, inverse) = (stages::ROOT.as_flattened().to_vec(), stages::INVERSE.as_flattened().to_vec());
            let poison = |words: usize| vec![POISON; rows.next_multiple_of(TILE) * words];
            // Parities and digits, any.
            let mut rows_in = column(rows, 29, draw);
            for row in 0..rows {
                for word in 8..29 {
                    rows_in[twin::secp256k1::place(word, row, 29)] = draw.word() as u32;
                }
            }
            for (b, words) in [(7, 29), (2, 9)] {
                let params = [n, 15, b, words];
                let rows_in = if words == 29 { rows_in.clone() } else { column(rows, 9, draw) };
                let buffers = [rows_in, root.clone(), poison(9), poison(24)];
                let twins = twins!(lift, params, [rows: , chain: , lifted: write, points: write]);
                hold(on, &of(|f| &f.lift), params, &buffers, twins);
            }
            for turns in [0, 1, 5] {
                let params = [n, turns, POISON, POISON];
                let twins = twins!(double, params, [points: write]);
                hold(on, &of(|f| &f.double), params, &[column(rows, 24, draw)], twins);
            }
            let params = [n, POISON, POISON, POISON];
            let lifted = column(rows, 9, draw);
            let buffers = [rows_in.clone(), lifted, column(rows, 24, draw), poison(256), poison(128)];
            let twins = twins!(multiples, params, [rows: , lifted: , points: , table: write, factors: write]);
            hold(on, &of(|f| &f.multiples), params, &buffers, twins);
            // The table has rows of its own, one behind the other.
            let mut table = poison(256);
            table[..256 * rows].as_chunks_mut().0.iter_mut().for_each(|number| *number = drawn(draw));
            let buffers = [column(rows, 24, draw), column(rows, 128, draw), table.clone(), poison(8)];
            let twins = twins!(align, params, [points: , factors: , table: write, scale: write]);
            hold(on, &of(|f| &f.align), params, &buffers, twins);
            let mut comb = vec![0; 12 * 1024 * 16];
            comb.as_chunks_mut().0.iter_mut().step_by(7).for_each(|number| *number = drawn(draw));
            let (own, begins) = (5 | stages::IS_OWN, stages::BEGINS);
            for (window, windows, how, table) in [
                (25, 1, own | begins, &table),
                (25, 1, own, &table),
                (0, 2, own, &table),
                (12, 1, own, &table),
                (0, 12, 11, &comb),
                (11, 1, 11 | begins, &comb),
                (3, 0, 11, &comb),
            ] {
                let params = [n, window, windows, how];
                let buffers = [rows_in.clone(), table.clone(), drawn(draw).to_vec(), column(rows, 24, draw)];
                let twins = twins!(add_windows, params, [rows: , table: , beta: , points: write]);
                hold(on, &of(|f| &f.add_windows), params, &buffers, twins);
            }
            let twins = twins!(rescale, params, [scale: , points: write]);
            hold(on, &of(|f| &f.rescale), params, &[column(rows, 8, draw), column(rows, 24, draw)], twins);
            for sharing in [1, 3, 16] {
                let lanes = rows.div_ceil(sharing);
                let params = [n, lanes as u32, sharing as u32, POISON];
                let points = column(rows, 24, draw);
                let buffers = [points.clone(), poison(8), poison(8)];
                let twins = twins!(products, params, [points: , before: write, totals: write]);
                hold(on, &of(|f| &f.products), params, &buffers, twins);
                for words in [1, 9] {
                    let mut flags = column(rows, words, draw);
                    for row in 0..rows {
                        flags[twin::secp256k1::place(words - 1, row, words)] = u32::from(draw.below(3) > 0);
                    }
                    let params = [n, lanes as u32, sharing as u32, words as u32];
                    let buffers = [points.clone(), flags, column(rows, 8, draw), column(lanes, 8, draw), poison(17)];
                    let twins = twins!(affine, params, [points: , flags: , before: , totals: , keys: write]);
                    hold(on, &of(|f| &f.affine), params, &buffers, twins);
                }
            }
            let params = [n, 15, POISON, POISON];
            let twins = twins!(invert, params, [chain: , totals: write]);
            hold(on, &of(|f| &f.invert), params, &[inverse, column(rows, 8, draw)], twins);
        }
        on.say();
    }
}

/// Columns after each twin in turn, as [`Recoverer`] runs the stages over so many rows.
pub(super) fn by_twins<P: Product, C: Curve>(packed: Vec<u32>, rows: usize) -> [Vec<u32>; 9] {
    let padded = rows.next_multiple_of(TILE);
    let mut columns = COLUMNS.map(|words| vec![POISON; padded * words]);
    columns[0] = packed;
    let comb: Vec<u32> = C::comb().iter().flat_map(|row| row.0).flat_map(halved).collect();
    let [rows_in, lifted, points, table, factors, scale, before, totals, keys] = &mut columns;
    let n = rows as u32;
    let (root, inverse) = (stages::ROOT.as_flattened(), stages::INVERSE.as_flattened());
    let beta = element(&C::BETA);
    twin::secp256k1::lift::<P>([n, 15, C::B[0] as u32, 29], rows_in, root, lifted, points);
    twin::secp256k1::double::<P>([n, 1, 0, 0], points);
    twin::secp256k1::multiples::<P>([n, 0, 0, 0], rows_in, lifted, points, table, factors);
    twin::secp256k1::align::<P>([n, 0, 0, 0], points, factors, table, scale);
    for window in (0..26).rev() {
        if window < 25 {
            twin::secp256k1::double::<P>([n, 5, 0, 0], points);
        }
        let how = 5 | stages::IS_OWN | if window == 25 { stages::BEGINS } else { 0 };
        twin::secp256k1::add_windows::<P>([n, window, 1, how], rows_in, table, &beta, points);
    }
    twin::secp256k1::rescale::<P>([n, 0, 0, 0], scale, points);
    twin::secp256k1::add_windows::<P>([n, 0, 12, 11], rows_in, &comb, &beta, points);
    let lanes = (rows.div_ceil(SHARING * TILE) * TILE) as u32;
    let share = [n, lanes, SHARING as u32, 0];
    totals.resize(lanes as usize * 8, POISON);
    twin::secp256k1::products::<P>(share, points, before, totals);
    twin::secp256k1::invert::<P>([lanes, 15, 0, 0], inverse, totals);
    twin::secp256k1::affine::<P>([n, lanes, SHARING as u32, 9], points, lifted, before, totals, keys);
    columns
}

/// The first row that is not what libsecp256k1 finds.
fn first_wrong(rows: &[Signature], keys: &[Option<PublicKey>]) -> Option<usize> {
    assert_eq!(rows.len(), keys.len());
    (0..rows.len()).find(|&row| keys[row] != library::recover(&rows[row]))
}

/// Signed rows, each with one bit of it changed or as it was, and rows of nobody.
fn mutated(count: usize, draw: &mut Draw) -> Vec<Signature> {
    let (mut rows, _) = signed(count, count.div_ceil(5), draw);
    for (i, row) in rows.iter_mut().enumerate() {
        let bit = draw.below(256);
        match i % 8 {
            0 => row.digest[bit / 8] ^= 1 << (bit % 8),
            1 => row.r[bit / 8] ^= 1 << (bit % 8),
            2 => row.s[bit / 8] ^= 1 << (bit % 8),
            3 => row.recovery_id ^= 1 << (bit % 8),
            4 => (row.r, row.s) = (draw.bytes(), draw.bytes()),
            _ => {}
        }
    }
    rows
}

#[test]
fn twins_recover_what_both_libraries_recover() {
    let mut draw = Draw::new(304);
    let mut rows = mutated(150, &mut draw);
    let edges = edge_rows();
    let start = rows.len();
    rows.extend(if cfg!(debug_assertions) { edges.into_iter().step_by(4).collect() } else { edges });
    let columns = by_twins::<U64, Secp256k1>(pack(&rows), rows.len());
    let few = by_twins::<U32, Secp256k1>(pack(&rows[..64]), 64);
    assert!(few[8] == columns[8][..few[8].len()], "flavours differ");
    let keys = unpack(&rows, &columns[8]);
    for (row, (signature, key)) in rows.iter().zip(&keys).enumerate() {
        assert_eq!(*key, recover_by_k256(signature), "row {row}: {signature:?}");
    }
    assert_eq!(first_wrong(&rows, &keys), None);
    // Sums meet what they cannot add in edge rows, and nowhere else.
    let is_met = |row: &usize| columns[8][twin::secp256k1::place(16, *row, 17)] == stages::MET;
    let met = (0..rows.len()).filter(is_met).count();
    assert!(met > 20 && met < rows.len() / 2, "{met} of {}", rows.len());
    // What comes back for a row that is out of range is of another row, and dropped.
    assert_eq!((0..start).filter(is_met).filter(|row| library::recover(&rows[*row]).is_some()).count(), 0);
    // R and the table, against the processor's own sums: entry m is (2 m + 1) R over the row's scale.
    for (row, found) in rows.iter().map(library::recover_with_root).enumerate().step_by(7) {
        let Some(found) = found else { continue };
        let (x, y) = (number(&columns[0], 0, row, 29), number(&columns[1], 0, row, 9));
        assert_eq!(super::super::words::to_bytes(&y), found.root, "row {row}");
        let base = splat::<One>(&Row::new(&x, &y));
        let mut sum = Single::IDENTITY.add_affine(&base);
        let scale = twin::secp256k1::load(&columns[5], 0, row, 8);
        let square = U64::mul(&scale, &scale);
        let cube = U64::mul(&square, &scale);
        for m in 0..16 {
            let entry = &columns[3][256 * row + 16 * m..][..16];
            let wanted = sum.affine().expect("a multiple that is small");
            assert_eq!(entry[..8], U64::mul(&element(&wanted.x()), &square), "row {row}, entry {m}");
            assert_eq!(entry[8..], U64::mul(&element(&wanted.y()), &cube), "row {row}, entry {m}");
            sum = sum.add_affine(&base).add_affine(&base);
        }
    }
}

#[test]
fn a_device_recovers_what_both_libraries_recover() {
    let mut draw = Draw::new(305);
    let mut rows = mutated(1200, &mut draw);
    rows.extend(edge_rows());
    let expected: Vec<_> = rows.iter().map(library::recover_with_root).collect();
    for (row, found) in rows.iter().zip(&expected) {
        assert_eq!(recover_by_k256(row), found.map(|found| found.key), "{row:?}");
    }
    let nobody = expected.iter().filter(|found| found.is_none()).count();
    assert!(nobody > 300 && rows.len() - nobody > 1200, "{nobody} of {}", rows.len());
    for (name, recoverer) in recoverers("a_device_recovers_what_both_libraries_recover") {
        let found = recoverer.recover(&rows, true).expect("the device recovers").found();
        for (row, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert_eq!(found, expected, "{name}: row {row}: {:?}", rows[row]);
        }
        let without = recoverer.recover(&rows, false).expect("the device recovers");
        assert!(without.roots.is_empty() && without.keys.iter().copied().eq(found.iter().map(|f| f.map(|f| f.key))));
        // A software adapter uses the cores that the processor's backends use: a ratio says what a device costs there.
        let fastest = |work: &dyn Fn()| -> f64 {
            let seconds = (0..5).map(|_| {
                let start = Instant::now();
                work();
                start.elapsed().as_secs_f64()
            });
            seconds.fold(f64::INFINITY, f64::min)
        };
        let (signed, _) = signed(2048, 40, &mut Draw::new(311));
        let by_device = fastest(&|| drop(recoverer.recover(&signed, false)));
        let by_scalar = fastest(&|| drop(recover(Backend::Scalar, &signed)));
        let (each, times) = (by_device * 1e9 / signed.len() as f64, by_device / by_scalar);
        let checks = if recoverer.gpu().is_checked() { "with checks" } else { "without" };
        manaflow_datasets::say(&format!(
            "{name}, {checks}: {each:.0} ns a signature, {times:.2} times the scalar backend"
        ));
    }
}

/// One tile after the other, in every size, in buffers with old contents; all rows invalid, all the same, the same as -R.
#[test]
fn every_size_of_batch_and_of_tile() {
    let test = "every_size_of_batch_and_of_tile";
    let mut draw = Draw::new(306);
    let (rows, keys) = signed(1100, 40, &mut draw);
    let [gpu, ..] = gpus(test) else { return };
    let flavour = flavours(gpu).last().expect("one is always there");
    for most in [1, 2, 63, 64, 65, 500] {
        let recoverer = Recoverer::with(gpu, flavour, most).expect("it compiles");
        for count in [0, 1, 2, 63, 64, 65, 127, 129] {
            let start = draw.below(rows.len() - count);
            let got = recoverer.recover(&rows[start..start + count], false).expect("the device recovers").keys;
            assert!(got.iter().copied().eq(keys[start..start + count].iter().copied().map(Some)), "{count} in {most}");
        }
    }
    let [(_, recoverer), ..] = recoverers(test) else { return };
    for count in [1023, 1024, 1025, 1100] {
        let got = recoverer.recover(&rows[..count], false).expect("the device recovers").keys;
        assert!(got.iter().flatten().eq(&keys[..count]), "{count}");
    }
    let mirrored = |row: &Signature| Signature { recovery_id: row.recovery_id ^ 1, ..*row };
    let invalid: Vec<_> = rows.iter().map(|row| Signature { s: [0; 32], ..*row }).collect();
    let mixed: Vec<_> = (0..300).map(|i| if i % 2 == 0 { rows[3] } else { mirrored(&rows[3]) }).collect();
    for rows in [invalid, vec![rows[7]; 200], mixed] {
        let got = recoverer.recover(&rows, false).expect("the device recovers").keys;
        assert_eq!(first_wrong(&rows, &got), None);
    }
}

/// What the other tests rely on: one bit of what comes back, and the row is seen.
#[test]
fn a_flipped_bit_of_what_a_device_gives_is_noticed() {
    let mut draw = Draw::new(307);
    let (rows, _) = signed(100, 9, &mut draw);
    for (name, recoverer) in recoverers("a_flipped_bit_of_what_a_device_gives_is_noticed") {
        let mut read = recoverer.run(&pack(&rows), rows.len(), false).expect("the device recovers").remove(0);
        assert_eq!(first_wrong(&rows, &unpack(&rows, &read)), None, "{name}");
        for bit in [0, 31, 32, 255, 256, 300, 511, 512] {
            let row = draw.below(rows.len());
            let place = twin::secp256k1::place(bit / 32, row, 17);
            read[place] ^= 1 << (bit % 32);
            assert_eq!(first_wrong(&rows, &unpack(&rows, &read)), Some(row), "{name}: bit {bit}");
            read[place] ^= 1 << (bit % 32);
        }
    }
}

#[test]
fn an_adapter_with_the_least_that_all_have_recovers() {
    let test = "an_adapter_with_the_least_that_all_have_recovers";
    let Some(gpu) = open_for(test, Limits { groups: 3, ..Limits::PORTABLE }) else { return };
    let mut draw = Draw::new(308);
    let (rows, keys) = signed(700, 7, &mut draw);
    let recoverer = Recoverer::with(&gpu, &stages::U32, 420).expect("it compiles");
    let got = recoverer.recover(&rows, false).expect("the device recovers").keys;
    assert!(got.iter().flatten().eq(&keys));
    // One that cannot hold a tile is refused.
    let Some(gpu) = open_for(test, Limits { binding_bytes: 60_000, ..Limits::ANY }) else { return };
    assert!(Recoverer::new(&gpu).is_err());
}

/// Lines that are logged on this thread.
#[derive(Clone, Default)]
pub(super) struct Lines(pub Arc<Mutex<Vec<String>>>);

impl tracing::field::Visit for Lines {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0.lock().expect("no test panics with it").push(format!("{value:?}"));
        }
    }
}

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// Lost at work, or never there: the processor goes on with the same results, and a line says so, once.
#[test]
fn a_lost_device_is_replaced_by_the_processor() {
    let Some(gpu) = open_for("a_lost_device_is_replaced_by_the_processor", Limits::ANY) else { return };
    let mut draw = Draw::new(309);
    let rows = mutated(DEVICE_ROWS + 76, &mut draw);
    let expected: Vec<_> = rows.iter().map(library::recover_with_root).collect();
    let keys: Vec<_> = expected.iter().map(|found| found.map(|found| found.key)).collect();
    let device = Device::new(Recoverer::new(&gpu));
    assert_eq!(device.try_recover(&rows, &Hints::default(), false).map(|found| found.keys), Some(keys.clone()));
    assert_eq!(device.try_recover(&rows[1..DEVICE_ROWS], &Hints::default(), false), None, "few are the processor's");
    assert!(device.recover(&rows[..9], &Hints::default()) == keys[..9] && !device.has_failed());
    let best = Backend::best();
    gpu.destroy();
    let lines = Lines::default();
    tracing::subscriber::with_default(lines.clone(), || {
        for _ in 0..2 {
            assert!(device.recover(&rows, &Hints::default()) == keys && device.has_failed());
            assert!(device.recover_with_roots(&rows, &Hints::default()) == expected);
        }
        let none = Device::new(Recoverer::new(&gpu));
        assert!(none.recoverer().is_err() && none.recover(&rows, &Hints::default()) == keys && none.has_failed());
    });
    let lines: Vec<String> = lines.0.lock().expect("no test panics with it").clone();
    let ours: Vec<_> = lines.iter().filter(|line| line.starts_with("signatures: ")).collect();
    let says = |line: &&&String| line.contains("lost") && line.ends_with("goes on without the device");
    assert!(ours.len() == 2 && ours.iter().all(|line| says(&line) && line.contains(best.name())), "{lines:?}");
}

/// One that has no room: the same, and one line.
#[test]
fn a_device_out_of_memory_is_replaced_by_the_processor() {
    let test = "a_device_out_of_memory_is_replaced_by_the_processor";
    let mut draw = Draw::new(312);
    let world = World::new(DEVICE_ROWS + 9, 30, &mut draw);
    let expected = world.found();
    let keys: Vec<_> = expected.iter().map(|found| found.map(|found| found.key)).collect();
    let bytes = |binding_bytes: usize| Limits { binding_bytes: binding_bytes as u64, ..Limits::ANY };
    // No room for a tile, nor for the table of G: known at once. No room for as many groups: known at work.
    let [tile, table, groups] =
        [bytes(2 * TILE * 256), bytes(4 * 12 * 1024 * 16 - 4), Limits { groups: 3, ..Limits::ANY }];
    for (limits, with_hints) in [(tile, false), (tile, true), (table, false), (groups, false), (groups, true)] {
        let Some(gpu) = open_for(test, limits) else { return };
        let device = Device::new(Recoverer::new(&gpu));
        let hints = if with_hints { world.hints(true) } else { Hints::default() };
        let lines = Lines::default();
        tracing::subscriber::with_default(lines.clone(), || {
            for _ in 0..2 {
                assert!(device.recover(&world.rows, &hints) == keys);
                assert!(device.recover_with_roots(&world.rows, &hints) == expected && device.has_failed());
            }
        });
        let lines: Vec<String> = lines.0.lock().expect("no test panics with it").clone();
        let ours: Vec<_> = lines.iter().filter(|line| line.starts_with("signatures: ")).collect();
        let says = |line: &str| line.contains("at most") && line.ends_with("goes on without the device");
        assert!(ours.len() == 1 && says(ours[0]), "{lines:?}");
    }
    // What a device refuses at work: more than there is, by any account.
    let Some(gpu) = open_for(test, Limits::ANY) else { return };
    assert!(gpu.buffer(1 << 60).is_err());
    assert!(Recoverer::new(&gpu).and_then(|recoverer| recoverer.recover(&world.rows, false)).is_ok(), "it goes on");
}

/// As a backend it is chosen by name only, proven, and named; its results are those of the others, with hints and without.
#[test]
fn wgpu_is_a_backend_of_signatures() {
    let forced = Forced::parse(["signatures=wgpu"]).expect("it is one");
    if gpus("wgpu_is_a_backend_of_signatures").is_empty() {
        assert!(matches!(Backends::choose(forced), Err(BackendError::Device { .. })));
        return;
    }
    let backends = Backends::choose(forced).expect("it is proven");
    assert_eq!((backends.signatures, backends.signatures.in_words().as_str()), (Backend::Wgpu, "wgpu"));
    assert!(Backend::OF_PROCESSOR.contains(&Backend::best()) && Backend::best() != Backend::Wgpu);
    let chosen = Backends::choose(Forced::default()).expect("it is proven");
    assert!(Backend::OF_PROCESSOR.contains(&chosen.signatures), "{}", chosen.signatures);
    let mut draw = Draw::new(310);
    for count in [5, DEVICE_ROWS + 3] {
        let (rows, keys) = signed(count, 20, &mut draw);
        let signers: Vec<u32> = (0..count as u32).map(|i| i % 23).collect();
        let hints = Hints { keys: &keys[..20.min(count)], signers: &signers, roots: &[] };
        let wanted: Vec<_> = keys.iter().copied().map(Some).collect();
        assert!(recover(Backend::Wgpu, &rows) == wanted && recover_hinted(Backend::Wgpu, &rows, &hints) == wanted);
        let found = recover_with_roots(Backend::Wgpu, &rows);
        assert!(found == rows.iter().map(library::recover_with_root).collect::<Vec<_>>());
        let addresses = super::super::recover_addresses(Backend::Wgpu, &rows);
        assert!(addresses.into_iter().eq(keys.iter().map(|key| Some(key.address()))));
    }
    assert!(!device().has_failed());
}

//! Batches on a device: their stages against their twins bit for bit, and the result of every row is recovery's.

use super::super::batch::Weights;
use super::super::gpu::{DEVICE_ROWS, Device, Recoverer, Verifier, device};
use super::super::{Found, Hints, PublicKey, library, recover_hinted, recover_hinted_with_roots};
use super::batches::{WAYS, World, cancelling_world, meeting_world, mutate, with_wrong_hints};
use super::device::{Compiled, POISON, Twin, column, drawn, flavours, gpus, hold, open_for, recoverers, twins};
use super::{Backend, Draw};
use crate::gpu::Limits;
use manaflow_shaders::secp256k1::{self as stages, Recovery, TILE};
use manaflow_shaders::{Stage, twin};
use std::sync::OnceLock;
use std::time::Instant;
use twin::field::{U32, U64};
use twin::secp256k1::place;

/// Every flavour on every device, ready to verify, made once.
fn verifiers(test: &str) -> &'static [(&'static str, &'static Recoverer<'static>, Verifier<'static>)] {
    static ALL: OnceLock<Vec<(&'static str, &'static Recoverer<'static>, Verifier<'static>)>> = OnceLock::new();
    let recoverers = recoverers(test);
    let made =
        |(name, r): &'static (&'static str, Recoverer<'static>)| (*name, r, Verifier::new(r).expect("it compiles"));
    ALL.get_or_init(|| recoverers.iter().map(made).collect())
}

/// A verifier of its own, which takes batches of any size.
fn eager(recoverer: &'static Recoverer<'static>) -> Verifier<'static> {
    let mut verifier = Verifier::new(recoverer).expect("it compiles");
    verifier.least = 1;
    verifier
}

#[test]
fn stages_of_batches_equal_their_twins_bit_for_bit() {
    let mut draw = Draw::new(331);
    for gpu in gpus("stages_of_batches_equal_their_twins_bit_for_bit") {
        let on = &mut Compiled::new(gpu);
        let draw = &mut draw;
        let of = |pick: fn(&'static Recovery) -> &'static Stage| flavours(gpu).map(pick).collect::<Vec<_>>();
        for rows in [0usize, 1, 63, 64, 65, 130] {
            let n = rows as u32;
            // Points that are right, points that are not, parities as they come, and some that are said not to be there.
            for (words, first) in [(9, 0), (29, 3)] {
                let (mut rows_in, mut lifted) = (column(rows, words as usize, draw), column(rows, 9, draw));
                for row in 0..rows {
                    let small = std::array::from_fn(|k| if k == 0 { draw.below(60) as u32 } else { 0 });
                    twin::secp256k1::store(&mut rows_in, 0, row, words as usize, &small);
                    rows_in[place(8, row, words as usize)] = draw.word() as u32;
                    lifted[place(8, row, 9)] = u32::from(draw.below(4) > 0);
                }
                let mut points = vec![0; rows.next_multiple_of(TILE) * 24];
                let mut found = lifted.clone();
                let root = stages::ROOT.as_flattened();
                twin::secp256k1::lift::<U64>([n, 15, 7, words], &rows_in, root, &mut found, &mut points);
                for row in (0..rows).filter(|row| row % 5 > 0) {
                    let y = twin::secp256k1::load(&found, 0, row, 9);
                    twin::secp256k1::store(&mut lifted, 0, row, 9, &y);
                }
                let params = [n, 7, words, first];
                let all = rows + first as usize + 2;
                let buffers = [rows_in, lifted, drawn(draw).to_vec(), vec![POISON; 32 * all], vec![POISON; all]];
                let twins = twins!(hints, params, [rows: , lifted: , beta: , table: write, verdicts: write]);
                if rows > 60 {
                    let mut after = buffers.to_vec();
                    twins[1](&mut after);
                    let right = after[4][first as usize..][..rows].iter().filter(|verdict| **verdict == 1).count();
                    assert!(right > 5 && right < rows - 5, "{right} of {rows}");
                }
                hold(on, &of(|f| &f.hints), params, &buffers, twins);
            }
            // Scalars of both lengths, over windows of many widths.
            for (words, windows) in
                [(3, vec![(0, 13), (13, 13), (26, 13), (39, 13), (52, 13)]), (5, vec![(0, 65 % 16), (1, 4), (5, 15)])]
            {
                let mut table: Vec<u32> = Vec::new();
                let mut base = 0;
                for (start, bits) in &windows {
                    table.extend([*start, *bits, base, 99_999]);
                    base += 1 << (bits.max(&4) - 1);
                }
                let scalars: Vec<u32> = (0..rows.next_multiple_of(TILE) * words).map(|_| draw.word() as u32).collect();
                let count = windows.len();
                let params = [n, POISON, count as u32 | (words as u32) << 8, 2];
                let all = rows * count + 5;
                let points: Vec<u32> = (0..rows.div_ceil(2).max(1)).map(|_| draw.below(1 << 29) as u32).collect();
                let buffers = [table, scalars, points, vec![POISON; all], vec![POISON; all]];
                let twin: Twin<'_> = &|buffers| {
                    let [windows, scalars, points, keys, payloads] = buffers else { panic!("buffers") };
                    twin::secp256k1::digits(params, windows, scalars, points, keys, payloads);
                };
                hold(on, &[&stages::DIGITS], params, &buffers, [twin, twin]);
            }
        }
        for (buckets, entries) in [(1usize, 0usize), (1, 1), (7, 100), (64, 1000), (200, 130), (63, 65)] {
            let mut keys: Vec<u32> = (0..entries).map(|_| draw.below(buckets + 1) as u32).collect();
            keys.sort_unstable();
            let params = [buckets as u32, entries as u32, u32::BITS - (entries as u32).leading_zeros(), POISON];
            let buffers = [[keys, vec![POISON; 4]].concat(), vec![POISON; buckets + 3]];
            let twin: Twin<'_> = &|buffers| {
                let [keys, starts] = buffers else { panic!("buffers") };
                twin::secp256k1::bounds(params, keys, starts);
            };
            hold(on, &[&stages::BOUNDS], params, &buffers, [twin, twin]);
            let mut starts = buffers.to_vec();
            twin(&mut starts);
            let starts = starts.remove(1);
            let order: Vec<u32> = (0..entries.max(4)).map(|_| draw.below(entries.max(1)) as u32).collect();
            // Few points, so that some sums meet equal and opposite ones.
            let payloads: Vec<u32> = (0..entries.max(4)).map(|_| draw.below(2 * 40) as u32).collect();
            let mut table = vec![0; 16 * 40];
            table.as_chunks_mut().0.iter_mut().for_each(|number| *number = drawn(draw));
            for parts in [1usize, 2, 8] {
                let points = column(buckets * parts, 24, draw);
                for (from, turns) in [(0, 3), (0, 1), (2, 2), (1, 50)] {
                    let params = [buckets as u32, parts as u32, from, turns];
                    let buffers = [starts.clone(), order.clone(), payloads.clone(), table.clone(), points.clone()];
                    let twins = twins!(accumulate, params, [starts: , order: , payloads: , table: , points: write]);
                    hold(on, &of(|f| &f.accumulate), params, &buffers, twins);
                }
                for turns in [1, 40] {
                    let params = [buckets as u32, parts as u32, turns, POISON];
                    let out = vec![POISON; buckets.next_multiple_of(TILE) * 24];
                    let buffers = [starts.clone(), points.clone(), out, vec![POISON; buckets + 3]];
                    let twins = twins!(join, params, [starts: , parts: , points: write, flags: write]);
                    hold(on, &of(|f| &f.join), params, &buffers, twins);
                }
            }
        }
        on.say();
    }
}

/// What a verifier finds of a world's rows.
fn found(recoverer: &Recoverer<'_>, verifier: &Verifier<'_>, world: &World, with_roots: bool) -> Vec<Option<Found>> {
    let keys = verifier.recover(recoverer, &world.rows, &world.hints(with_roots), true).expect("the device answers");
    let without =
        verifier.recover(recoverer, &world.rows, &world.hints(with_roots), false).expect("the device answers");
    assert!(without.roots.is_empty() && without.keys == keys.keys);
    keys.keys.iter().zip(&keys.roots).map(|(key, root)| key.map(|key| Found { key, root: *root })).collect()
}

#[test]
fn valid_batches_are_accepted_by_a_device_at_once() {
    let mut draw = Draw::new(332);
    for (i, (name, recoverer, _)) in recoverers("valid_batches").iter().map(|(n, r)| (n, r, ())).enumerate() {
        let mut verifier = eager(recoverer);
        let sizes: &[usize] = if i == 0 { &[1, 2, 3, 7, 8, 9, 63, 64, 65, 200, 1000, 3001] } else { &[1, 65, 300] };
        for &rows in sizes {
            for signers in [1, rows / 10 + 1, rows] {
                let world = World::new(rows, signers, &mut draw);
                let expected = world.found();
                for with_roots in [true, false] {
                    let before = verifier.checks();
                    assert!(
                        found(recoverer, &verifier, &world, with_roots) == expected,
                        "{name}: {rows} rows, {signers} signers"
                    );
                    let after = verifier.checks();
                    assert_eq!(
                        [after[0] - before[0], after[1] - before[1]],
                        [2, 2 * rows as u64],
                        "{name}: one check is enough"
                    );
                }
            }
        }
        if i == 1 {
            // So many that windows are wide, buckets are parted, and sums are continued from dispatch to dispatch.
            for signers in [12_000, 1] {
                let world = World::new(12_000, signers, &mut draw);
                let before = verifier.checks();
                verifier.dispatch_entries = if signers == 1 { 1 << 20 } else { 30_000 };
                let got =
                    verifier.recover(recoverer, &world.rows, &world.hints(true), false).expect("the device answers");
                assert!(
                    (0..12_000).all(|row| got.keys[row] == Some(world.keys[row % signers])),
                    "{name}: {signers} signers"
                );
                assert_eq!(verifier.checks(), [before[0] + 1, before[1] + 12_000], "{name}: {signers} signers");
            }
        }
    }
}

#[test]
fn edge_rows_and_meetings_on_a_device() {
    for (name, recoverer, verifier) in verifiers("edge_rows_and_meetings_on_a_device") {
        let mut repeated = meeting_world();
        let one = World {
            rows: vec![repeated.rows[0]; 70],
            keys: repeated.keys.clone(),
            signers: vec![0; 70],
            roots: vec![repeated.roots[0]; 70],
        };
        repeated.rows[50].digest = [3; 32];
        for world in [World::of_edges(), meeting_world(), repeated, one] {
            for with_roots in [true, false] {
                let got = found(recoverer, verifier, &world, with_roots);
                let wrong = got.iter().zip(&world.found()).position(|(a, b)| a != b);
                assert_eq!(wrong.map(|row| world.rows[row]), None, "{name}, roots {with_roots}");
            }
        }
        assert!(verifier.recover(recoverer, &[], &Hints::default(), true).is_ok_and(|found| found.keys.is_empty()));
    }
}

#[test]
fn wrong_hints_change_nothing_on_a_device() {
    let mut draw = Draw::new(333);
    let base = World::new(90, 30, &mut draw);
    let large = World::new(1300, 130, &mut draw);
    for (i, (name, recoverer, verifier)) in verifiers("wrong_hints_change_nothing_on_a_device").iter().enumerate() {
        for way in 0..WAYS {
            let all = [(&base, 1), (&base, 2), (&base, 90), (&large, 1), (&large, 2), (&large, 1300)];
            for (base, share) in all.into_iter().take(if i == 1 { 6 } else { 3 }) {
                let world = with_wrong_hints(base, way, (0..base.rows.len()).step_by(share));
                // Signed rows, whose keys are known whatever the hints.
                let expected: Vec<_> =
                    (0..base.rows.len()).map(|row| Some(base.keys[base.signers[row] as usize])).collect();
                for with_roots in [true, false] {
                    let got = verifier.recover(recoverer, &world.rows, &world.hints(with_roots), false);
                    assert!(
                        got.is_ok_and(|got| got.keys == expected),
                        "{name}: way {way}, 1 in {share}, roots {with_roots}"
                    );
                }
            }
        }
        // Too few signers, too many roots.
        let expected = base.found();
        let short = Hints { signers: &base.signers[..40], ..base.hints(true) };
        assert!(verifier.recover(recoverer, &base.rows, &short, true).is_ok_and(|keys| keys.found() == expected));
        let roots = [base.roots.clone(), vec![[0; 32]]].concat();
        let long = Hints { roots: &roots, ..base.hints(false) };
        assert!(verifier.recover(recoverer, &base.rows, &long, true).is_ok_and(|keys| keys.found() == expected));
    }
}

/// One bit of one row: the check, not recovery, must find it.
#[test]
fn a_flipped_bit_changes_what_recovery_says_it_changes_on_a_device() {
    let mut draw = Draw::new(334);
    let base = World::new(70, 24, &mut draw);
    let hinted = base.expected();
    for (name, recoverer, verifier) in verifiers("a_flipped_bit_on_a_device") {
        for i in 0..90 {
            let place = draw.below(70);
            let mut world = base.clone();
            mutate(&mut world, i % 6, place, &mut draw);
            let mut expected = hinted.clone();
            expected[place] = library::recover(&world.rows[place]);
            assert_eq!(expected[place] == hinted[place], i % 6 >= 4, "recovery notices");
            let got = verifier.recover(recoverer, &world.rows, &world.hints(i % 5 != 0), false);
            assert!(got.is_ok_and(|got| got.keys == expected), "{name}: field {}, row {place}", i % 6);
        }
    }
}

#[test]
fn errors_that_cancel_under_equal_weights_are_caught_under_drawn_ones_on_a_device() {
    let world = cancelling_world(80);
    let (expected, hinted) = (world.expected(), world.keys.iter().map(|key| Some(*key)).collect::<Vec<_>>());
    assert!(expected != hinted, "two rows are wrong");
    for (name, recoverer) in recoverers("errors_that_cancel_on_a_device") {
        let mut verifier = eager(recoverer);
        let mut under = |weights: Option<Weights>| -> Vec<Option<PublicKey>> {
            verifier.source.weights = weights;
            verifier.recover(recoverer, &world.rows, &world.hints(true), false).expect("the device answers").keys
        };
        assert!(under(Some(Weights::Equal)) == hinted, "{name}: equal weights let them pass");
        assert!(under(Some(Weights::Seed(1))) == expected, "{name}");
        for _ in 0..4 {
            assert!(under(None) == expected, "{name}");
        }
    }
}

/// Whatever is wrong, no row is tested more than twice; what is good stays so.
#[test]
fn work_on_a_bad_batch_is_bounded_on_a_device() {
    let mut draw = Draw::new(335);
    let base = World::new(2048, 50, &mut draw);
    let Some((_, recoverer, verifier)) = verifiers("work_on_a_bad_batch_is_bounded_on_a_device").last() else { return };
    for bad in [vec![], vec![0], vec![2047], vec![1024], vec![0, 2047], (0..2048).collect::<Vec<_>>()] {
        let mut world = base.clone();
        bad.iter().for_each(|place| world.rows[*place].digest[0] ^= 1);
        let mut expected: Vec<_> = (0..2048).map(|i| Some(base.keys[i % 50])).collect();
        bad.iter().for_each(|place| expected[*place] = library::recover(&world.rows[*place]));
        let before = verifier.checks();
        let got = verifier.recover(recoverer, &world.rows, &world.hints(true), false).expect("the device answers");
        assert!(got.keys == expected);
        let after = verifier.checks();
        // The whole, then eight parts until two are bad.
        let parts = match bad.len() {
            0 => 0,
            2048 => 2,
            _ => 8,
        };
        assert_eq!([after[0] - before[0], after[1] - before[1]], [1 + parts, 2048 + 256 * parts], "{} bad", bad.len());
    }
}

/// Batches cut in several, and how long they take beside recovery.
#[test]
fn batches_are_cut_and_timed_on_a_device() {
    let mut draw = Draw::new(336);
    let world = World::new(4096, 410, &mut draw);
    let expected: Vec<_> = (0..4096).map(|i| Some(world.keys[i % 410])).collect();
    let test = "batches_are_cut_and_timed_on_a_device";
    let [gpu, ..] = gpus(test) else { return };
    let flavour = flavours(gpu).last().expect("one is always there");
    let recoverer = Recoverer::with(gpu, flavour, 1000).expect("it compiles");
    let verifier = Verifier::new(&recoverer).expect("it compiles");
    let got = verifier.recover(
        &recoverer,
        &world.rows[..2100],
        &Hints { roots: &world.roots[..2100], ..world.hints(true) },
        true,
    );
    assert!(got.is_ok_and(|got| got.keys == expected[..2100] && got.roots == world.roots[..2100]));
    assert_eq!(verifier.checks(), [3, 2100], "704, 704 and 692 rows");
    for (name, recoverer, verifier) in verifiers(test) {
        let timed = |work: &dyn Fn()| -> f64 {
            let seconds = (0..3).map(|_| {
                let start = Instant::now();
                work();
                start.elapsed().as_secs_f64() * 1e9 / 4096.0
            });
            seconds.fold(f64::INFINITY, f64::min)
        };
        for with_roots in [true, false] {
            let got =
                verifier.recover(recoverer, &world.rows, &world.hints(with_roots), false).expect("the device answers");
            assert!(got.keys == expected, "{name}");
        }
        let plain = timed(&|| drop(recoverer.recover(&world.rows, false)));
        let hinted = timed(&|| drop(verifier.recover(recoverer, &world.rows, &world.hints(true), false)));
        let keys = timed(&|| drop(verifier.recover(recoverer, &world.rows, &world.hints(false), false)));
        let wrong = with_wrong_hints(&world, 0, 0..4096);
        let lies = timed(&|| drop(verifier.recover(recoverer, &wrong.rows, &wrong.hints(true), false)));
        let packing = timed(&|| verifier.pack_only(&world.rows, &world.hints(true)));
        let checks = if recoverer.gpu().is_checked() { "with checks" } else { "without" };
        manaflow_datasets::say(&format!(
            "{name}, {checks}: 4096 rows, 410 signers, ns a row: recovery {plain:.0}, keys + y {hinted:.0}, keys {keys:.0}, all wrong {lies:.0}; of keys + y packing {packing:.0}"
        ));
    }
}

#[test]
fn an_adapter_with_the_least_that_all_have_verifies() {
    let test = "an_adapter_with_the_least_that_all_have_verifies";
    // Hardly more than the table of G, so that batches are of some hundred rows, and two axes for most dispatches.
    let limits = Limits { groups: 20, binding_bytes: 800_000, ..Limits::PORTABLE };
    let Some(gpu) = open_for(test, limits) else { return };
    let recoverer = Recoverer::with(&gpu, &stages::U32, usize::MAX).expect("it compiles");
    let verifier = Verifier::new(&recoverer).expect("it compiles");
    let mut draw = Draw::new(338);
    for signers in [3, 900] {
        let world = World::new(900, signers, &mut draw);
        let got = verifier.recover(&recoverer, &world.rows, &world.hints(true), true).expect("the device answers");
        assert!(got.found() == world.found());
    }
    assert_eq!(verifier.checks(), [4, 1800], "512 and 388 rows, twice");
}

/// By the backend's name, with keys, with both, and what it leaves to the processor.
#[test]
fn wgpu_takes_hints() {
    if gpus("wgpu_takes_hints").is_empty() {
        return;
    }
    let mut draw = Draw::new(337);
    for rows in [DEVICE_ROWS + 5, DEVICE_ROWS - 1] {
        let mut world = World::new(rows, 60, &mut draw);
        world.rows[7].s[5] ^= 1;
        let expected = world.found();
        let keys: Vec<_> = expected.iter().map(|found| found.map(|found| found.key)).collect();
        for with_roots in [true, false] {
            assert!(recover_hinted(Backend::Wgpu, &world.rows, &world.hints(with_roots)) == keys);
            assert!(recover_hinted_with_roots(Backend::Wgpu, &world.rows, &world.hints(with_roots)) == expected);
        }
    }
    // Lost at work, the processor goes on.
    let Some(gpu) = open_for("wgpu_takes_hints", Limits::ANY) else { return };
    let device = Device::new(Recoverer::new(&gpu));
    let world = World::new(DEVICE_ROWS, 60, &mut draw);
    assert!(device.recover_with_roots(&world.rows, &world.hints(true)) == world.found() && !device.has_failed());
    gpu.destroy();
    assert!(device.recover_with_roots(&world.rows, &world.hints(true)) == world.found() && device.has_failed());
}

/// All workers of the pool ask for a proof while another thread is at work with the device, who needs the pool: nobody waits for good.
#[test]
fn a_proof_waits_for_nobody() {
    if gpus("a_proof_waits_for_nobody").is_empty() {
        return;
    }
    let mut draw = Draw::new(339);
    let world: &World = Box::leak(Box::new(World::new(4 * DEVICE_ROWS, 40, &mut draw)));
    let expected: Vec<_> = (0..world.rows.len()).map(|row| Some(world.keys[row % 40])).collect();
    // Compiled before, so that the work itself is what takes time.
    assert!(recover_hinted(Backend::Wgpu, &world.rows, &world.hints(true)) == expected);
    let workers = rayon::current_num_threads();
    let (sender, done) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..6 {
                assert!(recover_hinted(Backend::Wgpu, &world.rows, &world.hints(true)) == expected);
            }
        });
        for _ in 0..workers {
            let sender = sender.clone();
            rayon::spawn(move || {
                for _ in 0..3 {
                    let few = Hints { keys: &world.keys, signers: &world.signers[..50], roots: &[] };
                    let found = device().try_few(&world.rows[..50], &few).map(|found| found.keys);
                    sender.send(found).expect("somebody listens");
                }
            });
        }
    });
    for found in done.iter().take(3 * workers) {
        assert!(found.is_ok_and(|found| found == expected[..50]));
    }
}

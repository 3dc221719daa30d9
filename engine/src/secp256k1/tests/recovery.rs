//! Recovery of whole rows, every backend against both libraries.

use super::super::recover::Recoverer;
use super::super::{Signature, library, recover, recover_with_roots};
use super::edges::edge_rows;
use super::{Backend, Draw, backends, for_each_variant, recover_by_k256, signed};
use crate::secp256k1::field::Lanes;

/// Random rows, half of them by nobody (no such x), and rows as signed.
fn rows(count: usize, draw: &mut Draw) -> Vec<Signature> {
    let (mut rows, _) = signed(count / 2, count.div_ceil(7), draw);
    for i in 0..count - rows.len() {
        let recovery_id = (i % 5) as u8;
        rows.push(Signature { digest: draw.bytes(), r: draw.bytes(), s: draw.bytes(), recovery_id });
    }
    rows
}

#[test]
fn every_backend_equals_both_libraries() {
    let mut draw = Draw::new(1);
    let mut all = rows(1200, &mut draw);
    all.extend(edge_rows());
    let expected: Vec<_> = all.iter().map(library::recover).collect();
    let nobody = expected.iter().filter(|key| key.is_none()).count();
    assert!(nobody > 300 && expected.len() - nobody > 1000, "{nobody}");
    for (row, expected) in all.iter().zip(&expected) {
        assert_eq!(recover_by_k256(row), *expected, "{row:?}");
    }
    for backend in backends("every_backend_equals_both_libraries") {
        for (i, (got, expected)) in recover(backend, &all).iter().zip(&expected).enumerate() {
            assert_eq!(got, expected, "{backend}: row {i}: {:?}", all[i]);
        }
    }
}

/// R.y by every backend, for lists that do not fill their tiles, with rows of nobody and rows that are done twice among them.
#[test]
fn roots_are_those_of_the_library() {
    let mut draw = Draw::new(6);
    for count in [1, 13, 600] {
        let mut all = edge_rows();
        all.extend(rows(count, &mut draw));
        let expected: Vec<_> = all.iter().map(library::recover_with_root).collect();
        assert!(expected.iter().zip(&all).all(|(found, row)| found.map(|f| f.key) == library::recover(row)));
        for backend in backends("roots_are_those_of_the_library") {
            assert!(recover_with_roots(backend, &all) == expected, "{backend}: {count} rows and edges");
            assert_eq!(recover(backend, &all[..7]), expected[..7].iter().map(|f| f.map(|f| f.key)).collect::<Vec<_>>());
        }
    }
}

#[test]
fn every_size_of_batch_and_every_place_in_it() {
    let mut draw = Draw::new(2);
    let (all, keys) = signed(1100, 40, &mut draw);
    for backend in backends("every_size_of_batch_and_every_place_in_it") {
        for rows in (0..=33).chain([63, 64, 65, 127, 128, 129, 511, 512, 513, 1023, 1025]) {
            let start = draw.below(all.len() - rows);
            let got = recover(backend, &all[start..start + rows]);
            assert_eq!(got.len(), rows);
            assert!(
                got.iter().zip(&keys[start..]).all(|(got, key)| got.as_ref() == Some(key)),
                "{backend}: {rows} rows"
            );
        }
    }
}

#[test]
fn a_flipped_bit_of_a_result_is_noticed() {
    // The comparison itself: had one bit of one key come out otherwise, it would say so.
    let mut draw = Draw::new(3);
    let (all, keys) = signed(64, 64, &mut draw);
    for backend in backends("a_flipped_bit_of_a_result_is_noticed") {
        let got: Vec<_> = recover(backend, &all).into_iter().map(|key| key.expect("signed")).collect();
        assert_eq!(got, keys);
        for bit in [0, 7, 255, 256, 511] {
            let mut wrong = got.clone();
            wrong[draw.below(64)].0[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(wrong, keys);
        }
    }
}

/// With the ranges of every operation executed.
fn recovers<L: Lanes>() {
    let mut draw = Draw::new(4);
    let mut all = rows(160, &mut draw);
    all.extend(edge_rows());
    let mut got = vec![None; all.len()];
    Recoverer::<L>::new().recover(&all, &mut got);
    for (i, (got, row)) in got.iter().zip(&all).enumerate() {
        assert_eq!(*got, library::recover(row), "row {i}: {row:?}");
    }
}

#[test]
fn ranges_hold_in_every_variant() {
    for_each_variant!("ranges_hold_in_every_variant", recovers);
}

#[test]
fn one_thread_gives_what_many_give() {
    let mut draw = Draw::new(5);
    let (all, _) = signed(2000, 3, &mut draw);
    for backend in Backend::OF_PROCESSOR.into_iter().filter(|b| b.is_available()) {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
        assert_eq!(pool.install(|| recover(backend, &all)), recover(backend, &all));
    }
}

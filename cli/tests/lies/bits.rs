//! Every bit of a small block file, flipped one at a time, as it is and sealed again; every length it can be cut to.

use manaflow_datasets::lies::bytes::{Flipped, flip};
use manaflow_datasets::lies::sample::{Answer, ORDERS, Sample, judge_file};
use manaflow_datasets::{amount, sample, say, seed};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

/// A file of two blocks: a piece, so that requirements can be lied about too.
fn small_file(path: &Path) -> (Vec<u8>, Answer) {
    Sample::open(&sample("forks.mana")).cut(44..=45).write(path).expect("written");
    let truth = judge_file(path, &ORDERS);
    assert!(matches!(&truth, Answer::Judged(judged) if judged.report.invalid_total == 0));
    (std::fs::read(path).expect("read"), truth)
}

/// Flips bits and counts what comes of them.
fn flip_all(sealed: bool) -> BTreeMap<String, usize> {
    let folder = tempfile::tempdir().expect("a folder");
    let (bytes, truth) = small_file(&folder.path().join("small.mana"));
    // As it is, a flip is found by a checksum; sealed, by the rules, which takes a judgement each.
    let step = amount(if sealed { 64 } else { 16 }, 1);
    let first = seed(0) as usize % step;
    let bits: Vec<usize> = (first..8 * bytes.len()).step_by(step).collect();
    let ends: Vec<(usize, Flipped)> = bits
        .par_iter()
        .map(|&bit| {
            let path = folder.path().join(format!("{bit}.mana"));
            (bit, flip(&bytes, &truth, bit, sealed, &path))
        })
        .collect();
    let survivors: Vec<_> = ends.iter().filter(|(_, end)| *end == Flipped::Survived).map(|(bit, _)| bit).collect();
    assert!(survivors.is_empty(), "{} bits survive, sealed {sealed}: {survivors:?}", survivors.len());
    let mut counts = BTreeMap::new();
    ends.iter().for_each(|(_, end)| *counts.entry(format!("{end:?}")).or_default() += 1);
    say(&format!("{} of {} bits flipped, sealed {sealed}: {counts:?}", bits.len(), 8 * bytes.len()));
    counts
}

#[test]
fn no_flipped_bit_is_valid() {
    let counts = flip_all(false);
    assert!(counts.keys().all(|end| end == "Refused"), "{counts:?}");
}

#[test]
fn no_flipped_bit_under_right_checksums_is_the_same_claim() {
    let counts = flip_all(true);
    assert!(["Refused", "Invalid", "AnotherClaim"].iter().all(|end| counts.contains_key(*end)), "{counts:?}");
}

#[test]
fn every_truncation_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let (bytes, _) = small_file(&folder.path().join("small.mana"));
    let step = amount(7, 1);
    let lengths: Vec<usize> = (0..bytes.len()).step_by(step).collect();
    let valid: Vec<_> = lengths
        .par_iter()
        .filter(|&&length| {
            let path = folder.path().join(format!("{length}.mana"));
            std::fs::write(&path, &bytes[..length]).expect("written");
            let answer = judge_file(&path, &ORDERS[..1]);
            std::fs::remove_file(&path).expect("removed");
            matches!(answer, Answer::Judged(_))
        })
        .collect();
    say(&format!("{} of {} lengths", lengths.len(), bytes.len()));
    assert!(valid.is_empty(), "{valid:?}");
}

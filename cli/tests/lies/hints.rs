//! Hints of signatures: right, wrong, in part, or none, they change nothing of the report, by any backend.

use super::say;
use manaflow_datasets::lies::bytes::Parts;
use manaflow_datasets::lies::sample::{Answer, ORDERS, judge_file_by};
use manaflow_datasets::sample;
use manaflow_engine::backend::Backends;
use manaflow_engine::reason::{Check, Reason};
use manaflow_engine::report::{Report, Verdict};
use manaflow_engine::secp256k1::Backend;
use manaflow_engine::validate::{Checks, Order};
use manaflow_loader::file::layout::Section;
use std::path::Path;

fn backends() -> Vec<Backends> {
    let (all, missing): (Vec<_>, Vec<_>) = Backend::ALL.into_iter().partition(|backend| backend.is_available());
    missing.iter().for_each(|backend| say(&format!("skipped: hints by {backend}: this processor cannot")));
    all.into_iter().map(|signatures| Backends { signatures, ..Backends::default() }).collect()
}

fn report(parts: &Parts, orders: &[Order], backends: Backends, checks: Checks) -> Report {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hints.mana");
    std::fs::write(&path, parts.to_bytes()).expect("written");
    match judge_file_by(&path, orders, backends, checks) {
        Answer::Judged(judged) => judged.report,
        Answer::Refused(why) => panic!("no verdict: {why}"),
    }
}

fn rows(parts: &mut Parts, section: Section, stride: usize, change: impl Fn(usize, &mut [u8])) {
    parts.section(section).chunks_mut(stride).enumerate().for_each(|(row, hint)| change(row, hint));
}

fn keys(parts: &mut Parts, change: impl Fn(usize, &mut [u8])) {
    rows(parts, Section::SignerKeys, 64, change);
}

fn roots(parts: &mut Parts, change: impl Fn(usize, &mut [u8])) {
    rows(parts, Section::SignatureR, 32, change);
}

/// p - y for the bytes of y: on the curve, of the wrong parity.
fn negate(y: &mut [u8]) {
    let p = alloy_primitives::hex!("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f");
    let mut borrow = 0;
    for (y, p) in y.iter_mut().zip(p).rev() {
        let difference = i16::from(p) - i16::from(*y) - borrow;
        borrow = i16::from(difference < 0);
        *y = difference as u8;
    }
}

/// A name and what it does to right hints.
type Way = (&'static str, fn(&mut Parts));

const WAYS: [Way; 11] = [
    ("right", |_| {}),
    ("none", |parts| {
        parts.section(Section::SignerKeys).clear();
        parts.section(Section::SignatureR).clear();
    }),
    ("keys only", |parts| parts.section(Section::SignatureR).clear()),
    ("R.y only", |parts| parts.section(Section::SignerKeys).clear()),
    ("keys in another order", |parts| {
        let keys: Vec<u8> = parts.section(Section::SignerKeys).rchunks(64).flatten().copied().collect();
        *parts.section(Section::SignerKeys) = keys;
    }),
    ("all wrong", |parts| {
        keys(parts, |row, key| key[row % 64] ^= 1);
        roots(parts, |row, y| y[row % 31] ^= 1);
    }),
    ("half wrong", |parts| {
        keys(parts, |row, key| key[40] ^= (row % 2) as u8);
        roots(parts, |row, y| y[20] ^= (row / 2 % 2) as u8);
    }),
    ("wrong parity", |parts| roots(parts, |_, y| negate(y))),
    ("one wrong R.y", |parts| roots(parts, |row, y| y[0] ^= u8::from(row == 7))),
    ("another's R.y", |parts| {
        let roots = parts.section(Section::SignatureR);
        roots.rotate_left(32);
    }),
    ("beyond p", |parts| {
        keys(parts, |_, key| key.fill(0xff));
        roots(parts, |_, y| y.fill(0xff));
    }),
];

fn same_reports(path: &Path, orders: &[Order], checks: Checks, ways: &[Way]) -> Report {
    let honest = Parts::of(&std::fs::read(path).expect("a sample"));
    assert!(honest.clone().section(Section::SignerKeys).len() >= 64 && honest.clone().rows(Section::SignatureR) > 0);
    let mut expected: Option<Report> = None;
    for (name, change) in ways {
        let mut parts = honest.clone();
        change(&mut parts);
        assert!(*name == "right" || parts.sections != honest.sections, "{name} changes nothing");
        for backends in backends() {
            let mut got = report(&parts, orders, backends, checks);
            let expected = expected.get_or_insert_with(|| got.clone());
            got.run = expected.run.clone();
            assert!(got == *expected, "{}: hints {name}, by {}", path.display(), backends.signatures);
        }
    }
    expected.expect("some way")
}

#[test]
fn hints_change_no_report_of_a_chain_of_all_forks() {
    let report = same_reports(&sample("forks.mana"), &ORDERS, Checks::ALL, &WAYS);
    assert_eq!(report.verdict, Verdict::Valid);
}

#[test]
fn hints_change_no_report_of_mainnet_blocks() {
    let signatures = Checks::of(&[Check::Signatures]);
    let report = same_reports(&sample("mainnet.mana"), &ORDERS[..1], signatures, &WAYS);
    assert_eq!(report.verdict, Verdict::Partial);
    let report = same_reports(&sample("mainnet.mana"), &ORDERS[..1], Checks::ALL, &WAYS[..2]);
    assert_eq!(report.verdict, Verdict::Valid);
}

/// Senders who did not sign, but whose keys are among the hints: each is found, and no other.
#[test]
fn a_key_among_the_hints_makes_nobody_a_signer() {
    let honest = Parts::of(&std::fs::read(sample("mainnet.mana")).expect("a sample"));
    let mut changed = honest.clone();
    let senders: Vec<u32> = changed
        .section(Section::RowSenders)
        .as_chunks::<4>()
        .0
        .iter()
        .map(|bytes| u32::from_le_bytes(*bytes))
        .collect();
    let mut wrong = 0;
    for row in (1..senders.len()).step_by(11) {
        let other = senders[row - 1];
        if senders[row] != u32::MAX && other != u32::MAX && other != senders[row] {
            changed.row(Section::RowSenders, row).copy_from_slice(&other.to_le_bytes());
            wrong += 1;
        }
    }
    assert!(wrong > 40, "{wrong}");
    let signatures = Checks::of(&[Check::Signatures]);
    let mut expected: Option<Report> = None;
    for (name, change) in &WAYS[..7] {
        let mut parts = changed.clone();
        change(&mut parts);
        for backends in backends() {
            let mut got = report(&parts, &ORDERS[..1], backends, signatures);
            let expected = expected.get_or_insert_with(|| got.clone());
            got.run = expected.run.clone();
            assert!(got == *expected, "hints {name}, by {}", backends.signatures);
            assert_eq!(got.invalid_total, wrong, "hints {name}, by {}", backends.signatures);
            assert!(got.invalid.iter().all(|f| (f.check, f.reason) == (Check::Signatures, Reason::WrongSender)));
        }
    }
}

//! Lies in summaries of real chains: what pieces require, leave, assume and say, changed one field at a time.

use manaflow_datasets::lies::sample::Sample;
use manaflow_datasets::lies::summaries::Pieces;
use manaflow_datasets::lies::tell::{End, Tally};
use manaflow_datasets::{amount, data_for, is_whole, sample, say, seed};
use manaflow_engine::report::Verdict;
use manaflow_loader::model::{Cell, Location, Version};
use manaflow_loader::summary::{Culprit, Fault, Maybe};
use std::ops::RangeInclusive;

/// Kinds that may change nothing in a report; `datasets/LIES.md` says why of each.
const NOTHING: &[&str] = &[
    "version of the program",
    "what a checkpoint belongs to",
    "origin",
    "state root at the end: not asked for",
    "state root at the end: done",
    "closing: another index",
    "difficulty",
    "total difficulty after",
    "claim: difficulty before",
    "claim: not judged",
    "claim: parent hash",
    "claim: first block",
    "the last of the first headers",
    "one of the last headers",
    "a header before",
    "headers before: none",
    "a transaction's hash",
    "a requirement less",
    "a requirement: cell",
    "a requirement: first use",
    "a requirement: read for write",
    "a requirement: place of the move",
    "an exit less",
    "an exit: cell",
    "an exit: location",
    "an exit: value",
];

fn tell(name: &str, pieces: &Pieces) -> Tally {
    let tally = pieces.tell_all(&pieces.lies(seed(0), amount(3, 120)));
    let table = tally.table();
    say(&format!("{name}: {}", if is_whole() { &table } else { table.lines().last().unwrap_or_default() }));
    assert!(tally.wrong.is_empty(), "{} lies:\n{}", tally.wrong.len(), tally.wrong.join("\n"));
    let silent = tally.kinds.iter().filter(|(_, ends)| ends.contains_key(&End::Nothing)).map(|(kind, _)| kind);
    let silent: Vec<_> = silent.filter(|kind| !NOTHING.contains(kind)).collect();
    assert!(silent.is_empty(), "lies that change nothing: {silent:?}");
    tally
}

fn forks(ranges: &[RangeInclusive<u64>]) -> Pieces {
    Pieces::of(&Sample::open(&sample("forks.mana")), ranges)
}

#[test]
fn summaries_of_the_forks() {
    let pieces = forks(&[0..=17, 18..=36, 37..=53]);
    assert_eq!((pieces.report().verdict, pieces.report().conditional), (Verdict::Valid, false));
    let tally = tell("summaries of every fork", &pieces);
    assert!(tally.told() > 250, "{}", tally.told());
    for (kind, end) in
        [("a requirement: value before", End::Invalid), ("an exit: value", End::Invalid), ("gas", End::AnotherClaim)]
    {
        assert!(tally.kinds[kind].contains_key(&end), "{kind}: {:?}", tally.kinds[kind]);
    }
    // Without the beginning: what is required stays required.
    let pieces = forks(&[18..=35, 36..=53]);
    assert!(pieces.report().conditional);
    let tally = tell("summaries of later forks", &pieces);
    assert!(tally.kinds["a requirement less"].contains_key(&End::AnotherClaim));
}

/// What a judge found is believed; so is that he found nothing.
#[test]
fn a_finding_that_is_dropped_is_not_missed() {
    let mut summaries = forks(&[0..=17, 18..=36, 37..=53]).summaries().to_vec();
    let segment = &mut summaries[1].segments[0];
    let at = Location::new(20, 1).expect("in bounds");
    let cell = Cell::account(alloy_primitives::Address::repeat_byte(0xed));
    segment.faults = vec![Fault {
        location: at,
        check: 2,
        reason: "wrong-logs".into(),
        place: Maybe(None),
        cell: Maybe(None),
        got: "a".into(),
        expected: "b".into(),
    }];
    let with_fault = Pieces::new(summaries.clone());
    assert_eq!(with_fault.report().verdict, Verdict::Invalid);
    let told = |pieces: &Pieces, kind: &str| {
        let mut lies = pieces.lies(seed(0), 0);
        lies.retain(|lie| lie.kind == kind);
        let tally = pieces.tell_all(&lies);
        assert_eq!((lies.len(), &tally.wrong), (1, &Vec::new()), "{kind}");
        assert!(tally.kinds[kind].contains_key(&End::AnotherClaim), "{:?}", tally.kinds);
    };
    told(&with_fault, "a fault less");
    summaries[1].segments[0].faults.clear();
    summaries[1].segments[0].culprits = vec![Culprit {
        cell,
        location: at,
        reason: "double-use".into(),
        window: 0,
        after: Location::from_bits(0),
        write: true,
        intx: Version::Virgin,
        prev: cell.default_value(),
        expected: Maybe(None),
        place: 0,
    }];
    told(&Pieces::new(summaries), "a culprit less");
}

#[test]
fn summaries_of_a_real_chain() {
    let Some(data) = data_for("summaries_of_a_real_chain") else { return };
    let folder = data.join("chains/geth600");
    let chain = Sample::import(&[folder.join("chain.rlp")], Some(&folder.join("genesis.json")));
    tell("summaries of a real chain", &Pieces::of(&chain, &[0..=99, 100..=299, 300..=599]));
    tell("summaries of a part of it", &Pieces::of(&chain, &[200..=299, 300..=449]));
}

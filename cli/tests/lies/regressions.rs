//! Lies that had another consequence than foretold, each named for what broke.

use alloy_primitives::B256;
use manaflow_datasets::lies::ledger::Ledger;
use manaflow_datasets::lies::moves::{self, NOBODY};
use manaflow_datasets::lies::sample::{Answer, Sample};
use manaflow_datasets::lies::tell::tell_all;
use manaflow_datasets::lies::{Draw, Scene};
use manaflow_datasets::sample;
use manaflow_engine::reason::Reason;
use manaflow_loader::model::{Mark, Ommers, Version};

/// Two blocks of one segment and of one miner whose ommers are known by hash only: what is assumed of the miner was put
/// down at the block that was judged first, so the digest of the requirements hung on the order. (A judgement compares
/// the reports of all orders.)
#[test]
fn what_is_assumed_of_a_miner_does_not_hang_on_the_order() {
    let mut piece = Sample::open(&sample("forks.mana")).cut(9..=14);
    for block in &mut piece.segments[0].blocks {
        block.body.ommers = Ommers::Hashes(vec![B256::repeat_byte(1)]);
        let closing = block.transactions.last_mut().expect("a closing");
        closing.moves.retain(|m| m.cell.mark == Mark::BlockHash);
    }
    let Answer::Judged(judged) = piece.judge() else { panic!("no verdict") };
    let ledger = Ledger::of(&piece);
    assert!(!judged.assumed.is_empty());
    for (assumption, location) in &judged.assumed {
        assert_eq!(ledger.assumed.get(&(0, assumption.cell)), Some(location), "the last block");
    }
}

/// A worker keeps its EVM from transaction to transaction: what one was refused must not be the fault of the next.
#[test]
fn what_one_run_was_refused_is_not_the_fault_of_the_next() {
    let file = Sample::open(&sample("mainnet.mana"));
    let place = file.segments.iter().position(|segment| segment.start.first == 15_537_393).expect("the block");
    let honest = file.segment(place);
    let (mut refused, mut other) = (honest.clone(), honest);
    refused.change_header(0, 0, |header| header.beneficiary = NOBODY);
    other.change_header(0, 0, |header| header.extra_data = vec![1].into());
    let one_worker = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
    one_worker.install(|| {
        let Answer::Judged(judged) = refused.judge() else { panic!("no verdict") };
        assert!(judged.report.invalid.iter().any(|fault| fault.reason == Reason::UndeclaredCell));
        let Answer::Judged(judged) = other.judge() else { panic!("no verdict") };
        let reasons: Vec<Reason> = judged.report.invalid.iter().map(|fault| fault.reason).collect();
        assert_eq!(reasons, [Reason::WrongHashWrite], "{:?}", judged.report.invalid);
    });
}

/// What is assumed is the default: another before is `assumed-version` too, which was not foretold.
#[test]
fn another_before_of_what_is_assumed_is_no_assumption() {
    let file = Sample::open(&sample("mainnet.mana"));
    let place = file.segments.iter().position(|segment| segment.start.first == 19_910_734).expect("the block");
    let block = file.segment(place);
    let scene = Scene::new(&block);
    let (places, mut draw, mut lies) = (scene.places(), Draw(0), Vec::new());
    for place in &places {
        let assumed = scene.row(place).moves.iter().enumerate().filter(|(_, m)| m.intx == Version::Assumed);
        for (j, _) in assumed.take(2) {
            moves::about(&scene, place, j, &places, &mut draw, &mut lies);
        }
    }
    lies.retain(|lie| lie.kind.starts_with("move: prev"));
    assert!(lies.len() > 8, "{}", lies.len());
    let tally = tell_all(&block, &lies);
    assert!(tally.wrong.is_empty(), "{}", tally.wrong.join("\n"));
}

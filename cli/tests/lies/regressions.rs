//! Lies that had another consequence than foretold, each named for what broke.

use alloy_primitives::B256;
use manaflow_datasets::lies::ledger::Ledger;
use manaflow_datasets::lies::sample::{Answer, Sample};
use manaflow_datasets::sample;
use manaflow_loader::model::{Mark, Ommers};

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

//! Lies about real blocks of every fork: each must end as the lie-maker (`datasets/src/lies`) foretells, in every order.
//!
//! A seeded slice by default; the whole, with the table by kind, takes about ten minutes on two cores:
//!
//! ```sh
//! MANAFLOW_LIES=all cargo test --release --workspace --test lies -- --nocapture
//! ```
//!
//! `MANAFLOW_LIES=N` tells at most N lies of each kind about each sample; `MANAFLOW_SEED` draws others.

mod bits;
mod chains;
mod hints;
mod regressions;
mod summaries;

use manaflow_datasets::lies::bytes;
use manaflow_datasets::lies::sample::Sample;
use manaflow_datasets::lies::tell::{Tally, tell_all};
use manaflow_datasets::lies::{Draw, Measure, Scene, lies};
use std::io::Write;

/// How much is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Amount {
    /// What a test run can afford.
    Slice,
    /// At most so many lies of a kind about each sample, about all samples.
    OfKind(usize),
}

fn amount() -> Amount {
    match std::env::var("MANAFLOW_LIES").as_deref() {
        Ok("all") => Amount::OfKind(3),
        Ok(n) => Amount::OfKind(n.parse().expect("MANAFLOW_LIES is `all` or a number")),
        Err(_) => Amount::Slice,
    }
}

fn seed() -> u64 {
    std::env::var("MANAFLOW_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0)
}

/// Says something where the test harness does not swallow it.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Tells lies about some samples; `slice`: of each kind in all, where only a slice is asked for.
fn tell(name: &str, slice: usize, samples: impl IntoIterator<Item = Sample>) -> Tally {
    let mut tally = Tally::default();
    let mut draw = Draw(seed());
    for sample in samples {
        let of_kind = match amount() {
            Amount::Slice => 1,
            Amount::OfKind(n) => n,
        };
        let measure = Measure { seed: draw.number(), rows: 24, moves: 6, of_kind };
        let mut all = lies(&Scene::new(&sample), &measure);
        if amount() == Amount::Slice {
            // Kinds that were told before give way.
            let told = |lie: &manaflow_datasets::lies::Lie| {
                tally.kinds.get(lie.kind).map_or(0, |ends| ends.values().sum::<usize>())
            };
            all.retain(|lie| told(lie) < slice);
            all = draw.some(all, 40);
        } else if sample.segments.iter().flat_map(|s| &s.blocks).any(|b| b.transactions.len() > 40) {
            // Each lie costs three judgements of the whole block.
            all = draw.some(all, 12 * of_kind);
        }
        tally.add(tell_all(&sample, &all));
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("honest.mana");
        sample.write(&path).expect("written");
        if amount() != Amount::Slice || draw.number().is_multiple_of(4) {
            tally.add(bytes::tell_all(&std::fs::read(&path).expect("read"), &bytes::lies(&mut draw)));
        }
    }
    match amount() {
        Amount::Slice => say(&format!("{name}: {}", tally.table().lines().last().unwrap_or_default())),
        Amount::OfKind(_) => say(&format!("{name}:\n{}", tally.table())),
    }
    assert!(tally.wrong.is_empty(), "{} lies:\n{}", tally.wrong.len(), tally.wrong.join("\n"));
    tally
}

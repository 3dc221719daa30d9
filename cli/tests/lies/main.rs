//! Lies about real blocks of every fork: each must end as the lie-maker (`datasets/src/lies`) foretells, in every order.
//!
//! A seeded slice by default (`MANAFLOW_SEED` draws others); the whole, with tables by kind and by fork:
//!
//! ```sh
//! MANAFLOW_WHOLE=1 cargo test --release --workspace --test lies -- --nocapture
//! ```

mod bits;
mod cases;
mod chains;
mod hints;
mod regressions;
mod summaries;

use manaflow_datasets::lies::bytes;
use manaflow_datasets::lies::sample::Sample;
use manaflow_datasets::lies::tell::{Tally, tell_all};
use manaflow_datasets::lies::{Draw, Lie, Measure, Scene, lies};
use manaflow_datasets::{amount, is_whole, say, seed};

/// How many lies a slice tells, and a whole run.
#[derive(Clone, Copy)]
struct Share {
    /// Of each kind about all samples, in a slice.
    of_kind: usize,
    /// About each sample, in a slice.
    of_sample: usize,
    /// Of each kind about each sample, in a whole run.
    whole: usize,
}

impl Share {
    const fn of_kind(of_kind: usize) -> Self {
        Self { of_kind, of_sample: 40, whole: 3 }
    }
}

/// Tells lies about some samples.
fn tell(name: &str, share: Share, samples: impl IntoIterator<Item = Sample>) -> Tally {
    let mut tally = Tally::default();
    let mut draw = Draw(seed(0));
    for sample in samples {
        let measure = Measure { seed: draw.number(), rows: 24, moves: 6, of_kind: amount(1, share.whole) };
        let mut all = lies(&Scene::new(&sample), &measure);
        if !is_whole() {
            // Kinds that were told before give way.
            let told = |lie: &Lie| tally.kinds.get(lie.kind).map_or(0, |ends| ends.values().sum::<usize>());
            all.retain(|lie| told(lie) < share.of_kind);
            all = draw.some(all, share.of_sample);
        } else if sample.segments.iter().flat_map(|s| &s.blocks).any(|b| b.transactions.len() > 40) {
            // Each lie costs three judgements of the whole block.
            all = draw.some(all, 12 * share.whole);
        }
        tally.add(tell_all(&sample, &all));
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("honest.mana");
        sample.write(&path).expect("written");
        if is_whole() || draw.number().is_multiple_of(4) {
            tally.add(bytes::tell_all(&std::fs::read(&path).expect("read"), &bytes::lies(&mut draw)));
        }
    }
    let table = tally.table();
    let last = table.lines().last().unwrap_or_default();
    say(&format!("{name}: {}", if is_whole() { format!("\n{table}") } else { last.to_owned() }));
    say(&format!("{name}, by fork: {}", tally.forks()));
    assert!(tally.wrong.is_empty(), "{} lies:\n{}", tally.wrong.len(), tally.wrong.join("\n"));
    tally
}

//! Where the test data is, how much of it a test run is to take, and what is drawn from which seed. A test that needs data
//! which is not there, or that only a whole run takes, says so and is counted, rather than failing or passing unseen. With
//! the feature `lies`: the lie-maker, which takes valid block files and knows what must follow from each lie about them.

#![forbid(unsafe_code)]

mod draw;
pub mod growth;
#[cfg(feature = "lies")]
pub mod lies;
pub mod sign;

pub use draw::Draw;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

static SKIPPED: AtomicUsize = AtomicUsize::new(0);

/// A sample file that comes with the repository: `mainnet.mana` or `forks.mana`.
pub fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The folder of the unpacked test data: `MANAFLOW_DATA` if it is set, else `target/data` of the workspace; `None` if
/// it is not there.
pub fn data() -> Option<PathBuf> {
    let folder = match std::env::var_os("MANAFLOW_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.join("target").join("data"),
    };
    folder.is_dir().then_some(folder)
}

/// The data folder for a test called `test`; if it is not there, prints `skipped: …` and counts.
pub fn data_for(test: &str) -> Option<PathBuf> {
    let data = data();
    if data.is_none() {
        skip(test, "no test data in MANAFLOW_DATA or target/data");
    }
    data
}

/// Prints `skipped: …` for a test and counts.
pub fn skip(test: &str, why: &str) {
    let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    say(&format!("skipped: {test}: {why} ({count} skipped)"));
}

/// Says something where the test harness does not swallow it, as it does with `println!` when a test passes.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Whether a test run is to take everything rather than what each change can afford: `MANAFLOW_WHOLE`, but empty or 0.
pub fn is_whole() -> bool {
    std::env::var_os("MANAFLOW_WHOLE").is_some_and(|value| !value.is_empty() && value != "0")
}

/// `whole` if everything is asked for, else `slice`.
pub fn amount<T>(slice: T, whole: T) -> T {
    if is_whole() { whole } else { slice }
}

/// What random tests draw from: `MANAFLOW_SEED`, else the test's own seed.
///
/// # Panics
/// If the variable is not a number.
pub fn seed(default: u64) -> u64 {
    let given = std::env::var("MANAFLOW_SEED").ok();
    given.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("MANAFLOW_SEED: {text:?} is no number")))
}

/// How many tests of this process were skipped.
pub fn skipped() -> usize {
    SKIPPED.load(Ordering::Relaxed)
}

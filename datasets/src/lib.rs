//! Where the test data is. A test that needs data which is not there says so and is counted, rather than failing or
//! passing unseen. With the feature `lies`: the lie-maker, which takes valid block files and knows what must follow from each
//! lie about them.

#![forbid(unsafe_code)]

#[cfg(feature = "lies")]
pub mod lies;

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
        let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
        // Not `println!`, which the test harness swallows when the test passes.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: {test}: no test data in MANAFLOW_DATA or target/data ({count} skipped)"
        );
    }
    data
}

/// How many tests of this process were skipped for want of data.
pub fn skipped() -> usize {
    SKIPPED.load(Ordering::Relaxed)
}

//! The real mainnet blocks that everything is measured on: imported to a temporary file, or the committed block file.

use manaflow_engine::import::{Imported, Options as ImportOptions, import_by};
use manaflow_loader::file::{BlockFile, Series};
use manaflow_loader::source::{Options, Recognised, recognise};
use std::path::{Path, PathBuf};

/// An open block file, and what it is.
#[derive(Debug)]
pub struct Dataset {
    /// The file.
    pub file: BlockFile,
    /// Where its blocks come from.
    pub origin: String,
    // Holds the temporary file on disk.
    _folder: Option<tempfile::TempDir>,
}

/// The snapshots of 60 mainnet blocks, if the test data is there.
pub fn snapshots() -> Option<PathBuf> {
    manaflow_datasets::data().map(|data| data.join("mainnet")).filter(|folder| folder.is_dir())
}

impl Dataset {
    /// The mainnet blocks, every block verified. Says which to read and how to get it where there is none.
    pub fn mainnet() -> Result<Self, String> {
        let dataset = match snapshots() {
            Some(snapshots) => {
                let folder = tempfile::tempdir().map_err(|e| format!("no temporary folder: {e}"))?;
                let path = folder.path().join("mainnet.mana");
                import_snapshots(&snapshots, &path)?;
                let file = BlockFile::open(&path).map_err(|e| e.to_string())?;
                Self { file, origin: "snapshots of the test data".into(), _folder: Some(folder) }
            }
            None => {
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/mainnet.mana");
                let file = BlockFile::open(&path).map_err(|e| format!("no test data in target/data, and {e}"))?;
                Self { file, origin: "datasets/mainnet.mana".into(), _folder: None }
            }
        };
        dataset.file.verify_all().map_err(|e| e.to_string())?;
        Ok(dataset)
    }
}

/// Imports all snapshots at or below a folder.
pub fn import_snapshots(folder: &Path, output: &Path) -> Result<Imported, String> {
    let recognised = recognise(&[folder.to_path_buf()], &Options::default()).map_err(|e| e.to_string())?;
    import_to(&recognised, output, ImportOptions::default())
}

/// Imports sources to a file.
pub fn import_to(recognised: &Recognised, output: &Path, options: ImportOptions) -> Result<Imported, String> {
    let mut writer = Series::create(output, &recognised.rules, "manaflow benches").map_err(|e| e.to_string())?;
    let imported = import_by(recognised, &mut writer, options, &mut |_| {}).map_err(|e| e.to_string())?;
    writer.finish().map_err(|e| e.to_string())?;
    Ok(imported)
}

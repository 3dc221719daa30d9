//! From paths to sources: what lies at or below each path, and what of it is left out.
//!
//! A folder is walked in order of names. Taken: folders with `block.json` and `pre_state.json`; files `*.rlp`,
//! `*.era1`, `*.ere` and `*.erae`. Left out and listed: blocks without state (`block.json` alone, `<number>.json`), states
//! without block, and folders of saved answers of a node.
//! Anything else is no business of an import and is passed over. A file that is named itself is taken as what its first
//! bytes say, whatever its name, or refused.
//! All chain files of an import belong to one chain with one genesis file: the one given, or `genesis.json` beside
//! them.
//! Headers of all blocks seen, also of those left out, may serve as earlier headers of others; the hash chain proves
//! them.

use super::chain::Chain;
use super::genesis::Genesis;
use super::node::NodeRange;
use super::rpc::{self, SealedHeader};
use super::snapshot::{Collector, KnownHeader, KnownHeaders, SnapshotFolder};
use crate::error::{Error, Result};
use crate::node::SavedAnswers;
use crate::rules::ChainRules;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Folders below a path are walked to this depth; links may make a tree endless.
const DEPTH_MAX: usize = 16;

/// What is known of the sources beforehand.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Genesis file of the chain files; `None`: the one among the paths, or `genesis.json` beside the files.
    pub genesis: Option<PathBuf>,
    /// Rules; `None`: those of the genesis file, or mainnet's where there are snapshots only.
    pub rules: Option<ChainRules>,
}

/// Something to import.
#[derive(Clone, Debug)]
pub enum Source {
    /// Blocks from genesis on.
    Chain(Chain),
    /// A block with the state before it, a segment of its own.
    Snapshot(SnapshotFolder),
    /// Blocks of a node.
    Node(Box<NodeRange>),
}

/// A file that was seen and is not imported.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct LeftOut {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

/// The sources at some paths.
#[derive(Clone, Debug)]
pub struct Recognised {
    /// Rules of all sources.
    pub rules: ChainRules,
    /// The chain, if there is one; then snapshots by block number.
    pub sources: Vec<Source>,
    /// What is left out, by path.
    pub left_out: Vec<LeftOut>,
}

/// Finds the sources at or below `paths`. Reads headers and tables of codes; blocks and states are read later.
///
/// Whether a snapshot's block lies within the chain is not looked at: the chain's end is known once it is read.
/// Errors: nothing to import; two genesis files; two snapshots of one block number; a chain that does not start at its
/// genesis, or files that are not one chain;
/// JSON, RLP, era1 or ere that is malformed where it is read.
pub fn recognise(paths: &[PathBuf], options: &Options) -> Result<Recognised> {
    let mut found = Found::default();
    for path in paths {
        let metadata = std::fs::metadata(path).map_err(Error::io(path))?;
        if metadata.is_dir() { found.walk(path, 0)? } else { found.file(path)? }
    }
    found.left_out.sort();
    found.left_out.dedup();
    let chain = found.chain(options)?;
    let rules = match (&chain, &options.rules) {
        (Some(chain), _) => chain.genesis.rules.clone(),
        (None, Some(rules)) => rules.clone(),
        (None, None) => ChainRules::named("mainnet").expect("mainnet is built in"),
    };
    let snapshots = found.snapshots()?;
    let sources: Vec<_> =
        chain.map(Source::Chain).into_iter().chain(snapshots.into_iter().map(Source::Snapshot)).collect();
    if sources.is_empty() {
        return Err(nothing(paths, &found.left_out));
    }
    Ok(Recognised { rules, sources, left_out: found.left_out })
}

fn nothing(paths: &[PathBuf], left_out: &[LeftOut]) -> Error {
    let expected = "expected folders with block.json and pre_state.json, or *.rlp, *.era1 or *.ere files with a genesis \
                    file";
    let reason = match left_out {
        [] => format!("nothing to import: {expected}"),
        [first, rest @ ..] => format!(
            "nothing to import: {expected}; left out: {}: {}{}",
            first.path.display(),
            first.reason,
            if rest.is_empty() { String::new() } else { format!(", and {} more", rest.len()) }
        ),
    };
    Error::malformed(paths.first().map_or(Path::new(""), PathBuf::as_path), "source", reason)
}

/// What lies at the paths, before it is put together.
#[derive(Default)]
struct Found {
    snapshots: Vec<(PathBuf, SealedHeader)>,
    chain_files: Vec<PathBuf>,
    /// Genesis files named among the paths.
    genesis_files: Vec<PathBuf>,
    headers: KnownHeaders,
    left_out: Vec<LeftOut>,
    /// Real paths of folders and files already taken.
    seen: BTreeSet<PathBuf>,
}

impl Found {
    /// Whether a path is met for the first time: sources may overlap, and links may lead back.
    fn is_new(&mut self, path: &Path) -> Result<bool> {
        let real = std::fs::canonicalize(path).map_err(Error::io(path))?;
        Ok(self.seen.insert(real))
    }

    fn walk(&mut self, folder: &Path, depth: usize) -> Result<()> {
        if !self.is_new(folder)? {
            return Ok(());
        }
        if depth > DEPTH_MAX {
            return Err(Error::malformed(folder, "folder", format!("is more than {DEPTH_MAX} folders deep")));
        }
        let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut paths: Vec<_> = entries.map_err(Error::io(folder))?.into_iter().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            // A link that leads nowhere is nothing.
            let Ok(metadata) = std::fs::metadata(&path) else { continue };
            if metadata.is_dir() {
                self.walk(&path, depth + 1)?;
                continue;
            }
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
            match (stem, extension) {
                ("block", "json") => self.block(&path)?,
                ("pre_state", "json") if !folder.join("block.json").is_file() => {
                    self.leave_out(&path, "a state without block.json beside it");
                }
                (_, "rlp" | "era1" | "ere" | "erae") => self.chain_file(&path)?,
                (digits, "json") if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                    self.block_without_state(&path)?;
                }
                _ if SavedAnswers::is_named(&path) => {
                    self.leave_out(folder, "holds saved answers of a node, which are imported by themselves");
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A file named by the caller.
    fn file(&mut self, path: &Path) -> Result<()> {
        if path.file_name().is_some_and(|name| name == "block.json") {
            return self.block(path);
        }
        if path.extension().is_none_or(|extension| extension != "json") {
            return self.chain_file(path);
        }
        let json: serde_json::Map<String, serde_json::Value> = super::read_json(path)?;
        if json.keys().any(|key| key.eq_ignore_ascii_case("alloc")) {
            if self.is_new(path)? {
                self.genesis_files.push(path.to_path_buf());
            }
            return Ok(());
        }
        if super::fixture::looks_like_cases(&json) {
            let reason = "holds spec tests: `manaflow fixtures` runs them; an import takes chains and snapshots";
            return Err(Error::malformed(path, "source", reason));
        }
        self.block_without_state(path)
    }

    fn chain_file(&mut self, path: &Path) -> Result<()> {
        if self.is_new(path)? {
            self.chain_files.push(path.to_path_buf());
        }
        Ok(())
    }

    /// A `block.json`: with its state a snapshot, without it left out.
    fn block(&mut self, path: &Path) -> Result<()> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        if !folder.join("pre_state.json").is_file() {
            return self.block_without_state(path);
        }
        if self.is_new(path)? {
            let sealed = read_header(path)?;
            self.headers.insert(sealed.hash, KnownHeader::new(&sealed));
            self.snapshots.push((folder.to_path_buf(), sealed));
        }
        Ok(())
    }

    fn block_without_state(&mut self, path: &Path) -> Result<()> {
        let sealed = read_header(path)?;
        self.headers.insert(sealed.hash, KnownHeader::new(&sealed));
        self.leave_out(path, "a block without state: no pre_state.json beside it");
        Ok(())
    }

    fn leave_out(&mut self, path: &Path, reason: &str) {
        self.left_out.push(LeftOut { path: path.to_path_buf(), reason: reason.into() });
    }

    /// The chain of all chain files.
    fn chain(&self, options: &Options) -> Result<Option<Chain>> {
        if self.chain_files.is_empty() {
            return Ok(None);
        }
        // By real path: one file may be named twice.
        let mut candidates = BTreeMap::new();
        for path in options.genesis.iter().chain(&self.genesis_files) {
            candidates.insert(std::fs::canonicalize(path).map_err(Error::io(path))?, path.clone());
        }
        if candidates.is_empty() {
            for file in &self.chain_files {
                let beside = file.with_file_name("genesis.json");
                if !beside.is_file() {
                    let reason = "no genesis file was given, and there is no genesis.json beside the file";
                    return Err(Error::malformed(file, "genesis", reason));
                }
                candidates.insert(std::fs::canonicalize(&beside).map_err(Error::io(&beside))?, beside);
            }
        }
        let mut candidates = candidates.into_values();
        match (candidates.next(), candidates.next()) {
            (Some(one), None) => {
                let genesis = Genesis::read(&one, options.rules.as_ref())?;
                Chain::open(Arc::new(genesis), &self.chain_files).map(Some)
            }
            (Some(one), Some(another)) => {
                let reason = format!("is another genesis file beside {}: import one chain at a time", one.display());
                Err(Error::malformed(another, "genesis", reason))
            }
            (None, _) => Ok(None),
        }
    }

    /// The snapshots by number; two of one number would claim the same place.
    fn snapshots(&mut self) -> Result<Vec<SnapshotFolder>> {
        self.snapshots.sort_by_key(|(_, sealed)| sealed.header.number);
        for pair in self.snapshots.windows(2) {
            let ((one, a), (another, b)) = (&pair[0], &pair[1]);
            if a.header.number == b.header.number {
                let reason = format!("block {} is in {} too", b.header.number, one.display());
                return Err(Error::malformed(another, "block.json", reason));
            }
        }
        let known = Arc::new(std::mem::take(&mut self.headers));
        let mut collector = Collector::new();
        self.snapshots.iter().map(|(folder, sealed)| collector.snapshot(folder, sealed, &known)).collect()
    }
}

fn read_header(path: &Path) -> Result<SealedHeader> {
    let json = super::read_regular(path)?;
    rpc::header(path, &json)
}

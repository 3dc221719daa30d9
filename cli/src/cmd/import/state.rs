//! `--state`, `--memory`, `--split`, `--resume`: imports at length, whose state is on disk and whose output is many files.

use crate::exit::Failure;
use crate::output::{check_output, tell};
use alloy_consensus::Header;
use alloy_primitives::{B256, keccak256};
use manaflow_engine::import::{Files, Kept, Stored};
use manaflow_engine::solo::stored::Room;
use manaflow_loader::file::{BlockFile, Limit, Piece, Series, SeriesName, after, size_of};
use manaflow_loader::rules::ChainRules;
use manaflow_loader::source::node::Way;
use manaflow_loader::source::{Recognised, Source};
use manaflow_loader::state::{Identity, MarkerFile, StateStore};
use std::path::{Path, PathBuf};

/// Options of an import at length.
#[derive(clap::Args, Debug)]
pub struct StateArgs {
    /// Keep the state of a chain from genesis in this folder instead of in memory. Without --split a kill loses the one file
    /// and with it the work; with it, --resume goes on.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Memory for the state: cells in use, and pages of the store. Beside it a file that is being written takes about 170
    /// bytes for each cell that occurs in it, which --split bounds.
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "1GiB", requires = "state")]
    memory: u64,
    /// Write a series of files, chain-000000000000.mana and so on for `-o chain.mana`, each named by its first block. A file is
    /// full after so many blocks (10000blocks), or after the block with which it comes to about that size (1GiB).
    #[arg(long, value_name = "SIZE", value_parser = parse_limit)]
    split: Option<Limit>,
    /// Go on after the last file that is whole; also with blocks that have come since. The sources begin at genesis as
    /// before; what is done already is passed over.
    ///
    /// Chains of files need --state for it. Blocks of a node after genesis do not: the files tell their state.
    #[arg(long, requires = "split")]
    resume: bool,
}

fn parse_size(text: &str) -> Result<u64, String> {
    size_of(text).filter(|bytes| *bytes > 0).ok_or_else(|| "expected a size such as 512MiB or 2GiB".into())
}

fn parse_limit(text: &str) -> Result<Limit, String> {
    Limit::parse(text).ok_or_else(|| "expected a size such as 1GiB, or a number of blocks such as 10000blocks".into())
}

/// Where an import writes, before any source is read.
#[derive(Debug)]
pub enum Target {
    /// One file.
    One(PathBuf),
    /// A series of files.
    Many(SeriesName, Limit),
}

/// What an import writes to, and where its state is.
#[derive(Debug)]
pub struct Plan {
    /// The files.
    pub series: Series,
    /// The state, if not in memory; or the files of earlier runs that tell it.
    pub kept: Kept,
    /// Files of earlier runs.
    pub before: Vec<Piece>,
}

impl StateArgs {
    /// Where to write. Refuses what it cannot be, before any work is done.
    pub fn target(&self, output: &Path, inputs: &[PathBuf]) -> Result<Target, Failure> {
        let Some(limit) = self.split else {
            return crate::cmd::block_file_output(output, inputs).map(Target::One);
        };
        if output.as_os_str() == "-" {
            return Err(Failure::Usage("a series of files cannot be streamed to standard output".into()));
        }
        let name = SeriesName::new(output)?;
        // What holds of one file of the folder holds of all.
        check_output(&name.path(0), inputs)?;
        let is_output = |input: &&PathBuf| {
            let name_of_input = input.file_name().and_then(|name| name.to_str());
            let folder = input.canonicalize().ok().and_then(|path| path.parent().map(Path::to_path_buf));
            name_of_input.and_then(|text| name.first_of(text)).is_some() && folder == name.folder().canonicalize().ok()
        };
        match inputs.iter().find(is_output) {
            Some(input) => {
                Err(Failure::Usage(format!("{}: is an input, and has the name of an output", input.display())))
            }
            None => Ok(Target::Many(name, limit)),
        }
    }

    /// Opens the state, and says what is written where.
    pub fn plan(&self, target: Target, recognised: &Recognised, versions: &str) -> Result<Plan, Failure> {
        let rules = &recognised.rules;
        if self.state.is_none() && self.split.is_none() {
            let Target::One(path) = target else { return Err(Failure::Usage("--split names no limit".into())) };
            let series = Series::create(path, rules, versions).map_err(crate::cmd::unwritable)?;
            return Ok(Plan { series, kept: Kept::Nothing, before: Vec::new() });
        }
        let genesis = match &recognised.sources[..] {
            [Source::Chain(chain)] => Some(chain.genesis.hash),
            [Source::Node(range)] => range.genesis.as_ref().map(|genesis| genesis.hash),
            _ => {
                return Err(Failure::Usage(
                    "--state and --split are for one chain from its genesis on, or for blocks of a node".into(),
                ));
            }
        };
        let Some(genesis) = genesis else { return self.of_node(target, recognised, versions) };
        if self.resume && self.state.is_none() {
            return Err(Failure::Usage("--resume of a chain from genesis needs --state".into()));
        }
        let store = self.state.as_deref().map(|folder| self.open(folder, &target, genesis, recognised, versions));
        let store = store.transpose()?;
        let follows = matches!(&recognised.sources[..], [Source::Node(range)] if range.follow.is_some());
        if follows && store.is_none() {
            tell("note: without --state an import from genesis cannot be gone on with");
        }
        let before = match (&target, &store) {
            (Target::Many(name, limit), store) => {
                self.demand_files((name, *limit), store.as_ref(), (genesis, rules))?
            }
            _ => Vec::new(),
        };
        // The files are those of the state.
        if let Some(marker) = store.as_ref().and_then(StateStore::marker) {
            tell(&format!("resumes at block {}", marker.next.first));
        }
        let limit = self.split.map_or_else(String::new, |limit| limit.to_string());
        let stored = |store| Box::new(Stored { store, room: Room::of_bytes(self.memory / 2), limit });
        let kept = store.map_or(Kept::Nothing, |store| Kept::Stored(stored(store)));
        let series = match target {
            Target::One(path) => Series::create(path, rules, versions).map_err(crate::cmd::unwritable)?,
            Target::Many(name, limit) => Series::split(name, limit, rules, versions),
        };
        Ok(Plan { series, kept, before })
    }

    /// Blocks of a node after genesis: the files that are there tell the state.
    fn of_node(&self, target: Target, recognised: &Recognised, versions: &str) -> Result<Plan, Failure> {
        let rules = &recognised.rules;
        if self.state.is_some() {
            let words =
                "--state is for chains from genesis: of blocks of a node --resume reads the state from the files";
            return Err(Failure::Usage(words.into()));
        }
        let (Target::Many(name, limit), [Source::Node(range)]) = (target, &recognised.sources[..]) else {
            return Err(Failure::Usage("--split names no limit".into()));
        };
        let existing = name.existing()?;
        let series = Series::split(name.clone(), limit, rules, versions);
        if existing.is_empty() {
            return Ok(Plan { series, kept: Kept::Nothing, before: Vec::new() });
        }
        let refuse = |first: u64, reason: String| Failure::Input(format!("{}: {reason}", name.path(first).display()));
        if !self.resume {
            let reason = "is there already: remove the files of the series, or go on with --resume";
            return Err(refuse(existing[0], reason.into()));
        }
        let (mut files, mut before) = (Vec::new(), Vec::new());
        let (mut next, mut tip) = (range.start.clone(), None);
        for first in existing {
            let path = name.path(first);
            let file = open_of_chain(&path, first, rules)?;
            // The first block is bound to find something: its closing, for one.
            if range.way == Way::Proofs && before.is_empty() && file.state_nodes()?.is_empty() {
                let reason = "was imported without proofs: leave out --verify-proofs, or import it again";
                return Err(refuse(first, reason.into()));
            }
            let (after, hash) = after(&file)?;
            let begins = file.segments().first().map(|segment| (segment.start.first, segment.start.origin));
            let expected = (next.first, range.start.origin);
            if begins != Some(expected) {
                let words = |(block, origin)| format!("block {block} of a segment that begins with block {origin}");
                let got = begins.map_or_else(|| "no segment".into(), words);
                return Err(refuse(first, format!("begins with {got}, expected {}", words(expected))));
            }
            demand_parent(&file, tip)?;
            let bytes = path.metadata().map_or(0, |metadata| metadata.len());
            let last = after.first - 1;
            before.push(Piece { path, first, last, blocks: after.first - first, bytes });
            (next, tip) = (after, Some(hash));
            files.push(file);
        }
        tell(&format!("resumes at block {}; what was found before, earlier runs have learned as they say", next.first));
        let kept = Kept::Files(Box::new(Files { files, next, tip: tip.unwrap_or_default() }));
        Ok(Plan { series, kept, before })
    }

    fn open(
        &self,
        folder: &Path,
        target: &Target,
        genesis: B256,
        recognised: &Recognised,
        versions: &str,
    ) -> Result<StateStore, Failure> {
        let output = match target {
            Target::One(path) => {
                path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
            }
            Target::Many(name, _) => name.folder(),
        };
        if folder.canonicalize().is_ok_and(|folder| output.canonicalize().is_ok_and(|output| output == folder)) {
            let reason = "is the folder of the output: the state needs one of its own";
            return Err(Failure::Usage(format!("{}: {reason}", folder.display())));
        }
        let files = match target {
            Target::One(path) => path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            Target::Many(name, _) => name.pattern(),
        };
        let identity = Identity::new(versions, genesis, recognised.rules.digest(), &files);
        // A half for the cells in use, a quarter for pages; the rest is for what is on its way between them.
        let store = crate::cmd::unharmed(folder, || StateStore::open(folder, &identity, self.resume, self.memory / 4))?
            .map_err(crate::cmd::unwritable)?;
        if store.begun_by() != versions {
            tell(&format!("note: {}: was begun by {}", folder.display(), store.begun_by()));
        }
        Ok(store)
    }

    /// Holds the files that are there against the state: those before it must be there, those after it are made again.
    fn demand_files(
        &self,
        (name, limit): (&SeriesName, Limit),
        store: Option<&StateStore>,
        (genesis, rules): (B256, &ChainRules),
    ) -> Result<Vec<Piece>, Failure> {
        let existing = name.existing()?;
        let marker = store.and_then(StateStore::marker);
        if let (false, Some(first)) = (self.resume, existing.first()) {
            let path = name.path(*first);
            let reason =
                "is there already: remove the files of the series, or go on with --resume and the --state they have";
            return Err(Failure::Input(format!("{}: {reason}", path.display())));
        }
        let (mut pieces, mut tip) = (Vec::new(), None);
        let count = marker.map_or(0, |marker| marker.files.len());
        for file in marker.map_or(&[][..], |marker| &marker.files) {
            let path = name.path(file.first);
            let bytes = path.metadata().map_or(None, |metadata| Some(metadata.len()));
            if bytes != Some(file.bytes) {
                let got = bytes.map_or_else(|| "is not there".into(), |bytes| format!("has {bytes} bytes"));
                let MarkerFile { first, last, bytes } = file;
                let reason = format!(
                    "{got}; the state names it, blocks {first} to {last} in {bytes} bytes: give it back, or remove the state and \
                     all files of the series, and import again"
                );
                return Err(Failure::Input(format!("{}: {reason}", path.display())));
            }
            let whole = open_of_chain(&path, file.first, rules)?;
            demand_parent(&whole, tip)?;
            tip = Some(keccak256(whole.block(whole.block_count() - 1)?.header()));
            if pieces.len() + 1 == count {
                // The one that was written last is verified, the others as far as opening them does.
                whole.verify_all()?;
            }
            pieces.push(piece_of(path, file));
        }
        // A kill leaves one file beyond the state, which gets the same name again. More there are if the state is an older
        // one: with another limit their names would not come again. Whatever else has such a name is nobody's to write over.
        let next = marker.map_or(0, |marker| marker.next.first);
        for first in existing.iter().filter(|first| **first >= next) {
            let file = open_of_chain(&name.path(*first), *first, rules)?;
            demand_parent(&file, marker.map(|marker| marker.tip).filter(|_| *first == next))?;
            if *first == 0 && keccak256(file.block(0)?.header()) != genesis {
                let path = name.path(0);
                return Err(Failure::Input(format!("{}: is of another chain than {genesis}", path.display())));
            }
        }
        let is_same_limit = marker.is_some_and(|marker| marker.limit == limit.to_string());
        match existing.iter().find(|first| **first > next) {
            Some(first) if !is_same_limit => {
                let beyond = existing.iter().filter(|first| **first > next).count();
                let state = match marker {
                    Some(_) => format!("the state ends before block {next}"),
                    None => "the state is new".to_owned(),
                };
                let reason = format!(
                    "is there already, one of {beyond} files of the series beyond block {next}, and {state}: remove them to \
                     go on, or give back the state that they have"
                );
                Err(Failure::Input(format!("{}: {reason}", name.path(*first).display())))
            }
            _ => Ok(pieces),
        }
    }
}

/// A file of a series: a block file with the rules of the chain, whose first block is that.
fn open_of_chain(path: &Path, first: u64, rules: &ChainRules) -> Result<BlockFile, Failure> {
    let refuse = |reason: String| Failure::Input(format!("{}: {reason}", path.display()));
    let file = BlockFile::open(path)?;
    if file.rules().digest() != rules.digest() {
        return Err(refuse("is of a chain with other rules".into()));
    }
    if file.block_count() == 0 {
        return Err(refuse("has no blocks".into()));
    }
    let number = file.block(0)?.number();
    if number != first {
        return Err(refuse(format!("begins with block {number}, expected {first}")));
    }
    Ok(file)
}

/// The first block of a file must name the one before it, if that is known. What is no header is `validate`'s to say.
fn demand_parent(file: &BlockFile, before: Option<B256>) -> Result<(), Failure> {
    let parent = alloy_rlp::decode_exact::<Header>(file.block(0)?.header()).map(|header| header.parent_hash);
    match (parent, before) {
        (Ok(parent), Some(before)) if parent != before => {
            let path = file.path().display();
            let reason = format!("its first block names {parent} as its parent, the one before it has hash {before}");
            Err(Failure::Input(format!("{path}: {reason}")))
        }
        _ => Ok(()),
    }
}

fn piece_of(path: PathBuf, file: &MarkerFile) -> Piece {
    Piece { path, first: file.first, last: file.last, bytes: file.bytes, blocks: file.last - file.first + 1 }
}

/// The files that a run wrote, in words; the one file as it was asked for.
pub fn in_words(output: &Path, written: &[Piece]) -> String {
    match written {
        [] => "no new file".into(),
        [one] if one.path.file_name() == output.file_name() => output.display().to_string(),
        [one] => one.path.display().to_string(),
        [first, .., last] => {
            format!("{} to {}, {} files", first.path.display(), last.path.display(), written.len())
        }
    }
}

/// The files of an import for `--json`: earlier ones, and those of this run.
pub fn listed(before: &[Piece], written: &[Piece]) -> serde_json::Value {
    let row = |piece: &Piece, is_new: bool| {
        serde_json::json!({
            "file": piece.path.to_string_lossy(), "first": piece.first, "last": piece.last, "blocks": piece.blocks,
            "bytes": piece.bytes, "new": is_new,
        })
    };
    let rows = before.iter().map(|piece| row(piece, false)).chain(written.iter().map(|piece| row(piece, true)));
    rows.collect()
}

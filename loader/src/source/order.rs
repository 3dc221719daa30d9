//! The files of a chain, put in order before any of them is read: gaps, overlaps, duplicates and files of another chain
//! are all named at once, before hours of work.
//!
//! Of a file with an index at its end (era1, ere) first and last block are known beforehand, of an RLP file only the
//! first block; what comes to light behind an RLP file is found when the stream arrives there.

use super::Genesis;
use super::e2store::BLOCKS_MAX;
use crate::error::{Error, Result};
use alloy_primitives::B256;
use std::path::PathBuf;

/// What is known of a file without reading it.
#[derive(Debug)]
pub(super) struct Extent {
    pub path: PathBuf,
    /// Number in the first header.
    pub first: u64,
    /// Hash of the first block.
    pub hash: B256,
    /// What the first block names as its parent.
    pub parent: B256,
    /// Number and hash of the last block, where an index says where it is.
    pub last: Option<(u64, B256)>,
    /// Whether each block comes with its receipts.
    pub has_receipts: bool,
}

/// Something that keeps the files from being one chain: file, place, reason.
type Fault = (PathBuf, String, String);

/// Puts the files in order of their blocks.
///
/// Errors: the first fault in the order of blocks, and after it all others, a line each.
pub(super) fn put_in_order(genesis: &Genesis, mut files: Vec<Extent>) -> Result<Vec<Extent>> {
    files.sort_by(|a, b| (a.first, &a.path).cmp(&(b.first, &b.path)));
    let mut faults = Vec::new();
    if let Some(file) = files.first()
        && let Some(reason) = genesis_fault(genesis, file.first, file.hash, file.parent)
    {
        faults.push((file.path.clone(), format!("block {}", file.first), reason));
    }
    // The file that reaches furthest so far, of those whose end is known.
    let mut furthest: Option<(&Extent, u64, B256)> = None;
    for (at, file) in files.iter().enumerate() {
        if let Some(before) = at.checked_sub(1).map(|at| &files[at])
            && let Some(reason) = fault_between(before, furthest, file)
        {
            faults.push((file.path.clone(), "first block".into(), reason));
        }
        if let Some((last, hash)) = file.last
            && furthest.is_none_or(|(_, end, _)| end < last)
        {
            furthest = Some((file, last, hash));
        }
    }
    match error_of(faults) {
        Some(error) => Err(error),
        None => Ok(files),
    }
}

/// What is wrong where a file follows on another; `furthest` is the one of known end that reaches furthest.
fn fault_between(before: &Extent, furthest: Option<(&Extent, u64, B256)>, file: &Extent) -> Option<String> {
    let first = file.first;
    if before.first == first {
        let what = match before.hash == file.hash {
            true if file.last.is_some() && before.last == file.last => "duplicate",
            true => "overlap",
            false => "other chain",
        };
        let other = if before.hash == file.hash { "" } else { ", another one of that number" };
        return Some(format!("{what}: block {first} is the first of {} too{other}", before.path.display()));
    }
    let (covering, end, hash) = furthest?;
    if first <= end {
        let last = file.last.map_or(end, |(last, _)| last.min(end));
        let blocks = blocks(first, last, false);
        return Some(format!("overlap: {blocks} already in {}", covering.path.display()));
    }
    // A file of unknown end in between: it may reach from there to here, and the stream will tell.
    before.last?;
    if first > end + 1 {
        let blocks = blocks(end + 1, first - 1, file.last.is_some());
        let (a, b) = (covering.path.display(), file.path.display());
        return Some(format!("gap: {blocks} missing between {a} and {b}"));
    }
    link_fault(file.parent, end, hash, covering)
}

/// What is wrong if the first block of a file does not name the last of the file before as its parent.
fn link_fault(parent: B256, end: u64, hash: B256, before: &Extent) -> Option<String> {
    (parent != hash).then(|| other_chain(parent, end, hash, &before.path))
}

/// Says that a file goes on with the blocks of another chain.
pub(super) fn other_chain(parent: B256, end: u64, hash: B256, before: &std::path::Path) -> String {
    let before = before.display();
    format!("other chain: got parent hash {parent}, expected {hash}, the hash of block {end} at the end of {before}")
}

/// What is wrong if the first block of all is neither block 0 of the genesis nor block 1 upon it.
pub(super) fn genesis_fault(genesis: &Genesis, number: u64, hash: B256, parent: B256) -> Option<String> {
    if hash == genesis.hash || parent == genesis.hash {
        return None;
    }
    let expected = genesis.hash;
    let reason = match number {
        0 => format!("got hash {hash}, expected {expected}"),
        1 => format!("got parent hash {parent}, expected {expected}"),
        _ => format!(
            "got block {number} with parent hash {parent}, expected block 0 or 1 of genesis {expected}: {} missing, \
             and a chain without state starts at its genesis",
            blocks(1, number - 1, number.is_multiple_of(BLOCKS_MAX as u64))
        ),
    };
    Some(format!("{reason}, the hash of block 0 in {}", genesis.path.display()))
}

/// A range of blocks, the epochs that they lie in, and the verb.
fn blocks(first: u64, last: u64, with_epochs: bool) -> String {
    let (range, verb) = match first == last {
        true => (format!("block {first}"), "is"),
        false => (format!("blocks {first}..{last}"), "are"),
    };
    let (a, b) = (first / BLOCKS_MAX as u64, last / BLOCKS_MAX as u64);
    match (with_epochs, a == b) {
        (false, _) => format!("{range} {verb}"),
        (true, true) => format!("{range} (epoch {a}) {verb}"),
        (true, false) => format!("{range} (epochs {a} to {b}) {verb}"),
    }
}

/// One error of all faults: the first, and after it the others, a line each.
fn error_of(faults: Vec<Fault>) -> Option<Error> {
    let mut faults = faults.into_iter();
    let (path, place, mut reason) = faults.next()?;
    for (path, place, more) in faults {
        reason += &format!("\n  {}: {place}: {more}", path.display());
    }
    Some(Error::malformed(path, place, reason))
}

/// Takes what could be opened; if any file could not, the error of the first, and after it those of the others that are
/// the input's fault, a line each.
pub(super) fn all_or_errors(opened: impl Iterator<Item = Result<Extent>>) -> Result<Vec<Extent>> {
    let (mut extents, mut faults) = (Vec::new(), Vec::new());
    for file in opened {
        match file {
            Ok(extent) => extents.push(extent),
            Err(Error::Malformed { path, place, reason }) => faults.push((path, place, reason)),
            // The machine's fault, or a file that is not there: no use going on.
            Err(error) => return Err(error),
        }
    }
    match error_of(faults) {
        Some(error) => Err(error),
        None => Ok(extents),
    }
}

//! State roots inside of what begins at genesis, recomputed from the writes in order of location. The one after the last
//! block is a matter of exits, and of the report.

use super::faults::Faults;
use super::piece::{Piece, decode};
use super::{Options, StateRootAt, ValidateError};
use crate::reason::{Check, Fault, Reason};
use crate::report::StateRoots;
use crate::segment::RootAtEnd;
use crate::state_root::{StateTrie, TrieError};
use alloy_consensus::Header;
use manaflow_loader::model::Mode;
use std::ops::Range;

/// Of each piece, how many were checked, and what is to become of the root after its last block.
pub(super) fn state_roots(
    pieces: &[Piece<'_>],
    groups: &[Range<usize>],
    options: &Options,
    faults: &Faults,
) -> Result<Vec<(StateRoots, RootAtEnd)>, ValidateError> {
    let default = if options.checks.has(Check::Hashes) { StateRootAt::End } else { StateRootAt::Never };
    let at = options.state_root.unwrap_or(default);
    let at_end = if at == StateRootAt::Never { RootAtEnd::No } else { RootAtEnd::Due };
    let mut out = vec![(StateRoots::default(), at_end); pieces.len()];
    let StateRootAt::Every(n) = at else { return Ok(out) };
    for group in groups.iter().filter(|group| pieces[group.start].is_from_genesis()) {
        let mut trie = StateTrie::default();
        for (piece, (counts, at_end)) in pieces[group.clone()].iter().zip(&mut out[group.clone()]) {
            for block in piece.blocks.clone() {
                let view = piece.file.block(block)?;
                for i in view.moves() {
                    let m = piece.file.move_at(i)?;
                    if m.mode == Mode::Write {
                        trie.apply(&m).map_err(|e| no_root(piece, e))?;
                    }
                }
                let number = piece.number(block);
                if !number.is_multiple_of(n) {
                    continue;
                }
                if number == piece.last() {
                    *at_end = RootAtEnd::Counted;
                }
                let header: Header = decode(piece.file, view.header(), || format!("block {number}, header"))?;
                let root = trie.root().map_err(|e| no_root(piece, e))?;
                counts.checked += 1;
                if root == header.state_root {
                    counts.matched += 1;
                } else if let Some(closing) = view.transactions().last() {
                    let (got, location) = (header.state_root, closing.location());
                    let fault = Fault::new(location, Check::Hashes, Reason::WrongStateRoot, got, root);
                    faults.take(piece.place, &mut vec![fault]);
                }
            }
        }
    }
    Ok(out)
}

/// The trie holds the whole state, so nothing is missing unless its own nodes are wrong: a bug, and no verdict.
pub(super) fn no_root(piece: &Piece<'_>, error: TrieError) -> ValidateError {
    let path = piece.file.path();
    manaflow_loader::Error::malformed(path, format!("segment {}, state root", piece.segment), error.to_string()).into()
}

//! State roots, recomputed from the writes in order of location. Only for what begins at genesis.

use super::faults::Faults;
use super::piece::{Piece, decode};
use super::{Options, StateRootAt, ValidateError};
use crate::reason::{Check, Fault, Reason};
use crate::report::StateRoots;
use crate::state_root::{StateTrie, TrieError};
use alloy_consensus::Header;
use alloy_primitives::B256;
use manaflow_loader::model::Mode;

/// The root after the last block of the last piece, and how many were checked.
pub(super) fn state_roots(
    pieces: &[Piece<'_>],
    options: &Options,
    faults: &Faults,
) -> Result<(Option<B256>, StateRoots), ValidateError> {
    let mut counts = StateRoots::default();
    let mut last = None;
    let default = if options.checks.has(Check::Hashes) { StateRootAt::End } else { StateRootAt::Never };
    let at = options.state_root.unwrap_or(default);
    if at == StateRootAt::Never {
        return Ok((None, counts));
    }
    for piece in pieces.iter().filter(|p| p.is_from_genesis()) {
        let mut trie = StateTrie::default();
        for block in piece.blocks.clone() {
            let view = piece.file.block(block)?;
            for i in view.moves() {
                let m = piece.file.move_at(i)?;
                if m.mode == Mode::Write {
                    trie.apply(&m).map_err(|e| no_root(piece, e))?;
                }
            }
            let number = piece.number(block);
            let is_due = number == piece.last() || matches!(at, StateRootAt::Every(n) if number.is_multiple_of(n));
            if !is_due {
                continue;
            }
            let header: Header = decode(piece.file, view.header(), || format!("block {number}, header"))?;
            let root = trie.root().map_err(|e| no_root(piece, e))?;
            counts.checked += 1;
            last = Some(root);
            if root == header.state_root {
                counts.matched += 1;
            } else if let Some(closing) = view.transactions().last() {
                let (got, location) = (header.state_root, closing.location());
                let fault = Fault::new(location, Check::Hashes, Reason::WrongStateRoot, got, root);
                faults.take(&mut vec![fault]);
            }
        }
    }
    Ok((last, counts))
}

/// The trie holds the whole state, so nothing is missing unless its own nodes are wrong: a bug, and no verdict.
fn no_root(piece: &Piece<'_>, error: TrieError) -> ValidateError {
    let path = piece.file.path();
    manaflow_loader::Error::malformed(path, format!("segment {}, state root", piece.segment), error.to_string()).into()
}

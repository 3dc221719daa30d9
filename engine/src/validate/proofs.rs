//! Requirements that are proven: nodes of tries in the files lead from the state root in a header to what a cell held.
//!
//! A cell that the segment's first `n` blocks do not write holds before block `n + 1` what it held before the segment; so a
//! demand may be proven by the state root before the block of its first use, as well as by the one before the segment. Headers
//! are tied to the blocks by their hashes. Proven is the value: no state root says who wrote it.
//! Nodes are hints: what is not proven by them is required as ever, and the verdict is the same.

use super::ValidateError;
use super::piece::Piece;
use crate::double_use::Demand;
use crate::state_root::StateTrie;
use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, U256};
use manaflow_loader::model::{AccountValue, Mark, Value};
use std::collections::BTreeMap;

/// What the files of some pieces prove.
pub(super) struct Proofs<'a> {
    pieces: &'a [Piece<'a>],
    nodes: Option<StateTrie>,
    /// Tries after blocks; `None` where the root or its node is not known.
    tries: BTreeMap<u64, Option<StateTrie>>,
    /// Headers before the pieces, by number, tied to the first block of each.
    earlier: BTreeMap<u64, (B256, Header)>,
}

impl<'a> Proofs<'a> {
    /// Errors: a page of nodes is damaged.
    pub fn of(pieces: &'a [Piece<'a>]) -> Result<Self, ValidateError> {
        let mut nodes = Vec::new();
        for (i, piece) in pieces.iter().enumerate() {
            // One file may have several pieces.
            if pieces[..i].iter().all(|before| before.file_index != piece.file_index) {
                nodes.extend(piece.file.state_nodes()?.into_iter().map(Bytes::copy_from_slice));
            }
        }
        let mut proofs = Self { pieces, nodes: None, tries: BTreeMap::new(), earlier: BTreeMap::new() };
        if !nodes.is_empty() {
            proofs.nodes = Some(StateTrie::of_nodes(nodes));
            for piece in pieces {
                proofs.add_earlier(piece)?;
            }
        }
        Ok(proofs)
    }

    fn add_earlier(&mut self, piece: &Piece<'_>) -> Result<(), ValidateError> {
        let Some(header) = header_of(piece, piece.first) else { return Ok(()) };
        let mut expected = header.parent_hash;
        for (number, head) in (0..piece.first).rev().zip(piece.window(piece.blocks.start)?.iter().rev()) {
            if head.hash != expected {
                break;
            }
            expected = head.header.parent_hash;
            self.earlier.insert(number, (head.hash, head.header.clone()));
        }
        Ok(())
    }

    /// Whether a demand's value is proven.
    pub fn prove(&mut self, demand: &Demand) -> bool {
        if self.nodes.is_none() {
            return false;
        }
        let block = demand.first.block();
        if demand.cell.mark == Mark::BlockHash {
            return self.proves_hash(demand);
        }
        let before_segment = self.pieces.iter().map(|piece| piece.first).filter(|first| *first <= block).max();
        let candidates = [before_segment, Some(block)].into_iter().flatten().filter_map(|n| n.checked_sub(1));
        candidates.into_iter().any(|number| self.proves_at(number, demand))
    }

    /// A hash of a block at or after the first one: before it nobody can have written it. Of one before: its header is at hand.
    fn proves_hash(&self, demand: &Demand) -> bool {
        let Ok(number) = u64::try_from(demand.cell.slot) else { return false };
        if self.pieces.iter().any(|piece| piece.first <= number && demand.prev == demand.cell.default_value()) {
            return true;
        }
        self.earlier.get(&number).is_some_and(|(hash, _)| demand.prev == Value::Word((*hash).into()))
    }

    fn proves_at(&mut self, number: u64, demand: &Demand) -> bool {
        let (nodes, pieces, earlier) = (&self.nodes, self.pieces, &self.earlier);
        let trie = self.tries.entry(number).or_insert_with(|| {
            let in_piece = pieces.iter().find(|piece| piece.first <= number && number < piece.end());
            let root = match in_piece {
                Some(piece) => header_of(piece, number)?.state_root,
                None => earlier.get(&number)?.1.state_root,
            };
            nodes.as_ref()?.at(root).ok()
        });
        let Some(trie) = trie else { return false };
        // A generation that is not the first of the segment is another history than the one that the root commits to.
        let cell = demand.cell;
        match demand.prev {
            Value::Account(value) if value.generation == 0 => trie.account(cell.addr).is_ok_and(|fields| {
                let expected = match fields {
                    Some((nonce, balance, code_hash)) => {
                        AccountValue { present: true, nonce, balance, code_hash, generation: 0 }
                    }
                    None => AccountValue::ABSENT,
                };
                expected == value
            }),
            Value::Word(word) if cell.generation == 0 => {
                // Of an account that is not there no storage is either.
                match trie.account(cell.addr) {
                    Ok(None) => word == U256::ZERO,
                    Ok(Some(_)) => trie.storage(cell.addr, cell.slot) == Ok(word),
                    Err(_) => false,
                }
            }
            _ => false,
        }
    }
}

/// The header of a block of a piece.
fn header_of(piece: &Piece<'_>, number: u64) -> Option<Header> {
    let place = piece.blocks.start + usize::try_from(number.checked_sub(piece.first)?).ok()?;
    let view = piece.file.block(place).ok()?;
    alloy_rlp::decode_exact(view.header()).ok()
}

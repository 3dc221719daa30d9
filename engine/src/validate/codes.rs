//! The code that is needed, and whether it hashes to its keys.

use super::ValidateError;
use super::blocks::Shared;
use super::piece::Piece;
use crate::reason::{Check, Fault, Reason};
use crate::solo::code::CodeTable;
use alloy_primitives::map::HashSet;
use alloy_primitives::{B256, Bytes};
use manaflow_loader::file::BlockFile;
use manaflow_loader::file::layout::FLAG_WRITE;
use manaflow_loader::model::{Mark, Value};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One code table a file: of a file whose blocks are all judged the whole, else the codes that the pieces name, so that a
/// range leaves the rest of its file untouched.
pub(super) fn code_tables(files: &[&BlockFile], pieces: &[Piece<'_>]) -> Result<Vec<Arc<CodeTable>>, ValidateError> {
    let table = |(i, file): (usize, &&BlockFile)| {
        let own: Vec<&Piece<'_>> = pieces.iter().filter(|p| p.file_index == i).collect();
        let is_whole = own.iter().map(|p| p.blocks.len()).sum::<usize>() == file.block_count();
        let named = if is_whole { None } else { Some(named_codes(&own)?) };
        let is_named = |number: &u32| match &named {
            Some(named) => file.code_hash(*number).is_some_and(|hash| named.contains(&hash)),
            None => true,
        };
        let numbers: Vec<u32> = (0..file.code_count() as u32).filter(is_named).collect();
        // All are read, so that of several damaged pages the first is the one refused.
        let blobs: Vec<_> = numbers.into_par_iter().map(|number| file.shared_code(number)).collect();
        let blobs = blobs.into_iter().collect::<Result<Vec<_>, _>>()?;
        let blobs: Vec<(B256, Bytes)> = blobs.into_iter().filter_map(|(hash, blob)| Some((hash, blob?))).collect();
        Ok(Arc::new(CodeTable::new(blobs)))
    };
    files.iter().enumerate().map(table).collect()
}

/// Hashes of all code that the pieces' accounts have, before or after.
fn named_codes(pieces: &[&Piece<'_>]) -> Result<HashSet<B256>, ValidateError> {
    let (mut named, mut seen) = (HashSet::default(), HashSet::<u32>::default());
    for piece in pieces {
        let file = piece.file;
        for block in piece.blocks.clone() {
            for i in file.block(block)?.moves() {
                if file.mark(file.cells()[i]) != Mark::Account {
                    continue;
                }
                // The column of a read has no next.
                let next = if file.flags()[i] & FLAG_WRITE == 0 { file.prev()[i] } else { file.next()[i] };
                for number in [file.prev()[i], next] {
                    if seen.insert(number) {
                        named.insert(file.account(number)?.code_hash);
                    }
                }
            }
        }
    }
    Ok(named)
}

/// Code blobs that do not hash to their keys, a list a file: key to hash.
pub(super) fn wrong_keys(codes: &[Arc<CodeTable>]) -> Vec<BTreeMap<B256, B256>> {
    codes.iter().map(|codes| codes.wrong_keys().into_iter().collect()).collect()
}

/// Wrong code blobs, each at the first transaction of a piece that names it.
pub(super) fn wrong_codes(
    pieces: &[Piece<'_>],
    wrong: &[BTreeMap<B256, B256>],
    shared: &Shared<'_>,
) -> Result<(), ValidateError> {
    for piece in pieces {
        let mut wrong = wrong[piece.file_index].clone();
        for block in piece.blocks.clone() {
            if wrong.is_empty() {
                break;
            }
            for row in piece.file.block(block)?.transactions() {
                for (place, i) in row.moves().enumerate() {
                    let m = piece.file.move_at(i)?;
                    for value in [m.prev, m.next] {
                        if let Value::Account(account) = value
                            && let Some(hash) = wrong.remove(&account.code_hash)
                        {
                            let key = account.code_hash;
                            let fault = Fault::new(row.location(), Check::Hashes, Reason::WrongCode, hash, key);
                            shared.faults.take(piece.place, &mut vec![fault.at_move(place as u32, m.cell)]);
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

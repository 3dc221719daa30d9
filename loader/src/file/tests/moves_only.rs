//! Files of moves alone: columns of what transactions bring besides are not there, and none may pretend that they are.

use super::hostile::{lie, lie_about};
use super::*;
use crate::file::layout::{ExitRow, FLAG_WRITE, LAST_NONE, NOBODY, SECTIONS, SIGNED_COLUMNS, Section as S};

/// The sample without anything but its moves.
fn moves_alone() -> Chain {
    let mut chain = sample();
    chain.keys.clear();
    for row in chain.segments.iter_mut().flat_map(|(_, blocks)| blocks).flat_map(|block| &mut block.transactions) {
        *row = TransactionRecord { moves: std::mem::take(&mut row.moves), ..TransactionRecord::default() };
    }
    chain
}

#[test]
fn moves_alone_have_no_other_columns_of_rows() {
    let bytes = round_trip(&moves_alone());
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.mana");
    std::fs::write(&path, &bytes).unwrap();
    let file = BlockFile::open(&path).unwrap();
    file.verify_all().unwrap();
    assert!(file.is_moves_only() && file.last().is_none());
    for size in file.sizes().iter().filter(|size| SIGNED_COLUMNS.iter().any(|s| s.name() == size.name)) {
        assert_eq!(size.rows, 0, "{}", size.name);
    }
    assert!(bytes.len() < round_trip(&sample()).len());
    // One row that says something, and all columns are there.
    let mut chain = moves_alone();
    chain.segments[0].1[0].transactions[1].sender = Some(addr(5));
    std::fs::write(&path, round_trip(&chain)).unwrap();
    assert!(!BlockFile::open(&path).unwrap().is_moves_only());
}

#[test]
fn columns_of_rows_are_there_all_or_none() {
    for section in SIGNED_COLUMNS {
        let got = lie(|p| p.part(section).clear());
        assert!(got.contains("rows, expected"), "{section:?}: {got}");
    }
    // All six are gone, and bytes are left that were theirs.
    let got = lie(|p| SIGNED_COLUMNS.into_iter().for_each(|section| p.part(section).clear()));
    assert!(got.starts_with("section row-bytes: no rows, but block row 0 has 8 there"), "{got}");
    // All six are there, and say nothing.
    let got = lie_about(&moves_alone(), |p| {
        let rows = p.part(S::RowMoves).len() / 4;
        for section in SIGNED_COLUMNS {
            let bytes = rows * SECTIONS[section as usize].2 as usize;
            *p.part(section) = vec![if section == S::RowSenders { NOBODY as u8 } else { 0 }; bytes];
        }
    });
    assert_eq!(got, "section row-status: no row of a transaction says anything, expected no rows");
}

#[test]
fn the_hint_names_the_use_before_in_the_segment_and_is_not_looked_at() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.mana");
    let chain = sample();
    let mut writer = Writer::create(&path, &rules(), VERSIONS).unwrap().with_last();
    for (start, blocks) in &chain.segments {
        writer.begin_segment(start).unwrap();
        blocks.iter().for_each(|block| writer.push(block).unwrap());
    }
    chain.codes.iter().for_each(|(hash, code)| writer.code(*hash, code).unwrap());
    writer.finish().unwrap();
    let file = BlockFile::open(&path).unwrap();
    file.verify_all().unwrap();
    let last = file.last().unwrap();
    let mut seen = 0;
    for segment in file.segments() {
        let mut before = std::collections::HashMap::new();
        for block in segment.blocks.clone() {
            for row in file.block(block).unwrap().transactions() {
                for i in row.moves() {
                    let used = before.insert(file.cells()[i], row.row() + 1).unwrap_or(LAST_NONE);
                    assert_eq!(last[i], used, "move {i}");
                    seen += usize::from(used != LAST_NONE);
                }
            }
        }
    }
    assert!(seen > 8, "{seen} uses of a cell used before");
    assert_eq!(lie(|p| p.part(S::MoveLast).extend([0; 4])), "section move-last: 1 rows, expected 28");
    let any = |p: &mut super::hostile::Parts| {
        let bytes = p.part(S::MoveCells).len();
        *p.part(S::MoveLast) = vec![0xee; bytes];
    };
    assert_eq!(lie(any), "accepted");
}

#[test]
fn the_hint_of_exits_is_of_each_cells_last_use_and_not_looked_at() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.mana");
    let written = |segments: usize| {
        let chain = sample();
        let mut writer = Writer::create(&path, &rules(), VERSIONS).unwrap().with_last();
        for (start, blocks) in &chain.segments[..segments] {
            writer.begin_segment(start).unwrap();
            blocks.iter().for_each(|block| writer.push(block).unwrap());
        }
        chain.codes.iter().for_each(|(hash, code)| writer.code(*hash, code).unwrap());
        writer.finish().unwrap();
        let file = BlockFile::open(&path).unwrap();
        file.verify_all().unwrap();
        file
    };
    let file = written(1);
    let mut expected = vec![ExitRow::default(); file.cell_count() as usize];
    for block in file.segments()[0].blocks.clone() {
        for row in file.block(block).unwrap().transactions() {
            for i in row.moves() {
                let is_write = file.flags()[i] & FLAG_WRITE != 0;
                expected[file.cells()[i] as usize] = ExitRow {
                    last: row.row() + 1,
                    version: if is_write { file.foreign_count() + row.row() } else { file.intx()[i] },
                    value: if is_write { file.next()[i] } else { file.prev()[i] },
                };
            }
        }
    }
    assert_eq!(file.exits().unwrap(), Some(&expected[..]));
    let own = expected.iter().filter(|exit| exit.version >= file.foreign_count()).count();
    assert!(own > 2 && own < expected.len(), "{own} of {} are left by writes", expected.len());
    assert!(sample().segments.len() > 1 && written(sample().segments.len()).exits().unwrap().is_none());
    let mut chain = sample();
    chain.segments.truncate(1);
    let cells = written(1).cell_count() as usize;
    let one = lie_about(&chain, |p| p.part(S::CellExits).extend([0; 12]));
    assert_eq!(one, format!("section cell-exits: 1 rows, expected {cells}"));
    assert_eq!(lie_about(&chain, |p| *p.part(S::CellExits) = vec![0xee; 12 * cells]), "accepted");
    // Several segments: a cell may have several exits, and one row a cell cannot tell them.
    let several = sample().segments.len();
    let cells = written(several).cell_count() as usize;
    let whole = lie(|p| *p.part(S::CellExits) = vec![0xee; 12 * cells]);
    assert_eq!(whole, format!("section cell-exits: has rows, in a file of {several} segments"));
}

//! The n-th access to a file that is being written fails, for every n: the output is whole or not there, what was there
//! before is as it was, and nothing else is left.

use super::records::*;
use super::{entries, write_chain};
use crate::faulty::{Failure, fail};
use crate::model::*;
use crate::{Error, WholeFile};
use alloy_primitives::U256;
use std::io::Write;
use std::path::Path;
use tempfile::TempDir;

/// The sample, and blocks enough to fill the buffers several times, and more than a page.
fn large() -> Chain {
    let mut chain = sample();
    let mut blocks = Vec::new();
    for n in 0..5_u64 {
        let mut block = empty_block();
        let moves = (0..1_000_u64).map(|i| {
            let cell = Cell::storage(addr(7), 0, U256::from(n * 1_000 + i));
            write(cell, Version::Virgin, word(0), word(n << 32 | i << 8 | 1))
        });
        block.transactions[0].moves = moves.collect();
        blocks.push(block);
    }
    chain.segments.push((segment(1_000, 1_000), blocks));
    chain
}

/// Runs `work`, which writes `x.mana`, with every failure; gives the number of accesses.
fn each_failure(old: Option<&[u8]>, whole: &[u8], work: impl Fn(&Path) -> crate::Result<()>) -> u64 {
    let run = |failure| {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("x.mana");
        if let Some(old) = old {
            std::fs::write(&path, old).unwrap();
        }
        let (done, steps) = fail(failure, || work(&path));
        (done, steps, std::fs::read(&path).ok(), entries(&folder).len())
    };
    let (done, steps, left, _) = run(Failure { from: u64::MAX, stays: false, errno: 0 });
    done.unwrap();
    assert_eq!(left.as_deref(), Some(whole));
    for (errno, stays) in [(libc::ENOSPC, true), (libc::EIO, false), (libc::EDQUOT, true)] {
        for from in 0..steps {
            let (done, _, left, entries) = run(Failure { from, stays, errno });
            match done {
                Err(Error::Io { source, .. }) => assert_eq!(source.raw_os_error(), Some(errno), "step {from}"),
                other => panic!("step {from} of {steps} failed, and {other:?}"),
            }
            // The last step syncs the folder: then the file has its name already.
            let expected = if from + 1 == steps { Some(whole) } else { old };
            assert!(left.as_deref() == expected, "step {from} of {steps}, errno {errno}");
            assert_eq!(entries, usize::from(expected.is_some()), "step {from} of {steps}, errno {errno}");
        }
    }
    steps
}

#[test]
fn a_block_file_is_whole_or_absent_whichever_access_fails() {
    let chain = large();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.mana");
    write_chain(&path, &chain).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let work = |path: &Path| write_chain(path, &chain).map(|_| ());
    let fresh = each_failure(None, &whole, work);
    let replaced = each_failure(Some(b"as it was"), &whole, work);
    assert_eq!(fresh, replaced);
    assert!(fresh > 100 && whole.len() > 65_536, "{fresh} accesses: too few to fill the buffers");
}

#[test]
fn a_writer_that_failed_takes_nothing_more() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x.mana");
    let failure = |from| Failure { from, stays: false, errno: libc::EIO };
    let mut writer = super::Writer::create(&path, &rules(), super::VERSIONS).unwrap();
    writer.begin_segment(&segment(5, 5)).unwrap();
    let mut block = empty_block();
    block.body.header = vec![0xf9, 0xff, 0xff].into_iter().chain([0x01; 0xffff]).collect::<Vec<u8>>().into();
    let (failed, _) = fail(failure(0), || (0..2).try_for_each(|_| writer.push(&block)));
    assert!(matches!(failed, Err(Error::Io { .. })));
    // The disk is well again; what was lost is lost.
    assert!(matches!(writer.push(&block), Err(Error::Malformed { .. })));
    assert!(matches!(writer.finish(), Err(Error::Malformed { .. })));
    assert!(entries(&folder).is_empty());
}

#[test]
fn a_result_is_whole_or_absent_whichever_access_fails() {
    let work = |path: &Path| {
        let write = || {
            let mut file = WholeFile::create(path)?;
            for _ in 0..8 {
                file.write_all(b"verdict ")?;
            }
            file.finish()
        };
        write().map_err(Error::io(path))
    };
    for old in [None, Some(&b"as it was"[..])] {
        assert_eq!(each_failure(old, &b"verdict ".repeat(8), work), 12);
    }
}

#[test]
fn the_longest_name_is_a_name() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("x".repeat(255));
    for _ in 0..2 {
        write_chain(&path, &sample()).unwrap();
        assert_eq!(entries(&folder), ["x".repeat(255)]);
    }
}

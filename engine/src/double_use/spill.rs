//! Partition out of core: the records of `partition`, on disk in between.
//!
//! Pieces of rows are partitioned as there, but a part's records leave in longer runs, one after the other, for a file without name;
//! then each part is read once, in order, through the table of live versions. A record is written once and read once.
//! Memory: 8 bytes a cell (the result), a run a part and piece, a window a worker. Disk: 16 bytes a use and a step.
//! No size of run, window or piece changes a result.

use super::columns::Columns;
use super::findings::{Findings, Judge};
use super::forward::{self, Ground};
use super::memory::{self, Record};
use super::partition::{Out, PART_BITS, RECORD_BYTES, Walk, cut, each_record, parts};
use super::result::NumberedResult;
use crate::cpu::carry;
use manaflow_loader::Scratch;
use rayon::prelude::*;
use std::io::Result;
use std::ops::Range;
use std::path::Path;

/// How much memory records may take, and where the others go.
#[derive(Clone, Copy, Debug)]
pub struct Spill<'a> {
    /// Folder of the file.
    pub folder: &'a Path,
    /// Bytes for runs and windows.
    pub memory: u64,
}

/// Records of a run: the shortest that is worth an access, and the longest.
const RUN: Range<usize> = 64..4096;
/// Records of a window.
const WINDOW: usize = 1 << 16;

/// Judges a segment, cut into so many pieces of rows. Errors: the disk.
pub(super) fn run<C: Columns>(columns: &C, pieces: usize, spill: Spill<'_>) -> Result<NumberedResult> {
    let pieces = pieces.max(1);
    let runs = parts(columns, PART_BITS) * pieces;
    let run = (spill.memory / 2 / runs as u64 / RECORD_BYTES) as usize;
    with(columns, PART_BITS, pieces, (run.clamp(RUN.start, RUN.end), WINDOW), spill.folder)
}

pub(super) fn with<C: Columns>(
    columns: &C,
    bits: u32,
    pieces: usize,
    (run, window): (usize, usize),
    folder: &Path,
) -> Result<NumberedResult> {
    let judge = Judge::new(columns, columns.first());
    let ground = Ground::new(columns);
    let stage = carry();
    let spill = |rows| stage.within(|| Spilled::new(columns, rows, bits, run, folder));
    let spilled = cut(columns, 0..columns.rows(), pieces).into_par_iter().map(spill).collect::<Result<Vec<_>>>()?;
    let mut live = memory::table(forward::UNUSED, columns.cell_count() as usize);
    let walk = |(part, table): (usize, &mut [u64])| -> Result<Findings> {
        let mut findings = Findings::default();
        let first = (part as u32) << bits;
        ground.lay(first, table);
        for piece in &spilled {
            piece.walk(part, window, &mut Walk::new(&judge, &ground, first, table, &mut findings))?;
        }
        Ok(findings)
    };
    let found = live.par_chunks_mut(1 << bits).enumerate().map(|part| stage.within(|| walk(part)));
    let mut findings = Findings::default();
    found.collect::<Result<Vec<_>>>()?.into_iter().for_each(|f| findings.append(f));
    Ok(findings.finish_live(&judge, live))
}

/// The records of some rows, on disk, by part.
struct Spilled {
    file: Scratch,
    /// Records of a run; the last of a part may have fewer.
    run: usize,
    /// Records in the file.
    written: u64,
    parts: Vec<Part>,
    /// The first failure: nothing is written after it.
    failed: Option<std::io::Error>,
}

impl Out for Spilled {
    fn put_each(&mut self, cells: &[u32], bits: u32, records: &[Record]) {
        cells.iter().zip(records).for_each(|(cell, &record)| self.put((cell >> bits) as usize, record));
    }

    fn put_to_all(&mut self, record: Record) {
        (0..self.parts.len()).for_each(|part| self.put(part, record));
    }
}

#[derive(Clone, Default)]
struct Part {
    /// Records that have not left yet.
    waiting: Vec<Record>,
    /// Where runs begin in the file, in records.
    runs: Vec<u64>,
    /// Records in runs.
    count: usize,
}

impl Spilled {
    fn new<C: Columns>(columns: &C, rows: Range<u32>, bits: u32, run: usize, folder: &Path) -> Result<Self> {
        let parts = vec![Part::default(); parts(columns, bits)];
        let mut out = Self { file: Scratch::new(folder)?, run, written: 0, parts, failed: None };
        assert!(each_record(columns, rows, bits, &mut out), "numbers are checked before a file is written");
        (0..out.parts.len()).for_each(|part| out.flush(part));
        out.parts.iter_mut().for_each(|part| part.waiting = Vec::new());
        out.failed.take().map_or(Ok(out), Err)
    }

    fn put(&mut self, part: usize, record: Record) {
        let waiting = &mut self.parts[part].waiting;
        waiting.push(record);
        if waiting.len() == self.run {
            self.flush(part);
        }
    }

    /// What waits leaves.
    fn flush(&mut self, part: usize) {
        let Part { waiting, runs, count } = &mut self.parts[part];
        if self.failed.is_none() {
            self.failed = self.file.write_at(bytemuck::cast_slice(waiting), self.written * RECORD_BYTES).err();
        }
        runs.push(self.written);
        *count += waiting.len();
        self.written += waiting.len() as u64;
        waiting.clear();
    }

    /// A part's records, in order, a window at a time. What a window has of a row is kept before the next one: a suspicious use
    /// looks back as far as its row.
    fn walk<C: Columns>(&self, part: usize, window: usize, walk: &mut Walk<'_, '_, C>) -> Result<()> {
        let Part { runs, count, .. } = &self.parts[part];
        let mut left = *count;
        let mut runs = runs.iter();
        let mut records: Vec<Record> = Vec::new();
        while left > 0 {
            let kept = records.len();
            while records.len() - kept < window
                && let Some(start) = runs.next()
            {
                let (here, of_run) = (records.len(), left.min(self.run));
                records.resize(here + of_run, Record::default());
                self.file.read_at(bytemuck::cast_slice_mut(&mut records[here..]), start * RECORD_BYTES)?;
                left -= of_run;
            }
            walk.take(&records[..], kept);
            records.drain(..Walk::<C>::row_start(&records));
        }
        Ok(())
    }
}

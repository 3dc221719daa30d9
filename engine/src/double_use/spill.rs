//! Partition out of core: the records of `partition`, on disk in between.
//!
//! Pieces of rows are partitioned as there, but a part's records leave in longer runs for the part's place in a file without name;
//! then each part is read once, in order, through the table of live versions. A record is written once and read once.
//! Memory: 8 bytes a cell (the result), a run a part and piece, a window a worker. Disk: 16 bytes a use.
//! No size of run, window or piece changes a result.

use super::columns::Columns;
use super::findings::{Findings, Judge};
use super::forward::{self, Ground};
use super::memory::{self, Record};
use super::partition::{PART_BITS, RECORD_BYTES, Shape, Walk, cut, each_record};
use super::result::NumberedResult;
use crate::cpu::carry;
use manaflow_loader::Scratch;
use rayon::prelude::*;
use std::io::Result;
use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;

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
    let parts = (columns.cell_count() >> PART_BITS) as usize + 1;
    let run = (spill.memory / 2 / (parts * pieces) as u64 / RECORD_BYTES) as usize;
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
    /// Of each part, in records.
    ranges: Vec<Range<u64>>,
}

impl Spilled {
    fn new<C: Columns>(columns: &C, rows: Range<u32>, bits: u32, run: usize, folder: &Path) -> Result<Self> {
        let shape = Shape::new(columns, &rows, bits);
        let mut starts = Vec::with_capacity(shape.most.len());
        let mut total = 0;
        for most in &shape.most {
            starts.push(total);
            total += *most as u64;
        }
        let mut out = Out {
            file: Scratch::new(folder)?,
            runs: vec![Vec::with_capacity(run); starts.len()],
            next: starts.clone(),
        };
        // The first failure ends the writing; records that come after it go nowhere.
        let failed = Mutex::new(None);
        each_record(columns, rows, bits, |part, record| {
            let of_part = &mut out.runs[part];
            of_part.push(record);
            if of_part.len() == run
                && let Err(error) = out.flush(part)
            {
                failed.lock().map(|mut failed| failed.get_or_insert(error).kind()).ok();
                out.runs[part].clear();
            }
        });
        if let Some(error) = failed.into_inner().ok().flatten() {
            return Err(error);
        }
        (0..starts.len()).try_for_each(|part| out.flush(part))?;
        let ranges = starts.into_iter().zip(out.next).map(|(start, end)| start..end).collect();
        Ok(Self { file: out.file, ranges })
    }

    /// A part's records, in order, a window at a time. What a window has of a row is kept before the next one: a suspicious use
    /// looks back as far as its row.
    fn walk<C: Columns>(&self, part: usize, window: usize, walk: &mut Walk<'_, '_, C>) -> Result<()> {
        let Range { start: mut at, end } = self.ranges[part].clone();
        let mut records: Vec<Record> = Vec::new();
        while at < end {
            let kept = records.len();
            let count = (end - at).min(window as u64);
            records.resize(kept + count as usize, Record::default());
            self.file.read_at(bytemuck::cast_slice_mut(&mut records[kept..]), at * RECORD_BYTES)?;
            walk.take(&records, kept);
            at += count;
            records.drain(..Walk::<C>::row_start(&records));
        }
        Ok(())
    }
}

struct Out {
    file: Scratch,
    runs: Vec<Vec<Record>>,
    /// Of each part, the place of the next record that leaves.
    next: Vec<u64>,
}

impl Out {
    fn flush(&mut self, part: usize) -> Result<()> {
        let run = &mut self.runs[part];
        self.file.write_at(bytemuck::cast_slice(run), self.next[part] * RECORD_BYTES)?;
        self.next[part] += run.len() as u64;
        run.clear();
        Ok(())
    }
}

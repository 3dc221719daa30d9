//! Verification of batches on a device: the keys that recovery would find, when somebody says which they are.
//!
//! In, out: see `../mod.rs`; the equation and why it is sound: `../batch.rs`. The processor checks ranges, draws weights, makes the
//! scalars (`terms`), and in the end adds up the sums of the buckets (`../msm.rs`). The device judges points, sorts the digits of
//! the scalars into buckets, and adds each bucket up: `manaflow_shaders::secp256k1` says in which stages.
//! Hints decide nothing: rows without a usable hint, and rows of a part that is not good, are recovered.
//! Cost: a batch that is good is tested once. One that is not is cut into [`PARTS`] parts, which are tested in turn with the weights
//! and points that are there, until [`BAD_PARTS`] have failed; those and what was not tested are recovered. So each row is tested
//! twice at most, and the worst is a check, a quarter of one, and recovery, where the first two parts are bad.
//! Memory: 1.5 KiB a row on the device with all signers distinct, half of that with every tenth. Twin: `shaders/src/twin/secp256k1.rs`.

use super::super::field::Row;
#[cfg(test)]
use super::super::msm::Scalars;
use super::super::recover::prepare;
use super::super::scalar::{Curve, Secp256k1};
use super::super::words::{FIELD_PRIME, Words, from_bytes, is_below, to_bytes};
use super::super::{Hints, PublicKey, Signature, recover_with_roots};
use super::layout::{Cut, DISPATCH_ENTRIES, SCALAR_WORDS};
use super::terms::{Candidate, Source, Terms};
use super::{DEVICE_ROWS, Keys, RUN, Recoverer, SHARING, column_place, halved, number, room_for};
use crate::backend::signatures::Backend;
use crate::cpu::carry;
use crate::gpu::{Batch, Buffer, Gpu, GpuError, Pipeline};
use crate::radix::Sorter;
use manaflow_shaders::secp256k1::{self as stages, HINT_WORDS, KEY_WORDS, LIFTED_WORDS, TILE};
use manaflow_shaders::secp256k1::{ENTRY_WORDS, NUMBER_WORDS, POINT_WORDS};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, TryLockError};

/// Rows below which a batch does not pay its dispatches.
const BATCH_LEAST: usize = 64;
/// A batch that is not good is cut into so many parts, of this many rows at least.
const PARTS: usize = 8;
const PART_LEAST: usize = 128;
/// Where so many parts are bad, most rows probably are, and the others are not tested.
const BAD_PARTS: usize = 2;
/// Words of the longest buffer a row: entries, buckets and the table of rows that all have a signer of their own.
const ROW_WORDS_MOST: usize = 256;

/// A device that verifies.
#[derive(Debug)]
pub struct Verifier<'a> {
    gpu: &'a Gpu,
    hints: Pipeline,
    digits: Pipeline,
    bounds: Pipeline,
    accumulate: Pipeline,
    join: Pipeline,
    sorter: Sorter<'a>,
    rows_max: usize,
    room: Mutex<Room>,
    /// Checks done and rows in them.
    checks: [AtomicU64; 2],
    /// Rows below which there is no batch.
    pub(in super::super) least: usize,
    /// Entries added in one dispatch.
    pub(in super::super) dispatch_entries: usize,
    pub(in super::super) source: Source,
}

/// What is used again from batch to batch, with whatever is left in it.
#[derive(Debug)]
struct Room {
    root: Buffer,
    inverse: Buffer,
    beta: Buffer,
    /// x and parity, y and whether there is one: of rows, of keys.
    rows: [Buffer; 2],
    lifted: [Buffer; 2],
    table: Buffer,
    verdicts: Buffer,
    windows: Buffer,
    scalars: [Buffer; 2],
    payloads: Buffer,
    starts: Buffer,
    parts: Buffer,
    points: Buffer,
    flags: Buffer,
    before: Buffer,
    totals: Buffer,
    sums: Buffer,
}

/// Points of a batch as the device takes them.
struct Points<'a> {
    candidates: &'a [Candidate],
    keys: &'a [Row],
    /// Whether R.y is given, or to be found.
    has_roots: bool,
}

impl<'a> Verifier<'a> {
    /// Beside a recoverer, of the same flavour, for as many rows at once.
    pub fn new(recoverer: &Recoverer<'a>) -> Result<Self, GpuError> {
        Self::of_curve::<Secp256k1>(recoverer)
    }

    /// On any curve.
    pub(in super::super) fn of_curve<C: Curve>(recoverer: &Recoverer<'a>) -> Result<Self, GpuError> {
        let (gpu, flavour) = (recoverer.gpu(), recoverer.flavour());
        gpu.bounded("words of a tile", (TILE * ROW_WORDS_MOST) as u64, gpu.limits().words() as u64)?;
        let rows_max = recoverer.rows_max().min(gpu.limits().words() / ROW_WORDS_MOST / TILE * TILE);
        let some = || gpu.buffer(1);
        let room = Room {
            root: gpu.upload(stages::ROOT.as_flattened())?,
            inverse: gpu.upload(stages::INVERSE.as_flattened())?,
            beta: gpu.upload(C::BETA.map(halved).as_flattened())?,
            rows: [some()?, some()?],
            lifted: [some()?, some()?],
            table: some()?,
            verdicts: some()?,
            windows: some()?,
            scalars: [some()?, some()?],
            payloads: some()?,
            starts: some()?,
            parts: some()?,
            points: some()?,
            flags: some()?,
            before: some()?,
            totals: some()?,
            sums: some()?,
        };
        Ok(Self {
            gpu,
            hints: gpu.pipeline(&flavour.hints)?,
            digits: gpu.pipeline(&stages::DIGITS)?,
            bounds: gpu.pipeline(&stages::BOUNDS)?,
            accumulate: gpu.pipeline(&flavour.accumulate)?,
            join: gpu.pipeline(&flavour.join)?,
            sorter: Sorter::new(gpu)?,
            rows_max,
            room: Mutex::new(room),
            checks: Default::default(),
            least: BATCH_LEAST,
            dispatch_entries: DISPATCH_ENTRIES,
            source: Source::default(),
        })
    }

    /// Whether nobody is at work with it.
    pub(super) fn is_free(&self) -> bool {
        !matches!(self.room.try_lock(), Err(TryLockError::WouldBlock))
    }

    /// Checks done so far and rows in them.
    pub fn checks(&self) -> [u64; 2] {
        [0, 1].map(|i: usize| self.checks[i].load(Ordering::Relaxed))
    }

    /// What recovery gives for each row, whatever the hints say, with R.y if that is wanted. The processor's part is done on the
    /// current rayon pool.
    pub fn recover(
        &self,
        recoverer: &Recoverer<'_>,
        signatures: &[Signature],
        hints: &Hints<'_>,
        with_roots: bool,
    ) -> Result<Keys, GpuError> {
        self.recover_from(self.least, recoverer, signatures, hints, with_roots)
    }

    /// The same with batches of so many rows at least.
    pub(super) fn recover_from(
        &self,
        least: usize,
        recoverer: &Recoverer<'_>,
        signatures: &[Signature],
        hints: &Hints<'_>,
        with_roots: bool,
    ) -> Result<Keys, GpuError> {
        let mut out = Keys { keys: vec![None; signatures.len()], roots: Vec::new() };
        if with_roots {
            out.roots = vec![[0; 32]; signatures.len()];
        }
        let mut singly = Vec::new();
        let has_roots = hints.roots.len() == signatures.len();
        for start in (0..signatures.len()).step_by(self.rows_max) {
            let range = start..signatures.len().min(start + self.rows_max);
            self.verify(recoverer, signatures, hints, has_roots, least, range, &mut out, &mut singly)?;
        }
        let rows: Vec<Signature> = singly.iter().map(|place| signatures[*place as usize]).collect();
        let found = if rows.len() < DEVICE_ROWS {
            recover_with_roots(Backend::best(), &rows)
        } else {
            recoverer.recover(&rows, true)?.found()
        };
        for (place, found) in singly.iter().zip(found) {
            out.keys[*place as usize] = found.map(|found| found.key);
            if let (Some(root), Some(found)) = (out.roots.get_mut(*place as usize), found) {
                *root = found.root;
            }
        }
        Ok(out)
    }

    /// The rows of one batch: those that it settles into `out`, places of those that are to be recovered into `singly`.
    #[allow(clippy::too_many_arguments)] // what was asked, which part of it, and two places for answers
    fn verify(
        &self,
        recoverer: &Recoverer<'_>,
        signatures: &[Signature],
        hints: &Hints<'_>,
        has_roots: bool,
        least: usize,
        range: Range<usize>,
        out: &mut Keys,
        singly: &mut Vec<u32>,
    ) -> Result<(), GpuError> {
        let (candidates, key_places, keys) = candidates(signatures, hints, has_roots, range, singly);
        let all = |singly: &mut Vec<u32>| singly.extend(candidates.iter().map(|c| c.place));
        if candidates.len() < least {
            all(singly);
            return Ok(());
        }
        // Without weights there is no batch.
        let Some(terms) = Terms::draw(&candidates, self.source) else {
            all(singly);
            return Ok(());
        };
        let whole = terms.scalars(&candidates, 0..candidates.len(), |_| false, keys.len(), true);
        let whole = Cut::new(&whole, self.dispatch_entries, true);
        let wants_roots = !out.roots.is_empty() && !has_roots;
        let points = Points { candidates: &candidates, keys: &keys, has_roots };
        let judged = self.judge(recoverer, &points, &terms, whole, wants_roots)?;
        for (i, c) in candidates.iter().enumerate() {
            match judged.verdicts[i] {
                Verdict::Right => {
                    out.keys[c.place as usize] = Some(hints.keys[key_places[c.key as usize] as usize]);
                    if let Some(root) = out.roots.get_mut(c.place as usize) {
                        *root = to_bytes(&if has_roots { c.y } else { number(&judged.roots, 0, i, LIFTED_WORDS) });
                    }
                }
                // Without a root there is no R.
                Verdict::Nobody => {}
                Verdict::Unknown => singly.push(c.place),
            }
        }
        Ok(())
    }

    /// Tests a batch, and parts of it if it is not good.
    fn judge(
        &self,
        recoverer: &Recoverer<'_>,
        points: &Points<'_>,
        terms: &Terms,
        whole: Cut,
        wants_roots: bool,
    ) -> Result<Judged, GpuError> {
        let (n, keys) = (points.candidates.len(), points.keys.len());
        let packed = [pack_rows(points), pack_keys(points.keys)];
        // No work is taken from the pool under the lock, so that nobody waits for himself.
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = self.gpu.batch();
        self.place_points(recoverer, &mut room, &mut batch, [n, keys + 1], &packed, points.has_roots)?;
        batch.read(&room.verdicts, n + keys + 1);
        if wants_roots {
            batch.read(&room.lifted[0], n.next_multiple_of(TILE) * LIFTED_WORDS);
        }
        self.multiply(recoverer, &mut room, &mut batch, &whole, [0, 2 * n])?;
        let mut read = batch.finish()?;
        let sums = read.pop().unwrap_or_default();
        self.count(n);
        let is_right: Vec<bool> = read[0].iter().map(|verdict| *verdict == 1).collect();
        let is_out = |i: usize| !is_right[i] || !is_right[n + points.candidates[i].key as usize];
        let mut verdicts = vec![Verdict::Unknown; n];
        if !points.has_roots {
            verdicts
                .iter_mut()
                .zip(&is_right)
                .filter(|(_, is_right)| !**is_right)
                .for_each(|(v, _)| *v = Verdict::Nobody);
        }
        let roots = if wants_roots { read.pop().unwrap_or_default() } else { Vec::new() };
        let accept = |verdicts: &mut Vec<Verdict>, range: Range<usize>| {
            range.filter(|i| !is_out(*i)).for_each(|i| verdicts[i] = Verdict::Right);
        };
        if whole.layout.is_identity(&sums) == Some(true) && !(0..n).any(is_out) {
            accept(&mut verdicts, 0..n);
            return Ok(Judged { verdicts, roots });
        }
        let step = n.div_ceil(PARTS).max(PART_LEAST);
        // A part that is the whole says nothing new, unless rows have left.
        if step >= n && !(0..n).any(is_out) {
            return Ok(Judged { verdicts, roots });
        }
        let mut bad = 0;
        for start in (0..n).step_by(step) {
            if bad == BAD_PARTS {
                break;
            }
            let range = start..n.min(start + step);
            let scalars = terms.scalars(points.candidates, range.clone(), is_out, keys, false);
            let mut batch = self.gpu.batch();
            let part = Cut::new(&scalars, self.dispatch_entries, false);
            self.multiply(recoverer, &mut room, &mut batch, &part, [2 * start, 2 * n])?;
            let read = batch.finish()?;
            self.count(range.len());
            if part.layout.is_identity(&read[0]) == Some(true) {
                accept(&mut verdicts, range);
            } else {
                bad += 1;
            }
        }
        Ok(Judged { verdicts, roots })
    }

    fn count(&self, rows: usize) {
        self.checks[0].fetch_add(1, Ordering::Relaxed);
        self.checks[1].fetch_add(rows as u64, Ordering::Relaxed);
    }

    /// Points of rows, then of keys, into the table, with a verdict each.
    fn place_points(
        &self,
        recoverer: &Recoverer<'_>,
        room: &mut Room,
        batch: &mut Batch<'_>,
        counts: [usize; 2],
        packed: &[[Vec<u32>; 2]; 2],
        has_roots: bool,
    ) -> Result<(), GpuError> {
        let all = counts[0] + counts[1];
        room_for(self.gpu, &mut room.table, 2 * ENTRY_WORDS * all)?;
        room_for(self.gpu, &mut room.verdicts, all)?;
        let steps = stages::ROOT.len() as u32;
        let b = recoverer.b();
        let mut first = 0;
        for (i, count) in counts.into_iter().enumerate() {
            let padded = count.next_multiple_of(TILE);
            room_for(self.gpu, &mut room.rows[i], padded * HINT_WORDS)?;
            room_for(self.gpu, &mut room.lifted[i], padded * LIFTED_WORDS)?;
            self.gpu.write(&room.rows[i], &packed[i][0])?;
            // All below 2^32: at most `ROWS_MAX` rows, and as many keys and one.
            let (n, groups) = (count as u32, (padded / TILE) as u32);
            let words = HINT_WORDS as u32;
            if i == 0 && !has_roots {
                room_for(self.gpu, &mut room.parts, padded * POINT_WORDS)?;
                let buffers = [&room.rows[i], &room.root, &room.lifted[i], &room.parts];
                batch.run(&recoverer.stages.lift, [n, steps, b, words], &buffers, groups)?;
            } else {
                self.gpu.write(&room.lifted[i], &packed[i][1])?;
            }
            let buffers = [&room.rows[i], &room.lifted[i], &room.beta, &room.table, &room.verdicts];
            batch.run(&self.hints, [n, b, words, first], &buffers, groups)?;
            first += n;
        }
        Ok(())
    }

    /// Multiplies and adds up as far as buckets go: their sums are read last. The scalars belong to the points from these places of
    /// the table on.
    fn multiply(
        &self,
        recoverer: &Recoverer<'_>,
        room: &mut Room,
        batch: &mut Batch<'_>,
        cut: &Cut,
        first: [usize; 2],
    ) -> Result<(), GpuError> {
        let gpu = self.gpu;
        let layout = &cut.layout;
        let padded = layout.buckets.next_multiple_of(TILE);
        let lanes = layout.buckets.div_ceil(SHARING * TILE) * TILE;
        let windows = layout.words();
        room_for(gpu, &mut room.windows, windows.len())?;
        room_for(gpu, &mut room.payloads, layout.entries)?;
        room_for(gpu, &mut room.starts, layout.buckets + 1)?;
        room_for(gpu, &mut room.parts, (layout.buckets * layout.parts).next_multiple_of(TILE) * POINT_WORDS)?;
        room_for(gpu, &mut room.points, padded * POINT_WORDS)?;
        room_for(gpu, &mut room.flags, padded)?;
        room_for(gpu, &mut room.before, padded * NUMBER_WORDS)?;
        room_for(gpu, &mut room.totals, lanes * NUMBER_WORDS)?;
        room_for(gpu, &mut room.sums, padded * KEY_WORDS)?;
        gpu.write(&room.windows, &windows)?;
        let keys = gpu.buffer(layout.entries)?;
        // Below 2^32 all of them: `ROWS_MAX` rows of `ROW_WORDS_MOST` words.
        let mut entry = 0;
        for (i, words) in cut.words.iter().enumerate() {
            room_for(gpu, &mut room.scalars[i], words.len())?;
            gpu.write(&room.scalars[i], words)?;
            let (n, windows) = (cut.lengths[i], if i == 0 { layout.counts[0] } else { layout.windows.len() });
            let how = windows | SCALAR_WORDS[i] << 8;
            let params = [n, first[i], how, entry].map(|word| word as u32);
            let buffers = [&room.windows, &room.scalars[i], &keys, &room.payloads];
            batch.run(&self.digits, params, &buffers, n.div_ceil(TILE) as u32)?;
            entry += n * windows;
        }
        let [buckets, parts, entries] = [layout.buckets, layout.parts, layout.entries].map(|word| word as u32);
        let groups = |invocations: u32| invocations.div_ceil(TILE as u32);
        let bits = |n: u32| u32::BITS - n.leading_zeros();
        let sorted = self.sorter.sort_buffer(batch, keys, layout.entries, bits(buckets))?;
        let params = [buckets, entries, bits(entries), 0];
        batch.run(&self.bounds, params, &[&sorted.keys, &room.starts], groups(buckets + 1))?;
        for turn in (0..layout.turns).step_by(layout.turns_together) {
            let turns = layout.turns_together.min(layout.turns - turn);
            let params = [buckets, parts, turn as u32, turns as u32];
            let buffers = [&room.starts, &sorted.rows, &room.payloads, &room.table, &room.parts];
            batch.run(&self.accumulate, params, &buffers, groups(buckets * parts))?;
        }
        let params = [buckets, parts, layout.turns as u32, 0];
        let buffers = [&room.starts, &room.parts, &room.points, &room.flags];
        batch.run(&self.join, params, &buffers, groups(buckets))?;
        let (s, lanes, steps) = (&recoverer.stages, lanes as u32, stages::INVERSE.len() as u32);
        let share = [buckets, lanes, SHARING as u32, 1];
        batch.run(&s.products, share, &[&room.points, &room.before, &room.totals], groups(lanes))?;
        batch.run(&s.invert, [lanes, steps, 0, 0], &[&room.inverse, &room.totals], groups(lanes))?;
        let buffers = [&room.points, &room.flags, &room.before, &room.totals, &room.sums];
        batch.run(&s.affine, share, &buffers, groups(lanes))?;
        batch.read(&room.sums, padded * KEY_WORDS);
        Ok(())
    }
}

#[cfg(test)]
impl Verifier<'_> {
    /// Whether points are right, and whether the sum of their multiples, each followed by its image's, is the identity; of any
    /// curve.
    pub(in super::super) fn sum(
        &self,
        recoverer: &Recoverer<'_>,
        points: [&[Row]; 2],
        scalars: [Scalars; 2],
    ) -> Result<(Vec<bool>, Option<bool>), GpuError> {
        let counts = points.map(<[Row]>::len);
        let packed = points.map(|points| pack_points(points, |row| (row.x(), row.y()[0] & 1 == 1, row.y())));
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = self.gpu.batch();
        self.place_points(recoverer, &mut room, &mut batch, counts, &packed, true)?;
        batch.read(&room.verdicts, counts[0] + counts[1]);
        let cut = Cut::new(&scalars, self.dispatch_entries, false);
        self.multiply(recoverer, &mut room, &mut batch, &cut, [0, 2 * counts[0]])?;
        let read = batch.finish()?;
        Ok((read[0].iter().map(|verdict| *verdict == 1).collect(), cut.layout.is_identity(&read[1])))
    }
}

/// What a batch says of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// The key is the hinted one.
    Right,
    /// R is no point.
    Nobody,
    /// Nothing.
    Unknown,
}

struct Judged {
    verdicts: Vec<Verdict>,
    /// `lifted` of the rows, if that was wanted.
    roots: Vec<u32>,
}

/// Rows whose hints are in range, the places of their keys, in order of first use, and the keys; places of others that may have a
/// key go to `singly`. On the current rayon pool.
fn candidates(
    signatures: &[Signature],
    hints: &Hints<'_>,
    has_roots: bool,
    range: Range<usize>,
    singly: &mut Vec<u32>,
) -> (Vec<Candidate>, Vec<u32>, Vec<Row>) {
    let first = range.start;
    let of = |(i, signature): (usize, &Signature)| {
        let place = first + i;
        let row = prepare(signature)?;
        let y = if has_roots { from_bytes(&hints.roots[place]) } else { [0; 4] };
        let is_root = !has_roots || is_below(&y, &FIELD_PRIME) && (y[0] & 1 == 1) == row.is_odd;
        let signer = hints.signers.get(place).filter(|signer| (**signer as usize) < hints.keys.len());
        let key = signer.copied().filter(|_| is_root).unwrap_or(NOBODY);
        Some(Candidate { place: place as u32, key, row, y })
    };
    let prepared: Vec<Option<Candidate>> = signatures[range].par_iter().enumerate().with_min_len(RUN).map(of).collect();
    // Out of range: nobody's.
    let mut all: Vec<Candidate> = prepared.into_iter().flatten().collect();
    // Places among the keys of these rows.
    let (mut local, mut places) = (vec![NOBODY; hints.keys.len()], Vec::new());
    for c in all.iter_mut().filter(|c| c.key != NOBODY) {
        let place = &mut local[c.key as usize];
        if *place == NOBODY {
            *place = places.len() as u32;
            places.push(c.key);
        }
        c.key = *place;
    }
    let in_range = |row: &Row| is_below(&row.x(), &FIELD_PRIME) && is_below(&row.y(), &FIELD_PRIME);
    let key = |place: &u32| Some(row_of(&hints.keys[*place as usize])).filter(in_range);
    let keys: Vec<Option<Row>> = places.par_iter().with_min_len(RUN).map(key).collect();
    all.retain(|c| {
        let stays = c.key != NOBODY && keys[c.key as usize].is_some();
        if !stays {
            singly.push(c.place);
        }
        stays
    });
    // The device takes what is canonical; no row has this key.
    let keys = keys.into_iter().map(|key| key.unwrap_or(Secp256k1::G)).collect();
    (all, places, keys)
}

/// No key.
const NOBODY: u32 = u32::MAX;

/// A key as a row, whatever it is.
fn row_of(key: &PublicKey) -> Row {
    let (halves, _) = key.0.as_chunks::<32>();
    Row::new(&from_bytes(&halves[0]), &from_bytes(&halves[1]))
}

/// x and parity, and y.
fn pack_rows(points: &Points<'_>) -> [Vec<u32>; 2] {
    pack_points(points.candidates, |c| (c.row.x, c.row.is_odd, c.y))
}

/// The same for keys, of any parity, and for G behind them.
fn pack_keys(keys: &[Row]) -> [Vec<u32>; 2] {
    let keys = [keys, &[Secp256k1::G]].concat();
    pack_points(&keys, |row| (row.x(), row.y()[0] & 1 == 1, row.y()))
}

/// In tiles, on the current rayon pool.
fn pack_points<T: Sync>(points: &[T], of: impl Fn(&T) -> (Words, bool, Words) + Sync) -> [Vec<u32>; 2] {
    let padded = points.len().next_multiple_of(TILE);
    let (mut rows, mut lifted) = (vec![0; padded * HINT_WORDS], vec![0; padded * LIFTED_WORDS]);
    let stage = carry();
    let columns = rows.par_chunks_mut(RUN * HINT_WORDS).zip(lifted.par_chunks_mut(RUN * LIFTED_WORDS));
    points.par_chunks(RUN).zip(columns).for_each(|(points, (rows, lifted))| {
        stage.within(|| {
            for (i, point) in points.iter().enumerate() {
                let (x, is_odd, y) = of(point);
                for (column, number, last) in [(&mut *rows, x, is_odd), (&mut *lifted, y, true)] {
                    for (k, word) in number.map(halved).as_flattened().iter().enumerate() {
                        column[column_place(k, i, HINT_WORDS)] = *word;
                    }
                    column[column_place(8, i, HINT_WORDS)] = u32::from(last);
                }
            }
        });
    });
    [rows, lifted]
}

const _: () = assert!(HINT_WORDS == LIFTED_WORDS && KEY_WORDS == 2 * NUMBER_WORDS + 1);

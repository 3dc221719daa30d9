//! Verification of batches on a device: the keys that recovery would find, when somebody says which they are.
//!
//! In, out: see `../mod.rs`; the equation and why it is sound: `../batch.rs`. The processor checks ranges and draws weights (`pack`),
//! chooses windows (`layout`), and in the end adds up the sums of the buckets (`../msm.rs`). The device makes scalars mod n, adds them up
//! by signer and halves them, judges points, sorts the digits of the scalars into buckets, and adds each bucket up:
//! `manaflow_shaders::secp256k1` says in which stages. While it has a batch, the next one is packed.
//! Hints decide nothing: rows without a usable hint, and rows of a part that is not good, are recovered.
//! Cost: a batch that is good is tested once. One that is not is cut into [`PARTS`] parts, which are tested in turn with the weights,
//! scalars and points that are there, until [`BAD_PARTS`] have failed; those and what was not tested are recovered. So each row is
//! tested twice at most, and the worst is a check, a quarter of one, and recovery, where the first two parts are bad.
//! Memory: 1.7 KiB a row on the device with all signers distinct, half of that with every tenth. Twin: `shaders/src/twin/secp256k1.rs`.

#[cfg(test)]
use super::super::field::Row;
#[cfg(test)]
use super::super::msm::Scalars;
use super::super::scalar::{Curve, Secp256k1};
use super::super::words::{Words, to_bytes};
use super::super::{Hints, Signature, recover_with_roots};
use super::layout::{Check, DISPATCH_ENTRIES, Layout, SCALAR_WORDS};
#[cfg(test)]
use super::pack::pack_rows;
use super::pack::{Candidates, Source};
use super::{DEVICE_ROWS, Keys, Recoverer, SHARING, halved, number, room_for};
use crate::backend::signatures::Backend;
use crate::gpu::{Batch, Buffer, Gpu, GpuError, Pending, Pipeline};
use crate::radix::Sorter;
use manaflow_shaders::secp256k1::{self as stages, ENTRY_WORDS, HINT_WORDS, KEY_WORDS, LIFTED_WORDS, TILE};
use manaflow_shaders::secp256k1::{NUMBER_WORDS, POINT_WORDS, TERM_WORDS, WEIGHT_WORDS};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

/// Rows below which a batch does not pay its dispatches.
const BATCH_LEAST: usize = 64;
/// A batch that is not good is cut into so many parts, of this many rows at least.
const PARTS: usize = 8;
const PART_LEAST: usize = 128;
/// Where so many parts are bad, most rows probably are, and the others are not tested.
const BAD_PARTS: usize = 2;
/// A call of twice as many rows or more is cut into batches of as many at least, but not into more than four: while the device has one
/// the next is packed.
const BATCH_ROWS: usize = 1 << 14;
/// Words of the longest buffer a row: entries, buckets and the table of rows that all have a signer of their own.
const ROW_WORDS_MOST: usize = 256;

/// A device that verifies.
#[derive(Debug)]
pub struct Verifier<'a> {
    gpu: &'a Gpu,
    products: Pipeline,
    invert: Pipeline,
    weigh: Pipeline,
    sums: Pipeline,
    split: Pipeline,
    hints: Pipeline,
    digits: Pipeline,
    bounds: Pipeline,
    accumulate: Pipeline,
    join: Pipeline,
    sorter: Sorter<'a>,
    rows_max: usize,
    room: Mutex<Room>,
    /// BETA of the curve.
    beta: Words,
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
    inverse_of_scalar: Buffer,
    beta: Buffer,
    /// z, r and s of rows; b and c; a u1 and a u2.
    numbers: Buffer,
    weights: Buffer,
    terms: Buffer,
    /// What is added up: `pack::Sums`.
    order: Buffer,
    starts_of_sums: [Buffer; 3],
    pieces: Buffer,
    sums_of_terms: Buffer,
    bias: Buffer,
    /// x and parity, y and whether there is one: of rows, of keys.
    rows: [Buffer; 2],
    lifted: [Buffer; 2],
    table: Buffer,
    verdicts: Buffer,
    windows: Buffer,
    scalars: [Buffer; 2],
    /// Points of each kind of scalars.
    points_of: [Buffer; 2],
    payloads: Buffer,
    starts: Buffer,
    parts: Buffer,
    points: Buffer,
    flags: Buffer,
    before: Buffer,
    totals: Buffer,
    sums: Buffer,
}

impl Room {
    fn new(gpu: &Gpu, beta: Words) -> Result<Self, GpuError> {
        let some = || gpu.buffer(1);
        Ok(Self {
            root: gpu.upload(stages::ROOT.as_flattened())?,
            inverse: gpu.upload(stages::INVERSE.as_flattened())?,
            inverse_of_scalar: gpu.upload(stages::INVERSE_OF_SCALAR.as_flattened())?,
            beta: gpu.upload(beta.map(halved).as_flattened())?,
            numbers: some()?,
            weights: some()?,
            terms: some()?,
            order: some()?,
            starts_of_sums: [some()?, some()?, some()?],
            pieces: some()?,
            sums_of_terms: some()?,
            bias: some()?,
            rows: [some()?, some()?],
            lifted: [some()?, some()?],
            table: some()?,
            verdicts: some()?,
            windows: some()?,
            scalars: [some()?, some()?],
            points_of: [some()?, some()?],
            payloads: some()?,
            starts: some()?,
            parts: some()?,
            points: some()?,
            flags: some()?,
            before: some()?,
            totals: some()?,
            sums: some()?,
        })
    }
}

/// A batch, made ready.
struct Packed {
    candidates: Candidates,
    weights: Vec<[u64; 2]>,
    /// All of its rows.
    whole: Check,
    /// Points of rows, and of keys.
    points: [[Vec<u32>; 2]; 2],
    /// z, r and s; b and c.
    numbers: [Vec<u32>; 2],
}

/// A call: what was asked, and what is known.
struct Call<'a> {
    signatures: &'a [Signature],
    hints: &'a Hints<'a>,
    out: Keys,
    /// Places of rows that are to be recovered.
    singly: Vec<u32>,
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
        Ok(Self {
            gpu,
            products: gpu.pipeline(&flavour.products_of_scalars)?,
            invert: gpu.pipeline(&flavour.invert_scalars)?,
            weigh: gpu.pipeline(&flavour.weigh)?,
            sums: gpu.pipeline(&stages::SUMS)?,
            split: gpu.pipeline(&flavour.split)?,
            hints: gpu.pipeline(&flavour.hints)?,
            digits: gpu.pipeline(&stages::DIGITS)?,
            bounds: gpu.pipeline(&stages::BOUNDS)?,
            accumulate: gpu.pipeline(&flavour.accumulate)?,
            join: gpu.pipeline(&flavour.join)?,
            sorter: Sorter::new(gpu)?,
            rows_max,
            room: Mutex::new(Room::new(gpu, C::BETA)?),
            beta: C::BETA,
            checks: Default::default(),
            least: BATCH_LEAST,
            dispatch_entries: DISPATCH_ENTRIES,
            source: Source::default(),
        })
    }

    /// Checks done so far and rows in them.
    pub fn checks(&self) -> [u64; 2] {
        [0, 1].map(|i: usize| self.checks[i].load(Ordering::Relaxed))
    }

    /// What recovery gives for each row, whatever the hints say, with R.y if that is wanted; with buffers of its own if somebody is at
    /// work with those that are kept. The processor's part is done on the current rayon pool.
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
        // Nobody is waited for: whoever has the room waits for the pool, of which this may be a worker.
        match self.free_room() {
            Some(mut room) => self.recover_in(&mut room, least, recoverer, signatures, hints, with_roots),
            None => {
                self.recover_in(&mut Room::new(self.gpu, self.beta)?, least, recoverer, signatures, hints, with_roots)
            }
        }
    }

    /// The same; `None` if somebody is at work with it.
    pub(super) fn try_recover(
        &self,
        recoverer: &Recoverer<'_>,
        signatures: &[Signature],
        hints: &Hints<'_>,
        with_roots: bool,
    ) -> Option<Result<Keys, GpuError>> {
        let mut room = self.free_room()?;
        Some(self.recover_in(&mut room, self.least, recoverer, signatures, hints, with_roots))
    }

    /// The buffers that are kept, if nobody is at work with them.
    fn free_room(&self) -> Option<MutexGuard<'_, Room>> {
        match self.room.try_lock() {
            Ok(room) => Some(room),
            Err(TryLockError::Poisoned(room)) => Some(room.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Work is given to the pool while the room is held: whoever is asked for meanwhile goes on without it.
    fn recover_in(
        &self,
        room: &mut Room,
        least: usize,
        recoverer: &Recoverer<'_>,
        signatures: &[Signature],
        hints: &Hints<'_>,
        with_roots: bool,
    ) -> Result<Keys, GpuError> {
        let n = signatures.len();
        let mut out = Keys { keys: vec![None; n], roots: Vec::new() };
        if with_roots {
            out.roots = vec![[0; 32]; n];
        }
        let mut call = Call { signatures, hints, out, singly: Vec::new() };
        let batches = (n / BATCH_ROWS).clamp(1, 4).max(n.div_ceil(self.rows_max));
        let step = n.div_ceil(batches).next_multiple_of(TILE).max(TILE).min(self.rows_max);
        let mut before: Option<(Packed, Pending<'_>)> = None;
        for start in (0..n).step_by(step) {
            let packed = self.pack(&mut call, least, start..n.min(start + step));
            // A batch that is not good still needs what is there.
            if let Some((packed, pending)) = before.take() {
                self.settle(recoverer, room, &mut call, &packed, pending)?;
            }
            if let Some(packed) = packed {
                let pending = self.start(recoverer, room, &packed, with_roots)?;
                before = Some((packed, pending));
            }
        }
        if let Some((packed, pending)) = before {
            self.settle(recoverer, room, &mut call, &packed, pending)?;
        }
        let Call { mut out, singly, .. } = call;
        let rows: Vec<Signature> = singly.iter().map(|place| signatures[*place as usize]).collect();
        let found = if rows.len() < DEVICE_ROWS {
            recover_with_roots(Backend::best(), &rows)
        } else {
            recoverer.recover(&rows, with_roots)?.found()
        };
        for (place, found) in singly.iter().zip(found) {
            out.keys[*place as usize] = found.map(|found| found.key);
            if let (Some(root), Some(found)) = (out.roots.get_mut(*place as usize), found) {
                *root = found.root;
            }
        }
        Ok(out)
    }

    /// A batch of the rows of a range; `None` if there is none, and they are to be recovered.
    fn pack(&self, call: &mut Call<'_>, least: usize, range: Range<usize>) -> Option<Packed> {
        let candidates = Candidates::new(call.signatures, call.hints, range, &mut call.singly);
        // Without weights there is no batch.
        let weights =
            Some(()).filter(|()| candidates.rows.len() >= least).and_then(|()| candidates.weights(self.source));
        let Some(weights) = weights else {
            call.singly.extend(candidates.rows.iter().map(|c| c.place));
            return None;
        };
        let whole = Check::new(&candidates, 0, &weights, |_| false, self.dispatch_entries);
        let points = [candidates.points_of_rows(), candidates.points_of_keys()];
        let numbers = candidates.numbers(&weights);
        Some(Packed { candidates, weights, whole, points, numbers })
    }

    /// Gives a batch to the device; read are verdicts on points, the sums of buckets and, where R.y is wanted and was not hinted, that.
    fn start(
        &self,
        recoverer: &Recoverer<'_>,
        room: &mut Room,
        packed: &Packed,
        with_roots: bool,
    ) -> Result<Pending<'a>, GpuError> {
        let (n, keys) = (packed.candidates.rows.len(), packed.candidates.keys.len());
        let has_roots = packed.candidates.has_roots;
        let mut batch = self.gpu.batch();
        self.place_points(recoverer, room, &mut batch, [n, keys + 1], &packed.points, has_roots)?;
        batch.read(&room.verdicts, n + keys + 1);
        self.weigh(room, &mut batch, n, &packed.numbers)?;
        self.check(recoverer, room, &mut batch, &packed.whole, n)?;
        if with_roots && !has_roots {
            batch.read(&room.lifted[0], n.next_multiple_of(TILE) * LIFTED_WORDS);
        }
        self.count(n);
        batch.submit()
    }

    /// What comes of a batch: if it is not good, parts of it are tested.
    fn settle(
        &self,
        recoverer: &Recoverer<'_>,
        room: &mut Room,
        call: &mut Call<'_>,
        packed: &Packed,
        pending: Pending<'_>,
    ) -> Result<(), GpuError> {
        let Candidates { rows, key_places, has_roots, .. } = &packed.candidates;
        let n = rows.len();
        let read = pending.wait()?;
        let is_right: Vec<bool> = read[0].iter().map(|verdict| *verdict == 1).collect();
        let is_out = |i: usize| !is_right[i] || !is_right[n + rows[i].key as usize];
        let (sums, roots) = (&read[1], read.get(2));
        let mut is_good = vec![false; n];
        let mut accept = |range: Range<usize>| range.filter(|i| !is_out(*i)).for_each(|i| is_good[i] = true);
        let are_all_in = !(0..n).any(is_out);
        let step = n.div_ceil(PARTS).max(PART_LEAST);
        if are_all_in && packed.whole.layout.is_identity(sums) == Some(true) {
            accept(0..n);
        } else if step < n || !are_all_in {
            // Else the one part is the whole, and says nothing new.
            let mut bad = 0;
            for start in (0..n).step_by(step) {
                if bad == BAD_PARTS {
                    break;
                }
                let range = start..n.min(start + step);
                let weights = &packed.weights[range.clone()];
                let part = Check::new(&packed.candidates, start, weights, is_out, self.dispatch_entries);
                let mut batch = self.gpu.batch();
                self.check(recoverer, room, &mut batch, &part, n)?;
                let read = batch.finish()?;
                self.count(range.len());
                if part.layout.is_identity(&read[0]) == Some(true) {
                    accept(range);
                } else {
                    bad += 1;
                }
            }
        }
        for (i, c) in rows.iter().enumerate() {
            let place = c.place as usize;
            if is_good[i] {
                call.out.keys[place] = Some(call.hints.keys[key_places[c.key as usize] as usize]);
                if let Some(root) = call.out.roots.get_mut(place) {
                    *root = to_bytes(&roots.map_or(c.y, |roots| number(roots, 0, i, LIFTED_WORDS)));
                }
            } else if *has_roots || is_right[i] {
                call.singly.push(c.place);
            }
            // Else R is no point, for it has no root: nobody's.
        }
        Ok(())
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

    /// Scalars of rows from their numbers, into `terms`.
    fn weigh(&self, room: &mut Room, batch: &mut Batch<'_>, n: usize, numbers: &[Vec<u32>; 2]) -> Result<(), GpuError> {
        let (gpu, padded) = (self.gpu, n.next_multiple_of(TILE));
        let lanes = n.div_ceil(SHARING * TILE) * TILE;
        room_for(gpu, &mut room.numbers, padded * POINT_WORDS)?;
        room_for(gpu, &mut room.weights, padded * WEIGHT_WORDS)?;
        room_for(gpu, &mut room.terms, padded * TERM_WORDS)?;
        room_for(gpu, &mut room.before, padded * NUMBER_WORDS)?;
        room_for(gpu, &mut room.totals, lanes * NUMBER_WORDS)?;
        gpu.write(&room.numbers, &numbers[0])?;
        gpu.write(&room.weights, &numbers[1])?;
        // All below 2^32: at most `ROWS_MAX` rows.
        let (groups, steps) = ((lanes / TILE) as u32, stages::INVERSE_OF_SCALAR.len() as u32);
        let share = [n, lanes, SHARING, 0].map(|word| word as u32);
        batch.run(&self.products, share, &[&room.numbers, &room.before, &room.totals], groups)?;
        batch.run(&self.invert, [lanes as u32, steps, 0, 0], &[&room.inverse_of_scalar, &room.totals], groups)?;
        let buffers = [&room.numbers, &room.before, &room.totals, &room.weights, &room.terms];
        batch.run(&self.weigh, share, &buffers, groups)
    }

    /// Tests some rows, of so many in the batch, whose points and terms are there: the sums of buckets are read last.
    fn check(
        &self,
        recoverer: &Recoverer<'_>,
        room: &mut Room,
        batch: &mut Batch<'_>,
        check: &Check,
        rows: usize,
    ) -> Result<(), GpuError> {
        let (gpu, sums) = (self.gpu, &check.sums);
        let [of_keys, of_g, totals] = [&sums.of_keys, &sums.of_g, &sums.totals].map(|starts| starts.len() - 1);
        let padded = |rows: usize, words: usize| rows.next_multiple_of(TILE) * words;
        room_for(gpu, &mut room.pieces, padded(of_keys + of_g, NUMBER_WORDS))?;
        room_for(gpu, &mut room.sums_of_terms, padded(totals, NUMBER_WORDS))?;
        room_for(gpu, &mut room.scalars[1], padded(check.lengths[1], SCALAR_WORDS[1]))?;
        fill(gpu, &mut room.scalars[0], &check.of_rows)?;
        fill(gpu, &mut room.bias, &check.layout.bias())?;
        fill(gpu, &mut room.order, &sums.order)?;
        for (buffer, starts) in room.starts_of_sums.iter_mut().zip([&sums.of_keys, &sums.of_g, &sums.totals]) {
            fill(gpu, buffer, starts)?;
        }
        let [starts_of_keys, starts_of_g, starts_of_totals] = &room.starts_of_sums;
        // All below 2^31: at most `ROWS_MAX` rows, and as many keys and one. How rows are named, and where sums go: `sums`.
        let mut add = |count: usize, term: [usize; 2], how: usize, buffers: &[&Buffer]| {
            let params = [count, term[0], term[1], how].map(|word| word as u32);
            batch.run(&self.sums, params, buffers, count.div_ceil(TILE) as u32)
        };
        add(of_keys, [NUMBER_WORDS, TERM_WORDS], 1, &[starts_of_keys, &room.order, &room.terms, &room.pieces])?;
        let how = 2 * of_keys + 1;
        add(of_g, [0, TERM_WORDS], how, &[starts_of_g, &room.order, &room.terms, &room.pieces])?;
        let buffers = [starts_of_totals, &room.order, &room.pieces, &room.sums_of_terms];
        add(totals, [0, NUMBER_WORDS], 0, &buffers)?;
        let buffers = [&room.sums_of_terms, &room.bias, &room.scalars[1]];
        batch.run(&self.split, [totals as u32, 0, 0, 0], &buffers, totals.div_ceil(TILE) as u32)?;
        fill(gpu, &mut room.points_of[0], &check.rows())?;
        fill(gpu, &mut room.points_of[1], &sums.points(rows))?;
        self.multiply(recoverer, room, batch, &check.layout, check.lengths)
    }

    /// Multiplies and adds up as far as buckets go: their sums are read. Two scalars in turn belong to a point of the table and its
    /// image: to which, is there.
    fn multiply(
        &self,
        recoverer: &Recoverer<'_>,
        room: &mut Room,
        batch: &mut Batch<'_>,
        layout: &Layout,
        lengths: [usize; 2],
    ) -> Result<(), GpuError> {
        let gpu = self.gpu;
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
        for (i, n) in lengths.into_iter().enumerate() {
            let windows = if i == 0 { layout.counts[0] } else { layout.windows.len() };
            let how = windows | SCALAR_WORDS[i] << 8;
            let params = [n, 0, how, entry].map(|word| word as u32);
            let buffers = [&room.windows, &room.scalars[i], &room.points_of[i], &keys, &room.payloads];
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

/// Writes into a buffer, made larger if it is too small.
fn fill(gpu: &Gpu, buffer: &mut Buffer, words: &[u32]) -> Result<(), GpuError> {
    room_for(gpu, buffer, words.len())?;
    gpu.write(buffer, words)
}

#[cfg(test)]
impl Verifier<'_> {
    /// Makes batches ready, as many rows as a call of these has together, and drops them.
    pub(in super::super) fn pack_only(&self, signatures: &[Signature], hints: &Hints<'_>) {
        let mut call = Call { signatures, hints, out: Keys::default(), singly: Vec::new() };
        assert!(self.pack(&mut call, self.least, 0..signatures.len()).is_some());
    }

    /// Whether points are right, and whether the sum of their multiples, each followed by its image's, is the identity; of any
    /// curve.
    pub(in super::super) fn sum(
        &self,
        recoverer: &Recoverer<'_>,
        points: [&[Row]; 2],
        scalars: [Scalars; 2],
    ) -> Result<(Vec<bool>, Option<bool>), GpuError> {
        let counts = points.map(<[Row]>::len);
        let packed = points.map(pack_rows);
        let mut room = self.free_room().expect("nobody else");
        let mut batch = self.gpu.batch();
        self.place_points(recoverer, &mut room, &mut batch, counts, &packed, true)?;
        batch.read(&room.verdicts, counts[0] + counts[1]);
        let lengths = [0, 1].map(|i: usize| scalars[i].len());
        let layout = Layout::new(lengths, self.dispatch_entries);
        for (kind, scalars) in scalars.iter().enumerate() {
            let of = |i: usize| ([scalars.low[i], scalars.high[i]], scalars.negative[i]);
            fill(self.gpu, &mut room.scalars[kind], &layout.biased(scalars.len(), of, kind))?;
            let first = if kind == 0 { 0 } else { counts[0] };
            let points: Vec<u32> = (first..first + counts[kind]).map(|point| point as u32).collect();
            fill(self.gpu, &mut room.points_of[kind], &points)?;
        }
        self.multiply(recoverer, &mut room, &mut batch, &layout, lengths)?;
        let read = batch.finish()?;
        Ok((read[0].iter().map(|verdict| *verdict == 1).collect(), layout.is_identity(&read[1])))
    }
}

//! Recovery of public keys on a device, one invocation a row: tiled, uploaded, dispatched, read back.
//!
//! In, out: see `../mod.rs`. The processor checks ranges, divides by r mod n (one inversion serves a run of rows) and splits u1 and u2; the
//! device lifts R and multiplies: `manaflow_shaders::secp256k1` says in which stages, engine/docs/secp256k1.md, section 9, why.
//! Rows whose sums met an equal or opposite point, or end in the identity, come back marked and are the processor's.
//! Rows that are out of range run along as R = G, and their result is dropped.
//! Memory: 1.9 KiB a row on the device, 184 bytes here. Twin: `shaders/src/twin/secp256k1.rs`.

use super::super::ecmult::{COMB_WINDOW, COMB_WINDOWS, WINDOW, WINDOWS, halves};
use super::super::recover::{Prepared, prepare};
use super::super::scalar::{Curve, Secp256k1, Signed};
use super::super::words::{Words, to_bytes};
use super::super::{PublicKey, Signature, quotients, recover};
use super::{Keys, ROWS_MAX, RUN, SHARING, column_place, halved, number, room_for};
use crate::backend::signatures::Backend;
use crate::cpu::carry;
use crate::gpu::{Buffer, Gpu, GpuError, Pending, Pipeline};
use manaflow_shaders::secp256k1::{self as stages, ENTRIES, ENTRY_WORDS, FOUND, MET, Recovery, TILE};
use manaflow_shaders::secp256k1::{KEY_WORDS, LIFTED_WORDS, NUMBER_WORDS, POINT_WORDS, ROW_WORDS};
use rayon::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

// The digits made here are those that the stages read.
const _: () = assert!(WINDOW == stages::WINDOW && WINDOWS == stages::WINDOWS);
const _: () = assert!(WINDOW * WINDOWS <= 160 && COMB_WINDOW * COMB_WINDOWS <= 160);

/// A device that recovers.
#[derive(Debug)]
pub struct Recoverer<'a> {
    gpu: &'a Gpu,
    pub(super) stages: Stages,
    flavour: &'static Recovery,
    rows_max: usize,
    /// B of the curve.
    b: u32,
    room: Mutex<Room>,
    /// Calls at work.
    calls: AtomicUsize,
}

/// Of one flavour. Some serve verification too.
#[derive(Debug)]
pub(super) struct Stages {
    pub lift: Pipeline,
    double: Pipeline,
    multiples: Pipeline,
    align: Pipeline,
    add_windows: Pipeline,
    rescale: Pipeline,
    pub products: Pipeline,
    pub invert: Pipeline,
    pub affine: Pipeline,
}

/// What is used again from tile to tile, with whatever is left in it.
#[derive(Debug)]
struct Room {
    /// Multiples of powers of G.
    comb: Buffer,
    beta: Buffer,
    root: Buffer,
    inverse: Buffer,
    /// rows, lifted, points, table, factors, scale, before, totals, keys.
    columns: [Buffer; 9],
}

/// Words of a row of each column of a [`Room`].
pub(in super::super) const COLUMNS: [usize; 9] = [
    ROW_WORDS,
    LIFTED_WORDS,
    POINT_WORDS,
    ENTRIES * ENTRY_WORDS,
    ENTRIES * NUMBER_WORDS,
    NUMBER_WORDS,
    NUMBER_WORDS,
    NUMBER_WORDS,
    KEY_WORDS,
];

impl<'a> Recoverer<'a> {
    /// With the widest products that the device has.
    pub fn new(gpu: &'a Gpu) -> Result<Self, GpuError> {
        Self::with(gpu, if gpu.has_u64() { &stages::U64 } else { &stages::U32 }, ROWS_MAX)
    }

    /// By one flavour of the stages, and not more rows at once than these.
    ///
    /// # Panics
    /// If that is no row.
    pub fn with(gpu: &'a Gpu, flavour: &'static Recovery, rows: usize) -> Result<Self, GpuError> {
        Self::of_curve::<Secp256k1>(gpu, flavour, rows)
    }

    /// On any curve y^2 = x^3 + B with a small B.
    pub(in super::super) fn of_curve<C: Curve>(
        gpu: &'a Gpu,
        flavour: &'static Recovery,
        rows: usize,
    ) -> Result<Self, GpuError> {
        let widest = COLUMNS.into_iter().max().unwrap_or(1);
        gpu.bounded("words of a tile", (TILE * widest) as u64, gpu.limits().words() as u64)?;
        let rows_max = rows.min(ROWS_MAX).min(gpu.limits().words() / widest / TILE * TILE);
        assert!(rows_max > 0, "no row");
        let stages = Stages {
            lift: gpu.pipeline(&flavour.lift)?,
            double: gpu.pipeline(&flavour.double)?,
            multiples: gpu.pipeline(&flavour.multiples)?,
            align: gpu.pipeline(&flavour.align)?,
            add_windows: gpu.pipeline(&flavour.add_windows)?,
            rescale: gpu.pipeline(&flavour.rescale)?,
            products: gpu.pipeline(&flavour.products)?,
            invert: gpu.pipeline(&flavour.invert)?,
            affine: gpu.pipeline(&flavour.affine)?,
        };
        let comb: Vec<u32> = C::comb().iter().flat_map(|row| row.0).flat_map(halved).collect();
        let mut columns = Vec::with_capacity(COLUMNS.len());
        for _ in COLUMNS {
            columns.push(gpu.buffer(1)?);
        }
        let room = Room {
            comb: gpu.upload(&comb)?,
            beta: gpu.upload(C::BETA.map(halved).as_flattened())?,
            root: gpu.upload(stages::ROOT.as_flattened())?,
            inverse: gpu.upload(stages::INVERSE.as_flattened())?,
            columns: columns.try_into().unwrap_or_else(|_| unreachable!("one for each")),
        };
        let [b, 0, 0, 0] = C::B else { unreachable!("B is small") };
        let b = u32::try_from(b).expect("B is small");
        Ok(Self { gpu, stages, flavour, rows_max, b, room: Mutex::new(room), calls: AtomicUsize::new(0) })
    }

    /// The device.
    pub fn gpu(&self) -> &'a Gpu {
        self.gpu
    }

    /// Of what its products are made.
    pub(super) fn flavour(&self) -> &'static Recovery {
        self.flavour
    }

    /// B of the curve.
    pub(super) fn b(&self) -> u32 {
        self.b
    }

    /// Most rows at once.
    pub(super) fn rows_max(&self) -> usize {
        self.rows_max
    }

    /// Whether nobody is at work with it.
    pub(super) fn is_free(&self) -> bool {
        self.calls.load(Ordering::Relaxed) == 0
    }

    /// Whom each signature recovers to, with R.y if that is wanted. The processor's part is done on the current rayon pool: while the
    /// device has some rows, the next are packed, and those before are read.
    pub fn recover(&self, signatures: &[Signature], with_roots: bool) -> Result<Keys, GpuError> {
        let _call = Call::new(&self.calls);
        let mut out = Keys::default();
        let mut before: Option<(&[Signature], Pending<'_>)> = None;
        for rows in signatures.chunks(self.rows_max) {
            let packed = pack(rows);
            let pending = self.start(&packed, rows.len(), with_roots)?;
            if let Some((rows, pending)) = before.replace((rows, pending)) {
                out.take(rows, &pending.wait()?);
            }
        }
        if let Some((rows, pending)) = before {
            out.take(rows, &pending.wait()?);
        }
        Ok(out)
    }

    /// One tile: keys and verdicts, and R.y if wanted.
    #[cfg(test)]
    pub(in super::super) fn run(
        &self,
        packed: &[u32],
        rows: usize,
        with_roots: bool,
    ) -> Result<Vec<Vec<u32>>, GpuError> {
        self.start(packed, rows, with_roots)?.wait()
    }

    /// The same, given to the device.
    fn start(&self, packed: &[u32], rows: usize, with_roots: bool) -> Result<Pending<'a>, GpuError> {
        let padded = rows.next_multiple_of(TILE);
        // No work is taken from the pool under the lock, so that nobody waits for himself.
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        for (buffer, words) in room.columns.iter_mut().zip(COLUMNS) {
            room_for(self.gpu, buffer, padded * words)?;
        }
        let Room { comb, beta, root, inverse, columns } = &mut *room;
        let [rows_in, lifted, points, table, factors, scale, before, totals, keys] = columns;
        self.gpu.write(rows_in, packed)?;
        // All below 2^32: at most `ROWS_MAX` rows.
        let (n, groups) = (rows as u32, (padded / TILE) as u32);
        let lanes = (rows.div_ceil(SHARING * TILE) * TILE) as u32;
        let (sharing, steps) = (SHARING as u32, stages::ROOT.len() as u32);
        let of_own = WINDOW as u32 | stages::IS_OWN;
        let s = &self.stages;
        let mut batch = self.gpu.batch();
        batch.run(&s.lift, [n, steps, self.b, ROW_WORDS as u32], &[rows_in, root, lifted, points], groups)?;
        batch.run(&s.double, [n, 1, 0, 0], &[points], groups)?;
        batch.run(&s.multiples, [n, 0, 0, 0], &[rows_in, lifted, points, table, factors], groups)?;
        batch.run(&s.align, [n, 0, 0, 0], &[points, factors, table, scale], groups)?;
        for window in (0..WINDOWS as u32).rev() {
            let is_first = window == WINDOWS as u32 - 1;
            if !is_first {
                batch.run(&s.double, [n, WINDOW as u32, 0, 0], &[points], groups)?;
            }
            let how = if is_first { of_own | stages::BEGINS } else { of_own };
            batch.run(&s.add_windows, [n, window, 1, how], &[rows_in, table, beta, points], groups)?;
        }
        batch.run(&s.rescale, [n, 0, 0, 0], &[scale, points], groups)?;
        let of_g = [n, 0, COMB_WINDOWS as u32, COMB_WINDOW as u32];
        batch.run(&s.add_windows, of_g, &[rows_in, comb, beta, points], groups)?;
        let share = [n, lanes, sharing, 0];
        batch.run(&s.products, share, &[points, before, totals], lanes / TILE as u32)?;
        batch.run(&s.invert, [lanes, steps, 0, 0], &[inverse, totals], lanes / TILE as u32)?;
        let share = [n, lanes, sharing, LIFTED_WORDS as u32];
        batch.run(&s.affine, share, &[points, lifted, before, totals, keys], lanes / TILE as u32)?;
        batch.read(keys, padded * KEY_WORDS);
        if with_roots {
            batch.read(lifted, padded * LIFTED_WORDS);
        }
        // What is written for the next tile waits in line behind these commands, so one room serves all.
        batch.submit()
    }
}

/// A call at work.
struct Call<'a>(&'a AtomicUsize);

impl<'a> Call<'a> {
    fn new(calls: &'a AtomicUsize) -> Self {
        calls.fetch_add(1, Ordering::Relaxed);
        Self(calls)
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Keys {
    /// Appends what was read of some rows: keys, and R.y if that was read.
    fn take(&mut self, rows: &[Signature], read: &[Vec<u32>]) {
        self.keys.extend(unpack(rows, &read[0]));
        if let Some(lifted) = read.get(1) {
            self.roots.extend((0..rows.len()).map(|row| to_bytes(&number(lifted, 0, row, LIFTED_WORDS))));
        }
    }
}

/// Rows as the stages read them: `rows`, in tiles. What fills the last tile is not looked at.
pub(in super::super) fn pack(rows: &[Signature]) -> Vec<u32> {
    let mut out = vec![0; rows.len().next_multiple_of(TILE) * ROW_WORDS];
    let stage = carry();
    let runs = rows.par_chunks(RUN).zip(out.par_chunks_mut(RUN * ROW_WORDS));
    runs.for_each(|(rows, out)| stage.within(|| pack_run(rows, out)));
    out
}

/// On this thread.
fn pack_run(rows: &[Signature], out: &mut [u32]) {
    let prepared: Vec<Option<Prepared>> = rows.iter().map(prepare).collect();
    let (u1, u2) = quotients(&prepared);
    let points = prepared.iter().map(|row| row.as_ref().map_or((Secp256k1::G.x(), false), |row| (row.x, row.is_odd)));
    pack_points::<Secp256k1>(points, &u1, &u2, out);
}

/// Rows of R, by x and parity, and what it and G are multiplied by; from a border of tiles on.
pub(in super::super) fn pack_points<C: Curve>(
    points: impl Iterator<Item = (Words, bool)>,
    u1: &[Words],
    u2: &[Words],
    out: &mut [u32],
) {
    for (i, (x, is_odd)) in points.enumerate() {
        let mut words = [0; ROW_WORDS];
        let of = |n: &Words| n.map(halved);
        words[..8].copy_from_slice(of(&x).as_flattened());
        words[8] = u32::from(is_odd);
        let five = |half: &Signed| half.map(halved);
        for (k, half) in halves::<C>(&u1[i], &u2[i]).as_flattened().iter().enumerate() {
            words[9 + 5 * k..14 + 5 * k].copy_from_slice(&five(half).as_flattened()[..5]);
        }
        for (k, word) in words.iter().enumerate() {
            out[column_place(k, i, ROW_WORDS)] = *word;
        }
    }
}

/// Keys of all rows from what was read; those that the device could not finish are recovered here.
pub(in super::super) fn unpack(rows: &[Signature], read: &[u32]) -> Vec<Option<PublicKey>> {
    let verdict = |row: usize| read[column_place(2 * NUMBER_WORDS, row, KEY_WORDS)];
    let key = |(row, signature): (usize, &Signature)| {
        // Ranges are this side's to judge.
        (verdict(row) == FOUND && prepare(signature).is_some()).then(|| {
            let mut key = [0; 64];
            key[..32].copy_from_slice(&to_bytes(&number(read, 0, row, KEY_WORDS)));
            key[32..].copy_from_slice(&to_bytes(&number(read, NUMBER_WORDS, row, KEY_WORDS)));
            PublicKey(key)
        })
    };
    let mut keys: Vec<_> = rows.par_iter().enumerate().with_min_len(RUN).map(key).collect();
    let met: Vec<usize> =
        (0..rows.len()).filter(|row| verdict(*row) == MET && prepare(&rows[*row]).is_some()).collect();
    let again: Vec<Signature> = met.iter().map(|row| rows[*row]).collect();
    for (row, key) in met.into_iter().zip(recover(Backend::best(), &again)) {
        keys[row] = key;
    }
    keys
}

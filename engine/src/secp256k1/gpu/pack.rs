//! What the processor makes of a batch for a device: who belongs to it, weights, columns in tiles, and which rows have one signer.
//!
//! In: signatures and hints. Out: rows whose hints are in range, with b and c of each row's weight a = b + c lambda, and columns as
//! the stages take them. What follows mod n is the device's. One set of weights serves every part of a batch: rows and parts are
//! chosen before the weights are drawn, and each bad part passes for one of 2^128 draws (engine/docs/secp256k1.md, section 5).

use super::super::field::Row;
use super::super::recover::{Prepared, prepare};
use super::super::scalar::{Curve, Secp256k1};
use super::super::words::{FIELD_PRIME, Words, from_bytes, is_below};
use super::super::{Hints, PublicKey, Signature};
use super::{RUN, column_place, halved};
use crate::cpu::carry;
use manaflow_shaders::secp256k1::{HINT_WORDS, KEY_WORDS, LIFTED_WORDS, NUMBER_WORDS, POINT_WORDS, TILE, WEIGHT_WORDS};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rayon::prelude::*;
use std::ops::Range;

#[cfg(test)]
use super::super::batch::Weights;

/// Rows that one invocation adds up at most, before the sums of these are added up: the root of 2^14.
const SUMMED: usize = 128;

/// A row of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// Its place among the signatures.
    pub place: u32,
    /// Place of its key among those of the batch.
    pub key: u32,
    /// Its numbers.
    pub row: Prepared,
    /// R.y, or nothing yet.
    pub y: Words,
}

/// Rows whose hints are in range.
#[derive(Debug)]
pub(super) struct Candidates {
    pub rows: Vec<Candidate>,
    /// Of each key of the batch, in order of first use, its place among those hinted.
    pub key_places: Vec<u32>,
    pub keys: Vec<Row>,
    /// Whether R.y is given, or to be found.
    pub has_roots: bool,
}

/// No key.
const NOBODY: u32 = u32::MAX;

impl Candidates {
    /// Those of a range; places of others that may have a key go to `singly`. On the current rayon pool.
    pub fn new(signatures: &[Signature], hints: &Hints<'_>, range: Range<usize>, singly: &mut Vec<u32>) -> Self {
        let has_roots = hints.roots.len() == signatures.len();
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
        let prepared: Vec<Option<Candidate>> =
            signatures[range].par_iter().enumerate().with_min_len(RUN).map(of).collect();
        // Out of range: nobody's.
        let mut rows: Vec<Candidate> = prepared.into_iter().flatten().collect();
        // Places among the keys of these rows.
        let (mut local, mut key_places) = (vec![NOBODY; hints.keys.len()], Vec::new());
        for c in rows.iter_mut().filter(|c| c.key != NOBODY) {
            let place = &mut local[c.key as usize];
            if *place == NOBODY {
                *place = key_places.len() as u32;
                key_places.push(c.key);
            }
            c.key = *place;
        }
        let in_range = |row: &Row| is_below(&row.x(), &FIELD_PRIME) && is_below(&row.y(), &FIELD_PRIME);
        let key = |place: &u32| Some(row_of(&hints.keys[*place as usize])).filter(in_range);
        let keys: Vec<Option<Row>> = key_places.par_iter().with_min_len(RUN).map(key).collect();
        rows.retain(|c| {
            let stays = c.key != NOBODY && keys[c.key as usize].is_some();
            if !stays {
                singly.push(c.place);
            }
            stays
        });
        // The device takes what is canonical; no row has this key.
        let keys = keys.into_iter().map(|key| key.unwrap_or(Secp256k1::G)).collect();
        Self { rows, key_places, keys, has_roots }
    }

    /// Draws b and c of each row; `None` if the system gives none. On the current rayon pool.
    pub fn weights(&self, source: Source) -> Option<Vec<[u64; 2]>> {
        let mut weights = vec![[0; 2]; self.rows.len()];
        let stage = carry();
        let runs = weights.par_chunks_mut(RUN).enumerate();
        let draw = |(run, weights): (usize, &mut [[u64; 2]])| {
            let mut generator = source.generator(run)?;
            stage.within(|| weights.iter_mut().for_each(|weight| *weight = source.weight(&mut generator)));
            Some(())
        };
        runs.map(draw).collect::<Option<()>>().map(|()| weights)
    }

    /// Of rows: x and parity; y, where it is given.
    pub fn points_of_rows(&self) -> [Vec<u32>; 2] {
        pack_coordinates(&self.rows, self.has_roots, |c| (c.row.x, c.row.is_odd, c.y))
    }

    /// The same of keys, of any parity, and of G behind them.
    pub fn points_of_keys(&self) -> [Vec<u32>; 2] {
        pack_rows(&[&self.keys[..], &[Secp256k1::G]].concat())
    }

    /// Of rows: z, r and s; b and c.
    pub fn numbers(&self, weights: &[[u64; 2]]) -> [Vec<u32>; 2] {
        let padded = self.rows.len().next_multiple_of(TILE);
        let (mut numbers, mut others) = (vec![0; padded * POINT_WORDS], vec![0; padded * WEIGHT_WORDS]);
        let stage = carry();
        let columns = numbers.par_chunks_mut(RUN * POINT_WORDS).zip(others.par_chunks_mut(RUN * WEIGHT_WORDS));
        let runs = self.rows.par_chunks(RUN).zip(weights.par_chunks(RUN)).zip(columns);
        runs.for_each(|((rows, weights), (numbers, others))| {
            stage.within(|| {
                for (i, (c, weight)) in rows.iter().zip(weights).enumerate() {
                    for (k, number) in [c.row.z, c.row.r, c.row.s].iter().enumerate() {
                        put(numbers, k * NUMBER_WORDS, i, POINT_WORDS, number.map(halved).as_flattened());
                    }
                    put(others, 0, i, WEIGHT_WORDS, weight.map(halved).as_flattened());
                }
            });
        });
        [numbers, others]
    }
}

/// Where the weights come from: the operating system, but in tests.
#[derive(Clone, Copy, Default, Debug)]
pub(in super::super) struct Source {
    /// Fixes them.
    #[cfg(test)]
    pub weights: Option<Weights>,
}

impl Source {
    /// A generator for one run of rows.
    fn generator(self, run: usize) -> Option<ChaCha20Rng> {
        #[cfg(test)]
        if let Some(Weights::Seed(seed)) = self.weights {
            return Some(ChaCha20Rng::seed_from_u64(seed ^ (run as u64) << 32));
        }
        let _ = run;
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).ok()?;
        Some(ChaCha20Rng::from_seed(seed))
    }

    /// b and c.
    fn weight(self, generator: &mut ChaCha20Rng) -> [u64; 2] {
        #[cfg(test)]
        if matches!(self.weights, Some(Weights::Equal)) {
            return [1, 0];
        }
        [generator.next_u64(), generator.next_u64()]
    }
}

/// What `sums` adds up: the terms of each signer's rows, and those of all rows for G, in pieces of [`SUMMED`] rows first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in super::super) struct Sums {
    /// Keys of signers that have a row, in order of first use.
    pub keys: Vec<u32>,
    /// Number of all keys, behind which G is.
    all: usize,
    /// Rows, those of one signer side by side.
    pub order: Vec<u32>,
    /// Where pieces of signers begin in it, and the end.
    pub of_keys: Vec<u32>,
    /// Where pieces of all rows begin in it, and the end.
    pub of_g: Vec<u32>,
    /// Where the pieces of each signer, and at last of G, begin, and the end.
    pub totals: Vec<u32>,
}

impl Sums {
    /// Of some rows, each with its key, of so many keys.
    pub fn new(rows: impl Iterator<Item = (u32, u32)> + Clone, all: usize) -> Self {
        // Of each key its place among those that have a row.
        let (mut places, mut keys, mut ends) = (vec![NOBODY; all], Vec::new(), Vec::new());
        for (_, key) in rows.clone() {
            let place = &mut places[key as usize];
            if *place == NOBODY {
                *place = keys.len() as u32;
                keys.push(key);
                ends.push(0);
            }
            ends[*place as usize] += 1;
        }
        let (mut of_keys, mut totals, mut end) = (vec![0], vec![0], 0);
        for count in &mut ends {
            let start = end;
            end += *count;
            of_keys.extend((start + SUMMED..end).step_by(SUMMED).chain([end]).map(|piece| piece as u32));
            totals.push(of_keys.len() as u32 - 1);
            *count = start;
        }
        let mut order = vec![0; end];
        for (row, key) in rows {
            let place = &mut ends[places[key as usize] as usize];
            order[*place] = row;
            *place += 1;
        }
        let of_g: Vec<u32> = (0..end).step_by(SUMMED).chain([end]).map(|piece| piece as u32).collect();
        totals.push((of_keys.len() + of_g.len()) as u32 - 2);
        Self { keys, all, order, of_keys, of_g, totals }
    }

    /// Points of the table that the scalars of keys and of G belong to, two scalars each; so many points of rows are before them.
    pub fn points(&self, rows: usize) -> Vec<u32> {
        self.keys.iter().copied().chain([self.all as u32]).map(|key| rows as u32 + key).collect()
    }
}

/// A key as a row, whatever it is.
fn row_of(key: &PublicKey) -> Row {
    let (halves, _) = key.0.as_chunks::<32>();
    Row::new(&from_bytes(&halves[0]), &from_bytes(&halves[1]))
}

/// Words of a row, from one on.
fn put(column: &mut [u32], word: usize, row: usize, words: usize, numbers: &[u32]) {
    for (k, number) in numbers.iter().enumerate() {
        column[column_place(word + k, row, words)] = *number;
    }
}

/// x and parity, and y.
pub(super) fn pack_rows(rows: &[Row]) -> [Vec<u32>; 2] {
    pack_coordinates(rows, true, |row| (row.x(), row.y()[0] & 1 == 1, row.y()))
}

/// In tiles, on the current rayon pool.
fn pack_coordinates<T: Sync>(
    points: &[T],
    with_y: bool,
    of: impl Fn(&T) -> (Words, bool, Words) + Sync,
) -> [Vec<u32>; 2] {
    let stage = carry();
    let column = |of: &(dyn Fn(&T) -> (Words, bool) + Sync)| {
        let mut column = vec![0; points.len().next_multiple_of(TILE) * HINT_WORDS];
        points.par_chunks(RUN).zip(column.par_chunks_mut(RUN * HINT_WORDS)).for_each(|(points, column)| {
            stage.within(|| {
                for (i, point) in points.iter().enumerate() {
                    let (number, last) = of(point);
                    put(column, 0, i, HINT_WORDS, number.map(halved).as_flattened());
                    put(column, NUMBER_WORDS, i, HINT_WORDS, &[u32::from(last)]);
                }
            });
        });
        column
    };
    let x = column(&|point| {
        let (x, is_odd, _) = of(point);
        (x, is_odd)
    });
    [x, if with_y { column(&|point| (of(point).2, true)) } else { Vec::new() }]
}

const _: () =
    assert!(HINT_WORDS == LIFTED_WORDS && KEY_WORDS == 2 * NUMBER_WORDS + 1 && POINT_WORDS == 3 * NUMBER_WORDS);

//! How the scalars of a batch are cut for a device: windows, buckets, parts of buckets, turns; and what comes of the buckets.
//!
//! In: two kinds of scalars, below 2^64 and below 2^128: the second are made on the device. Windows as in `../msm.rs`, whose last steps finish the sum; their numbers
//! are chosen by what entries and buckets cost here. Bounds: digits have 15 bits at most, so that there are fewer than 2^19 buckets.

use super::super::field::Row;
use super::super::field::scalar::One;
use super::super::msm::{Msm, Window, bias, choose, layout};
use super::super::words::add;
use super::pack::{Candidates, Sums};
use super::{RUN, column_place, halved, number};
use crate::cpu::carry;
use manaflow_shaders::secp256k1::{FOUND, KEY_WORDS, MET, NUMBER_WORDS, TILE};
use rayon::prelude::*;

/// What a bucket costs, in tenths of an entry: 24 products to make it affine and 16 for each further part of it here, and two
/// sums on the processor, which are worth ten times as much as here.
const TENTHS_A_BUCKET: usize = 140;
/// Entries of a part of a bucket: long enough that joining parts costs little beside them, short enough that there are invocations for all.
const PART_ENTRIES: usize = 12;
/// Most parts of a bucket.
const PARTS_OF_BUCKET: usize = 64;
/// Entries added in one dispatch: 2^20 sums of 11 products, which a small device does in less than a tenth of a second.
pub(super) const DISPATCH_ENTRIES: usize = 1 << 20;
/// Words of a scalar below 2^64, of one below 2^128, with the bits that the windows add and a sign.
pub(super) const SCALAR_WORDS: [usize; 2] = [3, 5];

/// Some rows of a batch, to be tested together.
#[derive(Debug)]
pub(super) struct Check {
    /// How scalars are cut.
    pub layout: Layout,
    /// Scalars of each kind.
    pub lengths: [usize; 2],
    /// The first of the rows.
    first: usize,
    /// b and c of the rows, as `digits` takes them: two scalars each.
    pub of_rows: Vec<u32>,
    /// What becomes scalars of keys and of G, two each.
    pub sums: Sums,
}

impl Check {
    /// Of rows from one on, so many as there are weights, but those that `is_out`; a dispatch is to add so many entries. On the current
    /// rayon pool.
    pub(super) fn new(
        candidates: &Candidates,
        first: usize,
        weights: &[[u64; 2]],
        is_out: impl Fn(usize) -> bool + Clone + Sync,
        dispatch_entries: usize,
    ) -> Self {
        let rows = (first..first + weights.len()).filter(|row| !is_out(*row));
        let sums = Sums::new(rows.map(|row| (row as u32, candidates.rows[row].key)), candidates.keys.len());
        let lengths = [2 * weights.len(), 2 * (sums.keys.len() + 1)];
        let layout = Layout::new(lengths, dispatch_entries);
        // The sum has minus R; a row that is out has weight 0.
        let of_row = |i: usize| if is_out(first + i / 2) { ([0; 2], true) } else { ([weights[i / 2][i % 2], 0], true) };
        let of_rows = layout.biased(lengths[0], of_row, 0);
        Self { layout, lengths, first, of_rows, sums }
    }

    /// Points of the table that the scalars of rows belong to, two scalars each.
    pub(super) fn rows(&self) -> Vec<u32> {
        (self.first..self.first + self.lengths[0] / 2).map(|row| row as u32).collect()
    }
}

/// How scalars are cut, and what follows from it.
#[derive(Debug)]
pub(super) struct Layout {
    /// Numbers of windows: over the bits of both lengths, and over those of the second alone.
    pub counts: [usize; 2],
    pub windows: Vec<Window>,
    pub buckets: usize,
    pub entries: usize,
    /// Parts of a bucket, the entries of each that are added at most, and those that one dispatch adds.
    pub parts: usize,
    pub turns: usize,
    pub turns_together: usize,
}

impl Layout {
    /// For so many scalars below 2^64 and below 2^128.
    pub(super) fn new(lengths: [usize; 2], dispatch_entries: usize) -> Self {
        let counts = choose::<One>(lengths, TENTHS_A_BUCKET);
        let windows = layout::<One>(counts);
        let last = windows[windows.len() - 1];
        let buckets = last.base + last.buckets();
        let entries = counts[0] * lengths[0] + windows.len() * lengths[1];
        let in_window = |w: usize| lengths[1] + if w < counts[0] { lengths[0] } else { 0 };
        let mean = windows.iter().enumerate().map(|(w, window)| in_window(w) / window.buckets()).max().unwrap_or(0);
        let parts = 1 << (entries / buckets / PART_ENTRIES).clamp(1, PARTS_OF_BUCKET).ilog2();
        // Weights are random, so the entries of a bucket are those of a Poisson distribution around the mean; but halves of split
        // scalars fill no more than 0.45 of the values of the top digit evenly, so that some buckets have 2.3 times the mean. One
        // with more than is allowed here comes back as not known, which honest rows never see (from ten standard deviations on).
        let turns = (3 * mean + 64).div_ceil(parts);
        let turns_together = (dispatch_entries / (buckets * parts)).clamp(1, turns);
        Self { counts, windows, buckets, entries, parts, turns, turns_together }
    }

    /// The windows as `digits` takes them.
    pub(super) fn words(&self) -> Vec<u32> {
        // All are small: bits of scalars, and buckets.
        let of = |window: &Window| [window.start, window.bits, window.base, self.buckets].map(|word| word as u32);
        self.windows.iter().flat_map(of).collect()
    }

    /// What is added to scalars of the second kind: half of each window's range.
    pub(super) fn bias(&self) -> Vec<u32> {
        bias(&self.windows).map(halved).as_flattened()[..SCALAR_WORDS[1]].to_vec()
    }

    /// So many scalars of a kind, each with its sign, as `digits` takes them, in tiles: half of each window's range added, the sign on
    /// top. On the current rayon pool.
    pub(super) fn biased(&self, count: usize, of: impl Fn(usize) -> ([u64; 2], bool) + Sync, kind: usize) -> Vec<u32> {
        let (words, windows) = (SCALAR_WORDS[kind], if kind == 0 { self.counts[0] } else { self.windows.len() });
        let bias = bias(&self.windows[..windows]);
        let mut out = vec![0; count.next_multiple_of(TILE) * words];
        let tile = |(tile, out): (usize, &mut [u32])| {
            let range = tile * TILE..count.min((tile + 1) * TILE);
            for (place, i) in range.enumerate() {
                let ([low, high], is_negative) = of(i);
                let sum = add(&[low, high, 0], &bias).0.map(halved);
                for (k, word) in sum.as_flattened()[..words].iter().enumerate() {
                    let sign = if k == words - 1 { u32::from(is_negative) << 31 } else { 0 };
                    out[k * TILE + place] = word | sign;
                }
            }
        };
        let stage = carry();
        out.par_chunks_mut(RUN * words).enumerate().for_each(|(run, out)| {
            let tiles = out.chunks_mut(TILE * words).enumerate();
            stage.within(|| tiles.for_each(|(i, out)| tile((run * (RUN / TILE) + i, out))));
        });
        out
    }

    /// Whether the sum of multiples is the identity, from what was read of the buckets; `None` if one of them is not known.
    pub(super) fn is_identity(&self, read: &[u32]) -> Option<bool> {
        let verdict = |bucket: usize| read[column_place(2 * NUMBER_WORDS, bucket, KEY_WORDS)];
        if (0..self.buckets).any(|bucket| verdict(bucket) == MET) {
            return None;
        }
        let row = |bucket: usize| match verdict(bucket) {
            FOUND => Row::new(&number(read, 0, bucket, KEY_WORDS), &number(read, NUMBER_WORDS, bucket, KEY_WORDS)),
            _ => Row::ZERO,
        };
        let rows: Vec<Row> = (0..self.buckets).map(row).collect();
        #[cfg(target_arch = "x86_64")]
        if super::super::has_avx512() {
            let mut msm = Msm::<super::super::field::avx512::Eight>::new();
            return Some(msm.sum_of_buckets(self.counts, &rows).0.is_none());
        }
        Some(Msm::<One>::new().sum_of_buckets(self.counts, &rows).0.is_none())
    }
}

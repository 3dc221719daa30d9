//! What the processor makes of a batch for a device: weights and, mod n, what they leave of each row's scalars.
//!
//! In: rows in range. Out: b and c of each row's weight a = b + c lambda, a u1 and a u2. They are made once; every check of a
//! part of the rows takes them from here, sums them up by signer and splits the sums. One set of weights serves all parts: rows
//! and parts are chosen before the weights are drawn, and each bad part passes for one of 2^128 draws (engine/docs/secp256k1.md,
//! section 5). Cost: 7 Montgomery products a row, and an inversion a run of rows.

use super::super::batch::{add_to, lambda, push_halves, weigh};
use super::super::field::scalar::One;
use super::super::field::{Lanes, work};
use super::super::msm::Scalars;
use super::super::recover::Prepared;
use super::super::scalar::{Secp256k1, invert_scalars};
use super::super::words::Words;
use super::RUN;
use crate::cpu::carry;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rayon::prelude::*;
use std::ops::Range;

#[cfg(test)]
use super::super::batch::Weights;

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

/// Of each row: b and c, a u1 and a u2.
type Term = ([u64; 2], [One; 2]);

/// Those of all rows, in runs.
#[derive(Debug)]
pub(super) struct Terms(Vec<Vec<Term>>);

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

impl Terms {
    /// Draws weights for these rows; `None` if the system gives none. On the current rayon pool.
    pub fn draw(rows: &[Candidate], source: Source) -> Option<Self> {
        let stage = carry();
        let runs = rows.par_chunks(RUN).enumerate();
        let runs = runs.map(|(run, rows)| stage.within(|| Some(draw_run(rows, source.generator(run)?, source))));
        runs.collect::<Option<_>>().map(Self)
    }

    /// Scalars of a check of the rows `range` without those that `is_out`: two of R and its image for each row, weight 0 for one
    /// that is out; two for each key and its image, and two for G. On the current rayon pool, or on this thread.
    pub fn scalars(
        &self,
        rows: &[Candidate],
        range: Range<usize>,
        is_out: impl Fn(usize) -> bool,
        keys: usize,
        on_pool: bool,
    ) -> [Scalars; 2] {
        let mut of_rows = Scalars::default();
        // One more for G.
        let mut sums = vec![One([0; 5]); keys + 1];
        for i in range {
            let ([b, c], [of_g, of_key]) =
                if is_out(i) { ([0; 2], [One([0; 5]); 2]) } else { self.0[i / RUN][i % RUN] };
            of_rows.push([b, 0], true);
            of_rows.push([c, 0], true);
            add_to(&mut sums[keys], &of_g);
            add_to(&mut sums[rows[i].key as usize], &of_key);
        }
        let split = |sums: &[One]| {
            let mut scalars = Scalars::default();
            sums.iter().for_each(|sum| push_halves(&mut scalars, &sum.canonical_scalar().split(), 1));
            scalars
        };
        if !on_pool {
            return [of_rows, split(&sums)];
        }
        let stage = carry();
        let parts: Vec<Scalars> = sums.par_chunks(RUN).map(|sums| stage.within(|| split(sums))).collect();
        let mut of_keys = Scalars::default();
        for part in parts {
            of_keys.low.extend(part.low);
            of_keys.high.extend(part.high);
            of_keys.negative.extend(part.negative);
        }
        [of_rows, of_keys]
    }
}

/// On this thread, by the widest lanes there are.
fn draw_run(rows: &[Candidate], generator: ChaCha20Rng, source: Source) -> Vec<Term> {
    #[cfg(target_arch = "x86_64")]
    if super::super::has_avx512() {
        return super::super::field::avx512::Eight::enter(Draw::<super::super::field::avx512::Eight> {
            rows,
            generator,
            source,
            lanes: std::marker::PhantomData,
        });
    }
    One::enter(Draw::<One> { rows, generator, source, lanes: std::marker::PhantomData })
}

#[inline(always)]
fn draw<L: Lanes>(rows: &[Candidate], mut generator: ChaCha20Rng, source: Source) -> Vec<Term> {
    const UNIT: Words = [1, 0, 0, 0];
    let lambda = lambda::<L>();
    let mut numbers: [Vec<L>; 3] = Default::default();
    for rows in rows.chunks(L::LANES) {
        let mut words = [[UNIT; 8]; 3];
        for (lane, c) in rows.iter().enumerate() {
            (words[0][lane], words[1][lane], words[2][lane]) = (c.row.z, c.row.r, c.row.s);
        }
        numbers.iter_mut().zip(&words).for_each(|(numbers, words)| numbers.push(L::from_words(words)));
    }
    let mut inverses = Vec::new();
    invert_scalars::<L, Secp256k1>(&numbers[2], &mut inverses);
    let mut out = Vec::with_capacity(rows.len());
    for (i, rows) in rows.chunks(L::LANES).enumerate() {
        let (mut b, mut c) = ([0; 8], [0; 8]);
        for lane in 0..rows.len() {
            [b[lane], c[lane]] = source.weight(&mut generator);
        }
        let [of_g, of_key] = weigh(&b, &c, &lambda, &numbers[0][i], &numbers[1][i], &inverses[i]);
        let own = |lane: usize| ([b[lane], c[lane]], [One(of_g.limbs(lane)), One(of_key.limbs(lane))]);
        out.extend((0..rows.len()).map(own));
    }
    out
}

work! {
    Draw ['a, L: Lanes] ['a, L] {
        rows: &'a [Candidate], generator: ChaCha20Rng, source: Source, lanes: std::marker::PhantomData<L>
    } -> Vec<Term> = {
        let _ = lanes;
        draw::<L>(rows, generator, source)
    }
}

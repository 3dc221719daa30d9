//! Batch verification with hints: the keys that recovery would find, when somebody says which they are.
//!
//! For row i with R, u1 = z / s and u2 = r / s, recovery gives Q exactly if E_i = u1 G + u2 Q - R = 0 (multiply Q = (s R - z G) / r
//! by r / s). Tested is sum a_i E_i = 0, that is
//!     (sum a_i u1_i) G + sum over signers (sum of their a_i u2_i) Q - sum a_i R_i = 0,
//! with a_i = b_i + c_i lambda, b_i and c_i 64 random bits: two points R, (beta R.x, R.y) with scalars of 64 bits, and two of 128
//! bits for each signer. Sound because the group has prime order n, so that a wrong row's E_i has order n, and all but one of the
//! 2^128 values of a_i show it; (b, c) -> b + c lambda is injective on such numbers. Derivation: engine/docs/secp256k1.md, section 5.
//! Needs weights that nobody can foresee: ChaCha20, keyed by the operating system after the rows are fixed, for each check.
//!
//! Hints decide nothing: a key must be on the curve; R.y must be canonical, on the curve over R.x and of the row's parity, so it is
//! the only value that recovery would take. Rows without a hint that can be used, and rows of a batch that is not good, are
//! recovered (`recover`). So a row's result is that of recovery always. Of a large batch a few rows are probed first, so that hints
//! which are wrong throughout cost next to nothing. A failed batch is bisected while that pays: rows tested are bounded, so that bad
//! hints cost less than half of what recovery costs.

use super::field::scalar::One;
use super::field::{Lanes, Mask, Row, equal, one, work, zero};
use super::group::{Affine, curve_right_side};
use super::msm::{Msm, Scalars};
use super::recover::{Prepared, Recoverer, lift_all, prepare};
use super::scalar::{Curve, Secp256k1, Signed, invert_scalars, scalar_words};
use super::words::{FIELD_PRIME, Words, add, from_bytes, is_below, sub, to_bytes};
use super::{Found, Hints, PublicKey, Signature};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// One of so many rows is probed, within bounds: few are dear, and miss few bad ones.
const PROBED_OF: usize = 16;
const PROBED_LEAST: usize = 256;
const PROBED_MOST: usize = 512;

/// Vectors that share an inversion of s.
const TILE: usize = 128;

/// Numbers of rows at which the way changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// From here on a batch pays.
    pub batch_from: usize,
    /// From here on a failed batch is bisected, not recovered at once.
    pub bisect_from: usize,
    /// Down to here its parts are.
    pub bisect_to: usize,
    /// From here on a few rows, drawn at random, are tested before the rest.
    pub probe_from: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { batch_from: 8, bisect_from: 1024, bisect_to: 256, probe_from: 2048 }
    }
}

/// The eigenvalue of (beta x, y).
const LAMBDA: Words = [0xDF02_967C_1B23_BD72, 0x122E_22EA_2081_6678, 0xA526_1C02_8812_645A, 0x5363_AD4C_C05C_30E0];

/// A row that goes into a batch.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// Its place among all rows.
    place: u32,
    /// Place of its key.
    key: u32,
    row: Prepared,
    /// R.y.
    y: Words,
}

/// Verifies batches. One a thread; keeps its scratch space.
#[derive(Debug)]
pub(crate) struct Verifier<L> {
    msm: Msm<L>,
    recoverer: Recoverer<L>,
    rows: Vec<Row>,
    scalars: [Scalars; 2],
    /// Of each key, the place among those of this check, and the sum of its a u2.
    places: Vec<u32>,
    used: Vec<u32>,
    sums: Vec<One>,
    numbers: [Vec<L>; 3],
    inverses: Vec<L>,
    lifted: Vec<Affine<L>>,
    /// When to do what.
    pub limits: Limits,
    /// Checks done and rows in them, for tests and benches.
    pub checks: (u64, u64),
    /// Fixes the weights, in tests.
    #[cfg(test)]
    pub weights: Option<Weights>,
}

/// Where weights come from in tests.
#[cfg(test)]
#[derive(Clone, Copy, Debug)]
pub(crate) enum Weights {
    /// All the same: unsound.
    Equal,
    /// From a seed.
    Seed(u64),
}

impl<L: Lanes> Verifier<L> {
    /// A verifier.
    pub(crate) fn new() -> Self {
        Self {
            msm: Msm::new(),
            recoverer: Recoverer::new(),
            rows: Vec::new(),
            scalars: Default::default(),
            places: Vec::new(),
            used: Vec::new(),
            sums: Vec::new(),
            numbers: Default::default(),
            inverses: Vec::new(),
            lifted: Vec::new(),
            limits: Limits::default(),
            checks: (0, 0),
            #[cfg(test)]
            weights: None,
        }
    }

    /// What recovery gives for each row, whatever the hints say.
    pub(crate) fn recover(&mut self, signatures: &[Signature], hints: &Hints<'_>) -> Vec<Option<PublicKey>> {
        self.recover_with_roots(signatures, hints).into_iter().map(|found| found.map(|found| found.key)).collect()
    }

    /// The same with R.y.
    pub(crate) fn recover_with_roots(&mut self, signatures: &[Signature], hints: &Hints<'_>) -> Vec<Option<Found>> {
        let mut out = vec![None; signatures.len()];
        let mut singly: Vec<u32> = Vec::new();
        let keys = L::enter(CheckKeys { verifier: self, hints });
        let mut candidates = self.candidates(signatures, hints, &keys, &mut singly);
        if candidates.len() < self.limits.batch_from {
            singly.extend(candidates.drain(..).map(|c| c.place));
        }
        let mut bad = Vec::new();
        let probed = self.probe(&mut candidates, &keys, &mut bad);
        self.bisect(&mut candidates[probed..], &keys, &mut bad);
        let is_bad: std::collections::HashSet<u32> = bad.iter().copied().collect();
        for c in candidates.iter().filter(|c| !is_bad.contains(&c.place)) {
            out[c.place as usize] = Some(Found { key: hints.keys[c.key as usize], root: to_bytes(&c.y) });
        }
        singly.extend(bad);
        let rows: Vec<Signature> = singly.iter().map(|place| signatures[*place as usize]).collect();
        for (place, found) in singly.iter().zip(self.recoverer.recover_with_roots(&rows)) {
            out[*place as usize] = found;
        }
        out
    }

    /// Rows whose hints can be used; the places of others that may have a key go to `singly`.
    fn candidates(
        &mut self,
        signatures: &[Signature],
        hints: &Hints<'_>,
        keys: &[Option<Row>],
        singly: &mut Vec<u32>,
    ) -> Vec<Candidate> {
        let has_roots = hints.roots.len() == signatures.len() && !signatures.is_empty();
        let mut all = Vec::with_capacity(signatures.len());
        for (place, signature) in signatures.iter().enumerate() {
            // Out of range: nobody's.
            let Some(row) = prepare(signature) else { continue };
            let key = hints.signers.get(place).copied().unwrap_or(u32::MAX);
            let y = if has_roots { from_bytes(&hints.roots[place]) } else { row.x };
            let parity_is_right = !has_roots || is_below(&y, &FIELD_PRIME) && (y[0] & 1 == 1) == row.is_odd;
            match keys.get(key as usize) {
                Some(Some(_)) if parity_is_right => all.push(Candidate { place: place as u32, key, row, y }),
                _ => singly.push(place as u32),
            }
        }
        L::enter(Lift { verifier: self, candidates: &mut all, has_roots, singly });
        all
    }

    /// Keys on the curve, as rows.
    #[inline(always)]
    fn check_keys(&mut self, hints: &Hints<'_>) -> Vec<Option<Row>> {
        let mut keys = Vec::with_capacity(hints.keys.len());
        for chunk in hints.keys.chunks(L::LANES) {
            let (mut x, mut y) = ([[0; 4]; 8], [[0; 4]; 8]);
            let mut in_range: Mask = 0;
            for (lane, key) in chunk.iter().enumerate() {
                let (halves, _) = key.0.as_chunks::<32>();
                (x[lane], y[lane]) = (from_bytes(&halves[0]), from_bytes(&halves[1]));
                in_range |= Mask::from(is_below(&x[lane], &FIELD_PRIME) && is_below(&y[lane], &FIELD_PRIME)) << lane;
            }
            let on_curve = on_curve::<L>(&L::from_words(&x), &L::from_words(&y)) & in_range;
            let row = |lane: usize| (on_curve >> lane & 1 == 1).then(|| Row::new(&x[lane], &y[lane]));
            keys.extend((0..chunk.len()).map(row));
        }
        keys
    }

    /// R.y of each candidate: the hint is checked, or the root is found. Rows that have none leave.
    #[inline(always)]
    fn lift(&mut self, candidates: &mut Vec<Candidate>, has_roots: bool, singly: &mut Vec<u32>) {
        let mut dead: Vec<Mask> = Vec::with_capacity(candidates.len().div_ceil(L::LANES));
        let mut odd: Vec<Mask> = Vec::new();
        self.lifted.clear();
        for chunk in candidates.chunks(L::LANES) {
            let (mut x, mut y) = ([Secp256k1::G.x(); 8], [Secp256k1::G.y(); 8]);
            let mut parity: Mask = 0;
            for (lane, c) in chunk.iter().enumerate() {
                (x[lane], y[lane]) = (c.row.x, c.y);
                parity |= Mask::from(c.row.is_odd) << lane;
            }
            let (x, y) = (L::from_words(&x), L::from_words(&y));
            dead.push(if has_roots { L::ALL & !on_curve::<L>(&x, &y) } else { 0 });
            if !has_roots {
                self.lifted.push(Affine { x, y: x });
                odd.push(parity);
            }
        }
        if !has_roots {
            lift_all::<L, Secp256k1>(&mut self.lifted, &odd, &mut dead);
            for (chunk, lifted) in candidates.chunks_mut(L::LANES).zip(&self.lifted) {
                let rows = L::store(&lifted.x, &lifted.y);
                chunk.iter_mut().zip(&rows).for_each(|(c, row)| c.y = row.y());
            }
        }
        let mut i = 0;
        candidates.retain(|c| {
            let is_dead = dead[i / L::LANES] >> (i % L::LANES) & 1 == 1;
            i += 1;
            if is_dead && has_roots {
                singly.push(c.place);
            }
            // Without a root there is no R, so it is nobody's.
            !is_dead
        });
    }

    /// Tests a few rows drawn at random, in front then. If they are good, the rest is to be tested: gives their number. If not, there
    /// are probably many bad ones, and all rows are to be recovered: lies cost this little check then, and not a whole one.
    fn probe(&mut self, candidates: &mut [Candidate], keys: &[Option<Row>], bad: &mut Vec<u32>) -> usize {
        let n = candidates.len();
        if n < self.limits.probe_from {
            return 0;
        }
        let count = (n / PROBED_OF).clamp(PROBED_LEAST, PROBED_MOST);
        let mut seed = [0; 32];
        if getrandom::fill(&mut seed).is_ok() {
            let mut draw = ChaCha20Rng::from_seed(seed);
            for i in 0..count {
                candidates.swap(i, i + (draw.next_u64() % (n - i) as u64) as usize);
            }
        }
        if self.is_good(&candidates[..count], keys) {
            return count;
        }
        bad.extend(candidates.iter().map(|c| c.place));
        n
    }

    /// Places of rows that are to be recovered into `bad`; all others have their key.
    fn bisect(&mut self, candidates: &mut [Candidate], keys: &[Option<Row>], bad: &mut Vec<u32>) {
        // Each signer's rows side by side would help a little; order matters to nobody.
        let mut left_to_test = candidates.len() / 2;
        // Parts to test, and whether one is known to be bad because the rest of a bad part is good.
        let mut parts = vec![(0..candidates.len(), false)];
        let mut is_first = true;
        while let Some((part, is_known_bad)) = parts.pop() {
            let n = part.len();
            if n == 0 {
                continue;
            }
            if !is_first && !is_known_bad && n > left_to_test {
                bad.extend(candidates[part].iter().map(|c| c.place));
                continue;
            }
            if !is_known_bad {
                if !is_first {
                    left_to_test -= n;
                }
                is_first = false;
                if self.is_good(&candidates[part.clone()], keys) {
                    // A bad part whose one half is good is bad in the other.
                    if let Some((sibling, known)) = parts.last_mut()
                        && sibling.start == part.end
                        && sibling.len().abs_diff(n) <= 1
                    {
                        *known = true;
                    }
                    continue;
                }
            }
            let limit = if n == candidates.len() { self.limits.bisect_from } else { self.limits.bisect_to };
            if n < limit {
                bad.extend(candidates[part].iter().map(|c| c.place));
                continue;
            }
            let middle = part.start + n / 2;
            parts.push((middle..part.end, false));
            parts.push((part.start..middle, false));
        }
    }

    /// Whether (but for a chance of 2^-128) every row's key is the hinted one.
    fn is_good(&mut self, candidates: &[Candidate], keys: &[Option<Row>]) -> bool {
        let n = candidates.len();
        self.checks = (self.checks.0 + 1, self.checks.1 + n as u64);
        // Keys of this check, in order of first use.
        self.places.clear();
        self.places.resize(keys.len(), u32::MAX);
        self.used.clear();
        for c in candidates {
            let place = &mut self.places[c.key as usize];
            if *place == u32::MAX {
                *place = self.used.len() as u32;
                self.used.push(c.key);
            }
        }
        let mut seed = [0; 32];
        if getrandom::fill(&mut seed).is_err() {
            // Without weights there is no batch: every row is recovered.
            return false;
        }
        let mut weights = ChaCha20Rng::from_seed(seed);
        #[cfg(test)]
        if let Some(Weights::Seed(seed)) = self.weights {
            weights = ChaCha20Rng::seed_from_u64(seed);
        }
        L::enter(Terms { verifier: self, candidates, keys, weights: &mut weights });
        let [a, b] = &self.scalars;
        self.msm.is_identity(&self.rows, [a, b])
    }

    /// Points and scalars of the sum.
    #[inline(always)]
    fn terms(&mut self, candidates: &[Candidate], keys: &[Option<Row>], weights: &mut ChaCha20Rng) {
        let beta = L::splat(&Secp256k1::BETA);
        let modulus = &Secp256k1::MODULUS;
        self.rows.clear();
        self.scalars.iter_mut().for_each(Scalars::clear);
        self.sums.clear();
        self.sums.resize(self.used.len(), One([0; 5]));
        // lambda R, so that c times it is c lambda; 2^260 times lambda, reduced.
        let lambda = L::splat(&LAMBDA).mont(&L::splat(&Secp256k1::R[1]), modulus);
        let mut sum_u1 = zero::<L>();
        for tile in candidates.chunks(TILE * L::LANES) {
            self.numbers.iter_mut().for_each(Vec::clear);
            for chunk in tile.chunks(L::LANES) {
                const UNIT: Words = [1, 0, 0, 0];
                let mut words = [[UNIT; 8]; 3];
                let (mut x, mut y) = ([UNIT; 8], [UNIT; 8]);
                for (lane, c) in chunk.iter().enumerate() {
                    (words[0][lane], words[1][lane], words[2][lane]) = (c.row.z, c.row.r, c.row.s);
                    (x[lane], y[lane]) = (c.row.x, c.y);
                }
                for (numbers, words) in self.numbers.iter_mut().zip(&words) {
                    numbers.push(L::from_words(words));
                }
                push_points(&mut self.rows, &L::from_words(&x), &L::from_words(&y), &beta, chunk.len());
            }
            invert_scalars::<L, Secp256k1>(&self.numbers[2], &mut self.inverses);
            for (i, chunk) in tile.chunks(L::LANES).enumerate() {
                let (mut b, mut c) = ([0; 8], [0; 8]);
                for lane in 0..chunk.len() {
                    (b[lane], c[lane]) = (weights.next_u64(), weights.next_u64());
                    #[cfg(test)]
                    if matches!(self.weights, Some(Weights::Equal)) {
                        (b[lane], c[lane]) = (1, 0);
                    }
                    self.scalars[0].push([b[lane], 0], true);
                    self.scalars[0].push([c[lane], 0], true);
                }
                // b + c lambda < 2^257; lanes without a row have weight 0.
                let a = L::from_u64(&c).mont(&lambda, modulus).add_limbs(&L::from_u64(&b));
                let inverse = &self.inverses[i];
                let u1 = self.numbers[0][i].mont(inverse, modulus);
                let u2 = self.numbers[1][i].mont(inverse, modulus);
                sum_u1 = shrink::<L>(&sum_u1.add_limbs(&a.mont(&u1, modulus)));
                let weighted = a.mont(&u2, modulus);
                for (lane, c) in chunk.iter().enumerate() {
                    let sum = &mut self.sums[self.places[c.key as usize] as usize];
                    *sum = sum.add_limbs(&One(weighted.limbs(lane)));
                    // One lane takes limbs up to 2^60 as factors; rows of one signer are rarely so many.
                    if sum.0[4] >> 58 != 0 {
                        *sum = shrink(sum);
                    }
                }
            }
        }
        for chunk in self.used.chunks(L::LANES) {
            let (mut x, mut y) = ([[1, 0, 0, 0]; 8], [[1, 0, 0, 0]; 8]);
            for (lane, key) in chunk.iter().enumerate() {
                let row = keys[*key as usize].as_ref().expect("only keys on the curve are used");
                (x[lane], y[lane]) = (row.x(), row.y());
            }
            push_points(&mut self.rows, &L::from_words(&x), &L::from_words(&y), &beta, chunk.len());
        }
        for sum in &self.sums {
            push_split(&mut self.scalars[1], &reduced(&sum.0));
        }
        // G is one more signer.
        let g = (L::splat(&Secp256k1::G.x()), L::splat(&Secp256k1::G.y()));
        push_points(&mut self.rows, &g.0, &g.1, &beta, 1);
        let of_g = (0..L::LANES).fold([0; 4], |sum, lane| add_mod(&sum, &reduced(&sum_u1.limbs(lane))));
        push_split(&mut self.scalars[1], &of_g);
    }
}

/// Lanes where y^2 = x^3 + 7. Canonical in.
#[inline(always)]
fn on_curve<L: Lanes>(x: &L, y: &L) -> Mask {
    equal(&y.sqr(), &curve_right_side::<L, Secp256k1>(x).mul(&one::<L>()))
}

/// The points (x, y) and (beta x, y), the first `count` lanes. Canonical in.
#[inline(always)]
fn push_points<L: Lanes>(rows: &mut Vec<Row>, x: &L, y: &L, beta: &L, count: usize) {
    let (plain, image) = (L::store(x, y), L::store(&x.mul(beta).canonical(), y));
    rows.extend(plain.iter().zip(&image).take(count).flat_map(|(a, b)| [*a, *b]));
}

/// The same number mod n, below 2^257, as a product with 2^260 mod n. Eight lanes: below 2^258 in, which is still a factor.
#[inline(always)]
fn shrink<L: Lanes>(a: &L) -> L {
    a.mont(&L::splat(&Secp256k1::R[0]), &Secp256k1::MODULUS)
}

/// The number mod n of limbs worth less than 2^268: below 2^264 after the first product, 2^260 after the second, then at most n.
#[inline(always)]
fn reduced(limbs: &[u64; 5]) -> Words {
    let modulus = &Secp256k1::MODULUS;
    let plain = One(*limbs).mont(&One::splat(&Secp256k1::R[0]), modulus);
    let plain = plain.mont(&One::splat(&Secp256k1::R[1]), modulus).mont(&One::splat(&[1, 0, 0, 0]), modulus);
    scalar_words::<One, Secp256k1>(&plain, 0)
}

/// a + b mod n.
#[inline(always)]
fn add_mod(a: &Words, b: &Words) -> Words {
    let (sum, wrapped) = add(a, b);
    if wrapped || !is_below(&sum, &Secp256k1::ORDER) { sub(&sum, &Secp256k1::ORDER).0 } else { sum }
}

/// Both halves of a scalar.
#[inline(always)]
fn push_split(scalars: &mut Scalars, k: &Words) {
    for half in Secp256k1::split(k) {
        let is_negative = half[2] >> 63 == 1;
        let size: Signed = if is_negative { sub(&[0; 3], &half).0 } else { half };
        debug_assert!(size[2] == 0);
        scalars.push([size[0], size[1]], is_negative);
    }
}

work! {
    CheckKeys ['a, L: Lanes] ['a, L] { verifier: &'a mut Verifier<L>, hints: &'a Hints<'a> }
        -> Vec<Option<Row>> = verifier.check_keys(hints)
}
work! {
    Lift ['a, L: Lanes] ['a, L] {
        verifier: &'a mut Verifier<L>, candidates: &'a mut Vec<Candidate>, has_roots: bool, singly: &'a mut Vec<u32>
    } -> () = verifier.lift(candidates, has_roots, singly)
}
work! {
    Terms ['a, L: Lanes] ['a, L] {
        verifier: &'a mut Verifier<L>, candidates: &'a [Candidate], keys: &'a [Option<Row>], weights: &'a mut ChaCha20Rng
    } -> () = verifier.terms(candidates, keys, weights)
}

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
use super::field::{Lanes, Mask, Row, work, zero};
use super::group::Affine;
use super::msm::{Msm, Scalars};
use super::recover::{Recoverer, lift_all, prepare};
use super::scalar::{Curve, Secp256k1, invert_scalars};
use super::split::Halves;
use super::words::{FIELD_PRIME, ORDER, Words, to_bytes, to_limbs};
use super::{Hints, Signature, Wanted};
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

impl Limits {
    /// By lanes: of fewer rows a batch that fails costs more than half of what recovery costs.
    pub(crate) const fn of<L: Lanes>() -> Self {
        let batch_from = if L::LANES == 1 { 32 } else { 128 };
        Self { batch_from, bisect_from: 1024, bisect_to: 256, probe_from: 2048 }
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
}

/// What a check is about: rows, and R.y of each.
#[derive(Clone, Copy, Debug)]
struct Rows<'a> {
    signatures: &'a [Signature],
    /// R.y of each candidate's row, canonical, most significant byte first.
    roots: &'a [[u8; 32]],
}

/// Verifies batches. One a thread; keeps its scratch space.
#[derive(Debug)]
pub(crate) struct Verifier<L> {
    msm: Msm<L>,
    recoverer: Recoverer<L>,
    /// Keys that can be used; of others, no point.
    keys: Vec<Row>,
    candidates: Vec<Candidate>,
    /// R.y by place, where no hint says it.
    roots: Vec<[u8; 32]>,
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
            keys: Vec::new(),
            candidates: Vec::new(),
            roots: Vec::new(),
            rows: Vec::new(),
            scalars: Default::default(),
            places: Vec::new(),
            used: Vec::new(),
            sums: Vec::new(),
            numbers: Default::default(),
            inverses: Vec::new(),
            lifted: Vec::new(),
            limits: Limits::of::<L>(),
            checks: (0, 0),
            #[cfg(test)]
            weights: None,
        }
    }

    /// What recovery gives for each row, whatever the hints say. `out` has a place a row, and `None` in each.
    pub(crate) fn recover<W: Wanted>(&mut self, signatures: &[Signature], hints: &Hints<'_>, out: &mut [Option<W>]) {
        assert_eq!(signatures.len(), out.len());
        let mut singly: Vec<u32> = Vec::new();
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        candidates.reserve(signatures.len());
        L::enter(CheckKeys { verifier: self, hints });
        let has_roots = hints.roots.len() == signatures.len();
        let roots = has_roots.then_some(hints.roots);
        L::enter(Choose { verifier: self, signatures, hints, roots, candidates: &mut candidates, singly: &mut singly });
        let mut lifted = std::mem::take(&mut self.roots);
        if !has_roots {
            lifted.resize(signatures.len(), [0; 32]);
            L::enter(Lift { verifier: self, signatures, candidates: &mut candidates, roots: &mut lifted });
        }
        let rows = Rows { signatures, roots: roots.unwrap_or(&lifted) };
        if candidates.len() < self.limits.batch_from {
            singly.extend(candidates.drain(..).map(|c| c.place));
        }
        let mut bad = Vec::new();
        let probed = self.probe(&mut candidates, rows, &mut bad);
        self.bisect(&mut candidates[probed..], rows, &mut bad);
        for c in &candidates {
            out[c.place as usize] = Some(W::new(&hints.keys[c.key as usize], &rows.roots[c.place as usize]));
        }
        // Places of bad rows are written again, whatever they recover to.
        singly.extend(bad);
        let left: Vec<Signature> = singly.iter().map(|place| signatures[*place as usize]).collect();
        let mut found = vec![None; left.len()];
        self.recoverer.recover(&left, &mut found);
        for (place, found) in singly.iter().zip(found) {
            out[*place as usize] = found;
        }
        (self.candidates, self.roots) = (candidates, lifted);
    }

    /// Keys on the curve, as rows; of others, no point.
    #[inline(always)]
    fn check_keys(&mut self, hints: &Hints<'_>) {
        self.keys.clear();
        for chunk in hints.keys.chunks(L::LANES) {
            let mut halves = [[&[0; 32]; 8]; 2];
            for (lane, key) in chunk.iter().enumerate() {
                let (of_key, _) = key.0.as_chunks::<32>();
                (halves[0][lane], halves[1][lane]) = (&of_key[0], &of_key[1]);
            }
            let (x, y) = (L::from_bytes(&halves[0]), L::from_bytes(&halves[1]));
            let in_range = x.below(&FIELD_PRIME) & y.below(&FIELD_PRIME);
            let (x, y) = (x.canonical(), y.canonical());
            let is_usable = on_curve(&x, &y) & in_range;
            let rows = L::store(&x, &y);
            for (lane, row) in rows.iter().enumerate().take(chunk.len()) {
                self.keys.push(if is_usable >> lane & 1 == 1 { *row } else { Row::ZERO });
            }
        }
    }

    /// Rows whose hints can be used; the places of others that may have a key go to `singly`.
    #[inline(always)]
    fn choose(
        &mut self,
        signatures: &[Signature],
        hints: &Hints<'_>,
        roots: Option<&[[u8; 32]]>,
        candidates: &mut Vec<Candidate>,
        singly: &mut Vec<u32>,
    ) {
        for (i, chunk) in signatures.chunks(L::LANES).enumerate() {
            let first = i * L::LANES;
            let mut rows = [&chunk[0]; 8];
            rows.iter_mut().zip(chunk).for_each(|(row, signature)| *row = signature);
            let r = numbers::<L>(&rows, |signature| &signature.r);
            let s = numbers::<L>(&rows, |signature| &signature.s);
            let one = [1, 0, 0, 0];
            let mut in_range = r.below(&ORDER) & s.below(&ORDER) & !r.below(&one) & !s.below(&one);
            let x = x_of(&r, &rows, &mut in_range);
            let mut is_usable = in_range;
            if let Some(roots) = roots {
                let mut of_rows = [&[0; 32]; 8];
                let mut wrong: Mask = 0;
                for (lane, (signature, root)) in chunk.iter().zip(&roots[first..]).enumerate() {
                    of_rows[lane] = root;
                    wrong |= Mask::from((root[31] ^ signature.recovery_id) & 1) << lane;
                }
                let y = L::from_bytes(&of_rows);
                is_usable &= y.below(&FIELD_PRIME) & !wrong;
                is_usable &= on_curve(&x, &L::select(is_usable, &zero(), &y));
            }
            for lane in 0..chunk.len() {
                // Out of range: nobody's.
                if in_range >> lane & 1 == 1 {
                    let place = (first + lane) as u32;
                    let key = hints.signers.get(first + lane).copied().unwrap_or(u32::MAX);
                    let has_key = self.keys.get(key as usize).is_some_and(|row| *row != Row::ZERO);
                    if has_key && is_usable >> lane & 1 == 1 {
                        candidates.push(Candidate { place, key });
                    } else {
                        singly.push(place);
                    }
                }
            }
        }
    }

    /// Finds R.y of each candidate. Rows that have none leave: they are nobody's.
    #[inline(always)]
    fn lift(&mut self, signatures: &[Signature], candidates: &mut Vec<Candidate>, roots: &mut [[u8; 32]]) {
        let vectors = candidates.len().div_ceil(L::LANES);
        let (mut dead, mut odd): (Vec<Mask>, Vec<Mask>) = (vec![0; vectors], Vec::with_capacity(vectors));
        self.lifted.clear();
        for chunk in candidates.chunks(L::LANES) {
            let rows = rows_of(signatures, chunk);
            let x = x_of(&numbers::<L>(&rows, |signature| &signature.r), &rows, &mut 0);
            self.lifted.push(Affine { x, y: x });
            odd.push((0..8).fold(0, |mask, lane| mask | (rows[lane].recovery_id & 1) << lane));
        }
        lift_all::<L, Secp256k1>(&mut self.lifted, &odd, &mut dead);
        for (chunk, lifted) in candidates.chunks(L::LANES).zip(&self.lifted) {
            let rows = L::store(&lifted.x, &lifted.y);
            chunk.iter().zip(&rows).for_each(|(c, row)| roots[c.place as usize] = to_bytes(&row.y()));
        }
        let mut i = 0;
        candidates.retain(|_| {
            i += 1;
            // Without a root there is no R.
            dead[(i - 1) / L::LANES] >> ((i - 1) % L::LANES) & 1 == 0
        });
    }

    /// Tests a few rows drawn at random, in front then. If they are good, the rest is to be tested: gives their number. If not, there
    /// are probably many bad ones, and all rows are to be recovered: lies cost this little check then, and not a whole one.
    fn probe(&mut self, candidates: &mut [Candidate], rows: Rows<'_>, bad: &mut Vec<u32>) -> usize {
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
        if self.is_good(&candidates[..count], rows) {
            return count;
        }
        bad.extend(candidates.iter().map(|c| c.place));
        n
    }

    /// Places of rows that are to be recovered into `bad`; all others have their key.
    fn bisect(&mut self, candidates: &mut [Candidate], rows: Rows<'_>, bad: &mut Vec<u32>) {
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
                if self.is_good(&candidates[part.clone()], rows) {
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
    fn is_good(&mut self, candidates: &[Candidate], rows: Rows<'_>) -> bool {
        let n = candidates.len();
        assert!(n < 1 << 17, "what is added up has room for so many");
        self.checks = (self.checks.0 + 1, self.checks.1 + n as u64);
        // Keys of this check, in order of first use.
        self.places.clear();
        self.places.resize(self.keys.len(), u32::MAX);
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
        L::enter(Terms { verifier: self, candidates, rows, weights: &mut weights });
        let [a, b] = &self.scalars;
        self.msm.is_identity(&self.rows, [a, b])
    }

    /// Points and scalars of the sum.
    #[inline(always)]
    fn terms(&mut self, candidates: &[Candidate], rows: Rows<'_>, weights: &mut ChaCha20Rng) {
        let beta = L::splat(&Secp256k1::BETA);
        self.rows.clear();
        self.rows.reserve(1 + 2 * (candidates.len() + self.used.len() + 1));
        self.rows.push(Row::ZERO);
        for (scalars, count) in self.scalars.iter_mut().zip([candidates.len(), self.used.len() + 1]) {
            scalars.clear();
            scalars.reserve(2 * count);
        }
        self.sums.clear();
        self.sums.resize(self.used.len(), One([0; 5]));
        let lambda = lambda::<L>();
        let mut sum_u1 = zero::<L>();
        for tile in candidates.chunks(TILE * L::LANES) {
            self.numbers.iter_mut().for_each(Vec::clear);
            for chunk in tile.chunks(L::LANES) {
                // Lanes without a candidate repeat the first, with weight 0.
                let of = rows_of(rows.signatures, chunk);
                let r = numbers::<L>(&of, |signature| &signature.r);
                self.numbers[0].push(numbers::<L>(&of, |signature| &signature.digest));
                self.numbers[1].push(r);
                self.numbers[2].push(numbers::<L>(&of, |signature| &signature.s));
                let mut roots = [&rows.roots[chunk[0].place as usize]; 8];
                roots.iter_mut().zip(chunk).for_each(|(root, c)| *root = &rows.roots[c.place as usize]);
                let x = x_of(&r, &of, &mut 0);
                push_points(&mut self.rows, &x, &L::from_bytes(&roots), &beta, chunk.len());
            }
            invert_scalars::<L, Secp256k1>(&self.numbers[2], &mut self.inverses);
            for (i, chunk) in tile.chunks(L::LANES).enumerate() {
                let (mut b, mut c) = ([0; 8], [0; 8]);
                for half in [&mut b, &mut c] {
                    let mut bytes = [[0; 8]; 8];
                    weights.fill_bytes(bytes[..chunk.len()].as_flattened_mut());
                    *half = bytes.map(u64::from_le_bytes);
                }
                #[cfg(test)]
                if matches!(self.weights, Some(Weights::Equal)) {
                    (b, c) = ([1; 8], [0; 8]);
                    b[chunk.len()..].fill(0);
                }
                self.scalars[0].low.extend_from_slice(&b[..chunk.len()]);
                self.scalars[0].low.extend_from_slice(&c[..chunk.len()]);
                let [of_g, of_keys] =
                    weigh(&b, &c, &lambda, &self.numbers[0][i], &self.numbers[1][i], &self.inverses[i]);
                // Limb 4 has room for 2^14 of these: `is_good` sees to it.
                sum_u1 = sum_u1.add_limbs(&of_g);
                for (lane, c) in chunk.iter().enumerate() {
                    add_to(&mut self.sums[self.places[c.key as usize] as usize], &One(of_keys.limbs(lane)));
                }
            }
        }
        let of_rows = self.scalars[0].low.len();
        self.scalars[0].high.resize(of_rows, 0);
        self.scalars[0].negative.resize(of_rows, true);
        for chunk in self.used.chunks(L::LANES) {
            let mut places = [chunk[0]; 8];
            places[..chunk.len()].copy_from_slice(chunk);
            let (x, y) = L::load(&self.keys, &places);
            push_points(&mut self.rows, &x, &y, &beta, chunk.len());
        }
        for chunk in self.sums.chunks(L::LANES) {
            let mut limbs = [[0; 5]; 8];
            limbs.iter_mut().zip(chunk).for_each(|(limbs, sum)| *limbs = sum.0);
            push_halves(&mut self.scalars[1], &L::from_limbs(&limbs).canonical_scalar().split(), chunk.len());
        }
        // G is one more signer.
        let g = (L::splat(&Secp256k1::G.x()), L::splat(&Secp256k1::G.y()));
        push_points(&mut self.rows, &g.0, &g.1, &beta, 1);
        let of_g = (0..L::LANES).fold(One([0; 5]), |sum, lane| {
            sum.add_limbs(&One(L::from_limbs(&[sum_u1.limbs(lane); 8]).canonical_scalar().limbs(0)))
        });
        push_halves(&mut self.scalars[1], &L::from_limbs(&[of_g.0; 8]).canonical_scalar().split(), 1);
    }
}

/// The signatures of some candidates, one a lane; beyond them the first again.
#[inline(always)]
fn rows_of<'a>(signatures: &'a [Signature], chunk: &[Candidate]) -> [&'a Signature; 8] {
    let mut rows = [&signatures[chunk[0].place as usize]; 8];
    rows.iter_mut().zip(chunk).for_each(|(row, c)| *row = &signatures[c.place as usize]);
    rows
}

/// A number of each signature, one a lane.
#[inline(always)]
fn numbers<L: Lanes>(rows: &[&Signature; 8], of: impl Fn(&Signature) -> &[u8; 32]) -> L {
    let mut bytes = [of(rows[0]); 8];
    bytes.iter_mut().zip(rows).for_each(|(bytes, row)| *bytes = of(row));
    L::from_bytes(&bytes)
}

/// R.x: r, or r + n. Lanes whose recovery id is none, or whose r + n is too great, leave `in_range`.
#[inline(always)]
fn x_of<L: Lanes>(r: &L, rows: &[&Signature; 8], in_range: &mut Mask) -> L {
    let mut x = *r;
    for (lane, row) in rows.iter().enumerate().take(L::LANES).filter(|(_, row)| row.recovery_id > 1) {
        match prepare(row) {
            Some(row) => x.set_limbs(lane, to_limbs(&row.x)),
            None => *in_range &= !(1 << lane),
        }
    }
    x
}

/// Lanes where y^2 = x^3 + 7. Tight in.
#[inline(always)]
fn on_curve<L: Lanes>(x: &L, y: &L) -> Mask {
    let difference = x.sqr_f().mul_sub(x, &y.sqr_raw());
    difference.add(&L::splat(&Secp256k1::B)).zeros()
}

/// lambda R, so that c times it is c lambda; 2^260 times lambda, reduced.
#[inline(always)]
fn lambda<L: Lanes>() -> L {
    L::splat(&LAMBDA).mont(&L::splat(&Secp256k1::R[1]), &Secp256k1::MODULUS)
}

/// a u1 and a u2 for a = b + c lambda, from z, r and the inverse of s. Values below 2^257 in and out, mod n; weight 0 gives 0.
#[inline(always)]
fn weigh<L: Lanes>(b: &[u64; 8], c: &[u64; 8], lambda: &L, z: &L, r: &L, inverse: &L) -> [L; 2] {
    let modulus = &Secp256k1::MODULUS;
    // b + c lambda < 2^257.
    let a = L::from_u64(c).mont(lambda, modulus).add_limbs(&L::from_u64(b));
    let over_s = a.mont(inverse, modulus);
    [over_s.mont(z, modulus), over_s.mont(r, modulus)]
}

/// sum + a, mod n, a below 2^257. `canonical_scalar` takes the sum.
#[inline(always)]
fn add_to(sum: &mut One, a: &One) {
    *sum = sum.add_limbs(a);
    if sum.0[4] >> 62 != 0 {
        *sum = sum.canonical_scalar();
    }
}

/// The points (x, y), then the points (beta x, y), the first `count` lanes. Canonical in.
#[inline(always)]
fn push_points<L: Lanes>(rows: &mut Vec<Row>, x: &L, y: &L, beta: &L, count: usize) {
    let (plain, image) = (L::store(x, y), L::store(&x.mul(beta).canonical(), y));
    rows.extend_from_slice(&plain[..count]);
    rows.extend_from_slice(&image[..count]);
}

/// The first halves of the scalars of the first `count` lanes, then the second.
#[inline(always)]
fn push_halves(scalars: &mut Scalars, halves: &[Halves; 2], count: usize) {
    for half in halves {
        scalars.low.extend_from_slice(&half.low[..count]);
        scalars.high.extend_from_slice(&half.high[..count]);
        let signs: [bool; 8] = std::array::from_fn(|lane| half.negative >> lane & 1 == 1);
        scalars.negative.extend_from_slice(&signs[..count]);
    }
}

work! {
    CheckKeys ['a, L: Lanes] ['a, L] { verifier: &'a mut Verifier<L>, hints: &'a Hints<'a> }
        -> () = verifier.check_keys(hints)
}
work! {
    Choose ['a, L: Lanes] ['a, L] {
        verifier: &'a mut Verifier<L>, signatures: &'a [Signature], hints: &'a Hints<'a>, roots: Option<&'a [[u8; 32]]>,
        candidates: &'a mut Vec<Candidate>, singly: &'a mut Vec<u32>
    } -> () = verifier.choose(signatures, hints, roots, candidates, singly)
}
work! {
    Lift ['a, L: Lanes] ['a, L] {
        verifier: &'a mut Verifier<L>, signatures: &'a [Signature], candidates: &'a mut Vec<Candidate>,
        roots: &'a mut [[u8; 32]]
    } -> () = verifier.lift(signatures, candidates, roots)
}
work! {
    Terms ['a, L: Lanes] ['a, L] {
        verifier: &'a mut Verifier<L>, candidates: &'a [Candidate], rows: Rows<'a>, weights: &'a mut ChaCha20Rng
    } -> () = verifier.terms(candidates, rows, weights)
}

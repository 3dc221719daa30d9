//! u2 R + u1 G for many rows without hints, in lanes: what recovery comes to.
//!
//! u2 is split into two odd halves below 2^130, 26 signed windows of 5 bits each (digits +-1, +-3 .. +-31, never 0) over a
//! table of the row's own odd multiples. The entries of both halves are added affine first, so that each window costs five
//! doublings and *one* mixed sum. u1 G is a comb: two odd halves, 12 windows of 11 bits over one table of G (768 KiB), summed
//! affine. The last sum joins the two, affine and complete.
//! Rows in which a Jacobian sum meets an equal, opposite or absent operand come out marked (`met`), for the caller to do again.

use super::field::scalar::One;
use super::field::{Lanes, Mask, Row, invert_all, one, work, zero};
use super::group::{Adder, Affine, Jacobian, Points, add_two, double_two};
use super::scalar::{Curve, Signed, split_odd};
use super::words::Words;
use std::marker::PhantomData;

/// Bits of a window of R.
pub(crate) const WINDOW: usize = 5;
/// Windows of each half of u2.
pub(crate) const WINDOWS: usize = 26;
/// Odd multiples of R in its table.
const ENTRIES: usize = 1 << (WINDOW - 1);
/// Bits of a window of G.
pub(crate) const COMB_WINDOW: usize = 11;
/// Windows of each half of u1.
pub(crate) const COMB_WINDOWS: usize = 12;
/// Odd multiples of each power of G.
const COMB_ENTRIES: usize = 1 << (COMB_WINDOW - 1);
// Halves are below 2^130, and a digit more than the bits is not needed: the top digit is odd too.
const _: () = assert!(WINDOW * WINDOWS >= 130 && COMB_WINDOW * COMB_WINDOWS >= 130);
/// Vectors of sums that share an inversion, about.
const TOGETHER: usize = 256;

/// k odd, |k| < 2^bits: E = (k + 2^bits - 1) / 2. Its base 2^w digits e stand for the odd digits 2 e - (2^w - 1) of k.
#[inline(always)]
fn odd_digits<const BITS: usize>(k: &Signed) -> Signed {
    const { assert!(BITS > 128 && BITS < 192) };
    let ones = [u64::MAX, u64::MAX, (1 << (BITS - 128)) - 1];
    let sum = super::words::add(k, &ones).0;
    debug_assert!(sum[2] >> 63 == 0, "a half is too long");
    [sum[0] >> 1 | sum[1] << 63, sum[1] >> 1 | sum[2] << 63, sum[2] >> 1]
}

/// Both halves of u2, then of u1, as the numbers whose digits `digit` gives: below 2^130, and below 2^132.
pub(crate) fn halves<C: Curve>(u1: &Words, u2: &Words) -> [[Signed; 2]; 2] {
    [
        split_odd::<C>(u2).map(|half| odd_digits::<{ WINDOW * WINDOWS }>(&half)),
        split_odd::<C>(u1).map(|half| odd_digits::<{ COMB_WINDOW * COMB_WINDOWS }>(&half)),
    ]
}

/// The digit at a bit: place of its entry, and whether it is negative.
#[inline(always)]
fn digit(e: &Signed, at: usize, window: usize) -> (u32, bool) {
    let (i, shift) = (at / 64, at % 64);
    let mut v = e[i] >> shift;
    if shift + window > 64 && i < 2 {
        v |= e[i + 1] << (64 - shift);
    }
    let v = v as u32 & ((1 << window) - 1);
    let half = 1 << (window - 1);
    // -(2 (half - 1 - v) + 1) = 2 v - (2 half - 1).
    if v < half { (half - 1 - v, true) } else { (v - half, false) }
}

/// Odd multiples of powers of G: (2 m + 1) 2^(11 w) G at w 2^10 + m.
pub(crate) fn comb_table<C: Curve>() -> Vec<Row> {
    let (mut points, mut adder) = (Points::<One>::new(), Adder::new());
    points.reserve((COMB_ENTRIES + 1) * COMB_WINDOWS);
    points.at[0] = super::group::splat(&C::G);
    points.present[0] = 1;
    for w in 1..COMB_WINDOWS {
        adder.double(&mut points, w - 1, w, 1);
        for _ in 1..COMB_WINDOW {
            adder.double(&mut points, w, w, 1);
        }
    }
    adder.odd_multiples(&mut points, COMB_WINDOWS, COMB_ENTRIES, &mut Vec::new());
    let entry = |w: usize, m: usize| points.row(m * COMB_WINDOWS + w, 0).unwrap_or(Row::ZERO);
    (0..COMB_WINDOWS).flat_map(|w| (0..COMB_ENTRIES).map(move |m| (w, m))).map(|(w, m)| entry(w, m)).collect()
}

/// Places of a vector's entries of a window of u2, and which are negative, for both halves.
#[inline(always)]
fn window_places<L: Lanes>(halves: &[[Signed; 2]], b: usize, w: usize) -> [([u32; 8], Mask); 2] {
    let mut out = [([0; 8], 0); 2];
    for lane in 0..L::LANES {
        let row = b * L::LANES + lane;
        for (half, (places, negative)) in halves[row].iter().zip(&mut out) {
            let (entry, is_negative) = digit(half, w * WINDOW, WINDOW);
            places[lane] = (row * ENTRIES) as u32 + entry;
            *negative |= Mask::from(is_negative) << lane;
        }
    }
    out
}

/// Lanes of points, and which of them hold one: none has y = 0.
#[inline(always)]
fn pick<L: Lanes, C: Curve>(table: &[Row], places: &[u32; 8], negative: Mask) -> (Affine<L>, Mask) {
    let (x, y) = L::load(table, places);
    let present = if C::IS_SMALL { L::ALL & !y.zeros() } else { L::ALL };
    (Affine { x, y: L::select(negative, &y, &y.negate()) }, present)
}

/// What multiplication works with, kept from tile to tile.
#[derive(Debug)]
pub(crate) struct Multiplier<L> {
    adder: Adder<L>,
    points: Points<L>,
    table: Vec<Row>,
    sums: Vec<(u32, u32)>,
    ladder: Vec<Jacobian<L>>,
    values: Vec<L>,
    before: Vec<L>,
    halves: Vec<[Signed; 2]>,
    comb: Vec<[Signed; 2]>,
}

impl<L: Lanes> Multiplier<L> {
    /// A multiplier.
    pub(crate) fn new() -> Self {
        Self {
            adder: Adder::new(),
            points: Points::new(),
            table: Vec::new(),
            sums: Vec::new(),
            ladder: Vec::new(),
            values: Vec::new(),
            before: Vec::new(),
            halves: Vec::new(),
            comb: Vec::new(),
        }
    }

    /// Where points R go: vector b, before `run`; all lanes must hold one.
    pub(crate) fn points(&mut self, vectors: usize) -> &mut Points<L> {
        self.points.reserve(vectors * (ENTRIES + 1));
        &mut self.points
    }

    /// For each row, u2 R + u1 G into `out` (`None`: the identity) and whether a sum met what it cannot add into `met`.
    /// Scalars are below the order and one a lane of the vectors of R, of which there is an even number.
    pub(crate) fn run<C: Curve>(&mut self, u1: &[Words], u2: &[Words], out: &mut [Option<Row>], met: &mut [bool]) {
        let vectors = u2.len() / L::LANES;
        assert!(vectors.is_multiple_of(2) && u2.len() == vectors * L::LANES && u1.len() == u2.len());
        assert!(self.points.present[..vectors].iter().all(|present| *present == L::ALL));
        self.make_table(vectors);
        self.halves.clear();
        self.halves.extend(u2.iter().map(|k| split_odd::<C>(k).map(|half| odd_digits::<{ WINDOW * WINDOWS }>(&half))));
        self.comb.clear();
        let comb_digits = |half| odd_digits::<{ COMB_WINDOW * COMB_WINDOWS }>(&half);
        self.comb.extend(u1.iter().map(|k| split_odd::<C>(k).map(comb_digits)));
        self.climb::<C>(vectors);
        L::enter(MakeAffine { multiplier: self, vectors, met });
        // The comb's sums go beside, then the two are joined.
        self.sum_comb::<C>(vectors);
        self.sums.clear();
        self.sums.extend((0..vectors as u32).map(|b| (b, vectors as u32 + b)));
        self.adder.round(&mut self.points, &self.sums);
        L::enter(StoreResults { multiplier: self, vectors, out });
    }

    #[inline(always)]
    fn store_results(&self, vectors: usize, out: &mut [Option<Row>]) {
        for b in 0..vectors {
            let p = &self.points.at[b];
            let rows = L::store(&p.x.canonical(), &p.y.canonical());
            let present = self.points.present[b];
            for (lane, row) in rows.iter().enumerate().take(L::LANES) {
                out[b * L::LANES + lane] = (present >> lane & 1 == 1).then_some(*row);
            }
        }
    }

    /// Odd multiples of each row's R, the row's entries side by side.
    fn make_table(&mut self, vectors: usize) {
        self.adder.odd_multiples(&mut self.points, vectors, ENTRIES, &mut self.sums);
        let rows = vectors * L::LANES * ENTRIES;
        if self.table.len() < rows {
            self.table.resize(rows, Row::ZERO);
        }
        L::enter(StoreTable { multiplier: self, vectors });
    }

    #[inline(always)]
    fn store_table(&mut self, vectors: usize) {
        for b in 0..vectors {
            for m in 0..ENTRIES {
                let slot = m * vectors + b;
                let p = &self.points.at[slot];
                let rows = L::store(&p.x.canonical(), &p.y.canonical());
                for (lane, row) in rows.iter().enumerate().take(L::LANES) {
                    let is_present = self.points.present[slot] >> lane & 1 == 1;
                    self.table[(b * L::LANES + lane) * ENTRIES + m] = if is_present { *row } else { Row::ZERO };
                }
            }
        }
    }

    /// The windows of u2 from the top: Jacobian sums in `ladder`.
    fn climb<C: Curve>(&mut self, vectors: usize) {
        let together = (TOGETHER / vectors).clamp(1, 4);
        let mut top = WINDOWS;
        while top > 0 {
            let bottom = top.saturating_sub(together);
            let windows = (bottom..top).rev();
            self.sums.clear();
            for (i, w) in windows.clone().enumerate() {
                L::enter(PickWindow { multiplier: self, vectors, w, first: 2 * i * vectors, curve: PhantomData::<C> });
                let first = (2 * i * vectors) as u32;
                self.sums.extend((0..vectors as u32).map(|b| (first + b, first + vectors as u32 + b)));
            }
            self.adder.round(&mut self.points, &self.sums);
            for (i, w) in windows.clone().enumerate() {
                let first = 2 * i * vectors;
                if w == WINDOWS - 1 {
                    let start = |p: &Affine<L>| Jacobian { x: p.x, y: p.y, z: one() };
                    self.ladder.clear();
                    L::enter(|| self.ladder.extend(self.points.at[first..first + vectors].iter().map(start)));
                } else {
                    L::enter(ClimbWindow { multiplier: self, vectors, first });
                }
                // Lanes whose sum is the identity: Z becomes 0 for good.
                for b in 0..vectors {
                    let present = self.points.present[first + b];
                    if present != L::ALL {
                        self.ladder[b].z = L::enter(|| L::select(present, &zero(), &self.ladder[b].z));
                    }
                }
            }
            top = bottom;
        }
    }

    /// Entries of one window, both halves, into the slots from `first` on.
    #[inline(always)]
    fn pick_window<C: Curve>(&mut self, vectors: usize, w: usize, first: usize) {
        let beta = L::splat(&C::BETA);
        // Two vectors ahead, so that the entries are on their way when they are needed.
        let mut ahead = [0, 1].map(|b| window_places::<L>(&self.halves, b, w));
        for b in 0..vectors {
            let [(p, negative_p), (q, negative_q)] = ahead[b % 2];
            if b + 2 < vectors {
                ahead[b % 2] = window_places::<L>(&self.halves, b + 2, w);
                ahead[b % 2].iter().for_each(|(places, _)| L::fetch(&self.table, places));
            }
            let (p, present_p) = pick::<L, C>(&self.table, &p, negative_p);
            let (q, present_q) = pick::<L, C>(&self.table, &q, negative_q);
            self.points.at[first + b] = p;
            self.points.present[first + b] = present_p;
            self.points.at[first + vectors + b] = Affine { x: q.x.mul(&beta), y: q.y };
            self.points.present[first + vectors + b] = present_q;
        }
    }

    /// Five doublings and a sum.
    #[inline(always)]
    fn climb_window(&mut self, vectors: usize, first: usize) {
        let (pairs, _) = self.ladder[..vectors].as_chunks_mut::<2>();
        for (i, pair) in pairs.iter_mut().enumerate() {
            let mut p = *pair;
            for _ in 0..WINDOW {
                double_two(&mut p);
            }
            add_two(&mut p, [&self.points.at[first + 2 * i], &self.points.at[first + 2 * i + 1]]);
            *pair = p;
        }
    }

    /// Ladder to affine, into slots `0..vectors`; lanes with Z = 0 are marked and hold something.
    #[inline(always)]
    fn make_affine(&mut self, vectors: usize, met: &mut [bool]) {
        let one = one::<L>();
        self.values.clear();
        for (b, p) in self.ladder[..vectors].iter().enumerate() {
            let zeros = p.z.zeros();
            for lane in 0..L::LANES {
                met[b * L::LANES + lane] = zeros >> lane & 1 == 1;
            }
            self.values.push(L::select(zeros, &p.z, &one));
        }
        invert_all(&mut self.values, &mut self.before);
        for (b, (p, inverse)) in self.ladder.iter().zip(&self.values).enumerate() {
            let square = inverse.sqr_f();
            self.points.at[b] = Affine { x: p.x.mul(&square), y: p.y.mul(&square.mul_f(inverse)) };
            self.points.present[b] = L::ALL;
        }
    }

    /// u1 G into slots `vectors..2 vectors`: entries of several windows at a time, summed in a tree.
    fn sum_comb<C: Curve>(&mut self, vectors: usize) {
        let table = C::comb();
        // Columns of `vectors` slots: one for the sum, and a power of two beside it.
        let columns = (2 * TOGETHER / vectors).clamp(2, 8).next_power_of_two().min(8);
        let mut done = 0;
        while done < 2 * COMB_WINDOWS {
            let first = if done == 0 { 1 } else { 2 };
            let count = columns.min(2 * COMB_WINDOWS - done);
            for i in 0..count {
                let (window, to) = (done + i, (first + i) * vectors);
                L::enter(PickComb { multiplier: self, table, vectors, window, to, curve: PhantomData::<C> });
            }
            // Column i takes column i + stride.
            let mut stride = 1;
            while stride < count {
                self.add_columns(
                    vectors,
                    (0..count - stride).step_by(2 * stride).map(|i| (first + i, first + i + stride)),
                );
                stride *= 2;
            }
            if first == 2 {
                self.add_columns(vectors, std::iter::once((1, 2)));
            }
            done += count;
        }
    }

    fn add_columns(&mut self, vectors: usize, columns: impl Iterator<Item = (usize, usize)>) {
        self.sums.clear();
        for (a, b) in columns {
            self.sums.extend((0..vectors).map(|i| ((a * vectors + i) as u32, (b * vectors + i) as u32)));
        }
        self.adder.round(&mut self.points, &self.sums);
    }

    /// Entries of one window of the comb: even numbers are the first half's, odd ones the second's.
    #[inline(always)]
    fn pick_comb<C: Curve>(&mut self, table: &[Row], vectors: usize, window: usize, to: usize) {
        let (w, half) = (window / 2, window % 2);
        let beta = L::splat(&C::BETA);
        let places = |halves: &[[Signed; 2]], b: usize| {
            let (mut places, mut negative) = ([0; 8], 0);
            for (lane, place) in places.iter_mut().enumerate().take(L::LANES) {
                let (entry, is_negative) = digit(&halves[b * L::LANES + lane][half], w * COMB_WINDOW, COMB_WINDOW);
                *place = (w * COMB_ENTRIES) as u32 + entry;
                negative |= Mask::from(is_negative) << lane;
            }
            (places, negative)
        };
        for b in 0..vectors {
            if b + 4 < vectors {
                L::fetch(table, &places(&self.comb, b + 4).0);
            }
            let (places, negative) = places(&self.comb, b);
            let (mut p, present) = pick::<L, C>(table, &places, negative);
            if half == 1 {
                p.x = p.x.mul(&beta);
            }
            self.points.at[to + b] = p;
            self.points.present[to + b] = present;
        }
    }
}

work! {
    MakeAffine ['a, L: Lanes] ['a, L] { multiplier: &'a mut Multiplier<L>, vectors: usize, met: &'a mut [bool] }
        -> () = multiplier.make_affine(vectors, met)
}
work! {
    StoreResults ['a, L: Lanes] ['a, L] { multiplier: &'a Multiplier<L>, vectors: usize, out: &'a mut [Option<Row>] }
        -> () = multiplier.store_results(vectors, out)
}
work! {
    StoreTable ['a, L: Lanes] ['a, L] { multiplier: &'a mut Multiplier<L>, vectors: usize }
        -> () = multiplier.store_table(vectors)
}
work! {
    ClimbWindow ['a, L: Lanes] ['a, L] { multiplier: &'a mut Multiplier<L>, vectors: usize, first: usize }
        -> () = multiplier.climb_window(vectors, first)
}
work! {
    PickWindow ['a, L: Lanes, C: Curve] ['a, L, C] {
        multiplier: &'a mut Multiplier<L>, vectors: usize, w: usize, first: usize, curve: PhantomData<C>
    } -> () = {
        let _ = curve;
        multiplier.pick_window::<C>(vectors, w, first)
    }
}
work! {
    PickComb ['a, L: Lanes, C: Curve] ['a, L, C] {
        multiplier: &'a mut Multiplier<L>, table: &'a [Row], vectors: usize, window: usize, to: usize, curve: PhantomData<C>
    } -> () = {
        let _ = curve;
        multiplier.pick_comb::<C>(table, vectors, window, to)
    }
}

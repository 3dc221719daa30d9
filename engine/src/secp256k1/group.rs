//! Points of the group in lanes: affine sums with shared inversions, Jacobian doublings and mixed sums, and one at a time.
//!
//! Affine sums are complete: equal, opposite and absent operands are right, in the lanes, at the price of a second pass over
//! the chunk in which they occur (noticed by a product that is 0). Jacobian formulas in lanes are not: equal, opposite or
//! absent operands give Z = 0, which stays 0 through every later step, so one look at Z in the end suffices.
//! Formulas: Bernstein and Lange, Explicit-Formulas Database, short Weierstrass, a = 0, Jacobian: dbl-2009-alnr without its
//! halving, madd-2004-hmv. No point of these groups has order 2, so y is never 0.
//! Bounds: coordinates of points are Norm between calls. Costs: affine sum 5 M + 1 S; doubling 3 M + 4 S; mixed 8 M + 3 S.

use super::field::{Lanes, Mask, Row, lane_words, one, work, zero};
use super::scalar::Curve;
use super::words::Words;

/// An affine point in each lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Affine<L> {
    /// x, Norm.
    pub x: L,
    /// y, Norm.
    pub y: L,
}

/// Points in lanes, and for each vector the lanes that hold one (the others are the identity).
#[derive(Debug)]
pub(crate) struct Points<L> {
    /// Points.
    pub at: Vec<Affine<L>>,
    /// Lanes that hold a point.
    pub present: Vec<Mask>,
}

impl<L: Lanes> Points<L> {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { at: Vec::new(), present: Vec::new() }
    }

    /// Room for so many vectors at least.
    pub(crate) fn reserve(&mut self, vectors: usize) {
        if self.at.len() < vectors {
            let nothing = L::enter(|| Affine { x: zero(), y: zero() });
            self.at.resize(vectors, nothing);
            self.present.resize(vectors, 0);
        }
    }

    /// A lane as a row; `None` for the identity.
    pub(crate) fn row(&self, vector: usize, lane: usize) -> Option<Row> {
        let point = &self.at[vector];
        (self.present[vector] >> lane & 1 == 1)
            .then(|| Row::new(&lane_words(&point.x, lane), &lane_words(&point.y, lane)))
    }

    /// Copies a lane, if it holds a point, into a lane of others.
    #[inline(always)]
    pub(crate) fn copy_lane(
        &self,
        (vector, lane): (usize, usize),
        to: &mut Self,
        (to_vector, to_lane): (usize, usize),
    ) {
        if self.present[vector] >> lane & 1 == 1 {
            to.present[to_vector] |= 1 << to_lane;
            let (from, to) = (&self.at[vector], &mut to.at[to_vector]);
            to.x.set_lane(to_lane, &from.x, lane);
            to.y.set_lane(to_lane, &from.y, lane);
        }
    }
}

/// Sums that share one inversion: enough to make it small, few enough for the second-level cache.
const CHUNK: usize = 256;
/// Sums between which the processor may choose.
const BLOCK: usize = 8;

/// Adds points in lanes. Keeps its scratch space.
#[derive(Debug)]
pub(crate) struct Adder<L> {
    denominators: Vec<L>,
    before: Vec<L>,
    /// For each sum of a chunk with equal x: lanes that double, lanes that vanish.
    special: Vec<(Mask, Mask)>,
    /// Sums done, in lanes.
    pub sums: u64,
}

impl<L: Lanes> Adder<L> {
    /// An adder.
    pub(crate) fn new() -> Self {
        Self { denominators: Vec::new(), before: Vec::new(), special: Vec::new(), sums: 0 }
    }

    /// For all (a, b): slot a becomes slot a + slot b. No slot may be written twice, nor be read by one and written by another.
    pub(crate) fn round(&mut self, points: &mut Points<L>, sums: &[(u32, u32)]) {
        for chunk in sums.chunks(CHUNK) {
            self.sums += (L::LANES * chunk.len()) as u64;
            if L::enter(Denominators::<L, false> { adder: self, points, chunk }) == 0 {
                L::enter(Finish::<L, false> { adder: self, points, chunk });
            } else {
                L::enter(Denominators::<L, true> { adder: self, points, chunk });
                L::enter(Finish::<L, true> { adder: self, points, chunk });
            }
        }
    }

    /// The denominator of a sum: b.x - a.x, and one where a lane does not add two points. With SPECIAL, lanes of equal x double, or
    /// vanish, by the masks given.
    #[inline(always)]
    fn denominator<const SPECIAL: bool>(points: &Points<L>, a: usize, b: usize, special: (Mask, Mask), one: &L) -> L {
        let (p, q) = (&points.at[a], &points.at[b]);
        let mut denominator = q.x.sub(&p.x);
        let mut live = points.present[a] & points.present[b];
        if SPECIAL {
            denominator = L::select(special.0, &denominator, &p.y.add(&p.y));
            live &= !special.1;
        }
        if live == L::ALL { denominator } else { L::select(live, one, &denominator) }
    }

    /// Products of the denominators before each, in two chains so that one hides the other's latency. With SPECIAL, lanes of equal
    /// x are told apart. Gives lanes where a denominator is 0.
    #[inline(always)]
    fn denominators<const SPECIAL: bool>(&mut self, points: &Points<L>, sums: &[(u32, u32)]) -> Mask {
        let one = one::<L>();
        let mut product = [one; 2];
        self.before.clear();
        self.special.clear();
        for (i, &(a, b)) in sums.iter().enumerate() {
            let (a, b) = (a as usize, b as usize);
            let mut special = (0, 0);
            if SPECIAL {
                let (p, q) = (&points.at[a], &points.at[b]);
                let same_x = q.x.sub(&p.x).zeros() & points.present[a] & points.present[b];
                let doubled = same_x & q.y.sub(&p.y).zeros();
                special = (doubled, same_x & !doubled);
                self.special.push(special);
            }
            let denominator = Self::denominator::<SPECIAL>(points, a, b, special, &one);
            self.before.push(product[i & 1]);
            product[i & 1] = product[i & 1].mul_f(&denominator);
        }
        let all = product[0].mul_f(&product[1]);
        // Kept for the way back.
        self.before.push(product[0]);
        self.before.push(product[1]);
        all.zeros()
    }

    /// Inverts once, then goes backwards through the chunk in blocks. Within a block each phase is a run of independent
    /// products (the only chain is that of inverses). Denominators are made again: that takes less than to keep them.
    #[inline(always)]
    fn finish<const SPECIAL: bool>(&mut self, points: &mut Points<L>, sums: &[(u32, u32)]) {
        let one = one::<L>();
        let product = [self.before[sums.len()], self.before[sums.len() + 1]];
        let inverse = product[0].mul_f(&product[1]).invert();
        let mut inverse = [inverse.mul_f(&product[1]), inverse.mul_f(&product[0])];
        let mut slope = [zero::<L>(); BLOCK];
        let mut x = [zero::<L>(); BLOCK];
        let mut end = sums.len();
        while end > 0 {
            let start = end.saturating_sub(BLOCK);
            let n = end - start;
            for i in (0..n).rev() {
                let k = start + i;
                let special = if SPECIAL { self.special[k] } else { (0, 0) };
                let (a, b) = (sums[k].0 as usize, sums[k].1 as usize);
                let denominator = Self::denominator::<SPECIAL>(points, a, b, special, &one);
                slope[i] = inverse[k & 1].mul_f(&self.before[k]);
                inverse[k & 1] = inverse[k & 1].mul_f(&denominator);
            }
            for i in 0..n {
                let (a, b) = sums[start + i];
                let (p, q) = (&points.at[a as usize], &points.at[b as usize]);
                let mut rise = q.y.sub(&p.y);
                if SPECIAL {
                    rise = L::select(self.special[start + i].0, &rise, &p.x.sqr3_f());
                }
                slope[i] = slope[i].mul_f(&rise);
            }
            for i in 0..n {
                let (a, b) = sums[start + i];
                x[i] = slope[i].sqr_sub2(&points.at[a as usize].x, &points.at[b as usize].x);
            }
            for i in 0..n {
                let (a, b) = (sums[start + i].0 as usize, sums[start + i].1 as usize);
                let p = points.at[a];
                let y = slope[i].mul_sub(&p.x.sub(&x[i]), &p.y);
                let (at_a, at_b) = (points.present[a], points.present[b]);
                if at_a & at_b == L::ALL {
                    points.at[a] = Affine { x: x[i], y };
                } else {
                    let (both, only_b) = (at_a & at_b, at_b & !at_a);
                    let q = points.at[b];
                    points.at[a] = Affine {
                        x: L::select(only_b, &L::select(both, &p.x, &x[i]), &q.x),
                        y: L::select(only_b, &L::select(both, &p.y, &y), &q.y),
                    };
                    points.present[a] = at_a | at_b;
                }
                if SPECIAL {
                    points.present[a] &= !self.special[start + i].1;
                }
            }
            end = start;
        }
    }

    /// Slots `to..to + count` become the doubles of slots `from..from + count`.
    pub(crate) fn double(&mut self, points: &mut Points<L>, from: usize, to: usize, count: usize) {
        L::enter(Double { adder: self, points, from, to, count });
    }

    #[inline(always)]
    fn double_all(&mut self, points: &mut Points<L>, from: usize, to: usize, count: usize) {
        let one = one::<L>();
        self.denominators.clear();
        for (point, present) in points.at[from..from + count].iter().zip(&points.present[from..]) {
            self.denominators.push(L::select(*present, &one, &point.y.add(&point.y)));
        }
        super::field::invert_all(&mut self.denominators, &mut self.before);
        for (i, inverse) in self.denominators.iter().enumerate() {
            let p = points.at[from + i];
            let slope = p.x.sqr3_f().mul_f(inverse);
            let x = slope.sqr_sub2(&p.x, &p.x);
            let y = slope.mul_sub(&p.x.sub(&x), &p.y);
            points.at[to + i] = Affine { x, y };
            points.present[to + i] = points.present[from + i];
        }
    }

    /// Of the points P in slots `0..count`: (2 m + 1) P into slots m count .., for m below `entries`, a power of two. Uses
    /// the slots up to (entries + 1) count.
    pub(crate) fn odd_multiples(
        &mut self,
        points: &mut Points<L>,
        count: usize,
        entries: usize,
        sums: &mut Vec<(u32, u32)>,
    ) {
        assert!(entries.is_power_of_two());
        points.reserve((entries + 1) * count);
        let step = entries * count;
        let mut have = 1;
        while have < entries {
            // The step is 2 have P.
            self.double(points, if have == 1 { 0 } else { step }, step, count);
            points.at.copy_within(..have * count, have * count);
            points.present.copy_within(..have * count, have * count);
            sums.clear();
            let of = |m: usize| (0..count).map(move |i| (((have + m) * count + i) as u32, (step + i) as u32));
            sums.extend((0..have).flat_map(of));
            self.round(points, sums);
            have *= 2;
        }
    }
}

work! {
    Denominators ['a, L: Lanes, const SPECIAL: bool] ['a, L, SPECIAL] {
        adder: &'a mut Adder<L>, points: &'a Points<L>, chunk: &'a [(u32, u32)]
    } -> Mask = adder.denominators::<SPECIAL>(points, chunk)
}
work! {
    Finish ['a, L: Lanes, const SPECIAL: bool] ['a, L, SPECIAL] {
        adder: &'a mut Adder<L>, points: &'a mut Points<L>, chunk: &'a [(u32, u32)]
    } -> () = adder.finish::<SPECIAL>(points, chunk)
}
work! {
    Double ['a, L: Lanes] ['a, L] {
        adder: &'a mut Adder<L>, points: &'a mut Points<L>, from: usize, to: usize, count: usize
    } -> () = adder.double_all(points, from, to, count)
}

/// A Jacobian point in each lane: (X / Z^2, Y / Z^3).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jacobian<L> {
    /// X, Norm.
    pub x: L,
    /// Y, Norm.
    pub y: L,
    /// Z, Factor.
    pub z: L,
}

/// Steps for two vectors each: one alone would leave the multipliers waiting for its own results.
macro_rules! both {
    ($($name:ident = |$i:ident| $value:expr;)*) => {$(
        let $name = { let a = { let $i = 0; $value }; let b = { let $i = 1; $value }; [a, b] };
    )*};
}

/// P becomes 2 P.
#[inline(always)]
pub(crate) fn double_two<L: Lanes>(p: &mut [Jacobian<L>; 2]) {
    // E = 3 X^2, B = Y^2, D = X B: X' = E^2 - 8 D, Y' = E (4 D - X') - 8 B^2, Z' = 2 Y Z.
    both! {
        e = |i| p[i].x.sqr3_f();
        b = |i| p[i].y.sqr_f();
        d = |i| p[i].x.mul_raw(&b[i]);
        z = |i| p[i].y.mul2_f(&p[i].z);
        x = |i| e[i].sqr_sub8(&d[i]);
        c = |i| b[i].sqr_raw();
        y = |i| e[i].mul_sub8(&d[i].sub4(&x[i]), &c[i]);
    }
    for i in 0..2 {
        p[i] = Jacobian { x: x[i], y: y[i], z: z[i] };
    }
}

/// P becomes P + Q.
#[inline(always)]
pub(crate) fn add_two<L: Lanes>(p: &mut [Jacobian<L>; 2], q: [&Affine<L>; 2]) {
    // H = x Z^2 - X, r = y Z^3 - Y, V = X H^2: X' = r^2 - H^3 - 2 V, Y' = r (V - X') - Y H^3, Z' = Z H.
    both! {
        zz = |i| p[i].z.sqr_f();
        zzz = |i| zz[i].mul_f(&p[i].z);
        h = |i| q[i].x.mul_sub_f(&zz[i], &p[i].x);
        r = |i| q[i].y.mul_sub_f(&zzz[i], &p[i].y);
        hh = |i| h[i].sqr_f();
        v = |i| p[i].x.mul_raw(&hh[i]);
        hhh = |i| hh[i].mul(&h[i]);
        z = |i| p[i].z.mul_f(&h[i]);
        t = |i| p[i].y.mul_raw(&hhh[i]);
        x = |i| r[i].sqr_sub_twice(&hhh[i], &v[i]);
        y = |i| r[i].mul_sub(&v[i].sub(&x[i]), &t[i]);
    }
    for i in 0..2 {
        p[i] = Jacobian { x: x[i], y: y[i], z: z[i] };
    }
}

/// One point in lane 0, complete: `None` is the identity. Lanes besides 0 are whatever they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Single<L>(pub Option<Jacobian<L>>);

impl<L: Lanes> Single<L> {
    /// The identity.
    pub(crate) const IDENTITY: Self = Self(None);

    /// 2 P.
    #[inline(always)]
    pub(crate) fn double(&self) -> Self {
        let Some(p) = self.0 else { return *self };
        let mut two = [p; 2];
        double_two(&mut two);
        Self(Some(two[0]))
    }

    /// P + Q.
    #[inline(always)]
    pub(crate) fn add_affine(&self, q: &Affine<L>) -> Self {
        let Some(p) = self.0 else { return Self(Some(Jacobian { x: q.x, y: q.y, z: one() })) };
        let zz = p.z.sqr_f();
        if q.x.mul_sub(&zz, &p.x).zeros() & 1 == 1 {
            let is_same = q.y.mul_sub(&zz.mul_f(&p.z), &p.y).zeros() & 1 == 1;
            return if is_same { self.double() } else { Self::IDENTITY };
        }
        let mut two = [p; 2];
        add_two(&mut two, [q, q]);
        Self(Some(two[0]))
    }

    /// P + Q, both Jacobian: 12 M + 4 S.
    #[inline(always)]
    pub(crate) fn add(&self, q: &Jacobian<L>) -> Self {
        let Some(p) = self.0 else { return Self(Some(*q)) };
        let (zz_p, zz_q) = (p.z.sqr_f(), q.z.sqr_f());
        let u = p.x.mul(&zz_q);
        let s = p.y.mul(&zz_q.mul_f(&q.z));
        let h = q.x.mul_sub(&zz_p, &u);
        let r = q.y.mul_sub(&zz_p.mul_f(&p.z), &s);
        if h.zeros() & 1 == 1 {
            return if r.zeros() & 1 == 1 { self.double() } else { Self::IDENTITY };
        }
        let hh = h.sqr_f();
        let hhh = hh.mul(&h);
        let v = u.mul_raw(&hh);
        let x = r.sqr_sub_twice(&hhh, &v);
        let y = r.mul_sub(&v.sub(&x), &s.mul_raw(&hhh));
        Self(Some(Jacobian { x, y, z: p.z.mul_f(&q.z).mul_f(&h) }))
    }

    /// Affine again.
    #[inline(always)]
    pub(crate) fn affine(&self) -> Option<Row> {
        let p = self.0?;
        let inverse = p.z.invert();
        let square = inverse.sqr_f();
        let (x, y) = (p.x.mul(&square), p.y.mul(&square.mul_f(&inverse)));
        Some(Row::new(&lane_words(&x, 0), &lane_words(&y, 0)))
    }
}

/// The same point in all lanes.
#[inline(always)]
pub(crate) fn splat<L: Lanes>(row: &Row) -> Affine<L> {
    Affine { x: L::splat(&row.x()), y: L::splat(&row.y()) }
}

/// k P + l Q for one row, bit by bit, by complete formulas: the slow definition.
#[inline(always)]
pub(crate) fn multiply_two<L: Lanes>(k: &Words, p: &Row, l: &Words, q: &Row) -> Option<Row> {
    let (p, q) = (splat::<L>(p), splat::<L>(q));
    let bit = |k: &Words, i: usize| k[i / 64] >> (i % 64) & 1 == 1;
    let mut sum = Single::IDENTITY;
    for i in (0..256).rev() {
        sum = sum.double();
        if bit(k, i) {
            sum = sum.add_affine(&p);
        }
        if bit(l, i) {
            sum = sum.add_affine(&q);
        }
    }
    sum.affine()
}

/// x^3 + B. Norm in, Loose out.
#[inline(always)]
pub(crate) fn curve_right_side<L: Lanes, C: Curve>(x: &L) -> L {
    x.sqr_f().mul(x).add(&L::splat(&C::B))
}

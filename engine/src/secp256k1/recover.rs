//! Recovery of public keys without hints, in lanes: Q = (s R - z G) / r, R the point with x = r (or r + n) and the parity.
//!
//! Accepts exactly what `secp256k1_ecdsa_recover` of libsecp256k1 accepts: r and s in 1..n-1, recovery ids 0 to 3, with ids 2
//! and 3 r + n below p, x on the curve, Q not the identity; z is taken mod n; s may be high. Rows that do not get that far
//! run along in their lanes with R = G, and their result is dropped. Oracles: libsecp256k1 and k256.
//! Cost of a row: about 840 M + 1,000 S, and inversions shared by a tile. Memory: 1.5 MiB for a tile of eight lanes.

use super::field::{Lanes, Mask, Row, equal, one, roots, work};
use super::group::{Affine, curve_right_side, multiply_two};
use super::scalar::{Curve, Secp256k1, invert_scalars, negate, scalar_words};
use super::words::{FIELD_PRIME, ORDER, Words, add, from_bytes, is_below, to_bytes};
use super::{PublicKey, Signature, Wanted, ecmult};
use std::marker::PhantomData;

/// Vectors of rows in a tile.
const TILE: usize = 64;

/// A row whose numbers are in range.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prepared {
    /// The digest, not reduced.
    pub z: Words,
    /// r, in 1..n-1.
    pub r: Words,
    /// s, in 1..n-1.
    pub s: Words,
    /// R.x, below p.
    pub x: Words,
    /// Parity of R.y.
    pub is_odd: bool,
}

/// Checks ranges; `None` is a row that recovers to nobody.
#[inline(always)]
pub(crate) fn prepare(signature: &Signature) -> Option<Prepared> {
    let (z, r, s) = (from_bytes(&signature.digest), from_bytes(&signature.r), from_bytes(&signature.s));
    let mut x = r;
    if signature.recovery_id >= 2 {
        let (sum, wrapped) = add(&r, &ORDER);
        if signature.recovery_id > 3 || wrapped || !is_below(&sum, &FIELD_PRIME) {
            return None;
        }
        x = sum;
    }
    let in_range = |a: &Words| *a != [0; 4] && is_below(a, &ORDER);
    (in_range(&r) && in_range(&s)).then_some(Prepared { z, r, s, x, is_odd: signature.recovery_id & 1 == 1 })
}

/// Recovers all rows. One a thread; keeps its scratch space.
#[derive(Debug)]
pub(crate) struct Recoverer<L> {
    multiplier: ecmult::Multiplier<L>,
    lifted: Vec<Affine<L>>,
    scalars: [Vec<L>; 3],
    inverses: Vec<L>,
    /// R.y of all rows, where it is asked for.
    roots: Option<Vec<Words>>,
}

impl<L: Lanes> Recoverer<L> {
    /// A recoverer.
    pub(crate) fn new() -> Self {
        Self {
            multiplier: ecmult::Multiplier::new(),
            lifted: Vec::new(),
            scalars: Default::default(),
            inverses: Vec::new(),
            roots: None,
        }
    }

    /// What is wanted of each row; `None` where recovery fails. `out` has a place a row.
    pub(crate) fn recover<W: Wanted>(&mut self, signatures: &[Signature], out: &mut [Option<W>]) {
        assert_eq!(signatures.len(), out.len());
        let rows: Vec<Option<Prepared>> = signatures.iter().map(prepare).collect();
        self.roots = W::HAS_ROOT.then(|| Vec::with_capacity(signatures.len() + 2 * L::LANES));
        let keys = self.recover_prepared::<Secp256k1>(&rows);
        let roots = self.roots.take().unwrap_or_default();
        for (i, (out, key)) in out.iter_mut().zip(keys).enumerate() {
            let root = roots.get(i).map_or([0; 32], to_bytes);
            *out = key.map(|key| W::new(&key_of(&key), &root));
        }
    }

    /// The same for prepared rows and any curve.
    pub(crate) fn recover_prepared<C: Curve>(&mut self, rows: &[Option<Prepared>]) -> Vec<Option<Row>> {
        let mut out = vec![None; rows.len()];
        let mut again = Vec::new();
        for (i, (rows, out)) in rows.chunks(TILE * L::LANES).zip(out.chunks_mut(TILE * L::LANES)).enumerate() {
            let met = self.tile::<C>(rows, out, false);
            again.extend(met.into_iter().map(|place| i * TILE * L::LANES + place));
        }
        // Rows whose ladder met an equal or opposite point: once more with -u2 and -R, which splits otherwise, in lanes too;
        // and what meets again, by the slow definition.
        for places in again.chunks(TILE * L::LANES) {
            let chosen: Vec<Option<Prepared>> = places.iter().map(|place| rows[*place]).collect();
            let mut found = vec![None; chosen.len()];
            let met = self.tile::<C>(&chosen, &mut found, true);
            for place in met {
                found[place] = chosen[place].and_then(|row| recover_singly::<L, C>(&row));
            }
            places.iter().zip(found).for_each(|(place, found)| out[*place] = found);
        }
        out
    }

    /// One tile: fills `out`, and gives the places of rows that have to be done again.
    fn tile<C: Curve>(&mut self, rows: &[Option<Prepared>], out: &mut [Option<Row>], is_negated: bool) -> Vec<usize> {
        let vectors = rows.len().div_ceil(2 * L::LANES) * 2;
        let dead: Vec<Mask> = L::enter(Lift { recoverer: self, rows, vectors, is_negated, curve: PhantomData::<C> });
        let (u1, u2) = L::enter(Scalars { recoverer: self, vectors, is_negated, curve: PhantomData::<C> });
        let count = vectors * L::LANES;
        let (mut found, mut met) = (vec![None; count], vec![false; count]);
        self.multiplier.run::<C>(&u1, &u2, &mut found, &mut met);
        let mut again = Vec::new();
        for (i, out) in out.iter_mut().enumerate() {
            let is_dead = dead[i / L::LANES] >> (i % L::LANES) & 1 == 1;
            *out = if is_dead { None } else { found[i] };
            if met[i] && !is_dead {
                again.push(i);
            }
        }
        again
    }

    /// R of each row into the multiplier, r, s and z into `scalars`; gives the lanes that are no row or have no R.
    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // a lane has a place in several lists
    fn lift<C: Curve>(&mut self, rows: &[Option<Prepared>], vectors: usize, is_negated: bool) -> Vec<Mask> {
        const UNIT: Words = [1, 0, 0, 0];
        let nobody = Prepared { z: UNIT, r: UNIT, s: UNIT, x: C::G.x(), is_odd: false };
        let mut dead = vec![0; vectors];
        let mut parity = vec![0; vectors];
        self.lifted.clear();
        self.scalars.iter_mut().for_each(Vec::clear);
        for b in 0..vectors {
            let mut words = [[[0; 4]; 8]; 4];
            for lane in 0..L::LANES {
                let row = rows.get(b * L::LANES + lane).copied().flatten();
                dead[b] |= Mask::from(row.is_none()) << lane;
                let row = row.unwrap_or(nobody);
                (words[0][lane], words[1][lane], words[2][lane], words[3][lane]) = (row.z, row.r, row.s, row.x);
                parity[b] |= Mask::from(row.is_odd) << lane;
            }
            for (scalars, words) in self.scalars.iter_mut().zip(&words) {
                scalars.push(L::from_words(words));
            }
            let x = L::from_words(&words[3]);
            self.lifted.push(Affine { x, y: x });
        }
        lift_all::<L, C>(&mut self.lifted, &parity, &mut dead);
        // Tiles are whole but for the last, so lanes follow each other as rows do. A second turn has nothing new to say.
        if let Some(roots) = self.roots.as_mut().filter(|_| !is_negated) {
            for lifted in &self.lifted {
                let stored = L::store(&lifted.x, &lifted.y);
                roots.extend(stored.iter().take(L::LANES).map(Row::y));
            }
        }
        let points = self.multiplier.points(vectors);
        for (b, lifted) in self.lifted.iter().enumerate() {
            let y = if is_negated { lifted.y.negate() } else { lifted.y };
            points.at[b] = Affine { x: lifted.x, y };
            points.present[b] = L::ALL;
        }
        dead
    }

    /// u1 = -z / r and u2 = s / r of each row; of rows that are none, something.
    pub(crate) fn quotients(&mut self, rows: &[Option<Prepared>]) -> (Vec<Words>, Vec<Words>) {
        L::enter(Numbers { recoverer: self, rows });
        let vectors = rows.len().div_ceil(L::LANES);
        L::enter(Scalars { recoverer: self, vectors, is_negated: false, curve: PhantomData::<Secp256k1> })
    }

    /// z, r and s of each row into `scalars`.
    #[inline(always)]
    fn numbers(&mut self, rows: &[Option<Prepared>]) {
        const UNIT: Words = [1, 0, 0, 0];
        self.scalars.iter_mut().for_each(Vec::clear);
        for rows in rows.chunks(L::LANES) {
            let mut words = [[UNIT; 8]; 3];
            for (lane, row) in rows.iter().enumerate() {
                if let Some(row) = row {
                    (words[0][lane], words[1][lane], words[2][lane]) = (row.z, row.r, row.s);
                }
            }
            for (scalars, words) in self.scalars.iter_mut().zip(&words) {
                scalars.push(L::from_words(words));
            }
        }
    }

    /// u1 = -z / r and u2 = s / r, or -s / r, of each lane.
    #[inline(always)]
    fn scalars<C: Curve>(&mut self, vectors: usize, is_negated: bool) -> (Vec<Words>, Vec<Words>) {
        let [z, r, s] = &self.scalars;
        invert_scalars::<L, C>(r, &mut self.inverses);
        let (mut u1, mut u2) = (Vec::with_capacity(vectors * L::LANES), Vec::with_capacity(vectors * L::LANES));
        for b in 0..vectors {
            let inverse = &self.inverses[b];
            let (zr, sr) = (quotient::<L, C>(&z[b], inverse), quotient::<L, C>(&s[b], inverse));
            for lane in 0..L::LANES {
                u1.push(negate::<C>(&scalar_words::<L, C>(&zr, lane)));
                let k = scalar_words::<L, C>(&sr, lane);
                u2.push(if is_negated { negate::<C>(&k) } else { k });
            }
        }
        (u1, u2)
    }
}

work! {
    Lift ['a, L: Lanes, C: Curve] ['a, L, C] {
        recoverer: &'a mut Recoverer<L>, rows: &'a [Option<Prepared>], vectors: usize, is_negated: bool, curve: PhantomData<C>
    } -> Vec<Mask> = {
        let _ = curve;
        recoverer.lift::<C>(rows, vectors, is_negated)
    }
}
work! {
    Numbers ['a, L: Lanes] ['a, L] { recoverer: &'a mut Recoverer<L>, rows: &'a [Option<Prepared>] }
        -> () = recoverer.numbers(rows)
}
work! {
    Scalars ['a, L: Lanes, C: Curve] ['a, L, C] {
        recoverer: &'a mut Recoverer<L>, vectors: usize, is_negated: bool, curve: PhantomData<C>
    } -> (Vec<Words>, Vec<Words>) = {
        let _ = curve;
        recoverer.scalars::<C>(vectors, is_negated)
    }
}

/// a / b, plain, from the inverse of b.
#[inline(always)]
fn quotient<L: Lanes, C: Curve>(a: &L, inverse: &L) -> L {
    a.mont(inverse, &C::MODULUS).mont(&one(), &C::MODULUS)
}

/// Gives each x the y of the parity asked for, canonical. Where there is none the lane becomes G and is marked dead.
#[inline(always)]
pub(crate) fn lift_all<L: Lanes, C: Curve>(points: &mut [Affine<L>], odd: &[Mask], dead: &mut [Mask]) {
    let (g_x, g_y) = (L::splat(&C::G.x()), L::splat(&C::G.y()));
    let mut start = 0;
    while start < points.len() {
        let places = [start, (start + 1).min(points.len() - 1)];
        // Written out: what is handed to `map` is not always inlined, and then runs without the lanes' instructions.
        let squares = [curve_right_side::<L, C>(&points[places[0]].x), curve_right_side::<L, C>(&points[places[1]].x)];
        let found = roots(squares);
        let end = points.len().min(start + 2);
        for (k, i) in (start..end).enumerate() {
            let y = found[k].canonical();
            let is_root = equal(&y.sqr(), &squares[k].mul(&one::<L>()));
            dead[i] |= L::ALL & !is_root;
            let y = L::select(y.odd() ^ odd[i], &y, &y.negate().canonical());
            points[i] = Affine {
                x: L::select(L::ALL & !is_root, &points[i].x, &g_x),
                y: L::select(L::ALL & !is_root, &y, &g_y),
            };
        }
        start = end;
    }
}

/// The slow definition, bit by bit.
pub(crate) fn recover_singly<L: Lanes, C: Curve>(row: &Prepared) -> Option<Row> {
    L::enter(Singly { row, lanes: PhantomData::<L>, curve: PhantomData::<C> })
}

#[inline(always)]
fn singly<L: Lanes, C: Curve>(row: &Prepared) -> Option<Row> {
    let mut point = [Affine { x: L::splat(&row.x), y: L::splat(&row.x) }];
    let mut dead = [0];
    let odd = if row.is_odd { L::ALL } else { 0 };
    lift_all::<L, C>(&mut point, &[odd], &mut dead);
    if dead[0] != 0 {
        return None;
    }
    let y = super::field::lane_words(&point[0].y, 0);
    let mut inverses = Vec::new();
    invert_scalars::<L, C>(&[L::splat(&row.r)], &mut inverses);
    let u1 = scalar_words::<L, C>(&quotient::<L, C>(&L::splat(&row.z), &inverses[0]), 0);
    let u2 = scalar_words::<L, C>(&quotient::<L, C>(&L::splat(&row.s), &inverses[0]), 0);
    multiply_two::<L>(&u2, &Row::new(&row.x, &y), &negate::<C>(&u1), &C::G)
}

work! {
    Singly ['a, L: Lanes, C: Curve] ['a, L, C] { row: &'a Prepared, lanes: PhantomData<L>, curve: PhantomData<C> }
        -> Option<Row> = {
            let _ = (lanes, curve);
            singly::<L, C>(row)
        }
}

/// A row as bytes.
pub(crate) fn key_of(row: &Row) -> PublicKey {
    let mut key = [0; 64];
    key[..32].copy_from_slice(&to_bytes(&row.x()));
    key[32..].copy_from_slice(&to_bytes(&row.y()));
    PublicKey(key)
}

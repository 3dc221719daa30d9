//! Multi-scalar multiplication by buckets: is a sum of many multiples the identity?
//!
//! Every scalar becomes signed digits d in [-h, h], h = 2^(c-1), for windows of c bits; each (window, |d|) is a bucket. The
//! buckets of a window are ordered by length and packed to a group, one a lane, so that after one gather all further sums of
//! a bucket run lane by lane: slot i takes slot i + stride. The weighted sum over buckets is a second tree in lanes (`reduce`),
//! which leaves one sum for each *bit* of the scalar and about 130 doublings and sums for a Horner step.
//! Windows are laid out apart over the bits that both parts have and those that only the second has, a whole number over each:
//! a narrow top window would have few, long lists that fill few lanes.
//! All sums are affine, complete, and share inversions (`Adder`).
//! Source: Pippenger, "On the evaluation of powers and monomials" (1980), as in Bernstein, Doumen, Lange, Oosterwijk, "Faster
//! batch forgery identification" (2012). Bounds: fewer than 2^31 points; scalars below 2^64 and below 2^128.

use super::field::{Lanes, Mask, Row, one, work};
use super::group::{Adder, Affine, Jacobian, Points, Single, add_two, double_two};
use super::words::add_carry;

/// Scalars of one length: the sum of (-1)^negative k times a row, for consecutive rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scalars {
    /// Low and high words.
    pub words: Vec<[u64; 2]>,
    /// Signs.
    pub negative: Vec<bool>,
}

impl Scalars {
    /// None.
    pub(crate) fn clear(&mut self) {
        self.words.clear();
        self.negative.clear();
    }

    /// One more.
    #[inline(always)]
    pub(crate) fn push(&mut self, words: [u64; 2], negative: bool) {
        self.words.push(words);
        self.negative.push(negative);
    }
}

/// Bits of the scalars of the first and of the second part.
const BITS: [usize; 2] = [64, 128];
/// Vectors brought into lanes at a time.
const SLICE: usize = 2048;
/// No entry.
const NONE: u32 = u32::MAX;
/// What a bucket costs, in entries of a tenth.
const TENTHS_A_BUCKET: usize = 21;

/// A window: bits `start..start + bits` of the scalars; its buckets are vectors `base..` of the tree.
#[derive(Clone, Copy, Debug)]
struct Window {
    start: usize,
    bits: usize,
    base: usize,
}

impl Window {
    fn buckets(&self) -> usize {
        1 << (self.bits - 1)
    }

    fn vectors<L: Lanes>(&self) -> usize {
        self.buckets() >> L::LOG_LANES
    }
}

/// Buckets of equal length or nearly so, one a lane, their entries side by side.
#[derive(Clone, Copy, Debug)]
struct Group {
    base: usize,
    length: usize,
    window: usize,
    buckets: [u32; 8],
}

/// Windows over each range of bits. A whole number over each; widths differ by one at most.
fn layout<L: Lanes>(counts: [usize; 2]) -> Vec<Window> {
    let mut windows = Vec::new();
    let (mut start, mut base) = (0, 0);
    // One bit more than the first part has, for the sign.
    for (range, count) in [BITS[0] + 1, BITS[1] - BITS[0]].into_iter().zip(counts) {
        for i in 0..count {
            let bits = range / count + usize::from(i < range % count);
            let window = Window { start, bits, base };
            start += bits;
            base += window.vectors::<L>();
            windows.push(window);
        }
    }
    windows
}

/// The cheapest numbers of windows: each costs one sum a scalar, and each bucket about two.
fn choose<L: Lanes>(lengths: [usize; 2]) -> [usize; 2] {
    let best = |range: usize, length: usize| {
        // At most 15 bits, so that a digit fits 16; at least one vector of buckets.
        let counts = range.div_ceil(15)..=range / (1 + L::LOG_LANES as usize).max(4);
        let cost = |count: &usize| {
            let buckets: usize = (0..*count).map(|i| 1 << (range / count + usize::from(i < range % count) - 1)).sum();
            count * length * 10 + buckets * TENTHS_A_BUCKET
        };
        counts.min_by_key(cost).expect("at least one")
    };
    [best(BITS[0] + 1, lengths[0] + lengths[1]), best(BITS[1] - BITS[0], lengths[1])]
}

/// Multiplies and adds up. Keeps its scratch space.
#[derive(Debug)]
pub(crate) struct Msm<L> {
    adder: Adder<L>,
    points: Points<L>,
    tree: Points<L>,
    bits: Points<L>,
    windows: Vec<Window>,
    groups: Vec<Group>,
    /// Entries in lanes: place of the point times two, and its sign.
    entries: Vec<u32>,
    biased: [Vec<[u64; 3]>; 2],
    digits: Vec<i32>,
    counts: Vec<u32>,
    next: Vec<u32>,
    order: Vec<u32>,
    sums: Vec<(u32, u32)>,
}

impl<L: Lanes> Msm<L> {
    /// A multiplier.
    pub(crate) fn new() -> Self {
        Self {
            adder: Adder::new(),
            points: Points::new(),
            tree: Points::new(),
            bits: Points::new(),
            windows: Vec::new(),
            groups: Vec::new(),
            entries: Vec::new(),
            biased: Default::default(),
            digits: Vec::new(),
            counts: Vec::new(),
            next: Vec::new(),
            order: Vec::new(),
            sums: Vec::new(),
        }
    }

    /// Whether the sum is the identity. The first part's scalars belong to the first rows, and are below 2^64.
    pub(crate) fn is_identity(&mut self, rows: &[Row], parts: [&Scalars; 2]) -> bool {
        self.sum(rows, parts, None).0.is_none()
    }

    /// The sum, in lane 0. Tests force numbers of windows.
    pub(crate) fn sum(&mut self, rows: &[Row], parts: [&Scalars; 2], forced: Option<[usize; 2]>) -> Single<L> {
        let lengths = parts.map(|part| part.words.len());
        assert!(rows.len() == lengths[0] + lengths[1] && rows.len() < 1 << 31);
        let counts = forced.unwrap_or_else(|| choose::<L>(lengths));
        self.windows = layout::<L>(counts);
        self.sort(parts, counts[0]);
        let last = self.windows[self.windows.len() - 1];
        let (vectors, bits) = (last.base + last.vectors::<L>(), last.start + last.bits);
        self.tree.reserve(vectors);
        self.tree.present[..vectors].fill(0);
        let mut first = 0;
        while first < self.groups.len() {
            let (mut end, mut vectors) = (first, 0);
            while end < self.groups.len() && (end == first || vectors + self.groups[end].length <= SLICE) {
                vectors += self.groups[end].length;
                end += 1;
            }
            self.add_up(rows, first..end, vectors);
            first = end;
        }
        self.reduce(bits);
        L::enter(Horner { msm: self, bits })
    }

    /// Sums of the buckets of some groups, into the tree: bucket d at vector d modulo the window's vectors, lane above.
    fn add_up(&mut self, rows: &[Row], groups: std::ops::Range<usize>, vectors: usize) {
        let base = self.groups[groups.start].base;
        self.points.reserve(vectors);
        L::enter(Gather { msm: self, rows, base, vectors });
        let mut stride = 1;
        loop {
            self.sums.clear();
            for group in &self.groups[groups.clone()] {
                let first = group.base - base;
                let steps = (0..group.length.saturating_sub(stride)).step_by(2 * stride);
                self.sums.extend(steps.map(|i| ((first + i) as u32, (first + i + stride) as u32)));
            }
            if self.sums.is_empty() {
                break;
            }
            self.adder.round(&mut self.points, &self.sums);
            stride *= 2;
        }
        L::enter(Scatter { msm: self, groups, base });
    }

    #[inline(always)]
    fn scatter(&mut self, groups: std::ops::Range<usize>, base: usize) {
        for group in &self.groups[groups] {
            let window = &self.windows[group.window];
            let vectors = window.vectors::<L>();
            for (lane, bucket) in group.buckets.iter().enumerate().take(L::LANES) {
                if *bucket != NONE {
                    let bucket = *bucket as usize;
                    let to = (window.base + bucket % vectors, bucket / vectors);
                    self.points.copy_lane((group.base - base, lane), &mut self.tree, to);
                }
            }
        }
    }

    #[inline(always)]
    fn gather(&mut self, rows: &[Row], base: usize, vectors: usize) {
        let (entries, _) = self.entries[base * L::LANES..].as_chunks::<1>();
        let place = |v: usize| -> [u32; 8] {
            std::array::from_fn(|lane| match entries.get(v * L::LANES + lane % L::LANES) {
                Some([entry]) if *entry != NONE => entry >> 1,
                _ => 0,
            })
        };
        const AHEAD: usize = 6;
        for v in 0..vectors {
            if v + AHEAD < vectors {
                L::fetch(rows, &place(v + AHEAD));
            }
            let (mut present, mut negative): (Mask, Mask) = (0, 0);
            for lane in 0..L::LANES {
                let [entry] = entries[v * L::LANES + lane];
                present |= Mask::from(entry != NONE) << lane;
                negative |= ((entry & 1) as Mask) << lane;
            }
            let (x, y) = L::load(rows, &place(v));
            self.points.at[v] = Affine { x, y: L::select(negative, &y, &y.negate()) };
            self.points.present[v] = present;
        }
    }

    /// Signed digits without carries: h is added to every window of the scalar once, then h is taken from each digit. The
    /// top window is not masked, so its digit may be h; bucket h has index 0 (digit 0 is dropped), which `reduce` weighs by h.
    fn bias(&mut self, parts: [&Scalars; 2], shared: usize) {
        for (i, count) in [shared, self.windows.len()].into_iter().enumerate() {
            let mut bias = [0u64; 3];
            for window in &self.windows[..count] {
                let bit = window.start + window.bits - 1;
                bias[bit / 64] |= 1 << (bit % 64);
            }
            self.biased[i].clear();
            self.biased[i].extend(parts[i].words.iter().map(|words| {
                let mut carry = 0;
                let low = add_carry(words[0], bias[0], &mut carry);
                let high = add_carry(words[1], bias[1], &mut carry);
                [low, high, bias[2] + carry]
            }));
        }
    }

    /// Digits of one window: of the first part's scalars if they have it, then the second's.
    fn digits_of(&mut self, parts: [&Scalars; 2], place: usize, shared: usize) {
        let window = self.windows[place];
        let (word, shift) = (window.start / 64, window.start % 64);
        let half = window.buckets() as i32;
        self.digits.clear();
        for (i, count) in [shared, self.windows.len()].into_iter().enumerate() {
            if place >= count {
                self.digits.resize(parts[i].words.len(), 0);
                continue;
            }
            let mask = if place == count - 1 { u64::MAX } else { (1 << window.bits) - 1 };
            let with_signs = self.biased[i].iter().zip(&parts[i].negative);
            self.digits.extend(with_signs.map(|(biased, negative)| {
                // Shifted in two steps, for a shift by 64 would be none.
                let above = biased[(word + 1).min(2)] << (63 - shift) << 1;
                let digit = ((biased[word] >> shift | above) & mask) as i32 - half;
                if *negative { -digit } else { digit }
            }));
        }
    }

    /// Entries of all windows: groups of equally long buckets, in lanes.
    fn sort(&mut self, parts: [&Scalars; 2], shared: usize) {
        self.bias(parts, shared);
        self.groups.clear();
        self.entries.clear();
        for place in 0..self.windows.len() {
            self.digits_of(parts, place, shared);
            let buckets = self.windows[place].buckets();
            let bucket_of = |digit: i32| digit.unsigned_abs() as usize & (buckets - 1);
            self.counts.clear();
            self.counts.resize(buckets, 0);
            for digit in &self.digits {
                self.counts[bucket_of(*digit)] += u32::from(*digit != 0);
            }
            // Buckets by length, longest first, by counting.
            let longest = self.counts.iter().max().map_or(0, |count| *count as usize);
            let mut starts = vec![0_u32; longest + 1];
            self.counts.iter().for_each(|count| starts[*count as usize] += 1);
            let mut sum = 0;
            for start in starts.iter_mut().rev() {
                (*start, sum) = (sum, sum + *start);
            }
            let used = starts[0] as usize;
            self.order.clear();
            self.order.resize(buckets, 0);
            for (bucket, count) in self.counts.iter().enumerate() {
                self.order[starts[*count as usize] as usize] = bucket as u32;
                starts[*count as usize] += 1;
            }
            self.next.clear();
            self.next.resize(buckets, 0);
            for lanes in self.order[..used].chunks(L::LANES) {
                let (base, length) = (self.entries.len() / L::LANES, self.counts[lanes[0] as usize] as usize);
                self.entries.resize((base + length) * L::LANES, NONE);
                let mut group = [NONE; 8];
                for (lane, bucket) in lanes.iter().enumerate() {
                    group[lane] = *bucket;
                    self.next[*bucket as usize] = (base * L::LANES + lane) as u32;
                }
                self.groups.push(Group { base, length, window: place, buckets: group });
            }
            for (i, digit) in self.digits.iter().enumerate().filter(|(_, digit)| **digit != 0) {
                let next = &mut self.next[bucket_of(*digit)];
                self.entries[*next as usize] = (i as u32) << 1 | u32::from(*digit < 0);
                *next += L::LANES as u32;
            }
        }
    }

    /// Where the sum of weight 2^bit goes: the bits are dealt to 2 LANES runs of consecutive ones, one a lane of two vectors.
    #[inline(always)]
    fn place_of_bit(bit: usize, run: usize) -> (usize, usize) {
        ((bit % run * 2 + bit / run / L::LANES) * L::LANES, bit / run % L::LANES)
    }

    /// Sum over d of d B_d in each window, d = lane times the window's vectors + k. In round r slot o + 2^r + i 2^(r+1) is added to
    /// slot o + i 2^(r+1), for o = 0 and o = 2^j, j < r. Slot 0 collects all vectors, slot 2^j those whose k has bit j, so after
    /// all rounds slot 2^j is the sum that 2^j weighs, and slot 0 has lane totals, whose lane numbers are the upper bits.
    fn reduce(&mut self, bits: usize) {
        let run = bits.div_ceil(2 * L::LANES);
        let vectors = 2 * run * L::LANES;
        self.bits.reserve(vectors);
        self.bits.present[..vectors].fill(0);
        L::enter(CopyTops { msm: self, run });
        for round in 0.. {
            self.sums.clear();
            let low_bits = |window: &Window| window.bits - 1 - L::LOG_LANES as usize;
            for window in self.windows.iter().filter(|window| round < low_bits(window)) {
                for o in std::iter::once(0).chain((0..round).map(|j| 1 << j)) {
                    let steps = (0..window.vectors::<L>()).step_by(2 << round).map(|i| window.base + o + i);
                    self.sums.extend(steps.map(|a| (a as u32, (a + (1 << round)) as u32)));
                }
            }
            if self.sums.is_empty() {
                break;
            }
            self.adder.round(&mut self.tree, &self.sums);
        }
        L::enter(CopyBits { msm: self, run });
        let mut stride = 1;
        while stride < L::LANES {
            let firsts = (0..vectors).step_by(L::LANES).flat_map(|v| (v..v + L::LANES).step_by(2 * stride));
            self.sums.clear();
            self.sums.extend(firsts.map(|v| (v as u32, (v + stride) as u32)));
            self.adder.round(&mut self.bits, &self.sums);
            stride *= 2;
        }
    }

    /// The buckets of index 0, where |d| = h, to the top bits.
    #[inline(always)]
    fn copy_tops(&mut self, run: usize) {
        for window in &self.windows {
            let (vector, lane) = Self::place_of_bit(window.start + window.bits - 1, run);
            self.tree.copy_lane((window.base, 0), &mut self.bits, (vector, lane));
        }
    }

    /// The sums that each bit weighs, to the bit's vectors.
    #[inline(always)]
    fn copy_bits(&mut self, run: usize) {
        for window in &self.windows {
            let low_bits = window.bits - 1 - L::LOG_LANES as usize;
            for k in 0..window.bits - 1 {
                let (vector, lane) = Self::place_of_bit(window.start + k, run);
                let is_low = k < low_bits;
                let from = window.base + if is_low { 1 << k } else { 0 };
                let mut to = vector;
                for j in 0..L::LANES {
                    if is_low || j >> (k - low_bits) & 1 == 1 {
                        self.tree.copy_lane((from, j), &mut self.bits, (to, lane));
                        to += 1;
                    }
                }
            }
        }
    }

    /// Sum of 2^b S_b. Runs of bits go down in the lanes of two vectors, then one pass joins them: as many doublings one after
    /// the other, but few sums.
    #[inline(always)]
    fn horner(&mut self, bits: usize) -> Single<L> {
        let run = bits.div_ceil(2 * L::LANES);
        let unit = one::<L>();
        let mut p = [Jacobian { x: unit, y: unit, z: unit }; 2];
        let mut have: [Mask; 2] = [0; 2];
        for t in (0..run).rev() {
            if have != [0; 2] {
                double_two(&mut p);
            }
            let slots = [0, 1].map(|i| (t * 2 + i) * L::LANES);
            let old = p;
            add_two(&mut p, slots.map(|slot| &self.bits.at[slot]));
            for i in 0..2 {
                let (mask, s) = (self.bits.present[slots[i]], &self.bits.at[slots[i]]);
                // A lane that has nothing yet takes the point, one that has no point here stays as it is.
                let first = mask & !have[i];
                p[i] = Jacobian {
                    x: L::select(first, &L::select(mask, &old[i].x, &p[i].x), &s.x),
                    y: L::select(first, &L::select(mask, &old[i].y, &p[i].y), &s.y),
                    z: L::select(first, &L::select(mask, &old[i].z, &p[i].z), &unit),
                };
                have[i] |= mask;
            }
        }
        let mut sum = Single::IDENTITY;
        if (0..2).all(|i| p[i].z.zeros() & have[i] == 0) {
            for j in (0..2 * L::LANES).rev() {
                for _ in 0..run {
                    sum = sum.double();
                }
                let (vector, lane) = (j / L::LANES, j % L::LANES);
                if have[vector] >> lane & 1 == 1 {
                    let mut q = p[vector];
                    for value in [&mut q.x, &mut q.y, &mut q.z] {
                        *value = value.canonical();
                        let limbs = value.limbs(lane);
                        value.set_limbs(0, limbs);
                    }
                    sum = sum.add(&q);
                }
            }
        } else {
            // Equal or opposite points have met, as they may where there are few: bit by bit, by complete formulas.
            for bit in (0..bits).rev() {
                sum = sum.double();
                let (vector, lane) = Self::place_of_bit(bit, run);
                if let Some(row) = self.bits.row(vector, lane) {
                    sum = sum.add_affine(&super::group::splat(&row));
                }
            }
        }
        sum
    }
}

work! {
    Gather ['a, L: Lanes] ['a, L] { msm: &'a mut Msm<L>, rows: &'a [Row], base: usize, vectors: usize }
        -> () = msm.gather(rows, base, vectors)
}
work! {
    Scatter ['a, L: Lanes] ['a, L] { msm: &'a mut Msm<L>, groups: std::ops::Range<usize>, base: usize }
        -> () = msm.scatter(groups, base)
}
work! {
    CopyTops ['a, L: Lanes] ['a, L] { msm: &'a mut Msm<L>, run: usize } -> () = msm.copy_tops(run)
}
work! {
    CopyBits ['a, L: Lanes] ['a, L] { msm: &'a mut Msm<L>, run: usize } -> () = msm.copy_bits(run)
}
work! {
    Horner ['a, L: Lanes] ['a, L] { msm: &'a mut Msm<L>, bits: usize } -> Single<L> = msm.horner(bits)
}

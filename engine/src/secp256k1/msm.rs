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

use super::field::{Lanes, Mask, NO_ENTRY, Row, one, work};
use super::group::{Adder, Affine, Jacobian, Points, Single, add_two, double_two};
use super::words::add_carry;

/// Scalars of one length: the sum of (-1)^negative k times a row, for consecutive rows. In columns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scalars {
    /// Low words.
    pub low: Vec<u64>,
    /// High words.
    pub high: Vec<u64>,
    /// Signs.
    pub negative: Vec<bool>,
}

impl Scalars {
    /// None.
    pub(crate) fn clear(&mut self) {
        self.low.clear();
        self.high.clear();
        self.negative.clear();
    }

    /// Room for so many: what grows by doubling touches three times the memory.
    pub(crate) fn reserve(&mut self, count: usize) {
        self.low.reserve(count);
        self.high.reserve(count);
        self.negative.reserve(count);
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.low.len()
    }

    /// One more.
    #[cfg(test)]
    pub(crate) fn push(&mut self, words: [u64; 2], negative: bool) {
        self.low.push(words[0]);
        self.high.push(words[1]);
        self.negative.push(negative);
    }
}

/// Bits of the scalars of the first and of the second part.
const BITS: [usize; 2] = [64, 128];
/// Vectors brought into lanes at a time.
const SLICE: usize = 1408;
/// No bucket.
const NONE: u32 = u32::MAX;
/// Vectors of points that are asked for before they are needed.
const AHEAD: usize = 6;
/// What a bucket costs, in tenths of an entry.
const TENTHS_A_BUCKET: usize = 21;

/// A window: bits `start..start + bits` of the scalars; its buckets are vectors `base..` of the tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub start: usize,
    pub bits: usize,
    pub base: usize,
}

impl Window {
    pub(super) fn buckets(&self) -> usize {
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
pub(super) fn layout<L: Lanes>(counts: [usize; 2]) -> Vec<Window> {
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

/// Half of each window's range, added up.
pub(super) fn bias(windows: &[Window]) -> [u64; 3] {
    let mut bias = [0; 3];
    for window in windows {
        let bit = window.start + window.bits - 1;
        bias[bit / 64] |= 1 << (bit % 64);
    }
    bias
}

/// The cheapest numbers of windows: each costs one sum a scalar, and each bucket so many tenths of one.
pub(super) fn choose<L: Lanes>(lengths: [usize; 2], tenths_a_bucket: usize) -> [usize; 2] {
    let best = |range: usize, length: usize| {
        // At most 15 bits, so that a digit fits 16; at least one vector of buckets.
        let counts = range.div_ceil(15)..=range / (1 + L::LOG_LANES as usize).max(4);
        let cost = |count: &usize| {
            let buckets: usize = (0..*count).map(|i| 1 << (range / count + usize::from(i < range % count) - 1)).sum();
            count * length * 10 + buckets * tenths_a_bucket
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
    /// Entries in lanes, as `Lanes::gather` takes them.
    entries: Vec<u32>,
    /// Of each part, three words of each scalar with its bias.
    biased: [[Vec<u64>; 3]; 2],
    digits: Vec<i16>,
    counts: Vec<u32>,
    next: Vec<u32>,
    order: Vec<u32>,
    starts: Vec<u32>,
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
            starts: Vec::new(),
            sums: Vec::new(),
        }
    }

    /// Whether the sum is the identity. The first row is nobody's; the first part's scalars belong to the next, and are below 2^64.
    pub(crate) fn is_identity(&mut self, rows: &[Row], parts: [&Scalars; 2]) -> bool {
        self.sum(rows, parts, None).0.is_none()
    }

    /// The sum, in lane 0. Tests force numbers of windows.
    pub(crate) fn sum(&mut self, rows: &[Row], parts: [&Scalars; 2], forced: Option<[usize; 2]>) -> Single<L> {
        let lengths = parts.map(Scalars::len);
        assert!(rows.len() == 1 + lengths[0] + lengths[1] && rows.len() < 1 << 31);
        let counts = forced.unwrap_or_else(|| choose::<L>(lengths, TENTHS_A_BUCKET));
        self.windows = layout::<L>(counts);
        L::enter(Sort { msm: self, parts, shared: counts[0] });
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

    /// The sum from the sums of its buckets, [`Row::ZERO`] for the identity: those of each window in turn, |d| = h at 0.
    pub(super) fn sum_of_buckets(&mut self, counts: [usize; 2], buckets: &[Row]) -> Single<L> {
        self.windows = layout::<L>(counts);
        let last = self.windows[self.windows.len() - 1];
        let (vectors, bits) = (last.base + last.vectors::<L>(), last.start + last.bits);
        assert!(buckets.len() == vectors << L::LOG_LANES, "a sum a bucket");
        self.tree.reserve(vectors);
        L::enter(Plant { msm: self, buckets });
        self.reduce(bits);
        L::enter(Horner { msm: self, bits })
    }

    /// Sums of buckets to where `scatter` puts them.
    #[inline(always)]
    fn plant(&mut self, buckets: &[Row]) {
        for window in &self.windows {
            let (vectors, first) = (window.vectors::<L>(), window.base << L::LOG_LANES);
            for v in 0..vectors {
                let place = |lane: usize| first + lane % L::LANES * vectors + v;
                let (x, y) = L::load(buckets, &std::array::from_fn(|lane| place(lane) as u32));
                let mut present: Mask = 0;
                for lane in 0..L::LANES {
                    present |= Mask::from(buckets[place(lane)] != Row::ZERO) << lane;
                }
                self.tree.at[window.base + v] = Affine { x, y };
                self.tree.present[window.base + v] = present;
            }
        }
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
            // A power of two.
            let bits = window.vectors::<L>().trailing_zeros();
            for (lane, bucket) in group.buckets.iter().enumerate().take(L::LANES) {
                if *bucket != NONE {
                    let bucket = *bucket as usize;
                    let to = (window.base + (bucket & ((1 << bits) - 1)), bucket >> bits);
                    self.points.copy_lane((group.base - base, lane), &mut self.tree, to);
                }
            }
        }
    }

    #[inline(always)]
    fn gather(&mut self, rows: &[Row], base: usize, vectors: usize) {
        let entries = &self.entries[base * L::LANES..];
        let (points, present) = (&mut self.points.at[..vectors], &mut self.points.present[..vectors]);
        for (v, (point, present)) in points.iter_mut().zip(present).enumerate() {
            // `sort` leaves so many empty vectors behind the last.
            L::fetch_entries(rows, &entries[(v + AHEAD) * L::LANES..][..L::LANES]);
            let (x, y, holds) = L::gather(rows, &entries[v * L::LANES..][..L::LANES]);
            (*point, *present) = (Affine { x, y }, holds);
        }
    }

    /// Signed digits without carries: h is added to every window of the scalar once, then h is taken from each digit. The
    /// top window is not masked, so its digit may be h; bucket h has index 0 (digit 0 is dropped), which `reduce` weighs by h.
    #[inline(always)]
    fn bias(&mut self, parts: [&Scalars; 2], shared: usize) {
        for (i, count) in [shared, self.windows.len()].into_iter().enumerate() {
            let bias = bias(&self.windows[..count]);
            let columns = &mut self.biased[i];
            for column in columns.iter_mut() {
                column.resize(parts[i].len(), 0);
            }
            let [low, middle, high] = columns;
            let biased = low.iter_mut().zip(middle).zip(high);
            for (((low, middle), high), words) in biased.zip(parts[i].low.iter().zip(&parts[i].high)) {
                let mut carry = 0;
                *low = add_carry(*words.0, bias[0], &mut carry);
                *middle = add_carry(*words.1, bias[1], &mut carry);
                *high = bias[2] + carry;
            }
        }
    }

    /// Digits of one window: of the first part's scalars if they have it, then the second's.
    #[inline(always)]
    fn digits_of(&mut self, parts: [&Scalars; 2], place: usize, shared: usize) {
        let window = self.windows[place];
        let (word, shift) = (window.start / 64, window.start % 64);
        let half = window.buckets() as i16;
        self.digits.clear();
        for (i, count) in [shared, self.windows.len()].into_iter().enumerate() {
            if place >= count {
                continue;
            }
            let mask = if place == count - 1 { u64::MAX } else { (1 << window.bits) - 1 };
            let [low, high] = [word, (word + 1).min(2)].map(|word| &self.biased[i][word][..]);
            let done = self.digits.len();
            self.digits.resize(done + low.len(), 0);
            let digits = self.digits[done..].iter_mut().zip(&parts[i].negative);
            for ((digit, negative), (low, high)) in digits.zip(low.iter().zip(high)) {
                // Shifted in two steps, for a shift by 64 would be none. At most 2^15, which wraps and comes back.
                let biased = (low >> shift | high << (63 - shift) << 1) & mask;
                let sign = -i16::from(*negative);
                *digit = ((biased as i16).wrapping_sub(half) ^ sign).wrapping_sub(sign);
            }
        }
    }

    /// Entries of all windows: groups of equally long buckets, in lanes.
    #[inline(always)]
    fn sort(&mut self, parts: [&Scalars; 2], shared: usize) {
        self.bias(parts, shared);
        self.groups.clear();
        self.entries.clear();
        // An entry a scalar and window, and an eighth for lanes that stay empty.
        let entries = parts[0].len() * shared + parts[1].len() * self.windows.len();
        self.entries.reserve(entries + entries / 8);
        for place in 0..self.windows.len() {
            self.digits_of(parts, place, shared);
            let first = 1 + if place < shared { 0 } else { parts[0].len() as u32 };
            let buckets = self.windows[place].buckets();
            let bucket_of = |digit: i16| usize::from(digit.unsigned_abs()) & (buckets - 1);
            self.counts.clear();
            self.counts.resize(buckets, 0);
            let counts = &mut self.counts[..buckets];
            for digit in &self.digits {
                counts[bucket_of(*digit)] += u32::from(*digit != 0);
            }
            self.group(place);
            let (next, entries) = (&mut self.next[..buckets], &mut self.entries[..]);
            for (i, digit) in (first..).zip(&self.digits) {
                if *digit != 0 {
                    let next = &mut next[bucket_of(*digit)];
                    entries[*next as usize] = i << 1 | u32::from(*digit < 0);
                    *next += L::LANES as u32;
                }
            }
        }
        self.entries.resize(self.entries.len() + AHEAD * L::LANES, NO_ENTRY);
    }

    /// Room for the entries of a window's buckets, by their lengths: eight to a group, and where each bucket's first one goes.
    #[inline(always)]
    fn group(&mut self, window: usize) {
        // Buckets by length, longest first, by counting.
        let longest = self.counts.iter().max().map_or(0, |count| *count as usize);
        self.starts.clear();
        self.starts.resize(longest + 1, 0);
        self.counts.iter().for_each(|count| self.starts[*count as usize] += 1);
        let mut sum = 0;
        for start in self.starts.iter_mut().rev() {
            (*start, sum) = (sum, sum + *start);
        }
        let used = self.starts[0] as usize;
        self.order.clear();
        self.order.resize(self.counts.len(), 0);
        for (bucket, count) in self.counts.iter().enumerate() {
            let start = &mut self.starts[*count as usize];
            self.order[*start as usize] = bucket as u32;
            *start += 1;
        }
        self.next.clear();
        self.next.resize(self.counts.len(), 0);
        for lanes in self.order[..used].chunks(L::LANES) {
            let (base, length) = (self.entries.len() / L::LANES, self.counts[lanes[0] as usize] as usize);
            self.entries.resize((base + length) * L::LANES, NO_ENTRY);
            let mut buckets = [NONE; 8];
            for (lane, bucket) in lanes.iter().enumerate() {
                buckets[lane] = *bucket;
                self.next[*bucket as usize] = (base * L::LANES + lane) as u32;
            }
            self.groups.push(Group { base, length, window, buckets });
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
    Sort ['a, L: Lanes] ['a, L] { msm: &'a mut Msm<L>, parts: [&'a Scalars; 2], shared: usize } -> () = msm.sort(parts, shared)
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
    Plant ['a, L: Lanes] ['a, L] { msm: &'a mut Msm<L>, buckets: &'a [Row] } -> () = msm.plant(buckets)
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

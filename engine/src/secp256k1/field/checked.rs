//! Another variant with the kinds beside the limbs: each operation asserts what goes in, and that what comes out is what the
//! contract says. For tests; the arithmetic is the wrapped variant's. Never inlined, so that generic code stays small here.

use super::{Lanes, MASK_52, Mask, Modulus, Row, Work};
use crate::secp256k1::split::Halves;
use crate::secp256k1::words::{FIELD_PRIME, Words, from_limbs, is_below};

/// What a value is known to be, from the tightest on; the table in the module above.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    /// Below p.
    Canonical,
    /// A product.
    Tight,
    /// A product less something.
    Norm,
    /// A sum.
    Loose,
    /// To be multiplied only.
    Factor,
    /// To be added or subtracted only.
    Raw,
    /// Limbs of a scalar mod n, or anything else that is no field element.
    Number,
}

impl Kind {
    fn is_factor(self) -> bool {
        self <= Self::Factor
    }

    fn is_term(self) -> bool {
        self <= Self::Norm || self == Self::Raw
    }
}

/// A variant and the kind of what it holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checked<L> {
    value: L,
    kind: Kind,
}

impl<L: Lanes> Checked<L> {
    /// Takes limbs for what they are said to be.
    #[track_caller]
    pub(crate) fn new(value: L, kind: Kind) -> Self {
        for lane in 0..L::LANES {
            let limbs = value.limbs(lane);
            assert!(fits::<L>(&limbs, kind), "lane {lane} is no {kind:?}: {limbs:x?}");
        }
        Self { value, kind }
    }

    /// What is wrapped.
    #[cfg(test)]
    pub(crate) fn value(&self) -> &L {
        &self.value
    }
}

/// Whether limbs are in the range of a kind. Values are compared by limb 4, which says enough once the others are bounded.
fn fits<L: Lanes>(l: &[u64; 5], kind: Kind) -> bool {
    // The scalar variant carries less, and multiplies more.
    let is_scalar = L::LANES == 1;
    let limb = match kind {
        Kind::Factor | Kind::Raw if !is_scalar => {
            return kind == Kind::Factor || l[4] <= 1 << 48 && l[..4].iter().all(|x| *x < 1 << 56);
        }
        Kind::Number => return l[..4].iter().all(|x| *x <= MASK_52),
        Kind::Canonical => MASK_52,
        _ if is_scalar => (1 << 56) - 1,
        _ => MASK_52,
    };
    let top: u64 = match kind {
        Kind::Canonical => {
            return l[..4].iter().all(|x| *x <= limb) && l[4] >> 48 == 0 && is_below(&from_limbs(l).0, &FIELD_PRIME);
        }
        // 2^213 is 2^5 of limb 4.
        Kind::Tight | Kind::Raw => (1 << 48) + (1 << 5),
        Kind::Norm => (1 << 49) + (1 << 5),
        Kind::Loose => 1 << 51,
        Kind::Factor | Kind::Number => 1 << 52,
    };
    l[..4].iter().all(|x| *x <= limb) && l[4] <= top
}

/// Operations by the kinds that go in and come out.
macro_rules! checked {
    ($($name:ident($($arg:ident: $ok:ident),*) -> $out:ident;)*) => {$(
        #[inline(never)]
        #[track_caller]
        fn $name(&self $(, $arg: &Self)*) -> Self {
            assert!(self.kind.is_factor(), "{}: {:?}", stringify!($name), self.kind);
            $(assert!($arg.kind.$ok(), "{}: {}: {:?}", stringify!($name), stringify!($arg), $arg.kind);)*
            Self::new(self.value.$name($(&$arg.value),*), Kind::$out)
        }
    )*};
}

impl<L: Lanes> Lanes for Checked<L> {
    const LOG_LANES: u32 = L::LOG_LANES;

    fn enter<W: Work>(work: W) -> W::Out {
        L::enter(work)
    }

    #[inline(never)]
    fn splat(words: &Words) -> Self {
        let kind = if is_below(words, &FIELD_PRIME) { Kind::Canonical } else { Kind::Tight };
        Self::new(L::splat(words), kind)
    }

    #[inline(never)]
    fn from_words(words: &[Words; 8]) -> Self {
        let is_canonical = words[..L::LANES].iter().all(|words| is_below(words, &FIELD_PRIME));
        Self::new(L::from_words(words), if is_canonical { Kind::Canonical } else { Kind::Tight })
    }

    #[inline(never)]
    fn from_bytes(bytes: &[&[u8; 32]; 8]) -> Self {
        let value = L::from_bytes(bytes);
        let is_canonical = value.below(&FIELD_PRIME) == Self::ALL;
        Self::new(value, if is_canonical { Kind::Canonical } else { Kind::Tight })
    }

    #[inline(never)]
    fn below(&self, bound: &Words) -> Mask {
        self.value.below(bound)
    }

    #[inline(never)]
    fn from_limbs(limbs: &[[u64; 5]; 8]) -> Self {
        Self { value: L::from_limbs(limbs), kind: Kind::Number }
    }

    #[inline(never)]
    fn canonical_scalar(&self) -> Self {
        Self::new(self.value.canonical_scalar(), Kind::Number)
    }

    #[inline(never)]
    fn split(&self) -> [Halves; 2] {
        self.value.split()
    }

    #[inline(never)]
    fn gather(rows: &[Row], entries: &[u32]) -> (Self, Self, Mask) {
        let (x, y, present) = L::gather(rows, entries);
        (Self::new(x, Kind::Canonical), Self::new(y, Kind::Tight), present)
    }

    fn limbs(&self, lane: usize) -> [u64; 5] {
        self.value.limbs(lane)
    }

    fn set_limbs(&mut self, lane: usize, limbs: [u64; 5]) {
        self.value.set_limbs(lane, limbs);
        // Another kind may come in than the other lanes have: the weaker of the two.
        let is_weaker = self.kind <= Kind::Norm && !fits::<L>(&limbs, self.kind);
        *self = Self::new(self.value, if is_weaker { Kind::Norm } else { self.kind });
    }

    fn set_lane(&mut self, lane: usize, from: &Self, from_lane: usize) {
        self.set_limbs(lane, from.limbs(from_lane));
    }

    #[inline(never)]
    fn select(mask: Mask, a: &Self, b: &Self) -> Self {
        let kind = a.kind.max(b.kind);
        assert!(kind != Kind::Raw || a.kind == b.kind || a.kind <= Kind::Tight || b.kind <= Kind::Tight);
        Self::new(L::select(mask, &a.value, &b.value), kind)
    }

    #[inline(never)]
    fn load(rows: &[Row], places: &[u32; 8]) -> (Self, Self) {
        let (x, y) = L::load(rows, places);
        // A negated row may hold p for y = 0, which is no point; rows of points are canonical.
        (Self::new(x, Kind::Canonical), Self::new(y, Kind::Canonical))
    }

    fn fetch(rows: &[Row], places: &[u32; 8]) {
        L::fetch(rows, places);
    }

    #[inline(never)]
    fn store(x: &Self, y: &Self) -> [Row; 8] {
        assert!(x.kind == Kind::Canonical && y.kind == Kind::Canonical, "store: {:?}, {:?}", x.kind, y.kind);
        L::store(&x.value, &y.value)
    }

    checked! {
        mul(b: is_factor) -> Tight;
        sqr() -> Tight;
        mul_f(b: is_factor) -> Factor;
        sqr_f() -> Factor;
        mul_raw(b: is_factor) -> Raw;
        sqr_raw() -> Raw;
        sqr3_f() -> Factor;
        mul2_f(b: is_factor) -> Factor;
        mul_sub(b: is_factor, c: is_term) -> Norm;
        mul_sub_f(b: is_factor, c: is_term) -> Factor;
        mul_sub8(b: is_factor, c: is_term) -> Norm;
        sqr_sub2(c: is_term, d: is_term) -> Norm;
        sqr_sub_twice(c: is_term, d: is_term) -> Norm;
        sqr_sub8(d: is_term) -> Norm;
        canonical() -> Canonical;
        invert() -> Factor;
    }

    #[inline(never)]
    #[track_caller]
    fn sub(&self, b: &Self) -> Self {
        assert!(self.kind.is_term() && b.kind.is_term(), "sub: {:?}, {:?}", self.kind, b.kind);
        Self::new(self.value.sub(&b.value), Kind::Factor)
    }

    #[inline(never)]
    #[track_caller]
    fn sub4(&self, b: &Self) -> Self {
        assert!(
            self.kind.is_term() && self.kind != Kind::Norm && b.kind.is_term(),
            "sub4: {:?}, {:?}",
            self.kind,
            b.kind
        );
        Self::new(self.value.sub4(&b.value), Kind::Factor)
    }

    #[inline(never)]
    #[track_caller]
    fn add(&self, b: &Self) -> Self {
        assert!(self.kind <= Kind::Norm && b.kind <= Kind::Norm, "add: {:?}, {:?}", self.kind, b.kind);
        Self::new(self.value.add(&b.value), Kind::Loose)
    }

    #[inline(never)]
    #[track_caller]
    fn negate(&self) -> Self {
        assert!(self.kind == Kind::Canonical, "negate: {:?}", self.kind);
        let value = self.value.negate();
        Self::new(value, if self.value.zeros() == 0 { Kind::Canonical } else { Kind::Tight })
    }

    #[inline(never)]
    #[track_caller]
    fn zeros(&self) -> Mask {
        assert!(self.kind.is_factor(), "zeros: {:?}", self.kind);
        self.value.zeros()
    }

    #[inline(never)]
    #[track_caller]
    fn odd(&self) -> Mask {
        assert!(self.kind == Kind::Canonical, "odd: {:?}", self.kind);
        self.value.odd()
    }

    #[inline(never)]
    fn mont(&self, b: &Self, modulus: &Modulus) -> Self {
        for value in [self, b] {
            for lane in 0..L::LANES {
                let limbs = value.value.limbs(lane);
                assert!(limbs[..4].iter().all(|l| *l <= MASK_52) && limbs[4] < 1 << 52, "mont: {limbs:x?}");
            }
        }
        Self::new(self.value.mont(&b.value, modulus), Kind::Number)
    }

    #[inline(never)]
    fn add_limbs(&self, b: &Self) -> Self {
        Self::new(self.value.add_limbs(&b.value), Kind::Number)
    }

    #[inline(never)]
    fn from_u64(words: &[u64; 8]) -> Self {
        Self::new(L::from_u64(words), Kind::Number)
    }
}

//! Stages over secp256k1: recovery of many rows, and sums of many multiples, by which batches are verified.
//!
//! Recovery is u1 G + u2 R, R given by its x and a parity. Its stages run in this order over the same columns, in tiles (`shared/tiles.wgsl`); what each takes is said in its file. `lift` gives R, `double`
//! 2 R, `multiples` and `align` the table of its odd multiples; then window by window `double` and `add_windows` climb u2 R, `rescale`
//! leaves the table's curve, `add_windows` once more adds u1 G from a table of G, and `products`, `invert`, `affine` give the key.
//!
//! Verification: `hints` judges points and puts them into a table; `digits` finds the bucket of each scalar's window, a radix sort puts
//! entries in order, `bounds` finds where each bucket begins, `accumulate` adds parts of buckets up and `join` the parts, and
//! `products`, `invert`, `affine` make what comes of it affine.
//! Derivations: engine/docs/secp256k1.md, section 9.

use crate::{Access, Stage};

/// Rows of a tile: `shared/tiles.wgsl`.
pub const TILE: usize = 64;
/// Words of a row of `rows`: x, parity, two halves of u2, two halves of u1.
pub const ROW_WORDS: usize = 29;
/// Words of a row of what `lift` and `hints` take of points: x, parity.
pub const HINT_WORDS: usize = 9;
/// Words of a row of `lifted`: y, whether there is one.
pub const LIFTED_WORDS: usize = 9;
/// Words of a row of `points`: x, y, z.
pub const POINT_WORDS: usize = 24;
/// Words of a row of `keys`: x, y, verdict.
pub const KEY_WORDS: usize = 17;
/// Words of a row of a column of numbers.
pub const NUMBER_WORDS: usize = 8;
/// Words of a point of a table.
pub const ENTRY_WORDS: usize = 16;
/// Bits of a window of R.
pub const WINDOW: usize = 5;
/// Windows of a half of u2.
pub const WINDOWS: usize = 26;
/// Multiples of R in a row's table.
pub const ENTRIES: usize = 1 << (WINDOW - 1);
/// Flag of `add_windows`: the table is each row's own.
pub const IS_OWN: u32 = 256;
/// Flag of `add_windows`: the sum begins with its first entry.
pub const BEGINS: u32 = 512;

/// The verdict on a row: R is no point.
pub const NOBODY: u32 = 0;
/// The verdict on a row: the key is beside it.
pub const FOUND: u32 = 1;
/// The verdict on a row: a sum met what it cannot add.
pub const MET: u32 = 2;

/// A step of a chain: (n, to, from, by), for to = from^(2^n) by.
pub type Step = [u32; 4];

/// a to the power of 2^223 - 1 and of others on the way: register 1 has 2 ones, 2 has 3 ones, 5 has 22, 3 has 223.
const ONES: [Step; 12] = [
    [1, 1, 0, 0],
    [1, 2, 1, 0],
    [3, 3, 2, 2],
    [3, 3, 3, 2],
    [2, 4, 3, 1],
    [11, 5, 4, 4],
    [22, 6, 5, 5],
    [44, 7, 6, 6],
    [88, 3, 7, 7],
    [44, 3, 3, 6],
    [3, 3, 3, 2],
    [23, 3, 3, 5],
];

/// The chain of (p + 1) / 4: 223 ones, a zero, 22 ones, 0000 11 00.
pub const ROOT: [Step; 15] = ended([[6, 3, 3, 1], [0, 3, 3, 3], [0, 3, 3, 3]]);
/// The chain of p - 2: 223 ones, a zero, 22 ones, 0000 1 0 11 0 1.
pub const INVERSE: [Step; 15] = ended([[5, 3, 3, 0], [3, 3, 3, 1], [2, 3, 3, 0]]);

const fn ended(end: [Step; 3]) -> [Step; 15] {
    let mut chain = [[0; 4]; 15];
    let mut i = 0;
    while i < 15 {
        chain[i] = if i < 12 { ONES[i] } else { end[i - 12] };
        i += 1;
    }
    chain
}

/// All stages, in one flavour of products.
#[derive(Clone, Copy, Debug)]
pub struct Recovery {
    /// R from its x.
    pub lift: Stage,
    /// Doublings.
    pub double: Stage,
    /// Odd multiples of R.
    pub multiples: Stage,
    /// The same over one z.
    pub align: Stage,
    /// Sums with entries of tables.
    pub add_windows: Stage,
    /// Back to the curve.
    pub rescale: Stage,
    /// Products of z.
    pub products: Stage,
    /// Their inverses.
    pub invert: Stage,
    /// Keys and verdicts.
    pub affine: Stage,
    /// Judges points, for verification.
    pub hints: Stage,
    /// Parts of buckets added up.
    pub accumulate: Stage,
    /// Parts of a bucket become one point.
    pub join: Stage,
}

/// Verification: buckets of scalars. Needs no product.
pub static DIGITS: Stage = Stage {
    name: "secp256k1/digits",
    files: &[wgsl!("shared/tiles.wgsl"), wgsl!("secp256k1/digits.wgsl")],
    entry: "digits",
    workgroup_size: 64,
    bindings: &[Access::Params, Access::Read, Access::Read, Access::Write, Access::Write],
    needs_u64: false,
};

/// Verification: where buckets begin. Needs no product.
pub static BOUNDS: Stage = Stage {
    name: "secp256k1/bounds",
    files: &[wgsl!("secp256k1/bounds.wgsl")],
    entry: "bounds",
    workgroup_size: 64,
    bindings: &[Access::Params, Access::Read, Access::Write],
    needs_u64: false,
};

/// A stage of both flavours; its files are those shared ones and its own.
macro_rules! stage {
    ($product:literal, $needs_u64:literal, $name:literal, $suffix:literal, [$($shared:literal),*], [$($access:ident),*]) => {
        Stage {
            name: concat!("secp256k1/", $name, $suffix),
            files: &[
                wgsl!("shared/tiles.wgsl"),
                wgsl!($product),
                wgsl!("shared/field.wgsl"),
                $(wgsl!($shared),)*
                wgsl!("secp256k1/", $name, ".wgsl"),
            ],
            entry: $name,
            workgroup_size: 64,
            bindings: &[Access::Params, $(Access::$access),*],
            needs_u64: $needs_u64,
        }
    };
}

macro_rules! recovery {
    ($product:literal, $needs_u64:literal, $suffix:literal) => {
        Recovery {
            lift: stage!(
                $product,
                $needs_u64,
                "lift",
                $suffix,
                ["shared/points.wgsl", "shared/points_write.wgsl", "shared/power.wgsl"],
                [Read, Read, Write, Write]
            ),
            double: stage!(
                $product,
                $needs_u64,
                "double",
                $suffix,
                ["shared/points.wgsl", "shared/points_write.wgsl"],
                [Write]
            ),
            multiples: stage!(
                $product,
                $needs_u64,
                "multiples",
                $suffix,
                ["shared/points.wgsl", "shared/sum.wgsl"],
                [Read, Read, Read, Write, Write]
            ),
            align: stage!($product, $needs_u64, "align", $suffix, ["shared/points.wgsl"], [Read, Read, Write, Write]),
            add_windows: stage!(
                $product,
                $needs_u64,
                "add_windows",
                $suffix,
                ["shared/points.wgsl", "shared/points_write.wgsl", "shared/sum.wgsl"],
                [Read, Read, Read, Write]
            ),
            rescale: stage!(
                $product,
                $needs_u64,
                "rescale",
                $suffix,
                ["shared/points.wgsl", "shared/points_write.wgsl"],
                [Read, Write]
            ),
            products: stage!($product, $needs_u64, "products", $suffix, ["shared/points.wgsl"], [Read, Write, Write]),
            invert: stage!($product, $needs_u64, "invert", $suffix, ["shared/power.wgsl"], [Read, Write]),
            affine: stage!(
                $product,
                $needs_u64,
                "affine",
                $suffix,
                ["shared/points.wgsl"],
                [Read, Read, Read, Read, Write]
            ),
            hints: stage!($product, $needs_u64, "hints", $suffix, [], [Read, Read, Read, Write, Write]),
            accumulate: stage!(
                $product,
                $needs_u64,
                "accumulate",
                $suffix,
                ["shared/points.wgsl", "shared/points_write.wgsl", "shared/sum.wgsl"],
                [Read, Read, Read, Read, Write]
            ),
            join: stage!(
                $product,
                $needs_u64,
                "join",
                $suffix,
                ["shared/points.wgsl", "shared/points_write.wgsl"],
                [Read, Read, Write, Write]
            ),
        }
    };
}

/// Products from integers of 32 bits.
pub static U32: Recovery = recovery!("shared/field_u32.wgsl", false, "_u32");
/// Products from integers of 64 bits.
pub static U64: Recovery = recovery!("shared/field_u64.wgsl", true, "_u64");

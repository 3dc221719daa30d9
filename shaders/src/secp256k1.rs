//! Stages over secp256k1: recovery of many rows, and sums of many multiples, by which batches are verified.
//!
//! Recovery is u1 G + u2 R, R given by its x and a parity. Its stages run in this order over the same columns, in tiles (`shared/tiles.wgsl`); what each takes is said in its file. `lift` gives R, `double`
//! 2 R, `multiples` and `align` the table of its odd multiples; then window by window `double` and `add_windows` climb u2 R, `rescale`
//! leaves the table's curve, `add_windows` once more adds u1 G from a table of G, and `products`, `invert`, `affine` give the key.
//!
//! Verification: `products` and `invert` once more, mod n, and `weigh` make scalars of rows, `sums` adds them up by signer and `split`
//! halves them; `hints` judges points and puts them into a table; `digits` finds the bucket of each scalar's window, a radix sort puts
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
/// Words of a row of `weights`: b, c.
pub const WEIGHT_WORDS: usize = 4;
/// Words of a row of `terms`: a u1, a u2.
pub const TERM_WORDS: usize = 16;
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

/// The chain of n - 2: registers 1, 2 and 4 have the powers 3, 5 and 7, 5 has 6 ones and 6 has 14; then 127 ones, a zero, and the other
/// 128 bits by these.
pub const INVERSE_OF_SCALAR: [Step; 42] = [
    [1, 1, 0, 0],
    [2, 2, 0, 0],
    [1, 4, 1, 0],
    [3, 5, 4, 4],
    [6, 6, 5, 5],
    [2, 6, 6, 1],
    [14, 7, 6, 6],
    [28, 7, 7, 7],
    [56, 3, 7, 7],
    [14, 3, 3, 6],
    [1, 3, 3, 0],
    [4, 3, 3, 2],
    [2, 3, 3, 1],
    [4, 3, 3, 2],
    [4, 3, 3, 2],
    [2, 3, 3, 1],
    [3, 3, 3, 1],
    [4, 3, 3, 4],
    [5, 3, 3, 4],
    [4, 3, 3, 1],
    [4, 3, 3, 2],
    [4, 3, 3, 4],
    [3, 3, 3, 2],
    [3, 3, 3, 0],
    [6, 3, 3, 2],
    [10, 3, 3, 4],
    [4, 3, 3, 4],
    [7, 3, 3, 5],
    [2, 3, 3, 1],
    [2, 3, 3, 0],
    [3, 3, 3, 0],
    [5, 3, 3, 2],
    [3, 3, 3, 4],
    [2, 3, 3, 0],
    [5, 3, 3, 1],
    [4, 3, 3, 1],
    [2, 3, 3, 0],
    [8, 3, 3, 1],
    [3, 3, 3, 1],
    [3, 3, 3, 0],
    [6, 3, 3, 0],
    [8, 3, 3, 5],
];

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
    /// `products` mod n: of s.
    pub products_of_scalars: Stage,
    /// `invert` mod n.
    pub invert_scalars: Stage,
    /// Scalars of rows.
    pub weigh: Stage,
    /// Halves of sums of scalars.
    pub split: Stage,
}

/// Verification: buckets of scalars. Needs no product.
pub static DIGITS: Stage = Stage {
    name: "secp256k1/digits",
    files: &[wgsl!("shared/tiles.wgsl"), wgsl!("secp256k1/digits.wgsl")],
    entry: "digits",
    workgroup_size: 64,
    bindings: &[Access::Params, Access::Read, Access::Read, Access::Read, Access::Write, Access::Write],
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

/// Verification: sums of scalars. Needs no product.
pub static SUMS: Stage = Stage {
    name: "secp256k1/sums",
    files: &[
        wgsl!("shared/tiles.wgsl"),
        wgsl!("shared/number.wgsl"),
        wgsl!("shared/order.wgsl"),
        wgsl!("secp256k1/sums.wgsl"),
    ],
    entry: "sums",
    workgroup_size: 64,
    bindings: &[Access::Params, Access::Read, Access::Read, Access::Read, Access::Write],
    needs_u64: false,
};

/// A stage of both flavours, mod p or mod n; its files are those shared ones and its own.
macro_rules! stage {
    ($modulus:literal, $($rest:tt)*) => { stage!($modulus "", $($rest)*) };
    (
        $modulus:literal $of:literal, $needs_u64:literal, $name:literal, $suffix:literal, [$($shared:literal),*],
        [$($access:ident),*]
    ) => {
        Stage {
            name: concat!("secp256k1/", $name, $of, $suffix),
            files: &[
                wgsl!("shared/tiles.wgsl"),
                wgsl!("shared/number.wgsl"),
                wgsl!("shared/wide", $suffix, ".wgsl"),
                wgsl!("shared/", $modulus, $suffix, ".wgsl"),
                wgsl!("shared/", $modulus, ".wgsl"),
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
    ($needs_u64:literal, $suffix:literal) => {
        Recovery {
            lift: stage!(
                "field",
                $needs_u64,
                "lift",
                $suffix,
                ["shared/points.wgsl", "shared/points_write.wgsl", "shared/power.wgsl"],
                [Read, Read, Write, Write]
            ),
            double: stage!(
                "field",
                $needs_u64,
                "double",
                $suffix,
                ["shared/points.wgsl", "shared/points_write.wgsl"],
                [Write]
            ),
            multiples: stage!(
                "field",
                $needs_u64,
                "multiples",
                $suffix,
                ["shared/points.wgsl", "shared/sum.wgsl"],
                [Read, Read, Read, Write, Write]
            ),
            align: stage!("field", $needs_u64, "align", $suffix, ["shared/points.wgsl"], [Read, Read, Write, Write]),
            add_windows: stage!(
                "field",
                $needs_u64,
                "add_windows",
                $suffix,
                ["shared/points.wgsl", "shared/points_write.wgsl", "shared/sum.wgsl"],
                [Read, Read, Read, Write]
            ),
            rescale: stage!(
                "field",
                $needs_u64,
                "rescale",
                $suffix,
                ["shared/points.wgsl", "shared/points_write.wgsl"],
                [Read, Write]
            ),
            products: stage!("field", $needs_u64, "products", $suffix, ["shared/points.wgsl"], [Read, Write, Write]),
            invert: stage!("field", $needs_u64, "invert", $suffix, ["shared/power.wgsl"], [Read, Write]),
            affine: stage!(
                "field",
                $needs_u64,
                "affine",
                $suffix,
                ["shared/points.wgsl"],
                [Read, Read, Read, Read, Write]
            ),
            hints: stage!("field", $needs_u64, "hints", $suffix, [], [Read, Read, Read, Write, Write]),
            accumulate: stage!(
                "field",
                $needs_u64,
                "accumulate",
                $suffix,
                ["shared/points.wgsl", "shared/points_write.wgsl", "shared/sum.wgsl"],
                [Read, Read, Read, Read, Write]
            ),
            join: stage!(
                "field",
                $needs_u64,
                "join",
                $suffix,
                ["shared/points.wgsl", "shared/points_write.wgsl"],
                [Read, Read, Write, Write]
            ),
            products_of_scalars: stage!(
                "order" "_of_scalars",
                $needs_u64,
                "products",
                $suffix,
                ["shared/points.wgsl"],
                [Read, Write, Write]
            ),
            invert_scalars: stage!("order" "_of_scalars", $needs_u64, "invert", $suffix, ["shared/power.wgsl"], [Read, Write]),
            weigh: stage!(
                "order",
                $needs_u64,
                "weigh",
                $suffix,
                ["shared/points.wgsl"],
                [Read, Read, Read, Read, Write]
            ),
            split: stage!("order", $needs_u64, "split", $suffix, [], [Read, Read, Write]),
        }
    };
}

/// Products from integers of 32 bits.
pub static U32: Recovery = recovery!(false, "_u32");
/// Products from integers of 64 bits.
pub static U64: Recovery = recovery!(true, "_u64");

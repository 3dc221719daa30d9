//! Twin of `shared/order.wgsl` and of both products, `shared/order_u32.wgsl` and `shared/order_u64.wgsl`.

use super::field::Product;
use super::number::{Element, joined, minus, plus, small, wide_u32, wide_u64};

/// Products mod n, and what of a product lies above 2^384.
pub trait High: Product {
    /// x y / 2^384, rounded to the nearest; that is below 2^128.
    fn high(x: &Element, y: &Element) -> Element;
}

/// Products from integers of 32 bits.
#[derive(Clone, Copy, Debug)]
pub struct U32;

/// Products from integers of 64 bits.
#[derive(Clone, Copy, Debug)]
pub struct U64;

/// 2^256 - n.
pub const EXCESS: Element = [0x2fc9_bebf, 0x402d_a173, 0x50b7_5fc4, 0x4551_2319, 1, 0, 0, 0];

const LOW: u64 = 0xffff_ffff;

impl Product for U32 {
    fn mul(x: &Element, y: &Element) -> Element {
        // 2^260 mod n, and 2^256 - n.
        const D: [u32; 11] = [3056, 1247, 3263, 5166, 45, 7714, 3543, 4769, 4657, 680, 5];
        const E: [u32; 10] = [7871, 7757, 7371, 6978, 1026, 4066, 733, 810, 4387, 2602];
        let p = wide_u32(x, y);
        let fold = |low: &[u32], high: &[u32], out: &mut [u32]| {
            let mut carry = 0;
            for k in 0..out.len() {
                let mut t = carry + if k < 20 { low[k] } else { 0 };
                for i in 0..high.len() {
                    if i <= k && k - i < 11 {
                        t += D[k - i] * high[i];
                    }
                }
                out[k] = t & 8191;
                carry = t >> 13;
            }
            carry
        };
        let (mut q, mut r) = ([0; 30], [0; 20]);
        fold(&p[..20], &p[20..], &mut q);
        let carry = fold(&q[..20], &q[20..], &mut r);
        let top = (r[19] >> 9) | (carry << 4);
        r[19] &= 511;
        let mut g = [0; 20];
        let mut carry = 0;
        for k in 0..20 {
            let t = carry + r[k] + if k < 10 { E[k] * top } else { 0 };
            g[k] = if k < 19 { t & 8191 } else { t };
            carry = t >> 13;
        }
        canonical(&joined(&g), g[19] >> 9)
    }
}

impl High for U32 {
    fn high(x: &Element, y: &Element) -> Element {
        let p = wide_u32(x, y);
        let mut t = p[29] + 64;
        let mut h = [0; 11];
        h[0] = t & 8191;
        for k in 30..40 {
            t = (t >> 13) + p[k];
            h[k - 29] = if k < 39 { t & 8191 } else { t };
        }
        let a = [
            (h[0] >> 7) | (h[1] << 6) | (h[2] << 19),
            h[3] | (h[4] << 13) | (h[5] << 26),
            (h[5] >> 6) | (h[6] << 7) | (h[7] << 20),
            (h[7] >> 12) | (h[8] << 1) | (h[9] << 14) | (h[10] << 27),
        ];
        [a[0], a[1], a[2], a[3], 0, 0, 0, 0]
    }
}

/// x times [`EXCESS`].
fn times_excess(x: &[u64], out: &mut [u64]) {
    for i in 0..x.len() {
        let mut t = 0;
        for j in 0..5 {
            t = x[i] * u64::from(EXCESS[j]) + out[i + j] + (t >> 32);
            out[i + j] = t & LOW;
        }
        out[i + 5] = t >> 32;
    }
}

impl Product for U64 {
    fn mul(x: &Element, y: &Element) -> Element {
        let p = wide_u64(x, y);
        let mut q = [0; 13];
        times_excess(&p[8..], &mut q);
        let mut t = 0;
        for k in 0..13 {
            t = if k < 8 { p[k] } else { 0 } + q[k] + (t >> 32);
            q[k] = t & LOW;
        }
        let mut r = [0; 10];
        times_excess(&q[8..], &mut r);
        t = 0;
        for k in 0..8 {
            t = q[k] + r[k] + (t >> 32);
            r[k] = t & LOW;
        }
        let top = r[8] + (t >> 32);
        let mut out = [0; 8];
        t = 0;
        for k in 0..8 {
            t = r[k] + u64::from(EXCESS[k]) * top + (t >> 32);
            out[k] = (t & LOW) as u32;
        }
        canonical(&out, (t >> 32) as u32)
    }
}

impl High for U64 {
    fn high(x: &Element, y: &Element) -> Element {
        let p = wide_u64(x, y);
        let mut t = p[11] + (1 << 31);
        let mut out = small(0);
        for k in 12..16 {
            t = p[k] + (t >> 32);
            out[k - 12] = (t & LOW) as u32;
        }
        out
    }
}

fn canonical(value: &Element, over: u32) -> Element {
    let above = plus(value, &EXCESS);
    if (over | above.1) != 0 { above.0 } else { *value }
}

/// x + y mod n.
pub fn add(x: &Element, y: &Element) -> Element {
    let (value, over) = plus(x, y);
    canonical(&value, over)
}

/// x - y mod n.
pub fn sub(x: &Element, y: &Element) -> Element {
    let (value, over) = minus(x, y);
    if over == 1 { minus(&value, &EXCESS).0 } else { value }
}

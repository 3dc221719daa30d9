//! Twin of `shared/field.wgsl` and of both products, `shared/field_u32.wgsl` and `shared/field_u64.wgsl`.

pub use super::number::{Element, is_zero, pick, small};
use super::number::{joined, minus, plus, wide_u32, wide_u64};

/// How a product is made.
pub trait Product {
    /// x y mod p, or mod n.
    fn mul(x: &Element, y: &Element) -> Element;
}

/// Products from integers of 32 bits.
#[derive(Clone, Copy, Debug)]
pub struct U32;

/// Products from integers of 64 bits.
#[derive(Clone, Copy, Debug)]
pub struct U64;

impl Product for U32 {
    fn mul(x: &Element, y: &Element) -> Element {
        let p = wide_u32(x, y);
        let mut f = [0; 23];
        let mut carry = 0;
        for k in 0..22 {
            let mut t = carry;
            if k < 20 {
                t += p[k] + 7440 * p[k + 20];
            }
            if (1..21).contains(&k) {
                t += p[k + 19];
            }
            if k >= 2 {
                t += 1024 * p[k + 18];
            }
            f[k] = t & 8191;
            carry = t >> 13;
        }
        f[22] = carry;
        let e =
            [((f[20] << 4) | (f[19] >> 9)) & 8191, ((f[21] << 4) | (f[20] >> 9)) & 8191, (f[22] << 4) | (f[21] >> 9)];
        f[19] &= 511;
        let mut g = [0; 20];
        carry = 0;
        for k in 0..20 {
            let mut t = carry + f[k];
            if k < 3 {
                t += 977 * e[k];
            }
            if (2..5).contains(&k) {
                t += 64 * e[k - 2];
            }
            g[k] = if k < 19 { t & 8191 } else { t };
            carry = t >> 13;
        }
        canonical(&joined(&g), g[19] >> 9)
    }
}

impl Product for U64 {
    fn mul(x: &Element, y: &Element) -> Element {
        const LOW: u64 = 0xffff_ffff;
        let mut p = wide_u64(x, y);
        let mut t = 0;
        for k in 0..8 {
            t = p[k] + 977 * p[k + 8] + if k > 0 { p[k + 7] } else { 0 } + (t >> 32);
            p[k] = t & LOW;
        }
        let h = p[15] + (t >> 32);
        let (h0, h1) = (h & LOW, h >> 32);
        let more = [977 * h0, 977 * h1 + h0, h1, 0, 0, 0, 0, 0];
        let mut r = [0; 8];
        t = 0;
        for k in 0..8 {
            t = p[k] + more[k] + (t >> 32);
            r[k] = (t & LOW) as u32;
        }
        canonical(&r, (t >> 32) as u32)
    }
}

fn canonical(r: &Element, carry: u32) -> Element {
    let mut s = [0; 8];
    s[0] = r[0].wrapping_add(977);
    let mut c = u32::from(s[0] < r[0]) + 1;
    for k in 1..8 {
        s[k] = r[k].wrapping_add(c);
        c = u32::from(s[k] < c);
    }
    if (carry | c) != 0 { s } else { *r }
}

/// x + y mod p.
pub fn add(x: &Element, y: &Element) -> Element {
    let (r, c) = plus(x, y);
    canonical(&r, c)
}

/// x - y mod p.
pub fn sub(x: &Element, y: &Element) -> Element {
    let (d, mut c) = minus(x, y);
    let mut r = [0; 8];
    r[0] = d[0].wrapping_sub(977 * c);
    c += u32::from(r[0] > d[0]);
    for k in 1..8 {
        r[k] = d[k].wrapping_sub(c);
        c = u32::from(r[k] > d[k]);
    }
    r
}

/// 2 x mod p.
pub fn twice(x: &Element) -> Element {
    add(x, x)
}

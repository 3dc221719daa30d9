//! Twin of `shared/field.wgsl` and of both products, `shared/field_u32.wgsl` and `shared/field_u64.wgsl`.

/// A number below p, eight words, the least significant first.
pub type Element = [u32; 8];

/// How a product is made.
pub trait Product {
    /// x y mod p.
    fn mul(x: &Element, y: &Element) -> Element;
}

/// Products from integers of 32 bits.
#[derive(Clone, Copy, Debug)]
pub struct U32;

/// Products from integers of 64 bits.
#[derive(Clone, Copy, Debug)]
pub struct U64;

/// Limbs of 13 bits.
fn limbs(x: &Element) -> [u32; 20] {
    let mut out = [0; 20];
    for i in 0..20 {
        let (word, shift) = (13 * i / 32, 13 * i % 32);
        let mut limb = x[word] >> shift;
        if shift > 19 && word < 7 {
            limb |= x[word + 1] << (32 - shift);
        }
        out[i] = limb & 8191;
    }
    out
}

impl Product for U32 {
    fn mul(x: &Element, y: &Element) -> Element {
        let (x, y) = (limbs(x), limbs(y));
        let mut p = [0; 40];
        let mut carry = 0;
        for k in 0..39 {
            let mut t = carry;
            for i in k.max(19) - 19..=k.min(19) {
                t += x[i] * y[k - i];
            }
            p[k] = t & 8191;
            carry = t >> 13;
        }
        p[39] = carry;
        let mut f = [0; 23];
        carry = 0;
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
        let mut r = [0; 8];
        for i in 0..20 {
            let (word, shift) = (13 * i / 32, 13 * i % 32);
            r[word] |= g[i] << shift;
            if shift > 19 && word < 7 {
                r[word + 1] |= g[i] >> (32 - shift);
            }
        }
        canonical(&r, g[19] >> 9)
    }
}

impl Product for U64 {
    fn mul(x: &Element, y: &Element) -> Element {
        const LOW: u64 = 0xffff_ffff;
        let mut p = [0u64; 16];
        for i in 0..8 {
            let mut t = 0;
            for j in 0..8 {
                t = u64::from(x[i]) * u64::from(y[j]) + p[i + j] + (t >> 32);
                p[i + j] = t & LOW;
            }
            p[i + 8] = t >> 32;
        }
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
    let (mut r, mut c) = ([0; 8], 0);
    for k in 0..8 {
        let t = x[k].wrapping_add(c);
        r[k] = t.wrapping_add(y[k]);
        c = u32::from(t < c) + u32::from(r[k] < t);
    }
    canonical(&r, c)
}

/// x - y mod p.
pub fn sub(x: &Element, y: &Element) -> Element {
    let (mut d, mut c) = ([0; 8], 0);
    for k in 0..8 {
        let t = x[k].wrapping_sub(c);
        d[k] = t.wrapping_sub(y[k]);
        c = u32::from(t > x[k]) + u32::from(d[k] > t);
    }
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

/// A small number.
pub fn small(n: u32) -> Element {
    [n, 0, 0, 0, 0, 0, 0, 0]
}

/// y where it is so, else x.
pub fn pick(x: &Element, y: &Element, is_so: bool) -> Element {
    if is_so { *y } else { *x }
}

/// Whether it is 0.
pub fn is_zero(x: &Element) -> bool {
    *x == [0; 8]
}

//! Twin of `shared/number.wgsl` and of both wide products, `shared/wide_u32.wgsl` and `shared/wide_u64.wgsl`.

/// A number, eight words, the least significant first.
pub type Element = [u32; 8];

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

/// Words of 20 limbs of 13 bits; what the last has beyond 2^256 is left out.
pub(super) fn joined(limbs: &[u32; 20]) -> Element {
    let mut out = [0; 8];
    for i in 0..20 {
        let (word, shift) = (13 * i / 32, 13 * i % 32);
        out[word] |= limbs[i] << shift;
        if shift > 19 && word < 7 {
            out[word + 1] |= limbs[i] >> (32 - shift);
        }
    }
    out
}

/// x y in limbs of 13 bits.
pub(super) fn wide_u32(x: &Element, y: &Element) -> [u32; 40] {
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
    p
}

/// x y in words of 32 bits.
pub(super) fn wide_u64(x: &Element, y: &Element) -> [u64; 16] {
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
    p
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

/// x + y of any numbers: the words, and what wrapped.
pub fn plus(x: &Element, y: &Element) -> (Element, u32) {
    let (mut r, mut c) = ([0; 8], 0);
    for k in 0..8 {
        let t = x[k].wrapping_add(c);
        r[k] = t.wrapping_add(y[k]);
        c = u32::from(t < c) + u32::from(r[k] < t);
    }
    (r, c)
}

/// x - y of any numbers: the words, and what wrapped.
pub fn minus(x: &Element, y: &Element) -> (Element, u32) {
    let (mut r, mut c) = ([0; 8], 0);
    for k in 0..8 {
        let t = x[k].wrapping_sub(c);
        r[k] = t.wrapping_sub(y[k]);
        c = u32::from(t > x[k]) + u32::from(r[k] > t);
    }
    (r, c)
}

//! Twins of `secp256k1/*.wgsl`, `shared/tiles.wgsl`, `shared/points*.wgsl`, `shared/sum.wgsl` and `shared/power.wgsl`.
//!
//! Each is written once for both flavours, over the product.

use super::field::{Element, Product, add, is_zero, pick, small, sub, twice};
use super::number::plus;
use super::order::{self, High};
use crate::secp256k1::{BEGINS, IS_OWN};

/// Where a word of a row is in a column of so many words a row.
pub fn place(word: usize, row: usize, words: usize) -> usize {
    (row / 64 * words + word) * 64 + row % 64
}

/// The number whose first word is there.
pub fn load(column: &[u32], word: usize, row: usize, words: usize) -> Element {
    std::array::from_fn(|k| column[place(word + k, row, words)])
}

/// Writes the number whose first word is there.
pub fn store(column: &mut [u32], word: usize, row: usize, words: usize, value: &Element) {
    for k in 0..8 {
        column[place(word + k, row, words)] = value[k];
    }
}

#[derive(Clone, Copy)]
struct Point {
    x: Element,
    y: Element,
    z: Element,
}

fn load_coordinate(points: &[u32], word: usize, row: usize) -> Element {
    load(points, word, row, 24)
}

fn load_point(points: &[u32], row: usize) -> Point {
    Point {
        x: load_coordinate(points, 0, row),
        y: load_coordinate(points, 8, row),
        z: load_coordinate(points, 16, row),
    }
}

fn store_point(points: &mut [u32], row: usize, point: &Point) {
    store(points, 0, row, 24, &point.x);
    store(points, 8, row, 24, &point.y);
    store(points, 16, row, 24, &point.z);
}

struct Sum {
    point: Point,
    factor: Element,
    rise: Element,
}

fn sum<P: Product>(p: &Point, x: &Element, y: &Element) -> Sum {
    let (mut u, mut s, mut t) = (p.z, *x, *y);
    let (mut cube, mut h, mut r) = (u, u, u);
    for turn in 0..2 {
        let square = P::mul(&u, &u);
        cube = P::mul(&square, &u);
        s = P::mul(&s, &square);
        t = P::mul(&t, &cube);
        if turn == 0 {
            h = sub(&s, &p.x);
            r = sub(&t, &p.y);
            (u, s, t) = (h, p.x, p.y);
        }
    }
    let x_sum = sub(&sub(&P::mul(&r, &r), &cube), &twice(&s));
    let y_sum = sub(&P::mul(&r, &sub(&s, &x_sum)), &t);
    Sum { point: Point { x: x_sum, y: y_sum, z: P::mul(&p.z, &h) }, factor: h, rise: r }
}

fn power<P: Product>(chain: &[u32], base: &Element, steps: u32) -> Element {
    let mut registers = [[0; 8]; 8];
    registers[0] = *base;
    for i in 0..steps as usize {
        let [n, to, from, by] = std::array::from_fn(|k| chain[4 * i + k]);
        let mut value = registers[(from & 7) as usize];
        let by = registers[(by & 7) as usize];
        for turn in 0..=n {
            value = P::mul(&value, &pick(&value, &by, turn == n));
        }
        registers[(to & 7) as usize] = value;
    }
    registers[3]
}

/// Twin of `secp256k1/lift`.
pub fn lift<P: Product>(params: [u32; 4], rows: &[u32], chain: &[u32], lifted: &mut [u32], points: &mut [u32]) {
    for row in 0..params[0] as usize {
        let words = params[3] as usize;
        let x = load(rows, 0, row, words);
        let is_odd = rows[place(8, row, words)] & 1;
        let right_side = add(&P::mul(&P::mul(&x, &x), &x), &small(params[2]));
        let root = power::<P>(chain, &right_side, params[1]);
        let is_point = P::mul(&root, &root) == right_side;
        let y = pick(&root, &sub(&small(0), &root), (root[0] & 1) != is_odd);
        store(lifted, 0, row, 9, &y);
        lifted[place(8, row, 9)] = u32::from(is_point);
        store_point(points, row, &Point { x, y, z: small(1) });
    }
}

/// Twin of `secp256k1/double`.
pub fn double<P: Product>(params: [u32; 4], points: &mut [u32]) {
    for row in 0..params[0] as usize {
        let mut p = load_point(points, row);
        for _ in 0..params[1] {
            let xx = P::mul(&p.x, &p.x);
            let e = add(&twice(&xx), &xx);
            let b = P::mul(&p.y, &p.y);
            let d = twice(&twice(&P::mul(&p.x, &b)));
            let c = twice(&twice(&twice(&P::mul(&b, &b))));
            let z = twice(&P::mul(&p.y, &p.z));
            let x = sub(&P::mul(&e, &e), &twice(&d));
            let y = sub(&P::mul(&e, &sub(&d, &x)), &c);
            p = Point { x, y, z };
        }
        store_point(points, row, &p);
    }
}

fn store_entry(table: &mut [u32], factors: &mut [u32], row: usize, entry: usize, p: &Point, factor: &Element) {
    let t = 256 * row + 16 * entry;
    table[t..t + 8].copy_from_slice(&p.x);
    table[t + 8..t + 16].copy_from_slice(&p.y);
    store(factors, 8 * entry, row, 128, factor);
}

/// Twin of `secp256k1/multiples`.
pub fn multiples<P: Product>(
    params: [u32; 4],
    rows: &[u32],
    lifted: &[u32],
    points: &[u32],
    table: &mut [u32],
    factors: &mut [u32],
) {
    for row in 0..params[0] as usize {
        let x = load(rows, 0, row, 29);
        let y = load(lifted, 0, row, 9);
        let doubled = load_point(points, row);
        let mut p = Point { x: small(0), y: small(0), z: doubled.z };
        for entry in 0..16 {
            let is_first = entry == 0;
            let s = sum::<P>(&p, &pick(&doubled.x, &x, is_first), &pick(&doubled.y, &y, is_first));
            p = s.point;
            if is_first {
                p = Point { x: s.factor, y: s.rise, z: small(1) };
            }
            store_entry(table, factors, row, entry, &p, &pick(&s.factor, &small(1), is_first));
        }
    }
}

/// Twin of `secp256k1/align`.
pub fn align<P: Product>(params: [u32; 4], points: &[u32], factors: &[u32], table: &mut [u32], scale: &mut [u32]) {
    for row in 0..params[0] as usize {
        let mut lacks = small(1);
        for turn in 0..15 {
            let entry = 14 - turn;
            lacks = P::mul(&lacks, &load(factors, 8 * (entry + 1), row, 128));
            let square = P::mul(&lacks, &lacks);
            let t = 256 * row + 16 * entry;
            let x = P::mul(&std::array::from_fn(|k| table[t + k]), &square);
            let y = P::mul(&std::array::from_fn(|k| table[t + 8 + k]), &P::mul(&square, &lacks));
            table[t..t + 8].copy_from_slice(&x);
            table[t + 8..t + 16].copy_from_slice(&y);
        }
        let z = P::mul(&lacks, &load_coordinate(points, 16, row));
        store(scale, 0, row, 8, &z);
    }
}

/// Twin of `secp256k1/add_windows`.
pub fn add_windows<P: Product>(params: [u32; 4], rows: &[u32], table: &[u32], beta: &[u32], points: &mut [u32]) {
    let beta: Element = std::array::from_fn(|k| beta[k]);
    let bits = params[3] & 255;
    let is_own = (params[3] & IS_OWN) != 0;
    let begins = (params[3] & BEGINS) != 0;
    let half = 1 << (bits - 1);
    for row in 0..params[0] as usize {
        let mut p = load_point(points, row);
        for turn in 0..2 * params[2] {
            let window = params[1] + turn / 2;
            let is_second = (turn & 1) != 0;
            let at = window * bits;
            let word = if is_own { 9 } else { 19 } + if is_second { 5 } else { 0 } + (at / 32) as usize;
            let low = rows[place(word, row, 29)];
            let high = rows[place((word + 1).min(28), row, 29)];
            let shift = at % 32;
            let digit = ((low >> shift) | ((high << 1) << (31 - shift))) & (2 * half - 1);
            let is_negative = digit < half;
            let entry = if is_negative { half - 1 - digit } else { digit - half };
            let t = 16 * (if is_own { row } else { window as usize } * half as usize + entry as usize);
            let mut x: Element = std::array::from_fn(|k| table[t + k]);
            let positive: Element = std::array::from_fn(|k| table[t + 8 + k]);
            let y = pick(&positive, &sub(&small(0), &positive), is_negative);
            if is_second {
                x = P::mul(&x, &beta);
            }
            p = if begins && turn == 0 { Point { x, y, z: small(1) } } else { sum::<P>(&p, &x, &y).point };
            p.z = pick(&p.z, &small(0), is_zero(&positive));
        }
        store_point(points, row, &p);
    }
}

/// Twin of `secp256k1/rescale`.
pub fn rescale<P: Product>(params: [u32; 4], scale: &[u32], points: &mut [u32]) {
    for row in 0..params[0] as usize {
        let z = P::mul(&load_coordinate(points, 16, row), &load(scale, 0, row, 8));
        store(points, 16, row, 24, &z);
    }
}

/// Twin of `secp256k1/products`.
pub fn products<P: Product>(params: [u32; 4], points: &[u32], before: &mut [u32], totals: &mut [u32]) {
    let [rows, lanes, each, _] = params.map(|word| word as usize);
    for lane in 0..lanes {
        let mut product = small(1);
        for j in 0..each {
            let row = lane + j * lanes;
            if row >= rows {
                break;
            }
            store(before, 0, row, 8, &product);
            let z = load_coordinate(points, 16, row);
            product = P::mul(&product, &pick(&z, &small(1), is_zero(&z)));
        }
        store(totals, 0, lane, 8, &product);
    }
}

/// Twin of `secp256k1/invert`.
pub fn invert<P: Product>(params: [u32; 4], chain: &[u32], totals: &mut [u32]) {
    for lane in 0..params[0] as usize {
        let inverse = power::<P>(chain, &load(totals, 0, lane, 8), params[1]);
        store(totals, 0, lane, 8, &inverse);
    }
}

/// Twin of `secp256k1/affine`.
pub fn affine<P: Product>(
    params: [u32; 4],
    points: &[u32],
    flags: &[u32],
    before: &[u32],
    totals: &[u32],
    keys: &mut [u32],
) {
    let [rows, lanes, each, words] = params.map(|word| word as usize);
    for lane in 0..lanes {
        let mut inverse = load(totals, 0, lane, 8);
        for turn in 0..each {
            let row = lane + (each - 1 - turn) * lanes;
            if row >= rows {
                continue;
            }
            let product = load(before, 0, row, 8);
            let p = load_point(points, row);
            let is_met = is_zero(&p.z);
            let own = P::mul(&inverse, &product);
            inverse = P::mul(&inverse, &pick(&p.z, &small(1), is_met));
            let square = P::mul(&own, &own);
            store(keys, 0, row, 17, &P::mul(&p.x, &square));
            store(keys, 8, row, 17, &P::mul(&p.y, &P::mul(&square, &own)));
            let is_there = flags[place(words - 1, row, words)] == 1;
            let verdict = if is_met { 2 } else { 1 };
            keys[place(16, row, 17)] = if is_there { verdict } else { 0 };
        }
    }
}

fn entry(table: &[u32], place: usize) -> Element {
    std::array::from_fn(|k| table[place + k])
}

/// Twin of `secp256k1/hints`.
pub fn hints<P: Product>(
    params: [u32; 4],
    rows: &[u32],
    lifted: &[u32],
    beta: &[u32],
    table: &mut [u32],
    verdicts: &mut [u32],
) {
    for row in 0..params[0] as usize {
        let words = params[2] as usize;
        let x = load(rows, 0, row, words);
        let is_odd = rows[place(8, row, words)] & 1;
        let y = load(lifted, 0, row, 9);
        let right_side = add(&P::mul(&P::mul(&x, &x), &x), &small(params[1]));
        let is_point = P::mul(&y, &y) == right_side && lifted[place(8, row, 9)] != 0;
        let image = P::mul(&x, &entry(beta, 0));
        let to = params[3] as usize + row;
        verdicts[to] = u32::from(is_point && (y[0] & 1) == is_odd);
        let t = 32 * to;
        table[t..t + 8].copy_from_slice(&x);
        table[t + 8..t + 16].copy_from_slice(&y);
        table[t + 16..t + 24].copy_from_slice(&image);
        table[t + 24..t + 32].copy_from_slice(&y);
    }
}

/// Twin of `secp256k1/digits`.
pub fn digits(
    params: [u32; 4],
    windows: &[u32],
    scalars: &[u32],
    points: &[u32],
    keys: &mut [u32],
    payloads: &mut [u32],
) {
    let (count, words) = (params[2] & 255, (params[2] >> 8) as usize);
    for i in 0..params[0] {
        let is_negative = scalars[place(words - 1, i as usize, words)] >> 31;
        let point = 2 * points[i as usize / 2] + (i & 1);
        for w in 0..count {
            let [start, width, first, all] = std::array::from_fn(|k| windows[4 * w as usize + k]);
            let (word, shift) = ((start / 32) as usize, start % 32);
            let low = scalars[place(word, i as usize, words)];
            let high = scalars[place((word + 1).min(words - 1), i as usize, words)];
            let bits = width + u32::from(w + 1 == count);
            let v = ((low >> shift) | ((high << 1) << (31 - shift))) & ((1 << bits) - 1);
            let half = 1 << (width - 1);
            let is_below = v < half;
            let size = if is_below { half - v } else { v - half };
            let e = (params[3] + w * params[0] + i) as usize;
            keys[e] = if size == 0 { all } else { first + (size & (half - 1)) };
            payloads[e] = (point << 1) | (u32::from(is_below) ^ is_negative);
        }
    }
}

/// Twin of `secp256k1/bounds`.
pub fn bounds(params: [u32; 4], keys: &[u32], starts: &mut [u32]) {
    for bucket in 0..=params[0] {
        let (mut low, mut high) = (0, params[1]);
        for _ in 0..params[2] {
            if low < high {
                let middle = low + (high - low) / 2;
                if keys[middle as usize] < bucket {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
        }
        starts[bucket as usize] = low;
    }
}

/// Twin of `secp256k1/accumulate`.
pub fn accumulate<P: Product>(
    params: [u32; 4],
    starts: &[u32],
    order: &[u32],
    payloads: &[u32],
    table: &[u32],
    points: &mut [u32],
) {
    let [buckets, parts, from, turns] = params;
    for row in 0..buckets * parts {
        let bucket = (row / parts) as usize;
        let first = starts[bucket] + row % parts;
        let end = starts[bucket + 1];
        if first + from * parts >= end {
            continue;
        }
        let row = row as usize;
        let mut p = Point { x: small(0), y: small(0), z: small(0) };
        if from > 0 {
            p = load_point(points, row);
        }
        for turn in from..from + turns {
            let i = first + turn * parts;
            if i >= end {
                break;
            }
            let payload = payloads[order[i as usize] as usize];
            let t = 16 * (payload >> 1) as usize;
            let (x, positive) = (entry(table, t), entry(table, t + 8));
            let y = pick(&positive, &sub(&small(0), &positive), (payload & 1) == 1);
            p = if turn == 0 { Point { x, y, z: small(1) } } else { sum::<P>(&p, &x, &y).point };
        }
        store_point(points, row, &p);
    }
}

fn sum_of_points<P: Product>(p: &Point, q: &Point) -> Point {
    let (mut u, mut s, mut t) = (q.z, p.x, p.y);
    let (mut cube, mut x, mut y, mut h, mut r) = (u, s, t, u, u);
    for turn in 0..3 {
        let square = P::mul(&u, &u);
        cube = P::mul(&square, &u);
        s = P::mul(&s, &square);
        t = P::mul(&t, &cube);
        if turn == 0 {
            (x, y) = (s, t);
            (u, s, t) = (p.z, q.x, q.y);
        } else if turn == 1 {
            h = sub(&s, &x);
            r = sub(&t, &y);
            (u, s, t) = (h, x, y);
        }
    }
    let x_sum = sub(&sub(&P::mul(&r, &r), &cube), &twice(&s));
    let y_sum = sub(&P::mul(&r, &sub(&s, &x_sum)), &t);
    Point { x: x_sum, y: y_sum, z: P::mul(&P::mul(&p.z, &q.z), &h) }
}

/// Twin of `secp256k1/join`.
pub fn join<P: Product>(params: [u32; 4], starts: &[u32], parts: &[u32], points: &mut [u32], flags: &mut [u32]) {
    let [buckets, each, turns, _] = params;
    for bucket in 0..buckets as usize {
        let entries = starts[bucket + 1] - starts[bucket];
        let row = bucket * each as usize;
        let mut p = Point { x: small(0), y: small(0), z: small(0) };
        if entries > 0 {
            p = load_point(parts, row);
        }
        for part in 1..each.min(entries) as usize {
            p = sum_of_points::<P>(&p, &load_point(parts, row + part));
        }
        if entries > each * turns {
            p.z = small(0);
        }
        store_point(points, bucket, &p);
        flags[bucket] = u32::from(entries > 0);
    }
}

/// The eigenvalue of the endomorphism.
const LAMBDA: Element =
    [0x1b23_bd72, 0xdf02_967c, 0x2081_6678, 0x122e_22ea, 0x8812_645a, 0xa526_1c02, 0xc05c_30e0, 0x5363_ad4c];

/// Twin of `secp256k1/weigh`.
pub fn weigh<P: Product>(
    params: [u32; 4],
    points: &[u32],
    before: &[u32],
    totals: &[u32],
    weights: &[u32],
    terms: &mut [u32],
) {
    let [rows, lanes, each, _] = params.map(|word| word as usize);
    for lane in 0..lanes {
        let mut inverse = load(totals, 0, lane, 8);
        for turn in 0..each {
            let row = lane + (each - 1 - turn) * lanes;
            if row >= rows {
                continue;
            }
            let product = load(before, 0, row, 8);
            let s = load_coordinate(points, 16, row);
            let own = P::mul(&inverse, &product);
            inverse = P::mul(&inverse, &pick(&s, &small(1), is_zero(&s)));
            let weight = |k| [weights[place(k, row, 4)], weights[place(k + 1, row, 4)], 0, 0, 0, 0, 0, 0];
            let share = P::mul(&order::add(&P::mul(&weight(2), &LAMBDA), &weight(0)), &own);
            store(terms, 0, row, 16, &P::mul(&share, &load_coordinate(points, 0, row)));
            store(terms, 8, row, 16, &P::mul(&share, &load_coordinate(points, 8, row)));
        }
    }
}

/// Twin of `secp256k1/sums`.
pub fn sums(params: [u32; 4], starts: &[u32], order: &[u32], terms: &[u32], out: &mut [u32]) {
    let [count, word, words, how] = params.map(|word| word as usize);
    for i in 0..count {
        let mut sum = small(0);
        for at in starts[i]..starts[i + 1] {
            let row = if how & 1 == 1 { order[at as usize] } else { at };
            sum = order::add(&sum, &load(terms, word, row as usize, words));
        }
        store(out, 0, how / 2 + i, 8, &sum);
    }
}

fn store_half(scalars: &mut [u32], bias: &[u32], row: usize, half: &Element) {
    let is_negative = half[7] >> 31 == 1;
    let size = pick(half, &order::sub(&small(0), half), is_negative);
    let (biased, _) = plus(&size, &[bias[0], bias[1], bias[2], bias[3], bias[4], 0, 0, 0]);
    for k in 0..5 {
        scalars[place(k, row, 5)] = biased[k];
    }
    scalars[place(4, row, 5)] |= if is_negative { 0x8000_0000 } else { 0 };
}

/// Twin of `secp256k1/split`.
pub fn split<P: High>(params: [u32; 4], sums: &[u32], bias: &[u32], scalars: &mut [u32]) {
    const ROUND_1: Element =
        [0x45db_b031, 0xe893_209a, 0x71e8_ca7f, 0x3daa_8a14, 0x9284_eb15, 0xe86c_90e4, 0xa7d4_6bcd, 0x3086_d221];
    const ROUND_2: Element =
        [0x8ac4_7f71, 0x1571_b4ae, 0x9df5_06c6, 0x2212_08ac, 0x0abf_e4c4, 0x6f54_7fa9, 0x010e_8828, 0xe443_7ed6];
    const MINUS_B1: Element = [0x0abf_e4c3, 0x6f54_7fa9, 0x010e_8828, 0xe443_7ed6, 0, 0, 0, 0];
    const A1: Element = [0x9284_eb15, 0xe86c_90e4, 0xa7d4_6bcd, 0x3086_d221, 0, 0, 0, 0];
    for i in 0..params[0] as usize {
        let k = load(sums, 0, i, 8);
        let b = order::sub(&P::mul(&P::high(&k, &ROUND_1), &MINUS_B1), &P::mul(&P::high(&k, &ROUND_2), &A1));
        store_half(scalars, bias, 2 * i, &order::sub(&k, &P::mul(&b, &LAMBDA)));
        store_half(scalars, bias, 2 * i + 1, &b);
    }
}

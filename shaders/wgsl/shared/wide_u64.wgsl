// Products of two numbers of 256 bits from integers of 64 bits: words of 32 bits, row by row. Needs SHADER_INT64, which covers
// arithmetic, not loads and stores. Goes behind shared/number.wgsl, which says what an `Element` is.
//
// Bounds: a product of two words and two words more fit: (2^32 - 1)^2 + 2 (2^32 - 1) = 2^64 - 1.

// Words of 32 bits, the least significant first.
struct Wide {
    p0: u64,
    p1: u64,
    p2: u64,
    p3: u64,
    p4: u64,
    p5: u64,
    p6: u64,
    p7: u64,
    p8: u64,
    p9: u64,
    p10: u64,
    p11: u64,
    p12: u64,
    p13: u64,
    p14: u64,
    p15: u64,
}

fn wide(x: Element, y: Element) -> Wide {
    let x0 = u64(x.a.x);
    let x1 = u64(x.a.y);
    let x2 = u64(x.a.z);
    let x3 = u64(x.a.w);
    let x4 = u64(x.b.x);
    let x5 = u64(x.b.y);
    let x6 = u64(x.b.z);
    let x7 = u64(x.b.w);
    let y0 = u64(y.a.x);
    let y1 = u64(y.a.y);
    let y2 = u64(y.a.z);
    let y3 = u64(y.a.w);
    let y4 = u64(y.b.x);
    let y5 = u64(y.b.y);
    let y6 = u64(y.b.z);
    let y7 = u64(y.b.w);
    var t = x0 * y0;
    var p0 = t & 0xfffffffflu;
    t = x0 * y1 + (t >> 32u);
    var p1 = t & 0xfffffffflu;
    t = x0 * y2 + (t >> 32u);
    var p2 = t & 0xfffffffflu;
    t = x0 * y3 + (t >> 32u);
    var p3 = t & 0xfffffffflu;
    t = x0 * y4 + (t >> 32u);
    var p4 = t & 0xfffffffflu;
    t = x0 * y5 + (t >> 32u);
    var p5 = t & 0xfffffffflu;
    t = x0 * y6 + (t >> 32u);
    var p6 = t & 0xfffffffflu;
    t = x0 * y7 + (t >> 32u);
    var p7 = t & 0xfffffffflu;
    var p8 = t >> 32u;
    t = x1 * y0 + p1;
    p1 = t & 0xfffffffflu;
    t = x1 * y1 + p2 + (t >> 32u);
    p2 = t & 0xfffffffflu;
    t = x1 * y2 + p3 + (t >> 32u);
    p3 = t & 0xfffffffflu;
    t = x1 * y3 + p4 + (t >> 32u);
    p4 = t & 0xfffffffflu;
    t = x1 * y4 + p5 + (t >> 32u);
    p5 = t & 0xfffffffflu;
    t = x1 * y5 + p6 + (t >> 32u);
    p6 = t & 0xfffffffflu;
    t = x1 * y6 + p7 + (t >> 32u);
    p7 = t & 0xfffffffflu;
    t = x1 * y7 + p8 + (t >> 32u);
    p8 = t & 0xfffffffflu;
    var p9 = t >> 32u;
    t = x2 * y0 + p2;
    p2 = t & 0xfffffffflu;
    t = x2 * y1 + p3 + (t >> 32u);
    p3 = t & 0xfffffffflu;
    t = x2 * y2 + p4 + (t >> 32u);
    p4 = t & 0xfffffffflu;
    t = x2 * y3 + p5 + (t >> 32u);
    p5 = t & 0xfffffffflu;
    t = x2 * y4 + p6 + (t >> 32u);
    p6 = t & 0xfffffffflu;
    t = x2 * y5 + p7 + (t >> 32u);
    p7 = t & 0xfffffffflu;
    t = x2 * y6 + p8 + (t >> 32u);
    p8 = t & 0xfffffffflu;
    t = x2 * y7 + p9 + (t >> 32u);
    p9 = t & 0xfffffffflu;
    var p10 = t >> 32u;
    t = x3 * y0 + p3;
    p3 = t & 0xfffffffflu;
    t = x3 * y1 + p4 + (t >> 32u);
    p4 = t & 0xfffffffflu;
    t = x3 * y2 + p5 + (t >> 32u);
    p5 = t & 0xfffffffflu;
    t = x3 * y3 + p6 + (t >> 32u);
    p6 = t & 0xfffffffflu;
    t = x3 * y4 + p7 + (t >> 32u);
    p7 = t & 0xfffffffflu;
    t = x3 * y5 + p8 + (t >> 32u);
    p8 = t & 0xfffffffflu;
    t = x3 * y6 + p9 + (t >> 32u);
    p9 = t & 0xfffffffflu;
    t = x3 * y7 + p10 + (t >> 32u);
    p10 = t & 0xfffffffflu;
    var p11 = t >> 32u;
    t = x4 * y0 + p4;
    p4 = t & 0xfffffffflu;
    t = x4 * y1 + p5 + (t >> 32u);
    p5 = t & 0xfffffffflu;
    t = x4 * y2 + p6 + (t >> 32u);
    p6 = t & 0xfffffffflu;
    t = x4 * y3 + p7 + (t >> 32u);
    p7 = t & 0xfffffffflu;
    t = x4 * y4 + p8 + (t >> 32u);
    p8 = t & 0xfffffffflu;
    t = x4 * y5 + p9 + (t >> 32u);
    p9 = t & 0xfffffffflu;
    t = x4 * y6 + p10 + (t >> 32u);
    p10 = t & 0xfffffffflu;
    t = x4 * y7 + p11 + (t >> 32u);
    p11 = t & 0xfffffffflu;
    var p12 = t >> 32u;
    t = x5 * y0 + p5;
    p5 = t & 0xfffffffflu;
    t = x5 * y1 + p6 + (t >> 32u);
    p6 = t & 0xfffffffflu;
    t = x5 * y2 + p7 + (t >> 32u);
    p7 = t & 0xfffffffflu;
    t = x5 * y3 + p8 + (t >> 32u);
    p8 = t & 0xfffffffflu;
    t = x5 * y4 + p9 + (t >> 32u);
    p9 = t & 0xfffffffflu;
    t = x5 * y5 + p10 + (t >> 32u);
    p10 = t & 0xfffffffflu;
    t = x5 * y6 + p11 + (t >> 32u);
    p11 = t & 0xfffffffflu;
    t = x5 * y7 + p12 + (t >> 32u);
    p12 = t & 0xfffffffflu;
    var p13 = t >> 32u;
    t = x6 * y0 + p6;
    p6 = t & 0xfffffffflu;
    t = x6 * y1 + p7 + (t >> 32u);
    p7 = t & 0xfffffffflu;
    t = x6 * y2 + p8 + (t >> 32u);
    p8 = t & 0xfffffffflu;
    t = x6 * y3 + p9 + (t >> 32u);
    p9 = t & 0xfffffffflu;
    t = x6 * y4 + p10 + (t >> 32u);
    p10 = t & 0xfffffffflu;
    t = x6 * y5 + p11 + (t >> 32u);
    p11 = t & 0xfffffffflu;
    t = x6 * y6 + p12 + (t >> 32u);
    p12 = t & 0xfffffffflu;
    t = x6 * y7 + p13 + (t >> 32u);
    p13 = t & 0xfffffffflu;
    var p14 = t >> 32u;
    t = x7 * y0 + p7;
    p7 = t & 0xfffffffflu;
    t = x7 * y1 + p8 + (t >> 32u);
    p8 = t & 0xfffffffflu;
    t = x7 * y2 + p9 + (t >> 32u);
    p9 = t & 0xfffffffflu;
    t = x7 * y3 + p10 + (t >> 32u);
    p10 = t & 0xfffffffflu;
    t = x7 * y4 + p11 + (t >> 32u);
    p11 = t & 0xfffffffflu;
    t = x7 * y5 + p12 + (t >> 32u);
    p12 = t & 0xfffffffflu;
    t = x7 * y6 + p13 + (t >> 32u);
    p13 = t & 0xfffffffflu;
    t = x7 * y7 + p14 + (t >> 32u);
    p14 = t & 0xfffffffflu;
    var p15 = t >> 32u;
    return Wide(p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12, p13, p14, p15);
}

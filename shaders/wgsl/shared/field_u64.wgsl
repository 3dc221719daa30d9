// Products mod p = 2^256 - 2^32 - 977 from integers of 64 bits: shared/wide_u64.wgsl, reduced. Goes before shared/field.wgsl.
//
// Bounds: a product of two words and two words more fit: (2^32 - 1)^2 + 2 (2^32 - 1) = 2^64 - 1.

fn mul(x: Element, y: Element) -> Element {
    let w = wide(x, y);
    // Words 8 to 15 are worth 2^256 = 2^32 + 977 times as much as words 0 to 7.
    var t = w.p0 + 977lu * w.p8;
    let f0 = t & 0xfffffffflu;
    t = w.p1 + 977lu * w.p9 + w.p8 + (t >> 32u);
    let f1 = t & 0xfffffffflu;
    t = w.p2 + 977lu * w.p10 + w.p9 + (t >> 32u);
    let f2 = t & 0xfffffffflu;
    t = w.p3 + 977lu * w.p11 + w.p10 + (t >> 32u);
    let f3 = t & 0xfffffffflu;
    t = w.p4 + 977lu * w.p12 + w.p11 + (t >> 32u);
    let f4 = t & 0xfffffffflu;
    t = w.p5 + 977lu * w.p13 + w.p12 + (t >> 32u);
    let f5 = t & 0xfffffffflu;
    t = w.p6 + 977lu * w.p14 + w.p13 + (t >> 32u);
    let f6 = t & 0xfffffffflu;
    t = w.p7 + 977lu * w.p15 + w.p14 + (t >> 32u);
    let f7 = t & 0xfffffffflu;
    // What lies above 2^256 again: below 2^34.
    let h = w.p15 + (t >> 32u);
    let h0 = h & 0xfffffffflu;
    let h1 = h >> 32u;
    t = f0 + 977lu * h0;
    let r0 = u32(t & 0xfffffffflu);
    t = f1 + 977lu * h1 + h0 + (t >> 32u);
    let r1 = u32(t & 0xfffffffflu);
    t = f2 + h1 + (t >> 32u);
    let r2 = u32(t & 0xfffffffflu);
    t = f3 + (t >> 32u);
    let r3 = u32(t & 0xfffffffflu);
    t = f4 + (t >> 32u);
    let r4 = u32(t & 0xfffffffflu);
    t = f5 + (t >> 32u);
    let r5 = u32(t & 0xfffffffflu);
    t = f6 + (t >> 32u);
    let r6 = u32(t & 0xfffffffflu);
    t = f7 + (t >> 32u);
    let r7 = u32(t & 0xfffffffflu);
    return canonical(vec4<u32>(r0, r1, r2, r3), vec4<u32>(r4, r5, r6, r7), u32(t >> 32u));
}

// Products of two numbers of 256 bits from integers of 32 bits: limbs of 13 bits, of which twenty products fit a word. Needs nothing
// that an adapter may lack. Goes behind shared/number.wgsl, which says what an `Element` is.
//
// Bounds: a limb is below 2^13, but for limb 19, which is below 2^9. A column has at most 20 products and a carry below 2^19:
// 20 (2^13 - 1)^2 + 2^19 < 2^31.

// Limbs of 13 bits, the least significant first.
struct Wide {
    p0: u32,
    p1: u32,
    p2: u32,
    p3: u32,
    p4: u32,
    p5: u32,
    p6: u32,
    p7: u32,
    p8: u32,
    p9: u32,
    p10: u32,
    p11: u32,
    p12: u32,
    p13: u32,
    p14: u32,
    p15: u32,
    p16: u32,
    p17: u32,
    p18: u32,
    p19: u32,
    p20: u32,
    p21: u32,
    p22: u32,
    p23: u32,
    p24: u32,
    p25: u32,
    p26: u32,
    p27: u32,
    p28: u32,
    p29: u32,
    p30: u32,
    p31: u32,
    p32: u32,
    p33: u32,
    p34: u32,
    p35: u32,
    p36: u32,
    p37: u32,
    p38: u32,
    p39: u32,
}

fn wide(x: Element, y: Element) -> Wide {
    let x0 = x.a.x & 8191u;
    let x1 = (x.a.x >> 13u) & 8191u;
    let x2 = ((x.a.x >> 26u) | (x.a.y << 6u)) & 8191u;
    let x3 = (x.a.y >> 7u) & 8191u;
    let x4 = ((x.a.y >> 20u) | (x.a.z << 12u)) & 8191u;
    let x5 = (x.a.z >> 1u) & 8191u;
    let x6 = (x.a.z >> 14u) & 8191u;
    let x7 = ((x.a.z >> 27u) | (x.a.w << 5u)) & 8191u;
    let x8 = (x.a.w >> 8u) & 8191u;
    let x9 = ((x.a.w >> 21u) | (x.b.x << 11u)) & 8191u;
    let x10 = (x.b.x >> 2u) & 8191u;
    let x11 = (x.b.x >> 15u) & 8191u;
    let x12 = ((x.b.x >> 28u) | (x.b.y << 4u)) & 8191u;
    let x13 = (x.b.y >> 9u) & 8191u;
    let x14 = ((x.b.y >> 22u) | (x.b.z << 10u)) & 8191u;
    let x15 = (x.b.z >> 3u) & 8191u;
    let x16 = (x.b.z >> 16u) & 8191u;
    let x17 = ((x.b.z >> 29u) | (x.b.w << 3u)) & 8191u;
    let x18 = (x.b.w >> 10u) & 8191u;
    let x19 = x.b.w >> 23u;
    let y0 = y.a.x & 8191u;
    let y1 = (y.a.x >> 13u) & 8191u;
    let y2 = ((y.a.x >> 26u) | (y.a.y << 6u)) & 8191u;
    let y3 = (y.a.y >> 7u) & 8191u;
    let y4 = ((y.a.y >> 20u) | (y.a.z << 12u)) & 8191u;
    let y5 = (y.a.z >> 1u) & 8191u;
    let y6 = (y.a.z >> 14u) & 8191u;
    let y7 = ((y.a.z >> 27u) | (y.a.w << 5u)) & 8191u;
    let y8 = (y.a.w >> 8u) & 8191u;
    let y9 = ((y.a.w >> 21u) | (y.b.x << 11u)) & 8191u;
    let y10 = (y.b.x >> 2u) & 8191u;
    let y11 = (y.b.x >> 15u) & 8191u;
    let y12 = ((y.b.x >> 28u) | (y.b.y << 4u)) & 8191u;
    let y13 = (y.b.y >> 9u) & 8191u;
    let y14 = ((y.b.y >> 22u) | (y.b.z << 10u)) & 8191u;
    let y15 = (y.b.z >> 3u) & 8191u;
    let y16 = (y.b.z >> 16u) & 8191u;
    let y17 = ((y.b.z >> 29u) | (y.b.w << 3u)) & 8191u;
    let y18 = (y.b.w >> 10u) & 8191u;
    let y19 = y.b.w >> 23u;
    var t = x0 * y0;
    let p0 = t & 8191u;
    t = (t >> 13u) + x0 * y1 + x1 * y0;
    let p1 = t & 8191u;
    t = (t >> 13u) + x0 * y2 + x1 * y1 + x2 * y0;
    let p2 = t & 8191u;
    t = (t >> 13u) + x0 * y3 + x1 * y2 + x2 * y1 + x3 * y0;
    let p3 = t & 8191u;
    t = (t >> 13u) + x0 * y4 + x1 * y3 + x2 * y2 + x3 * y1 + x4 * y0;
    let p4 = t & 8191u;
    t = (t >> 13u) + x0 * y5 + x1 * y4 + x2 * y3 + x3 * y2 + x4 * y1 + x5 * y0;
    let p5 = t & 8191u;
    t = (t >> 13u) + x0 * y6 + x1 * y5 + x2 * y4 + x3 * y3 + x4 * y2 + x5 * y1 + x6 * y0;
    let p6 = t & 8191u;
    t = (t >> 13u) + x0 * y7 + x1 * y6 + x2 * y5 + x3 * y4 + x4 * y3 + x5 * y2 + x6 * y1 + x7 * y0;
    let p7 = t & 8191u;
    t = (t >> 13u) + x0 * y8 + x1 * y7 + x2 * y6 + x3 * y5 + x4 * y4 + x5 * y3 + x6 * y2 + x7 * y1 + x8 * y0;
    let p8 = t & 8191u;
    t = (t >> 13u) + x0 * y9 + x1 * y8 + x2 * y7 + x3 * y6 + x4 * y5 + x5 * y4 + x6 * y3 + x7 * y2 + x8 * y1
        + x9 * y0;
    let p9 = t & 8191u;
    t = (t >> 13u) + x0 * y10 + x1 * y9 + x2 * y8 + x3 * y7 + x4 * y6 + x5 * y5 + x6 * y4 + x7 * y3 + x8 * y2
        + x9 * y1 + x10 * y0;
    let p10 = t & 8191u;
    t = (t >> 13u) + x0 * y11 + x1 * y10 + x2 * y9 + x3 * y8 + x4 * y7 + x5 * y6 + x6 * y5 + x7 * y4 + x8 * y3
        + x9 * y2 + x10 * y1 + x11 * y0;
    let p11 = t & 8191u;
    t = (t >> 13u) + x0 * y12 + x1 * y11 + x2 * y10 + x3 * y9 + x4 * y8 + x5 * y7 + x6 * y6 + x7 * y5 + x8 * y4
        + x9 * y3 + x10 * y2 + x11 * y1 + x12 * y0;
    let p12 = t & 8191u;
    t = (t >> 13u) + x0 * y13 + x1 * y12 + x2 * y11 + x3 * y10 + x4 * y9 + x5 * y8 + x6 * y7 + x7 * y6 + x8 * y5
        + x9 * y4 + x10 * y3 + x11 * y2 + x12 * y1 + x13 * y0;
    let p13 = t & 8191u;
    t = (t >> 13u) + x0 * y14 + x1 * y13 + x2 * y12 + x3 * y11 + x4 * y10 + x5 * y9 + x6 * y8 + x7 * y7
        + x8 * y6 + x9 * y5 + x10 * y4 + x11 * y3 + x12 * y2 + x13 * y1 + x14 * y0;
    let p14 = t & 8191u;
    t = (t >> 13u) + x0 * y15 + x1 * y14 + x2 * y13 + x3 * y12 + x4 * y11 + x5 * y10 + x6 * y9 + x7 * y8
        + x8 * y7 + x9 * y6 + x10 * y5 + x11 * y4 + x12 * y3 + x13 * y2 + x14 * y1 + x15 * y0;
    let p15 = t & 8191u;
    t = (t >> 13u) + x0 * y16 + x1 * y15 + x2 * y14 + x3 * y13 + x4 * y12 + x5 * y11 + x6 * y10 + x7 * y9
        + x8 * y8 + x9 * y7 + x10 * y6 + x11 * y5 + x12 * y4 + x13 * y3 + x14 * y2 + x15 * y1 + x16 * y0;
    let p16 = t & 8191u;
    t = (t >> 13u) + x0 * y17 + x1 * y16 + x2 * y15 + x3 * y14 + x4 * y13 + x5 * y12 + x6 * y11 + x7 * y10
        + x8 * y9 + x9 * y8 + x10 * y7 + x11 * y6 + x12 * y5 + x13 * y4 + x14 * y3 + x15 * y2 + x16 * y1
        + x17 * y0;
    let p17 = t & 8191u;
    t = (t >> 13u) + x0 * y18 + x1 * y17 + x2 * y16 + x3 * y15 + x4 * y14 + x5 * y13 + x6 * y12 + x7 * y11
        + x8 * y10 + x9 * y9 + x10 * y8 + x11 * y7 + x12 * y6 + x13 * y5 + x14 * y4 + x15 * y3 + x16 * y2
        + x17 * y1 + x18 * y0;
    let p18 = t & 8191u;
    t = (t >> 13u) + x0 * y19 + x1 * y18 + x2 * y17 + x3 * y16 + x4 * y15 + x5 * y14 + x6 * y13 + x7 * y12
        + x8 * y11 + x9 * y10 + x10 * y9 + x11 * y8 + x12 * y7 + x13 * y6 + x14 * y5 + x15 * y4 + x16 * y3
        + x17 * y2 + x18 * y1 + x19 * y0;
    let p19 = t & 8191u;
    t = (t >> 13u) + x1 * y19 + x2 * y18 + x3 * y17 + x4 * y16 + x5 * y15 + x6 * y14 + x7 * y13 + x8 * y12
        + x9 * y11 + x10 * y10 + x11 * y9 + x12 * y8 + x13 * y7 + x14 * y6 + x15 * y5 + x16 * y4 + x17 * y3
        + x18 * y2 + x19 * y1;
    let p20 = t & 8191u;
    t = (t >> 13u) + x2 * y19 + x3 * y18 + x4 * y17 + x5 * y16 + x6 * y15 + x7 * y14 + x8 * y13 + x9 * y12
        + x10 * y11 + x11 * y10 + x12 * y9 + x13 * y8 + x14 * y7 + x15 * y6 + x16 * y5 + x17 * y4 + x18 * y3
        + x19 * y2;
    let p21 = t & 8191u;
    t = (t >> 13u) + x3 * y19 + x4 * y18 + x5 * y17 + x6 * y16 + x7 * y15 + x8 * y14 + x9 * y13 + x10 * y12
        + x11 * y11 + x12 * y10 + x13 * y9 + x14 * y8 + x15 * y7 + x16 * y6 + x17 * y5 + x18 * y4 + x19 * y3;
    let p22 = t & 8191u;
    t = (t >> 13u) + x4 * y19 + x5 * y18 + x6 * y17 + x7 * y16 + x8 * y15 + x9 * y14 + x10 * y13 + x11 * y12
        + x12 * y11 + x13 * y10 + x14 * y9 + x15 * y8 + x16 * y7 + x17 * y6 + x18 * y5 + x19 * y4;
    let p23 = t & 8191u;
    t = (t >> 13u) + x5 * y19 + x6 * y18 + x7 * y17 + x8 * y16 + x9 * y15 + x10 * y14 + x11 * y13 + x12 * y12
        + x13 * y11 + x14 * y10 + x15 * y9 + x16 * y8 + x17 * y7 + x18 * y6 + x19 * y5;
    let p24 = t & 8191u;
    t = (t >> 13u) + x6 * y19 + x7 * y18 + x8 * y17 + x9 * y16 + x10 * y15 + x11 * y14 + x12 * y13 + x13 * y12
        + x14 * y11 + x15 * y10 + x16 * y9 + x17 * y8 + x18 * y7 + x19 * y6;
    let p25 = t & 8191u;
    t = (t >> 13u) + x7 * y19 + x8 * y18 + x9 * y17 + x10 * y16 + x11 * y15 + x12 * y14 + x13 * y13 + x14 * y12
        + x15 * y11 + x16 * y10 + x17 * y9 + x18 * y8 + x19 * y7;
    let p26 = t & 8191u;
    t = (t >> 13u) + x8 * y19 + x9 * y18 + x10 * y17 + x11 * y16 + x12 * y15 + x13 * y14 + x14 * y13 + x15 * y12
        + x16 * y11 + x17 * y10 + x18 * y9 + x19 * y8;
    let p27 = t & 8191u;
    t = (t >> 13u) + x9 * y19 + x10 * y18 + x11 * y17 + x12 * y16 + x13 * y15 + x14 * y14 + x15 * y13
        + x16 * y12 + x17 * y11 + x18 * y10 + x19 * y9;
    let p28 = t & 8191u;
    t = (t >> 13u) + x10 * y19 + x11 * y18 + x12 * y17 + x13 * y16 + x14 * y15 + x15 * y14 + x16 * y13
        + x17 * y12 + x18 * y11 + x19 * y10;
    let p29 = t & 8191u;
    t = (t >> 13u) + x11 * y19 + x12 * y18 + x13 * y17 + x14 * y16 + x15 * y15 + x16 * y14 + x17 * y13
        + x18 * y12 + x19 * y11;
    let p30 = t & 8191u;
    t = (t >> 13u) + x12 * y19 + x13 * y18 + x14 * y17 + x15 * y16 + x16 * y15 + x17 * y14 + x18 * y13 + x19 * y12;
    let p31 = t & 8191u;
    t = (t >> 13u) + x13 * y19 + x14 * y18 + x15 * y17 + x16 * y16 + x17 * y15 + x18 * y14 + x19 * y13;
    let p32 = t & 8191u;
    t = (t >> 13u) + x14 * y19 + x15 * y18 + x16 * y17 + x17 * y16 + x18 * y15 + x19 * y14;
    let p33 = t & 8191u;
    t = (t >> 13u) + x15 * y19 + x16 * y18 + x17 * y17 + x18 * y16 + x19 * y15;
    let p34 = t & 8191u;
    t = (t >> 13u) + x16 * y19 + x17 * y18 + x18 * y17 + x19 * y16;
    let p35 = t & 8191u;
    t = (t >> 13u) + x17 * y19 + x18 * y18 + x19 * y17;
    let p36 = t & 8191u;
    t = (t >> 13u) + x18 * y19 + x19 * y18;
    let p37 = t & 8191u;
    t = (t >> 13u) + x19 * y19;
    let p38 = t & 8191u;
    let p39 = t >> 13u;
    return Wide(
        p0, p1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12, p13, p14, p15, p16, p17, p18, p19,
        p20, p21, p22, p23, p24, p25, p26, p27, p28, p29, p30, p31, p32, p33, p34, p35, p36, p37, p38, p39,
    );
}

// Words of 20 limbs of 13 bits; what the last has beyond 2^256 is left out.
fn joined(
    g0: u32, g1: u32, g2: u32, g3: u32, g4: u32, g5: u32, g6: u32,
    g7: u32, g8: u32, g9: u32, g10: u32, g11: u32, g12: u32, g13: u32,
    g14: u32, g15: u32, g16: u32, g17: u32, g18: u32, g19: u32,
) -> Element {
    return Element(
        vec4<u32>(
            g0 | (g1 << 13u) | (g2 << 26u),
            (g2 >> 6u) | (g3 << 7u) | (g4 << 20u),
            (g4 >> 12u) | (g5 << 1u) | (g6 << 14u) | (g7 << 27u),
            (g7 >> 5u) | (g8 << 8u) | (g9 << 21u),
        ),
        vec4<u32>(
            (g9 >> 11u) | (g10 << 2u) | (g11 << 15u) | (g12 << 28u),
            (g12 >> 4u) | (g13 << 9u) | (g14 << 22u),
            (g14 >> 10u) | (g15 << 3u) | (g16 << 16u) | (g17 << 29u),
            (g17 >> 3u) | (g18 << 10u) | (g19 << 23u),
        ),
    );
}

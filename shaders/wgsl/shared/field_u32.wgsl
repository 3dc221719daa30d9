// Products mod p = 2^256 - 2^32 - 977 from integers of 32 bits: shared/wide_u32.wgsl, reduced. Goes before shared/field.wgsl.
//
// Bounds: folding by 2^260 = 7440 + 2^13 + 1024 2^26 gives sums below 2^13 8467 + 2^14 < 2^27.

fn mul(x: Element, y: Element) -> Element {
    let w = wide(x, y);
    // Limbs 20 to 39 are worth 2^260 times as much as limbs 0 to 19.
    var t = w.p0 + 7440u * w.p20;
    let f0 = t & 8191u;
    t = (t >> 13u) + w.p1 + 7440u * w.p21 + w.p20;
    let f1 = t & 8191u;
    t = (t >> 13u) + w.p2 + 7440u * w.p22 + w.p21 + 1024u * w.p20;
    let f2 = t & 8191u;
    t = (t >> 13u) + w.p3 + 7440u * w.p23 + w.p22 + 1024u * w.p21;
    let f3 = t & 8191u;
    t = (t >> 13u) + w.p4 + 7440u * w.p24 + w.p23 + 1024u * w.p22;
    let f4 = t & 8191u;
    t = (t >> 13u) + w.p5 + 7440u * w.p25 + w.p24 + 1024u * w.p23;
    let f5 = t & 8191u;
    t = (t >> 13u) + w.p6 + 7440u * w.p26 + w.p25 + 1024u * w.p24;
    let f6 = t & 8191u;
    t = (t >> 13u) + w.p7 + 7440u * w.p27 + w.p26 + 1024u * w.p25;
    let f7 = t & 8191u;
    t = (t >> 13u) + w.p8 + 7440u * w.p28 + w.p27 + 1024u * w.p26;
    let f8 = t & 8191u;
    t = (t >> 13u) + w.p9 + 7440u * w.p29 + w.p28 + 1024u * w.p27;
    let f9 = t & 8191u;
    t = (t >> 13u) + w.p10 + 7440u * w.p30 + w.p29 + 1024u * w.p28;
    let f10 = t & 8191u;
    t = (t >> 13u) + w.p11 + 7440u * w.p31 + w.p30 + 1024u * w.p29;
    let f11 = t & 8191u;
    t = (t >> 13u) + w.p12 + 7440u * w.p32 + w.p31 + 1024u * w.p30;
    let f12 = t & 8191u;
    t = (t >> 13u) + w.p13 + 7440u * w.p33 + w.p32 + 1024u * w.p31;
    let f13 = t & 8191u;
    t = (t >> 13u) + w.p14 + 7440u * w.p34 + w.p33 + 1024u * w.p32;
    let f14 = t & 8191u;
    t = (t >> 13u) + w.p15 + 7440u * w.p35 + w.p34 + 1024u * w.p33;
    let f15 = t & 8191u;
    t = (t >> 13u) + w.p16 + 7440u * w.p36 + w.p35 + 1024u * w.p34;
    let f16 = t & 8191u;
    t = (t >> 13u) + w.p17 + 7440u * w.p37 + w.p36 + 1024u * w.p35;
    let f17 = t & 8191u;
    t = (t >> 13u) + w.p18 + 7440u * w.p38 + w.p37 + 1024u * w.p36;
    let f18 = t & 8191u;
    t = (t >> 13u) + w.p19 + 7440u * w.p39 + w.p38 + 1024u * w.p37;
    let f19 = t & 8191u;
    t = (t >> 13u) + w.p39 + 1024u * w.p38;
    let f20 = t & 8191u;
    t = (t >> 13u) + 1024u * w.p39;
    let f21 = t & 8191u;
    let f22 = t >> 13u;
    // What lies above 2^256, below 2^34, in limbs of 13 bits; 2^256 = 977 + 64 2^26.
    let e0 = ((f20 << 4u) | (f19 >> 9u)) & 8191u;
    let e1 = ((f21 << 4u) | (f20 >> 9u)) & 8191u;
    let e2 = (f22 << 4u) | (f21 >> 9u);
    t = f0 + 977u * e0;
    let g0 = t & 8191u;
    t = (t >> 13u) + f1 + 977u * e1;
    let g1 = t & 8191u;
    t = (t >> 13u) + f2 + 977u * e2 + 64u * e0;
    let g2 = t & 8191u;
    t = (t >> 13u) + f3 + 64u * e1;
    let g3 = t & 8191u;
    t = (t >> 13u) + f4 + 64u * e2;
    let g4 = t & 8191u;
    t = (t >> 13u) + f5;
    let g5 = t & 8191u;
    t = (t >> 13u) + f6;
    let g6 = t & 8191u;
    t = (t >> 13u) + f7;
    let g7 = t & 8191u;
    t = (t >> 13u) + f8;
    let g8 = t & 8191u;
    t = (t >> 13u) + f9;
    let g9 = t & 8191u;
    t = (t >> 13u) + f10;
    let g10 = t & 8191u;
    t = (t >> 13u) + f11;
    let g11 = t & 8191u;
    t = (t >> 13u) + f12;
    let g12 = t & 8191u;
    t = (t >> 13u) + f13;
    let g13 = t & 8191u;
    t = (t >> 13u) + f14;
    let g14 = t & 8191u;
    t = (t >> 13u) + f15;
    let g15 = t & 8191u;
    t = (t >> 13u) + f16;
    let g16 = t & 8191u;
    t = (t >> 13u) + f17;
    let g17 = t & 8191u;
    t = (t >> 13u) + f18;
    let g18 = t & 8191u;
    t = (t >> 13u) + (f19 & 511u);
    let g19 = t;
    return canonical(
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
        g19 >> 9u,
    );
}

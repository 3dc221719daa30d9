// Products mod n, the order of the group, from integers of 32 bits: shared/wide_u32.wgsl, reduced. Goes before shared/order.wgsl.
//
// Bounds: 2^260 mod n is a number of 133 bits, of which 11 limbs of 13 bits; a column has at most 11 products, a limb and a carry below
// 2^18: 11 (2^13 - 1)^2 + 2^13 + 2^18 < 2^30. With the limbs above 2^260 folded once the value is below 2^386, folded again below
// 2^261; then what lies above 2^256 is below 32, and 32 times `excess` leaves less than 2 n.

// x y mod n, any numbers; canonical.
fn mul(x: Element, y: Element) -> Element {
    let w = wide(x, y);
    // Limbs 20 to 39 are worth 2^260 times as much as limbs 0 to 19.
    var t = w.p0 + 3056u * w.p20;
    let q0 = t & 8191u;
    t = (t >> 13u) + w.p1 + 1247u * w.p20 + 3056u * w.p21;
    let q1 = t & 8191u;
    t = (t >> 13u) + w.p2 + 3263u * w.p20 + 1247u * w.p21 + 3056u * w.p22;
    let q2 = t & 8191u;
    t = (t >> 13u) + w.p3 + 5166u * w.p20 + 3263u * w.p21 + 1247u * w.p22 + 3056u * w.p23;
    let q3 = t & 8191u;
    t = (t >> 13u) + w.p4 + 45u * w.p20 + 5166u * w.p21 + 3263u * w.p22 + 1247u * w.p23 + 3056u * w.p24;
    let q4 = t & 8191u;
    t = (t >> 13u) + w.p5 + 7714u * w.p20 + 45u * w.p21 + 5166u * w.p22 + 3263u * w.p23 + 1247u * w.p24
        + 3056u * w.p25;
    let q5 = t & 8191u;
    t = (t >> 13u) + w.p6 + 3543u * w.p20 + 7714u * w.p21 + 45u * w.p22 + 5166u * w.p23 + 3263u * w.p24
        + 1247u * w.p25 + 3056u * w.p26;
    let q6 = t & 8191u;
    t = (t >> 13u) + w.p7 + 4769u * w.p20 + 3543u * w.p21 + 7714u * w.p22 + 45u * w.p23 + 5166u * w.p24
        + 3263u * w.p25 + 1247u * w.p26 + 3056u * w.p27;
    let q7 = t & 8191u;
    t = (t >> 13u) + w.p8 + 4657u * w.p20 + 4769u * w.p21 + 3543u * w.p22 + 7714u * w.p23 + 45u * w.p24
        + 5166u * w.p25 + 3263u * w.p26 + 1247u * w.p27 + 3056u * w.p28;
    let q8 = t & 8191u;
    t = (t >> 13u) + w.p9 + 680u * w.p20 + 4657u * w.p21 + 4769u * w.p22 + 3543u * w.p23 + 7714u * w.p24
        + 45u * w.p25 + 5166u * w.p26 + 3263u * w.p27 + 1247u * w.p28 + 3056u * w.p29;
    let q9 = t & 8191u;
    t = (t >> 13u) + w.p10 + 5u * w.p20 + 680u * w.p21 + 4657u * w.p22 + 4769u * w.p23 + 3543u * w.p24
        + 7714u * w.p25 + 45u * w.p26 + 5166u * w.p27 + 3263u * w.p28 + 1247u * w.p29 + 3056u * w.p30;
    let q10 = t & 8191u;
    t = (t >> 13u) + w.p11 + 5u * w.p21 + 680u * w.p22 + 4657u * w.p23 + 4769u * w.p24 + 3543u * w.p25
        + 7714u * w.p26 + 45u * w.p27 + 5166u * w.p28 + 3263u * w.p29 + 1247u * w.p30 + 3056u * w.p31;
    let q11 = t & 8191u;
    t = (t >> 13u) + w.p12 + 5u * w.p22 + 680u * w.p23 + 4657u * w.p24 + 4769u * w.p25 + 3543u * w.p26
        + 7714u * w.p27 + 45u * w.p28 + 5166u * w.p29 + 3263u * w.p30 + 1247u * w.p31 + 3056u * w.p32;
    let q12 = t & 8191u;
    t = (t >> 13u) + w.p13 + 5u * w.p23 + 680u * w.p24 + 4657u * w.p25 + 4769u * w.p26 + 3543u * w.p27
        + 7714u * w.p28 + 45u * w.p29 + 5166u * w.p30 + 3263u * w.p31 + 1247u * w.p32 + 3056u * w.p33;
    let q13 = t & 8191u;
    t = (t >> 13u) + w.p14 + 5u * w.p24 + 680u * w.p25 + 4657u * w.p26 + 4769u * w.p27 + 3543u * w.p28
        + 7714u * w.p29 + 45u * w.p30 + 5166u * w.p31 + 3263u * w.p32 + 1247u * w.p33 + 3056u * w.p34;
    let q14 = t & 8191u;
    t = (t >> 13u) + w.p15 + 5u * w.p25 + 680u * w.p26 + 4657u * w.p27 + 4769u * w.p28 + 3543u * w.p29
        + 7714u * w.p30 + 45u * w.p31 + 5166u * w.p32 + 3263u * w.p33 + 1247u * w.p34 + 3056u * w.p35;
    let q15 = t & 8191u;
    t = (t >> 13u) + w.p16 + 5u * w.p26 + 680u * w.p27 + 4657u * w.p28 + 4769u * w.p29 + 3543u * w.p30
        + 7714u * w.p31 + 45u * w.p32 + 5166u * w.p33 + 3263u * w.p34 + 1247u * w.p35 + 3056u * w.p36;
    let q16 = t & 8191u;
    t = (t >> 13u) + w.p17 + 5u * w.p27 + 680u * w.p28 + 4657u * w.p29 + 4769u * w.p30 + 3543u * w.p31
        + 7714u * w.p32 + 45u * w.p33 + 5166u * w.p34 + 3263u * w.p35 + 1247u * w.p36 + 3056u * w.p37;
    let q17 = t & 8191u;
    t = (t >> 13u) + w.p18 + 5u * w.p28 + 680u * w.p29 + 4657u * w.p30 + 4769u * w.p31 + 3543u * w.p32
        + 7714u * w.p33 + 45u * w.p34 + 5166u * w.p35 + 3263u * w.p36 + 1247u * w.p37 + 3056u * w.p38;
    let q18 = t & 8191u;
    t = (t >> 13u) + w.p19 + 5u * w.p29 + 680u * w.p30 + 4657u * w.p31 + 4769u * w.p32 + 3543u * w.p33
        + 7714u * w.p34 + 45u * w.p35 + 5166u * w.p36 + 3263u * w.p37 + 1247u * w.p38 + 3056u * w.p39;
    let q19 = t & 8191u;
    t = (t >> 13u) + 5u * w.p30 + 680u * w.p31 + 4657u * w.p32 + 4769u * w.p33 + 3543u * w.p34 + 7714u * w.p35
        + 45u * w.p36 + 5166u * w.p37 + 3263u * w.p38 + 1247u * w.p39;
    let q20 = t & 8191u;
    t = (t >> 13u) + 5u * w.p31 + 680u * w.p32 + 4657u * w.p33 + 4769u * w.p34 + 3543u * w.p35 + 7714u * w.p36
        + 45u * w.p37 + 5166u * w.p38 + 3263u * w.p39;
    let q21 = t & 8191u;
    t = (t >> 13u) + 5u * w.p32 + 680u * w.p33 + 4657u * w.p34 + 4769u * w.p35 + 3543u * w.p36 + 7714u * w.p37
        + 45u * w.p38 + 5166u * w.p39;
    let q22 = t & 8191u;
    t = (t >> 13u) + 5u * w.p33 + 680u * w.p34 + 4657u * w.p35 + 4769u * w.p36 + 3543u * w.p37 + 7714u * w.p38
        + 45u * w.p39;
    let q23 = t & 8191u;
    t = (t >> 13u) + 5u * w.p34 + 680u * w.p35 + 4657u * w.p36 + 4769u * w.p37 + 3543u * w.p38 + 7714u * w.p39;
    let q24 = t & 8191u;
    t = (t >> 13u) + 5u * w.p35 + 680u * w.p36 + 4657u * w.p37 + 4769u * w.p38 + 3543u * w.p39;
    let q25 = t & 8191u;
    t = (t >> 13u) + 5u * w.p36 + 680u * w.p37 + 4657u * w.p38 + 4769u * w.p39;
    let q26 = t & 8191u;
    t = (t >> 13u) + 5u * w.p37 + 680u * w.p38 + 4657u * w.p39;
    let q27 = t & 8191u;
    t = (t >> 13u) + 5u * w.p38 + 680u * w.p39;
    let q28 = t & 8191u;
    t = (t >> 13u) + 5u * w.p39;
    let q29 = t & 8191u;
    // Limbs 20 to 29 again.
    t = q0 + 3056u * q20;
    let r0 = t & 8191u;
    t = (t >> 13u) + q1 + 1247u * q20 + 3056u * q21;
    let r1 = t & 8191u;
    t = (t >> 13u) + q2 + 3263u * q20 + 1247u * q21 + 3056u * q22;
    let r2 = t & 8191u;
    t = (t >> 13u) + q3 + 5166u * q20 + 3263u * q21 + 1247u * q22 + 3056u * q23;
    let r3 = t & 8191u;
    t = (t >> 13u) + q4 + 45u * q20 + 5166u * q21 + 3263u * q22 + 1247u * q23 + 3056u * q24;
    let r4 = t & 8191u;
    t = (t >> 13u) + q5 + 7714u * q20 + 45u * q21 + 5166u * q22 + 3263u * q23 + 1247u * q24 + 3056u * q25;
    let r5 = t & 8191u;
    t = (t >> 13u) + q6 + 3543u * q20 + 7714u * q21 + 45u * q22 + 5166u * q23 + 3263u * q24 + 1247u * q25
        + 3056u * q26;
    let r6 = t & 8191u;
    t = (t >> 13u) + q7 + 4769u * q20 + 3543u * q21 + 7714u * q22 + 45u * q23 + 5166u * q24 + 3263u * q25
        + 1247u * q26 + 3056u * q27;
    let r7 = t & 8191u;
    t = (t >> 13u) + q8 + 4657u * q20 + 4769u * q21 + 3543u * q22 + 7714u * q23 + 45u * q24 + 5166u * q25
        + 3263u * q26 + 1247u * q27 + 3056u * q28;
    let r8 = t & 8191u;
    t = (t >> 13u) + q9 + 680u * q20 + 4657u * q21 + 4769u * q22 + 3543u * q23 + 7714u * q24 + 45u * q25
        + 5166u * q26 + 3263u * q27 + 1247u * q28 + 3056u * q29;
    let r9 = t & 8191u;
    t = (t >> 13u) + q10 + 5u * q20 + 680u * q21 + 4657u * q22 + 4769u * q23 + 3543u * q24 + 7714u * q25 + 45u * q26
        + 5166u * q27 + 3263u * q28 + 1247u * q29;
    let r10 = t & 8191u;
    t = (t >> 13u) + q11 + 5u * q21 + 680u * q22 + 4657u * q23 + 4769u * q24 + 3543u * q25 + 7714u * q26 + 45u * q27
        + 5166u * q28 + 3263u * q29;
    let r11 = t & 8191u;
    t = (t >> 13u) + q12 + 5u * q22 + 680u * q23 + 4657u * q24 + 4769u * q25 + 3543u * q26 + 7714u * q27 + 45u * q28
        + 5166u * q29;
    let r12 = t & 8191u;
    t = (t >> 13u) + q13 + 5u * q23 + 680u * q24 + 4657u * q25 + 4769u * q26 + 3543u * q27 + 7714u * q28 + 45u * q29;
    let r13 = t & 8191u;
    t = (t >> 13u) + q14 + 5u * q24 + 680u * q25 + 4657u * q26 + 4769u * q27 + 3543u * q28 + 7714u * q29;
    let r14 = t & 8191u;
    t = (t >> 13u) + q15 + 5u * q25 + 680u * q26 + 4657u * q27 + 4769u * q28 + 3543u * q29;
    let r15 = t & 8191u;
    t = (t >> 13u) + q16 + 5u * q26 + 680u * q27 + 4657u * q28 + 4769u * q29;
    let r16 = t & 8191u;
    t = (t >> 13u) + q17 + 5u * q27 + 680u * q28 + 4657u * q29;
    let r17 = t & 8191u;
    t = (t >> 13u) + q18 + 5u * q28 + 680u * q29;
    let r18 = t & 8191u;
    t = (t >> 13u) + q19 + 5u * q29;
    let r19 = t & 8191u;
    let top = (r19 >> 9u) | ((t >> 13u) << 4u);
    t = r0 + 7871u * top;
    let g0 = t & 8191u;
    t = (t >> 13u) + r1 + 7757u * top;
    let g1 = t & 8191u;
    t = (t >> 13u) + r2 + 7371u * top;
    let g2 = t & 8191u;
    t = (t >> 13u) + r3 + 6978u * top;
    let g3 = t & 8191u;
    t = (t >> 13u) + r4 + 1026u * top;
    let g4 = t & 8191u;
    t = (t >> 13u) + r5 + 4066u * top;
    let g5 = t & 8191u;
    t = (t >> 13u) + r6 + 733u * top;
    let g6 = t & 8191u;
    t = (t >> 13u) + r7 + 810u * top;
    let g7 = t & 8191u;
    t = (t >> 13u) + r8 + 4387u * top;
    let g8 = t & 8191u;
    t = (t >> 13u) + r9 + 2602u * top;
    let g9 = t & 8191u;
    t = (t >> 13u) + r10;
    let g10 = t & 8191u;
    t = (t >> 13u) + r11;
    let g11 = t & 8191u;
    t = (t >> 13u) + r12;
    let g12 = t & 8191u;
    t = (t >> 13u) + r13;
    let g13 = t & 8191u;
    t = (t >> 13u) + r14;
    let g14 = t & 8191u;
    t = (t >> 13u) + r15;
    let g15 = t & 8191u;
    t = (t >> 13u) + r16;
    let g16 = t & 8191u;
    t = (t >> 13u) + r17;
    let g17 = t & 8191u;
    t = (t >> 13u) + r18;
    let g18 = t & 8191u;
    t = (t >> 13u) + (r19 & 511u);
    let g19 = t;
    let r = joined(
        g0, g1, g2, g3, g4, g5, g6, g7, g8, g9, g10, g11, g12, g13, g14, g15, g16, g17, g18, g19,
    );
    return canonical(Wrapped(r, g19 >> 9u));
}

// x y / 2^384, rounded to the nearest; that is below 2^128.
fn high(x: Element, y: Element) -> Element {
    let w = wide(x, y);
    // Bit 383 is bit 6 of limb 29.
    var t = w.p29 + 64u;
    let h29 = t & 8191u;
    t = (t >> 13u) + w.p30;
    let h30 = t & 8191u;
    t = (t >> 13u) + w.p31;
    let h31 = t & 8191u;
    t = (t >> 13u) + w.p32;
    let h32 = t & 8191u;
    t = (t >> 13u) + w.p33;
    let h33 = t & 8191u;
    t = (t >> 13u) + w.p34;
    let h34 = t & 8191u;
    t = (t >> 13u) + w.p35;
    let h35 = t & 8191u;
    t = (t >> 13u) + w.p36;
    let h36 = t & 8191u;
    t = (t >> 13u) + w.p37;
    let h37 = t & 8191u;
    t = (t >> 13u) + w.p38;
    let h38 = t & 8191u;
    t = (t >> 13u) + w.p39;
    let h39 = t;
    let a = vec4<u32>(
        (h29 >> 7u) | (h30 << 6u) | (h31 << 19u),
        h32 | (h33 << 13u) | (h34 << 26u),
        (h34 >> 6u) | (h35 << 7u) | (h36 << 20u),
        (h36 >> 12u) | (h37 << 1u) | (h38 << 14u) | (h39 << 27u),
    );
    return Element(a, vec4<u32>());
}

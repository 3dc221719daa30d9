// The field mod p = 2^256 - 2^32 - 977: canonical form, sums, differences. Beside it stands what a product is:
// shared/field_u32.wgsl or shared/field_u64.wgsl.
//
// Everything is canonical, below p, in and out: then equality, zero and parity are those of words.

// The words a, b and carry 2^256, below 2 p in all: with 2^32 + 977 added they reach 2^256 exactly if they were at least p.
fn canonical(a: vec4<u32>, b: vec4<u32>, carry: u32) -> Element {
    let s0 = a.x + 977u;
    var c = select(0u, 1u, s0 < a.x) + 1u;
    let s1 = a.y + c;
    c = select(0u, 1u, s1 < c);
    let s2 = a.z + c;
    c = select(0u, 1u, s2 < c);
    let s3 = a.w + c;
    c = select(0u, 1u, s3 < c);
    let s4 = b.x + c;
    c = select(0u, 1u, s4 < c);
    let s5 = b.y + c;
    c = select(0u, 1u, s5 < c);
    let s6 = b.z + c;
    c = select(0u, 1u, s6 < c);
    let s7 = b.w + c;
    c = select(0u, 1u, s7 < c);
    let is_above = (carry | c) != 0u;
    return Element(
        select(a, vec4<u32>(s0, s1, s2, s3), is_above),
        select(b, vec4<u32>(s4, s5, s6, s7), is_above),
    );
}

fn add(x: Element, y: Element) -> Element {
    let r0 = x.a.x + y.a.x;
    var c = select(0u, 1u, r0 < x.a.x);
    let t1 = x.a.y + c;
    let r1 = t1 + y.a.y;
    c = select(0u, 1u, t1 < c) + select(0u, 1u, r1 < t1);
    let t2 = x.a.z + c;
    let r2 = t2 + y.a.z;
    c = select(0u, 1u, t2 < c) + select(0u, 1u, r2 < t2);
    let t3 = x.a.w + c;
    let r3 = t3 + y.a.w;
    c = select(0u, 1u, t3 < c) + select(0u, 1u, r3 < t3);
    let t4 = x.b.x + c;
    let r4 = t4 + y.b.x;
    c = select(0u, 1u, t4 < c) + select(0u, 1u, r4 < t4);
    let t5 = x.b.y + c;
    let r5 = t5 + y.b.y;
    c = select(0u, 1u, t5 < c) + select(0u, 1u, r5 < t5);
    let t6 = x.b.z + c;
    let r6 = t6 + y.b.z;
    c = select(0u, 1u, t6 < c) + select(0u, 1u, r6 < t6);
    let t7 = x.b.w + c;
    let r7 = t7 + y.b.w;
    c = select(0u, 1u, t7 < c) + select(0u, 1u, r7 < t7);
    return canonical(vec4<u32>(r0, r1, r2, r3), vec4<u32>(r4, r5, r6, r7), c);
}

// Where the difference wrapped it is 2^256 - p = 2^32 + 977 too large.
fn sub(x: Element, y: Element) -> Element {
    let d0 = x.a.x - y.a.x;
    var c = select(0u, 1u, d0 > x.a.x);
    let t1 = x.a.y - c;
    let d1 = t1 - y.a.y;
    c = select(0u, 1u, t1 > x.a.y) + select(0u, 1u, d1 > t1);
    let t2 = x.a.z - c;
    let d2 = t2 - y.a.z;
    c = select(0u, 1u, t2 > x.a.z) + select(0u, 1u, d2 > t2);
    let t3 = x.a.w - c;
    let d3 = t3 - y.a.w;
    c = select(0u, 1u, t3 > x.a.w) + select(0u, 1u, d3 > t3);
    let t4 = x.b.x - c;
    let d4 = t4 - y.b.x;
    c = select(0u, 1u, t4 > x.b.x) + select(0u, 1u, d4 > t4);
    let t5 = x.b.y - c;
    let d5 = t5 - y.b.y;
    c = select(0u, 1u, t5 > x.b.y) + select(0u, 1u, d5 > t5);
    let t6 = x.b.z - c;
    let d6 = t6 - y.b.z;
    c = select(0u, 1u, t6 > x.b.z) + select(0u, 1u, d6 > t6);
    let t7 = x.b.w - c;
    let d7 = t7 - y.b.w;
    c = select(0u, 1u, t7 > x.b.w) + select(0u, 1u, d7 > t7);
    let r0 = d0 - 977u * c;
    c += select(0u, 1u, r0 > d0);
    let r1 = d1 - c;
    c = select(0u, 1u, r1 > d1);
    let r2 = d2 - c;
    c = select(0u, 1u, r2 > d2);
    let r3 = d3 - c;
    c = select(0u, 1u, r3 > d3);
    let r4 = d4 - c;
    c = select(0u, 1u, r4 > d4);
    let r5 = d5 - c;
    c = select(0u, 1u, r5 > d5);
    let r6 = d6 - c;
    c = select(0u, 1u, r6 > d6);
    let r7 = d7 - c;
    return Element(vec4<u32>(r0, r1, r2, r3), vec4<u32>(r4, r5, r6, r7));
}

fn twice(x: Element) -> Element {
    return add(x, x);
}

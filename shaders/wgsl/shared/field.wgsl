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
    let sum = plus(x, y);
    return canonical(sum.value.a, sum.value.b, sum.over);
}

// Where the difference wrapped it is 2^256 - p = 2^32 + 977 too large.
fn sub(x: Element, y: Element) -> Element {
    let difference = minus(x, y);
    let d = difference.value;
    let r0 = d.a.x - 977u * difference.over;
    var c = difference.over + select(0u, 1u, r0 > d.a.x);
    let r1 = d.a.y - c;
    c = select(0u, 1u, r1 > d.a.y);
    let r2 = d.a.z - c;
    c = select(0u, 1u, r2 > d.a.z);
    let r3 = d.a.w - c;
    c = select(0u, 1u, r3 > d.a.w);
    let r4 = d.b.x - c;
    c = select(0u, 1u, r4 > d.b.x);
    let r5 = d.b.y - c;
    c = select(0u, 1u, r5 > d.b.y);
    let r6 = d.b.z - c;
    c = select(0u, 1u, r6 > d.b.z);
    let r7 = d.b.w - c;
    return Element(vec4<u32>(r0, r1, r2, r3), vec4<u32>(r4, r5, r6, r7));
}

fn twice(x: Element) -> Element {
    return add(x, x);
}

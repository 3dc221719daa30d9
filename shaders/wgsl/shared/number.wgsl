// Numbers of 256 bits: sums and differences that may wrap, and choices. Modulo what they count is said by shared/field.wgsl or
// shared/order.wgsl.
//
// Named words and no arrays, so that drivers keep them in registers. WGSL has no carry: a sum wrapped exactly if it is less than a
// summand.

// Eight words, the least significant first.
struct Element {
    a: vec4<u32>,
    b: vec4<u32>,
}

fn small(n: u32) -> Element {
    return Element(vec4<u32>(n, 0u, 0u, 0u), vec4<u32>());
}

// y where it is so, else x.
fn pick(x: Element, y: Element, is_so: bool) -> Element {
    return Element(select(x.a, y.a, is_so), select(x.b, y.b, is_so));
}

fn is_equal(x: Element, y: Element) -> bool {
    return all(x.a == y.a) && all(x.b == y.b);
}

fn is_zero(x: Element) -> bool {
    return all((x.a | x.b) == vec4<u32>());
}

// The words and what wrapped, 0 or 1.
struct Wrapped {
    value: Element,
    over: u32,
}

// x + y, any numbers.
fn plus(x: Element, y: Element) -> Wrapped {
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
    return Wrapped(Element(vec4<u32>(r0, r1, r2, r3), vec4<u32>(r4, r5, r6, r7)), c);
}

// x - y, any numbers.
fn minus(x: Element, y: Element) -> Wrapped {
    let r0 = x.a.x - y.a.x;
    var c = select(0u, 1u, r0 > x.a.x);
    let t1 = x.a.y - c;
    let r1 = t1 - y.a.y;
    c = select(0u, 1u, t1 > x.a.y) + select(0u, 1u, r1 > t1);
    let t2 = x.a.z - c;
    let r2 = t2 - y.a.z;
    c = select(0u, 1u, t2 > x.a.z) + select(0u, 1u, r2 > t2);
    let t3 = x.a.w - c;
    let r3 = t3 - y.a.w;
    c = select(0u, 1u, t3 > x.a.w) + select(0u, 1u, r3 > t3);
    let t4 = x.b.x - c;
    let r4 = t4 - y.b.x;
    c = select(0u, 1u, t4 > x.b.x) + select(0u, 1u, r4 > t4);
    let t5 = x.b.y - c;
    let r5 = t5 - y.b.y;
    c = select(0u, 1u, t5 > x.b.y) + select(0u, 1u, r5 > t5);
    let t6 = x.b.z - c;
    let r6 = t6 - y.b.z;
    c = select(0u, 1u, t6 > x.b.z) + select(0u, 1u, r6 > t6);
    let t7 = x.b.w - c;
    let r7 = t7 - y.b.w;
    c = select(0u, 1u, t7 > x.b.w) + select(0u, 1u, r7 > t7);
    return Wrapped(Element(vec4<u32>(r0, r1, r2, r3), vec4<u32>(r4, r5, r6, r7)), c);
}

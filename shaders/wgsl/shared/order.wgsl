// Numbers mod n, the order of the group: canonical form, sums, differences. Beside it stands what a product is: shared/order_u32.wgsl or
// shared/order_u64.wgsl.
//
// 2^256 - n is a number of 129 bits, `excess`. What is said to be canonical is below n.

// The words and what wrapped, 0 or 1.
struct Wrapped {
    value: Element,
    over: u32,
}

fn excess() -> Element {
    return Element(vec4<u32>(0x2fc9bebfu, 0x402da173u, 0x50b75fc4u, 0x45512319u), vec4<u32>(1u, 0u, 0u, 0u));
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

// The value and what wrapped, below 2 n in all: with `excess` added it reaches 2^256 exactly if it was at least n.
fn canonical(sum: Wrapped) -> Element {
    let above = plus(sum.value, excess());
    return pick(sum.value, above.value, (sum.over | above.over) != 0u);
}

// x + y mod n, canonical.
fn add(x: Element, y: Element) -> Element {
    return canonical(plus(x, y));
}

// x - y mod n, canonical: where the difference wrapped it is `excess` too large.
fn sub(x: Element, y: Element) -> Element {
    let difference = minus(x, y);
    return minus(difference.value, pick(small(0u), excess(), difference.over == 1u)).value;
}

// Numbers mod n, the order of the group: canonical form, sums, differences. Beside it stands what a product is: shared/order_u32.wgsl or
// shared/order_u64.wgsl.
//
// 2^256 - n is a number of 129 bits, `excess`. What is said to be canonical is below n.

fn excess() -> Element {
    return Element(vec4<u32>(0x2fc9bebfu, 0x402da173u, 0x50b75fc4u, 0x45512319u), vec4<u32>(1u, 0u, 0u, 0u));
}

// The eigenvalue of (beta x, y).
fn lambda() -> Element {
    return Element(
        vec4<u32>(0x1b23bd72u, 0xdf02967cu, 0x20816678u, 0x122e22eau),
        vec4<u32>(0x8812645au, 0xa5261c02u, 0xc05c30e0u, 0x5363ad4cu),
    );
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

// Numbers of 256 bits, and choices between them; what is computed with them is said by what follows: shared/field.wgsl, shared/order.wgsl.
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

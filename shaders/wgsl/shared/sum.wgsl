// A point and an affine one: Bernstein and Lange, Explicit-Formulas Database, madd-2004-hmv. 8 products and 3 squares.

struct Sum {
    point: Point,
    // By what z was multiplied; 0 if the points are equal, opposite, or the first is none: then z is 0, and stays 0 in every
    // later sum and doubling.
    factor: Element,
    // y z^3 less the first point's y.
    rise: Element,
}

fn sum(p: Point, x: Element, y: Element) -> Sum {
    let zz = mul(p.z, p.z);
    let h = sub(mul(x, zz), p.x);
    let r = sub(mul(y, mul(zz, p.z)), p.y);
    let hh = mul(h, h);
    let v = mul(p.x, hh);
    let hhh = mul(hh, h);
    let x_sum = sub(sub(mul(r, r), hhh), twice(v));
    let y_sum = sub(mul(r, sub(v, x_sum)), mul(p.y, hhh));
    return Sum(Point(x_sum, y_sum, mul(p.z, h)), h, r);
}

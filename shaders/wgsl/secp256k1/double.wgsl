// Each row's point becomes a multiple of itself by a power of two, in place.
//
// In, out: `points`. Bernstein and Lange, Explicit-Formulas Database, dbl-2009-alnr without its halving: 3 products and 4
// squares.
// Bounds: rows = params.x, doublings = params.y, below 2^8. A point with z = 0 keeps it.

@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read_write> points: array<u32>;

@compute @workgroup_size(64)
fn double(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let row = (group.x + group.y * groups.x) * 64u + invocation;
    if row >= params.x {
        return;
    }
    var p = load_point(row);
    for (var turn = 0u; turn < params.y; turn += 1u) {
        let xx = mul(p.x, p.x);
        let e = add(twice(xx), xx);
        let b = mul(p.y, p.y);
        let d = twice(twice(mul(p.x, b)));
        let c = twice(twice(twice(mul(b, b))));
        let z = twice(mul(p.y, p.z));
        let x = sub(mul(e, e), twice(d));
        let y = sub(mul(e, sub(d, x)), c);
        p = Point(x, y, z);
    }
    store_point(row, p);
}

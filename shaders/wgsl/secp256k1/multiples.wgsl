// Odd multiples of each row's R, not yet over one z: R + m 2R for m = 0 to 15.
//
// On the curve to which multiplying by the z of 2R leads, 2R has z = 1, so all sums there are with an affine point. In: x of
// `rows`, y of `lifted`, 2R in `points`. Out: X and Y of entry m in places 4 m to 4 m + 3 of 64 of `table`; `factors`, 128
// words a row: by what the z of entry m - 1 was multiplied to be that of entry m, in words 8 m to 8 m + 7, and 1 for entry 0.
// Bounds: rows = params.x. Multiples below 2^6 of a point of prime order are no point twice, so that no factor is 0.

@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read> lifted: array<u32>;
@group(0) @binding(3) var<storage, read> points: array<u32>;
@group(0) @binding(4) var<storage, read_write> table: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read_write> factors: array<u32>;

fn store_entry(row: u32, entry: u32, point: Point, factor: Element) {
    let t = 64u * row + 4u * entry;
    table[t] = point.x.a;
    table[t + 1u] = point.x.b;
    table[t + 2u] = point.y.a;
    table[t + 3u] = point.y.b;
    let o = place(8u * entry, row, 128u);
    factors[o] = factor.a.x;
    factors[o + 64u] = factor.a.y;
    factors[o + 128u] = factor.a.z;
    factors[o + 192u] = factor.a.w;
    factors[o + 256u] = factor.b.x;
    factors[o + 320u] = factor.b.y;
    factors[o + 384u] = factor.b.z;
    factors[o + 448u] = factor.b.w;
}

@compute @workgroup_size(64)
fn multiples(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let row = (group.x + group.y * groups.x) * 64u + invocation;
    if row >= params.x {
        return;
    }
    let i = place(0u, row, 29u);
    let x = Element(
        vec4<u32>(rows[i], rows[i + 64u], rows[i + 128u], rows[i + 192u]),
        vec4<u32>(rows[i + 256u], rows[i + 320u], rows[i + 384u], rows[i + 448u]),
    );
    let k = place(0u, row, 9u);
    let y = Element(
        vec4<u32>(lifted[k], lifted[k + 64u], lifted[k + 128u], lifted[k + 192u]),
        vec4<u32>(lifted[k + 256u], lifted[k + 320u], lifted[k + 384u], lifted[k + 448u]),
    );
    let doubled = load_point(row);
    // The first turn adds nothing: what it takes from x z^2 and y z^3 is 0, and they are R there. So the text has one sum.
    var p = Point(small(0u), small(0u), doubled.z);
    for (var entry = 0u; entry < 16u; entry += 1u) {
        let is_first = entry == 0u;
        let s = sum(p, pick(doubled.x, x, is_first), pick(doubled.y, y, is_first));
        p = s.point;
        if is_first {
            p = Point(s.factor, s.rise, small(1u));
        }
        store_entry(row, entry, p, pick(s.factor, small(1u), is_first));
    }
}

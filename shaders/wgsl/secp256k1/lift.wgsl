// R of each row from its x: the root of x^3 + B of the parity asked for.
//
// In: `rows`, params.w words a row, of which words 0 to 7 are x and word 8 the parity; `chain`, that of (p + 1) / 4. Out: `lifted`,
// 9 words a row: y, and 1 if (x, y) is a point, 0 if x is that of none; `points`: (x, y, 1).
// Bounds: rows = params.x, steps of the chain = params.y, each below 2^8 squares; B = params.z; x is canonical. p = 3 mod 4, so a
// power is a root.

@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read> chain: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read_write> lifted: array<u32>;
@group(0) @binding(4) var<storage, read_write> points: array<u32>;

@compute @workgroup_size(64)
fn lift(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let row = (group.x + group.y * groups.x) * 64u + invocation;
    if row >= params.x {
        return;
    }
    let i = place(0u, row, params.w);
    let x = Element(
        vec4<u32>(rows[i], rows[i + 64u], rows[i + 128u], rows[i + 192u]),
        vec4<u32>(rows[i + 256u], rows[i + 320u], rows[i + 384u], rows[i + 448u]),
    );
    let is_odd = rows[i + 512u] & 1u;
    let right_side = add(mul(mul(x, x), x), small(params.z));
    let root = power(right_side, params.y);
    let is_point = is_equal(mul(root, root), right_side);
    let y = pick(root, sub(small(0u), root), (root.a.x & 1u) != is_odd);
    let o = place(0u, row, 9u);
    lifted[o] = y.a.x;
    lifted[o + 64u] = y.a.y;
    lifted[o + 128u] = y.a.z;
    lifted[o + 192u] = y.a.w;
    lifted[o + 256u] = y.b.x;
    lifted[o + 320u] = y.b.y;
    lifted[o + 384u] = y.b.z;
    lifted[o + 448u] = y.b.w;
    lifted[o + 512u] = select(0u, 1u, is_point);
    store_point(row, Point(x, y, small(1u)));
}

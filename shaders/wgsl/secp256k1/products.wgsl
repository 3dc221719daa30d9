// Products of z: one inversion serves all rows of a lane. The way up. Mod p, and mod n of numbers in the place of z.
//
// Lane t has rows t + j lanes. In: `points`. Out: `before`, 8 words a row: the product of the z of the lane's rows before it;
// `totals`, 8 words a lane: of all of them. A z of 0 counts as 1.
// Bounds: rows = params.x, lanes = params.y, rows of a lane = params.z.

@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read> points: array<u32>;
@group(0) @binding(2) var<storage, read_write> before: array<u32>;
@group(0) @binding(3) var<storage, read_write> totals: array<u32>;

@compute @workgroup_size(64)
fn products(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let lane = (group.x + group.y * groups.x) * 64u + invocation;
    if lane >= params.y {
        return;
    }
    var product = small(1u);
    for (var j = 0u; j < params.z; j += 1u) {
        let row = lane + j * params.y;
        if row >= params.x {
            break;
        }
        let o = place(0u, row, 8u);
        before[o] = product.a.x;
        before[o + 64u] = product.a.y;
        before[o + 128u] = product.a.z;
        before[o + 192u] = product.a.w;
        before[o + 256u] = product.b.x;
        before[o + 320u] = product.b.y;
        before[o + 384u] = product.b.z;
        before[o + 448u] = product.b.w;
        let z = load_coordinate(16u, row);
        product = mul(product, pick(z, small(1u), is_zero(z)));
    }
    let o = place(0u, lane, 8u);
    totals[o] = product.a.x;
    totals[o + 64u] = product.a.y;
    totals[o + 128u] = product.a.z;
    totals[o + 192u] = product.a.w;
    totals[o + 256u] = product.b.x;
    totals[o + 320u] = product.b.y;
    totals[o + 384u] = product.b.z;
    totals[o + 448u] = product.b.w;
}

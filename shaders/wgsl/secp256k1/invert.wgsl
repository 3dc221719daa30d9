// Inverses of the lanes' products, in place: the power p - 2, or n - 2 mod n.
//
// In: `chain`, that of the power. In, out: `totals`, 8 words a lane. Bounds: lanes = params.x, steps of the chain = params.y.

@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read> chain: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> totals: array<u32>;

@compute @workgroup_size(64)
fn invert(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let lane = (group.x + group.y * groups.x) * 64u + invocation;
    if lane >= params.x {
        return;
    }
    let o = place(0u, lane, 8u);
    let total = Element(
        vec4<u32>(totals[o], totals[o + 64u], totals[o + 128u], totals[o + 192u]),
        vec4<u32>(totals[o + 256u], totals[o + 320u], totals[o + 384u], totals[o + 448u]),
    );
    let inverse = power(total, params.y);
    totals[o] = inverse.a.x;
    totals[o + 64u] = inverse.a.y;
    totals[o + 128u] = inverse.a.z;
    totals[o + 192u] = inverse.a.w;
    totals[o + 256u] = inverse.b.x;
    totals[o + 320u] = inverse.b.y;
    totals[o + 384u] = inverse.b.z;
    totals[o + 448u] = inverse.b.w;
}

// Each row's point back from the curve of its table: z times `scale`.
//
// In: `scale`, 8 words a row. In, out: `points`. Bounds: rows = params.x.

@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read> scale: array<u32>;
@group(0) @binding(2) var<storage, read_write> points: array<u32>;

@compute @workgroup_size(64)
fn rescale(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let row = (group.x + group.y * groups.x) * 64u + invocation;
    if row >= params.x {
        return;
    }
    let o = place(0u, row, 8u);
    let by = Element(
        vec4<u32>(scale[o], scale[o + 64u], scale[o + 128u], scale[o + 192u]),
        vec4<u32>(scale[o + 256u], scale[o + 320u], scale[o + 384u], scale[o + 448u]),
    );
    store_coordinate(16u, row, mul(load_coordinate(16u, row), by));
}

// Sums mod n of what belongs together.
//
// In: `starts`: sum i is of places starts[i] to starts[i + 1]; `order`: the row of each place, if params.w says so, else a place is a
// row; `terms`, so many words a row, of which eight are a number. Out: `out`, 8 words a row, from row params.w / 2 on: 0 if there is
// nothing to add up.
// Bounds: sums = params.x; first word of the number = params.y; words of a row of `terms` = params.z; `order` counts = params.w & 1;
// numbers canonical.

@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> terms: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(64)
fn sums(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = (group.x + group.y * groups.x) * 64u + invocation;
    if i >= params.x {
        return;
    }
    var sum = small(0u);
    let end = starts[i + 1u];
    for (var at = starts[i]; at < end; at += 1u) {
        var row = at;
        if (params.w & 1u) == 1u {
            row = order[at];
        }
        let k = place(params.y, row, params.z);
        let term = Element(
            vec4<u32>(terms[k], terms[k + 64u], terms[k + 128u], terms[k + 192u]),
            vec4<u32>(terms[k + 256u], terms[k + 320u], terms[k + 384u], terms[k + 448u]),
        );
        sum = add(sum, term);
    }
    let o = place(0u, params.w / 2u + i, 8u);
    out[o] = sum.a.x;
    out[o + 64u] = sum.a.y;
    out[o + 128u] = sum.a.z;
    out[o + 192u] = sum.a.w;
    out[o + 256u] = sum.b.x;
    out[o + 320u] = sum.b.y;
    out[o + 384u] = sum.b.z;
    out[o + 448u] = sum.b.w;
}

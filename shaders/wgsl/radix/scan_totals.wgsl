// Running sum, second of its stages: of the blocks' totals, in place, by one workgroup.
//
// In, out: params.x words; word i becomes the sum of those before it. One group, whatever is dispatched.

@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read_write> totals: array<u32>;

@compute @workgroup_size(128)
fn scan_totals(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    if group.x + group.y > 0u {
        return;
    }
    var carry = 0u;
    for (var start = 0u; start < params.x; start += 128u) {
        let i = start + invocation;
        var value = 0u;
        if i < params.x {
            value = totals[i];
        }
        let before = exclusive_sum(invocation, value);
        if i < params.x {
            totals[i] = carry + before;
        }
        carry += sums[127];
        // Nobody begins the next sum before all have read this one's total.
        workgroupBarrier();
    }
}

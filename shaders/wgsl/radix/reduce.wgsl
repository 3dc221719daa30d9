// Running sum, first of its stages: the sum of each block of 1,024 words.
//
// In: n = params.x words. Out: `totals`, params.y words. Bounds: params.y = ceil(n / 1,024).

@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read> words: array<u32>;
@group(0) @binding(2) var<storage, read_write> totals: array<u32>;

@compute @workgroup_size(128)
fn reduce(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let block = group.x + group.y * groups.x;
    if block >= params.y {
        return;
    }
    var sum = 0u;
    for (var k = 0u; k < 8u; k += 1u) {
        let i = block * 1024u + k * 128u + invocation;
        if i < params.x {
            sum += words[i];
        }
    }
    let before = exclusive_sum(invocation, sum);
    if invocation == 127u {
        totals[block] = before + sum;
    }
}

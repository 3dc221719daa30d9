// Running sum, third of its stages: within each block of 1,024 words, in place, from the block's total of what is before it.
//
// In, out: n = params.x words; word i becomes the sum of those before it. Bounds: params.y = ceil(n / 1,024).

@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read> totals: array<u32>;
@group(0) @binding(2) var<storage, read_write> words: array<u32>;

@compute @workgroup_size(128)
fn scan(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let block = group.x + group.y * groups.x;
    if block >= params.y {
        return;
    }
    let first = block * 1024u + invocation * 8u;
    var sum = 0u;
    for (var i = first; i < min(first + 8u, params.x); i += 1u) {
        sum += words[i];
    }
    var running = totals[block] + exclusive_sum(invocation, sum);
    for (var i = first; i < min(first + 8u, params.x); i += 1u) {
        let word = words[i];
        words[i] = running;
        running += word;
    }
}

// Radix sort, first of its stages: how often each digit occurs in each tile of 1,024 keys.
//
// In: n = params.x keys; the digit is 4 bits from bit params.y on. Out: `counts`, 16 x params.z words: digit d of tile t in word
// d * params.z + t, so that their running sum is where each tile's keys of each digit begin.
// Bounds: params.z = ceil(n / 1,024); n <= 2^32 - 1,024.

@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read> keys: array<u32>;
@group(0) @binding(2) var<storage, read_write> counts: array<u32>;

var<workgroup> histogram: array<atomic<u32>, 16>;

@compute @workgroup_size(128)
fn count(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let tile = group.x + group.y * groups.x;
    if tile >= params.z {
        return;
    }
    if invocation < 16u {
        atomicStore(&histogram[invocation], 0u);
    }
    workgroupBarrier();
    for (var k = 0u; k < 8u; k += 1u) {
        let i = tile * 1024u + k * 128u + invocation;
        if i < params.x {
            atomicAdd(&histogram[(keys[i] >> params.y) & 15u], 1u);
        }
    }
    workgroupBarrier();
    if invocation < 16u {
        counts[invocation * params.z + tile] = atomicLoad(&histogram[invocation]);
    }
}

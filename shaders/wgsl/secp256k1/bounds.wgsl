// Where the entries of each bucket begin, in sorted order: how many keys are below the bucket's number.
//
// In: `keys`, ascending. Out: `starts`, a word for each bucket and one more, where the last bucket ends.
// Bounds: buckets = params.x, keys = params.y, halvings = params.z, at least the bits of params.y.

@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read> keys: array<u32>;
@group(0) @binding(2) var<storage, read_write> starts: array<u32>;

@compute @workgroup_size(64)
fn bounds(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let bucket = (group.x + group.y * groups.x) * 64u + invocation;
    if bucket > params.x {
        return;
    }
    var low = 0u;
    var high = params.y;
    for (var turn = 0u; turn < params.z; turn += 1u) {
        if low < high {
            let middle = low + (high - low) / 2u;
            if keys[middle] < bucket {
                low = middle + 1u;
            } else {
                high = middle;
            }
        }
    }
    starts[bucket] = low;
}

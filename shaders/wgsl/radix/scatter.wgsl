// Radix sort, last of its stages: each key and its payload to where it belongs by one digit. Stable.
//
// In: n = params.x keys and payloads; the digit is 4 bits from bit params.y on; `starts`, what `count` gave as a running sum.
// If params.w is 1, a payload is its key's index, and `payloads` is not read. Out: keys and payloads, other buffers.
// Bounds: params.z = ceil(n / 1,024); n <= 2^32 - 1,024. An invocation takes 8 keys in a row, so that the order of invocations
// is the order of keys.

@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read> keys: array<u32>;
@group(0) @binding(2) var<storage, read> payloads: array<u32>;
@group(0) @binding(3) var<storage, read> starts: array<u32>;
@group(0) @binding(4) var<storage, read_write> keys_out: array<u32>;
@group(0) @binding(5) var<storage, read_write> payloads_out: array<u32>;

// Word d * 128 + i: keys with digit d of invocation i; then how many of the tile go before them.
var<workgroup> ranks: array<u32, 2048>;
// Where the tile's keys of a digit go, less how many of the tile go before them.
var<workgroup> shifts: array<u32, 16>;

@compute @workgroup_size(128)
fn scatter(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let tile = group.x + group.y * groups.x;
    if tile >= params.z {
        return;
    }
    for (var d = 0u; d < 16u; d += 1u) {
        ranks[d * 128u + invocation] = 0u;
    }
    let first = tile * 1024u + invocation * 8u;
    let end = min(first + 8u, params.x);
    for (var i = first; i < end; i += 1u) {
        ranks[((keys[i] >> params.y) & 15u) * 128u + invocation] += 1u;
    }
    workgroupBarrier();
    // 16 words in a row each: an eighth of a digit.
    var sum = 0u;
    for (var k = 0u; k < 16u; k += 1u) {
        sum += ranks[invocation * 16u + k];
    }
    var running = exclusive_sum(invocation, sum);
    for (var k = 0u; k < 16u; k += 1u) {
        let count = ranks[invocation * 16u + k];
        ranks[invocation * 16u + k] = running;
        running += count;
    }
    workgroupBarrier();
    if invocation < 16u {
        shifts[invocation] = starts[invocation * params.z + tile] - ranks[invocation * 128u];
    }
    workgroupBarrier();
    for (var i = first; i < end; i += 1u) {
        let key = keys[i];
        let digit = (key >> params.y) & 15u;
        let rank = ranks[digit * 128u + invocation];
        ranks[digit * 128u + invocation] = rank + 1u;
        let to = shifts[digit] + rank;
        var payload = i;
        if params.w != 1u {
            payload = payloads[i];
        }
        keys_out[to] = key;
        payloads_out[to] = payload;
    }
}

// Entries of buckets, added up: an invocation a part of a bucket, which takes every so manieth of its entries.
//
// In: `starts`, where the entries of each bucket begin and the last ends; `order`, entries by bucket; `payloads`: of each entry
// twice its point and 1 if it is negated; `table`, 16 words a point. In, out: `points`, of parts of a bucket side by side: those
// with entries in these turns. A part begins with its entry of turn 0; what goes before other turns is in `points`.
// Bounds: buckets = params.x, parts of each = params.y, turns = params.w from params.z on. Sums are not complete: z = 0 in the
// end says that one met an equal or opposite point. Nothing is written for a part that has no entry here.

@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> payloads: array<u32>;
@group(0) @binding(4) var<storage, read> table: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read_write> points: array<u32>;

@compute @workgroup_size(64)
fn accumulate(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let row = (group.x + group.y * groups.x) * 64u + invocation;
    if row >= params.x * params.y {
        return;
    }
    let bucket = row / params.y;
    let first = starts[bucket] + row % params.y;
    let end = starts[bucket + 1u];
    if first + params.z * params.y >= end {
        return;
    }
    var p = Point(small(0u), small(0u), small(0u));
    if params.z > 0u {
        p = load_point(row);
    }
    for (var turn = params.z; turn < params.z + params.w; turn += 1u) {
        let i = first + turn * params.y;
        if i >= end {
            break;
        }
        let payload = payloads[order[i]];
        let t = 4u * (payload >> 1u);
        let x = Element(table[t], table[t + 1u]);
        let positive = Element(table[t + 2u], table[t + 3u]);
        let y = pick(positive, sub(small(0u), positive), (payload & 1u) == 1u);
        if turn == 0u {
            p = Point(x, y, small(1u));
        } else {
            p = sum(p, x, y).point;
        }
    }
    store_point(row, p);
}

// Affine coordinates and a verdict: the way down from the lanes' inverses.
//
// Lane t has rows t + j lanes. In: `points`; `flags`, params.w words a row, of which the last says whether there is anything (R
// is a point; a bucket has entries); `before`, 8 words a row; `totals`, 8 words a lane, inverted. Out: `keys`, 17 words a row:
// x, y, and 1 if they are the row's, 0 if there is nothing, 2 if z is 0, so that the point is to be found otherwise.
// Bounds: rows = params.x, lanes = params.y, rows of a lane = params.z.

@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read> points: array<u32>;
@group(0) @binding(2) var<storage, read> flags: array<u32>;
@group(0) @binding(3) var<storage, read> before: array<u32>;
@group(0) @binding(4) var<storage, read> totals: array<u32>;
@group(0) @binding(5) var<storage, read_write> keys: array<u32>;

fn store_key(word: u32, row: u32, value: Element) {
    let o = place(word, row, 17u);
    keys[o] = value.a.x;
    keys[o + 64u] = value.a.y;
    keys[o + 128u] = value.a.z;
    keys[o + 192u] = value.a.w;
    keys[o + 256u] = value.b.x;
    keys[o + 320u] = value.b.y;
    keys[o + 384u] = value.b.z;
    keys[o + 448u] = value.b.w;
}

@compute @workgroup_size(64)
fn affine(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let lane = (group.x + group.y * groups.x) * 64u + invocation;
    if lane >= params.y {
        return;
    }
    let i = place(0u, lane, 8u);
    var inverse = Element(
        vec4<u32>(totals[i], totals[i + 64u], totals[i + 128u], totals[i + 192u]),
        vec4<u32>(totals[i + 256u], totals[i + 320u], totals[i + 384u], totals[i + 448u]),
    );
    for (var turn = 0u; turn < params.z; turn += 1u) {
        let row = lane + (params.z - 1u - turn) * params.y;
        if row >= params.x {
            continue;
        }
        let o = place(0u, row, 8u);
        let product = Element(
            vec4<u32>(before[o], before[o + 64u], before[o + 128u], before[o + 192u]),
            vec4<u32>(before[o + 256u], before[o + 320u], before[o + 384u], before[o + 448u]),
        );
        let p = load_point(row);
        let is_met = is_zero(p.z);
        let own = mul(inverse, product);
        inverse = mul(inverse, pick(p.z, small(1u), is_met));
        let square = mul(own, own);
        store_key(0u, row, mul(p.x, square));
        store_key(8u, row, mul(p.y, mul(square, own)));
        let is_there = flags[place(params.w - 1u, row, params.w)] == 1u;
        keys[place(16u, row, 17u)] = select(0u, select(1u, 2u, is_met), is_there);
    }
}

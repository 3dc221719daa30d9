// What a row's weight leaves of its scalars: a u1 and a u2 mod n for a = b + c lambda, u1 = z / s and u2 = r / s. The way down from the
// lanes' inverses of s.
//
// Lane t has rows t + j lanes. In: `points`, whose three numbers are z, r and s here; `before`, 8 words a row, and `totals`, 8 words a lane, inverted:
// what `products` and `invert` make of s mod n; `weights`, 4 words a row: b, c. Out: `terms`, 16 words a row: a u1, a u2. An s of 0
// counts as 1.
// Bounds: rows = params.x, lanes = params.y, rows of a lane = params.z; s canonical.

@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read> points: array<u32>;
@group(0) @binding(2) var<storage, read> before: array<u32>;
@group(0) @binding(3) var<storage, read> totals: array<u32>;
@group(0) @binding(4) var<storage, read> weights: array<u32>;
@group(0) @binding(5) var<storage, read_write> terms: array<u32>;

fn store_term(word: u32, row: u32, value: Element) {
    let o = place(word, row, 16u);
    terms[o] = value.a.x;
    terms[o + 64u] = value.a.y;
    terms[o + 128u] = value.a.z;
    terms[o + 192u] = value.a.w;
    terms[o + 256u] = value.b.x;
    terms[o + 320u] = value.b.y;
    terms[o + 384u] = value.b.z;
    terms[o + 448u] = value.b.w;
}

@compute @workgroup_size(64)
fn weigh(
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
        let s = load_coordinate(16u, row);
        let own = mul(inverse, product);
        inverse = mul(inverse, pick(s, small(1u), is_zero(s)));
        let w = place(0u, row, 4u);
        let b = Element(vec4<u32>(weights[w], weights[w + 64u], 0u, 0u), vec4<u32>());
        let c = Element(vec4<u32>(weights[w + 128u], weights[w + 192u], 0u, 0u), vec4<u32>());
        let share = mul(add(mul(c, lambda()), b), own);
        store_term(0u, row, mul(share, load_coordinate(0u, row)));
        store_term(8u, row, mul(share, load_coordinate(8u, row)));
    }
}

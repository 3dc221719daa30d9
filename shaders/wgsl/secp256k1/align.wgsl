// Brings the entries of each row's table over one z, so that they are affine points of one curve.
//
// From the last entry to the first: what its z lacks is the product of the factors of all after it. In: `points`, of which z
// is that of 2R; `factors` and `table` as secp256k1/multiples.wgsl leaves them. Out: `table`, entry m now (x, y) of (2 m + 1)
// R on the curve to which multiplying by `scale`, 8 words a row, leads.
// Bounds: rows = params.x.

@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read> points: array<u32>;
@group(0) @binding(2) var<storage, read> factors: array<u32>;
@group(0) @binding(3) var<storage, read_write> table: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> scale: array<u32>;

fn factor_of(row: u32, entry: u32) -> Element {
    let o = place(8u * entry, row, 128u);
    return Element(
        vec4<u32>(factors[o], factors[o + 64u], factors[o + 128u], factors[o + 192u]),
        vec4<u32>(factors[o + 256u], factors[o + 320u], factors[o + 384u], factors[o + 448u]),
    );
}

@compute @workgroup_size(64)
fn align(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let row = (group.x + group.y * groups.x) * 64u + invocation;
    if row >= params.x {
        return;
    }
    var lacks = small(1u);
    for (var turn = 0u; turn < 15u; turn += 1u) {
        let entry = 14u - turn;
        lacks = mul(lacks, factor_of(row, entry + 1u));
        let square = mul(lacks, lacks);
        let t = 64u * row + 4u * entry;
        let x = mul(Element(table[t], table[t + 1u]), square);
        let y = mul(Element(table[t + 2u], table[t + 3u]), mul(square, lacks));
        table[t] = x.a;
        table[t + 1u] = x.b;
        table[t + 2u] = y.a;
        table[t + 3u] = y.b;
    }
    let z = mul(lacks, load_coordinate(16u, row));
    let o = place(0u, row, 8u);
    scale[o] = z.a.x;
    scale[o + 64u] = z.a.y;
    scale[o + 128u] = z.a.z;
    scale[o + 192u] = z.a.w;
    scale[o + 256u] = z.b.x;
    scale[o + 320u] = z.b.y;
    scale[o + 384u] = z.b.z;
    scale[o + 448u] = z.b.w;
}

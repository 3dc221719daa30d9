// Whether each row's y is the one of its x and parity; the points (x, y) and (beta x, y) into the table.
//
// In: `rows`, params.z words a row, of which words 0 to 7 are x and word 8 the parity; `lifted`, 9 words a row: y, and 0 if
// there is none; `beta`. Out: `table`, two entries of 16 words a row; `verdicts`, a word a row: 1 if y^2 = x^3 + B, y has the
// parity and there is one, else 0. Both from row params.w on, so that several columns fill one table.
// Bounds: rows = params.x, B = params.y; x and y are canonical, which is their caller's to see to.

@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read> lifted: array<u32>;
@group(0) @binding(3) var<storage, read> beta: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> table: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read_write> verdicts: array<u32>;

@compute @workgroup_size(64)
fn hints(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let row = (group.x + group.y * groups.x) * 64u + invocation;
    if row >= params.x {
        return;
    }
    let i = place(0u, row, params.z);
    let x = Element(
        vec4<u32>(rows[i], rows[i + 64u], rows[i + 128u], rows[i + 192u]),
        vec4<u32>(rows[i + 256u], rows[i + 320u], rows[i + 384u], rows[i + 448u]),
    );
    let is_odd = rows[i + 512u] & 1u;
    let k = place(0u, row, 9u);
    let y = Element(
        vec4<u32>(lifted[k], lifted[k + 64u], lifted[k + 128u], lifted[k + 192u]),
        vec4<u32>(lifted[k + 256u], lifted[k + 320u], lifted[k + 384u], lifted[k + 448u]),
    );
    let right_side = add(mul(mul(x, x), x), small(params.y));
    let is_point = is_equal(mul(y, y), right_side) && lifted[k + 512u] != 0u;
    let image = mul(x, Element(beta[0], beta[1]));
    let to = params.w + row;
    verdicts[to] = select(0u, 1u, is_point && (y.a.x & 1u) == is_odd);
    let t = 8u * to;
    table[t] = x.a;
    table[t + 1u] = x.b;
    table[t + 2u] = y.a;
    table[t + 3u] = y.b;
    table[t + 4u] = image.a;
    table[t + 5u] = image.b;
    table[t + 6u] = y.a;
    table[t + 7u] = y.b;
}

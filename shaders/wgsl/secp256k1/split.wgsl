// Scalars cut by the endomorphism: k = a + b lambda mod n with both halves below 2^128 in absolute value, made ready for `digits`.
//
// In: `sums`, 8 words a row, canonical; `bias`, 5 words: half of each window's range. Out: `scalars`, 5 words a row: of scalar i in row
// 2 i |a| and in row 2 i + 1 |b|, each with the bias added, and the highest bit of the last word says that the half is negative.
// Bounds: scalars = params.x; the bias leaves that bit alone.

@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read> sums: array<u32>;
@group(0) @binding(2) var<storage, read> bias: array<u32>;
@group(0) @binding(3) var<storage, read_write> scalars: array<u32>;

// A half is below 2^128 or above n - 2^128.
fn store_half(row: u32, half: Element) {
    let is_negative = (half.b.w >> 31u) == 1u;
    let size = pick(half, sub(small(0u), half), is_negative);
    let more = Element(vec4<u32>(bias[0], bias[1], bias[2], bias[3]), vec4<u32>(bias[4], 0u, 0u, 0u));
    let biased = plus(size, more).value;
    let o = place(0u, row, 5u);
    scalars[o] = biased.a.x;
    scalars[o + 64u] = biased.a.y;
    scalars[o + 128u] = biased.a.z;
    scalars[o + 192u] = biased.a.w;
    scalars[o + 256u] = biased.b.x | select(0u, 0x80000000u, is_negative);
}

@compute @workgroup_size(64)
fn split(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = (group.x + group.y * groups.x) * 64u + invocation;
    if i >= params.x {
        return;
    }
    let o = place(0u, i, 8u);
    let k = Element(
        vec4<u32>(sums[o], sums[o + 64u], sums[o + 128u], sums[o + 192u]),
        vec4<u32>(sums[o + 256u], sums[o + 320u], sums[o + 384u], sums[o + 448u]),
    );
    // 2^384 A1 / n and 2^384 (-B1) / n, rounded: k times them is 2^384 times c1 and c2, rounded to the nearest.
    let round_1 = Element(
        vec4<u32>(0x45dbb031u, 0xe893209au, 0x71e8ca7fu, 0x3daa8a14u),
        vec4<u32>(0x9284eb15u, 0xe86c90e4u, 0xa7d46bcdu, 0x3086d221u),
    );
    let round_2 = Element(
        vec4<u32>(0x8ac47f71u, 0x1571b4aeu, 0x9df506c6u, 0x221208acu),
        vec4<u32>(0x0abfe4c4u, 0x6f547fa9u, 0x010e8828u, 0xe4437ed6u),
    );
    let minus_b1 = Element(vec4<u32>(0x0abfe4c3u, 0x6f547fa9u, 0x010e8828u, 0xe4437ed6u), vec4<u32>());
    let a1 = Element(vec4<u32>(0x9284eb15u, 0xe86c90e4u, 0xa7d46bcdu, 0x3086d221u), vec4<u32>());
    let b = sub(mul(high(k, round_1), minus_b1), mul(high(k, round_2), a1));
    store_half(2u * i, sub(k, mul(b, lambda())));
    store_half(2u * i + 1u, b);
}

// Digits of scalars: for each scalar and window the bucket that the scalar's point goes to, and its sign.
//
// Half of each window's range was added to every scalar beforehand, so digits need no carries: bits v of a window of b bits
// stand for d = v - 2^(b - 1). The last window has a bit more, for its digit may be 2^(b - 1). In: `windows`: first bit, b,
// first bucket of each, and the number of all buckets; `scalars`, so many words a row, of which the highest bit of the last
// says that the scalar is negative; `points`: the point that scalars 2 i and 2 i + 1 belong to, the second to its image. Out: of scalar i and window w, in place params.w + w params.x + i: `keys`, the bucket
// first + |d| mod 2^(b - 1), or the number of all buckets for d = 0; `payloads`, twice the place of the point or image in the
// table, and 1 more if the digit is negative.
// Bounds: scalars = params.x; windows = params.z & 255; words = params.z >> 8, and no window but the last word's has bits in it;
// 4 <= b <= 15; points below 2^30.

@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read> windows: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> scalars: array<u32>;
@group(0) @binding(3) var<storage, read> points: array<u32>;
@group(0) @binding(4) var<storage, read_write> keys: array<u32>;
@group(0) @binding(5) var<storage, read_write> payloads: array<u32>;

@compute @workgroup_size(64)
fn digits(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let i = (group.x + group.y * groups.x) * 64u + invocation;
    if i >= params.x {
        return;
    }
    let count = params.z & 255u;
    let words = params.z >> 8u;
    let is_negative = scalars[place(words - 1u, i, words)] >> 31u;
    let point = 2u * points[i / 2u] + (i & 1u);
    for (var w = 0u; w < count; w += 1u) {
        let window = windows[w];
        let word = window.x / 32u;
        let shift = window.x % 32u;
        let low = scalars[place(word, i, words)];
        let high = scalars[place(min(word + 1u, words - 1u), i, words)];
        let bits = window.y + select(0u, 1u, w + 1u == count);
        let v = ((low >> shift) | ((high << 1u) << (31u - shift))) & ((1u << bits) - 1u);
        let half = 1u << (window.y - 1u);
        let is_below = v < half;
        let size = select(v - half, half - v, is_below);
        let e = params.w + w * params.x + i;
        keys[e] = select(window.z + (size & (half - 1u)), window.w, size == 0u);
        payloads[e] = (point << 1u) | (select(0u, 1u, is_below) ^ is_negative);
    }
}

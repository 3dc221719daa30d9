// Keccak-256 of many messages, one invocation a message.
//
// In: row i of `spans` is where message i begins in `words`, in words, and its length in bytes. Behind the last message lie 34
// words more, of any content. Out: row i of `digests`, 8 words. Rows of about equal length run fastest side by side.
// Bounds: rows = params.x; begin + length / 4 + 34 <= length of `words`; at most 1,024 blocks a message, which bounds the loop.

@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read> spans: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> words: array<u32>;
@group(0) @binding(3) var<storage, read_write> digests: array<vec4<u32>>;

// Word i of the block at `start`, of which `left` bytes are the message's: padded behind them with 0x01, zeros, 0x80.
fn padded(start: u32, left: u32, i: u32) -> u32 {
    let bytes = max(left, 4u * i) - 4u * i;
    let shift = 8u * min(bytes, 3u);
    let marked = (words[start + i] & ((1u << shift) - 1u)) | select(0u, 1u << shift, left / 4u == i);
    return select(marked, words[start + i], bytes > 3u) ^ select(0u, 0x80000000u, i == 33u && left < 136u);
}

fn absorbed(start: u32, left: u32, i: u32) -> Lane {
    return lane(padded(start, left, 2u * i), padded(start, left, 2u * i + 1u));
}

@compute @workgroup_size(64)
fn digest(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let row = (group.x + group.y * groups.x) * 64u + invocation;
    if row >= params.x {
        return;
    }
    var start = spans[row].x;
    var left = spans[row].y;
    var s = State();
    let blocks = left / 136u + 1u;
    for (var block = 0u; block < blocks; block += 1u) {
        s.a0 ^= absorbed(start, left, 0u);
        s.a1 ^= absorbed(start, left, 1u);
        s.a2 ^= absorbed(start, left, 2u);
        s.a3 ^= absorbed(start, left, 3u);
        s.a4 ^= absorbed(start, left, 4u);
        s.a5 ^= absorbed(start, left, 5u);
        s.a6 ^= absorbed(start, left, 6u);
        s.a7 ^= absorbed(start, left, 7u);
        s.a8 ^= absorbed(start, left, 8u);
        s.a9 ^= absorbed(start, left, 9u);
        s.a10 ^= absorbed(start, left, 10u);
        s.a11 ^= absorbed(start, left, 11u);
        s.a12 ^= absorbed(start, left, 12u);
        s.a13 ^= absorbed(start, left, 13u);
        s.a14 ^= absorbed(start, left, 14u);
        s.a15 ^= absorbed(start, left, 15u);
        s.a16 ^= absorbed(start, left, 16u);
        s = permute(s);
        start += 34u;
        left -= min(left, 136u);
    }
    digests[2u * row] = vec4<u32>(low(s.a0), high(s.a0), low(s.a1), high(s.a1));
    digests[2u * row + 1u] = vec4<u32>(low(s.a2), high(s.a2), low(s.a3), high(s.a3));
}

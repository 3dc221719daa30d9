// A lane of Keccak: a word of 64 bits, as its low and its high half. Needs nothing that an adapter may lack.

alias Lane = vec2<u32>;

fn lane(low: u32, high: u32) -> Lane {
    return vec2<u32>(low, high);
}

fn low(a: Lane) -> u32 {
    return a.x;
}

fn high(a: Lane) -> u32 {
    return a.y;
}

// Rotated left, 0 < n < 64 and not 32: by halves, then by what is left, which is never 0 (a shift by 32 has no value). The
// calls have constants for n, so that nothing of this choice is left.
fn rol(a: Lane, n: u32) -> Lane {
    let b = select(a, a.yx, n > 32u);
    let k = n & 31u;
    return (b << vec2<u32>(k)) | (b.yx >> vec2<u32>(32u - k));
}

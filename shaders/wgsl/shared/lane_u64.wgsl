// A lane of Keccak: a word of 64 bits, as one u64. Needs SHADER_INT64, which covers arithmetic, not loads and stores.

alias Lane = u64;

fn lane(low: u32, high: u32) -> Lane {
    return u64(low) | (u64(high) << 32u);
}

fn low(a: Lane) -> u32 {
    return u32(a & 0xfffffffflu);
}

fn high(a: Lane) -> u32 {
    return u32(a >> 32u);
}

// Rotated left, 0 < n < 64.
fn rol(a: Lane, n: u32) -> Lane {
    return (a << n) | (a >> (64u - n));
}

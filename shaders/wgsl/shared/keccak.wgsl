// Keccak-f[1600] of one state: FIPS 202 sections 3.2 and 3.3. Goes after a file that says what a `Lane` is.
//
// Named words, not arrays, and rounds in a row: arrays that are indexed in loops cost a hundred times as much where a driver
// leaves them in memory. Word a_i is word x + 5y = i of the state.

struct State {
    a0: Lane,
    a1: Lane,
    a2: Lane,
    a3: Lane,
    a4: Lane,
    a5: Lane,
    a6: Lane,
    a7: Lane,
    a8: Lane,
    a9: Lane,
    a10: Lane,
    a11: Lane,
    a12: Lane,
    a13: Lane,
    a14: Lane,
    a15: Lane,
    a16: Lane,
    a17: Lane,
    a18: Lane,
    a19: Lane,
    a20: Lane,
    a21: Lane,
    a22: Lane,
    a23: Lane,
    a24: Lane,
}

// Theta, rho, pi, chi, iota.
fn round(s: State, low_constant: u32, high_constant: u32) -> State {
    let c0 = s.a0 ^ s.a5 ^ s.a10 ^ s.a15 ^ s.a20;
    let c1 = s.a1 ^ s.a6 ^ s.a11 ^ s.a16 ^ s.a21;
    let c2 = s.a2 ^ s.a7 ^ s.a12 ^ s.a17 ^ s.a22;
    let c3 = s.a3 ^ s.a8 ^ s.a13 ^ s.a18 ^ s.a23;
    let c4 = s.a4 ^ s.a9 ^ s.a14 ^ s.a19 ^ s.a24;
    let d0 = c4 ^ rol(c1, 1u);
    let d1 = c0 ^ rol(c2, 1u);
    let d2 = c1 ^ rol(c3, 1u);
    let d3 = c2 ^ rol(c4, 1u);
    let d4 = c3 ^ rol(c0, 1u);
    // Word x of row y comes from column x + 3y, row x.
    let b0 = s.a0 ^ d0;
    let b1 = rol(s.a6 ^ d1, 44u);
    let b2 = rol(s.a12 ^ d2, 43u);
    let b3 = rol(s.a18 ^ d3, 21u);
    let b4 = rol(s.a24 ^ d4, 14u);
    let b5 = rol(s.a3 ^ d3, 28u);
    let b6 = rol(s.a9 ^ d4, 20u);
    let b7 = rol(s.a10 ^ d0, 3u);
    let b8 = rol(s.a16 ^ d1, 45u);
    let b9 = rol(s.a22 ^ d2, 61u);
    let b10 = rol(s.a1 ^ d1, 1u);
    let b11 = rol(s.a7 ^ d2, 6u);
    let b12 = rol(s.a13 ^ d3, 25u);
    let b13 = rol(s.a19 ^ d4, 8u);
    let b14 = rol(s.a20 ^ d0, 18u);
    let b15 = rol(s.a4 ^ d4, 27u);
    let b16 = rol(s.a5 ^ d0, 36u);
    let b17 = rol(s.a11 ^ d1, 10u);
    let b18 = rol(s.a17 ^ d2, 15u);
    let b19 = rol(s.a23 ^ d3, 56u);
    let b20 = rol(s.a2 ^ d2, 62u);
    let b21 = rol(s.a8 ^ d3, 55u);
    let b22 = rol(s.a14 ^ d4, 39u);
    let b23 = rol(s.a15 ^ d0, 41u);
    let b24 = rol(s.a21 ^ d1, 2u);
    return State(
        b0 ^ (~b1 & b2) ^ lane(low_constant, high_constant),
        b1 ^ (~b2 & b3),
        b2 ^ (~b3 & b4),
        b3 ^ (~b4 & b0),
        b4 ^ (~b0 & b1),
        b5 ^ (~b6 & b7),
        b6 ^ (~b7 & b8),
        b7 ^ (~b8 & b9),
        b8 ^ (~b9 & b5),
        b9 ^ (~b5 & b6),
        b10 ^ (~b11 & b12),
        b11 ^ (~b12 & b13),
        b12 ^ (~b13 & b14),
        b13 ^ (~b14 & b10),
        b14 ^ (~b10 & b11),
        b15 ^ (~b16 & b17),
        b16 ^ (~b17 & b18),
        b17 ^ (~b18 & b19),
        b18 ^ (~b19 & b15),
        b19 ^ (~b15 & b16),
        b20 ^ (~b21 & b22),
        b21 ^ (~b22 & b23),
        b22 ^ (~b23 & b24),
        b23 ^ (~b24 & b20),
        b24 ^ (~b20 & b21),
    );
}

fn permute(s: State) -> State {
    var t = s;
    t = round(t, 0x00000001u, 0x00000000u);
    t = round(t, 0x00008082u, 0x00000000u);
    t = round(t, 0x0000808au, 0x80000000u);
    t = round(t, 0x80008000u, 0x80000000u);
    t = round(t, 0x0000808bu, 0x00000000u);
    t = round(t, 0x80000001u, 0x00000000u);
    t = round(t, 0x80008081u, 0x80000000u);
    t = round(t, 0x00008009u, 0x80000000u);
    t = round(t, 0x0000008au, 0x00000000u);
    t = round(t, 0x00000088u, 0x00000000u);
    t = round(t, 0x80008009u, 0x00000000u);
    t = round(t, 0x8000000au, 0x00000000u);
    t = round(t, 0x8000808bu, 0x00000000u);
    t = round(t, 0x0000008bu, 0x80000000u);
    t = round(t, 0x00008089u, 0x80000000u);
    t = round(t, 0x00008003u, 0x80000000u);
    t = round(t, 0x00008002u, 0x80000000u);
    t = round(t, 0x00000080u, 0x80000000u);
    t = round(t, 0x0000800au, 0x00000000u);
    t = round(t, 0x8000000au, 0x80000000u);
    t = round(t, 0x80008081u, 0x80000000u);
    t = round(t, 0x00008080u, 0x80000000u);
    t = round(t, 0x80000001u, 0x00000000u);
    t = round(t, 0x80008008u, 0x80000000u);
    return t;
}

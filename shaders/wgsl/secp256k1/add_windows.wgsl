// Entries of tables, added to each row's point: some windows of a scalar that is split into two halves.
//
// In: `rows`, 29 words a row, of which words 9 to 18 are the halves of the scalar of R and words 19 to 28 those of the scalar
// of G, five words each. Digit e at bit `window bits` of a half of `bits` bits stands for the odd digit 2 e - (2^bits - 1),
// whose multiple is entry e - 2^(bits - 1) of the table, or below that entry 2^(bits - 1) - 1 - e negated. Entries of the
// second half are times lambda: (beta x, y). `table`: 2^(bits - 1) entries of 16 words a row (own), or a window (of all); one
// of (0, 0) is no point. `beta`, 8 words. In, out: `points`.
// Bounds: rows = params.x; window params.y and params.z - 1 after it; bits = params.w & 255, at most 15, and (windows + 1)
// bits <= 160.
// params.w & 256: the table is each row's own; params.w & 512: the point is the first entry, and not what is in `points`. Sums
// are not complete: z = 0 in the end says that one met an equal or opposite point, or none.

@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> beta: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> points: array<u32>;

@compute @workgroup_size(64)
fn add_windows(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let row = (group.x + group.y * groups.x) * 64u + invocation;
    if row >= params.x {
        return;
    }
    let bits = params.w & 255u;
    let is_own = (params.w & 256u) != 0u;
    let begins = (params.w & 512u) != 0u;
    let half = 1u << (bits - 1u);
    var p = load_point(row);
    for (var turn = 0u; turn < 2u * params.z; turn += 1u) {
        let window = params.y + turn / 2u;
        let is_second = (turn & 1u) != 0u;
        let at = window * bits;
        let word = select(19u, 9u, is_own) + select(0u, 5u, is_second) + at / 32u;
        // The word after the last is another scalar's or row's, or behind the end: its bits are masked, its place is not.
        let low = rows[place(word, row, 29u)];
        let high = rows[place(min(word + 1u, 28u), row, 29u)];
        let shift = at % 32u;
        let digit = ((low >> shift) | ((high << 1u) << (31u - shift))) & (2u * half - 1u);
        let is_negative = digit < half;
        let entry = select(digit - half, half - 1u - digit, is_negative);
        let t = 4u * (select(window, row, is_own) * half + entry);
        var x = Element(table[t], table[t + 1u]);
        let positive = Element(table[t + 2u], table[t + 3u]);
        let y = pick(positive, sub(small(0u), positive), is_negative);
        if is_second {
            x = mul(x, Element(beta[0], beta[1]));
        }
        if begins && turn == 0u {
            p = Point(x, y, small(1u));
        } else {
            p = sum(p, x, y).point;
        }
        p.z = pick(p.z, small(0u), is_zero(positive));
    }
    store_point(row, p);
}

// The parts of each bucket become one point.
//
// In: `starts`, where the entries of each bucket begin and the last ends; `parts`, points of parts of a bucket side by side,
// as secp256k1/accumulate.wgsl leaves them. Out: `points`, one a bucket, z = 0 if a sum met what it cannot add or if there were
// more entries than turns took; `flags`, a word a bucket: 1 if it has entries, else 0, and the point is (0, 0, 0).
// Bounds: buckets = params.x, parts of each = params.y, turns = params.z. Sums: Bernstein and Lange, Explicit-Formulas Database,
// add-1998-cmo-2: 12 products and 4 squares.

@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> parts: array<u32>;
@group(0) @binding(3) var<storage, read_write> points: array<u32>;
@group(0) @binding(4) var<storage, read_write> flags: array<u32>;

fn part_coordinate(word: u32, row: u32) -> Element {
    let o = place(word, row, 24u);
    return Element(
        vec4<u32>(parts[o], parts[o + 64u], parts[o + 128u], parts[o + 192u]),
        vec4<u32>(parts[o + 256u], parts[o + 320u], parts[o + 384u], parts[o + 448u]),
    );
}

fn load_part(row: u32) -> Point {
    return Point(part_coordinate(0u, row), part_coordinate(8u, row), part_coordinate(16u, row));
}

// As `sum`, with a turn before it that brings p beside q.
fn sum_of_points(p: Point, q: Point) -> Point {
    var u = q.z;
    var s = p.x;
    var t = p.y;
    var cube = u;
    var x = s;
    var y = t;
    var h = u;
    var r = u;
    for (var turn = 0u; turn < 3u; turn += 1u) {
        let square = mul(u, u);
        cube = mul(square, u);
        s = mul(s, square);
        t = mul(t, cube);
        if turn == 0u {
            x = s;
            y = t;
            u = p.z;
            s = q.x;
            t = q.y;
        } else if turn == 1u {
            h = sub(s, x);
            r = sub(t, y);
            u = h;
            s = x;
            t = y;
        }
    }
    let x_sum = sub(sub(mul(r, r), cube), twice(s));
    let y_sum = sub(mul(r, sub(s, x_sum)), t);
    return Point(x_sum, y_sum, mul(mul(p.z, q.z), h));
}

@compute @workgroup_size(64)
fn join(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let bucket = (group.x + group.y * groups.x) * 64u + invocation;
    if bucket >= params.x {
        return;
    }
    let entries = starts[bucket + 1u] - starts[bucket];
    var p = Point(small(0u), small(0u), small(0u));
    if entries > 0u {
        p = load_part(bucket * params.y);
    }
    for (var part = 1u; part < min(params.y, entries); part += 1u) {
        p = sum_of_points(p, load_part(bucket * params.y + part));
    }
    if entries > params.y * params.z {
        p.z = small(0u);
    }
    store_point(bucket, p);
    flags[bucket] = select(0u, 1u, entries > 0u);
}

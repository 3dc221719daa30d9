// Double use: each use against the one before it on its cell. What finds its own version and value there needs no look.
//
// In: n = params.x uses in the order of cells, then of locations: `cells`, and in `order` the number of each use; by that number
// `uses`: code of its row, and bit 31 if it writes; version that it names, value before, value after. `ground`: for each cell
// (value, version) of what is known before its first use, version 2^32 - 1 if nothing is. params.y: codes from here on are rows.
// params.z: code of virgin in a segment from genesis, else 2^32 - 1.
// Out: `flags`, two bits a use, by number, or-ed in: 1 where the processor has to look at the use alone (a demand on what was
// before the segment), 2 where it has to look at all uses of the cell. `ends`: (value, version) after the last use of each
// cell that has one. Cells with a 2 have anything there.
// Bounds: cells below the lengths of `ground` and `ends`; order a permutation of 0..n; flags has ceil(n / 16) words; codes
// below 2^31.

@group(0) @binding(0) var<uniform> params: vec4<u32>;
@group(0) @binding(1) var<storage, read> cells: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> uses: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> ground: array<vec2<u32>>;
@group(0) @binding(5) var<storage, read_write> flags: array<atomic<u32>>;
@group(0) @binding(6) var<storage, read_write> ends: array<vec2<u32>>;

fn code(u: vec4<u32>) -> u32 {
    return u.x & 0x7fffffffu;
}

fn is_write(u: vec4<u32>) -> bool {
    return u.x >= 0x80000000u;
}

// What is live after a use, if it may be what it says.
fn live_after(u: vec4<u32>) -> vec2<u32> {
    return select(u.zy, vec2<u32>(u.w, code(u)), is_write(u));
}

@compute @workgroup_size(128)
fn compare(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) invocation: u32,
) {
    let place = (group.x + group.y * groups.x) * 128u + invocation;
    if place >= params.x {
        return;
    }
    let cell = cells[place];
    let number = order[place];
    let u = uses[number];
    var is_first = place == 0u;
    if !is_first {
        is_first = cells[place - 1u] != cell;
    }
    var live: vec2<u32>;
    if is_first {
        live = ground[cell];
    } else {
        live = live_after(uses[order[place - 1u]]);
    }
    var flag = 0u;
    if any(live != u.zy) {
        flag = select(2u, 1u, is_first);
    } else if u.y >= code(u) {
        flag = 2u;
    } else if is_write(u) && u.y < params.y && u.y != params.z {
        flag = 1u;
    }
    if flag != 0u {
        atomicOr(&flags[number / 16u], flag << (2u * (number % 16u)));
    }
    var is_last = place + 1u == params.x;
    if !is_last {
        is_last = cells[place + 1u] != cell;
    }
    if is_last {
        ends[cell] = live_after(u);
    }
}

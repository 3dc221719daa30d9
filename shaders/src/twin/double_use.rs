//! Twin of `double_use/*.wgsl`.

fn code(u: [u32; 4]) -> u32 {
    u[0] & 0x7fff_ffff
}

fn is_write(u: [u32; 4]) -> bool {
    u[0] >= 0x8000_0000
}

fn live_after(u: [u32; 4]) -> [u32; 2] {
    if is_write(u) { [u[3], code(u)] } else { [u[2], u[1]] }
}

/// Twin of `double_use/compare`.
pub fn compare(
    params: [u32; 4],
    cells: &[u32],
    order: &[u32],
    uses: &[u32],
    ground: &[u32],
    flags: &mut [u32],
    ends: &mut [u32],
) {
    let use_of = |number: u32| {
        let at = 4 * number as usize;
        [uses[at], uses[at + 1], uses[at + 2], uses[at + 3]]
    };
    for place in 0..params[0] as usize {
        let cell = cells[place];
        let number = order[place];
        let u = use_of(number);
        let mut is_first = place == 0;
        if !is_first {
            is_first = cells[place - 1] != cell;
        }
        let live = if is_first {
            [ground[2 * cell as usize], ground[2 * cell as usize + 1]]
        } else {
            live_after(use_of(order[place - 1]))
        };
        let mut flag = 0;
        if live != [u[2], u[1]] {
            flag = if is_first { 1 } else { 2 };
        } else if u[1] >= code(u) {
            flag = 2;
        } else if is_write(u) && u[1] < params[1] && u[1] != params[2] {
            flag = 1;
        }
        if flag != 0 {
            flags[number as usize / 16] |= flag << (2 * (number % 16));
        }
        let mut is_last = place + 1 == params[0] as usize;
        if !is_last {
            is_last = cells[place + 1] != cell;
        }
        if is_last {
            let [value, version] = live_after(u);
            ends[2 * cell as usize] = value;
            ends[2 * cell as usize + 1] = version;
        }
    }
}

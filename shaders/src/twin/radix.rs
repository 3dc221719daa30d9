//! Twins of `radix/*.wgsl`. A workgroup's invocations run one after the other between two barriers; `shared/scan.wgsl` is
//! `exclusive_sum`.

/// Of the values of a group's 128 invocations: what those before each give, and the total.
fn exclusive_sum(values: [u32; 128]) -> ([u32; 128], u32) {
    let mut before = [0; 128];
    let mut sum = 0u32;
    for invocation in 0..128 {
        before[invocation] = sum;
        sum = sum.wrapping_add(values[invocation]);
    }
    (before, sum)
}

/// Twin of `radix/count`.
pub fn count(params: [u32; 4], keys: &[u32], counts: &mut [u32]) {
    for tile in 0..params[2] {
        let mut histogram = [0; 16];
        for k in 0..8 {
            for invocation in 0..128 {
                let i = tile * 1024 + k * 128 + invocation;
                if i < params[0] {
                    histogram[((keys[i as usize] >> params[1]) & 15) as usize] += 1;
                }
            }
        }
        for invocation in 0..16 {
            counts[(invocation * params[2] + tile) as usize] = histogram[invocation as usize];
        }
    }
}

/// Twin of `radix/reduce`.
pub fn reduce(params: [u32; 4], words: &[u32], totals: &mut [u32]) {
    for block in 0..params[1] {
        let mut sums = [0u32; 128];
        for invocation in 0..128 {
            for k in 0..8 {
                let i = block * 1024 + k * 128 + invocation;
                if i < params[0] {
                    sums[invocation as usize] = sums[invocation as usize].wrapping_add(words[i as usize]);
                }
            }
        }
        let (before, _) = exclusive_sum(sums);
        totals[block as usize] = before[127].wrapping_add(sums[127]);
    }
}

/// Twin of `radix/scan_totals`.
pub fn scan_totals(params: [u32; 4], totals: &mut [u32]) {
    let mut carry = 0u32;
    let mut start = 0;
    while start < params[0] {
        let mut values = [0; 128];
        for invocation in 0..128 {
            let i = start + invocation;
            if i < params[0] {
                values[invocation as usize] = totals[i as usize];
            }
        }
        let (before, total) = exclusive_sum(values);
        for invocation in 0..128 {
            let i = start + invocation;
            if i < params[0] {
                totals[i as usize] = carry.wrapping_add(before[invocation as usize]);
            }
        }
        carry = carry.wrapping_add(total);
        start += 128;
    }
}

/// Twin of `radix/scan`.
pub fn scan(params: [u32; 4], totals: &[u32], words: &mut [u32]) {
    for block in 0..params[1] {
        let mut sums = [0u32; 128];
        for invocation in 0..128 {
            let first = block * 1024 + invocation * 8;
            for i in first..(first + 8).min(params[0]) {
                sums[invocation as usize] = sums[invocation as usize].wrapping_add(words[i as usize]);
            }
        }
        let (before, _) = exclusive_sum(sums);
        for invocation in 0..128 {
            let first = block * 1024 + invocation * 8;
            let mut running = totals[block as usize].wrapping_add(before[invocation as usize]);
            for i in first..(first + 8).min(params[0]) {
                let word = words[i as usize];
                words[i as usize] = running;
                running = running.wrapping_add(word);
            }
        }
    }
}

/// Twin of `radix/scatter`.
pub fn scatter(
    params: [u32; 4],
    keys: &[u32],
    payloads: &[u32],
    starts: &[u32],
    keys_out: &mut [u32],
    payloads_out: &mut [u32],
) {
    for tile in 0..params[2] {
        let mut ranks = [0u32; 2048];
        let mut shifts = [0u32; 16];
        for invocation in 0..128 {
            let first = tile * 1024 + invocation * 8;
            for i in first..(first + 8).min(params[0]) {
                ranks[(((keys[i as usize] >> params[1]) & 15) * 128 + invocation) as usize] += 1;
            }
        }
        let mut sums = [0; 128];
        for invocation in 0..128 {
            for k in 0..16 {
                sums[invocation] += ranks[invocation * 16 + k];
            }
        }
        let (before, _) = exclusive_sum(sums);
        for invocation in 0..128 {
            let mut running = before[invocation];
            for k in 0..16 {
                let count = ranks[invocation * 16 + k];
                ranks[invocation * 16 + k] = running;
                running += count;
            }
        }
        for invocation in 0..16 {
            let start = starts[invocation * params[2] as usize + tile as usize];
            shifts[invocation] = start.wrapping_sub(ranks[invocation * 128]);
        }
        for invocation in 0..128 {
            let first = tile * 1024 + invocation * 8;
            for i in first..(first + 8).min(params[0]) {
                let key = keys[i as usize];
                let digit = (key >> params[1]) & 15;
                let rank = ranks[(digit * 128 + invocation) as usize];
                ranks[(digit * 128 + invocation) as usize] = rank + 1;
                let to = shifts[digit as usize].wrapping_add(rank);
                let mut payload = i;
                if params[3] != 1 {
                    payload = payloads[i as usize];
                }
                keys_out[to as usize] = key;
                payloads_out[to as usize] = payload;
            }
        }
    }
}

// Sums over the invocations of a workgroup of 128, in shared memory; no subgroups, whose size nobody promises.

var<workgroup> sums: array<u32, 128>;

// What the invocations before this one give. All of the group call it together; their total is `sums[127]` until they go on
// to the next barrier.
fn exclusive_sum(invocation: u32, value: u32) -> u32 {
    sums[invocation] = value;
    workgroupBarrier();
    for (var step = 1u; step < 128u; step *= 2u) {
        var before = 0u;
        if invocation >= step {
            before = sums[invocation - step];
        }
        workgroupBarrier();
        sums[invocation] += before;
        workgroupBarrier();
    }
    return sums[invocation] - value;
}

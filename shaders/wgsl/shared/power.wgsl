// Powers by a chain of squares and products over eight registers. Goes into a stage that has the column `chain`.
//
// Register 0 is the base and register 3 the power. A step (n, to, from, by) is: to = from^(2^n) by. The chain is data, so that
// its text has one product and not one for each step.

fn power(base: Element, steps: u32) -> Element {
    var registers: array<Element, 8>;
    registers[0] = base;
    for (var i = 0u; i < steps; i += 1u) {
        let s = chain[i];
        var value = registers[s.z & 7u];
        let by = registers[s.w & 7u];
        for (var n = 0u; n <= s.x; n += 1u) {
            value = mul(value, pick(value, by, n == s.x));
        }
        registers[s.y & 7u] = value;
    }
    return registers[3];
}

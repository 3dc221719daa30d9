//! Numbers drawn from a seed: small, and the same on every machine and in every version.

use std::time::Duration;

/// A sequence of numbers drawn from a seed: SplitMix64.
#[derive(Clone, Debug)]
pub struct Draw(pub u64);

impl Draw {
    /// From `MANAFLOW_SEED`, else from the test's own seed.
    pub fn new(default: u64) -> Self {
        Self(crate::seed(default))
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below a bound, 0 below 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.number() % bound.max(1) as u64) as usize
    }

    /// At most `count` items, drawn without repetition, in their order.
    pub fn some<T>(&mut self, items: Vec<T>, count: usize) -> Vec<T> {
        let mut left = items.len();
        let mut wanted = count;
        let take = |_: &T| {
            let taken = self.number() % (left as u64) < wanted as u64;
            left -= 1;
            wanted -= usize::from(taken);
            taken
        };
        items.into_iter().filter(take).collect()
    }

    /// The i-th of n moments spread over a span, each drawn within its part.
    pub fn moment(&mut self, i: usize, n: usize, span: Duration) -> Duration {
        span.mul_f64((i as f64 + (self.number() >> 11) as f64 / (1_u64 << 53) as f64) / n as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_splitmix64() {
        // Seed 1234567: the first numbers of Vigna's reference, as Rosetta Code lists them.
        let mut draw = Draw(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(std::array::from_fn(|_| draw.number()), expected);
    }

    #[test]
    fn some_are_as_many_as_asked_for_in_their_order() {
        for count in 0..12 {
            let drawn = Draw(count as u64).some((0..10).collect(), count);
            assert_eq!(drawn.len(), count.min(10));
            assert!(drawn.is_sorted());
        }
    }

    #[test]
    fn moments_are_spread_over_the_span() {
        let (mut draw, span) = (Draw(1), Duration::from_secs(10));
        for i in 0..5 {
            let part = (2 * i as u64..2 * i as u64 + 2).map(Duration::from_secs).collect::<Vec<_>>();
            assert!(draw.moment(i, 5, span) >= part[0] && draw.moment(i, 5, span) < part[1] + Duration::from_secs(1));
        }
    }
}

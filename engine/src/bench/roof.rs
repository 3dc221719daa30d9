//! The roof: how fast this machine reads memory, measured in the run, so that a kernel's bytes can be held against it.

use super::{median, seconds};
use rayon::prelude::*;

/// Bytes that each thread reads: several times what caches keep.
const BYTES: usize = 128 << 20;

/// Bytes a second that the threads of the current pool read together, each its own memory, at the median of some turns.
pub fn memory_bandwidth(turns: usize) -> f64 {
    let threads = rayon::current_num_threads();
    let mut words = vec![0_u64; BYTES / 8 * threads];
    words.par_iter_mut().enumerate().for_each(|(i, word)| *word = i as u64);
    let read = || words.par_chunks(BYTES / 8).map(sum).reduce(|| 0, u64::wrapping_add);
    let times =
        (0..turns.max(1)).map(|_| seconds(|| assert_ne!(std::hint::black_box(read()), 0, "the sum of numbers")));
    (BYTES * threads) as f64 / median(times.collect())
}

/// Eight sums side by side, so that none waits for another.
fn sum(words: &[u64]) -> u64 {
    let (rows, rest) = words.as_chunks::<8>();
    let add = |mut sums: [u64; 8], row: &[u64; 8]| {
        sums.iter_mut().zip(row).for_each(|(sum, word)| *sum = sum.wrapping_add(*word));
        sums
    };
    let sums = rows.iter().fold([0; 8], add);
    sums.iter().chain(rest).fold(0, |sum, word| sum.wrapping_add(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_of_all_words() {
        for length in 0..40 {
            let words: Vec<u64> = (0..length).map(|i| i * 3).collect();
            assert_eq!(sum(&words), words.iter().sum::<u64>());
        }
        assert_eq!(sum(&[u64::MAX; 16]), 0_u64.wrapping_sub(16));
    }
}

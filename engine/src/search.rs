//! Search by halves over numbers: the one place of it.

use std::ops::Range;

/// The first number of a range for which something holds that then holds for all after it; the range's end if for none.
pub(crate) fn first_where(range: Range<u64>, holds: impl Fn(u64) -> bool) -> u64 {
    let Range { start: mut low, end: mut high } = range;
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

/// The same over numbers of rows and cells.
pub(crate) fn first_row_where(range: Range<u32>, holds: impl Fn(u32) -> bool) -> u32 {
    // Within a range of u32.
    first_where(range.start.into()..range.end.into(), |i| holds(i as u32)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_border_is_found() {
        for len in 0..20 {
            for border in 0..=len {
                assert_eq!(first_where(5..5 + len, |i| i >= 5 + border), 5 + border);
                let range = 5..5 + len as u32;
                assert_eq!(u64::from(first_row_where(range, |i| u64::from(i) >= 5 + border)), 5 + border);
            }
        }
        assert_eq!(first_where(0..u64::MAX, |i| i >= u64::MAX - 1), u64::MAX - 1);
    }
}

//! Memory as the procedures use it: asked for ahead of its use, and written past the caches where nobody reads it soon.
#![allow(unsafe_code)]

/// Four words of a use; see `partition`.
pub(super) type Record = [u32; 4];

/// Records that leave together: 512 bytes. Longer runs of one part's memory are worth more than shorter ones; see
/// `partition`.
pub(super) const LINE: usize = 32;

/// A line of records.
#[repr(C, align(64))]
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Line(pub [Record; LINE]);

/// A table of so many equal entries, as in [`room`].
pub(super) fn table<T: Copy>(entry: T, count: usize) -> Vec<T> {
    let mut table = room(count);
    table.resize(count, entry);
    table
}

/// Room for so many entries, in large pages where the system has them: entries are met in no order, and each small page costs a
/// fault when it is first written and a place in the cache of translations ever after.
pub(super) fn room<T>(count: usize) -> Vec<T> {
    let mut table = Vec::with_capacity(count);
    ask_for_large_pages(&mut table);
    table
}

/// Asks for the capacity of a vector to be in large pages. What it holds does not change, and a refusal costs time only.
fn ask_for_large_pages<T>(vector: &mut Vec<T>) {
    #[cfg(target_os = "linux")]
    {
        use rustix::mm::{Advice, madvise};
        let (start, bytes) = (vector.as_mut_ptr() as usize, vector.capacity() * size_of::<T>());
        let pages = start.next_multiple_of(LARGE_PAGE)..(start + bytes) / LARGE_PAGE * LARGE_PAGE;
        if !pages.is_empty() {
            let first = vector.as_mut_ptr().cast::<u8>().wrapping_add(pages.start - start);
            // SAFETY: the pages lie within the vector's own allocation, and this advice changes no byte of memory.
            let _ = unsafe { madvise(first.cast(), pages.len(), Advice::LinuxHugepage) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = vector;
}

/// Bytes of a large page.
#[cfg(target_os = "linux")]
const LARGE_PAGE: usize = 2 << 20;

/// Asks for the line of an entry. A place beyond the table asks for nothing that matters.
#[inline(always)]
pub(super) fn prefetch<T>(table: &[T], place: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE is part of x86-64; a hint reads nothing, whatever the address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(table.as_ptr().wrapping_add(place).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (table, place);
}

/// Lines of records, written in any order, each once.
#[derive(Default, Debug)]
pub(super) struct Records {
    /// Its length stays 0: what is written counts, and `written` knows it.
    lines: Vec<Line>,
    /// A bit a line.
    written: Vec<u64>,
    count: usize,
}

impl Records {
    /// Room for so many lines.
    #[cfg(test)]
    pub fn new(count: usize) -> Self {
        let mut records = Self::default();
        records.empty(count);
        records
    }

    /// Forgets what was written; there is room for so many lines then. Memory is kept: its first touch costs as much as all that
    /// is done with it later.
    pub fn empty(&mut self, count: usize) {
        if self.lines.capacity() < count {
            self.lines = Vec::new();
            self.lines = room(count);
        }
        self.written.clear();
        self.written.resize(count.div_ceil(64), 0);
        self.count = count;
    }

    /// Writes a line past the caches; [`Records::settle`] must follow before anything is read.
    ///
    /// # Panics
    /// If there is no room for it.
    #[inline(always)]
    pub fn stream(&mut self, line: usize, records: &Line) {
        assert!(line < self.count, "no room for line {line} of {}", self.count);
        self.written[line / 64] |= 1 << (line % 64);
        let to = self.lines.as_mut_ptr().wrapping_add(line);
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the capacity is `count` lines and `line` is below it (asserted above); a `Line` is aligned to 64 bytes, and a
        // record to 16 in it; SSE2 is part of x86-64.
        unsafe {
            use std::arch::x86_64::{__m128i, _mm_load_si128, _mm_stream_si128};
            let (from, to) = (records.0.as_ptr().cast::<__m128i>(), to.cast::<__m128i>());
            for i in 0..LINE {
                _mm_stream_si128(to.add(i), _mm_load_si128(from.add(i)));
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        // SAFETY: the capacity is `count` lines and `line` is below it (asserted above).
        unsafe {
            to.write(*records);
        }
    }

    /// Makes what was written visible to all workers.
    pub fn settle(&mut self) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: SSE is part of x86-64.
        unsafe {
            std::arch::x86_64::_mm_sfence();
        }
    }

    /// Records of lines that were written.
    ///
    /// # Panics
    /// If one of their lines was not.
    pub fn slice(&self, range: std::ops::Range<usize>) -> &[Record] {
        if range.is_empty() {
            return &[];
        }
        let is_written = |line: usize| line < self.count && self.written[line / 64] >> (line % 64) & 1 == 1;
        assert!((range.start / LINE..=(range.end - 1) / LINE).all(is_written), "lines of {range:?} are not written");
        // SAFETY: all lines of the range lie within the capacity and were written (asserted above), every byte of them.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast::<Record>().add(range.start), range.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_as_they_were_written() {
        let mut records = Records::new(70);
        let line = |n: u32| Line(std::array::from_fn(|i| [n, i as u32, 0, u32::MAX]));
        for n in [69, 0, 64, 63] {
            records.stream(n, &line(n as u32));
        }
        records.settle();
        assert_eq!(records.slice(63 * LINE..65 * LINE), [line(63).0, line(64).0].concat());
        assert_eq!(records.slice(LINE * 69 + 5..LINE * 70), &line(69).0[5..]);
        assert_eq!(records.slice(LINE * 3..LINE * 3), &[[0; 4]; 0]);
    }

    #[test]
    #[should_panic(expected = "not written")]
    fn what_was_not_written_is_not_read() {
        let mut records = Records::new(3);
        records.stream(0, &Line::default());
        records.stream(2, &Line::default());
        records.slice(0..2 * LINE);
    }

    /// Bits come by 64.
    #[test]
    #[should_panic(expected = "not written")]
    fn what_is_beyond_the_last_line_is_not_read() {
        let mut records = Records::new(64);
        records.stream(63, &Line::default());
        records.slice(63 * LINE..64 * LINE + 1);
    }

    #[test]
    #[should_panic(expected = "no room")]
    fn there_is_no_line_beyond_the_last() {
        Records::new(3).stream(3, &Line::default());
    }

    #[test]
    #[should_panic(expected = "not written")]
    fn what_was_written_before_it_was_emptied_is_not_read() {
        let mut records = Records::new(65);
        records.stream(64, &Line::default());
        records.stream(0, &Line::default());
        records.empty(65);
        records.slice(0..LINE);
    }

    #[test]
    fn memory_is_kept_until_it_is_too_little() {
        let mut records = Records::new(70);
        records.empty(3);
        assert!(records.lines.capacity() >= 70);
        records.empty(700);
        assert!(records.lines.capacity() >= 700);
        records.stream(699, &Line([[7; 4]; LINE]));
        records.stream(64, &Line([[8; 4]; LINE]));
        records.settle();
        assert_eq!(records.slice(699 * LINE..700 * LINE), &[[7; 4]; LINE]);
        assert_eq!(records.slice(64 * LINE..65 * LINE), &[[8; 4]; LINE]);
    }
}

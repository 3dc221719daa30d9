//! Memory as the procedures use it: asked for ahead of its use, and written past the caches where nobody reads it soon.
#![allow(unsafe_code)]

use super::partition::Out;

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

/// Empties a table and makes room for so many entries. Memory that is enough is kept: its first touch costs as much as all that is
/// done with it later.
pub(super) fn empty<T>(table: &mut Vec<T>, count: usize) {
    table.clear();
    if table.capacity() < count {
        *table = Vec::new();
        *table = room(count);
    }
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

/// Lines that lie together at most, as a power of two: long enough that the processor looks ahead in them. Of short parts they are
/// fewer, an eighth of a part about, since a part ends within a block.
const BLOCK_BITS_MOST: u32 = 8;

/// Lines of records, written in any order, each once.
#[derive(Default, Debug)]
struct Records {
    /// Its length stays 0: what is written counts, and `written` knows it.
    lines: Vec<Line>,
    /// A bit a line.
    written: Vec<u64>,
    count: usize,
}

impl Records {
    /// Forgets what was written; there is room for so many lines then.
    fn empty(&mut self, count: usize) {
        empty(&mut self.lines, count);
        self.written.clear();
        self.written.resize(count.div_ceil(64), 0);
        self.count = count;
    }

    /// Writes a line past the caches; [`Records::settle`] must follow before anything is read.
    ///
    /// # Panics
    /// If there is no room for it.
    #[inline(always)]
    fn stream(&mut self, line: usize, records: &Line) {
        assert!(line < self.count, "no room for line {line} of {}", self.count);
        self.written[line / 64] |= 1 << (line % 64);
        // SAFETY: the capacity is `count` lines and `line` is below it (asserted above).
        unsafe { stream(records, self.lines.as_mut_ptr().add(line)) }
    }

    /// Makes what was written visible to all workers.
    fn settle(&mut self) {
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
    fn slice(&self, range: std::ops::Range<usize>) -> &[Record] {
        if range.is_empty() {
            return &[];
        }
        let is_written = |line: usize| line < self.count && self.written[line / 64] >> (line % 64) & 1 == 1;
        assert!((range.start / LINE..=(range.end - 1) / LINE).all(is_written), "lines of {range:?} are not written");
        // SAFETY: all lines of the range lie within the capacity and were written (asserted above), every byte of them.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast::<Record>().add(range.start), range.len()) }
    }
}

/// Copies a line past the caches, where the processor can.
///
/// # Safety
/// `to` must be a place for a line.
// SAFETY: demanded of the caller, as above.
#[inline(always)]
unsafe fn stream(line: &Line, to: *mut Line) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{__m128i, __m256i};
        use std::arch::x86_64::{_mm_load_si128, _mm_stream_si128, _mm256_load_si256, _mm256_stream_si256};
        #[target_feature(enable = "avx")]
        fn by_32(line: &Line, to: *mut Line) {
            let (from, to) = (line.0.as_ptr().cast::<__m256i>(), to.cast::<__m256i>());
            for i in 0..LINE / 2 {
                // SAFETY: both are lines, aligned to 64 bytes, as the caller of `stream` has promised.
                unsafe { _mm256_stream_si256(to.add(i), _mm256_load_si256(from.add(i))) };
            }
        }
        if std::arch::is_x86_feature_detected!("avx") {
            // SAFETY: the processor has AVX, as was just asked.
            return unsafe { by_32(line, to) };
        }
        let (from, to) = (line.0.as_ptr().cast::<__m128i>(), to.cast::<__m128i>());
        for i in 0..LINE {
            // SAFETY: both are lines, aligned to 64 bytes; SSE2 is part of x86-64.
            unsafe { _mm_stream_si128(to.add(i), _mm_load_si128(from.add(i))) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: a place for a line, as the caller has promised.
    unsafe {
        to.write(*line);
    }
}

/// Records by part. Blocks of lines lie in the order in which they were begun, whichever part they are of: nobody has to know
/// beforehand how many records a part will have.
#[derive(Default, Debug)]
pub(super) struct Parts {
    records: Records,
    ends: Vec<End>,
    /// Lines of a block, as a power of two.
    block_bits: u32,
    /// Lines in blocks that were begun.
    begun: usize,
}

/// The line of a part that is not full yet; what went before it.
#[derive(Clone, Default, Debug)]
struct End {
    line: Line,
    /// Records of the part.
    count: usize,
    /// First lines of its blocks.
    blocks: Vec<u32>,
}

impl Parts {
    /// Forgets all records. There is room for so many, and so many parts.
    pub fn empty(&mut self, parts: usize, records: usize) {
        let lines = records.div_ceil(LINE) + parts;
        self.block_bits = (lines / parts.max(1) / 8).max(1).ilog2().min(BLOCK_BITS_MOST);
        // Each part may end within a line, and within a block.
        self.records.empty(lines + (parts << self.block_bits));
        self.begun = 0;
        self.ends.resize_with(parts, End::default);
        for end in &mut self.ends {
            end.count = 0;
            end.blocks.clear();
        }
    }

    /// Puts a record to the end of its part.
    ///
    /// # Panics
    /// If there is no such part, or no room.
    #[inline(always)]
    fn put(&mut self, part: usize, record: Record) {
        let end = &mut self.ends[part];
        let place = end.count;
        end.line.0[place % LINE] = record;
        end.count = place + 1;
        if place % LINE == LINE - 1 {
            end.leave(place / LINE, self.block_bits, &mut self.records, &mut self.begun);
        }
    }

    /// After the last record: what is left leaves, too.
    pub fn finish(&mut self) {
        for end in self.ends.iter_mut().filter(|end| end.count % LINE > 0) {
            end.leave(end.count / LINE, self.block_bits, &mut self.records, &mut self.begun);
        }
        self.records.settle();
    }

    /// The records of a part, in order.
    pub fn part(&self, part: usize) -> Chain<'_> {
        let End { count, blocks, .. } = &self.ends[part];
        Chain { records: &self.records, block_bits: self.block_bits, blocks, count: *count }
    }
}

impl End {
    /// The line leaves: line n of the part.
    fn leave(&mut self, n: usize, block_bits: u32, records: &mut Records, begun: &mut usize) {
        let within = n & ((1 << block_bits) - 1);
        if within == 0 {
            self.blocks.push(*begun as u32);
            *begun += 1 << block_bits;
        }
        records.stream(self.blocks[n >> block_bits] as usize + within, &self.line);
    }
}

impl Out for Parts {
    #[inline(always)]
    fn put_each(&mut self, cells: &[u32], bits: u32, records: &[Record]) {
        for (&cell, &record) in cells.iter().zip(records) {
            self.put((cell >> bits) as usize, record);
        }
    }

    fn put_to_all(&mut self, record: Record) {
        (0..self.ends.len()).for_each(|part| self.put(part, record));
    }
}

/// Records in an order that is theirs, wherever they lie.
pub(super) trait Run {
    /// Records.
    fn len(&self) -> usize;
    /// Those from a place on that lie together: one at least, if the place is below their number.
    fn from(&self, place: usize) -> &[Record];
    /// The one at a place.
    fn at(&self, place: usize) -> Record;
    /// Asks for the first of those after them.
    fn ask_beyond(&self, place: usize);
}

impl Run for [Record] {
    fn len(&self) -> usize {
        self.len()
    }
    #[inline(always)]
    fn from(&self, place: usize) -> &[Record] {
        &self[place..]
    }
    fn at(&self, place: usize) -> Record {
        self[place]
    }
    fn ask_beyond(&self, _: usize) {}
}

/// The records of a part.
#[derive(Clone, Copy)]
pub(super) struct Chain<'a> {
    records: &'a Records,
    block_bits: u32,
    blocks: &'a [u32],
    count: usize,
}

impl Chain<'_> {
    /// Records of a block.
    fn of_block(&self) -> usize {
        LINE << self.block_bits
    }
}

impl Run for Chain<'_> {
    fn len(&self) -> usize {
        self.count
    }
    fn from(&self, place: usize) -> &[Record] {
        let (block, within) = (place / self.of_block(), place % self.of_block());
        let start = self.blocks[block] as usize * LINE;
        let end = self.of_block().min(self.count - block * self.of_block());
        self.records.slice(start + within..start + end)
    }
    fn at(&self, place: usize) -> Record {
        let at = self.blocks[place / self.of_block()] as usize * LINE + place % self.of_block();
        self.records.slice(at..at + 1)[0]
    }
    fn ask_beyond(&self, place: usize) {
        if let Some(&block) = self.blocks.get(place / self.of_block() + 1) {
            (0..8).for_each(|line| prefetch(&self.records.lines, block as usize + line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_by_part_in_order() {
        let mut parts = Parts::default();
        // Then fewer parts, in the memory that is there. Blocks are of one line, and of as many as may be.
        for (count, each) in [(5, 7_001_u32), (3, 1_000), (4, 31), (1, 300_000)] {
            parts.empty(count, each as usize + count);
            let mut expected = vec![Vec::new(); count];
            parts.put_to_all([1, 2, 3, 4]);
            expected.iter_mut().for_each(|of_part| of_part.push([1, 2, 3, 4]));
            let cells: Vec<u32> = (0..each).map(|n| n.wrapping_mul(n) % (4 * count as u32)).collect();
            let records: Vec<Record> = (0..each).map(|n| [n, 0, u32::MAX, 9]).collect();
            parts.put_each(&cells, 2, &records);
            cells.iter().zip(&records).for_each(|(cell, record)| expected[*cell as usize >> 2].push(*record));
            parts.finish();
            for (part, expected) in expected.iter().enumerate() {
                let run = parts.part(part);
                assert_eq!(run.len(), expected.len());
                let mut got = Vec::new();
                while got.len() < run.len() {
                    run.ask_beyond(got.len());
                    got.extend_from_slice(run.from(got.len()));
                }
                assert_eq!(&got, expected, "part {part} of {count}");
                for place in [0, expected.len() / 2, expected.len() - 1] {
                    assert_eq!((run.from(place)[0], run.at(place)), (expected[place], expected[place]));
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "no room")]
    fn there_is_no_room_beyond_what_was_asked_for() {
        let mut parts = Parts::default();
        parts.empty(1, LINE);
        (0..9 * LINE).for_each(|_| parts.put_to_all([0; 4]));
    }

    #[test]
    #[should_panic(expected = "not written")]
    fn what_was_not_written_is_not_read() {
        let mut parts = Parts::default();
        parts.empty(2, 10);
        parts.put_to_all([0; 4]);
        parts.finish();
        parts.records.slice(0..3 * LINE);
    }

    #[test]
    #[should_panic(expected = "index out of bounds")]
    fn there_is_no_part_beyond_the_last() {
        let mut parts = Parts::default();
        parts.empty(2, 10);
        parts.put_each(&[8], 2, &[[0; 4]]);
    }
}

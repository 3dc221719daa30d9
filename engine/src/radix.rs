//! Sorting on a device: keys with the numbers of their rows, stable, digit by digit.
//!
//! In: n keys below a power of two. Out, on the device: the keys in order, and beside each the number of the row
//! that it comes from; equal keys keep the order of their rows. Digits of 4 bits: a pass counts digits by tile, sums the counts
//! up, and scatters. Reduce-then-scan: no workgroup waits for another, since nobody promises that the other runs.
//! Memory on the device: 16 bytes a key, and 64 bytes a tile of 1,024. Oracle: the standard library's stable sort. Twins:
//! `shaders/src/twin/radix.rs`.

use crate::gpu::{Batch, Buffer, Gpu, GpuError, Pipeline};
use manaflow_shaders::{RADIX_COUNT, RADIX_REDUCE, RADIX_SCAN, RADIX_SCAN_TOTALS, RADIX_SCATTER};

/// Keys of a tile, and words of a block of a running sum.
pub const TILE: usize = 1024;

/// Bits of a digit.
const DIGIT_BITS: u32 = 4;

/// A device that sorts.
#[derive(Debug)]
pub struct Sorter<'a> {
    gpu: &'a Gpu,
    count: Pipeline,
    reduce: Pipeline,
    scan_totals: Pipeline,
    scan: Pipeline,
    scatter: Pipeline,
}

/// Keys on the device in order, and the row of each.
#[derive(Debug)]
pub struct Sorted {
    /// The keys.
    pub keys: Buffer,
    /// Their rows.
    pub rows: Buffer,
}

impl<'a> Sorter<'a> {
    /// Compiles the stages.
    pub fn new(gpu: &'a Gpu) -> Result<Self, GpuError> {
        Ok(Self {
            gpu,
            count: gpu.pipeline(&RADIX_COUNT)?,
            reduce: gpu.pipeline(&RADIX_REDUCE)?,
            scan_totals: gpu.pipeline(&RADIX_SCAN_TOTALS)?,
            scan: gpu.pipeline(&RADIX_SCAN)?,
            scatter: gpu.pipeline(&RADIX_SCATTER)?,
        })
    }

    /// The device.
    pub fn gpu(&self) -> &'a Gpu {
        self.gpu
    }

    /// Sorts keys below 2^`bits`. Nothing has run when this returns: the commands are in the batch.
    ///
    /// # Panics
    /// If there are more bits than a key has, or 2^32 - 1,024 keys or more.
    pub fn sort(&self, batch: &mut Batch<'_>, keys: &[u32], bits: u32) -> Result<Sorted, GpuError> {
        self.sort_buffer(batch, self.gpu.upload(keys)?, keys.len(), bits)
    }

    /// The same for the first `count` words of a buffer, as the commands before leave them.
    ///
    /// # Panics
    /// If there are more bits than a key has, 2^32 - 1,024 keys or more, or more than the buffer has words.
    pub fn sort_buffer(
        &self,
        batch: &mut Batch<'_>,
        keys: Buffer,
        count: usize,
        bits: u32,
    ) -> Result<Sorted, GpuError> {
        assert!(bits <= u32::BITS && count <= keys.words(), "a key has 32 bits, and a word");
        let n = u32::try_from(count).ok().filter(|n| *n < u32::MAX - TILE as u32).expect("fewer keys than that");
        let tiles = n.div_ceil(TILE as u32);
        // What is read and what is written, by turns.
        let mut from = Sorted { keys, rows: self.gpu.buffer(count)? };
        let mut to = Sorted { keys: self.gpu.buffer(count)?, rows: self.gpu.buffer(count)? };
        let counts = self.gpu.buffer(16 * tiles as usize)?;
        let totals = self.gpu.buffer((16 * tiles as usize).div_ceil(TILE))?;
        // One pass at least: it writes the rows' numbers.
        for pass in 0..bits.div_ceil(DIGIT_BITS).max(1) {
            let shift = DIGIT_BITS * pass;
            let params = [n, shift, tiles, u32::from(pass == 0)];
            batch.run(&self.count, params, &[&from.keys, &counts], tiles)?;
            self.sum_up(batch, &counts, 16 * tiles, &totals)?;
            let buffers = [&from.keys, &from.rows, &counts, &to.keys, &to.rows];
            batch.run(&self.scatter, params, &buffers, tiles)?;
            std::mem::swap(&mut from, &mut to);
        }
        Ok(from)
    }

    /// Each of n words becomes the sum of those before it. `totals` has a word for each block of [`TILE`] words.
    pub fn sum_up(&self, batch: &mut Batch<'_>, words: &Buffer, n: u32, totals: &Buffer) -> Result<(), GpuError> {
        let blocks = n.div_ceil(TILE as u32);
        assert!(totals.words() >= blocks as usize, "a total a block");
        let params = [n, blocks, 0, 0];
        batch.run(&self.reduce, params, &[words, totals], blocks)?;
        batch.run(&self.scan_totals, [blocks, 0, 0, 0], &[totals], 1)?;
        batch.run(&self.scan, params, &[totals, words], blocks)
    }
}

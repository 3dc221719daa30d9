//! The loops of `multiset` in vectors of 16 uses (AVX-512 F, BW, VL; VAES).
//!
//! Twins: the plain loops there, which the tests hold these against. Columns become tokens by a transposition of
//! 4 x 4 words in each quarter of four vectors: quarter j of vector k has the four words of use 4 j + k.
#![allow(unsafe_code)]

use super::forward::UNUSED;
use super::multiset::{Token, Uses};
use manaflow_loader::file::layout::{ExitRow, FLAG_WRITE};
use std::arch::is_x86_feature_detected as has;
use std::arch::x86_64::*;

/// Uses of a vector.
const LANES: usize = 16;

/// Four columns as rows of four words.
#[target_feature(enable = "avx512f")]
fn rows_of(columns: [__m512i; 4]) -> [__m512i; 4] {
    let [a, b, c, d] = columns;
    let (ab_low, ab_high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let (cd_low, cd_high) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    [
        _mm512_unpacklo_epi64(ab_low, cd_low),
        _mm512_unpackhi_epi64(ab_low, cd_low),
        _mm512_unpacklo_epi64(ab_high, cd_high),
        _mm512_unpackhi_epi64(ab_high, cd_high),
    ]
}

/// Ones for as many lanes as are left.
fn lanes(left: usize) -> __mmask16 {
    if left < LANES { (1 << left) - 1 } else { __mmask16::MAX }
}

/// Words of a column from a place on; zeros beyond its end.
#[target_feature(enable = "avx512f")]
fn words(column: &[u32], at: usize) -> __m512i {
    let left = &column[at..];
    // SAFETY: words are read where the mask has ones, and there are as many.
    unsafe { _mm512_maskz_loadu_epi32(lanes(left.len()), left.as_ptr().cast()) }
}

/// Which uses from a place on are writes.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn writes(flags: &[u8], at: usize) -> __mmask16 {
    let left = &flags[at..];
    // SAFETY: bytes are read where the mask has ones, and there are as many.
    let flags = unsafe { _mm_maskz_loadu_epi8(lanes(left.len()), left.as_ptr().cast()) };
    _mm_test_epi8_mask(flags, _mm_set1_epi8(FLAG_WRITE.cast_signed()))
}

/// Round keys of AES-128, each in all quarters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aes([__m512i; 11]);

impl Aes {
    /// `None` if this processor has not all that it takes.
    pub fn new(key: &[u8; 16]) -> Option<Self> {
        let is_here = has!("avx512f") && has!("avx512bw") && has!("avx512vl") && has!("vaes") && has!("aes");
        // SAFETY: the processor has what the function needs, as was just asked.
        is_here.then(|| unsafe { Self::expand(key) })
    }

    /// FIPS 197, section 5.2.
    #[target_feature(enable = "aes,avx512f")]
    fn expand(key: &[u8; 16]) -> Self {
        #[target_feature(enable = "aes,avx512f")]
        fn next<const ROUND_CONSTANT: i32>(key: __m128i) -> __m128i {
            let word = _mm_shuffle_epi32::<0xff>(_mm_aeskeygenassist_si128::<ROUND_CONSTANT>(key));
            let key = _mm_xor_si128(key, _mm_slli_si128::<4>(key));
            let key = _mm_xor_si128(key, _mm_slli_si128::<8>(key));
            _mm_xor_si128(key, word)
        }
        // SAFETY: 16 bytes are read, and the key has them.
        let mut keys = [unsafe { _mm_loadu_si128(key.as_ptr().cast()) }; 11];
        keys[1] = next::<0x01>(keys[0]);
        keys[2] = next::<0x02>(keys[1]);
        keys[3] = next::<0x04>(keys[2]);
        keys[4] = next::<0x08>(keys[3]);
        keys[5] = next::<0x10>(keys[4]);
        keys[6] = next::<0x20>(keys[5]);
        keys[7] = next::<0x40>(keys[6]);
        keys[8] = next::<0x80>(keys[7]);
        keys[9] = next::<0x1b>(keys[8]);
        keys[10] = next::<0x36>(keys[9]);
        let mut wide = [_mm512_setzero_si512(); 11];
        for (wide, key) in wide.iter_mut().zip(keys) {
            *wide = _mm512_broadcast_i32x4(key);
        }
        Self(wide)
    }

    /// 32 blocks: as many as hide the time that a round takes.
    #[inline]
    #[target_feature(enable = "avx512f,vaes")]
    fn encrypt(&self, blocks: [__m512i; 8]) -> [__m512i; 8] {
        let mut blocks = blocks;
        for block in &mut blocks {
            *block = _mm512_xor_si512(*block, self.0[0]);
        }
        for key in &self.0[1..10] {
            for block in &mut blocks {
                *block = _mm512_aesenc_epi128(*block, *key);
            }
        }
        for block in &mut blocks {
            *block = _mm512_aesenclast_epi128(*block, self.0[10]);
        }
        blocks
    }

    /// {produced} - {consumed} of some uses, and whether they cannot be summed: see `Sum::add_uses`.
    pub fn uses(&self, uses: &Uses<'_>, row_codes: u32, before: (u32, u32), bounds: (u32, u32)) -> ([u64; 2], bool) {
        // SAFETY: whoever has an `Aes` was told by `new` that the processor has what the function needs.
        unsafe { self.uses_here(uses, row_codes, before, bounds) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes")]
    fn uses_here(&self, uses: &Uses<'_>, row_codes: u32, before: (u32, u32), bounds: (u32, u32)) -> ([u64; 2], bool) {
        let all = |word: u32| _mm512_set1_epi32(word.cast_signed());
        let (mut row_before, mut cell_before) = (all(before.0), all(before.1));
        let (mut left, mut right) = (_mm512_setzero_si512(), _mm512_setzero_si512());
        let mut is_bad = 0;
        for at in (0..uses.cells.len()).step_by(LANES) {
            let here = lanes(uses.cells.len() - at);
            let (cell, last, row) = (words(uses.cells, at), words(uses.last, at), words(uses.rows, at));
            let (intx, prev, next) = (words(uses.intx, at), words(uses.prev, at), words(uses.next, at));
            let write = writes(uses.flags, at);
            // Of each use, row and cell of the one before it.
            let (last_row, last_cell) =
                (_mm512_alignr_epi32::<15>(row, row_before), _mm512_alignr_epi32::<15>(cell, cell_before));
            (row_before, cell_before) = (row, cell);
            let is_same_row = _mm512_mask_cmpeq_epi32_mask(here, row, last_row);
            is_bad |= _mm512_mask_cmple_epu32_mask(is_same_row, cell, last_cell);
            is_bad |= _mm512_mask_cmpgt_epu32_mask(here, last, row);
            is_bad |= _mm512_mask_cmpge_epu32_mask(here, cell, all(bounds.0));
            is_bad |= _mm512_mask_cmpge_epu32_mask(here, intx, all(bounds.1));
            // Beyond the end both tokens are zeros, and take each other away.
            let place = _mm512_maskz_add_epi32(here, row, all(1));
            let version = _mm512_mask_add_epi32(intx, write, row, all(row_codes));
            let value = _mm512_mask_mov_epi32(prev, write, next);
            let [a, b, c, d] = rows_of([cell, last, intx, prev]);
            let [e, f, g, h] = rows_of([cell, place, version, value]);
            let [a, b, c, d, e, f, g, h] = self.encrypt([a, b, c, d, e, f, g, h]);
            let sum = |a, b, c, d| _mm512_add_epi64(_mm512_add_epi64(a, b), _mm512_add_epi64(c, d));
            right = _mm512_add_epi64(right, sum(a, b, c, d));
            left = _mm512_add_epi64(left, sum(e, f, g, h));
        }
        (total(_mm512_sub_epi64(left, right)), is_bad != 0)
    }

    /// {entries} - {exits} of the used ones of some cells, from a first one on, and how many those are. `entry` is version and value
    /// of entries, where they count here. What is live after the last use goes to `live`.
    ///
    /// # Panics
    /// If there is not one place in `live` for each exit.
    pub fn exits(&self, first: u32, exits: &[ExitRow], entry: Option<(u32, u32)>, live: &mut [u64]) -> ([u64; 2], u64) {
        assert_eq!(exits.len(), live.len(), "a place an exit");
        // SAFETY: whoever has an `Aes` was told by `new` that the processor has what the function needs.
        let (sum, used) = unsafe { self.exits_here(first, exits, entry, live) };
        // Where entries do not count, each used cell had a token of zeros in the place of its own.
        let zeros =
            if entry.is_some() { [0; 2] } else { self.tokens(&[Token::default()]).map(|word| word.wrapping_mul(used)) };
        ([sum[0].wrapping_sub(zeros[0]), sum[1].wrapping_sub(zeros[1])], used)
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes")]
    fn exits_here(
        &self,
        first: u32,
        exits: &[ExitRow],
        entry: Option<(u32, u32)>,
        live: &mut [u64],
    ) -> ([u64; 2], u64) {
        let all = |word: u32| _mm512_set1_epi32(word.cast_signed());
        let count = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        // Of three words each, every first, second or third one.
        let thirds = _mm512_add_epi32(count, _mm512_add_epi32(count, count));
        let (mut left, mut right, mut used) = (_mm512_setzero_si512(), _mm512_setzero_si512(), 0);
        let rows: &[u32] = bytemuck::must_cast_slice(exits);
        for (at, live) in (0..exits.len()).step_by(LANES).zip(live.chunks_mut(LANES)) {
            let [a, b, c] = [0, 1, 2].map(|n| words(rows, rows.len().min(3 * at + n * LANES)));
            let third = |n: u32| {
                let place = _mm512_add_epi32(thirds, all(n));
                // Of the first two vectors, and of the last one, whose words are those from place 32 on.
                let ab = _mm512_permutex2var_epi32(a, place, b);
                let is_last = _mm512_cmpge_epu32_mask(place, all(32));
                _mm512_mask_permutexvar_epi32(ab, is_last, place, c)
            };
            let (last, version, value) = (third(0), third(1), third(2));
            let is_used = _mm512_test_epi32_mask(last, last);
            used += u64::from(is_used.count_ones());
            let of_live = |word| _mm512_mask_mov_epi32(all((UNUSED >> 32) as u32), is_used, word);
            let (codes, values) = (of_live(version), _mm512_maskz_mov_epi32(is_used, value));
            for (n, live) in live.chunks_mut(LANES / 2).enumerate() {
                let half = _mm512_add_epi64(_mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7), _mm512_set1_epi64(8 * n as i64));
                // Value below, version above, as `entry` has them.
                let place =
                    _mm512_or_epi64(half, _mm512_slli_epi64::<32>(_mm512_add_epi64(half, _mm512_set1_epi64(16))));
                let entries = _mm512_permutex2var_epi32(values, place, codes);
                let here = (1_u16 << live.len()) - 1;
                // SAFETY: words are written where the mask has ones, and there are as many.
                unsafe { _mm512_mask_storeu_epi64(live.as_mut_ptr().cast(), here as __mmask8, entries) };
            }
            let cell = _mm512_maskz_add_epi32(is_used, count, all(first + at as u32));
            let [version, value] = [version, value].map(|word| _mm512_maskz_mov_epi32(is_used, word));
            let [a, b, c, d] = rows_of([cell, last, version, value]);
            let entered = |word| _mm512_maskz_mov_epi32(is_used, all(word));
            let none = _mm512_setzero_si512();
            let [e, f, g, h] = match entry {
                None => [none; 4],
                Some((version, value)) => rows_of([cell, none, entered(version), entered(value)]),
            };
            let [a, b, c, d, e, f, g, h] = self.encrypt([a, b, c, d, e, f, g, h]);
            let sum = |a, b, c, d| _mm512_add_epi64(_mm512_add_epi64(a, b), _mm512_add_epi64(c, d));
            right = _mm512_add_epi64(right, sum(a, b, c, d));
            left = _mm512_add_epi64(left, sum(e, f, g, h));
        }
        (total(_mm512_sub_epi64(left, right)), used)
    }

    /// The sum of tokens.
    pub fn tokens(&self, tokens: &[Token]) -> [u64; 2] {
        // SAFETY: whoever has an `Aes` was told by `new` that the processor has what the function needs.
        unsafe { self.tokens_here(tokens) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,vaes")]
    fn tokens_here(&self, tokens: &[Token]) -> [u64; 2] {
        let mut sum = _mm512_setzero_si512();
        let words_of_tokens = tokens.as_flattened();
        for at in (0..words_of_tokens.len()).step_by(8 * LANES) {
            let mut blocks = [_mm512_setzero_si512(); 8];
            let mut here = [0; 8];
            for (n, (block, here)) in blocks.iter_mut().zip(&mut here).enumerate() {
                let at = words_of_tokens.len().min(at + n * LANES);
                *block = words(words_of_tokens, at);
                // Two words of 64 bits a token.
                let left = (words_of_tokens.len() - at) / 2;
                *here = if left < 8 { (1 << left) - 1 } else { __mmask8::MAX };
            }
            for (block, here) in self.encrypt(blocks).into_iter().zip(here) {
                sum = _mm512_mask_add_epi64(sum, here, sum, block);
            }
        }
        total(sum)
    }
}

/// Sums of even and of odd words.
#[target_feature(enable = "avx512f")]
fn total(sum: __m512i) -> [u64; 2] {
    let mut words = [0_u64; 8];
    // SAFETY: 64 bytes are written, and `words` has them.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), sum) };
    let of = |odd: usize| (0..4).fold(0_u64, |sum, i| sum.wrapping_add(words[2 * i + odd]));
    [of(0), of(1)]
}

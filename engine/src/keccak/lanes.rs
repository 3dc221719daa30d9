//! Keccak-f\[1600\] and its sponge over lanes, written once: a lane is one message's 64-bit word.
//!
//! A state is 25 vectors, word x + 5y of every message in vector x + 5y. One permutation serves one block of every lane.
//! Cost a round with three-operand logic: 10 + 5 + 5 + 25 (theta), 24 (rho), 25 (chi), 1 (iota). Twin and definition: one lane of
//! `u64` (`scalar.rs`).

use super::RATE;
use alloy_primitives::B256;

/// 64-bit words of several messages, side by side.
pub(super) trait Lanes: Copy {
    /// Messages.
    const COUNT: usize;
    /// The same word in every lane.
    fn splat(word: u64) -> Self;
    /// Word i in lane i; `words` has `COUNT`.
    fn load(words: &[u64]) -> Self;
    /// Lane i to word i; `words` has `COUNT`.
    fn store(self, words: &mut [u64]);
    fn xor(self, b: Self) -> Self;
    /// a ^ b ^ c
    fn xor3(self, b: Self, c: Self) -> Self;
    /// a ^ (!b & c)
    fn chi(self, b: Self, c: Self) -> Self;
    /// Rotated left by N bits, 0 < N < 64.
    fn rol<const N: i32>(self) -> Self;

    /// Xors the next block of each lane into the state: `rest[i]` is what remains of message i. From 136 bytes on the first
    /// 136 are the block; fewer are the last block, and are padded.
    #[inline(always)]
    fn absorb(state: &mut [Self; 25], rest: &[&[u8]]) {
        let mut words = [[0; 8]; RATE / 8];
        let mut last = [[0; RATE]; 8];
        for (lane, (rest, last)) in rest.iter().zip(&mut last).enumerate() {
            for (word, bytes) in words.iter_mut().zip(block(rest, last).chunks_exact(8)) {
                word[lane] = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
            }
        }
        for (state, words) in state.iter_mut().zip(&words) {
            *state = state.xor(Self::load(&words[..Self::COUNT]));
        }
    }

    /// Digest i from lane i of the first four words of a state.
    #[inline(always)]
    fn digests(words: &[Self; 4]) -> [B256; 8] {
        let mut digests = [B256::ZERO; 8];
        for (i, word) in words.iter().enumerate() {
            let mut lanes = [0; 8];
            word.store(&mut lanes[..Self::COUNT]);
            for (digest, lane) in digests.iter_mut().zip(&lanes[..Self::COUNT]) {
                digest.0[8 * i..][..8].copy_from_slice(&lane.to_le_bytes());
            }
        }
        digests
    }
}

/// The next block of a message of which `rest` remains: its next 136 bytes, or `last`, zeros so far, where the padded end is
/// put.
#[inline(always)]
pub(super) fn block<'a>(rest: &'a [u8], last: &'a mut [u8; RATE]) -> &'a [u8; RATE] {
    rest.first_chunk().unwrap_or_else(|| {
        last[..rest.len()].copy_from_slice(rest);
        last[rest.len()] = 0x01;
        last[RATE - 1] |= 0x80;
        last
    })
}

/// FIPS 202 section 3.2.5.
const ROUND_CONSTANTS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// Keccak-f\[1600\] of every lane.
#[inline(always)]
fn permute<L: Lanes>(a: &mut [L; 25]) {
    for constant in ROUND_CONSTANTS {
        *a = round(a, L::splat(constant));
    }
}

/// The first four words of what `permute` gives: the last round makes no others.
#[inline(always)]
fn permute_last<L: Lanes>(a: &mut [L; 25]) -> [L; 4] {
    let [constants @ .., last] = ROUND_CONSTANTS;
    for constant in constants {
        *a = round(a, L::splat(constant));
    }
    // What is not asked for the compiler leaves out.
    let [a, b, c, d, ..] = round(a, L::splat(last));
    [a, b, c, d]
}

/// Theta, rho, pi, chi, iota; sections 3.2.1 to 3.2.5.
#[inline(always)]
fn round<L: Lanes>(a: &[L; 25], constant: L) -> [L; 25] {
    let column = |x: usize| a[x].xor3(a[x + 5], a[x + 10]).xor3(a[x + 15], a[x + 20]);
    let c = [column(0), column(1), column(2), column(3), column(4)];
    // Five operations more than a three-operand one for each word would take. But those need ten words at hand, not five, and
    // processors issue fewer operations of three operands a cycle than of two.
    let change = |x: usize| c[(x + 4) % 5].xor(c[(x + 1) % 5].rol::<1>());
    let d = [change(0), change(1), change(2), change(3), change(4)];
    // Word i after theta; its column is i mod 5.
    let t = |i: usize| a[i].xor(d[i % 5]);
    // Rows after rho and pi: word x of row y comes from column x + 3y, row x.
    let rows = [
        [t(0), t(6).rol::<44>(), t(12).rol::<43>(), t(18).rol::<21>(), t(24).rol::<14>()],
        [t(3).rol::<28>(), t(9).rol::<20>(), t(10).rol::<3>(), t(16).rol::<45>(), t(22).rol::<61>()],
        [t(1).rol::<1>(), t(7).rol::<6>(), t(13).rol::<25>(), t(19).rol::<8>(), t(20).rol::<18>()],
        [t(4).rol::<27>(), t(5).rol::<36>(), t(11).rol::<10>(), t(17).rol::<15>(), t(23).rol::<56>()],
        [t(2).rol::<62>(), t(8).rol::<55>(), t(14).rol::<39>(), t(15).rol::<41>(), t(21).rol::<2>()],
    ];
    let mut a = *a;
    for (y, b) in rows.iter().enumerate() {
        a[5 * y] = b[0].chi(b[1], b[2]);
        a[5 * y + 1] = b[1].chi(b[2], b[3]);
        a[5 * y + 2] = b[2].chi(b[3], b[4]);
        a[5 * y + 3] = b[3].chi(b[4], b[0]);
        a[5 * y + 4] = b[4].chi(b[0], b[1]);
    }
    a[0] = a[0].xor(constant);
    a
}

/// Digests of all messages.
#[inline(always)]
pub(super) fn digest<L: Lanes>(messages: &[&[u8]], out: &mut [B256]) {
    assert!(L::COUNT <= 8 && messages.len() <= u32::MAX as usize && messages.len() == out.len());
    // A vector that must be in memory: with one on the stack the compiler aligns the stack, and so the words for which there is
    // no register. Elsewise they may lie across two lines of the cache each, which with AVX2 takes up to twice as long.
    std::hint::black_box(&L::splat(0));
    // Longest first, so that lanes run dry together; the order of equals does not matter.
    let blocks = |i: u32| messages[i as usize].len() / RATE;
    let mut order: Vec<u32> = (0..messages.len() as u32).collect();
    if L::COUNT > 1 && !order.is_sorted_by_key(|&i| std::cmp::Reverse(blocks(i))) {
        order.sort_unstable_by_key(|&i| std::cmp::Reverse(blocks(i)));
    }
    // Groups that start and end together need no bookkeeping; what is left of each length is for the lanes that are refilled.
    let mut left = Vec::new();
    let mut waiting = &order[..];
    while let Some(&first) = waiting.first() {
        match waiting.get(L::COUNT - 1) {
            Some(&last) if blocks(last) == blocks(first) => {
                let (group, behind) = waiting.split_at(L::COUNT);
                digest_equal::<L>(group, messages, out);
                waiting = behind;
            }
            _ => {
                left.push(first);
                waiting = &waiting[1..];
            }
        }
    }
    if !left.is_empty() {
        digest_ragged::<L>(left, messages, out);
    }
}

/// Digests of the messages of one group, one a lane, that are of equally many blocks.
#[inline(always)]
fn digest_equal<L: Lanes>(group: &[u32], messages: &[&[u8]], out: &mut [B256]) {
    let mut rest: [&[u8]; 8] = [&[]; 8];
    for (rest, &i) in rest.iter_mut().zip(group) {
        *rest = messages[i as usize];
    }
    let rest = &mut rest[..L::COUNT];
    let mut state = [L::splat(0); 25];
    for _ in 0..rest[0].len() / RATE {
        L::absorb(&mut state, rest);
        permute(&mut state);
        rest.iter_mut().for_each(|rest| *rest = &rest[RATE..]);
    }
    L::absorb(&mut state, rest);
    let digests = L::digests(&permute_last(&mut state));
    for (&i, digest) in group.iter().zip(&digests) {
        out[i as usize] = *digest;
    }
}

/// Digests of the messages of `order`, longest first: a lane whose message ends takes the next. Lanes without a message left
/// hash nothing that is kept.
#[inline(always)]
fn digest_ragged<'a, L: Lanes>(order: Vec<u32>, messages: &[&'a [u8]], out: &mut [B256]) {
    let mut waiting = order.into_iter();
    let mut state = [L::splat(0); 25];
    let mut rest: [&'a [u8]; 8] = [&[]; 8];
    let mut row: [Option<u32>; 8] = [None; 8];
    let mut take = |lane: usize, rest: &mut [&'a [u8]; 8], row: &mut [Option<u32>; 8]| {
        row[lane] = waiting.next();
        rest[lane] = row[lane].map_or(&[], |i| messages[i as usize]);
    };
    for lane in 0..L::COUNT {
        take(lane, &mut rest, &mut row);
    }
    while row[..L::COUNT].iter().any(Option::is_some) {
        L::absorb(&mut state, &rest[..L::COUNT]);
        permute(&mut state);
        if rest[..L::COUNT].iter().all(|rest| rest.len() >= RATE) {
            rest[..L::COUNT].iter_mut().for_each(|rest| *rest = &rest[RATE..]);
            continue;
        }
        let digests = L::digests(&[state[0], state[1], state[2], state[3]]);
        let mut keep = [0; 8];
        for lane in 0..L::COUNT {
            if rest[lane].len() >= RATE {
                rest[lane] = &rest[lane][RATE..];
                keep[lane] = u64::MAX;
                continue;
            }
            if let Some(i) = row[lane] {
                out[i as usize] = digests[lane];
            }
            take(lane, &mut rest, &mut row);
        }
        // 0 ^ (!ended & word): lanes that ended begin anew.
        let ended = L::load(&keep[..L::COUNT]).xor(L::splat(u64::MAX));
        for word in &mut state {
            *word = L::splat(0).chi(ended, *word);
        }
    }
}

//! Twin of `keccak/digest.wgsl`, `shared/keccak.wgsl` and both of `shared/lane_*.wgsl`.

/// A word of 64 bits, as a stage has it: `shared/lane_*.wgsl`.
trait Lane: Copy {
    fn lane(low: u32, high: u32) -> Self;
    fn low(self) -> u32;
    fn high(self) -> u32;
    fn rol(self, n: u32) -> Self;
    fn xor(self, b: Self) -> Self;
    /// !self & b
    fn not_and(self, b: Self) -> Self;
}

impl Lane for u64 {
    fn lane(low: u32, high: u32) -> Self {
        Self::from(low) | (Self::from(high) << 32)
    }
    fn low(self) -> u32 {
        (self & 0xffff_ffff) as u32
    }
    fn high(self) -> u32 {
        (self >> 32) as u32
    }
    // WGSL has no rotation.
    #[allow(clippy::manual_rotate)]
    fn rol(self, n: u32) -> Self {
        (self << n) | (self >> (64 - n))
    }
    fn xor(self, b: Self) -> Self {
        self ^ b
    }
    fn not_and(self, b: Self) -> Self {
        !self & b
    }
}

impl Lane for [u32; 2] {
    fn lane(low: u32, high: u32) -> Self {
        [low, high]
    }
    fn low(self) -> u32 {
        self[0]
    }
    fn high(self) -> u32 {
        self[1]
    }
    fn rol(self, n: u32) -> Self {
        let b = if n > 32 { [self[1], self[0]] } else { self };
        let k = n & 31;
        [(b[0] << k) | (b[1] >> (32 - k)), (b[1] << k) | (b[0] >> (32 - k))]
    }
    fn xor(self, b: Self) -> Self {
        [self[0] ^ b[0], self[1] ^ b[1]]
    }
    fn not_and(self, b: Self) -> Self {
        [!self[0] & b[0], !self[1] & b[1]]
    }
}

/// Column of the word that comes to place i, as x + 5y, and how far it is rotated.
const PLACES: [(usize, u32); 25] = [
    (0, 0),
    (6, 44),
    (12, 43),
    (18, 21),
    (24, 14),
    (3, 28),
    (9, 20),
    (10, 3),
    (16, 45),
    (22, 61),
    (1, 1),
    (7, 6),
    (13, 25),
    (19, 8),
    (20, 18),
    (4, 27),
    (5, 36),
    (11, 10),
    (17, 15),
    (23, 56),
    (2, 62),
    (8, 55),
    (14, 39),
    (15, 41),
    (21, 2),
];

fn round<L: Lane>(s: [L; 25], low_constant: u32, high_constant: u32) -> [L; 25] {
    let mut c = [L::lane(0, 0); 5];
    for x in 0..5 {
        c[x] = s[x].xor(s[x + 5]).xor(s[x + 10]).xor(s[x + 15]).xor(s[x + 20]);
    }
    let mut d = [L::lane(0, 0); 5];
    for x in 0..5 {
        d[x] = c[(x + 4) % 5].xor(c[(x + 1) % 5].rol(1));
    }
    let mut b = [L::lane(0, 0); 25];
    for i in 0..25 {
        let (from, n) = PLACES[i];
        b[i] = s[from].xor(d[from % 5]);
        if n > 0 {
            b[i] = b[i].rol(n);
        }
    }
    let mut t = [L::lane(0, 0); 25];
    for i in 0..25 {
        let (x, y) = (i % 5, i / 5);
        t[i] = b[i].xor(b[5 * y + (x + 1) % 5].not_and(b[5 * y + (x + 2) % 5]));
    }
    t[0] = t[0].xor(L::lane(low_constant, high_constant));
    t
}

fn permute<L: Lane>(s: [L; 25]) -> [L; 25] {
    let mut t = s;
    // Bit 2^j - 1 of a round's constant, j = 0 to 6, from a shift register: FIPS 202 section 3.2.5.
    let mut register = 1u32;
    for _ in 0..24 {
        let mut constant = [0; 2];
        for j in 0..7 {
            let bit = (1 << j) - 1;
            constant[bit / 32] |= (register & 1) << (bit % 32);
            register = (register << 1) ^ ((register >> 7) * 0x171);
        }
        t = round(t, constant[0], constant[1]);
    }
    t
}

fn padded(words: &[u32], start: u32, left: u32, i: u32) -> u32 {
    let bytes = left.max(4 * i) - 4 * i;
    let shift = 8 * bytes.min(3);
    let word = words[(start + i) as usize];
    let marked = (word & ((1 << shift) - 1)) | if left / 4 == i { 1 << shift } else { 0 };
    (if bytes > 3 { word } else { marked }) ^ if i == 33 && left < 136 { 0x8000_0000 } else { 0 }
}

fn digest<L: Lane>(params: [u32; 4], spans: &[u32], words: &[u32], digests: &mut [u32]) {
    for row in 0..params[0] as usize {
        let mut start = spans[2 * row];
        let mut left = spans[2 * row + 1];
        let mut s = [L::lane(0, 0); 25];
        let blocks = left / 136 + 1;
        for _ in 0..blocks {
            for i in 0..17 {
                let lane = L::lane(padded(words, start, left, 2 * i), padded(words, start, left, 2 * i + 1));
                s[i as usize] = s[i as usize].xor(lane);
            }
            s = permute(s);
            start += 34;
            left -= left.min(136);
        }
        for i in 0..4 {
            digests[8 * row + 2 * i] = s[i].low();
            digests[8 * row + 2 * i + 1] = s[i].high();
        }
    }
}

/// Twin of `keccak/digest_u32`.
pub fn digest_u32(params: [u32; 4], spans: &[u32], words: &[u32], digests: &mut [u32]) {
    digest::<[u32; 2]>(params, spans, words, digests);
}

/// Twin of `keccak/digest_u64`.
pub fn digest_u64(params: [u32; 4], spans: &[u32], words: &[u32], digests: &mut [u32]) {
    digest::<u64>(params, spans, words, digests);
}

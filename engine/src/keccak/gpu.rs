//! Keccak-256 of many messages on a device, one invocation a message: tiled, uploaded, dispatched, read back.
//!
//! In, out: see `mod.rs`. Messages are packed at word boundaries, the longest first, so that those of one workgroup are of about
//! the same length; a tile is as many of them as a device takes at once, or as it does in a moment. Two flavours of one stage:
//! lanes of u64 where the adapter has them, of two u32 elsewhere. A message of more than [`BLOCKS_MAX`] blocks is the
//! processor's: one invocation would take longer over it than a core.
//! Memory: a tile here and on the device, and a number a message. Twin: `shaders/src/twin/keccak.rs`.

use super::RATE;
use crate::gpu::{Buffer, Gpu, GpuError, Pipeline, shared};
use alloy_primitives::{B256, keccak256};
use bytemuck::{cast_slice, cast_slice_mut};
use manaflow_shaders::{KECCAK_DIGEST_U32, KECCAK_DIGEST_U64, Stage};
use std::cmp::Reverse;
use std::sync::{Mutex, OnceLock, PoisonError, TryLockError};

/// Blocks of the longest message that a device hashes: what bounds the stage's loop.
pub const BLOCKS_MAX: usize = 1024;

/// Words of a block: so many may be read behind a message's last block.
const BLOCK_WORDS: usize = RATE / 4;

/// Most that is given to a device at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tile {
    /// Messages.
    pub rows: usize,
    /// Words of all of them.
    pub words: usize,
    /// Permutations of all of them. A slow device does as many within a tenth of a second or so, after which drivers lose patience.
    pub blocks: usize,
}

impl Tile {
    /// For a device of these limits.
    fn of(gpu: &Gpu) -> Self {
        let words = gpu.limits().words();
        Self { rows: (words / 8).min(1 << 22), words: words.min(1 << 24), blocks: 1 << 19 }
    }

    fn at_most(self, other: Self) -> Self {
        Self {
            rows: self.rows.min(other.rows),
            words: self.words.min(other.words),
            blocks: self.blocks.min(other.blocks),
        }
    }
}

/// A device that hashes.
#[derive(Debug)]
pub struct Hasher<'a> {
    gpu: &'a Gpu,
    pipeline: Pipeline,
    tile: Tile,
    room: Mutex<Room>,
}

/// What is used again from tile to tile, with whatever is left in it.
#[derive(Debug)]
struct Room {
    spans: Vec<u32>,
    words: Vec<u32>,
    on_device: [Buffer; 3],
}

impl<'a> Hasher<'a> {
    /// With the widest lanes that the device has.
    pub fn new(gpu: &'a Gpu) -> Result<Self, GpuError> {
        let stage = if gpu.has_u64() { &KECCAK_DIGEST_U64 } else { &KECCAK_DIGEST_U32 };
        Self::with(gpu, stage, Tile { rows: usize::MAX, words: usize::MAX, blocks: usize::MAX })
    }

    /// By one flavour of the stage, and not more at once than so much.
    ///
    /// # Panics
    /// If a tile has no room for a message of one block.
    pub fn with(gpu: &'a Gpu, stage: &'static Stage, tile: Tile) -> Result<Self, GpuError> {
        let tile = Tile::of(gpu).at_most(tile);
        assert!(tile.rows > 0 && tile.words >= 2 * BLOCK_WORDS && tile.blocks > 0, "{tile:?} has no room");
        let pipeline = gpu.pipeline(stage)?;
        let on_device = [gpu.buffer(1)?, gpu.buffer(1)?, gpu.buffer(1)?];
        let room = Mutex::new(Room { spans: Vec::new(), words: Vec::new(), on_device });
        Ok(Self { gpu, pipeline, tile, room })
    }

    /// The device.
    pub fn gpu(&self) -> &Gpu {
        self.gpu
    }

    /// Digests of all messages, each in its place; on an error some places may be written.
    ///
    /// # Panics
    /// If there is not one place for each digest.
    pub fn digest(&self, messages: &[&[u8]], out: &mut [B256]) -> Result<(), GpuError> {
        self.digest_in(&mut self.room.lock().unwrap_or_else(PoisonError::into_inner), messages, out)
    }

    /// The same, or `None` at once if the device is at work for somebody else.
    ///
    /// # Panics
    /// If there is not one place for each digest.
    pub fn try_digest(&self, messages: &[&[u8]], out: &mut [B256]) -> Option<Result<(), GpuError>> {
        let mut room = match self.room.try_lock() {
            Ok(room) => room,
            Err(TryLockError::Poisoned(room)) => room.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(self.digest_in(&mut room, messages, out))
    }

    fn digest_in(&self, room: &mut Room, messages: &[&[u8]], out: &mut [B256]) -> Result<(), GpuError> {
        assert_eq!(messages.len(), out.len(), "a digest a message");
        let blocks = |i: u32| messages[i as usize].len() / RATE + 1;
        let rows = u32::try_from(messages.len()).expect("fewer than 2^32 messages");
        let mut order: Vec<u32> = (0..rows).collect();
        if !order.is_sorted_by_key(|&i| Reverse(blocks(i))) {
            order.sort_unstable_by_key(|&i| Reverse(blocks(i)));
        }
        let fits =
            |i: u32| blocks(i) <= BLOCKS_MAX.min(self.tile.blocks) && (blocks(i) + 1) * BLOCK_WORDS <= self.tile.words;
        let (long, mut rest) = order.split_at(order.partition_point(|&i| !fits(i)));
        for &i in long {
            out[i as usize] = keccak256(messages[i as usize]);
        }
        while !rest.is_empty() {
            let (mut words, mut permutations) = (BLOCK_WORDS, 0);
            let is_more = |i: &&u32| {
                let message = messages[**i as usize];
                words += message.len().div_ceil(4);
                permutations += message.len() / RATE + 1;
                words <= self.tile.words && permutations <= self.tile.blocks
            };
            let count = rest.iter().take(self.tile.rows).take_while(is_more).count();
            assert!(count > 0, "a message that fits makes a tile");
            let (tile, after) = rest.split_at(count);
            self.tile(room, messages, tile, out)?;
            rest = after;
        }
        Ok(())
    }

    /// One tile: the messages of these numbers.
    fn tile(&self, room: &mut Room, messages: &[&[u8]], tile: &[u32], out: &mut [B256]) -> Result<(), GpuError> {
        let used = room.pack(tile.iter().map(|&i| messages[i as usize]));
        let [spans, words, digests] = &mut room.on_device;
        let rows = tile.len();
        for (buffer, needed) in [(&mut *spans, 2 * rows), (&mut *words, used), (&mut *digests, 8 * rows)] {
            if buffer.words() < needed {
                *buffer = self.gpu.buffer(needed.next_power_of_two().min(self.gpu.limits().words()))?;
            }
        }
        self.gpu.write(spans, &room.spans)?;
        self.gpu.write(words, &room.words[..used])?;
        // Below 2^32: fewer messages than that.
        let params = [rows as u32, 0, 0, 0];
        let mut batch = self.gpu.batch();
        batch.run(&self.pipeline, params, &[spans, words, digests], params[0].div_ceil(self.pipeline.group()))?;
        batch.read(digests, 8 * rows);
        let read = batch.finish()?;
        let digests: &[[u8; 32]] = cast_slice(&read[0]);
        for (&i, digest) in tile.iter().zip(digests) {
            out[i as usize] = B256::new(*digest);
        }
        Ok(())
    }
}

impl Room {
    /// Lays messages one behind the other, each from a word on; says how many words that takes, with those that may be read
    /// behind the last. What lies between messages is left over from before, and decides nothing.
    fn pack<'m>(&mut self, messages: impl Iterator<Item = &'m [u8]>) -> usize {
        self.spans.clear();
        let mut end = 0;
        for message in messages {
            let (start, words) = (end, message.len().div_ceil(4));
            end += words;
            if self.words.len() < end + BLOCK_WORDS {
                self.words.resize((end + BLOCK_WORDS).next_power_of_two(), 0);
            }
            // Both below 2^32: a tile's words are, and a message's bytes by the number of its blocks.
            self.spans.extend([start as u32, message.len() as u32]);
            cast_slice_mut::<u32, u8>(&mut self.words[start..end])[..message.len()].copy_from_slice(message);
        }
        end + BLOCK_WORDS
    }
}

/// The device that the process shares ([`shared`]) as a hasher; made by the first who asks. Errors: no device, or one that fails.
pub fn hasher() -> Result<&'static Hasher<'static>, GpuError> {
    static HASHER: OnceLock<Result<Hasher<'static>, GpuError>> = OnceLock::new();
    HASHER.get_or_init(|| Hasher::new(shared()?)).as_ref().map_err(Clone::clone)
}

//! Counts that no file could keep: refused, or read as far as the file goes, in memory that its size bounds.

use super::*;
use manaflow_loader::file::layout::SECTION_COUNT;

/// Address space in KiB for a run: far above what a small file takes, far below what is claimed.
const MEMORY_KIB: usize = 3_000_000;

#[track_caller]
fn refused(place: &str, args: &[&str]) {
    let output = shell(&format!("ulimit -v {MEMORY_KIB}; exec \"$@\""), args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(code(&output, place), 3, "{place}: {said}");
    assert!(said.contains("hint: "), "{place}: {said}");
}

/// The prefix of an RLP list or string that claims so many bytes.
fn prefix(base: u8, bytes: u64) -> Vec<u8> {
    let digits: Vec<u8> = bytes.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    [&[base + 55 + digits.len() as u8][..], &digits].concat()
}

#[test]
fn chains_that_claim_too_much() {
    let Some(world) = World::new("faults: chains_that_claim_too_much") else { return };
    let path = world.path("claims.rlp");
    let whole = std::fs::read(&world.chain).expect("data");
    for claim in [1 << 16, 1 << 27, 1 << 28, 1 << 32, 1 << 40, u64::MAX / 2, u64::MAX] {
        for before in [&[][..], &whole] {
            for inner in [false, true] {
                // The block itself, or a list within one that ends with it.
                let list = prefix(0xc0, claim);
                let bytes = if inner { [&prefix(0xc0, list.len() as u64 + 60), &list[..]].concat() } else { list };
                std::fs::write(&path, [before, &bytes, &[0; 60]].concat()).expect("written");
                let args = ["import", text(&path), "--genesis", text(&world.genesis), "--output", "claims.mana"];
                refused(&format!("RLP of {claim} bytes"), &args);
            }
        }
    }
}

#[test]
fn era1_files_that_claim_too_much() {
    let Some(world) = World::new("faults: era1_files_that_claim_too_much") else { return };
    let data = manaflow_datasets::data().expect("it is there");
    let era = data.join("era1/mainnet-00000-5ec1ffb8.era1");
    let genesis = data.join("genesis/mainnet.json");
    let whole = std::fs::read(&era).expect("data");
    let path = world.path("claims.era1");
    let args = ["import", text(&path), "--genesis", text(&genesis), "--output", "claims.mana"];
    let import = |place: &str, bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("written");
        refused(place, &args);
    };
    // Version entry, then headers of entries that claim 4 GiB.
    for kind in [0x03_u16, 0x04, 0x05, 0x06, 0x07, 0x3266, 0x7777] {
        for length in [u32::MAX, 1 << 30, 1 << 20] {
            let entry = [&kind.to_le_bytes()[..], &length.to_le_bytes(), &[0; 2]].concat();
            import(&format!("entry {kind:#x} of {length} bytes"), &[&whole[..8], &entry, &whole[8..4096]].concat());
        }
    }
    // The index at the end: its count, and its start.
    for claim in [u64::MAX, 1 << 60, 1 << 32, 8193] {
        let mut bytes = whole.clone();
        let end = bytes.len();
        bytes[end - 8..].copy_from_slice(&claim.to_le_bytes());
        import(&format!("an index of {claim} blocks"), &bytes);
    }
    // A frame that unpacks to far more than it is: zeros in copies of copies, in a header's place.
    let frame = snappy_of_zeros(1 << 30);
    let entry = [&0x03_u16.to_le_bytes()[..], &(frame.len() as u32).to_le_bytes(), &[0; 2], &frame].concat();
    import("a frame that unpacks to 1 GiB", &[&whole[..8], &entry].concat());
}

/// A framed snappy stream of so many zeros, in chunks of 64 KiB.
fn snappy_of_zeros(bytes: usize) -> Vec<u8> {
    let mut block = vec![0x80, 0x80, 0x04]; // 65,536 as a varint
    block.extend([0x00, 0x00]); // a literal of one zero
    let mut left = 65_535;
    while left > 0 {
        let count = left.min(64);
        block.extend([((count - 1) as u8) << 2 | 2, 1, 0]); // a copy of up to 64 bytes from one byte back
        left -= count;
    }
    let checksum = crc32c_masked(&vec![0; 65_536]);
    let mut chunk = vec![0x00];
    chunk.extend(&((block.len() + 4) as u32).to_le_bytes()[..3]);
    chunk.extend(checksum.to_le_bytes());
    chunk.extend(block);
    let mut out = vec![0xff, 6, 0, 0];
    out.extend(b"sNaPpY");
    for _ in 0..bytes / 65_536 {
        out.extend(&chunk);
    }
    out
}

/// CRC-32C, rotated and added to as the framing format has it.
fn crc32c_masked(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    (!crc).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[test]
fn block_files_that_claim_too_much() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("claims.mana");
    let whole = std::fs::read(manaflow_datasets::sample("forks.mana")).expect("a sample");
    // The size of the file; offset and length of each section.
    let places = [16].into_iter().chain((0..SECTION_COUNT).flat_map(|i| [160 + 24 * i + 8, 160 + 24 * i + 16]));
    let places: Vec<usize> = places.collect();
    let step = places.len().div_ceil(amount(12, places.len()));
    for place in places.into_iter().step_by(step) {
        for claim in [u64::MAX, 1 << 62, 1 << 40, 1 << 33] {
            let mut bytes = whole.clone();
            bytes[place..place + 8].copy_from_slice(&u64::to_le_bytes(claim));
            let checksum = xxhash_rust::xxh3::xxh3_64(&bytes[..1208]);
            bytes[1208..1216].copy_from_slice(&checksum.to_le_bytes());
            std::fs::write(&path, bytes).expect("written");
            refused(&format!("{claim} at offset {place}"), &["validate", text(&path)]);
        }
    }
}

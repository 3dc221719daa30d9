//! The accumulator of an era: the root over (hash, total difficulty) of its blocks of proof of work.
//!
//! SSZ `hash_tree_root` of `List[HeaderRecord, 8192]`, `HeaderRecord` being `block_hash: Bytes32, total_difficulty:
//! uint256`. A record's root is SHA-256 over its two fields; the list's is that of a tree of 8,192 leaves, those that
//! are not there zero, hashed with the count of those that are.
//! Source: consensus-specs `ssz/simple-serialize.md`, "Merkleization"; the era1 specification.

use alloy_primitives::{B256, U256};
use sha2::{Digest, Sha256};

/// Levels between the leaves and the root: 2^13 = 8,192.
const DEPTH: usize = 13;
const _: () = assert!(1 << DEPTH == super::BLOCKS_MAX);

/// Roots of the records of the blocks so far.
#[derive(Default, Debug)]
pub(in crate::source) struct Accumulator {
    records: Vec<[u8; 32]>,
}

impl Accumulator {
    /// Adds the next block: its hash, and the total difficulty after it. At most 8,192.
    pub fn push(&mut self, hash: B256, total_difficulty: U256) {
        self.records.push(pair(&hash.0, &total_difficulty.to_le_bytes()));
    }

    /// Blocks so far.
    pub fn blocks(&self) -> usize {
        self.records.len()
    }

    /// The root over the blocks so far.
    pub fn root(&self) -> B256 {
        let mut level = self.records.clone();
        // Root of a subtree of zeros as high as the level.
        let mut zeros = [0; 32];
        for _ in 0..DEPTH {
            if level.len() % 2 == 1 {
                level.push(zeros);
            }
            level = level.chunks_exact(2).map(|two| pair(&two[0], &two[1])).collect();
            zeros = pair(&zeros, &zeros);
        }
        let tree = level.first().unwrap_or(&zeros);
        B256::new(pair(tree, &U256::from(self.records.len()).to_le_bytes()))
    }
}

fn pair(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(left).chain_update(right).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::b256;

    /// The tree as the specification states it: all leaves there, one level at a time.
    fn whole_tree(records: &[(B256, U256)]) -> B256 {
        let mut level = vec![[0; 32]; super::super::BLOCKS_MAX];
        for (leaf, (hash, difficulty)) in level.iter_mut().zip(records) {
            *leaf = pair(&hash.0, &difficulty.to_le_bytes());
        }
        while level.len() > 1 {
            level = level.chunks(2).map(|two| pair(&two[0], &two[1])).collect();
        }
        B256::new(pair(&level[0], &U256::from(records.len()).to_le_bytes()))
    }

    #[test]
    fn the_root_is_that_of_the_whole_tree() {
        for count in [0, 1, 2, 3, 4, 5, 1023, 1024, 4097, 8191, 8192] {
            let records: Vec<_> = (0..count)
                .map(|n: u64| (alloy_primitives::keccak256(n.to_be_bytes()), U256::from(n + 1) << 70))
                .collect();
            let mut accumulator = Accumulator::default();
            records.iter().for_each(|(hash, difficulty)| accumulator.push(*hash, *difficulty));
            assert_eq!(accumulator.root(), whole_tree(&records), "{count} blocks");
        }
    }

    /// Of nothing: the tree of zeros, whose root 13 levels up is the deposit contract's `zero_hashes[13]`.
    #[test]
    fn the_root_of_nothing() {
        let zeros = b256!("0xdf6af5f5bbdb6be9ef8aa618e4bf8073960867171e29676f8b284dea6a08a85e");
        assert_eq!(Accumulator::default().root(), B256::new(pair(&zeros.0, &[0; 32])));
    }
}

//! Roots of lists (transactions, receipts, withdrawals): Merkle-Patricia tries over the RLP of each item's place.
//!
//! In: lists of encoded items. Out: a root each. The shape follows from the number of items alone; nodes of all lists are
//! encoded and hashed level by level, the deepest first, so that the lanes of Keccak-256 are full.
//! Bounds: less than 2^24 items a list. Oracle: alloy-trie. Source: Yellow Paper appendix D.

use crate::keccak::keccak256_batch;
use alloy_primitives::B256;
use alloy_rlp::{Encodable, Header};
use alloy_trie::EMPTY_ROOT_HASH;
use std::ops::Range;

/// A place in RLP, by nibbles.
#[derive(Clone, Copy)]
struct Key {
    nibbles: [u8; 8],
    len: u8,
    item: u32,
}

impl Key {
    fn new(item: u32) -> Self {
        let mut bytes = [0; 8];
        let mut rest = &mut bytes[..];
        item.encode(&mut rest);
        let len = 8 - rest.len();
        let mut nibbles = [0; 8];
        for (i, byte) in bytes[..len].iter().enumerate() {
            nibbles[2 * i] = byte >> 4;
            nibbles[2 * i + 1] = byte & 15;
        }
        Self { nibbles, len: 2 * len as u8, item }
    }

    fn path(&self) -> &[u8] {
        &self.nibbles[..usize::from(self.len)]
    }
}

enum Node {
    /// List, key, and where in the key its own path starts.
    Leaf(u32, Key, u8),
    /// A path that all keys below share.
    Extension(Key, Range<u8>, u32),
    /// By nibble; no key ends here, since no place is the beginning of another.
    Branch([u32; 16]),
}

/// The child that is not there.
const NONE: u32 = u32::MAX;

/// How a parent names a node: its RLP where that is shorter than a hash, else its hash.
#[derive(Clone, Copy)]
struct Reference {
    bytes: [u8; 33],
    len: u8,
}

impl Reference {
    const EMPTY: Self = Self { bytes: [0; 33], len: 0 };

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// Bytes of a leaf besides its item, at most.
const LEAF_BYTES: usize = 16;

#[derive(Default)]
struct Tries {
    nodes: Vec<Node>,
    /// Nodes by depth.
    levels: Vec<Vec<u32>>,
}

impl Tries {
    fn push(&mut self, depth: usize, node: Node) -> u32 {
        let number = self.nodes.len() as u32;
        self.nodes.push(node);
        if self.levels.len() <= depth {
            self.levels.resize(depth + 1, Vec::new());
        }
        self.levels[depth].push(number);
        number
    }

    /// The node over keys in ascending order that are equal before `from`.
    fn build(&mut self, list: u32, keys: &[Key], from: usize, depth: usize) -> u32 {
        let (first, last) = (&keys[0], &keys[keys.len() - 1]);
        if keys.len() == 1 {
            return self.push(depth, Node::Leaf(list, *first, from as u8));
        }
        let shared = from + first.path()[from..].iter().zip(&last.path()[from..]).take_while(|(a, b)| a == b).count();
        if shared > from {
            let child = self.build(list, keys, shared, depth + 1);
            return self.push(depth, Node::Extension(*first, from as u8..shared as u8, child));
        }
        let mut children = [NONE; 16];
        for group in keys.chunk_by(|a, b| a.nibbles[from] == b.nibbles[from]) {
            children[usize::from(group[0].nibbles[from])] = self.build(list, group, from + 1, depth + 1);
        }
        self.push(depth, Node::Branch(children))
    }
}

/// The root of each list of encoded items.
///
/// # Panics
/// If a list has 2^24 items or more.
pub fn ordered_roots(lists: &[Vec<&[u8]>]) -> Vec<B256> {
    let mut tries = Tries::default();
    let roots: Vec<Option<u32>> = (lists.iter().enumerate())
        .map(|(i, list)| {
            assert!(list.len() < 1 << 24, "a place fits in four bytes of RLP");
            let mut keys: Vec<Key> = (0..list.len() as u32).map(Key::new).collect();
            keys.sort_unstable_by_key(|key| key.nibbles);
            (!keys.is_empty()).then(|| tries.build(i as u32, &keys, 0, 0))
        })
        .collect();
    let mut references = vec![Reference::EMPTY; tries.nodes.len()];
    let items: usize = lists.iter().flatten().map(|item| item.len() + LEAF_BYTES).sum();
    let (mut bytes, mut ends) = (Vec::with_capacity(items), Vec::new());
    for (depth, level) in tries.levels.iter().enumerate().rev() {
        bytes.clear();
        ends.clear();
        for &node in level {
            encode(&tries.nodes[node as usize], lists, &references, &mut bytes);
            ends.push(bytes.len());
        }
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let mut hashed = Vec::with_capacity(level.len());
        let mut messages = Vec::with_capacity(level.len());
        for ((&node, start), &end) in level.iter().zip(starts).zip(&ends) {
            let rlp = &bytes[start..end];
            if rlp.len() < 32 && depth > 0 {
                let reference = &mut references[node as usize];
                reference.bytes[..rlp.len()].copy_from_slice(rlp);
                reference.len = rlp.len() as u8;
            } else {
                hashed.push(node);
                messages.push(rlp);
            }
        }
        for (node, hash) in hashed.into_iter().zip(keccak256_batch(&messages)) {
            let reference = &mut references[node as usize];
            reference.bytes[0] = 0x80 + 32;
            reference.bytes[1..].copy_from_slice(hash.as_slice());
            reference.len = 33;
        }
    }
    let hash = |root: u32| B256::from_slice(&references[root as usize].bytes[1..]);
    roots.into_iter().map(|root| root.map_or(EMPTY_ROOT_HASH, hash)).collect()
}

fn encode(node: &Node, lists: &[Vec<&[u8]>], references: &[Reference], out: &mut Vec<u8>) {
    match node {
        Node::Leaf(list, key, from) => {
            let (path, len) = hex_prefix(&key.path()[usize::from(*from)..], true);
            let item = lists[*list as usize][key.item as usize];
            Header { list: true, payload_length: path[..len].length() + item.length() }.encode(out);
            path[..len].encode(out);
            item.encode(out);
        }
        Node::Extension(key, range, child) => {
            let (path, len) = hex_prefix(&key.path()[usize::from(range.start)..usize::from(range.end)], false);
            let child = references[*child as usize].as_slice();
            Header { list: true, payload_length: path[..len].length() + child.len() }.encode(out);
            path[..len].encode(out);
            out.extend_from_slice(child);
        }
        Node::Branch(children) => {
            // An empty string for each child that is not there, and one for the value.
            let reference = |child: u32| if child == NONE { &[0x80] } else { references[child as usize].as_slice() };
            let payload_length = 1 + children.iter().map(|&child| reference(child).len()).sum::<usize>();
            Header { list: true, payload_length }.encode(out);
            children.iter().for_each(|&child| out.extend_from_slice(reference(child)));
            out.push(0x80);
        }
    }
}

/// Yellow Paper appendix C: a flag nibble (2 for a leaf, 1 for an odd number of nibbles), padding to whole bytes, the path.
fn hex_prefix(path: &[u8], is_leaf: bool) -> ([u8; 5], usize) {
    let flag = if is_leaf { 0x20 } else { 0 };
    let (odd, pairs) = path.split_at(path.len() % 2);
    let mut bytes = [0; 5];
    bytes[0] = flag | odd.first().map_or(0, |nibble| 0x10 | nibble);
    for (byte, pair) in bytes[1..].iter_mut().zip(pairs.chunks(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    (bytes, 1 + pairs.len() / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::proofs::ordered_trie_root_encoded;
    use proptest::prelude::*;

    fn hold(lists: &[Vec<Vec<u8>>]) {
        let borrowed: Vec<Vec<&[u8]>> = lists.iter().map(|list| list.iter().map(Vec::as_slice).collect()).collect();
        let roots = ordered_roots(&borrowed);
        for (list, root) in lists.iter().zip(roots) {
            assert_eq!(root, ordered_trie_root_encoded(list), "{} items", list.len());
        }
    }

    #[test]
    fn every_number_of_items_to_700() {
        for len in [0, 1, 3, 30, 33, 150] {
            let lists: Vec<Vec<Vec<u8>>> =
                (0..=700_usize).map(|n| (0..n).map(|i| vec![(i * 7 + n) as u8; len]).collect()).collect();
            hold(&lists);
        }
    }

    #[test]
    fn places_of_three_bytes() {
        hold(&[vec![vec![7; 2]; 65_535], vec![vec![8; 40]; 65_537], vec![vec![9]; 66_000]]);
    }

    proptest! {
        #[test]
        fn any_lists(lists in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..150), 0..5)) {
            hold(&lists);
        }
    }
}

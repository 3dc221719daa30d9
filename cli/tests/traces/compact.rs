//! The compact block witness that Polygon Zero's traces carry, turned into the nodes of the tries that it stands for.
//!
//! A program for a stack of nodes: version 1, then instructions in the order in which the tries are built from below.
//! Source: the block witness specification of turbo-geth (instructions LEAF to EMPTY_ROOT; operands in CBOR), as
//! Polygon Zero's tracer writes it: an account's operands are its key, flags (1 code, 2 storage, 4 nonce, 8 balance),
//! and the length of its code.

use alloy_primitives::{B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_rlp::{EMPTY_STRING_CODE, Encodable};
use alloy_trie::EMPTY_ROOT_HASH;

/// Nodes by which a trie of the whole state can be asked, and codes.
#[derive(Default)]
pub struct Witness {
    pub root: B256,
    pub nodes: Vec<Bytes>,
    pub codes: Vec<Bytes>,
}

/// What lies on the stack.
enum Item {
    /// A node by its RLP.
    Node(Vec<u8>),
    /// A node, or a code, that is known by hash only.
    Hash(B256),
    Code(Bytes),
    /// A trie without nodes.
    Empty,
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    /// Major type and argument of a CBOR item.
    fn cbor(&mut self) -> (u8, u64) {
        let first = self.take(1)[0];
        let argument = match first & 31 {
            small @ 0..=23 => u64::from(small),
            length @ 24..=27 => {
                let bytes = self.take(1 << (length - 24));
                bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte))
            }
            other => panic!("argument {other} of a CBOR item"),
        };
        (first >> 5, argument)
    }

    fn integer(&mut self) -> u64 {
        let (kind, argument) = self.cbor();
        assert_eq!(kind, 0, "an integer");
        argument
    }

    fn bytes(&mut self) -> &'a [u8] {
        let (kind, argument) = self.cbor();
        assert_eq!(kind, 2, "a string of bytes");
        self.take(argument as usize)
    }

    /// Nibbles of a key: a byte with bit 0 set if their number is odd, then two a byte. One nibble stands for itself, and
    /// 16 for none.
    fn nibbles(&mut self) -> Vec<u8> {
        let bytes = self.bytes();
        if let [one] = bytes {
            return if *one == 16 { vec![] } else { vec![*one] };
        }
        let mut nibbles: Vec<u8> = bytes[1..].iter().flat_map(|byte| [byte >> 4, byte & 15]).collect();
        if bytes[0] & 1 == 1 {
            nibbles.pop();
        }
        nibbles
    }
}

/// The path of a leaf or extension as its node holds it.
fn hex_prefix(nibbles: &[u8], is_leaf: bool) -> Vec<u8> {
    let odd = nibbles.len() % 2 == 1;
    let flag = if is_leaf { 2 } else { 0 } + u8::from(odd);
    let mut all = vec![flag];
    if !odd {
        all.push(0);
    }
    all.extend(nibbles);
    all.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let items: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
    crate::world::list(&items)
}

impl Witness {
    /// Runs the program.
    pub fn read(bytes: &[u8]) -> Self {
        let mut witness = Self::default();
        let mut stack: Vec<Item> = Vec::new();
        let mut reader = Reader(bytes);
        assert_eq!(reader.take(1), [1], "version");
        while !reader.0.is_empty() {
            let item = match reader.take(1)[0] {
                0 => {
                    let path = hex_prefix(&reader.nibbles(), true);
                    let value = U256::from_be_slice(reader.bytes());
                    let value = alloy_rlp::encode(alloy_rlp::encode(value).as_slice());
                    Item::Node(list(&[alloy_rlp::encode(path.as_slice()), value]))
                }
                1 => {
                    let path = hex_prefix(&reader.nibbles(), false);
                    let child = witness.reference(stack.pop().expect("a child"));
                    Item::Node(list(&[alloy_rlp::encode(path.as_slice()), child]))
                }
                2 => {
                    let mask = reader.integer();
                    let first = stack.len() - mask.count_ones() as usize;
                    let mut children = stack.split_off(first).into_iter();
                    let slots = (0..17).map(|i| match mask >> i & 1 {
                        1 => witness.reference(children.next().expect("a child for each bit")),
                        _ => vec![EMPTY_STRING_CODE],
                    });
                    Item::Node(list(&slots.collect::<Vec<_>>()))
                }
                3 => Item::Hash(B256::from_slice(reader.take(32))),
                4 => Item::Code(Bytes::copy_from_slice(reader.bytes())),
                5 => witness.account(&mut reader, &mut stack),
                6 => Item::Empty,
                other => panic!("instruction {other:#x}"),
            };
            stack.push(item);
        }
        assert_eq!(stack.len(), 1, "one trie");
        witness.root = witness.hash(stack.remove(0));
        witness
    }

    fn account(&mut self, reader: &mut Reader<'_>, stack: &mut Vec<Item>) -> Item {
        let path = hex_prefix(&reader.nibbles(), true);
        let flags = reader.take(1)[0];
        let has = |bit: u8| flags & bit != 0;
        let nonce = if has(4) { reader.integer() } else { 0 };
        let balance = if has(8) { U256::from_be_slice(reader.bytes()) } else { U256::ZERO };
        if has(1) {
            reader.integer();
        }
        let storage_root = if has(2) { self.hash(stack.pop().expect("storage")) } else { EMPTY_ROOT_HASH };
        let code_hash = match has(1).then(|| stack.pop().expect("a code")) {
            None => KECCAK256_EMPTY,
            Some(Item::Hash(hash)) => hash,
            Some(Item::Code(code)) => {
                let hash = keccak256(&code);
                self.codes.push(code);
                hash
            }
            Some(Item::Node(_) | Item::Empty) => panic!("a node in the place of a code"),
        };
        let mut nonce_rlp = Vec::new();
        nonce.encode(&mut nonce_rlp);
        let fields = list(&[
            nonce_rlp,
            alloy_rlp::encode(balance),
            alloy_rlp::encode(storage_root),
            alloy_rlp::encode(code_hash),
        ]);
        Item::Node(list(&[alloy_rlp::encode(path.as_slice()), alloy_rlp::encode(fields.as_slice())]))
    }

    fn hash(&mut self, item: Item) -> B256 {
        match item {
            Item::Node(node) => {
                let hash = keccak256(&node);
                self.nodes.push(node.into());
                hash
            }
            Item::Hash(hash) => hash,
            Item::Empty => EMPTY_ROOT_HASH,
            Item::Code(_) => panic!("a code in the place of a node"),
        }
    }

    /// How a parent holds a child: itself if it is shorter than a hash.
    fn reference(&mut self, item: Item) -> Vec<u8> {
        match item {
            Item::Node(node) if node.len() < 32 => node,
            item => alloy_rlp::encode(self.hash(item)),
        }
    }
}

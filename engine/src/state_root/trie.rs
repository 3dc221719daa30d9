//! One Merkle-Patricia trie with keys of 32 bytes: insert, remove, look up, root. Nodes not yet needed stay hashes.
//!
//! Canonical form, kept by every operation: a branch has two children or more, an extension's path is not empty and its child
//! is a branch. Nodes that come from outside are held to it, and to a depth of 64 nibbles, when they are decoded.
//! An operation that fails has only replaced hashes by the nodes they name.

use super::TrieError;
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::Decodable;
use alloy_trie::nodes::{BranchNodeRef, ExtensionNodeRef, LeafNodeRef, RlpNode, TrieNode};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles, TrieMask};
use std::collections::HashMap;

/// Encoded nodes by hash.
pub(super) type Nodes = HashMap<B256, Bytes>;

/// Nibbles of a key.
const DEPTH: usize = 64;

enum Node {
    Leaf(Nibbles, Vec<u8>),
    Extension(Nibbles, Box<Link>),
    Branch(Box<[Option<Link>; 16]>),
    /// Known by hash only.
    Hash(B256),
}

/// A node, and how its parent refers to it, if that is up to date.
struct Link {
    node: Node,
    reference: Option<RlpNode>,
}

/// A trie; the default is empty.
#[derive(Default)]
pub(super) struct Trie {
    root: Option<Link>,
}

/// What became of a node from which a key was removed.
enum Removed {
    Nothing,
    Key,
    /// The node held nothing else; it is unchanged, and its parent drops it.
    All,
}

impl From<Node> for Link {
    fn from(node: Node) -> Self {
        Self { node, reference: None }
    }
}

impl Trie {
    /// The trie with this root, its nodes known by hash only.
    pub fn of_root(root: B256) -> Self {
        let link = Link { node: Node::Hash(root), reference: Some(RlpNode::word_rlp(&root)) };
        Self { root: (root != EMPTY_ROOT_HASH).then_some(link) }
    }

    /// Makes sure that the root's own node is there.
    pub fn resolve_root(&mut self, nodes: &Nodes) -> Result<(), TrieError> {
        self.root.as_mut().map_or(Ok(()), |root| root.resolve(0, nodes))
    }

    pub fn get(&mut self, key: &B256, nodes: &Nodes) -> Result<Option<&[u8]>, TrieError> {
        let key = Nibbles::unpack(key);
        let (mut link, mut depth) = (self.root.as_mut(), 0);
        while let Some(at) = link {
            at.resolve(depth, nodes)?;
            match &mut at.node {
                Node::Leaf(path, value) => return Ok((*path == key.slice(depth..)).then_some(value)),
                Node::Extension(path, child) => {
                    let end = depth + path.len();
                    link = (key.slice(depth..end) == *path).then_some(child);
                    depth = end;
                }
                Node::Branch(children) => {
                    link = children[usize::from(key.get_unchecked(depth))].as_mut();
                    depth += 1;
                }
                Node::Hash(_) => unreachable!("it was resolved"),
            }
        }
        Ok(None)
    }

    pub fn insert(&mut self, key: &B256, value: Vec<u8>, nodes: &Nodes) -> Result<(), TrieError> {
        let key = Nibbles::unpack(key);
        match &mut self.root {
            Some(root) => root.insert(&key, 0, value, nodes),
            None => {
                self.root = Some(Node::Leaf(key, value).into());
                Ok(())
            }
        }
    }

    pub fn remove(&mut self, key: &B256, nodes: &Nodes) -> Result<(), TrieError> {
        if let Some(root) = &mut self.root
            && matches!(root.remove(&Nibbles::unpack(key), 0, nodes)?, Removed::All)
        {
            self.root = None;
        }
        Ok(())
    }

    pub fn root(&mut self) -> B256 {
        let Some(root) = &mut self.root else { return EMPTY_ROOT_HASH };
        let reference = root.reference();
        // A root is hashed even where a child would stand in its parent as it is.
        reference.as_hash().unwrap_or_else(|| keccak256(reference.as_slice()))
    }
}

impl Link {
    /// Replaces a hash by the node it names, `depth` nibbles into the key.
    fn resolve(&mut self, depth: usize, nodes: &Nodes) -> Result<(), TrieError> {
        if let Node::Hash(hash) = self.node {
            let bytes = nodes.get(&hash).ok_or(TrieError::Missing { hash, depth })?;
            self.node = decode(bytes, depth).map_err(|reason| TrieError::Malformed { hash, reason })?;
        }
        Ok(())
    }

    fn insert(&mut self, key: &Nibbles, depth: usize, value: Vec<u8>, nodes: &Nodes) -> Result<(), TrieError> {
        self.resolve(depth, nodes)?;
        match &mut self.node {
            Node::Branch(children) => match &mut children[usize::from(key.get_unchecked(depth))] {
                Some(child) => child.insert(key, depth + 1, value, nodes)?,
                empty => *empty = Some(Node::Leaf(key.slice(depth + 1..), value).into()),
            },
            Node::Leaf(path, old) if *path == key.slice(depth..) => {
                if *old == value {
                    return Ok(());
                }
                *old = value;
            }
            Node::Extension(path, child) if key.slice(depth..depth + path.len()) == *path => {
                child.insert(key, depth + path.len(), value, nodes)?;
            }
            Node::Leaf(path, _) | Node::Extension(path, _) => {
                let common = path.common_prefix_length(&key.slice(depth..));
                self.split(common, key, depth, value);
            }
            Node::Hash(_) => unreachable!("it was resolved"),
        }
        self.reference = None;
        Ok(())
    }

    /// Puts a branch where a leaf's or extension's path parts from the key, `common` nibbles into the path.
    fn split(&mut self, common: usize, key: &Nibbles, depth: usize, value: Vec<u8>) {
        let mut children: Box<[Option<Self>; 16]> = Box::default();
        let (path, rest) = match std::mem::replace(&mut self.node, Node::Hash(B256::ZERO)) {
            Node::Leaf(path, old) => (path, Node::Leaf(path.slice(common + 1..), old).into()),
            Node::Extension(path, child) if path.len() == common + 1 => (path, *child),
            Node::Extension(path, child) => (path, Node::Extension(path.slice(common + 1..), child).into()),
            Node::Branch(_) | Node::Hash(_) => unreachable!("only paths are split"),
        };
        let at = depth + common;
        children[usize::from(path.get_unchecked(common))] = Some(rest);
        children[usize::from(key.get_unchecked(at))] = Some(Node::Leaf(key.slice(at + 1..), value).into());
        let branch = Node::Branch(children);
        self.node = match common {
            0 => branch,
            _ => Node::Extension(path.slice(..common), Box::new(branch.into())),
        };
    }

    fn remove(&mut self, key: &Nibbles, depth: usize, nodes: &Nodes) -> Result<Removed, TrieError> {
        self.resolve(depth, nodes)?;
        let removed = match &mut self.node {
            Node::Leaf(path, _) if *path == key.slice(depth..) => Removed::All,
            Node::Extension(path, child) if key.slice(depth..depth + path.len()) == *path => {
                child.remove(key, depth + path.len(), nodes)?
            }
            Node::Leaf(..) | Node::Extension(..) => Removed::Nothing,
            Node::Branch(children) => remove_from(children, key, depth, nodes)?,
            Node::Hash(_) => unreachable!("it was resolved"),
        };
        if let Removed::Key = removed {
            self.reference = None;
            self.restore();
        }
        Ok(removed)
    }

    /// Restores the canonical form after a removal below: joins paths, and replaces a branch of one child.
    fn restore(&mut self) {
        match &mut self.node {
            Node::Branch(children) => {
                let mut held = (0u8..).zip(children.iter_mut()).filter(|(_, child)| child.is_some());
                if let (Some((nibble, only)), None) = (held.next(), held.next()) {
                    let path = Nibbles::from_nibbles([nibble]);
                    let Some(only) = only.take() else { return };
                    self.node = joined(path, only);
                }
            }
            Node::Extension(path, child) if !matches!(child.node, Node::Branch(_) | Node::Hash(_)) => {
                let child = std::mem::replace(&mut **child, Node::Hash(B256::ZERO).into());
                self.node = joined(*path, child);
            }
            _ => {}
        }
    }

    /// How the parent refers to this node: its encoding, or the hash of it if that has 32 bytes or more.
    fn reference(&mut self) -> RlpNode {
        if let Some(reference) = &self.reference {
            return reference.clone();
        }
        let mut out = Vec::new();
        let reference = match &mut self.node {
            Node::Hash(hash) => RlpNode::word_rlp(hash),
            Node::Leaf(path, value) => LeafNodeRef::new(path, value).rlp(&mut out),
            Node::Extension(path, child) => ExtensionNodeRef::new(path, &child.reference()).rlp(&mut out),
            Node::Branch(children) => {
                let (mut stack, mut mask) = (Vec::with_capacity(16), TrieMask::default());
                for (nibble, child) in (0..).zip(children.iter_mut()) {
                    if let Some(child) = child {
                        stack.push(child.reference());
                        mask.set_bit(nibble);
                    }
                }
                BranchNodeRef::new(&stack, mask).rlp(&mut out)
            }
        };
        self.reference = Some(reference.clone());
        reference
    }
}

/// Removes a key from a branch.
fn remove_from(
    children: &mut [Option<Link>; 16],
    key: &Nibbles,
    depth: usize,
    nodes: &Nodes,
) -> Result<Removed, TrieError> {
    let nibble = usize::from(key.get_unchecked(depth));
    let Some(child) = &mut children[nibble] else { return Ok(Removed::Nothing) };
    let removed = child.remove(key, depth + 1, nodes)?;
    if !matches!(removed, Removed::All) {
        return Ok(removed);
    }
    // The one child that is left joins its path, so it must be there before anything changes.
    let mut others =
        (0..).zip(children.iter_mut()).filter(|(n, _)| *n != nibble).filter_map(|(_, child)| child.as_mut());
    if let (Some(only), None) = (others.next(), others.next()) {
        only.resolve(depth + 1, nodes)?;
    }
    children[nibble] = None;
    Ok(Removed::Key)
}

/// A path above a node, as one node.
fn joined(path: Nibbles, below: Link) -> Node {
    match below.node {
        Node::Leaf(rest, value) => Node::Leaf(path.join(&rest), value),
        Node::Extension(rest, child) => Node::Extension(path.join(&rest), child),
        Node::Branch(_) | Node::Hash(_) => Node::Extension(path, Box::new(below)),
    }
}

/// A node from outside, `depth` nibbles into the key; the error says what is wrong with it.
fn decode(mut bytes: &[u8], depth: usize) -> Result<Node, String> {
    let node = TrieNode::decode(&mut bytes).map_err(|e| e.to_string())?;
    if !bytes.is_empty() {
        return Err(format!("{} bytes beyond its end", bytes.len()));
    }
    let left = DEPTH - depth;
    match node {
        TrieNode::EmptyRoot => Err("empty node inside a trie".into()),
        TrieNode::Leaf(leaf) if leaf.key.len() != left => {
            Err(format!("leaf path of {} nibbles, expected {left}", leaf.key.len()))
        }
        TrieNode::Leaf(leaf) => Ok(Node::Leaf(leaf.key, leaf.value)),
        TrieNode::Extension(e) if e.key.is_empty() || e.key.len() >= left => {
            Err(format!("extension path of {} nibbles, expected 1 to {}", e.key.len(), left.saturating_sub(1)))
        }
        TrieNode::Extension(e) => {
            let child = linked(&e.child, depth + e.key.len())?;
            match child.node {
                Node::Branch(_) | Node::Hash(_) => Ok(Node::Extension(e.key, Box::new(child))),
                Node::Leaf(..) | Node::Extension(..) => Err("extension above a path, expected above a branch".into()),
            }
        }
        TrieNode::Branch(_) if left == 0 => Err("branch below the end of a key".into()),
        TrieNode::Branch(branch) if branch.stack.len() < 2 => {
            Err(format!("branch with {} children, expected 2 or more", branch.stack.len()))
        }
        TrieNode::Branch(branch) => {
            let mut children: Box<[Option<Link>; 16]> = Box::default();
            for (nibble, child) in branch.as_ref().children() {
                children[usize::from(nibble)] = child.map(|c| linked(c, depth + 1)).transpose()?;
            }
            Ok(Node::Branch(children))
        }
    }
}

/// A child as its parent refers to it: a hash, or the node itself.
fn linked(reference: &RlpNode, depth: usize) -> Result<Link, String> {
    let node = match reference.as_hash() {
        Some(hash) => Node::Hash(hash),
        None => decode(reference.as_slice(), depth)?,
    };
    Ok(Link { node, reference: Some(reference.clone()) })
}

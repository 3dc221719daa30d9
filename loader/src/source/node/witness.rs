//! Execution witnesses: of a block the nodes of the state's trie that its execution meets, codes, and earlier headers.
//!
//! Everything in it is found by its hash, so nothing of it is believed: nodes lead down from the state root of the block
//! before, headers up to the parent hash of the block. Lists of bytes, or maps from hashes to bytes, as clients have them.
//! Source: `debug_executionWitness` of go-ethereum and reth.

use super::answers::{quantity, value};
use crate::error::{Error, Result};
use crate::node::{Answer, Call, Node};
use crate::source::SourceBlock;
use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, keccak256};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// What a block's execution meets.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Witness {
    /// State root after the block before.
    pub state_root: B256,
    /// Nodes of tries, in any order.
    pub nodes: Vec<Bytes>,
    /// Codes.
    pub codes: Vec<Bytes>,
    /// Hashes of earlier blocks, each named by the header after it.
    pub hashes: BTreeMap<u64, B256>,
}

/// The call for a block.
pub(super) fn call(number: u64) -> Call {
    Call::new("debug_executionWitness", [quantity(number)])
}

/// Bytes in a list, or under their hashes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Blobs {
    List(Vec<Bytes>),
    Map(HashMap<B256, Bytes>),
}

impl Default for Blobs {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Blobs {
    fn into_list(self) -> Vec<Bytes> {
        match self {
            Self::List(list) => list,
            Self::Map(map) => map.into_values().collect(),
        }
    }
}

/// The witness of a block; `state_root` is that of the block before.
pub(super) fn read(
    node: &dyn Node,
    call: &Call,
    block: &SourceBlock,
    state_root: B256,
    answer: Answer,
) -> Result<Witness> {
    #[derive(Deserialize)]
    struct Listed {
        state: Blobs,
        #[serde(default)]
        codes: Blobs,
        #[serde(default)]
        headers: Vec<Bytes>,
    }
    let json = answer.result(node, call)?;
    let listed: Listed = value(node, call, &json)?;
    let by_hash: HashMap<B256, &Bytes> = listed.headers.iter().map(|header| (keccak256(header), header)).collect();
    let mut hashes = BTreeMap::new();
    let (mut number, mut hash) = (block.number, block.header.parent_hash);
    while let Some(before) = number.checked_sub(1) {
        hashes.insert(before, hash);
        let Some(bytes) = by_hash.get(&hash) else { break };
        let header: Header = alloy_rlp::decode_exact(bytes)
            .map_err(|e| Error::node(node, call, format!("header of block {before}: {e}")))?;
        (number, hash) = (before, header.parent_hash);
    }
    Ok(Witness { state_root, nodes: listed.state.into_list(), codes: listed.codes.into_list(), hashes })
}

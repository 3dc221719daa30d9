//! Answers as values: quantities, blocks, headers; each error names node, call and what was got.

use super::super::rpc::{self, SealedHeader};
use super::super::{BLOCK_BYTES_MAX, SourceBlock};
use crate::error::{Error, Result};
use crate::model::Ommers;
use crate::node::{Answer, Call, Node, ask_one};
use alloy_consensus::Header;
use alloy_consensus::constants::EMPTY_WITHDRAWALS;
use alloy_consensus::proofs::calculate_withdrawals_root;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{B256, Bytes, U256, keccak256};
use alloy_trie::root::ordered_trie_root_with_encoder;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::path::Path;

/// A block has at most so many ommers.
const OMMERS_MAX: usize = 2;

/// A number as JSON-RPC has it.
pub fn quantity(number: u64) -> Value {
    json!(format!("{number:#x}"))
}

/// A result as a value.
pub fn value<T: DeserializeOwned>(node: &dyn Node, call: &Call, json: &RawValue) -> Result<T> {
    serde_json::from_str(json.get()).map_err(|e| {
        let begin: String = json.get().chars().take(60).collect();
        Error::node(node, call, format!("{e}; the answer begins with {begin}"))
    })
}

/// A result that is a number below 2^64.
pub fn u64_in(node: &dyn Node, call: &Call, json: &RawValue) -> Result<u64> {
    let wide: U256 = value(node, call, json)?;
    u64::try_from(wide).map_err(|_| Error::node(node, call, format!("got {wide}, expected a number below 2^64")))
}

/// Asks for a number.
pub fn quantity_of(node: &dyn Node, call: &Call) -> Result<u64> {
    u64_in(node, call, &ask_one(node, call)?.result(node, call)?)
}

/// The call for a block by number.
pub fn block_call(number: u64, is_raw: bool) -> Call {
    match is_raw {
        true => Call::new("debug_getRawBlock", [quantity(number)]),
        false => Call::new("eth_getBlockByNumber", [quantity(number), json!(true)]),
    }
}

/// Asks for a block.
pub fn block_of(node: &dyn Node, number: u64, is_raw: bool) -> Result<SourceBlock> {
    let call = block_call(number, is_raw);
    let answer = ask_one(node, &call)?;
    block_in(node, &call, number, is_raw, answer)
}

/// A block as it was answered: of that number, and with a body that its header names.
pub fn block_in(node: &dyn Node, call: &Call, number: u64, is_raw: bool, answer: Answer) -> Result<SourceBlock> {
    let json = answer.result(node, call)?;
    if json.get() == "null" {
        return Err(Error::node(node, call, "the node has no such block"));
    }
    let mut block = match is_raw {
        true => {
            let bytes: Bytes = value(node, call, &json)?;
            if bytes.len() as u64 > BLOCK_BYTES_MAX {
                let reason = format!("got {} bytes, at most {BLOCK_BYTES_MAX} are read", bytes.len());
                return Err(Error::node(node, call, reason));
            }
            SourceBlock::from_rlp(&bytes).map_err(|reason| Error::node(node, call, reason))?
        }
        false => rpc::block(Path::new(node.name()), json.get().as_bytes()).map_err(|e| of_json(node, call, e))?,
    };
    if block.header.number != number {
        return Err(Error::node(node, call, format!("got block {}, expected {number}", block.header.number)));
    }
    block.number = number;
    if let Ommers::Hashes(hashes) = &block.body.ommers
        && hashes.len() > OMMERS_MAX
    {
        return Err(Error::node(node, call, format!("got {} ommers, a block has at most {OMMERS_MAX}", hashes.len())));
    }
    if let Ommers::Hashes(hashes) = &block.body.ommers
        && let Some(list) = ommers(node, number, hashes)?
    {
        block.body.ommers = Ommers::Headers(list);
    }
    check_body(&block).map_err(|reason| Error::node(node, call, reason))?;
    Ok(block)
}

/// A block must name the one before it.
pub fn check_link(node: &dyn Node, call: &Call, number: u64, got: B256, before: u64, hash: B256) -> Result<()> {
    if got == hash {
        return Ok(());
    }
    let reason = format!(
        "block {number} names {got} as its parent, block {before} has hash {hash}: the chain was reorganised meanwhile, or \
         the node contradicts itself; import again, some blocks behind the head"
    );
    Err(Error::node(node, call, reason))
}

/// A header and, where they are known, its ommers as an RLP list; `None` where the node has no such block.
pub fn header_of(node: &dyn Node, number: u64, is_raw: bool) -> Result<Option<(SealedHeader, Option<Bytes>)>> {
    #[derive(serde::Deserialize)]
    struct Uncles {
        uncles: Option<Vec<B256>>,
    }
    let call = match is_raw {
        true => block_call(number, true),
        false => Call::new("eth_getBlockByNumber", [quantity(number), json!(false)]),
    };
    let answer = ask_one(node, &call)?;
    match &answer {
        Answer::Result(json) if json.get() != "null" => {}
        _ => return Ok(None),
    }
    if is_raw {
        let block = block_in(node, &call, number, true, answer)?;
        let Ommers::Headers(ommers) = block.body.ommers else { return Ok(None) };
        let sealed = SealedHeader { header: *block.header, rlp: block.body.header, hash: block.hash };
        return Ok(Some((sealed, Some(ommers))));
    }
    let uncles: Uncles = value(node, &call, &answer.clone().result(node, &call)?)?;
    let sealed = header_in(node, &call, number, answer)?;
    let ommers = match uncles.uncles {
        Some(hashes) => ommers(node, number, &hashes)?,
        None => None,
    };
    Ok(Some((sealed, ommers)))
}

/// A header by number, without its block.
pub fn header_in(node: &dyn Node, call: &Call, number: u64, answer: Answer) -> Result<SealedHeader> {
    let json = answer.result(node, call)?;
    if json.get() == "null" {
        return Err(Error::node(node, call, "the node has no such block"));
    }
    let sealed = rpc::header(Path::new(node.name()), json.get().as_bytes()).map_err(|e| of_json(node, call, e))?;
    match sealed.header.number == number {
        true => Ok(sealed),
        false => Err(Error::node(node, call, format!("got block {}, expected {number}", sealed.header.number))),
    }
}

/// Malformed JSON of a block, as an answer.
fn of_json(node: &dyn Node, call: &Call, error: Error) -> Error {
    match error {
        Error::Malformed { place, reason, .. } => Error::node(node, call, format!("{place}: {reason}")),
        other => other,
    }
}

/// The ommers' headers as an RLP list, where the node has them: JSON of a block has their hashes only.
fn ommers(node: &dyn Node, number: u64, hashes: &[B256]) -> Result<Option<Bytes>> {
    let calls: Vec<Call> = (0..hashes.len() as u64)
        .map(|i| Call::new("eth_getUncleByBlockNumberAndIndex", [quantity(number), quantity(i)]))
        .collect();
    let mut headers: Vec<Header> = Vec::with_capacity(hashes.len());
    for ((answer, call), hash) in node.ask(&calls)?.into_iter().zip(&calls).zip(hashes) {
        let Answer::Result(json) = answer else { return Ok(None) };
        if json.get() == "null" {
            return Ok(None);
        }
        let sealed = rpc::header(Path::new(node.name()), json.get().as_bytes()).map_err(|e| of_json(node, call, e))?;
        if sealed.hash != *hash {
            return Err(Error::node(node, call, format!("got an ommer with hash {}, expected {hash}", sealed.hash)));
        }
        headers.push(sealed.header);
    }
    Ok(Some(alloy_rlp::encode(&headers).into()))
}

/// The body against the header: what hashes to something else did not come with it.
fn check_body(block: &SourceBlock) -> Result<(), String> {
    let header = &block.header;
    let compare = |what: &str, got: B256, expected: B256| match got == expected {
        true => Ok(()),
        false => Err(format!("{what} hash to {got}, the header says {expected}")),
    };
    let root = ordered_trie_root_with_encoder(&block.transactions, |bytes, out| out.extend_from_slice(bytes));
    compare("the transactions", root, header.transactions_root)?;
    match &block.body.ommers {
        Ommers::Headers(list) => compare("the ommers", keccak256(list), header.ommers_hash)?,
        // Hashes alone say nothing about the header's hash of the list.
        Ommers::Hashes(_) => {}
    }
    match (&block.body.withdrawals, header.withdrawals_root) {
        (Some(list), Some(expected)) => {
            let list: Vec<Withdrawal> = alloy_rlp::decode_exact(list).map_err(|e| format!("withdrawals: {e}"))?;
            let root = if list.is_empty() { EMPTY_WITHDRAWALS } else { calculate_withdrawals_root(&list) };
            compare("the withdrawals", root, expected)
        }
        (None, Some(_)) => Err("withdrawals are missing, the header has their root".into()),
        (Some(_), None) => Err("got withdrawals, the header has no root of any".into()),
        (None, None) => Ok(()),
    }
}

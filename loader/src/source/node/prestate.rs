//! Traces of whole blocks by the prestate tracer: of each transaction what it touched, and what that held before.
//!
//! What is zero or empty may be left out. Not traced: what system transactions touch.
//! Source: go-ethereum `eth/tracers/native/prestate.go`; other clients follow it.

use super::FoundAccount;
use super::answers::{quantity, value};
use crate::error::{Error, Result};
use crate::node::{Answer, Call, Node, PRESTATE_TRACER};
use crate::source::SourceBlock;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

/// An account before a transaction, and the words of its storage that the transaction touched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prestate {
    /// The account.
    pub account: FoundAccount,
    /// Words by slot.
    pub storage: BTreeMap<U256, U256>,
}

/// One map a transaction of a block.
pub type Prestates = Vec<BTreeMap<Address, Prestate>>;

/// The call for a block.
pub(super) fn call(number: u64) -> Call {
    Call::new("debug_traceBlockByNumber", [quantity(number), json!({ "tracer": PRESTATE_TRACER })])
}

/// The traces of a block's transactions, each named by its hash.
pub(super) fn read(node: &dyn Node, call: &Call, block: &SourceBlock, answer: Answer) -> Result<Prestates> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Traced {
        tx_hash: Option<B256>,
        result: Option<BTreeMap<Address, Listed>>,
        error: Option<String>,
    }
    #[derive(Deserialize)]
    struct Listed {
        balance: Option<U256>,
        nonce: Option<U256>,
        code: Option<Bytes>,
        storage: Option<BTreeMap<B256, B256>>,
    }
    let refuse = |reason: String| Error::node(node, call, reason);
    let json = answer.result(node, call)?;
    let traced: Vec<Traced> = value(node, call, &json)?;
    if traced.len() != block.transactions.len() {
        let expected = block.transactions.len();
        return Err(refuse(format!("got traces of {} transactions, the block has {expected}", traced.len())));
    }
    let mut prestates = Vec::with_capacity(traced.len());
    for (i, (traced, bytes)) in traced.into_iter().zip(&block.transactions).enumerate() {
        let hash = keccak256(bytes);
        if traced.tx_hash.is_some_and(|got| got != hash) {
            let got = traced.tx_hash.unwrap_or_default();
            return Err(refuse(format!("transaction {i}: got a trace of {got}, expected {hash}")));
        }
        let Some(listed) = traced.result else {
            let words = traced.error.unwrap_or_else(|| "no result".into());
            return Err(refuse(format!("transaction {i}: {words}")));
        };
        let mut accounts = BTreeMap::new();
        for (addr, listed) in listed {
            let nonce = u64::try_from(listed.nonce.unwrap_or_default())
                .map_err(|_| refuse(format!("transaction {i}: {addr}: a nonce beyond 2^64")))?;
            let code = listed.code.unwrap_or_default();
            let code_hash = if code.is_empty() { KECCAK256_EMPTY } else { keccak256(&code) };
            let balance = listed.balance.unwrap_or_default();
            let is_present = nonce != 0 || !balance.is_zero() || !code.is_empty();
            let account = FoundAccount { is_present, balance, nonce, code_hash, code: Some(code) };
            let words = listed.storage.unwrap_or_default();
            let storage = words.into_iter().map(|(slot, word)| (slot.into(), word.into())).collect();
            accounts.insert(addr, Prestate { account, storage });
        }
        prestates.push(accounts);
    }
    Ok(prestates)
}

//! Blocks as JSON, in the form of `eth_getBlockByNumber` with full transactions, made into bytes again.
//!
//! The header's RLP must hash to `hash`, and each transaction's bytes to its `hash`, where they are given: otherwise
//! the JSON contradicts itself. Nothing else is compared: a wrong transactions root is for validation to find.
//! Quirks: optional fields may be absent or null; no `type` means legacy; numbers may have leading zeros; `gasPrice` of
//! types 2 to 4 is the effective price and no part of the body; `yParity` may be missing beside `v`; `from` is not
//! looked at; an empty list of withdrawals beside a header without root says nothing. Ommers are hashes only.

use super::{SourceBlock, json_error};
use crate::error::{Error, Result};
use crate::model::{BlockBody, INDEX_BOUND, Ommers};
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_eips::{eip2930::AccessList, eip4895::Withdrawal};
use alloy_primitives::{Address, B256, Bytes, U8, U256, keccak256};
use alloy_rlp::{EMPTY_LIST_CODE, EMPTY_STRING_CODE, Encodable};
use serde::Deserialize;
use std::path::Path;

/// What stands beside the header's fields.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    total_difficulty: Option<U256>,
    uncles: Option<Vec<B256>>,
    transactions: Vec<Transaction>,
    withdrawals: Option<Vec<Withdrawal>>,
}

#[derive(Deserialize)]
struct Hash {
    hash: Option<B256>,
}

/// A transaction of any type. Numbers are wide so that a wrong one is encoded as it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Transaction {
    #[serde(rename = "type")]
    kind: Option<U8>,
    hash: Option<B256>,
    chain_id: Option<U256>,
    nonce: U256,
    gas_price: Option<U256>,
    max_priority_fee_per_gas: Option<U256>,
    max_fee_per_gas: Option<U256>,
    max_fee_per_blob_gas: Option<U256>,
    gas: U256,
    to: Option<Address>,
    value: U256,
    #[serde(alias = "data")]
    input: Bytes,
    access_list: Option<AccessList>,
    blob_versioned_hashes: Option<Vec<B256>>,
    authorization_list: Option<Vec<Authorization>>,
    y_parity: Option<U256>,
    v: Option<U256>,
    r: U256,
    s: U256,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorization {
    chain_id: U256,
    address: Address,
    nonce: U256,
    #[serde(alias = "v")]
    y_parity: U256,
    r: U256,
    s: U256,
}

/// A header with its RLP and hash.
#[derive(Clone, Debug)]
pub(super) struct SealedHeader {
    pub header: Header,
    pub rlp: Bytes,
    pub hash: B256,
}

/// The header in a block's or header's JSON.
pub(super) fn header(path: &Path, json: &[u8]) -> Result<SealedHeader> {
    let header: Header = serde_json::from_slice(json).map_err(|e| json_error(path, &e))?;
    let stated: Hash = serde_json::from_slice(json).map_err(|e| json_error(path, &e))?;
    let rlp = Bytes::from(alloy_rlp::encode(&header));
    let hash = keccak256(&rlp);
    match stated.hash {
        Some(stated) if stated != hash => {
            let reason = format!("the fields hash to {hash}, `hash` says {stated}: the JSON contradicts itself");
            Err(Error::malformed(path, format!("header of block {}", header.number), reason))
        }
        _ => Ok(SealedHeader { header, rlp, hash }),
    }
}

/// The block in a block's JSON.
pub(super) fn block(path: &Path, json: &[u8]) -> Result<SourceBlock> {
    let SealedHeader { header, rlp, hash } = header(path, json)?;
    let body: Body = serde_json::from_slice(json).map_err(|e| json_error(path, &e))?;
    let number = header.number;
    let malformed = |what: &str, reason: String| Error::malformed(path, format!("block {number}: {what}"), reason);
    if body.transactions.len() as u64 > INDEX_BOUND - 2 {
        return Err(malformed("transactions", format!("more than {}", INDEX_BOUND - 2)));
    }
    let mut transactions = Vec::with_capacity(body.transactions.len());
    for (index, transaction) in body.transactions.iter().enumerate() {
        let bytes = transaction.bytes().map_err(|reason| malformed(&format!("transaction {index}"), reason))?;
        transactions.push(bytes);
    }
    let ommers = match body.uncles {
        Some(hashes) if !hashes.is_empty() => Ommers::Hashes(hashes),
        None if header.ommers_hash != EMPTY_OMMER_ROOT_HASH => {
            return Err(malformed("uncles", "are missing, and sha3Uncles is not that of an empty list".into()));
        }
        _ => Ommers::Headers(Bytes::from_static(&[EMPTY_LIST_CODE])),
    };
    let withdrawals = match body.withdrawals {
        None if header.withdrawals_root.is_some() => {
            return Err(malformed("withdrawals", "are missing, and the header has a withdrawalsRoot".into()));
        }
        Some(list) if list.is_empty() && header.withdrawals_root.is_none() => None,
        list => list.map(|list| Bytes::from(alloy_rlp::encode(list))),
    };
    Ok(SourceBlock {
        number,
        body: BlockBody { header: rlp, ommers, withdrawals },
        header: Box::new(header),
        hash,
        transactions,
        witness_roots: None,
        total_difficulty: body.total_difficulty,
    })
}

impl Transaction {
    /// EIP-2718 bytes, compared with `hash` where it is given.
    fn bytes(&self) -> Result<Bytes, String> {
        let kind = self.kind.map_or(0, |kind| kind.to::<u8>());
        let mut fields = Vec::with_capacity(self.input.len() + 256);
        match kind {
            0 => self.legacy(&mut fields)?,
            1 => self.with_access_list(&mut fields)?,
            2..=4 => self.with_dynamic_fee(kind, &mut fields)?,
            _ => return Err(format!("type: got {kind:#x}, expected 0x0 to 0x4")),
        }
        let mut bytes = Vec::with_capacity(fields.len() + 10);
        if kind > 0 {
            bytes.push(kind);
        }
        alloy_rlp::Header { list: true, payload_length: fields.len() }.encode(&mut bytes);
        bytes.extend(fields);
        let hash = keccak256(&bytes);
        match self.hash {
            Some(stated) if stated != hash => {
                Err(format!("the fields hash to {hash}, `hash` says {stated}: the JSON contradicts itself"))
            }
            _ => Ok(bytes.into()),
        }
    }

    /// `[nonce, gasPrice, gas, to, value, input, v, r, s]`.
    fn legacy(&self, out: &mut Vec<u8>) -> Result<(), String> {
        self.nonce.encode(out);
        need(&self.gas_price, "gasPrice")?.encode(out);
        self.call(out);
        need(&self.v, "v")?.encode(out);
        self.r.encode(out);
        self.s.encode(out);
        Ok(())
    }

    /// EIP-2930: `[chainId, nonce, gasPrice, gas, to, value, input, accessList, yParity, r, s]`.
    fn with_access_list(&self, out: &mut Vec<u8>) -> Result<(), String> {
        need(&self.chain_id, "chainId")?.encode(out);
        self.nonce.encode(out);
        need(&self.gas_price, "gasPrice")?.encode(out);
        self.call(out);
        self.access_list.as_ref().unwrap_or(&AccessList::default()).encode(out);
        self.signature(out)
    }

    /// EIP-1559: `[chainId, nonce, maxPriorityFeePerGas, maxFeePerGas, gas, to, value, input, accessList, …, yParity,
    /// r, s]`;
    /// before the signature, EIP-4844 has `maxFeePerBlobGas, blobVersionedHashes` and EIP-7702 `authorizationList`.
    fn with_dynamic_fee(&self, kind: u8, out: &mut Vec<u8>) -> Result<(), String> {
        need(&self.chain_id, "chainId")?.encode(out);
        self.nonce.encode(out);
        need(&self.max_priority_fee_per_gas, "maxPriorityFeePerGas")?.encode(out);
        need(&self.max_fee_per_gas, "maxFeePerGas")?.encode(out);
        self.call(out);
        self.access_list.as_ref().unwrap_or(&AccessList::default()).encode(out);
        if kind == 3 {
            need(&self.max_fee_per_blob_gas, "maxFeePerBlobGas")?.encode(out);
            need(&self.blob_versioned_hashes, "blobVersionedHashes")?.encode(out);
        }
        if kind == 4 {
            let mut list = Vec::new();
            for tuple in need(&self.authorization_list, "authorizationList")? {
                tuple.encode(&mut list);
            }
            alloy_rlp::Header { list: true, payload_length: list.len() }.encode(out);
            out.extend(list);
        }
        self.signature(out)
    }

    /// `gas, to, value, input`.
    fn call(&self, out: &mut Vec<u8>) {
        self.gas.encode(out);
        match &self.to {
            Some(to) => to.encode(out),
            None => out.push(EMPTY_STRING_CODE),
        }
        self.value.encode(out);
        self.input.encode(out);
    }

    /// `yParity, r, s`.
    fn signature(&self, out: &mut Vec<u8>) -> Result<(), String> {
        need(&self.y_parity.or(self.v), "yParity")?.encode(out);
        self.r.encode(out);
        self.s.encode(out);
        Ok(())
    }
}

impl Authorization {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut fields = Vec::with_capacity(128);
        self.chain_id.encode(&mut fields);
        self.address.encode(&mut fields);
        self.nonce.encode(&mut fields);
        self.y_parity.encode(&mut fields);
        self.r.encode(&mut fields);
        self.s.encode(&mut fields);
        alloy_rlp::Header { list: true, payload_length: fields.len() }.encode(out);
        out.extend(fields);
    }
}

fn need<'a, T>(field: &'a Option<T>, name: &str) -> Result<&'a T, String> {
    field.as_ref().ok_or_else(|| format!("{name} is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{
        Signed, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxEnvelope, TxLegacy, transaction::SignableTransaction,
    };
    use alloy_eips::eip2718::Encodable2718;
    use alloy_eips::eip2930::AccessListItem;
    use alloy_eips::eip7702::{Authorization as Tuple, SignedAuthorization};
    use alloy_primitives::{Signature, TxKind};
    use serde_json::{Value, json};

    fn sign<T: SignableTransaction<Signature>>(transaction: T) -> Signed<T> {
        transaction.into_signed(Signature::new(U256::from(5), U256::MAX, true))
    }

    /// One transaction of each type, with every field used.
    fn envelopes() -> Vec<TxEnvelope> {
        let to = Address::repeat_byte(9);
        let item = AccessListItem { address: to, storage_keys: vec![B256::ZERO, B256::repeat_byte(2)] };
        let access_list = AccessList(vec![item]);
        let tuple = Tuple { chain_id: U256::from(3), address: to, nonce: 77 };
        let authorization_list = vec![SignedAuthorization::new_unchecked(tuple, 1, U256::from(2), U256::from(3))];
        let input = Bytes::from_static(&[1, 2, 3]);
        let (value, access) = (U256::from(1) << 70, access_list);
        vec![
            sign(TxLegacy {
                chain_id: None,
                nonce: 0,
                gas_price: 3,
                gas_limit: 4,
                to: TxKind::Create,
                value,
                input: input.clone(),
            })
            .into(),
            sign(TxLegacy { chain_id: Some(1), nonce: 1, to: to.into(), ..TxLegacy::default() }).into(),
            sign(TxEip2930 {
                chain_id: 1,
                nonce: 2,
                gas_price: 9,
                access_list: access.clone(),
                ..TxEip2930::default()
            })
            .into(),
            sign(TxEip1559 {
                chain_id: 1,
                max_fee_per_gas: 9,
                max_priority_fee_per_gas: 8,
                to: to.into(),
                input: input.clone(),
                ..TxEip1559::default()
            })
            .into(),
            sign(TxEip4844 {
                chain_id: 1,
                to,
                access_list: access.clone(),
                blob_versioned_hashes: vec![B256::repeat_byte(1)],
                max_fee_per_blob_gas: 1 << 40,
                ..TxEip4844::default()
            })
            .into(),
            sign(TxEip7702 {
                chain_id: 1,
                to,
                value,
                access_list: access,
                authorization_list,
                input,
                ..TxEip7702::default()
            })
            .into(),
        ]
    }

    fn bytes_of(json: Value) -> Result<Bytes, String> {
        serde_json::from_value::<Transaction>(json).map_err(|e| e.to_string())?.bytes()
    }

    #[test]
    fn every_type_is_encoded_as_alloy_does() {
        for envelope in envelopes() {
            let mut json = serde_json::to_value(&envelope).expect("serializes");
            let expected = envelope.encoded_2718();
            assert_eq!(bytes_of(json.clone()), Ok(expected.into()), "{json}");
            json["type"] = if json["type"] == "0x0" { Value::Null } else { json["type"].clone() };
            json["gas"] = json!(format!("0x00{:x}", 0x77));
            assert!(bytes_of(json).expect_err("another gas limit").contains("contradicts itself"));
        }
    }

    #[test]
    fn parity_may_stand_in_v_alone() {
        for envelope in envelopes().into_iter().skip(2) {
            let mut json = serde_json::to_value(&envelope).expect("serializes");
            let fields = json.as_object_mut().expect("an object");
            fields.remove("yParity");
            fields.insert("v".into(), json!("0x01"));
            assert_eq!(bytes_of(json), Ok(envelope.encoded_2718().into()));
        }
    }

    #[test]
    fn missing_and_unknown_is_named() {
        let whole = serde_json::to_value(&envelopes()[4]).expect("serializes");
        for field in ["chainId", "maxFeePerGas", "maxPriorityFeePerGas", "maxFeePerBlobGas", "blobVersionedHashes"] {
            let mut json = whole.clone();
            json[field] = Value::Null;
            assert_eq!(bytes_of(json), Err(format!("{field} is missing")));
        }
        let mut json = whole.clone();
        json["type"] = json!("0x5");
        assert_eq!(bytes_of(json), Err("type: got 0x5, expected 0x0 to 0x4".into()));
        let mut json = whole;
        json.as_object_mut().expect("an object").remove("nonce");
        assert!(bytes_of(json).expect_err("no nonce").contains("missing field `nonce`"));
    }

    fn block_json() -> Value {
        let header = Header { number: 7, ..Header::default() };
        let mut json = serde_json::to_value(&header).expect("serializes");
        json["hash"] = json!(header.hash_slow());
        json["transactions"] = json!([]);
        json["uncles"] = json!([]);
        json["requestsHash"] = Value::Null;
        json
    }

    fn read(json: &Value) -> Result<SourceBlock> {
        block(Path::new("block.json"), json.to_string().as_bytes())
    }

    #[test]
    fn a_block_is_read_and_contradictions_are_named() {
        let block = read(&block_json()).expect("well-formed");
        assert_eq!((block.number, block.hash), (7, block.header.hash_slow()));
        assert_eq!(block.body.withdrawals, None);
        let mut json = block_json();
        json["withdrawals"] = json!([]);
        json["uncles"] = json!([B256::repeat_byte(1)]);
        json["totalDifficulty"] = json!("0x11");
        let block = read(&json).expect("well-formed");
        assert_eq!(block.body.withdrawals, None);
        assert_eq!(block.body.ommers, Ommers::Hashes(vec![B256::repeat_byte(1)]));
        assert_eq!(block.total_difficulty, Some(U256::from(17)));

        type Change<'a> = (&'a dyn Fn(&mut Value), &'a str);
        let cases: [Change<'_>; 6] = [
            (&|j| j["gasUsed"] = json!("0x1"), "header of block 7: the fields hash to"),
            (&|j| j["miner"] = Value::Null, "line 1 column"),
            (&|j| j["transactions"] = json!([B256::ZERO]), "line 1 column"),
            (
                &|j| {
                    j["transactions"] = json!([{"type": "0x9", "nonce": "0x0", "gas": "0x0", "value": "0x0", "input": "0x",
                "r": "0x0", "s": "0x0"}])
                },
                "transaction 0: type: got 0x9",
            ),
            (
                &|j| {
                    j["withdrawalsRoot"] = json!(B256::ZERO);
                    j["hash"] = Value::Null;
                },
                "block 7: withdrawals: are missing",
            ),
            (
                &|j| {
                    j["uncles"] = Value::Null;
                    j["sha3Uncles"] = json!(B256::ZERO);
                    j["hash"] = Value::Null;
                },
                "uncles",
            ),
        ];
        for (change, words) in cases {
            let mut json = block_json();
            change(&mut json);
            let reason = read(&json).expect_err(words).to_string();
            assert!(reason.contains(words), "{words}: {reason}");
        }
    }

    #[test]
    fn every_truncation_is_refused() {
        let text = block_json().to_string();
        for length in 0..text.len() {
            assert!(block(Path::new("block.json"), &text.as_bytes()[..length]).is_err(), "{length} bytes");
        }
    }
}

//! A block's RLP, cut into header, transactions, ommers and withdrawals without copying: all parts share the block's
//! buffer.
//!
//! Checked: canonical RLP of everything down to the fields of headers and withdrawals; a block is a list of three or
//! four lists and nothing after them. Not looked into: transactions, beyond being a list or a string that begins with a
//! type below 0x80 (EIP-2718).
//! Errors are sentences with the byte in the block; the caller adds file and offset.

use super::SourceBlock;
use crate::model::{BlockBody, INDEX_BOUND, Ommers};
use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{B256, Bytes, hex, keccak256};
use alloy_rlp::Decodable;

/// An RLP item in a buffer.
#[derive(Clone, Copy)]
pub(super) struct Item {
    /// Whether it is a list.
    pub list: bool,
    /// First byte.
    pub start: usize,
    /// First byte of the payload.
    pub payload: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Item {
    /// The item that starts at `start` and ends at or before `end`.
    pub fn at(bytes: &[u8], start: usize, end: usize) -> Result<Self, String> {
        let mut rest = &bytes[start..end];
        let before = rest.len();
        let header = alloy_rlp::Header::decode(&mut rest).map_err(|e| format!("byte {start}: {e}"))?;
        let payload = start + (before - rest.len());
        // `decode` has checked that the payload is there.
        Ok(Self { list: header.list, start, payload, end: payload + header.payload_length })
    }

    /// The item that is the whole of `bytes` and a list.
    pub fn whole_list(bytes: &[u8], name: &str) -> Result<Self, String> {
        let item = Self::at(bytes, 0, bytes.len())?;
        if !item.list {
            return Err(format!("{name}: got a string, expected a list"));
        }
        if item.end != bytes.len() {
            return Err(format!("{name}: {} trailing bytes at byte {}", bytes.len() - item.end, item.end));
        }
        Ok(item)
    }

    /// The items in this list.
    pub fn items<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = Result<Item, String>> + use<'a> {
        let (mut at, end) = (self.payload, self.end);
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let item = Self::at(bytes, at, end);
            // After an error, nothing more.
            at = item.as_ref().map_or(end, |item| item.end);
            Some(item)
        })
    }

    /// The items in this list, which must be `min` to `max` lists called `names`.
    fn lists(&self, bytes: &[u8], names: &[&str], min: usize) -> Result<Vec<Item>, String> {
        let mut items = Vec::with_capacity(names.len());
        for item in self.items(bytes) {
            let item = item?;
            let Some(name) = names.get(items.len()) else {
                return Err(format!("byte {}: an item after {}", item.start, names[names.len() - 1]));
            };
            if !item.list {
                return Err(format!("byte {}: {name}: got a string, expected a list", item.start));
            }
            items.push(item);
        }
        if items.len() < min {
            return Err(format!("byte {}: {}: is missing", self.end, names[items.len()]));
        }
        Ok(items)
    }

    fn bytes(&self, buffer: &Bytes) -> Bytes {
        buffer.slice(self.start..self.end)
    }
}

/// A block `[header, transactions, ommers, withdrawals?]`; its number is the header's until the caller sets that of the
/// position.
pub(super) fn block(bytes: &Bytes) -> Result<SourceBlock, String> {
    let parts =
        Item::whole_list(bytes, "block")?.lists(bytes, &["header", "transactions", "ommers", "withdrawals"], 3)?;
    assemble(&parts[0].bytes(bytes), bytes, &parts[1..])
}

/// A header and, in another buffer, a body `[transactions, ommers, withdrawals?]`.
pub(super) fn header_and_body(header: &Bytes, body: &Bytes) -> Result<SourceBlock, String> {
    let parts = Item::whole_list(body, "body")?.lists(body, &["transactions", "ommers", "withdrawals"], 2)?;
    assemble(header, body, &parts)
}

fn assemble(header_rlp: &Bytes, body: &Bytes, parts: &[Item]) -> Result<SourceBlock, String> {
    let header: Header = decode_exact(header_rlp, "header")?;
    let ommers = parts[1].bytes(body);
    let _: Vec<Header> = decode_exact(&ommers, "ommers")?;
    let withdrawals = parts.get(2).map(|item| item.bytes(body));
    if let Some(withdrawals) = &withdrawals {
        let _: Vec<Withdrawal> = decode_exact(withdrawals, "withdrawals")?;
    }
    Ok(SourceBlock {
        number: header.number,
        body: BlockBody { header: header_rlp.clone(), ommers: Ommers::Headers(ommers), withdrawals },
        hash: keccak256(header_rlp),
        header: Box::new(header),
        transactions: transactions(body, &parts[0])?,
        witness_roots: None,
        total_difficulty: None,
    })
}

/// A value that is the whole of `bytes`.
pub(super) fn decode_exact<T: Decodable>(bytes: &[u8], name: &str) -> Result<T, String> {
    let mut rest = bytes;
    let value = T::decode(&mut rest).map_err(|e| format!("{name}: {e}"))?;
    if rest.is_empty() { Ok(value) } else { Err(format!("{name}: {} trailing bytes", rest.len())) }
}

fn transactions(buffer: &Bytes, list: &Item) -> Result<Vec<Bytes>, String> {
    let mut transactions = Vec::new();
    for item in list.items(buffer) {
        let item = item?;
        let index = transactions.len();
        // Index 0 and index n+1 of a block belong to its system transactions.
        if index as u64 >= INDEX_BOUND - 2 {
            return Err(format!("byte {}: more than {} transactions", item.start, INDEX_BOUND - 2));
        }
        if item.list {
            transactions.push(item.bytes(buffer));
            continue;
        }
        let bytes = buffer.slice(item.payload..item.end);
        match bytes.first() {
            None => return Err(format!("byte {}: transaction {index} is empty", item.start)),
            // A list inside a string would have the hash of a legacy transaction, which stands in a block as it is.
            Some(first) if *first >= 0x80 => {
                return Err(format!(
                    "byte {}: transaction {index}: got type {first:#04x}, expected below 0x80",
                    item.start
                ));
            }
            Some(_) => transactions.push(bytes),
        }
    }
    Ok(transactions)
}

/// Post-state roots out of a list of receipts; `None` if they carry a status. One receipt for each of `expected`
/// transactions.
pub(super) fn witness_roots(bytes: &[u8], expected: usize) -> Result<Option<Vec<B256>>, String> {
    roots_or_statuses(bytes, expected, |receipt, index| {
        if !receipt.list {
            // A typed receipt: Berlin and later.
            return Ok(None);
        }
        receipt.items(bytes).next().ok_or_else(|| format!("receipt {index} is empty"))?.map(Some)
    })
}

/// The same of slim receipts, `[type, post-state or status, cumulative gas, logs]`.
pub(super) fn slim_witness_roots(bytes: &[u8], expected: usize) -> Result<Option<Vec<B256>>, String> {
    roots_or_statuses(bytes, expected, |receipt, index| {
        if !receipt.list {
            return Err(format!("receipt {index}: got a string, expected a list"));
        }
        let items = receipt.items(bytes).collect::<Result<Vec<_>, _>>()?;
        match items.as_slice() {
            [kind, status, gas, logs] if !kind.list && !gas.list && logs.list => {
                // One byte below 0x80, and 0 as an integer, which is of none.
                match &bytes[kind.payload..kind.end] {
                    [] | [1..0x80] => Ok(Some(*status)),
                    other => Err(format!("receipt {index}: got type {}, expected below 0x80", hex::encode(other))),
                }
            }
            _ => Err(format!("receipt {index}: got {} items, expected type, status, gas and logs", items.len())),
        }
    })
}

/// Roots out of a list of receipts; `status` finds the item of a receipt that is a root or a status, `None` if it can
/// be no root.
fn roots_or_statuses(
    bytes: &[u8],
    expected: usize,
    status: impl Fn(Item, usize) -> Result<Option<Item>, String>,
) -> Result<Option<Vec<B256>>, String> {
    let mut roots = Vec::with_capacity(expected);
    let mut statuses = 0_usize;
    for receipt in Item::whole_list(bytes, "receipts")?.items(bytes) {
        let index = roots.len() + statuses;
        let Some(item) = status(receipt?, index)? else {
            statuses += 1;
            continue;
        };
        match (item.list, &bytes[item.payload..item.end]) {
            (false, root) if root.len() == 32 => roots.push(B256::from_slice(root)),
            (false, [] | [1]) => statuses += 1,
            (_, other) => {
                return Err(format!("receipt {index}: got {} bytes, expected a root or a status", other.len()));
            }
        }
    }
    if roots.len() + statuses != expected {
        return Err(format!("got {} receipts, expected {expected} as transactions", roots.len() + statuses));
    }
    match (roots.is_empty(), statuses) {
        (_, 0) => Ok(Some(roots)),
        (true, _) => Ok(None),
        (false, _) => Err(format!("{} receipts carry a root and {statuses} a status", roots.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_rlp::Encodable;

    /// A list of items that are RLP already.
    fn list(items: &[&[u8]]) -> Vec<u8> {
        let payload = items.concat();
        let mut out = Vec::new();
        alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
        out.extend(payload);
        out
    }

    fn string(bytes: &[u8]) -> Vec<u8> {
        alloy_rlp::encode(bytes)
    }

    fn header() -> Vec<u8> {
        alloy_rlp::encode(Header { number: 7, ..Header::default() })
    }

    fn sample() -> Vec<u8> {
        let legacy = list(&[&[1], &[2]]);
        let typed = string(&[2, 0xc0]);
        let withdrawals = alloy_rlp::encode(vec![Withdrawal { index: 1, ..Withdrawal::default() }]);
        list(&[&header(), &list(&[&legacy, &typed]), &list(&[&header()]), &withdrawals])
    }

    #[test]
    fn a_block_is_cut_as_it_is_stored() {
        let block = block(&sample().into()).expect("well-formed");
        assert_eq!(block.number, 7);
        assert_eq!(block.body.header.as_ref(), header());
        assert_eq!(block.hash, block.header.hash_slow());
        assert_eq!(block.transactions, [Bytes::from_static(&[0xc2, 1, 2]), Bytes::from_static(&[2, 0xc0])]);
        assert_eq!(block.body.ommers, Ommers::Headers(list(&[&header()]).into()));
        assert!(block.body.withdrawals.is_some());
    }

    #[test]
    fn what_is_no_block_is_refused() {
        let empty = [0xc0];
        let mut wrong_header = Header::default().ommers_hash.to_vec();
        wrong_header.insert(0, 0xa0);
        let cases: [(Vec<u8>, &str); 12] = [
            (vec![], "too short"),
            (vec![0x80], "got a string, expected a list"),
            (list(&[]), "header: is missing"),
            (list(&[&header(), &empty]), "ommers: is missing"),
            (list(&[&header(), &[0x80], &empty]), "transactions: got a string"),
            (list(&[&header(), &empty, &empty, &empty, &empty]), "an item after withdrawals"),
            (list(&[&list(&[&wrong_header]), &empty, &empty]), "header: "),
            (list(&[&header(), &list(&[&[0x80]]), &empty]), "transaction 0 is empty"),
            (list(&[&header(), &list(&[&string(&[0xc1, 1])]), &empty]), "transaction 0: got type 0xc1"),
            (list(&[&header(), &empty, &list(&[&[0x01]])]), "ommers: "),
            (list(&[&header(), &empty, &empty, &list(&[&[0xc0]])]), "withdrawals: "),
            ([sample(), vec![0]].concat(), "1 trailing bytes"),
        ];
        for (bytes, words) in cases {
            let reason = block(&bytes.into()).expect_err(words);
            assert!(reason.contains(words), "{words}: {reason}");
        }
    }

    #[test]
    fn every_truncation_and_every_changed_byte_is_an_answer() {
        let whole = sample();
        for length in 0..whole.len() {
            assert!(block(&Bytes::copy_from_slice(&whole[..length])).is_err(), "{length} bytes");
        }
        for at in 0..whole.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                // Refused, or read as another block; never a panic.
                let _: Result<SourceBlock, String> = block(&bytes.into());
            }
        }
    }

    #[test]
    fn lengths_beyond_the_buffer_are_refused() {
        for bytes in [&[0xfb, 0xff, 0xff, 0xff, 0xff][..], &[0xff; 9], &[0xf8], &[0xf8, 0x37], &[0xf9, 0x00, 0x40]] {
            assert!(block(&Bytes::copy_from_slice(bytes)).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn roots_come_from_receipts_that_have_them() {
        let root = list(&[&string(&[7; 32]), &[1]]);
        let status = list(&[&[1], &[1]]);
        assert_eq!(witness_roots(&list(&[&root, &root]), 2), Ok(Some(vec![B256::repeat_byte(7); 2])));
        assert_eq!(witness_roots(&list(&[&status, &string(&[2, 0xc0])]), 2), Ok(None));
        assert_eq!(witness_roots(&[0xc0], 0), Ok(Some(vec![])));
        for (bytes, expected) in [
            (list(&[&root, &status]), 2),
            (list(&[&root]), 2),
            (list(&[&list(&[])]), 1),
            (list(&[&list(&[&[2]])]), 1),
            (list(&[&list(&[&string(&[7; 31])])]), 1),
            (vec![0x80], 0),
        ] {
            assert!(witness_roots(&bytes, expected).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn slim_receipts_are_read_like_full_ones() {
        let root = |kind: &[u8]| list(&[kind, &string(&[7; 32]), &[1], &[0xc0]]);
        let status = |kind: &[u8]| list(&[kind, &[1], &[1], &list(&[&list(&[])])]);
        let (legacy, blob) = ([0x80], [3]);
        assert_eq!(
            slim_witness_roots(&list(&[&root(&legacy), &root(&legacy)]), 2),
            Ok(Some(vec![B256::repeat_byte(7); 2]))
        );
        assert_eq!(slim_witness_roots(&list(&[&status(&legacy), &status(&blob)]), 2), Ok(None));
        assert_eq!(slim_witness_roots(&[0xc0], 0), Ok(Some(vec![])));
        for (bytes, words) in [
            (list(&[&root(&legacy), &status(&legacy)]), "1 receipts carry a root and 1 a status"),
            (list(&[&root(&legacy)]), "got 1 receipts, expected 2"),
            (list(&[&string(&[2, 0xc0])]), "receipt 0: got a string"),
            (list(&[&list(&[&string(&[7; 32]), &[1], &[0xc0]])]), "receipt 0: got 3 items"),
            (list(&[&list(&[&[0x80], &[1], &[1], &[1]])]), "receipt 0: got 4 items"),
            (list(&[&root(&[0]), &root(&[0])]), "receipt 0: got type 00"),
            (list(&[&root(&[0x81, 0x80])]), "receipt 0: got type 80"),
            (list(&[&list(&[&[0x80], &[2], &[1], &[0xc0]])]), "receipt 0: got 1 bytes, expected a root or a status"),
        ] {
            let reason = slim_witness_roots(&bytes, 2).expect_err(words);
            assert!(reason.contains(words), "{words}: {reason}");
        }
    }

    #[test]
    fn an_ommer_that_is_no_header_is_refused() {
        let mut out = Vec::new();
        7_u64.encode(&mut out);
        let ommers = list(&[&list(&[&out])]);
        let bytes = list(&[&header(), &[0xc0], &ommers]);
        assert!(block(&bytes.into()).expect_err("no header").starts_with("ommers"));
    }
}

//! Writes e2store files after their specifications, for tests: shares no line with what reads them.

use alloy_primitives::{B256, Bytes, U256, keccak256};
use manaflow_loader::model::Ommers;
use manaflow_loader::source::SourceBlock;
use sha2::{Digest, Sha256};
use std::io::Write;

/// A list of items that are RLP already.
pub fn list(items: &[&[u8]]) -> Vec<u8> {
    let payload = items.concat();
    let mut out = Vec::new();
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend(payload);
    out
}

/// An entry of an e2store file.
pub fn entry(kind: u16, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("small");
    [&kind.to_le_bytes()[..], &length.to_le_bytes(), &[0, 0], data].concat()
}

/// Framed snappy.
pub fn pack(data: &[u8]) -> Vec<u8> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(data).expect("to memory");
    encoder.into_inner().expect("to memory")
}

/// `hash_tree_root` of `List[HeaderRecord, 8192]`, with all 8,192 leaves there.
pub fn accumulator(records: &[(B256, U256)]) -> B256 {
    let hash = |left: &[u8], right: &[u8]| B256::from_slice(&Sha256::digest([left, right].concat()));
    let mut level = vec![B256::ZERO; 8192];
    for (leaf, (block, difficulty)) in level.iter_mut().zip(records) {
        *leaf = hash(block.as_slice(), &difficulty.to_le_bytes::<32>());
    }
    while level.len() > 1 {
        level = level.chunks(2).map(|two| hash(two[0].as_slice(), two[1].as_slice())).collect();
    }
    hash(level[0].as_slice(), &U256::from(records.len()).to_le_bytes::<32>())
}

/// Makes a block's receipts.
pub type Receipts<'a> = &'a dyn Fn(&SourceBlock) -> Vec<u8>;

/// An ere file in parts, which tests may change before they are put together.
#[derive(Clone)]
pub struct Ere {
    pub first: u64,
    /// Type and entries, block by block, in the order of the index's columns.
    pub groups: Vec<(u16, Vec<Vec<u8>>)>,
    /// Entries between the blocks' and the index: the accumulator, if there is one.
    pub others: Vec<u8>,
    /// Whether a block's entries stand together, rather than all of one type.
    pub is_interleaved: bool,
}

impl Ere {
    /// Of blocks in a row; `before` is the total difficulty before the first of them.
    pub fn new(blocks: &[SourceBlock], before: U256, receipts: Option<Receipts<'_>>) -> Self {
        let column = |kind, of: &dyn Fn(&SourceBlock) -> Vec<u8>| {
            (kind, blocks.iter().map(|block| entry(kind, &pack(&of(block)))).collect::<Vec<_>>())
        };
        let mut groups = vec![column(0x03, &|block| block.body.header.to_vec()), column(0x04, &body)];
        if let Some(receipts) = receipts {
            groups.push(column(0x0a, receipts));
        }
        let mut others = Vec::new();
        if !blocks[0].header.difficulty.is_zero() {
            let (mut total, mut records, mut totals) = (before, Vec::new(), Vec::new());
            for block in blocks {
                // Zero after the merge: the last total is repeated, and the block is no record.
                total += block.header.difficulty;
                totals.push(entry(0x06, &total.to_le_bytes::<32>()));
                if !block.header.difficulty.is_zero() {
                    records.push((block.hash, total));
                }
            }
            groups.push((0x06, totals));
            others = entry(0x07, accumulator(&records).as_slice());
        }
        Self { first: blocks[0].number, groups, others, is_interleaved: false }
    }

    /// Adds a proof for each block, the last column.
    pub fn add_proofs(&mut self) {
        let count = self.groups[0].1.len();
        self.groups.push((0x0b, vec![entry(0x0b, &pack(&list(&[&[0x80], &alloy_rlp::encode(B256::ZERO)]))); count]));
    }

    pub fn file(&self) -> Vec<u8> {
        self.file_with(|_| ())
    }

    /// The file with the words of its index changed.
    pub fn file_with(&self, change: impl FnOnce(&mut Vec<i64>)) -> Vec<u8> {
        let mut file = entry(0x3265, &[]);
        let count = self.groups[0].1.len();
        let mut starts = vec![vec![0; count]; self.groups.len()];
        let mut append = |column: usize, row: usize| {
            if let Some(bytes) = self.groups[column].1.get(row) {
                if row < count {
                    starts[column][row] = file.len() as i64;
                }
                file.extend(bytes);
            }
        };
        let rows = self.groups.iter().map(|(_, entries)| entries.len()).max().unwrap_or_default();
        if self.is_interleaved {
            (0..rows).for_each(|row| (0..self.groups.len()).for_each(|column| append(column, row)));
        } else {
            (0..self.groups.len()).for_each(|column| (0..rows).for_each(|row| append(column, row)));
        }
        file.extend(&self.others);
        let index = file.len() as i64;
        let mut words = vec![self.first as i64];
        for row in 0..count {
            words.extend(starts.iter().map(|starts| starts[row] - index));
        }
        words.extend([self.groups.len() as i64, count as i64]);
        change(&mut words);
        file.extend(entry(0x3267, &words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>()));
        file
    }
}

/// `[transactions, ommers, withdrawals?]` as it is in an execution block.
fn body(block: &SourceBlock) -> Vec<u8> {
    let transactions: Vec<Vec<u8>> = block
        .transactions
        .iter()
        .map(|bytes| if bytes[0] < 0x80 { alloy_rlp::encode(bytes) } else { bytes.to_vec() })
        .collect();
    let transactions = list(&transactions.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let Ommers::Headers(ommers) = &block.body.ommers else { panic!("ommers without headers") };
    assert_eq!(keccak256(ommers), block.header.ommers_hash);
    let withdrawals: Option<&Bytes> = block.body.withdrawals.as_ref();
    let mut parts: Vec<&[u8]> = vec![&transactions, ommers];
    parts.extend(withdrawals.map(|rlp| rlp.as_ref()));
    list(&parts)
}

/// Slim receipts of a block: `[type, status, cumulative gas, logs]`, made up but for the types.
pub fn statuses(block: &SourceBlock) -> Vec<u8> {
    let receipt = |bytes: &Bytes| {
        let kind = if bytes[0] < 0x80 { bytes[0] } else { 0 };
        list(&[&alloy_rlp::encode(kind), &[1], &[0x82, 0x52, 0x08], &[0xc0]])
    };
    let receipts: Vec<_> = block.transactions.iter().map(receipt).collect();
    list(&receipts.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

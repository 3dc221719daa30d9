//! Blocks decoded, and the signers of many of them recovered together.

use super::{ImportError, Options};
use crate::reason::Reason;
use crate::solo::next_nonces::NextNonces;
use crate::solo::record::{BlockInput, SignedTransaction};
use crate::solo::signature::{Recovered, SignatureHints, recover_all, recover_all_with_hints};
use crate::solo::transaction::{self, Envelope};
use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::Bytes;
use alloy_rlp::Decodable;
use manaflow_loader::model::Ommers;
use manaflow_loader::source::SourceBlock;
use rayon::prelude::*;

/// Blocks that are decoded at a time, at first and at most. The first batches are small: nobody's key is known yet, and
/// whoever executes waits.
const BATCH_BLOCKS: [usize; 2] = [32, 512];
/// Transactions after which a batch is full, for each of so many blocks.
const BLOCK_TRANSACTIONS: usize = 8;

/// Takes the blocks of a chain by batches, in order.
pub(super) struct Batches<'a> {
    name: &'a str,
    options: Options,
    next: NextNonces,
    blocks: usize,
}

impl<'a> Batches<'a> {
    /// `is_whole`: the first block is the first of the chain.
    pub(super) fn new(name: &'a str, options: Options, is_whole: bool) -> Self {
        Self { name, options, next: NextNonces::new(is_whole), blocks: BATCH_BLOCKS[0] }
    }

    /// The next blocks, prepared; none at the end. No block waits for others that are not there yet.
    pub(super) fn next(
        &mut self,
        blocks: &mut impl Iterator<Item = manaflow_loader::Result<SourceBlock>>,
        is_ready: impl Fn() -> bool,
    ) -> Result<Vec<(u64, BlockInput)>, ImportError> {
        let mut batch = Vec::with_capacity(self.blocks);
        let mut room = self.blocks * BLOCK_TRANSACTIONS;
        while batch.is_empty() || (batch.len() < self.blocks && room > 0 && is_ready()) {
            let Some(block) = blocks.next().transpose()? else { break };
            room = room.saturating_sub(block.transactions.len());
            batch.push(block);
        }
        self.blocks = BATCH_BLOCKS[1].min(2 * self.blocks);
        let numbers: Vec<u64> = batch.iter().map(|block| block.number).collect();
        let prepared = prepare_all(batch, self.name, self.options, Some(&mut self.next))?;
        Ok(numbers.into_iter().zip(prepared).collect())
    }
}

/// Decodes a block and recovers its signers, by libsecp256k1.
pub fn prepare(block: SourceBlock, name: &str) -> Result<BlockInput, ImportError> {
    let options = Options { hints: false, ..Options::default() };
    Ok(prepare_all(vec![block], name, options, None)?.pop().expect("one a block"))
}

/// Decodes blocks and recovers the signers of all of them together; `next` if they follow each other from the first of a chain on.
pub(super) fn prepare_all(
    blocks: Vec<SourceBlock>,
    name: &str,
    options: Options,
    next: Option<&mut NextNonces>,
) -> Result<Vec<BlockInput>, ImportError> {
    // Of several faults the first of the chain is told, whichever is found first.
    let decoded: Vec<_> = blocks.into_par_iter().map(|block| decode_block(block, name)).collect();
    let decoded = decoded.into_iter().collect::<Result<Vec<Decoded>, ImportError>>()?;
    let envelopes: Vec<&Envelope> =
        decoded.iter().flat_map(|(_, list)| list.iter().filter_map(|(_, tx)| tx.as_ref())).collect();
    let backend = options.backends.signatures;
    let without = |recovered: Recovered| (recovered, SignatureHints::default());
    let recovered: Vec<_> = match (options.hints, next) {
        (true, next) => recover_all_with_hints(&envelopes, backend, next),
        (false, None) => recover_all(&envelopes, backend).into_iter().map(without).collect(),
        (false, next) => {
            recover_all_with_hints(&envelopes, backend, next).into_iter().map(|(r, _)| without(r)).collect()
        }
    };
    let mut recovered = recovered.into_iter();
    let sign = |(mut input, list): Decoded| {
        let sign = |(bytes, tx)| match tx {
            Some(tx) => SignedTransaction::new(bytes, tx, recovered.next().expect("one a transaction")),
            None => SignedTransaction::unpayable(bytes),
        };
        input.transactions = list.into_iter().map(sign).collect();
        input
    };
    Ok(decoded.into_iter().map(sign).collect())
}

/// A block without its transactions, and these beside it: bytes, and `None` where they ask for a price that nobody can pay.
type Decoded = (BlockInput, Vec<(Bytes, Option<Envelope>)>);

fn decode_block(block: SourceBlock, name: &str) -> Result<Decoded, ImportError> {
    let number = block.number;
    let bad =
        |part: String, reason: String| ImportError::Decode { source_name: name.into(), block: number, part, reason };
    let ommers = match &block.body.ommers {
        Ommers::Headers(list) => Some(decode::<Vec<Header>>(list).map_err(|e| bad("ommers".into(), e))?),
        Ommers::Hashes(_) => None,
    };
    let withdrawals = match &block.body.withdrawals {
        Some(list) => decode::<Vec<Withdrawal>>(list).map_err(|e| bad("withdrawals".into(), e))?,
        None => Vec::new(),
    };
    let transactions = block
        .transactions
        .into_par_iter()
        .enumerate()
        .map(|(i, bytes)| match transaction::decode(&bytes) {
            Ok(envelope) => Ok((bytes, Some(envelope))),
            Err(e) if e.reason == Reason::PaymentOverflow => Ok((bytes, None)),
            Err(e) => Err(bad(format!("transaction {}", i + 1), e.why)),
        })
        .collect::<Vec<_>>();
    let transactions = transactions.into_iter().collect::<Result<Vec<_>, ImportError>>()?;
    let input = BlockInput {
        body: block.body,
        header: block.header,
        hash: block.hash,
        ommers,
        withdrawals,
        transactions: Vec::new(),
        witness_roots: block.witness_roots,
    };
    Ok((input, transactions))
}

fn decode<T: Decodable>(bytes: &Bytes) -> Result<T, String> {
    alloy_rlp::decode_exact(bytes).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block with a transaction that is none.
    fn bad(number: u64) -> SourceBlock {
        let mut payload = alloy_rlp::encode(Header { number, ..Header::default() });
        payload.extend([0xc1, 0xc0, 0xc0]);
        let mut bytes = Vec::new();
        alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut bytes);
        bytes.extend(payload);
        SourceBlock::from_rlp(&bytes.into()).expect("a block")
    }

    #[test]
    fn of_several_faults_the_first_is_told() {
        for _ in 0..50 {
            let blocks = (1..40).map(bad).collect();
            match prepare_all(blocks, "a test", Options::default(), None) {
                Err(ImportError::Decode { block: 1, part, .. }) => assert_eq!(part, "transaction 1"),
                other => panic!("{other:?}"),
            }
        }
    }
}

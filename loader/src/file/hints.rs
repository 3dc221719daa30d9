//! Signature hints: public keys of signers, and R.y of signatures. Checked for shape here, trusted by nobody.
//!
//! `signer-keys`: keys in the writer's order; whose a key is says its hash. `signature-r`: R.y of every signed transaction in order,
//! then of every authorisation in order, or nothing at all; so the place of a row's hint follows from the row's own place.
//! `state-nodes`: nodes of tries that lead from a state root to what a cell held, found by their hashes.

use super::layout::Section as S;
use super::read::BlockFile;
use super::spool::{PagedWriter, Spool};
use crate::Result;
use alloy_primitives::B256;
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// The hint columns of a file on its way.
#[derive(Debug)]
pub(super) struct HintSpools {
    keys: Spool,
    transactions: Spool,
    authorities: Spool,
    /// Whether any R.y was given: else the column is empty.
    is_given: bool,
}

impl HintSpools {
    pub(super) fn new(folder: &Arc<Path>) -> Self {
        let spool = || Spool::new(folder);
        Self { keys: spool(), transactions: spool(), authorities: spool(), is_given: false }
    }

    pub(super) fn key(&mut self, key: &[u8; 64]) -> std::io::Result<()> {
        self.keys.put(key)
    }

    /// R.y of a signed transaction, then of each of its authorisations. What is not given is zero, what is beyond is left out: both
    /// are as good as any hint.
    pub(super) fn row(&mut self, given: &[B256], authorities: usize) -> std::io::Result<()> {
        for i in 0..=authorities {
            let y = given.get(i).copied().unwrap_or(B256::ZERO);
            let spool = if i == 0 { &mut self.transactions } else { &mut self.authorities };
            spool.put(y.as_slice())?;
            self.is_given |= !y.is_zero();
        }
        Ok(())
    }

    /// Signatures so far.
    pub(super) fn signatures(&self) -> u64 {
        (self.transactions.bytes() + self.authorities.bytes()) / 32
    }

    /// Bytes of a hint section.
    pub(super) fn bytes(&self, section: S) -> u64 {
        match section {
            S::SignerKeys => self.keys.bytes(),
            S::SignatureR if self.is_given => 32 * self.signatures(),
            _ => 0,
        }
    }

    /// Copies a hint section.
    pub(super) fn copy_to(&self, section: S, out: &mut PagedWriter<'_, impl Write>) -> std::io::Result<()> {
        match section {
            S::SignerKeys => self.keys.copy_to(out),
            S::SignatureR if self.is_given => {
                self.transactions.copy_to(out)?;
                self.authorities.copy_to(out)
            }
            _ => Ok(()),
        }
    }
}

impl BlockFile {
    /// Keys that may be those of signers, x then y, most significant first; of whom each is, and whether it is a key, nobody knows.
    ///
    /// Errors: a page is damaged.
    pub fn signer_keys(&self) -> Result<&[[u8; 64]]> {
        self.verify_bytes(S::SignerKeys, 0..self.bytes(S::SignerKeys).len() as u64)?;
        Ok(self.column(S::SignerKeys))
    }

    /// Signatures: of transactions, and of set-code tuples.
    pub fn signature_count(&self) -> u64 {
        self.transaction_signatures() + self.rows(S::Authorities)
    }

    /// Rows of R.y: as many as signatures, or none.
    pub fn signature_r_count(&self) -> u64 {
        self.rows(S::SignatureR)
    }

    fn transaction_signatures(&self) -> u64 {
        // Every block has its opening and its closing.
        u64::from(self.row_count()) - 2 * self.block_count() as u64
    }

    pub(super) fn check_hints(&self) -> Result<()> {
        let signatures = self.signature_count();
        if self.rows(S::SignerKeys) > signatures {
            return self
                .refuse(S::SignerKeys, format!("{} rows for {signatures} signatures", self.rows(S::SignerKeys)));
        }
        match self.rows(S::SignatureR) {
            0 => Ok(()),
            rows if rows == signatures => Ok(()),
            rows => self.refuse(S::SignatureR, format!("{rows} rows, expected {signatures} or none")),
        }
    }

    /// Nodes of tries that may prove what cells held before, each with its Keccak-256 to be taken by whoever uses it; up to the
    /// first that is no list in RLP.
    ///
    /// Errors: a page is damaged.
    pub fn state_nodes(&self) -> Result<Vec<&[u8]>> {
        let mut rest = self.bytes(S::StateNodes);
        self.verify_bytes(S::StateNodes, 0..rest.len() as u64)?;
        let mut nodes = Vec::new();
        while !rest.is_empty() {
            let mut payload = rest;
            let Ok(header) = alloy_rlp::Header::decode(&mut payload) else { break };
            let length = rest.len() - payload.len() + header.payload_length;
            let Some((node, after)) = rest.split_at_checked(length).filter(|_| header.list) else { break };
            nodes.push(node);
            rest = after;
        }
        Ok(nodes)
    }

    /// Places of the R.y of blocks: of their transactions, and of their authorisations. Empty if there are none.
    pub(super) fn signature_r_places(&self, blocks: Range<usize>) -> [Range<u64>; 2] {
        if self.rows(S::SignatureR) == 0 {
            return [0..0, 0..0];
        }
        let place = |block: usize| {
            let row = &self.block_rows()[block];
            let transactions = u64::from(row.row_first) - 2 * block as u64;
            (transactions, self.transaction_signatures() + row.authorities_at)
        };
        let (from, to) = (place(blocks.start), place(blocks.end));
        [from.0..to.0, from.1..to.1]
    }

    /// R.y of a signed row of a verified block, and of its authorisations.
    pub(super) fn signature_r(
        &self,
        block: usize,
        row: usize,
        authorities: Range<usize>,
    ) -> Option<(&[u8; 32], &[[u8; 32]])> {
        let all: &[[u8; 32]] = self.column(S::SignatureR);
        if all.is_empty() {
            return None;
        }
        // One less for the block's own opening.
        let own = &all[row - 2 * block - 1];
        let first = self.transaction_signatures() as usize;
        Some((own, &all[first + authorities.start..first + authorities.end]))
    }
}

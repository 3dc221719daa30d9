//! A header with its ommers, decoded: what rules between headers look at, inside of a piece and over a seam.

use crate::block::{Ancestor, HeaderInput, Ommers, Unchecked, WINDOW, check_links};
use crate::reason::{Check, Checks, Fault, Reason};
use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, U256, keccak256};
use manaflow_loader::file::OmmersView;
use manaflow_loader::model::Location;
use manaflow_loader::rules::ChainRules;
use manaflow_loader::summary::{self, Maybe};

/// Nothing is known of the ommers, they are known as headers, or by hash.
const UNKNOWN: u8 = 0;
const HEADERS: u8 = 1;
const HASHES: u8 = 2;

/// A header with its ommers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// As it is kept in summaries.
    pub kept: summary::Head,
    /// The header.
    pub header: Header,
    /// Keccak-256 of its bytes.
    pub hash: B256,
    /// The ommers' headers, where they are known.
    pub ommers: Vec<Header>,
    /// The ommers' hashes, where they are known.
    pub ommer_hashes: Option<Vec<B256>>,
}

impl Head {
    /// From what is kept; says what does not decode.
    pub fn decode(kept: summary::Head) -> Result<Self, String> {
        let header: Header = alloy_rlp::decode_exact(&kept.header).map_err(|e| format!("header: {e}"))?;
        let hash = keccak256(&kept.header);
        let (ommers, ommer_hashes) = match kept.ommers_kind {
            HEADERS => {
                let list: Vec<Header> = alloy_rlp::decode_exact(&kept.ommers).map_err(|e| format!("ommers: {e}"))?;
                let hashes = list.iter().map(Header::hash_slow).collect();
                (list, Some(hashes))
            }
            HASHES => (Vec::new(), Some(kept.ommers.chunks_exact(32).map(B256::from_slice).collect())),
            _ => (Vec::new(), None),
        };
        Ok(Self { kept, header, hash, ommers, ommer_hashes })
    }

    /// A header before a segment, as its source brings it.
    pub fn earlier(header: &Bytes, ommers: Option<&Bytes>) -> Result<Self, String> {
        let kind = if ommers.is_some() { HEADERS } else { UNKNOWN };
        Self::decode(kept(header.clone(), kind, ommers.cloned().unwrap_or_default()))
    }

    /// A header of a block file.
    pub fn of_block(header: &[u8], ommers: OmmersView<'_>) -> Result<Self, String> {
        let (kind, bytes) = match ommers {
            OmmersView::Headers(list) => (HEADERS, Bytes::copy_from_slice(list)),
            OmmersView::Hashes(list) => (HASHES, list.as_flattened().to_vec().into()),
        };
        Self::decode(kept(Bytes::copy_from_slice(header), kind, bytes))
    }

    /// The checks that ran over the block.
    pub fn checks(&self) -> Checks {
        Checks::from_bits(self.kept.checks)
    }

    /// Without what is known of the block besides header and ommers.
    pub fn plain(&self) -> Self {
        let kept = summary::Head { checks: 0, total_difficulty: Maybe(None), ..self.kept.clone() };
        Self { kept, ..self.clone() }
    }

    fn ancestor(&self) -> Ancestor<'_> {
        Ancestor { header: &self.header, hash: self.hash, ommers: self.ommer_hashes.as_deref() }
    }
}

fn kept(header: Bytes, ommers_kind: u8, ommers: Bytes) -> summary::Head {
    summary::Head { header, ommers_kind, ommers, checks: 0, total_difficulty: Maybe(None) }
}

/// The last of the headers before a block, as many as its rules look at.
pub fn window<'a>(before: impl DoubleEndedIterator<Item = &'a Head>) -> Vec<&'a Head> {
    let mut window: Vec<&Head> = before.rev().take(WINDOW).collect();
    window.reverse();
    window
}

/// The rules between a header and those before it.
pub fn links(
    number: u64,
    head: &Head,
    window: &[&Head],
    total_difficulty: Option<U256>,
    rules: &ChainRules,
    faults: &mut Vec<Fault>,
) -> Unchecked {
    let hashes = head.ommer_hashes.as_deref().unwrap_or_default();
    let ommers =
        if head.kept.ommers_kind == HEADERS { Ommers::Known(&head.ommers) } else { Ommers::HashesOnly(hashes) };
    let input = HeaderInput { number, header: &head.header, hash: head.hash, ommers };
    let window: Vec<Ancestor<'_>> = window.iter().map(|head| head.ancestor()).collect();
    check_links(&input, &window, total_difficulty, rules, faults)
}

/// Headers before the first block are evidence only as far as the hash chain goes: each names the one before and its own
/// ommers. Faults are the first block's; its own link to the last of them is a rule of its own.
pub fn evidence(first: u64, earlier: &[Head], checks: Checks, faults: &mut Vec<Fault>) {
    let Some(opening) = Location::new(first, 0) else { return };
    let mut fault = |check, reason, i: usize, got: B256, expected: B256| {
        if checks.has(check) {
            let before = earlier.len() - i;
            let got = format!("{got}, {before} headers before");
            faults.push(Fault::new(opening, check, reason, got, expected));
        }
    };
    for (i, head) in earlier.iter().enumerate() {
        if i > 0 && head.header.parent_hash != earlier[i - 1].hash {
            fault(Check::Blocks, Reason::WrongParentHash, i, head.header.parent_hash, earlier[i - 1].hash);
        }
        let list = (head.kept.ommers_kind == HEADERS).then(|| keccak256(&head.kept.ommers));
        if let Some(hash) = list.filter(|hash| *hash != head.header.ommers_hash) {
            fault(Check::Hashes, Reason::WrongOmmersHash, i, head.header.ommers_hash, hash);
        }
    }
}

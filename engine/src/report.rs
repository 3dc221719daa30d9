//! What a validation says: verdict, what was checked, what was not, under which conditions, and every fault.
//!
//! The JSON form is version 1 of the report. Everything outside of `run` is byte-identical over orders, threads and runs.

use crate::reason::{Check, Fault, Reason};
use alloy_primitives::B256;
use serde::Serialize;
use std::collections::BTreeMap;

/// Version of the JSON form.
pub const REPORT_VERSION: u32 = 1;

/// The judgement over all that was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All five checks ran over all rows of the range and found nothing.
    Valid,
    /// Fewer checks were asked for, and they found nothing.
    Partial,
    /// Something was found.
    Invalid,
}

/// Which chain the file claims to be of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ChainClaim {
    /// Name of the built-in chain whose rules and genesis these are, else `custom`.
    pub name: String,
    /// Chain id.
    pub id: u64,
    /// Hash of block 0, as the rules state it.
    pub genesis: Option<B256>,
    /// Keccak-256 of the rules.
    pub rules_digest: B256,
}

/// Which blocks were judged.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct BlockRange {
    /// Number of the first segment's first block.
    pub first: u64,
    /// Number of the last segment's last block.
    pub last: u64,
    /// Blocks.
    pub count: u64,
    /// Segments.
    pub segments: u64,
    /// Parent hash that the first block states.
    pub parent_hash: B256,
    /// Hash of the last block.
    pub tip_hash: B256,
}

/// How many rows each check went over; 0 where it was not asked for.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Checked {
    /// Signatures of transactions and authorisations.
    pub signatures: u64,
    /// Blocks whose roots and hashes were recomputed.
    pub hashes: u64,
    /// Transactions executed, system transactions included.
    pub execution: u64,
    /// Moves held against those before.
    pub conflicts: u64,
    /// Blocks whose rules were applied.
    pub blocks: u64,
}

/// What the input never allowed to check, in blocks.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct UncheckedCounts {
    /// Receipts roots: no witness for the state roots in receipts before Byzantium.
    pub receipts_roots: u64,
    /// State roots: not asked for, or not from genesis.
    pub state_roots: u64,
    /// Rules against the parent: its header is not known.
    pub parent_headers: u64,
    /// Ommers known by hash only.
    pub ommer_lists: u64,
    /// Rules of ommers that look at headers or ommers which are not known.
    pub ommer_rules: u64,
    /// End of proof of work: total difficulty is not known.
    pub total_difficulties: u64,
    /// Rules that need each transaction's outcome or blob parameters, where one is missing.
    pub others: u64,
}

/// What must hold before the blocks, for the verdict to be about the chain.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct RequirementCounts {
    /// Cells that must hold a stated value.
    pub cells: u64,
    /// Cells that were assumed.
    pub assumed: u64,
    /// Of `cells`, hashes of blocks that must hold a value; that a block's own hash is not there before it, is not
    /// counted.
    pub hashes: u64,
    /// Of `cells`, those whose value the state root in a header before their first use proves, by nodes in the file.
    /// Summaries keep no nodes, and know nothing of it.
    pub proven: u64,
    /// Segments that do not begin at genesis.
    pub windows: u64,
}

/// What the blocks leave behind.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FinalState {
    /// Cells written, whose last value is known.
    pub cells: u64,
    /// Digest over them.
    pub digest: Option<B256>,
    /// State root recomputed after the last block.
    pub state_root: Option<B256>,
}

/// State roots recomputed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct StateRoots {
    /// Blocks.
    pub checked: u64,
    /// Of these, equal to the header's.
    pub matched: u64,
}

/// A fault as the report lists it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ListedFault {
    /// Block.
    pub block: u64,
    /// Index in the block.
    pub index: u64,
    /// Hash of the transaction; `null` for system transactions.
    pub transaction: Option<B256>,
    /// Place of the move in the transaction.
    #[serde(rename = "move")]
    pub move_index: Option<u32>,
    /// The cell.
    pub cell: Option<String>,
    /// Who found it.
    pub check: Check,
    /// Why it is one.
    pub reason: Reason,
    /// What was found.
    pub got: String,
    /// What should have been.
    pub expected: String,
}

impl ListedFault {
    /// As it is listed.
    pub fn new(fault: &Fault, transaction: Option<B256>) -> Self {
        Self {
            block: fault.location.block(),
            index: fault.location.index(),
            transaction,
            move_index: fault.move_index,
            cell: fault.cell.map(|c| c.to_string()),
            check: fault.check,
            reason: fault.reason,
            got: fault.got.clone(),
            expected: fault.expected.clone(),
        }
    }
}

/// Versions of everything that shapes the verdict.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Versions {
    /// This program.
    pub manaflow: String,
    /// The protocol.
    pub protocol: u32,
    /// The block file.
    pub format: u32,
    /// The EVM.
    pub revm: String,
}

/// How it was done: the part of a report that differs from run to run.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Run {
    /// Wall time.
    pub seconds: f64,
    /// Order of blocks.
    pub order: String,
    /// Procedure of double use.
    pub procedure: String,
    /// Worker threads.
    pub threads: usize,
    /// Processor time by stage, of all threads, in seconds: the checks, and `decoding`.
    pub cpu_seconds: BTreeMap<String, f64>,
    /// Who did the work, by stage.
    pub backends: BTreeMap<String, String>,
    /// Versions.
    pub versions: Versions,
    /// In reverse order: from which block on all is valid, given the requirements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<u64>,
    /// Whether it stopped at the first faults found.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stopped_early: bool,
}

/// The report.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
    /// Version of this form.
    pub version: u32,
    /// Verdict.
    pub verdict: Verdict,
    /// Whether it holds only if the requirements do.
    pub conditional: bool,
    /// Chain.
    pub chain: ChainClaim,
    /// Blocks.
    pub blocks: BlockRange,
    /// Signed transactions.
    pub transactions: u64,
    /// Moves.
    pub moves: u64,
    /// Signatures, authorisations included.
    pub signatures: u64,
    /// Gas used, by the outcomes.
    pub gas: u64,
    /// Rows checked.
    pub checked: Checked,
    /// What could not be checked.
    pub unchecked: UncheckedCounts,
    /// Conditions.
    pub requirements: RequirementCounts,
    /// Digest of the conditions; `null` if there are none.
    pub requirements_digest: Option<B256>,
    /// What is left.
    pub final_state: FinalState,
    /// State roots.
    pub state_roots: StateRoots,
    /// Faults in all.
    pub invalid_total: u64,
    /// The first of them, in order of (block, index, check, reason, cell).
    pub invalid: Vec<ListedFault>,
    /// How it was done.
    pub run: Run,
}

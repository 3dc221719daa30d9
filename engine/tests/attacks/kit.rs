//! What attacks need besides taking a file apart and judging it in every order, which `datasets/src/lies/sample.rs` does: changes
//! at a block's number, and what is expected of an answer.

pub use crate::sample::{Answer, Judged, ORDERS, Sample, SegmentRecord};
use alloy_consensus::Header;
use alloy_primitives::U256;
use manaflow_engine::reason::{Check, Reason};
use manaflow_engine::report::{ListedFault, Verdict};
use manaflow_loader::model::Value;

impl Sample {
    /// Changes a header; its own hash write stays as it was.
    pub fn header(&mut self, number: u64, change: impl FnOnce(&mut Header)) {
        let (segment, place) = self.place(number);
        self.change_header(segment, place, change);
    }

    /// Makes hash writes, parent hashes and nothing else agree again from a block on.
    pub fn relink_from(&mut self, number: u64) {
        let (segment, place) = self.place(number);
        self.relink(segment, place);
    }
}

/// A header from its bytes.
pub fn decode_header(bytes: &[u8]) -> Header {
    crate::sample::decode_header(bytes).expect("a header")
}

impl Answer {
    /// Expects exactly these faults: block, index, reason, in the report's order.
    #[track_caller]
    pub fn says_exactly(self, expected: &[(u64, u64, Reason)]) -> Judged {
        let judged = self.judged();
        let got: Vec<_> = judged.report.invalid.iter().map(|f| (f.block, f.index, f.reason)).collect();
        assert_eq!(got, expected, "{:#?}", judged.report.invalid);
        assert_eq!(judged.report.invalid_total, expected.len() as u64);
        let verdict = if expected.is_empty() { Verdict::Valid } else { Verdict::Invalid };
        assert_eq!(judged.report.verdict, verdict);
        judged
    }

    /// Expects this fault among others.
    #[track_caller]
    pub fn has(self, block: u64, index: u64, check: Check, reason: Reason) -> Judged {
        let judged = self.judged();
        assert!(judged.find(block, index, check, reason).is_some(), "no {reason} at {block}:{index}: {judged:#?}");
        judged
    }
}

impl Judged {
    /// A fault of the report.
    pub fn find(&self, block: u64, index: u64, check: Check, reason: Reason) -> Option<&ListedFault> {
        let invalid = &self.report.invalid;
        invalid.iter().find(|f| (f.block, f.index, f.check, f.reason) == (block, index, check, reason))
    }
}

/// A word as a value.
pub fn word(n: u64) -> Value {
    Value::Word(U256::from(n))
}

//! Rules of ommers: few, recent, of this chain's stem but not on it, never twice, and valid headers themselves.
//!
//! Depth counts from the header's own number. An ommer one to six blocks old has its parent two to seven blocks back,
//! so the window of seven decides all of it; a shorter one decides what it can.
//! Source: Yellow Paper section 11.1; execution-specs `validate_ommers`; EIP-3675 (none after the merge).

use super::{
    Ancestor, HeaderInput, Ommers, Sink, WINDOW,
    header::{Violations, against_parent, alone},
    location,
};
use crate::reason::Reason;
use alloy_consensus::Header;
use alloy_primitives::B256;
use manaflow_loader::{model::Location, rules::ChainRules};

/// Most ommers of a block.
const MAX_OMMERS: usize = 2;
/// Greatest age of an ommer, in blocks.
const MAX_DEPTH: u64 = 6;

/// Judges the ommers; false if a rule lacked its input.
pub(super) fn check(input: &HeaderInput<'_>, window: &[Ancestor<'_>], rules: &ChainRules, sink: &mut Sink<'_>) -> bool {
    let count = input.ommers.len();
    if count == 0 {
        return true;
    }
    let opening = location(input.number, 0);
    if input.header.difficulty.is_zero() {
        sink.push(opening, Reason::UnexpectedOmmers, count, 0);
        return true;
    }
    if count > MAX_OMMERS {
        sink.push(opening, Reason::TooManyOmmers, count, format_args!("at most {MAX_OMMERS}"));
    }
    let hashes = input.ommers.hashes();
    let is_whole = window.len() >= WINDOW || window.len() as u64 >= input.number;
    let mut is_complete = is_whole && window.iter().all(|ancestor| ancestor.ommers.is_some());
    for (i, &hash) in hashes.iter().enumerate() {
        let is_repeated = hashes[..i].contains(&hash)
            || window.iter().any(|ancestor| ancestor.ommers.is_some_and(|ommers| ommers.contains(&hash)));
        if is_repeated {
            sink.push(opening, Reason::RepeatedOmmer, hash, "an ommer not listed before");
        }
        if window.iter().any(|ancestor| ancestor.hash == hash) {
            sink.push(opening, Reason::OmmerIsAncestor, hash, "a block not on this chain");
        }
    }
    match input.ommers {
        Ommers::Known(headers) => {
            for (ommer, &hash) in headers.iter().zip(&hashes) {
                is_complete &= check_header(input, window, is_whole, (ommer, hash), rules, (opening, sink));
            }
        }
        Ommers::HashesOnly(_) => is_complete = false,
    }
    is_complete
}

/// Judges one ommer's depth, parent and header; false if its parent may lie beyond the window.
fn check_header(
    input: &HeaderInput<'_>,
    window: &[Ancestor<'_>],
    is_whole: bool,
    (ommer, hash): (&Header, B256),
    rules: &ChainRules,
    (opening, sink): (Location, &mut Sink<'_>),
) -> bool {
    let number = input.header.number;
    let is_recent = number.checked_sub(ommer.number).is_some_and(|depth| (1..=MAX_DEPTH).contains(&depth));
    if !is_recent {
        let expected = format!("a number from {} to {}", number.saturating_sub(MAX_DEPTH), number.saturating_sub(1));
        sink.push(opening, Reason::WrongOmmerDepth, format_args!("{hash}, number {}", ommer.number), expected);
    }
    // The block's own parent is no parent of an ommer: that would be the block's sibling.
    let elders = &window[..window.len().saturating_sub(1)];
    let Some(parent) = elders.iter().find(|ancestor| ancestor.hash == ommer.parent_hash) else {
        let is_sibling = ommer.parent_hash == input.header.parent_hash;
        if is_whole || is_sibling {
            let got = format!("{hash}, parent {}", ommer.parent_hash);
            sink.push(opening, Reason::OmmerParentNotAncestor, got, "an ancestor 2 to 7 blocks before");
            return true;
        }
        return false;
    };
    let mut violations = Violations::default();
    if ommer.number != parent.header.number.wrapping_add(1) {
        let got = format!("{hash}, {}: {}", Reason::WrongNumber, ommer.number);
        sink.push(opening, Reason::InvalidOmmer, got, u128::from(parent.header.number) + 1);
    }
    alone(ommer, rules, false, &mut violations);
    let is_complete = against_parent(ommer, parent.header, rules, false, &mut violations);
    for violation in violations.0 {
        let got = format!("{hash}, {}: {}", violation.reason, violation.got);
        sink.push(opening, Reason::InvalidOmmer, got, violation.expected);
    }
    is_complete
}

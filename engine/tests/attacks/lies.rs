//! A lie in every field: of moves, transactions, outcomes, headers, bodies, segments. Each names the fault that must follow
//! and its place; any others may follow too. None is ever valid with the same claim.
//!
//! The claim is digest of the final state, requirements, tip hash, rules digest and what went unchecked. A lie before a piece
//! cut from its chain may only change the requirements: it is a claim about what came before.

use crate::built::chain;
use crate::kit::{Answer, Judged, Sample, decode_header};
use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, Log, LogData, U256};
use manaflow_engine::reason::{Check, Reason};
use manaflow_engine::report::Verdict;
use manaflow_loader::model::{
    AccountValue, Cell, INDEX_BOUND, Location, Mark, Mode, Move, Ommers, Outcome, Status, TransactionRecord, Value,
    Version,
};
use manaflow_loader::rules::Fork;
use std::path::Path;

pub type Change = Box<dyn Fn(&mut Sample)>;

/// What must come of a lie.
#[derive(Clone, Debug)]
pub enum Expected {
    /// This fault at least.
    Fault(u64, u64, Check, Reason),
    /// No file: the writer says that it cannot be said.
    Refused(&'static str),
    /// Anything but the same claim.
    AnotherClaim,
}

pub struct Lie {
    pub name: String,
    pub change: Change,
    pub expected: Expected,
}

/// A place in a sample, and where lies about it are collected.
struct At<'a> {
    lies: &'a mut Vec<Lie>,
    block: u64,
    index: usize,
    /// Index of the closing.
    last: usize,
    first: u64,
    fork: Fork,
}

impl At<'_> {
    fn location(&self) -> Location {
        Location::new(self.block, self.index as u64).expect("of a sample")
    }

    fn fault(&self, check: Check, reason: Reason) -> Expected {
        Expected::Fault(self.block, self.index as u64, check, reason)
    }

    fn block_fault(&self, check: Check, reason: Reason) -> Expected {
        Expected::Fault(self.block, 0, check, reason)
    }

    fn lie(&mut self, name: &str, expected: Expected, change: impl Fn(&mut Sample) + 'static) {
        let name = format!("{}:{} {name}", self.block, self.index);
        self.lies.push(Lie { name, change: Box::new(change), expected });
    }

    fn about_move(&mut self, j: usize, name: &str, expected: Expected, change: impl Fn(&mut Move) + 'static) {
        let (block, index) = (self.block, self.index);
        self.lie(&format!("move {j} {name}"), expected, move |s| {
            let moves = &mut s.transaction(block, index).moves;
            change(&mut moves[j]);
            // So that the lie is not merely one about the order.
            moves.sort_by_key(|m| m.cell);
        });
    }

    fn about_transaction(&mut self, name: &str, expected: Expected, change: impl Fn(&mut TransactionRecord) + 'static) {
        let (block, index) = (self.block, self.index);
        self.lie(name, expected, move |s| change(s.transaction(block, index)));
    }
}

/// Another value of the same kind, never one of those given.
fn other(value: Value, not: &[Value]) -> Value {
    let step = |value: Value| match value {
        Value::Word(word) => Value::Word(word.wrapping_add(U256::from(1))),
        Value::Account(a) => Value::Account(AccountValue { present: true, balance: a.balance + U256::from(1), ..a }),
    };
    let mut next = step(value);
    while not.contains(&next) {
        next = step(next);
    }
    next
}

fn account(value: Value) -> Option<AccountValue> {
    match value {
        Value::Account(account) => Some(account),
        Value::Word(_) => None,
    }
}

/// Lies about one move.
fn about_move(at: &mut At<'_>, j: usize, m: &Move, moves: usize) {
    let is_allocation = at.block == 0 && at.index == 0;
    let is_hash_write = at.index == at.last && m.cell == Cell::block_hash(at.block);
    // Solo's word on a cell that is gone, or written otherwise.
    let unsaid = match () {
        () if is_allocation => at.block_fault(Check::Hashes, Reason::WrongStateRoot),
        () if is_hash_write => at.fault(Check::Execution, Reason::MissingHashWrite),
        () => at.fault(Check::Execution, Reason::UndeclaredCell),
    };
    let after = match () {
        () if is_allocation => at.block_fault(Check::Hashes, Reason::WrongStateRoot),
        () if is_hash_write => at.fault(Check::Hashes, Reason::WrongHashWrite),
        () => at.fault(Check::Execution, Reason::WrongAfter),
    };
    at.about_move(j, "mask", at.fault(Check::Execution, Reason::WrongMask), |m| m.mask = 1 << 3);
    match m.mode {
        Mode::Read => {
            at.about_move(j, "mode", at.fault(Check::Execution, Reason::ModeMismatch), |m| m.mode = Mode::Write);
            let refused = Expected::Refused("a read whose next is not its prev");
            at.about_move(j, "next of a read", refused, |m| m.next = other(m.next, &[m.prev]));
        }
        Mode::Write => {
            let unwritten = match () {
                () if is_allocation => at.fault(Check::Execution, Reason::UnusedMove),
                () if is_hash_write => at.fault(Check::Execution, Reason::MissingHashWrite),
                () => at.fault(Check::Execution, Reason::WrongAfter),
            };
            at.about_move(j, "mode", unwritten, |m| (m.mode, m.next) = (Mode::Read, m.prev));
            at.about_move(j, "next", after.clone(), |m| m.next = other(m.next, &[m.prev]));
        }
    }
    about_version(at, j, m);
    match m.cell.mark {
        Mark::Account => {
            at.about_move(j, "addr", unsaid.clone(), |m| m.cell.addr = Address::repeat_byte(0xee));
            about_account(at, j, m, &after);
        }
        Mark::Storage => {
            let missing = at.fault(Check::Execution, Reason::MissingAccountMove);
            at.about_move(j, "addr", missing, |m| m.cell.addr = Address::repeat_byte(0xee));
            let wrong = at.fault(Check::Execution, Reason::WrongGeneration);
            at.about_move(j, "generation", wrong, |m| m.cell.generation += 1);
            at.about_move(j, "slot", unsaid.clone(), |m| m.cell.slot = U256::from(0xeeee_eeee_u64));
        }
        Mark::BlockHash => {
            at.about_move(j, "slot", unsaid.clone(), |m| m.cell.slot = U256::from(0xeeee_eeee_u64));
            let refused = Expected::Refused("has fields that its mark does not use");
            at.about_move(j, "addr", refused, |m| m.cell.addr = Address::repeat_byte(0xee));
        }
    }
    let (block, index) = (at.block, at.index);
    at.lie(&format!("move {j} dropped"), unsaid, move |s| {
        s.transaction(block, index).moves.remove(j);
    });
    let disorder = at.fault(Check::Execution, Reason::MovesNotAscending);
    at.lie(&format!("move {j} doubled"), disorder.clone(), move |s| {
        let moves = &mut s.transaction(block, index).moves;
        moves.insert(j, moves[j]);
    });
    if j + 1 < moves {
        at.lie(&format!("move {j} swapped"), disorder, move |s| s.transaction(block, index).moves.swap(j, j + 1));
    }
}

/// Lies about who wrote the cell last, and what it held.
fn about_version(at: &mut At<'_>, j: usize, m: &Move) {
    let own = at.location();
    at.about_move(j, "own version", at.fault(Check::Conflicts, Reason::VersionNotBefore), move |m| {
        m.intx = Version::At(own);
    });
    let later = Location::new(own.block(), INDEX_BOUND - 1).expect("within bounds");
    at.about_move(j, "later version", at.fault(Check::Conflicts, Reason::VersionNotBefore), move |m| {
        m.intx = Version::At(later);
    });
    let refused = Expected::Refused("base or assumed in a segment from genesis");
    if at.first == 0 {
        at.about_move(j, "base", refused, |m| m.intx = Version::Base(0));
    }
    let not_live = match m.mode {
        Mode::Read => at.fault(Check::Conflicts, Reason::StaleRead),
        Mode::Write => at.fault(Check::Conflicts, Reason::DoubleUse),
    };
    let is_default = m.prev == m.cell.default_value();
    let is_inside = matches!(m.intx, Version::At(v) if v.block() >= at.first);
    let first = Location::new(at.first, 0).expect("within bounds");
    match m.intx {
        Version::Virgin => {
            let expected = if at.first == 0 { not_live } else { Expected::AnotherClaim };
            if own > first {
                let earlier = Location::new(at.first.saturating_sub(1), 0).expect("within bounds");
                at.about_move(j, "some version", expected, move |m| m.intx = Version::At(earlier));
            }
            let wrong = at.fault(Check::Conflicts, Reason::VirginNotDefault);
            at.about_move(j, "prev", wrong, |m| set_prev(m, other(m.prev, &[m.next])));
        }
        _ => {
            let expected = match () {
                () if !is_default => at.fault(Check::Conflicts, Reason::VirginNotDefault),
                () if is_inside => not_live.clone(),
                () => Expected::AnotherClaim,
            };
            at.about_move(j, "virgin", expected, |m| m.intx = Version::Virgin);
            if is_inside && m.intx != Version::At(first) {
                at.about_move(j, "another version", not_live, move |m| m.intx = Version::At(first));
            }
            let wrong = at.fault(Check::Conflicts, Reason::WrongBefore);
            let expected = if is_inside { wrong } else { Expected::AnotherClaim };
            at.about_move(j, "prev", expected, |m| set_prev(m, other(m.prev, &[m.next])));
        }
    }
}

fn set_prev(m: &mut Move, prev: Value) {
    m.prev = prev;
    if m.mode == Mode::Read {
        m.next = prev;
    }
}

/// Lies about the parts of an account.
fn about_account(at: &mut At<'_>, j: usize, m: &Move, after: &Expected) {
    let (Some(prev), Some(next)) = (account(m.prev), account(m.next)) else { return };
    if m.mode == Mode::Write {
        let grown = match after {
            Expected::Fault(0, 0, ..) => at.fault(Check::Execution, Reason::WrongAfter),
            _ => after.clone(),
        };
        at.about_move(j, "next generation", grown, move |m| {
            m.next = Value::Account(AccountValue { generation: next.generation + 1, ..next });
        });
        let value = AccountValue { nonce: next.nonce + 7, present: true, ..next };
        at.about_move(j, "next nonce", after.clone(), move |m| m.next = Value::Account(value));
        let value = AccountValue { code_hash: B256::repeat_byte(9), present: true, ..next };
        at.about_move(j, "next code", after.clone(), move |m| m.next = Value::Account(value));
        if next.present && m.prev != Value::Account(AccountValue::absent(next.generation)) {
            let value = Value::Account(AccountValue::absent(next.generation));
            at.about_move(j, "next presence", after.clone(), move |m| m.next = value);
        }
    }
    let expected = match m.intx {
        Version::Virgin => at.fault(Check::Conflicts, Reason::VirginNotDefault),
        Version::At(v) if v.block() >= at.first => at.fault(Check::Conflicts, Reason::WrongBefore),
        _ => Expected::AnotherClaim,
    };
    for (name, value) in [
        ("prev generation", AccountValue { generation: prev.generation + 1, ..prev }),
        ("prev nonce", AccountValue { present: true, nonce: prev.nonce + 5, ..prev }),
    ] {
        let value = Value::Account(value);
        if value != m.next || m.mode == Mode::Read {
            at.about_move(j, name, expected.clone(), move |m| set_prev(m, value));
        }
    }
}

/// Lies about a transaction besides its moves.
fn about_transaction(at: &mut At<'_>, t: &TransactionRecord) {
    let wrong_root = at.block_fault(Check::Hashes, Reason::WrongTransactionsRoot);
    let wrong_sender = at.fault(Check::Signatures, Reason::WrongSender);
    let wrong_authority = at.fault(Check::Signatures, Reason::WrongAuthority);
    let (block, index) = (at.block, at.index);
    at.about_transaction("sender", wrong_sender.clone(), |t| t.sender = Some(Address::repeat_byte(0xee)));
    at.about_transaction("no sender", wrong_sender, |t| t.sender = None);
    at.about_transaction("one authority more", wrong_authority.clone(), |t| t.authorities.push(None));
    if !t.authorities.is_empty() {
        at.about_transaction("authority", wrong_authority, |t| t.authorities[0] = Some(Address::repeat_byte(0xee)));
    }
    at.about_transaction("a request", Expected::Refused("not a closing"), |t| t.requests.push(Bytes::new()));
    at.about_transaction("bytes", wrong_root.clone(), |t| {
        let mut bytes = t.bytes.to_vec();
        *bytes.last_mut().expect("a transaction has bytes") ^= 1;
        t.bytes = bytes.into();
    });
    at.about_transaction("bytes cut off", at.fault(Check::Execution, Reason::BadEncoding), |t| {
        t.bytes = t.bytes.slice(..t.bytes.len() - 1);
    });
    at.lie("dropped", wrong_root.clone(), move |s| drop(s.block(block).transactions.remove(index)));
    at.lie("doubled", wrong_root, move |s| {
        let transactions = &mut s.block(block).transactions;
        transactions.insert(index, transactions[index].clone());
    });
    let Some(outcome) = &t.outcome else { return };
    about_outcome(at, outcome);
}

fn about_outcome(at: &mut At<'_>, outcome: &Outcome) {
    let change = |f: fn(&mut Outcome)| move |t: &mut TransactionRecord| t.outcome.iter_mut().for_each(f);
    let wrong_gas = at.fault(Check::Execution, Reason::WrongGasUsed);
    at.about_transaction("gas + 1", wrong_gas.clone(), change(|o| o.gas_used += 1));
    at.about_transaction("gas - 1", wrong_gas.clone(), change(|o| o.gas_used -= 1));
    at.about_transaction("gas 2^64 - 1", wrong_gas, change(|o| o.gas_used = u64::MAX));
    let wrong_logs = at.fault(Check::Execution, Reason::WrongLogs);
    at.about_transaction(
        "a log more",
        wrong_logs.clone(),
        change(|o| {
            o.logs.push(Log { address: Address::ZERO, data: LogData::new_unchecked(vec![], Bytes::new()) });
        }),
    );
    if !outcome.logs.is_empty() {
        at.about_transaction("a log less", wrong_logs.clone(), change(|o| drop(o.logs.pop())));
        at.about_transaction("a log's address", wrong_logs, change(|o| o.logs[0].address = Address::ZERO));
    }
    at.about_transaction("no outcome", at.fault(Check::Execution, Reason::MissingOutcome), |t| t.outcome = None);
    let wrong_form = at.fault(Check::Blocks, Reason::WrongReceiptForm);
    if at.fork >= Fork::Byzantium {
        at.about_transaction(
            "status",
            at.fault(Check::Execution, Reason::WrongStatus),
            change(|o| {
                o.status = if o.status == Status::Success { Status::Failure } else { Status::Success };
            }),
        );
        at.about_transaction("a root", wrong_form, change(|o| o.status = Status::Root(None)));
    } else {
        let wrong_root = at.block_fault(Check::Hashes, Reason::WrongReceiptsRoot);
        at.about_transaction("root", wrong_root, change(|o| o.status = Status::Root(Some(B256::repeat_byte(3)))));
        // Keeping the witness back is no lie, but it is counted.
        at.about_transaction("no root", Expected::AnotherClaim, change(|o| o.status = Status::Root(None)));
        at.about_transaction("a status", wrong_form, change(|o| o.status = Status::Success));
    }
}

/// Lies about a system transaction besides its moves.
fn about_system(at: &mut At<'_>) {
    let refused = Expected::Refused("a system transaction has");
    at.about_transaction("sender", refused.clone(), |t| t.sender = Some(Address::ZERO));
    at.about_transaction("bytes", refused.clone(), |t| t.bytes = Bytes::from_static(&[1]));
    at.about_transaction("authorities", refused.clone(), |t| t.authorities.push(None));
    at.about_transaction("outcome", refused, |t| {
        t.outcome = Some(Outcome { status: Status::Success, gas_used: 0, logs: vec![] });
    });
    if at.index == at.last {
        let wrong = at.fault(Check::Execution, Reason::WrongRequests);
        at.about_transaction("a request more", wrong.clone(), |t| t.requests.push(Bytes::from_static(&[1])));
        if at.fork >= Fork::Prague {
            at.about_transaction("a request less", wrong.clone(), |t| drop(t.requests.pop()));
            at.about_transaction("a request", wrong, |t| t.requests[1] = Bytes::from_static(&[7; 32]));
        }
    } else {
        at.about_transaction("a request", Expected::Refused("not a closing"), |t| t.requests.push(Bytes::new()));
    }
}

type Field = (&'static str, fn(&mut Header));

/// Every field of a header.
const FIELDS: [Field; 21] = [
    ("parent hash", |h| h.parent_hash.0[0] ^= 1),
    ("ommers hash", |h| h.ommers_hash.0[0] ^= 1),
    ("beneficiary", |h| h.beneficiary.0[0] ^= 1),
    ("state root", |h| h.state_root.0[0] ^= 1),
    ("transactions root", |h| h.transactions_root.0[0] ^= 1),
    ("receipts root", |h| h.receipts_root.0[0] ^= 1),
    ("logs bloom", |h| h.logs_bloom = Bloom::repeat_byte(1)),
    ("difficulty", |h| h.difficulty += U256::from(1)),
    ("number", |h| h.number += 1),
    ("gas limit", |h| h.gas_limit += 1),
    ("gas used", |h| h.gas_used += 1),
    ("timestamp", |h| h.timestamp += 1),
    ("extra data", |h| h.extra_data = Bytes::from_static(b"a lie")),
    ("mix hash", |h| h.mix_hash.0[0] ^= 1),
    ("nonce", |h| h.nonce = B64::repeat_byte(3)),
    ("base fee", |h| h.base_fee_per_gas = Some(h.base_fee_per_gas.map_or(1, |fee| fee + 1))),
    ("withdrawals root", |h| h.withdrawals_root = h.withdrawals_root.xor(Some(B256::repeat_byte(2)))),
    ("blob gas used", |h| h.blob_gas_used = Some(h.blob_gas_used.map_or(1, |gas| gas + 1))),
    ("excess blob gas", |h| h.excess_blob_gas = Some(h.excess_blob_gas.map_or(1, |gas| gas + 1))),
    ("beacon root", |h| h.parent_beacon_block_root = Some(B256::repeat_byte(4))),
    ("requests hash", |h| h.requests_hash = Some(B256::repeat_byte(5))),
];

/// Lies about header and body. `end`: the block is the last.
fn about_block(at: &mut At<'_>, header: &Header, ommers: &Ommers, withdrawals: Option<&Bytes>, end: bool) {
    let block = at.block;
    for (name, change) in FIELDS {
        // A field without those of the forks before it is no header, or is read as another field.
        let mut changed = header.clone();
        change(&mut changed);
        let reread: Option<Header> = alloy_rlp::decode_exact(alloy_rlp::encode(&changed)).ok();
        if reread.is_none() {
            at.lie(&format!("header, {name}"), Expected::Refused("header"), move |s| s.header(block, change));
            continue;
        }
        // The closing still writes the true hash.
        let expected = at.fault(Check::Hashes, Reason::WrongHashWrite);
        at.lie(&format!("header, {name}"), expected, move |s| s.header(block, change));
        if !end && reread == Some(changed) {
            // All hashes from here on agree again, so what is wrong is the field, or the child's link to it.
            let expected = Expected::Fault(block + 1, 0, Check::Blocks, Reason::WrongParentHash);
            at.lie(&format!("header, {name}, own hash"), expected, move |s| {
                s.header(block, change);
                let parent_hash = decode_header(&s.block(block + 1).body.header).parent_hash;
                s.relink_from(block);
                s.header(block + 1, |h| h.parent_hash = parent_hash);
                s.relink_from(block + 1);
            });
        }
    }
    let wrong_ommers = at.block_fault(Check::Hashes, Reason::WrongOmmersHash);
    if let Ommers::Headers(list) = ommers {
        let mut headers: Vec<Header> = alloy_rlp::decode_exact(list).expect("headers");
        if headers.is_empty() {
            headers.push(Header::default());
        } else {
            let (mut other, unknown) = (headers.clone(), vec![headers[0].hash_slow()]);
            other[0].beneficiary.0[0] ^= 1;
            at.lie("ommer", wrong_ommers.clone(), move |s| {
                s.block(block).body.ommers = Ommers::Headers(alloy_rlp::encode(&other).into());
            });
            at.lie("ommers by hash only", Expected::AnotherClaim, move |s| {
                s.block(block).body.ommers = Ommers::Hashes(unknown.clone());
            });
            headers.clear();
        }
        at.lie("ommers", wrong_ommers, move |s| {
            s.block(block).body.ommers = Ommers::Headers(alloy_rlp::encode(&headers).into());
        });
    }
    match withdrawals {
        Some(list) => {
            let wrong = at.block_fault(Check::Hashes, Reason::WrongWithdrawalsRoot);
            let mut all: Vec<Withdrawal> = alloy_rlp::decode_exact(list).expect("withdrawals");
            match all.first_mut() {
                Some(withdrawal) => withdrawal.amount += 1,
                None => all.push(Withdrawal::default()),
            }
            at.lie("withdrawal", wrong, move |s| {
                s.block(block).body.withdrawals = Some(alloy_rlp::encode(&all).into())
            });
            let missing = at.block_fault(Check::Blocks, Reason::WithdrawalsPresence);
            at.lie("no withdrawals", missing, move |s| s.block(block).body.withdrawals = None);
        }
        None => {
            let early = at.block_fault(Check::Blocks, Reason::WithdrawalsPresence);
            at.lie("withdrawals", early, move |s| {
                s.block(block).body.withdrawals = Some(Bytes::from_static(&[0xc0]));
            });
        }
    }
}

/// All lies about a sample of one segment.
pub fn lies_about(sample: &Sample) -> Vec<Lie> {
    let mut lies = Vec::new();
    let [segment] = sample.segments.as_slice() else { panic!("a sample of one segment") };
    for (place, record) in segment.blocks.iter().enumerate() {
        let block = segment.start.first + place as u64;
        let header = decode_header(&record.body.header);
        let fork = sample.rules.fork_at(header.number, header.timestamp, header.difficulty.is_zero());
        let last = record.transactions.len() - 1;
        let mut at = At { lies: &mut lies, block, index: 0, last, first: segment.start.first, fork };
        for (index, t) in record.transactions.iter().enumerate() {
            at.index = index;
            for (j, m) in t.moves.iter().enumerate() {
                about_move(&mut at, j, m, t.moves.len());
            }
            if t.bytes.is_empty() { about_system(&mut at) } else { about_transaction(&mut at, t) }
        }
        // Block 0 has no rules of bodies, and its header only its hash.
        if block > 0 {
            at.index = last;
            let end = place + 1 == segment.blocks.len();
            about_block(&mut at, &header, &record.body.ommers, record.body.withdrawals.as_ref(), end);
        }
    }
    lies
}

fn is_same_claim(a: &Judged, b: &Judged) -> bool {
    let claim = |j: &Judged| {
        let r = &j.report;
        (r.final_state.clone(), r.requirements, r.unchecked, r.blocks.clone(), r.chain.clone())
    };
    claim(a) == claim(b) && a.requirements == b.requirements
}

/// Tells every `step`-th lie (with `MANAFLOW_WHOLE=1` ten times as many, or all), from the first on or from another that
/// `MANAFLOW_SEED` names, and expects what it expects.
fn tell(sample: &Sample, step: usize) -> usize {
    let seed = manaflow_datasets::seed(0) as usize;
    let step = manaflow_datasets::amount(step, step.div_ceil(10));
    let honest = sample.judge().says_exactly(&[]);
    let mut wrong = Vec::new();
    let mut told = 0;
    for Lie { name, change, expected } in lies_about(sample).into_iter().skip(seed % step).step_by(step) {
        told += 1;
        let answer = sample.with(|s| change(s)).judge();
        let is_as_expected = match (&answer, &expected) {
            (Answer::Judged(judged), Expected::Fault(block, index, check, reason)) => {
                judged.report.verdict == Verdict::Invalid && judged.find(*block, *index, *check, *reason).is_some()
            }
            (Answer::Judged(judged), Expected::AnotherClaim) => {
                judged.report.verdict == Verdict::Invalid || !is_same_claim(judged, &honest)
            }
            (Answer::Refused(why), Expected::Refused(expected)) => why.contains(expected),
            (Answer::Refused(_), Expected::AnotherClaim) => true,
            _ => false,
        };
        if !is_as_expected {
            let got = match answer {
                Answer::Judged(judged) => format!("{:?} {:?}", judged.report.verdict, judged.report.invalid),
                Answer::Refused(why) => why,
            };
            wrong.push(format!("{name}: expected {expected:?}, got {got}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {told} lies:\n{}", wrong.len(), wrong.join("\n"));
    told
}

#[test]
fn no_lie_about_a_chain_from_genesis_survives() {
    let told = tell(&chain(), 3);
    assert!(told > 200, "{told}");
}

#[test]
fn no_lie_about_a_piece_survives() {
    let told = tell(&chain().cut(3..), 5);
    assert!(told > 100, "{told}");
}

fn execapis(data: &Path) -> Sample {
    let chain = data.join("chains/execapis");
    Sample::import(&[&chain.join("chain.rlp")], Some(&chain.join("genesis.json")))
}

/// Every fork from Frontier to the last. Most of the chain's bytes are the logs of block 2: the piece begins after it.
#[test]
fn no_lie_about_any_fork_survives() {
    let Some(data) = manaflow_datasets::data_for("no_lie_about_any_fork_survives") else { return };
    let told = tell(&execapis(&data).cut(3..), 59);
    assert!(told > 300, "{told}");
}

/// The same from genesis: nothing is open, so there is no other claim to hide in.
#[test]
fn no_lie_about_every_fork_from_genesis_survives() {
    let Some(data) = manaflow_datasets::data_for("no_lie_about_every_fork_from_genesis_survives") else { return };
    let told = tell(&execapis(&data), 499);
    assert!(told > 40, "{told}");
}

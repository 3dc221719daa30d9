//! One block: decoded once, then its rows judged by Solo in runs, and the whole by Block.

use super::faults::Faults;
use super::piece::{Piece, decode, hashes};
use super::{Checks, Progress, ValidateError};
use crate::backend::{Backends, signatures};
use crate::block::{BlockInput, BlockTransaction, Body, HeaderInput, Ommers, Roots, Unchecked};
use crate::block::{check_body, check_hashes, roots_of};
use crate::cpu::{CpuTime, Stage};
use crate::reason::{Check, Fault, Reason};
use crate::segment::{Head, evidence, links, one_waiting};
use crate::solo::check::{Checker, Claim};
use crate::solo::code::CodeTable;
use crate::solo::environment::Environment;
use crate::solo::machine::Executor;
use crate::solo::signature::{self as signing, Claimed, KnownKeys, Recovered, SignerKeys};
use crate::solo::system::SystemBlock;
use crate::solo::transaction::{self, Envelope, Undecodable};
use alloy_consensus::{Header, Transaction};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, Bytes, keccak256};
use manaflow_loader::file::{BlockFile, BlockView, MoveReader, OmmersView, RowView};
use manaflow_loader::model::{Cell, Location, Outcome, Value};
use manaflow_loader::rules::ChainRules;
use manaflow_loader::summary::{HEADS, Waiting};
use rayon::prelude::*;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Transactions that a worker takes at a time.
const RUN: usize = 32;
/// Transactions after which a group of blocks is full, at least and at most: batches gain by being large, workers by having
/// two groups each.
const GROUP_TRANSACTIONS: (usize, usize) = (1024, 4096);
/// The same where a device has the signatures.
const DEVICE_TRANSACTIONS: (usize, usize) = (4096, 1 << 16);
/// Blocks after which it is full all the same.
const GROUP_BLOCKS: usize = 64;

/// What all workers share.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    pub checks: Checks,
    pub backends: Backends,
    pub known: KnownKeys,
    /// Hints: keys of signers, one list a file.
    pub signer_keys: &'a [SignerKeys<'a>],
    /// One code table a file.
    pub codes: Vec<Arc<CodeTable>>,
    pub faults: &'a Faults,
    pub progress: &'a Progress,
    pub cpu: CpuTime,
}

thread_local! {
    /// A worker's EVM, kept from run to run. An EVM cannot be handed to another thread.
    static CHECKER: RefCell<Option<Checker>> = const { RefCell::new(None) };
}

/// Counts of one block.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct BlockCounts {
    pub transactions: u64,
    pub signatures: u64,
    pub moves: u64,
    pub gas: u64,
    pub unchecked: Unchecked,
    /// A rule that waits for the total difficulty.
    pub waiting: Option<Waiting>,
    /// The miner of a block whose ommers are known by hash only, and the block's closing.
    pub unknown_miner: Option<(Address, Location)>,
}

/// A block, decoded.
struct Decoded<'a> {
    view: BlockView<'a>,
    moves: MoveReader<'a>,
    header: Header,
    hash: B256,
    ommers: Option<Vec<Header>>,
    ommer_hashes: Vec<B256>,
    withdrawals: Option<Vec<Withdrawal>>,
    environment: Environment,
    /// All rows, system transactions included.
    rows: Vec<DecodedRow<'a>>,
}

struct DecodedRow<'a> {
    row: RowView<'a>,
    /// `None` for system transactions, and if the bytes do not decode (then why).
    envelope: Result<Option<Envelope>, Undecodable>,
    outcome: Option<Outcome>,
    requests: Vec<Bytes>,
    /// Who is said to have signed.
    declared: Recovered,
    /// Whom its signatures recover to, once that is known and if it was asked for.
    recovered: Recovered,
}

fn decode_block<'a>(file: &'a BlockFile, block: usize, rules: &ChainRules) -> Result<Decoded<'a>, ValidateError> {
    let view = file.block(block)?;
    let place = |part: &str| format!("block {} (row {block}), {part}", view.number());
    let header: Header = decode(file, view.header(), || place("header"))?;
    let (ommers, ommer_hashes) = match view.ommers() {
        OmmersView::Headers(list) => {
            let ommers: Vec<Header> = decode(file, list, || place("ommers"))?;
            let hashes = hashes(&ommers);
            (Some(ommers), hashes)
        }
        OmmersView::Hashes(_) if file.segments()[view.segment()].start.is_from_genesis() => {
            let reason = "ommers known by hash only in a segment from genesis, whose sources have them whole";
            return Err(manaflow_loader::Error::malformed(file.path(), place("ommers"), reason).into());
        }
        OmmersView::Hashes(list) => (None, list.iter().map(|h| B256::new(*h)).collect()),
    };
    let withdrawals = match view.withdrawals() {
        Some(list) => Some(decode(file, list, || place("withdrawals"))?),
        None => None,
    };
    let count = view.transactions().len();
    // A row is large: the list is not to grow by copies of itself.
    let mut rows = Vec::with_capacity(count);
    for (i, row) in view.transactions().enumerate() {
        let envelope = match i == 0 || i + 1 == count {
            true => Ok(None),
            false => transaction::decode(row.bytes()).map(Some),
        };
        let declared = Recovered { sender: row.sender(), authorities: row.authorities().collect() };
        let (outcome, requests) = (row.outcome()?, row.requests()?);
        rows.push(DecodedRow { row, envelope, outcome, requests, declared, recovered: Recovered::default() });
    }
    let hash = keccak256(view.header());
    let environment = Environment::new(&header, rules);
    let moves = view.move_reader();
    Ok(Decoded { view, moves, header, hash, ommers, ommer_hashes, withdrawals, environment, rows })
}

/// Cuts blocks into groups whose signatures are recovered together: enough to fill lanes and share inversions, few enough
/// that decoded blocks do not crowd the memory.
/// A device likes more at a time; while it has one group, the processor has the others to execute, and their signatures if it is
/// not done by then.
pub(super) fn groups<'w>(
    window: &'w [(usize, usize)],
    pieces: &[Piece<'_>],
    signatures: signatures::Backend,
) -> Vec<&'w [(usize, usize)]> {
    // A block that cannot be read is told of when it is decoded.
    let count =
        |&(piece, block): &(usize, usize)| pieces[piece].file.block(block).map_or(0, |view| view.transactions().len());
    let counts: Vec<usize> = window.iter().map(count).collect();
    let all: usize = counts.iter().sum();
    let (full, most_blocks) = match signatures {
        signatures::Backend::Wgpu => ((all / 4).clamp(DEVICE_TRANSACTIONS.0, DEVICE_TRANSACTIONS.1), usize::MAX),
        _ => {
            let share = all / (2 * rayon::current_num_threads());
            (share.clamp(GROUP_TRANSACTIONS.0, GROUP_TRANSACTIONS.1), GROUP_BLOCKS)
        }
    };
    let (mut groups, mut start, mut transactions) = (Vec::new(), 0, 0);
    for (i, count) in counts.into_iter().enumerate() {
        transactions += count;
        if transactions >= full || i + 1 - start == most_blocks || i + 1 == window.len() {
            groups.push(&window[start..=i]);
            (start, transactions) = (i + 1, 0);
        }
    }
    groups
}

/// Judges a group of blocks by Solo and Block, as far as asked for.
pub(super) fn judge_group(
    group: &[(usize, usize)],
    pieces: &[Piece<'_>],
    shared: &Shared<'_>,
) -> Result<Vec<(usize, BlockCounts)>, ValidateError> {
    if shared.checks.is_only(Check::Conflicts) {
        // Moves are judged beside; nothing else of a block is asked for.
        let count = |&(piece, block): &(usize, usize)| Ok((piece, count_block(pieces[piece].file, block, shared)?));
        return shared.cpu.within(Stage::Decoding, || group.iter().map(count).collect());
    }
    let decode = |&(piece, block): &(usize, usize)| {
        let file = pieces[piece].file;
        shared.cpu.within(Stage::Decoding, || decode_block(file, block, file.rules()))
    };
    let mut decoded = group.par_iter().map(decode).collect::<Result<Vec<_>, _>>()?;
    if shared.checks.has(Check::Signatures) {
        let keys = group.iter().map(|&(piece, _)| &shared.signer_keys[pieces[piece].file_index]);
        shared.cpu.within(Stage::Signatures, || recover_group(&mut decoded, &keys.collect::<Vec<_>>(), shared));
    }
    let transactions: Vec<_> = decoded.iter().map(Decoded::transactions).collect();
    let roots: Vec<Option<Roots>> = match shared.checks.has(Check::Hashes) {
        true => shared.cpu.within(Stage::Hashes, || {
            let bodies = decoded.iter().zip(&transactions).map(|(block, transactions)| block.body(transactions));
            roots_of(&bodies.collect::<Vec<_>>()).into_iter().map(Some).collect()
        }),
        false => vec![None; decoded.len()],
    };
    let blocks = group.par_iter().zip(&decoded).zip(transactions.par_iter().zip(&roots));
    let judged = blocks.map(|((&(piece, block), decoded), (transactions, roots))| {
        Ok((piece, judge(&pieces[piece], block, decoded, transactions, roots.as_ref(), shared)?))
    });
    judged.collect()
}

impl Decoded<'_> {
    /// Signed transactions as Block sees them.
    fn transactions(&self) -> Vec<BlockTransaction<'_>> {
        let signed = self.rows[1..self.rows.len() - 1].iter();
        signed
            .map(|r| {
                let envelope = r.envelope.as_ref().ok().and_then(Option::as_ref);
                BlockTransaction::new(r.row.bytes(), envelope, r.outcome.as_ref())
            })
            .collect()
    }

    /// Lists whose roots its header states.
    fn body<'a>(&'a self, transactions: &'a [BlockTransaction<'a>]) -> Body<'a> {
        Body { transactions, withdrawals: self.withdrawals.as_deref() }
    }
}

/// Recovers the signatures of all rows of some blocks, with the keys that the file of each gives.
fn recover_group(blocks: &mut [Decoded<'_>], keys: &[&SignerKeys<'_>], shared: &Shared<'_>) {
    let mut recovered = {
        let rows = blocks.iter().zip(keys).flat_map(|(block, keys)| block.rows.iter().map(move |row| (row, *keys)));
        let signed = rows.filter_map(|(row, keys)| {
            let tx = row.envelope.as_ref().ok()?.as_ref()?;
            Some(Claimed { tx, declared: &row.declared, keys, roots: row.row.signature_r() })
        });
        shared.known.recover_all(&signed.collect::<Vec<_>>(), shared.backends.signatures).into_iter()
    };
    for row in blocks.iter_mut().flat_map(|block| &mut block.rows) {
        if let Ok(Some(_)) = row.envelope {
            row.recovered = recovered.next().expect("one a transaction");
        }
    }
}

/// Judges a block by Solo and Block, as far as asked for.
fn judge(
    piece: &Piece<'_>,
    block: usize,
    decoded: &Decoded<'_>,
    transactions: &[BlockTransaction<'_>],
    roots: Option<&Roots>,
    shared: &Shared<'_>,
) -> Result<BlockCounts, ValidateError> {
    let mut counts = BlockCounts {
        transactions: decoded.rows.len() as u64 - 2,
        moves: decoded.view.moves().len() as u64,
        gas: decoded.rows.iter().filter_map(|r| r.outcome.as_ref()).map(|o| o.gas_used).fold(0, u64::saturating_add),
        unknown_miner: match (&decoded.ommers, decoded.rows.last()) {
            (None, Some(closing)) => Some((decoded.header.beneficiary, closing.row.location())),
            _ => None,
        },
        ..BlockCounts::default()
    };
    for envelope in decoded.rows.iter().filter_map(|r| r.envelope.as_ref().ok()?.as_ref()) {
        counts.signatures += 1 + envelope.authorization_list().map_or(0, |list| list.len() as u64);
    }
    if shared.checks.has(Check::Hashes) || shared.checks.has(Check::Blocks) {
        let judge = || judge_block(piece, block, decoded, transactions, roots, shared);
        let judged = shared.cpu.within(Stage::Decoding, judge);
        (counts.unchecked, counts.waiting) = judged?;
    }
    if shared.checks.has(Check::Signatures) || shared.checks.has(Check::Execution) {
        decoded.rows.par_chunks(RUN).try_for_each(|run| judge_run(piece, decoded, run, shared))?;
    }
    counts.show(shared.progress);
    Ok(counts)
}

impl BlockCounts {
    fn show(&self, progress: &Progress) {
        progress.blocks.fetch_add(1, Ordering::Relaxed);
        progress.transactions.fetch_add(self.transactions, Ordering::Relaxed);
        progress.moves.fetch_add(self.moves, Ordering::Relaxed);
        progress.gas.fetch_add(self.gas, Ordering::Relaxed);
    }
}

/// What a report counts of a block of which only the moves are judged.
fn count_block(file: &BlockFile, block: usize, shared: &Shared<'_>) -> Result<BlockCounts, ValidateError> {
    let view = file.block(block)?;
    let mut counts = BlockCounts {
        transactions: view.rows().len() as u64 - 2,
        moves: view.moves().len() as u64,
        ..BlockCounts::default()
    };
    if let OmmersView::Hashes(_) = view.ommers() {
        let header: Header = decode(file, view.header(), || format!("block {}, header", view.number()))?;
        counts.unknown_miner = view.transactions().last().map(|closing| (header.beneficiary, closing.location()));
    }
    if !file.is_moves_only() {
        for row in view.transactions() {
            counts.gas = counts.gas.saturating_add(row.gas_used());
            counts.signatures += match row.bytes().is_empty() {
                true => 0,
                false => transaction::decode(row.bytes())
                    .map_or(0, |envelope| 1 + envelope.authorization_list().map_or(0, |list| list.len() as u64)),
            };
        }
    }
    counts.show(shared.progress);
    Ok(counts)
}

fn judge_run(
    piece: &Piece<'_>,
    block: &Decoded<'_>,
    run: &[DecodedRow<'_>],
    shared: &Shared<'_>,
) -> Result<(), ValidateError> {
    let rules = piece.file.rules();
    let mut faults = Vec::new();
    if shared.checks.has(Check::Signatures) {
        let check = || {
            for DecodedRow { row, envelope, recovered, declared, .. } in run {
                match envelope {
                    Ok(None) => {}
                    Ok(Some(envelope)) => {
                        let (fork, location) = (block.environment.fork, row.location());
                        signing::check(envelope, recovered, declared, fork, rules, location, &mut faults);
                    }
                    Err(e) => faults.push(undecodable(row, Check::Signatures, e)),
                }
            }
        };
        shared.cpu.within(Stage::Signatures, check);
    }
    if shared.checks.has(Check::Execution) {
        let execute_run = |kept: &mut Option<Checker>| {
            let checker = kept.get_or_insert_with(|| Checker::new(&block.environment));
            checker.machine().set_backend(shared.backends.execution);
            checker.machine().set_block(&block.environment);
            checker.declared().set_codes(shared.codes[piece.file_index].clone());
            run.iter().try_for_each(|row| execute(piece, block, row, checker, &mut faults))
        };
        shared.cpu.within(Stage::Execution, || CHECKER.with_borrow_mut(execute_run))?;
    }
    shared.faults.take(piece.place, &mut faults);
    Ok(())
}

fn execute(
    piece: &Piece<'_>,
    block: &Decoded<'_>,
    decoded: &DecodedRow<'_>,
    checker: &mut Checker,
    faults: &mut Vec<Fault>,
) -> Result<(), ValidateError> {
    let row = &decoded.row;
    let moves = checker.declared().moves_mut();
    moves.clear();
    block.moves.read_into(row.moves(), moves)?;
    let claim = Claim {
        location: row.location(),
        sender: decoded.declared.sender,
        authorities: &decoded.declared.authorities,
        outcome: decoded.outcome.as_ref(),
        requests: &decoded.requests,
    };
    let system = SystemBlock {
        header: &block.header,
        environment: &block.environment,
        rules: piece.file.rules(),
        ommers: block.ommers.as_deref(),
        withdrawals: block.withdrawals.as_deref().unwrap_or_default(),
    };
    let last = block.rows.len() as u64 - 1;
    let judged = match (&decoded.envelope, claim.location.index()) {
        (Ok(Some(envelope)), _) => checker.transaction(envelope, claim, &system, faults),
        (Ok(None), index) if index == last => checker.closing(claim, &system, faults),
        (Ok(None), _) => checker.opening(claim, &system, faults),
        (Err(e), _) => {
            faults.push(undecodable(row, Check::Execution, e));
            Ok(())
        }
    };
    judged.map_err(|error| ValidateError::CannotJudge { path: piece.file.path().to_path_buf(), error })
}

fn undecodable(row: &RowView<'_>, check: Check, error: &Undecodable) -> Fault {
    let expected = match error.reason {
        Reason::PaymentOverflow => "less than 2^256",
        _ => "a transaction",
    };
    Fault::new(row.location(), check, error.reason, &error.why, expected)
}

fn judge_block(
    piece: &Piece<'_>,
    place: usize,
    block: &Decoded<'_>,
    transactions: &[BlockTransaction<'_>],
    roots: Option<&Roots>,
    shared: &Shared<'_>,
) -> Result<(Unchecked, Option<Waiting>), ValidateError> {
    let rules = piece.file.rules();
    let mut faults = Vec::new();
    let mut unchecked = Unchecked::default();
    let ommers = match &block.ommers {
        Some(ommers) => Ommers::Known(ommers),
        None => Ommers::HashesOnly(&block.ommer_hashes),
    };
    let number = block.view.number();
    let head = HeaderInput { number, header: &block.header, hash: block.hash, ommers };
    let closing = &block.rows[block.rows.len() - 1];
    let own = Cell::block_hash(number);
    let mut hash_write = None;
    for i in closing.row.moves() {
        let m = piece.file.move_at(i)?;
        if m.cell == own
            && let Value::Word(word) = m.next
        {
            hash_write = Some(word);
        }
    }
    let allocation = match number {
        0 => {
            let moves = block.rows[0].row.moves();
            let cells = moves.map(|i| piece.file.move_at(i).map(|m| (m.cell, m.next)));
            Some(cells.collect::<Result<Vec<_>, _>>()?)
        }
        _ => None,
    };
    let input = BlockInput {
        head,
        transactions,
        withdrawals: block.withdrawals.as_deref(),
        requests: &closing.requests,
        hash_write,
        allocation: allocation.as_deref(),
    };
    if let Some(roots) = roots {
        unchecked += shared.cpu.within(Stage::Hashes, || check_hashes(&input, roots, rules, &mut faults));
    }
    if shared.checks.has(Check::Blocks) {
        unchecked += shared.cpu.within(Stage::Blocks, || check_body(&input, rules, &mut faults));
    }
    let links = || judge_links(piece, place, shared, &mut faults, &mut unchecked);
    let waiting = shared.cpu.within(Stage::Blocks, links)?;
    shared.faults.take(piece.place, &mut faults);
    Ok((unchecked, waiting))
}

/// The rules between headers. Those of a piece's first headers wait for what a seam may bring (`segment`): what is found
/// here is for those who watch, and for a run that stops at the first fault.
fn judge_links(
    piece: &Piece<'_>,
    place: usize,
    shared: &Shared<'_>,
    faults: &mut Vec<Fault>,
    unchecked: &mut Unchecked,
) -> Result<Option<Waiting>, ValidateError> {
    let number = piece.number(place);
    let is_first = place == piece.blocks.start;
    let wants_headers = shared.checks.has(Check::Blocks) || (is_first && shared.checks.has(Check::Hashes));
    if !wants_headers {
        return Ok(None);
    }
    let (head, window) = (piece.head(place)?, piece.window(place)?);
    let total = piece.total_difficulty_before(place);
    let rules = piece.file.rules();
    if place - piece.blocks.start < HEADS {
        let mut again = Vec::new();
        if is_first {
            evidence(number, &window, shared.checks, &mut again);
        }
        if shared.checks.has(Check::Blocks) {
            links(number, &head, &window.iter().collect::<Vec<_>>(), total, rules, &mut again);
        }
        shared.faults.note(again.len());
        return Ok(None);
    }
    let window: Vec<&Head> = window.iter().collect();
    let mut lacks = links(number, &head, &window, total, rules, faults);
    let waits = std::mem::take(&mut lacks.merge_rules) > 0;
    *unchecked += lacks;
    let parent = window.last().map(|parent| &parent.header);
    Ok(waits.then(|| one_waiting(number, &head.header, parent, piece.difficulty_before(place))))
}

//! Each comparison that Solo makes between a claim and the execution: one claim false, and exactly the faults of it.

use super::code::Code;
use super::world::*;
use alloy_eips::eip4788::BEACON_ROOTS_ADDRESS;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, Bytes, U256};
use manaflow_engine::reason::{Fault, Reason};
use manaflow_engine::solo::environment::Environment;
use manaflow_engine::solo::meter::METERED_ABOVE;
use manaflow_loader::model::{AccountValue, Cell, Location, Mode, Move, Outcome, Status, Value, Version};
use manaflow_loader::rules::Fork;
use revm::bytecode::opcode as op;

/// A fault as it is told: reason, place of the move, got, expected.
type Told = (Reason, Option<u32>, String, String);

fn told(faults: &[Fault]) -> Vec<Told> {
    faults.iter().map(|f| (f.reason, f.move_index, f.got.clone(), f.expected.clone())).collect()
}

fn fault(reason: Reason, at: impl Into<Option<u32>>, got: impl Into<String>, expected: impl Into<String>) -> Told {
    (reason, at.into(), got.into(), expected.into())
}

const ABSENT: &str = "absent, generation 0";

fn say(value: &AccountValue) -> String {
    let AccountValue { nonce, balance, code_hash, generation, .. } = value;
    format!("nonce {nonce}, balance {balance}, code {code_hash:#x}, generation {generation}")
}

/// A call of a contract that reads slot 1, stores to slot 2 and logs twice. Moves: sender, contract, fee recipient, slots.
fn call() -> Recorded {
    let mut world = World::new(Fork::Cancun);
    let log = |code: Code, bytes: u64| code.number(bytes).number(0).op(&[op::LOG0]);
    world.run(log(log(Code::new().sload(1).sstore(2, 7), 1), 2).bytes());
    world.slot(CONTRACT, 1, 5);
    world.slot(CONTRACT, 2, 6);
    let block = world.record();
    assert!(block.succeeded(1));
    block
}

fn moves(block: &Recorded, index: usize) -> Vec<Move> {
    block.record.transactions[index].moves.clone()
}

/// What is told of the transaction at an index after a change of its moves.
fn changed(block: &Recorded, index: usize, change: impl FnOnce(&mut Vec<Move>)) -> Vec<Told> {
    let mut moves = moves(block, index);
    change(&mut moves);
    told(&block.faults(index, &moves))
}

/// What is told of it after a change of what is said beside the moves.
fn said(block: &Recorded, index: usize, change: impl FnOnce(&mut Said)) -> Vec<Told> {
    let mut said = block.said(index);
    change(&mut said);
    told(&block.judge(&mut block.checker(), index, &moves(block, index), &said))
}

fn outcome(said: &mut Said) -> &mut Outcome {
    said.outcome.as_mut().expect("an outcome")
}

#[test]
fn an_honest_claim_has_no_fault() {
    let block = call();
    assert_eq!(moves(&block, 1).len(), 5);
    assert_eq!(changed(&block, 1, |_| {}), []);
}

#[test]
fn moves_that_do_not_ascend_are_the_one_fault() {
    let block = call();
    let not_ascending = |at: u32, got: Cell, above: Cell| {
        [fault(Reason::MovesNotAscending, at, got.to_string(), format!("above {above}"))]
    };
    let slot = |n: u64| Cell::storage(CONTRACT, 0, U256::from(n));
    let [contract, miner] = [CONTRACT, MINER].map(Cell::account);
    assert_eq!(changed(&block, 1, |m| m.swap(1, 2)), not_ascending(2, contract, miner));
    assert_eq!(changed(&block, 1, |m| m.swap(3, 4)), not_ascending(4, slot(1), slot(2)));
    assert_eq!(changed(&block, 1, |m| m.insert(1, m[1])), not_ascending(2, contract, contract));
    let faults = block.faults(1, &[moves(&block, 1)[1]; 2]);
    assert_eq!(faults[0].cell, Some(contract));
}

#[test]
fn masks_and_modes() {
    let block = call();
    assert_eq!(changed(&block, 1, |m| m[3].mask = 5), [fault(Reason::WrongMask, 3, "0x5", "0x0")]);
    assert_eq!(changed(&block, 1, |m| m[0].mode = Mode::Read), [fault(Reason::ModeMismatch, 0, "read", "write")]);
    assert_eq!(changed(&block, 1, |m| m[3].mode = Mode::Write), [fault(Reason::ModeMismatch, 3, "write", "read")]);
}

#[test]
fn values_are_canonical_and_of_their_cells_kind() {
    let block = call();
    let reasons = |change: &dyn Fn(&mut Vec<Move>)| {
        changed(&block, 1, |m| change(m)).into_iter().map(|(reason, at, ..)| (reason, at)).collect::<Vec<_>>()
    };
    let absent_with_nonce = Value::Account(AccountValue { nonce: 1, ..AccountValue::ABSENT });
    let canonical = Value::Account(plain(1, 1));
    let word = Value::Word(U256::from(9));
    let not = Reason::ValueNotCanonical;
    // After only: execution leaves something else, too.
    for wrong in [absent_with_nonce, word] {
        assert_eq!(reasons(&|m| m[0].next = wrong), [(not, Some(0)), (Reason::WrongAfter, Some(0))]);
    }
    assert_eq!(reasons(&|m| m[4].next = canonical), [(not, Some(4)), (Reason::WrongAfter, Some(4))]);
    // Before only: a value that is absent whatever else it says.
    assert_eq!(reasons(&|m| m[2].prev = absent_with_nonce)[..2], [(Reason::ModeMismatch, Some(2)), (not, Some(2))]);
    // A before of another kind ends the run: nothing is compared.
    assert_eq!(reasons(&|m| m[0].prev = word), [(not, Some(0)), (not, None)]);
    assert_eq!(reasons(&|m| m[4].prev = canonical), [(not, Some(4)), (not, None)]);
}

#[test]
fn only_system_transactions_assume_and_only_the_default() {
    let block = call();
    let what = "a version, or the default in a system transaction";
    let assumed = |at| [fault(Reason::AssumedVersion, at, "assumed", what)];
    assert_eq!(changed(&block, 1, |m| m[2].intx = Version::Assumed), assumed(2));
    assert_eq!(changed(&block, 1, |m| m[4].intx = Version::Assumed), assumed(4));
    assert_eq!(changed(&block, 0, |m| assert_eq!(m[0].intx, Version::Assumed)), []);
    let mut world = World::new(Fork::Cancun);
    world.list(BEACON_ROOTS_ADDRESS, plain(0, 5));
    let listed = world.record();
    let expected = [fault(Reason::AssumedVersion, 0, say(&plain(0, 5)), what)];
    assert_eq!(changed(&listed, 0, |m| m[0].intx = Version::Assumed), expected);
}

#[test]
fn storage_comes_with_its_account_and_in_its_generation() {
    let block = call();
    let missing = |at| fault(Reason::MissingAccountMove, at, "none", Cell::account(CONTRACT).to_string());
    let undeclared = fault(Reason::UndeclaredCell, None, "touched", "no move");
    let got = changed(&block, 1, |m| _ = m.remove(1));
    assert_eq!(got, [missing(2), missing(3), undeclared.clone()]);
    let wrong = |at, got: &str, expected: &str| fault(Reason::WrongGeneration, at, got, expected);
    assert_eq!(changed(&block, 1, |m| m[4].cell.generation = 1), [wrong(4, "1", "0"), undeclared.clone()]);
    let got = changed(&block, 1, |m| {
        let Value::Account(contract) = &mut m[1].prev else { panic!("an account") };
        contract.generation = 3;
    });
    let mode = fault(Reason::ModeMismatch, 1, "read", "write");
    assert_eq!(got, [mode, wrong(3, "0", "3"), wrong(4, "0", "3"), undeclared]);
}

#[test]
fn outcomes_are_those_of_the_execution() {
    let block = call();
    let status = fault(Reason::WrongStatus, None, "success", "failure");
    assert_eq!(said(&block, 1, |s| outcome(s).status = Status::Failure), [status]);
    let root = |root: Option<B256>, expected: &str| {
        let got = said(&block, 1, |s| outcome(s).status = Status::Root(root));
        assert_eq!(got, [fault(Reason::WrongStatus, None, "success", expected)]);
    };
    root(None, "unknown root");
    root(Some(B256::repeat_byte(1)), &format!("root {:#x}", B256::repeat_byte(1)));
    let gas = block.gas(1);
    let got = said(&block, 1, |s| outcome(s).gas_used += 1);
    assert_eq!(got, [fault(Reason::WrongGasUsed, None, gas.to_string(), (gas + 1).to_string())]);
}

#[test]
fn logs_are_told_by_the_first_that_differs() {
    let block = call();
    let honest = outcome(&mut block.said(1)).logs.clone();
    assert_eq!(honest.len(), 2);
    let number = |n: usize, logs: &[alloy_primitives::Log]| {
        let (address, topics, data) = (logs[n].address, logs[n].topics(), &logs[n].data.data);
        format!("{} logs, number {n} of {address} {topics:?} {} bytes {data}", logs.len(), data.len())
    };
    let says = |change: &dyn Fn(&mut Vec<alloy_primitives::Log>), n: usize| {
        let mut logs = honest.clone();
        change(&mut logs);
        let say = |logs: &[_]| if n < logs.len() { number(n, logs) } else { format!("{} logs", logs.len()) };
        let got = said(&block, 1, |s| outcome(s).logs = logs.clone());
        assert_eq!(got, [fault(Reason::WrongLogs, None, say(&honest), say(&logs))]);
    };
    says(&|logs| logs[0].address = OTHER, 0);
    says(&|logs| logs[1].address = OTHER, 1);
    says(&|logs| _ = logs.pop(), 1);
    says(&|logs| logs.clear(), 0);
    says(&|logs| logs.push(logs[1].clone()), 2);
}

#[test]
fn a_status_counts_from_byzantium_on() {
    for (fork, counts) in [(Fork::SpuriousDragon, false), (Fork::Byzantium, true)] {
        let mut world = World::new(fork);
        world.send(OTHER, 1, 21_000, &[]);
        let block = world.record();
        let other = if counts { Status::Failure } else { Status::Root(Some(B256::repeat_byte(1))) };
        let got = said(&block, 1, |s| outcome(s).status = other);
        let reasons: Vec<_> = got.iter().map(|told| told.0).collect();
        assert_eq!(reasons, if counts { vec![Reason::WrongStatus] } else { vec![] }, "{fork:?}");
    }
}

#[test]
fn only_a_gas_limit_above_the_bound_is_metered() {
    for (gas_limit, is_metered) in [(METERED_ABOVE, false), (METERED_ABOVE + 1, true)] {
        let mut world = World::new(Fork::Cancun);
        world.header.gas_used = 1;
        let code = Code::new().sstore(2, 7);
        world.contract(CONTRACT, code.bytes(), 0);
        world.slot(CONTRACT, 2, 6);
        world.send(CONTRACT, 0, gas_limit, &[]);
        let block = world.record();
        let gas = block.gas(1);
        let got = said(&block, 1, |s| outcome(s).gas_used = 2);
        // The header's figure is the lesser one.
        let expected = if is_metered { "more than 1".into() } else { gas.to_string() };
        assert_eq!(got, [fault(Reason::WrongGasUsed, None, expected, "2")]);
    }
}

#[test]
fn without_sender_or_outcome() {
    let block = call();
    let nobody = fault(Reason::BadSignature, None, "nobody", "a sender");
    assert_eq!(said(&block, 1, |s| s.sender = None), [nobody]);
    let got = said(&block, 1, |s| s.outcome = None);
    assert_eq!(got[0], fault(Reason::MissingOutcome, None, "can be included", "no outcome"));
    // It is not run: what its moves say beyond the sender's read is false.
    let reasons: Vec<_> = got[1..].iter().map(|told| (told.0, told.1)).collect();
    let unused = [1, 2, 3, 4].map(|at| (Reason::UnusedMove, Some(at)));
    assert_eq!(reasons[0], (Reason::WrongAfter, Some(0)));
    assert_eq!(reasons[1..], unused);
}

/// One checker judges many transactions: nothing of one shows in the next.
#[test]
fn a_checker_forgets() {
    let block = call();
    let mut world = World::new(Fork::Cancun);
    world.list(SENDER, plain(1, FUNDS));
    world.send(OTHER, 0, 21_000, &[]);
    let refused = world.record();
    let mut checker = block.checker();
    let mut judge = |of: &Recorded, index: usize, moves: &[Move], said: &Said| {
        let mut reasons: Vec<_> = of.judge(&mut checker, index, moves, said).iter().map(|f| f.reason).collect();
        reasons.dedup();
        reasons
    };
    for _ in 0..2 {
        assert_eq!(judge(&block, 1, &moves(&block, 1), &block.said(1)), []);
        assert_eq!(judge(&refused, 1, &moves(&refused, 1), &refused.said(1)), [Reason::NonceTooLow]);
        assert_eq!(judge(&block, 0, &moves(&block, 0), &block.said(0)), []);
        assert_eq!(judge(&block, 1, &moves(&block, 1), &block.said(1)), []);
        let genesis = Said { location: Location::new(0, 1).unwrap(), ..block.said(2) };
        let cell = Cell { slot: U256::ZERO, ..own_hash().cell };
        assert_eq!(judge(&block, 2, &[Move { cell, ..own_hash() }], &genesis), []);
        assert_eq!(judge(&block, 1, &moves(&block, 1), &block.said(1)), []);
        // An execution that ends for a cell that is not there leaves nothing either.
        assert_eq!(judge(&block, 1, &moves(&block, 1)[..4], &block.said(1)), [Reason::UndeclaredCell]);
        assert_eq!(judge(&block, 2, &moves(&block, 2), &block.said(2)), []);
    }
}

#[test]
fn a_closing_that_ends_early_leaves_nothing_to_the_next() {
    let pay = |address| Withdrawal { index: 0, validator_index: 0, address, amount: 3 };
    let mut world = World::new(Fork::Shanghai);
    world.list(OTHER, plain(0, 1));
    world.list(THIRD, plain(0, 2));
    world.withdrawals = vec![pay(OTHER), pay(THIRD)];
    let block = world.record();
    let mut checker = block.checker();
    let honest = moves(&block, 1);
    assert_eq!(honest.len(), 3);
    for _ in 0..2 {
        let faults = block.judge(&mut checker, 1, &[honest[0], honest[2]], &block.said(1));
        assert_eq!(told(&faults), [fault(Reason::UndeclaredCell, None, "touched", "no move")]);
        assert_eq!(faults[0].cell, Some(Cell::account(THIRD)));
        assert_eq!(told(&block.judge(&mut checker, 1, &honest, &block.said(1))), []);
        assert_eq!(told(&block.judge(&mut checker, 0, &[], &block.said(0))), []);
    }
}

#[test]
fn a_header_that_lacks_what_its_fork_needs_runs_nothing() {
    let mut block = call();
    block.header.excess_blob_gas = None;
    block.environment = Environment::new(&block.header, &block.rules);
    let got = changed(&block, 1, |_| {});
    assert_eq!((got[0].0, got[0].3.as_str()), (Reason::ExcessBlobGasNotSet, "a header with all that its fork needs"));
    assert!(!got[0].2.is_empty());
    let reasons: Vec<_> = got[1..].iter().map(|told| told.0).collect();
    assert_eq!(reasons, [Reason::UnusedMove; 5]);
}

#[test]
fn system_transactions_declare_no_outcome_and_closings_their_requests() {
    let block = call();
    let success = Outcome { status: Status::Success, gas_used: 0, logs: vec![] };
    let unexpected = [fault(Reason::UnexpectedOutcome, None, "an outcome", "none")];
    for index in [0, 2] {
        assert_eq!(said(&block, index, |s| s.outcome = Some(success.clone())), unexpected);
    }
    let requests = vec![Bytes::from_static(&[1]), Bytes::from_static(&[2, 3])];
    let got = said(&block, 0, |s| s.requests = requests.clone());
    assert_eq!(got, [fault(Reason::WrongRequests, None, "[0x01, 0x0203]", "none")]);
    let got = said(&block, 2, |s| s.requests = requests);
    assert_eq!(got, [fault(Reason::WrongRequests, None, "[]", "[0x01, 0x0203]")]);
}

#[test]
fn the_allocation_writes_from_virgin_what_is_there() {
    let block = World::new(Fork::Homestead).record();
    let genesis = Said { location: Location::new(0, 0).unwrap(), ..block.said(0) };
    let [a, b, c] =
        [SENDER, CONTRACT, MINER].map(|addr| from(Version::Virgin, account(addr, AccountValue::ABSENT, plain(1, 2))));
    let stored = from(Version::Virgin, word(CONTRACT, 1, 0, 7));
    let judge = |moves: &[Move]| told(&block.judge(&mut block.checker(), 0, moves, &genesis));
    assert_eq!(judge(&[a, b, c, stored]), []);
    let unused = |at, got: &str| fault(Reason::UnusedMove, at, got, "a write of an account or a storage word");
    let before = |at, got: String| fault(Reason::WrongBefore, at, got, "virgin, the default");
    let after = |at, got: String| fault(Reason::WrongAfter, at, got, "present, generation 0");
    let read = from(Version::Virgin, absent(CONTRACT));
    assert_eq!(judge(&[a, read, c]), [unused(1, "read"), after(1, ABSENT.into())]);
    let hash = from(Version::Virgin, made(Cell::block_hash(7), Value::Word(U256::ZERO), Value::Word(U256::ONE)));
    assert_eq!(judge(&[a, hash]), [unused(1, "write")]);
    let based = Move { intx: Version::Base(3), ..b };
    assert_eq!(judge(&[a, based]), [before(1, format!("write, base(3), {ABSENT}"))]);
    let not_default = from(Version::Virgin, account(CONTRACT, plain(0, 1), plain(1, 2)));
    assert_eq!(judge(&[a, not_default]), [before(1, format!("write, virgin, {}", say(&plain(0, 1))))]);
    let reborn = AccountValue { generation: 1, ..plain(1, 2) };
    let dead = from(Version::Virgin, account(CONTRACT, AccountValue::ABSENT, reborn));
    assert_eq!(judge(&[a, dead]), [after(1, say(&reborn))]);
}

#[test]
fn the_closing_of_block_0_does_nothing_but_its_hash_write() {
    let mut world = World::new(Fork::Homestead);
    world.list(MINER, plain(0, 1));
    let block = world.record();
    let cell = Cell { slot: U256::ZERO, ..own_hash().cell };
    let genesis = Said { location: Location::new(0, 1).unwrap(), ..block.said(1) };
    let judge = |said: &Said, moves: &[Move]| told(&block.judge(&mut block.checker(), 1, moves, said));
    assert_eq!(judge(&genesis, &[Move { cell, ..own_hash() }]), []);
    let first = Said { location: Location::new(1, 1).unwrap(), ..block.said(1) };
    let hash = Move { cell: Cell { slot: U256::ONE, ..cell }, ..own_hash() };
    assert_eq!(judge(&first, &[hash])[0].0, Reason::UndeclaredCell, "the reward");
}

#[test]
fn a_closing_writes_its_blocks_hash_from_virgin() {
    let block = call();
    let missing = |at: Option<u32>, got: &str| [fault(Reason::MissingHashWrite, at, got, "a write from virgin")];
    let hash = Value::Word(B256::repeat_byte(0xbb).into());
    assert_eq!(changed(&block, 2, Vec::clear), missing(None, "no move"));
    let text = format!("{:#x}", U256::from_be_bytes([0xbb; 32]));
    assert_eq!(changed(&block, 2, |m| m[0].intx = Version::Base(7)), missing(Some(0), "write, base(7), 0x0"));
    assert_eq!(changed(&block, 2, |m| m[0].intx = written(1)), missing(Some(0), "write, 100:1, 0x0"));
    assert_eq!(changed(&block, 2, |m| m[0].intx = Version::Assumed), missing(Some(0), "write, assumed, 0x0"));
    assert_eq!(changed(&block, 2, |m| m[0].prev = Value::Word(U256::from(2))), missing(Some(0), "write, virgin, 0x2"));
    let got = changed(&block, 2, |m| (m[0].prev, m[0].mode) = (hash, Mode::Read));
    assert_eq!(got, missing(Some(0), &format!("read, virgin, {text}")));
    let got = changed(&block, 2, |m| (m[0].next, m[0].mode) = (m[0].prev, Mode::Read));
    assert_eq!(got, missing(Some(0), "read, virgin, 0x0"));
    let faults = block.faults(2, &[]);
    assert_eq!(faults[0].cell, Some(own_hash().cell));
}

#[test]
fn afters_are_those_of_the_execution() {
    let block = call();
    let honest = moves(&block, 1);
    let Value::Account(sender) = honest[0].next else { panic!("an account") };
    let richer = AccountValue { balance: sender.balance + U256::ONE, ..sender };
    let got = changed(&block, 1, |m| m[0].next = Value::Account(richer));
    assert_eq!(got, [fault(Reason::WrongAfter, 0, say(&sender), say(&richer))]);
    let gone = AccountValue::absent(1);
    let got = changed(&block, 1, |m| m[0].next = Value::Account(gone));
    assert_eq!(got, [fault(Reason::WrongAfter, 0, say(&sender), "absent, generation 1")]);
    let got = changed(&block, 1, |m| m[4].next = Value::Word(U256::from(8)));
    assert_eq!(got, [fault(Reason::WrongAfter, 4, "0x7", "0x8")]);
    // A read is of what stays.
    let got = changed(&block, 1, |m| (m[3].next, m[3].mode) = (Value::Word(U256::from(8)), Mode::Write));
    assert_eq!(got, [fault(Reason::WrongAfter, 3, "0x5", "0x8")]);
    let nobody = absent(Address::repeat_byte(0x77));
    let got = changed(&block, 1, |m| m.insert(3, nobody));
    assert_eq!(got, [fault(Reason::UnusedMove, 3, "not touched", "read")]);
}

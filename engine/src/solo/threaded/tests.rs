//! The loop against revm's, over programs that are made up.

use super::known::{Left, Which, every_instruction, run_code, run_known};
use super::{OPS, Op, is_available, other, self_test};
use crate::double_use::tests::Random;
use revm::bytecode::opcode as op;
use revm::interpreter::{InstructionResult, InterpreterAction};
use revm::primitives::hardfork::SpecId;

fn is_here(test: &str) -> bool {
    // Without optimizations calls are no jumps; with them they must be.
    assert!(is_available() || cfg!(debug_assertions), "calls in tail position are not jumps");
    if !is_available() {
        eprintln!("skipped: {test}: this build has no threaded loop");
    }
    is_available()
}

#[test]
fn every_instruction_leaves_what_revms_leaves() {
    if is_here("every_instruction_leaves_what_revms_leaves") {
        assert!(self_test());
        let ((action, stack, memory), _) = run_known(2, Which::Threaded);
        assert!(matches!(action, InterpreterAction::Return(result) if result.result == InstructionResult::Stop));
        assert!(stack.len() == 1 && memory.len() > 1000, "{} words, {} bytes", stack.len(), memory.len());
        assert!(memory[..32].iter().any(|byte| *byte != 0), "what rounds leave is folded into the first word");
    }
    // The tables have no instruction that the code above leaves out.
    let code = every_instruction(1);
    let mut used = [false; 256];
    let mut at = 0;
    while at < code.len() {
        used[code[at] as usize] = true;
        at += 1 + if (op::PUSH1..=op::PUSH32).contains(&code[at]) { (code[at] - op::PUSH1 + 1) as usize } else { 0 };
    }
    for (opcode, own) in OPS[2].iter().enumerate() {
        assert!(std::ptr::fn_addr_eq(*own, other as Op) || used[opcode], "{opcode:#x}");
    }
}

/// What a frame gave; of one that halts only that it does.
fn given(code: &[u8], spec: SpecId, gas: u64, which: Which) -> Option<Left> {
    let (left, _) = run_code(code, spec, gas, which);
    match &left.0 {
        InterpreterAction::Return(result) if result.is_halt() => None,
        _ => Some(left),
    }
}

fn agree(code: &[u8], spec: SpecId, gas: u64) -> bool {
    let plain = given(code, spec, gas, Which::Plain);
    assert_eq!(given(code, spec, gas, Which::Threaded), plain, "{spec:?}, {gas} gas, {code:02x?}");
    plain.is_some()
}

/// Programs of any opcodes, more often such as are taken together, jumps to where one may jump; gas that is enough, and
/// every amount that is not.
#[test]
fn programs_leave_what_they_leave_by_revms_loop() {
    if !is_here("programs_leave_what_they_leave_by_revms_loop") {
        return;
    }
    let specs =
        [SpecId::FRONTIER, SpecId::BYZANTIUM, SpecId::PETERSBURG, SpecId::LONDON, SpecId::SHANGHAI, SpecId::OSAKA];
    let mut random = Random(0x7eaded);
    let mut ended = 0;
    for round in 0..20_000 {
        let code = program(&mut random);
        let spec = specs[random.below(specs.len())];
        let gas = if round % 4 == 0 { random.below(400) as u64 } else { 5_000 };
        ended += usize::from(agree(&code, spec, gas));
    }
    assert!(ended > 4_000, "{ended} programs come to an end");
    for _ in 0..40 {
        let code = program(&mut random);
        (0..200).for_each(|gas| _ = agree(&code, SpecId::OSAKA, gas));
    }
}

/// A stack that is as full, or as empty, as can be, before each opcode.
#[test]
fn full_and_empty_stacks_are_told() {
    if !is_here("full_and_empty_stacks_are_told") {
        return;
    }
    // The host of these tests has no value for DIFFICULTY.
    for opcode in (0..=255u8).filter(|opcode| *opcode != op::DIFFICULTY) {
        for after in [&[op::STOP][..], &[op::PUSH2, 0, 0, op::JUMPI], &[op::PUSH1, 9, op::ADD], &[op::JUMPI]] {
            for words in (0..20).chain(1020..=1025) {
                let pushes = [op::PUSH1, 1].repeat(words);
                let code = [&pushes[..], &[opcode], after].concat();
                agree(&code, SpecId::OSAKA, 100_000);
            }
        }
    }
}

fn program(random: &mut Random) -> Vec<u8> {
    const COMMON: [u8; 24] = [
        op::PUSH1,
        op::PUSH1,
        op::PUSH2,
        op::JUMPDEST,
        op::JUMP,
        op::JUMPI,
        op::ADD,
        op::ISZERO,
        op::LT,
        op::GT,
        op::EQ,
        op::SLT,
        op::SGT,
        op::DUP1,
        op::SWAP1,
        op::POP,
        op::MLOAD,
        op::MSTORE,
        op::MSTORE8,
        op::SHL,
        op::SHR,
        op::GAS,
        op::PUSH0,
        op::PC,
    ];
    let mut code = Vec::new();
    let mut places = Vec::new();
    (0..random.below(40)).for_each(|i| code.extend([op::PUSH1, i as u8]));
    for _ in 0..random.below(60) + 1 {
        match random.below(40) {
            0 => code.push(random.below(256) as u8),
            1..5 => {
                code.extend([COMMON[7 + random.below(6)], op::PUSH2, 0, 0, op::JUMPI]);
                places.push(code.len() - 3);
            }
            5..8 => {
                code.extend([op::PUSH2, 0, 0, op::JUMP + random.below(2) as u8]);
                places.push(code.len() - 3);
            }
            8..12 => {
                let width = random.below(32) as u8;
                code.push(op::PUSH1 + width);
                code.extend((0..=width).map(|_| random.below(256) as u8));
            }
            12..20 => code.extend([op::PUSH1, random.below(96) as u8]),
            _ => code.push(COMMON[random.below(COMMON.len())]),
        }
    }
    code.push(op::JUMPDEST);
    let jumps: Vec<usize> = (0..code.len()).filter(|i| code[*i] == op::JUMPDEST).collect();
    for at in places {
        // Mostly ahead: what goes back seldom comes to an end.
        let ahead: Vec<usize> = jumps.iter().copied().filter(|to| *to > at || random.once_in(8)).collect();
        let to = ahead[random.below(ahead.len())];
        code[at..at + 2].copy_from_slice(&(to as u16).to_be_bytes());
    }
    // The host of these tests has no value for it.
    code.iter_mut().filter(|byte| **byte == op::DIFFICULTY).for_each(|byte| *byte = op::NUMBER);
    code
}

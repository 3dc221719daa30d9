//! A program with every instruction that the loop has of its own, run by either loop: what the self-test compares.

use super::run_measured;
use alloy_primitives::U256;
use revm::bytecode::{Bytecode, opcode as op};
use revm::context_interface::host::DummyHost;
use revm::interpreter::instructions::{gas_table_spec, instruction_table};
use revm::interpreter::interpreter::{EthInterpreter, ExtBytecode, InputsImpl};
use revm::interpreter::{Interpreter, InterpreterAction, SharedMemory};
use revm::primitives::hardfork::SpecId;

/// Which loop.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Plain,
    Threaded,
}

/// What is left of a frame: how it ended, its stack and its memory.
pub(super) type Left = (InterpreterAction, Vec<U256>, Vec<u8>);

/// Every instruction of this loop so many times, its words ready: what is left, and how deep the machine's stack went.
pub(super) fn run_known(times: usize, which: Which) -> (Left, usize) {
    let mut code = Vec::new();
    for _ in 0..times {
        every_instruction(&mut code);
    }
    code.push(op::STOP);
    run_code(&code, SpecId::OSAKA, 1 << 20, which)
}

pub(super) fn run_code(code: &[u8], spec: SpecId, gas: u64, which: Which) -> (Left, usize) {
    let bytecode = ExtBytecode::new(Bytecode::new_legacy(code.to_vec().into()));
    let input = InputsImpl { call_value: U256::from(0x77), ..InputsImpl::default() };
    let mut interpreter = Interpreter::new(SharedMemory::new(), bytecode, input, false, spec, gas);
    let (instructions, gas_table) = (instruction_table::<EthInterpreter, DummyHost>(), gas_table_spec(spec));
    let mut host = DummyHost::new(spec);
    let (action, depth) = match which {
        Which::Plain => (interpreter.run_plain(&instructions, &gas_table, &mut host), 0),
        Which::Threaded => run_measured(&mut interpreter, &instructions, &gas_table, &mut host),
    };
    let memory = interpreter.memory.context_memory().to_vec();
    ((action, interpreter.stack.data().clone(), memory), depth)
}

/// Each instruction that is set in the tables, between pushes of what it needs.
pub(super) fn every_instruction(code: &mut Vec<u8>) {
    let push = |code: &mut Vec<u8>, bytes: &[u8]| {
        code.push(op::PUSH1 + bytes.len() as u8 - 1);
        code.extend(bytes);
    };
    let words = [[0x93; 32], [0x5a; 32]];
    for binary in [op::ADD, op::SUB, op::MUL, op::AND, op::OR, op::XOR, op::LT, op::GT, op::EQ, op::SLT, op::SGT] {
        words.iter().for_each(|word| push(code, word));
        code.push(binary);
    }
    for (shift, by) in [(op::SHL, 9), (op::SHR, 77), (op::SHL, 255)] {
        push(code, &words[0]);
        push(code, &[by]);
        code.push(shift);
    }
    code.extend([
        op::ISZERO,
        op::NOT,
        op::GAS,
        op::ADDRESS,
        op::CALLER,
        op::CALLVALUE,
        op::CALLDATASIZE,
        op::PUSH0,
        op::POP,
    ]);
    // The first words of memory are revm's to make.
    for opcodes in [[op::MSTORE, op::MLOAD], [op::MSTORE, op::MLOAD]] {
        push(code, &words[1]);
        push(code, &[7]);
        code.push(opcodes[0]);
        push(code, &[11]);
        code.push(opcodes[1]);
    }
    let bytes: [u8; 32] = std::array::from_fn(|i| i as u8 + 0xc1);
    (1..=32).for_each(|n| push(code, &bytes[..n]));
    code.extend(op::DUP1..=op::DUP16);
    code.extend(op::SWAP1..=op::SWAP16);
    // Alone, and as they come in pairs.
    push(code, &[5]);
    code.push(op::ADD);
    for width in [1, 2] {
        for (is_conditional, is_taken) in [(false, true), (true, true), (true, false)] {
            if is_conditional {
                push(code, &[u8::from(is_taken)]);
            }
            let to = code.len() + width + 2 + usize::from(!is_taken);
            if width == 1 && to > 0xff {
                continue; // beyond what one byte says
            }
            push(code, &to.to_be_bytes()[8 - width..]);
            code.push(if is_conditional { op::JUMPI } else { op::JUMP });
            code.push(op::JUMPDEST);
        }
    }
    for truth in [[op::CALLER, op::ISZERO, op::ISZERO], [op::GAS, op::GAS, op::GT], [op::GAS, op::GAS, op::LT]] {
        code.extend(truth);
        let to = code.len() + 4;
        push(code, &to.to_be_bytes()[6..]);
        code.extend([op::JUMPI, op::JUMPDEST]);
    }
    // By words, so that nothing is taken together.
    let to = code.len() + 11;
    push(code, &[&[0; 6], &to.to_be_bytes()[6..]].concat());
    code.extend([op::JUMPDEST, op::JUMP, op::JUMPDEST]);
    push(code, &[1]);
    let to = code.len() + 12;
    push(code, &[&[0; 6], &to.to_be_bytes()[6..]].concat());
    code.extend([op::DUP2, op::SWAP1, op::JUMPI, op::JUMPDEST]);
    // What is left is taken away, or three times would not fit.
    code.extend([op::POP; 48]);
}

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

/// Every instruction of this loop, in so many rounds: what is left, and how deep the machine's stack went.
pub(super) fn run_known(rounds: u8, which: Which) -> (Left, usize) {
    run_code(&every_instruction(rounds), SpecId::OSAKA, 1 << 20, which)
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

/// A loop over each instruction that is set in the tables, alone and as they are taken together, in the common case and
/// where revm's takes over. What a round leaves is folded into the first word of memory.
pub(super) fn every_instruction(rounds: u8) -> Vec<u8> {
    let push = |code: &mut Vec<u8>, bytes: &[u8]| {
        code.push(op::PUSH1 + bytes.len() as u8 - 1);
        code.extend(bytes);
    };
    // A jump to the JUMPDEST right behind it, taken or not, its place pushed by so many bytes.
    let jump = |code: &mut Vec<u8>, width: usize, opcode: u8| {
        let to = code.len() + width + 2;
        assert!(to >> (8 * width.min(4)) == 0, "{to} is beyond {width} bytes");
        push(code, &to.to_be_bytes().repeat(4)[32 - width..]);
        code.extend([opcode, op::JUMPDEST]);
    };
    let mut code = vec![op::PUSH1, rounds, op::JUMPDEST];
    let again = code.len() - 1;
    // By one byte first: they reach the beginning of the code only. By eight bytes nothing is taken together.
    for width in [1, 2, 8] {
        jump(&mut code, width, op::JUMP);
        for is_taken in [1, 0] {
            push(&mut code, &[is_taken]);
            jump(&mut code, width, op::JUMPI);
        }
    }
    let words = [[0x93; 32], [0x5a; 32]];
    for compare in [op::LT, op::GT, op::EQ, op::SLT, op::SGT] {
        for [a, b] in [[0, 1], [1, 0], [1, 1]] {
            push(&mut code, &words[a]);
            push(&mut code, &words[b]);
            code.push(compare);
            jump(&mut code, 2, op::JUMPI);
        }
    }
    for word in [0, 1] {
        push(&mut code, &[word]);
        code.push(op::ISZERO);
        jump(&mut code, 2, op::JUMPI);
    }
    // Memory that each round is the first to touch, and then once more: from place (8 - rounds left) * 200 on.
    code.extend([op::DUP1, op::PUSH1, 8, op::SUB, op::PUSH1, 200, op::MUL, op::DUP1, op::MLOAD, op::POP]);
    code.extend([op::DUP1, op::PUSH1, 100, op::ADD, op::CALLER, op::NOT, op::DUP2, op::MSTORE]);
    code.extend([op::DUP1, op::MLOAD, op::SWAP1, op::PUSH1, 0x77, op::SWAP1, op::MSTORE, op::SWAP1, op::MLOAD]);
    let mut left = 2; // words above the count of rounds
    for binary in [op::ADD, op::SUB, op::MUL, op::AND, op::OR, op::XOR, op::LT, op::GT, op::EQ, op::SLT, op::SGT] {
        words.iter().for_each(|word| push(&mut code, word));
        code.push(binary);
        left += 1;
    }
    for (shift, by) in [(op::SHL, &[9][..]), (op::SHR, &[77]), (op::SHL, &[255]), (op::SHR, &[1, 0])] {
        push(&mut code, &words[0]);
        push(&mut code, by);
        code.push(shift);
        left += 1;
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
    left += 5;
    let bytes: [u8; 32] = std::array::from_fn(|i| i as u8 + 0xc1);
    (1..=32).for_each(|n| push(&mut code, &bytes[..n]));
    code.extend(op::DUP1..=op::DUP16);
    code.extend(op::SWAP1..=op::SWAP16);
    left += 32 + 16;
    code.extend([op::PUSH1, 5, op::ADD, op::PUSH2, 5, 5, op::ADD]);
    code.extend([op::XOR].repeat(left - 1));
    code.extend([op::PUSH1, 0, op::MLOAD, op::ADD, op::PUSH1, 0, op::MSTORE]);
    // One round less, and again while there are any.
    code.extend([op::PUSH1, 1, op::SWAP1, op::SUB, op::DUP1, op::PUSH1, again as u8, op::JUMPI, op::STOP]);
    code
}

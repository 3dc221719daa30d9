//! KECCAK256 with a memory of what it has hashed before, a worker's own.
//!
//! Most hashes that contracts ask for are of 64 bytes: a key and the slot of its mapping; and the same holders, pools and slots
//! come again and again. Rows are direct-mapped, so a repeat costs a comparison and a stranger the hash it would cost anyway.
//! Everything else (other lengths, memory to be extended, an empty stack) is revm's own instruction.

use super::database::{Befores, Db};
use alloy_primitives::{B256, U256, keccak256};
use revm::bytecode::opcode::KECCAK256;
use revm::context_interface::Host;
use revm::handler::MainnetContext;
use revm::interpreter::instructions::system;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::{Instruction, InstructionContext, InstructionExecResult, InstructionResult, gas_table};

/// Bytes of a message that is remembered.
const LENGTH: usize = 64;
/// Rows: 96 kB, which stay in a core's second cache.
const ROWS: usize = 1024;

type Message = [u8; LENGTH];

/// Messages and their hashes.
#[derive(Default)]
pub struct KeccakMemo {
    /// Empty until the first message.
    rows: Vec<(Message, B256)>,
}

impl std::fmt::Debug for KeccakMemo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeccakMemo").finish_non_exhaustive()
    }
}

impl KeccakMemo {
    /// Keccak-256 of a message.
    fn hash(&mut self, message: &Message) -> B256 {
        if self.rows.is_empty() {
            let zeros = [0; LENGTH];
            self.rows.resize(ROWS, (zeros, keccak256(zeros)));
        }
        let row = &mut self.rows[place(message)];
        if row.0 != *message {
            *row = (*message, keccak256(message));
        }
        row.1
    }
}

/// The message's row: words multiplied in pairs, halves of the products folded. Who makes rows collide only loses time.
fn place(message: &Message) -> usize {
    const KEYS: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93];
    let mut words = message.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes")));
    let mut folded = 0;
    while let (Some(a), Some(b)) = (words.next(), words.next()) {
        let product = u128::from(a ^ KEYS[0]) * u128::from(b ^ KEYS[1]);
        folded = (folded ^ product as u64 ^ (product >> 64) as u64).rotate_left(23);
    }
    // The upper bits are the well mixed ones.
    (folded.wrapping_mul(KEYS[0]) >> (u64::BITS - ROWS.ilog2())) as usize
}

/// The instruction, and the gas that its table takes.
pub(super) fn instruction<B: Befores>() -> (u8, Instruction<EthInterpreter, MainnetContext<Db<B>>>, u16) {
    (KECCAK256, Instruction::new(remembered::<B>), gas_table()[KECCAK256 as usize])
}

fn remembered<B: Befores>(
    context: InstructionContext<'_, MainnetContext<Db<B>>, EthInterpreter>,
) -> InstructionExecResult {
    let interpreter = &mut *context.interpreter;
    let (offset, length) = (interpreter.stack.peek(0), interpreter.stack.peek(1));
    let (Ok(offset), Ok(length)) = (offset, length) else { return system::keccak256(context) };
    let end = offset.checked_add(U256::from(LENGTH));
    if length != U256::from(LENGTH) || end.is_none_or(|end| end > U256::from(interpreter.memory.len())) {
        return system::keccak256(context);
    }
    if !interpreter.gas.record_regular_cost(context.host.gas_params().keccak256_cost(LENGTH)) {
        return Err(InstructionResult::OutOfGas);
    }
    let message: Message =
        interpreter.memory.slice_len(offset.to(), LENGTH)[..].try_into().expect("so many were taken");
    let hash = context.host.journaled_state.database.memo.hash(&message);
    if let Some(([_], top)) = interpreter.stack.popn_top() {
        *top = hash.into();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Many more messages than rows, each asked for again at once and much later, and some that share a row.
    #[test]
    fn hashes_are_keccak_whatever_was_hashed_before() {
        let mut memo = KeccakMemo::default();
        let message = |i: u64| {
            let mut message = [0; LENGTH];
            message[12..20].copy_from_slice(&(i / 7).to_le_bytes());
            message[56..].copy_from_slice(&(i % 7).to_be_bytes());
            message
        };
        let mut used = [0u32; ROWS];
        for i in (0..6000).chain(0..6000) {
            let message = message(i);
            for _ in 0..2 {
                assert_eq!(memo.hash(&message), keccak256(message), "{i}");
            }
            used[place(&message)] += 1;
        }
        assert!(used.iter().filter(|&&n| n > 0).count() > ROWS * 9 / 10, "messages spread over rows");
        let same_row = (1..).map(message).find(|other| place(other) == place(&message(0))).expect("rows are few");
        for message in [message(0), same_row, message(0), [0; LENGTH]] {
            assert_eq!(memo.hash(&message), keccak256(message));
        }
    }
}

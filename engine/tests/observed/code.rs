//! Bytecode by hand.

use alloy_primitives::{Address, U256};
use revm::bytecode::opcode as op;

/// Bytecode under construction; every method leaves the stack as it was, but for `op` and `push`.
#[derive(Clone, Default)]
pub struct Code(Vec<u8>);

impl Code {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Instructions.
    pub fn op(mut self, ops: &[u8]) -> Self {
        self.0.extend_from_slice(ops);
        self
    }

    /// A word on the stack.
    pub fn push(mut self, word: U256) -> Self {
        self.0.push(op::PUSH32);
        self.0.extend_from_slice(&word.to_be_bytes::<32>());
        self
    }

    /// A number on the stack.
    pub fn number(self, number: u64) -> Self {
        self.push(U256::from(number))
    }

    /// An address on the stack.
    pub fn address(self, addr: Address) -> Self {
        self.push(addr.into_word().into())
    }

    /// Asks one of BALANCE, EXTCODESIZE, EXTCODEHASH about an account.
    pub fn ask(self, instruction: u8, addr: Address) -> Self {
        self.address(addr).op(&[instruction, op::POP])
    }

    /// Loads a slot.
    pub fn sload(self, slot: u64) -> Self {
        self.number(slot).op(&[op::SLOAD, op::POP])
    }

    /// Stores to a slot.
    pub fn sstore(self, slot: u64, value: u64) -> Self {
        self.number(value).number(slot).op(&[op::SSTORE])
    }

    /// Asks for the hash of a block.
    pub fn blockhash(self, number: u64) -> Self {
        self.number(number).op(&[op::BLOCKHASH, op::POP])
    }

    /// Calls without data; the result stays on the stack.
    pub fn call(self, addr: Address, gas: u64, value: u64) -> Self {
        let zeros = self.number(0).number(0).number(0).number(0);
        zeros.number(value).address(addr).number(gas).op(&[op::CALL])
    }

    /// DELEGATECALL, STATICCALL: without data and value; the result stays on the stack.
    pub fn call_as(self, instruction: u8, addr: Address, gas: u64) -> Self {
        let zeros = self.number(0).number(0).number(0).number(0);
        zeros.address(addr).number(gas).op(&[instruction])
    }

    /// Puts bytes at the beginning of memory.
    pub fn memory(self, bytes: &[u8]) -> Self {
        bytes.chunks(32).enumerate().fold(self, |code, (i, chunk)| {
            let mut word = [0; 32];
            word[..chunk.len()].copy_from_slice(chunk);
            code.push(U256::from_be_bytes(word)).number(32 * i as u64).op(&[op::MSTORE])
        })
    }

    /// CREATE; the address stays on the stack.
    pub fn create(self, value: u64, init: &[u8]) -> Self {
        self.memory(init).number(init.len() as u64).number(0).number(value).op(&[op::CREATE])
    }

    /// CREATE2 with salt 0; the address stays on the stack.
    pub fn create2(self, value: u64, init: &[u8]) -> Self {
        self.memory(init).number(0).number(init.len() as u64).number(0).number(value).op(&[op::CREATE2])
    }

    /// Destroys the running contract.
    pub fn selfdestruct(self, beneficiary: Address) -> Self {
        self.address(beneficiary).op(&[op::SELFDESTRUCT])
    }

    /// Undoes the frame.
    pub fn revert(self) -> Self {
        self.number(0).number(0).op(&[op::REVERT])
    }

    /// Returns bytes: as code that creates, the contract's.
    pub fn returns(self, bytes: &[u8]) -> Self {
        self.memory(bytes).number(bytes.len() as u64).number(0).op(&[op::RETURN])
    }
}

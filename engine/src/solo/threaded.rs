//! An interpreter loop over revm's frames in which each instruction ends by calling the next one: every instruction has its
//! own indirect jump, and instruction pointer, stack pointer and gas stay in registers. revm's own loop is the definition.
//!
//! Here are only instructions that see nothing but stack, memory, code and gas. Everything else, and whatever here is not
//! the common case, is revm's instruction of the same table (which may have been exchanged: KECCAK256, SSTORE). Some pairs
//! are taken together: PUSH1 or PUSH2 before JUMP, JUMPI and ADD; a comparison before PUSH2 and JUMPI; a jump and the JUMPDEST
//! that it reaches. Where a pair cannot be paid whole, it is not taken together, or the frame halts as it would have
//! halted one instruction later. So of a frame that halts the reason may differ (gas before stack); gas, output, state, and
//! whether it halts do not.
//!
//! The compiler makes calls in tail position jumps where it optimizes, but does not promise it: [`is_available`] says
//! whether it did. Where it did not, the stack of the machine would grow with each instruction, and nobody may use this loop.
//! Oracle: revm's loop, in the tests beside this file, in `tests/observed` and `tests/fuzz`, and over all spec tests.
#![allow(unsafe_code)]

mod known;
#[cfg(test)]
mod tests;

use alloy_primitives::U256;
use known::{Which, run_known};
use revm::bytecode::opcode as op;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::interpreter_types::{Jumps, LoopControl};
use revm::interpreter::{
    GasTable, Host, InstructionContext, InstructionResult, InstructionTable, Interpreter, InterpreterAction,
    STACK_LIMIT,
};
use revm::primitives::hardfork::SpecId;
use std::sync::OnceLock;

/// An instruction: pointer behind its opcode, pointer behind the top of the stack, gas left, the rest.
///
/// # Safety
/// What [`run`] has set up holds: both pointers and all of the state are of one frame.
type Op = unsafe extern "C-unwind" fn(*const u8, *mut U256, u64, *mut State);

/// revm's instruction for the opcode before the pointer; false ends the frame.
///
/// # Safety
/// As of [`Op`].
type Other = unsafe fn(*mut State, *const u8, *mut U256, u64) -> bool;

/// A frame under way.
struct State {
    ops: *const Op,
    /// First word of the stack, and the end of the last.
    bottom: *mut U256,
    limit: *mut U256,
    memory: *mut u8,
    memory_len: usize,
    code: *const u8,
    /// A bit for each byte of code: whether it is a JUMPDEST.
    jumps: *const u8,
    code_len: usize,
    interpreter: *mut Interpreter<EthInterpreter>,
    other: Other,
    /// What revm's instruction left.
    ip: *const u8,
    sp: *mut U256,
    gas: u64,
    host: *mut (),
    instructions: *const (),
    gas_table: *const GasTable,
    end: InstructionResult,
    /// Lowest address of the machine's stack seen where revm's instructions are called.
    depth: usize,
}

impl State {
    /// Tells the interpreter where the frame stands.
    ///
    /// # Safety
    /// As of [`Op`].
    #[inline(always)]
    unsafe fn save(&mut self, ip: *const u8, sp: *mut U256, gas: u64) {
        // SAFETY: the interpreter outlives the run, and nobody else has it; `ip` points into its code, `sp` into its stack,
        // of which all words below have been written.
        unsafe {
            let interpreter = &mut *self.interpreter;
            interpreter.bytecode.absolute_jump(ip.offset_from(self.code) as usize);
            interpreter.stack.data_mut().set_len(sp.offset_from(self.bottom) as usize);
            interpreter.gas.set_remaining(gas);
        }
    }

    /// Takes from the interpreter where the frame stands; memory may have moved.
    ///
    /// # Safety
    /// As of [`Op`].
    #[inline(always)]
    unsafe fn load(&mut self) {
        // SAFETY: the interpreter outlives the run, and nobody else has it.
        unsafe {
            let interpreter = &mut *self.interpreter;
            self.ip = self.code.add(interpreter.bytecode.pc());
            self.sp = self.bottom.add(interpreter.stack.len());
            self.gas = interpreter.gas.remaining();
            let mut memory = interpreter.memory.context_memory_mut();
            (self.memory, self.memory_len) = (memory.as_mut_ptr(), memory.len());
        }
    }
}

/// revm's instruction.
///
/// # Safety
/// As of [`Op`]; `H` is the host's type.
unsafe fn other_of<H: Host>(state: *mut State, ip: *const u8, sp: *mut U256, gas: u64) -> bool {
    // SAFETY: `run` has put host and instructions of this type there, and they outlive it.
    unsafe {
        let state = &mut *state;
        let here = 0u8;
        state.depth = state.depth.min(std::ptr::from_ref(&here).addr());
        let opcode = *ip.sub(1) as usize;
        state.save(ip, sp, gas);
        let interpreter = &mut *state.interpreter;
        if interpreter.gas.record_cost_unsafe(u64::from((&*state.gas_table)[opcode])) {
            state.end = InstructionResult::OutOfGas;
            return false;
        }
        let instructions = &*state.instructions.cast::<InstructionTable<EthInterpreter, H>>();
        let host = &mut *state.host.cast::<H>();
        if let Err(end) = instructions[opcode].execute(InstructionContext { interpreter, host }) {
            state.end = end;
            return false;
        }
        state.load();
        true
    }
}

/// Ends the frame.
///
/// # Safety
/// As of [`Op`].
#[cold]
#[inline(never)]
unsafe extern "C-unwind" fn halt(ip: *const u8, sp: *mut U256, gas: u64, state: *mut State, end: InstructionResult) {
    // SAFETY: as of `Op`.
    unsafe {
        (*state).save(ip, sp, gas);
        (*state).end = end;
    }
}

/// Goes on with the instruction at a pointer.
macro_rules! next {
    ($ip:expr, $sp:expr, $gas:expr, $state:ident) => {{
        let ip: *const u8 = $ip;
        return (*(*$state).ops.add(*ip as usize))(ip.add(1), $sp, $gas, $state);
    }};
}

/// Takes gas, and looks for so many words on the stack, and for room for one more.
macro_rules! take {
    ($ip:ident, $sp:ident, $gas:ident, $state:ident: $cost:expr, $words:expr, $room:expr) => {
        if $gas < $cost {
            return halt($ip, $sp, $gas, $state, InstructionResult::OutOfGas);
        }
        if $words > 0 && ($sp as usize) < (*$state).bottom as usize + $words * size_of::<U256>() {
            return halt($ip, $sp, $gas, $state, InstructionResult::StackUnderflow);
        }
        if $room && $sp == (*$state).limit {
            return halt($ip, $sp, $gas, $state, InstructionResult::StackOverflow);
        }
        let $gas = $gas - $cost;
    };
}

/// Goes on behind the JUMPDEST at a place, and takes its gas.
macro_rules! jump_to {
    ($ip:expr, $sp:expr, $gas:expr, $state:ident, $place:expr) => {{
        let (place, sp, gas): (usize, *mut U256, u64) = ($place, $sp, $gas);
        if place >= (*$state).code_len || *(*$state).jumps.add(place >> 3) & (1 << (place & 7)) == 0 {
            return halt($ip, sp, gas, $state, InstructionResult::InvalidJump);
        }
        if gas < 1 {
            return halt($ip, sp, gas, $state, InstructionResult::OutOfGas);
        }
        next!((*$state).code.add(place + 1), sp, gas - 1, $state)
    }};
}

/// Leaves a truth on the stack, or takes the PUSH2 and JUMPI that commonly follow along.
macro_rules! truth {
    ($ip:ident, $sp:expr, $gas:ident, $state:ident, $truth:expr) => {{
        let (sp, truth): (*mut U256, bool) = ($sp, $truth);
        if *$ip == op::PUSH2 && *$ip.add(3) == op::JUMPI && $gas >= 13 && sp != (*$state).limit {
            let sp = sp.sub(1);
            if truth {
                let place = u16::from_be_bytes([*$ip.add(1), *$ip.add(2)]);
                jump_to!($ip, sp, $gas - 13, $state, place as usize)
            }
            next!($ip.add(4), sp, $gas - 13, $state)
        }
        *sp.sub(1) = U256::from(truth);
        next!($ip, sp, $gas, $state)
    }};
}

/// An instruction. SAFETY of all: as of `Op`. What an opcode carries, and an opcode behind it, are there, since the analysis
/// has put zeros behind the code; words of the stack below `sp` are initialized and at least as many as were looked for, and
/// `sp` is below `limit` where one is pushed.
macro_rules! ops {
    ($($(#[$doc:meta])* fn $name:ident $(<const $n:ident: usize>)? ($ip:ident, $sp:ident, $gas:ident, $state:ident) $body:block)*) => {$(
        // SAFETY: its callers hold to `Op`.
        unsafe extern "C-unwind" fn $name $(<const $n: usize>)? ($ip: *const u8, $sp: *mut U256, $gas: u64, $state: *mut State) {
            // SAFETY: as said above.
            unsafe { $body }
        }
    )*};
}

/// Instructions of two words that leave one.
macro_rules! binary {
    ($($name:ident: $cost:expr, |$a:ident, $b:ident| $result:expr;)*) => {ops! {$(
        fn $name(ip, sp, gas, state) {
            take!(ip, sp, gas, state: $cost, 2, false);
            let ($a, $b) = (*sp.sub(1), *sp.sub(2));
            *sp.sub(2) = $result;
            next!(ip, sp.sub(1), gas, state)
        }
    )*}};
}

/// Instructions of two words that leave a truth.
macro_rules! compare {
    ($($name:ident: |$a:ident, $b:ident| $truth:expr;)*) => {ops! {$(
        fn $name(ip, sp, gas, state) {
            take!(ip, sp, gas, state: 3, 2, false);
            let ($a, $b) = (*sp.sub(1), *sp.sub(2));
            truth!(ip, sp.sub(1), gas, state, $truth)
        }
    )*}};
}

/// Instructions that push what the frame was called with.
macro_rules! context {
    ($($name:ident: |$interpreter:ident| $word:expr;)*) => {ops! {$(
        fn $name(ip, sp, gas, state) {
            take!(ip, sp, gas, state: 2, 0, true);
            let $interpreter = &*(*state).interpreter;
            sp.write($word);
            next!(ip, sp.add(1), gas, state)
        }
    )*}};
}

binary! {
    add: 3, |a, b| a.wrapping_add(b);
    sub: 3, |a, b| a.wrapping_sub(b);
    mul: 5, |a, b| a.wrapping_mul(b);
    and: 3, |a, b| a & b;
    or: 3, |a, b| a | b;
    xor: 3, |a, b| a ^ b;
    shl: 3, |a, b| if a < U256::from(256) { b << a.as_limbs()[0] as usize } else { U256::ZERO };
    shr: 3, |a, b| if a < U256::from(256) { b >> a.as_limbs()[0] as usize } else { U256::ZERO };
}

compare! {
    lt: |a, b| a < b;
    gt: |a, b| a > b;
    eq: |a, b| a == b;
    slt: |a, b| signed_less(a, b);
    sgt: |a, b| signed_less(b, a);
}

context! {
    address: |interpreter| interpreter.input.target_address.into_word().into();
    caller: |interpreter| interpreter.input.caller_address.into_word().into();
    callvalue: |interpreter| interpreter.input.call_value;
    calldatasize: |interpreter| U256::from(interpreter.input.input.len());
}

fn signed_less(a: U256, b: U256) -> bool {
    let sign = U256::from(1) << 255;
    (a ^ sign) < (b ^ sign)
}

/// A place that a word names; none in any code if it is above what a machine can address.
fn place(word: &U256) -> usize {
    usize::try_from(*word).unwrap_or(usize::MAX)
}

/// Where a word of memory lies that is there already.
///
/// # Safety
/// `state` and the top of the stack can be read.
#[inline(always)]
unsafe fn in_memory(state: *mut State, sp: *mut U256) -> Option<*mut [u8; 32]> {
    // SAFETY: as of this function; what is given points to 32 bytes of the frame's memory.
    unsafe {
        let [offset, a, b, c] = *(*sp.sub(1)).as_limbs();
        let len = (*state).memory_len as u64;
        let is_there = a | b | c == 0 && len >= 32 && offset <= len - 32;
        is_there.then(|| (*state).memory.add(offset as usize).cast())
    }
}

ops! {
    fn other(ip, sp, gas, state) {
        if !((*state).other)(state, ip, sp, gas) {
            return;
        }
        next!((*state).ip, (*state).sp, (*state).gas, state)
    }

    fn iszero(ip, sp, gas, state) {
        take!(ip, sp, gas, state: 3, 1, false);
        truth!(ip, sp, gas, state, (*sp.sub(1)).is_zero())
    }

    fn not(ip, sp, gas, state) {
        take!(ip, sp, gas, state: 3, 1, false);
        *sp.sub(1) = !*sp.sub(1);
        next!(ip, sp, gas, state)
    }

    fn pop(ip, sp, gas, state) {
        take!(ip, sp, gas, state: 2, 1, false);
        next!(ip, sp.sub(1), gas, state)
    }

    fn jumpdest(ip, sp, gas, state) {
        take!(ip, sp, gas, state: 1, 0, false);
        next!(ip, sp, gas, state)
    }

    fn jump(ip, sp, gas, state) {
        take!(ip, sp, gas, state: 8, 1, false);
        let place = place(&*sp.sub(1));
        jump_to!(ip, sp.sub(1), gas, state, place)
    }

    fn jumpi(ip, sp, gas, state) {
        take!(ip, sp, gas, state: 10, 2, false);
        if (*sp.sub(2)).is_zero() {
            next!(ip, sp.sub(2), gas, state)
        }
        let place = place(&*sp.sub(1));
        jump_to!(ip, sp.sub(2), gas, state, place)
    }

    fn mload(ip, sp, gas, state) {
        if gas >= 3
            && sp > (*state).bottom
            && let Some(bytes) = in_memory(state, sp)
        {
            *sp.sub(1) = U256::from_be_bytes(bytes.read());
            next!(ip, sp, gas - 3, state)
        }
        other(ip, sp, gas, state)
    }

    fn mstore(ip, sp, gas, state) {
        if gas >= 3
            && sp > (*state).bottom.add(1)
            && let Some(bytes) = in_memory(state, sp)
        {
            bytes.write((*sp.sub(2)).to_be_bytes());
            next!(ip, sp.sub(2), gas - 3, state)
        }
        other(ip, sp, gas, state)
    }

    fn gas_left(ip, sp, gas, state) {
        take!(ip, sp, gas, state: 2, 0, true);
        sp.write(U256::from(gas));
        next!(ip, sp.add(1), gas, state)
    }

    fn push0(ip, sp, gas, state) {
        take!(ip, sp, gas, state: 2, 0, true);
        sp.write(U256::ZERO);
        next!(ip, sp.add(1), gas, state)
    }

    fn push<const N: usize>(ip, sp, gas, state) {
        take!(ip, sp, gas, state: 3, 0, true);
        if N <= 2 {
            let word = if N == 1 { u16::from(*ip) } else { u16::from_be_bytes([*ip, *ip.add(1)]) };
            let ip = ip.add(N);
            match *ip {
                op::JUMP if gas >= 8 => jump_to!(ip.add(1), sp, gas - 8, state, word as usize),
                op::JUMPI if gas >= 10 && sp > (*state).bottom => {
                    let sp = sp.sub(1);
                    if (*sp).is_zero() {
                        next!(ip.add(1), sp, gas - 10, state)
                    }
                    jump_to!(ip.add(1), sp, gas - 10, state, word as usize)
                }
                op::ADD if gas >= 3 && sp > (*state).bottom => {
                    *sp.sub(1) = (*sp.sub(1)).wrapping_add(U256::from(word));
                    next!(ip.add(1), sp, gas - 3, state)
                }
                _ => {}
            }
            sp.write(U256::from(word));
            next!(ip, sp.add(1), gas, state)
        }
        let mut limbs = [0u64; 4];
        for (i, limb) in limbs.iter_mut().enumerate().take(N / 8) {
            *limb = u64::from_be_bytes(ip.add(N - 8 * i - 8).cast::<[u8; 8]>().read());
        }
        for i in 0..N % 8 {
            limbs[N / 8] = limbs[N / 8] << 8 | u64::from(*ip.add(i));
        }
        sp.write(U256::from_limbs(limbs));
        next!(ip.add(N), sp.add(1), gas, state)
    }

    fn dup<const N: usize>(ip, sp, gas, state) {
        take!(ip, sp, gas, state: 3, N, true);
        sp.write(*sp.sub(N));
        next!(ip, sp.add(1), gas, state)
    }

    fn swap<const N: usize>(ip, sp, gas, state) {
        take!(ip, sp, gas, state: 3, N + 1, false);
        sp.sub(1).swap(sp.sub(1 + N));
        next!(ip, sp, gas, state)
    }
}

/// Instructions by opcode. Shifts came with Constantinople, PUSH0 with Shanghai; all others are of Frontier.
const fn ops(has_shifts: bool, has_push0: bool) -> [Op; 256] {
    let mut ops = [other as Op; 256];
    macro_rules! set { ($($opcode:ident $op:expr),* $(,)?) => { $(ops[op::$opcode as usize] = $op;)* }; }
    set!(ADD add, SUB sub, MUL mul, AND and, OR or, XOR xor, LT lt, GT gt, EQ eq, SLT slt, SGT sgt, ISZERO iszero, NOT not);
    set!(POP pop, JUMPDEST jumpdest, JUMP jump, JUMPI jumpi, MLOAD mload, MSTORE mstore, GAS gas_left);
    set!(ADDRESS address, CALLER caller, CALLVALUE callvalue, CALLDATASIZE calldatasize);
    set!(PUSH1 push::<1>, PUSH2 push::<2>, PUSH3 push::<3>, PUSH4 push::<4>, PUSH5 push::<5>, PUSH6 push::<6>);
    set!(PUSH7 push::<7>, PUSH8 push::<8>, PUSH9 push::<9>, PUSH10 push::<10>, PUSH11 push::<11>, PUSH12 push::<12>);
    set!(PUSH13 push::<13>, PUSH14 push::<14>, PUSH15 push::<15>, PUSH16 push::<16>, PUSH17 push::<17>);
    set!(PUSH18 push::<18>, PUSH19 push::<19>, PUSH20 push::<20>, PUSH21 push::<21>, PUSH22 push::<22>);
    set!(PUSH23 push::<23>, PUSH24 push::<24>, PUSH25 push::<25>, PUSH26 push::<26>, PUSH27 push::<27>);
    set!(PUSH28 push::<28>, PUSH29 push::<29>, PUSH30 push::<30>, PUSH31 push::<31>, PUSH32 push::<32>);
    set!(DUP1 dup::<1>, DUP2 dup::<2>, DUP3 dup::<3>, DUP4 dup::<4>, DUP5 dup::<5>, DUP6 dup::<6>, DUP7 dup::<7>);
    set!(DUP8 dup::<8>, DUP9 dup::<9>, DUP10 dup::<10>, DUP11 dup::<11>, DUP12 dup::<12>, DUP13 dup::<13>);
    set!(DUP14 dup::<14>, DUP15 dup::<15>, DUP16 dup::<16>);
    set!(SWAP1 swap::<1>, SWAP2 swap::<2>, SWAP3 swap::<3>, SWAP4 swap::<4>, SWAP5 swap::<5>, SWAP6 swap::<6>);
    set!(SWAP7 swap::<7>, SWAP8 swap::<8>, SWAP9 swap::<9>, SWAP10 swap::<10>, SWAP11 swap::<11>, SWAP12 swap::<12>);
    set!(SWAP13 swap::<13>, SWAP14 swap::<14>, SWAP15 swap::<15>, SWAP16 swap::<16>);
    if has_shifts {
        set!(SHL shl, SHR shr);
    }
    if has_push0 {
        set!(PUSH0 push0);
    }
    ops
}

static OPS: [[Op; 256]; 3] = [ops(false, false), ops(true, false), ops(true, true)];

/// Runs a frame until it ends or calls another, and gives how deep the machine's stack went.
fn run_measured<H: Host>(
    interpreter: &mut Interpreter<EthInterpreter>,
    instructions: &InstructionTable<EthInterpreter, H>,
    gas_table: &GasTable,
    host: &mut H,
) -> (InterpreterAction, usize) {
    let fits = interpreter.stack.data().capacity() >= STACK_LIMIT;
    let code = interpreter.bytecode.bytes_ref();
    let jumps = interpreter.bytecode.legacy_jump_table().filter(|jumps| {
        // Delegations are not analysed; of what is, each place has a bit, and an end that stops any instruction.
        fits && jumps.as_slice().len() >= jumps.len().div_ceil(8) && code.len() >= jumps.len()
    });
    let Some(jumps) = jumps else { return (interpreter.run_plain(instructions, gas_table, host), 0) };
    let spec = interpreter.runtime_flag.spec_id;
    let generation = usize::from(spec >= SpecId::PETERSBURG) + usize::from(spec >= SpecId::SHANGHAI);
    let (code, jumps, code_len) = (code.as_ptr(), jumps.as_slice().as_ptr(), jumps.len());
    let bottom = interpreter.stack.data_mut().as_mut_ptr();
    let here = 0u8;
    let entered = std::ptr::from_ref(&here).addr();
    let mut state = State {
        ops: OPS[generation].as_ptr(),
        bottom,
        // SAFETY: the stack has room for so many words.
        limit: unsafe { bottom.add(STACK_LIMIT) },
        memory: std::ptr::null_mut(),
        memory_len: 0,
        code,
        jumps,
        code_len,
        interpreter,
        other: other_of::<H>,
        ip: code,
        sp: bottom,
        gas: 0,
        host: std::ptr::from_mut(host).cast(),
        instructions: std::ptr::from_ref(instructions).cast(),
        gas_table,
        end: InstructionResult::Stop,
        depth: entered,
    };
    // SAFETY: the state is of this frame: its stack has room for all words that a stack may have, its code is analysed, so
    // that any run of instructions comes to a STOP behind it, and interpreter, host and tables are borrowed for this call.
    unsafe {
        state.load();
        let (ip, sp, gas) = (state.ip, state.sp, state.gas);
        (*state.ops.add(*ip as usize))(ip.add(1), sp, gas, &raw mut state);
    }
    if interpreter.bytecode.action().is_none() {
        interpreter.halt(state.end);
    }
    (interpreter.take_next_action(), entered.saturating_sub(state.depth))
}

/// Runs a frame until it ends or calls another.
#[inline]
pub(super) fn run<H: Host>(
    interpreter: &mut Interpreter<EthInterpreter>,
    instructions: &InstructionTable<EthInterpreter, H>,
    gas_table: &GasTable,
    host: &mut H,
) -> InterpreterAction {
    run_measured(interpreter, instructions, gas_table, host).0
}

/// Whether calls in tail position are jumps in this build: the machine's stack goes as deep over one round of all
/// instructions as over three.
pub fn is_available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        let depths = [1, 3].map(|times| run_known(times, Which::Threaded).1);
        depths[0] == depths[1]
    })
}

/// Whether all instructions of this loop leave what revm's leave.
pub fn self_test() -> bool {
    [1, 3].into_iter().all(|times| run_known(times, Which::Threaded).0 == run_known(times, Which::Plain).0)
}

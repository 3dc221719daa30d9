//! SSTORE as Constantinople alone has it (EIP-1283): net metering without EIP-2200's floor of gas.
//!
//! revm leaves this fork out and knows Petersburg, which took the rule back (EIP-1716). Everything else of the two is the
//! same. EIP-2200, Istanbul's, is EIP-1283 with SLOAD's later price and the floor; so revm's accounting of Istanbul is used,
//! with SLOAD at 200.
//! Source: EIP-1283, EIP-1716, EIP-2200.

use revm::context_interface::Host;
use revm::context_interface::cfg::gas::{SSTORE_RESET, SSTORE_SET};
use revm::context_interface::cfg::gas_params::{GasId, GasParams};
use revm::interpreter::instructions::host::sstore_with_gas_accounting;
use revm::interpreter::{InstructionContext, InstructionExecResult, InstructionResult, InterpreterTypes};
use revm::primitives::hardfork::SpecId;

/// Gas of an SSTORE that changes nothing, or a word that was changed before: that of an SLOAD (EIP-150).
const SLOAD_GAS: u64 = 200;

/// Petersburg's gas but for SSTORE.
pub(super) fn gas_params() -> GasParams {
    let mut params = GasParams::new_spec(SpecId::PETERSBURG);
    let (set, reset) = (SSTORE_SET - SLOAD_GAS, SSTORE_RESET - SLOAD_GAS);
    params.override_gas([
        (GasId::sstore_static(), SLOAD_GAS),
        (GasId::sstore_set_without_load_cost(), set),
        (GasId::sstore_reset_without_cold_load_cost(), reset),
        (GasId::sstore_set_refund(), set),
        (GasId::sstore_reset_refund(), reset),
    ]);
    params
}

/// The instruction.
pub(super) fn sstore<IT: InterpreterTypes, H: Host + ?Sized>(
    context: InstructionContext<'_, H, IT>,
) -> InstructionExecResult {
    sstore_with_gas_accounting(context, |context, _, load| {
        let params = context.host.gas_params();
        let (gas, refund) =
            (params.sstore_dynamic_gas(true, &load.data, false), params.sstore_refund(true, &load.data));
        if !context.interpreter.gas.record_regular_cost(gas) {
            return Err(InstructionResult::OutOfGas);
        }
        context.interpreter.gas.record_refund(refund);
        Ok(())
    })
}

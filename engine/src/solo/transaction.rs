//! Signed transactions as blocks hold them: EIP-2718 bytes, without blob sidecars.

use alloy_consensus::{EthereumTxEnvelope, TxEip4844};
use alloy_eips::eip2718::Decodable2718;

/// A signed transaction of any type up to 4.
pub type Envelope = EthereumTxEnvelope<TxEip4844>;

/// Decodes EIP-2718 bytes; nothing may be left over.
pub fn decode(bytes: &[u8]) -> Result<Envelope, String> {
    Envelope::decode_2718_exact(bytes).map_err(|e| e.to_string())
}

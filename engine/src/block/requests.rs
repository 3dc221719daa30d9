//! Requests of a block: deposits from the logs of all transactions, then the outputs of the closing's calls.
//!
//! A deposit log has one exact layout; reading it as any ABI encoding would accept offsets that EIP-6110 refuses.
//! Source: EIP-6110 (`is_valid_deposit_event_data`), EIP-7002, EIP-7251, EIP-7685 (types, commitment).

use super::BlockInput;
use alloy_eips::{
    eip6110::DEPOSIT_REQUEST_TYPE, eip7002::WITHDRAWAL_REQUEST_TYPE, eip7251::CONSOLIDATION_REQUEST_TYPE,
    eip7685::Requests,
};
use alloy_primitives::{Address, B256, Log, U256, b256};

/// First topic of a deposit.
pub(super) const DEPOSIT_TOPIC: B256 = b256!("649bbc62d0e31342afea4e5cd82d4049e7e1ee912fc0889aa790803be39038c5");
/// Bytes of a deposit log's data.
const DEPOSIT_DATA: usize = 576;
/// Offset and size of each field of the data: public key, withdrawal credentials, amount, signature, index.
const DEPOSIT_FIELDS: [(usize, usize); 5] = [(160, 48), (256, 32), (320, 8), (384, 96), (512, 8)];
/// Types of the request calls, in order.
pub(super) const CALL_TYPES: [u8; 2] = [WITHDRAWAL_REQUEST_TYPE, CONSOLIDATION_REQUEST_TYPE];

/// Whether the log is a deposit, well formed or not.
pub(super) fn is_deposit(log: &Log, contract: Address) -> bool {
    log.address == contract && log.topics().first() == Some(&DEPOSIT_TOPIC)
}

/// Appends the request of a deposit's data; or says what is wrong with its layout.
pub(super) fn append_deposit(data: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    if data.len() != DEPOSIT_DATA {
        return Err(format!("{} bytes of data", data.len()));
    }
    // offset + 32 + size <= 552 <= DEPOSIT_DATA for each field.
    let word = |at: usize| U256::from_be_slice(&data[at..at + 32]);
    for (i, (offset, size)) in DEPOSIT_FIELDS.into_iter().enumerate() {
        if word(32 * i) != U256::from(offset) {
            return Err(format!("offset {} of field {i}", word(32 * i)));
        }
        if word(offset) != U256::from(size) {
            return Err(format!("size {} of field {i}", word(offset)));
        }
    }
    for (offset, size) in DEPOSIT_FIELDS {
        out.extend_from_slice(&data[offset + 32..offset + 32 + size]);
    }
    Ok(())
}

/// Hash of all requests; `Ok(None)` if a transaction has no outcome, an error if a deposit log is malformed.
pub(super) fn hash(input: &BlockInput<'_>, contract: Address) -> Result<Option<B256>, String> {
    if !input.has_all_outcomes() {
        return Ok(None);
    }
    let mut deposits = Vec::new();
    for (i, transaction) in input.transactions.iter().enumerate() {
        let logs = transaction.outcome.into_iter().flat_map(|outcome| &outcome.logs);
        for log in logs.filter(|log| is_deposit(log, contract)) {
            append_deposit(&log.data.data, &mut deposits)
                .map_err(|fault| format!("bad deposit log in transaction {}: {fault}", i + 1))?;
        }
    }
    let mut requests = Requests::default();
    requests.push_request_with_type(DEPOSIT_REQUEST_TYPE, deposits);
    for (kind, output) in CALL_TYPES.into_iter().zip(input.requests) {
        requests.push_request_with_type(kind, output.iter().copied());
    }
    Ok(Some(requests.requests_hash()))
}

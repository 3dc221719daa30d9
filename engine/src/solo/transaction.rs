//! Signed transactions as blocks hold them: EIP-2718 bytes, without blob sidecars.
//!
//! Prices per gas are words of 256 bits on the wire and of 128 bits here, as for the EVM in use. What asks for more can mostly
//! be paid by no balance at all; that is told apart from bytes that are no transaction.

use crate::reason::Reason;
use alloy_consensus::transaction::RlpEcdsaDecodableTx;
use alloy_consensus::{EthereumTxEnvelope, Transaction, TxEip4844, TxLegacy};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{U256, U512};
use alloy_rlp::{Decodable, Header};

/// A signed transaction of any type up to 4.
pub type Envelope = EthereumTxEnvelope<TxEip4844>;

/// Why bytes are not judged as a transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Undecodable {
    /// `bad-encoding`, or `payment-overflow` where a price beyond 128 bits is one that no balance can pay.
    pub reason: Reason,
    /// What is wrong.
    pub why: String,
}

/// Decodes EIP-2718 bytes; nothing may be left over.
pub fn decode(bytes: &[u8]) -> Result<Envelope, Undecodable> {
    Envelope::decode_2718_exact(bytes).map_err(|error| match overflowing_payment(bytes) {
        Some(payment) => Undecodable {
            reason: Reason::PaymentOverflow,
            why: format!("a price beyond 128 bits, and {payment} wei for value and gas"),
        },
        None => Undecodable { reason: Reason::BadEncoding, why: why_not(bytes).unwrap_or_else(|| error.to_string()) },
    })
}

/// What is wrong with a list, which is a legacy transaction or none: the decoder of all types says that it is of no other.
fn why_not(mut bytes: &[u8]) -> Option<String> {
    bytes.first().filter(|first| **first >= 0xc0)?;
    TxLegacy::rlp_decode_signed(&mut bytes).err().map(|error| format!("a legacy transaction: {error}"))
}

/// What a transaction could have to pay that decodes but for a price beyond 128 bits, if that is beyond 256 bits.
fn overflowing_payment(bytes: &[u8]) -> Option<U512> {
    // The price that bounds what is paid for gas, and the tip's maximum before it.
    let (start, tip, price) = match *bytes.first()? {
        0xc0.. => (0, None, 1),
        1 => (1, None, 2),
        2..=4 => (1, Some(2), 3),
        _ => return None,
    };
    let mut fields = fields(&bytes[start..])?;
    let wide = U256::decode(&mut fields.get(price)?.as_slice()).ok()?;
    for place in tip.into_iter().chain([price]) {
        let field = fields.get_mut(place)?;
        if U256::decode(&mut field.as_slice()).ok()? > U256::from(u128::MAX) {
            *field = alloy_rlp::encode(u128::MAX);
        }
    }
    let payload = fields.concat();
    let mut narrow = bytes[..start].to_vec();
    Header { list: true, payload_length: payload.len() }.encode(&mut narrow);
    narrow.extend(payload);
    let envelope = Envelope::decode_2718_exact(&narrow).ok()?;
    let payment = U512::from(wide) * U512::from(envelope.gas_limit()) + U512::from(envelope.value());
    (payment > U512::from(U256::MAX)).then_some(payment)
}

/// The items of an RLP list that is all of these bytes, each with its header.
fn fields(mut bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut payload = Header::decode_bytes(&mut bytes, true).ok().filter(|_| bytes.is_empty())?;
    let mut fields = Vec::new();
    while !payload.is_empty() {
        let whole = payload;
        let header = Header::decode(&mut payload).ok()?;
        payload = payload.get(header.payload_length..)?;
        fields.push(whole[..whole.len() - payload.len()].to_vec());
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{SignableTransaction, TxEip1559, TxLegacy};
    use alloy_eips::eip2718::Encodable2718;
    use alloy_primitives::Signature;

    const GAS: u64 = 21_000;

    fn bytes(typed: bool) -> Vec<u8> {
        let signature = Signature::test_signature();
        let (gas_limit, value) = (GAS, U256::from(7));
        let envelope = match typed {
            false => Envelope::from(TxLegacy { gas_limit, value, ..Default::default() }.into_signed(signature)),
            true => Envelope::from(TxEip1559 { gas_limit, value, ..Default::default() }.into_signed(signature)),
        };
        envelope.encoded_2718()
    }

    /// The same with other numbers in some fields.
    fn with(typed: bool, changes: &[(usize, U256)]) -> Vec<u8> {
        let bytes = bytes(typed);
        let start = usize::from(typed);
        let mut fields = fields(&bytes[start..]).expect("a list");
        for &(place, number) in changes {
            fields[place] = alloy_rlp::encode(number);
        }
        let mut out = bytes[..start].to_vec();
        let payload = fields.concat();
        Header { list: true, payload_length: payload.len() }.encode(&mut out);
        out.extend(payload);
        out
    }

    fn reason(bytes: &[u8]) -> Option<Reason> {
        decode(bytes).err().map(|error| error.reason)
    }

    #[test]
    fn a_price_that_no_balance_can_pay_is_told_from_bytes_that_are_no_transaction() {
        for (typed, price) in [(false, 1), (true, 3)] {
            assert_eq!(reason(&bytes(typed)), None);
            assert_eq!(reason(&with(typed, &[(price, U256::from(u128::MAX))])), None);
            // The greatest price with which gas and value just fit into 256 bits, and the one above it.
            let greatest = (U256::MAX - U256::from(7)) / U256::from(GAS);
            let rest = U256::MAX - greatest * U256::from(GAS);
            assert_eq!(reason(&with(typed, &[(price, greatest)])), Some(Reason::BadEncoding));
            assert_eq!(reason(&with(typed, &[(price, greatest + U256::ONE)])), Some(Reason::PaymentOverflow));
            let value = if typed { 6 } else { 4 };
            assert_eq!(reason(&with(typed, &[(price, greatest), (value, rest)])), Some(Reason::BadEncoding));
            let one_more = [(price, greatest), (value, rest + U256::ONE)];
            assert_eq!(reason(&with(typed, &one_more)), Some(Reason::PaymentOverflow));
            let dear = with(typed, &[(price, U256::MAX)]);
            assert_eq!(reason(&dear), Some(Reason::PaymentOverflow));
            // A tip as dear does not hide it.
            if typed {
                assert_eq!(reason(&with(typed, &[(2, U256::MAX), (3, U256::MAX)])), Some(Reason::PaymentOverflow));
                assert_eq!(reason(&with(typed, &[(2, U256::MAX)])), Some(Reason::BadEncoding));
            }
            // What is no transaction either way.
            for length in 0..dear.len() {
                assert_eq!(reason(&dear[..length]), Some(Reason::BadEncoding), "{length}");
            }
            assert_eq!(reason(&[&dear[..], &[0]].concat()), Some(Reason::BadEncoding));
            let (gas, beyond) = (if typed { 4 } else { 2 }, U256::from(1) << 64);
            assert_eq!(reason(&with(typed, &[(price, U256::MAX), (gas, beyond)])), Some(Reason::BadEncoding));
        }
        assert_eq!(reason(&[5, 0xc0]), Some(Reason::BadEncoding));
    }

    #[test]
    fn a_list_that_is_no_transaction_is_told_as_a_list() {
        let why = |bytes: &[u8]| decode(bytes).expect_err("it is none").why;
        assert_eq!(why(&with(false, &[(0, U256::from(1) << 64)])), "a legacy transaction: overflow");
        assert_eq!(why(&[0xc0]), "a legacy transaction: input too short");
        assert!(!why(&[0x05, 0xc0]).contains("legacy"));
    }
}

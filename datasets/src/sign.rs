//! Transactions that tests sign, by alloy.

use alloy_consensus::crypto::secp256k1::{recover_signer, sign_message};
use alloy_consensus::{SignableTransaction, Signed, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature};

/// Signs a hash.
///
/// # Panics
/// If the secret is no key.
pub fn signature(secret: B256, hash: B256) -> Signature {
    sign_message(secret, hash).expect("a key")
}

/// The address of a secret.
///
/// # Panics
/// If the secret is no key.
pub fn address(secret: B256) -> Address {
    let hash = B256::repeat_byte(1);
    recover_signer(&signature(secret, hash), hash).expect("it recovers")
}

/// The bytes of a transaction, signed.
///
/// # Panics
/// If the secret is no key.
pub fn transaction<T: SignableTransaction<Signature>>(secret: B256, tx: T) -> Bytes
where
    TxEnvelope: From<Signed<T>>,
{
    let signature = signature(secret, tx.signature_hash());
    TxEnvelope::from(tx.into_signed(signature)).encoded_2718().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::TxLegacy;
    use alloy_primitives::{U256, address, b256, hex};

    /// EIP-155's own example.
    #[test]
    fn the_example_of_eip_155_is_signed() {
        let secret = B256::repeat_byte(0x46);
        assert_eq!(super::address(secret), address!("9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F"));
        let tx = TxLegacy {
            chain_id: Some(1),
            nonce: 9,
            gas_price: 20_000_000_000,
            gas_limit: 21_000,
            to: address!("3535353535353535353535353535353535353535").into(),
            value: U256::from(1_000_000_000_000_000_000_u64),
            ..Default::default()
        };
        let hash = b256!("daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53");
        assert_eq!(tx.signature_hash(), hash);
        let expected = hex!(
            "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
        );
        assert_eq!(transaction(secret, tx)[..], expected);
    }
}

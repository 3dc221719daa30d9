//! Signatures of transactions and authorisations: whom they recover to, and what is wrong with them.
//!
//! Source: EIP-2 (low s), EIP-155 (chain id in v), EIP-2718, EIP-7702. Recovery: libsecp256k1.

use super::transaction::Envelope;
use crate::reason::{Check, Fault, Reason};
use alloy_consensus::Transaction;
use alloy_consensus::crypto::secp256k1::recover_signer_unchecked;
use alloy_consensus::transaction::SignerRecoverable;
use alloy_primitives::{Address, U256};
use manaflow_loader::model::Location;
use manaflow_loader::rules::{ChainRules, Fork};

/// Half of the group order, rounded down: the greatest s that EIP-2 allows.
const HALF_ORDER: U256 =
    U256::from_be_bytes(alloy_primitives::hex!("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0"));

/// Whom the transaction's signature recovers to, high s or not.
pub fn recover_sender(tx: &Envelope) -> Option<Address> {
    tx.recover_signer_unchecked().ok()
}

/// Whom each set-code tuple's signature recovers to; `None` where it is void (EIP-7702: high s is void too).
pub fn recover_authorities(tx: &Envelope) -> Vec<Option<Address>> {
    let Some(list) = tx.authorization_list() else { return Vec::new() };
    list.iter()
        .map(|signed| {
            let signature = signed.signature().ok()?;
            if signature.s() > HALF_ORDER {
                return None;
            }
            recover_signer_unchecked(&signature, signed.signature_hash()).ok()
        })
        .collect()
}

/// Judges the signatures of one transaction against its declared sender and authorities.
pub fn check(
    tx: &Envelope,
    sender: Option<Address>,
    authorities: &[Option<Address>],
    fork: Fork,
    rules: &ChainRules,
    location: Location,
    faults: &mut Vec<Fault>,
) {
    let mut fault = |reason, got: String, expected: String| {
        faults.push(Fault::new(location, Check::Signatures, reason, got, expected));
    };
    let chain_id = tx.chain_id();
    if let Some(id) = chain_id {
        if tx.is_legacy() && fork < Fork::SpuriousDragon {
            fault(Reason::EarlyReplayProtection, format!("chain id {id}"), "none".into());
        } else if id != rules.chain_id {
            fault(Reason::WrongChainId, id.to_string(), rules.chain_id.to_string());
        }
    }
    let s = tx.signature().s();
    if fork >= Fork::Homestead && s > HALF_ORDER {
        fault(Reason::HighS, format!("{s:#x}"), format!("at most {HALF_ORDER:#x}"));
    }
    match (recover_sender(tx), sender) {
        (None, _) => fault(Reason::BadSignature, "nobody".into(), say(sender)),
        (Some(recovered), declared) if declared != Some(recovered) => {
            fault(Reason::WrongSender, say(declared), say(Some(recovered)));
        }
        _ => {}
    }
    let recovered = recover_authorities(tx);
    // One declaration a tuple, so that none is left out and none is declared that nobody signed.
    if authorities.len() != recovered.len() {
        let say = |n| format!("{n} authorities");
        fault(Reason::WrongAuthority, say(authorities.len()), say(recovered.len()));
    }
    for (i, authority) in recovered.iter().enumerate() {
        let declared = authorities.get(i).copied().flatten();
        if declared != *authority {
            fault(
                Reason::WrongAuthority,
                format!("tuple {i}: {}", say(declared)),
                format!("tuple {i}: {}", say(*authority)),
            );
        }
    }
}

fn say(addr: Option<Address>) -> String {
    addr.map_or_else(|| "nobody".into(), |a| format!("{a:#x}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{SignableTransaction, TxLegacy};
    use alloy_primitives::{B256, Bytes, Signature, TxKind, keccak256};
    use k256::ecdsa::{RecoveryId, Signature as K256Signature, SigningKey, VerifyingKey};
    use sha3::{Digest, Keccak256};

    fn signed(nonce: u64, chain_id: Option<u64>, high_s: bool) -> (Envelope, Address) {
        let key = SigningKey::from_slice(keccak256(nonce.to_be_bytes()).as_slice()).expect("a scalar");
        let tx = TxLegacy {
            chain_id,
            nonce,
            gas_price: 1,
            gas_limit: 21_000,
            to: TxKind::Call(Address::ZERO),
            value: U256::ZERO,
            input: Bytes::new(),
        };
        let (signature, id) = key.sign_prehash_recoverable(tx.signature_hash().as_slice()).expect("it signs");
        let (r, s) = (U256::from_be_slice(&signature.r().to_bytes()), U256::from_be_slice(&signature.s().to_bytes()));
        let signature = match high_s {
            false => Signature::new(r, s, id.is_y_odd()),
            true => Signature::new(r, ORDER - s, !id.is_y_odd()),
        };
        let envelope = Envelope::from(tx.into_signed(signature));
        (envelope, address_of(key.verifying_key()))
    }

    const ORDER: U256 =
        U256::from_be_bytes(alloy_primitives::hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"));

    fn address_of(key: &VerifyingKey) -> Address {
        let point = key.to_encoded_point(false);
        Address::from_slice(&Keccak256::digest(&point.as_bytes()[1..])[12..])
    }

    /// The same question asked of k256 and sha3: no line of libsecp256k1, of alloy's recovery or of assembly in it.
    fn recover_by_k256(signature: &Signature, hash: B256) -> Option<Address> {
        let plain = K256Signature::from_scalars(signature.r().to_be_bytes(), signature.s().to_be_bytes::<32>()).ok()?;
        // k256 recovers low s only; n - s with the other parity is the same signature.
        let low = plain.normalize_s();
        let odd = signature.v() != low.is_some();
        let id = RecoveryId::new(odd, false);
        VerifyingKey::recover_from_prehash(hash.as_slice(), &low.unwrap_or(plain), id).ok().map(|k| address_of(&k))
    }

    fn faults(tx: &Envelope, sender: Option<Address>, fork: Fork, chain_id: u64) -> Vec<Reason> {
        let rules = ChainRules { chain_id, ..ChainRules::default() };
        let mut faults = Vec::new();
        let location = Location::new(1, 1).expect("in bounds");
        check(tx, sender, &[], fork, &rules, location, &mut faults);
        faults.into_iter().map(|f| f.reason).collect()
    }

    #[test]
    fn recovery_equals_another_library_high_s_or_not() {
        for nonce in 0..64 {
            for high_s in [false, true] {
                let (tx, sender) = signed(nonce, Some(1), high_s);
                assert_eq!(recover_sender(&tx), Some(sender));
                assert_eq!(recover_by_k256(tx.signature(), tx.signature_hash()), Some(sender));
            }
        }
    }

    #[test]
    fn signatures_of_real_transactions_recover_as_by_another_library() {
        let Some(data) = manaflow_datasets::data_for("signatures_of_real_transactions") else { return };
        let files = [data.join("mainnet/blocks")];
        let recognised = manaflow_loader::source::recognise(&files, &Default::default()).expect("the data is whole");
        let mut recovered = 0;
        for source in recognised.sources.iter().step_by(6) {
            let manaflow_loader::source::Source::Snapshot(folder) = source else { continue };
            for bytes in folder.load().expect("the data is whole").block.transactions {
                let tx = super::super::transaction::decode(&bytes).expect("it decodes");
                let expected = recover_by_k256(tx.signature(), tx.signature_hash());
                assert!(expected.is_some());
                assert_eq!(recover_sender(&tx), expected);
                recovered += 1;
            }
        }
        assert!(recovered > 1000, "{recovered}");
    }

    #[test]
    fn each_fault_is_named() {
        let (tx, sender) = signed(7, Some(1), false);
        assert_eq!(faults(&tx, Some(sender), Fork::London, 1), []);
        assert_eq!(faults(&tx, Some(Address::ZERO), Fork::London, 1), [Reason::WrongSender]);
        assert_eq!(faults(&tx, None, Fork::London, 1), [Reason::WrongSender]);
        assert_eq!(faults(&tx, Some(sender), Fork::London, 5), [Reason::WrongChainId]);
        assert_eq!(faults(&tx, Some(sender), Fork::Homestead, 1), [Reason::EarlyReplayProtection]);
        let (tx, sender) = signed(7, None, true);
        assert_eq!(faults(&tx, Some(sender), Fork::Frontier, 1), []);
        assert_eq!(faults(&tx, Some(sender), Fork::Homestead, 1), [Reason::HighS]);
    }

    #[test]
    fn a_signature_of_nobody_is_bad() {
        let (tx, sender) = signed(7, None, false);
        let Envelope::Legacy(legacy) = tx else { panic!("it was made as a legacy transaction") };
        // No point of the curve has x = 5.
        let signature = Signature::new(U256::from(5), U256::from(1), false);
        let tx = Envelope::from(legacy.strip_signature().into_signed(signature));
        assert_eq!(recover_sender(&tx), None);
        assert_eq!(recover_by_k256(tx.signature(), tx.signature_hash()), None);
        assert_eq!(faults(&tx, Some(sender), Fork::London, 1), [Reason::BadSignature]);
        assert_eq!(faults(&tx, None, Fork::London, 1), [Reason::BadSignature]);
    }

    #[test]
    fn keccak_equals_another_library() {
        let bytes: Vec<u8> = (0..1100_u32).map(|i| (i * 7 + i / 256) as u8).collect();
        for length in 0..bytes.len() {
            assert_eq!(keccak256(&bytes[..length])[..], Keccak256::digest(&bytes[..length])[..]);
        }
    }
}

//! Signatures of transactions and authorisations: whom they recover to, and what is wrong with them.
//!
//! Source: EIP-2 (low s), EIP-155 (chain id in v), EIP-2718, EIP-7702. Recovery: libsecp256k1.

use super::transaction::Envelope;
use crate::reason::{Check, Fault, Reason};
use alloy_consensus::crypto::secp256k1::recover_signer_unchecked;
use alloy_consensus::transaction::SignerRecoverable;
use alloy_consensus::Transaction;
use alloy_primitives::{Address, U256};
use manaflow_loader::model::Location;
use manaflow_loader::rules::{ChainRules, Fork};

/// Half of the group order, rounded down: the greatest s that EIP-2 allows.
const HALF_ORDER: U256 = U256::from_be_bytes(alloy_primitives::hex!(
    "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0"
));

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

//! Recovery by libsecp256k1, row by row: the oracle, and what there is where no lanes are.

use super::recover::prepare;
use super::words::to_bytes;
use super::{Found, PublicKey, Signature, Wanted};
use secp256k1::Message;
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};

/// What is wanted of a row; `None` where recovery fails.
pub(super) fn wanted<W: Wanted>(signature: &Signature) -> Option<W> {
    if W::HAS_ROOT {
        recover_with_root(signature).map(|found| W::new(&found.key, &found.root))
    } else {
        recover(signature).map(|key| W::new(&key, &[0; 32]))
    }
}

/// The public key of a row; `None` where recovery fails.
pub(crate) fn recover(signature: &Signature) -> Option<PublicKey> {
    let id = RecoveryId::try_from(i32::from(signature.recovery_id)).ok()?;
    let mut compact = [0; 64];
    compact[..32].copy_from_slice(&signature.r);
    compact[32..].copy_from_slice(&signature.s);
    let plain = RecoverableSignature::from_compact(&compact, id).ok()?;
    let key = secp256k1::SECP256K1.recover_ecdsa(Message::from_digest(signature.digest), &plain).ok()?;
    let mut bytes = [0; 64];
    bytes.copy_from_slice(&key.serialize_uncompressed()[1..]);
    Some(PublicKey(bytes))
}

/// The same with R.y, which the library does not give: R is read once more as a compressed point.
pub(crate) fn recover_with_root(signature: &Signature) -> Option<Found> {
    let key = recover(signature)?;
    let row = prepare(signature)?;
    let mut compressed = [2 + u8::from(row.is_odd); 33];
    compressed[1..].copy_from_slice(&to_bytes(&row.x));
    let point = secp256k1::PublicKey::from_slice(&compressed).ok()?.serialize_uncompressed();
    let mut root = [0; 32];
    root.copy_from_slice(&point[33..]);
    Some(Found { key, root })
}

//! Kernels against code that is not ours: ruint for numbers, libsecp256k1 and k256 for signatures; and against each other.

mod batches;
mod curves;
mod device;
mod device_batches;
mod device_curves;
mod device_scalars;
mod edges;
mod lanes;
mod numbers;
mod recovery;
mod vectors;

use super::field::checked::Checked;
use super::field::scalar::One;
use super::words::{ORDER, Words, to_bytes};
use super::{Backend, PublicKey, Signature, library};
use crate::backend::BackendError;

/// Numbers drawn from a seed: SplitMix64. `MANAFLOW_SEED` changes the seed.
pub(crate) struct Draw(pub u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        let given = std::env::var("MANAFLOW_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
        Self(given.map_or(seed, |given| seed ^ given.rotate_left(32)))
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.word() % n as u64) as usize
    }

    pub(crate) fn bytes(&mut self) -> [u8; 32] {
        to_bytes(&std::array::from_fn(|_| self.word()))
    }
}

/// Recovery by k256, which shares no line with libsecp256k1 or with what is tested. It takes low s only; n - s with the other
/// parity is the same signature.
pub(crate) fn recover_by_k256(signature: &Signature) -> Option<PublicKey> {
    use k256::ecdsa::{RecoveryId, Signature as Plain, VerifyingKey};
    let plain = Plain::from_scalars(signature.r, signature.s).ok()?;
    let low = plain.normalize_s();
    let id = RecoveryId::from_byte(signature.recovery_id)?;
    let id = RecoveryId::new(id.is_y_odd() != low.is_some(), id.is_x_reduced());
    let key = VerifyingKey::recover_from_prehash(&signature.digest, &low.unwrap_or(plain), id).ok()?;
    let mut bytes = [0; 64];
    bytes.copy_from_slice(&key.to_encoded_point(false).as_bytes()[1..]);
    Some(PublicKey(bytes))
}

/// `rows` signatures by `signers` keys in turn, and whose they are.
pub(crate) fn signed(rows: usize, signers: usize, draw: &mut Draw) -> (Vec<Signature>, Vec<PublicKey>) {
    use secp256k1::{Message, SECP256K1, SecretKey};
    let keys: Vec<SecretKey> =
        (0..signers).map(|_| SecretKey::from_byte_array(draw.bytes()).expect("below the order")).collect();
    (0..rows)
        .map(|i| {
            let digest = draw.bytes();
            let key = &keys[i % signers];
            let signature = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(digest), key);
            let (id, compact) = signature.serialize_compact();
            let (mut r, mut s) = ([0; 32], [0; 32]);
            r.copy_from_slice(&compact[..32]);
            s.copy_from_slice(&compact[32..]);
            let mut public = [0; 64];
            public.copy_from_slice(&key.public_key(SECP256K1).serialize_uncompressed()[1..]);
            (Signature { digest, r, s, recovery_id: i32::from(id) as u8 }, PublicKey(public))
        })
        .unzip()
}

/// The backends of this machine other than the oracle. Says so if eight lanes are not among them.
pub(crate) fn backends(test: &str) -> Vec<Backend> {
    let all: Vec<_> =
        Backend::OF_PROCESSOR.into_iter().filter(|b| *b != Backend::Libsecp256k1 && b.is_available()).collect();
    if all.len() < 2 {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "skipped: {test}: avx512 is not available here");
    }
    all
}

/// A small number as 32 bytes.
pub(crate) fn small(a: u64) -> [u8; 32] {
    to_bytes(&[a, 0, 0, 0])
}

/// n - a.
pub(crate) fn negated(a: &Words) -> Words {
    super::words::sub(&ORDER, a).0
}

#[test]
fn backends_have_names_and_can_be_forced() {
    use crate::backend::{Backends, Forced};
    for backend in Backend::ALL {
        assert_eq!(backend.name().parse::<Backend>().as_ref(), Ok(&backend));
        let forced = Forced::parse([format!("signatures={backend}").as_str()]).expect("it is one");
        assert_eq!(forced.signatures, Some(backend));
        match Backends::choose(forced) {
            Ok(chosen) => assert_eq!(chosen.signatures, backend),
            Err(BackendError::Device { .. }) => assert!(backend == Backend::Wgpu && !backend.is_available()),
            Err(e) => assert!(!backend.is_available() && matches!(e, BackendError::Unavailable { .. })),
        }
    }
    assert!(Backends::choose(Forced::default()).is_ok());
    assert!(matches!(Forced::parse(["signatures=gpu"]), Err(BackendError::Unknown { .. })));
    assert!(matches!(Forced::parse(["scalar"]), Err(BackendError::Malformed { .. })));
    assert!(matches!(Forced::parse(["keys=scalar"]), Err(BackendError::Malformed { .. })));
    assert_eq!(Forced::parse(["signatures=scalar,signatures=avx512"]).map(|f| f.signatures), Ok(Some(Backend::Avx512)));
}

#[test]
fn known_answers_are_those_of_both_libraries() {
    for answer in &super::answers::ANSWERS {
        assert_eq!(library::recover(&answer.signature), answer.key);
        assert_eq!(recover_by_k256(&answer.signature), answer.key);
    }
    let all = Backend::OF_PROCESSOR.into_iter().filter(|b| b.is_available());
    assert!(all.map(Backend::is_proven).all(|proven| proven == Ok(true)));
}

/// All variants in which generic code runs, by name: plain, and with ranges checked.
pub(crate) type CheckedOne = Checked<One>;
#[cfg(target_arch = "x86_64")]
pub(crate) type CheckedEight = Checked<super::field::avx512::Eight>;

/// Runs a generic function for every variant that this machine has.
macro_rules! for_each_variant {
    ($test:expr, $function:ident $(::<$curve:ty>)?) => {{
        $function::<super::super::field::scalar::One $(, $curve)?>();
        $function::<super::CheckedOne $(, $curve)?>();
        #[cfg(target_arch = "x86_64")]
        if super::backends($test).len() == 2 {
            $function::<super::super::field::avx512::Eight $(, $curve)?>();
            $function::<super::CheckedEight $(, $curve)?>();
        }
    }};
}
pub(crate) use for_each_variant;

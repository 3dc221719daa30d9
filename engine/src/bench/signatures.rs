//! Signatures: recovery and batches, beside libsecp256k1 and k256. Rows are made here, from a fixed seed.

use super::{BenchError, Line, median, seconds};
use crate::secp256k1::gpu::DEVICE_ROWS;
use crate::secp256k1::{Backend, Hints, PublicKey, Signature, recover, recover_hinted};
use alloy_primitives::keccak256;
use k256::ecdsa::{RecoveryId, Signature as Plain, VerifyingKey};
use rayon::prelude::*;
use secp256k1::{Message, SECP256K1, SecretKey};
use std::collections::BTreeMap;

/// Rows that a library recovers in a turn: they take long, and do not get faster by being many.
const PEER_ROWS: usize = 128;

/// Rows that a turn has at least: fewer are taken again and again, as blocks come one after the other.
const TURN_ROWS: usize = 4096;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Numbers of rows.
    pub rows: Vec<usize>,
    /// Shares of distinct signers, in percent; 0 for one row again and again.
    pub distinct: Vec<usize>,
    /// Backends.
    pub backends: Vec<Backend>,
    /// Hints, some of [`HINTS`].
    pub hints: Vec<&'static str>,
    /// Turns.
    pub samples: usize,
}

/// Rows, their signers and all hints, right and wrong.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The rows.
    pub signatures: Vec<Signature>,
    keys: Vec<PublicKey>,
    signers: Vec<u32>,
    roots: Vec<[u8; 32]>,
    /// Each row's key said to be another's.
    swapped: Vec<u32>,
    /// One row's.
    one_wrong: Vec<u32>,
}

impl Rows {
    /// Rows by so many signers in turn.
    pub fn made(rows: usize, signers: usize) -> Self {
        let digest = |kind: &str, i: usize| keccak256(format!("{kind} {i}")).0;
        let keys: Vec<SecretKey> = (0..signers)
            .map(|i| {
                SecretKey::from_byte_array(digest("key", i))
                    .expect("a digest is below the order, but for a chance of 2^-128")
            })
            .collect();
        let public = |key: &SecretKey| {
            let mut bytes = [0; 64];
            bytes.copy_from_slice(&key.public_key(SECP256K1).serialize_uncompressed()[1..]);
            PublicKey(bytes)
        };
        let signed = |i: usize| {
            let digest = digest("row", i);
            let (id, compact) =
                SECP256K1.sign_ecdsa_recoverable(Message::from_digest(digest), &keys[i % signers]).serialize_compact();
            let recovery_id = i32::from(id) as u8;
            let (halves, _) = compact.as_chunks::<32>();
            // Ids 2 and 3 come with a chance of 2^-128.
            let mut compressed = [2 + (recovery_id & 1); 33];
            compressed[1..].copy_from_slice(&halves[0]);
            let point = secp256k1::PublicKey::from_slice(&compressed).expect("R is a point").serialize_uncompressed();
            let mut root = [0; 32];
            root.copy_from_slice(&point[33..]);
            (Signature { digest, r: halves[0], s: halves[1], recovery_id }, root)
        };
        let (signatures, roots) = (0..rows).into_par_iter().map(signed).unzip();
        let of: Vec<u32> = (0..rows).map(|i| (i % signers) as u32).collect();
        let (mut swapped, mut one_wrong) = (of.clone(), of.clone());
        swapped.iter_mut().for_each(|signer| *signer = (*signer + 1) % signers as u32);
        if let Some(signer) = one_wrong.get_mut(rows / 2) {
            *signer = (*signer + 1) % signers as u32;
        }
        Self { signatures, keys: keys.iter().map(public).collect(), signers: of, roots, swapped, one_wrong }
    }

    /// One row again and again: most sums in a batch meet an equal point.
    pub fn repeated(rows: usize) -> Self {
        let one = Self::made(1, 1);
        let signers = vec![0; rows];
        Self {
            signatures: vec![one.signatures[0]; rows],
            keys: one.keys,
            roots: vec![one.roots[0]; rows],
            swapped: signers.clone(),
            one_wrong: signers.clone(),
            signers,
        }
    }

    /// Hints by name, one of [`HINTS`].
    pub fn hints(&self, name: &str) -> Hints<'_> {
        let right = Hints { keys: &self.keys, signers: &self.signers, roots: &self.roots };
        match name {
            "none" => Hints::default(),
            "keys" => Hints { roots: &[], ..right },
            "all wrong" => Hints { signers: &self.swapped, ..right },
            "one wrong" => Hints { signers: &self.one_wrong, ..right },
            _ => right,
        }
    }

    /// Whether every row recovers to its signer.
    pub fn verify(&self, backend: Backend, hints: &Hints<'_>) -> Result<(), BenchError> {
        let got = recover_hinted(backend, &self.signatures, hints);
        let rows = self.signatures.len();
        match (0..rows).find(|i| got[*i] != Some(self.keys[self.signers[*i] as usize])) {
            Some(row) => Err(BenchError::Wrong { backend, row, rows }),
            None => Ok(()),
        }
    }
}

fn recover_by_k256(row: &Signature) -> Option<VerifyingKey> {
    let plain = Plain::from_scalars(row.r, row.s).ok()?;
    VerifyingKey::recover_from_prehash(&row.digest, &plain, RecoveryId::from_byte(row.recovery_id)?).ok()
}

/// Hints that a case gives.
pub const HINTS: [&str; 5] = ["none", "keys+y", "keys", "all wrong", "one wrong"];

impl Plan {
    /// Signers of a batch. Errors: there cannot be so many, or there are no rows.
    fn signers(rows: usize, distinct: usize) -> Result<usize, BenchError> {
        let signers = (rows * distinct / 100).max(1);
        if rows == 0 || signers > rows {
            return Err(BenchError::Usage(format!("{distinct} % of {rows} rows are no number of signers")));
        }
        Ok(signers)
    }

    /// What of it is not measured, and why: backends by name.
    pub fn left_out(&self) -> Vec<(&'static str, &'static str)> {
        let mut all = Vec::new();
        for (&rows, &distinct) in self.rows.iter().flat_map(|rows| self.distinct.iter().map(move |d| (rows, d))) {
            let Ok(signers) = Self::signers(rows, distinct) else { continue };
            let cases = self.backends.iter().flat_map(|b| self.hints.iter().map(move |hints| (*b, *hints)));
            all.extend(cases.filter_map(|(b, hints)| why_not(b, hints, rows, signers).map(|why| (b.name(), why))));
        }
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// Why a case would not be what it is called.
fn why_not(backend: Backend, hints: &str, rows: usize, signers: usize) -> Option<&'static str> {
    match backend {
        Backend::Libsecp256k1 if hints != "none" => Some("the library has no use for hints"),
        Backend::Wgpu if rows < DEVICE_ROWS => Some("the processor takes batches of fewer than 1,024 rows"),
        _ if signers == 1 && hints.ends_with("wrong") => Some("where one signs all rows, no key is another's"),
        _ => None,
    }
}

const _: () = assert!(DEVICE_ROWS == 1024, "said in words above");

/// Recovery without hints, batches with them, and batches whose hints lie. Errors: a wrong result, or nothing to measure.
pub fn signatures(plan: &Plan) -> Result<Vec<Line>, BenchError> {
    let mut all = Vec::new();
    for &rows in &plan.rows {
        for &distinct in &plan.distinct {
            let signers = Plan::signers(rows, distinct)?;
            let world = if distinct == 0 { Rows::repeated(rows) } else { Rows::made(rows, signers) };
            all.extend(measure(&world, plan)?);
        }
    }
    match plan.left_out().first() {
        Some((backend, why)) if all.is_empty() => {
            Err(BenchError::Usage(format!("nothing to measure of signatures by {backend}: {why}")))
        }
        _ => Ok(all),
    }
}

fn measure(world: &Rows, plan: &Plan) -> Result<Vec<Line>, BenchError> {
    let rows = world.signatures.len();
    let few = &world.signatures[..rows.min(PEER_ROWS)];
    let cases: Vec<(Backend, &'static str)> =
        plan.backends.iter().flat_map(|b| plan.hints.iter().map(|hints| (*b, *hints))).collect();
    let is_sensible = |(backend, hints): &(Backend, &str)| why_not(*backend, hints, rows, world.keys.len()).is_none();
    let cases: Vec<_> = cases.into_iter().filter(is_sensible).collect();
    for (backend, hints) in &cases {
        world.verify(*backend, &world.hints(hints))?;
    }
    let mut times = vec![Vec::with_capacity(plan.samples); cases.len()];
    let mut peers: [Vec<f64>; 2] = Default::default();
    let one_core = |work: &dyn Fn()| seconds(work) / few.len() as f64;
    for _ in 0..plan.samples {
        // Peers on this thread alone, without the pool.
        peers[0].push(one_core(&|| {
            assert!(few.iter().all(|row| recover(Backend::Libsecp256k1, std::slice::from_ref(row))[0].is_some()));
        }));
        peers[1].push(one_core(&|| assert!(few.iter().all(|row| recover_by_k256(row).is_some()))));
        for (times, (backend, hints)) in times.iter_mut().zip(&cases) {
            let hints = world.hints(hints);
            let again = TURN_ROWS.div_ceil(rows);
            let whole = seconds(|| {
                for _ in 0..again {
                    assert_eq!(recover_hinted(*backend, &world.signatures, &hints).len(), rows);
                }
            });
            times.push(whole / again as f64);
        }
    }
    let threads = rayon::current_num_threads();
    Ok(cases
        .into_iter()
        .zip(times)
        .map(|((backend, hints), samples)| {
            let ratio_to = |peer: &[f64]| {
                median(peer.iter().zip(&samples).map(|(peer, own)| peer * rows as f64 / own / threads as f64).collect())
            };
            Line {
                stage: "signatures".into(),
                kernel: if hints == "none" { "recover" } else { "batch" }.into(),
                backend: backend.name().into(),
                threads,
                rows: rows as u64,
                unit: "signatures".into(),
                input: format!("{} signers, hints {hints}", world.keys.len()),
                signers: Some(world.keys.len() as u64),
                hints: Some(hints.into()),
                per_second: rows as f64 / median(samples.clone()),
                bytes_per_second: None,
                gas_per_second: None,
                of_bandwidth: None,
                ratio: BTreeMap::from([
                    ("libsecp256k1-recover".into(), ratio_to(&peers[0])),
                    ("k256-recover".into(), ratio_to(&peers[1])),
                ]),
                samples,
            }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_case_is_measured_and_verified() {
        let backends: Vec<_> = Backend::OF_PROCESSOR.into_iter().filter(|b| b.is_available()).collect();
        let hints = HINTS.to_vec();
        let plan = Plan { rows: vec![40], distinct: vec![10, 100], backends: backends.clone(), hints, samples: 1 };
        let all = signatures(&plan).expect("all rows are right");
        assert_eq!(all.len(), 2 * (1 + 5 * (backends.len() - 1)));
        assert!(all.iter().all(|m| m.rows == 40 && m.samples.len() == 1 && m.per_second > 0.0));
        assert!(all.iter().all(|m| m.ratio.len() == 2 && m.ratio.values().all(|x| *x > 0.0)));
        let left_out = [("libsecp256k1", "the library has no use for hints")];
        assert_eq!(plan.left_out(), left_out);
        assert!(signatures(&Plan { rows: vec![0], ..plan.clone() }).is_err());
        // What would measure nothing is refused, not passed over.
        let one_signer = Plan { distinct: vec![0], hints: vec!["all wrong"], ..plan.clone() };
        let library = Plan { backends: vec![Backend::Libsecp256k1], hints: vec!["keys"], ..plan.clone() };
        let device = Plan { backends: vec![Backend::Wgpu], ..plan };
        for nothing in [one_signer, library, device] {
            assert!(matches!(signatures(&nothing), Err(BenchError::Usage(_))), "{nothing:?}");
        }
    }
}

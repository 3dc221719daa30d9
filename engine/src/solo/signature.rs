//! Signatures of transactions and authorisations: whom they recover to, and what is wrong with them.
//!
//! Recovery is the work of many rows at once (`secp256k1`): `collect` gives the rows of a transaction, [`Recovered::take`] what
//! came of them. Source: EIP-2 (low s), EIP-155 (chain id in v), EIP-2718, EIP-7702.

use super::next_nonces::{NextNonces, Signed};
use super::transaction::Envelope;
use crate::keccak::keccak256_batch;
use crate::reason::{Check, Fault, Reason};
use crate::secp256k1::{self, Backend, Found, Hints, PublicKey, recover_hinted, recover_hinted_with_roots};
use alloy_consensus::{SignableTransaction, Transaction};
use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::map::{AddressHashMap, Entry};
use alloy_primitives::{Address, B256, Signature, U256};
use manaflow_loader::model::Location;
use manaflow_loader::rules::{ChainRules, Fork};
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

/// Half of the group order, rounded down: the greatest s that EIP-2 allows.
const HALF_ORDER: U256 =
    U256::from_be_bytes(alloy_primitives::hex!("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0"));

/// Whom the signatures of one transaction recover to.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Recovered {
    /// The sender, high s or not; `None` if it is nobody.
    pub sender: Option<Address>,
    /// One a set-code tuple; `None` where it is void.
    pub authorities: Vec<Option<Address>>,
}

/// The signature of a set-code tuple; `None` where it is void before any arithmetic (EIP-7702: a parity that is none, high s).
fn of_tuple(tuple: &SignedAuthorization) -> Option<Signature> {
    tuple.signature().ok().filter(|signature| signature.s() <= HALF_ORDER)
}

/// Signatures of set-code tuples with what they sign; `None` where a tuple is void.
fn tuples(tx: &Envelope) -> impl Iterator<Item = Option<(Signature, B256)>> {
    let tuples = tx.authorization_list().unwrap_or_default().iter();
    tuples.map(|tuple| of_tuple(tuple).map(|signature| (signature, tuple.signature_hash())))
}

fn row(signature: &Signature, digest: B256) -> secp256k1::Signature {
    secp256k1::Signature {
        digest: digest.0,
        r: signature.r().to_be_bytes(),
        s: signature.s().to_be_bytes(),
        recovery_id: u8::from(signature.v()),
    }
}

/// What a transaction's signature signs, before it is hashed.
fn encode_for_signing(tx: &Envelope, out: &mut Vec<u8>) {
    match tx {
        Envelope::Legacy(signed) => signed.tx().encode_for_signing(out),
        Envelope::Eip2930(signed) => signed.tx().encode_for_signing(out),
        Envelope::Eip1559(signed) => signed.tx().encode_for_signing(out),
        Envelope::Eip4844(signed) => signed.tx().encode_for_signing(out),
        Envelope::Eip7702(signed) => signed.tx().encode_for_signing(out),
    }
}

/// What the signatures of these transactions sign, hashed together.
fn digests<'a>(transactions: impl Iterator<Item = &'a Envelope> + Clone) -> Vec<B256> {
    let mut bytes = Vec::new();
    let mut ends = Vec::new();
    for tx in transactions {
        encode_for_signing(tx, &mut bytes);
        ends.push(bytes.len());
    }
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let messages: Vec<&[u8]> = starts.zip(&ends).map(|(start, end)| &bytes[start..*end]).collect();
    keccak256_batch(&messages)
}

/// Transactions whose digests are made together.
const TOGETHER: usize = 256;

/// Appends the rows of a transaction: the sender's, then that of each tuple that is not void already.
fn collect(tx: &Envelope, digest: B256, rows: &mut Vec<secp256k1::Signature>) {
    rows.push(row(tx.signature(), digest));
    rows.extend(tuples(tx).flatten().map(|(signature, digest)| row(&signature, digest)));
}

impl Recovered {
    /// Takes what came of the rows of a transaction, in order.
    pub fn take(tx: &Envelope, results: &mut impl Iterator<Item = Option<Address>>) -> Self {
        let mut next = || results.next().expect("a result for each row that was collected");
        Self { sender: next(), authorities: tuples(tx).map(|tuple| tuple.and_then(|_| next())).collect() }
    }
}

/// What a recovery leaves for those who verify later (loader/FORMAT.md, sections `signer-keys` and `signature-r`).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SignatureHints {
    /// Signers with their keys.
    pub keys: Vec<(Address, PublicKey)>,
    /// R.y of the transaction's signature, then of each set-code tuple; zero where it recovers to nobody.
    pub roots: Vec<B256>,
}

/// The rows of many transactions: of each the sender's, then that of each tuple that is not void already.
pub(crate) fn collect_all(transactions: &[&Envelope]) -> Vec<secp256k1::Signature> {
    // What is signed is hashed on all workers; the rows are small.
    let rows = transactions.par_chunks(TOGETHER).flat_map_iter(|some| {
        let mut rows = Vec::with_capacity(some.len());
        some.iter().zip(digests(some.iter().copied())).for_each(|(tx, digest)| collect(tx, digest, &mut rows));
        rows
    });
    rows.collect()
}

/// Recovers the signatures of many transactions together, on the current rayon pool.
pub fn recover_all(transactions: &[&Envelope], backend: Backend) -> Vec<Recovered> {
    let mut results = secp256k1::recover_addresses(backend, &collect_all(transactions)).into_iter();
    transactions.iter().map(|tx| Recovered::take(tx, &mut results)).collect()
}

/// What the rows of `collect` sign, in the same order.
fn signed(tx: &Envelope) -> impl Iterator<Item = Signed> + Clone {
    let tuples = tx.authorization_list().unwrap_or_default().iter().filter(|tuple| of_tuple(tuple).is_some());
    std::iter::once(Signed { nonce: tx.nonce(), is_transaction: true })
        .chain(tuples.map(|tuple| Signed { nonce: tuple.nonce, is_transaction: false }))
}

/// The same, with what may be kept of it as hints; `next` guesses who signed, and learns it.
pub fn recover_all_with_hints(
    transactions: &[&Envelope],
    backend: Backend,
    next: Option<&mut NextNonces>,
) -> Vec<(Recovered, SignatureHints)> {
    let rows = collect_all(transactions);
    let owned = |found: Option<Found>| found.map(|found| (found.key.address(), found));
    let addresses = |found: Vec<Option<Found>>| found.into_par_iter().with_min_len(256).map(owned).collect::<Vec<_>>();
    let found = match next {
        None => addresses(secp256k1::recover_with_roots(backend, &rows)),
        Some(next) => {
            let signed = transactions.iter().flat_map(|tx| signed(tx));
            let guesses = next.guess(signed.clone());
            let found = addresses(recover_hinted_with_roots(backend, &rows, &guesses.hints()));
            next.learn(&guesses, signed.zip(found.iter().map(|f| f.as_ref().map(|(addr, found)| (*addr, found)))));
            found
        }
    };
    let mut results = found.into_iter();
    let take = |tx: &&Envelope| {
        let mut hints = SignatureHints::default();
        let mut keep = |result: Option<(Address, Found)>| {
            hints.roots.push(result.map_or(B256::ZERO, |(_, found)| found.root.into()));
            hints.keys.extend(result.map(|(addr, found)| (addr, found.key)));
            result.map(|(addr, _)| addr)
        };
        let mut next = || results.next().expect("a result for each row that was collected");
        let sender = keep(next());
        let authorities = tuples(tx).map(|tuple| keep(tuple.and_then(|_| next()))).collect();
        (Recovered { sender, authorities }, hints)
    };
    transactions.iter().map(take).collect()
}

/// The public keys that a file gives as hints, each under the address that it hashes to: so none can be said to be another's.
#[derive(Debug, Default)]
pub struct SignerKeys<'a> {
    keys: &'a [[u8; 64]],
    places: AddressHashMap<u32>,
}

/// Keys that are hashed at a time.
const HASHED: usize = 1 << 16;

impl<'a> SignerKeys<'a> {
    /// Hashes the keys, on the current rayon pool.
    pub fn new(keys: &'a [[u8; 64]]) -> Self {
        let mut places = AddressHashMap::with_capacity_and_hasher(keys.len(), Default::default());
        for (i, some) in keys.chunks(HASHED).enumerate() {
            let messages: Vec<&[u8]> = some.iter().map(|key| &key[..]).collect();
            let first = (i * HASHED) as u32;
            // A file has fewer keys than rows and authorities, whose numbers are of 32 bits where they are used at all.
            places.extend(
                keccak256_batch(&messages).iter().zip(first..).map(|(hash, i)| (Address::from_slice(&hash[12..]), i)),
            );
        }
        Self { keys, places }
    }

    fn get(&self, addr: &Address) -> Option<PublicKey> {
        self.places.get(addr).map(|place| PublicKey(self.keys[*place as usize]))
    }
}

/// A transaction with what is said of its signatures.
#[derive(Clone, Copy, Debug)]
pub struct Claimed<'a> {
    /// The transaction.
    pub tx: &'a Envelope,
    /// Who is declared to have signed: to be judged, and whose keys to try.
    pub declared: &'a Recovered,
    /// Hints: keys.
    pub keys: &'a SignerKeys<'a>,
    /// Hints: R.y of its signature and of its tuples.
    pub roots: Option<(&'a [u8; 32], &'a [[u8; 32]])>,
}

/// A row with what is said of it.
#[derive(Clone, Copy, Debug)]
struct ClaimedRow<'a> {
    signature: secp256k1::Signature,
    declared: Option<Address>,
    keys: &'a SignerKeys<'a>,
    root: Option<&'a [u8; 32]>,
}

impl<'a> Claimed<'a> {
    /// Appends its rows.
    fn collect(&self, digest: B256, rows: &mut Vec<ClaimedRow<'a>>) {
        let (tx, keys) = (self.tx, self.keys);
        let authority = |i: usize| self.declared.authorities.get(i).copied().flatten();
        let signature = row(tx.signature(), digest);
        let root = self.roots.map(|(own, _)| own);
        rows.push(ClaimedRow { signature, declared: self.declared.sender, keys, root });
        rows.extend(tuples(tx).enumerate().filter_map(|(i, tuple)| {
            let (signature, digest) = tuple?;
            let root = self.roots.and_then(|(_, of_tuples)| of_tuples.get(i));
            Some(ClaimedRow { signature: row(&signature, digest), declared: authority(i), keys, root })
        }));
    }
}

/// Public keys that recovery has found, by address: hints for the rows that come later. They are as untrusted as all hints; that
/// there are some changes the work and no result.
#[derive(Debug, Default)]
pub struct KnownKeys(Mutex<AddressHashMap<PublicKey>>);

/// Keys that are kept: some 30 MiB.
const KNOWN_MAX: usize = 1 << 18;

impl KnownKeys {
    /// Recovers rows of whom it is said who signed them, on the current rayon pool.
    fn recover(&self, rows: &[ClaimedRow<'_>], backend: Backend) -> Vec<Option<Address>> {
        let signatures: Vec<_> = rows.iter().map(|row| row.signature).collect();
        let mut places: AddressHashMap<u32> = AddressHashMap::default();
        let (mut keys, mut addresses) = (Vec::new(), Vec::new());
        let signers: Vec<u32> = {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let mut place = |addr: Address, stored: &SignerKeys<'_>| match places.entry(addr) {
                Entry::Occupied(entry) => *entry.get(),
                Entry::Vacant(entry) => {
                    let key = stored.get(&addr).or_else(|| known.get(&addr).copied());
                    *entry.insert(key.map_or(u32::MAX, |key| {
                        keys.push(key);
                        addresses.push(addr);
                        keys.len() as u32 - 1
                    }))
                }
            };
            rows.iter().map(|row| row.declared.map_or(u32::MAX, |addr| place(addr, row.keys))).collect()
        };
        // Of no row, or of all: a zero is no R.y, so the row is recovered.
        let has_roots = rows.iter().any(|row| row.root.is_some());
        let roots: Vec<[u8; 32]> =
            if has_roots { rows.iter().map(|row| row.root.copied().unwrap_or_default()).collect() } else { Vec::new() };
        let found = recover_hinted(backend, &signatures, &Hints { keys: &keys, signers: &signers, roots: &roots });
        let address = |(key, signer): (&Option<PublicKey>, &u32)| {
            let key = (*key)?;
            Some(match keys.get(*signer as usize) {
                Some(known) if *known == key => addresses[*signer as usize],
                _ => key.address(),
            })
        };
        let found_addresses: Vec<_> = found.par_iter().zip(&signers).with_min_len(256).map(address).collect();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for ((key, addr), signer) in found.iter().zip(&found_addresses).zip(&signers) {
            if let (Some(key), Some(addr), u32::MAX) = (key, addr, *signer)
                && known.len() < KNOWN_MAX
            {
                known.insert(*addr, *key);
            }
        }
        found_addresses
    }

    /// Recovers the signatures of many transactions together, with what is said of each.
    pub fn recover_all(&self, transactions: &[Claimed<'_>], backend: Backend) -> Vec<Recovered> {
        let rows = transactions.par_chunks(TOGETHER).flat_map_iter(|some| {
            let mut rows = Vec::with_capacity(some.len());
            let digests = digests(some.iter().map(|claimed| claimed.tx));
            some.iter().zip(digests).for_each(|(claimed, digest)| claimed.collect(digest, &mut rows));
            rows
        });
        let rows: Vec<_> = rows.collect();
        let mut results = self.recover(&rows, backend).into_iter();
        transactions.iter().map(|claimed| Recovered::take(claimed.tx, &mut results)).collect()
    }
}

/// Judges the signatures of one transaction against its declared sender and authorities.
pub fn check(
    tx: &Envelope,
    recovered: &Recovered,
    declared: &Recovered,
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
    let (sender, authorities) = (declared.sender, &declared.authorities);
    match (recovered.sender, sender) {
        (None, _) => fault(Reason::BadSignature, "nobody".into(), say(sender)),
        (Some(recovered), declared) if declared != Some(recovered) => {
            fault(Reason::WrongSender, say(declared), say(Some(recovered)));
        }
        _ => {}
    }
    let recovered = &recovered.authorities;
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
    use alloy_consensus::transaction::SignerRecoverable;
    use alloy_consensus::{SignableTransaction, TxLegacy};
    use alloy_primitives::{Bytes, TxKind, keccak256};
    use k256::ecdsa::{RecoveryId, Signature as K256Signature, SigningKey, VerifyingKey};
    use sha3::{Digest, Keccak256};

    /// Each nonce by another.
    fn signed(nonce: u64, chain_id: Option<u64>, high_s: bool) -> (Envelope, Address) {
        signed_by(nonce, nonce, chain_id, high_s)
    }

    fn signed_by(who: u64, nonce: u64, chain_id: Option<u64>, high_s: bool) -> (Envelope, Address) {
        let key = SigningKey::from_slice(keccak256(who.to_be_bytes()).as_slice()).expect("a scalar");
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

    /// By every backend of this machine, which must agree, with each other and with alloy's recovery.
    fn recover_sender(tx: &Envelope) -> Option<Address> {
        let expected = tx.recover_signer_unchecked().ok();
        for backend in Backend::ALL.into_iter().filter(|b| b.is_available()) {
            assert_eq!(recover_all(&[tx], backend)[0].sender, expected, "{backend}");
        }
        expected
    }

    fn faults(tx: &Envelope, sender: Option<Address>, fork: Fork, chain_id: u64) -> Vec<Reason> {
        let rules = ChainRules { chain_id, ..ChainRules::default() };
        let mut faults = Vec::new();
        let location = Location::new(1, 1).expect("in bounds");
        let recovered = &recover_all(&[tx], Backend::default())[0];
        let declared = Recovered { sender, authorities: Vec::new() };
        check(tx, recovered, &declared, fork, &rules, location, &mut faults);
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
    fn known_keys_change_no_result() {
        let list: Vec<_> = (0..150).map(|i| signed(i % 30, Some(1), i % 3 == 0)).collect();
        let expected: Vec<_> = list.iter().map(|(_, sender)| Some(*sender)).collect();
        // Right, another's, nobody's, and that of one who is not known.
        let declared: Vec<Recovered> = (0..list.len())
            .map(|i| [Some(list[i].1), Some(list[i].1), Some(list[(i + 1) % 150].1), None, Some(Address::ZERO)][i % 5])
            .map(|sender| Recovered { sender, authorities: Vec::new() })
            .collect();
        let keys = SignerKeys::default();
        let pairs = list.iter().map(|(tx, _)| tx).zip(&declared);
        let transactions: Vec<_> =
            pairs.map(|(tx, declared)| Claimed { tx, declared, keys: &keys, roots: None }).collect();
        for backend in Backend::ALL.into_iter().filter(|b| b.is_available()) {
            let known = KnownKeys::default();
            for turn in 0..3 {
                let found = known.recover_all(&transactions, backend);
                assert!(found.iter().map(|r| r.sender).eq(expected.iter().copied()), "{backend}, turn {turn}");
            }
            assert_eq!(known.0.lock().expect("nobody panics").len(), 30);
        }
    }

    /// Batches of a chain in which somebody takes another's nonce now and then: the results are those without guesses.
    #[test]
    fn guesses_change_no_result() {
        let list: Vec<_> = (0..400_u64)
            .map(|i| if i % 97 == 96 { (3, i / 4) } else { (i % 4, 5 * (i % 4) + i / 4) })
            .map(|(who, nonce)| signed_by(who, nonce, Some(1), nonce % 3 == 0))
            .collect();
        for backend in Backend::ALL.into_iter().filter(|b| b.is_available()) {
            let mut next = NextNonces::new(true);
            for batch in list.chunks(25) {
                let transactions: Vec<_> = batch.iter().map(|(tx, _)| tx).collect();
                let expected = recover_all_with_hints(&transactions, Backend::default(), None);
                assert_eq!(recover_all_with_hints(&transactions, backend, Some(&mut next)), expected, "{backend}");
                assert!(expected.iter().map(|(r, _)| r.sender).eq(batch.iter().map(|(_, sender)| Some(*sender))));
            }
            let (guessed, wrong) = next.counts();
            assert!(wrong > 0 && guessed > 100 + wrong, "{guessed} guesses, {wrong} wrong");
        }
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

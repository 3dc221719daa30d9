//! Lies about transactions besides their moves: signature, fields, sender, authorities, outcome, order; and what a system
//! transaction may not have.

use super::moves::NOBODY;
use super::{Draw, Envelope, Foretold, Lie, Place, Sample, Scene, Told, What, envelope};
use alloy_consensus::{SignableTransaction, Transaction};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bytes, Log, LogData, Signature, TxKind, U256, uint};
use manaflow_engine::reason::{Check, Reason};
use manaflow_loader::model::{Cell, Outcome, Status, TransactionRecord};
use manaflow_loader::rules::Fork;

/// Order of the group of secp256k1.
const ORDER: U256 = uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);

/// A signature that is another's, or nobody's.
const NOT_HIS: [Reason; 2] = [Reason::WrongSender, Reason::BadSignature];
/// What a block says of blobs that are more or fewer than it did.
const BLOBS: &[Reason] = &[Reason::WrongBlobGasUsed, Reason::TooManyBlobs];

/// Takes an envelope apart, changes transaction or signature, and puts it together again.
macro_rules! edit {
    ($envelope:expr, |$tx:ident, $signature:ident| $change:expr) => {
        match $envelope.clone() {
            Envelope::Legacy(signed) => edit!(@ signed, $tx, $signature, $change),
            Envelope::Eip2930(signed) => edit!(@ signed, $tx, $signature, $change),
            Envelope::Eip1559(signed) => edit!(@ signed, $tx, $signature, $change),
            Envelope::Eip4844(signed) => edit!(@ signed, $tx, $signature, $change),
            Envelope::Eip7702(signed) => edit!(@ signed, $tx, $signature, $change),
        }
    };
    (@ $signed:ident, $tx:ident, $signature:ident, $change:expr) => {{
        #[allow(unused_mut)]
        let (mut $tx, mut $signature, _) = $signed.into_parts();
        $change;
        Bytes::from(Envelope::from($tx.into_signed($signature)).encoded_2718())
    }};
}

/// A transaction at its place, and where lies about it are collected.
struct At<'a, 'b> {
    place: Place,
    row: &'a TransactionRecord,
    /// Whether all receipts of the block are known.
    is_witnessed: bool,
    lies: &'b mut Vec<Lie>,
}

/// Lies about a signed transaction.
pub fn about(scene: &Scene<'_>, place: &Place, draw: &mut Draw, lies: &mut Vec<Lie>) {
    let row = scene.row(place);
    let block = &scene.sample.segments[place.segment].blocks[place.block];
    let is_unknown =
        |t: &TransactionRecord| t.outcome.as_ref().is_some_and(|outcome| outcome.status == Status::Root(None));
    let is_witnessed = !block.transactions.iter().enumerate().any(|(i, t)| i != place.index && is_unknown(t));
    let mut at = At { place: *place, row, is_witnessed, lies };
    let envelope = envelope(row).expect("a signed transaction");
    at.signature(&envelope);
    at.fields(scene, &envelope);
    at.declared();
    at.order(scene, draw);
    if let Some(outcome) = &row.outcome {
        at.outcome(outcome);
    }
}

impl At<'_, '_> {
    fn add(
        &mut self,
        kind: &'static str,
        foretold: impl Into<Foretold>,
        change: impl Fn(&mut Sample) + Send + Sync + 'static,
    ) {
        let place = self.place.location().to_string();
        let under = Some(self.place.under());
        self.lies.push(Lie { kind, place, under, change: Box::new(change), foretold: foretold.into() });
    }

    fn change(
        &mut self,
        kind: &'static str,
        foretold: impl Into<Foretold>,
        change: impl Fn(&mut TransactionRecord) + Send + Sync + 'static,
    ) {
        let place = self.place;
        self.add(kind, foretold, move |sample| change(place.row(sample)));
    }

    fn bytes(&mut self, kind: &'static str, told: Told, bytes: Bytes) {
        if bytes != self.row.bytes {
            self.change(kind, told, move |t| t.bytes = bytes.clone());
        }
    }

    fn fault(&self, check: Check, reason: Reason) -> Told {
        Told::exactly().must(self.place.location(), check, reason, None)
    }

    /// Signed by another, or by nobody.
    fn not_his(&self) -> Told {
        Told::exactly().one_of(self.place.location(), Check::Signatures, &NOT_HIS)
    }

    /// The run does not look at signatures: Solo's execution says nothing.
    fn signature(&mut self, envelope: &Envelope) {
        let location = self.place.location();
        let high = |told: Told| told.may_at(location, Check::Signatures, &[Reason::HighS]);
        let told = high(self.not_his());
        let resigned =
            |change: &dyn Fn(&Signature) -> Signature| edit!(envelope, |tx, signature| signature = change(&signature));
        let one = U256::ONE;
        let r = resigned(&|s| Signature::new(s.r() + one, s.s(), s.v()));
        self.bytes("signature: r + 1", told.clone(), r);
        let s = resigned(&|s| Signature::new(s.r(), s.s() - one, s.v()));
        self.bytes("signature: s - 1", told.clone(), s);
        self.bytes("signature: parity", told, resigned(&|s| Signature::new(s.r(), s.s(), !s.v())));
        let nobody = high(self.fault(Check::Signatures, Reason::BadSignature));
        let beyond = resigned(&|s| Signature::new(ORDER, s.s(), s.v()));
        self.bytes("signature: r is the order", nobody.clone(), beyond);
        let beyond = resigned(&|s| Signature::new(s.r(), ORDER, s.v()));
        self.bytes("signature: s is the order", nobody, beyond);
        // The same signer by the other s: EIP-2 alone stands against it.
        let told = match self.place.fork >= Fork::Homestead {
            true => self.fault(Check::Signatures, Reason::HighS),
            false => Told::exactly(),
        };
        let mirrored = resigned(&|s| Signature::new(s.r(), ORDER - s.s(), !s.v()));
        if envelope.signature().s() <= ORDER >> 1 {
            self.bytes("signature: the other s", told, mirrored);
        }
    }

    /// What is signed. The run is another one.
    fn fields(&mut self, scene: &Scene<'_>, envelope: &Envelope) {
        let location = self.place.location();
        let told = self.not_his().may_run(location);
        self.bytes("transaction: nonce", told.clone(), edit!(envelope, |tx, signature| tx.nonce += 1));
        self.bytes("transaction: gas limit", told.clone(), edit!(envelope, |tx, signature| tx.gas_limit += 1));
        self.bytes("transaction: value", told.clone(), edit!(envelope, |tx, signature| tx.value += U256::ONE));
        let input = [&[0u8][..], envelope.input().as_ref()].concat();
        self.bytes(
            "transaction: input",
            told.clone(),
            edit!(envelope, |tx, signature| tx.input = input.clone().into()),
        );
        let to = match envelope.clone() {
            Envelope::Legacy(_) | Envelope::Eip2930(_) | Envelope::Eip1559(_) => self.to_nobody(envelope),
            Envelope::Eip4844(signed) => {
                let (mut tx, signature, _) = signed.into_parts();
                tx.to = NOBODY;
                Envelope::from(tx.into_signed(signature)).encoded_2718().into()
            }
            Envelope::Eip7702(signed) => {
                let (mut tx, signature, _) = signed.into_parts();
                tx.to = NOBODY;
                Envelope::from(tx.into_signed(signature)).encoded_2718().into()
            }
        };
        let nobody = told.clone().must(location, Check::Execution, Reason::UndeclaredCell, Some(Cell::account(NOBODY)));
        let is_call = envelope.to().is_some() && self.row.outcome.is_some();
        self.bytes("transaction: to", if is_call { nobody } else { told.clone() }, to);
        self.chain_id(scene, envelope, told.clone());
        if let Envelope::Eip4844(signed) = envelope {
            let (mut tx, signature, _) = signed.clone().into_parts();
            let hash = tx.blob_versioned_hashes[0];
            tx.blob_versioned_hashes.push(hash);
            let told = told.clone().must(self.place.at(0), Check::Blocks, Reason::WrongBlobGasUsed, None);
            let told = told.may_at(self.place.at(0), Check::Blocks, BLOBS);
            self.bytes(
                "transaction: a blob more",
                told,
                Envelope::from(tx.into_signed(signature)).encoded_2718().into(),
            );
        }
        if let Envelope::Eip7702(signed) = envelope
            && self.row.authorities.first().is_some_and(Option::is_some)
        {
            let (mut tx, signature, _) = signed.clone().into_parts();
            let tuple = tx.authorization_list.remove(0);
            let mut inner = tuple.inner().clone();
            inner.nonce ^= 1;
            let (parity, r, s) = (tuple.y_parity(), tuple.r(), tuple.s());
            let tuple = alloy_eips::eip7702::SignedAuthorization::new_unchecked(inner, parity, r, s);
            tx.authorization_list.insert(0, tuple);
            let told = told.must(location, Check::Signatures, Reason::WrongAuthority, None);
            let bytes = Envelope::from(tx.into_signed(signature)).encoded_2718().into();
            self.bytes("transaction: a set-code tuple's nonce", told, bytes);
        }
        let bad = self.fault(Check::Signatures, Reason::BadEncoding);
        let bad = bad.must(location, Check::Execution, Reason::BadEncoding, None);
        let whole = self.row.bytes.clone();
        self.bytes("transaction: bytes cut off", bad.clone(), whole.slice(..whole.len() - 1));
        self.bytes("transaction: a byte more", bad, [whole.as_ref(), &[0]].concat().into());
    }

    fn to_nobody(&self, envelope: &Envelope) -> Bytes {
        let to = TxKind::Call(NOBODY);
        match envelope.clone() {
            Envelope::Legacy(signed) => {
                let (mut tx, signature, _) = signed.into_parts();
                tx.to = to;
                Envelope::from(tx.into_signed(signature)).encoded_2718().into()
            }
            Envelope::Eip2930(signed) => {
                let (mut tx, signature, _) = signed.into_parts();
                tx.to = to;
                Envelope::from(tx.into_signed(signature)).encoded_2718().into()
            }
            Envelope::Eip1559(signed) => {
                let (mut tx, signature, _) = signed.into_parts();
                tx.to = to;
                Envelope::from(tx.into_signed(signature)).encoded_2718().into()
            }
            other => other.encoded_2718().into(),
        }
    }

    fn chain_id(&mut self, scene: &Scene<'_>, envelope: &Envelope, told: Told) {
        let location = self.place.location();
        let wrong = |told: Told| told.must(location, Check::Signatures, Reason::WrongChainId, None);
        let (bytes, told): (Bytes, Told) = match envelope.clone() {
            Envelope::Legacy(signed) => {
                let (mut tx, signature, _) = signed.into_parts();
                let early = self.place.fork < Fork::SpuriousDragon;
                let told = match tx.chain_id {
                    _ if early => told.must(location, Check::Signatures, Reason::EarlyReplayProtection, None),
                    Some(_) => wrong(told),
                    None => told,
                };
                tx.chain_id = Some(tx.chain_id.map_or(scene.sample.rules.chain_id, |id| id + 1));
                (Envelope::from(tx.into_signed(signature)).encoded_2718().into(), told)
            }
            Envelope::Eip2930(signed) => {
                let (mut tx, signature, _) = signed.into_parts();
                tx.chain_id += 1;
                (Envelope::from(tx.into_signed(signature)).encoded_2718().into(), wrong(told))
            }
            Envelope::Eip1559(signed) => {
                let (mut tx, signature, _) = signed.into_parts();
                tx.chain_id += 1;
                (Envelope::from(tx.into_signed(signature)).encoded_2718().into(), wrong(told))
            }
            Envelope::Eip4844(signed) => {
                let (mut tx, signature, _) = signed.into_parts();
                tx.chain_id += 1;
                (Envelope::from(tx.into_signed(signature)).encoded_2718().into(), wrong(told))
            }
            Envelope::Eip7702(signed) => {
                let (mut tx, signature, _) = signed.into_parts();
                tx.chain_id += 1;
                (Envelope::from(tx.into_signed(signature)).encoded_2718().into(), wrong(told))
            }
        };
        self.bytes("transaction: chain id", told, bytes);
    }

    /// Sender and authorities, which signatures decide.
    fn declared(&mut self) {
        let location = self.place.location();
        let told = self.fault(Check::Signatures, Reason::WrongSender);
        let run = told.clone().must(location, Check::Execution, Reason::UndeclaredCell, Some(Cell::account(NOBODY)));
        self.change("sender", run, |t| t.sender = Some(NOBODY));
        let run = told.must(location, Check::Execution, Reason::BadSignature, None);
        self.change("no sender", run, |t| t.sender = None);
        let told = self.fault(Check::Signatures, Reason::WrongAuthority).may_run(location);
        self.change("an authority more", told.clone(), |t| t.authorities.push(None));
        for (i, authority) in self.row.authorities.iter().enumerate().take(2) {
            if authority.is_some() {
                self.change("an authority said to be void", told.clone(), move |t| t.authorities[i] = None);
                self.change("another authority", told.clone(), move |t| t.authorities[i] = Some(NOBODY));
            } else {
                self.change("a void authority said to be one", told.clone(), move |t| t.authorities[i] = Some(NOBODY));
            }
            self.change("an authority less", told.clone(), move |t| _ = t.authorities.remove(i));
        }
        let refused = Foretold::Malformed("request outputs, but not a closing");
        self.change("a request in a transaction", refused, |t| t.requests.push(Bytes::new()));
    }

    /// Each transaction runs on its own befores wherever it stands: only ledger and books see order and number.
    fn order(&mut self, scene: &Scene<'_>, draw: &mut Draw) {
        let place = self.place;
        let opening = place.at(0);
        let told = Told::exactly().may_at(opening, Check::Hashes, &[Reason::WrongRequestsHash]);
        if place.index + 1 < place.last {
            self.add("two transactions swapped", told.clone(), move |sample| {
                let block = &mut sample.segments[place.segment].blocks[place.block];
                block.transactions.swap(place.index, place.index + 1);
            });
        }
        let told = told.may_at(opening, Check::Blocks, BLOBS);
        self.add("a transaction dropped", told.clone(), move |sample| {
            let block = &mut sample.segments[place.segment].blocks[place.block];
            drop(block.transactions.remove(place.index));
        });
        self.add("a transaction doubled", told.clone(), move |sample| {
            let rows = &mut sample.segments[place.segment].blocks[place.block].transactions;
            rows.insert(place.index, rows[place.index].clone());
        });
        let blocks = scene.sample.segments[place.segment].blocks.len();
        if place.block + 1 < blocks && draw.number().is_multiple_of(2) {
            let next = place.number + 1;
            let moved = Place { block: place.block + 1, number: next, index: 1, ..place };
            let told = told
                .may_at(moved.at(0), Check::Hashes, &[Reason::WrongRequestsHash])
                .may_at(moved.at(0), Check::Blocks, BLOBS)
                .may_at(moved.at(1), Check::Blocks, &[Reason::BadDepositLog])
                .may_at(moved.at(1), Check::Signatures, &[Reason::HighS, Reason::EarlyReplayProtection])
                .may_run(moved.at(1));
            self.add("a transaction moved to the next block", told, move |sample| {
                let blocks = &mut sample.segments[place.segment].blocks;
                let row = blocks[place.block].transactions.remove(place.index);
                blocks[place.block + 1].transactions.insert(1, row);
            });
        }
    }

    fn outcome(&mut self, outcome: &Outcome) {
        let location = self.place.location();
        let change = |f: fn(&mut Outcome)| move |t: &mut TransactionRecord| t.outcome.iter_mut().for_each(f);
        let wrong_gas = self.fault(Check::Execution, Reason::WrongGasUsed);
        self.change("outcome: gas + 1", wrong_gas.clone(), change(|o| o.gas_used += 1));
        self.change("outcome: gas - 1", wrong_gas.clone(), change(|o| o.gas_used -= 1));
        self.change("outcome: gas 0", wrong_gas.clone(), change(|o| o.gas_used = 0));
        self.change("outcome: gas 2^64 - 1", wrong_gas, change(|o| o.gas_used = u64::MAX));
        // A log of the deposit contract is a request too.
        let wrong_logs = (self.fault(Check::Execution, Reason::WrongLogs))
            .may_at(self.place.at(0), Check::Hashes, &[Reason::WrongRequestsHash])
            .may_at(location, Check::Blocks, &[Reason::BadDepositLog]);
        self.change(
            "outcome: a log more",
            wrong_logs.clone(),
            change(|o| {
                o.logs.push(Log { address: NOBODY, data: LogData::new_unchecked(vec![B256::ZERO], Bytes::new()) });
            }),
        );
        if let Some(log) = outcome.logs.first() {
            self.change("outcome: a log less", wrong_logs.clone(), change(|o| drop(o.logs.pop())));
            self.change("outcome: a log's address", wrong_logs.clone(), change(|o| o.logs[0].address = NOBODY));
            self.change(
                "outcome: a log's data",
                wrong_logs.clone(),
                change(|o| {
                    o.logs[0].data.data = [o.logs[0].data.data.as_ref(), &[1]].concat().into();
                }),
            );
            if !log.topics().is_empty() {
                self.change(
                    "outcome: a log's topic",
                    wrong_logs.clone(),
                    change(|o| {
                        o.logs[0].data.topics_mut_unchecked()[0].0[31] ^= 1;
                    }),
                );
            }
            if outcome.logs.len() > 1 && outcome.logs[0] != outcome.logs[1] {
                self.change("outcome: logs swapped", wrong_logs, change(|o| o.logs.swap(0, 1)));
            }
        }
        let missing = self.fault(Check::Execution, Reason::MissingOutcome);
        let missing = missing.may_at(location, Check::Execution, &[Reason::UnusedMove, Reason::WrongAfter]);
        self.change("no outcome", missing, |t| t.outcome = None);
        self.status(outcome);
    }

    fn status(&mut self, outcome: &Outcome) {
        let change =
            |status: Status| move |t: &mut TransactionRecord| t.outcome.iter_mut().for_each(|o| o.status = status);
        let some_root = Status::Root(Some(B256::repeat_byte(3)));
        if self.place.fork >= Fork::Byzantium {
            let wrong = self.fault(Check::Execution, Reason::WrongStatus);
            let other = if outcome.status == Status::Success { Status::Failure } else { Status::Success };
            self.change("outcome: status", wrong.clone(), change(other));
            self.change("outcome: a root for a status", wrong.clone(), change(some_root));
            self.change("outcome: an unknown root for a status", wrong, change(Status::Root(None)));
            return;
        }
        // No transaction sees the root: the books say what comes of a receipt's form.
        self.change("outcome: a status for a root", Told::exactly(), change(Status::Success));
        if self.is_witnessed {
            self.change("outcome: root", Told::exactly(), change(some_root));
            if outcome.status != Status::Root(None) {
                let told = Told { withheld: true, ..Told::exactly() };
                self.change("outcome: a root kept back", told, change(Status::Root(None)));
            }
        } else {
            self.change("outcome: a root among unknown ones", Foretold::Unchecked, change(some_root));
        }
    }
}

/// Lies about a system transaction besides its moves.
pub fn about_system(scene: &Scene<'_>, place: &Place, lies: &mut Vec<Lie>) {
    let place = *place;
    let mut add = |kind, foretold: Foretold, change: fn(&mut TransactionRecord)| {
        let change: super::Change = Box::new(move |sample: &mut Sample| change(place.row(sample)));
        lies.push(Lie { kind, place: place.location().to_string(), under: Some(place.under()), change, foretold });
    };
    let refused = || Foretold::Malformed("a system transaction has");
    add("system: a sender", refused(), |t| t.sender = Some(NOBODY));
    add("system: bytes", refused(), |t| t.bytes = Bytes::from_static(&[1]));
    add("system: an authority", refused(), |t| t.authorities.push(None));
    add("system: an outcome", refused(), |t| {
        t.outcome = Some(Outcome { status: Status::Success, gas_used: 0, logs: vec![] });
    });
    if place.index == 0 {
        let refused = Foretold::Malformed("request outputs, but not a closing");
        add("opening: a request", refused, |t| t.requests.push(Bytes::new()));
        return;
    }
    let told = || {
        let told = Told::exactly().must(place.location(), Check::Execution, Reason::WrongRequests, None);
        Foretold::Told(told.may(
            place.number..=place.number,
            Some(0),
            Check::Hashes,
            What::Reasons(&[Reason::WrongRequestsHash]),
        ))
    };
    add("closing: a request more", told(), |t| t.requests.push(Bytes::from_static(&[1])));
    if scene.row(&place).requests.len() == 2 {
        add("closing: a request less", told(), |t| drop(t.requests.pop()));
        add("closing: a request's bytes", told(), |t| {
            t.requests[1] = [t.requests[1].as_ref(), &[7; 32]].concat().into();
        });
        if scene.row(&place).requests[0] != scene.row(&place).requests[1] {
            add("closing: requests swapped", told(), |t| t.requests.swap(0, 1));
        }
    }
}

//! Lies about headers and bodies: each field with the hashes left as they were, with the block's own hash made right, and
//! with all hashes from there on made right; ommers and withdrawals with and without their roots.
//!
//! What the books say (roots, links, sums, hash writes) is exact. Rules against the parent need it to be known.

use super::moves::NOBODY;
use super::{Foretold, Lie, Place, Sample, Scene, Told, What};
use alloy_consensus::Header;
use alloy_consensus::proofs::calculate_withdrawals_root;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{B64, B256, Bloom, Bytes, U256, keccak256};
use manaflow_engine::reason::{Check, Reason};
use manaflow_loader::model::{Cell, Mark, Ommers};
use manaflow_loader::rules::Fork;

/// What a change of the header does.
type Edit = fn(&mut Header);

/// Which hashes are made right again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    /// None: the closing still writes the true hash.
    Stale,
    /// The block's own: its child still names the true hash.
    Own,
    /// All from here on.
    All,
}

/// How far a field reaches besides its own rule.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// It is compared, or not even that.
    None,
    /// Runs see it.
    Runs,
    /// It chooses rules: anything in this block and the next may be judged otherwise.
    Rules,
}

/// Rules that the child's header may break when its parent's fields change.
const OF_CHILD: &[Reason] = &[
    Reason::WrongTimestamp,
    Reason::WrongGasLimit,
    Reason::WrongDifficulty,
    Reason::WrongBaseFee,
    Reason::WrongExcessBlobGas,
    Reason::BaseFeePresence,
    Reason::ProofOfStakeTooEarly,
    Reason::ProofOfWorkTooLate,
];
/// What ommers of this and later blocks may break when the hash or header of an ancestor changes.
const OF_OMMERS: &[Reason] = &[
    Reason::OmmerParentNotAncestor,
    Reason::OmmerIsAncestor,
    Reason::RepeatedOmmer,
    Reason::InvalidOmmer,
    Reason::WrongOmmerDepth,
];

/// Names of the three lies about a field.
macro_rules! kinds {
    ($field:literal) => {
        [
            concat!("header: ", $field),
            concat!("header: ", $field, ", own hash right"),
            concat!("header: ", $field, ", all hashes right"),
        ]
    };
}

struct At<'a, 'b> {
    scene: &'a Scene<'a>,
    /// The closing.
    place: Place,
    header: &'a Header,
    /// The parent's header, where the file has it.
    parent: Option<Header>,
    lies: &'b mut Vec<Lie>,
}

/// Lies about the header and the body of a closing's block.
pub fn about(scene: &Scene<'_>, place: &Place, lies: &mut Vec<Lie>) {
    let segment = &scene.sample.segments[place.segment];
    let parent = match place.block {
        0 => segment.start.earlier.last().and_then(|earlier| super::sample::decode_header(&earlier.header)),
        block => Some(scene.headers[place.segment][block - 1].clone()),
    };
    let mut at = At { scene, place: *place, header: scene.header(place), parent, lies };
    at.fields();
    if place.number > 0 {
        at.ommers();
        at.withdrawals();
    }
}

impl At<'_, '_> {
    fn add(
        &mut self,
        kind: &'static str,
        foretold: impl Into<Foretold>,
        change: impl Fn(&mut Sample) + Send + Sync + 'static,
    ) {
        let place = self.place.number.to_string();
        let under = Some(self.place.under());
        self.lies.push(Lie { kind, place, under, change: Box::new(change), foretold: foretold.into() });
    }

    fn opening(&self, reason: Reason) -> Told {
        Told::exactly().must(self.place.at(0), Check::Blocks, reason, None)
    }

    /// A fault if the parent is known.
    fn with_parent(&self, reason: Reason) -> Told {
        if self.parent.is_some() { self.opening(reason) } else { Told::exactly() }
    }

    /// A field, in all three ways. `told`: its own rule.
    fn field(&mut self, kinds: [&'static str; 3], told: Told, reach: Reach, edit: Edit) {
        let mut changed = self.header.clone();
        edit(&mut changed);
        if changed == *self.header {
            return;
        }
        let place = self.place;
        let reread: Option<Header> = alloy_rlp::decode_exact(alloy_rlp::encode(&changed)).ok();
        if reread.is_none() {
            let refused = Foretold::Malformed("header");
            self.add(kinds[0], refused, move |s| s.change_header(place.segment, place.block, edit));
            return;
        }
        assert_eq!(reread, Some(changed), "{}: a field is read as another", kinds[0]);
        let (number, end) = (place.number, self.scene.end(&place));
        for (kind, links) in kinds.into_iter().zip([Links::Stale, Links::Own, Links::All]) {
            let mut told = told.clone();
            told = told.may(number + 1..=number + 1, Some(0), Check::Blocks, What::Reasons(OF_CHILD));
            told = told.may(number..=end, Some(0), Check::Blocks, What::Reasons(OF_OMMERS));
            told = match reach {
                Reach::None => told,
                Reach::Runs => told.may_run_in(number..=number),
                Reach::Rules => {
                    let told =
                        told.may_run_in(number..=number).may(number..=end, Some(0), Check::Blocks, What::Anything);
                    let told = told.may(number..=number, Some(0), Check::Hashes, What::Anything);
                    told.may(number..=number, None, Check::Signatures, What::Anything)
                }
            };
            if links == Links::All {
                // The history contract of EIP-2935 stores the parent hash that its header states.
                told = told.may(number + 1..=end, Some(0), Check::Execution, What::Reasons(&[Reason::WrongAfter]));
            }
            self.add(kind, told, move |sample| {
                sample.change_header(place.segment, place.block, edit);
                match links {
                    Links::Stale => {}
                    Links::Own => sample.own_hash(place.segment, place.block),
                    Links::All => sample.relink(place.segment, place.block),
                }
            });
        }
    }

    fn fields(&mut self) {
        if self.place.number == 0 {
            self.of_genesis();
            return;
        }
        let merged = self.header.difficulty.is_zero();
        let fork = self.place.fork;
        let exactly = Told::exactly;
        let history = exactly().may_at(self.place.at(0), Check::Execution, &[Reason::WrongAfter]);
        self.field(kinds!("parent hash"), history, Reach::None, |h| h.parent_hash.0[0] ^= 1);
        self.field(kinds!("ommers hash"), exactly(), Reach::None, |h| h.ommers_hash.0[0] ^= 1);
        let told = self.beneficiary();
        self.field(kinds!("beneficiary"), told, Reach::Runs, |h| h.beneficiary = NOBODY);
        self.field(kinds!("state root"), exactly(), Reach::None, |h| h.state_root.0[0] ^= 1);
        self.field(kinds!("transactions root"), exactly(), Reach::None, |h| h.transactions_root.0[0] ^= 1);
        self.field(kinds!("receipts root"), exactly(), Reach::None, |h| h.receipts_root.0[0] ^= 1);
        self.field(kinds!("logs bloom"), exactly(), Reach::None, |h| h.logs_bloom ^= Bloom::repeat_byte(1));
        let told = if merged { exactly() } else { self.with_parent(Reason::WrongDifficulty) };
        self.field(kinds!("difficulty"), told, Reach::Rules, |h| h.difficulty += U256::ONE);
        self.field(kinds!("number"), exactly(), Reach::Rules, |h| h.number += 1);
        let limit = exactly().may_at(self.place.at(0), Check::Blocks, &[Reason::WrongGasLimit]);
        self.field(kinds!("gas limit"), limit, Reach::Runs, |h| h.gas_limit += 1);
        let told = self.with_parent(Reason::WrongGasLimit);
        self.field(kinds!("gas limit doubled"), told, Reach::Runs, |h| h.gas_limit *= 2);
        let used = exactly().may_at(self.place.at(0), Check::Blocks, &[Reason::GasUsedAboveLimit]);
        self.field(kinds!("gas used"), used, Reach::None, |h| h.gas_used += 1);
        let above = self.opening(Reason::GasUsedAboveLimit);
        self.field(kinds!("gas used above the limit"), above, Reach::None, |h| h.gas_used = h.gas_limit + 1);
        self.field(kinds!("timestamp"), exactly(), Reach::Rules, |h| h.timestamp += 1);
        if self.parent.is_some() {
            let told = self.opening(Reason::WrongTimestamp);
            self.field(kinds!("timestamp 0"), told, Reach::Rules, |h| h.timestamp = 0);
        }
        let dao = exactly().may_at(self.place.at(0), Check::Blocks, &[Reason::WrongDaoExtraData]);
        self.field(kinds!("extra data"), dao.clone(), Reach::None, |h| h.extra_data = Bytes::from_static(b"a lie"));
        let told = dao.must(self.place.at(0), Check::Blocks, Reason::ExtraDataTooLong, None);
        self.field(kinds!("extra data of 33 bytes"), told, Reach::None, |h| h.extra_data = Bytes::from(vec![7; 33]));
        let reach = if merged { Reach::Runs } else { Reach::None };
        self.field(kinds!("mix hash"), exactly(), reach, |h| h.mix_hash.0[0] ^= 1);
        let told = if merged { self.opening(Reason::WrongNonce) } else { exactly() };
        self.field(kinds!("nonce"), told, Reach::None, |h| h.nonce = B64::repeat_byte(3));
        self.optional(fork);
    }

    /// Each transaction pays the beneficiary, and before the merge so does the closing.
    fn beneficiary(&self) -> Told {
        let mut told = Told::exactly();
        let block = &self.scene.sample.segments[self.place.segment].blocks[self.place.block];
        for index in 1..self.place.last {
            told = told.one_of(self.place.at(index), Check::Execution, &[Reason::UndeclaredCell]);
        }
        if self.place.fork < Fork::Paris && matches!(block.body.ommers, Ommers::Headers(_)) {
            let cell = Some(Cell::account(NOBODY));
            told = told.must(self.place.location(), Check::Execution, Reason::UndeclaredCell, cell);
        }
        told
    }

    fn optional(&mut self, fork: Fork) {
        let opening = self.place.at(0);
        if fork >= Fork::London {
            let first = self
                .parent
                .as_ref()
                .is_some_and(|p| p.base_fee_per_gas.is_some() || p.number + 1 == self.header.number);
            let told = if first { self.opening(Reason::WrongBaseFee) } else { Told::exactly() };
            let edit: Edit = |h| h.base_fee_per_gas = h.base_fee_per_gas.map(|fee| fee + 1);
            self.field(kinds!("base fee"), told, Reach::Runs, edit);
        }
        if fork >= Fork::Shanghai {
            let edit: Edit = |h| h.withdrawals_root = h.withdrawals_root.map(|root| root ^ B256::repeat_byte(1));
            self.field(kinds!("withdrawals root"), Told::exactly(), Reach::None, edit);
        }
        if fork >= Fork::Cancun {
            let told = self.opening(Reason::WrongBlobGasUsed);
            let edit: Edit = |h| h.blob_gas_used = h.blob_gas_used.map(|gas| gas + 1);
            self.field(kinds!("blob gas used"), told, Reach::None, edit);
            let told = self.with_parent(Reason::WrongExcessBlobGas);
            let edit: Edit = |h| h.excess_blob_gas = h.excess_blob_gas.map(|gas| gas + 1);
            self.field(kinds!("excess blob gas"), told, Reach::Runs, edit);
            // The beacon roots contract stores it, if it is there.
            let moves = &self.scene.sample.segments[self.place.segment].blocks[self.place.block].transactions[0].moves;
            let is_stored = moves
                .iter()
                .any(|m| m.cell.mark == Mark::Storage && m.cell.addr == alloy_eips::eip4788::BEACON_ROOTS_ADDRESS);
            let told = match is_stored {
                true => Told::exactly().must(opening, Check::Execution, Reason::WrongAfter, None),
                false => Told::exactly(),
            };
            let edit: Edit = |h| h.parent_beacon_block_root = Some(B256::repeat_byte(4));
            self.field(kinds!("beacon root"), told, Reach::None, edit);
        }
        if fork >= Fork::Prague {
            let told = Told::exactly().must(opening, Check::Hashes, Reason::WrongRequestsHash, None);
            self.field(kinds!("requests hash"), told, Reach::None, |h| h.requests_hash = Some(B256::repeat_byte(5)));
        }
        // The last field that the fork has, and the first that it has not.
        let zero: Edit = |h| h.withdrawals_root = Some(B256::ZERO);
        let (less, more): (Option<(Reason, Edit)>, (Reason, Edit)) = match fork {
            f if f >= Fork::Prague => (
                Some((Reason::RequestsHashPresence, |h| h.requests_hash = None)),
                (Reason::UnknownHeaderField, |h| h.block_access_list_hash = Some(B256::ZERO)),
            ),
            f if f >= Fork::Cancun => (
                Some((Reason::ParentBeaconRootPresence, |h| h.parent_beacon_block_root = None)),
                (Reason::RequestsHashPresence, |h| h.requests_hash = Some(B256::ZERO)),
            ),
            f if f >= Fork::Shanghai => (
                Some((Reason::WithdrawalsRootPresence, |h| h.withdrawals_root = None)),
                (Reason::BlobGasUsedPresence, |h| h.blob_gas_used = Some(0)),
            ),
            f if f >= Fork::London => (
                Some((Reason::BaseFeePresence, |h| h.base_fee_per_gas = None)),
                (Reason::WithdrawalsRootPresence, zero),
            ),
            _ => (None, (Reason::BaseFeePresence, |h| h.base_fee_per_gas = Some(7))),
        };
        if let Some((reason, edit)) = less {
            self.field(kinds!("last field missing"), self.opening(reason), Reach::Rules, edit);
        }
        self.field(kinds!("a field too early"), self.opening(more.0), Reach::Rules, more.1);
    }

    fn of_genesis(&mut self) {
        let exactly = Told::exactly;
        self.field(kinds!("genesis, state root"), exactly(), Reach::None, |h| h.state_root.0[0] ^= 1);
        self.field(kinds!("genesis, extra data"), exactly(), Reach::None, |h| {
            h.extra_data = Bytes::from_static(b"a lie")
        });
        self.field(kinds!("genesis, timestamp"), exactly(), Reach::None, |h| h.timestamp += 1);
        self.field(
            kinds!("genesis, difficulty"),
            exactly().may(0..=self.scene.end(&self.place), Some(0), Check::Blocks, What::Reasons(OF_CHILD)),
            Reach::None,
            |h| h.difficulty += U256::ONE,
        );
        self.field(kinds!("genesis, gas limit"), exactly(), Reach::None, |h| h.gas_limit += 1);
        self.field(kinds!("genesis, number"), exactly(), Reach::Rules, |h| h.number += 1);
        self.field(kinds!("genesis, transactions root"), exactly(), Reach::None, |h| h.transactions_root.0[9] ^= 1);
        self.field(kinds!("genesis, receipts root"), exactly(), Reach::None, |h| h.receipts_root.0[9] ^= 1);
        self.field(kinds!("genesis, ommers hash"), exactly(), Reach::None, |h| h.ommers_hash.0[9] ^= 1);
        self.field(kinds!("genesis, logs bloom"), exactly(), Reach::None, |h| h.logs_bloom.0.0[9] ^= 1);
        let place = self.place;
        self.add("genesis: withdrawals", Told::exactly(), move |s| {
            let all = vec![Withdrawal::default()];
            s.segments[place.segment].blocks[0].body.withdrawals = Some(alloy_rlp::encode(&all).into());
        });
        self.add("genesis: a list of withdrawals, or none", Told::exactly(), move |s| {
            let list = &mut s.segments[place.segment].blocks[0].body.withdrawals;
            *list = if list.is_some() { None } else { Some(Bytes::from_static(&[0xc0])) };
        });
        self.add("genesis: an ommer", Told::exactly(), move |s| {
            let all = vec![Header::default()];
            s.segments[place.segment].blocks[0].body.ommers = Ommers::Headers(alloy_rlp::encode(&all).into());
        });
    }

    /// Changes the list of ommers, once as it is, and once with the header's hash of it and all links made right.
    fn ommer_list(&mut self, kinds: [&'static str; 2], told: Told, list: Vec<Header>) {
        let (place, end) = (self.place, self.scene.end(&self.place));
        let bytes: Bytes = alloy_rlp::encode(&list).into();
        // Rules of ommers look at lists up to seven blocks back.
        let rules = [Reason::TooManyOmmers, Reason::UnexpectedOmmers].as_slice();
        let told = told.may(place.number..=place.number, Some(0), Check::Blocks, What::Reasons(rules));
        let told = told.may(place.number..=end, Some(0), Check::Blocks, What::Reasons(OF_OMMERS));
        let given = bytes.clone();
        self.add(kinds[0], told.clone(), move |s| {
            s.segments[place.segment].blocks[place.block].body.ommers = Ommers::Headers(given.clone());
        });
        let told = told.may(place.number + 1..=end, Some(0), Check::Blocks, What::Reasons(OF_CHILD));
        let told = told.may(place.number + 1..=end, Some(0), Check::Execution, What::Reasons(&[Reason::WrongAfter]));
        self.add(kinds[1], told, move |s| {
            s.segments[place.segment].blocks[place.block].body.ommers = Ommers::Headers(bytes.clone());
            s.change_header(place.segment, place.block, |h| h.ommers_hash = keccak256(&bytes));
            s.relink(place.segment, place.block);
        });
    }

    fn ommers(&mut self) {
        let place = self.place;
        let body = &self.scene.sample.segments[place.segment].blocks[place.block].body;
        let by_hash = |hashes: Vec<B256>| {
            move |s: &mut Sample| {
                s.segments[place.segment].blocks[place.block].body.ommers = Ommers::Hashes(hashes.clone())
            }
        };
        let closing = place.location();
        let merged = self.header.difficulty.is_zero();
        // Whoever is paid by the closing is paid more, less, or is somebody else.
        let paid = [Reason::UndeclaredCell, Reason::UnusedMove, Reason::WrongAfter];
        let (exactly, pays) = (Told::exactly(), |told: Told| match merged {
            true => told,
            false => told.may(place.number..=place.number, Some(place.last as u64), Check::Execution, What::Run),
        });
        match &body.ommers {
            Ommers::Headers(list) => {
                let headers: Vec<Header> = alloy_rlp::decode_exact(list).expect("ommers of a valid block");
                let mut more = headers.clone();
                more.push(headers.first().cloned().unwrap_or_default());
                let mut told = pays(exactly.clone());
                if !merged {
                    told = told.one_of(closing, Check::Execution, &paid);
                }
                self.ommer_list(["ommers: one more", "ommers: one more, hashed"], told.clone(), more);
                if let Some(first) = headers.first() {
                    self.ommer_list(["ommers: none", "ommers: none, hashed"], told, Vec::new());
                    let mut changed = headers.clone();
                    changed[0].beneficiary = NOBODY;
                    let cell = Some(Cell::account(NOBODY));
                    let told = exactly.clone().must(closing, Check::Execution, Reason::UndeclaredCell, cell);
                    self.ommer_list(["ommer: beneficiary", "ommer: beneficiary, hashed"], told, changed);
                    type Edit = fn(&mut Header);
                    let edits: [([&'static str; 2], Edit); 6] = [
                        (["ommer: extra data", "ommer: extra data, hashed"], |h| h.extra_data = vec![7; 33].into()),
                        (["ommer: timestamp", "ommer: timestamp, hashed"], |h| h.timestamp += 1),
                        (["ommer: difficulty", "ommer: difficulty, hashed"], |h| h.difficulty += U256::ONE),
                        (["ommer: gas limit", "ommer: gas limit, hashed"], |h| h.gas_limit *= 2),
                        (["ommer: parent hash", "ommer: parent hash, hashed"], |h| h.parent_hash.0[0] ^= 1),
                        (["ommer: state root", "ommer: state root, hashed"], |h| h.state_root.0[0] ^= 1),
                    ];
                    for (kinds, edit) in edits {
                        let mut changed = headers.clone();
                        edit(&mut changed[0]);
                        self.ommer_list(kinds, exactly.clone(), changed);
                    }
                    let mut changed = headers.clone();
                    changed[0].number = changed[0].number.wrapping_sub(1);
                    let told = pays(exactly.clone());
                    self.ommer_list(["ommer: number", "ommer: number, hashed"], told, changed);
                    let hash = first.hash_slow();
                    if place.first > 0 {
                        // The closing's moves but its hash write are then of nothing.
                        let moves = &self.scene.row(&place).moves;
                        let told =
                            moves.iter().filter(|m| m.cell.mark != Mark::BlockHash).fold(Told::exactly(), |told, m| {
                                told.must(closing, Check::Execution, Reason::UnusedMove, Some(m.cell))
                            });
                        let told = told.may(
                            place.number..=self.scene.end(&place),
                            Some(0),
                            Check::Blocks,
                            What::Reasons(OF_OMMERS),
                        );
                        let all = headers.iter().map(Header::hash_slow).collect();
                        self.add("ommers by hash only", told, by_hash(all));
                    } else {
                        let refused = Foretold::Malformed("ommers known by hash only in a segment from genesis");
                        self.add("ommers by hash only from genesis", refused, by_hash(vec![hash]));
                    }
                } else if place.first > 0 {
                    let moves = &self.scene.row(&place).moves;
                    let told =
                        moves.iter().filter(|m| m.cell.mark != Mark::BlockHash).fold(Told::exactly(), |told, m| {
                            told.must(closing, Check::Execution, Reason::UnusedMove, Some(m.cell))
                        });
                    let told =
                        told.may(place.number..=place.number, Some(place.last as u64), Check::Execution, What::Run);
                    let told = told.may_at(place.at(0), Check::Blocks, &[Reason::UnexpectedOmmers]);
                    self.add("ommers by hash where there are none", told, by_hash(vec![B256::repeat_byte(6)]));
                }
            }
            Ommers::Hashes(hashes) => {
                let mut changed = hashes.clone();
                changed[0].0[0] ^= 1;
                // Which ommers they are nobody can say: the block counts as unchecked.
                self.add("ommers: another hash of one that is not known", Foretold::Unchecked, by_hash(changed));
            }
        }
    }

    fn withdrawals(&mut self) {
        let place = self.place;
        let closing = place.location();
        let body = &self.scene.sample.segments[place.segment].blocks[place.block].body;
        let Some(list) = &body.withdrawals else {
            self.add("withdrawals too early", Told::exactly(), move |s| {
                s.segments[place.segment].blocks[place.block].body.withdrawals = Some(Bytes::from_static(&[0xc0]));
            });
            return;
        };
        let all: Vec<Withdrawal> = alloy_rlp::decode_exact(list).expect("withdrawals of a valid block");
        let run =
            Told::exactly().may(place.number..=place.number, Some(place.last as u64), Check::Execution, What::Run);
        self.add("no withdrawals", run.clone(), move |s| {
            s.segments[place.segment].blocks[place.block].body.withdrawals = None;
        });
        let other = |reason, cell| run.clone().must(closing, Check::Execution, reason, cell);
        let stranger = Withdrawal { index: 9, validator_index: 9, address: NOBODY, amount: 9 };
        let mut lists = vec![(
            ["withdrawals: one more", "withdrawals: one more, hashed"],
            other(Reason::UndeclaredCell, Some(Cell::account(NOBODY))),
            [all.clone(), vec![stranger]].concat(),
        )];
        if let Some(first) = all.first() {
            let recipient = Some(Cell::account(first.address));
            let mut edit = |kinds, told, change: fn(&mut Withdrawal)| {
                let mut changed = all.clone();
                change(&mut changed[0]);
                lists.push((kinds, told, changed));
            };
            let amount = other(Reason::WrongAfter, recipient);
            edit(["withdrawal: amount", "withdrawal: amount, hashed"], amount, |w| w.amount += 1);
            let addr = other(Reason::UndeclaredCell, Some(Cell::account(NOBODY)));
            edit(["withdrawal: address", "withdrawal: address, hashed"], addr, |w| w.address = NOBODY);
            let free = Told::exactly();
            edit(["withdrawal: index", "withdrawal: index, hashed"], free.clone(), |w| w.index += 1);
            edit(["withdrawal: validator", "withdrawal: validator, hashed"], free, |w| w.validator_index += 1);
            let told = run.clone().one_of(closing, Check::Execution, &[Reason::UnusedMove, Reason::WrongAfter]);
            let told = if first.amount == 0 { run.clone() } else { told };
            lists.push((["withdrawals: one less", "withdrawals: one less, hashed"], told, all[1..].to_vec()));
        }
        let end = self.scene.end(&place);
        for (kinds, told, list) in lists {
            let bytes: Bytes = alloy_rlp::encode(&list).into();
            let given = bytes.clone();
            self.add(kinds[0], told.clone(), move |s| {
                s.segments[place.segment].blocks[place.block].body.withdrawals = Some(given.clone());
            });
            let told =
                told.may(place.number + 1..=end, Some(0), Check::Execution, What::Reasons(&[Reason::WrongAfter]));
            self.add(kinds[1], told, move |s| {
                s.segments[place.segment].blocks[place.block].body.withdrawals = Some(bytes.clone());
                let root = calculate_withdrawals_root(&list);
                s.change_header(place.segment, place.block, |h| h.withdrawals_root = Some(root));
                s.relink(place.segment, place.block);
            });
        }
    }
}

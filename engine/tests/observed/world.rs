//! One block over a state listed by hand, recorded and then checked from its own moves.
//!
//! The segment is a snapshot that begins at block [`FIRST`], so the four kinds of version are told apart: what is listed (or
//! unlisted and asked for by a transaction) is base, what a system transaction asks for unlisted is assumed, storage of an
//! account made on the way is virgin. Fees: every transaction pays [`PRICE`] a gas, which is the base fee from London on.

use alloy_consensus::{EthereumTxEnvelope, Header, SignableTransaction, TxLegacy};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use manaflow_engine::backend::execution::Backend;
use manaflow_engine::reason::{Fault, Reason};
use manaflow_engine::solo::check::{Checker, Claim};
use manaflow_engine::solo::code::{CodeTable, bytecode};
use manaflow_engine::solo::environment::Environment;
use manaflow_engine::solo::record::{BlockInput, Importer, SignedTransaction};
use manaflow_engine::solo::state::{Before, MemoryState, State};
use manaflow_engine::solo::system::SystemBlock;
use manaflow_engine::solo::transaction::Envelope;
use manaflow_loader::model::{
    AccountValue, BlockBody, BlockRecord, Cell, Location, Mark, Mode, Move, Ommers, Outcome, Value, Version,
};
use manaflow_loader::rules::{BlobParameters, ChainRules, Fork};
use std::sync::Arc;

/// The block: the first of its segment.
pub const FIRST: u64 = 100;
/// Timestamp of the block.
pub const TIME: u64 = 1_000_000;
/// Wei a gas.
pub const PRICE: u64 = 10;
/// Signs every transaction.
pub const SENDER: Address = Address::repeat_byte(0x11);
/// Whom transactions go to.
pub const CONTRACT: Address = Address::repeat_byte(0x22);
/// Fee recipient.
pub const MINER: Address = Address::repeat_byte(0x33);
/// Somebody else.
pub const OTHER: Address = Address::repeat_byte(0x44);
/// And one more.
pub const THIRD: Address = Address::repeat_byte(0x55);
/// Balance of the sender: 1 ether.
pub const FUNDS: u64 = 1_000_000_000_000_000_000;

/// An account with a nonce and a balance, no code.
pub fn plain(nonce: u64, balance: u64) -> AccountValue {
    AccountValue { present: true, nonce, balance: U256::from(balance), ..AccountValue::ABSENT }
}

/// An account with code, nonce 1.
pub fn coded(code: &[u8], balance: u64) -> AccountValue {
    AccountValue { code_hash: keccak256(code), ..plain(1, balance) }
}

/// A move on an account, from base.
pub fn account(addr: Address, prev: AccountValue, next: AccountValue) -> Move {
    made(Cell::account(addr), Value::Account(prev), Value::Account(next))
}

/// A read of an account that is not there.
pub fn absent(addr: Address) -> Move {
    account(addr, AccountValue::ABSENT, AccountValue::ABSENT)
}

/// A move on a storage word of generation 0, from base.
pub fn word(addr: Address, slot: u64, prev: u64, next: u64) -> Move {
    let (prev, next) = (U256::from(prev), U256::from(next));
    made(Cell::storage(addr, 0, U256::from(slot)), Value::Word(prev), Value::Word(next))
}

/// A move from base on any cell.
pub fn made(cell: Cell, prev: Value, next: Value) -> Move {
    let mode = if prev == next { Mode::Read } else { Mode::Write };
    Move { mask: 0, cell, mode, intx: Version::Base(FIRST), prev, next }
}

/// The same from another version.
pub fn from(intx: Version, m: Move) -> Move {
    Move { intx, ..m }
}

/// The version that the transaction at an index of the block wrote.
pub fn written(index: u64) -> Version {
    Version::At(Location::new(FIRST, index).unwrap())
}

/// The block's own hash, as its closing writes it.
pub fn own_hash() -> Move {
    let cell = Cell::block_hash(FIRST);
    from(Version::Virgin, made(cell, Value::Word(U256::ZERO), Value::Word(B256::repeat_byte(0xbb).into())))
}

/// Rules under which a fork is active, and all before it, but the DAO's.
pub fn rules(fork: Fork) -> ChainRules {
    let at = |f: Fork| (fork >= f).then_some(0);
    ChainRules {
        chain_id: 1,
        homestead: at(Fork::Homestead),
        tangerine_whistle: at(Fork::TangerineWhistle),
        spurious_dragon: at(Fork::SpuriousDragon),
        byzantium: at(Fork::Byzantium),
        constantinople: at(Fork::Constantinople),
        petersburg: at(Fork::Petersburg),
        istanbul: at(Fork::Istanbul),
        berlin: at(Fork::Berlin),
        london: at(Fork::London),
        terminal_total_difficulty: Some(U256::ZERO),
        shanghai: at(Fork::Shanghai),
        cancun: at(Fork::Cancun),
        prague: at(Fork::Prague),
        osaka: at(Fork::Osaka),
        blobs: vec![BlobParameters { time: 0, target: 3, max: 6, base_fee_update_fraction: 3_338_477 }],
        ..ChainRules::default()
    }
}

/// What is before the block, and the block.
pub struct World {
    pub rules: ChainRules,
    pub header: Header,
    pub ommers: Option<Vec<Header>>,
    pub withdrawals: Vec<Withdrawal>,
    state: MemoryState,
    codes: Vec<(B256, Bytes)>,
    transactions: Vec<SignedTransaction>,
}

impl World {
    /// An empty block; the sender has its funds, nothing else is listed.
    pub fn new(fork: Fork) -> Self {
        let header = Header {
            number: FIRST,
            timestamp: TIME,
            beneficiary: MINER,
            gas_limit: 1 << 40,
            difficulty: U256::from(fork < Fork::Paris),
            base_fee_per_gas: (fork >= Fork::London).then_some(PRICE),
            excess_blob_gas: (fork >= Fork::Cancun).then_some(0),
            parent_hash: B256::repeat_byte(0xaa),
            parent_beacon_block_root: (fork >= Fork::Cancun).then_some(B256::repeat_byte(0xcc)),
            ..Header::default()
        };
        let mut world = Self {
            rules: rules(fork),
            header,
            ommers: Some(vec![]),
            withdrawals: vec![],
            state: MemoryState::new(Before::Snapshot(FIRST)),
            codes: vec![],
            transactions: vec![],
        };
        world.list(SENDER, plain(0, FUNDS));
        world
    }

    /// Lists an account.
    pub fn list(&mut self, addr: Address, value: AccountValue) {
        self.state.list_account(addr, value);
    }

    /// Lists a contract and returns its value.
    pub fn contract(&mut self, addr: Address, code: &[u8], balance: u64) -> AccountValue {
        let value = coded(code, balance);
        let code = Bytes::copy_from_slice(code);
        self.state.set_code(value.code_hash, bytecode(code.clone()));
        self.codes.push((value.code_hash, code));
        self.list(addr, value);
        value
    }

    /// Lists a storage word.
    pub fn slot(&mut self, addr: Address, slot: u64, value: u64) {
        self.state.list_storage(addr, U256::from(slot), U256::from(value));
    }

    /// Lists the hash of an earlier block.
    pub fn hash(&mut self, number: u64, hash: B256) {
        self.state.list_block_hash(number, hash);
    }

    /// Adds a transaction by [`SENDER`].
    pub fn signed(&mut self, envelope: Envelope, authorities: Vec<Option<Address>>) {
        let bytes = Bytes::default(); // nobody here looks at them
        self.transactions.push(SignedTransaction {
            bytes,
            envelope: Some(envelope),
            sender: Some(SENDER),
            authorities,
            hints: Default::default(),
        });
    }

    /// Adds a transaction without an access list: whom to, value, gas limit, data.
    pub fn send(&mut self, to: impl Into<TxKind>, value: u64, gas_limit: u64, input: &[u8]) {
        let tx = TxLegacy {
            nonce: self.transactions.len() as u64,
            gas_price: PRICE.into(),
            gas_limit,
            to: to.into(),
            value: U256::from(value),
            input: Bytes::copy_from_slice(input),
            chain_id: None,
        };
        self.signed(sign(tx), vec![]);
    }

    /// Lists [`CONTRACT`] with this code, and calls it with ample gas.
    pub fn run(&mut self, code: &[u8]) -> AccountValue {
        let value = self.contract(CONTRACT, code, 0);
        self.send(CONTRACT, 0, 1_000_000, &[]);
        value
    }

    /// Records the block.
    pub fn record(self) -> Recorded {
        let envelopes = self.transactions.iter().filter_map(|tx| tx.envelope.clone()).collect();
        let input = BlockInput {
            body: BlockBody { header: Bytes::new(), ommers: Ommers::Headers(Bytes::new()), withdrawals: None },
            header: Box::new(self.header.clone()),
            hash: B256::repeat_byte(0xbb),
            ommers: self.ommers.clone(),
            withdrawals: self.withdrawals.clone(),
            transactions: self.transactions,
            witness_roots: None,
        };
        let mut importer = Importer::new(self.state, self.rules.clone(), None);
        let record = importer.block(FIRST, input).unwrap();
        let made = importer.take_codes().into_iter().map(|(hash, code)| (hash, code.original_bytes()));
        Recorded {
            environment: Environment::new(&self.header, &self.rules),
            codes: Arc::new(CodeTable::new(self.codes.into_iter().chain(made))),
            rules: self.rules,
            header: self.header,
            ommers: self.ommers,
            withdrawals: self.withdrawals,
            envelopes,
            record,
        }
    }
}

/// A transaction under a signature that nobody made: signatures are another check.
pub fn sign<T: SignableTransaction<Signature>>(tx: T) -> Envelope
where
    EthereumTxEnvelope<alloy_consensus::TxEip4844>: From<alloy_consensus::Signed<T>>,
{
    tx.into_signed(Signature::new(U256::ONE, U256::ONE, false)).into()
}

/// What is said of a transaction beside its moves.
#[derive(Clone)]
pub struct Said {
    pub location: Location,
    pub sender: Option<Address>,
    pub authorities: Vec<Option<Address>>,
    pub outcome: Option<Outcome>,
    pub requests: Vec<Bytes>,
}

/// A recorded block, and what it takes to check it.
pub struct Recorded {
    pub record: BlockRecord,
    pub environment: Environment,
    codes: Arc<CodeTable>,
    pub rules: ChainRules,
    pub header: Header,
    ommers: Option<Vec<Header>>,
    withdrawals: Vec<Withdrawal>,
    envelopes: Vec<Envelope>,
}

impl Recorded {
    /// Index of the closing.
    pub fn closing(&self) -> usize {
        self.record.transactions.len() - 1
    }

    /// Gas that a transaction used.
    pub fn gas(&self, index: usize) -> u64 {
        self.record.transactions[index].outcome.as_ref().unwrap().gas_used
    }

    /// Whether a transaction succeeded.
    pub fn succeeded(&self, index: usize) -> bool {
        self.record.transactions[index].outcome.as_ref().unwrap().status == manaflow_loader::model::Status::Success
    }

    /// The sender's move in the first transaction, by the gas used and the value sent.
    pub fn sender(&self, value: u64) -> Move {
        account(SENDER, plain(0, FUNDS), plain(1, FUNDS - value - PRICE * self.gas(1)))
    }

    /// The fee recipient's move in the first transaction, where it is not listed.
    pub fn fee(&self) -> Move {
        match self.environment.fork >= Fork::London {
            true => absent(MINER),
            false => account(MINER, AccountValue::ABSENT, plain(0, PRICE * self.gas(1))),
        }
    }

    /// What Solo finds wrong with the transaction at an index, if it had these moves.
    pub fn faults(&self, index: usize, moves: &[Move]) -> Vec<Fault> {
        self.judge(&mut self.checker(), index, moves, &self.said(index))
    }

    /// A checker that has judged nothing yet.
    pub fn checker(&self) -> Checker {
        let mut checker = Checker::new(&self.environment);
        checker.declared().set_codes(self.codes.clone());
        checker
    }

    /// What is recorded of a transaction beside its moves.
    pub fn said(&self, index: usize) -> Said {
        let row = &self.record.transactions[index];
        Said {
            location: Location::new(FIRST, index as u64).unwrap(),
            sender: row.sender,
            authorities: row.authorities.clone(),
            outcome: row.outcome.clone(),
            requests: row.requests.clone(),
        }
    }

    /// What Solo finds wrong with the transaction at an index, if it had these moves and this was said of it; by both
    /// executors.
    pub fn judge(&self, checker: &mut Checker, index: usize, moves: &[Move], said: &Said) -> Vec<Fault> {
        let faults = self.judge_by(Backend::Plain, checker, index, moves, said);
        if Backend::Threaded.is_available() {
            assert_eq!(self.judge_by(Backend::Threaded, checker, index, moves, said), faults, "by the threaded loop");
        }
        faults
    }

    fn judge_by(
        &self,
        backend: Backend,
        checker: &mut Checker,
        index: usize,
        moves: &[Move],
        said: &Said,
    ) -> Vec<Fault> {
        checker.machine().set_backend(backend);
        checker.declared().moves_mut().clear();
        checker.declared().moves_mut().extend_from_slice(moves);
        let block = SystemBlock {
            header: &self.header,
            environment: &self.environment,
            rules: &self.rules,
            ommers: self.ommers.as_deref(),
            withdrawals: &self.withdrawals,
        };
        let claim = Claim {
            location: said.location,
            sender: said.sender,
            authorities: &said.authorities,
            outcome: said.outcome.as_ref(),
            requests: &said.requests,
        };
        let mut faults = Vec::new();
        match index {
            0 => checker.opening(claim, &block, &mut faults),
            i if i == self.closing() => checker.closing(claim, &block, &mut faults),
            i => checker.transaction(&self.envelopes[i - 1], claim, &block, &mut faults),
        }
        .unwrap();
        faults
    }

    /// The row's claim in full: these moves and no others are recorded; Solo agrees; it misses each one that is taken
    /// away, and refuses any that is added.
    #[track_caller]
    pub fn observes(&self, index: usize, moves: impl IntoIterator<Item = Move>) {
        self.observes_but_for(index, moves, &[]);
    }

    /// The same, where Solo finds these faults whatever the moves.
    #[track_caller]
    pub fn observes_but_for(&self, index: usize, moves: impl IntoIterator<Item = Move>, usual: &[Reason]) {
        let mut expected: Vec<Move> = moves.into_iter().collect();
        expected.sort_by_key(|m| m.cell);
        let recorded = &self.record.transactions[index].moves;
        let say = |moves: &[Move]| moves.iter().map(|m| format!("{} {m:?}", m.cell)).collect::<Vec<_>>();
        assert_eq!(say(recorded), say(&expected), "moves at index {index}");

        let reasons = |faults: &[Fault]| faults.iter().map(|f| f.reason).collect::<Vec<_>>();
        let faults = self.faults(index, &expected);
        assert_eq!(reasons(&faults), usual, "{faults:#?}");
        for i in 0..expected.len() {
            let mut fewer = expected.clone();
            let m = fewer.remove(i);
            let reason = if m == own_hash() { Reason::MissingHashWrite } else { Reason::UndeclaredCell };
            let faults = self.faults(index, &fewer);
            assert!(
                faults.iter().any(|f| f.reason == reason && f.cell == Some(m.cell)),
                "without {}: {faults:#?}",
                m.cell
            );
        }
        let nobody = absent(Address::repeat_byte(0x77));
        let early = made(Cell::block_hash(7), Value::Word(U256::ZERO), Value::Word(U256::ZERO));
        let mut extra = vec![nobody, early];
        if let Some(Move { cell, prev: Value::Account(value), .. }) = expected.first() {
            let cell = Cell { mark: Mark::Storage, generation: value.generation, slot: U256::from(0xdead), ..*cell };
            extra.push(made(cell, Value::Word(U256::ZERO), Value::Word(U256::ZERO)));
        }
        for m in extra {
            let mut more = expected.clone();
            more.push(m);
            more.sort_by_key(|m| m.cell);
            let faults = self.faults(index, &more);
            let unused: Vec<_> = faults.iter().filter(|f| f.reason == Reason::UnusedMove).map(|f| f.cell).collect();
            assert_eq!(unused, [Some(m.cell)], "{faults:#?}");
            assert_eq!(faults.len(), usual.len() + 1, "{faults:#?}");
        }
    }
}

//! One transaction over a made-up state, by revm's own loop and by the threaded one: both give the same result, the same
//! afters, and ask for the same.

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use manaflow_engine::backend::execution::Backend;
use manaflow_engine::solo::code::bytecode;
use manaflow_engine::solo::database::{Befores, Refusal};
use manaflow_engine::solo::effect::{AccountAfter, Effect};
use manaflow_engine::solo::environment::Environment;
use manaflow_engine::solo::machine::{Executor, Machine, Stop};
use manaflow_loader::model::AccountValue;
use manaflow_loader::rules::{BlobParameters, ChainRules};
use revm::context::TxEnv;
use revm::context::result::ExecutionResult;
use revm::context::transaction::{AccessList, AccessListItem};
use revm::state::{AccountInfo, Bytecode};
use std::cell::RefCell;
use std::collections::BTreeSet;

const SENDER: Address = Address::repeat_byte(0x11);
const CONTRACT: Address = Address::repeat_byte(0x22);
const MINER: Address = Address::repeat_byte(0x33);
const OTHER: Address = Address::repeat_byte(0x44);
const THIRD: Address = Address::repeat_byte(0x55);
/// Bytes before the code of both contracts and the data.
pub const HEAD: usize = 11;
/// Forks that the first byte chooses among.
pub const FORKS: u8 = 15;

/// State that is never written: what is asked for is noted.
#[derive(Default)]
struct World {
    accounts: Vec<(Address, AccountValue)>,
    codes: Vec<(B256, Bytecode)>,
    asked: BTreeSet<(Address, Option<U256>)>,
}

impl World {
    fn find(&self, addr: Address) -> Option<usize> {
        self.accounts.iter().position(|(other, _)| *other == addr)
    }
}

impl Befores for World {
    fn account(&mut self, addr: Address) -> Result<Option<AccountInfo>, Refusal> {
        self.asked.insert((addr, None));
        let value = self.find(addr).map(|i| self.accounts[i].1).filter(|value| value.present);
        Ok(value.map(|value| AccountInfo {
            nonce: value.nonce,
            balance: value.balance,
            code_hash: value.code_hash,
            code: None,
            ..Default::default()
        }))
    }

    fn storage(&mut self, addr: Address, slot: U256) -> Result<U256, Refusal> {
        self.asked.insert((addr, Some(slot)));
        // A third is zero, the rest small or large.
        let hash = keccak256(slot.to_be_bytes::<32>());
        Ok(match hash[0] % 3 {
            0 => U256::ZERO,
            1 => U256::from(hash[1]),
            _ => hash.into(),
        })
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Refusal> {
        self.asked.insert((Address::ZERO, Some(U256::from(number))));
        Ok(keccak256(number.to_be_bytes()))
    }

    fn code(&mut self, hash: B256) -> Result<Bytecode, Refusal> {
        let found = self.codes.iter().find(|(other, _)| *other == hash);
        found.map(|(_, code)| code.clone()).ok_or(Refusal::CodeMissing(hash))
    }

    fn peek(&self, addr: Address) -> Option<(usize, &AccountValue)> {
        self.find(addr).map(|i| (i, &self.accounts[i].1))
    }

    fn note(&mut self, place: usize) {
        let addr = self.accounts[place].0;
        self.asked.insert((addr, None));
    }
}

fn environment(fork: u8, miner: Address) -> Environment {
    let at = |first: u8| (fork >= first).then_some(0);
    let rules = ChainRules {
        chain_id: 1,
        homestead: at(1),
        tangerine_whistle: at(2),
        spurious_dragon: at(3),
        byzantium: at(4),
        constantinople: at(5),
        petersburg: at(6),
        istanbul: at(7),
        berlin: at(8),
        london: at(9),
        terminal_total_difficulty: Some(U256::ZERO),
        shanghai: at(11),
        cancun: at(12),
        prague: at(13),
        osaka: at(14),
        blobs: vec![BlobParameters { time: 0, target: 3, max: 6, base_fee_update_fraction: 3_338_477 }],
        ..ChainRules::default()
    };
    let header = Header {
        number: 1000,
        timestamp: 1_000_000,
        beneficiary: miner,
        gas_limit: 1 << 30,
        difficulty: U256::from(fork < 10),
        base_fee_per_gas: (fork >= 9).then_some(10),
        excess_blob_gas: (fork >= 12).then_some(0),
        ..Header::default()
    };
    Environment::new(&header, &rules)
}

/// What a run gave, so that it can be compared: why a frame halted is not said alike.
#[derive(PartialEq, Debug)]
enum Gave {
    Result(ExecutionResult),
    Halt { gas_used: u64, logs: usize },
    Stop(String),
}

fn gave(result: Result<ExecutionResult, Stop>) -> Gave {
    match result {
        Ok(ExecutionResult::Halt { gas, logs, .. }) => Gave::Halt { gas_used: gas.tx_gas_used(), logs: logs.len() },
        Ok(result) => Gave::Result(result),
        Err(stop) => Gave::Stop(format!("{stop:?}")),
    }
}

type Afters = (Vec<(Address, AccountAfter)>, Vec<(Address, U256, U256)>, Vec<Address>, Vec<B256>);

fn afters(effect: &Effect) -> Afters {
    let mut accounts = effect.accounts.clone();
    accounts.sort_by_key(|(addr, _)| *addr);
    let (mut slots, mut created) = (effect.slots.clone(), effect.created.clone());
    slots.sort_unstable();
    created.sort_unstable();
    let mut codes: Vec<B256> = effect.codes.iter().map(|(hash, _)| *hash).collect();
    codes.sort_unstable();
    (accounts, slots, created, codes)
}

/// A transaction, the environment and the state that bytes stand for; `None` if they are too few.
fn decode(bytes: &[u8]) -> Option<(Environment, TxEnv, World)> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let [fork, kind, to, miner, value, price, gas @ .., first, second] = head else { return None };
    let fork = fork % FORKS;
    let miner_byte = *miner;
    let miner = [MINER, SENDER, OTHER, CONTRACT][usize::from(miner % 4)];
    let environment = environment(fork, miner);
    // Fractions of what is left: code of one contract, of the other, data.
    let cut = |of: usize, part: u8| of * usize::from(part) / 255;
    let (code, rest) = rest.split_at(cut(rest.len(), *first));
    let (third, data) = rest.split_at(cut(rest.len(), *second));
    let mut world = World::default();
    let plain = |nonce, balance: u64| AccountValue {
        present: true,
        nonce,
        balance: U256::from(balance),
        ..AccountValue::ABSENT
    };
    world.accounts.push((SENDER, plain(7, 1 << 60)));
    for (addr, code) in [(CONTRACT, code), (THIRD, third)] {
        let hash = keccak256(code);
        world.accounts.push((addr, AccountValue { code_hash: hash, ..plain(1, 1000) }));
        world.codes.push((hash, bytecode(Bytes::copy_from_slice(code))));
    }
    let other = [AccountValue::ABSENT, plain(0, 5), plain(3, 0), plain(0, 0)][usize::from(kind >> 6)];
    world.accounts.push((OTHER, other));
    let delegation = [&[0xef, 1, 0][..], &THIRD[..]].concat();
    let delegated = AccountValue { code_hash: keccak256(&delegation), ..plain(0, 0) };
    world.codes.push((delegated.code_hash, bytecode(delegation.into())));
    let zeros = AccountValue { code_hash: B256::ZERO, ..plain(0, 0) };
    let beneficiaries = [AccountValue::ABSENT, plain(0, 9), zeros, delegated, plain(0, 0), plain(1, 0)];
    world.accounts.push((MINER, beneficiaries[usize::from(miner_byte >> 2) % beneficiaries.len()]));
    let gas = u64::from(u32::from_be_bytes([0, gas[0], gas[1], gas[2]]));
    let tx_type = kind & 3;
    let (is_listed, tx_type) = if tx_type == 3 { (true, 2) } else { (tx_type == 1 && kind & 4 != 0, tx_type) };
    let item = AccessListItem { address: CONTRACT, storage_keys: vec![B256::ZERO, B256::with_last_byte(1)] };
    let tx = TxEnv {
        tx_type,
        caller: SENDER,
        gas_limit: 20_000 + gas % (1 << 18),
        gas_price: u128::from(*price),
        kind: match to % 8 {
            0..3 => TxKind::Call(CONTRACT),
            3 => TxKind::Call(OTHER),
            4 => TxKind::Call(SENDER),
            5 => TxKind::Call(miner),
            6 => TxKind::Call(Address::with_last_byte(to >> 3)),
            _ => TxKind::Create,
        },
        value: U256::from(*value) << (usize::from(*value) % 64),
        data: Bytes::copy_from_slice(data),
        nonce: if kind & 24 == 24 { 6 } else { 7 },
        chain_id: if tx_type == 0 && kind & 4 != 0 { None } else { Some(1) },
        access_list: AccessList(if is_listed { vec![item] } else { vec![] }),
        gas_priority_fee: (tx_type == 2).then_some(u128::from(price / 3)),
        ..TxEnv::default()
    };
    Some((environment, tx, world))
}

/// Any bytes as a transaction, by both loops.
///
/// # Panics
/// If they differ in anything but why a frame halted.
pub fn execution(bytes: &[u8]) {
    // Kept over many transactions, as a worker keeps them.
    thread_local! {
        static MACHINES: RefCell<Option<[Machine<World>; 2]>> = const { RefCell::new(None) };
    }
    if !Backend::Threaded.is_available() || bytes.len() > 1 << 16 {
        return;
    }
    let Some((environment, tx, _)) = decode(bytes) else { return };
    MACHINES.with_borrow_mut(|machines| {
        let machines = machines.get_or_insert_with(|| {
            Backend::ALL.map(|backend| {
                let mut machine = Machine::new(World::default(), &environment);
                machine.set_backend(backend);
                machine
            })
        });
        let [plain, threaded] = machines.each_mut().map(|machine| {
            *machine.befores() = decode(bytes).expect("it was decoded above").2;
            machine.set_block(&environment);
            let mut effect = Effect::default();
            let gave = gave(machine.transaction(tx.clone(), &mut effect));
            (gave, afters(&effect), std::mem::take(&mut machine.befores().asked))
        });
        assert_eq!(threaded, plain, "{tx:?}");
    });
}

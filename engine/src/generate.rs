//! Signed chains that follow from a plan: what a benchmark executes where no history is at hand.
//!
//! A plan gives one chain, the same on every machine: accounts with ether, tokens and allowances in the genesis, then blocks of
//! transactions that they sign. It comes as sources, a genesis file and a chain file, which any client reads; so a mistake here
//! is a chain that import or validation refuses, and no file that agrees with itself. Rules: Shanghai from block 0 on.
//! Headers say what execution from moves leaves (`solo::record`), with roots by alloy and the state root by `state_root`.
//! Memory: the state, and of a block its transactions.

use crate::import::allocations;
use crate::solo::record::{BlockInput, Importer, RecordError, SignedTransaction};
use crate::solo::signature::SignatureHints;
use crate::solo::state::{Before, MemoryState};
use crate::solo::transaction::Envelope;
use crate::state_root::{StateTrie, TrieError};
use alloy_consensus::constants::{EMPTY_OMMER_ROOT_HASH, EMPTY_WITHDRAWALS};
use alloy_consensus::crypto::secp256k1::sign_message;
use alloy_consensus::proofs::{calculate_receipt_root, calculate_transaction_root};
use alloy_consensus::{
    Block, BlockBody as Body, Eip658Value, Header, Receipt, ReceiptEnvelope, ReceiptWithBloom, SignableTransaction,
    TxEip1559, TxLegacy,
};
use alloy_eips::eip1559::{BaseFeeParams, calc_next_block_base_fee};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bloom, Bytes, FixedBytesSliceExt, TxKind, U256, keccak256};
use alloy_rlp::{EMPTY_LIST_CODE, Encodable};
use manaflow_loader::model::{BlockBody, BlockRecord, Ommers, Outcome, Status};
use manaflow_loader::source::Genesis;
use manaflow_loader::source::moves::{Distribution, Ranks};
use manaflow_loader::{SplitMix64, WholeFile};
use rayon::prelude::*;
use secp256k1::{PublicKey, SECP256K1, SecretKey};
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What the accounts do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// They send ether.
    Transfers,
    /// They send tokens of four contracts (ERC-20).
    Tokens,
    /// They swap tokens in one constant-product pool, whose reserves every swap writes.
    Exchange,
    /// One half sends ether, a third tokens, a sixth swaps.
    Mixed,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Transfers, Self::Tokens, Self::Exchange, Self::Mixed];

    /// Name in options.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transfers => "transfers",
            Self::Tokens => "tokens",
            Self::Exchange => "exchange",
            Self::Mixed => "mixed",
        }
    }

    /// Gas that a transaction may take, about: blocks have four times as much for each.
    const fn gas(self) -> u64 {
        match self {
            Self::Transfers => 21_000,
            Self::Tokens => 60_000,
            Self::Exchange | Self::Mixed => 130_000,
        }
    }
}

/// What to make.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// What the accounts do.
    pub profile: Profile,
    /// Accounts that sign, 2 to [`ACCOUNTS_MAX`].
    pub accounts: u32,
    /// Blocks after the genesis, at least 1.
    pub blocks: u64,
    /// Transactions a block, 1 to [`TRANSACTIONS_MAX`].
    pub transactions: u32,
    /// How senders and those who are paid are drawn; `Hot` pays one account, and draws senders uniformly.
    pub distribution: Distribution,
    /// Seed.
    pub seed: u64,
}

/// Accounts of a plan: a genesis file holds them all.
pub const ACCOUNTS_MAX: u32 = 1 << 17;
/// Transactions of a block.
pub const TRANSACTIONS_MAX: u32 = 100_000;

impl Plan {
    /// Why it cannot be carried out.
    pub fn refusal(&self) -> Option<String> {
        if !(2..=ACCOUNTS_MAX).contains(&self.accounts) {
            return Some(format!("{} accounts: from 2 to {ACCOUNTS_MAX}", self.accounts));
        }
        if !(1..=TRANSACTIONS_MAX).contains(&self.transactions) {
            return Some(format!("{} transactions a block: from 1 to {TRANSACTIONS_MAX}", self.transactions));
        }
        // Each has a number and a time below 2^40.
        (!(1..1 << 32).contains(&self.blocks)).then(|| format!("{} blocks: from 1 to 2^32 - 1", self.blocks))
    }
}

/// Why a chain cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The plan cannot be carried out.
    #[error("{0}")]
    Plan(String),
    /// The disk.
    #[error(transparent)]
    Files(#[from] manaflow_loader::Error),
    /// Execution gave up, or took no account of a transaction.
    #[error("{0}")]
    Execution(String),
}

impl From<RecordError> for GenerateError {
    fn from(e: RecordError) -> Self {
        Self::Execution(e.to_string())
    }
}

impl From<TrieError> for GenerateError {
    fn from(e: TrieError) -> Self {
        Self::Execution(e.to_string())
    }
}

/// What was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Made {
    /// The genesis file, in go-ethereum's form.
    pub genesis: PathBuf,
    /// The blocks after it, in RLP.
    pub chain: PathBuf,
    /// Transactions.
    pub transactions: u64,
    /// How many of them failed, as planned.
    pub failed: u64,
    /// Gas that they used.
    pub gas: u64,
    /// Hash of the last header.
    pub tip: B256,
}

/// Chain id of what is made.
const CHAIN_ID: u64 = 1337;
const COINBASE: Address = Address::repeat_byte(0xfe);
/// Seconds between blocks.
const SLOT: u64 = 12;
const GAS_LIMIT_LEAST: u64 = 30_000_000;
/// In wei.
const FIRST_BASE_FEE: u64 = 1_000_000_000;
const TIP: u128 = 1_000_000_000;
const PRICE_MOST: u128 = 100_000_000_000;
/// In wei, and in the least unit of each token.
const OWNED: u128 = 10_u128.pow(24);
const RESERVE: u128 = 10_u128.pow(27);
const TOKENS: usize = 4;

/// Codes that run in the contracts: `datasets/contracts`.
const TOKEN_CODE: &str = include_str!("../../datasets/contracts/Token.hex");
const POOL_CODE: &str = include_str!("../../datasets/contracts/Pool.hex");

/// Writes the genesis file and the chain file of a plan to a folder, each whole or not at all; `progress` is told the
/// transactions done.
///
/// Errors: the plan has a [`Plan::refusal`]; the disk.
pub fn write(folder: &Path, plan: &Plan, progress: impl Fn(u64)) -> Result<Made, GenerateError> {
    if let Some(reason) = plan.refusal() {
        return Err(GenerateError::Plan(reason));
    }
    let accounts: Vec<Account> = (0..plan.accounts).into_par_iter().map(Account::new).collect();
    let (genesis, chain) = (folder.join("genesis.json"), folder.join("chain.rlp"));
    write_whole(&genesis, |out| out.write_all(genesis_json(plan, &accounts).as_bytes()).map_err(io(&genesis)))?;
    let mut maker = Maker::new(plan, &Genesis::read(&genesis, None)?, accounts)?;
    write_whole(&chain, |out| {
        for _ in 0..plan.blocks {
            out.write_all(&maker.block()?).map_err(io(&chain))?;
            progress(maker.transactions);
        }
        Ok(())
    })?;
    let Maker { transactions, failed, gas, parent, .. } = maker;
    Ok(Made { genesis, chain, transactions, failed, gas, tip: parent.hash_slow() })
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> GenerateError {
    move |e| manaflow_loader::Error::io(path)(e).into()
}

fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> Result<(), GenerateError>,
) -> Result<(), GenerateError> {
    let mut file = std::io::BufWriter::with_capacity(1 << 16, WholeFile::create(path).map_err(io(path))?);
    write(&mut file)?;
    file.into_inner().map_err(|e| io(path)(e.into_error()))?.finish().map_err(io(path))
}

/// Somebody who signs.
#[derive(Clone, Debug)]
struct Account {
    secret: B256,
    address: Address,
    nonce: u64,
}

impl Account {
    fn new(i: u32) -> Self {
        let mut bytes = *b"manaflow account    ";
        bytes[16..].copy_from_slice(&i.to_be_bytes());
        let secret = keccak256(bytes);
        // A hash that is no key is found by nobody.
        let key = SecretKey::from_byte_array(secret.0).expect("a number below the group's order, and not 0");
        let point = PublicKey::from_secret_key(SECP256K1, &key).serialize_uncompressed();
        Self { secret, address: Address::from_raw_public_key(&point[1..]), nonce: 0 }
    }
}

fn token(i: usize) -> Address {
    Address::from_word(keccak256(format!("manaflow token {i}")))
}

fn pool() -> Address {
    Address::from_word(keccak256("manaflow pool"))
}

/// Where Solidity keeps the entry of a mapping.
fn entry(key: B256, mapping: B256) -> B256 {
    keccak256([key, mapping].as_flattened())
}

/// The genesis: ether for all, and what of the contracts the profile needs.
fn genesis_json(plan: &Plan, accounts: &[Account]) -> String {
    // Whatever has a default is told all the same: not every client knows it.
    let (zero, nobody) = (B256::ZERO, Address::ZERO);
    let limit = (4 * plan.profile.gas() * u64::from(plan.transactions)).max(GAS_LIMIT_LEAST);
    let mut out = format!(
        r#"{{"config":{{"chainId":{CHAIN_ID},"homesteadBlock":0,"eip150Block":0,"eip155Block":0,"eip158Block":0,"byzantiumBlock":0,
"constantinopleBlock":0,"petersburgBlock":0,"istanbulBlock":0,"berlinBlock":0,"londonBlock":0,"terminalTotalDifficulty":0,
"terminalTotalDifficultyPassed":true,"shanghaiTime":0}},"nonce":"0x0","timestamp":"0x0","extraData":"0x",
"mixHash":"{zero}","coinbase":"{nobody:?}","gasLimit":"{limit:#x}","difficulty":"0x0",
"baseFeePerGas":"{FIRST_BASE_FEE:#x}","alloc":{{"#
    );
    let (tokens, has_pool) = match plan.profile {
        Profile::Transfers => (0, false),
        Profile::Tokens => (TOKENS, false),
        Profile::Exchange => (2, true),
        Profile::Mixed => (TOKENS, true),
    };
    let word = |addr: Address| addr.into_word();
    let number = |n: u128| B256::from(U256::from(n));
    for i in 0..tokens {
        let is_swapped = has_pool && i < 2;
        let mut total = U256::from(OWNED) * U256::from(accounts.len());
        let mut storage = Vec::new();
        for account in accounts {
            storage.push((entry(word(account.address), B256::ZERO), number(OWNED)));
            if is_swapped {
                let of_owner = entry(word(account.address), number(1));
                storage.push((entry(word(pool()), of_owner), B256::repeat_byte(0xff)));
            }
        }
        if is_swapped {
            storage.push((entry(word(pool()), B256::ZERO), number(RESERVE)));
            total += U256::from(RESERVE);
        }
        storage.push((number(2), total.into()));
        contract(&mut out, token(i), TOKEN_CODE, &storage);
    }
    if has_pool {
        let reserves: U256 = U256::from(RESERVE) << 128 | U256::from(RESERVE);
        let storage = [(number(0), word(token(0))), (number(1), word(token(1))), (number(2), reserves.into())];
        contract(&mut out, pool(), POOL_CODE, &storage);
    }
    for (i, account) in accounts.iter().enumerate() {
        let comma = if i + 1 < accounts.len() { "," } else { "" };
        // Writing to a text does not fail.
        let _ = writeln!(out, r#""{:?}":{{"balance":"{OWNED:#x}"}}{comma}"#, account.address);
    }
    out.push_str("}}\n");
    out
}

fn contract(out: &mut String, addr: Address, code: &str, storage: &[(B256, B256)]) {
    let words = storage.iter().map(|(slot, word)| format!(r#""{slot}":"{word}""#)).collect::<Vec<_>>().join(",\n");
    let _ = writeln!(out, r#""{addr:?}":{{"balance":"0x0","code":"0x{}","storage":{{{words}}}}},"#, code.trim_end());
}

/// What somebody does.
struct Action {
    to: Address,
    value: u64,
    input: Bytes,
    gas_limit: u64,
}

/// Makes block after block.
struct Maker {
    profile: Profile,
    rows: u32,
    accounts: Vec<Account>,
    senders: Ranks,
    paid: Ranks,
    random: SplitMix64,
    importer: Importer<MemoryState>,
    trie: StateTrie,
    parent: Header,
    transactions: u64,
    failed: u64,
    gas: u64,
}

impl Maker {
    fn new(plan: &Plan, genesis: &Genesis, accounts: Vec<Account>) -> Result<Self, GenerateError> {
        let mut importer = Importer::new(MemoryState::new(Before::Genesis), genesis.rules.clone(), None);
        let record = importer.genesis(genesis.block().body, genesis.hash, &allocations(genesis))?;
        let mut trie = StateTrie::default();
        apply(&mut trie, &record)?;
        let senders = match plan.distribution {
            Distribution::Hot => Distribution::Uniform,
            other => other,
        };
        let count = u64::from(plan.accounts);
        Ok(Self {
            profile: plan.profile,
            rows: plan.transactions,
            accounts,
            senders: Ranks::new(senders, count),
            paid: Ranks::new(plan.distribution, count),
            random: SplitMix64(plan.seed),
            importer,
            trie,
            parent: genesis.header.clone(),
            transactions: 0,
            failed: 0,
            gas: 0,
        })
    }

    /// The next block, in RLP.
    fn block(&mut self) -> Result<Vec<u8>, GenerateError> {
        let parent = &self.parent;
        let base_fee = calc_next_block_base_fee(
            parent.gas_used,
            parent.gas_limit,
            parent.base_fee_per_gas.unwrap_or(FIRST_BASE_FEE),
            BaseFeeParams::ethereum(),
        );
        let number = parent.number + 1;
        let mut header = Header {
            parent_hash: parent.hash_slow(),
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: COINBASE,
            number,
            gas_limit: parent.gas_limit,
            timestamp: parent.timestamp + SLOT,
            extra_data: Bytes::from_static(b"manaflow"),
            mix_hash: keccak256([self.random.number().to_be_bytes(), number.to_be_bytes()].as_flattened()),
            base_fee_per_gas: Some(base_fee),
            withdrawals_root: Some(EMPTY_WITHDRAWALS),
            ..Header::default()
        };
        let (senders, envelopes) = self.signed();
        let transactions = senders.iter().zip(&envelopes).map(|(sender, envelope)| SignedTransaction {
            bytes: envelope.encoded_2718().into(),
            envelope: Some(envelope.clone()),
            sender: Some(*sender),
            authorities: Vec::new(),
            hints: SignatureHints::default(),
        });
        let empty_list = Bytes::from_static(&[EMPTY_LIST_CODE]);
        let input = BlockInput {
            // Bytes and hash are nobody's concern: no contract asks for the hash of a block.
            body: BlockBody {
                header: Bytes::new(),
                ommers: Ommers::Headers(empty_list.clone()),
                withdrawals: Some(empty_list),
            },
            header: Box::new(header.clone()),
            hash: B256::ZERO,
            ommers: Some(Vec::new()),
            withdrawals: Vec::new(),
            transactions: transactions.collect(),
            witness_roots: None,
        };
        let record = self.importer.block(number, input)?;
        // Codes are in the genesis file.
        self.importer.take_codes();
        apply(&mut self.trie, &record)?;
        let receipts = self.receipts(&record, &envelopes)?;
        header.state_root = self.trie.root()?;
        header.transactions_root = calculate_transaction_root(&envelopes);
        header.receipts_root = calculate_receipt_root(&receipts);
        header.logs_bloom = receipts.iter().fold(Bloom::ZERO, |all, receipt| all | *receipt.logs_bloom());
        header.gas_used = receipts.last().map_or(0, ReceiptEnvelope::cumulative_gas_used);
        self.gas += header.gas_used;
        self.transactions += envelopes.len() as u64;
        self.parent = header.clone();
        let body = Body { transactions: envelopes, ommers: Vec::new(), withdrawals: Some(Default::default()) };
        let mut bytes = Vec::new();
        Block::<Envelope> { header, body }.encode(&mut bytes);
        Ok(bytes)
    }

    /// The receipts of a block, one a transaction.
    fn receipts(
        &mut self,
        record: &BlockRecord,
        envelopes: &[Envelope],
    ) -> Result<Vec<ReceiptEnvelope>, GenerateError> {
        let outcomes: Vec<&Outcome> = record.transactions.iter().filter_map(|row| row.outcome.as_ref()).collect();
        if outcomes.len() != envelopes.len() {
            return Err(GenerateError::Execution(format!(
                "{} of {} transactions ran",
                outcomes.len(),
                envelopes.len()
            )));
        }
        let mut cumulative_gas_used = 0;
        let mut receipt = |(outcome, envelope): (&&Outcome, &Envelope)| {
            cumulative_gas_used += outcome.gas_used;
            let is_success = outcome.status == Status::Success;
            self.failed += u64::from(!is_success);
            let status = Eip658Value::Eip658(is_success);
            let receipt = ReceiptWithBloom::from(Receipt { status, cumulative_gas_used, logs: outcome.logs.clone() });
            match envelope.is_legacy() {
                true => ReceiptEnvelope::Legacy(receipt),
                false => ReceiptEnvelope::Eip1559(receipt),
            }
        };
        Ok(outcomes.iter().zip(envelopes).map(&mut receipt).collect())
    }

    /// The transactions of a block, and who signed them.
    fn signed(&mut self) -> (Vec<Address>, Vec<Envelope>) {
        let drawn: Vec<(B256, Address, u64, Action, bool)> = (0..self.rows)
            .map(|_| {
                let action = self.action();
                let is_legacy = self.random.below(8) == 0;
                let sender = &mut self.accounts[self.senders.draw(&mut self.random, true) as usize];
                sender.nonce += 1;
                (sender.secret, sender.address, sender.nonce - 1, action, is_legacy)
            })
            .collect();
        let sign = |(secret, _, nonce, action, is_legacy): &(B256, Address, u64, Action, bool)| {
            let Action { to, value, input, gas_limit } = action;
            let (to, value, input) = (TxKind::Call(*to), U256::from(*value), input.clone());
            if *is_legacy {
                let tx = TxLegacy {
                    chain_id: Some(CHAIN_ID),
                    nonce: *nonce,
                    gas_price: PRICE_MOST / 10,
                    gas_limit: *gas_limit,
                    to,
                    value,
                    input,
                };
                return sign(*secret, tx);
            }
            let tx = TxEip1559 {
                chain_id: CHAIN_ID,
                nonce: *nonce,
                gas_limit: *gas_limit,
                max_fee_per_gas: PRICE_MOST,
                max_priority_fee_per_gas: TIP,
                to,
                value,
                input,
                ..TxEip1559::default()
            };
            sign(*secret, tx)
        };
        (drawn.iter().map(|row| row.1).collect(), drawn.par_iter().map(sign).collect())
    }

    fn action(&mut self) -> Action {
        let random = &mut self.random;
        let profile = match self.profile {
            Profile::Mixed => match random.below(6) {
                0..3 => Profile::Transfers,
                3..5 => Profile::Tokens,
                _ => Profile::Exchange,
            },
            other => other,
        };
        if profile == Profile::Exchange {
            let given = U256::from(1_000_000 + random.below(1 << 40));
            // One of 32 asks for more than it gets, and fails.
            let least = if random.below(32) == 0 { U256::MAX } else { U256::ONE };
            let is_zero_for_one = U256::from(random.below(2));
            let input = call("swap(bool,uint256,uint256)", &[is_zero_for_one, given, least]);
            return Action { to: pool(), value: 0, input, gas_limit: 250_000 };
        }
        // One of 16 pays somebody new.
        let paid = match random.below(16) {
            0 => Address::from_word(keccak256(random.number().to_be_bytes())),
            _ => self.accounts[self.paid.draw(random, true) as usize].address,
        };
        let amount = 1 + random.below(1_000_000_000);
        if profile == Profile::Tokens {
            let input =
                call("transfer(address,uint256)", &[U256::from_be_bytes(paid.into_word().0), U256::from(amount)]);
            return Action { to: token(random.below(TOKENS as u64) as usize), value: 0, input, gas_limit: 100_000 };
        }
        Action { to: paid, value: amount, input: Bytes::new(), gas_limit: 21_000 }
    }
}

fn apply(trie: &mut StateTrie, record: &BlockRecord) -> Result<(), TrieError> {
    record.transactions.iter().flat_map(|row| &row.moves).try_for_each(|m| trie.apply(m))
}

/// Signs by libsecp256k1, with the nonce of RFC 6979: the same bytes each time.
fn sign<T: SignableTransaction<alloy_primitives::Signature>>(secret: B256, tx: T) -> Envelope
where
    Envelope: From<alloy_consensus::Signed<T>>,
{
    let signature = sign_message(secret, tx.signature_hash()).expect("the secret is a key");
    tx.into_signed(signature).into()
}

/// A call of a function by Solidity's rules.
fn call(function: &str, words: &[U256]) -> Bytes {
    let mut input = keccak256(function)[..4].to_vec();
    words.iter().for_each(|word| input.extend_from_slice(&word.to_be_bytes::<32>()));
    input.into()
}

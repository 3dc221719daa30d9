//! Tests of the judgement Block: real chains without a fault, mutations with exactly the predicted ones, attacks by
//! name.
//!
//! Blocks are read by alloy's decoders; nothing here shares a line with the loader.

mod attacks;
mod chains;
mod fixtures;
mod mutations;
mod units;

use super::*;
use alloy_consensus::{Block, Eip658Value, Header, Receipt, ReceiptEnvelope, TxEnvelope};
use alloy_eips::{eip2718::Encodable2718, eip4895::Withdrawals};
use alloy_genesis::Genesis;
use alloy_primitives::{Address, B64, KECCAK256_EMPTY, b256, keccak256};
use alloy_rlp::Decodable;
use manaflow_loader::{
    model::{AccountValue, Status},
    rules::BlobParameters,
};
use serde_json::Value as Json;
use std::path::PathBuf;

/// A path in the unpacked test data; tests begin by asking whether it is there.
pub(super) fn data(path: &str) -> PathBuf {
    let full = manaflow_datasets::data().expect("the test has asked for the data").join(path);
    assert!(full.exists(), "{} is missing: unpack the test data", full.display());
    full
}

pub(super) fn json(path: &str) -> Json {
    serde_json::from_slice(&std::fs::read(data(path)).unwrap()).unwrap()
}

/// A transaction with all that B may be told of it.
#[derive(Clone)]
pub(super) struct OwnedTransaction {
    pub(super) bytes: Vec<u8>,
    pub(super) terms: Option<Terms>,
    pub(super) outcome: Option<Outcome>,
}

/// A block with all that B may be told of it.
#[derive(Clone)]
pub(super) struct OwnedBlock {
    pub(super) number: u64,
    pub(super) header: Header,
    pub(super) ommers: Vec<Header>,
    pub(super) transactions: Vec<OwnedTransaction>,
    pub(super) withdrawals: Option<Vec<Withdrawal>>,
    pub(super) requests: Vec<Bytes>,
    pub(super) hash_write: Option<U256>,
    pub(super) allocation: Option<Vec<(Cell, Value)>>,
    pub(super) only_ommer_hashes: bool,
    pub(super) ommer_hashes: Vec<B256>,
}

impl OwnedBlock {
    pub(super) fn from_alloy(block: Block<TxEnvelope>) -> Self {
        let transactions = block.body.transactions.iter().map(|envelope| {
            let bytes = envelope.encoded_2718();
            let terms = BlockTransaction::new(&bytes, Some(envelope), None).terms;
            OwnedTransaction { bytes, terms, outcome: None }
        });
        let mut owned = Self {
            number: block.header.number,
            transactions: transactions.collect(),
            ommers: block.body.ommers,
            withdrawals: block.body.withdrawals.map(Withdrawals::into_inner),
            requests: block.header.requests_hash.map_or(vec![], |_| vec![Bytes::new(); 2]),
            hash_write: None,
            allocation: None,
            only_ommer_hashes: false,
            ommer_hashes: vec![],
            header: block.header,
        };
        owned.seal();
        owned
    }

    pub(super) fn from_header(header: Header) -> Self {
        Self::from_alloy(Block { header, body: Default::default() })
    }

    /// Makes what depends on the header's and the ommers' hashes agree with them.
    pub(super) fn seal(&mut self) {
        self.ommer_hashes = self.ommers.iter().map(Header::hash_slow).collect();
        self.hash_write = Some(self.header.hash_slow().into());
    }

    /// Gives each transaction the outcome of its receipt.
    pub(super) fn set_receipts(&mut self, receipts: impl ExactSizeIterator<Item = ReceiptEnvelope>) {
        assert_eq!(receipts.len(), self.transactions.len());
        let mut before = 0;
        for (transaction, receipt) in self.transactions.iter_mut().zip(receipts) {
            let Receipt { status, cumulative_gas_used, logs } = receipt.as_receipt().unwrap().clone();
            let status = match status {
                Eip658Value::Eip658(true) => Status::Success,
                Eip658Value::Eip658(false) => Status::Failure,
                Eip658Value::PostState(root) => Status::Root(Some(root)),
            };
            transaction.outcome = Some(Outcome { status, gas_used: cumulative_gas_used - before, logs });
            before = cumulative_gas_used;
        }
    }

    pub(super) fn ancestor(&self) -> Ancestor<'_> {
        Ancestor { header: &self.header, hash: self.header.hash_slow(), ommers: Some(&self.ommer_hashes) }
    }

    pub(super) fn judge(
        &self,
        window: &[Ancestor<'_>],
        total_difficulty: Option<U256>,
        rules: &ChainRules,
    ) -> (Vec<Fault>, Unchecked) {
        let as_seen = |t: &OwnedTransaction| (t.bytes.clone(), t.terms, t.outcome.clone());
        let owned: Vec<_> = self.transactions.iter().map(as_seen).collect();
        let transactions: Vec<_> = (owned.iter())
            .map(|(bytes, terms, outcome)| BlockTransaction { bytes, terms: *terms, outcome: outcome.as_ref() })
            .collect();
        let head = HeaderInput {
            number: self.number,
            header: &self.header,
            hash: self.header.hash_slow(),
            ommers: match self.only_ommer_hashes {
                true => Ommers::HashesOnly(&self.ommer_hashes),
                false => Ommers::Known(&self.ommers),
            },
        };
        let input = BlockInput {
            head,
            transactions: &transactions,
            withdrawals: self.withdrawals.as_deref(),
            requests: &self.requests,
            hash_write: self.hash_write,
            allocation: self.allocation.as_deref(),
        };
        let mut faults = Vec::new();
        let roots = roots_of(&[input.body()]).remove(0);
        let mut unchecked = check_hashes(&input, &roots, rules, &mut faults);
        unchecked += check_body(&input, rules, &mut faults);
        unchecked += check_links(&head, window, total_difficulty, rules, &mut faults);
        faults.sort();
        (faults, unchecked)
    }

    /// The reasons, sorted, each once.
    pub(super) fn reasons(&self, window: &[Ancestor<'_>], total: Option<U256>, rules: &ChainRules) -> Vec<Reason> {
        let mut reasons: Vec<_> = self.judge(window, total, rules).0.into_iter().map(|fault| fault.reason).collect();
        reasons.sort();
        reasons.dedup();
        reasons
    }
}

/// A chain from genesis on.
pub(super) struct Chain {
    pub(super) rules: ChainRules,
    pub(super) blocks: Vec<OwnedBlock>,
}

impl Chain {
    /// One of the folders of `chains/`.
    pub(super) fn load(name: &str) -> Self {
        let mut genesis = json(&format!("chains/{name}/genesis.json"));
        let rules = rules_of(&genesis["config"]);
        genesis["config"] = serde_json::json!({});
        let object = genesis.as_object_mut().unwrap();
        object.entry("mixHash").or_insert_with(|| format!("{}", B256::ZERO).into());
        let genesis = serde_json::from_value(genesis).unwrap();
        let bytes = std::fs::read(data(&format!("chains/{name}/chain.rlp"))).unwrap();
        let mut rest = &bytes[..];
        let mut blocks = vec![genesis_block(&genesis, &rules)];
        while !rest.is_empty() {
            blocks.push(OwnedBlock::from_alloy(Block::decode(&mut rest).unwrap()));
        }
        Self { rules, blocks }
    }

    /// The window of the block at `index`.
    pub(super) fn window(&self, index: usize) -> Vec<Ancestor<'_>> {
        self.blocks[index.saturating_sub(WINDOW)..index].iter().map(OwnedBlock::ancestor).collect()
    }

    /// Total difficulty before the block at `index`.
    pub(super) fn total(&self, index: usize) -> Option<U256> {
        self.blocks[..index].iter().try_fold(U256::ZERO, |sum, block| total_difficulty_after(Some(sum), &block.header))
    }
}

/// Block 0 of a genesis file.
pub(super) fn genesis_block(genesis: &Genesis, rules: &ChainRules) -> OwnedBlock {
    let allocation = allocation_of(genesis);
    let time = genesis.timestamp;
    let at_time = |fork: Option<u64>| fork.is_some_and(|first| time >= first);
    let header = Header {
        state_root: allocation_root(&allocation).unwrap(),
        beneficiary: genesis.coinbase,
        difficulty: genesis.difficulty,
        gas_limit: genesis.gas_limit,
        timestamp: time,
        extra_data: genesis.extra_data.clone(),
        mix_hash: genesis.mix_hash,
        nonce: B64::from(genesis.nonce),
        base_fee_per_gas: (rules.london == Some(0))
            .then(|| genesis.base_fee_per_gas.map_or(1_000_000_000, |fee| fee as u64)),
        withdrawals_root: at_time(rules.shanghai).then_some(alloy_trie::EMPTY_ROOT_HASH),
        blob_gas_used: at_time(rules.cancun).then_some(0),
        excess_blob_gas: at_time(rules.cancun).then_some(0),
        parent_beacon_block_root: at_time(rules.cancun).then_some(B256::ZERO),
        ..Default::default()
    };
    let mut block = OwnedBlock::from_header(header);
    block.allocation = Some(allocation);
    block.withdrawals = block.header.withdrawals_root.map(|_| vec![]);
    block
}

pub(super) fn allocation_of(genesis: &Genesis) -> Vec<(Cell, Value)> {
    let mut cells = Vec::new();
    for (addr, account) in &genesis.alloc {
        let code_hash = account.code.as_ref().map_or(KECCAK256_EMPTY, keccak256);
        let nonce = account.nonce.unwrap_or(0);
        let value = AccountValue { present: true, nonce, balance: account.balance, code_hash, generation: 0 };
        cells.push((Cell::account(*addr), Value::Account(value)));
        for (slot, word) in account.storage.iter().flatten() {
            cells.push((Cell::storage(*addr, 0, (*slot).into()), Value::Word((*word).into())));
        }
    }
    cells
}

/// Rules from a genesis file's `config`.
pub(super) fn rules_of(config: &Json) -> ChainRules {
    let number = |name: &str| config[name].as_u64();
    let mut blobs: Vec<_> = ["cancun", "prague", "osaka", "bpo1", "bpo2", "bpo3", "bpo4", "bpo5"]
        .into_iter()
        .filter_map(|fork| {
            let schedule = &config["blobSchedule"][fork];
            Some(BlobParameters {
                time: number(&format!("{fork}Time"))?,
                target: schedule["target"].as_u64()?,
                max: schedule["max"].as_u64()?,
                base_fee_update_fraction: schedule["baseFeeUpdateFraction"].as_u64()?,
            })
        })
        .collect();
    blobs.sort_by_key(|parameters| parameters.time);
    ChainRules {
        chain_id: number("chainId").unwrap(),
        genesis: None,
        homestead: number("homesteadBlock"),
        dao: number("daoForkBlock"),
        dao_support: config["daoForkSupport"].as_bool().unwrap_or(false),
        tangerine_whistle: number("eip150Block"),
        spurious_dragon: number("eip158Block"),
        byzantium: number("byzantiumBlock"),
        constantinople: number("constantinopleBlock"),
        petersburg: number("petersburgBlock"),
        istanbul: number("istanbulBlock"),
        muir_glacier: number("muirGlacierBlock"),
        berlin: number("berlinBlock"),
        london: number("londonBlock"),
        arrow_glacier: number("arrowGlacierBlock"),
        gray_glacier: number("grayGlacierBlock"),
        terminal_total_difficulty: number("terminalTotalDifficulty").map(U256::from),
        shanghai: number("shanghaiTime"),
        cancun: number("cancunTime"),
        prague: number("pragueTime"),
        osaka: number("osakaTime"),
        blobs,
        deposit_contract: config["depositContractAddress"]
            .as_str()
            .map_or(Address::ZERO, |address| address.parse().unwrap()),
    }
}

/// Mainnet's rules.
pub(super) fn mainnet() -> ChainRules {
    ChainRules {
        genesis: Some(b256!("d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3")),
        // Beyond 64 bits, so JSON's numbers lose it.
        terminal_total_difficulty: Some(U256::from(58_750_000_000_000_000_000_000u128)),
        ..rules_of(&json("genesis/forks.json")["mainnet"])
    }
}

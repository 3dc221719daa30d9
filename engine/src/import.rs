//! From sources to a block file: blocks are decoded and their signers recovered in parallel, executed in order and recorded.
//!
//! Never judges: what a block says wrongly is written as it is. Refused is what is no block at all, and what the source
//! would have to know and does not.

use crate::backend::Backends;
use crate::reason::Reason;
use crate::solo::code::bytecode;
use crate::solo::record::{Allocation, BlockInput, Importer, RecordError, SignedTransaction};
use crate::solo::signature::{SignatureHints, recover_all, recover_all_with_hints};
use crate::solo::state::{Before, MemoryState, State};
use crate::solo::transaction::{self, Envelope};
use crate::state_root::StateTrie;
use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::map::AddressHashSet;
use alloy_primitives::{Bytes, KECCAK256_EMPTY};
use alloy_rlp::Decodable;
use manaflow_loader::file::Writer;
use manaflow_loader::model::{AccountValue, BlockRecord, Ommers};
use manaflow_loader::rules::Fork;
use manaflow_loader::source::{Chain, Recognised, Snapshot, Source, SourceBlock};
use rayon::prelude::*;
use std::sync::mpsc::sync_channel;

/// Blocks that are decoded at a time.
const BATCH_BLOCKS: usize = 256;
/// Transactions after which a batch is full.
const BATCH_TRANSACTIONS: usize = 4096;

/// Why there is no block file.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A source cannot be read, or the file cannot be written.
    #[error(transparent)]
    Loader(#[from] manaflow_loader::Error),
    /// A part of a block does not decode.
    #[error("{source_name}: block {block}: {part}: {reason}")]
    Decode {
        /// File or folder.
        source_name: String,
        /// Block by position.
        block: u64,
        /// Which part.
        part: String,
        /// Why.
        reason: String,
    },
    /// Execution asks for what the source does not have.
    #[error("{source_name}: {error}")]
    Record {
        /// File or folder.
        source_name: String,
        /// What is missing, where.
        error: RecordError,
    },
}

impl ImportError {
    /// Whether the input is at fault (else the machine is).
    pub fn is_input(&self) -> bool {
        match self {
            Self::Loader(e) => e.is_input(),
            Self::Decode { .. } | Self::Record { .. } => true,
        }
    }
}

/// Rows done, for progress and as a summary.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Segments begun.
    pub segments: u64,
    /// Blocks, block 0 included.
    pub blocks: u64,
    /// Signed transactions.
    pub transactions: u64,
    /// Of these, transactions that could not be included.
    pub refused: u64,
    /// Moves.
    pub moves: u64,
    /// Gas used.
    pub gas: u64,
}

impl Counts {
    fn add(&mut self, record: &BlockRecord) {
        self.blocks += 1;
        let signed = &record.transactions[1..record.transactions.len() - 1];
        self.transactions += signed.len() as u64;
        self.refused += signed.iter().filter(|t| t.outcome.is_none()).count() as u64;
        self.moves += record.transactions.iter().map(|t| t.moves.len() as u64).sum::<u64>();
        self.gas += signed.iter().filter_map(|t| t.outcome.as_ref()).map(|o| o.gas_used).sum::<u64>();
    }
}

/// What an import did, and what its user should know.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Imported {
    /// Rows.
    pub counts: Counts,
    /// Sentences about what a source lacks.
    pub notes: Vec<String>,
}

/// How to import.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Who does the work.
    pub backends: Backends,
    /// Keep the keys of signers and R.y, which spare whoever validates most of the work on signatures.
    pub hints: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { backends: Backends::default(), hints: true }
    }
}

/// Where it goes.
struct Out<'a> {
    writer: &'a mut Writer,
    counts: Counts,
    options: Options,
    /// Signers whose keys are written.
    signers: AddressHashSet,
}

/// Imports all sources by the default backends, with hints. `progress` is told the counts now and then.
pub fn import(
    recognised: &Recognised,
    writer: &mut Writer,
    progress: &mut dyn FnMut(&Counts),
) -> Result<Imported, ImportError> {
    import_by(recognised, writer, Options::default(), progress)
}

/// Imports all sources. `progress` is told the counts now and then.
pub fn import_by(
    recognised: &Recognised,
    writer: &mut Writer,
    options: Options,
    progress: &mut dyn FnMut(&Counts),
) -> Result<Imported, ImportError> {
    let mut out = Out { writer, counts: Counts::default(), options, signers: AddressHashSet::default() };
    let mut notes = Vec::new();
    for source in &recognised.sources {
        match source {
            Source::Chain(chain) => import_chain(chain, &mut out, progress)?,
            Source::Snapshot(folder) => {
                let snapshot = folder.load()?;
                let guessed = snapshot.balance_unknown.len();
                if guessed > 0 {
                    let folder = snapshot.folder.display();
                    notes.push(format!(
                        "{folder}: balance and nonce of {guessed} accounts are not known; they are written as 0, as listed"
                    ));
                }
                import_snapshot(&snapshot, recognised, &mut out)?;
            }
        }
        progress(&out.counts);
    }
    Ok(Imported { counts: out.counts, notes })
}

fn import_chain(chain: &Chain, out: &mut Out<'_>, progress: &mut dyn FnMut(&Counts)) -> Result<(), ImportError> {
    let genesis = &chain.genesis;
    // Where a block is not one, its number says in which of several files.
    let name = match &chain.files[..] {
        [file] => file.display().to_string(),
        [file, others @ ..] => format!("{} and {} more", file.display(), others.len()),
        [] => genesis.path.display().to_string(),
    };
    let alloc: Vec<Allocation> = genesis
        .alloc
        .iter()
        .map(|(&addr, account)| Allocation {
            addr,
            balance: account.balance,
            nonce: account.nonce,
            code: genesis.codes.get(&account.code_hash).cloned().unwrap_or_default(),
            storage: account.storage.iter().map(|(slot, word)| (*slot, *word)).collect(),
        })
        .collect();
    // Receipts before Byzantium hold state roots. era1 files bring them; of other chains they are computed.
    let brings_roots = chain.files.iter().all(|file| file.extension().is_some_and(|e| e == "era1"));
    let trie = (genesis.rules.fork_at(1, 0, false) < Fork::Byzantium && !brings_roots).then(StateTrie::default);
    let mut importer = Importer::new(MemoryState::new(Before::Genesis), genesis.rules.clone(), trie);
    out.writer.begin_segment(&chain.start())?;
    out.counts.segments += 1;
    let options = out.options;
    importer.set_backend(options.backends.execution);

    let (sender, receiver) = sync_channel::<Result<Vec<(u64, BlockInput)>, ImportError>>(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let sender = sender;
            let mut blocks = chain.blocks();
            loop {
                let batch = next_batch(&mut blocks, &name, options);
                let is_last = match &batch {
                    Ok(batch) => batch.is_empty(),
                    Err(_) => true,
                };
                // The receiver is gone if recording has failed; its error is the one to report.
                if sender.send(batch).is_err() || is_last {
                    return;
                }
            }
        });
        for batch in receiver {
            for (number, input) in batch? {
                let record = if number == 0 {
                    importer.genesis(input.body, input.hash, &alloc)
                } else {
                    importer.block(number, input)
                };
                let record = record.map_err(|error| ImportError::Record { source_name: name.clone(), error })?;
                push(record, &mut importer, out)?;
            }
            progress(&out.counts);
        }
        Ok(())
    })
}

fn push<S: State>(record: BlockRecord, importer: &mut Importer<S>, out: &mut Out<'_>) -> Result<(), ImportError> {
    out.counts.add(&record);
    for (hash, code) in importer.take_codes() {
        out.writer.code(hash, code.original_byte_slice())?;
    }
    for (signer, key) in importer.take_keys() {
        if out.signers.insert(signer) {
            out.writer.signer_key(&key.0)?;
        }
    }
    out.writer.push(&record)?;
    Ok(())
}

fn next_batch(
    blocks: &mut impl Iterator<Item = manaflow_loader::Result<SourceBlock>>,
    name: &str,
    options: Options,
) -> Result<Vec<(u64, BlockInput)>, ImportError> {
    let mut batch = Vec::new();
    let mut transactions = 0;
    while batch.len() < BATCH_BLOCKS && transactions < BATCH_TRANSACTIONS {
        let Some(block) = blocks.next().transpose()? else { break };
        transactions += block.transactions.len();
        batch.push(block);
    }
    let numbers: Vec<u64> = batch.iter().map(|block| block.number).collect();
    Ok(numbers.into_iter().zip(prepare_all(batch, name, options)?).collect())
}

/// Decodes a block and recovers its signers, by libsecp256k1.
pub fn prepare(block: SourceBlock, name: &str) -> Result<BlockInput, ImportError> {
    let options = Options { hints: false, ..Options::default() };
    Ok(prepare_all(vec![block], name, options)?.pop().expect("one a block"))
}

/// Decodes blocks and recovers the signers of all of them together.
fn prepare_all(blocks: Vec<SourceBlock>, name: &str, options: Options) -> Result<Vec<BlockInput>, ImportError> {
    let decoded: Vec<Decoded> =
        blocks.into_par_iter().map(|block| decode_block(block, name)).collect::<Result<_, ImportError>>()?;
    let envelopes: Vec<&Envelope> =
        decoded.iter().flat_map(|(_, list)| list.iter().filter_map(|(_, tx)| tx.as_ref())).collect();
    let backend = options.backends.signatures;
    let recovered: Vec<_> = match options.hints {
        true => recover_all_with_hints(&envelopes, backend),
        false => recover_all(&envelopes, backend).into_iter().map(|r| (r, SignatureHints::default())).collect(),
    };
    let mut recovered = recovered.into_iter();
    let sign = |(mut input, list): Decoded| {
        let sign = |(bytes, tx)| match tx {
            Some(tx) => SignedTransaction::new(bytes, tx, recovered.next().expect("one a transaction")),
            None => SignedTransaction::unpayable(bytes),
        };
        input.transactions = list.into_iter().map(sign).collect();
        input
    };
    Ok(decoded.into_iter().map(sign).collect())
}

/// A block without its transactions, and these beside it: bytes, and `None` where they ask for a price that nobody can pay.
type Decoded = (BlockInput, Vec<(Bytes, Option<Envelope>)>);

fn decode_block(block: SourceBlock, name: &str) -> Result<Decoded, ImportError> {
    let number = block.number;
    let bad =
        |part: String, reason: String| ImportError::Decode { source_name: name.into(), block: number, part, reason };
    let ommers = match &block.body.ommers {
        Ommers::Headers(list) => Some(decode::<Vec<Header>>(list).map_err(|e| bad("ommers".into(), e))?),
        Ommers::Hashes(_) => None,
    };
    let withdrawals = match &block.body.withdrawals {
        Some(list) => decode::<Vec<Withdrawal>>(list).map_err(|e| bad("withdrawals".into(), e))?,
        None => Vec::new(),
    };
    let transactions = block
        .transactions
        .into_par_iter()
        .enumerate()
        .map(|(i, bytes)| match transaction::decode(&bytes) {
            Ok(envelope) => Ok((bytes, Some(envelope))),
            Err(e) if e.reason == Reason::PaymentOverflow => Ok((bytes, None)),
            Err(e) => Err(bad(format!("transaction {}", i + 1), e.why)),
        })
        .collect::<Result<Vec<_>, ImportError>>()?;
    let input = BlockInput {
        body: block.body,
        header: block.header,
        hash: block.hash,
        ommers,
        withdrawals,
        transactions: Vec::new(),
        witness_roots: block.witness_roots,
    };
    Ok((input, transactions))
}

fn decode<T: Decodable>(bytes: &Bytes) -> Result<T, String> {
    alloy_rlp::decode_exact(bytes).map_err(|e| e.to_string())
}

fn import_snapshot(snapshot: &Snapshot, recognised: &Recognised, out: &mut Out<'_>) -> Result<(), ImportError> {
    let name = snapshot.folder.display().to_string();
    let first = snapshot.start.first;
    let mut importer = Importer::new(snapshot_state(snapshot), recognised.rules.clone(), None);
    importer.set_backend(out.options.backends.execution);
    let input = prepare_all(vec![snapshot.block.clone()], &name, out.options)?.pop().expect("one a block");
    out.writer.begin_segment(&snapshot.start)?;
    out.counts.segments += 1;
    let record = importer.block(first, input);
    push(record.map_err(|error| ImportError::Record { source_name: name, error })?, &mut importer, out)
}

/// The state before a snapshot's block. Accounts whose balance is a guess are taken as listed: their code runs.
pub fn snapshot_state(snapshot: &Snapshot) -> MemoryState {
    let mut state = MemoryState::new(Before::Snapshot(snapshot.start.first));
    for (&addr, account) in &snapshot.pre_state {
        let value = AccountValue {
            present: true,
            nonce: account.nonce,
            balance: account.balance,
            code_hash: account.code_hash,
            generation: 0,
        };
        state.list_account(addr, value);
        for (&slot, &word) in &account.storage {
            state.list_storage(addr, slot, word);
        }
        if account.code_hash != KECCAK256_EMPTY
            && let Some(code) = snapshot.codes.get(&account.code_hash)
        {
            state.set_code(account.code_hash, bytecode(code.clone()));
        }
    }
    for &addr in &snapshot.absent {
        state.list_account(addr, AccountValue::ABSENT);
    }
    for (&number, &hash) in &snapshot.block_hashes {
        state.list_block_hash(number, hash);
    }
    state
}

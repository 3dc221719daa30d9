//! Blocks of a node: one thread asks for them ahead, decodes and recovers; another tries, asks for what was missing, and
//! records.

use super::chain::FromGenesis;
use super::prepare::prepare_all;
use super::{Counts, ImportError, Kept, Options, Out, push, replay};
use crate::solo::asked::AskedState;
use crate::solo::record::{BlockInput, Importer};
use crate::state_root::{StateTrie, TrieError};
use alloy_consensus::Transaction;
use alloy_primitives::map::HashSet;
use alloy_primitives::{Address, Bloom, Bytes, KECCAK256_EMPTY, Log, U256, keccak256};
use manaflow_loader::model::{BlockRecord, Cell, Mark, TransactionRecord, Value, Version};
use manaflow_loader::source::node::{
    Found, FoundAccount, NodeBlocks, NodeRange, Prestate, Prestates, StateBefore, Wanted, Way, Witness,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Receiver, sync_channel};

/// Blocks that are tried together: what they find unknown is asked for at once.
const TRIED_BLOCKS: usize = 16;
/// Transactions after which no further block is tried along.
const TRIED_TRANSACTIONS: usize = 2048;

/// A block to record.
struct Prepared {
    number: u64,
    input: BlockInput,
    prestates: Option<Prestates>,
    witness: Option<Witness>,
}

impl Prepared {
    /// Whether the source says what this block finds, and of no other.
    fn is_alone(&self) -> bool {
        self.prestates.is_some() || self.witness.is_some()
    }
}

/// Imports the blocks of a node as one segment.
pub(super) fn import(
    range: &NodeRange,
    out: &mut Out<'_>,
    notes: &mut Vec<String>,
    progress: &mut dyn FnMut(&Counts),
) -> Result<(), ImportError> {
    let name = range.node.name();
    if let Some(genesis) = &range.genesis {
        let mut range = range.clone();
        let (mut start, mut block_0) = (range.start.clone(), Some(Ok(genesis.block())));
        if let Kept::Stored(stored) = &out.kept
            && let Some(marker) = stored.store.marker()
        {
            range.go_on(marker.next.first, marker.tip);
            (start, block_0) = (marker.next.clone(), None);
        }
        let node_blocks = range.blocks();
        let readiness = Some(node_blocks.readiness());
        let blocks = block_0.into_iter().chain(node_blocks.map(|b| b.map(|b| b.block)));
        let source = FromGenesis { genesis, name, start, brings_roots: false, bytes: None, readiness };
        return source.import(blocks, out, progress);
    }
    let Some(before) = range.before() else { return Ok(()) };
    let (mut state, mut range) = (AskedState::new(range.numbers.0, range.way == Way::Prestate), range.clone());
    let mut used = HashSet::default();
    match std::mem::take(&mut out.kept) {
        Kept::Files(kept) => {
            let after = replay::state_after(&kept.files, range.numbers.0)?;
            (state, used) = (state.on(after.0), after.1);
            range.go_on(kept.next.first, kept.tip);
            out.writer.begin_segment(&kept.next).map_err(ImportError::Output)?;
        }
        Kept::Nothing | Kept::Stored(_) => out.writer.begin_segment(&range.start).map_err(ImportError::Output)?,
    }
    let range = &range;
    out.counts.segments += 1;
    let options = out.options;
    let (sender, receiver) = sync_channel(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let sender = sender;
            let mut blocks = range.blocks();
            loop {
                let batch = next_batch(&mut blocks, name, options);
                let is_last = !matches!(&batch, Ok(batch) if !batch.is_empty());
                // The receiver is gone if recording has failed; its error is the one to report.
                if sender.send(batch).is_err() || is_last {
                    return;
                }
            }
        });
        let mut asked = Asked::new(range, before, (state, used), options);
        asked.run(&receiver, out, progress)?;
        let assumed = asked.importer.state().unknown();
        if assumed > 0 {
            notes.push(format!(
                "{name} does not say what {assumed} cells were before block {}: of transactions they are taken as absent, of \
                 system transactions they are assumed; what these call must be there from Prague on",
                range.numbers.0
            ));
        }
        Ok::<_, ImportError>(())
    })?;
    range.check_unmoved()?;
    Ok(())
}

fn next_batch(blocks: &mut NodeBlocks, name: &str, options: Options) -> Result<Vec<Prepared>, ImportError> {
    let (mut list, mut said, mut transactions) = (Vec::new(), Vec::new(), 0);
    // At the head of a chain nobody waits for the next block with one in hand.
    let mut is_open = true;
    while is_open && list.len() < TRIED_BLOCKS && transactions < TRIED_TRANSACTIONS {
        let Some(node_block) = blocks.next().transpose()? else { break };
        transactions += node_block.block.transactions.len();
        said.push((node_block.prestates, node_block.witness));
        list.push(node_block.block);
        is_open = blocks.is_ready();
    }
    let numbers: Vec<u64> = list.iter().map(|block| block.number).collect();
    let inputs = prepare_all(list, name, options, None)?;
    let whole = numbers.into_iter().zip(inputs).zip(said);
    let put = |((number, input), (prestates, witness))| Prepared { number, input, prestates, witness };
    Ok(whole.map(put).collect())
}

/// Blocks on a state that is asked for.
struct Asked<'a> {
    name: &'a str,
    before: StateBefore,
    importer: Importer<AskedState>,
    /// Nodes of witnesses that are not written yet.
    nodes: Vec<Bytes>,
    /// Cells that some block has found as they were before the segment.
    used: HashSet<Cell>,
}

impl<'a> Asked<'a> {
    fn new(
        range: &'a NodeRange,
        before: StateBefore,
        (state, used): (AskedState, HashSet<Cell>),
        options: Options,
    ) -> Self {
        let mut importer = Importer::new(state, range.rules.clone(), None);
        importer.set_backend(options.backends.execution);
        Self { name: range.node.name(), before, importer, nodes: Vec::new(), used }
    }

    fn run(
        &mut self,
        receiver: &Receiver<Result<Vec<Prepared>, ImportError>>,
        out: &mut Out<'_>,
        progress: &mut dyn FnMut(&Counts),
    ) -> Result<(), ImportError> {
        for batch in receiver {
            let mut waiting: VecDeque<Prepared> = batch?.into();
            // Traces and witnesses say what one block finds, if all before it are recorded; so each is tried alone.
            let together = if waiting.iter().any(Prepared::is_alone) { 1 } else { waiting.len() };
            while !waiting.is_empty() {
                let count = together.min(waiting.len());
                self.prepare(&waiting, count)?;
                self.record(&mut waiting, count, out)?;
            }
            progress(&out.counts);
        }
        Ok(())
    }

    /// Takes what traces and witnesses say of a block, and asks for what any block is bound to look at.
    fn prepare(&mut self, waiting: &VecDeque<Prepared>, count: usize) -> Result<(), ImportError> {
        let mut wanted = Wanted::default();
        for block in waiting.iter().take(count) {
            let state = self.importer.state();
            if count == 1 {
                state.expect(block.number, block.prestates.clone());
            }
            self.nodes.extend(block.witness.iter().flat_map(|witness| witness.nodes.iter().cloned()));
            for code in block.witness.iter().flat_map(|witness| &witness.codes) {
                state.list_code(keccak256(code), code.clone());
            }
            // What a source says of a block by itself costs nothing to ask for, and need not have what is only likely.
            if !block.is_alone() {
                predict(&block.input, &mut wanted);
            }
        }
        self.importer.state().leave_unknown(&mut wanted);
        self.ask(&wanted, waiting.front())
    }

    /// Asks the block's own witness, if it has one, else the node.
    fn ask(&mut self, wanted: &Wanted, block: Option<&Prepared>) -> Result<(), ImportError> {
        if wanted.is_empty() {
            return Ok(());
        }
        // The block before the one that asks: codes may be younger than the range.
        let at = block.map_or(self.before.number(), |block| block.number - 1);
        let mut found = match block.and_then(|block| Some((block.number, block.witness.as_ref()?))) {
            Some((number, witness)) => look_up(witness, wanted).map_err(|error| ImportError::Decode {
                source_name: self.name.to_string(),
                block: number,
                part: "witness".into(),
                reason: error.to_string(),
            })?,
            None => self.before.ask(wanted, at)?,
        };
        let mut hashes = wanted.hashes.clone();
        found.hashes.iter().for_each(|(number, _)| _ = hashes.remove(number));
        if !hashes.is_empty() {
            found.hashes.extend(self.before.ask(&Wanted { hashes, ..Wanted::default() }, at)?.hashes);
        }
        self.importer.state().list(wanted, found);
        Ok(())
    }

    /// Writes the nodes that prove what a block is the first to find, before the block. So it depends on the blocks alone what
    /// is in which file.
    fn put_nodes(&mut self, record: &BlockRecord, out: &mut Out<'_>) -> Result<(), ImportError> {
        let mut nodes = std::mem::take(&mut self.nodes);
        for m in record.transactions.iter().flat_map(|tx| &tx.moves) {
            if matches!(m.intx, Version::Base(_)) && self.used.insert(m.cell) {
                let slot = (m.cell.mark == Mark::Storage).then_some(m.cell.slot);
                nodes.extend(self.before.take_nodes(m.cell.addr, slot));
            }
        }
        nodes.into_iter().try_for_each(|node| out.writer.state_node(&node)).map_err(ImportError::Output)
    }

    /// Records the first `count` blocks: tries them until each finds all that it asks for.
    fn record(
        &mut self,
        waiting: &mut VecDeque<Prepared>,
        mut count: usize,
        out: &mut Out<'_>,
    ) -> Result<(), ImportError> {
        while count > 0 {
            let mut tried = 0;
            while tried < count {
                let Prepared { number, input, .. } = &waiting[tried];
                let result = self.importer.block(*number, input.clone());
                if !self.importer.state().is_certain() {
                    // What follows may be wrong, but shows what else is wanted.
                    tried += 1;
                    continue;
                }
                let record =
                    result.map_err(|error| ImportError::Record { source_name: self.name.to_string(), error })?;
                self.importer.state().keep_writes();
                if let Some(block) = waiting.pop_front() {
                    compare(self.name, &block, &record)?;
                }
                count -= 1;
                self.put_nodes(&record, out)?;
                push(record, &mut self.importer, out)?;
            }
            self.importer.state().drop_writes();
            // Of blocks that were tried and not recorded.
            self.importer.take_codes();
            self.importer.take_keys();
            let wanted = self.importer.state().take_wanted();
            self.ask(&wanted, waiting.front())?;
        }
        Ok(())
    }
}

/// Cells by a witness: proven by the nodes that lead to them, or not there. A node that is not there leaves them unknown.
fn look_up(witness: &Witness, wanted: &Wanted) -> Result<Found, TrieError> {
    let known = |result| match result {
        Ok(value) => Ok(Some(value)),
        Err(TrieError::Missing { .. }) => Ok(None),
        Err(other) => Err(other),
    };
    let mut trie = StateTrie::from_nodes(witness.state_root, witness.nodes.iter().cloned())?;
    let mut found = Found::default();
    for &addr in &wanted.accounts {
        let account = known(trie.account(addr))?.map(|fields| {
            let (nonce, balance, code_hash) = fields.unwrap_or((0, U256::ZERO, KECCAK256_EMPTY));
            FoundAccount { is_present: fields.is_some(), balance, nonce, code_hash, code: None }
        });
        found.accounts.push((addr, account));
    }
    for &(addr, slot) in &wanted.slots {
        let word = match trie.storage(addr, slot) {
            Ok(word) => Some(word),
            Err(TrieError::Missing { .. }) => None,
            Err(other) => return Err(other),
        };
        found.slots.push(((addr, slot), word));
    }
    let hashes = wanted.hashes.iter().filter_map(|number| Some((*number, *witness.hashes.get(number)?)));
    found.hashes = hashes.collect();
    Ok(found)
}

/// What a block looks at whatever it executes.
fn predict(input: &BlockInput, wanted: &mut Wanted) {
    wanted.accounts.insert(input.header.beneficiary);
    wanted.accounts.extend(input.ommers.iter().flatten().map(|ommer| ommer.beneficiary));
    wanted.accounts.extend(input.withdrawals.iter().map(|withdrawal| withdrawal.address));
    for tx in &input.transactions {
        wanted.accounts.extend(tx.sender);
        wanted.accounts.extend(tx.authorities.iter().flatten());
        let Some(envelope) = &tx.envelope else { continue };
        match (envelope.to(), tx.sender) {
            (Some(to), _) => wanted.accounts.extend([to]),
            (None, Some(sender)) => wanted.accounts.extend([sender.create(envelope.nonce())]),
            (None, None) => {}
        }
        // A list is a promise that is mostly kept, and costs a call each where it is not.
        for item in envelope.access_list().iter().flat_map(|list| list.iter()) {
            wanted.accounts.insert(item.address);
            wanted.slots.extend(item.storage_keys.iter().map(|key| (item.address, U256::from_be_bytes(key.0))));
        }
    }
}

/// A record against what header and traces say. A difference is nobody's fault but the node's: its state is not the one
/// that the block was made on, or the rules are another chain's.
fn compare(name: &str, block: &Prepared, record: &BlockRecord) -> Result<(), ImportError> {
    let differs = |what: String| ImportError::Differs { source_name: name.to_string(), block: block.number, what };
    let signed = &record.transactions[1..record.transactions.len() - 1];
    if let Some(i) = signed.iter().position(|tx| tx.outcome.is_none()) {
        return Err(differs(format!("transaction {} cannot be included", i + 1)));
    }
    let outcomes = || signed.iter().filter_map(|tx| tx.outcome.as_ref());
    let gas: u64 = outcomes().map(|outcome| outcome.gas_used).sum();
    if gas != block.input.header.gas_used {
        return Err(differs(format!("execution uses {gas} gas, the header says {}", block.input.header.gas_used)));
    }
    let logs: Vec<&Log> = outcomes().flat_map(|outcome| &outcome.logs).collect();
    let bloom = logs.into_iter().collect::<Bloom>();
    if bloom != block.input.header.logs_bloom {
        return Err(differs("execution leaves other logs than the header's bloom says".into()));
    }
    for (i, (prestate, tx)) in block.prestates.iter().flatten().zip(signed).enumerate() {
        compare_traced(prestate, tx).map_err(|what| differs(format!("transaction {}: {what}", i + 1)))?;
    }
    Ok(())
}

fn compare_traced(prestate: &BTreeMap<Address, Prestate>, tx: &TransactionRecord) -> Result<(), String> {
    for m in &tx.moves {
        let Some(traced) = prestate.get(&m.cell.addr) else { continue };
        let (got, expected) = match m.prev {
            Value::Account(value) => {
                let a = &traced.account;
                let traced = (a.balance, a.nonce, a.code_hash);
                if traced == (value.balance, value.nonce, value.code_hash) {
                    continue;
                }
                (format!("{traced:?}"), format!("{:?}", (value.balance, value.nonce, value.code_hash)))
            }
            Value::Word(word) if m.cell.mark == Mark::Storage => match traced.storage.get(&m.cell.slot) {
                Some(traced) if *traced != word => (traced.to_string(), word.to_string()),
                _ => continue,
            },
            Value::Word(_) => continue,
        };
        return Err(format!("cell {}: the trace says {got} before, execution says {expected}", m.cell));
    }
    Ok(())
}

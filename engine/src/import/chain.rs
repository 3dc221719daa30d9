//! A chain from its genesis on: one thread decodes and recovers batches ahead of the one that executes and records.

use super::prepare::Batches;
use super::{Counts, ImportError, Kept, Out, close, push};
use crate::solo::record::{Allocation, BlockInput, Importer};
use crate::solo::state::{Before, MemoryState, State};
use crate::solo::stored::StoredState;
use crate::state_root::StateTrie;
use manaflow_loader::model::SegmentStart;
use manaflow_loader::rules::Fork;
use manaflow_loader::source::{Chain, Genesis, SourceBlock};
use manaflow_loader::state::StateStore;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;

/// Imports a chain of files as one segment.
pub(super) fn import(chain: &Chain, out: &mut Out<'_>, progress: &mut dyn FnMut(&Counts)) -> Result<(), ImportError> {
    let genesis = &chain.genesis;
    // Where a block is not one, its number says in which of several files.
    let name = match &chain.files[..] {
        [file] => file.display().to_string(),
        [file, others @ ..] => format!("{} and {} more", file.display(), others.len()),
        [] => genesis.path.display().to_string(),
    };
    let start = |first: Option<&SegmentStart>| first.cloned().unwrap_or_else(|| chain.start());
    let marker = match &out.kept {
        Kept::Stored(stored) => stored.store.marker().map(|marker| (marker.next.clone(), marker.tip)),
        Kept::Nothing | Kept::Files(_) => None,
    };
    let blocks = match &marker {
        Some((next, tip)) => chain.blocks_from(next.first, *tip)?,
        None => chain.blocks(),
    };
    let bytes_read = blocks.bytes_read();
    let source = FromGenesis {
        genesis,
        name: &name,
        start: start(marker.as_ref().map(|(next, _)| next)),
        brings_roots: chain.brings_receipts(),
        bytes: Some((chain.bytes(), bytes_read)),
        readiness: None,
    };
    source.import(blocks, out, progress)
}

/// A chain from its genesis on, wherever its blocks come from.
pub(super) struct FromGenesis<'a> {
    /// Block 0, its state and the rules.
    pub genesis: &'a Genesis,
    /// Where the blocks come from, for errors.
    pub name: &'a str,
    /// What is said of the segment before the first block that comes.
    pub start: SegmentStart,
    /// Whether blocks come with receipts: those before Byzantium hold state roots, which are computed for others.
    pub brings_roots: bool,
    /// Bytes of the source, and how many of them were read, where it is files.
    pub bytes: Option<(u64, Arc<AtomicU64>)>,
    /// Whether the next block is there, where blocks are waited for.
    pub readiness: Option<Arc<AtomicBool>>,
}

impl FromGenesis<'_> {
    /// Imports the blocks, the first of which is the start's.
    pub fn import(
        &self,
        blocks: impl Iterator<Item = manaflow_loader::Result<SourceBlock>> + Send,
        out: &mut Out<'_>,
        progress: &mut dyn FnMut(&Counts),
    ) -> Result<(), ImportError> {
        let rules = &self.genesis.rules;
        let is_before_byzantium = rules.fork_at(1, 0, false) < Fork::Byzantium;
        let trie = (is_before_byzantium && !self.brings_roots).then(StateTrie::default);
        match std::mem::take(&mut out.kept) {
            // Files alone do not tell all codes that came to be; from genesis on nobody can be asked for them.
            Kept::Nothing | Kept::Files(_) => {
                let mut importer = Importer::new(MemoryState::new(Before::Genesis), rules.clone(), trie);
                out.writer.begin_segment(&self.start).map_err(ImportError::Output)?;
                self.record(blocks, &mut importer, out, progress)
            }
            Kept::Stored(mut stored) => {
                let trie = trie.map(|trie| trie_of(&stored.store, trie)).transpose()?;
                let state = StoredState::new(&mut stored.store, stored.room, &stored.limit);
                let mut importer = Importer::new(state, rules.clone(), trie);
                out.writer.begin_segment(&self.start).map_err(ImportError::Output)?;
                self.record(blocks, &mut importer, out, progress)?;
                close(importer.state(), out)
            }
        }
    }

    /// Executes and records blocks, the first of which continues what the importer's state is.
    fn record<S: State>(
        &self,
        mut blocks: impl Iterator<Item = manaflow_loader::Result<SourceBlock>> + Send,
        importer: &mut Importer<S>,
        out: &mut Out<'_>,
        progress: &mut dyn FnMut(&Counts),
    ) -> Result<(), ImportError> {
        out.counts.segments += 1;
        let (options, name) = (out.options, self.name);
        importer.set_backend(options.backends.execution);
        let (bytes_total, bytes_read) = self.bytes.clone().unwrap_or_default();
        out.counts.bytes_total += bytes_total;
        let bytes_before = out.counts.bytes_read;
        let is_ready = || self.readiness.as_ref().is_none_or(|ready| ready.load(Ordering::Relaxed));

        let is_whole = self.start.first == 0;
        let (sender, receiver) = sync_channel::<(Result<Vec<(u64, BlockInput)>, ImportError>, u64)>(2);
        std::thread::scope(|scope| {
            let blocks = &mut blocks;
            scope.spawn(move || {
                let sender = sender;
                let mut batches = Batches::new(name, options, is_whole);
                loop {
                    let batch = batches.next(blocks, is_ready);
                    let is_last = match &batch {
                        Ok(batch) => batch.is_empty(),
                        Err(_) => true,
                    };
                    // The receiver is gone if recording has failed; its error is the one to report.
                    if sender.send((batch, bytes_read.load(Ordering::Relaxed))).is_err() || is_last {
                        return;
                    }
                }
            });
            for (batch, bytes_read) in receiver {
                for (number, input) in batch? {
                    let record = if number == 0 {
                        importer.genesis(input.body, input.hash, &allocations(self.genesis))
                    } else {
                        importer.block(number, input)
                    };
                    let record =
                        record.map_err(|error| ImportError::Record { source_name: name.to_string(), error })?;
                    push(record, importer, out)?;
                }
                out.counts.bytes_read = bytes_before + bytes_read;
                progress(&out.counts);
            }
            Ok(())
        })
    }
}

/// The state of a store as a trie, beside an empty one. All of it is in memory.
fn trie_of(store: &StateStore, mut trie: StateTrie) -> Result<StateTrie, ImportError> {
    let damaged = |e: crate::state_root::TrieError| {
        ImportError::from(manaflow_loader::Error::malformed(store.folder(), "state root", e.to_string()))
    };
    store.each_account(|addr, value| {
        if value.present {
            trie.set_account(addr, Some((value.nonce, value.balance, value.code_hash)));
        }
        Ok::<_, ImportError>(())
    })?;
    store.each_word(|(addr, generation, slot), word| {
        let account = store.account(addr)?;
        match account.is_some_and(|(account, _)| account.present && account.generation == generation) {
            true => trie.set_storage(addr, slot, word).map_err(damaged),
            false => Ok(()),
        }
    })?;
    Ok(trie)
}

/// What a genesis allocates.
pub(crate) fn allocations(genesis: &Genesis) -> Vec<Allocation> {
    let allocation = |(&addr, account): (&_, &manaflow_loader::source::Account)| Allocation {
        addr,
        balance: account.balance,
        nonce: account.nonce,
        code: genesis.codes.get(&account.code_hash).cloned().unwrap_or_default(),
        storage: account.storage.iter().map(|(slot, word)| (*slot, *word)).collect(),
    };
    genesis.alloc.iter().map(allocation).collect()
}

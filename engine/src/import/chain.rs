//! A chain from its genesis on: one thread decodes and recovers batches ahead of the one that executes and records.

use super::prepare::next_batch;
use super::{Counts, ImportError, Out, close, push};
use crate::solo::record::{Allocation, BlockInput, Importer};
use crate::solo::state::{Before, MemoryState, State};
use crate::solo::stored::StoredState;
use crate::state_root::StateTrie;
use manaflow_loader::rules::Fork;
use manaflow_loader::source::{Blocks, Chain};
use manaflow_loader::state::StateStore;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;

/// Imports a chain as one segment.
pub(super) fn import(chain: &Chain, out: &mut Out<'_>, progress: &mut dyn FnMut(&Counts)) -> Result<(), ImportError> {
    let rules = &chain.genesis.rules;
    // Receipts before Byzantium hold state roots. era1 files bring them; of other chains they are computed.
    let brings_roots = chain.files.iter().all(|file| file.extension().is_some_and(|e| e == "era1"));
    let trie = (rules.fork_at(1, 0, false) < Fork::Byzantium && !brings_roots).then(StateTrie::default);
    match out.stored.take() {
        None => {
            let mut importer = Importer::new(MemoryState::new(Before::Genesis), rules.clone(), trie);
            out.writer.begin_segment(&chain.start())?;
            record(chain, chain.blocks(), &mut importer, out, progress)
        }
        Some(mut stored) => {
            let (start, blocks) = match stored.store.marker() {
                Some(marker) => (marker.next.clone(), chain.blocks_from(marker.next.first, marker.tip)?),
                None => (chain.start(), chain.blocks()),
            };
            let trie = trie.map(|trie| trie_of(&stored.store, trie)).transpose()?;
            let state = StoredState::new(&mut stored.store, stored.room, &stored.limit);
            let mut importer = Importer::new(state, rules.clone(), trie);
            out.writer.begin_segment(&start)?;
            record(chain, blocks, &mut importer, out, progress)?;
            close(importer.state(), out)
        }
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

/// Executes and records blocks, the first of which continues what the importer's state is.
fn record<S: State>(
    chain: &Chain,
    mut blocks: Blocks,
    importer: &mut Importer<S>,
    out: &mut Out<'_>,
    progress: &mut dyn FnMut(&Counts),
) -> Result<(), ImportError> {
    let genesis = &chain.genesis;
    // Where a block is not one, its number says in which of several files.
    let name = match &chain.files[..] {
        [file] => file.display().to_string(),
        [file, others @ ..] => format!("{} and {} more", file.display(), others.len()),
        [] => genesis.path.display().to_string(),
    };
    out.counts.segments += 1;
    let options = out.options;
    importer.set_backend(options.backends.execution);
    out.counts.bytes_total += chain.bytes();
    let bytes_read = blocks.bytes_read();
    let bytes_before = out.counts.bytes_read;

    let (sender, receiver) = sync_channel::<(Result<Vec<(u64, BlockInput)>, ImportError>, u64)>(2);
    std::thread::scope(|scope| {
        let blocks = &mut blocks;
        let thread_name = name.clone();
        scope.spawn(move || {
            let sender = sender;
            loop {
                let batch = next_batch(blocks, &thread_name, options);
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
                    importer.genesis(input.body, input.hash, &allocations(chain))
                } else {
                    importer.block(number, input)
                };
                let record = record.map_err(|error| ImportError::Record { source_name: name.clone(), error })?;
                push(record, importer, out)?;
            }
            out.counts.bytes_read = bytes_before + bytes_read;
            progress(&out.counts);
        }
        Ok(())
    })
}

fn allocations(chain: &Chain) -> Vec<Allocation> {
    let genesis = &chain.genesis;
    let allocation = |(&addr, account): (&_, &manaflow_loader::source::Account)| Allocation {
        addr,
        balance: account.balance,
        nonce: account.nonce,
        code: genesis.codes.get(&account.code_hash).cloned().unwrap_or_default(),
        storage: account.storage.iter().map(|(slot, word)| (*slot, *word)).collect(),
    };
    genesis.alloc.iter().map(allocation).collect()
}

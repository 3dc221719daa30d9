//! A chain from its genesis on: one thread decodes and recovers batches ahead of the one that executes and records.

use super::prepare::next_batch;
use super::{Counts, ImportError, Out, push};
use crate::solo::record::{Allocation, BlockInput, Importer};
use crate::solo::state::{Before, MemoryState};
use crate::state_root::StateTrie;
use manaflow_loader::model::SegmentStart;
use manaflow_loader::rules::Fork;
use manaflow_loader::source::{Chain, Genesis, SourceBlock};
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
    from_genesis(genesis, &name, &chain.start(), chain.brings_receipts(), chain.blocks(), out, progress)
}

/// Imports blocks from block 0 on as one segment. `name` says in errors where they come from; `brings_roots` whether
/// they come with receipts: those before Byzantium hold state roots, which are computed for others.
pub(super) fn from_genesis(
    genesis: &Genesis,
    name: &str,
    start: &SegmentStart,
    brings_roots: bool,
    mut blocks: impl Iterator<Item = manaflow_loader::Result<SourceBlock>> + Send,
    out: &mut Out<'_>,
    progress: &mut dyn FnMut(&Counts),
) -> Result<(), ImportError> {
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
    let is_before_byzantium = genesis.rules.fork_at(1, 0, false) < Fork::Byzantium;
    let trie = (is_before_byzantium && !brings_roots).then(StateTrie::default);
    let mut importer = Importer::new(MemoryState::new(Before::Genesis), genesis.rules.clone(), trie);
    out.writer.begin_segment(start)?;
    out.counts.segments += 1;
    let options = out.options;
    importer.set_backend(options.backends.execution);

    let (sender, receiver) = sync_channel::<Result<Vec<(u64, BlockInput)>, ImportError>>(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let sender = sender;
            loop {
                let batch = next_batch(&mut blocks, name, options);
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
                let record = record.map_err(|error| ImportError::Record { source_name: name.to_string(), error })?;
                push(record, &mut importer, out)?;
            }
            progress(&out.counts);
        }
        Ok(())
    })
}

//! The stream of a node's blocks: asked for in windows, each block linked to the one before.

use super::answers::{self, block_call, block_in};
use super::prestate::{self, Prestates};
use super::witness::{self, Witness};
use super::{NodeRange, Way};
use crate::error::{Error, Result};
use crate::model::{BLOCK_BOUND, Ommers};
use crate::node::{Answer, Call, Node};
use crate::rules::{ChainRules, Fork};
use crate::source::SourceBlock;
use alloy_primitives::B256;
use serde::Deserialize;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// Blocks that are asked for at a time.
const WINDOW: u64 = 32;
/// Of them with their traces, which are far larger.
const TRACED_WINDOW: u64 = 8;

/// Pause between two questions for the newest block; no chain here makes blocks faster for long.
pub const POLL: Duration = Duration::from_secs(2);

/// Number of the newest block that a node has.
pub fn newest(node: &dyn Node) -> Result<u64> {
    answers::quantity_of(node, &Call::new("eth_blockNumber", []))
}

/// A block, and what the node says its transactions found.
#[derive(Clone, Debug)]
pub struct NodeBlock {
    /// The block.
    pub block: SourceBlock,
    /// Traces, where that is the way.
    pub prestates: Option<Prestates>,
    /// The witness, where that is the way.
    pub witness: Option<Witness>,
}

/// Stream of a node's blocks.
#[derive(Debug)]
pub struct NodeBlocks {
    node: Arc<dyn Node>,
    rules: ChainRules,
    is_raw: bool,
    way: Way,
    next: u64,
    /// The last block of the range, and the last that may be asked for now.
    end: u64,
    last: u64,
    /// The last block that will be, if it is waited for; and how many must be on top of a block.
    follow: Option<(u64, u64)>,
    /// Hash of the block before.
    before: Option<(u64, B256)>,
    /// State root after the block before, where it is known.
    state_root: Option<B256>,
    waiting: VecDeque<NodeBlock>,
    /// Whether the node has receipts of whole blocks; asked while it is not known.
    has_receipts: bool,
    is_done: bool,
    readiness: Arc<AtomicBool>,
}

impl NodeBlocks {
    pub(super) fn new(range: &NodeRange) -> Self {
        let before = match &range.genesis {
            Some(genesis) => Some((0, genesis.hash)),
            None => range.parent.as_ref().map(|parent| (parent.number, parent.hash)),
        };
        let before = range.next.map(|(next, tip)| (next.saturating_sub(1), tip)).or(before);
        let state_root = range.header_before().filter(|_| range.next.is_none()).map(|header| header.state_root);
        Self {
            state_root,
            node: range.node.clone(),
            rules: range.rules.clone(),
            is_raw: range.is_raw,
            way: range.way,
            next: range.next.map_or(range.numbers.0.max(1), |(next, _)| next),
            end: range.numbers.1,
            // Whoever follows asks what there is before the first block.
            last: if range.follow.is_some() { 0 } else { range.numbers.1 },
            follow: range.follow.map(|behind| (range.numbers.1, behind)),
            before,
            waiting: VecDeque::new(),
            has_receipts: true,
            is_done: false,
            readiness: Arc::new(AtomicBool::new(true)),
        }
    }

    /// Whether the next block can be had without waiting until the chain has it.
    pub fn is_ready(&self) -> bool {
        !self.waiting.is_empty() || self.next <= self.last
    }

    /// The same, as it was when the last block was handed out; for whoever has the stream in another's hands.
    pub fn readiness(&self) -> Arc<AtomicBool> {
        self.readiness.clone()
    }

    /// Waits until the chain has the next block, with enough others on top of it.
    fn wait(&mut self) -> Result<()> {
        let Some((last, behind)) = self.follow else { return Ok(()) };
        while !self.is_ready() && self.next <= last {
            let newest = newest(self.node.as_ref())?;
            self.last = newest.saturating_sub(behind).min(last);
            if !self.is_ready() {
                std::thread::sleep(POLL);
            }
        }
        Ok(())
    }

    fn next_block(&mut self) -> Result<Option<NodeBlock>> {
        self.wait()?;
        if self.waiting.is_empty() && self.next <= self.last {
            self.ask()?;
        }
        Ok(self.waiting.pop_front())
    }

    /// Asks for the next window.
    fn ask(&mut self) -> Result<()> {
        // What is asked of each block beside itself.
        let more = match self.way {
            Way::Prestate => Some(prestate::call as fn(u64) -> Call),
            Way::Witness => Some(witness::call as fn(u64) -> Call),
            Way::Genesis | Way::Calls | Way::Proofs => None,
        };
        let most = if more.is_some() { TRACED_WINDOW } else { WINDOW };
        let numbers: Vec<u64> =
            (self.next..=self.last.min(self.next.saturating_add(most - 1)).min(BLOCK_BOUND)).collect();
        let mut calls: Vec<Call> = numbers.iter().map(|&number| block_call(number, self.is_raw)).collect();
        calls.extend(more.iter().flat_map(|call| numbers.iter().map(|&number| call(number))));
        let mut answers = self.node.ask(&calls)?.into_iter();
        let node = self.node.clone();
        let node = node.as_ref();
        let mut blocks = Vec::with_capacity(numbers.len());
        for ((&number, call), answer) in numbers.iter().zip(&calls).zip(answers.by_ref()) {
            let block = block_in(node, call, number, self.is_raw, answer)?;
            if let Some((before, hash)) = self.before {
                answers::check_link(node, call, number, block.header.parent_hash, before, hash)?;
            }
            // What a miner gets for ommers is in what follows; only where nothing does may it stay unknown.
            if matches!(block.body.ommers, Ommers::Hashes(_)) && (number < self.end || self.way == Way::Genesis) {
                let reason = "the block has ommers, and the node does not tell their headers: it needs debug_getRawBlock or \
                              eth_getUncleByBlockNumberAndIndex";
                return Err(Error::node(node, call, reason));
            }
            self.before = Some((number, block.hash));
            blocks.push(block);
        }
        self.add_roots(&mut blocks)?;
        for (i, block) in blocks.into_iter().enumerate() {
            let (mut prestates, mut witness) = (None, None);
            if let Some(answer) = answers.next() {
                let call = &calls[numbers.len() + i];
                match self.way {
                    Way::Witness => {
                        witness = Some(witness::read(node, call, &block, self.root_before(&block)?, answer)?)
                    }
                    _ => prestates = Some(prestate::read(node, call, &block, answer)?),
                }
            }
            self.state_root = Some(block.header.state_root);
            self.waiting.push_back(NodeBlock { block, prestates, witness });
        }
        self.next += numbers.len() as u64;
        Ok(())
    }

    /// The state root before a block: of the block before, which is asked for where it was not met.
    fn root_before(&self, block: &SourceBlock) -> Result<B256> {
        if let Some(root) = self.state_root {
            return Ok(root);
        }
        let number = block.number - 1;
        let call = block_call(number, self.is_raw);
        match answers::header_of(self.node.as_ref(), number, self.is_raw)? {
            Some((sealed, _)) => {
                let node = self.node.as_ref();
                answers::check_link(node, &call, block.number, block.header.parent_hash, number, sealed.hash)?;
                Ok(sealed.header.state_root)
            }
            None => Err(Error::node(self.node.as_ref(), &call, "the node has no such block")),
        }
    }

    /// Receipts before Byzantium hold state roots, which nobody can know who does not have the whole state.
    fn add_roots(&mut self, blocks: &mut [SourceBlock]) -> Result<()> {
        if self.way == Way::Genesis || !self.has_receipts {
            return Ok(());
        }
        let is_early = |block: &SourceBlock| {
            self.rules.fork_at(block.number, block.header.timestamp, false) < Fork::Byzantium
                && !block.transactions.is_empty()
        };
        let early: Vec<&mut SourceBlock> = blocks.iter_mut().filter(|block| is_early(block)).collect();
        let calls: Vec<Call> =
            early.iter().map(|b| Call::new("eth_getBlockReceipts", [answers::quantity(b.number)])).collect();
        let node = self.node.as_ref();
        for ((block, call), answer) in early.into_iter().zip(&calls).zip(node.ask(&calls)?) {
            #[derive(Deserialize)]
            struct Receipt {
                root: Option<B256>,
            }
            // Without them the receipts' root is not checked, and validation says so.
            let Answer::Result(json) = answer else {
                self.has_receipts = false;
                return Ok(());
            };
            let receipts: Option<Vec<Receipt>> = answers::value(node, call, &json)?;
            let roots: Option<Vec<B256>> = receipts.unwrap_or_default().iter().map(|receipt| receipt.root).collect();
            block.witness_roots = roots.filter(|roots| roots.len() == block.transactions.len());
        }
        Ok(())
    }
}

impl Iterator for NodeBlocks {
    type Item = Result<NodeBlock>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let block = self.next_block();
        self.is_done = !matches!(block, Ok(Some(_)));
        self.readiness.store(self.is_ready(), Relaxed);
        block.transpose()
    }
}

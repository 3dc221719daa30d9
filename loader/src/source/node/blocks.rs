//! The stream of a node's blocks: asked for in windows, each block linked to the one before.

use super::answers::{self, block_call, block_in};
use super::prestate::{self, Prestates};
use super::{NodeRange, Way};
use crate::error::Result;
use crate::model::BLOCK_BOUND;
use crate::node::{Answer, Call, Node};
use crate::rules::{ChainRules, Fork};
use crate::source::SourceBlock;
use alloy_primitives::B256;
use serde::Deserialize;
use std::collections::VecDeque;
use std::sync::Arc;

/// Blocks that are asked for at a time.
const WINDOW: u64 = 32;
/// Of them with their traces, which are far larger.
const TRACED_WINDOW: u64 = 8;

/// A block, and what the node says its transactions found.
#[derive(Clone, Debug)]
pub struct NodeBlock {
    /// The block.
    pub block: SourceBlock,
    /// Traces, where that is the way.
    pub prestates: Option<Prestates>,
}

/// Stream of a node's blocks.
#[derive(Debug)]
pub struct NodeBlocks {
    node: Arc<dyn Node>,
    rules: ChainRules,
    is_raw: bool,
    way: Way,
    next: u64,
    last: u64,
    /// Hash of the block before.
    before: Option<(u64, B256)>,
    waiting: VecDeque<NodeBlock>,
    /// Whether the node has receipts of whole blocks; asked while it is not known.
    has_receipts: bool,
    is_done: bool,
}

impl NodeBlocks {
    pub(super) fn new(range: &NodeRange) -> Self {
        let before = match &range.genesis {
            Some(genesis) => Some((0, genesis.hash)),
            None => range.parent.as_ref().map(|parent| (parent.header.number, parent.hash)),
        };
        Self {
            node: range.node.clone(),
            rules: range.rules.clone(),
            is_raw: range.is_raw,
            way: range.way,
            next: range.numbers.0.max(1),
            last: range.numbers.1,
            before,
            waiting: VecDeque::new(),
            has_receipts: true,
            is_done: false,
        }
    }

    fn next_block(&mut self) -> Result<Option<NodeBlock>> {
        if self.waiting.is_empty() && self.next <= self.last {
            self.ask()?;
        }
        Ok(self.waiting.pop_front())
    }

    /// Asks for the next window.
    fn ask(&mut self) -> Result<()> {
        let most = if self.way == Way::Prestate { TRACED_WINDOW } else { WINDOW };
        let numbers: Vec<u64> =
            (self.next..=self.last.min(self.next.saturating_add(most - 1)).min(BLOCK_BOUND)).collect();
        let mut calls: Vec<Call> = numbers.iter().map(|&number| block_call(number, self.is_raw)).collect();
        if self.way == Way::Prestate {
            calls.extend(numbers.iter().map(|&number| prestate::call(number)));
        }
        let mut answers = self.node.ask(&calls)?.into_iter();
        let node = self.node.clone();
        let node = node.as_ref();
        let mut blocks = Vec::with_capacity(numbers.len());
        for ((&number, call), answer) in numbers.iter().zip(&calls).zip(answers.by_ref()) {
            let block = block_in(node, call, number, self.is_raw, answer)?;
            if let Some((before, hash)) = self.before {
                answers::check_link(node, &block, before, hash)?;
            }
            self.before = Some((number, block.hash));
            blocks.push(block);
        }
        self.add_roots(&mut blocks)?;
        for (i, block) in blocks.into_iter().enumerate() {
            let prestates = match answers.next() {
                Some(answer) => Some(prestate::read(node, &calls[numbers.len() + i], &block, answer)?),
                None => None,
            };
            self.waiting.push_back(NodeBlock { block, prestates });
        }
        self.next += numbers.len() as u64;
        Ok(())
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
        block.transpose()
    }
}

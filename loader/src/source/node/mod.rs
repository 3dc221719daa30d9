//! Blocks A..B of a node as one segment: blocks by number, the state before A asked for cell by cell.
//!
//! Only what block A finds comes from the node; what later blocks find follows from execution. Where the node offers
//! traces by its prestate tracer, what they say of later blocks is compared with that.
//! Believed is what hashes to what it should: headers to the parent hash of the block after them (and so, down from the
//! last block, all of them), bodies to the roots in their header, code to its hash. The state before A is believed
//! only with a proof; without, it is what the segment requires, and validation says so.
//! From block 0 on, a genesis file has the state, and nothing is asked about it.

mod answers;
mod before;
mod blocks;
mod prestate;
mod witness;

pub use before::{Found, FoundAccount, StateBefore, Wanted};
pub use blocks::{NodeBlock, NodeBlocks, POLL, newest};
pub use prestate::{Prestate, Prestates};
pub use witness::Witness;

use super::rpc::SealedHeader;
use super::{Genesis, SourceBlock};
use crate::error::{Error, Result};
use crate::model::{BLOCK_BOUND, EarlierHeader, SegmentStart};
use crate::node::{Answer, Call, Node, ask_one};
use crate::rules::{ChainRules, Fork};
use alloy_consensus::Header;
use alloy_primitives::{B256, U256};
use answers::{block_of, quantity, quantity_of};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// How many headers before a block its rules look at.
const EARLIER_MAX: u64 = 7;

/// Where the state before the first block comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// A genesis file.
    Genesis,
    /// Traces of whole blocks by the prestate tracer; what these leave out, by calls.
    Prestate,
    /// Balances, nonces, codes and storage words, one by one.
    Calls,
    /// Proofs of accounts and their storage, against the state root before the first block.
    Proofs,
    /// Execution witnesses of whole blocks, each against the state root before its block.
    Witness,
}

impl Way {
    /// Its name in reports and options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Genesis => "genesis",
            Self::Prestate => "prestate",
            Self::Calls => "calls",
            Self::Proofs => "proofs",
            Self::Witness => "witness",
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct NodeOptions {
    /// First block.
    pub first: u64,
    /// Last block; `None`: the newest that the node has.
    pub last: Option<u64>,
    /// Genesis file: the state before block 1, and rules.
    pub genesis: Option<PathBuf>,
    /// Rules; `None`: those of the genesis file, or of the built-in chain with the node's chain id.
    pub rules: Option<ChainRules>,
    /// Where the state comes from; `None`: the best that the node offers.
    pub way: Option<Way>,
    /// Wait for blocks that the node does not have yet, and take each once so many are on top of it.
    pub follow: Option<u64>,
}

/// Blocks of a node.
#[derive(Clone, Debug)]
pub struct NodeRange {
    /// Who is asked.
    pub node: Arc<dyn Node>,
    /// Numbers of the first and the last block.
    pub numbers: (u64, u64),
    /// Rules of the chain.
    pub rules: ChainRules,
    /// Block 0 and its state, where the range begins with it.
    pub genesis: Option<Arc<Genesis>>,
    /// Where the state before the first block comes from.
    pub way: Way,
    /// What is said of the segment before its blocks.
    pub start: SegmentStart,
    /// Whether blocks come as bytes (`debug_getRawBlock`); else as JSON.
    pub is_raw: bool,
    /// Blocks are waited for, and taken once so many are on top of them.
    pub follow: Option<u64>,
    /// The block before the first one.
    parent: Option<Parent>,
    /// The first block that is asked for, and the hash of the one before it, where those before are done.
    next: Option<(u64, B256)>,
}

/// The block before a range: named by the first block, and its header where the node has it.
#[derive(Clone, Debug)]
struct Parent {
    number: u64,
    hash: B256,
    header: Option<SealedHeader>,
}

impl NodeRange {
    /// Asks what the node is and has: chain, first block, headers before it, and which ways it offers.
    ///
    /// Errors: another chain than the rules'; no such blocks; no state of the block before the first; block 0 without
    /// genesis file; a way that the node does not offer.
    pub fn open(node: Arc<dyn Node>, options: &NodeOptions) -> Result<Self> {
        let asked = node.as_ref();
        let genesis = options.genesis.as_ref().map(|path| Genesis::read(path, options.rules.as_ref())).transpose()?;
        let rules = rules(asked, options, genesis.as_ref())?;
        let first = options.first;
        let newest = Call::new("eth_blockNumber", []);
        let last = match (options.last, options.follow) {
            (Some(last), _) => last,
            (None, Some(_)) => BLOCK_BOUND - 1,
            (None, None) => quantity_of(asked, &newest)?,
        };
        if last < first {
            return Err(Error::node(asked, &newest, format!("the newest block is {last}, expected {first} or later")));
        }
        if last >= BLOCK_BOUND {
            return Err(Error::node(asked, &newest, format!("got block {last}, expected below {BLOCK_BOUND}")));
        }
        let probe = Call::new("debug_getRawBlock", [quantity(last.min(first.max(1)))]);
        let is_raw = ask_one(asked, &probe)?.result(asked, &probe).is_ok_and(|json| json.get().len() > 8);
        let mut range = Self {
            node: node.clone(),
            numbers: (first, last),
            rules,
            genesis: None,
            way: Way::Genesis,
            start: SegmentStart { first, origin: first, total_difficulty: None, earlier: Vec::new() },
            is_raw,
            follow: options.follow,
            parent: None,
            next: None,
        };
        if let (Some(last), None, Answer::Result(json)) = (options.last, options.follow, ask_one(asked, &newest)?) {
            let head = answers::u64_in(asked, &newest, &json)?;
            if head < last {
                return Err(Error::node(
                    asked,
                    &newest,
                    format!("the newest block is {head}, expected {last} or later"),
                ));
            }
        }
        if first == 0 {
            range.begin_at_genesis(genesis)?;
        } else {
            if let (Some(genesis), Some((sealed, _))) = (&genesis, answers::header_of(asked, 0, is_raw)?)
                && sealed.hash != genesis.hash
            {
                let (got, expected, path) = (sealed.hash, genesis.hash, genesis.path.display());
                let reason = format!("got hash {got}, expected {expected}, the hash of block 0 in {path}");
                return Err(Error::node(asked, &answers::block_call(0, is_raw), reason));
            }
            range.begin_after(options.way)?;
        }
        Ok(range)
    }

    fn begin_at_genesis(&mut self, genesis: Option<Genesis>) -> Result<()> {
        let node = self.node.as_ref();
        let call = Call::new("eth_getBlockByNumber", [quantity(0), json!(true)]);
        let Some(genesis) = genesis else {
            let reason = "no node tells the whole state of block 0: a genesis file is needed, or a later first block";
            return Err(Error::node(node, &call, reason));
        };
        let got = block_of(node, 0, self.is_raw)?.hash;
        if got != genesis.hash {
            let reason =
                format!("got hash {got}, expected {}, the hash of block 0 in {}", genesis.hash, genesis.path.display());
            return Err(Error::node(node, &call, reason));
        }
        self.start.total_difficulty = Some(U256::ZERO);
        self.genesis = Some(Arc::new(genesis));
        Ok(())
    }

    fn begin_after(&mut self, way: Option<Way>) -> Result<()> {
        let node = self.node.as_ref();
        let number = self.numbers.0;
        let block = block_of(node, number, self.is_raw)?;
        let earlier = earlier(node, &block, self.is_raw)?;
        let header = earlier.last().map(|(sealed, _)| sealed.clone());
        self.parent = Some(Parent { number: number - 1, hash: block.header.parent_hash, header });
        self.start.earlier = earlier.into_iter().map(|(_, earlier)| earlier).collect();
        // Only the JSON of a block states it, and not every client's.
        let before = |total: U256| total.checked_sub(block.header.difficulty);
        self.start.total_difficulty = block.total_difficulty.and_then(before);
        self.way = match way {
            Some(way) => way,
            None => self.best_way()?,
        };
        self.demand_state()
    }

    /// Traces where there are some; else calls; witnesses where there is nothing else. Before Spurious Dragon an empty
    /// account and an absent one differ, and only a proof tells which it is.
    fn best_way(&self) -> Result<Way> {
        let (number, node) = (self.numbers.0, self.node.as_ref());
        let offers = |call: Call| -> Result<bool> {
            let answer = ask_one(node, &call)?;
            Ok(answer.result(node, &call).is_ok_and(|json| json.get().starts_with(['[', '{', '"'])))
        };
        let is_early = self
            .header_before()
            .is_some_and(|header| self.rules.fork_at(header.number, header.timestamp, false) < Fork::SpuriousDragon);
        if is_early && offers(before::proof_call(Default::default(), &[], number - 1))? {
            return Ok(Way::Proofs);
        }
        if offers(prestate::call(number))? {
            return Ok(Way::Prestate);
        }
        let balance = Call::new("eth_getBalance", [json!(alloy_primitives::Address::ZERO), quantity(number - 1)]);
        if !offers(balance)? && offers(witness::call(number))? {
            return Ok(Way::Witness);
        }
        Ok(Way::Calls)
    }

    /// The header before the first block, where the node has it.
    fn header_before(&self) -> Option<&Header> {
        Some(&self.parent.as_ref()?.header.as_ref()?.header)
    }

    /// A node that has dropped old states says so now, not after hours.
    fn demand_state(&self) -> Result<()> {
        let node = self.node.as_ref();
        let before = self.numbers.0 - 1;
        if matches!(self.way, Way::Proofs | Way::Witness) && self.header_before().is_none() {
            let call = answers::block_call(before, false);
            return Err(Error::node(
                node,
                &call,
                "the node has no such block, and what is proven is proven against its state root",
            ));
        }
        let call = match self.way {
            Way::Genesis => return Ok(()),
            // Of single cells those were saved that somebody wanted, and these say themselves which is missing.
            Way::Calls if !node.is_live() => return Ok(()),
            Way::Prestate => prestate::call(self.numbers.0),
            Way::Calls => Call::new("eth_getBalance", [json!(alloy_primitives::Address::ZERO), quantity(before)]),
            Way::Proofs => before::proof_call(Default::default(), &[], before),
            Way::Witness => witness::call(self.numbers.0),
        };
        match ask_one(node, &call)?.result(node, &call) {
            Ok(_) => Ok(()),
            Err(Error::Node { node, call, reason, is_input }) => {
                let hint = if self.node.is_live() { ": an archive node has it" } else { "" };
                let reason =
                    format!("{reason}; moves of block {} need the state after block {before}{hint}", before + 1);
                Err(Error::Node { node, call, reason, is_input })
            }
            Err(other) => Err(other),
        }
    }

    /// All blocks in order, block 0 left out; each call starts anew. After an error the stream ends.
    pub fn blocks(&self) -> NodeBlocks {
        NodeBlocks::new(self)
    }

    /// Passes over the blocks before one; `tip` is the hash of the block before it.
    pub fn go_on(&mut self, next: u64, tip: B256) {
        self.next = Some((next, tip));
    }

    /// The state before the first block; `None` from genesis on.
    pub fn before(&self) -> Option<StateBefore> {
        Some(StateBefore::new(self.node.clone(), self.parent.as_ref()?, self.way))
    }

    /// Asks once more for the header before the first block: the answers about the state were to its number, and are of no
    /// use if another block has that number now.
    pub fn check_unmoved(&self) -> Result<()> {
        let (node, Some(parent)) = (self.node.as_ref(), &self.parent) else { return Ok(()) };
        match answers::header_of(node, parent.number, self.is_raw)? {
            Some((sealed, _)) if sealed.hash != parent.hash => {
                let reason = format!(
                    "got hash {}, it was {} before: the chain was reorganised meanwhile, or the node contradicts itself; \
                     import again, some blocks behind the head",
                    sealed.hash, parent.hash
                );
                let call = answers::block_call(parent.number, self.is_raw).to_string();
                Err(Error::Node { node: node.name().into(), call, reason, is_input: false })
            }
            _ => Ok(()),
        }
    }
}

/// The rules that were asked for, of the genesis file, or of the built-in chain that has the node's id.
fn rules(node: &dyn Node, options: &NodeOptions, genesis: Option<&Genesis>) -> Result<ChainRules> {
    let call = Call::new("eth_chainId", []);
    let answer = ask_one(node, &call)?;
    let wanted = options.rules.clone().or(genesis.map(|genesis| genesis.rules.clone()));
    let id = match (&answer, &wanted) {
        // Saved answers need not have it.
        (answer, Some(rules)) if answer.is_unknown_method() => rules.chain_id,
        (answer, None) if answer.is_unknown_method() && !node.is_live() => {
            let reason = "no such answer was saved: a genesis file or the name of a chain is needed";
            return Err(Error::node(node, &call, reason));
        }
        _ => answers::u64_in(node, &call, &answer.result(node, &call)?)?,
    };
    match wanted {
        Some(rules) if rules.chain_id == id => Ok(rules),
        Some(rules) => Err(Error::node(
            node,
            &call,
            format!("got chain id {id}, the rules are those of chain id {}", rules.chain_id),
        )),
        None => ChainRules::built_in().map(|(_, rules)| rules).find(|rules| rules.chain_id == id).ok_or_else(|| {
            Error::node(
                node,
                &call,
                format!("got chain id {id}, which no built-in chain has: a genesis file is needed"),
            )
        }),
    }
}

/// Up to seven headers before a block, oldest first, each named by the one after it; fewer where the node has no more.
fn earlier(node: &dyn Node, block: &SourceBlock, is_raw: bool) -> Result<Vec<(SealedHeader, EarlierHeader)>> {
    let mut earlier = Vec::new();
    let (mut after, mut expected) = (block.number, block.header.parent_hash);
    for number in (block.number.saturating_sub(EARLIER_MAX)..block.number).rev() {
        let Some((sealed, ommers)) = answers::header_of(node, number, is_raw)? else { break };
        answers::check_link(node, &answers::block_call(number, is_raw), after, expected, number, sealed.hash)?;
        (after, expected) = (number, sealed.header.parent_hash);
        let header = EarlierHeader { header: sealed.rlp.clone(), ommers };
        earlier.push((sealed, header));
    }
    earlier.reverse();
    Ok(earlier)
}

//! Blocks of a node, live or saved: options, and what is said of it.

use crate::exit::Failure;
use crate::output::{grouped, tell};
use manaflow_loader::Error;
use manaflow_loader::model::BLOCK_BOUND;
use manaflow_loader::node::{Limits, LiveNode, Node, SavedAnswers, Traffic};
use manaflow_loader::rules::ChainRules;
use manaflow_loader::source::node::{NodeOptions, NodeRange, POLL, Way, newest};
use manaflow_loader::source::{Recognised, Source};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Options of imports from a node.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Nodes")]
pub struct NodeArgs {
    /// Import blocks of this node: http, https, ws or wss. Keys in the address are told to nobody. Without it and without
    /// sources the address is taken from the environment, MANAFLOW_RPC, so that keys are in no list of processes.
    #[arg(long, value_name = "URL", conflicts_with = "sources")]
    pub rpc: Option<String>,
    /// Blocks to import, both included; A.. ends with the node's newest.
    #[arg(long, value_name = "A..B", value_parser = parse_blocks)]
    pub blocks: Option<(u64, Option<u64>)>,
    /// How the state before block A is learned: prestate (traces of whole blocks), calls (balances, nonces, codes, words)
    /// or witness (execution witnesses). Default: traces where the node has them, then calls.
    #[arg(long, value_name = "WAY", value_parser = ["prestate", "calls", "witness"], conflicts_with = "verify_proofs")]
    pub befores: Option<String>,
    /// Learn the state before block A by eth_getProof, and believe nothing that the state root of block A-1 does not prove.
    #[arg(long)]
    pub verify_proofs: bool,
    /// Stay at the head: wait for blocks that the node does not have yet, until B or until it is ended. Needs --split, since
    /// only whole files stay.
    #[arg(long, requires = "split")]
    pub follow: bool,
    /// With --follow, how many blocks must be on top of one before it is taken.
    #[arg(long, value_name = "N", default_value_t = 64, requires = "follow")]
    pub behind: u64,
    /// Import the first 16 blocks to nowhere, and say what all of them would ask: calls, and bytes of answers.
    #[arg(long)]
    pub dry_run: bool,
    /// Requests under way at a time.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub rpc_requests: u16,
    /// Calls of one request; 1 where a node takes no batches.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub rpc_batch: u16,
    /// Seconds for one request.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub rpc_timeout: u64,
    /// How often a request is made before its failure is the import's.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rpc_attempts: u32,
}

/// A node and the blocks that are asked of it.
pub struct Asked {
    pub range: NodeRange,
    node: Arc<dyn Node>,
}

impl NodeArgs {
    /// The node's blocks, if a node is asked: by `--rpc`, or by a folder of saved answers.
    pub fn open(
        &self,
        sources: &[PathBuf],
        genesis: Option<&PathBuf>,
        rules: Option<ChainRules>,
    ) -> Result<Option<Asked>, Failure> {
        let named = self.rpc.clone().or_else(|| std::env::var("MANAFLOW_RPC").ok().filter(|_| sources.is_empty()));
        let (node, saved): (Arc<dyn Node>, _) = match (&named, sources) {
            (Some(address), _) => match LiveNode::connect(address, self.limits()) {
                Ok(node) => (Arc::new(node), None),
                // Nothing was asked yet: the address itself is none.
                Err(Error::Node { reason, is_input: true, .. }) => {
                    return Err(Failure::Usage(format!("the node's address: {reason}")));
                }
                Err(other) => return Err(other.into()),
            },
            // It may have keys in it, so that it is not told.
            (None, paths) if paths.iter().any(|path| path.to_string_lossy().contains("://")) => {
                return Err(Failure::Usage("a source is an address: nodes are named by --rpc or MANAFLOW_RPC".into()));
            }
            (None, [path]) if SavedAnswers::are_in(path) => {
                let saved = SavedAnswers::open(path)?;
                let blocks = saved.blocks();
                (Arc::new(saved), Some(blocks))
            }
            (None, []) => {
                return Err(Failure::Usage(
                    "nothing to import: name sources, or a node by --rpc or MANAFLOW_RPC".into(),
                ));
            }
            _ => return Ok(None),
        };
        let (first, last) = match (self.blocks, &saved) {
            (Some(blocks), _) => blocks,
            // Those that were saved one after the other, from the first on.
            (None, Some(blocks)) => match (blocks.first(), genesis) {
                (Some(&first), _) => {
                    // Blocks before the first are headers for its rules where a range follows a gap.
                    let end = (first..).find(|number| !blocks.contains(number)).unwrap_or(u64::MAX);
                    (first, Some(end - 1))
                }
                (None, _) => return Err(Failure::Input(format!("{}: holds no blocks", node.name()))),
            },
            (None, None) => return Err(Failure::Usage("--rpc needs --blocks A..B".into())),
        };
        let way = match (self.verify_proofs, self.befores.as_deref()) {
            (true, _) => Some(Way::Proofs),
            (false, Some("prestate")) => Some(Way::Prestate),
            (false, Some("witness")) => Some(Way::Witness),
            (false, Some(_)) => Some(Way::Calls),
            (false, None) => None,
        };
        let follow = self.follow.then_some(self.behind);
        let options = NodeOptions { first, last, genesis: genesis.cloned(), rules, way, follow };
        if let Some(behind) = follow {
            self.wait_for(node.as_ref(), first, behind)?;
        }
        let range = NodeRange::open(node.clone(), &options)?;
        Ok(Some(Asked { range, node }))
    }

    /// Waits until a node has a block, with enough others on top of it.
    fn wait_for(&self, node: &dyn Node, first: u64, behind: u64) -> Result<(), Failure> {
        // Block 0 is in the genesis file.
        let first = first.max(1);
        let mut is_told = false;
        loop {
            let newest = newest(node)?;
            if newest >= first.saturating_add(behind) {
                return Ok(());
            }
            if !std::mem::replace(&mut is_told, true) {
                tell(&format!(
                    "{}: waits for block {first} with {behind} blocks on top of it; the newest is {newest}",
                    node.name()
                ));
            }
            std::thread::sleep(POLL);
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            requests: self.rpc_requests.into(),
            calls: self.rpc_batch.into(),
            timeout: Duration::from_secs(self.rpc_timeout),
            attempts: self.rpc_attempts,
            ..Limits::default()
        }
    }

    /// Whether an option of a node is given.
    pub fn is_given(&self) -> bool {
        let asks = self.verify_proofs || self.follow || self.dry_run;
        self.rpc.is_some() || self.blocks.is_some() || self.befores.is_some() || asks
    }
}

impl Asked {
    /// The blocks as sources of an import.
    pub fn recognised(&self) -> Recognised {
        Recognised {
            rules: self.range.rules.clone(),
            sources: vec![Source::Node(Box::new(self.range.clone()))],
            left_out: Vec::new(),
        }
    }

    /// Says what is asked, and how.
    pub fn tell(&self) {
        let (first, last) = self.range.numbers;
        let blocks = if self.range.is_raw { "as bytes" } else { "as JSON" };
        let state = match self.range.way {
            Way::Genesis => "the state of the genesis file".to_string(),
            Way::Prestate => format!("the state after block {} by prestate traces", first - 1),
            Way::Calls => format!("the state after block {} by calls", first - 1),
            Way::Proofs => format!("the state after block {} by proofs", first - 1),
            Way::Witness => "states by execution witnesses".to_string(),
        };
        let last = if last == BLOCK_BOUND - 1 { String::new() } else { last.to_string() };
        tell(&format!("{}: blocks {first}..{last} {blocks}, {state}", self.node.name()));
    }

    /// Number of blocks that will be written; 0 where nobody knows.
    pub fn blocks_total(&self) -> u64 {
        let (first, last) = self.range.numbers;
        if self.range.follow.is_some() { 0 } else { last - first + 1 }
    }

    /// Cuts the range to its first blocks; says how many they are, and how many there were.
    pub fn cut(&mut self, most: u64) -> (u64, u64) {
        let total = self.blocks_total();
        let (first, last) = &mut self.range.numbers;
        *last = (*last).min(first.saturating_add(most - 1));
        self.range.follow = None;
        (*last - *first + 1, total)
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        self.node.name()
    }

    /// What was asked so far for `tried` blocks, for `total` blocks at the same rate.
    pub fn estimate(&self, tried: u64, total: u64) -> Traffic {
        let so_far = self.node.traffic();
        let scale = |n: u64| (u128::from(n) * u128::from(total.max(tried)) / u128::from(tried.max(1))) as u64;
        Traffic { calls: scale(so_far.calls), bytes: scale(so_far.bytes), ..so_far }
    }

    /// What was asked, for people.
    pub fn traffic_words(&self) -> String {
        let Traffic { calls, requests, retries, bytes } = self.node.traffic();
        let retries = if retries > 0 { format!(", {} made again", grouped(retries)) } else { String::new() };
        format!(
            "{}: {} calls in {} requests{retries}, {} bytes of answers",
            self.node.name(),
            grouped(calls),
            grouped(requests),
            grouped(bytes)
        )
    }

    /// The same for machines.
    pub fn json(&self) -> serde_json::Value {
        let Traffic { calls, requests, retries, bytes } = self.node.traffic();
        let (first, last) = self.range.numbers;
        serde_json::json!({
            "name": self.node.name(), "first": first, "last": last, "befores": self.range.way.name(),
            "calls": calls, "requests": requests, "retries": retries, "bytes": bytes,
        })
    }
}

fn parse_blocks(s: &str) -> Result<(u64, Option<u64>), String> {
    let bad = || format!("{s:?} is not a range of blocks: expected A..B, both included, or A..");
    let (a, b) = s.split_once("..").ok_or_else(bad)?;
    let first: u64 = a.parse().map_err(|_| bad())?;
    let last: Option<u64> = if b.is_empty() { None } else { Some(b.parse().map_err(|_| bad())?) };
    match last {
        Some(last) if last < first => Err(format!("{s:?} is empty: the first block is above the last")),
        _ => Ok((first, last)),
    }
}

//! What nodes say: JSON-RPC calls and their answers, live ([`LiveNode`]) or saved ([`SavedAnswers`]).
//!
//! Nobody is believed: what is received is re-hashed by whoever reads it (`source::node`). Here an answer is only what
//! was answered to what. Secrets of an address (user, password, path, query) are in no name and no error.

mod http;
mod live;
mod saved;
mod ws;

pub use live::{Limits, LiveNode};
pub use saved::SavedAnswers;

use crate::error::{Error, Result};
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt;

/// Code of JSON-RPC for a method that is not there.
pub const METHOD_NOT_FOUND: i64 = -32601;

/// Tracer that says of each transaction what it touches, and what that held before.
pub const PRESTATE_TRACER: &str = "prestateTracer";

/// A call: a method, and its parameters in order.
#[derive(Clone, PartialEq, Debug)]
pub struct Call {
    /// Name, as in `eth_getBalance`.
    pub method: &'static str,
    /// Parameters.
    pub params: Vec<Value>,
}

impl Call {
    /// A call.
    pub fn new(method: &'static str, params: impl Into<Vec<Value>>) -> Self {
        Self { method, params: params.into() }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.method)?;
        for param in &self.params {
            match param {
                Value::String(text) => write!(f, " {text}")?,
                other => write!(f, " {other}")?,
            }
        }
        Ok(())
    }
}

/// What a call was answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The result, JSON as it came.
    Result(Box<RawValue>),
    /// The node answered that it cannot, or will not.
    Refused {
        /// Code of JSON-RPC.
        code: i64,
        /// Its words.
        message: String,
    },
}

impl Answer {
    /// The result; a refusal is an error that names node and call.
    pub fn result(self, node: &dyn Node, call: &Call) -> Result<Box<RawValue>> {
        match self {
            Self::Result(json) => Ok(json),
            Self::Refused { code, message } if node.is_live() => {
                Err(Error::node(node, call, format!("the node refuses: {message} (code {code})")))
            }
            Self::Refused { message, .. } => Err(Error::node(node, call, message)),
        }
    }

    /// Whether the node does not know the method.
    pub fn is_unknown_method(&self) -> bool {
        match self {
            // Some clients say so by another code, in these words.
            Self::Refused { code, message } => {
                let words = message.to_ascii_lowercase();
                *code == METHOD_NOT_FOUND
                    || ["method not found", "does not exist", "not available", "not supported", "unsupported method"]
                        .iter()
                        .any(|w| words.contains(w))
            }
            Self::Result(_) => false,
        }
    }
}

/// What was asked so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Traffic {
    /// Calls that were answered.
    pub calls: u64,
    /// Requests, of one call or several.
    pub requests: u64,
    /// Requests that were made again.
    pub retries: u64,
    /// Bytes of results.
    pub bytes: u64,
}

/// Who answers calls.
pub trait Node: Send + Sync + fmt::Debug {
    /// Its name in errors and reports, without secrets.
    fn name(&self) -> &str;

    /// One answer a call, in order.
    ///
    /// Errors: no answer after all retries, or none that is JSON-RPC.
    fn ask(&self, calls: &[Call]) -> Result<Vec<Answer>>;

    /// Whether somebody is asked who may have more to say; else all answers there will ever be are at hand.
    fn is_live(&self) -> bool {
        true
    }

    /// Words without secrets.
    fn scrubbed(&self, words: String) -> String {
        words
    }

    /// What was asked so far.
    fn traffic(&self) -> Traffic;
}

/// Characters of an error's parts; answers may be of any length.
const WORDS_MAX: usize = 600;

fn shortened(words: String) -> String {
    match words.char_indices().nth(WORDS_MAX) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

/// Asks one call.
pub fn ask_one(node: &dyn Node, call: &Call) -> Result<Answer> {
    let mut answers = node.ask(std::slice::from_ref(call))?;
    answers.pop().ok_or_else(|| Error::node(node, call, "got no answer"))
}

impl Error {
    /// A wrong answer of a node.
    pub fn node(node: &dyn Node, call: &Call, reason: impl Into<String>) -> Self {
        let (call, mut reason) = (shortened(call.to_string()), node.scrubbed(reason.into()));
        reason = shortened(reason);
        Self::Node { node: node.name().to_string(), call, reason, is_input: true }
    }
}

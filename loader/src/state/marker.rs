//! What a state is of, and how far it has come: JSON, which people can read with any tool that opens the store.

use crate::file::{FORMAT_VERSION, PROTOCOL_VERSION};
use crate::model::{EarlierHeader, SegmentStart};
use alloy_primitives::{B256, Bytes, U256};
use serde::{Deserialize, Serialize};

/// Version of the form of the state on disk.
pub const STATE_VERSION: u32 = 1;

/// What a state is of. A state is gone on with by an import of the same alone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Version of the form of the state.
    pub state_version: u32,
    /// Version of the block file's format.
    pub format: u32,
    /// Version of the protocol.
    pub protocol: u32,
    /// The program that began it.
    pub program: String,
    /// Hash of block 0.
    pub genesis: B256,
    /// Digest of the rules.
    pub rules: B256,
    /// Name of the files, with `#` for the number of the first block.
    pub files: String,
}

impl Identity {
    /// Of an import by this program.
    pub fn new(program: &str, genesis: B256, rules: B256, files: &str) -> Self {
        Self {
            state_version: STATE_VERSION,
            format: FORMAT_VERSION,
            protocol: PROTOCOL_VERSION,
            program: program.into(),
            genesis,
            rules,
            files: files.into(),
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|e| e.to_string())
    }

    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("plain data has a form in JSON")
    }

    /// Whether a state that is found is of the same. Another program is none of it: forms are.
    pub(super) fn demand(&self, found: &Self) -> Result<(), (&'static str, String)> {
        let rows = [
            ("version of the state", self.state_version.to_string(), found.state_version.to_string()),
            ("version of the format", self.format.to_string(), found.format.to_string()),
            ("version of the protocol", self.protocol.to_string(), found.protocol.to_string()),
            ("genesis", self.genesis.to_string(), found.genesis.to_string()),
            ("rules", self.rules.to_string(), found.rules.to_string()),
            ("files", self.files.clone(), found.files.clone()),
        ];
        match rows.into_iter().find(|(_, asked, found)| asked != found) {
            None => Ok(()),
            Some((place, asked, found)) => Err((place, format!("the state is of {found}, the import of {asked}"))),
        }
    }
}

/// A file that was whole when the state was committed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarkerFile {
    /// First block.
    pub first: u64,
    /// Last block.
    pub last: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// How far a state has come: all that is in `files`, and nothing beyond.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Marker {
    /// What a file that begins with the next block says of what was before it.
    pub next: SegmentStart,
    /// Hash of the last block.
    pub tip: B256,
    /// Limit of the files, as it was given.
    pub limit: String,
    /// Files, ascending.
    pub files: Vec<MarkerFile>,
}

/// The form of a marker in JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    next: u64,
    origin: u64,
    total_difficulty: Option<U256>,
    earlier: Vec<(Bytes, Option<Bytes>)>,
    tip: B256,
    limit: String,
    files: Vec<MarkerFile>,
}

impl Marker {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let form: Form = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let earlier = form.earlier.into_iter().map(|(header, ommers)| EarlierHeader { header, ommers }).collect();
        let Form { next: first, origin, total_difficulty, tip, limit, files, .. } = form;
        if files.last().is_none_or(|file| file.last.checked_add(1) != Some(first)) {
            return Err(format!("the last file does not end before block {first}"));
        }
        Ok(Self { next: SegmentStart { first, origin, total_difficulty, earlier }, tip, limit, files })
    }

    pub(super) fn to_text(&self) -> String {
        let next = &self.next;
        let form = Form {
            next: next.first,
            origin: next.origin,
            total_difficulty: next.total_difficulty,
            earlier: next.earlier.iter().map(|e| (e.header.clone(), e.ommers.clone())).collect(),
            tip: self.tip,
            limit: self.limit.clone(),
            files: self.files.clone(),
        };
        serde_json::to_string(&form).expect("plain data has a form in JSON")
    }
}

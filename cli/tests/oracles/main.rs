//! The program against judges from outside: headers of real blocks, states and state roots that other clients computed.
//!
//! Each test runs the binary as a user would and reads its JSON; what it holds that against comes from the test data,
//! and shares no code with the program but the protocol's words (`model`) and, where a root is recomputed from proof
//! nodes, the state trie. Files are written to the target folder's `tmp` and replaced by the next run.

mod access_lists;
mod chains;
mod inspect;
mod mainnet_blocks;
mod nimbus;
mod options;
mod support;
mod witness;

//! The judgement Solo: one transaction, nothing else at hand but its own moves, the code table and its block's header.

pub mod asked;
pub mod check;
pub mod code;
mod constantinople;
pub mod database;
pub mod declared;
pub mod effect;
pub mod environment;
mod keccak_memo;
pub mod machine;
pub mod made;
pub mod meter;
pub mod next_nonces;
pub mod record;
pub mod signature;
pub mod state;
pub mod stored;
pub mod system;
pub mod threaded;
pub mod transaction;
mod transfer;

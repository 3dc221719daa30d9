//! The judgement Solo: one transaction, nothing else at hand but its own moves, the code table and its block's header.

pub mod database;
pub mod effect;
pub mod environment;
pub mod machine;

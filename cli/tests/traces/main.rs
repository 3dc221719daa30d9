//! Moves against what other clients say of the same transactions, value for value.
//!
//! Each test records transactions with the engine's recorder (or imports a chain with the program) and renders the
//! moves as the other tool would have printed them. What is rendered and what was printed must be equal: every account,
//! field and word, both ways. So there is no list of known differences case by case; what a tool leaves out is a rule
//! of its rendering, and all rules stand here.
//!
//! **Said of every tool**
//!
//! 1. Versions, generations and reads of block hashes are said by none.
//! 2. An account that is present and empty is told from an absent one by no prestate tracer: both are *empty*.
//! 3. System transactions are in none, but for Nimbus, which shows a block as a whole as well.
//!
//! **go-ethereum and Besu, `prestateTracer`**
//!
//! 4. Accounts that were empty before the transaction are left out; go-ethereum keeps them with `includeEmpty`.
//! 5. Nonce 0 and no code are left out; a balance never is, of an account that is listed.
//! 6. `disableCode` leaves out codes, and not their hashes; `disableStorage` leaves out words.
//! 7. With `diffMode`, `pre` holds accounts of which something changes, whole, with those of their words that change
//!    and were not 0; `post` holds the fields that change, and those of the changed words that are not 0.
//! 8. With `diffMode`, a destroyed account is in `pre` alone, and there with all words that were looked at.
//!
//! **go-ethereum alone**
//!
//! 9. Words that were looked at in an account which the transaction made are listed as 0 where such an account is listed
//!    (it had a balance before); here nobody asks for them.
//! 10. Where the recipient's delegation (EIP-7702) is set by the transaction itself, whom it delegates to is not listed.
//!
//! **go-ethereum's older tracer in JavaScript** (`prestateTracerLegacy`)
//!
//! 11. It does not look at the fee recipient, and lists nonce 0 and no code too.
//!
//! **Besu, `stateDiff` in Parity's form**
//!
//! 12. Accounts and words of which nothing changes are left out; so is an account that is absent before and after.
//! 13. Of a created account each field and word is said to be new; of a destroyed one no word is listed.
//!
//! **Nimbus, `stateDiff`**
//!
//! 14. It names sender, recipient and fee recipient (of a block: all of them, and ommers' miners), changed or not, an
//!     absent one as an empty one, and no account else; of words those that are written, where they are not 0.
//!
//! **Polygon Zero, `txn_info`**
//!
//! 15. Of values before it has none; they come from the witness. Balance and nonce are listed where they change, slots
//!     as read, written ones with the value after (also those that were stored to and are as before at the end), code
//!     hashes of contracts.

mod besu;
mod compact;
mod geth;
mod listing;
mod nimbus;
mod polygon;
// Not every helper of the other tests is used here.
#[allow(dead_code)]
#[path = "../oracles/support.rs"]
mod support;
mod world;

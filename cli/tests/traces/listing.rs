//! Accounts with the fields that a tool lists of them: parsed from its output, and rendered from moves by its rules.

use crate::support::{parse, quantity};
use crate::world::Moves;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use manaflow_loader::model::{AccountValue, Cell, Mark, Value};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::ops::AddAssign;

/// What is listed of an account; `None`: nothing is said.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Fields {
    pub balance: Option<U256>,
    pub nonce: Option<u64>,
    /// The hash stands for the code, too.
    pub code_hash: Option<B256>,
    pub words: BTreeMap<U256, U256>,
}

/// Accounts that are listed.
pub type Listing = BTreeMap<Address, Fields>;

/// What was compared.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Compared {
    pub transactions: usize,
    pub accounts: usize,
    pub fields: usize,
    pub words: usize,
}

impl AddAssign for Compared {
    fn add_assign(&mut self, other: Self) {
        self.transactions += other.transactions;
        self.accounts += other.accounts;
        self.fields += other.fields;
        self.words += other.words;
    }
}

impl Compared {
    /// Counts, in this order: transactions, accounts, fields, words.
    pub fn counts(self) -> [usize; 4] {
        [self.transactions, self.accounts, self.fields, self.words]
    }
}

/// A 0x quantity, or a JSON number.
pub fn number(json: &Json) -> U256 {
    json.as_u64().map_or_else(|| quantity(json), U256::from)
}

/// A word as quantity or as 32 bytes.
pub fn word(text: &str) -> U256 {
    U256::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// Reads `{address: {balance?, nonce?, code?, codeHash?, storage?}}`; a code and its hash must agree.
pub fn read(json: &Json) -> Listing {
    let mut listing = Listing::new();
    for (address, fields) in json.as_object().unwrap_or_else(|| panic!("no accounts: {json}")) {
        let mut listed = Fields::default();
        for (key, value) in fields.as_object().expect("fields") {
            match key.as_str() {
                "balance" => listed.balance = Some(number(value)),
                "nonce" => listed.nonce = Some(number(value).to()),
                "code" | "codeHash" => {
                    let hash = if key == "code" { keccak256(parse::<Bytes>(value)) } else { parse(value) };
                    assert!(
                        listed.code_hash.replace(hash).is_none_or(|other| other == hash),
                        "{address}: code and hash"
                    );
                }
                "storage" => {
                    for (slot, value) in value.as_object().expect("words by slot") {
                        listed.words.insert(word(slot), word(value.as_str().expect("a word")));
                    }
                }
                other => panic!("{address}: {other} is a field that nobody knows"),
            }
        }
        assert!(listing.insert(address.parse().expect("an address"), listed).is_none(), "{address} is there twice");
    }
    listing
}

/// Requires two listings to be equal, and counts what they list.
#[track_caller]
pub fn compare(place: &str, ours: &Listing, theirs: &Listing) -> Compared {
    for address in ours.keys().chain(theirs.keys()) {
        let (ours, theirs) = (ours.get(address), theirs.get(address));
        assert!(ours == theirs, "{place}: {address}\n  ours   {ours:?}\n  theirs {theirs:?}");
    }
    let mut compared = Compared { transactions: 0, accounts: theirs.len(), ..Compared::default() };
    for fields in theirs.values() {
        compared.fields += usize::from(fields.balance.is_some())
            + usize::from(fields.nonce.is_some())
            + usize::from(fields.code_hash.is_some());
        compared.words += fields.words.len();
    }
    compared
}

/// What a prestate tracer was asked for.
#[derive(Clone, Copy, Default, Debug)]
pub struct Asked {
    pub include_empty: bool,
    pub disable_storage: bool,
}

/// Before and after of each account that has a move.
pub fn accounts(moves: &Moves) -> impl Iterator<Item = (Address, AccountValue, AccountValue)> {
    moves.values().filter(|m| m.cell.mark == Mark::Account).map(|m| match (m.prev, m.next) {
        (Value::Account(prev), Value::Account(next)) => (m.cell.addr, prev, next),
        _ => panic!("{}: no account", m.cell),
    })
}

/// Slot, before and after of each word of an account that has a move.
pub fn words(moves: &Moves, address: Address) -> impl Iterator<Item = (U256, U256, U256)> {
    let first = Cell::storage(address, 0, U256::ZERO);
    let last = Cell::storage(address, u32::MAX, U256::MAX);
    moves.range(first..=last).map(|(cell, m)| match (m.prev, m.next) {
        (Value::Word(prev), Value::Word(next)) => (cell.slot, prev, next),
        _ => panic!("{cell}: no word"),
    })
}

/// Rule 2.
pub fn is_empty(account: &AccountValue) -> bool {
    account.nonce == 0 && account.balance.is_zero() && account.code_hash == KECCAK256_EMPTY
}

/// Rule 5.
fn whole(account: &AccountValue) -> Fields {
    Fields {
        balance: Some(account.balance),
        nonce: (account.nonce != 0).then_some(account.nonce),
        code_hash: (account.code_hash != KECCAK256_EMPTY).then_some(account.code_hash),
        words: BTreeMap::new(),
    }
}

/// What a prestate tracer lists without `diffMode`: rules 4 to 6.
pub fn prestate(moves: &Moves, asked: Asked) -> Listing {
    let mut listing = Listing::new();
    for (address, prev, _) in accounts(moves) {
        if is_empty(&prev) && !asked.include_empty {
            continue;
        }
        let mut fields = whole(&prev);
        if !asked.disable_storage {
            fields.words = words(moves, address).map(|(slot, prev, _)| (slot, prev)).collect();
        }
        listing.insert(address, fields);
    }
    listing
}

/// What a prestate tracer lists as `pre` and `post` with `diffMode`: rules 4 to 8.
pub fn difference(moves: &Moves, asked: Asked) -> (Listing, Listing) {
    let (mut pre, mut post) = (Listing::new(), Listing::new());
    for (address, prev, next) in accounts(moves) {
        let is_destroyed = prev.present && !next.present && !is_empty(&prev);
        let mut before = whole(&prev);
        let mut after = Fields {
            balance: (next.balance != prev.balance).then_some(next.balance),
            nonce: (next.nonce != prev.nonce).then_some(next.nonce),
            code_hash: (next.code_hash != prev.code_hash).then_some(next.code_hash),
            words: BTreeMap::new(),
        };
        if !asked.disable_storage {
            for (slot, prev, next) in words(moves, address) {
                if is_destroyed || (prev != next && !prev.is_zero()) {
                    before.words.insert(slot, prev);
                }
                if prev != next && !next.is_zero() {
                    after.words.insert(slot, next);
                }
            }
        }
        let changed = words(moves, address).any(|(_, prev, next)| prev != next) && !asked.disable_storage;
        if !is_destroyed && after == Fields::default() && !changed {
            continue;
        }
        if !is_empty(&prev) {
            pre.insert(address, before);
        }
        if !is_destroyed {
            post.insert(address, after);
        }
    }
    (pre, post)
}

//! Block-level access lists (EIP-7928, a draft) from the moves of a block, and the comparison with one that a source has.
//!
//! A list names, account by account, what each transaction of a block leaves (0 is the opening, n + 1 the closing) and which
//! words were read and not changed. That is what moves say, but for one rule: storage of an account that the same transaction
//! made has no reads here (it is known to be empty), and the EIP lists them.
//! Source: EIP-7928, "Block Structure Modification" and "Scope and Inclusion"; types and hash: alloy-eip7928.

use alloy_eips::eip7928::{
    AccountChanges, BalanceChange, BlockAccessIndex, BlockAccessList, CodeChange, NonceChange, SlotChanges,
    StorageChange,
};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, address};
use manaflow_loader::model::{BlockRecord, Mark, Mode, Move, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Caller of system transactions: listed only where something of it changes.
const SYSTEM: Address = address!("fffffffffffffffffffffffffffffffffffffffe");

/// What is known of an account while a list is made.
#[derive(Default)]
struct Changes {
    account: AccountChanges,
    slots: BTreeMap<U256, Vec<StorageChange>>,
    reads: BTreeSet<U256>,
}

/// The access list of a block. `code` gives codes by hash.
///
/// Errors: the hash of a code that came to be and is not at hand (a file has the codes that ran, and
/// [`crate::solo::made::codes_made`] the others).
pub fn access_list(record: &BlockRecord, code: impl Fn(B256) -> Option<Bytes>) -> Result<BlockAccessList, B256> {
    let mut accounts: BTreeMap<Address, Changes> = BTreeMap::new();
    for (index, tx) in record.transactions.iter().enumerate() {
        let at = BlockAccessIndex::new(index as u64);
        for m in tx.moves.iter().filter(|m| m.cell.mark != Mark::BlockHash) {
            let changes = accounts.entry(m.cell.addr).or_default();
            match (m.prev, m.next) {
                (Value::Account(prev), Value::Account(next)) if m.mode == Mode::Write => {
                    if next.balance != prev.balance {
                        changes.account.balance_changes.push(BalanceChange::new(at, next.balance));
                    }
                    if next.nonce != prev.nonce {
                        changes.account.nonce_changes.push(NonceChange::new(at, next.nonce));
                    }
                    if next.code_hash != prev.code_hash {
                        let new = match next.code_hash {
                            KECCAK256_EMPTY => Bytes::new(),
                            hash => code(hash).ok_or(hash)?,
                        };
                        changes.account.code_changes.push(CodeChange::new(at, new));
                    }
                }
                (_, Value::Word(word)) if m.mode == Mode::Write => {
                    let change = StorageChange { block_access_index: at, new_value: word };
                    changes.slots.entry(m.cell.slot).or_default().push(change);
                }
                (Value::Word(_), _) => _ = changes.reads.insert(m.cell.slot),
                _ => {}
            }
        }
    }
    let list = accounts.into_iter().map(|(addr, changes)| {
        let Changes { mut account, slots, reads } = changes;
        account.address = addr;
        account.storage_reads = reads.into_iter().filter(|slot| !slots.contains_key(slot)).collect();
        account.storage_changes = slots.into_iter().map(|(slot, changes)| SlotChanges::new(slot, changes)).collect();
        account
    });
    Ok(list.filter(|account| account.address != SYSTEM || account.has_changes()).collect())
}

/// Accounts that some transaction of a block may have made: without code and nonce before it. Of their storage the EIP lists
/// reads that moves do not say.
pub fn may_be_made(record: &BlockRecord) -> BTreeSet<Address> {
    let moves = record.transactions.iter().flat_map(|tx| &tx.moves);
    let is_bare = |m: &&Move| matches!(m.prev, Value::Account(prev) if prev.nonce == 0 && (!prev.present || prev.code_hash == KECCAK256_EMPTY));
    moves.filter(is_bare).map(|m| m.cell.addr).collect()
}

/// Where a list that somebody has differs from ours, item by item in words. Accounts and reads stand in ascending order, each
/// once (EIP-7928, "Ordering, Uniqueness and Determinism"). Of accounts that the block may have made ([`may_be_made`]) reads
/// that moves do not say are let pass.
pub fn differences(ours: &[AccountChanges], theirs: &[AccountChanges], made: &BTreeSet<Address>) -> Vec<String> {
    let pairs = theirs.windows(2).filter(|pair| pair[0].address >= pair[1].address);
    let in_order = |pair: &[AccountChanges]| {
        format!("{}: is listed after {}, expected ascending addresses", pair[1].address, pair[0].address)
    };
    let unordered: Vec<String> = pairs.map(in_order).collect();
    let by_address = |list: &[AccountChanges]| -> BTreeMap<Address, AccountChanges> {
        list.iter().map(|account| (account.address, account.clone())).collect()
    };
    let (ours, theirs) = (by_address(ours), by_address(theirs));
    let mut found = unordered;
    for addr in ours.keys().chain(theirs.keys()).copied().collect::<BTreeSet<_>>() {
        let (Some(our), Some(their)) = (ours.get(&addr), theirs.get(&addr)) else {
            let who =
                if ours.contains_key(&addr) { "is not listed, moves have it" } else { "is listed, no move has it" };
            found.push(format!("{addr}: {who}"));
            continue;
        };
        let mut compare = |what: &str, is_equal: bool, got: String, expected: String| {
            if !is_equal {
                found.push(format!("{addr}: {what}: got {got}, moves say {expected}"));
            }
        };
        macro_rules! field {
            ($name:ident, $words:literal) => {
                compare($words, our.$name == their.$name, in_words(&their.$name), in_words(&our.$name));
            };
        }
        field!(balance_changes, "balances");
        field!(nonce_changes, "nonces");
        field!(code_changes, "codes");
        field!(storage_changes, "storage");
        // Of an account that came to be here nobody has to ask what its storage holds.
        let changed = |slot: &U256| their.storage_changes.iter().any(|changes| changes.slot == *slot);
        let (reads, expected) = (&their.storage_reads, &our.storage_reads);
        let is_formed = reads.windows(2).all(|pair| pair[0] < pair[1]) && !reads.iter().any(changed);
        let has_all = || expected.iter().all(|slot| reads.contains(slot));
        let is_equal = reads == expected || (made.contains(&addr) && is_formed && has_all());
        compare("reads", is_equal, in_words(reads), in_words(expected));
    }
    found
}

/// As lists are written: JSON.
fn in_words(items: &impl serde::Serialize) -> String {
    serde_json::to_string(items).unwrap_or_else(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use manaflow_loader::model::{AccountValue, BlockBody, Cell, Move, Ommers, TransactionRecord, Version};

    fn account(balance: u64, nonce: u64) -> Value {
        Value::Account(AccountValue { present: true, nonce, balance: U256::from(balance), ..AccountValue::ABSENT })
    }

    fn block(transactions: Vec<Vec<Move>>) -> BlockRecord {
        let body = BlockBody { header: Bytes::new(), ommers: Ommers::Headers(Bytes::new()), withdrawals: None };
        let record = |moves| TransactionRecord { moves, ..Default::default() };
        BlockRecord { body, transactions: transactions.into_iter().map(record).collect() }
    }

    fn one(cell: Cell, prev: Value, next: Value) -> Move {
        let mode = if prev == next { Mode::Read } else { Mode::Write };
        Move { mask: 0, cell, mode, intx: Version::Virgin, prev, next }
    }

    #[test]
    fn changes_are_listed_by_transaction_and_reads_by_slot() {
        let (a, b) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let word = |n: u64| Value::Word(U256::from(n));
        let slot = |n: u64| Cell::storage(b, 0, U256::from(n));
        let record = block(vec![
            vec![],
            vec![
                one(Cell::account(a), account(9, 0), account(5, 1)),
                one(Cell::account(b), account(1, 1), account(1, 1)),
                one(slot(3), word(7), word(7)),
                one(slot(4), word(7), word(8)),
            ],
            vec![
                one(Cell::account(b), account(1, 1), account(1, 1)),
                one(slot(3), word(7), word(0)),
                one(slot(5), word(0), word(0)),
            ],
            vec![one(Cell::account(SYSTEM), account(0, 0), account(0, 0))],
        ]);
        let list = access_list(&record, |_| None).expect("no code comes to be");
        assert_eq!(list.iter().map(|account| account.address).collect::<Vec<_>>(), [a, b]);
        assert_eq!(list[0].balance_changes, [BalanceChange::new(BlockAccessIndex::new(1), U256::from(5))]);
        assert_eq!(list[0].nonce_changes, [NonceChange::new(BlockAccessIndex::new(1), 1)]);
        let change =
            |index, n| StorageChange { block_access_index: BlockAccessIndex::new(index), new_value: U256::from(n) };
        assert_eq!(
            list[1].storage_changes,
            [SlotChanges::new(U256::from(3), vec![change(2, 0)]), SlotChanges::new(U256::from(4), vec![change(1, 8)])]
        );
        assert_eq!(list[1].storage_reads, [U256::from(5)]);
        let made = BTreeSet::from([b]);
        let differences = |ours: &[AccountChanges], theirs: &[AccountChanges]| differences(ours, theirs, &made);
        assert!(differences(&list, &list).is_empty());
        let mut other = list.clone();
        other[1].storage_reads.push(U256::from(6));
        assert!(differences(&list, &other).is_empty(), "the EIP lists more reads of what was made");
        assert_eq!(super::differences(&list, &other, &BTreeSet::new()).len(), 1, "and of nothing else");
        for reads in [&[6, 5][..], &[5, 5], &[4, 5], &[6]] {
            let mut other = list.clone();
            other[1].storage_reads = reads.iter().map(|slot| U256::from(*slot)).collect();
            assert_eq!(differences(&list, &other).len(), 1, "{reads:?}");
        }
        other[1].storage_changes[0].changes[0].new_value = U256::from(1);
        other[0].nonce_changes.clear();
        other.push(AccountChanges::new(Address::repeat_byte(9)));
        let found = differences(&list, &other);
        assert_eq!(found.len(), 3);
        let words = r#"nonces: got [], moves say [{"index":"0x1","value":"0x1"}]"#;
        assert!(found.iter().any(|found| found.ends_with(words)), "{found:?}");
        other.swap(0, 1);
        assert_eq!(differences(&list, &other).len(), 4, "their order, and all else");
        let twice = [list[0].clone(), list[0].clone(), list[1].clone()];
        assert_eq!(differences(&list, &twice).len(), 1, "one twice");
    }

    #[test]
    fn a_code_that_is_not_at_hand_is_named() {
        let a = Address::repeat_byte(1);
        let Value::Account(before) = account(0, 1) else { panic!("an account") };
        let hash = B256::repeat_byte(7);
        let after = Value::Account(AccountValue { code_hash: hash, ..before });
        let record = block(vec![vec![one(Cell::account(a), Value::Account(before), after)]]);
        assert_eq!(access_list(&record, |_| None), Err(hash));
        let list = access_list(&record, |_| Some(Bytes::from_static(&[1]))).expect("at hand");
        assert_eq!(list[0].code_changes.len(), 1);
    }
}

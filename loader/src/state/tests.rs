//! The state on disk keeps what was committed and nothing else, and is given to nobody that it is not of.

use super::*;
use crate::model::SegmentStart;

fn identity() -> Identity {
    Identity::new("tests", B256::repeat_byte(1), B256::repeat_byte(2), "chain-#.mana")
}

fn marker(next: u64) -> Marker {
    let earlier = Vec::new();
    Marker {
        next: SegmentStart { first: next, origin: 0, total_difficulty: Some(U256::from(7)), earlier },
        tip: B256::repeat_byte(3),
        limit: "10blocks".into(),
        files: vec![MarkerFile { first: 0, last: next - 1, bytes: 5 }],
    }
}

const CACHE: u64 = 1 << 20;

fn open(folder: &Path, resume: bool) -> Result<StateStore> {
    StateStore::open(folder, &identity(), resume, CACHE)
}

#[test]
fn what_was_not_committed_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (addr, at) = (Address::repeat_byte(9), Location::new(4, 1).unwrap());
    let account = |nonce| AccountValue { present: true, nonce, ..AccountValue::ABSENT };
    let key = (addr, 0, U256::from(1));
    let mut store = open(folder.path(), false).unwrap();
    store.put_accounts([(addr, account(1), at)]).unwrap();
    store.put_words([(key, U256::from(2), at)]).unwrap();
    store.put_block_hashes([(4, B256::repeat_byte(5), at)]).unwrap();
    store.put_codes([(B256::repeat_byte(6), false, Bytes::from_static(b"code"))]).unwrap();
    assert_eq!(store.account(addr).unwrap(), Some((account(1), at)), "before it is committed too");
    store.commit(&marker(10)).unwrap();
    store.put_accounts([(addr, account(2), at)]).unwrap();
    store.put_words([(key, U256::from(3), at), ((addr, 1, U256::ZERO), U256::from(3), at)]).unwrap();
    drop(store);

    assert!(open(folder.path(), false).unwrap_err().to_string().contains("--resume"));
    let store = open(folder.path(), true).unwrap();
    assert_eq!(store.marker(), Some(&marker(10)));
    assert_eq!(store.account(addr).unwrap(), Some((account(1), at)));
    assert_eq!(store.word(&key).unwrap(), Some((U256::from(2), at)));
    assert_eq!(store.word(&(addr, 1, U256::ZERO)).unwrap(), None);
    assert_eq!(store.block_hash(4).unwrap(), Some((B256::repeat_byte(5), at)));
    assert_eq!(store.code(B256::repeat_byte(6)).unwrap(), Some((false, Bytes::from_static(b"code"))));
    assert_eq!(store.code(B256::ZERO).unwrap(), None);
}

#[test]
fn others_are_kept_away() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), false).unwrap();
    let refused = open(folder.path(), true).unwrap_err();
    assert!(refused.to_string().contains("another import") && !refused.is_input());
    drop(store);
    for (place, other) in [
        ("genesis", Identity { genesis: B256::ZERO, ..identity() }),
        ("rules", Identity { rules: B256::ZERO, ..identity() }),
        ("files", Identity { files: "other-#.mana".into(), ..identity() }),
        ("version of the state", Identity { state_version: 99, ..identity() }),
    ] {
        let refused = StateStore::open(folder.path(), &other, true, CACHE).unwrap_err();
        assert!(refused.is_input() && refused.to_string().contains(place), "{refused}");
    }
    let other = Identity { program: "another".into(), ..identity() };
    assert_eq!(StateStore::open(folder.path(), &other, true, CACHE).unwrap().begun_by(), "tests");
}

#[test]
fn a_folder_of_something_else_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("letter"), "dear").unwrap();
    let refused = open(folder.path(), true).unwrap_err();
    assert!(refused.is_input() && refused.to_string().contains("letter"), "{refused}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_store_that_was_never_whole_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(STORE_NEW), "half").unwrap();
    let mut store = open(folder.path(), false).unwrap();
    store.commit(&marker(10)).unwrap();
    drop(store);
    std::fs::write(folder.path().join(STORE), "damaged, and long enough to be looked at").unwrap();
    assert!(open(folder.path(), true).unwrap_err().is_input());
}

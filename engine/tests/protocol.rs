//! `PROTOCOL.md` against the code: what the text says in tables and bytes is what the code does.

use alloy_primitives::{Address, B256, U256, address, hex, keccak256};
use manaflow_engine::double_use::model::{CellUse, definition};
use manaflow_engine::double_use::{EXIT_BYTES, SegmentResult, file_digest};
use manaflow_engine::reason::{Check, Reason};
use manaflow_loader::model::{AccountValue, Cell, Location, Value, Version};
use manaflow_loader::rules::ChainRules;

const TEXT: &str = include_str!("../PROTOCOL.md");

/// The lines of a section, by its heading.
fn section(heading: &str) -> &'static str {
    let rest = TEXT.split(&format!("\n## {heading}\n")).nth(1).unwrap_or_else(|| panic!("no section {heading:?}"));
    rest.split("\n## ").next().unwrap()
}

#[test]
fn table_of_reasons_is_the_enum() {
    let rows = |line: &'static str| line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | ");
    let table: Vec<_> = section("6. Faults and reasons").lines().filter_map(rows).collect();
    let reasons: Vec<_> = Reason::ALL.iter().map(|reason| (reason.name(), reason.summary())).collect();
    for (row, reason) in table.iter().zip(&reasons) {
        assert_eq!(row, reason);
    }
    assert_eq!(table.len(), reasons.len());
}

#[test]
fn every_name_in_the_text_is_a_reason() {
    // Names are two words or more in backticks, joined by hyphens.
    let spans = TEXT.split('`').skip(1).step_by(2);
    let is_name = |span: &&str| span.contains('-') && span.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    let names: Vec<_> = spans.filter(is_name).collect();
    for name in &names {
        assert!(name.parse::<Reason>().is_ok(), "{name}");
    }
    assert!(names.len() > Reason::ALL.len());
}

#[test]
fn checks_are_listed_in_their_order() {
    let list = Check::ALL.map(|check| format!("`{check}`")).join(", ");
    let words: Vec<&str> = TEXT.split_whitespace().collect();
    assert!(words.join(" ").contains(&format!("checks as {list}")));
}

/// A last write of a cell: where, and the value it leaves.
type Write = (Cell, (u64, u64), Value);

/// A segment from block 100 on that leaves these cells behind, written at (block, index).
fn leaves(writes: &[Write]) -> SegmentResult {
    let write = |&(cell, (block, index), next): &Write| {
        let location = Location::new(block, index).unwrap();
        (cell, vec![CellUse { location, write: true, intx: Version::Virgin, prev: cell.default_value(), next }])
    };
    definition((100, 103, 100), &writes.iter().map(write).collect(), Cell::default_value)
}

/// One exit of each mark, as bytes put together by the table of section 7.
fn exits() -> [(Write, Vec<u8>); 3] {
    let addr = address!("00112233445566778899aabbccddeeff00112233");
    let account = AccountValue {
        present: true,
        nonce: 0x0102,
        balance: U256::from(0x0304),
        code_hash: B256::repeat_byte(0xc0),
        generation: 5,
    };
    let zeros = |n| vec![0; n];
    let be = |n: u64| U256::from(n).to_be_bytes_vec();
    let a = [
        &[0][..],
        addr.as_slice(),
        &zeros(4),
        &zeros(32),
        &hex!("0000000064000003"),
        &[1],
        &0x0102u64.to_be_bytes(),
        &5u32.to_be_bytes(),
        &be(0x0304),
        &[0xc0; 32],
    ];
    let version = hex!("0000000065000004");
    let s = [&[1][..], addr.as_slice(), &4u32.to_be_bytes(), &be(9), &version, &zeros(45), &be(8)];
    let h = [&[2][..], &zeros(20), &zeros(4), &be(100), &hex!("0000000064000007"), &zeros(45), &[0xbb; 32]];
    [
        ((Cell::account(addr), (100, 3), Value::Account(account)), a.concat()),
        ((Cell::storage(addr, 4, U256::from(9)), (101, 4), Value::Word(U256::from(8))), s.concat()),
        ((Cell::block_hash(100), (100, 7), Value::Word(U256::from_be_bytes([0xbb; 32]))), h.concat()),
    ]
}

#[test]
fn final_state_is_digested_as_section_7_says() {
    let exits = exits();
    assert_eq!(leaves(&[]).digest(), keccak256([]));
    for (exit, bytes) in &exits {
        assert_eq!(bytes.len(), EXIT_BYTES);
        assert_eq!(leaves(&[*exit]).digest(), keccak256(keccak256(bytes)), "{}", exit.0);
    }
    let result = leaves(&exits.each_ref().map(|(exit, _)| *exit));
    let whole = exits.map(|(_, bytes)| bytes).concat();
    assert_eq!(result.digest(), keccak256(keccak256(&whole)));
    // The border of a chunk, of what is hashed at a time, and one more of each.
    for count in [63_u64, 64, 65, 128, 129, 64 * 64, 64 * 64 + 1] {
        let cell = |i| Cell::storage(Address::ZERO, 0, U256::from(i));
        let writes: Vec<Write> = (0..count).map(|i| (cell(i), (100, 3), Value::Word(U256::from(i + 1)))).collect();
        let bytes: Vec<Vec<u8>> = (0..count)
            .map(|i| {
                let word = |n: u64| U256::from(n).to_be_bytes::<32>();
                let version = hex!("0000000064000003");
                [&[1][..], &[0; 24], &word(i), &version, &[0; 45], &word(i + 1)].concat()
            })
            .collect();
        let hashes: Vec<B256> = bytes.chunks(64).map(|chunk| keccak256(chunk.concat())).collect();
        assert_eq!(leaves(&writes).digest(), keccak256(hashes.concat()), "{count}");
    }

    let of_file = file_digest([(100, 102, result.digest()), (200, 200, B256::repeat_byte(1))]);
    let first = [&100u64.to_be_bytes()[..], &102u64.to_be_bytes(), result.digest().as_slice()].concat();
    let second = [&200u64.to_be_bytes()[..], &200u64.to_be_bytes(), &[1; 32]].concat();
    assert_eq!(of_file, keccak256([first, second].concat()));
}

#[test]
fn rules_of_mainnet_are_written_out() {
    let mainnet = ChainRules::named("mainnet").unwrap();
    let block = section("7. Digests").split("```").nth(1).unwrap();
    let json: String = block.trim_start_matches("json").lines().collect();
    assert_eq!(json, String::from_utf8(mainnet.to_bytes()).unwrap());
    assert_eq!(mainnet.digest(), keccak256(&json));
    assert!(section("7. Digests").contains(&format!("`{}`", mainnet.digest())), "{}", mainnet.digest());
}

//! Block-level access lists against the state that another client computed: what they leave, applied block by block to the
//! genesis allocation, is that client's head state, for every account and word that only listed blocks touch.

use crate::support::{import, manaflow, place, read_json, text};
use alloy_primitives::{Address, B256, U256};
use manaflow_datasets::{data_for, say};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

fn number(json: &Json) -> U256 {
    json.as_str().expect("a text").parse().expect("a number")
}

#[test]
fn lists_lead_to_the_state_of_another_client() {
    let Some(data) = data_for("lists_lead_to_the_state_of_another_client") else { return };
    for chain in ["execapis", "geth600"] {
        let folder = data.join("chains").join(chain);
        let (file, _, _) = import(&format!("lists-{chain}"), &folder, &[]);
        let lists = place(&format!("lists-{chain}.jsonl"));
        let ran = manaflow(&["export", text(&file), "--bal", "--output", text(&lists)]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let (mut balances, mut nonces, mut words) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut codes = BTreeMap::new();
        let mut listed = BTreeSet::new();
        for line in std::fs::read_to_string(&lists).expect("written").lines() {
            let list: Json = serde_json::from_str(line).expect("JSON");
            let block = list["block"].as_u64().expect("a number");
            listed.insert(block);
            for account in list["list"].as_array().expect("a list") {
                let addr: Address = account["address"].as_str().expect("an address").parse().expect("hex");
                let last = |key: &str| account[key].as_array().expect("a list").last().cloned();
                if let Some(change) = last("balanceChanges") {
                    balances.insert(addr, (block, number(&change["value"])));
                }
                if let Some(change) = last("codeChanges") {
                    codes.insert(addr, (block, change["code"].as_str().expect("hex").to_string()));
                }
                if let Some(change) = last("nonceChanges") {
                    nonces.insert(addr, (block, number(&change["value"])));
                }
                for slot in account["storageChanges"].as_array().expect("a list") {
                    let change = slot["changes"].as_array().expect("a list").last().cloned().expect("a change");
                    words.insert((addr, number(&slot["key"])), (block, number(&change["value"])));
                }
            }
        }
        // All blocks: a code that came to be and never ran is made once more. Only of block 0 nobody does that.
        let inspected: Json = serde_json::from_str(&manaflow(&["inspect", text(&file), "--json"]).out).expect("JSON");
        let blocks = inspected["blocks"].as_u64().expect("a number");
        assert_eq!(
            listed.iter().copied().filter(|block| *block > 0).collect::<Vec<_>>(),
            (1..blocks).collect::<Vec<_>>()
        );
        let dump = read_json(folder.join("headstate.json"));
        let accounts: BTreeMap<Address, &Json> = (dump["accounts"].as_object().expect("accounts").iter())
            .map(|(addr, account)| (addr.parse().expect("an address"), account))
            .collect();
        let mut compared = 0;
        for (addr, (block, balance)) in balances.iter() {
            let expected = accounts.get(addr).map_or(U256::ZERO, |account| number(&account["balance"]));
            assert_eq!(*balance, expected, "{chain}: balance of {addr} after block {block}");
            compared += 1;
        }
        for (addr, (block, nonce)) in nonces.iter() {
            let expected = accounts.get(addr).map_or(0, |account| account["nonce"].as_u64().expect("a nonce"));
            assert_eq!(*nonce, U256::from(expected), "{chain}: nonce of {addr} after block {block}");
            compared += 1;
        }
        for (addr, (block, code)) in &codes {
            let expected = accounts
                .get(addr)
                .and_then(|account| account.get("code"))
                .map_or("0x", |code| code.as_str().expect("hex"));
            assert_eq!(code, expected, "{chain}: code of {addr} after block {block}");
            compared += 1;
        }
        for ((addr, slot), (block, word)) in words.iter() {
            let storage = accounts.get(addr).and_then(|account| account.get("storage"));
            let expected = storage.and_then(|storage| storage.get(format!("{:#x}", B256::from(*slot))));
            let expected = expected.map_or(U256::ZERO, |word| {
                let digits = word.as_str().expect("a word").trim_start_matches("0x");
                U256::from_str_radix(digits, 16).expect("hex")
            });
            assert_eq!(*word, expected, "{chain}: slot {slot:#x} of {addr} after block {block}");
            compared += 1;
        }
        say(&format!("{chain}: {} blocks listed, {compared} values compared", listed.len()));
        assert!(compared > 5, "{chain}: {compared}");
        // A list is equal to itself, and a change of one number is found.
        let same = manaflow(&["export", text(&file), "--bal", "--against", text(&lists)]);
        assert_eq!(same.code, 0, "{}", same.err);
        let changed =
            std::fs::read_to_string(&lists).expect("written").replacen("\"index\":\"0x1\"", "\"index\":\"0x2\"", 1);
        let other = place(&format!("lists-{chain}-changed.jsonl"));
        std::fs::write(&other, &changed).expect("written");
        let differs = manaflow(&["export", text(&file), "--bal", "--against", text(&other)]);
        assert!(differs.code == 3 && differs.err.contains("the list hashes to"), "{} {}", differs.out, differs.err);
        let changed: String = changed
            .lines()
            .map(|line| {
                let mut list: Json = serde_json::from_str(line).expect("JSON");
                list["hash"] = Json::Null;
                format!("{list}\n")
            })
            .collect();
        std::fs::write(&other, &changed).expect("written");
        let differs = manaflow(&["export", text(&file), "--bal", "--against", text(&other)]);
        assert!(differs.code == 1 && differs.out.contains("1 items differ"), "{} {}", differs.out, differs.err);
        // A block without list was not compared.
        let some: String =
            std::fs::read_to_string(&lists).expect("written").lines().skip(2).map(|line| format!("{line}\n")).collect();
        std::fs::write(&other, some).expect("written");
        let partly = manaflow(&["export", text(&file), "--bal", "--against", text(&other), "--json"]);
        let json: Json = serde_json::from_str(&partly.out).expect("JSON");
        assert!(
            partly.code == 3 && json["without_list"].as_u64() > Some(0) && json["differences"] == serde_json::json!([]),
            "{} {}",
            partly.out,
            partly.err
        );
    }
}

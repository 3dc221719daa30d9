//! What `inspect` prints: the documented forms, key by key.

use crate::support::*;
use serde_json::Value as Json;

fn keys(json: &Json) -> Vec<&str> {
    json.as_object().expect("an object").keys().map(String::as_str).collect()
}

fn is_hex(json: &Json, digits: impl Fn(usize) -> bool) -> bool {
    let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    json.as_str().and_then(|s| s.strip_prefix("0x")).is_some_and(|s| digits(s.len()) && s.bytes().all(digit))
}

fn lines(args: &[&str]) -> Vec<Json> {
    let ran = manaflow(args);
    assert_eq!(ran.code, 0, "{args:?}: {}", ran.err);
    ran.out.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

#[test]
fn moves_are_printed_one_a_line_in_the_documented_form() {
    let Some((_, file)) = crate::mainnet_blocks::imported("inspect: moves") else { return };
    let moves = lines(&["inspect", text(&file), "--moves", "--json"]);
    let (mut marks, mut versions) = ([0; 3], [0; 4]);
    for m in &moves {
        let expected = ["addr", "block", "generation", "index", "intx", "mark", "mask", "mode", "next", "prev", "slot"];
        assert_eq!(keys(m), expected);
        assert!(m["block"].is_u64() && m["index"].is_u64() && m["generation"].is_u64(), "{m}");
        assert_eq!(m["mask"], 0, "other chains sign no move: {m}");
        assert!(is_hex(&m["addr"], |n| n == 40), "{m}");
        let values = match m["mode"].as_str() {
            Some("read") => vec![&m["prev"]],
            Some("write") => vec![&m["prev"], &m["next"]],
            _ => panic!("no mode: {m}"),
        };
        assert_eq!(m["next"].is_null(), m["mode"] == "read", "{m}");
        match m["mark"].as_str() {
            Some("a") => {
                marks[0] += 1;
                assert!(m["slot"].is_null() && m["generation"] == 0, "{m}");
                for v in values {
                    assert_eq!(keys(v), ["balance", "code_hash", "generation", "nonce", "present"]);
                    assert!(v["present"].is_boolean() && v["generation"].is_u64(), "{m}");
                    let is_quantity = |n: usize, bound| (1..=bound).contains(&n);
                    assert!(is_hex(&v["nonce"], |n| is_quantity(n, 16)), "{m}");
                    assert!(is_hex(&v["balance"], |n| is_quantity(n, 64)), "{m}");
                    assert!(is_hex(&v["code_hash"], |n| n == 64), "{m}");
                }
            }
            Some(mark @ ("s" | "h")) => {
                marks[if mark == "s" { 1 } else { 2 }] += 1;
                assert!(is_hex(&m["slot"], |n| n == 64), "{m}");
                assert!(values.iter().all(|v| is_hex(v, |n| n == 64)), "{m}");
            }
            _ => panic!("no mark: {m}"),
        }
        match &m["intx"] {
            Json::String(s) => {
                versions[["virgin", "base", "assumed"].iter().position(|v| v == s).expect("a version")] += 1
            }
            version => {
                versions[3] += 1;
                assert_eq!(keys(version), ["block", "index"], "{m}");
                let at = |json: &Json| (json["block"].as_u64(), json["index"].as_u64());
                assert!(at(version) < at(m), "{m}");
            }
        }
    }
    assert!(marks.iter().chain(&versions).all(|n| *n > 0), "each form occurs: {marks:?}, {versions:?}");
    let ordered = moves.is_sorted_by_key(|m| (m["block"].as_u64(), m["index"].as_u64()));
    assert!(ordered, "lines stand in the order of locations");
}

#[test]
fn a_block_and_a_transaction_are_found_by_number_place_and_hash() {
    let Some((folder, file)) = crate::mainnet_blocks::imported("inspect: one transaction") else { return };
    let file = text(&file);
    let of_block = lines(&["inspect", file, "--block", "46147", "--moves", "--json"]);
    assert_eq!(of_block.len(), 5, "sender, recipient and miner; then the miner's reward and the block's hash");
    assert!(of_block.iter().all(|m| m["block"] == 46147));
    let by_place = lines(&["inspect", file, "--transaction", "46147:1", "--json"]);
    assert_eq!(by_place, of_block[..3]);
    let block = read_json(folder.join("blocks/46147/block.json"));
    let hash = block["transactions"][0]["hash"].as_str().expect("a hash");
    assert_eq!(lines(&["inspect", file, "--transaction", hash, "--json"]), by_place);
    let own = &of_block[4];
    assert_eq!((&own["mark"], &own["intx"], &own["next"]), (&"h".into(), &"virgin".into(), &block["hash"]));
    assert_eq!(own["slot"], format!("0x{:064x}", 46147));

    let words = manaflow(&["inspect", file, "--block", "46147", "--moves"]);
    assert_eq!(words.code, 0);
    for part in [hash, "46147:0 opening", "46147:2 closing", "21,000 gas", "written by base(46147)", "balance 31337"] {
        assert!(words.out.contains(part), "{part} is not in:\n{}", words.out);
    }
    for (wanted, code) in [("46147:3", 3), ("5:0", 3), (&*format!("0x{:064x}", 1), 3), ("0x12", 2), ("46147", 2)] {
        let ran = manaflow(&["inspect", file, "--transaction", wanted]);
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{wanted}: {}", ran.err);
    }
}

#[test]
fn what_is_inside_is_one_object() {
    let Some((_, file)) = crate::mainnet_blocks::imported("inspect: summary") else { return };
    let all = lines(&["inspect", text(&file), "--json"]);
    assert_eq!(all.len(), 1);
    let inside = &all[0];
    assert_eq!((&inside["blocks"], &inside["transactions"]), (&60.into(), &15_127.into()));
    assert_eq!(inside["chain"]["name"], "mainnet");
    let list = |key: &str| inside[key].as_array().expect("a list").clone();
    assert_eq!(list("segments").len(), 60);
    assert!(list("segments").iter().all(|s| s["first"] == s["origin"] && s["from_genesis"] == false));
    let bytes: u64 = list("sections").iter().map(|s| s["bytes"].as_u64().expect("a size")).sum();
    assert_eq!(inside["bytes"], bytes);
    let size = std::fs::metadata(&file).expect("the file is there").len();
    assert!(bytes <= size && size < bytes + 64 * 64, "{bytes} bytes in sections, {size} in all: the rest is padding");
    assert!(inside["bytes_per_move"].as_f64().expect("a number") > 0.0);
}

//! Servers that lie, stall, throttle and contradict themselves: a clear error or a stated retry, never a wrong file.
//!
//! Of a seeded run, one of the faults is put into one of the answers; a run that ends well has the moves of the import
//! from files, and one that does not leaves no file. `MANAFLOW_WHOLE=1` takes all runs.

use crate::server::{Offers, Reply, Server, honest};
use crate::ways::Imported;
use crate::{assert_same_moves, records, run, text};
use manaflow_datasets::{Draw, amount, say};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What goes wrong in one answer, or from one answer on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Fault {
    /// One hex digit of some result is another.
    Digit,
    /// A result is of another kind.
    Kind,
    /// A result is null.
    Null,
    /// The body ends early, the connection with it.
    Cut,
    /// The body ends early and says that it is whole.
    Truncated,
    /// HTTP 429, once.
    Throttled,
    /// HTTP 429, for ever.
    ThrottledForEver,
    /// A provider's own code for limits of rate, once.
    Limited,
    /// HTTP 500, once.
    Broken,
    /// A redirect to itself.
    Redirect,
    /// More bytes than anybody asked for.
    Long,
    /// From then on all blocks have other parents.
    Reorganised,
    /// No answer to one of a batch.
    Missing,
    /// Answers in another order; JSON-RPC allows it.
    Shuffled,
    /// A page instead of JSON.
    Page,
}

const FAULTS: [Fault; 15] = [
    Fault::Digit,
    Fault::Kind,
    Fault::Null,
    Fault::Cut,
    Fault::Truncated,
    Fault::Throttled,
    Fault::ThrottledForEver,
    Fault::Limited,
    Fault::Broken,
    Fault::Redirect,
    Fault::Long,
    Fault::Reorganised,
    Fault::Missing,
    Fault::Shuffled,
    Fault::Page,
];

/// Changes one hex digit of a text somewhere in a value.
fn change_digit(json: &mut Json, draw: &mut Draw) -> bool {
    let mut texts = Vec::new();
    collect(json, &mut texts);
    texts.retain(|text| text.starts_with("0x") && text.len() > 2);
    if texts.is_empty() {
        return false;
    }
    let place = draw.below(texts.len());
    let text = &mut texts[place];
    let at = 2 + draw.below(text.len() - 2);
    let digit = text.as_bytes()[at];
    let other = if digit == b'7' { "8" } else { "7" };
    text.replace_range(at..=at, other);
    true
}

fn collect<'a>(json: &'a mut Json, out: &mut Vec<&'a mut String>) {
    match json {
        Json::String(text) => out.push(text),
        Json::Array(list) => list.iter_mut().for_each(|item| collect(item, out)),
        Json::Object(map) => map.values_mut().for_each(|item| collect(item, out)),
        _ => {}
    }
}

fn one_of<'a>(answers: &'a mut Json, draw: &mut Draw) -> &'a mut Json {
    match answers.as_array().map_or(0, Vec::len) {
        0 => answers,
        count => &mut answers[draw.below(count)],
    }
}

fn status(status: &'static str, headers: &str) -> Reply {
    Reply { status, headers: headers.into(), body: b"no".to_vec(), cut: None }
}

/// The reply with the fault in it.
fn spoil(fault: Fault, mut answers: Json, request: &Json, draw: &mut Draw) -> Reply {
    match fault {
        Fault::Digit => {
            if let Some(result) = one_of(&mut answers, draw).get_mut("result") {
                change_digit(result, draw);
            }
        }
        Fault::Kind => one_of(&mut answers, draw)["result"] = json!({ "a": [1, 2.5, {}] }),
        Fault::Null => one_of(&mut answers, draw)["result"] = Json::Null,
        Fault::Limited => {
            let answer = one_of(&mut answers, draw);
            *answer = json!({ "jsonrpc": "2.0", "id": answer["id"], "error": { "code": -32005, "message": "limit exceeded" } });
        }
        Fault::Missing => {
            if let Json::Array(list) = &mut answers {
                list.pop();
            }
        }
        Fault::Shuffled => {
            if let Json::Array(list) = &mut answers {
                list.reverse();
            }
        }
        Fault::Cut => {
            let cut = Some(draw.below(40));
            return Reply { cut, ..Reply::json(&answers) };
        }
        Fault::Truncated => {
            let mut reply = Reply::json(&answers);
            reply.body.truncate(draw.below(reply.body.len()));
            return reply;
        }
        Fault::Throttled | Fault::ThrottledForEver => return status("429 Too Many Requests", "retry-after: 0\r\n"),
        Fault::Broken => return status("500 Internal Server Error", ""),
        Fault::Redirect => return status("307 Temporary Redirect", "location: /\r\n"),
        Fault::Page => return Reply { body: b"<html>busy</html>".to_vec(), ..status("200 OK", "") },
        Fault::Long => {
            let mut reply = Reply::json(&answers);
            reply.body.resize(300 << 20, b' ');
            return reply;
        }
        Fault::Reorganised => {
            let calls = request.as_array().cloned().unwrap_or_else(|| vec![request.clone()]);
            for (i, call) in calls.iter().enumerate() {
                let answer = if answers.is_array() { &mut answers[i] } else { &mut answers };
                if call["method"] == "eth_getBlockByNumber" && answer["result"].is_object() {
                    answer["result"]["parentHash"] = json!(format!("0x{}", "77".repeat(32)));
                    answer["result"]["hash"] = Json::Null;
                }
            }
        }
    }
    Reply::json(&answers)
}

#[test]
fn a_hostile_server_makes_no_wrong_file() {
    let Some(chain) = Imported::of("a_hostile_server_makes_no_wrong_file", "execapis") else { return };
    let whole = records(&chain.file);
    let mut draw = Draw::new(20_261_130);
    let mut ends: BTreeMap<(Fault, i32), u32> = BTreeMap::new();
    for i in 0..amount(45, 300) {
        let fault = FAULTS[i % FAULTS.len()];
        let offers = Offers { raw_blocks: false, ..Offers::CALLS };
        let way: &[&str] = if i % 2 == 0 { &["--verify-proofs"] } else { &["--befores", "calls"] };
        // How many requests there are is drawn small enough that the fault falls among them.
        let (at, seed) = (draw.below(16) as u64, draw.number());
        let (world, spoiled) = (chain.world.clone(), Arc::new(AtomicU64::new(0)));
        let count = spoiled.clone();
        let server = Server::start(Arc::new(move |number, request| {
            let answers = honest(&world, offers, request);
            let for_ever = matches!(fault, Fault::ThrottledForEver | Fault::Reorganised);
            if number == at || (for_ever && number > at) {
                count.fetch_add(1, Ordering::SeqCst);
                return spoil(fault, answers, request, &mut Draw(seed));
            }
            Reply::json(&answers)
        }));
        let file = chain.folder.path().join("hostile.mana");
        let _ = std::fs::remove_file(&file);
        let args = ["import", "--rpc", &server.url, "--blocks", "20..40", "--rpc-attempts", "3", "--rpc-timeout", "20"];
        let more = ["--genesis", text(&chain.genesis), "-o", text(&file)];
        let (code, _, err) = run(&[&args[..], &more, way].concat());
        *ends.entry((fault, code)).or_default() += 1;
        let place = format!("{fault:?} in request {at} {way:?}: {err}");
        assert!([0, 3, 4].contains(&code), "{place}");
        if code == 0 {
            let part = records(&file);
            // A word that a node says without proof is what the segment requires, and nobody is deceived by it.
            if fault != Fault::Digit || way[0] == "--verify-proofs" {
                assert_same_moves(&part, &whole, &place);
            }
        } else {
            assert!(!file.exists(), "{place}");
            assert!(err.contains(&server.url), "the node is named: {place}");
        }
        if fault == Fault::ThrottledForEver && spoiled.load(Ordering::SeqCst) > 0 {
            assert_eq!(code, 4, "{place}");
            assert!(err.contains("429") && err.contains("after 3 tries"), "{place}");
        }
        let harmless =
            matches!(fault, Fault::Throttled | Fault::Broken | Fault::Limited | Fault::Shuffled | Fault::Page);
        if harmless || matches!(fault, Fault::Cut | Fault::Missing) {
            assert_eq!(code, 0, "one bad answer is asked for again: {place}");
        }
    }
    say(&format!("runs by fault and exit code: {ends:?}"));
    assert!(ends.keys().any(|(_, code)| *code == 3) && ends.keys().any(|(_, code)| *code == 4));
}

/// No part of an address but scheme, host and port is told.
#[test]
fn secrets_are_not_told() {
    let Some(chain) = Imported::of("secrets_are_not_told", "execapis") else { return };
    let file = chain.folder.path().join("part.mana");
    let genesis = text(&chain.genesis).to_string();
    let honest = Server::of(chain.world.clone(), Offers::ALL);
    let refusing = Server::start(Arc::new(|_, _| status("401 Unauthorized", "")));
    let closed = "http://127.0.0.1:9".to_string();
    for url in [&honest.url, &refusing.url, &closed] {
        let host = url.trim_start_matches("http://");
        let secret = format!("http://alice:open-sesame@{host}/v3/k3y0fth1s?token=t0k3n");
        let args = ["import", "--rpc", &secret, "--blocks", "20..22", "--rpc-attempts", "2", "--genesis", &genesis];
        let (code, out, err) = run(&[&args[..], &["-o", text(&file), "--json"]].concat());
        assert_eq!(
            code,
            if url == &honest.url {
                0
            } else if url == &refusing.url {
                3
            } else {
                4
            },
            "{err}"
        );
        let bytes = std::fs::read(&file).unwrap_or_default();
        for secret in ["alice", "open-sesame", "k3y0fth1s", "t0k3n"] {
            assert!(!out.contains(secret) && !err.contains(secret), "{secret}: {out} {err}");
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
        }
        let _ = std::fs::remove_file(&file);
    }
}

/// What a node does not tell, or tells of something else, is said; and words of a node are told without secrets, and short.
#[test]
fn what_is_not_told_is_no_file() {
    let Some(chain) = Imported::of("what_is_not_told_is_no_file", "execapis") else { return };
    let file = chain.folder.path().join("part.mana");
    let import = |url: &str, range: &str, genesis: &str, more: &[&str]| {
        let args = ["import", "--rpc", url, "--blocks", range, "--genesis", genesis, "-o", text(&file)];
        run(&[&args[..], more].concat())
    };
    let refusing = |method: &'static str, message: &'static str| {
        let world = chain.world.clone();
        let offers = Offers { raw_blocks: false, ..Offers::CALLS };
        Server::start(Arc::new(move |_, request| {
            let mut answers = honest(&world, offers, request);
            let calls = request.as_array().cloned().unwrap_or_else(|| vec![request.clone()]);
            for (i, call) in calls.iter().enumerate().filter(|(_, call)| call["method"] == method) {
                let answer = if answers.is_array() { &mut answers[i] } else { &mut answers };
                *answer =
                    json!({ "jsonrpc": "2.0", "id": call["id"], "error": { "code": -32601, "message": message } });
            }
            Reply::json(&answers)
        }))
    };
    let genesis = text(&chain.genesis).to_string();
    let honest_node = Server::of(chain.world.clone(), Offers::ALL);
    let without_ommers = refusing("eth_getUncleByBlockNumberAndIndex", "no such method");
    let telling = refusing("eth_getBalance", "key k3y0fth1s is out of credit");
    let secret = telling.url.replace("http://", "http://alice:open-sesame@") + "/v3/k3y0fth1s";
    let other = crate::chain("what_is_not_told_is_no_file", "geth600").expect("test data").1;
    for (url, range, genesis, words) in [
        (without_ommers.url.as_str(), "20..40", genesis.as_str(), "does not tell their headers"),
        (without_ommers.url.as_str(), "0..40", genesis.as_str(), "does not tell their headers"),
        (secret.as_str(), "20..22", genesis.as_str(), "key … is out of credit"),
        (honest_node.url.as_str(), "45..54", text(&other), "the hash of block 0"),
        (honest_node.url.as_str(), "50..60", genesis.as_str(), "the newest block is 54"),
    ] {
        let (code, _, err) = import(url, range, genesis, &[]);
        assert!(code == 3 && err.contains(words), "{range}: {words}: {code} {err}");
        assert!(!file.exists() && !err.contains("k3y0fth1s"), "{range}: {err}");
    }
    for url in ["localhost:8545", "file:///k3y0fth1s", "k3y0fth1s"] {
        let (code, _, err) = import(url, "20..22", &genesis, &[]);
        assert!(code == 2 && err.contains("address") && !err.contains("k3y0fth1s"), "{code} {err}");
    }
    let (code, _, err) = run(&["import", "https://node.example/k3y0fth1s", "-o", text(&file)]);
    assert!(code == 2 && err.contains("--rpc") && !err.contains("k3y0fth1s"), "{code} {err}");
}

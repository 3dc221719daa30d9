//! Imports of a node's blocks that are ended at any moment go on, and write what an undisturbed one writes; those that
//! follow the head take blocks as they come.

use crate::MANAFLOW;
use crate::server::{Offers, Reply, Server, honest};
use crate::ways::Imported;
use crate::{assert_same_moves, import, records, run, text};
use manaflow_datasets::{Draw, amount, is_whole, say, skip};
use serde_json::json;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let read = |path: std::path::PathBuf| {
        (path.file_name().expect("a name").to_string_lossy().into_owned(), std::fs::read(&path).expect("a file"))
    };
    entries.map(read).collect()
}

fn line<'a>(chain: &'a Imported, url: &'a str, range: &'a str, output: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let own = ["--rpc", url, "--blocks", range, "--genesis", text(&chain.genesis), "-o", text(output)];
    [&own[..], &["--split", "7blocks"], more].concat()
}

/// Kills at seeded moments, by calls and by proofs, from the middle and from genesis on.
#[test]
fn kills_at_any_moment() {
    let wanted = amount(8, 100);
    if !is_whole() {
        skip("nodes: kills_at_any_moment", &format!("{} of 100 kills without MANAFLOW_WHOLE", 100 - wanted));
    }
    let Some(chain) = Imported::of("kills_at_any_moment", "execapis") else { return };
    let server = Server::of(chain.world.clone(), Offers::CALLS);
    let mut draw = Draw::new(20_261_201);
    let ways: [(&str, &[&str]); 3] = [("20..54", &[]), ("1..54", &["--verify-proofs"]), ("0..54", &[])];
    let (mut killed, mut went_on) = (0, 0);
    for (kind, (range, way)) in ways.iter().enumerate() {
        let folder = |name: &str| {
            let path = chain.folder.path().join(format!("{name}-{kind}"));
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir(&path).expect("a folder");
            path
        };
        let undisturbed = folder("undisturbed");
        let state = chain.folder.path().join(format!("state-{kind}"));
        let started = Instant::now();
        import(&line(&chain, &server.url, range, &undisturbed.join("chain.mana"), way));
        let (span, undisturbed) = (started.elapsed(), files(&undisturbed));
        assert!(undisturbed.len() >= 5, "{range}: {}", undisturbed.len());
        let mut way = way.to_vec();
        way.push("--resume");
        // From genesis on nobody but the state knows all codes.
        if range.starts_with("0..") {
            way.extend(["--state", text(&state)]);
        }
        for i in 0..wanted / ways.len() + 1 {
            let out = folder("out");
            let _ = std::fs::remove_dir_all(&state);
            let output = out.join("chain.mana");
            let args = [&["import"][..], &line(&chain, &server.url, range, &output, &way)].concat();
            // Two or three kills on the way to the end.
            for kill in 0..2 + i % 2 {
                let mut command = Command::new(MANAFLOW);
                command.args(&args).env_remove("MANAFLOW_RPC").stdout(Stdio::null()).stderr(Stdio::null());
                let mut child = command.spawn().expect("it starts");
                // Once as soon as there is a file to go on from, however busy the machine is; else at any moment.
                // By name alone: what has none yet may be gone the next moment.
                let is_file = |entry: std::io::Result<std::fs::DirEntry>| {
                    entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("chain-"))
                };
                while kill == 1
                    && child.try_wait().is_ok_and(|ended| ended.is_none())
                    && !std::fs::read_dir(&out).expect("a folder").any(is_file)
                {
                    std::thread::sleep(Duration::from_millis(2));
                }
                if kill != 1 {
                    std::thread::sleep(draw.moment(i % 5, 5, span.mul_f64(0.9)));
                }
                child.kill().expect("killed");
                killed += usize::from(child.wait().expect("it ended").signal() == Some(9));
                for (name, bytes) in files(&out) {
                    assert!(
                        name.starts_with(".manaflow.") || undisturbed.get(&name) == Some(&bytes),
                        "{range}: {name}"
                    );
                }
            }
            let (code, _, err) = run(&args);
            assert_eq!(code, 0, "{range}: {err}");
            went_on += usize::from(err.contains("resumes at block"));
            let mut found = files(&out);
            found.retain(|name, _| !name.starts_with(".manaflow."));
            assert!(found == undisturbed, "{range} {way:?}: other files than undisturbed");
        }
    }
    say(&format!("{killed} killed, {went_on} went on from a file"));
    assert!(killed > 0 && went_on > 0, "{killed} killed, {went_on} went on");
}

/// What is there already is not written over, and not gone on from if it is of something else.
#[test]
fn files_of_something_else_are_refused() {
    let Some(chain) = Imported::of("files_of_something_else_are_refused", "execapis") else { return };
    let server = Server::of(chain.world.clone(), Offers::CALLS);
    let out = chain.folder.path().join("out");
    std::fs::create_dir(&out).expect("a folder");
    let output = out.join("chain.mana");
    import(&line(&chain, &server.url, "20..40", &output, &[]));
    let before = files(&out);
    for (range, more, words) in [
        ("20..54", &[][..], "is there already"),
        ("22..54", &["--resume"][..], "expected block 22 of a segment that begins with block 22"),
        ("20..54", &["--resume", "--verify-proofs"][..], "was imported without proofs"),
        ("0..54", &["--resume"][..], "needs --state"),
    ] {
        let (code, _, err) = run(&[&["import"][..], &line(&chain, &server.url, range, &output, more)].concat());
        assert!([2, 3].contains(&code) && err.contains(words), "{range} {more:?}: {code} {err}");
        assert!(files(&out) == before, "{range} {more:?}");
    }
    // Later blocks are added.
    let counts = import(&line(&chain, &server.url, "20..54", &output, &["--resume"]));
    assert_eq!(counts["blocks"], 14);
    let after = files(&out);
    assert!(before.iter().all(|(name, bytes)| after.get(name) == Some(bytes)));
    let paths: Vec<_> = after.keys().map(|name| out.join(name)).collect();
    let whole = records(&chain.file);
    let mut part = BTreeMap::new();
    paths.iter().for_each(|path| part.extend(records(path)));
    assert_eq!(part.len(), 35);
    assert_same_moves(&part, &whole, "in files");
    let args: Vec<&str> = ["validate", "--json"].into_iter().chain(paths.iter().map(|path| text(path))).collect();
    let (code, out, err) = run(&args);
    assert_eq!(code, 0, "{err}");
    let report: serde_json::Value = serde_json::from_str(&out).expect("a report");
    assert_eq!((&report["blocks"]["count"], &report["blocks"]["segments"]), (&json!(35), &json!(1)));
}

/// The head moves on by two blocks a second; each block is taken once two are on top of it. A range may begin beyond the head,
/// and at genesis.
#[test]
fn the_head_is_followed() {
    let Some(chain) = Imported::of("the_head_is_followed", "execapis") else { return };
    for (range, begin, count) in [("36..46", 40, 11), ("36..42", 34, 7), ("0..20", 12, 21)] {
        let out = chain.folder.path().join(format!("out-{begin}"));
        std::fs::create_dir(&out).expect("a folder");
        let (world, started, folder) = (chain.world.clone(), Instant::now(), out.clone());
        let newest = move || begin + 2 * started.elapsed().as_secs();
        let server = Server::start(Arc::new(move |_, request| {
            let mut answers = honest(&world, Offers::CALLS, request);
            let calls = request.as_array().cloned().unwrap_or_else(|| vec![request.clone()]);
            for (i, call) in calls.iter().enumerate() {
                let answer = if answers.is_array() { &mut answers[i] } else { &mut answers };
                let newest = newest();
                if call["method"] == "eth_blockNumber" {
                    answer["result"] = json!(format!("{newest:#x}"));
                } else if call["method"].as_str().is_some_and(|method| method.contains("Block")) {
                    let number = call["params"][0].as_str().expect("a number").trim_start_matches("0x").to_string();
                    let number = u64::from_str_radix(&number, 16).expect("hex");
                    assert!(number <= newest - 2, "{number} is asked for, the newest is {newest}");
                    // Blocks are not held back until there are more: the first file is there before the head is much farther.
                    let (until, first) =
                        (Instant::now() + Duration::from_secs(100), folder.join("chain-000000000000.mana"));
                    while begin == 12 && number >= 18 && !first.exists() {
                        assert!(Instant::now() < until, "no file before block {number} is told");
                        std::thread::sleep(Duration::from_millis(10));
                    }
                }
            }
            Reply::json(&answers)
        }));
        let output = out.join("chain.mana");
        let counts = import(&line(&chain, &server.url, range, &output, &["--follow", "--behind", "2"]));
        assert_eq!(counts["blocks"], count);
        let last: u64 = range.split_once("..").expect("a range").1.parse().expect("a number");
        let least = Duration::from_secs((last + 2 - begin) / 2);
        assert!(started.elapsed() >= least, "block {last} is there after {least:?}");
        let mut part = BTreeMap::new();
        files(&out).keys().for_each(|name| part.extend(records(&out.join(name))));
        assert_same_moves(&part, &records(&chain.file), "followed");
    }
}

#[test]
fn a_dry_run_says_what_would_be_asked() {
    let Some(chain) = Imported::of("a_dry_run_says_what_would_be_asked", "geth600") else { return };
    let server = Server::of(chain.world.clone(), Offers::CALLS);
    let args = ["import", "--rpc", &server.url, "--blocks", "101..400", "--genesis", text(&chain.genesis)];
    let (code, out, err) = run(&[&args[..], &["--dry-run", "--json"]].concat());
    assert_eq!(code, 0, "{err}");
    let dry: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let file = chain.folder.path().join("part.mana");
    let counts = import(&[&args[1..], &["-o", text(&file)]].concat());
    assert_eq!((&dry["dry_run"]["blocks"], &dry["dry_run"]["tried"]), (&json!(300), &json!(16)));
    let (said, was) = (dry["dry_run"]["calls"].as_u64().expect("a number"), counts["node"]["calls"].as_u64());
    let was = was.expect("a number");
    // Fewer, since later blocks touch what earlier ones touched.
    assert!(said >= was && was > 300, "{said} said, {was} asked");
    let (code, out, _) = run(&[&args[..], &["--dry-run"]].concat());
    assert!(code == 0 && out.contains("all 300 blocks would ask about"), "{out}");
}

//! A state on disk gives the same bytes as one in memory, and a series of files the same verdict as the one file.

use super::*;
use manaflow_datasets::{amount, growth, is_whole, skip};
use serde_json::Value;

/// The report of files that are valid, without `run`.
#[track_caller]
fn report(paths: &[PathBuf]) -> String {
    let mut args = vec!["validate", "--json"];
    args.extend(paths.iter().map(|path| text(path)));
    let output = run(0, &args);
    let mut report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    report.as_object_mut().expect("an object").remove("run").expect("run");
    report.to_string()
}

fn paths_of(folder: &Path) -> Vec<PathBuf> {
    files(folder).keys().map(|name| folder.join(name)).collect()
}

/// 1 KiB is room for 64 cells at a time: nearly all of the state is read from the store and written to it again and again.
#[test]
fn a_state_on_disk_gives_the_same_file() {
    let chains = ["execapis", "geth600", "hive1024", "devp2p3000", "era1"];
    let taken = amount(2, chains.len());
    if !is_whole() {
        skip("resume: a_state_on_disk_gives_the_same_file", &format!("{:?} without MANAFLOW_WHOLE", &chains[taken..]));
    }
    for chain in &chains[..taken] {
        let Some(world) = World::new("a_state_on_disk_gives_the_same_file", chain) else { return };
        let plain = world.path("plain.mana");
        run(0, &world.import(&plain, &[]));
        for memory in ["1KiB", "64MiB"] {
            let (output, state) = (world.path("stored.mana"), world.path(memory));
            run(0, &world.import(&output, &["--state", text(&state), "--memory", memory]));
            assert!(read(&output) == read(&plain), "{chain}, {memory}");
        }
    }
}

#[test]
fn a_series_has_the_verdict_of_the_one_file() {
    for (chain, limits) in
        [("execapis", ["1blocks", "7blocks", "20KiB"]), ("hive1024", ["300blocks", "512KiB", "1GiB"])]
    {
        let Some(world) = World::new("a_series_has_the_verdict_of_the_one_file", chain) else { return };
        let whole = world.path("whole.mana");
        run(0, &world.import(&whole, &[]));
        let expected = report(std::slice::from_ref(&whole));
        for limit in limits {
            let (folder, state) = (world.out(limit), world.path(&format!("state {limit}")));
            let output = folder.join("chain.mana");
            let done = run(0, &world.import(&output, &["--split", limit, "--state", text(&state), "--json"]));
            let json: Value = serde_json::from_slice(&done.stdout).expect("JSON");
            let listed = json["files"].as_array().expect("a list");
            let names: Vec<&str> = listed.iter().filter_map(|file| file["file"].as_str()).collect();
            let paths = paths_of(&folder);
            assert_eq!(names, paths.iter().map(|path| text(path)).collect::<Vec<_>>());
            assert!(names[0].ends_with("chain-000000000000.mana"), "{names:?}");
            assert_eq!(names.len() > 1, limit != "1GiB", "{chain}, {limit}");
            assert_eq!(report(&paths), expected, "{chain}, {limit}");
            assert!(files(&folder) == world.undisturbed(limit), "{chain}, {limit}: the state in memory");
        }
    }
}

/// Blocks of an RLP chain: where each ends.
fn block_ends(bytes: &[u8]) -> Vec<usize> {
    let (mut ends, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let header = alloy_rlp::Header::decode(&mut rest).expect("a list");
        rest = &rest[header.payload_length..];
        ends.push(bytes.len() - rest.len());
    }
    ends
}

/// A chain that has grown is gone on with: the files that were full stay, and the verdict is that of the whole.
#[test]
fn blocks_that_have_come_since() {
    let Some(mut world) = World::new("blocks_that_have_come_since", "execapis") else { return };
    let whole = world.path("whole.mana");
    run(0, &world.import(&whole, &[]));
    let expected = report(std::slice::from_ref(&whole));
    let bytes = read(&world.chain);
    let ends = block_ends(&bytes);
    world.chain = world.path("chain.rlp");
    let (folder, state) = (world.out("out"), world.path("state"));
    let output = folder.join("chain.mana");
    let options = ["--split", "7blocks", "--state", text(&state), "--resume"];
    let mut files_before = BTreeMap::new();
    for blocks in [2, 21, 21, 23, ends.len()] {
        std::fs::write(&world.chain, &bytes[..ends[blocks - 1]]).expect("written");
        run(0, &world.import(&output, &options));
        let now = files(&folder);
        assert!(files_before.iter().all(|(name, bytes)| now.get(name) == Some(bytes)), "whole files stay");
        files_before = now;
    }
    assert_eq!(report(&paths_of(&folder)), expected);
}

/// The same from era1 files and from chains whose receipts need state roots: the trie is built anew from the state.
#[test]
fn going_on_before_byzantium() {
    let Some(mut world) = World::new("going_on_before_byzantium", "hive1024") else { return };
    let undisturbed = world.undisturbed("100blocks");
    let bytes = read(&world.chain);
    let ends = block_ends(&bytes);
    world.chain = world.path("chain.rlp");
    let (folder, state) = (world.out("out"), world.path("state"));
    let output = folder.join("chain.mana");
    for files in [1, 2, 5, 9] {
        // The genesis is block 0 of the first file.
        std::fs::write(&world.chain, &bytes[..ends[100 * files - 2]]).expect("written");
        run(0, &world.import(&output, &["--split", "100blocks", "--state", text(&state), "--resume"]));
    }
    std::fs::write(&world.chain, &bytes).expect("written");
    run(0, &world.import(&output, &["--split", "100blocks", "--state", text(&state), "--resume"]));
    assert!(files(&folder) == undisturbed);
}

/// A small one of the chains whose state is larger than memory.
#[test]
fn a_state_that_grows_with_every_block() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let write = |genesis: &str| {
        let hash = genesis.parse().expect("a hash");
        std::fs::write(path("genesis.json"), growth::GENESIS).expect("written");
        let mut out = std::fs::File::create(path("chain.rlp")).expect("created");
        growth::write(&mut out, hash, 40, 250).expect("written");
    };
    // The hash of block 0 is what the refusal of another one says.
    write(&format!("0x{}", "00".repeat(32)));
    let (chain, genesis) = (path("chain.rlp"), path("genesis.json"));
    let import = |output: &Path, more: &[&str]| -> Vec<String> {
        let start = ["import", text(&chain), "--genesis", text(&genesis), "--output", text(output)];
        [&start[..], more].concat().into_iter().map(str::to_owned).collect()
    };
    let run_words = |code, words: &[String]| run(code, &words.iter().map(String::as_str).collect::<Vec<_>>());
    let refused = said(&run_words(3, &import(&path("x.mana"), &[])));
    let hash =
        refused.split("expected ").nth(1).and_then(|rest| rest.get(..66)).expect("the hash of block 0").to_owned();
    write(&hash);
    run_words(0, &import(&path("plain.mana"), &[]));
    run_words(0, &import(&path("stored.mana"), &["--state", text(&path("state")), "--memory", "1KiB"]));
    assert!(read(&path("plain.mana")) == read(&path("stored.mana")));
}

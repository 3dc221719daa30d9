//! Summaries, merges and checkpoints through the program: what is judged in pieces gets the report of the whole, byte for
//! byte but for `run`, and what is interrupted goes on. `MANAFLOW_WHOLE=1` cuts all real chains, in up to 40 pieces.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const MANAFLOW: &str = env!("CARGO_BIN_EXE_manaflow");

fn manaflow(args: &[&str]) -> Output {
    Command::new(MANAFLOW).args(args).output().expect("it starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs, expects an exit code, and gives the report without `run`.
#[track_caller]
fn report(code: i32, args: &[&str]) -> String {
    let output = manaflow(&[args, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", stderr(&output));
    let mut report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    report.as_object_mut().expect("an object").remove("run").expect("run");
    report.to_string()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self, name: &str) -> String {
        text(&self.folder.path().join(name)).to_owned()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(name)).expect("it is there")
    }
}

fn sample(name: &str) -> PathBuf {
    manaflow_datasets::sample(name)
}

#[test]
fn pieces_of_the_forks_make_the_whole() {
    let (world, file) = (World::new(), sample("forks.mana"));
    let file = text(&file);
    let needs = world.path("whole.jsonl");
    let whole = report(0, &["validate", file, "--requirements", &needs, "--summary", &world.path("whole.mans")]);
    assert_eq!(report(0, &["validate", file]), whole, "a summary changes no report");
    let blocks: Value = serde_json::from_str(&whole).expect("a report");
    let last = blocks["blocks"]["last"].as_u64().expect("a number");
    let cuts = [0, 1, last / 3, last / 2, last];
    let mut names = Vec::new();
    for (i, pair) in cuts.windows(2).enumerate() {
        let end = if pair[1] == last { last } else { pair[1] - 1 };
        let (range, name) = (format!("{}..{end}", pair[0]), world.path(&format!("{i}.mans")));
        let order = ["forward", "reverse", "shuffled:3"][i % 3];
        let args = ["validate", file, "--blocks", &range, "--order", order, "--summary", &name];
        assert_eq!(manaflow(&args).status.code(), Some(0));
        names.push(name);
    }
    let [a, b, c, d] = [0, 1, 2, 3].map(|i| names[i].as_str());
    let merged = world.path("merged.jsonl");
    let at_once = ["merge", d, b, a, c, "--requirements", &merged, "--summary", &world.path("flat.mans")];
    assert_eq!(report(0, &at_once), whole);
    assert_eq!(std::fs::read(&merged).expect("a list"), std::fs::read(&needs).expect("a list"));
    let (ab, cd) = (world.path("ab.mans"), world.path("cd.mans"));
    report(0, &["merge", b, a, "--summary", &ab]);
    report(0, &["merge", c, d, "--summary", &cd]);
    assert_eq!(report(0, &["merge", &cd, &ab, "--summary", &world.path("tree.mans")]), whole);
    assert_eq!(world.read("flat.mans"), world.read("tree.mans"));
    assert_eq!(world.read("flat.mans"), world.read("whole.mans"));
    assert_eq!(report(0, &["merge", &world.path("whole.mans")]), whole);
}

#[test]
fn a_merge_refuses_with_file_and_reason() {
    let (world, file) = (World::new(), sample("forks.mana"));
    let file = text(&file);
    let name = |n: &str| world.path(n);
    for (range, n) in [("0..1", "a"), ("2..3", "b"), ("4..5", "c")] {
        assert_eq!(manaflow(&["validate", file, "--blocks", range, "--summary", &name(n)]).status.code(), Some(0));
    }
    let other = sample("mainnet.mana");
    assert_eq!(manaflow(&["validate", text(&other), "--summary", &name("m")]).status.code(), Some(0));
    std::fs::write(name("cut"), &world.read("a")[..100]).expect("written");
    let mut damaged = world.read("b");
    damaged[60] ^= 1;
    std::fs::write(name("damaged"), damaged).expect("written");
    let (a, b, c, m, cut, damaged, none) =
        (name("a"), name("b"), name("c"), name("m"), name("cut"), name("damaged"), name("none"));
    let refuse = |code: i32, words: &[&str], args: &[&str]| {
        let output = manaflow(&[&["merge"], args].concat());
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(words.iter().all(|word| said.contains(word)), "{words:?} in {said}");
        assert!(output.stdout.is_empty() && !said.contains("panicked"), "{said}");
        assert_eq!(said.lines().filter(|line| line.starts_with("hint: ")).count(), 1, "{said}");
    };
    refuse(3, &["blocks 2 to 3 are missing", &a, &c], &[&a, &c]);
    refuse(3, &["another chain", &m], &[&a, &m]);
    refuse(3, &[&cut, "length"], &[&a, &cut]);
    refuse(3, &[&damaged, "checksum"], &[&a, &damaged]);
    refuse(3, &[file, "magic"], &[&a, file]);
    refuse(3, &[&none], &[&a, &none]);
    refuse(2, &["given twice"], &[&a, &a]);
    refuse(2, &["is an input"], &[&a, &b, "--summary", &a]);
    refuse(2, &["cannot hold two results"], &[&a, &b, "--summary", &none, "--output", &none]);
    assert!(!Path::new(&none).exists());
    std::fs::copy(&a, &none).expect("copied");
    refuse(3, &["blocks 0 to 1 are there twice"], &[&a, &none]);
    assert_eq!(manaflow(&["merge", &a, &c, "--gaps"]).status.code(), Some(0));
    let usage = manaflow(&["validate", file, "--summary", &none, "--fail-fast"]);
    assert_eq!(usage.status.code(), Some(2), "{}", stderr(&usage));
    let partial = manaflow(&["validate", file, "--blocks", "2..3", "--checks", "blocks", "--summary", &none]);
    assert_eq!(partial.status.code(), Some(0));
    assert!(report(0, &["merge", &a, &none]).contains(r#""verdict":"partial""#));
}

#[test]
fn a_checkpoint_is_gone_on_from() {
    let (world, file) = (World::new(), sample("mainnet.mana"));
    let file = text(&file);
    for order in ["forward", "reverse", "shuffled:5"] {
        let whole = report(0, &["validate", file, "--order", order]);
        let checkpoint = world.path(&format!("{order}.mans"));
        let args = ["validate", file, "--order", order, "--checkpoint", &checkpoint, "--checkpoint-every", "0"];
        // Killed as soon as something is written down, or done by then: either is right.
        let mut child =
            Command::new(MANAFLOW).args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        while !Path::new(&checkpoint).exists() && child.try_wait().expect("a child").is_none() {
            std::thread::yield_now();
        }
        let _ = child.kill();
        child.wait().expect("it ends");
        let done = manaflow(&["merge", &checkpoint, "--json"]);
        assert_eq!(done.status.code(), Some(0), "what is written is whole: {}", stderr(&done));
        assert_eq!(report(0, &args), whole, "{order}");
        let again = manaflow(&args);
        assert!(stderr(&again).contains("goes on after 22 blocks that are done"), "{}", stderr(&again));
        assert_eq!(report(0, &["merge", &checkpoint]), whole, "a checkpoint is a summary");
        let others: Vec<_> = std::fs::read_dir(world.folder.path()).expect("a folder").collect();
        assert!(others.iter().flatten().all(|e| e.path().extension().is_some_and(|x| x == "mans")), "{others:?}");
    }
    let checkpoint = world.path("forward.mans");
    let other = manaflow(&["validate", file, "--checks", "blocks", "--checkpoint", &checkpoint]);
    assert_eq!(other.status.code(), Some(3));
    assert!(stderr(&other).contains("is no checkpoint of these files and options"), "{}", stderr(&other));
    std::fs::write(&checkpoint, "nothing").expect("written");
    let damaged = manaflow(&["validate", file, "--checkpoint", &checkpoint]);
    assert_eq!(damaged.status.code(), Some(3), "{}", stderr(&damaged));
}

/// Neighbours that were imported apart know nothing of each other; the seam tells what an import of both would have known.
#[test]
fn neighbours_imported_apart_are_as_those_imported_together() {
    let test = "neighbours_imported_apart_are_as_those_imported_together";
    let Some(data) = manaflow_datasets::data_for(test) else { return };
    let world = World::new();
    let blocks = data.join("mainnet/blocks");
    let numbers: Vec<u64> = std::fs::read_dir(&blocks)
        .expect("a folder")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    let mut pairs = 0;
    for number in &numbers {
        if !numbers.contains(&(number + 1)) {
            continue;
        }
        pairs += 1;
        let [a, b] = [number, &(number + 1)].map(|n| text(&blocks.join(n.to_string())).to_owned());
        let [both, first, second] = ["both.mana", "first.mana", "second.mana"].map(|name| world.path(name));
        for args in
            [vec!["import", &a, &b, "-o", &both], vec!["import", &a, "-o", &first], vec!["import", &b, "-o", &second]]
        {
            let output = manaflow(&args);
            assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        }
        let together = report(0, &["validate", &both]);
        assert!(together.contains(r#""verdict":"valid""#) && together.contains(r#""segments":1"#), "{together}");
        assert_eq!(report(0, &["validate", &second, &first]), together, "block {number}");
        let [x, y] = ["x.mans", "y.mans"].map(|name| world.path(name));
        for (file, name) in [(&first, &x), (&second, &y)] {
            assert_eq!(manaflow(&["validate", file, "--summary", name]).status.code(), Some(0));
        }
        assert_eq!(report(0, &["merge", &y, &x]), together, "block {number}");
    }
    assert_eq!(pairs, 5);
}

/// Real chains from genesis, cut at random, the pieces judged in every order, merged flat and as a tree.
#[test]
fn real_chains_are_whole_again_however_they_are_cut() {
    let Some(data) = manaflow_datasets::data_for("real_chains_are_whole_again_however_they_are_cut") else { return };
    let is_whole = manaflow_datasets::is_whole();
    let chain = |name: &str| {
        let folder = data.join("chains").join(name);
        (folder.join("chain.rlp"), folder.join("genesis.json"))
    };
    let mut sources = vec![(chain("geth600"), 6)];
    if is_whole {
        sources.extend(["hive1024", "hive3000", "devp2p3000"].map(|name| (chain(name), 40)));
        let era1 = data.join("era1/mainnet-00000-5ec1ffb8.era1");
        sources.push(((era1, data.join("genesis/mainnet.json")), 40));
    }
    let mut state = 7_u64;
    let mut random = |bound: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    for ((source, genesis), pieces) in sources {
        let world = World::new();
        let file = world.path("chain.mana");
        let imported = manaflow(&["import", text(&source), "--genesis", text(&genesis), "-o", &file]);
        assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
        let whole = report(0, &["validate", &file]);
        let blocks: Value = serde_json::from_str(&whole).expect("a report");
        let last = blocks["blocks"]["last"].as_u64().expect("a number");
        let mut starts: Vec<u64> = (1..pieces).map(|_| 1 + random(last)).chain([0]).collect();
        starts.sort_unstable();
        starts.dedup();
        let mut names = Vec::new();
        for (i, start) in starts.iter().enumerate() {
            let end = starts.get(i + 1).map_or(last, |next| next - 1);
            let (range, name) = (format!("{start}..{end}"), world.path(&format!("{i}.mans")));
            let order = ["forward", "reverse", "shuffled:3"][random(3) as usize];
            let judged = manaflow(&["validate", &file, "--blocks", &range, "--order", order, "--summary", &name]);
            assert_eq!(judged.status.code(), Some(0), "{range}: {}", stderr(&judged));
            names.push(name);
        }
        let flat: Vec<&str> = ["merge"].into_iter().chain(names.iter().rev().map(String::as_str)).collect();
        assert_eq!(report(0, &flat), whole, "{} at {starts:?}", source.display());
        while names.len() > 1 {
            let i = random(names.len() as u64 - 1) as usize;
            let (a, b) = (names.remove(i), names.remove(i));
            let merged = manaflow(&["merge", &b, &a, "--summary", &a]);
            // A summary that is read is not written over.
            assert_eq!(merged.status.code(), Some(2));
            let both = world.path(&format!("{}-{i}-both.mans", names.len()));
            report(0, &["merge", &b, &a, "--summary", &both]);
            names.insert(i, both);
        }
        assert_eq!(report(0, &["merge", &names[0]]), whole, "{} as a tree", source.display());
    }
}

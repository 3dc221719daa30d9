//! Bad input and wrong usage: the right exit code, the file and the place on standard error, one hint, nothing
//! half-written, never a panic.
//!
//! Exit codes: 2 wrong usage; 3 input missing, truncated, malformed; 4 this machine.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const MANAFLOW: &str = env!("CARGO_BIN_EXE_manaflow");

fn manaflow<S: AsRef<OsStr>>(args: &[S]) -> Output {
    Command::new(MANAFLOW).args(args).env_remove("RUST_LOG").output().expect("it starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Expects a failure: code, words on standard error, one hint, no result.
#[track_caller]
fn fails<S: AsRef<OsStr>>(code: i32, words: &[&str], args: &[S]) -> String {
    let output = manaflow(args);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {said}");
    }
    assert!(output.stdout.is_empty(), "no result: {said}");
    assert!(!said.contains("panicked"), "{said}");
    let hints = said.lines().filter(|line| line.starts_with("hint: ")).count();
    // What clap refuses, clap explains.
    assert_eq!(hints, usize::from(!said.contains("For more information, try '--help'")), "{said}");
    said
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// A folder to work in, with a small block file.
struct World {
    folder: TempDir,
    data: PathBuf,
}

impl World {
    fn new(test: &str) -> Option<Self> {
        let data = manaflow_datasets::data_for(test)?;
        Some(Self { folder: tempfile::tempdir().expect("a folder"), data })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        std::fs::write(&path, bytes).expect("written");
        path
    }

    /// A block file of one real block of one transaction.
    fn block_file(&self) -> PathBuf {
        let path = self.path("small.mana");
        let source = self.data.join("mainnet/blocks/46147");
        let output = manaflow(&["import", text(&source), "-o", text(&path)]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        path
    }

    /// Names of what an import has left in the folder of its output.
    fn left(&self) -> Vec<String> {
        let out = self.path("out");
        let names = std::fs::read_dir(out).expect("a folder").map(|e| e.expect("an entry").file_name());
        names.map(|name| name.to_string_lossy().into_owned()).collect()
    }

    /// Expects an import to fail and to leave nothing behind; a file of that name stays as it was.
    #[track_caller]
    fn import_fails(&self, code: i32, words: &[&str], sources: &[&Path], options: &[&str]) -> String {
        let output = self.write("out/chain.mana", "as it was");
        let mut args = vec!["import"];
        args.extend(sources.iter().map(|path| text(path)));
        args.extend(options);
        args.extend(["-o", text(&output)]);
        let said = fails(code, words, &args);
        assert_eq!(self.left(), ["chain.mana"]);
        assert_eq!(std::fs::read(&output).expect("still there"), b"as it was");
        said
    }
}

#[test]
fn block_files_cut_off_anywhere() {
    let Some(world) = World::new("block_files_cut_off_anywhere") else { return };
    let whole = std::fs::read(world.block_file()).expect("a block file");
    let borders = [0, 1, 7, 8, 9, 12, 100, 1_151, 1_152, 1_153, 2_048, 4_096, whole.len() - 64, whole.len() - 1];
    let spread = (1..40).map(|i| whole.len() * i / 40);
    for length in borders.into_iter().filter(|n| *n < whole.len()).chain(spread) {
        let path = world.write("cut.mana", &whole[..length]);
        for command in ["validate", "inspect"] {
            let said = fails(3, &["cut.mana: "], &[command, text(&path)]);
            // Path, place, reason.
            assert!(said.lines().next().expect("a line").matches(": ").count() >= 3, "{length}: {said}");
        }
    }
    // And with more at the end than it should have.
    let path = world.write("long.mana", [&whole[..], &[0; 64]].concat());
    fails(3, &["long.mana: "], &["validate", text(&path)]);
}

#[test]
fn block_files_of_another_version_or_torn() {
    let Some(world) = World::new("block_files_of_another_version_or_torn") else { return };
    let whole = std::fs::read(world.block_file()).expect("a block file");
    let mut bytes = whole.clone();
    bytes[8] = 99;
    let path = world.write("future.mana", &bytes);
    for command in ["validate", "inspect"] {
        fails(3, &["future.mana: offset 8: format version 99"], &[command, text(&path)]);
    }
    // One changed byte in each of many places: found by a checksum, with the place.
    for i in 0..64 {
        let mut bytes = whole.clone();
        bytes[whole.len() * i / 64] ^= 0x40;
        let path = world.write("torn.mana", &bytes);
        fails(3, &["torn.mana: "], &["validate", text(&path)]);
    }
}

#[test]
fn what_is_no_block_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("text.mana"), "{\"version\": 1}").expect("written");
    std::fs::write(path("long.mana"), vec![b'x'; 100_000]).expect("written");
    std::fs::write(path("zeros.mana"), vec![0; 100_000]).expect("written");
    std::fs::write(path("empty.mana"), "").expect("written");
    std::fs::create_dir(path("folder.mana")).expect("created");
    for name in ["text", "long", "zeros", "empty", "folder", "missing"] {
        let path = path(&format!("{name}.mana"));
        for command in ["validate", "inspect"] {
            fails(3, &[text(&path)], &[command, text(&path)]);
        }
        // Beside a good reason to stop early.
        fails(3, &[text(&path)], &["validate", text(&path), text(&path), "--fail-fast", "--json"]);
    }
    fails(3, &["text.mana/below"], &["validate", text(&path("text.mana").join("below"))]);
}

#[test]
fn snapshots_with_a_file_missing_or_cut_off() {
    let Some(world) = World::new("snapshots_with_a_file_missing_or_cut_off") else { return };
    let mainnet = world.data.join("mainnet");
    let read = |path: &str| std::fs::read(mainnet.join(path)).expect("there");
    // A block whose accounts have code.
    let number = "1150000";
    let parts = [
        (format!("blocks/{number}/block.json"), "block.json"),
        (format!("blocks/{number}/pre_state.json"), "pre_state.json"),
        ("codes.jsonl".into(), "codes.jsonl"),
        ("block_hashes.json".into(), "block_hashes.json"),
    ];
    for (_, missing) in &parts {
        let root = world.path(&format!("without-{missing}"));
        for (path, name) in parts.iter().filter(|(_, name)| name != missing) {
            let folder = if path.starts_with("blocks") { number } else { "" };
            world.write(&format!("without-{missing}/{folder}/{name}"), read(path));
        }
        let output = world.path("out.mana");
        let done = manaflow(&["import", text(&root), "-o", text(&output)]);
        let said = stderr(&done);
        if *missing == "block_hashes.json" && done.status.code() == Some(0) {
            // The block asks for no hash.
            std::fs::remove_file(&output).expect("written");
            continue;
        }
        assert_eq!(done.status.code(), Some(3), "without {missing}: {said}");
        assert!(said.contains(text(&root)) && said.contains("hint: ") && !said.contains("panicked"), "{said}");
        assert!(!output.exists());
        assert!(*missing == "block.json" || said.contains(missing) || said.contains("code"), "{missing}: {said}");
    }
    for (path, name) in &parts[..2] {
        let whole = read(path);
        for part in 1..6 {
            for (path, name) in &parts {
                let folder = if path.starts_with("blocks") { number } else { "" };
                world.write(&format!("cut/{folder}/{name}"), read(path));
            }
            world.write(&format!("cut/{number}/{name}"), &whole[..whole.len() * part / 6]);
            world.import_fails(3, &[text(&world.path("cut"))], &[&world.path("cut")], &[]);
        }
    }
}

#[test]
fn a_genesis_that_is_not_the_chains() {
    let Some(world) = World::new("a_genesis_that_is_not_the_chains") else { return };
    let chains = world.data.join("chains");
    let chain = chains.join("execapis/chain.rlp");
    let other = chains.join("geth600/genesis.json");
    world.import_fails(3, &["chain.rlp", "genesis"], &[&chain], &["--genesis", text(&other)]);
    let era = world.data.join("era1/mainnet-00000-5ec1ffb8.era1");
    world.import_fails(3, &["era1", "genesis"], &[&era], &["--genesis", text(&other)]);
    // No genesis, one that is none, one that is not there.
    let alone = world.write("alone/chain.rlp", std::fs::read(&chain).expect("a chain"));
    world.import_fails(3, &["genesis"], &[&alone], &[]);
    let none = world.write("none.json", "{\"alloc\": 7}");
    world.import_fails(3, &["none.json"], &[&chain], &["--genesis", text(&none)]);
    world.import_fails(3, &["nowhere.json"], &[&chain], &["--genesis", text(&world.path("nowhere.json"))]);
}

#[test]
fn chains_cut_off_anywhere() {
    let Some(world) = World::new("chains_cut_off_anywhere") else { return };
    let folder = world.data.join("chains/geth600");
    let genesis = folder.join("genesis.json");
    let chain = std::fs::read(folder.join("chain.rlp")).expect("a chain");
    let era = std::fs::read(world.data.join("era1/mainnet-00000-5ec1ffb8.era1")).expect("an era");
    let mainnet = world.data.join("genesis/mainnet.json");
    for part in 1..8 {
        // Odd, so that it is no end of a block.
        let cut = world.write("cut/chain.rlp", &chain[..chain.len() * part / 8]);
        let said = world.import_fails(3, &["chain.rlp: byte "], &[&cut], &["--genesis", text(&genesis)]);
        assert!(said.contains("block "), "{said}");
        let cut = world.write("cut/cut.era1", &era[..era.len() * part / 8]);
        world.import_fails(3, &["cut.era1: "], &[&cut], &["--genesis", text(&mainnet)]);
    }
    for (name, bytes) in [("empty.rlp", &[][..]), ("text.rlp", b"hello, world"), ("empty.era1", &[])] {
        let path = world.write(&format!("no/{name}"), bytes);
        world.import_fails(3, &[name], &[&path], &["--genesis", text(&genesis)]);
    }
    world.import_fails(3, &["no source here"], &[&world.path("no source here")], &[]);
    std::fs::create_dir(world.path("hollow")).expect("created");
    world.import_fails(3, &["hollow", "nothing to import"], &[&world.path("hollow")], &[]);
}

#[test]
fn outputs_that_cannot_be_written() {
    let Some(world) = World::new("outputs_that_cannot_be_written") else { return };
    let small = world.block_file();
    let source = world.data.join("mainnet/blocks/46147");
    let file = world.write("a file", "");
    std::fs::create_dir(world.path("a folder")).expect("created");
    let places = [world.path("no folder/x"), file.join("x"), world.path("a folder"), "/proc/x".into(), "/".into()];
    for place in &places {
        let place = text(place);
        let folder = if place == "/proc/x" { "/proc" } else { place.trim_end_matches("/x") };
        fails(4, &[folder], &["import", text(&source), "-o", place]);
        fails(4, &[folder], &["validate", text(&small), "--output", place]);
        fails(4, &[folder], &["validate", text(&small), "--requirements", place]);
    }
    assert_eq!(std::fs::read_dir(world.path("a folder")).expect("a folder").count(), 0);
    // An output that is an input would destroy it.
    let before = std::fs::read(&small).expect("a block file");
    std::os::unix::fs::symlink(&small, world.path("link")).expect("linked");
    for name in ["small.mana", "./small.mana", "link"] {
        let output = world.path(name);
        fails(2, &["is an input"], &["validate", text(&small), "--output", text(&output)]);
        fails(2, &["is an input"], &["import", text(&small), "-o", text(&output)]);
    }
    assert_eq!(std::fs::read(&small).expect("still there"), before);
    fails(2, &["standard output"], &["import", text(&source), "-o", "-"]);
}

#[test]
fn a_report_is_whole_or_not_there() {
    let Some(world) = World::new("a_report_is_whole_or_not_there") else { return };
    let small = world.block_file();
    let report = world.path("report.json");
    let requirements = world.path("requirements.jsonl");
    let (file, out, needs) = (text(&small), text(&report), text(&requirements));
    let output = manaflow(&["validate", file, "--json", "--output", out, "--requirements", needs]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&report).expect("written")).expect("JSON");
    assert_eq!((&json["version"], &json["verdict"]), (&1.into(), &"valid".into()));
    let lines = std::fs::read_to_string(&requirements).expect("written");
    assert!(lines.lines().count() > 0);
    for line in lines.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("one JSON object a line");
    }
}

#[test]
fn wrong_usage_of_every_option() {
    let Some(world) = World::new("wrong_usage_of_every_option") else { return };
    let small = world.block_file();
    let small = text(&small);
    let validate: [&[&str]; 22] = [
        &["--order", "sideways"],
        &["--order", "shuffled:x"],
        &["--order"],
        &["--checks", "signatures,magic"],
        &["--checks", ""],
        &["--threads", "0"],
        &["--threads", "many"],
        &["--threads", "1025"],
        &["--blocks", "5"],
        &["--blocks", "7..5"],
        &["--blocks", "a..b"],
        &["--blocks", "-1..5"],
        &["--state-root", "every:0"],
        &["--state-root", "sometimes"],
        &["--state-root", "end"],
        &["--state-root", "every:2"],
        &["--chain", "atlantis"],
        &["--limit", "-1"],
        &["--limit", "all"],
        &["--json=yes"],
        &["--unknown"],
        &["--output"],
    ];
    for options in validate {
        let args = [&["validate", small], options].concat();
        let said = fails(2, &[], &args);
        assert!(!said.is_empty());
    }
    let import: [&[&str]; 6] = [
        &[],
        &["-o"],
        &["-o", "x", "--chain", "atlantis"],
        &["-o", "x", "--threads", "0"],
        &["-o", "x", "--genesis"],
        &["-o", "x", "--unknown"],
    ];
    for options in import {
        fails(2, &[], &[&["import", small], options].concat());
    }
    fails(2, &[], &["import", "-o", "x"]);
    let inspect: [&[&str]; 6] = [
        &["--block", "x"],
        &["--block", "-1"],
        &["--transaction", "x"],
        &["--transaction", "0x12"],
        &["--transaction", "5:x"],
        &["--block", "1", "--transaction", "1:1"],
    ];
    for options in inspect {
        fails(2, &[], &[&["inspect", small], options].concat());
    }
    for args in [&["validate"][..], &["inspect"], &["inspect", small, small], &["conquer"], &["--unknown"]] {
        fails(2, &[], args);
    }
    // Sensible questions that this file does not answer.
    fails(3, &["small.mana", "mainnet", "sepolia"], &["validate", small, "--chain", "sepolia"]);
    fails(3, &["no block in 1..2"], &["validate", small, "--blocks", "1..2"]);
    fails(3, &["small.mana", "block 7"], &["inspect", small, "--block", "7"]);
    fails(3, &["small.mana", "46147:9"], &["inspect", small, "--transaction", "46147:9"]);
}

/// Standard output or standard error that nobody reads: the command ends as if somebody did, quietly.
#[test]
fn closed_pipes_are_quiet() {
    let Some(world) = World::new("closed_pipes_are_quiet") else { return };
    let small = world.block_file();
    let small = text(&small);
    for args in [&["validate", small][..], &["inspect", small, "--moves", "--json"], &["validate", small, "--json"]] {
        let mut child =
            Command::new(MANAFLOW).args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
        assert_eq!(child.wait().expect("it ends").code(), Some(0), "{said}");
        assert_eq!(said, "");
    }
    let missing = world.path("missing.mana");
    for (args, code) in [
        (&["validate", text(&missing)][..], 3),
        (&["validate", small, "--checks", "signatures", "--order", "reverse"], 0),
        (&["validate", small, "--state-root", "end"], 2),
    ] {
        let mut child =
            Command::new(MANAFLOW).args(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        drop(child.stderr.take());
        assert_eq!(child.wait().expect("it ends").code(), Some(code), "{args:?}");
    }
}

#[test]
fn a_closed_pipe_does_not_make_an_invalid_chain_valid() {
    let Some(world) = World::new("a_closed_pipe_does_not_make_an_invalid_chain_valid") else { return };
    // A transaction of hive1024 moved between blocks: well-formed RLP that no chain has.
    let chain = world.data.join("chains/hive1024/chain.rlp");
    let mut bytes = std::fs::read(chain).expect("data");
    let place = bytes.len() - 40;
    bytes[place] ^= 1;
    let chain = world.write("chain.rlp", bytes);
    let genesis = world.data.join("chains/hive1024/genesis.json");
    let file = world.path("invalid.mana");
    let import = manaflow(&["import", text(&chain), "--genesis", text(&genesis), "-o", text(&file)]);
    assert!(import.status.success(), "{}", stderr(&import));
    assert_eq!(manaflow(&["validate", text(&file)]).status.code(), Some(1));
    for json in [&[][..], &["--json"]] {
        let args = [&["validate", text(&file)], json].concat();
        let mut child = Command::new(MANAFLOW).args(args).stdout(Stdio::piped()).spawn().expect("it starts");
        drop(child.stdout.take());
        assert_eq!(child.wait().expect("it ends").code(), Some(1));
    }
}

#[test]
fn pipes_and_links_stay_what_they_are() {
    let Some(world) = World::new("pipes_and_links_stay_what_they_are") else { return };
    let small = world.block_file();
    let pipe = world.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let is_pipe =
        || std::os::unix::fs::FileTypeExt::is_fifo(&pipe.symlink_metadata().expect("it is there").file_type());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::read_to_string(pipe).expect("a report")
    });
    let ran = manaflow(&["validate", text(&small), "--json", "--output", text(&pipe)]);
    assert!(ran.status.success(), "{}", stderr(&ran));
    assert!(reader.join().expect("it reads").starts_with("{\"version\":1,"));
    assert!(is_pipe());
    let chain = world.data.join("chains/execapis");
    let (rlp, genesis) = (chain.join("chain.rlp"), chain.join("genesis.json"));
    fails(2, &["pipe", "no regular file"], &["import", text(&rlp), "--genesis", text(&genesis), "-o", text(&pipe)]);
    assert!(is_pipe());
    fails(3, &["pipe", "not a regular file"], &["validate", text(&pipe)]);
    let (target, link) = (world.write("target.mana", b"old"), world.path("link.mana"));
    std::os::unix::fs::symlink(&target, &link).expect("a link");
    let ran = manaflow(&["import", text(&rlp), "--genesis", text(&genesis), "-o", text(&link)]);
    assert!(ran.status.success(), "{}", stderr(&ran));
    assert!(link.symlink_metadata().expect("it is there").is_symlink());
    assert!(manaflow(&["validate", text(&target)]).status.success());
}

/// A device may never end, and a pipe may never begin: sources are regular files.
#[test]
fn sources_that_are_no_regular_files() {
    let Some(world) = World::new("sources_that_are_no_regular_files") else { return };
    let chain = world.data.join("chains/execapis/chain.rlp");
    for genesis in ["/dev/zero", "/dev/full", "/dev/null"] {
        let options = ["--genesis", genesis];
        world.import_fails(3, &[genesis, "is not a regular file"], &[&chain], &options);
    }
    let pipe = world.path("folder/block.json");
    std::fs::create_dir_all(world.path("folder")).expect("created");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    world.write("folder/pre_state.json", "{}");
    world.import_fails(3, &["block.json", "is not a regular file"], &[&world.path("folder")], &[]);
    for path in ["/dev/zero", text(&pipe)] {
        fails(3, &[path, "is not a regular file"], &["fixtures", path]);
    }
}

/// Numbers that no machine can hold are refused before anything is made.
#[test]
fn numbers_beyond_reason() {
    let most = u64::MAX.to_string();
    let bench = |stage: &str, option: &str, number: &str| {
        let given = format!("{option}={number}");
        fails(2, &[option], &["bench", stage, &given])
    };
    for number in [most.as_str(), "9223372036854775807", "0x10", "-1"] {
        for (stage, option) in
            [("hashes", "--lengths"), ("hashes", "--messages"), ("signatures", "--rows"), ("double-use", "--moves")]
        {
            bench(stage, option, number);
        }
    }
    bench("signatures", "--distinct", "101");
    let lengths = ["bench", "hashes", "--lengths", "1048576", "--messages", "16777216"];
    fails(2, &["16777216 messages of 1048576 bytes"], &lengths);
    let memory = std::fs::read_to_string("/proc/meminfo").ok();
    let kib = memory.as_deref().and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok());
    match kib {
        Some(kib) if kib < 300 << 20 => {
            fails(4, &["2147483648 moves"], &["bench", "double-use", "--moves", "2147483648"]);
        }
        _ => manaflow_datasets::skip("numbers_beyond_reason", "this machine may have memory for 2^31 moves"),
    }
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("g.mana");
    for cells in ["0", "4294967295"] {
        fails(2, &["cells for 10 moves"], &["generate", "--moves", "10", "--cells", cells, "-o", text(&out)]);
    }
    assert!(!out.exists());
}

#[test]
fn inputs_and_outputs_do_not_meet() {
    let Some(world) = World::new("inputs_and_outputs_do_not_meet") else { return };
    let small = world.block_file();
    let rlp = world.data.join("chains/execapis/chain.rlp");
    let genesis =
        world.write("genesis.json", std::fs::read(world.data.join("chains/execapis/genesis.json")).expect("data"));
    let args = ["import", text(&rlp), "--genesis", text(&genesis), "-o", text(&genesis)];
    fails(2, &["genesis.json", "is an input"], &args);
    let both = world.path("both");
    let args = ["validate", text(&small), "--requirements", text(&both), "--output", text(&both)];
    fails(2, &["both", "report and requirements"], &args);
    assert!(!both.exists());
    fails(2, &["standard output", "report and requirements"], &["validate", text(&small), "--requirements", "-"]);
    let link = world.path("link.mana");
    std::fs::hard_link(&small, &link).expect("a link");
    fails(2, &["link.mana", "given twice"], &["validate", text(&small), text(&link)]);
}

/// Two histories of one block: a report would have to say which it is about.
#[test]
fn blocks_that_are_there_twice_are_refused() {
    let Some(world) = World::new("blocks_that_are_there_twice_are_refused") else { return };
    let small = world.block_file();
    let copy = world.path("copy.mana");
    std::fs::copy(&small, &copy).expect("copied");
    for order in ["forward", "reverse", "shuffled:1"] {
        let args = ["validate", text(&small), text(&copy), "--order", order];
        fails(3, &["blocks 46147 to 46147 are there twice", "small.mana, segment 0", "copy.mana, segment 0"], &args);
    }
}

#[test]
fn names_that_are_no_text_are_names() {
    let Some(world) = World::new("names_that_are_no_text_are_names") else { return };
    let small = world.block_file();
    let odd = world.folder.path().join(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"a\xff.mana"));
    std::fs::copy(&small, &odd).expect("copied");
    for args in [["inspect", "--json"], ["validate", "--json"]] {
        let ran = Command::new(MANAFLOW).args(args).arg(&odd).output().expect("it starts");
        assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
    }
}

//! Style that can be checked is checked: crate arrows, headers, lengths, places of unsafe code, versions.
//!
//! Looks at the files of the workspace as they lie on disk, `target` and hidden folders left out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use toml::Table;

/// Lines of a file, tests and tables aside.
const LINES_MAX: usize = 700;

/// A crate and the ones of ours that it may use; tests of each may use `datasets` too.
const ARROWS: [(&str, &[&str]); 6] = [
    ("shaders", &[]),
    ("loader", &[]),
    ("engine", &["loader", "shaders"]),
    ("cli", &["engine", "loader"]),
    ("datasets", &["engine", "loader", "shaders"]),
    ("benches", &["datasets", "engine", "loader", "shaders"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All files below a folder, with paths from the root.
fn files_below(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(root().join(folder)).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("a name in UTF-8");
        let path = folder.join(&name);
        if name.starts_with('.') && name != ".ci" || path == Path::new("target") {
            continue;
        }
        if entry.file_type().expect("a type").is_dir() { files_below(&path, out) } else { out.push(path) }
    }
}

fn files(extensions: &[&str]) -> Vec<PathBuf> {
    let mut all = Vec::new();
    files_below(Path::new(""), &mut all);
    all.retain(|path| path.extension().is_some_and(|e| extensions.iter().any(|x| e == *x)));
    all.sort();
    assert!(!all.is_empty());
    all
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs")
}

fn manifest(krate: &str) -> Table {
    read(format!("{krate}/Cargo.toml")).parse().expect("a manifest")
}

/// Our crates in a table of dependencies, by folder.
fn ours(manifest: &Table, table: &str) -> BTreeSet<String> {
    let Some(table) = manifest.get(table).and_then(|t| t.as_table()) else { return BTreeSet::new() };
    let folder = |name: &String| match name.as_str() {
        "manaflow" => Some("cli".to_owned()),
        name => name.strip_prefix("manaflow-").map(str::to_owned),
    };
    table.keys().filter_map(folder).collect()
}

#[test]
fn data_flows_one_way() {
    let workspace: Table = read("Cargo.toml").parse().expect("a manifest");
    let members = workspace["workspace"]["members"].as_array().expect("a list");
    let members: BTreeSet<_> = members.iter().map(|m| m.as_str().expect("a name")).collect();
    assert_eq!(members, ARROWS.iter().map(|(krate, _)| *krate).collect(), "each crate has its arrows");
    for (krate, allowed) in ARROWS {
        let manifest = manifest(krate);
        let allowed: BTreeSet<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
        for table in ["dependencies", "build-dependencies"] {
            let used = ours(&manifest, table);
            assert!(used.is_subset(&allowed), "{krate}: {table}: {used:?}, allowed {allowed:?}");
        }
        let for_tests = &allowed | &BTreeSet::from(["datasets".to_owned()]);
        let used = ours(&manifest, "dev-dependencies");
        assert!(used.is_subset(&for_tests), "{krate}: dev-dependencies: {used:?}, allowed {for_tests:?}");
        // What only some targets need is none of ours.
        let targets = manifest.get("target").and_then(|t| t.as_table()).into_iter().flatten();
        let targets: Vec<&Table> = targets.map(|(_, tables)| tables.as_table().expect("tables")).collect();
        // Names are bound once, in the workspace; no crate has a path of its own to another.
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            assert!(targets.iter().all(|tables| ours(tables, table).is_empty()), "{krate}: {table} of a target");
            for tables in targets.iter().copied().chain([&manifest]) {
                let Some(table) = tables.get(table).and_then(|t| t.as_table()) else { continue };
                for (name, value) in table {
                    assert_eq!(value.get("workspace").and_then(|w| w.as_bool()), Some(true), "{krate}: {name}");
                }
            }
        }
    }
}

#[test]
fn every_file_says_first_what_it_is() {
    for path in files(&["rs"]) {
        let text = read(&path);
        assert!(text.starts_with("//! "), "{}: does not open with //!", path.display());
    }
    for path in files(&["rs", "wgsl"]).iter().filter(|path| path.extension().is_some_and(|e| e == "wgsl")) {
        assert!(read(path).starts_with("// "), "{}: does not open with //", path.display());
    }
}

#[test]
fn files_have_a_length() {
    for path in files(&["rs", "wgsl"]) {
        let text = read(&path);
        let lines = text.lines().count();
        let is_table = path.file_stem().is_some_and(|stem| stem == "tables" || stem == "table");
        assert!(lines <= LINES_MAX || is_test(&path) || is_table, "{}: {lines} lines", path.display());
        for (i, line) in text.lines().enumerate() {
            assert!(!line.ends_with(' ') && !line.contains('\t'), "{}:{}: white space", path.display(), i + 1);
        }
    }
}

/// Whether a line of code, comments aside, has the keyword.
fn has_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or("");
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices("unsafe").any(|(i, word)| {
        !code[..i].ends_with(is_word) && !code[i + word.len()..].starts_with(is_word) && !code[..i].ends_with('"')
    })
}

#[test]
fn unsafe_code_is_in_its_places() {
    // With an X for the word's first letter, so that this file does not hold it.
    let finds = |line: &str| has_unsafe(&line.replace('X', "u"));
    assert!(finds("let x = Xnsafe { y };") && finds("Xnsafe fn f() {}"));
    assert!(!finds("#![deny(Xnsafe_code)]") && !finds("// Xnsafe") && !finds("is_Xnsafe()"));
    for path in files(&["rs"]) {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        let is_place = path == Path::new("loader/src/map.rs")
            || (path.starts_with("engine/src") && ["avx2.rs", "avx512.rs", "threaded.rs"].contains(&name));
        let text = read(&path);
        for (i, line) in text.lines().enumerate().filter(|(_, line)| has_unsafe(line)) {
            // The one line that enters a kernel is marked where it stands.
            let is_dispatch = text
                .lines()
                .take(i + 1)
                .collect::<Vec<_>>()
                .iter()
                .rev()
                .take(4)
                .any(|line| line.contains("// SAFETY: ") && path.starts_with("engine/src"));
            assert!(is_place || is_dispatch, "{}:{}: {line}", path.display(), i + 1);
        }
    }
    for (krate, root, attribute) in [
        ("cli", "main.rs", "#![forbid(unsafe_code)]"),
        ("shaders", "lib.rs", "#![forbid(unsafe_code)]"),
        ("datasets", "lib.rs", "#![forbid(unsafe_code)]"),
        ("benches", "lib.rs", "#![forbid(unsafe_code)]"),
        ("engine", "lib.rs", "#![deny(unsafe_code)]"),
        ("loader", "lib.rs", "#![deny(unsafe_code)]"),
    ] {
        assert!(read(format!("{krate}/src/{root}")).contains(attribute), "{krate}: {attribute}");
        let manifest = manifest(krate);
        assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "{krate}: lints of the workspace");
    }
}

#[test]
fn no_path_of_anybodys_machine() {
    // Put together here, so that this file does not hold them.
    let paths: Vec<String> = ["work", "root", "home", "Users"].iter().map(|name| format!("/{name}/")).collect();
    for path in files(&["rs", "wgsl", "md", "toml", "json", "run", "lock"]) {
        if path.starts_with("benches/runs") {
            continue; // what a machine printed
        }
        let text = read(&path);
        for (i, line) in text.lines().enumerate() {
            for needle in &paths {
                let at_start = |at: usize| at == 0 || !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '.');
                let found = line.match_indices(needle.as_str()).any(|(at, _)| at_start(at));
                assert!(!found, "{}:{}: {needle} in {line}", path.display(), i + 1);
            }
        }
    }
}

#[test]
fn functions_of_the_list_of_mutants_are_there() {
    let text = read("engine/MUTANTS.md");
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ") && line.contains(".rs | ")).collect();
    assert!(!rows.is_empty());
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [file, function, _, why] = cells[..] else { panic!("{row}: {} cells, expected 4", cells.len()) };
        let name = function.rsplit("::").next().expect("a name");
        assert!(read(file).contains(&format!("fn {name}")), "{row}: {file} has no function {name}");
        assert!(!why.is_empty(), "{row}: no reason");
    }
}

#[test]
fn versions_are_those_of_the_constants() {
    let lock: Table = read("Cargo.lock").parse().expect("a lock file");
    let packages = lock["package"].as_array().expect("a list");
    let revm: Vec<_> = packages.iter().filter(|p| p["name"].as_str() == Some("revm")).collect();
    assert_eq!(revm.len(), 1, "one EVM");
    assert_eq!(revm[0]["version"].as_str(), Some(manaflow_engine::REVM_VERSION));

    let format = read("loader/FORMAT.md");
    let (format_version, protocol_version) =
        (manaflow_loader::file::FORMAT_VERSION, manaflow_loader::file::PROTOCOL_VERSION);
    assert!(format.starts_with(&format!("# The block file, version {format_version}\n")));
    assert!(format.contains(&format!("format version: {format_version}.")));
    assert!(format.contains(&format!("protocol version: {protocol_version} |")));
    let summary = read("loader/SUMMARY.md");
    assert!(summary.starts_with(&format!("# The summary, version {}\n", manaflow_loader::summary::SUMMARY_VERSION)));
    assert!(summary.contains(&format!("protocol version: {protocol_version}, little-endian")));
    let protocol = read("engine/PROTOCOL.md");
    assert!(protocol.starts_with(&format!("# The protocol, version {protocol_version}\n")));
}

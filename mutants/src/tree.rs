//! The mutated copy of the tree, below `target/mutants`, and its build.

use crate::mutate::{Mutant, Place, mutate, places};
use crate::{GROUPS, Group};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The switch: what `is` asks. A panic ends the process at once, since one failed test is enough; unless tests expect one.
const SWITCH: &str = r#"//! Switches one mutant on.

use std::sync::OnceLock;

/// Whether a mutant is switched on.
#[inline]
pub fn is(id: u32) -> bool {
    static ACTIVE: OnceLock<u32> = OnceLock::new();
    *ACTIVE.get_or_init(|| {
        let active = std::env::var("MANAFLOW_MUTANT").ok().and_then(|n| n.parse().ok());
        if active.is_some() && std::env::var_os("MANAFLOW_MUTANT_PANICS").is_none() {
            std::panic::set_hook(Box::new(|info| {
                eprintln!("{info}");
                std::process::exit(101);
            }));
        }
        active.unwrap_or(0)
    }) == id
}
"#;

/// What a build came to.
pub struct Built {
    /// All mutants.
    pub mutants: Vec<Mutant>,
    /// Those that do not compile.
    pub dropped: BTreeSet<u32>,
    /// Test binaries by crate folder and target, with the folder that they run in.
    pub binaries: BTreeMap<(String, String), PathBuf>,
    /// The copy.
    pub tree: PathBuf,
}

/// Files by path, and their text.
pub type Files = Vec<(String, String)>;

/// The files of all groups as they are.
pub fn originals(root: &Path) -> Result<Files, String> {
    let read = |path: String| match std::fs::read_to_string(root.join(&path)) {
        Ok(text) => Ok((path, text)),
        Err(e) => Err(format!("{path}: {e}")),
    };
    GROUPS.iter().flat_map(Group::paths).map(read).collect()
}

/// Mutated files, and their mutants.
pub fn mutated(originals: &Files, dropped: &BTreeSet<u32>) -> Result<(Files, Vec<Mutant>), String> {
    let (mut files, mut mutants, mut next) = (Vec::new(), Vec::new(), 1);
    for (path, text) in originals {
        let (text, found) = mutate(path, text, &mut next, dropped).map_err(|e| format!("{path}: {e}"))?;
        files.push((path.clone(), text));
        mutants.extend(found);
    }
    Ok((files, mutants))
}

/// Copies, mutates and builds until what does not compile is left out. Mutants that are not wanted are not put in, so that
/// the build of a few is that of the code as it is.
pub fn build(root: &Path, is_wanted: impl Fn(&Mutant) -> bool) -> Result<Built, String> {
    let tree = root.join("target/mutants/tree");
    let mutated_paths: BTreeSet<String> = GROUPS.iter().flat_map(Group::paths).collect();
    copy(root, &tree, &mutated_paths)?;
    let originals = originals(root)?;
    let (_, mutants) = mutated(&originals, &BTreeSet::new())?;
    let unwanted: BTreeSet<u32> = mutants.iter().filter(|m| !is_wanted(m)).map(|m| m.id).collect();
    let mut dropped = BTreeSet::new();
    loop {
        let (files, mutants) = mutated(&originals, &dropped.union(&unwanted).copied().collect())?;
        for (path, text) in &files {
            write(&tree.join(path), text.as_bytes())?;
        }
        let paths: Vec<PathBuf> = files.iter().map(|(path, _)| tree.join(path)).collect();
        // In lines, errors can be read; rustfmt leaves what it cannot format.
        let _ = Command::new("rustfmt").args(["--edition", "2024"]).args(&paths).output();
        let (binaries, errors) = cargo(root, &tree)?;
        if errors.is_empty() {
            eprintln!("{} mutants, {} do not build", mutants.len() - unwanted.len(), dropped.len());
            return Ok(Built { mutants, dropped, binaries, tree });
        }
        let found = blamed(&tree, &mutated_paths, &errors)?;
        if found.is_subset(&dropped) {
            let said: Vec<&str> = errors.iter().filter_map(|e| e["rendered"].as_str()).collect();
            return Err(format!("the tree does not build, and no mutant is to blame:\n{}", said.join("\n")));
        }
        eprintln!("{} mutants do not build; building without them", found.len());
        dropped.extend(found);
    }
}

/// Copies what git knows or would add; files that are as they were are not touched, so that builds go on from the last.
fn copy(root: &Path, tree: &Path, mutated: &BTreeSet<String>) -> Result<(), String> {
    let out = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(root)
        .output()
        .map_err(|e| format!("git: {e}"))?;
    let listed = String::from_utf8(out.stdout).map_err(|e| format!("git: {e}"))?;
    let paths: BTreeSet<&str> = listed.split('\0').filter(|p| !p.is_empty() && root.join(p).is_file()).collect();
    if paths.is_empty() {
        return Err("git lists no files here".into());
    }
    let crates: BTreeSet<&str> = GROUPS.iter().map(|g| g.krate).collect();
    for krate in &crates {
        prune(&tree.join(krate).join("src"), &|path| {
            path.strip_prefix(tree).is_ok_and(|p| paths.contains(&*p.to_string_lossy()))
        })?;
    }
    for path in &paths {
        if mutated.contains(*path) {
            continue;
        }
        let mut bytes = std::fs::read(root.join(path)).map_err(|e| format!("{path}: {e}"))?;
        if crates.iter().any(|krate| *path == format!("{krate}/src/lib.rs")) {
            let allow = b"#![allow(warnings, missing_docs, arithmetic_overflow, unconditional_panic)]\n";
            bytes = [&allow[..], &bytes, b"pub mod mutation;\n"].concat();
        }
        write(&tree.join(path), &bytes)?;
    }
    crates.iter().try_for_each(|krate| write(&tree.join(krate).join("src/mutation.rs"), SWITCH.as_bytes()))
}

/// Takes away files of an earlier copy that are no more: two files may stand for one module.
fn prune(folder: &Path, is_kept: &dyn Fn(&Path) -> bool) -> Result<(), String> {
    let error = |e| format!("{}: {e}", folder.display());
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries.collect::<Result<Vec<_>, _>>().map_err(error)?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(error(e)),
    };
    for path in entries.into_iter().map(|entry| entry.path()) {
        if path.is_dir() {
            prune(&path, is_kept)?;
        } else if !is_kept(&path) && path.file_name().is_none_or(|name| name != "mutation.rs") {
            std::fs::remove_file(&path).map_err(error)?;
        }
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let error = |e| format!("{}: {e}", path.display());
    std::fs::create_dir_all(path.parent().expect("below the tree")).map_err(error)?;
    std::fs::write(path, bytes).map_err(error)
}

/// Builds the tests of the stages: binaries, and errors.
#[allow(clippy::type_complexity)]
fn cargo(root: &Path, tree: &Path) -> Result<(BTreeMap<(String, String), PathBuf>, Vec<Value>), String> {
    let mut command = Command::new("cargo");
    // All packages, so that features are those of the workspace's own tests.
    command.args(["test", "--release", "--workspace", "--no-run", "--message-format=json"]);
    let stages = GROUPS.iter().flat_map(|g| g.stages);
    for target in stages.map(|s| s.target).collect::<BTreeSet<_>>() {
        if target == "lib" {
            command.arg("--lib")
        } else {
            command.args(["--test", target])
        };
    }
    for krate in ["loader", "engine", "cli"] {
        // One build, and short runs: what is worth optimising are the dependencies, as they are for the other tests.
        let name = if krate == "cli" { "manaflow" } else { &format!("manaflow-{krate}") };
        command.args(["--config", &format!("profile.release.package.{name}.opt-level=1")]);
    }
    command.current_dir(tree).env("CARGO_TARGET_DIR", root.join("target/mutants/build"));
    command.stderr(std::process::Stdio::inherit());
    let out = command.output().map_err(|e| format!("cargo: {e}"))?;
    let (mut binaries, mut errors) = (BTreeMap::new(), Vec::new());
    for line in out.stdout.split(|b| *b == b'\n').filter(|line| line.starts_with(b"{")) {
        let message: Value = serde_json::from_slice(line).map_err(|e| format!("cargo: {e}"))?;
        if message["reason"] == "compiler-message" && message["message"]["level"] == "error" {
            errors.push(message["message"].clone());
        }
        if let Some(executable) = message["executable"].as_str() {
            let manifest = Path::new(message["manifest_path"].as_str().unwrap_or_default());
            let krate =
                manifest.parent().and_then(|p| p.file_name()).unwrap_or_default().to_string_lossy().into_owned();
            let is_test = message["profile"]["test"] == true;
            let kind = message["target"]["kind"][0].as_str().unwrap_or_default();
            let name = message["target"]["name"].as_str().unwrap_or_default();
            if is_test && kind != "bin" {
                let target = if kind == "lib" { "lib" } else { name };
                binaries.insert((krate, target.to_owned()), PathBuf::from(executable));
            }
        }
    }
    if !out.status.success() && errors.is_empty() {
        return Err("cargo failed without an error of the compiler".into());
    }
    Ok((binaries, errors))
}

/// The mutants that errors point into: the innermost branch of each span, else what the first span is within.
fn blamed(tree: &Path, paths: &BTreeSet<String>, errors: &[Value]) -> Result<BTreeSet<u32>, String> {
    let mut of_files: BTreeMap<&str, Vec<Place>> = BTreeMap::new();
    for path in paths {
        let text = std::fs::read_to_string(tree.join(path)).map_err(|e| format!("{path}: {e}"))?;
        of_files.insert(path, places(&text).map_err(|e| format!("{path}: {e}"))?);
    }
    let mut found = BTreeSet::new();
    for error in errors {
        let mut spans: Vec<&Value> = error["spans"].as_array().into_iter().flatten().collect();
        spans.extend(error["children"].as_array().into_iter().flatten().flat_map(|c| c["spans"].as_array()).flatten());
        let within = |span: &Value, by_branch: bool| {
            let file = span["file_name"].as_str()?;
            let (line, column) = (span["line_start"].as_u64()? as usize, span["column_start"].as_u64()? as usize - 1);
            let range = |p: &Place| if by_branch { p.branch } else { p.whole };
            let all = of_files.get(file)?.iter();
            let inside = all.filter(|p| range(p).0 <= (line, column) && (line, column) < range(p).1);
            inside.max_by_key(|p| range(p).0).map(|p| p.id)
        };
        let by_branch: Vec<u32> = spans.iter().filter_map(|s| within(s, true)).collect();
        if by_branch.is_empty() {
            found.extend(spans.iter().filter(|s| s["is_primary"] == true).filter_map(|s| within(s, false)));
        }
        found.extend(by_branch);
    }
    Ok(found)
}

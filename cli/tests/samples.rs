//! The sample files that come with the repository: as the manifest says, valid in every order, and made again byte for byte.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn manaflow(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_manaflow")).args(args).output().expect("the program starts")
}

fn manifest() -> Vec<Value> {
    let text = std::fs::read(manaflow_datasets::sample("manifest.json")).expect("the manifest is there");
    let manifest: Value = serde_json::from_slice(&text).expect("the manifest is JSON");
    manifest["files"].as_array().expect("the manifest lists files").clone()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} is a text"))
}

fn checksum(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn samples_are_those_of_the_manifest() {
    let mut names = Vec::new();
    for file in manifest() {
        let path = manaflow_datasets::sample(text(&file, "name"));
        assert_eq!(checksum(&path), text(&file, "sha256"), "{}", path.display());
        assert_eq!(
            std::fs::metadata(&path).expect("it was just read").len(),
            file["bytes"].as_u64().expect("a number")
        );
        names.push(text(&file, "name").to_string());
    }
    assert_eq!(names, ["mainnet.mana", "forks.mana"]);
}

/// A report without `run`, which differs from run to run.
fn report(file: &Path, order: &str) -> String {
    let file = file.to_str().expect("paths of this repository are text");
    let output = manaflow(&["validate", file, "--order", order, "--json"]);
    assert!(output.status.success(), "{file} {order}: {}", String::from_utf8_lossy(&output.stdout));
    let mut report: Value = serde_json::from_slice(&output.stdout).expect("the report is JSON");
    report.as_object_mut().expect("the report is an object").remove("run");
    report.to_string()
}

#[test]
fn samples_are_valid_in_every_order() {
    for file in manifest() {
        let path = manaflow_datasets::sample(text(&file, "name"));
        let forward = report(&path, "forward");
        assert!(forward.contains(r#""verdict":"valid""#), "{forward}");
        assert_eq!(report(&path, "reverse"), forward);
        assert_eq!(report(&path, "shuffled:7"), forward);
    }
}

#[test]
fn samples_are_made_again_byte_for_byte() {
    let Some(data) = manaflow_datasets::data_for("samples_are_made_again_byte_for_byte") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    for file in manifest() {
        let out = folder.path().join(text(&file, "name"));
        let in_data = |value: &Value| -> PathBuf { data.join(value.as_str().expect("sources are texts")) };
        let mut command = Command::new(env!("CARGO_BIN_EXE_manaflow"));
        command.arg("import").args(file["sources"].as_array().expect("a list").iter().map(in_data));
        for option in file["options"].as_array().expect("a list") {
            let option_text = option.as_str().expect("options are texts");
            if option_text.starts_with("--") {
                command.arg(option_text)
            } else {
                command.arg(in_data(option))
            };
        }
        let output = command.arg("-o").arg(&out).output().expect("the program starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(checksum(&out), text(&file, "sha256"), "{}", text(&file, "name"));
    }
}

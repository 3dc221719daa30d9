//! What the program says of itself and of the machine: devices, self-test, version, completions, manual pages.

use serde_json::Value;
use std::process::{Command, Output};

fn manaflow(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_manaflow"))
        .args(args)
        .env_remove("MANAFLOW_BACKEND")
        .output()
        .expect("the program starts")
}

fn said(args: &[&str]) -> String {
    let output = manaflow(args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_self_test_passes_and_names_every_backend() {
    let report: Value = serde_json::from_str(&said(&["selftest", "--json"])).expect("JSON");
    let backends = report["backends"].as_array().expect("a list");
    for (stage, backend) in [
        ("signatures", "libsecp256k1"),
        ("signatures", "scalar"),
        ("hashes", "keccak-asm"),
        ("hashes", "scalar"),
        ("execution", "plain"),
    ] {
        let found = backends.iter().find(|known| known["stage"] == stage && known["backend"] == backend);
        assert_eq!(found.expect("it is listed")["standing"], "proven", "{stage} {backend}");
    }
    assert!(backends.iter().all(|known| known["standing"] != "failed"), "{report}");
    let words = said(&["selftest"]);
    assert!(words.contains("signatures") && words.contains("(the default)"), "{words}");
}

#[test]
fn a_backend_is_available_exactly_if_it_can_be_forced() {
    let report: Value = serde_json::from_str(&said(&["selftest", "--json"])).expect("JSON");
    let file = manaflow_datasets::sample("forks.mana");
    for known in report["backends"].as_array().expect("a list") {
        let name = |key: &str| known[key].as_str().expect("a text").to_owned();
        let force = format!("{}={}", name("stage"), name("backend"));
        let args = ["validate", file.to_str().expect("a text"), "--blocks", "0..3", "--backend", &force, "--json"];
        let output = manaflow(&args);
        let expected = if known["standing"] == "proven" { Some(0) } else { Some(4) };
        assert_eq!(output.status.code(), expected, "{force}: {}", String::from_utf8_lossy(&output.stderr));
        if expected == Some(0) {
            let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            assert_eq!(report["run"]["backends"][name("stage")], name("backend"), "{force}");
        }
    }
}

#[test]
fn devices_are_listed() {
    let report: Value = serde_json::from_str(&said(&["devices", "--json"])).expect("JSON");
    assert!(report["processor"]["cores"].as_u64() > Some(0), "{report}");
    let adapters = report["adapters"].as_array().expect("a list");
    for adapter in adapters {
        assert_eq!(adapter["chosen_for_speed"], adapter["kind"] != "software", "{adapter}");
        assert!(adapter["binding_bytes"].as_u64() > Some(0), "{adapter}");
    }
    if adapters.is_empty() {
        eprintln!("skipped: devices_are_listed: no GPU, not even in software");
    }
    let words = said(&["devices"]);
    assert!(words.starts_with("processor") && words.contains("instructions") && words.contains("GPUs"), "{words}");
}

#[test]
fn the_version_says_what_it_was_made_from() {
    assert_eq!(said(&["-V"]).trim(), format!("manaflow {}", env!("CARGO_PKG_VERSION")));
    let long = said(&["--version"]);
    for name in
        ["commit", "compiler", "compiled for", "found here", "GPUs", "block file", "summary", "protocol", "revm"]
    {
        let line = long.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {long}"));
        assert!(!line.trim().is_empty(), "{name}: {long}");
    }
    assert!(long.contains("rustc ") && long.contains("revm          43."), "{long}");
}

#[test]
fn completions_and_manual_pages_know_all_commands() {
    let commands = ["validate", "merge", "import", "inspect", "generate", "fixtures", "bench", "devices", "selftest"];
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = said(&["completions", shell]);
        for command in commands {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let pages = folder.path().join("man1");
    said(&["man", pages.to_str().expect("a text")]);
    for command in commands {
        let page = std::fs::read_to_string(pages.join(format!("manaflow-{command}.1"))).expect("a page");
        assert!(page.contains("Examples"), "{command}: {page}");
    }
    // What is in the way of a folder is named.
    let output = manaflow(&["man", file_in(&folder).to_str().expect("a text")]);
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("in-the-way"));
}

fn file_in(folder: &tempfile::TempDir) -> std::path::PathBuf {
    let path = folder.path().join("in-the-way");
    std::fs::write(&path, b"").expect("written");
    path
}

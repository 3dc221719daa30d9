//! `manaflow bench`: what it prints, what it writes, and how it ends.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn manaflow(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_manaflow")).args(args).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn text_of(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Little of every stage.
const LITTLE: [&str; 12] =
    ["bench", "--quick", "--samples", "1", "--threads", "1,2", "--moves", "3000", "--rows", "16", "--messages", "64"];

#[test]
fn a_run_has_every_stage_and_its_page_the_same_figures() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("page.html");
    let ran = manaflow(&[&LITTLE[..], &["--json", "--report", text_of(&page)]].concat());
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    let run: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    let results = run["results"].as_array().expect("a list");
    for stage in ["hashes", "signatures", "double-use", "decoding", "execution", "pipeline"] {
        let of_stage: Vec<_> = results.iter().filter(|line| line["stage"] == stage).collect();
        assert!(!of_stage.is_empty(), "{stage}");
        assert!(of_stage.iter().all(|line| line["per_second"].as_f64() > Some(0.0)), "{stage}");
        assert!(text(&ran.stderr).contains(&format!("bench: {stage} (")), "progress is told");
    }
    let threads = |stage: &str, kernel: &str| -> Vec<u64> {
        let lines = results.iter().filter(|line| line["stage"] == stage && line["kernel"] == kernel);
        lines.filter_map(|line| line["threads"].as_u64()).collect()
    };
    assert_eq!(threads("pipeline", "validate"), [1, 2]);
    assert_eq!(threads("decoding", "open-and-verify"), [1], "what works on one thread is measured once");
    // Two peers that only a whole run meets.
    let ratio = |stage: &str, peer: &str| {
        results.iter().any(|line| line["stage"] == stage && line["ratio"][peer].as_f64() > Some(0.0))
    };
    assert!(ratio("pipeline", "sequential") && ratio("execution", "revm"));
    let page = std::fs::read_to_string(page).expect("the page is written");
    let in_page: Vec<f64> = page
        .split("data-per-second=\"")
        .skip(1)
        .map(|part| part.split('"').next().and_then(|number| number.parse().ok()).expect("a number"))
        .collect();
    let in_json: Vec<f64> = results.iter().map(|line| line["per_second"].as_f64().expect("a number")).collect();
    // What reads JSON here may err in the last bit.
    assert_eq!(in_page.len(), in_json.len());
    assert!(in_page.iter().zip(&in_json).all(|(a, b)| (a - b).abs() <= b * 1e-12), "{in_page:?} {in_json:?}");
}

#[test]
fn words_name_what_was_skipped_and_why_there_is_no_score() {
    let ran = manaflow(&["bench", "hashes", "--samples", "1", "--messages", "64", "--lengths", "64", "--threads", "1"]);
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    let out = text(&ran.stdout);
    assert!(out.contains("skipped: hashes wgpu: ") && out.contains("no score: it is of all stages"), "{out}");
    assert!(out.contains("keccak256") && out.contains("sha3 ") && out.contains("hashes/s"), "{out}");
}

/// A run with two lines of such rates.
fn stored(folder: &Path, name: &str, rates: [f64; 2]) -> PathBuf {
    let line = |kernel: &str, rate: f64| {
        let seconds = if rate > 0.0 { 100.0 / rate } else { 1.0 };
        json!({
            "stage": "stage", "kernel": kernel, "backend": "cpu", "threads": 1, "rows": 100, "unit": "rows", "input": "input",
            "per_second": rate, "samples": [seconds, seconds, seconds], "ratio": {},
        })
    };
    let path = folder.join(name);
    let run = json!({ "version": 1, "results": [line("a", rates[0]), line("b", rates[1])] });
    std::fs::write(&path, run.to_string()).expect("written");
    path
}

#[test]
fn a_planted_regression_is_found_and_ends_with_1() {
    let folder = tempfile::tempdir().expect("a folder");
    let before = stored(folder.path(), "before.json", [100.0, 100.0]);
    let after = stored(folder.path(), "after.json", [90.0, 120.0]);
    let compare =
        |a: &Path, b: &Path, more: &[&str]| manaflow(&[&["bench", "compare", text_of(a), text_of(b)], more].concat());
    let slower = compare(&before, &after, &["--json"]);
    assert_eq!(slower.status.code(), Some(1), "{}", text(&slower.stderr));
    let compared: Value = serde_json::from_slice(&slower.stdout).expect("JSON");
    assert_eq!(compared["regressions"], 1);
    assert_eq!(compared["changes"][0]["judgement"], "regression");
    assert_eq!(compared["changes"][1]["judgement"], "faster");
    assert_eq!(compare(&before, &after, &["--threshold", "0.2"]).status.code(), Some(0));
    assert_eq!(compare(&before, &before, &[]).status.code(), Some(0));
    let words = text(&compare(&before, &after, &[]).stdout);
    assert!(words.contains("REGRESSION") && words.contains("1 of 2 lines"), "{words}");
}

#[test]
fn bad_input_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = stored(folder.path(), "good.json", [1.0, 1.0]);
    let zero = stored(folder.path(), "zero.json", [0.0, 1.0]);
    let nonsense = folder.path().join("nonsense.json");
    std::fs::write(&nonsense, "{\"version\":1,").expect("written");
    let later = folder.path().join("later.json");
    std::fs::write(&later, "{\"version\":2,\"results\":[]}").expect("written");
    let missing = folder.path().join("missing");
    for (args, code, words) in [
        (vec!["bench", "hash"], 2, "hash"),
        (vec!["bench", "--threads", "0"], 2, "0"),
        (vec!["bench", "compare", text_of(&good), text_of(&good), "--threshold", "120%"], 2, "share"),
        (vec!["bench", "double-use", "--kernels", "guessed", "--moves", "1000"], 2, "guessed"),
        (vec!["bench", "pipeline", "--input", text_of(&missing)], 3, "missing"),
        (vec!["bench", "pipeline", "--input", text_of(&nonsense)], 3, "nonsense.json"),
        (vec!["bench", "compare", text_of(&good), text_of(&missing)], 3, "missing"),
        (vec!["bench", "compare", text_of(&good), text_of(&nonsense)], 3, "no run of the benchmark"),
        (vec!["bench", "compare", text_of(&good), text_of(&later)], 3, "version 2"),
        (vec!["bench", "compare", text_of(&good), text_of(&zero)], 3, "above zero"),
    ] {
        let ran = manaflow(&args);
        let said = text(&ran.stderr);
        assert_eq!(ran.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
    }
}

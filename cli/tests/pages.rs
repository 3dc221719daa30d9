//! Pages of verdicts: their figures are those of the report, and names in them are text.

use manaflow_datasets::lies::Sample;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// The exit code, the report and the page of a command that comes to a verdict.
fn ran(args: &[&str], page: &Path) -> (Option<i32>, Value, String) {
    let args = [args, &["--json", "--report", text(page)]].concat();
    let output = Command::new(env!("CARGO_BIN_EXE_manaflow")).args(&args).output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}: {said}"));
    (output.status.code(), report, std::fs::read_to_string(page).expect("the page is written"))
}

/// What stands in an attribute, wherever it stands.
fn attributes(page: &str, name: &str) -> Vec<f64> {
    let before = format!("{name}=\"");
    let parts = page.split(&before).skip(1);
    parts.map(|part| part.split('"').next().and_then(|text| text.parse().ok()).expect("a number")).collect()
}

fn assert_figures(report: &Value, page: &str) {
    let number = |value: &Value| value.as_f64().expect("a number");
    let rows = [&report["blocks"]["count"], &report["transactions"], &report["moves"], &report["gas"]].map(number);
    assert_eq!(attributes(page, "data-rows"), rows);
    let seconds: Vec<f64> = report["run"]["cpu_seconds"].as_object().expect("stages").values().map(number).collect();
    let of_page = attributes(page, "data-seconds");
    assert!(of_page == seconds || (of_page.is_empty() && seconds.iter().all(|s| *s == 0.0)), "{of_page:?} {seconds:?}");
    for digest in ["parent_hash", "tip_hash"] {
        assert!(page.contains(report["blocks"][digest].as_str().expect("a hash")), "{digest}");
    }
    for outside in ["http://", "https://", "src=", "@import", "url(", "<script"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn pages_say_what_reports_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let (page, summary) = (folder.path().join("page.html"), folder.path().join("a.mans"));
    let sample = manaflow_datasets::sample("forks.mana");
    let (code, report, html) = ran(&["validate", text(&sample), "--summary", text(&summary)], &page);
    assert_eq!((code, report["verdict"].as_str()), (Some(0), Some("valid")));
    assert_figures(&report, &html);
    assert!(html.contains("class=\"good\">valid<") && !html.contains("class=\"bad\""));
    let (code, report, html) = ran(&["merge", text(&summary)], &page);
    assert_eq!(code, Some(0));
    assert_figures(&report, &html);
}

#[test]
fn a_page_names_every_fault_that_is_listed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (page, path) = (folder.path().join("page.html"), folder.path().join("false.mana"));
    let mut sample = Sample::open(&manaflow_datasets::sample("forks.mana"));
    sample.change_header(0, 3, |header| header.gas_used += 1);
    sample.write(&path).expect("written");
    let (code, report, html) = ran(&["validate", text(&path)], &page);
    assert_eq!(code, Some(1));
    assert_figures(&report, &html);
    assert!(html.contains("class=\"bad\">invalid<"), "{html}");
    let faults = report["invalid"].as_array().expect("a list");
    assert_eq!(html.matches("class=\"fault\"").count(), faults.len());
    for fault in faults {
        let (check, reason) = (fault["check"].as_str().expect("a check"), fault["reason"].as_str().expect("a reason"));
        assert!(html.contains(&format!("{check}: {reason}")), "{fault}");
    }
    // Fewer listed, all counted.
    let (_, report, html) = ran(&["validate", text(&path), "--limit", "0"], &page);
    let all = report["invalid_total"].as_u64().expect("a number");
    assert!(all > 0 && html.contains(&format!("and {all} more")), "{html}");
}

#[test]
fn a_page_cannot_take_the_place_of_another_result() {
    let folder = tempfile::tempdir().expect("a folder");
    let sample = manaflow_datasets::sample("forks.mana");
    let page = folder.path().join("page.html");
    for args in [["--output", text(&page)], ["--requirements", text(&page)], ["--report", text(&sample)]] {
        let report = if args[0] == "--report" { vec![] } else { vec!["--report", text(&page)] };
        let all = [&["validate", text(&sample)][..], &args, &report].concat();
        let output = Command::new(env!("CARGO_BIN_EXE_manaflow")).args(&all).output().expect("the program starts");
        assert_eq!(output.status.code(), Some(2), "{all:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(!page.exists());
    }
}

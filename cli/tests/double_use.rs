//! Synthetic moves, planted violations: every procedure of `validate` finds exactly these, in memory and out of core.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

const PLANTED: [&str; 5] = ["version-not-before", "virgin-not-default", "double-use", "stale-read", "wrong-before"];

fn manaflow(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_manaflow")).args(args).output().expect("the program starts")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn json(code: i32, args: &[&str]) -> Value {
    let output = manaflow(args);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// (block, index, reason) of a list.
fn places(list: &Value) -> BTreeSet<(u64, u64, String)> {
    let place = |item: &Value| {
        let number = |key: &str| item[key].as_u64().expect("a number");
        (number("block"), number("index"), item["reason"].as_str().expect("a text").to_owned())
    };
    list.as_array().expect("a list").iter().map(place).collect()
}

/// A report without what differs from run to run, and the procedure that made it.
fn report(code: i32, args: &[&str]) -> (Value, String) {
    let mut report = json(code, &[args, &["--json"]].concat());
    let run = report.as_object_mut().expect("an object").remove("run").expect("it is there");
    (report, run["procedure"].as_str().expect("a text").to_owned())
}

/// Every way to judge, and the procedure that does it.
const WAYS: [(&[&str], &str); 8] = [
    (&[], "forward"),
    (&["--order", "reverse"], "reverse"),
    (&["--order", "shuffled:3"], "shards"),
    (&["--double-use", "sorted"], "shards"),
    (&["--double-use", "sorted", "--memory", "64KiB"], "shards"),
    (&["--double-use", "sorted", "--memory", "0", "--threads", "1"], "shards"),
    (&["--double-use", "summed"], "sum"),
    (&["--double-use", "streaming", "--order", "shuffled:1"], "forward"),
];

#[test]
fn planted_violations_are_found_whatever_the_procedure() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("moves.mana");
    let plant = PLANTED.map(|name| format!("{name}=4")).join(",");
    for distribution in ["uniform", "zipf", "hot"] {
        let kind = ["--moves", "40000", "--distribution", distribution, "--last", "-o", text(&path)];
        for (planted, code) in [(true, 1), (false, 0)] {
            let more: &[&str] = if planted { &["--plant", &plant] } else { &[] };
            let made = json(0, &[&["generate", "--json"], &kind[..], more].concat());
            let expected = places(&made["planted"]);
            assert_eq!(expected.len(), if planted { 20 } else { 0 }, "{distribution}");
            let mut first = None;
            for (way, procedure) in WAYS {
                let (report, by) = report(code, &[&["validate", text(&path), "--checks", "conflicts"], way].concat());
                // A sum confirms, and names nobody.
                let decided = if planted && procedure == "sum" { "sum, shards" } else { procedure };
                assert_eq!(by, decided, "{way:?}");
                assert_eq!(report["verdict"], if planted { "invalid" } else { "partial" }, "{way:?}");
                assert_eq!(places(&report["invalid"]), expected, "{distribution} {way:?}");
                assert_eq!(report["invalid_total"], expected.len(), "{distribution} {way:?}");
                assert_eq!(first.get_or_insert_with(|| report.clone()), &report, "{distribution} {way:?}");
            }
        }
    }
}

/// A range stands on what lies before it: requirements, and the same from every procedure.
#[test]
fn ranges_of_synthetic_moves_give_one_report() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("moves.mana");
    json(0, &["generate", "--json", "--moves", "30000", "--transactions", "100", "--last", "-o", text(&path)]);
    let mut first = None;
    for (way, _) in WAYS {
        let range = ["validate", text(&path), "--checks", "conflicts", "--blocks", "7..30"];
        let (report, _) = report(0, &[&range[..], way].concat());
        assert!(report["requirements"]["cells"].as_u64() > Some(1000), "{report}");
        assert_eq!(first.get_or_insert_with(|| report.clone()), &report, "{way:?}");
    }
}

#[test]
fn what_cannot_be_spilled_is_no_verdict() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("moves.mana");
    json(0, &["generate", "--json", "--moves", "5000", "-o", text(&path)]);
    let none = folder.path().join("none");
    let args = ["validate", text(&path), "--checks", "conflicts", "--double-use", "sorted", "--memory", "0"];
    let output = manaflow(&[&args[..], &["--scratch", text(&none)]].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(output.stdout.is_empty() && said.contains("none: ") && said.contains("hint: "), "{said}");
    let kept = folder.path().join("kept");
    std::fs::create_dir(&kept).expect("created");
    let output = manaflow(&[&args[..], &["--scratch", text(&kept)]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read_dir(&kept).expect("a folder").count(), 0, "nothing is left");
}

/// Hints are trusted by nobody, and read by one procedure; that their bytes are damaged is refused by all.
#[test]
fn damaged_hints_are_refused_whatever_the_procedure() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("moves.mana");
    json(0, &["generate", "--json", "--moves", "20000", "--last", "-o", text(&path)]);
    let whole = std::fs::read(&path).expect("read");
    for section in [35, 36] {
        // Offset and length of a section, from the table behind 160 bytes.
        let word = |at: usize| u64::from_le_bytes(whole[at..at + 8].try_into().expect("eight")) as usize;
        let (start, length) = (word(160 + 24 * section + 8), word(160 + 24 * section + 16));
        assert!(length > 0, "section {section}");
        let mut damaged = whole.clone();
        damaged[start + length / 2] ^= 1;
        std::fs::write(&path, damaged).expect("written");
        for how in ["streaming", "sorted", "summed"] {
            let output = manaflow(&["validate", text(&path), "--checks", "conflicts", "--double-use", how]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(3), "section {section}, {how}: {said}");
            assert!(output.stdout.is_empty() && said.contains("checksum differs"), "section {section}, {how}: {said}");
        }
    }
}

#[test]
fn plans_that_cannot_be_carried_out_are_wrong_usage() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("moves.mana");
    for wrong in [
        &["--moves", "0"][..],
        &["--moves", "100", "--cells", "3"],
        &["--moves", "100", "--plant", "double-use=50"],
        &["--moves", "100", "--plant", "contradiction=1"],
        &["--moves", "100", "--plant", "double-use"],
        &["--moves", "100", "--distribution", "gauss"],
        &["--moves", "100000000000"],
    ] {
        let output = manaflow(&[&["generate", "-o", text(&path)], wrong].concat());
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(!path.exists(), "{wrong:?}");
    }
    for wrong in ["1XB", "lots", "99999999999TiB", ""] {
        let output = manaflow(&["validate", text(&path), "--memory", wrong]);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}

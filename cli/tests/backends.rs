//! Backends: each gives the same report and the same file byte for byte, can be forced, and is named.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

const BACKENDS: [&str; 4] = ["libsecp256k1", "scalar", "avx512", "wgpu"];
const EXECUTORS: [&str; 2] = ["plain", "threaded"];
const BACKENDS_OF_HASHES: [&str; 5] = ["keccak-asm", "scalar", "avx2", "avx512", "wgpu"];

fn manaflow(args: &[&str], variable: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_manaflow"));
    command.args(args).env_remove("MANAFLOW_BACKEND");
    if let Some(value) = variable {
        command.env("MANAFLOW_BACKEND", value);
    }
    command.output().expect("the program starts")
}

/// Whether the program says that this machine cannot run the backend; then it is counted as skipped.
fn is_unavailable(output: &Output, test: &str, backend: &str) -> bool {
    let err = String::from_utf8_lossy(&output.stderr);
    let unavailable = output.status.code() == Some(4) && err.contains("has not what backend");
    if unavailable {
        eprintln!("skipped: {test}: backend {backend} is not available here");
    }
    unavailable
}

/// The report without `run`, and who recovered signatures.
fn judged(output: &Output) -> (String, String) {
    judged_by(output, "signatures")
}

/// The report without `run`, and who did the work of a stage.
fn judged_by(output: &Output, stage: &str) -> (String, String) {
    let mut report: Value = serde_json::from_slice(&output.stdout).expect("the report is JSON");
    let run = report.as_object_mut().expect("an object").remove("run").expect("a run");
    (report.to_string(), run["backends"][stage].as_str().expect("a name").to_string())
}

#[test]
fn reports_are_the_same_by_every_executor() {
    for name in ["mainnet.mana", "forks.mana"] {
        let file = manaflow_datasets::sample(name);
        let file = file.to_str().expect("paths of this repository are text");
        let mut expected = None;
        for executor in EXECUTORS {
            let output = manaflow(&["validate", file, "--json", "--backend", &format!("execution={executor}")], None);
            if is_unavailable(&output, "reports_are_the_same_by_every_executor", executor) {
                continue;
            }
            let (report, by) = judged_by(&output, "execution");
            assert_eq!(by, executor);
            assert!(report.contains(r#""verdict":"valid""#), "{report}");
            assert_eq!(expected.get_or_insert_with(|| report.clone()), &report, "{executor}");
        }
    }
}

#[test]
fn reports_are_the_same_by_every_backend() {
    for name in ["mainnet.mana", "forks.mana"] {
        let file = manaflow_datasets::sample(name);
        let file = file.to_str().expect("paths of this repository are text");
        let (expected, by) =
            judged(&manaflow(&["validate", file, "--json", "--backend", "signatures=libsecp256k1"], None));
        assert_eq!(by, "libsecp256k1");
        assert!(expected.contains(r#""verdict":"valid""#), "{expected}");
        for backend in &BACKENDS[1..] {
            let force = format!("signatures={backend}");
            for threads in ["1", "3"] {
                let args = ["validate", file, "--json", "--backend", &force, "--threads", threads];
                let output = manaflow(&args, None);
                if is_unavailable(&output, "reports_are_the_same_by_every_backend", backend) {
                    continue;
                }
                assert_eq!(judged(&output), (expected.clone(), (*backend).to_string()));
            }
        }
        let (report, chosen) = judged(&manaflow(&["validate", file, "--json"], None));
        assert!(report == expected && BACKENDS[..3].contains(&chosen.as_str()), "{chosen}");
    }
}

/// The device too, in software if there is no other: what it hashes of this file is most of its code.
#[test]
fn reports_are_the_same_by_every_backend_of_hashes() {
    let test = "reports_are_the_same_by_every_backend_of_hashes";
    let file = manaflow_datasets::sample("mainnet.mana");
    let file = file.to_str().expect("paths of this repository are text");
    let (expected, chosen) = judged_by(&manaflow(&["validate", file, "--json"], None), "hashes");
    assert!(
        expected.contains(r#""verdict":"valid""#) && chosen != "wgpu" && chosen != "scalar",
        "{chosen}: {expected}"
    );
    for backend in BACKENDS_OF_HASHES {
        let output = manaflow(&["validate", file, "--json", "--backend", &format!("hashes={backend}")], None);
        if !is_unavailable(&output, test, backend) {
            assert_eq!(judged_by(&output, "hashes"), (expected.clone(), backend.to_string()));
        }
    }
    let output = manaflow(&["validate", file, "--json"], Some("signatures=scalar,hashes=keccak-asm"));
    assert_eq!(judged_by(&output, "hashes").1, "keccak-asm");
}

#[test]
fn a_backend_is_forced_by_the_environment_and_an_option_goes_before_it() {
    let file = manaflow_datasets::sample("forks.mana");
    let file = file.to_str().expect("paths of this repository are text");
    let by = |args: &[&str], variable| judged(&manaflow(&[&["validate", file, "--json"], args].concat(), variable)).1;
    assert_eq!(by(&[], Some("signatures=scalar")), "scalar");
    let odd = std::os::unix::ffi::OsStrExt::from_bytes(b"signatures=scalar,\xff");
    let odd: &std::ffi::OsStr = odd;
    let mut command = Command::new(env!("CARGO_BIN_EXE_manaflow"));
    let output = command.args(["validate", file]).env("MANAFLOW_BACKEND", odd).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(2), "what is no text is not taken for nothing");
    assert_eq!(by(&["--backend", "signatures=libsecp256k1"], Some("signatures=scalar")), "libsecp256k1");
    for (bad, said) in [
        ("signatures=gpu", "no backend"),
        ("hashes=gpu", "no backend"),
        ("avx512", "expected STAGE=BACKEND"),
        ("keys=x", "expected"),
    ] {
        for (args, variable) in [(vec!["validate", file, "--backend", bad], None), (vec!["validate", file], Some(bad))]
        {
            let output = manaflow(&args, variable);
            let err = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(2), true), "{bad}: {err}");
            assert!(err.contains(said), "{bad}: {err}");
        }
    }
}

#[test]
fn imports_are_the_same_by_every_backend() {
    let Some(data) = manaflow_datasets::data_for("imports_are_the_same_by_every_backend") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let import = |source: &str, stage: &str, backend: &str| -> Option<Vec<u8>> {
        let to = folder.path().join(format!("{stage}-{backend}.mana"));
        let text = |path: &Path| path.to_str().expect("a text").to_string();
        let (source, to_text) = (text(&data.join(source)), text(&to));
        let force = format!("{stage}={backend}");
        let output = manaflow(&["import", &source, "-o", &to_text, "--backend", &force], None);
        if is_unavailable(&output, "imports_are_the_same_by_every_backend", backend) {
            return None;
        }
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(std::fs::read(&to).expect("it was written"))
    };
    for source in ["chains/execapis/chain.rlp", "chains/geth600/chain.rlp", "mainnet/blocks"] {
        for (stage, backends) in [("signatures", &BACKENDS[..]), ("execution", &EXECUTORS[..])] {
            let expected = import(source, stage, backends[0]).expect("a library is there");
            let others = backends[1..].iter().filter_map(|backend| import(source, stage, backend));
            others.for_each(|file| assert!(file == expected, "{source}: {stage}"));
        }
    }
}

//! Signed chains that `generate` makes: valid by all checks in any order, the same whenever they are made, and what is made is
//! what any import makes of the sources. Another client takes them in `nodes`.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

const PROFILES: [&str; 4] = ["transfers", "tokens", "exchange", "mixed"];

fn manaflow(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_manaflow")).args(args).output().expect("the program starts")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn json(args: &[&str]) -> Value {
    let output = manaflow(&[args, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Arguments of a small chain.
fn small<'a>(profile: &'a str, distribution: &'a str, seed: &'a str, output: &'a Path) -> Vec<&'a str> {
    let mut args = vec!["generate", "--profile", profile, "--distribution", distribution, "--seed", seed];
    args.extend(["--blocks", "4", "--transactions", "33", "--accounts", "20", "-o", text(output)]);
    args
}

#[test]
fn every_profile_is_valid_in_any_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("chain.mana");
    for profile in PROFILES {
        for distribution in ["uniform", "zipf", "hot"] {
            let made = json(&small(profile, distribution, "1", &file));
            assert_eq!((&made["blocks"], &made["transactions"]), (&5.into(), &132.into()), "{profile}, {distribution}");
            // A swap that asks for too much fails, and nothing else does.
            let failed = made["failed"].as_u64().expect("a number");
            match profile {
                "exchange" => assert!((1..20).contains(&failed), "{failed}"),
                "mixed" => assert!(failed < 10, "{failed}"),
                _ => assert_eq!(failed, 0, "{profile}"),
            }
            for order in ["forward", "reverse", "shuffled"] {
                let report = json(&["validate", text(&file), "--order", order, "--state-root", "every:1"]);
                assert_eq!(report["verdict"], "valid", "{profile}, {distribution}, {order}: {report}");
            }
        }
    }
}

#[test]
fn a_plan_gives_one_chain_and_its_sources_give_it_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let (first, again, other, imported, sources) =
        (at("first.mana"), at("again.mana"), at("other.mana"), at("imported.mana"), at("sources"));
    let bytes = |path: &Path| std::fs::read(path).expect("a file");
    let made = json(&[small("mixed", "zipf", "7", &first), vec!["--sources", text(&sources)]].concat());
    let twice = json(&small("mixed", "zipf", "7", &again));
    assert!(bytes(&first) == bytes(&again) && made["tip"] == twice["tip"]);
    assert_eq!((&twice["genesis"], &twice["chain"]), (&Value::Null, &Value::Null), "nothing is kept");
    assert_ne!(json(&small("mixed", "zipf", "8", &other))["tip"], made["tip"]);
    assert!(bytes(&first) != bytes(&other));
    let (genesis, chain) = (made["genesis"].as_str().expect("a path"), made["chain"].as_str().expect("a path"));
    let counts = json(&["import", chain, "--genesis", genesis, "-o", text(&imported)]);
    assert!(bytes(&first) == bytes(&imported));
    assert_eq!((&counts["gas"], &counts["refused"]), (&made["gas"], &0.into()));
}

#[test]
fn what_cannot_be_made_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("chain.mana");
    let refused = |more: &[&str], word: &str| {
        let output = manaflow(&[&["generate", "-o", text(&file)], more].concat());
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{more:?}: {err}");
        assert!(err.contains(word), "{more:?}: {err}");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "{more:?}");
    };
    refused(&["--profile", "tokens", "--accounts", "1"], "accounts");
    refused(&["--profile", "tokens", "--accounts", "200000"], "accounts");
    refused(&["--profile", "tokens", "--blocks", "0"], "blocks");
    refused(&["--profile", "tokens", "--transactions", "0"], "transactions");
    refused(&["--profile", "gold"], "transfers");
    refused(&["--profile", "tokens", "--moves", "10"], "--moves");
    refused(&["--profile", "tokens", "--plant", "double-use=1"], "--plant");
    refused(&["--moves", "10", "--accounts", "5"], "--accounts");
    refused(&[], "--moves");
}

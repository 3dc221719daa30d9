//! Options and exit codes of `validate`, on real blocks.

use crate::support::*;
use serde_json::{Value as Json, json};

#[test]
fn a_range_is_inclusive_counted_and_echoed() {
    let Some((_, file)) = crate::mainnet_blocks::imported("options: blocks") else { return };
    let report = validate(&file, &["--blocks", "4369999..4370000"]);
    assert_eq!(report.ran.code, 0, "{}", report.ran.err);
    let r = report.json;
    assert_eq!(r["verdict"], "valid");
    let blocks = &r["blocks"];
    assert_eq!(
        (&blocks["first"], &blocks["last"], &blocks["count"]),
        (&json!(4_369_999), &json!(4_370_000), &json!(2))
    );
    assert_eq!((&r["transactions"], &r["gas"]), (&json!(22 + 97), &json!(6_630_311 + 6_609_719)));
    // Neighbours are one segment: what the second asks for is what the first leaves.
    assert_eq!((&r["requirements"]["windows"], &r["checked"]["blocks"]), (&json!(1), &json!(2)));
    // The second block's parent is the first, and is looked at where the first is not asked for, too.
    assert_eq!(r["unchecked"]["parent_headers"], 1);
    let alone = validate(&file, &["--blocks", "4370000..4370000"]).json;
    assert_eq!(alone["unchecked"]["parent_headers"], 0);
    // A wider range takes what is there, and says what that was.
    let wide = validate(&file, &["--blocks", "1000000..2000000"]).json;
    assert_eq!(
        (&wide["blocks"]["first"], &wide["blocks"]["last"], &wide["blocks"]["count"]),
        (&json!(1_150_000), &json!(1_796_867), &json!(2))
    );
    let nothing = manaflow(&["validate", text(&file), "--blocks", "1..5"]);
    assert_eq!((nothing.code, nothing.out.as_str()), (3, ""), "{}", nothing.err);
    assert!(nothing.err.contains("no block in 1..5"), "{}", nothing.err);
}

#[test]
fn each_check_alone_is_partial_and_counts_only_its_rows() {
    let Some((_, file)) = crate::mainnet_blocks::imported("options: checks") else { return };
    let all = validate(&file, &[]).json;
    for check in ["signatures", "hashes", "execution", "conflicts", "blocks"] {
        let report = validate(&file, &["--checks", check]);
        assert_eq!(report.ran.code, 0, "{}", report.ran.err);
        let r = report.json;
        assert_eq!((&r["verdict"], &r["conditional"]), (&json!("partial"), &json!(true)), "{check}");
        assert!(report.ran.err.contains("partial"), "said on stderr: {}", report.ran.err);
        for (key, rows) in all["checked"].as_object().expect("counts") {
            let expected = if key == check { rows.clone() } else { json!(0) };
            assert_eq!(r["checked"][key], expected, "{check}: {key}");
        }
        for key in ["requirements", "final_state", "blocks", "transactions", "moves", "gas"] {
            assert_eq!(r[key], all[key], "{check}: {key}");
        }
    }
    let five = validate(&file, &["--checks", "blocks,conflicts,execution,hashes,signatures"]);
    assert_eq!(five.json["verdict"], "valid");
    assert!(!five.ran.err.contains("partial"), "{}", five.ran.err);
}

#[test]
fn reverse_order_says_from_where_on_all_is_valid() {
    let Some((_, file)) = crate::mainnet_blocks::imported("options: reverse") else { return };
    let report = validate(&file, &["--order", "reverse"]);
    let count = |key: &str| report.json["requirements"][key].as_u64().expect("a count");
    assert_eq!(report.json["run"]["valid_from"], 46_147);
    assert!(
        report.ran.err.contains("blocks 46147..19934116 (60 in 55 segments) are valid, given "),
        "{}",
        report.ran.err
    );
    assert!(count("cells") > 50_000 && count("assumed") == 70);
    assert_eq!(validate(&file, &[]).json["run"].get("valid_from"), None);
}

#[test]
fn a_report_in_words_or_in_a_file_is_the_same_report() {
    let Some((_, file)) = crate::mainnet_blocks::imported("options: output") else { return };
    let range = ["--blocks", "46147..1150000"];
    let path = place("oracles-report.json");
    let written = manaflow(&[&["validate", text(&file), "--json", "--output", text(&path)], &range[..]].concat());
    assert_eq!((written.code, written.out.as_str()), (0, ""), "{}", written.err);
    let mut written = read_json(&path);
    let mut printed = validate(&file, &range).json;
    for report in [&mut written, &mut printed] {
        report["run"] = Json::Null;
    }
    assert_eq!(written, printed);
    let words = manaflow(&[&["validate", text(&file)], &range[..]].concat());
    assert_eq!(words.code, 0, "{}", words.err);
    for part in ["valid, if the requirements hold", "mainnet (id 1)", "3 from 46147 to 1150000", "3 receipts roots"] {
        assert!(words.out.contains(part), "{part} is not in:\n{}", words.out);
    }
}

#[test]
fn another_chain_wrong_usage_and_missing_files_have_their_codes() {
    let Some((_, file)) = crate::mainnet_blocks::imported("options: exit codes") else { return };
    let file = text(&file);
    let same = manaflow(&["validate", file, "--chain", "mainnet", "--blocks", "46147..46147"]);
    assert_eq!(same.code, 0, "{}", same.err);
    let (missing, folder) = (place("oracles-not-there.mana"), place("."));
    let cases: [(&[&str], i32, &str); 9] = [
        (&["validate", file, "--chain", "sepolia"], 3, "is of chain mainnet, not of sepolia"),
        (&["validate", text(&missing)], 3, "oracles-not-there.mana"),
        (&["validate", text(&folder)], 3, "tmp"),
        (&["validate", file, "--chain", "nowhere"], 2, "nowhere"),
        (&["validate", file, "--state-root", "end"], 2, "from genesis only"),
        (&["validate", file, "--blocks", "5..1"], 2, "is empty"),
        (&["validate", file, "--order", "sideways"], 2, "sideways"),
        (&["validate", file, "--checks", "luck"], 2, "luck"),
        (&["validate"], 2, "FILE"),
    ];
    for (args, code, said) in cases {
        let ran = manaflow(args);
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{args:?}: {}", ran.err);
        assert!(ran.err.contains(said), "{args:?}: {}", ran.err);
    }
}

//! The built-in rules against genesis files and fork schedules that were not written here.
//!
//! Oracle: allocations of four networks, and their fork schedule in genesis form (`genesis/forks.json` of the test
//! data).

use manaflow_datasets::data_for;
use manaflow_loader::rules::ChainRules;
use manaflow_loader::source::Genesis;
use serde_json::{Map, Value};
use std::path::Path;

const NETWORKS: [&str; 4] = ["mainnet", "sepolia", "holesky", "hoodi"];

fn json(path: &Path) -> Map<String, Value> {
    serde_json::from_slice(&std::fs::read(path).expect("readable")).expect("a JSON object")
}

#[test]
fn built_in_rules_equal_those_of_the_genesis_files() {
    let Some(data) = data_for("built_in_rules_equal_those_of_the_genesis_files") else { return };
    let forks = json(&data.join("genesis/forks.json"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in NETWORKS {
        let mut file = json(&data.join(format!("genesis/{name}.json")));
        file.insert("config".into(), forks[name].clone());
        let path = folder.path().join(format!("{name}.json"));
        std::fs::write(&path, Value::Object(file).to_string()).expect("written");
        let genesis = Genesis::read(&path, None).expect("supported");
        assert_eq!(Some(&genesis.rules), ChainRules::named(name).as_ref(), "{name}");
        assert_eq!(genesis.rules.name(), name);
        let parsed: alloy_genesis::Genesis =
            serde_json::from_slice(&std::fs::read(&path).expect("readable")).expect("alloy reads it too");
        assert_eq!(ChainRules::from_genesis(&parsed).as_ref(), Ok(&genesis.rules), "{name}");
    }
}

#[test]
fn a_genesis_file_without_config_names_its_network_by_hash() {
    let Some(data) = data_for("a_genesis_file_without_config_names_its_network_by_hash") else { return };
    for name in ["mainnet", "sepolia", "holesky"] {
        let genesis = Genesis::read(&data.join(format!("genesis/{name}.json")), None).expect("a known network");
        assert_eq!(genesis.rules.name(), name);
        assert_eq!(Some(genesis.hash), genesis.rules.genesis);
    }
    let mainnet = Genesis::read(&data.join("genesis/mainnet.json"), None).expect("mainnet");
    assert_eq!(mainnet.alloc.len(), 8_893);
}

/// The file's own configuration ends with Prague; up to there it is the built-in one.
#[test]
fn the_configuration_in_the_hoodi_file_agrees_as_far_as_it_goes() {
    let Some(data) = data_for("the_configuration_in_the_hoodi_file_agrees_as_far_as_it_goes") else { return };
    let path = data.join("genesis/hoodi.json");
    let genesis = Genesis::read(&path, None).expect("supported");
    let mut expected = ChainRules::named("hoodi").expect("built in");
    expected.osaka = None;
    expected.blobs.truncate(2);
    expected.muir_glacier = None;
    assert_eq!(genesis.rules, expected);
    assert_eq!(genesis.rules.name(), "custom");
    let full = ChainRules::named("hoodi").expect("built in");
    assert_eq!(Genesis::read(&path, Some(&full)).expect("the same block 0").rules.name(), "hoodi");
}

//! Imports that are killed, and imports whose disk is full: they go on, and write what an undisturbed one writes.

use super::*;
use manaflow_datasets::{amount, is_whole, skip};
use std::process::Stdio;
use std::time::Instant;

/// Every file has a name of the series and the bytes that it has undisturbed. Between link and rename, where a file is made
/// again, a hidden name stands for a whole file.
fn demand_whole(found: &BTreeMap<String, Vec<u8>>, undisturbed: &BTreeMap<String, Vec<u8>>, place: &str) {
    for (name, bytes) in found {
        let is_whole = match undisturbed.get(name) {
            Some(expected) => expected == bytes,
            None => name.starts_with(".manaflow.") && undisturbed.values().any(|expected| expected == bytes),
        };
        assert!(is_whole, "{place}: {name}");
    }
}

#[test]
fn kills_at_any_moment() {
    let wanted = amount(12, 100);
    if !is_whole() {
        skip("resume: kills_at_any_moment", &format!("{} of 100 kills without MANAFLOW_WHOLE", 100 - wanted));
    }
    let Some(world) = World::new("kills_at_any_moment", "geth600") else { return };
    let limit = "40blocks";
    let undisturbed = world.undisturbed(limit);
    let (folder, state) = (world.out("out"), world.path("state"));
    let output = folder.join("chain.mana");
    // Little memory, so that cells are written between files too.
    let options = ["--split", limit, "--state", text(&state), "--memory", "1KiB", "--resume"];
    let line = world.import(&output, &options);
    let clear = || {
        for folder in [&folder, &state] {
            std::fs::remove_dir_all(folder).expect("removed");
        }
        std::fs::create_dir(&folder).expect("created");
    };
    let started = Instant::now();
    run(0, &line);
    let span = started.elapsed();
    assert!(files(&folder) == undisturbed);
    clear();
    let mut draw = draw();
    let (mut killed, mut done, mut went_on) = (0, 0, 0);
    while killed < wanted {
        assert!(done <= 20 * wanted, "{killed} of {wanted} were killed, {done} were done before");
        let mut child = command(&line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        // A part of the whole, so that one chain of kills and goings-on takes several.
        std::thread::sleep(draw.moment(killed % 5, 5, span.mul_f64(0.8)));
        child.kill().expect("killed");
        let status = child.wait().expect("it ended");
        let place = format!("kill {killed}");
        demand_whole(&files(&folder), &undisturbed, &place);
        match (status.signal(), status.code()) {
            (Some(9), None) => killed += 1,
            (None, Some(0)) => {
                assert!(files(&folder) == undisturbed, "{place}");
                clear();
                done += 1;
                continue;
            }
            other => panic!("{place}: {other:?}"),
        }
        if killed % 3 == 0 {
            // Undisturbed from here on.
            let output = run(0, &line);
            went_on += usize::from(said(&output).contains("resumes at block"));
            let mut found = files(&folder);
            found.retain(|name, _| !name.starts_with(".manaflow."));
            assert!(found == undisturbed, "{place}, gone on with");
            clear();
        }
    }
    eprintln!("{killed} killed, {went_on} went on from a file, {done} done before");
    assert!(went_on > 0);
}

/// A file may have so many bytes and no more, the state's as well: what is whole stays, and when there is room it goes on.
#[test]
fn full_disks() {
    let Some(world) = World::new("full_disks", "geth600") else { return };
    let limit = "100blocks";
    let undisturbed = world.undisturbed(limit);
    let (folder, state) = (world.out("out"), world.path("state"));
    let output = folder.join("chain.mana");
    let line = world.import(&output, &["--split", limit, "--state", text(&state), "--memory", "1KiB", "--resume"]);
    let greatest = undisturbed.values().map(Vec::len).max().expect("files");
    let limits = [1, greatest / 4, greatest / 2, greatest - 1].map(|bytes| bytes / 512);
    for blocks in limits {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -f {blocks}; exec \"$@\""), "sh", MANAFLOW]).args(&line);
        let done = shell.env_remove("RUST_LOG").output().expect("a shell");
        let said = said(&done);
        assert_eq!(done.status.code(), Some(4), "{blocks} blocks of 512 bytes: {said}");
        assert!(said.contains("hint: ") && !said.contains("panicked"), "{said}");
        demand_whole(&files(&folder), &undisturbed, &format!("{blocks} blocks"));
    }
    run(0, &line);
    assert!(files(&folder) == undisturbed);
}

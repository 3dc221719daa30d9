//! The program is killed or interrupted at any moment: what has its name is whole, or absent, or what it was, nothing
//! else is left, and the work goes on.

use super::*;
use std::time::Instant;

/// Ends a process by a signal, if it still runs.
fn signal(child: &mut Child, name: &str) {
    if name == "KILL" {
        child.kill().expect("killed");
    } else {
        let _ = Command::new("kill").args(["-s", name, &child.id().to_string()]).stderr(Stdio::null()).status();
    }
}

/// Starts a command again and again, and ends each run at another moment, until so many were ended before they were done.
///
/// `output` is what it writes, in a folder of its own; `whole` what stands there when it is done.
fn end_at_any_moment(wanted: usize, args: &[&str], output: &Path, is_whole: impl Fn(&[u8]) -> bool) {
    let folder = output.parent().expect("a folder");
    let started = Instant::now();
    assert_eq!(code(&run(args), "undisturbed"), 0);
    let span = started.elapsed();
    let old = b"as it was";
    let mut draw = draw();
    let (mut ended, mut done) = (0, 0);
    for i in 0.. {
        if ended == wanted {
            break;
        }
        assert!(done <= 20 * wanted, "{ended} of {wanted} were ended, {done} were done before");
        let before = if i % 2 == 0 { None } else { Some(&old[..]) };
        match before {
            None => std::fs::remove_file(output).unwrap_or_default(),
            Some(old) => std::fs::write(output, old).expect("written"),
        }
        let mut child = start(args);
        std::thread::sleep(draw.moment(i % wanted, wanted, span));
        let name = ["KILL", "TERM", "INT"][i % 3];
        signal(&mut child, name);
        let status = child.wait_with_output().expect("it ended").status;
        let place = format!("round {i}, {name}");
        match (status.signal(), status.code()) {
            (Some(9 | 15 | 2), None) => ended += 1,
            (None, Some(0)) => done += 1,
            other => panic!("{place}: {other:?}"),
        }
        let left = std::fs::read(output).ok();
        let is_old = left.as_deref() == before;
        assert!(is_old || left.as_deref().is_some_and(&is_whole), "{place}: half a file");
        assert!(is_old || status.signal().is_some() || left.is_some(), "{place}");
        // Between link and rename alone a second name stands for the whole file.
        for name in names(folder).into_iter().filter(|name| Some(name.as_ref()) != output.file_name()) {
            let path = folder.join(&name);
            assert!(before.is_some() && is_whole(&std::fs::read(&path).expect("there")), "{place}: {name} is left");
            std::fs::remove_file(path).expect("removed");
        }
    }
    assert_eq!(code(&run(args), "at last"), 0);
    assert!(is_whole(&std::fs::read(output).expect("there")));
    eprintln!("{} ended at {ended} moments, done before {done}", args[0]);
}

fn folder_for(world: &World, name: &str) -> PathBuf {
    let folder = world.path(name);
    std::fs::create_dir(&folder).expect("created");
    folder
}

#[test]
fn import_ended_at_any_moment() {
    let Some(world) = World::new("faults: import_ended_at_any_moment") else { return };
    let output = folder_for(&world, "out").join("chain.mana");
    end_at_any_moment(amount(15, 200), &world.import(&output), &output, |bytes| bytes == world.imported);
}

#[test]
fn validate_ended_at_any_moment() {
    let Some(world) = World::new("faults: validate_ended_at_any_moment") else { return };
    let file = text(&world.path("reference.mana")).to_owned();
    let output = folder_for(&world, "out").join("report.json");
    let args = ["validate", &file, "--json", "--output", text(&output)];
    end_at_any_moment(amount(9, 60), &args, &output, |bytes| {
        serde_json::from_slice::<serde_json::Value>(bytes).is_ok_and(|report| report["verdict"] == "valid")
    });
}

#[test]
fn merge_ended_at_any_moment() {
    let Some(world) = World::new("faults: merge_ended_at_any_moment") else { return };
    let file = text(&world.path("reference.mana")).to_owned();
    let (one, other, both) = (world.path("a.mans"), world.path("b.mans"), world.path("ab.mans"));
    for (summary, blocks) in [(&one, "0..29"), (&other, "30..54")] {
        let output = run(&["validate", &file, "--blocks", blocks, "--summary", text(summary)]);
        assert_eq!(code(&output, blocks), 0);
    }
    let merge = |output: &Path| ["merge", text(&one), text(&other), "--summary", text(output)].map(str::to_owned);
    let words = merge(&both);
    assert_eq!(code(&run(&words.each_ref().map(String::as_str)), "merge"), 0);
    let whole = std::fs::read(&both).expect("merged");
    let output = folder_for(&world, "out").join("ab.mans");
    let words = merge(&output);
    end_at_any_moment(amount(9, 200), &words.each_ref().map(String::as_str), &output, |bytes| bytes == whole);
}

/// Interrupted again and again, a validation goes on from its checkpoint, and ends with the report of an undisturbed one:
/// forward, in reverse and shuffled.
#[test]
fn checkpointed_validate_ended_at_any_moment() {
    let Some(data) = manaflow_datasets::data_for("faults: checkpointed_validate_ended_at_any_moment") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("x.mana");
    let chain = data.join("chains/devp2p3000/chain.rlp");
    assert_eq!(code(&run(&["import", text(&chain), "--output", text(&file)]), "import"), 0);
    let report = |output: &Output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.split_once(",\"run\":{").expect("a report").0.to_owned()
    };
    let undisturbed = run(&["validate", text(&file), "--json"]);
    assert_eq!(code(&undisturbed, "undisturbed"), 0);
    let out = folder.path().join("out");
    std::fs::create_dir(&out).expect("created");
    let checkpoint = out.join("x.mans");
    let line = |order: &'static str| {
        let options = ["--json", "--order", order, "--checkpoint", text(&checkpoint), "--checkpoint-every", "0"];
        [&["validate", text(&file)][..], &options].concat()
    };
    let started = Instant::now();
    assert_eq!(code(&run(&line("forward")), "undisturbed, with a checkpoint"), 0);
    let span = started.elapsed();
    std::fs::remove_file(&checkpoint).expect("a checkpoint of the whole");
    let (wanted, mut ended, mut done, mut resumed, mut went_on) = (amount(8, 200), 0, 0, 0, 0);
    let mut draw = draw();
    while ended < wanted || went_on == 0 {
        assert!(done <= 20 * wanted, "{ended} of {wanted} were ended, {done} were done before");
        // The same line until it came to its end.
        let args = line(["forward", "reverse", "shuffled:3"][(resumed + done) % 3]);
        let mut child = start(&args);
        std::thread::sleep(draw.moment((ended + done) % wanted, wanted, span));
        child.kill().expect("killed");
        let output = child.wait_with_output().expect("it ended");
        // Between link and rename a second name stands for a whole file.
        for name in names(&out) {
            manaflow_loader::summary::Summary::read(out.join(name)).expect("it is whole");
        }
        if output.status.signal() == Some(9) {
            ended += 1;
            if !checkpoint.exists() || ended % 2 == 0 {
                continue;
            }
            // Undisturbed from here on.
            let output = run(&args);
            assert_eq!(code(&output, "resumed"), 0);
            assert_eq!(report(&output), report(&undisturbed));
            resumed += 1;
            went_on += usize::from(String::from_utf8_lossy(&output.stderr).contains("goes on after"));
        } else {
            assert_eq!(code(&output, "done before"), 0);
            assert_eq!(report(&output), report(&undisturbed));
            done += 1;
        }
        for name in names(&out) {
            std::fs::remove_file(out.join(name)).expect("removed");
        }
    }
    eprintln!("checkpointed validate ended at {ended} moments, went on {went_on} times, done before {done}");
}

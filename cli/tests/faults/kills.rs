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
    let mut draw = Draw::new();
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

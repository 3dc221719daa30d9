//! Paths that are none, or that one would rather not have.

use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};

#[test]
fn odd_names_are_names() {
    let Some(world) = World::new("faults: odd_names_are_names") else { return };
    let long = "x".repeat(255);
    for name in ["with\nline", " ", "-o", "'$(true)'", "a\\b", "\u{202e}name", &long, ".hidden", "name."] {
        let output = world.path("out").join(name);
        std::fs::create_dir_all(world.path("out")).expect("created");
        // Twice: made, then replaced.
        for _ in 0..2 {
            assert_eq!(code(&run(&world.import(&output)), name), 0);
            assert!(std::fs::read(&output).expect("there") == world.imported, "{name:?}");
            assert_eq!(names(&world.path("out")), [name]);
        }
        let report = world.path("out").join("report");
        assert_eq!(code(&run(&["validate", text(&output), "--output", text(&report)]), name), 0);
        std::fs::remove_dir_all(world.path("out")).expect("removed");
    }
}

#[test]
fn places_that_are_none() {
    let Some(world) = World::new("faults: places_that_are_none") else { return };
    let file = text(&world.path("reference.mana")).to_owned();
    let (round, other) = (world.path("round"), world.path("other"));
    symlink(&round, &other).expect("a link");
    symlink(&other, &round).expect("a link");
    symlink(world.path("nowhere"), world.path("dangling")).expect("a link");
    let too_long = world.path(&"x".repeat(256));
    let deep = world.path(&"d/".repeat(2_100));
    let beyond = |place: &Path| place.join("x.mana");
    for (place, wanted) in [
        (beyond(&round), 4),
        (beyond(&world.path("dangling")), 4),
        (too_long, 4),
        (deep, 4),
        (beyond(&world.path("reference.mana")), 4),
        (PathBuf::from(""), 4),
    ] {
        for args in [&world.import(&place)[..], &["validate", &file, "--output", text(&place)]] {
            let ended = code(&run(args), text(&place));
            assert!(ended == wanted || (ended == 2 && place.as_os_str().is_empty()), "{args:?}: {ended}");
        }
    }
    for place in [&round, &world.path("dangling"), &world.path("nowhere"), Path::new("")] {
        for args in [["validate", text(place)], ["inspect", text(place)]] {
            let ended = code(&run(&args), text(place));
            // A ring of links is the machine's refusal, no name is wrong usage; what is not there is the input's fault.
            let wanted: &[i32] = if place == round { &[3, 4] } else { &[2, 3] };
            assert!(wanted.contains(&ended), "{args:?}: {ended}");
        }
    }
    // The program writes where a link leads, or says that it leads nowhere; it never writes half.
    let dangling = world.path("dangling");
    let ended = code(&run(&world.import(&dangling)), "a link that leads nowhere");
    assert!(ended == 4 || std::fs::read(&dangling).expect("there") == world.imported);
}

#[test]
fn folders_that_take_nothing() {
    let Some(world) = World::new("faults: folders_that_take_nothing") else { return };
    let closed = world.path("closed");
    std::fs::create_dir(&closed).expect("created");
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o555)).expect("closed");
    let probe = std::fs::write(closed.join("probe"), "");
    if probe.is_ok() {
        eprintln!("skipped: faults: folders_that_take_nothing: this user may write anywhere");
        return;
    }
    assert_eq!(code(&run(&world.import(&closed.join("x.mana"))), "a closed folder"), 4);
    assert!(names(&closed).is_empty());
}

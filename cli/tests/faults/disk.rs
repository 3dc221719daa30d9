//! Disks that are full, and writes that fail: at every size, and at every call.

use super::*;

/// Sizes in blocks of 512 bytes, as `ulimit -f` counts: all, or a slice with both ends.
fn sizes(bytes: usize, slice: usize) -> Vec<usize> {
    let all = bytes.div_ceil(512);
    let step = all.div_ceil(amount(slice, all)).max(1);
    (0..all).step_by(step).chain([all.saturating_sub(1)]).collect()
}

/// A file may have so many bytes and no more: the write that goes beyond is cut short, the next one fails.
#[test]
fn every_limit_of_a_files_size() {
    let Some(world) = World::new("faults: every_limit_of_a_files_size") else { return };
    let out = world.path("out");
    std::fs::create_dir(&out).expect("created");
    let file = out.join("chain.mana");
    let mut runs = 0;
    for old in [None, Some(&b"as it was"[..])] {
        for size in sizes(world.imported.len(), 6) {
            if let Some(old) = old {
                std::fs::write(&file, old).expect("written");
            }
            let output = shell(&format!("ulimit -f {size}; exec \"$@\""), &world.import(&file));
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(code(&output, "import"), 4, "{size} blocks: {said}");
            assert!(said.contains("File too large") && said.contains("hint: "), "{said}");
            assert_eq!(std::fs::read(&file).ok().as_deref(), old, "{size} blocks");
            assert_eq!(names(&out).len(), usize::from(old.is_some()), "{size} blocks");
            runs += 1;
        }
    }
    let enough = world.imported.len().div_ceil(512);
    let output = shell(&format!("ulimit -f {enough}; exec \"$@\""), &world.import(&file));
    assert_eq!(code(&output, "import"), 0);
    assert!(std::fs::read(&file).expect("there") == world.imported);
    eprintln!("{runs} limits of the output's size");
}

#[test]
fn results_of_every_size() {
    let Some(world) = World::new("faults: results_of_every_size") else { return };
    let file = text(&world.path("reference.mana")).to_owned();
    let out = world.path("out");
    std::fs::create_dir(&out).expect("created");
    let (report, needs) = (out.join("report"), out.join("needs"));
    let from_5 = ["validate", &file, "--json", "--blocks", "5..50", "--output", text(&report)];
    let with_needs = [&from_5[..], &["--requirements", text(&needs)]].concat();
    let whole = run(&with_needs);
    assert_eq!(code(&whole, "validate"), 0);
    let bytes = |path: &Path| std::fs::read(path).expect("there").len();
    let (report_bytes, needs_bytes) = (bytes(&report), bytes(&needs));
    std::fs::remove_file(&report).expect("removed");
    std::fs::remove_file(&needs).expect("removed");
    for size in sizes(report_bytes, 3) {
        let output = shell(&format!("ulimit -f {size}; exec \"$@\""), &from_5);
        assert_eq!(code(&output, "report"), 4, "{size} blocks");
        assert!(names(&out).is_empty(), "{size} blocks: {:?}", names(&out));
        // Standard output is no file of ours: what was written before the disk was full is there, the code says it.
        let line = format!("ulimit -f {size}; exec \"$@\" > '{}'", text(&report));
        let output = shell(&line, &from_5[..from_5.len() - 2]);
        assert_eq!(code(&output, "standard output"), 4, "{size} blocks");
        assert!(bytes(&report) <= 512 * size);
        std::fs::remove_file(&report).expect("removed");
    }
    for size in sizes(needs_bytes.min(20_000), 3) {
        let output = shell(&format!("ulimit -f {size}; exec \"$@\""), &with_needs);
        assert_eq!(code(&output, "requirements"), 4, "{size} blocks");
        assert!(names(&out).is_empty(), "{size} blocks: {:?}", names(&out));
    }
}

/// A file system that is full, of each size: in a mount that ends with the shell.
#[test]
fn every_size_of_a_disk() {
    let Some(world) = World::new("faults: every_size_of_a_disk") else { return };
    let disk = world.path("disk");
    std::fs::create_dir(&disk).expect("created");
    let file = disk.join("chain.mana");
    let mount = |kib: usize| {
        format!(
            "mount -t tmpfs -o size={kib}k none '{}' || exit 77; \"$@\"; code=$?; ls -A '{}'; exit $code",
            text(&disk),
            text(&disk)
        )
    };
    let run = |kib: usize| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", &mount(kib), "sh", MANAFLOW]);
        command.args(world.import(&file)).env_remove("RUST_LOG").output()
    };
    // Spools and output at once: what the writer says that it takes, and as much for rounding to pages.
    let enough = 3 * world.imported.len() / 1024 + 256;
    match run(enough) {
        Ok(output) if output.status.code() == Some(0) => {
            assert!(String::from_utf8_lossy(&output.stdout).ends_with("\nchain.mana\n"));
        }
        _ => {
            eprintln!("skipped: faults: every_size_of_a_disk: this machine mounts nothing for us");
            return;
        }
    }
    let (mut full, mut fits) = (0, 0);
    let step = (enough / amount(8, enough / 4)).max(4);
    for kib in (4..enough).step_by(step) {
        let output = run(kib).expect("it starts");
        let (listed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        match code(&output, "import") {
            0 => fits += 1,
            4 => {
                assert!(said.contains("No space left") && said.contains("hint: "), "{said}");
                assert_eq!(listed, "", "{kib} KiB: something is left");
                full += 1;
            }
            other => panic!("{kib} KiB: code {other}: {said}"),
        }
    }
    assert!(full > 0 && fits > 0, "{full} too small, {fits} large enough");
    eprintln!("{full} disks that were too small, {fits} that were not");
}

/// The n-th call of each kind fails, as `strace` makes it.
#[test]
fn every_call_that_fails() {
    let Some(world) = World::new("faults: every_call_that_fails") else { return };
    let out = world.path("out");
    std::fs::create_dir(&out).expect("created");
    let file = out.join("chain.mana");
    let inject = |what: &str| {
        let mut command = Command::new("strace");
        let expression = format!("inject={what}");
        command.args(["-f", "-qq", "-o", text(&world.path("strace.log")), "-e", &expression, MANAFLOW]);
        command.args(world.import(&file)).args(["--threads", "1"]).env_remove("RUST_LOG");
        command.output().expect("it starts")
    };
    let probe = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status();
    if !probe.is_ok_and(|status| status.success()) {
        eprintln!("skipped: faults: every_call_that_fails: strace does not run here");
        return;
    }
    let (mut runs, mut draw) = (0, draw());
    for (call, error) in [
        ("write", "ENOSPC"),
        ("write", "EIO"),
        ("read", "EIO"),
        ("fsync", "EIO"),
        ("linkat", "EDQUOT"),
        ("lseek", "EIO"),
    ] {
        // Each n in turn until the program no longer makes so many calls; in a slice, every few.
        let mut n = 1 + draw.below(amount(8, 1));
        let mut quiet = 0;
        while quiet < 3 {
            let _ = std::fs::remove_file(&file);
            let output = inject(&format!("{call}:error={error}:when={n}"));
            let place = format!("{call} {n} fails with {error}");
            let ended = code(&output, &place);
            let left = std::fs::read(&file).ok();
            assert!(left.is_none() || left.as_ref() == Some(&world.imported), "{place}: half a file");
            assert_eq!(names(&out).len(), usize::from(left.is_some()), "{place}: {:?}", names(&out));
            match ended {
                // Or a call that may fail: looking at terminals and processors, telling.
                0 => {
                    assert!(left.is_some(), "{place}");
                    quiet += 1;
                }
                3 | 4 => quiet = 0,
                // The system's loader, before the program begins.
                127 if call == "read" => {}
                other => panic!("{place}: code {other}: {}", String::from_utf8_lossy(&output.stderr)),
            }
            runs += 1;
            n += 1 + draw.below(amount(24, 1));
        }
    }
    eprintln!("{runs} calls that failed");
}

//! Files that are shortened, rewritten or replaced while they are mapped: no signal ends the reader, and no verdict
//! comes out.

use super::*;
use manaflow_engine::validate::{Checks, Options, Order, Progress, validate};
use manaflow_loader::file::BlockFile;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// What somebody else does to a file.
#[derive(Clone, Copy, Debug)]
enum Change {
    Shorten,
    /// And make it as long as before: zeros.
    ShortenAndRestore,
    Overwrite,
    Scatter,
    Replace,
}

const CHANGES: [Change; 5] =
    [Change::Shorten, Change::ShortenAndRestore, Change::Overwrite, Change::Scatter, Change::Replace];

impl Change {
    fn make(self, path: &Path, draw: &mut Draw) {
        let file = OpenOptions::new().write(true).open(path).expect("it opens");
        let bytes = file.metadata().expect("it is there").len() as usize;
        let at = draw.below(bytes);
        match self {
            Self::Shorten => file.set_len(at as u64).expect("shortened"),
            Self::ShortenAndRestore => {
                file.set_len(at as u64).expect("shortened");
                file.set_len(bytes as u64).expect("restored");
            }
            Self::Overwrite => {
                let count = (bytes - at).min(1 + draw.below(200_000));
                let noise: Vec<u8> = (0..count).map(|_| draw.number() as u8).collect();
                file.write_all_at(&noise, at as u64).expect("written");
            }
            Self::Scatter => {
                for _ in 0..200 {
                    file.write_all_at(&[draw.number() as u8], draw.below(bytes) as u64).expect("written");
                }
            }
            Self::Replace => {
                let other = path.with_extension("other");
                std::fs::write(&other, b"another file").expect("written");
                std::fs::rename(&other, path).expect("replaced");
            }
        }
    }
}

/// Changes a file at moments spread over a run of the program, until so many runs saw it.
fn change_at_any_moment(wanted: usize, original: &Path, args: &dyn Fn(&str) -> Vec<String>) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.mana");
    let start_on = |path: &Path| {
        let args = args(text(path));
        start(&args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    std::fs::copy(original, &path).expect("copied");
    let started = Instant::now();
    let undisturbed = start_on(&path).wait_with_output().expect("it ends");
    let span = started.elapsed();
    assert_eq!(code(&undisturbed, "undisturbed"), 0);
    let mut draw = draw();
    let mut codes = [0; 5];
    for i in 0.. {
        if codes[4] == wanted {
            break;
        }
        assert!(i < 20 * wanted, "few changes are seen: codes {codes:?}");
        let _ = std::fs::remove_file(&path);
        std::fs::copy(original, &path).expect("copied");
        let child = start_on(&path);
        std::thread::sleep(draw.moment(i % wanted, wanted, span));
        let change = CHANGES[i % CHANGES.len()];
        change.make(&path, &mut draw);
        let output = child.wait_with_output().expect("it ends");
        let place = format!("round {i}, {change:?}");
        let ended = code(&output, &place);
        let said = String::from_utf8_lossy(&output.stdout);
        match ended {
            // It was done before.
            0 => assert!(!said.is_empty()),
            // It had not begun, and met a file that is none; or it saw the change.
            3 | 4 => assert!(!said.contains("verdict"), "{place}: {said}"),
            other => panic!("{place}: code {other}: {}", String::from_utf8_lossy(&output.stderr)),
        }
        codes[ended as usize] += 1;
    }
    eprintln!("files changed under {}: codes {codes:?}", args("FILE").join(" "));
}

fn words(args: &'static [&'static str]) -> impl Fn(&str) -> Vec<String> {
    move |file| args.iter().map(|word| if *word == "FILE" { file.to_owned() } else { (*word).to_owned() }).collect()
}

#[test]
fn validate_while_its_file_changes() {
    let args = words(&["validate", "FILE", "--json", "--threads", "2"]);
    change_at_any_moment(amount(10, 200), &manaflow_datasets::sample("mainnet.mana"), &args);
    let args = words(&["validate", "FILE", "--json", "--order", "reverse"]);
    change_at_any_moment(amount(10, 100), &manaflow_datasets::sample("forks.mana"), &args);
}

#[test]
fn inspect_while_its_file_changes() {
    let args = words(&["inspect", "FILE", "--moves", "--json"]);
    change_at_any_moment(amount(5, 50), &manaflow_datasets::sample("forks.mana"), &args);
}

/// The same without chance: the file is opened, then changed, then judged.
#[test]
fn a_file_changed_after_it_was_opened_gives_no_verdict() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.mana");
    let original = manaflow_datasets::sample("forks.mana");
    let options = |order| Options {
        order,
        checks: Checks::ALL,
        limit: 10,
        list_requirements: true,
        version: String::new(),
        revm: String::new(),
        ..Options::default()
    };
    let mut draw = draw();
    let (mut errors, mut panics) = (0, 0);
    // What panics here is meant to: its words would hide others.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let rounds = amount(50, 400);
    let mut failure = None;
    for i in 0..rounds {
        let _ = std::fs::remove_file(&path);
        std::fs::copy(&original, &path).expect("copied");
        let file = BlockFile::open(&path).expect("it opens");
        // Everything is verified before, so that every reader relies on it; or nothing but the tables.
        if i % 2 == 0 {
            file.verify_all().expect("it is well-formed");
        }
        CHANGES[i % CHANGES.len()].make(&path, &mut draw);
        let order = [Order::Forward, Order::Reverse, Order::Shuffled(1)][i % 3];
        match catch_unwind(AssertUnwindSafe(|| validate(&[&file], &options(order), &Progress::default()))) {
            Ok(Ok(_)) => failure = failure.or(Some(format!("round {i}: a verdict"))),
            Ok(Err(_)) => errors += 1,
            Err(_) => panics += 1,
        }
        if file.changed().is_ok() {
            failure = failure.or(Some(format!("round {i}: no change is seen")));
        }
    }
    std::panic::set_hook(hook);
    assert_eq!(failure, None);
    assert_eq!(errors + panics, rounds);
    eprintln!("{rounds} files changed after they were opened: {errors} errors, {panics} panics, no verdict");
}

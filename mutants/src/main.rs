//! Mutation testing in one build: all mutants of a group are in one binary, and an environment variable switches one on.
//!
//! Copies the tree, rewrites the group's files (`mutate`), builds their tests once, runs them once a mutant, and holds
//! what survives against the list in `engine/MUTANTS.md`. See README.md.

mod list;
mod mutate;
mod run;
mod tree;

use mutate::Mutant;
use run::End;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Files that are mutated together, and the tests that must kill.
pub struct Group {
    /// Name on the command line.
    pub name: &'static str,
    /// Crate folder.
    pub krate: &'static str,
    /// Files in it.
    pub files: &'static [&'static str],
    /// Tests, the quick ones first: a mutant that one kills is not shown to the next.
    pub stages: &'static [Stage],
}

impl Group {
    /// Files from the root.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        self.files.iter().map(|file| format!("{}/{file}", self.krate))
    }
}

/// Tests of one binary.
pub struct Stage {
    /// Crate folder.
    pub krate: &'static str,
    /// `lib`, or an integration test.
    pub target: &'static str,
    /// Arguments of the test binary.
    pub args: &'static [&'static str],
    /// Whether tests in it expect a panic.
    pub panics: bool,
    /// Seconds of processor time after which a mutant loops: several times what it takes without one.
    pub most_s: u32,
}

const fn stage(krate: &'static str, target: &'static str, args: &'static [&'static str], most_s: u32) -> Stage {
    Stage { krate, target, args, panics: false, most_s }
}

/// The test that takes most of the time.
const SHORT_HISTORIES: &str = "every_short_history_and_every_cut";

/// All of them; they are built together.
pub const GROUPS: [Group; 3] = [
    Group {
        name: "double-use",
        krate: "engine",
        files: &[
            "src/double_use/columns.rs",
            "src/double_use/digest.rs",
            "src/double_use/exits.rs",
            "src/double_use/findings.rs",
            "src/double_use/forward.rs",
            "src/double_use/memory.rs",
            "src/double_use/merge.rs",
            "src/double_use/model.rs",
            "src/double_use/multiset.rs",
            "src/double_use/partition.rs",
            "src/double_use/procedure.rs",
            "src/double_use/result.rs",
            "src/double_use/reverse.rs",
            "src/double_use/shards.rs",
            "src/double_use/spill.rs",
            "src/double_use/sum.rs",
            "src/search.rs",
        ],
        stages: &[
            stage(
                "engine",
                "lib",
                &["tests::attacks", "tests::sizes", "multiset::", "search::", "procedures_are", "a_cell_twice"],
                10,
            ),
            Stage { panics: true, ..stage("engine", "lib", &["double_use::memory"], 10) },
            stage("engine", "lib", &["double_use", "--skip", "memory::", "--skip", SHORT_HISTORIES], 40),
            stage("engine", "lib", &[SHORT_HISTORIES], 100),
        ],
    },
    Group {
        name: "file-checks",
        krate: "loader",
        files: &["src/file/check.rs"],
        stages: &[
            stage(
                "loader",
                "lib",
                &["hostile::tables", "hostile::blocks", "boundaries::tables", "boundaries::later"],
                10,
            ),
            stage("loader", "lib", &["file::", "--skip", "every_", "--skip", "many_"], 30),
            stage("loader", "lib", &["file::"], 60),
        ],
    },
    Group {
        name: "afters",
        krate: "engine",
        files: &["src/solo/check.rs", "src/solo/declared.rs", "src/solo/effect.rs"],
        stages: &[
            stage("engine", "observed", &[], 20),
            stage("engine", "attacks", &["--skip", "lies::"], 120),
            stage("engine", "attacks", &["lies::"], 300),
        ],
    },
];

const USAGE: &str = "usage: mutants GROUP [--list] [--only TEXT]... [--jobs N]
groups: double-use, file-checks, afters
--only TEXT  mutants whose file, function or change contains TEXT, or whose number it is
--list       says which mutants there are, and builds nothing";

/// What is asked for.
struct Options {
    group: &'static Group,
    only: Vec<String>,
    jobs: usize,
    list: bool,
}

fn options() -> Option<Options> {
    let mut args = std::env::args().skip(1);
    let name = args.next()?;
    let group = GROUPS.iter().find(|g| g.name == name)?;
    let mut options = Options { group, only: vec![], jobs: 2, list: false };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--list" => options.list = true,
            "--only" => options.only.push(args.next()?),
            "--jobs" => options.jobs = args.next()?.parse().ok().filter(|n| *n > 0)?,
            _ => return None,
        }
    }
    Some(options)
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match work(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::from(4)
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder of the repository").to_owned()
}

/// True if all that survived is explained, and all that is explained survived.
fn work(options: &Options) -> Result<bool, String> {
    let (root, group) = (root(), options.group);
    let is_wanted = |m: &Mutant| {
        let has = |text: &String| {
            m.file.contains(text) || m.function.contains(text) || m.change.contains(text) || m.id.to_string() == *text
        };
        group.paths().any(|path| path == m.file) && (options.only.is_empty() || options.only.iter().any(has))
    };
    let wanted = |m: &&Mutant| is_wanted(m);
    if options.list {
        let (_, mutants) = tree::mutated(&tree::originals(&root)?, &BTreeSet::new())?;
        mutants.iter().filter(wanted).for_each(say);
        println!("{} mutants", mutants.iter().filter(wanted).count());
        return Ok(true);
    }
    let built = tree::build(&root, is_wanted)?;
    let mutants: Vec<&Mutant> = built.mutants.iter().filter(wanted).collect();
    let (dropped, kept): (Vec<&Mutant>, Vec<&Mutant>) = mutants.iter().partition(|m| built.dropped.contains(&m.id));
    run::base(group, &built)?;
    let ends = run::all(group, &built, &kept, options.jobs);

    let entries = list::read(&root.join("engine/MUTANTS.md"))?;
    let (mut survived, mut explained, mut timed_out) = (0, 0, 0);
    let mut is_told = true;
    for (m, end) in kept.iter().zip(&ends) {
        let entry = entries.contains(&m.key());
        match end {
            End::Survived => {
                survived += 1;
                explained += usize::from(entry);
                if !entry {
                    is_told = false;
                    print!("survived: ");
                    say(m);
                }
            }
            End::TimedOut => {
                timed_out += 1;
                print!("timed out: ");
                say(m);
            }
            End::Killed => {}
        }
        if entry && *end != End::Survived {
            is_told = false;
            print!("explained, but killed: ");
            say(m);
        }
    }
    for key in entries.iter().filter(|key| group.paths().any(|path| path == key.0)) {
        if !built.mutants.iter().any(|m| m.key() == *key) {
            is_told = false;
            println!("explained, but there is no such mutant: {} {} {}", key.0, key.1, key.2);
        }
    }
    println!(
        "{}: {} mutants: {} not built, {} killed, {timed_out} timed out, {survived} survived ({explained} explained)",
        group.name,
        mutants.len(),
        dropped.len(),
        kept.len() - survived - timed_out,
    );
    Ok(is_told)
}

fn say(m: &Mutant) {
    println!("{} | {} | {} | {} | {}", m.id, m.line, m.file, m.function, m.change);
}

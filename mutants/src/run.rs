//! Runs the tests with one mutant switched on.

use crate::mutate::Mutant;
use crate::tree::Built;
use crate::{Group, Stage};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Memory of a test process, in KiB: a loop that gathers ends.
const MEMORY_KIB: u64 = 8 << 20;

/// Longest that a test process may wait, whatever time it spends.
const WAITING_MOST: Duration = Duration::from_secs(1200);

/// What became of a mutant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// A test failed.
    Killed,
    /// A test spent far more processor time than without it.
    TimedOut,
    /// All tests pass.
    Survived,
}

/// Runs all stages without a mutant: they must pass.
pub fn base(group: &Group, built: &Built) -> Result<(), String> {
    for stage in group.stages {
        let begin = Instant::now();
        // Number 0 is no mutant, but switches all of the rest on.
        if stage_ends(stage, built, 0)? != End::Survived {
            return Err(format!("{}, {} {:?}: fails without a mutant", stage.krate, stage.target, stage.args));
        }
        eprintln!("{} {} {:?}: {:.1?} without a mutant", stage.krate, stage.target, stage.args, begin.elapsed());
    }
    Ok(())
}

/// Runs all mutants.
pub fn all(group: &Group, built: &Built, mutants: &[&Mutant], jobs: usize) -> Vec<End> {
    let ends = Mutex::new(vec![End::Survived; mutants.len()]);
    let (next, begin) = (AtomicUsize::new(0), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    let Some(m) = mutants.get(i) else { return };
                    let mut end = End::Survived;
                    for stage in group.stages {
                        end = stage_ends(stage, built, m.id).unwrap_or_else(|e| panic!("{e}"));
                        if end != End::Survived {
                            break;
                        }
                    }
                    ends.lock().expect("no thread panics with it")[i] = end;
                    if end != End::Killed {
                        eprintln!("{end:?}: {} | {} | {} | {} | {}", m.id, m.line, m.file, m.function, m.change);
                    }
                    if i % 50 == 49 {
                        eprintln!("{} of {} in {:.0?}", i + 1, mutants.len(), begin.elapsed());
                    }
                }
            });
        }
    });
    ends.into_inner().expect("all threads have ended")
}

fn stage_ends(stage: &Stage, built: &Built, id: u32) -> Result<End, String> {
    let key = (stage.krate.to_owned(), stage.target.to_owned());
    let binary = built.binaries.get(&key).ok_or_else(|| format!("{}, {}: not built", stage.krate, stage.target))?;
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("ulimit -c 0 && ulimit -v {MEMORY_KIB} && ulimit -t {} && exec \"$0\" \"$@\"", stage.most_s))
        .arg(binary)
        .args(stage.args);
    command.current_dir(built.tree.join(stage.krate)).env("MANAFLOW_MUTANT", id.to_string());
    if stage.panics {
        command.env("MANAFLOW_MUTANT_PANICS", "1");
    }
    if std::env::var_os("MANAFLOW_DATA").is_none() {
        command.env("MANAFLOW_DATA", crate::root().join("target/data"));
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|e| format!("{}: {e}", binary.display()))?;
    let begin = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
            // SIGXCPU, or SIGKILL after it: the processor time is spent.
            let is_spent = matches!(status.signal(), Some(24 | 9));
            return Ok(if status.success() {
                End::Survived
            } else if is_spent {
                End::TimedOut
            } else {
                End::Killed
            });
        }
        if begin.elapsed() > WAITING_MOST {
            child.kill().and_then(|()| child.wait()).map_err(|e| e.to_string())?;
            return Ok(End::TimedOut);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

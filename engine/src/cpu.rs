//! Processor time by stage: what each check costs, whoever does it and however the work is cut.
//!
//! A worker enters a stage and leaves it; in between its time is the stage's, but for what stages inside of it take (a worker that
//! waits for others does their work). Work that is handed to other workers enters its stage there.
//! Cost: a question to the kernel at each border, a third of a microsecond; so stages are entered for many rows at a time.

use rustix::time::{ClockId, clock_gettime};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What time is spent on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Checksums, form of the file, decoding of blocks.
    Decoding,
    /// The check `signatures`.
    Signatures,
    /// The check `hashes`.
    Hashes,
    /// The check `execution`.
    Execution,
    /// The check `conflicts`, and what it leaves: requirements, exits, their digests.
    Conflicts,
    /// The check `blocks`.
    Blocks,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Decoding, Self::Signatures, Self::Hashes, Self::Execution, Self::Conflicts, Self::Blocks];

    /// Name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decoding => "decoding",
            Self::Signatures => "signatures",
            Self::Hashes => "hashes",
            Self::Execution => "execution",
            Self::Conflicts => "conflicts",
            Self::Blocks => "blocks",
        }
    }
}

/// Time by stage, from any thread.
#[derive(Clone, Default, Debug)]
pub struct CpuTime(Arc<[AtomicU64; Stage::ALL.len()]>);

struct Running {
    stages: Vec<(CpuTime, Stage)>,
    since: u64,
}

thread_local! {
    static RUNNING: RefCell<Running> = const { RefCell::new(Running { stages: Vec::new(), since: 0 }) };
}

/// Nanoseconds of processor time of this thread.
fn now() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// The stage that this thread is in, to be entered by those who share its work.
#[derive(Clone, Debug)]
pub struct Carried(Option<(CpuTime, Stage)>);

/// The stage that this thread is in.
pub fn carry() -> Carried {
    Carried(RUNNING.with_borrow(|running| running.stages.last().cloned()))
}

impl Carried {
    /// Does work in the stage, on whatever thread.
    pub fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some((cpu, stage)) if !RUNNING.with_borrow(|running| running.is_in(cpu, *stage)) => {
                cpu.within(*stage, work)
            }
            _ => work(),
        }
    }
}

impl Running {
    fn is_in(&self, cpu: &CpuTime, stage: Stage) -> bool {
        self.stages.last().is_some_and(|(other, at)| *at == stage && Arc::ptr_eq(&other.0, &cpu.0))
    }

    /// Gives the time since the last border to the stage that it was spent on.
    fn settle(&mut self) {
        let now = now();
        if let Some((cpu, stage)) = self.stages.last() {
            cpu.0[*stage as usize].fetch_add(now.saturating_sub(self.since), Ordering::Relaxed);
        }
        self.since = now;
    }
}

/// Leaves the stage when it is dropped, also by a panic.
struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        RUNNING.with_borrow_mut(|running| {
            running.settle();
            running.stages.pop();
        });
    }
}

impl CpuTime {
    /// Does work in a stage.
    pub fn within<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        RUNNING.with_borrow_mut(|running| {
            running.settle();
            running.stages.push((self.clone(), stage));
        });
        let _leave = Leave;
        work()
    }

    /// Seconds of a stage.
    pub fn seconds(&self, stage: Stage) -> f64 {
        self.0[stage as usize].load(Ordering::Relaxed) as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Works until the clock of the thread has moved on.
    fn spend(nanoseconds: u64) {
        let from = now();
        while now() - from < nanoseconds {}
    }

    #[test]
    fn time_is_that_of_the_innermost_stage() {
        let cpu = CpuTime::default();
        cpu.within(Stage::Hashes, || {
            spend(2_000_000);
            cpu.within(Stage::Execution, || spend(5_000_000));
            spend(1_000_000);
        });
        spend(4_000_000);
        let (hashes, execution) = (cpu.seconds(Stage::Hashes), cpu.seconds(Stage::Execution));
        assert!(hashes >= 0.003 && execution >= 0.005, "{hashes} {execution}");
        // What is outside of all stages is nobody's, and nothing counts twice.
        let all: f64 = Stage::ALL.iter().map(|stage| cpu.seconds(*stage)).sum();
        assert!((all - hashes - execution).abs() < 1e-9);
    }

    #[test]
    fn work_handed_on_is_the_stages_of_whom_it_is_from() {
        let cpu = CpuTime::default();
        cpu.within(Stage::Signatures, || {
            let carried = carry();
            carried.within(|| spend(1_000_000));
            let other = std::thread::spawn(move || carried.within(|| spend(3_000_000)));
            other.join().expect("it ends");
        });
        assert!(cpu.seconds(Stage::Signatures) >= 0.004);
        carry().within(|| spend(1));
    }

    #[test]
    fn a_stage_is_left_by_a_panic_too() {
        let cpu = CpuTime::default();
        let panics = || cpu.within(Stage::Blocks, || panic!("expected"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
        let before = cpu.seconds(Stage::Blocks);
        spend(1_000_000);
        assert_eq!(cpu.seconds(Stage::Blocks), before);
        assert_eq!(RUNNING.with_borrow(|running| running.stages.len()), 0);
    }
}

//! Time on the wall, and time that the kernel gave: on a shared machine only the second is one's own.
//!
//! Source of the second: `/proc/thread-self/schedstat` (nanoseconds on a core, first field), `/proc/self/stat` (ticks of
//! 10 ms of the whole process, fields 14 and 15). Where they cannot be read, CPU time is absent, never a guess.

use std::time::Instant;

/// Seconds that one run took.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// On the wall.
    pub wall: f64,
    /// On a core: of the thread, or of the whole process.
    pub cpu: Option<f64>,
}

/// Times a run that stays on the calling thread.
pub fn thread<T>(run: impl FnOnce() -> T) -> (T, Sample) {
    timed(thread_seconds, run)
}

/// Times a run that uses several threads; CPU time comes in steps of 10 ms.
pub fn process<T>(run: impl FnOnce() -> T) -> (T, Sample) {
    timed(process_seconds, run)
}

fn timed<T>(cpu: fn() -> Option<f64>, run: impl FnOnce() -> T) -> (T, Sample) {
    let (from, started) = (cpu(), Instant::now());
    let done = run();
    let (wall, to) = (started.elapsed().as_secs_f64(), cpu());
    (done, Sample { wall, cpu: to.zip(from).map(|(to, from)| to - from) })
}

fn thread_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: u64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds as f64 * 1e-9)
}

fn process_seconds() -> Option<f64> {
    const TICKS_A_SECOND: f64 = 100.;
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a name in parentheses that may hold anything; user and system time are fields 14 and 15.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) as f64 / TICKS_A_SECOND)
}

/// How many cores the machine gives to so many busy threads, by the kernel's count; `None` where it does not count.
pub fn cores_given(threads: usize) -> Option<f64> {
    const SPIN: std::time::Duration = std::time::Duration::from_millis(300);
    let spin = || {
        let until = Instant::now() + SPIN;
        while Instant::now() < until {
            std::hint::spin_loop();
        }
    };
    let ((), sample) = process(|| {
        std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(spin))));
    });
    Some(sample.cpu? / sample.wall)
}

/// Least and median of some numbers; panics if there are none.
pub fn least_and_median(samples: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let mut sorted: Vec<f64> = samples.into_iter().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    (sorted[0], sorted[sorted.len() / 2])
}

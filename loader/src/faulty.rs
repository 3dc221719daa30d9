//! Where tests make the n-th access to a file that is written fail, for every n. In programs nothing happens here.

/// Goes before each access to a file that is being written: opening, writing, reading back, seeking, syncing, naming.
#[cfg(not(test))]
#[inline]
pub(crate) fn step() -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(crate) use injected::{Failure, fail, step};

#[cfg(test)]
mod injected {
    use std::cell::Cell;
    use std::io::{Error, Result};

    /// Which steps fail, and how.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Failure {
        pub from: u64,
        /// A full disk stays full, a torn cable may be put back.
        pub stays: bool,
        pub errno: i32,
    }

    thread_local! {
        static STEPS: Cell<u64> = const { Cell::new(0) };
        static FAILURE: Cell<Option<Failure>> = const { Cell::new(None) };
    }

    pub(crate) fn step() -> Result<()> {
        let step = STEPS.replace(STEPS.get() + 1);
        match FAILURE.get() {
            Some(f) if step == f.from || (f.stays && step > f.from) => Err(Error::from_raw_os_error(f.errno)),
            _ => Ok(()),
        }
    }

    /// Runs `work` on this thread with a failure; tells how many steps it took.
    pub(crate) fn fail<T>(failure: Failure, work: impl FnOnce() -> T) -> (T, u64) {
        STEPS.set(0);
        FAILURE.set(Some(failure));
        let done = work();
        FAILURE.set(None);
        (done, STEPS.get())
    }
}

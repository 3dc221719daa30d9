//! Read-only memory maps of files, and the signals that files raise: the only place of this crate with unsafe code.
//!
//! A map shows the file as it is now, whatever others do to it.
//!
//! * *It is shortened, or its device fails.* Touching a page that is gone raises SIGBUS. The handler here puts zeros in
//!   the place of that page and of all behind it, notes that the map is *torn*, and lets the reader go on: no thread is
//!   killed, and the process belongs to whoever runs it, not to its reader.
//! * *It is rewritten in place.* Bytes change under their readers, also those that were verified.
//!
//! Either way bytes may become any other bytes at any moment. They are plain integers and bytes, and every index made
//! of them is used with a bounds check; so the worst that a reader can do is to err or to panic. Whatever comes out
//! then, a result, an error or a panic, is worth nothing: [`crate::file::BlockFile::changed`] and [`crate::Watch`] say
//! so, and are asked last, after all that was read.

#![allow(unsafe_code)] // mapping a file and handling a signal have no safe interface

use alloy_primitives::Bytes;
use memmap2::Mmap;
use std::ffi::{c_int, c_void};
use std::fs::File;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

/// A map as the handler knows it. Never freed: the handler may look at it at any time. 48 bytes for each file opened.
#[derive(Debug)]
struct Entry {
    start: usize,
    end: usize,
    is_open: AtomicBool,
    is_torn: AtomicBool,
    next: Option<&'static Entry>,
}

/// All maps ever made, the newest first.
static MAPS: AtomicPtr<Entry> = AtomicPtr::new(ptr::null_mut());
static PAGE_BYTES: AtomicUsize = AtomicUsize::new(0);
/// What was done about SIGBUS before.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

/// Says whether a map is torn; outlives it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tear(&'static Entry);

impl Tear {
    /// Whether a page of the map was gone when it was touched.
    pub(crate) fn is_torn(self) -> bool {
        self.0.is_torn.load(Ordering::SeqCst)
    }
}

/// The bytes of a whole file.
#[derive(Debug)]
pub(crate) struct Map {
    map: Mmap,
    entry: &'static Entry,
}

impl Map {
    /// Maps all of `file`, which is not empty.
    pub(crate) fn new(file: &File) -> std::io::Result<Self> {
        install()?;
        // SAFETY: the map is read-only and private to this type, which hands out nothing but `&[u8]` bound to its own
        // life (`as_ref` below). What remains is the file being changed by others; the header of this file says what
        // that can do: zeros after SIGBUS, or other bytes, which no reader takes as anything but plain data.
        let map = unsafe { Mmap::map(file) }?;
        let start = map.as_ptr() as usize;
        let entry = Box::new(Entry {
            start,
            end: start + map.len(),
            is_open: AtomicBool::new(true),
            is_torn: AtomicBool::new(false),
            next: None,
        });
        Ok(Self { map, entry: publish(entry) })
    }

    /// The bytes, to be shared: the map lives as long as any part of them.
    pub(crate) fn into_bytes(self) -> (Bytes, Tear) {
        let tear = Tear(self.entry);
        (alloy_primitives::bytes::Bytes::from_owner(self).into(), tear)
    }
}

impl AsRef<[u8]> for Map {
    fn as_ref(&self) -> &[u8] {
        &self.map
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // Before the map itself goes: its addresses may be somebody else's right after.
        self.entry.is_open.store(false, Ordering::SeqCst);
    }
}

/// Puts an entry at the head of the list.
fn publish(mut entry: Box<Entry>) -> &'static Entry {
    let mut head = MAPS.load(Ordering::Acquire);
    // SAFETY: what the list points to was leaked by this function and is never freed or changed but for its atomics.
    entry.next = unsafe { head.as_ref() };
    let entry = Box::leak(entry);
    loop {
        match MAPS.compare_exchange(head, entry, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: leaked above; from here on only shared references to it are made.
            Ok(_) => return unsafe { &*ptr::from_mut(entry) },
            Err(other) => {
                head = other;
                // SAFETY: as above.
                entry.next = unsafe { head.as_ref() };
            }
        }
    }
}

/// Installs the handler of SIGBUS, once a process.
fn install() -> std::io::Result<()> {
    static INSTALLED: OnceLock<Option<i32>> = OnceLock::new();
    let error = INSTALLED.get_or_init(|| {
        // SAFETY: plain calls with valid pointers to values of this frame. The handler does only what may be done in
        // one (see there). It runs on the alternate stack where a thread has one.
        unsafe {
            PAGE_BYTES.store(libc::sysconf(libc::_SC_PAGESIZE) as usize, Ordering::SeqCst);
            let mut before: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(libc::SIGBUS, ptr::null(), &mut before) != 0 {
                return std::io::Error::last_os_error().raw_os_error();
            }
            let _ = BEFORE.set(before);
            let mut action: libc::sigaction = std::mem::zeroed();
            let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_bus_error;
            action.sa_sigaction = handler as libc::sighandler_t;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&mut action.sa_mask);
            if libc::sigaction(libc::SIGBUS, &action, ptr::null_mut()) != 0 {
                return std::io::Error::last_os_error().raw_os_error();
            }
        }
        None
    });
    error.map_or(Ok(()), |code| Err(std::io::Error::from_raw_os_error(code)))
}

/// A page was touched that is not there.
///
/// Only atomics and two system calls, `mmap` and `sigaction`; neither allocates nor takes a lock, and `errno` is left
/// alone where the first succeeds.
extern "C" fn on_bus_error(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the system hands over a valid `siginfo_t` to a handler with SA_SIGINFO; of SIGBUS it has an address.
    let address = unsafe { (*info).si_addr() } as usize;
    // SAFETY: entries are leaked (`publish`).
    let mut next = unsafe { MAPS.load(Ordering::SeqCst).as_ref() };
    while let Some(entry) = next {
        if entry.is_open.load(Ordering::SeqCst) && (entry.start..entry.end).contains(&address) {
            // First: who sees zeros must be able to see why.
            entry.is_torn.store(true, Ordering::SeqCst);
            let page_bytes = PAGE_BYTES.load(Ordering::SeqCst);
            let page = address & !(page_bytes - 1);
            let bytes = entry.end.next_multiple_of(page_bytes) - page;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
            // SAFETY: from a page within an open map of ours to that map's end, nothing else: the thread that touched
            // the address holds the map open, so these addresses are the map's. Rest of the map included, so that one
            // call is enough; it is torn anyway.
            let got = unsafe { libc::mmap(page as *mut c_void, bytes, libc::PROT_READ, flags, -1, 0) };
            if got != libc::MAP_FAILED {
                return;
            }
        }
        next = entry.next;
    }
    // Not ours, or no memory is left: back to what was done before, which the touch meets when it is tried again.
    if let Some(before) = BEFORE.get() {
        // SAFETY: as the system gave it in `install`.
        unsafe { libc::sigaction(libc::SIGBUS, before, ptr::null_mut()) };
    }
}

/// Makes writing beyond the size that a file may have an error (`EFBIG`) in place of a signal that ends the process
/// (SIGXFSZ). For programs; a library leaves signals to them.
pub fn ignore_file_size_signal() {
    // SAFETY: ignoring a signal runs no code of ours.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn filled(bytes: usize) -> File {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(&vec![7; bytes]).expect("written");
        file
    }

    #[test]
    fn a_page_that_is_gone_reads_as_zeros_and_tears_its_map_alone() {
        let (short, whole) = (filled(1 << 20), filled(1 << 20));
        let (torn, tear) = Map::new(&short).expect("mapped").into_bytes();
        let (kept, other) = Map::new(&whole).expect("mapped").into_bytes();
        assert!(!tear.is_torn() && torn.iter().all(|byte| *byte == 7));
        short.set_len(100_000).expect("shortened");
        // What the file still has is there; the rest of its last page reads as zeros without a signal.
        assert!(torn[..100_000].iter().all(|byte| *byte == 7));
        assert!(!tear.is_torn());
        assert_eq!(torn[500_000], 0);
        assert!(tear.is_torn());
        assert!(torn[500_000..].iter().all(|byte| *byte == 0));
        assert!(torn[200_000..500_000].iter().all(|byte| *byte == 0));
        assert!(torn[..100_000].iter().all(|byte| *byte == 7));
        assert!(!other.is_torn() && kept.iter().all(|byte| *byte == 7));
        drop(torn);
        assert!(tear.is_torn());
    }

    #[test]
    fn many_threads_may_fault_at_once() {
        for round in 0..20 {
            let file = filled(1 << 20);
            let (bytes, tear) = Map::new(&file).expect("mapped").into_bytes();
            file.set_len(round * 4096).expect("shortened");
            std::thread::scope(|scope| {
                for thread in 0..8 {
                    let bytes = &bytes;
                    scope.spawn(move || {
                        let sum: u64 = bytes.iter().skip(thread).map(|byte| u64::from(*byte)).sum();
                        assert!(sum <= 7 * (round * 4096));
                    });
                }
            });
            assert!(tear.is_torn());
        }
    }

    #[test]
    fn a_page_of_nobodys_map_is_not_ours() {
        // In a process of its own, since it dies: this test again, told by a variable.
        if std::env::var_os("MANAFLOW_TEST_FOREIGN_MAP").is_some() {
            let (ours, foreign) = (filled(1 << 16), filled(1 << 16));
            let (_bytes, _) = Map::new(&ours).expect("mapped").into_bytes();
            // SAFETY: the file is this test's own; that touching it ends the process is what is tested.
            let map = unsafe { Mmap::map(&foreign) }.expect("mapped");
            foreign.set_len(0).expect("shortened");
            println!("read {}", map[1000]);
            return;
        }
        let this = std::env::current_exe().expect("a path");
        let output = std::process::Command::new(this)
            .args(["--exact", "map::tests::a_page_of_nobodys_map_is_not_ours", "--nocapture"])
            .env("MANAFLOW_TEST_FOREIGN_MAP", "1")
            .output()
            .expect("it starts");
        let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
        assert_eq!(signal, Some(libc::SIGBUS), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

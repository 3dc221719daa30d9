//! Files that are whole under their name, or not there.
//!
//! Where the system can (Linux, most file systems), the file has no name until it is written and synced; so whatever
//! ends the process leaves nothing behind. Its name is given by a link; a file that has the name already is replaced by
//! a link beside it and a rename, between which alone an end of the process leaves a hidden, whole file. Elsewhere the
//! file is written under a hidden name, which such an end leaves behind.

use crate::faulty;
use std::fs::{File, Permissions};
use std::io::{ErrorKind, Result, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::{Builder, NamedTempFile};

/// A file that gets its name when it is finished. Dropped before, it is gone.
#[derive(Debug)]
pub struct WholeFile {
    path: PathBuf,
    file: Kind,
}

#[derive(Debug)]
enum Kind {
    Unnamed(File),
    Hidden(NamedTempFile),
}

impl WholeFile {
    /// An empty file in the folder of `path`, with the permissions of any new file.
    ///
    /// A link is followed, so that it stays one.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        faulty::step()?;
        let file = match unnamed(folder_of(&path)) {
            Some(file) => Kind::Unnamed(file),
            None => Kind::Hidden(hidden(&path)?),
        };
        Ok(Self { path, file })
    }

    fn file(&mut self) -> &mut File {
        match &mut self.file {
            Kind::Unnamed(file) => file,
            Kind::Hidden(file) => file.as_file_mut(),
        }
    }

    /// Syncs the file, gives it its name, in place of a file that has it already, and syncs the folder.
    pub fn finish(mut self) -> Result<()> {
        faulty::step()?;
        self.file().sync_all()?;
        faulty::step()?;
        match self.file {
            Kind::Unnamed(file) => give_name(&file, &self.path)?,
            Kind::Hidden(file) => {
                file.persist(&self.path).map_err(|e| e.error)?;
            }
        }
        faulty::step()?;
        File::open(folder_of(&self.path))?.sync_all()
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        faulty::step()?;
        self.file().write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        self.file().flush()
    }
}

impl Seek for WholeFile {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        faulty::step()?;
        self.file().seek(to)
    }
}

/// The folder that a path lies in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file without name that can get one; `None` where the system or the file system has none.
#[cfg(target_os = "linux")]
fn unnamed(folder: &Path) -> Option<File> {
    use rustix::fs::{Mode, OFlags};
    // The link is made by the path of the open file.
    if !Path::new("/proc/self/fd").is_dir() {
        return None;
    }
    // Less what the umask takes, as for any new file.
    let mode = Mode::from_raw_mode(0o666);
    // Whatever is wrong, the hidden file meets it too and says it.
    rustix::fs::open(folder, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, mode).ok().map(File::from)
}

#[cfg(not(target_os = "linux"))]
fn unnamed(_: &Path) -> Option<File> {
    None
}

fn hidden(path: &Path) -> Result<NamedTempFile> {
    hidden_name().permissions(Permissions::from_mode(0o666)).tempfile_in(folder_of(path))
}

/// Names of hidden files: short, whatever the file's own name, which may be as long as a name can be.
fn hidden_name() -> Builder<'static, 'static> {
    let mut builder = Builder::new();
    builder.prefix(".manaflow.").suffix(".part");
    builder
}

/// Links a file without name to a path.
fn give_name(file: &File, path: &Path) -> Result<()> {
    match link(file, path) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        done => return done,
    }
    // A link does not replace: a name beside it, then a rename, which does.
    let beside = hidden_name().make_in(folder_of(path), |place| link(file, place))?;
    beside.into_temp_path().persist(path).map_err(|e| e.error)
}

#[cfg(target_os = "linux")]
fn link(file: &File, path: &Path) -> Result<()> {
    use rustix::fs::{AtFlags, CWD};
    let open_file = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(CWD, open_file, CWD, path, AtFlags::SYMLINK_FOLLOW).map_err(Into::into)
}

#[cfg(not(target_os = "linux"))]
fn link(_: &File, _: &Path) -> Result<()> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_files_do_what_unnamed_ones_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x");
        for text in ["first", "second"] {
            let file = hidden(&path).expect("created");
            let mut whole = WholeFile { path: path.clone(), file: Kind::Hidden(file) };
            whole.write_all(text.as_bytes()).expect("written");
            assert_ne!(std::fs::read(&path).ok().as_deref(), Some(text.as_bytes()));
            whole.finish().expect("named");
            assert_eq!(std::fs::read(&path).expect("there"), text.as_bytes());
            drop(WholeFile { path: path.clone(), file: Kind::Hidden(hidden(&path).expect("created")) });
            assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
        }
    }

    /// The name beside a file that is replaced was first that of an empty file: a process killed then left it behind.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_name_beside_the_file_is_never_that_of_an_empty_one() {
        use std::sync::atomic::{AtomicBool, Ordering};
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x");
        if unnamed(folder.path()).is_none() {
            let _ = writeln!(std::io::stderr(), "skipped: a_name_beside_the_file: no files without name here");
            return;
        }
        let done = AtomicBool::new(false);
        let (names, seen) = std::thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let (mut names, mut seen) = (0, Vec::new());
                while !done.load(Ordering::Relaxed) {
                    for entry in std::fs::read_dir(folder.path()).expect("a folder").flatten() {
                        names += 1;
                        // It may be gone by now, which is no failure.
                        seen.extend(std::fs::read(entry.path()).ok().filter(|bytes| bytes != b"whole"));
                    }
                }
                (names, seen)
            });
            for _ in 0..1_000 {
                let mut file = unnamed(folder.path()).expect("a file without name");
                file.write_all(b"whole").expect("written");
                give_name(&file, &path).expect("named");
            }
            done.store(true, Ordering::Relaxed);
            watcher.join().expect("it ends")
        });
        assert!(names > 0);
        assert_eq!(seen, Vec::<Vec<u8>>::new());
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn permissions_are_those_of_any_new_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let (plain, path) = (folder.path().join("plain"), folder.path().join("x"));
        std::fs::write(&plain, "").expect("written");
        WholeFile::create(&path).and_then(WholeFile::finish).expect("named");
        let mode = |path: &Path| path.metadata().expect("there").permissions().mode();
        assert_eq!(mode(&path), mode(&plain));
    }
}

//! Where results go: standard output, or a file that is whole or not there.

use crate::exit::Failure;
use manaflow_loader::WholeFile;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Stdout, Write};
use std::path::{Path, PathBuf};

/// Where a result goes, as it comes.
pub enum Output {
    /// Standard output.
    Standard(BufWriter<Stdout>),
    /// A pipe, a device.
    Special(BufWriter<File>),
    /// A file, whole or not there.
    Whole(Box<BufWriter<WholeFile>>),
}

impl Output {
    /// Opens a file (`-` for standard output).
    pub fn create(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Self::Standard(BufWriter::new(std::io::stdout())));
        }
        // Links are followed; what is no regular file (a pipe, a device) is written to, never replaced.
        let path = &path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        if path.metadata().is_ok_and(|m| !m.is_file()) {
            let file = std::fs::OpenOptions::new().write(true).open(path).map_err(Failure::output(path))?;
            return Ok(Self::Special(BufWriter::new(file)));
        }
        let file = WholeFile::create(path).map_err(Failure::output(path))?;
        Ok(Self::Whole(Box::new(BufWriter::new(file))))
    }

    /// The end: a file gets its name.
    pub fn finish(self) -> std::io::Result<()> {
        match self {
            Self::Standard(mut out) => out.flush(),
            Self::Special(mut out) => out.flush(),
            Self::Whole(out) => out.into_inner().map_err(|e| e.into_error())?.finish(),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Standard(out) => out.write(bytes),
            Self::Special(out) => out.write(bytes),
            Self::Whole(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Standard(out) => out.flush(),
            Self::Special(out) => out.flush(),
            Self::Whole(out) => out.flush(),
        }
    }
}

/// Writes a result to a file (`-` for standard output). That nobody reads standard output any more is no failure: the
/// verdict is in the exit code too.
pub fn write_to(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut output = Output::create(path)?;
    match output.write_all(bytes).and_then(|()| output.finish()) {
        Err(e) if e.kind() == ErrorKind::BrokenPipe && path == Path::new("-") => Ok(()),
        done => done.map_err(Failure::output(path)),
    }
}

/// Refuses an output that cannot be written, or that is one of the inputs, before any work is done.
pub fn check_output(path: &Path, inputs: &[PathBuf]) -> Result<(), Failure> {
    if path == Path::new("-") {
        return Ok(());
    }
    if path.is_dir() {
        return Err(Failure::output(path)(ErrorKind::IsADirectory.into()));
    }
    let folder = folder_of(path);
    let is_folder = std::fs::metadata(folder).map_err(Failure::output(folder))?.is_dir();
    if !is_folder {
        return Err(Failure::output(folder)(ErrorKind::NotADirectory.into()));
    }
    // Links may give one file two names.
    if let Ok(own) = path.canonicalize()
        && inputs.iter().any(|input| input.canonicalize().is_ok_and(|input| input == own))
    {
        return Err(Failure::Usage(format!("{}: is an input, and would be overwritten", path.display())));
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A line on standard error; nobody need be there to read it. Names of files may hold what a terminal obeys: it is shown. An
/// address that was given in place of a file may have keys in it: of addresses scheme, host and port are shown.
pub fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", shown(&without_keys(line)));
}

/// Addresses without user, path and query.
fn without_keys(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || "\"'`()".contains(c)).unwrap_or(after.len());
        let (address, tail) = after.split_at(end);
        let authority = address.split(['/', '?', '#']).next().unwrap_or_default();
        out.push_str(authority.rsplit('@').next().unwrap_or_default());
        // What separates an address from the words after it is none of it.
        let mark = address.rfind(|c: char| !":,;.".contains(c)).map_or(0, |i| i + 1);
        if authority.len() < mark {
            out.push('…');
            out.push_str(&address[mark..]);
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// Control characters in their escaped form.
fn shown(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// A number with its thousands apart.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A rate with three digits and a unit prefix.
pub fn rate(n: u64, seconds: f64) -> String {
    let x = if seconds > 0.0 { n as f64 / seconds } else { 0.0 };
    match x {
        x if x >= 1e9 => format!("{:.2} G", x / 1e9),
        x if x >= 1e6 => format!("{:.2} M", x / 1e6),
        x if x >= 1e3 => format!("{:.2} k", x / 1e3),
        x => format!("{x:.1} "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_keys() {
        for (line, expected) in [
            ("http://127.0.0.1:8545: eth_call: no", "http://127.0.0.1:8545: eth_call: no"),
            ("https://u:s@n.example:1/v3/k?t=x: No such file", "https://n.example:1…: No such file"),
            ("a, `ws://n.example/k` and https://u:s@n.example", "a, `ws://n.example…` and https://n.example"),
            ("file.mana: byte 3", "file.mana: byte 3"),
            ("x:// y", "x:// y"),
        ] {
            assert_eq!(without_keys(line), expected);
        }
    }
}

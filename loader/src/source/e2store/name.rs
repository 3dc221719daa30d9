//! Standard names of files, `<network>-<epoch>-<8 hex digits>.<extension>`: they say what is in the file.
//!
//! The digits are the first of the accumulator (`.era1`) or of the last block's hash (`.ere`; `.erae` has been written
//! with either). An ere name may end in profiles, `-noproofs` or `-noreceipts`.
//! A name that its file contradicts is refused rather than passed over: a file under another's name stands where that
//! other is missing, and to rename it costs nothing. Any other form of name says nothing and is accepted.
//! Source: the era1 and ere specifications, "File name".

use super::{BLOCKS_MAX, EntryFile, Layout, Tail};
use crate::error::{Error, Result};
use alloy_primitives::hex;
use std::path::Path;

/// What a standard name says.
#[derive(PartialEq, Eq, Debug)]
struct Name<'a> {
    epoch: u64,
    digits: &'a str,
    extension: &'a str,
}

impl<'a> Name<'a> {
    /// `None` for a name of another form.
    fn of(path: &'a Path) -> Option<Self> {
        let (stem, extension) = path.file_name()?.to_str()?.rsplit_once('.')?;
        let stem = match extension {
            "era1" => stem,
            "ere" | "erae" => {
                // In the order of the alphabet, if both.
                let stem = stem.strip_suffix("-noreceipts").unwrap_or(stem);
                stem.strip_suffix("-noproofs").unwrap_or(stem)
            }
            _ => return None,
        };
        let mut parts = stem.rsplitn(3, '-');
        let (digits, epoch, network) = (parts.next()?, parts.next()?, parts.next()?);
        let is_hex = digits.len() == 8 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let is_epoch = epoch.len() >= 5 && epoch.bytes().all(|b| b.is_ascii_digit());
        if network.is_empty() || !is_hex || !is_epoch {
            return None;
        }
        Some(Self { epoch: epoch.parse().ok()?, digits, extension })
    }
}

/// Checks what a file's name says, if it is a standard one, against its index, its accumulator and its last block.
pub(in crate::source) fn check(file: &mut EntryFile, tail: &Tail) -> Result<()> {
    let path = file.path.clone();
    let Some(name) = Name::of(&path) else { return Ok(()) };
    let refuse = |what: String| {
        let reason = format!("{what}: the file is not what its name says; rename it if it is the one wanted");
        Err(Error::malformed(&path, "name", reason))
    };
    if name.epoch.checked_mul(BLOCKS_MAX as u64) != Some(tail.first) {
        return refuse(format!("got epoch {}, expected that of the first block, {}", name.epoch, tail.first));
    }
    let root = tail.accumulator.map(|root| ("accumulator", root));
    let last = match tail.layout {
        Layout::Era1 => None,
        Layout::Ere => Some(("hash of the last block", tail.header(file, tail.count - 1)?.1)),
    };
    let candidates = match (tail.layout, name.extension) {
        (Layout::Era1, "era1") => [root, None],
        (Layout::Ere, "ere") => [last, None],
        (Layout::Ere, "erae") => [last, root],
        // The name of another format: what its digits would mean is not said.
        _ => return Ok(()),
    };
    let candidates: Vec<_> =
        candidates.into_iter().flatten().map(|(what, hash)| (what, hex::encode(&hash[..4]))).collect();
    match candidates.iter().any(|(_, digits)| digits == name.digits) {
        // An era1 file without an accumulator is refused for that by its reader.
        _ if candidates.is_empty() => Ok(()),
        true => Ok(()),
        false => {
            let expected: Vec<_> = candidates.iter().map(|(what, digits)| format!("{digits}, the {what}")).collect();
            refuse(format!("got {}, expected {}", name.digits, expected.join(", or ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_names_are_told_from_others() {
        for (name, epoch, digits) in [
            ("mainnet-00000-5ec1ffb8.era1", 0, "5ec1ffb8"),
            ("a-net-01895-00000000.ere", 1895, "00000000"),
            ("x/mainnet-00001-4bb7de2e-noproofs.ere", 1, "4bb7de2e"),
            ("mainnet-00001-4bb7de2e-noreceipts.erae", 1, "4bb7de2e"),
            ("mainnet-123456-4bb7de2e-noproofs-noreceipts.ere", 123_456, "4bb7de2e"),
        ] {
            let found = Name::of(Path::new(name)).unwrap_or_else(|| panic!("{name}"));
            assert_eq!((found.epoch, found.digits), (epoch, digits), "{name}");
        }
        for name in [
            "mainnet.era1",
            "mainnet-0-5ec1ffb8.era1",
            "mainnet-00000-5EC1FFB8.era1",
            "mainnet-00000-5ec1ffb.era1",
            "-00000-5ec1ffb8.era1",
            "00000-5ec1ffb8.era1",
            "mainnet-00000-5ec1ffb8-noproofs.era1",
            "mainnet-00000-5ec1ffb8-noreceipts-noproofs.ere",
            "mainnet-00000-5ec1ffb8.rlp",
            "mainnet-00000-5ec1ffb8",
            "mainnet-99999999999999999999-5ec1ffb8.ere",
        ] {
            assert_eq!(Name::of(Path::new(name)), None, "{name}");
        }
    }
}

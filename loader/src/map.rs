//! Read-only memory maps of files: the only place of this crate with unsafe code.
//!
//! A map shows the file as it is now. If another process shortens the file, touching a page beyond its new end raises
//! SIGBUS; nothing here handles that yet. If another process rewrites it in place, bytes change under their readers:
//! they are plain integers and bytes, every index read from them is used with a bounds check, and
//! [`crate::file::BlockFile::changed`] withdraws the verdict.

#![allow(unsafe_code)] // mapping a file has no safe interface

use alloy_primitives::Bytes;
use memmap2::Mmap;
use std::fs::File;

/// The bytes of a whole file.
#[derive(Debug)]
pub(crate) struct Map(Mmap);

impl Map {
    /// Maps all of `file`, which is not empty.
    pub(crate) fn new(file: &File) -> std::io::Result<Self> {
        // SAFETY: the map is read-only and private to this type, which hands out nothing but `&[u8]` bound to its own
        // life (`as_ref` below). What remains is the file being changed by others; the header of this file says what
        // that can do: SIGBUS, or other bytes, which no reader takes as anything but plain data.
        unsafe { Mmap::map(file) }.map(Self)
    }

    /// The bytes, to be shared: the map lives as long as any part of them.
    pub(crate) fn into_bytes(self) -> Bytes {
        alloy_primitives::bytes::Bytes::from_owner(self).into()
    }
}

impl AsRef<[u8]> for Map {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

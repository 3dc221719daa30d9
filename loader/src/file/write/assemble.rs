//! From spools to a file: tables in their final order, columns mapped to it, sections one after the other under checksums.

use super::{CellTables, Numbering, RecentValues, Writer};
use crate::file::layout::{
    CODE_ABSENT, ExitRow, ForeignRow, Header, Layout, NOBODY, ROW_BOUND, SECTION_COUNT, SECTIONS, SIGNED_COLUMNS,
    Section as S,
};
use crate::file::spool::PagedWriter;
use crate::file::tables::{ForeignKey, SortedCells};
use crate::model::Location;
use crate::whole::WholeFile;
use crate::{Error, Result};
use alloy_primitives::B256;
use bytemuck::cast_slice;
use std::io::{Seek, SeekFrom, Write};
use xxhash_rust::xxh3::xxh3_64;

impl Writer {
    /// The foreign table, ascending, and the final intx of each foreign version by its first number.
    fn sort_foreign(&mut self) -> Result<(Vec<ForeignRow>, Vec<u32>)> {
        let foreign = std::mem::replace(&mut self.foreign, Numbering::new(0, "foreign versions"));
        let keys = foreign.into_keys();
        let row_of = |key: &ForeignKey| {
            let segment = &self.segments[key.0? as usize];
            segment.row_at(Location::from_bits(key.1.value), |block| self.row_firsts[block])
        };
        let mut rows: Vec<ForeignRow> = keys.iter().filter(|&key| row_of(key).is_none()).map(|key| key.1).collect();
        rows.sort_unstable();
        rows.dedup();
        let place_of = |key: &ForeignKey| match row_of(key) {
            Some(row) => row + rows.len() as u32,
            None => rows.partition_point(|row| *row < key.1) as u32,
        };
        let places = keys.iter().map(place_of).collect();
        Ok((rows, places))
    }

    pub(super) fn assemble(&mut self) -> Result<u64> {
        let (foreign, foreign_places) = self.sort_foreign()?;
        let tables = std::mem::replace(&mut self.tables, CellTables::new());
        let tables = match self.numbered {
            Some(cells) => self.sort_numbered(cells).map_err(Error::io(&self.folder))?,
            None => tables.into_sorted(),
        };
        self.recent = RecentValues::default();
        let codes = std::mem::replace(&mut self.codes, Numbering::new(0, "code hashes")).into_keys();
        let blobs: Vec<Option<(u64, u64)>> = codes.iter().map(|hash| self.blob_places.get(hash).copied()).collect();
        let maps = FinalMaps { tables: &tables, foreign: &foreign, foreign_places: &foreign_places };

        let lengths: [u64; SECTION_COUNT] = std::array::from_fn(|i| match SECTIONS[i].0 {
            S::Rules => self.rules.len() as u64,
            S::Segments => size_of_val(&self.segments[..]) as u64,
            S::Addresses => 20 * tables.addresses.len() as u64,
            S::Slots => 32 * tables.slots.len() as u64,
            S::Spaces => size_of_val(&tables.spaces[..]) as u64,
            S::AccountCells => 4 * tables.accounts.len() as u64,
            S::StorageCells => size_of_val(&tables.storage[..]) as u64,
            S::HashCells => 8 * tables.hashes.len() as u64,
            S::Foreign => size_of_val(&foreign[..]) as u64,
            S::CodeHashes => 32 * codes.len() as u64,
            S::CodeEnds => 8 * codes.len() as u64,
            S::CodeBytes => blobs.iter().flatten().map(|blob| blob.1).sum(),
            S::SignerKeys | S::SignatureR => self.hints.bytes(SECTIONS[i].0),
            S::MoveLast if self.with_last => 4 * self.move_count,
            S::CellExits if self.has_exits() => size_of::<ExitRow>() as u64 * tables.cells() as u64,
            section if self.is_moves_only && SIGNED_COLUMNS.contains(&section) => 0,
            section => self.spooled(section),
        });
        let layout = Layout::new(&lengths).ok_or_else(|| self.refuse("end", "2^63 bytes or more"))?;

        let place = self.path.clone();
        let mut file = WholeFile::create(&place).map_err(Error::io(&self.folder))?;
        file.seek(SeekFrom::Start(layout.data.start)).map_err(Error::io(&place))?;
        let mut out = PagedWriter::new(&mut file);
        for (section, name, _) in SECTIONS {
            let at = layout.sections[section as usize].clone();
            assert_eq!(out.bytes(), at.start - layout.data.start, "section {name} begins where the layout says");
            self.copy_section(section, &maps, &codes, &blobs, &mut out).map_err(Error::io(&place))?;
            assert_eq!(out.bytes(), at.end - layout.data.start, "section {name} ends where the layout says");
            out.pad().map_err(Error::io(&place))?;
        }
        let page_table = out.finish().map_err(Error::io(&place))?;
        assert_eq!(page_table.len() as u64, layout.page_table.end - layout.page_table.start, "one checksum a page");
        let versions = std::mem::take(&mut self.versions);
        let file_bytes = layout.data.end;
        let header = Header { versions, layout, page_table_checksum: xxh3_64(&page_table) };
        seal_file(&mut file, &header, &page_table).map_err(Error::io(&place))?;
        file.finish().map_err(Error::io(&place))?;
        Ok(file_bytes)
    }

    fn copy_section(
        &mut self,
        section: S,
        maps: &FinalMaps<'_>,
        codes: &[B256],
        blobs: &[Option<(u64, u64)>],
        out: &mut PagedWriter<'_, impl Write>,
    ) -> std::io::Result<()> {
        let tables = maps.tables;
        match section {
            section if self.is_moves_only && SIGNED_COLUMNS.contains(&section) => Ok(()),
            S::Rules => out.put(&self.rules),
            S::Segments => out.put(cast_slice(&self.segments)),
            S::Addresses => tables.addresses.iter().try_for_each(|address| out.put(address.as_slice())),
            S::Slots => tables.slots.iter().try_for_each(|slot| out.put(&slot.to_be_bytes::<32>())),
            S::Spaces => out.put(cast_slice(&tables.spaces)),
            S::AccountCells => out.put(cast_slice(&tables.accounts)),
            S::StorageCells => out.put(cast_slice(&tables.storage)),
            S::HashCells => out.put(cast_slice(&tables.hashes)),
            S::Foreign => out.put(cast_slice(maps.foreign)),
            S::CodeHashes => codes.iter().try_for_each(|hash| out.put(hash.as_slice())),
            S::CodeEnds => {
                let mut end = 0;
                blobs.iter().try_for_each(|blob| {
                    end += blob.map_or(0, |(_, bytes)| bytes);
                    let absent = if blob.is_none() { CODE_ABSENT } else { 0 };
                    out.put(&(end | absent).to_le_bytes())
                })
            }
            S::CodeBytes => {
                blobs.iter().flatten().try_for_each(|&(offset, bytes)| self.blobs.copy_part(offset, bytes, out))
            }
            S::RowSenders | S::Authorities => self.spool(section).map_to(out, |addr| maps.address(addr)),
            S::SignerKeys | S::SignatureR => self.hints.copy_to(section, out),
            S::MoveCells => self.spool(section).map_to(out, |cell| tables.cell_places[cell as usize]),
            S::MoveIntx => self.spool(section).map_to(out, |intx| maps.intx(intx)),
            S::MoveLast if self.with_last => self.put_last(tables.cell_places.len(), out),
            S::CellExits if self.has_exits() => self.put_exits(tables, |intx| maps.intx(intx), out),
            _ => match &mut self.spools[section as usize] {
                Some(spool) => spool.copy_to(out),
                None => Ok(()), // reserved: empty
            },
        }
    }
}

/// From numbers of first appearance to final ones.
struct FinalMaps<'a> {
    tables: &'a SortedCells,
    foreign: &'a [ForeignRow],
    foreign_places: &'a [u32],
}

impl FinalMaps<'_> {
    fn address(&self, number: u32) -> u32 {
        if number == NOBODY { NOBODY } else { self.tables.address_places[number as usize] }
    }

    // Rows are below ROW_BOUND, foreign versions fewer than u32::MAX - ROW_BOUND: neither the test nor the sum wraps.
    fn intx(&self, spooled: u32) -> u32 {
        if spooled > ROW_BOUND {
            self.foreign_places[(u32::MAX - spooled) as usize]
        } else {
            spooled + self.foreign.len() as u32
        }
    }
}

fn seal_file(file: &mut WholeFile, header: &Header, page_table: &[u8]) -> std::io::Result<()> {
    file.rewind()?;
    file.write_all(&header.to_bytes())?;
    file.write_all(page_table)?;
    // The gap up to the data area reads as zeros: it was skipped, and the file is new.
    Ok(())
}

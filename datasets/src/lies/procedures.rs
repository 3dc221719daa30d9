//! The moves of a sample by every procedure of double use: all must give one result, with the faults of the ledger.

use super::ledger::Ledger;
use super::sample::{Sample, SegmentRecord, decode_header};
use alloy_primitives::B256;
use manaflow_engine::double_use::{Columns, Procedure};
use manaflow_engine::reason::Reason;
use manaflow_loader::model::{Cell, Location, Mode, Value, Version};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

/// Judges each segment's moves by every procedure, and holds the results against each other and against the ledger.
pub fn agree(sample: &Sample, ledger: &Ledger) -> Result<(), String> {
    let mut faults = BTreeSet::new();
    for (place, segment) in sample.segments.iter().enumerate() {
        let columns = Moves::of(segment);
        let forward = Procedure::Forward.judge(&columns).map_err(|e| format!("forward: {e}"))?;
        for procedure in Procedure::ALL.into_iter().chain([Procedure::Merge(3)]) {
            match procedure.judge(&columns) {
                Ok(result) if result == forward => {}
                Ok(_) => return Err(format!("{procedure:?}: another result than forward")),
                Err(error) => return Err(format!("{procedure:?}: {error}")),
            }
        }
        for c in forward.culprits.iter().chain(&forward.contradictions()) {
            let reason: Reason = c.reason.name().parse().map_err(|_| format!("reason {}", c.reason.name()))?;
            faults.insert((c.location, reason, c.cell));
        }
        let demanded: BTreeSet<Cell> = forward.requirements.iter().map(|d| d.cell).collect();
        let expected: BTreeSet<Cell> = ledger.demands.keys().filter(|(s, _)| *s == place).map(|(_, c)| *c).collect();
        if demanded != expected {
            return Err(format!("segment {place}: {} cells required, {} foretold", demanded.len(), expected.len()));
        }
    }
    match faults == ledger.faults {
        true => Ok(()),
        false => Err(format!("procedures: {} faults, {} foretold", faults.len(), ledger.faults.len())),
    }
}

/// The moves of a segment in columns. Equal values have one number.
struct Moves {
    first: u64,
    blocks: u64,
    origin: u64,
    parent_hash: Option<B256>,
    locations: Vec<Location>,
    rows: Vec<Range<usize>>,
    table: Vec<Cell>,
    values: Vec<Value>,
    foreign: Vec<Version>,
    cells: Vec<u32>,
    intx: Vec<u32>,
    prev: Vec<u32>,
    next: Vec<u32>,
    write: Vec<bool>,
}

/// The number of an item, a new one if it has none.
fn number<T: Copy + Eq + std::hash::Hash>(item: T, numbers: &mut HashMap<T, u32>, table: &mut Vec<T>) -> u32 {
    *numbers.entry(item).or_insert_with(|| {
        table.push(item);
        table.len() as u32 - 1
    })
}

impl Moves {
    fn of(segment: &SegmentRecord) -> Self {
        let first = segment.start.first;
        let header = segment.blocks.first().and_then(|block| decode_header(&block.body.header));
        let mut moves = Self {
            first,
            blocks: segment.blocks.len() as u64,
            origin: segment.start.origin,
            parent_hash: header.map(|header| header.parent_hash).filter(|_| first > 0),
            locations: Vec::new(),
            rows: Vec::new(),
            table: Vec::new(),
            values: Vec::new(),
            foreign: Vec::new(),
            cells: Vec::new(),
            intx: Vec::new(),
            prev: Vec::new(),
            next: Vec::new(),
            write: Vec::new(),
        };
        let mut rows = HashMap::new();
        for (b, block) in segment.blocks.iter().enumerate() {
            for i in 0..block.transactions.len() {
                let at = Location::new(first + b as u64, i as u64).expect("of a sample");
                rows.insert(at, moves.locations.len() as u32);
                moves.locations.push(at);
            }
        }
        let all = || segment.blocks.iter().flat_map(|block| &block.transactions);
        let own = |version: &Version| matches!(version, Version::At(at) if rows.contains_key(at));
        let mut versions = HashMap::new();
        for m in all().flat_map(|row| &row.moves).filter(|m| !own(&m.intx)) {
            number(m.intx, &mut versions, &mut moves.foreign);
        }
        let foreign = moves.foreign.len() as u32;
        let (mut cells, mut values) = (HashMap::new(), HashMap::new());
        for row in all() {
            let start = moves.cells.len();
            for m in &row.moves {
                moves.cells.push(number(m.cell, &mut cells, &mut moves.table));
                moves.intx.push(match m.intx {
                    Version::At(at) if rows.contains_key(&at) => foreign + rows[&at],
                    version => versions[&version],
                });
                moves.prev.push(number(m.prev, &mut values, &mut moves.values));
                moves.next.push(number(m.next, &mut values, &mut moves.values));
                moves.write.push(m.mode == Mode::Write);
            }
            moves.rows.push(start..moves.cells.len());
        }
        moves
    }
}

impl Columns for Moves {
    fn first(&self) -> u64 {
        self.first
    }
    fn blocks(&self) -> u64 {
        self.blocks
    }
    fn origin(&self) -> u64 {
        self.origin
    }
    fn parent_hash(&self) -> Option<B256> {
        self.parent_hash
    }
    fn rows(&self) -> u32 {
        self.locations.len() as u32
    }
    fn location(&self, row: u32) -> Location {
        self.locations[row as usize]
    }
    fn moves_of(&self, row: u32) -> Range<usize> {
        self.rows[row as usize].clone()
    }
    fn cell_count(&self) -> u32 {
        self.table.len() as u32
    }
    fn foreign(&self) -> &[Version] {
        &self.foreign
    }
    fn cells(&self) -> &[u32] {
        &self.cells
    }
    fn intx(&self) -> &[u32] {
        &self.intx
    }
    fn prev(&self) -> &[u32] {
        &self.prev
    }
    fn next(&self) -> &[u32] {
        &self.next
    }
    fn flags(&self) -> &[u8] {
        bytemuck::cast_slice(&self.write)
    }
    fn cell(&self, cell: u32) -> Cell {
        self.table[cell as usize]
    }
    fn value(&self, _cell: u32, number: u32) -> Value {
        self.values[number as usize]
    }
}

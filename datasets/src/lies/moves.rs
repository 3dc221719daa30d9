//! Lies about moves: each field, and a move that is gone, there twice, out of order, or in another transaction.
//!
//! What double use says of them is the ledger's; here is what Solo must say.

use super::{Draw, Foretold, Lie, Place, Sample, Scene, Told};
use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use manaflow_engine::reason::{Check, Reason};
use manaflow_loader::model::{AccountValue, Cell, INDEX_BOUND, Location, Mark, Mode, Move, Value, Version};

/// An address that no sample has.
pub const NOBODY: Address = Address::repeat_byte(0xee);
/// A slot that no sample has.
const NO_SLOT: U256 = U256::from_limbs([0xeeee_eeee_eeee, 0, 7, 0]);

/// A move at its place, and where lies about it are collected.
struct At<'a, 'b> {
    scene: &'a Scene<'a>,
    place: Place,
    j: usize,
    m: Move,
    moves: &'a [Move],
    lies: &'b mut Vec<Lie>,
}

/// Lies about move `j` of a row.
pub fn about(scene: &Scene<'_>, place: &Place, j: usize, places: &[Place], draw: &mut Draw, lies: &mut Vec<Lie>) {
    let moves = &scene.row(place).moves;
    let mut at = At { scene, place: *place, j, m: moves[j], moves, lies };
    at.mask_and_mode();
    at.versions(draw);
    at.values();
    match at.m.cell.mark {
        Mark::Account => at.account(draw),
        Mark::Storage => at.storage(),
        Mark::BlockHash => at.block_hash(),
    }
    at.list();
    at.moved(places, draw);
}

impl At<'_, '_> {
    /// Whether this is the closing's write of its own block's hash.
    fn is_hash_write(&self) -> bool {
        self.place.index == self.place.last && self.m.cell == Cell::block_hash(self.place.number)
    }

    fn add(
        &mut self,
        kind: &'static str,
        foretold: impl Into<Foretold>,
        change: impl Fn(&mut Sample) + Send + Sync + 'static,
    ) {
        let place = format!("{} move {} {}", self.place.location(), self.j, self.m.cell);
        let under = Some(self.place.under());
        self.lies.push(Lie { kind, place, under, change: Box::new(change), foretold: foretold.into() });
    }

    /// A lie about fields of the move, the list being sorted again: so that it is not merely one about the order.
    fn change(
        &mut self,
        kind: &'static str,
        foretold: impl Into<Foretold>,
        change: impl Fn(&mut Move) + Send + Sync + 'static,
    ) {
        let (place, j) = (self.place, self.j);
        self.add(kind, foretold, move |sample| {
            let moves = &mut place.row(sample).moves;
            change(&mut moves[j]);
            moves.sort_by_key(|m| m.cell);
        });
    }

    /// A fault of Solo's about this move.
    fn solo(&self, reason: Reason) -> Told {
        Told::exactly().must(self.place.location(), Check::Execution, reason, Some(self.m.cell))
    }

    /// Storage moves of the transaction on the move's address.
    fn words(&self) -> Vec<Cell> {
        let is_own = |m: &&Move| m.cell.mark == Mark::Storage && m.cell.addr == self.m.cell.addr;
        self.moves.iter().filter(is_own).map(|m| m.cell).collect()
    }

    /// What Solo says where the move is not to be found.
    fn gone(&self) -> Told {
        let location = self.place.location();
        let mut told = match () {
            // Of the allocation only the root tells what belongs to it.
            () if self.place.is_allocation() => Told::exactly(),
            () if self.is_hash_write() => self.solo(Reason::MissingHashWrite),
            () => self.solo(Reason::UndeclaredCell),
        };
        if self.m.cell.mark == Mark::Account {
            for cell in self.words() {
                told = told.must(location, Check::Execution, Reason::MissingAccountMove, Some(cell));
            }
        }
        told
    }

    /// What Solo says where another cell stands in the move's place.
    fn replaced(&self, by: Cell) -> Told {
        let told = self.gone();
        let location = self.place.location();
        match () {
            () if self.place.is_allocation() => told,
            // The closing's write is looked up after the run, so the run is compared.
            () if self.is_hash_write() => told.must(location, Check::Execution, Reason::UnusedMove, Some(by)),
            // A run that asks for the cell ends there; one that only leaves it changed is compared.
            () => told.may_at(location, Check::Execution, &[Reason::UnusedMove]),
        }
    }

    fn mask_and_mode(&mut self) {
        for (kind, mask) in [("move: mask", 1 << 3), ("move: mask, last bit", 1 << 31)] {
            self.change(kind, self.solo(Reason::WrongMask), move |m| m.mask = mask);
        }
        match self.m.mode {
            Mode::Read => {
                self.change("move: read said to write", self.solo(Reason::ModeMismatch), |m| m.mode = Mode::Write);
                let refused = Foretold::Malformed("a read whose next is not its prev");
                self.change("move: read with an after", refused, |m| m.next = other(m.prev));
            }
            Mode::Write => {
                let mut told = match () {
                    () if self.place.is_allocation() => self.solo(Reason::UnusedMove),
                    () if self.is_hash_write() => self.solo(Reason::MissingHashWrite),
                    () => self.solo(Reason::WrongAfter),
                };
                if self.place.is_allocation() && self.m.cell.mark == Mark::Account {
                    told = told.must(self.place.location(), Check::Execution, Reason::WrongAfter, Some(self.m.cell));
                }
                self.change("move: write said to read", told, |m| (m.mode, m.next) = (Mode::Read, m.prev));
            }
        }
    }

    /// What Solo says of another version alone.
    fn version(&self, version: Version) -> Told {
        let location = self.place.location();
        let is_default = self.m.prev == self.m.cell.default_value();
        let told = match () {
            () if self.place.is_allocation() => self.solo(Reason::WrongBefore),
            () if self.is_hash_write() => self.solo(Reason::MissingHashWrite),
            // A word in an account that the transaction made has no before but virgin.
            () if self.m.cell.mark == Mark::Storage && self.m.mode == Mode::Write && is_default => {
                Told::exactly().may_at(location, Check::Execution, &[Reason::WrongBefore])
            }
            () => Told::exactly(),
        };
        match version == Version::Assumed && !(self.place.is_system() && is_default) {
            true => told.must(location, Check::Execution, Reason::AssumedVersion, Some(self.m.cell)),
            false => told,
        }
    }

    fn versions(&mut self, draw: &mut Draw) {
        let (own, first) = (self.place.location(), self.place.first);
        let mut names = vec![
            ("move: intx, its own place", Version::At(own)),
            ("move: intx, a later place", Version::At(self.place.at(INDEX_BOUND as usize - 1))),
            ("move: intx, virgin", Version::Virgin),
            ("move: intx, the first place", Version::At(Location::new(first, 0).expect("of a sample"))),
        ];
        if own.block() > first {
            let block = first + draw.number() % (own.block() - first);
            let index = draw.number() % 3;
            names.push(("move: intx, an earlier place", Version::At(Location::new(block, index).expect("in bounds"))));
        }
        if first > 0 {
            let before = Location::new(first - 1, 1).expect("in bounds");
            names.push(("move: intx, before the segment", Version::At(before)));
            names.push(("move: intx, base", Version::Base(first)));
            names.push(("move: intx, an earlier base", Version::Base(first - 1)));
            names.push(("move: intx, assumed", Version::Assumed));
            let refused = Foretold::Malformed("in a segment that begins at");
            self.change("move: intx, a base above the segment", refused, move |m| m.intx = Version::Base(first + 1));
        } else {
            let refused = Foretold::Malformed("base or assumed in a segment from genesis");
            self.change("move: intx, base from genesis", refused.clone(), |m| m.intx = Version::Base(0));
            self.change("move: intx, assumed from genesis", refused, |m| m.intx = Version::Assumed);
        }
        let honest = self.m.intx;
        for (kind, version) in names.into_iter().filter(|(_, version)| *version != honest) {
            self.change(kind, self.version(version), move |m| m.intx = version);
        }
    }

    /// What Solo says of another before.
    fn before(&self) -> Told {
        match () {
            () if self.place.is_allocation() => self.solo(Reason::WrongBefore),
            () if self.is_hash_write() => self.solo(Reason::MissingHashWrite),
            () => Told::exactly().may_run(self.place.location()),
        }
    }

    /// What Solo says of another after.
    fn after(&self) -> Told {
        if self.place.is_allocation() || self.is_hash_write() { Told::exactly() } else { self.solo(Reason::WrongAfter) }
    }

    fn prev(&mut self, kind: &'static str, value: Value, mut told: Told) {
        if value != self.m.prev && (self.m.mode == Mode::Read || value != self.m.next) {
            // What is assumed is the default, and nothing else may be.
            if self.m.intx == Version::Assumed {
                let location = self.place.location();
                told = told.must(location, Check::Execution, Reason::AssumedVersion, Some(self.m.cell));
            }
            self.change(kind, told, move |m| {
                m.prev = value;
                if m.mode == Mode::Read {
                    m.next = value;
                }
            });
        }
    }

    fn next(&mut self, kind: &'static str, value: Value, told: Told) {
        if self.m.mode == Mode::Write && value != self.m.next && value != self.m.prev {
            self.change(kind, told, move |m| m.next = value);
        }
    }

    fn values(&mut self) {
        let (Value::Word(prev), Value::Word(next)) = (self.m.prev, self.m.next) else { return };
        let top = U256::ONE << 255;
        self.prev("move: prev, word + 1", Value::Word(prev.wrapping_add(U256::ONE)), self.before());
        self.prev("move: prev, top bit of the word", Value::Word(prev ^ top), self.before());
        self.prev("move: prev, word 0", Value::Word(U256::ZERO), self.before());
        self.next("move: next, word + 1", Value::Word(next.wrapping_add(U256::ONE)), self.after());
        self.next("move: next, top bit of the word", Value::Word(next ^ top), self.after());
        self.next("move: next, word 0", Value::Word(U256::ZERO), self.after());
        let refused = Foretold::Malformed("the value is not of the kind that the cell's mark has");
        self.change("move: prev, not of its kind", refused, |m| m.prev = Value::Account(AccountValue::ABSENT));
    }

    fn account(&mut self, draw: &mut Draw) {
        let by = Cell { addr: NOBODY, ..self.m.cell };
        self.change("move: addr of an account", self.replaced(by), |m| m.cell.addr = NOBODY);
        let refused = Foretold::Malformed("has fields that its mark does not use");
        self.change("move: slot of an account", refused.clone(), |m| m.cell.slot = U256::ONE);
        self.change("move: generation of an account's cell", refused, |m| m.cell.generation = 1);
        let (Value::Account(prev), Value::Account(next)) = (self.m.prev, self.m.next) else { return };
        let code = self.another_code(prev.code_hash, draw);
        let one = U256::ONE;
        let account = |value: AccountValue| Value::Account(AccountValue { present: true, ..value });
        let balance = |value: AccountValue, balance| account(AccountValue { balance, ..value });
        self.prev("move: prev, balance + 1", balance(prev, prev.balance.wrapping_add(one)), self.before());
        self.prev("move: prev, balance 2^256 - 1", balance(prev, U256::MAX), self.before());
        self.prev(
            "move: prev, nonce + 1",
            account(AccountValue { nonce: prev.nonce.wrapping_add(1), ..prev }),
            self.before(),
        );
        self.prev("move: prev, code", account(AccountValue { code_hash: code, ..prev }), self.before());
        let absent = Value::Account(AccountValue::absent(prev.generation));
        self.prev("move: prev, absent", absent, self.before());
        if !prev.present {
            self.prev("move: prev, present", account(prev), self.before());
        }
        self.generation_before(prev);

        self.next("move: next, balance + 1", balance(next, next.balance.wrapping_add(one)), self.after());
        self.next(
            "move: next, nonce + 1",
            account(AccountValue { nonce: next.nonce.wrapping_add(1), ..next }),
            self.after(),
        );
        let hash = B256::repeat_byte(9);
        self.next("move: next, code", account(AccountValue { code_hash: hash, ..next }), self.after());
        let of_allocation = match self.place.is_allocation() {
            true => self.solo(Reason::WrongAfter),
            false => self.after(),
        };
        let absent = Value::Account(AccountValue::absent(next.generation));
        self.next("move: next, absent", absent, of_allocation.clone());
        let grown = Value::Account(AccountValue { generation: next.generation.wrapping_add(1), ..next });
        self.next("move: next, generation + 1", grown, of_allocation);
        let refused = Foretold::Malformed("an absent account has nonce, balance or code");
        self.change("move: an absent account with a nonce", refused, |m| {
            m.prev = Value::Account(AccountValue { nonce: 1, ..AccountValue::ABSENT });
        });
    }

    /// The generation is that of all storage moves beside it, and nothing that an EVM sees.
    fn generation_before(&mut self, prev: AccountValue) {
        let grown = Value::Account(AccountValue { generation: prev.generation.wrapping_add(1), ..prev });
        let (location, words) = (self.place.location(), self.words());
        let mut told = match () {
            () if self.place.is_allocation() => self.solo(Reason::WrongBefore),
            // Storage is looked up in the generation that is declared.
            () if !words.is_empty() => Told::exactly().may_at(
                location,
                Check::Execution,
                &[Reason::UndeclaredCell, Reason::UnusedMove, Reason::WrongAfter],
            ),
            () if self.m.mode == Mode::Write => self.solo(Reason::WrongAfter),
            () => Told::exactly(),
        };
        for cell in words {
            told = told.must(location, Check::Execution, Reason::WrongGeneration, Some(cell));
        }
        self.prev("move: prev, generation + 1", grown, told);
    }

    /// The hash of a code that the file has, not this one; of no code if there is no other.
    fn another_code(&self, than: B256, draw: &mut Draw) -> B256 {
        let codes = &self.scene.sample.codes;
        let skip = draw.number() as usize % codes.len().max(1);
        let found = codes.keys().cycle().skip(skip).take(codes.len()).find(|hash| **hash != than);
        found.copied().unwrap_or(KECCAK256_EMPTY)
    }

    fn storage(&mut self) {
        let (location, cell) = (self.place.location(), self.m.cell);
        let elsewhere = Cell { addr: NOBODY, ..cell };
        let missing = (location, Check::Execution, Reason::MissingAccountMove, Some(elsewhere));
        let told = self.replaced(elsewhere).must(missing.0, missing.1, missing.2, missing.3);
        self.change("move: addr of a word", told, |m| m.cell.addr = NOBODY);
        let reborn = Cell { generation: cell.generation + 1, ..cell };
        let told = self.replaced(reborn).must(location, Check::Execution, Reason::WrongGeneration, Some(reborn));
        self.change("move: generation of a word", told, |m| m.cell.generation += 1);
        let told = self.replaced(Cell { slot: NO_SLOT, ..cell });
        self.change("move: slot of a word", told, |m| m.cell.slot = NO_SLOT);
    }

    fn block_hash(&mut self) {
        let told = self.replaced(Cell { slot: U256::from(0xeeee_eeee_u64), ..self.m.cell });
        self.change("move: slot of a block hash", told, |m| m.cell.slot = U256::from(0xeeee_eeee_u64));
        let refused = Foretold::Malformed("has fields that its mark does not use");
        self.change("move: addr of a block hash", refused, |m| m.cell.addr = NOBODY);
    }

    /// The list of moves.
    fn list(&mut self) {
        let (place, j) = (self.place, self.j);
        self.add("move dropped", self.gone(), move |sample| _ = place.row(sample).moves.remove(j));
        let disorder = self.solo(Reason::MovesNotAscending);
        self.add("move doubled", disorder.clone(), move |sample| {
            let moves = &mut place.row(sample).moves;
            moves.insert(j, moves[j]);
        });
        if j + 1 < self.moves.len() {
            self.add("moves swapped", disorder, move |sample| place.row(sample).moves.swap(j, j + 1));
        }
    }

    /// The move in another transaction.
    fn moved(&mut self, places: &[Place], draw: &mut Draw) {
        let own = self.place;
        let cell = self.m.cell;
        let is_other =
            |p: &&Place| (p.segment, p.block, p.index) != (own.segment, own.block, own.index) && !p.is_allocation();
        let near = |p: &&Place| is_other(p) && (p.segment, p.block) == (own.segment, own.block);
        let lacks = |p: &&Place| self.scene.row(p).moves.iter().all(|m| m.cell != cell);
        let near = draw.some(places.iter().filter(near).filter(lacks).collect(), 1);
        let far = draw.some(places.iter().filter(is_other).filter(|p| p.segment == own.segment).collect(), 1);
        for (kind, to) in near
            .into_iter()
            .map(|to| ("move moved in its block", *to))
            .chain(far.into_iter().filter(lacks).map(|to| ("move moved to another block", *to)))
        {
            let mut told = self.gone();
            let mut fault = |reason| {
                told = std::mem::take(&mut told).must(to.location(), Check::Execution, reason, Some(cell));
            };
            fault(Reason::UnusedMove);
            if cell.mark == Mark::Storage {
                let account = self.scene.row(&to).moves.iter().find(|m| m.cell == Cell::account(cell.addr));
                match account.map(|m| m.prev) {
                    None => fault(Reason::MissingAccountMove),
                    Some(Value::Account(value)) if value.generation != cell.generation => {
                        fault(Reason::WrongGeneration)
                    }
                    Some(_) => {}
                }
            }
            let is_default = self.m.prev == cell.default_value();
            if self.m.intx == Version::Assumed && !(to.is_system() && is_default) {
                fault(Reason::AssumedVersion);
            }
            let j = self.j;
            self.add(kind, told, move |sample| {
                let moved = own.row(sample).moves.remove(j);
                let moves = &mut to.row(sample).moves;
                moves.push(moved);
                moves.sort_by_key(|m| m.cell);
            });
        }
    }
}

/// Another value of the same kind.
fn other(value: Value) -> Value {
    match value {
        Value::Word(word) => Value::Word(word.wrapping_add(U256::ONE)),
        Value::Account(a) => {
            Value::Account(AccountValue { present: true, balance: a.balance.wrapping_add(U256::ONE), ..a })
        }
    }
}

//! Who may have signed, told by the nonce: guesses that spare an import most of recovery.
//!
//! A file of blocks says nobody's sender, so senders are recovered; but a signature whose key is known beforehand is verified in a
//! batch for a fraction of that (`secp256k1`). A transaction has the next nonce of its sender. Who reads a chain from its first
//! block on has met all who signed, and knows the next nonce of each; so where only one of them has the nonce of a transaction next,
//! it is his. Nobody signs for the first time with a nonce above 0, but for accounts whose genesis or whose delegation has moved
//! it. Guesses decide nothing: a wrong one costs time, and where they were wrong there are none for a while.

use crate::secp256k1::{Found, Hints, PublicKey};
use alloy_primitives::Address;
use alloy_primitives::map::{AddressHashMap, HashMap, HashSet};

/// Signers that are kept: some 80 MiB. Whoever has met more does not know all, and stops guessing.
const SIGNERS_MAX: usize = 1 << 19;

/// Batches without guesses after wrong ones, at most.
const REST_MOST: u32 = 64;

/// What a row of a batch signs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signed {
    /// The nonce that it names.
    pub nonce: u64,
    /// A transaction; else a set-code tuple, which moves its signer's nonce only if it is valid.
    pub is_transaction: bool,
}

#[derive(Clone, Copy, Debug)]
struct Signer {
    key: PublicKey,
    next: u64,
    /// Its place among the keys of the last batch that had it.
    batch: u32,
    place: u32,
}

/// All who have one nonce next: how many, and the exclusive or of their places, which is that of one alone.
#[derive(Clone, Copy, Default, Debug)]
struct Waiting {
    count: u32,
    places: u32,
}

/// The next nonces of all who have signed since the first block of a chain.
#[derive(Debug)]
pub struct NextNonces {
    /// Whether everybody who has signed is known.
    is_whole: bool,
    signers: Vec<Signer>,
    places: AddressHashMap<u32>,
    waiting: HashMap<u64, Waiting>,
    /// What guessing has moved, to be undone if a guess was wrong: places, and their next nonces before.
    moved: Vec<(u32, u64)>,
    batch: u32,
    /// Batches that are still to pass without guesses, and how many after the next wrong one.
    rest: u32,
    next_rest: u32,
    /// Rows guessed, and how many of them wrongly.
    counts: (u64, u64),
}

/// Guesses for the rows of a batch.
#[derive(Clone, Default, Debug)]
pub struct Guesses {
    keys: Vec<PublicKey>,
    signers: Vec<u32>,
}

impl Guesses {
    /// As hints.
    pub fn hints(&self) -> Hints<'_> {
        Hints { keys: &self.keys, signers: &self.signers, roots: &[] }
    }
}

impl NextNonces {
    /// Nobody has signed so far. Without `is_whole`, as where earlier blocks are not read, there will be no guesses.
    pub fn new(is_whole: bool) -> Self {
        Self {
            is_whole,
            signers: Vec::new(),
            places: AddressHashMap::default(),
            waiting: HashMap::default(),
            moved: Vec::new(),
            batch: 0,
            rest: 0,
            next_rest: 0,
            counts: (0, 0),
        }
    }

    /// Rows that were guessed so far, and how many of them wrongly.
    pub fn counts(&self) -> (u64, u64) {
        self.counts
    }

    /// Guesses who signed the rows of a batch, in the order of the chain. What comes of them goes to [`NextNonces::learn`].
    pub fn guess(&mut self, rows: impl Iterator<Item = Signed>) -> Guesses {
        let mut guesses = Guesses::default();
        self.moved.clear();
        if !self.is_whole || self.rest > 0 {
            self.rest = self.rest.saturating_sub(1);
            return guesses;
        }
        self.batch += 1;
        // Nonces that somebody in this batch may have next of whom it is not known who he is.
        let mut doubtful: HashSet<u64> = HashSet::default();
        for row in rows {
            let alone = self.waiting.get(&row.nonce).filter(|waiting| waiting.count == 1).map(|waiting| waiting.places);
            let place = match alone {
                Some(place) if row.is_transaction && !doubtful.contains(&row.nonce) => place,
                _ => {
                    doubtful.insert(row.nonce.saturating_add(1));
                    guesses.signers.push(u32::MAX);
                    continue;
                }
            };
            let signer = &mut self.signers[place as usize];
            if signer.batch != self.batch {
                (signer.batch, signer.place) = (self.batch, guesses.keys.len() as u32);
                guesses.keys.push(signer.key);
            }
            guesses.signers.push(signer.place);
            self.moved.push((place, signer.next));
            self.set_next(place, row.nonce.saturating_add(1));
        }
        guesses
    }

    /// Learns who signed the rows of the batch that was guessed last.
    pub fn learn<'a>(
        &mut self,
        guesses: &Guesses,
        rows: impl Iterator<Item = (Signed, Option<(Address, &'a Found)>)> + Clone,
    ) {
        let is_wrong = |(guess, (_, found)): (&u32, (Signed, Option<(Address, &Found)>))| {
            guesses.keys.get(*guess as usize).is_some_and(|key| found.is_none_or(|(_, found)| found.key != *key))
        };
        let wrong = guesses.signers.iter().zip(rows.clone()).filter(|row| is_wrong(*row)).count();
        self.counts = (self.counts.0 + self.moved.len() as u64, self.counts.1 + wrong as u64);
        if wrong > 0 {
            while let Some((place, next)) = self.moved.pop() {
                self.set_next(place, next);
            }
            self.next_rest = (2 * self.next_rest + 1).min(REST_MOST);
            self.rest = self.next_rest;
        } else if !self.moved.is_empty() {
            self.next_rest /= 2;
        }
        if !self.is_whole {
            return;
        }
        for (signed, found) in rows {
            let Some((addr, found)) = found else { continue };
            let next = signed.nonce.saturating_add(1);
            match self.places.get(&addr).copied() {
                // A tuple that names another nonce is void.
                Some(place) if signed.is_transaction || self.signers[place as usize].next == signed.nonce => {
                    self.set_next(place, next);
                }
                Some(_) => {}
                None if self.signers.len() == SIGNERS_MAX => {
                    *self = Self { counts: self.counts, ..Self::new(false) };
                    return;
                }
                None if signed.is_transaction => {
                    let place = self.signers.len() as u32;
                    self.signers.push(Signer { key: found.key, next, batch: 0, place: 0 });
                    self.places.insert(addr, place);
                    self.wait(place, next);
                }
                None => {}
            }
        }
    }

    fn wait(&mut self, place: u32, next: u64) {
        let waiting = self.waiting.entry(next).or_default();
        (waiting.count, waiting.places) = (waiting.count + 1, waiting.places ^ place);
    }

    fn set_next(&mut self, place: u32, next: u64) {
        let before = std::mem::replace(&mut self.signers[place as usize].next, next);
        if before == next {
            return;
        }
        if let Some(waiting) = self.waiting.get_mut(&before) {
            (waiting.count, waiting.places) = (waiting.count - 1, waiting.places ^ place);
            if waiting.count == 0 {
                self.waiting.remove(&before);
            }
        }
        self.wait(place, next);
    }
}

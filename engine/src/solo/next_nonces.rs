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
const SIGNERS_MAX: usize = if cfg!(test) { 64 } else { 1 << 19 };

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
        let mut wrong = 0;
        for (guess, (_, found)) in guesses.signers.iter().zip(rows.clone()) {
            let guessed = guesses.keys.get(*guess as usize);
            wrong += u64::from(guessed.is_some_and(|key| found.is_none_or(|(_, found)| found.key != *key)));
        }
        self.counts = (self.counts.0 + self.moved.len() as u64, self.counts.1 + wrong);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Somebody: as key and as address the same number.
    fn found(who: u8) -> Found {
        Found { key: PublicKey([who; 64]), root: [0; 32] }
    }

    fn sent(nonce: u64) -> Signed {
        Signed { nonce, is_transaction: true }
    }

    fn tuple(nonce: u64) -> Signed {
        Signed { nonce, is_transaction: false }
    }

    /// Lets a batch pass, whose rows are signed by these (0: nobody's); who was guessed (0: nobody).
    fn pass(next: &mut NextNonces, batch: &[(Signed, u8)]) -> Vec<u8> {
        let guesses = next.guess(batch.iter().map(|row| row.0));
        let known: Vec<Found> = batch.iter().map(|row| found(row.1)).collect();
        let rows = batch.iter().zip(&known);
        let rows = rows.map(|(row, found)| (row.0, (row.1 > 0).then_some((Address::repeat_byte(row.1), found))));
        next.learn(&guesses, rows);
        let hints = guesses.hints();
        (0..batch.len())
            .map(|i| hints.signers.get(i).and_then(|place| hints.keys.get(*place as usize)).map_or(0, |key| key.0[0]))
            .collect()
    }

    #[test]
    fn whoever_alone_has_a_nonce_next_is_guessed_again_and_again() {
        let mut next = NextNonces::new(true);
        assert_eq!(pass(&mut next, &[(sent(0), 1), (sent(1), 1), (sent(0), 2)]), [0, 0, 0], "nobody is known");
        // 1 has 2 next, 2 has 1 next; within the batch as across batches.
        assert_eq!(pass(&mut next, &[(sent(2), 1), (sent(1), 2), (sent(3), 1), (sent(4), 1)]), [1, 2, 1, 1]);
        // 1 has 5 next, 2 has 2 next; 3 is new, and whatever 3 signs in this batch is nobody's.
        assert_eq!(pass(&mut next, &[(sent(0), 3), (sent(2), 2), (sent(1), 3), (sent(5), 1)]), [0, 2, 0, 1]);
        assert_eq!(pass(&mut next, &[(sent(2), 3), (sent(9), 4)]), [3, 0]);
        assert_eq!(next.counts(), (7, 0));
    }

    #[test]
    fn two_who_have_one_nonce_next_are_not_guessed_nor_what_one_of_them_may_sign_after_it() {
        let mut next = NextNonces::new(true);
        pass(&mut next, &[(sent(0), 1), (sent(0), 2), (sent(0), 3), (sent(1), 3)]);
        // 1 and 2 have 1 next, and 3 has 2: once one of them has signed with 1, the next with 2 may be his.
        assert_eq!(pass(&mut next, &[(sent(1), 2), (sent(2), 2), (sent(3), 2)]), [0, 0, 0]);
        // 1 has 1 next, 3 has 2, 2 has 4.
        assert_eq!(pass(&mut next, &[(sent(4), 2), (sent(1), 1)]), [2, 1]);
        assert_eq!(pass(&mut next, &[(sent(2), 1)]), [0], "1 and 3");
        assert_eq!(pass(&mut next, &[(sent(2), 3), (sent(5), 2)]), [3, 2]);
        assert_eq!(next.counts().1, 0);
    }

    #[test]
    fn set_code_tuples_are_not_guessed_and_move_those_who_are_known() {
        let mut next = NextNonces::new(true);
        pass(&mut next, &[(sent(0), 1), (sent(7), 2)]);
        // A tuple of 2, who has 8 next; what has 9 may be his, and is nobody's within the batch.
        assert_eq!(pass(&mut next, &[(sent(1), 1), (tuple(8), 2), (sent(9), 2)]), [1, 0, 0]);
        assert_eq!(pass(&mut next, &[(tuple(20), 2), (tuple(10), 2)]), [0, 0], "the first is void");
        assert_eq!(pass(&mut next, &[(sent(11), 2)]), [2]);
        assert_eq!(pass(&mut next, &[(tuple(0), 3), (sent(12), 2)]), [0, 2]);
        assert_eq!(pass(&mut next, &[(sent(1), 3)]), [0], "a tuple alone makes nobody known");
        assert_eq!(next.counts().1, 0);
    }

    #[test]
    fn after_wrong_guesses_there_are_none_for_a_while_and_what_was_learnt_is_right() {
        let mut next = NextNonces::new(true);
        pass(&mut next, &[(sent(0), 1)]);
        // Another has the nonce; then nobody.
        assert_eq!(pass(&mut next, &[(sent(1), 2), (sent(2), 2)]), [1, 1]);
        assert_eq!(next.counts(), (2, 2));
        // 1 has 1 next still, and 2 has 3; one batch rests.
        assert_eq!(pass(&mut next, &[(sent(3), 2)]), [0]);
        assert_eq!(pass(&mut next, &[(sent(4), 0), (sent(1), 1)]), [2, 1], "nobody's was guessed");
        for batch in 0..3 {
            assert_eq!(pass(&mut next, &[]), [0; 0], "rests, {batch}");
            assert_eq!(next.rest, 2 - batch);
        }
        assert_eq!(pass(&mut next, &[(sent(4), 2), (sent(2), 1)]), [2, 1], "as it was before the wrong guess");
        for _ in 0..2 * REST_MOST {
            next.rest = 0;
            pass(&mut next, &[(sent(3), 3), (sent(5), 3)]);
            assert!(next.rest <= REST_MOST);
            pass(&mut next, &[(sent(2), 1), (sent(4), 2)]);
        }
    }

    #[test]
    fn without_the_beginning_or_with_too_many_nobody_is_guessed() {
        let mut next = NextNonces::new(false);
        for nonce in 0..3 {
            assert_eq!(pass(&mut next, &[(sent(nonce), 1)]), [0]);
        }
        let mut next = NextNonces::new(true);
        for who in 1..=SIGNERS_MAX as u8 {
            pass(&mut next, &[(sent(10 * u64::from(who)), who)]);
        }
        assert_eq!(pass(&mut next, &[(sent(31), 3)]), [3]);
        assert_eq!(pass(&mut next, &[(sent(0), 0xff), (sent(32), 3)]), [0, 3], "one too many");
        assert_eq!(pass(&mut next, &[(sent(33), 3)]), [0]);
        assert_eq!((next.counts(), next.signers.len()), ((2, 0), 0));
    }

    /// Many who sign now and then, in batches: guesses are right, and most rows have one.
    #[test]
    fn a_long_chain_is_guessed_without_a_mistake() {
        let (mut next, mut nonces, mut state) = (NextNonces::new(true), [0_u64; 40], 1_u64);
        let mut rows = 0;
        for _ in 0..300 {
            let mut batch = Vec::new();
            for _ in 0..20 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                // The lower a number, the oftener it signs.
                let who = ((state >> 33) % 40 * ((state >> 50) % 40) / 40) as usize;
                batch.push((sent(nonces[who]), who as u8 + 1));
                nonces[who] += 1;
            }
            pass(&mut next, &batch);
            rows += 20;
        }
        let (guessed, wrong) = next.counts();
        assert_eq!(wrong, 0);
        assert!(2 * guessed > rows, "{guessed} of {rows}");
    }
}

//! Values as byte strings, one encoding for each value, so that equal values have equal bytes and only they.
//!
//! Word (`s`, `h`): big-endian without leading zeros, 0 to 32 bytes. Account (`a`), 1 to 49 bytes: a byte of flags
//! (bit 0 present, 1 has code, 2 has a generation, 3 to 6 bytes of the nonce, 7 zero), nonce (big-endian without leading
//! zeros), number of the code (u32 little-endian, if it has code), generation (u32 little-endian, not zero, if it has
//! one), balance (big-endian without leading zeros, to the end). An absent account has no nonce, code or balance.

use crate::model::{AccountValue, Mark, Value};
use alloy_primitives::{B256, KECCAK256_EMPTY, U256};

/// Most bytes of a value: flags, nonce, code, generation, balance.
pub const VALUE_BYTES: usize = 1 + 8 + 4 + 4 + 32;

const PRESENT: u8 = 1;
const HAS_CODE: u8 = 2;
const HAS_GENERATION: u8 = 4;
const NONCE_SHIFT: u32 = 3;

/// A byte string of at most [`VALUE_BYTES`] bytes; what follows its end is zero, so derived equality is of strings.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ValueBytes {
    length: u8,
    bytes: [u8; VALUE_BYTES],
}

impl ValueBytes {
    fn new() -> Self {
        Self { length: 0, bytes: [0; VALUE_BYTES] }
    }

    // Callers push at most the parts listed at the top: VALUE_BYTES in all.
    fn push(&mut self, part: &[u8]) {
        let at = usize::from(self.length);
        self.bytes[at..at + part.len()].copy_from_slice(part);
        self.length += part.len() as u8;
    }

    /// The string.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

fn trim(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|&&b| b == 0).count();
    &bytes[zeros..]
}

/// Encodes a word.
pub fn encode_word(word: U256) -> ValueBytes {
    let mut out = ValueBytes::new();
    out.push(trim(&word.to_be_bytes::<32>()));
    out
}

/// Encodes a canonical account whose code, if it has any, has the number `code`.
pub fn encode_account(account: &AccountValue, code: Option<u32>) -> ValueBytes {
    let nonce = account.nonce.to_be_bytes();
    let nonce = trim(&nonce);
    let mut flags = (nonce.len() as u8) << NONCE_SHIFT;
    flags |= if account.present { PRESENT } else { 0 };
    flags |= if code.is_some() { HAS_CODE } else { 0 };
    flags |= if account.generation != 0 { HAS_GENERATION } else { 0 };
    let mut out = ValueBytes::new();
    out.push(&[flags]);
    out.push(nonce);
    if let Some(code) = code {
        out.push(&code.to_le_bytes());
    }
    if account.generation != 0 {
        out.push(&account.generation.to_le_bytes());
    }
    out.push(trim(&account.balance.to_be_bytes::<32>()));
    out
}

/// The parts of an encoded account.
struct AccountParts<'a> {
    present: bool,
    nonce: &'a [u8],
    code: Option<u32>,
    generation: u32,
    balance: &'a [u8],
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], &'static str> {
    let (part, rest) = bytes.split_at_checked(count).ok_or("ends early")?;
    *bytes = rest;
    Ok(part)
}

fn take_u32(bytes: &mut &[u8]) -> Result<u32, &'static str> {
    let part = take(bytes, 4)?;
    Ok(u32::from_le_bytes([part[0], part[1], part[2], part[3]]))
}

fn account_parts(bytes: &[u8], code_count: usize) -> Result<AccountParts<'_>, &'static str> {
    let mut rest = bytes;
    let flags = take(&mut rest, 1)?[0];
    let nonce_bytes = usize::from(flags >> NONCE_SHIFT);
    if nonce_bytes > 8 {
        return Err("flags have unknown bits");
    }
    let present = flags & PRESENT != 0;
    let nonce = take(&mut rest, nonce_bytes)?;
    let code = if flags & HAS_CODE != 0 { Some(take_u32(&mut rest)?) } else { None };
    let generation = if flags & HAS_GENERATION != 0 { take_u32(&mut rest)? } else { 0 };
    if nonce.first() == Some(&0) || rest.first() == Some(&0) {
        return Err("a number has leading zeros");
    }
    if rest.len() > 32 {
        return Err("balance of more than 32 bytes");
    }
    if flags & HAS_GENERATION != 0 && generation == 0 {
        return Err("generation 0 is written out");
    }
    if code.is_some_and(|code| code as usize >= code_count) {
        return Err("code number beyond the code table");
    }
    if !present && (!nonce.is_empty() || code.is_some() || !rest.is_empty()) {
        return Err("an absent account has nonce, code or balance");
    }
    Ok(AccountParts { present, nonce, code, generation, balance: rest })
}

/// Number of the code of an account, from its encoding.
pub fn code_number(bytes: &[u8], code_count: usize) -> Option<u32> {
    account_parts(bytes, code_count).ok()?.code
}

/// Refuses bytes that are not the encoding of a value of a cell with this mark.
#[inline]
pub fn check(mark: Mark, bytes: &[u8], code_count: usize) -> Result<(), &'static str> {
    match mark {
        Mark::Account => account_parts(bytes, code_count).map(|_| ()),
        Mark::Storage | Mark::BlockHash if bytes.len() > 32 => Err("word of more than 32 bytes"),
        Mark::Storage | Mark::BlockHash if bytes.first() == Some(&0) => Err("a number has leading zeros"),
        Mark::Storage | Mark::BlockHash => Ok(()),
    }
}

/// Decodes a value of a cell with this mark; `code_hash` resolves code numbers below `code_count`.
pub fn decode(
    mark: Mark,
    bytes: &[u8],
    code_count: usize,
    code_hash: impl FnOnce(u32) -> B256,
) -> Result<Value, &'static str> {
    if mark != Mark::Account {
        check(mark, bytes, code_count)?;
        return Ok(Value::Word(U256::from_be_slice(bytes)));
    }
    let parts = account_parts(bytes, code_count)?;
    Ok(Value::Account(AccountValue {
        present: parts.present,
        nonce: parts.nonce.iter().fold(0, |n, &b| n << 8 | u64::from(b)),
        balance: U256::from_be_slice(parts.balance),
        code_hash: parts.code.map_or(KECCAK256_EMPTY, code_hash),
        generation: parts.generation,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) -> &'static str {
        check(Mark::Account, bytes, 2).unwrap_err()
    }

    #[test]
    fn account_encodings_that_are_not_canonical_are_refused() {
        assert_eq!(refused(&[]), "ends early");
        assert_eq!(refused(&[0x80]), "flags have unknown bits");
        assert_eq!(refused(&[9 << 3 | 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]), "flags have unknown bits");
        assert_eq!(refused(&[2 << 3 | 1, 1]), "ends early");
        assert_eq!(refused(&[3, 0, 0, 0]), "ends early");
        assert_eq!(refused(&[5, 0, 0, 0]), "ends early");
        assert_eq!(refused(&[1 << 3 | 1, 0]), "a number has leading zeros");
        assert_eq!(refused(&[1, 0]), "a number has leading zeros");
        assert_eq!(refused(&[5, 0, 0, 0, 0]), "generation 0 is written out");
        assert_eq!(refused(&[3, 2, 0, 0, 0]), "code number beyond the code table");
        assert_eq!(refused(&[1 << 3, 1]), "an absent account has nonce, code or balance");
        assert_eq!(refused(&[2, 0, 0, 0, 0]), "an absent account has nonce, code or balance");
        assert_eq!(refused(&[0, 1]), "an absent account has nonce, code or balance");
        let mut long = [1u8; 34];
        assert_eq!(refused(&long), "balance of more than 32 bytes");
        assert_eq!(check(Mark::Account, &long[..33], 0), Ok(()));
        assert_eq!(check(Mark::Storage, &long[..33], 0), Err("word of more than 32 bytes"));
        assert_eq!(check(Mark::Storage, &long[..32], 0), Ok(()));
        long[0] = 0;
        assert_eq!(check(Mark::BlockHash, &long[..32], 0), Err("a number has leading zeros"));
    }

    #[test]
    fn every_string_of_two_bytes_is_refused_or_encodes_back() {
        for word in 0..=u16::MAX {
            let bytes = word.to_be_bytes();
            if let Ok(value) = decode(Mark::Storage, &bytes, 0, |_| B256::ZERO) {
                let Value::Word(word) = value else { panic!("a word decodes to a word") };
                assert_eq!(encode_word(word).as_slice(), bytes);
            }
            if let Ok(value) = decode(Mark::Account, &bytes, 0, |_| B256::ZERO) {
                let Value::Account(account) = value else { panic!("an account decodes to an account") };
                assert!(account.is_canonical());
                assert_eq!(encode_account(&account, None).as_slice(), bytes);
            }
        }
    }

    #[test]
    fn the_longest_account_round_trips() {
        let account = AccountValue {
            present: true,
            nonce: u64::MAX,
            balance: U256::MAX,
            code_hash: B256::repeat_byte(7),
            generation: u32::MAX,
        };
        let bytes = encode_account(&account, Some(u32::MAX - 1));
        assert_eq!(bytes.as_slice().len(), VALUE_BYTES);
        let back = decode(Mark::Account, bytes.as_slice(), u32::MAX as usize, |_| B256::repeat_byte(7));
        assert_eq!(back, Ok(Value::Account(account)));
    }
}

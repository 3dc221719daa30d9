//! Bytes of rows: short, since what is written is what costs.
//!
//! A row begins with its version, 8 bytes. A word follows without leading zeros. An account: a byte of flags (1 present,
//! 2 code, 4 generation not 0), nonce and balance, each a byte of length and the number without leading zeros, then
//! generation (4 bytes) and code hash where the flags say so. Numbers are big-endian.

use super::WordKey;
use crate::model::{AccountValue, Location};
use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};

const PRESENT: u8 = 1;
const CODE: u8 = 2;
const GENERATION: u8 = 4;

/// Key of a storage word.
pub fn word_key((addr, generation, slot): &WordKey) -> [u8; 56] {
    let mut key = [0; 56];
    key[..20].copy_from_slice(addr.as_slice());
    key[20..24].copy_from_slice(&generation.to_be_bytes());
    key[24..].copy_from_slice(&slot.to_be_bytes::<32>());
    key
}

/// The storage word that a key is of.
pub fn word_key_of(key: &[u8; 56]) -> WordKey {
    let generation = u32::from_be_bytes([key[20], key[21], key[22], key[23]]);
    (Address::from_slice(&key[..20]), generation, U256::from_be_slice(&key[24..]))
}

fn short(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

/// Bytes of a word, in place of what `out` holds.
pub fn put_word(word: U256, location: Location, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&location.bits().to_be_bytes());
    out.extend_from_slice(short(&word.to_be_bytes::<32>()));
}

/// Bytes of an account, in place of what `out` holds.
pub fn put_account(value: &AccountValue, location: Location, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&location.bits().to_be_bytes());
    let has_code = value.code_hash != KECCAK256_EMPTY;
    let flag = |is_set, flag| if is_set { flag } else { 0 };
    out.push(flag(value.present, PRESENT) | flag(has_code, CODE) | flag(value.generation != 0, GENERATION));
    for number in [short(&value.nonce.to_be_bytes()), short(&value.balance.to_be_bytes::<32>())] {
        out.push(number.len() as u8);
        out.extend_from_slice(number);
    }
    if value.generation != 0 {
        out.extend_from_slice(&value.generation.to_be_bytes());
    }
    if has_code {
        out.extend_from_slice(value.code_hash.as_slice());
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], &'static str> {
    let (taken, rest) = bytes.split_at_checked(count).ok_or("the row ends early")?;
    *bytes = rest;
    Ok(taken)
}

fn number<const BYTES: usize>(bytes: &[u8]) -> Result<[u8; BYTES], &'static str> {
    let mut number = [0; BYTES];
    let zeros = BYTES.checked_sub(bytes.len()).ok_or("a number is too long")?;
    number[zeros..].copy_from_slice(bytes);
    Ok(number)
}

fn location(bytes: &mut &[u8]) -> Result<Location, &'static str> {
    Ok(Location::from_bits(u64::from_be_bytes(number(take(bytes, 8)?)?)))
}

/// The word of a row.
pub fn word(mut row: &[u8]) -> Result<(U256, Location), &'static str> {
    let location = location(&mut row)?;
    Ok((U256::from_be_bytes(number::<32>(row)?), location))
}

/// The account of a row.
pub fn account(mut row: &[u8]) -> Result<(AccountValue, Location), &'static str> {
    let row = &mut row;
    let location = location(row)?;
    let flags = take(row, 1)?[0];
    let mut part = || {
        let length = take(row, 1)?[0];
        take(row, length.into())
    };
    let nonce = u64::from_be_bytes(number(part()?)?);
    let balance = U256::from_be_bytes(number::<32>(part()?)?);
    let generation = if flags & GENERATION != 0 { u32::from_be_bytes(number(take(row, 4)?)?) } else { 0 };
    let code_hash = if flags & CODE != 0 { B256::from(number::<32>(take(row, 32)?)?) } else { KECCAK256_EMPTY };
    if !row.is_empty() {
        return Err("the row is too long");
    }
    Ok((AccountValue { present: flags & PRESENT != 0, nonce, balance, code_hash, generation }, location))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back() {
        let at = Location::new(3, 5).unwrap();
        let mut bytes = Vec::new();
        for word in [U256::ZERO, U256::from(1), U256::from(256), U256::MAX] {
            put_word(word, at, &mut bytes);
            assert_eq!(super::word(&bytes), Ok((word, at)));
        }
        let full = AccountValue {
            present: true,
            nonce: u64::MAX,
            balance: U256::MAX,
            code_hash: B256::repeat_byte(7),
            generation: u32::MAX,
        };
        let plain =
            AccountValue { nonce: 0, balance: U256::from(300), code_hash: KECCAK256_EMPTY, generation: 0, ..full };
        for value in [full, plain, AccountValue::ABSENT, AccountValue::absent(2)] {
            put_account(&value, at, &mut bytes);
            assert_eq!(account(&bytes), Ok((value, at)));
            for end in 0..bytes.len() {
                assert!(account(&bytes[..end]).is_err(), "{value:?} cut at {end}");
            }
            bytes.push(0);
            assert!(account(&bytes).is_err());
        }
        let key = (Address::repeat_byte(1), 2, U256::from(3));
        assert_eq!(word_key_of(&word_key(&key)), key);
        assert!(word(&[0; 41]).is_err() && word(&[0; 7]).is_err());
    }
}

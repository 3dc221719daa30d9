//! The words of the protocol in RLP: one encoding of each, and nothing else decodes.

use crate::model::{AccountValue, Cell, Location, Mark, Value, Version};
use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use alloy_rlp::{BufMut, Decodable, Encodable, Error, Header, Result, RlpDecodable, RlpEncodable};

/// A list of one item or none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Maybe<T>(pub Option<T>);

impl<T: Encodable> Encodable for Maybe<T> {
    fn encode(&self, out: &mut dyn BufMut) {
        let payload_length = self.0.as_ref().map_or(0, Encodable::length);
        Header { list: true, payload_length }.encode(out);
        if let Some(item) = &self.0 {
            item.encode(out);
        }
    }

    fn length(&self) -> usize {
        let payload = self.0.as_ref().map_or(0, Encodable::length);
        payload + alloy_rlp::length_of_length(payload)
    }
}

impl<T: Decodable> Decodable for Maybe<T> {
    fn decode(buf: &mut &[u8]) -> Result<Self> {
        let mut items = Header::decode_bytes(buf, true)?;
        if items.is_empty() {
            return Ok(Self(None));
        }
        let item = T::decode(&mut items)?;
        if items.is_empty() { Ok(Self(Some(item))) } else { Err(Error::Custom("more than one item")) }
    }
}

impl Encodable for Location {
    fn encode(&self, out: &mut dyn BufMut) {
        self.bits().encode(out);
    }

    fn length(&self) -> usize {
        self.bits().length()
    }
}

impl Decodable for Location {
    fn decode(buf: &mut &[u8]) -> Result<Self> {
        u64::decode(buf).map(Self::from_bits)
    }
}

/// Mark, address, generation, slot.
#[derive(RlpEncodable, RlpDecodable)]
struct CellItems {
    mark: u8,
    addr: Address,
    generation: u32,
    slot: U256,
}

fn cell_items(cell: &Cell) -> CellItems {
    CellItems { mark: cell.mark as u8, addr: cell.addr, generation: cell.generation, slot: cell.slot }
}

impl Encodable for Cell {
    fn encode(&self, out: &mut dyn BufMut) {
        cell_items(self).encode(out);
    }

    fn length(&self) -> usize {
        cell_items(self).length()
    }
}

impl Decodable for Cell {
    fn decode(buf: &mut &[u8]) -> Result<Self> {
        let items = CellItems::decode(buf)?;
        let mark = match items.mark {
            0 => Mark::Account,
            1 => Mark::Storage,
            2 => Mark::BlockHash,
            _ => return Err(Error::Custom("an unknown mark")),
        };
        let cell = Self { mark, addr: items.addr, generation: items.generation, slot: items.slot };
        let is_canonical = match mark {
            Mark::Account => cell.slot.is_zero() && cell.generation == 0,
            Mark::Storage => true,
            Mark::BlockHash => cell.addr.is_zero() && cell.generation == 0,
        };
        if is_canonical { Ok(cell) } else { Err(Error::Custom("a cell with a field that its mark has no use for")) }
    }
}

/// Kind, and a number that two kinds have.
#[derive(RlpEncodable, RlpDecodable)]
struct VersionItems {
    kind: u8,
    number: u64,
}

fn version_items(version: Version) -> VersionItems {
    let (kind, number) = match version {
        Version::Virgin => (0, 0),
        Version::Assumed => (1, 0),
        Version::Base(first) => (2, first),
        Version::At(location) => (3, location.bits()),
    };
    VersionItems { kind, number }
}

impl Encodable for Version {
    fn encode(&self, out: &mut dyn BufMut) {
        version_items(*self).encode(out);
    }

    fn length(&self) -> usize {
        version_items(*self).length()
    }
}

impl Decodable for Version {
    fn decode(buf: &mut &[u8]) -> Result<Self> {
        let VersionItems { kind, number } = VersionItems::decode(buf)?;
        match kind {
            0 if number == 0 => Ok(Self::Virgin),
            1 if number == 0 => Ok(Self::Assumed),
            2 => Ok(Self::Base(number)),
            3 => Ok(Self::At(Location::from_bits(number))),
            _ => Err(Error::Custom("an unknown version")),
        }
    }
}

/// An account: of no code, the code hash is the empty string.
#[derive(RlpEncodable, RlpDecodable)]
struct AccountItems {
    present: bool,
    nonce: u64,
    balance: U256,
    code_hash: alloy_primitives::Bytes,
    generation: u32,
}

fn account_items(a: &AccountValue) -> AccountItems {
    let has_code = a.code_hash != KECCAK256_EMPTY;
    AccountItems {
        present: a.present,
        nonce: a.nonce,
        balance: a.balance,
        code_hash: if has_code { a.code_hash.into() } else { Default::default() },
        generation: a.generation,
    }
}

impl Encodable for Value {
    fn encode(&self, out: &mut dyn BufMut) {
        match self {
            Self::Account(account) => account_items(account).encode(out),
            Self::Word(word) => word.encode(out),
        }
    }

    fn length(&self) -> usize {
        match self {
            Self::Account(account) => account_items(account).length(),
            Self::Word(word) => word.length(),
        }
    }
}

impl Decodable for Value {
    fn decode(buf: &mut &[u8]) -> Result<Self> {
        if buf.first().is_none_or(|first| *first < 0xc0) {
            return U256::decode(buf).map(Self::Word);
        }
        let items = AccountItems::decode(buf)?;
        let code_hash = match items.code_hash.len() {
            0 => KECCAK256_EMPTY,
            32 => B256::from_slice(&items.code_hash),
            _ => return Err(Error::Custom("a code hash that has not 32 bytes")),
        };
        let AccountItems { present, nonce, balance, generation, .. } = items;
        let account = AccountValue { present, nonce, balance, code_hash, generation };
        if account.is_canonical() {
            Ok(Self::Account(account))
        } else {
            Err(Error::Custom("an absent account with a value"))
        }
    }
}

//! RLP at the level of lists: where items begin and end, and nothing about what they mean.

use alloy_primitives::Bytes;
use alloy_rlp::{Decodable, Encodable, Header};

/// What the items of a list must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Items {
    /// Strings or lists.
    Any,
    /// Strings.
    Strings,
    /// Lists.
    Lists,
}

/// Refuses bytes that are not exactly one RLP list of well-formed items of this kind.
pub fn check_list(bytes: &[u8], items: Items) -> Result<(), &'static str> {
    let mut rest = bytes;
    let list = Header::decode(&mut rest).map_err(|_| "not well-formed RLP")?;
    if !list.list {
        return Err("a string, not an RLP list");
    }
    if list.payload_length != rest.len() {
        return Err("bytes follow the RLP list");
    }
    while !rest.is_empty() {
        let item = Header::decode(&mut rest).map_err(|_| "an item is not well-formed RLP")?;
        match items {
            Items::Strings if item.list => return Err("an item is a list, not a string"),
            Items::Lists if !item.list => return Err("an item is a string, not a list"),
            Items::Any | Items::Strings | Items::Lists => {}
        }
        rest = rest.get(item.payload_length..).ok_or("an item ends beyond the list")?;
    }
    Ok(())
}

/// Encodes a list.
pub fn encode_list<T: Encodable>(items: &[T]) -> Vec<u8> {
    let mut out = Vec::new();
    alloy_rlp::encode_list::<T, T>(items, &mut out);
    out
}

/// Decodes a list that fills `bytes`; empty bytes stand for the empty list.
pub fn decode_list<T: Decodable>(bytes: &[u8]) -> Result<Vec<T>, String> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut rest = bytes;
    let list = Vec::decode(&mut rest).map_err(|e| e.to_string())?;
    if rest.is_empty() { Ok(list) } else { Err("bytes follow the RLP list".into()) }
}

/// Whether log-like bytes are the short form: an empty list is stored as no bytes.
pub fn check_short_list(bytes: &[u8], items: Items) -> Result<(), &'static str> {
    match bytes {
        [] => Ok(()),
        [0xc0] => Err("an empty list is written out"),
        _ => check_list(bytes, items),
    }
}

/// Encodes a list, the empty one as no bytes.
pub fn encode_short_list<T: Encodable>(items: &[T]) -> Bytes {
    if items.is_empty() { Bytes::new() } else { encode_list(items).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_checked_item_by_item() {
        assert_eq!(check_list(&[0xc0], Items::Lists), Ok(()));
        assert_eq!(check_list(&[0xc2, 0x01, 0xc0], Items::Any), Ok(()));
        assert_eq!(check_list(&[], Items::Any), Err("not well-formed RLP"));
        assert_eq!(check_list(&[0x01], Items::Any), Err("a string, not an RLP list"));
        assert_eq!(check_list(&[0xc0, 0x01], Items::Any), Err("bytes follow the RLP list"));
        assert_eq!(check_list(&[0xc1, 0x81], Items::Any), Err("an item is not well-formed RLP"));
        assert_eq!(check_list(&[0xc2, 0x81, 0x01], Items::Any), Err("an item is not well-formed RLP"));
        assert_eq!(check_list(&[0xc1, 0x01], Items::Lists), Err("an item is a string, not a list"));
        assert_eq!(check_list(&[0xc1, 0xc0], Items::Strings), Err("an item is a list, not a string"));
        assert_eq!(check_list(&[0xc2, 0x82, 0x01], Items::Any), Err("an item is not well-formed RLP"));
        assert_eq!(check_short_list(&[0xc0], Items::Any), Err("an empty list is written out"));
        assert_eq!(check_short_list(&[], Items::Any), Ok(()));
    }
}

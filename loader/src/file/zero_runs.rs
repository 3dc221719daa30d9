//! Logs with their runs of zero bytes counted instead of written: ABI-encoded data is mostly zeros.
//!
//! A packed string is (literal length, literal bytes, zero count) again and again; numbers are LEB128. One form for each
//! string: zero runs of [`RUN_MIN`] bytes and more are counted, shorter ones are literal; no literal is empty but the first;
//! the last zero count is left out where the string ends with a literal. Unpacking refuses every other form.
//! Bounds: a length is never believed before it is compared with what is left (literals) or with the caller's bound (zeros).

/// Shortest run of zero bytes that is counted.
pub const RUN_MIN: usize = 4;

/// Packs a string.
pub fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() / 2);
    let mut literal = 0;
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != 0 {
            at += 1;
            continue;
        }
        let run = bytes[at..].iter().take_while(|&&b| b == 0).count();
        if run >= RUN_MIN {
            put_number(&mut out, at - literal);
            out.extend_from_slice(&bytes[literal..at]);
            put_number(&mut out, run);
            literal = at + run;
        }
        at += run;
    }
    if literal < bytes.len() {
        put_number(&mut out, bytes.len() - literal);
        out.extend_from_slice(&bytes[literal..]);
    }
    out
}

/// Length of the string that `packed` stands for; refuses it above `bound`, and if it is not well-formed.
pub fn unpacked_length(packed: &[u8], bound: usize) -> Result<usize, &'static str> {
    let mut length = 0_usize;
    walk(packed, |literal, zeros| {
        length = length.saturating_add(literal.len()).saturating_add(zeros);
        if length > bound { Err("packed bytes stand for more than their bound") } else { Ok(()) }
    })?;
    Ok(length)
}

/// The string that `packed` stands for, at most `bound` bytes; refuses every form but the one that [`pack`] makes.
pub fn unpack(packed: &[u8], bound: usize) -> Result<Vec<u8>, &'static str> {
    let mut out = Vec::with_capacity(unpacked_length(packed, bound)?);
    walk(packed, |literal, zeros| {
        out.extend_from_slice(literal);
        out.resize(out.len() + zeros, 0);
        Ok(())
    })?;
    if pack(&out) == packed { Ok(out) } else { Err("packed in another form than the canonical one") }
}

fn walk(packed: &[u8], mut step: impl FnMut(&[u8], usize) -> Result<(), &'static str>) -> Result<(), &'static str> {
    let mut rest = packed;
    while !rest.is_empty() {
        let length = take_number(&mut rest)?;
        let (literal, after) = rest.split_at_checked(length).ok_or("a literal ends beyond the packed bytes")?;
        rest = after;
        let zeros = if rest.is_empty() { 0 } else { take_number(&mut rest)? };
        step(literal, zeros)?;
    }
    Ok(())
}

fn put_number(out: &mut Vec<u8>, mut n: usize) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn take_number(rest: &mut &[u8]) -> Result<usize, &'static str> {
    let mut n = 0_usize;
    for shift in (0..35).step_by(7) {
        let (&byte, after) = rest.split_first().ok_or("a number ends beyond the packed bytes")?;
        *rest = after;
        n |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(n);
        }
    }
    Err("a number has more than five bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_forms() {
        assert_eq!(pack(b""), b"");
        assert_eq!(pack(b"ab"), b"\x02ab");
        assert_eq!(pack(b"a\0\0\0b"), b"\x05a\0\0\0b");
        assert_eq!(pack(b"\0\0\0\0"), b"\x00\x04");
        assert_eq!(pack(b"a\0\0\0\0\0b"), b"\x01a\x05\x01b");
        assert_eq!(pack(&[0; 300]), b"\x00\xac\x02");
    }

    #[test]
    fn other_forms_are_refused() {
        for packed in [
            &b"\x00"[..],
            b"\x01",
            b"\x02ab\x00",
            b"\x01a\x03\x01b",
            b"\x01a\x01b",
            b"\x81\x00a",
            b"\x00\x84\x00",
            b"\xff\xff\xff\xff\xff\x01",
            b"\x00\x04\x00\x04",
            b"\x04\0\0\0\0",
        ] {
            assert!(unpack(packed, 1 << 20).is_err(), "{packed:?}");
        }
        assert_eq!(unpack(b"\x00\xff\xff\xff\xff\x7f", 1 << 20), Err("packed bytes stand for more than their bound"));
    }

    proptest! {
        #[test]
        fn round_trip(bytes in prop::collection::vec(prop_oneof![3 => Just(0_u8), 1 => any::<u8>()], 0..400)) {
            let packed = pack(&bytes);
            prop_assert_eq!(unpacked_length(&packed, bytes.len()), Ok(bytes.len()));
            prop_assert_eq!(unpack(&packed, bytes.len()).unwrap(), bytes);
        }

        #[test]
        fn one_form_a_string(packed in prop::collection::vec(0_u8..6, 0..12)) {
            if let Ok(bytes) = unpack(&packed, 1000) {
                prop_assert_eq!(pack(&bytes), packed);
            }
        }
    }
}

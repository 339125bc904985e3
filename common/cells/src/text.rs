//! Characters inside byte strings, as leniently as the network reads them (`spec/01 §15`).

use crate::{CellError, Str};

/// The code point whose encoding starts at the first of `bytes`; bytes past the end read as `ff`.
///
/// Overlong forms and surrogates are accepted; `None` when no code point starts here.
#[must_use]
pub fn code_point(bytes: &[u8]) -> Option<u32> {
    let at = |i: usize| bytes.get(i).copied().unwrap_or(0xff);
    let first = at(0);
    if first < 0x80 {
        return Some(u32::from(first));
    }
    if first & 0xc0 != 0xc0 {
        return None;
    }
    let len = if first & 0x20 == 0 {
        2
    } else if first & 0x10 == 0 {
        3
    } else {
        4
    };
    if first & (0x80 >> len) != 0 {
        return None;
    }
    let mut code = u32::from(first) & (0x7f >> len);
    for i in 1..len {
        if at(i) & 0xc0 != 0x80 {
            return None;
        }
        code = code << 6 | u32::from(at(i) & 0x3f);
    }
    (code <= 0x10_ffff).then_some(code)
}

/// Bytes of the encoding of a code point.
#[must_use]
pub fn code_point_len(code: u32) -> usize {
    match code {
        0..=0x7f => 1,
        0x80..=0x7ff => 2,
        0x800..=0xffff => 3,
        _ => 4,
    }
}

/// Appends a code point; surrogates are written as if they were characters.
pub fn write_code_point(out: &mut Vec<u8>, code: u32) {
    let tail = |shift: u32| 0x80 | (code >> shift & 0x3f) as u8;
    match code_point_len(code) {
        1 => out.push(code as u8),
        2 => out.extend([0xc0 | (code >> 6) as u8, tail(0)]),
        3 => out.extend([0xe0 | (code >> 12) as u8, tail(6), tail(0)]),
        _ => out.extend([0xf0 | (code >> 18) as u8, tail(12), tail(6), tail(0)]),
    }
}

impl Str {
    /// The code point that starts at byte `i`; `None` past the end and where none starts.
    ///
    /// # Errors
    /// When a chunk can't be read or is malformed.
    pub fn code_point_at(&self, i: u64) -> Result<Option<u32>, CellError> {
        let mut bytes = [0u8; 4];
        let mut n = 0;
        while n < 4 {
            match self.byte_at(i + n as u64)? {
                Some(byte) => bytes[n] = byte,
                None => break,
            }
            n += 1;
        }
        Ok(if n == 0 {
            None
        } else {
            code_point(&bytes[..n])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_points_survive_writing_and_reading() {
        for code in [
            0, 0x7f, 0x80, 0x7ff, 0x800, 0xd800, 0xffff, 0x1_0000, 0x10_ffff,
        ] {
            let mut out = Vec::new();
            write_code_point(&mut out, code);
            assert_eq!(out.len(), code_point_len(code));
            assert_eq!(code_point(&out), Some(code));
        }
    }

    #[test]
    fn stray_and_cut_sequences_start_no_code_point() {
        assert_eq!(code_point(&[0x80]), None);
        assert_eq!(code_point(&[0xc3]), None);
        assert_eq!(code_point(&[0xff]), None);
        assert_eq!(code_point(&[0xf4, 0x90, 0x80, 0x80]), None);
        assert_eq!(code_point(&[0xc0, 0x80]), Some(0));
    }
}

//! Unsigned variable-length counts (`spec/01 §2.1`): base 128, most significant group first.

/// Largest number of bytes of a count.
pub const MAX_LEN: usize = 9;

/// Bytes that `count` takes. `count` is below 2^63.
#[must_use]
pub fn len(count: u64) -> usize {
    let bits = 64 - (count | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Appends `count`, which is below 2^63.
pub fn write(out: &mut Vec<u8>, count: u64) {
    debug_assert!(count < 1 << 63);
    if count < 0x80 {
        out.push(count as u8);
        return;
    }
    let mut shift = 7 * (len(count) - 1);
    while shift > 0 {
        out.push(0x80 | (count >> shift) as u8);
        shift -= 7;
    }
    out.push((count & 0x7f) as u8);
}

/// Reads a count from the start of `bytes`: its value and length.
///
/// `None` for input that ends inside the number, a superfluous leading `80`, or more than nine bytes.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    if first < 0x80 {
        return Some((u64::from(first), 1));
    }
    if first == 0x80 {
        return None;
    }
    let mut value = 0u64;
    for (i, &b) in bytes.iter().take(MAX_LEN).enumerate() {
        value = value << 7 | u64::from(b & 0x7f);
        if b < 0x80 {
            return Some((value, i + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_the_published_bytes() {
        for (count, bytes) in [
            (0u64, vec![0x00]),
            (127, vec![0x7f]),
            (128, vec![0x81, 0x00]),
            (255, vec![0x81, 0x7f]),
            (16383, vec![0xff, 0x7f]),
            (16384, vec![0x81, 0x80, 0x00]),
            (1 << 32, vec![0x90, 0x80, 0x80, 0x80, 0x00]),
            (
                i64::MAX as u64,
                vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
            ),
        ] {
            let mut out = Vec::new();
            write(&mut out, count);
            assert_eq!(out, bytes);
            assert_eq!(len(count), bytes.len());
            assert_eq!(read(&out), Some((count, bytes.len())));
        }
    }

    #[test]
    fn superfluous_zero_long_and_cut_counts_are_refused() {
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[0x80, 0x01]), None);
        assert_eq!(read(&[0x81]), None);
        assert_eq!(
            read(&[0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]),
            None
        );
    }
}

//! Bytes that wait for being written.

use std::io::{self, Write};

/// Room that an empty buffer of a busy connection keeps.
const KEPT: usize = 64 << 10;
/// Pieces of at least this size are taken over instead of copied, where nothing waits before them.
const TAKEN_OVER: usize = 4 << 10;

/// A buffer that is appended to at its end and written from its start.
#[derive(Debug, Default)]
pub struct OutBuffer {
    bytes: Vec<u8>,
    written: usize,
}

impl OutBuffer {
    /// Adds bytes.
    pub fn push(&mut self, bytes: Vec<u8>) {
        if self.is_empty() && bytes.len() >= TAKEN_OVER {
            self.bytes = bytes;
            self.written = 0;
        } else {
            self.end().extend_from_slice(&bytes);
        }
    }

    /// The buffer for appending at its end.
    pub fn end(&mut self) -> &mut Vec<u8> {
        // Once most of it is written, what is left moves to the front: each byte at most once.
        if self.written > KEPT && self.written * 2 > self.bytes.len() {
            self.bytes.drain(..self.written);
            self.written = 0;
        }
        &mut self.bytes
    }

    /// Writes as much as `to` takes: how many bytes.
    ///
    /// # Errors
    /// Those of `to`, but not that it takes nothing more now.
    pub fn write_to(&mut self, to: &mut impl Write) -> io::Result<usize> {
        let before = self.written;
        while self.written < self.bytes.len() {
            match to.write(&self.bytes[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => self.written += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let written = self.written - before;
        if self.is_empty() {
            self.written = 0;
            self.bytes.clear();
            self.bytes.shrink_to(KEPT);
        }
        Ok(written)
    }

    /// Bytes that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// True when nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory.
    #[must_use]
    pub fn held(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives memory back, where nothing waits.
    pub fn rest(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }

    /// Drops what waits.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes at a time, then none.
    struct Slow(Vec<u8>, usize);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.1 == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let n = bytes.len().min(self.1);
            self.1 -= n;
            self.0.extend_from_slice(&bytes[..n]);
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn bytes_come_out_as_they_went_in_and_memory_goes_back() {
        let mut out = OutBuffer::default();
        let mut slow = Slow(Vec::new(), 0);
        let mut expected = Vec::new();
        for i in 0..400usize {
            let piece = vec![i as u8; i * 37 % 9_000];
            expected.extend_from_slice(&piece);
            out.push(piece);
            slow.1 = i * 53 % 8_000;
            out.write_to(&mut slow).unwrap();
        }
        slow.1 = usize::MAX;
        out.write_to(&mut slow).unwrap();
        assert_eq!(slow.0, expected);
        assert!(out.is_empty() && out.held() <= KEPT);
        out.rest();
        assert_eq!(out.held(), 0);
    }
}

//! Lines of a file, plain or gzip, one at a time and of bounded length.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

/// Longest line that is read, in bytes. The longest of the known files is under 0.5 MiB.
pub(crate) const MAX_LINE: usize = 16 << 20;

/// A line, or that it was too long to be kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Its bytes without the line end.
    Bytes(Vec<u8>),
    /// It has more than [`MAX_LINE`] bytes and was passed over.
    TooLong,
}

/// Reads lines.
pub(crate) struct Lines<R> {
    reader: R,
    max: usize,
}

/// Opens a file; a name that ends in `.gz` is decompressed on the way.
pub(crate) fn open(path: &Path) -> io::Result<Lines<Box<dyn BufRead>>> {
    let file = BufReader::new(File::open(path)?);
    let reader: Box<dyn BufRead> = if path.extension().is_some_and(|ending| ending == "gz") {
        Box::new(BufReader::new(MultiGzDecoder::new(file)))
    } else {
        Box::new(file)
    };
    Ok(Lines {
        reader,
        max: MAX_LINE,
    })
}

impl<R: BufRead> Lines<R> {
    /// The next line, `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line>> {
        let mut bytes = Vec::new();
        // One byte for the line end, so that a line of exactly the maximum is not taken for a longer one.
        let limit = self.max as u64 + 1;
        if self
            .reader
            .by_ref()
            .take(limit)
            .read_until(b'\n', &mut bytes)?
            == 0
        {
            return Ok(None);
        }
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            return Ok(Some(Line::Bytes(bytes)));
        }
        if bytes.len() > self.max {
            self.reader.skip_until(b'\n')?;
            return Ok(Some(Line::TooLong));
        }
        Ok(Some(Line::Bytes(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &[u8], max: usize) -> Vec<Line> {
        let mut lines = Lines { reader: input, max };
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push(line);
        }
        all
    }

    fn bytes(text: &str) -> Line {
        Line::Bytes(text.as_bytes().to_vec())
    }

    #[test]
    fn the_last_line_needs_no_line_end() {
        assert_eq!(all(b"a\n\nbc", 5), [bytes("a"), bytes(""), bytes("bc")]);
        assert_eq!(all(b"a\n", 5), [bytes("a")]);
        assert_eq!(all(b"", 5), []);
    }

    #[test]
    fn a_line_over_the_limit_is_passed_over_and_the_next_one_read() {
        assert_eq!(
            all(b"12345\n123456\nab\n", 5),
            [bytes("12345"), Line::TooLong, bytes("ab")]
        );
        assert_eq!(all(b"123456", 5), [Line::TooLong]);
    }
}

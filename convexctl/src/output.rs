//! Standard output of a command.

use std::fmt::Display;
use std::io::{BufWriter, ErrorKind, Write};

use crate::exit::Exit;
use crate::failure::Failure;

/// Where a command writes its answer.
///
/// A reader that goes away early (`| head`) is no failure: what follows is dropped and the command ends as it would
/// have.
pub struct Out {
    writer: Option<BufWriter<Box<dyn Write>>>,
}

impl Out {
    /// Standard output.
    #[must_use]
    pub fn stdout() -> Self {
        Self::to(Box::new(std::io::stdout()))
    }

    fn to(writer: Box<dyn Write>) -> Self {
        Self {
            writer: Some(BufWriter::new(writer)),
        }
    }

    /// Writes a line.
    ///
    /// # Errors
    /// When the output can't take it, a full disk for example.
    pub fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        self.write(|writer| writeln!(writer, "{text}"))
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// As [`Out::line`].
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.write(|writer| writer.write_all(bytes))
    }

    /// Hands on what was written so far.
    ///
    /// # Errors
    /// As [`Out::line`].
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.write(Write::flush)
    }

    /// True while somebody reads.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.writer.is_some()
    }

    /// Ends the output.
    ///
    /// # Errors
    /// As [`Out::line`].
    pub fn finish(mut self) -> Result<(), Failure> {
        self.flush()
    }

    fn write(
        &mut self,
        act: impl FnOnce(&mut BufWriter<Box<dyn Write>>) -> std::io::Result<()>,
    ) -> Result<(), Failure> {
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        match act(writer) {
            Ok(()) => Ok(()),
            Err(error) => {
                // Its buffer would be written once more when it is dropped, into the same error.
                if let Some(writer) = self.writer.take() {
                    let _ = writer.into_parts();
                }
                if error.kind() == ErrorKind::BrokenPipe {
                    return Ok(());
                }
                Err(Failure::new(
                    Exit::Io,
                    format!("standard output can't be written: {error}"),
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn a_reader_that_left_is_no_failure() {
        let mut out = Out::to(Box::new(Broken(ErrorKind::BrokenPipe)));
        for _ in 0..10_000 {
            out.line("text").unwrap();
        }
        assert!(!out.is_open());
        out.finish().unwrap();
    }

    #[test]
    fn a_full_disk_is_a_failure() {
        let mut out = Out::to(Box::new(Broken(ErrorKind::StorageFull)));
        out.line("text").unwrap();
        assert_eq!(out.finish().unwrap_err().exit, Exit::Io);
    }
}

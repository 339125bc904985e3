//! Frames: length, then `postcard`.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes of the length before each message.
const LENGTH: usize = 4;
/// Room that is asked for at once, however long a frame claims to be.
const STEP: usize = 1 << 16;

/// A message with a largest encoded size.
pub trait Bounded: Serialize + DeserializeOwned {
    /// Largest encoding in bytes, the length before it not counted.
    const MAX: usize;
}

/// Why bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The frame is longer than its type may be.
    #[error("a message of {length} bytes, of a type with at most {max}")]
    Length {
        /// Claimed or encoded length.
        length: usize,
        /// The bound.
        max: usize,
    },
    /// The bytes are not the encoding of a message of this type.
    #[error("malformed message: {0}")]
    Malformed(postcard::Error),
    /// Bytes follow the message in its frame.
    #[error("{0} bytes after the message")]
    Trailing(usize),
}

/// Appends the frame of a message to `out`.
///
/// # Errors
/// [`FrameError::Length`] when the message is larger than its type may be; `out` is as before then.
pub fn encode<T: Bounded>(message: &T, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH]);
    let mut encoded = match postcard::to_extend(message, std::mem::take(out)) {
        Ok(encoded) => encoded,
        Err(error) => return Err(FrameError::Malformed(error)),
    };
    let length = encoded.len() - start - LENGTH;
    if length > T::MAX {
        encoded.truncate(start);
        *out = encoded;
        return Err(FrameError::Length {
            length,
            max: T::MAX,
        });
    }
    // The bounds of all types are below 2^32.
    encoded[start..start + LENGTH].copy_from_slice(&(length as u32).to_le_bytes());
    *out = encoded;
    Ok(())
}

/// The message of a frame, without its length.
///
/// # Errors
/// When the bytes are not exactly one message within the bound of its type.
pub fn decode<T: Bounded>(body: &[u8]) -> Result<T, FrameError> {
    if body.len() > T::MAX {
        return Err(FrameError::Length {
            length: body.len(),
            max: T::MAX,
        });
    }
    let (message, rest) = postcard::take_from_bytes(body).map_err(FrameError::Malformed)?;
    if rest.is_empty() {
        Ok(message)
    } else {
        Err(FrameError::Trailing(rest.len()))
    }
}

/// Bytes of a stream, cut into messages. It holds what has arrived of one frame, and never more than the bound of the type asked for
/// and what one call of [`FrameBuffer::extend`] brought.
#[derive(Debug, Default)]
pub struct FrameBuffer {
    bytes: Vec<u8>,
    /// Bytes in front that were taken already.
    taken: usize,
}

impl FrameBuffer {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes as they arrive.
    pub fn extend(&mut self, bytes: &[u8]) {
        if self.taken > 0 {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next message, when all of it is here.
    ///
    /// # Errors
    /// When the frame is too long or no message of this type. The stream can't be used any further then.
    pub fn pop<T: Bounded>(&mut self) -> Result<Option<T>, FrameError> {
        let bytes = &self.bytes[self.taken..];
        let Some((length, body)) = bytes.split_first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length > T::MAX {
            return Err(FrameError::Length {
                length,
                max: T::MAX,
            });
        }
        let Some(body) = body.get(..length) else {
            return Ok(None);
        };
        let message = decode(body)?;
        self.taken += LENGTH + length;
        if self.taken == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(STEP);
            self.taken = 0;
        }
        Ok(Some(message))
    }

    /// Bytes that have arrived and were not taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }

    /// True when nothing waits: the stream is between two messages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

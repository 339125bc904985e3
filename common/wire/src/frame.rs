//! Frames: a length, most significant group first, and as many bytes (`spec/06 §2`).

use cells::{MAX_MESSAGE, tag, vlq};

/// Bytes that are reserved for a frame before they arrive.
const FIRST_RESERVE: usize = 4_096;

/// Longest frame of a connection, by what its first byte announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLimits {
    /// Beliefs and signed orders.
    pub belief: usize,
    /// Results.
    pub result: usize,
    /// Everything else.
    pub request: usize,
}

impl FrameLimits {
    /// For accepted connections. Requests have less than 1 MB in practice, and the only result is the answer to a challenge. The first
    /// belief of a peer with a new store can have all that it knows (`spec/05 §10`): beyond these it comes by questions instead, since a belief
    /// takes many times as much memory once it is decoded.
    pub const ACCEPTED: Self = Self {
        belief: 16 << 20,
        result: 4_096,
        request: 1 << 20,
    };

    /// For connections to peers of our choice, which answer requests: 254 cells of the longest encoding have 4.2 MB. They send no beliefs
    /// this way (`spec/05 §10`).
    pub const DIALLED: Self = Self {
        belief: 1 << 20,
        result: 8 << 20,
        request: 1 << 20,
    };

    fn of_first_byte(&self, byte: u8) -> usize {
        match byte {
            0xd4 | tag::SIGNED => self.belief,
            0xdd => self.result,
            _ => self.request,
        }
        .min(MAX_MESSAGE)
    }

    fn largest(&self) -> usize {
        self.belief
            .max(self.result)
            .max(self.request)
            .min(MAX_MESSAGE)
    }
}

/// Why a byte stream can't be read further. The connection has to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length starts with a group of zeros.
    #[error("padded length of a frame")]
    Padded,
    /// The frame is longer than this connection allows.
    #[error("frame of {length} bytes or more, {limit} allowed")]
    TooLong {
        /// At least, as far as it was read.
        length: u64,
        /// What is allowed.
        limit: usize,
    },
}

/// Finds the frames in a stream that arrives in pieces of any size.
///
/// ```
/// let mut reader = wire::FrameReader::new(wire::FrameLimits::ACCEPTED);
/// let mut input = &[3, 0xaa, 0xbb][..];
/// assert_eq!(reader.read(&mut input), Ok(None));
/// let mut input = &[0xcc, 0, 1][..];
/// assert_eq!(reader.read(&mut input), Ok(Some(vec![0xaa, 0xbb, 0xcc])));
/// assert_eq!(reader.read(&mut input), Ok(Some(vec![])));
/// assert_eq!(reader.read(&mut input), Ok(None));
/// ```
#[derive(Debug, Clone)]
pub struct FrameReader {
    limits: FrameLimits,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    /// Within the length; the value so far and whether a byte of it was read.
    Length { value: u64, begun: bool },
    /// Within the body.
    Body { length: usize, body: Vec<u8> },
    /// After an error.
    Failed(FrameError),
}

const START: State = State::Length {
    value: 0,
    begun: false,
};

impl FrameReader {
    /// At the start of a stream.
    #[must_use]
    pub fn new(limits: FrameLimits) -> Self {
        Self {
            limits,
            state: START,
        }
    }

    /// Takes bytes off `input` up to the end of a frame, and returns its body; `None` when all is taken and no frame is
    /// complete.
    ///
    /// # Errors
    /// The same one for ever after the first.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, FrameError> {
        loop {
            match &mut self.state {
                State::Failed(error) => return Err(*error),
                State::Length { value, begun } => {
                    let Some((&byte, rest)) = input.split_first() else {
                        return Ok(None);
                    };
                    *input = rest;
                    if byte == 0x80 && !*begun {
                        return self.fail(FrameError::Padded);
                    }
                    *begun = true;
                    // At most 2^32 here, since anything beyond the limit has failed before.
                    *value = *value << 7 | u64::from(byte & 0x7f);
                    let more = byte & 0x80 != 0;
                    let length = if more { *value << 7 } else { *value };
                    let limit = self.limits.largest();
                    let Some(fits) = usize::try_from(length).ok().filter(|&l| l <= limit) else {
                        return self.fail(FrameError::TooLong { length, limit });
                    };
                    if more {
                        continue;
                    }
                    if fits == 0 {
                        self.state = START;
                        return Ok(Some(Vec::new()));
                    }
                    self.state = State::Body {
                        length: fits,
                        body: Vec::new(),
                    };
                }
                State::Body { length, body } => {
                    let Some(&first) = body.first().or(input.first()) else {
                        return Ok(None);
                    };
                    let (length, limit) = (*length, self.limits.of_first_byte(first));
                    if body.is_empty() && length > limit {
                        let length = length as u64;
                        return self.fail(FrameError::TooLong { length, limit });
                    }
                    let missing = length - body.len();
                    let (taken, rest) = input.split_at(missing.min(input.len()));
                    if taken.len() > body.capacity() - body.len() {
                        // Doubling, but never beyond the frame: memory follows what has arrived.
                        let grow = body.len().max(FIRST_RESERVE).max(taken.len());
                        body.reserve_exact(grow.min(missing));
                    }
                    body.extend_from_slice(taken);
                    *input = rest;
                    if body.len() < length {
                        return Ok(None);
                    }
                    let body = std::mem::take(body);
                    self.state = START;
                    return Ok(Some(body));
                }
            }
        }
    }

    fn fail(&mut self, error: FrameError) -> Result<Option<Vec<u8>>, FrameError> {
        self.state = State::Failed(error);
        Err(error)
    }

    /// True when a frame has begun and is not complete.
    #[must_use]
    pub fn is_within_frame(&self) -> bool {
        match &self.state {
            State::Length { begun, .. } => *begun,
            State::Body { .. } => true,
            State::Failed(_) => false,
        }
    }

    /// Length of the frame that has begun, as far as it is known.
    #[must_use]
    pub fn frame_length(&self) -> usize {
        match &self.state {
            State::Body { length, .. } => *length,
            State::Length { .. } | State::Failed(_) => 0,
        }
    }

    /// Bytes of memory that are held for the frame that has begun.
    #[must_use]
    pub fn held(&self) -> usize {
        match &self.state {
            State::Body { body, .. } => body.capacity(),
            State::Length { .. } | State::Failed(_) => 0,
        }
    }
}

/// The frame of a message; `None` when it is empty or longer than [`MAX_MESSAGE`], which is never sent.
#[must_use]
pub fn frame(body: &[u8]) -> Option<Vec<u8>> {
    if body.is_empty() || body.len() > MAX_MESSAGE {
        return None;
    }
    let length = body.len() as u64;
    let mut out = Vec::with_capacity(vlq::len(length) + body.len());
    vlq::write(&mut out, length);
    out.extend_from_slice(body);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: FrameLimits = FrameLimits {
        belief: MAX_MESSAGE,
        result: MAX_MESSAGE,
        request: MAX_MESSAGE,
    };

    fn first(limits: FrameLimits, bytes: &[u8]) -> Result<Option<usize>, FrameError> {
        let mut input = bytes;
        FrameReader::new(limits)
            .read(&mut input)
            .map(|body| body.map(|b| b.len()))
    }

    #[test]
    fn lengths_are_those_of_the_specification() {
        for (length, prefix) in [
            (10, vec![0x0a]),
            (127, vec![0x7f]),
            (128, vec![0x81, 0x00]),
            (222, vec![0x81, 0x5e]),
            (363, vec![0x82, 0x6b]),
            (16_384, vec![0x81, 0x80, 0x00]),
            (50_000_000, vec![0x97, 0xeb, 0xe1, 0x00]),
        ] {
            let framed = frame(&vec![0x80; length]).unwrap();
            assert!(framed.starts_with(&prefix));
            assert_eq!(framed.len(), prefix.len() + length);
            assert_eq!(first(WIDE, &framed), Ok(Some(length)));
        }
        assert_eq!(frame(&[]), None);
        assert_eq!(frame(&vec![0; MAX_MESSAGE + 1]), None);
    }

    #[test]
    fn padded_overlong_and_wrapping_lengths_fail() {
        let too_long = |result| matches!(result, Err(FrameError::TooLong { .. }));
        assert_eq!(first(WIDE, &[0x80, 0x0a, 1]), Err(FrameError::Padded));
        assert!(too_long(first(WIDE, &[0x97, 0xeb, 0xe1, 0x01])));
        assert!(too_long(first(WIDE, &[0x90, 0x80, 0x80, 0x80, 0x0a])));
        assert!(too_long(first(WIDE, &[0x88, 0x80, 0x80, 0x80, 0x05])));
        assert!(too_long(first(WIDE, &[0xff; 20])));
        // Before the last byte of the length.
        assert!(too_long(first(FrameLimits::ACCEPTED, &[0xff, 0xff, 0xff])));
    }

    #[test]
    fn the_limit_depends_on_what_the_first_byte_announces() {
        let limits = FrameLimits {
            belief: 300,
            result: 20,
            request: 200,
        };
        let of = |byte, length: usize| {
            let mut bytes = Vec::new();
            vlq::write(&mut bytes, length as u64);
            bytes.push(byte);
            first(limits, &bytes)
        };
        for (byte, limit) in [
            (0xd4, 300),
            (0x90, 300),
            (0xdd, 20),
            (0x80, 200),
            (0xff, 200),
        ] {
            assert_eq!(of(byte, limit), Ok(None));
            let length = limit as u64 + 1;
            assert_eq!(
                of(byte, limit + 1),
                Err(FrameError::TooLong { length, limit })
            );
        }
    }

    #[test]
    fn memory_follows_what_has_arrived() {
        let mut reader = FrameReader::new(WIDE);
        let mut input = &[0x97, 0xeb, 0xe1, 0x00, 0x80][..];
        assert_eq!(reader.read(&mut input), Ok(None));
        assert_eq!(reader.frame_length(), 50_000_000);
        assert!(reader.held() <= FIRST_RESERVE);
        let mut arrived = 1;
        while arrived < 3_000_000 {
            let mut input = &[0; 7_001][..];
            assert_eq!(reader.read(&mut input), Ok(None));
            arrived += 7_001;
            assert!(reader.held() <= 2 * arrived + FIRST_RESERVE);
        }
    }

    #[test]
    fn an_error_stays() {
        let mut reader = FrameReader::new(WIDE);
        let mut input = &[0x80, 1, 1][..];
        assert_eq!(reader.read(&mut input), Err(FrameError::Padded));
        let mut input = &[1, 0x10][..];
        assert_eq!(reader.read(&mut input), Err(FrameError::Padded));
    }
}

//! The bytes of an Etch file, version 1 (spec/07 §1): header, index slots, records.

/// SHA3-256 of a cell's encoding: the key of its record.
pub type Key = [u8; 32];

/// First two bytes of every Etch file.
pub const MAGIC: [u8; 2] = [0xe7, 0xc6];
/// The only version this crate reads and writes (spec/07 §11).
pub const VERSION: u16 = 1;
/// Bytes of the header: magic, version, data length, root hash.
pub const HEADER_BYTES: u64 = 44;
/// Position of the data length in the header.
pub(crate) const LENGTH_AT: u64 = 4;
/// Position of the root index block.
pub const INDEX_AT: u64 = HEADER_BYTES;
/// Data length of an empty store: header and root index block.
pub const EMPTY_LENGTH: u64 = HEADER_BYTES + 65536 * 8;
/// Bytes of a record before its encoding: key, flags, memory size, length.
pub const RECORD_HEAD: u64 = 43;
/// Longest encoding of one cell (spec/01 §1.1).
pub const MAX_ENCODING: usize = 16383;
/// Longest encoding of a cell that is inlined in its parent (spec/01 §5).
pub const MAX_EMBEDDED: usize = 140;
/// Last index level; a pointer to a block of level 60 is corrupt.
pub(crate) const LAST_LEVEL: u8 = 59;

/// Root hash of a store whose root was never set.
pub const NO_ROOT: Key = [0; 32];
/// Root hash that means the root is nil; nil has no record (spec/07 §1.1).
pub const NIL_ROOT: Key = [
    0x5d, 0x53, 0x46, 0x9f, 0x20, 0xfe, 0xf4, 0xf8, 0xea, 0xb5, 0x2b, 0x88, 0x04, 0x4e, 0xde, 0x69,
    0xc7, 0x7a, 0x6a, 0x68, 0xa6, 0x07, 0x28, 0x60, 0x9f, 0xc4, 0xa6, 0x5f, 0xf5, 0x31, 0xe7, 0xd0,
];

/// Number of slots of an index block of `level`.
pub(crate) fn slots(level: u8) -> usize {
    match level {
        0 => 65536,
        1 => 256,
        _ => 16,
    }
}

/// Bytes of an index block of `level`.
pub(crate) fn block_bytes(level: u8) -> u64 {
    slots(level) as u64 * 8
}

/// The digit of `key` that selects its slot in a block of `level` (≤ 59).
pub(crate) fn digit(key: &Key, level: u8) -> usize {
    match level {
        0 => usize::from(u16::from_be_bytes([key[0], key[1]])),
        1 => usize::from(key[2]),
        _ => {
            let byte = key[(usize::from(level) + 4) / 2];
            usize::from(if level.is_multiple_of(2) {
                byte >> 4
            } else {
                byte & 0x0f
            })
        }
    }
}

const OFFSET_MASK: u64 = (1 << 62) - 1;

/// An index slot, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Empty,
    /// A single record.
    Data(u64),
    /// A child block of the next level.
    Block(u64),
    /// The first record of a chain.
    Start(u64),
    /// A further record of the chain that starts at a lower slot (cyclically).
    Next(u64),
}

impl Slot {
    pub(crate) fn decode(raw: u64) -> Slot {
        let offset = raw & OFFSET_MASK;
        match raw >> 62 {
            0 if raw == 0 => Slot::Empty,
            0 => Slot::Data(offset),
            1 => Slot::Block(offset),
            2 => Slot::Start(offset),
            _ => Slot::Next(offset),
        }
    }

    pub(crate) fn encode(self) -> u64 {
        match self {
            Slot::Empty => 0,
            Slot::Data(o) => o,
            Slot::Block(o) => o | 1 << 62,
            Slot::Start(o) => o | 2 << 62,
            Slot::Next(o) => o | 3 << 62,
        }
    }
}

/// The flags byte of a record (spec/07 §1.3): status in the low nibble, facts above it.
///
/// In a file from elsewhere they are hints at best: nothing in this crate decides by the flags that it reads from a
/// file it did not just write itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// Status 1: this cell is stored.
    pub const STORED: u8 = 1;
    /// Status 3: the whole tree below is in this store.
    pub const PERSISTED: u8 = 3;
    /// Status 4: the tree was announced to other peers.
    pub const ANNOUNCED: u8 = 4;
    const EMBEDDED: u8 = 0x10;
    const BRANCH: u8 = 0x20;

    /// Flags of a cell with an encoding of `length` bytes and the given status.
    pub fn new(status: u8, length: usize) -> Flags {
        let kind = if length <= MAX_EMBEDDED {
            Flags::EMBEDDED
        } else {
            Flags::BRANCH
        };
        Flags(kind | (status & 0x0f))
    }

    /// The status nibble.
    pub fn status(self) -> u8 {
        self.0 & 0x0f
    }

    /// What an update in place writes: the higher status, all other bits of both (spec/07 §3.5).
    pub(crate) fn merge(self, other: Flags) -> Flags {
        Flags(self.status().max(other.status()) | ((self.0 | other.0) & 0xf0))
    }
}

/// The first 43 bytes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHead {
    pub(crate) key: Key,
    pub(crate) flags: Flags,
    pub(crate) memory_size: u64,
    pub(crate) length: u16,
}

impl RecordHead {
    pub(crate) fn decode(b: &[u8; RECORD_HEAD as usize]) -> RecordHead {
        let mut key = [0; 32];
        key.copy_from_slice(&b[..32]);
        let mut memory = [0; 8];
        memory.copy_from_slice(&b[33..41]);
        RecordHead {
            key,
            flags: Flags(b[32]),
            memory_size: u64::from_be_bytes(memory),
            length: u16::from_be_bytes([b[41], b[42]]),
        }
    }

    pub(crate) fn encode(&self) -> [u8; RECORD_HEAD as usize] {
        let mut b = [0; RECORD_HEAD as usize];
        b[..32].copy_from_slice(&self.key);
        b[32] = self.flags.0;
        b[33..41].copy_from_slice(&self.memory_size.to_be_bytes());
        b[41..].copy_from_slice(&self.length.to_be_bytes());
        b
    }
}

/// Header of the file: what a reader that knows nothing else goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Data length L: where the next record would go.
    pub length: u64,
    /// Root hash.
    pub root: Key,
}

/// Why the first bytes of a file are not a header of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadHeader {
    Magic([u8; 2]),
    Version(u16),
}

impl Header {
    pub(crate) const EMPTY: Header = Header {
        length: EMPTY_LENGTH,
        root: NO_ROOT,
    };

    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES as usize] {
        let mut b = [0; HEADER_BYTES as usize];
        b[..2].copy_from_slice(&MAGIC);
        b[2..4].copy_from_slice(&VERSION.to_be_bytes());
        b[4..12].copy_from_slice(&self.length.to_be_bytes());
        b[12..].copy_from_slice(&self.root);
        b
    }

    pub(crate) fn decode(b: &[u8; HEADER_BYTES as usize]) -> Result<Header, BadHeader> {
        if b[..2] != MAGIC {
            return Err(BadHeader::Magic([b[0], b[1]]));
        }
        let version = u16::from_be_bytes([b[2], b[3]]);
        if version != VERSION {
            return Err(BadHeader::Version(version));
        }
        let mut length = [0; 8];
        length.copy_from_slice(&b[4..12]);
        let mut root = [0; 32];
        root.copy_from_slice(&b[12..]);
        Ok(Header {
            length: u64::from_be_bytes(length),
            root,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_follow_the_table_of_levels() {
        let mut key = [0u8; 32];
        for (i, b) in key.iter_mut().enumerate() {
            *b = (i % 16) as u8 * 0x11;
        }
        key[31] = 0xab;
        assert_eq!(digit(&key, 0), 0x0011);
        assert_eq!(digit(&key, 1), 0x22);
        assert_eq!(digit(&key, 2), 0x3);
        assert_eq!(digit(&key, 3), 0x3);
        assert_eq!(digit(&key, 58), 0xa);
        assert_eq!(digit(&key, 59), 0xb);
    }

    #[test]
    fn slots_keep_type_and_offset() {
        for slot in [
            Slot::Empty,
            Slot::Data(44),
            Slot::Block(OFFSET_MASK),
            Slot::Start(7),
            Slot::Next(8),
        ] {
            assert_eq!(Slot::decode(slot.encode()), slot);
        }
        assert_eq!(Slot::Start(0x80059).encode(), 0x8000_0000_0008_0059);
    }

    #[test]
    fn flags_merge_by_highest_status_and_union_of_facts() {
        assert_eq!(Flags(0x21).merge(Flags(0x63)), Flags(0x63));
        assert_eq!(Flags(0x24).merge(Flags(0x43)), Flags(0x64));
        assert_eq!(Flags::new(1, 141), Flags(0x21));
        assert_eq!(Flags::new(4, 140), Flags(0x14));
    }
}

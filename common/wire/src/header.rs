//! What a message is, from its first bytes (`spec/06 §4`).

use cells::{Cell, tag, vlq};

macro_rules! kinds {
    ($($name:ident, $metric:literal, $keyword:expr, $doc:literal;)*) => {
        /// Type of a message. It is not sent, but follows from the payload.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $(#[doc = $doc] $name,)*
        }

        impl Kind {
            /// All types.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Name in metrics and logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $metric,)* }
            }

            /// The keyword in element 0 of the payload, for types that have one.
            #[must_use]
            pub const fn keyword(self) -> Option<&'static str> {
                match self { $(Self::$name => $keyword,)* }
            }
        }
    };
}

kinds! {
    Status, "status", Some("SR"), "`[:SR id]`: the peer's status.";
    Query, "query", Some("Q"), "`[:Q id form address]`: evaluate a form.";
    Transact, "transact", Some("TX"), "`[:TX id signed]`: execute a transaction.";
    DataRequest, "data_request", Some("DR"), "`[:DR id hash…]`: cells by hash.";
    Challenge, "challenge", Some("CH"), "`[:CH id signed]`: prove your key.";
    Ping, "ping", Some("PING"), "`[:PING id]`: the clock.";
    Goodbye, "goodbye", Some("BYE"), "`[:BYE]`, `[:BYE message]`: the sender is leaving.";
    LatticeQuery, "lattice_query", Some("LQ"), "`[:LQ id path]`: of lattice nodes.";
    LatticeValue, "lattice_value", Some("LV"), "`[:LV path value]`: of lattice nodes.";
    Belief, "belief", None, "A belief, or signed data taken for a signed order.";
    Result, "result", None, "The answer to a request.";
    Unknown, "unknown", None, "Anything else.";
}

impl Kind {
    /// The type with this keyword.
    #[must_use]
    pub fn of_keyword(name: &[u8]) -> Self {
        let with = |kind: &&Self| kind.keyword().is_some_and(|k| k.as_bytes() == name);
        Self::ALL
            .iter()
            .find(with)
            .copied()
            .unwrap_or(Self::Unknown)
    }
}

/// Type and id of a message. The rest of the message may still be malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The type.
    pub kind: Kind,
    /// The id: an integer of 64 bits, else there is none to answer to.
    pub id: Option<i64>,
    /// Number of elements of the payload vector; 0 for other payloads.
    pub count: u64,
}

impl Header {
    /// Reads the first bytes of a message, a bounded number.
    ///
    /// `None` where they do not tell: an empty or cut message, or a vector of more than 16 elements, whose first are in a cell further
    /// on. Then [`Header::of_payload`] tells, after decoding.
    #[must_use]
    pub fn peek(body: &[u8]) -> Option<Self> {
        let (&first, rest) = body.split_first()?;
        let plain = |kind, id| Some(Self { kind, id, count: 0 });
        match first {
            0xd4 | tag::SIGNED => plain(Kind::Belief, None),
            0xdd => match rest {
                [5, rest @ ..] => plain(Kind::Result, long(rest)),
                _ => plain(Kind::Result, None),
            },
            tag::VECTOR => {
                let (count, length) = vlq::read(rest)?;
                if count > 16 {
                    return None;
                }
                let rest = &rest[length..];
                let (kind, id) = match rest {
                    [tag::KEYWORD, length, rest @ ..] if count > 0 => {
                        let name = rest.get(..usize::from(*length))?;
                        let after = &rest[name.len()..];
                        let id = if count > 1 { long(after) } else { None };
                        (Kind::of_keyword(name), id)
                    }
                    _ => (Kind::Unknown, None),
                };
                Some(Self { kind, id, count })
            }
            _ => plain(Kind::Unknown, None),
        }
    }

    /// Type and id of a decoded payload.
    #[must_use]
    pub fn of_payload(payload: &Cell) -> Self {
        let mut header = Self {
            kind: Kind::Unknown,
            id: None,
            count: 0,
        };
        match payload {
            Cell::Signed(_) => header.kind = Kind::Belief,
            Cell::Record(r) if r.tag() == 0xd4 => header.kind = Kind::Belief,
            Cell::Record(r) if r.tag() == 0xdd => {
                header.kind = Kind::Result;
                let id = if r.fields().count() == 5 {
                    r.field(0)
                } else {
                    Ok(None)
                };
                if let Ok(Some(Cell::Long(id))) = id {
                    header.id = Some(id);
                }
            }
            Cell::Vector(v) => {
                header.count = v.count();
                if let Ok(Some(Cell::Keyword(k))) = v.get(0) {
                    header.kind = Kind::of_keyword(k.name());
                    if let Ok(Some(Cell::Long(id))) = v.get(1) {
                        header.id = Some(id);
                    }
                }
            }
            _ => {}
        }
        header
    }
}

/// An integer of at most 64 bits at the start of `bytes`, in its only encoding.
fn long(bytes: &[u8]) -> Option<i64> {
    let (&first, rest) = bytes.split_first()?;
    let length = usize::from(first.checked_sub(tag::INTEGER).filter(|&n| n <= 8)?);
    let digits = rest.get(..length)?;
    let Some((&top, below)) = digits.split_first() else {
        return Some(0);
    };
    let sign = if top & 0x80 == 0 { 0 } else { u8::MAX };
    let superfluous = top == sign && below.first().map_or(sign == 0, |b| (b ^ sign) & 0x80 == 0);
    if superfluous {
        return None;
    }
    let mut wide = [sign; 8];
    wide[8 - length..].copy_from_slice(digits);
    Some(i64::from_be_bytes(wide))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_in_their_only_encoding() {
        let longs = [
            0,
            1,
            -1,
            127,
            128,
            -128,
            -129,
            255,
            256,
            65_535,
            i64::MAX,
            i64::MIN,
        ];
        for n in longs {
            assert_eq!(long(&Cell::Long(n).encode()), Some(n));
        }
        for other in [
            &[][..],
            &[0x11],
            &[0x11, 0],
            &[0x12, 0, 1],
            &[0x12, 0xff, 0x80],
            &[0x19, 1],
        ] {
            assert_eq!(long(other), None, "{other:x?}");
            assert!(cells::decode_cell(other, &cells::Decoder::new()).is_err());
        }
    }

    #[test]
    fn every_keyword_belongs_to_one_type() {
        for kind in Kind::ALL {
            if let Some(keyword) = kind.keyword() {
                assert_eq!(Kind::of_keyword(keyword.as_bytes()), *kind);
            }
        }
        assert_eq!(Kind::of_keyword(b"sr"), Kind::Unknown);
        assert_eq!(Kind::of_keyword(b"QR"), Kind::Unknown);
    }
}

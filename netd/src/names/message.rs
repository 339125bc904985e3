//! Messages of the domain name system (RFC 1035): the question that is asked, and what an answer to it says. Answers come from strangers.

use std::net::IpAddr;

use domain::base::iana::{Class, Opcode, Rcode};
use domain::base::name::{ParsedName, ToLabelIter};
use domain::base::wire::ParseError;
use domain::base::{Message, MessageBuilder, Name, Rtype};
use domain::dep::octseq::Array;
use domain::rdata::{A, Aaaa, Cname, Soa};

/// Longest message with one question: header, name, type and class.
const QUESTION: usize = 12 + 255 + 4;
/// Addresses of one kind that are taken at most.
pub(super) const MAX_ADDRESSES: usize = 16;
/// Names that a name may be an alias for, one after the other.
const MAX_ALIASES: usize = 8;
/// Records in one part of an answer.
const MAX_RECORDS: u16 = 100;

/// The kind of addresses that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub(super) const ALL: [Self; 2] = [Self::V4, Self::V6];

    const fn record(self) -> Rtype {
        match self {
            Self::V4 => Rtype::A,
            Self::V6 => Rtype::AAAA,
        }
    }
}

/// A question for the addresses of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Question<'a> {
    /// What the answer has to repeat.
    pub(super) id: u16,
    /// The name, in lower case and without a dot at the end.
    pub(super) name: &'a str,
    /// Which addresses.
    pub(super) family: Family,
}

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// These are the addresses, for so many seconds.
    Addresses(Vec<IpAddr>, u32),
    /// There is no such name, or it has no such address, for so many seconds.
    Nothing(u32),
    /// There is more than the message had room for.
    Truncated,
    /// The server does not answer the question.
    Refused(&'static str),
}

/// A message that is no answer to the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strange;

impl Question<'_> {
    /// The message that asks. `None` for a text that is no name.
    #[must_use]
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let name: Name<Array<255>> = self.name.parse().ok()?;
        let mut builder = MessageBuilder::from_target(Array::<QUESTION>::new()).ok()?;
        builder.header_mut().set_id(self.id);
        builder.header_mut().set_rd(true);
        let mut questions = builder.question();
        questions.push((name, self.family.record())).ok()?;
        Some(questions.as_slice().to_vec())
    }

    /// Reads what came from the server that was asked.
    ///
    /// # Errors
    /// When it does not answer this question.
    pub(super) fn read(&self, bytes: &[u8]) -> Result<Answer, Strange> {
        let message = Message::from_octets(bytes).map_err(|_| Strange)?;
        let header = message.header();
        if !header.qr() || header.id() != self.id || header.opcode() != Opcode::QUERY {
            return Err(Strange);
        }
        let failed = !matches!(header.rcode(), Rcode::NOERROR | Rcode::NXDOMAIN);
        // Who can't read a question need not repeat it.
        if message.header_counts().qdcount() > 0 || !failed {
            let asked = message.sole_question().map_err(|_| Strange)?;
            let same = asked.qtype() == self.family.record()
                && asked.qclass() == Class::IN
                && is_name(asked.qname(), self.name);
            if !same {
                return Err(Strange);
            }
        }
        if failed {
            return Ok(Answer::Refused("the server does not answer such questions"));
        }
        if header.tc() {
            return Ok(Answer::Truncated);
        }
        let unreadable = Answer::Refused("the answer of the server can't be read");
        Ok(self.answer(&message).unwrap_or(unreadable))
    }

    fn answer(&self, message: &Message<&[u8]>) -> Result<Answer, ParseError> {
        let counts = message.header_counts();
        if counts.ancount().max(counts.nscount()) > MAX_RECORDS {
            return Ok(Answer::Refused("the answer of the server has no end"));
        }
        let mut name = message.sole_question()?.into_qname();
        let mut seconds = u32::MAX;
        for _ in 0..=MAX_ALIASES {
            let (addresses, until) = self.addresses(message, &name)?;
            if !addresses.is_empty() {
                return Ok(Answer::Addresses(addresses, seconds.min(until)));
            }
            let Some((next, until)) = alias(message, &name)? else {
                return nothing(message, seconds);
            };
            name = next;
            seconds = seconds.min(until);
        }
        Ok(Answer::Refused("the name is an alias without end"))
    }

    /// The addresses of a name in the message, and for how long.
    fn addresses(
        &self,
        message: &Message<&[u8]>,
        name: &Within<'_>,
    ) -> Result<(Vec<IpAddr>, u32), ParseError> {
        let mut addresses = Vec::new();
        let mut seconds = u32::MAX;
        for record in message.answer()? {
            let record = record?;
            let wanted = record.rtype() == self.family.record() && record.class() == Class::IN;
            if !wanted || record.owner() != *name || addresses.len() == MAX_ADDRESSES {
                continue;
            }
            let address: Option<IpAddr> = match self.family {
                Family::V4 => record.to_record::<A>()?.map(|r| r.data().addr().into()),
                Family::V6 => record.to_record::<Aaaa>()?.map(|r| r.data().addr().into()),
            };
            addresses.extend(address);
            seconds = seconds.min(record.ttl().as_secs());
        }
        Ok((addresses, seconds))
    }
}

/// A name within a message.
type Within<'a> = ParsedName<&'a [u8]>;

/// What a name is an alias for, and for how long.
fn alias<'a>(
    message: &Message<&'a [u8]>,
    name: &Within<'a>,
) -> Result<Option<(Within<'a>, u32)>, ParseError> {
    for record in message.answer()?.limit_to_in::<Cname<_>>() {
        let record = record?;
        if record.owner() == name {
            let seconds = record.ttl().as_secs();
            return Ok(Some((record.into_data().into_cname(), seconds)));
        }
    }
    Ok(None)
}

/// There is no address: for how long, the authority says (RFC 2308). One that merely names other servers has not looked.
fn nothing(message: &Message<&[u8]>, seconds: u32) -> Result<Answer, ParseError> {
    let mut authorities = message.authority()?.limit_to_in::<Soa<_>>();
    if let Some(record) = authorities.next() {
        let record = record?;
        let until = record.ttl().as_secs();
        let until = until.min(record.data().minimum().as_secs());
        return Ok(Answer::Nothing(seconds.min(until)));
    }
    let refers = message.header_counts().nscount() > 0;
    if refers && message.header().rcode() == Rcode::NOERROR {
        return Ok(Answer::Refused("the server only names other servers"));
    }
    Ok(Answer::Nothing(0))
}

/// Whether a name of a message is this one.
fn is_name(name: &Within<'_>, text: &str) -> bool {
    let mut parts = text.split('.');
    let mut labels = name.iter_labels().filter(|label| !label.is_root());
    let same = labels.all(|label| {
        let part = parts.next();
        part.is_some_and(|part| label.as_slice().eq_ignore_ascii_case(part.as_bytes()))
    });
    same && parts.next().is_none()
}

//! Challenges and their answers (`spec/06 §8.1`): what is signed in them.
//!
//! Both are vectors, which no transaction, block or order is. An answer has the shape of a challenge, so the token of a
//! challenge must be drawn by the signer: with a token of somebody else's choice, a challenge could serve as an answer.

use cells::{Cell, Decoder, Hash, Signed, Vector, decode_cell};
use crypto::AccountKey;

use crate::Refusal;

/// A challenge that was received: signed by its sender, answered for its sender only. Its signature has not been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedChallenge {
    signed: Cell,
    challenger: AccountKey,
    token: Hash,
    target: Option<AccountKey>,
    network: Option<Hash>,
}

impl ReceivedChallenge {
    /// Takes the encoding of a signed challenge apart: `[token target network]` or `[token target]`, the token 32 bytes, target
    /// and network 32 bytes or nil.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] or [`Refusal::ChallengeShape`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > crate::MAX_ANSWER_BYTES {
            return Err(Refusal::TooLong);
        }
        // A challenge is embedded in its signed data, so nothing else can be needed.
        let cell = decode_cell(bytes, &Decoder::new().generic()).map_err(|_| Refusal::Malformed)?;
        match &cell {
            Cell::Signed(signed) => Self::read(signed).ok_or(Refusal::ChallengeShape),
            _ => Err(Refusal::ChallengeShape),
        }
    }

    /// A challenge in memory; `None` when it has another shape.
    #[must_use]
    pub fn read(signed: &Signed) -> Option<Self> {
        let Some(Cell::Vector(parts)) = signed.value_ref().in_memory() else {
            return None;
        };
        let parts = parts.as_leaf()?;
        let [token, target, rest @ ..] = parts else {
            return None;
        };
        let network = match rest {
            [] => None,
            [network] => bytes_or_nil(network.in_memory()?)?,
            _ => return None,
        };
        Some(Self {
            signed: Cell::from(signed.clone()),
            challenger: *signed.key()?,
            token: Hash(bytes_or_nil(token.in_memory()?)??),
            target: bytes_or_nil(target.in_memory()?)?.map(AccountKey::new),
            network: network.map(Hash),
        })
    }

    /// The key that claims to have sent it.
    #[must_use]
    pub fn challenger(&self) -> &AccountKey {
        &self.challenger
    }

    /// The key that is to answer; anybody's without one.
    #[must_use]
    pub fn target(&self) -> Option<&AccountKey> {
        self.target.as_ref()
    }

    /// The network that it names.
    #[must_use]
    pub fn network(&self) -> Option<&Hash> {
        self.network.as_ref()
    }

    /// The encoding of the signed challenge, which is the request for an answer.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.signed.encode()
    }

    /// Whether the challenger's signature is right.
    #[must_use]
    pub fn is_genuine(&self) -> bool {
        matches!(&self.signed, Cell::Signed(signed) if signed.verify())
    }

    /// What the challenged side signs: `[token challenger network]`, the network left out where the challenge has none.
    #[must_use]
    pub fn answer(&self) -> Cell {
        text(&self.token, Some(&self.challenger), self.network.as_ref())
    }
}

/// What a challenger signs: `[token target network]`.
#[must_use]
pub fn challenge(token: &Hash, target: Option<&AccountKey>, network: &Hash) -> Cell {
    text(token, target, Some(network))
}

/// The key that `answer` proves, when it is a good answer to a challenge of `challenger` with this token in this network
/// (`spec/06 §8.3`): right token, addressed to the challenger, of this network or of none, and signed well, which the reference does
/// not check.
#[must_use]
pub fn proven_key(
    answer: &Signed,
    token: &Hash,
    challenger: &AccountKey,
    network: &Hash,
) -> Option<AccountKey> {
    let Some(Cell::Vector(parts)) = answer.value_ref().in_memory() else {
        return None;
    };
    let [answered, to, rest @ ..] = parts.as_leaf()? else {
        return None;
    };
    let is = |r: &cells::Ref, expected: &[u8; 32]| {
        r.in_memory().and_then(bytes_or_nil) == Some(Some(*expected))
    };
    let network_fits = match rest {
        [] => true,
        [named] => is(named, &network.0),
        _ => false,
    };
    let fits = is(answered, &token.0) && is(to, challenger.as_bytes()) && network_fits;
    (fits && answer.verify()).then(|| answer.key().copied())?
}

/// `None` for anything but nil and a byte string of 32 bytes.
#[allow(clippy::option_option)]
fn bytes_or_nil(cell: &Cell) -> Option<Option<[u8; 32]>> {
    match cell {
        Cell::Nil => Some(None),
        Cell::Blob(blob) => blob.as_key().copied().map(Some),
        _ => None,
    }
}

fn text(token: &Hash, key: Option<&AccountKey>, network: Option<&Hash>) -> Cell {
    let key = key.map(|key| Hash(key.to_bytes()));
    let mut parts = vec![Cell::from(*token), Cell::from(key)];
    parts.extend(network.map(|network| Cell::from(*network)));
    Cell::from(parts.into_iter().collect::<Vector>())
}

//! Challenges that arrive: the rules of the challenged side (`spec/06 §8.2`), as far as they need no key.

use cells::{Cell, Vector};
use signing::Identity;
use signing::challenge::ReceivedChallenge;

use crate::{Code, Reply};

/// Checks the payload `[:CH id signed]` for the peer `identity`. What passes still needs its signature checked by the one who
/// answers: the answering key does that itself.
///
/// # Errors
/// The reply to send, in the order of the rules.
pub fn check_challenge(
    payload: &Vector,
    id: i64,
    identity: &Identity,
) -> Result<ReceivedChallenge, Reply> {
    let error = |code, text: &str| Err(Reply::error(id, code, text));
    if payload.count() < 3 {
        return error(Code::Format, "Invalid challenge format");
    }
    let signed = match payload.get(2) {
        Ok(Some(Cell::Signed(signed))) => signed,
        Ok(None | Some(Cell::Nil)) => return error(Code::Format, "Missing signed data"),
        Ok(Some(_)) => return error(Code::Unexpected, "Challenge is not signed data"),
        Err(cells::CellError::Missing(hash)) => return Err(Reply::missing(id, &hash)),
        Err(_) => return error(Code::Exception, "Challenge cannot be read"),
    };
    let parts = match signed.value() {
        Ok(Cell::Vector(parts)) => parts,
        Ok(Cell::Nil) => return error(Code::Format, "Invalid challenge data"),
        Ok(_) => return error(Code::Unexpected, "Challenge is not a vector"),
        Err(cells::CellError::Missing(hash)) => return Err(Reply::missing(id, &hash)),
        Err(_) => return error(Code::Exception, "Challenge cannot be read"),
    };
    if !(2..=3).contains(&parts.count()) {
        return error(Code::Format, "Wrong element count");
    }
    let key_of = |i| match parts.get(i) {
        Ok(Some(Cell::Blob(blob))) => blob.as_key().copied(),
        _ => None,
    };
    let target_is_nil = matches!(parts.get(1), Ok(Some(Cell::Nil)));
    if !target_is_nil && key_of(1) != Some(identity.key.to_bytes()) {
        return error(Code::Trust, "Wrong target key");
    }
    if key_of(2).is_some_and(|network| network != identity.network.0) {
        return error(Code::Trust, "Context mismatch");
    }
    ReceivedChallenge::read(&signed)
        .ok_or_else(|| Reply::error(id, Code::Unexpected, "Token and context must be hashes"))
}

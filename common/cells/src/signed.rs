//! Signed data: a value, an account key and a signature (`spec/01 §11.1`).

use std::sync::atomic::{AtomicU8, Ordering};

use crypto::{AccountKey, Signature};
use triomphe::Arc;

use crate::node::{Cache, Node, write_ref};
use crate::{Cell, CellError, Ref, tag};

/// A value with the signature of a key over it. The signature need not be right.
#[derive(Clone)]
pub struct Signed(Arc<Inner>);

struct Inner {
    cache: Cache,
    /// Absent only in a lone cell with tag `91`.
    key: Option<AccountKey>,
    signature: Signature,
    value: Ref,
    verdict: AtomicU8,
}

/// What is known about the signature of a [`Signed`] in memory. Never stored, never sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Not checked yet.
    Unknown,
    /// Checked and right.
    Good,
    /// Checked and wrong.
    Bad,
}

impl Node for Inner {
    fn cache(&self) -> &Cache {
        &self.cache
    }

    fn write(&self, out: &mut Vec<u8>) {
        match &self.key {
            Some(key) => {
                out.push(tag::SIGNED);
                out.extend_from_slice(key.as_bytes());
            }
            None => out.push(tag::SIGNED_KEYLESS),
        }
        out.extend_from_slice(self.signature.as_bytes());
        write_ref(out, &self.value);
    }

    fn head_len(&self) -> Option<usize> {
        None
    }

    fn ref_at(&self, i: usize) -> Option<&Ref> {
        (i == 0).then_some(&self.value)
    }
}

impl Signed {
    /// `value` with a key and a signature, taken as given.
    #[must_use]
    pub fn new(key: AccountKey, signature: Signature, value: Cell) -> Self {
        Self::from_parts(Some(key), signature, Ref::new(value), Cache::new())
    }

    /// `value` signed by `key`.
    #[must_use]
    pub fn sign(key: &crypto::SigningKey, value: Cell) -> Self {
        let signature = key.sign(&signed_message(&Ref::new(value.clone())));
        let signed = Self::new(key.account_key(), signature, value);
        signed.set_verdict(Verdict::Good);
        signed
    }

    pub(crate) fn from_parts(
        key: Option<AccountKey>,
        signature: Signature,
        value: Ref,
        cache: Cache,
    ) -> Self {
        Self(Arc::new(Inner {
            cache,
            key,
            signature,
            value,
            verdict: AtomicU8::new(0),
        }))
    }

    /// The key that claims to have signed; `None` in a lone cell that omits it.
    #[must_use]
    pub fn key(&self) -> Option<&AccountKey> {
        self.0.key.as_ref()
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.0.signature
    }

    /// The signed value.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn value(&self) -> Result<Cell, CellError> {
        self.0.value.get()
    }

    /// The position of the signed value.
    #[must_use]
    pub fn value_ref(&self) -> &Ref {
        &self.0.value
    }

    /// The bytes that the signature covers: the value in ref form.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        signed_message(&self.0.value)
    }

    /// What is known about the signature.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.0.verdict.load(Ordering::Relaxed) {
            1 => Verdict::Good,
            2 => Verdict::Bad,
            _ => Verdict::Unknown,
        }
    }

    /// Notes the outcome of a check of exactly this key, signature and value.
    pub fn set_verdict(&self, verdict: Verdict) {
        let code = match verdict {
            Verdict::Unknown => 0,
            Verdict::Good => 1,
            Verdict::Bad => 2,
        };
        self.0.verdict.store(code, Ordering::Relaxed);
    }

    /// True when the signature is right, by the network's accept set. Checked at most once.
    #[must_use]
    pub fn verify(&self) -> bool {
        match (self.verdict(), &self.0.key) {
            (Verdict::Good, _) => true,
            (Verdict::Bad, _) | (_, None) => false,
            (Verdict::Unknown, Some(key)) => {
                let good = crypto::verify(key, &self.message(), &self.0.signature);
                self.set_verdict(if good { Verdict::Good } else { Verdict::Bad });
                good
            }
        }
    }

    pub(crate) fn node(&self) -> &dyn Node {
        &*self.0
    }

    pub(crate) fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

fn signed_message(value: &Ref) -> Vec<u8> {
    let mut out = Vec::with_capacity(crate::MAX_EMBEDDED);
    write_ref(&mut out, value);
    out
}

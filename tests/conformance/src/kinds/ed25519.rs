//! `ed25519-edge`: signature checks, each alone and within batches.

use crypto::{AccountKey, KeyCache, Signature, SignedMessage};

use super::{Independent, Kind, Runner, guarded, has};
use crate::case::{Case, Fields};
use crate::files::VectorFile;
use crate::outcome::{Checks, Mismatch, Outcome};

/// The kind.
pub(super) struct Ed25519;

impl Kind for Ed25519 {
    fn name(&self) -> &'static str {
        "ed25519"
    }

    fn recognises(&self, fields: &Fields) -> bool {
        has(fields, &["msg", "key", "sig", "valid"])
    }

    fn open(&self, _file: &VectorFile) -> Result<Runner, String> {
        Ok(Runner::Independent(Box::new(Signatures {
            cache: KeyCache::new(CACHED_KEYS),
        })))
    }
}

/// Keys that are kept decoded, across all cases of a file: bad ones must not be remembered as good, nor the reverse.
const CACHED_KEYS: usize = 1024;

/// Sizes of the batches that each group of cases is cut into. One of 1 has no other term to hide in; small odd ones put valid
/// and invalid signatures together in many ways.
const BATCHES: [usize; 4] = [1, 3, 17, usize::MAX];

/// Seed of the batches' coefficients; any value gives the same verdicts.
const SEED: [u8; 32] = *b"conformance: ed25519 batch seed.";

struct Signatures {
    cache: KeyCache,
}

/// The parts of a case.
struct Check {
    key: AccountKey,
    message: Vec<u8>,
    signature: Signature,
    valid: bool,
}

impl Check {
    fn read(case: &Case) -> Result<Self, Mismatch> {
        Ok(Self {
            key: AccountKey::new(case.array("key")?),
            message: case.bytes("msg")?,
            signature: Signature::new(case.array("sig")?),
            valid: case.flag("valid")?,
        })
    }

    fn as_item(&self) -> SignedMessage<'_> {
        SignedMessage {
            key: &self.key,
            message: &self.message,
            signature: &self.signature,
        }
    }
}

impl Signatures {
    fn run_alone(&self, check: &Check) -> Checks {
        let Check {
            key,
            message,
            signature,
            valid,
        } = check;
        let mut checks = Checks::default();
        checks.equal("alone", *valid, crypto::verify(key, message, signature));
        checks.equal(
            "alone, key cached",
            *valid,
            self.cache.verify(key, message, signature),
        );
        checks
    }

    /// Adds what batches say about cases to what was found of each alone. Only those of equal expectation are put together
    /// when asked for: then a batch of good signatures has to pass as a whole, without a search for bad ones.
    fn run_batches(&self, of: &str, members: &[(&Check, usize)], found: &mut [Option<Checks>]) {
        for size in BATCHES {
            for batch in members.chunks(size.min(members.len().max(1))) {
                let items: Vec<SignedMessage<'_>> =
                    batch.iter().map(|(check, _)| check.as_item()).collect();
                let verdicts = crypto::verify_batch(&self.cache, &SEED, &items);
                for (nth, (check, place)) in batch.iter().enumerate() {
                    let verdict = verdicts
                        .get(nth)
                        .map_or("no verdict".to_owned(), bool::to_string);
                    if let Some(checks) = &mut found[*place] {
                        let what = format!("number {nth} of {} in a batch of {of}", batch.len());
                        checks.equal(&what, check.valid.to_string(), verdict);
                    }
                }
            }
        }
    }
}

impl Independent for Signatures {
    fn run(&self, case: &Case) -> Result<Outcome, Mismatch> {
        Ok(self.run_alone(&Check::read(case)?).outcome())
    }

    fn run_group(&self, cases: &[Case]) -> Vec<Outcome> {
        let read: Vec<Result<Check, Mismatch>> = cases.iter().map(Check::read).collect();
        let mut found: Vec<Option<Checks>> = read
            .iter()
            .map(|check| check.as_ref().ok().map(|check| self.run_alone(check)))
            .collect();
        let all: Vec<(&Check, usize)> = read
            .iter()
            .enumerate()
            .filter_map(|(place, check)| Some((check.as_ref().ok()?, place)))
            .collect();
        let good: Vec<(&Check, usize)> = all
            .iter()
            .filter(|(check, _)| check.valid)
            .copied()
            .collect();
        if let Some(case) = cases.first() {
            crate::run::with_case(case, || {
                self.run_batches("all", &all, &mut found);
                self.run_batches("valid ones", &good, &mut found);
            });
        }
        let outcomes = cases.iter().zip(read.into_iter().zip(found));
        outcomes
            .map(|(case, (read, found))| {
                guarded(case, || read.map(|_| found.unwrap_or_default().outcome()))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::from_json;

    /// A signature by seed 0 over `message`, claimed to be `valid`.
    fn signed(message: &[u8], valid: bool) -> Case {
        let key = crypto::SigningKey::from_seed(&[0; 32]);
        let json = serde_json::json!({
            "name": "signed",
            "msg": hex::encode(message),
            "key": hex::encode(key.account_key().as_bytes()),
            "sig": hex::encode(key.sign(message).as_bytes()),
            "valid": valid,
        });
        from_json("ed25519", &json.to_string())
    }

    fn run(cases: &[Case]) -> Vec<Outcome> {
        Signatures {
            cache: KeyCache::new(16),
        }
        .run_group(cases)
    }

    #[test]
    fn a_wrong_expectation_fails_its_own_case_and_no_other() {
        let cases = [signed(b"a", true), signed(b"b", false), signed(b"c", true)];
        let outcomes = run(&cases);
        assert_eq!(outcomes[0], Outcome::Pass);
        assert!(
            matches!(&outcomes[1], Outcome::Fail(mismatches) if mismatches[0].field == "alone")
        );
        assert_eq!(outcomes[2], Outcome::Pass);
    }

    #[test]
    fn a_case_that_cannot_be_read_fails_and_the_others_run() {
        let mut broken = signed(b"a", true);
        broken.fields.insert("key".to_owned(), "00".into());
        let outcomes = run(&[broken, signed(b"b", true)]);
        assert!(matches!(&outcomes[0], Outcome::Fail(mismatches) if mismatches[0].field == "key"));
        assert_eq!(outcomes[1], Outcome::Pass);
    }
}

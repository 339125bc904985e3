//! What a courier sends and when it is done, without a socket and a clock.

use cells::{Cell, Decoder, Signed, decode_partial};
use ipc::supervision::RescueSettings;
use signing::Now;
use wire::{Dialler, DiallerAction, DiallerConfig, FrameLimits, Kind, Message, Reply, Status};

use super::Outcome;

/// Time between two questions, milliseconds.
const INTERVAL: u64 = 500;
/// Longest part of an answer that is told, characters.
const TOLD: usize = 4_000;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Write these bytes, and ask again.
    Send(Vec<u8>),
    /// Wait for bytes until this time (steady milliseconds), and ask again.
    Wait(u64),
    /// The attempt is over.
    Done(Outcome),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Transact,
    /// The answer to the transaction is awaited.
    Transacting,
    /// The next question is due then.
    Ask(u64),
    Asking,
    Confirmed,
}

/// One attempt.
pub struct Steps {
    dialler: Dialler,
    transaction: Option<Signed>,
    /// The question; `None` asks for the network.
    check: Option<Cell>,
    expected: String,
    until: u64,
    stage: Stage,
    /// What the peer said to the transaction.
    told: Option<String>,
    /// What it said last to the question: a value, or an error.
    result: Option<Result<String, String>>,
}

impl Steps {
    /// From what the supervisor wants; all of it has to happen within the time of the settings from the start of the clock of `now`.
    ///
    /// # Errors
    /// When the transaction or the question can't be read, for people.
    pub fn new(settings: &RescueSettings, now: Now) -> Result<Self, String> {
        let transaction = match &settings.transaction[..] {
            [] => None,
            bytes => match decode_partial(bytes, &Decoder::new().generic()) {
                Ok((Cell::Signed(signed), _)) => Some(signed),
                Ok(_) => return Err("what should be carried is no signed transaction".to_owned()),
                Err(error) => return Err(format!("the transaction can't be read: {error}")),
            },
        };
        let check = match settings.check.as_str() {
            "" => None,
            source => Some(
                cvm::reader::read(source)
                    .map_err(|error| format!("the question can't be read: {error}"))?,
            ),
        };
        let config = DiallerConfig {
            frames: FrameLimits {
                belief: 0,
                result: 1 << 20,
                request: 0,
            },
            // An answer to the transaction comes when it is final, which may be late.
            timeout: u64::from(settings.within),
            ..DiallerConfig::default()
        };
        Ok(Self {
            dialler: Dialler::new(None, config, now),
            stage: if transaction.is_some() {
                Stage::Transact
            } else {
                Stage::Ask(0)
            },
            transaction,
            check,
            expected: settings.expected.clone(),
            until: u64::from(settings.within),
            told: None,
            result: None,
        })
    }

    /// What to do now.
    pub fn next(&mut self, now: Now) -> Next {
        if self.stage == Stage::Confirmed || now.steady >= self.until {
            return Next::Done(self.outcome(None));
        }
        match self.stage {
            Stage::Transact => {
                let Some(transaction) = self.transaction.clone() else {
                    return Next::Done(self.outcome(None));
                };
                self.stage = Stage::Transacting;
                self.request(now, |id| Message::Transact { id, transaction })
            }
            Stage::Ask(due) if due <= now.steady => {
                let check = self.check.clone();
                self.stage = Stage::Asking;
                self.request(now, |id| match check {
                    Some(form) => Message::Query {
                        id,
                        form,
                        address: None,
                    },
                    None => Message::Status { id },
                })
            }
            Stage::Ask(due) => Next::Wait(due.min(self.until)),
            Stage::Transacting | Stage::Asking | Stage::Confirmed => Next::Wait(self.until),
        }
    }

    fn request(&mut self, now: Now, message: impl FnOnce(i64) -> Message) -> Next {
        match self.dialler.request(now, message) {
            Ok((_, bytes)) => {
                self.dialler.written(bytes.len());
                Next::Send(bytes)
            }
            Err(error) => Next::Done(self.outcome(Some(&error.to_string()))),
        }
    }

    /// Takes bytes of the peer.
    ///
    /// # Errors
    /// When it closes the connection or breaks the protocol.
    pub fn receive(&mut self, mut bytes: &[u8], now: Now) -> Result<(), String> {
        while let Some(action) = self.dialler.receive(&mut bytes, now) {
            match action {
                DiallerAction::Answered { kind, body, .. } => self.answered(kind, &body, now),
                DiallerAction::Close(reason) => return Err(reason.to_string()),
                DiallerAction::Send(_)
                | DiallerAction::Challenged { .. }
                | DiallerAction::Drop(_) => {}
            }
        }
        Ok(())
    }

    fn answered(&mut self, kind: Kind, body: &[u8], now: Now) {
        let reply = match Message::decode(body, &Decoder::new()) {
            Ok(Ok(Message::Result(reply))) => reply,
            _ => Reply::error(0, wire::Code::Format, "an answer that can't be read"),
        };
        let value = match (kind, Status::read(&reply.value)) {
            (Kind::Status, Ok(status)) => status.genesis.to_string(),
            (Kind::Status, Err(error)) if reply.error.is_nil() => {
                self.stage = Stage::Ask(now.steady + INTERVAL);
                self.result = Some(Err(error.to_string()));
                return;
            }
            _ => reply.value.to_string(),
        };
        let text: String = value.chars().take(TOLD).collect();
        let result = match &reply.error {
            error if error.is_nil() => Ok(text),
            error => Err(format!("{error} {text}")),
        };
        if kind == Kind::Transact {
            self.told = Some(result.unwrap_or_else(|error| error));
            self.stage = Stage::Ask(now.steady);
            return;
        }
        let shows = self.expected.is_empty() || value == self.expected;
        self.stage = if shows && result.is_ok() {
            Stage::Confirmed
        } else {
            Stage::Ask(now.steady + INTERVAL)
        };
        self.result = Some(result);
    }

    /// The outcome when the connection failed.
    #[must_use]
    pub fn failed(&self, why: &str) -> Outcome {
        self.outcome(Some(why))
    }

    fn outcome(&self, failure: Option<&str>) -> Outcome {
        let (text, answered) = match (&self.result, failure) {
            (Some(Ok(value)), _) => (value.clone(), true),
            (Some(Err(error)), _) => (format!("the question was answered with {error}"), false),
            (None, Some(failure)) => (failure.to_owned(), false),
            (None, None) => ("no answer in time".to_owned(), false),
        };
        Outcome {
            text,
            answered,
            confirmed: self.stage == Stage::Confirmed,
        }
    }

    /// What the peer said to the transaction, for the log; `None` without an answer.
    #[must_use]
    pub fn told(&self) -> Option<&str> {
        self.told.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cells::{Record, RecordKind};
    use crypto::SigningKey;
    use wire::{FrameReader, frame};

    fn settings(check: &str, expected: &str, with_transaction: bool) -> RescueSettings {
        let key = SigningKey::from_seed(&[1; 32]);
        // What it is does not matter to who carries it.
        let invoke = Cell::from(Record::of_kind(
            RecordKind::Invoke,
            [Cell::Address(12), Cell::Long(1), Cell::Nil],
        ));
        let signature = key.sign(&invoke.encode());
        let signed = Cell::from(Signed::new(key.account_key(), signature, invoke));
        RescueSettings {
            target: "127.0.0.1:1".to_owned(),
            transaction: if with_transaction {
                signed.encode().into()
            } else {
                Vec::new().into()
            },
            check: check.to_owned(),
            expected: expected.to_owned(),
            within: 10_000,
            demands: "none".to_owned(),
        }
    }

    fn at(steady: u64) -> Now {
        Now { wall: 0, steady }
    }

    fn sent(next: Next) -> Message {
        let Next::Send(bytes) = next else {
            panic!("{next:?}");
        };
        let body = FrameReader::new(FrameLimits::ACCEPTED)
            .read(&mut &bytes[..])
            .unwrap()
            .unwrap();
        Message::decode(&body, &Decoder::new().generic())
            .unwrap()
            .unwrap()
    }

    fn answer(steps: &mut Steps, reply: &Reply, now: u64) {
        let bytes = frame(&reply.encode().unwrap()).unwrap();
        steps.receive(&bytes, at(now)).unwrap();
    }

    #[test]
    fn without_a_question_the_network_is_asked_for() {
        let mut steps = Steps::new(&settings("", "", false), at(0)).unwrap();
        assert!(matches!(sent(steps.next(at(0))), Message::Status { id: 0 }));
        // Not live yet: it is asked again.
        answer(&mut steps, &Reply::ok(0, Cell::Nil), 100);
        assert_eq!(steps.next(at(100)), Next::Wait(600));
        assert!(matches!(
            sent(steps.next(at(600))),
            Message::Status { id: 1 }
        ));
        let status = Status {
            belief: cells::Hash([1; 32]),
            genesis: cells::Hash([2; 32]),
            peer: SigningKey::from_seed(&[1; 32]).account_key(),
            state: cells::Hash([3; 32]),
            points: [0; 4],
        };
        answer(&mut steps, &Reply::ok(1, status.to_cell()), 700);
        let Next::Done(outcome) = steps.next(at(700)) else {
            panic!("not done");
        };
        assert_eq!(outcome.text, "02".repeat(32));
        assert!(outcome.answered);
    }

    #[test]
    fn the_transaction_goes_first_and_the_question_is_repeated_until_it_shows() {
        let mut steps = Steps::new(&settings("(balance #12)", "0", true), at(0)).unwrap();
        assert!(matches!(
            sent(steps.next(at(5))),
            Message::Transact { id: 0, .. }
        ));
        assert_eq!(steps.next(at(5)), Next::Wait(10_000));
        answer(&mut steps, &Reply::ok(0, Cell::Long(7)), 100);
        let Message::Query { id: 1, form, .. } = sent(steps.next(at(100))) else {
            panic!("no query");
        };
        assert_eq!(form.to_string(), "(balance #12)");
        answer(&mut steps, &Reply::ok(1, Cell::Long(9)), 200);
        assert_eq!(steps.next(at(200)), Next::Wait(700));
        assert!(matches!(
            sent(steps.next(at(700))),
            Message::Query { id: 2, .. }
        ));
        answer(&mut steps, &Reply::ok(2, Cell::Long(0)), 800);
        let Next::Done(outcome) = steps.next(at(800)) else {
            panic!("not done");
        };
        assert!(outcome.confirmed);
        assert_eq!((outcome.text.as_str(), steps.told()), ("0", Some("7")));
    }

    #[test]
    fn an_error_is_told_and_another_may_have_done_it_already() {
        let mut steps = Steps::new(&settings("x", "0", true), at(0)).unwrap();
        sent(steps.next(at(0)));
        let refusal = Reply::rejected(0, wire::Code::Sequence, "Old sequence number");
        answer(&mut steps, &refusal, 10);
        sent(steps.next(at(10)));
        answer(&mut steps, &Reply::ok(1, Cell::Long(0)), 20);
        let Next::Done(outcome) = steps.next(at(20)) else {
            panic!("not done");
        };
        assert!(outcome.confirmed && outcome.answered);
        assert!(steps.told().unwrap().contains(":SEQUENCE"));
    }

    #[test]
    fn time_ends_an_attempt_unconfirmed() {
        let mut steps = Steps::new(&settings("x", "0", true), at(0)).unwrap();
        sent(steps.next(at(0)));
        let Next::Done(outcome) = steps.next(at(10_000)) else {
            panic!("not done");
        };
        assert!(!outcome.confirmed && !outcome.answered);
        assert_eq!(outcome.text, "no answer in time");
    }

    #[test]
    fn without_a_transaction_any_answer_is_an_answer_but_no_error() {
        let mut steps = Steps::new(&settings("*state*", "", false), at(0)).unwrap();
        assert!(matches!(sent(steps.next(at(0))), Message::Query { .. }));
        answer(&mut steps, &Reply::rejected(0, wire::Code::Load, "x"), 10);
        sent(steps.next(at(510)));
        answer(&mut steps, &Reply::ok(1, Cell::Nil), 520);
        assert!(matches!(
            steps.next(at(520)),
            Next::Done(Outcome {
                confirmed: true,
                ..
            })
        ));
    }

    #[test]
    fn a_hostile_peer_ends_the_attempt_and_nothing_else() {
        let mut steps = Steps::new(&settings("x", "0", true), at(0)).unwrap();
        sent(steps.next(at(0)));
        // Results that nobody asked for, and then a frame that is too long.
        answer(&mut steps, &Reply::ok(77, Cell::Long(0)), 1);
        assert_eq!(steps.next(at(1)), Next::Wait(10_000));
        assert!(
            steps
                .receive(&[0x97, 0xeb, 0xe1, 0x00, 0xdd], at(2))
                .is_err()
        );
        assert!(!steps.failed("closed").confirmed);
    }

    #[test]
    fn what_can_not_be_read_is_refused_at_the_start() {
        for (check, transaction) in [
            ("(", None),
            ("1", Some(&b"\x11\x01"[..])),
            ("1", Some(b"\xff")),
        ] {
            let mut settings = settings(check, "", false);
            if let Some(bytes) = transaction {
                settings.transaction = bytes.to_vec().into();
            }
            assert!(Steps::new(&settings, at(0)).is_err(), "{check}");
        }
    }
}

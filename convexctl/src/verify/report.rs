//! What `verify-chain` says in the end.

use std::time::Duration;

use cells::Hash;
use serde_json::{Value, json};

use super::order::{Chosen, Orders};
use super::replay::Outcome;
use super::{CONSENSUS, FINALITY};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Out;

/// Blocks listed in the text at most; JSON has all.
const LISTED: usize = 20;

pub(super) struct Report<'a> {
    pub(super) orders: &'a Orders,
    pub(super) chosen: &'a Chosen<'a>,
    pub(super) genesis: Hash,
    pub(super) outcome: &'a Outcome,
    pub(super) expect: Option<Hash>,
    /// After how many blocks the expected state came, when it is not the last.
    pub(super) found_after: Option<u64>,
    /// Time of everything, from the start of the command.
    pub(super) time: Duration,
}

impl Report<'_> {
    /// Wrong signatures weigh more than another state than the expected one.
    pub(super) fn exit(&self) -> Exit {
        if !self.outcome.forged.is_empty() || !self.orders.bad.is_empty() {
            Exit::Data
        } else if self
            .expect
            .is_some_and(|expected| expected != self.outcome.hash)
        {
            Exit::Negative
        } else {
            Exit::Ok
        }
    }

    fn rate(&self, count: u64) -> f64 {
        count as f64 / self.outcome.time.as_secs_f64().max(1e-9)
    }

    pub(super) fn text(&self, out: &mut Out) -> Result<(), Failure> {
        let outcome = self.outcome;
        let order = self.chosen.order;
        let points = order.points;
        out.line(format_args!(
            "order         {} ({}; {} usable in the belief)",
            order.peer,
            self.chosen.why,
            self.orders.count()
        ))?;
        out.line(format_args!(
            "points        {} blocks, {} proposed, {} in consensus, {} final",
            points[0], points[1], points[CONSENSUS], points[FINALITY]
        ))?;
        out.line(format_args!("genesis       {}", self.genesis))?;
        out.line(format_args!(
            "blocks        {} replayed, {} invalid",
            outcome.blocks,
            outcome.invalid.len()
        ))?;
        out.line(format_args!(
            "transactions  {}, {} of them with an error as result",
            outcome.transactions, outcome.errors
        ))?;
        out.line(format_args!(
            "signatures    {} checked, {} wrong",
            outcome.signatures,
            outcome.bad_transactions + outcome.forged.len() as u64
        ))?;
        out.line(format_args!("accounts      {}", outcome.accounts))?;
        out.line(format_args!(
            "time          {} ({})",
            outcome.globals.timestamp,
            utc(outcome.globals.timestamp)
        ))?;
        out.line(format_args!("state         {}", outcome.hash))?;
        out.line(format_args!(
            "speed         {:.1} ms for everything, {:.1} ms for the blocks: {:.0} blocks/s, {:.0} transactions/s",
            self.time.as_secs_f64() * 1e3,
            outcome.time.as_secs_f64() * 1e3,
            self.rate(outcome.blocks),
            self.rate(outcome.transactions),
        ))?;
        for invalid in outcome.invalid.iter().take(LISTED) {
            let place = match invalid.transaction {
                Some(transaction) => format!("block {}, transaction {transaction}", invalid.block),
                None => format!("block {}", invalid.block),
            };
            out.line(format_args!(
                "invalid       {place}: {} (rule: {}, {})",
                invalid.reason, invalid.rule.requires, invalid.rule.section
            ))?;
        }
        for block in outcome.forged.iter().take(LISTED) {
            out.line(format_args!("WRONG         the signature of block {block}"))?;
        }
        for (key, why) in self.orders.bad.iter().take(LISTED) {
            out.line(format_args!("WRONG         the order of {key}: {why}"))?;
        }
        match self.expect {
            Some(expected) if expected != outcome.hash => {
                let after = match self.found_after {
                    Some(blocks) => format!("that is the state after {blocks} blocks"),
                    None => "no state on the way to here has that hash".to_owned(),
                };
                out.line(format_args!(
                    "MISMATCH      expected state {expected}: {after}"
                ))
            }
            Some(_) => out.line("match         the state is the expected one"),
            None => Ok(()),
        }
    }

    pub(super) fn json(&self) -> Value {
        let outcome = self.outcome;
        let order = self.chosen.order;
        let invalid: Vec<_> = outcome
            .invalid
            .iter()
            .map(|invalid| {
                json!({
                    "block": invalid.block,
                    "transaction": invalid.transaction,
                    "reason": invalid.reason,
                    "rule": invalid.rule.requires,
                    "section": invalid.rule.section,
                })
            })
            .collect();
        let bad: Vec<_> = self
            .orders
            .bad
            .iter()
            .map(|(key, why)| json!({ "peer": key, "reason": why }))
            .collect();
        json!({
            "order": {
                "peer": order.peer.to_string(),
                "chosen": self.chosen.why,
                "orders": self.orders.count(),
                "timestamp": order.timestamp,
                "points": order.points,
            },
            "genesis": self.genesis.to_string(),
            "blocks": outcome.blocks,
            "invalid_blocks": invalid,
            "transactions": outcome.transactions,
            "transaction_errors": outcome.errors,
            "signatures": {
                "checked": outcome.signatures,
                "wrong_transactions": outcome.bad_transactions,
                "wrong_blocks": outcome.forged,
                "wrong_orders": bad,
            },
            "accounts": outcome.accounts,
            "timestamp": outcome.globals.timestamp,
            "state": outcome.hash.to_string(),
            "expected": self.expect.map(|hash| hash.to_string()),
            "matches": self.expect.map(|expected| expected == outcome.hash),
            "expected_after_blocks": self.found_after,
            "milliseconds": self.time.as_secs_f64() * 1e3,
            "replay_milliseconds": outcome.time.as_secs_f64() * 1e3,
            "blocks_per_second": self.rate(outcome.blocks),
        })
    }
}

/// A time of the network as people write it. Proleptic Gregorian, by days since 0000-03-01 in eras of 400 years.
fn utc(milliseconds: i64) -> String {
    let seconds = milliseconds.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let days = i128::from(days) + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = year_of_era + era * 400 + later;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
        milliseconds.rem_euclid(1000)
    )
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn times_are_written_as_dates() {
        assert_eq!(utc(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(utc(1_735_056_000_000), "2024-12-24T16:00:00.000Z");
        assert_eq!(utc(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(utc(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(utc(-1), "1969-12-31T23:59:59.999Z");
        // The extremes are written too, whatever they mean.
        assert!(utc(i64::MAX).starts_with("292278994-08-17"));
        assert!(utc(i64::MIN).contains("-05-16"));
    }
}

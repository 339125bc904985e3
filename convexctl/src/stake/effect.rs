//! Before and after, as people and programs read it.

use cells::Hash;
use serde_json::{Value, json};

use super::change::Change;
use super::standing::{Peer, Standing, percent};
use crate::amount::{change as signed, coins};
use crate::failure::Failure;
use crate::output::Out;

/// What a change comes to.
pub(super) struct Effect<'a> {
    pub(super) change: &'a Change,
    pub(super) peer: &'a [u8; 32],
    pub(super) account: u64,
    pub(super) sequence: i64,
    pub(super) network: Hash,
    pub(super) form: &'a str,
    /// The state that it was found on.
    pub(super) state: Hash,
    pub(super) before: &'a Standing,
    pub(super) after: &'a Standing,
    /// What the transaction is charged.
    pub(super) bill: Bill,
}

/// What a transaction is charged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bill {
    /// Coppers for everything.
    pub(super) fees: i64,
    pub(super) juice: i64,
    /// Bytes that the state grows by.
    pub(super) memory: i64,
}

impl Effect<'_> {
    /// One line for each number, before and after.
    pub(super) fn print(&self, out: &mut Out) -> Result<(), Failure> {
        let row = |out: &mut Out, name: &str, text: &str| out.line(format!("{name:<12} {text}"));
        row(out, "peer", &hex::encode(self.peer))?;
        row(out, "network", &self.network.to_string())?;
        row(
            out,
            "transaction",
            &format!("#{}, sequence number {}", self.account, self.sequence),
        )?;
        row(out, "form", self.form)?;
        row(out, "state", &self.state.to_string())?;
        out.line("")?;
        table(self.account, self.before, self.after, out)?;
        let Bill {
            fees,
            juice,
            memory,
        } = self.bill;
        out.line("")?;
        row(
            out,
            "fees",
            &format!("{} (juice {juice}, memory {memory} bytes)", coins(fees)),
        )?;
        for remark in self.change.remarks(self.after) {
            row(out, "note", &remark)?;
        }
        Ok(())
    }

    /// The same for programs; amounts are coppers.
    pub(super) fn as_json(&self) -> Value {
        json!({
            "peer": hex::encode(self.peer),
            "network": self.network.to_string(),
            "account": self.account,
            "sequence": self.sequence,
            "form": self.form,
            "state": self.state.to_string(),
            "before": standing_json(self.before),
            "after": standing_json(self.after),
            "fees": self.bill.fees,
            "juice": self.bill.juice,
            "memory": self.bill.memory,
            "notes": self.change.remarks(self.after),
        })
    }
}

pub(super) fn standing_json(at: &Standing) -> Value {
    json!({
        "balance": at.balance,
        "sequence": at.sequence,
        "delegated_by_account": at.peer.as_ref().and_then(|peer| peer.by_account),
        "peer": at.peer.as_ref().map(Peer::as_json),
    })
}

/// Before, after, and the difference of what has one.
pub(super) fn table(
    account: u64,
    before: &Standing,
    after: &Standing,
    out: &mut Out,
) -> Result<(), Failure> {
    let mut rows = vec![[
        String::new(),
        "before".to_owned(),
        "after".to_owned(),
        String::new(),
    ]];
    let mut amounts = |name: String, before: Option<i64>, after: Option<i64>| {
        let difference = match (before, after) {
            (Some(before), Some(after)) => signed(after.saturating_sub(before)),
            _ => String::new(),
        };
        let text = |amount: Option<i64>| amount.map_or_else(|| "-".to_owned(), coins);
        rows.push([name, text(before), text(after), difference]);
    };
    amounts(
        format!("#{account} has"),
        Some(before.balance),
        Some(after.balance),
    );
    let of = |get: fn(&Peer) -> Option<i64>| {
        (
            before.peer.as_ref().and_then(get),
            after.peer.as_ref().and_then(get),
        )
    };
    let (was, is) = of(|peer| peer.own);
    amounts("own stake".to_owned(), was, is);
    let (was, is) = of(|peer| peer.delegated);
    amounts("delegated".to_owned(), was, is);
    let (was, is) = of(|peer| peer.by_account);
    if was.unwrap_or(0) != 0 || is.unwrap_or(0) != 0 {
        amounts(format!("  by #{account}"), was, is);
    }
    let mut texts = |name: &str, text: fn(&Peer) -> String| {
        let [before, after] =
            [before, after].map(|at| at.peer.as_ref().map_or_else(|| "-".to_owned(), text));
        rows.push([name.to_owned(), before, after, String::new()]);
    };
    texts("vote", |peer| percent(peer.share));
    texts("host", |peer| {
        peer.host.as_deref().map_or_else(|| "-".to_owned(), tame)
    });
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let [first, second, third] = [0, 1, 2].map(width);
    for [name, before, after, difference] in &rows {
        let line = format!("{name:<first$}  {before:>second$}  {after:>third$}  {difference}");
        out.line(line.trim_end())?;
    }
    Ok(())
}

/// A text that somebody else has put into the state, without what would move the cursor.
pub(super) fn tame(text: &str) -> String {
    const LONGEST: usize = 100;
    let text: String = text.chars().take(LONGEST).collect();
    text.escape_debug().to_string()
}

//! What can be changed about the stake of a peer: the form that does it, what speaks against it beforehand, and how to see
//! that it was done. Pure: a change is judged by two standings.

use cells::Cell;
use consensus::MIN_STAKE;

use super::standing::{Peer, Standing};
use crate::amount::{Amount, coins};
use crate::exit::Exit;
use crate::failure::Failure;

/// Longest name of a host.
const MAX_HOST: usize = 253;

/// A change of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// Registers the peer.
    Create {
        /// Its own stake.
        stake: Amount,
        /// Where it says that it is.
        host: Option<Host>,
    },
    /// Sets its own stake.
    Stake(Amount),
    /// Takes an amount out of its own stake.
    Withdraw(Amount),
    /// Sets what the account delegates to it.
    Delegate(Amount),
    /// Removes it; whoever has coins in it gets them back.
    Evict,
    /// Says where it is.
    Host(Host),
}

/// `host:port` that others can connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host(String);

impl std::str::FromStr for Host {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let (host, port) = text.rsplit_once(':').ok_or("a host is HOST:PORT")?;
        let port_is_one = port.bytes().all(|b| b.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port > 0);
        if !port_is_one {
            return Err("the port after the last colon is a number from 1 to 65535");
        }
        let named = !host.is_empty()
            && host.len() <= MAX_HOST
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
        let in_brackets = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        if named || in_brackets.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok()) {
            Ok(Self(text.to_owned()))
        } else {
            Err("before the port is a name, an IPv4 address, or an IPv6 address in brackets")
        }
    }
}

impl Change {
    /// The form that does it, by an account with this key. Nothing in it depends on what a peer says of the state: amounts are those
    /// that were asked for, and what is relative to the state is found when it is executed.
    pub(crate) fn form(&self, peer: &[u8; 32], account_key: Option<&[u8; 32]>) -> String {
        let key = hex::encode(peer);
        let own_key = account_key == Some(peer);
        match self {
            Self::Create { stake, host } => {
                let create = format!("(create-peer 0x{key} {})", stake.coppers());
                match host {
                    None => create,
                    Some(host) => format!("(do {create} {})", host_form(host, &key, own_key)),
                }
            }
            Self::Stake(stake) => format!("(set-peer-stake 0x{key} {})", stake.coppers()),
            Self::Withdraw(part) => format!(
                "(set-peer-stake 0x{key} (- (get-peer-stake 0x{key}) {}))",
                part.coppers()
            ),
            Self::Delegate(stake) => format!("(set-stake 0x{key} {})", stake.coppers()),
            Self::Evict => format!("(evict-peer 0x{key})"),
            Self::Host(host) => host_form(host, &key, own_key),
        }
    }

    /// What speaks against it, by account `account` in the standing `at`.
    pub(crate) fn check(
        &self,
        account: u64,
        at: &Standing,
        below_minimum: bool,
    ) -> Result<(), Failure> {
        let peer = match (self, &at.peer) {
            (Self::Create { .. }, Some(peer)) => return Err(exists(peer)),
            (Self::Create { stake, .. }, None) => {
                affordable(account, at, stake.coppers())?;
                return least(*stake, below_minimum);
            }
            (_, None) => {
                return Err(
                    Failure::new(Exit::Negative, "the network has no peer with this key").remedy(
                        "check --peer-key and --peer; `convexctl peer create` registers a peer",
                    ),
                );
            }
            (_, Some(peer)) => peer,
        };
        match self {
            Self::Create { .. } => Ok(()),
            Self::Stake(stake) => {
                controls(account, peer)?;
                let own = peer.own.ok_or_else(unknown)?;
                affordable(account, at, stake.coppers().saturating_sub(own))?;
                if *stake == Amount::ZERO {
                    Ok(())
                } else {
                    least(*stake, below_minimum)
                }
            }
            Self::Withdraw(part) => {
                controls(account, peer)?;
                let own = peer.own.ok_or_else(unknown)?;
                match Amount::of_coppers(own - part.coppers()) {
                    None => Err(Failure::new(
                        Exit::Negative,
                        format!(
                            "the peer has {} of its own: {part} can't be withdrawn",
                            coins(own)
                        ),
                    )
                    .remedy("`convexctl stake withdraw all` takes out everything")),
                    Some(Amount::ZERO) => Ok(()),
                    Some(rest) => least(rest, below_minimum),
                }
            }
            Self::Delegate(stake) => {
                let has = peer.by_account.ok_or_else(unknown)?;
                affordable(account, at, stake.coppers().saturating_sub(has))
            }
            Self::Evict => evictable(account, at, peer),
            Self::Host(_) => controls(account, peer),
        }
    }

    /// What speaks against it once its effect is known: a peer whose stake nobody can tell is worth nothing any more.
    pub(crate) fn check_effect(&self, before: &Standing, after: &Standing) -> Result<(), Failure> {
        let (Some(was), Some(is)) = (&before.peer, &after.peer) else {
            return Ok(());
        };
        if is.own.is_some() || was.own.is_none() {
            return Ok(());
        }
        let failure = Failure::new(
            Exit::Negative,
            "this takes more shares than are delegated, since the peer has earned fees: after it the network can't tell the stake of \
             the peer any more, and all its blocks are void",
        );
        Err(match was.by_account {
            Some(has) => failure.remedy(format!(
                "leave {} delegated, which is what the delegation has earned, or more",
                coins(has.saturating_sub(was.record.delegated_stake).max(0))
            )),
            None => failure,
        })
    }

    /// Whether it was done, by the standings before and after and the result of the transaction.
    pub(crate) fn is_done(
        &self,
        account: u64,
        before: &Standing,
        at: &Standing,
        result: &Cell,
    ) -> bool {
        let Some(peer) = &at.peer else {
            return *self == Self::Evict;
        };
        let shares = |shares: i64, worth: Option<i64>, wanted: &Amount| {
            shares == wanted.coppers() || worth == Some(wanted.coppers())
        };
        let says = |host: &Host| peer.host.as_deref() == Some(&host.0);
        match self {
            Self::Create { stake, host } => {
                peer.record.controller == Some(account)
                    && peer.record.stake == stake.coppers()
                    && host.as_ref().is_none_or(says)
            }
            Self::Stake(stake) => shares(peer.record.stake, peer.own, stake),
            Self::Withdraw(part) => {
                // Fees that came in between only add to the own stake.
                let Some(was) = &before.peer else {
                    return false;
                };
                let least = was.own.map_or(i64::MAX, |own| own - part.coppers());
                let now = peer.record.stake;
                let moved = now != was.record.stake || now == least;
                *result == Cell::Long(-part.coppers())
                    && moved
                    && now >= least
                    && peer.own.is_some_and(|own| now <= own)
            }
            Self::Delegate(stake) => {
                let has = peer.record.shares_of(account).unwrap_or(-1);
                shares(has, peer.by_account, stake)
            }
            Self::Evict => false,
            Self::Host(host) => says(host),
        }
    }

    /// What it does, in one sentence for a question.
    pub(crate) fn effect(&self, account: u64, before: &Standing, after: &Standing) -> String {
        let moved = after.balance.saturating_sub(before.balance);
        let flow = if moved < 0 {
            format!(
                "#{account} pays {}, fees included",
                coins(moved.saturating_neg())
            )
        } else {
            format!("#{account} gets {}, fees taken off", coins(moved))
        };
        match self {
            Self::Create { stake, host } => format!(
                "registers the peer with {stake} of its own, controlled by #{account}{}; {flow}",
                host.as_ref()
                    .map(|host| format!(", at {}", host.0))
                    .unwrap_or_default()
            ),
            Self::Stake(stake) => format!("sets the own stake of the peer to {stake}; {flow}"),
            Self::Withdraw(part) => {
                format!("takes {part} out of the own stake of the peer; {flow}")
            }
            Self::Delegate(stake) => {
                format!("sets what #{account} delegates to the peer to {stake}; {flow}")
            }
            Self::Evict => {
                let back = before
                    .peer
                    .as_ref()
                    .and_then(|peer| Some((peer.record.controller?, peer.own?, peer.delegated?)));
                match back {
                    Some((controller, own, delegated)) => format!(
                        "removes the peer from the network: {} go back to its controller #{controller}, {} to its delegators; {flow}",
                        coins(own),
                        coins(delegated)
                    ),
                    None => format!("removes the peer from the network; {flow}"),
                }
            }
            Self::Host(host) => format!("lets the peer say that it is at {}; {flow}", host.0),
        }
    }

    /// What is to be known about its outcome, beyond the numbers.
    pub(crate) fn remarks(&self, after: &Standing) -> Vec<String> {
        let mut remarks = Vec::new();
        if after.counting == 0 {
            remarks.push(format!(
                "NO PEER of the network has {} of its own then: it stands still",
                coins(MIN_STAKE)
            ));
        }
        let Some(peer) = &after.peer else {
            return remarks;
        };
        match peer.own {
            None => remarks.push(
                "the network can't tell the own stake of this peer: its blocks are void".to_owned(),
            ),
            Some(own) if own < MIN_STAKE => remarks.push(format!(
                "below {} of its own the blocks and the vote of the peer don't count, and anybody may evict it",
                coins(MIN_STAKE)
            )),
            Some(MIN_STAKE) => remarks.push(
                "others keep connections to peers with MORE than the minimum only: one copper more is needed".to_owned(),
            ),
            Some(_) => {}
        }
        if let (Self::Stake(stake), Some(own)) = (self, peer.own)
            && own > stake.coppers()
        {
            remarks.push(format!(
                "fees that it has earned stay in the peer beside the stake, until it is evicted: {}",
                coins(own - stake.coppers())
            ));
        }
        let stakes = matches!(
            self,
            Self::Create { .. } | Self::Stake(_) | Self::Withdraw(_)
        );
        if stakes && peer.counts() && peer.host.is_none() {
            remarks.push(
                "the peer says nowhere that it can be reached: see `convexctl peer set-host`"
                    .to_owned(),
            );
        }
        remarks
    }
}

/// Publishes a host. The network lets an account say it for the peer of its own key only, so that the account has the peer's key
/// for the time of this one transaction, and its own again in the end. All of it happens, or nothing.
fn host_form(host: &Host, key: &str, own_key: bool) -> String {
    // What the peer says beside its host stays.
    let data = format!(
        "(set-peer-data 0x{key} (assoc (:metadata (get (:peers *state*) 0x{key})) :url \"{}\"))",
        host.0
    );
    if own_key {
        data
    } else {
        format!("(let [own *key*] (set-key 0x{key}) {data} (set-key own))")
    }
}

fn exists(peer: &Peer) -> Failure {
    let by = peer
        .record
        .controller
        .map_or_else(|| "nobody".to_owned(), |a| format!("#{a}"));
    Failure::new(
        Exit::Negative,
        format!("the peer is registered already, controlled by {by}"),
    )
    .remedy("`convexctl stake set` changes its stake, `convexctl peer set-host` its host")
}

fn unknown() -> Failure {
    Failure::new(
        Exit::Negative,
        "the network can't tell the stake of this peer: more shares were withdrawn than delegated",
    )
    .remedy("delegations raise it again: `convexctl stake delegate`")
}

fn controls(account: u64, peer: &Peer) -> Result<(), Failure> {
    match peer.record.controller {
        Some(controller) if controller == account => Ok(()),
        Some(controller) => Err(Failure::new(
            Exit::NoPermission,
            format!("#{account} does not control this peer: #{controller} does"),
        )
        .remedy(format!(
            "use --address {controller} and the key of that account"
        ))),
        None => Err(Failure::new(
            Exit::NoPermission,
            "nobody controls this peer",
        )),
    }
}

/// Fees are known only once the transaction was executed; what is missing without them is missing anyway.
fn affordable(account: u64, at: &Standing, needed: i64) -> Result<(), Failure> {
    if needed <= at.balance {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Negative,
        format!(
            "#{account} has {}: it needs {}, and fees",
            coins(at.balance),
            coins(needed)
        ),
    )
    .remedy("choose a smaller amount, or transfer coins to the account first"))
}

fn least(stake: Amount, below_minimum: bool) -> Result<(), Failure> {
    if stake.coppers() >= MIN_STAKE || below_minimum {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Negative,
        format!("{stake} are below the minimum of {}: the blocks and the vote of the peer would not count", coins(MIN_STAKE)),
    )
    .remedy("choose more than the minimum, or insist with --below-minimum"))
}

/// `spec/04 §8.5`.
fn evictable(account: u64, at: &Standing, peer: &Peer) -> Result<(), Failure> {
    if peer.record.controller != Some(account) && peer.own.ok_or_else(unknown)? >= MIN_STAKE {
        return Err(Failure::new(
            Exit::NoPermission,
            format!(
                "#{account} does not control this peer, which has {} of its own: only below {} anybody may evict it",
                coins(peer.own.unwrap_or(0)),
                coins(MIN_STAKE)
            ),
        ));
    }
    if at.peers == 1 {
        return Err(Failure::new(
            Exit::Negative,
            "this is the only peer of the network, which can't go on without one",
        ));
    }
    if peer.record.stakes.is_none() {
        return Err(Failure::new(
            Exit::Negative,
            "the last delegator of this peer has left, and the network can't evict a peer that once had some and has none",
        )
        .remedy("delegate a copper first, which comes back: `convexctl stake delegate 1 copper`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cvm::state::PeerStatus;
    use cvm::{Machine, Rules, genesis, transition};

    const CONTROLLER: u64 = 12;
    const OTHER: u64 = 11;
    const KEY: [u8; 32] = [2; 32];
    const NEW: [u8; 32] = [3; 32];

    fn amount(text: &str) -> Amount {
        text.parse().unwrap()
    }

    /// A network with two peers, `KEY` among them, and a state to try things on.
    struct Net {
        machine: Machine,
        state: cvm::state::State,
    }

    impl Net {
        fn new() -> Self {
            let parameters = genesis::Parameters::new([1; 32], [1; 32], &[KEY, [4; 32]]);
            Self {
                machine: Machine::new(Rules::latest()),
                state: genesis::genesis(&parameters).unwrap(),
            }
        }

        fn standing(&self, key: &[u8; 32], account: u64) -> Standing {
            Standing::of(&self.state, key, account).unwrap().unwrap()
        }

        /// Checks, executes, checks the effect.
        fn apply(
            &mut self,
            change: &Change,
            key: &[u8; 32],
            account: u64,
        ) -> Result<Standing, Failure> {
            let before = self.standing(key, account);
            change.check(account, &before, false)?;
            let result = self.execute(&change.form(key, before.key.as_ref()), account);
            assert_eq!(result.error, Cell::Nil, "{change:?}: {}", result.value);
            let after = self.standing(key, account);
            change.check_effect(&before, &after)?;
            assert!(
                change.is_done(account, &before, &after, &result.value),
                "{change:?}: {after:?}"
            );
            assert_eq!(
                after.key, before.key,
                "the key of the account is its own again"
            );
            Ok(after)
        }

        fn execute(&mut self, form: &str, account: u64) -> cvm::state::ResultRecord {
            let kind = cvm::state::Kind::Invoke {
                command: crate::remote::form(form).unwrap(),
            };
            transition::preview(&mut self.machine, &mut self.state, account, kind).unwrap()
        }

        fn change_peer(&mut self, key: &[u8; 32], change: impl FnOnce(&mut PeerStatus)) {
            let mut peer = self.state.peer(key).unwrap().unwrap();
            change(&mut peer);
            self.state.set_peer(key, &peer).unwrap();
        }
    }

    #[test]
    fn a_peer_is_registered_with_its_host_and_the_account_keeps_its_key() {
        let mut net = Net::new();
        let host: Host = "peer.example:18888".parse().unwrap();
        let create = Change::Create {
            stake: amount("1500"),
            host: Some(host.clone()),
        };
        let after = net.apply(&create, &NEW, OTHER).unwrap();
        let peer = after.peer.unwrap();
        assert_eq!(
            (peer.own, peer.record.controller),
            (Some(1_500_000_000_000), Some(OTHER))
        );
        assert_eq!(peer.host.as_deref(), Some("peer.example:18888"));
        assert_eq!((peer.silent, peer.activity), (None, 0.001));

        // What else the peer says stays; an account with the key of the peer needs no detour.
        net.execute(
            "(do (set-key 0x0303030303030303030303030303030303030303030303030303030303030303) \
             (set-peer-data *key* {:url \"x\" :name 7}))",
            OTHER,
        );
        net.apply(&Change::Host(host), &NEW, OTHER).unwrap();
        let metadata = net.state.peer(&NEW).unwrap().unwrap().metadata.unwrap();
        assert_eq!(metadata.count(), 2);
        let name = Cell::from(cells::Keyword::literal("name"));
        assert_eq!(metadata.get(&name), Ok(Some(Cell::Long(7))));
        assert_eq!(
            net.apply(&create, &NEW, OTHER).unwrap_err().exit,
            Exit::Negative,
            "twice"
        );
    }

    #[test]
    fn what_is_checked_beforehand_is_what_the_network_refuses() {
        let mut net = Net::new();
        let all = Change::Stake(amount("700,000"));
        let exits = [
            (
                Change::Stake(amount("2000")),
                &KEY,
                OTHER,
                Exit::NoPermission,
                ":STATE",
            ),
            (
                Change::Stake(amount("2000")),
                &NEW,
                OTHER,
                Exit::Negative,
                ":STATE",
            ),
            (all, &KEY, CONTROLLER, Exit::Negative, ":FUNDS"),
            (
                Change::Delegate(amount("700,000")),
                &KEY,
                OTHER,
                Exit::Negative,
                ":FUNDS",
            ),
            (
                Change::Delegate(amount("1")),
                &NEW,
                OTHER,
                Exit::Negative,
                ":STATE",
            ),
            (Change::Evict, &KEY, OTHER, Exit::NoPermission, ":STATE"),
            (
                Change::Host("h:1".parse().unwrap()),
                &KEY,
                OTHER,
                Exit::NoPermission,
                ":STATE",
            ),
            (
                Change::Create {
                    stake: amount("2000"),
                    host: None,
                },
                &KEY,
                OTHER,
                Exit::Negative,
                ":STATE",
            ),
            (
                Change::Create {
                    stake: amount("700,000"),
                    host: None,
                },
                &NEW,
                OTHER,
                Exit::Negative,
                ":FUNDS",
            ),
        ];
        for (change, key, account, exit, code) in exits {
            let at = net.standing(key, account);
            let failure = change.check(account, &at, false).unwrap_err();
            assert_eq!(failure.exit, exit, "{change:?}: {failure:?}");
            let refused = net.execute(&change.form(key, at.key.as_ref()), account);
            assert_eq!(refused.error.to_string(), code, "{change:?}");
        }
    }

    #[test]
    fn less_than_the_minimum_is_for_those_who_insist_and_nothing_is_for_all() {
        let net = Net::new();
        let at = net.standing(&KEY, CONTROLLER);
        for (text, refused) in [
            ("999.999999999", true),
            ("1000", false),
            ("0", false),
            ("0.000000001", true),
        ] {
            let change = Change::Stake(amount(text));
            assert_eq!(
                change.check(CONTROLLER, &at, false).is_err(),
                refused,
                "{text}"
            );
            assert!(change.check(CONTROLLER, &at, true).is_ok());
        }
    }

    #[test]
    fn delegations_are_set_and_leave_and_a_peer_without_its_last_delegator_is_evicted_by_a_detour()
    {
        let mut net = Net::new();
        let after = net
            .apply(&Change::Delegate(amount("250.5")), &KEY, OTHER)
            .unwrap();
        assert_eq!(after.peer.unwrap().delegated, Some(250_500_000_000));
        net.apply(&Change::Delegate(Amount::ZERO), &KEY, OTHER)
            .unwrap();
        let failure = net.apply(&Change::Evict, &KEY, CONTROLLER).unwrap_err();
        assert!(failure.remedy.unwrap().contains("stake delegate 1 copper"));
        net.apply(&Change::Delegate(amount("1 copper")), &KEY, OTHER)
            .unwrap();
        let balance = net.standing(&KEY, OTHER).balance;
        net.apply(&Change::Evict, &KEY, CONTROLLER).unwrap();
        assert_eq!(net.standing(&KEY, OTHER).balance, balance + 1);
        let last = Change::Evict
            .check(13, &net.standing(&[4; 32], 13), false)
            .unwrap_err();
        assert!(last.cause.contains("only peer"), "{last:?}");
    }

    /// The form names no key of the account: a peer that lies about it can't have it changed.
    #[test]
    fn no_form_holds_what_only_the_state_says() {
        let host: Host = "h:1".parse().unwrap();
        let form = Change::Host(host).form(&KEY, Some(&[9; 32]));
        assert!(
            form.contains("(set-key own)") && !form.contains(&"09".repeat(32)),
            "{form}"
        );
    }

    #[test]
    fn anybody_may_evict_a_peer_below_the_minimum() {
        let mut net = Net::new();
        net.change_peer(&KEY, |peer| {
            peer.stake = MIN_STAKE - 1;
            peer.balance = MIN_STAKE - 1;
        });
        net.apply(&Change::Evict, &KEY, OTHER).unwrap();
    }

    /// `spec/04 §8.6`: a full withdrawal takes earned fees along and leaves a negative number of shares.
    #[test]
    fn a_withdrawal_that_would_break_the_peer_is_refused_and_the_amount_of_the_remedy_works() {
        let mut net = Net::new();
        net.apply(&Change::Delegate(amount("5000")), &KEY, OTHER)
            .unwrap();
        net.change_peer(&KEY, |peer| peer.balance += 7_777_777_777);
        let before = net.standing(&KEY, OTHER);
        let mark = net.state.mark();
        let failure = net
            .apply(&Change::Delegate(Amount::ZERO), &KEY, OTHER)
            .unwrap_err();
        let remedy = failure.remedy.unwrap();
        net.state.rollback(mark);
        let peer = before.peer.unwrap();
        let left = peer.by_account.unwrap() - peer.record.delegated_stake;
        assert!(left > 0 && remedy.contains(&coins(left)), "{remedy}");
        let after = net
            .apply(
                &Change::Delegate(Amount::of_coppers(left).unwrap()),
                &KEY,
                OTHER,
            )
            .unwrap();
        assert!(after.peer.unwrap().counts());
    }

    #[test]
    fn a_withdrawal_takes_out_its_amount_whatever_is_earned_in_between() {
        let mut net = Net::new();
        let part = Change::Withdraw(amount("250.25"));
        let before = net.standing(&KEY, CONTROLLER);
        part.check(CONTROLLER, &before, false).unwrap();
        net.change_peer(&KEY, |peer| peer.balance += 1_234_567);
        let result = net.execute(&part.form(&KEY, before.key.as_ref()), CONTROLLER);
        let after = net.standing(&KEY, CONTROLLER);
        let fees = result.info.unwrap().fees;
        assert_eq!(after.balance, before.balance + 250_250_000_000 - fees);
        assert!(part.is_done(CONTROLLER, &before, &after, &result.value));
        assert!(!part.is_done(CONTROLLER, &before, &before, &result.value));
        assert!(!part.is_done(CONTROLLER, &before, &after, &Cell::Nil));

        let own = after.peer.as_ref().and_then(|peer| peer.own).unwrap();
        for (rest, refused) in [(-1, true), (0, false), (1, true), (MIN_STAKE, false)] {
            let part = Change::Withdraw(Amount::of_coppers(own - rest).unwrap());
            assert_eq!(
                part.check(CONTROLLER, &after, false).is_err(),
                refused,
                "{rest}"
            );
        }
    }

    #[test]
    fn hosts_are_told_from_other_texts() {
        for good in ["peer.example:1", "127.0.0.1:18888", "[::1]:65535", "a-b:80"] {
            assert!(good.parse::<Host>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "host",
            "host:",
            ":1",
            "host:0",
            "host:65536",
            "host:+1",
            "ho st:1",
            "h\"x:1",
            "::1:80",
            "[::g]:1",
            "h/x:1",
            "h\u{e9}:1",
        ] {
            assert!(bad.parse::<Host>().is_err(), "{bad}");
        }
    }
}

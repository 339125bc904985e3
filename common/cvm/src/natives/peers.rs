//! Core functions for peers and their stake (`spec/04 §8`).

use cells::Cell;

use super::{Arity, Kind, Native};
use crate::context::Context;
use crate::exit::{Code, Exit, Outcome};
use crate::juice;
use crate::state::{MAX_COINS, NegativeStake, PeerStatus};

/// Stake in coppers from which on only the controller may evict a peer.
const SAFE_STAKE: i64 = 1_000_000_000_000;
/// Juice for each delegator of an evicted peer; the limit grows by as much.
const REFUND: u64 = 200;

pub(super) const NATIVES: &[Native] = &[
    Native {
        code: 64,
        symbol: "set-stake",
        kind: Kind::Function,
        arity: Arity::exactly(2),
        params: &["peer stake"],
        doc: "Sets the stake that the current account delegates to a peer, in coppers. What is missing comes from the \
              balance, what is too much goes back to it.",
        returns: "coppers taken from the balance, negative when some came back; the second argument when nothing moved",
        errors: &[
            (Code::Cast, "peer is no Blob, or stake no Long"),
            (
                Code::Argument,
                "the key has not 32 bytes, or the stake is negative or above the supply",
            ),
            (Code::State, "there is no such peer"),
            (Code::Funds, "the balance does not suffice"),
        ],
        juice: "A:200",
        examples: &[
            ("(set-stake 0x12 1)", "!:ARGUMENT"),
            ("(set-stake :foo 1)", "!:CAST"),
            (
                "(set-stake 0x1234567812345678123456781234567812345678123456781234567812345678 1)",
                "!:STATE",
            ),
            (
                "(do (create-peer *key* 1000) (set-stake *key* 1000000000000000000))",
                "!:FUNDS",
            ),
        ],
        run: set_stake,
    },
    Native {
        code: 65,
        symbol: "create-peer",
        kind: Kind::Function,
        arity: Arity::exactly(2),
        params: &["key stake"],
        doc: "Registers a peer under an account key, with an initial stake in coppers from the balance of the current \
              account, which becomes its controller.",
        returns: "the last value, as a rule the stake",
        errors: &[
            (Code::Cast, "key is no Blob of 32 bytes, or stake no Long"),
            (Code::State, "a peer has this key already"),
            (
                Code::Argument,
                "the stake is zero, negative or above the supply",
            ),
            (Code::Funds, "the balance does not suffice"),
        ],
        juice: "A:1000",
        examples: &[
            (
                "(create-peer 0x1234567812345678123456781234567812345678123456781234567812345678 1000)",
                "1000",
            ),
            (
                "(create-peer 0x1234567812345678123456781234567812345678123456781234567812345678 0)",
                "!:ARGUMENT",
            ),
            ("(create-peer 0x12 1000)", "!:CAST"),
            (
                "(do (create-peer *key* 1000) (create-peer *key* 1000))",
                "!:STATE",
            ),
            ("(create-peer *key* 1000000000000000000)", "!:FUNDS"),
        ],
        run: create_peer,
    },
    Native {
        code: 66,
        symbol: "set-peer-data",
        kind: Kind::Function,
        arity: Arity::exactly(2),
        params: &["key data"],
        doc: "Sets what the peer says about itself, such as `:url`, the address of its server. The peer is the one \
              registered under the key of the current account, whatever the first argument.",
        returns: "the last value, as a rule the data",
        errors: &[
            (
                Code::Cast,
                "key is no Blob of 32 bytes, or data neither Map nor nil",
            ),
            (
                Code::State,
                "the account has no key, no peer has this key, or another account controls it",
            ),
        ],
        juice: "F:1000",
        examples: &[
            (
                "(do (create-peer *key* 1000) (set-peer-data *key* {:url \"peer.example:18888\"}))",
                "{:url \"peer.example:18888\"}",
            ),
            ("(set-peer-data *key* {})", "!:STATE"),
            ("(set-peer-data *key* [])", "!:CAST"),
        ],
        run: set_peer_data,
    },
    Native {
        code: 67,
        symbol: "set-peer-stake",
        kind: Kind::Function,
        arity: Arity::exactly(2),
        params: &["key stake"],
        doc: "Sets the own stake of a peer that the current account controls, in coppers. What is missing comes from \
              the balance, what is too much goes back to it.",
        returns: "coppers taken from the balance, negative when some came back; the second argument when nothing moved",
        errors: &[
            (Code::Cast, "key is no Blob of 32 bytes, or stake no Long"),
            (
                Code::State,
                "there is no such peer, or another account controls it",
            ),
            (Code::Argument, "the stake is negative or above the supply"),
            (Code::Funds, "the balance does not suffice"),
        ],
        juice: "F:1000",
        examples: &[
            (
                "(do (create-peer *key* 1000) (set-peer-stake *key* 400))",
                "-600",
            ),
            (
                "(do (create-peer *key* 1000) (set-peer-stake *key* -1))",
                "!:ARGUMENT",
            ),
            (
                "(do (create-peer *key* 1000) (set-peer-stake *key* 1000000000000000000))",
                "!:FUNDS",
            ),
            ("(set-peer-stake *key* 1)", "!:STATE"),
            ("(set-peer-stake 0x12 1)", "!:CAST"),
        ],
        run: set_peer_stake,
    },
    Native {
        code: 68,
        symbol: "evict-peer",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["key"],
        doc: "Removes a peer. Delegators and controller get their stake back. Anybody may do so once the peer's own \
              stake is below 1000 gold, its controller always. The last peer stays.",
        returns: "minus the coppers returned to the controller; the last value when there were none, or no such peer",
        errors: &[
            (Code::Cast, "key is no Blob of 32 bytes"),
            (
                Code::State,
                "the peer's stake is too high, or it is the last peer",
            ),
        ],
        juice: "F:1000 + 200 per delegator (limit raised equally)",
        examples: &[
            (
                "(let [k 0x1234567812345678123456781234567812345678123456781234567812345678] (create-peer *key* 5) \
                 (create-peer k 1000) (evict-peer k))",
                "-1000",
            ),
            ("(do (create-peer *key* 5) (evict-peer *key*))", "!:STATE"),
            ("(evict-peer 0x12)", "!:CAST"),
        ],
        run: evict_peer,
    },
    Native {
        code: 69,
        symbol: "get-stake",
        kind: Kind::Function,
        arity: Arity::exactly(2),
        params: &["key delegator"],
        doc: "What the stake of a delegator at a peer is worth, in coppers, its share of rewards included.",
        returns: "Long, or nil when there is no such peer",
        errors: &[
            (Code::Cast, "key is no Blob, or delegator no Address"),
            (Code::Argument, "the key has not 32 bytes"),
        ],
        juice: "E:15",
        examples: &[
            (
                "(do (create-peer *key* 1000) (set-stake *key* 30) (get-stake *key* *address*))",
                "30",
            ),
            ("(get-stake *key* *address*)", "nil"),
            ("(get-stake 0x12 *address*)", "!:ARGUMENT"),
            ("(get-stake *key* 7)", "!:CAST"),
        ],
        run: get_stake,
    },
    Native {
        code: 70,
        symbol: "get-peer-stake",
        kind: Kind::Function,
        arity: Arity::exactly(1),
        params: &["key"],
        doc: "What the own stake of a peer is worth, in coppers, its share of rewards included.",
        returns: "Long, or nil when there is no such peer",
        errors: &[
            (Code::Cast, "key is no Blob"),
            (Code::Argument, "the key has not 32 bytes"),
        ],
        juice: "E:15",
        examples: &[
            (
                "(do (create-peer *key* 1000) (get-peer-stake *key*))",
                "1000",
            ),
            ("(get-peer-stake *key*)", "nil"),
            ("(get-peer-stake 0x12)", "!:ARGUMENT"),
            ("(get-peer-stake nil)", "!:CAST"),
        ],
        run: get_peer_stake,
    },
];

impl From<NegativeStake> for Exit {
    /// `spec/04 §11`, number 7.
    fn from(fault: NegativeStake) -> Self {
        Self::host_fault(fault.to_string())
    }
}

/// A key as most of these functions take it: anything but 32 bytes is of the wrong type.
fn strict_key(ctx: &Context<'_>, args: &[Cell]) -> Outcome<[u8; 32]> {
    match args.first() {
        Some(Cell::Blob(blob)) => blob
            .as_key()
            .copied()
            .ok_or_else(|| ctx.cast(args, 0, "Blob")),
        _ => Err(ctx.cast(args, 0, "Blob")),
    }
}

/// A key as the others take it: a blob of another length is the right type, but no acceptable argument.
fn lenient_key(ctx: &Context<'_>, args: &[Cell], message: &str) -> Outcome<[u8; 32]> {
    let Some(Cell::Blob(blob)) = args.first() else {
        return Err(ctx.cast(args, 0, "Blob"));
    };
    blob.as_key()
        .copied()
        .ok_or_else(|| ctx.error(Code::Argument, message))
}

fn hex(key: &[u8; 32]) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hex with a checksum in its letters: upper case where the digit at the same place of the hash of the key is 8 or
/// more.
fn checksum_hex(key: &[u8; 32]) -> String {
    let hash = cells::Hash::of(key);
    let digits = hex(key);
    let mark = |(i, c): (usize, char)| {
        if hash.digit(i) >= 8 {
            c.to_ascii_uppercase()
        } else {
            c
        }
    };
    digits.chars().enumerate().map(mark).collect()
}

fn balance(ctx: &Context<'_>, address: u64) -> Outcome<i64> {
    let account = ctx.state.account(address)?;
    account
        .map(|a| a.balance)
        .ok_or_else(|| Exit::host_fault(format!("account #{address} is missing")))
}

/// Takes `delta` coppers out of a balance.
fn take(ctx: &mut Context<'_>, address: u64, delta: i64) -> Outcome<()> {
    ctx.changing_coins(|ctx| {
        let account = ctx.state.account_mut(address)?;
        let account =
            account.ok_or_else(|| Exit::host_fault(format!("account #{address} is missing")))?;
        account.balance = account.balance.wrapping_sub(delta);
        Ok(())
    })
}

fn existing(ctx: &Context<'_>, key: &[u8; 32]) -> Outcome<PeerStatus> {
    ctx.state.peer(key)?.ok_or_else(|| {
        ctx.error(
            Code::State,
            format!("Peer does not exist for account key: 0x{}", hex(key)).as_str(),
        )
    })
}

fn check_amount(ctx: &Context<'_>, stake: i64) -> Outcome<()> {
    if stake < 0 {
        return Err(ctx.error(Code::Argument, "Cannot set a negative stake"));
    }
    if stake > MAX_COINS {
        return Err(ctx.error(Code::Argument, "Target stake out of valid Amount range"));
    }
    Ok(())
}

fn set_stake(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let key = lenient_key(ctx, args, "Peer Key for stake must be 32 bytes")?;
    let stake = ctx.long(args, 1)?;
    let address = ctx.address;
    let outcome = delegate(ctx, &key, address, stake);
    let outcome = outcome.map(|delta| delta.map_or_else(|| ctx.result.clone(), Cell::Long));
    ctx.after(juice::TRANSFER, outcome)
}

/// Sets what `delegator` delegates (`spec/04 §8.4`). Answers the coppers it cost, `None` when nothing changed.
fn delegate(
    ctx: &mut Context<'_>,
    key: &[u8; 32],
    delegator: u64,
    stake: i64,
) -> Outcome<Option<i64>> {
    let mut peer = existing(ctx, key)?;
    check_amount(ctx, stake)?;
    let delta = stake.wrapping_sub(peer.delegated(peer.shares_of(delegator)?)?);
    if delta == 0 {
        return Ok(None);
    }
    let balance = balance(ctx, delegator)?;
    if delta > balance {
        let message =
            format!("Insufficient balance ({balance}) to increase Delegated Stake to {stake}");
        return Err(ctx.error(Code::Funds, message.as_str()));
    }
    peer.set_delegated(delegator, stake, delta)?;
    ctx.state.set_peer(key, &peer)?;
    take(ctx, delegator, delta)?;
    Ok(Some(delta))
}

fn create_peer(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let key = strict_key(ctx, args)?;
    let stake = ctx.long(args, 1)?;
    let outcome = create(ctx, &key, stake);
    let outcome = outcome.map(|()| ctx.result.clone());
    ctx.after(juice::PEER_UPDATE, outcome)
}

/// `spec/04 §8.2`.
fn create(ctx: &mut Context<'_>, key: &[u8; 32], stake: i64) -> Outcome<()> {
    if ctx.state.peer(key)?.is_some() {
        let message = format!(
            "Peer already exists for this account key: {}",
            checksum_hex(key)
        );
        return Err(ctx.error(Code::State, message.as_str()));
    }
    if stake == 0 {
        return Err(ctx.error(Code::Argument, "Cannot create a peer with zero stake"));
    }
    if !(0..=MAX_COINS).contains(&stake) {
        let message = format!("Target stake out of valid Amount range: {stake}");
        return Err(ctx.error(Code::Argument, message.as_str()));
    }
    let address = ctx.address;
    let balance = balance(ctx, address)?;
    if stake > balance {
        let message =
            format!("Insufficient balance ({balance}) to assign an initial stake of {stake}");
        return Err(ctx.error(Code::Funds, message.as_str()));
    }
    ctx.state.set_peer(key, &PeerStatus::new(address, stake))?;
    take(ctx, address, stake)
}

/// `spec/04 §8.7`.
fn set_peer_data(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    strict_key(ctx, args)?;
    let data = match &args[1] {
        Cell::Map(map) => Some(map.clone()),
        Cell::Nil => None,
        _ => return Err(ctx.cast(args, 1, "Map")),
    };
    ctx.charge(juice::PEER_UPDATE)?;
    let Some(key) = ctx.account()?.key().copied() else {
        return Err(ctx.error(
            Code::State,
            "The account signing this transaction must have a public key",
        ));
    };
    let Some(mut peer) = ctx.state.peer(&key)? else {
        let message = format!(
            "Peer does not exist for this account and account key: {}",
            checksum_hex(&key)
        );
        return Err(ctx.error(Code::State, message.as_str()));
    };
    check_controller(ctx, &peer)?;
    let data = data.unwrap_or_else(cells::Map::empty);
    if !(data.is_empty() && peer.metadata.is_none()) {
        peer.metadata = Some(data);
        ctx.state.set_peer(&key, &peer)?;
    }
    Ok(ctx.result.clone())
}

fn check_controller(ctx: &Context<'_>, peer: &PeerStatus) -> Outcome<()> {
    match peer.controller {
        Some(controller) if controller == ctx.address => Ok(()),
        Some(_) => {
            let message = format!(
                "Address #{} is not the controller of this peer account",
                ctx.address
            );
            Err(ctx.error(Code::State, message.as_str()))
        }
        // `spec/04 §11`, number 11.
        None => Err(Exit::host_fault("peer without a controller")),
    }
}

fn set_peer_stake(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let key = strict_key(ctx, args)?;
    let stake = ctx.long(args, 1)?;
    ctx.charge(juice::PEER_UPDATE)?;
    let peer = existing(ctx, &key)?;
    check_amount(ctx, stake)?;
    check_controller(ctx, &peer)?;
    let address = ctx.address;
    let delta = set_own_stake(ctx, &key, peer, address, stake)?;
    Ok(delta.map_or_else(|| ctx.result.clone(), Cell::Long))
}

/// Sets the own stake of a peer at the cost of `payer` (`spec/04 §8.3`). Answers the coppers it cost, `None` when
/// nothing changed.
fn set_own_stake(
    ctx: &mut Context<'_>,
    key: &[u8; 32],
    mut peer: PeerStatus,
    payer: u64,
    stake: i64,
) -> Outcome<Option<i64>> {
    let delta = stake.wrapping_sub(peer.own_stake()?);
    if delta == 0 {
        return Ok(None);
    }
    let balance = balance(ctx, payer)?;
    if delta > balance {
        let message = format!("Insufficient balance ({balance}) to increase Peer Stake to {stake}");
        return Err(ctx.error(Code::Funds, message.as_str()));
    }
    peer.set_stake(stake);
    ctx.state.set_peer(key, &peer)?;
    take(ctx, payer, delta)?;
    Ok(Some(delta))
}

/// `spec/04 §8.5`.
fn evict_peer(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let key = strict_key(ctx, args)?;
    ctx.charge(juice::PEER_UPDATE)?;
    let Some(peer) = ctx.state.peer(&key)? else {
        return Ok(ctx.result.clone());
    };
    let Some(controller) = peer.controller else {
        return Err(Exit::host_fault("peer without a controller"));
    };
    if controller != ctx.address && peer.own_stake()? >= SAFE_STAKE {
        return Err(ctx.error(Code::State, "Peer has too much stake to be evicted"));
    }
    if ctx.state.peers().count() == 1 {
        return Err(ctx.error(Code::State, "Cannot evict last peer"));
    }
    // The last delegator has left: the reference meets a null (`spec/04 §11`, number 6).
    let Some(stakes) = peer.stakes else {
        return Err(Exit::host_fault("evicted peer without an index of stakes"));
    };
    for stake in stakes.iter() {
        let Cell::Address(delegator) = stake?.0 else {
            return Err(Exit::host_fault("delegator is no address"));
        };
        ctx.charge_beyond(REFUND)?;
        delegate(ctx, &key, delegator, 0)?;
    }
    let peer = existing(ctx, &key)?;
    let refund = set_own_stake(ctx, &key, peer, controller, 0)?;
    ctx.state.remove_peer(&key)?;
    Ok(refund.map_or_else(|| ctx.result.clone(), Cell::Long))
}

fn get_stake(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let key = lenient_key(ctx, args, "Peer Key must be 32 bytes")?;
    let delegator = ctx.address(args, 1)?;
    let stake = match ctx.state.peer(&key)? {
        None => Cell::Nil,
        Some(peer) => Cell::Long(peer.delegated(peer.shares_of(delegator)?)?),
    };
    ctx.done(juice::LOOKUP_FUNCTION, stake)
}

fn get_peer_stake(ctx: &mut Context<'_>, args: &mut [Cell]) -> Outcome {
    let key = lenient_key(ctx, args, "Peer Key must be 32 bytes")?;
    let stake = match ctx.state.peer(&key)? {
        None => Cell::Nil,
        Some(peer) => Cell::Long(peer.own_stake()?),
    };
    ctx.done(juice::LOOKUP_FUNCTION, stake)
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    const KEY: &str = "0x1234567812345678123456781234567812345678123456781234567812345678";

    /// `spec/04 §8.2`–`§8.4`: the order of the checks.
    #[test]
    fn the_first_failing_check_decides_the_error() {
        for (source, expected) in [
            ("(set-stake 0x12 :foo)", "!:ARGUMENT"),
            ("(set-stake :foo :foo)", "!:CAST"),
            ("(set-stake K :foo)", "!:CAST"),
            ("(set-stake K -1)", "!:STATE"),
            ("(do (create-peer K 7) (set-stake K -1))", "!:ARGUMENT"),
            (
                "(do (create-peer K 7) (set-stake K 1000000000000000001))",
                "!:ARGUMENT",
            ),
            (
                "(do (create-peer K 7) (set-stake K 1000000000000000000))",
                "!:FUNDS",
            ),
            ("(do (create-peer K 7) (create-peer K 0))", "!:STATE"),
            ("(create-peer K -1)", "!:ARGUMENT"),
            ("(create-peer K 1000000000000000000)", "!:FUNDS"),
            ("(create-peer 0x12 :foo)", "!:CAST"),
            ("(do (create-peer K 7) (set-peer-stake K -1))", "!:ARGUMENT"),
            ("(set-peer-stake K -1)", "!:STATE"),
            ("(set-peer-data K nil)", "!:STATE"),
            ("(get-stake 0x12 11)", "!:ARGUMENT"),
        ] {
            check(&[(source.replace('K', KEY).as_str(), expected)]);
        }
    }

    /// `spec/04 §8.4`: the register is left alone when nothing changes.
    #[test]
    fn an_unchanged_stake_answers_the_last_value() {
        check(&[
            ("(do (create-peer *key* 7) (set-stake *key* 0))", "0"),
            ("(do (create-peer *key* 7) (set-peer-stake *key* 7))", "7"),
        ]);
    }

    /// `spec/04 §11`, number 6.
    #[test]
    fn evicting_a_peer_whose_last_delegator_left_is_a_host_fault() {
        let source = format!(
            "(do (create-peer *key* 7) (create-peer {KEY} 7) (set-stake {KEY} 5) (set-stake {KEY} 0) (evict-peer {KEY}))"
        );
        assert!(
            crate::testing::eval(&source).starts_with("!Abort(HostFault"),
            "{}",
            crate::testing::eval(&source)
        );
    }

    /// `spec/04 §8.5`: everybody gets the stake back.
    #[test]
    fn eviction_returns_all_coins() {
        let source = format!(
            "(let [b *balance*] (create-peer *key* 7) (create-peer {KEY} 7) (set-stake {KEY} 5) (evict-peer {KEY}) \
             (- b *balance*))"
        );
        check(&[(source.as_str(), "7")]);
    }
}

//! Which rule makes a block invalid, and where in the specification it stands.

/// A rule whose breach leaves a block without effect.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// What is required.
    pub(super) requires: &'static str,
    /// Where that is written.
    pub(super) section: &'static str,
}

/// The block checks by the message of their result.
const CHECKS: &[(&str, Rule)] = &[
    (
        "Missing Peer!",
        Rule {
            requires: "the signer of a block is a peer of the state",
            section: "spec/04 §5.1 check 1",
        },
    ),
    (
        "Insufficient Stake!",
        Rule {
            requires: "the peer's own stake is at least 1,000 gold",
            section: "spec/04 §5.1 check 2",
        },
    ),
    (
        "Block out of order",
        Rule {
            requires: "a block is not older than the peer's last one",
            section: "spec/04 §5.1 check 3",
        },
    ),
    (
        "Block too old",
        Rule {
            requires: "a block is at most 15 minutes behind the state's time",
            section: "spec/04 §5.1 check 4",
        },
    ),
    (
        "Illegal Block Size!",
        Rule {
            requires: "a block has at most 1,024 transactions",
            section: "spec/04 §5.1 check 5",
        },
    ),
];

/// Everything else that voids a block.
const FAULT: Rule = Rule {
    requires: "nothing in a block ends in a host fault",
    section: "spec/04 §5.5, §11",
};

/// The rule behind the reason that a block's application gives.
pub(super) fn of(reason: &str) -> &'static Rule {
    CHECKS
        .iter()
        .find(|(message, _)| *message == reason)
        .map_or(&FAULT, |(_, rule)| rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_checks_are_told_from_faults() {
        assert_eq!(of("Block too old").section, "spec/04 §5.1 check 4");
        assert_eq!(of("call transactions can't be executed"), &FAULT);
    }
}

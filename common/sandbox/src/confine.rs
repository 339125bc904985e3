//! Landlock: files, TCP ports, and what belongs to other processes.

use landlock::{
    ABI, Access, AccessFs, AccessNet, LandlockStatus, PathBeneath, RestrictionStatus, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use crate::layer::{Layer, Report, State};
use crate::policy::Policy;

/// The newest interface of which every right was looked at here; an older kernel enforces what it knows.
const KNOWN: ABI = ABI::V6;

/// Puts the rules in force for this thread and all that it starts.
pub(crate) fn apply(policy: &Policy<'_>, report: &mut Report) {
    match restrict(policy) {
        Ok(status) => record(&status, report),
        Err(error) => {
            for layer in [
                Layer::LandlockFiles,
                Layer::LandlockTcp,
                Layer::LandlockScopes,
            ] {
                report.set(layer, State::unavailable(&error));
            }
        }
    }
}

fn restrict(policy: &Policy<'_>) -> Result<RestrictionStatus, RulesetError> {
    let ports = if policy.tcp_connect {
        AccessNet::BindTcp.into()
    } else {
        AccessNet::from_all(KNOWN)
    };
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(ports)?
        .scope(Scope::from_all(KNOWN))?
        .create()?;
    if let Some(directory) = policy.directory {
        let files = AccessFs::ReadFile
            | AccessFs::WriteFile
            | AccessFs::Truncate
            | AccessFs::ReadDir
            | AccessFs::MakeReg
            | AccessFs::RemoveFile;
        rules = rules.add_rule(PathBeneath::new(directory, files))?;
    }
    rules.restrict_self()
}

fn record(status: &RestrictionStatus, report: &mut Report) {
    let version = match status.landlock {
        LandlockStatus::Available { effective_abi, .. }
            if status.ruleset != RulesetStatus::NotEnforced =>
        {
            effective_abi as i32
        }
        LandlockStatus::NotEnabled => return missing(report, "landlock is not enabled at boot"),
        _ => return missing(report, "this kernel has no landlock"),
    };
    let since = |needed: i32, what: &str| {
        if version >= needed {
            State::Enforced
        } else {
            State::unavailable(format!(
                "landlock version {version} does not know {what} (version {needed})"
            ))
        }
    };
    let files = if version >= ABI::V3 as i32 {
        State::Enforced
    } else {
        State::partial(format!(
            "landlock version {version} does not control truncation of files (version 3)"
        ))
    };
    report.set(Layer::LandlockFiles, files);
    report.set(Layer::LandlockTcp, since(ABI::V4 as i32, "TCP ports"));
    report.set(
        Layer::LandlockScopes,
        since(ABI::V6 as i32, "signals and abstract sockets"),
    );
}

fn missing(report: &mut Report, reason: &str) {
    for layer in [
        Layer::LandlockFiles,
        Layer::LandlockTcp,
        Layer::LandlockScopes,
    ] {
        report.set(layer, State::unavailable(reason));
    }
}

//! Turns a role's table into seccomp filters and installs them.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::policy::{Policy, Test, Violation, When};
use crate::requirements::SandboxError;

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: TargetArch = TargetArch::aarch64;

/// The filters of a policy, ready to be installed. A system call passes if all of them let it pass: the kernel takes the
/// strictest answer. A call by another architecture's numbers (32 bit, x32) is a violation.
pub(crate) struct Filters {
    /// One filter for each error number of [`When::Refused`]; it has nothing to say about other calls.
    refusals: Vec<BpfProgram>,
    /// The allow-list. It lets the refused calls pass, so that they are not violations.
    allowed: BpfProgram,
}

impl Filters {
    /// Compiles a policy for the calling process.
    pub(crate) fn compile(policy: &Policy<'_>) -> Result<Self, SandboxError> {
        let error = |reason: String| SandboxError::Filter {
            role: policy.role,
            reason,
        };
        let mut allowed: BTreeMap<i64, Allowed> = BTreeMap::new();
        let mut refused: BTreeMap<i32, BTreeMap<i64, Vec<SeccompRule>>> = BTreeMap::new();
        for call in policy.calls.iter().flat_map(|group| group.calls) {
            match call.when {
                When::Always => {
                    allowed.insert(call.number, Allowed::Always);
                }
                When::Refused(errno) => {
                    allowed.insert(call.number, Allowed::Always);
                    refused
                        .entry(errno)
                        .or_default()
                        .insert(call.number, Vec::new());
                }
                When::AnyOf(alternatives) => {
                    let rules = alternatives
                        .iter()
                        .map(|tests| rule(tests))
                        .collect::<Result<Vec<_>, _>>()
                        .map_err(|reason| error(format!("{}: {reason}", call.name)))?;
                    match allowed
                        .entry(call.number)
                        .or_insert_with(|| Allowed::If(Vec::new()))
                    {
                        Allowed::Always => {}
                        Allowed::If(known) => known.extend(rules),
                    }
                }
            }
        }
        let rules = allowed
            .into_iter()
            .map(|(number, allowed)| (number, allowed.rules()))
            .collect();
        let violation = match policy.violation {
            Violation::Kill => SeccompAction::KillProcess,
            Violation::Errno => SeccompAction::Errno(libc::EPERM as u32),
            Violation::Log => SeccompAction::Log,
        };
        let program = |rules, otherwise, listed| {
            SeccompFilter::new(rules, otherwise, listed, ARCHITECTURE)
                .and_then(BpfProgram::try_from)
                .map_err(|reason| error(reason.to_string()))
        };
        Ok(Self {
            allowed: program(rules, violation, SeccompAction::Allow)?,
            refusals: refused
                .into_iter()
                .map(|(errno, rules)| {
                    program(
                        rules,
                        SeccompAction::Allow,
                        SeccompAction::Errno(errno.unsigned_abs()),
                    )
                })
                .collect::<Result<_, _>>()?,
        })
    }

    /// Installs them for the whole process. The allow-list comes last, since it allows no further filter.
    pub(crate) fn install(&self) -> Result<(), String> {
        self.refusals
            .iter()
            .chain([&self.allowed])
            .try_for_each(|program| seccompiler::apply_filter_all_threads(program))
            .map_err(|error| error.to_string())
    }
}

enum Allowed {
    Always,
    If(Vec<SeccompRule>),
}

impl Allowed {
    /// An empty list of rules means "always".
    fn rules(self) -> Vec<SeccompRule> {
        match self {
            Self::Always => Vec::new(),
            Self::If(rules) => rules,
        }
    }
}

fn rule(tests: &[Test]) -> Result<SeccompRule, seccompiler::BackendError> {
    let conditions = tests
        .iter()
        .map(|&test| condition(test))
        .collect::<Result<_, _>>()?;
    SeccompRule::new(conditions)
}

fn condition(test: Test) -> Result<SeccompCondition, seccompiler::BackendError> {
    use SeccompCmpArgLen::{Dword, Qword};
    use SeccompCmpOp::{Eq, MaskedEq};
    match test {
        Test::Is(argument, value) => SeccompCondition::new(argument, Dword, Eq, value.into()),
        Test::Masked(argument, mask, value) => {
            SeccompCondition::new(argument, Dword, MaskedEq(mask.into()), value.into())
        }
        Test::Null(argument) => SeccompCondition::new(argument, Qword, Eq, 0),
        Test::OwnProcess(argument) => {
            SeccompCondition::new(argument, Dword, Eq, std::process::id().into())
        }
    }
}

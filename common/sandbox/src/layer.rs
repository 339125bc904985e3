//! The layers of a sandbox, and the report of what each of them came to on this system.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::policy::Role;

/// One thing that keeps a compromised worker from doing harm. DESIGN §5 lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Layer {
    /// A uid and gid that no other process has, and no supplementary groups.
    Identity,
    /// Ends together with the supervisor, even when that is killed.
    ParentDeath,
    /// A user namespace: where the supervisor is no root, the others come from it.
    UserNamespace,
    /// Its own table of mounts, all of them read-only.
    MountNamespace,
    /// Sees no process but itself.
    PidNamespace,
    /// No network interface, not even loopback, and none of the system's abstract sockets.
    NetworkNamespace,
    /// No System V objects and message queues of others.
    IpcNamespace,
    /// Host name of its own.
    UtsNamespace,
    /// The root directory is an empty one (`stored`: the store directory).
    Root,
    /// Resource limits of the role.
    Limits,
    /// `no_new_privs`: no program gives it rights back.
    NoNewPrivileges,
    /// All five capability sets are empty.
    Capabilities,
    /// Not dumpable: processes of the same user can't trace it or read its memory.
    NotDumpable,
    /// Core dumps are off.
    CoreDumps,
    /// Landlock for files.
    LandlockFiles,
    /// Landlock for TCP ports.
    LandlockTcp,
    /// Landlock for signals and abstract sockets of others.
    LandlockScopes,
    /// The role's allow-list of system calls.
    Seccomp,
}

impl Layer {
    /// Every layer, in the order in which reports show them.
    pub const ALL: [Self; 18] = [
        Self::Identity,
        Self::ParentDeath,
        Self::UserNamespace,
        Self::MountNamespace,
        Self::PidNamespace,
        Self::NetworkNamespace,
        Self::IpcNamespace,
        Self::UtsNamespace,
        Self::Root,
        Self::Limits,
        Self::NoNewPrivileges,
        Self::Capabilities,
        Self::NotDumpable,
        Self::CoreDumps,
        Self::LandlockFiles,
        Self::LandlockTcp,
        Self::LandlockScopes,
        Self::Seccomp,
    ];

    /// The name in configuration files and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::ParentDeath => "parent-death",
            Self::UserNamespace => "user-namespace",
            Self::MountNamespace => "mount-namespace",
            Self::PidNamespace => "pid-namespace",
            Self::NetworkNamespace => "network-namespace",
            Self::IpcNamespace => "ipc-namespace",
            Self::UtsNamespace => "uts-namespace",
            Self::Root => "root",
            Self::Limits => "limits",
            Self::NoNewPrivileges => "no-new-privileges",
            Self::Capabilities => "capabilities",
            Self::NotDumpable => "not-dumpable",
            Self::CoreDumps => "core-dumps",
            Self::LandlockFiles => "landlock-files",
            Self::LandlockTcp => "landlock-tcp",
            Self::LandlockScopes => "landlock-scopes",
            Self::Seccomp => "seccomp",
        }
    }

    /// What an operator does about this layer where it is missing.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Identity => {
                "start the supervisor as root, or with CAP_SETUID and CAP_SETGID, and with a user for each worker"
            }
            Self::ParentDeath => "let the supervisor start the worker",
            Self::UserNamespace
            | Self::MountNamespace
            | Self::PidNamespace
            | Self::NetworkNamespace
            | Self::IpcNamespace
            | Self::UtsNamespace => {
                "allow unprivileged user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone or \
                 kernel.apparmor_restrict_unprivileged_userns; RestrictNamespaces= of the unit), or start the supervisor as root"
            }
            Self::Root => {
                "give the supervisor CAP_SYS_CHROOT or allow user namespaces, and mount /proc"
            }
            Self::Limits => {
                "raise the hard limits that the supervisor was started with, or lower the configured ones"
            }
            Self::NoNewPrivileges | Self::NotDumpable | Self::CoreDumps => {
                "use a kernel of this century"
            }
            Self::Capabilities => {
                "start the supervisor with CAP_SETPCAP, or as an ordinary user with user namespaces allowed"
            }
            Self::LandlockFiles => {
                "use Linux 6.2 or later with landlock in its list of security modules (boot option lsm=)"
            }
            Self::LandlockTcp => {
                "use Linux 6.7 or later with landlock in its list of security modules (boot option lsm=)"
            }
            Self::LandlockScopes => {
                "use Linux 6.12 or later with landlock in its list of security modules (boot option lsm=)"
            }
            Self::Seccomp => {
                "use a kernel with CONFIG_SECCOMP_FILTER, and a container that lets seccomp(2) through"
            }
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no layer's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no sandbox layer; the layers are: {names}", names = Layer::ALL.map(Layer::name).join(", "))]
pub struct UnknownLayer(pub String);

impl FromStr for Layer {
    type Err = UnknownLayer;

    fn from_str(name: &str) -> Result<Self, UnknownLayer> {
        Self::ALL
            .into_iter()
            .find(|layer| layer.name() == name)
            .ok_or_else(|| UnknownLayer(name.to_owned()))
    }
}

/// What a layer came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// In force as designed.
    Enforced,
    /// In force but for what the text says.
    Partial(String),
    /// Not in force, for this reason.
    Unavailable(String),
    /// Not meant for this role, for this reason.
    Off(String),
}

/// Longest text of a [`State`] in bytes: reports stay small whatever an error message says.
const TEXT_LIMIT: usize = 240;

impl State {
    pub(crate) fn partial(text: impl fmt::Display) -> Self {
        Self::Partial(bounded(text))
    }

    pub(crate) fn unavailable(reason: impl fmt::Display) -> Self {
        Self::Unavailable(bounded(reason))
    }

    pub(crate) fn off(reason: impl fmt::Display) -> Self {
        Self::Off(bounded(reason))
    }

    /// Enforced if the step went well, unavailable with its error otherwise.
    pub(crate) fn from_result<T, E: fmt::Display>(result: Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::Enforced,
            Err(error) => Self::unavailable(error),
        }
    }

    fn kind_and_text(&self) -> (&'static str, &str) {
        match self {
            Self::Enforced => ("enforced", ""),
            Self::Partial(text) => ("partial", text),
            Self::Unavailable(text) => ("unavailable", text),
            Self::Off(text) => ("off", text),
        }
    }
}

fn bounded(text: impl fmt::Display) -> String {
    let mut text = text.to_string();
    let end = (0..=TEXT_LIMIT.min(text.len()))
        .rev()
        .find(|&end| text.is_char_boundary(end));
    text.truncate(end.unwrap_or(0));
    text
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind_and_text() {
            (kind, "") => f.write_str(kind),
            (kind, text) => write!(f, "{kind}: {text}"),
        }
    }
}

/// A layer and what it came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerState {
    /// The layer.
    pub layer: Layer,
    /// What it came to.
    pub state: State,
}

/// What is in force in one worker; every layer once, in the order of [`Layer::ALL`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The worker's role.
    pub role: Role,
    /// The layers.
    pub layers: Vec<LayerState>,
}

impl Report {
    pub(crate) fn new(role: Role) -> Self {
        let unset = || State::unavailable("the supervisor did not start this process");
        let layers = Layer::ALL
            .into_iter()
            .map(|layer| LayerState {
                layer,
                state: unset(),
            })
            .collect();
        Self { role, layers }
    }

    pub(crate) fn set(&mut self, layer: Layer, state: State) {
        if let Some(entry) = self.layers.iter_mut().find(|entry| entry.layer == layer) {
            entry.state = state;
        }
    }

    /// What `layer` came to; none for a layer that this report, perhaps of another version, does not know.
    #[must_use]
    pub fn state(&self, layer: Layer) -> Option<&State> {
        self.layers
            .iter()
            .find(|entry| entry.layer == layer)
            .map(|entry| &entry.state)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, LayerState { layer, state }) in self.layers.iter().enumerate() {
            let end = if index + 1 == self.layers.len() {
                ""
            } else {
                "\n"
            };
            write!(f, "{:<10} {layer:<18} {state}{end}", self.role)?;
        }
        Ok(())
    }
}

/// Environment variable by which a spawned worker learns which layers it was started with.
pub(crate) const PREPARED_VARIABLE: &str = "CONVEXD_SANDBOX_PREPARED";

/// One line for each layer: `name kind text`.
pub(crate) fn encode_prepared(layers: &[LayerState]) -> String {
    let line = |entry: &LayerState| {
        let (kind, text) = entry.state.kind_and_text();
        format!(
            "{} {kind} {}",
            entry.layer,
            text.replace('\n', " ").replace('\0', "")
        )
    };
    layers.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The inverse of [`encode_prepared`]; a line that it did not write is left out, so that its layer counts as missing.
pub(crate) fn decode_prepared(text: &str) -> Vec<LayerState> {
    let entry = |line: &str| {
        let mut parts = line.splitn(3, ' ');
        let layer = parts.next()?.parse().ok()?;
        let (kind, text) = (parts.next()?, parts.next()?);
        let state = match kind {
            "enforced" => State::Enforced,
            "partial" => State::partial(text),
            "unavailable" => State::unavailable(text),
            "off" => State::off(text),
            _ => return None,
        };
        Some(LayerState { layer, state })
    };
    text.lines().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_listed_once_each_and_found_by_name() {
        for (index, layer) in Layer::ALL.into_iter().enumerate() {
            assert_eq!(layer.name().parse(), Ok(layer));
            assert!(!Layer::ALL[..index].contains(&layer));
        }
        assert!(
            "seccomp "
                .parse::<Layer>()
                .unwrap_err()
                .to_string()
                .contains("landlock-tcp")
        );
    }

    #[test]
    fn what_the_supervisor_prepared_reaches_the_worker() {
        let layers = vec![
            LayerState {
                layer: Layer::Identity,
                state: State::Enforced,
            },
            LayerState {
                layer: Layer::PidNamespace,
                state: State::partial("two\nlines"),
            },
            LayerState {
                layer: Layer::UserNamespace,
                state: State::off("not needed: own uid"),
            },
            LayerState {
                layer: Layer::Root,
                state: State::unavailable("Operation not permitted (os error 1)"),
            },
        ];
        let mut expected = layers.clone();
        expected[1].state = State::partial("two lines");
        assert_eq!(decode_prepared(&encode_prepared(&layers)), expected);
        assert_eq!(
            decode_prepared("seccomp\nnothing enforced \nseccomp certain x"),
            []
        );
    }

    #[test]
    fn texts_are_bounded_at_a_character() {
        let State::Partial(text) = State::partial("é".repeat(500)) else {
            panic!("not partial")
        };
        assert_eq!(text, "é".repeat(120));
        let State::Off(text) = State::off(format!("a{}", "é".repeat(500))) else {
            panic!("not off")
        };
        assert_eq!(text.len(), 239);
    }
}

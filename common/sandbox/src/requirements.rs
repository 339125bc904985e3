//! The minimum below which a worker refuses to start.

use std::fmt;
use std::str::FromStr;

use crate::layer::{Layer, Report, State, UnknownLayer};

/// The layers that have to be in force. Written in the configuration as `none`, `default`, `strict` or a list of layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirements {
    layers: Vec<Layer>,
    partial_is_enough: bool,
}

impl Requirements {
    /// No minimum: the report tells what there is.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            layers: Vec::new(),
            partial_is_enough: true,
        }
    }

    /// Every layer as designed. What is off for the role by design is no failure.
    #[must_use]
    pub fn strict() -> Self {
        Self::list(Layer::ALL)
    }

    /// Just these, as designed.
    #[must_use]
    pub fn list(layers: impl IntoIterator<Item = Layer>) -> Self {
        Self {
            layers: layers.into_iter().collect(),
            partial_is_enough: false,
        }
    }
}

impl Default for Requirements {
    /// What every kernel that the peer supports gives to an ordinary user.
    fn default() -> Self {
        use Layer::{Capabilities, CoreDumps, Limits, NoNewPrivileges, NotDumpable, Seccomp};
        let layers = vec![
            Limits,
            NoNewPrivileges,
            Capabilities,
            NotDumpable,
            CoreDumps,
            Seccomp,
        ];
        Self {
            layers,
            partial_is_enough: true,
        }
    }
}

impl FromStr for Requirements {
    type Err = UnknownLayer;

    fn from_str(text: &str) -> Result<Self, UnknownLayer> {
        match text.trim() {
            "none" => Ok(Self::none()),
            "default" => Ok(Self::default()),
            "strict" => Ok(Self::strict()),
            list => Ok(Self::list(
                list.split(',')
                    .map(|name| name.trim().parse())
                    .collect::<Result<Vec<_>, _>>()?,
            )),
        }
    }
}

impl fmt::Display for Requirements {
    /// The text that parses to this.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::none() {
            return f.write_str("none");
        }
        if *self == Self::default() {
            return f.write_str("default");
        }
        if *self == Self::strict() {
            return f.write_str("strict");
        }
        f.write_str(
            &self
                .layers
                .iter()
                .map(|layer| layer.name())
                .collect::<Vec<_>>()
                .join(","),
        )
    }
}

/// Why a worker is not, or not safely enough, in its sandbox.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// Landlock and namespaces bind the calling thread only, so there must be no other yet.
    #[error("the sandbox must be entered before the process starts a second thread")]
    Threads,
    /// The role's list of system calls makes no filter: a mistake in its table.
    #[error("the list of system calls of {role} can't be made into a filter: {reason}")]
    Filter {
        /// Whose list it is.
        role: crate::policy::Role,
        /// The compiler's words.
        reason: String,
    },
    /// A required layer is missing or weaker than demanded.
    #[error("the sandbox is below the configured minimum: {layer} is {state}; {remedy}, or lower the configured minimum", remedy = layer.remedy())]
    Below {
        /// The first layer that is missing.
        layer: Layer,
        /// What it came to.
        state: State,
    },
}

impl SandboxError {
    /// `EX_CONFIG` of `sysexits.h` where the configuration or the system has to change, `EX_SOFTWARE` for mistakes of ours.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Threads | Self::Filter { .. } => 70,
            Self::Below { .. } => 78,
        }
    }
}

impl Report {
    /// Whether this report meets a minimum.
    ///
    /// # Errors
    /// [`SandboxError::Below`] with the first layer that does not.
    pub fn check(&self, requirements: &Requirements) -> Result<(), SandboxError> {
        for &layer in &requirements.layers {
            let state = self
                .state(layer)
                .cloned()
                .unwrap_or_else(|| State::unavailable("not reported"));
            let met = match &state {
                State::Enforced | State::Off(_) => true,
                State::Partial(_) => requirements.partial_is_enough,
                State::Unavailable(_) => false,
            };
            if !met {
                return Err(SandboxError::Below { layer, state });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Role;

    #[test]
    fn requirements_are_written_as_they_are_read() {
        for text in [
            "none",
            "default",
            "strict",
            "seccomp",
            "landlock-files,seccomp",
        ] {
            assert_eq!(text.parse::<Requirements>().unwrap().to_string(), text);
        }
        assert_eq!(
            "seccomp, root".parse::<Requirements>().unwrap(),
            Requirements::list([Layer::Seccomp, Layer::Root])
        );
        assert_eq!(
            "".parse::<Requirements>().unwrap_err(),
            UnknownLayer(String::new())
        );
    }

    #[test]
    fn a_minimum_names_the_layer_that_is_missing_and_what_to_do() {
        let mut report = Report::new(Role::Keyd);
        assert!(report.check(&Requirements::none()).is_ok());
        for layer in Layer::ALL {
            report.set(layer, State::Enforced);
        }
        report.set(Layer::UserNamespace, State::off("own uid"));
        assert!(report.check(&Requirements::strict()).is_ok());

        report.set(Layer::Capabilities, State::partial("bounding set kept"));
        assert!(report.check(&Requirements::default()).is_ok());
        assert!(report.check(&Requirements::strict()).is_err());

        report.set(
            Layer::Seccomp,
            State::unavailable("Function not implemented"),
        );
        let error = report.check(&Requirements::default()).unwrap_err();
        assert_eq!(error.exit_code(), 78);
        let text = error.to_string();
        assert!(
            text.contains("seccomp is unavailable: Function not implemented"),
            "{text}"
        );
        assert!(text.contains("CONFIG_SECCOMP_FILTER"), "{text}");
    }
}

//! Settings of a peer.
//!
//! Every key is declared once, in [`settings`]: its type, its default and its documentation. The reference (`docs/config.md`), the
//! list that `config show` prints and the structure that programs read come from there.
//!
//! A value comes from the default, the file, the environment or the command line; the later ones win. An unknown key or a bad value is an
//! error that names the line and the remedy.
//!
//! ```
//! use config::Config;
//!
//! let file = config::File::parse("peer.toml", "[network]\nlisten = [\"[::1]:0\"]\n")?;
//! let loaded = Config::load(Some(&file), [], ["store.reserve=2 GiB"])?;
//! assert_eq!(loaded.config.store.reserve.0, 2 << 30);
//! assert_eq!(loaded.source("network.listen").to_string(), "peer.toml, line 2");
//!
//! let file = config::File::parse("peer.toml", "[network]\nlissen = []\n")?;
//! let error = Config::load(Some(&file), [], []).unwrap_err();
//! assert_eq!(error.to_string(), "peer.toml, line 2: there is no setting network.lissen; did you mean network.listen?");
//! # Ok::<(), config::ConfigError>(())
//! ```
#![forbid(unsafe_code)]

mod declare;
mod load;
mod reference;
mod settings;
mod value;

pub use declare::Entry;
pub use load::{ConfigError, File, Loaded, Source};
pub use reference::{reference, template};
pub use settings::*;
pub use value::{
    Key, Level, LogFormat, Minimum, NameServer, Network, Period, Setting, Size, WhenCutOff, Window,
};

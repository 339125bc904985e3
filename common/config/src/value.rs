//! Types of values.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use toml_edit::Value;

/// A type that settings have.
pub trait Setting: Sized {
    /// What values look like, for people.
    const KIND: &'static str;

    /// Reads a value.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    fn read(value: &Value) -> Result<Self, String>;
}

/// A size in bytes, written with a unit: `64 MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

/// A length of time in milliseconds, written with a unit: `10 s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period(pub u64);

/// 32 bytes in hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(pub [u8; 32]);

/// A network, such as `10.0.0.0/8`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network(pub String);

/// A name server: an address, with a port unless it is 53.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameServer(pub SocketAddr);

/// The least sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minimum(pub String);

/// A log level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level(pub &'static str);

/// Where the log goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// To the journal under systemd, else as text.
    Auto,
    /// To the journal.
    Journal,
    /// As text to standard error.
    Text,
}

/// For how long a sign of life of another peer counts, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window(pub u64);

/// What becomes of queries while the peer is cut off from the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenCutOff {
    /// They are answered by an error.
    Refuse,
    /// They are answered from the last state.
    Stale,
}

fn text<'a>(value: &'a Value, example: &str) -> Result<&'a str, String> {
    value
        .as_str()
        .ok_or_else(|| format!("expected a text such as {example:?}"))
}

/// A number and its unit.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim();
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

impl Setting for Size {
    const KIND: &'static str = "size: a number and `B`, `KiB`, `MiB`, `GiB` or `TiB`";

    fn read(value: &Value) -> Result<Self, String> {
        const UNITS: &[(&str, u64)] = &[
            ("B", 1),
            ("KiB", 1 << 10),
            ("MiB", 1 << 20),
            ("GiB", 1 << 30),
            ("TiB", 1 << 40),
        ];
        with_unit(text(value, "64 MiB")?, UNITS)
            .map(Size)
            .ok_or_else(|| {
                "expected a number and a unit (B, KiB, MiB, GiB or TiB), such as \"64 MiB\""
                    .to_owned()
            })
    }
}

impl Setting for Period {
    const KIND: &'static str = "time: a number and `ms`, `s`, `min`, `h` or `d`";

    fn read(value: &Value) -> Result<Self, String> {
        const UNITS: &[(&str, u64)] = &[
            ("ms", 1),
            ("s", 1000),
            ("min", 60_000),
            ("h", 3_600_000),
            ("d", 86_400_000),
        ];
        with_unit(text(value, "10 s")?, UNITS)
            .map(Period)
            .ok_or_else(|| {
                "expected a number and a unit (ms, s, min, h or d), such as \"10 s\"".to_owned()
            })
    }
}

impl Setting for Window {
    const KIND: &'static str = "time from `1 s` to `10 min`";

    fn read(value: &Value) -> Result<Self, String> {
        // Below, a peer that computes counts as gone; beyond, clients wait for nothing.
        let Period(time) = Period::read(value)?;
        if (1_000..=600_000).contains(&time) {
            Ok(Self(time))
        } else {
            Err("expected from \"1 s\" to \"10 min\"".to_owned())
        }
    }
}

impl Setting for WhenCutOff {
    const KIND: &'static str = "`refuse` or `stale`";

    fn read(value: &Value) -> Result<Self, String> {
        match text(value, "refuse")? {
            "refuse" => Ok(Self::Refuse),
            "stale" => Ok(Self::Stale),
            _ => Err(format!("expected {}", Self::KIND.replace('`', "\""))),
        }
    }
}

impl Setting for Key {
    const KIND: &'static str = "64 hexadecimal digits";

    fn read(value: &Value) -> Result<Self, String> {
        let text = text(value, "64 hexadecimal digits")?;
        let mut bytes = [0; 32];
        let digits = text.strip_prefix("0x").unwrap_or(text);
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| {
            format!(
                "expected 64 hexadecimal digits, not {} characters",
                text.len()
            )
        })?;
        Ok(Key(bytes))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Setting for Network {
    const KIND: &'static str = "network: an address and the length of its prefix";

    fn read(value: &Value) -> Result<Self, String> {
        let text = text(value, "10.0.0.0/8")?;
        let wrong =
            || format!("{text:?} is no network such as \"10.0.0.0/8\" or \"2001:db8::/32\"");
        let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let prefix: u8 = prefix.parse().map_err(|_| wrong())?;
        if prefix > if address.is_ipv4() { 32 } else { 128 } {
            return Err(wrong());
        }
        Ok(Network(text.to_owned()))
    }
}

impl Setting for NameServer {
    const KIND: &'static str = "address, with a port unless it is 53";

    fn read(value: &Value) -> Result<Self, String> {
        let text = text(value, "192.0.2.53")?;
        let with_port = |address: IpAddr| SocketAddr::new(address, 53);
        let address = text.parse().map(with_port).or_else(|_| text.parse());
        address.map(NameServer).map_err(|_| {
            format!(
                "{text:?} is no address of a name server, such as \"192.0.2.53\" or \"[2001:db8::53]:5353\""
            )
        })
    }
}

impl Setting for Minimum {
    const KIND: &'static str = "`none`, `default`, `strict` or a list of layers";

    fn read(value: &Value) -> Result<Self, String> {
        let text = text(value, "default")?;
        text.parse::<sandbox::Requirements>()
            .map_err(|error| error.to_string())?;
        Ok(Minimum(text.to_owned()))
    }
}

impl Setting for Level {
    const KIND: &'static str = "`error`, `warn`, `info`, `debug` or `trace`";

    fn read(value: &Value) -> Result<Self, String> {
        let text = text(value, "info")?;
        ["error", "warn", "info", "debug", "trace"]
            .into_iter()
            .find(|level| *level == text)
            .map(Level)
            .ok_or_else(|| format!("expected {}", Self::KIND.replace('`', "\"")))
    }
}

impl Setting for LogFormat {
    const KIND: &'static str = "`auto`, `journal` or `text`";

    fn read(value: &Value) -> Result<Self, String> {
        match text(value, "auto")? {
            "auto" => Ok(Self::Auto),
            "journal" => Ok(Self::Journal),
            "text" => Ok(Self::Text),
            _ => Err(format!("expected {}", Self::KIND.replace('`', "\""))),
        }
    }
}

impl Setting for String {
    const KIND: &'static str = "text";

    fn read(value: &Value) -> Result<Self, String> {
        let text = value.as_str().ok_or("expected a text in quotes")?;
        if text.is_empty() {
            return Err("must not be empty".to_owned());
        }
        Ok(text.to_owned())
    }
}

impl Setting for PathBuf {
    const KIND: &'static str = "path";

    fn read(value: &Value) -> Result<Self, String> {
        String::read(value).map(PathBuf::from)
    }
}

impl Setting for SocketAddr {
    const KIND: &'static str = "address and port";

    fn read(value: &Value) -> Result<Self, String> {
        let text = text(value, "[::]:18888")?;
        text.parse().map_err(|_| {
            format!(
                "{text:?} is no address with a port, such as \"[::]:18888\" or \"127.0.0.1:18888\""
            )
        })
    }
}

macro_rules! number {
    ($type:ty) => {
        impl Setting for $type {
            const KIND: &'static str = "number";

            fn read(value: &Value) -> Result<Self, String> {
                value
                    .as_integer()
                    .and_then(|number| number.try_into().ok())
                    .ok_or_else(|| format!("expected a whole number from 0 to {}", <$type>::MAX))
            }
        }
    };
}

number!(u16);
number!(u32);

impl<T: Setting> Setting for Option<T> {
    const KIND: &'static str = T::KIND;

    fn read(value: &Value) -> Result<Self, String> {
        // The absence of a value is an empty text: TOML has none.
        if value.as_str() == Some("") {
            return Ok(None);
        }
        T::read(value).map(Some)
    }
}

impl Setting for Vec<SocketAddr> {
    const KIND: &'static str = "list of addresses with ports";

    fn read(value: &Value) -> Result<Self, String> {
        list(value)
    }
}

impl Setting for Vec<NameServer> {
    const KIND: &'static str = "list of addresses, with ports where they are not 53";

    fn read(value: &Value) -> Result<Self, String> {
        list(value)
    }
}

impl Setting for Vec<Network> {
    const KIND: &'static str = "list of networks";

    fn read(value: &Value) -> Result<Self, String> {
        list(value)
    }
}

impl Setting for Vec<String> {
    const KIND: &'static str = "list of texts";

    fn read(value: &Value) -> Result<Self, String> {
        list(value)
    }
}

fn list<T: Setting>(value: &Value) -> Result<Vec<T>, String> {
    let array = value.as_array().ok_or("expected a list in brackets: [ ]")?;
    array.iter().map(T::read).collect()
}

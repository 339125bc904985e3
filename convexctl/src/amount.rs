//! Amounts of coins as people write them: exact decimals with a unit. Nothing here is a floating-point number.

use std::fmt;
use std::str::FromStr;

use cvm::state::MAX_COINS;

/// The units of `spec/04 §1.1` with the number of decimals that a coin of them has. A coin without a name is one of gold.
const UNITS: [(&str, u32); 10] = [
    ("coin", 9),
    ("coins", 9),
    ("cvm", 9),
    ("gold", 9),
    ("silver", 6),
    ("bronze", 3),
    ("copper", 0),
    ("coppers", 0),
    ("diamond", 12),
    ("emerald", 15),
];
/// Longest text that is looked at, bytes.
const MAX_TEXT: usize = 64;
/// Coppers of a coin.
const COIN: u64 = 1_000_000_000;

/// An amount of coins, in coppers: from nothing to all that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i64);

/// Why a text is no amount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadAmount {
    /// There is no number where one should be.
    NoNumber,
    /// The number is none: what is wrong with it.
    Number(&'static str),
    /// There is no such unit.
    Unit(String),
    /// More decimals than the unit has.
    TooFine {
        /// The unit.
        unit: &'static str,
        /// Its decimals.
        decimals: u32,
    },
    /// More than all coins.
    TooMuch,
}

impl fmt::Display for BadAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNumber => f.write_str(
                "an amount is a number, and a unit if it is not coins: 1,000.5 or 20 silver",
            ),
            Self::Number(why) => write!(f, "no amount: {why}"),
            Self::Unit(unit) => write!(
                f,
                "there is no unit {unit:?}: it is coins (also gold or CVM), silver, bronze, copper, diamond or emerald"
            ),
            Self::TooFine { unit, decimals: 0 } => write!(f, "{unit} has no parts"),
            Self::TooFine { unit, decimals } => {
                write!(
                    f,
                    "{unit} has {decimals} decimals at most: there is nothing smaller than a copper"
                )
            }
            Self::TooMuch => write!(
                f,
                "more than all coins that there are, {}",
                Amount(MAX_COINS)
            ),
        }
    }
}

impl std::error::Error for BadAmount {}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// That many coppers, if there can be so many.
    #[must_use]
    pub fn of_coppers(coppers: i64) -> Option<Self> {
        (0..=MAX_COINS).contains(&coppers).then_some(Self(coppers))
    }

    /// In coppers.
    #[must_use]
    pub const fn coppers(self) -> i64 {
        self.0
    }
}

impl FromStr for Amount {
    type Err = BadAmount;

    /// `1000`, `1,000.5`, `1_000 gold`, `20 silver`, `7copper`.
    fn from_str(text: &str) -> Result<Self, BadAmount> {
        let text = text.trim_ascii();
        if text.len() > MAX_TEXT {
            return Err(BadAmount::Number("it is too long"));
        }
        let end = text
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ',' | '_')))
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        if number.is_empty() {
            return Err(if text.starts_with('-') {
                BadAmount::Number("it is negative")
            } else {
                BadAmount::NoNumber
            });
        }
        let (unit, decimals) = unit_of(unit.trim_ascii())?;
        let (whole, part) = match number.split_once('.') {
            None => (number, ""),
            Some((_, "")) | Some(("", _)) => {
                return Err(BadAmount::Number(
                    "there are digits on both sides of a point",
                ));
            }
            Some((_, part)) if !part.bytes().all(|b| b.is_ascii_digit()) => {
                return Err(BadAmount::Number("after the point there are digits only"));
            }
            Some(split) => split,
        };
        let part = part.trim_end_matches('0');
        if part.len() > decimals as usize {
            return Err(BadAmount::TooFine { unit, decimals });
        }
        let mut coppers: i64 = 0;
        let missing = decimals as usize - part.len();
        let digits = ungrouped(whole)?
            .chain(part.bytes())
            .chain(std::iter::repeat_n(b'0', missing));
        for digit in digits {
            coppers = coppers
                .checked_mul(10)
                .and_then(|coppers| coppers.checked_add(i64::from(digit - b'0')))
                .ok_or(BadAmount::TooMuch)?;
        }
        Self::of_coppers(coppers).ok_or(BadAmount::TooMuch)
    }
}

/// A unit by its name, in any case of letters.
fn unit_of(name: &str) -> Result<(&'static str, u32), BadAmount> {
    if name.is_empty() {
        return Ok(UNITS[0]);
    }
    let found = UNITS
        .iter()
        .find(|(unit, _)| unit.eq_ignore_ascii_case(name));
    found
        .copied()
        .ok_or_else(|| BadAmount::Unit(name.to_owned()))
}

/// The digits of a whole number, whose groups of three may be set apart by commas or underscores.
fn ungrouped(text: &str) -> Result<impl Iterator<Item = u8>, BadAmount> {
    let comma = text.contains(',');
    if comma && text.contains('_') {
        return Err(BadAmount::Number("commas and underscores are mixed"));
    }
    let mut groups = text.split([',', '_']);
    let first = groups.next().unwrap_or_default();
    let grouped = first.len() < text.len();
    let long = grouped && first.len() > 3;
    if first.is_empty() || long || groups.any(|group| group.len() != 3) {
        return Err(BadAmount::Number(if comma {
            "commas set groups of three digits apart; decimals follow a point"
        } else {
            "underscores set groups of three digits apart"
        }));
    }
    Ok(text.bytes().filter(u8::is_ascii_digit))
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&coins(self.0))
    }
}

/// Coppers as people read them: in coins of 10^9, thousands set apart. Also what no [`Amount`] can be, such as a loss.
pub(crate) fn coins(coppers: i64) -> String {
    let sign = if coppers < 0 { "-" } else { "" };
    let (whole, part) = (coppers.unsigned_abs() / COIN, coppers.unsigned_abs() % COIN);
    let digits = whole.to_string();
    let mut text = sign.to_owned();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if part > 0 {
        text.push('.');
        text += format!("{part:09}").trim_end_matches('0');
    }
    text + if coppers.unsigned_abs() == COIN {
        " coin"
    } else {
        " coins"
    }
}

/// A change of coppers, with its sign.
pub(crate) fn change(coppers: i64) -> String {
    match coppers {
        0 => "nothing".to_owned(),
        1.. => format!("+{}", coins(coppers)),
        _ => coins(coppers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<i64, BadAmount> {
        text.parse::<Amount>().map(Amount::coppers)
    }

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (text, coppers) in [
            ("0", 0),
            ("1000", 1_000_000_000_000),
            ("1,000.5 CVM", 1_000_500_000_000),
            ("1_000.50 gold", 1_000_500_000_000),
            ("  7 coppers ", 7),
            ("7copper", 7),
            ("1 coin", 1_000_000_000),
            ("20 silver", 20_000_000),
            ("0.000001 silver", 1),
            ("3.25 bronze", 3_250),
            ("1.5 Diamond", 1_500_000_000_000),
            ("1000 emerald", 1_000_000_000_000_000_000),
            ("0.000000001", 1),
            ("0.1000000000000000", 100_000_000),
            ("7.000 copper", 7),
            ("1,000,000,000", 1_000_000_000_000_000_000),
            ("007", 7_000_000_000),
        ] {
            assert_eq!(read(text), Ok(coppers), "{text:?}");
        }
    }

    #[test]
    fn what_could_be_meant_in_two_ways_or_is_too_fine_or_too_much_is_refused() {
        for text in [
            "",
            " ",
            "coins",
            "-1",
            "+1",
            "1e3",
            "0x10",
            ".5",
            "5.",
            "1.2.3",
            "1,5",
            "1,00",
            "12,34,567",
            "1000,000",
            ",100",
            "100,",
            "1,000_000",
            "1.000,5",
            "1__000",
            "1 000",
            "1 CVMs",
            "1 gold silver",
            "١",
            "1\u{a0}gold",
            "0.0000000001",
            "1.5 copper",
            "0.0000001 silver",
            "1,000,000,000.000000001",
            "1001 emerald",
            "99999999999999999999999999",
            "18446744073709551617 copper",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
        assert_eq!(
            read("1.5 copper"),
            Err(BadAmount::TooFine {
                unit: "copper",
                decimals: 0
            })
        );
        assert_eq!(
            read(&"1".repeat(65)),
            Err(BadAmount::Number("it is too long"))
        );
        assert!(
            read("1,5")
                .unwrap_err()
                .to_string()
                .contains("decimals follow a point")
        );
        assert_eq!(
            BadAmount::TooMuch.to_string(),
            "more than all coins that there are, 1,000,000,000 coins"
        );
    }

    #[test]
    fn amounts_are_written_for_people() {
        assert_eq!(coins(0), "0 coins");
        assert_eq!(coins(1), "0.000000001 coins");
        assert_eq!(coins(1_000_000_000), "1 coin");
        assert_eq!(coins(1_500_000_000), "1.5 coins");
        assert_eq!(coins(-2_000_000_000_000), "-2,000 coins");
        assert_eq!(coins(i64::MIN), "-9,223,372,036.854775808 coins");
        assert_eq!(change(12), "+0.000000012 coins");
        assert_eq!(change(-1_000_000_000), "-1 coin");
        assert_eq!(change(0), "nothing");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_to_the_copper(coppers in 0..=MAX_COINS) {
            let amount = Amount::of_coppers(coppers).unwrap();
            prop_assert_eq!(amount.to_string().parse(), Ok(amount));
            prop_assert_eq!(read(&format!("{coppers} copper")), Ok(coppers));
        }

        /// Against whole numbers alone: an amount is its digits, and as many zeros as its unit still lacks.
        #[test]
        fn a_decimal_of_any_unit_is_worth_what_its_digits_say(
            whole in 0..=2_000_000_000u64,
            part in "[0-9]{0,15}",
            unit in 0..UNITS.len(),
            grouped in any::<bool>(),
        ) {
            let (name, decimals) = UNITS[unit];
            let mut text = whole.to_string();
            if grouped {
                let digits = text.clone();
                text = String::new();
                for (i, digit) in digits.chars().enumerate() {
                    if i > 0 && (digits.len() - i) % 3 == 0 {
                        text.push('_');
                    }
                    text.push(digit);
                }
            }
            if !part.is_empty() {
                text = format!("{text}.{part}");
            }
            let significant = part.trim_end_matches('0');
            let expected = (significant.len() <= decimals as usize).then(|| {
                let scale = 10u128.pow(decimals);
                let fraction: u128 = format!("0{significant}").parse().unwrap();
                u128::from(whole) * scale + fraction * 10u128.pow(decimals - significant.len() as u32)
            });
            let expected = expected.filter(|coppers| *coppers <= MAX_COINS as u128).map(|coppers| coppers as i64);
            prop_assert_eq!(read(&format!("{text} {name}")).ok(), expected);
        }

        #[test]
        fn any_text_is_answered_and_what_is_accepted_is_an_amount(text in ".{0,70}|[0-9.,_]{0,30} ?[a-z]{0,8}") {
            if let Ok(coppers) = read(&text) {
                prop_assert!((0..=MAX_COINS).contains(&coppers));
            }
        }
    }
}

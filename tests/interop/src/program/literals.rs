//! Literals of every kind, with a liking for the borders of their encodings.

use super::{Generator, Kind};
use crate::form::Form;

/// Integers at the borders of encodings and of types.
const INTEGERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "3",
    "7",
    "10",
    "63",
    "64",
    "100",
    "127",
    "128",
    "-128",
    "-129",
    "255",
    "256",
    "1000",
    "4095",
    "4096",
    "4097",
    "32767",
    "32768",
    "1000000",
    "2147483647",
    "-2147483648",
    "9007199254740993",
    "4611686018427387904",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "-18446744073709551616",
    "340282366920938463463374607431768211456",
    "12345678901234567890123456789012345678901234567890",
    "-12345678901234567890123456789012345678901234567890",
];

const DOUBLES: &[&str] = &[
    "0.0",
    "-0.0",
    "1.0",
    "-1.0",
    "0.5",
    "1.5",
    "2.5",
    "-2.5",
    "3.7",
    "0.1",
    "1e10",
    "1e100",
    "1e308",
    "1.7976931348623157E308",
    "4.9E-324",
    "2.2250738585072014E-308",
    "1e-7",
    "0.001",
    "12345678.9",
    "9007199254740993.0",
    "9.223372036854775807e18",
    "1.8446744073709552e19",
    "##NaN",
    "##Inf",
    "##-Inf",
    "0.30000000000000004",
    "2.0e0",
    "1e21",
    "123456789012345680.0",
];

const TEXTS: &[&str] = &[
    "\"\"",
    "\"a\"",
    "\"abc\"",
    "\"hello world\"",
    "\"x,y,z\"",
    "\"é€𝄞\"",
    "\"a\\nb\\\"c\\\\\"",
    "\"1234567890123456789012345678901234567890\"",
    "\"\\u00e9\"",
    "\"0f\"",
    "\"0x12\"",
    "\" \"",
    "\"foo\"",
    "\"convex.core\"",
];

const CHARS: &[&str] = &[
    "\\a",
    "\\z",
    "\\0",
    "\\newline",
    "\\space",
    "\\u00e9",
    "\\€",
    "\\,",
    "\\tab",
    "\\A",
];

const KEYWORDS: &[&str] = &[
    ":a",
    ":b",
    ":c",
    ":foo",
    ":d",
    ":x",
    ":balance",
    ":sequence",
    ":tag",
    ":ASSERT",
    ":controller",
    ":supply",
];

const SYMBOLS: &[&str] = &[
    "a",
    "foo",
    "x",
    "bar",
    "count",
    "if",
    "convex.core",
    "convex.trust",
    "*balance*",
    "&",
    "+",
    "def",
    "f",
    "g0",
    "g1",
];

const ADDRESSES: &[&str] = &[
    "#0",
    "#1",
    "#2",
    "#6",
    "#7",
    "#8",
    "#9",
    "#10",
    "#11",
    "#12",
    "#13",
    "#14",
    "#15",
    "#16",
    "#17",
    "#63",
    "#64",
    "#65",
    "#66",
    "#67",
    "#68",
    "#69",
    "#70",
    "#71",
    "#72",
    "#73",
    "#74",
    "#75",
    "#76",
    "#77",
    "#78",
    "#127",
    "#128",
    "#129",
    "#131",
    "#132",
    "#133",
    "#9999",
    "#9223372036854775807",
];

/// Keys of the peers of the shared genesis, and one that nobody has.
pub(crate) const KEYS: &[&str] = &[
    "0x5bd5a30f58ced4385f5a1c4bba297a4085e79affdfef847f7dc9422d7ce10f8f",
    "0xc9b5ad7ab18667412bf126f6eb6186526f0a25b3d8168a7752d33c34143e0e48",
    "0xdce789f46282c505af9d878896e3bcd36a717232934e5df959ae1bd2da7f03a1",
    "0xe8b1419d9a49049e0fcb06004d1cdbca9448b8e801131d6da7b2ad0051d7b140",
    "0x4bf5da5ab8f64ce551b7844b9e937ee2fcf45f1d4f1f7d1ff67cd998f672f139",
    "0x0000000000000000000000000000000000000000000000000000000000000001",
];

const SPECIALS: &[&str] = &[
    "*juice*",
    "*caller*",
    "*address*",
    "*memory*",
    "*balance*",
    "*origin*",
    "*result*",
    "*timestamp*",
    "*depth*",
    "*offer*",
    "*holdings*",
    "*sequence*",
    "*key*",
    "*juice-price*",
    "*scope*",
    "*juice-limit*",
    "*controller*",
    "*env*",
    "*parent*",
    "*nop*",
    "*memory-price*",
    "*signer*",
    "*peer*",
    "*location*",
    "*registry*",
    "*lang*",
];

impl Generator<'_> {
    /// A literal of a kind; with a depth, one that has parts.
    pub(super) fn literal(&mut self, kind: Kind, depth: usize) -> Form {
        match kind {
            Kind::Any => self.any_literal(depth),
            Kind::Number if self.rng.chance(35) => Form::atom(self.rng.pick(DOUBLES)),
            Kind::Number | Kind::Integer => self.integer(),
            Kind::Small => Form::atom(self.rng.below(12).to_string()),
            Kind::Text => Form::atom(self.rng.pick(TEXTS)),
            Kind::Blob => self.blob(),
            Kind::Keyword => Form::atom(self.rng.pick(KEYWORDS)),
            Kind::Symbol => Form::quote(Form::atom(self.rng.pick(SYMBOLS))),
            Kind::Address if self.rng.chance(15) => {
                Form::atom(
                    self.rng
                        .pick(&["*address*", "*caller*", "*origin*", "*registry*"]),
                )
            }
            Kind::Address => self.address(),
            Kind::Sequence if self.rng.chance(30) => {
                let items = self.items(depth, Kind::Any);
                Form::quote(Form::list(items))
            }
            Kind::Sequence => self.vector(depth),
            Kind::Set => {
                let items = self.items(depth, Kind::Any);
                Form::set(items)
            }
            Kind::Map => self.map(depth),
            Kind::Index => {
                let mut items = Vec::new();
                for _ in 0..self.length(depth) {
                    items.push(self.index_key());
                    items.push(self.form(Kind::Any, depth.saturating_sub(1)));
                }
                Form::call("index", items)
            }
            Kind::Collection => {
                let kind = [Kind::Sequence, Kind::Set, Kind::Map, Kind::Index][self.rng.below(4)];
                self.literal(kind, depth)
            }
            Kind::Boolean => Form::atom(self.rng.pick(&["true", "false"])),
            Kind::Function1 | Kind::Function2 => self.function(kind, depth),
            Kind::Path => {
                let items = (0..self.rng.below(4)).map(|_| self.key_literal()).collect();
                Form::vector(items)
            }
            Kind::Code => {
                let code = self.form(Kind::Any, depth.saturating_sub(1));
                Form::quote(code)
            }
            Kind::Key => Form::atom(self.rng.pick(KEYS)),
        }
    }

    fn any_literal(&mut self, depth: usize) -> Form {
        const KINDS: &[Kind] = &[
            Kind::Number,
            Kind::Number,
            Kind::Text,
            Kind::Blob,
            Kind::Keyword,
            Kind::Symbol,
            Kind::Address,
            Kind::Sequence,
            Kind::Sequence,
            Kind::Set,
            Kind::Map,
            Kind::Index,
            Kind::Boolean,
            Kind::Function1,
            Kind::Code,
        ];
        match self.rng.below(20) {
            0 => Form::atom("nil"),
            1 => Form::atom(self.rng.pick(CHARS)),
            2 => Form::atom(self.rng.pick(SPECIALS)),
            3 => self.any_core_name(),
            4 => {
                let metadata = self.metadata(depth);
                let value = self.literal(Kind::Any, depth.saturating_sub(1));
                Form::quote(Form::meta(metadata, value))
            }
            5 => Form::call("syntax", [self.literal(Kind::Any, 0), self.map(depth)]),
            _ => {
                let kind = KINDS[self.rng.below(KINDS.len())];
                self.literal(kind, depth)
            }
        }
    }

    /// Something that `^` takes.
    pub(super) fn metadata(&mut self, depth: usize) -> Form {
        const FLAGS: &[&str] = &[
            ":callable",
            ":static",
            ":private",
            ":expander",
            ":foo",
            "\"t\"",
            "tag",
            "{}",
            "{:doc {:a 1}}",
            "{:static false}",
        ];
        if depth > 0 && self.rng.chance(25) {
            self.map(depth - 1)
        } else {
            Form::atom(self.rng.pick(FLAGS))
        }
    }

    fn any_core_name(&mut self) -> Form {
        let names = cells::CORE_NAMES;
        let (_, name) = names[self.rng.below(names.len())];
        if self.rng.chance(15) {
            return Form::atom(format!("#%{name}"));
        }
        Form::atom(name)
    }

    fn integer(&mut self) -> Form {
        match self.rng.below(4) {
            0 => Form::atom(self.rng.pick(INTEGERS)),
            1 => {
                let n = self.rng.magnitude(63) as i64;
                Form::atom(if self.rng.chance(40) { -n } else { n }.to_string())
            }
            2 if self.rng.chance(30) => {
                let digits: String = (0..self.rng.between(19, 90))
                    .map(|_| char::from(b'0' + self.rng.below(10) as u8))
                    .collect();
                Form::atom(format!(
                    "{}{digits}",
                    if self.rng.chance(40) { "-" } else { "" }
                ))
            }
            _ => Form::atom((self.rng.below(40) as i64 - 8).to_string()),
        }
    }

    fn blob(&mut self) -> Form {
        let length = match self.rng.below(30) {
            0..=14 => self.rng.below(9),
            15..=20 => 8,
            21..=24 => 32,
            25 => self.rng.between(130, 145),
            26 if self.rng.chance(20) => self.rng.between(4094, 4099),
            _ => self.rng.below(50),
        };
        let mut text = String::from("0x");
        for _ in 0..length {
            let byte = if self.rng.chance(40) {
                0
            } else {
                self.rng.below(256)
            };
            text.push_str(&format!("{byte:02x}"));
        }
        Form::atom(text)
    }

    pub(super) fn address(&mut self) -> Form {
        if !self.actors.is_empty() && self.rng.chance(40) {
            let i = self.rng.below(self.actors.len());
            return Form::atom(self.actors[i].clone());
        }
        Form::atom(self.rng.pick(ADDRESSES))
    }

    /// A key that collections often share.
    pub(super) fn key_literal(&mut self) -> Form {
        match self.rng.below(6) {
            0 => Form::atom(self.rng.below(40).to_string()),
            1 => self.literal(Kind::Any, 0),
            _ => Form::atom(self.rng.pick(KEYWORDS)),
        }
    }

    fn index_key(&mut self) -> Form {
        match self.rng.below(8) {
            0 => self.literal(Kind::Keyword, 0),
            1 => self.literal(Kind::Text, 0),
            2 => self.literal(Kind::Symbol, 0),
            3 => self.address(),
            // Keys that share their beginning, some being the beginning of others.
            4 | 5 => Form::atom(format!("0x{}", "ab".repeat(self.rng.below(35)))),
            _ => self.blob(),
        }
    }

    fn length(&mut self, depth: usize) -> usize {
        match self.rng.below(30) {
            _ if depth == 0 => self.rng.below(4),
            0 => self.rng.between(14, 18),
            1 => self.rng.between(16, 40),
            _ => self.rng.below(6),
        }
    }

    fn items(&mut self, depth: usize, kind: Kind) -> Vec<Form> {
        let length = self.length(depth);
        if length > 12 {
            // Many, so they are small.
            return (0..length).map(|i| self.many_literal(i)).collect();
        }
        (0..length)
            .map(|_| self.form(kind, depth.saturating_sub(1)))
            .collect()
    }

    fn many_literal(&mut self, i: usize) -> Form {
        match self.rng.below(4) {
            0 => Form::atom(self.rng.below(300).to_string()),
            1 => Form::atom(format!(":k{}", self.rng.below(60))),
            _ => Form::atom(i.to_string()),
        }
    }

    fn vector(&mut self, depth: usize) -> Form {
        let items = self.items(depth, Kind::Any);
        Form::vector(items)
    }

    pub(super) fn map(&mut self, depth: usize) -> Form {
        let length = self.length(depth);
        let mut items = Vec::new();
        for i in 0..length {
            if length > 12 {
                items.push(self.many_literal(i));
                items.push(self.literal(Kind::Small, 0));
            } else {
                items.push(self.key_literal());
                items.push(self.form(Kind::Any, depth.saturating_sub(1)));
            }
        }
        Form::map(items)
    }
}

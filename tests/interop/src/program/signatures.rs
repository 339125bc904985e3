//! Calls of functions, by a table of what they take and give.

use super::{Generator, Kind};
use crate::form::Form;

/// Kinds that a wrongly typed form is made of.
pub(super) const ANY_KIND: &[Kind] = &[
    Kind::Any,
    Kind::Number,
    Kind::Text,
    Kind::Blob,
    Kind::Keyword,
    Kind::Symbol,
    Kind::Address,
    Kind::Sequence,
    Kind::Set,
    Kind::Map,
    Kind::Index,
    Kind::Boolean,
    Kind::Function1,
    Kind::Code,
    Kind::Key,
];

/// One line a function: result, name, arguments. A letter is a kind; `*` behind it means any number, `?` maybe.
///
/// `a` any, `n` number, `i` integer, `m` small, `t` text, `b` blob, `k` keyword, `y` symbol, `A` address, `q` sequence,
/// `s` set, `h` map, `x` index, `c` collection, `B` boolean, `f` function of one, `F` function of two arguments, `p` path,
/// `C` code, `K` key.
const SIGNATURES: &str = "
q vector a*
q concat q*
q concat c*
q vec c
q vec t
q reverse q
s set c
s union s*
s intersection s s*
s difference s s*
q list a*
t str a*
t print a
q split t t
t join q t
t name y
t name k
k keyword t
y symbol t
y symbol k
a eval C
a query-as A C
a eval-as A C
a syntax a h
a unsyntax a
h meta a
B callable? a
B callable? A y
a lookup y
a lookup A y
h lookup-meta A y
A address m
A address b
b blob t
b blob i
b blob a
a account A
n balance A
h hash-map a a a a
h hash-map k a k a
x index b a b a
x index k a t a
s hash-set a*
q keys h
q values h
h assoc h k a
q assoc q m a
c assoc c k a
x assoc x b a
a assoc-in c p a
a get-holding A
a get h k
a get c a a?
a get x b
a get s a
a get-in c p a?
B contains-key? c a
B subset? s s
h dissoc h k*
x dissoc x b*
c conj c a*
s conj s a*
h conj h q
s disj s a*
q cons a q
q cons a c
a first c
a second q
a last c
B = a a
B = a a a
B == n n
B != n n
B >= n n n?
B > n n
B <= n n
B < n n n?
n min n n*
n max n n*
i inc i
i dec i
B boolean a
B boolean? a
b encoding a
i long n
i long b
i int n
i int b
n double n
a char m
a char i
i byte i
i + i i
i - i i
i * i i
n + n*
n - n n*
n * n*
n / n n*
n floor n
n ceil n
n sqrt n
n abs n
i abs i
n signum n
i mod i i
i div i i
i rem i i
i quot i i
n pow n n
n exp n
B not a
i bit-and i i
i bit-xor i i
i bit-or i i
i bit-not i
b hash b
b keccak256 b
b sha256 b
b sha256 t
i count c
i count t
i count b
c empty c
a nth q m
a nth t m
a nth b m
q next q
q next c
q slice q m m?
t slice t m m?
b slice b m m?
c slice c m m
a apply f q
a apply F q
a apply + q
a apply f c
q into q c
s into s c
h into h h
x into x x
c into c c
h merge h h*
h merge h x
q map f q
s map f s
c map f c
h map f h
q map F q q
a reduce F q
a reduce F a c
n reduce + n q
a reduced a
B nil? a
B vector? a
B list? a
B set? a
B map? a
B coll? a
B empty? a
B symbol? a
B keyword? a
B blob? a
B address? a
B long? a
B int? a
B double? a
B str? a
B number? a
B countable? a
B syntax? a
B nan? n
B fn? a
B zero? n
B zero? a
a compile C
a expand C
a expand-1 C
a identity a
B account? a
B actor? a
f comp f f
B defined? y
B defined? A y
q filter f q
c filter f c
q filterv f q
q mapcat f q
q mapcat f c
q mapv f c
c update h k f
c update-in c p f
h dissoc-in h p
i coin-supply
a scope a
n get-peer-stake K
n get-stake K A
a quasiquote a
a quote C
b hash K
";

fn kind(letter: char) -> Kind {
    match letter {
        'n' => Kind::Number,
        'i' => Kind::Integer,
        'm' => Kind::Small,
        't' => Kind::Text,
        'b' => Kind::Blob,
        'k' => Kind::Keyword,
        'y' => Kind::Symbol,
        'A' => Kind::Address,
        'q' => Kind::Sequence,
        's' => Kind::Set,
        'h' => Kind::Map,
        'x' => Kind::Index,
        'c' => Kind::Collection,
        'B' => Kind::Boolean,
        'f' => Kind::Function1,
        'F' => Kind::Function2,
        'p' => Kind::Path,
        'C' => Kind::Code,
        'K' => Kind::Key,
        _ => Kind::Any,
    }
}

fn lines() -> impl Iterator<Item = &'static str> {
    SIGNATURES.lines().filter(|line| !line.is_empty())
}

/// Lines whose result can stand for a kind.
fn fitting(wanted: Kind) -> Vec<&'static str> {
    lines()
        .filter(|line| {
            let given = line.chars().next().map_or(Kind::Any, kind);
            given == wanted
                || match wanted {
                    Kind::Any => true,
                    Kind::Number => given == Kind::Integer,
                    Kind::Collection => {
                        matches!(given, Kind::Sequence | Kind::Set | Kind::Map | Kind::Index)
                    }
                    Kind::Path => given == Kind::Sequence,
                    Kind::Key => given == Kind::Blob,
                    Kind::Code => line.starts_with("q list") || line.starts_with("a quote"),
                    _ => false,
                }
        })
        .collect()
}

impl Generator<'_> {
    /// A call of a function whose result is of the kind.
    pub(super) fn function_call(&mut self, wanted: Kind, depth: usize) -> Form {
        if wanted == Kind::Any && self.rng.chance(12) {
            return self.call_of_any_core_function(depth);
        }
        let choices = fitting(wanted);
        if choices.is_empty() {
            return self.literal(wanted, depth);
        }
        let line = choices[self.rng.below(choices.len())];
        let mut words = line.split(' ').skip(1);
        let name = words.next().unwrap_or_default();
        let mut args = Vec::new();
        for word in words {
            let letter = word.chars().next().unwrap_or('a');
            // A word that is no letter of a kind stands for itself.
            if !letter.is_ascii_alphabetic() {
                args.push(Form::atom(word));
                continue;
            }
            let times = match word.chars().nth(1) {
                Some('*') => self.rng.below(4),
                Some('?') => self.rng.below(2),
                _ => 1,
            };
            for _ in 0..times {
                args.push(self.form(kind(letter), depth - 1));
            }
        }
        // Now and then an argument too many or too few.
        if self.rng.chance(2) {
            args.pop();
        } else if self.rng.chance(2) {
            args.push(self.form(Kind::Any, 0));
        }
        let name = if self.rng.chance(2) {
            format!("#8/{name}")
        } else {
            name.to_owned()
        };
        Form::call(&name, args)
    }

    /// Any native function, mostly with a number of arguments that it takes and of no particular kinds.
    fn call_of_any_core_function(&mut self, depth: usize) -> Form {
        let natives: Vec<_> = cvm::Rules::latest().natives().collect();
        let native = natives[self.rng.below(natives.len())];
        let mut count = self.rng.below(5);
        for _ in 0..8 {
            if native.arity.accepts(count) || self.rng.chance(4) {
                break;
            }
            count = self.rng.below(6);
        }
        let args: Vec<_> = (0..count)
            .map(|_| self.form(Kind::Any, depth - 1))
            .collect();
        Form::call(native.symbol, args)
    }

    /// A function as a value.
    pub(super) fn function(&mut self, wanted: Kind, depth: usize) -> Form {
        const ONE: &[&str] = &[
            "inc",
            "dec",
            "str",
            "count",
            "first",
            "identity",
            "not",
            "vector",
            "list",
            "hash-set",
            "abs",
            "keyword",
            "nil?",
            "long",
            "-",
            "set",
            "vec",
            "encoding",
            "boolean",
            "next",
            "return",
            "halt",
            "rollback",
            "reduced",
            ":a",
            "{:a 1 1 2}",
            "#{1 2 :a}",
            "[1 2 3]",
            "log",
            "eval",
            "compile",
            "blob",
            "hash",
            "reverse",
            "address",
            "*initial-expander*",
            "recur",
            "name",
            "signum",
            "double",
            "empty",
        ];
        const TWO: &[&str] = &[
            "+",
            "-",
            "*",
            "/",
            "=",
            "<",
            "vector",
            "list",
            "conj",
            "cons",
            "str",
            "max",
            "min",
            "get",
            "concat",
            "hash-map",
            "mod",
            "quot",
            "div",
            "rem",
            "bit-xor",
            "merge",
            "nth",
            "recur",
            "tailcall*",
            "apply",
            "into",
            "log",
            ":a",
            "{:a 1}",
            "call*",
            "pow",
            "union",
            "==",
        ];
        let two = wanted == Kind::Function2;
        if depth == 0 || self.rng.chance(40) {
            return Form::atom(self.rng.pick(if two { TWO } else { ONE }));
        }
        self.lambda(if two { 2 } else { 1 }, depth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_names_a_function_and_kinds() {
        for line in lines() {
            let words: Vec<_> = line.split(' ').collect();
            assert!(words.len() >= 2 && words[0].len() == 1, "{line}");
            for word in &words[2..] {
                let rest = &word[1..];
                assert!(matches!(rest, "" | "*" | "?"), "{line}");
            }
        }
    }

    #[test]
    fn every_kind_of_value_has_a_function_that_makes_it() {
        for kind in ANY_KIND {
            if !matches!(kind, Kind::Function1) {
                assert!(!fitting(*kind).is_empty(), "{kind:?}");
            }
        }
    }
}

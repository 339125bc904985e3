//! What the reader accepts, what it makes of it, and what it says otherwise (`spec/02 §1`).

use cells::{Blob, Cell, Keyword, List, Map, Set, Str, Symbol, Syntax, Vector, format_double};
use cvm::reader::{read, read_all, read_all_bytes, read_bytes};
use num_bigint::BigInt;
use proptest::prelude::*;

fn printed(src: &str) -> String {
    read(src).map_or_else(|error| panic!("{src}: {error}"), |form| form.to_string())
}

/// The message after the position, or the form that was read all the same.
fn problem(src: &str) -> String {
    match read(src) {
        Ok(form) => format!("reads as {form}"),
        Err(error) => error
            .to_string()
            .strip_prefix("Parse error at ")
            .unwrap()
            .to_owned(),
    }
}

#[test]
fn the_longest_token_wins() {
    for (src, expected) in [
        ("[0x12g]", "[0x12 g]"),
        ("[#12abc]", "[#12 abc]"),
        (r"[\aa]", r"[\a a]"),
        (r"[\spacea]", r"[\space a]"),
        (r"[\newlin]", r"[\n ewlin]"),
        (r"[\newlinex]", r"[\newline x]"),
        (r"[\u00]", r"[\u 0]"),
        ("[1(2)]", "[1 (2)]"),
        ("[1.5(2)]", "[1.5 (2)]"),
        ("[1;c\n]", "[1]"),
        ("1.5f", "1.5"),
        ("1.5\u{c}", "1.5"),
        ("[-1.5\u{1f}]", "[-1.5]"),
        ("1e5D", "100000.0"),
        ("-1e-5", "-1.0E-5"),
        ("-0.0", "-0.0"),
        ("-0", "0"),
        ("00012", "12"),
        ("#00012", "#12"),
        ("1e400", "##Inf"),
        ("1e-400", "0.0"),
        ("nilfoo", "nilfoo"),
        ("true?", "true?"),
        (":nil", ":nil"),
        ("::a", "::a"),
        (":/", ":/"),
        ("a:b#c", "a:b#c"),
        ("#%foo", "#%foo"),
        ("0xAbCd", "0xabcd"),
        ("0x", "0x"),
        ("~ @a", "(unquote (resolve a))"),
        ("~@a", "(unquote-splicing a)"),
        ("~@@a", "(unquote-splicing (resolve a))"),
        ("##-Inf", "##-Inf"),
        ("9223372036854775808", "9223372036854775808"),
        ("-9223372036854775808", "-9223372036854775808"),
    ] {
        assert_eq!(printed(src), expected, "{src}");
    }
}

#[test]
fn some_that_look_like_numbers_are_symbols() {
    for src in [
        "+1", ".5", "-.5", "--1", "-a", "-0x12", "-1ab", "-1.2.3", "-1.5ff", "-",
    ] {
        assert_eq!(
            read(src).unwrap(),
            Cell::from(Symbol::new(src.as_bytes()).unwrap()),
            "{src}"
        );
    }
}

#[test]
fn integers_are_canonical_and_end_at_4096_bytes() {
    assert_eq!(
        read("000000000000000000000001").unwrap().encode(),
        [0x11, 1]
    );
    let largest: BigInt = (BigInt::from(1) << 32767u32) - 1;
    assert!(read(&largest.to_string()).is_ok());
    assert!(read(&(&largest + 1u8).to_string()).is_err());
    assert!(read(&(-&largest - 1u8).to_string()).is_ok());
    assert!(read(&(-&largest - 2u8).to_string()).is_err());
    assert!(read(&"9".repeat(1_000_000)).is_err());
    assert_eq!(
        read("#9223372036854775807").unwrap(),
        Cell::Address(i64::MAX as u64)
    );
    assert!(read("#9223372036854775808").is_err());
}

#[test]
fn paths_become_lookups() {
    for (src, expected) in [
        ("foo/bar", "(lookup foo bar)"),
        ("#1/a/b", "(lookup (lookup #1 a) b)"),
        ("#1//", "(lookup #1 /)"),
        ("#1/foo//", "(lookup (lookup #1 foo) /)"),
        ("[foo /bar]", "[(lookup foo bar)]"),
        ("[foo / bar]", "[foo / bar]"),
        ("[1 /a]", "[(lookup 1 a)]"),
        ("[- /a]", "[(lookup - a)]"),
        ("\"abc\"/foo", "(lookup \"abc\" foo)"),
        (":a/b", "(lookup :a b)"),
        ("true/nil", "(lookup true nil)"),
        ("(f)/g", "(lookup (f) g)"),
        ("@a/b", "(lookup (resolve a) b)"),
        ("#[10]/foo", "(lookup 0 foo)"),
        ("'a/b", "(quote (lookup a b))"),
        ("(^:x a) /b", "(lookup (^{:x true} a) b)"),
    ] {
        assert_eq!(printed(src), expected, "{src}");
    }
}

#[test]
fn a_value_with_metadata_does_not_end_in_a_path() {
    for src in [
        "^:x foo/bar",
        "^:x 'a/b",
        "^:x ^:y a/b",
        "^:x (f)/g",
        "^:x #Foo a/b",
        "[^:x (f)/g]",
        "(^:x a/b)",
        "^ ^:x a/b c",
        "[#_ ^:x a/b c]",
    ] {
        assert!(read(src).is_err(), "{src}");
    }
    for (src, expected) in [
        ("^:x [a/b]", "^{:x true} [(lookup a b)]"),
        ("^a/b c", "^{:tag (lookup a b)} c"),
        ("^'a/b c", "^{:tag (quote (lookup a b))} c"),
        ("^#Foo a/b c", "^{:tag (lookup a b)} c"),
        ("[#_ a/b c]", "[c]"),
        ("[(^:x f)/g]", "[(lookup (^{:x true} f) g)]"),
    ] {
        assert_eq!(printed(src), expected, "{src}");
    }
}

#[test]
fn metadata_is_stripped_and_merged() {
    for (src, expected) in [
        ("^:a ^:b x", "^{:a true,:b true} x"),
        ("^{:a 1} ^{:a 2 :b 3} x", "^{:a 1,:b 3} x"),
        ("^{} x", "^{} x"),
        ("^nil x", "^{:tag nil} x"),
        ("^\"abc\" x", "^{:tag \"abc\"} x"),
        ("^^:a ^:b c x", "^{:tag c} x"),
        ("^{:a ^:b ^:c ^:d e} x", "^{:a e} x"),
        ("^{^:a k 1 k 2} x", "^{k 1} x"),
        ("^{k 2 ^:a k 1} x", "^{k 1} x"),
        ("^#{^:a k k} x", "^{:tag #{k}} x"),
        ("^(1 ^:a [2 ^:b {3 ^:c 4}]) x", "^{:tag (1 [2 {3 4}])} x"),
        ("^#Index {0x12 ^:a b} x", "^{0x12 b} x"),
        ("^[#Index {0x12 5}] x", "^{:tag [{0x12 5}]} x"),
        ("^#[db01c0b0ed8104] x", "^{:tag (inc)} x"),
        ("^:x #[8811018201330179b1]", "^{:x true,:y true} 1"),
        ("^[#[8811018201330178b1]] x", "^{:tag [1]} x"),
    ] {
        assert_eq!(printed(src), expected, "{src}");
    }
    let result = printed("^#Result {:result ^:q 5} x");
    assert_eq!(
        result,
        "^{:result 5,:log nil,:info nil,:error nil,:id nil} x"
    );
    assert_eq!(read("^{} x").unwrap().encode(), [0x88, 0x32, 1, b'x', 0]);
}

#[test]
fn tags_read_the_types_they_name() {
    let key = "00".repeat(32);
    let signature = "00".repeat(64);
    let signed = format!("#Signed {{:public-key 0x{key} :signature 0x{signature} :value 1}}");
    assert_eq!(read(&signed).unwrap().encode()[..2], [0x90, 0]);
    for (src, expected) in [
        ("#Index {:a 1 \"a\" 2}", "#Index {\"a\" 2}"),
        ("#Index {0x12 1 0x12 2}", "#Index {0x12 2}"),
        ("#Index #Foo {0x12 1}", "#Index {0x12 1}"),
        ("#index {1 2}", "{1 2}"),
        ("#Foo.bar1 x", "x"),
        ("#Result {}", "#Result {:result nil}"),
        (
            "#Result {:id 1 :result 2 :error 3 :log 4 :info 5}",
            "#Result {:id 1,:result 2,:error 3}",
        ),
        (
            "#Result {:id :a :log [4] :info {1 2}}",
            "#Result {:result nil,:log [4],:info {1 2}}",
        ),
    ] {
        assert_eq!(printed(src), expected, "{src}");
    }
    for src in [
        "#Index 1",
        "#Index {1 2}",
        "#Index nil",
        "#Index #Index {}",
        "#Index ^:x {}",
        "#Result [1]",
        "#Signed {}",
        "#Result {:info #Index {}}",
        "#Foo",
        "#Foo-bar x",
    ] {
        assert!(read(src).is_err(), "{src}");
    }
}

#[test]
fn discards_are_for_collections_and_sequences_of_forms() {
    assert_eq!(printed("[1 2 #_ 3 #_ 4]"), "[1 2]");
    assert_eq!(printed("{#_ 1 2 3}"), "{2 3}");
    for src in [
        "#_ a",
        "#_ 1 2",
        "[#_ #_ 3 4]",
        "'#_ a b",
        "['#_ a b]",
        "[^:x #_ a b]",
        "[#_]",
        "{1 #_ 2}",
    ] {
        assert!(read(src).is_err(), "{src}");
    }
    let all = |src: &str| Cell::from(read_all(src).unwrap()).to_string();
    assert_eq!(all(""), "()");
    assert_eq!(all(" ; nothing\n"), "()");
    assert_eq!(all("#_ 1 2 #_ (3) #_ [#_ 4]"), "(2)");
    assert_eq!(all("a b/c 'd"), "(a (lookup b c) (quote d))");
    assert!(read_all("#_ #_ 1 2").is_err());
    assert!(read_all("#_").is_err());
    assert!(read_all("1 )").is_err());
}

#[test]
fn strings_and_characters_know_their_escapes() {
    let string = |src: &str| match read(src).unwrap() {
        Cell::Str(s) => String::from_utf8(s.to_vec().unwrap()).unwrap(),
        other => panic!("{other}"),
    };
    assert_eq!(string(r#""a\u00e9\351\400\0\18""#), "aéé 0\0\u{1}8");
    assert_eq!(string(r#""\b\t\n\f\r\"\'\\""#), "\u{8}\t\n\u{c}\r\"'\\");
    assert_eq!(string(r#""\ud83d\ude00""#), "😀");
    assert_eq!(string(r#""\ud83dx\ude00\ud83d""#), "?x??");
    assert_eq!(string(r#""\ud83d\ud83d\ude00""#), "?😀");
    assert_eq!(string(r#""\uD83D😀""#), "?😀");
    assert_eq!(string("\"a\nb\""), "a\nb");
    for src in [
        r#""\8""#,
        r#""\/""#,
        r#""\x""#,
        r#""\u12""#,
        r#""\"#,
        r#""\u""#,
    ] {
        assert!(read(src).is_err(), "{src}");
    }
    for (src, code) in [
        (r"\newline", 0x0a),
        (r"\return", 0x0d),
        (r"\space", 0x20),
        (r"\tab", 0x09),
        (r"\formfeed", 0x0c),
        (r"\backspace", 0x08),
        (r"\u00e9", 0xe9),
        (r"\é", 0xe9),
        (r"\😀", 0x1_f600),
        (r"\u", u32::from('u')),
        (r"\ ", 0x20),
        ("\\\n", 0x0a),
        (r"\)", u32::from(')')),
    ] {
        assert_eq!(read(src).unwrap(), Cell::Char(code), "{src}");
    }
    assert!(read(r"\uD800").is_err());
    assert!(read("\\").is_err());
}

#[test]
fn problems_are_described_as_the_network_does() {
    for (src, expected) in [
        ("(", "1:1: unexpected end of input (unclosed '(' at 1:0)"),
        ("(1 2", "1:4: unexpected end of input (unclosed '(' at 1:0)"),
        ("('", "1:2: unexpected end of input (unclosed '(' at 1:0)"),
        ("[#_", "1:3: unexpected end of input (unclosed '[' at 1:0)"),
        ("", "1:0: empty input (expected a form)"),
        ("; comment", "1:9: empty input (expected a form)"),
        (")", "1:0: unmatched closing ')'"),
        ("nil)", "1:3: unmatched closing ')'"),
        ("[1 2)", "1:4: '[' at 1:0 closed by mismatched ')' at 1:4"),
        ("(1 ')", "1:4: '(' at 1:0 closed by mismatched ')' at 1:4"),
        ("(^:x )", "1:5: '(' at 1:0 closed by mismatched ')' at 1:5"),
        (
            "(\n\n a\n ]",
            "4:1: '(' at 1:0 closed by mismatched ']' at 4:1",
        ),
        ("1 2", "1:2: unexpected '2'"),
        ("1 \"abc\"", "1:2: unexpected '\"abc\"'"),
        ("[a /b /c](", "1:9: unexpected '('"),
        ("#_ 1 2", "1:0: unexpected '#_'"),
        ("'", "1:1: unexpected end of input"),
        ("{1}", "1:0: map requires an even number of forms"),
        ("1a", "1:0: bad number format: 1a"),
        ("1/foo", "1:0: bad number format: 1/"),
        ("[1😀]", "1:1: bad number format: 1😀"),
        ("1.", "1:0: bad number format: 1."),
        ("1..5", "1:0: bad number format: 1."),
        ("1e+5", "1:0: bad number format: 1e"),
        ("1.5.3", "1:0: bad double format: 1.5."),
        ("1.5L", "1:0: bad double format: 1.5L"),
        ("1.5ff", "1:4: unexpected 'f'"),
        ("1\"b\"", "1:0: bad number format: 1\""),
        ("0xf", "1:0: invalid blob syntax: 0xf"),
        ("##foo", "1:0: invalid special literal: ##foo"),
        ("#-1", "1:0: invalid '#' sequence: '#-'"),
        ("#[12", "1:0: invalid '#' sequence: '#[12'"),
        ("#[1]", "1:0: invalid '#' sequence: '#[1]'"),
        ("#[zz]", "1:0: invalid '#' sequence: '#[z'"),
        ("#[10 ]", "1:0: invalid '#' sequence: '#[10 '"),
        ("#%1", "1:0: invalid '#' sequence: '#%1'"),
        ("##", "1:0: invalid '#' sequence: '##'"),
        (
            "#9223372036854775808",
            "1:0: bad address format: #9223372036854775808",
        ),
        ("\"abc", "1:0: unterminated string"),
        ("^\"\\q\" x", "1:1: unterminated string"),
        ("\\foo", "1:2: unexpected 'oo'"),
        ("@", "1:0: unexpected '@'"),
        ("@1", "1:0: unexpected '@1'"),
        ("@#%x", "1:0: unexpected '@#'"),
        (":", "1:0: unexpected ':'"),
        (": a", "1:0: unexpected ': '"),
        ("::", "1:0: unexpected '::'"),
        ("/a", "1:0: unexpected '/a'"),
        ("-/", "1:1: unexpected '/'"),
        ("a/ b", "1:1: unexpected '/'"),
        ("[a b c é]", "1:7: unexpected 'é'"),
        ("[é]\n é", "1:1: unexpected 'é'"),
        ("\u{c}", "1:0: unexpected control character (0xc)"),
        ("nil/foo", "1:0: path must start with address or symbol"),
        ("[nil /a]", "1:1: path must start with address or symbol"),
        ("#[00]/foo", "1:0: path must start with address or symbol"),
        ("^:x foo/bar", "1:11: empty input (expected a form)"),
        ("[^:x (f)/g]", "1:10: unmatched closing ']'"),
        ("[#_ ^:x a/b c]", "1:12: unexpected 'c'"),
    ] {
        assert_eq!(problem(src), expected, "{src}");
    }
    let long = "a".repeat(129);
    assert_eq!(
        problem(&long),
        "1:0: Symbol too long (max 128): aaaaaaaaaaaaaaaaaaaa..."
    );
    assert_eq!(
        problem(&format!(":{long}")),
        "1:0: Keyword too long (max 128): :aaaaaaaaaaaaaaaaaaa..."
    );
    assert_eq!(printed(&"a".repeat(128)), "a".repeat(128));
}

#[test]
fn raw_encodings_may_carry_branches_but_must_be_whole() {
    let big = Cell::from(Vector::from_iter((0..40i64).map(|i| Cell::from(i << 40))));
    let message = cells::encode_message(&big).unwrap();
    let hex: String = message.iter().map(|b| format!("{b:02X}")).collect();
    assert_eq!(read(&format!("#[{hex}]")).unwrap(), big);
    for src in ["#[]", "#[8002]", "#[ff]", "#[1005]", "#[110111]"] {
        assert!(
            problem(src).starts_with("1:0: invalid CAD3 encoding: "),
            "{src}"
        );
    }
}

#[test]
fn metadata_that_multiplies_shared_branches_is_refused() {
    // Each level holds the level below twice, as a branch: 2^40 cells if walked as a tree.
    let padding = Cell::from(Blob::new(&[7; 100]));
    let mut value = Cell::Long(1);
    for _ in 0..40 {
        value = Vector::from_iter([value.clone(), value, padding.clone(), padding.clone()]).into();
    }
    let hex: String = cells::encode_message(&value)
        .unwrap()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert!(problem(&format!("^#[{hex}] x")).ends_with("metadata is too large"));
    assert!(read(&format!("#[{hex}]")).is_ok());
}

#[test]
fn input_that_is_not_utf8_is_refused_where_it_breaks() {
    assert_eq!(
        read_bytes(b"[1 \"\xc3\xa9\"]").unwrap(),
        read("[1 \"é\"]").unwrap()
    );
    let error = read_bytes(b"[1\n \"\xc3\xa9\xff\"]").unwrap_err();
    assert_eq!((error.line, error.column), (2, 3));
    assert!(read_all_bytes(b"1 2 \xc0\x80").is_err());
}

#[test]
fn nesting_of_any_depth_is_read_or_refused_without_a_deep_stack() {
    const DEPTH: usize = 200_000;
    let work = || {
        for (open, close) in [
            ("(", ")"),
            ("[", "]"),
            ("{1 ", "}"),
            ("#{", "}"),
            ("'", ""),
            ("^:a ", ""),
            ("#Foo ", ""),
        ] {
            let deep = format!("{}x{}", open.repeat(DEPTH), close.repeat(DEPTH));
            assert!(read(&deep).is_ok(), "{open}");
            assert!(read(&open.repeat(DEPTH)).is_err(), "{open}");
            assert!(read(&format!("{}x", "^ ".repeat(DEPTH))).is_err());
            assert!(read(&format!("^{deep} y")).is_ok(), "{open}");
        }
        assert!(read(&format!("a{}", "/b".repeat(DEPTH))).is_ok());
        assert!(read(&format!("[{}]", "#_ ".repeat(DEPTH))).is_err());
    };
    std::thread::Builder::new()
        .stack_size(512 * 1024)
        .spawn(work)
        .unwrap()
        .join()
        .unwrap();
}

/// Values whose printed form is meant to be read back.
fn readable() -> impl Strategy<Value = Cell> {
    let name = "[a-zA-Z.*+!_?$%&=<>][a-zA-Z0-9.*+!_?$%&=<>:#-]{0,20}"
        .prop_filter("a literal is no name", |name| {
            !["nil", "true", "false"].contains(&name.as_str())
        });
    let leaf = prop_oneof![
        Just(Cell::Nil),
        any::<bool>().prop_map(Cell::Bool),
        any::<i64>().prop_map(Cell::Long),
        proptest::collection::vec(any::<u8>(), 9..60)
            .prop_map(|bytes| Cell::integer(BigInt::from_signed_bytes_be(&bytes)).unwrap()),
        any::<u64>().prop_map(|bits| Cell::Double(f64::from_bits(bits))),
        any::<char>().prop_map(|c| Cell::Char(c.into())),
        any::<String>().prop_map(|s| Cell::from(Str::new(s.as_bytes()))),
        proptest::collection::vec(any::<u8>(), 0..40)
            .prop_map(|bytes| Cell::from(Blob::new(&bytes))),
        name.clone()
            .prop_map(|name| Cell::from(Symbol::new(name.as_bytes()).unwrap())),
        name.prop_map(|name| Cell::from(Keyword::new(name.as_bytes()).unwrap())),
        (0..=i64::MAX as u64).prop_map(Cell::Address),
        (2u8..16).prop_map(Cell::Flag),
    ];
    leaf.prop_recursive(4, 60, 8, |inner| {
        let items = proptest::collection::vec(inner.clone(), 0..8);
        let map = proptest::collection::vec((inner.clone(), inner.clone()), 0..5)
            .prop_map(Map::from_iter);
        prop_oneof![
            items
                .clone()
                .prop_map(|items| Cell::from(Vector::from_iter(items))),
            items
                .clone()
                .prop_map(|items| Cell::from(List::from_iter(items))),
            items.prop_map(|items| Cell::from(Set::from_iter(items))),
            map.clone().prop_map(Cell::from),
            (
                inner.prop_filter("syntax objects don't nest", |v| !matches!(
                    v,
                    Cell::Syntax(_)
                )),
                plain_map()
            )
                .prop_map(|(value, meta)| Cell::from(Syntax::new(value, meta))),
        ]
    })
}

/// Metadata that has no syntax objects inside, since reading drops those.
fn plain_map() -> impl Strategy<Value = Map> {
    proptest::collection::vec(("[a-z]{1,5}", any::<i64>()), 0..4).prop_map(|entries| {
        entries
            .into_iter()
            .map(|(name, n)| {
                (
                    Cell::from(Keyword::new(name.as_bytes()).unwrap()),
                    Cell::Long(n),
                )
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_is_printed_reads_back_as_the_same_value(value in readable()) {
        // The printer's limit is no concern here.
        let text = value.to_string();
        prop_assert_eq!(read(&text).map_err(|e| TestCaseError::fail(format!("{text}: {e}")))?, value);
    }

    #[test]
    fn doubles_read_back_to_the_bit(bits in any::<u64>()) {
        let x = f64::from_bits(bits);
        if x.is_finite() {
            let read = read(&format_double(x)).unwrap();
            prop_assert!(matches!(read, Cell::Double(y) if y.to_bits() == bits));
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[\\[\\](){}#_^'`~@\"\\\\/:;,0-9a-fnux.e\\- \n%é]{0,40}") {
        let single = read(&text);
        let all = read_all(&text);
        if let Ok(form) = single {
            prop_assert_eq!(all.unwrap().get(0).unwrap().unwrap(), form);
        }
    }
}

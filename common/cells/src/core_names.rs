//! Core definitions: the codes that extension values with tag `ed` carry, and their symbols (`spec/03`).

/// Code and symbol of every core definition, by ascending code.
pub const CORE_NAMES: &[(u16, &str)] = &[
    (0, "quote"),
    (1, "vector"),
    (2, "concat"),
    (3, "vec"),
    (4, "reverse"),
    (5, "set"),
    (6, "union"),
    (7, "intersection"),
    (8, "difference"),
    (9, "list"),
    (10, "str"),
    (11, "print"),
    (12, "split"),
    (13, "join"),
    (14, "name"),
    (15, "keyword"),
    (16, "symbol"),
    (17, "eval"),
    (18, "eval-as"),
    (19, "query-as"),
    (20, "schedule*"),
    (21, "syntax"),
    (22, "unsyntax"),
    (23, "meta"),
    (24, "syntax?"),
    (30, "callable?"),
    (31, "undef*"),
    (32, "lookup"),
    (33, "lookup-meta"),
    (34, "address"),
    (35, "blob"),
    (36, "account"),
    (37, "balance"),
    (38, "transfer"),
    (39, "set-memory"),
    (40, "transfer-memory"),
    (64, "set-stake"),
    (65, "create-peer"),
    (66, "set-peer-data"),
    (67, "set-peer-stake"),
    (68, "evict-peer"),
    (69, "get-stake"),
    (70, "get-peer-stake"),
    (80, "hash-map"),
    (81, "index"),
    (82, "hash-set"),
    (83, "keys"),
    (84, "values"),
    (85, "assoc"),
    (86, "assoc-in"),
    (96, "get-holding"),
    (97, "set-holding"),
    (98, "set-controller"),
    (99, "set-parent"),
    (100, "set-key"),
    (112, "get"),
    (113, "get-in"),
    (114, "contains-key?"),
    (115, "subset?"),
    (116, "dissoc"),
    (117, "conj"),
    (118, "disj"),
    (119, "cons"),
    (120, "first"),
    (121, "second"),
    (122, "last"),
    (123, "="),
    (124, "=="),
    (125, "!="),
    (126, ">="),
    (127, ">"),
    (128, "<="),
    (129, "<"),
    (130, "min"),
    (131, "max"),
    (132, "inc"),
    (133, "dec"),
    (134, "boolean"),
    (135, "boolean?"),
    (136, "encoding"),
    (137, "long"),
    (138, "int"),
    (139, "double"),
    (140, "char"),
    (141, "byte"),
    (160, "+"),
    (161, "-"),
    (162, "*"),
    (163, "/"),
    (164, "floor"),
    (165, "ceil"),
    (166, "sqrt"),
    (167, "abs"),
    (168, "signum"),
    (169, "mod"),
    (170, "div"),
    (171, "rem"),
    (172, "quot"),
    (173, "pow"),
    (174, "exp"),
    (175, "not"),
    (176, "bit-and"),
    (177, "bit-xor"),
    (178, "bit-or"),
    (179, "bit-not"),
    (180, "hash"),
    (181, "keccak256"),
    (182, "sha256"),
    (183, "count"),
    (192, "empty"),
    (193, "nth"),
    (194, "next"),
    (195, "slice"),
    (196, "recur"),
    (197, "tailcall*"),
    (198, "apply"),
    (208, "rollback"),
    (209, "halt"),
    (210, "return"),
    (211, "fail"),
    (224, "into"),
    (225, "merge"),
    (226, "map"),
    (227, "reduce"),
    (228, "reduced"),
    (240, "nil?"),
    (241, "vector?"),
    (242, "list?"),
    (243, "set?"),
    (244, "map?"),
    (245, "coll?"),
    (246, "empty?"),
    (247, "symbol?"),
    (248, "keyword?"),
    (249, "blob?"),
    (250, "address?"),
    (251, "long?"),
    (252, "int?"),
    (253, "double?"),
    (254, "str?"),
    (255, "number?"),
    (256, "countable?"),
    (257, "compile"),
    (258, "expand"),
    (259, "*initial-expander*"),
    (270, "nan?"),
    (271, "fn?"),
    (272, "zero?"),
    (384, "log"),
    (385, "accept"),
    (386, "call*"),
    (387, "deploy"),
];

/// Symbol of the core definition with this code.
#[must_use]
pub fn core_name(code: u16) -> Option<&'static str> {
    CORE_NAMES
        .binary_search_by_key(&code, |(c, _)| *c)
        .ok()
        .map(|i| CORE_NAMES[i].1)
}

/// Code of the core definition with this symbol.
#[must_use]
pub fn core_code(name: &str) -> Option<u16> {
    CORE_NAMES
        .iter()
        .find(|(_, n)| *n == name)
        .map(|(code, _)| *code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_names_are_unique() {
        assert!(CORE_NAMES.is_sorted_by(|a, b| a.0 < b.0));
        for (code, name) in CORE_NAMES {
            assert_eq!(core_code(name), Some(*code));
            assert_eq!(core_name(*code), Some(*name));
        }
        assert_eq!(core_code("+"), Some(160));
    }
}

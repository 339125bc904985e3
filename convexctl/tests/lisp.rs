//! `convexctl eval` and `convexctl repl` on a fresh network and on state files.

mod tool;

use serde_json::Value;
use tool::{Files, Ran, genesis, run, run_with, shared};

/// Runs a command on a fresh network.
fn lisp(command: &str, args: &[&str], input: &str) -> Ran {
    run_with(&[&[command], args].concat(), input.as_bytes())
}

fn eval(args: &[&str]) -> Ran {
    lisp("eval", args, "")
}

fn repl(input: &str) -> Ran {
    lisp("repl", &[], input)
}

#[test]
fn each_form_prints_its_value_and_sees_the_effects_of_those_before() {
    let ran = eval(&["-e", "(def a 5) (+ a 1)", "-e", "[*address* a \"x\"]"]);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(ran.out, "5\n6\n[#11 5 \"x\"]\n");
}

#[test]
fn forms_come_from_standard_input_when_none_are_given() {
    let ran = lisp(
        "eval",
        &["--address", "#12"],
        "; nothing yet\n*address*\n(if true\n :yes)",
    );
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (Some(0), "#12\n:yes\n"),
        "{ran:?}"
    );
    assert_eq!(eval(&[]).code, Some(0));
}

#[test]
fn an_error_ends_the_run_with_code_1_and_its_trace_on_standard_error() {
    let ran = eval(&["-e", "1 (+ 1 :a) 2"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), "1\n"), "{ran:?}");
    assert_eq!(
        ran.err,
        "error :CAST Can't convert argument at position 2 (with type Keyword) to type Number\n  in #11\n  \
         In core function: +\n  In expression: (+ 1 :a)\n"
    );
}

#[test]
fn text_that_can_not_be_read_is_shown_with_its_place_before_anything_runs() {
    let ran = eval(&["-e", "(def a 1)", "-e", "(+ 1\n  2]"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(65), ""), "{ran:?}");
    assert_eq!(
        ran.err,
        "convexctl: -e[2]:2:3: '(' at 1:0 closed by mismatched ']' at 2:3\n  |   2]\n  |    ^\n"
    );
    let ran = run_with(&["eval", "--json", "--state", "unread"], b"\xff");
    assert_eq!(ran.code, Some(65), "{ran:?}");
    let object: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(object["read_error"]["message"], "invalid UTF-8");
}

#[test]
fn json_has_an_object_for_each_form() {
    let ran = eval(&["--json", "-e", "(log 1) (fail :NO [2])"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let lines: Vec<Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["value"], "[1]");
    assert_eq!(lines[0]["type"], "Vector");
    assert_eq!(lines[0]["log"][0], "[#11 nil [-1 0] [1]]");
    assert!(lines[0]["juice"].as_u64().unwrap() > 0);
    assert_eq!(lines[1]["error"]["code"], ":NO");
    assert_eq!(lines[1]["error"]["message"], "[2]");
    assert_eq!(lines[1]["error"]["address"], 11);
}

#[test]
fn an_endless_loop_ends_with_its_juice() {
    let ran = eval(&["--juice", "100000", "-e", "(loop [] (recur))"]);
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (Some(1), "error :JUICE Out of juice! (limit 100000)\n")
    );
}

#[test]
fn what_would_void_a_block_is_an_error_and_leaves_the_state_alone() {
    // A function without metadata can't be asked whether it is callable (`spec/04 §11`, fault 8).
    let ran = repl("(def a 1)\n(do (def a 2) (def f (fn [] 1)) (callable? *address* 'f))\na\n");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.out
            .contains("error this would void the whole block that it is in: "),
        "{ran:?}"
    );
    assert!(ran.out.contains("\n1\n; juice "), "{ran:?}");
}

#[test]
fn accounts_and_states_that_are_not_there_are_named() {
    let ran = eval(&["--address", "99999", "-e", "1"]);
    assert_eq!(ran.code, Some(64), "{ran:?}");
    assert!(
        ran.err
            .contains("no account #99999\n  hint: its accounts are #0 to #"),
        "{ran:?}"
    );

    let files = Files::new();
    let ran = run(&["eval", "--state", &files.path("absent"), "-e", "1"]);
    assert_eq!(ran.code, Some(66), "{ran:?}");
    let ran = run(&[
        "eval",
        "--state",
        &files.bytes("vector", &[0x80, 0]),
        "-e",
        "1",
    ]);
    assert_eq!(ran.code, Some(65), "{ran:?}");
    assert!(ran.err.contains("holds a Vector, not a State"), "{ran:?}");
    let small = files.cell("small", &genesis());
    let ran = run(&["eval", "--state", &small, "--address", "1", "-e", "1"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.starts_with("error :UNDECLARED *lang*"), "{ran:?}");
    let both = run(&["eval", "--state", &small, "--fresh", "-e", "1"]);
    assert_eq!(both.code, Some(64), "{both:?}");
}

#[test]
fn a_state_file_is_what_forms_run_on() {
    let Some(state) = shared("protonet-genesis.cad3") else {
        return;
    };
    let ran = run(&[
        "eval",
        "--state",
        &state,
        "-e",
        "(count (:accounts *state*)) *timestamp*",
    ]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (Some(0), "132\n1734661302020\n"),
        "{ran:?}"
    );
}

#[test]
fn the_repl_shows_value_juice_and_memory_of_each_form() {
    let ran = repl("(def x [1\n 2])\n(count x)\n(undef x)\n");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    let lines: Vec<_> = ran.out.lines().collect();
    assert_eq!(lines[0], "[1 2]");
    assert!(
        lines[1].starts_with("; juice ") && lines[1].contains(", memory +"),
        "{ran:?}"
    );
    assert_eq!(lines[2], "2");
    assert!(lines[3].ends_with(", memory +0"), "{ran:?}");
    assert!(lines[5].contains(", memory -"), "{ran:?}");
}

#[test]
fn the_repl_goes_on_after_errors_of_every_kind() {
    let ran = repl("(+ 1 nil)\n(+ 1]\nunknown\n:address #9999\n:key\n(open");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for part in [
        "error :CAST ",
        "input:1:4: '(' at 1:0 closed by mismatched ']' at 1:4\n  | (+ 1]\n  |     ^\n",
        "error :UNDECLARED unknown",
        "the state has no account #9999; its accounts are",
        "\n:key\n; juice ",
        "unexpected end of input (unclosed '(' at 1:0)",
    ] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
}

#[test]
fn the_repl_explains_symbols_and_changes_accounts() {
    let ran = repl(
        ":doc count\n:doc *balance*\n:doc nonsense\n:doc defn\n:address #12\n*address*\n:help\n:quit\n1\n",
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for part in [
        "(count coll)\n",
        "*balance*: a special value",
        "nonsense is not defined here",
        "#12\n; juice",
        ":doc SYMBOL",
    ] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    assert!(!ran.out.ends_with("\n1\n; juice 0"), "{ran:?}");
    assert!(
        ran.out.ends_with("entered before.\n"),
        "nothing runs after :quit: {ran:?}"
    );
}

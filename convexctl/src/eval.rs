//! `convexctl eval`: forms in, values out, for scripts.

use std::path::Path;

use cells::Cell;
use cells::print::print;
use cvm::reader::{ReadError, read_all_bytes};
use serde_json::{Value, json};

use crate::cli;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use crate::output::Out;
use crate::session::{Evaluated, Session};
use crate::snippet;

/// Longest source text that is read, bytes.
const MAX_SOURCE: usize = 10_000_000;
/// Longest printed value, bytes.
const MAX_PRINTED: usize = 50_000_000;

pub(crate) fn run(args: &cli::Eval, out: &mut Out) -> Result<Exit, Failure> {
    let mut sources: Vec<(String, Vec<u8>)> = Vec::new();
    for (i, text) in args.expressions.iter().enumerate() {
        let name = match args.expressions.len() {
            1 => "-e".to_owned(),
            _ => format!("-e[{}]", i + 1),
        };
        sources.push((name, text.clone().into_bytes()));
    }
    if sources.is_empty() {
        sources.push(("stdin".to_owned(), files::read(Path::new("-"), MAX_SOURCE)?));
    }
    // All texts are read before any is evaluated: a slip in the last does not leave half of the work done.
    let mut forms = Vec::new();
    for (name, text) in &sources {
        match read_all_bytes(text) {
            Ok(list) => forms.push(list),
            Err(error) => return unreadable(args, name, text, &error, out),
        }
    }
    let mut session = Session::new(&args.on)?;
    for form in forms.iter().flat_map(cells::List::iter) {
        let form = form.map_err(Failure::data)?;
        let evaluated = session.evaluate(&form)?;
        if args.json {
            out.line(as_json(&evaluated)?)?;
        }
        match &evaluated.outcome {
            Ok(value) if !args.json => {
                out.bytes(&printed(value)?)?;
                out.line("")?;
            }
            Ok(_) => {}
            Err(problem) => {
                if !args.json {
                    out.flush()?;
                    eprint_line(&problem.text());
                }
                return Ok(Exit::Negative);
            }
        }
    }
    Ok(Exit::Ok)
}

fn unreadable(
    args: &cli::Eval,
    name: &str,
    text: &[u8],
    error: &ReadError,
    out: &mut Out,
) -> Result<Exit, Failure> {
    if args.json {
        out.line(json!({
            "read_error": {
                "source": name,
                "line": error.line,
                "column": error.column,
                "message": error.message,
            },
        }))?;
        return Ok(Exit::Data);
    }
    Err(Failure::data(snippet::show(
        name,
        &String::from_utf8_lossy(text),
        error,
    )))
}

/// A line on standard error. Nobody is left to tell when this fails.
fn eprint_line(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

fn printed(value: &Cell) -> Result<Vec<u8>, Failure> {
    match print(value, MAX_PRINTED) {
        Ok(Some(text)) => Ok(text),
        Ok(None) => Err(Failure::data(format!(
            "the value is longer than {MAX_PRINTED} bytes when printed"
        ))
        .remedy("ask for a part of it")),
        Err(error) => Err(Failure::data(format!(
            "the value can't be printed: {error}"
        ))),
    }
}

fn text(value: &Cell) -> Result<Value, Failure> {
    Ok(Value::from(String::from_utf8_lossy(&printed(value)?)))
}

fn as_json(evaluated: &Evaluated) -> Result<Value, Failure> {
    let mut object = json!({ "juice": evaluated.juice, "memory": evaluated.memory });
    match &evaluated.outcome {
        Ok(value) => {
            object["value"] = text(value)?;
            object["type"] = Value::from(cvm::value::type_name(value));
        }
        Err(problem) => {
            object["error"] = json!({
                "code": problem.code,
                "message": problem.message,
                "address": problem.address,
                "trace": problem.trace,
            });
        }
    }
    if !evaluated.log.is_empty() {
        object["log"] = evaluated
            .log
            .iter()
            .map(text)
            .collect::<Result<Vec<_>, _>>()?
            .into();
    }
    Ok(object)
}

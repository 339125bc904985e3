//! Source text from arbitrary bytes.
//!
//! - Reading ends with a cell or an error that names a place in the text; nothing panics.
//! - What is read is a value with bytes that decode to it.
//! - One form is also a sequence of one form.
//! - What is printed of a value that was read, and can be read again, is that value: if its symbols are ones that a text
//!   can say anywhere (`@-6` reads a symbol that prints as a number does) and it holds no raw encoding.
#![no_main]

use cells::{Cell, Decoder, decode_message, encode_message, print};
use cvm::reader::{read, read_all, read_all_bytes, read_bytes};
use libfuzzer_sys::fuzz_target;

fn placed(error: &cvm::reader::ReadError, text: &str) {
    let lines = text.lines().count().max(1) + 1;
    assert!((1..=lines).contains(&error.line), "{error}");
    assert!(error.column <= text.chars().count(), "{error}");
}

/// True when every symbol within is what its name reads as.
fn speakable(cell: &Cell) -> bool {
    let mut waiting = vec![cell.clone()];
    while let Some(cell) = waiting.pop() {
        if matches!(cell, Cell::Symbol(_)) && read(&cell.to_string()).as_ref() != Ok(&cell) {
            return false;
        }
        waiting.extend(cell.refs().map(|r| r.get().expect("in memory")));
    }
    true
}

fn check(cell: &Cell, text: &str) {
    let encoded = encode_message(cell).expect("in memory");
    assert_eq!(decode_message(&encoded, &Decoder::new()).as_ref(), Ok(cell));
    let Ok(Some(printed)) = print::print(cell, 100_000) else {
        return;
    };
    let Ok(printed) = String::from_utf8(printed) else {
        return;
    };
    if let Ok(again) = read(&printed)
        && speakable(cell)
        && !text.contains("#[")
    {
        assert_eq!(again, *cell, "printed as {printed}");
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        read_bytes(bytes).expect_err("not text");
        read_all_bytes(bytes).expect_err("not text");
        return;
    };
    let all = read_all(text);
    match read(text) {
        Ok(cell) => {
            let all = all.expect("one form is a sequence");
            assert_eq!(all.count(), 1);
            assert_eq!(all.get(0).as_ref(), Ok(&Some(cell.clone())));
            check(&cell, text);
        }
        Err(error) => {
            placed(&error, text);
            match all {
                Ok(all) => all
                    .iter()
                    .take(20)
                    .for_each(|form| check(&form.expect("in memory"), text)),
                Err(error) => placed(&error, text),
            }
        }
    }
});

//! Messages of several cells from arbitrary bytes, and messages made of malformed trees.
//!
//! - A self-contained message that is accepted encodes to a message that decodes to the same value.
//! - A partial message is accepted whenever a complete one is, and names as missing exactly what no branch resolves.
//! - Every operation on what was accepted, however malformed, gives a value or an error: no panic, no endless loop.
#![no_main]

use arbitrary::Unstructured;
use cells::{Decoder, decode_cells, decode_message, decode_partial, encode_cells, encode_message};
use convexd_fuzz::{exercise, hostile, make};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fn check(bytes: &[u8]) {
    let partial = decode_partial(bytes, &Decoder::new());
    match decode_message(bytes, &Decoder::new()) {
        Ok(cell) => {
            let (same, missing) = partial.expect("a complete message is also a partial one");
            assert_eq!(same, cell);
            assert!(missing.is_empty(), "a complete message lacks {missing:?}");
            let encoded = encode_message(&cell).expect("every branch is there");
            let again = decode_message(&encoded, &Decoder::new()).expect("own encoding");
            assert_eq!(again, cell);
            assert_eq!(again.hash(), cell.hash());
            assert_eq!(encode_message(&again).expect("complete"), encoded);
            exercise::all(&cell);
        }
        Err(_) => {
            if let Ok((cell, missing)) = partial {
                assert!(!missing.is_empty(), "refused, but nothing is missing");
                exercise::all(&cell);
            }
        }
    }
    if let Ok(cells) = decode_cells(bytes, &Decoder::new()) {
        let encoded = encode_cells(&cells);
        assert_eq!(decode_cells(&encoded, &Decoder::new()).as_ref(), Ok(&cells));
    }
    let _ = decode_message(bytes, &Decoder::new().generic());
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, bytes)) = data.split_first() else {
        return;
    };
    if mode % 2 == 0 {
        check(bytes);
    } else if let Ok(message) = hostile::message(&mut Unstructured::new(bytes)) {
        check(&message);
    }
});

// Now and then the bytes become those of a message, well-formed or not, so that bytes of messages mutate too.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed.is_multiple_of(16) && size > 8 {
        let u = &mut Unstructured::new(&data[1..size]);
        let made = if seed.is_multiple_of(32) {
            hostile::message(u)
        } else {
            make::cell(u, 3).map(|c| encode_message(&c).expect("complete"))
        };
        if let Ok(made) = made
            && made.len() < max_size
        {
            data[0] = 0;
            data[1..=made.len()].copy_from_slice(&made);
            return 1 + made.len();
        }
    }
    fuzzer_mutate(data, size, max_size)
});

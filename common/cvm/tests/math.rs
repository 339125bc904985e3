//! `exp` and `pow` give the bits that Java's `StrictMath` gives.
//!
//! `data/strict-math.json` was computed by OpenJDK 25 (17 gives the same): special values with each other, then random
//! arguments over the whole range, subnormals and the edges of overflow included. All numbers are bit patterns in hex.

use serde_json::Value;

fn bits(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap(), 16).unwrap()
}

fn table() -> Value {
    serde_json::from_str(include_str!("data/strict-math.json")).unwrap()
}

#[test]
fn exp_equals_strict_math_to_the_bit() {
    let table = table();
    let cases = table["exp"].as_array().unwrap();
    assert!(cases.len() > 700);
    for case in cases {
        let (x, expected) = (bits(&case[0]), bits(&case[1]));
        assert_eq!(
            cvm::math::exp(f64::from_bits(x)).to_bits(),
            expected,
            "exp {x:016x}"
        );
    }
}

#[test]
fn pow_equals_strict_math_to_the_bit() {
    let table = table();
    let cases = table["pow"].as_array().unwrap();
    assert!(cases.len() > 1900);
    for case in cases {
        let (x, y, expected) = (bits(&case[0]), bits(&case[1]), bits(&case[2]));
        let result = cvm::math::pow(f64::from_bits(x), f64::from_bits(y));
        assert_eq!(result.to_bits(), expected, "pow {x:016x} {y:016x}");
    }
}

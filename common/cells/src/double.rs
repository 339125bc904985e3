//! Text of doubles (`spec/01 §17`).

/// The shortest decimal that reads back as `x`, in the notation of the network: at least one digit on each side
/// of the point, an exponent outside of 10^-3 ≤ |x| < 10^7, and `##NaN`, `##Inf`, `##-Inf`.
///
/// A NaN with other bits than the standard one has no literal; its encoding is shown.
///
/// ```
/// assert_eq!(cells::format_double(1e7), "1.0E7");
/// assert_eq!(cells::format_double(5e-324), "4.9E-324");
/// ```
#[must_use]
pub fn format_double(x: f64) -> String {
    if x.is_nan() {
        let bits = x.to_bits();
        return if bits == 0x7ff8_0000_0000_0000 {
            "##NaN".into()
        } else {
            format!("#[1d{bits:016x}]")
        };
    }
    if x.is_infinite() {
        return if x > 0.0 {
            "##Inf".into()
        } else {
            "##-Inf".into()
        };
    }
    if x == 0.0 {
        return if x.is_sign_negative() {
            "-0.0".into()
        } else {
            "0.0".into()
        };
    }
    let sign = if x < 0.0 { "-" } else { "" };
    let (digits, exponent) = shortest(x.abs());
    if (-3..7).contains(&exponent) {
        return format!("{sign}{}", positional(&digits, exponent));
    }
    format!("{sign}{}.{}E{exponent}", &digits[..1], &digits[1..])
}

/// At least two significant digits and the decimal exponent of the first.
fn shortest(x: f64) -> (String, i32) {
    let mut text = format!("{x:e}");
    if !text.contains('.') {
        // One digit would do: of the two-digit decimals the closest is taken.
        text = format!("{x:.1e}");
    }
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (mantissa.replace('.', ""), exponent.parse().unwrap_or(0))
}

fn positional(digits: &str, exponent: i32) -> String {
    if exponent < 0 {
        let digits = digits.trim_end_matches('0');
        return format!("0.{}{digits}", "0".repeat((-exponent - 1) as usize));
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        return format!("{digits}{}.0", "0".repeat(whole - digits.len()));
    }
    format!("{}.{}", &digits[..whole], &digits[whole..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_texts() {
        for (x, text) in [
            (1.0, "1.0"),
            (100.0, "100.0"),
            (0.001, "0.001"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (123_456_789.0, "1.23456789E8"),
            (1e-4, "1.0E-4"),
            (9.99e-4, "9.99E-4"),
            (1e23, "1.0E23"),
            (2e23, "2.0E23"),
            (4.9e-324, "4.9E-324"),
            (2e-323, "2.0E-323"),
            (f64::MAX, "1.7976931348623157E308"),
            (9_007_199_254_740_992.0, "9.007199254740992E15"),
            (1.0 / 3.0, "0.3333333333333333"),
            (-0.0, "-0.0"),
            (-1.5, "-1.5"),
            (0.01, "0.01"),
            (20.0, "20.0"),
            (f64::NAN, "##NaN"),
            (f64::NEG_INFINITY, "##-Inf"),
            (
                f64::from_bits(0x7ff8_0000_0000_0001),
                "#[1d7ff8000000000001]",
            ),
        ] {
            assert_eq!(format_double(x), text);
        }
    }
}

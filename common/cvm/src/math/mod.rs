//! The elementary functions that programs can call, bit for bit the same on every machine.
//!
//! The results of `exp` and `pow` are consensus relevant (`spec/03 §2`): they are those of the algorithms of Sun's
//! "freely distributable math library" (fdlibm 5.3), not the correctly rounded ones. The platform's own functions
//! differ between systems and versions, so neither `f64::exp` nor `f64::powf` may be used.
//! `sqrt`, `floor`, `ceil` and `abs` are exact in IEEE 754; the methods of `f64` serve for these.
//!
//! The tests compare with a table of results computed by a Java runtime, whose `StrictMath` follows the same
//! algorithms.

mod exp;
mod pow;

pub use exp::exp;
pub use pow::pow;

/// The only NaN that an operation produces, `7ff8000000000000` (`spec/01 §4.2`).
pub const NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0000);

/// `x` with every NaN replaced by [`NAN`].
#[must_use]
pub fn canonical(x: f64) -> f64 {
    // On integers, because the compiler takes the bits of a NaN for its own choice: it drops
    // `if y.is_nan() { NAN } else { y }` after a square root.
    let bits = x.to_bits();
    let is_nan = bits << 1 > f64::INFINITY.to_bits() << 1;
    f64::from_bits(if is_nan { NAN.to_bits() } else { bits })
}

/// −1.0, 1.0, the zero itself with its sign, or NaN.
#[must_use]
pub fn signum(x: f64) -> f64 {
    if x == 0.0 { x } else { canonical(x.signum()) }
}

/// Upper 32 bits of the pattern: sign, exponent and the first 20 bits of the fraction.
fn high_word(x: f64) -> u32 {
    (x.to_bits() >> 32) as u32
}

/// Lower 32 bits of the pattern.
fn low_word(x: f64) -> u32 {
    x.to_bits() as u32
}

/// `x` with the lower 32 bits of its pattern cleared.
fn head(x: f64) -> f64 {
    f64::from_bits(x.to_bits() & 0xffff_ffff_0000_0000)
}

/// `x` with `n` added to its exponent field; the caller knows that the field has room.
fn add_to_exponent(x: f64, n: i32) -> f64 {
    f64::from_bits(x.to_bits().wrapping_add_signed(i64::from(n) << 52))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_computed_nan_becomes_the_standard_one() {
        // Opaque operands, so that the processor makes the NaN and not the compiler.
        let negative = std::hint::black_box(-1.0f64);
        let infinite = std::hint::black_box(f64::INFINITY);
        for x in [
            negative.sqrt(),
            infinite - infinite,
            0.0 * infinite,
            -infinite.rem_euclid(0.0),
        ] {
            assert_eq!(canonical(x).to_bits(), 0x7ff8_0000_0000_0000);
        }
        assert_eq!(canonical(negative.sqrt()).to_bits(), 0x7ff8_0000_0000_0000);
        for x in [
            0.0,
            -0.0,
            1.5,
            f64::MAX,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::from_bits(1),
        ] {
            assert_eq!(canonical(x).to_bits(), x.to_bits());
        }
    }

    #[test]
    fn a_sign_keeps_zeros_and_the_standard_nan() {
        assert_eq!(signum(-0.0).to_bits(), (-0.0f64).to_bits());
        assert_eq!(signum(f64::NEG_INFINITY), -1.0);
        assert_eq!(
            signum(f64::from_bits(0xfff8_0000_0000_0001)).to_bits(),
            NAN.to_bits()
        );
    }
}
